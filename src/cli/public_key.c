#include "public_key.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/objects.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>
#include "template.h"

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

/* The forms there are: the OIDs of RFC 8410 and, in 3.0, older ones; the names of 3.0, 2.3.5. */
const struct raw_curve *public_key_raw_curve(struct bytes parameters)
{
    static const struct raw_curve ed25519 = {"Ed25519", EVP_PKEY_ED25519, 32},
                                  x25519 = {"X25519", EVP_PKEY_X25519, 32},
                                  ed448 = {"Ed448", EVP_PKEY_ED448, 57},
                                  x448 = {"X448", EVP_PKEY_X448, 56};
    static const struct {
        const char *der;
        size_t n;
        const struct raw_curve *curve;
    } rows[] = {
        {"\x06\x03\x2b\x65\x70", 5, &ed25519},
        {"\x13\x0c"
         "edwards25519",
         14, &ed25519},
        {"\x06\x09\x2b\x06\x01\x04\x01\xda\x47\x0f\x01", 11, &ed25519},
        {"\x06\x03\x2b\x65\x6e", 5, &x25519},
        {"\x13\x0a"
         "curve25519",
         12, &x25519},
        {"\x06\x0a\x2b\x06\x01\x04\x01\x97\x55\x01\x05\x01", 12, &x25519},
        {"\x06\x03\x2b\x65\x71", 5, &ed448},
        {"\x13\x0a"
         "edwards448",
         12, &ed448},
        {"\x06\x03\x2b\x65\x6f", 5, &x448},
        {"\x13\x08"
         "curve448",
         10, &x448},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        if (bytes_equal(parameters, BYTES(rows[i].der, rows[i].n)))
            return rows[i].curve;
    return NULL;
}

/* 2.40 wraps the point in an OCTET STRING as it does with EC; 3.1 gives the bytes themselves. */
static CK_RV read_raw(struct cli *cli, CK_OBJECT_HANDLE object, EVP_PKEY **ret)
{
    CLEANUP(buf_free) struct buf parameters = {0}, point = {0};
    TRY(object_attribute(cli, object, CKA_EC_PARAMS, &parameters));
    TRY(object_attribute(cli, object, CKA_EC_POINT, &point));
    const struct raw_curve *curve = public_key_raw_curve(buf_bytes(&parameters));
    if (!curve)
        return CKR_OK;
    size_t skip = point.n == curve->size + 2 && point.p[0] == V_ASN1_OCTET_STRING ? 2 : 0;
    if (point.n == curve->size + skip)
        *ret = EVP_PKEY_new_raw_public_key(curve->nid, NULL, point.p + skip, curve->size);
    return CKR_OK;
}

CK_RV public_key_read(struct cli *cli, CK_OBJECT_HANDLE object, EVP_PKEY **ret)
{
    static const struct {
        CK_KEY_TYPE type;
        CK_RV (*read)(struct cli *cli, CK_OBJECT_HANDLE object, EVP_PKEY **ret);
    } rows[] = {{CKK_RSA, read_rsa},
                {CKK_EC, read_ec},
                {CKK_EC_EDWARDS, read_raw},
                {CKK_EC_MONTGOMERY, read_raw}};
    CK_KEY_TYPE type = object_ulong(cli, object, CKA_KEY_TYPE);
    *ret = NULL;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        if (rows[i].type == type)
            return rows[i].read(cli, object, ret);
    return CKR_OK;
}

CK_RV public_key_find(struct cli *cli, CK_OBJECT_CLASS cls, EVP_PKEY *wanted, struct object *ret)
{
    CLEANUP(handles_free) struct handles found = {0};
    struct template by_class = {0};
    template_add(&by_class, CKA_CLASS, BYTES(&cls, sizeof(cls)));
    TRY(objects_find(cli, by_class.attributes, 1, &found));
    for (size_t i = 0; i < found.n; i++) {
        CLEANUP(public_key_free) EVP_PKEY *key = NULL;
        TRY(public_key_read(cli, found.h[i], &key));
        if (key && EVP_PKEY_eq(key, wanted) == 1)
            return object_read(cli, found.h[i], ret);
    }
    return CKR_OK;
}

bool public_key_has_private(struct cli *cli, const struct object *public)
{
    static const CK_OBJECT_CLASS cls = CKO_PRIVATE_KEY;
    CLEANUP(handles_free) struct handles found = {0};
    struct template wanted = {0};
    template_add(&wanted, CKA_CLASS, BYTES(&cls, sizeof(cls)));
    template_add(&wanted, CKA_ID, buf_bytes(&public->id));
    return public->id.n && objects_find(cli, wanted.attributes, wanted.n, &found) == CKR_OK &&
           found.n;
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

CK_RV public_key_seek(struct cli *cli, const struct key_pair *pair, EVP_PKEY **ret)
{
    *ret = NULL;
    if (pair->public.handle)
        TRY(public_key_read(cli, pair->public.handle, ret));
    if (!*ret && pair->private.handle)
        TRY(public_key_read(cli, pair->private.handle, ret));
    return *ret ? CKR_OK : from_same_id(cli, key_half(pair), ret);
}

CK_RV public_key_of(struct cli *cli, const struct key_pair *pair, EVP_PKEY **ret)
{
    TRY(public_key_seek(cli, pair, ret));
    return *ret ? CKR_OK
                : fail(EXIT_NOT_FOUND, NULL, "the key '%s' has no public key on the token",
                       (const char *)key_half(pair)->label.p);
}

CK_RV public_key_pem(EVP_PKEY *key, struct buf *ret)
{
    BIO *text = BIO_new(BIO_s_mem());
    char *p = NULL;
    long n = text && PEM_write_bio_PUBKEY(text, key) ? BIO_get_mem_data(text, &p) : 0;
    CK_RV rv = n > 0 ? buf_append(ret, p, (size_t)n) : CKR_HOST_MEMORY;
    BIO_free(text);
    return rv;
}

CK_RV public_key_point(EVP_PKEY *key, struct buf *ret)
{
    BIGNUM *x = NULL, *y = NULL;
    int size = (EVP_PKEY_get_bits(key) + 7) / 8;
    uint8_t *room;
    CK_RV rv = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_EC_PUB_X, &x) &&
                       EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_EC_PUB_Y, &y)
                   ? buf_extend(ret, 1 + 2 * (size_t)size, &room)
                   : CKR_HOST_MEMORY;
    if (rv == CKR_OK) {
        room[0] = POINT_CONVERSION_UNCOMPRESSED;
        BN_bn2binpad(x, room + 1, size);
        BN_bn2binpad(y, room + 1 + size, size);
    }
    BN_free(x);
    BN_free(y);
    return rv;
}
