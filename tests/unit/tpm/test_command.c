/* Commands on the wire: what an attacker on the bus can read, and what he can change. */
#include "seats.h"

/* ---- nothing changed is believed ------------------------------------------------------------ */

static struct {
    uint32_t code;
    size_t at; /* of the byte to change; SIZE_MAX: none */
    uint8_t with;
    size_t length; /* of the last answer seen */
    unsigned struck;
} flip;

static enum tap_verdict flip_byte(struct exchange *e)
{
    if (e->code != flip.code || e->rc == UINT32_MAX - 1)
        return TAP_PASS;
    flip.length = e->response_n;
    if (flip.at < e->response_n && flip.struck == 0 && tap_u32(e->response + 6) == 0) {
        e->response[flip.at] ^= flip.with;
        flip.struck++;
    }
    return TAP_PASS;
}

static void flip_in(uint32_t code)
{
    memset(&flip, 0, sizeof(flip));
    flip.code = code;
    flip.at = SIZE_MAX;
    flip.with = 0x04;
    tap.after = flip_byte;
}

/* Every byte of one login answer: no secret comes of it, none is taken for a wrong PIN, no try is
 * counted, and the next login is as if nothing had been. */
static void login_with_changed(uint32_t code, size_t from)
{
    struct seat s;
    struct secret secret = {0};
    seat_define(&s, false);
    const struct tpm_parent parent = srk();
    const struct tpm_seat seat = seat_of(&s);
    flip_in(code);
    assert_opens(&s, pin, CKR_OK);
    size_t length = flip.length;
    assert_in_range(length, 10, 1024);
    for (size_t at = from; at < length; at++) {
        flip_in(code);
        flip.at = at;
        CK_RV rv = tpm_seat_open(fx.tpm, &parent, &seat, BYTES_OF(pin), &secret);
        assert_int_equal(flip.struck, 1);
        if (rv == CKR_OK || rv == CKR_PIN_INCORRECT || rv == CKR_PIN_LOCKED || secret.p) {
            print_error("byte %zu of %zu changed: 0x%lx\n", at, length, rv);
            fail();
        }
        tap.after = NULL;
        if (at % 16 == 0)
            assert_opens(&s, pin, CKR_OK);
    }
    assert_opens(&s, pin, CKR_OK);
    assert_int_equal(swtpm_lockout_counter(&fx.swtpm), 0);
    seat_end(&s);
}

static void test_changed_nv_read(void **state)
{
    (void)state;
    login_with_changed(TPM2_CC_NV_Read, 0);
}

static void test_changed_nv_read_public(void **state)
{
    (void)state;
    login_with_changed(TPM2_CC_NV_ReadPublic, 0);
}

/* The TPM's nonce in the answer to StartAuthSession goes into the session key; the handle itself
 * is not protected and what comes of a wrong one is seen with the next command. */
static void test_changed_session(void **state)
{
    (void)state;
    login_with_changed(TPM2_CC_StartAuthSession, 14);
}

/* A signature may be made once more, so a changed answer gives an error or the right signature. */
static void test_changed_signature(void **state)
{
    (void)state;
    struct pair key;
    uint8_t hash[32] = {7}, signature[64];
    CLEANUP(soft_key_free) struct soft_key *public_ = NULL;
    pair_ec(&key, CURVE_P256);
    assert_ok(soft_key_ec(CURVE_P256, buf_bytes(&key.made.point), &public_));
    flip_in(TPM2_CC_Sign);
    assert_ok(tpm_ecdsa(fx.tpm, &key.key, CURVE_P256, BYTES_OF(hash), signature));
    size_t length = flip.length, right = 0;
    for (size_t at = 0; at < length; at++) {
        flip_in(TPM2_CC_Sign);
        flip.at = at;
        CK_RV rv = tpm_ecdsa(fx.tpm, &key.key, CURVE_P256, BYTES_OF(hash), signature);
        if (rv == CKR_OK) {
            assert_ok(soft_ecdsa_verify(public_, BYTES_OF(hash), BYTES_OF(signature)));
            right++;
        }
    }
    assert_true(right > length / 2); /* most were mended by a second try */
    pair_free(&key);
}

