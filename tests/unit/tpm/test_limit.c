/* A limit of PIN tries: the gates count them, and nothing tries a PIN past a gate. */
#include "seats.h"

enum { TRIES = 3 };

struct limited {
    struct seat seat;
    struct tpm_limit_owned made;
    struct tpm_limit limit;
};

static void limit_define(struct limited *l)
{
    uint32_t nv[TPM_LIMIT_INDICES];
    uint8_t nobodys[TPM_AUTH];
    const struct tpm_parent parent = srk();
    *l = (struct limited){0};
    fill(nobodys, sizeof(nobodys), 77);
    seat_define_with(&l->seat, false, BYTES_OF(nobodys));
    for (int i = 0; i < TPM_LIMIT_INDICES; i++)
        assert_ok(tpm_nv_pick(fx.tpm, &nv[i]));
    assert_ok(tpm_limit_define(fx.tpm, &parent, nv, BYTES_OF(seed), &l->made));
    l->limit.tries = TRIES;
    for (int i = 0; i < TPM_LIMIT_INDICES; i++)
        l->limit.index[i] = (struct tpm_index){l->made.nv[i], buf_bytes(&l->made.name[i])};
}

static CK_RV limit_change(struct limited *l, const uint8_t *auth)
{
    const struct tpm_parent parent = srk();
    const struct tpm_seat seat = seat_of(&l->seat);
    return tpm_limit_change(fx.tpm, &parent, &seat, &l->limit, BYTES_OF(seed),
                            BYTES(auth, TPM_AUTH));
}

static void limit_start(struct limited *l)
{
    limit_define(l);
    assert_ok(limit_change(l, pin));
}

static void limit_end(struct limited *l)
{
    for (int i = 0; i < TPM_LIMIT_INDICES; i++)
        assert_ok(tpm_nv_undefine(fx.tpm, l->made.nv[i], buf_bytes(&l->made.name[i])));
    tpm_limit_free(&l->made);
    seat_end(&l->seat);
}

static CK_RV opens(struct limited *l, const uint8_t *auth, bool *unsettled)
{
    CLEANUP(secret_free) struct secret secret = {0};
    const struct tpm_parent parent = srk();
    const struct tpm_seat seat = seat_of(&l->seat);
    CK_RV rv = tpm_limit_open(fx.tpm, &parent, &seat, &l->limit, BYTES(auth, TPM_AUTH), unsettled,
                              &secret);
    if (rv == CKR_OK)
        assert_true(secret_equal(secret_bytes(&secret), BYTES_OF(content)));
    else
        assert_null(secret.p);
    return rv;
}

static void assert_limit_opens(struct limited *l, const uint8_t *auth, CK_RV expected)
{
    bool unsettled = false;
    assert_rv(expected, opens(l, auth, &unsettled));
    assert_false(unsettled);
}

static void assert_left(const struct limited *l, uint32_t left)
{
    uint32_t most, now;
    assert_ok(tpm_limit_read(fx.tpm, &l->limit, &most, &now));
    assert_int_equal(most, TRIES);
    assert_int_equal(now, left);
}

/* ---- counting ------------------------------------------------------------------------------ */

static void test_closed_until_a_pin_is_set(void **state)
{
    (void)state;
    struct limited l;
    uint32_t most, left;
    limit_define(&l);
    assert_limit_opens(&l, pin, CKR_PIN_LOCKED);
    assert_ok(tpm_limit_read(fx.tpm, &l.limit, &most, &left));
    assert_int_equal(most, 0);
    assert_ok(limit_change(&l, pin));
    assert_left(&l, TRIES);
    assert_limit_opens(&l, pin, CKR_OK);
    limit_end(&l);
}

/* The dictionary-attack counter, and with it everybody else, is left out of it. */
static void test_wrong_pins_are_counted_here_alone(void **state)
{
    (void)state;
    struct limited l;
    limit_start(&l);
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 1; i < TRIES; i++) {
            assert_limit_opens(&l, wrong, CKR_PIN_INCORRECT);
            assert_left(&l, TRIES - i);
        }
        assert_limit_opens(&l, pin, CKR_OK); /* gives all tries back */
        assert_left(&l, TRIES);
    }
    for (int i = 0; i < TRIES; i++)
        assert_limit_opens(&l, wrong, CKR_PIN_INCORRECT);
    assert_left(&l, 0);
    assert_limit_opens(&l, wrong, CKR_PIN_LOCKED);
    assert_limit_opens(&l, pin, CKR_PIN_LOCKED);
    assert_true(logged("limit of 3 wrong PINs"));
    assert_int_equal(swtpm_lockout_counter(&fx.swtpm), 0);
    assert_ok(limit_change(&l, other_pin)); /* the security officer */
    assert_left(&l, TRIES);
    assert_limit_opens(&l, other_pin, CKR_OK);
    assert_limit_opens(&l, pin, CKR_PIN_INCORRECT);
    assert_int_equal(swtpm_lockout_counter(&fx.swtpm), 0);
    limit_end(&l);
}

