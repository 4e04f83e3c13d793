/* Seats: where a PIN opens the token secret, and what counts as a failed try. */
#include "seats.h"

#include <openssl/evp.h>

/* ---- the policy, computed once more from the specification --------------------------------- */

static void digest(uint8_t *ret, const struct bytes *parts, size_t n)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestInit_ex(ctx, EVP_sha256(), NULL), 1);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(EVP_DigestUpdate(ctx, parts[i].p, parts[i].n), 1);
    assert_int_equal(EVP_DigestFinal_ex(ctx, ret, NULL), 1);
    EVP_MD_CTX_free(ctx);
}

/* TPM 2.0 part 3, 23.11 and 23.17, with the command codes as bytes. */
static void old_pin_branch(uint8_t *ret)
{
    static const uint8_t policy_command_code[] = {0, 0, 1, 0x6C},
                         nv_change_auth[] = {0, 0, 1, 0x3B}, policy_auth_value[] = {0, 0, 1, 0x6B};
    uint8_t d[32] = {0};
    digest(d,
           (struct bytes[]){BYTES_OF(d), BYTES_OF(policy_command_code), BYTES_OF(nv_change_auth)},
           3);
    digest(ret, (struct bytes[]){BYTES_OF(d), BYTES_OF(policy_auth_value)}, 2);
}

static uint8_t index_policy[32], index_attributes[4];

static enum tap_verdict see_definition(struct exchange *e)
{
    if (e->code == TPM2_CC_NV_DefineSpace) {
        /* the public area ends the command: … attributes(4) size(2) policy(32) dataSize(2) */
        memcpy(index_policy, e->request + e->request_n - 34, 32);
        memcpy(index_attributes, e->request + e->request_n - 40, 4);
    }
    return TAP_PASS;
}

static void test_policy_digest(void **state)
{
    (void)state;
    static const uint8_t measured[] = {0xaa, 0x83, 0xa5, 0x98, 0xd9, 0x3a, 0x56, 0xc9,
                                       0xca, 0x6f, 0xea, 0x7c, 0x3f, 0xfc, 0x4e, 0x10,
                                       0x63, 0x57, 0xff, 0x6d, 0x93, 0xe1, 0x1a, 0x9b,
                                       0x4a, 0xc2, 0xb6, 0xaa, 0xe1, 0x2b, 0xa0, 0xde};
    static const uint8_t policy_signed[] = {0, 0, 1, 0x60}, policy_or[] = {0, 0, 1, 0x71},
                         policy_command_code[] = {0, 0, 1, 0x6C},
                         nv_change_auth[] = {0, 0, 1, 0x3B};
    uint8_t by_pin[32], by_signature[32] = {0}, both[32] = {0}, point[65];
    old_pin_branch(by_pin);
    assert_memory_equal(by_pin, measured, 32);
    /* the Name of the verification key, from its public area byte by byte (part 2, 12.2.4) */
    static const uint8_t head[] = {0, 0x23, 0, 0x0B, 0, 4, 0, 0x40, 0, 0,
                                   0, 0x10, 0, 0x10, 0, 3, 0, 0x10, 0, 32};
    static const uint8_t size[] = {0, 32}, sha256[] = {0, 0x0B};
    uint8_t name[34];
    assert_ok(soft_p256_public_from_seed(BYTES_OF(seed), point));
    memcpy(name, sha256, 2);
    digest(name + 2,
           (struct bytes[]){BYTES_OF(head), BYTES(point + 1, 32), BYTES_OF(size),
                            BYTES(point + 33, 32)},
           4);
    digest(by_signature,
           (struct bytes[]){BYTES_OF(by_signature), BYTES_OF(policy_signed), BYTES_OF(name)}, 3);
    digest(by_signature, (struct bytes[]){BYTES_OF(by_signature)}, 1); /* policyRef is empty */
    digest(by_signature,
           (struct bytes[]){BYTES_OF(by_signature), BYTES_OF(policy_command_code),
                            BYTES_OF(nv_change_auth)},
           3);
    digest(both,
           (struct bytes[]){BYTES_OF(both), BYTES_OF(policy_or), BYTES_OF(by_pin),
                            BYTES_OF(by_signature)},
           4);
    struct seat s;
    tap.before = see_definition;
    seat_define(&s, false);
    assert_memory_equal(index_policy, both, 32);
    /* part 2, 13.4: AUTHWRITE 2, WRITEDEFINE 13, AUTHREAD 18, and nothing else: no OWNERREAD */
    assert_int_equal(tap_u32(index_attributes), 1u << 2 | 1u << 13 | 1u << 18);
    seat_end(&s);
    seat_define(&s, true);
    assert_int_equal(tap_u32(index_attributes), 1u << 2 | 1u << 13 | 1u << 18 | 1u << 25);
    seat_end(&s);
}

