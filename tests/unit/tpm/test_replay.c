/* Which commands are sent again, after what, and which never. */
#include "seats.h"

static const uint8_t hash[32] = {0x77, [31] = 1};

/* ---- answers that mean: not executed, send again -------------------------------------------- */

static struct {
    uint32_t code, rc;
    unsigned times; /* how often yet */
} put_off;

static enum tap_verdict put_off_some(struct exchange *e)
{
    if (put_off.times == 0 || (put_off.code && e->code != put_off.code))
        return TAP_PASS;
    put_off.times--;
    return tap_answer(e, put_off.rc);
}

static void put_off_next(uint32_t code, uint32_t rc, unsigned times)
{
    put_off.code = code;
    put_off.rc = rc;
    put_off.times = times;
    tap.before = put_off_some;
    tap_clear();
}

static const uint32_t transient[] = {TPM2_RC_RETRY, TPM2_RC_YIELDED, TPM2_RC_TESTING,
                                     TPM2_RC_NV_RATE};

static void test_signature_is_put_off(void **state)
{
    (void)state;
    struct pair key;
    uint8_t signature[64];
    pair_ec(&key, CURVE_P256);
    for (size_t i = 0; i < COUNT(transient); i++) {
        put_off_next(TPM2_CC_Sign, transient[i], 4);
        assert_ok(tpm_ecdsa(fx.tpm, &key.key, CURVE_P256, BYTES_OF(hash), signature));
        assert_int_equal(tap_count(TPM2_CC_Sign), 5);
    }
    pair_free(&key);
}

static void test_login_is_put_off(void **state)
{
    (void)state;
    static const uint32_t codes[] = {TPM2_CC_StartAuthSession, TPM2_CC_NV_ReadPublic,
                                     TPM2_CC_NV_Read};
    struct seat s;
    seat_define(&s, false);
    for (size_t i = 0; i < COUNT(codes); i++)
        for (size_t k = 0; k < COUNT(transient); k++) {
            put_off_next(codes[i], transient[k], 3);
            assert_opens(&s, pin, CKR_OK);
            assert_int_equal(tap_count(codes[i]), 4);
        }
    assert_int_equal(swtpm_lockout_counter(&fx.swtpm), 0);
    seat_end(&s);
}

static void test_creation_is_put_off(void **state)
{
    (void)state;
    struct pair key;
    for (size_t k = 0; k < COUNT(transient); k++) {
        put_off_next(TPM2_CC_Create, transient[k], 3);
        pair_ec(&key, CURVE_P256);
        assert_int_equal(tap_count(TPM2_CC_Create), 4);
        pair_free(&key);
    }
}

static void test_change_of_pin_is_put_off(void **state)
{
    (void)state;
    struct seat s;
    const struct tpm_parent parent = srk();
    seat_define(&s, false);
    const struct tpm_seat seat = seat_of(&s);
    put_off_next(0, TPM2_RC_RETRY, 3);
    assert_ok(tpm_seat_change(fx.tpm, &parent, &seat, BYTES_OF(pin), BYTES_OF(seed),
                              BYTES_OF(other_pin)));
    put_off_next(TPM2_CC_NV_ChangeAuth, TPM2_RC_NV_RATE, 2);
    assert_ok(tpm_seat_reset(fx.tpm, &parent, &seat, BYTES_OF(seed), BYTES_OF(pin)));
    assert_opens(&s, pin, CKR_OK);
    seat_end(&s);
}

/* Sessions that others hold: waited for, for a while. */
static void test_session_slots_become_free(void **state)
{
    (void)state;
    static const uint32_t codes[] = {TPM2_RC_CONTEXT_GAP, TPM2_RC_SESSION_MEMORY,
                                     TPM2_RC_SESSION_HANDLES};
    struct seat s;
    seat_define(&s, false);
    for (size_t i = 0; i < COUNT(codes); i++) {
        put_off_next(TPM2_CC_StartAuthSession, codes[i], 3);
        assert_opens(&s, pin, CKR_OK);
    }
    seat_end(&s);
}

static void test_session_slots_stay_taken(void **state)
{
    (void)state;
    struct seat s;
    struct timespec before, after;
    seat_define(&s, false);
    put_off_next(TPM2_CC_StartAuthSession, TPM2_RC_SESSION_MEMORY, UINT32_MAX);
    clock_gettime(CLOCK_MONOTONIC, &before);
    forget_log();
    assert_opens(&s, pin, CKR_DEVICE_ERROR);
    assert_true(logged("session slot"));
    clock_gettime(CLOCK_MONOTONIC, &after);
    assert_in_range(after.tv_sec - before.tv_sec, 1, 10);
    tap.before = NULL;
    assert_opens(&s, pin, CKR_OK);
    seat_end(&s);
}

