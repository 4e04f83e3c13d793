/* C_GenerateRandom, C_SeedRandom: PKCS#11 3.0 section 5.19. */
#include "fixture.h"

/* The TPM gives 64 bytes a command: longer requests are put together. */
static void lengths(void **state)
{
    (void)state;
    static const CK_ULONG sizes[] = {1, 31, 32, 48, 64, 65, 127, 128, 1000, 5000};
    static CK_BYTE bytes[5001];
    for (size_t i = 0; i < COUNT(sizes); i++) {
        CK_ULONG n = sizes[i], zeros = 0;
        memset(bytes, 0, sizeof bytes);
        assert_ok(p11->C_GenerateRandom(fx.session, bytes, n));
        for (CK_ULONG j = 0; j < n; j++)
            zeros += bytes[j] == 0;
        assert_true(zeros < 4 + n / 64);
        assert_int_equal(bytes[n], 0); /* not one byte more */
    }
}

static void two_are_different(void **state)
{
    (void)state;
    CK_BYTE a[32], b[32];
    assert_ok(p11->C_GenerateRandom(fx.session, a, sizeof a));
    assert_ok(p11->C_GenerateRandom(fx.session, b, sizeof b));
    assert_memory_not_equal(a, b, sizeof a);
}

static void arguments(void **state)
{
    (void)state;
    CK_BYTE byte;
    assert_rv(CKR_ARGUMENTS_BAD, p11->C_GenerateRandom(fx.session, NULL, 1));
    assert_ok(p11->C_GenerateRandom(fx.session, &byte, 0));
    assert_ok(p11->C_GenerateRandom(fx.session, NULL, 0));
    assert_rv(CKR_SESSION_HANDLE_INVALID, p11->C_GenerateRandom(0, &byte, 1));
    assert_rv(CKR_ARGUMENTS_BAD, p11->C_SeedRandom(fx.session, NULL, 1));
    assert_ok(p11->C_SeedRandom(fx.session, (CK_BYTE_PTR) "seed", 4));
}

#define PUBLIC_TEST(f) cmocka_unit_test_setup_teardown(f, test_public, test_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PUBLIC_TEST(lengths),
        PUBLIC_TEST(two_are_different),
        PUBLIC_TEST(arguments),
    };
    return cmocka_run_group_tests(tests, group_token, group_end);
}
