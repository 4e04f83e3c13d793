#include "material.h"

#include <dirent.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>

#include <latchkey/vendor.h>

/* ---- libcrypto's keys ---------------------------------------------------------------------- */

static EVP_PKEY *make_rsa(unsigned bits, unsigned exponent)
{
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    OSSL_PARAM parameters[] = {OSSL_PARAM_construct_uint("bits", &bits),
                               OSSL_PARAM_construct_uint("e", &exponent), OSSL_PARAM_END};
    assert_int_equal(EVP_PKEY_keygen_init(context), 1);
    assert_int_equal(EVP_PKEY_CTX_set_params(context, parameters), 1);
    assert_int_equal(EVP_PKEY_generate(context, &key), 1);
    EVP_PKEY_CTX_free(context);
    return key;
}

EVP_PKEY *make_key(const char *kind)
{
    unsigned bits = 0, exponent = 65537;
    if (sscanf(kind, "RSA-%u-e%u", &bits, &exponent) >= 1)
        return make_rsa(bits, exponent);
    EVP_PKEY *key = kind[0] == 'P' ? EVP_EC_gen(kind) : EVP_PKEY_Q_keygen(NULL, NULL, kind);
    assert_non_null(key);
    return key;
}

struct blob random_blob(CK_ULONG n)
{
    struct blob value = {.n = n};
    assert_int_equal(RAND_bytes(value.p, (int)n), 1);
    return value;
}

struct blob pkcs8_of(EVP_PKEY *key)
{
    struct blob der = {0};
    CK_BYTE *end = der.p;
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
    der.n = (CK_ULONG)i2d_PKCS8_PRIV_KEY_INFO(info, &end);
    PKCS8_PRIV_KEY_INFO_free(info);
    return der;
}

struct blob rsa_number(EVP_PKEY *key, const char *name)
{
    struct blob value = {0};
    BIGNUM *n = NULL;
    assert_int_equal(EVP_PKEY_get_bn_param(key, name, &n), 1);
    value.n = (CK_ULONG)BN_bn2bin(n, value.p);
    BN_free(n);
    return value;
}

struct blob public_point(EVP_PKEY *key)
{
    struct blob value = {0};
    size_t n = 0;
    assert_int_equal(EVP_PKEY_get_octet_string_param(key, "pub", value.p, sizeof value.p, &n), 1);
    value.n = n;
    return value;
}

struct blob private_value(EVP_PKEY *key)
{
    struct blob value = {0};
    size_t n = sizeof value.p;
    if (!EVP_PKEY_is_a(key, "EC")) {
        assert_int_equal(EVP_PKEY_get_raw_private_key(key, value.p, &n), 1);
        value.n = n;
        return value;
    }
    BIGNUM *d = NULL;
    value.n = (CK_ULONG)(EVP_PKEY_get_bits(key) + 7) / 8;
    assert_int_equal(EVP_PKEY_get_bn_param(key, "priv", &d), 1);
    assert_int_equal(BN_bn2binpad(d, value.p, (int)value.n), value.n);
    BN_clear_free(d);
    return value;
}

struct blob octet_string(struct blob content)
{
    struct blob der = {0};
    CK_BYTE *end = der.p;
    ASN1_OCTET_STRING *octets = ASN1_OCTET_STRING_new();
    ASN1_OCTET_STRING_set(octets, content.p, (int)content.n);
    der.n = (CK_ULONG)i2d_ASN1_OCTET_STRING(octets, &end);
    ASN1_OCTET_STRING_free(octets);
    return der;
}

/* ---- templates ----------------------------------------------------------------------------- */

static CK_ULONG place_of(const struct parts *p, CK_ATTRIBUTE_TYPE type)
{
    CK_ULONG i = 0;
    while (i < p->n && p->v[i].type != type)
        i++;
    return i;
}

void set_part(struct parts *p, CK_ATTRIBUTE a)
{
    CK_ULONG i = place_of(p, a.type);
    assert_in_range(i, 0, COUNT(p->v) - 1);
    if (i == p->n)
        p->n++;
    memmove(p->value[i].p, a.pValue, a.ulValueLen);
    p->value[i].n = a.ulValueLen;
    p->v[i] = (CK_ATTRIBUTE){a.type, p->value[i].p, a.ulValueLen};
}

void drop_part(struct parts *p, CK_ATTRIBUTE_TYPE type)
{
    CK_ULONG i = place_of(p, type);
    assert_in_range(i, 0, p->n - 1);
    CK_ATTRIBUTE last = p->v[--p->n];
    if (i < p->n)
        p->v[i] = last;
}

