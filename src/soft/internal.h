/* What the files of this layer share.
 *
 * No EVP, EC_KEY, RSA or RAND function is called here. Whatever library context they are given,
 * OpenSSL 3.0 asks the process's engine table inside them (ENGINE_get_digest_engine,
 * _cipher_engine, _pkey_meth_engine, ENGINE_get_default_RSA, _EC, _RAND), which loads the host's
 * configuration file first and prefers the host's engine to what was fetched. That engine may well
 * be the one that called us. What has no such door: a provider's digests and ciphers, called as
 * provider-digest(7) and provider-cipher(7) describe them, the low-level SHA1_… and SHA2's (sha.c),
 * and BIGNUM and EC_POINT arithmetic.
 * The provider's other functions have it: key generation, RSA's and EC's blinding and
 * BN_check_prime draw from RAND, Ed25519 and Ed448 hash with EVP_DigestInit_ex. So these are
 * written here.
 */
#ifndef SOFT_INTERNAL_H
#define SOFT_INTERNAL_H

#include <openssl/bn.h>
#include <openssl/core_dispatch.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <base/error.h>
#include "aes.h"
#include "private.h"
#include "soft.h"

/* provider-digest(7) and provider-cipher(7): the part of their interface that is used. sha.c has
 * the former, too. */
struct digest_functions {
    OSSL_FUNC_digest_newctx_fn *newctx;
    OSSL_FUNC_digest_dupctx_fn *dupctx;
    OSSL_FUNC_digest_freectx_fn *freectx;
    OSSL_FUNC_digest_init_fn *init;
    OSSL_FUNC_digest_update_fn *update;
    OSSL_FUNC_digest_final_fn *final;
};
struct cipher_functions {
    OSSL_FUNC_cipher_newctx_fn *newctx;
    OSSL_FUNC_cipher_freectx_fn *freectx;
    OSSL_FUNC_cipher_encrypt_init_fn *encrypt_init;
    OSSL_FUNC_cipher_decrypt_init_fn *decrypt_init;
    OSSL_FUNC_cipher_update_fn *update;
    OSSL_FUNC_cipher_final_fn *final;
    OSSL_FUNC_cipher_cipher_fn *cipher;
    OSSL_FUNC_cipher_get_ctx_params_fn *get_ctx_params;
    OSSL_FUNC_cipher_set_ctx_params_fn *set_ctx_params;
};

enum { AES_KEY_SIZES = 3 };
extern const size_t aes_key_sizes[AES_KEY_SIZES]; /* 16, 24, 32 */

/* Made by soft_start, read-only until soft_stop. */
struct soft_state {
    OSSL_LIB_CTX *library;
    OSSL_PROVIDER *provider; /* OpenSSL's "default", loaded into library */
    void *provider_ctx;      /* newctx's argument */
    struct digest_functions digest[HASH_COUNT], shake256;
    struct cipher_functions aes[AES_MODES][AES_KEY_SIZES], aes_256_gcm;
    EC_GROUP *group[CURVE_COUNT];
};
extern struct soft_state soft_state;

/* On top of every function that calls OpenSSL: what it queues is gone when the scope is left. */
static inline int error_queue_mark(void)
{
    return ERR_set_mark();
}
static inline void error_queue_restore(int *unused)
{
    (void)unused;
    ERR_pop_to_mark();
}
#define KEEP_ERROR_QUEUE                                                                           \
    CLEANUP(error_queue_restore)                                                                   \
    __attribute__((unused)) int error_queue_mark_ = error_queue_mark()

/* Scope destructors. A BN_CTX wipes the numbers that were taken from it. */
static inline void free_bn_ctx(BN_CTX **ctx)
{
    if (*ctx)
        BN_CTX_end(*ctx);
    BN_CTX_free(*ctx);
}
static inline void free_point(EC_POINT **point)
{
    EC_POINT_clear_free(*point);
}
static inline void free_mont(BN_MONT_CTX **mont)
{
    BN_MONT_CTX_free(*mont); /* which wipes */
}

/* A number from ctx whose handling is to take the same time for every value. */
static inline BIGNUM *bn_secret(BN_CTX *ctx)
{
    BIGNUM *n = BN_CTX_get(ctx);
    if (n)
        BN_set_flags(n, BN_FLG_CONSTTIME);
    return n;
}

