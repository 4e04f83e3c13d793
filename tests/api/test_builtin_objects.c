/* Profile and mechanism objects: PKCS#11 3.0 sections 4.12 and 4.13; 5.7.7 (what a search finds).
 */
#include "keys.h"

static CK_ULONG find(CK_SESSION_HANDLE session, CK_ATTRIBUTE *template, CK_ULONG n,
                     CK_OBJECT_HANDLE *ret, CK_ULONG room)
{
    CK_ULONG found = 0;
    assert_ok(p11->C_FindObjectsInit(session, template, n));
    assert_ok(p11->C_FindObjects(session, ret, room, &found));
    assert_ok(p11->C_FindObjectsFinal(session));
    return found;
}

static CK_ULONG find_class(CK_OBJECT_CLASS cls, CK_OBJECT_HANDLE *ret, CK_ULONG room)
{
    CK_ATTRIBUTE template = ATTR_ULONG(CKA_CLASS, cls);
    return find(fx.session, &template, 1, ret, room);
}

static void assert_fixed(CK_OBJECT_HANDLE object)
{
    assert_true(get_bool(fx.session, object, CKA_TOKEN));
    assert_false(get_bool(fx.session, object, CKA_PRIVATE));
    assert_false(get_bool(fx.session, object, CKA_MODIFIABLE));
    assert_false(get_bool(fx.session, object, CKA_COPYABLE));
    assert_false(get_bool(fx.session, object, CKA_DESTROYABLE));
    assert_true(get_attribute(fx.session, object, CKA_UNIQUE_ID).n > 0);
}

/* The profiles that are met, each once. */
static void profiles(void **state)
{
    (void)state;
    static const CK_PROFILE_ID met[] = {CKP_BASELINE_PROVIDER, CKP_EXTENDED_PROVIDER,
                                        CKP_AUTHENTICATION_TOKEN, CKP_PUBLIC_CERTIFICATES_TOKEN,
                                        CKP_HKDF_TLS_TOKEN};
    CK_OBJECT_HANDLE found[32];
    assert_int_equal(find_class(CKO_PROFILE, found, COUNT(found)), COUNT(met));
    for (size_t i = 0; i < COUNT(met); i++) {
        CK_OBJECT_HANDLE one[2];
        CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_PROFILE_ID, met[i]),
                                   ATTR_ULONG(CKA_CLASS, CKO_PROFILE)};
        assert_int_equal(find(fx.session, template, 2, one, COUNT(one)), 1);
        assert_int_equal(get_ulong(fx.session, one[0], CKA_CLASS), CKO_PROFILE);
        assert_int_equal(get_ulong(fx.session, one[0], CKA_PROFILE_ID), met[i]);
        assert_fixed(one[0]);
    }
}

/* One for each of C_GetMechanismList, with handles and ids of their own. */
static void mechanisms(void **state)
{
    (void)state;
    static CK_MECHANISM_TYPE types[256];
    static CK_OBJECT_HANDLE found[256];
    static struct blob ids[256];
    CK_ULONG n = COUNT(types);
    assert_ok(p11->C_GetMechanismList(fx.slot, types, &n));
    assert_int_equal(find_class(CKO_MECHANISM, found, COUNT(found)), n);
    for (CK_ULONG i = 0; i < n; i++) {
        CK_OBJECT_HANDLE one[2];
        CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_CLASS, CKO_MECHANISM),
                                   ATTR_ULONG(CKA_MECHANISM_TYPE, types[i])};
        assert_int_equal(find(fx.session, template, 2, one, COUNT(one)), 1);
        assert_int_equal(get_ulong(fx.session, one[0], CKA_MECHANISM_TYPE), types[i]);
        assert_fixed(one[0]);
        ids[i] = get_attribute(fx.session, one[0], CKA_UNIQUE_ID);
        for (CK_ULONG j = 0; j < i; j++) {
            assert_true(found[i] != found[j]);
            assert_false(ids[i].n == ids[j].n && memcmp(ids[i].p, ids[j].p, ids[i].n) == 0);
        }
    }
}

/* Programs of earlier versions meet nothing that they do not know. */
static void only_by_class(void **state)
{
    (void)state;
    CK_OBJECT_HANDLE found[512];
    CK_ATTRIBUTE by_id = ATTR_ULONG(CKA_PROFILE_ID, CKP_BASELINE_PROVIDER);
    CK_ATTRIBUTE by_type = ATTR_ULONG(CKA_MECHANISM_TYPE, CKM_AES_CBC);
    CK_ATTRIBUTE by_token = ATTR_BOOL(CKA_TOKEN, true);
    CK_ATTRIBUTE mixed[] = {ATTR_ULONG(CKA_CLASS, CKO_PROFILE),
                            ATTR_ULONG(CKA_MECHANISM_TYPE, CKM_AES_CBC)};
    CK_ATTRIBUTE in_session[] = {ATTR_ULONG(CKA_CLASS, CKO_PROFILE), ATTR_BOOL(CKA_TOKEN, false)};
    assert_int_equal(find(fx.session, NULL, 0, found, COUNT(found)), 0);
    assert_int_equal(find(fx.session, &by_id, 1, found, COUNT(found)), 0);
    assert_int_equal(find(fx.session, &by_type, 1, found, COUNT(found)), 0);
    assert_int_equal(find(fx.session, &by_token, 1, found, COUNT(found)), 0);
    assert_int_equal(find(fx.session, mixed, 2, found, COUNT(found)), 0);
    assert_int_equal(find(fx.session, in_session, 2, found, COUNT(found)), 0);
    assert_int_equal(find_class(CKO_VALIDATION, found, COUNT(found)), 0);
}