struct blob *part(struct parts *p, CK_ATTRIBUTE_TYPE type)
{
    CK_ULONG i = place_of(p, type);
    assert_in_range(i, 0, p->n - 1);
    /* drop_part leaves values where they are */
    size_t k = 0;
    while (k < COUNT(p->value) && p->v[i].pValue != p->value[k].p)
        k++;
    assert_in_range(k, 0, COUNT(p->value) - 1);
    return &p->value[k];
}

static void set_blob(struct parts *p, CK_ATTRIBUTE_TYPE type, struct blob value)
{
    set_part(p, (CK_ATTRIBUTE){type, value.p, value.n});
}

static void set_kind(struct parts *p, CK_OBJECT_CLASS class, CK_KEY_TYPE type)
{
    p->n = 0;
    set_part(p, (CK_ATTRIBUTE){CKA_CLASS, &class, sizeof class});
    set_part(p, (CK_ATTRIBUTE){CKA_KEY_TYPE, &type, sizeof type});
}

static void set_usages(struct parts *p, const CK_ATTRIBUTE_TYPE *usages, size_t n)
{
    for (size_t i = 0; i < n; i++)
        set_part(p, (CK_ATTRIBUTE){usages[i], &yes, sizeof yes});
}

static const struct {
    const char *kind; /* as EVP_PKEY_is_a and the group's name have it */
    int nid;
    CK_KEY_TYPE type;
} curves[] = {
    {"secp224r1", NID_secp224r1, CKK_EC},     {"prime256v1", NID_X9_62_prime256v1, CKK_EC},
    {"secp384r1", NID_secp384r1, CKK_EC},     {"secp521r1", NID_secp521r1, CKK_EC},
    {"ED25519", NID_ED25519, CKK_EC_EDWARDS}, {"X25519", NID_X25519, CKK_EC_MONTGOMERY},
    {"ED448", NID_ED448, CKK_EC_EDWARDS},     {"X448", NID_X448, CKK_EC_MONTGOMERY},
};

static size_t curve_of(EVP_PKEY *key)
{
    char group[32] = "";
    if (EVP_PKEY_is_a(key, "EC"))
        assert_int_equal(EVP_PKEY_get_group_name(key, group, sizeof group, NULL), 1);
    for (size_t i = 0; i < COUNT(curves); i++)
        if (strcmp(group, curves[i].kind) == 0 || EVP_PKEY_is_a(key, curves[i].kind))
            return i;
    fail_msg("no curve for %s", group);
    return 0;
}

static const struct {
    CK_ATTRIBUTE_TYPE type;
    const char *name;
} rsa_numbers[] = {
    {CKA_MODULUS, OSSL_PKEY_PARAM_RSA_N},
    {CKA_PUBLIC_EXPONENT, OSSL_PKEY_PARAM_RSA_E},
    {CKA_PRIVATE_EXPONENT, OSSL_PKEY_PARAM_RSA_D},
    {CKA_PRIME_1, OSSL_PKEY_PARAM_RSA_FACTOR1},
    {CKA_PRIME_2, OSSL_PKEY_PARAM_RSA_FACTOR2},
    {CKA_EXPONENT_1, OSSL_PKEY_PARAM_RSA_EXPONENT1},
    {CKA_EXPONENT_2, OSSL_PKEY_PARAM_RSA_EXPONENT2},
    {CKA_COEFFICIENT, OSSL_PKEY_PARAM_RSA_COEFFICIENT1},
};

void private_parts(EVP_PKEY *key, struct parts *ret)
{
    static const CK_ATTRIBUTE_TYPE for_rsa[] = {CKA_SIGN, CKA_DECRYPT},
                                   for_ec[] = {CKA_SIGN, CKA_DERIVE};
    if (EVP_PKEY_is_a(key, "RSA")) {
        set_kind(ret, CKO_PRIVATE_KEY, CKK_RSA);
        for (size_t i = 0; i < COUNT(rsa_numbers); i++)
            set_blob(ret, rsa_numbers[i].type, rsa_number(key, rsa_numbers[i].name));
        set_usages(ret, for_rsa, COUNT(for_rsa));
        return;
    }
    size_t c = curve_of(key);
    set_kind(ret, CKO_PRIVATE_KEY, curves[c].type);
    set_blob(ret, CKA_EC_PARAMS, ec_params(curves[c].nid));
    set_blob(ret, CKA_VALUE, private_value(key));
    set_usages(ret, for_ec, COUNT(for_ec));
}

