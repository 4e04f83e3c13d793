/* Wrong PINs and the TPM's dictionary-attack lockout: PKCS#11 3.0 sections 3.2 (flags), 5.6.8. */
#include "keys.h"

#define MAX_TRIES 5

static int test_lockout(void **state)
{
    swtpm_reset_lockout(&fx.tpm);
    swtpm_set_lockout(&fx.tpm, MAX_TRIES, 1000, 1000);
    return test_initialized(state);
}

static int test_unlock(void **state)
{
    swtpm_reset_lockout(&fx.tpm);
    return test_end(state);
}

static CK_FLAGS flags(void)
{
    CK_TOKEN_INFO info;
    assert_ok(p11->C_GetTokenInfo(fx.slot, &info));
    return info.flags & (CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_FINAL_TRY | CKF_USER_PIN_LOCKED |
                         CKF_SO_PIN_COUNT_LOW | CKF_SO_PIN_FINAL_TRY | CKF_SO_PIN_LOCKED);
}

static void wrong(CK_SESSION_HANDLE session, int times)
{
    for (int i = 0; i < times; i++)
        assert_rv(CKR_PIN_INCORRECT, login(session, CKU_USER, "wrong pin"));
}

static void flags_follow_the_counter(void **state)
{
    (void)state;
    CK_SESSION_HANDLE session = open_session(fx.slot, 0);
    assert_int_equal(flags(), 0);
    wrong(session, 1);
    assert_int_equal(flags(), CKF_USER_PIN_COUNT_LOW | CKF_SO_PIN_COUNT_LOW);
    wrong(session, MAX_TRIES - 2);
    const CK_FLAGS final = CKF_USER_PIN_FINAL_TRY | CKF_SO_PIN_FINAL_TRY;
    assert_int_equal(flags() & final, final);
    assert_int_equal(flags() & (CKF_USER_PIN_LOCKED | CKF_SO_PIN_LOCKED), 0);
    wrong(session, 1);
    const CK_FLAGS locked = CKF_USER_PIN_LOCKED | CKF_SO_PIN_LOCKED;
    assert_int_equal(flags() & locked, locked);
}

/* CKR_PIN_INCORRECT for a wrong PIN and nothing else, CKR_PIN_LOCKED for a lockout and nothing
 * else. */
static void locked_is_not_incorrect(void **state)
{
    (void)state;
    CK_SESSION_HANDLE session = open_session(fx.slot, CKF_RW_SESSION);
    wrong(session, MAX_TRIES);
    assert_rv(CKR_PIN_LOCKED, login(session, CKU_USER, USER_PIN)); /* the right one too */
    assert_rv(CKR_PIN_LOCKED, login(session, CKU_USER, "wrong pin"));
    assert_rv(CKR_PIN_LOCKED, login(session, CKU_SO, SO_PIN));
    assert_rv(CKR_PIN_LOCKED, p11->C_SetPIN(session, PIN(USER_PIN), PIN("new pin")));
    swtpm_reset_lockout(&fx.tpm);
    assert_int_equal(flags(), 0);
    assert_ok(login(session, CKU_USER, USER_PIN));
}

/* Somebody's typing must not stop a service: keys are outside the protection. */
static void logged_in_process_goes_on(void **state)
{
    (void)state;
    CK_SESSION_HANDLE session = open_session(fx.slot, CKF_RW_SESSION);
    assert_ok(login(session, CKU_USER, USER_PIN));
    struct key_pair ec = keys_of(session, "p256"), rsa = keys_of(session, "rsa2048");
    for (int i = 0; i < MAX_TRIES; i++)
        assert_rv(CKR_PIN_INCORRECT, p11->C_SetPIN(session, PIN("wrong pin"), PIN("new pin")));
    assert_rv(CKR_PIN_LOCKED, p11->C_SetPIN(session, PIN("wrong pin"), PIN("new pin")));
    for (int i = 0; i < 3; i++) {
        sign(session, MECHANISM(CKM_ECDSA), ec.private, "0123456789", 10);
        sign(session, MECHANISM(CKM_RSA_PKCS), rsa.private, "0123456789", 10);
    }
    generate_ec(session, NID_X9_62_prime256v1, "during a lockout", true);
}

