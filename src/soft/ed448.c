/* The curve of Ed448 and Ed448ph (RFC 8032, 5.2); the scheme is in eddsa.c. */
#include "internal.h"

#include <string.h>
#include "field448.h"

/* ---- the curve x^2 + y^2 = 1 - 39081 x^2 y^2 ---- */

/* x = X / Z, y = Y / Z */
struct point {
    struct field448 x, y, z;
};

static const struct field448 minus_d = {{39081}};
static const struct point base = {
    {{0x26a82bc70cc05e, 0x80e18b00938e26, 0xf72ab66511433b, 0xa3d3a46412ae1a, 0x0f1767ea6de324,
      0x36da9e14657047, 0xed221d15a622bf, 0x4f1970c66bed0d}},
    {{0x08795bf230fa14, 0x132c4ed7c8ad98, 0x1ce67c39c4fdbd, 0x05a0c2d73ad3ff, 0xa3984087789c1e,
      0xc7624bea73736c, 0x248876203756c9, 0x693f46716eb6bc}},
    {{1}}};
static const struct point neutral = {{{0}}, {{1}}, {{1}}};

/* 5.2.4: right for every two points, equal ones and the neutral one too. */
static void add(struct point *ret, const struct point *p, const struct point *q)
{
    struct field448 a = field448_multiply(p->z, q->z), b = field448_square(a);
    struct field448 c = field448_multiply(p->x, q->x), d = field448_multiply(p->y, q->y);
    struct field448 minus_e = field448_multiply(minus_d, field448_multiply(c, d));
    struct field448 f = field448_add(b, minus_e), g = field448_subtract(b, minus_e);
    struct field448 h = field448_multiply(field448_add(p->x, p->y), field448_add(q->x, q->y));
    struct field448 mixed = field448_subtract(h, field448_add(c, d));
    ret->x = field448_multiply(field448_multiply(a, f), mixed);
    ret->y = field448_multiply(field448_multiply(a, g), field448_subtract(d, c));
    ret->z = field448_multiply(f, g);
}

static void twice(struct point *ret, const struct point *p)
{
    struct field448 b = field448_square(field448_add(p->x, p->y));
    struct field448 c = field448_square(p->x), d = field448_square(p->y);
    struct field448 e = field448_add(c, d), h = field448_square(p->z);
    struct field448 j = field448_subtract(e, field448_add(h, h));
    ret->x = field448_multiply(field448_subtract(b, e), j);
    ret->y = field448_multiply(e, field448_subtract(c, d));
    ret->z = field448_multiply(e, j);
}

/* ret = table[index], reading all of it */
static void look_up(struct point *ret, const struct point table[16], uint64_t index)
{
    *ret = table[0];
    for (uint64_t i = 1; i < 16; i++) {
        uint64_t difference = i ^ index;
        uint64_t mask = limbs_opaque((difference | (0 - difference)) >> 63) - 1;
        field448_choose(&ret->x, &table[i].x, mask);
        field448_choose(&ret->y, &table[i].y, mask);
        field448_choose(&ret->z, &table[i].z, mask);
    }
}

/* ret = scalar * p, four bits at a time; the scalar is any 56 bytes, little-endian: its 57th is
 * zero. */
static void multiply(struct point *ret, const uint8_t *scalar, const struct point *p)
{
    struct point table[16] = {neutral, *p}, r = neutral, summand;
    for (int i = 2; i < 16; i++)
        add(&table[i], &table[i - 1], p);
    for (unsigned i = 2 * FIELD448_SIZE; i-- > 0;) {
        for (int j = 0; j < 4; j++)
            twice(&r, &r);
        look_up(&summand, table, scalar[i / 2] >> (i % 2 * 4) & 15);
        add(&r, &r, &summand);
    }
    *ret = r;
    secret_wipe(&r, sizeof(r));
    secret_wipe(&summand, sizeof(summand));
}

static void encode(uint8_t *ret57, const struct point *p)
{
    uint8_t x[FIELD448_SIZE];
    struct field448 z_inverse = field448_invert(p->z);
    field448_store(x, field448_multiply(p->x, z_inverse));
    field448_store(ret57, field448_multiply(p->y, z_inverse));
    ret57[56] = (uint8_t)(x[0] << 7);
}

