#include "symmetric.h"

/* ---- parameters ---------------------------------------------------------------------------- */

/* 3.1, 6.13.5: 4, 6 … 16 bytes; nonces of 7 to 13. */
static bool is_ccm(CK_ULONG nonce_n, CK_ULONG mac_n)
{
    return mac_n >= 4 && mac_n <= 16 && mac_n % 2 == 0 && nonce_n >= 7 && nonce_n <= 13;
}

CK_RV aead_params_ccm(const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
                      struct mech_params *ret)
{
    (void)m;
    (void)key;
    READ_PARAM(CK_CCM_PARAMS, p, in);
    if (!is_ccm(p.ulNonceLen, p.ulMACLen))
        return CKR_MECHANISM_PARAM_INVALID;
    ret->mac_n = p.ulMACLen;
    ret->data_n = p.ulDataLen;
    TRY(aead_bytes(p.pNonce, p.ulNonceLen, &ret->iv));
    return aead_bytes(p.pAAD, p.ulAADLen, &ret->aad);
}

CK_RV aead_message_ccm(const struct mech *m, void *parameter, CK_ULONG n, struct mech_message *ret)
{
    const CK_MECHANISM in = {m->type, parameter, n};
    if (!parameter && n == 0)
        return CKR_OK;
    READ_PARAM(CK_CCM_MESSAGE_PARAMS, p, &in);
    if (!p.pNonce || !p.pMAC || !is_ccm(p.ulNonceLen, p.ulMACLen))
        return CKR_MECHANISM_PARAM_INVALID;
    *ret = (struct mech_message){.iv = p.pNonce,
                                 .iv_n = p.ulNonceLen,
                                 .fixed_bits = p.ulNonceFixedBits,
                                 .generator = p.nonceGenerator,
                                 .tag = p.pMAC,
                                 .tag_n = p.ulMACLen,
                                 .data_n = p.ulDataLen};
    return CKR_OK;
}

CK_RV aead_wrap_ccm(const struct mech *m, void *parameter, CK_ULONG n, struct mech_message *ret)
{
    const CK_MECHANISM in = {m->type, parameter, n};
    READ_PARAM(CK_CCM_WRAP_PARAMS, p, &in);
    if (!p.pNonce || !is_ccm(p.ulNonceLen, p.ulMACLen) || (p.ulAADLen && !p.pAAD))
        return CKR_MECHANISM_PARAM_INVALID;
    *ret = (struct mech_message){.iv = p.pNonce,
                                 .iv_n = p.ulNonceLen,
                                 .fixed_bits = p.ulNonceFixedBits,
                                 .generator = p.nonceGenerator,
                                 .tag_n = p.ulMACLen,
                                 .aad = BYTES(p.pAAD, p.ulAADLen)};
    return CKR_OK;
}

/* ---- CCM (SP800-38C) ----------------------------------------------------------------------- */

/* A.2.1 and A.3: flags, nonce, number. */
static void ccm_block(const struct mech_call *call, uint8_t flags, uint64_t number, uint8_t *ret16)
{
    const struct buf *nonce = &call->params->iv;
    size_t l = AES_BLOCK - 1 - nonce->n;
    memset(ret16, 0, AES_BLOCK);
    aes_store_be64(ret16 + 8, number); /* l is 8 at most; what is higher the nonce covers */
    memcpy(ret16 + 1, nonce->p, nonce->n);
    ret16[0] = (uint8_t)(flags | (l - 1));
}

/* A.2.2: the AAD with its length in front, padded. */
static CK_RV ccm_add_aad(const struct mech_call *call, struct cbc_mac *m, struct bytes aad)
{
    uint8_t length[] = {
        0xFF,          0xFE, (uint8_t)(aad.n >> 24), (uint8_t)(aad.n >> 16), (uint8_t)(aad.n >> 8),
        (uint8_t)aad.n};
    size_t n = aad.n < 0xFF00 ? 2 : 6;
    if (aad.n == 0)
        return CKR_OK;
    TRY(cbc_mac_add(call, m, n == 2 ? BYTES(length + 4, 2) : BYTES_OF(length)));
    TRY(cbc_mac_add(call, m, aad));
    cbc_mac_pad(m);
    return CKR_OK;
}