static void test_changed_shared_secret(void **state)
{
    (void)state;
    struct pair key;
    uint8_t peer[65], first[32];
    pair_ec(&key, CURVE_P256);
    assert_ok(soft_p256_public_from_seed(BYTES_OF(seed), peer));
    struct secret z = {0};
    flip_in(TPM2_CC_ECDH_ZGen);
    assert_ok(tpm_ecdh(fx.tpm, &key.key, CURVE_P256, BYTES_OF(peer), &z));
    memcpy(first, z.p, 32);
    secret_free(&z);
    size_t length = flip.length;
    for (size_t at = 0; at < length; at++) {
        flip_in(TPM2_CC_ECDH_ZGen);
        flip.at = at;
        CK_RV rv = tpm_ecdh(fx.tpm, &key.key, CURVE_P256, BYTES_OF(peer), &z);
        if (rv == CKR_OK)
            assert_memory_equal(z.p, first, 32);
        secret_free(&z);
    }
    pair_free(&key);
}

/* ---- an old answer ------------------------------------------------------------------------- */

static struct exchange recorded;
static bool replaying;

static enum tap_verdict record_or_replay(struct exchange *e)
{
    if (e->code != TPM2_CC_NV_Read)
        return TAP_PASS;
    if (!replaying) {
        recorded = *e;
        return TAP_PASS;
    }
    memcpy(e->response, recorded.response, recorded.response_n);
    e->response_n = recorded.response_n;
    return TAP_PASS;
}

static void test_replayed_answer(void **state)
{
    (void)state;
    struct seat s;
    struct secret secret = {0};
    const struct tpm_parent parent = srk();
    seat_define(&s, false);
    const struct tpm_seat seat = seat_of(&s);
    tap.after = record_or_replay;
    replaying = false;
    assert_opens(&s, pin, CKR_OK);
    replaying = true;
    assert_rv(CKR_DEVICE_ERROR, tpm_seat_open(fx.tpm, &parent, &seat, BYTES_OF(pin), &secret));
    tap.after = NULL;
    assert_opens(&s, pin, CKR_OK);
    seat_end(&s);
}

/* ---- nonces -------------------------------------------------------------------------------- */

/* nonceCaller of the first session of a command with one handle: header, handle, size, session
 * handle, nonce. */
static const uint8_t *caller_nonce(const struct exchange *e)
{
    const uint8_t *p = e->request + 10 + 4 + 4 + 4;
    assert_int_equal(p[0] << 8 | p[1], NONCE);
    return p + 2;
}

static void test_nonces_are_fresh(void **state)
{
    (void)state;
    struct pair key;
    uint8_t hash[32] = {7}, signature[64];
    pair_ec(&key, CURVE_P256);
    tap_clear();
    for (int i = 0; i < 20; i++)
        assert_ok(tpm_ecdsa(fx.tpm, &key.key, CURVE_P256, BYTES_OF(hash), signature));
    for (size_t i = 0; i < tap.n; i++)
        for (size_t k = 0; k < i; k++)
            if (tap.log[i].code == TPM2_CC_Sign && tap.log[k].code == TPM2_CC_Sign)
                assert_memory_not_equal(caller_nonce(&tap.log[i]), caller_nonce(&tap.log[k]),
                                        NONCE);
    pair_free(&key);
}

/* ---- what crosses the wire in clear -------------------------------------------------------- */

static void assert_hidden(const void *p, size_t n)
{
    assert_in_range(tap.n, 1, TAP_LOG); /* all of it was written down */
    assert_false(tap_carries(p, n));
    for (size_t at = 0; at + 8 <= n; at += 8) /* nor a piece of it */
        assert_false(tap_carries((const uint8_t *)p + at, 8));
}

