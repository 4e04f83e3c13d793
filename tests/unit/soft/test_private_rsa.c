/* RSA with software private keys. */
#include "private_test.h"
#include "rsa_pair.h"

#include <openssl/bn.h>

/* Sizes whose limbs are full and not, and that are no multiple of 8. */
static const size_t sizes[] = {1024, 1025, 1031, 1032, 1088, 1536, 2048, 3072, 4096};
enum { SIZES = sizeof(sizes) / sizeof(*sizes) };
static struct rsa_pair pairs[SIZES];
static struct soft_private *keys[SIZES];

static int start_with_keys(void **state)
{
    if (start(state) != 0)
        return -1;
    for (size_t i = 0; i < SIZES; i++) {
        pairs[i] = rsa_pair_new(sizes[i]);
        keys[i] = private_from_evp(pairs[i].evp);
    }
    return 0;
}

static int stop_with_keys(void **state)
{
    for (size_t i = 0; i < SIZES; i++) {
        rsa_pair_free(&pairs[i]);
        soft_private_free(&keys[i]);
    }
    return stop(state);
}

static void as_openssl(void **state)
{
    (void)state;
    uint8_t in[512], ours[512], theirs[512], back[512];
    for (size_t i = 0; i < SIZES; i++) {
        size_t n = pairs[i].size;
        assert_same_public(keys[i], pairs[i].evp);
        for (uint32_t round = 0; round < 30; round++) {
            fill(in, n, round);
            in[0] = 0;
            if (round < 3) { /* 0, 1 and n - 1 */
                memset(in, 0, n);
                in[n - 1] = (uint8_t)round;
            }
            if (round == 2) {
                memcpy(in, pairs[i].modulus, n);
                in[n - 1] ^= 1;
            }
            rsa_private(&pairs[i], in, theirs);
            assert_ok(soft_private_rsa(keys[i], BYTES(in, n), ours));
            assert_memory_equal(ours, theirs, n);
            assert_ok(soft_rsa_public(soft_private_public(keys[i]), BYTES(ours, n), back));
            assert_memory_equal(back, in, n);
        }
    }
}

/* A short input is padded on the left; results with leading zeros keep them. */
static void short_numbers(void **state)
{
    (void)state;
    uint8_t small[3] = {1, 2, 3}, out[512], in[512];
    for (size_t i = 0; i < SIZES; i++) {
        size_t n = pairs[i].size;
        assert_ok(soft_rsa_public(soft_private_public(keys[i]), BYTES_OF(small), out));
        assert_ok(soft_private_rsa(keys[i], BYTES(out, n), in));
        for (size_t j = 0; j + 3 < n; j++)
            assert_int_equal(in[j], 0);
        assert_memory_equal(in + n - 3, small, 3);
        assert_ok(soft_private_rsa(keys[i], BYTES_OF(small), out));
        assert_ok(soft_rsa_public(soft_private_public(keys[i]), BYTES(out, n), in));
        assert_memory_equal(in + n - 3, small, 3);
        assert_int_equal(soft_private_rsa(keys[i], BYTES(in, n + 1), out), CKR_DATA_LEN_RANGE);
        assert_int_equal(soft_private_rsa(keys[i], BYTES(pairs[i].modulus, n), out),
                         CKR_DATA_INVALID);
    }
}

/* ---- making a key of numbers ---- */

struct numbers {
    struct bytes v[RSA_NUMBERS];
    uint8_t copy[RSA_NUMBERS][520];
};

static void copy_numbers(const struct soft_private *k, struct numbers *ret)
{
    for (int i = 0; i < RSA_NUMBERS; i++) {
        struct bytes b = soft_private_number(k, (enum rsa_number)i);
        assert_true(b.n > 0 && b.p[0] != 0);
        memcpy(ret->copy[i], b.p, b.n);
        ret->v[i] = BYTES(ret->copy[i], b.n);
    }
}

static void assert_same_numbers(const struct soft_private *k, const struct numbers *expected,
                                enum rsa_number from)
{
    for (int i = (int)from; i < RSA_NUMBERS; i++)
        assert_true(bytes_equal(soft_private_number(k, (enum rsa_number)i), expected->v[i]));
}

