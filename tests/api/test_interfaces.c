/* C_GetFunctionList, C_GetInterfaceList, C_GetInterface: PKCS#11 3.0 sections 5.4.4 to 5.4.6; and
 * the functions that wait for a later version. */
#include "fixture.h"

static void no_null_function(void **state)
{
    (void)state;
    assert_non_null(p11_3);
    const void *const *list = (const void *const *)p11;
    for (size_t i = offsetof(CK_FUNCTION_LIST, C_Initialize) / sizeof *list;
         i < sizeof *p11 / sizeof *list; i++)
        assert_non_null(list[i]);
    list = (const void *const *)p11_3;
    for (size_t i = offsetof(CK_FUNCTION_LIST_3_0, C_Initialize) / sizeof *list;
         i < sizeof *p11_3 / sizeof *list; i++)
        assert_non_null(list[i]);
}

static void interface_list(void **state)
{
    (void)state;
    CK_INTERFACE list[8];
    CK_ULONG n = 0;
    assert_ok(p11_3->C_GetInterfaceList(NULL, &n));
    assert_in_range(n, 2, COUNT(list));
    CK_ULONG all = n;
    n = 1;
    assert_rv(CKR_BUFFER_TOO_SMALL, p11_3->C_GetInterfaceList(list, &n));
    assert_int_equal(n, all);
    assert_ok(p11_3->C_GetInterfaceList(list, &n));
    assert_rv(CKR_ARGUMENTS_BAD, p11_3->C_GetInterfaceList(list, NULL));
    bool old = false, new = false;
    for (CK_ULONG i = 0; i < n; i++) {
        if (strcmp((const char *)list[i].pInterfaceName, "PKCS 11") != 0)
            continue;
        const CK_VERSION *version = list[i].pFunctionList;
        old = old || (version->major == 2 && version->minor == 40);
        new = new || (version->major == 3 && version->minor == 0);
        /* Fork-safe means that sessions and logins go on in the child (section 3.4, CK_INTERFACE);
         * here a child begins with C_Initialize. */
        assert_int_equal(list[i].flags & CKF_INTERFACE_FORK_SAFE, 0);
    }
    assert_true(old && new);
}

static CK_RV get(const char *name, CK_VERSION *version, CK_FLAGS flags, CK_INTERFACE **ret)
{
    return p11_3->C_GetInterface((CK_UTF8CHAR_PTR)name, version, ret, flags);
}

static void by_name_and_version(void **state)
{
    (void)state;
    CK_INTERFACE *interface;
    CK_VERSION v240 = {2, 40}, v30 = {3, 0}, v99 = {9, 9};
    assert_ok(get(NULL, NULL, 0, &interface)); /* the default one */
    assert_string_equal((const char *)interface->pInterfaceName, "PKCS 11");
    assert_ok(get("PKCS 11", &v240, 0, &interface));
    assert_int_equal(((CK_VERSION *)interface->pFunctionList)->major, 2);
    assert_ptr_equal(interface->pFunctionList, p11);
    assert_ok(get("PKCS 11", &v30, 0, &interface));
    assert_int_equal(((CK_VERSION *)interface->pFunctionList)->major, 3);
    assert_true(get("PKCS 11", NULL, CKF_INTERFACE_FORK_SAFE, &interface) != CKR_OK);
    assert_true(get("PKCS 11", &v99, 0, &interface) != CKR_OK);
    assert_true(get("PKCS 12", NULL, 0, &interface) != CKR_OK);
    assert_true(get("PKCS 11", NULL, 0x1000, &interface) != CKR_OK); /* unknown flag */
    assert_rv(CKR_ARGUMENTS_BAD, get("PKCS 11", NULL, 0, NULL));
}

/* Names NSS asks for that are not ours: a refusal, and no crash. */
static void foreign_names(void **state)
{
    (void)state;
    static const char *const names[] = {"Vendor NSS Module Interface", "Vendor NSS FIPS Interface",
                                        "Vendor NSS KEM Interface", ""};
    CK_INTERFACE *interface;
    for (size_t i = 0; i < COUNT(names); i++)
        assert_true(get(names[i], NULL, 0, &interface) != CKR_OK);
}