/* A BN_CTX with one frame open, which free_bn_ctx closes; NULL when memory is out. */
static inline BN_CTX *bn_ctx_new(void)
{
    BN_CTX *ctx = BN_CTX_new_ex(soft_state.library);
    if (ctx)
        BN_CTX_start(ctx);
    return ctx;
}

/* ---- digest.c ---- */

/* The DER OBJECT IDENTIFIER of a hash, which is not HASH_NONE. */
struct bytes hash_oid(enum hash h);

/* HMAC with one key over many messages: the key is hashed once. */
struct hmac {
    enum hash hash;
    size_t size;
    void *inner, *outer; /* digest states after the key's block */
};
CK_RV hmac_start(enum hash h, struct bytes key, struct hmac *ret);
CK_RV hmac_run(const struct hmac *hmac, const struct bytes *parts, size_t n_parts, uint8_t *ret);
void hmac_free(struct hmac *hmac);

/* ---- sha.c ---- */

/* SHA-1 and SHA-2; empty for the others. */
extern const struct digest_functions sha_functions[HASH_COUNT];
/* As soft_digest_save and _load; state is one of those functions', for loading a fresh one, which a
 * failure spoils. */
CK_RV sha_save(enum hash h, void *state, struct buf *ret);
CK_RV sha_load(enum hash h, struct bytes saved, void *state);

/* ---- ghash.c ---- */

/* soft_ghash in two ways; false: the processor has no such instruction. */
void ghash_by_integers(const uint8_t *h16, uint8_t *y16, const uint8_t *blocks, size_t n);
bool ghash_by_clmul(const uint8_t *h16, uint8_t *y16, const uint8_t *blocks, size_t n);

/* ---- curve.c ---- */

/* RFC 7748's curves: keys are bytes without a structure (RFC 8032, RFC 7748). */
static inline bool curve_is_raw(enum curve c)
{
    return c >= CURVE_COUNT;
}
/* Bytes of an encoded point; none for CURVE_NONE. */
size_t curve_point_size(enum curve c);

/* ---- key.c ---- */

enum { RAW_MAX = 57 }; /* an Ed448 key */

struct soft_key {
    enum curve curve; /* CURVE_NONE: RSA */
    size_t size;      /* bytes of an RSA modulus, of an EC coordinate */
    BIGNUM *n, *e;
    BN_MONT_CTX *mont; /* of n */
    EC_POINT *point;
    uint8_t raw[RAW_MAX]; /* RFC 7748's curves */
};

/* The subjectPublicKey of a key: RSAPublicKey or the point. */
CK_RV key_append(const struct soft_key *k, struct buf *out);
/* The AlgorithmIdentifier of keys on c, CURVE_NONE being RSA. */
CK_RV algorithm_append(enum curve c, struct buf *out);
bool algorithm_take(struct bytes *in, enum curve *ret);

/* ---- ec.c: private scalars of NIST's curves ---- */

/* d from 1 to n - 1, as long as a coordinate, else CKR_ATTRIBUTE_VALUE_INVALID; CKR_HOST_MEMORY. */
CK_RV nist_scalar(enum curve c, struct bytes value, BIGNUM *ret);
CK_RV nist_random_scalar(enum curve c, BIGNUM *ret, BN_CTX *ctx);
/* The point d * generator, curve_point_size(c) bytes. */
CK_RV nist_public(enum curve c, const BIGNUM *d, uint8_t *ret, BN_CTX *ctx);
/* The X coordinate of d * peer. CKR_DOMAIN_PARAMS_INVALID: peer is not on the curve. */
CK_RV nist_shared(enum curve c, const BIGNUM *d, struct bytes peer, struct secret *ret_z,
                  BN_CTX *ctx);
/* r || s with a nonce from fresh random bytes, the digest and value, which belongs to d. */
CK_RV nist_sign(enum curve c, const BIGNUM *d, struct bytes value, struct bytes digest,
                uint8_t *ret, BN_CTX *ctx);

/* ---- x25519.c, x448.c ---- */

enum { X25519_SIZE = 32, X448_SIZE = 56 };

void x25519(const uint8_t *scalar32, const uint8_t *u32, uint8_t *ret32);
void x448(const uint8_t *scalar56, const uint8_t *u56, uint8_t *ret56);

/* ---- ed25519.c, ed448.c ---- */

