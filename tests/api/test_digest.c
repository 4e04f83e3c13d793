/* Message digesting: PKCS#11 3.0 section 5.12, mechanisms of 2.21 and 2.26 (SHA-3). */
#include "keys.h"

static const struct {
    CK_MECHANISM_TYPE type;
    const char *name;
    CK_ULONG size;
} digests[] = {
    {CKM_SHA_1, "SHA1", 20},        {CKM_SHA224, "SHA224", 28},     {CKM_SHA256, "SHA256", 32},
    {CKM_SHA384, "SHA384", 48},     {CKM_SHA512, "SHA512", 64},     {CKM_SHA3_224, "SHA3-224", 28},
    {CKM_SHA3_256, "SHA3-256", 32}, {CKM_SHA3_384, "SHA3-384", 48}, {CKM_SHA3_512, "SHA3-512", 64},
};

static CK_BYTE message[100000];

static void one_part(void **state)
{
    (void)state;
    static const CK_ULONG lengths[] = {0, 1, 63, 64, 65, 111, 112, 128, 1000, sizeof message};
    for (size_t i = 0; i < COUNT(digests); i++)
        for (size_t j = 0; j < COUNT(lengths); j++) {
            struct blob got = {.n = sizeof got.p};
            struct blob want = openssl_digest(digests[i].name, message, lengths[j]);
            assert_ok(p11->C_DigestInit(fx.session, MECHANISM(digests[i].type)));
            assert_ok(p11->C_Digest(fx.session, message, lengths[j], got.p, &got.n));
            assert_int_equal(got.n, digests[i].size);
            assert_blob(got, want.p, want.n);
        }
}

static void multi_part(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(digests); i++) {
        struct blob got = {.n = sizeof got.p};
        struct blob want = openssl_digest(digests[i].name, message, sizeof message);
        assert_ok(p11->C_DigestInit(fx.session, MECHANISM(digests[i].type)));
        for (CK_ULONG at = 0, n = 0; at < sizeof message; at += n) {
            n = at % 997 < sizeof message - at ? at % 997 + 1 : sizeof message - at;
            n = n < sizeof message - at ? n : sizeof message - at;
            assert_ok(p11->C_DigestUpdate(fx.session, message + at, n));
        }
        assert_ok(p11->C_DigestUpdate(fx.session, message, 0));
        assert_ok(p11->C_DigestFinal(fx.session, got.p, &got.n));
        assert_blob(got, want.p, want.n);
    }
}

static void of_nothing(void **state)
{
    (void)state;
    struct blob got = {.n = sizeof got.p}, want = openssl_digest("SHA256", "", 0);
    assert_ok(p11->C_DigestInit(fx.session, MECHANISM(CKM_SHA256)));
    assert_ok(p11->C_DigestFinal(fx.session, got.p, &got.n));
    assert_blob(got, want.p, want.n);
}

static void refusals(void **state)
{
    (void)state;
    assert_rv(CKR_MECHANISM_INVALID, p11->C_DigestInit(fx.session, MECHANISM(CKM_ECDSA)));
    assert_rv(CKR_MECHANISM_INVALID, p11->C_DigestInit(fx.session, MECHANISM(0x7FFFFFFF)));
    assert_rv(CKR_MECHANISM_PARAM_INVALID,
              p11->C_DigestInit(fx.session, MECHANISM_WITH(CKM_SHA256, message)));
    assert_rv(CKR_OPERATION_NOT_INITIALIZED, p11->C_DigestKey(fx.session, 1));
}

static int group_message(void **state)
{
    for (size_t i = 0; i < sizeof message; i++)
        message[i] = (CK_BYTE)(i * 31 + i / 256);
    return group_token(state);
}

#define PUBLIC_TEST(f) cmocka_unit_test_setup_teardown(f, test_public, test_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PUBLIC_TEST(one_part),
        PUBLIC_TEST(multi_part),
        PUBLIC_TEST(of_nothing),
        PUBLIC_TEST(refusals),
    };
    return cmocka_run_group_tests(tests, group_message, group_end);
}
