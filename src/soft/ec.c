/* ECDSA and ECDH (SEC 1, FIPS 186-5) on OpenSSL's point arithmetic. */
#include "internal.h"

#include <stdlib.h>

static size_t point_size(enum curve c)
{
    return 1 + 2 * curve_field_size(c);
}

/* NULL when it is not an uncompressed point of the curve; OpenSSL tests the equation. The cofactor
 * of every curve here is 1, so the point then has the full order. */
static EC_POINT *point_decode(enum curve c, struct bytes point, BN_CTX *ctx)
{
    const EC_GROUP *group = soft_state.group[c];
    if (!group || point.n != point_size(c) || point.p[0] != POINT_CONVERSION_UNCOMPRESSED)
        return NULL;
    CLEANUP(free_point) EC_POINT *p = EC_POINT_new(group);
    if (!p || EC_POINT_oct2point(group, p, point.p, point.n, ctx) != 1)
        return NULL;
    EC_POINT *ret = p;
    p = NULL;
    return ret;
}

static bool point_encode(enum curve c, const EC_POINT *point, uint8_t *ret, BN_CTX *ctx)
{
    return EC_POINT_point2oct(soft_state.group[c], point, POINT_CONVERSION_UNCOMPRESSED, ret,
                              point_size(c), ctx) == point_size(c);
}

CK_RV soft_key_ec(enum curve c, struct bytes point, struct soft_key **ret)
{
    KEEP_ERROR_QUEUE;
    CLEANUP(soft_key_free) struct soft_key *k = calloc(1, sizeof(*k));
    CLEANUP(free_bn_ctx) BN_CTX *ctx = bn_ctx_new();
    if (!k || !ctx)
        return CKR_HOST_MEMORY;
    *k = (struct soft_key){.curve = c, .size = curve_field_size(c)};
    k->point = point_decode(c, point, ctx);
    if (!k->point)
        return CKR_ATTRIBUTE_VALUE_INVALID;
    *ret = k;
    k = NULL;
    return CKR_OK;
}

/* ---- multiplication ----
 *
 * EC_POINT_mul is constant in time for one scalar and one point. But for P-384, which alone has no
 * code of its own on 64-bit machines, it blinds by RAND_priv_bytes_ex, and that asks the host's
 * RAND method or engine. So P-384 is multiplied here. */

/* Montgomery's ladder: an addition and a doubling for every bit. The order is added to the scalar,
 * since its own length may not show; r1 - r0 stays the point. */
static bool ladder(const EC_GROUP *group, EC_POINT *ret, const EC_POINT *point,
                   const BIGNUM *scalar, BN_CTX *ctx)
{
    BIGNUM *k = BN_CTX_get(ctx);
    CLEANUP(free_point) EC_POINT *r0 = EC_POINT_dup(point, group);
    CLEANUP(free_point) EC_POINT *r1 = EC_POINT_new(group);
    if (!k || !r0 || !r1 || BN_add(k, scalar, EC_GROUP_get0_order(group)) != 1 ||
        EC_POINT_dbl(group, r1, point, ctx) != 1)
        return false;
    EC_POINT *r[2] = {r0, r1};
    for (int i = BN_num_bits(k) - 2; i >= 0; i--) {
        int bit = BN_is_bit_set(k, i);
        if (EC_POINT_add(group, r[!bit], r0, r1, ctx) != 1 ||
            EC_POINT_dbl(group, r[bit], r[bit], ctx) != 1)
            return false;
    }
    return EC_POINT_copy(ret, r0) == 1;
}

/* ret = scalar * point */
static bool multiply_secret(enum curve c, EC_POINT *ret, const EC_POINT *point,
                            const BIGNUM *scalar, BN_CTX *ctx)
{
    const EC_GROUP *group = soft_state.group[c];
    return c == CURVE_P384 ? ladder(group, ret, point, scalar, ctx)
                           : EC_POINT_mul(group, ret, NULL, point, scalar, ctx) == 1;
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
    return c == CURVE_P384 ? double_and_add(group, ret, u1, point, u2, ctx)
                           : EC_POINT_mul(group, ret, u1, point, u2, ctx) == 1;
}

/* ---- ECDSA ---- */

/* SEC 1, 4.1.3 step 5: the leftmost bits of the digest, as many as the order has. The orders of
 * P-224, P-256 and P-384 are whole bytes long, that of P-521 is longer than any digest. */
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

/* ---- private scalars ---- */

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

