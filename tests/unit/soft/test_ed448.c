/* Ed448 and Ed448ph. */
#include "private_test.h"

#include <openssl/bn.h>

enum { SIZE = 57 };

/* RFC 8032, 7.4 (blank to 256 octets) and 7.5. */
static const struct {
    const char *seed, *public, *message, *signature;
    bool prehash;
    const char *context;
} vectors[] = {
    {"6c82a562cb808d10d632be89c8513ebf6c929f34ddfa8c9f63c9960ef6e348a3"
     "528c8a3fcc2f044e39a3fc5b94492f8f032e7549a20098f95b",
     "5fd7449b59b461fd2ce787ec616ad46a1da1342485a70e1f8a0ea75d80e96778"
     "edf124769b46c7061bd6783df1e50f6cd1fa1abeafe8256180",
     "",
     "533a37f6bbe457251f023c0d88f976ae2dfb504a843e34d2074fd823d41a591f"
     "2b233f034f628281f2fd7a22ddd47d7828c59bd0a21bfd3980ff0d2028d4b18a"
     "9df63e006c5d1c2d345b925d8dc00b4104852db99ac5c7cdda8530a113a0f4db"
     "b61149f05a7363268c71d95808ff2e652600",
     false, ""},
    {"c4eab05d357007c632f3dbb48489924d552b08fe0c353a0d4a1f00acda2c463a"
     "fbea67c5e8d2877c5e3bc397a659949ef8021e954e0a12274e",
     "43ba28f430cdff456ae531545f7ecd0ac834a55d9358c0372bfa0c6c6798c086"
     "6aea01eb00742802b8438ea4cb82169c235160627b4c3a9480",
     "03",
     "26b8f91727bd62897af15e41eb43c377efb9c610d48f2335cb0bd0087810f435"
     "2541b143c4b981b7e18f62de8ccdf633fc1bf037ab7cd779805e0dbcc0aae1cb"
     "cee1afb2e027df36bc04dcecbf154336c19f0af7e0a6472905e799f1953d2a0f"
     "f3348ab21aa4adafd1d234441cf807c03a00",
     false, ""},
    {"c4eab05d357007c632f3dbb48489924d552b08fe0c353a0d4a1f00acda2c463a"
     "fbea67c5e8d2877c5e3bc397a659949ef8021e954e0a12274e",
     "43ba28f430cdff456ae531545f7ecd0ac834a55d9358c0372bfa0c6c6798c086"
     "6aea01eb00742802b8438ea4cb82169c235160627b4c3a9480",
     "03",
     "d4f8f6131770dd46f40867d6fd5d5055de43541f8c5e35abbcd001b32a89f7d2"
     "151f7647f11d8ca2ae279fb842d607217fce6e042f6815ea000c85741de5c8da"
     "1144a6a1aba7f96de42505d7a7298524fda538fccbbb754f578c1cad10d54d0d"
     "5428407e85dcbc98a49155c13764e66c3c00",
     false, "666f6f"},
    {"cd23d24f714274e744343237b93290f511f6425f98e64459ff203e8985083ffd"
     "f60500553abc0e05cd02184bdb89c4ccd67e187951267eb328",
     "dcea9e78f35a1bf3499a831b10b86c90aac01cd84b67a0109b55a36e9328b1e3"
     "65fce161d71ce7131a543ea4cb5f7e9f1d8b00696447001400",
     "0c3e544074ec63b0265e0c",
     "1f0a8888ce25e8d458a21130879b840a9089d999aaba039eaf3e3afa090a09d3"
     "89dba82c4ff2ae8ac5cdfb7c55e94d5d961a29fe0109941e00b8dbdeea6d3b05"
     "1068df7254c0cdc129cbe62db2dc957dbb47b51fd3f213fb8698f064774250a5"
     "028961c9bf8ffd973fe5d5c206492b140e00",
     false, ""},
    {"258cdd4ada32ed9c9ff54e63756ae582fb8fab2ac721f2c8e676a72768513d93"
     "9f63dddb55609133f29adf86ec9929dccb52c1c5fd2ff7e21b",
     "3ba16da0c6f2cc1f30187740756f5e798d6bc5fc015d7c63cc9510ee3fd44adc"
     "24d8e968b6e46e6f94d19b945361726bd75e149ef09817f580",
     "64a65f3cdedcdd66811e2915",
     "7eeeab7c4e50fb799b418ee5e3197ff6bf15d43a14c34389b59dd1a7b1b85b4a"
     "e90438aca634bea45e3a2695f1270f07fdcdf7c62b8efeaf00b45c2c96ba457e"
     "b1a8bf075a3db28e5c24f6b923ed4ad747c3c9e03c7079efb87cb110d3a99861"
     "e72003cbae6d6b8b827e4e6c143064ff3c00",
     false, ""},
    {"7ef4e84544236752fbb56b8f31a23a10e42814f5f55ca037cdcc11c64c9a3b29"
     "49c1bb60700314611732a6c2fea98eebc0266a11a93970100e",
     "b3da079b0aa493a5772029f0467baebee5a8112d9d3a22532361da294f7bb381"
     "5c5dc59e176b4d9f381ca0938e13c6c07b174be65dfa578e80",
     "64a65f3cdedcdd66811e2915e7",
     "6a12066f55331b6c22acd5d5bfc5d71228fbda80ae8dec26bdd306743c5027cb"
     "4890810c162c027468675ecf645a83176c0d7323a2ccde2d80efe5a1268e8aca"
     "1d6fbc194d3f77c44986eb4ab4177919ad8bec33eb47bbb5fc6e28196fd1caf5"
     "6b4e7e0ba5519234d047155ac727a1053100",
     false, ""},
    {"d65df341ad13e008567688baedda8e9dcdc17dc024974ea5b4227b6530e339bf"
     "f21f99e68ca6968f3cca6dfe0fb9f4fab4fa135d5542ea3f01",
     "df9705f58edbab802c7f8363cfe5560ab1c6132c20a9f1dd163483a26f8ac53a"
     "39d6808bf4a1dfbd261b099bb03b3fb50906cb28bd8a081f00",
     "bd0f6a3747cd561bdddf4640a332461a4a30a12a434cd0bf40d766d9c6d458e5"
     "512204a30c17d1f50b5079631f64eb3112182da3005835461113718d1a5ef944",
     "554bc2480860b49eab8532d2a533b7d578ef473eeb58c98bb2d0e1ce488a98b1"
     "8dfde9b9b90775e67f47d4a1c3482058efc9f40d2ca033a0801b63d45b3b722e"
     "f552bad3b4ccb667da350192b61c508cf7b6b5adadc2c8d9a446ef003fb05cba"
     "5f30e88e36ec2703b349ca229c2670833900",
     false, ""},
    {"2ec5fe3c17045abdb136a5e6a913e32ab75ae68b53d2fc149b77e504132d3756"
     "9b7e766ba74a19bd6162343a21c8590aa9cebca9014c636df5",
     "79756f014dcfe2079f5dd9e718be4171e2ef2486a08f25186f6bff43a9936b9b"
     "fe12402b08ae65798a3d81e22e9ec80e7690862ef3d4ed3a00",
     "15777532b0bdd0d1389f636c5f6b9ba734c90af572877e2d272dd078aa1e567c"
     "fa80e12928bb542330e8409f3174504107ecd5efac61ae7504dabe2a602ede89"
     "e5cca6257a7c77e27a702b3ae39fc769fc54f2395ae6a1178cab4738e543072f"
     "c1c177fe71e92e25bf03e4ecb72f47b64d0465aaea4c7fad372536c8ba516a60"
     "39c3c2a39f0e4d832be432dfa9a706a6e5c7e19f397964ca4258002f7c0541b5"
     "90316dbc5622b6b2a6fe7a4abffd96105eca76ea7b98816af0748c10df048ce0"
     "12d901015a51f189f3888145c03650aa23ce894c3bd889e030d565071c59f409"
     "a9981b51878fd6fc110624dcbcde0bf7a69ccce38fabdf86f3bef6044819de11",
     "c650ddbb0601c19ca11439e1640dd931f43c518ea5bea70d3dcde5f4191fe53f"
     "00cf966546b72bcc7d58be2b9badef28743954e3a44a23f880e8d4f1cfce2d7a"
     "61452d26da05896f0a50da66a239a8a188b6d825b3305ad77b73fbac0836ecc6"
     "0987fd08527c1a8e80d5823e65cafe2a3d00",
     false, ""},
    {"833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42"
     "ef7822e0d5104127dc05d6dbefde69e3ab2cec7c867c6e2c49",
     "259b71c19f83ef77a7abd26524cbdb3161b590a48f7d17de3ee0ba9c52beb743"
     "c09428a131d6b1b57303d90d8132c276d5ed3d5d01c0f53880",
     "616263",
     "822f6901f7480f3d5f562c592994d9693602875614483256505600bbc281ae38"
     "1f54d6bce2ea911574932f52a4e6cadd78769375ec3ffd1b801a0d9b3f4030cd"
     "433964b6457ea39476511214f97469b57dd32dbc560a9a94d00bff07620464a3"
     "ad203df7dc7ce360c3cd3696d9d9fab90f00",
     true, ""},
    {"833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42"
     "ef7822e0d5104127dc05d6dbefde69e3ab2cec7c867c6e2c49",
     "259b71c19f83ef77a7abd26524cbdb3161b590a48f7d17de3ee0ba9c52beb743"
     "c09428a131d6b1b57303d90d8132c276d5ed3d5d01c0f53880",
     "616263",
     "c32299d46ec8ff02b54540982814dce9a05812f81962b649d528095916a2aa48"
     "1065b1580423ef927ecf0af5888f90da0f6a9a85ad5dc3f280d91224ba9911a3"
     "653d00e484e2ce232521481c8658df304bb7745a73514cdb9bf3e15784ab7128"
     "4f8d0704a608c54a6b62d97beb511d132100",
     true, "666f6f"},
};
enum { VECTORS = sizeof(vectors) / sizeof(*vectors) };

