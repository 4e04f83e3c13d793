/* max-pin-tries: one token's limit of user PIN tries, which leaves the TPM's dictionary-attack
 * counter, and with it everybody else, alone. PKCS#11 3.0 sections 3.2
 * (flags), 5.5.8, 5.5.9, 5.6.8.
 */
#include "keys.h"

#include <sqlite3.h>
#include <stdio.h>

#define TRIES   4
#define NEW_PIN "a quite different pin"
#define LIMITED "max-pin-tries=4"

static CK_SLOT_ID other; /* a token without a limit */

static int group_limited(void **state)
{
    (void)state;
    group_token_proxied(state);
    other = fx.slot;
    assert_ok(initialize(LIMITED));
    make_token("limited", SO_PIN, USER_PIN);
    assert_ok(p11->C_Finalize(NULL));
    assert_ok(initialize(NULL));
    fx.slot = slot_of("limited");
    fx.session = open_session(fx.slot, CKF_RW_SESSION);
    assert_ok(login(fx.session, CKU_USER, USER_PIN));
    generate_ec(fx.session, NID_X9_62_prime256v1, "p256", true);
    return test_end(state);
}

static int test_calm(void **state)
{
    swtpm_reset_lockout(&fx.tpm);
    return test_initialized(state);
}

/* Leaves the token with its PIN and all its tries. */
static int test_mended(void **state)
{
    test_end(state);
    assert_ok(initialize(NULL));
    CK_SESSION_HANDLE session = open_session(fx.slot, CKF_RW_SESSION);
    assert_ok(login(session, CKU_SO, SO_PIN));
    assert_ok(p11->C_InitPIN(session, PIN(USER_PIN)));
    return test_end(state);
}

static CK_FLAGS flags(CK_SLOT_ID slot)
{
    CK_TOKEN_INFO info;
    assert_ok(p11->C_GetTokenInfo(slot, &info));
    return info.flags & (CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_FINAL_TRY | CKF_USER_PIN_LOCKED |
                         CKF_SO_PIN_COUNT_LOW | CKF_SO_PIN_FINAL_TRY | CKF_SO_PIN_LOCKED);
}

static void wrong(CK_SESSION_HANDLE session, int times)
{
    for (int i = 0; i < times; i++)
        assert_rv(CKR_PIN_INCORRECT, login(session, CKU_USER, "wrong pin"));
}

/* ---- the limit ----------------------------------------------------------------------------- */

static void flags_follow_the_gate(void **state)
{
    (void)state;
    CK_SESSION_HANDLE session = open_session(fx.slot, 0);
    assert_int_equal(flags(fx.slot), 0);
    wrong(session, 1);
    assert_int_equal(flags(fx.slot), CKF_USER_PIN_COUNT_LOW);
    wrong(session, TRIES - 2);
    assert_int_equal(flags(fx.slot), CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_FINAL_TRY);
    assert_ok(login(session, CKU_USER, USER_PIN)); /* gives the tries back */
    assert_int_equal(flags(fx.slot), 0);
    assert_ok(p11->C_Logout(session));
    wrong(session, TRIES);
    assert_int_equal(flags(fx.slot), CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_LOCKED);
    assert_int_equal(flags(other), 0);
}

/* The TPM's lockout counts for a limited token, too; the stricter of the two shows. */
static void flags_of_both(void **state)
{
    (void)state;
    CK_SESSION_HANDLE session = open_session(fx.slot, 0), of_other = open_session(other, 0);
    const CK_FLAGS so = CKF_SO_PIN_COUNT_LOW | CKF_SO_PIN_FINAL_TRY | CKF_SO_PIN_LOCKED;
    swtpm_set_lockout(&fx.tpm, 2, 1000, 1000);
    wrong(of_other, 1);
    assert_int_equal(flags(fx.slot) & ~so, CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_FINAL_TRY);
    wrong(session, TRIES);
    assert_int_equal(flags(fx.slot) & ~so, CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_LOCKED);
    swtpm_set_lockout(&fx.tpm, 10000, 1000, 1000);
    swtpm_reset_lockout(&fx.tpm);
}

