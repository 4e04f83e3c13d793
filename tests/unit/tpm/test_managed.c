/* Behind a resource manager: tpm2-abrmd on a bus of its own. No session stays between calls, since
 * an idle one hurts every other client of that TPM. */
#include "limits.h"

#include <fcntl.h>
#include <pthread.h>

/* As tpm_test.h does with the swtpm starter. */
#include "../../lib/broker.c"

static char broker_tcti[] = BROKER_TCTI;

static bool broker_answers(void)
{
    for (int i = 0; i < 100; i++) {
        struct tpm_lockout lockout;
        struct tpm *t = NULL;
        bool ok = tpm_new(&fx.config, &t) == CKR_OK && tpm_get_lockout(t, &lockout) == CKR_OK;
        tpm_free(&t);
        if (ok)
            return true;
        sleep_ms(50);
    }
    return false;
}

static bool installed;

static int start(void **state)
{
    installed = broker_installed();
    if (group_start(state) != 0)
        return -1;
    if (!installed)
        return 0;
    if (!broker_start(fx.tcti))
        return -1;
    fx.config.tcti = broker_tcti;
    return broker_answers() ? 0 : -1;
}

static int stop(void **state)
{
    broker_stop();
    return group_stop(state);
}

static int start_one(void **state)
{
    return installed ? test_start(state) : 0;
}

static int stop_one(void **state)
{
    if (!installed)
        return 0;
    (void)state;
    tpm_free(&fx.tpm);
    tpm_parent_free(&fx.srk);
    fx.srk = (struct tpm_parent_owned){0};
    return secret_in_use() == 0 ? 0 : -1;
}

static unsigned sessions(void)
{
    return swtpm_handles(&fx.swtpm, 0x02) + swtpm_handles(&fx.swtpm, 0x03);
}

static void assert_signs(struct tpm *t, const struct pair *p)
{
    static const uint8_t hash[32] = {5};
    CLEANUP(soft_key_free) struct soft_key *public_ = NULL;
    uint8_t signature[64];
    assert_ok(soft_key_ec(CURVE_P256, buf_bytes(&p->made.point), &public_));
    assert_ok(tpm_ecdsa(t, &p->key, CURVE_P256, BYTES_OF(hash), signature));
    assert_ok(soft_ecdsa_verify(public_, BYTES_OF(hash), BYTES_OF(signature)));
}

static void test_no_lock_file(void **state)
{
    (void)state;
    if (!installed)
        skip();
    assert_true(fx.tpm->managed);
    assert_int_equal(fx.tpm->lock.fd, -1);
    assert_int_equal(fx.tpm->lock.path[0], 0);
}

/* resource-manager says what the tcti's name does not. */
static void test_told_otherwise(void **state)
{
    (void)state;
    struct tpm_lockout lockout;
    struct tpm *t = NULL;
    if (!installed)
        skip();
    fx.config.manager = MANAGER_NO;
    fx.config.lock_dir = fx.dir;
    assert_ok(tpm_new(&fx.config, &t));
    assert_ok(tpm_get_lockout(t, &lockout));
    assert_false(t->managed);
    assert_true(t->lock.fd >= 0);
    tpm_free(&t);
    fx.config.manager = MANAGER_YES;
    fx.config.lock_dir = NULL;
    fx.config.tcti = fx.tcti;
    assert_ok(tpm_new(&fx.config, &t));
    assert_ok(tpm_get_lockout(t, &lockout));
    assert_true(t->managed);
    assert_int_equal(t->lock.fd, -1);
    tpm_free(&t);
    fx.config.manager = MANAGER_AUTO;
    fx.config.tcti = broker_tcti;
}

