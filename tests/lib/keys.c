#include "keys.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/objects.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

static struct key_pair generate(CK_SESSION_HANDLE session, CK_MECHANISM_TYPE type,
                                CK_ATTRIBUTE parameters, const char *label, bool token, bool rsa)
{
    CK_BYTE exponent[] = {1, 0, 1};
    CK_ATTRIBUTE public[] = {
        ATTR_BOOL(CKA_TOKEN, token),
        ATTR_STR(CKA_LABEL, label),
        ATTR_STR(CKA_ID, label),
        ATTR_BOOL(CKA_VERIFY, true),
        parameters,
        ATTR_BOOL(CKA_ENCRYPT, rsa),
        ATTR_MEM(CKA_PUBLIC_EXPONENT, exponent, sizeof exponent),
    };
    CK_ATTRIBUTE private[] = {
        ATTR_BOOL(CKA_TOKEN, token),  ATTR_STR(CKA_LABEL, label),     ATTR_STR(CKA_ID, label),
        ATTR_BOOL(CKA_PRIVATE, true), ATTR_BOOL(CKA_SENSITIVE, true), ATTR_BOOL(CKA_SIGN, true),
        ATTR_BOOL(CKA_DECRYPT, rsa),  ATTR_BOOL(CKA_DERIVE, !rsa),
    };
    struct key_pair pair = {CK_INVALID_HANDLE, CK_INVALID_HANDLE};
    assert_ok(p11->C_GenerateKeyPair(session, MECHANISM(type), public,
                                     rsa ? COUNT(public) : COUNT(public) - 2, private,
                                     COUNT(private), &pair.public, &pair.private));
    return pair;
}

struct key_pair generate_rsa(CK_SESSION_HANDLE session, CK_ULONG bits, const char *label,
                             bool token)
{
    CK_ATTRIBUTE size = ATTR_MEM(CKA_MODULUS_BITS, &bits, sizeof bits);
    return generate(session, CKM_RSA_PKCS_KEY_PAIR_GEN, size, label, token, true);
}

struct blob ec_params(int nid)
{
    struct blob der = {0};
    CK_BYTE *end = der.p;
    der.n = (CK_ULONG)i2d_ASN1_OBJECT(OBJ_nid2obj(nid), &end);
    return der;
}

struct key_pair generate_ec(CK_SESSION_HANDLE session, int nid, const char *label, bool token)
{
    struct blob der = ec_params(nid);
    CK_ATTRIBUTE curve = ATTR_MEM(CKA_EC_PARAMS, der.p, der.n);
    return generate(session, CKM_EC_KEY_PAIR_GEN, curve, label, token, false);
}

int group_keys(void **state)
{
    group_token(state);
    test_user(state);
    generate_rsa(fx.session, 2048, "rsa2048", true);
    generate_ec(fx.session, NID_X9_62_prime256v1, "p256", true);
    return test_end(state);
}

struct key_pair keys_of(CK_SESSION_HANDLE session, const char *label)
{
    struct key_pair pair = {find_object(session, CKO_PUBLIC_KEY, label),
                            find_object(session, CKO_PRIVATE_KEY, label)};
    assert_true(pair.public != CK_INVALID_HANDLE && pair.private != CK_INVALID_HANDLE);
    return pair;
}

struct blob get_attribute(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
                          CK_ATTRIBUTE_TYPE type)
{
    struct blob value;
    CK_ATTRIBUTE attribute = {type, value.p, sizeof value.p};
    assert_ok(p11->C_GetAttributeValue(session, object, &attribute, 1));
    value.n = attribute.ulValueLen;
    return value;
}

CK_ULONG get_ulong(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type)
{
    CK_ULONG value = 0;
    CK_ATTRIBUTE attribute = {type, &value, sizeof value};
    assert_ok(p11->C_GetAttributeValue(session, object, &attribute, 1));
    assert_int_equal(attribute.ulValueLen, sizeof value);
    return value;
}

bool get_bool(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type)
{
    CK_BBOOL value = 2;
    CK_ATTRIBUTE attribute = {type, &value, sizeof value};
    assert_ok(p11->C_GetAttributeValue(session, object, &attribute, 1));
    assert_int_equal(attribute.ulValueLen, sizeof value);
    assert_true(value == CK_TRUE || value == CK_FALSE);
    return value == CK_TRUE;
}

void assert_blob(struct blob blob, const void *p, size_t n)
{
    assert_int_equal(blob.n, n);
    assert_memory_equal(blob.p, p, n);
}

static void push_rsa(OSSL_PARAM_BLD *build, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
                     BIGNUM **n, BIGNUM **e)
{
    struct blob modulus = get_attribute(session, object, CKA_MODULUS);
    struct blob exponent = get_attribute(session, object, CKA_PUBLIC_EXPONENT);
    *n = BN_bin2bn(modulus.p, (int)modulus.n, NULL);
    *e = BN_bin2bn(exponent.p, (int)exponent.n, NULL);
    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, *n);
    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, *e);
}