static void test_a_seat_shows_neither_pin_nor_secret(void **state)
{
    (void)state;
    struct seat s, sealed;
    const struct tpm_parent parent = srk();
    uint8_t auth[TPM_AUTH], new_auth[TPM_AUTH], third[TPM_AUTH], secret[TPM_SECRET], reset_seed[48];
    struct secret out = {0};
    uint32_t nv;
    fill(auth, sizeof(auth), 100);
    fill(new_auth, sizeof(new_auth), 101);
    fill(third, sizeof(third), 102);
    fill(secret, sizeof(secret), 103);
    fill(reset_seed, sizeof(reset_seed), 104);
    s = sealed = (struct seat){0};
    assert_ok(tpm_nv_pick(fx.tpm, &nv));
    assert_ok(tpm_seat_define(fx.tpm, &parent, nv, false, BYTES_OF(auth), BYTES_OF(secret),
                              BYTES_OF(reset_seed), &s.made));
    assert_ok(
        tpm_seat_seal(fx.tpm, &parent, false, BYTES_OF(auth), BYTES_OF(secret), &sealed.made));
    const struct tpm_seat seat = seat_of(&s), other = seat_of(&sealed);
    assert_ok(tpm_seat_open(fx.tpm, &parent, &seat, BYTES_OF(auth), &out));
    secret_free(&out);
    assert_ok(tpm_seat_open(fx.tpm, &parent, &other, BYTES_OF(auth), &out));
    secret_free(&out);
    assert_ok(tpm_seat_change(fx.tpm, &parent, &seat, BYTES_OF(auth), BYTES_OF(reset_seed),
                              BYTES_OF(new_auth)));
    assert_ok(tpm_seat_reset(fx.tpm, &parent, &seat, BYTES_OF(reset_seed), BYTES_OF(third)));
    assert_ok(tpm_seat_open(fx.tpm, &parent, &seat, BYTES_OF(third), &out));
    secret_free(&out);
    assert_hidden(auth, sizeof(auth));
    assert_hidden(new_auth, sizeof(new_auth));
    assert_hidden(third, sizeof(third));
    assert_hidden(secret, sizeof(secret));
    assert_hidden(reset_seed, sizeof(reset_seed));
    seat_end(&s);
    seat_end(&sealed);
}

static void test_a_key_shows_neither_authorization_nor_plaintext(void **state)
{
    (void)state;
    struct pair ec, rsa;
    struct secret plain = {0}, z = {0};
    uint8_t cipher[256], peer[65], hash[32], signature[64], message[245];
    CLEANUP(soft_key_free) struct soft_key *public_ = NULL;
    pair_ec(&ec, CURVE_P256);
    pair_rsa(&rsa, 2048);
    fill(hash, sizeof(hash), 31);
    fill(message, sizeof(message), 32);
    assert_ok(soft_key_rsa(buf_bytes(&rsa.made.modulus), buf_bytes(&rsa.made.exponent), &public_));
    assert_ok(soft_rsa_encrypt_pkcs1(public_, BYTES_OF(message), cipher));
    assert_ok(tpm_rsa_private(fx.tpm, &rsa.key, BYTES_OF(cipher), &plain));
    assert_memory_equal(plain.p + plain.n - sizeof(message), message, sizeof(message));
    assert_hidden(message, sizeof(message));
    assert_hidden(cipher, sizeof(cipher)); /* the other direction */
    assert_ok(soft_p256_public_from_seed(BYTES_OF(seed), peer));
    assert_ok(tpm_ecdh(fx.tpm, &ec.key, CURVE_P256, BYTES_OF(peer), &z));
    assert_hidden(z.p, z.n);
    assert_ok(tpm_ecdsa(fx.tpm, &ec.key, CURVE_P256, BYTES_OF(hash), signature));
    assert_hidden(hash, sizeof(hash));
    assert_hidden(ec.auth, sizeof(ec.auth));
    assert_hidden(rsa.auth, sizeof(rsa.auth));
    assert_true(tap_carries(signature, 32)); /* the tap does see what is not hidden */
    secret_free(&plain);
    secret_free(&z);
    pair_free(&ec);
    pair_free(&rsa);
}

