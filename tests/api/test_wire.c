/* What goes by between module and TPM while keys are made, wrapped, unwrapped and derived: no
 * secret in clear (SECURITY.md). */
#include "derive.h"

#include <stdio.h>

static void assert_silent(const char *what, struct blob value)
{
    enum { PART = 8 }; /* key wrap works on so many bytes at a time */
    for (CK_ULONG at = 0; at + PART <= value.n; at += PART)
        if (proxy_carries(value.p + at, PART))
            fail_msg("%s: bytes %lu to %lu went by in clear", what, at, at + PART - 1);
}

/* ---- new keys ----------------------------------------------------------------------------------
 */

static void generated_keys(void **state)
{
    (void)state;
    static const struct {
        CK_MECHANISM_TYPE type;
        CK_ULONG n;
    } rows[] = {{CKM_AES_KEY_GEN, 16},
                {CKM_AES_KEY_GEN, 24},
                {CKM_AES_KEY_GEN, 32},
                {CKM_GENERIC_SECRET_KEY_GEN, 32},
                {CKM_GENERIC_SECRET_KEY_GEN, 200}};
    for (size_t i = 0; i < COUNT(rows); i++)
        for (int token = 0; token < 2; token++) {
            CK_OBJECT_HANDLE key;
            CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_VALUE_LEN, rows[i].n),
                                       ATTR_BOOL(CKA_TOKEN, token), ATTR_BOOL(CKA_SENSITIVE, false),
                                       ATTR_BOOL(CKA_EXTRACTABLE, true)};
            proxy_clear();
            assert_ok(p11->C_GenerateKey(fx.session, MECHANISM(rows[i].type), template,
                                         COUNT(template), &key));
            assert_silent("a generated key", get_attribute(fx.session, key, CKA_VALUE));
        }
}

/* ---- wrapping and unwrapping under a key in the TPM ---------------------------------------------
 */

static CK_BYTE iv[16] = {1, 2, 3};
static CK_AES_CTR_PARAMS ctr = {128, {1, 2, 3}};
static CK_GCM_PARAMS gcm = {iv, 12, 96, NULL, 0, 128};
static CK_CCM_PARAMS ccm = {0, iv, 12, NULL, 0, 16};
static CK_RSA_PKCS_OAEP_PARAMS oaep = {CKM_SHA256, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, NULL, 0};
static CK_RSA_AES_KEY_WRAP_PARAMS rsa_aes = {256, &oaep};

static const CK_MECHANISM ways[] = {
    {CKM_AES_ECB, NULL, 0},          {CKM_AES_CBC, iv, 16},
    {CKM_AES_CBC_PAD, iv, 16},       {CKM_AES_CTR, &ctr, sizeof ctr},
    {CKM_AES_OFB, iv, 16},           {CKM_AES_CFB128, iv, 16},
    {CKM_AES_CFB8, iv, 16},          {CKM_AES_GCM, &gcm, sizeof gcm},
    {CKM_AES_CCM, &ccm, sizeof ccm}, {CKM_AES_KEY_WRAP, NULL, 0},
    {CKM_AES_KEY_WRAP_KWP, NULL, 0}, {CKM_AES_KEY_WRAP_PKCS7, NULL, 0},
    {CKM_RSA_PKCS, NULL, 0},         {CKM_RSA_PKCS_OAEP, &oaep, sizeof oaep},
    {CKM_RSA_X_509, NULL, 0},        {CKM_RSA_AES_KEY_WRAP, &rsa_aes, sizeof rsa_aes},
};

struct wrappers {
    CK_OBJECT_HANDLE aes, public, private;
};

static struct wrappers make_wrappers(void)
{
    static struct parts parts;
    struct wrappers w;
    EVP_PKEY *rsa = make_key("RSA-2048");
    w.aes = base_key(CKK_AES, random_blob(32), true, true, false);
    public_parts(rsa, &parts);
    assert_ok(create(&parts, &w.public));
    private_parts(rsa, &parts);
    set_part(&parts, (CK_ATTRIBUTE)ATTR_BOOL(CKA_UNWRAP, true));
    set_part(&parts, (CK_ATTRIBUTE)ATTR_BOOL(CKA_TOKEN, true));
    assert_ok(create(&parts, &w.private));
    assert_protection(w.aes, "tpm");
    assert_protection(w.private, "tpm");
    EVP_PKEY_free(rsa);
    return w;
}

