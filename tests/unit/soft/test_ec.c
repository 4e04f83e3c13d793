/* ECDSA and ECDH against OpenSSL's EVP_PKEY, and P-256 keys from seeds. */
#include "soft_test.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>

struct pair {
    EVP_PKEY *evp;
    struct soft_key *ours;
    uint8_t point[133];
    size_t point_n;
};

static void pair_free(struct pair *p)
{
    EVP_PKEY_free(p->evp);
    soft_key_free(&p->ours);
}

static struct pair pair_new(enum curve c)
{
    struct pair p = {.evp = EVP_EC_gen(curve_name(c))};
    assert_non_null(p.evp);
    assert_true(EVP_PKEY_get_octet_string_param(p.evp, OSSL_PKEY_PARAM_PUB_KEY, p.point,
                                                sizeof(p.point), &p.point_n));
    assert_ok(soft_key_ec(c, BYTES(p.point, p.point_n), &p.ours));
    return p;
}

/* r || s by OpenSSL; digest as it is, of any length. */
static void evp_sign(EVP_PKEY *key, struct bytes digest, uint8_t *ret, size_t field)
{
    uint8_t der[160];
    const uint8_t *in = der;
    size_t n = sizeof(der);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
    assert_int_equal(EVP_PKEY_sign_init(ctx), 1);
    assert_int_equal(EVP_PKEY_sign(ctx, der, &n, digest.p, digest.n), 1);
    EVP_PKEY_CTX_free(ctx);
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &in, (long)n);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(sig), ret, (int)field), field);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(sig), ret + field, (int)field), field);
    ECDSA_SIG_free(sig);
}

static bool evp_verify(EVP_PKEY *key, struct bytes digest, const uint8_t *rs, size_t field)
{
    ECDSA_SIG *sig = ECDSA_SIG_new();
    uint8_t *der = NULL;
    ECDSA_SIG_set0(sig, BN_bin2bn(rs, (int)field, NULL), BN_bin2bn(rs + field, (int)field, NULL));
    int n = i2d_ECDSA_SIG(sig, &der);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
    assert_int_equal(EVP_PKEY_verify_init(ctx), 1);
    bool ok = EVP_PKEY_verify(ctx, der, (size_t)n, digest.p, digest.n) == 1;
    EVP_PKEY_CTX_free(ctx);
    OPENSSL_free(der);
    ECDSA_SIG_free(sig);
    return ok;
}

static void verifies_what_openssl_signs(void **state)
{
    (void)state;
    uint8_t digest[HASH_MAX + 1], sig[132];
    fill(digest, sizeof(digest), 1);
    for (enum curve c = CURVE_P224; c < CURVE_COUNT; c++) {
        CLEANUP(pair_free) struct pair p = pair_new(c);
        size_t field = curve_field_size(c);
        for (size_t n = 1; n <= HASH_MAX; n++) {
            evp_sign(p.evp, BYTES(digest, n), sig, field);
            assert_ok(soft_ecdsa_verify(p.ours, BYTES(digest, n), BYTES(sig, 2 * field)));
        }
        assert_int_equal(soft_ecdsa_verify(p.ours, NO_BYTES, BYTES(sig, 2 * field)),
                         CKR_DATA_LEN_RANGE);
        assert_int_equal(soft_ecdsa_verify(p.ours, BYTES_OF(digest), BYTES(sig, 2 * field)),
                         CKR_DATA_LEN_RANGE);
    }
}

