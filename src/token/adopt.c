#include "internal.h"

#include <latchkey/vendor.h>

/* Keys of this TPM that other programs had it make, taken into a token; and the way back. */

static CK_KEY_TYPE hmac_type(enum hash h)
{
    switch (h) {
    case HASH_SHA1:
        return CKK_SHA_1_HMAC;
    case HASH_SHA256:
        return CKK_SHA256_HMAC;
    case HASH_SHA384:
        return CKK_SHA384_HMAC;
    case HASH_SHA512:
        return CKK_SHA512_HMAC;
    default:
        return CKK_GENERIC_SECRET;
    }
}

static const struct {
    CK_OBJECT_CLASS cls;
    CK_KEY_TYPE type;
    CK_MECHANISM_TYPE generate;
} kinds[] = {
    [TPM_KIND_RSA] = {CKO_PRIVATE_KEY, CKK_RSA, CKM_RSA_PKCS_KEY_PAIR_GEN},
    [TPM_KIND_EC] = {CKO_PRIVATE_KEY, CKK_EC, CKM_EC_KEY_PAIR_GEN},
    [TPM_KIND_AES] = {CKO_SECRET_KEY, CKK_AES, CKM_AES_KEY_GEN},
    [TPM_KIND_HMAC] = {CKO_SECRET_KEY, CKK_GENERIC_SECRET, CKM_GENERIC_SECRET_KEY_GEN},
};

/* One without a scheme is of the type that the template says. */
static CK_RV key_type(const struct tpm_adopted *k, const CK_ATTRIBUTE *template, CK_ULONG n,
                      CK_KEY_TYPE *ret)
{
    CK_ULONG said = CK_UNAVAILABLE_INFORMATION;
    *ret = k->kind == TPM_KIND_HMAC ? hmac_type(k->hash) : kinds[k->kind].type;
    if (k->kind == TPM_KIND_HMAC && k->hash == HASH_NONE) {
        TRY(attrs_template_ulong(template, n, CKA_KEY_TYPE, &said));
        if (mech_hmac_hash(said) != HASH_NONE)
            *ret = said;
    }
    return template_is(template, n, kinds[k->kind].cls, *ret);
}

static CK_RV describe(const struct tpm_adopted *k, size_t value_n, struct attrs *a)
{
    CLEANUP(soft_key_free) struct soft_key *public_ = NULL;
    switch (k->kind) {
    case TPM_KIND_RSA:
        TRY(soft_key_rsa(buf_bytes(&k->modulus), buf_bytes(&k->exponent), &public_));
        return key_describe(a, public_);
    case TPM_KIND_EC:
        TRY(soft_key_ec(k->curve, buf_bytes(&k->point), &public_));
        if (!k->derives)
            TRY(attrs_set_bool(a, CKA_DERIVE, false));
        return key_describe(a, public_);
    case TPM_KIND_AES:
        return attrs_set_ulong(a, CKA_VALUE_LEN, k->bits / 8);
    case TPM_KIND_HMAC:
        break;
    }
    size_t length = k->bits ? k->bits / 8 : value_n;
    TRY(key_check_value_length(CKK_GENERIC_SECRET, length));
    return attrs_set_ulong(a, CKA_VALUE_LEN, (CK_ULONG)length);
}

static CK_RV complete(struct session *s, const struct tpm_adopted *k, size_t value_n,
                      const CK_ATTRIBUTE *template, CK_ULONG n, struct object *o)
{
    CK_KEY_TYPE type;
    TRY(key_type(k, template, n, &type));
    TRY(attrs_new(ATTR_UNWRAP, kinds[k->kind].cls, type, template, n, s->token->login == LOGIN_SO,
                  &o->attrs));
    TRY(object_finish(o));
    TRY(access_write(s, attrs_true(&o->attrs, CKA_TOKEN), o->private_));
    if (attrs_true(&o->attrs, CKA_EXTRACTABLE))
        return CKR_TEMPLATE_INCONSISTENT; /* what is in the TPM stays there */
    TRY(describe(k, value_n, &o->attrs));
    return key_history(o, k->local ? ORIGIN_GENERATED : ORIGIN_CREATED, kinds[k->kind].generate,
                       NULL);
}