void public_parts(EVP_PKEY *key, struct parts *ret)
{
    static const CK_ATTRIBUTE_TYPE for_rsa[] = {CKA_VERIFY, CKA_ENCRYPT, CKA_WRAP};
    if (EVP_PKEY_is_a(key, "RSA")) {
        set_kind(ret, CKO_PUBLIC_KEY, CKK_RSA);
        for (size_t i = 0; i < 2; i++)
            set_blob(ret, rsa_numbers[i].type, rsa_number(key, rsa_numbers[i].name));
        set_usages(ret, for_rsa, COUNT(for_rsa));
        return;
    }
    size_t c = curve_of(key);
    set_kind(ret, CKO_PUBLIC_KEY, curves[c].type);
    set_blob(ret, CKA_EC_PARAMS, ec_params(curves[c].nid));
    set_blob(ret, CKA_EC_POINT, octet_string(public_point(key)));
    set_usages(ret, for_rsa, curves[c].type == CKK_EC_MONTGOMERY ? 0 : 1);
}

void secret_parts(CK_KEY_TYPE type, struct blob value, struct parts *ret)
{
    static const CK_ATTRIBUTE_TYPE all[] = {CKA_SIGN,    CKA_VERIFY, CKA_DERIVE,
                                            CKA_ENCRYPT, CKA_WRAP,   CKA_UNWRAP};
    set_kind(ret, CKO_SECRET_KEY, type);
    set_blob(ret, CKA_VALUE, value);
    set_usages(ret, all, COUNT(all));
}

CK_RV create(struct parts *p, CK_OBJECT_HANDLE *ret)
{
    for (CK_ULONG i = 0; i < p->n; i++) /* a test may have changed a value's length */
        p->v[i].ulValueLen = part(p, p->v[i].type)->n;
    return p11->C_CreateObject(fx.session, p->v, p->n, ret);
}

/* ---- is it the same key? ------------------------------------------------------------------- */

static const char text[] = "the quick brown fox";

static void assert_signs(CK_OBJECT_HANDLE object, EVP_PKEY *key, CK_MECHANISM_TYPE type)
{
    struct blob signature = sign(fx.session, MECHANISM(type), object, (CK_BYTE *)text, sizeof text);
    if (type == CKM_ECDSA_SHA256)
        signature = ecdsa_der(signature);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    const EVP_MD *md = type == CKM_EDDSA ? NULL : EVP_sha256();
    assert_int_equal(EVP_DigestVerifyInit(context, NULL, md, NULL, key), 1);
    assert_int_equal(
        EVP_DigestVerify(context, signature.p, signature.n, (const CK_BYTE *)text, sizeof text), 1);
    EVP_MD_CTX_free(context);
}

static void assert_decrypts(CK_OBJECT_HANDLE object, EVP_PKEY *key)
{
    CK_RSA_PKCS_OAEP_PARAMS oaep = {CKM_SHA_1, CKG_MGF1_SHA1, CKZ_DATA_SPECIFIED, NULL, 0};
    struct blob cipher = {0}, plain = {.n = sizeof plain.p};
    size_t n = sizeof cipher.p;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
    assert_int_equal(EVP_PKEY_encrypt_init(context), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING), 1);
    assert_int_equal(EVP_PKEY_encrypt(context, cipher.p, &n, (const CK_BYTE *)text, sizeof text),
                     1);
    EVP_PKEY_CTX_free(context);
    assert_ok(p11->C_DecryptInit(fx.session, MECHANISM_WITH(CKM_RSA_PKCS_OAEP, oaep), object));
    assert_ok(p11->C_Decrypt(fx.session, cipher.p, n, plain.p, &plain.n));
    assert_blob(plain, text, sizeof text);
}

static struct blob agreed(EVP_PKEY *own, EVP_PKEY *peer)
{
    struct blob secret = {0};
    size_t n = sizeof secret.p;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(own, NULL);
    assert_int_equal(EVP_PKEY_derive_init(context), 1);
    assert_int_equal(EVP_PKEY_derive_set_peer(context, peer), 1);
    assert_int_equal(EVP_PKEY_derive(context, secret.p, &n), 1);
    EVP_PKEY_CTX_free(context);
    secret.n = n;
    return secret;
}

static void assert_agrees(CK_OBJECT_HANDLE object, EVP_PKEY *key)
{
    char group[32] = "";
    if (EVP_PKEY_is_a(key, "EC"))
        EVP_PKEY_get_group_name(key, group, sizeof group, NULL);
    else
        snprintf(group, sizeof group, "%s", EVP_PKEY_get0_type_name(key));
    EVP_PKEY *other = EVP_PKEY_is_a(key, "EC") ? EVP_EC_gen(group) : make_key(group);
    struct blob point = public_point(other), want = agreed(other, key);
    CK_ECDH1_DERIVE_PARAMS ecdh = {CKD_NULL, 0, NULL, point.n, point.p};
    CK_ATTRIBUTE template[] = {ATTR_BOOL(CKA_PRIVATE, get_bool(fx.session, object, CKA_PRIVATE)),
                               ATTR_BOOL(CKA_SENSITIVE, false), ATTR_BOOL(CKA_EXTRACTABLE, true)};
    CK_OBJECT_HANDLE derived;
    assert_ok(p11->C_DeriveKey(fx.session, MECHANISM_WITH(CKM_ECDH1_DERIVE, ecdh), object, template,
                               COUNT(template), &derived));
    assert_blob(get_attribute(fx.session, derived, CKA_VALUE), want.p, want.n);
    assert_ok(p11->C_DestroyObject(fx.session, derived));
    EVP_PKEY_free(other);
}

