/* Ed448 and X448 by the forms that PKCS#11 3.2, 6.3.5 to 6.3.8 gives their parameters and points,
 * and CKM_EDDSA with CK_EDDSA_PARAMS (6.3.14). What they share with Curve25519 is tested beside it.
 */
#include "derive.h"

#include <openssl/x509.h>

static const CK_BYTE edwards_name[] = "\x13\x0a" /* PrintableString */
                                      "edwards448",
                     montgomery_name[] = "\x13\x08"
                                         "curve448";

static struct key_pair make_pair(CK_MECHANISM_TYPE type, const CK_BYTE *params, CK_ULONG n)
{
    struct key_pair keys;
    CK_ATTRIBUTE public[] = {{CKA_EC_PARAMS, (void *)(uintptr_t)params, n}};
    assert_ok(p11->C_GenerateKeyPair(fx.session, MECHANISM(type), public, 1, NULL, 0, &keys.public,
                                     &keys.private));
    return keys;
}

/* The key is libcrypto's whose name is in CKA_PUBLIC_KEY_INFO. */
static void assert_kind(CK_OBJECT_HANDLE public, const char *kind)
{
    struct blob info = get_attribute(fx.session, public, CKA_PUBLIC_KEY_INFO);
    struct blob point = get_attribute(fx.session, public, CKA_EC_POINT);
    const CK_BYTE *at = info.p;
    EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)info.n);
    assert_non_null(key);
    assert_int_equal(at - info.p, info.n);
    assert_true(EVP_PKEY_is_a(key, kind));
    struct blob want = octet_string(public_point(key));
    assert_blob(point, want.p, want.n);
    EVP_PKEY_free(key);
}

static void curves_by_name(void **state)
{
    (void)state;
    struct key_pair ed = make_pair(CKM_EC_EDWARDS_KEY_PAIR_GEN, edwards_name, 12);
    struct key_pair x = make_pair(CKM_EC_MONTGOMERY_KEY_PAIR_GEN, montgomery_name, 10);
    assert_kind(ed.public, "ED448");
    assert_kind(x.public, "X448");
    struct blob signature = sign(fx.session, MECHANISM(CKM_EDDSA), ed.private, "text", 4);
    assert_int_equal(signature.n, 114);
    assert_ok(verify(fx.session, MECHANISM(CKM_EDDSA), ed.public, "text", 4, signature));
}

static void names_of_the_other_kind(void **state)
{
    (void)state;
    CK_OBJECT_HANDLE public, private;
    CK_ATTRIBUTE edwards = ATTR_MEM(CKA_EC_PARAMS, edwards_name, 12);
    CK_ATTRIBUTE montgomery = ATTR_MEM(CKA_EC_PARAMS, montgomery_name, 10);
    assert_rv(CKR_CURVE_NOT_SUPPORTED,
              p11->C_GenerateKeyPair(fx.session, MECHANISM(CKM_EC_EDWARDS_KEY_PAIR_GEN),
                                     &montgomery, 1, NULL, 0, &public, &private));
    assert_rv(CKR_CURVE_NOT_SUPPORTED,
              p11->C_GenerateKeyPair(fx.session, MECHANISM(CKM_EC_MONTGOMERY_KEY_PAIR_GEN),
                                     &edwards, 1, NULL, 0, &public, &private));
}

static void sizes(void **state)
{
    (void)state;
    static const CK_MECHANISM_TYPE types[] = {CKM_EC_EDWARDS_KEY_PAIR_GEN,
                                              CKM_EC_MONTGOMERY_KEY_PAIR_GEN, CKM_EDDSA};
    for (size_t i = 0; i < COUNT(types); i++) {
        CK_MECHANISM_INFO info;
        assert_ok(p11->C_GetMechanismInfo(fx.slot, types[i], &info));
        assert_int_equal(info.ulMinKeySize, 255);
        assert_int_equal(info.ulMaxKeySize, 448);
    }
}

