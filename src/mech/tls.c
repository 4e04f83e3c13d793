#include "families.h"

/* 3.1, 6.40: TLS 1.2. All is PRF(secret, label, seed) of RFC 5246, 5. */

enum { MASTER = TLS_MASTER_SIZE, FINISHED_MIN = 12, FINISHED_DATA_MAX = 65536 };

/* ---- parameters ---------------------------------------------------------------------------- */

static CK_RV set_prf(CK_MECHANISM_TYPE digest, struct mech_derivation *d)
{
    d->prf = mech_hash_of(digest);
    return d->prf == HASH_NONE ? CKR_MECHANISM_PARAM_INVALID : CKR_OK;
}

static CK_RV append_randoms(struct bytes first, struct bytes second, struct buf *ret)
{
    if (!first.n || !second.n)
        return CKR_MECHANISM_PARAM_INVALID;
    TRY(params_append(first.p, first.n, ret));
    return params_append(second.p, second.n, ret);
}

static struct bytes client(const CK_SSL3_RANDOM_DATA *random)
{
    return BYTES(random->pClientRandom, random->ulClientRandomLen);
}

static struct bytes server(const CK_SSL3_RANDOM_DATA *random)
{
    return BYTES(random->pServerRandom, random->ulServerRandomLen);
}

/* RFC 5246, 8.1 */
CK_RV tls_params_master(const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
                        struct mech_params *ret)
{
    (void)m;
    (void)key;
    struct mech_derivation *d = &ret->derivation;
    READ_PARAM(CK_TLS12_MASTER_KEY_DERIVE_PARAMS, p, in);
    d->version = p.pVersion;
    TRY(set_prf(p.prfHashMechanism, d));
    TRY(buf_set(&d->data, BYTES_STR("master secret")));
    return append_randoms(client(&p.RandomInfo), server(&p.RandomInfo), &d->seed);
}

/* RFC 7627, 4 */
CK_RV tls_params_extended(const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
                          struct mech_params *ret)
{
    (void)m;
    (void)key;
    struct mech_derivation *d = &ret->derivation;
    READ_PARAM(CK_TLS12_EXTENDED_MASTER_KEY_DERIVE_PARAMS, p, in);
    if (p.ulSessionHashLen == 0)
        return CKR_MECHANISM_PARAM_INVALID;
    d->version = p.pVersion;
    TRY(set_prf(p.prfHashMechanism, d));
    TRY(buf_set(&d->data, BYTES_STR("extended master secret")));
    return params_append(p.pSessionHash, p.ulSessionHashLen, &d->seed);
}

/* 6.40.5: no version in this premaster secret, so pVersion must be NULL_PTR. */
static CK_RV without_version(const struct mech_params *p)
{
    return p->derivation.version ? CKR_MECHANISM_PARAM_INVALID : CKR_OK;
}

CK_RV tls_params_master_dh(const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
                           struct mech_params *ret)
{
    TRY(tls_params_master(m, in, key, ret));
    return without_version(ret);
}

CK_RV tls_params_extended_dh(const struct mech *m, const CK_MECHANISM *in,
                             const struct mech_key *key, struct mech_params *ret)
{
    TRY(tls_params_extended(m, in, key, ret));
    return without_version(ret);
}

/* Lengths that are whole bytes, and not absurd. */
static bool whole_bytes(CK_ULONG bits)
{
    return bits % 8 == 0 && bits / 8 <= 1024;
}

/* RFC 5246, 6.3: here the server's random comes first. */
static CK_RV key_material(const CK_TLS12_KEY_MAT_PARAMS *p, CK_ULONG iv_bits,
                          struct mech_derivation *d)
{
    CK_SSL3_KEY_MAT_OUT out;
    if (p->bIsExport || !p->pReturnedKeyMaterial || !whole_bytes(p->ulMacSizeInBits) ||
        !whole_bytes(p->ulKeySizeInBits) || !whole_bytes(iv_bits) ||
        p->ulMacSizeInBits + p->ulKeySizeInBits == 0)
        return CKR_MECHANISM_PARAM_INVALID;
    memcpy(&out, p->pReturnedKeyMaterial, sizeof(out));
    if (iv_bits && (!out.pIVClient || !out.pIVServer))
        return CKR_MECHANISM_PARAM_INVALID;
    d->mac_bits = p->ulMacSizeInBits;
    d->key_bits = p->ulKeySizeInBits;
    d->iv_n = iv_bits / 8;
    d->material = p->pReturnedKeyMaterial;
    TRY(set_prf(p->prfHashMechanism, d));
    TRY(buf_set(&d->data, BYTES_STR("key expansion")));
    return append_randoms(server(&p->RandomInfo), client(&p->RandomInfo), &d->seed);
}

CK_RV tls_params_key_and_mac(const struct mech *m, const CK_MECHANISM *in,
                             const struct mech_key *key, struct mech_params *ret)
{
    (void)m;
    (void)key;
    READ_PARAM(CK_TLS12_KEY_MAT_PARAMS, p, in);
    return key_material(&p, p.ulIVSizeInBits, &ret->derivation);
}

