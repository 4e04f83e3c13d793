/* RSA encryption: PKCS#11 3.0 sections 2.1.6 (PKCS #1 v1.5), 2.1.8 (OAEP), 2.1.10 (raw). */
#include "keys.h"

#include <openssl/rsa.h>

static const struct {
    const char *name;
    CK_ULONG size;
    CK_MECHANISM_TYPE hash;
    CK_RSA_PKCS_MGF_TYPE mgf;
} hashes[] = {
    {"SHA1", 20, CKM_SHA_1, CKG_MGF1_SHA1},      {"SHA224", 28, CKM_SHA224, CKG_MGF1_SHA224},
    {"SHA256", 32, CKM_SHA256, CKG_MGF1_SHA256}, {"SHA384", 48, CKM_SHA384, CKG_MGF1_SHA384},
    {"SHA512", 64, CKM_SHA512, CKG_MGF1_SHA512},
};

static CK_BYTE message[256] = {0, 'l', 'e', 't', 'm', 'e', 'i', 'n', 0xFF};

static struct blob encrypt(CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, CK_ULONG n)
{
    struct blob secret = {.n = sizeof secret.p};
    assert_ok(p11->C_EncryptInit(fx.session, mechanism, key));
    assert_ok(p11->C_Encrypt(fx.session, message, n, secret.p, &secret.n));
    assert_int_equal(secret.n, 256);
    return secret;
}

static CK_RV decrypt(CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, struct blob secret,
                     struct blob *ret)
{
    ret->n = sizeof ret->p;
    CK_RV rv = p11->C_DecryptInit(fx.session, mechanism, key);
    return rv != CKR_OK ? rv : p11->C_Decrypt(fx.session, secret.p, secret.n, ret->p, &ret->n);
}

/* libcrypto encrypts; oaep: the hash of OAEP and MGF1, NULL for PKCS #1 v1.5. */
static struct blob openssl_encrypt(CK_OBJECT_HANDLE object, const char *oaep, const char *label,
                                   CK_ULONG n)
{
    EVP_PKEY *key = openssl_key(fx.session, object);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
    struct blob secret = {.n = sizeof secret.p};
    assert_int_equal(EVP_PKEY_encrypt_init(context), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(context, oaep == NULL ? RSA_PKCS1_PADDING
                                                                        : RSA_PKCS1_OAEP_PADDING),
                     1);
    if (oaep != NULL) {
        assert_int_equal(EVP_PKEY_CTX_set_rsa_oaep_md(context, EVP_get_digestbyname(oaep)), 1);
        assert_int_equal(EVP_PKEY_CTX_set_rsa_mgf1_md(context, EVP_get_digestbyname(oaep)), 1);
        if (label[0] != 0)
            assert_int_equal(EVP_PKEY_CTX_set0_rsa_oaep_label(context, OPENSSL_strdup(label),
                                                              (int)strlen(label)),
                             1);
    }
    size_t size = sizeof secret.p;
    assert_int_equal(EVP_PKEY_encrypt(context, secret.p, &size, message, n), 1);
    secret.n = size;
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(key);
    return secret;
}

static void pkcs1(void **state)
{
    (void)state;
    struct key_pair keys = keys_of(fx.session, "rsa2048");
    CK_MECHANISM *mechanism = MECHANISM(CKM_RSA_PKCS);
    static const CK_ULONG lengths[] = {0, 1, 48, 245};
    struct blob plain;
    for (size_t i = 0; i < COUNT(lengths); i++) {
        assert_ok(
            decrypt(mechanism, keys.private, encrypt(mechanism, keys.public, lengths[i]), &plain));
        assert_blob(plain, message, lengths[i]);
        assert_ok(decrypt(mechanism, keys.private,
                          openssl_encrypt(keys.public, NULL, NULL, lengths[i]), &plain));
        assert_blob(plain, message, lengths[i]);
    }
    struct blob secret = {.n = sizeof secret.p};
    assert_ok(p11->C_EncryptInit(fx.session, mechanism, keys.public));
    assert_rv(CKR_DATA_LEN_RANGE, p11->C_Encrypt(fx.session, message, 246, secret.p, &secret.n));
}

static void oaep(void **state)
{
    (void)state;
    struct key_pair keys = keys_of(fx.session, "rsa2048");
    static const char *const labels[] = {"", "a label", "one without an end of its own ......"};
    for (size_t h = 0; h < COUNT(hashes); h++)
        for (size_t l = 0; l < COUNT(labels); l++) {
            CK_RSA_PKCS_OAEP_PARAMS parameters = {
                hashes[h].hash, hashes[h].mgf, CKZ_DATA_SPECIFIED,
                strlen(labels[l]) == 0 ? NULL : (CK_VOID_PTR)labels[l], strlen(labels[l])};
            CK_MECHANISM *mechanism = MECHANISM_WITH(CKM_RSA_PKCS_OAEP, parameters);
            CK_ULONG longest = 256 - 2 - 2 * hashes[h].size;
            const CK_ULONG lengths[] = {0, 1, 32, longest};
            struct blob plain;
            for (size_t i = 0; i < COUNT(lengths); i++) {
                assert_ok(decrypt(mechanism, keys.private,
                                  encrypt(mechanism, keys.public, lengths[i]), &plain));
                assert_blob(plain, message, lengths[i]);
                assert_ok(decrypt(
                    mechanism, keys.private,
                    openssl_encrypt(keys.public, hashes[h].name, labels[l], lengths[i]), &plain));
                assert_blob(plain, message, lengths[i]);
            }
            parameters.pSourceData = (CK_VOID_PTR) "another label";
            parameters.ulSourceDataLen = 13;
            assert_rv(CKR_ENCRYPTED_DATA_INVALID,
                      decrypt(mechanism, keys.private,
                              openssl_encrypt(keys.public, hashes[h].name, labels[l], 32), &plain));
        }
}

