/* What the tests of src/mech share: libcrypto, which src/mech does not use directly, as the
 * independent implementation. */
#ifndef MECH_TEST_H
#define MECH_TEST_H

#include "../tpm/tpm_test.h"

#include <mech/families.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include "coverage.h"

static struct {
    CK_MECHANISM_TYPE type[64];
    size_t n;
} checked;

/* Called where libcrypto has agreed with the mechanism. */
static inline void mark_checked(CK_MECHANISM_TYPE type)
{
    for (size_t i = 0; i < checked.n; i++)
        if (checked.type[i] == type)
            return;
    assert_true(checked.n < COUNT(checked.type));
    checked.type[checked.n++] = type;
}

static inline void assert_all_checked(const CK_MECHANISM_TYPE *covered, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bool found = false;
        for (size_t k = 0; k < checked.n; k++)
            found |= checked.type[k] == covered[i];
        if (!found)
            print_error("mechanism 0x%lx was not checked\n", covered[i]);
        assert_true(found);
    }
}

static const char *const hash_name[HASH_COUNT] = {
    [HASH_SHA1] = "SHA1",         [HASH_SHA224] = "SHA224",     [HASH_SHA256] = "SHA256",
    [HASH_SHA384] = "SHA384",     [HASH_SHA512] = "SHA512",     [HASH_SHA3_224] = "SHA3-224",
    [HASH_SHA3_256] = "SHA3-256", [HASH_SHA3_384] = "SHA3-384", [HASH_SHA3_512] = "SHA3-512",
};
static const CK_MECHANISM_TYPE hash_mechanism[HASH_COUNT] = {
    [HASH_SHA1] = CKM_SHA_1,        [HASH_SHA224] = CKM_SHA224,     [HASH_SHA256] = CKM_SHA256,
    [HASH_SHA384] = CKM_SHA384,     [HASH_SHA512] = CKM_SHA512,     [HASH_SHA3_224] = CKM_SHA3_224,
    [HASH_SHA3_256] = CKM_SHA3_256, [HASH_SHA3_384] = CKM_SHA3_384, [HASH_SHA3_512] = CKM_SHA3_512,
};

static inline const EVP_MD *evp_md(enum hash h)
{
    return EVP_get_digestbyname(hash_name[h]);
}

static inline const struct mech *row(CK_MECHANISM_TYPE type)
{
    const struct mech *m = mech_find(type);
    assert_non_null(m);
    assert_int_equal(m->type, type);
    return m;
}

/* A parameter that is refused leaves nothing behind. */
static inline void assert_refused(const struct mech *m, const struct mech_key *key,
                                  const void *parameter, size_t n)
{
    struct mech_params params = {0};
    const CK_MECHANISM in = {m->type, (void *)(uintptr_t)parameter, n};
    assert_rv(CKR_MECHANISM_PARAM_INVALID, m->params(m, &in, key, &params));
    mech_params_free(&params);
}

static inline void assert_taken(const struct mech *m, const struct mech_key *key,
                                const void *parameter, size_t n, struct mech_params *ret)
{
    const CK_MECHANISM in = {m->type, (void *)(uintptr_t)parameter, n};
    *ret = (struct mech_params){0};
    assert_ok(m->params(m, &in, key, ret));
}

static inline EVP_PKEY *evp_rsa_public(struct bytes modulus, struct bytes exponent)
{
    EVP_PKEY *ret = NULL;
    BIGNUM *n = BN_bin2bn(modulus.p, (int)modulus.n, NULL);
    BIGNUM *e = BN_bin2bn(exponent.p, (int)exponent.n, NULL);
    OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, n);
    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, e);
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
    assert_int_equal(EVP_PKEY_fromdata(ctx, &ret, EVP_PKEY_PUBLIC_KEY, params), 1);
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(bld);
    BN_free(n);
    BN_free(e);
    return ret;
}

#endif
