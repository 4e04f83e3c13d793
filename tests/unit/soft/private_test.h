/* OpenSSL's view of a software private key: the tests' second opinion. */
#ifndef PRIVATE_TEST_H
#define PRIVATE_TEST_H

#include "soft_test.h"

#include <openssl/x509.h>
#include <soft/private.h>

/* The key pair from what soft_private_to_pkcs8 writes; free with EVP_PKEY_free. */
static inline EVP_PKEY *evp_private(const struct soft_private *k)
{
    CLEANUP(secret_free) struct secret der = {0};
    assert_ok(soft_private_to_pkcs8(k, &der));
    const uint8_t *p = der.p;
    EVP_PKEY *evp = d2i_AutoPrivateKey(NULL, &p, (long)der.n);
    assert_non_null(evp);
    assert_ptr_equal(p, der.p + der.n);
    return evp;
}

/* Its PKCS#8 as OpenSSL writes it; free with OPENSSL_free. */
static inline struct bytes evp_pkcs8(EVP_PKEY *evp)
{
    uint8_t *der = NULL;
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(evp);
    assert_non_null(info);
    int n = i2d_PKCS8_PRIV_KEY_INFO(info, &der);
    assert_true(n > 0);
    PKCS8_PRIV_KEY_INFO_free(info);
    return BYTES(der, n);
}

static inline struct soft_private *private_from_evp(EVP_PKEY *evp)
{
    struct soft_private *k = NULL;
    struct bytes der = evp_pkcs8(evp);
    assert_ok(soft_private_from_pkcs8(der, &k));
    OPENSSL_free((void *)(uintptr_t)der.p);
    return k;
}

static inline struct soft_private *private_from_hex(enum curve c, const char *value)
{
    struct soft_private *k = NULL;
    struct hex hex = unhex(value);
    assert_ok(soft_private_from_value(c, HEX_BYTES(hex), &k));
    return k;
}

/* The public keys are one: their SubjectPublicKeyInfo is. */
static inline void assert_same_public(const struct soft_private *k, EVP_PKEY *evp)
{
    CLEANUP(buf_free) struct buf ours = {0};
    uint8_t *theirs = NULL;
    int n = i2d_PUBKEY(evp, &theirs);
    assert_true(n > 0);
    assert_ok(soft_key_spki(soft_private_public(k), &ours));
    assert_true(bytes_equal(buf_bytes(&ours), BYTES(theirs, n)));
    OPENSSL_free(theirs);
}

static inline void evp_derive(EVP_PKEY *own, EVP_PKEY *peer, uint8_t *ret, size_t n)
{
    size_t found = n;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(own, NULL);
    assert_int_equal(EVP_PKEY_derive_init(ctx), 1);
    assert_int_equal(EVP_PKEY_derive_set_peer(ctx, peer), 1);
    assert_int_equal(EVP_PKEY_derive(ctx, ret, &found), 1);
    assert_int_equal(found, n);
    EVP_PKEY_CTX_free(ctx);
}

#endif
