/* What calls.c draws from: a seeded generator or a fuzzer's input, memory that ends where it says,
 * templates and mechanism parameters that are mostly right. */
#ifndef TESTS_RANDOM_H
#define TESTS_RANDOM_H

#include "keys.h"

#include <latchkey/vendor.h>

enum {
    SESSIONS = 6,
    FIXED = 16,
    OBJECTS = 56,
    KEPT = 512,
    GUARD = 32,
    ROOM = 5000,
    ATTRIBUTES = 28
};

/* One thread of calls: all that it does follows from the input as long as that lasts, then from the
 * seed. */
struct caller {
    uint64_t seed, state;
    const CK_BYTE *input;
    size_t input_n;
    unsigned long number; /* of the call */
    const char *name;     /* of the function */
    bool alone;           /* no other thread closes its sessions or logs it out */
    unsigned faults;
    CK_SESSION_HANDLE session[SESSIONS];
    CK_OBJECT_HANDLE object[OBJECTS];
    void *kept[KEPT]; /* memory of this call */
    size_t n_kept;
    CK_GCM_MESSAGE_PARAMS message; /* lives from C_…MessageBegin to C_…MessageNext */
    CK_BYTE message_iv[16], message_tag[16];
    CK_BYTE state_saved[512];
    CK_ULONG state_n;
};

