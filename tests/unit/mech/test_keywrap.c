/* Key wrapping with AES, on keys in software and in the TPM, and with RSA: published vectors,
 * libcrypto, what is not genuine. */
#include "symmetric_test.h"

/* ---- published vectors --------------------------------------------------------------------- */

static void check_vector(CK_MECHANISM_TYPE type, const char *kek, const char *plain,
                         const char *wrapped)
{
    struct sym_key key;
    struct hex value = unhex(kek), in = unhex(plain), out = unhex(wrapped);
    aes_key(&key, HEX_BYTES(value));
    FOR_EACH_PLACE(w, &key)
    for (uint32_t seed = 0; seed < 3; seed++) {
        struct operation o;
        operation_begin(&o, type, &key.place[w], NULL, 0);
        assert_cipher(&o, true, HEX_BYTES(in), seed, HEX_BYTES(out));
        assert_cipher(&o, false, HEX_BYTES(out), seed, HEX_BYTES(in));
        operation_end(&o);
    }
    sym_key_free(&key);
}

/* RFC 3394, 4.1 to 4.6 */
static void test_rfc3394(void **state)
{
    (void)state;
#define KEK  "000102030405060708090a0b0c0d0e0f"
#define DATA "00112233445566778899aabbccddeeff"
    static const struct {
        const char *kek, *plain, *wrapped;
    } vectors[] = {
        {KEK, DATA, "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5"},
        {KEK "1011121314151617", DATA, "96778b25ae6ca435f92b5b97c050aed2468ab8a17ad84e5d"},
        {KEK "101112131415161718191a1b1c1d1e1f", DATA,
         "64e8c3f9ce0f5ba263e9777905818a2a93c8191e7d6e8ae7"},
        {KEK "1011121314151617", DATA "0001020304050607",
         "031d33264e15d33268f24ec260743edce1c6c7ddee725a936ba814915c6762d2"},
        {KEK "101112131415161718191a1b1c1d1e1f", DATA "0001020304050607",
         "a8f9bc1612c68b3ff6e6f4fbe30e71e4769c8b80a32cb8958cd5d17d6b254da1"},
        {KEK "101112131415161718191a1b1c1d1e1f", DATA KEK,
         "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43b"
         "fb988b9b7a02dd21"},
    };
    for (size_t i = 0; i < COUNT(vectors); i++)
        check_vector(CKM_AES_KEY_WRAP, vectors[i].kek, vectors[i].plain, vectors[i].wrapped);
}

/* RFC 5649, 6 */
static void test_rfc5649(void **state)
{
    (void)state;
    static const CK_MECHANISM_TYPE types[] = {CKM_AES_KEY_WRAP_KWP, CKM_AES_KEY_WRAP_PAD};
    for (size_t i = 0; i < COUNT(types); i++) {
        check_vector(types[i], "5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8",
                     "c37b7e6492584340bed12207808941155068f738",
                     "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a");
        check_vector(types[i], "5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8", "466f7250617369",
                     "afbeb0f07dfbf5419200f2ccb50bb24f");
    }
}

/* ---- libcrypto ----------------------------------------------------------------------------- */

static const struct kind {
    CK_MECHANISM_TYPE type;
    const char *evp;
    size_t iv, unit, least, pkcs7;
} kinds[] = {
    {CKM_AES_KEY_WRAP, "WRAP", 8, 8, 16, 0},
    {CKM_AES_KEY_WRAP_KWP, "WRAP-PAD", 4, 1, 1, 0},
    {CKM_AES_KEY_WRAP_PAD, "WRAP-PAD", 4, 1, 1, 0},
    {CKM_AES_KEY_WRAP_PKCS7, "WRAP", 8, 1, 8, 8},
};

static size_t evp_wrap(const char *mode, struct bytes key, const uint8_t *iv, struct bytes in,
                       uint8_t *ret)
{
    char name[24];
    int n;
    snprintf(name, sizeof(name), "AES-%zu-%s", 8 * key.n, mode);
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, name, NULL);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    assert_non_null(cipher);
    EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    assert_int_equal(EVP_EncryptInit_ex2(ctx, cipher, key.p, iv, NULL), 1);
    assert_int_equal(EVP_EncryptUpdate(ctx, ret, &n, in.p, (int)in.n), 1);
    EVP_CIPHER_CTX_free(ctx);
    EVP_CIPHER_free(cipher);
    return (size_t)n;
}

