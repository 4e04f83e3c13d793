/* X25519. */
#include "private_test.h"

static void derive(const char *scalar, const char *u, const char *expected)
{
    CLEANUP(soft_private_free) struct soft_private *k = private_from_hex(CURVE_X25519, scalar);
    CLEANUP(secret_free) struct secret z = {0};
    struct hex peer = unhex(u);
    assert_ok(soft_private_ecdh(k, HEX_BYTES(peer), &z));
    assert_int_equal(z.n, 32);
    assert_hex(z.p, expected);
}

/* RFC 7748, 5.2 (the first two) and 6.1. */
static void rfc_7748(void **state)
{
    (void)state;
    derive("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
           "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
           "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
    derive("4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
           "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
           "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957");
    derive("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
           "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
           "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
    derive("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
           "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
           "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
}

/* RFC 7748, 5.2: the iterated function after 1 and 1,000 rounds. */
static void rfc_7748_iterated(void **state)
{
    (void)state;
    uint8_t k[32] = {9}, u[32] = {9};
    for (int i = 1; i <= 1000; i++) {
        CLEANUP(soft_private_free) struct soft_private *key = NULL;
        CLEANUP(secret_free) struct secret z = {0};
        assert_ok(soft_private_from_value(CURVE_X25519, BYTES_OF(k), &key));
        assert_ok(soft_private_ecdh(key, BYTES_OF(u), &z));
        memcpy(u, k, 32);
        memcpy(k, z.p, 32);
        if (i == 1)
            assert_hex(k, "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079");
    }
    assert_hex(k, "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");
}

static void as_openssl(void **state)
{
    (void)state;
    for (int i = 0; i < 300; i++) {
        CLEANUP(soft_private_free) struct soft_private *own = NULL;
        CLEANUP(soft_private_free) struct soft_private *other = NULL;
        CLEANUP(buf_free) struct buf point = {0};
        CLEANUP(secret_free) struct secret z = {0};
        uint8_t theirs[32];
        assert_ok(soft_private_generate(CURVE_X25519, &own));
        assert_ok(soft_private_generate(CURVE_X25519, &other));
        EVP_PKEY *a = evp_private(own), *b = evp_private(other);
        assert_same_public(own, a);
        evp_derive(a, b, theirs, 32);
        assert_ok(soft_key_point(soft_private_public(other), &point));
        assert_ok(soft_private_ecdh(own, buf_bytes(&point), &z));
        assert_memory_equal(z.p, theirs, 32);
        EVP_PKEY_free(a);
        EVP_PKEY_free(b);
    }
}

/* Coordinates that are not reduced count modulo p; the top bit does not count (RFC 7748, 5). */
static void peculiar_coordinates(void **state)
{
    (void)state;
    static const char scalar[] = "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a";
    CLEANUP(soft_private_free) struct soft_private *k = private_from_hex(CURVE_X25519, scalar);
    struct hex u[] = {unhex("0900000000000000000000000000000000000000000000000000000000000000"),
                      unhex("f6ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
                      unhex("0900000000000000000000000000000000000000000000000000000000000080")};
    for (int i = 0; i < 3; i++) { /* 9, 9 + p, 9 with the top bit */
        CLEANUP(secret_free) struct secret z = {0};
        assert_ok(soft_private_ecdh(k, HEX_BYTES(u[i]), &z));
        assert_hex(z.p, "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
    }
}

/* All points of small order, also not reduced: 0, 1, -1, two of order 8; their forms above p. */
static void refuses_small_order(void **state)
{
    (void)state;
    static const char *const points[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    };
    CLEANUP(soft_private_free) struct soft_private *k = NULL;
    CLEANUP(secret_free) struct secret z = {0};
    assert_ok(soft_private_generate(CURVE_X25519, &k));
    for (size_t i = 0; i < sizeof(points) / sizeof(*points); i++) {
        struct hex point = unhex(points[i]);
        assert_int_equal(soft_private_ecdh(k, HEX_BYTES(point), &z), CKR_DOMAIN_PARAMS_INVALID);
    }
    struct hex nine = unhex("0900000000000000000000000000000000000000000000000000000000000000");
    assert_int_equal(soft_private_ecdh(k, BYTES(nine.p, 31), &z), CKR_DOMAIN_PARAMS_INVALID);
    assert_int_equal(soft_private_ecdh(k, BYTES(nine.p, 33), &z), CKR_DOMAIN_PARAMS_INVALID);
    assert_null(z.p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc_7748),
        cmocka_unit_test(rfc_7748_iterated),
        cmocka_unit_test(as_openssl),
        cmocka_unit_test(peculiar_coordinates),
        cmocka_unit_test(refuses_small_order),
    };
    return run_soft_tests(tests);
}