/* ---- answers that are no answers ----------------------------------------------------------- */

static uint32_t noise_seed;
static unsigned noise_at, noise_seen;

static enum tap_verdict noise(struct exchange *e)
{
    /* a TPM that says it flushed and did not keeps its slot: nothing could be done about that */
    if (e->code == TPM2_CC_FlushContext || ++noise_seen != noise_at)
        return TAP_PASS;
    fill(e->response, sizeof(e->response), noise_seed);
    e->response_n = 10 + noise_seed % 300;
    if (noise_seed % 4 == 0) { /* with a header that is right */
        const uint8_t head[] = {0x80,
                                (uint8_t)(1 + noise_seed / 4 % 2),
                                0,
                                0,
                                (uint8_t)(e->response_n >> 8),
                                (uint8_t)e->response_n,
                                0,
                                0,
                                0,
                                0};
        memcpy(e->response, head, sizeof(head));
    }
    return TAP_REPLACE;
}

/* Whatever comes instead of the nth answer: an end, no success with something invented. */
static void test_noise(void **state)
{
    (void)state;
    struct seat s;
    struct pair key;
    struct tpm_caps caps;
    struct tpm_identity identity;
    struct tpm_lockout lockout;
    const struct tpm_parent parent = srk();
    uint8_t hash[32] = {7}, signature[64], random[64];
    seat_define(&s, false);
    pair_ec(&key, CURVE_P256);
    const struct tpm_seat seat = seat_of(&s);
    for (noise_seed = 0; noise_seed < 160; noise_seed++)
        for (noise_at = 1; noise_at <= 4; noise_at++) {
            struct secret secret = {0};
            struct tpm_key_made made = {0};
            noise_seen = 0;
            tap.before = noise;
            switch (noise_seed % 5) {
            case 0:
                if (tpm_seat_open(fx.tpm, &parent, &seat, BYTES_OF(pin), &secret) == CKR_OK)
                    assert_memory_equal(secret.p, content, TPM_SECRET);
                secret_free(&secret);
                break;
            case 1:
                (void)!tpm_ecdsa(fx.tpm, &key.key, CURVE_P256, BYTES_OF(hash), signature);
                tpm_key_drop(fx.tpm, key.key.pub);
                break;
            case 2:
                (void)!tpm_get_caps(fx.tpm, &caps);
                (void)!tpm_get_identity(fx.tpm, &identity);
                (void)!tpm_get_lockout(fx.tpm, &lockout);
                break;
            case 3:
                (void)!tpm_random(fx.tpm, random, sizeof(random));
                (void)!tpm_check_parent(fx.tpm, &parent);
                break;
            case 4:
                (void)!tpm_make_ec(fx.tpm, &parent, BYTES_OF(hash), CURVE_P256, &made);
                tpm_key_made_free(&made);
                break;
            }
            tap.before = NULL;
        }
    assert_opens(&s, pin, CKR_OK);
    assert_int_equal(swtpm_lockout_counter(&fx.swtpm), 0);
    pair_free(&key);
    seat_end(&s);
}

/* An answer in good order, but for the number in it. */
static TPM2_HANDLE invented;

static enum tap_verdict invent(struct exchange *e)
{
    if (e->code != TPM2_CC_StartAuthSession)
        return TAP_PASS;
    tap_answer(e, TPM2_RC_SUCCESS);
    const uint8_t rest[] = {(uint8_t)(invented >> 24),
                            (uint8_t)(invented >> 16),
                            (uint8_t)(invented >> 8),
                            (uint8_t)invented,
                            0,
                            NONCE};
    memcpy(e->response + e->response_n, rest, sizeof(rest));
    fill(e->response + e->response_n + sizeof(rest), NONCE, invented);
    e->response_n += sizeof(rest) + NONCE;
    e->response[5] = (uint8_t)e->response_n;
    return TAP_REPLACE;
}

