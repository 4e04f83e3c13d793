/* Session management: PKCS#11 3.0 section 5.6. */
#include "keys.h"

static CK_STATE state_of(CK_SESSION_HANDLE session)
{
    CK_SESSION_INFO info;
    memset(&info, 0xA5, sizeof info);
    assert_ok(p11->C_GetSessionInfo(session, &info));
    assert_int_equal(info.slotID, fx.slot);
    return info.state;
}

static void open_and_close(void **state)
{
    (void)state;
    CK_SESSION_HANDLE a = open_session(fx.slot, 0), b = open_session(fx.slot, CKF_RW_SESSION);
    assert_true(a != b);
    assert_int_equal(state_of(a), CKS_RO_PUBLIC_SESSION);
    assert_int_equal(state_of(b), CKS_RW_PUBLIC_SESSION);
    CK_SESSION_INFO info;
    assert_ok(p11->C_GetSessionInfo(b, &info));
    assert_int_equal(info.flags, CKF_SERIAL_SESSION | CKF_RW_SESSION);
    assert_ok(p11->C_CloseSession(a));
    assert_rv(CKR_SESSION_HANDLE_INVALID, p11->C_CloseSession(a));
    assert_rv(CKR_SESSION_HANDLE_INVALID, p11->C_GetSessionInfo(a, &info));
    assert_ok(p11->C_GetSessionInfo(b, &info));
}

static void open_arguments(void **state)
{
    (void)state;
    CK_SESSION_HANDLE session;
    assert_rv(CKR_SESSION_PARALLEL_NOT_SUPPORTED,
              p11->C_OpenSession(fx.slot, CKF_RW_SESSION, NULL, NULL, &session));
    assert_rv(CKR_ARGUMENTS_BAD, p11->C_OpenSession(fx.slot, CKF_SERIAL_SESSION, NULL, NULL, NULL));
    assert_rv(CKR_SLOT_ID_INVALID, p11->C_OpenSession(CK_UNAVAILABLE_INFORMATION,
                                                      CKF_SERIAL_SESSION, NULL, NULL, &session));
    assert_rv_either(CKR_TOKEN_NOT_PRESENT, CKR_TOKEN_NOT_RECOGNIZED,
                     p11->C_OpenSession(blank_slot(), CKF_SERIAL_SESSION, NULL, NULL, &session));
    assert_rv(CKR_ARGUMENTS_BAD, p11->C_GetSessionInfo(open_session(fx.slot, 0), NULL));
}

static void close_all(void **state)
{
    (void)state;
    CK_SESSION_HANDLE sessions[100];
    for (size_t i = 0; i < COUNT(sessions); i++)
        sessions[i] = open_session(fx.slot, i % 2 == 0 ? CKF_RW_SESSION : 0);
    assert_ok(login(sessions[0], CKU_USER, USER_PIN));
    assert_ok(p11->C_CloseAllSessions(fx.slot));
    for (size_t i = 0; i < COUNT(sessions); i++)
        assert_rv(CKR_SESSION_HANDLE_INVALID, p11->C_CloseSession(sessions[i]));
    assert_rv(CKR_SLOT_ID_INVALID, p11->C_CloseAllSessions(CK_UNAVAILABLE_INFORMATION));
    /* Section 5.6.2: with the last session the login goes. */
    assert_int_equal(state_of(open_session(fx.slot, 0)), CKS_RO_PUBLIC_SESSION);
}

/* Login is the token's: every session changes state, and later ones are born logged in. */
static void login_reaches_all_sessions(void **state)
{
    (void)state;
    CK_SESSION_HANDLE ro = open_session(fx.slot, 0), rw = open_session(fx.slot, CKF_RW_SESSION);
    assert_ok(login(ro, CKU_USER, USER_PIN));
    assert_int_equal(state_of(ro), CKS_RO_USER_FUNCTIONS);
    assert_int_equal(state_of(rw), CKS_RW_USER_FUNCTIONS);
    assert_int_equal(state_of(open_session(fx.slot, 0)), CKS_RO_USER_FUNCTIONS);
    assert_ok(p11->C_CloseSession(ro));
    assert_int_equal(state_of(rw), CKS_RW_USER_FUNCTIONS);
    assert_ok(p11->C_Logout(rw));
    assert_int_equal(state_of(rw), CKS_RW_PUBLIC_SESSION);
}

