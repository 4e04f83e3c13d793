/* C_DeriveKey with CKM_ECDH1_DERIVE and CKM_ECDH1_COFACTOR_DERIVE: PKCS#11 3.0
 * sections 2.3.9, 2.3.10; the KDFs are those of ANSI X9.63. */
#include "keys.h"

#include <openssl/ec.h>

static const struct {
    int nid;
    const char *label, *group;
    CK_ULONG size;
} curves[] = {
    {NID_X9_62_prime256v1, "p256", "P-256", 32},
    {NID_secp384r1, "p384", "P-384", 48},
    {NID_secp521r1, "p521", "P-521", 66},
};

static int group_curves(void **state)
{
    group_token(state);
    test_user(state);
    for (size_t i = 0; i < COUNT(curves); i++)
        generate_ec(fx.session, curves[i].nid, curves[i].label, true);
    return test_end(state);
}

/* The other party: a key of libcrypto's, its encoded point, and the secret it computes. */
struct other {
    EVP_PKEY *key;
    struct blob point, secret;
};

static struct other make_other(size_t curve)
{
    struct other o = {.key = EVP_EC_gen(curves[curve].group)};
    EVP_PKEY *token = openssl_key(fx.session, keys_of(fx.session, curves[curve].label).public);
    size_t n = sizeof o.point.p;
    assert_int_equal(EVP_PKEY_get_octet_string_param(o.key, "pub", o.point.p, sizeof o.point.p, &n),
                     1);
    o.point.n = n;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(o.key, NULL);
    assert_int_equal(EVP_PKEY_derive_init(context), 1);
    assert_int_equal(EVP_PKEY_derive_set_peer(context, token), 1);
    n = sizeof o.secret.p;
    assert_int_equal(EVP_PKEY_derive(context, o.secret.p, &n), 1);
    o.secret.n = n;
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(token);
    return o;
}

static CK_RV derive(CK_MECHANISM_TYPE type, CK_ECDH1_DERIVE_PARAMS *parameters,
                    CK_OBJECT_HANDLE key, CK_ULONG length, CK_OBJECT_HANDLE *ret)
{
    CK_MECHANISM mechanism = {type, parameters, sizeof *parameters};
    CK_ATTRIBUTE template[] = {
        ATTR_ULONG(CKA_CLASS, CKO_SECRET_KEY), ATTR_ULONG(CKA_KEY_TYPE, CKK_GENERIC_SECRET),
        ATTR_BOOL(CKA_SENSITIVE, false),       ATTR_BOOL(CKA_EXTRACTABLE, true),
        ATTR_ULONG(CKA_VALUE_LEN, length),
    };
    return p11->C_DeriveKey(fx.session, &mechanism, key, template,
                            length == 0 ? COUNT(template) - 1 : COUNT(template), ret);
}

static void plain_secret(void **state)
{
    (void)state;
    static const CK_MECHANISM_TYPE types[] = {CKM_ECDH1_DERIVE, CKM_ECDH1_COFACTOR_DERIVE};
    for (size_t c = 0; c < COUNT(curves); c++) {
        struct other o = make_other(c);
        CK_OBJECT_HANDLE key = keys_of(fx.session, curves[c].label).private, derived;
        CK_ECDH1_DERIVE_PARAMS parameters = {CKD_NULL, 0, NULL, o.point.n, o.point.p};
        for (size_t t = 0; t < COUNT(types); t++) {
            assert_ok(derive(types[t], &parameters, key, 0, &derived));
            assert_blob(get_attribute(fx.session, derived, CKA_VALUE), o.secret.p, curves[c].size);
            /* Section 2.3.9: truncation takes the leading bytes away. */
            assert_ok(derive(types[t], &parameters, key, 16, &derived));
            assert_blob(get_attribute(fx.session, derived, CKA_VALUE), o.secret.p + o.secret.n - 16,
                        16);
        }
        EVP_PKEY_free(o.key);
    }
}

/* Section 2.3.9: the point may be bare or in its DER OCTET STRING, and implementations accept both.
 */
static void point_in_der(void **state)
{
    (void)state;
    struct other o = make_other(0);
    CK_OBJECT_HANDLE key = keys_of(fx.session, "p256").private, derived;
    memmove(o.point.p + 2, o.point.p, o.point.n);
    o.point.p[0] = 0x04;
    o.point.p[1] = (CK_BYTE)o.point.n;
    CK_ECDH1_DERIVE_PARAMS parameters = {CKD_NULL, 0, NULL, o.point.n + 2, o.point.p};
    assert_ok(derive(CKM_ECDH1_DERIVE, &parameters, key, 0, &derived));
    assert_blob(get_attribute(fx.session, derived, CKA_VALUE), o.secret.p, o.secret.n);
    EVP_PKEY_free(o.key);
}