static void test_keys_in_rotation(void **state)
{
    (void)state;
    struct pair keys[5];
    if (!installed)
        skip();
    for (size_t i = 0; i < COUNT(keys); i++)
        pair_ec(&keys[i], CURVE_P256);
    for (int i = 0; i < 40; i++) { /* more than the broker's 28 objects of one client */
        assert_signs(fx.tpm, &keys[i % 5]);
        assert_int_equal(sessions(), 0);
        assert_int_equal(fx.tpm->session.handle, 0);
    }
    for (size_t i = 0; i < COUNT(keys); i++)
        pair_free(&keys[i]);
}

static void test_steady_signature_is_two_commands(void **state)
{
    (void)state;
    struct pair key;
    if (!installed)
        skip();
    pair_ec(&key, CURVE_P256);
    assert_signs(fx.tpm, &key);
    tap_clear();
    for (int i = 0; i < 10; i++)
        assert_signs(fx.tpm, &key);
    assert_int_equal(tap_commands(), 20);
    fx.config.password_session = true;
    tap_clear();
    for (int i = 0; i < 10; i++)
        assert_signs(fx.tpm, &key);
    fx.config.password_session = false;
    assert_int_equal(tap_commands(), 10);
    pair_free(&key);
}

/* More calls than the broker's four sessions of one client; errors do not leave any either. */
static void test_seats_leave_no_session(void **state)
{
    (void)state;
    struct seat nv, sealed;
    if (!installed)
        skip();
    const struct tpm_parent parent = srk();
    seat_define(&nv, false);
    seat_seal(&sealed, false);
    const struct tpm_seat seat = seat_of(&nv);
    for (int i = 0; i < 6; i++) {
        assert_opens(&nv, pin, CKR_OK);
        assert_int_equal(sessions(), 0);
        assert_opens(&sealed, pin, CKR_OK);
        assert_int_equal(sessions(), 0);
        assert_opens(&nv, wrong, CKR_PIN_INCORRECT);
        assert_int_equal(sessions(), 0);
        assert_ok(tpm_seat_change(fx.tpm, &parent, &seat, BYTES_OF(pin), BYTES_OF(seed),
                                  BYTES_OF(other_pin)));
        assert_int_equal(sessions(), 0);
        assert_ok(tpm_seat_reset(fx.tpm, &parent, &seat, BYTES_OF(seed), BYTES_OF(pin)));
        assert_int_equal(sessions(), 0);
    }
    assert_int_equal(swtpm_lockout_counter(&fx.swtpm), 6);
    swtpm_reset_lockout(&fx.swtpm);
    seat_end(&nv);
    seat_end(&sealed);
}

static void test_limits_leave_no_session(void **state)
{
    (void)state;
    struct limited l;
    if (!installed)
        skip();
    fx.config.lock_dir = fx.dir;
    limit_start(&l);
    for (int i = 0; i < 6; i++) {
        assert_limit_opens(&l, wrong, CKR_PIN_INCORRECT);
        assert_int_equal(sessions(), 0);
        assert_limit_opens(&l, pin, CKR_OK);
        assert_int_equal(sessions(), 0);
        assert_ok(limit_change(&l, pin));
        assert_int_equal(sessions(), 0);
    }
    for (int i = 0; i < TRIES; i++)
        assert_limit_opens(&l, wrong, CKR_PIN_INCORRECT);
    assert_limit_opens(&l, pin, CKR_PIN_LOCKED);
    assert_int_equal(sessions(), 0);
    assert_int_equal(swtpm_lockout_counter(&fx.swtpm), 0);
    limit_end(&l);
    fx.config.lock_dir = NULL;
}

/* Each with a connection of its own, as two processes have. */
struct changer {
    const struct limited *limited;
    const uint8_t *auth;
    struct tpm *tpm;
    CK_RV rv;
};

static void *change_once(void *argument)
{
    struct changer *c = argument;
    const struct tpm_parent parent = srk();
    const struct tpm_seat seat = seat_of(&c->limited->seat);
    c->rv = tpm_limit_change(c->tpm, &parent, &seat, &c->limited->limit, BYTES_OF(seed),
                             BYTES(c->auth, TPM_AUTH));
    return NULL;
}