/* No use with the right PIN adds to the counter, whatever goes on around it. */
static void right_pin_is_never_counted(void **state)
{
    for (int i = 0; i < 5; i++) {
        CK_SESSION_HANDLE session = open_session(fx.slot, CKF_RW_SESSION);
        assert_ok(login(session, CKU_USER, USER_PIN));
        assert_ok(p11->C_SetPIN(session, PIN(USER_PIN), PIN("new pin")));
        assert_ok(p11->C_SetPIN(session, PIN("new pin"), PIN(USER_PIN)));
        assert_ok(p11->C_Logout(session));
        assert_ok(login(session, CKU_SO, SO_PIN));
        assert_ok(p11->C_InitPIN(session, PIN(USER_PIN)));
        assert_ok(p11->C_Logout(session));
        assert_ok(login(session, CKU_USER, USER_PIN));
        swtpm_reset(&fx.tpm); /* a reboot under the process */
        struct key_pair keys = keys_of(session, "p256");
        sign(session, MECHANISM(CKM_ECDSA), keys.private, "0123456789", 10);
        assert_ok(p11->C_Logout(session));
        assert_ok(login(session, CKU_USER, USER_PIN));
        assert_ok(p11->C_Finalize(NULL));
        test_initialized(state);
    }
    assert_int_equal(swtpm_lockout_counter(&fx.tpm), 0);
}

/* One wrong PIN costs one try, not two. */
static void wrong_pin_counts_once(void **state)
{
    (void)state;
    CK_SESSION_HANDLE session = open_session(fx.slot, CKF_RW_SESSION);
    for (uint32_t i = 1; i < MAX_TRIES; i++) {
        wrong(session, 1);
        assert_int_equal(swtpm_lockout_counter(&fx.tpm), i);
    }
}

/* C_InitToken over a token asks the SO PIN, and a wrong one is counted as well. */
static void init_token_counts(void **state)
{
    (void)state;
    CK_UTF8CHAR label[32];
    pad_label(label, LABEL);
    assert_rv(CKR_PIN_INCORRECT, p11->C_InitToken(fx.slot, PIN("wrong pin"), label));
    assert_int_equal(swtpm_lockout_counter(&fx.tpm), 1);
}

/* Section 4.9: a context-specific login that finds the PIN locked logs the user out as well. */
static void context_login_logs_out(void **state)
{
    (void)state;
    CK_SESSION_INFO info;
    struct key_pair keys;
    struct blob curve = ec_params(NID_X9_62_prime256v1);
    CK_ATTRIBUTE public[] = {ATTR_MEM(CKA_EC_PARAMS, curve.p, curve.n)};
    CK_ATTRIBUTE private[] = {ATTR_BOOL(CKA_ALWAYS_AUTHENTICATE, true),
                              ATTR_BOOL(CKA_PRIVATE, true)};
    CK_SESSION_HANDLE session = open_session(fx.slot, 0);
    assert_ok(login(session, CKU_USER, USER_PIN));
    assert_ok(p11->C_GenerateKeyPair(session, MECHANISM(CKM_EC_KEY_PAIR_GEN), public, COUNT(public),
                                     private, COUNT(private), &keys.public, &keys.private));
    assert_ok(p11->C_SignInit(session, MECHANISM(CKM_ECDSA), keys.private));
    for (int i = 0; i < MAX_TRIES; i++)
        assert_rv(CKR_PIN_INCORRECT, login(session, CKU_CONTEXT_SPECIFIC, "wrong pin"));
    assert_ok(p11->C_GetSessionInfo(session, &info));
    assert_int_equal(info.state, CKS_RO_USER_FUNCTIONS);
    assert_rv(CKR_PIN_LOCKED, login(session, CKU_CONTEXT_SPECIFIC, USER_PIN));
    assert_ok(p11->C_GetSessionInfo(session, &info));
    assert_int_equal(info.state, CKS_RO_PUBLIC_SESSION);
    assert_int_equal(find_object(session, CKO_PRIVATE_KEY, "p256"), CK_INVALID_HANDLE);
}

#define LOCKOUT_TEST(f) cmocka_unit_test_setup_teardown(f, test_lockout, test_unlock)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOCKOUT_TEST(flags_follow_the_counter),  LOCKOUT_TEST(locked_is_not_incorrect),
        LOCKOUT_TEST(logged_in_process_goes_on), LOCKOUT_TEST(right_pin_is_never_counted),
        LOCKOUT_TEST(wrong_pin_counts_once),     LOCKOUT_TEST(init_token_counts),
        LOCKOUT_TEST(context_login_logs_out),
    };
    return cmocka_run_group_tests(tests, group_keys, group_end);
}
