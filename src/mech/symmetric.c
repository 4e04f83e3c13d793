#include "symmetric.h"

#include <string.h>

/* ---- the primitive ------------------------------------------------------------------------- */

enum { HOLD = 64 << 10 }; /* bytes that the TPM encrypts under one hold of its lock */

static CK_RV run(const struct mech_call *call, enum aes_mode mode, bool encrypt, uint8_t *iv16,
                 const uint8_t *in, uint8_t *out, size_t n)
{
    static const enum tpm_cipher ciphers[AES_MODES] = {
        [AES_ECB] = TPM_ECB, [AES_CBC] = TPM_CBC, [AES_CTR] = TPM_CTR, [AES_CFB128] = TPM_CFB};
    const struct mech_key *key = call->key;
    if (!key->tpm_key)
        return soft_aes(mode, encrypt, key->value, iv16, in, out, n);
    while (n) { /* other sessions get the TPM in between */
        size_t some = n < HOLD ? n : HOLD;
        TRY(tpm_aes(call->tpm, key->tpm_key, ciphers[mode], encrypt, iv16, in, out, some));
        in += some;
        out += some;
        n -= some;
    }
    return CKR_OK;
}

/* SP800-38A, 6.3: each byte wants the ciphertext of the one before it. */
static CK_RV cfb8_encrypt(const struct mech_call *call, uint8_t *iv16, const uint8_t *in,
                          uint8_t *out, size_t n)
{
    uint8_t block[AES_BLOCK];
    CK_RV rv = CKR_OK;
    for (size_t i = 0; i < n; i++) {
        rv = run(call, AES_ECB, true, NULL, iv16, block, AES_BLOCK);
        if (rv != CKR_OK)
            break;
        out[i] = in[i] ^ block[0];
        memmove(iv16, iv16 + 1, AES_BLOCK - 1);
        iv16[AES_BLOCK - 1] = out[i];
    }
    secret_wipe(block, sizeof(block));
    return rv;
}

/* All of the ciphertext is known: the registers of 64 bytes fit one command. */
static CK_RV cfb8_decrypt(const struct mech_call *call, uint8_t *iv16, const uint8_t *in,
                          uint8_t *out, size_t n)
{
    enum { BYTES_AT_ONCE = GATHER / AES_BLOCK };
    uint8_t window[AES_BLOCK + BYTES_AT_ONCE], registers[GATHER];
    while (n) {
        size_t some = n < BYTES_AT_ONCE ? n : BYTES_AT_ONCE;
        memcpy(window, iv16, AES_BLOCK);
        memcpy(window + AES_BLOCK, in, some);
        for (size_t i = 0; i < some; i++)
            memcpy(registers + i * AES_BLOCK, window + i, AES_BLOCK);
        TRY(run(call, AES_ECB, true, NULL, registers, registers, some * AES_BLOCK));
        for (size_t i = 0; i < some; i++)
            out[i] = window[AES_BLOCK + i] ^ registers[i * AES_BLOCK];
        memcpy(iv16, window + some, AES_BLOCK);
        in += some;
        out += some;
        n -= some;
    }
    secret_wipe(registers, sizeof(registers));
    return CKR_OK;
}

/* A TPM's own OFB takes and answers in clear what it goes on from, which is keystream: whoever
 * listens on the bus could decrypt a block of each command. */
static CK_RV ofb(const struct mech_call *call, uint8_t *iv16, const uint8_t *in, uint8_t *out,
                 size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (i % AES_BLOCK == 0)
            TRY(run(call, AES_ECB, true, NULL, iv16, iv16, AES_BLOCK));
        out[i] = in[i] ^ iv16[i % AES_BLOCK];
    }
    return CKR_OK;
}

CK_RV aes_run(const struct mech_call *call, enum aes_mode mode, bool encrypt, uint8_t *iv16,
              const uint8_t *in, uint8_t *out, size_t n)
{
    if (mode == AES_CFB8 && call->key->tpm_key)
        return (encrypt ? cfb8_encrypt : cfb8_decrypt)(call, iv16, in, out, n);
    if (mode == AES_OFB && call->key->tpm_key)
        return ofb(call, iv16, in, out, n);
    return run(call, mode, encrypt, iv16, in, out, n);
}

/* ---- counters ------------------------------------------------------------------------------ */

static uint64_t load_be64(const uint8_t *p)
{
    uint64_t v = 0;
    for (int i = 0; i < 8; i++)
        v = v << 8 | p[i];
    return v;
}

void aes_store_be64(uint8_t *p, uint64_t v)
{
    for (int i = 7; i >= 0; i--, v >>= 8)
        p[i] = (uint8_t)v;
}

uint64_t aes_counter_left(const uint8_t *counter16, unsigned bits)
{
    uint64_t high = load_be64(counter16), low = load_be64(counter16 + 8);
    uint64_t mask = bits % 64 ? ((uint64_t)1 << bits % 64) - 1 : bits == 128 ? UINT64_MAX : 0;
    if (bits < 64)
        return mask + 1 - (low & mask);
    return (high & mask) == mask && low ? 0 - low : UINT64_MAX;
}