static void as_libcrypto(const struct kind *k, const struct sym_key *key, enum where w, size_t n)
{
    uint8_t plain[600], padded[608], wrapped[632];
    static const uint8_t other[8] = {9, 8, 7, 6, 5, 4, 3, 2};
    fill(plain, n, (uint32_t)n);
    memcpy(padded, plain, n);
    size_t pad = k->pkcs7 ? 8 - n % 8 : 0;
    memset(padded + n, (int)pad, pad);
    for (int given = 0; given < 2; given++) {
        struct operation o;
        const uint8_t *iv = given ? other : NULL;
        size_t size =
            evp_wrap(k->evp, BYTES(key->value, key->n), iv, BYTES(padded, n + pad), wrapped);
        operation_begin(&o, k->type, &key->place[w], iv, given ? k->iv : 0);
        assert_cipher(&o, true, BYTES(plain, n), (uint32_t)n & 1, BYTES(wrapped, size));
        assert_cipher(&o, false, BYTES(wrapped, size), (uint32_t)n & 2, BYTES(plain, n));
        operation_end(&o);
        operation_begin(&o, k->type, &key->place[w], given ? NULL : other, given ? 0 : k->iv);
        assert_cipher_fails(&o, CKR_ENCRYPTED_DATA_INVALID, false, BYTES(wrapped, size), 0);
        operation_end(&o);
    }
}

static void test_as_libcrypto(void **state)
{
    (void)state;
    for (size_t size = 16; size <= 32; size += 8) {
        struct sym_key key;
        uint8_t value[32];
        fill(value, sizeof(value), (uint32_t)size);
        aes_key(&key, BYTES(value, size));
        FOR_EACH_PLACE(w, &key)
        for (size_t i = 0; i < COUNT(kinds); i++) {
            const struct kind *k = &kinds[i];
            /* six commands a semiblock: few lengths in the TPM */
            for (size_t n = k->least; n < (w == IN_TPM ? 120 : 600);
                 n += w == IN_SOFTWARE && n < 80 ? k->unit : 32 + k->unit)
                as_libcrypto(k, &key, w, n);
            mark_checked(k->type);
        }
        sym_key_free(&key);
    }
}

/* ---- lengths, and what is not genuine ------------------------------------------------------ */

static void test_lengths(void **state)
{
    (void)state;
    struct sym_key key;
    uint8_t value[16] = {1}, data[64] = {2};
    aes_key(&key, BYTES_OF(value));
    for (size_t i = 0; i < COUNT(kinds); i++) {
        const struct kind *k = &kinds[i];
        struct operation o;
        operation_begin(&o, k->type, &key.place[IN_SOFTWARE], NULL, 0);
        for (size_t n = 0; n < sizeof(data); n++) {
            size_t shortest = k->iv == 4 ? 16 : 24;
            if (n < k->least || n % k->unit)
                assert_cipher_fails(&o, CKR_DATA_LEN_RANGE, true, BYTES(data, n), 0);
            assert_cipher_fails(&o,
                                n % 8 || n < shortest ? CKR_ENCRYPTED_DATA_LEN_RANGE
                                                      : CKR_ENCRYPTED_DATA_INVALID,
                                false, BYTES(data, n), (uint32_t)n);
        }
        operation_end(&o);
    }
    sym_key_free(&key);
}

static void test_changed_bytes(void **state)
{
    (void)state;
    struct sym_key key;
    uint8_t value[16] = {1}, plain[37], wrapped[64];
    fill(plain, sizeof(plain), 3);
    aes_key(&key, BYTES_OF(value));
    FOR_EACH_PLACE(w, &key)
    for (size_t i = 0; i < COUNT(kinds); i++)
        for (size_t n = 32; n <= 32 + (kinds[i].unit == 1 ? 5 : 0); n += 5) {
            struct operation o;
            size_t size;
            operation_begin(&o, kinds[i].type, &key.place[w], NULL, 0);
            assert_ok(run_cipher(&o, true, BYTES(plain, n), 0, wrapped, &size));
            for (size_t at = 0; at < size; at += w == IN_TPM ? 11 : 1) {
                wrapped[at] ^= 1;
                assert_cipher_fails(&o, CKR_ENCRYPTED_DATA_INVALID, false, BYTES(wrapped, size), 0);
                wrapped[at] ^= 1;
            }
            assert_cipher(&o, false, BYTES(wrapped, size), 0, BYTES(plain, n));
            operation_end(&o);
        }
    sym_key_free(&key);
}

