/* RSA private keys: their numbers, checked or completed, and the operation. */
#include "internal.h"
#include "limbs.h"

#include <stdlib.h>
#include <string.h>

enum { BYTES_MAX = PRIVATE_RSA_BITS_MAX / 8 };

CK_RV random_below(const BIGNUM *limit, BIGNUM *ret, BN_CTX *ctx)
{
    enum { EXTRA = 16 }; /* so many bytes make the bias of the remainder negligible */
    uint8_t bytes[BYTES_MAX + EXTRA];
    size_t n = (size_t)BN_num_bytes(limit) + EXTRA;
    TRY(soft_random(bytes, n));
    bool ok = BN_bin2bn(bytes, (int)n, ret) && BN_nnmod(ret, ret, limit, ctx) == 1;
    secret_wipe(bytes, n);
    return ok ? CKR_OK : error_openssl("random number");
}

/* ---- the primes from n, e and d ---- */

/* e * d - 1 = 2^t * r with r odd; false: it is not even. */
static bool split_product(const BIGNUM *e, const BIGNUM *d, BIGNUM *r, int *ret_t, BN_CTX *ctx)
{
    if (BN_mul(r, e, d, ctx) != 1 || BN_sub_word(r, 1) != 1 || BN_is_zero(r) || BN_is_odd(r))
        return false;
    int t = 0;
    while (!BN_is_bit_set(r, t))
        t++;
    *ret_t = t;
    return BN_rshift(r, r, t) == 1;
}

/* A square root of 1 other than 1 and -1, reached by squaring g^r; zero when there is none on the
 * way. CKR_ATTRIBUTE_VALUE_INVALID: the way does not end at 1, so d does not belong to n and e. */
static CK_RV root_of_one(const struct soft_key *key, const BIGNUM *g, const BIGNUM *r, int t,
                         BIGNUM *ret, BN_CTX *ctx)
{
    BIGNUM *square = bn_secret(ctx), *minus_1 = BN_CTX_get(ctx);
    if (!minus_1 || BN_sub(minus_1, key->n, BN_value_one()) != 1 ||
        BN_mod_exp_mont_consttime(ret, g, r, key->n, ctx, key->mont) != 1)
        return error_openssl("RSA primes");
    for (int i = 0; i < t; i++) {
        if (BN_is_one(ret) || BN_cmp(ret, minus_1) == 0) {
            BN_zero(ret);
            return CKR_OK;
        }
        if (BN_mod_sqr(square, ret, key->n, ctx) != 1)
            return error_openssl("RSA primes");
        if (BN_is_one(square))
            return CKR_OK;
        BN_swap(ret, square);
    }
    return CKR_ATTRIBUTE_VALUE_INVALID;
}

/* SP800-56B, C.1: every other g gives a root x of 1, and gcd(x - 1, n) is a prime. */
static CK_RV recover_primes(const struct soft_key *key, BIGNUM *const number[RSA_NUMBERS],
                            BN_CTX *ctx)
{
    enum { TRIES = 100 };
    BIGNUM *g = bn_secret(ctx), *r = bn_secret(ctx), *root = bn_secret(ctx);
    BIGNUM *p = number[RSA_P], *q = number[RSA_Q];
    int t;
    if (!root)
        return CKR_HOST_MEMORY;
    if (!split_product(key->e, number[RSA_D], r, &t, ctx))
        return CKR_ATTRIBUTE_VALUE_INVALID;
    for (int i = 0; i < TRIES; i++) {
        TRY(random_below(key->n, g, ctx));
        BN_CTX_start(ctx);
        CK_RV rv = root_of_one(key, g, r, t, root, ctx);
        BN_CTX_end(ctx);
        TRY(rv);
        if (BN_is_zero(root))
            continue;
        if (BN_sub_word(root, 1) != 1 || BN_gcd(p, root, key->n, ctx) != 1 ||
            BN_div(q, NULL, key->n, p, ctx) != 1)
            return error_openssl("RSA primes");
        if (BN_ucmp(p, q) < 0)
            BN_swap(p, q);
        return CKR_OK;
    }
    return CKR_ATTRIBUTE_VALUE_INVALID;
}

/* One of the primes from n and the other; whether it is one is seen with the rest. */
static CK_RV other_prime(BIGNUM *const number[RSA_NUMBERS], BN_CTX *ctx)
{
    bool has_p = !BN_is_zero(number[RSA_P]);
    const BIGNUM *known = number[has_p ? RSA_P : RSA_Q];
    return BN_div(number[has_p ? RSA_Q : RSA_P], NULL, number[RSA_N], known, ctx) == 1
               ? CKR_OK
               : error_openssl("RSA primes");
}