static void nobody_else_is_touched(void **state)
{
    (void)state;
    CK_SESSION_HANDLE session = open_session(fx.slot, CKF_RW_SESSION);
    CK_SESSION_HANDLE of_other = open_session(other, CKF_RW_SESSION);
    assert_ok(login(session, CKU_USER, USER_PIN));
    struct key_pair keys = keys_of(session, "p256");
    for (int i = 0; i < TRIES; i++)
        assert_rv(CKR_PIN_INCORRECT, p11->C_SetPIN(session, PIN("wrong pin"), PIN(NEW_PIN)));
    assert_rv(CKR_PIN_LOCKED, p11->C_SetPIN(session, PIN("wrong pin"), PIN(NEW_PIN)));
    assert_rv(CKR_PIN_LOCKED, p11->C_SetPIN(session, PIN(USER_PIN), PIN(NEW_PIN)));
    assert_int_equal(swtpm_lockout_counter(&fx.tpm), 0);
    sign(session, MECHANISM(CKM_ECDSA), keys.private, "0123456789", 10); /* who is in goes on */
    assert_ok(login(of_other, CKU_USER, USER_PIN));
    assert_ok(p11->C_Logout(session));
    assert_rv(CKR_PIN_LOCKED, login(session, CKU_USER, USER_PIN));
    assert_rv(CKR_PIN_LOCKED, login(session, CKU_USER, "wrong pin"));
    assert_int_equal(swtpm_lockout_counter(&fx.tpm), 0);
}

/* The SO PIN has no limit of its own, and gives the user's tries back with a new PIN. */
static void the_so_resets(void **state)
{
    (void)state;
    CK_SESSION_HANDLE session = open_session(fx.slot, CKF_RW_SESSION);
    wrong(session, TRIES);
    assert_rv(CKR_PIN_LOCKED, login(session, CKU_USER, USER_PIN));
    assert_ok(login(session, CKU_SO, SO_PIN));
    assert_ok(p11->C_InitPIN(session, PIN(NEW_PIN)));
    assert_ok(p11->C_Logout(session));
    assert_int_equal(flags(fx.slot), 0);
    wrong(session, TRIES - 1);
    assert_rv(CKR_PIN_INCORRECT, login(session, CKU_USER, USER_PIN));
    assert_rv(CKR_PIN_LOCKED, login(session, CKU_USER, NEW_PIN));
    assert_int_equal(swtpm_lockout_counter(&fx.tpm), 0);
}

/* No use with the right PIN takes a try, nor does a reboot or the end of a process in between. */
static void right_pin_is_never_counted(void **state)
{
    for (int i = 0; i < 2 * TRIES; i++) {
        CK_SESSION_HANDLE session = open_session(fx.slot, CKF_RW_SESSION);
        assert_ok(login(session, CKU_USER, USER_PIN));
        assert_int_equal(flags(fx.slot), 0);
        if (i % 4 == 1) {
            assert_ok(p11->C_SetPIN(session, PIN(USER_PIN), PIN(NEW_PIN)));
            assert_ok(p11->C_SetPIN(session, PIN(NEW_PIN), PIN(USER_PIN)));
        }
        if (i % 4 == 2)
            swtpm_reset(&fx.tpm);
        if (i % 4 == 3) {
            assert_ok(p11->C_Finalize(NULL));
            test_initialized(state);
        } else {
            assert_ok(p11->C_CloseAllSessions(fx.slot));
        }
        assert_int_equal(flags(fx.slot), 0);
    }
    assert_int_equal(swtpm_lockout_counter(&fx.tpm), 0);
}

/* A service with a stale or foreign store restarts all day. */
static void what_is_not_this_token_takes_no_try(void **state)
{
    static const char *const spoil[] = {
        "UPDATE token SET gate_0_name = zeroblob(34), gate_1_name = zeroblob(34)",
        "UPDATE token SET user_nv_name = zeroblob(34)",
        "UPDATE token SET gate_0_nv = 0x01BFFFF0, gate_1_nv = 0x01BFFFF1",
    };
    char copy[80], parameters[120], command[256], path[100];
    snprintf(copy, sizeof copy, "%s-copy", fx.store);
    snprintf(parameters, sizeof parameters, "store='%s'", copy);
    snprintf(path, sizeof path, "%s/store.db", copy);
    snprintf(command, sizeof command, "rm -rf '%s' && cp -a '%s' '%s'", copy, fx.store, copy);
    for (size_t i = 0; i < COUNT(spoil); i++) {
        sqlite3 *db;
        test_end(state);
        assert_int_equal(system(command), 0);
        assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, spoil[i], NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
        for (int n = 0; n < TRIES + 1; n++) {
            assert_ok(initialize(parameters));
            CK_SESSION_HANDLE session = open_session(fx.slot, 0);
            assert_rv(CKR_DEVICE_ERROR, login(session, CKU_USER, USER_PIN));
            assert_ok(p11->C_Finalize(NULL));
        }
        test_initialized(state);
        assert_int_equal(flags(fx.slot), 0);
    }
    CK_SESSION_HANDLE session = open_session(fx.slot, 0);
    assert_ok(login(session, CKU_USER, USER_PIN));
    assert_int_equal(swtpm_lockout_counter(&fx.tpm), 0);
}

