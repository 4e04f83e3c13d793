/* C_InitToken over a token: PKCS#11 3.0 section 5.5.7. Its objects are destroyed for good, here and
 * in every other process. */
#include "keys.h"

#include <latchkey/admin.h>
#include <stdio.h>

static void init_token(CK_SLOT_ID slot, const char *label)
{
    CK_UTF8CHAR padded[32];
    pad_label(padded, label);
    assert_ok(p11->C_InitToken(slot, PIN(SO_PIN), padded));
}

static void set_user_pin(void)
{
    CK_SESSION_HANDLE session = open_session(fx.slot, CKF_RW_SESSION);
    assert_ok(login(session, CKU_SO, SO_PIN));
    assert_ok(p11->C_InitPIN(session, PIN(USER_PIN)));
    assert_ok(p11->C_CloseSession(session));
}

static CK_RV peer_login(void)
{
    CK_RV rv = p11->C_Initialize(NULL);
    if (rv != CKR_OK)
        return rv;
    fx.slot = slot_of(LABEL);
    fx.session = open_session(fx.slot, 0);
    return login(fx.session, CKU_USER, USER_PIN);
}

static CK_RV peer_use_session(void)
{
    CK_SESSION_INFO info;
    CK_RV rv = p11->C_GetSessionInfo(fx.session, &info);
    return rv != CKR_OK ? rv : p11->C_FindObjectsInit(fx.session, NULL, 0);
}

static CK_RV peer_start_over(void)
{
    CK_RV rv = p11->C_CloseAllSessions(fx.slot);
    if (rv != CKR_OK)
        return rv;
    rv = p11->C_OpenSession(fx.slot, CKF_SERIAL_SESSION, NULL, NULL, &fx.session);
    return rv != CKR_OK ? rv : login(fx.session, CKU_USER, USER_PIN);
}

static CK_RV peer_init_token(void)
{
    CK_UTF8CHAR label[32];
    pad_label(label, LABEL);
    CK_RV rv = p11->C_Initialize(NULL);
    return rv != CKR_OK ? rv : p11->C_InitToken(slot_of(LABEL), PIN(SO_PIN), label);
}

static LATCHKEY_ADMIN *admin(void)
{
    CK_INTERFACE *interface;
    assert_ok(p11_3->C_GetInterface((CK_UTF8CHAR_PTR)LATCHKEY_INTERFACE, NULL, &interface, 0));
    return interface->pFunctionList;
}

static CK_RV peer_destroy_token(void)
{
    CK_RV rv = p11->C_Initialize(NULL);
    return rv != CKR_OK ? rv : admin()->TokenDestroy(slot_of("short-lived"), PIN(SO_PIN), CK_FALSE);
}

static const peer_step steps[] = {peer_login, peer_use_session, peer_start_over, peer_init_token,
                                  peer_destroy_token};

static void refusals(void **state)
{
    (void)state;
    CK_UTF8CHAR label[32];
    pad_label(label, LABEL);
    assert_rv(CKR_PIN_INCORRECT, p11->C_InitToken(fx.slot, PIN("wrong pin"), label));
    assert_rv(CKR_PIN_INCORRECT, p11->C_InitToken(fx.slot, PIN(USER_PIN), label));
    CK_SESSION_HANDLE session = open_session(fx.slot, 0);
    assert_rv(CKR_SESSION_EXISTS, p11->C_InitToken(fx.slot, PIN(SO_PIN), label));
    assert_ok(login(session, CKU_USER, USER_PIN)); /* nothing has happened */
    assert_true(find_object(session, CKO_PRIVATE_KEY, "p256") != CK_INVALID_HANDLE);
}

