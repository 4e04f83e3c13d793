/* C_GenerateKeyPair: PKCS#11 3.0 sections 5.18.2, 2.1.4 (RSA), 2.3.5 (EC); the attributes of what
 * it makes: sections 4.7 to 4.9. */
#include "keys.h"

#include <openssl/x509.h>

static void rsa_sizes(void **state)
{
    (void)state;
    static const CK_ULONG sizes[] = {1024, 2048, 3072, 4096}; /* the last in software */
    CK_MECHANISM_INFO info;
    assert_ok(p11->C_GetMechanismInfo(fx.slot, CKM_RSA_PKCS_KEY_PAIR_GEN, &info));
    assert_int_equal(info.ulMinKeySize, sizes[0]);
    assert_int_equal(info.ulMaxKeySize, sizes[COUNT(sizes) - 1]);
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct key_pair keys = generate_rsa(fx.session, sizes[i], "rsa", false);
        struct blob modulus = get_attribute(fx.session, keys.public, CKA_MODULUS);
        assert_int_equal(modulus.n, sizes[i] / 8);
        assert_true(modulus.p[0] & 0x80);
        assert_int_equal(get_ulong(fx.session, keys.public, CKA_MODULUS_BITS), sizes[i]);
        assert_blob(get_attribute(fx.session, keys.public, CKA_PUBLIC_EXPONENT), "\1\0\1", 3);
        /* Programs read the public values from the private key. */
        assert_blob(get_attribute(fx.session, keys.private, CKA_MODULUS), modulus.p, modulus.n);
        assert_blob(get_attribute(fx.session, keys.private, CKA_PUBLIC_EXPONENT), "\1\0\1", 3);
    }
}

static void ec_curves(void **state)
{
    (void)state;
    static const struct {
        int nid;
        CK_ULONG point_size;
    } curves[] = {{NID_secp224r1, 2 + 57},
                  {NID_X9_62_prime256v1, 2 + 65},
                  {NID_secp384r1, 2 + 97},
                  {NID_secp521r1, 3 + 133}};
    for (size_t i = 0; i < COUNT(curves); i++) {
        struct blob curve = ec_params(curves[i].nid);
        struct key_pair keys = generate_ec(fx.session, curves[i].nid, "ec", false);
        struct blob point = get_attribute(fx.session, keys.public, CKA_EC_POINT);
        assert_int_equal(point.n, curves[i].point_size);
        assert_int_equal(point.p[0], 0x04); /* OCTET STRING */
        assert_blob(get_attribute(fx.session, keys.public, CKA_EC_PARAMS), curve.p, curve.n);
        assert_blob(get_attribute(fx.session, keys.private, CKA_EC_PARAMS), curve.p, curve.n);
        assert_blob(get_attribute(fx.session, keys.private, CKA_EC_POINT), point.p, point.n);
        EVP_PKEY_free(openssl_key(fx.session, keys.public)); /* the point is on the curve */
    }
}