/* ---- opening ------------------------------------------------------------------------------- */

static void test_nv_seat_opens(void **state)
{
    (void)state;
    struct seat s;
    seat_define(&s, false);
    assert_opens(&s, pin, CKR_OK);
    tap_clear();
    assert_opens(&s, pin, CKR_OK);
    /* StartAuthSession, NV_ReadPublic under it, NV_Read, and the former session's end */
    assert_int_equal(tap_count(TPM2_CC_StartAuthSession), 1);
    assert_int_equal(tap_count(TPM2_CC_NV_ReadPublic), 1);
    assert_int_equal(tap_count(TPM2_CC_NV_Read), 1);
    assert_in_range(tap_commands(), 3, 4);
    assert_int_equal(swtpm_lockout_counter(&fx.swtpm), 0);
    seat_end(&s);
}

static void test_first_login_is_three_commands(void **state)
{
    (void)state;
    struct seat s;
    seat_define(&s, false);
    tap_clear();
    assert_opens(&s, pin, CKR_OK);
    assert_int_equal(tap_commands(), 3);
    seat_end(&s);
}

static void wrong_pin_counts_once(void (*make)(struct seat *, bool))
{
    struct seat s;
    make(&s, false);
    assert_opens(&s, pin, CKR_OK);
    for (unsigned tries = 1; tries <= 3; tries++) {
        tap_clear();
        assert_opens(&s, wrong, CKR_PIN_INCORRECT);
        assert_int_equal(swtpm_lockout_counter(&fx.swtpm), tries);
        assert_int_equal(tap_count(TPM2_CC_NV_Read) + tap_count(TPM2_CC_Unseal), 1);
    }
    assert_opens(&s, pin, CKR_OK); /* a right PIN neither counts nor forgives */
    assert_int_equal(swtpm_lockout_counter(&fx.swtpm), 3);
    swtpm_reset_lockout(&fx.swtpm);
    seat_end(&s);
}

static void test_nv_wrong_pin_counts_once(void **state)
{
    (void)state;
    wrong_pin_counts_once(seat_define);
}

static void test_sealed_wrong_pin_counts_once(void **state)
{
    (void)state;
    wrong_pin_counts_once(seat_seal);
}

static void locks_out(void (*make)(struct seat *, bool))
{
    struct seat s;
    make(&s, false);
    swtpm_set_lockout(&fx.swtpm, 3, 1000, 1000);
    for (int i = 0; i < 3; i++)
        assert_opens(&s, wrong, CKR_PIN_INCORRECT);
    assert_opens(&s, wrong, CKR_PIN_LOCKED);
    assert_opens(&s, pin, CKR_PIN_LOCKED);
    calm();
    assert_opens(&s, pin, CKR_OK);
    seat_end(&s);
}

static void test_nv_lockout(void **state)
{
    (void)state;
    locks_out(seat_define);
}

static void test_sealed_lockout(void **state)
{
    (void)state;
    locks_out(seat_seal);
}

/* `--unattended`: outside dictionary-attack protection, a wrong PIN is a wrong PIN all the same. */
static void no_da_is_not_counted(void (*make)(struct seat *, bool))
{
    struct seat s;
    make(&s, true);
    for (int i = 0; i < 3; i++)
        assert_opens(&s, wrong, CKR_PIN_INCORRECT);
    assert_int_equal(swtpm_lockout_counter(&fx.swtpm), 0);
    assert_opens(&s, pin, CKR_OK);
    seat_end(&s);
}

