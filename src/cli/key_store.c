#include "key_store.h"

#include <openssl/asn1.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/objects.h>
#include <string.h>
#include "public_key.h"

/* What a template borrows. */
struct numbers {
    struct buf value[8];
};

static void numbers_free(struct numbers *numbers)
{
    for (size_t i = 0; i < sizeof(numbers->value) / sizeof(*numbers->value); i++)
        buf_free(&numbers->value[i]);
}

CK_RV key_store_kind(EVP_PKEY *key, const struct key_kind **ret)
{
    static const struct {
        const char *openssl, *kind;
    } rows[] = {{"RSA", "rsa"},       {"EC", "ec"},       {"ED25519", "ed25519"},
                {"X25519", "x25519"}, {"ED448", "ed448"}, {"X448", "x448"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        if (EVP_PKEY_is_a(key, rows[i].openssl)) {
            *ret = key_kind_named(rows[i].kind);
            return CKR_OK;
        }
    return fail(EXIT_FAILED, "RSA, EC, Ed25519, X25519, Ed448 and X448 keys can be imported.",
                "keys of type %s cannot be imported", EVP_PKEY_get0_type_name(key));
}

/* size 0: as short as the number is. */
static CK_RV number(EVP_PKEY *key, const char *name, size_t size, struct buf *ret)
{
    BIGNUM *value = NULL;
    uint8_t *room;
    if (!EVP_PKEY_get_bn_param(key, name, &value))
        return fail(EXIT_FAILED, "'openssl pkey -in FILE -text' shows what there is.",
                    "the key lacks a number: %s", name);
    size = size ? size : (size_t)BN_num_bytes(value);
    CK_RV rv = buf_extend(ret, size, &room);
    if (rv == CKR_OK && BN_bn2binpad(value, room, (int)size) < 0)
        rv = CKR_FUNCTION_FAILED;
    BN_clear_free(value);
    return rv;
}

static CK_RV fill_rsa(EVP_PKEY *key, bool private, struct numbers *numbers, struct template *t)
{
    static const struct {
        CK_ATTRIBUTE_TYPE attribute;
        const char *name;
    } rows[] = {
        {CKA_MODULUS, OSSL_PKEY_PARAM_RSA_N},
        {CKA_PUBLIC_EXPONENT, OSSL_PKEY_PARAM_RSA_E},
        {CKA_PRIVATE_EXPONENT, OSSL_PKEY_PARAM_RSA_D},
        {CKA_PRIME_1, OSSL_PKEY_PARAM_RSA_FACTOR1},
        {CKA_PRIME_2, OSSL_PKEY_PARAM_RSA_FACTOR2},
        {CKA_EXPONENT_1, OSSL_PKEY_PARAM_RSA_EXPONENT1},
        {CKA_EXPONENT_2, OSSL_PKEY_PARAM_RSA_EXPONENT2},
        {CKA_COEFFICIENT, OSSL_PKEY_PARAM_RSA_COEFFICIENT1},
    };
    BIGNUM *third = NULL;
    bool multi = private && EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_FACTOR3, &third);
    BN_clear_free(third);
    if (multi)
        return fail(EXIT_FAILED, NULL, "RSA keys of more than two primes cannot be imported");
    for (size_t i = 0; i < (private ? 8 : 2); i++) {
        TRY(number(key, rows[i].name, 0, &numbers->value[i]));
        template_add(t, rows[i].attribute, buf_bytes(&numbers->value[i]));
    }
    return CKR_OK;
}

static CK_RV octet_string(struct bytes content, struct buf *ret)
{
    ASN1_OCTET_STRING *octets = ASN1_OCTET_STRING_new();
    unsigned char *der = NULL;
    int n = octets && ASN1_OCTET_STRING_set(octets, content.p, (int)content.n)
                ? i2d_ASN1_OCTET_STRING(octets, &der)
                : -1;
    CK_RV rv = n > 0 ? buf_append(ret, der, (size_t)n) : CKR_HOST_MEMORY;
    OPENSSL_free(der);
    ASN1_OCTET_STRING_free(octets);
    return rv;
}

static CK_RV curve(EVP_PKEY *key, struct buf *ret)
{
    char group[64] = "";
    unsigned char *der = NULL;
    EVP_PKEY_get_group_name(key, group, sizeof(group), NULL);
    ASN1_OBJECT *oid = OBJ_txt2obj(*group ? group : EVP_PKEY_get0_type_name(key), 0);
    int n = oid && OBJ_obj2nid(oid) != NID_undef ? i2d_ASN1_OBJECT(oid, &der) : -1;
    CK_RV rv = n > 0 ? buf_append(ret, der, (size_t)n)
                     : fail(EXIT_FAILED, NULL, "the key's curve has no name");
    OPENSSL_free(der);
    ASN1_OBJECT_free(oid);
    return rv;
}

static CK_RV raw(EVP_PKEY *key, bool private, struct buf *ret)
{
    uint8_t bytes[57]; /* Ed448 */
    size_t n = sizeof(bytes);
    int ok = private ? EVP_PKEY_get_raw_private_key(key, bytes, &n)
                     : EVP_PKEY_get_raw_public_key(key, bytes, &n);
    CK_RV rv = ok ? buf_append(ret, bytes, n) : CKR_FUNCTION_FAILED;
    secret_wipe(bytes, sizeof(bytes));
    return rv;
}

/* The types that have CKA_EC_PARAMS. 2.40 wraps the point in an OCTET STRING. */
static CK_RV fill_curve(EVP_PKEY *key, bool private, struct numbers *numbers, struct template *t)
{
    CLEANUP(buf_free) struct buf point = {0};
    struct buf *parameters = &numbers->value[0], *value = &numbers->value[1];
    bool ec = EVP_PKEY_is_a(key, "EC");
    size_t size = ((size_t)EVP_PKEY_get_bits(key) + 7) / 8;
    TRY(curve(key, parameters));
    template_add(t, CKA_EC_PARAMS, buf_bytes(parameters));
    if (private)
        TRY(ec ? number(key, OSSL_PKEY_PARAM_PRIV_KEY, size, value) : raw(key, true, value));
    else
        TRY(ec ? public_key_point(key, &point) : raw(key, false, &point));
    if (!private)
        TRY(octet_string(buf_bytes(&point), value));
    template_add(t, private ? CKA_VALUE : CKA_EC_POINT, buf_bytes(value));
    return CKR_OK;
}

static CK_RV fill(EVP_PKEY *key, bool private, struct numbers *numbers, struct template *t)
{
    return EVP_PKEY_is_a(key, "RSA") ? fill_rsa(key, private, numbers, t)
                                     : fill_curve(key, private, numbers, t);
}

static CK_RV create(struct cli *cli, struct template *t, const char *what,
                    const struct key_plan *plan, CK_OBJECT_HANDLE *ret)
{
    return check(cli->module.p11->C_CreateObject(cli->token.session, t->attributes, t->n, ret),
                 "store the %s '%s'", what, plan->label);
}

CK_RV key_store_private(struct cli *cli, const struct key_plan *plan, EVP_PKEY *key,
                        CK_OBJECT_HANDLE *ret)
{
    CLEANUP(numbers_free) struct numbers numbers = {0};
    struct template t = {0};
    key_plan_private(plan, &t);
    TRY(fill(key, true, &numbers, &t));
    return create(cli, &t, "private key", plan, ret);
}

CK_RV key_store_public(struct cli *cli, const struct key_plan *plan, EVP_PKEY *key,
                       CK_OBJECT_HANDLE *ret)
{
    CLEANUP(numbers_free) struct numbers numbers = {0};
    struct template t = {0};
    key_plan_public(plan, &t);
    TRY(fill(key, false, &numbers, &t));
    return create(cli, &t, "public key", plan, ret);
}

CK_RV key_store_secret(struct cli *cli, const struct key_plan *plan, struct bytes value,
                       CK_OBJECT_HANDLE *ret)
{
    struct template t = {0};
    key_plan_secret(plan, &t);
    template_add(&t, CKA_VALUE, value);
    return create(cli, &t, "secret key", plan, ret);
}
