/* GHASH (SP800-38D, 6.3 and 6.4) without tables and branches: polynomials over GF(2) are multiplied
 * by the instruction that processors have for it, ten times as fast, or, where it has none, by its
 * integer multiplication, whose carries fall into holes.
 *
 * For these a number is split into five that have every fifth bit only. In a product of two such
 * numbers of 64 bits at most 13 ones meet in one place, so the carries stay within the four places
 * above it, which are holes too; the lowest bit of the five is the sum in GF(2). */
#include "internal.h"

#include <string.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

typedef unsigned __int128 u128;

enum { CLASSES = 5 };

/* The bits k of a 64-bit number with k mod 5 = class. */
static uint64_t class_mask(unsigned class)
{
    static const uint64_t masks[CLASSES] = {0x1084210842108421, 0x2108421084210842,
                                            0x4210842108421084, 0x8421084210842108,
                                            0x0842108421084210};
    return masks[class];
}

/* The same of a 128-bit number: 64 mod 5 = 4, so above it bit 64 + k is of the class k - 1. */
static u128 wide_class_mask(unsigned class)
{
    return (u128)class_mask((class + 1) % CLASSES) << 64 | class_mask(class);
}

struct split {
    uint64_t part[CLASSES];
};

static struct split split(uint64_t v)
{
    struct split s;
    for (unsigned i = 0; i < CLASSES; i++)
        s.part[i] = v & class_mask(i);
    return s;
}

static u128 multiply(const struct split *a, const struct split *b)
{
    const uint64_t *x = a->part, *y = b->part;
    u128 r0 = (u128)x[0] * y[0] ^ (u128)x[1] * y[4] ^ (u128)x[2] * y[3] ^ (u128)x[3] * y[2] ^
              (u128)x[4] * y[1];
    u128 r1 = (u128)x[0] * y[1] ^ (u128)x[1] * y[0] ^ (u128)x[2] * y[4] ^ (u128)x[3] * y[3] ^
              (u128)x[4] * y[2];
    u128 r2 = (u128)x[0] * y[2] ^ (u128)x[1] * y[1] ^ (u128)x[2] * y[0] ^ (u128)x[3] * y[4] ^
              (u128)x[4] * y[3];
    u128 r3 = (u128)x[0] * y[3] ^ (u128)x[1] * y[2] ^ (u128)x[2] * y[1] ^ (u128)x[3] * y[0] ^
              (u128)x[4] * y[4];
    u128 r4 = (u128)x[0] * y[4] ^ (u128)x[1] * y[3] ^ (u128)x[2] * y[2] ^ (u128)x[3] * y[1] ^
              (u128)x[4] * y[0];
    return (r0 & wide_class_mask(0)) | (r1 & wide_class_mask(1)) | (r2 & wide_class_mask(2)) |
           (r3 & wide_class_mask(3)) | (r4 & wide_class_mask(4));
}

static uint64_t load_be64(const uint8_t *p)
{
    uint64_t v = 0;
    for (int i = 0; i < 8; i++)
        v = v << 8 | p[i];
    return v;
}

static void store_be64(uint8_t *p, uint64_t v)
{
    for (int i = 7; i >= 0; i--, v >>= 8)
        p[i] = (uint8_t)v;
}

/* What is multiplied by H: its upper half, its lower half and their sum (Karatsuba). */
struct factor {
    struct split high, low, sum;
};

static struct factor factor(uint64_t high, uint64_t low)
{
    return (struct factor){split(high), split(low), split(high ^ low)};
}

/* 6.3: the first bit of a block is the coefficient of x^0, so numbers are read mirrored: their
 * product lies one place too low, and x^128 = x^7 + x^2 + x + 1 goes downward. middle is of the
 * weight 2^64. */
static u128 reduce(u128 high, u128 middle, u128 low)
{
    high ^= middle >> 64;
    low ^= middle << 64;
    high = high << 1 | low >> 127;
    low <<= 1;
    low ^= low << 127 ^ low << 126 ^ low << 121;
    return high ^ low ^ low >> 1 ^ low >> 2 ^ low >> 7;
}

static u128 multiply_blocks(const struct factor *a, const struct factor *h)
{
    u128 high = multiply(&a->high, &h->high), low = multiply(&a->low, &h->low);
    return reduce(high, multiply(&a->sum, &h->sum) ^ high ^ low, low);
}

