/* Residency: keys and the session that stay in the TPM between calls, and how they come back. */
#include "tpm_test.h"

#include <openssl/bn.h>
#include <openssl/ecdsa.h>

static const uint8_t hash[32] = {0xAB, 1, 2, 3, [31] = 4};

/* The signature is the key's own: another key's slot under its handle would show. */
static void assert_signs(struct tpm *t, const struct pair *p)
{
    CLEANUP(soft_key_free) struct soft_key *public_ = NULL;
    uint8_t signature[64];
    assert_ok(soft_key_ec(CURVE_P256, buf_bytes(&p->made.point), &public_));
    assert_ok(tpm_ecdsa(t, &p->key, CURVE_P256, BYTES_OF(hash), signature));
    assert_ok(soft_ecdsa_verify(public_, BYTES_OF(hash), BYTES_OF(signature)));
}

static void make_keys(struct pair *keys, size_t n)
{
    for (size_t i = 0; i < n; i++)
        pair_ec(&keys[i], CURVE_P256);
    tap_clear();
}

static void free_keys(struct pair *keys, size_t n)
{
    for (size_t i = 0; i < n; i++)
        pair_free(&keys[i]);
}

static unsigned loads(void)
{
    return tap_count(TPM2_CC_Load) + tap_count(TPM2_CC_ContextLoad);
}

/* ---- one, two, five keys ------------------------------------------------------------------- */

static void test_one_key(void **state)
{
    (void)state;
    struct pair key;
    make_keys(&key, 1);
    assert_signs(fx.tpm, &key);
    assert_in_range(tap_commands(), 1, 3);
    assert_int_equal(loads(), 1);
    tap_clear();
    for (int i = 0; i < 20; i++)
        assert_signs(fx.tpm, &key);
    assert_int_equal(tap_commands(), 20); /* nothing but TPM2_Sign */
    assert_int_equal(swtpm_handles(&fx.swtpm, 0x80), 1);
    assert_int_equal(swtpm_handles(&fx.swtpm, 0x02), 1);
    free_keys(&key, 1);
}

static void test_two_keys_both_stay(void **state)
{
    (void)state;
    struct pair keys[2];
    make_keys(keys, 2);
    for (int i = 0; i < 20; i++)
        assert_signs(fx.tpm, &keys[i % 2]);
    assert_int_equal(loads(), 2);
    assert_int_equal(tap_count(TPM2_CC_FlushContext), 0);
    assert_int_equal(swtpm_handles(&fx.swtpm, 0x80), 2);
    free_keys(keys, 2);
}

static void test_five_keys_in_rotation(void **state)
{
    (void)state;
    struct pair keys[5];
    make_keys(keys, 5);
    for (int i = 0; i < 50; i++) {
        assert_signs(fx.tpm, &keys[i % 5]);
        assert_in_range(swtpm_handles(&fx.swtpm, 0x80), 1, RESIDENT_KEYS);
        assert_int_equal(swtpm_handles(&fx.swtpm, 0x02), 1);
    }
    assert_in_range(tap_count(TPM2_CC_Load), 5, 15); /* the rest came back as saved contexts */
    assert_int_not_equal(tap_count(TPM2_CC_ContextLoad), 0);
    free_keys(keys, 5);
}

/* The least recently used one goes. */
static void test_the_busy_key_stays(void **state)
{
    (void)state;
    struct pair keys[4];
    make_keys(keys, 4);
    assert_signs(fx.tpm, &keys[0]);
    tap_clear();
    for (int i = 0; i < 12; i++) {
        assert_signs(fx.tpm, &keys[0]);
        assert_signs(fx.tpm, &keys[1 + i % 3]);
    }
    assert_int_equal(loads(), 12); /* none of them keys[0] */
    free_keys(keys, 4);
}

