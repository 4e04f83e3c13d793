/* Symmetric keys in the TPM beside the bare commands, keys in software beside libcrypto. */
#include "bench.h"

#include <latchkey/vendor.h>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KIB = 1024, MIB = 1 << 20, PART = 4096 };

static CK_BYTE text[MIB], out[MIB + 64], iv[16];
static CK_AES_CTR_PARAMS ctr = {128, {0}};
static CK_GCM_PARAMS gcm = {.pIv = iv, .ulIvLen = 12, .ulIvBits = 96, .ulTagBits = 128};

/* ---- the TPM by hand ----------------------------------------------------------------------- */

/* The lengths of public area and unique, and what lies between: AES-256, or a keyed hash. */
static uint32_t bare_secret(const uint8_t *public_, size_t n)
{
    static const uint8_t head[] = {0x80, 2, 0, 0, 0,
                                   0,    0, 0, 1, 0x31,           /* TPM2_CreatePrimary */
                                   0x40, 0, 0, 1, EMPTY_PASSWORD, /* owner */
                                   0,    4, 0, 0, 0,
                                   0}; /* inSensitive */
    uint8_t command[128] = {0}, response[4096];
    memcpy(command, head, sizeof head);
    memcpy(command + sizeof head, public_, n);
    exchange(command, sizeof head + n + 6, response,
             sizeof response); /* outsideInfo, creationPCR */
    return u32(response + 10);
}

static uint32_t bare_aes(void)
{
    static const uint8_t public_[] = {0, 18, 0, 0x25, 0, 0x0B, 0, 6,    4, 0x72, /* SYMCIPHER */
                                      0, 0,  0, 6,    1, 0,    0, 0x10, 0, 0};   /* AES-256 */
    return bare_secret(public_, sizeof public_);
}

static uint32_t bare_hmac_key(void)
{
    static const uint8_t public_[] = {0, 14, 0, 8,    0, 0x0B, 0, 6, 4, 0x72, /* KEYEDHASH */
                                      0, 0,  0, 0x10, 0, 0};
    return bare_secret(public_, sizeof public_);
}

static void bare(uint32_t code, uint32_t key, const uint8_t *tail, size_t tail_n)
{
    static const uint8_t auth[] = {EMPTY_PASSWORD};
    uint8_t command[2048] = {0x80, 2}, response[4096];
    size_t at = 14 + sizeof auth;
    put_u32(command + 6, code);
    put_u32(command + 10, key);
    memcpy(command + 14, auth, sizeof auth);
    command[at] = KIB >> 8;
    memcpy(command + at + 2, text, KIB);
    memcpy(command + at + 2 + KIB, tail, tail_n);
    exchange(command, at + 2 + KIB + tail_n, response, sizeof response);
}

static void bare_encrypt(uint32_t key)
{
    static const uint8_t cbc[21] = {0, 0, 0x42, 0, 16};
    bare(0x193, key, cbc, sizeof cbc);
}

static void bare_hmac(uint32_t key)
{
    static const uint8_t sha256[] = {0, 0x0B};
    bare(0x155, key, sha256, sizeof sha256);
}

/* ---- the module ---------------------------------------------------------------------------- */

static CK_OBJECT_HANDLE secret_key(CK_SESSION_HANDLE session, CK_MECHANISM_TYPE type,
                                   CK_BBOOL token, const char *where, bool check_value)
{
    CK_ULONG length = 32;
    CK_OBJECT_HANDLE key;
    CK_MECHANISM mechanism = {type, NULL, 0};
    CK_ATTRIBUTE template[] = {{CKA_TOKEN, &token, 1},
                               {CKA_VALUE_LEN, &length, sizeof length},
                               {CKA_LATCHKEY_PROTECTION, (void *)(uintptr_t)where, strlen(where)},
                               {CKA_CHECK_VALUE, NULL, 0}};
    OK(p11->C_GenerateKey(session, &mechanism, template, COUNT(template) - check_value, &key));
    return key;
}

static void encrypt(CK_SESSION_HANDLE session, CK_MECHANISM mechanism, CK_OBJECT_HANDLE key,
                    CK_ULONG n)
{
    CK_ULONG room = sizeof out;
    OK(p11->C_EncryptInit(session, &mechanism, key));
    OK(p11->C_Encrypt(session, text, n, out, &room));
}

static void encrypt_parts(CK_SESSION_HANDLE session, CK_MECHANISM mechanism, CK_OBJECT_HANDLE key)
{
    CK_ULONG n, at = 0;
    OK(p11->C_EncryptInit(session, &mechanism, key));
    for (size_t i = 0; i < MIB; i += PART, at += n) {
        n = sizeof out - at;
        OK(p11->C_EncryptUpdate(session, text + i, PART, out + at, &n));
    }
    n = sizeof out - at;
    OK(p11->C_EncryptFinal(session, out + at, &n));
}

