#include "families.h"

#include <base/error.h>
#include <soft/aes.h>

enum { PARAM_MAX = 65536 };

CK_RV params_append(const void *p, CK_ULONG n, struct buf *ret)
{
    if (n > PARAM_MAX || (n && !p))
        return CKR_MECHANISM_PARAM_INVALID;
    return buf_append(ret, p, n);
}

CK_RV derive_value(const struct mech_call *call, struct bytes *ret)
{
    if (call->key->tpm_key)
        return error_log(CKR_KEY_FUNCTION_NOT_PERMITTED,
                         "this derivation needs the value of a key that the TPM keeps");
    *ret = call->key->value;
    return CKR_OK;
}

CK_RV derive_give(struct secret *from, struct secret *ret)
{
    *ret = *from;
    *from = (struct secret){0};
    return CKR_OK;
}

CK_RV derive_length(size_t want, size_t natural, size_t most, size_t *ret)
{
    size_t n = want ? want : natural;
    if (!want && !natural)
        return CKR_TEMPLATE_INCOMPLETE;
    if (n > most)
        return CKR_KEY_SIZE_RANGE;
    *ret = n;
    return CKR_OK;
}

/* ---- the base key as a pseudorandom function ------------------------------------------------ */

static CK_RV run_cmac(const void *key, const struct bytes *parts, size_t n_parts, uint8_t *ret)
{
    static const struct mech_params whole; /* no shorter MAC */
    struct mech_call call = *(const struct mech_call *)key;
    CLEANUP(mech_stream_free) struct mech_stream s = {0};
    call.mech = mech_find(CKM_AES_CMAC);
    call.params = &whole;
    TRY(mac_cmac.start(&call, &s));
    for (size_t i = 0; i < n_parts; i++)
        TRY(mac_cmac.update(&call, &s, parts[i]));
    return mac_cmac.final(&call, &s, ret);
}

/* What goes in may be key material itself: the output before it. */
static CK_RV join(const struct bytes *parts, size_t n_parts, struct secret *ret)
{
    size_t n = 0, at = 0;
    for (size_t i = 0; i < n_parts; i++)
        n += parts[i].n;
    TRY(secret_new(ret, n));
    for (size_t i = 0; i < n_parts; at += parts[i++].n)
        if (parts[i].n)
            memcpy(ret->p + at, parts[i].p, parts[i].n);
    return CKR_OK;
}

static CK_RV run_tpm_hmac(const void *key, const struct bytes *parts, size_t n_parts, uint8_t *ret)
{
    const struct mech_call *call = key;
    CLEANUP(secret_free) struct secret message = {0};
    TRY(join(parts, n_parts, &message));
    if (message.n > TPM_HMAC_HIDDEN) /* what comes is a key */
        return error_log(CKR_KEY_FUNCTION_NOT_PERMITTED,
                         "a derivation from so much data would show its result to who listens on "
                         "the TPM's bus");
    return tpm_hmac(call->tpm, call->key->tpm_key, call->params->derivation.prf,
                    secret_bytes(&message), ret);
}

static bool tpm_has(enum hash h)
{
    return h == HASH_SHA1 || h == HASH_SHA256 || h == HASH_SHA384 || h == HASH_SHA512;
}

/* Can the TPM do HMAC with that hash and its key? One of AES is none for HMAC. One of an HMAC's own
 * type may have been hashed, with that hash, on its way in (RFC 2104), and is then good for no
 * other. */
static bool tpm_can(const struct mech_key *key, enum hash h)
{
    enum hash own = mech_hmac_hash(key->type);
    return tpm_has(h) && key->type != CKK_AES && (own == HASH_NONE || own == h);
}

CK_RV derive_prf(const struct mech_call *call, struct soft_prf *ret)
{
    const struct mech_key *key = call->key;
    enum hash h = call->params->derivation.prf;
    if (h == HASH_NONE) {
        if (key->type != CKK_AES) /* 6.42: its base key must be of that type */
            return CKR_KEY_TYPE_INCONSISTENT;
        *ret = (struct soft_prf){AES_BLOCK, run_cmac, call, NULL};
        return CKR_OK;
    }
    if (!key->tpm_key)
        return soft_prf_hmac(h, key->value, ret);
    if (!tpm_can(key, h))
        return error_log(CKR_KEY_FUNCTION_NOT_PERMITTED, "no TPM computes that HMAC with this key");
    *ret = (struct soft_prf){hash_size(h), run_tpm_hmac, call, NULL};
    return CKR_OK;
}
