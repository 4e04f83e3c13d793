#include "internal.h"

#include <stdlib.h>

/* C_DeriveKey, C_EncapsulateKey, C_DecapsulateKey. */

enum { DERIVED_MAX = 1 + MECH_EXTRA_KEYS };

struct derivation {
    const struct mech *mech;
    struct mech_params params;
    struct object *base, *other;
    CK_ATTRIBUTE_TYPE imposed;    /* base's template for what is made of it */
    const struct object *history; /* base, where the new key's past is that one's */
    struct held_key base_held, other_held;
    struct object *made[DERIVED_MAX];
    size_t length[DERIVED_MAX]; /* bytes of each; 0, for the only one: the mechanism decides */
    size_t n;
};

static struct derivation begin(const CK_MECHANISM *mechanism, CK_ATTRIBUTE_TYPE imposed)
{
    return (struct derivation){.mech = mech_find(mechanism->mechanism), .imposed = imposed};
}

static void derivation_free(struct derivation *d)
{
    mech_params_free(&d->params);
    key_release(&d->base_held);
    key_release(&d->other_held);
    object_unref(&d->base);
    object_unref(&d->other);
    for (size_t i = 0; i < d->n; i++)
        object_unref(&d->made[i]);
}

/* ---- the keys that go in ------------------------------------------------------------------- */

static CK_RV base_key(struct session *s, CK_OBJECT_HANDLE handle, const struct mech *m,
                      CK_ATTRIBUTE_TYPE usage, CK_OBJECT_CLASS cls, struct object **ret)
{
    CLEANUP(object_unref) struct object *o = NULL;
    TRY(object_get_key(s, handle, CKR_KEY_HANDLE_INVALID, &o));
    const struct attrs *a = &o->attrs;
    if (attrs_ulong(a, CKA_CLASS, CK_UNAVAILABLE_INFORMATION) != cls ||
        !mech_takes_key(m, attrs_ulong(a, CKA_KEY_TYPE, CK_UNAVAILABLE_INFORMATION)))
        return CKR_KEY_TYPE_INCONSISTENT;
    if (!attrs_true(a, usage))
        return CKR_KEY_FUNCTION_NOT_PERMITTED;
    if (attrs_true(a, CKA_ALWAYS_AUTHENTICATE)) /* there is no C_…Init to log in after */
        return CKR_USER_NOT_LOGGED_IN;
    TRY(key_mechanism_allowed(o, m->type));
    *ret = o;
    o = NULL;
    return CKR_OK;
}

static CK_OBJECT_CLASS base_class(const struct mech *m)
{
    return m->encapsulate ? CKO_PRIVATE_KEY : CKO_SECRET_KEY; /* agreement, or from a secret */
}

/* The second key that the parameter names. Its bytes are needed. */
static CK_RV other_key(struct session *s, struct derivation *d)
{
    if (!d->params.derivation.other)
        return CKR_OK;
    TRY(object_get_key(s, d->params.derivation.other, CKR_KEY_HANDLE_INVALID, &d->other));
    if (attrs_ulong(&d->other->attrs, CKA_CLASS, 0) != CKO_SECRET_KEY)
        return CKR_KEY_TYPE_INCONSISTENT;
    if (!attrs_true(&d->other->attrs, CKA_DERIVE))
        return CKR_KEY_FUNCTION_NOT_PERMITTED;
    TRY(key_mechanism_allowed(d->other, d->mech->type));
    TRY(key_hold(s->token, d->other, &d->other_held));
    return d->other_held.key.value.n ? CKR_OK : CKR_KEY_FUNCTION_NOT_PERMITTED;
}

/* ---- the objects that come out ------------------------------------------------------------- */

