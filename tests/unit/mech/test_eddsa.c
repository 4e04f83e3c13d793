/* Edwards and Montgomery keys, that only software has. libcrypto and RFC 8032's vectors. */
#include "mech_test.h"

/* RFC 8032, 7.1 TEST 2, TEST 3; 7.2 (context "foo"); 7.3 (Ed25519ph, "abc"); 7.4 (1 octet, without
 * and with the context "foo"); 7.5 (Ed448ph, "abc"). */
static const struct {
    const char *seed, *message, *context, *signature;
    bool flagged, prehash;
} vectors[] = {
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", "72", "",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
     "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
     false, false},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7", "af82", "",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
     "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
     true, false},
    {"0305334e381af78f141cb666f6199f57bc3495335a256a95bd2a55bf546663f6",
     "f726936d19c800494e3fdaff20b276a8", "666f6f",
     "55a4cc2f70a54e04288c5f4cd1e45a7bb520b36292911876cada7323198dd87a"
     "8b36950b95130022907a7fb7c4e9b2d5f6cca685a587b4b21f4b888e4e7edb0d",
     true, false},
    {"833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42", "616263", "",
     "98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae41"
     "31f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406",
     true, true},
    {"c4eab05d357007c632f3dbb48489924d552b08fe0c353a0d4a1f00acda2c463a"
     "fbea67c5e8d2877c5e3bc397a659949ef8021e954e0a12274e",
     "03", "",
     "26b8f91727bd62897af15e41eb43c377efb9c610d48f2335cb0bd0087810f435"
     "2541b143c4b981b7e18f62de8ccdf633fc1bf037ab7cd779805e0dbcc0aae1cb"
     "cee1afb2e027df36bc04dcecbf154336c19f0af7e0a6472905e799f1953d2a0f"
     "f3348ab21aa4adafd1d234441cf807c03a00",
     false, false},
    {"c4eab05d357007c632f3dbb48489924d552b08fe0c353a0d4a1f00acda2c463a"
     "fbea67c5e8d2877c5e3bc397a659949ef8021e954e0a12274e",
     "03", "666f6f",
     "d4f8f6131770dd46f40867d6fd5d5055de43541f8c5e35abbcd001b32a89f7d2"
     "151f7647f11d8ca2ae279fb842d607217fce6e042f6815ea000c85741de5c8da"
     "1144a6a1aba7f96de42505d7a7298524fda538fccbbb754f578c1cad10d54d0d"
     "5428407e85dcbc98a49155c13764e66c3c00",
     true, false},
    {"833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42"
     "ef7822e0d5104127dc05d6dbefde69e3ab2cec7c867c6e2c49",
     "616263", "",
     "822f6901f7480f3d5f562c592994d9693602875614483256505600bbc281ae38"
     "1f54d6bce2ea911574932f52a4e6cadd78769375ec3ffd1b801a0d9b3f4030cd"
     "433964b6457ea39476511214f97469b57dd32dbc560a9a94d00bff07620464a3"
     "ad203df7dc7ce360c3cd3696d9d9fab90f00",
     true, true},
};

static size_t unhex(const char *text, uint8_t *ret)
{
    size_t n = strlen(text) / 2;
    for (size_t i = 0; i < n; i++)
        assert_int_equal(sscanf(text + 2 * i, "%2hhx", &ret[i]), 1);
    return n;
}

