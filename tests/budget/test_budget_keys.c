/* The budget of symmetric keys, keys from outside and keys in software; and that no value of a key
 * and no text goes by in clear. */
#include "spend.h"

#include <latchkey/vendor.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <unistd.h>

enum { KIB = 1024, MOST = 10 * KIB };

static CK_BYTE text[MOST], other[MOST + 64];

static int group_keys_budget(void **state)
{
    RAND_bytes(text, sizeof text);
    return group_token_proxied(state);
}

/* Of nothing that was recorded: not 16 bytes of the secret in a row, wherever they begin. */
static void assert_hidden(const CK_BYTE *secret, size_t n)
{
    for (size_t at = 0; at + 16 <= n; at += 16)
        assert_false(proxy_carries(secret + at, 16));
}

static CK_OBJECT_HANDLE make(CK_MECHANISM_TYPE type, CK_ULONG n, bool token, const char *where)
{
    CK_OBJECT_HANDLE key;
    CK_ATTRIBUTE template[] = {
        ATTR_BOOL(CKA_TOKEN, token), ATTR_ULONG(CKA_VALUE_LEN, n),
        ATTR_BOOL(CKA_WRAP, true),   ATTR_BOOL(CKA_UNWRAP, true),
        ATTR_BOOL(CKA_DERIVE, true), ATTR_STR(CKA_LATCHKEY_PROTECTION, where ? where : "")};
    CK_ULONG rows = COUNT(template) - (where ? 0 : 1);
    assert_ok(p11->C_GenerateKey(fx.session, MECHANISM(type), template, rows, &key));
    return key;
}

/* The first use starts the session where the login has left none. */
static void warm_up(CK_OBJECT_HANDLE aes)
{
    CK_BYTE block[16] = {0};
    CK_ULONG n = sizeof block;
    assert_ok(p11->C_EncryptInit(fx.session, MECHANISM(CKM_AES_ECB), aes));
    assert_ok(p11->C_Encrypt(fx.session, block, n, block, &n));
    proxy_clear();
}

static void encrypt(CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, CK_ULONG n)
{
    CK_ULONG room = sizeof other;
    assert_ok(p11->C_EncryptInit(fx.session, mechanism, key));
    assert_ok(p11->C_Encrypt(fx.session, text, n, other, &room));
}

static void decrypt(CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, CK_ULONG n)
{
    static CK_BYTE back[MOST + 64];
    CK_ULONG room = sizeof other, back_n = sizeof back;
    assert_ok(p11->C_EncryptInit(fx.session, mechanism, key));
    assert_ok(p11->C_Encrypt(fx.session, text, n, other, &room));
    proxy_clear();
    assert_ok(p11->C_DecryptInit(fx.session, mechanism, key));
    assert_ok(p11->C_Decrypt(fx.session, other, room, back, &back_n));
    assert_int_equal(back_n, n);
    assert_memory_equal(back, text, n);
}

static void spend_as(const char *step, const char *what, CK_ULONG n, unsigned limit)
{
    char line[96];
    snprintf(line, sizeof line, "%s %s, %lu bytes", step, what, n);
    spend(line, limit);
}

/* ---- making -------------------------------------------------------------------------------- */

static void generating(void **state)
{
    test_user(state);
    for (int token = 0; token <= 1; token++) {
        proxy_clear();
        make(CKM_AES_KEY_GEN, 32, token, NULL);
        spend("C_GenerateKey AES-256", 5);
        make(CKM_GENERIC_SECRET_KEY_GEN, 32, token, NULL);
        spend("C_GenerateKey, a generic secret of 32 bytes", 3);
        make(CKM_GENERIC_SECRET_KEY_GEN, 20, token, NULL);
        spend("C_GenerateKey, a generic secret of 20 bytes", 4);
        make(CKM_AES_KEY_GEN, 24, token, NULL);
        spend("C_GenerateKey AES-192, which is software's", 1);
    }
    CK_OBJECT_HANDLE key;
    CK_ATTRIBUTE unchecked[] = {ATTR_ULONG(CKA_VALUE_LEN, 32), ATTR_MEM(CKA_CHECK_VALUE, NULL, 0)};
    assert_ok(p11->C_GenerateKey(fx.session, MECHANISM(CKM_AES_KEY_GEN), unchecked, 2, &key));
    spend("C_GenerateKey AES-256 without CKA_CHECK_VALUE", 3);
}