/* 6.40.7: never IVs, which would give away bytes of keys; the field is ignored. */
CK_RV tls_params_key_safe(const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
                          struct mech_params *ret)
{
    (void)m;
    (void)key;
    READ_PARAM(CK_TLS12_KEY_MAT_PARAMS, p, in);
    return key_material(&p, 0, &ret->derivation);
}

/* RFC 5705, 4: a context of no bytes is not the same as none. */
CK_RV tls_params_kdf(const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
                     struct mech_params *ret)
{
    (void)m;
    (void)key;
    struct mech_derivation *d = &ret->derivation;
    READ_PARAM(CK_TLS_KDF_PARAMS, p, in);
    if (p.ulContextDataLength > UINT16_MAX)
        return CKR_MECHANISM_PARAM_INVALID;
    TRY(set_prf(p.prfMechanism, d));
    TRY(params_append(p.pLabel, p.ulLabelLength, &d->data));
    TRY(append_randoms(client(&p.RandomInfo), server(&p.RandomInfo), &d->seed));
    if (p.pContextData)
        TRY(buf_u16(&d->seed, (uint16_t)p.ulContextDataLength));
    return params_append(p.pContextData, p.ulContextDataLength, &d->seed);
}

CK_RV tls_params_mac(const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
                     struct mech_params *ret)
{
    (void)m;
    (void)key;
    READ_PARAM(CK_TLS_MAC_PARAMS, p, in);
    bool by_server = p.ulServerOrClient == 1;
    if ((!by_server && p.ulServerOrClient != 2) || p.ulMacLength < FINISHED_MIN ||
        p.ulMacLength > HASH_MAX)
        return CKR_MECHANISM_PARAM_INVALID;
    ret->mac_n = p.ulMacLength;
    TRY(set_prf(p.prfHashMechanism, &ret->derivation));
    return buf_set(&ret->derivation.data,
                   BYTES_STR(by_server ? "server finished" : "client finished"));
}

/* ---- derivation ---------------------------------------------------------------------------- */

static CK_RV prf(const struct mech_call *call, struct bytes seed, size_t n, struct secret *ret)
{
    const struct mech_derivation *d = &call->params->derivation;
    struct bytes base;
    CLEANUP(secret_free) struct secret key = {0};
    TRY(derive_value(call, &base));
    TRY(secret_new(&key, n));
    TRY(soft_tls12_prf(d->prf, base, buf_bytes(&d->data), &seed, 1, key.p, n));
    return derive_give(&key, ret);
}

static CK_RV derive(const struct mech_call *call, size_t n, struct secret *ret)
{
    return prf(call, buf_bytes(&call->params->derivation.seed), n, ret);
}

CK_RV tls_master_dh(const struct mech_call *call, size_t want, struct secret *ret)
{
    if (want && want != MASTER)
        return CKR_KEY_SIZE_RANGE;
    return derive(call, MASTER, ret);
}

/* 6.40.4: from a premaster secret of 48 bytes, which begins with the client's version. */
CK_RV tls_master(const struct mech_call *call, size_t want, struct secret *ret)
{
    struct bytes base;
    TRY(derive_value(call, &base));
    if (base.n != MASTER)
        return CKR_KEY_SIZE_RANGE;
    TRY(tls_master_dh(call, want, ret));
    CK_VERSION version = {base.p[0], base.p[1]};
    if (call->params->derivation.version)
        memcpy(call->params->derivation.version, &version, sizeof(version));
    return CKR_OK;
}

CK_RV tls_key_and_mac(const struct mech_call *call, size_t want, struct secret *ret)
{
    const struct mech_derivation *d = &call->params->derivation;
    size_t n = 2 * (d->mac_bits / 8 + d->key_bits / 8 + d->iv_n);
    if (want && want != n)
        return CKR_KEY_SIZE_RANGE;
    TRY(derive_enough(call, d->mac_bits / 8, n)); /* the key block is others' keys, too */
    TRY(derive_enough(call, d->key_bits / 8, n));
    return derive(call, n, ret);
}

CK_RV tls_kdf(const struct mech_call *call, size_t want, struct secret *ret)
{
    size_t n;
    TRY(derive_length(want, 0, MECH_SECRET_MAX, &n));
    TRY(derive_enough(call, n, MECH_SECRET_MAX)); /* the beginning of every longer one */
    return derive(call, n, ret);
}

/* ---- the MAC of the finished message (RFC 5246, 7.4.9), its data being the handshake's hash ----
 */

static CK_RV finished_start(const struct mech_call *call, struct mech_stream *s)
{
    struct bytes base;
    (void)s;
    return derive_value(call, &base);
}

static CK_RV finished_update(const struct mech_call *call, struct mech_stream *s, struct bytes in)
{
    (void)call;
    if (in.n > FINISHED_DATA_MAX - s->pending.n)
        return CKR_DATA_LEN_RANGE;
    return buf_bytes_append(&s->pending, in);
}

static CK_RV finished_final(const struct mech_call *call, struct mech_stream *s, uint8_t *ret)
{
    CLEANUP(secret_free) struct secret data = {0};
    TRY(prf(call, buf_bytes(&s->pending), call->params->mac_n, &data));
    memcpy(ret, data.p, data.n);
    return CKR_OK;
}

const struct mech_mac tls_finished = {
    .start = finished_start, .update = finished_update, .final = finished_final};
