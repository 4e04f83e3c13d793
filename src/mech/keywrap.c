#include "symmetric.h"

/* Keys as data: SP800-38F's KW (RFC 3394) and KWP (RFC 5649), KW of padded data, and an AES key of
 * the moment under RSA. Each is one piece: all input is collected, final does the work. The plain
 * text is a key: it goes from one struct secret to out, and only when the whole of it is genuine.
 */

enum { SEMIBLOCK = 8 };

/* ---- parameters ---------------------------------------------------------------------------- */

/* 3.1, 6.16.2: nothing, or another initial value of n bytes. */
static CK_RV optional_iv(const CK_MECHANISM *in, size_t n, struct mech_params *ret)
{
    if (in->ulParameterLen == 0)
        return CKR_OK;
    if (!in->pParameter || in->ulParameterLen != n)
        return CKR_MECHANISM_PARAM_INVALID;
    return buf_set(&ret->iv, BYTES(in->pParameter, n));
}

CK_RV keywrap_params(const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
                     struct mech_params *ret)
{
    (void)m;
    (void)key;
    return optional_iv(in, SEMIBLOCK, ret);
}

CK_RV keywrap_params_kwp(const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
                         struct mech_params *ret)
{
    (void)m;
    (void)key;
    return optional_iv(in, SEMIBLOCK / 2, ret);
}

CK_RV keywrap_params_rsa(const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
                         struct mech_params *ret)
{
    READ_PARAM(CK_RSA_AES_KEY_WRAP_PARAMS, p, in);
    const CK_MECHANISM oaep = {CKM_RSA_PKCS_OAEP, p.pOAEPParams, sizeof(*p.pOAEPParams)};
    if (p.ulAESKeyBits != 128 && p.ulAESKeyBits != 192 && p.ulAESKeyBits != 256)
        return CKR_MECHANISM_PARAM_INVALID;
    ret->key_bits = (unsigned)p.ulAESKeyBits;
    return rsa_params_oaep(m, &oaep, key, ret);
}

/* ---- W and its inverse (SP800-38F, 6.1) ---------------------------------------------------- */

static void add_counter(uint8_t *semiblock, uint64_t t)
{
    for (int i = SEMIBLOCK - 1; i >= 0; i--, t >>= 8)
        semiblock[i] ^= (uint8_t)t;
}

/* In place, n bytes, a multiple of 8 of which the first 8 are the value that is checked. One block
 * at a time: each takes part in the next. */
static CK_RV scramble(const struct mech_call *call, bool encrypt, uint8_t *s, size_t n)
{
    uint8_t block[2 * SEMIBLOCK];
    uint64_t count = n / SEMIBLOCK - 1, steps = 6 * count;
    CK_RV rv = CKR_OK;
    if (count == 1) /* 6.3: KWP of one semiblock */
        return aes_run(call, AES_ECB, encrypt, NULL, s, s, n);
    for (uint64_t i = 0; i < steps && rv == CKR_OK; i++) {
        uint64_t t = encrypt ? i + 1 : steps - i;
        uint8_t *r = s + SEMIBLOCK * (1 + (t - 1) % count);
        if (!encrypt)
            add_counter(s, t);
        memcpy(block, s, SEMIBLOCK);
        memcpy(block + SEMIBLOCK, r, SEMIBLOCK);
        rv = aes_run(call, AES_ECB, encrypt, NULL, block, block, sizeof(block));
        memcpy(s, block, SEMIBLOCK);
        memcpy(r, block + SEMIBLOCK, SEMIBLOCK);
        if (encrypt)
            add_counter(s, t);
    }
    secret_wipe(block, sizeof(block));
    return rv;
}

/* first || plain || pad bytes of the value fill */
static CK_RV seal(const struct mech_call *call, const uint8_t *first, struct bytes plain,
                  size_t pad, uint8_t fill, uint8_t *out, size_t *ret_n)
{
    CLEANUP(secret_free) struct secret s = {0};
    TRY(secret_new(&s, SEMIBLOCK + plain.n + pad));
    memcpy(s.p, first, SEMIBLOCK);
    if (plain.n)
        memcpy(s.p + SEMIBLOCK, plain.p, plain.n);
    memset(s.p + SEMIBLOCK + plain.n, fill, pad);
    TRY(scramble(call, true, s.p, s.n));
    memcpy(out, s.p, s.n);
    *ret_n = s.n;
    return CKR_OK;
}

/* What seal scrambled. CKR_ENCRYPTED_DATA_LEN_RANGE: not of least semiblocks or more. */
static CK_RV unscramble(const struct mech_call *call, struct bytes in, size_t least,
                        struct secret *ret)
{
    if (in.n % SEMIBLOCK || in.n < least * SEMIBLOCK)
        return CKR_ENCRYPTED_DATA_LEN_RANGE;
    TRY(secret_copy(ret, in));
    return scramble(call, false, ret->p, ret->n);
}

/* ---- KW ------------------------------------------------------------------------------------ */