static void test_changes_alternate_the_gates(void **state)
{
    (void)state;
    struct limited l;
    limit_start(&l);
    for (int i = 0; i < 4; i++) {
        const uint8_t *now = i % 2 ? pin : other_pin, *before = i % 2 ? other_pin : pin;
        assert_ok(limit_change(&l, now));
        assert_left(&l, TRIES);
        assert_limit_opens(&l, before, CKR_PIN_INCORRECT);
        assert_left(&l, TRIES - 1);
        assert_limit_opens(&l, now, CKR_OK);
        assert_int_equal(slots_taken(), 1); /* the session that stays for the keys */
    }
    assert_int_equal(swtpm_lockout_counter(&fx.swtpm), 0);
    limit_end(&l);
}

/* During a lockout of the whole TPM the seat refuses, as every one does. */
static void test_lockout_of_the_tpm(void **state)
{
    (void)state;
    struct limited l;
    struct seat s;
    limit_start(&l);
    seat_define(&s, false);
    swtpm_set_lockout(&fx.swtpm, 1, 1000, 1000);
    assert_opens(&s, wrong, CKR_PIN_INCORRECT);
    assert_limit_opens(&l, pin, CKR_PIN_LOCKED);
    assert_ok(limit_change(&l, other_pin));
    calm();
    assert_limit_opens(&l, other_pin, CKR_OK);
    seat_end(&s);
    limit_end(&l);
}

/* ---- a change that is cut off -------------------------------------------------------------- */

static struct {
    unsigned left; /* commands that still reach the TPM */
    bool answered; /* is the last one's answer lost, or the command itself? */
} cut;

static enum tap_verdict cut_before(struct exchange *e)
{
    (void)e;
    if (cut.left > 0) {
        cut.left--;
        return TAP_PASS;
    }
    return TAP_LOSE;
}

static enum tap_verdict cut_after(struct exchange *e)
{
    (void)e;
    return cut.answered && cut.left == 0 ? TAP_LOSE : TAP_PASS;
}

/* As a process that is killed leaves it: the rest of the change does not happen. */
static CK_RV change_cut_off(struct limited *l, const uint8_t *auth, unsigned commands,
                            bool answered)
{
    cut.left = commands;
    cut.answered = answered;
    tap.before = cut_before;
    tap.after = cut_after;
    CK_RV rv = limit_change(l, auth);
    tap.before = tap.after = NULL;
    swtpm_reset(&fx.swtpm); /* its sessions are gone with it, the SRK is persistent */
    return rv;
}

static void settle(struct limited *l, const uint8_t *auth)
{
    bool unsettled = false;
    const struct tpm_parent parent = srk();
    const struct tpm_seat seat = seat_of(&l->seat);
    assert_rv(CKR_OK, opens(l, auth, &unsettled));
    if (unsettled)
        assert_ok(tpm_limit_settle(fx.tpm, &parent, &seat, &l->limit, BYTES(auth, TPM_AUTH),
                                   BYTES_OF(seed)));
    assert_limit_opens(l, auth, CKR_OK);
    assert_left(l, TRIES);
}

static unsigned change_commands(struct limited *l)
{
    tap_clear();
    assert_ok(limit_change(l, other_pin));
    unsigned n = (unsigned)tap.n;
    assert_ok(limit_change(l, pin));
    return n;
}

static void test_change_cut_off(void **state)
{
    (void)state;
    struct limited l;
    limit_start(&l);
    unsigned n = change_commands(&l), committed = 0;
    for (unsigned at = 0; at < 2 * n; at++) {
        bool unsettled;
        CK_RV rv = change_cut_off(&l, other_pin, at / 2, at % 2);
        bool old = opens(&l, pin, &unsettled) == CKR_OK;
        bool new = opens(&l, other_pin, &unsettled) == CKR_OK;
        assert_true(old != new);
        assert_true(rv != CKR_OK || new);
        committed += new;
        settle(&l, old ? pin : other_pin);
        assert_limit_opens(&l, old ? other_pin : pin, CKR_PIN_INCORRECT);
        assert_ok(limit_change(&l, pin));
    }
    assert_true(committed > 0 && committed < 2 * n);
    print_message("%u changes cut off, %u after the commit\n", 2 * n, committed);
    swtpm_reset_lockout(&fx.swtpm);
    limit_end(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TPM_TEST(test_closed_until_a_pin_is_set),
        TPM_TEST(test_wrong_pins_are_counted_here_alone),
        TPM_TEST(test_changes_alternate_the_gates),
        TPM_TEST(test_lockout_of_the_tpm),
        TPM_TEST(test_change_cut_off),
    };
    return cmocka_run_group_tests_name("tpm/limit", tests, group_start, group_stop);
}
