/* ECDSA: PKCS#11 3.0 section 2.3.6 and 2.3.7, mechanisms CKM_ECDSA and CKM_ECDSA_SHAn. */
#include "keys.h"

static const struct {
    int nid;
    const char *label;
    CK_ULONG signature_size;
} curves[] = {
    {NID_secp224r1, "p224", 56},
    {NID_X9_62_prime256v1, "p256", 64},
    {NID_secp384r1, "p384", 96},
    {NID_secp521r1, "p521", 132},
};

static const struct {
    CK_MECHANISM_TYPE type;
    const char *digest;
} hashed[] = {
    {CKM_ECDSA_SHA1, "SHA1"},     {CKM_ECDSA_SHA224, "SHA224"}, {CKM_ECDSA_SHA256, "SHA256"},
    {CKM_ECDSA_SHA384, "SHA384"}, {CKM_ECDSA_SHA512, "SHA512"},
};

static int group_curves(void **state)
{
    group_token(state);
    test_user(state);
    for (size_t i = 0; i < COUNT(curves); i++)
        generate_ec(fx.session, curves[i].nid, curves[i].label, true);
    return test_end(state);
}

/* Digests of every length from 1 to 64 bytes, shorter and longer than the curve's order. */
static void raw_digests(void **state)
{
    (void)state;
    CK_BYTE digest[64];
    for (size_t i = 0; i < sizeof digest; i++)
        digest[i] = (CK_BYTE)(0xF1 + 7 * i);
    for (size_t c = 0; c < COUNT(curves); c++) {
        struct key_pair keys = keys_of(fx.session, curves[c].label);
        EVP_PKEY *key = openssl_key(fx.session, keys.public);
        for (size_t n = 1; n <= sizeof digest; n++) {
            struct blob signature = sign(fx.session, MECHANISM(CKM_ECDSA), keys.private, digest, n);
            assert_int_equal(signature.n, curves[c].signature_size);
            assert_true(openssl_verify(key, 0, NULL, 0, digest, n, signature));
            assert_ok(verify(fx.session, MECHANISM(CKM_ECDSA), keys.public, digest, n, signature));
        }
        EVP_PKEY_free(key);
    }
}

static void hashing_mechanisms(void **state)
{
    (void)state;
    static const char message[] = "an ordinary message";
    for (size_t c = 0; c < COUNT(curves); c++) {
        struct key_pair keys = keys_of(fx.session, curves[c].label);
        EVP_PKEY *key = openssl_key(fx.session, keys.public);
        for (size_t h = 0; h < COUNT(hashed); h++) {
            CK_MECHANISM *mechanism = MECHANISM(hashed[h].type);
            struct blob digest = openssl_digest(hashed[h].digest, message, sizeof message);
            struct blob signature =
                sign(fx.session, mechanism, keys.private, message, sizeof message);
            assert_int_equal(signature.n, curves[c].signature_size);
            assert_true(openssl_verify(key, 0, NULL, 0, digest.p, digest.n, signature));
            assert_ok(
                verify(fx.session, mechanism, keys.public, message, sizeof message, signature));
        }
        EVP_PKEY_free(key);
    }
}

static void multi_part(void **state)
{
    (void)state;
    static CK_BYTE message[10000];
    struct key_pair keys = keys_of(fx.session, "p256");
    EVP_PKEY *key = openssl_key(fx.session, keys.public);
    for (size_t h = 0; h < COUNT(hashed); h++) {
        struct blob signature = {.n = sizeof signature.p};
        CK_MECHANISM *mechanism = MECHANISM(hashed[h].type);
        assert_ok(p11->C_SignInit(fx.session, mechanism, keys.private));
        for (CK_ULONG at = 0, n; at < sizeof message; at += n) {
            n = at + 999 < sizeof message ? 999 : sizeof message - at;
            assert_ok(p11->C_SignUpdate(fx.session, message + at, n));
        }
        assert_ok(p11->C_SignFinal(fx.session, signature.p, &signature.n));
        struct blob digest = openssl_digest(hashed[h].digest, message, sizeof message);
        assert_true(openssl_verify(key, 0, NULL, 0, digest.p, digest.n, signature));

        assert_ok(p11->C_VerifyInit(fx.session, mechanism, keys.public));
        assert_ok(p11->C_VerifyUpdate(fx.session, message, 1));
        assert_ok(p11->C_VerifyUpdate(fx.session, message + 1, sizeof message - 1));
        assert_ok(p11->C_VerifyFinal(fx.session, signature.p, signature.n));
    }
    EVP_PKEY_free(key);
}

/* CKM_ECDSA is single-part (section 2.3.6); what comes in parts all the same is put together. */
static void raw_in_parts(void **state)
{
    (void)state;
    struct key_pair keys = keys_of(fx.session, "p256");
    CK_BYTE digest[32] = {1};
    struct blob signature = {.n = sizeof signature.p};
    assert_ok(p11->C_SignInit(fx.session, MECHANISM(CKM_ECDSA), keys.private));
    assert_ok(p11->C_SignUpdate(fx.session, digest, 10));
    assert_ok(p11->C_SignUpdate(fx.session, digest + 10, sizeof digest - 10));
    assert_ok(p11->C_SignFinal(fx.session, signature.p, &signature.n));
    assert_ok(
        verify(fx.session, MECHANISM(CKM_ECDSA), keys.public, digest, sizeof digest, signature));
}