/* RFC 8032, 7.4 (1 octet; with the context "foo") and 7.5 (abc; with the context "foo") */
static const struct {
    const char *seed, *public, *message, *context, *signature;
    bool prehash, plain;
} rfc_8032[] = {
    {"c4eab05d357007c632f3dbb48489924d552b08fe0c353a0d4a1f00acda2c463a"
     "fbea67c5e8d2877c5e3bc397a659949ef8021e954e0a12274e",
     "43ba28f430cdff456ae531545f7ecd0ac834a55d9358c0372bfa0c6c6798c086"
     "6aea01eb00742802b8438ea4cb82169c235160627b4c3a9480",
     "03", "",
     "26b8f91727bd62897af15e41eb43c377efb9c610d48f2335cb0bd0087810f435"
     "2541b143c4b981b7e18f62de8ccdf633fc1bf037ab7cd779805e0dbcc0aae1cb"
     "cee1afb2e027df36bc04dcecbf154336c19f0af7e0a6472905e799f1953d2a0f"
     "f3348ab21aa4adafd1d234441cf807c03a00",
     false, true},
    {"c4eab05d357007c632f3dbb48489924d552b08fe0c353a0d4a1f00acda2c463a"
     "fbea67c5e8d2877c5e3bc397a659949ef8021e954e0a12274e",
     "43ba28f430cdff456ae531545f7ecd0ac834a55d9358c0372bfa0c6c6798c086"
     "6aea01eb00742802b8438ea4cb82169c235160627b4c3a9480",
     "03", "666f6f",
     "d4f8f6131770dd46f40867d6fd5d5055de43541f8c5e35abbcd001b32a89f7d2"
     "151f7647f11d8ca2ae279fb842d607217fce6e042f6815ea000c85741de5c8da"
     "1144a6a1aba7f96de42505d7a7298524fda538fccbbb754f578c1cad10d54d0d"
     "5428407e85dcbc98a49155c13764e66c3c00",
     false, false},
    {"833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42"
     "ef7822e0d5104127dc05d6dbefde69e3ab2cec7c867c6e2c49",
     "259b71c19f83ef77a7abd26524cbdb3161b590a48f7d17de3ee0ba9c52beb743"
     "c09428a131d6b1b57303d90d8132c276d5ed3d5d01c0f53880",
     "616263", "",
     "822f6901f7480f3d5f562c592994d9693602875614483256505600bbc281ae38"
     "1f54d6bce2ea911574932f52a4e6cadd78769375ec3ffd1b801a0d9b3f4030cd"
     "433964b6457ea39476511214f97469b57dd32dbc560a9a94d00bff07620464a3"
     "ad203df7dc7ce360c3cd3696d9d9fab90f00",
     true, false},
    {"833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42"
     "ef7822e0d5104127dc05d6dbefde69e3ab2cec7c867c6e2c49",
     "259b71c19f83ef77a7abd26524cbdb3161b590a48f7d17de3ee0ba9c52beb743"
     "c09428a131d6b1b57303d90d8132c276d5ed3d5d01c0f53880",
     "616263", "666f6f",
     "c32299d46ec8ff02b54540982814dce9a05812f81962b649d528095916a2aa48"
     "1065b1580423ef927ecf0af5888f90da0f6a9a85ad5dc3f280d91224ba9911a3"
     "653d00e484e2ce232521481c8658df304bb7745a73514cdb9bf3e15784ab7128"
     "4f8d0704a608c54a6b62d97beb511d132100",
     true, false},
};

static CK_OBJECT_HANDLE private_key(struct blob seed, bool token)
{
    static struct parts parts;
    CK_OBJECT_HANDLE object;
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED448, NULL, seed.p, seed.n);
    private_parts(key, &parts);
    EVP_PKEY_free(key);
    set_part(&parts, (CK_ATTRIBUTE)ATTR_BOOL(CKA_TOKEN, token));
    assert_ok(create(&parts, &object));
    return object;
}

/* The point in a DER OCTET STRING (3.2) or bare (earlier texts). */
static CK_OBJECT_HANDLE public_key(struct blob point)
{
    struct blob curve = ec_params(NID_ED448);
    CK_ATTRIBUTE template[] = {
        ATTR_ULONG(CKA_CLASS, CKO_PUBLIC_KEY), ATTR_ULONG(CKA_KEY_TYPE, CKK_EC_EDWARDS),
        ATTR_MEM(CKA_EC_PARAMS, curve.p, curve.n), ATTR_MEM(CKA_EC_POINT, point.p, point.n),
        ATTR_BOOL(CKA_VERIFY, true)};
    CK_OBJECT_HANDLE key;
    assert_ok(p11->C_CreateObject(fx.session, template, COUNT(template), &key));
    return key;
}

