#include "symmetric.h"

/* ---- parameters ---------------------------------------------------------------------------- */

CK_RV mac_params_general(const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
                         struct mech_params *ret)
{
    READ_PARAM(CK_MAC_GENERAL_PARAMS, n, in);
    if (n < 1 || n > mech_output_size(m, ret, key))
        return CKR_MECHANISM_PARAM_INVALID;
    ret->mac_n = n;
    return CKR_OK;
}

/* 3.0, 2.12.6: the 12 bytes of the IV; 3.2, 6.13.8: CK_GCM_PARAMS, where the data is the AAD. */
CK_RV mac_params_gmac(const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
                      struct mech_params *ret)
{
    if (in->pParameter && in->ulParameterLen == GCM_IV)
        return buf_set(&ret->iv, BYTES(in->pParameter, GCM_IV));
    TRY(aead_params_gcm(m, in, key, ret));
    return ret->aad.n ? CKR_MECHANISM_PARAM_INVALID : CKR_OK;
}

/* ---- CBC-MAC ------------------------------------------------------------------------------- */

static CK_RV run_room(const struct mech_call *call, struct cbc_mac *m)
{
    TRY(aes_run(call, AES_CBC, true, m->chain, m->room, m->room, m->n));
    m->n = 0;
    return CKR_OK;
}

CK_RV cbc_mac_add(const struct mech_call *call, struct cbc_mac *m, struct bytes data)
{
    while (data.n) {
        if (m->n == GATHER)
            TRY(run_room(call, m));
        size_t some = GATHER - m->n < data.n ? GATHER - m->n : data.n;
        memcpy(m->room + m->n, data.p, some);
        m->n += some;
        data = BYTES(data.p + some, data.n - some);
    }
    return CKR_OK;
}

void cbc_mac_pad(struct cbc_mac *m)
{
    for (; m->n % AES_BLOCK; m->n++)
        m->room[m->n] = 0;
}

/* A TPM answers in clear what the next block would be chained to: that must not be the result,
 * which may be a key. So one block more is run than there is. */
CK_RV cbc_mac_end(const struct mech_call *call, struct cbc_mac *m, uint8_t *ret16)
{
    uint8_t last[2 * AES_BLOCK] = {0};
    memcpy(last, m->room + m->n - AES_BLOCK, AES_BLOCK);
    m->n -= AES_BLOCK;
    if (m->n + sizeof(last) > GATHER)
        TRY(run_room(call, m));
    memcpy(m->room + m->n, last, sizeof(last));
    m->n += sizeof(last);
    CK_RV rv = aes_run(call, AES_CBC, true, m->chain, m->room, m->room, m->n);
    memcpy(ret16, m->room + m->n - sizeof(last), AES_BLOCK);
    return rv;
}

/* ---- CMAC (SP800-38B) ---------------------------------------------------------------------- */

static CK_RV cmac_start(const struct mech_call *call, struct mech_stream *s)
{
    (void)call;
    return secret_new(&s->state, sizeof(struct cbc_mac));
}

static CK_RV cmac_update(const struct mech_call *call, struct mech_stream *s, struct bytes in)
{
    return cbc_mac_add(call, (void *)s->state.p, in);
}

/* 6.1: times x, in constant time. */
static void double_block(uint8_t *block)
{
    uint8_t carry = 0;
    for (int i = AES_BLOCK - 1; i >= 0; i--) {
        uint8_t out = block[i] >> 7;
        block[i] = (uint8_t)(block[i] << 1 | carry);
        carry = out;
    }
    block[AES_BLOCK - 1] ^= (uint8_t)(0x87 & (0 - carry));
}

/* 6.2: K1 on a last block that is whole, K2 on one that is padded. */
static void mask_last_block(struct cbc_mac *m, uint8_t *subkey)
{
    bool whole = m->n && m->n % AES_BLOCK == 0;
    double_block(subkey);
    if (!whole) {
        double_block(subkey);
        m->room[m->n++] = 0x80;
        cbc_mac_pad(m);
    }
    for (size_t i = 0; i < AES_BLOCK; i++)
        m->room[m->n - AES_BLOCK + i] ^= subkey[i];
}

