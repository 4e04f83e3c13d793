/* Wrong PINs and the TPM's dictionary-attack lockout: PKCS#11 3.0 sections 3.2 (flags), 5.6.8. */
#include "keys.h"

#include <latchkey/admin.h>

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

/* ---- the whole cycle, on each way to give a PIN ---------------------------------------------- */

static struct key_pair careful; /* CKA_ALWAYS_AUTHENTICATE */
static CK_SLOT_ID spare;        /* of a token that may be made anew */

static void in_public(void)
{
    fx.session = open_session(fx.slot, CKF_RW_SESSION);
}

static void as_user(void)
{
    in_public();
    assert_ok(login(fx.session, CKU_USER, USER_PIN));
}

static void as_so(void)
{
    in_public();
    assert_ok(login(fx.session, CKU_SO, SO_PIN));
}

static void in_operation(void)
{
    as_user();
    careful = keys_of(fx.session, "careful");
    assert_ok(p11->C_SignInit(fx.session, MECHANISM(CKM_ECDSA), careful.private));
}

static void without_session(void)
{
}

static CK_RV by_login_user(const char *pin)
{
    return login(fx.session, CKU_USER, pin);
}

static CK_RV by_login_so(const char *pin)
{
    return login(fx.session, CKU_SO, pin);
}

static CK_RV by_login_user_3_0(const char *pin)
{
    return p11_3->C_LoginUser(fx.session, CKU_USER, PIN(pin), NULL, 0);
}

static CK_RV by_login_so_3_0(const char *pin)
{
    return p11_3->C_LoginUser(fx.session, CKU_SO, PIN(pin), NULL, 0);
}

static CK_RV by_context(const char *pin)
{
    return login(fx.session, CKU_CONTEXT_SPECIFIC, pin);
}

static CK_RV by_set_user_pin(const char *pin)
{
    return p11->C_SetPIN(fx.session, PIN(pin), PIN(USER_PIN));
}

static CK_RV by_set_so_pin(const char *pin)
{
    return p11->C_SetPIN(fx.session, PIN(pin), PIN(SO_PIN));
}

static CK_RV by_init_token(const char *pin)
{
    CK_UTF8CHAR label[32];
    pad_label(label, "spare");
    return p11->C_InitToken(spare, PIN(pin), label);
}

static CK_RV by_destroying(const char *pin)
{
    CK_INTERFACE *interface;
    assert_ok(p11_3->C_GetInterface((CK_UTF8CHAR_PTR)LATCHKEY_INTERFACE, NULL, &interface, 0));
    return ((LATCHKEY_ADMIN *)interface->pFunctionList)->TokenDestroy(spare, PIN(pin), CK_FALSE);
}

static const struct way {
    const char *name;
    void (*enter)(void);
    CK_RV (*give)(const char *pin);
    const char *pin;
} ways[] = {
    {"C_Login, user", in_public, by_login_user, USER_PIN},
    {"C_Login, SO", in_public, by_login_so, SO_PIN},
    {"C_LoginUser, user", in_public, by_login_user_3_0, USER_PIN},
    {"C_LoginUser, SO", in_public, by_login_so_3_0, SO_PIN},
    {"C_Login, context-specific", in_operation, by_context, USER_PIN},
    {"C_SetPIN, public session", in_public, by_set_user_pin, USER_PIN},
    {"C_SetPIN, user", as_user, by_set_user_pin, USER_PIN},
    {"C_SetPIN, SO", as_so, by_set_so_pin, SO_PIN},
    {"C_InitToken", without_session, by_init_token, SO_PIN},
    {"TokenDestroy", without_session, by_destroying, SO_PIN},
};

/* PKCS#11 3.0, table 6: low "at least once", final "one more", locked. */
static CK_FLAGS flags_at(uint32_t counter)
{
    CK_FLAGS f = 0;
    if (counter > 0)
        f |= CKF_USER_PIN_COUNT_LOW | CKF_SO_PIN_COUNT_LOW;
    if (counter == MAX_TRIES - 1)
        f |= CKF_USER_PIN_FINAL_TRY | CKF_SO_PIN_FINAL_TRY;
    if (counter >= MAX_TRIES)
        f |= CKF_USER_PIN_LOCKED | CKF_SO_PIN_LOCKED;
    return f;
}

static void until_locked(const struct way *w)
{
    for (uint32_t tries = 0; tries < MAX_TRIES; tries++) {
        assert_int_equal(flags(), flags_at(tries));
        assert_rv(CKR_PIN_INCORRECT, w->give("wrong pin"));
        assert_int_equal(swtpm_lockout_counter(&fx.tpm), tries + 1);
    }
    assert_int_equal(flags(), flags_at(MAX_TRIES));
}

static void start_over(const struct way *w)
{
    test_end(NULL);
    test_initialized(NULL);
    w->enter();
}

