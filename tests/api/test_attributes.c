/* C_GetAttributeValue and C_SetAttributeValue: PKCS#11 3.0 sections 5.7.5, 5.7.6, 4.1.2. */
#include "keys.h"

/* Section 5.7.5: every attribute of the call is processed, whatever befalls the others; the code is
 * that of one of the failures. NSS and GnuTLS live on this. */
static void mixed_call(void **state)
{
    (void)state;
    struct key_pair keys = keys_of(fx.session, "p256");
    CK_BYTE label[16], value[64], tiny[2], point[128];
    CK_ATTRIBUTE template[] = {
        {CKA_VENDOR_DEFINED | 0xABC, value, sizeof value},
        {CKA_LABEL, label, sizeof label},
        {CKA_VALUE, value, sizeof value},
        {CKA_ID, tiny, sizeof tiny},
        {CKA_EC_POINT, point, sizeof point},
        {CKA_MODULUS, value, sizeof value},
        {CKA_EC_PARAMS, NULL, 0},
    };
    CK_RV rv = p11->C_GetAttributeValue(fx.session, keys.private, template, COUNT(template));
    assert_true(rv == CKR_ATTRIBUTE_TYPE_INVALID || rv == CKR_ATTRIBUTE_SENSITIVE ||
                rv == CKR_BUFFER_TOO_SMALL);
    static const CK_ULONG lengths[] = {(CK_ULONG)-1, 4, (CK_ULONG)-1, (CK_ULONG)-1, 67,
                                       (CK_ULONG)-1, 10};
    for (size_t i = 0; i < COUNT(template); i++)
        assert_true(template[i].ulValueLen == lengths[i]);
    assert_memory_equal(label, "p256", 4);
    assert_int_equal(point[0], 0x04);
}

static void single_failures(void **state)
{
    (void)state;
    struct key_pair keys = keys_of(fx.session, "rsa2048");
    CK_BYTE buffer[255];
    CK_ATTRIBUTE unknown = {CKA_VENDOR_DEFINED | 0xABC, buffer, sizeof buffer};
    CK_ATTRIBUTE small = {CKA_MODULUS, buffer, sizeof buffer};
    CK_ATTRIBUTE of_other_class = {CKA_EC_POINT, buffer, sizeof buffer};
    assert_rv(CKR_ATTRIBUTE_TYPE_INVALID,
              p11->C_GetAttributeValue(fx.session, keys.public, &unknown, 1));
    assert_rv(CKR_BUFFER_TOO_SMALL, p11->C_GetAttributeValue(fx.session, keys.public, &small, 1));
    assert_true(small.ulValueLen == CK_UNAVAILABLE_INFORMATION);
    assert_rv(CKR_ATTRIBUTE_TYPE_INVALID,
              p11->C_GetAttributeValue(fx.session, keys.public, &of_other_class, 1));
    assert_rv(CKR_OBJECT_HANDLE_INVALID, p11->C_GetAttributeValue(fx.session, 0, &small, 1));
    assert_rv(CKR_ARGUMENTS_BAD, p11->C_GetAttributeValue(fx.session, keys.public, NULL, 1));
}

static void length_query(void **state)
{
    (void)state;
    struct key_pair keys = keys_of(fx.session, "rsa2048");
    CK_ATTRIBUTE template[] = {{CKA_MODULUS, NULL, 0}, {CKA_TOKEN, NULL, 77}, {CKA_CLASS, NULL, 0}};
    assert_ok(p11->C_GetAttributeValue(fx.session, keys.public, template, COUNT(template)));
    assert_int_equal(template[0].ulValueLen, 256);
    assert_int_equal(template[1].ulValueLen, sizeof(CK_BBOOL));
    assert_int_equal(template[2].ulValueLen, sizeof(CK_ULONG));
}

/* 3.0 section 4.4.1: CKA_UNIQUE_ID differs between objects and stays for an object's life. */
static void unique_ids(void **state)
{
    struct key_pair keys = keys_of(fx.session, "p256");
    struct blob a = get_attribute(fx.session, keys.public, CKA_UNIQUE_ID);
    struct blob b = get_attribute(fx.session, keys.private, CKA_UNIQUE_ID);
    assert_true(a.n > 0 && b.n > 0);
    assert_true(a.n != b.n || memcmp(a.p, b.p, a.n) != 0);
    assert_ok(p11->C_Finalize(NULL));
    test_user(state);
    keys = keys_of(fx.session, "p256");
    assert_blob(get_attribute(fx.session, keys.private, CKA_UNIQUE_ID), b.p, b.n);
    CK_ATTRIBUTE by_id = ATTR_MEM(CKA_UNIQUE_ID, b.p, b.n);
    assert_int_equal(count_objects(fx.session, &by_id, 1), 1);
}

