/* Ed25519, Ed25519ctx and Ed25519ph. */
#include "private_test.h"

/* RFC 8032, 7.1 (tests 1, 2, 3 and SHA(abc)), 7.2 (foo, bar) and 7.3. */
static const struct {
    const char *seed, *public, *message, *signature;
    bool has_form, prehash;
    const char *context;
} vectors[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
     "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
     false, false, ""},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
     "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
     false, false, ""},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
     "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
     false, false, ""},
    {"833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
     "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
     "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
     "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
     "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b589"
     "09351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
     false, false, ""},
    {"0305334e381af78f141cb666f6199f57bc3495335a256a95bd2a55bf546663f6",
     "dfc9425e4f968f7f0c29f0259cf5f9aed6851c2bb4ad8bfb860cfee0ab248292",
     "f726936d19c800494e3fdaff20b276a8",
     "55a4cc2f70a54e04288c5f4cd1e45a7bb520b36292911876cada7323198dd87a"
     "8b36950b95130022907a7fb7c4e9b2d5f6cca685a587b4b21f4b888e4e7edb0d",
     true, false, "666f6f"},
    {"0305334e381af78f141cb666f6199f57bc3495335a256a95bd2a55bf546663f6",
     "dfc9425e4f968f7f0c29f0259cf5f9aed6851c2bb4ad8bfb860cfee0ab248292",
     "f726936d19c800494e3fdaff20b276a8",
     "fc60d5872fc46b3aa69f8b5b4351d5808f92bcc044606db097abab6dbcb1aee3"
     "216c48e8b3b66431b5b186d1d28f8ee15a5ca2df6668346291c2043d4eb3e90d",
     true, false, "626172"},
    {"833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
     "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf", "616263",
     "98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae41"
     "31f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406",
     true, true, ""},
};
enum { VECTORS = sizeof(vectors) / sizeof(*vectors) };

static void rfc_8032(void **state)
{
    (void)state;
    for (size_t i = 0; i < VECTORS; i++) {
        CLEANUP(soft_private_free)
        struct soft_private *k = private_from_hex(CURVE_ED25519, vectors[i].seed);
        CLEANUP(buf_free) struct buf point = {0};
        struct hex message = unhex(vectors[i].message), context = unhex(vectors[i].context);
        struct hex expected = unhex(vectors[i].public);
        struct soft_eddsa form = {vectors[i].prehash, HEX_BYTES(context)};
        const struct soft_eddsa *used = vectors[i].has_form ? &form : NULL;
        uint8_t sig[64];
        assert_ok(soft_key_point(soft_private_public(k), &point));
        assert_true(bytes_equal(buf_bytes(&point), BYTES(expected.p, 32)));
        assert_ok(soft_private_eddsa(k, used, HEX_BYTES(message), sig));
        assert_hex(sig, vectors[i].signature);
        const struct soft_key *public = soft_private_public(k);
        assert_ok(soft_eddsa_verify(public, used, HEX_BYTES(message), BYTES_OF(sig)));
        /* under another form it is no signature */
        struct soft_eddsa others[] = {{!form.prehash, form.context},
                                      {form.prehash, BYTES("other", 5)}};
        assert_int_equal(soft_eddsa_verify(public, &others[0], HEX_BYTES(message), BYTES_OF(sig)),
                         CKR_SIGNATURE_INVALID);
        assert_int_equal(soft_eddsa_verify(public, &others[1], HEX_BYTES(message), BYTES_OF(sig)),
                         CKR_SIGNATURE_INVALID);
        assert_int_equal(
            soft_eddsa_verify(public, used ? NULL : &form, HEX_BYTES(message), BYTES_OF(sig)),
            CKR_SIGNATURE_INVALID);
    }
}

static void as_openssl(void **state)
{
    (void)state;
    static uint8_t message[1000];
    fill(message, sizeof(message), 5);
    for (size_t i = 0; i < 500; i++) {
        CLEANUP(soft_private_free) struct soft_private *k = NULL;
        assert_ok(soft_private_generate(CURVE_ED25519, &k));
        EVP_PKEY *evp = evp_private(k);
        assert_same_public(k, evp);
        uint8_t ours[64], theirs[64];
        size_t n = sizeof(theirs);
        struct bytes m = BYTES(message, 2 * i);
        EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        assert_true(EVP_DigestSignInit(ctx, NULL, NULL, NULL, evp));
        assert_true(EVP_DigestSign(ctx, theirs, &n, m.p, m.n));
        EVP_MD_CTX_free(ctx);
        assert_ok(soft_private_eddsa(k, NULL, m, ours));
        assert_memory_equal(ours, theirs, 64);
        assert_ok(soft_eddsa_verify(soft_private_public(k), NULL, m, BYTES_OF(theirs)));
        EVP_PKEY_free(evp);
    }
}

