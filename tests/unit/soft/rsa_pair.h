/* An RSA key pair of OpenSSL's and our public key of it. */
#ifndef RSA_PAIR_H
#define RSA_PAIR_H

#include "soft_test.h"

#include <openssl/core_names.h>
#include <openssl/rsa.h>

struct rsa_pair {
    EVP_PKEY *evp;
    struct soft_key *ours;
    size_t bits, size;
    uint8_t modulus[512], exponent[8];
    size_t exponent_n;
};

static inline void rsa_pair_free(struct rsa_pair *p)
{
    EVP_PKEY_free(p->evp);
    soft_key_free(&p->ours);
}

static inline struct rsa_pair rsa_pair_new(size_t bits)
{
    struct rsa_pair p = {.evp = EVP_RSA_gen(bits), .bits = bits, .size = (bits + 7) / 8};
    BIGNUM *n = NULL, *e = NULL;
    assert_non_null(p.evp);
    assert_int_equal(EVP_PKEY_get_bits(p.evp), bits);
    assert_true(EVP_PKEY_get_bn_param(p.evp, OSSL_PKEY_PARAM_RSA_N, &n));
    assert_true(EVP_PKEY_get_bn_param(p.evp, OSSL_PKEY_PARAM_RSA_E, &e));
    assert_int_equal(BN_bn2bin(n, p.modulus), p.size);
    p.exponent_n = (size_t)BN_bn2bin(e, p.exponent);
    BN_free(n);
    BN_free(e);
    assert_ok(soft_key_rsa(BYTES(p.modulus, p.size), BYTES(p.exponent, p.exponent_n), &p.ours));
    return p;
}

/* Private-key operation without padding: what the TPM does for us. */
static inline void rsa_private(const struct rsa_pair *p, const uint8_t *in, uint8_t *ret)
{
    size_t n = p->size;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(p->evp, NULL);
    assert_int_equal(EVP_PKEY_decrypt_init(ctx), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING), 1);
    assert_int_equal(EVP_PKEY_decrypt(ctx, ret, &n, in, p->size), 1);
    assert_int_equal(n, p->size);
    EVP_PKEY_CTX_free(ctx);
}

static inline void set_pss(EVP_PKEY_CTX *ctx, enum hash h, enum hash mgf, int salt)
{
    assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING), 1);
    assert_int_equal(EVP_PKEY_CTX_set_signature_md(ctx, evp_md(h)), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, evp_md(mgf)), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, salt), 1);
}

static inline void set_oaep(EVP_PKEY_CTX *ctx, enum hash h, enum hash mgf, struct bytes label)
{
    assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_oaep_md(ctx, evp_md(h)), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, evp_md(mgf)), 1);
    if (label.n) {
        void *copy = OPENSSL_memdup(label.p, label.n);
        assert_int_equal(EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, copy, (int)label.n), 1);
    }
}

#endif
