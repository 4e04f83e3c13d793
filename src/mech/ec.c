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
    if (call->key->private_)
        return soft_private_ecdsa(call->key->private_, digest, ret);
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
    if (i == sizeof(kdfs) / sizeof(*kdfs) || (p.ulPublicDataLen && !p.pPublicData) ||
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
    enum curve c = call->key->curve;
    size_t field = curve_field_size(c);
    bool raw = given.n == (c < CURVE_COUNT ? 1 + 2 * field : field);
    return !raw && soft_octet_string_parse(given, &content) ? content : given;
}

static CK_RV shared_secret(const struct mech_call *call, struct bytes point, struct secret *ret)
{
    CLEANUP(soft_key_free) struct soft_key *peer = NULL;
    CK_RV rv = soft_key_ec(call->key->curve, point, &peer);
    if (rv != CKR_OK) /* not on the curve of the base key, if it is the value's fault */
        return rv == CKR_ATTRIBUTE_VALUE_INVALID ? CKR_MECHANISM_PARAM_INVALID : rv;
    if (!call->key->private_)
        return tpm_ecdh(call->tpm, call->key->tpm_key, call->key->curve, point, ret);
    rv = soft_private_ecdh(call->key->private_, point, ret);
    return rv == CKR_DOMAIN_PARAMS_INVALID ? CKR_MECHANISM_PARAM_INVALID : rv;
}

/* 0: what is natural. A KDF gives any length, so the template must say which. */
static CK_RV key_length(const struct mech_call *call, size_t want, size_t *ret)
{
    size_t field = curve_field_size(call->key->curve);
    bool kdf = call->params->kdf != HASH_NONE;
    if (!want && kdf)
        return CKR_TEMPLATE_INCOMPLETE;
    if (!kdf && want > field)
        return CKR_KEY_SIZE_RANGE;
    *ret = want ? want : field;
    return CKR_OK;
}

static CK_RV make_key(const struct mech_call *call, struct bytes z, size_t n, struct secret *ret)
{
    enum hash kdf = call->params->kdf;
    CLEANUP(secret_free) struct secret key = {0};
    TRY(secret_new(&key, n));
    /* 2.40, 2.3.5: truncation takes away bytes from the leading end */
    if (kdf == HASH_NONE)
        memcpy(key.p, z.p + z.n - n, n);
    else
        TRY(soft_x963_kdf(kdf, z, buf_bytes(&call->params->shared), key.p, n));
    *ret = key;
    key = (struct secret){0};
    return CKR_OK;
}

CK_RV ec_derive(const struct mech_call *call, size_t want, struct secret *ret)
{
    CLEANUP(secret_free) struct secret z = {0};
    size_t n;
    struct bytes point = peer_point(call);
    if (!point.n)
        return CKR_MECHANISM_PARAM_INVALID;
    TRY(key_length(call, want, &n));
    TRY(shared_secret(call, point, &z));
    return make_key(call, secret_bytes(&z), n, ret);
}

/* The ciphertext is the ephemeral key's point (3.2, C_EncapsulateKey with ECDH). */
CK_RV ec_encapsulate(const struct mech_call *call, size_t want, struct buf *ret_ciphertext,
                     struct secret *ret)
{
    CLEANUP(soft_private_free) struct soft_private *own = NULL;
    CLEANUP(secret_free) struct secret z = {0};
    CLEANUP(buf_free) struct buf peer = {0};
    size_t n;
    TRY(key_length(call, want, &n));
    TRY(soft_key_point(call->key->public_, &peer));
    TRY(soft_private_generate(call->key->curve, &own));
    TRY(soft_private_ecdh(own, buf_bytes(&peer), &z));
    TRY(soft_key_point(soft_private_public(own), ret_ciphertext));
    return make_key(call, secret_bytes(&z), n, ret);
}

CK_RV ec_generate_pair(struct tpm *t, const struct mech_pair_wanted *wanted,
                       struct tpm_key_made *ret)
{
    return tpm_make_ec(t, &wanted->parent, wanted->auth, wanted->curve, ret);
}

CK_RV ec_generate_soft(const struct mech_pair_wanted *wanted, struct soft_private **ret)
{
    return soft_private_generate(wanted->curve, ret);
}