static void objects_are_gone(void **state)
{
    CK_TOKEN_INFO before, after;
    unsigned indices = swtpm_handles(&fx.tpm, 0x01);
    assert_ok(p11->C_GetTokenInfo(fx.slot, &before));
    init_token(fx.slot, "renamed");
    assert_int_equal(slot_of("renamed"), fx.slot); /* the slot keeps its id */
    assert_ok(p11->C_GetTokenInfo(fx.slot, &after));
    assert_false(after.flags & CKF_USER_PIN_INITIALIZED);
    CK_SESSION_HANDLE session = open_session(fx.slot, CKF_RW_SESSION);
    assert_int_equal(count_objects(session, NULL, 0), 0);
    assert_rv(CKR_USER_PIN_NOT_INITIALIZED, login(session, CKU_USER, USER_PIN));
    assert_ok(p11->C_CloseSession(session));
    set_user_pin();
    assert_ok(p11->C_Finalize(NULL));
    test_user(state);
    assert_int_equal(count_objects(fx.session, NULL, 0), 0);
    generate_ec(fx.session, NID_X9_62_prime256v1, "fresh", true);
    assert_ok(p11->C_CloseSession(fx.session));
    init_token(fx.slot, LABEL);
    set_user_pin();
    assert_int_equal(swtpm_handles(&fx.tpm, 0x01), indices); /* the old indices are undefined */
}

/* Another process's sessions belong to the token that was: they are told so, and can begin anew. */
static void other_processes_are_told(void **state)
{
    (void)state;
    struct peer p;
    peer_start(&p);
    assert_ok(peer_call(&p, peer_login));
    init_token(fx.slot, LABEL);
    set_user_pin();
    assert_rv(CKR_DEVICE_REMOVED, peer_call(&p, peer_use_session));
    assert_ok(peer_call(&p, peer_start_over));
    peer_stop(&p);
}

static void in_another_process(peer_step step)
{
    struct peer p;
    peer_start(&p);
    assert_ok(peer_call(&p, step));
    peer_stop(&p);
}

/* Another process makes the token anew. noticed: a session of ours is open and learns it. */
static void made_anew_elsewhere(bool noticed)
{
    CK_SESSION_INFO info;
    CK_SESSION_HANDLE session = open_session(fx.slot, CKF_RW_SESSION);
    assert_ok(login(session, CKU_USER, USER_PIN));
    if (!noticed)
        assert_ok(p11->C_CloseSession(session));
    in_another_process(peer_init_token);
    if (noticed) {
        assert_rv(CKR_DEVICE_REMOVED, p11->C_GetSessionInfo(session, &info));
        assert_ok(p11->C_CloseSession(session));
    }
}

static CK_RV status_works(void)
{
    LATCHKEY_TOKEN_STATUS status;
    return admin()->TokenStatus(fx.slot, &status);
}

static CK_RV init_works(void)
{
    CK_UTF8CHAR label[32];
    pad_label(label, LABEL);
    return p11->C_InitToken(fx.slot, PIN(SO_PIN), label);
}

static CK_RV session_works(void)
{
    CK_SESSION_HANDLE session;
    CK_RV rv = p11->C_OpenSession(fx.slot, CKF_SERIAL_SESSION, NULL, NULL, &session);
    return rv != CKR_OK ? rv : p11->C_CloseSession(session);
}

/* Whoever has no session has lost none: the token is there as it is now, at the first call. */
static void without_sessions_of_ours(void **state)
{
    (void)state;
    static CK_RV (*const calls[])(void) = {status_works, init_works, session_works};
    for (size_t i = 0; i < COUNT(calls); i++)
        for (int noticed = 0; noticed < 2; noticed++) {
            made_anew_elsewhere(noticed);
            assert_ok(calls[i]());
            set_user_pin();
        }
}

