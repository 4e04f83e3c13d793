/* ECDSA and ECDH (SEC 1, FIPS 186-5) on OpenSSL's point arithmetic. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>
#include <openssl/ecerr.h>

/* Was the point wrong, rather than memory out? */
/* p: the coordinates that were refused. That it is not on the curve is also said when memory was
 * short for the equation; asked itself, OpenSSL tells the two apart. */
static bool point_refused(const EC_GROUP *group, const EC_POINT *p, BN_CTX *ctx)
{
    unsigned long code = ERR_peek_last_error();
    int reason = ERR_GET_REASON(code);
    return ERR_GET_LIB(code) == ERR_LIB_EC &&
           (reason == EC_R_INVALID_ENCODING || reason == EC_R_COORDINATES_OUT_OF_RANGE ||
            (reason == EC_R_POINT_IS_NOT_ON_CURVE && EC_POINT_is_on_curve(group, p, ctx) == 0));
}

/* invalid: the code for what is not an uncompressed point of the curve; OpenSSL tests the equation.
 * The cofactor of every curve here is 1, so the point then has the full order. */
static CK_RV point_decode(enum curve c, struct bytes point, CK_RV invalid, BN_CTX *ctx,
                          EC_POINT **ret)
{
    const EC_GROUP *group = soft_state.group[c];
    if (!group || point.n != curve_point_size(c) || point.p[0] != POINT_CONVERSION_UNCOMPRESSED)
        return invalid;
    CLEANUP(free_point) EC_POINT *p = EC_POINT_new(group);
    if (!p)
        return CKR_HOST_MEMORY;
    if (EC_POINT_oct2point(group, p, point.p, point.n, ctx) != 1)
        return point_refused(group, p, ctx) ? invalid : error_openssl("EC point");
    *ret = p;
    p = NULL;
    return CKR_OK;
}

static bool point_encode(enum curve c, const EC_POINT *point, uint8_t *ret, BN_CTX *ctx)
{
    return EC_POINT_point2oct(soft_state.group[c], point, POINT_CONVERSION_UNCOMPRESSED, ret,
                              curve_point_size(c), ctx) == curve_point_size(c);
}

static CK_RV set_point(struct soft_key *k, struct bytes point, BN_CTX *ctx)
{
    if (!curve_is_raw(k->curve))
        return point_decode(k->curve, point, CKR_ATTRIBUTE_VALUE_INVALID, ctx, &k->point);
    if (point.n != curve_point_size(k->curve))
        return CKR_ATTRIBUTE_VALUE_INVALID;
    memcpy(k->raw, point.p, point.n);
    return curve_is_montgomery(k->curve) || edwards_on_curve(k->curve, k->raw)
               ? CKR_OK
               : CKR_ATTRIBUTE_VALUE_INVALID;
}

CK_RV soft_key_ec(enum curve c, struct bytes point, struct soft_key **ret)
{
    KEEP_ERROR_QUEUE;
    CLEANUP(soft_key_free) struct soft_key *k = calloc(1, sizeof(*k));
    CLEANUP(free_bn_ctx) BN_CTX *ctx = bn_ctx_new();
    if (!k || !ctx)
        return CKR_HOST_MEMORY;
    *k = (struct soft_key){.curve = c, .size = curve_field_size(c)};
    TRY(set_point(k, point, ctx));
    *ret = k;
    k = NULL;
    return CKR_OK;
}

/* ---- scalars ---- */

/* FIPS 186-5, A.2.1 and A.3.1: seed mod (n - 1) + 1. Sixteen bytes more than the order has make
 * the bias negligible. */
static bool scalar_from_seed(const EC_GROUP *group, struct bytes seed, BIGNUM *ret, BN_CTX *ctx)
{
    BIGNUM *limit = BN_CTX_get(ctx);
    if (!limit || !BN_bin2bn(seed.p, (int)seed.n, ret))
        return false;
    BN_set_flags(ret, BN_FLG_CONSTTIME);
    return BN_sub(limit, EC_GROUP_get0_order(group), BN_value_one()) == 1 &&
           BN_nnmod(ret, ret, limit, ctx) == 1 && BN_add_word(ret, 1) == 1;
}

enum { SEED_EXTRA = 16, SEED_MAX = 66 + SEED_EXTRA, P256_SEED = 32 + SEED_EXTRA };

CK_RV nist_random_scalar(enum curve c, BIGNUM *ret, BN_CTX *ctx)
{
    uint8_t seed[SEED_MAX];
    size_t n = curve_field_size(c) + SEED_EXTRA;
    TRY(soft_random(seed, n));
    bool ok = scalar_from_seed(soft_state.group[c], BYTES(seed, n), ret, ctx);
    secret_wipe(seed, sizeof(seed));
    return ok ? CKR_OK : error_openssl("EC private key");
}

