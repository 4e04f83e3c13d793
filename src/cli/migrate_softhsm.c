/* `latchkey migrate softhsm`: its keys are numbers, which go into the TPM, or are sealed by it. */
#include "adopt.h"
#include "key_store.h"
#include "migrate.h"
#include "public_key.h"
#include "softhsm.h"
#include "verbs.h"

static CK_RV open_token(struct cli *cli, struct old_token *t, struct bytes pin)
{
    (void)cli;
    CK_RV rv = softhsm_open(t, pin);
    switch (rv) {
    case CKR_PIN_INCORRECT:
        return fail(EXIT_PIN_WRONG, NULL, "the user PIN of the token '%s' of SoftHSM is wrong",
                    t->label);
    case CKR_ENCRYPTED_DATA_INVALID:
        return fail(EXIT_FAILED, NULL, "the token '%s' of SoftHSM is damaged", t->label);
    default:
        return rv;
    }
}

static const struct {
    CK_KEY_TYPE type;
    int nid; /* of a curve that the type does not tell; 0: it does */
    const char *kind;
} kinds[] = {
    {CKK_RSA, 0, "rsa"},
    {CKK_EC, 0, "ec"},
    {CKK_EC_EDWARDS, EVP_PKEY_ED25519, "ed25519"},
    {CKK_EC_EDWARDS, EVP_PKEY_ED448, "ed448"},
    {CKK_AES, 0, "aes"},
    {CKK_GENERIC_SECRET, 0, "generic"},
    {CKK_SHA_1_HMAC, 0, "hmac-sha1"},
    {CKK_SHA224_HMAC, 0, "hmac-sha224"},
    {CKK_SHA256_HMAC, 0, "hmac-sha256"},
    {CKK_SHA384_HMAC, 0, "hmac-sha384"},
    {CKK_SHA512_HMAC, 0, "hmac-sha512"},
};

static const struct key_kind *kind_of(const struct old_object *o)
{
    CK_KEY_TYPE type = old_ulong(o, CKA_KEY_TYPE, CK_UNAVAILABLE_INFORMATION);
    const struct raw_curve *curve = public_key_raw_curve(old_attribute(o, CKA_EC_PARAMS));
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
        if (kinds[i].type == type && kinds[i].nid == (curve ? curve->nid : 0))
            return key_kind_named(kinds[i].kind);
    return NULL;
}

/* ---- keys ---------------------------------------------------------------------------------- */

/* What makes up a key of any type. */
static const CK_ATTRIBUTE_TYPE secret_numbers[] = {
    CKA_MODULUS,    CKA_PUBLIC_EXPONENT, CKA_PRIVATE_EXPONENT, CKA_PRIME_1,   CKA_PRIME_2,
    CKA_EXPONENT_1, CKA_EXPONENT_2,      CKA_COEFFICIENT,      CKA_EC_PARAMS, CKA_VALUE,
};
static const CK_ATTRIBUTE_TYPE public_numbers[] = {CKA_MODULUS, CKA_PUBLIC_EXPONENT, CKA_EC_PARAMS,
                                                   CKA_EC_POINT};
enum {
    SECRET_NUMBERS = sizeof(secret_numbers) / sizeof(*secret_numbers),
    PUBLIC_NUMBERS = sizeof(public_numbers) / sizeof(*public_numbers),
};

/* Borrowed by a template. */
struct numbers {
    struct secret v[SECRET_NUMBERS];
};

static void numbers_free(struct numbers *n)
{
    for (size_t i = 0; i < SECRET_NUMBERS; i++)
        secret_free(&n->v[i]);
}

static CK_RV fill(const struct old_token *t, const struct old_object *o, struct numbers *n,
                  const char *source, struct template *ret)
{
    for (size_t i = 0; i < SECRET_NUMBERS; i++) {
        CK_RV rv = softhsm_secret(t, o, secret_numbers[i], &n->v[i]);
        if (rv == CKR_ENCRYPTED_DATA_INVALID)
            return fail(EXIT_FAILED, NULL, "%s is damaged", source);
        TRY(rv);
        if (n->v[i].n)
            template_add(ret, secret_numbers[i], secret_bytes(&n->v[i]));
    }
    return CKR_OK;
}

