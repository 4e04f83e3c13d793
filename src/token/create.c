#include "internal.h"

#include <latchkey/vendor.h>

/* C_CreateObject, C_DestroyObject, C_GetAttributeValue, C_SetAttributeValue. */

/* ---- what is completed by class ------------------------------------------------------------ */

/* Fills an attribute that the template left empty. */
static CK_RV fill(struct attrs *a, CK_ATTRIBUTE_TYPE type, struct bytes value)
{
    return attrs_bytes(a, type).n || !value.n ? CKR_OK : attrs_set(a, type, value);
}

/* The same for one that follows from the others: clients read the key out of it, so a given one
 * must be the right one. */
static CK_RV fill_exact(struct attrs *a, CK_ATTRIBUTE_TYPE type, struct bytes value)
{
    struct bytes given = attrs_bytes(a, type);
    if (given.n && !bytes_equal(given, value))
        return CKR_TEMPLATE_INCONSISTENT;
    return attrs_set(a, type, value);
}

/* A public key's SPKI, where the template gave one. */
static CK_RV fill_exact_spki(struct attrs *a, const struct soft_key *key)
{
    CLEANUP(buf_free) struct buf spki = {0};
    TRY(soft_key_spki(key, &spki));
    return fill_exact(a, CKA_PUBLIC_KEY_INFO, buf_bytes(&spki));
}

static bool no_date(const CK_DATE *date)
{
    return date->year[0] == 0;
}

/* 2.40, 4.6.2: the first three bytes of the SHA-1 of the value. */
static CK_RV check_value(struct attrs *a)
{
    uint8_t hash[HASH_MAX];
    struct bytes value = attrs_bytes(a, CKA_VALUE), given = attrs_bytes(a, CKA_CHECK_VALUE);
    TRY(soft_hash(HASH_SHA1, &value, 1, hash));
    if (attrs_find(a, CKA_CHECK_VALUE)) /* 4.10.2: empty is allowed, a wrong one is not */
        return given.n == 0 || bytes_equal(given, BYTES(hash, 3)) ? CKR_OK
                                                                  : CKR_ATTRIBUTE_VALUE_INVALID;
    return attrs_set(a, CKA_CHECK_VALUE, BYTES(hash, 3));
}

static CK_RV finish_certificate(struct attrs *a)
{
    CLEANUP(soft_certificate_free) struct soft_certificate c = {0};
    if (attrs_ulong(a, CKA_CERTIFICATE_TYPE, 0) != CKC_X_509)
        return CKR_ATTRIBUTE_VALUE_INVALID;
    if (!attrs_bytes(a, CKA_VALUE).n) /* by CKA_URL alone: clients here could not follow it */
        return CKR_TEMPLATE_INCOMPLETE;
    TRY(soft_certificate_parse(attrs_bytes(a, CKA_VALUE), &c));
    TRY(fill_exact(a, CKA_SUBJECT, buf_bytes(&c.subject)));
    TRY(fill(a, CKA_ISSUER, buf_bytes(&c.issuer)));
    TRY(fill(a, CKA_SERIAL_NUMBER, buf_bytes(&c.serial)));
    TRY(fill_exact(a, CKA_PUBLIC_KEY_INFO, buf_bytes(&c.spki)));
    if (!no_date(&c.start))
        TRY(fill(a, CKA_START_DATE, BYTES(&c.start, sizeof(c.start))));
    if (!no_date(&c.end))
        TRY(fill(a, CKA_END_DATE, BYTES(&c.end, sizeof(c.end))));
    return check_value(a);
}

static CK_RV finish_public_key(struct object *o)
{
    CLEANUP(soft_key_free) struct soft_key *key = NULL;
    struct attrs *a = &o->attrs;
    struct mech_key k = object_mech_key(o);
    if (k.type != CKK_RSA && k.curve == CURVE_NONE)
        return CKR_CURVE_NOT_SUPPORTED;
    TRY(object_public(o, &key));
    if (k.type == CKK_RSA)
        TRY(attrs_set_ulong(a, CKA_MODULUS_BITS, (CK_ULONG)k.modulus_bits));
    TRY(fill_exact_spki(a, key));
    TRY(key_describe(a, key));
    return key_history(o, ORIGIN_CREATED, 0, NULL);
}

static CK_RV finish_class(struct session *s, const CK_ATTRIBUTE *template, CK_ULONG n,
                          struct object *o)
{
    switch (attrs_ulong(&o->attrs, CKA_CLASS, CK_UNAVAILABLE_INFORMATION)) {
    case CKO_DATA:
        return CKR_OK;
    case CKO_CERTIFICATE:
        return finish_certificate(&o->attrs);
    case CKO_PUBLIC_KEY:
        return finish_public_key(o);
    default:
        return key_from_template(s, template, n, o);
    }
}

/* ---- creating ------------------------------------------------------------------------------ */