/* CKA_VALUE_LEN as the key type wants it; 0: the mechanism decides. */
static CK_RV wanted_length(const struct attrs *a, size_t *ret)
{
    CK_ULONG length = attrs_ulong(a, CKA_VALUE_LEN, 0);
    CK_KEY_TYPE type = attrs_ulong(a, CKA_KEY_TYPE, 0);
    if (attrs_find(a, CKA_VALUE_LEN) && (length == 0 || length > MECH_SECRET_MAX))
        return CKR_ATTRIBUTE_VALUE_INVALID;
    if (type == CKK_AES && length && key_check_value_length(type, length) != CKR_OK)
        return CKR_ATTRIBUTE_VALUE_INVALID;
    if (type == CKK_AES && !length)
        return CKR_TEMPLATE_INCOMPLETE;
    *ret = length;
    return CKR_OK;
}

/* Data, not a key (CKM_HKDF_DATA): the template says the length in an attribute that data objects
 * do not have. */
static CK_RV new_data(const CK_ATTRIBUTE *template, CK_ULONG n, struct object *o, size_t *ret_n)
{
    CK_ULONG length = 0;
    TRY(attrs_template_ulong(template, n, CKA_VALUE_LEN, &length));
    CK_ATTRIBUTE *rest = calloc(n + 1, sizeof(*rest));
    CK_ULONG n_rest = 0;
    if (!rest)
        return CKR_HOST_MEMORY;
    for (CK_ULONG i = 0; i < n; i++)
        if (template[i].type != CKA_VALUE_LEN)
            rest[n_rest++] = template[i];
    CK_RV rv = attrs_new(ATTR_CREATE, CKO_DATA, CK_UNAVAILABLE_INFORMATION, rest, n_rest, false,
                         &o->attrs);
    free(rest);
    if (length > MECH_SECRET_MAX)
        return CKR_ATTRIBUTE_VALUE_INVALID;
    *ret_n = length;
    return rv;
}

static bool said(const CK_ATTRIBUTE *template, CK_ULONG n, CK_ATTRIBUTE_TYPE type)
{
    for (CK_ULONG i = 0; i < n; i++)
        if (template[i].type == type)
            return true;
    return false;
}

/* 3.2, 6.42.7: what the template does not say is as with the base key. 6.40.6: nothing else may be
 * said, either. */
static CK_RV take_from_base(const struct derivation *d, const struct attrs_joined *given,
                            struct attrs *a)
{
    static const CK_ATTRIBUTE_TYPE types[] = {CKA_SENSITIVE, CKA_EXTRACTABLE};
    for (size_t i = 0; i < 2 && (d->mech->like_base || d->mech->as_base); i++) {
        bool value = attrs_true(&d->base->attrs, types[i]);
        if (!said(given->v, given->n, types[i]))
            TRY(attrs_set_bool(a, types[i], value));
        else if (d->mech->as_base && attrs_true(a, types[i]) != value)
            return CKR_TEMPLATE_INCONSISTENT;
    }
    if (d->mech->allowed.n && !said(given->v, given->n, CKA_ALLOWED_MECHANISMS))
        return attrs_set(a, CKA_ALLOWED_MECHANISMS, d->mech->allowed);
    return CKR_OK;
}

static CK_RV new_key(const struct derivation *d, const CK_ATTRIBUTE *template, CK_ULONG n,
                     struct object *o, size_t *ret_n)
{
    CK_ULONG type = CKK_GENERIC_SECRET;
    CLEANUP(attrs_joined_free) struct attrs_joined joined = {0};
    TRY(attrs_with_template(attrs_bytes(&d->base->attrs, d->imposed), template, n, &joined));
    TRY(attrs_template_ulong(joined.v, joined.n, CKA_KEY_TYPE, &type));
    TRY(attrs_new(ATTR_DERIVE, CKO_SECRET_KEY, type, joined.v, joined.n, false, &o->attrs));
    TRY(take_from_base(d, &joined, &o->attrs));
    return wanted_length(&o->attrs, ret_n);
}