static void refuses_forgeries(void **state)
{
    (void)state;
    CK_MECHANISM *mechanism = MECHANISM(CKM_ECDSA_SHA256);
    struct key_pair keys = keys_of(fx.session, "p256");
    struct blob good = sign(fx.session, mechanism, keys.private, "message", 7);
    assert_ok(verify(fx.session, mechanism, keys.public, "message", 7, good));
    assert_rv(CKR_SIGNATURE_INVALID,
              verify(fx.session, mechanism, keys.public, "massage", 7, good));
    for (size_t i = 0; i < good.n; i++) {
        struct blob bad = good;
        bad.p[i] ^= 1;
        assert_rv(CKR_SIGNATURE_INVALID,
                  verify(fx.session, mechanism, keys.public, "message", 7, bad));
    }
    struct blob bad = good;
    bad.n = 63;
    assert_rv(CKR_SIGNATURE_LEN_RANGE,
              verify(fx.session, mechanism, keys.public, "message", 7, bad));
    bad = (struct blob){.n = 64};
    assert_rv(CKR_SIGNATURE_INVALID, verify(fx.session, mechanism, keys.public, "message", 7, bad));
}

/* Verification needs the public key alone: no login, no TPM. */
static void verify_without_login(void **state)
{
    (void)state;
    struct key_pair keys = keys_of(fx.session, "p256");
    struct blob signature = sign(fx.session, MECHANISM(CKM_ECDSA_SHA256), keys.private, "m", 1);
    assert_ok(p11->C_Logout(fx.session));
    CK_OBJECT_HANDLE public = find_object(fx.session, CKO_PUBLIC_KEY, "p256");
    assert_ok(verify(fx.session, MECHANISM(CKM_ECDSA_SHA256), public, "m", 1, signature));
    assert_int_equal(find_object(fx.session, CKO_PRIVATE_KEY, "p256"), CK_INVALID_HANDLE);
}

static void session_key(void **state)
{
    (void)state;
    struct key_pair keys = generate_ec(fx.session, NID_X9_62_prime256v1, "fleeting", false);
    CK_BYTE digest[32] = {9};
    EVP_PKEY *key = openssl_key(fx.session, keys.public);
    struct blob signature =
        sign(fx.session, MECHANISM(CKM_ECDSA), keys.private, digest, sizeof digest);
    assert_true(openssl_verify(key, 0, NULL, 0, digest, sizeof digest, signature));
    EVP_PKEY_free(key);
}

/* More keys than the TPM has slots for, in rotation. */
static void keys_in_rotation(void **state)
{
    (void)state;
    CK_BYTE digest[32] = {7};
    for (int round = 0; round < 5; round++)
        for (size_t c = 0; c < COUNT(curves); c++) {
            struct key_pair keys = keys_of(fx.session, curves[c].label);
            struct blob signature =
                sign(fx.session, MECHANISM(CKM_ECDSA), keys.private, digest, sizeof digest);
            assert_ok(verify(fx.session, MECHANISM(CKM_ECDSA), keys.public, digest, sizeof digest,
                             signature));
        }
    assert_true(swtpm_handles(&fx.tpm, 0x80) <= 2);
    assert_true(swtpm_handles(&fx.tpm, 0x02) <= 1);
}

static void wrong_keys(void **state)
{
    (void)state;
    struct key_pair keys = keys_of(fx.session, "p256");
    assert_rv(CKR_KEY_TYPE_INCONSISTENT,
              p11->C_SignInit(fx.session, MECHANISM(CKM_RSA_PKCS), keys.private));
    assert_rv_either(CKR_KEY_TYPE_INCONSISTENT, CKR_KEY_FUNCTION_NOT_PERMITTED,
                     p11->C_SignInit(fx.session, MECHANISM(CKM_ECDSA), keys.public));
    assert_rv(CKR_KEY_HANDLE_INVALID, p11->C_SignInit(fx.session, MECHANISM(CKM_ECDSA), 0));
    assert_rv(CKR_MECHANISM_PARAM_INVALID,
              p11->C_SignInit(fx.session, MECHANISM_WITH(CKM_ECDSA, yes), keys.private));
    assert_rv(CKR_MECHANISM_INVALID,
              p11->C_SignInit(fx.session, MECHANISM(CKM_SHA256), keys.private));
}

#define USER_TEST(f) cmocka_unit_test_setup_teardown(f, test_user, test_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        USER_TEST(raw_digests),  USER_TEST(hashing_mechanisms), USER_TEST(multi_part),
        USER_TEST(raw_in_parts), USER_TEST(refuses_forgeries),  USER_TEST(verify_without_login),
        USER_TEST(session_key),  USER_TEST(keys_in_rotation),   USER_TEST(wrong_keys),
    };
    return cmocka_run_group_tests(tests, group_curves, group_end);
}
