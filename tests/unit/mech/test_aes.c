/* AES in the modes of SP800-38A, on keys in software and in the TPM: published vectors, libcrypto,
 * lengths, counters, padding, and what it costs. */
#include "symmetric_test.h"

#include <mech/symmetric.h>

static const uint8_t iv16[16] = {0xF0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0xFE};

static const struct mode {
    CK_MECHANISM_TYPE type;
    const char *evp;
    bool iv, whole, padding;
} modes[] = {
    {CKM_AES_ECB, "ECB", false, true, false},    {CKM_AES_CBC, "CBC", true, true, false},
    {CKM_AES_CBC_PAD, "CBC", true, false, true}, {CKM_AES_CTR, "CTR", true, false, false},
    {CKM_AES_OFB, "OFB", true, false, false},    {CKM_AES_CFB128, "CFB", true, false, false},
    {CKM_AES_CFB8, "CFB8", true, false, false},
};

/* With the mechanism's parameter made of iv. */
static void begin(struct operation *o, const struct mode *m, const struct mech_key *key,
                  const uint8_t *iv)
{
    CK_AES_CTR_PARAMS counter = {.ulCounterBits = 128};
    memcpy(counter.cb, iv, 16);
    if (m->type == CKM_AES_CTR)
        operation_begin(o, m->type, key, &counter, sizeof(counter));
    else
        operation_begin(o, m->type, key, m->iv ? iv : NULL, m->iv ? 16 : 0);
}

/* ---- published vectors --------------------------------------------------------------------- */

/* SP800-38A, appendix F: AES-128 and AES-256. */
static const char plain_text[] = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
                                 "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710";
static const char *const keys[] = {
    "2b7e151628aed2a6abf7158809cf4f3c",
    "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"};
static const struct {
    CK_MECHANISM_TYPE type;
    const char *iv, *cipher[2];
} examples[] = {
    {CKM_AES_ECB,
     "",
     {"3ad77bb40d7a3660a89ecaf32466ef97f5d3d58503b9699de785895a96fdbaaf"
      "43b1cd7f598ece23881b00e3ed0306887b0c785e27e8ad3f8223207104725dd4",
      "f3eed1bdb5d2a03c064b5a7e3db181f8591ccb10d410ed26dc5ba74a31362870"
      "b6ed21b99ca6f4f9f153e7b1beafed1d23304b7a39f9f3ff067d8d8f9e24ecc7"}},
    {CKM_AES_CBC,
     "000102030405060708090a0b0c0d0e0f",
     {"7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2"
      "73bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7",
      "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d"
      "39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b"}},
    {CKM_AES_CFB8,
     "000102030405060708090a0b0c0d0e0f",
     {"3b79424c9c0dd436bace9e0ed4586a4f32b9", "dc1f1a8520a64db55fcc8ac554844e889700"}},
    {CKM_AES_CFB128,
     "000102030405060708090a0b0c0d0e0f",
     {"3b3fd92eb72dad20333449f8e83cfb4ac8a64537a0b3a93fcde3cdad9f1ce58b"
      "26751f67a3cbb140b1808cf187a4f4dfc04b05357c5d1c0eeac4c66f9ff7f2e6",
      "dc7e84bfda79164b7ecd8486985d386039ffed143b28b1c832113c6331e5407b"
      "df10132415e54b92a13ed0a8267ae2f975a385741ab9cef82031623d55b1e471"}},
    {CKM_AES_OFB,
     "000102030405060708090a0b0c0d0e0f",
     {"3b3fd92eb72dad20333449f8e83cfb4a7789508d16918f03f53c52dac54ed825"
      "9740051e9c5fecf64344f7a82260edcc304c6528f659c77866a510d9c1d6ae5e",
      "dc7e84bfda79164b7ecd8486985d38604febdc6740d20b3ac88f6ad82a4fb08d"
      "71ab47a086e86eedf39d1c5bba97c4080126141d67f37be8538f5a8be740e484"}},
    {CKM_AES_CTR,
     "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
     {"874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff"
      "5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee",
      "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5"
      "2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6"}},
};

static const struct mode *mode_of(CK_MECHANISM_TYPE type)
{
    size_t i = 0;
    while (modes[i].type != type)
        i++;
    return &modes[i];
}

