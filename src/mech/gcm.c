#include "symmetric.h"

/* ---- parameters ---------------------------------------------------------------------------- */

/* SP800-38D, 5.2.1.2. PKCS#11 says "between 0 and 128": the rest of that is no tag. */
static bool is_gcm_tag(CK_ULONG bits)
{
    return bits == 32 || bits == 64 || (bits >= 96 && bits <= 128 && bits % 8 == 0);
}

/* 2.40's text has no ulIvBits, its header has; both are in use. What is in it does not count (3.0,
 * 2.12.7: use ulIvLen). */
static CK_RV read_gcm(const CK_MECHANISM *in, CK_GCM_PARAMS *ret)
{
    struct old {
        CK_BYTE_PTR iv;
        CK_ULONG iv_n;
        CK_BYTE_PTR aad;
        CK_ULONG aad_n, tag_bits;
    };
    if (in->ulParameterLen == sizeof(struct old)) {
        READ_PARAM(struct old, p, in);
        *ret = (CK_GCM_PARAMS){.pIv = p.iv,
                               .ulIvLen = p.iv_n,
                               .pAAD = p.aad,
                               .ulAADLen = p.aad_n,
                               .ulTagBits = p.tag_bits};
        return CKR_OK;
    }
    READ_PARAM(CK_GCM_PARAMS, p, in);
    *ret = p;
    return CKR_OK;
}

CK_RV aead_params_gcm(const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
                      struct mech_params *ret)
{
    (void)m;
    (void)key;
    CK_GCM_PARAMS p;
    TRY(read_gcm(in, &p));
    if (!is_gcm_tag(p.ulTagBits) || p.ulIvLen < 1)
        return CKR_MECHANISM_PARAM_INVALID;
    ret->mac_n = p.ulTagBits / 8;
    TRY(aead_bytes(p.pIv, p.ulIvLen, &ret->iv));
    return aead_bytes(p.pAAD, p.ulAADLen, &ret->aad);
}

/* Decryption ignores generator and fixed bits (3.1, 6.13.2), so who encrypts looks at them. */

CK_RV aead_message_gcm(const struct mech *m, void *parameter, CK_ULONG n, struct mech_message *ret)
{
    const CK_MECHANISM in = {m->type, parameter, n};
    if (!parameter && n == 0)
        return CKR_OK;
    READ_PARAM(CK_GCM_MESSAGE_PARAMS, p, &in);
    if (!p.pIv || p.ulIvLen < 1 || p.ulIvLen > UINT32_MAX || !p.pTag || !is_gcm_tag(p.ulTagBits))
        return CKR_MECHANISM_PARAM_INVALID;
    *ret = (struct mech_message){.iv = p.pIv,
                                 .iv_n = p.ulIvLen,
                                 .fixed_bits = p.ulIvFixedBits,
                                 .generator = p.ivGenerator,
                                 .tag = p.pTag,
                                 .tag_n = p.ulTagBits / 8};
    return CKR_OK;
}

/* 3.2, 6.13.3: C_WrapKey, whose tag is behind the wrapped key. */
CK_RV aead_wrap_gcm(const struct mech *m, void *parameter, CK_ULONG n, struct mech_message *ret)
{
    const CK_MECHANISM in = {m->type, parameter, n};
    READ_PARAM(CK_GCM_WRAP_PARAMS, p, &in);
    if (!p.pIv || p.ulIvLen < 1 || p.ulIvLen > UINT32_MAX || !is_gcm_tag(p.ulTagBits) ||
        (p.ulAADLen && !p.pAAD))
        return CKR_MECHANISM_PARAM_INVALID;
    *ret = (struct mech_message){.iv = p.pIv,
                                 .iv_n = p.ulIvLen,
                                 .fixed_bits = p.ulIvFixedBits,
                                 .generator = p.ivGenerator,
                                 .tag_n = p.ulTagBits / 8,
                                 .aad = BYTES(p.pAAD, p.ulAADLen)};
    return CKR_OK;
}

/* ---- GCM (SP800-38D) ----------------------------------------------------------------------- */

