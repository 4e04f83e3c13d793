#include "internal.h"

/* Keys that other programs had this TPM make. The token's copy of one gets an authorization that
 * follows from S; key and Name stay the same, and so does the program's own copy. */

void tpm_adopted_free(struct tpm_adopted *k)
{
    tpm_parent_free(&k->parent);
    buf_free(&k->pub);
    buf_free(&k->priv);
    buf_free(&k->modulus);
    buf_free(&k->exponent);
    buf_free(&k->point);
}

/* ---- what it is ---------------------------------------------------------------------------- */

static CK_RV refuse(const char *why)
{
    return error_log(CKR_KEY_FUNCTION_NOT_PERMITTED, "this TPM key cannot be used: %s", why);
}

static CK_RV describe_rsa(const TPMT_PUBLIC *p, struct tpm_adopted *ret)
{
    if (p->parameters.rsaDetail.scheme.scheme != TPM2_ALG_NULL)
        return refuse("it is bound to one scheme");
    if (!(p->objectAttributes & TPMA_OBJECT_DECRYPT))
        return refuse("an RSA key has to have the decrypt attribute: padding is made in software");
    ret->kind = TPM_KIND_RSA;
    return rsa_numbers(p, &ret->exponent, &ret->modulus);
}

static CK_RV describe_ec(const TPMT_PUBLIC *p, struct tpm_adopted *ret)
{
    const TPMS_ECC_POINT *q = &p->unique.ecc;
    ret->kind = TPM_KIND_EC;
    ret->curve = CURVE_NONE;
    for (enum curve c = 0; c < CURVE_COUNT; c++)
        if (key_curve_id(c) == p->parameters.eccDetail.curveID)
            ret->curve = c;
    if (ret->curve == CURVE_NONE)
        return refuse("latchkey does not know its curve");
    if (p->parameters.eccDetail.scheme.scheme != TPM2_ALG_NULL)
        return refuse("it is bound to one scheme");
    if (!(p->objectAttributes & TPMA_OBJECT_SIGN_ENCRYPT))
        return refuse("it may not sign");
    ret->derives = (p->objectAttributes & TPMA_OBJECT_DECRYPT) != 0;
    size_t n = curve_field_size(ret->curve);
    if (q->x.size > n || q->y.size > n)
        return refuse("its point is none");
    TRY(buf_u8(&ret->point, 4));
    TRY(append_padded(&ret->point, BYTES(q->x.buffer, q->x.size), n));
    return append_padded(&ret->point, BYTES(q->y.buffer, q->y.size), n);
}

static CK_RV describe_aes(const TPMT_PUBLIC *p, struct tpm_adopted *ret)
{
    const TPMT_SYM_DEF_OBJECT *sym = &p->parameters.symDetail.sym;
    const TPMA_OBJECT both = TPMA_OBJECT_DECRYPT | TPMA_OBJECT_SIGN_ENCRYPT;
    if (sym->algorithm != TPM2_ALG_AES)
        return refuse("it is of a cipher that latchkey does not know");
    if (sym->mode.aes != TPM2_ALG_NULL)
        return refuse("it is bound to one mode");
    if ((p->objectAttributes & both) != both)
        return refuse("it may not both encrypt and decrypt");
    ret->kind = TPM_KIND_AES;
    ret->bits = sym->keyBits.aes;
    return CKR_OK;
}

/* One that the TPM made is as long as a digest of its scheme's hash or, without a scheme, of its
 * Name's (part 4, CryptGenerateKeyedHash). */
static unsigned hmac_bits(const TPMT_PUBLIC *p, enum hash bound)
{
    enum hash h = bound != HASH_NONE ? bound : key_hash_of(p->nameAlg);
    bool made = (p->objectAttributes & TPMA_OBJECT_SENSITIVEDATAORIGIN) && h != HASH_NONE;
    return made ? 8 * (unsigned)hash_size(h) : 0;
}

static CK_RV describe_hmac(const TPMT_PUBLIC *p, struct tpm_adopted *ret)
{
    const TPMT_KEYEDHASH_SCHEME *scheme = &p->parameters.keyedHashDetail.scheme;
    if (!(p->objectAttributes & TPMA_OBJECT_SIGN_ENCRYPT))
        return refuse("it is sealed data, not a key");
    ret->kind = TPM_KIND_HMAC;
    ret->hash = HASH_NONE;
    if (scheme->scheme == TPM2_ALG_HMAC)
        ret->hash = key_hash_of(scheme->details.hmac.hashAlg);
    if (scheme->scheme != TPM2_ALG_NULL && ret->hash == HASH_NONE)
        return refuse("latchkey does not know its scheme");
    ret->bits = hmac_bits(p, ret->hash);
    return CKR_OK;
}