/* A software key that came from the TPM's generator came encrypted. */
static void generated_keys_are_hidden(void **state)
{
    test_user(state);
    static const CK_MECHANISM_TYPE types[] = {CKM_AES_KEY_GEN, CKM_GENERIC_SECRET_KEY_GEN};
    for (size_t i = 0; i < COUNT(types); i++) {
        CK_OBJECT_HANDLE key;
        CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_VALUE_LEN, 32), ATTR_BOOL(CKA_SENSITIVE, false),
                                   ATTR_BOOL(CKA_EXTRACTABLE, true)};
        proxy_clear();
        assert_ok(
            p11->C_GenerateKey(fx.session, MECHANISM(types[i]), template, COUNT(template), &key));
        struct blob value = get_attribute(fx.session, key, CKA_VALUE);
        assert_int_equal(value.n, 32);
        assert_hidden(value.p, value.n);
        spend("C_GenerateKey, extractable", 1);
    }
}

static CK_RV create_secret(CK_KEY_TYPE type, const CK_BYTE *value, CK_ULONG n,
                           CK_OBJECT_HANDLE *ret)
{
    CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_CLASS, CKO_SECRET_KEY),
                               ATTR_ULONG(CKA_KEY_TYPE, type),
                               ATTR_BOOL(CKA_TOKEN, true),
                               ATTR_BOOL(CKA_WRAP, true),
                               ATTR_BOOL(CKA_UNWRAP, true),
                               ATTR_MEM(CKA_VALUE, value, n)};
    return p11->C_CreateObject(fx.session, template, COUNT(template), ret);
}

static void assert_in_tpm(CK_OBJECT_HANDLE key)
{
    struct blob where = get_attribute(fx.session, key, CKA_LATCHKEY_PROTECTION);
    assert_blob(where, "tpm", 3);
}

static void importing_secrets(void **state)
{
    CK_BYTE value[32];
    CK_OBJECT_HANDLE key;
    test_user(state);
    RAND_bytes(value, sizeof value);
    proxy_clear();
    assert_ok(create_secret(CKK_AES, value, sizeof value, &key));
    assert_in_tpm(key);
    assert_hidden(value, sizeof value);
    spend("C_CreateObject AES-256", 3);
    assert_ok(create_secret(CKK_GENERIC_SECRET, value, sizeof value, &key));
    assert_in_tpm(key);
    assert_hidden(value, sizeof value);
    spend("C_CreateObject, a generic secret", 3);
}

/* libcrypto's number of that name, big-endian. */
static struct blob number(EVP_PKEY *key, const char *name)
{
    struct blob b = {0};
    BIGNUM *n = NULL;
    assert_int_equal(EVP_PKEY_get_bn_param(key, name, &n), 1);
    b.n = (CK_ULONG)BN_bn2bin(n, b.p);
    BN_free(n);
    return b;
}

static void importing_ec(void **state)
{
    CK_OBJECT_HANDLE object;
    test_user(state);
    EVP_PKEY *key = EVP_EC_gen("P-256");
    struct blob d = number(key, OSSL_PKEY_PARAM_PRIV_KEY), params = ec_params(NID_X9_62_prime256v1);
    CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_CLASS, CKO_PRIVATE_KEY),
                               ATTR_ULONG(CKA_KEY_TYPE, CKK_EC), ATTR_BOOL(CKA_TOKEN, true),
                               ATTR_MEM(CKA_EC_PARAMS, params.p, params.n),
                               ATTR_MEM(CKA_VALUE, d.p, d.n)};
    proxy_clear();
    assert_ok(p11->C_CreateObject(fx.session, template, COUNT(template), &object));
    assert_in_tpm(object);
    assert_hidden(d.p, d.n);
    spend("C_CreateObject P-256", 1);
    EVP_PKEY_free(key);
}

