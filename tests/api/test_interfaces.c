/* C_GetFunctionList, C_GetInterfaceList, C_GetInterface: PKCS#11 3.0 sections 5.4.4 to 5.4.6; and
 * the functions that wait for a later version. */
#include "fixture.h"

static void all_there(const void *list, size_t size)
{
    const void *const *functions = list;
    for (size_t i = offsetof(CK_FUNCTION_LIST, C_Initialize) / sizeof *functions;
         i < size / sizeof *functions; i++)
        assert_non_null(functions[i]);
}

static void no_null_function(void **state)
{
    (void)state;
    assert_non_null(p11_3);
    assert_non_null(p11_32);
    all_there(p11, sizeof *p11);
    all_there(p11_3, sizeof *p11_3);
    all_there(p11_32, sizeof *p11_32);
}

static void interface_list(void **state)
{
    (void)state;
    CK_INTERFACE list[8];
    CK_ULONG n = 0;
    assert_ok(p11_3->C_GetInterfaceList(NULL, &n));
    assert_in_range(n, 3, COUNT(list));
    CK_ULONG all = n;
    n = 1;
    assert_rv(CKR_BUFFER_TOO_SMALL, p11_3->C_GetInterfaceList(list, &n));
    assert_int_equal(n, all);
    assert_ok(p11_3->C_GetInterfaceList(list, &n));
    assert_rv(CKR_ARGUMENTS_BAD, p11_3->C_GetInterfaceList(list, NULL));
    bool has_2_40 = false, has_3_0 = false, has_3_2 = false;
    for (CK_ULONG i = 0; i < n; i++) {
        if (strcmp((const char *)list[i].pInterfaceName, "PKCS 11") != 0)
            continue;
        has_2_40 = has_2_40 || list[i].pFunctionList == p11;
        has_3_0 = has_3_0 || list[i].pFunctionList == p11_3;
        has_3_2 = has_3_2 || list[i].pFunctionList == p11_32;
        /* Fork-safe means that sessions and logins go on in the child (section 3.4, CK_INTERFACE);
         * here a child begins with C_Initialize. */
        assert_int_equal(list[i].flags & CKF_INTERFACE_FORK_SAFE, 0);
    }
    assert_true(has_2_40 && has_3_0 && has_3_2);
}

static CK_RV get(const char *name, CK_VERSION *version, CK_FLAGS flags, CK_INTERFACE **ret)
{
    return p11_3->C_GetInterface((CK_UTF8CHAR_PTR)name, version, ret, flags);
}

static void expect_list(const char *name, CK_VERSION *version, const void *list, CK_VERSION is)
{
    CK_INTERFACE *interface;
    assert_ok(get(name, version, 0, &interface));
    assert_string_equal((const char *)interface->pInterfaceName, "PKCS 11");
    assert_ptr_equal(interface->pFunctionList, list);
    const CK_VERSION *has = interface->pFunctionList;
    assert_int_equal(has->major, is.major);
    assert_int_equal(has->minor, is.minor);
}

static void by_name_and_version(void **state)
{
    (void)state;
    CK_INTERFACE *interface;
    CK_VERSION v240 = {2, 40}, v30 = {3, 0}, v32 = {3, 2}, v31 = {3, 1}, v99 = {9, 9};
    expect_list(NULL, NULL, p11_32, v32); /* the default one: the newest */
    expect_list("PKCS 11", NULL, p11_32, v32);
    expect_list("PKCS 11", &v32, p11_32, v32);
    expect_list("PKCS 11", &v30, p11_3, v30);
    expect_list(NULL, &v30, p11_3, v30);
    expect_list("PKCS 11", &v240, p11, v240);
    assert_rv(CKR_ARGUMENTS_BAD, get("PKCS 11", NULL, CKF_INTERFACE_FORK_SAFE, &interface));
    assert_rv(CKR_ARGUMENTS_BAD, get("PKCS 11", &v31, 0, &interface)); /* 3.1 adds no list */
    assert_rv(CKR_ARGUMENTS_BAD, get("PKCS 11", &v99, 0, &interface));
    assert_rv(CKR_ARGUMENTS_BAD, get("PKCS 12", NULL, 0, &interface));
    assert_rv(CKR_ARGUMENTS_BAD, get("PKCS 11", NULL, 0x1000, &interface)); /* unknown flag */
    assert_rv(CKR_ARGUMENTS_BAD, get("PKCS 11", NULL, 0, NULL));
}

/* The version of a list should match the cryptokiVersion of CK_INFO (CK_FUNCTION_LIST_3_2). */
static void each_list_tells_its_version(void **state)
{
    (void)state;
    const struct {
        CK_C_GetInfo get_info;
        CK_VERSION version;
    } rows[] = {{p11->C_GetInfo, p11->version},
                {p11_3->C_GetInfo, p11_3->version},
                {p11_32->C_GetInfo, p11_32->version}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        CK_INFO info;
        assert_ok(rows[i].get_info(&info));
        assert_int_equal(info.cryptokiVersion.major, rows[i].version.major);
        assert_int_equal(info.cryptokiVersion.minor, rows[i].version.minor);
    }
}

/* One session through every list: they are the same functions. */
static void lists_share_functions(void **state)
{
    (void)state;
    for (size_t i = offsetof(CK_FUNCTION_LIST, C_GetFunctionList); i < sizeof *p11;
         i += sizeof(void *)) {
        assert_memory_equal((const char *)p11 + i, (const char *)p11_3 + i, sizeof(void *));
        assert_memory_equal((const char *)p11 + i, (const char *)p11_32 + i, sizeof(void *));
    }
    for (size_t i = offsetof(CK_FUNCTION_LIST_3_0, C_GetInterfaceList); i < sizeof *p11_3;
         i += sizeof(void *))
        assert_memory_equal((const char *)p11_3 + i, (const char *)p11_32 + i, sizeof(void *));
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

/* ARCHITECTURE.md names them, with the reason: there are no asynchronous sessions. */
static void not_supported(void **state)
{
    (void)state;
    CK_BYTE out[64];
    CK_ULONG n;
    CK_UTF8CHAR function[] = "C_Sign";
    CK_ASYNC_DATA async = {0};
    assert_rv(CKR_FUNCTION_NOT_SUPPORTED, p11_32->C_AsyncComplete(fx.session, function, &async));
    assert_rv(CKR_FUNCTION_NOT_SUPPORTED, p11_32->C_AsyncGetID(fx.session, function, &n));
    assert_rv(CKR_FUNCTION_NOT_SUPPORTED,
              p11_32->C_AsyncJoin(fx.session, function, 1, out, sizeof out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_null_function),
        cmocka_unit_test(interface_list),
        cmocka_unit_test(by_name_and_version),
        cmocka_unit_test_setup_teardown(each_list_tells_its_version, test_public, test_end),
        cmocka_unit_test(lists_share_functions),
        cmocka_unit_test(foreign_names),
        cmocka_unit_test_setup_teardown(not_supported, test_public, test_end),
    };
    return cmocka_run_group_tests(tests, group_token, group_end);
}
