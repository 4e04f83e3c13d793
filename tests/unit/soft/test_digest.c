/* Digests and HMAC against published vectors, and against OpenSSL for every hash and many lengths.
 */
#include "soft_test.h"

/* FIPS 180-4 and FIPS 202 example values for "abc" (NIST CSRC, "Examples with Intermediate
 * Values"). */
static void abc(void **state)
{
    (void)state;
    static const char *const expected[HASH_COUNT] = {
        [HASH_SHA1] = "a9993e364706816aba3e25717850c26c9cd0d89d",
        [HASH_SHA224] = "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7",
        [HASH_SHA256] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        [HASH_SHA384] = "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded163"
                        "1a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
        [HASH_SHA512] = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                        "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        [HASH_SHA3_224] = "e642824c3f8cf24ad09234ee7d3c766fc9a3a5168d0c94ad73b46fdf",
        [HASH_SHA3_256] = "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532",
        [HASH_SHA3_384] = "ec01498288516fc926459f58e2c6ad8df9b473cb0fc08c25"
                          "96da7cf0e49be4b298d88cea927ac7f539f1edf228376d25",
        [HASH_SHA3_512] = "b751850b1a57168a5693cd924b6b096e08f621827444f70d884f5d0240d2712e"
                          "10e116e9192af3c91a7ec57647e3934057340b4cf408d5a56592f8274eec53f0",
    };
    for (enum hash h = HASH_SHA1; h < HASH_COUNT; h++) {
        uint8_t digest[HASH_MAX];
        struct bytes whole = BYTES("abc", 3), parts[] = {BYTES("a", 1), NO_BYTES, BYTES("bc", 2)};
        assert_int_equal(strlen(expected[h]), 2 * hash_size(h));
        assert_ok(soft_hash(h, &whole, 1, digest));
        assert_hex(digest, expected[h]);
        memset(digest, 0, sizeof(digest));
        assert_ok(soft_hash(h, parts, 3, digest));
        assert_hex(digest, expected[h]);
    }
}

static void sizes_are_openssl_s(void **state)
{
    (void)state;
    assert_int_equal(hash_size(HASH_NONE), 0);
    for (enum hash h = HASH_SHA1; h < HASH_COUNT; h++) {
        assert_int_equal(hash_size(h), EVP_MD_get_size(evp_md(h)));
        assert_int_equal(hash_block_size(h), EVP_MD_get_block_size(evp_md(h)));
    }
}

static void every_length_as_openssl(void **state)
{
    (void)state;
    uint8_t data[300], ours[HASH_MAX], theirs[EVP_MAX_MD_SIZE];
    fill(data, sizeof(data), 1);
    for (enum hash h = HASH_SHA1; h < HASH_COUNT; h++) {
        for (size_t n = 0; n <= sizeof(data); n++) {
            struct bytes parts[] = {BYTES(data, n / 3), BYTES(data + n / 3, n - n / 3)};
            assert_ok(soft_hash(h, parts, 2, ours));
            assert_true(EVP_Digest(data, n, theirs, NULL, evp_md(h), NULL));
            assert_memory_equal(ours, theirs, hash_size(h));
        }
    }
}

static void streaming_and_copies(void **state)
{
    (void)state;
    uint8_t data[200], whole[HASH_MAX], streamed[HASH_MAX], copied[HASH_MAX];
    fill(data, sizeof(data), 2);
    for (enum hash h = HASH_SHA1; h < HASH_COUNT; h++) {
        struct soft_digest *d = NULL, *copy = NULL;
        struct bytes all = BYTES_OF(data);
        assert_ok(soft_hash(h, &all, 1, whole));
        assert_ok(soft_digest_new(h, &d));
        assert_ok(soft_digest_update(d, BYTES(data, 77)));
        assert_ok(soft_digest_copy(d, &copy));
        assert_ok(soft_digest_update(d, NO_BYTES));
        for (size_t i = 77; i < sizeof(data); i++)
            assert_ok(soft_digest_update(d, BYTES(data + i, 1)));
        assert_ok(soft_digest_final(d, streamed));
        soft_digest_free(&d);
        assert_null(d);
        assert_memory_equal(streamed, whole, hash_size(h));
        assert_ok(soft_digest_update(copy, BYTES(data + 77, sizeof(data) - 77)));
        assert_ok(soft_digest_final(copy, copied));
        soft_digest_free(&copy);
        assert_memory_equal(copied, whole, hash_size(h));
    }
    struct soft_digest *none = NULL;
    soft_digest_free(&none);
}

static void no_hash_is_refused(void **state)
{
    (void)state;
    uint8_t digest[HASH_MAX];
    struct bytes data = BYTES("x", 1);
    struct soft_digest *d = NULL;
    assert_int_equal(soft_hash(HASH_NONE, &data, 1, digest), CKR_FUNCTION_FAILED);
    assert_int_equal(soft_digest_new(HASH_NONE, &d), CKR_FUNCTION_FAILED);
    assert_null(d);
    assert_int_equal(soft_hmac(HASH_NONE, data, &data, 1, digest), CKR_FUNCTION_FAILED);
}