/* What programs ask of every key; the answer has to exist. */
static void always_there(void **state)
{
    (void)state;
    static const CK_ATTRIBUTE_TYPE private[] = {CKA_CLASS,
                                                CKA_TOKEN,
                                                CKA_PRIVATE,
                                                CKA_LABEL,
                                                CKA_MODIFIABLE,
                                                CKA_DESTROYABLE,
                                                CKA_COPYABLE,
                                                CKA_UNIQUE_ID,
                                                CKA_KEY_TYPE,
                                                CKA_ID,
                                                CKA_START_DATE,
                                                CKA_END_DATE,
                                                CKA_DERIVE,
                                                CKA_LOCAL,
                                                CKA_KEY_GEN_MECHANISM,
                                                CKA_SUBJECT,
                                                CKA_SENSITIVE,
                                                CKA_DECRYPT,
                                                CKA_SIGN,
                                                CKA_SIGN_RECOVER,
                                                CKA_UNWRAP,
                                                CKA_EXTRACTABLE,
                                                CKA_ALWAYS_SENSITIVE,
                                                CKA_NEVER_EXTRACTABLE,
                                                CKA_WRAP_WITH_TRUSTED,
                                                CKA_ALWAYS_AUTHENTICATE,
                                                CKA_PUBLIC_KEY_INFO};
    static const CK_ATTRIBUTE_TYPE public[] = {
        CKA_CLASS,    CKA_TOKEN,   CKA_PRIVATE, CKA_LABEL,  CKA_ID,
        CKA_KEY_TYPE, CKA_SUBJECT, CKA_ENCRYPT, CKA_VERIFY, CKA_VERIFY_RECOVER,
        CKA_WRAP,     CKA_TRUSTED, CKA_LOCAL,   CKA_DERIVE, CKA_PUBLIC_KEY_INFO};
    static const char *const labels[] = {"rsa2048", "p256"};
    for (size_t k = 0; k < COUNT(labels); k++) {
        struct key_pair keys = keys_of(fx.session, labels[k]);
        for (size_t i = 0; i < COUNT(private); i++)
            get_attribute(fx.session, keys.private, private[i]);
        for (size_t i = 0; i < COUNT(public); i++)
            get_attribute(fx.session, keys.public, public[i]);
    }
}

/* NSS sets CKA_ID after it has generated a pair. */
static void set_id_and_label(void **state)
{
    struct key_pair keys = generate_ec(fx.session, NID_X9_62_prime256v1, "before", true);
    CK_ATTRIBUTE template[] = {ATTR_MEM(CKA_ID, "\0\1\2", 3), ATTR_STR(CKA_LABEL, "after"),
                               ATTR_STR(CKA_SUBJECT, "0\0")};
    assert_ok(p11->C_SetAttributeValue(fx.session, keys.private, template, COUNT(template)));
    assert_ok(p11->C_SetAttributeValue(fx.session, keys.public, template, COUNT(template)));
    assert_ok(p11->C_Finalize(NULL));
    test_user(state);
    keys = keys_of(fx.session, "after");
    assert_blob(get_attribute(fx.session, keys.private, CKA_ID), "\0\1\2", 3);
    assert_int_equal(find_object(fx.session, CKO_PRIVATE_KEY, "before"), CK_INVALID_HANDLE);
    sign(fx.session, MECHANISM(CKM_ECDSA), keys.private, "0123456789", 10);
}