static void test_drop_frees_the_slot(void **state)
{
    (void)state;
    struct pair keys[2];
    make_keys(keys, 2);
    assert_signs(fx.tpm, &keys[0]);
    assert_signs(fx.tpm, &keys[1]);
    tpm_key_drop(fx.tpm, keys[0].key.pub);
    assert_int_equal(swtpm_handles(&fx.swtpm, 0x80), 1);
    tap_clear();
    assert_signs(fx.tpm, &keys[1]);
    assert_int_equal(loads(), 0);
    tpm_key_drop(fx.tpm, keys[0].key.pub); /* not resident: no command */
    assert_int_equal(tap_commands(), 1);
    assert_signs(fx.tpm, &keys[0]);
    free_keys(keys, 2);
}

/* ---- lost --------------------------------------------------------------------------------- */

/* Somebody else's TPM2_FlushContext. */
static void stranger_flushes(TPM2_HANDLE handle)
{
    uint8_t response[64], request[] = {0x80,
                                       1,
                                       0,
                                       0,
                                       0,
                                       14,
                                       0,
                                       0,
                                       1,
                                       0x65,
                                       (uint8_t)(handle >> 24),
                                       (uint8_t)(handle >> 16),
                                       (uint8_t)(handle >> 8),
                                       (uint8_t)handle};
    assert_int_equal(
        swtpm_exchange(fx.swtpm.socket, request, sizeof(request), response, sizeof(response)), 10);
    assert_int_equal(tap_u32(response + 6), 0);
}

static void test_key_flushed_by_a_stranger(void **state)
{
    (void)state;
    struct pair key;
    make_keys(&key, 1);
    assert_signs(fx.tpm, &key);
    stranger_flushes(fx.tpm->key[0].handle);
    assert_signs(fx.tpm, &key);
    free_keys(&key, 1);
}

static void test_session_flushed_by_a_stranger(void **state)
{
    (void)state;
    struct pair key;
    make_keys(&key, 1);
    assert_signs(fx.tpm, &key);
    stranger_flushes(fx.tpm->session.handle);
    assert_signs(fx.tpm, &key);
    free_keys(&key, 1);
}

static void test_everything_flushed_by_a_stranger(void **state)
{
    (void)state;
    struct pair keys[2];
    make_keys(keys, 2);
    assert_signs(fx.tpm, &keys[0]);
    assert_signs(fx.tpm, &keys[1]);
    stranger_flushes(fx.tpm->session.handle);
    stranger_flushes(fx.tpm->key[0].handle);
    stranger_flushes(fx.tpm->key[1].handle);
    assert_signs(fx.tpm, &keys[0]);
    assert_signs(fx.tpm, &keys[1]);
    assert_int_equal(swtpm_handles(&fx.swtpm, 0x80), 2);
    free_keys(keys, 2);
}

static unsigned spoilt;

/* ContextLoad answers a handle and nothing that vouches for it. */
static enum tap_verdict spoil_context_load(struct exchange *e)
{
    if (e->code == TPM2_CC_ContextLoad && e->response_n == 14 && spoilt++ == 0)
        e->response[e->response_n - 1] ^= 0xFF;
    return TAP_PASS;
}

/* The key is loaded under a handle that nobody was told: it goes by its Name, or the slot is lost.
 */
static void test_handle_spoilt_on_its_way(void **state)
{
    (void)state;
    struct pair keys[3];
    make_keys(keys, 3);
    spoilt = 0;
    tap.after = spoil_context_load;
    for (int i = 0; i < 12; i++)
        assert_signs(fx.tpm, &keys[i % 3]);
    assert_true(spoilt > 0);
    assert_in_range(swtpm_handles(&fx.swtpm, 0x80), 1, RESIDENT_KEYS);
    free_keys(keys, 3);
}

/* The session's nonces are not what the TPM has: it answers 0x9A2, which a key outside
 * dictionary-attack protection does not count. */
static void test_session_out_of_step(void **state)
{
    (void)state;
    struct pair key;
    make_keys(&key, 1);
    assert_signs(fx.tpm, &key);
    fill(fx.tpm->session.nonce_tpm, NONCE, 3);
    assert_signs(fx.tpm, &key);
    assert_int_equal(swtpm_lockout_counter(&fx.swtpm), 0);
    free_keys(&key, 1);
}