static void works(const struct soft_private *k)
{
    uint8_t out[512], back[512];
    size_t n = soft_private_number(k, RSA_N).n;
    assert_ok(soft_private_rsa(k, BYTES("hello", 5), out));
    assert_ok(soft_rsa_public(soft_private_public(k), BYTES(out, n), back));
    assert_memory_equal(back + n - 5, "hello", 5);
}

/* Any of the last three missing; the primes missing, too: then they are found again. */
static void completes_numbers(void **state)
{
    (void)state;
    for (size_t i = 0; i < SIZES; i++) {
        struct numbers all;
        copy_numbers(keys[i], &all);
        assert_int_equal(soft_private_value(keys[i]).n, 0);
        assert_int_equal(soft_private_curve(keys[i]), CURVE_NONE);
        for (unsigned missing = 0; missing < 8; missing++) {
            struct bytes some[RSA_NUMBERS];
            CLEANUP(soft_private_free) struct soft_private *k = NULL;
            memcpy(some, all.v, sizeof(some));
            for (unsigned j = 0; j < 3; j++)
                if (missing >> j & 1)
                    some[RSA_DP + j] = j ? NO_BYTES : BYTES("\0", 1);
            assert_ok(soft_private_from_rsa(some, &k));
            assert_same_numbers(k, &all, RSA_N);
        }
        struct bytes only[RSA_NUMBERS] = {all.v[RSA_N], all.v[RSA_E], all.v[RSA_D]};
        CLEANUP(soft_private_free) struct soft_private *k = NULL;
        assert_ok(soft_private_from_rsa(only, &k));
        assert_same_numbers(k, &all, RSA_N); /* OpenSSL's p is the larger prime as well */
    }
}

/* The smaller prime first, as some software has it: kept as given. */
static void smaller_prime_first(void **state)
{
    (void)state;
    for (size_t i = 0; i < SIZES; i++) {
        struct numbers all;
        copy_numbers(keys[i], &all);
        struct bytes swapped[RSA_NUMBERS] = {all.v[RSA_N],  all.v[RSA_E], all.v[RSA_D],
                                             all.v[RSA_Q],  all.v[RSA_P], all.v[RSA_DQ],
                                             all.v[RSA_DP], NO_BYTES};
        CLEANUP(soft_private_free) struct soft_private *k = NULL;
        assert_ok(soft_private_from_rsa(swapped, &k));
        assert_true(bytes_equal(soft_private_number(k, RSA_P), all.v[RSA_Q]));
        works(k);
        EVP_PKEY *evp = evp_private(k);
        EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(evp, NULL);
        assert_int_equal(EVP_PKEY_check(ctx), 1);
        EVP_PKEY_CTX_free(ctx);
        EVP_PKEY_free(evp);
    }
}

/* d modulo lcm(p - 1, q - 1) and modulo (p - 1) (q - 1) are both right. */
static void either_form_of_d(void **state)
{
    (void)state;
    struct numbers all;
    copy_numbers(keys[0], &all);
    BN_CTX *ctx = BN_CTX_new();
    BIGNUM *p = BN_bin2bn(all.v[RSA_P].p, (int)all.v[RSA_P].n, NULL);
    BIGNUM *q = BN_bin2bn(all.v[RSA_Q].p, (int)all.v[RSA_Q].n, NULL);
    BIGNUM *e = BN_bin2bn(all.v[RSA_E].p, (int)all.v[RSA_E].n, NULL), *phi = BN_new();
    BN_sub_word(p, 1);
    BN_sub_word(q, 1);
    assert_true(BN_mul(phi, p, q, ctx) && BN_mod_inverse(phi, e, phi, ctx));
    all.v[RSA_D] = BYTES(all.copy[RSA_D], BN_bn2bin(phi, all.copy[RSA_D]));
    for (int missing = 0; missing < 2; missing++) {
        CLEANUP(soft_private_free) struct soft_private *k = NULL;
        if (missing)
            all.v[RSA_P] = all.v[RSA_Q] = NO_BYTES;
        assert_ok(soft_private_from_rsa(all.v, &k));
        assert_true(bytes_equal(soft_private_number(k, RSA_D), all.v[RSA_D]));
        works(k);
    }
    BN_free(p);
    BN_free(q);
    BN_free(e);
    BN_free(phi);
    BN_CTX_free(ctx);
}