static void add_conditions(const struct old_object *o, struct template *t)
{
    struct bytes mechanisms = old_attribute(o, CKA_ALLOWED_MECHANISMS);
    if (mechanisms.n)
        template_add(t, CKA_ALLOWED_MECHANISMS, mechanisms);
    if (old_bool(o, CKA_WRAP_WITH_TRUSTED))
        template_bool(t, CKA_WRAP_WITH_TRUSTED, true);
}

static CK_RV create(struct cli *cli, struct template *t, const char *source, CK_OBJECT_HANDLE *ret)
{
    return check(cli->module.p11->C_CreateObject(cli->token.session, t->attributes, t->n, ret),
                 "store %s", source);
}

static CK_RV move_key(struct cli *cli, const struct old_token *t, const struct old_object *o,
                      const struct key_plan *plan, const char *source)
{
    CLEANUP(numbers_free) struct numbers numbers = {0};
    CLEANUP(public_key_free) EVP_PKEY *public = NULL;
    struct template key = {0};
    CK_OBJECT_HANDLE handle;
    bool secret = plan->kind->cls == CKO_SECRET_KEY;
    if (secret)
        key_plan_secret(plan, &key);
    else
        key_plan_private(plan, &key);
    add_conditions(o, &key);
    TRY(fill(t, o, &numbers, source, &key));
    TRY(create(cli, &key, source, &handle));
    if (secret)
        return CKR_OK;
    TRY(public_key_read(cli, handle, &public));
    return public
               ? key_store_public(cli, plan, public, &handle)
               : fail(EXIT_FAILED, NULL, "the module does not tell the public half of %s", source);
}

/* Of a private key that has come: with numbers of its own, one of the two is damaged. */
static bool has_private(const struct old_token *t, const struct old_object *public)
{
    struct bytes id = old_attribute(public, CKA_ID);
    for (size_t i = 0; i < t->n; i++)
        if (old_ulong(&t->objects[i], CKA_CLASS, 0) == CKO_PRIVATE_KEY && id.n &&
            bytes_equal(old_attribute(&t->objects[i], CKA_ID), id) &&
            kind_of(&t->objects[i]) == kind_of(public))
            return true;
    return false;
}

/* By modulus or point: parameters of a curve have several forms. */
static CK_RV find_public(struct cli *cli, const struct old_object *o, struct handles *ret)
{
    static const CK_OBJECT_CLASS cls = CKO_PUBLIC_KEY;
    struct template t = {0};
    struct bytes modulus = old_attribute(o, CKA_MODULUS);
    template_add(&t, CKA_CLASS, BYTES(&cls, sizeof(cls)));
    if (modulus.n)
        template_add(&t, CKA_MODULUS, modulus);
    else
        template_add(&t, CKA_EC_POINT, old_attribute(o, CKA_EC_POINT));
    return objects_find(cli, t.attributes, t.n, ret);
}

static CK_RV move_public(struct cli *cli, const struct old_token *t, const struct old_object *o,
                         const struct key_plan *plan, const char *source)
{
    CLEANUP(handles_free) struct handles same = {0};
    struct template key = {0};
    CK_OBJECT_HANDLE handle;
    TRY(find_public(cli, o, &same));
    if (same.n) /* came with its private half */
        return CKR_OK;
    if (has_private(t, o))
        return fail(EXIT_FAILED, NULL, "%s does not fit the private key of its ID: one is damaged",
                    source);
    key_plan_public(plan, &key);
    for (size_t i = 0; i < PUBLIC_NUMBERS; i++)
        if (old_attribute(o, public_numbers[i]).n)
            template_add(&key, public_numbers[i], old_attribute(o, public_numbers[i]));
    return create(cli, &key, source, &handle);
}

CK_RV migrate_softhsm(struct cli *cli)
{
    static const struct migration m = {
        .program = "SoftHSM",
        .get_rid = "'pkcs11-tool --delete-object' takes it out of the old store.",
        .farewell = "delete it, for it still holds the keys",
        .read = softhsm_read,
        .open = open_token,
        .kind = kind_of,
        .software = true,
        .move_key = move_key,
        .move_public = move_public,
    };
    return migrate(cli, &m);
}
