/* C_FindObjectsInit, C_FindObjects, C_FindObjectsFinal: PKCS#11 3.0 section 5.7.5. */
#include "keys.h"

#define OBJECTS 40

static int group_objects(void **state)
{
    group_token(state);
    test_user(state);
    generate_ec(fx.session, NID_X9_62_prime256v1, "one", true);
    generate_ec(fx.session, NID_X9_62_prime256v1, "two", true);
    for (CK_BYTE i = 0; i < OBJECTS; i++) {
        CK_ATTRIBUTE data[] = {ATTR_ULONG(CKA_CLASS, CKO_DATA), ATTR_BOOL(CKA_TOKEN, true),
                               ATTR_BOOL(CKA_PRIVATE, i % 2), ATTR_STR(CKA_LABEL, "many"),
                               ATTR_MEM(CKA_VALUE, &i, 1)};
        CK_OBJECT_HANDLE object;
        assert_ok(p11->C_CreateObject(fx.session, data, COUNT(data), &object));
    }
    return test_end(state);
}

static void by_template(void **state)
{
    (void)state;
    CK_ATTRIBUTE private_key = ATTR_ULONG(CKA_CLASS, CKO_PRIVATE_KEY);
    CK_ATTRIBUTE one[] = {ATTR_STR(CKA_ID, "one")};
    CK_ATTRIBUTE one_private[] = {ATTR_STR(CKA_ID, "one"), ATTR_ULONG(CKA_CLASS, CKO_PRIVATE_KEY),
                                  ATTR_BOOL(CKA_SIGN, true)};
    CK_ATTRIBUTE ec_keys[] = {ATTR_ULONG(CKA_KEY_TYPE, CKK_EC), ATTR_BOOL(CKA_TOKEN, true)};
    CK_ATTRIBUTE rsa_keys[] = {ATTR_ULONG(CKA_KEY_TYPE, CKK_RSA)};
    CK_ATTRIBUTE contradiction[] = {ATTR_STR(CKA_ID, "one"), ATTR_STR(CKA_LABEL, "two")};
    assert_int_equal(count_objects(fx.session, &private_key, 1), 2);
    assert_int_equal(count_objects(fx.session, one, 1), 2);
    assert_int_equal(count_objects(fx.session, one_private, 3), 1);
    assert_int_equal(count_objects(fx.session, ec_keys, 2), 4);
    assert_int_equal(count_objects(fx.session, rsa_keys, 1), 0);
    assert_int_equal(count_objects(fx.session, contradiction, 2), 0);
    assert_int_equal(count_objects(fx.session, NULL, 0), 4 + OBJECTS);
}

/* 5.7.7: "an exact byte-for-byte match", so a boolean that is neither of the two finds nothing. */
static void odd_booleans(void **state)
{
    (void)state;
    CK_BYTE two[] = {2, 1};
    static const CK_ATTRIBUTE_TYPE types[] = {CKA_TOKEN, CKA_PRIVATE, CKA_MODIFIABLE, CKA_SIGN};
    for (size_t i = 0; i < COUNT(types); i++) {
        CK_ATTRIBUTE odd = ATTR_MEM(types[i], two, 1), wide = ATTR_MEM(types[i], two, 2);
        assert_int_equal(count_objects(fx.session, &odd, 1), 0);
        assert_int_equal(count_objects(fx.session, &wide, 1), 0);
    }
}

/* Attributes that no search column can hold: by value, and by a boolean of the private part. */
static void by_unindexed_attribute(void **state)
{
    (void)state;
    CK_BYTE seven = 7;
    CK_ATTRIBUTE value[] = {ATTR_MEM(CKA_VALUE, &seven, 1), ATTR_ULONG(CKA_CLASS, CKO_DATA)};
    CK_ATTRIBUTE derive[] = {ATTR_BOOL(CKA_DERIVE, true), ATTR_BOOL(CKA_SENSITIVE, true)};
    struct blob point =
        get_attribute(fx.session, find_object(fx.session, CKO_PUBLIC_KEY, "two"), CKA_EC_POINT);
    CK_ATTRIBUTE by_point[] = {ATTR_MEM(CKA_EC_POINT, point.p, point.n),
                               ATTR_ULONG(CKA_CLASS, CKO_PUBLIC_KEY)};
    assert_int_equal(count_objects(fx.session, value, 2), 1);
    assert_int_equal(count_objects(fx.session, derive, 2), 2);
    assert_int_equal(count_objects(fx.session, by_point, 2), 1);
}

/* Sensitive values do not match: a search must not be an oracle for them. */
static void sensitive_values_never_match(void **state)
{
    (void)state;
    CK_BYTE guess[32] = {0};
    CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_CLASS, CKO_PRIVATE_KEY),
                               ATTR_MEM(CKA_VALUE, guess, sizeof guess)};
    assert_int_equal(count_objects(fx.session, template, 2), 0);
}

static void in_portions(void **state)
{
    (void)state;
    CK_ATTRIBUTE many = ATTR_STR(CKA_LABEL, "many");
    CK_OBJECT_HANDLE seen[OBJECTS + 8];
    CK_ULONG total = 0, n;
    assert_ok(p11->C_FindObjectsInit(fx.session, &many, 1));
    assert_ok(p11->C_FindObjects(fx.session, seen, 0, &n));
    assert_int_equal(n, 0);
    do {
        assert_ok(p11->C_FindObjects(fx.session, seen + total, 7, &n));
        total += n;
    } while (n > 0 && total < OBJECTS);
    assert_int_equal(total, OBJECTS);
    assert_ok(p11->C_FindObjects(fx.session, seen, 1, &n));
    assert_int_equal(n, 0);
    assert_ok(p11->C_FindObjectsFinal(fx.session));
    for (CK_ULONG i = 1; i < total; i++)
        for (CK_ULONG j = 0; j < i; j++)
            assert_true(seen[i] != seen[j]);
}