static void refuses_numbers_that_do_not_fit(void **state)
{
    (void)state;
    struct soft_private *k = NULL;
    for (int which = 0; which < RSA_NUMBERS; which++) {
        struct numbers all;
        copy_numbers(keys[0], &all);
        for (unsigned bit = 0; bit < 8 * all.v[which].n; bit += bit < 16 ? 1 : 61) {
            all.copy[which][bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_int_equal(soft_private_from_rsa(all.v, &k), CKR_ATTRIBUTE_VALUE_INVALID);
            all.copy[which][bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
    }
    struct numbers all = {0};
    copy_numbers(keys[0], &all);
    all.copy[RSA_N][519] = 1; /* and so another n, of 4,160 bits */
    const struct bytes one = BYTES("\1", 1);
    struct bytes bad[][RSA_NUMBERS] = {
        {NO_BYTES},
        {all.v[RSA_N], all.v[RSA_E]},                                  /* no d */
        {all.v[RSA_N], all.v[RSA_E], one},                             /* e * 1 - 1 */
        {all.v[RSA_N], all.v[RSA_E], BYTES("\2", 1)},                  /* e * d even */
        {all.v[RSA_N], all.v[RSA_E], all.v[RSA_D], all.v[RSA_N]},      /* n as the one prime */
        {all.v[RSA_N], all.v[RSA_E], all.v[RSA_D], all.v[RSA_E]},      /* e as the one prime */
        {all.v[RSA_N], all.v[RSA_E], all.v[RSA_D], all.v[RSA_N], one}, /* 1 as a prime */
        {all.v[RSA_N], all.v[RSA_E], all.v[RSA_N]},                    /* d = n */
        {all.v[RSA_P], all.v[RSA_E], all.v[RSA_D]},                    /* n of 512 bits */
        {BYTES(all.copy[RSA_N], 520), all.v[RSA_E], all.v[RSA_D]},     /* any other n */
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_int_equal(soft_private_from_rsa(bad[i], &k), CKR_ATTRIBUTE_VALUE_INVALID);
    static uint8_t huge[2000];
    memset(huge, 0xFF, sizeof(huge));
    all.v[RSA_N] = BYTES_OF(huge);
    assert_int_equal(soft_private_from_rsa(all.v, &k), CKR_ATTRIBUTE_VALUE_INVALID);
    assert_null(k);
}

/* Numbers that satisfy every equation with primes that are none: results do not verify with e and
 * are withheld. p = 3 * a for a prime a has p - 1 as the wrong order. */
static void wrong_results_are_withheld(void **state)
{
    (void)state;
    BN_CTX *ctx = BN_CTX_new();
    BIGNUM *p = BN_new(), *q = BN_new(), *e = BN_new(), *n = BN_new(), *d = BN_new();
    BIGNUM *p1 = BN_new(), *q1 = BN_new(), *phi = BN_new();
    BN_set_word(e, 65537);
    do {
        assert_true(BN_generate_prime_ex(p, 511, 0, NULL, NULL, NULL));
        BN_mul_word(p, 3);
        assert_true(BN_generate_prime_ex(q, 520, 0, NULL, NULL, NULL));
        BN_copy(p1, p);
        BN_copy(q1, q);
        BN_sub_word(p1, 1);
        BN_sub_word(q1, 1);
        assert_true(BN_mul(n, p, q, ctx) && BN_mul(phi, p1, q1, ctx));
    } while (!BN_mod_inverse(d, e, phi, ctx));
    uint8_t bytes[5][140], out[140];
    BIGNUM *all[] = {n, e, d, p, q};
    struct bytes number[RSA_NUMBERS] = {{0}};
    for (int i = 0; i < 5; i++)
        number[i] = BYTES(bytes[i], BN_bn2bin(all[i], bytes[i]));
    CLEANUP(soft_private_free) struct soft_private *k = NULL;
    assert_ok(soft_private_from_rsa(number, &k));
    memset(out, 0xAA, sizeof(out));
    assert_int_equal(soft_private_rsa(k, BYTES("hello", 5), out), CKR_FUNCTION_FAILED);
    for (size_t i = 0; i < sizeof(out); i++)
        assert_int_equal(out[i], 0xAA);
    BIGNUM *others[] = {p1, q1, phi};
    for (int i = 0; i < 5; i++)
        BN_free(all[i]);
    for (int i = 0; i < 3; i++)
        BN_free(others[i]);
    BN_CTX_free(ctx);
}

/* ---- generation ---- */

static void check_generated(const struct soft_private *k, size_t bits, struct bytes exponent)
{
    struct bytes d = soft_private_number(k, RSA_D);
    EVP_PKEY *evp = evp_private(k);
    assert_int_equal(EVP_PKEY_get_bits(evp), bits);
    assert_true(bytes_equal(soft_private_number(k, RSA_E), exponent));
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(evp, NULL);
    assert_int_equal(EVP_PKEY_check(ctx), 1); /* the primes are, and all fits */
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(evp);
    assert_true(d.n > bits / 16);
    for (int i = RSA_P; i <= RSA_Q; i++) {
        struct bytes prime = soft_private_number(k, (enum rsa_number)i);
        assert_int_equal(prime.n, bits / 16);
        assert_true(prime.p[0] >= 0xC0);
    }
    works(k);
}

static void generates_keys(void **state)
{
    (void)state;
    static const struct {
        size_t bits;
        const char *exponent;
    } cases[] = {
        {1024, "010001"},
        {1024, "03"},
        {1024, "0f"},
        {1024, "fffffffffffffff1"},
        {1024, "ffffffffffffffff"}, /* 3 * 5 * 17 * 257 * …: few primes suit it */
        {1040, "010001"},
        {1024, "010001"},
        {1024, "010001"},
        {2048, "010001"},
        {2048, "11"},
        {3072, "010001"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        CLEANUP(soft_private_free) struct soft_private *k = NULL;
        struct hex e = unhex(cases[i].exponent);
        assert_ok(soft_private_generate_rsa(cases[i].bits, HEX_BYTES(e), &k));
        check_generated(k, cases[i].bits, HEX_BYTES(e));
    }
}

static void generation_limits(void **state)
{
    (void)state;
    static const size_t bad[] = {0, 512, 1008, 1025, 1032, 8208, 16384};
    static const char *const exponents[] = {"", "00", "01", "02", "010000", "010000000000000001"};
    struct soft_private *k = NULL;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_int_equal(soft_private_generate_rsa(bad[i], BYTES("\1\0\1", 3), &k),
                         CKR_KEY_SIZE_RANGE);
    for (size_t i = 0; i < sizeof(exponents) / sizeof(*exponents); i++) {
        struct hex e = unhex(exponents[i]);
        assert_int_equal(soft_private_generate_rsa(1024, HEX_BYTES(e), &k),
                         CKR_ATTRIBUTE_VALUE_INVALID);
    }
    CLEANUP(soft_private_free) struct soft_private *padded = NULL;
    assert_ok(soft_private_generate_rsa(1024, BYTES("\0\0\0\0\0\0\0\1\0\1", 10), &padded));
    assert_int_equal(soft_private_number(padded, RSA_E).n, 3);
    assert_null(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_openssl),
        cmocka_unit_test(short_numbers),
        cmocka_unit_test(completes_numbers),
        cmocka_unit_test(smaller_prime_first),
        cmocka_unit_test(either_form_of_d),
        cmocka_unit_test(refuses_numbers_that_do_not_fit),
        cmocka_unit_test(wrong_results_are_withheld),
        cmocka_unit_test(generates_keys),
        cmocka_unit_test(generation_limits),
    };
    return cmocka_run_group_tests(tests, start_with_keys, stop_with_keys);
}
