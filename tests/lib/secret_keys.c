#include "secret_keys.h"

#include <latchkey/vendor.h>

#include <openssl/core_names.h>
#include <stdio.h>

/* ---- places -------------------------------------------------------------------------------- */

const char *const place_name[PLACES] = {
    [IN_SESSION] = "session",
    [IN_SESSION_TPM] = "tpm",
    [IN_TPM] = "tpm",
    [SEALED] = "sealed",
};

bool place_holds(enum place place, CK_KEY_TYPE type, CK_ULONG n)
{
    if (place == IN_SESSION || place == SEALED)
        return true;
    switch (type) {
    case CKK_AES:
        return n != 24;
    case CKK_GENERIC_SECRET:
        return n <= 64;
    case CKK_SHA_1_HMAC:
    case CKK_SHA256_HMAC:
        return true; /* a key that is longer than the block is hashed first */
    case CKK_SHA384_HMAC:
    case CKK_SHA512_HMAC:
        return n <= 64 || n > 128;
    default:
        return false;
    }
}

CK_RV create_key(CK_SESSION_HANDLE session, CK_KEY_TYPE type, const void *value, CK_ULONG n,
                 const CK_ATTRIBUTE *more, CK_ULONG more_n, CK_OBJECT_HANDLE *ret)
{
    CK_ATTRIBUTE template[24] = {ATTR_ULONG(CKA_CLASS, CKO_SECRET_KEY),
                                 ATTR_ULONG(CKA_KEY_TYPE, type), ATTR_MEM(CKA_VALUE, value, n)};
    assert_true(more_n + 3 <= COUNT(template));
    for (CK_ULONG i = 0; i < more_n; i++)
        template[3 + i] = more[i];
    return p11->C_CreateObject(session, template, 3 + more_n, ret);
}

CK_OBJECT_HANDLE import_key(CK_SESSION_HANDLE session, enum place place, CK_KEY_TYPE type,
                            const void *value, CK_ULONG n)
{
    bool aes = type == CKK_AES, stored = place == IN_TPM || place == SEALED;
    const CK_ATTRIBUTE more[] = {
        ATTR_BOOL(CKA_TOKEN, stored),
        ATTR_BOOL(CKA_EXTRACTABLE, place == SEALED),
        ATTR_STR(CKA_LATCHKEY_PROTECTION, place_name[place]),
        ATTR_BOOL(CKA_SIGN, true),
        ATTR_BOOL(CKA_VERIFY, true),
        ATTR_BOOL(CKA_ENCRYPT, aes),
        ATTR_BOOL(CKA_DECRYPT, aes),
    };
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    assert_ok(create_key(session, type, value, n, more, COUNT(more), &key));
    return key;
}

/* ---- parts --------------------------------------------------------------------------------- */

CK_ULONG draw(uint32_t *seed, CK_ULONG below)
{
    *seed = *seed * 1664525 + 1013904223;
    return (*seed >> 8) % below;
}

void fill(CK_BYTE *p, size_t n, uint32_t seed)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (CK_BYTE)draw(&seed, 256);
}

CK_ULONG next_part(uint32_t *seed, CK_ULONG left)
{
    static const CK_ULONG liked[] = {0, 1, 15, 16, 17, 31, 32, 33, 1023, 1024, 1025};
    CK_ULONG some = draw(seed, 2) == 0 ? liked[draw(seed, COUNT(liked))] : draw(seed, 1500);
    return some < left ? some : left;
}

typedef CK_RV update_function(CK_SESSION_HANDLE, CK_BYTE *, CK_ULONG, CK_BYTE *, CK_ULONG *);

/* PKCS#11 3.0 section 5.2: NULL asks, and a short buffer is told; neither takes the part. */
static void ask_first(CK_SESSION_HANDLE session, update_function *update, CK_BYTE *in, CK_ULONG n,
                      uint32_t *seed)
{
    CK_ULONG told = 0, again;
    CK_BYTE small[8192];
    switch (draw(seed, 3)) {
    case 0:
        return;
    case 1:
        assert_ok(update(session, in, n, NULL, &told));
        return;
    default:
        assert_ok(update(session, in, n, NULL, &told));
        if (told == 0)
            return;
        again = told - 1;
        assert_true(again <= sizeof small);
        assert_rv(CKR_BUFFER_TOO_SMALL, update(session, in, n, small, &again));
        assert_int_equal(again, told);
    }
}