static void test_sp800_38a(void **state)
{
    (void)state;
    struct hex plain = unhex(plain_text);
    for (size_t size = 0; size < COUNT(keys); size++) {
        struct sym_key key;
        struct hex value = unhex(keys[size]);
        aes_key(&key, HEX_BYTES(value));
        FOR_EACH_PLACE(w, &key)
        for (size_t i = 0; i < COUNT(examples); i++) {
            struct operation o;
            struct hex cipher = unhex(examples[i].cipher[size]), iv = unhex(examples[i].iv);
            begin(&o, mode_of(examples[i].type), &key.place[w], iv.p);
            assert_cipher(&o, true, BYTES(plain.p, cipher.n), 0, HEX_BYTES(cipher));
            assert_cipher(&o, false, HEX_BYTES(cipher), 0, BYTES(plain.p, cipher.n));
            operation_end(&o);
        }
        sym_key_free(&key);
    }
}

/* RFC 3686, 6: test vectors 1, 2, 3, 7 and 9. */
static void test_rfc3686(void **state)
{
    (void)state;
    static const struct {
        const char *key, *block, *plain, *cipher;
    } vectors[] = {
        {"ae6852f8121067cc4bf7a5765577f39e", "00000030000000000000000000000001",
         "53696e676c6520626c6f636b206d7367", "e4095d4fb7a7b3792d6175a3261311b8"},
        {"7e24067817fae0d743d6ce1f32539163", "006cb6dbc0543b59da48d90b00000001",
         "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
         "5104a106168a72d9790d41ee8edad388eb2e1efc46da57c8fce630df9141be28"},
        {"7691be035e5020a8ac6e618529f9a0dc", "00e0017b27777f3f4a1786f000000001",
         "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223",
         "c1cf48a89f2ffdd9cf4652e9efdb72d74540a42bde6d7836d59a5ceaaef3105325b2072f"},
        {"776beff2851db06f4c8a0542c8696f6c6a81af1eec96b4d37fc1d689e6c1c104",
         "00000060db5672c97aa8f0b200000001", "53696e676c6520626c6f636b206d7367",
         "145ad01dbf824ec7560863dc71e3e0c0"},
        {"ff7a617ce69148e4f1726e2f43581de2aa62d9f805532edff1eed687fb54153d",
         "001cc5b751a51d70a1c1114800000001",
         "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223",
         "eb6c52821d0bbbf7ce7594462aca4faab407df866569fd07f48cc0b583d6071f1ec0e6b8"},
    };
    for (size_t i = 0; i < COUNT(vectors); i++) {
        struct sym_key key;
        struct hex value = unhex(vectors[i].key), block = unhex(vectors[i].block);
        struct hex plain = unhex(vectors[i].plain), cipher = unhex(vectors[i].cipher);
        CK_AES_CTR_PARAMS counter = {.ulCounterBits = 32};
        memcpy(counter.cb, block.p, 16);
        aes_key(&key, HEX_BYTES(value));
        FOR_EACH_PLACE(w, &key)
        {
            struct operation o;
            operation_begin(&o, CKM_AES_CTR, &key.place[w], &counter, sizeof(counter));
            assert_cipher(&o, true, HEX_BYTES(plain), 0, HEX_BYTES(cipher));
            assert_cipher(&o, false, HEX_BYTES(cipher), 3, HEX_BYTES(plain));
            operation_end(&o);
        }
        sym_key_free(&key);
    }
}

/* ---- libcrypto ----------------------------------------------------------------------------- */

static void both_ways(const struct mode *m, const struct sym_key *key, enum where w, size_t n,
                      uint32_t seed)
{
    static uint8_t plain[9000], cipher[9016];
    struct operation o;
    fill(plain, n, seed + 7);
    size_t cipher_n = evp_cipher(m->evp, m->padding, true, BYTES(key->value, key->n), iv16,
                                 BYTES(plain, n), cipher);
    begin(&o, m, &key->place[w], iv16);
    assert_cipher(&o, true, BYTES(plain, n), seed, BYTES(cipher, cipher_n));
    assert_cipher(&o, false, BYTES(cipher, cipher_n), seed, BYTES(plain, n));
    operation_end(&o);
}