/* The unwrapped key goes into the TPM again. */
static void wrapped_keys(void **state)
{
    (void)state;
    struct wrappers w = make_wrappers();
    CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_CLASS, CKO_SECRET_KEY),
                               ATTR_ULONG(CKA_KEY_TYPE, CKK_AES), ATTR_BOOL(CKA_TOKEN, true),
                               ATTR_BOOL(CKA_EXTRACTABLE, false), ATTR_ULONG(CKA_VALUE_LEN, 32)};
    for (size_t i = 0; i < COUNT(ways); i++) {
        CK_MECHANISM mechanism = ways[i];
        char what[32];
        bool rsa = mechanism.mechanism < 0x10 || mechanism.mechanism == CKM_RSA_AES_KEY_WRAP;
        struct blob value = random_blob(32), wrapped = {.n = sizeof wrapped.p};
        CK_OBJECT_HANDLE key = base_key(CKK_AES, value, false, true, true), again;
        snprintf(what, sizeof what, "mechanism 0x%lx", mechanism.mechanism);
        proxy_clear();
        assert_ok(p11->C_WrapKey(fx.session, &mechanism, rsa ? w.public : w.aes, key, wrapped.p,
                                 &wrapped.n));
        assert_silent(what, value);
        assert_ok(p11->C_UnwrapKey(fx.session, &mechanism, rsa ? w.private : w.aes, wrapped.p,
                                   wrapped.n, template, COUNT(template), &again));
        assert_silent(what, value);
        assert_true(proxy_count() > 0);
        assert_protection(again, "tpm");
        assert_same_secret(again, value);
        assert_ok(p11->C_DestroyObject(fx.session, again));
    }
}

/* OFB's and CTR's keystream is as good as the key that it hides. */
static void keystreams(void **state)
{
    (void)state;
    struct wrappers w = make_wrappers();
    static const CK_MECHANISM streams[] = {{CKM_AES_OFB, iv, 16}, {CKM_AES_CTR, &ctr, sizeof ctr}};
    for (size_t i = 0; i < COUNT(streams); i++) {
        CK_MECHANISM mechanism = streams[i];
        struct blob value = random_blob(48), wrapped = {.n = sizeof wrapped.p};
        CK_OBJECT_HANDLE key = base_key(CKK_GENERIC_SECRET, value, false, true, true);
        proxy_clear();
        assert_ok(p11->C_WrapKey(fx.session, &mechanism, w.aes, key, wrapped.p, &wrapped.n));
        for (CK_ULONG k = 0; k < wrapped.n; k++)
            wrapped.p[k] ^= value.p[k];
        assert_silent("a keystream", wrapped);
    }
}

/* ---- derivations from a key in the TPM ----------------------------------------------------------
 */

static CK_BYTE much[1100];

static void assert_derives_silently(CK_MECHANISM *mechanism, CK_OBJECT_HANDLE base)
{
    CK_OBJECT_HANDLE key;
    proxy_clear();
    assert_ok(derive_readable(mechanism, base, 32, &key));
    assert_true(proxy_count() > 0);
    assert_silent("a derived key", get_attribute(fx.session, key, CKA_VALUE));
}

static void derived_keys(void **state)
{
    (void)state;
    EVP_PKEY *peer = make_key("P-256");
    struct blob point = public_point(peer);
    CK_OBJECT_HANDLE secret = base_key(CKK_GENERIC_SECRET, random_blob(32), true, true, false);
    CK_OBJECT_HANDLE aes = base_key(CKK_AES, random_blob(32), true, true, false);
    CK_OBJECT_HANDLE ec = generate_ec(fx.session, NID_X9_62_prime256v1, "ec", true).private;
    CK_ECDH1_DERIVE_PARAMS ecdh = {CKD_NULL, 0, NULL, point.n, point.p};
    CK_HKDF_PARAMS hkdf = {CK_FALSE,          CK_TRUE, CKM_SHA256, CKF_HKDF_SALT_NULL, NULL, 0,
                           CK_INVALID_HANDLE, NULL,    0};
    CK_SP800_108_COUNTER_FORMAT counter = {CK_FALSE, 32};
    CK_PRF_DATA_PARAM field = {CK_SP800_108_ITERATION_VARIABLE, &counter, sizeof counter};
    CK_PRF_DATA_PARAM fields[] = {{CK_SP800_108_ITERATION_VARIABLE, &counter, sizeof counter},
                                  {CK_SP800_108_BYTE_ARRAY, much, 1}};
    CK_SP800_108_KDF_PARAMS by_hmac = {CKM_SHA256_HMAC, 1, &field, 0, NULL},
                            by_cmac = {CKM_AES_CMAC, 2, fields, 0, NULL};
    assert_derives_silently(MECHANISM_WITH(CKM_ECDH1_DERIVE, ecdh), ec);
    assert_derives_silently(MECHANISM_WITH(CKM_HKDF_DERIVE, hkdf), secret);
    assert_derives_silently(MECHANISM_WITH(CKM_SP800_108_COUNTER_KDF, by_hmac), secret);
    for (CK_ULONG n = 1; n <= 1040; n += n < 990 ? 89 : 1) {
        fields[1].ulValueLen = n;
        assert_derives_silently(MECHANISM_WITH(CKM_SP800_108_COUNTER_KDF, by_cmac), aes);
    }
    EVP_PKEY_free(peer);
}