/* The same handles in another session, without login, and when the library starts anew. */
static void handles_last(void **state)
{
    CK_OBJECT_HANDLE before[64], after[64];
    CK_ULONG n = find_class(CKO_PROFILE, before, COUNT(before));
    test_end(state);
    test_public(state);
    assert_int_equal(find_class(CKO_PROFILE, after, COUNT(after)), n);
    assert_memory_equal(before, after, n * sizeof *before);
}

static void cannot_be_touched(void **state)
{
    (void)state;
    static const CK_OBJECT_CLASS classes[] = {CKO_PROFILE, CKO_MECHANISM};
    for (size_t i = 0; i < COUNT(classes); i++) {
        CK_OBJECT_HANDLE found[256], copy = CK_INVALID_HANDLE;
        CK_ATTRIBUTE label = ATTR_STR(CKA_LABEL, "mine"), token = ATTR_BOOL(CKA_TOKEN, false);
        CK_ULONG n = find_class(classes[i], found, COUNT(found)), size;
        assert_true(n > 0);
        assert_rv(CKR_ACTION_PROHIBITED, p11->C_SetAttributeValue(fx.session, found[0], &label, 1));
        assert_rv(CKR_ACTION_PROHIBITED, p11->C_DestroyObject(fx.session, found[0]));
        assert_rv(CKR_ACTION_PROHIBITED, p11->C_CopyObject(fx.session, found[0], NULL, 0, &copy));
        assert_rv(CKR_ACTION_PROHIBITED, p11->C_CopyObject(fx.session, found[0], &token, 1, &copy));
        assert_int_equal(copy, CK_INVALID_HANDLE);
        assert_int_equal(find_class(classes[i], found, COUNT(found)), n);
        assert_int_equal(get_attribute(fx.session, found[0], CKA_LABEL).n, 0);
        assert_rv_either(CKR_OK, CKR_INFORMATION_SENSITIVE,
                         p11->C_GetObjectSize(fx.session, found[0], &size));
    }
}

/* No key, whatever is asked of them. */
static void are_no_keys(void **state)
{
    (void)state;
    CK_OBJECT_HANDLE found[256];
    assert_true(find_class(CKO_MECHANISM, found, COUNT(found)) > 0);
    assert_rv(CKR_KEY_HANDLE_INVALID,
              p11->C_SignInit(fx.session, MECHANISM(CKM_AES_CMAC), found[0]));
    assert_ok(p11->C_DigestInit(fx.session, MECHANISM(CKM_SHA256)));
    assert_rv_either(CKR_KEY_HANDLE_INVALID, CKR_KEY_INDIGESTIBLE,
                     p11->C_DigestKey(fx.session, found[0]));
    CK_BYTE value[16];
    CK_ATTRIBUTE attribute = {CKA_VALUE, value, sizeof value};
    assert_rv(CKR_ATTRIBUTE_TYPE_INVALID,
              p11->C_GetAttributeValue(fx.session, found[0], &attribute, 1));
}

static void cannot_be_created(void **state)
{
    (void)state;
    CK_ATTRIBUTE templates[][2] = {
        {ATTR_ULONG(CKA_CLASS, CKO_PROFILE), ATTR_ULONG(CKA_PROFILE_ID, CKP_COMPLETE_PROVIDER)},
        {ATTR_ULONG(CKA_CLASS, CKO_MECHANISM), ATTR_ULONG(CKA_MECHANISM_TYPE, CKM_DES3_CBC)},
        {ATTR_ULONG(CKA_CLASS, CKO_VALIDATION), ATTR_ULONG(CKA_VALIDATION_LEVEL, 3)},
    };
    for (size_t i = 0; i < COUNT(templates); i++) {
        CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
        CK_RV rv = p11->C_CreateObject(fx.session, templates[i], 2, &object);
        if (rv != CKR_ATTRIBUTE_VALUE_INVALID) /* of CKA_CLASS, or of the template as a whole */
            assert_rv_either(CKR_TEMPLATE_INCONSISTENT, CKR_ATTRIBUTE_READ_ONLY, rv);
        assert_int_equal(object, CK_INVALID_HANDLE);
    }
}

#define PUBLIC_TEST(f) cmocka_unit_test_setup_teardown(f, test_public, test_end)
#define USER_TEST(f)   cmocka_unit_test_setup_teardown(f, test_user, test_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PUBLIC_TEST(profiles),     PUBLIC_TEST(mechanisms),      PUBLIC_TEST(only_by_class),
        PUBLIC_TEST(handles_last), USER_TEST(only_by_class),     USER_TEST(cannot_be_touched),
        USER_TEST(are_no_keys),    USER_TEST(cannot_be_created),
    };
    return cmocka_run_group_tests(tests, group_token, group_end);
}