/* Answers that are lost or spoilt, at each command of a login. */
static void a_broken_connection_takes_no_try(void **state)
{
    static const enum proxy_fault faults[] = {PROXY_DROP, PROXY_DROP_ANSWER, PROXY_CORRUPT,
                                              PROXY_GARBAGE};
    CK_SESSION_HANDLE session = open_session(fx.slot, 0);
    proxy_clear();
    assert_ok(login(session, CKU_USER, USER_PIN));
    unsigned commands = proxy_count(), n = 0;
    for (unsigned at = 1; at <= commands; at++)
        for (size_t i = 0; i < COUNT(faults); i++, n++) {
            assert_ok(p11->C_Logout(session));
            proxy_fault(faults[i], 0, at, 0);
            assert_rv_either(CKR_OK, CKR_DEVICE_ERROR, login(session, CKU_USER, USER_PIN));
            proxy_fault(PROXY_NO_FAULT, 0, 0, 0);
            assert_ok(p11->C_Finalize(NULL)); /* a spoilt answer made it a foreign TPM's token */
            test_initialized(state);
            assert_int_equal(flags(fx.slot), 0);
            session = open_session(fx.slot, 0);
            assert_ok(login(session, CKU_USER, USER_PIN));
        }
    assert_int_equal(swtpm_lockout_counter(&fx.tpm), 0);
    figure(n, "faults at a limited token's login: no try taken");
}

/* ---- revocation ---------------------------------------------------------------------------- */

/* A changed PIN is dead in every copy of the store, and the new one opens every copy: a change
 * writes nothing there. */
static void old_copies_follow_the_pin(void **state)
{
    char copy[80], parameters[120], command[256];
    snprintf(copy, sizeof copy, "%s-copy", fx.store);
    snprintf(parameters, sizeof parameters, "store='%s'", copy);
    snprintf(command, sizeof command, "rm -rf '%s' && cp -a '%s' '%s'", copy, fx.store, copy);
    assert_int_equal(system(command), 0);
    for (int by_so = 0; by_so < 2; by_so++) {
        const char *now = by_so ? USER_PIN : NEW_PIN, *before = by_so ? NEW_PIN : USER_PIN;
        CK_SESSION_HANDLE session = open_session(fx.slot, CKF_RW_SESSION);
        if (by_so) {
            assert_ok(login(session, CKU_SO, SO_PIN));
            assert_ok(p11->C_InitPIN(session, PIN(now)));
        } else {
            assert_ok(p11->C_SetPIN(session, PIN(before), PIN(now)));
        }
        assert_ok(p11->C_Finalize(NULL));
        assert_ok(initialize(parameters));
        session = open_session(fx.slot, 0);
        assert_rv(CKR_PIN_INCORRECT, login(session, CKU_USER, before));
        assert_int_equal(flags(fx.slot), CKF_USER_PIN_COUNT_LOW); /* and costs a try */
        assert_ok(login(session, CKU_USER, now));
        assert_ok(p11->C_Finalize(NULL));
        test_initialized(state);
    }
    assert_int_equal(swtpm_lockout_counter(&fx.tpm), 0);
}

/* ---- kills and power cuts ------------------------------------------------------------------ */

static CK_RV peer_open(void)
{
    CK_RV rv = initialize(LIMITED);
    fx.slot = rv == CKR_OK ? slot_of("limited") : 0;
    fx.session = rv == CKR_OK ? open_session(fx.slot, CKF_RW_SESSION) : 0;
    return rv;
}

static CK_RV peer_open_so(void)
{
    CK_RV rv = peer_open();
    return rv != CKR_OK ? rv : login(fx.session, CKU_SO, SO_PIN);
}

static CK_RV peer_initialize(void)
{
    CK_RV rv = initialize(LIMITED);
    fx.slot = rv == CKR_OK ? slot_of("limited") : 0;
    return rv;
}

static CK_RV peer_set_pin(void)
{
    return p11->C_SetPIN(fx.session, PIN(USER_PIN), PIN(NEW_PIN));
}

static CK_RV peer_init_pin(void)
{
    return p11->C_InitPIN(fx.session, PIN(NEW_PIN));
}

static CK_RV peer_init_token(void)
{
    CK_UTF8CHAR label[32];
    pad_label(label, "limited");
    return p11->C_InitToken(fx.slot, PIN(SO_PIN), label);
}