/* What is to be flushed has as many places as a TPM has slots: invented numbers may not take them,
 * else the next real handle stays in the TPM when the call ends. */
static void test_invented_handles(void **state)
{
    (void)state;
    static const TPM2_HANDLE rows[] = {0x00000000, 0x01800000, 0x02FFFFFF, 0x03FFFFFE,
                                       0x40000001, 0x40000007, 0x80FFFFFF, 0x81000001};
    struct seat s;
    struct secret secret = {0};
    const struct tpm_parent parent = srk();
    seat_define(&s, false);
    const struct tpm_seat seat = seat_of(&s);
    forget_log();
    for (unsigned i = 0; i < 2 * EXTRA_HANDLES; i++) {
        invented = rows[i % COUNT(rows)] ^ (i < COUNT(rows) ? 0 : 0x20);
        tap.before = invent;
        assert_int_not_equal(tpm_seat_open(fx.tpm, &parent, &seat, BYTES_OF(pin), &secret), CKR_OK);
        tap.before = NULL;
    }
    assert_opens(&s, pin, CKR_OK);
    tap_clear();
    assert_opens(&s, pin, CKR_OK);
    assert_int_equal(tap_count(TPM2_CC_GetCapability), 0);  /* nothing is left to be asked for, */
    assert_in_range(tap_count(TPM2_CC_FlushContext), 0, 1); /* nor to be flushed but its own */
    assert_false(logged("stays"));
    assert_int_equal(swtpm_lockout_counter(&fx.swtpm), 0);
    seat_end(&s);
}

/* ---- parts --------------------------------------------------------------------------------- */

static void test_response_codes(void **state)
{
    (void)state;
    static const struct {
        TSS2_RC rc, plain;
    } rows[] = {{0x98E, 0x8E},  {0x9A2, 0xA2},  {0x99D, 0x9D},    {0x5DB, 0x9B},
                {0x922, 0x922}, {0x910, 0x910}, {0xB0902, 0x902}, {0x18B, 0x8B},
                {0x28B, 0x8B},  {0x101, 0x101}, {0, 0},           {0x1C4, 0x84}};
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_int_equal(rc_plain(rows[i].rc), rows[i].plain);
    for (TSS2_RC rc = 0x900; rc < 0x930; rc++) {
        assert_int_equal(rc_lost_object(rc), rc >= 0x910 && rc <= 0x916);
        assert_int_equal(rc_lost_session(rc), rc >= 0x918 && rc <= 0x91E);
    }
}

static void test_too_large_a_command(void **state)
{
    (void)state;
    uint8_t big[TPM2_MAX_COMMAND_SIZE + 1] = {0};
    COMMAND(c, GetRandom);
    cmd_put_raw(&c, BYTES_OF(big));
    assert_true(c.bad);
    assert_int_equal(c.n, 0);
    COMMAND(d, GetRandom);
    cmd_put_raw(&d, BYTES(big, sizeof(d.params)));
    assert_false(d.bad);
    cmd_put_2b(&d, BYTES(big, 1));
    assert_true(d.bad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TPM_TEST(test_changed_nv_read),
        TPM_TEST(test_changed_nv_read_public),
        TPM_TEST(test_changed_session),
        TPM_TEST(test_changed_signature),
        TPM_TEST(test_changed_shared_secret),
        TPM_TEST(test_replayed_answer),
        TPM_TEST(test_nonces_are_fresh),
        TPM_TEST(test_a_seat_shows_neither_pin_nor_secret),
        TPM_TEST(test_a_key_shows_neither_authorization_nor_plaintext),
        TPM_TEST(test_noise),
        TPM_TEST(test_invented_handles),
        TPM_TEST(test_response_codes),
        TPM_TEST(test_too_large_a_command),
    };
    return cmocka_run_group_tests_name("tpm/command", tests, group_start, group_stop);
}