static void rfc_8032(void **state)
{
    (void)state;
    for (size_t i = 0; i < VECTORS; i++) {
        CLEANUP(soft_private_free)
        struct soft_private *k = private_from_hex(CURVE_ED448, vectors[i].seed);
        CLEANUP(buf_free) struct buf point = {0};
        struct hex message = unhex(vectors[i].message), context = unhex(vectors[i].context);
        struct hex expected = unhex(vectors[i].public);
        struct soft_eddsa form = {vectors[i].prehash, HEX_BYTES(context)};
        uint8_t sig[2 * SIZE];
        assert_ok(soft_key_point(soft_private_public(k), &point));
        assert_true(bytes_equal(buf_bytes(&point), BYTES(expected.p, SIZE)));
        assert_ok(soft_private_eddsa(k, &form, HEX_BYTES(message), sig));
        assert_hex(sig, vectors[i].signature);
        const struct soft_key *public = soft_private_public(k);
        assert_ok(soft_eddsa_verify(public, &form, HEX_BYTES(message), BYTES_OF(sig)));
        /* under another form it is no signature; none is the plain one */
        struct soft_eddsa others[] = {{!form.prehash, form.context},
                                      {form.prehash, BYTES("other", 5)}};
        assert_int_equal(soft_eddsa_verify(public, &others[0], HEX_BYTES(message), BYTES_OF(sig)),
                         CKR_SIGNATURE_INVALID);
        assert_int_equal(soft_eddsa_verify(public, &others[1], HEX_BYTES(message), BYTES_OF(sig)),
                         CKR_SIGNATURE_INVALID);
        assert_int_equal(soft_eddsa_verify(public, NULL, HEX_BYTES(message), BYTES_OF(sig)),
                         form.prehash || context.n ? CKR_SIGNATURE_INVALID : CKR_OK);
    }
}