static void test_vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(vectors); i++) {
        uint8_t seed[57], message[64], context[16], expected[114], signature[114];
        size_t message_n = unhex(vectors[i].message, message);
        size_t context_n = unhex(vectors[i].context, context);
        size_t seed_n = unhex(vectors[i].seed, seed);
        size_t signature_n = unhex(vectors[i].signature, expected);
        enum curve curve = seed_n == 32 ? CURVE_ED25519 : CURVE_ED448;
        CLEANUP(soft_private_free) struct soft_private *k = NULL;
        assert_ok(soft_private_from_value(curve, BYTES(seed, seed_n), &k));
        struct mech_key key = {.type = CKK_EC_EDWARDS,
                               .curve = curve,
                               .private_ = k,
                               .public_ = soft_private_public(k)};
        CLEANUP(mech_params_free) struct mech_params params = {0};
        CK_EDDSA_PARAMS given = {vectors[i].prehash, context_n, context};
        const struct mech *m = row(CKM_EDDSA);
        assert_taken(m, &key, vectors[i].flagged ? &given : NULL,
                     vectors[i].flagged ? sizeof(given) : 0, &params);
        struct mech_call call = {.mech = m, .params = &params, .key = &key};
        assert_int_equal(mech_output_size(m, &params, &key), signature_n);
        assert_ok(m->sign(&call, BYTES(message, message_n), signature));
        assert_memory_equal(signature, expected, signature_n);
        assert_ok(m->verify(&call, BYTES(message, message_n), BYTES(signature, signature_n)));
        signature[5] ^= 1;
        assert_rv(CKR_SIGNATURE_INVALID,
                  m->verify(&call, BYTES(message, message_n), BYTES(signature, signature_n)));
    }
    mark_checked(CKM_EDDSA);
}

static void test_parameters(void **state)
{
    (void)state;
    static CK_BYTE context[256];
    const struct mech_key key = {.type = CKK_EC_EDWARDS, .curve = CURVE_ED25519};
    const CK_EDDSA_PARAMS longest = {CK_FALSE, 255, context}, longer = {CK_FALSE, 256, context},
                          nowhere = {CK_FALSE, 3, NULL};
    CLEANUP(mech_params_free) struct mech_params params = {0};
    assert_taken(row(CKM_EDDSA), &key, &longest, sizeof(longest), &params);
    assert_refused(row(CKM_EDDSA), &key, &longer, sizeof(longer));
    assert_refused(row(CKM_EDDSA), &key, &nowhere, sizeof(nowhere));
    assert_refused(row(CKM_EDDSA), &key, &longest, sizeof(longest) - 1);
}

/* What is generated signs, and agrees, as libcrypto says. */
static void test_generation(void **state)
{
    (void)state;
    static const struct {
        CK_MECHANISM_TYPE type;
        enum curve curve;
        int evp;
    } kinds[] = {{CKM_EC_EDWARDS_KEY_PAIR_GEN, CURVE_ED25519, EVP_PKEY_ED25519},
                 {CKM_EC_MONTGOMERY_KEY_PAIR_GEN, CURVE_X25519, EVP_PKEY_X25519},
                 {CKM_EC_EDWARDS_KEY_PAIR_GEN, CURVE_ED448, EVP_PKEY_ED448},
                 {CKM_EC_MONTGOMERY_KEY_PAIR_GEN, CURVE_X448, EVP_PKEY_X448}};
    for (size_t i = 0; i < COUNT(kinds); i++) {
        CLEANUP(soft_private_free) struct soft_private *k = NULL;
        CLEANUP(buf_free) struct buf point = {0};
        uint8_t own[57];
        size_t n = sizeof(own);
        const struct mech_pair_wanted wanted = {.curve = kinds[i].curve};
        assert_ok(row(kinds[i].type)->generate_soft(&wanted, &k));
        struct bytes value = soft_private_value(k);
        EVP_PKEY *evp = EVP_PKEY_new_raw_private_key(kinds[i].evp, NULL, value.p, value.n);
        assert_non_null(evp);
        assert_int_equal(EVP_PKEY_get_raw_public_key(evp, own, &n), 1);
        EVP_PKEY_free(evp);
        assert_ok(soft_key_point(soft_private_public(k), &point));
        assert_int_equal(point.n, n);
        assert_memory_equal(point.p, own, n);
        mark_checked(kinds[i].type);
    }
}

static void test_every_mechanism_was_checked(void **state)
{
    (void)state;
    assert_all_checked(eddsa_covered, COUNT(eddsa_covered));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_generation),
        cmocka_unit_test(test_every_mechanism_was_checked),
    };
    return cmocka_run_group_tests(tests, group_start, group_stop);
}