static CK_RV random_scalar(enum curve c, BIGNUM *ret, BN_CTX *ctx)
{
    uint8_t seed[SEED_MAX];
    size_t n = curve_field_size(c) + SEED_EXTRA;
    TRY(soft_random(seed, n));
    bool ok = scalar_from_seed(soft_state.group[c], BYTES(seed, n), ret, ctx);
    secret_wipe(seed, sizeof(seed));
    return ok ? CKR_OK : error_openssl("EC private key");
}

CK_RV soft_ecdh_ephemeral(enum curve c, struct bytes peer, struct buf *ret_point,
                          struct secret *ret_z)
{
    KEEP_ERROR_QUEUE;
    const EC_GROUP *group = soft_state.group[c];
    CLEANUP(free_bn_ctx) BN_CTX *ctx = bn_ctx_new();
    if (!ctx)
        return CKR_HOST_MEMORY;
    CLEANUP(free_point) EC_POINT *other = point_decode(c, peer, ctx);
    if (!other)
        return CKR_DOMAIN_PARAMS_INVALID;
    CLEANUP(free_point) EC_POINT *product = EC_POINT_new(group);
    CLEANUP(buf_free) struct buf point = {0};
    CLEANUP(secret_free) struct secret z = {0};
    uint8_t *own;
    BIGNUM *d = BN_CTX_get(ctx), *x = BN_CTX_get(ctx);
    if (!product || !x)
        return CKR_HOST_MEMORY;
    TRY(buf_extend(&point, point_size(c), &own));
    TRY(secret_new(&z, curve_field_size(c)));
    TRY(random_scalar(c, d, ctx));
    if (!multiply_secret(c, product, EC_GROUP_get0_generator(group), d, ctx) ||
        !point_encode(c, product, own, ctx) || !multiply_secret(c, product, other, d, ctx) ||
        EC_POINT_get_affine_coordinates(group, product, x, NULL, ctx) != 1 ||
        BN_bn2binpad(x, z.p, (int)z.n) < 0)
        return error_openssl("ECDH");
    TRY(buf_bytes_append(ret_point, buf_bytes(&point)));
    *ret_z = z;
    z = (struct secret){0};
    return CKR_OK;
}

CK_RV soft_p256_public_from_seed(struct bytes seed48, uint8_t *ret_point65)
{
    KEEP_ERROR_QUEUE;
    if (seed48.n != P256_SEED)
        return error_log(CKR_ARGUMENTS_BAD, "a P-256 seed of %zu bytes", seed48.n);
    const EC_GROUP *group = soft_state.group[CURVE_P256];
    CLEANUP(free_bn_ctx) BN_CTX *ctx = bn_ctx_new();
    CLEANUP(free_point) EC_POINT *point = EC_POINT_new(group);
    BIGNUM *d = ctx ? BN_CTX_get(ctx) : NULL;
    if (!d || !point)
        return CKR_HOST_MEMORY;
    if (!scalar_from_seed(group, seed48, d, ctx) ||
        EC_POINT_mul(group, point, d, NULL, NULL, ctx) != 1 ||
        !point_encode(CURVE_P256, point, ret_point65, ctx))
        return error_openssl("P-256 public key");
    return CKR_OK;
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

CK_RV soft_p256_sign_with_seed(struct bytes seed48, struct bytes digest32, uint8_t *ret_sig64)
{
    KEEP_ERROR_QUEUE;
    if (seed48.n != P256_SEED || digest32.n != 32)
        return error_log(CKR_ARGUMENTS_BAD, "P-256 signature with a seed of %zu bytes", seed48.n);
    const EC_GROUP *group = soft_state.group[CURVE_P256];
    CLEANUP(free_bn_ctx) BN_CTX *ctx = bn_ctx_new();
    CLEANUP(free_point) EC_POINT *point = EC_POINT_new(group);
    if (!ctx || !point)
        return CKR_HOST_MEMORY;
    BIGNUM *d = BN_CTX_get(ctx), *k = BN_CTX_get(ctx), *r = BN_CTX_get(ctx), *s = BN_CTX_get(ctx);
    if (!s)
        return CKR_HOST_MEMORY;
    TRY(random_scalar(CURVE_P256, k, ctx));
    /* r or s is zero with a probability of 2^-255; the signature is then merely invalid */
    if (!scalar_from_seed(group, seed48, d, ctx) || !digest_number(CURVE_P256, digest32, s) ||
        EC_POINT_mul(group, point, k, NULL, NULL, ctx) != 1 || !x_mod_order(group, point, r, ctx) ||
        !sign_equation(group, d, k, r, s, ctx) || BN_bn2binpad(r, ret_sig64, 32) < 0 ||
        BN_bn2binpad(s, ret_sig64 + 32, 32) < 0)
        return error_openssl("P-256 signature");
    return CKR_OK;
}