static void ghash_add(struct ghash *g, struct bytes data)
{
    while (data.n) {
        size_t some = data.n / AES_BLOCK * AES_BLOCK;
        if (g->n == 0 && some)
            soft_ghash(g->h, g->y, data.p, some);
        else {
            some = AES_BLOCK - g->n < data.n ? AES_BLOCK - g->n : data.n;
            memcpy(g->tail + g->n, data.p, some);
            g->n = (g->n + some) % AES_BLOCK;
            if (g->n == 0)
                soft_ghash(g->h, g->y, g->tail, AES_BLOCK);
        }
        data = BYTES(data.p + some, data.n - some);
    }
}

static void ghash_pad(struct ghash *g)
{
    static const uint8_t zero[AES_BLOCK];
    if (g->n)
        ghash_add(g, BYTES(zero, AES_BLOCK - g->n));
}

static void ghash_lengths(struct ghash *g, uint64_t first, uint64_t second)
{
    uint8_t block[AES_BLOCK];
    aes_store_be64(block, 8 * first);
    aes_store_be64(block + 8, 8 * second);
    ghash_add(g, BYTES_OF(block));
}

/* 7.1, steps 1 and 2: H = E(0), and E(J0) with it where J0 does not depend on H. */
CK_RV gcm_begin(const struct mech_call *call, struct gcm *ret)
{
    struct bytes iv = buf_bytes(&call->params->iv);
    uint8_t blocks[2 * AES_BLOCK] = {0}, *j0 = blocks + AES_BLOCK;
    bool given = iv.n == GCM_IV;
    *ret = (struct gcm){0};
    if (given) {
        memcpy(j0, iv.p, iv.n);
        j0[AES_BLOCK - 1] = 1;
        memcpy(ret->counter, j0, AES_BLOCK);
    }
    TRY(aes_run(call, AES_ECB, true, NULL, blocks, blocks, given ? 2 * AES_BLOCK : AES_BLOCK));
    memcpy(ret->hash.h, blocks, AES_BLOCK);
    if (!given) {
        struct ghash g = ret->hash;
        ghash_add(&g, iv);
        ghash_pad(&g);
        ghash_lengths(&g, 0, iv.n);
        memcpy(ret->counter, g.y, AES_BLOCK);
        TRY(aes_run(call, AES_ECB, true, NULL, g.y, j0, AES_BLOCK));
        secret_wipe(&g, sizeof(g));
    }
    memcpy(ret->first, j0, AES_BLOCK);
    secret_wipe(blocks, sizeof(blocks));
    for (int i = AES_BLOCK - 1; i >= AES_BLOCK - 4 && ++ret->counter[i] == 0;)
        i--; /* 6.2: 32 bits of it */
    return CKR_OK;
}

void gcm_add_aad(struct gcm *g, struct bytes aad)
{
    ghash_add(&g->hash, aad);
    g->aad_n += aad.n;
}

void gcm_tag(struct gcm *g, uint8_t *ret16)
{
    ghash_pad(&g->hash);
    ghash_lengths(&g->hash, g->aad_n, g->data_n);
    for (size_t i = 0; i < GCM_TAG; i++)
        ret16[i] = g->hash.y[i] ^ g->first[i];
}

static CK_RV gcm_start(const struct mech_call *call, struct mech_stream *s)
{
    TRY(secret_new(&s->state, sizeof(struct gcm)));
    struct gcm *g = (void *)s->state.p;
    TRY(gcm_begin(call, g));
    gcm_add_aad(g, buf_bytes(&call->params->aad));
    ghash_pad(&g->hash);
    return CKR_OK;
}

/* Key stream for a block that is begun. For a key in the TPM it is the KiB to come, so that fifty
 * updates of 100 bytes are five commands and not fifty. */
static CK_RV use_ahead(const struct mech_call *call, struct gcm *g, const uint8_t *in, uint8_t *out,
                       size_t n)
{
    size_t more = call->key->tpm_key ? GATHER : AES_BLOCK;
    for (size_t i = 0; i < n; i++) {
        if (g->ahead_n == 0) {
            uint8_t *stream = g->ahead + GATHER - more;
            memset(stream, 0, more);
            TRY(aes_counter(call, g->counter, 32, stream, stream, more));
            g->ahead_n = more;
        }
        out[i] = in[i] ^ g->ahead[GATHER - g->ahead_n--];
    }
    return CKR_OK;
}