static void attributes_of_a_pair(void **state)
{
    (void)state;
    struct key_pair keys = generate_ec(fx.session, NID_X9_62_prime256v1, "attributes", true);
    static const struct {
        CK_ATTRIBUTE_TYPE type;
        bool public, private;
    } both[] = {{CKA_TOKEN, true, true},
                {CKA_LOCAL, true, true},
                {CKA_MODIFIABLE, true, true},
                {CKA_DESTROYABLE, true, true},
                {CKA_PRIVATE, false, true}};
    for (size_t i = 0; i < COUNT(both); i++) {
        assert_int_equal(get_bool(fx.session, keys.public, both[i].type), both[i].public);
        assert_int_equal(get_bool(fx.session, keys.private, both[i].type), both[i].private);
    }
    static const struct {
        CK_ATTRIBUTE_TYPE type;
        bool value;
    } private[] = {{CKA_SENSITIVE, true},
                   {CKA_EXTRACTABLE, false},
                   {CKA_ALWAYS_SENSITIVE, true},
                   {CKA_NEVER_EXTRACTABLE, true},
                   {CKA_SIGN, true},
                   {CKA_DERIVE, true},
                   {CKA_DECRYPT, false},
                   {CKA_ALWAYS_AUTHENTICATE, false}};
    for (size_t i = 0; i < COUNT(private); i++)
        assert_int_equal(get_bool(fx.session, keys.private, private[i].type), private[i].value);
    assert_int_equal(get_ulong(fx.session, keys.private, CKA_CLASS), CKO_PRIVATE_KEY);
    assert_int_equal(get_ulong(fx.session, keys.public, CKA_CLASS), CKO_PUBLIC_KEY);
    assert_int_equal(get_ulong(fx.session, keys.private, CKA_KEY_TYPE), CKK_EC);
    assert_int_equal(get_ulong(fx.session, keys.private, CKA_KEY_GEN_MECHANISM),
                     CKM_EC_KEY_PAIR_GEN);
    assert_blob(get_attribute(fx.session, keys.private, CKA_LABEL), "attributes", 10);
    assert_blob(get_attribute(fx.session, keys.private, CKA_ID), "attributes", 10);
    /* CKA_PUBLIC_KEY_INFO: DER of SubjectPublicKeyInfo, as libcrypto writes it. */
    EVP_PKEY *key = openssl_key(fx.session, keys.public);
    CK_BYTE info[256], *end = info;
    int n = i2d_PUBKEY(key, &end);
    assert_true(n > 0 && (size_t)n <= sizeof info);
    assert_blob(get_attribute(fx.session, keys.public, CKA_PUBLIC_KEY_INFO), info, (size_t)n);
    assert_blob(get_attribute(fx.session, keys.private, CKA_PUBLIC_KEY_INFO), info, (size_t)n);
    EVP_PKEY_free(key);
}

/* The private value exists in no attribute, whatever is asked. */
static void private_value_stays_inside(void **state)
{
    (void)state;
    CK_BYTE value[512];
    struct key_pair ec = generate_ec(fx.session, NID_X9_62_prime256v1, "ec", false);
    struct key_pair rsa = generate_rsa(fx.session, 1024, "rsa", false);
    CK_ATTRIBUTE attribute = {CKA_VALUE, value, sizeof value};
    assert_rv(CKR_ATTRIBUTE_SENSITIVE,
              p11->C_GetAttributeValue(fx.session, ec.private, &attribute, 1));
    assert_true(attribute.ulValueLen == CK_UNAVAILABLE_INFORMATION);
    static const CK_ATTRIBUTE_TYPE types[] = {CKA_PRIVATE_EXPONENT, CKA_PRIME_1,
                                              CKA_PRIME_2,          CKA_EXPONENT_1,
                                              CKA_EXPONENT_2,       CKA_COEFFICIENT};
    for (size_t i = 0; i < COUNT(types); i++) {
        attribute = (CK_ATTRIBUTE){types[i], value, sizeof value};
        assert_rv(CKR_ATTRIBUTE_SENSITIVE,
                  p11->C_GetAttributeValue(fx.session, rsa.private, &attribute, 1));
        assert_true(attribute.ulValueLen == CK_UNAVAILABLE_INFORMATION);
    }
}

static CK_RV try_pair(CK_MECHANISM_TYPE type, CK_ATTRIBUTE *public, CK_ULONG public_n,
                      CK_ATTRIBUTE *private, CK_ULONG private_n)
{
    struct key_pair keys;
    return p11->C_GenerateKeyPair(fx.session, MECHANISM(type), public, public_n, private, private_n,
                                  &keys.public, &keys.private);
}