/* A part may bring more than it is long: what waited for it. */
static CK_RV crypt_part(CK_SESSION_HANDLE session, bool encrypt, const CK_BYTE *in, CK_ULONG n,
                        uint32_t *seed, CK_ULONG room, CK_BYTE *out, CK_ULONG *out_n)
{
    CK_BYTE copy[4096];
    update_function *update = encrypt ? p11->C_EncryptUpdate : p11->C_DecryptUpdate;
    bool in_place = draw(seed, 2) == 0;
    *out_n = in_place ? sizeof copy : room;
    assert_true(n <= sizeof copy);
    if (n > 0)
        memcpy(copy, in, n);
    ask_first(session, update, copy, n, seed);
    CK_RV rv = update(session, copy, n, in_place ? copy : out, out_n);
    if (rv == CKR_OK && in_place && *out_n > 0) {
        assert_true(*out_n <= room);
        memcpy(out, copy, *out_n);
    }
    return rv;
}

static CK_RV crypt_final(CK_SESSION_HANDLE session, bool encrypt, CK_ULONG room, CK_BYTE *out,
                         CK_ULONG *out_n)
{
    CK_C_EncryptFinal final = encrypt ? p11->C_EncryptFinal : p11->C_DecryptFinal;
    CK_ULONG told = 0;
    CK_RV rv = final(session, NULL, &told);
    if (rv != CKR_OK)
        return rv;
    assert_true(told <= room);
    *out_n = room;
    rv = final(session, out, out_n);
    if (rv == CKR_OK)
        assert_true(*out_n <= told);
    return rv;
}

static CK_RV crypt_parts(CK_SESSION_HANDLE session, bool encrypt, const CK_BYTE *in, CK_ULONG n,
                         uint32_t seed, CK_BYTE *out, CK_ULONG *out_n)
{
    CK_ULONG all = 0, some, got;
    CK_RV rv;
    for (CK_ULONG at = 0; at < n; at += some) {
        some = next_part(&seed, n - at);
        rv = crypt_part(session, encrypt, in + at, some, &seed, n + 64 - all, out + all, &got);
        if (rv != CKR_OK)
            return rv;
        all += got;
    }
    rv = crypt_final(session, encrypt, n + 64 - all, out + all, &got);
    *out_n = all + got;
    return rv;
}

CK_RV crypt(CK_SESSION_HANDLE session, bool encrypt, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key,
            const CK_BYTE *in, CK_ULONG n, uint32_t seed, CK_BYTE *out, CK_ULONG *out_n)
{
    CK_RV rv = (encrypt ? p11->C_EncryptInit : p11->C_DecryptInit)(session, mechanism, key);
    if (rv != CKR_OK)
        return rv;
    if (seed != 0)
        return crypt_parts(session, encrypt, in, n, seed, out, out_n);
    *out_n = n + 64;
    return (encrypt ? p11->C_Encrypt : p11->C_Decrypt)(session, (CK_BYTE_PTR)(uintptr_t)in, n, out,
                                                       out_n);
}

struct blob sign_parts(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key,
                       const CK_BYTE *in, CK_ULONG n, uint32_t seed)
{
    struct blob mac = {.n = sizeof mac.p};
    if (seed == 0)
        return sign(session, mechanism, key, in, n);
    assert_ok(p11->C_SignInit(session, mechanism, key));
    for (CK_ULONG at = 0, some; at < n; at += some) {
        some = next_part(&seed, n - at);
        assert_ok(p11->C_SignUpdate(session, (CK_BYTE_PTR)(uintptr_t)in + at, some));
    }
    assert_ok(p11->C_SignFinal(session, mac.p, &mac.n));
    return mac;
}

CK_RV verify_parts(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key,
                   const CK_BYTE *in, CK_ULONG n, uint32_t seed, struct blob mac)
{
    if (seed == 0)
        return verify(session, mechanism, key, in, n, mac);
    CK_RV rv = p11->C_VerifyInit(session, mechanism, key);
    if (rv != CKR_OK)
        return rv;
    for (CK_ULONG at = 0, some; at < n; at += some) {
        some = next_part(&seed, n - at);
        assert_ok(p11->C_VerifyUpdate(session, (CK_BYTE_PTR)(uintptr_t)in + at, some));
    }
    return p11->C_VerifyFinal(session, mac.p, mac.n);
}