static void refuses_other_signatures(void **state)
{
    (void)state;
    uint8_t digest[HASH_MAX], sig[133] = {0};
    fill(digest, sizeof(digest), 2);
    for (enum curve c = CURVE_P224; c < CURVE_COUNT; c++) {
        CLEANUP(pair_free) struct pair p = pair_new(c);
        CLEANUP(pair_free) struct pair other = pair_new(c);
        size_t n = 2 * curve_field_size(c);
        evp_sign(p.evp, BYTES_OF(digest), sig, n / 2);
        assert_int_equal(soft_ecdsa_verify(other.ours, BYTES_OF(digest), BYTES(sig, n)),
                         CKR_SIGNATURE_INVALID);
        for (size_t i = 0; i < n; i++) {
            sig[i] ^= 0x10;
            assert_int_equal(soft_ecdsa_verify(p.ours, BYTES_OF(digest), BYTES(sig, n)),
                             CKR_SIGNATURE_INVALID);
            sig[i] ^= 0x10;
        }
        digest[0] ^= 1;
        assert_int_equal(soft_ecdsa_verify(p.ours, BYTES_OF(digest), BYTES(sig, n)),
                         CKR_SIGNATURE_INVALID);
        digest[0] ^= 1;
        assert_int_equal(soft_ecdsa_verify(p.ours, BYTES_OF(digest), BYTES(sig, n - 1)),
                         CKR_SIGNATURE_LEN_RANGE);
        assert_int_equal(soft_ecdsa_verify(p.ours, BYTES_OF(digest), BYTES(sig, n + 1)),
                         CKR_SIGNATURE_LEN_RANGE);
        assert_ok(soft_ecdsa_verify(p.ours, BYTES_OF(digest), BYTES(sig, n)));
    }
}

/* r and s must lie in [1, n - 1]: 0, n, and r + n or s + n where that fits. */
static void refuses_numbers_out_of_range(void **state)
{
    (void)state;
    uint8_t digest[32], sig[132];
    fill(digest, sizeof(digest), 3);
    for (enum curve c = CURVE_P224; c < CURVE_COUNT; c++) {
        CLEANUP(pair_free) struct pair p = pair_new(c);
        size_t field = curve_field_size(c);
        EC_GROUP *group = EC_GROUP_new_by_curve_name(curve_nid(c));
        for (size_t half = 0; half < 2; half++) {
            uint8_t *number = sig + half * field;
            evp_sign(p.evp, BYTES_OF(digest), sig, field);
            memset(number, 0, field);
            assert_int_equal(soft_ecdsa_verify(p.ours, BYTES_OF(digest), BYTES(sig, 2 * field)),
                             CKR_SIGNATURE_INVALID);
            BN_bn2binpad(EC_GROUP_get0_order(group), number, (int)field);
            assert_int_equal(soft_ecdsa_verify(p.ours, BYTES_OF(digest), BYTES(sig, 2 * field)),
                             CKR_SIGNATURE_INVALID);
            memset(number, 0xFF, field);
            assert_int_equal(soft_ecdsa_verify(p.ours, BYTES_OF(digest), BYTES(sig, 2 * field)),
                             CKR_SIGNATURE_INVALID);
        }
        if (c == CURVE_P521) { /* 66 bytes hold 528 bits: s + n is the same number modulo n */
            evp_sign(p.evp, BYTES_OF(digest), sig, field);
            BIGNUM *s = BN_bin2bn(sig + field, (int)field, NULL);
            BN_add(s, s, EC_GROUP_get0_order(group));
            BN_bn2binpad(s, sig + field, (int)field);
            BN_free(s);
            assert_int_equal(soft_ecdsa_verify(p.ours, BYTES_OF(digest), BYTES(sig, 2 * field)),
                             CKR_SIGNATURE_INVALID);
        }
        EC_GROUP_free(group);
    }
}

