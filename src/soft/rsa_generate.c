/* RSA key pairs (FIPS 186-5, A.1.3: probable primes).
 *
 * OpenSSL's own generation, the provider's too, draws from the host's RAND method; so do its
 * primality tests. Here the random bytes are getrandom's, and the tests are made of BIGNUM's
 * exponentiation. How many candidates were thrown away can be seen from outside and tells nothing
 * of the one that was kept: each is drawn anew. */
#include "internal.h"

enum {
    SMALL_PRIMES_BELOW = 4096,
    /* For random candidates of 512 bits and more the error is far below 2^-100 (FIPS 186-5, B.3,
     * table B.1 asks for 7 at most). */
    ROUNDS = 16,
};

/* ---- primality ---- */

/* Eratosthenes: composite[i] of the odd number 2 i + 1 */
static void sieve(bool composite[SMALL_PRIMES_BELOW / 2])
{
    for (unsigned v = 3; v * v < SMALL_PRIMES_BELOW; v += 2)
        for (unsigned m = v * v; !composite[v / 2] && m < SMALL_PRIMES_BELOW; m += 2 * v)
            composite[m / 2] = true;
}

static bool has_small_factor(const BIGNUM *n, const bool composite[SMALL_PRIMES_BELOW / 2])
{
    for (unsigned v = 3; v < SMALL_PRIMES_BELOW; v += 2)
        if (!composite[v / 2] && BN_mod_word(n, v) == 0)
            return true;
    return false;
}

/* A candidate w, w - 1 = 2^a * m, and the modulus' precomputed part. */
struct candidate {
    const BIGNUM *w;
    BIGNUM *minus_1, *m;
    int a;
    BN_MONT_CTX *mont;
};

/* FIPS 186-5, B.3.1 step 4: one base. */
static CK_RV miller_rabin_round(const struct candidate *c, bool *ret_composite, BN_CTX *ctx)
{
    BIGNUM *base = bn_secret(ctx), *range = bn_secret(ctx);
    if (!range || !BN_copy(range, c->minus_1) || BN_sub_word(range, 2) != 1)
        return CKR_HOST_MEMORY;
    TRY(random_below(range, base, ctx)); /* then from 2 to w - 2 */
    if (BN_add_word(base, 2) != 1 ||
        BN_mod_exp_mont_consttime(base, base, c->m, c->w, ctx, c->mont) != 1)
        return error_openssl("primality test");
    bool passed = BN_is_one(base) || BN_cmp(base, c->minus_1) == 0;
    for (int i = 1; !passed && i < c->a; i++) {
        if (BN_mod_sqr(base, base, c->w, ctx) != 1)
            return error_openssl("primality test");
        passed = BN_cmp(base, c->minus_1) == 0;
    }
    *ret_composite = !passed;
    return CKR_OK;
}

static CK_RV is_prime(const BIGNUM *w, bool *ret)
{
    CLEANUP(free_bn_ctx) BN_CTX *ctx = bn_ctx_new();
    CLEANUP(free_mont) BN_MONT_CTX *mont = BN_MONT_CTX_new();
    struct candidate c = {.w = w, .mont = mont};
    if (!ctx || !mont || !(c.minus_1 = bn_secret(ctx)) || !(c.m = bn_secret(ctx)))
        return CKR_HOST_MEMORY;
    if (BN_sub(c.minus_1, w, BN_value_one()) != 1 || BN_MONT_CTX_set(mont, w, ctx) != 1)
        return error_openssl("primality test");
    while (!BN_is_bit_set(c.minus_1, c.a))
        c.a++;
    if (BN_rshift(c.m, c.minus_1, c.a) != 1)
        return error_openssl("primality test");
    bool composite = false;
    for (int i = 0; i < ROUNDS && !composite; i++)
        TRY(miller_rabin_round(&c, &composite, ctx));
    *ret = !composite;
    return CKR_OK;
}

/* ---- the two primes ---- */

/* gcd(p - 1, e) = 1 */
static bool suits_exponent(const BIGNUM *p, uint64_t e)
{
    uint64_t a = e, b = BN_mod_word(p, e); /* no sum of them: e may have 64 bits */
    b = b ? b - 1 : e - 1;
    while (b) {
        uint64_t remainder = a % b;
        a = b;
        b = remainder;
    }
    return a == 1;
}

/* bits random bits, the first two and the last of which are one: the product of two such numbers is
 * 2 * bits long. */