/* The carry of the lowest bits is undone. */
static void keep_nonce(uint8_t *counter16, const uint8_t *before, unsigned bits)
{
    for (unsigned i = 0; i < AES_BLOCK; i++) {
        unsigned below = 8 * (AES_BLOCK - 1 - i);
        unsigned mask = bits >= below + 8 ? 0xFF : bits > below ? (1U << (bits - below)) - 1 : 0;
        counter16[i] = (uint8_t)((counter16[i] & mask) | (before[i] & ~mask));
    }
}

CK_RV aes_counter(const struct mech_call *call, uint8_t *counter16, unsigned bits,
                  const uint8_t *in, uint8_t *out, size_t n)
{
    uint8_t before[AES_BLOCK];
    while (n) {
        uint64_t left = aes_counter_left(counter16, bits);
        size_t some = left <= n / AES_BLOCK ? (size_t)left * AES_BLOCK : n;
        memcpy(before, counter16, AES_BLOCK);
        TRY(aes_run(call, AES_CTR, true, counter16, in, out, some));
        keep_nonce(counter16, before, bits);
        in += some;
        out += some;
        n -= some;
    }
    return CKR_OK;
}

/* ---- blocks out of any chunks -------------------------------------------------------------- */

size_t aes_whole_units(const struct mech_stream *s, size_t n, size_t unit, bool hold)
{
    size_t all = s->pending.n + n;
    return (all > hold ? all - hold : 0) / unit * unit;
}

/* n bytes, whole units, that begin with what is pending and go on with in. out may be in, and
 * is then ahead of it: what it is to overwrite has to be read before. */
static CK_RV feed_joined(const struct mech_call *call, struct mech_stream *s, const uint8_t *in,
                         size_t n, aes_feed *feed, uint8_t *out)
{
    uint8_t chunk[GATHER], ahead[GATHER];
    size_t k = s->pending.n;
    CK_RV rv = CKR_OK;
    memcpy(ahead, s->pending.p, k);
    for (size_t at = 0; at < n && rv == CKR_OK; at += GATHER) {
        size_t some = n - at < GATHER ? n - at : GATHER;
        memcpy(chunk, ahead, k);
        memcpy(chunk + k, in + at, some - k);
        if (at + some < n)
            memcpy(ahead, in + at + some - k, k);
        rv = feed(call, s, chunk, out + at, some);
    }
    secret_wipe(chunk, sizeof(chunk));
    secret_wipe(ahead, k);
    return rv;
}

CK_RV aes_feed_units(const struct mech_call *call, struct mech_stream *s, struct bytes in,
                     size_t unit, bool hold, aes_feed *feed, uint8_t *out, size_t *ret_n)
{
    size_t whole = aes_whole_units(s, in.n, unit, hold);
    uint8_t rest[GATHER];
    if (whole == 0) {
        *ret_n = 0;
        return buf_bytes_append(&s->pending, in);
    }
    size_t used = whole - s->pending.n, rest_n = in.n - used;
    memcpy(rest, in.p + used, rest_n); /* out may be in */
    CK_RV rv = s->pending.n ? feed_joined(call, s, in.p, whole, feed, out)
                            : feed(call, s, in.p, out, whole);
    if (rv == CKR_OK)
        rv = buf_set(&s->pending, BYTES(rest, rest_n));
    secret_wipe(rest, rest_n);
    if (rv == CKR_OK)
        *ret_n = whole;
    return rv;
}

CK_RV aes_collect(struct mech_stream *s, struct bytes in, size_t most, CK_RV too_long)
{
    if (s->pending.n > most || in.n > most - s->pending.n)
        return too_long;
    return buf_bytes_append(&s->pending, in);
}

bool aes_always_exact(const struct mech_stream *s)
{
    (void)s;
    return true;
}

/* ---- ciphertext || tag --------------------------------------------------------------------- */

CK_RV aead_bytes(CK_BYTE_PTR p, CK_ULONG n, struct buf *ret)
{
    return (n && !p) || n > UINT32_MAX ? CKR_MECHANISM_PARAM_INVALID : buf_set(ret, BYTES(p, n));
}

size_t aead_most(const struct mech_call *call, const struct mech_stream *s, size_t n, bool final)
{
    size_t all = s->pending.n + n, tag = call->params->mac_n;
    if (!final)
        return 0;
    return s->encrypt ? all + tag : all > tag ? all - tag : 0;
}

CK_RV aead_split(const struct mech_call *call, const struct mech_stream *s, struct bytes *ret_data,
                 struct bytes *ret_tag)
{
    size_t tag = call->params->mac_n;
    if (s->pending.n < tag)
        return CKR_ENCRYPTED_DATA_LEN_RANGE;
    *ret_data = BYTES(s->pending.p, s->pending.n - tag);
    *ret_tag = BYTES(s->pending.p + ret_data->n, tag);
    return CKR_OK;
}
