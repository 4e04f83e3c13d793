/* What the files of this layer share.
 *
 * No EVP, EC_KEY, RSA or RAND function is called here. Whatever library context they are given,
 * OpenSSL 3.0 asks the process's engine table inside them (ENGINE_get_digest_engine,
 * _cipher_engine, _pkey_meth_engine, ENGINE_get_default_RSA, _EC, _RAND), which loads the host's
 * configuration file first and prefers the host's engine to what was fetched. That engine may well
 * be the one that called us. What has no such door: a provider's functions, called as
 * provider-digest(7) and provider-cipher(7) describe them, and BIGNUM and EC_POINT arithmetic. */
#ifndef SOFT_INTERNAL_H
#define SOFT_INTERNAL_H

#include <openssl/bn.h>
#include <openssl/core_dispatch.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <base/error.h>
#include "soft.h"

/* provider-digest(7) and provider-cipher(7): the part of their interface that is used. */
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
    OSSL_FUNC_cipher_get_ctx_params_fn *get_ctx_params;
    OSSL_FUNC_cipher_set_ctx_params_fn *set_ctx_params;
};

/* Made by soft_start, read-only until soft_stop. */
struct soft_state {
    OSSL_LIB_CTX *library;
    OSSL_PROVIDER *provider; /* OpenSSL's "default", loaded into library */
    void *provider_ctx;      /* newctx's argument */
    struct digest_functions digest[HASH_COUNT];
    struct cipher_functions aes_128_cfb, aes_256_gcm;
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

/* ---- key.c ---- */

struct soft_key {
    enum curve curve; /* CURVE_NONE: RSA */
    size_t size;      /* bytes of an RSA modulus, of an EC coordinate */
    BIGNUM *n, *e;
    BN_MONT_CTX *mont; /* of n */
    EC_POINT *point;
};

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
    DER_CONTEXT_0 = 0xA0
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
/* INTEGER of a big-endian unsigned number. */
CK_RV der_append_unsigned(struct buf *out, struct bytes number);

#endif
