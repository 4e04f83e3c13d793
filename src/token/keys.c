#include "internal.h"

/* C_GenerateKeyPair and C_DeriveKey. */

/* ---- what both halves of a pair must agree on ---------------------------------------------- */

struct pair {
    const struct mech *mech;
    struct object *public_, *private_;
    struct mech_pair_wanted wanted;
    struct secret auth;
    struct tpm_key_made made;
};

static void pair_free(struct pair *p)
{
    object_unref(&p->public_);
    object_unref(&p->private_);
    secret_free(&p->auth);
    tpm_key_made_free(&p->made);
}

/* A template may say class and key type, but only the right ones. */
static CK_RV check_type(const CK_ATTRIBUTE *template, CK_ULONG n, CK_OBJECT_CLASS cls,
                        CK_KEY_TYPE type)
{
    CK_ULONG said_class = cls, said_type = type;
    TRY(attrs_template_ulong(template, n, CKA_CLASS, &said_class));
    TRY(attrs_template_ulong(template, n, CKA_KEY_TYPE, &said_type));
    return said_class == cls && said_type == type ? CKR_OK : CKR_TEMPLATE_INCONSISTENT;
}

static CK_RV want_rsa(struct library *lib, struct pair *p)
{
    struct tpm_caps caps;
    CK_ULONG bits = attrs_ulong(&p->public_->attrs, CKA_MODULUS_BITS, 0);
    struct bytes e = attrs_bytes(&p->public_->attrs, CKA_PUBLIC_EXPONENT);
    TRY(library_caps(lib, &caps));
    if (bits < 1024 || bits % 1024 || bits > 32768 || !(caps.rsa_sizes & (1u << (bits / 1024 - 1))))
        return CKR_KEY_SIZE_RANGE;
    p->wanted.modulus_bits = (unsigned)bits;
    p->wanted.exponent = 65537;
    while (e.n && e.p[0] == 0)
        e = BYTES(e.p + 1, e.n - 1);
    if (e.n > 4)
        return CKR_ATTRIBUTE_VALUE_INVALID;
    if (e.n) {
        p->wanted.exponent = 0;
        for (size_t i = 0; i < e.n; i++)
            p->wanted.exponent = p->wanted.exponent << 8 | e.p[i];
    }
    /* TPM 2.0 part 1, B.2: odd, greater than 2^16 */
    return p->wanted.exponent > 65536 && p->wanted.exponent % 2 ? CKR_OK
                                                                : CKR_ATTRIBUTE_VALUE_INVALID;
}

static CK_RV want_ec(struct library *lib, struct pair *p)
{
    struct tpm_caps caps;
    TRY(library_caps(lib, &caps));
    p->wanted.curve = curve_from_params(attrs_bytes(&p->public_->attrs, CKA_EC_PARAMS));
    if (p->wanted.curve == CURVE_NONE || !(caps.curves & (1u << p->wanted.curve)))
        return CKR_CURVE_NOT_SUPPORTED;
    return CKR_OK;
}

/* ---- the objects --------------------------------------------------------------------------- */

static CK_RV fill_rsa(struct pair *p)
{
    struct object *both[] = {p->public_, p->private_};
    for (int i = 0; i < 2; i++) {
        TRY(attrs_set(&both[i]->attrs, CKA_MODULUS, buf_bytes(&p->made.modulus)));
        TRY(attrs_set(&both[i]->attrs, CKA_PUBLIC_EXPONENT, buf_bytes(&p->made.exponent)));
    }
    return CKR_OK;
}

static CK_RV fill_ec(struct pair *p)
{
    CLEANUP(buf_free) struct buf point = {0};
    struct object *both[] = {p->public_, p->private_};
    TRY(soft_octet_string(buf_bytes(&p->made.point), &point));
    for (int i = 0; i < 2; i++) {
        TRY(attrs_set(&both[i]->attrs, CKA_EC_PARAMS, curve_oid(p->wanted.curve)));
        TRY(attrs_set(&both[i]->attrs, CKA_EC_POINT, buf_bytes(&point)));
    }
    return CKR_OK;
}

static CK_RV fill_common(struct pair *p)
{
    CLEANUP(soft_key_free) struct soft_key *key = NULL;
    CLEANUP(buf_free) struct buf spki = {0};
    struct object *both[] = {p->public_, p->private_};
    TRY(object_public(p->public_, &key));
    TRY(soft_key_spki(key, &spki));
    for (int i = 0; i < 2; i++) {
        struct attrs *a = &both[i]->attrs;
        TRY(attrs_set(a, CKA_PUBLIC_KEY_INFO, buf_bytes(&spki)));
        TRY(attrs_set_bool(a, CKA_LOCAL, true));
        TRY(attrs_set_ulong(a, CKA_KEY_GEN_MECHANISM, p->mech->type));
    }
    struct attrs *a = &p->private_->attrs;
    TRY(attrs_set_bool(a, CKA_ALWAYS_SENSITIVE, attrs_true(a, CKA_SENSITIVE)));
    return attrs_set_bool(a, CKA_NEVER_EXTRACTABLE, !attrs_true(a, CKA_EXTRACTABLE));
}

