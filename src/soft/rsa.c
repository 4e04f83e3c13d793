/* RSA's public-key operations. */
#include "internal.h"

#include <stdlib.h>

enum {
    MODULUS_BITS_MIN = 512,
    MODULUS_BITS_MAX = 16384,
    /* OpenSSL's limits as well: a large exponent of a large modulus costs minutes */
    SMALL_MODULUS_BITS = 3072,
    LARGE_MODULUS_EXPONENT_BITS = 64,
};

static bool acceptable(const BIGNUM *n, const BIGNUM *e)
{
    int bits = BN_num_bits(n);
    return BN_is_odd(n) && bits >= MODULUS_BITS_MIN && bits <= MODULUS_BITS_MAX && BN_is_odd(e) &&
           !BN_is_one(e) && BN_ucmp(e, n) < 0 &&
           (bits <= SMALL_MODULUS_BITS || BN_num_bits(e) <= LARGE_MODULUS_EXPONENT_BITS);
}

CK_RV soft_key_rsa(struct bytes modulus, struct bytes exponent, struct soft_key **ret)
{
    KEEP_ERROR_QUEUE;
    if (modulus.n > MODULUS_BITS_MAX || exponent.n > MODULUS_BITS_MAX)
        return CKR_ATTRIBUTE_VALUE_INVALID;
    CLEANUP(soft_key_free) struct soft_key *k = calloc(1, sizeof(*k));
    CLEANUP(free_bn_ctx) BN_CTX *ctx = bn_ctx_new();
    if (!k || !ctx || !(k->n = BN_bin2bn(modulus.p, (int)modulus.n, NULL)) ||
        !(k->e = BN_bin2bn(exponent.p, (int)exponent.n, NULL)) || !(k->mont = BN_MONT_CTX_new()))
        return CKR_HOST_MEMORY;
    if (!acceptable(k->n, k->e))
        return CKR_ATTRIBUTE_VALUE_INVALID;
    if (BN_MONT_CTX_set(k->mont, k->n, ctx) != 1)
        return error_openssl("RSA modulus");
    k->size = (size_t)BN_num_bytes(k->n);
    *ret = k;
    k = NULL;
    return CKR_OK;
}

CK_RV soft_rsa_public(const struct soft_key *k, struct bytes in, uint8_t *ret)
{
    KEEP_ERROR_QUEUE;
    if (in.n > k->size)
        return CKR_DATA_LEN_RANGE;
    CLEANUP(free_bn_ctx) BN_CTX *ctx = bn_ctx_new();
    BIGNUM *number = ctx ? BN_CTX_get(ctx) : NULL, *result = ctx ? BN_CTX_get(ctx) : NULL;
    if (!result || !BN_bin2bn(in.p, (int)in.n, number))
        return CKR_HOST_MEMORY;
    if (BN_ucmp(number, k->n) >= 0)
        return CKR_DATA_INVALID;
    if (BN_mod_exp_mont(result, number, k->e, k->n, ctx, k->mont) != 1 ||
        BN_bn2binpad(result, ret, (int)k->size) < 0)
        return error_openssl("RSA public-key operation");
    return CKR_OK;
}

/* The block that was signed: the modulus' length of bytes, fresh in ret. */
static CK_RV recover(const struct soft_key *k, struct bytes sig, struct buf *ret)
{
    if (sig.n != k->size)
        return CKR_SIGNATURE_LEN_RANGE;
    uint8_t *em;
    TRY(buf_extend(ret, k->size, &em));
    CK_RV rv = soft_rsa_public(k, sig, em);
    return rv == CKR_DATA_INVALID ? CKR_SIGNATURE_INVALID : rv;
}

CK_RV soft_rsa_verify_pkcs1(const struct soft_key *k, struct bytes encoded, struct bytes sig)
{
    CLEANUP(buf_free) struct buf em = {0};
    CLEANUP(buf_free) struct buf expected = {0};
    uint8_t *block;
    TRY(recover(k, sig, &em));
    TRY(buf_extend(&expected, k->size, &block));
    TRY(soft_pad_pkcs1(encoded, block, k->size));
    /* RFC 8017 8.2.2: compare the encodings instead of taking the signature's apart */
    return bytes_equal(buf_bytes(&em), buf_bytes(&expected)) ? CKR_OK : CKR_SIGNATURE_INVALID;
}

CK_RV soft_rsa_verify_pss(const struct soft_key *k, enum hash h, enum hash mgf, size_t salt,
                          struct bytes digest, struct bytes sig)
{
    CLEANUP(buf_free) struct buf em = {0};
    TRY(recover(k, sig, &em));
    return pss_verify(h, mgf, salt, digest, (size_t)BN_num_bits(k->n), em.p);
}

CK_RV soft_rsa_encrypt_pkcs1(const struct soft_key *k, struct bytes plain, uint8_t *ret)
{
    CLEANUP(buf_free) struct buf em = {0};
    uint8_t *block;
    TRY(buf_extend(&em, k->size, &block));
    TRY(pad_pkcs1_encryption(plain, block, k->size));
    return soft_rsa_public(k, buf_bytes(&em), ret);
}

CK_RV soft_rsa_encrypt_oaep(const struct soft_key *k, enum hash h, enum hash mgf,
                            struct bytes label, struct bytes plain, uint8_t *ret)
{
    CLEANUP(buf_free) struct buf em = {0};
    uint8_t *block;
    TRY(buf_extend(&em, k->size, &block));
    TRY(pad_oaep(h, mgf, label, plain, block, k->size));
    return soft_rsa_public(k, buf_bytes(&em), ret);
}