static void test_any_size_in_any_chunks(void **state)
{
    (void)state;
    uint32_t seed = 1;
    for (size_t size = 16; size <= 32; size += 8) {
        struct sym_key key;
        uint8_t value[32];
        fill(value, sizeof(value), (uint32_t)size);
        aes_key(&key, BYTES(value, size));
        FOR_EACH_PLACE(w, &key)
        for (size_t i = 0; i < COUNT(modes); i++) {
            bool byte_by_byte = modes[i].type == CKM_AES_CFB8 && w == IN_TPM;
            size_t unit = modes[i].whole ? 16 : 1, most = byte_by_byte ? 300 : 9000;
            for (size_t n = 0; n <= 49; n++)
                if (n % unit == 0)
                    both_ways(&modes[i], &key, w, n, (uint32_t)n % 3);
            for (int round = 0; round < (w == IN_TPM ? 6 : 30); round++)
                both_ways(&modes[i], &key, w, draw(&seed, (uint32_t)(most / unit)) * unit,
                          seed | 1);
            mark_checked(modes[i].type);
        }
        sym_key_free(&key);
    }
}

/* ---- lengths ------------------------------------------------------------------------------- */

static void test_wrong_lengths(void **state)
{
    (void)state;
    struct sym_key key;
    uint8_t value[16] = {1}, data[48] = {2};
    aes_key(&key, BYTES_OF(value));
    FOR_EACH_PLACE(w, &key)
    for (size_t i = 0; i < COUNT(modes); i++)
        for (size_t n = 0; n <= sizeof(data); n++) {
            struct operation o;
            bool empty = n == 0 && modes[i].padding;
            begin(&o, &modes[i], &key.place[w], iv16);
            if (modes[i].whole && n % 16)
                assert_cipher_fails(&o, CKR_DATA_LEN_RANGE, true, BYTES(data, n), 0);
            if ((modes[i].whole || modes[i].padding) && (n % 16 || empty))
                assert_cipher_fails(&o, CKR_ENCRYPTED_DATA_LEN_RANGE, false, BYTES(data, n), 1);
            operation_end(&o);
        }
    sym_key_free(&key);
}

static void test_every_last_byte_of_padding(void **state)
{
    (void)state;
    struct sym_key key;
    uint8_t value[16] = {1}, plain[32], cipher[32];
    aes_key(&key, BYTES_OF(value));
    for (unsigned last = 0; last < 256; last++)
        for (unsigned wrong = 1; wrong <= 16; wrong++) { /* which byte from the end; 16: none */
            struct operation o;
            bool good = last >= 1 && last <= 16 && wrong >= last;
            memset(plain, 0x55, sizeof(plain));
            memset(plain + 16, (int)last, 16);
            if (wrong < 16)
                plain[31 - wrong] ^= 0x80;
            evp_cipher("CBC", false, true, BYTES_OF(value), iv16, BYTES_OF(plain), cipher);
            begin(&o, mode_of(CKM_AES_CBC_PAD), &key.place[IN_SOFTWARE], iv16);
            if (good)
                assert_cipher(&o, false, BYTES_OF(cipher), 0, BYTES(plain, 32 - last));
            else
                assert_cipher_fails(&o, CKR_ENCRYPTED_DATA_INVALID, false, BYTES_OF(cipher), 0);
            operation_end(&o);
        }
    sym_key_free(&key);
}

static void test_key_of_a_wrong_size(void **state)
{
    (void)state;
    uint8_t data[16] = {0};
    const struct mech_key key = {.type = CKK_AES, .value = BYTES(iv16, 15)};
    struct operation o;
    size_t n;
    operation_begin(&o, CKM_AES_ECB, &key, NULL, 0);
    o.stream.encrypt = true;
    assert_ok(o.call.mech->cipher->start(&o.call, &o.stream));
    assert_rv(CKR_KEY_SIZE_RANGE,
              o.call.mech->cipher->update(&o.call, &o.stream, BYTES_OF(data), data, &n));
    operation_end(&o);
}

/* ---- counters ------------------------------------------------------------------------------ */