void assert_same_private(CK_OBJECT_HANDLE object, EVP_PKEY *key)
{
    switch (get_ulong(fx.session, object, CKA_KEY_TYPE)) {
    case CKK_RSA:
        assert_signs(object, key, CKM_SHA256_RSA_PKCS);
        assert_decrypts(object, key);
        break;
    case CKK_EC:
        assert_signs(object, key, CKM_ECDSA_SHA256);
        assert_agrees(object, key);
        break;
    case CKK_EC_EDWARDS:
        assert_signs(object, key, CKM_EDDSA);
        break;
    default:
        assert_agrees(object, key);
    }
}

static void assert_same_aes(CK_OBJECT_HANDLE object, struct blob value)
{
    const EVP_CIPHER *ciphers[] = {EVP_aes_128_ecb(), EVP_aes_192_ecb(), EVP_aes_256_ecb()};
    CK_BYTE want[16], got[16];
    CK_ULONG got_n = sizeof got;
    int n = 0;
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    EVP_EncryptInit_ex2(context, ciphers[value.n / 8 - 2], value.p, NULL, NULL);
    EVP_CIPHER_CTX_set_padding(context, 0);
    assert_int_equal(EVP_EncryptUpdate(context, want, &n, (const CK_BYTE *)text, sizeof want), 1);
    EVP_CIPHER_CTX_free(context);
    assert_ok(p11->C_EncryptInit(fx.session, MECHANISM(CKM_AES_ECB), object));
    assert_ok(p11->C_Encrypt(fx.session, (CK_BYTE *)text, sizeof want, got, &got_n));
    assert_int_equal(got_n, sizeof want);
    assert_memory_equal(got, want, sizeof want);
}

static const struct {
    CK_KEY_TYPE type;
    CK_MECHANISM_TYPE mechanism;
    const char *hash;
} macs[] = {
    {CKK_GENERIC_SECRET, CKM_SHA256_HMAC, "SHA256"},
    {CKK_SHA_1_HMAC, CKM_SHA_1_HMAC, "SHA1"},
    {CKK_SHA224_HMAC, CKM_SHA224_HMAC, "SHA224"},
    {CKK_SHA256_HMAC, CKM_SHA256_HMAC, "SHA256"},
    {CKK_SHA384_HMAC, CKM_SHA384_HMAC, "SHA384"},
    {CKK_SHA512_HMAC, CKM_SHA512_HMAC, "SHA512"},
    {CKK_SHA3_256_HMAC, CKM_SHA3_256_HMAC, "SHA3-256"},
};

void assert_same_secret(CK_OBJECT_HANDLE object, struct blob value)
{
    CK_KEY_TYPE type = get_ulong(fx.session, object, CKA_KEY_TYPE);
    CK_BYTE want[64];
    unsigned n = sizeof want;
    size_t i = 0;
    if (type == CKK_AES) {
        assert_same_aes(object, value);
        return;
    }
    while (i < COUNT(macs) && macs[i].type != type)
        i++;
    assert_in_range(i, 0, COUNT(macs) - 1);
    HMAC(EVP_get_digestbyname(macs[i].hash), value.p, (int)value.n, (const CK_BYTE *)text,
         sizeof text, want, &n);
    assert_blob(
        sign(fx.session, MECHANISM(macs[i].mechanism), object, (CK_BYTE *)text, sizeof text), want,
        n);
}

void assert_protection(CK_OBJECT_HANDLE object, const char *protection)
{
    assert_blob(get_attribute(fx.session, object, CKA_LATCHKEY_PROTECTION), protection,
                strlen(protection));
}

/* ---- the store ----------------------------------------------------------------------------- */

static bool file_carries(const char *path, const void *p, size_t n)
{
    static CK_BYTE content[8 << 20];
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return false;
    size_t length = fread(content, 1, sizeof content, file);
    fclose(file);
    assert_true(length < sizeof content);
    for (size_t at = 0; at + n <= length; at++)
        if (memcmp(content + at, p, n) == 0)
            return true;
    return false;
}

bool store_carries(const void *p, size_t n)
{
    char path[400];
    bool found = false;
    DIR *dir = opendir(fx.store);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        snprintf(path, sizeof path, "%s/%s", fx.store, entry->d_name);
        found = found || file_carries(path, p, n);
    }
    closedir(dir);
    return found;
}