/* ---- the key in the TPM -------------------------------------------------------------------- */

/* The authorization follows from S and the object's id; without login (a session key with
 * CKA_PRIVATE false) it is random and lives with the object. */
static CK_RV prepare_key(struct token *t, struct pair *p)
{
    struct object *o = p->private_;
    struct tpm_key key;
    p->wanted.parent = token_parent(&t->row);
    o->parent = t->row.parent;
    TRY(buf_set(&o->parent_name, buf_bytes(&t->row.parent_name)));
    o->auth = STORE_AUTH_DERIVED;
    if (t->login != LOGIN_USER) {
        if (attrs_true(&o->attrs, CKA_TOKEN))
            return CKR_USER_NOT_LOGGED_IN; /* a token key's authorization is made from S */
        TRY(secret_new(&o->own_auth, TPM_AUTH));
        TRY(soft_random(o->own_auth.p, o->own_auth.n));
    }
    TRY(object_tpm_key(t, o, &p->auth, &key));
    p->wanted.auth = key.auth;
    return CKR_OK;
}

static CK_RV make(struct session *s, struct pair *p)
{
    struct object *o = p->private_;
    bool rsa = p->mech->key_type == CKK_RSA;
    TRY(rsa ? want_rsa(s->token->lib, p) : want_ec(s->token->lib, p));
    TRY(object_finish(p->public_));
    TRY(object_finish(o));
    TRY(access_write(s, attrs_true(&p->public_->attrs, CKA_TOKEN), p->public_->private_));
    TRY(access_write(s, attrs_true(&o->attrs, CKA_TOKEN), o->private_));
    TRY(prepare_key(s->token, p));
    TRY(token_use_rv(p->mech->generate_pair(s->token->lib->tpm, &p->wanted, &p->made)));
    TRY(buf_set(&o->pub, buf_bytes(&p->made.pub)));
    TRY(buf_set(&o->priv, buf_bytes(&p->made.priv)));
    TRY(rsa ? fill_rsa(p) : fill_ec(p));
    return fill_common(p);
}

static CK_RV read_templates(struct pair *p, const CK_ATTRIBUTE *public_template, CK_ULONG public_n,
                            const CK_ATTRIBUTE *private_template, CK_ULONG private_n)
{
    CK_KEY_TYPE type = p->mech->key_type;
    TRY(check_type(public_template, public_n, CKO_PUBLIC_KEY, type));
    TRY(check_type(private_template, private_n, CKO_PRIVATE_KEY, type));
    TRY(object_new(&p->public_));
    TRY(object_new(&p->private_));
    TRY(attrs_new(ATTR_GENERATE, CKO_PUBLIC_KEY, type, public_template, public_n, false,
                  &p->public_->attrs));
    TRY(attrs_new(ATTR_GENERATE, CKO_PRIVATE_KEY, type, private_template, private_n, false,
                  &p->private_->attrs));
    /* 2.40, 4.9: only where CKA_PRIVATE is true too */
    if (attrs_true(&p->private_->attrs, CKA_ALWAYS_AUTHENTICATE) &&
        !attrs_true(&p->private_->attrs, CKA_PRIVATE))
        return CKR_TEMPLATE_INCONSISTENT;
    if (attrs_true(&p->private_->attrs, CKA_EXTRACTABLE)) {
        log_error("a key made in the TPM never leaves it: CKA_EXTRACTABLE must be false");
        return CKR_TEMPLATE_INCONSISTENT;
    }
    return CKR_OK;
}

CK_RV session_generate_pair(struct session *s, const CK_MECHANISM *mechanism,
                            const CK_ATTRIBUTE *public_template, CK_ULONG public_n,
                            const CK_ATTRIBUTE *private_template, CK_ULONG private_n,
                            CK_OBJECT_HANDLE *ret_public, CK_OBJECT_HANDLE *ret_private)
{
    CLEANUP(pair_free) struct pair p = {.mech = mech_find(mechanism->mechanism)};
    CLEANUP(mech_params_free) struct mech_params params = {0};
    if (!p.mech || !p.mech->generate_pair)
        return CKR_MECHANISM_INVALID;
    TRY(p.mech->params(p.mech, mechanism, NULL, &params));
    TOKEN_READ(s->token);
    TRY(read_templates(&p, public_template, public_n, private_template, private_n));
    TRY(make(s, &p));
    TRY(objects_publish(s, (struct object *[]){p.public_, p.private_}, 2));
    *ret_public = p.public_->handle;
    *ret_private = p.private_->handle;
    return CKR_OK;
}

/* ---- derivation ---------------------------------------------------------------------------- */