/* ---- multiplication ----
 *
 * EC_POINT_mul is constant in time for one scalar and one point. But for the curves that have no
 * code of their own on 64-bit machines it blinds by RAND_priv_bytes_ex, and that asks the host's
 * RAND method or engine. So those are multiplied here. */

static bool has_own_code(enum curve c)
{
    return c == CURVE_P224 || c == CURVE_P256 || c == CURVE_P521;
}

enum { LADDER_MAX = 66 + 1 };

/* scalar + order or scalar + 2 * order, whichever has one bit more than the order, since the
 * scalar's own length may not show; little-endian. */
static bool ladder_scalar(const EC_GROUP *group, const BIGNUM *scalar, uint8_t *ret, BN_CTX *ctx)
{
    uint8_t twice[LADDER_MAX];
    const BIGNUM *order = EC_GROUP_get0_order(group);
    int bits = EC_GROUP_order_bits(group);
    BIGNUM *once = bn_secret(ctx), *more = bn_secret(ctx);
    if (!more || BN_add(once, scalar, order) != 1 || BN_add(more, once, order) != 1 ||
        BN_bn2lebinpad(once, ret, LADDER_MAX) < 0 || BN_bn2lebinpad(more, twice, LADDER_MAX) < 0)
        return false;
    uint8_t enough = (uint8_t) - (ret[bits / 8] >> bits % 8 & 1);
    for (int i = 0; i < LADDER_MAX; i++)
        ret[i] = (uint8_t)((ret[i] & enough) | (twice[i] & ~enough));
    secret_wipe(twice, sizeof(twice));
    return true;
}

/* Montgomery's ladder: an addition and a doubling for every bit; r1 - r0 stays the point. */
static bool climb(const EC_GROUP *group, EC_POINT *ret, const EC_POINT *point, const uint8_t *k,
                  BN_CTX *ctx)
{
    CLEANUP(free_point) EC_POINT *r0 = EC_POINT_dup(point, group);
    CLEANUP(free_point) EC_POINT *r1 = EC_POINT_new(group);
    if (!r0 || !r1 || EC_POINT_dbl(group, r1, point, ctx) != 1)
        return false;
    EC_POINT *r[2] = {r0, r1};
    for (int i = EC_GROUP_order_bits(group) - 1; i >= 0; i--) {
        int bit = k[i / 8] >> i % 8 & 1;
        if (EC_POINT_add(group, r[!bit], r0, r1, ctx) != 1 ||
            EC_POINT_dbl(group, r[bit], r[bit], ctx) != 1)
            return false;
    }
    return EC_POINT_copy(ret, r0) == 1;
}

static bool ladder(const EC_GROUP *group, EC_POINT *ret, const EC_POINT *point,
                   const BIGNUM *scalar, BN_CTX *ctx)
{
    uint8_t k[LADDER_MAX];
    bool ok = ladder_scalar(group, scalar, k, ctx) && climb(group, ret, point, k, ctx);
    secret_wipe(k, sizeof(k));
    return ok;
}

/* share + rest = scalar modulo the order, share being random. */
static bool split(enum curve c, const BIGNUM *scalar, BIGNUM *share, BIGNUM *rest, BN_CTX *ctx)
{
    return nist_random_scalar(c, share, ctx) == CKR_OK &&
           BN_mod_sub_quick(rest, scalar, share, EC_GROUP_get0_order(soft_state.group[c])) == 1;
}

/* ret = scalar * point, or, where point is NULL, scalar * generator. EC_POINT_mul does not wipe its
 * copies of a scalar before it frees them; it gets two shares, each of which alone tells nothing.
 */
static bool multiply_secret(enum curve c, EC_POINT *ret, const EC_POINT *point,
                            const BIGNUM *scalar, BN_CTX *ctx)
{
    const EC_GROUP *group = soft_state.group[c];
    if (!has_own_code(c))
        return ladder(group, ret, point ? point : EC_GROUP_get0_generator(group), scalar, ctx);
    CLEANUP(free_point) EC_POINT *other = EC_POINT_new(group);
    BIGNUM *share = bn_secret(ctx), *rest = bn_secret(ctx);
    if (!other || !rest || !split(c, scalar, share, rest, ctx))
        return false;
    bool ok = point ? EC_POINT_mul(group, ret, NULL, point, share, ctx) == 1 &&
                          EC_POINT_mul(group, other, NULL, point, rest, ctx) == 1
                    : EC_POINT_mul(group, ret, share, NULL, NULL, ctx) == 1 &&
                          EC_POINT_mul(group, other, rest, NULL, NULL, ctx) == 1;
    return ok && EC_POINT_add(group, ret, ret, other, ctx) == 1;
}

