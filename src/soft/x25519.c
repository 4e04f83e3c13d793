/* X25519 (RFC 7748, 5). */
#include "internal.h"

#include <string.h>
#include "field25519.h"

static void swap(struct field *a, struct field *b, uint64_t mask)
{
    for (int i = 0; i < 5; i++) {
        uint64_t difference = (a->v[i] ^ b->v[i]) & mask;
        a->v[i] ^= difference;
        b->v[i] ^= difference;
    }
}

/* A step of Montgomery's ladder on points that differ by one with the coordinate x. */
struct ladder {
    struct field x2, z2, x3, z3;
};

static void step(struct ladder *l, struct field x)
{
    static const struct field a24 = {{121665}};
    struct field a = field_add(l->x2, l->z2), b = field_subtract(l->x2, l->z2);
    struct field aa = field_square(a), bb = field_square(b), e = field_subtract(aa, bb);
    struct field da = field_multiply(field_subtract(l->x3, l->z3), a);
    struct field cb = field_multiply(field_add(l->x3, l->z3), b);
    l->x3 = field_square(field_add(da, cb));
    l->z3 = field_multiply(x, field_square(field_subtract(da, cb)));
    l->x2 = field_multiply(aa, bb);
    l->z2 = field_multiply(e, field_add(aa, field_multiply(a24, e)));
}

void x25519(const uint8_t *scalar32, const uint8_t *u32, uint8_t *ret32)
{
    uint8_t k[X25519_SIZE];
    memcpy(k, scalar32, sizeof(k));
    k[0] &= 0xF8;
    k[31] = (uint8_t)((k[31] & 0x7F) | 0x40);
    struct field x = field_load(u32);
    struct ladder l = {field_one, field_zero, x, field_one};
    uint64_t swapped = 0;
    for (unsigned i = 255; i-- > 0;) {
        uint64_t bit = k[i / 8] >> (i % 8) & 1, mask = 0 - limbs_opaque(bit ^ swapped);
        swap(&l.x2, &l.x3, mask);
        swap(&l.z2, &l.z3, mask);
        step(&l, x);
        swapped = bit;
    }
    uint64_t mask = 0 - limbs_opaque(swapped);
    swap(&l.x2, &l.x3, mask);
    swap(&l.z2, &l.z3, mask);
    field_store(ret32, field_multiply(l.x2, field_invert(l.z2)));
    secret_wipe(k, sizeof(k));
    secret_wipe(&l, sizeof(l));
}