static CK_RV base_key(struct session *s, CK_OBJECT_HANDLE handle, const struct mech *m,
                      struct object **ret)
{
    CLEANUP(object_unref) struct object *o = NULL;
    if (object_get(s, handle, &o) != CKR_OK)
        return CKR_KEY_HANDLE_INVALID;
    if (attrs_ulong(&o->attrs, CKA_CLASS, 0) != CKO_PRIVATE_KEY ||
        attrs_ulong(&o->attrs, CKA_KEY_TYPE, 0) != m->key_type)
        return CKR_KEY_TYPE_INCONSISTENT;
    if (!attrs_true(&o->attrs, CKA_DERIVE))
        return CKR_KEY_FUNCTION_NOT_PERMITTED;
    if (attrs_true(&o->attrs, CKA_ALWAYS_AUTHENTICATE)) /* there is no C_…Init to log in after */
        return CKR_USER_NOT_LOGGED_IN;
    TRY(key_mechanism_allowed(o, m->type));
    *ret = o;
    o = NULL;
    return CKR_OK;
}

/* 2.40, 2.3.5: the new key is as sensitive as the base key was. */
static CK_RV inherit(const struct object *base, struct object *o)
{
    struct attrs *a = &o->attrs;
    bool sensitive = attrs_true(&base->attrs, CKA_ALWAYS_SENSITIVE) && attrs_true(a, CKA_SENSITIVE);
    bool never = attrs_true(&base->attrs, CKA_NEVER_EXTRACTABLE) && !attrs_true(a, CKA_EXTRACTABLE);
    TRY(attrs_set_bool(a, CKA_ALWAYS_SENSITIVE, sensitive));
    TRY(attrs_set_bool(a, CKA_NEVER_EXTRACTABLE, never));
    TRY(attrs_set_ulong(a, CKA_KEY_GEN_MECHANISM, CK_UNAVAILABLE_INFORMATION));
    return attrs_set_bool(a, CKA_LOCAL, false);
}

/* CKA_VALUE_LEN as the key type wants it; 0: the mechanism decides. */
static CK_RV wanted_length(const struct attrs *a, size_t *ret)
{
    CK_ULONG length = attrs_ulong(a, CKA_VALUE_LEN, 0);
    CK_KEY_TYPE type = attrs_ulong(a, CKA_KEY_TYPE, 0);
    if (attrs_find(a, CKA_VALUE_LEN) && (length == 0 || length > 65536))
        return CKR_ATTRIBUTE_VALUE_INVALID;
    if (type == CKK_AES && length && length != 16 && length != 24 && length != 32)
        return CKR_ATTRIBUTE_VALUE_INVALID;
    if (type == CKK_AES && !length)
        return CKR_TEMPLATE_INCOMPLETE;
    if (type != CKK_AES && type != CKK_GENERIC_SECRET)
        return CKR_ATTRIBUTE_VALUE_INVALID;
    *ret = length;
    return CKR_OK;
}

static CK_RV derive_value(struct session *s, const struct mech *m, const struct mech_params *params,
                          const struct object *base, struct object *o)
{
    struct token *t = s->token;
    size_t want;
    struct tpm_key key;
    CLEANUP(secret_free) struct secret auth = {0};
    TRY(wanted_length(&o->attrs, &want));
    TRY(object_tpm_key(t, base, &auth, &key));
    struct mech_key mkey = object_mech_key(base);
    mkey.tpm_key = &key;
    struct mech_call call = {.mech = m, .params = params, .key = &mkey, .tpm = t->lib->tpm};
    TRY(token_use_rv(m->derive(&call, want, &o->value)));
    return attrs_set_ulong(&o->attrs, CKA_VALUE_LEN, (CK_ULONG)o->value.n);
}

CK_RV session_derive(struct session *s, const CK_MECHANISM *mechanism, CK_OBJECT_HANDLE base_handle,
                     const CK_ATTRIBUTE *template, CK_ULONG n, CK_OBJECT_HANDLE *ret)
{
    CLEANUP(object_unref) struct object *base = NULL, *o = NULL;
    CLEANUP(mech_params_free) struct mech_params params = {0};
    const struct mech *m = mech_find(mechanism->mechanism);
    CK_ULONG cls = CKO_SECRET_KEY, type = CKK_GENERIC_SECRET;
    if (!m || !m->derive)
        return CKR_MECHANISM_INVALID;
    TOKEN_READ(s->token);
    TRY(base_key(s, base_handle, m, &base));
    struct mech_key mkey = object_mech_key(base);
    TRY(m->params(m, mechanism, &mkey, &params));
    TRY(attrs_template_ulong(template, n, CKA_CLASS, &cls));
    TRY(attrs_template_ulong(template, n, CKA_KEY_TYPE, &type));
    if (cls != CKO_SECRET_KEY)
        return CKR_TEMPLATE_INCONSISTENT;
    TRY(object_new(&o));
    TRY(attrs_new(ATTR_DERIVE, cls, type, template, n, false, &o->attrs));
    TRY(object_finish(o));
    if (attrs_true(&o->attrs, CKA_TOKEN)) {
        log_error("derived secrets live in the session: CKA_TOKEN must be false");
        return CKR_TEMPLATE_INCONSISTENT;
    }
    TRY(access_write(s, false, o->private_));
    TRY(derive_value(s, m, &params, base, o));
    TRY(inherit(base, o));
    TRY(objects_publish(s, &o, 1));
    *ret = o->handle;
    return CKR_OK;
}
