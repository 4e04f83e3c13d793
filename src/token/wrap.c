#include "op.h"

/* C_WrapKey, C_UnwrapKey and their authenticated kin of 3.2. A key is wrapped by the mechanism's
 * encryption of its bytes: a secret key's value, a private key's PrivateKeyInfo. */

/* ---- the key that wraps or unwraps ---------------------------------------------------------- */

struct wrapper {
    const struct mech *mech;
    struct mech_params params;
    struct mech_message message; /* of an authenticated one */
    struct object *key;
    struct soft_key *public_;
    struct held_key held;
    struct mech_key view;
    struct mech_call call;
};

static void wrapper_free(struct wrapper *w)
{
    mech_params_free(&w->params);
    object_unref(&w->key);
    soft_key_free(&w->public_);
    key_release(&w->held);
}

/* The codes differ by direction, nothing else does. */
struct direction {
    CK_FLAGS flag;
    CK_ATTRIBUTE_TYPE usage;
    CK_OBJECT_CLASS asymmetric;
    CK_RV handle_invalid, type_inconsistent;
};
static const struct direction wraps = {CKF_WRAP, CKA_WRAP, CKO_PUBLIC_KEY,
                                       CKR_WRAPPING_KEY_HANDLE_INVALID,
                                       CKR_WRAPPING_KEY_TYPE_INCONSISTENT};
static const struct direction unwraps = {CKF_UNWRAP, CKA_UNWRAP, CKO_PRIVATE_KEY,
                                         CKR_UNWRAPPING_KEY_HANDLE_INVALID,
                                         CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT};

static CK_RV take_key(struct session *s, const struct direction *d, CK_OBJECT_HANDLE handle,
                      struct wrapper *w)
{
    TRY(object_get_key(s, handle, d->handle_invalid, &w->key));
    const struct attrs *a = &w->key->attrs;
    CK_OBJECT_CLASS cls = attrs_ulong(a, CKA_CLASS, CK_UNAVAILABLE_INFORMATION);
    if (cls != (mech_symmetric(w->mech) ? CKO_SECRET_KEY : d->asymmetric) ||
        !mech_takes_key(w->mech, attrs_ulong(a, CKA_KEY_TYPE, CK_UNAVAILABLE_INFORMATION)))
        return d->type_inconsistent;
    if (!attrs_true(a, d->usage))
        return CKR_KEY_FUNCTION_NOT_PERMITTED;
    if (attrs_true(a, CKA_ALWAYS_AUTHENTICATE)) /* there is no C_…Init to log in after */
        return CKR_USER_NOT_LOGGED_IN;
    return key_mechanism_allowed(w->key, w->mech->type);
}

static CK_RV take_message(struct bytes aad, struct wrapper *w)
{
    w->params.mac_n = w->message.tag_n;
    w->params.data_n = w->message.data_n;
    return buf_set(&w->params.aad, aad);
}

/* An authenticated wrapping's mechanism has the parameter of a message (3.2, 5.18.6): the tag goes
 * where that says, the IV comes from it or is put there. C_WrapKey has one of its own beside that
 * of C_Encrypt (3.2, 6.13.3). */
static CK_RV read_params(const CK_MECHANISM *mechanism, const struct bytes *aad, struct wrapper *w)
{
    const struct mech *m = w->mech;
    struct mech_key k = object_mech_key(w->key);
    void *parameter = mechanism->pParameter;
    CK_ULONG n = mechanism->ulParameterLen;
    if (aad) {
        if (!m->message)
            return CKR_MECHANISM_INVALID;
        if (!parameter) /* only C_Message…Init may go without */
            return CKR_MECHANISM_PARAM_INVALID;
        TRY(m->message(m, parameter, n, &w->message));
        return take_message(*aad, w);
    }
    if (!m->wrap_message || n != m->wrap_n)
        return m->params(m, mechanism, &k, &w->params);
    TRY(m->wrap_message(m, parameter, n, &w->message));
    return take_message(w->message.aad, w);
}

/* The IV of a message's parameter, made there when it is to be. */
static CK_RV settle_iv(struct wrapper *w, bool may_make)
{
    if (!w->message.iv)
        return CKR_OK;
    if (may_make)
        TRY(message_iv(&w->message));
    return buf_set(&w->params.iv, BYTES(w->message.iv, w->message.iv_n));
}