static void test_wrong_key_authorization_ends(void **state)
{
    (void)state;
    struct pair key;
    uint8_t signature[64];
    make_keys(&key, 1);
    key.auth[3] ^= 1;
    assert_rv(CKR_DEVICE_ERROR, tpm_ecdsa(fx.tpm, &key.key, CURVE_P256, BYTES_OF(hash), signature));
    assert_in_range(tap_count(TPM2_CC_Sign), 1, 4);
    assert_int_equal(swtpm_lockout_counter(&fx.swtpm), 0);
    key.auth[3] ^= 1;
    assert_signs(fx.tpm, &key);
    free_keys(&key, 1);
}

static void test_reset_of_the_tpm(void **state)
{
    (void)state;
    struct pair keys[4];
    make_keys(keys, 4);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 8; i++)
            assert_signs(fx.tpm, &keys[i % 4]);
        swtpm_reset(&fx.swtpm);
        assert_int_equal(slots_taken(), 0);
    }
    for (int i = 0; i < 8; i++)
        assert_signs(fx.tpm, &keys[i % 4]);
    free_keys(keys, 4);
}

static void test_restart_of_the_tpm(void **state)
{
    (void)state;
    struct pair key;
    make_keys(&key, 1);
    assert_signs(fx.tpm, &key);
    swtpm_stop(&fx.swtpm);
    uint8_t signature[64];
    assert_rv(CKR_DEVICE_ERROR, tpm_ecdsa(fx.tpm, &key.key, CURVE_P256, BYTES_OF(hash), signature));
    swtpm_restart(&fx.swtpm);
    assert_signs(fx.tpm, &key);
    free_keys(&key, 1);
}

/* ---- slots taken by others ----------------------------------------------------------------- */

static TPM2_HANDLE stranger_loads(void)
{
    /* TPM2_CreatePrimary, owner, empty password, TCG ECC template */
    static const uint8_t request[] = {0x80, 2, 0, 0, 0,    113, 0,    0, 1,    0x31, 0x40, 0, 0, 1,
                                      0,    0, 0, 9, 0x40, 0,   0,    9, 0,    0,    0,    0, 0, 0,
                                      4,    0, 0, 0, 0,    0,   26,   0, 0x23, 0,    0x0B, 0, 3, 4,
                                      0x72, 0, 0, 0, 6,    0,   0x80, 0, 0x43, 0,    0x10, 0, 3, 0,
                                      0x10, 0, 0, 0, 0,    0,   0,    0, 0,    0,    0};
    uint8_t response[1024], sized[sizeof(request)];
    memcpy(sized, request, sizeof(request));
    sized[5] = (uint8_t)sizeof(request);
    assert_in_range(
        swtpm_exchange(fx.swtpm.socket, sized, sizeof(sized), response, sizeof(response)), 14,
        sizeof(response));
    assert_int_equal(tap_u32(response + 6), 0);
    return tap_u32(response + 10);
}

/* A persistent parent takes a slot while something is loaded under it, so with one slot taken one
 * key at a time has room. */
static void test_one_slot_taken_by_a_stranger(void **state)
{
    (void)state;
    struct pair keys[3];
    make_keys(keys, 3);
    assert_signs(fx.tpm, &keys[0]);
    TPM2_HANDLE taken = stranger_loads();
    for (int i = 0; i < 9; i++)
        assert_signs(fx.tpm, &keys[i % 3]);
    stranger_flushes(taken);
    free_keys(keys, 3);
}

static void test_all_slots_taken_by_a_stranger(void **state)
{
    (void)state;
    struct pair key;
    uint8_t signature[64];
    make_keys(&key, 1);
    TPM2_HANDLE taken[3] = {stranger_loads(), stranger_loads(), stranger_loads()};
    assert_rv(CKR_DEVICE_MEMORY,
              tpm_ecdsa(fx.tpm, &key.key, CURVE_P256, BYTES_OF(hash), signature));
    for (int i = 0; i < 3; i++)
        stranger_flushes(taken[i]);
    assert_signs(fx.tpm, &key);
    free_keys(&key, 1);
}