/* A pair with a private key of one's own choice. */
static struct pair pair_from_scalar(enum curve c, const BIGNUM *d)
{
    struct pair p = {0};
    uint8_t scalar[66];
    EC_GROUP *group = EC_GROUP_new_by_curve_name(curve_nid(c));
    EC_POINT *point = EC_POINT_new(group);
    assert_true(EC_POINT_mul(group, point, d, NULL, NULL, NULL));
    p.point_n = EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, p.point,
                                   sizeof(p.point), NULL);
    EC_POINT_free(point);
    EC_GROUP_free(group);
    BN_bn2nativepad(d, scalar, (int)curve_field_size(c));
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME,
                                         (char *)(uintptr_t)curve_name(c), 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, p.point, p.point_n),
        OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_PRIV_KEY, scalar, curve_field_size(c)),
        OSSL_PARAM_END};
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
    assert_int_equal(EVP_PKEY_fromdata(ctx, &p.evp, EVP_PKEY_KEYPAIR, parameters), 1);
    EVP_PKEY_CTX_free(ctx);
    assert_ok(soft_key_ec(c, BYTES(p.point, p.point_n), &p.ours));
    return p;
}

/* Private keys 1, 2 and n - 1, where sums of points double or vanish; a digest of zeros, too. */
static void extreme_keys(void **state)
{
    (void)state;
    uint8_t digests[2][HASH_MAX] = {{0}}, sig[132];
    fill(digests[1], HASH_MAX, 8);
    for (enum curve c = CURVE_P224; c < CURVE_COUNT; c++) {
        size_t field = curve_field_size(c);
        EC_GROUP *group = EC_GROUP_new_by_curve_name(curve_nid(c));
        for (int i = 0; i < 3; i++) {
            BIGNUM *d = BN_dup(EC_GROUP_get0_order(group));
            assert_true(i < 2 ? BN_set_word(d, (BN_ULONG)i + 1) : BN_sub_word(d, 1));
            CLEANUP(pair_free) struct pair p = pair_from_scalar(c, d);
            CLEANUP(buf_free) struct buf own = {0};
            CLEANUP(secret_free) struct secret z = {0};
            BN_free(d);
            for (int j = 0; j < 2; j++) {
                evp_sign(p.evp, BYTES_OF(digests[j]), sig, field);
                assert_ok(soft_ecdsa_verify(p.ours, BYTES_OF(digests[j]), BYTES(sig, 2 * field)));
                assert_int_equal(
                    soft_ecdsa_verify(p.ours, BYTES_OF(digests[!j]), BYTES(sig, 2 * field)),
                    CKR_SIGNATURE_INVALID);
            }
            assert_ok(soft_ecdh_ephemeral(c, BYTES(p.point, p.point_n), &own, &z));
            if (i != 1) /* Z is the x coordinate of our own point, or of its negative */
                assert_memory_equal(z.p, own.p + 1, field);
        }
        EC_GROUP_free(group);
    }
}

/* With the key 1 and r = n - z, u1 * G + u2 * Q is the point at infinity. */
static void sum_at_infinity(void **state)
{
    (void)state;
    uint8_t digest[20], sig[132] = {0};
    fill(digest, sizeof(digest), 9);
    for (enum curve c = CURVE_P224; c < CURVE_COUNT; c++) {
        size_t field = curve_field_size(c);
        EC_GROUP *group = EC_GROUP_new_by_curve_name(curve_nid(c));
        BIGNUM *r = BN_bin2bn(digest, sizeof(digest), NULL);
        assert_true(BN_sub(r, EC_GROUP_get0_order(group), r));
        assert_int_equal(BN_bn2binpad(r, sig, (int)field), field);
        memset(sig + field, 0, field);
        sig[2 * field - 1] = 1;
        CLEANUP(pair_free) struct pair p = pair_from_scalar(c, BN_value_one());
        assert_int_equal(soft_ecdsa_verify(p.ours, BYTES_OF(digest), BYTES(sig, 2 * field)),
                         CKR_SIGNATURE_INVALID);
        BN_free(r);
        EC_GROUP_free(group);
    }
}