/* W (SP800-38F, 6.1) of any string, by libcrypto's KW with the string's beginning as its IV. */
static void scrambled(struct bytes key, struct bytes s, uint8_t *ret)
{
    if (s.n == 16)
        evp_cipher("ECB", false, true, key, NULL, s, ret);
    else
        assert_int_equal(evp_wrap("WRAP", key, s.p, BYTES(s.p + 8, s.n - 8), ret), s.n);
}

/* RFC 5649, 3: the length that is told and the padding, every way they can be wrong. */
static void test_kwp_padding(void **state)
{
    (void)state;
    struct sym_key key;
    uint8_t value[32] = {4}, wrapped[40];
    aes_key(&key, BYTES_OF(value));
    for (size_t n = 8; n <= 24; n += 8) /* of the padded data */
        for (uint32_t told = 0; told < 34; told++)
            for (size_t dirty = 0; dirty <= n; dirty++) { /* a byte from the end; n: none */
                uint8_t s[32] = {0xA6, 0x59, 0x59, 0xA6, 0, 0, 0, (uint8_t)told};
                struct operation o;
                bool fits = told + 7 >= n && told <= n && told > 0;
                bool good = fits && (dirty == n || dirty >= n - told);
                if (dirty < n)
                    s[8 + n - 1 - dirty] = 0x80;
                scrambled(BYTES_OF(value), BYTES(s, 8 + n), wrapped);
                operation_begin(&o, CKM_AES_KEY_WRAP_KWP, &key.place[IN_SOFTWARE], NULL, 0);
                if (good)
                    assert_cipher(&o, false, BYTES(wrapped, 8 + n), 0, BYTES(s + 8, told));
                else
                    assert_cipher_fails(&o, CKR_ENCRYPTED_DATA_INVALID, false,
                                        BYTES(wrapped, 8 + n), 0);
                operation_end(&o);
            }
    for (size_t high = 4; high < 7; high++) { /* lengths of many digits */
        uint8_t s[24] = {0xA6, 0x59, 0x59, 0xA6, 0, 0, 0, 16};
        struct operation o;
        s[high] = 1;
        scrambled(BYTES_OF(value), BYTES_OF(s), wrapped);
        operation_begin(&o, CKM_AES_KEY_WRAP_KWP, &key.place[IN_SOFTWARE], NULL, 0);
        assert_cipher_fails(&o, CKR_ENCRYPTED_DATA_INVALID, false, BYTES(wrapped, sizeof(s)), 0);
        operation_end(&o);
    }
    sym_key_free(&key);
}

static void test_pkcs7_padding(void **state)
{
    (void)state;
    struct sym_key key;
    uint8_t value[32] = {4}, wrapped[32];
    aes_key(&key, BYTES_OF(value));
    for (unsigned last = 0; last < 256; last++)
        for (unsigned wrong = 1; wrong <= 8; wrong++) { /* which byte from the end; 8: none */
            uint8_t plain[24];
            struct operation o;
            bool good = last >= 1 && last <= 8 && wrong >= last;
            memset(plain, 0x33, sizeof(plain));
            memset(plain + 16, (int)last, 8);
            if (wrong < 8)
                plain[23 - wrong] ^= 0x40;
            evp_wrap("WRAP", BYTES_OF(value), NULL, BYTES_OF(plain), wrapped);
            operation_begin(&o, CKM_AES_KEY_WRAP_PKCS7, &key.place[IN_SOFTWARE], NULL, 0);
            if (good)
                assert_cipher(&o, false, BYTES_OF(wrapped), 0, BYTES(plain, 24 - last));
            else
                assert_cipher_fails(&o, CKR_ENCRYPTED_DATA_INVALID, false, BYTES_OF(wrapped), 0);
            operation_end(&o);
        }
    sym_key_free(&key);
}

/* ---- RSA ----------------------------------------------------------------------------------- */

enum { MODULUS = 256 };

static uint8_t label[] = "label";
static const CK_RSA_PKCS_OAEP_PARAMS oaep = {CKM_SHA256, CKG_MGF1_SHA1, CKZ_DATA_SPECIFIED, label,
                                             5};

static EVP_PKEY_CTX *evp_oaep(EVP_PKEY *key, int (*init)(EVP_PKEY_CTX *))
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
    uint8_t *copy = OPENSSL_memdup(label, 5);
    assert_int_equal(init(ctx), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256()), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha1()), 1);
    assert_int_equal(EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, copy, 5), 1);
    return ctx;
}

static void begin_rsa(struct operation *o, const struct mech_key *key, CK_ULONG bits)
{
    CK_RSA_AES_KEY_WRAP_PARAMS p = {bits, (CK_RSA_PKCS_OAEP_PARAMS_PTR)(uintptr_t)&oaep};
    operation_begin(o, CKM_RSA_AES_KEY_WRAP, key, &p, sizeof(p));
}