static struct blob sign_octets(CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, struct blob message)
{
    struct blob ret = {.n = sizeof ret.p};
    assert_ok(p11->C_SignInit(fx.session, mechanism, key));
    for (CK_ULONG i = 0; i < message.n; i++)
        assert_ok(p11->C_SignUpdate(fx.session, &message.p[i], 1));
    assert_ok(p11->C_SignFinal(fx.session, ret.p, &ret.n));
    return ret;
}

static CK_RV verify_octets(CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, struct blob message,
                           struct blob signature)
{
    assert_ok(p11->C_VerifyInit(fx.session, mechanism, key));
    for (CK_ULONG i = 0; i < message.n; i++)
        assert_ok(p11->C_VerifyUpdate(fx.session, &message.p[i], 1));
    return p11->C_VerifyFinal(fx.session, signature.p, signature.n);
}

/* Sealed and in memory, in one part and in parts, under both forms of the public key. */
static void vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rfc_8032); i++)
        for (int variant = 0; variant < 2; variant++) {
            struct blob message = unhex(rfc_8032[i].message), context = unhex(rfc_8032[i].context);
            struct blob want = unhex(rfc_8032[i].signature), point = unhex(rfc_8032[i].public);
            CK_EDDSA_PARAMS p = {rfc_8032[i].prehash, context.n, context.p};
            CK_MECHANISM form = {CKM_EDDSA, &p, sizeof p}, none = {CKM_EDDSA, NULL, 0};
            CK_OBJECT_HANDLE private = private_key(unhex(rfc_8032[i].seed), variant);
            CK_OBJECT_HANDLE public = public_key(variant ? octet_string(point) : point);
            assert_protection(private, variant ? "sealed" : "session");
            struct blob signature = sign(fx.session, &form, private, message.p, message.n);
            assert_blob(signature, want.p, want.n);
            signature = sign_octets(&form, private, message);
            assert_blob(signature, want.p, want.n);
            assert_ok(verify(fx.session, &form, public, message.p, message.n, want));
            assert_ok(verify_octets(&form, public, message, want));
            assert_rv(rfc_8032[i].plain ? CKR_OK : CKR_SIGNATURE_INVALID,
                      verify(fx.session, &none, public, message.p, message.n, want));
            want.p[113] ^= 0x80;
            assert_rv(CKR_SIGNATURE_INVALID,
                      verify(fx.session, &form, public, message.p, message.n, want));
            want.n = 64;
            assert_rv(CKR_SIGNATURE_LEN_RANGE,
                      verify(fx.session, &form, public, message.p, message.n, want));
            assert_ok(p11->C_DestroyObject(fx.session, private));
            assert_ok(p11->C_DestroyObject(fx.session, public));
        }
}

/* RFC 8032, 5.2: a context of 255 bytes is the longest. */
static void contexts(void **state)
{
    (void)state;
    static CK_BYTE bytes[256];
    struct key_pair keys = make_pair(CKM_EC_EDWARDS_KEY_PAIR_GEN, edwards_name, 12);
    CK_EDDSA_PARAMS p = {false, 255, bytes};
    struct blob signature = sign(fx.session, MECHANISM_WITH(CKM_EDDSA, p), keys.private, "text", 4);
    assert_ok(verify(fx.session, MECHANISM_WITH(CKM_EDDSA, p), keys.public, "text", 4, signature));
    p.ulContextDataLen = 254;
    assert_rv(CKR_SIGNATURE_INVALID,
              verify(fx.session, MECHANISM_WITH(CKM_EDDSA, p), keys.public, "text", 4, signature));
    p.ulContextDataLen = 256;
    assert_rv(CKR_MECHANISM_PARAM_INVALID,
              p11->C_SignInit(fx.session, MECHANISM_WITH(CKM_EDDSA, p), keys.private));
}

#define USER_TEST(f) cmocka_unit_test_setup_teardown(f, test_user, test_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        USER_TEST(curves_by_name), USER_TEST(names_of_the_other_kind),
        USER_TEST(sizes),          USER_TEST(vectors),
        USER_TEST(contexts),
    };
    return cmocka_run_group_tests(tests, group_token, group_end);
}
