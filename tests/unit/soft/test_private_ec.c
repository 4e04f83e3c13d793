/* ECDSA and ECDH with software private keys. */
#include "private_test.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>

/* OpenSSL's verdict on r || s. */
static bool evp_verifies(EVP_PKEY *key, struct bytes digest, const uint8_t *sig, size_t field)
{
    uint8_t der[160], *p = der;
    ECDSA_SIG *parts = ECDSA_SIG_new();
    assert_true(ECDSA_SIG_set0(parts, BN_bin2bn(sig, (int)field, NULL),
                               BN_bin2bn(sig + field, (int)field, NULL)));
    int n = i2d_ECDSA_SIG(parts, &p);
    ECDSA_SIG_free(parts);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
    assert_int_equal(EVP_PKEY_verify_init(ctx), 1);
    bool ok = EVP_PKEY_verify(ctx, der, (size_t)n, digest.p, digest.n) == 1;
    EVP_PKEY_CTX_free(ctx);
    return ok;
}

static void ecdsa_verifies_elsewhere(void **state)
{
    (void)state;
    uint8_t digest[HASH_MAX], sig[132], again[132];
    for (enum curve c = CURVE_P224; c < CURVE_COUNT; c++) {
        size_t field = curve_field_size(c);
        for (uint32_t i = 0; i < 40; i++) {
            CLEANUP(soft_private_free) struct soft_private *k = NULL;
            struct bytes d = BYTES(digest, i ? 1 + i * 63 / 39 : HASH_MAX);
            fill(digest, sizeof(digest), i);
            if (i < 2)
                memset(digest, i ? 0xFF : 0, sizeof(digest));
            assert_ok(soft_private_generate(c, &k));
            EVP_PKEY *evp = evp_private(k);
            assert_same_public(k, evp);
            assert_ok(soft_private_ecdsa(k, d, sig));
            assert_ok(soft_private_ecdsa(k, d, again));
            assert_memory_not_equal(sig, again, field); /* another nonce */
            assert_true(evp_verifies(evp, d, sig, field));
            assert_ok(soft_ecdsa_verify(soft_private_public(k), d, BYTES(sig, 2 * field)));
            digest[0] ^= 1;
            assert_false(evp_verifies(evp, d, sig, field));
            EVP_PKEY_free(evp);
        }
    }
}

static void ecdh_as_openssl(void **state)
{
    (void)state;
    for (enum curve c = CURVE_P224; c < CURVE_COUNT; c++) {
        size_t field = curve_field_size(c);
        for (int i = 0; i < 20; i++) {
            CLEANUP(soft_private_free) struct soft_private *own = NULL;
            CLEANUP(soft_private_free) struct soft_private *other = NULL;
            CLEANUP(buf_free) struct buf point = {0};
            CLEANUP(secret_free) struct secret z = {0};
            uint8_t theirs[66];
            assert_ok(soft_private_generate(c, &own));
            assert_ok(soft_private_generate(c, &other));
            EVP_PKEY *a = evp_private(own), *b = evp_private(other);
            evp_derive(a, b, theirs, field);
            assert_ok(soft_key_point(soft_private_public(other), &point));
            assert_ok(soft_private_ecdh(own, buf_bytes(&point), &z));
            assert_int_equal(z.n, field);
            assert_memory_equal(z.p, theirs, field);
            EVP_PKEY_free(a);
            EVP_PKEY_free(b);
        }
    }
}

/* NIST CAVP, ECC CDH Primitive (KAS_ECC_CDH_PrimitiveTest.txt), P-256, COUNT = 0. */
static void ecdh_cavs(void **state)
{
    (void)state;
    CLEANUP(soft_private_free)
    struct soft_private *k = private_from_hex(
        CURVE_P256, "7d7dc5f71eb29ddaf80d6214632eeae03d9058af1fb6d22ed80badb62bc1a534");
    CLEANUP(secret_free) struct secret z = {0};
    CLEANUP(buf_free) struct buf point = {0};
    struct hex peer = unhex("04 700c48f77f56584c5cc632ca65640db91b6bacce3a4df6b42ce7cc838833d287"
                            "db71e509e3fd9b060ddb20ba5c51dcc5948d46fbf640dfe0441782cab85fa4ac");
    assert_ok(soft_private_ecdh(k, HEX_BYTES(peer), &z));
    assert_hex(z.p, "46fc62106420ff012e54a434fbdd2d25ccc5852060561e68040dd7778997bd7b");
    assert_ok(soft_key_point(soft_private_public(k), &point));
    assert_hex(point.p, "04 ead218590119e8876b29146ff89ca61770c4edbbf97d38ce385ed281d8a6b230"
                        "28af61281fd35e2fa7002523acc85a429cb06ee6648325389f59edfce1405141");
}