/* A curve and what EdDSA over it differs in (RFC 8032, 5.1 and 5.2). */
enum { EDWARDS_POWERS = 3 };
struct edwards {
    size_t size;  /* bytes of a seed, a point and a scalar */
    size_t limbs; /* of the order L */
    const uint64_t *order;
    const uint64_t *powers[EDWARDS_POWERS]; /* R, R^2 … mod L for R = 2^(64 limbs), as many as
                                               it takes for 2 size bytes */
    const char *domain;
    bool always_domain; /* without a form, too */
    CK_RV (*hash)(const struct bytes *parts, size_t n_parts, uint8_t *ret, size_t n);
    void (*clamp)(uint8_t *scalar);
    void (*multiply_base)(const uint8_t *scalar, uint8_t *ret); /* in constant time */
    bool (*on_curve)(const uint8_t *public);
    /* S * B - k * A; false: A is not on the curve. */
    bool (*verify)(const uint8_t *s, const uint8_t *k, const uint8_t *public, uint8_t *ret);
};
extern const struct edwards edwards_25519, edwards_448;

/* ---- eddsa.c: c is an Edwards curve ---- */

CK_RV edwards_public(enum curve c, const uint8_t *seed, uint8_t *ret);
bool edwards_on_curve(enum curve c, const uint8_t *public);
CK_RV edwards_sign(enum curve c, const uint8_t *seed, const uint8_t *public,
                   const struct soft_eddsa *form, struct bytes message, uint8_t *ret);

/* ---- private.c, private_rsa.c ---- */

struct soft_private {
    enum curve curve; /* CURVE_NONE: RSA */
    struct soft_key *public_;
    struct secret secret;              /* RSA: its numbers in a row; else the value */
    struct bytes numbers[RSA_NUMBERS]; /* RSA: in secret */
};

/* From n, e, d and, unless they are zero, the others, which are made then. */
CK_RV private_from_numbers(BIGNUM *const number[RSA_NUMBERS], BN_CTX *ctx,
                           struct soft_private **ret);
/* Of parts that are known to belong together. */
CK_RV private_of_numbers(const struct bytes number[RSA_NUMBERS], struct soft_private **ret);
CK_RV private_of_value(enum curve c, struct bytes value, struct bytes point,
                       struct soft_private **ret);
/* A random number below limit. */
CK_RV random_below(const BIGNUM *limit, BIGNUM *ret, BN_CTX *ctx);

/* ---- padding.c ---- */

/* EMSA-PSS-VERIFY of em, (modulus_bits + 7) / 8 bytes, destroying em. CKR_SIGNATURE_INVALID. */
CK_RV pss_verify(enum hash h, enum hash mgf, size_t salt, struct bytes digest, size_t modulus_bits,
                 uint8_t *em);
/* EME-PKCS1-v1_5 and EME-OAEP into k bytes. CKR_DATA_LEN_RANGE: plain does not fit. */
CK_RV pad_pkcs1_encryption(struct bytes plain, uint8_t *ret, size_t k);
CK_RV pad_oaep(enum hash h, enum hash mgf, struct bytes label, struct bytes plain, uint8_t *ret,
               size_t k);

/* ---- der.c ---- */

enum {
    DER_INTEGER = 0x02,
    DER_BIT_STRING = 0x03,
    DER_OCTET_STRING = 0x04,
    DER_NULL = 0x05,
    DER_OID = 0x06,
    DER_PRINTABLE_STRING = 0x13,
    DER_UTC_TIME = 0x17,
    DER_GENERALIZED_TIME = 0x18,
    DER_SEQUENCE = 0x30,
    DER_CONTEXT_0 = 0xA0, /* constructed, as is the next */
    DER_CONTEXT_1 = 0xA1,
    DER_CONTEXT_1_BITS = 0x81 /* [1] IMPLICIT BIT STRING */
};

struct der {
    struct bytes whole, content;
};
/* Takes one element from the front of in; false, and in unchanged, when it has another tag, an
 * indefinite or not minimal length, or is cut off. */
bool der_take(struct bytes *in, uint8_t tag, struct der *ret);
/* The tag in front of in, -1 when it is empty. */
int der_next(struct bytes in);
CK_RV der_append(struct buf *out, uint8_t tag, struct bytes content);
/* A not negative INTEGER in its shortest form, without the octet that keeps it so. */
bool der_take_unsigned(struct bytes *in, struct bytes *ret);
/* INTEGER of a big-endian unsigned number. */
CK_RV der_append_unsigned(struct buf *out, struct bytes number);

#endif
