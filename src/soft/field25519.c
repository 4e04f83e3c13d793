#include "field25519.h"

#include <base/secret.h>

struct field field_load(const uint8_t *p)
{
    uint64_t w[4];
    limbs_load(w, p, 4);
    struct field r = {{w[0] & FIELD_MASK, (w[0] >> 51 | w[1] << 13) & FIELD_MASK,
                       (w[1] >> 38 | w[2] << 26) & FIELD_MASK,
                       (w[2] >> 25 | w[3] << 39) & FIELD_MASK, w[3] >> 12 & FIELD_MASK}};
    secret_wipe(w, sizeof(w));
    return r;
}

/* After two carries the number is below 2 p. It is at least p exactly when adding 19 reaches 2^255,
 * and then adding 19 and dropping that bit subtracts p. */
void field_store(uint8_t *ret, struct field a)
{
    a = field_carry(field_carry(a));
    uint64_t carry = 19;
    for (int i = 0; i < 5; i++)
        carry = (a.v[i] + carry) >> FIELD_LIMB;
    a.v[0] += 19 * carry;
    carry = 0;
    for (int i = 0; i < 5; i++) {
        a.v[i] += carry;
        carry = a.v[i] >> FIELD_LIMB;
        a.v[i] &= FIELD_MASK;
    }
    uint64_t w[4] = {a.v[0] | a.v[1] << 51, a.v[1] >> 13 | a.v[2] << 38,
                     a.v[2] >> 26 | a.v[3] << 25, a.v[3] >> 39 | a.v[4] << 12};
    limbs_store(ret, w, 4);
    secret_wipe(w, sizeof(w));
}

/* a^(2^n) * b */
static struct field raise(struct field a, int n, struct field b)
{
    for (int i = 0; i < n; i++)
        a = field_square(a);
    return field_multiply(a, b);
}

/* a^(2^250 - 1): an exponent of 250 ones, made by doubling runs of ones. */
static struct field power_250_ones(struct field a)
{
    struct field ones2 = raise(a, 1, a), ones4 = raise(ones2, 2, ones2);
    struct field ones5 = raise(ones4, 1, a), ones10 = raise(ones5, 5, ones5);
    struct field ones20 = raise(ones10, 10, ones10), ones40 = raise(ones20, 20, ones20);
    struct field ones50 = raise(ones40, 10, ones10), ones100 = raise(ones50, 50, ones50);
    return raise(raise(ones100, 100, ones100), 50, ones50);
}

/* Fermat: p - 2 = (2^250 - 1) * 2^5 + 11 */
struct field field_invert(struct field a)
{
    struct field a2 = field_square(a), a3 = field_multiply(a2, a);
    struct field a11 = raise(a2, 2, a3);
    return raise(power_250_ones(a), 5, a11);
}

/* (p - 5) / 8 = (2^250 - 1) * 2^2 + 1 */
struct field field_root_power(struct field a)
{
    return raise(power_250_ones(a), 2, a);
}
