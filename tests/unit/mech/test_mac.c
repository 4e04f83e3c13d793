/* CMAC, GMAC and HMAC, on keys in software and in the TPM: published vectors, libcrypto, lengths,
 * and what they cost. */
#include "symmetric_test.h"

#include <mech/symmetric.h>

/* One MAC in chunks; ret holds HASH_MAX bytes. */
static size_t run_mac(struct operation *o, struct bytes in, uint32_t seed, uint8_t *ret)
{
    const struct mech_mac *m = o->call.mech->mac;
    size_t n = mech_output_size(o->call.mech, &o->params, o->call.key), at = 0;
    mech_stream_free(&o->stream);
    assert_ok(m->start(&o->call, &o->stream));
    while (at < in.n) {
        size_t some = chunk_size(&seed, in.n - at);
        assert_ok(m->update(&o->call, &o->stream, BYTES(in.p + at, some)));
        at += some;
    }
    memset(ret, 0xEE, HASH_MAX);
    assert_ok(m->final(&o->call, &o->stream, ret));
    for (size_t i = n; i < HASH_MAX; i++) /* no more than it said */
        assert_int_equal(ret[i], 0xEE);
    return n;
}

static void assert_mac(struct operation *o, struct bytes in, uint32_t seed, struct bytes expected)
{
    uint8_t mac[HASH_MAX];
    assert_int_equal(run_mac(o, in, seed, mac), expected.n);
    assert_memory_equal(mac, expected.p, expected.n);
}

static size_t evp_mac(const char *name, const char *how, struct bytes key, struct bytes iv,
                      struct bytes in, uint8_t *ret)
{
    size_t n;
    bool hmac = strcmp(name, "HMAC") == 0;
    EVP_MAC *mac = EVP_MAC_fetch(NULL, name, NULL);
    EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(mac);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(hmac ? OSSL_MAC_PARAM_DIGEST : OSSL_MAC_PARAM_CIPHER,
                                         (char *)(uintptr_t)how, 0),
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_IV, (void *)(uintptr_t)iv.p, iv.n),
        OSSL_PARAM_END};
    if (!iv.n)
        params[1] = OSSL_PARAM_construct_end();
    assert_int_equal(EVP_MAC_init(ctx, key.n ? key.p : (const uint8_t *)"", key.n, params), 1);
    assert_int_equal(EVP_MAC_update(ctx, in.p, in.n), 1);
    assert_int_equal(EVP_MAC_final(ctx, ret, &n, HASH_MAX), 1);
    EVP_MAC_CTX_free(ctx);
    EVP_MAC_free(mac);
    return n;
}

/* ---- CMAC ---------------------------------------------------------------------------------- */

/* SP800-38B, D.1 and D.3 (with updated examples; D.1 is RFC 4493, 4). */
static void test_sp800_38b(void **state)
{
    (void)state;
    static const char message[] =
        "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
        "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710";
    static const size_t lengths[] = {0, 16, 40, 64};
    static const struct {
        const char *key, *mac[4];
    } examples[] = {
        {"2b7e151628aed2a6abf7158809cf4f3c",
         {"bb1d6929e95937287fa37d129b756746", "070a16b46b4d4144f79bdd9dd04a287c",
          "dfa66747de9ae63030ca32611497c827", "51f0bebf7e3b9d92fc49741779363cfe"}},
        {"603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
         {"028962f61b7bf89efc6b551f4667d983", "28a7023f452e8f82bd4bf28d8c37c35c",
          "aaf3d8f1de5640c232f5b169b9c911e6", "e1992190549f6ed5696a2c056c315410"}},
    };
    struct hex data = unhex(message);
    for (size_t e = 0; e < COUNT(examples); e++) {
        struct sym_key key;
        struct hex value = unhex(examples[e].key);
        aes_key(&key, HEX_BYTES(value));
        FOR_EACH_PLACE(w, &key)
        for (size_t i = 0; i < COUNT(lengths); i++) {
            struct operation o;
            struct hex mac = unhex(examples[e].mac[i]);
            operation_begin(&o, CKM_AES_CMAC, &key.place[w], NULL, 0);
            assert_mac(&o, BYTES(data.p, lengths[i]), 0, HEX_BYTES(mac));
            operation_end(&o);
            for (CK_ULONG n = 1; n <= 16; n++) {
                operation_begin(&o, CKM_AES_CMAC_GENERAL, &key.place[w], &n, sizeof(n));
                assert_mac(&o, BYTES(data.p, lengths[i]), 1, BYTES(mac.p, n));
                operation_end(&o);
            }
        }
        sym_key_free(&key);
    }
}