static CK_RV build(struct session *s, const CK_ATTRIBUTE *template, CK_ULONG n, struct object *o)
{
    CK_ULONG cls = CK_UNAVAILABLE_INFORMATION, type = CK_UNAVAILABLE_INFORMATION;
    TRY(attrs_template_ulong(template, n, CKA_CLASS, &cls));
    TRY(attrs_template_ulong(template, n, CKA_KEY_TYPE, &type));
    if (cls == CK_UNAVAILABLE_INFORMATION)
        return CKR_TEMPLATE_INCOMPLETE;
    bool key = cls == CKO_PUBLIC_KEY || cls == CKO_PRIVATE_KEY || cls == CKO_SECRET_KEY;
    if (key && type == CK_UNAVAILABLE_INFORMATION)
        return CKR_TEMPLATE_INCOMPLETE;
    TRY(attrs_new(ATTR_CREATE, cls, type, template, n, s->token->login == LOGIN_SO, &o->attrs));
    TRY(object_finish(o));
    TRY(access_write(s, attrs_true(&o->attrs, CKA_TOKEN), o->private_));
    return finish_class(s, template, n, o);
}

CK_RV session_create_object(struct session *s, const CK_ATTRIBUTE *template, CK_ULONG n,
                            CK_OBJECT_HANDLE *ret)
{
    CLEANUP(object_unref) struct object *o = NULL;
    TOKEN_READ(s->token);
    TRY(object_new(&o));
    TRY(build(s, template, n, o));
    TRY(objects_publish(s, &o, 1));
    *ret = o->handle;
    return CKR_OK;
}

CK_RV session_destroy_object(struct session *s, CK_OBJECT_HANDLE handle)
{
    CLEANUP(object_unref) struct object *o = NULL;
    TOKEN_READ(s->token);
    TRY(object_get(s, handle, &o));
    TRY(access_write(s, o->row != 0, o->private_));
    if (!attrs_true(&o->attrs, CKA_DESTROYABLE))
        return CKR_ACTION_PROHIBITED;
    return object_remove(s, o);
}

/* ---- reading ------------------------------------------------------------------------------- */

static CK_RV unavailable(CK_ATTRIBUTE *a, CK_RV rv)
{
    a->ulValueLen = CK_UNAVAILABLE_INFORMATION;
    return rv;
}

/* Cases 1 and 2, and what is not kept among the attributes: the parts of a key. */
static CK_RV get_one(struct token *t, const struct object *o, CK_ATTRIBUTE *a)
{
    CLEANUP(secret_free) struct secret part = {0};
    if (!attrs_revealable(&o->attrs, a->type))
        return unavailable(a, CKR_ATTRIBUTE_SENSITIVE);
    if (!attrs_known(&o->attrs, a->type))
        return unavailable(a, CKR_ATTRIBUTE_TYPE_INVALID);
    if (attrs_find(&o->attrs, a->type))
        return attrs_is_template(a->type) ? attrs_tell_template(attrs_bytes(&o->attrs, a->type), a)
                                          : attrs_tell(attrs_bytes(&o->attrs, a->type), a);
    CK_RV rv = key_secret_attribute(t, o, a->type, &part);
    if (rv == CKR_USER_NOT_LOGGED_IN) /* sealed: no code of 5.7.5, where this one says "cannot" */
        rv = CKR_ATTRIBUTE_SENSITIVE;
    return rv == CKR_OK ? attrs_tell(secret_bytes(&part), a) : unavailable(a, rv);
}

CK_RV session_get_attributes(struct session *s, CK_OBJECT_HANDLE handle, CK_ATTRIBUTE *template,
                             CK_ULONG n)
{
    CLEANUP(object_unref) struct object *o = NULL;
    TOKEN_READ(s->token);
    TRY(object_get(s, handle, &o));
    CK_RV rv = CKR_OK;
    for (CK_ULONG i = 0; i < n; i++) { /* every one is filled, whatever the others answer */
        CK_RV one = get_one(s->token, o, &template[i]);
        if (rv == CKR_OK)
            rv = one;
    }
    return rv;
}

/* ---- changing ------------------------------------------------------------------------------ */

static CK_RV same_key(const struct object *old, struct object *o)
{
    memcpy(o->uid, old->uid, sizeof(o->uid));
    o->private_ = old->private_;
    o->parent = old->parent;
    o->auth = old->auth;
    TRY(buf_set(&o->pub, buf_bytes(&old->pub)));
    TRY(buf_set(&o->priv, buf_bytes(&old->priv)));
    TRY(buf_set(&o->parent_name, buf_bytes(&old->parent_name)));
    if (old->own_auth.p)
        TRY(secret_copy(&o->own_auth, secret_bytes(&old->own_auth)));
    if (old->private_key)
        TRY(soft_private_copy(old->private_key, &o->private_key));
    return old->value.p ? secret_copy(&o->value, secret_bytes(&old->value)) : CKR_OK;
}