static const uint8_t *kw_first(const struct mech_call *call)
{
    static const uint8_t standard[SEMIBLOCK] = {0xA6, 0xA6, 0xA6, 0xA6, 0xA6, 0xA6, 0xA6, 0xA6};
    const struct buf *iv = &call->params->iv;
    return iv->n == SEMIBLOCK ? iv->p : standard;
}

static CK_RV kw_open(const struct mech_call *call, struct bytes in, struct secret *ret)
{
    TRY(unscramble(call, in, 3, ret));
    bool ok = secret_equal(BYTES(ret->p, SEMIBLOCK), BYTES(kw_first(call), SEMIBLOCK));
    return ok ? CKR_OK : CKR_ENCRYPTED_DATA_INVALID;
}

static CK_RV kw_final(const struct mech_call *call, const struct mech_stream *s, uint8_t *out,
                      size_t *ret_n)
{
    CLEANUP(secret_free) struct secret plain = {0};
    struct bytes in = buf_bytes(&s->pending);
    if (s->encrypt && (in.n % SEMIBLOCK || in.n < 2 * SEMIBLOCK)) /* 5.3.1 */
        return CKR_DATA_LEN_RANGE;
    if (s->encrypt)
        return seal(call, kw_first(call), in, 0, 0, out, ret_n);
    TRY(kw_open(call, in, &plain));
    *ret_n = plain.n - SEMIBLOCK;
    memcpy(out, plain.p + SEMIBLOCK, *ret_n);
    return CKR_OK;
}

/* ---- KW of data with PKCS #7 padding to semiblocks (3.1, 6.16.3.4) ------------------------- */

static CK_RV pkcs7_final(const struct mech_call *call, const struct mech_stream *s, uint8_t *out,
                         size_t *ret_n)
{
    CLEANUP(secret_free) struct secret plain = {0};
    struct bytes in = buf_bytes(&s->pending);
    size_t pad = SEMIBLOCK - in.n % SEMIBLOCK;
    if (s->encrypt && in.n < SEMIBLOCK) /* KW begins at two semiblocks */
        return CKR_DATA_LEN_RANGE;
    if (s->encrypt)
        return seal(call, kw_first(call), in, pad, (uint8_t)pad, out, ret_n);
    TRY(kw_open(call, in, &plain));
    if (!aes_unpad(plain.p + plain.n - SEMIBLOCK, SEMIBLOCK, &pad))
        return CKR_ENCRYPTED_DATA_INVALID;
    *ret_n = plain.n - SEMIBLOCK - pad;
    memcpy(out, plain.p + SEMIBLOCK, *ret_n);
    return CKR_OK;
}

/* ---- KWP ----------------------------------------------------------------------------------- */

/* RFC 5649, 3: A65959A6 or another constant, then the length. */
static void kwp_first(const struct mech_call *call, size_t n, uint8_t *ret)
{
    static const uint8_t standard[SEMIBLOCK / 2] = {0xA6, 0x59, 0x59, 0xA6};
    const struct buf *iv = &call->params->iv;
    aes_store_be64(ret, n);
    memcpy(ret, iv->n == sizeof(standard) ? iv->p : standard, sizeof(standard));
}

static CK_RV kwp_seal(const struct mech_call *call, struct bytes plain, uint8_t *out, size_t *ret_n)
{
    uint8_t first[SEMIBLOCK];
    if (plain.n == 0) /* SP800-38F, 5.3.1: from one byte on */
        return CKR_DATA_LEN_RANGE;
    kwp_first(call, plain.n, first);
    return seal(call, first, plain, (0 - plain.n) % SEMIBLOCK, 0, out, ret_n);
}

/* RFC 5649, 3: the constant is right, the length is one that has this padding, the padding is
 * zero; all of it looked at whatever one finds. */
static bool kwp_genuine(const struct mech_call *call, const struct secret *s, size_t *ret_n)
{
    uint8_t first[SEMIBLOCK];
    uint32_t n = (uint32_t)(s->n - SEMIBLOCK), told = 0, bad = 0;
    kwp_first(call, 0, first);
    for (int i = 0; i < SEMIBLOCK / 2; i++) {
        bad |= first[i] ^ s->p[i];
        told = told << 8 | s->p[SEMIBLOCK / 2 + i];
    }
    uint32_t pad = n - told;
    bad |= pad & ~(uint32_t)(SEMIBLOCK - 1);
    for (uint32_t i = 0; i < SEMIBLOCK; i++) {
        uint32_t padding = 0 - ((i - (pad & (SEMIBLOCK - 1))) >> 31); /* ones where i < pad */
        bad |= padding & s->p[s->n - 1 - i];
    }
    *ret_n = told;
    return bad == 0;
}

static CK_RV kwp_open(const struct mech_call *call, struct bytes in, uint8_t *out, size_t *ret_n)
{
    CLEANUP(secret_free) struct secret plain = {0};
    size_t n;
    TRY(unscramble(call, in, 2, &plain));
    if (!kwp_genuine(call, &plain, &n))
        return CKR_ENCRYPTED_DATA_INVALID;
    memcpy(out, plain.p + SEMIBLOCK, n);
    *ret_n = n;
    return CKR_OK;
}

