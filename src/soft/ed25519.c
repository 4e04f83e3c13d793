/* The curve of Ed25519, Ed25519ctx and Ed25519ph (RFC 8032, 5.1); the scheme is in eddsa.c. */
#include "internal.h"

#include <string.h>
#include "field25519.h"

/* ---- the curve -x^2 + y^2 = 1 + d x^2 y^2 ---- */

/* Extended coordinates: x = X / Z, y = Y / Z, x * y = T / Z */
struct point {
    struct field x, y, z, t;
};

static const struct field d = {
    {0x34dca135978a3, 0x1a8283b156ebd, 0x5e7a26001c029, 0x739c663a03cbb, 0x52036cee2b6ff}};
static const struct field d_twice = {
    {0x69b9426b2f159, 0x35050762add7a, 0x3cf44c0038052, 0x6738cc7407977, 0x2406d9dc56dff}};
static const struct field root_of_minus_1 = {
    {0x61b274a0ea0b0, 0x0d5a5fc8f189d, 0x7ef5e9cbd0c60, 0x78595a6804c9e, 0x2b8324804fc1d}};
static const struct point base = {
    {{0x62d608f25d51a, 0x412a4b4f6592a, 0x75b7171a4b31d, 0x1ff60527118fe, 0x216936d3cd6e5}},
    {{0x6666666666658, 0x4cccccccccccc, 0x1999999999999, 0x3333333333333, 0x6666666666666}},
    {{1}},
    {{0x68ab3a5b7dda3, 0x00eea2a5eadbb, 0x2af8df483c27e, 0x332b375274732, 0x67875f0fd78b7}}};
static const struct point neutral = {{{0}}, {{1}}, {{1}}, {{0}}};

static void finish_sum(struct point *ret, struct field e, struct field f, struct field g,
                       struct field h)
{
    ret->x = field_multiply(e, f);
    ret->y = field_multiply(g, h);
    ret->t = field_multiply(e, h);
    ret->z = field_multiply(f, g);
}

/* 5.1.4: right for every two points, equal ones and the neutral one too. */
static void add(struct point *ret, const struct point *p, const struct point *q)
{
    struct field a = field_multiply(field_subtract(p->y, p->x), field_subtract(q->y, q->x));
    struct field b = field_multiply(field_add(p->y, p->x), field_add(q->y, q->x));
    struct field c = field_multiply(field_multiply(p->t, d_twice), q->t);
    struct field z = field_multiply(p->z, q->z), z_twice = field_add(z, z);
    finish_sum(ret, field_subtract(b, a), field_subtract(z_twice, c), field_add(z_twice, c),
               field_add(b, a));
}

static void twice(struct point *ret, const struct point *p)
{
    struct field a = field_square(p->x), b = field_square(p->y), z = field_square(p->z);
    struct field h = field_add(a, b), g = field_subtract(a, b);
    struct field e = field_subtract(h, field_square(field_add(p->x, p->y)));
    finish_sum(ret, e, field_add(field_add(z, z), g), g, h);
}

/* ret = table[index], reading all of it */
static void look_up(struct point *ret, const struct point table[16], uint64_t index)
{
    *ret = table[0];
    for (uint64_t i = 1; i < 16; i++) {
        uint64_t difference = i ^ index;
        uint64_t mask = limbs_opaque((difference | (0 - difference)) >> 63) - 1;
        field_choose(&ret->x, &table[i].x, mask);
        field_choose(&ret->y, &table[i].y, mask);
        field_choose(&ret->z, &table[i].z, mask);
        field_choose(&ret->t, &table[i].t, mask);
    }
}

/* ret = scalar * p, four bits at a time; the scalar is any 32 bytes, little-endian. */
static void multiply(struct point *ret, const uint8_t *scalar32, const struct point *p)
{
    struct point table[16] = {neutral, *p}, r = neutral, summand;
    for (int i = 2; i < 16; i++)
        add(&table[i], &table[i - 1], p);
    for (unsigned i = 64; i-- > 0;) {
        for (int j = 0; j < 4; j++)
            twice(&r, &r);
        look_up(&summand, table, scalar32[i / 2] >> (i % 2 * 4) & 15);
        add(&r, &r, &summand);
    }
    *ret = r;
    secret_wipe(&r, sizeof(r));
    secret_wipe(&summand, sizeof(summand));
}