static void test_cmac_as_libcrypto(void **state)
{
    (void)state;
    static uint8_t data[5000];
    uint32_t seed = 3;
    fill(data, sizeof(data), 4);
    for (size_t size = 16; size <= 32; size += 8) {
        struct sym_key key;
        char cipher[16];
        uint8_t value[32], expected[HASH_MAX];
        fill(value, sizeof(value), (uint32_t)size + 1);
        aes_key(&key, BYTES(value, size));
        snprintf(cipher, sizeof(cipher), "AES-%zu-CBC", 8 * size);
        FOR_EACH_PLACE(w, &key)
        for (size_t round = 0; round < (w == IN_TPM ? 80 : 200); round++) {
            struct operation o;
            size_t n = round < 50   ? round
                       : round < 60 ? 1000 + 8 * (round - 50)
                                    : draw(&seed, sizeof(data));
            evp_mac("CMAC", cipher, BYTES(value, size), NO_BYTES, BYTES(data, n), expected);
            operation_begin(&o, CKM_AES_CMAC, &key.place[w], NULL, 0);
            assert_mac(&o, BYTES(data, n), round % 3 ? seed : 0, BYTES(expected, 16));
            operation_end(&o);
        }
        sym_key_free(&key);
    }
    mark_checked(CKM_AES_CMAC);
    mark_checked(CKM_AES_CMAC_GENERAL); /* above, against the same values */
}

/* ---- GMAC ---------------------------------------------------------------------------------- */

static void test_gmac_as_libcrypto(void **state)
{
    (void)state;
    static uint8_t data[3000];
    uint32_t seed = 5;
    fill(data, sizeof(data), 6);
    for (size_t size = 16; size <= 32; size += 8) {
        struct sym_key key;
        char cipher[16];
        uint8_t value[32], iv[60], expected[HASH_MAX];
        fill(value, sizeof(value), (uint32_t)size + 2);
        aes_key(&key, BYTES(value, size));
        snprintf(cipher, sizeof(cipher), "AES-%zu-GCM", 8 * size);
        FOR_EACH_PLACE(w, &key)
        for (size_t round = 0; round < 100; round++) {
            struct operation o;
            size_t n = round < 40 ? round : draw(&seed, sizeof(data));
            size_t iv_n = round % 2 ? 12 : 1 + draw(&seed, sizeof(iv));
            CK_GCM_PARAMS p = {.pIv = iv, .ulIvLen = iv_n, .ulTagBits = round % 3 ? 128 : 96};
            fill(iv, sizeof(iv), (uint32_t)round);
            evp_mac("GMAC", cipher, BYTES(value, size), BYTES(iv, iv_n), BYTES(data, n), expected);
            operation_begin(&o, CKM_AES_GMAC, &key.place[w], &p, sizeof(p));
            assert_mac(&o, BYTES(data, n), round % 3 ? seed : 0, BYTES(expected, p.ulTagBits / 8));
            operation_end(&o);
            if (iv_n != 12)
                continue;
            operation_begin(&o, CKM_AES_GMAC, &key.place[w], iv, 12);
            assert_mac(&o, BYTES(data, n), seed, BYTES(expected, 16));
            operation_end(&o);
        }
        sym_key_free(&key);
    }
    mark_checked(CKM_AES_GMAC);
}

/* ---- HMAC ---------------------------------------------------------------------------------- */

