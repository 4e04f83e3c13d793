/* The arithmetic under X448 and Ed448, against BIGNUM. */
#include "soft_test.h"

#include <openssl/bn.h>
#include <soft/field448.h>

static BN_CTX *ctx;
static BIGNUM *p;

static int start_numbers(void **state)
{
    ctx = BN_CTX_new();
    p = NULL;
    BN_hex2bn(&p, "fffffffffffffffffffffffffffffffffffffffffffffffffffffffe"
                  "ffffffffffffffffffffffffffffffffffffffffffffffffffffffff");
    return start(state);
}

static int stop_numbers(void **state)
{
    BN_free(p);
    BN_CTX_free(ctx);
    return stop(state);
}

/* The sum of the limbs by their weight, modulo p. */
static BIGNUM *value(struct field448 a)
{
    BIGNUM *sum = BN_new(), *limb = BN_new();
    for (int i = FIELD448_LIMBS - 1; i >= 0; i--) {
        assert_true(BN_lshift(sum, sum, FIELD448_LIMB) && BN_set_word(limb, a.v[i]) &&
                    BN_add(sum, sum, limb));
    }
    assert_true(BN_nnmod(sum, sum, p, ctx));
    BN_free(limb);
    return sum;
}

static void assert_value(struct field448 found, BIGNUM *expected)
{
    uint8_t bytes[FIELD448_SIZE], expected_bytes[FIELD448_SIZE];
    BIGNUM *v = value(found);
    assert_true(BN_nnmod(expected, expected, p, ctx));
    assert_int_equal(BN_cmp(v, expected), 0);
    assert_int_equal(BN_bn2lebinpad(expected, expected_bytes, FIELD448_SIZE), FIELD448_SIZE);
    field448_store(bytes, found);
    assert_memory_equal(bytes, expected_bytes, FIELD448_SIZE);
    BN_free(v);
    BN_free(expected);
}

/* What the header calls reduced, and what a sum of two such can be. */
#define REDUCED ((1UL << 56) + (1UL << 8) - 1)
#define SUM     (2 * REDUCED)

static void assert_reduced(struct field448 a)
{
    for (int i = 0; i < FIELD448_LIMBS; i++)
        assert_true(a.v[i] <= REDUCED);
}

/* Numbers with limbs up to most: random ones, and the largest, smallest and near p. */
static struct field448 number(uint32_t i, uint64_t most)
{
    struct field448 a;
    fill((uint8_t *)a.v, sizeof(a.v), i);
    for (int j = 0; j < FIELD448_LIMBS; j++) {
        a.v[j] %= most + 1;
        if (i % 8 == 1)
            a.v[j] = most;
        if (i % 8 == 2)
            a.v[j] = 0;
        if (i % 8 == 3) /* p - 9 … p + 9 */
            a.v[j] = FIELD448_MASK - (j == 4) + (j ? 0 : i / 8 % 19 - 9UL);
        if (i % 8 == 4)
            a.v[j] = a.v[j] & 1 ? most : 0;
    }
    return a;
}

static void operations(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 4000; i++) {
        struct field448 a = number(i, SUM), b = number(i / 8 + 7 * i, SUM);
        struct field448 reduced = number(i / 8 + 5 * i, REDUCED);
        BIGNUM *x = value(a), *y = value(b), *z = value(reduced);
        BIGNUM *sum = BN_new(), *difference = BN_new(), *product = BN_new();
        assert_true(BN_add(sum, z, z) && BN_sub(difference, x, y) && BN_mul(product, x, y, ctx));
        assert_value(field448_add(reduced, reduced), sum);
        assert_value(field448_subtract(a, b), difference);
        assert_value(field448_multiply(a, b), product);
        assert_reduced(field448_subtract(a, b));
        assert_reduced(field448_multiply(a, b));
        assert_value(a, x);
        BN_free(y);
        BN_free(z);
    }
}

static void powers(void **state)
{
    (void)state;
    BIGNUM *minus_2 = BN_dup(p), *root = BN_dup(p);
    assert_true(BN_sub_word(minus_2, 2) && BN_sub_word(root, 3) && BN_rshift(root, root, 2));
    for (uint32_t i = 0; i < 200; i++) {
        struct field448 a = number(i, SUM);
        BIGNUM *x = value(a), *inverse = BN_new(), *power = BN_new();
        assert_true(BN_mod_exp(inverse, x, minus_2, p, ctx) && BN_mod_exp(power, x, root, p, ctx));
        assert_value(field448_invert(a), inverse);
        assert_value(field448_root_power(a), power);
        BN_free(x);
    }
    BN_free(minus_2);
    BN_free(root);
}

static void loads_and_chooses(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 300; i++) {
        uint8_t bytes[FIELD448_SIZE], other[FIELD448_SIZE];
        fill(bytes, FIELD448_SIZE, i);
        if (i < 3)
            memset(bytes, i ? 0xFF : 0, FIELD448_SIZE);
        memset(other, (int)i, FIELD448_SIZE);
        struct field448 a = field448_load(bytes), b = field448_load(other), c = a;
        assert_value(a, BN_lebin2bn(bytes, FIELD448_SIZE, NULL));
        field448_choose(&c, &b, 0);
        assert_memory_equal(&c, &a, sizeof(a));
        field448_choose(&c, &b, ~0UL);
        assert_memory_equal(&c, &b, sizeof(b));
        BIGNUM *negative = value(a);
        BN_set_negative(negative, 1);
        assert_value(field448_negate(a), negative);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operations),
        cmocka_unit_test(powers),
        cmocka_unit_test(loads_and_chooses),
    };
    return cmocka_run_group_tests(tests, start_numbers, stop_numbers);
}