static void sign(CK_SESSION_HANDLE session, CK_MECHANISM_TYPE type, CK_OBJECT_HANDLE key,
                 CK_ULONG n)
{
    CK_MECHANISM mechanism = {type, NULL, 0};
    CK_BYTE signature[1024];
    CK_ULONG room = sizeof signature;
    OK(p11->C_SignInit(session, &mechanism, key));
    OK(p11->C_Sign(session, text, n, signature, &room));
}

static void sign_parts(CK_SESSION_HANDLE session, CK_MECHANISM_TYPE type, CK_OBJECT_HANDLE key)
{
    CK_MECHANISM mechanism = {type, NULL, 0};
    CK_BYTE mac[64];
    CK_ULONG room = sizeof mac;
    OK(p11->C_SignInit(session, &mechanism, key));
    for (size_t i = 0; i < MIB; i += PART)
        OK(p11->C_SignUpdate(session, text + i, PART));
    OK(p11->C_SignFinal(session, mac, &room));
}

void measure_tpm_keys(CK_SESSION_HANDLE session, size_t rounds)
{
    struct series checked = series_new(rounds), unchecked = series_new(rounds);
    CK_OBJECT_HANDLE aes = secret_key(session, CKM_AES_KEY_GEN, CK_TRUE, "tpm", true);
    CK_OBJECT_HANDLE hmac = secret_key(session, CKM_GENERIC_SECRET_KEY_GEN, CK_TRUE, "tpm", true);
    uint32_t handle = bare_aes();
    BESIDE(rounds, "TPM2_EncryptDecrypt2 CBC 1 KiB by hand", bare_encrypt(handle),
           "C_Encrypt CKM_AES_CBC 1 KiB",
           encrypt(session, (CK_MECHANISM){CKM_AES_CBC, iv, 16}, aes, KIB));
    BESIDE(rounds, "the same by hand", bare_encrypt(handle), "C_Encrypt CKM_AES_GCM 1 KiB",
           encrypt(session, (CK_MECHANISM){CKM_AES_GCM, &gcm, sizeof gcm}, aes, KIB));
    bare_flush(handle);
    handle = bare_hmac_key();
    BESIDE(rounds, "TPM2_HMAC SHA-256 1 KiB by hand", bare_hmac(handle),
           "C_Sign CKM_SHA256_HMAC 1 KiB", sign(session, CKM_SHA256_HMAC, hmac, KIB));
    bare_flush(handle);
    for (size_t i = 0; i < rounds; i++) {
        CK_OBJECT_HANDLE key;
        MEASURE(&checked, key = secret_key(session, CKM_AES_KEY_GEN, CK_FALSE, "tpm", true));
        OK(p11->C_DestroyObject(session, key));
        MEASURE(&unchecked, key = secret_key(session, CKM_AES_KEY_GEN, CK_FALSE, "tpm", false));
        OK(p11->C_DestroyObject(session, key));
    }
    report("C_GenerateKey AES-256", &checked);
    report("C_GenerateKey AES-256, no check value", &unchecked);
}

/* ---- libcrypto ----------------------------------------------------------------------------- */

static void need(int ok)
{
    if (ok != 1) {
        fprintf(stderr, "latchkey-bench: libcrypto\n");
        exit(EXIT_FAILURE);
    }
}

static void evp_sign(EVP_PKEY *key, const EVP_MD *md, size_t n)
{
    unsigned char signature[1024];
    size_t room = sizeof signature;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    need(EVP_DigestSignInit(ctx, NULL, md, NULL, key));
    need(EVP_DigestSign(ctx, signature, &room, text, n));
    EVP_MD_CTX_free(ctx);
}

static void evp_encrypt(const EVP_CIPHER *cipher, size_t part)
{
    static const unsigned char key[32];
    int n;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    need(EVP_EncryptInit_ex(ctx, cipher, NULL, key, iv));
    need(EVP_CIPHER_CTX_set_padding(ctx, 0));
    for (size_t at = 0; at < MIB; at += part)
        need(EVP_EncryptUpdate(ctx, out + at, &n, text + at, (int)part));
    need(EVP_EncryptFinal_ex(ctx, out + MIB, &n));
    EVP_CIPHER_CTX_free(ctx);
}

static void evp_hmac(EVP_PKEY *key)
{
    unsigned char mac[64];
    size_t n = sizeof mac;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    need(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key));
    for (size_t at = 0; at < MIB; at += PART)
        need(EVP_DigestSignUpdate(ctx, text + at, PART));
    need(EVP_DigestSignFinal(ctx, mac, &n));
    EVP_MD_CTX_free(ctx);
}

/* ---- keys in software ---------------------------------------------------------------------- */

static CK_OBJECT_HANDLE sealed_pair(CK_SESSION_HANDLE session, CK_MECHANISM_TYPE type,
                                    CK_ATTRIBUTE what)
{
    static char sealed[] = "sealed";
    CK_MECHANISM mechanism = {type, NULL, 0};
    CK_OBJECT_HANDLE public_, private_;
    CK_ATTRIBUTE for_public[] = {{CKA_TOKEN, &yes, 1}, what};
    CK_ATTRIBUTE for_private[] = {{CKA_TOKEN, &yes, 1}, {CKA_LATCHKEY_PROTECTION, sealed, 6}};
    OK(p11->C_GenerateKeyPair(session, &mechanism, for_public, 2, for_private, 2, &public_,
                              &private_));
    return private_;
}