static void the_whole_cycle(void **state)
{
    (void)state;
    for (const struct way *w = ways; w < ways + COUNT(ways); w++) {
        print_message("%s\n", w->name);
        start_over(w);
        until_locked(w);
        assert_rv(CKR_PIN_LOCKED, w->give(w->pin));
        if (w->give != by_context) /* which that ended */
            assert_rv(CKR_PIN_LOCKED, w->give("wrong pin"));
        assert_int_equal(swtpm_lockout_counter(&fx.tpm), MAX_TRIES);
        swtpm_reset_lockout(&fx.tpm);
        start_over(w);
        assert_int_equal(flags(), 0);
        assert_ok(w->give(w->pin));
        assert_int_equal(flags(), 0);
    }
}

/* Time forgives one try after the other, and the right PIN opens as soon as there is one. */
static void time_heals(void **state)
{
    (void)state;
    const struct way *w = &ways[0];
    in_public();
    until_locked(w);
    swtpm_set_lockout(&fx.tpm, MAX_TRIES, 1, 1);
    while (swtpm_lockout_counter(&fx.tpm) >= MAX_TRIES)
        sleep_ms(100);
    assert_ok(w->give(w->pin));
    for (uint32_t after = MAX_TRIES; after > 0;) {
        uint32_t before = swtpm_lockout_counter(&fx.tpm);
        CK_FLAGS f = flags();
        after = swtpm_lockout_counter(&fx.tpm);
        if (before == after)
            assert_int_equal(f, flags_at(after));
        sleep_ms(100);
    }
    assert_int_equal(flags(), 0);
}

/* ---- services -----------------------------------------------------------------------------------
 */

/* One key a kind: more in the TPM than it has room for, so that each comes in after having been
 * thrown out; and keys that are sealed in the store. */
static const struct service_key {
    CK_MECHANISM_TYPE mechanism;
    CK_OBJECT_CLASS cls;
    const char *label;
} service_keys[] = {
    {CKM_ECDSA, CKO_PRIVATE_KEY, "p256"},          {CKM_RSA_PKCS, CKO_PRIVATE_KEY, "rsa2048"},
    {CKM_ECDSA, CKO_PRIVATE_KEY, "p384"},          {CKM_AES_CMAC, CKO_SECRET_KEY, "aes"},
    {CKM_SHA256_HMAC, CKO_SECRET_KEY, "hmac"},     {CKM_EDDSA, CKO_PRIVATE_KEY, "ed25519"},
    {CKM_SHA256_HMAC, CKO_SECRET_KEY, "software"},
};

static void generate_secret(CK_MECHANISM_TYPE mechanism, const char *label, CK_ULONG n,
                            bool extractable)
{
    CK_OBJECT_HANDLE key;
    CK_ATTRIBUTE template[] = {ATTR_BOOL(CKA_TOKEN, true), ATTR_STR(CKA_LABEL, label),
                               ATTR_ULONG(CKA_VALUE_LEN, n), ATTR_BOOL(CKA_SIGN, true),
                               ATTR_BOOL(CKA_EXTRACTABLE, extractable)};
    assert_ok(
        p11->C_GenerateKey(fx.session, MECHANISM(mechanism), template, COUNT(template), &key));
}

static void generate_special(CK_MECHANISM_TYPE mechanism, int nid, const char *label,
                             bool always_authenticate)
{
    struct key_pair keys;
    struct blob curve = ec_params(nid);
    CK_ATTRIBUTE public[] = {ATTR_MEM(CKA_EC_PARAMS, curve.p, curve.n), ATTR_BOOL(CKA_TOKEN, true),
                             ATTR_STR(CKA_LABEL, label)};
    CK_ATTRIBUTE private[] = {ATTR_BOOL(CKA_TOKEN, true), ATTR_BOOL(CKA_PRIVATE, true),
                              ATTR_STR(CKA_LABEL, label), ATTR_BOOL(CKA_SIGN, true),
                              ATTR_BOOL(CKA_ALWAYS_AUTHENTICATE, always_authenticate)};
    assert_ok(p11->C_GenerateKeyPair(fx.session, MECHANISM(mechanism), public, COUNT(public),
                                     private, COUNT(private), &keys.public, &keys.private));
}

static int group_services(void **state)
{
    group_keys(state);
    test_user(state);
    generate_ec(fx.session, NID_secp384r1, "p384", true);
    generate_special(CKM_EC_EDWARDS_KEY_PAIR_GEN, NID_ED25519, "ed25519", false);
    generate_special(CKM_EC_KEY_PAIR_GEN, NID_X9_62_prime256v1, "careful", true);
    generate_secret(CKM_AES_KEY_GEN, "aes", 32, false);
    generate_secret(CKM_GENERIC_SECRET_KEY_GEN, "hmac", 32, false);
    generate_secret(CKM_GENERIC_SECRET_KEY_GEN, "software", 32, true);
    assert_ok(p11->C_Logout(fx.session));
    spare = make_token("spare", SO_PIN, USER_PIN);
    return test_end(state);
}

