/* The arithmetic under X25519, Ed25519 and RSA's unblinding, against BIGNUM. */
#include "soft_test.h"

#include <openssl/bn.h>
#include <soft/field25519.h>

static BN_CTX *ctx;
static BIGNUM *p;

static int start_numbers(void **state)
{
    ctx = BN_CTX_new();
    p = NULL;
    BN_hex2bn(&p, "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed");
    return start(state);
}

static int stop_numbers(void **state)
{
    BN_free(p);
    BN_CTX_free(ctx);
    return stop(state);
}

/* The sum of the limbs by their weight, modulo p. */
static BIGNUM *value(struct field a)
{
    BIGNUM *sum = BN_new(), *limb = BN_new();
    for (int i = 4; i >= 0; i--) {
        assert_true(BN_lshift(sum, sum, FIELD_LIMB) && BN_set_word(limb, a.v[i]) &&
                    BN_add(sum, sum, limb));
    }
    assert_true(BN_nnmod(sum, sum, p, ctx));
    BN_free(limb);
    return sum;
}

static void assert_value(struct field found, BIGNUM *expected)
{
    uint8_t bytes[32], expected_bytes[32];
    BIGNUM *v = value(found);
    assert_true(BN_nnmod(expected, expected, p, ctx));
    assert_int_equal(BN_cmp(v, expected), 0);
    assert_int_equal(BN_bn2lebinpad(expected, expected_bytes, 32), 32);
    field_store(bytes, found);
    assert_memory_equal(bytes, expected_bytes, 32);
    BN_free(v);
    BN_free(expected);
}

static void assert_limbs_below(struct field a, int bits)
{
    for (int i = 0; i < 5; i++)
        assert_int_equal(a.v[i] >> bits, 0);
}

/* Numbers with limbs of so many bits: random ones, and the largest, smallest and near p. */
static struct field number(uint32_t i, int bits)
{
    struct field a;
    fill((uint8_t *)a.v, sizeof(a.v), i);
    uint64_t mask = (1UL << bits) - 1, p_0 = FIELD_MASK - 18;
    for (int j = 0; j < 5; j++) {
        a.v[j] &= mask;
        if (i % 8 == 1)
            a.v[j] = mask;
        if (i % 8 == 2)
            a.v[j] = 0;
        if (i % 8 == 3) /* p - 9 … p + 9 */
            a.v[j] = j ? FIELD_MASK : p_0 + i / 8 % 19 - 9;
        if (i % 8 == 4)
            a.v[j] = a.v[j] & 1 ? mask : 0;
    }
    return a;
}

static void operations(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 4000; i++) {
        struct field a = number(i, 52), b = number(i / 8 + 7 * i, 52);
        struct field wide_a = number(i, 54), wide_b = number(i / 8 + 5 * i, 54);
        BIGNUM *x = value(a), *y = value(b), *wide_x = value(wide_a), *wide_y = value(wide_b);
        BIGNUM *sum = BN_new(), *difference = BN_new(), *product = BN_new();
        assert_true(BN_add(sum, x, y) && BN_sub(difference, wide_x, y) &&
                    BN_mul(product, wide_x, wide_y, ctx));
        assert_value(field_add(a, b), sum);
        assert_value(field_subtract(wide_a, b), difference);
        assert_value(field_multiply(wide_a, wide_b), product);
        assert_limbs_below(field_add(a, b), 53);
        assert_limbs_below(field_subtract(wide_a, b), 52);
        assert_limbs_below(field_multiply(wide_a, wide_b), 52);
        assert_value(wide_a, wide_x);
        BN_free(x);
        BN_free(y);
        BN_free(wide_y);
    }
}

static void powers(void **state)
{
    (void)state;
    BIGNUM *minus_2 = BN_dup(p), *root = BN_dup(p);
    assert_true(BN_sub_word(minus_2, 2) && BN_sub_word(root, 5) && BN_rshift(root, root, 3));
    for (uint32_t i = 0; i < 200; i++) {
        struct field a = number(i, 52);
        BIGNUM *x = value(a), *inverse = BN_new(), *power = BN_new();
        assert_true(BN_mod_exp(inverse, x, minus_2, p, ctx) && BN_mod_exp(power, x, root, p, ctx));
        assert_value(field_invert(a), inverse);
        assert_value(field_root_power(a), power);
        BN_free(x);
    }
    BN_free(minus_2);
    BN_free(root);
}