static void so_sessions(void **state)
{
    (void)state;
    CK_SESSION_HANDLE ro = open_session(fx.slot, 0), rw = open_session(fx.slot, CKF_RW_SESSION);
    assert_rv(CKR_SESSION_READ_ONLY_EXISTS, login(rw, CKU_SO, SO_PIN));
    assert_ok(p11->C_CloseSession(ro));
    assert_ok(login(rw, CKU_SO, SO_PIN));
    assert_int_equal(state_of(rw), CKS_RW_SO_FUNCTIONS);
    assert_rv(CKR_SESSION_READ_WRITE_SO_EXISTS,
              p11->C_OpenSession(fx.slot, CKF_SERIAL_SESSION, NULL, NULL, &ro));
    assert_int_equal(state_of(open_session(fx.slot, CKF_RW_SESSION)), CKS_RW_SO_FUNCTIONS);
}

/* Session objects go with the session that made them, and are seen by the others meanwhile. */
static void session_objects_end_with_it(void **state)
{
    (void)state;
    CK_SESSION_HANDLE maker = open_session(fx.slot, CKF_RW_SESSION);
    CK_SESSION_HANDLE other = open_session(fx.slot, CKF_RW_SESSION);
    assert_ok(login(maker, CKU_USER, USER_PIN));
    generate_ec(maker, NID_X9_62_prime256v1, "fleeting", false);
    CK_OBJECT_HANDLE seen = find_object(other, CKO_PRIVATE_KEY, "fleeting");
    assert_true(seen != CK_INVALID_HANDLE);
    assert_ok(p11->C_CloseSession(maker));
    assert_int_equal(find_object(other, CKO_PRIVATE_KEY, "fleeting"), CK_INVALID_HANDLE);
    assert_rv(CKR_KEY_HANDLE_INVALID, p11->C_SignInit(other, MECHANISM(CKM_ECDSA), seen));
}

/* Section 5.20: legacy functions that "simply return" it, whatever the handle. */
static void parallel_functions(void **state)
{
    (void)state;
    CK_SESSION_HANDLE session = open_session(fx.slot, 0);
    assert_rv(CKR_FUNCTION_NOT_PARALLEL, p11->C_GetFunctionStatus(session));
    assert_rv(CKR_FUNCTION_NOT_PARALLEL, p11->C_CancelFunction(session));
    assert_rv(CKR_FUNCTION_NOT_PARALLEL, p11->C_GetFunctionStatus(CK_INVALID_HANDLE));
    assert_rv(CKR_FUNCTION_NOT_PARALLEL, p11->C_CancelFunction(CK_INVALID_HANDLE));
}

/* Operations are the session's own: four at once in one session, and no mixing between two. */
static void operations_are_separate(void **state)
{
    (void)state;
    CK_SESSION_HANDLE a = open_session(fx.slot, 0), b = open_session(fx.slot, 0);
    struct blob digest_a = {.n = 64}, digest_b = {.n = 64};
    assert_ok(p11->C_DigestInit(a, MECHANISM(CKM_SHA256)));
    assert_ok(p11->C_DigestInit(b, MECHANISM(CKM_SHA512)));
    assert_ok(p11->C_FindObjectsInit(a, NULL, 0));
    assert_ok(p11->C_DigestUpdate(a, (CK_BYTE_PTR) "a", 1));
    assert_ok(p11->C_DigestUpdate(b, (CK_BYTE_PTR) "b", 1));
    assert_ok(p11->C_FindObjectsFinal(a));
    assert_ok(p11->C_DigestFinal(a, digest_a.p, &digest_a.n));
    assert_ok(p11->C_DigestFinal(b, digest_b.p, &digest_b.n));
    struct blob expected = openssl_digest("SHA256", "a", 1);
    assert_blob(digest_a, expected.p, expected.n);
    expected = openssl_digest("SHA512", "b", 1);
    assert_blob(digest_b, expected.p, expected.n);
}

/* 3.0 section 5.6.7: C_SessionCancel ends what its flags name. */
static void session_cancel(void **state)
{
    (void)state;
    CK_SESSION_HANDLE session = open_session(fx.slot, 0);
    assert_non_null(p11_3);
    assert_ok(p11->C_DigestInit(session, MECHANISM(CKM_SHA256)));
    assert_ok(p11->C_FindObjectsInit(session, NULL, 0));
    assert_ok(p11_3->C_SessionCancel(session, CKF_DIGEST));
    assert_rv(CKR_OPERATION_NOT_INITIALIZED, p11->C_DigestUpdate(session, (CK_BYTE_PTR) "a", 1));
    assert_ok(p11->C_FindObjectsFinal(session));
    assert_ok(p11->C_FindObjectsInit(session, NULL, 0));
    assert_ok(p11_3->C_SessionCancel(session, CKF_FIND_OBJECTS));
    assert_rv(CKR_OPERATION_NOT_INITIALIZED, p11->C_FindObjectsFinal(session));
    assert_ok(p11_3->C_SessionCancel(session, CKF_SIGN)); /* nothing to cancel is no error */
    assert_rv(CKR_SESSION_HANDLE_INVALID, p11_3->C_SessionCancel(0, CKF_SIGN));
}