static void read_only_attributes(void **state)
{
    (void)state;
    struct key_pair keys = generate_ec(fx.session, NID_X9_62_prime256v1, "fixed", false);
    static const CK_ATTRIBUTE_TYPE bools[] = {CKA_LOCAL, CKA_ALWAYS_SENSITIVE, CKA_TOKEN,
                                              CKA_NEVER_EXTRACTABLE};
    for (size_t i = 0; i < COUNT(bools); i++) {
        CK_ATTRIBUTE attribute = ATTR_BOOL(bools[i], !get_bool(fx.session, keys.private, bools[i]));
        assert_rv(CKR_ATTRIBUTE_READ_ONLY,
                  p11->C_SetAttributeValue(fx.session, keys.private, &attribute, 1));
    }
    CK_ATTRIBUTE cls = ATTR_ULONG(CKA_CLASS, CKO_DATA), type = ATTR_ULONG(CKA_KEY_TYPE, CKK_RSA);
    CK_ATTRIBUTE id = ATTR_STR(CKA_UNIQUE_ID, "mine"), point = ATTR_STR(CKA_EC_POINT, "other");
    CK_ATTRIBUTE *rows[] = {&cls, &type, &id, &point};
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_rv(CKR_ATTRIBUTE_READ_ONLY,
                  p11->C_SetAttributeValue(fx.session, keys.private, rows[i], 1));
    CK_ATTRIBUTE unknown = ATTR_BOOL(CKA_VENDOR_DEFINED | 0xABC, true);
    assert_rv_either(CKR_ATTRIBUTE_TYPE_INVALID, CKR_ATTRIBUTE_READ_ONLY,
                     p11->C_SetAttributeValue(fx.session, keys.private, &unknown, 1));
}

/* Section 4.9: SENSITIVE only rises, EXTRACTABLE only falls. */
static void one_way_flags(void **state)
{
    (void)state;
    struct key_pair keys = generate_ec(fx.session, NID_X9_62_prime256v1, "one way", false);
    CK_ATTRIBUTE open = ATTR_BOOL(CKA_SENSITIVE, false), out = ATTR_BOOL(CKA_EXTRACTABLE, true);
    CK_ATTRIBUTE shut = ATTR_BOOL(CKA_SENSITIVE, true), in = ATTR_BOOL(CKA_EXTRACTABLE, false);
    assert_rv(CKR_ATTRIBUTE_READ_ONLY,
              p11->C_SetAttributeValue(fx.session, keys.private, &open, 1));
    assert_rv(CKR_ATTRIBUTE_READ_ONLY, p11->C_SetAttributeValue(fx.session, keys.private, &out, 1));
    assert_ok(p11->C_SetAttributeValue(fx.session, keys.private, &shut, 1));
    assert_ok(p11->C_SetAttributeValue(fx.session, keys.private, &in, 1));
}

/* A call changes all of its attributes or none. */
static void all_or_nothing(void **state)
{
    (void)state;
    struct key_pair keys = generate_ec(fx.session, NID_X9_62_prime256v1, "whole", true);
    CK_ATTRIBUTE template[] = {ATTR_STR(CKA_LABEL, "half"), ATTR_BOOL(CKA_LOCAL, false)};
    assert_rv(CKR_ATTRIBUTE_READ_ONLY,
              p11->C_SetAttributeValue(fx.session, keys.private, template, 2));
    assert_blob(get_attribute(fx.session, keys.private, CKA_LABEL), "whole", 5);
}

static void unmodifiable(void **state)
{
    (void)state;
    CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_CLASS, CKO_DATA), ATTR_BOOL(CKA_MODIFIABLE, false)};
    CK_ATTRIBUTE label = ATTR_STR(CKA_LABEL, "new");
    CK_OBJECT_HANDLE object;
    assert_ok(p11->C_CreateObject(fx.session, template, 2, &object));
    assert_rv(CKR_ACTION_PROHIBITED, p11->C_SetAttributeValue(fx.session, object, &label, 1));
    struct key_pair keys = keys_of(fx.session, "p256");
    CK_SESSION_HANDLE ro = open_session(fx.slot, 0);
    assert_rv(CKR_SESSION_READ_ONLY, p11->C_SetAttributeValue(ro, keys.private, &label, 1));
}

#define USER_TEST(f) cmocka_unit_test_setup_teardown(f, test_user, test_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        USER_TEST(mixed_call),           USER_TEST(single_failures), USER_TEST(length_query),
        USER_TEST(unique_ids),           USER_TEST(always_there),    USER_TEST(set_id_and_label),
        USER_TEST(read_only_attributes), USER_TEST(one_way_flags),   USER_TEST(all_or_nothing),
        USER_TEST(unmodifiable),
    };
    return cmocka_run_group_tests(tests, group_keys, group_end);
}