static void loads_and_chooses(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 300; i++) {
        uint8_t bytes[32], other[32];
        fill(bytes, 32, i);
        if (i < 3)
            memset(bytes, i ? 0xFF : 0, 32);
        struct field a = field_load(bytes), b = field_load(memset(other, (int)i, 32)), c = a;
        bytes[31] &= 0x7F;
        assert_value(a, BN_lebin2bn(bytes, 32, NULL));
        field_choose(&c, &b, 0);
        assert_memory_equal(&c, &a, sizeof(a));
        field_choose(&c, &b, ~0UL);
        assert_memory_equal(&c, &b, sizeof(b));
        BIGNUM *negative = value(a);
        BN_set_negative(negative, 1);
        assert_value(field_negate(a), negative);
    }
}

/* ---- limbs ---- */

static BIGNUM *limbs_value(const uint64_t *a, size_t k)
{
    uint8_t bytes[8 * LIMBS_MAX];
    limbs_store(bytes, a, k);
    return BN_lebin2bn(bytes, (int)(8 * k), NULL);
}

static void check_limbs(const uint64_t *n, const uint64_t *a, const uint64_t *b, size_t k, bool add)
{
    uint64_t ret[LIMBS_MAX];
    struct limbs_modulus m = limbs_modulus(n, k);
    BIGNUM *bn_n = limbs_value(n, k), *x = limbs_value(a, k), *y = limbs_value(b, k);
    BIGNUM *r = BN_new(), *expected = BN_new();
    assert_true(BN_set_bit(r, (int)(64 * k)) && BN_mod_inverse(r, r, bn_n, ctx) &&
                BN_mod_mul(expected, x, y, bn_n, ctx) &&
                BN_mod_mul(expected, expected, r, bn_n, ctx));
    limbs_multiply(&m, a, b, ret);
    BIGNUM *found = limbs_value(ret, k);
    assert_int_equal(BN_cmp(found, expected), 0);
    BN_free(found);
    if (add) {
        assert_true(BN_mod_add(expected, x, y, bn_n, ctx));
        limbs_add(&m, a, b, ret);
        found = limbs_value(ret, k);
        assert_int_equal(BN_cmp(found, expected), 0);
        BN_free(found);
    }
    BIGNUM *all[] = {bn_n, x, y, r, expected};
    for (int i = 0; i < 5; i++)
        BN_free(all[i]);
}

/* Moduli with a full and a nearly empty top limb; the first factor may be above the modulus. */
static void limbs(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 2, 4, 16, 17, 33, LIMBS_MAX};
    for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
        size_t k = sizes[s];
        for (uint32_t i = 0; i < 60; i++) {
            uint64_t n[LIMBS_MAX], a[LIMBS_MAX], b[LIMBS_MAX];
            fill((uint8_t *)n, 8 * k, 3 * i);
            fill((uint8_t *)a, 8 * k, 3 * i + 1);
            fill((uint8_t *)b, 8 * k, 3 * i + 2);
            n[0] |= 1;
            n[k - 1] = i % 3 == 0 ? n[k - 1] | 1UL << 63 : i % 3 == 1 ? n[k - 1] >> 1 | 5 : 5;
            if (i % 5 == 1)
                memset(n, 0xFF, 8 * k);
            memcpy(b, n, 8 * (i % 4 == 0 ? k : 0)); /* n - 1 */
            b[0] -= i % 4 == 0;
            b[k - 1] = i % 4 == 0 ? b[k - 1] : b[k - 1] % n[k - 1];
            if (i % 7 == 0)
                memset(a, 0xFF, 8 * k);
            if (i % 7 == 1)
                memcpy(a, b, 8 * k);
            bool below = a[k - 1] < n[k - 1] || i % 7 == 1;
            check_limbs(n, a, b, k, below && !(n[k - 1] >> 63));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operations),
        cmocka_unit_test(powers),
        cmocka_unit_test(loads_and_chooses),
        cmocka_unit_test(limbs),
    };
    return cmocka_run_group_tests(tests, start_numbers, stop_numbers);
}
