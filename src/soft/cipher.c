#include "internal.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <openssl/core_names.h>
#include <openssl/params.h>

/* A cipher context of one operation. */
struct cipher {
    const struct cipher_functions *f;
    void *state;
};

static void cipher_free(struct cipher *c)
{
    if (c->state)
        c->f->freectx(c->state);
}

static bool cipher_start(struct cipher *c, bool encrypt, struct bytes key, struct bytes iv)
{
    c->state = c->f->newctx(soft_state.provider_ctx);
    return c->state && (encrypt ? c->f->encrypt_init : c->f->decrypt_init)(c->state, key.p, key.n,
                                                                           iv.p, iv.n, NULL) == 1;
}

/* out NULL: in is additional authenticated data. */
static bool cipher_update(const struct cipher *c, struct bytes in, uint8_t *out)
{
    size_t n;
    return in.n == 0 || c->f->update(c->state, out, &n, in.n, in.p, in.n) == 1;
}

static bool cipher_final(const struct cipher *c)
{
    uint8_t nothing[1];
    size_t n;
    return c->f->final(c->state, nothing, &n, sizeof(nothing)) == 1;
}

CK_RV soft_aes_cfb(bool encrypt, const uint8_t *key, const uint8_t *iv, uint8_t *data, size_t n)
{
    uint8_t chain[AES_BLOCK];
    memcpy(chain, iv, sizeof(chain));
    return soft_aes(AES_CFB128, encrypt, BYTES(key, 16), chain, data, data, n);
}

enum { GCM_KEY = 32 };

CK_RV soft_gcm_seal(const uint8_t *key, struct bytes aad, struct bytes plain, struct buf *ret)
{
    KEEP_ERROR_QUEUE;
    CLEANUP(cipher_free) struct cipher c = {.f = &soft_state.aes_256_gcm};
    CLEANUP(buf_free) struct buf sealed = {0};
    uint8_t *iv;
    TRY(buf_extend(&sealed, GCM_IV + plain.n + GCM_TAG, &iv));
    TRY(soft_random(iv, GCM_IV));
    uint8_t *cipher = iv + GCM_IV;
    OSSL_PARAM tag[] = {
        OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, cipher + plain.n, GCM_TAG),
        OSSL_PARAM_END};
    if (!cipher_start(&c, true, BYTES(key, GCM_KEY), BYTES(iv, GCM_IV)) ||
        !cipher_update(&c, aad, NULL) || !cipher_update(&c, plain, cipher) || !cipher_final(&c) ||
        c.f->get_ctx_params(c.state, tag) != 1)
        return error_openssl("AES-GCM");
    return buf_bytes_append(ret, buf_bytes(&sealed));
}

CK_RV soft_gcm_open(const uint8_t *key, struct bytes aad, struct bytes sealed, struct secret *ret)
{
    KEEP_ERROR_QUEUE;
    struct bytes iv, cipher;
    if (!bytes_take(&sealed, GCM_IV, &iv) || sealed.n < GCM_TAG ||
        !bytes_take(&sealed, sealed.n - GCM_TAG, &cipher))
        return CKR_ENCRYPTED_DATA_INVALID;
    OSSL_PARAM tag[] = {OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG,
                                                          (void *)(uintptr_t)sealed.p, GCM_TAG),
                        OSSL_PARAM_END};
    CLEANUP(cipher_free) struct cipher c = {.f = &soft_state.aes_256_gcm};
    CLEANUP(secret_free) struct secret plain = {0};
    TRY(secret_new(&plain, cipher.n));
    if (!cipher_start(&c, false, BYTES(key, GCM_KEY), iv) || !cipher_update(&c, aad, NULL) ||
        !cipher_update(&c, cipher, plain.p) || c.f->set_ctx_params(c.state, tag) != 1)
        return error_openssl("AES-GCM");
    if (!cipher_final(&c))
        return CKR_ENCRYPTED_DATA_INVALID;
    *ret = plain;
    plain = (struct secret){0};
    return CKR_OK;
}

/* The kernel's generator: OpenSSL's RAND functions ask the host's RAND method or engine first, and
 * a generator of our own would have to be kept apart over forks. */
CK_RV soft_random(uint8_t *ret, size_t n)
{
    while (n > 0) {
        ssize_t got = getrandom(ret, n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_errno("getrandom", NULL, errno);
        ret += got;
        n -= (size_t)got;
    }
    return CKR_OK;
}