static void test_unattended_nv(void **state)
{
    (void)state;
    no_da_is_not_counted(seat_define);
}

static void test_unattended_sealed(void **state)
{
    (void)state;
    no_da_is_not_counted(seat_seal);
}

/* An authValue with zeros at its end: the TPM strips them from the HMAC key (part 1, 17.6.4.3). */
static void test_auth_with_trailing_zeros(void **state)
{
    (void)state;
    struct seat s;
    uint8_t auth[TPM_AUTH];
    fill(auth, sizeof(auth), 77);
    auth[TPM_AUTH - 1] = auth[TPM_AUTH - 2] = 0;
    seat_define_with(&s, false, BYTES_OF(auth));
    assert_opens(&s, auth, CKR_OK);
    auth[0] ^= 1;
    assert_opens(&s, auth, CKR_PIN_INCORRECT);
    swtpm_reset_lockout(&fx.swtpm);
    seat_end(&s);
}

/* ---- what must never be counted ------------------------------------------------------------ */

/* Every try in a row: with one counted, the next right PIN would answer CKR_PIN_LOCKED. */
static void nothing_is_counted(struct seat *s, const struct tpm_parent *parent)
{
    struct secret secret = {0};
    const struct tpm_seat seat = seat_of(s);
    for (int i = 0; i < 3; i++) {
        CK_RV rv = tpm_seat_open(fx.tpm, parent, &seat, BYTES_OF(pin), &secret);
        /* a public area that is not the Name's is refused before the TPM is asked */
        assert_true(rv == CKR_TOKEN_NOT_RECOGNIZED || rv == CKR_DEVICE_ERROR);
        assert_null(secret.p);
    }
    assert_int_equal(swtpm_lockout_counter(&fx.swtpm), 0);
}

/* A parent public area that is not this TPM's: the salt goes to another key. */
static void wrong_salt(void (*make)(struct seat *, bool))
{
    struct seat s;
    struct tpm_parent parent = srk();
    CLEANUP(buf_free) struct buf pub = {0};
    uint8_t point[65];
    make(&s, false);
    assert_ok(buf_set(&pub, parent.pub));
    assert_ok(soft_p256_public_from_seed(BYTES_OF(seed), point));
    memcpy(pub.p + pub.n - 66, point + 1, 32); /* … x(32) size(2) y(32) end a TPM2B_PUBLIC */
    memcpy(pub.p + pub.n - 32, point + 33, 32);
    parent.pub = buf_bytes(&pub);
    nothing_is_counted(&s, &parent);
    assert_opens(&s, pin, CKR_OK);
    seat_end(&s);
}

static void test_nv_wrong_salt_is_not_counted(void **state)
{
    (void)state;
    wrong_salt(seat_define);
}

static void test_sealed_wrong_salt_is_not_counted(void **state)
{
    (void)state;
    wrong_salt(seat_seal);
}

static void test_outdated_index_name_is_not_counted(void **state)
{
    (void)state;
    struct seat s, copy;
    const struct tpm_parent parent = srk();
    seat_define(&s, false);
    copy = s;
    copy.made.name = (struct buf){0};
    assert_ok(buf_set(&copy.made.name, buf_bytes(&s.made.name)));
    copy.made.name.p[20] ^= 1;
    nothing_is_counted(&copy, &parent);
    buf_free(&copy.made.name);
    assert_opens(&s, pin, CKR_OK);
    seat_end(&s);
}

static void test_missing_index_is_not_counted(void **state)
{
    (void)state;
    struct seat s;
    const struct tpm_parent parent = srk();
    seat_define(&s, false);
    assert_ok(tpm_nv_undefine(fx.tpm, s.made.nv, buf_bytes(&s.made.name)));
    nothing_is_counted(&s, &parent);
    seat_end(&s);
}