/* X9.63: Hash(Z || counter || SharedInfo), counter from 1, 32 bits big-endian. */
static struct blob x963(const char *hash, struct blob z, const char *info, CK_ULONG length)
{
    struct blob out = {0}, input, digest;
    for (CK_BYTE counter = 1; out.n < length; counter++) {
        input = z;
        memcpy(input.p + input.n, (CK_BYTE[]){0, 0, 0, counter}, 4);
        memcpy(input.p + input.n + 4, info, strlen(info));
        digest = openssl_digest(hash, input.p, input.n + 4 + strlen(info));
        memcpy(out.p + out.n, digest.p, digest.n);
        out.n += digest.n;
    }
    out.n = length;
    return out;
}

static void with_kdf(void **state)
{
    (void)state;
    static const struct {
        CK_ULONG kdf;
        const char *hash;
    } kdfs[] = {{CKD_SHA1_KDF, "SHA1"},
                {CKD_SHA224_KDF, "SHA224"},
                {CKD_SHA256_KDF, "SHA256"},
                {CKD_SHA384_KDF, "SHA384"},
                {CKD_SHA512_KDF, "SHA512"}};
    static const char *const infos[] = {"", "shared information"};
    static const CK_ULONG lengths[] = {16, 32, 100};
    struct other o = make_other(0);
    CK_OBJECT_HANDLE key = keys_of(fx.session, "p256").private, derived;
    for (size_t k = 0; k < COUNT(kdfs); k++)
        for (size_t i = 0; i < COUNT(infos); i++)
            for (size_t l = 0; l < COUNT(lengths); l++) {
                CK_ECDH1_DERIVE_PARAMS parameters = {
                    kdfs[k].kdf, strlen(infos[i]),
                    strlen(infos[i]) == 0 ? NULL : (CK_BYTE_PTR)infos[i], o.point.n, o.point.p};
                struct blob want = x963(kdfs[k].hash, o.secret, infos[i], lengths[l]);
                assert_ok(derive(CKM_ECDH1_DERIVE, &parameters, key, lengths[l], &derived));
                assert_blob(get_attribute(fx.session, derived, CKA_VALUE), want.p, want.n);
            }
    EVP_PKEY_free(o.key);
}

static void bad_parameters(void **state)
{
    (void)state;
    struct other o = make_other(0);
    CK_OBJECT_HANDLE key = keys_of(fx.session, "p256").private, derived;
    CK_ECDH1_DERIVE_PARAMS unknown_kdf = {99, 0, NULL, o.point.n, o.point.p};
    CK_ECDH1_DERIVE_PARAMS no_point = {CKD_NULL, 0, NULL, 0, NULL};
    CK_ECDH1_DERIVE_PARAMS info_without_kdf = {CKD_NULL, 4, o.point.p, o.point.n, o.point.p};
    CK_ECDH1_DERIVE_PARAMS cut = {CKD_NULL, 0, NULL, o.point.n - 1, o.point.p};
    CK_ECDH1_DERIVE_PARAMS *rows[] = {&unknown_kdf, &no_point, &info_without_kdf, &cut};
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_rv(CKR_MECHANISM_PARAM_INVALID, derive(CKM_ECDH1_DERIVE, rows[i], key, 0, &derived));
    o.point.p[40] ^= 1; /* off the curve: an invalid-curve attack */
    CK_ECDH1_DERIVE_PARAMS off = {CKD_NULL, 0, NULL, o.point.n, o.point.p};
    assert_rv_either(CKR_MECHANISM_PARAM_INVALID, CKR_PUBLIC_KEY_INVALID,
                     derive(CKM_ECDH1_DERIVE, &off, key, 0, &derived));
    CK_MECHANISM none = {CKM_ECDH1_DERIVE, NULL, 0};
    assert_rv(CKR_MECHANISM_PARAM_INVALID,
              p11->C_DeriveKey(fx.session, &none, key, NULL, 0, &derived));
    EVP_PKEY_free(o.key);
}

/* Section 2.3.9: without a KDF no more than the secret's length can be had. */
static void too_long(void **state)
{
    (void)state;
    struct other o = make_other(0);
    CK_OBJECT_HANDLE key = keys_of(fx.session, "p256").private, derived;
    CK_ECDH1_DERIVE_PARAMS parameters = {CKD_NULL, 0, NULL, o.point.n, o.point.p};
    CK_RV rv = derive(CKM_ECDH1_DERIVE, &parameters, key, 33, &derived);
    assert_true(rv == CKR_TEMPLATE_INCONSISTENT || rv == CKR_KEY_SIZE_RANGE ||
                rv == CKR_ATTRIBUTE_VALUE_INVALID);
    EVP_PKEY_free(o.key);
}