/* more: it is not known to be the end. */
static CK_RV gcm_encrypt(const struct mech_call *call, struct gcm *g, const uint8_t *in,
                         uint8_t *out, size_t n, bool more)
{
    size_t small = n < g->ahead_n ? n : g->ahead_n;
    if (more && call->key->tpm_key && (g->ahead_n || n % GATHER))
        small = n;
    size_t rest = more ? (n - small) % AES_BLOCK : 0, whole = n - small - rest;
    TRY(use_ahead(call, g, in, out, small));
    TRY(aes_counter(call, g->counter, 32, in + small, out + small, whole));
    TRY(use_ahead(call, g, in + n - rest, out + n - rest, rest));
    ghash_add(&g->hash, BYTES(out, n));
    g->data_n += n;
    return CKR_OK;
}

static CK_RV gcm_feed(const struct mech_call *call, struct mech_stream *s, const uint8_t *in,
                      uint8_t *out, size_t n)
{
    return gcm_encrypt(call, (void *)s->state.p, in, out, n, !s->gather);
}

/* No byte of an update waits, so that C_EncryptFinal has the tag alone to give. */
static size_t gcm_unit(const struct mech_stream *s)
{
    return s->gather ? GATHER : 1;
}

static size_t gcm_most(const struct mech_call *call, const struct mech_stream *s, size_t n,
                       bool final)
{
    return s->encrypt && !final ? aes_whole_units(s, n, gcm_unit(s), false)
                                : aead_most(call, s, n, final);
}

static CK_RV gcm_update(const struct mech_call *call, struct mech_stream *s, struct bytes in,
                        uint8_t *out, size_t *ret_n)
{
    const uint64_t most = ((uint64_t)1 << 36) - 32; /* 5.2.1.1 */
    const struct gcm *g = (const void *)s->state.p;
    if (s->encrypt && in.n > most - g->data_n - s->pending.n)
        return CKR_DATA_LEN_RANGE;
    if (s->encrypt)
        return aes_feed_units(call, s, in, gcm_unit(s), false, gcm_feed, out, ret_n);
    TRY(aes_collect(s, in, COLLECT_MAX, CKR_ENCRYPTED_DATA_LEN_RANGE));
    *ret_n = 0;
    return CKR_OK;
}

static CK_RV gcm_seal(const struct mech_call *call, const struct mech_stream *s, struct gcm *g,
                      uint8_t *out, size_t *ret_n)
{
    uint8_t tag[GCM_TAG];
    TRY(gcm_encrypt(call, g, s->pending.p, out, s->pending.n, false));
    gcm_tag(g, tag);
    memcpy(out + s->pending.n, tag, call->params->mac_n);
    *ret_n = s->pending.n + call->params->mac_n;
    return CKR_OK;
}

/* 7.2: nothing is decrypted before the tag was right. */
static CK_RV gcm_open(const struct mech_call *call, const struct mech_stream *s, struct gcm *g,
                      uint8_t *out, size_t *ret_n)
{
    struct bytes data, tag;
    uint8_t right[GCM_TAG];
    TRY(aead_split(call, s, &data, &tag));
    ghash_add(&g->hash, data);
    g->data_n = data.n;
    gcm_tag(g, right);
    bool ok = secret_equal(BYTES(right, tag.n), tag);
    secret_wipe(right, sizeof(right));
    if (!ok)
        return CKR_ENCRYPTED_DATA_INVALID;
    TRY(aes_counter(call, g->counter, 32, data.p, out, data.n));
    *ret_n = data.n;
    return CKR_OK;
}

static CK_RV gcm_final(const struct mech_call *call, const struct mech_stream *s, uint8_t *out,
                       size_t *ret_n)
{
    struct gcm g = *(const struct gcm *)(const void *)s->state.p;
    CK_RV rv = (s->encrypt ? gcm_seal : gcm_open)(call, s, &g, out, ret_n);
    secret_wipe(&g, sizeof(g));
    return rv;
}

const struct mech_cipher aead_gcm = {.most = gcm_most,
                                     .exact = aes_always_exact,
                                     .start = gcm_start,
                                     .update = gcm_update,
                                     .final = gcm_final};
