/* RSA signatures: PKCS#11 3.0 sections 2.1.6 (PKCS #1 v1.5), 2.1.7 (PSS), 2.1.10 (X.509, raw). */
#include "keys.h"

#include <openssl/rsa.h>

static const CK_ULONG sizes[] = {1024, 2048, 3072};
static const char *const labels[] = {"rsa1024", "rsa2048", "rsa3072"};

/* One row a hash: its name in libcrypto, its combined mechanisms, its PSS parameters. */
static const struct {
    const char *name;
    CK_ULONG size;
    CK_MECHANISM_TYPE hash, pkcs, pss;
    CK_RSA_PKCS_MGF_TYPE mgf;
} hashes[] = {
    {"SHA1", 20, CKM_SHA_1, CKM_SHA1_RSA_PKCS, CKM_SHA1_RSA_PKCS_PSS, CKG_MGF1_SHA1},
    {"SHA224", 28, CKM_SHA224, CKM_SHA224_RSA_PKCS, CKM_SHA224_RSA_PKCS_PSS, CKG_MGF1_SHA224},
    {"SHA256", 32, CKM_SHA256, CKM_SHA256_RSA_PKCS, CKM_SHA256_RSA_PKCS_PSS, CKG_MGF1_SHA256},
    {"SHA384", 48, CKM_SHA384, CKM_SHA384_RSA_PKCS, CKM_SHA384_RSA_PKCS_PSS, CKG_MGF1_SHA384},
    {"SHA512", 64, CKM_SHA512, CKM_SHA512_RSA_PKCS, CKM_SHA512_RSA_PKCS_PSS, CKG_MGF1_SHA512},
};

static const CK_BYTE message[] = "a message to be signed with RSA";

static int group_rsa(void **state)
{
    group_token(state);
    test_user(state);
    for (size_t i = 0; i < COUNT(sizes); i++)
        generate_rsa(fx.session, sizes[i], labels[i], true);
    return test_end(state);
}

static void pkcs1_hashing(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(sizes); k++) {
        struct key_pair keys = keys_of(fx.session, labels[k]);
        EVP_PKEY *key = openssl_key(fx.session, keys.public);
        for (size_t h = 0; h < COUNT(hashes); h++) {
            CK_MECHANISM *mechanism = MECHANISM(hashes[h].pkcs);
            struct blob digest = openssl_digest(hashes[h].name, message, sizeof message);
            struct blob signature =
                sign(fx.session, mechanism, keys.private, message, sizeof message);
            assert_int_equal(signature.n, sizes[k] / 8);
            assert_true(openssl_verify(key, RSA_PKCS1_PADDING, hashes[h].name, 0, digest.p,
                                       digest.n, signature));
            assert_ok(
                verify(fx.session, mechanism, keys.public, message, sizeof message, signature));
        }
        EVP_PKEY_free(key);
    }
}

/* CKM_RSA_PKCS pads whatever it is given, from nothing to k - 11 bytes. */
static void pkcs1_any_data(void **state)
{
    (void)state;
    CK_BYTE data[256 - 10] = {0x30, 7};
    struct key_pair keys = keys_of(fx.session, "rsa2048");
    EVP_PKEY *key = openssl_key(fx.session, keys.public);
    static const CK_ULONG lengths[] = {1, 19, 20, 32, 35, 36, 51, 64, 83, 100, 245};
    CK_MECHANISM *mechanism = MECHANISM(CKM_RSA_PKCS);
    for (size_t i = 0; i < COUNT(lengths); i++) {
        struct blob signature = sign(fx.session, mechanism, keys.private, data, lengths[i]);
        assert_true(openssl_verify(key, RSA_PKCS1_PADDING, NULL, 0, data, lengths[i], signature));
        assert_ok(verify(fx.session, mechanism, keys.public, data, lengths[i], signature));
    }
    struct blob signature = {.n = sizeof signature.p};
    assert_ok(p11->C_SignInit(fx.session, mechanism, keys.private));
    assert_rv(CKR_DATA_LEN_RANGE,
              p11->C_Sign(fx.session, data, sizeof data, signature.p, &signature.n));
    EVP_PKEY_free(key);
}