/* Somebody with the owner authorization made an index of another kind at the handle. */
static void test_redefined_index_is_not_counted(void **state)
{
    (void)state;
    struct seat s, other;
    const struct tpm_parent parent = srk();
    seat_define(&s, false);
    uint32_t nv = s.made.nv;
    assert_ok(tpm_nv_undefine(fx.tpm, nv, buf_bytes(&s.made.name)));
    seat_define_at(&other, nv, true, BYTES_OF(pin));
    nothing_is_counted(&s, &parent);
    tpm_seat_free(&s.made);
    seat_end(&other);
}

/* The session that a login left behind was made useless (nonces) by a stranger: the next login
 * must not authorize with it. */
static void test_stale_session_is_not_counted(void **state)
{
    (void)state;
    struct seat s;
    seat_define(&s, false);
    assert_opens(&s, pin, CKR_OK);
    assert_int_not_equal(fx.tpm->session.handle, 0);
    fill(fx.tpm->session.nonce_tpm, NONCE, 5);
    assert_int_equal(fx.tpm->session.key.n, TPM2_SHA256_DIGEST_SIZE);
    fill(fx.tpm->session.key.p, fx.tpm->session.key.n, 6);
    assert_opens(&s, pin, CKR_OK);
    assert_int_equal(swtpm_lockout_counter(&fx.swtpm), 0);
    seat_end(&s);
}

static void test_reset_of_the_tpm_between_logins(void **state)
{
    (void)state;
    struct seat s;
    seat_define(&s, false);
    assert_opens(&s, pin, CKR_OK);
    swtpm_reset(&fx.swtpm);
    assert_opens(&s, pin, CKR_OK);
    assert_int_equal(swtpm_lockout_counter(&fx.swtpm), 0);
    seat_end(&s);
}

static void test_cleared_tpm(void **state)
{
    (void)state;
    struct seat nv, sealed;
    struct secret secret = {0};
    const struct tpm_parent parent = srk();
    seat_define(&nv, false);
    seat_seal(&sealed, false);
    assert_ok(tpm_check_parent(fx.tpm, &parent));
    swtpm_clear(&fx.swtpm);
    calm();
    assert_rv(CKR_TOKEN_NOT_RECOGNIZED, tpm_check_parent(fx.tpm, &parent));
    for (int i = 0; i < 2; i++) {
        const struct tpm_seat a = seat_of(&nv), b = seat_of(&sealed);
        assert_rv(CKR_TOKEN_NOT_RECOGNIZED,
                  tpm_seat_open(fx.tpm, &parent, &a, BYTES_OF(pin), &secret));
        assert_rv(CKR_TOKEN_NOT_RECOGNIZED,
                  tpm_seat_open(fx.tpm, &parent, &b, BYTES_OF(pin), &secret));
        /* and once more with another SRK at its place */
        struct tpm_parent_owned other = {0};
        assert_ok(tpm_find_parent(fx.tpm, &other));
        tpm_parent_free(&other);
    }
    assert_int_equal(swtpm_lockout_counter(&fx.swtpm), 0);
    tpm_seat_free(&nv.made);
    tpm_seat_free(&sealed.made);
}

/* ---- another PIN --------------------------------------------------------------------------- */

static void test_change(void **state)
{
    (void)state;
    struct seat s;
    const struct tpm_parent parent = srk();
    seat_define(&s, false);
    const struct tpm_seat seat = seat_of(&s);
    assert_ok(tpm_seat_change(fx.tpm, &parent, &seat, BYTES_OF(pin), BYTES_OF(seed),
                              BYTES_OF(other_pin)));
    assert_int_equal(swtpm_lockout_counter(&fx.swtpm), 0);
    assert_opens(&s, other_pin, CKR_OK); /* Name and content stayed */
    assert_opens(&s, pin, CKR_PIN_INCORRECT);
    assert_int_equal(swtpm_lockout_counter(&fx.swtpm), 1);
    swtpm_reset_lockout(&fx.swtpm);
    seat_end(&s);
}

