#include "limbs.h"

#include <string.h>
#include <base/secret.h>

typedef unsigned __int128 u128;

struct limbs_modulus limbs_modulus(const uint64_t *n, size_t k)
{
    uint64_t inverse = n[0]; /* right in its last 3 bits; each step doubles them */
    for (int bits = 3; bits < 64; bits *= 2)
        inverse *= 2 - n[0] * inverse;
    return (struct limbs_modulus){n, k, 0 - inverse};
}

/* ret = a mod n for a number a below 2 n, of k limbs and the bit top. */
static void subtract_once(const struct limbs_modulus *m, const uint64_t *a, uint64_t top,
                          uint64_t *ret)
{
    uint64_t difference[LIMBS_MAX], borrow = 0;
    for (size_t i = 0; i < m->k; i++) {
        u128 d = (u128)a[i] - m->n[i] - borrow;
        difference[i] = (uint64_t)d;
        borrow = (uint64_t)(d >> 64) & 1;
    }
    uint64_t keep = 0 - limbs_opaque(borrow & ~top & 1); /* all ones: a was below n */
    for (size_t i = 0; i < m->k; i++)
        ret[i] = (a[i] & keep) | (difference[i] & ~keep);
    secret_wipe(difference, m->k * sizeof(*difference));
}

/* t += a * factor; returns what goes beyond k limbs. */
static uint64_t multiply_add(uint64_t *t, const uint64_t *a, size_t k, uint64_t factor)
{
    uint64_t carry = 0;
    for (size_t j = 0; j < k; j++) {
        u128 v = (u128)a[j] * factor + t[j] + carry;
        t[j] = (uint64_t)v;
        carry = (uint64_t)(v >> 64);
    }
    return carry;
}

/* Montgomery: a multiple of n makes the lowest limb zero, so the number moves up one limb a round.
 */
void limbs_multiply(const struct limbs_modulus *m, const uint64_t *a, const uint64_t *b,
                    uint64_t *ret)
{
    size_t k = m->k;
    uint64_t t[2 * LIMBS_MAX], top = 0;
    memset(t, 0, 2 * k * sizeof(*t));
    for (size_t i = 0; i < k; i++) {
        u128 sum = (u128)top + multiply_add(t + i, b, k, a[i]);
        sum += multiply_add(t + i, m->n, k, t[i] * m->inverse);
        t[i + k] = (uint64_t)sum;
        top = (uint64_t)(sum >> 64);
    }
    subtract_once(m, t + k, top, ret);
    secret_wipe(t, 2 * k * sizeof(*t));
}

void limbs_add(const struct limbs_modulus *m, const uint64_t *a, const uint64_t *b, uint64_t *ret)
{
    uint64_t sum[LIMBS_MAX], carry = 0;
    for (size_t i = 0; i < m->k; i++) {
        u128 v = (u128)a[i] + b[i] + carry;
        sum[i] = (uint64_t)v;
        carry = (uint64_t)(v >> 64);
    }
    subtract_once(m, sum, carry, ret);
    secret_wipe(sum, m->k * sizeof(*sum));
}

void limbs_load(uint64_t *ret, const uint8_t *p, size_t k)
{
    for (size_t i = 0; i < k; i++) {
        ret[i] = 0;
        for (size_t j = 8; j-- > 0;)
            ret[i] = ret[i] << 8 | p[8 * i + j];
    }
}

void limbs_store(uint8_t *ret, const uint64_t *a, size_t k)
{
    for (size_t i = 0; i < 8 * k; i++)
        ret[i] = (uint8_t)(a[i / 8] >> (8 * (i % 8)));
}
