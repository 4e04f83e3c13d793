#include "internal.h"

/* Keys: what mechanisms see of them, and how they are opened for a call. */

/* ---- the public side ----------------------------------------------------------------------- */

bool object_is_key(const struct object *o)
{
    CK_OBJECT_CLASS cls = attrs_ulong(&o->attrs, CKA_CLASS, CK_UNAVAILABLE_INFORMATION);
    return cls == CKO_PUBLIC_KEY || cls == CKO_PRIVATE_KEY || cls == CKO_SECRET_KEY;
}

static CK_KEY_TYPE key_type(const struct object *o)
{
    return attrs_ulong(&o->attrs, CKA_KEY_TYPE, CK_UNAVAILABLE_INFORMATION);
}

enum curve key_curve(CK_KEY_TYPE type, struct bytes params)
{
    switch (type) {
    case CKK_EC:
        return curve_from_params(params);
    case CKK_EC_EDWARDS:
        return curve_from_params_edwards(params);
    case CKK_EC_MONTGOMERY:
        return curve_from_params_montgomery(params);
    default:
        return CURVE_NONE;
    }
}

struct mech_key object_mech_key(const struct object *o)
{
    struct mech_key k = {.type = key_type(o)};
    k.curve = key_curve(k.type, attrs_bytes(&o->attrs, CKA_EC_PARAMS));
    if (k.type != CKK_RSA)
        return k;
    struct bytes n = bytes_number(attrs_bytes(&o->attrs, CKA_MODULUS));
    k.modulus = n;
    k.modulus_bits = n.n * 8;
    for (unsigned top = n.n ? n.p[0] : 0x80; !(top & 0x80); top <<= 1)
        k.modulus_bits--;
    return k;
}

/* 2.40, 2.3.3; 3.0, 2.3.5: the point comes in a DER OCTET STRING. That of an Edwards or Montgomery
 * key is bare in other texts, and some programs give any curve's so. The length tells. */
static struct bytes point_of(enum curve c, struct bytes given)
{
    struct bytes content;
    size_t field = curve_field_size(c);
    if (given.n == (c < CURVE_COUNT ? 1 + 2 * field : field))
        return given;
    return soft_octet_string_parse(given, &content) ? content : NO_BYTES;
}

CK_RV object_public(const struct object *o, struct soft_key **ret)
{
    CK_KEY_TYPE type = key_type(o);
    if (type == CKK_RSA)
        return soft_key_rsa(attrs_bytes(&o->attrs, CKA_MODULUS),
                            attrs_bytes(&o->attrs, CKA_PUBLIC_EXPONENT), ret);
    enum curve c = key_curve(type, attrs_bytes(&o->attrs, CKA_EC_PARAMS));
    if (c == CURVE_NONE)
        return CKR_KEY_TYPE_INCONSISTENT;
    return soft_key_ec(c, point_of(c, attrs_bytes(&o->attrs, CKA_EC_POINT)), ret);
}

/* CKA_ALLOWED_MECHANISMS (2.40, 4.7): absent or empty, any. */
CK_RV key_mechanism_allowed(const struct object *key, CK_MECHANISM_TYPE type)
{
    struct bytes list = attrs_bytes(&key->attrs, CKA_ALLOWED_MECHANISMS);
    for (size_t at = 0; at < list.n; at += sizeof(type))
        if (memcmp(list.p + at, &type, sizeof(type)) == 0)
            return CKR_OK;
    return list.n ? CKR_MECHANISM_INVALID : CKR_OK;
}

/* ---- where the secret part is -------------------------------------------------------------- */

enum protection object_protection(const struct object *o)
{
    if (o->auth == STORE_AUTH_SEALED)
        return PROTECTION_SEALED;
    if (o->priv.n)
        return PROTECTION_TPM;
    return o->value.p || o->private_key ? PROTECTION_SESSION : PROTECTION_NONE;
}

/* The object whose id a copied key's authorization follows from. */
static struct bytes auth_origin(const struct object *o)
{
    struct bytes origin = attrs_bytes(&o->attrs, ATTR_AUTH_ORIGIN);
    return origin.n ? origin : BYTES_OF(o->uid);
}

/* Token keys are made and changed under login only: one without a valid MAC is a forgery that says
 * what the real key may do. */
static CK_RV check_mark(const struct token *t, const struct object *o)
{
    if (!o->row || o->private_ || o->sealed_with_login)
        return CKR_OK;
    return t->login == LOGIN_NONE
               ? CKR_USER_NOT_LOGGED_IN
               : error_log(CKR_DEVICE_ERROR,
                           "the attributes of key %lld do not bear the mark of a login; it is not "
                           "used",
                           (long long)o->row);
}

CK_RV key_authorization(struct token *t, const struct object *o, struct secret *ret)
{
    static const char info[] = "latchkey key authorization";
    TRY(check_mark(t, o));
    if (o->own_auth.n)
        return secret_copy(ret, secret_bytes(&o->own_auth));
    if (t->login != LOGIN_USER)
        return CKR_USER_NOT_LOGGED_IN;
    TRY(secret_new(ret, TPM_AUTH));
    return soft_hkdf(HASH_SHA256, secret_bytes(&t->keys.s), auth_origin(o), BYTES_STR(info), ret->p,
                     ret->n);
}