static void before_login_public_only(void **state)
{
    (void)state;
    assert_ok(p11->C_Logout(fx.session));
    CK_ATTRIBUTE many = ATTR_STR(CKA_LABEL, "many"), one = ATTR_STR(CKA_ID, "one");
    CK_ATTRIBUTE private = ATTR_BOOL(CKA_PRIVATE, true);
    assert_int_equal(count_objects(fx.session, &many, 1), OBJECTS / 2);
    assert_int_equal(count_objects(fx.session, &one, 1), 1);
    assert_int_equal(count_objects(fx.session, &private, 1), 0);
}

/* NSS and p11-kit ask for classes that nobody has: no objects, not an error. */
static void unknown_classes(void **state)
{
    (void)state;
    static const CK_OBJECT_CLASS classes[] = {CKO_HW_FEATURE, CKO_VALIDATION,
                                              CKO_VENDOR_DEFINED | 0x4E534353,
                                              CKO_VENDOR_DEFINED | 0x58444701};
    for (size_t i = 0; i < COUNT(classes); i++) {
        CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_CLASS, classes[i]), ATTR_BOOL(CKA_TOKEN, true)};
        assert_int_equal(count_objects(fx.session, template, 2), 0);
    }
    CK_ATTRIBUTE unknown = ATTR_BOOL(CKA_VENDOR_DEFINED | 0x123, true);
    assert_int_equal(count_objects(fx.session, &unknown, 1), 0);
}

/* What a search found stays found, whatever is made or destroyed before it is read out. */
static void changes_during_a_search(void **state)
{
    (void)state;
    CK_ATTRIBUTE data[] = {ATTR_ULONG(CKA_CLASS, CKO_DATA), ATTR_STR(CKA_LABEL, "brief")};
    CK_OBJECT_HANDLE a, b, found[4];
    CK_ULONG n;
    assert_ok(p11->C_CreateObject(fx.session, data, COUNT(data), &a));
    assert_ok(p11->C_FindObjectsInit(fx.session, data, COUNT(data)));
    assert_ok(p11->C_CreateObject(fx.session, data, COUNT(data), &b));
    assert_ok(p11->C_DestroyObject(fx.session, b));
    assert_ok(p11->C_FindObjects(fx.session, found, COUNT(found), &n));
    assert_int_equal(n, 1);
    assert_int_equal(found[0], a);
    assert_ok(p11->C_FindObjectsFinal(fx.session));
}

static void protocol(void **state)
{
    (void)state;
    CK_OBJECT_HANDLE found;
    CK_ULONG n;
    assert_rv(CKR_OPERATION_NOT_INITIALIZED, p11->C_FindObjects(fx.session, &found, 1, &n));
    assert_rv(CKR_OPERATION_NOT_INITIALIZED, p11->C_FindObjectsFinal(fx.session));
    assert_ok(p11->C_FindObjectsInit(fx.session, NULL, 0));
    assert_rv(CKR_OPERATION_ACTIVE, p11->C_FindObjectsInit(fx.session, NULL, 0));
    assert_rv(CKR_ARGUMENTS_BAD, p11->C_FindObjects(fx.session, NULL, 1, &n));
    assert_rv(CKR_ARGUMENTS_BAD, p11->C_FindObjects(fx.session, &found, 1, NULL));
    assert_ok(p11->C_FindObjectsFinal(fx.session));
    assert_rv(CKR_OPERATION_NOT_INITIALIZED, p11->C_FindObjectsFinal(fx.session));
    assert_rv(CKR_ARGUMENTS_BAD, p11->C_FindObjectsInit(fx.session, NULL, 1));
}

/* A length that no memory has, as programs leave it behind after a failed C_GetAttributeValue. */
static void impossible_length(void **state)
{
    (void)state;
    CK_BYTE byte = 0;
    CK_OBJECT_HANDLE found;
    CK_ULONG n;
    static const CK_ATTRIBUTE_TYPE types[] = {CKA_LABEL, CKA_VALUE, CKA_CLASS, CKA_TOKEN};
    for (size_t i = 0; i < COUNT(types); i++) {
        CK_ATTRIBUTE template = {types[i], &byte, CK_UNAVAILABLE_INFORMATION};
        assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, p11->C_FindObjectsInit(fx.session, &template, 1));
        assert_rv(CKR_OPERATION_NOT_INITIALIZED, p11->C_FindObjects(fx.session, &found, 1, &n));
    }
}

#define USER_TEST(f) cmocka_unit_test_setup_teardown(f, test_user, test_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        USER_TEST(by_template),     USER_TEST(by_unindexed_attribute),
        USER_TEST(odd_booleans),    USER_TEST(sensitive_values_never_match),
        USER_TEST(in_portions),     USER_TEST(before_login_public_only),
        USER_TEST(unknown_classes), USER_TEST(changes_during_a_search),
        USER_TEST(protocol),        USER_TEST(impossible_length),
    };
    return cmocka_run_group_tests(tests, group_objects, group_end);
}