static CK_RV hold(struct session *s, struct wrapper *w)
{
    if (attrs_ulong(&w->key->attrs, CKA_CLASS, 0) == CKO_PUBLIC_KEY) {
        w->view = object_mech_key(w->key);
        TRY(object_public(w->key, &w->public_));
        w->view.public_ = w->public_;
    } else {
        TRY(key_hold(s->token, w->key, &w->held));
        w->view = w->held.key;
    }
    w->call = (struct mech_call){
        .mech = w->mech, .params = &w->params, .key = &w->view, .tpm = s->token->lib->tpm};
    return CKR_OK;
}

static CK_RV open_wrapper(struct session *s, const struct direction *d,
                          const CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key,
                          const struct bytes *aad, struct wrapper *w)
{
    w->mech = mech_find(mechanism->mechanism);
    if (!w->mech || !(w->mech->flags & d->flag))
        return CKR_MECHANISM_INVALID;
    TRY(take_key(s, d, key, w));
    TRY(read_params(mechanism, aad, w));
    return hold(s, w);
}

/* ---- wrapping ------------------------------------------------------------------------------ */

/* 2.40, 5.13 C_WrapKey, and CKA_WRAP_WITH_TRUSTED, CKA_WRAP_TEMPLATE of 4.8 to 4.10. */
static CK_RV may_be_wrapped(const struct wrapper *w, const struct object *key)
{
    bool matches;
    CK_OBJECT_CLASS cls = attrs_ulong(&key->attrs, CKA_CLASS, CK_UNAVAILABLE_INFORMATION);
    if (cls != CKO_SECRET_KEY && cls != CKO_PRIVATE_KEY)
        return CKR_KEY_HANDLE_INVALID;
    if (!attrs_true(&key->attrs, CKA_EXTRACTABLE))
        return CKR_KEY_UNEXTRACTABLE;
    if (attrs_true(&key->attrs, CKA_WRAP_WITH_TRUSTED) && !attrs_true(&w->key->attrs, CKA_TRUSTED))
        return CKR_KEY_NOT_WRAPPABLE;
    TRY(attrs_match_template(&key->attrs, attrs_bytes(&w->key->attrs, CKA_WRAP_TEMPLATE),
                             &matches));
    if (!matches)
        return CKR_KEY_HANDLE_INVALID;
    /* RSA and the modes that pad a CKA_VALUE with zeros wrap secret keys */
    return w->mech->secret_only && cls == CKO_PRIVATE_KEY ? CKR_KEY_NOT_WRAPPABLE : CKR_OK;
}

static CK_RV bytes_to_wrap(struct session *s, const struct wrapper *w, const struct object *key,
                           struct secret *ret)
{
    CLEANUP(secret_free) struct secret value = {0};
    size_t block = w->mech->wrap_block ? w->mech->wrap_block : 1;
    TRY(key_bytes(s->token, key, &value));
    TRY(secret_new(ret, (value.n + block - 1) / block * block));
    memcpy(ret->p, value.p, value.n);
    return CKR_OK;
}

/* A length that the mechanism cannot encrypt is the key's here. */
static CK_RV wrap_rv(CK_RV rv)
{
    return rv == CKR_DATA_LEN_RANGE ? CKR_KEY_SIZE_RANGE : token_use_rv(rv);
}

static CK_RV put_out(struct bytes wrapped, CK_BYTE *out, CK_ULONG *out_n)
{
    *out_n = (CK_ULONG)wrapped.n;
    memcpy(out, wrapped.p, wrapped.n);
    return CKR_OK;
}

static CK_RV wrap_plain(struct wrapper *w, struct bytes value, CK_BYTE *out, CK_ULONG *out_n)
{
    CLEANUP(secret_free) struct secret wrapped = {0};
    CK_ULONG room = *out_n;
    w->params.data_n = value.n; /* CCM: whatever the parameter says (3.2, 6.13.5) */
    *out_n = (CK_ULONG)crypt_most(&w->call, true, value.n);
    if (!out)
        return CKR_OK;
    if (room < *out_n)
        return CKR_BUFFER_TOO_SMALL;
    TRY(settle_iv(w, true));
    TRY(wrap_rv(crypt_whole(&w->call, true, value, &wrapped)));
    return put_out(secret_bytes(&wrapped), out, out_n);
}