static void test_change_with_the_wrong_pin(void **state)
{
    (void)state;
    struct seat s;
    const struct tpm_parent parent = srk();
    seat_define(&s, false);
    const struct tpm_seat seat = seat_of(&s);
    assert_rv(CKR_PIN_INCORRECT, tpm_seat_change(fx.tpm, &parent, &seat, BYTES_OF(wrong),
                                                 BYTES_OF(seed), BYTES_OF(other_pin)));
    assert_int_equal(swtpm_lockout_counter(&fx.swtpm), 1);
    swtpm_reset_lockout(&fx.swtpm);
    assert_opens(&s, pin, CKR_OK);
    assert_opens(&s, other_pin, CKR_PIN_INCORRECT);
    swtpm_reset_lockout(&fx.swtpm);
    seat_end(&s);
}

static void test_reset(void **state)
{
    (void)state;
    struct seat s;
    const struct tpm_parent parent = srk();
    seat_define(&s, false);
    const struct tpm_seat seat = seat_of(&s);
    assert_ok(tpm_seat_reset(fx.tpm, &parent, &seat, BYTES_OF(seed), BYTES_OF(other_pin)));
    assert_opens(&s, other_pin, CKR_OK);
    assert_opens(&s, pin, CKR_PIN_INCORRECT);
    swtpm_reset_lockout(&fx.swtpm);
    seat_end(&s);
}

static void test_reset_with_another_seed(void **state)
{
    (void)state;
    struct seat s;
    const struct tpm_parent parent = srk();
    uint8_t stranger[48];
    fill(stranger, sizeof(stranger), 123);
    seat_define(&s, false);
    const struct tpm_seat seat = seat_of(&s);
    CK_RV rv = tpm_seat_reset(fx.tpm, &parent, &seat, BYTES_OF(stranger), BYTES_OF(other_pin));
    assert_int_not_equal(rv, CKR_OK);
    assert_int_not_equal(rv, CKR_PIN_INCORRECT);
    assert_int_equal(swtpm_lockout_counter(&fx.swtpm), 0);
    assert_opens(&s, pin, CKR_OK);
    seat_end(&s);
}

static void test_reset_during_a_lockout(void **state)
{
    (void)state;
    struct seat s;
    const struct tpm_parent parent = srk();
    seat_define(&s, false);
    const struct tpm_seat seat = seat_of(&s);
    swtpm_set_lockout(&fx.swtpm, 2, 1000, 1000);
    assert_opens(&s, wrong, CKR_PIN_INCORRECT);
    assert_opens(&s, wrong, CKR_PIN_INCORRECT);
    assert_opens(&s, pin, CKR_PIN_LOCKED);
    assert_ok(tpm_seat_reset(fx.tpm, &parent, &seat, BYTES_OF(seed), BYTES_OF(other_pin)));
    assert_opens(&s, other_pin, CKR_PIN_LOCKED);
    calm();
    assert_opens(&s, other_pin, CKR_OK);
    seat_end(&s);
}

static void test_change_with_resident_keys(void **state)
{
    (void)state;
    struct seat s;
    struct pair a, b;
    uint8_t signature[64], hash[32] = {1};
    const struct tpm_parent parent = srk();
    seat_define(&s, false);
    pair_ec(&a, CURVE_P256);
    pair_ec(&b, CURVE_P256);
    const struct tpm_seat seat = seat_of(&s);
    assert_ok(tpm_ecdsa(fx.tpm, &a.key, CURVE_P256, BYTES_OF(hash), signature));
    assert_ok(tpm_ecdsa(fx.tpm, &b.key, CURVE_P256, BYTES_OF(hash), signature));
    assert_ok(tpm_seat_change(fx.tpm, &parent, &seat, BYTES_OF(pin), BYTES_OF(seed),
                              BYTES_OF(other_pin)));
    assert_ok(tpm_seat_reset(fx.tpm, &parent, &seat, BYTES_OF(seed), BYTES_OF(pin)));
    assert_ok(tpm_ecdsa(fx.tpm, &a.key, CURVE_P256, BYTES_OF(hash), signature));
    assert_opens(&s, pin, CKR_OK);
    pair_free(&a);
    pair_free(&b);
    seat_end(&s);
}