static CK_RV describe(struct tpm_adopted *ret)
{
    TPM2B_PUBLIC b;
    const TPMT_PUBLIC *p = &b.publicArea;
    const TPMA_OBJECT stays =
        TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN;
    if (!public_parse(buf_bytes(&ret->pub), &b))
        return refuse("its public area cannot be read");
    if (p->objectAttributes & TPMA_OBJECT_RESTRICTED)
        return refuse("it is restricted: a storage or attestation key");
    if (!(p->objectAttributes & TPMA_OBJECT_USERWITHAUTH))
        return refuse("it wants a policy");
    ret->local = (p->objectAttributes & stays) == stays;
    switch (p->type) {
    case TPM2_ALG_RSA:
        return describe_rsa(p, ret);
    case TPM2_ALG_ECC:
        return describe_ec(p, ret);
    case TPM2_ALG_SYMCIPHER:
        return describe_aes(p, ret);
    case TPM2_ALG_KEYEDHASH:
        return describe_hmac(p, ret);
    default:
        return refuse("it is of a type that latchkey does not know");
    }
}

/* ---- its parent ---------------------------------------------------------------------------- */

static bool is_persistent(TPM2_HANDLE handle)
{
    return handle >> TPM2_HR_SHIFT == TPM2_HT_PERSISTENT;
}

struct family {
    TPM2_HANDLE parent, key;
    struct tpm_parent_owned above;
    uint8_t name[NAME_MAX_SIZE]; /* the key's */
    size_t name_n;
};

static void family_free(struct family *f)
{
    tpm_parent_free(&f->above);
}

/* The parents that it may have: one persistent, or one primary after the other. */
static CK_RV next_parent(struct tpm *t, uint32_t said, TPM2_HANDLE number, struct family *f)
{
    tpm_parent_free(&f->above);
    f->above = (struct tpm_parent_owned){0};
    if (!is_persistent(said))
        return make_primary(t, number, &f->parent, &f->above);
    f->parent = said;
    TRY(read_parent(t, said, &f->above));
    return f->above.handle ? CKR_OK
                           : error_log(CKR_TOKEN_NOT_RECOGNIZED,
                                       "the key's parent 0x%x is not in the TPM", said);
}

static CK_RV try_load(struct tpm *t, const struct tpm_foreign *key, struct family *f, TSS2_RC *ret)
{
    COMMAND(c, Load, .handles = 1, .auth_handles = 1, .auths = 1, .makes_handle = true);
    c.handle[0] = (struct cmd_handle){f->parent, buf_bytes(&f->above.name)};
    cmd_put_raw(&c, key->priv);
    cmd_put_raw(&c, key->pub);
    handle_pending(t, PENDING_OBJECT, BYTES(f->name, f->name_n));
    TRY(cmd_send(t, &c)); /* a lost answer stays pending */
    *ret = rc_plain(c.rc);
    if (c.rc != TPM2_RC_SUCCESS) {
        handle_pending(t, PENDING_NONE, NO_BYTES);
        return CKR_OK;
    }
    extra_add(t, c.made);
    f->key = c.made;
    return CKR_OK;
}

static CK_RV load_rv(TSS2_RC rc)
{
    if (rc == TPM2_RC_INTEGRITY)
        return error_log(CKR_TOKEN_NOT_RECOGNIZED,
                         "no parent in this TPM opens the key: it is another TPM's, or the TPM was "
                         "cleared since");
    if (rc == TPM2_RC_BAD_AUTH || rc == TPM2_RC_AUTH_FAIL)
        return refuse("its parent has an authorization of its own");
    return error_tpm(ERROR_TPM_ANY, "TPM2_Load", rc);
}

static CK_RV load(struct tpm *t, const struct tpm_foreign *key, struct family *f)
{
    TPM2_HANDLE candidates = !is_persistent(key->parent) ? (TPM2_HANDLE)parent_primaries() : 1;
    TSS2_RC rc = TPM2_RC_INTEGRITY;
    TRY(public_name(key->pub, f->name, &f->name_n));
    for (TPM2_HANDLE i = 0; rc == TPM2_RC_INTEGRITY && i < candidates; i++) {
        TRY(next_parent(t, key->parent, i, f));
        TRY(try_load(t, key, f, &rc));
        if (rc != TPM2_RC_SUCCESS && !is_persistent(key->parent))
            extra_flush(t, f->parent);
    }
    return rc == TPM2_RC_SUCCESS ? CKR_OK : load_rv(rc);
}

