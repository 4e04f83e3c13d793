#include "field448.h"

typedef unsigned __int128 u128;
enum { HALF = FIELD448_LIMBS / 2, COLUMNS = 2 * HALF - 1 };

struct field448 field448_load(const uint8_t *p)
{
    struct field448 r;
    for (int i = 0; i < FIELD448_LIMBS; i++) {
        r.v[i] = 0;
        for (int j = 7; j-- > 0;)
            r.v[i] = r.v[i] << 8 | p[7 * i + j];
    }
    return r;
}

/* The carries from the lowest limb on; what goes beyond the highest is returned. */
static uint64_t ripple(struct field448 *a)
{
    uint64_t carry = 0;
    for (int i = 0; i < FIELD448_LIMBS; i++) {
        a->v[i] += carry;
        carry = a->v[i] >> FIELD448_LIMB;
        a->v[i] &= FIELD448_MASK;
    }
    return carry;
}

/* After two carries the number is below 2 p. It is at least p exactly when adding 2^224 + 1 reaches
 * 2^448, and then adding that and dropping this bit subtracts p. */
void field448_store(uint8_t *ret, struct field448 a)
{
    a = field448_carry(field448_carry(a));
    struct field448 above = a;
    above.v[0]++;
    above.v[4]++;
    uint64_t reached = ripple(&above);
    a.v[0] += reached;
    a.v[4] += reached;
    ripple(&a);
    for (int i = 0; i < FIELD448_SIZE; i++)
        ret[i] = (uint8_t)(a.v[i / 7] >> (8 * (i % 7)));
}

/* The product of two halves, in columns whose carries are still to be made. */
static inline void multiply_halves(u128 ret[COLUMNS], const uint64_t *a, const uint64_t *b)
{
    ret[0] = (u128)a[0] * b[0];
    ret[1] = (u128)a[0] * b[1] + (u128)a[1] * b[0];
    ret[2] = (u128)a[0] * b[2] + (u128)a[1] * b[1] + (u128)a[2] * b[0];
    ret[3] = (u128)a[0] * b[3] + (u128)a[1] * b[2] + (u128)a[2] * b[1] + (u128)a[3] * b[0];
    ret[4] = (u128)a[1] * b[3] + (u128)a[2] * b[2] + (u128)a[3] * b[1];
    ret[5] = (u128)a[2] * b[3] + (u128)a[3] * b[2];
    ret[6] = (u128)a[3] * b[3];
}

/* The last carry is below 2^63 and worth 2^224 + 1. */
static struct field448 carry_columns(const u128 t[FIELD448_LIMBS])
{
    struct field448 r;
    u128 carry = 0;
    for (int i = 0; i < FIELD448_LIMBS; i++) {
        carry += t[i];
        r.v[i] = (uint64_t)carry & FIELD448_MASK;
        carry >>= FIELD448_LIMB;
    }
    r.v[0] += (uint64_t)carry;
    r.v[4] += (uint64_t)carry;
    for (int i = 0; i < FIELD448_LIMBS; i += HALF) {
        r.v[i + 1] += r.v[i] >> FIELD448_LIMB;
        r.v[i] &= FIELD448_MASK;
    }
    return r;
}

/* Karatsuba's way, which f = 2^224 suits, for f^2 = f + 1 mod p:
 *   (a + b f) (c + d f) = a c + b d + ((a + b) (c + d) - a c) f
 * The columns from f on of each of the two products move up by f once more. With limbs below
 * 2^57 + 2^9 the largest column is below 4 * 2^116.1 + 6 * 2^114.1. */
struct field448 field448_multiply(struct field448 a, struct field448 b)
{
    uint64_t a_sum[HALF], b_sum[HALF];
    u128 low[COLUMNS], high[COLUMNS], cross[COLUMNS], t[FIELD448_LIMBS];
    for (int i = 0; i < HALF; i++) {
        a_sum[i] = a.v[i] + a.v[i + HALF];
        b_sum[i] = b.v[i] + b.v[i + HALF];
    }
    multiply_halves(low, a.v, b.v);
    multiply_halves(high, a.v + HALF, b.v + HALF);
    multiply_halves(cross, a_sum, b_sum);
    for (int i = 0; i < COLUMNS; i++) {
        cross[i] -= low[i];
        low[i] += high[i];
    }
    for (int i = 0; i < HALF; i++) {
        u128 above = i + HALF < COLUMNS ? cross[i + HALF] : 0;
        t[i] = low[i] + above;
        t[i + HALF] = cross[i] + above + (i + HALF < COLUMNS ? low[i + HALF] : 0);
    }
    return carry_columns(t);
}

/* a^(2^n) * b */
static struct field448 raise(struct field448 a, int n, struct field448 b)
{
    for (int i = 0; i < n; i++)
        a = field448_square(a);
    return field448_multiply(a, b);
}

/* (p - 3) / 4 = 2^446 - 2^222 - 1: 223 ones, a zero and 222 ones, made by doubling runs of ones. */
struct field448 field448_root_power(struct field448 a)
{
    struct field448 ones2 = raise(a, 1, a), ones3 = raise(ones2, 1, a);
    struct field448 ones6 = raise(ones3, 3, ones3), ones9 = raise(ones6, 3, ones3);
    struct field448 ones18 = raise(ones9, 9, ones9), ones36 = raise(ones18, 18, ones18);
    struct field448 ones37 = raise(ones36, 1, a), ones74 = raise(ones37, 37, ones37);
    struct field448 ones111 = raise(ones74, 37, ones37), ones222 = raise(ones111, 111, ones111);
    return raise(raise(ones222, 1, a), 223, ones222);
}

/* Fermat: p - 2 = (p - 3) / 4 * 2^2 + 1 */
struct field448 field448_invert(struct field448 a)
{
    return raise(field448_root_power(a), 2, a);
}
