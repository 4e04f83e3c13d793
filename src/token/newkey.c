#include "internal.h"

/* Keys that come as bytes (C_CreateObject, C_UnwrapKey), and C_GenerateKey. */

/* ---- from outside -------------------------------------------------------------------------- */

/* An attribute that the template gave must be the key's. */
static bool agree(const struct attrs *a, CK_ATTRIBUTE_TYPE type, const struct attrs *key)
{
    struct bytes told = attrs_bytes(a, type);
    return told.n == 0 || bytes_equal(told, attrs_bytes(key, type));
}

static CK_RV describe_private(struct object *o, const struct soft_private *k)
{
    CLEANUP(attrs_free) struct attrs own = {0};
    TRY(key_describe(&own, soft_private_public(k)));
    if (!agree(&o->attrs, CKA_PUBLIC_KEY_INFO, &own)) /* 3.2, 4.10 */
        return CKR_ATTRIBUTE_VALUE_INVALID;
    if (!agree(&o->attrs, CKA_EC_POINT, &own))
        return CKR_TEMPLATE_INCONSISTENT;
    return key_describe(&o->attrs, soft_private_public(k));
}

static bool type_fits(CK_KEY_TYPE type, enum curve c)
{
    switch (type) {
    case CKK_RSA:
        return c == CURVE_NONE;
    case CKK_EC:
        return c != CURVE_NONE && c < CURVE_COUNT;
    case CKK_EC_EDWARDS:
        return curve_is_edwards(c);
    default:
        return type == CKK_EC_MONTGOMERY && curve_is_montgomery(c);
    }
}

CK_RV key_from_outside(struct session *s, struct object *o, enum origin origin,
                       const struct material *from)
{
    CK_KEY_TYPE type = attrs_ulong(&o->attrs, CKA_KEY_TYPE, CK_UNAVAILABLE_INFORMATION);
    if (!from->private_) {
        TRY(key_check_value_length(type, from->value.n));
        TRY(attrs_set_ulong(&o->attrs, CKA_VALUE_LEN, (CK_ULONG)from->value.n));
    } else if (!type_fits(type, soft_private_curve(from->private_))) {
        return CKR_TEMPLATE_INCONSISTENT;
    } else {
        TRY(describe_private(o, from->private_));
    }
    TRY(key_history(o, origin, 0, NULL));
    return key_place(s, o, origin, from, 0);
}

/* ---- C_CreateObject ------------------------------------------------------------------------ */

static struct bytes given(const CK_ATTRIBUTE *template, CK_ULONG n, CK_ATTRIBUTE_TYPE type)
{
    for (CK_ULONG i = 0; i < n; i++)
        if (template[i].type == type)
            return BYTES(template[i].pValue, template[i].ulValueLen);
    return NO_BYTES;
}

static CK_RV rsa_from_template(const CK_ATTRIBUTE *template, CK_ULONG n, struct soft_private **ret)
{
    static const CK_ATTRIBUTE_TYPE types[RSA_NUMBERS] = {
        [RSA_N] = CKA_MODULUS,     [RSA_E] = CKA_PUBLIC_EXPONENT, [RSA_D] = CKA_PRIVATE_EXPONENT,
        [RSA_P] = CKA_PRIME_1,     [RSA_Q] = CKA_PRIME_2,         [RSA_DP] = CKA_EXPONENT_1,
        [RSA_DQ] = CKA_EXPONENT_2, [RSA_QINV] = CKA_COEFFICIENT,
    };
    struct bytes number[RSA_NUMBERS];
    for (int i = 0; i < RSA_NUMBERS; i++)
        number[i] = given(template, n, types[i]);
    if (!number[RSA_E].n) /* may be left out by 2.40, 2.1.3; without it nothing can be checked */
        return CKR_TEMPLATE_INCOMPLETE;
    return soft_private_from_rsa(number, ret);
}

CK_RV key_from_template(struct session *s, const CK_ATTRIBUTE *template, CK_ULONG n,
                        struct object *o)
{
    CLEANUP(soft_private_free) struct soft_private *key = NULL;
    struct bytes value = given(template, n, CKA_VALUE);
    struct mech_key k = object_mech_key(o);
    if (attrs_ulong(&o->attrs, CKA_CLASS, 0) == CKO_SECRET_KEY) {
        if (key_check_value_length(k.type, value.n) != CKR_OK)
            return CKR_ATTRIBUTE_VALUE_INVALID;
        return key_from_outside(s, o, ORIGIN_CREATED, &(struct material){.value = value});
    }
    if (k.type != CKK_RSA && k.curve == CURVE_NONE)
        return CKR_CURVE_NOT_SUPPORTED;
    TRY(k.type == CKK_RSA ? rsa_from_template(template, n, &key)
                          : soft_private_from_value(k.curve, value, &key));
    return key_from_outside(s, o, ORIGIN_CREATED, &(struct material){.private_ = key});
}

/* ---- C_GenerateKey ------------------------------------------------------------------------- */

/* The key type that the mechanism makes; PBKDF2 makes any, and the template must say which. */
static CK_RV made_type(const struct mech *m, const CK_ATTRIBUTE *template, CK_ULONG n,
                       CK_KEY_TYPE *ret)
{
    CK_ULONG said = CK_UNAVAILABLE_INFORMATION;
    TRY(attrs_template_ulong(template, n, CKA_KEY_TYPE, &said));
    if (m->generate && said == CK_UNAVAILABLE_INFORMATION)
        return CKR_TEMPLATE_INCOMPLETE;
    *ret = m->generate ? said : m->key_type;
    return template_is(template, n, CKO_SECRET_KEY, *ret);
}

static CK_RV generate_value(struct session *s, const struct mech *m,
                            const struct mech_params *params, size_t length, struct secret *ret)
{
    static const struct mech_key none;
    struct mech_call call = {.mech = m, .params = params, .key = &none, .tpm = s->token->lib->tpm};
    return m->generate ? m->generate(&call, length, ret) : CKR_OK;
}

CK_RV session_generate_key(struct session *s, const CK_MECHANISM *mechanism,
                           const CK_ATTRIBUTE *template, CK_ULONG n, CK_OBJECT_HANDLE *ret)
{
    CLEANUP(object_unref) struct object *o = NULL;
    CLEANUP(mech_params_free) struct mech_params params = {0};
    CLEANUP(secret_free) struct secret value = {0};
    const struct mech *m = mech_find(mechanism->mechanism);
    CK_KEY_TYPE type;
    if (!m || !(m->flags & CKF_GENERATE))
        return CKR_MECHANISM_INVALID;
    TRY(m->params(m, mechanism, NULL, &params));
    TRY(made_type(m, template, n, &type));
    TOKEN_READ(s->token);
    TRY(object_new(&o));
    TRY(attrs_new(ATTR_GENERATE, CKO_SECRET_KEY, type, template, n, s->token->login == LOGIN_SO,
                  &o->attrs));
    TRY(object_finish(o));
    TRY(access_write(s, attrs_true(&o->attrs, CKA_TOKEN), o->private_));
    size_t length = attrs_ulong(&o->attrs, CKA_VALUE_LEN, 0);
    TRY(key_check_value_length(type, length));
    TRY(generate_value(s, m, &params, length, &value));
    TRY(key_history(o, ORIGIN_GENERATED, m->type, NULL));
    TRY(key_place(s, o, ORIGIN_GENERATED, &(struct material){.value = secret_bytes(&value)},
                  length));
    TRY(objects_publish(s, &o, 1));
    *ret = o->handle;
    return CKR_OK;
}