/* ---- a key that is persistent --------------------------------------------------------------- */

/* Name, area and qualified Name. */
static CK_RV read_key(struct tpm *t, TPM2_HANDLE handle, struct buf *ret_pub, uint8_t *ret_name,
                      size_t *ret_name_n, struct buf *ret_qualified)
{
    COMMAND(c, ReadPublic, .handles = 1, .repeatable = true);
    c.handle[0].handle = handle;
    TRY(cmd_send(t, &c));
    if (rc_plain(c.rc) == TPM2_RC_HANDLE)
        return error_log(CKR_OBJECT_HANDLE_INVALID, "the TPM has no key at 0x%x", handle);
    TRY(error_tpm(ERROR_TPM_ANY, c.name, c.rc));
    struct bytes area = cmd_get_2b(&c);
    cmd_get_2b(&c);
    struct bytes qualified = cmd_get_2b(&c);
    TRY(cmd_parsed(&c));
    TRY(append_2b(ret_pub, area));
    TRY(public_name(buf_bytes(ret_pub), ret_name, ret_name_n));
    return buf_bytes_append(ret_qualified, qualified);
}

/* Part 1, 16.3: a qualified Name is nameAlg || H(the parent's qualified Name || the Name). */
static CK_RV is_below(struct bytes above, struct bytes name, struct bytes qualified, bool *ret)
{
    uint8_t digest[HASH_MAX];
    enum hash h = name.n > 2 ? key_hash_of((unsigned)(name.p[0] << 8 | name.p[1])) : HASH_NONE;
    *ret = false;
    if (h == HASH_NONE)
        return CKR_OK;
    TRY(soft_hash(h, (struct bytes[]){above, name}, 2, digest));
    *ret = qualified.n == 2 + hash_size(h) && memcmp(qualified.p, name.p, 2) == 0 &&
           memcmp(qualified.p + 2, digest, hash_size(h)) == 0;
    return CKR_OK;
}

static CK_RV try_persistent_parent(struct tpm *t, TPM2_HANDLE handle, struct bytes qualified,
                                   struct family *f, bool *ret)
{
    CLEANUP(buf_free) struct buf pub = {0}, above = {0};
    uint8_t name[NAME_MAX_SIZE];
    size_t name_n;
    TRY(read_key(t, handle, &pub, name, &name_n, &above));
    TRY(is_below(buf_bytes(&above), BYTES(f->name, f->name_n), qualified, ret));
    if (!*ret)
        return CKR_OK;
    f->parent = f->above.handle = handle;
    return buf_append(&f->above.name, name, name_n);
}

/* A primary's qualified Name: that of the owner hierarchy is its handle. */
static CK_RV try_primary(struct tpm *t, TPM2_HANDLE number, struct bytes qualified,
                         struct family *f, bool *ret)
{
    static const uint8_t owner[] = {0x40, 0, 0, 1};
    uint8_t digest[HASH_MAX], above[2 + HASH_MAX];
    TRY(next_parent(t, 0, number, f));
    struct bytes name = buf_bytes(&f->above.name);
    TRY(soft_hash(HASH_SHA256, (struct bytes[]){BYTES_OF(owner), name}, 2, digest));
    memcpy(above, name.p, 2);
    memcpy(above + 2, digest, hash_size(HASH_SHA256));
    TRY(is_below(BYTES(above, 2 + hash_size(HASH_SHA256)), BYTES(f->name, f->name_n), qualified,
                 ret));
    if (!*ret)
        extra_flush(t, f->parent);
    return CKR_OK;
}

static CK_RV find_parent_of(struct tpm *t, struct bytes qualified, struct family *f)
{
    TPMS_CAPABILITY_DATA data;
    bool found = false;
    TRY(get_capability(t, TPM2_CAP_HANDLES, (uint32_t)TPM2_HT_PERSISTENT << TPM2_HR_SHIFT,
                       TPM2_MAX_CAP_HANDLES, &data));
    for (uint32_t i = 0; !found && i < data.data.handles.count; i++)
        TRY(try_persistent_parent(t, data.data.handles.handle[i], qualified, f, &found));
    for (TPM2_HANDLE i = 0; !found && i < parent_primaries(); i++)
        TRY(try_primary(t, i, qualified, f, &found));
    return found ? CKR_OK
                 : refuse("it is a primary key, or its parent is not in the TPM: no copy of it can "
                          "be made");
}

