/* C_DeriveKey with private keys in software: PKCS#11 3.2 sections 6.3.15 (ECDH), 6.3.20 (X25519).
 */
#include "derive.h"

static CK_OBJECT_HANDLE x25519_key(struct blob value, bool token)
{
    static struct parts parts;
    CK_OBJECT_HANDLE object;
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, value.p, value.n);
    private_parts(key, &parts);
    EVP_PKEY_free(key);
    set_part(&parts, (CK_ATTRIBUTE)ATTR_BOOL(CKA_TOKEN, token));
    assert_ok(create(&parts, &object));
    return object;
}

/* RFC 7748, 5.2 (the first two) and 6.1 */
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
};

/* Sealed and in memory; the peer's point bare and in its OCTET STRING; cut from the front. */
static void vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rfc_7748); i++)
        for (int token = 0; token < 2; token++) {
            CK_OBJECT_HANDLE key = x25519_key(unhex(rfc_7748[i].scalar), token);
            struct blob bare = unhex(rfc_7748[i].u), der = octet_string(bare);
            struct blob want = unhex(rfc_7748[i].result), cut = {.n = 20};
            CK_ECDH1_DERIVE_PARAMS p = {CKD_NULL, 0, NULL, bare.n, bare.p};
            assert_protection(key, token ? "sealed" : "session");
            assert_derives(MECHANISM_WITH(CKM_ECDH1_DERIVE, p), key, 0, want);
            p.ulPublicDataLen = der.n;
            p.pPublicData = der.p;
            assert_derives(MECHANISM_WITH(CKM_ECDH1_DERIVE, p), key, 32, want);
            memcpy(cut.p, want.p + 12, 20);
            assert_derives(MECHANISM_WITH(CKM_ECDH1_DERIVE, p), key, 20, cut);
            assert_ok(p11->C_DestroyObject(fx.session, key));
        }
}

/* RFC 7748, 6.1: a result of zeros is none. */
static void small_order(void **state)
{
    (void)state;
    static const char *const points[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"};
    CK_OBJECT_HANDLE key = x25519_key(unhex(rfc_7748[2].scalar), false), derived;
    for (size_t i = 0; i < COUNT(points); i++) {
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
