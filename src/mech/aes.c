#include "symmetric.h"

/* ---- parameters ---------------------------------------------------------------------------- */

CK_RV aes_params_iv(const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
                    struct mech_params *ret)
{
    (void)m;
    (void)key;
    if (!in->pParameter || in->ulParameterLen != AES_BLOCK)
        return CKR_MECHANISM_PARAM_INVALID;
    return buf_set(&ret->iv, BYTES(in->pParameter, AES_BLOCK));
}

CK_RV aes_params_counter(const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
                         struct mech_params *ret)
{
    (void)m;
    (void)key;
    READ_PARAM(CK_AES_CTR_PARAMS, p, in);
    if (p.ulCounterBits < 1 || p.ulCounterBits > 8 * AES_BLOCK)
        return CKR_MECHANISM_PARAM_INVALID;
    ret->counter_bits = (unsigned)p.ulCounterBits;
    return buf_set(&ret->iv, BYTES_OF(p.cb));
}

/* ---- the modes of SP800-38A ---------------------------------------------------------------- */

struct chain {
    uint8_t iv[AES_BLOCK];
    uint64_t left;         /* blocks that the counter has values for */
    uint8_t ahead[GATHER]; /* key stream that is there already: its last ahead_n bytes */
    size_t ahead_n;
};

static CK_RV start(const struct mech_call *call, struct mech_stream *s)
{
    const struct mech_params *p = call->params;
    TRY(secret_new(&s->state, sizeof(struct chain)));
    struct chain *c = (void *)s->state.p;
    if (p->iv.n == AES_BLOCK)
        memcpy(c->iv, p->iv.p, AES_BLOCK);
    c->left = p->counter_bits ? aes_counter_left(c->iv, p->counter_bits) : UINT64_MAX;
    return CKR_OK;
}

static CK_RV go_on(const struct mech_call *call, struct chain *c, bool encrypt, const uint8_t *in,
                   uint8_t *out, size_t n)
{
    size_t blocks = n / AES_BLOCK + (n % AES_BLOCK != 0);
    /* 3.1, 6.11.3: the counter must not overflow its bits, but for the increment after the last */
    if (call->params->counter_bits && blocks > c->left)
        return CKR_DATA_LEN_RANGE;
    c->left -= call->params->counter_bits ? blocks : 0;
    return aes_run(call, call->mech->mode, encrypt, c->iv, in, out, n);
}

static CK_RV feed(const struct mech_call *call, struct mech_stream *s, const uint8_t *in,
                  uint8_t *out, size_t n)
{
    return go_on(call, (void *)s->state.p, s->encrypt, in, out, n);
}

/* The last n bytes, with s as it is. */
static CK_RV run_last(const struct mech_call *call, const struct mech_stream *s, const uint8_t *in,
                      uint8_t *out, size_t n)
{
    struct chain c = *(const struct chain *)(const void *)s->state.p;
    CK_RV rv = go_on(call, &c, s->encrypt, in, out, n);
    secret_wipe(&c, sizeof(c));
    return rv;
}

/* ECB and CBC: whole blocks only, and all of them at once. */

static CK_RV whole_update(const struct mech_call *call, struct mech_stream *s, struct bytes in,
                          uint8_t *out, size_t *ret_n)
{
    return aes_feed_units(call, s, in, AES_BLOCK, false, feed, out, ret_n);
}

static size_t whole_most(const struct mech_call *call, const struct mech_stream *s, size_t n,
                         bool final)
{
    (void)call;
    (void) final;
    return aes_whole_units(s, n, AES_BLOCK, false);
}

static CK_RV whole_final(const struct mech_call *call, const struct mech_stream *s, uint8_t *out,
                         size_t *ret_n)
{
    (void)call;
    (void)out;
    if (s->pending.n)
        return s->encrypt ? CKR_DATA_LEN_RANGE : CKR_ENCRYPTED_DATA_LEN_RANGE;
    *ret_n = 0;
    return CKR_OK;
}