static void push_ec(OSSL_PARAM_BLD *build, struct blob *curve, struct blob *point)
{
    const CK_BYTE *der = curve->p;
    ASN1_OBJECT *oid = d2i_ASN1_OBJECT(NULL, &der, (long)curve->n);
    assert_non_null(oid);
    OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, OBJ_nid2sn(OBJ_obj2nid(oid)),
                                    0);
    ASN1_OBJECT_free(oid);
    /* CKA_EC_POINT is the DER OCTET STRING around the point (PKCS#11 3.0 section 2.3.3). */
    der = point->p;
    ASN1_OCTET_STRING *octets = d2i_ASN1_OCTET_STRING(NULL, &der, (long)point->n);
    assert_non_null(octets);
    memmove(point->p, ASN1_STRING_get0_data(octets), (size_t)ASN1_STRING_length(octets));
    point->n = (CK_ULONG)ASN1_STRING_length(octets);
    ASN1_OCTET_STRING_free(octets);
    OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point->p, point->n);
}

/* Edwards and Montgomery keys: the bytes behind the OCTET STRING's header. */
static EVP_PKEY *raw_key(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object)
{
    static const struct {
        int nid;
        size_t n;
    } curves[] = {{NID_ED25519, 32}, {NID_X25519, 32}, {NID_ED448, 57}, {NID_X448, 56}};
    struct blob params = get_attribute(session, object, CKA_EC_PARAMS);
    struct blob point = get_attribute(session, object, CKA_EC_POINT);
    EVP_PKEY *key = NULL;
    for (size_t i = 0; i < COUNT(curves); i++) {
        struct blob oid = ec_params(curves[i].nid);
        if (params.n == oid.n && memcmp(params.p, oid.p, oid.n) == 0) {
            assert_int_equal(point.n, 2 + curves[i].n);
            key = EVP_PKEY_new_raw_public_key(curves[i].nid, NULL, point.p + 2, curves[i].n);
        }
    }
    assert_non_null(key);
    return key;
}

EVP_PKEY *openssl_key(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object)
{
    CK_KEY_TYPE type = get_ulong(session, object, CKA_KEY_TYPE);
    bool rsa = type == CKK_RSA;
    if (type == CKK_EC_EDWARDS || type == CKK_EC_MONTGOMERY)
        return raw_key(session, object);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    BIGNUM *n = NULL, *e = NULL;
    struct blob curve, point;
    if (rsa) {
        push_rsa(build, session, object, &n, &e);
    } else {
        curve = get_attribute(session, object, CKA_EC_PARAMS);
        point = get_attribute(session, object, CKA_EC_POINT);
        push_ec(build, &curve, &point);
    }
    EVP_PKEY *key = NULL;
    OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, rsa ? "RSA" : "EC", NULL);
    assert_int_equal(EVP_PKEY_fromdata_init(context), 1);
    assert_int_equal(EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, parameters), 1);
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(parameters);
    OSSL_PARAM_BLD_free(build);
    BN_free(n);
    BN_free(e);
    return key;
}

struct blob ecdsa_der(struct blob raw)
{
    struct blob der = {0};
    CK_BYTE *end = der.p;
    int half = (int)raw.n / 2;
    ECDSA_SIG *signature = ECDSA_SIG_new();
    ECDSA_SIG_set0(signature, BN_bin2bn(raw.p, half, NULL), BN_bin2bn(raw.p + half, half, NULL));
    der.n = (CK_ULONG)i2d_ECDSA_SIG(signature, &end);
    ECDSA_SIG_free(signature);
    return der;
}

bool openssl_verify(EVP_PKEY *key, int pad, const char *digest, int salt, const void *tbs,
                    size_t tbs_n, struct blob signature)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
    assert_int_equal(EVP_PKEY_verify_init(context), 1);
    if (pad != 0)
        assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(context, pad), 1);
    if (digest != NULL)
        assert_int_equal(EVP_PKEY_CTX_set_signature_md(context, EVP_get_digestbyname(digest)), 1);
    if (pad == RSA_PKCS1_PSS_PADDING)
        assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(context, salt), 1);
    if (pad == 0)
        signature = ecdsa_der(signature);
    int result = EVP_PKEY_verify(context, signature.p, signature.n, tbs, tbs_n);
    EVP_PKEY_CTX_free(context);
    return result == 1;
}

struct blob openssl_digest(const char *name, const void *p, size_t n)
{
    struct blob digest = {0};
    unsigned length = 0;
    assert_int_equal(EVP_Digest(p, n, digest.p, &length, EVP_get_digestbyname(name), NULL), 1);
    digest.n = length;
    return digest;
}

struct blob sign(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key,
                 const void *data, CK_ULONG n)
{
    struct blob signature = {.n = sizeof signature.p};
    assert_ok(p11->C_SignInit(session, mechanism, key));
    assert_ok(p11->C_Sign(session, (CK_BYTE_PTR)data, n, signature.p, &signature.n));
    return signature;
}

CK_RV verify(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key,
             const void *data, CK_ULONG n, struct blob signature)
{
    CK_RV rv = p11->C_VerifyInit(session, mechanism, key);
    return rv != CKR_OK ? rv
                        : p11->C_Verify(session, (CK_BYTE_PTR)data, n, signature.p, signature.n);
}