static const struct hmac {
    enum hash hash;
    CK_MECHANISM_TYPE type, general;
    CK_KEY_TYPE key;
    bool in_tpm;
} hmacs[] = {
    {HASH_SHA1, CKM_SHA_1_HMAC, CKM_SHA_1_HMAC_GENERAL, CKK_SHA_1_HMAC, true},
    {HASH_SHA224, CKM_SHA224_HMAC, CKM_SHA224_HMAC_GENERAL, CKK_SHA224_HMAC, false},
    {HASH_SHA256, CKM_SHA256_HMAC, CKM_SHA256_HMAC_GENERAL, CKK_SHA256_HMAC, true},
    {HASH_SHA384, CKM_SHA384_HMAC, CKM_SHA384_HMAC_GENERAL, CKK_SHA384_HMAC, true},
    {HASH_SHA512, CKM_SHA512_HMAC, CKM_SHA512_HMAC_GENERAL, CKK_SHA512_HMAC, true},
    {HASH_SHA3_224, CKM_SHA3_224_HMAC, CKM_SHA3_224_HMAC_GENERAL, CKK_SHA3_224_HMAC, false},
    {HASH_SHA3_256, CKM_SHA3_256_HMAC, CKM_SHA3_256_HMAC_GENERAL, CKK_SHA3_256_HMAC, false},
    {HASH_SHA3_384, CKM_SHA3_384_HMAC, CKM_SHA3_384_HMAC_GENERAL, CKK_SHA3_384_HMAC, false},
    {HASH_SHA3_512, CKM_SHA3_512_HMAC, CKM_SHA3_512_HMAC_GENERAL, CKK_SHA3_512_HMAC, false},
};

static void hmac_key(struct sym_key *k, struct bytes value)
{
    const struct tpm_parent parent = srk();
    *k = (struct sym_key){.n = value.n, .in_tpm = true};
    memcpy(k->value, value.p, value.n);
    fill(k->pair.auth, sizeof(k->pair.auth), 12);
    assert_ok(tpm_make_hmac(fx.tpm, &parent, BYTES_OF(k->pair.auth), value, &k->pair.made));
    sym_key_use(k, CKK_GENERIC_SECRET);
}