static bool is_zero(struct field448 a)
{
    static const uint8_t zero[FIELD448_SIZE];
    uint8_t bytes[FIELD448_SIZE];
    field448_store(bytes, a);
    return memcmp(bytes, zero, sizeof(zero)) == 0;
}

/* The x of u / v = (1 - y^2) / (1 - d y^2), either of the two; false: there is none. */
static bool recover_x(struct field448 *ret, struct field448 y)
{
    struct field448 y2 = field448_square(y), u = field448_subtract(field448_one, y2);
    struct field448 v = field448_add(field448_multiply(minus_d, y2), field448_one);
    struct field448 u3v = field448_multiply(field448_multiply(field448_square(u), u), v);
    struct field448 u2v2 = field448_square(field448_multiply(u, v));
    struct field448 u5v3 = field448_multiply(u3v, u2v2);
    *ret = field448_multiply(u3v, field448_root_power(u5v3));
    return is_zero(field448_subtract(field448_multiply(v, field448_square(*ret)), u));
}

/* 5.2.3, strictly: no y of p or above, no negative zero. For public points. */
static bool decode(struct point *ret, const uint8_t *bytes57)
{
    uint8_t canonical[FIELD448_SIZE], x_bytes[FIELD448_SIZE];
    struct field448 y = field448_load(bytes57), x;
    unsigned sign = bytes57[56] >> 7;
    field448_store(canonical, y);
    if (memcmp(canonical, bytes57, FIELD448_SIZE) != 0 || (bytes57[56] & 0x7F) ||
        !recover_x(&x, y) || (sign && is_zero(x)))
        return false;
    field448_store(x_bytes, x);
    if ((x_bytes[0] & 1) != sign)
        x = field448_negate(x);
    *ret = (struct point){x, y, field448_one};
    return true;
}

/* ---- what the scheme asks for ---- */

static void clamp(uint8_t *scalar57)
{
    scalar57[0] &= 0xFC;
    scalar57[55] |= 0x80;
    scalar57[56] = 0;
}

static void multiply_base(const uint8_t *scalar57, uint8_t *ret57)
{
    struct point p;
    multiply(&p, scalar57, &base);
    encode(ret57, &p);
    secret_wipe(&p, sizeof(p));
}

static bool on_curve(const uint8_t *public57)
{
    struct point a;
    return decode(&a, public57);
}

static bool verify(const uint8_t *s57, const uint8_t *k57, const uint8_t *public57, uint8_t *ret57)
{
    struct point a, sum, product;
    if (!decode(&a, public57))
        return false;
    a.x = field448_negate(a.x);
    multiply(&sum, s57, &base);
    multiply(&product, k57, &a);
    add(&sum, &sum, &product);
    encode(ret57, &sum);
    return true;
}

/* R = 2^448 */
static const uint64_t order[] = {0x2378c292ab5844f3, 0x216cc2728dc58f55, 0xc44edb49aed63690,
                                 0xffffffff7cca23e9, 0xffffffffffffffff, 0xffffffffffffffff,
                                 0x3fffffffffffffff};
static const uint64_t r_mod_l[] = {
    0x721cf5b5529eec34, 0x7a4cf635c8e9c2ab, 0xeec492d944a725bf, 0x000000020cd77058, 0, 0, 0};
static const uint64_t r2_mod_l[] = {0xe3539257049b9b60, 0x7af32c4bc1b195d9, 0x0d66de2388ea1859,
                                    0xae17cf725ee4d838, 0x1a9cc14ba3c47c44, 0x2052bcb7e4d070af,
                                    0x3402a939f823b729};
static const uint64_t r3_mod_l[] = {0x62db79e25f9b74ed, 0x32d533584f61d636, 0x3e0d0c8b5fa74964,
                                    0x178769ed878dfcda, 0xe4c71af86754b842, 0xed66e7f42bab736d,
                                    0x0d30a4f69d3af5f1};

/* Plain Ed448 has a domain, too (5.2). */
const struct edwards edwards_448 = {
    .size = 57,
    .limbs = 7,
    .order = order,
    .powers = {r_mod_l, r2_mod_l, r3_mod_l},
    .domain = "SigEd448",
    .always_domain = true,
    .hash = soft_shake256,
    .clamp = clamp,
    .multiply_base = multiply_base,
    .on_curve = on_curve,
    .verify = verify,
};