static const peer_step steps[] = {peer_open,    peer_open_so,  peer_initialize,
                                  peer_set_pin, peer_init_pin, peer_init_token};

/* How many commands the step sends. */
static unsigned commands_of(peer_step first, peer_step step)
{
    struct peer p;
    peer_start(&p);
    assert_ok(peer_call(&p, first));
    proxy_clear();
    assert_ok(peer_call(&p, step));
    unsigned n = proxy_count();
    peer_stop(&p);
    return n;
}

/* The process is killed while the TPM works at the nth command of the step, or has just done it;
 * every second time the TPM loses its power, too. */
static void cut_off(peer_step first, peer_step step, unsigned nth)
{
    struct peer p;
    peer_start(&p);
    assert_ok(peer_call(&p, first));
    proxy_fault(PROXY_DELAY, 0, nth, 100);
    peer_send(&p, step);
    while (!proxy_fault_struck())
        sleep_ms(1);
    sleep_ms(20);
    peer_kill(&p);
    if (nth % 2) {
        sleep_ms(120); /* the proxy has the answer by now */
        swtpm_kill(&fx.tpm);
        swtpm_restart(&fx.tpm);
        swtpm_reset_lockout(&fx.tpm); /* a power cut after a PIN counts in the TPM */
    }
}

/* All commands, or some of each part of the way. */
static unsigned stride(unsigned commands)
{
    return long_run() ? 1 : commands / 7 | 1;
}

static CK_RV opens(const char *pin)
{
    CK_SESSION_HANDLE session = open_session(fx.slot, CKF_RW_SESSION);
    CK_RV rv = login(session, CKU_USER, pin);
    assert_ok(p11->C_CloseSession(session));
    return rv;
}

/* Exactly one of the two PINs opens the token. Its use has cleared up: the dead one does not come
 * as far as the seat, where the TPM's counter would count it. */
static bool one_pin_opens(void)
{
    test_initialized(NULL);
    bool new = opens(NEW_PIN) == CKR_OK;
    assert_rv(CKR_OK, opens(new ? NEW_PIN : USER_PIN));
    swtpm_reset_lockout(&fx.tpm);
    assert_rv(CKR_PIN_INCORRECT, opens(new ? USER_PIN : NEW_PIN));
    assert_int_equal(swtpm_lockout_counter(&fx.tpm), 0);
    assert_rv(CKR_OK, opens(new ? NEW_PIN : USER_PIN));
    return new;
}

static void back_to_the_old_pin(bool new)
{
    CK_SESSION_HANDLE session = open_session(fx.slot, CKF_RW_SESSION);
    if (new)
        assert_ok(p11->C_SetPIN(session, PIN(NEW_PIN), PIN(USER_PIN)));
    assert_ok(p11->C_Finalize(NULL));
}

static void pin_change_cut_off(peer_step first, peer_step step, const char *what)
{
    unsigned indices = swtpm_handles(&fx.tpm, 0x01), commands = commands_of(first, step), n = 0;
    unsigned before = 0, after = 0;
    test_initialized(NULL);
    back_to_the_old_pin(true);
    for (unsigned nth = 1; nth <= commands; nth += stride(commands), n++) {
        cut_off(first, step, nth);
        bool new = one_pin_opens();
        before += !new;
        after += new;
        back_to_the_old_pin(new);
    }
    cut_off(first, step, commands);
    bool done = one_pin_opens();
    back_to_the_old_pin(done);
    assert_true(before > 0 && after + done > 0);
    assert_int_equal(swtpm_handles(&fx.tpm, 0x01), indices);
    figure(n + 1, what);
}

static void set_pin_cut_off(void **state)
{
    (void)state;
    pin_change_cut_off(peer_open, peer_set_pin,
                       "kills and power cuts within C_SetPIN of a limited token: one PIN opens");
}

static void init_pin_cut_off(void **state)
{
    (void)state;
    pin_change_cut_off(peer_open_so, peer_init_pin,
                       "kills and power cuts within C_InitPIN of a limited token: one PIN opens");
}

/* The token is the old one, with its PIN, or a new one without; and once it is used again nothing
 * is left in the TPM. */