/* Section 4.10: LOCAL is false for a derived key; a sensitive one does not show its value. */
static void derived_attributes(void **state)
{
    (void)state;
    struct other o = make_other(0);
    CK_OBJECT_HANDLE key = keys_of(fx.session, "p256").private, derived;
    CK_ECDH1_DERIVE_PARAMS parameters = {CKD_NULL, 0, NULL, o.point.n, o.point.p};
    assert_ok(derive(CKM_ECDH1_DERIVE, &parameters, key, 0, &derived));
    assert_false(get_bool(fx.session, derived, CKA_LOCAL));
    assert_false(get_bool(fx.session, derived, CKA_TOKEN));
    assert_int_equal(get_ulong(fx.session, derived, CKA_KEY_TYPE), CKK_GENERIC_SECRET);
    CK_ATTRIBUTE hidden[] = {ATTR_ULONG(CKA_CLASS, CKO_SECRET_KEY),
                             ATTR_ULONG(CKA_KEY_TYPE, CKK_GENERIC_SECRET),
                             ATTR_BOOL(CKA_SENSITIVE, true), ATTR_BOOL(CKA_EXTRACTABLE, false)};
    assert_ok(p11->C_DeriveKey(fx.session, MECHANISM_WITH(CKM_ECDH1_DERIVE, parameters), key,
                               hidden, COUNT(hidden), &derived));
    CK_BYTE value[66];
    CK_ATTRIBUTE attribute = {CKA_VALUE, value, sizeof value};
    assert_rv(CKR_ATTRIBUTE_SENSITIVE,
              p11->C_GetAttributeValue(fx.session, derived, &attribute, 1));
    assert_ok(p11->C_DestroyObject(fx.session, derived));
    EVP_PKEY_free(o.key);
}

/* Section 4.9: each use needs a login of its own, and C_DeriveKey has no place for one: no C_…Init
 * comes before it. */
static void always_authenticate(void **state)
{
    (void)state;
    struct other o = make_other(0);
    struct blob curve = ec_params(NID_X9_62_prime256v1);
    struct key_pair keys;
    CK_OBJECT_HANDLE derived;
    CK_ATTRIBUTE public[] = {ATTR_MEM(CKA_EC_PARAMS, curve.p, curve.n)};
    CK_ATTRIBUTE private[] = {ATTR_BOOL(CKA_ALWAYS_AUTHENTICATE, true), ATTR_BOOL(CKA_DERIVE, true),
                              ATTR_BOOL(CKA_PRIVATE, true)};
    CK_ECDH1_DERIVE_PARAMS parameters = {CKD_NULL, 0, NULL, o.point.n, o.point.p};
    assert_ok(p11->C_GenerateKeyPair(fx.session, MECHANISM(CKM_EC_KEY_PAIR_GEN), public,
                                     COUNT(public), private, COUNT(private), &keys.public,
                                     &keys.private));
    assert_rv(CKR_USER_NOT_LOGGED_IN,
              derive(CKM_ECDH1_DERIVE, &parameters, keys.private, 0, &derived));
    EVP_PKEY_free(o.key);
}

static CK_ULONG count_by_value(struct blob value)
{
    CK_ATTRIBUTE template[] = {ATTR_MEM(CKA_VALUE, value.p, value.n)};
    return count_objects(fx.session, template, COUNT(template));
}

/* A search tells a value as well as C_GetAttributeValue does: only where that one may. */
static void found_by_value(void **state)
{
    (void)state;
    struct other o = make_other(0);
    CK_OBJECT_HANDLE key = keys_of(fx.session, "p256").private, derived;
    CK_ECDH1_DERIVE_PARAMS parameters = {CKD_NULL, 0, NULL, o.point.n, o.point.p};
    for (int kind = 0; kind < 4; kind++) {
        CK_ATTRIBUTE template[] = {ATTR_BOOL(CKA_SENSITIVE, kind & 1),
                                   ATTR_BOOL(CKA_EXTRACTABLE, kind & 2)};
        assert_ok(p11->C_DeriveKey(fx.session, MECHANISM_WITH(CKM_ECDH1_DERIVE, parameters), key,
                                   template, COUNT(template), &derived));
        assert_int_equal(count_by_value(o.secret), kind == 2);
        assert_ok(p11->C_DestroyObject(fx.session, derived));
    }
    EVP_PKEY_free(o.key);
}

#define USER_TEST(f) cmocka_unit_test_setup_teardown(f, test_user, test_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        USER_TEST(plain_secret),        USER_TEST(point_in_der),   USER_TEST(with_kdf),
        USER_TEST(bad_parameters),      USER_TEST(too_long),       USER_TEST(derived_attributes),
        USER_TEST(always_authenticate), USER_TEST(found_by_value),
    };
    return cmocka_run_group_tests(tests, group_curves, group_end);
}