static CK_RV wrap_authenticated(struct wrapper *w, struct bytes value, CK_BYTE *out,
                                CK_ULONG *out_n)
{
    CLEANUP(secret_free) struct secret wrapped = {0};
    CK_ULONG room = *out_n;
    *out_n = (CK_ULONG)value.n;
    if (!out)
        return CKR_OK;
    if (room < *out_n)
        return CKR_BUFFER_TOO_SMALL;
    w->params.data_n = value.n;
    TRY(settle_iv(w, true));
    TRY(wrap_rv(crypt_whole(&w->call, true, value, &wrapped)));
    memcpy(w->message.tag, wrapped.p + value.n, w->message.tag_n);
    return put_out(BYTES(wrapped.p, value.n), out, out_n);
}

CK_RV session_wrap(struct session *s, const CK_MECHANISM *mechanism, CK_OBJECT_HANDLE wrapping,
                   CK_OBJECT_HANDLE handle, const struct bytes *aad, CK_BYTE *out, CK_ULONG *out_n)
{
    CLEANUP(wrapper_free) struct wrapper w = {0};
    CLEANUP(object_unref) struct object *key = NULL;
    CLEANUP(secret_free) struct secret value = {0};
    TOKEN_READ(s->token);
    TRY(open_wrapper(s, &wraps, mechanism, wrapping, aad, &w));
    TRY(object_get_key(s, handle, CKR_KEY_HANDLE_INVALID, &key));
    TRY(may_be_wrapped(&w, key));
    TRY(bytes_to_wrap(s, &w, key, &value));
    return aad ? wrap_authenticated(&w, secret_bytes(&value), out, out_n)
               : wrap_plain(&w, secret_bytes(&value), out, out_n);
}

/* ---- unwrapping ---------------------------------------------------------------------------- */

static CK_RV unwrap_rv(CK_RV rv)
{
    switch (rv) {
    case CKR_ENCRYPTED_DATA_INVALID:
        return CKR_WRAPPED_KEY_INVALID;
    case CKR_ENCRYPTED_DATA_LEN_RANGE:
    case CKR_DATA_LEN_RANGE:
        return CKR_WRAPPED_KEY_LEN_RANGE;
    default:
        return token_use_rv(rv);
    }
}

/* Longer than any secret or private key is when it is wrapped; nothing is to be computed over what
 * "can be seen to be invalid solely on the basis of its length" (2.40, 5.1.6). */
enum { WRAPPED_MAX = 2 * MECH_SECRET_MAX };

static CK_RV unwrap_bytes(struct wrapper *w, struct bytes wrapped, bool authenticated,
                          struct secret *ret)
{
    CLEANUP(buf_free) struct buf whole = {0};
    size_t mac_n = authenticated ? 0 : w->params.mac_n;
    if (wrapped.n > WRAPPED_MAX)
        return CKR_WRAPPED_KEY_LEN_RANGE;
    w->params.data_n = wrapped.n > mac_n ? wrapped.n - mac_n : 0;
    TRY(settle_iv(w, false));
    if (!authenticated)
        return unwrap_rv(crypt_whole(&w->call, false, wrapped, ret));
    TRY(buf_set(&whole, wrapped));
    TRY(buf_append(&whole, w->message.tag, w->message.tag_n));
    return unwrap_rv(crypt_whole(&w->call, false, buf_bytes(&whole), ret));
}

/* 3.2, 5.18.4: a length conflict between key type, CKA_VALUE_LEN and what was unwrapped. Raw RSA
 * gives a block with the key at its end, a cipher without padding one with zeros behind: so many
 * as padding has (6.16.3). A key that can be cut further can be guessed byte by byte. */