void ghash_by_integers(const uint8_t *h16, uint8_t *y16, const uint8_t *blocks, size_t n)
{
    struct factor h = factor(load_be64(h16), load_be64(h16 + 8)), x;
    uint64_t high = load_be64(y16), low = load_be64(y16 + 8);
    for (size_t i = 0; i + AES_BLOCK <= n; i += AES_BLOCK) {
        x = factor(high ^ load_be64(blocks + i), low ^ load_be64(blocks + i + 8));
        u128 product = multiply_blocks(&x, &h);
        high = (uint64_t)(product >> 64);
        low = (uint64_t)product;
    }
    store_be64(y16, high);
    store_be64(y16 + 8, low);
    secret_wipe(&h, sizeof(h));
    secret_wipe(&x, sizeof(x));
}

#ifdef __x86_64__

/* ---- PCLMULQDQ ----------------------------------------------------------------------------- */

#define CLMUL __attribute__((target("pclmul,ssse3")))

enum { AT_ONCE = 4 }; /* blocks whose products are added before the one reduction */

CLMUL static __m128i load_mirrored(const uint8_t *block)
{
    __m128i v;
    memcpy(&v, block, sizeof(v));
    return _mm_shuffle_epi8(v, _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
}

struct products {
    __m128i high, middle, low;
};

CLMUL static void add_product(struct products *p, __m128i a, __m128i h)
{
    p->low = _mm_xor_si128(p->low, _mm_clmulepi64_si128(a, h, 0x00));
    p->high = _mm_xor_si128(p->high, _mm_clmulepi64_si128(a, h, 0x11));
    p->middle = _mm_xor_si128(p->middle, _mm_xor_si128(_mm_clmulepi64_si128(a, h, 0x01),
                                                       _mm_clmulepi64_si128(a, h, 0x10)));
}

CLMUL static __m128i reduce_products(const struct products *p)
{
    u128 high, middle, low;
    __m128i v;
    memcpy(&high, &p->high, sizeof(high));
    memcpy(&middle, &p->middle, sizeof(middle));
    memcpy(&low, &p->low, sizeof(low));
    high = reduce(high, middle, low);
    memcpy(&v, &high, sizeof(v));
    return v;
}

/* (y + blocks[0]) * h^n + blocks[1] * h^(n - 1) ... */
CLMUL static __m128i add_blocks(__m128i y, const uint8_t *blocks, const __m128i *power, size_t n)
{
    struct products p = {_mm_setzero_si128(), _mm_setzero_si128(), _mm_setzero_si128()};
    for (size_t i = 0; i < n; i++, y = _mm_setzero_si128())
        add_product(&p, _mm_xor_si128(y, load_mirrored(blocks + i * AES_BLOCK)), power[n - 1 - i]);
    return reduce_products(&p);
}

CLMUL static void run(const uint8_t *h16, uint8_t *y16, const uint8_t *blocks, size_t n)
{
    static const uint8_t zero[AES_BLOCK];
    __m128i power[AT_ONCE] = {load_mirrored(h16)}, y = load_mirrored(y16);
    for (int i = 1; i < AT_ONCE && n >= AT_ONCE * AES_BLOCK; i++)
        power[i] = add_blocks(power[i - 1], zero, power, 1);
    for (; n >= AT_ONCE * AES_BLOCK; n -= AT_ONCE * AES_BLOCK, blocks += AT_ONCE * AES_BLOCK)
        y = add_blocks(y, blocks, power, AT_ONCE);
    for (; n >= AES_BLOCK; n -= AES_BLOCK, blocks += AES_BLOCK)
        y = add_blocks(y, blocks, power, 1);
    secret_wipe(power, sizeof(power));
    memcpy(power, &y, sizeof(y));
    y = load_mirrored((const uint8_t *)power);
    memcpy(y16, &y, sizeof(y));
    secret_wipe(power, sizeof(power));
}

bool ghash_by_clmul(const uint8_t *h16, uint8_t *y16, const uint8_t *blocks, size_t n)
{
    if (!__builtin_cpu_supports("pclmul") || !__builtin_cpu_supports("ssse3"))
        return false;
    run(h16, y16, blocks, n);
    return true;
}

#else

bool ghash_by_clmul(const uint8_t *h16, uint8_t *y16, const uint8_t *blocks, size_t n)
{
    (void)h16;
    (void)y16;
    (void)blocks;
    (void)n;
    return false;
}

#endif

void soft_ghash(const uint8_t *h16, uint8_t *y16, const uint8_t *blocks, size_t n)
{
    if (!ghash_by_clmul(h16, y16, blocks, n))
        ghash_by_integers(h16, y16, blocks, n);
}