/* Whatever a seat's function needed, nothing of it stays but the one session for the keys. */
static void test_slots_are_free_after_each_call(void **state)
{
    (void)state;
    struct seat s;
    const struct tpm_parent parent = srk();
    seat_define(&s, false);
    assert_int_equal(slots_taken(), 0);
    const struct tpm_seat seat = seat_of(&s);
    assert_opens(&s, wrong, CKR_PIN_INCORRECT);
    assert_int_equal(slots_taken(), 0);
    assert_opens(&s, pin, CKR_OK);
    assert_int_equal(slots_taken(), 1);
    assert_rv(CKR_PIN_INCORRECT, tpm_seat_change(fx.tpm, &parent, &seat, BYTES_OF(wrong),
                                                 BYTES_OF(seed), BYTES_OF(other_pin)));
    assert_int_equal(slots_taken(), 0);
    assert_ok(tpm_seat_reset(fx.tpm, &parent, &seat, BYTES_OF(seed), BYTES_OF(other_pin)));
    assert_int_equal(slots_taken(), 0);
    swtpm_reset_lockout(&fx.swtpm);
    seat_end(&s);
}

/* ---- without a persistent SRK -------------------------------------------------------------- */

/* Another key sits at the SRK's handle, or there is no room: the primary is made anew each time. */
static void test_with_a_transient_primary(void **state)
{
    (void)state;
    struct seat nv, sealed;
    struct pair keys[3] = {0};
    CLEANUP(buf_free) struct buf priv = {0};
    uint8_t signature[64], hash[32] = {1};
    buf_free(&fx.srk.name);
    buf_free(&fx.srk.pub);
    make_transient_parent();
    const struct tpm_parent parent = srk();
    assert_int_equal(parent.handle, 0);
    assert_ok(tpm_check_parent(fx.tpm, &parent));
    for (size_t i = 0; i < COUNT(keys); i++) {
        /* with two keys resident, what else is needed must still find room */
        pair_ec(&keys[i], CURVE_P256);
        assert_ok(tpm_ecdsa(fx.tpm, &keys[i].key, CURVE_P256, BYTES_OF(hash), signature));
    }
    /* which is not in the TPM by now, and leaves its parent when it is loaded */
    assert_ok(tpm_rekey(fx.tpm, &keys[0].key, BYTES_OF(hash), &priv));
    forget_log();
    seat_define(&nv, false);
    seat_seal(&sealed, false);
    assert_opens(&nv, pin, CKR_OK);
    assert_opens(&sealed, pin, CKR_OK);
    const struct tpm_seat seat = seat_of(&nv);
    assert_ok(tpm_seat_change(fx.tpm, &parent, &seat, BYTES_OF(pin), BYTES_OF(seed),
                              BYTES_OF(other_pin)));
    assert_ok(tpm_seat_reset(fx.tpm, &parent, &seat, BYTES_OF(seed), BYTES_OF(pin)));
    assert_false(logged("more handles in one call"));
    for (size_t i = 0; i < COUNT(keys); i++) {
        assert_ok(tpm_ecdsa(fx.tpm, &keys[i].key, CURVE_P256, BYTES_OF(hash), signature));
        pair_free(&keys[i]);
    }
    seat_end(&nv);
    seat_end(&sealed);
}

/* ---- removal ------------------------------------------------------------------------------- */

static bool defined(uint32_t nv)
{
    uint32_t *list = NULL;
    size_t n = 0;
    bool found = false;
    assert_ok(tpm_nv_list(fx.tpm, &list, &n));
    for (size_t i = 0; i < n; i++)
        found |= list[i] == nv;
    free(list);
    return found;
}