static void importing_rsa(void **state)
{
    static const char *const names[] = {
        OSSL_PKEY_PARAM_RSA_N,       OSSL_PKEY_PARAM_RSA_E,       OSSL_PKEY_PARAM_RSA_D,
        OSSL_PKEY_PARAM_RSA_FACTOR1, OSSL_PKEY_PARAM_RSA_FACTOR2,
    };
    CK_OBJECT_HANDLE object;
    struct blob v[COUNT(names)];
    test_user(state);
    EVP_PKEY *key = EVP_RSA_gen(2048);
    for (size_t i = 0; i < COUNT(names); i++)
        v[i] = number(key, names[i]);
    CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_CLASS, CKO_PRIVATE_KEY),
                               ATTR_ULONG(CKA_KEY_TYPE, CKK_RSA),
                               ATTR_BOOL(CKA_TOKEN, true),
                               ATTR_MEM(CKA_MODULUS, v[0].p, v[0].n),
                               ATTR_MEM(CKA_PUBLIC_EXPONENT, v[1].p, v[1].n),
                               ATTR_MEM(CKA_PRIVATE_EXPONENT, v[2].p, v[2].n),
                               ATTR_MEM(CKA_PRIME_1, v[3].p, v[3].n),
                               ATTR_MEM(CKA_PRIME_2, v[4].p, v[4].n)};
    proxy_clear();
    assert_ok(p11->C_CreateObject(fx.session, template, COUNT(template), &object));
    assert_in_tpm(object);
    for (size_t i = 2; i < COUNT(v); i++)
        assert_hidden(v[i].p, v[i].n);
    spend("C_CreateObject RSA-2048", 1);
    EVP_PKEY_free(key);
}

/* ---- AES in the TPM ------------------------------------------------------------------------ */

static CK_BYTE iv[16] = {1, 2, 3};
static CK_AES_CTR_PARAMS ctr = {128, {1}};
static CK_GCM_PARAMS gcm = {.pIv = iv, .ulIvLen = 12, .ulIvBits = 96, .ulTagBits = 128};

static const struct {
    const char *name;
    CK_MECHANISM mechanism;
    unsigned more; /* commands besides one a KiB */
    CK_ULONG n[3];
} ciphers[] = {
    {"CKM_AES_ECB", {CKM_AES_ECB, NULL, 0}, 0, {16, KIB, MOST}},
    {"CKM_AES_CBC", {CKM_AES_CBC, iv, 16}, 0, {16, KIB, MOST}},
    {"CKM_AES_CTR", {CKM_AES_CTR, &ctr, sizeof ctr}, 0, {100, KIB, MOST}},
    {"CKM_AES_CTR", {CKM_AES_CTR, &ctr, sizeof ctr}, 0, {1000, KIB + 100, 3000}},
    {"CKM_AES_CFB128", {CKM_AES_CFB128, iv, 16}, 0, {100, 1000, 3000}},
    {"CKM_AES_CBC_PAD", {CKM_AES_CBC_PAD, iv, 16}, 0, {100, 1000, 3000}},
    {"CKM_AES_GCM", {CKM_AES_GCM, &gcm, sizeof gcm}, 1, {100, KIB, MOST}},
    {"CKM_AES_GCM", {CKM_AES_GCM, &gcm, sizeof gcm}, 1, {1000, KIB + 100, 3000}},
};

static void a_command_a_kib(void **state)
{
    test_user(state);
    CK_OBJECT_HANDLE key = make(CKM_AES_KEY_GEN, 32, true, NULL);
    warm_up(key);
    for (size_t i = 0; i < COUNT(ciphers); i++)
        for (size_t j = 0; j < COUNT(ciphers[i].n); j++) {
            CK_ULONG n = ciphers[i].n[j];
            CK_MECHANISM mechanism = ciphers[i].mechanism;
            /* the TPM's own OFB tells keystream in clear: a command a block instead */
            CK_ULONG piece = mechanism.mechanism == CKM_AES_OFB ? 16 : KIB;
            unsigned limit = (unsigned)((n + piece - 1) / piece) + ciphers[i].more;
            encrypt(&mechanism, key, n);
            assert_hidden(text, n);
            spend_as("C_Encrypt", ciphers[i].name, n, limit);
            decrypt(&mechanism, key, n);
            assert_hidden(text, n);
            spend_as("C_Decrypt", ciphers[i].name, n, limit);
        }
}