/* The counter's bits set to so many blocks before their end, the nonce's to ones and zeros. */
static void set_counter(uint8_t *block, unsigned bits, unsigned left)
{
    unsigned value = 0u - left;
    memset(block, 0xA5, 16);
    for (unsigned bit = 0; bit < bits; bit++) {
        uint8_t one = (uint8_t)(1u << bit % 8);
        bool set = bit >= 32 || value >> bit & 1;
        block[15 - bit / 8] = (uint8_t)((block[15 - bit / 8] & ~one) | (set ? one : 0));
    }
}

/* 3.1, 6.11.3: with 2 bits that start as 1, three blocks and no more. */
static void test_counter_ends(void **state)
{
    (void)state;
    struct sym_key key;
    uint8_t value[32] = {3}, data[81] = {4}, cipher[81];
    aes_key(&key, BYTES_OF(value));
    for (unsigned bits = 1; bits <= 128; bits++)
        for (unsigned left = 1; left <= 4 && (bits > 2 || left <= 1u << bits); left++)
            for (uint32_t seed = 0; seed < 2; seed++) {
                CK_AES_CTR_PARAMS counter = {.ulCounterBits = bits};
                struct operation o;
                enum where w = bits % 16 == 0 ? IN_TPM : IN_SOFTWARE;
                size_t n = 16 * left;
                set_counter(counter.cb, bits, left);
                evp_cipher("CTR", false, true, BYTES_OF(value), counter.cb, BYTES(data, n), cipher);
                operation_begin(&o, CKM_AES_CTR, &key.place[w], &counter, sizeof(counter));
                assert_cipher(&o, true, BYTES(data, n), seed, BYTES(cipher, n));
                assert_cipher(&o, false, BYTES(cipher, n - 3), seed, BYTES(data, n - 3));
                assert_cipher_fails(&o, CKR_DATA_LEN_RANGE, true, BYTES(data, n + 1), seed);
                assert_cipher_fails(&o, CKR_DATA_LEN_RANGE, false, BYTES(data, n + 16), seed);
                operation_end(&o);
            }
    sym_key_free(&key);
}

/* As GCM counts: from the last value to zero, without a carry into the nonce. */
static void test_counter_wraps(void **state)
{
    (void)state;
    struct sym_key key;
    uint8_t value[16] = {3}, zero[100] = {0}, stream[100];
    static const unsigned sizes[] = {3, 8, 31, 32, 33, 63, 64, 65, 100, 127, 128};
    aes_key(&key, BYTES_OF(value));
    FOR_EACH_PLACE(w, &key)
    for (size_t i = 0; i < COUNT(sizes); i++)
        for (unsigned left = 1; left < 8; left++) {
            uint8_t counter[16], first[16], wrapped[16], blocks[112], expected[112];
            const struct mech_call call = {.key = &key.place[w], .tpm = fx.tpm};
            set_counter(first, sizes[i], left);
            set_counter(wrapped, sizes[i], 0);
            if (sizes[i] > 32) /* set_counter sets the bits above 32 */
                for (unsigned bit = 32; bit < sizes[i]; bit++)
                    wrapped[15 - bit / 8] &= (uint8_t) ~(1u << bit % 8);
            for (unsigned b = 0; b < 7; b++) {
                memcpy(blocks + 16 * b, b < left ? first : wrapped, 16);
                unsigned low = b < left ? (first[15] & 7u) + b : b - left;
                uint8_t keep = (uint8_t)(blocks[16 * b + 15] & ~7u);
                blocks[16 * b + 15] = (uint8_t)(keep | (low & 7));
            }
            evp_cipher("ECB", false, true, BYTES_OF(value), NULL, BYTES_OF(blocks), expected);
            memcpy(counter, first, 16);
            assert_ok(aes_counter(&call, counter, sizes[i], zero, stream, sizeof(stream)));
            assert_memory_equal(stream, expected, sizeof(stream));
        }
    sym_key_free(&key);
}

/* ---- parameters ---------------------------------------------------------------------------- */