const struct mech_cipher aes_whole = {.most = whole_most,
                                      .exact = aes_always_exact,
                                      .start = start,
                                      .update = whole_update,
                                      .final = whole_final};

/* CTR, OFB, CFB128: the end may be shorter than a block, and nothing waits for the rest of one. */

static size_t stream_most(const struct mech_call *call, const struct mech_stream *s, size_t n,
                          bool final)
{
    (void)call;
    if (!s->gather)
        return n;
    return final ? s->pending.n + n : aes_whole_units(s, n, GATHER, false);
}

/* Of a TPM's CTR as much as one command brings, so that small parts share it. */
static bool far_ahead(const struct mech_call *call)
{
    return call->key->tpm_key && call->mech->mode == AES_CTR;
}

static CK_RV fill_ahead(const struct mech_call *call, struct chain *c)
{
    size_t most = c->left < GATHER / AES_BLOCK ? (size_t)c->left * AES_BLOCK : GATHER;
    size_t n = far_ahead(call) && most ? most : AES_BLOCK;
    uint8_t *at = c->ahead + GATHER - n;
    memset(at, 0, n);
    /* What CFB makes of zeros is what a TPM answers as the IV to go on from, in clear. */
    bool cfb = call->mech->mode == AES_CFB128;
    TRY(cfb ? aes_run(call, AES_ECB, true, NULL, c->iv, at, n) : go_on(call, c, true, at, at, n));
    c->ahead_n = n;
    return CKR_OK;
}

/* CFB128 goes on from the ciphertext, byte by byte in the place of what it came from. */
static CK_RV use_ahead(const struct mech_call *call, struct chain *c, bool encrypt,
                       const uint8_t *in, uint8_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (c->ahead_n == 0)
            TRY(fill_ahead(call, c));
        uint8_t given = in[i];
        out[i] = given ^ c->ahead[GATHER - c->ahead_n];
        if (call->mech->mode == AES_CFB128)
            c->iv[AES_BLOCK - c->ahead_n] = encrypt ? out[i] : given;
        c->ahead_n--;
    }
    return CKR_OK;
}

static CK_RV stream_parts(const struct mech_call *call, struct chain *c, bool encrypt,
                          struct bytes in, uint8_t *out)
{
    if (in.n == 0) /* nothing may have no address, and C has no sum of that and zero */
        return CKR_OK;
    size_t small = in.n < c->ahead_n ? in.n : c->ahead_n;
    if (far_ahead(call) && (c->ahead_n || in.n % GATHER))
        small = in.n;
    size_t whole = (in.n - small) / AES_BLOCK * AES_BLOCK, done = small + whole;
    TRY(use_ahead(call, c, encrypt, in.p, out, small));
    if (whole)
        TRY(go_on(call, c, encrypt, in.p + small, out + small, whole));
    return use_ahead(call, c, encrypt, in.p + done, out + done, in.n - done);
}

static CK_RV stream_update(const struct mech_call *call, struct mech_stream *s, struct bytes in,
                           uint8_t *out, size_t *ret_n)
{
    if (s->gather)
        return aes_feed_units(call, s, in, GATHER, false, feed, out, ret_n);
    TRY(stream_parts(call, (void *)s->state.p, s->encrypt, in, out));
    *ret_n = in.n;
    return CKR_OK;
}

static CK_RV stream_final(const struct mech_call *call, const struct mech_stream *s, uint8_t *out,
                          size_t *ret_n)
{
    if (s->pending.n)
        TRY(run_last(call, s, s->pending.p, out, s->pending.n));
    *ret_n = s->pending.n;
    return CKR_OK;
}

const struct mech_cipher aes_stream = {.most = stream_most,
                                       .exact = aes_always_exact,
                                       .start = start,
                                       .update = stream_update,
                                       .final = stream_final};

/* CFB8: nothing waits. */