static CK_RV draw(size_t bits, BIGNUM *ret)
{
    uint8_t bytes[PRIVATE_RSA_BITS_MAX / 16];
    size_t n = bits / 8;
    TRY(soft_random(bytes, n));
    bytes[0] |= 0xC0;
    bytes[n - 1] |= 1;
    bool ok = BN_bin2bn(bytes, (int)n, ret) != NULL;
    secret_wipe(bytes, n);
    return ok ? CKR_OK : CKR_HOST_MEMORY;
}

static CK_RV random_prime(size_t bits, uint64_t e, BIGNUM *ret)
{
    bool composite[SMALL_PRIMES_BELOW / 2] = {false}, found = false;
    sieve(composite);
    while (!found) {
        TRY(draw(bits, ret));
        if (!has_small_factor(ret, composite) && suits_exponent(ret, e))
            TRY(is_prime(ret, &found));
    }
    return CKR_OK;
}

/* A.1.3 step 5.4: |p - q| > 2^(bits - 100), bits being those of a prime. */
static bool far_apart(const BIGNUM *p, const BIGNUM *q, size_t bits, BN_CTX *ctx)
{
    BIGNUM *difference = bn_secret(ctx);
    return difference && BN_sub(difference, p, q) == 1 &&
           (size_t)BN_num_bits(difference) > bits - 99;
}

/* p > q, as most software has it */
static CK_RV draw_primes(size_t bits, uint64_t e, BIGNUM *p, BIGNUM *q, BN_CTX *ctx)
{
    TRY(random_prime(bits, e, p));
    do {
        TRY(random_prime(bits, e, q));
    } while (!far_apart(p, q, bits, ctx));
    if (BN_ucmp(p, q) < 0)
        BN_swap(p, q);
    return CKR_OK;
}

/* d = 1 / e mod lcm(p - 1, q - 1) */
static bool make_d(BIGNUM *const number[RSA_NUMBERS], BN_CTX *ctx)
{
    BIGNUM *p = bn_secret(ctx), *q = bn_secret(ctx), *gcd = bn_secret(ctx), *lcm = bn_secret(ctx);
    return lcm && BN_sub(p, number[RSA_P], BN_value_one()) == 1 &&
           BN_sub(q, number[RSA_Q], BN_value_one()) == 1 && BN_gcd(gcd, p, q, ctx) == 1 &&
           BN_div(p, NULL, p, gcd, ctx) == 1 && BN_mul(lcm, p, q, ctx) == 1 &&
           BN_mod_inverse(number[RSA_D], number[RSA_E], lcm, ctx) != NULL;
}

/* From 3 to 64 bits; 0 for another exponent. */
static uint64_t exponent_word(struct bytes exponent)
{
    uint64_t e = 0;
    for (size_t i = 0; i < exponent.n; i++) {
        if (e >> 56)
            return 0;
        e = e << 8 | exponent.p[i];
    }
    return e % 2 && e > 1 ? e : 0;
}

CK_RV soft_private_generate_rsa(size_t bits, struct bytes exponent, struct soft_private **ret)
{
    KEEP_ERROR_QUEUE;
    uint64_t e = exponent_word(exponent);
    if (bits < PRIVATE_RSA_BITS_MIN || bits > PRIVATE_RSA_BITS_MAX || bits % 16)
        return CKR_KEY_SIZE_RANGE;
    if (e == 0)
        return CKR_ATTRIBUTE_VALUE_INVALID;
    CLEANUP(free_bn_ctx) BN_CTX *ctx = bn_ctx_new();
    BIGNUM *number[RSA_NUMBERS];
    for (int i = 0; i < RSA_NUMBERS; i++)
        if (!ctx || !(number[i] = bn_secret(ctx)))
            return CKR_HOST_MEMORY;
    if (BN_set_word(number[RSA_E], e) != 1)
        return CKR_HOST_MEMORY;
    /* A.1.3 step 3: d is longer than half of n, but for a probability of 2^-bits/2 */
    do {
        TRY(draw_primes(bits / 2, e, number[RSA_P], number[RSA_Q], ctx));
        if (BN_mul(number[RSA_N], number[RSA_P], number[RSA_Q], ctx) != 1 || !make_d(number, ctx))
            return error_openssl("RSA key generation");
    } while ((size_t)BN_num_bits(number[RSA_D]) <= bits / 2);
    return private_from_numbers(number, ctx, ret);
}