static void measure_sealed_pairs(CK_SESSION_HANDLE session, size_t rounds)
{
    static CK_BYTE ed25519[] = {6, 3, 0x2B, 0x65, 0x70};
    static CK_BYTE p256[] = {6, 8, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 3, 1, 7};
    CK_ULONG bits = 2048, more_bits = 4096;
    const struct {
        const char *theirs, *ours;
        CK_MECHANISM_TYPE generate, sign;
        CK_ATTRIBUTE what;
        EVP_PKEY *key;
        const EVP_MD *md;
    } rows[] = {
        {"libcrypto Ed25519",
         "C_Sign Ed25519, sealed",
         CKM_EC_EDWARDS_KEY_PAIR_GEN,
         CKM_EDDSA,
         {CKA_EC_PARAMS, ed25519, sizeof ed25519},
         EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"),
         NULL},
        {"libcrypto P-256",
         "C_Sign P-256, sealed",
         CKM_EC_KEY_PAIR_GEN,
         CKM_ECDSA_SHA256,
         {CKA_EC_PARAMS, p256, sizeof p256},
         EVP_EC_gen("P-256"),
         EVP_sha256()},
        {"libcrypto RSA-2048",
         "C_Sign RSA-2048, sealed",
         CKM_RSA_PKCS_KEY_PAIR_GEN,
         CKM_SHA256_RSA_PKCS,
         {CKA_MODULUS_BITS, &bits, sizeof bits},
         EVP_RSA_gen(2048),
         EVP_sha256()},
        {"libcrypto RSA-4096",
         "C_Sign RSA-4096, sealed",
         CKM_RSA_PKCS_KEY_PAIR_GEN,
         CKM_SHA256_RSA_PKCS,
         {CKA_MODULUS_BITS, &more_bits, sizeof more_bits},
         EVP_RSA_gen(4096),
         EVP_sha256()},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        CK_OBJECT_HANDLE key = sealed_pair(session, rows[i].generate, rows[i].what);
        BESIDE(rounds, rows[i].theirs, evp_sign(rows[i].key, rows[i].md, 32), rows[i].ours,
               sign(session, rows[i].sign, key, 32));
        EVP_PKEY_free(rows[i].key);
    }
}

static void measure_bulk(CK_SESSION_HANDLE session, size_t rounds)
{
    static const unsigned char value[32];
    CK_OBJECT_HANDLE aes = secret_key(session, CKM_AES_KEY_GEN, CK_TRUE, "sealed", true);
    CK_OBJECT_HANDLE hmac =
        secret_key(session, CKM_GENERIC_SECRET_KEY_GEN, CK_TRUE, "sealed", true);
    const struct {
        const char *theirs, *whole, *parts;
        const EVP_CIPHER *cipher;
        CK_MECHANISM mechanism;
    } rows[] = {
        {"libcrypto AES-256-CBC 1 MiB",
         "C_Encrypt CBC 1 MiB, sealed",
         "CBC in 4 KiB updates",
         EVP_aes_256_cbc(),
         {CKM_AES_CBC, iv, 16}},
        {"libcrypto AES-256-CTR 1 MiB",
         "C_Encrypt CTR 1 MiB, sealed",
         "CTR in 4 KiB updates",
         EVP_aes_256_ctr(),
         {CKM_AES_CTR, &ctr, sizeof ctr}},
        {"libcrypto AES-256-GCM 1 MiB",
         "C_Encrypt GCM 1 MiB, sealed",
         "GCM in 4 KiB updates",
         EVP_aes_256_gcm(),
         {CKM_AES_GCM, &gcm, sizeof gcm}},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        BESIDE(rounds, rows[i].theirs, evp_encrypt(rows[i].cipher, MIB), rows[i].whole,
               encrypt(session, rows[i].mechanism, aes, MIB));
        BESIDE(rounds, "libcrypto in 4 KiB updates", evp_encrypt(rows[i].cipher, PART),
               rows[i].parts, encrypt_parts(session, rows[i].mechanism, aes));
    }
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_HMAC, NULL, value, sizeof value);
    BESIDE(rounds, "libcrypto HMAC-SHA256 1 MiB, 4 KiB updates", evp_hmac(key),
           "C_SignUpdate of 4 KiB, sealed", sign_parts(session, CKM_SHA256_HMAC, hmac));
    EVP_PKEY_free(key);
}

void measure_software_keys(CK_SESSION_HANDLE session, size_t rounds)
{
    measure_sealed_pairs(session, rounds < 200 ? rounds : 200);
    measure_bulk(session, rounds < 200 ? rounds : 200);
}
