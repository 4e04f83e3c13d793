#include "internal.h"

#include <openssl/core_names.h>
#include <openssl/params.h>

static const struct cipher_functions *functions(enum aes_mode mode, size_t key_size)
{
    for (size_t i = 0; i < AES_KEY_SIZES; i++)
        if (aes_key_sizes[i] == key_size)
            return &soft_state.aes[mode][i];
    return NULL;
}

/* The provider's one-shot function: update would hold back a block for the padding. */
static bool run(const struct cipher_functions *f, void *state, bool encrypt, struct bytes key,
                uint8_t *iv16, struct bytes in, uint8_t *out)
{
    size_t n, iv_size = iv16 ? AES_BLOCK : 0;
    OSSL_PARAM chain[] = {
        OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_UPDATED_IV, iv16, iv_size),
        OSSL_PARAM_END};
    return (encrypt ? f->encrypt_init : f->decrypt_init)(state, key.p, key.n, iv16, iv_size,
                                                         NULL) == 1 &&
           f->cipher(state, out, &n, in.n, in.p, in.n) == 1 && n == in.n &&
           (!iv16 || f->get_ctx_params(state, chain) == 1);
}

CK_RV soft_aes(enum aes_mode mode, bool encrypt, struct bytes key, uint8_t *iv16, const uint8_t *in,
               uint8_t *out, size_t n)
{
    KEEP_ERROR_QUEUE;
    const struct cipher_functions *f = functions(mode, key.n);
    if (!f)
        return error_log(CKR_KEY_SIZE_RANGE, "an AES key of %zu bytes", key.n);
    if ((mode == AES_ECB || mode == AES_CBC) && n % AES_BLOCK)
        return CKR_DATA_LEN_RANGE;
    if (n == 0)
        return CKR_OK;
    void *state = f->newctx(soft_state.provider_ctx);
    bool ok =
        state && run(f, state, encrypt, key, mode == AES_ECB ? NULL : iv16, BYTES(in, n), out);
    CK_RV rv = ok ? CKR_OK : error_openssl("AES");
    if (state)
        f->freectx(state);
    return rv;
}
