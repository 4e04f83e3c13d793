/* AES in every mode against SP800-38A and OpenSSL, and GHASH against the GCM specification. */
#include "soft_test.h"

#include <soft/aes.h>
#include <soft/internal.h>

static const char *const mode_names[AES_MODES] = {
    [AES_ECB] = "ECB",    [AES_CBC] = "CBC",   [AES_CTR] = "CTR",
    [AES_CFB128] = "CFB", [AES_CFB8] = "CFB8", [AES_OFB] = "OFB",
};

/* SP800-38A, appendix F: the plain text and keys of all examples. */
static const char plain_text[] = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
                                 "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710";
static const char *const keys[3] = {
    "2b7e151628aed2a6abf7158809cf4f3c", "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
    "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"};
static const struct {
    enum aes_mode mode;
    const char *iv, *cipher[3]; /* by key size */
} examples[] = {
    {AES_ECB,
     "",
     {"3ad77bb40d7a3660a89ecaf32466ef97f5d3d58503b9699de785895a96fdbaaf"
      "43b1cd7f598ece23881b00e3ed0306887b0c785e27e8ad3f8223207104725dd4",
      "bd334f1d6e45f25ff712a214571fa5cc974104846d0ad3ad7734ecb3ecee4eef"
      "ef7afd2270e2e60adce0ba2face6444e9a4b41ba738d6c72fb16691603c18e0e",
      "f3eed1bdb5d2a03c064b5a7e3db181f8591ccb10d410ed26dc5ba74a31362870"
      "b6ed21b99ca6f4f9f153e7b1beafed1d23304b7a39f9f3ff067d8d8f9e24ecc7"}},
    {AES_CBC,
     "000102030405060708090a0b0c0d0e0f",
     {"7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2"
      "73bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7",
      "4f021db243bc633d7178183a9fa071e8b4d9ada9ad7dedf4e5e738763f69145a"
      "571b242012fb7ae07fa9baac3df102e008b0e27988598881d920a9e64f5615cd",
      "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d"
      "39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b"}},
    {AES_CFB8,
     "000102030405060708090a0b0c0d0e0f",
     {"3b79424c9c0dd436bace9e0ed4586a4f32b9", "cda2521ef0a905ca44cd057cbf0d47a0678a",
      "dc1f1a8520a64db55fcc8ac554844e889700"}},
    {AES_CFB128,
     "000102030405060708090a0b0c0d0e0f",
     {"3b3fd92eb72dad20333449f8e83cfb4ac8a64537a0b3a93fcde3cdad9f1ce58b"
      "26751f67a3cbb140b1808cf187a4f4dfc04b05357c5d1c0eeac4c66f9ff7f2e6",
      "cdc80d6fddf18cab34c25909c99a417467ce7f7f81173621961a2b70171d3d7a"
      "2e1e8a1dd59b88b1c8e60fed1efac4c9c05f9f9ca9834fa042ae8fba584b09ff",
      "dc7e84bfda79164b7ecd8486985d386039ffed143b28b1c832113c6331e5407b"
      "df10132415e54b92a13ed0a8267ae2f975a385741ab9cef82031623d55b1e471"}},
    {AES_OFB,
     "000102030405060708090a0b0c0d0e0f",
     {"3b3fd92eb72dad20333449f8e83cfb4a7789508d16918f03f53c52dac54ed825"
      "9740051e9c5fecf64344f7a82260edcc304c6528f659c77866a510d9c1d6ae5e",
      "cdc80d6fddf18cab34c25909c99a4174fcc28b8d4c63837c09e81700c1100401"
      "8d9a9aeac0f6596f559c6d4daf59a5f26d9f200857ca6c3e9cac524bd9acc92a",
      "dc7e84bfda79164b7ecd8486985d38604febdc6740d20b3ac88f6ad82a4fb08d"
      "71ab47a086e86eedf39d1c5bba97c4080126141d67f37be8538f5a8be740e484"}},
    {AES_CTR,
     "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
     {"874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff"
      "5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee",
      "1abc932417521ca24f2b0459fe7e6e0b090339ec0aa6faefd5ccc2c6f4ce8e94"
      "1e36b26bd1ebc670d1bd1d665620abf74f78a7f6d29809585a97daec58c6b050",
      "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5"
      "2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6"}},
};

static void sp800_38a(void **state)
{
    (void)state;
    struct hex plain = unhex(plain_text);
    for (size_t i = 0; i < sizeof(examples) / sizeof(*examples); i++) {
        for (int size = 0; size < 3; size++) {
            struct hex key = unhex(keys[size]), cipher = unhex(examples[i].cipher[size]);
            struct hex iv = unhex(examples[i].iv), again = iv;
            uint8_t out[64];
            assert_ok(
                soft_aes(examples[i].mode, true, HEX_BYTES(key), iv.p, plain.p, out, cipher.n));
            assert_memory_equal(out, cipher.p, cipher.n);
            assert_ok(
                soft_aes(examples[i].mode, false, HEX_BYTES(key), again.p, out, out, cipher.n));
            assert_memory_equal(out, plain.p, cipher.n);
            assert_memory_equal(iv.p, again.p, iv.n);
        }
    }
}