static void a_first_use(void **state)
{
    test_user(state);
    CK_OBJECT_HANDLE a = make(CKM_AES_KEY_GEN, 32, true, NULL);
    for (int i = 0; i < 2; i++)
        make(CKM_AES_KEY_GEN, 32, true, NULL); /* it has to make room for these */
    proxy_clear();
    encrypt(MECHANISM(CKM_AES_ECB), a, KIB);
    spend("first C_Encrypt of 1 KiB", 4); /* one or two to make room again */
    encrypt(MECHANISM(CKM_AES_ECB), a, KIB);
    spend("further C_Encrypt of 1 KiB", 1);
}

/* A command a block: the TPM's own OFB tells key stream in clear. */
static void ofb_is_a_command_a_block(void **state)
{
    test_user(state);
    CK_OBJECT_HANDLE key = make(CKM_AES_KEY_GEN, 32, true, NULL);
    CK_MECHANISM mechanism = {CKM_AES_OFB, iv, sizeof iv};
    warm_up(key);
    encrypt(&mechanism, key, 100);
    assert_hidden(text, 100);
    for (size_t i = 0; i < 96; i += 16) { /* nor the key stream */
        CK_BYTE stream[16];
        for (size_t j = 0; j < sizeof stream; j++)
            stream[j] = text[i + j] ^ other[i + j];
        assert_hidden(stream, sizeof stream);
    }
    spend_as("C_Encrypt", "CKM_AES_OFB", 100, 7);
}

/* What comes in small parts costs as much as in one, and each brings all of it at once. */
static void gcm_in_small_parts(void **state)
{
    enum { PART = 100, PARTS = 50 };
    CK_ULONG at = 0, n;
    test_user(state);
    CK_OBJECT_HANDLE key = make(CKM_AES_KEY_GEN, 32, true, NULL);
    warm_up(key);
    assert_ok(p11->C_EncryptInit(fx.session, MECHANISM_WITH(CKM_AES_GCM, gcm), key));
    spend("C_EncryptInit CKM_AES_GCM", 1);
    for (int i = 0; i < PARTS; i++) {
        n = PART; /* the room that programs have */
        assert_ok(p11->C_EncryptUpdate(fx.session, text + i * PART, PART, other + at, &n));
        at += n;
        assert_int_equal(at, PART * (CK_ULONG)(i + 1));
    }
    n = sizeof other - at;
    assert_ok(p11->C_EncryptFinal(fx.session, other + at, &n));
    at += n;
    assert_hidden(text, PART * PARTS);
    spend("5000 bytes in fifty C_EncryptUpdate", 5);
    struct blob parts = {.n = at};
    assert_int_equal(at, PART * PARTS + 16);
    memcpy(parts.p, other, sizeof parts.p);
    encrypt(MECHANISM_WITH(CKM_AES_GCM, gcm), key, PART * PARTS);
    assert_memory_equal(parts.p, other, sizeof parts.p);
}