/* RFC 2202, 3 and RFC 4231, 4.2 and 4.3: test cases 1 and 2. */
static void test_rfc4231(void **state)
{
    (void)state;
    static const struct {
        enum hash hash;
        const char *mac[2];
    } cases[] = {
        {HASH_SHA1,
         {"b617318655057264e28bc0b6fb378c8ef146be00", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"}},
        {HASH_SHA224,
         {"896fb1128abbdf196832107cd49df33f47b4b1169912ba4f53684b22",
          "a30e01098bc6dbbf45690f3a7e9e6d0f8bbea2a39e6148008fd05e44"}},
        {HASH_SHA256,
         {"b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
          "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"}},
        {HASH_SHA384,
         {"afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59c"
          "faea9ea9076ede7f4af152e8b2fa9cb6",
          "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e"
          "8e2240ca5e69e2c78b3239ecfab21649"}},
        {HASH_SHA512,
         {"87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
          "daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854",
          "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
          "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"}},
    };
    uint8_t ones[20];
    memset(ones, 0x0B, sizeof(ones));
    const struct bytes keys[] = {BYTES_OF(ones), BYTES_STR("Jefe")};
    const struct bytes data[] = {BYTES_STR("Hi There"), BYTES_STR("what do ya want for nothing?")};
    for (size_t k = 0; k < 2; k++) {
        struct sym_key key;
        hmac_key(&key, keys[k]);
        for (size_t i = 0; i < COUNT(cases); i++)
            FOR_EACH_PLACE(w, &key)
            {
                struct operation o;
                struct hex mac = unhex(cases[i].mac[k]);
                size_t h = 0;
                while (hmacs[h].hash != cases[i].hash)
                    h++;
                if (w == IN_TPM && !hmacs[h].in_tpm)
                    continue;
                operation_begin(&o, hmacs[h].type, &key.place[w], NULL, 0);
                assert_mac(&o, data[k], 0, HEX_BYTES(mac));
                operation_end(&o);
            }
        sym_key_free(&key);
    }
}

/* Keys of every length, those that are hashed first among them, in software; sizes around a KiB. */
static void test_hmac_as_libcrypto(void **state)
{
    (void)state;
    static uint8_t data[3000], value[300];
    uint8_t expected[HASH_MAX];
    uint32_t seed = 9;
    fill(data, sizeof(data), 7);
    fill(value, sizeof(value), 8);
    for (size_t h = 0; h < COUNT(hmacs); h++) {
        assert_int_equal(row(hmacs[h].type)->mac_hash, hmacs[h].hash);
        assert_int_equal(row(hmacs[h].general)->mac_hash, hmacs[h].hash);
        for (size_t key_n = 0; key_n <= sizeof(value); key_n += key_n < 150 ? 1 : 50) {
            const struct mech_key key = {.type = hmacs[h].key, .value = BYTES(value, key_n)};
            struct operation o;
            CK_ULONG n = draw(&seed, sizeof(data)), size = hash_size(hmacs[h].hash);
            assert_int_equal(evp_mac("HMAC", hash_name[hmacs[h].hash], key.value, NO_BYTES,
                                     BYTES(data, n), expected),
                             size);
            operation_begin(&o, hmacs[h].type, &key, NULL, 0);
            assert_mac(&o, BYTES(data, n), key_n % 2 ? seed : 0, BYTES(expected, size));
            operation_end(&o);
            CK_ULONG shorter = 1 + draw(&seed, (uint32_t)size);
            operation_begin(&o, hmacs[h].general, &key, &shorter, sizeof(shorter));
            assert_mac(&o, BYTES(data, n), seed, BYTES(expected, shorter));
            operation_end(&o);
        }
        mark_checked(hmacs[h].type);
        mark_checked(hmacs[h].general);
    }
}

static void test_hmac_in_the_tpm(void **state)
{
    (void)state;
    static uint8_t data[3000];
    uint8_t value[64], expected[HASH_MAX];
    static const size_t sizes[] = {0, 1, 1023, 1024, 1025, 3000};
    struct sym_key key;
    fill(data, sizeof(data), 7);
    fill(value, sizeof(value), 8);
    hmac_key(&key, BYTES_OF(value));
    for (size_t h = 0; h < COUNT(hmacs); h++) {
        struct operation o;
        operation_begin(&o, hmacs[h].type, &key.place[IN_TPM], NULL, 0);
        if (!hmacs[h].in_tpm)
            assert_rv(CKR_KEY_FUNCTION_NOT_PERMITTED, o.call.mech->mac->start(&o.call, &o.stream));
        for (size_t i = 0; hmacs[h].in_tpm && i < COUNT(sizes); i++) {
            size_t n = evp_mac("HMAC", hash_name[hmacs[h].hash], BYTES_OF(value), NO_BYTES,
                               BYTES(data, sizes[i]), expected);
            assert_mac(&o, BYTES(data, sizes[i]), (uint32_t)i, BYTES(expected, n));
        }
        operation_end(&o);
        assert_int_equal(!!(row(hmacs[h].type)->flags & CKF_HW), hmacs[h].in_tpm);
    }
    sym_key_free(&key);
}

static void test_hmac_key_types(void **state)
{
    (void)state;
    for (size_t h = 0; h < COUNT(hmacs); h++)
        for (size_t k = 0; k < COUNT(hmacs); k++) {
            assert_int_equal(mech_takes_key(row(hmacs[h].type), hmacs[k].key), h == k);
            assert_int_equal(mech_takes_key(row(hmacs[h].general), hmacs[k].key), h == k);
            assert_true(mech_takes_key(row(hmacs[h].type), CKK_GENERIC_SECRET));
            assert_false(mech_takes_key(row(hmacs[h].type), CKK_AES));
        }
    assert_true(mech_takes_key(row(CKM_AES_CMAC), CKK_AES));
    assert_false(mech_takes_key(row(CKM_AES_CMAC), CKK_GENERIC_SECRET));
}

/* ---- parameters ---------------------------------------------------------------------------- */

static void assert_general(CK_MECHANISM_TYPE type, CK_ULONG most)
{
    const CK_ULONG bad[] = {0, most + 1, CK_UNAVAILABLE_INFORMATION};
    const struct mech *m = row(type);
    uint8_t room[sizeof(CK_ULONG) + 2] = {0};
    struct mech_params params;
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_refused(m, NULL, &bad[i], sizeof(bad[i]));
    for (CK_ULONG n = 1; n <= most; n++) {
        assert_taken(m, NULL, &n, sizeof(n), &params);
        assert_int_equal(mech_output_size(m, &params, NULL), n);
    }
    memcpy(room + 1, &most, sizeof(most)); /* unaligned */
    assert_taken(m, NULL, room + 1, sizeof(most), &params);
    assert_int_equal(params.mac_n, most);
    for (size_t n = 0; n < sizeof(room); n++)
        if (n != sizeof(CK_ULONG))
            assert_refused(m, NULL, room + 1, n);
    assert_refused(m, NULL, NULL, sizeof(most));
}

static void test_general_parameters(void **state)
{
    (void)state;
    const struct mech_params none = {0};
    assert_general(CKM_AES_CMAC_GENERAL, 16);
    assert_int_equal(mech_output_size(row(CKM_AES_CMAC), &none, NULL), 16);
    assert_int_equal(mech_output_size(row(CKM_AES_GMAC), &none, NULL), 16);
    for (size_t h = 0; h < COUNT(hmacs); h++) {
        assert_general(hmacs[h].general, hash_size(hmacs[h].hash));
        assert_int_equal(mech_output_size(row(hmacs[h].type), &none, NULL),
                         hash_size(hmacs[h].hash));
    }
}

static void test_gmac_parameters(void **state)
{
    (void)state;
    const struct mech *m = row(CKM_AES_GMAC);
    uint8_t iv[64] = {1};
    for (size_t n = 0; n < sizeof(CK_GCM_PARAMS) + 4; n++)
        if (n != 12 && n != 40 && n != sizeof(CK_GCM_PARAMS)) /* these two are structs */
            assert_refused(m, NULL, iv, n);
    assert_refused(m, NULL, NULL, 12);
    CK_GCM_PARAMS p = {.pIv = iv, .ulIvLen = 12, .pAAD = iv, .ulAADLen = 1, .ulTagBits = 128};
    assert_refused(m, NULL, &p, sizeof(p)); /* the AAD is the data */
    p.ulAADLen = 0;
    p.ulTagBits = 120;
    struct mech_params params;
    assert_taken(m, NULL, &p, sizeof(p), &params);
    assert_int_equal(mech_output_size(m, &params, NULL), 15);
    mech_params_free(&params);
}

/* ---- what it costs ------------------------------------------------------------------------- */

static unsigned commands_for(CK_MECHANISM_TYPE type, const struct mech_key *key,
                             const void *parameter, size_t n, size_t chunk, uint32_t command)
{
    static const uint8_t data[10240];
    struct operation o;
    uint8_t mac[HASH_MAX];
    operation_begin(&o, type, key, parameter, n);
    tap_clear();
    assert_ok(o.call.mech->mac->start(&o.call, &o.stream));
    for (size_t at = 0; at < sizeof(data); at += chunk)
        assert_ok(o.call.mech->mac->update(&o.call, &o.stream, BYTES(data + at, chunk)));
    assert_ok(o.call.mech->mac->final(&o.call, &o.stream, mac));
    unsigned commands = tap_count(command);
    operation_end(&o);
    return commands;
}

static void test_commands(void **state)
{
    (void)state;
    static const size_t chunks[] = {10240, 1024, 640, 16};
    struct sym_key aes, hmac;
    uint8_t value[16] = {1}, iv[12] = {2};
    aes_key(&aes, BYTES_OF(value));
    hmac_key(&hmac, BYTES_OF(value));
    for (size_t i = 0; i < COUNT(chunks); i++) {
        /* subkeys; a command a KiB, however small the pieces are; after a whole number of them one
         * for the block that hides the result */
        assert_int_equal(commands_for(CKM_AES_CMAC, &aes.place[IN_TPM], NULL, 0, chunks[i],
                                      TPM2_CC_EncryptDecrypt2),
                         12);
        assert_int_equal(commands_for(CKM_AES_GMAC, &aes.place[IN_TPM], iv, sizeof(iv), chunks[i],
                                      TPM2_CC_EncryptDecrypt2),
                         1);
        assert_int_equal(commands_for(CKM_SHA256_HMAC, &hmac.place[IN_TPM], NULL, 0, chunks[i],
                                      TPM2_CC_SequenceUpdate),
                         9);
    }
    sym_key_free(&aes);
    sym_key_free(&hmac);
}

static void test_all_checked(void **state)
{
    (void)state;
    assert_all_checked(mac_covered, COUNT(mac_covered));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TPM_TEST(test_sp800_38b),
        TPM_TEST(test_cmac_as_libcrypto),
        TPM_TEST(test_gmac_as_libcrypto),
        TPM_TEST(test_rfc4231),
        TPM_TEST(test_hmac_as_libcrypto),
        TPM_TEST(test_hmac_in_the_tpm),
        cmocka_unit_test(test_hmac_key_types),
        cmocka_unit_test(test_general_parameters),
        cmocka_unit_test(test_gmac_parameters),
        TPM_TEST(test_commands),
        cmocka_unit_test(test_all_checked),
    };
    return cmocka_run_group_tests_name("mech/mac", tests, group_start, group_stop);
}