/* ---- two owners ---------------------------------------------------------------------------- */

static void test_two_owners_alternate(void **state)
{
    (void)state;
    struct pair keys[2];
    struct tpm *other = NULL;
    make_keys(keys, 2);
    assert_ok(tpm_new(&fx.config, &other));
    for (int i = 0; i < 10; i++) {
        assert_signs(fx.tpm, &keys[i % 2]);
        assert_signs(other, &keys[(i + 1) % 2]);
        assert_in_range(swtpm_handles(&fx.swtpm, 0x80), 1, RESIDENT_KEYS);
        assert_int_equal(swtpm_handles(&fx.swtpm, 0x02), 1);
    }
    tpm_free(&other);
    assert_int_equal(slots_taken(), 0);
    free_keys(keys, 2);
}

/* A process that was killed: its handles stay in the TPM until the next owner comes. */
static void test_abandoned_owner_is_cleaned_up_after(void **state)
{
    (void)state;
    struct pair keys[3];
    struct tpm *other = NULL;
    make_keys(keys, 3);
    for (int round = 0; round < 4; round++) {
        assert_ok(tpm_new(&fx.config, &other));
        assert_signs(other, &keys[0]);
        assert_signs(other, &keys[1]);
        assert_int_equal(slots_taken(), 3);
        tpm_abandon(&other);
        assert_null(other);
        assert_int_equal(slots_taken(), 3);
    }
    assert_signs(fx.tpm, &keys[2]);
    assert_int_equal(slots_taken(), 2);
    free_keys(keys, 3);
}

/* Killed in the middle of a call, right after the TPM made a handle: not recorded as resident yet.
 */
static uint32_t die_after;

static enum tap_verdict end_process_here(struct exchange *e)
{
    if (e->code == die_after)
        raise(SIGKILL);
    return TAP_PASS;
}

static void killed_in(uint32_t code, unsigned slots_left)
{
    struct pair keys[2];
    make_keys(keys, 2);
    for (int i = 0; i < 4; i++) { /* more often than there are slots */
        pid_t pid = fork();
        if (pid == 0) {
            struct tpm *own = NULL;
            uint8_t signature[64];
            die_after = code;
            tap.after = end_process_here;
            if (tpm_new(&fx.config, &own) == CKR_OK)
                (void)!tpm_ecdsa(own, &keys[0].key, CURVE_P256, BYTES_OF(hash), signature);
            _exit(1);
        }
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, SIGKILL);
        assert_in_range(slots_taken(), 0, slots_left);
    }
    assert_signs(fx.tpm, &keys[1]);
    assert_int_equal(slots_taken(), 2);
    free_keys(keys, 2);
}

static void test_killed_after_load(void **state)
{
    (void)state;
    killed_in(TPM2_CC_Load, 1);
}

static void test_killed_after_starting_a_session(void **state)
{
    (void)state;
    killed_in(TPM2_CC_StartAuthSession, 2);
}

static void test_killed_after_signing(void **state)
{
    (void)state;
    killed_in(TPM2_CC_Sign, 2);
}

static void test_owner_that_ends_leaves_nothing(void **state)
{
    (void)state;
    struct pair key;
    struct tpm *other = NULL;
    make_keys(&key, 1);
    assert_ok(tpm_new(&fx.config, &other));
    assert_signs(other, &key);
    tpm_free(&other);
    assert_int_equal(slots_taken(), 0);
    assert_ok(tpm_new(&fx.config, &other)); /* never connected: nothing to flush */
    tap_clear();
    tpm_free(&other);
    assert_int_equal(tap_commands(), 0);
    assert_int_equal(tap.opened, 0);
    free_keys(&key, 1);
}

