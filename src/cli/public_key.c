#include "public_key.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/objects.h>
#include <openssl/param_build.h>
#include <openssl/x509.h>
#include <string.h>

static void free_builder(OSSL_PARAM_BLD **b)
{
    OSSL_PARAM_BLD_free(*b);
}

static void free_number(BIGNUM **n)
{
    BN_free(*n);
}

static CK_RV build(const char *type, OSSL_PARAM_BLD *builder, EVP_PKEY **ret)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(builder);
    if (!context || !parameters || EVP_PKEY_fromdata_init(context) <= 0 ||
        EVP_PKEY_fromdata(context, ret, EVP_PKEY_PUBLIC_KEY, parameters) <= 0)
        *ret = NULL;
    OSSL_PARAM_free(parameters);
    EVP_PKEY_CTX_free(context);
    return CKR_OK;
}

static CK_RV read_rsa(struct cli *cli, CK_OBJECT_HANDLE object, EVP_PKEY **ret)
{
    CLEANUP(buf_free) struct buf n = {0}, e = {0};
    CLEANUP(free_builder) OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    TRY(object_attribute(cli, object, CKA_MODULUS, &n));
    TRY(object_attribute(cli, object, CKA_PUBLIC_EXPONENT, &e));
    CLEANUP(free_number) BIGNUM *modulus = BN_bin2bn(n.p, (int)n.n, NULL);
    CLEANUP(free_number) BIGNUM *exponent = BN_bin2bn(e.p, (int)e.n, NULL);
    if (!n.n || !e.n)
        return CKR_OK;
    if (!builder || !modulus || !exponent ||
        !OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, modulus) ||
        !OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, exponent))
        return CKR_HOST_MEMORY;
    return build("RSA", builder, ret);
}

static CK_RV read_ec(struct cli *cli, CK_OBJECT_HANDLE object, EVP_PKEY **ret)
{
    CLEANUP(buf_free) struct buf curve = {0}, point = {0};
    CLEANUP(free_builder) OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    TRY(object_attribute(cli, object, CKA_EC_PARAMS, &curve));
    TRY(object_attribute(cli, object, CKA_EC_POINT, &point));
    const unsigned char *at = curve.p, *point_at = point.p;
    ASN1_OBJECT *oid = d2i_ASN1_OBJECT(NULL, &at, (long)curve.n);
    /* PKCS#11 2.40 section 2.3.3: the point as a DER OCTET STRING */
    ASN1_OCTET_STRING *octets = d2i_ASN1_OCTET_STRING(NULL, &point_at, (long)point.n);
    CK_RV rv = CKR_OK;
    if (builder && oid && octets &&
        OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME,
                                        OBJ_nid2sn(OBJ_obj2nid(oid)), 0) &&
        OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY,
                                         ASN1_STRING_get0_data(octets),
                                         (size_t)ASN1_STRING_length(octets)))
        rv = build("EC", builder, ret);
    ASN1_OBJECT_free(oid);
    ASN1_OCTET_STRING_free(octets);
    return rv;
}

CK_RV public_key_read(struct cli *cli, CK_OBJECT_HANDLE object, EVP_PKEY **ret)
{
    CK_KEY_TYPE type = object_ulong(cli, object, CKA_KEY_TYPE);
    *ret = NULL;
    if (type == CKK_RSA)
        return read_rsa(cli, object, ret);
    return type == CKK_EC ? read_ec(cli, object, ret) : CKR_OK;
}

static CK_RV from_same_id(struct cli *cli, const struct object *key, EVP_PKEY **ret)
{
    CLEANUP(handles_free) struct handles found = {0};
    CK_OBJECT_CLASS cls = CKO_PUBLIC_KEY;
    CK_ATTRIBUTE wanted[] = {{CKA_CLASS, &cls, sizeof(cls)}, {CKA_ID, key->id.p, key->id.n}};
    if (!key->id.n)
        return CKR_OK;
    TRY(objects_find(cli, wanted, 2, &found));
    return found.n == 1 ? public_key_read(cli, found.h[0], ret) : CKR_OK;
}

CK_RV public_key_of(struct cli *cli, const struct key_pair *pair, EVP_PKEY **ret)
{
    *ret = NULL;
    if (pair->public.handle)
        TRY(public_key_read(cli, pair->public.handle, ret));
    if (!*ret && pair->private.handle)
        TRY(public_key_read(cli, pair->private.handle, ret));
    if (!*ret)
        TRY(from_same_id(cli, key_half(pair), ret));
    return *ret ? CKR_OK
                : fail(EXIT_NOT_FOUND, NULL, "the key '%s' has no public key on the token",
                       (const char *)key_half(pair)->label.p);
}