static void evp(enum aes_mode mode, bool encrypt, struct bytes key, const uint8_t *iv,
                struct bytes in, uint8_t *ret)
{
    char name[16];
    int n;
    snprintf(name, sizeof(name), "AES-%zu-%s", 8 * key.n, mode_names[mode]);
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, name, NULL);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    assert_true(EVP_CipherInit_ex2(ctx, cipher, key.p, iv, encrypt, NULL));
    assert_true(EVP_CIPHER_CTX_set_padding(ctx, 0));
    assert_true(EVP_CipherUpdate(ctx, ret, &n, in.p, (int)in.n));
    assert_int_equal(n, in.n);
    EVP_CIPHER_CTX_free(ctx);
    EVP_CIPHER_free(cipher);
}

/* Every length, whole and in two calls at every place that is allowed, in place and not. */
static void as_openssl_in_any_split(void **state)
{
    (void)state;
    enum { N = 100 };
    uint8_t key[32], iv[16], in[N], expected[N], out[N], chain[16];
    fill(key, sizeof(key), 1);
    fill(iv, sizeof(iv), 2);
    fill(in, sizeof(in), 3);
    for (enum aes_mode m = AES_ECB; m < AES_MODES; m++) {
        size_t unit = m == AES_ECB || m == AES_CBC ? 16 : 1, cut = m == AES_CFB8 ? 1 : 16;
        for (size_t n = 0; n <= N; n += unit) {
            for (size_t round = 0; round < 6; round++) {
                bool encrypt = round % 2;
                struct bytes k = BYTES(key, 16 + 8 * (round / 2));
                evp(m, encrypt, k, iv, BYTES(in, n), expected);
                for (size_t first = 0; first <= n; first += cut) {
                    memcpy(chain, iv, 16);
                    memcpy(out, in, n);
                    assert_ok(soft_aes(m, encrypt, k, chain, out, out, first));
                    assert_ok(soft_aes(m, encrypt, k, chain, in + first, out + first, n - first));
                    assert_memory_equal(out, expected, n);
                }
            }
        }
    }
}

/* The counter is 128 bits long: the last block of all is followed by block 0. */
static void counter_wraps(void **state)
{
    (void)state;
    uint8_t key[16] = {7}, zero[48] = {0}, out[48], counter[16], block[16];
    memset(counter, 0xFF, sizeof(counter));
    assert_ok(soft_aes(AES_CTR, true, BYTES_OF(key), counter, zero, out, 32));
    assert_hex(counter, "00000000000000000000000000000001");
    assert_ok(soft_aes(AES_ECB, true, BYTES_OF(key), NULL, zero, block, 16));
    assert_memory_equal(out + 16, block, 16);
    memset(counter, 0, sizeof(counter));
    memset(counter + 8, 0xFF, 8);
    assert_ok(soft_aes(AES_CTR, true, BYTES_OF(key), counter, zero, out, 48));
    assert_hex(counter, "00000000000000010000000000000002");
}

static void refuses_lengths(void **state)
{
    (void)state;
    uint8_t key[33] = {0}, iv[16] = {0}, data[32] = {0};
    for (enum aes_mode m = AES_ECB; m < AES_MODES; m++) {
        for (size_t n = m == AES_ECB ? 0 : 15; n <= sizeof(key); n += m == AES_ECB ? 1 : 9)
            assert_int_equal(soft_aes(m, true, BYTES(key, n), iv, data, data, 16),
                             n == 16 || n == 24 || n == 32 ? CKR_OK : CKR_KEY_SIZE_RANGE);
        for (size_t n = 0; n <= sizeof(data); n++)
            assert_int_equal(soft_aes(m, false, BYTES(key, 16), iv, data, data, n),
                             (m == AES_ECB || m == AES_CBC) && n % 16 ? CKR_DATA_LEN_RANGE
                                                                      : CKR_OK);
    }
}

/* ---- GHASH ---- */

static bool by_integers(const uint8_t *h16, uint8_t *y16, const uint8_t *blocks, size_t n)
{
    ghash_by_integers(h16, y16, blocks, n);
    return true;
}

/* The second answers false where the processor has no such instruction. */
static bool (*const ghash_ways[])(const uint8_t *, uint8_t *, const uint8_t *,
                                  size_t) = {by_integers, ghash_by_clmul};
enum { GHASH_WAYS = sizeof(ghash_ways) / sizeof(*ghash_ways) };

