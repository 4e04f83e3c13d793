/* Software private keys: EC, Edwards and Montgomery, and what all kinds have in common. */
#include "private.h"
#include "internal.h"

#include <stdlib.h>
#include <string.h>

void soft_private_free(struct soft_private **k)
{
    if (!*k)
        return;
    soft_key_free(&(*k)->public_);
    secret_free(&(*k)->secret);
    free(*k);
    *k = NULL;
}

enum curve soft_private_curve(const struct soft_private *k)
{
    return k->curve;
}

const struct soft_key *soft_private_public(const struct soft_private *k)
{
    return k->public_;
}

struct bytes soft_private_number(const struct soft_private *k, enum rsa_number which)
{
    return k->numbers[which];
}

struct bytes soft_private_value(const struct soft_private *k)
{
    return k->curve == CURVE_NONE ? NO_BYTES : secret_bytes(&k->secret);
}

/* ---- making ---- */

static CK_RV public_point(enum curve c, struct bytes value, uint8_t *ret)
{
    CLEANUP(free_bn_ctx) BN_CTX *ctx = bn_ctx_new();
    BIGNUM *d = ctx ? bn_secret(ctx) : NULL;
    if (!d)
        return CKR_HOST_MEMORY;
    TRY(nist_scalar(c, value, d));
    return nist_public(c, d, ret, ctx);
}

static void montgomery(enum curve c, const uint8_t *scalar, const uint8_t *u, uint8_t *ret)
{
    (c == CURVE_X448 ? x448 : x25519)(scalar, u, ret);
}

/* RFC 7748, 4.1 and 4.2: the base point's u */
static void montgomery_public(enum curve c, const uint8_t *scalar, uint8_t *ret)
{
    const uint8_t base[RAW_MAX] = {c == CURVE_X448 ? 5 : 9};
    montgomery(c, scalar, base, ret);
}

/* Takes over value, which is as long as a coordinate. */
static CK_RV of_parts(enum curve c, struct secret *value, struct bytes point,
                      struct soft_private **ret)
{
    CLEANUP(soft_private_free) struct soft_private *k = calloc(1, sizeof(*k));
    if (!k)
        return CKR_HOST_MEMORY;
    k->curve = c;
    TRY(soft_key_ec(c, point, &k->public_));
    k->secret = *value;
    *value = (struct secret){0};
    *ret = k;
    k = NULL;
    return CKR_OK;
}

CK_RV private_of_value(enum curve c, struct bytes value, struct bytes point,
                       struct soft_private **ret)
{
    CLEANUP(secret_free) struct secret copy = {0};
    if (value.n != curve_field_size(c))
        return CKR_ATTRIBUTE_VALUE_INVALID;
    TRY(secret_copy(&copy, value));
    return of_parts(c, &copy, point, ret);
}

/* Takes over value, too. */
static CK_RV from_secret(enum curve c, struct secret *value, struct soft_private **ret)
{
    enum { POINT_MAX = 133 };
    uint8_t point[POINT_MAX];
    if (curve_is_montgomery(c))
        montgomery_public(c, value->p, point);
    else
        TRY(curve_is_edwards(c) ? edwards_public(c, value->p, point)
                                : public_point(c, secret_bytes(value), point));
    return of_parts(c, value, BYTES(point, curve_point_size(c)), ret);
}

CK_RV soft_private_from_value(enum curve c, struct bytes value, struct soft_private **ret)
{
    KEEP_ERROR_QUEUE;
    size_t n = curve_field_size(c);
    if (!curve_is_raw(c))
        value = bytes_number(value);
    if (c == CURVE_NONE || value.n > n || value.n == 0 || (curve_is_raw(c) && value.n != n))
        return CKR_ATTRIBUTE_VALUE_INVALID;
    CLEANUP(secret_free) struct secret padded = {0};
    TRY(secret_new(&padded, n));
    memcpy(padded.p + n - value.n, value.p, value.n);
    return from_secret(c, &padded, ret);
}

