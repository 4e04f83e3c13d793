/* A service that a supervisor starts again and again, with something amiss that no PIN is to blame
 * for: no start takes a try (docs/pin-model.md). Each start is a process of its own. */
#include "store_edit.h"

#include <stdio.h>

#define MAX_TRIES 5
#define NEW_PIN   "a quite different pin"

static struct {
    CK_SLOT_ID slot;
    const char *parameters, *pin;
    CK_USER_TYPE user;
} service;

static CK_SLOT_ID sealed, unattended;

static unsigned starts(void)
{
    return long_run() ? 200 : 10;
}

static int group_services(void **state)
{
    group_token_proxied(state);
    assert_ok(initialize("pin-storage=sealed"));
    sealed = make_token("sealed", SO_PIN, USER_PIN);
    assert_ok(p11->C_Finalize(NULL));
    assert_ok(initialize("unattended=yes"));
    unattended = make_token("unattended", SO_PIN, USER_PIN);
    assert_ok(p11->C_Finalize(NULL));
    /* what a process finds out about the TPM once is in the store from now on */
    copy_the_store();
    return 0;
}

static int test_counting(void **state)
{
    (void)state;
    swtpm_set_lockout(&fx.tpm, MAX_TRIES, 1000, 1000);
    swtpm_reset_lockout(&fx.tpm);
    return 0;
}

static CK_RV start(void)
{
    CK_SESSION_HANDLE session;
    CK_RV rv = initialize(service.parameters);
    if (rv == CKR_OK)
        rv = p11->C_OpenSession(service.slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL,
                                &session);
    return rv != CKR_OK ? rv : login(session, service.user, service.pin);
}

/* Each of both PINs at each of both kinds of token that the TPM counts for. */
static void assert_starts(const char *parameters, CK_RV expected)
{
    const CK_SLOT_ID slots[] = {fx.slot, sealed};
    service.parameters = parameters;
    for (unsigned i = 0; i < starts(); i++) {
        service.slot = slots[i % 2];
        service.user = i / 2 % 2 == 0 ? CKU_USER : CKU_SO;
        service.pin = service.user == CKU_USER ? USER_PIN : SO_PIN;
        assert_rv(expected, in_child(start));
    }
    assert_int_equal(swtpm_lockout_counter(&fx.tpm), 0);
}

/* ---- the store is not of this TPM --------------------------------------------------------------
 */

static void foreign_store(void **state)
{
    (void)state;
    char dir[80], tcti[160];
    struct swtpm other;
    snprintf(dir, sizeof dir, "%s/other", fx.dir);
    swtpm_start(&other, dir);
    snprintf(tcti, sizeof tcti, "tcti=swtpm:path=%s", other.socket);
    assert_starts(tcti, CKR_DEVICE_ERROR);
    assert_int_equal(swtpm_lockout_counter(&other), 0);
    /* and with a storage key at the handle, by a token of that machine's own */
    char own[240];
    snprintf(own, sizeof own, "%s store='%s/own'", tcti, fx.dir);
    assert_ok(initialize(own));
    make_token("another", SO_PIN, USER_PIN);
    assert_ok(p11->C_Finalize(NULL));
    assert_starts(tcti, CKR_DEVICE_ERROR);
    assert_int_equal(swtpm_lockout_counter(&other), 0);
    swtpm_stop(&other);
}

/* A token that was made anew since: its indices are gone. */
static void copy_from_before_init_token(void **state)
{
    CK_UTF8CHAR label[32];
    test_initialized(state);
    CK_SLOT_ID slot = make_token("made anew", SO_PIN, USER_PIN);
    assert_ok(p11->C_Finalize(NULL));
    copy_the_store();
    test_initialized(state);
    pad_label(label, "made anew");
    assert_ok(p11->C_InitToken(slot, PIN(SO_PIN), label));
    assert_ok(p11->C_Finalize(NULL));
    service.slot = slot;
    service.user = CKU_USER;
    service.pin = USER_PIN;
    service.parameters = store_parameters;
    for (unsigned i = 0; i < starts(); i++)
        assert_rv(CKR_DEVICE_ERROR, in_child(start));
    assert_int_equal(swtpm_lockout_counter(&fx.tpm), 0);
}

/* The PIN was changed since: today's opens the old copy, and yesterday's is a wrong one, wherever
 * it is tried. A service that goes on trying it does lock the TPM. */