static void encode(uint8_t *ret32, const struct point *p)
{
    uint8_t x[FIELD_SIZE];
    struct field z_inverse = field_invert(p->z);
    field_store(x, field_multiply(p->x, z_inverse));
    field_store(ret32, field_multiply(p->y, z_inverse));
    ret32[31] |= (uint8_t)(x[0] << 7);
}

static bool is_zero(struct field a)
{
    static const uint8_t zero[FIELD_SIZE];
    uint8_t bytes[FIELD_SIZE];
    field_store(bytes, a);
    return memcmp(bytes, zero, sizeof(zero)) == 0;
}

/* The x of u / v = (y^2 - 1) / (d y^2 + 1), either of the two; false: there is none. */
static bool recover_x(struct field *ret, struct field y)
{
    struct field y2 = field_square(y), u = field_subtract(y2, field_one);
    struct field v = field_add(field_multiply(d, y2), field_one);
    struct field v3 = field_multiply(field_square(v), v);
    struct field v7 = field_multiply(field_square(v3), v);
    struct field x = field_multiply(field_multiply(u, v3), field_root_power(field_multiply(u, v7)));
    struct field vx2 = field_multiply(v, field_square(x));
    bool root = is_zero(field_subtract(vx2, u)), other = is_zero(field_add(vx2, u));
    *ret = other ? field_multiply(x, root_of_minus_1) : x;
    return root || other;
}

/* 5.1.3, strictly: no y of p or above, no negative zero. For public points. */
static bool decode(struct point *ret, const uint8_t *bytes32)
{
    uint8_t canonical[FIELD_SIZE], x_bytes[FIELD_SIZE];
    struct field y = field_load(bytes32), x;
    unsigned sign = bytes32[31] >> 7;
    field_store(canonical, y);
    canonical[31] |= (uint8_t)(sign << 7);
    if (memcmp(canonical, bytes32, FIELD_SIZE) != 0 || !recover_x(&x, y) || (sign && is_zero(x)))
        return false;
    field_store(x_bytes, x);
    if ((x_bytes[0] & 1) != sign)
        x = field_negate(x);
    *ret = (struct point){x, y, field_one, field_multiply(x, y)};
    return true;
}

/* ---- what the scheme asks for ---- */

static void clamp(uint8_t *scalar32)
{
    scalar32[0] &= 0xF8;
    scalar32[31] = (uint8_t)((scalar32[31] & 0x7F) | 0x40);
}

static void multiply_base(const uint8_t *scalar32, uint8_t *ret32)
{
    struct point p;
    multiply(&p, scalar32, &base);
    encode(ret32, &p);
    secret_wipe(&p, sizeof(p));
}

static bool on_curve(const uint8_t *public32)
{
    struct point a;
    return decode(&a, public32);
}

static bool verify(const uint8_t *s32, const uint8_t *k32, const uint8_t *public32, uint8_t *ret32)
{
    struct point a, sum, product;
    if (!decode(&a, public32))
        return false;
    a.x = field_negate(a.x);
    a.t = field_negate(a.t);
    multiply(&sum, s32, &base);
    multiply(&product, k32, &a);
    add(&sum, &sum, &product);
    encode(ret32, &sum);
    return true;
}

static CK_RV hash(const struct bytes *parts, size_t n_parts, uint8_t *ret, size_t n)
{
    (void)n; /* always 64 */
    return soft_hash(HASH_SHA512, parts, n_parts, ret);
}

/* R = 2^256 */
static const uint64_t order[] = {0x5812631a5cf5d3ed, 0x14def9dea2f79cd6, 0, 0x1000000000000000};
static const uint64_t r_mod_l[] = {0xd6ec31748d98951d, 0xc6ef5bf4737dcf70, 0xfffffffffffffffe,
                                   0x0fffffffffffffff};
static const uint64_t r2_mod_l[] = {0xa40611e3449c0f01, 0xd00e1ba768859347, 0xceec73d217f5be65,
                                    0x0399411b7c309a3d};

const struct edwards edwards_25519 = {
    .size = 32,
    .limbs = 4,
    .order = order,
    .powers = {r_mod_l, r2_mod_l},
    .domain = "SigEd25519 no Ed25519 collisions",
    .hash = hash,
    .clamp = clamp,
    .multiply_base = multiply_base,
    .on_curve = on_curve,
    .verify = verify,
};
