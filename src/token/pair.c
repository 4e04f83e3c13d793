#include "internal.h"

/* C_GenerateKeyPair. */

struct pair {
    const struct mech *mech;
    struct object *public_, *private_;
    struct mech_pair_wanted wanted;
};

static void pair_free(struct pair *p)
{
    object_unref(&p->public_);
    object_unref(&p->private_);
}

/* ---- what is wanted ------------------------------------------------------------------------ */

/* A template may say class and key type, but only the right ones. */
CK_RV template_is(const CK_ATTRIBUTE *template, CK_ULONG n, CK_OBJECT_CLASS cls, CK_KEY_TYPE type)
{
    CK_ULONG said_class = cls, said_type = type;
    TRY(attrs_template_ulong(template, n, CKA_CLASS, &said_class));
    TRY(attrs_template_ulong(template, n, CKA_KEY_TYPE, &said_type));
    return said_class == cls && said_type == type ? CKR_OK : CKR_TEMPLATE_INCONSISTENT;
}

/* 65537 unless the template says another; one that no RSA key has is refused here, as are sizes. */
static CK_RV want_rsa(struct pair *p)
{
    static const uint8_t f4[] = {1, 0, 1};
    CK_ULONG bits = attrs_ulong(&p->public_->attrs, CKA_MODULUS_BITS, 0);
    struct bytes e = bytes_number(attrs_bytes(&p->public_->attrs, CKA_PUBLIC_EXPONENT));
    if (bits < PRIVATE_RSA_BITS_MIN || bits > MECH_RSA_MADE_MAX || bits % 1024)
        return CKR_KEY_SIZE_RANGE;
    if (!e.n)
        e = BYTES_OF(f4);
    /* 3.2, 6.1.4: an exponent that cannot be used. Odd, from 3 to 64 bits; below 2^16, which FIPS
     * 186-5, A.1.1 does not want, in software */
    if (e.n > 8 || e.p[e.n - 1] % 2 == 0 || (e.n == 1 && e.p[0] < 3))
        return CKR_TEMPLATE_INCONSISTENT;
    p->wanted.modulus_bits = (unsigned)bits;
    p->wanted.exponent = e;
    return attrs_set(&p->private_->attrs, CKA_PUBLIC_EXPONENT, e);
}

static CK_RV want_curve(struct pair *p)
{
    struct bytes params = attrs_bytes(&p->public_->attrs, CKA_EC_PARAMS);
    p->wanted.curve = key_curve(p->mech->key_type, params);
    if (p->wanted.curve == CURVE_NONE)
        return CKR_CURVE_NOT_SUPPORTED;
    return attrs_set(&p->private_->attrs, CKA_EC_PARAMS, params);
}

static CK_RV read_templates(struct pair *p, const CK_ATTRIBUTE *public_template, CK_ULONG public_n,
                            const CK_ATTRIBUTE *private_template, CK_ULONG private_n)
{
    CK_KEY_TYPE type = p->mech->key_type;
    TRY(template_is(public_template, public_n, CKO_PUBLIC_KEY, type));
    TRY(template_is(private_template, private_n, CKO_PRIVATE_KEY, type));
    TRY(object_new(&p->public_));
    TRY(object_new(&p->private_));
    TRY(attrs_new(ATTR_GENERATE, CKO_PUBLIC_KEY, type, public_template, public_n, false,
                  &p->public_->attrs));
    TRY(attrs_new(ATTR_GENERATE, CKO_PRIVATE_KEY, type, private_template, private_n, false,
                  &p->private_->attrs));
    TRY(type == CKK_RSA ? want_rsa(p) : want_curve(p));
    TRY(object_finish(p->public_));
    return object_finish(p->private_);
}

/* ---- making it ----------------------------------------------------------------------------- */

static CK_RV describe(struct pair *p, const struct soft_key *key)
{
    TRY(key_describe(&p->public_->attrs, key));
    TRY(key_describe(&p->private_->attrs, key));
    TRY(key_history(p->public_, ORIGIN_GENERATED, p->mech->type, NULL));
    return key_history(p->private_, ORIGIN_GENERATED, p->mech->type, NULL);
}

static CK_RV make_in_tpm(struct session *s, struct pair *p)
{
    CLEANUP(secret_free) struct secret auth = {0};
    CLEANUP(tpm_key_made_free) struct tpm_key_made made = {0};
    CLEANUP(soft_key_free) struct soft_key *key = NULL;
    struct token *t = s->token;
    TRY(key_prepare(t, p->private_, &auth));
    p->wanted.parent = token_parent(&t->row);
    p->wanted.auth = secret_bytes(&auth);
    TRY(token_use_rv(p->mech->generate_pair(t->lib->tpm, &p->wanted, &made)));
    if (p->mech->key_type == CKK_RSA)
        TRY(soft_key_rsa(buf_bytes(&made.modulus), buf_bytes(&made.exponent), &key));
    else
        TRY(soft_key_ec(p->wanted.curve, buf_bytes(&made.point), &key));
    key_take_blobs(p->private_, &made);
    TRY(key_tell_protection(p->private_));
    return describe(p, key);
}

static CK_RV make_in_software(struct session *s, struct pair *p)
{
    CLEANUP(soft_private_free) struct soft_private *key = NULL;
    TRY(p->mech->generate_soft(&p->wanted, &key));
    TRY(describe(p, soft_private_public(key)));
    return key_place(s, p->private_, ORIGIN_GENERATED, &(struct material){.private_ = key}, 0);
}

CK_RV session_generate_pair(struct session *s, const CK_MECHANISM *mechanism,
                            const CK_ATTRIBUTE *public_template, CK_ULONG public_n,
                            const CK_ATTRIBUTE *private_template, CK_ULONG private_n,
                            CK_OBJECT_HANDLE *ret_public, CK_OBJECT_HANDLE *ret_private)
{
    static const struct material nothing;
    CLEANUP(pair_free) struct pair p = {.mech = mech_find(mechanism->mechanism)};
    CLEANUP(mech_params_free) struct mech_params params = {0};
    bool tpm;
    if (!p.mech || !(p.mech->flags & CKF_GENERATE_KEY_PAIR))
        return CKR_MECHANISM_INVALID;
    TRY(p.mech->params(p.mech, mechanism, NULL, &params));
    TOKEN_READ(s->token);
    TRY(read_templates(&p, public_template, public_n, private_template, private_n));
    struct attrs *public_ = &p.public_->attrs, *private_ = &p.private_->attrs;
    TRY(access_write(s, attrs_true(public_, CKA_TOKEN), p.public_->private_));
    TRY(access_write(s, attrs_true(private_, CKA_TOKEN), p.private_->private_));
    TRY(key_fits_tpm(s, p.private_, ORIGIN_GENERATED, &nothing, p.wanted.modulus_bits, &tpm));
    /* a key that would be refused later is not made first: an RSA one takes seconds */
    if (!tpm)
        TRY(key_software_allowed(s, p.private_));
    TRY(tpm ? make_in_tpm(s, &p) : make_in_software(s, &p));
    TRY(objects_publish(s, (struct object *[]){p.public_, p.private_}, 2));
    *ret_public = p.public_->handle;
    *ret_private = p.private_->handle;
    return CKR_OK;
}
