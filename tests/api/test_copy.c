/* C_CopyObject, C_GetObjectSize: PKCS#11 3.0 sections 5.7.2, 5.7.4 and 4.1.3. */
#include "keys.h"

static CK_RV copy(CK_OBJECT_HANDLE object, CK_ATTRIBUTE *template, CK_ULONG n,
                  CK_OBJECT_HANDLE *ret)
{
    return p11->C_CopyObject(fx.session, object, template, n, ret);
}

/* A signature by the key that OpenSSL takes for one of the public key. */
static void assert_signs(CK_OBJECT_HANDLE private, CK_OBJECT_HANDLE public)
{
    static CK_BYTE digest[32] = {1, 2, 3};
    struct blob signature = sign(fx.session, MECHANISM(CKM_ECDSA), private, digest, sizeof digest);
    assert_ok(p11->C_VerifyInit(fx.session, MECHANISM(CKM_ECDSA), public));
    assert_ok(p11->C_Verify(fx.session, digest, sizeof digest, signature.p, signature.n));
}

/* pkcs11-provider copies keys into the session like this. */
static void a_key_into_the_session(void **state)
{
    (void)state;
    CK_ATTRIBUTE template[] = {ATTR_BOOL(CKA_TOKEN, false), ATTR_STR(CKA_LABEL, "copy")};
    struct key_pair keys = generate_ec(fx.session, NID_X9_62_prime256v1, "first", true);
    CK_OBJECT_HANDLE second = CK_INVALID_HANDLE;
    assert_ok(copy(keys.private, template, COUNT(template), &second));
    struct blob old_id = get_attribute(fx.session, keys.private, CKA_UNIQUE_ID);
    struct blob new_id = get_attribute(fx.session, second, CKA_UNIQUE_ID);
    assert_true(memcmp(old_id.p, new_id.p, new_id.n) != 0);
    assert_false(get_bool(fx.session, second, CKA_TOKEN));
    assert_blob(get_attribute(fx.session, second, CKA_LABEL), "copy", 4);
    assert_signs(second, keys.public);
    assert_signs(keys.private, keys.public);
    assert_ok(p11->C_DestroyObject(fx.session, keys.private));
    assert_signs(second, keys.public);
    assert_ok(p11->C_DestroyObject(fx.session, keys.public));
}

/* A session key kept for good: it works in the next session, also when copied once more. */
static void a_key_into_the_token(void **state)
{
    CK_ATTRIBUTE keep = ATTR_BOOL(CKA_TOKEN, true);
    struct key_pair keys = generate_ec(fx.session, NID_X9_62_prime256v1, "kept", false);
    CK_OBJECT_HANDLE kept, again;
    assert_ok(copy(keys.private, &keep, 1, &kept));
    assert_ok(copy(keys.public, &keep, 1, &kept));
    assert_ok(p11->C_Finalize(NULL));
    test_user(state);
    CK_OBJECT_HANDLE private = find_object(fx.session, CKO_PRIVATE_KEY, "kept");
    CK_OBJECT_HANDLE public = find_object(fx.session, CKO_PUBLIC_KEY, "kept");
    assert_signs(private, public);
    assert_ok(copy(private, NULL, 0, &again));
    assert_ok(p11->C_DestroyObject(fx.session, private));
    assert_signs(again, public);
}