static void refusals(void **state)
{
    (void)state;
    struct blob curve = ec_params(NID_X9_62_prime256v1);
    struct blob strange = ec_params(NID_brainpoolP512t1);
    CK_ATTRIBUTE good = ATTR_MEM(CKA_EC_PARAMS, curve.p, curve.n);
    CK_ATTRIBUTE unknown = ATTR_MEM(CKA_EC_PARAMS, strange.p, strange.n);
    CK_ATTRIBUTE garbage = ATTR_MEM(CKA_EC_PARAMS, "garbage", 7);
    CK_ATTRIBUTE bits = ATTR_ULONG(CKA_MODULUS_BITS, 777),
                 big = ATTR_ULONG(CKA_MODULUS_BITS, 65536);
    assert_rv(CKR_TEMPLATE_INCOMPLETE, try_pair(CKM_EC_KEY_PAIR_GEN, NULL, 0, NULL, 0));
    assert_rv(CKR_TEMPLATE_INCOMPLETE, try_pair(CKM_RSA_PKCS_KEY_PAIR_GEN, NULL, 0, NULL, 0));
    assert_rv_either(CKR_CURVE_NOT_SUPPORTED, CKR_DOMAIN_PARAMS_INVALID,
                     try_pair(CKM_EC_KEY_PAIR_GEN, &unknown, 1, NULL, 0));
    CK_RV rv = try_pair(CKM_EC_KEY_PAIR_GEN, &garbage, 1, NULL, 0);
    assert_true(rv == CKR_CURVE_NOT_SUPPORTED || rv == CKR_DOMAIN_PARAMS_INVALID ||
                rv == CKR_ATTRIBUTE_VALUE_INVALID);
    assert_rv_either(CKR_KEY_SIZE_RANGE, CKR_ATTRIBUTE_VALUE_INVALID,
                     try_pair(CKM_RSA_PKCS_KEY_PAIR_GEN, &bits, 1, NULL, 0));
    assert_rv_either(CKR_KEY_SIZE_RANGE, CKR_ATTRIBUTE_VALUE_INVALID,
                     try_pair(CKM_RSA_PKCS_KEY_PAIR_GEN, &big, 1, NULL, 0));
    assert_rv(CKR_MECHANISM_INVALID, try_pair(CKM_ECDSA, &good, 1, NULL, 0));

    CK_ATTRIBUTE wrong_class = ATTR_ULONG(CKA_CLASS, CKO_PUBLIC_KEY);
    CK_ATTRIBUTE wrong_type = ATTR_ULONG(CKA_KEY_TYPE, CKK_RSA);
    CK_ATTRIBUTE local = ATTR_BOOL(CKA_LOCAL, true);
    CK_ATTRIBUTE own_value = ATTR_MEM(CKA_VALUE, "12345678901234567890123456789012", 32);
    assert_rv(CKR_TEMPLATE_INCONSISTENT, try_pair(CKM_EC_KEY_PAIR_GEN, &good, 1, &wrong_class, 1));
    assert_rv(CKR_TEMPLATE_INCONSISTENT, try_pair(CKM_EC_KEY_PAIR_GEN, &good, 1, &wrong_type, 1));
    rv = try_pair(CKM_EC_KEY_PAIR_GEN, &good, 1, &local, 1);
    assert_true(rv == CKR_ATTRIBUTE_READ_ONLY || rv == CKR_TEMPLATE_INCONSISTENT);
    rv = try_pair(CKM_EC_KEY_PAIR_GEN, &good, 1, &own_value, 1);
    assert_true(rv == CKR_ATTRIBUTE_READ_ONLY || rv == CKR_TEMPLATE_INCONSISTENT);
}

static void rights(void **state)
{
    (void)state;
    struct blob curve = ec_params(NID_X9_62_prime256v1);
    CK_ATTRIBUTE public[] = {ATTR_MEM(CKA_EC_PARAMS, curve.p, curve.n), ATTR_BOOL(CKA_TOKEN, true)};
    CK_ATTRIBUTE private[] = {ATTR_BOOL(CKA_TOKEN, true), ATTR_BOOL(CKA_PRIVATE, true)};
    CK_SESSION_HANDLE rw = fx.session;
    fx.session = open_session(fx.slot, 0);
    assert_rv(CKR_SESSION_READ_ONLY, try_pair(CKM_EC_KEY_PAIR_GEN, public, 2, private, 2));
    assert_ok(try_pair(CKM_EC_KEY_PAIR_GEN, public, 1, private + 1, 1)); /* session objects may */
    assert_ok(p11->C_Logout(rw));
    fx.session = rw;
    assert_rv(CKR_USER_NOT_LOGGED_IN, try_pair(CKM_EC_KEY_PAIR_GEN, public, 2, private, 2));
}