static CK_RV add_object(struct session *s, struct derivation *d, const CK_ATTRIBUTE *template,
                        CK_ULONG n)
{
    CK_ULONG cls = CKO_SECRET_KEY;
    struct object **o = &d->made[d->n];
    size_t *length = &d->length[d->n];
    if (d->n == DERIVED_MAX)
        return CKR_MECHANISM_PARAM_INVALID;
    TRY(attrs_template_ulong(template, n, CKA_CLASS, &cls));
    if (cls != (d->mech->gives_data ? CKO_DATA : CKO_SECRET_KEY))
        return CKR_TEMPLATE_INCONSISTENT;
    TRY(object_new(o));
    d->n++;
    TRY(cls == CKO_DATA ? new_data(template, n, *o, length) : new_key(d, template, n, *o, length));
    TRY(object_finish(*o));
    return access_write(s, attrs_true(&(*o)->attrs, CKA_TOKEN), (*o)->private_);
}

/* 2.40, 2.35 and its like: what is glued of a sensitive key is sensitive, of one that may not leave
 * may not leave. */
static CK_RV inherit(const struct object *from, const CK_ATTRIBUTE *template, CK_ULONG n,
                     struct attrs *a)
{
    if (!from)
        return CKR_OK;
    if (attrs_true(&from->attrs, CKA_SENSITIVE) && !attrs_true(a, CKA_SENSITIVE)) {
        if (said(template, n, CKA_SENSITIVE))
            return CKR_TEMPLATE_INCONSISTENT;
        TRY(attrs_set_bool(a, CKA_SENSITIVE, true));
    }
    if (!attrs_true(&from->attrs, CKA_EXTRACTABLE) && attrs_true(a, CKA_EXTRACTABLE)) {
        if (said(template, n, CKA_EXTRACTABLE))
            return CKR_TEMPLATE_INCONSISTENT;
        TRY(attrs_set_bool(a, CKA_EXTRACTABLE, false));
    }
    return CKR_OK;
}

/* 3.2, 6.43.3: both keys have been kept; 6.42.7: one of them. 6.62.3: a salt's past is not the new
 * key's. */
static CK_RV history_of_other(const struct derivation *d, struct object *o)
{
    if (d->mech->glues)
        return key_history_both(o, d->other);
    return d->mech->like_base ? key_history_either(o, d->other) : CKR_OK;
}

static CK_RV settle(struct session *s, struct derivation *d, struct object *o, struct bytes value)
{
    if (attrs_ulong(&o->attrs, CKA_CLASS, 0) == CKO_DATA)
        return attrs_set(&o->attrs, CKA_VALUE, value);
    TRY(key_check_value_length(attrs_ulong(&o->attrs, CKA_KEY_TYPE, 0), value.n));
    TRY(attrs_set_ulong(&o->attrs, CKA_VALUE_LEN, (CK_ULONG)value.n));
    TRY(key_history(o, ORIGIN_DERIVED, 0, d->history));
    if (d->other)
        TRY(history_of_other(d, o));
    return key_place(s, o, ORIGIN_DERIVED, &(struct material){.value = value}, 0);
}

/* ---- the derivation ------------------------------------------------------------------------ */

static bool kept(const struct object *o)
{
    return o && (attrs_true(&o->attrs, CKA_SENSITIVE) || !attrs_true(&o->attrs, CKA_EXTRACTABLE));
}

static CK_RV run(struct session *s, struct derivation *d, struct secret *ret)
{
    size_t total = 0;
    for (size_t i = 0; i < d->n; i++) {
        if (d->n > 1 && !d->length[i]) /* where would one end and the next begin? */
            return CKR_TEMPLATE_INCOMPLETE;
        total += d->length[i];
    }
    if (total > MECH_SECRET_MAX)
        return CKR_KEY_SIZE_RANGE;
    TRY(key_hold(s->token, d->base, &d->base_held));
    struct mech_call call = {.mech = d->mech,
                             .params = &d->params,
                             .key = &d->base_held.key,
                             .other = d->other_held.key.value,
                             .kept = kept(d->base) || kept(d->other),
                             .extra_n = d->length + 1,
                             .tpm = s->token->lib->tpm};
    return token_use_rv(d->mech->derive(&call, total, ret));
}