/* With the DigestInfo in front CKM_RSA_PKCS and the combined mechanism are one (ssh does this). */
static void pkcs1_digest_info(void **state)
{
    (void)state;
    static const CK_BYTE prefix[] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                     0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};
    CK_BYTE info[sizeof prefix + 32];
    struct blob digest = openssl_digest("SHA256", message, sizeof message);
    memcpy(info, prefix, sizeof prefix);
    memcpy(info + sizeof prefix, digest.p, 32);
    struct key_pair keys = keys_of(fx.session, "rsa2048");
    struct blob a = sign(fx.session, MECHANISM(CKM_RSA_PKCS), keys.private, info, sizeof info);
    struct blob b =
        sign(fx.session, MECHANISM(CKM_SHA256_RSA_PKCS), keys.private, message, sizeof message);
    assert_blob(a, b.p, b.n);
}

static void raw(void **state)
{
    (void)state;
    struct key_pair keys = keys_of(fx.session, "rsa2048");
    EVP_PKEY *key = openssl_key(fx.session, keys.public);
    CK_BYTE block[256] = {0, 1, 2, 3};
    CK_MECHANISM *mechanism = MECHANISM(CKM_RSA_X_509);
    struct blob signature = sign(fx.session, mechanism, keys.private, block, sizeof block);
    assert_int_equal(signature.n, 256);
    assert_true(openssl_verify(key, RSA_NO_PADDING, NULL, 0, block, sizeof block, signature));
    assert_ok(verify(fx.session, mechanism, keys.public, block, sizeof block, signature));
    /* Shorter input is padded with zeros in front (section 2.1.10). */
    struct blob shorter = sign(fx.session, mechanism, keys.private, block + 1, sizeof block - 1);
    assert_blob(shorter, signature.p, signature.n);
    memset(block, 0xFF, sizeof block); /* not below the modulus */
    signature.n = sizeof signature.p;
    assert_ok(p11->C_SignInit(fx.session, mechanism, keys.private));
    assert_rv_either(CKR_DATA_INVALID, CKR_DATA_LEN_RANGE,
                     p11->C_Sign(fx.session, block, sizeof block, signature.p, &signature.n));
    EVP_PKEY_free(key);
}

static void pss_round(size_t h, CK_ULONG salt, const char *label)
{
    CK_RSA_PKCS_PSS_PARAMS parameters = {hashes[h].hash, hashes[h].mgf, salt};
    struct key_pair keys = keys_of(fx.session, label);
    EVP_PKEY *key = openssl_key(fx.session, keys.public);
    struct blob digest = openssl_digest(hashes[h].name, message, sizeof message);
    CK_MECHANISM *plain = MECHANISM_WITH(CKM_RSA_PKCS_PSS, parameters);
    CK_MECHANISM *hashing = MECHANISM_WITH(hashes[h].pss, parameters);
    struct blob signature = sign(fx.session, plain, keys.private, digest.p, digest.n);
    assert_true(openssl_verify(key, RSA_PKCS1_PSS_PADDING, hashes[h].name, (int)salt, digest.p,
                               digest.n, signature));
    assert_ok(verify(fx.session, hashing, keys.public, message, sizeof message, signature));
    signature = sign(fx.session, hashing, keys.private, message, sizeof message);
    assert_true(openssl_verify(key, RSA_PKCS1_PSS_PADDING, hashes[h].name, (int)salt, digest.p,
                               digest.n, signature));
    assert_ok(verify(fx.session, plain, keys.public, digest.p, digest.n, signature));
    EVP_PKEY_free(key);
}

static void pss_all_hashes_and_salts(void **state)
{
    (void)state;
    for (size_t h = 0; h < COUNT(hashes); h++) {
        CK_ULONG longest = 256 - 2 - hashes[h].size;
        const CK_ULONG salts[] = {0, 1, 20, hashes[h].size, hashes[h].size + 1, longest};
        for (size_t i = 0; i < COUNT(salts); i++)
            pss_round(h, salts[i], "rsa2048");
        pss_round(h, hashes[h].size, "rsa3072");
    }
    pss_round(0, 20, "rsa1024");
    pss_round(2, 32, "rsa1024");
}