/* Shamir's trick: one doubling for both scalars' bits. */
static bool double_and_add(const EC_GROUP *group, EC_POINT *ret, const BIGNUM *u1,
                           const EC_POINT *point, const BIGNUM *u2, BN_CTX *ctx)
{
    const EC_POINT *generator = EC_GROUP_get0_generator(group);
    CLEANUP(free_point) EC_POINT *both = EC_POINT_new(group);
    if (!both || EC_POINT_add(group, both, generator, point, ctx) != 1 ||
        EC_POINT_set_to_infinity(group, ret) != 1)
        return false;
    const EC_POINT *summands[4] = {NULL, generator, point, both};
    for (int i = EC_GROUP_order_bits(group) - 1; i >= 0; i--) {
        const EC_POINT *summand = summands[BN_is_bit_set(u1, i) + 2 * BN_is_bit_set(u2, i)];
        if (EC_POINT_dbl(group, ret, ret, ctx) != 1 ||
            (summand && EC_POINT_add(group, ret, ret, summand, ctx) != 1))
            return false;
    }
    return true;
}

/* ret = u1 * generator + u2 * point */
static bool multiply_public(enum curve c, EC_POINT *ret, const BIGNUM *u1, const EC_POINT *point,
                            const BIGNUM *u2, BN_CTX *ctx)
{
    const EC_GROUP *group = soft_state.group[c];
    return has_own_code(c) ? EC_POINT_mul(group, ret, u1, point, u2, ctx) == 1
                           : double_and_add(group, ret, u1, point, u2, ctx);
}

/* ---- ECDSA ---- */

/* SEC 1, 4.1.3 step 5: the leftmost bits of the digest, as many as the order has. The orders of
 * P-521 is longer than any digest, those of the others are whole bytes long. */
static bool digest_number(enum curve c, struct bytes digest, BIGNUM *ret)
{
    size_t n = digest.n < curve_field_size(c) ? digest.n : curve_field_size(c);
    return BN_bin2bn(digest.p, (int)n, ret) != NULL;
}

static bool in_range(const BIGNUM *v, const BIGNUM *order)
{
    return !BN_is_zero(v) && BN_ucmp(v, order) < 0;
}

/* The x coordinate modulo the order; point must not be at infinity. */
static bool x_mod_order(const EC_GROUP *group, const EC_POINT *point, BIGNUM *ret, BN_CTX *ctx)
{
    return EC_POINT_get_affine_coordinates(group, point, ret, NULL, ctx) == 1 &&
           BN_nnmod(ret, ret, EC_GROUP_get0_order(group), ctx) == 1;
}

CK_RV soft_ecdsa_verify(const struct soft_key *k, struct bytes digest, struct bytes sig)
{
    KEEP_ERROR_QUEUE;
    if (k->curve == CURVE_NONE || curve_is_raw(k->curve))
        return CKR_KEY_TYPE_INCONSISTENT;
    if (sig.n != 2 * k->size)
        return CKR_SIGNATURE_LEN_RANGE;
    if (digest.n == 0 || digest.n > HASH_MAX)
        return CKR_DATA_LEN_RANGE;
    const EC_GROUP *group = soft_state.group[k->curve];
    const BIGNUM *order = EC_GROUP_get0_order(group);
    CLEANUP(free_bn_ctx) BN_CTX *ctx = bn_ctx_new();
    CLEANUP(free_point) EC_POINT *point = EC_POINT_new(group);
    if (!ctx || !point)
        return CKR_HOST_MEMORY;
    BIGNUM *r = BN_CTX_get(ctx), *s = BN_CTX_get(ctx), *u1 = BN_CTX_get(ctx);
    BIGNUM *u2 = BN_CTX_get(ctx), *x = BN_CTX_get(ctx);
    if (!x || !BN_bin2bn(sig.p, (int)k->size, r) || !BN_bin2bn(sig.p + k->size, (int)k->size, s) ||
        !digest_number(k->curve, digest, u1))
        return CKR_HOST_MEMORY;
    if (!in_range(r, order) || !in_range(s, order))
        return CKR_SIGNATURE_INVALID;
    if (!BN_mod_inverse(s, s, order, ctx) || !BN_mod_mul(u1, u1, s, order, ctx) ||
        !BN_mod_mul(u2, r, s, order, ctx) ||
        !multiply_public(k->curve, point, u1, k->point, u2, ctx))
        return error_openssl("ECDSA verification");
    if (EC_POINT_is_at_infinity(group, point))
        return CKR_SIGNATURE_INVALID;
    if (!x_mod_order(group, point, x, ctx))
        return error_openssl("ECDSA verification");
    return BN_cmp(x, r) == 0 ? CKR_OK : CKR_SIGNATURE_INVALID;
}