/* A login, a handle and C_CloseAllSessions are one token's. */
static void tokens_are_separate(void **state)
{
    (void)state;
    CK_SLOT_ID second = make_token("second", SO_PIN, USER_PIN);
    CK_SESSION_HANDLE here = open_session(fx.slot, CKF_RW_SESSION);
    CK_SESSION_HANDLE there = open_session(second, CKF_RW_SESSION);
    CK_SESSION_INFO info;
    CK_ULONG size;
    assert_ok(login(here, CKU_USER, USER_PIN));
    assert_ok(p11->C_GetSessionInfo(there, &info));
    assert_int_equal(info.state, CKS_RW_PUBLIC_SESSION);
    assert_ok(login(there, CKU_USER, USER_PIN));
    for (int token = 0; token < 2; token++) {
        struct key_pair keys = generate_ec(here, NID_X9_62_prime256v1, "here", token);
        assert_rv(CKR_OBJECT_HANDLE_INVALID, p11->C_GetObjectSize(there, keys.private, &size));
        assert_rv(CKR_OBJECT_HANDLE_INVALID, p11->C_DestroyObject(there, keys.public));
        assert_rv(CKR_KEY_HANDLE_INVALID,
                  p11->C_SignInit(there, MECHANISM(CKM_ECDSA), keys.private));
        assert_ok(p11->C_DestroyObject(here, keys.public));
        assert_ok(p11->C_DestroyObject(here, keys.private));
    }
    assert_int_equal(count_objects(there, NULL, 0), 0);
    assert_ok(p11->C_CloseAllSessions(second));
    assert_int_equal(state_of(here), CKS_RW_USER_FUNCTIONS);
}

/* An AES key for all that follows, of the session. */
static CK_OBJECT_HANDLE session_key(CK_SESSION_HANDLE session)
{
    CK_OBJECT_HANDLE key;
    CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_VALUE_LEN, 16), ATTR_BOOL(CKA_EXTRACTABLE, true),
                               ATTR_BOOL(CKA_WRAP, true), ATTR_BOOL(CKA_UNWRAP, true),
                               ATTR_BOOL(CKA_DERIVE, true)};
    assert_ok(
        p11->C_GenerateKey(session, MECHANISM(CKM_AES_KEY_GEN), template, COUNT(template), &key));
    return key;
}

/* 3.0, 5.18: C_UnwrapKey and C_DeriveKey make keys, too: in a read-only session its own alone. */
static void read_only_makes_session_keys(void **state)
{
    (void)state;
    CK_SESSION_HANDLE ro = open_session(fx.slot, 0);
    assert_ok(login(ro, CKU_USER, USER_PIN));
    CK_OBJECT_HANDLE key = session_key(ro), made;
    CK_BYTE wrapped[24], data[16] = {0};
    CK_ULONG n = sizeof wrapped;
    CK_KEY_DERIVATION_STRING_DATA string = {data, sizeof data};
    CK_MECHANISM *wrap = MECHANISM(CKM_AES_KEY_WRAP);
    CK_MECHANISM *derive = MECHANISM_WITH(CKM_AES_ECB_ENCRYPT_DATA, string);
    assert_ok(p11->C_WrapKey(ro, wrap, key, key, wrapped, &n));
    for (int token = 0; token < 2; token++) {
        CK_RV rv = token ? CKR_SESSION_READ_ONLY : CKR_OK;
        CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_CLASS, CKO_SECRET_KEY),
                                   ATTR_ULONG(CKA_KEY_TYPE, CKK_AES), ATTR_BOOL(CKA_TOKEN, token),
                                   ATTR_ULONG(CKA_VALUE_LEN, 16)};
        assert_rv(rv, p11->C_UnwrapKey(ro, wrap, key, wrapped, n, template, 3, &made));
        assert_rv(rv, p11->C_DeriveKey(ro, derive, key, template, 4, &made));
    }
    CK_ATTRIBUTE stored = ATTR_BOOL(CKA_TOKEN, true);
    assert_int_equal(count_objects(ro, &stored, 1), 0);
}

#define SESSION_TEST(f) cmocka_unit_test_setup_teardown(f, test_initialized, test_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SESSION_TEST(open_and_close),      SESSION_TEST(open_arguments),
        SESSION_TEST(close_all),           SESSION_TEST(login_reaches_all_sessions),
        SESSION_TEST(so_sessions),         SESSION_TEST(session_objects_end_with_it),
        SESSION_TEST(parallel_functions),  SESSION_TEST(operations_are_separate),
        SESSION_TEST(session_cancel),      SESSION_TEST(read_only_makes_session_keys),
        SESSION_TEST(tokens_are_separate),
    };
    return cmocka_run_group_tests(tests, group_token, group_end);
}