/* Ours wraps, libcrypto unwraps. */
static void test_rsa_wraps(void **state)
{
    (void)state;
    EVP_PKEY *pair = EVP_RSA_gen(8 * MODULUS);
    BIGNUM *n = NULL, *e = NULL;
    uint8_t modulus[MODULUS], exponent[4], plain[1300], wrapped[1300 + MODULUS + 16], again[1320];
    struct soft_key *public_ = NULL;
    assert_int_equal(EVP_PKEY_get_bn_param(pair, OSSL_PKEY_PARAM_RSA_N, &n), 1);
    assert_int_equal(EVP_PKEY_get_bn_param(pair, OSSL_PKEY_PARAM_RSA_E, &e), 1);
    BN_bn2binpad(n, modulus, MODULUS);
    int size_e = BN_bn2bin(e, exponent);
    assert_ok(soft_key_rsa(BYTES_OF(modulus), BYTES(exponent, size_e), &public_));
    const struct mech_key key = {.type = CKK_RSA,
                                 .modulus_bits = 8 * MODULUS,
                                 .modulus = BYTES_OF(modulus),
                                 .public_ = public_};
    fill(plain, sizeof(plain), 1);
    for (CK_ULONG bits = 128; bits <= 256; bits += 64)
        for (size_t size = 1; size <= sizeof(plain); size += size < 40 ? 1 : 420) {
            struct operation o;
            uint8_t aes[MODULUS];
            size_t aes_n = sizeof(aes), out_n, room;
            begin_rsa(&o, &key, bits);
            o.stream.encrypt = true;
            const struct mech_cipher *c = o.call.mech->cipher;
            assert_ok(c->start(&o.call, &o.stream));
            room = c->most(&o.call, &o.stream, size, true);
            assert_ok(c->update(&o.call, &o.stream, BYTES(plain, size), NULL, &out_n));
            assert_int_equal(out_n, 0);
            assert_ok(c->final(&o.call, &o.stream, wrapped, &out_n));
            assert_true(c->exact(&o.stream));
            assert_int_equal(out_n, room);
            assert_int_equal(out_n, MODULUS + (size + 7) / 8 * 8 + 8);
            operation_end(&o);
            EVP_PKEY_CTX *ctx = evp_oaep(pair, EVP_PKEY_decrypt_init);
            assert_int_equal(EVP_PKEY_decrypt(ctx, aes, &aes_n, wrapped, MODULUS), 1);
            EVP_PKEY_CTX_free(ctx);
            assert_int_equal(8 * aes_n, bits);
            size_t again_n =
                evp_wrap("WRAP-PAD", BYTES(aes, aes_n), NULL, BYTES(plain, size), again);
            assert_int_equal(again_n, out_n - MODULUS);
            assert_memory_equal(again, wrapped + MODULUS, again_n);
        }
    soft_key_free(&public_);
    BN_free(n);
    BN_free(e);
    EVP_PKEY_free(pair);
}

/* Libcrypto wraps, the TPM unwraps. */
static void test_rsa_unwraps(void **state)
{
    (void)state;
    struct pair pair;
    uint8_t aes[32], plain[700], wrapped[MODULUS + 720];
    fill(plain, sizeof(plain), 2);
    fill(aes, sizeof(aes), 3);
    pair_rsa(&pair, 8 * MODULUS);
    EVP_PKEY *evp = evp_rsa_public(buf_bytes(&pair.made.modulus), buf_bytes(&pair.made.exponent));
    const struct mech_key key = {.type = CKK_RSA,
                                 .modulus_bits = 8 * MODULUS,
                                 .modulus = buf_bytes(&pair.made.modulus),
                                 .tpm_key = &pair.key};
    for (size_t bits = 128; bits <= 256; bits += 64)
        for (size_t n = 1; n <= sizeof(plain); n += 233) {
            struct operation o;
            size_t k = sizeof(wrapped);
            EVP_PKEY_CTX *ctx = evp_oaep(evp, EVP_PKEY_encrypt_init);
            assert_int_equal(EVP_PKEY_encrypt(ctx, wrapped, &k, aes, bits / 8), 1);
            EVP_PKEY_CTX_free(ctx);
            assert_int_equal(k, MODULUS);
            size_t all =
                k + evp_wrap("WRAP-PAD", BYTES(aes, bits / 8), NULL, BYTES(plain, n), wrapped + k);
            begin_rsa(&o, &key, bits);
            assert_cipher(&o, false, BYTES(wrapped, all), (uint32_t)n, BYTES(plain, n));
            wrapped[all - 1] ^= 1;
            assert_cipher_fails(&o, CKR_ENCRYPTED_DATA_INVALID, false, BYTES(wrapped, all), 0);
            wrapped[all - 1] ^= 1;
            wrapped[k - 1] ^= 1;
            assert_cipher_fails(&o, CKR_ENCRYPTED_DATA_INVALID, false, BYTES(wrapped, all), 0);
            wrapped[k - 1] ^= 1;
            assert_cipher_fails(&o, CKR_ENCRYPTED_DATA_LEN_RANGE, false, BYTES(wrapped, all - 1),
                                0);
            assert_cipher_fails(&o, CKR_ENCRYPTED_DATA_LEN_RANGE, false, BYTES(wrapped, k + 8), 0);
            assert_cipher_fails(&o, CKR_ENCRYPTED_DATA_LEN_RANGE, false, BYTES(wrapped, k - 1), 0);
            operation_end(&o);
            begin_rsa(&o, &key, bits == 128 ? 256 : 128); /* not the size that was said */
            assert_cipher_fails(&o, CKR_ENCRYPTED_DATA_INVALID, false, BYTES(wrapped, all), 0);
            operation_end(&o);
        }
    EVP_PKEY_free(evp);
    pair_free(&pair);
    mark_checked(CKM_RSA_AES_KEY_WRAP);
}