/* ---- the opt-out --------------------------------------------------------------------------- */

static void test_password_session(void **state)
{
    (void)state;
    struct pair key;
    make_keys(&key, 1);
    fx.config.password_session = true;
    assert_signs(fx.tpm, &key);
    assert_signs(fx.tpm, &key);
    fx.config.password_session = false;
    assert_int_equal(tap_count(TPM2_CC_StartAuthSession), 0);
    assert_int_equal(tap_commands(), 3);
    assert_true(tap_carries(key.auth, sizeof(key.auth))); /* that is what the opt-out costs */
    free_keys(&key, 1);
}

/* ---- what cannot be made ------------------------------------------------------------------- */

static void test_keys_the_tpm_does_not_make(void **state)
{
    (void)state;
    struct tpm_key_made made = {0};
    const struct tpm_parent parent = srk();
    const uint8_t auth[TPM_AUTH] = {1};
    assert_rv(CKR_KEY_SIZE_RANGE, tpm_make_rsa(fx.tpm, &parent, BYTES_OF(auth), 4096, 0, &made));
    assert_rv(CKR_KEY_SIZE_RANGE, tpm_make_rsa(fx.tpm, &parent, BYTES_OF(auth), 2047, 0, &made));
    assert_int_not_equal(tpm_make_rsa(fx.tpm, &parent, BYTES_OF(auth), 2048, 3, &made), CKR_OK);
    assert_rv(CKR_CURVE_NOT_SUPPORTED,
              tpm_make_ec(fx.tpm, &parent, BYTES_OF(auth), CURVE_NONE, &made));
    assert_null(made.pub.p);
    assert_int_equal(slots_taken(), 0);
}

static void test_public_area_that_is_nonsense(void **state)
{
    (void)state;
    struct pair key;
    uint8_t signature[64];
    make_keys(&key, 1);
    for (size_t n = 0; n < key.key.pub.n; n++) {
        struct tpm_key cut = key.key;
        cut.pub.n = n;
        assert_int_not_equal(tpm_ecdsa(fx.tpm, &cut, CURVE_P256, BYTES_OF(hash), signature),
                             CKR_OK);
    }
    struct tpm_key cut = key.key;
    cut.priv.n -= 1;
    assert_int_not_equal(tpm_ecdsa(fx.tpm, &cut, CURVE_P256, BYTES_OF(hash), signature), CKR_OK);
    assert_signs(fx.tpm, &key);
    free_keys(&key, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TPM_TEST(test_one_key),
        TPM_TEST(test_two_keys_both_stay),
        TPM_TEST(test_five_keys_in_rotation),
        TPM_TEST(test_the_busy_key_stays),
        TPM_TEST(test_drop_frees_the_slot),
        TPM_TEST(test_key_flushed_by_a_stranger),
        TPM_TEST(test_session_flushed_by_a_stranger),
        TPM_TEST(test_everything_flushed_by_a_stranger),
        TPM_TEST(test_handle_spoilt_on_its_way),
        TPM_TEST(test_session_out_of_step),
        TPM_TEST(test_wrong_key_authorization_ends),
        TPM_TEST(test_reset_of_the_tpm),
        TPM_TEST(test_restart_of_the_tpm),
        TPM_TEST(test_one_slot_taken_by_a_stranger),
        TPM_TEST(test_all_slots_taken_by_a_stranger),
        TPM_TEST(test_two_owners_alternate),
        TPM_TEST(test_abandoned_owner_is_cleaned_up_after),
        TPM_TEST(test_killed_after_load),
        TPM_TEST(test_killed_after_starting_a_session),
        TPM_TEST(test_killed_after_signing),
        TPM_TEST(test_owner_that_ends_leaves_nothing),
        TPM_TEST(test_password_session),
        TPM_TEST(test_keys_the_tpm_does_not_make),
        TPM_TEST(test_public_area_that_is_nonsense),
    };
    return cmocka_run_group_tests_name("tpm/key", tests, group_start, group_stop);
}