/* room has the last block always: it runs only when more comes. */
static CK_RV cmac_final(const struct mech_call *call, struct mech_stream *s, uint8_t *ret)
{
    struct cbc_mac *m = (void *)s->state.p;
    uint8_t block[AES_BLOCK] = {0};
    TRY(aes_run(call, AES_ECB, true, NULL, block, block, AES_BLOCK));
    mask_last_block(m, block);
    secret_wipe(block, sizeof(block));
    TRY(cbc_mac_end(call, m, block));
    memcpy(ret, block, mech_output_size(call->mech, call->params, call->key));
    return CKR_OK;
}

const struct mech_mac mac_cmac = {.start = cmac_start, .update = cmac_update, .final = cmac_final};

/* ---- GMAC ---------------------------------------------------------------------------------- */

static CK_RV gmac_start(const struct mech_call *call, struct mech_stream *s)
{
    TRY(secret_new(&s->state, sizeof(struct gcm)));
    return gcm_begin(call, (void *)s->state.p);
}

static CK_RV gmac_update(const struct mech_call *call, struct mech_stream *s, struct bytes in)
{
    (void)call;
    gcm_add_aad((void *)s->state.p, in);
    return CKR_OK;
}

static CK_RV gmac_final(const struct mech_call *call, struct mech_stream *s, uint8_t *ret)
{
    uint8_t tag[GCM_TAG];
    gcm_tag((void *)s->state.p, tag);
    memcpy(ret, tag, mech_output_size(call->mech, call->params, call->key));
    return CKR_OK;
}

const struct mech_mac mac_gmac = {.start = gmac_start, .update = gmac_update, .final = gmac_final};

/* ---- HMAC (RFC 2104) ----------------------------------------------------------------------- */

/* The key as a block, changed for the inner digest; state keeps it for the outer one. */
static CK_RV hmac_start(const struct mech_call *call, struct mech_stream *s)
{
    enum { INNER = 0x36, OUTER = 0x5C };
    enum hash h = call->mech->mac_hash;
    struct bytes key = call->key->value;
    if (call->key->tpm_key) /* no TPM has SHA-224 or SHA-3 */
        return (call->mech->flags & CKF_HW) ? CKR_OK : CKR_KEY_FUNCTION_NOT_PERMITTED;
    TRY(secret_new(&s->state, hash_block_size(h)));
    if (key.n > s->state.n)
        TRY(soft_hash(h, &key, 1, s->state.p));
    else if (key.n)
        memcpy(s->state.p, key.p, key.n);
    for (size_t i = 0; i < s->state.n; i++)
        s->state.p[i] ^= INNER;
    TRY(soft_digest_new(h, &s->digest));
    TRY(soft_digest_update(s->digest, secret_bytes(&s->state)));
    for (size_t i = 0; i < s->state.n; i++)
        s->state.p[i] ^= INNER ^ OUTER;
    return CKR_OK;
}

static CK_RV hmac_update(const struct mech_call *call, struct mech_stream *s, struct bytes in)
{
    return call->key->tpm_key ? aes_collect(s, in, COLLECT_MAX, CKR_DATA_LEN_RANGE)
                              : soft_digest_update(s->digest, in);
}

static CK_RV hmac_in_software(const struct mech_call *call, struct mech_stream *s, uint8_t *ret)
{
    uint8_t inner[HASH_MAX];
    enum hash h = call->mech->mac_hash;
    TRY(soft_digest_final(s->digest, inner));
    const struct bytes parts[] = {secret_bytes(&s->state), BYTES(inner, hash_size(h))};
    CK_RV rv = soft_hash(h, parts, 2, ret);
    secret_wipe(inner, sizeof(inner));
    return rv;
}

static CK_RV hmac_final(const struct mech_call *call, struct mech_stream *s, uint8_t *ret)
{
    uint8_t mac[HASH_MAX];
    if (call->key->tpm_key)
        TRY(tpm_hmac(call->tpm, call->key->tpm_key, call->mech->mac_hash, buf_bytes(&s->pending),
                     mac));
    else
        TRY(hmac_in_software(call, s, mac));
    memcpy(ret, mac, mech_output_size(call->mech, call->params, call->key));
    return CKR_OK;
}

const struct mech_mac mac_hmac = {.start = hmac_start, .update = hmac_update, .final = hmac_final};