static void init_token_cut_off(void **state)
{
    (void)state;
    unsigned indices = swtpm_handles(&fx.tpm, 0x01), n = 0;
    unsigned commands = commands_of(peer_initialize, peer_init_token);
    for (unsigned nth = 1; nth <= commands; nth += stride(commands), n++) {
        test_mended(NULL);
        cut_off(peer_initialize, peer_init_token, nth);
        age_intents();
        test_initialized(NULL);
        CK_RV rv = opens(USER_PIN);
        assert_rv_either(CKR_OK, CKR_USER_PIN_NOT_INITIALIZED, rv);
        CK_SESSION_HANDLE session = open_session(fx.slot, CKF_RW_SESSION);
        assert_ok(login(session, CKU_SO, SO_PIN));
        assert_ok(p11->C_InitPIN(session, PIN(USER_PIN)));
        assert_ok(p11->C_CloseSession(session));
        assert_ok(opens(USER_PIN));
        assert_int_equal(swtpm_handles(&fx.tpm, 0x01), indices);
        assert_ok(p11->C_Finalize(NULL));
    }
    figure(n, "kills and power cuts within C_InitToken of a limited token: no orphan stays");
}

/* ---- making and removing ------------------------------------------------------------------- */

static void init_token(const char *parameters, const char *label, CK_RV expected)
{
    CK_UTF8CHAR padded[32];
    pad_label(padded, label);
    assert_ok(initialize(parameters));
    assert_rv(expected, p11->C_InitToken(blank_slot(), PIN(SO_PIN), padded));
    assert_ok(p11->C_Finalize(NULL));
}

/* Sealed objects have no gate, and 256 random bits need none. */
static void what_does_not_go_together(void **state)
{
    (void)state;
    unsigned indices = swtpm_handles(&fx.tpm, 0x01);
    init_token(LIMITED " pin-storage=sealed show-empty-slot=yes", "no", CKR_FUNCTION_FAILED);
    init_token(LIMITED " unattended=yes show-empty-slot=yes", "no", CKR_FUNCTION_FAILED);
    assert_rv(CKR_ARGUMENTS_BAD, initialize("max-pin-tries=2"));
    assert_rv(CKR_ARGUMENTS_BAD, initialize("max-pin-tries=101"));
    assert_int_equal(swtpm_handles(&fx.tpm, 0x01), indices);
}

/* A token that is initialised again has the limit that holds then, and no index more or less. */
static void initialised_again(void **state)
{
    unsigned indices = swtpm_handles(&fx.tpm, 0x01);
    CK_UTF8CHAR label[32];
    pad_label(label, "limited");
    assert_ok(initialize("max-pin-tries=0"));
    assert_ok(p11->C_InitToken(fx.slot, PIN(SO_PIN), label));
    assert_int_equal(swtpm_handles(&fx.tpm, 0x01), indices - 3);
    test_mended(state);
    test_initialized(state);
    CK_SESSION_HANDLE session = open_session(fx.slot, 0);
    wrong(session, TRIES + 1); /* counted by the TPM */
    assert_int_equal(swtpm_lockout_counter(&fx.tpm), TRIES + 1);
    assert_ok(login(session, CKU_USER, USER_PIN));
    assert_ok(p11->C_Finalize(NULL));
    assert_ok(initialize(LIMITED));
    assert_ok(p11->C_InitToken(fx.slot, PIN(SO_PIN), label));
    assert_int_equal(swtpm_handles(&fx.tpm, 0x01), indices);
    assert_rv(CKR_USER_PIN_NOT_INITIALIZED, opens(USER_PIN));
    assert_int_equal(flags(fx.slot) & (CKF_USER_PIN_LOCKED | CKF_USER_PIN_FINAL_TRY), 0);
    swtpm_reset_lockout(&fx.tpm);
}

#define LIMIT_TEST(f) cmocka_unit_test_setup_teardown(f, test_calm, test_mended)
#define CUT_TEST(f)   cmocka_unit_test_teardown(f, test_mended)

int main(int argc, char **argv)
{
    peer_serve(argc, argv, steps, COUNT(steps));
    const struct CMUnitTest tests[] = {
        LIMIT_TEST(flags_follow_the_gate),
        LIMIT_TEST(flags_of_both),
        LIMIT_TEST(nobody_else_is_touched),
        LIMIT_TEST(the_so_resets),
        LIMIT_TEST(right_pin_is_never_counted),
        LIMIT_TEST(what_is_not_this_token_takes_no_try),
        LIMIT_TEST(a_broken_connection_takes_no_try),
        LIMIT_TEST(old_copies_follow_the_pin),
        CUT_TEST(set_pin_cut_off),
        CUT_TEST(init_pin_cut_off),
        CUT_TEST(init_token_cut_off),
        CUT_TEST(what_does_not_go_together),
        CUT_TEST(initialised_again),
    };
    return cmocka_run_group_tests(tests, group_limited, group_end);
}