/* ---- the numbers ---- */

/* number = expected where it is missing; false where it differs. */
static bool fill_or_compare(BIGNUM *number, const BIGNUM *expected)
{
    return BN_is_zero(number) ? BN_copy(number, expected) != NULL : BN_cmp(number, expected) == 0;
}

/* exponent = d mod (prime - 1), and it undoes e: e * exponent = 1 mod (prime - 1) */
static bool check_exponent(const BIGNUM *e, const BIGNUM *d, const BIGNUM *prime, BIGNUM *exponent,
                           BN_CTX *ctx)
{
    BIGNUM *order = bn_secret(ctx), *v = bn_secret(ctx);
    return v && BN_sub(order, prime, BN_value_one()) == 1 && BN_nnmod(v, d, order, ctx) == 1 &&
           fill_or_compare(exponent, v) && BN_mod_mul(v, v, e, order, ctx) == 1 && BN_is_one(v);
}

static bool check_numbers(BIGNUM *const number[RSA_NUMBERS], BN_CTX *ctx)
{
    const BIGNUM *p = number[RSA_P], *q = number[RSA_Q], *d = number[RSA_D];
    BIGNUM *v = bn_secret(ctx);
    return v && BN_is_odd(p) && !BN_is_one(p) && BN_is_odd(q) && !BN_is_one(q) &&
           BN_mul(v, p, q, ctx) == 1 && BN_cmp(v, number[RSA_N]) == 0 &&
           BN_ucmp(d, number[RSA_N]) < 0 &&
           check_exponent(number[RSA_E], d, p, number[RSA_DP], ctx) &&
           check_exponent(number[RSA_E], d, q, number[RSA_DQ], ctx) &&
           BN_mod_inverse(v, q, p, ctx) && fill_or_compare(number[RSA_QINV], v);
}

static CK_RV make_public(BIGNUM *const number[RSA_NUMBERS], struct soft_key **ret)
{
    CLEANUP(buf_free) struct buf n = {0};
    CLEANUP(buf_free) struct buf e = {0};
    uint8_t *n_bytes, *e_bytes;
    TRY(buf_extend(&n, (size_t)BN_num_bytes(number[RSA_N]), &n_bytes));
    TRY(buf_extend(&e, (size_t)BN_num_bytes(number[RSA_E]), &e_bytes));
    BN_bn2bin(number[RSA_N], n_bytes);
    BN_bn2bin(number[RSA_E], e_bytes);
    return soft_key_rsa(buf_bytes(&n), buf_bytes(&e), ret);
}

/* Into one secret, one after the other. */
static CK_RV store_numbers(struct soft_private *k, BIGNUM *const number[RSA_NUMBERS])
{
    size_t size = 0;
    for (int i = 0; i < RSA_NUMBERS; i++)
        size += (size_t)BN_num_bytes(number[i]);
    TRY(secret_new(&k->secret, size));
    uint8_t *at = k->secret.p;
    for (int i = 0; i < RSA_NUMBERS; i++) {
        k->numbers[i] = BYTES(at, BN_bn2bin(number[i], at));
        at += k->numbers[i].n;
    }
    return CKR_OK;
}

CK_RV private_from_numbers(BIGNUM *const number[RSA_NUMBERS], BN_CTX *ctx,
                           struct soft_private **ret)
{
    int bits = BN_num_bits(number[RSA_N]);
    if (bits < PRIVATE_RSA_BITS_MIN || bits > PRIVATE_RSA_BITS_MAX)
        return CKR_ATTRIBUTE_VALUE_INVALID;
    CLEANUP(soft_private_free) struct soft_private *k = calloc(1, sizeof(*k));
    if (!k)
        return CKR_HOST_MEMORY;
    TRY(make_public(number, &k->public_));
    if (BN_is_zero(number[RSA_P]) && BN_is_zero(number[RSA_Q]))
        TRY(recover_primes(k->public_, number, ctx));
    else if (BN_is_zero(number[RSA_P]) || BN_is_zero(number[RSA_Q]))
        TRY(other_prime(number, ctx));
    if (!check_numbers(number, ctx))
        return CKR_ATTRIBUTE_VALUE_INVALID;
    TRY(store_numbers(k, number));
    *ret = k;
    k = NULL;
    return CKR_OK;
}

