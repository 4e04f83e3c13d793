#include "internal.h"

/* ---- a secret for the parent's eyes (part 1, B.10 and C.6) --------------------------------- */

static CK_RV share_by_ecdh(const TPMT_PUBLIC *key, enum hash h, const char *label,
                           struct buf *encrypted, struct secret *ret)
{
    const TPMS_ECC_POINT *p = &key->unique.ecc;
    enum curve curve = key->parameters.eccDetail.curveID == TPM2_ECC_NIST_P256   ? CURVE_P256
                       : key->parameters.eccDetail.curveID == TPM2_ECC_NIST_P384 ? CURVE_P384
                                                                                 : CURVE_NONE;
    size_t n = curve_field_size(curve);
    if (curve == CURVE_NONE || p->x.size > n || p->y.size > n)
        return error_log(CKR_DEVICE_ERROR, "the parent key is on a curve latchkey does not use");
    uint8_t peer[1 + 2 * 66] = {4};
    memcpy(peer + 1 + n - p->x.size, p->x.buffer, p->x.size);
    memcpy(peer + 1 + 2 * n - p->y.size, p->y.buffer, p->y.size);
    CLEANUP(buf_free) struct buf own = {0};
    CLEANUP(secret_free) struct secret z = {0};
    TRY(soft_ecdh_ephemeral(curve, BYTES(peer, 1 + 2 * n), &own, &z));
    /* TPMS_ECC_POINT */
    TRY(buf_u16(encrypted, (uint16_t)n));
    TRY(buf_append(encrypted, own.p + 1, n));
    TRY(buf_u16(encrypted, (uint16_t)n));
    TRY(buf_append(encrypted, own.p + 1 + n, n));
    TRY(secret_new(ret, hash_size(h)));
    return soft_kdfe(h, secret_bytes(&z), label, BYTES(own.p + 1, n), BYTES(peer + 1, n),
                     (uint32_t)(8 * hash_size(h)), ret->p);
}

static CK_RV share_by_oaep(const TPMT_PUBLIC *key, enum hash h, const char *label,
                           struct buf *encrypted, struct secret *ret)
{
    uint32_t e = key->parameters.rsaDetail.exponent ? key->parameters.rsaDetail.exponent : 65537;
    uint8_t exponent[4] = {(uint8_t)(e >> 24), (uint8_t)(e >> 16), (uint8_t)(e >> 8), (uint8_t)e};
    CLEANUP(soft_key_free) struct soft_key *k = NULL;
    uint8_t *out;
    TRY(soft_key_rsa(BYTES(key->unique.rsa.buffer, key->unique.rsa.size), BYTES_OF(exponent), &k));
    TRY(secret_new(ret, hash_size(h)));
    TRY(soft_random(ret->p, ret->n));
    TRY(buf_extend(encrypted, key->unique.rsa.size, &out));
    /* the label with its NUL (B.4) */
    return soft_rsa_encrypt_oaep(k, h, h, BYTES(label, strlen(label) + 1), secret_bytes(ret), out);
}

CK_RV parent_share(struct tpm *t, const struct tpm_parent *parent, const char *label,
                   enum hash *ret_hash, struct buf *encrypted, struct secret *ret)
{
    TPM2B_PUBLIC pub;
    if (!public_parse(parent->pub, &pub))
        return error_log(CKR_DEVICE_ERROR, "the parent key in the store cannot be read");
    enum hash h = pub.publicArea.nameAlg == TPM2_ALG_SHA384 ? HASH_SHA384 : HASH_SHA256;
    *ret_hash = h;
    uint8_t name[NAME_MAX_SIZE];
    size_t name_n;
    TRY(public_name(parent->pub, name, &name_n));
    if (!bytes_equal(BYTES(name, name_n), parent->name))
        return error_log(CKR_DEVICE_ERROR, "the parent key in the store is not the one it names");
    TRY(parent_pinned(t, parent->name));
    return pub.publicArea.type == TPM2_ALG_ECC
               ? share_by_ecdh(&pub.publicArea, h, label, encrypted, ret)
               : share_by_oaep(&pub.publicArea, h, label, encrypted, ret);
}