static void wrapping(void **state)
{
    CK_BYTE value[32], wrapped[40], iv8[12] = {9};
    CK_ULONG n = sizeof wrapped;
    CK_OBJECT_HANDLE inner, back;
    CK_GCM_PARAMS gcm_wrap = {.pIv = iv8, .ulIvLen = 12, .ulIvBits = 96, .ulTagBits = 128};
    CK_BYTE sealed[64];
    CK_ULONG sealed_n = sizeof sealed;
    test_user(state);
    CK_OBJECT_HANDLE key = make(CKM_AES_KEY_GEN, 32, true, NULL);
    CK_ATTRIBUTE secret[] = {ATTR_ULONG(CKA_CLASS, CKO_SECRET_KEY),
                             ATTR_ULONG(CKA_KEY_TYPE, CKK_AES), ATTR_BOOL(CKA_EXTRACTABLE, true),
                             ATTR_MEM(CKA_VALUE, value, sizeof value)};
    CK_ATTRIBUTE imported[] = {ATTR_ULONG(CKA_CLASS, CKO_SECRET_KEY),
                               ATTR_ULONG(CKA_KEY_TYPE, CKK_AES), ATTR_BOOL(CKA_TOKEN, true)};
    RAND_bytes(value, sizeof value);
    assert_ok(p11->C_CreateObject(fx.session, secret, COUNT(secret), &inner));
    warm_up(key);
    assert_ok(p11->C_WrapKey(fx.session, MECHANISM(CKM_AES_KEY_WRAP), key, inner, wrapped, &n));
    assert_hidden(value, sizeof value);
    spend("C_WrapKey CKM_AES_KEY_WRAP of 32 bytes", 24); /* 6 * 4 blocks, each of the one before */
    assert_ok(p11->C_UnwrapKey(fx.session, MECHANISM(CKM_AES_KEY_WRAP), key, wrapped, n, imported,
                               COUNT(imported), &back));
    assert_in_tpm(back);
    assert_hidden(value, sizeof value);
    spend("C_UnwrapKey CKM_AES_KEY_WRAP into the TPM", 24 + 3);
    assert_ok(p11->C_WrapKey(fx.session, MECHANISM_WITH(CKM_AES_GCM, gcm_wrap), key, inner, sealed,
                             &sealed_n));
    assert_hidden(value, sizeof value);
    spend("C_WrapKey CKM_AES_GCM of 32 bytes", 4);
}

/* ---- MACs ---------------------------------------------------------------------------------- */

static void macs(void **state)
{
    test_user(state);
    CK_OBJECT_HANDLE aes = make(CKM_AES_KEY_GEN, 32, true, NULL);
    CK_OBJECT_HANDLE hmac = make(CKM_GENERIC_SECRET_KEY_GEN, 32, true, NULL);
    sign(fx.session, MECHANISM(CKM_SHA256_HMAC), hmac, text, 1);
    warm_up(aes);
    const struct {
        CK_MECHANISM_TYPE type;
        CK_OBJECT_HANDLE key;
        const char *name;
        unsigned kib, ten;
    } rows[] = {
        /* subkeys; after whole KiB one for the block that hides the result */
        {CKM_AES_CMAC, aes, "CKM_AES_CMAC", 3, 12},
        {CKM_SHA256_HMAC, hmac, "CKM_SHA256_HMAC", 1, 11}, /* a sequence: start, 9 parts, end */
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct blob mac = sign(fx.session, MECHANISM(rows[i].type), rows[i].key, text, KIB);
        assert_hidden(text, KIB);
        spend_as("C_Sign", rows[i].name, KIB, rows[i].kib);
        assert_ok(verify(fx.session, MECHANISM(rows[i].type), rows[i].key, text, KIB, mac));
        spend_as("C_Verify", rows[i].name, KIB, rows[i].kib);
        sign(fx.session, MECHANISM(rows[i].type), rows[i].key, text, MOST);
        assert_hidden(text, MOST);
        spend_as("C_Sign", rows[i].name, MOST, rows[i].ten);
    }
}

/* ---- what the TPM has no part in ----------------------------------------------------------- */

static struct key_pair make_pair(CK_MECHANISM_TYPE type, CK_ATTRIBUTE what)
{
    struct key_pair k;
    CK_ATTRIBUTE public[] = {ATTR_BOOL(CKA_TOKEN, true), what};
    CK_ATTRIBUTE private[] = {ATTR_BOOL(CKA_TOKEN, true),
                              ATTR_STR(CKA_LATCHKEY_PROTECTION, "sealed")};
    assert_ok(p11->C_GenerateKeyPair(fx.session, MECHANISM(type), public, COUNT(public), private,
                                     COUNT(private), &k.public, &k.private));
    return k;
}