CK_RV soft_private_from_rsa(const struct bytes number[RSA_NUMBERS], struct soft_private **ret)
{
    KEEP_ERROR_QUEUE;
    CLEANUP(free_bn_ctx) BN_CTX *ctx = bn_ctx_new();
    BIGNUM *bn[RSA_NUMBERS];
    if (!ctx)
        return CKR_HOST_MEMORY;
    for (int i = 0; i < RSA_NUMBERS; i++) {
        if (number[i].n > BYTES_MAX + 8) /* some leading zeros */
            return CKR_ATTRIBUTE_VALUE_INVALID;
        if (!(bn[i] = bn_secret(ctx)) || !BN_bin2bn(number[i].p, (int)number[i].n, bn[i]))
            return CKR_HOST_MEMORY;
    }
    return private_from_numbers(bn, ctx, ret);
}

CK_RV private_of_numbers(const struct bytes number[RSA_NUMBERS], struct soft_private **ret)
{
    CLEANUP(soft_private_free) struct soft_private *k = calloc(1, sizeof(*k));
    size_t size = 0;
    if (!k)
        return CKR_HOST_MEMORY;
    for (int i = 0; i < RSA_NUMBERS; i++)
        size += number[i].n;
    if (number[RSA_N].n > BYTES_MAX || size > RSA_NUMBERS * (size_t)BYTES_MAX)
        return CKR_ATTRIBUTE_VALUE_INVALID;
    TRY(soft_key_rsa(number[RSA_N], number[RSA_E], &k->public_));
    TRY(secret_new(&k->secret, size));
    uint8_t *at = k->secret.p;
    for (int i = 0; i < RSA_NUMBERS; at += number[i++].n) {
        if (number[i].n == 0) /* not what we write */
            return CKR_ATTRIBUTE_VALUE_INVALID;
        memcpy(at, number[i].p, number[i].n);
        k->numbers[i] = BYTES(at, number[i].n);
    }
    *ret = k;
    k = NULL;
    return CKR_OK;
}

/* ---- the operation ---- */

/* ret = in mod prime, for an exponentiation with mont */
static bool reduce(const BIGNUM *in, const BIGNUM *prime, BN_MONT_CTX *mont, BIGNUM *ret,
                   BN_CTX *ctx)
{
    return ret && BN_MONT_CTX_set(mont, prime, ctx) == 1 && BN_nnmod(ret, in, prime, ctx) == 1;
}

/* RFC 8017 5.1.2, step 2 b: m1 and m2 by their primes, m = m2 + q * ((m1 - m2) * qinv mod p) */
static bool crt(BIGNUM *const number[RSA_NUMBERS], const BIGNUM *in, BIGNUM *ret, BN_CTX *ctx)
{
    const BIGNUM *p = number[RSA_P], *q = number[RSA_Q];
    CLEANUP(free_mont) BN_MONT_CTX *mont_p = BN_MONT_CTX_new();
    CLEANUP(free_mont) BN_MONT_CTX *mont_q = BN_MONT_CTX_new();
    BIGNUM *m1 = bn_secret(ctx), *m2 = bn_secret(ctx), *h = bn_secret(ctx);
    BIGNUM *in_p = bn_secret(ctx), *in_q = bn_secret(ctx);
    /* both powers in one call: where the processor can do them side by side, it takes half as long
     */
    return mont_p && mont_q && h && reduce(in, p, mont_p, in_p, ctx) &&
           reduce(in, q, mont_q, in_q, ctx) &&
           BN_mod_exp_mont_consttime_x2(m1, in_p, number[RSA_DP], p, mont_p, m2, in_q,
                                        number[RSA_DQ], q, mont_q, ctx) == 1 &&
           BN_nnmod(h, m2, p, ctx) == 1 && BN_mod_sub_quick(h, m1, h, p) == 1 &&
           BN_to_montgomery(h, h, mont_p, ctx) == 1 &&
           BN_mod_mul_montgomery(h, h, number[RSA_QINV], mont_p, ctx) == 1 &&
           BN_mul(h, h, q, ctx) == 1 && BN_add(ret, m2, h) == 1;
}

/* The e-th power and the inverse of a random number, which serve once: whoever chooses the input
 * does not know what the prime exponents are applied to. */
struct blinding {
    BIGNUM *power, *inverse;
};

/* A number r of 128 bits: to guess it is as hard as to guess a key, and with u = -1 / n mod r its
 * inverse is 1 / r = (1 + n * u) / r, in a tenth of BN_mod_inverse's time modulo n. */