/* McGrew and Viega, "The Galois/Counter Mode of Operation", appendix B, test cases 2, 3 and 4:
 * H, the blocks (A, C and their lengths), GHASH(H, A, C). */
static void ghash_gcm_specification(void **state)
{
    (void)state;
    const struct {
        const char *h, *blocks, *hash;
    } cases[] = {
        {"66e94bd4ef8a2c3b884cfa59ca342b2e",
         "0388dace60b6a392f328c2b971b2fe7800000000000000000000000000000080",
         "f38cbb1ad69223dcc3457ae5b6b0f885"},
        {"b83b533708bf535d0aa6e52980d53b78",
         "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
         "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091473f5985"
         "00000000000000000000000000000200",
         "7f1b32b81b820d02614f8895ac1d4eac"},
        {"b83b533708bf535d0aa6e52980d53b78",
         "feedfacedeadbeeffeedfacedeadbeefabaddad2000000000000000000000000"
         "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
         "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e09100000000"
         "00000000000000a000000000000001e0",
         "698e57f70e6ecc7fd9463b7260a9ae5f"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct hex h = unhex(cases[i].h), blocks = unhex(cases[i].blocks);
        for (size_t first = 0; first <= blocks.n; first += 16) {
            for (size_t way = 0; way < GHASH_WAYS; way++) {
                uint8_t y[16] = {0};
                if (!ghash_ways[way](h.p, y, blocks.p, first))
                    continue;
                ghash_ways[way](h.p, y, blocks.p + first, blocks.n - first);
                assert_hex(y, cases[i].hash);
            }
        }
    }
}

/* SP800-38D, 6.3 by the letter, bit for bit. */
static void multiply_slowly(const uint8_t *x, const uint8_t *h, uint8_t *ret)
{
    uint8_t z[16] = {0}, v[16];
    memcpy(v, h, 16);
    for (int i = 0; i < 128; i++) {
        if (x[i / 8] >> (7 - i % 8) & 1)
            for (int j = 0; j < 16; j++)
                z[j] ^= v[j];
        bool low = v[15] & 1;
        for (int j = 15; j > 0; j--)
            v[j] = (uint8_t)(v[j] >> 1 | v[j - 1] << 7);
        v[0] >>= 1;
        if (low)
            v[0] ^= 0xE1;
    }
    memcpy(ret, z, 16);
}

static void ghash_as_by_the_letter(void **state)
{
    (void)state;
    static const uint8_t zero[16];
    for (uint32_t i = 0; i < 2000; i++) {
        uint8_t h[16], y[16], x[16], expected[16];
        fill(h, 16, 2 * i);
        fill(x, 16, 2 * i + 1);
        if (i < 128) { /* single bits */
            memset(h, 0, 16);
            h[i / 8] = (uint8_t)(1 << i % 8);
        }
        if (i >= 128 && i < 132) { /* the most carries */
            memset(h, i % 2 ? 0xFF : 0x21, 16);
            memset(x, i & 2 ? 0xFF : 0x84, 16);
        }
        multiply_slowly(x, h, expected);
        for (size_t way = 0; way < GHASH_WAYS; way++) {
            memcpy(y, x, 16);
            if (ghash_ways[way](h, y, zero, 16))
                assert_memory_equal(y, expected, 16);
        }
    }
}

/* Several blocks by the letter, so many that some are taken together and some are left over. */
static void ghash_of_many_blocks(void **state)
{
    (void)state;
    enum { BLOCKS = 14 };
    uint8_t h[16], start[16], blocks[16 * BLOCKS];
    for (uint32_t i = 0; i < 50; i++) {
        fill(h, sizeof(h), 3 * i);
        fill(start, sizeof(start), 3 * i + 1);
        fill(blocks, sizeof(blocks), 3 * i + 2);
        uint8_t expected[16];
        memcpy(expected, start, 16);
        for (size_t n = 0; n <= BLOCKS; n++) {
            for (size_t way = 0; way < GHASH_WAYS; way++) {
                uint8_t y[16];
                memcpy(y, start, 16);
                if (ghash_ways[way](h, y, blocks, 16 * n))
                    assert_memory_equal(y, expected, 16);
            }
            for (size_t j = 0; n < BLOCKS && j < 16; j++)
                expected[j] ^= blocks[16 * n + j];
            if (n < BLOCKS)
                multiply_slowly(expected, h, expected);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sp800_38a),
        cmocka_unit_test(as_openssl_in_any_split),
        cmocka_unit_test(counter_wraps),
        cmocka_unit_test(refuses_lengths),
        cmocka_unit_test(ghash_gcm_specification),
        cmocka_unit_test(ghash_as_by_the_letter),
        cmocka_unit_test(ghash_of_many_blocks),
    };
    return run_soft_tests(tests);
}
