/* What the tests of the derivations share: base keys on both sides, and OpenSSL's KDFs. */
#ifndef DERIVE_TEST_H
#define DERIVE_TEST_H

#include "mech_test.h"

#include <openssl/kdf.h>

/* ---- bytes --------------------------------------------------------------------------------- */

struct hex {
    uint8_t p[256];
    size_t n;
};
#define HEX(hex) BYTES((hex).p, (hex).n)

static inline struct hex unhex(const char *text)
{
    struct hex ret = {.n = 0};
    for (; text[0] && text[1]; text += 2) {
        const char digits[] = {text[0], text[1], '\0'};
        assert_true(ret.n < sizeof(ret.p));
        ret.p[ret.n++] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return ret;
}

/* ---- base keys ----------------------------------------------------------------------------- */

static inline struct mech_key soft_key(CK_KEY_TYPE type, struct bytes value)
{
    return (struct mech_key){.type = type, .value = value};
}

/* The same key in the TPM; pair is to be freed. */
static inline struct mech_key in_tpm(CK_KEY_TYPE type, struct bytes value, struct pair *pair)
{
    const struct tpm_parent parent = srk();
    *pair = (struct pair){0};
    fill(pair->auth, sizeof(pair->auth), 12);
    if (type == CKK_AES)
        assert_ok(tpm_make_aes(fx.tpm, &parent, BYTES_OF(pair->auth), (unsigned)(8 * value.n),
                               value, &pair->made));
    else
        assert_ok(tpm_make_hmac(fx.tpm, &parent, BYTES_OF(pair->auth), value, &pair->made));
    pair_key(pair);
    return (struct mech_key){.type = type, .tpm_key = &pair->key};
}

/* ---- a derivation -------------------------------------------------------------------------- */

struct derivation {
    CK_MECHANISM_TYPE type;
    struct mech_key key;
    const void *parameter;
    size_t parameter_n;
    struct bytes other; /* the second key's value */
    const size_t *extra_n;
    size_t want;
};
#define PARAMETER(p) .parameter = &(p), .parameter_n = sizeof(p)

static inline CK_RV derive(const struct derivation *d, struct secret *ret)
{
    const struct mech *m = row(d->type);
    struct mech_params params;
    assert_true(mech_takes_key(m, d->key.type));
    assert_taken(m, &d->key, d->parameter, d->parameter_n, &params);
    const struct mech_call call = {.mech = m,
                                   .params = &params,
                                   .key = &d->key,
                                   .other = d->other,
                                   .extra_n = d->extra_n,
                                   .tpm = fx.tpm};
    CK_RV rv = m->derive(&call, d->want, ret);
    mech_params_free(&params);
    return rv;
}

static inline void assert_derives(const struct derivation *d, struct bytes expected)
{
    CLEANUP(secret_free) struct secret key = {0};
    assert_ok(derive(d, &key));
    assert_int_equal(key.n, expected.n);
    assert_memory_equal(key.p, expected.p, expected.n);
    mark_checked(d->type);
}

/* A derivation that fails makes nothing. */
static inline void assert_derives_not(CK_RV rv, const struct derivation *d)
{
    struct secret key = {0};
    assert_rv(rv, derive(d, &key));
    assert_null(key.p);
}

static inline void assert_derives_not_with(size_t want, CK_RV rv, const struct derivation *d)
{
    struct derivation other = *d;
    other.want = want;
    assert_derives_not(rv, &other);
}

/* The parameter is not as long as it should be, or not there. */
static inline void assert_length_matters(CK_MECHANISM_TYPE type, const void *parameter, size_t n)
{
    assert_refused(row(type), NULL, parameter, n - 1);
    assert_refused(row(type), NULL, parameter, n + 1);
    assert_refused(row(type), NULL, parameter, 0);
    assert_refused(row(type), NULL, NULL, n);
}

/* ---- OpenSSL ------------------------------------------------------------------------------- */

/* (OpenSSL takes no NULL for no bytes.) */
#define OCTETS(key, bytes)                                                                         \
    OSSL_PARAM_construct_octet_string(                                                             \
        key, (void *)(uintptr_t)((bytes).p ? (const void *)(bytes).p : ""), (bytes).n)
#define TEXT(key, text) OSSL_PARAM_construct_utf8_string(key, (char *)(uintptr_t)(text), 0)
#define DIGEST(h)       TEXT(OSSL_KDF_PARAM_DIGEST, hash_name[h])

static inline void evp_kdf(const char *name, const OSSL_PARAM *parameters, uint8_t *ret, size_t n)
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, name, NULL);
    EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
    assert_int_equal(EVP_KDF_derive(ctx, ret, n, parameters), 1);
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
}

#endif