/* ---- sessions ------------------------------------------------------------------------------ */

CK_RV session_start(struct tpm *t, const struct tpm_parent *parent, TPM2_SE type,
                    struct session *ret)
{
    static const TPMT_SYM_DEF aes = {
        .algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB};
    CLEANUP(buf_free) struct buf encrypted = {0};
    CLEANUP(secret_free) struct secret salt = {0};
    enum hash parent_hash;
    COMMAND(c, StartAuthSession, .handles = 2, .makes_handle = true);
    c.handle[0].handle = TPM2_RH_NULL;
    c.handle[1].handle = TPM2_RH_NULL;
    if (parent) {
        TRY(parent_share(t, parent, "SECRET", &parent_hash, &encrypted, &salt));
        TRY(parent_handle(t, parent, &c.handle[0].handle));
    }
    CLEANUP(session_wipe)
    struct session s = {.policy = type == TPM2_SE_POLICY, .keep = true};
    TRY(soft_random(s.nonce_caller, NONCE));
    cmd_put_2b(&c, BYTES_OF(s.nonce_caller));
    cmd_put_2b(&c, buf_bytes(&encrypted));
    PUT(&c, UINT8, type);
    PUT(&c, TPMT_SYM_DEF, &aes);
    PUT(&c, UINT16, TPM2_ALG_SHA256);
    handle_pending(t, PENDING_SESSION, NO_BYTES);
    TRY(cmd_send(t, &c)); /* a lost answer stays pending: the session may be there */
    TSS2_RC rc = rc_plain(c.rc);
    if (parent && (rc == TPM2_RC_SESSION_MEMORY || rc == TPM2_RC_OBJECT_MEMORY)) {
        residents_flush(t); /* some of the slots are our own */
        TRY(cmd_send(t, &c));
    }
    if (c.rc != TPM2_RC_SUCCESS)
        handle_pending(t, PENDING_NONE, NO_BYTES);
    if (parent && rc_plain(c.rc) == TPM2_RC_HANDLE)
        return error_log(CKR_TOKEN_NOT_RECOGNIZED,
                         "the parent key 0x%x of this token is not in the TPM: it was cleared, or "
                         "the store belongs to another machine",
                         parent->handle);
    TRY(error_tpm(ERROR_TPM_ANY, c.name, c.rc));
    struct bytes nonce = cmd_get_2b(&c);
    if (c.bad || nonce.n != NONCE) {
        extra_add(t, c.made);
        return error_log(CKR_DEVICE_ERROR, "TPM2_StartAuthSession answered nonsense");
    }
    memcpy(s.nonce_tpm, nonce.p, NONCE);
    s.handle = c.made;
    extra_add(t, c.made);
    if (parent) {
        TRY(secret_new(&s.key, TPM2_SHA256_DIGEST_SIZE));
        TRY(soft_kdfa(HASH_SHA256, secret_bytes(&salt), "ATH", BYTES_OF(s.nonce_tpm),
                      BYTES_OF(s.nonce_caller), (uint32_t)(8 * s.key.n), s.key.p));
    }
    session_wipe(ret); /* an ended one may be begun again */
    *ret = s;
    s = (struct session){0};
    return CKR_OK;
}

/* A session that is out of step would make the right code look wrong, and the TPM would refuse
 * every code for the recovery time: prove it first, uncounted. */
CK_RV session_prove(struct tpm *t, const struct tpm_parent *parent, struct session *s)
{
    COMMAND(c, ReadPublic, .handles = 1, .auths = 1);
    c.handle[0].name = parent->name;
    TRY(parent_handle(t, parent, &c.handle[0].handle));
    c.auth[0].session = c.audit = s;
    return cmd_exec(t, &c, ERROR_TPM_ANY);
}

void session_end(struct tpm *t, struct session *s)
{
    if (s->handle)
        extra_flush(t, s->handle);
    session_wipe(s);
}

void session_wipe(struct session *s)
{
    secret_free(&s->key);
    *s = (struct session){0};
}
