/* Key derivation against published vectors, and against OpenSSL's EVP_KDF for every hash. */
#include "soft_test.h"

#include <openssl/core_names.h>
#include <openssl/kdf.h>

/* One derivation by OpenSSL; parameters end with OSSL_PARAM_END. */
static void evp_kdf(const char *name, const OSSL_PARAM *parameters, uint8_t *ret, size_t n)
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, name, NULL);
    EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
    assert_int_equal(EVP_KDF_derive(ctx, ret, n, parameters), 1);
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
}

#define OCTETS(key, bytes)                                                                         \
    OSSL_PARAM_construct_octet_string(key, (void *)(uintptr_t)(bytes).p, (bytes).n)
#define TEXT(key, text) OSSL_PARAM_construct_utf8_string(key, (char *)(uintptr_t)(text), 0)
#define DIGEST(h)       TEXT(OSSL_KDF_PARAM_DIGEST, EVP_MD_get0_name(evp_md(h)))

/* RFC 5869, appendix A: test cases 1 to 7. */
static void hkdf_rfc_5869(void **state)
{
    (void)state;
    static const char ikm2[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
                               "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"
                               "404142434445464748494a4b4c4d4e4f";
    static const char salt2[] = "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f"
                                "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"
                                "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf";
    static const char info2[] = "b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecf"
                                "d0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeef"
                                "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff";
    static const char ikm1[] = "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b";
    const struct {
        enum hash hash;
        const char *ikm, *salt, *info, *okm;
    } cases[] = {
        {HASH_SHA256, ikm1, "000102030405060708090a0b0c", "f0f1f2f3f4f5f6f7f8f9",
         "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"},
        {HASH_SHA256, ikm2, salt2, info2,
         "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c6"
         "5e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"},
        {HASH_SHA256, ikm1, "", "",
         "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"},
        {HASH_SHA1, "0b0b0b0b0b0b0b0b0b0b0b", "000102030405060708090a0b0c", "f0f1f2f3f4f5f6f7f8f9",
         "085a01ea1b10f36933068b56efa5ad81a4f14b822f5b091568a9cdd4f155fda2c22e422478d305f3f896"},
        {HASH_SHA1, ikm2, salt2, info2,
         "0bd770a74d1160f7c9f12cd5912a06ebff6adcae899d92191fe4305673ba2ffe8fa3f1a4e5ad79f3f334b3b2"
         "02b2173c486ea37ce3d397ed034c7f9dfeb15c5e927336d0441f4c4300e2cff0d0900b52d3b4"},
        {HASH_SHA1, ikm1, "", "",
         "0ac1af7002b3d761d1e55298da9d0506b9ae52057220a306e07b6b87e8df21d0ea00033de03984d34918"},
        {HASH_SHA1, "0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c", "", "",
         "2c91117204d745f3500d636a62f64f0ab3bae548aa53d423b0d1f27ebba6f5e5673a081d70cce7acfc48"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct hex ikm = unhex(cases[i].ikm), salt = unhex(cases[i].salt);
        struct hex info = unhex(cases[i].info), okm = unhex(cases[i].okm);
        uint8_t out[100];
        assert_ok(
            soft_hkdf(cases[i].hash, HEX_BYTES(ikm), HEX_BYTES(salt), HEX_BYTES(info), out, okm.n));
        assert_memory_equal(out, okm.p, okm.n);
    }
}

static void hkdf_as_openssl_up_to_its_limit(void **state)
{
    (void)state;
    static uint8_t ours[255 * HASH_MAX + 1], theirs[255 * HASH_MAX];
    for (enum hash h = HASH_SHA1; h < HASH_COUNT; h++) {
        size_t limit = 255 * hash_size(h), lengths[] = {1, hash_size(h), hash_size(h) + 1, limit};
        struct bytes key = BYTES("key", 3), salt = BYTES("salt", 4), info = BYTES("info", 4);
        OSSL_PARAM p[] = {DIGEST(h), OCTETS(OSSL_KDF_PARAM_KEY, key),
                          OCTETS(OSSL_KDF_PARAM_SALT, salt), OCTETS(OSSL_KDF_PARAM_INFO, info),
                          OSSL_PARAM_END};
        for (size_t i = 0; i < 4; i++) {
            assert_ok(soft_hkdf(h, key, salt, info, ours, lengths[i]));
            evp_kdf("HKDF", p, theirs, lengths[i]);
            assert_memory_equal(ours, theirs, lengths[i]);
        }
        assert_int_equal(soft_hkdf(h, key, salt, info, ours, limit + 1), CKR_KEY_SIZE_RANGE);
    }
}

/* RFC 6070, section 2 (SHA-1; the case of 16,777,216 rounds left out) and RFC 7914, section 11. */
static void pbkdf2_vectors(void **state)
{
    (void)state;
    const struct {
        enum hash hash;
        struct bytes password, salt;
        uint32_t rounds;
        const char *key;
    } cases[] = {
        {HASH_SHA1, BYTES("password", 8), BYTES("salt", 4), 1,
         "0c60c80f961f0e71f3a9b524af6012062fe037a6"},
        {HASH_SHA1, BYTES("password", 8), BYTES("salt", 4), 2,
         "ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957"},
        {HASH_SHA1, BYTES("password", 8), BYTES("salt", 4), 4096,
         "4b007901b765489abead49d926f721d065a429c1"},
        {HASH_SHA1, BYTES("passwordPASSWORDpassword", 24),
         BYTES("saltSALTsaltSALTsaltSALTsaltSALTsalt", 36), 4096,
         "3d2eec4fe41c849b80c8d83662c0e44a8b291a964cf2f07038"},
        {HASH_SHA1, BYTES("pass\0word", 9), BYTES("sa\0lt", 5), 4096,
         "56fa6aa75548099dcc37d7f03425e0c3"},
        {HASH_SHA256, BYTES("passwd", 6), BYTES("salt", 4), 1,
         "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"
         "49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783"},
        {HASH_SHA256, BYTES("Password", 8), BYTES("NaCl", 4), 80000,
         "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56"
         "a1d425a1225833549adb841b51c9b3176a272bdebba1d078478f62b397f33c8d"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct hex key = unhex(cases[i].key);
        uint8_t out[64];
        assert_ok(soft_pbkdf2(cases[i].hash, cases[i].password, cases[i].salt, cases[i].rounds, out,
                              key.n));
        assert_memory_equal(out, key.p, key.n);
    }
}

static void pbkdf2_as_openssl(void **state)
{
    (void)state;
    uint8_t ours[150], theirs[150];
    assert_int_equal(soft_pbkdf2(HASH_SHA256, BYTES("p", 1), NO_BYTES, 0, ours, 8),
                     CKR_ARGUMENTS_BAD);
    for (enum hash h = HASH_SHA1; h < HASH_COUNT; h++) {
        for (uint32_t rounds = 1; rounds < 4; rounds++) {
            assert_ok(soft_pbkdf2(h, NO_BYTES, BYTES("0123456789", 10), rounds, ours, 150));
            assert_true(PKCS5_PBKDF2_HMAC("", 0, (const uint8_t *)"0123456789", 10, (int)rounds,
                                          evp_md(h), 150, theirs));
            assert_memory_equal(ours, theirs, 150);
        }
    }
}

/* SP800-108 in counter mode with OpenSSL's separator (the label's NUL) and length field is KDFa. */
static void kdfa_as_kbkdf(void **state)
{
    (void)state;
    static const uint32_t bits[] = {8, 128, 160, 256, 264, 512, 1024, 2048};
    uint8_t key[32], context[40], ours[256], theirs[256];
    fill(key, sizeof(key), 5);
    fill(context, sizeof(context), 6);
    for (enum hash h = HASH_SHA1; h < HASH_COUNT; h++) {
        for (size_t i = 0; i < sizeof(bits) / sizeof(*bits); i++) {
            OSSL_PARAM p[] = {TEXT(OSSL_KDF_PARAM_MODE, "counter"),
                              TEXT(OSSL_KDF_PARAM_MAC, "HMAC"),
                              DIGEST(h),
                              OCTETS(OSSL_KDF_PARAM_KEY, BYTES_OF(key)),
                              OCTETS(OSSL_KDF_PARAM_SALT, BYTES("CFB", 3)),
                              OCTETS(OSSL_KDF_PARAM_INFO, BYTES_OF(context)),
                              OSSL_PARAM_END};
            evp_kdf("KBKDF", p, theirs, bits[i] / 8);
            assert_ok(soft_kdfa(h, BYTES_OF(key), "CFB", BYTES(context, 16),
                                BYTES(context + 16, 24), bits[i], ours));
            assert_memory_equal(ours, theirs, bits[i] / 8);
        }
    }
    assert_int_equal(soft_kdfa(HASH_SHA256, BYTES_OF(key), "CFB", NO_BYTES, NO_BYTES, 129, ours),
                     CKR_ARGUMENTS_BAD);
}

/* SP800-56C one-step with a hash, whose FixedInfo is label, its NUL, PartyU and PartyV, is KDFe. */
static void kdfe_as_sskdf(void **state)
{
    (void)state;
    static const uint32_t bits[] = {8, 128, 256, 264, 512, 1024};
    static const uint8_t info[] = "DUPLICATE\0party-u-xparty-v-x";
    uint8_t z[66], ours[128], theirs[128];
    fill(z, sizeof(z), 7);
    for (enum hash h = HASH_SHA1; h < HASH_COUNT; h++) {
        for (size_t i = 0; i < sizeof(bits) / sizeof(*bits); i++) {
            OSSL_PARAM p[] = {DIGEST(h), OCTETS(OSSL_KDF_PARAM_KEY, BYTES_OF(z)),
                              OCTETS(OSSL_KDF_PARAM_INFO, BYTES(info, sizeof(info) - 1)),
                              OSSL_PARAM_END};
            evp_kdf("SSKDF", p, theirs, bits[i] / 8);
            assert_ok(soft_kdfe(h, BYTES_OF(z), "DUPLICATE", BYTES("party-u-x", 9),
                                BYTES("party-v-x", 9), bits[i], ours));
            assert_memory_equal(ours, theirs, bits[i] / 8);
        }
    }
    assert_int_equal(soft_kdfe(HASH_SHA256, BYTES_OF(z), "X", NO_BYTES, NO_BYTES, 12, ours),
                     CKR_ARGUMENTS_BAD);
}

/* NIST CAVP, component testing, ANSI X9.63-2001 KDF (ansx963_2001.rsp): SHA-1 and SHA-256. */
static void x963_cavs(void **state)
{
    (void)state;
    const struct {
        enum hash hash;
        const char *z, *shared, *key;
    } cases[] = {
        {HASH_SHA1, "1c7d7b5f0597b03d06a018466ed1a93e30ed4b04dc64ccdd", "",
         "bf71dffd8f4d99223936beb46fee8ccc"},
        {HASH_SHA256, "96c05619d56c328ab95fe84b18264b08725b85e33fd34f08", "",
         "443024c3dae66b95e6f5670601558f71"},
        {HASH_SHA256, "22518b10e70f2a3f243810ae3254139efbee04aa57c7af7d",
         "75eef81aa3041e33b80971203d2c0c52",
         "c498af77161cc59f2962b9a713e2b215152d139766ce34a776df11866a69bf2e52a13d9c7c6fc878c50c5ea0"
         "bc7b00e0da2447cfd874f6cf92f30d0097111485500c90c3af8b487872d04685d14c8d1dc8d7fa08beb0ce0a"
         "babc11f0bd496269142d43525a78e5bc79a17f59676a5706dc54d54d4d1f0bd7e386128ec26afc21"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct hex z = unhex(cases[i].z), shared = unhex(cases[i].shared),
                   key = unhex(cases[i].key);
        uint8_t out[128];
        assert_ok(soft_x963_kdf(cases[i].hash, HEX_BYTES(z), HEX_BYTES(shared), out, key.n));
        assert_memory_equal(out, key.p, key.n);
    }
}

static void x963_as_openssl(void **state)
{
    (void)state;
    uint8_t ours[200], theirs[200];
    for (enum hash h = HASH_SHA1; h < HASH_COUNT; h++) {
        struct bytes z = BYTES("shared secret", 13), shared = BYTES("shared info", 11);
        OSSL_PARAM p[] = {DIGEST(h), OCTETS(OSSL_KDF_PARAM_KEY, z),
                          OCTETS(OSSL_KDF_PARAM_INFO, shared), OSSL_PARAM_END};
        for (size_t n = 1; n <= sizeof(ours); n += 7) {
            assert_ok(soft_x963_kdf(h, z, shared, ours, n));
            evp_kdf("X963KDF", p, theirs, n);
            assert_memory_equal(ours, theirs, n);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hkdf_rfc_5869),  cmocka_unit_test(hkdf_as_openssl_up_to_its_limit),
        cmocka_unit_test(pbkdf2_vectors), cmocka_unit_test(pbkdf2_as_openssl),
        cmocka_unit_test(kdfa_as_kbkdf),  cmocka_unit_test(kdfe_as_sskdf),
        cmocka_unit_test(x963_cavs),      cmocka_unit_test(x963_as_openssl),
    };
    return run_soft_tests(tests);
}