static void change_both(struct changer changer[2])
{
    pthread_t thread[2];
    tap.n = TAP_LOG; /* the wire's log is one thread's */
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, change_once, &changer[i]), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_join(thread[i], NULL), 0);
}

/* No lock guards single commands here; a change is several. */
static void test_two_change_the_pin(void **state)
{
    (void)state;
    struct limited l;
    bool unsettled;
    if (!installed)
        skip();
    fx.config.lock_dir = fx.dir;
    limit_define(&l, 50);
    struct changer changer[2] = {{&l, pin, NULL, CKR_OK}, {&l, other_pin, NULL, CKR_OK}};
    for (int i = 0; i < 2; i++)
        assert_ok(tpm_new(&fx.config, &changer[i].tpm));
    for (int round = 0; round < 10; round++) {
        change_both(changer);
        assert_ok(changer[0].rv);
        assert_ok(changer[1].rv);
        bool first = opens(&l, pin, &unsettled) == CKR_OK;
        bool second = opens(&l, other_pin, &unsettled) == CKR_OK;
        assert_true(first != second);
    }
    assert_int_equal(swtpm_lockout_counter(&fx.swtpm), 0);
    for (int i = 0; i < 2; i++)
        tpm_free(&changer[i].tpm);
    limit_end(&l);
    fx.config.lock_dir = NULL;
}

static void test_two_clients(void **state)
{
    (void)state;
    struct pair keys[3];
    struct tpm *other = NULL;
    if (!installed)
        skip();
    for (size_t i = 0; i < COUNT(keys); i++)
        pair_ec(&keys[i], CURVE_P256);
    assert_ok(tpm_new(&fx.config, &other));
    for (int i = 0; i < 20; i++) {
        assert_signs(fx.tpm, &keys[i % 3]);
        assert_signs(other, &keys[(i + 1) % 3]);
    }
    tpm_free(&other);
    assert_signs(fx.tpm, &keys[0]);
    for (size_t i = 0; i < COUNT(keys); i++)
        pair_free(&keys[i]);
}

/* A sequence is an object of its own, whose parts find it again in sessions of their own. */
static void test_long_hmac(void **state)
{
    (void)state;
    static const uint8_t value[32] = {7}, text[3000] = {9};
    uint8_t ours[32], theirs[32];
    struct pair key = {0};
    if (!installed)
        skip();
    const struct tpm_parent parent = srk();
    const struct bytes message = BYTES_OF(text);
    fill(key.auth, sizeof(key.auth), 3);
    assert_ok(tpm_make_hmac(fx.tpm, &parent, BYTES_OF(key.auth), BYTES_OF(value), &key.made));
    pair_key(&key);
    assert_ok(soft_hmac(HASH_SHA256, BYTES_OF(value), &message, 1, theirs));
    for (int i = 0; i < 6; i++) {
        assert_ok(tpm_hmac(fx.tpm, &key.key, HASH_SHA256, message, ours));
        assert_memory_equal(ours, theirs, sizeof(theirs));
        assert_int_equal(sessions(), 0);
    }
    pair_free(&key);
}

#define MANAGED_TEST(f) cmocka_unit_test_setup_teardown(f, start_one, stop_one)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MANAGED_TEST(test_no_lock_file),
        MANAGED_TEST(test_told_otherwise),
        MANAGED_TEST(test_keys_in_rotation),
        MANAGED_TEST(test_steady_signature_is_two_commands),
        MANAGED_TEST(test_seats_leave_no_session),
        MANAGED_TEST(test_long_hmac),
        MANAGED_TEST(test_two_clients),
        MANAGED_TEST(test_limits_leave_no_session),
        MANAGED_TEST(test_two_change_the_pin),
    };
    return cmocka_run_group_tests_name("tpm/managed", tests, start, stop);
}