static void sealed_keys_are_free(void **state)
{
    static CK_BYTE ed25519[] = {6, 3, 0x2B, 0x65, 0x70};
    struct blob p256 = ec_params(NID_X9_62_prime256v1);
    test_user(state);
    struct key_pair ed = make_pair(CKM_EC_EDWARDS_KEY_PAIR_GEN,
                                   (CK_ATTRIBUTE)ATTR_MEM(CKA_EC_PARAMS, ed25519, sizeof ed25519));
    struct key_pair ec =
        make_pair(CKM_EC_KEY_PAIR_GEN, (CK_ATTRIBUTE)ATTR_MEM(CKA_EC_PARAMS, p256.p, p256.n));
    struct key_pair rsa =
        make_pair(CKM_RSA_PKCS_KEY_PAIR_GEN, (CK_ATTRIBUTE)ATTR_ULONG(CKA_MODULUS_BITS, 4096));
    CK_OBJECT_HANDLE aes = make(CKM_AES_KEY_GEN, 32, true, "sealed");
    proxy_clear();
    sign(fx.session, MECHANISM(CKM_EDDSA), ed.private, text, KIB);
    sign(fx.session, MECHANISM(CKM_ECDSA), ec.private, text, 32);
    sign(fx.session, MECHANISM(CKM_SHA256_RSA_PKCS), rsa.private, text, KIB);
    encrypt(MECHANISM_WITH(CKM_AES_GCM, gcm), aes, MOST);
    spend("sealed keys: Ed25519, P-256, RSA-4096, AES", 0);
}

static void session_keys_are_free(void **state)
{
    CK_OBJECT_HANDLE derived;
    CK_KEY_DERIVATION_STRING_DATA data = {text, 16};
    CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_CLASS, CKO_SECRET_KEY),
                               ATTR_ULONG(CKA_KEY_TYPE, CKK_AES), ATTR_ULONG(CKA_VALUE_LEN, 32)};
    CK_HKDF_PARAMS hkdf = {.bExtract = CK_TRUE,
                           .bExpand = CK_TRUE,
                           .prfHashMechanism = CKM_SHA256,
                           .ulSaltType = CKF_HKDF_SALT_NULL};
    test_user(state);
    CK_OBJECT_HANDLE aes = make(CKM_AES_KEY_GEN, 32, false, "session");
    CK_OBJECT_HANDLE generic = make(CKM_GENERIC_SECRET_KEY_GEN, 32, false, "session");
    proxy_clear();
    encrypt(MECHANISM(CKM_AES_ECB), aes, MOST);
    sign(fx.session, MECHANISM(CKM_AES_CMAC), aes, text, MOST);
    sign(fx.session, MECHANISM(CKM_SHA256_HMAC), generic, text, MOST);
    spend("AES and HMAC with session keys in software", 0);
    assert_ok(p11->C_DeriveKey(fx.session, MECHANISM_WITH(CKM_HKDF_DERIVE, hkdf), generic, template,
                               COUNT(template), &derived));
    encrypt(MECHANISM(CKM_AES_ECB), derived, KIB);
    assert_ok(p11->C_DeriveKey(fx.session, MECHANISM_WITH(CKM_CONCATENATE_BASE_AND_DATA, data),
                               generic, template, COUNT(template), &derived));
    spend("C_DeriveKey from session keys, and its use", 0);
}

static void waiting_is_free(void **state)
{
    CK_SLOT_ID slot;
    test_user(state);
    CK_ULONG n = 0;
    assert_ok(p11->C_GetSlotList(CK_FALSE, NULL, &n));
    proxy_clear();
    for (int i = 0; i < 10; i++)
        assert_rv(CKR_NO_EVENT, p11->C_WaitForSlotEvent(CKF_DONT_BLOCK, &slot, NULL));
    spend("C_WaitForSlotEvent", 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BUDGET_TEST(generating),
        BUDGET_TEST(generated_keys_are_hidden),
        BUDGET_TEST(importing_secrets),
        BUDGET_TEST(importing_ec),
        BUDGET_TEST(importing_rsa),
        BUDGET_TEST(a_command_a_kib),
        BUDGET_TEST(a_first_use),
        BUDGET_TEST(ofb_is_a_command_a_block),
        BUDGET_TEST(gcm_in_small_parts),
        BUDGET_TEST(wrapping),
        BUDGET_TEST(macs),
        BUDGET_TEST(sealed_keys_are_free),
        BUDGET_TEST(session_keys_are_free),
        BUDGET_TEST(waiting_is_free),
    };
    return cmocka_run_group_tests(tests, group_keys_budget, group_end);
}
