#include "families.h"
#include "symmetric.h"

#include <string.h>

/* Derivation by encrypting data (2.40, 2.14 and 2.15; 3.2, 6.17): the new key is the ciphertext, so
 * a base key in the TPM does it, too. */

static CK_RV take_data(const void *p, CK_ULONG n, struct mech_params *ret)
{
    if (n == 0 || n % AES_BLOCK)
        return CKR_MECHANISM_PARAM_INVALID;
    return params_append(p, n, &ret->derivation.data);
}

CK_RV aes_params_data(const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
                      struct mech_params *ret)
{
    (void)m;
    (void)key;
    READ_PARAM(CK_KEY_DERIVATION_STRING_DATA, p, in);
    return take_data(p.pData, p.ulLen, ret);
}

CK_RV aes_params_iv_data(const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
                         struct mech_params *ret)
{
    (void)m;
    (void)key;
    READ_PARAM(CK_AES_CBC_ENCRYPT_DATA_PARAMS, p, in);
    TRY(buf_set(&ret->iv, BYTES_OF(p.iv)));
    return take_data(p.pData, p.length, ret);
}

/* 6.17.3: without a length all of it, else as many bytes from the leading end. */
CK_RV aes_derive(const struct mech_call *call, size_t want, struct secret *ret)
{
    struct bytes data = buf_bytes(&call->params->derivation.data);
    CLEANUP(secret_free) struct secret all = {0};
    uint8_t iv[AES_BLOCK] = {0};
    size_t n;
    TRY(derive_length(want, data.n, data.n, &n));
    if (call->mech->mode == AES_CBC)
        memcpy(iv, call->params->iv.p, sizeof(iv));
    TRY(secret_new(&all, data.n));
    TRY(aes_run(call, call->mech->mode, true, call->mech->mode == AES_CBC ? iv : NULL, data.p,
                all.p, data.n));
    return secret_copy(ret, BYTES(all.p, n));
}