static void copy_from_before_another_pin(void **state)
{
    copy_the_store();
    test_user(state);
    assert_ok(p11->C_SetPIN(fx.session, PIN(USER_PIN), PIN(NEW_PIN)));
    assert_ok(p11->C_Finalize(NULL));
    service.slot = fx.slot;
    service.user = CKU_USER;
    service.pin = NEW_PIN;
    service.parameters = store_parameters;
    for (unsigned i = 0; i < starts(); i++)
        assert_ok(in_child(start));
    assert_int_equal(swtpm_lockout_counter(&fx.tpm), 0);
    service.pin = USER_PIN;
    for (uint32_t i = 1; i <= MAX_TRIES; i++) {
        assert_rv(CKR_PIN_INCORRECT, in_child(start));
        assert_int_equal(swtpm_lockout_counter(&fx.tpm), i);
    }
    assert_rv(CKR_PIN_LOCKED, in_child(start));
    swtpm_reset_lockout(&fx.tpm);
    test_initialized(state);
    fx.session = open_session(fx.slot, CKF_RW_SESSION);
    assert_ok(p11->C_SetPIN(fx.session, PIN(NEW_PIN), PIN(USER_PIN)));
}

/* ---- the connection is bad ------------------------------------------------------------------- */

struct fault {
    enum proxy_fault kind;
    uint32_t code, value; /* code 0: any command */
};

static const enum proxy_fault broken[] = {PROXY_DROP, PROXY_DROP_ANSWER, PROXY_CORRUPT,
                                          PROXY_GARBAGE};
/* What a start asks of the TPM; that a session's end was refused would fill the TPM with them. */
static const uint32_t asked[] = {0x176, 0x169, 0x14E, 0x157, 0x15E};
static const uint32_t refusals[] = {0x101, 0x903, 0x910, 0x918};

/* How many starts it took to have each command of a start struck once. */
static unsigned struck_at_each_command(struct fault fault)
{
    for (unsigned nth = 1;; nth++) {
        proxy_fault(fault.kind, fault.code, nth, fault.value);
        CK_RV rv = in_child(start);
        if (!proxy_fault_struck()) {
            assert_ok(rv);
            return nth;
        }
        if (rv != CKR_OK && rv != CKR_DEVICE_ERROR && rv != CKR_DEVICE_MEMORY)
            fail_msg("a fault at command %u of a start: 0x%lx", nth, rv);
        assert_int_equal(swtpm_lockout_counter(&fx.tpm), 0);
    }
}

/* The right PIN, with a fault at each command of the start, in each way: whatever becomes of that
 * start, no try is gone, and the next one succeeds. */
static void broken_sessions(void **state)
{
    (void)state;
    unsigned long n = 0;
    const CK_SLOT_ID slots[] = {fx.slot, sealed};
    service.parameters = NULL;
    service.user = CKU_USER;
    service.pin = USER_PIN;
    for (size_t s = 0; s < COUNT(slots); s++) {
        service.slot = slots[s];
        for (size_t i = 0; i < COUNT(broken); i++)
            n += struck_at_each_command((struct fault){broken[i], 0, 0});
        for (size_t i = 0; i < COUNT(refusals); i++)
            for (size_t k = 0; k < COUNT(asked); k++)
                n += struck_at_each_command((struct fault){PROXY_ERROR, asked[k], refusals[i]});
    }
    proxy_fault(PROXY_NO_FAULT, 0, 0, 0);
    figure(n, "starts with the right PIN over a broken connection to the TPM: no try taken");
}

/* ---- no power -------------------------------------------------------------------------------- */

static uint32_t counter_after_cuts(CK_SLOT_ID slot, unsigned cuts)
{
    test_counting(NULL);
    service.slot = slot;
    service.user = CKU_USER;
    service.pin = USER_PIN;
    service.parameters = NULL;
    for (unsigned i = 0; i < cuts; i++) {
        assert_ok(in_child(start));
        swtpm_kill(&fx.tpm);
        swtpm_restart(&fx.tpm);
    }
    uint32_t counter = swtpm_lockout_counter(&fx.tpm);
    test_counting(NULL);
    return counter;
}

/* What the TPM does by itself (part 1, 19.8.6): it cannot know what was tried in the time before an
 * unorderly stop. That is why there are unattended tokens. */
static void power_cuts(void **state)
{
    (void)state;
    assert_int_equal(counter_after_cuts(fx.slot, MAX_TRIES - 1), MAX_TRIES - 1);
    assert_int_equal(counter_after_cuts(sealed, MAX_TRIES - 1), MAX_TRIES - 1);
    assert_int_equal(counter_after_cuts(unattended, 2 * MAX_TRIES), 0);
}

/* The last: the tokens are lost. */
static void cleared_tpm(void **state)
{
    (void)state;
    swtpm_clear(&fx.tpm);
    test_counting(state);
    assert_starts(NULL, CKR_DEVICE_ERROR);
}

#define LOOP_TEST(f) cmocka_unit_test_setup_teardown(f, test_counting, test_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOP_TEST(foreign_store),   LOOP_TEST(copy_from_before_init_token),
        LOOP_TEST(broken_sessions), LOOP_TEST(copy_from_before_another_pin),
        LOOP_TEST(power_cuts),      LOOP_TEST(cleared_tpm),
    };
    return cmocka_run_group_tests(tests, group_services, group_end);
}