static CK_RV cut(struct session *s, struct derivation *d, struct bytes block)
{
    if (d->n == 1)
        return settle(s, d, d->made[0], block);
    for (size_t i = 0; i < d->n; i++) {
        TRY(settle(s, d, d->made[i], BYTES(block.p, d->length[i])));
        block = BYTES(block.p + d->length[i], block.n - d->length[i]);
    }
    return CKR_OK;
}

/* 3.2, 6.42.6: the handle tells whose template is at fault. */
static CK_RV add_extra(struct session *s, struct derivation *d, const struct mech_extra_key *k)
{
    static const CK_OBJECT_HANDLE none = CK_INVALID_HANDLE;
    CK_RV rv = add_object(s, d, k->template, k->n);
    if (rv != CKR_OK)
        memcpy(k->ret, &none, sizeof(none));
    return rv;
}

static CK_RV derive_ordinary(struct session *s, struct derivation *d, const CK_ATTRIBUTE *template,
                             CK_ULONG n, CK_OBJECT_HANDLE *ret)
{
    const struct mech_derivation *p = &d->params.derivation;
    CLEANUP(secret_free) struct secret block = {0};
    TRY(add_object(s, d, template, n));
    if (d->mech->glues) {
        TRY(inherit(d->base, template, n, &d->made[0]->attrs));
        TRY(inherit(d->other, template, n, &d->made[0]->attrs));
    }
    for (size_t i = 0; i < p->n_extra; i++)
        TRY(add_extra(s, d, &p->extra[i]));
    TRY(run(s, d, &block));
    TRY(cut(s, d, secret_bytes(&block)));
    TRY(objects_publish(s, d->made, d->n));
    *ret = d->made[0]->handle;
    for (size_t i = 0; i < p->n_extra; i++)
        memcpy(p->extra[i].ret, &d->made[1 + i]->handle, sizeof(CK_OBJECT_HANDLE));
    return CKR_OK;
}

/* ---- TLS 1.2 key and MAC (2.40, 2.39.6): four keys and two IVs ------------------------------ */

static CK_RV add_mac_key(struct session *s, struct derivation *d)
{
    CK_OBJECT_CLASS cls = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_GENERIC_SECRET;
    CK_BBOOL yes = CK_TRUE;
    CK_ULONG length = (CK_ULONG)d->params.derivation.mac_bits / 8;
    CK_ATTRIBUTE template[] = {{CKA_CLASS, &cls, sizeof(cls)},
                               {CKA_KEY_TYPE, &type, sizeof(type)},
                               {CKA_SIGN, &yes, 1},
                               {CKA_VERIFY, &yes, 1},
                               {CKA_DERIVE, &yes, 1},
                               {CKA_VALUE_LEN, &length, sizeof(length)}};
    return add_object(s, d, template, sizeof(template) / sizeof(*template));
}

static CK_RV add_write_key(struct session *s, struct derivation *d, const CK_ATTRIBUTE *template,
                           CK_ULONG n)
{
    CK_ULONG length = (CK_ULONG)d->params.derivation.key_bits / 8;
    CK_BBOOL yes = CK_TRUE;
    CK_ATTRIBUTE *with = calloc(n + 2, sizeof(*with));
    if (!with)
        return CKR_HOST_MEMORY;
    if (n)
        memcpy(with, template, n * sizeof(*with));
    CK_ULONG n_with = n;
    with[n_with++] = (CK_ATTRIBUTE){CKA_VALUE_LEN, &length, sizeof(length)};
    if (!said(template, n, CKA_DERIVE)) /* 3.2, 6.40.6: the default here */
        with[n_with++] = (CK_ATTRIBUTE){CKA_DERIVE, &yes, 1};
    CK_RV rv = add_object(s, d, with, n_with);
    free(with);
    return rv;
}