enum { ROUND = COUNT(service_keys) };
static unsigned long signatures;

static void sign_round(CK_SESSION_HANDLE session)
{
    for (size_t i = 0; i < COUNT(service_keys); i++) {
        const struct service_key *k = &service_keys[i];
        sign(session, MECHANISM(k->mechanism), find_object(session, k->cls, k->label), "0123456789",
             10);
        signatures++;
    }
}

static CK_RV peer_serve_login(void)
{
    CK_RV rv = p11->C_Initialize(NULL);
    if (rv != CKR_OK)
        return rv;
    fx.slot = slot_of(LABEL);
    as_user();
    return CKR_OK;
}

static CK_RV peer_round(void)
{
    sign_round(fx.session);
    return CKR_OK;
}

static CK_RV peer_first_session(void)
{
    fx.session = open_session(fx.slot, 0);
    return peer_round();
}

static const peer_step steps[] = {peer_serve_login, peer_round, peer_first_session};

/* What services do after something happened: each signs with each key, a new session as well. */
static void all_sign(struct peer *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        peer_send(&p[i], peer_round);
        sign_round(fx.session); /* at the same time: they throw each other's keys out */
        assert_ok(peer_result(&p[i]));
        assert_ok(peer_call(&p[i], peer_first_session));
        signatures += 2 * ROUND;
    }
    CK_SESSION_HANDLE another = open_session(fx.slot, 0);
    sign_round(another);
    assert_rv(CKR_PIN_LOCKED, p11->C_SetPIN(fx.session, PIN(USER_PIN), PIN(USER_PIN)));
}

/* Whoever was logged in when the TPM locked itself signs on: with keys of each kind, from several
 * processes, after a reboot of the TPM and after a power cut. */
static void services_sign_on(void **state)
{
    (void)state;
    struct peer p[2];
    const unsigned rounds = long_run() ? 200 : 1;
    as_user();
    for (size_t i = 0; i < COUNT(p); i++) {
        peer_start(&p[i]);
        assert_ok(peer_call(&p[i], peer_serve_login));
    }
    for (int i = 0; i < MAX_TRIES; i++)
        assert_rv(CKR_PIN_INCORRECT, by_set_user_pin("wrong pin"));
    signatures = 0;
    for (unsigned i = 0; i < rounds; i++) {
        all_sign(p, COUNT(p));
        swtpm_reset(&fx.tpm);
        all_sign(p, COUNT(p));
        swtpm_kill(&fx.tpm);
        swtpm_restart(&fx.tpm);
        all_sign(p, COUNT(p));
    }
    for (size_t i = 0; i < COUNT(p); i++)
        peer_stop(&p[i]);
    figure(signatures, "signatures made during a lockout");
}

/* The signed branch of the index' policy takes no PIN: an SO who is logged in gives the user a new
 * one in the middle of a lockout, and it opens when that is over. */
static void so_resets_the_pin_during_a_lockout(void **state)
{
    (void)state;
    as_so();
    for (int i = 0; i < MAX_TRIES; i++)
        assert_rv(CKR_PIN_INCORRECT, by_set_so_pin("wrong pin"));
    assert_ok(p11->C_InitPIN(fx.session, PIN("a new pin")));
    assert_ok(p11->C_Logout(fx.session));
    assert_rv(CKR_PIN_LOCKED, by_login_user("a new pin"));
    swtpm_reset_lockout(&fx.tpm);
    assert_rv(CKR_PIN_INCORRECT, by_login_user(USER_PIN));
    assert_ok(by_login_user("a new pin"));
    assert_ok(p11->C_SetPIN(fx.session, PIN("a new pin"), PIN(USER_PIN)));
}

#define LOCKOUT_TEST(f) cmocka_unit_test_setup_teardown(f, test_lockout, test_unlock)

int main(int argc, char **argv)
{
    peer_serve(argc, argv, steps, COUNT(steps));
    const struct CMUnitTest tests[] = {
        LOCKOUT_TEST(flags_follow_the_counter),  LOCKOUT_TEST(locked_is_not_incorrect),
        LOCKOUT_TEST(logged_in_process_goes_on), LOCKOUT_TEST(right_pin_is_never_counted),
        LOCKOUT_TEST(wrong_pin_counts_once),     LOCKOUT_TEST(init_token_counts),
        LOCKOUT_TEST(context_login_logs_out),    LOCKOUT_TEST(time_heals),
        LOCKOUT_TEST(services_sign_on),          LOCKOUT_TEST(so_resets_the_pin_during_a_lockout),
        LOCKOUT_TEST(the_whole_cycle), /* the last: it destroys the spare token */
    };
    return cmocka_run_group_tests(tests, group_services, group_end);
}