static CK_RV take_persistent(struct tpm *t, TPM2_HANDLE handle, struct family *f)
{
    CLEANUP(buf_free) struct buf pub = {0}, qualified = {0};
    TRY(read_key(t, handle, &pub, f->name, &f->name_n, &qualified));
    f->key = handle;
    return find_parent_of(t, buf_bytes(&qualified), f);
}

/* ---- another authorization ----------------------------------------------------------------- */

static CK_RV change_auth(struct tpm *t, const struct family *f, struct session *s,
                         struct bytes auth, struct bytes new_auth, struct buf *ret_priv)
{
    COMMAND(c, ObjectChangeAuth, .handles = 2, .auth_handles = 1, .auths = 1);
    c.handle[0] = (struct cmd_handle){f->key, BYTES(f->name, f->name_n)};
    c.handle[1] = (struct cmd_handle){f->parent, buf_bytes(&f->above.name)};
    c.auth[0] = (struct cmd_auth){.session = s, .value = auth};
    c.encrypt_in = s;
    cmd_put_2b(&c, new_auth);
    TRY(cmd_exec(t, &c, ERROR_TPM_LOGIN));
    struct bytes priv = cmd_get_2b(&c);
    TRY(cmd_parsed(&c));
    return append_2b(ret_priv, priv);
}

/* Salted and proven: an authorization given under another session key would look wrong, and may
 * count. The salt's own primary gives its slot back. */
static CK_RV session_for(struct tpm *t, const struct tpm_parent *salt, struct session *ret)
{
    residents_flush(t);
    TRY(session_start(t, salt, TPM2_SE_HMAC, ret));
    TRY(session_prove(t, salt, ret));
    if (t->primary)
        extra_flush(t, t->primary);
    return CKR_OK;
}

static CK_RV read_foreign(struct tpm *t, const struct tpm_foreign *key, struct buf *ret)
{
    CLEANUP(buf_free) struct buf qualified = {0};
    uint8_t name[NAME_MAX_SIZE];
    size_t name_n;
    if (!key->handle)
        return buf_set(ret, key->pub);
    if (!is_persistent(key->handle))
        return CKR_ARGUMENTS_BAD;
    HOLD(t);
    return read_key(t, key->handle, ret, name, &name_n, &qualified);
}

CK_RV tpm_describe_foreign(struct tpm *t, const struct tpm_foreign *key, struct tpm_adopted *ret)
{
    struct tpm_adopted k = {0};
    CK_RV rv = read_foreign(t, key, &k.pub);
    if (rv == CKR_OK)
        rv = describe(&k);
    if (rv == CKR_OK)
        *ret = k;
    else
        tpm_adopted_free(&k);
    return rv;
}

CK_RV tpm_adopt(struct tpm *t, const struct tpm_parent *salt, const struct tpm_foreign *key,
                struct bytes new_auth, struct tpm_adopted *k)
{
    HOLD(t);
    CLEANUP(session_wipe) struct session s = {0};
    CLEANUP(family_free) struct family f = {0};
    TRY(session_for(t, salt, &s));
    TRY(key->handle ? take_persistent(t, key->handle, &f) : load(t, key, &f));
    TRY(change_auth(t, &f, &s, key->auth, new_auth, &k->priv));
    tpm_parent_free(&k->parent);
    k->parent = f.above;
    f.above = (struct tpm_parent_owned){0};
    return CKR_OK; /* the hold ends sessions and objects */
}

CK_RV tpm_unseal_foreign(struct tpm *t, const struct tpm_parent *salt,
                         const struct tpm_foreign *object, struct secret *ret)
{
    HOLD(t);
    CLEANUP(session_wipe) struct session s = {0};
    CLEANUP(family_free) struct family f = {0};
    TRY(session_for(t, salt, &s));
    TRY(load(t, object, &f));
    COMMAND(c, Unseal, .handles = 1, .auth_handles = 1, .auths = 1);
    c.handle[0] = (struct cmd_handle){f.key, BYTES(f.name, f.name_n)};
    c.auth[0] = (struct cmd_auth){.session = &s, .value = object->auth};
    c.encrypt_out = &s;
    TRY(cmd_exec(t, &c, ERROR_TPM_LOGIN));
    struct bytes content = cmd_get_2b(&c);
    TRY(cmd_parsed(&c));
    return secret_copy(ret, content);
}
