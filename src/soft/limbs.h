/* Numbers as arrays of 64-bit limbs, least significant first, in time that depends on their length
 * alone; and the few operations that secret numbers need besides BIGNUM's, which strip leading
 * zeros and so tell how many there are. */
#ifndef SOFT_LIMBS_H
#define SOFT_LIMBS_H

#include <base/bytes.h>

enum { LIMBS_MAX = 128 }; /* 8,192 bits */

/* v, whose value the compiler cannot reason about: masks made of it stay masks. */
static inline uint64_t limbs_opaque(uint64_t v)
{
    __asm__("" : "+r"(v));
    return v;
}

/* An odd modulus of k limbs and what Montgomery's multiplication needs beside it. */
struct limbs_modulus {
    const uint64_t *n;
    size_t k;
    uint64_t inverse; /* -1 / n mod 2^64 */
};
struct limbs_modulus limbs_modulus(const uint64_t *n, size_t k);

/* ret = a * b / 2^(64 k) mod n, below n. a is any k limbs, b is below n; ret may be either. */
void limbs_multiply(const struct limbs_modulus *m, const uint64_t *a, const uint64_t *b,
                    uint64_t *ret);
/* ret = a + b mod n; both are below n, whose top bit is clear. */
void limbs_add(const struct limbs_modulus *m, const uint64_t *a, const uint64_t *b, uint64_t *ret);

/* Little-endian bytes, 8 k of them. */
void limbs_load(uint64_t *ret, const uint8_t *p, size_t k);
void limbs_store(uint8_t *ret, const uint64_t *a, size_t k);

#endif