/* Left for later: says so, rather than anything else. */
static void not_supported(void **state)
{
    (void)state;
    CK_SESSION_HANDLE s = fx.session;
    CK_BYTE in[16] = {0}, out[64];
    CK_ULONG n = sizeof out;
    CK_OBJECT_HANDLE object;
    CK_ATTRIBUTE none = ATTR_BOOL(CKA_TOKEN, false);
    CK_MECHANISM *ecdsa = MECHANISM(CKM_ECDSA);
    struct {
        const char *name;
        CK_RV rv;
    } rows[] = {
        {"C_GenerateKey", p11->C_GenerateKey(s, MECHANISM(CKM_AES_KEY_GEN), &none, 1, &object)},
        {"C_WrapKey", p11->C_WrapKey(s, ecdsa, 1, 1, out, &n)},
        {"C_UnwrapKey", p11->C_UnwrapKey(s, ecdsa, 1, in, sizeof in, &none, 1, &object)},
        {"C_GetOperationState", p11->C_GetOperationState(s, out, &n)},
        {"C_SetOperationState", p11->C_SetOperationState(s, in, sizeof in, 0, 0)},
        {"C_DigestKey", p11->C_DigestKey(s, 1)},
        {"C_DigestEncryptUpdate", p11->C_DigestEncryptUpdate(s, in, sizeof in, out, &n)},
        {"C_DecryptDigestUpdate", p11->C_DecryptDigestUpdate(s, in, sizeof in, out, &n)},
        {"C_SignEncryptUpdate", p11->C_SignEncryptUpdate(s, in, sizeof in, out, &n)},
        {"C_DecryptVerifyUpdate", p11->C_DecryptVerifyUpdate(s, in, sizeof in, out, &n)},
        {"C_MessageEncryptInit", p11_3->C_MessageEncryptInit(s, ecdsa, 1)},
        {"C_EncryptMessage", p11_3->C_EncryptMessage(s, NULL, 0, NULL, 0, in, 1, out, &n)},
        {"C_EncryptMessageBegin", p11_3->C_EncryptMessageBegin(s, NULL, 0, NULL, 0)},
        {"C_EncryptMessageNext", p11_3->C_EncryptMessageNext(s, NULL, 0, in, 1, out, &n, 0)},
        {"C_MessageEncryptFinal", p11_3->C_MessageEncryptFinal(s)},
        {"C_MessageDecryptInit", p11_3->C_MessageDecryptInit(s, ecdsa, 1)},
        {"C_DecryptMessage", p11_3->C_DecryptMessage(s, NULL, 0, NULL, 0, in, 1, out, &n)},
        {"C_DecryptMessageBegin", p11_3->C_DecryptMessageBegin(s, NULL, 0, NULL, 0)},
        {"C_DecryptMessageNext", p11_3->C_DecryptMessageNext(s, NULL, 0, in, 1, out, &n, 0)},
        {"C_MessageDecryptFinal", p11_3->C_MessageDecryptFinal(s)},
        {"C_MessageSignInit", p11_3->C_MessageSignInit(s, ecdsa, 1)},
        {"C_SignMessage", p11_3->C_SignMessage(s, NULL, 0, in, 1, out, &n)},
        {"C_SignMessageBegin", p11_3->C_SignMessageBegin(s, NULL, 0)},
        {"C_SignMessageNext", p11_3->C_SignMessageNext(s, NULL, 0, in, 1, out, &n)},
        {"C_MessageSignFinal", p11_3->C_MessageSignFinal(s)},
        {"C_MessageVerifyInit", p11_3->C_MessageVerifyInit(s, ecdsa, 1)},
        {"C_VerifyMessage", p11_3->C_VerifyMessage(s, NULL, 0, in, 1, out, 1)},
        {"C_VerifyMessageBegin", p11_3->C_VerifyMessageBegin(s, NULL, 0)},
        {"C_VerifyMessageNext", p11_3->C_VerifyMessageNext(s, NULL, 0, in, 1, out, 1)},
        {"C_MessageVerifyFinal", p11_3->C_MessageVerifyFinal(s)},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        check_rv(CKR_FUNCTION_NOT_SUPPORTED, rows[i].rv, rows[i].name, __FILE__, __LINE__);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_null_function),
        cmocka_unit_test(interface_list),
        cmocka_unit_test(by_name_and_version),
        cmocka_unit_test(foreign_names),
        cmocka_unit_test_setup_teardown(not_supported, test_public, test_end),
    };
    return cmocka_run_group_tests(tests, group_token, group_end);
}