static void refuses_bad_points(void **state)
{
    (void)state;
    for (enum curve c = CURVE_P224; c < CURVE_COUNT; c++) {
        CLEANUP(pair_free) struct pair p = pair_new(c);
        struct soft_key *k = NULL;
        CLEANUP(buf_free) struct buf own = {0};
        CLEANUP(secret_free) struct secret z = {0};
        uint8_t bad[134] = {0};
        struct bytes points[7] = {NO_BYTES, BYTES("\0", 1), BYTES(p.point, p.point_n - 1)};
        memcpy(bad, p.point, p.point_n);
        points[3] = BYTES(bad, p.point_n + 1);
        for (size_t i = 0; i < 4; i++) {
            assert_int_equal(soft_key_ec(c, points[i], &k), CKR_ATTRIBUTE_VALUE_INVALID);
            assert_int_equal(soft_ecdh_ephemeral(c, points[i], &own, &z),
                             CKR_DOMAIN_PARAMS_INVALID);
        }
        struct bytes point = BYTES(bad, p.point_n);
        bad[p.point_n - 1] ^= 1; /* off the curve */
        assert_int_equal(soft_key_ec(c, point, &k), CKR_ATTRIBUTE_VALUE_INVALID);
        assert_int_equal(soft_ecdh_ephemeral(c, point, &own, &z), CKR_DOMAIN_PARAMS_INVALID);
        bad[p.point_n - 1] ^= 1;
        bad[0] = 0x06 | (bad[p.point_n - 1] & 1); /* hybrid form */
        assert_int_equal(soft_key_ec(c, point, &k), CKR_ATTRIBUTE_VALUE_INVALID);
        memset(bad + 1, 0xFF, p.point_n - 1); /* coordinates above the field's prime */
        bad[0] = 4;
        assert_int_equal(soft_key_ec(c, point, &k), CKR_ATTRIBUTE_VALUE_INVALID);
        assert_null(k);
        assert_int_equal(own.n, 0);
        assert_null(z.p);
    }
    struct soft_key *k = NULL;
    assert_int_equal(soft_key_ec(CURVE_NONE, BYTES("\4", 1), &k), CKR_ATTRIBUTE_VALUE_INVALID);
}

static EVP_PKEY *evp_from_point(enum curve c, struct bytes point)
{
    EVP_PKEY *key = NULL;
    OSSL_PARAM p[] = {OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME,
                                                       (char *)(uintptr_t)curve_name(c), 0),
                      OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY,
                                                        (void *)(uintptr_t)point.p, point.n),
                      OSSL_PARAM_END};
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
    assert_int_equal(EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, p), 1);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static void ecdh_agrees_with_openssl(void **state)
{
    (void)state;
    for (enum curve c = CURVE_P224; c < CURVE_COUNT; c++) {
        CLEANUP(pair_free) struct pair peer = pair_new(c);
        for (int i = 0; i < 10; i++) {
            CLEANUP(buf_free) struct buf own = {0};
            CLEANUP(secret_free) struct secret z = {0};
            uint8_t theirs[66];
            size_t n = sizeof(theirs);
            assert_ok(soft_ecdh_ephemeral(c, BYTES(peer.point, peer.point_n), &own, &z));
            assert_int_equal(own.n, peer.point_n);
            EVP_PKEY *other = evp_from_point(c, buf_bytes(&own));
            EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(peer.evp, NULL);
            assert_int_equal(EVP_PKEY_derive_init(ctx), 1);
            assert_int_equal(EVP_PKEY_derive_set_peer(ctx, other), 1);
            assert_int_equal(EVP_PKEY_derive(ctx, theirs, &n), 1);
            assert_int_equal(z.n, n);
            assert_memory_equal(z.p, theirs, n);
            EVP_PKEY_CTX_free(ctx);
            EVP_PKEY_free(other);
        }
    }
}

/* RFC 6979, A.2.5: the P-256 key x and its U; d is x when the seed is x - 1. */
static void seed_gives_the_known_key(void **state)
{
    (void)state;
    struct hex seed = unhex("00000000000000000000000000000000"
                            "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6720");
    uint8_t point[65];
    assert_ok(soft_p256_public_from_seed(HEX_BYTES(seed), point));
    assert_hex(point, "04 60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
                      "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299");
}