static CK_RV random_value(enum curve c, struct secret *ret)
{
    if (curve_is_raw(c))
        return soft_random(ret->p, ret->n);
    CLEANUP(free_bn_ctx) BN_CTX *ctx = bn_ctx_new();
    BIGNUM *d = ctx ? bn_secret(ctx) : NULL;
    if (!d)
        return CKR_HOST_MEMORY;
    TRY(nist_random_scalar(c, d, ctx));
    return BN_bn2binpad(d, ret->p, (int)ret->n) < 0 ? error_openssl("EC private key") : CKR_OK;
}

CK_RV soft_private_generate(enum curve c, struct soft_private **ret)
{
    KEEP_ERROR_QUEUE;
    if (c == CURVE_NONE)
        return error_log(CKR_ARGUMENTS_BAD, "a key pair on no curve");
    CLEANUP(secret_free) struct secret value = {0};
    TRY(secret_new(&value, curve_field_size(c)));
    TRY(random_value(c, &value));
    return from_secret(c, &value, ret);
}

/* ---- use ---- */

CK_RV soft_private_ecdsa(const struct soft_private *k, struct bytes digest, uint8_t *ret)
{
    KEEP_ERROR_QUEUE;
    if (k->curve == CURVE_NONE || curve_is_raw(k->curve))
        return CKR_KEY_TYPE_INCONSISTENT;
    if (digest.n == 0 || digest.n > HASH_MAX)
        return CKR_DATA_LEN_RANGE;
    CLEANUP(free_bn_ctx) BN_CTX *ctx = bn_ctx_new();
    BIGNUM *d = ctx ? bn_secret(ctx) : NULL;
    if (!d || nist_scalar(k->curve, secret_bytes(&k->secret), d) != CKR_OK)
        return CKR_HOST_MEMORY;
    return nist_sign(k->curve, d, secret_bytes(&k->secret), digest, ret, ctx);
}

/* RFC 7748, 6.1 and 6.2: zeros come of a peer's point of small order; such a secret is no secret.
 */
static CK_RV montgomery_shared(const struct soft_private *k, struct bytes peer,
                               struct secret *ret_z)
{
    static const uint8_t zero[RAW_MAX];
    size_t n = curve_field_size(k->curve);
    if (peer.n != n)
        return CKR_DOMAIN_PARAMS_INVALID;
    CLEANUP(secret_free) struct secret z = {0};
    TRY(secret_new(&z, n));
    montgomery(k->curve, k->secret.p, peer.p, z.p);
    if (secret_equal(secret_bytes(&z), BYTES(zero, n)))
        return CKR_DOMAIN_PARAMS_INVALID;
    *ret_z = z;
    z = (struct secret){0};
    return CKR_OK;
}

CK_RV soft_private_ecdh(const struct soft_private *k, struct bytes peer, struct secret *ret_z)
{
    KEEP_ERROR_QUEUE;
    if (k->curve == CURVE_NONE || curve_is_edwards(k->curve))
        return CKR_KEY_TYPE_INCONSISTENT;
    if (curve_is_montgomery(k->curve))
        return montgomery_shared(k, peer, ret_z);
    CLEANUP(free_bn_ctx) BN_CTX *ctx = bn_ctx_new();
    BIGNUM *d = ctx ? bn_secret(ctx) : NULL;
    if (!d || nist_scalar(k->curve, secret_bytes(&k->secret), d) != CKR_OK)
        return CKR_HOST_MEMORY;
    return nist_shared(k->curve, d, peer, ret_z, ctx);
}

CK_RV soft_private_eddsa(const struct soft_private *k, const struct soft_eddsa *form,
                         struct bytes message, uint8_t *ret)
{
    if (!curve_is_edwards(k->curve))
        return CKR_KEY_TYPE_INCONSISTENT;
    return edwards_sign(k->curve, k->secret.p, k->public_->raw, form, message, ret);
}
