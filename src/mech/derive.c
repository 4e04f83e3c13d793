#include "families.h"

#include <base/error.h>
#include <soft/aes.h>
#include <string.h>

enum { PARAM_MAX = 65536 };

bool params_copy(const CK_MECHANISM *in, void *ret, size_t n)
{
    if (!in->pParameter || in->ulParameterLen != n)
        return false;
    memcpy(ret, in->pParameter, n);
    return true;
}

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

/* RFC 4493, 2.3: times x in GF(2^128). */
static void times_x(uint8_t *block)
{
    uint8_t carry = (uint8_t) - (block[0] >> 7);
    for (size_t i = 0; i < AES_BLOCK - 1; i++)
        block[i] = (uint8_t)(block[i] << 1 | block[i + 1] >> 7);
    block[AES_BLOCK - 1] = (uint8_t)(block[AES_BLOCK - 1] << 1 ^ (carry & 0x87));
}

static CK_RV aes_cbc(const struct mech_call *call, uint8_t *iv16, const uint8_t *in, uint8_t *out,
                     size_t n)
{
    const struct mech_key *key = call->key;
    return key->tpm_key ? tpm_aes(call->tpm, key->tpm_key, TPM_CBC, true, iv16, in, out, n)
                        : soft_aes(AES_CBC, true, key->value, iv16, in, out, n);
}

/* RFC 4493, 2.4 */
static CK_RV mac_cmac_once(const struct mech_call *call, struct bytes in, uint8_t *ret16)
{
    size_t whole = in.n ? (in.n - 1) / AES_BLOCK * AES_BLOCK : 0, rest = in.n - whole;
    uint8_t subkey[AES_BLOCK] = {0}, iv[AES_BLOCK] = {0}, last[AES_BLOCK] = {0};
    CLEANUP(secret_free) struct secret work = {0};
    TRY(aes_cbc(call, iv, subkey, subkey, AES_BLOCK));
    times_x(subkey);
    if (rest < AES_BLOCK) {
        times_x(subkey);
        last[rest] = 0x80;
    }
    if (rest)
        memcpy(last, in.p + whole, rest);
    for (size_t i = 0; i < AES_BLOCK; i++)
        last[i] ^= subkey[i];
    secret_wipe(subkey, sizeof(subkey));
    memset(iv, 0, sizeof(iv));
    TRY(secret_new(&work, whole));
    TRY(aes_cbc(call, iv, in.p, work.p, whole));
    TRY(aes_cbc(call, iv, last, ret16, AES_BLOCK));
    secret_wipe(last, sizeof(last));
    return CKR_OK;
}

static CK_RV join(const struct bytes *parts, size_t n_parts, struct buf *ret)
{
    for (size_t i = 0; i < n_parts; i++)
        TRY(buf_bytes_append(ret, parts[i]));
    return CKR_OK;
}

static CK_RV run_cmac(const void *key, const struct bytes *parts, size_t n_parts, uint8_t *ret)
{
    CLEANUP(buf_free) struct buf message = {0};
    TRY(join(parts, n_parts, &message));
    return mac_cmac_once(key, buf_bytes(&message), ret);
}

static CK_RV run_tpm_hmac(const void *key, const struct bytes *parts, size_t n_parts, uint8_t *ret)
{
    const struct mech_call *call = key;
    CLEANUP(buf_free) struct buf message = {0};
    TRY(join(parts, n_parts, &message));
    return tpm_hmac(call->tpm, call->key->tpm_key, call->params->derivation.prf,
                    buf_bytes(&message), ret);
}

static bool tpm_has(enum hash h)
{
    return h == HASH_SHA1 || h == HASH_SHA256 || h == HASH_SHA384 || h == HASH_SHA512;
}

/* A key in the TPM is one for HMAC or one of AES. */
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
    if (key->type == CKK_AES || !tpm_has(h))
        return error_log(CKR_KEY_FUNCTION_NOT_PERMITTED, "no TPM computes that HMAC with this key");
    *ret = (struct soft_prf){hash_size(h), run_tpm_hmac, call, NULL};
    return CKR_OK;
}