/* Usage flags are kept: a key signs only when it may. */
static void usage_is_enforced(void **state)
{
    (void)state;
    struct blob curve = ec_params(NID_X9_62_prime256v1);
    CK_MECHANISM_TYPE allowed[] = {CKM_ECDSA_SHA256};
    CK_ATTRIBUTE public[] = {ATTR_MEM(CKA_EC_PARAMS, curve.p, curve.n),
                             ATTR_BOOL(CKA_VERIFY, false)};
    CK_ATTRIBUTE derive_only[] = {ATTR_BOOL(CKA_SIGN, false), ATTR_BOOL(CKA_DERIVE, true)};
    CK_ATTRIBUTE limited[] = {ATTR_BOOL(CKA_SIGN, true),
                              ATTR_MEM(CKA_ALLOWED_MECHANISMS, allowed, sizeof allowed)};
    struct key_pair keys;
    CK_MECHANISM *generate = MECHANISM(CKM_EC_KEY_PAIR_GEN);
    assert_ok(p11->C_GenerateKeyPair(fx.session, generate, public, 2, derive_only, 2, &keys.public,
                                     &keys.private));
    assert_rv(CKR_KEY_FUNCTION_NOT_PERMITTED,
              p11->C_SignInit(fx.session, MECHANISM(CKM_ECDSA), keys.private));
    assert_rv(CKR_KEY_FUNCTION_NOT_PERMITTED,
              p11->C_VerifyInit(fx.session, MECHANISM(CKM_ECDSA), keys.public));
    assert_ok(p11->C_GenerateKeyPair(fx.session, generate, public, 1, limited, 2, &keys.public,
                                     &keys.private));
    assert_blob(get_attribute(fx.session, keys.private, CKA_ALLOWED_MECHANISMS), allowed,
                sizeof allowed);
    assert_rv(CKR_MECHANISM_INVALID,
              p11->C_SignInit(fx.session, MECHANISM(CKM_ECDSA), keys.private));
    assert_ok(p11->C_SignInit(fx.session, MECHANISM(CKM_ECDSA_SHA256), keys.private));
}

static void token_keys_outlive_the_process(void **state)
{
    (void)state;
    generate_ec(fx.session, NID_secp384r1, "permanent", true);
    generate_ec(fx.session, NID_secp384r1, "fleeting", false);
    assert_ok(p11->C_Finalize(NULL));
    test_user(state);
    struct key_pair keys = keys_of(fx.session, "permanent");
    CK_BYTE digest[48] = {1};
    struct blob signature =
        sign(fx.session, MECHANISM(CKM_ECDSA), keys.private, digest, sizeof digest);
    assert_ok(
        verify(fx.session, MECHANISM(CKM_ECDSA), keys.public, digest, sizeof digest, signature));
    assert_int_equal(find_object(fx.session, CKO_PRIVATE_KEY, "fleeting"), CK_INVALID_HANDLE);
}

#define USER_TEST(f) cmocka_unit_test_setup_teardown(f, test_user, test_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        USER_TEST(rsa_sizes),
        USER_TEST(ec_curves),
        USER_TEST(attributes_of_a_pair),
        USER_TEST(private_value_stays_inside),
        USER_TEST(refusals),
        USER_TEST(rights),
        USER_TEST(usage_is_enforced),
        USER_TEST(token_keys_outlive_the_process),
    };
    return cmocka_run_group_tests(tests, group_token, group_end);
}