static void pss_bad_parameters(void **state)
{
    (void)state;
    struct key_pair keys = keys_of(fx.session, "rsa2048");
    CK_RSA_PKCS_PSS_PARAMS good = {CKM_SHA256, CKG_MGF1_SHA256, 32};
    CK_RSA_PKCS_PSS_PARAMS rows[] = {
        {CKM_SHA256_RSA_PKCS, CKG_MGF1_SHA256, 32}, /* not a hash */
        {CKM_SHA256, 99, 32},                       /* no such MGF */
        {CKM_SHA256, CKG_MGF1_SHA256, 2048},        /* salt longer than the key */
        {CKM_SHA256, CKG_MGF1_SHA256, (CK_ULONG)-1},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_rv_either(
            CKR_MECHANISM_PARAM_INVALID, CKR_KEY_SIZE_RANGE,
            p11->C_SignInit(fx.session, MECHANISM_WITH(CKM_RSA_PKCS_PSS, rows[i]), keys.private));
    assert_rv(CKR_MECHANISM_PARAM_INVALID,
              p11->C_SignInit(fx.session, MECHANISM(CKM_RSA_PKCS_PSS), keys.private));
    /* A combined mechanism and its parameters name one hash (section 2.1.13). */
    assert_rv(
        CKR_MECHANISM_PARAM_INVALID,
        p11->C_SignInit(fx.session, MECHANISM_WITH(CKM_SHA1_RSA_PKCS_PSS, good), keys.private));
    CK_MECHANISM truncated = {CKM_RSA_PKCS_PSS, &good, sizeof good - 1};
    assert_rv(CKR_MECHANISM_PARAM_INVALID, p11->C_SignInit(fx.session, &truncated, keys.private));
    struct blob signature = {.n = sizeof signature.p};
    assert_ok(p11->C_SignInit(fx.session, MECHANISM_WITH(CKM_RSA_PKCS_PSS, good), keys.private));
    assert_rv(CKR_DATA_LEN_RANGE,
              p11->C_Sign(fx.session, (CK_BYTE_PTR)message, 31, signature.p, &signature.n));
}

static void multi_part(void **state)
{
    (void)state;
    struct key_pair keys = keys_of(fx.session, "rsa2048");
    CK_RSA_PKCS_PSS_PARAMS pss = {CKM_SHA384, CKG_MGF1_SHA384, 48};
    CK_MECHANISM rows[] = {{CKM_SHA512_RSA_PKCS, NULL, 0},
                           {CKM_SHA384_RSA_PKCS_PSS, &pss, sizeof pss}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct blob signature = {.n = sizeof signature.p};
        assert_ok(p11->C_SignInit(fx.session, &rows[i], keys.private));
        for (size_t at = 0; at < sizeof message; at++)
            assert_ok(p11->C_SignUpdate(fx.session, (CK_BYTE_PTR)message + at, 1));
        assert_ok(p11->C_SignFinal(fx.session, signature.p, &signature.n));
        assert_ok(verify(fx.session, &rows[i], keys.public, message, sizeof message, signature));
        assert_ok(p11->C_VerifyInit(fx.session, &rows[i], keys.public));
        assert_ok(p11->C_VerifyUpdate(fx.session, (CK_BYTE_PTR)message, 5));
        assert_ok(p11->C_VerifyUpdate(fx.session, (CK_BYTE_PTR)message + 5, sizeof message - 5));
        assert_ok(p11->C_VerifyFinal(fx.session, signature.p, signature.n));
    }
}

static void refuses_forgeries(void **state)
{
    (void)state;
    struct key_pair keys = keys_of(fx.session, "rsa2048");
    CK_RSA_PKCS_PSS_PARAMS pss = {CKM_SHA256, CKG_MGF1_SHA256, 32};
    CK_MECHANISM rows[] = {{CKM_SHA256_RSA_PKCS, NULL, 0},
                           {CKM_SHA256_RSA_PKCS_PSS, &pss, sizeof pss}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct blob bad = sign(fx.session, &rows[i], keys.private, message, sizeof message);
        assert_rv(CKR_SIGNATURE_INVALID,
                  verify(fx.session, &rows[i], keys.public, message, sizeof message - 1, bad));
        bad.p[100] ^= 4;
        assert_rv(CKR_SIGNATURE_INVALID,
                  verify(fx.session, &rows[i], keys.public, message, sizeof message, bad));
        bad.n = 255;
        assert_rv(CKR_SIGNATURE_LEN_RANGE,
                  verify(fx.session, &rows[i], keys.public, message, sizeof message, bad));
        memset(bad.p, 0xFF, bad.n = 256);
        assert_rv(CKR_SIGNATURE_INVALID,
                  verify(fx.session, &rows[i], keys.public, message, sizeof message, bad));
    }
}

#define USER_TEST(f) cmocka_unit_test_setup_teardown(f, test_user, test_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        USER_TEST(pkcs1_hashing),
        USER_TEST(pkcs1_any_data),
        USER_TEST(pkcs1_digest_info),
        USER_TEST(raw),
        USER_TEST(pss_all_hashes_and_salts),
        USER_TEST(pss_bad_parameters),
        USER_TEST(multi_part),
        USER_TEST(refuses_forgeries),
    };
    return cmocka_run_group_tests(tests, group_rsa, group_end);
}