CK_RV session_set_attributes(struct session *s, CK_OBJECT_HANDLE handle,
                             const CK_ATTRIBUTE *template, CK_ULONG n)
{
    CLEANUP(object_unref) struct object *old = NULL, *fresh = NULL;
    TOKEN_READ(s->token);
    TRY(object_get(s, handle, &old));
    TRY(access_write(s, old->row != 0, old->private_));
    if (old->row && old->priv.n && !old->private_ && !old->sealed_with_login)
        /* without login its MAC could not be renewed, and under one a forged row must not get one
         */
        return s->token->login == LOGIN_NONE ? CKR_USER_NOT_LOGGED_IN : CKR_DEVICE_ERROR;
    if (!attrs_true(&old->attrs, CKA_MODIFIABLE))
        return CKR_ACTION_PROHIBITED; /* 2.40, 4.4: CKA_MODIFIABLE false */
    TRY(object_new(&fresh));
    TRY(attrs_changed(&old->attrs, template, n, s->token->login == LOGIN_SO, &fresh->attrs));
    TRY(same_key(old, fresh));
    return object_replace(s, old, fresh);
}

/* ---- copying and size ---------------------------------------------------------------------- */

/* The copy of a TPM key is the same key with the same authorization, which follows from the first
 * one's id: it is remembered, for the copy has an id of its own. */
static CK_RV remember_origin(const struct object *old, struct object *o)
{
    if (attrs_find(&o->attrs, ATTR_AUTH_ORIGIN))
        return CKR_OK;
    return attrs_set(&o->attrs, ATTR_AUTH_ORIGIN, BYTES_OF(old->uid));
}

/* A session's TPM key made without login gets, to be stored, the authorization of stored keys. */
static CK_RV adopt(struct token *t, const struct object *old, struct object *o)
{
    CLEANUP(key_release) struct held_key held = {0};
    CLEANUP(secret_free) struct secret auth = {0};
    CLEANUP(buf_free) struct buf priv = {0};
    TRY(key_hold(t, old, &held));
    secret_free(&o->own_auth);
    TRY(key_authorization(t, o, &auth));
    TRY(token_use_rv(tpm_rekey(t->lib->tpm, &held.tpm, secret_bytes(&auth), &priv)));
    return buf_set(&o->priv, buf_bytes(&priv));
}

static CK_RV copy_tpm_key(struct session *s, const struct object *old, struct object *o)
{
    uint8_t uid[sizeof(o->uid)];
    bool stored = attrs_true(&o->attrs, CKA_TOKEN);
    if (stored && s->token->login == LOGIN_NONE) /* without one its row would bear no mark */
        return CKR_USER_NOT_LOGGED_IN;
    memcpy(uid, o->uid, sizeof(uid));
    TRY(same_key(old, o));
    memcpy(o->uid, uid, sizeof(uid));
    o->private_ = attrs_true(&o->attrs, CKA_PRIVATE);
    if (!old->own_auth.p)
        return remember_origin(old, o);
    return stored ? adopt(s->token, old, o) : CKR_OK;
}

static CK_RV copy_software_key(struct session *s, const struct object *old, struct object *o)
{
    CLEANUP(key_release) struct held_key held = {0};
    TRY(key_hold(s->token, old, &held));
    TRY(attrs_set(&o->attrs, CKA_LATCHKEY_PROTECTION, NO_BYTES));
    return key_place(s, o, ORIGIN_COPIED, &(struct material){held.key.value, held.key.private_}, 0);
}

/* A key's bytes do not become less private by copying. */
static CK_RV copy_key(struct session *s, const struct object *old, struct object *o)
{
    enum protection p = object_protection(old);
    if (p == PROTECTION_NONE)
        return CKR_OK;
    if (old->private_ && !o->private_)
        return CKR_TEMPLATE_INCONSISTENT;
    return p == PROTECTION_TPM ? copy_tpm_key(s, old, o) : copy_software_key(s, old, o);
}

CK_RV session_copy_object(struct session *s, CK_OBJECT_HANDLE handle, const CK_ATTRIBUTE *template,
                          CK_ULONG n, CK_OBJECT_HANDLE *ret)
{
    CLEANUP(object_unref) struct object *old = NULL, *o = NULL;
    TOKEN_READ(s->token);
    TRY(object_get(s, handle, &old));
    if (!attrs_true(&old->attrs, CKA_COPYABLE))
        return CKR_ACTION_PROHIBITED;
    if (old->row && old->priv.n && !old->private_ && !old->sealed_with_login)
        return CKR_USER_NOT_LOGGED_IN; /* a forged row must not get a MAC */
    TRY(object_new(&o));
    TRY(attrs_copied(&old->attrs, template, n, s->token->login == LOGIN_SO, &o->attrs));
    TRY(object_finish(o));
    TRY(access_write(s, attrs_true(&o->attrs, CKA_TOKEN), o->private_));
    TRY(copy_key(s, old, o));
    TRY(objects_publish(s, &o, 1));
    *ret = o->handle;
    return CKR_OK;
}

CK_RV session_object_size(struct session *s, CK_OBJECT_HANDLE handle, CK_ULONG *ret)
{
    CLEANUP(object_unref) struct object *o = NULL;
    CLEANUP(buf_free) struct buf packed = {0};
    TOKEN_READ(s->token);
    TRY(object_get(s, handle, &o));
    TRY(attrs_pack(&o->attrs, &packed));
    *ret = (CK_ULONG)(packed.n + o->pub.n + o->priv.n + o->value.n);
    return CKR_OK;
}