static void take(struct object *o, struct tpm_adopted *k)
{
    o->parent = k->parent.handle;
    o->pub = k->pub;
    o->priv = k->priv;
    buf_free(&o->parent_name);
    o->parent_name = k->parent.name;
    k->pub = k->priv = k->parent.name = (struct buf){0};
}

/* The authorization follows from S, so it takes a user's login. */
static CK_RV adopt(struct session *s, const struct tpm_foreign *key, struct object *o,
                   struct tpm_adopted *k)
{
    struct token *t = s->token;
    const struct tpm_parent salt = token_parent(&t->row);
    CLEANUP(secret_free) struct secret auth = {0};
    TRY(key_prepare(t, o, &auth));
    TRY(tpm_adopt(t->lib->tpm, &salt, key, secret_bytes(&auth), k));
    take(o, k);
    TRY(key_tell_protection(o));
    return key_add_check_value(t, o, NO_BYTES);
}

static CK_RV foreign(const LATCHKEY_TPM_KEY *k, struct tpm_foreign *ret)
{
    if (k->handle > UINT32_MAX || k->parent > UINT32_MAX || k->ulAuthLen > TPM_AUTH)
        return CKR_ARGUMENTS_BAD;
    *ret = (struct tpm_foreign){.handle = (uint32_t)k->handle,
                                .parent = (uint32_t)k->parent,
                                .pub = BYTES(k->pPublic, k->ulPublicLen),
                                .priv = BYTES(k->pPrivate, k->ulPrivateLen),
                                .auth = BYTES(k->pAuth, k->ulAuthLen)};
    return CKR_OK;
}

CK_RV session_adopt(struct session *s, const LATCHKEY_TPM_KEY *key, const CK_ATTRIBUTE *template,
                    CK_ULONG n, CK_OBJECT_HANDLE *ret)
{
    CLEANUP(object_unref) struct object *o = NULL;
    CLEANUP(tpm_adopted_free) struct tpm_adopted k = {0};
    struct tpm_foreign from;
    TOKEN_READ(s->token);
    TRY(foreign(key, &from));
    if (s->token->login != LOGIN_USER)
        return CKR_USER_NOT_LOGGED_IN;
    TRY(tpm_describe_foreign(s->token->lib->tpm, &from, &k));
    TRY(object_new(&o));
    TRY(complete(s, &k, key->ulValueLen, template, n, o));
    TRY(adopt(s, &from, o, &k));
    TRY(objects_publish(s, &o, 1));
    *ret = o->handle;
    return CKR_OK;
}

CK_RV session_unseal_foreign(struct session *s, const LATCHKEY_TPM_KEY *object, CK_BYTE *data,
                             CK_ULONG *data_n)
{
    CLEANUP(secret_free) struct secret content = {0};
    struct tpm_foreign from;
    CK_ULONG room = *data_n;
    TOKEN_READ(s->token);
    const struct tpm_parent salt = token_parent(&s->token->row);
    TRY(foreign(object, &from));
    *data_n = LATCHKEY_SEALED_MAX;
    if (!data)
        return CKR_OK;
    if (room < LATCHKEY_SEALED_MAX)
        return CKR_BUFFER_TOO_SMALL;
    TRY(tpm_unseal_foreign(s->token->lib->tpm, &salt, &from, &content));
    if (content.n > LATCHKEY_SEALED_MAX)
        return CKR_DEVICE_ERROR;
    *data_n = (CK_ULONG)content.n;
    memcpy(data, content.p, content.n);
    return CKR_OK;
}

/* ---- the way back --------------------------------------------------------------------------- */