/* FIPS 202's SHAKE256 of the empty text begins with 46b9dd2b; other lengths against libcrypto. */
static void shake256_as_openssl(void **state)
{
    (void)state;
    static uint8_t data[700];
    uint8_t ours[300], theirs[300];
    fill(data, sizeof(data), 9);
    assert_ok(soft_shake256(NULL, 0, ours, 4));
    assert_hex(ours, "46b9dd2b");
    for (size_t n = 1; n < sizeof(data); n += 23) {
        size_t out = 1 + n % sizeof(ours);
        struct bytes parts[] = {BYTES(data, n / 3), NO_BYTES, BYTES(data + n / 3, n - n / 3)};
        EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        assert_int_equal(EVP_DigestInit_ex(ctx, EVP_shake256(), NULL), 1);
        assert_int_equal(EVP_DigestUpdate(ctx, data, n), 1);
        assert_int_equal(EVP_DigestFinalXOF(ctx, theirs, out), 1);
        EVP_MD_CTX_free(ctx);
        assert_ok(soft_shake256(parts, 3, ours, out));
        assert_memory_equal(ours, theirs, out);
    }
}

/* RFC 4231, section 4: test cases 1 to 4, 6 and 7 (5 is truncated). */
static void hmac_rfc_4231(void **state)
{
    (void)state;
    static const char long_key_text[] = "Test Using Larger Than Block-Size Key - Hash Key First";
    static const char long_data_text[] =
        "This is a test using a larger than block-size key and a larger than block-size data. The "
        "key needs to be hashed before being used by the HMAC algorithm.";
    uint8_t b0b[20], aa20[20], aa131[131], dd50[50], cd50[50], key4[25];
    memset(b0b, 0x0b, sizeof(b0b));
    memset(aa20, 0xaa, sizeof(aa20));
    memset(aa131, 0xaa, sizeof(aa131));
    memset(dd50, 0xdd, sizeof(dd50));
    memset(cd50, 0xcd, sizeof(cd50));
    for (uint8_t i = 0; i < sizeof(key4); i++)
        key4[i] = (uint8_t)(i + 1);
    const struct {
        struct bytes key, data;
        const char *sha224, *sha256;
    } cases[] = {
        {BYTES_OF(b0b), BYTES("Hi There", 8),
         "896fb1128abbdf196832107cd49df33f47b4b1169912ba4f53684b22",
         "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
        {BYTES("Jefe", 4), BYTES("what do ya want for nothing?", 28),
         "a30e01098bc6dbbf45690f3a7e9e6d0f8bbea2a39e6148008fd05e44",
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
        {BYTES_OF(aa20), BYTES_OF(dd50), "7fb3cb3588c6c1f6ffa9694d7d6ad2649365b0c1f65d69d1ec8333ea",
         "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
        {BYTES_OF(key4), BYTES_OF(cd50), "6c11506874013cac6a2abc1bb382627cec6a90d86efc012de7afec5a",
         "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
        {BYTES_OF(aa131), BYTES_STR(long_key_text),
         "95e9a0db962095adaebe9b2d6f0dbce2d499f112f2d2b7273fa6870e",
         "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
        {BYTES_OF(aa131), BYTES_STR(long_data_text),
         "3a854166ac5d9f023f54d517d0b39dbd946770db9c2b95c9f6f565d1",
         "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        uint8_t mac[HASH_MAX];
        struct bytes parts[] = {BYTES(cases[i].data.p, 3),
                                BYTES(cases[i].data.p + 3, cases[i].data.n - 3)};
        assert_ok(soft_hmac(HASH_SHA224, cases[i].key, parts, 2, mac));
        assert_hex(mac, cases[i].sha224);
        assert_ok(soft_hmac(HASH_SHA256, cases[i].key, parts, 2, mac));
        assert_hex(mac, cases[i].sha256);
    }
}

/* Key lengths around each hash's block and digest size. */
static void hmac_every_key_length_as_openssl(void **state)
{
    (void)state;
    uint8_t key[300], data[100], ours[HASH_MAX], theirs[EVP_MAX_MD_SIZE];
    fill(key, sizeof(key), 3);
    fill(data, sizeof(data), 4);
    for (enum hash h = HASH_SHA1; h < HASH_COUNT; h++) {
        for (size_t n = 0; n <= sizeof(key); n++) {
            size_t length = 0;
            struct bytes parts = BYTES(data, n % sizeof(data));
            assert_ok(soft_hmac(h, BYTES(key, n), &parts, 1, ours));
            assert_non_null(EVP_Q_mac(NULL, "HMAC", NULL, EVP_MD_get0_name(evp_md(h)), NULL, key, n,
                                      data, parts.n, theirs, sizeof(theirs), &length));
            assert_int_equal(length, hash_size(h));
            assert_memory_equal(ours, theirs, length);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(abc),
        cmocka_unit_test(sizes_are_openssl_s),
        cmocka_unit_test(every_length_as_openssl),
        cmocka_unit_test(streaming_and_copies),
        cmocka_unit_test(shake256_as_openssl),
        cmocka_unit_test(no_hash_is_refused),
        cmocka_unit_test(hmac_rfc_4231),
        cmocka_unit_test(hmac_every_key_length_as_openssl),
    };
    return run_soft_tests(tests);
}