static void rules(void **state)
{
    (void)state;
    struct key_pair keys = generate_ec(fx.session, NID_X9_62_prime256v1, "ruled", false);
    CK_OBJECT_HANDLE ret = CK_INVALID_HANDLE, sealed;
    CK_ATTRIBUTE class = ATTR_ULONG(CKA_CLASS, CKO_DATA), public = ATTR_BOOL(CKA_PRIVATE, false);
    CK_ATTRIBUTE less = ATTR_BOOL(CKA_SENSITIVE, false), never = ATTR_BOOL(CKA_COPYABLE, false);
    CK_ATTRIBUTE curve = ATTR_MEM(CKA_EC_PARAMS, "\6\0", 2);
    assert_rv(CKR_ATTRIBUTE_READ_ONLY, copy(keys.private, &class, 1, &ret));
    assert_rv(CKR_ATTRIBUTE_READ_ONLY, copy(keys.private, &less, 1, &ret));
    assert_rv(CKR_ATTRIBUTE_READ_ONLY, copy(keys.private, &curve, 1, &ret));
    assert_rv(CKR_TEMPLATE_INCONSISTENT, copy(keys.private, &public, 1, &ret));
    assert_rv(CKR_OBJECT_HANDLE_INVALID, copy(0xFFFFFFFF, NULL, 0, &ret));
    assert_rv(CKR_ARGUMENTS_BAD, copy(keys.private, NULL, 1, &ret));
    assert_rv(CKR_ARGUMENTS_BAD, copy(keys.private, NULL, 0, NULL));
    assert_int_equal(ret, CK_INVALID_HANDLE);
    assert_ok(copy(keys.private, &never, 1, &sealed));
    assert_rv(CKR_ACTION_PROHIBITED, copy(sealed, NULL, 0, &ret));
}

/* What makes the copy work is the module's own business. */
static void nothing_more_is_told(void **state)
{
    (void)state;
    CK_OBJECT_HANDLE second;
    CK_BYTE room[64];
    CK_ATTRIBUTE origin = {CKA_VENDOR_DEFINED | 0x4C4B0001UL, room, sizeof room};
    struct key_pair keys = generate_ec(fx.session, NID_X9_62_prime256v1, "told", false);
    assert_ok(copy(keys.private, NULL, 0, &second));
    assert_rv(CKR_ATTRIBUTE_TYPE_INVALID, p11->C_GetAttributeValue(fx.session, second, &origin, 1));
}

static void data_and_sessions(void **state)
{
    (void)state;
    CK_ATTRIBUTE data[] = {ATTR_ULONG(CKA_CLASS, CKO_DATA), ATTR_STR(CKA_VALUE, "content"),
                           ATTR_STR(CKA_LABEL, "datum")};
    CK_ATTRIBUTE keep = ATTR_BOOL(CKA_TOKEN, true), hide = ATTR_BOOL(CKA_PRIVATE, true);
    CK_OBJECT_HANDLE object, second;
    CK_SESSION_HANDLE reader = open_session(fx.slot, 0);
    assert_ok(p11->C_CreateObject(fx.session, data, COUNT(data), &object));
    assert_rv(CKR_SESSION_READ_ONLY, p11->C_CopyObject(reader, object, &keep, 1, &second));
    assert_ok(p11->C_CopyObject(reader, object, &hide, 1, &second));
    assert_true(get_bool(fx.session, second, CKA_PRIVATE));
    assert_blob(get_attribute(fx.session, second, CKA_VALUE), "content", 7);
}

static void sizes(void **state)
{
    (void)state;
    CK_ULONG small = 0, large = 0;
    CK_BYTE value[1000] = {0};
    CK_ATTRIBUTE data[] = {ATTR_ULONG(CKA_CLASS, CKO_DATA), ATTR_MEM(CKA_VALUE, value, 1)};
    CK_OBJECT_HANDLE object;
    assert_ok(p11->C_CreateObject(fx.session, data, COUNT(data), &object));
    assert_ok(p11->C_GetObjectSize(fx.session, object, &small));
    data[1].ulValueLen = sizeof value;
    assert_ok(p11->C_CreateObject(fx.session, data, COUNT(data), &object));
    assert_ok(p11->C_GetObjectSize(fx.session, object, &large));
    assert_int_equal(large - small, sizeof value - 1);
    assert_rv(CKR_ARGUMENTS_BAD, p11->C_GetObjectSize(fx.session, object, NULL));
    assert_rv(CKR_OBJECT_HANDLE_INVALID, p11->C_GetObjectSize(fx.session, 0, &small));
}

#define COPY_TEST(f) cmocka_unit_test_setup_teardown(f, test_user, test_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        COPY_TEST(a_key_into_the_session), COPY_TEST(a_key_into_the_token), COPY_TEST(rules),
        COPY_TEST(nothing_more_is_told),   COPY_TEST(data_and_sessions),    COPY_TEST(sizes),
    };
    return cmocka_run_group_tests(tests, group_token, group_end);
}