/* In the order of the key block (RFC 5246, 6.3): MAC keys, write keys, each client first. */
static CK_RV tell_material(struct derivation *d, const struct secret *block)
{
    const struct mech_derivation *p = &d->params.derivation;
    CK_SSL3_KEY_MAT_OUT out;
    memcpy(&out, p->material, sizeof(out)); /* it may lie at any address */
    CK_OBJECT_HANDLE *where[] = {&out.hClientMacSecret, &out.hServerMacSecret, &out.hClientKey,
                                 &out.hServerKey};
    size_t skip = p->mac_bits ? 0 : 2;
    for (size_t i = 0; i < 4; i++)
        *where[i] = CK_INVALID_HANDLE;
    for (size_t i = 0; i < d->n; i++)
        *where[skip + i] = d->made[i]->handle;
    if (p->iv_n) {
        memcpy(out.pIVClient, block->p + block->n - 2 * p->iv_n, p->iv_n);
        memcpy(out.pIVServer, block->p + block->n - p->iv_n, p->iv_n);
    }
    memcpy(p->material, &out, sizeof(out));
    return CKR_OK;
}

static CK_RV derive_material(struct session *s, struct derivation *d, const CK_ATTRIBUTE *template,
                             CK_ULONG n)
{
    const struct mech_derivation *p = &d->params.derivation;
    CLEANUP(secret_free) struct secret block = {0};
    for (int i = 0; i < 2 && p->mac_bits; i++)
        TRY(add_mac_key(s, d));
    for (int i = 0; i < 2 && p->key_bits; i++)
        TRY(add_write_key(s, d, template, n));
    TRY(key_hold(s->token, d->base, &d->base_held));
    struct mech_call call = {.mech = d->mech,
                             .params = &d->params,
                             .key = &d->base_held.key,
                             .kept = kept(d->base),
                             .tpm = s->token->lib->tpm};
    TRY(d->mech->derive(&call, 0, &block));
    struct bytes rest = secret_bytes(&block);
    for (size_t i = 0; i < d->n; i++) {
        TRY(settle(s, d, d->made[i], BYTES(rest.p, d->length[i])));
        rest = BYTES(rest.p + d->length[i], rest.n - d->length[i]);
    }
    TRY(objects_publish(s, d->made, d->n));
    return tell_material(d, &block);
}

CK_RV session_derive(struct session *s, const CK_MECHANISM *mechanism, CK_OBJECT_HANDLE base,
                     const CK_ATTRIBUTE *template, CK_ULONG n, CK_OBJECT_HANDLE *ret)
{
    CLEANUP(derivation_free) struct derivation d = begin(mechanism, CKA_DERIVE_TEMPLATE);
    if (!d.mech || !d.mech->derive)
        return CKR_MECHANISM_INVALID;
    TOKEN_READ(s->token);
    TRY(base_key(s, base, d.mech, CKA_DERIVE, base_class(d.mech), &d.base));
    d.history = d.base; /* 3.2: not so for a key that was encapsulated */
    struct mech_key key = object_mech_key(d.base);
    TRY(d.mech->params(d.mech, mechanism, &key, &d.params));
    TRY(other_key(s, &d));
    if (d.params.derivation.material)
        return derive_material(s, &d, template, n);
    return ret ? derive_ordinary(s, &d, template, n, ret) : CKR_ARGUMENTS_BAD;
}

/* ---- encapsulation (3.2, 5.18.8, 5.18.9) --------------------------------------------------- */

/* The length of a ciphertext is that of the point it is. */
static size_t ciphertext_size(const struct object *key)
{
    size_t field = curve_field_size(object_mech_key(key).curve);
    return object_mech_key(key).curve < CURVE_COUNT ? 1 + 2 * field : field;
}

static CK_RV encapsulation_params(struct derivation *d, const CK_MECHANISM *mechanism)
{
    struct mech_key key = object_mech_key(d->base);
    TRY(d->mech->params(d->mech, mechanism, &key, &d->params));
    return d->params.peer.n ? CKR_MECHANISM_PARAM_INVALID
                            : CKR_OK; /* it is made, or given beside */
}