/* The same key: seed + (n - 1), n being the order, gives the same d. */
static void seed_is_reduced(void **state)
{
    (void)state;
    uint8_t a[65], b[65], c[65], zero[48] = {0};
    struct hex order_minus_1 =
        unhex("00000000000000000000000000000000"
              "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632550");
    assert_ok(soft_p256_public_from_seed(BYTES_OF(zero), a)); /* d = 1: the generator */
    assert_hex(a, "04 6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
                  "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5");
    assert_ok(soft_p256_public_from_seed(HEX_BYTES(order_minus_1), b));
    assert_memory_equal(a, b, 65);
    order_minus_1.p[47] ^= 1; /* n: d = 2 */
    zero[47] = 1;
    assert_ok(soft_p256_public_from_seed(HEX_BYTES(order_minus_1), b));
    assert_ok(soft_p256_public_from_seed(BYTES_OF(zero), c));
    assert_memory_equal(b, c, 65);
}

static void seed_signatures_verify(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 200; i++) {
        uint8_t seed[48], digest[32], point[65], sig[64], again[64];
        fill(seed, sizeof(seed), i);
        fill(digest, sizeof(digest), i + 1000);
        if (i < 2)
            memset(digest, i ? 0xFF : 0, sizeof(digest));
        if (i == 2 || i == 3)
            memset(seed, i == 2 ? 0xFF : 0, sizeof(seed));
        struct soft_key *k = NULL;
        assert_ok(soft_p256_public_from_seed(BYTES_OF(seed), point));
        assert_ok(soft_p256_sign_with_seed(BYTES_OF(seed), BYTES_OF(digest), sig));
        assert_ok(soft_p256_sign_with_seed(BYTES_OF(seed), BYTES_OF(digest), again));
        assert_memory_not_equal(sig, again, 32); /* a fresh nonce each time */
        assert_ok(soft_key_ec(CURVE_P256, BYTES_OF(point), &k));
        assert_ok(soft_ecdsa_verify(k, BYTES_OF(digest), BYTES_OF(sig)));
        soft_key_free(&k);
        EVP_PKEY *evp = evp_from_point(CURVE_P256, BYTES_OF(point));
        assert_true(evp_verify(evp, BYTES_OF(digest), sig, 32));
        digest[31] ^= 1;
        assert_false(evp_verify(evp, BYTES_OF(digest), sig, 32));
        EVP_PKEY_free(evp);
    }
}

static void seed_and_digest_lengths(void **state)
{
    (void)state;
    uint8_t seed[49] = {0}, out[65];
    assert_int_equal(soft_p256_public_from_seed(BYTES(seed, 47), out), CKR_ARGUMENTS_BAD);
    assert_int_equal(soft_p256_public_from_seed(BYTES(seed, 49), out), CKR_ARGUMENTS_BAD);
    assert_int_equal(soft_p256_sign_with_seed(BYTES(seed, 32), BYTES(seed, 32), out),
                     CKR_ARGUMENTS_BAD);
    assert_int_equal(soft_p256_sign_with_seed(BYTES(seed, 48), BYTES(seed, 31), out),
                     CKR_ARGUMENTS_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verifies_what_openssl_signs),
        cmocka_unit_test(refuses_other_signatures),
        cmocka_unit_test(refuses_numbers_out_of_range),
        cmocka_unit_test(extreme_keys),
        cmocka_unit_test(sum_at_infinity),
        cmocka_unit_test(refuses_bad_points),
        cmocka_unit_test(ecdh_agrees_with_openssl),
        cmocka_unit_test(seed_gives_the_known_key),
        cmocka_unit_test(seed_is_reduced),
        cmocka_unit_test(seed_signatures_verify),
        cmocka_unit_test(seed_and_digest_lengths),
    };
    return run_soft_tests(tests);
}
