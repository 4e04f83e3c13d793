/* C_DeriveKey with private keys in software: PKCS#11 3.2 sections 6.3.15 (ECDH), 6.3.20 (X25519,
 * X448).
 */
#include "derive.h"

/* The length says which curve's it is. */
static CK_OBJECT_HANDLE montgomery_key(struct blob value, bool token)
{
    static struct parts parts;
    CK_OBJECT_HANDLE object;
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(value.n == 32 ? EVP_PKEY_X25519 : EVP_PKEY_X448,
                                                 NULL, value.p, value.n);
    private_parts(key, &parts);
    EVP_PKEY_free(key);
    set_part(&parts, (CK_ATTRIBUTE)ATTR_BOOL(CKA_TOKEN, token));
    assert_ok(create(&parts, &object));
    return object;
}

/* RFC 7748, 5.2 (the first two) and 6.1; 5.2 and 6.2 */
static const struct {
    const char *scalar, *u, *result;
} rfc_7748[] = {
    {"a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
     "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
     "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"},
    {"4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
     "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
     "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957"},
    {"77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
     "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
     "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"},
    {"3d262fddf9ec8e88495266fea19a34d28882acef045104d0d1aae121"
     "700a779c984c24f8cdd78fbff44943eba368f54b29259a4f1c600ad3",
     "06fce640fa3487bfda5f6cf2d5263f8aad88334cbd07437f020f08f9"
     "814dc031ddbdc38c19c6da2583fa5429db94ada18aa7a7fb4ef8a086",
     "ce3e4ff95a60dc6697da1db1d85e6afbdf79b50a2412d7546d5f239f"
     "e14fbaadeb445fc66a01b0779d98223961111e21766282f73dd96b6f"},
    {"9a8f4925d1519f5775cf46b04b5800d4ee9ee8bae8bc5565d498c28d"
     "d9c9baf574a9419744897391006382a6f127ab1d9ac2d8c0a598726b",
     "3eb7a829b0cd20f5bcfc0b599b6feccf6da4627107bdb0d4f345b430"
     "27d8b972fc3e34fb4232a13ca706dcb57aec3dae07bdc1c67bf33609",
     "07fff4181ac6cc95ec1c16a94a0f74d12da232ce40a77552281d282b"
     "b60c0b56fd2464c335543936521c24403085d59a449a5037514a879d"},
};

/* Sealed and in memory; the peer's point bare and in its OCTET STRING; cut from the front. */
static void vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rfc_7748); i++)
        for (int token = 0; token < 2; token++) {
            CK_OBJECT_HANDLE key = montgomery_key(unhex(rfc_7748[i].scalar), token);
            struct blob bare = unhex(rfc_7748[i].u), der = octet_string(bare);
            struct blob want = unhex(rfc_7748[i].result), cut = {.n = 20};
            CK_ECDH1_DERIVE_PARAMS p = {CKD_NULL, 0, NULL, bare.n, bare.p};
            assert_protection(key, token ? "sealed" : "session");
            assert_derives(MECHANISM_WITH(CKM_ECDH1_DERIVE, p), key, 0, want);
            p.ulPublicDataLen = der.n;
            p.pPublicData = der.p;
            assert_derives(MECHANISM_WITH(CKM_ECDH1_DERIVE, p), key, want.n, want);
            memcpy(cut.p, want.p + want.n - 20, 20);
            assert_derives(MECHANISM_WITH(CKM_ECDH1_DERIVE, p), key, 20, cut);
            assert_ok(p11->C_DestroyObject(fx.session, key));
        }
}

/* RFC 7748, 6.1 and 6.2: a result of zeros is none. */
static void small_order(void **state)
{
    (void)state;
    static const char *const points[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "00000000000000000000000000000000000000000000000000000000"
        "00000000000000000000000000000000000000000000000000000000",
        "01000000000000000000000000000000000000000000000000000000"
        "00000000000000000000000000000000000000000000000000000000",
        "feffffffffffffffffffffffffffffffffffffffffffffffffffffff"
        "feffffffffffffffffffffffffffffffffffffffffffffffffffffff"};
    for (size_t i = 0; i < COUNT(points); i++) {
        CK_OBJECT_HANDLE derived;
        CK_OBJECT_HANDLE key = montgomery_key(unhex(rfc_7748[i < 3 ? 2 : 4].scalar), false);
        struct blob point = unhex(points[i]);
        CK_ECDH1_DERIVE_PARAMS p = {CKD_NULL, 0, NULL, point.n, point.p};
        assert_rv(CKR_MECHANISM_PARAM_INVALID,
                  derive_readable(MECHANISM_WITH(CKM_ECDH1_DERIVE, p), key, 0, &derived));
        p.ulPublicDataLen--;
        assert_rv(CKR_MECHANISM_PARAM_INVALID,
                  derive_readable(MECHANISM_WITH(CKM_ECDH1_DERIVE, p), key, 0, &derived));
    }
}

/* 6.3.15: the private key's past is the derived key's, wherever it is. */
static void rules(void **state)
{
    (void)state;
    EVP_PKEY *peer = make_key("P-256");
    struct blob point = public_point(peer), curve = ec_params(NID_X9_62_prime256v1);
    CK_ECDH1_DERIVE_PARAMS p = {CKD_NULL, 0, NULL, point.n, point.p};
    static const char *const places[] = {"tpm", "sealed", "session"};
    for (int kind = 0; kind < 12; kind++) {
        const char *place = places[kind / 4];
        bool sensitive = kind & 1, may_leave = kind & 2;
        CK_ATTRIBUTE public = ATTR_MEM(CKA_EC_PARAMS, curve.p, curve.n);
        CK_ATTRIBUTE private[] = {ATTR_BOOL(CKA_TOKEN, kind / 4 < 2), ATTR_BOOL(CKA_DERIVE, true),
                                  ATTR_STR(CKA_LATCHKEY_PROTECTION, place)};
        CK_ATTRIBUTE template[] = {ATTR_BOOL(CKA_SENSITIVE, sensitive),
                                   ATTR_BOOL(CKA_EXTRACTABLE, may_leave)};
        CK_OBJECT_HANDLE public_key, key, derived;
        assert_ok(p11->C_GenerateKeyPair(fx.session, MECHANISM(CKM_EC_KEY_PAIR_GEN), &public, 1,
                                         private, COUNT(private), &public_key, &key));
        assert_protection(key, place);
        assert_ok(derive(MECHANISM_WITH(CKM_ECDH1_DERIVE, p), key, template, 2, &derived));
        assert_history(derived, (struct history){sensitive, sensitive, may_leave, !may_leave});
        assert_ok(p11->C_DestroyObject(fx.session, key));
    }
    EVP_PKEY_free(peer);
}

#define USER_TEST(f) cmocka_unit_test_setup_teardown(f, test_user, test_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        USER_TEST(vectors),
        USER_TEST(small_order),
        USER_TEST(rules),
    };
    return cmocka_run_group_tests(tests, group_token, group_end);
}