/* ---- private keys ---- */

CK_RV nist_scalar(enum curve c, struct bytes value, BIGNUM *ret)
{
    BN_set_flags(ret, BN_FLG_CONSTTIME);
    if (value.n != curve_field_size(c))
        return CKR_ATTRIBUTE_VALUE_INVALID;
    if (!BN_bin2bn(value.p, (int)value.n, ret))
        return CKR_HOST_MEMORY;
    return in_range(ret, EC_GROUP_get0_order(soft_state.group[c])) ? CKR_OK
                                                                   : CKR_ATTRIBUTE_VALUE_INVALID;
}

CK_RV nist_public(enum curve c, const BIGNUM *d, uint8_t *ret, BN_CTX *ctx)
{
    CLEANUP(free_point) EC_POINT *point = EC_POINT_new(soft_state.group[c]);
    if (!point)
        return CKR_HOST_MEMORY;
    if (!multiply_secret(c, point, NULL, d, ctx) || !point_encode(c, point, ret, ctx))
        return error_openssl("EC public key");
    return CKR_OK;
}

CK_RV nist_shared(enum curve c, const BIGNUM *d, struct bytes peer, struct secret *ret_z,
                  BN_CTX *ctx)
{
    const EC_GROUP *group = soft_state.group[c];
    CLEANUP(free_point) EC_POINT *other = NULL;
    TRY(point_decode(c, peer, CKR_DOMAIN_PARAMS_INVALID, ctx, &other));
    CLEANUP(free_point) EC_POINT *product = EC_POINT_new(group);
    CLEANUP(secret_free) struct secret z = {0};
    BIGNUM *x = BN_CTX_get(ctx);
    if (!product || !x)
        return CKR_HOST_MEMORY;
    TRY(secret_new(&z, curve_field_size(c)));
    if (!multiply_secret(c, product, other, d, ctx) ||
        EC_POINT_get_affine_coordinates(group, product, x, NULL, ctx) != 1 ||
        BN_bn2binpad(x, z.p, (int)z.n) < 0)
        return error_openssl("ECDH");
    *ret_z = z;
    z = (struct secret){0};
    return CKR_OK;
}

CK_RV soft_ecdh_ephemeral(enum curve c, struct bytes peer, struct buf *ret_point,
                          struct secret *ret_z)
{
    KEEP_ERROR_QUEUE;
    CLEANUP(free_bn_ctx) BN_CTX *ctx = bn_ctx_new();
    BIGNUM *d = ctx ? BN_CTX_get(ctx) : NULL;
    if (!d)
        return CKR_HOST_MEMORY;
    CLEANUP(buf_free) struct buf point = {0};
    CLEANUP(secret_free) struct secret z = {0};
    uint8_t *own;
    TRY(buf_extend(&point, curve_point_size(c), &own));
    TRY(nist_random_scalar(c, d, ctx));
    TRY(nist_shared(c, d, peer, &z, ctx));
    TRY(nist_public(c, d, own, ctx));
    TRY(buf_bytes_append(ret_point, buf_bytes(&point)));
    *ret_z = z;
    z = (struct secret){0};
    return CKR_OK;
}

/* ---- ECDSA with a private key ---- */

/* A nonce that repeats or can be guessed gives the key away. This one is HKDF of the private key,
 * salted with random bytes, and of the digest: should the random bytes fail, it is as good as RFC
 * 6979's; should the key be attacked by faults in repeated signatures, it differs each time. */
static CK_RV nonce(enum curve c, struct bytes value, struct bytes digest, BIGNUM *ret, BN_CTX *ctx)
{
    uint8_t salt[HASH_MAX], seed[SEED_MAX];
    size_t n = curve_field_size(c) + SEED_EXTRA;
    TRY(soft_random(salt, sizeof(salt)));
    CK_RV rv = soft_hkdf(HASH_SHA512, value, BYTES_OF(salt), digest, seed, n);
    if (rv == CKR_OK && !scalar_from_seed(soft_state.group[c], BYTES(seed, n), ret, ctx))
        rv = error_openssl("ECDSA nonce");
    secret_wipe(salt, sizeof(salt));
    secret_wipe(seed, sizeof(seed));
    return rv;
}

