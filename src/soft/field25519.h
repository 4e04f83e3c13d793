/* Arithmetic modulo p = 2^255 - 19 for X25519 and Ed25519, in constant time.
 *
 * A number is five limbs of 51 bits, each of which may be more, so it has several forms;
 * field_store gives the one below p. The functions return limbs below 2^52, but for field_add,
 * which leaves the carries to the next operation; each says what sums it takes. */
#ifndef SOFT_FIELD25519_H
#define SOFT_FIELD25519_H

#include "limbs.h"

struct field {
    uint64_t v[5];
};

enum { FIELD_LIMB = 51, FIELD_SIZE = 32 };
#define FIELD_MASK ((1UL << FIELD_LIMB) - 1)

static const struct field field_zero = {{0}}, field_one = {{1}};

/* Any limbs go in, limbs below 2^52 come out. The last carry is worth 2^255 = 19. */
static inline struct field field_carry(struct field a)
{
    const uint64_t *v = a.v;
    return (struct field){
        {(v[0] & FIELD_MASK) + 19 * (v[4] >> FIELD_LIMB),
         (v[1] & FIELD_MASK) + (v[0] >> FIELD_LIMB), (v[2] & FIELD_MASK) + (v[1] >> FIELD_LIMB),
         (v[3] & FIELD_MASK) + (v[2] >> FIELD_LIMB), (v[4] & FIELD_MASK) + (v[3] >> FIELD_LIMB)}};
}

/* Of up to four numbers, one after the other: limbs below 2^54. */
static inline struct field field_add(struct field a, struct field b)
{
    return (struct field){
        {a.v[0] + b.v[0], a.v[1] + b.v[1], a.v[2] + b.v[2], a.v[3] + b.v[3], a.v[4] + b.v[4]}};
}

/* a + 4 p - b: no limb becomes negative, for b is not a sum; a may be one. */
static inline struct field field_subtract(struct field a, struct field b)
{
    const uint64_t four_p_0 = 0x1fffffffffffb4, four_p = 0x1ffffffffffffc;
    return field_carry((struct field){{a.v[0] + four_p_0 - b.v[0], a.v[1] + four_p - b.v[1],
                                       a.v[2] + four_p - b.v[2], a.v[3] + four_p - b.v[3],
                                       a.v[4] + four_p - b.v[4]}});
}

static inline struct field field_negate(struct field a)
{
    return field_subtract(field_zero, a);
}

/* Factors may be sums: with limbs below 2^54 the products' sums are below 77 * 2^108, and their
 * carries, the last one 19 times, below 2^64. */
static inline struct field field_multiply(struct field a, struct field b)
{
    typedef unsigned __int128 u128;
    const uint64_t *x = a.v, *y = b.v;
    uint64_t y1 = 19 * y[1], y2 = 19 * y[2], y3 = 19 * y[3], y4 = 19 * y[4];
    u128 t0 =
        (u128)x[0] * y[0] + (u128)x[1] * y4 + (u128)x[2] * y3 + (u128)x[3] * y2 + (u128)x[4] * y1;
    u128 t1 =
        (u128)x[0] * y[1] + (u128)x[1] * y[0] + (u128)x[2] * y4 + (u128)x[3] * y3 + (u128)x[4] * y2;
    u128 t2 = (u128)x[0] * y[2] + (u128)x[1] * y[1] + (u128)x[2] * y[0] + (u128)x[3] * y4 +
              (u128)x[4] * y3;
    u128 t3 = (u128)x[0] * y[3] + (u128)x[1] * y[2] + (u128)x[2] * y[1] + (u128)x[3] * y[0] +
              (u128)x[4] * y4;
    u128 t4 = (u128)x[0] * y[4] + (u128)x[1] * y[3] + (u128)x[2] * y[2] + (u128)x[3] * y[1] +
              (u128)x[4] * y[0];
    t1 += (uint64_t)(t0 >> FIELD_LIMB);
    t2 += (uint64_t)(t1 >> FIELD_LIMB);
    t3 += (uint64_t)(t2 >> FIELD_LIMB);
    t4 += (uint64_t)(t3 >> FIELD_LIMB);
    uint64_t r0 = ((uint64_t)t0 & FIELD_MASK) + 19 * (uint64_t)(t4 >> FIELD_LIMB);
    return (struct field){{r0 & FIELD_MASK, ((uint64_t)t1 & FIELD_MASK) + (r0 >> FIELD_LIMB),
                           (uint64_t)t2 & FIELD_MASK, (uint64_t)t3 & FIELD_MASK,
                           (uint64_t)t4 & FIELD_MASK}};
}

static inline struct field field_square(struct field a)
{
    return field_multiply(a, a);
}

/* a = b where mask is all ones, a where it is zero. */
static inline void field_choose(struct field *a, const struct field *b, uint64_t mask)
{
    for (int i = 0; i < 5; i++)
        a->v[i] ^= (a->v[i] ^ b->v[i]) & mask;
}

/* 32 bytes, little-endian; the top bit is passed over (RFC 7748, 5). May be p or above. */
struct field field_load(const uint8_t *p);
/* The bytes of the number below p. */
void field_store(uint8_t *ret, struct field a);
struct field field_invert(struct field a); /* of 0: 0 */
/* a^((p - 5) / 8), of which square roots are made (RFC 8032, 5.1.3) */
struct field field_root_power(struct field a);

#endif
