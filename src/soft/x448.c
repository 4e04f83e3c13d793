/* X448 (RFC 7748, 5). */
#include "internal.h"

#include <string.h>
#include "field448.h"

static void swap(struct field448 *a, struct field448 *b, uint64_t mask)
{
    struct field448 kept = *a;
    field448_choose(a, b, mask);
    field448_choose(b, &kept, mask);
}

/* A step of Montgomery's ladder on points that differ by one with the coordinate x. */
struct ladder {
    struct field448 x2, z2, x3, z3;
};

static void step(struct ladder *l, struct field448 x)
{
    static const struct field448 a24 = {{39081}};
    struct field448 a = field448_add(l->x2, l->z2), b = field448_subtract(l->x2, l->z2);
    struct field448 aa = field448_square(a), bb = field448_square(b), e = field448_subtract(aa, bb);
    struct field448 da = field448_multiply(field448_subtract(l->x3, l->z3), a);
    struct field448 cb = field448_multiply(field448_add(l->x3, l->z3), b);
    l->x3 = field448_square(field448_add(da, cb));
    l->z3 = field448_multiply(x, field448_square(field448_subtract(da, cb)));
    l->x2 = field448_multiply(aa, bb);
    l->z2 = field448_multiply(e, field448_add(aa, field448_multiply(a24, e)));
}

void x448(const uint8_t *scalar56, const uint8_t *u56, uint8_t *ret56)
{
    uint8_t k[X448_SIZE];
    memcpy(k, scalar56, sizeof(k));
    k[0] &= 0xFC;
    k[55] |= 0x80;
    struct field448 x = field448_load(u56);
    struct ladder l = {field448_one, field448_zero, x, field448_one};
    uint64_t swapped = 0;
    for (unsigned i = 448; i-- > 0;) {
        uint64_t bit = k[i / 8] >> (i % 8) & 1, mask = 0 - limbs_opaque(bit ^ swapped);
        swap(&l.x2, &l.x3, mask);
        swap(&l.z2, &l.z3, mask);
        step(&l, x);
        swapped = bit;
    }
    uint64_t mask = 0 - limbs_opaque(swapped);
    swap(&l.x2, &l.x3, mask);
    swap(&l.z2, &l.z3, mask);
    field448_store(ret56, field448_multiply(l.x2, field448_invert(l.z2)));
    secret_wipe(k, sizeof(k));
    secret_wipe(&l, sizeof(l));
}