/* ---- parameters ---------------------------------------------------------------------------- */

static void test_parameters(void **state)
{
    (void)state;
    uint8_t iv[24] = {1};
    struct mech_params params;
    for (size_t i = 0; i < COUNT(kinds); i++) {
        const struct mech *m = row(kinds[i].type);
        for (size_t n = 1; n <= sizeof(iv); n++) {
            if (n != kinds[i].iv) {
                assert_refused(m, NULL, iv, n);
                continue;
            }
            assert_taken(m, NULL, iv, n, &params);
            assert_true(bytes_equal(buf_bytes(&params.iv), BYTES(iv, n)));
            mech_params_free(&params);
        }
        assert_refused(m, NULL, NULL, kinds[i].iv);
        assert_taken(m, NULL, NULL, 0, &params);
        assert_int_equal(params.iv.n, 0);
    }
}

static void test_rsa_parameters(void **state)
{
    (void)state;
    const struct mech *m = row(CKM_RSA_AES_KEY_WRAP);
    const struct mech_key key = {.type = CKK_RSA, .modulus_bits = 2048};
    static const CK_ULONG sizes[] = {0, 64, 127, 129, 160, 255, 257, 512};
    CK_RSA_PKCS_OAEP_PARAMS inner = oaep;
    CK_RSA_AES_KEY_WRAP_PARAMS p = {256, &inner};
    struct mech_params params;
    assert_taken(m, &key, &p, sizeof(p), &params);
    assert_int_equal(params.key_bits, 256);
    assert_int_equal(params.hash, HASH_SHA256);
    assert_int_equal(params.mgf, HASH_SHA1);
    assert_true(bytes_equal(buf_bytes(&params.label), BYTES(label, 5)));
    mech_params_free(&params);
    for (size_t i = 0; i < COUNT(sizes); i++) {
        p.ulAESKeyBits = sizes[i];
        assert_refused(m, &key, &p, sizeof(p));
    }
    p.ulAESKeyBits = 128;
    inner.hashAlg = CKM_MD5;
    assert_refused(m, &key, &p, sizeof(p));
    p.pOAEPParams = NULL;
    assert_refused(m, &key, &p, sizeof(p));
    for (size_t n = 0; n < sizeof(p); n++)
        assert_refused(m, &key, &p, n);
    assert_refused(m, &key, NULL, sizeof(p));
}

static void test_all_checked(void **state)
{
    (void)state;
    assert_all_checked(keywrap_covered, COUNT(keywrap_covered));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TPM_TEST(test_rfc3394),
        TPM_TEST(test_rfc5649),
        TPM_TEST(test_as_libcrypto),
        TPM_TEST(test_lengths),
        TPM_TEST(test_changed_bytes),
        TPM_TEST(test_kwp_padding),
        TPM_TEST(test_pkcs7_padding),
        TPM_TEST(test_rsa_wraps),
        TPM_TEST(test_rsa_unwraps),
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_rsa_parameters),
        cmocka_unit_test(test_all_checked),
    };
    return cmocka_run_group_tests_name("mech/keywrap", tests, group_start, group_stop);
}