static void test_parameters(void **state)
{
    (void)state;
    uint8_t room[sizeof(CK_AES_CTR_PARAMS) + 9] = {0};
    for (size_t i = 0; i < COUNT(modes); i++) {
        const struct mech *m = row(modes[i].type);
        size_t good = !modes[i].iv ? 0 : m->type == CKM_AES_CTR ? sizeof(CK_AES_CTR_PARAMS) : 16;
        for (size_t n = 0; n < sizeof(room); n++)
            if (n != good)
                assert_refused(m, NULL, room, n);
        assert_refused(m, NULL, NULL, 16);
    }
    static const CK_ULONG bad[] = {0, 129, 256, CK_UNAVAILABLE_INFORMATION};
    for (size_t i = 0; i < COUNT(bad); i++) {
        const CK_AES_CTR_PARAMS p = {.ulCounterBits = bad[i]};
        assert_refused(row(CKM_AES_CTR), NULL, &p, sizeof(p));
    }
    struct mech_params params;
    CK_AES_CTR_PARAMS p = {.ulCounterBits = 128, .cb = {1, 2, 3}};
    memcpy(room + 1, &p, sizeof(p)); /* unaligned */
    assert_taken(row(CKM_AES_CTR), NULL, room + 1, sizeof(p), &params);
    assert_int_equal(params.counter_bits, 128);
    assert_true(bytes_equal(buf_bytes(&params.iv), BYTES_OF(p.cb)));
    mech_params_free(&params);
}

/* ---- what it costs ------------------------------------------------------------------------- */

static unsigned commands_for(const struct sym_key *key, CK_MECHANISM_TYPE type, bool encrypt,
                             const size_t *chunks, size_t n_chunks)
{
    static uint8_t data[20000], out[20000];
    struct operation o;
    size_t n, at = 0;
    begin(&o, mode_of(type), &key->place[IN_TPM], iv16);
    o.stream.encrypt = encrypt;
    assert_ok(o.call.mech->cipher->start(&o.call, &o.stream));
    tap_clear();
    for (size_t i = 0; i < n_chunks; i++) {
        assert_ok(
            o.call.mech->cipher->update(&o.call, &o.stream, BYTES(data + at, chunks[i]), out, &n));
        at += chunks[i];
    }
    unsigned commands = tap_count(TPM2_CC_EncryptDecrypt2);
    operation_end(&o);
    return commands;
}

static void test_one_command_a_kib(void **state)
{
    (void)state;
    struct sym_key key;
    uint8_t value[16] = {1};
    aes_key(&key, BYTES_OF(value));
    for (size_t i = 0; i < COUNT(modes); i++) {
        if (modes[i].type == CKM_AES_CFB8 || modes[i].type == CKM_AES_OFB)
            continue;
        assert_int_equal(commands_for(&key, modes[i].type, true, (size_t[]){16384}, 1), 16);
        assert_int_equal(commands_for(&key, modes[i].type, false, (size_t[]){16, 16384}, 2),
                         modes[i].padding ? 16 : 17);
        /* out of step with the blocks: CTR asks for a KiB each time, CFB for the blocks that are
         * begun by themselves, the others wait for the rest of a block */
        unsigned more = modes[i].type == CKM_AES_CTR ? 1 : modes[i].type == CKM_AES_CFB128 ? 2 : 0;
        assert_int_equal(commands_for(&key, modes[i].type, true, (size_t[]){5, 10240}, 2),
                         10 + more);
    }
    assert_int_equal(commands_for(&key, CKM_AES_CFB8, false, (size_t[]){640}, 1), 10);
    assert_int_equal(commands_for(&key, CKM_AES_CFB8, true, (size_t[]){20}, 1), 20);
    /* the TPM's own OFB would tell keystream in clear */
    assert_int_equal(commands_for(&key, CKM_AES_OFB, true, (size_t[]){640}, 1), 40);
    sym_key_free(&key);
}

static void test_all_checked(void **state)
{
    (void)state;
    assert_all_checked(aes_covered, COUNT(aes_covered));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TPM_TEST(test_sp800_38a),
        TPM_TEST(test_rfc3686),
        TPM_TEST(test_any_size_in_any_chunks),
        TPM_TEST(test_wrong_lengths),
        TPM_TEST(test_every_last_byte_of_padding),
        TPM_TEST(test_key_of_a_wrong_size),
        TPM_TEST(test_counter_ends),
        TPM_TEST(test_counter_wraps),
        cmocka_unit_test(test_parameters),
        TPM_TEST(test_one_command_a_kib),
        cmocka_unit_test(test_all_checked),
    };
    return cmocka_run_group_tests_name("mech/aes", tests, group_start, group_stop);
}