/* Both ways: its signatures are ours, and it takes ours for good. */
static void as_openssl(void **state)
{
    (void)state;
    static uint8_t message[1000];
    fill(message, sizeof(message), 5);
    for (size_t i = 0; i < 250; i++) {
        CLEANUP(soft_private_free) struct soft_private *k = NULL;
        assert_ok(soft_private_generate(CURVE_ED448, &k));
        EVP_PKEY *evp = evp_private(k);
        assert_same_public(k, evp);
        uint8_t ours[2 * SIZE], theirs[2 * SIZE];
        size_t n = sizeof(theirs);
        struct bytes m = BYTES(message, 4 * i);
        EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        assert_true(EVP_DigestSignInit(ctx, NULL, NULL, NULL, evp));
        assert_true(EVP_DigestSign(ctx, theirs, &n, m.p, m.n));
        assert_int_equal(n, sizeof(theirs));
        assert_ok(soft_private_eddsa(k, NULL, m, ours));
        assert_memory_equal(ours, theirs, n);
        assert_int_equal(EVP_MD_CTX_reset(ctx), 1);
        assert_true(EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, evp));
        assert_int_equal(EVP_DigestVerify(ctx, ours, n, m.p, m.n), 1);
        EVP_MD_CTX_free(ctx);
        assert_ok(soft_eddsa_verify(soft_private_public(k), NULL, m, BYTES_OF(theirs)));
        EVP_PKEY_free(evp);
    }
}