void assert_idle(CK_SESSION_HANDLE session)
{
    CK_BYTE out[16] = {0};
    CK_ULONG n = sizeof out;
    assert_rv(CKR_OPERATION_NOT_INITIALIZED, p11->C_EncryptFinal(session, out, &n));
    assert_rv(CKR_OPERATION_NOT_INITIALIZED, p11->C_DecryptFinal(session, out, &n));
    assert_rv(CKR_OPERATION_NOT_INITIALIZED, p11->C_SignFinal(session, out, &n));
    assert_rv(CKR_OPERATION_NOT_INITIALIZED, p11->C_VerifyFinal(session, out, n));
    assert_rv(CKR_OPERATION_NOT_INITIALIZED, p11->C_DigestFinal(session, out, &n));
}

/* ---- libcrypto ----------------------------------------------------------------------------- */

static EVP_CIPHER *fetch(const char *mode, CK_ULONG key_n)
{
    char name[24];
    snprintf(name, sizeof name, "AES-%lu-%s", 8 * key_n, mode);
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, name, NULL);
    assert_non_null(cipher);
    return cipher;
}

CK_ULONG evp_encrypt(const char *mode, bool padding, const CK_BYTE *key, CK_ULONG key_n,
                     const CK_BYTE *iv, const CK_BYTE *in, CK_ULONG n, CK_BYTE *ret)
{
    int first = 0, rest = 0;
    EVP_CIPHER *cipher = fetch(mode, key_n);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    EVP_CIPHER_CTX_set_flags(context, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    assert_int_equal(EVP_EncryptInit_ex2(context, cipher, key, iv, NULL), 1);
    EVP_CIPHER_CTX_set_padding(context, padding);
    assert_int_equal(EVP_EncryptUpdate(context, ret, &first, in, (int)n), 1);
    if (strncmp(mode, "WRAP", 4) != 0)
        assert_int_equal(EVP_EncryptFinal_ex(context, ret + first, &rest), 1);
    EVP_CIPHER_CTX_free(context);
    EVP_CIPHER_free(cipher);
    return (CK_ULONG)(first + rest);
}

void evp_seal(const char *mode, const CK_BYTE *key, CK_ULONG key_n, const CK_BYTE *iv,
              CK_ULONG iv_n, const CK_BYTE *aad, CK_ULONG aad_n, CK_ULONG tag_n, const CK_BYTE *in,
              CK_ULONG n, CK_BYTE *ret)
{
    int some;
    bool ccm = strcmp(mode, "CCM") == 0;
    EVP_CIPHER *cipher = fetch(mode, key_n);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    assert_int_equal(EVP_EncryptInit_ex2(context, cipher, NULL, NULL, NULL), 1);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_IVLEN, (int)iv_n, NULL), 1);
    if (ccm)
        assert_int_equal(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, (int)tag_n, NULL), 1);
    assert_int_equal(EVP_EncryptInit_ex2(context, NULL, key, iv, NULL), 1);
    if (ccm)
        assert_int_equal(EVP_EncryptUpdate(context, NULL, &some, NULL, (int)n), 1);
    if (aad_n > 0)
        assert_int_equal(EVP_EncryptUpdate(context, NULL, &some, aad, (int)aad_n), 1);
    assert_int_equal(EVP_EncryptUpdate(context, ret, &some, in, (int)n), 1);
    assert_int_equal(EVP_EncryptFinal_ex(context, ret + n, &some), 1);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, (int)tag_n, ret + n), 1);
    EVP_CIPHER_CTX_free(context);
    EVP_CIPHER_free(cipher);
}

struct blob evp_mac(const char *name, const char *with, const void *key, CK_ULONG key_n,
                    const void *iv, CK_ULONG iv_n, const void *in, CK_ULONG n)
{
    struct blob mac = {0};
    size_t size = 0;
    bool hmac = strcmp(name, "HMAC") == 0;
    EVP_MAC *method = EVP_MAC_fetch(NULL, name, NULL);
    EVP_MAC_CTX *context = EVP_MAC_CTX_new(method);
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(hmac ? OSSL_MAC_PARAM_DIGEST : OSSL_MAC_PARAM_CIPHER,
                                         (char *)(uintptr_t)with, 0),
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_IV, (void *)(uintptr_t)iv, iv_n),
        OSSL_PARAM_END};
    if (iv == NULL)
        parameters[1] = OSSL_PARAM_construct_end();
    assert_int_equal(EVP_MAC_init(context, key, key_n, parameters), 1);
    assert_int_equal(EVP_MAC_update(context, in, n), 1);
    assert_int_equal(EVP_MAC_final(context, mac.p, &size, sizeof mac.p), 1);
    mac.n = size;
    EVP_MAC_CTX_free(context);
    EVP_MAC_free(method);
    return mac;
}
