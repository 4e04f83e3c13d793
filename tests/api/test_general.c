/* General-purpose functions: PKCS#11 3.0 section 5.4. */
#include "fixture.h"

#include <stdio.h>

static void initialize_once(void **state)
{
    (void)state;
    assert_ok(p11->C_Initialize(NULL));
    assert_rv(CKR_CRYPTOKI_ALREADY_INITIALIZED, p11->C_Initialize(NULL));
    assert_ok(p11->C_Finalize(NULL));
    assert_rv(CKR_CRYPTOKI_NOT_INITIALIZED, p11->C_Finalize(NULL));
}

static void initialize_again_after_finalize(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        CK_ULONG n = 0;
        assert_ok(p11->C_Initialize(NULL));
        assert_ok(p11->C_GetSlotList(CK_FALSE, NULL, &n));
        assert_ok(p11->C_Finalize(NULL));
    }
}

static void finalize_wants_null(void **state)
{
    (void)state;
    assert_ok(p11->C_Initialize(NULL));
    assert_rv(CKR_ARGUMENTS_BAD, p11->C_Finalize(&yes));
    assert_ok(p11->C_Finalize(NULL));
}

static CK_RV no_mutex(void **mutex)
{
    *mutex = &yes;
    return CKR_OK;
}

static CK_RV nothing(void *mutex)
{
    (void)mutex;
    return CKR_OK;
}

/* The four combinations of mutex callbacks and CKF_OS_LOCKING_OK; all or none of the four callbacks
 * have to be there. */
static void initialize_locking(void **state)
{
    (void)state;
    CK_C_INITIALIZE_ARGS args = {0};
    static const CK_FLAGS flags[] = {0, CKF_OS_LOCKING_OK,
                                     CKF_OS_LOCKING_OK | CKF_LIBRARY_CANT_CREATE_OS_THREADS};
    for (size_t i = 0; i < COUNT(flags); i++) {
        args = (CK_C_INITIALIZE_ARGS){.flags = flags[i]};
        assert_ok(p11->C_Initialize(&args));
        assert_ok(p11->C_Finalize(NULL));
        args = (CK_C_INITIALIZE_ARGS){no_mutex, nothing, nothing, nothing, flags[i], NULL};
        assert_rv_either(CKR_OK, CKR_CANT_LOCK, p11->C_Initialize(&args));
        p11->C_Finalize(NULL);
    }
    args = (CK_C_INITIALIZE_ARGS){no_mutex, nothing, NULL, nothing, 0, NULL};
    assert_rv(CKR_ARGUMENTS_BAD, p11->C_Initialize(&args));
    assert_rv(CKR_CRYPTOKI_NOT_INITIALIZED, p11->C_Finalize(NULL));
}

static void initialize_parameters(void **state)
{
    (void)state;
    char parameters[160];
    snprintf(parameters, sizeof parameters, "store='%s/elsewhere' log=error", fx.dir);
    assert_ok(initialize(parameters));
    assert_true(blank_slot() != CK_UNAVAILABLE_INFORMATION);
    assert_ok(p11->C_Finalize(NULL));
    assert_rv(CKR_ARGUMENTS_BAD, initialize("no-such-key=1"));
    assert_rv(CKR_CRYPTOKI_NOT_INITIALIZED, p11->C_Finalize(NULL));
}

static bool blank_padded(const CK_UTF8CHAR *p, size_t n)
{
    return memchr(p, 0, n) == NULL && p[0] != ' ' && p[n - 1] == ' ';
}

static void info(void **state)
{
    (void)state;
    CK_INFO info;
    assert_rv(CKR_CRYPTOKI_NOT_INITIALIZED, p11->C_GetInfo(&info));
    assert_ok(p11->C_Initialize(NULL));
    assert_rv(CKR_ARGUMENTS_BAD, p11->C_GetInfo(NULL));
    memset(&info, 0xA5, sizeof info);
    assert_ok(p11->C_GetInfo(&info));
    assert_true(info.cryptokiVersion.major >= 2);
    assert_true(blank_padded(info.manufacturerID, sizeof info.manufacturerID));
    assert_true(blank_padded(info.libraryDescription, sizeof info.libraryDescription));
    assert_int_equal(info.flags, 0);
    assert_ok(p11->C_Finalize(NULL));
}

static void function_list_before_initialize(void **state)
{
    (void)state;
    CK_FUNCTION_LIST *list = NULL;
    assert_ok(p11->C_GetFunctionList(&list));
    assert_ptr_equal(list, p11);
    assert_rv(CKR_ARGUMENTS_BAD, p11->C_GetFunctionList(NULL));
    assert_int_equal(list->version.major, 2);
    assert_int_equal(list->version.minor, 40);
}

/* Section 5.4.1: until C_Initialize every other function answers CKR_CRYPTOKI_NOT_INITIALIZED. */
static void not_initialized(void **state)
{
    (void)state;
    CK_ULONG n = 0;
    CK_SESSION_HANDLE session;
    CK_OBJECT_HANDLE object;
    CK_BYTE byte = 0;
    CK_MECHANISM_TYPE type;
    CK_RV rvs[] = {
        p11->C_GetSlotList(CK_FALSE, NULL, &n),
        p11->C_GetSlotInfo(0, &(CK_SLOT_INFO){0}),
        p11->C_GetTokenInfo(0, &(CK_TOKEN_INFO){0}),
        p11->C_GetMechanismList(0, &type, &n),
        p11->C_GetMechanismInfo(0, CKM_ECDSA, &(CK_MECHANISM_INFO){0}),
        p11->C_InitToken(0, PIN("1234"), (CK_UTF8CHAR_PTR) "12345678901234567890123456789012"),
        p11->C_WaitForSlotEvent(CKF_DONT_BLOCK, &n, NULL),
        p11->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &session),
        p11->C_CloseSession(1),
        p11->C_CloseAllSessions(0),
        p11->C_GetSessionInfo(1, &(CK_SESSION_INFO){0}),
        p11->C_Login(1, CKU_USER, PIN("1234")),
        p11->C_Logout(1),
        p11->C_InitPIN(1, PIN("1234")),
        p11->C_SetPIN(1, PIN("1234"), PIN("1234")),
        p11->C_CreateObject(1, NULL, 0, &object),
        p11->C_DestroyObject(1, 1),
        p11->C_GetAttributeValue(1, 1, NULL, 0),
        p11->C_FindObjectsInit(1, NULL, 0),
        p11->C_SignInit(1, MECHANISM(CKM_ECDSA), 1),
        p11->C_Sign(1, &byte, 1, &byte, &n),
        p11->C_DigestInit(1, MECHANISM(CKM_SHA256)),
        p11->C_GenerateRandom(1, &byte, 1),
    };
    for (size_t i = 0; i < COUNT(rvs); i++)
        assert_rv(CKR_CRYPTOKI_NOT_INITIALIZED, rvs[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(initialize_once, test_end),
        cmocka_unit_test_teardown(initialize_again_after_finalize, test_end),
        cmocka_unit_test_teardown(finalize_wants_null, test_end),
        cmocka_unit_test_teardown(initialize_locking, test_end),
        cmocka_unit_test_teardown(initialize_parameters, test_end),
        cmocka_unit_test_teardown(info, test_end),
        cmocka_unit_test_teardown(function_list_before_initialize, test_end),
        cmocka_unit_test_teardown(not_initialized, test_end),
    };
    return cmocka_run_group_tests(tests, group_environment, group_end);
}