/* C_CloseAllSessions closes them whatever became of the token, whose slot is no more. */
static void deleted_elsewhere(void **state)
{
    (void)state;
    CK_SESSION_INFO info;
    CK_SLOT_ID slot = make_token("short-lived", SO_PIN, USER_PIN);
    CK_SESSION_HANDLE a = open_session(slot, CKF_RW_SESSION), b = open_session(slot, 0);
    CK_SESSION_HANDLE other = open_session(fx.slot, 0);
    in_another_process(peer_destroy_token);
    assert_rv(CKR_DEVICE_REMOVED, p11->C_GetSessionInfo(a, &info));
    assert_rv_either(CKR_OK, CKR_SLOT_ID_INVALID, p11->C_CloseAllSessions(slot));
    assert_rv(CKR_SESSION_HANDLE_INVALID, p11->C_GetSessionInfo(a, &info));
    assert_rv(CKR_SESSION_HANDLE_INVALID, p11->C_CloseSession(b));
    assert_ok(p11->C_GetSessionInfo(other, &info));
}

static void copy_store(const char *from, const char *to)
{
    char command[256];
    snprintf(command, sizeof command, "rm -rf '%s' && cp -a '%s' '%s'", to, from, to);
    assert_int_equal(system(command), 0);
}

/* A copy of the old store does not bring the old keys back: the TPM no longer holds their secret.
 */
static void old_copy_is_dead(void **state)
{
    char copy[80], parameters[120];
    snprintf(copy, sizeof copy, "%s-copy", fx.store);
    test_user(state);
    generate_ec(fx.session, NID_X9_62_prime256v1, "old", true);
    assert_ok(p11->C_Finalize(NULL));
    copy_store(fx.store, copy);
    test_initialized(state);
    init_token(fx.slot, LABEL);
    set_user_pin();
    assert_ok(p11->C_Finalize(NULL));
    snprintf(parameters, sizeof parameters, "store='%s'", copy);
    assert_ok(initialize(parameters));
    CK_SESSION_HANDLE session;
    CK_RV rv = p11->C_OpenSession(fx.slot, CKF_SERIAL_SESSION, NULL, NULL, &session);
    if (rv == CKR_OK)
        rv = login(session, CKU_USER, USER_PIN);
    assert_rv_either(CKR_DEVICE_ERROR, CKR_TOKEN_NOT_RECOGNIZED, rv);
}

/* Killed at any point, C_InitToken leaves a token that is the old one or the new one. */
static void killed_half_way(void **state)
{
    unsigned indices = swtpm_handles(&fx.tpm, 0x01);
    for (unsigned ms = 0; ms < 60; ms += 4) {
        struct peer p;
        peer_start(&p);
        peer_send(&p, peer_init_token);
        sleep_ms(ms);
        peer_kill(&p);
        test_initialized(state);
        CK_SESSION_HANDLE session = open_session(fx.slot, CKF_RW_SESSION);
        assert_ok(login(session, CKU_SO, SO_PIN));
        assert_ok(p11->C_InitPIN(session, PIN(USER_PIN)));
        assert_ok(p11->C_Logout(session));
        assert_ok(login(session, CKU_USER, USER_PIN));
        generate_ec(session, NID_X9_62_prime256v1, "after the kill", true);
        assert_ok(p11->C_Finalize(NULL));
    }
    age_intents();
    test_initialized(state);
    make_token("another", SO_PIN, USER_PIN); /* C_InitToken mends what others left */
    assert_int_equal(swtpm_handles(&fx.tpm, 0x01), indices + 2);
}

#define TOKEN_TEST(f) cmocka_unit_test_setup_teardown(f, test_initialized, test_end)

int main(int argc, char **argv)
{
    peer_serve(argc, argv, steps, COUNT(steps));
    const struct CMUnitTest tests[] = {
        TOKEN_TEST(refusals),
        TOKEN_TEST(objects_are_gone),
        TOKEN_TEST(other_processes_are_told),
        cmocka_unit_test_teardown(old_copy_is_dead, test_end),
        cmocka_unit_test_teardown(killed_half_way, test_end),
        TOKEN_TEST(deleted_elsewhere),
        TOKEN_TEST(without_sessions_of_ours),
    };
    return cmocka_run_group_tests(tests, group_keys, group_end);
}