static void refuses_every_change(void **state)
{
    (void)state;
    CLEANUP(soft_private_free)
    struct soft_private *k = private_from_hex(CURVE_ED25519, vectors[0].seed);
    const struct soft_key *public = soft_private_public(k);
    uint8_t sig[65] = {0};
    struct bytes m = BYTES("message", 7);
    assert_ok(soft_private_eddsa(k, NULL, m, sig));
    for (size_t bit = 0; bit < 512; bit++) {
        sig[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(soft_eddsa_verify(public, NULL, m, BYTES(sig, 64)), CKR_SIGNATURE_INVALID);
        sig[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t n = 0; n < 66; n += n == 62 ? 1 : 31)
        if (n != 64)
            assert_int_equal(soft_eddsa_verify(public, NULL, m, BYTES(sig, n)),
                             CKR_SIGNATURE_LEN_RANGE);
    assert_int_equal(soft_eddsa_verify(public, NULL, BYTES("messagf", 7), BYTES(sig, 64)),
                     CKR_SIGNATURE_INVALID);
}

/* S + L gives the same point, so it must be refused (RFC 8032, 8.4). */
static void refuses_a_second_form_of_s(void **state)
{
    (void)state;
    CLEANUP(soft_private_free)
    struct soft_private *k = private_from_hex(CURVE_ED25519, vectors[0].seed);
    struct hex sig = unhex("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
                           "4c8c7872aa064e049dbb3013fbf29380d25bf5f0595bbe24655141438e7a101b");
    assert_int_equal(soft_eddsa_verify(soft_private_public(k), NULL, NO_BYTES, HEX_BYTES(sig)),
                     CKR_SIGNATURE_INVALID);
}

static void refuses_bad_points(void **state)
{
    (void)state;
    /* y with no x; y = p, y = p + 1 (not reduced); 1 and -1 with the sign of an x that is 0 */
    static const char *const points[] = {
        "0200000000000000000000000000000000000000000000000000000000000000",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    };
    struct soft_key *k = NULL;
    for (size_t i = 0; i < sizeof(points) / sizeof(*points); i++) {
        struct hex point = unhex(points[i]);
        assert_int_equal(soft_key_ec(CURVE_ED25519, HEX_BYTES(point), &k),
                         CKR_ATTRIBUTE_VALUE_INVALID);
    }
    struct hex good = unhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f");
    assert_int_equal(soft_key_ec(CURVE_ED25519, BYTES(good.p, 31), &k),
                     CKR_ATTRIBUTE_VALUE_INVALID);
    assert_int_equal(soft_key_ec(CURVE_ED25519, BYTES(good.p, 33), &k),
                     CKR_ATTRIBUTE_VALUE_INVALID);
    assert_null(k);
    assert_ok(soft_key_ec(CURVE_ED25519, HEX_BYTES(good), &k));
    soft_key_free(&k);
}

static void other_keys_and_contexts(void **state)
{
    (void)state;
    static uint8_t context[256];
    uint8_t sig[64];
    CLEANUP(soft_private_free)
    struct soft_private *ed = private_from_hex(CURVE_ED25519, vectors[0].seed);
    CLEANUP(soft_private_free)
    struct soft_private *x = private_from_hex(CURVE_X25519, vectors[0].seed);
    CLEANUP(secret_free) struct secret z = {0};
    struct soft_eddsa form = {false, BYTES(context, 255)};
    assert_ok(soft_private_eddsa(ed, &form, NO_BYTES, sig));
    assert_ok(soft_eddsa_verify(soft_private_public(ed), &form, NO_BYTES, BYTES_OF(sig)));
    form.context.n = 256;
    assert_int_equal(soft_private_eddsa(ed, &form, NO_BYTES, sig), CKR_MECHANISM_PARAM_INVALID);
    assert_int_equal(soft_eddsa_verify(soft_private_public(ed), &form, NO_BYTES, BYTES_OF(sig)),
                     CKR_MECHANISM_PARAM_INVALID);
    assert_int_equal(soft_private_eddsa(x, NULL, NO_BYTES, sig), CKR_KEY_TYPE_INCONSISTENT);
    assert_int_equal(soft_eddsa_verify(soft_private_public(x), NULL, NO_BYTES, BYTES_OF(sig)),
                     CKR_KEY_TYPE_INCONSISTENT);
    assert_int_equal(soft_ecdsa_verify(soft_private_public(ed), BYTES("d", 1), BYTES_OF(sig)),
                     CKR_KEY_TYPE_INCONSISTENT);
    assert_int_equal(soft_private_ecdsa(ed, BYTES("d", 1), sig), CKR_KEY_TYPE_INCONSISTENT);
    assert_int_equal(soft_private_rsa(ed, BYTES("d", 1), sig), CKR_KEY_TYPE_INCONSISTENT);
    assert_int_equal(soft_private_ecdh(ed, BYTES_OF(sig), &z), CKR_KEY_TYPE_INCONSISTENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc_8032),
        cmocka_unit_test(as_openssl),
        cmocka_unit_test(refuses_every_change),
        cmocka_unit_test(refuses_a_second_form_of_s),
        cmocka_unit_test(refuses_bad_points),
        cmocka_unit_test(other_keys_and_contexts),
    };
    return run_soft_tests(tests);
}