/* splitmix64 (Steele, Lea and Flood, 2014) */
static inline uint64_t generate(struct caller *c)
{
    uint64_t z = c->state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

/* The input's next number of that many bytes, or of those that are left. */
static inline uint64_t next_number(struct caller *c, size_t bytes)
{
    uint64_t v = 0;
    for (; bytes && c->input_n; bytes--, c->input_n--)
        v = v << 8 | *c->input++;
    return v;
}

static inline uint64_t draw(struct caller *c)
{
    return c->input_n ? next_number(c, sizeof(uint64_t)) : generate(c);
}

static inline CK_ULONG below(struct caller *c, CK_ULONG n)
{
    if (n <= 1)
        return 0;
    return (CK_ULONG)((c->input_n ? next_number(c, n <= 256 ? 1 : sizeof(uint64_t)) : generate(c)) %
                      n);
}

static inline bool one_in(struct caller *c, CK_ULONG n)
{
    return below(c, n) == 0;
}

#define ONE_OF(c, array) ((array)[below(c, COUNT(array))])

/* n bytes until the end of the call, and not one more: what is read behind them is found. */
static inline void *room(struct caller *c, size_t n)
{
    enum { LARGEST = 1 << 20 };
    assert_true(n <= LARGEST);
    void *p =
        malloc(n && n <= LARGEST ? n : 1); /* gcc -O3 does not see that the assertion ends it */
    assert_non_null(p);
    assert_true(c->n_kept < KEPT);
    c->kept[c->n_kept++] = p;
    return p;
}

static inline void *keep(struct caller *c, const void *p, size_t n)
{
    void *copy = room(c, n);
    if (n)
        memcpy(copy, p, n);
    return copy;
}

static inline CK_BYTE *noise(struct caller *c, size_t n)
{
    CK_BYTE *p = room(c, n);
    bool given = c->input_n && one_in(c, 4);
    for (size_t i = 0; i < n; i++)
        p[i] = (CK_BYTE)(given && c->input_n ? next_number(c, 1) : generate(c));
    return p;
}

/* Lengths around the edges of blocks and buffers. */
static inline CK_ULONG some_length(struct caller *c)
{
    static const CK_ULONG edges[] = {0,   1,   7,   8,   12,   13,   15,   16,   17,
                                     20,  24,  31,  32,  33,   48,   63,   64,   65,
                                     127, 128, 129, 256, 1023, 1024, 1025, 1040, 2100};
    return one_in(c, 3) ? below(c, 200) : ONE_OF(c, edges);
}

/* ---- templates ----------------------------------------------------------------------------- */

struct template
{
    CK_ATTRIBUTE a[ATTRIBUTES];
    CK_ULONG n;
};

static inline void add_bytes(struct caller *c, struct template *t, CK_ATTRIBUTE_TYPE type,
                             const void *p, CK_ULONG n)
{
    if (t->n < ATTRIBUTES)
        t->a[t->n++] = (CK_ATTRIBUTE){type, keep(c, p, n), n};
}

static inline void add_ulong(struct caller *c, struct template *t, CK_ATTRIBUTE_TYPE type,
                             CK_ULONG value)
{
    add_bytes(c, t, type, &value, sizeof value);
}

static inline void add_bool(struct caller *c, struct template *t, CK_ATTRIBUTE_TYPE type,
                            bool value)
{
    CK_BBOOL b = value;
    add_bytes(c, t, type, &b, sizeof b);
}

static const CK_ATTRIBUTE_TYPE all_attributes[] = {
    CKA_CLASS,
    CKA_TOKEN,
    CKA_PRIVATE,
    CKA_LABEL,
    CKA_VALUE,
    CKA_TRUSTED,
    CKA_KEY_TYPE,
    CKA_ID,
    CKA_SENSITIVE,
    CKA_ENCRYPT,
    CKA_DECRYPT,
    CKA_WRAP,
    CKA_UNWRAP,
    CKA_SIGN,
    CKA_VERIFY,
    CKA_DERIVE,
    CKA_START_DATE,
    CKA_MODULUS,
    CKA_MODULUS_BITS,
    CKA_PUBLIC_EXPONENT,
    CKA_PRIME_1,
    CKA_VALUE_LEN,
    CKA_EXTRACTABLE,
    CKA_LOCAL,
    CKA_MODIFIABLE,
    CKA_COPYABLE,
    CKA_DESTROYABLE,
    CKA_EC_PARAMS,
    CKA_EC_POINT,
    CKA_WRAP_TEMPLATE,
    CKA_UNWRAP_TEMPLATE,
    CKA_DERIVE_TEMPLATE,
    CKA_CHECK_VALUE,
    CKA_NEVER_EXTRACTABLE,
    CKA_ALWAYS_SENSITIVE,
    CKA_ALWAYS_AUTHENTICATE,
    CKA_UNIQUE_ID,
    CKA_PUBLIC_KEY_INFO,
    CKA_ALLOWED_MECHANISMS,
    CKA_WRAP_WITH_TRUSTED,
    CKA_SUBJECT,
    CKA_LATCHKEY_PROTECTION,
    CKA_PRIVATE_EXPONENT,
    CKA_APPLICATION,
    CKA_KEY_GEN_MECHANISM,
    CKA_PROFILE_ID,
    CKA_VENDOR_DEFINED | 77,
    CKA_MECHANISM_TYPE,
};

static inline void spoil(struct caller *c, struct template *t)
{
    CK_ATTRIBUTE *a = t->n ? &t->a[below(c, t->n)] : NULL;
    CK_ULONG n = below(c, 20);
    switch (below(c, 7)) {
    case 0:
        if (a && a->ulValueLen)
            a->ulValueLen--;
        break;
    case 1:
        if (a)
            a->pValue = NULL;
        break;
    case 2:
        if (a)
            *a = t->a[--t->n];
        break;
    case 3:
        if (a)
            add_bytes(c, t, a->type, noise(c, a->ulValueLen), a->ulValueLen);
        break;
    case 4:
        add_bytes(c, t, ONE_OF(c, all_attributes), noise(c, n), n);
        break;
    case 5: /* once more, or without its value */
        if (a && t->n < ATTRIBUTES)
            t->a[t->n++] = (CK_ATTRIBUTE){a->type, one_in(c, 2) ? NULL : a->pValue, a->ulValueLen};
        break;
    default:
        add_bool(c, t, ONE_OF(c, all_attributes), one_in(c, 2));
        break;
    }
}

static inline void maybe_spoil(struct caller *c, struct template *t)
{
    while (one_in(c, 7))
        spoil(c, t);
}

static const CK_ATTRIBUTE_TYPE secret_uses[] = {CKA_ENCRYPT, CKA_DECRYPT, CKA_SIGN,  CKA_VERIFY,
                                                CKA_WRAP,    CKA_UNWRAP,  CKA_DERIVE};
static const CK_ATTRIBUTE_TYPE public_uses[] = {CKA_ENCRYPT, CKA_VERIFY, CKA_VERIFY_RECOVER,
                                                CKA_WRAP, CKA_ENCAPSULATE};
static const CK_ATTRIBUTE_TYPE private_uses[] = {CKA_DECRYPT, CKA_SIGN,   CKA_SIGN_RECOVER,
                                                 CKA_UNWRAP,  CKA_DERIVE, CKA_DECAPSULATE};

static inline void add_uses(struct caller *c, struct template *t, const CK_ATTRIBUTE_TYPE *uses,
                            size_t n)
{
    for (size_t i = 0; i < n; i++)
        add_bool(c, t, uses[i], !one_in(c, 12));
}

static inline void add_common(struct caller *c, struct template *t)
{
    if (one_in(c, 20))
        add_bool(c, t, CKA_TOKEN, true);
    if (one_in(c, 3))
        add_bool(c, t, CKA_PRIVATE, one_in(c, 2));
    if (one_in(c, 4))
        add_bytes(c, t, CKA_LABEL, "random", 6);
}

/* CKA_WRAP_TEMPLATE and its like. */
static inline void add_nested(struct caller *c, struct template *t, CK_ATTRIBUTE_TYPE type)
{
    struct template inner = {.n = 0};
    if (one_in(c, 2))
        add_bool(c, &inner, CKA_EXTRACTABLE, one_in(c, 2));
    if (one_in(c, 2))
        add_bytes(c, &inner, CKA_LABEL, "random", 6);
    if (one_in(c, 5))
        spoil(c, &inner);
    add_bytes(c, t, type, inner.a, inner.n * sizeof(CK_ATTRIBUTE));
}

/* Of private and secret keys. */
static inline void add_protection(struct caller *c, struct template *t)
{
    static const char *const words[] = {"tpm", "sealed", "session", "none"};
    if (one_in(c, 2))
        add_bool(c, t, CKA_SENSITIVE, one_in(c, 2));
    if (one_in(c, 2))
        add_bool(c, t, CKA_EXTRACTABLE, !one_in(c, 3));
    if (one_in(c, 12)) {
        const char *word = ONE_OF(c, words);
        add_bytes(c, t, CKA_LATCHKEY_PROTECTION, word, strlen(word));
    }
    if (one_in(c, 25))
        add_nested(c, t, one_in(c, 2) ? CKA_UNWRAP_TEMPLATE : CKA_DERIVE_TEMPLATE);
}

static const CK_KEY_TYPE secret_types[] = {
    CKK_AES,         CKK_AES,         CKK_AES,           CKK_GENERIC_SECRET, CKK_GENERIC_SECRET,
    CKK_SHA256_HMAC, CKK_SHA512_HMAC, CKK_SHA3_256_HMAC, CKK_HKDF,           CKK_SHA_1_HMAC};

static inline CK_ULONG value_length(struct caller *c, CK_KEY_TYPE type)
{
    static const CK_ULONG aes[] = {16, 24, 32}, other[] = {1, 16, 20, 32, 48, 48, 64, 65, 200};
    if (one_in(c, 30))
        return some_length(c);
    return type == CKK_AES ? ONE_OF(c, aes) : ONE_OF(c, other);
}

/* value, length: which of CKA_VALUE and CKA_VALUE_LEN there is. */
static inline struct template secret_template(struct caller *c, CK_KEY_TYPE type, bool value,
                                              bool length)
{
    struct template t = {.n = 0};
    CK_ULONG n = value_length(c, type);
    if (value || one_in(c, 2)) {
        add_ulong(c, &t, CKA_CLASS, CKO_SECRET_KEY);
        add_ulong(c, &t, CKA_KEY_TYPE, type);
    }
    if (value)
        add_bytes(c, &t, CKA_VALUE, noise(c, n), n);
    if (length)
        add_ulong(c, &t, CKA_VALUE_LEN, n);
    add_common(c, &t);
    add_protection(c, &t);
    add_uses(c, &t, secret_uses, COUNT(secret_uses));
    if (one_in(c, 25))
        add_nested(c, &t, CKA_WRAP_TEMPLATE);
    maybe_spoil(c, &t);
    return t;
}

/* ---- mechanisms ---------------------------------------------------------------------------- */

static const CK_MECHANISM_TYPE digests[] = {CKM_SHA_1,  CKM_SHA224, CKM_SHA256,
                                            CKM_SHA384, CKM_SHA512, CKM_SHA3_256};

static inline CK_MECHANISM_TYPE some_digest(struct caller *c)
{
    return one_in(c, 30) ? CKM_AES_CBC : ONE_OF(c, digests);
}

/* Mostly one that is there. */
static inline CK_OBJECT_HANDLE some_object(struct caller *c)
{
    CK_OBJECT_HANDLE object = ONE_OF(c, c->object);
    CK_ULONG n;
    if (one_in(c, 40))
        return (CK_OBJECT_HANDLE)draw(c) >> below(c, 64);
    for (int i = 0; i < 12 && !one_in(c, 30); i++) {
        if (p11->C_GetObjectSize(c->session[0], object, &n) == CKR_OK)
            break;
        object = ONE_OF(c, c->object);
    }
    return object;
}

static inline void with(struct caller *c, CK_MECHANISM *m, const void *p, size_t n)
{
    m->pParameter = keep(c, p, n);
    m->ulParameterLen = n;
}
#define WITH(c, m, ...) (with(c, m, &(__VA_ARGS__), sizeof(__VA_ARGS__)))

static inline void fill_iv(struct caller *c, CK_MECHANISM *m)
{
    with(c, m, noise(c, 16), 16);
}

static inline void fill_counter(struct caller *c, CK_MECHANISM *m)
{
    static const CK_ULONG bits[] = {1, 8, 32, 64, 65, 127, 128, 129, 0};
    CK_AES_CTR_PARAMS p = {ONE_OF(c, bits), {0}};
    memcpy(p.cb, noise(c, sizeof p.cb), sizeof p.cb);
    WITH(c, m, p);
}

static inline void fill_gcm(struct caller *c, CK_MECHANISM *m)
{
    CK_ULONG iv = one_in(c, 4) ? some_length(c) : 12, aad = one_in(c, 2) ? some_length(c) : 0;
    CK_GCM_PARAMS p = {.pIv = noise(c, iv),
                       .ulIvLen = iv,
                       .pAAD = noise(c, aad),
                       .ulAADLen = aad,
                       .ulTagBits = one_in(c, 8) ? below(c, 140) : 128};
    WITH(c, m, p);
}

/* 3.2: what C_WrapKey has beside that. */
static inline void fill_gcm_wrap(struct caller *c, CK_MECHANISM *m)
{
    CK_ULONG iv = one_in(c, 4) ? some_length(c) : 12, aad = one_in(c, 2) ? some_length(c) : 0;
    CK_GCM_WRAP_PARAMS p = {.pIv = noise(c, iv),
                            .ulIvLen = iv,
                            .ulIvFixedBits = below(c, 8 * iv + 2),
                            .ivGenerator = below(c, 6),
                            .pAAD = noise(c, aad),
                            .ulAADLen = aad,
                            .ulTagBits = one_in(c, 8) ? below(c, 140) : 128};
    WITH(c, m, p);
}

static inline void fill_ccm(struct caller *c, CK_MECHANISM *m)
{
    CK_ULONG nonce = one_in(c, 4) ? some_length(c) : 12, aad = one_in(c, 2) ? some_length(c) : 0;
    CK_CCM_PARAMS p = {.ulDataLen = one_in(c, 50) ? draw(c) : some_length(c),
                       .pNonce = noise(c, nonce),
                       .ulNonceLen = nonce,
                       .pAAD = noise(c, aad),
                       .ulAADLen = aad,
                       .ulMACLen = one_in(c, 8) ? below(c, 20) : 16};
    WITH(c, m, p);
}

static inline void fill_general(struct caller *c, CK_MECHANISM *m)
{
    WITH(c, m, (CK_ULONG){one_in(c, 8) ? draw(c) : 1 + below(c, 20)});
}

static inline void fill_pss(struct caller *c, CK_MECHANISM *m)
{
    CK_RSA_PKCS_PSS_PARAMS p = {CKM_SHA256, CKG_MGF1_SHA256, one_in(c, 6) ? draw(c) : below(c, 33)};
    if (one_in(c, 3))
        p.hashAlg = some_digest(c);
    WITH(c, m, p);
}

static inline void fill_oaep(struct caller *c, CK_MECHANISM *m)
{
    CK_ULONG n = one_in(c, 3) ? some_length(c) : 0;
    CK_RSA_PKCS_OAEP_PARAMS p = {some_digest(c), one_in(c, 20) ? 99 : CKG_MGF1_SHA1,
                                 CKZ_DATA_SPECIFIED, noise(c, n), n};
    WITH(c, m, p);
}

static inline void fill_rsa_aes(struct caller *c, CK_MECHANISM *m)
{
    static const CK_ULONG bits[] = {128, 192, 256, 256, 64};
    CK_MECHANISM oaep = {0, NULL, 0};
    fill_oaep(c, &oaep);
    CK_RSA_AES_KEY_WRAP_PARAMS p = {ONE_OF(c, bits), one_in(c, 20) ? NULL : oaep.pParameter};
    WITH(c, m, p);
}

/* The peer's point is filled in by who knows the curve; else noise. */
static inline void fill_ecdh(struct caller *c, CK_MECHANISM *m)
{
    CK_ULONG n = one_in(c, 2) ? 0 : some_length(c), shared = one_in(c, 2) ? some_length(c) : 0;
    CK_ECDH1_DERIVE_PARAMS p = {.kdf = one_in(c, 2) ? CKD_NULL : 2 + below(c, 6),
                                .ulSharedDataLen = shared,
                                .pSharedData = noise(c, shared),
                                .ulPublicDataLen = n,
                                .pPublicData = noise(c, n)};
    CK_ATTRIBUTE point = {CKA_EC_POINT, room(c, 200), 200};
    if (!one_in(c, 5) &&
        p11->C_GetAttributeValue(c->session[0], some_object(c), &point, 1) == CKR_OK) {
        p.ulPublicDataLen = point.ulValueLen;
        p.pPublicData = point.pValue;
    }
    WITH(c, m, p);
}

static inline void fill_eddsa(struct caller *c, CK_MECHANISM *m)
{
    CK_ULONG n = one_in(c, 2) ? below(c, 260) : 0;
    if (one_in(c, 2))
        WITH(c, m, (CK_EDDSA_PARAMS){one_in(c, 2), n, noise(c, n)});
}

static inline void fill_hkdf(struct caller *c, CK_MECHANISM *m)
{
    CK_ULONG salt = some_length(c), info = some_length(c);
    CK_HKDF_PARAMS p = {.bExtract = one_in(c, 2),
                        .bExpand = !one_in(c, 4),
                        .prfHashMechanism = some_digest(c),
                        .ulSaltType = 1u << below(c, one_in(c, 9) ? 5 : 3),
                        .pSalt = noise(c, salt),
                        .ulSaltLen = salt,
                        .hSaltKey = some_object(c),
                        .pInfo = noise(c, info),
                        .ulInfoLen = info};
    WITH(c, m, p);
}

static inline void fill_pbkdf2(struct caller *c, CK_MECHANISM *m)
{
    CK_ULONG salt = some_length(c), password = some_length(c);
    CK_PKCS5_PBKD2_PARAMS2 p = {.saltSource = CKZ_SALT_SPECIFIED,
                                .pSaltSourceData = noise(c, salt),
                                .ulSaltSourceDataLen = salt,
                                .iterations = below(c, 50),
                                .prf = 1 + below(c, 7),
                                .pPassword = noise(c, password),
                                .ulPasswordLen = password};
    WITH(c, m, p);
}

static inline void fill_other_key(struct caller *c, CK_MECHANISM *m)
{
    WITH(c, m, (CK_OBJECT_HANDLE){some_object(c)});
}

static inline void fill_string(struct caller *c, CK_MECHANISM *m)
{
    CK_ULONG n = some_length(c);
    WITH(c, m, (CK_KEY_DERIVATION_STRING_DATA){noise(c, n), n});
}

static inline void fill_iv_string(struct caller *c, CK_MECHANISM *m)
{
    CK_ULONG n = some_length(c);
    CK_AES_CBC_ENCRYPT_DATA_PARAMS p = {.pData = noise(c, n), .length = n};
    WITH(c, m, p);
}

static inline void fill_offset(struct caller *c, CK_MECHANISM *m)
{
    WITH(c, m, (CK_ULONG){one_in(c, 9) ? draw(c) : below(c, 300)});
}

static inline CK_SSL3_RANDOM_DATA randoms(struct caller *c)
{
    CK_ULONG n = one_in(c, 10) ? some_length(c) : 32;
    return (CK_SSL3_RANDOM_DATA){noise(c, n), n, noise(c, 32), 32};
}

static inline void fill_tls_master(struct caller *c, CK_MECHANISM *m)
{
    CK_VERSION *version = room(c, sizeof *version);
    bool dh = m->mechanism == CKM_TLS12_MASTER_KEY_DERIVE_DH;
    WITH(c, m,
         (CK_TLS12_MASTER_KEY_DERIVE_PARAMS){randoms(c), dh != one_in(c, 9) ? NULL : version,
                                             some_digest(c)});
}

static inline void fill_tls_extended(struct caller *c, CK_MECHANISM *m)
{
    CK_ULONG n = some_length(c);
    CK_VERSION *version = room(c, sizeof *version);
    bool dh = m->mechanism == CKM_TLS12_EXTENDED_MASTER_KEY_DERIVE_DH;
    WITH(c, m,
         (CK_TLS12_EXTENDED_MASTER_KEY_DERIVE_PARAMS){some_digest(c), noise(c, n), n,
                                                      dh != one_in(c, 9) ? NULL : version});
}

static inline void fill_tls_keys(struct caller *c, CK_MECHANISM *m)
{
    static const CK_ULONG macs[] = {0, 160, 256, 7}, keys[] = {0, 128, 256, 192, 1 << 20};
    CK_ULONG iv = one_in(c, 2) ? 0 : 8 * below(c, 17);
    CK_SSL3_KEY_MAT_OUT out = {.pIVClient = room(c, iv / 8), .pIVServer = room(c, iv / 8)};
    CK_TLS12_KEY_MAT_PARAMS p = {.ulMacSizeInBits = ONE_OF(c, macs),
                                 .ulKeySizeInBits = ONE_OF(c, keys),
                                 .ulIVSizeInBits = iv,
                                 .RandomInfo = randoms(c),
                                 .pReturnedKeyMaterial = keep(c, &out, sizeof out),
                                 .prfHashMechanism = some_digest(c)};
    WITH(c, m, p);
}

static inline void fill_tls_kdf(struct caller *c, CK_MECHANISM *m)
{
    CK_ULONG label = some_length(c), context = one_in(c, 2) ? some_length(c) : 0;
    WITH(c, m,
         (CK_TLS_KDF_PARAMS){some_digest(c), noise(c, label), label, randoms(c),
                             context ? noise(c, context) : NULL, context});
}

static inline void fill_tls_mac(struct caller *c, CK_MECHANISM *m)
{
    WITH(c, m,
         (CK_TLS_MAC_PARAMS){some_digest(c), one_in(c, 5) ? below(c, 70) : 12,
                             1 + below(c, one_in(c, 9) ? 3 : 2)});
}

enum { FIELDS = 5, EXTRA = 3 };

static inline CK_PRF_DATA_PARAM some_field(struct caller *c, bool variable)
{
    CK_PRF_DATA_PARAM f = {0, NULL, 0};
    CK_SP800_108_COUNTER_FORMAT counter = {one_in(c, 2), 8 * (1 + below(c, 4))};
    CK_SP800_108_DKM_LENGTH_FORMAT length = {1 + below(c, 2), one_in(c, 2), 8 * (1 + below(c, 8))};
    CK_OBJECT_HANDLE key = some_object(c);
    CK_ULONG n = 1 + below(c, 40);
    f.type = variable ? CK_SP800_108_ITERATION_VARIABLE : 2 + below(c, one_in(c, 9) ? 6 : 4);
    if (f.type == CK_SP800_108_DKM_LENGTH)
        f = (CK_PRF_DATA_PARAM){f.type, keep(c, &length, sizeof length), sizeof length};
    else if (f.type == CK_SP800_108_KEY_HANDLE)
        f = (CK_PRF_DATA_PARAM){f.type, keep(c, &key, sizeof key), sizeof key};
    else if (f.type == CK_SP800_108_BYTE_ARRAY)
        f = (CK_PRF_DATA_PARAM){f.type, noise(c, n), n};
    else
        f = (CK_PRF_DATA_PARAM){f.type, keep(c, &counter, sizeof counter), sizeof counter};
    return f;
}

static inline CK_DERIVED_KEY some_extra_key(struct caller *c)
{
    struct template t = secret_template(c, CKK_GENERIC_SECRET, false, true);
    CK_OBJECT_HANDLE handle = 0;
    CK_DERIVED_KEY k = {keep(c, t.a, t.n * sizeof *t.a), t.n, keep(c, &handle, sizeof handle)};
    if (one_in(c, 25))
        k.ulAttributeCount = ~0UL >> below(c, 50); /* absurd: it must not be believed */
    if (one_in(c, 25))
        k.pTemplate = NULL;
    return k;
}

static inline void fill_sp800_108(struct caller *c, CK_MECHANISM *m)
{
    static const CK_MECHANISM_TYPE prfs[] = {CKM_SHA256_HMAC, CKM_SHA_1_HMAC,    CKM_SHA512_HMAC,
                                             CKM_AES_CMAC,    CKM_SHA3_256_HMAC, CKM_AES_GMAC};
    CK_PRF_DATA_PARAM fields[FIELDS];
    CK_DERIVED_KEY extra[EXTRA];
    bool counter = m->mechanism == CKM_SP800_108_COUNTER_KDF;
    CK_ULONG n = 1 + below(c, FIELDS), n_extra = one_in(c, 3) ? below(c, EXTRA + 1) : 0, iv = 0;
    for (CK_ULONG i = 0; i < n; i++)
        fields[i] = some_field(c, i == 0);
    if (!counter && !one_in(c, 9))
        fields[0] = (CK_PRF_DATA_PARAM){CK_SP800_108_ITERATION_VARIABLE, NULL, 0};
    for (CK_ULONG i = 0; i < n_extra; i++)
        extra[i] = some_extra_key(c);
    CK_PRF_DATA_PARAM *f = keep(c, fields, n * sizeof *fields);
    CK_DERIVED_KEY *e = keep(c, extra, n_extra * sizeof *extra);
    if (one_in(c, 40))
        n = draw(c) | 64; /* more than the module takes, so it does not look */
    if (one_in(c, 40))
        n_extra = draw(c) | 64;
    if (m->mechanism == CKM_SP800_108_FEEDBACK_KDF) {
        iv = some_length(c);
        WITH(c, m,
             (CK_SP800_108_FEEDBACK_KDF_PARAMS){ONE_OF(c, prfs), n, f, iv, noise(c, iv), n_extra,
                                                e});
    } else {
        WITH(c, m, (CK_SP800_108_KDF_PARAMS){ONE_OF(c, prfs), n, f, n_extra, e});
    }
}

static const struct {
    CK_MECHANISM_TYPE type;
    void (*fill)(struct caller *c, CK_MECHANISM *m);
} fillers[] = {
    {CKM_AES_CBC, fill_iv},
    {CKM_AES_CBC_PAD, fill_iv},
    {CKM_AES_OFB, fill_iv},
    {CKM_AES_CFB128, fill_iv},
    {CKM_AES_CFB8, fill_iv},
    {CKM_AES_CTR, fill_counter},
    {CKM_AES_GCM, fill_gcm},
    {CKM_AES_CCM, fill_ccm},
    {CKM_AES_GMAC, fill_gcm},
    {CKM_AES_CMAC_GENERAL, fill_general},
    {CKM_SHA_1_HMAC_GENERAL, fill_general},
    {CKM_SHA256_HMAC_GENERAL, fill_general},
    {CKM_SHA512_HMAC_GENERAL, fill_general},
    {CKM_SHA3_256_HMAC_GENERAL, fill_general},
    {CKM_RSA_PKCS_PSS, fill_pss},
    {CKM_SHA256_RSA_PKCS_PSS, fill_pss},
    {CKM_RSA_PKCS_OAEP, fill_oaep},
    {CKM_RSA_AES_KEY_WRAP, fill_rsa_aes},
    {CKM_ECDH1_DERIVE, fill_ecdh},
    {CKM_ECDH1_COFACTOR_DERIVE, fill_ecdh},
    {CKM_EDDSA, fill_eddsa},
    {CKM_HKDF_DERIVE, fill_hkdf},
    {CKM_HKDF_DATA, fill_hkdf},
    {CKM_PKCS5_PBKD2, fill_pbkdf2},
    {CKM_CONCATENATE_BASE_AND_KEY, fill_other_key},
    {CKM_CONCATENATE_BASE_AND_DATA, fill_string},
    {CKM_CONCATENATE_DATA_AND_BASE, fill_string},
    {CKM_XOR_BASE_AND_DATA, fill_string},
    {CKM_EXTRACT_KEY_FROM_KEY, fill_offset},
    {CKM_AES_ECB_ENCRYPT_DATA, fill_string},
    {CKM_AES_CBC_ENCRYPT_DATA, fill_iv_string},
    {CKM_TLS12_MASTER_KEY_DERIVE, fill_tls_master},
    {CKM_TLS12_MASTER_KEY_DERIVE_DH, fill_tls_master},
    {CKM_TLS12_EXTENDED_MASTER_KEY_DERIVE, fill_tls_extended},
    {CKM_TLS12_EXTENDED_MASTER_KEY_DERIVE_DH, fill_tls_extended},
    {CKM_TLS12_KEY_AND_MAC_DERIVE, fill_tls_keys},
    {CKM_TLS12_KEY_SAFE_DERIVE, fill_tls_keys},
    {CKM_TLS12_KDF, fill_tls_kdf},
    {CKM_TLS_KDF, fill_tls_kdf},
    {CKM_TLS12_MAC, fill_tls_mac},
    {CKM_TLS_MAC, fill_tls_mac},
    {CKM_SP800_108_COUNTER_KDF, fill_sp800_108},
    {CKM_SP800_108_FEEDBACK_KDF, fill_sp800_108},
    {CKM_SP800_108_DOUBLE_PIPELINE_KDF, fill_sp800_108},
};

static inline CK_MECHANISM with_parameter(struct caller *c, CK_MECHANISM_TYPE type)
{
    CK_MECHANISM m = {type, NULL, 0};
    for (size_t i = 0; i < COUNT(fillers); i++)
        if (fillers[i].type == type)
            fillers[i].fill(c, &m);
    return m;
}

/* The struct as it is at an odd address, without its end, or not there. */
static inline void spoil_parameter(struct caller *c, CK_MECHANISM *m)
{
    CK_BYTE *odd;
    switch (below(c, 4)) {
    case 0:
        if (m->ulParameterLen)
            m->ulParameterLen--;
        break;
    case 1:
        m->pParameter = NULL;
        break;
    case 2:
        *m = (CK_MECHANISM){m->mechanism, NULL, 0};
        break;
    default:
        odd = room(c, m->ulParameterLen + 1);
        if (m->ulParameterLen)
            memcpy(odd + 1, m->pParameter, m->ulParameterLen);
        m->pParameter = odd + 1;
        break;
    }
}

#endif