static size_t bytes_most(const struct mech_call *call, const struct mech_stream *s, size_t n,
                         bool final)
{
    (void)call;
    (void)s;
    (void) final;
    return n;
}

static CK_RV bytes_update(const struct mech_call *call, struct mech_stream *s, struct bytes in,
                          uint8_t *out, size_t *ret_n)
{
    TRY(feed(call, s, in.p, out, in.n));
    *ret_n = in.n;
    return CKR_OK;
}

const struct mech_cipher aes_bytes = {.most = bytes_most,
                                      .exact = aes_always_exact,
                                      .start = start,
                                      .update = bytes_update,
                                      .final = whole_final};

/* ---- CBC with PKCS #7 padding -------------------------------------------------------------- */

bool aes_unpad(const uint8_t *tail, size_t n, size_t *ret)
{
    uint32_t unit = (uint32_t)n, pad = tail[n - 1];
    uint32_t bad = ((pad - 1) | (unit - pad)) >> 31; /* 0, or more than a unit */
    for (uint32_t i = 0; i < unit; i++) {
        uint32_t padding = 0 - ((i - pad) >> 31); /* all ones where i < pad */
        bad |= padding & (tail[n - 1 - i] ^ pad);
    }
    *ret = pad;
    return bad == 0;
}

/* A call in one part is not to end with a command for its last bytes. */
static size_t pad_unit(const struct mech_stream *s)
{
    return s->gather ? GATHER : AES_BLOCK;
}

static size_t pad_most(const struct mech_call *call, const struct mech_stream *s, size_t n,
                       bool final)
{
    (void)call;
    size_t all = s->pending.n + n;
    if (!final)
        return aes_whole_units(s, n, pad_unit(s), !s->encrypt);
    return s->encrypt ? (all / AES_BLOCK + 1) * AES_BLOCK : all - (all != 0);
}

static bool pad_exact(const struct mech_stream *s)
{
    return s->encrypt;
}

static CK_RV pad_update(const struct mech_call *call, struct mech_stream *s, struct bytes in,
                        uint8_t *out, size_t *ret_n)
{
    return aes_feed_units(call, s, in, pad_unit(s), !s->encrypt, feed, out, ret_n);
}

static CK_RV pad_end(const struct mech_call *call, const struct mech_stream *s, uint8_t *out,
                     size_t *ret_n)
{
    size_t rest = s->pending.n, n = (rest / AES_BLOCK + 1) * AES_BLOCK;
    uint8_t end[GATHER];
    if (rest)
        memcpy(end, s->pending.p, rest);
    memset(end + rest, (int)(n - rest), n - rest);
    CK_RV rv = run_last(call, s, end, out, n);
    secret_wipe(end, n);
    if (rv == CKR_OK)
        *ret_n = n;
    return rv;
}

static CK_RV unpad_end(const struct mech_call *call, const struct mech_stream *s, uint8_t *out,
                       size_t *ret_n)
{
    uint8_t end[GATHER];
    size_t n = s->pending.n, pad;
    if (n == 0 || n % AES_BLOCK)
        return CKR_ENCRYPTED_DATA_LEN_RANGE;
    TRY(run_last(call, s, s->pending.p, end, n));
    bool ok = aes_unpad(end + n - AES_BLOCK, AES_BLOCK, &pad);
    if (ok) {
        *ret_n = n - pad;
        memcpy(out, end, *ret_n);
    }
    secret_wipe(end, n);
    return ok ? CKR_OK : CKR_ENCRYPTED_DATA_INVALID;
}

static CK_RV pad_final(const struct mech_call *call, const struct mech_stream *s, uint8_t *out,
                       size_t *ret_n)
{
    return (s->encrypt ? pad_end : unpad_end)(call, s, out, ret_n);
}

const struct mech_cipher aes_cbc_pad = {
    .most = pad_most, .exact = pad_exact, .start = start, .update = pad_update, .final = pad_final};
