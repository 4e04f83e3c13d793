/* Arithmetic modulo p = 2^448 - 2^224 - 1 for X448 and Ed448, in constant time.
 *
 * A number is eight limbs of 56 bits, each of which may be more, so it has several forms;
 * field448_store gives the one below p. "Reduced" are limbs below 2^56 + 2^8: all functions return
 * such, but for field448_add, which leaves the carries to the next operation, and all take sums of
 * two of them, but for field448_add. */
#ifndef SOFT_FIELD448_H
#define SOFT_FIELD448_H

#include "limbs.h"

enum { FIELD448_LIMBS = 8, FIELD448_LIMB = 56, FIELD448_SIZE = 56 };
#define FIELD448_MASK ((1UL << FIELD448_LIMB) - 1)

struct field448 {
    uint64_t v[FIELD448_LIMBS];
};

static const struct field448 field448_zero = {{0}}, field448_one = {{1}};

/* Any limbs go in. The last carry is worth 2^448 = 2^224 + 1. */
static inline struct field448 field448_carry(struct field448 a)
{
    struct field448 r;
    uint64_t last = a.v[7] >> FIELD448_LIMB;
    r.v[0] = (a.v[0] & FIELD448_MASK) + last;
    for (int i = 1; i < FIELD448_LIMBS; i++)
        r.v[i] = (a.v[i] & FIELD448_MASK) + (a.v[i - 1] >> FIELD448_LIMB);
    r.v[4] += last;
    return r;
}

static inline struct field448 field448_add(struct field448 a, struct field448 b)
{
    for (int i = 0; i < FIELD448_LIMBS; i++)
        a.v[i] += b.v[i];
    return a;
}

/* a + 4 p - b: no limb becomes negative, even if b is a sum. */
static inline struct field448 field448_subtract(struct field448 a, struct field448 b)
{
    const uint64_t four_p = 4 * FIELD448_MASK, four_p_4 = four_p - 4;
    for (int i = 0; i < FIELD448_LIMBS; i++)
        a.v[i] += (i == 4 ? four_p_4 : four_p) - b.v[i];
    return field448_carry(a);
}

static inline struct field448 field448_negate(struct field448 a)
{
    return field448_subtract(field448_zero, a);
}

struct field448 field448_multiply(struct field448 a, struct field448 b);

static inline struct field448 field448_square(struct field448 a)
{
    return field448_multiply(a, a);
}

/* a = b where mask is all ones, a where it is zero. */
static inline void field448_choose(struct field448 *a, const struct field448 *b, uint64_t mask)
{
    for (int i = 0; i < FIELD448_LIMBS; i++)
        a->v[i] ^= (a->v[i] ^ b->v[i]) & mask;
}

/* 56 bytes, little-endian; may be p or above. */
struct field448 field448_load(const uint8_t *p);
/* The bytes of the number below p. */
void field448_store(uint8_t *ret, struct field448 a);
struct field448 field448_invert(struct field448 a); /* of 0: 0 */
/* a^((p - 3) / 4), of which square roots are made (RFC 8032, 5.2.3) */
struct field448 field448_root_power(struct field448 a);

#endif