static CK_RV encapsulate(struct session *s, struct derivation *d, struct buf *ret_ciphertext)
{
    CLEANUP(soft_key_free) struct soft_key *public_ = NULL;
    CLEANUP(secret_free) struct secret value = {0};
    TRY(object_public(d->base, &public_));
    struct mech_key key = object_mech_key(d->base);
    key.public_ = public_;
    struct mech_call call = {
        .mech = d->mech, .params = &d->params, .key = &key, .tpm = s->token->lib->tpm};
    TRY(d->mech->encapsulate(&call, d->length[0], ret_ciphertext, &value));
    return settle(s, d, d->made[0], secret_bytes(&value));
}

CK_RV session_encapsulate(struct session *s, const CK_MECHANISM *mechanism,
                          CK_OBJECT_HANDLE public_key, const CK_ATTRIBUTE *template, CK_ULONG n,
                          CK_BYTE *out, CK_ULONG *out_n, CK_OBJECT_HANDLE *ret)
{
    CLEANUP(derivation_free) struct derivation d = begin(mechanism, CKA_ENCAPSULATE_TEMPLATE);
    CLEANUP(buf_free) struct buf ciphertext = {0};
    if (!d.mech || !d.mech->encapsulate)
        return CKR_MECHANISM_INVALID;
    TOKEN_READ(s->token);
    TRY(base_key(s, public_key, d.mech, CKA_ENCAPSULATE, CKO_PUBLIC_KEY, &d.base));
    TRY(encapsulation_params(&d, mechanism));
    CK_ULONG room = *out_n;
    *out_n = (CK_ULONG)ciphertext_size(d.base);
    if (!out)
        return CKR_OK;
    if (room < *out_n)
        return CKR_BUFFER_TOO_SMALL;
    TRY(add_object(s, &d, template, n));
    TRY(encapsulate(s, &d, &ciphertext));
    TRY(objects_publish(s, d.made, 1));
    memcpy(out, ciphertext.p, ciphertext.n);
    *ret = d.made[0]->handle;
    return CKR_OK;
}

/* The codes of 3.2, 5.18.9 are those of unwrapping. */
static CK_RV decapsulation_rv(CK_RV rv)
{
    switch (rv) {
    case CKR_KEY_HANDLE_INVALID:
        return CKR_UNWRAPPING_KEY_HANDLE_INVALID;
    case CKR_KEY_TYPE_INCONSISTENT:
        return CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT;
    case CKR_MECHANISM_PARAM_INVALID: /* the point in the ciphertext, not in a parameter */
        return CKR_WRAPPED_KEY_INVALID;
    default:
        return rv;
    }
}

CK_RV session_decapsulate(struct session *s, const CK_MECHANISM *mechanism,
                          CK_OBJECT_HANDLE private_key, const CK_ATTRIBUTE *template, CK_ULONG n,
                          struct bytes ciphertext, CK_OBJECT_HANDLE *ret)
{
    CLEANUP(derivation_free) struct derivation d = begin(mechanism, CKA_DECAPSULATE_TEMPLATE);
    CLEANUP(secret_free) struct secret value = {0};
    if (!d.mech || !d.mech->encapsulate)
        return CKR_MECHANISM_INVALID;
    TOKEN_READ(s->token);
    TRY(decapsulation_rv(
        base_key(s, private_key, d.mech, CKA_DECAPSULATE, CKO_PRIVATE_KEY, &d.base)));
    TRY(encapsulation_params(&d, mechanism));
    if (ciphertext.n != ciphertext_size(d.base))
        return CKR_WRAPPED_KEY_LEN_RANGE;
    TRY(buf_set(&d.params.peer, ciphertext));
    TRY(add_object(s, &d, template, n));
    TRY(decapsulation_rv(run(s, &d, &value)));
    TRY(settle(s, &d, d.made[0], secret_bytes(&value)));
    TRY(objects_publish(s, d.made, 1));
    *ret = d.made[0]->handle;
    return CKR_OK;
}