/* 6.1, steps 1 to 4 and 8: the MAC of the data, encrypted. */
static CK_RV ccm_mac(const struct mech_call *call, struct cbc_mac *m, struct bytes data,
                     uint8_t *ret16)
{
    const struct mech_params *p = call->params;
    uint8_t block[AES_BLOCK];
    ccm_block(call, (uint8_t)((p->aad.n ? 0x40 : 0) | ((p->mac_n - 2) / 2) << 3), data.n, block);
    TRY(cbc_mac_add(call, m, BYTES_OF(block)));
    TRY(ccm_add_aad(call, m, buf_bytes(&p->aad)));
    TRY(cbc_mac_add(call, m, data));
    cbc_mac_pad(m);
    TRY(cbc_mac_end(call, m, ret16));
    ccm_block(call, 0, 0, block);
    TRY(aes_run(call, AES_ECB, true, NULL, block, block, AES_BLOCK));
    for (size_t i = 0; i < AES_BLOCK; i++)
        ret16[i] ^= block[i];
    return CKR_OK;
}

static CK_RV ccm_counter(const struct mech_call *call, struct bytes in, uint8_t *out)
{
    uint8_t counter[AES_BLOCK];
    ccm_block(call, 0, 1, counter);
    return aes_run(call, AES_CTR, true, counter, in.p, out, in.n);
}

static CK_RV ccm_start(const struct mech_call *call, struct mech_stream *s)
{
    (void)s;
    size_t l = AES_BLOCK - 1 - call->params->iv.n;
    /* the length has l bytes */
    return l < 8 && call->params->data_n >> 8 * l ? CKR_MECHANISM_PARAM_INVALID : CKR_OK;
}

static CK_RV ccm_update(const struct mech_call *call, struct mech_stream *s, struct bytes in,
                        uint8_t *out, size_t *ret_n)
{
    (void)out;
    size_t most = call->params->data_n < COLLECT_MAX ? call->params->data_n : COLLECT_MAX;
    TRY(aes_collect(s, in, s->encrypt ? most : most + call->params->mac_n,
                    s->encrypt ? CKR_DATA_LEN_RANGE : CKR_ENCRYPTED_DATA_LEN_RANGE));
    *ret_n = 0;
    return CKR_OK;
}

static CK_RV ccm_seal(const struct mech_call *call, const struct mech_stream *s, struct cbc_mac *m,
                      uint8_t *out, size_t *ret_n)
{
    struct bytes data = buf_bytes(&s->pending);
    uint8_t mac[AES_BLOCK];
    if (data.n != call->params->data_n)
        return CKR_DATA_LEN_RANGE;
    TRY(ccm_mac(call, m, data, mac));
    TRY(ccm_counter(call, data, out));
    memcpy(out + data.n, mac, call->params->mac_n);
    *ret_n = data.n + call->params->mac_n;
    return CKR_OK;
}

/* 6.2: the MAC is of the plaintext, which nobody sees before it was right. */
static CK_RV ccm_open(const struct mech_call *call, const struct mech_stream *s, struct cbc_mac *m,
                      uint8_t *out, size_t *ret_n)
{
    CLEANUP(secret_free) struct secret plain = {0};
    struct bytes data, tag;
    uint8_t right[AES_BLOCK];
    TRY(aead_split(call, s, &data, &tag));
    if (data.n != call->params->data_n)
        return CKR_ENCRYPTED_DATA_LEN_RANGE;
    TRY(secret_new(&plain, data.n));
    TRY(ccm_counter(call, data, plain.p));
    TRY(ccm_mac(call, m, secret_bytes(&plain), right));
    bool ok = secret_equal(BYTES(right, tag.n), tag);
    secret_wipe(right, sizeof(right));
    if (!ok)
        return CKR_ENCRYPTED_DATA_INVALID;
    if (plain.n)
        memcpy(out, plain.p, plain.n);
    *ret_n = plain.n;
    return CKR_OK;
}

static CK_RV ccm_final(const struct mech_call *call, const struct mech_stream *s, uint8_t *out,
                       size_t *ret_n)
{
    struct cbc_mac m = {.n = 0};
    CK_RV rv = (s->encrypt ? ccm_seal : ccm_open)(call, s, &m, out, ret_n);
    secret_wipe(&m, sizeof(m));
    return rv;
}

const struct mech_cipher aead_ccm = {.most = aead_most,
                                     .exact = aes_always_exact,
                                     .start = ccm_start,
                                     .update = ccm_update,
                                     .final = ccm_final};