/* What the TPM does not hold to, a copy outside of the token would be free of. */
static CK_RV may_leave(const struct object *key, uint32_t *ret_parent)
{
    const struct attrs *a = &key->attrs;
    if (object_protection(key) != PROTECTION_TPM)
        return object_protection(key) == PROTECTION_NONE ? CKR_KEY_HANDLE_INVALID
                                                         : CKR_KEY_NOT_WRAPPABLE;
    if (attrs_true(a, CKA_ALWAYS_AUTHENTICATE) || attrs_true(a, CKA_WRAP_WITH_TRUSTED) ||
        attrs_bytes(a, CKA_ALLOWED_MECHANISMS).n)
        return CKR_KEY_UNEXTRACTABLE;
    return tpm_parent_in_file(key->parent, ret_parent)
               ? CKR_OK
               : error_log(CKR_KEY_FUNCTION_NOT_PERMITTED,
                           "the key's parent is a primary key that other programs do not make");
}

static bool put_blob(struct bytes blob, CK_BYTE *room, CK_ULONG *ret_n)
{
    bool fits = blob.n <= LATCHKEY_BLOB_MAX;
    if (fits)
        memcpy(room, blob.p, blob.n);
    *ret_n = (CK_ULONG)blob.n;
    return fits;
}

/* As for a key of another program's, so the password goes by encrypted under any configuration. */
static CK_RV change_auth(struct token *t, const struct object *key, struct bytes password,
                         struct tpm_adopted *ret)
{
    const struct tpm_parent salt = token_parent(&t->row);
    CLEANUP(secret_free) struct secret auth = {0};
    TRY(key_authorization(t, key, &auth));
    const struct tpm_foreign from = {.parent = key->parent,
                                     .pub = buf_bytes(&key->pub),
                                     .priv = buf_bytes(&key->priv),
                                     .auth = secret_bytes(&auth)};
    CK_RV rv = tpm_adopt(t->lib->tpm, &salt, &from, password, ret);
    return rv == CKR_PIN_INCORRECT ? error_log(CKR_DEVICE_ERROR, "the key's row is not its own")
                                   : token_use_rv(rv);
}

static CK_RV release(struct token *t, const struct object *key, LATCHKEY_TPM_KEY *ret)
{
    CLEANUP(tpm_adopted_free) struct tpm_adopted copy = {0};
    TRY(change_auth(t, key, BYTES(ret->pAuth, ret->ulAuthLen), &copy));
    return put_blob(buf_bytes(&key->pub), ret->pPublic, &ret->ulPublicLen) &&
                   put_blob(buf_bytes(&copy.priv), ret->pPrivate, &ret->ulPrivateLen)
               ? CKR_OK
               : CKR_DEVICE_ERROR;
}

/* What the key may do becomes the business of whoever has the copy: so it takes a user's login,
 * also for a key that could be used without. */
CK_RV session_key_out(struct session *s, CK_OBJECT_HANDLE handle, LATCHKEY_TPM_KEY *ret)
{
    CLEANUP(object_unref) struct object *key = NULL;
    bool fits = ret->ulPublicLen >= LATCHKEY_BLOB_MAX && ret->ulPrivateLen >= LATCHKEY_BLOB_MAX;
    uint32_t parent;
    TOKEN_READ(s->token);
    if (s->token->login != LOGIN_USER)
        return CKR_USER_NOT_LOGGED_IN;
    if (ret->ulAuthLen > TPM_AUTH)
        return CKR_ARGUMENTS_BAD;
    TRY(object_get_key(s, handle, CKR_KEY_HANDLE_INVALID, &key));
    TRY(may_leave(key, &parent));
    ret->ulPublicLen = ret->ulPrivateLen = LATCHKEY_BLOB_MAX;
    if (!ret->pPublic)
        return CKR_OK;
    if (!fits)
        return CKR_BUFFER_TOO_SMALL;
    TRY(release(s->token, key, ret));
    ret->parent = parent;
    return CKR_OK;
}