static CK_RV hold_tpm(struct token *t, const struct object *o, struct held_key *k)
{
    TRY(key_authorization(t, o, &k->auth));
    k->tpm = (struct tpm_key){
        .parent = {o->parent, buf_bytes(&o->parent_name), buf_bytes(&t->row.parent_public)},
        .pub = buf_bytes(&o->pub),
        .priv = buf_bytes(&o->priv),
        .auth = secret_bytes(&k->auth),
    };
    k->key.tpm_key = &k->tpm;
    return CKR_OK;
}

static bool is_private_key(const struct object *o)
{
    return attrs_ulong(&o->attrs, CKA_CLASS, CK_UNAVAILABLE_INFORMATION) == CKO_PRIVATE_KEY;
}

static CK_RV open_value(struct token *t, const struct object *o, struct secret *ret)
{
    TRY(check_mark(t, o));
    if (t->login != LOGIN_USER)
        return CKR_USER_NOT_LOGGED_IN;
    CK_RV rv = object_open_sealed(t, o->uid, "value", buf_bytes(&o->priv), ret);
    return rv == CKR_ENCRYPTED_DATA_INVALID
               ? error_log(CKR_DEVICE_ERROR,
                           "the sealed value of key %lld was changed, or is another key's",
                           (long long)o->row)
               : rv;
}

static CK_RV hold_sealed(struct token *t, const struct object *o, struct held_key *k)
{
    TRY(open_value(t, o, &k->value));
    if (is_private_key(o)) {
        TRY(soft_private_from_stored(secret_bytes(&k->value), &k->private_));
        k->key.private_ = k->private_;
    } else {
        k->key.value = secret_bytes(&k->value);
    }
    return CKR_OK;
}

CK_RV key_hold(struct token *t, const struct object *o, struct held_key *ret)
{
    ret->key = object_mech_key(o);
    switch (object_protection(o)) {
    case PROTECTION_TPM:
        return hold_tpm(t, o, ret);
    case PROTECTION_SEALED:
        return hold_sealed(t, o, ret);
    case PROTECTION_SESSION:
        ret->key.private_ = o->private_key;
        ret->key.value = secret_bytes(&o->value);
        return CKR_OK;
    case PROTECTION_NONE:
        break;
    }
    /* a session's key that a logout wiped, or a row without its key */
    return CKR_KEY_HANDLE_INVALID;
}

void key_release(struct held_key *k)
{
    secret_free(&k->auth);
    secret_free(&k->value);
    soft_private_free(&k->private_);
}

/* ---- what may be told ---------------------------------------------------------------------- */

/* A private key's in the form for others, which is not always the stored one. */
static CK_RV sealed_bytes(struct token *t, const struct object *o, struct secret *ret)
{
    CLEANUP(key_release) struct held_key k = {0};
    if (!is_private_key(o))
        return open_value(t, o, ret);
    TRY(hold_sealed(t, o, &k));
    return soft_private_to_pkcs8(k.private_, ret);
}

CK_RV key_bytes(struct token *t, const struct object *o, struct secret *ret)
{
    switch (object_protection(o)) {
    case PROTECTION_SEALED:
        return sealed_bytes(t, o, ret);
    case PROTECTION_SESSION:
        return o->private_key ? soft_private_to_pkcs8(o->private_key, ret)
                              : secret_copy(ret, secret_bytes(&o->value));
    default:
        return CKR_KEY_UNEXTRACTABLE;
    }
}

static const struct {
    CK_ATTRIBUTE_TYPE type;
    enum rsa_number number;
} rsa_attributes[] = {
    {CKA_PRIVATE_EXPONENT, RSA_D}, {CKA_PRIME_1, RSA_P},     {CKA_PRIME_2, RSA_Q},
    {CKA_EXPONENT_1, RSA_DP},      {CKA_EXPONENT_2, RSA_DQ}, {CKA_COEFFICIENT, RSA_QINV},
};

static struct bytes private_attribute(const struct soft_private *k, CK_ATTRIBUTE_TYPE type)
{
    if (type == CKA_VALUE)
        return soft_private_value(k);
    for (size_t i = 0; i < sizeof(rsa_attributes) / sizeof(*rsa_attributes); i++)
        if (rsa_attributes[i].type == type && soft_private_curve(k) == CURVE_NONE)
            return soft_private_number(k, rsa_attributes[i].number);
    return NO_BYTES;
}

CK_RV key_secret_attribute(struct token *t, const struct object *o, CK_ATTRIBUTE_TYPE type,
                           struct secret *ret)
{
    CLEANUP(key_release) struct held_key k = {0};
    enum protection p = object_protection(o);
    if (p != PROTECTION_SEALED && p != PROTECTION_SESSION)
        return CKR_ATTRIBUTE_TYPE_INVALID;
    TRY(key_hold(t, o, &k));
    struct bytes value = k.key.private_ ? private_attribute(k.key.private_, type)
                                        : (type == CKA_VALUE ? k.key.value : NO_BYTES);
    return value.n ? secret_copy(ret, value) : CKR_ATTRIBUTE_TYPE_INVALID;
}