/* The hash of the label and that of MGF1 may differ. */
static void oaep_mixed_hashes(void **state)
{
    (void)state;
    struct key_pair keys = keys_of(fx.session, "rsa2048");
    CK_RSA_PKCS_OAEP_PARAMS parameters = {CKM_SHA256, CKG_MGF1_SHA1, CKZ_DATA_SPECIFIED, NULL, 0};
    CK_MECHANISM *mechanism = MECHANISM_WITH(CKM_RSA_PKCS_OAEP, parameters);
    struct blob plain;
    assert_ok(decrypt(mechanism, keys.private, encrypt(mechanism, keys.public, 16), &plain));
    assert_blob(plain, message, 16);
}

static void oaep_bad_parameters(void **state)
{
    (void)state;
    struct key_pair keys = keys_of(fx.session, "rsa2048");
    CK_RSA_PKCS_OAEP_PARAMS rows[] = {
        {CKM_ECDSA, CKG_MGF1_SHA1, CKZ_DATA_SPECIFIED, NULL, 0},
        {CKM_SHA_1, 99, CKZ_DATA_SPECIFIED, NULL, 0},
        {CKM_SHA_1, CKG_MGF1_SHA1, 99, message, 4},
        {CKM_SHA_1, CKG_MGF1_SHA1, CKZ_DATA_SPECIFIED, NULL, 4},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_rv(CKR_MECHANISM_PARAM_INVALID,
                  p11->C_EncryptInit(fx.session, MECHANISM_WITH(CKM_RSA_PKCS_OAEP, rows[i]),
                                     keys.public));
    assert_rv(CKR_MECHANISM_PARAM_INVALID,
              p11->C_EncryptInit(fx.session, MECHANISM(CKM_RSA_PKCS_OAEP), keys.public));
}

static void raw(void **state)
{
    (void)state;
    struct key_pair keys = keys_of(fx.session, "rsa2048");
    CK_MECHANISM *mechanism = MECHANISM(CKM_RSA_X_509);
    struct blob plain, secret = encrypt(mechanism, keys.public, 256);
    assert_ok(decrypt(mechanism, keys.private, secret, &plain));
    assert_blob(plain, message, 256); /* leading zeros kept */
}

static void bad_ciphertexts(void **state)
{
    (void)state;
    struct key_pair keys = keys_of(fx.session, "rsa2048");
    CK_RSA_PKCS_OAEP_PARAMS parameters = {CKM_SHA256, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, NULL, 0};
    CK_MECHANISM rows[] = {{CKM_RSA_PKCS, NULL, 0},
                           {CKM_RSA_PKCS_OAEP, &parameters, sizeof parameters}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct blob plain, good = encrypt(&rows[i], keys.public, 16), bad = good;
        bad.p[255] ^= 1;
        assert_rv(CKR_ENCRYPTED_DATA_INVALID, decrypt(&rows[i], keys.private, bad, &plain));
        memset(bad.p, 0xFF, 256); /* not below the modulus */
        assert_rv(CKR_ENCRYPTED_DATA_INVALID, decrypt(&rows[i], keys.private, bad, &plain));
        bad.n = 255;
        assert_rv(CKR_ENCRYPTED_DATA_LEN_RANGE, decrypt(&rows[i], keys.private, bad, &plain));
        assert_ok(decrypt(&rows[i], keys.private, good, &plain));
        assert_blob(plain, message, 16);
    }
}

static void wrong_keys(void **state)
{
    (void)state;
    struct key_pair rsa = keys_of(fx.session, "rsa2048"), ec = keys_of(fx.session, "p256");
    assert_rv(CKR_KEY_TYPE_INCONSISTENT,
              p11->C_EncryptInit(fx.session, MECHANISM(CKM_RSA_PKCS), ec.public));
    assert_rv_either(CKR_KEY_TYPE_INCONSISTENT, CKR_KEY_FUNCTION_NOT_PERMITTED,
                     p11->C_DecryptInit(fx.session, MECHANISM(CKM_RSA_PKCS), rsa.public));
    assert_rv_either(CKR_KEY_TYPE_INCONSISTENT, CKR_KEY_FUNCTION_NOT_PERMITTED,
                     p11->C_EncryptInit(fx.session, MECHANISM(CKM_RSA_PKCS), rsa.private));
    assert_rv(CKR_MECHANISM_INVALID,
              p11->C_EncryptInit(fx.session, MECHANISM(CKM_RSA_PKCS_PSS), rsa.public));
}

#define USER_TEST(f) cmocka_unit_test_setup_teardown(f, test_user, test_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        USER_TEST(pkcs1),
        USER_TEST(oaep),
        USER_TEST(oaep_mixed_hashes),
        USER_TEST(oaep_bad_parameters),
        USER_TEST(raw),
        USER_TEST(bad_ciphertexts),
        USER_TEST(wrong_keys),
    };
    return cmocka_run_group_tests(tests, group_keys, group_end);
}