/* The TPM takes longer data in pieces, and answers to the last in clear: then there is no key. */
static void long_data(void **state)
{
    (void)state;
    struct blob value = random_blob(32);
    CK_OBJECT_HANDLE tpm = base_key(CKK_GENERIC_SECRET, value, true, true, false), key;
    CK_OBJECT_HANDLE software = base_key(CKK_GENERIC_SECRET, value, false, true, false);
    CK_HKDF_PARAMS hkdf = {CK_FALSE,          CK_TRUE, CKM_SHA256, CKF_HKDF_SALT_NULL, NULL, 0,
                           CK_INVALID_HANDLE, much,    0};
    for (CK_ULONG n = 1000; n <= sizeof much; n += 50) {
        hkdf.ulInfoLen = n;
        assert_ok(derive_readable(MECHANISM_WITH(CKM_HKDF_DERIVE, hkdf), software, 32, &key));
        struct blob want = get_attribute(fx.session, key, CKA_VALUE);
        proxy_clear();
        CK_RV rv = derive_readable(MECHANISM_WITH(CKM_HKDF_DERIVE, hkdf), tpm, 32, &key);
        assert_silent("a derived key", want);
        assert_rv(n < 1024 ? CKR_OK : CKR_KEY_FUNCTION_NOT_PERMITTED, rv);
    }
}

/* What a derivation gives goes into the TPM, three keys at once. */
static void derived_into_the_tpm(void **state)
{
    (void)state;
    struct blob value = random_blob(64);
    CK_KEY_DERIVATION_STRING_DATA one = {(CK_BYTE_PTR) "x", 1};
    CK_OBJECT_HANDLE base = base_key(CKK_GENERIC_SECRET, value, false, true, false), key;
    CK_ATTRIBUTE aes[] = {ATTR_ULONG(CKA_KEY_TYPE, CKK_AES), ATTR_ULONG(CKA_VALUE_LEN, 32),
                          ATTR_BOOL(CKA_TOKEN, true)};
    CK_ATTRIBUTE hmac[] = {ATTR_ULONG(CKA_KEY_TYPE, CKK_SHA256_HMAC), ATTR_ULONG(CKA_VALUE_LEN, 64),
                           ATTR_BOOL(CKA_TOKEN, true)};
    proxy_clear();
    assert_ok(derive(MECHANISM_WITH(CKM_CONCATENATE_BASE_AND_DATA, one), base, aes, 3, &key));
    assert_protection(key, "tpm");
    assert_ok(derive(MECHANISM_WITH(CKM_CONCATENATE_BASE_AND_DATA, one), base, hmac, 3, &key));
    assert_protection(key, "tpm");
    assert_silent("a key derived into the TPM", value);
}

/* Edwards and Montgomery keys', and RSA's of a size that no TPM has, are of this process's
 * randomness. */
static void sealed_pairs(void **state)
{
    (void)state;
    static const int curves[] = {NID_ED25519, NID_X25519, NID_ED448, NID_X448,
                                 NID_X9_62_prime256v1};
    static const CK_MECHANISM_TYPE types[] = {
        CKM_EC_EDWARDS_KEY_PAIR_GEN, CKM_EC_MONTGOMERY_KEY_PAIR_GEN, CKM_EC_EDWARDS_KEY_PAIR_GEN,
        CKM_EC_MONTGOMERY_KEY_PAIR_GEN, CKM_EC_KEY_PAIR_GEN};
    for (size_t i = 0; i < COUNT(types); i++) {
        struct blob curve = ec_params(curves[i]);
        CK_ATTRIBUTE public = ATTR_MEM(CKA_EC_PARAMS, curve.p, curve.n);
        CK_ATTRIBUTE private[] = {ATTR_BOOL(CKA_TOKEN, true), ATTR_BOOL(CKA_SENSITIVE, false),
                                  ATTR_BOOL(CKA_EXTRACTABLE, true)};
        struct key_pair keys;
        proxy_clear();
        assert_ok(p11->C_GenerateKeyPair(fx.session, MECHANISM(types[i]), &public, 1, private, 3,
                                         &keys.public, &keys.private));
        struct blob value = get_attribute(fx.session, keys.private, CKA_VALUE);
        assert_silent("a sealed private key", value);
        assert_false(store_carries(value.p, value.n));
    }
}

#define USER_TEST(f) cmocka_unit_test_setup_teardown(f, test_user, test_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        USER_TEST(generated_keys), USER_TEST(wrapped_keys),         USER_TEST(keystreams),
        USER_TEST(derived_keys),   USER_TEST(derived_into_the_tpm), USER_TEST(long_data),
        USER_TEST(sealed_pairs),
    };
    return cmocka_run_group_tests(tests, group_token_proxied, group_end);
}
