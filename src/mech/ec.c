#include "families.h"

#include <string.h>

/* ---- ECDSA --------------------------------------------------------------------------------- */

/* X9.62: only the leftmost bits of the order's length count. A TPM takes 64 bytes at most, which
 * only P-521, with its order of 66, would not cut. */
static CK_RV cut(const struct mech_call *call, struct bytes in, struct bytes *ret)
{
    size_t order = curve_field_size(call->key->curve);
    if (in.n == 0 || (in.n > 64 && order > 64))
        return CKR_DATA_LEN_RANGE;
    *ret = BYTES(in.p, in.n < order ? in.n : order);
    return CKR_OK;
}

CK_RV ec_sign(const struct mech_call *call, struct bytes in, uint8_t *ret)
{
    struct bytes digest;
    TRY(cut(call, in, &digest));
    return tpm_ecdsa(call->tpm, call->key->tpm_key, call->key->curve, digest, ret);
}

CK_RV ec_verify(const struct mech_call *call, struct bytes in, struct bytes signature)
{
    struct bytes digest;
    TRY(cut(call, in, &digest));
    return soft_ecdsa_verify(call->key->public_, digest, signature);
}

/* ---- ECDH ---------------------------------------------------------------------------------- */

static const struct {
    CK_ULONG kdf;
    enum hash hash;
} kdfs[] = {
    {CKD_NULL, HASH_NONE},         {CKD_SHA1_KDF, HASH_SHA1},     {CKD_SHA224_KDF, HASH_SHA224},
    {CKD_SHA256_KDF, HASH_SHA256}, {CKD_SHA384_KDF, HASH_SHA384}, {CKD_SHA512_KDF, HASH_SHA512},
};

CK_RV ec_params_ecdh(const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
                     struct mech_params *ret)
{
    (void)m;
    (void)key;
    CK_ECDH1_DERIVE_PARAMS p;
    if (!in->pParameter || in->ulParameterLen != sizeof(p))
        return CKR_MECHANISM_PARAM_INVALID;
    memcpy(&p, in->pParameter, sizeof(p));
    size_t i = 0;
    while (i < sizeof(kdfs) / sizeof(*kdfs) && kdfs[i].kdf != p.kdf)
        i++;
    if (i == sizeof(kdfs) / sizeof(*kdfs) || !p.pPublicData || p.ulPublicDataLen == 0 ||
        p.ulPublicDataLen > 256 || (p.ulSharedDataLen && !p.pSharedData) ||
        p.ulSharedDataLen > 65536)
        return CKR_MECHANISM_PARAM_INVALID;
    ret->kdf = kdfs[i].hash;
    /* 2.40, 2.3.5: with CKD_NULL there must be no shared data */
    if (ret->kdf == HASH_NONE && p.ulSharedDataLen)
        return CKR_MECHANISM_PARAM_INVALID;
    TRY(buf_set(&ret->shared, BYTES(p.pSharedData, p.ulSharedDataLen)));
    return buf_set(&ret->peer, BYTES(p.pPublicData, p.ulPublicDataLen));
}

/* 2.40, 2.3.4: the peer's point as it is, or in a DER OCTET STRING. Both begin with 04, so the
 * length that the curve wants decides. */
static struct bytes peer_point(const struct mech_call *call)
{
    struct bytes given = buf_bytes(&call->params->peer), content;
    bool raw = given.n == 1 + 2 * curve_field_size(call->key->curve);
    return !raw && soft_octet_string_parse(given, &content) ? content : given;
}

CK_RV ec_derive(const struct mech_call *call, size_t want, struct secret *ret)
{
    size_t field = curve_field_size(call->key->curve);
    enum hash kdf = call->params->kdf;
    CLEANUP(secret_free) struct secret z = {0}, key = {0};
    CLEANUP(soft_key_free) struct soft_key *peer = NULL;
    struct bytes point = peer_point(call);
    CK_RV rv = soft_key_ec(call->key->curve, point, &peer);
    if (rv != CKR_OK) /* not on the curve of the base key */
        return rv == CKR_HOST_MEMORY ? rv : CKR_MECHANISM_PARAM_INVALID;
    if (!want && kdf != HASH_NONE)
        return CKR_TEMPLATE_INCOMPLETE; /* a KDF gives any length: the template must say which */
    want = want ? want : field;
    if (kdf == HASH_NONE && want > field)
        return CKR_KEY_SIZE_RANGE;
    TRY(tpm_ecdh(call->tpm, call->key->tpm_key, call->key->curve, point, &z));
    TRY(secret_new(&key, want));
    /* 2.40, 2.3.5: truncation takes away bytes from the leading end */
    if (kdf == HASH_NONE)
        memcpy(key.p, z.p + z.n - want, want);
    else
        TRY(soft_x963_kdf(kdf, secret_bytes(&z), buf_bytes(&call->params->shared), key.p, want));
    *ret = key;
    key = (struct secret){0};
    return CKR_OK;
}

CK_RV ec_generate_pair(struct tpm *t, const struct mech_pair_wanted *wanted,
                       struct tpm_key_made *ret)
{
    return tpm_make_ec(t, &wanted->parent, wanted->auth, wanted->curve, ret);
}