static CK_RV kwp_final(const struct mech_call *call, const struct mech_stream *s, uint8_t *out,
                       size_t *ret_n)
{
    return (s->encrypt ? kwp_seal : kwp_open)(call, buf_bytes(&s->pending), out, ret_n);
}

/* ---- RSA-OAEP of an AES key, and KWP under that (3.1, 6.1.24) ------------------------------ */

static size_t modulus_size(const struct mech_call *call)
{
    return (call->key->modulus_bits + 7) / 8;
}

static CK_RV with_aes_key(const struct mech_call *call, bool encrypt, const struct secret *key,
                          struct bytes in, uint8_t *out, size_t *ret_n)
{
    const struct mech_params none = {0};
    const struct mech_key aes = {.type = CKK_AES, .value = secret_bytes(key)};
    const struct mech_call inner = {
        .mech = call->mech, .params = &none, .key = &aes, .tpm = call->tpm};
    return (encrypt ? kwp_seal : kwp_open)(&inner, in, out, ret_n);
}

static CK_RV rsa_seal(const struct mech_call *call, const struct mech_stream *s, uint8_t *out,
                      size_t *ret_n)
{
    CLEANUP(secret_free) struct secret key = {0};
    size_t k = modulus_size(call), n;
    TRY(secret_new(&key, call->params->key_bits / 8));
    TRY(soft_random(key.p, key.n));
    TRY(with_aes_key(call, true, &key, buf_bytes(&s->pending), out + k, &n));
    TRY(rsa_encrypt_oaep(call, secret_bytes(&key), out));
    *ret_n = k + n;
    return CKR_OK;
}

static CK_RV rsa_open(const struct mech_call *call, const struct mech_stream *s, uint8_t *out,
                      size_t *ret_n)
{
    CLEANUP(secret_free) struct secret key = {0};
    size_t k = modulus_size(call);
    if (s->pending.n < k)
        return CKR_ENCRYPTED_DATA_LEN_RANGE;
    TRY(rsa_decrypt_oaep(call, BYTES(s->pending.p, k), &key));
    if (key.n != call->params->key_bits / 8)
        return CKR_ENCRYPTED_DATA_INVALID;
    return with_aes_key(call, false, &key, BYTES(s->pending.p + k, s->pending.n - k), out, ret_n);
}

static CK_RV rsa_final(const struct mech_call *call, const struct mech_stream *s, uint8_t *out,
                       size_t *ret_n)
{
    return (s->encrypt ? rsa_seal : rsa_open)(call, s, out, ret_n);
}

/* ---- all of them --------------------------------------------------------------------------- */

static size_t less(size_t a, size_t b)
{
    return a > b ? a - b : 0;
}

static size_t kw_most(const struct mech_call *call, const struct mech_stream *s, size_t n,
                      bool final)
{
    (void)call;
    size_t all = s->pending.n + n;
    return !final ? 0 : s->encrypt ? all + SEMIBLOCK : less(all, SEMIBLOCK);
}

static size_t pkcs7_most(const struct mech_call *call, const struct mech_stream *s, size_t n,
                         bool final)
{
    (void)call;
    size_t all = s->pending.n + n, padded = (all / SEMIBLOCK + 1) * SEMIBLOCK;
    return !final ? 0 : s->encrypt ? padded + SEMIBLOCK : less(all, SEMIBLOCK + 1);
}

static size_t kwp_most(const struct mech_call *call, const struct mech_stream *s, size_t n,
                       bool final)
{
    (void)call;
    size_t all = s->pending.n + n, padded = (all + SEMIBLOCK - 1) / SEMIBLOCK * SEMIBLOCK;
    return !final ? 0 : s->encrypt ? padded + SEMIBLOCK : less(all, SEMIBLOCK);
}

static size_t rsa_most(const struct mech_call *call, const struct mech_stream *s, size_t n,
                       bool final)
{
    size_t most = kwp_most(call, s, n, final), k = modulus_size(call);
    return !final ? 0 : s->encrypt ? most + k : less(most, k);
}

/* Where the padding tells the length. */
static bool sealing_exact(const struct mech_stream *s)
{
    return s->encrypt;
}

static CK_RV nothing(const struct mech_call *call, struct mech_stream *s)
{
    (void)call;
    (void)s;
    return CKR_OK;
}

static CK_RV collect(const struct mech_call *call, struct mech_stream *s, struct bytes in,
                     uint8_t *out, size_t *ret_n)
{
    (void)call;
    (void)out;
    TRY(aes_collect(s, in, COLLECT_MAX,
                    s->encrypt ? CKR_DATA_LEN_RANGE : CKR_ENCRYPTED_DATA_LEN_RANGE));
    *ret_n = 0;
    return CKR_OK;
}

const struct mech_cipher keywrap_kw = {kw_most, aes_always_exact, nothing, collect, kw_final};
const struct mech_cipher keywrap_pkcs7 = {pkcs7_most, sealing_exact, nothing, collect, pkcs7_final};
const struct mech_cipher keywrap_kwp = {kwp_most, sealing_exact, nothing, collect, kwp_final};
const struct mech_cipher keywrap_rsa = {rsa_most, sealing_exact, nothing, collect, rsa_final};