static CK_RV blind(const struct soft_key *key, struct blinding *b, BN_CTX *ctx)
{
    uint8_t random[16];
    BIGNUM *r = BN_CTX_get(ctx), *rest = BN_CTX_get(ctx);
    b->power = BN_CTX_get(ctx);
    if (!(b->inverse = BN_CTX_get(ctx)))
        return CKR_HOST_MEMORY;
    TRY(soft_random(random, sizeof(random)));
    random[0] |= 0x80;
    bool ok = BN_bin2bn(random, sizeof(random), r) && BN_nnmod(rest, key->n, r, ctx) == 1 &&
              BN_sub(rest, r, rest) == 1 && BN_mod_inverse(rest, rest, r, ctx) &&
              BN_mul(b->inverse, rest, key->n, ctx) == 1 && BN_add_word(b->inverse, 1) == 1 &&
              BN_div(b->inverse, rest, b->inverse, r, ctx) == 1 && BN_is_zero(rest) &&
              BN_mod_exp_mont(b->power, r, key->e, key->n, ctx, key->mont) == 1;
    secret_wipe(random, sizeof(random));
    return ok ? CKR_OK : error_openssl("RSA blinding");
}

static bool to_limbs(const BIGNUM *v, size_t k, uint64_t *ret)
{
    uint8_t bytes[8 * LIMBS_MAX];
    bool ok = BN_bn2lebinpad(v, bytes, (int)(8 * k)) >= 0;
    if (ok)
        limbs_load(ret, bytes, k);
    secret_wipe(bytes, sizeof(bytes));
    return ok;
}

/* ret = m * inverse mod n in bytes. In limbs, since a BIGNUM would lose the result's leading zeros
 * in a time that shows: an oracle for RSA decryption. */
static bool unblind(const struct soft_key *key, const BIGNUM *m, const BIGNUM *inverse,
                    uint8_t *ret, BN_CTX *ctx)
{
    size_t k = (key->size + 7) / 8;
    uint64_t n[LIMBS_MAX], a[LIMBS_MAX], b[LIMBS_MAX];
    uint8_t bytes[8 * LIMBS_MAX];
    BIGNUM *r2 = BN_CTX_get(ctx);
    bool ok = r2 && BN_set_bit(r2, (int)(128 * k)) == 1 && BN_nnmod(r2, r2, key->n, ctx) == 1 &&
              to_limbs(key->n, k, n) && to_limbs(inverse, k, a) && to_limbs(r2, k, b);
    if (ok) {
        struct limbs_modulus modulus = limbs_modulus(n, k);
        limbs_multiply(&modulus, a, b, b); /* the inverse in Montgomery's form */
        ok = to_limbs(m, k, a);
        limbs_multiply(&modulus, a, b, a);
        limbs_store(bytes, a, k);
        for (size_t i = 0; i < key->size; i++)
            ret[i] = bytes[key->size - 1 - i];
    }
    secret_wipe(a, sizeof(a));
    secret_wipe(b, sizeof(b));
    secret_wipe(bytes, sizeof(bytes));
    return ok;
}

static bool load_numbers(const struct soft_private *k, BIGNUM *number[RSA_NUMBERS], BN_CTX *ctx)
{
    for (int i = RSA_P; i < RSA_NUMBERS; i++)
        if (!(number[i] = bn_secret(ctx)) ||
            !BN_bin2bn(k->numbers[i].p, (int)k->numbers[i].n, number[i]))
            return false;
    return true;
}

CK_RV soft_private_rsa(const struct soft_private *k, struct bytes in, uint8_t *ret)
{
    KEEP_ERROR_QUEUE;
    const struct soft_key *key = k->public_;
    if (k->curve != CURVE_NONE)
        return CKR_KEY_TYPE_INCONSISTENT;
    if (in.n > key->size)
        return CKR_DATA_LEN_RANGE;
    CLEANUP(free_bn_ctx) BN_CTX *ctx = bn_ctx_new();
    BIGNUM *number[RSA_NUMBERS];
    struct blinding b;
    BIGNUM *c = ctx ? BN_CTX_get(ctx) : NULL, *m = ctx ? BN_CTX_get(ctx) : NULL;
    BIGNUM *check = m ? BN_CTX_get(ctx) : NULL;
    if (!check || !BN_bin2bn(in.p, (int)in.n, c) || !load_numbers(k, number, ctx))
        return CKR_HOST_MEMORY;
    if (BN_ucmp(c, key->n) >= 0)
        return CKR_DATA_INVALID;
    TRY(blind(key, &b, ctx));
    if (BN_mod_mul(c, c, b.power, key->n, ctx) != 1 || !crt(number, c, m, ctx) ||
        BN_mod_exp_mont(check, m, key->e, key->n, ctx, key->mont) != 1)
        return error_openssl("RSA private-key operation");
    /* Boneh, DeMillo and Lipton: one wrong half gives the primes away */
    if (BN_cmp(check, c) != 0)
        return error_log(CKR_FUNCTION_FAILED, "an RSA result was wrong and is withheld");
    return unblind(key, m, b.inverse, ret, ctx) ? CKR_OK : error_openssl("RSA unblinding");
}