/* ---- wrong authorizations are given once ---------------------------------------------------- */

static void test_wrong_pin_is_given_once(void **state)
{
    (void)state;
    struct seat s;
    seat_define(&s, false);
    tap_clear();
    assert_opens(&s, wrong, CKR_PIN_INCORRECT);
    unsigned first = tap_count(TPM2_CC_NV_Read);
    for (size_t i = 0; i < tap.n; i++) /* the TPM's own RETRY after its start is no try */
        first -= tap.log[i].code == TPM2_CC_NV_Read && tap.log[i].rc == TPM2_RC_RETRY;
    assert_int_equal(first, 1);
    assert_int_equal(swtpm_lockout_counter(&fx.swtpm), 1);
    swtpm_reset_lockout(&fx.swtpm);
    seat_end(&s);
}

/* Whatever code NV_Read ends with, if it is none of those that mean "not executed". */
static void test_nv_read_is_not_repeated(void **state)
{
    (void)state;
    static const struct {
        uint32_t rc;
        CK_RV rv;
    } rows[] = {
        {0x98E, CKR_PIN_INCORRECT}, {0x9A2, CKR_PIN_INCORRECT}, {0x921, CKR_PIN_LOCKED},
        {0x101, CKR_DEVICE_ERROR},  {0x100, CKR_DEVICE_ERROR},  {0x149, CKR_DEVICE_ERROR},
        {0x14A, CKR_DEVICE_ERROR},  {0x904, CKR_DEVICE_MEMORY}, {0xFFFFFFFF, CKR_DEVICE_ERROR},
    };
    struct seat s;
    seat_define(&s, false);
    for (size_t i = 0; i < COUNT(rows); i++) {
        put_off_next(TPM2_CC_NV_Read, rows[i].rc, 1);
        assert_opens(&s, pin, rows[i].rv);
        assert_int_equal(tap_count(TPM2_CC_NV_Read), 1);
    }
    assert_opens(&s, pin, CKR_OK);
    seat_end(&s);
}

/* ---- a connection that breaks --------------------------------------------------------------- */

static struct {
    uint32_t code;
    unsigned nth; /* from 1; 0: none any more */
    bool answer;  /* the TPM executed it, the answer is lost */
} lost;

static bool strikes(const struct exchange *e)
{
    if (lost.nth == 0 || (lost.code && e->code != lost.code))
        return false;
    return --lost.nth == 0;
}

static enum tap_verdict lose_before(struct exchange *e)
{
    return !lost.answer && strikes(e) ? TAP_LOSE : TAP_PASS;
}

static enum tap_verdict lose_after(struct exchange *e)
{
    return lost.answer && strikes(e) ? TAP_LOSE : TAP_PASS;
}

static void lose(uint32_t code, unsigned nth, bool answer)
{
    lost.code = code;
    lost.nth = nth;
    lost.answer = answer;
    tap.before = lose_before;
    tap.after = lose_after;
    tap_clear();
}

/* A signature made twice is no harm; the caller sees nothing. */
static void test_lost_signature(void **state)
{
    (void)state;
    struct pair key;
    uint8_t signature[64];
    CLEANUP(soft_key_free) struct soft_key *public_ = NULL;
    pair_ec(&key, CURVE_P256);
    assert_ok(soft_key_ec(CURVE_P256, buf_bytes(&key.made.point), &public_));
    for (int answer = 0; answer < 2; answer++) {
        assert_ok(tpm_ecdsa(fx.tpm, &key.key, CURVE_P256, BYTES_OF(hash), signature));
        lose(TPM2_CC_Sign, 1, answer);
        assert_ok(tpm_ecdsa(fx.tpm, &key.key, CURVE_P256, BYTES_OF(hash), signature));
        assert_ok(soft_ecdsa_verify(public_, BYTES_OF(hash), BYTES_OF(signature)));
        assert_int_equal(tap.opened, 1); /* a new connection */
    }
    pair_free(&key);
}

static void test_lost_reading(void **state)
{
    (void)state;
    struct tpm_lockout lockout;
    const struct tpm_parent parent = srk();
    for (int answer = 0; answer < 2; answer++) {
        lose(TPM2_CC_GetCapability, 1, answer);
        assert_ok(tpm_get_lockout(fx.tpm, &lockout));
        lose(TPM2_CC_ReadPublic, 1, answer);
        assert_ok(tpm_check_parent(fx.tpm, &parent));
    }
}

/* A change of PIN whose answer was lost is settled by the signed branch, which needs neither PIN
 * and counts nothing; a creation is not sent again when nobody knows whether it was executed. */