static void test_undefine_wants_the_right_name(void **state)
{
    (void)state;
    struct seat s;
    uint8_t name[34] = {0, 0x0B};
    seat_define(&s, false);
    assert_true(defined(s.made.nv));
    assert_ok(tpm_nv_undefine(fx.tpm, s.made.nv, BYTES_OF(name)));
    assert_true(defined(s.made.nv));
    assert_opens(&s, pin, CKR_OK);
    assert_ok(tpm_nv_undefine(fx.tpm, s.made.nv, buf_bytes(&s.made.name)));
    assert_false(defined(s.made.nv));
    assert_ok(tpm_nv_undefine(fx.tpm, s.made.nv, buf_bytes(&s.made.name))); /* gone is gone */
    tpm_seat_free(&s.made);
}

static void test_undefine_keeps_to_its_range(void **state)
{
    (void)state;
    static const uint32_t outside[] = {0,          0x017FFFFF, 0x01C00000, 0x01C00002,
                                       0x81000001, 0x40000001, UINT32_MAX};
    for (size_t i = 0; i < COUNT(outside); i++)
        assert_rv(CKR_ARGUMENTS_BAD, tpm_nv_undefine(fx.tpm, outside[i], NO_BYTES));
    assert_int_equal(tap_count(TPM2_CC_NV_UndefineSpace), 0);
}

static void test_taken_handle_is_refused(void **state)
{
    (void)state;
    struct seat s;
    struct tpm_seat_owned again = {0};
    const struct tpm_parent parent = srk();
    seat_define(&s, false);
    assert_rv(CKR_FUNCTION_REJECTED,
              tpm_seat_define(fx.tpm, &parent, s.made.nv, false, BYTES_OF(pin), BYTES_OF(content),
                              BYTES_OF(seed), &again));
    assert_int_equal(slots_taken(), 0);
    assert_opens(&s, pin, CKR_OK);
    seat_end(&s);
}

static void test_pick_is_random_and_in_range(void **state)
{
    (void)state;
    uint32_t a, b;
    assert_ok(tpm_nv_pick(fx.tpm, &a));
    assert_ok(tpm_nv_pick(fx.tpm, &b));
    assert_in_range(a, 0x01800000, 0x01BFFFFF);
    assert_in_range(b, 0x01800000, 0x01BFFFFF);
    assert_int_not_equal(a, b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TPM_TEST(test_policy_digest),
        TPM_TEST(test_nv_seat_opens),
        TPM_TEST(test_first_login_is_three_commands),
        TPM_TEST(test_nv_wrong_pin_counts_once),
        TPM_TEST(test_sealed_wrong_pin_counts_once),
        TPM_TEST(test_nv_lockout),
        TPM_TEST(test_sealed_lockout),
        TPM_TEST(test_unattended_nv),
        TPM_TEST(test_unattended_sealed),
        TPM_TEST(test_auth_with_trailing_zeros),
        TPM_TEST(test_nv_wrong_salt_is_not_counted),
        TPM_TEST(test_sealed_wrong_salt_is_not_counted),
        TPM_TEST(test_outdated_index_name_is_not_counted),
        TPM_TEST(test_missing_index_is_not_counted),
        TPM_TEST(test_redefined_index_is_not_counted),
        TPM_TEST(test_stale_session_is_not_counted),
        TPM_TEST(test_reset_of_the_tpm_between_logins),
        TPM_TEST(test_change),
        TPM_TEST(test_change_with_the_wrong_pin),
        TPM_TEST(test_reset),
        TPM_TEST(test_reset_with_another_seed),
        TPM_TEST(test_reset_during_a_lockout),
        TPM_TEST(test_change_with_resident_keys),
        TPM_TEST(test_slots_are_free_after_each_call),
        TPM_TEST(test_undefine_wants_the_right_name),
        TPM_TEST(test_undefine_keeps_to_its_range),
        TPM_TEST(test_taken_handle_is_refused),
        TPM_TEST(test_pick_is_random_and_in_range),
        TPM_TEST(test_with_a_transient_primary),
        TPM_TEST(test_cleared_tpm),
    };
    return cmocka_run_group_tests_name("tpm/seat", tests, group_start, group_stop);
}