static void peers_that_are_no_points(void **state)
{
    (void)state;
    for (enum curve c = CURVE_P224; c < CURVE_COUNT; c++) {
        CLEANUP(soft_private_free) struct soft_private *k = NULL;
        CLEANUP(buf_free) struct buf point = {0};
        CLEANUP(secret_free) struct secret z = {0};
        assert_ok(soft_private_generate(c, &k));
        assert_ok(soft_key_point(soft_private_public(k), &point));
        for (size_t n = 0; n < point.n; n++)
            assert_int_equal(soft_private_ecdh(k, BYTES(point.p, n), &z),
                             CKR_DOMAIN_PARAMS_INVALID);
        point.p[point.n - 1] ^= 1;
        assert_int_equal(soft_private_ecdh(k, buf_bytes(&point), &z), CKR_DOMAIN_PARAMS_INVALID);
        assert_null(z.p);
    }
}

/* A number as the order's hexadecimal digits say, plus add. */
static struct bytes order_plus(enum curve c, int add, uint8_t *ret)
{
    EC_GROUP *group = EC_GROUP_new_by_curve_name(curve_nid(c));
    BIGNUM *n = BN_dup(EC_GROUP_get0_order(group));
    assert_true(add < 0 ? BN_sub_word(n, (BN_ULONG)-add) : BN_add_word(n, (BN_ULONG)add));
    int size = BN_bn2binpad(n, ret, (int)curve_field_size(c));
    BN_free(n);
    EC_GROUP_free(group);
    return BYTES(ret, size);
}

static void values(void **state)
{
    (void)state;
    uint8_t value[70] = {0};
    struct soft_private *k = NULL;
    for (enum curve c = CURVE_P224; c < CURVE_COUNT; c++) {
        size_t field = curve_field_size(c);
        /* 1, with and without leading zeros, and the highest are keys */
        value[69] = 1;
        for (size_t n = 1; n <= 70; n += n == 1 ? field - 1 : 70 - field) {
            assert_ok(soft_private_from_value(c, BYTES(value + 70 - n, n), &k));
            assert_int_equal(soft_private_curve(k), c);
            struct bytes found = soft_private_value(k);
            assert_true(bytes_equal(found, BYTES(value + 70 - field, field)));
            assert_int_equal(soft_private_number(k, RSA_N).n, 0);
            soft_private_free(&k);
        }
        uint8_t order[67];
        assert_ok(soft_private_from_value(c, order_plus(c, -1, order), &k));
        soft_private_free(&k);
        /* 0, the order, one more and what is longer are none */
        value[69] = 0;
        assert_int_equal(soft_private_from_value(c, BYTES(value, field), &k),
                         CKR_ATTRIBUTE_VALUE_INVALID);
        for (int add = 0; add < 2; add++)
            assert_int_equal(soft_private_from_value(c, order_plus(c, add, order), &k),
                             CKR_ATTRIBUTE_VALUE_INVALID);
        memset(order, 1, sizeof(order));
        assert_int_equal(soft_private_from_value(c, BYTES(order, field + 1), &k),
                         CKR_ATTRIBUTE_VALUE_INVALID);
        assert_int_equal(soft_private_from_value(c, NO_BYTES, &k), CKR_ATTRIBUTE_VALUE_INVALID);
    }
    assert_int_equal(soft_private_from_value(CURVE_NONE, BYTES("1", 1), &k),
                     CKR_ATTRIBUTE_VALUE_INVALID);
    assert_int_equal(soft_private_generate(CURVE_NONE, &k), CKR_ARGUMENTS_BAD);
    static const size_t sizes[][2] = {
        {CURVE_ED25519, 32}, {CURVE_X25519, 32}, {CURVE_ED448, 57}, {CURVE_X448, 56}};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
        for (size_t n = 0; n < 60; n++)
            if (n != sizes[i][1])
                assert_int_equal(
                    soft_private_from_value((enum curve)sizes[i][0], BYTES(value, n), &k),
                    CKR_ATTRIBUTE_VALUE_INVALID);
    assert_null(k);
}

static void digest_lengths(void **state)
{
    (void)state;
    uint8_t sig[132], digest[HASH_MAX + 1] = {0};
    CLEANUP(soft_private_free) struct soft_private *k = NULL;
    assert_ok(soft_private_generate(CURVE_P521, &k));
    assert_int_equal(soft_private_ecdsa(k, NO_BYTES, sig), CKR_DATA_LEN_RANGE);
    assert_int_equal(soft_private_ecdsa(k, BYTES_OF(digest), sig), CKR_DATA_LEN_RANGE);
    assert_int_equal(soft_private_eddsa(k, NULL, NO_BYTES, sig), CKR_KEY_TYPE_INCONSISTENT);
    assert_int_equal(soft_private_rsa(k, NO_BYTES, sig), CKR_KEY_TYPE_INCONSISTENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ecdsa_verifies_elsewhere),
        cmocka_unit_test(ecdh_as_openssl),
        cmocka_unit_test(ecdh_cavs),
        cmocka_unit_test(peers_that_are_no_points),
        cmocka_unit_test(values),
        cmocka_unit_test(digest_lengths),
    };
    return run_soft_tests(tests);
}
