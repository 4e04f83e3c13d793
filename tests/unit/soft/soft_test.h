/* What the tests of src/soft share. Their counterpart is OpenSSL's EVP interface in the default
 * library context, which src/soft itself never uses. */
#ifndef SOFT_TEST_H
#define SOFT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ec.h>
#include <openssl/objects.h>
#include <soft/soft.h>

#define assert_ok(expr) assert_int_equal((expr), CKR_OK)

static inline int start(void **state)
{
    (void)state;
    return soft_start() == CKR_OK ? 0 : -1;
}

static inline int stop(void **state)
{
    (void)state;
    soft_stop();
    return secret_in_use() == 0 ? 0 : -1;
}

#define run_soft_tests(tests) cmocka_run_group_tests(tests, start, stop)

struct hex {
    uint8_t p[256];
    size_t n;
};

/* Spaces are passed over. */
static inline struct hex unhex(const char *text)
{
    struct hex ret = {.n = 0};
    for (int high = -1; *text; text++) {
        if (*text == ' ')
            continue;
        int digit = *text <= '9' ? *text - '0' : (*text | 0x20) - 'a' + 10;
        if (high >= 0) {
            assert_true(ret.n < sizeof(ret.p));
            ret.p[ret.n++] = (uint8_t)(high << 4 | digit);
        }
        high = high < 0 ? digit : -1;
    }
    return ret;
}
#define HEX_BYTES(hex) BYTES((hex).p, (hex).n)

static inline void assert_hex(const uint8_t *found, const char *expected)
{
    struct hex e = unhex(expected);
    assert_memory_equal(found, e.p, e.n);
}

static inline const EVP_MD *evp_md(enum hash h)
{
    const EVP_MD *mds[HASH_COUNT] = {
        [HASH_SHA1] = EVP_sha1(),         [HASH_SHA224] = EVP_sha224(),
        [HASH_SHA256] = EVP_sha256(),     [HASH_SHA384] = EVP_sha384(),
        [HASH_SHA512] = EVP_sha512(),     [HASH_SHA3_224] = EVP_sha3_224(),
        [HASH_SHA3_256] = EVP_sha3_256(), [HASH_SHA3_384] = EVP_sha3_384(),
        [HASH_SHA3_512] = EVP_sha3_512(),
    };
    return mds[h];
}

/* Bytes that differ from each other and from those of another seed. */
static inline void fill(uint8_t *p, size_t n, uint32_t seed)
{
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525 + 1013904223;
        p[i] = (uint8_t)(seed >> 24);
    }
}

/* libcrypto's number of a curve. A table: looking a name up would load the configuration. */
static inline int curve_nid(enum curve c)
{
    static const int nids[CURVE_COUNT] = {[CURVE_P224] = NID_secp224r1,
                                          [CURVE_P256] = NID_X9_62_prime256v1,
                                          [CURVE_P384] = NID_secp384r1,
                                          [CURVE_P521] = NID_secp521r1,
                                          [CURVE_SECP256K1] = NID_secp256k1,
                                          [CURVE_BRAINPOOL256] = NID_brainpoolP256r1,
                                          [CURVE_BRAINPOOL384] = NID_brainpoolP384r1,
                                          [CURVE_BRAINPOOL512] = NID_brainpoolP512r1};
    return nids[c];
}

#endif