/* ret = 1 / v mod order, by Fermat, since BN_mod_inverse's time tells of v */
static bool invert(const EC_GROUP *group, const BIGNUM *v, BIGNUM *ret, BN_CTX *ctx)
{
    const BIGNUM *order = EC_GROUP_get0_order(group);
    BIGNUM *power = BN_CTX_get(ctx);
    return power && BN_copy(power, order) && BN_sub_word(power, 2) == 1 &&
           BN_mod_exp_mont_consttime(ret, v, power, order, ctx, EC_GROUP_get_mont_data(group)) == 1;
}

/* ret = a * b mod order, without a division */
static bool multiply(const EC_GROUP *group, const BIGNUM *a, const BIGNUM *b, BIGNUM *ret,
                     BN_CTX *ctx)
{
    BN_MONT_CTX *mont = EC_GROUP_get_mont_data(group);
    BIGNUM *a_mont = BN_CTX_get(ctx);
    return a_mont && BN_to_montgomery(a_mont, a, mont, ctx) == 1 &&
           BN_mod_mul_montgomery(ret, a_mont, b, mont, ctx) == 1;
}

/* s = (z + r * d) / k mod order; s ends in z */
static bool sign_equation(const EC_GROUP *group, const BIGNUM *d, const BIGNUM *k, const BIGNUM *r,
                          BIGNUM *z, BN_CTX *ctx)
{
    const BIGNUM *order = EC_GROUP_get0_order(group);
    BIGNUM *product = BN_CTX_get(ctx), *k_inverse = BN_CTX_get(ctx);
    return k_inverse && multiply(group, d, r, product, ctx) && BN_nnmod(z, z, order, ctx) == 1 &&
           BN_mod_add_quick(z, z, product, order) == 1 && invert(group, k, k_inverse, ctx) &&
           multiply(group, k_inverse, z, z, ctx);
}

CK_RV nist_sign(enum curve c, const BIGNUM *d, struct bytes value, struct bytes digest,
                uint8_t *ret, BN_CTX *ctx)
{
    const EC_GROUP *group = soft_state.group[c];
    size_t n = curve_field_size(c);
    CLEANUP(free_point) EC_POINT *point = EC_POINT_new(group);
    BIGNUM *k = BN_CTX_get(ctx), *r = BN_CTX_get(ctx), *s = BN_CTX_get(ctx);
    if (!point || !s)
        return CKR_HOST_MEMORY;
    TRY(nonce(c, value, digest, k, ctx));
    /* r or s is zero with a probability of 2^-223 at most; the signature is then merely invalid */
    if (!digest_number(c, digest, s) || !multiply_secret(c, point, NULL, k, ctx) ||
        !x_mod_order(group, point, r, ctx) || !sign_equation(group, d, k, r, s, ctx) ||
        BN_bn2binpad(r, ret, (int)n) < 0 || BN_bn2binpad(s, ret + n, (int)n) < 0)
        return error_openssl("ECDSA signature");
    return CKR_OK;
}

/* ---- the P-256 key of a seed ---- */

static CK_RV seed_key(struct bytes seed48, BN_CTX *ctx, BIGNUM **ret)
{
    if (seed48.n != P256_SEED)
        return error_log(CKR_ARGUMENTS_BAD, "a P-256 seed of %zu bytes", seed48.n);
    BIGNUM *d = ctx ? BN_CTX_get(ctx) : NULL;
    if (!d)
        return CKR_HOST_MEMORY;
    if (!scalar_from_seed(soft_state.group[CURVE_P256], seed48, d, ctx))
        return error_openssl("P-256 key of a seed");
    *ret = d;
    return CKR_OK;
}

CK_RV soft_p256_public_from_seed(struct bytes seed48, uint8_t *ret_point65)
{
    KEEP_ERROR_QUEUE;
    CLEANUP(free_bn_ctx) BN_CTX *ctx = bn_ctx_new();
    BIGNUM *d = NULL;
    TRY(seed_key(seed48, ctx, &d));
    return nist_public(CURVE_P256, d, ret_point65, ctx);
}

CK_RV soft_p256_sign_with_seed(struct bytes seed48, struct bytes digest32, uint8_t *ret_sig64)
{
    KEEP_ERROR_QUEUE;
    if (digest32.n != 32)
        return error_log(CKR_ARGUMENTS_BAD, "P-256 signature of %zu bytes", digest32.n);
    CLEANUP(free_bn_ctx) BN_CTX *ctx = bn_ctx_new();
    BIGNUM *d = NULL;
    TRY(seed_key(seed48, ctx, &d));
    return nist_sign(CURVE_P256, d, seed48, digest32, ret_sig64, ctx);
}