static void test_lost_change_is_settled(void **state)
{
    (void)state;
    struct seat s;
    const struct tpm_parent parent = srk();
    struct tpm_key_made made = {0};
    seat_define(&s, false);
    const struct tpm_seat seat = seat_of(&s);
    lose(TPM2_CC_NV_ChangeAuth, 1, true);
    assert_ok(tpm_seat_change(fx.tpm, &parent, &seat, BYTES_OF(pin), BYTES_OF(seed),
                              BYTES_OF(other_pin)));
    assert_int_equal(tap_count(TPM2_CC_NV_ChangeAuth), 2);
    assert_int_equal(tap_count(TPM2_CC_PolicySigned), 1);
    tap_reset();
    assert_opens(&s, other_pin, CKR_OK);
    lose(TPM2_CC_Create, 1, false);
    assert_rv(CKR_DEVICE_ERROR, tpm_make_ec(fx.tpm, &parent, BYTES_OF(pin), CURVE_P256, &made));
    assert_int_equal(tap_count(TPM2_CC_Create), 0);
    tap_reset();
    seat_end(&s);
}

static void test_lost_login_counts_nothing(void **state)
{
    (void)state;
    struct seat s;
    const struct tpm_parent parent = srk();
    seat_define(&s, false);
    const struct tpm_seat seat = seat_of(&s);
    for (unsigned nth = 1; nth <= 3; nth++)
        for (int answer = 0; answer < 2; answer++) {
            struct secret secret = {0};
            lose(0, nth, answer);
            CK_RV rv = tpm_seat_open(fx.tpm, &parent, &seat, BYTES_OF(pin), &secret);
            assert_true(rv == CKR_OK || rv == CKR_DEVICE_ERROR);
            secret_free(&secret);
        }
    tap_reset();
    assert_opens(&s, pin, CKR_OK);
    assert_int_equal(swtpm_lockout_counter(&fx.swtpm), 0);
    seat_end(&s);
    swtpm_reset(&fx.swtpm); /* the answer with the session's handle was lost once */
}

/* A handle whose FlushContext got lost would keep a slot of the TPM for ever. */
static void test_lost_flush_is_repeated(void **state)
{
    (void)state;
    struct pair keys[3];
    uint8_t signature[64];
    for (size_t i = 0; i < COUNT(keys); i++)
        pair_ec(&keys[i], CURVE_P256);
    for (size_t i = 0; i < 9; i++) {
        lose(TPM2_CC_FlushContext, 1, i % 2);
        assert_ok(tpm_ecdsa(fx.tpm, &keys[i % 3].key, CURVE_P256, BYTES_OF(hash), signature));
        assert_in_range(swtpm_handles(&fx.swtpm, 0x80), 1, RESIDENT_KEYS);
    }
    tap_reset();
    for (size_t i = 0; i < COUNT(keys); i++)
        pair_free(&keys[i]);
}

/* Everything lost at every place: no call succeeds without having done it, none hangs, and the one
 * after it works. */
static void test_lost_anywhere(void **state)
{
    (void)state;
    struct pair keys[3];
    uint8_t signature[64];
    for (size_t i = 0; i < COUNT(keys); i++)
        pair_ec(&keys[i], CURVE_P256);
    for (unsigned nth = 1; nth <= 6; nth++)
        for (int answer = 0; answer < 2; answer++) {
            lose(0, nth, answer);
            CK_RV rv = tpm_ecdsa(fx.tpm, &keys[nth % 3].key, CURVE_P256, BYTES_OF(hash), signature);
            assert_true(rv == CKR_OK || rv == CKR_DEVICE_ERROR);
            tap_reset();
            assert_ok(
                tpm_ecdsa(fx.tpm, &keys[(nth + 1) % 3].key, CURVE_P256, BYTES_OF(hash), signature));
        }
    for (size_t i = 0; i < COUNT(keys); i++)
        pair_free(&keys[i]);
    swtpm_reset(&fx.swtpm); /* as above */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TPM_TEST(test_signature_is_put_off),
        TPM_TEST(test_login_is_put_off),
        TPM_TEST(test_creation_is_put_off),
        TPM_TEST(test_change_of_pin_is_put_off),
        TPM_TEST(test_session_slots_become_free),
        TPM_TEST(test_session_slots_stay_taken),
        TPM_TEST(test_wrong_pin_is_given_once),
        TPM_TEST(test_nv_read_is_not_repeated),
        TPM_TEST(test_lost_signature),
        TPM_TEST(test_lost_reading),
        TPM_TEST(test_lost_change_is_settled),
        TPM_TEST(test_lost_login_counts_nothing),
        TPM_TEST(test_lost_flush_is_repeated),
        TPM_TEST(test_lost_anywhere),
    };
    return cmocka_run_group_tests_name("tpm/replay", tests, group_start, group_stop);
}