static CK_RV secret_value(const struct wrapper *w, const struct object *o, struct bytes plain,
                          struct bytes *ret)
{
    CK_ULONG length = attrs_ulong(&o->attrs, CKA_VALUE_LEN, 0);
    bool cut = length && length < plain.n;
    if (w->mech->raw_block && !length)
        return CKR_TEMPLATE_INCOMPLETE;
    bool padding = w->mech->raw_block || plain.n - length < w->mech->wrap_block;
    if ((length && length > plain.n) || (cut && !padding))
        return CKR_WRAPPED_KEY_LEN_RANGE;
    *ret = !cut                 ? plain
           : w->mech->raw_block ? BYTES(plain.p + plain.n - length, length)
                                : BYTES(plain.p, length);
    CK_KEY_TYPE type = attrs_ulong(&o->attrs, CKA_KEY_TYPE, CK_UNAVAILABLE_INFORMATION);
    return key_check_value_length(type, ret->n) == CKR_OK ? CKR_OK : CKR_WRAPPED_KEY_LEN_RANGE;
}

/* Without the zeros that a PrivateKeyInfo was filled up with. */
static struct bytes without_padding(const struct wrapper *w, struct bytes plain)
{
    struct bytes info;
    size_t block = w->mech->wrap_block ? w->mech->wrap_block : w->mech->filled;
    bool padded = soft_sequence_first(plain, &info) && plain.n - info.n < block;
    return padded ? info : plain;
}

static CK_RV settle(struct session *s, const struct wrapper *w, struct object *o,
                    struct bytes plain)
{
    CLEANUP(soft_private_free) struct soft_private *key = NULL;
    struct bytes value;
    if (attrs_ulong(&o->attrs, CKA_CLASS, 0) == CKO_SECRET_KEY) {
        TRY(secret_value(w, o, plain, &value));
        return key_from_outside(s, o, ORIGIN_UNWRAPPED, &(struct material){.value = value});
    }
    CK_RV rv = soft_private_from_pkcs8(without_padding(w, plain), &key);
    TRY(rv == CKR_ATTRIBUTE_VALUE_INVALID ? CKR_WRAPPED_KEY_INVALID : rv);
    return key_from_outside(s, o, ORIGIN_UNWRAPPED, &(struct material){.private_ = key});
}

static CK_RV new_object(struct session *s, const struct wrapper *w, const CK_ATTRIBUTE *template,
                        CK_ULONG n, struct object **ret)
{
    CLEANUP(attrs_joined_free) struct attrs_joined joined = {0};
    CK_ULONG cls = CK_UNAVAILABLE_INFORMATION, type = CK_UNAVAILABLE_INFORMATION;
    TRY(attrs_with_template(attrs_bytes(&w->key->attrs, CKA_UNWRAP_TEMPLATE), template, n,
                            &joined));
    TRY(attrs_template_ulong(joined.v, joined.n, CKA_CLASS, &cls));
    TRY(attrs_template_ulong(joined.v, joined.n, CKA_KEY_TYPE, &type));
    if (cls == CK_UNAVAILABLE_INFORMATION || type == CK_UNAVAILABLE_INFORMATION)
        return CKR_TEMPLATE_INCOMPLETE;
    if (cls != CKO_SECRET_KEY && cls != CKO_PRIVATE_KEY)
        return CKR_TEMPLATE_INCONSISTENT;
    TRY(object_new(ret));
    TRY(attrs_new(ATTR_UNWRAP, cls, type, joined.v, joined.n, s->token->login == LOGIN_SO,
                  &(*ret)->attrs));
    TRY(object_finish(*ret));
    return access_write(s, attrs_true(&(*ret)->attrs, CKA_TOKEN), (*ret)->private_);
}

CK_RV session_unwrap(struct session *s, const CK_MECHANISM *mechanism, CK_OBJECT_HANDLE unwrapping,
                     struct bytes wrapped, const struct bytes *aad, const CK_ATTRIBUTE *template,
                     CK_ULONG n, CK_OBJECT_HANDLE *ret)
{
    CLEANUP(wrapper_free) struct wrapper w = {0};
    CLEANUP(object_unref) struct object *o = NULL;
    CLEANUP(secret_free) struct secret plain = {0};
    TOKEN_READ(s->token);
    TRY(open_wrapper(s, &unwraps, mechanism, unwrapping, aad, &w));
    TRY(new_object(s, &w, template, n, &o));
    TRY(unwrap_bytes(&w, wrapped, aad != NULL, &plain));
    TRY(settle(s, &w, o, secret_bytes(&plain)));
    TRY(objects_publish(s, &o, 1));
    *ret = o->handle;
    return CKR_OK;
}