static void refuses_every_change(void **state)
{
    (void)state;
    CLEANUP(soft_private_free)
    struct soft_private *k = private_from_hex(CURVE_ED448, vectors[0].seed);
    const struct soft_key *public = soft_private_public(k);
    uint8_t sig[2 * SIZE + 1] = {0};
    struct bytes m = BYTES("message", 7);
    assert_ok(soft_private_eddsa(k, NULL, m, sig));
    for (size_t bit = 0; bit < 2 * 8 * SIZE; bit++) {
        sig[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(soft_eddsa_verify(public, NULL, m, BYTES(sig, 2 * SIZE)),
                         CKR_SIGNATURE_INVALID);
        sig[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    static const size_t lengths[] = {0, 1, 64, 112, 113, 115};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++)
        assert_int_equal(soft_eddsa_verify(public, NULL, m, BYTES(sig, lengths[i])),
                         CKR_SIGNATURE_LEN_RANGE);
    assert_int_equal(soft_eddsa_verify(public, NULL, BYTES("messagf", 7), BYTES(sig, 2 * SIZE)),
                     CKR_SIGNATURE_INVALID);
}

/* S + L, S + 2 L … give the same point, so they must be refused (RFC 8032, 8.4). */
static void refuses_other_forms_of_s(void **state)
{
    (void)state;
    CLEANUP(soft_private_free)
    struct soft_private *k = private_from_hex(CURVE_ED448, vectors[0].seed);
    struct hex sig = unhex(vectors[0].signature);
    BIGNUM *order = NULL, *s = BN_lebin2bn(sig.p + SIZE, SIZE, NULL);
    /* RFC 8032, 5.2 */
    assert_true(BN_hex2bn(&order, "3fffffffffffffffffffffffffffffffffffffffffffffffffffffff"
                                  "7cca23e9c44edb49aed63690216cc2728dc58f552378c292ab5844f3"));
    for (int i = 0; i < 6; i++) {
        assert_int_equal(soft_eddsa_verify(soft_private_public(k), NULL, NO_BYTES, HEX_BYTES(sig)),
                         i ? CKR_SIGNATURE_INVALID : CKR_OK);
        assert_true(BN_add(s, s, order));
        assert_int_equal(BN_bn2lebinpad(s, sig.p + SIZE, SIZE), SIZE);
    }
    BN_free(order);
    BN_free(s);
}

static void refuses_bad_points(void **state)
{
    (void)state;
    /* y with no x; y = p, y = p + 1 (not reduced); 1 and -1 with the sign of an x that is 0; a
     * point with a bit too many */
    static const char *const points[] = {
        "02000000000000000000000000000000000000000000000000000000"
        "0000000000000000000000000000000000000000000000000000000000",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
        "feffffffffffffffffffffffffffffffffffffffffffffffffffffff00",
        "00000000000000000000000000000000000000000000000000000000"
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffff00",
        "01000000000000000000000000000000000000000000000000000000"
        "0000000000000000000000000000000000000000000000000000000080",
        "feffffffffffffffffffffffffffffffffffffffffffffffffffffff"
        "feffffffffffffffffffffffffffffffffffffffffffffffffffffff80",
        "03000000000000000000000000000000000000000000000000000000"
        "0000000000000000000000000000000000000000000000000000000001",
    };
    struct soft_key *k = NULL;
    for (size_t i = 0; i < sizeof(points) / sizeof(*points); i++) {
        struct hex point = unhex(points[i]);
        assert_int_equal(soft_key_ec(CURVE_ED448, HEX_BYTES(point), &k),
                         CKR_ATTRIBUTE_VALUE_INVALID);
    }
    uint8_t good[SIZE + 1] = {3};
    assert_int_equal(soft_key_ec(CURVE_ED448, BYTES(good, SIZE - 1), &k),
                     CKR_ATTRIBUTE_VALUE_INVALID);
    assert_int_equal(soft_key_ec(CURVE_ED448, BYTES(good, SIZE + 1), &k),
                     CKR_ATTRIBUTE_VALUE_INVALID);
    assert_null(k);
    assert_ok(soft_key_ec(CURVE_ED448, BYTES(good, SIZE), &k));
    soft_key_free(&k);
}

static void other_keys_and_contexts(void **state)
{
    (void)state;
    static uint8_t context[256];
    uint8_t sig[2 * SIZE];
    CLEANUP(soft_private_free) struct soft_private *ed448 = NULL;
    CLEANUP(soft_private_free) struct soft_private *ed25519 = NULL;
    CLEANUP(soft_private_free) struct soft_private *x = NULL;
    CLEANUP(secret_free) struct secret z = {0};
    struct soft_eddsa form = {false, BYTES(context, 255)};
    assert_ok(soft_private_generate(CURVE_ED448, &ed448));
    assert_ok(soft_private_generate(CURVE_ED25519, &ed25519));
    assert_ok(soft_private_generate(CURVE_X448, &x));
    const struct soft_key *public = soft_private_public(ed448);
    assert_ok(soft_private_eddsa(ed448, &form, NO_BYTES, sig));
    assert_ok(soft_eddsa_verify(public, &form, NO_BYTES, BYTES_OF(sig)));
    form.context.n = 256;
    assert_int_equal(soft_private_eddsa(ed448, &form, NO_BYTES, sig), CKR_MECHANISM_PARAM_INVALID);
    assert_int_equal(soft_eddsa_verify(public, &form, NO_BYTES, BYTES_OF(sig)),
                     CKR_MECHANISM_PARAM_INVALID);
    assert_int_equal(soft_eddsa_verify(public, NULL, NO_BYTES, BYTES(sig, 64)),
                     CKR_SIGNATURE_LEN_RANGE);
    assert_int_equal(soft_eddsa_verify(soft_private_public(ed25519), NULL, NO_BYTES, BYTES_OF(sig)),
                     CKR_SIGNATURE_LEN_RANGE);
    assert_int_equal(soft_private_eddsa(x, NULL, NO_BYTES, sig), CKR_KEY_TYPE_INCONSISTENT);
    assert_int_equal(soft_eddsa_verify(soft_private_public(x), NULL, NO_BYTES, BYTES_OF(sig)),
                     CKR_KEY_TYPE_INCONSISTENT);
    assert_int_equal(soft_ecdsa_verify(public, BYTES("d", 1), BYTES_OF(sig)),
                     CKR_KEY_TYPE_INCONSISTENT);
    assert_int_equal(soft_private_ecdsa(ed448, BYTES("d", 1), sig), CKR_KEY_TYPE_INCONSISTENT);
    assert_int_equal(soft_private_ecdh(ed448, BYTES_OF(sig), &z), CKR_KEY_TYPE_INCONSISTENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc_8032),
        cmocka_unit_test(as_openssl),
        cmocka_unit_test(refuses_every_change),
        cmocka_unit_test(refuses_other_forms_of_s),
        cmocka_unit_test(refuses_bad_points),
        cmocka_unit_test(other_keys_and_contexts),
    };
    return run_soft_tests(tests);
}
