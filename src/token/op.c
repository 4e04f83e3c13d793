#include "op.h"

#include <stdlib.h>

/* Operations: their state, the output-length protocol (2.40, 5.2), streaming and hashing. Nowhere
 * else. */

enum { DATA_MAX = 256 << 20 }; /* bytes that are collected, where a mechanism wants all at once */

void op_free(struct op **opp)
{
    struct op *op = *opp;
    *opp = NULL;
    if (!op)
        return;
    mech_params_free(&op->params);
    object_unref(&op->key);
    soft_key_free(&op->public_);
    soft_digest_free(&op->digest);
    mech_stream_free(&op->stream);
    buf_free(&op->data);
    buf_free(&op->signature);
    free(op);
}

/* What each kind asks of the mechanism and of the key. cls: of an asymmetric key. */
static const struct {
    CK_FLAGS flag;
    CK_OBJECT_CLASS cls;
    CK_ATTRIBUTE_TYPE usage;
} kinds[OP_KINDS] = {
    [OP_DIGEST] = {CKF_DIGEST, CK_UNAVAILABLE_INFORMATION, 0},
    [OP_SIGN] = {CKF_SIGN, CKO_PRIVATE_KEY, CKA_SIGN},
    [OP_VERIFY] = {CKF_VERIFY, CKO_PUBLIC_KEY, CKA_VERIFY},
    [OP_ENCRYPT] = {CKF_ENCRYPT, CKO_PUBLIC_KEY, CKA_ENCRYPT},
    [OP_DECRYPT] = {CKF_DECRYPT, CKO_PRIVATE_KEY, CKA_DECRYPT},
    [OP_SIGN_RECOVER] = {CKF_SIGN_RECOVER, CKO_PRIVATE_KEY, CKA_SIGN_RECOVER},
    [OP_VERIFY_RECOVER] = {CKF_VERIFY_RECOVER, CKO_PUBLIC_KEY, CKA_VERIFY_RECOVER},
    [OP_VERIFY_SIGNATURE] = {CKF_VERIFY, CKO_PUBLIC_KEY, CKA_VERIFY},
    [OP_MESSAGE_ENCRYPT] = {CKF_MESSAGE_ENCRYPT, CKO_PUBLIC_KEY, CKA_ENCRYPT},
    [OP_MESSAGE_DECRYPT] = {CKF_MESSAGE_DECRYPT, CKO_PRIVATE_KEY, CKA_DECRYPT},
    [OP_MESSAGE_SIGN] = {CKF_MESSAGE_SIGN, CKO_PRIVATE_KEY, CKA_SIGN},
    [OP_MESSAGE_VERIFY] = {CKF_MESSAGE_VERIFY, CKO_PUBLIC_KEY, CKA_VERIFY},
};

static bool encrypts(enum op_kind kind)
{
    return kind == OP_ENCRYPT || kind == OP_MESSAGE_ENCRYPT;
}

/* ---- beginning ----------------------------------------------------------------------------- */

/* An asymmetric mechanism takes the half that the kind says, a symmetric one the secret key. */
static CK_RV check_class(enum op_kind kind, CK_OBJECT_CLASS cls, bool symmetric)
{
    if ((cls == CKO_SECRET_KEY) != symmetric)
        return CKR_KEY_TYPE_INCONSISTENT;
    return symmetric || cls == kinds[kind].cls ? CKR_OK : CKR_KEY_FUNCTION_NOT_PERMITTED;
}

static CK_RV take_key(struct session *s, enum op_kind kind, CK_OBJECT_HANDLE handle, struct op *op)
{
    TRY(object_get_key(s, handle, CKR_KEY_HANDLE_INVALID, &op->key));
    const struct attrs *a = &op->key->attrs;
    CK_OBJECT_CLASS cls = attrs_ulong(a, CKA_CLASS, CK_UNAVAILABLE_INFORMATION);
    if (!mech_takes_key(op->mech, attrs_ulong(a, CKA_KEY_TYPE, CK_UNAVAILABLE_INFORMATION)))
        return CKR_KEY_TYPE_INCONSISTENT;
    TRY(check_class(kind, cls, mech_symmetric(op->mech)));
    if (!attrs_true(a, kinds[kind].usage))
        return CKR_KEY_FUNCTION_NOT_PERMITTED;
    TRY(key_mechanism_allowed(op->key, op->mech->type));
    if (object_mech_key(op->key).modulus_bits > 16384) /* what the families have room for */
        return CKR_KEY_SIZE_RANGE;
    op->always_authenticate = attrs_true(a, CKA_ALWAYS_AUTHENTICATE);
    return cls == CKO_PUBLIC_KEY ? object_public(op->key, &op->public_) : CKR_OK;
}

CK_RV op_start(struct op *op, enum op_kind kind, const struct mech_call *call)
{
    mech_stream_free(&op->stream);
    soft_digest_free(&op->digest);
    op->stream.encrypt = encrypts(kind);
    if (op->mech->cipher)
        return op->mech->cipher->start(call, &op->stream);
    if (op->mech->mac)
        return op->mech->mac->start(call, &op->stream);
    return op->mech->hash == HASH_NONE ? CKR_OK : soft_digest_new(op->mech->hash, &op->digest);
}

/* token.state held. */
static CK_RV begin(struct session *s, enum op_kind kind, const CK_MECHANISM *mechanism,
                   CK_OBJECT_HANDLE key, bool with_params, struct op *op)
{
    op->mech = mech_find(mechanism->mechanism);
    if (!op->mech || !(op->mech->flags & kinds[kind].flag))
        return CKR_MECHANISM_INVALID;
    op->epoch = s->token->epoch;
    struct mech_key k = {0};
    if (kind != OP_DIGEST) {
        TRY(take_key(s, kind, key, op));
        k = object_mech_key(op->key);
    }
    return with_params ? op->mech->params(op->mech, mechanism, &k, &op->params) : CKR_OK;
}

CK_RV op_new(struct session *s, enum op_kind kind, const CK_MECHANISM *mechanism,
             CK_OBJECT_HANDLE key, bool with_params, struct op **ret)
{
    CLEANUP(op_free) struct op *op = calloc(1, sizeof(*op));
    if (!op)
        return CKR_HOST_MEMORY;
    TRY(begin(s, kind, mechanism, key, with_params, op));
    *ret = op;
    op = NULL;
    return CKR_OK;
}

/* Starts what works in parts. Symmetric keys have no CKA_ALWAYS_AUTHENTICATE, so nothing has to
 * wait for a PIN. */
static CK_RV start(struct session *s, enum op_kind kind, struct op *op)
{
    CLEANUP(op_use_end) struct op_use u = {0};
    if (op->mech->cipher || op->mech->mac)
        TRY(op_use(s, op, kind, &u));
    return token_use_rv(op_start(op, kind, &u.call));
}

CK_RV op_init(struct session *s, enum op_kind kind, const CK_MECHANISM *mechanism,
              CK_OBJECT_HANDLE key)
{
    if (!mechanism) {
        if (!s->op[kind])
            return CKR_ARGUMENTS_BAD;
        op_free(&s->op[kind]);
        return CKR_OK;
    }
    if (s->op[kind])
        return CKR_OPERATION_ACTIVE;
    CLEANUP(op_free) struct op *op = NULL;
    TOKEN_READ(s->token);
    TRY(op_new(s, kind, mechanism, key, true, &op));
    TRY(start(s, kind, op));
    s->op[kind] = op;
    op = NULL;
    return CKR_OK;
}

CK_RV op_init_signature(struct session *s, const CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key,
                        struct bytes signature)
{
    TRY(op_init(s, OP_VERIFY_SIGNATURE, mechanism, key));
    if (!mechanism)
        return CKR_OK;
    CK_RV rv = buf_set(&s->op[OP_VERIFY_SIGNATURE]->signature, signature);
    return rv == CKR_OK ? rv : op_abort(s, OP_VERIFY_SIGNATURE, rv);
}

CK_RV op_abort(struct session *s, enum op_kind kind, CK_RV rv)
{
    op_free(&s->op[kind]);
    return rv;
}

/* ---- CKU_CONTEXT_SPECIFIC ------------------------------------------------------------------ */

/* 2.40, 5.6 C_Login: for the operation that waits for it. S is read again with the PIN: the TPM
 * counts a wrong one. */
CK_RV op_context_login(struct session *s, struct bytes pin)
{
    struct op *op = NULL;
    CLEANUP(secret_free) struct secret secret = {0};
    for (int kind = 0; kind < OP_KINDS && !op; kind++)
        if (s->op[kind] && s->op[kind]->always_authenticate && !s->op[kind]->authenticated)
            op = s->op[kind];
    if (!op)
        return CKR_OPERATION_NOT_INITIALIZED;
    TOKEN_WRITE(s->token);
    if (s->token->login != LOGIN_USER)
        return CKR_USER_NOT_LOGGED_IN;
    CK_RV rv = token_open_seat(s->token, false, pin, &secret);
    if (rv == CKR_PIN_LOCKED) /* 2.40, 4.9: "this also logs the user out" */
        token_drop_login(s->token);
    TRY(rv);
    op->authenticated = true;
    return CKR_OK;
}

/* ---- the key for a call -------------------------------------------------------------------- */

/* token.state held. A key that was destroyed is not used any more, and one that needed the login
 * not under another one. */
static CK_RV still_allowed(struct session *s, const struct op *op)
{
    const struct token *t = s->token;
    CLEANUP(object_unref) struct object *now = NULL;
    bool login = op->key && (op->key->private_ || (op->key->row && op->key->priv.n));
    if (login && (op->epoch != t->epoch || t->login != LOGIN_USER))
        return CKR_USER_NOT_LOGGED_IN;
    if (op->key)
        TRY(object_get_key(s, op->key->handle, CKR_KEY_HANDLE_INVALID, &now));
    return op->always_authenticate && !op->authenticated ? CKR_USER_NOT_LOGGED_IN : CKR_OK;
}

CK_RV op_use(struct session *s, struct op *op, enum op_kind kind, struct op_use *ret)
{
    TRY(still_allowed(s, op));
    if (op->public_ || kind == OP_DIGEST) {
        ret->key = op->key ? object_mech_key(op->key) : (struct mech_key){0};
        ret->key.public_ = op->public_;
    } else {
        TRY(key_hold(s->token, op->key, &ret->held));
        ret->key = ret->held.key;
    }
    ret->call = (struct mech_call){
        .mech = op->mech, .params = &op->params, .key = &ret->key, .tpm = s->token->lib->tpm};
    return CKR_OK;
}

void op_use_end(struct op_use *u)
{
    key_release(&u->held);
}

/* ---- going on ------------------------------------------------------------------------------ */

static CK_RV absorb(struct op *op, const struct mech_call *call, struct bytes data)
{
    if (op->mech->mac)
        return op->mech->mac->update(call, &op->stream, data);
    if (op->digest)
        return soft_digest_update(op->digest, data);
    return data.n > DATA_MAX - op->data.n ? CKR_DATA_LEN_RANGE : buf_bytes_append(&op->data, data);
}

/* The data as the mechanism takes it: its digest, or itself. once: not NULL in a one-part call. */
static CK_RV input(struct op *op, const struct bytes *once, uint8_t *digest, struct bytes *ret)
{
    if (op->digest) {
        if (once)
            TRY(soft_digest_update(op->digest, *once));
        TRY(soft_digest_final(op->digest, digest));
        *ret = BYTES(digest, hash_size(op->mech->hash));
        return CKR_OK;
    }
    if (once && op->data.n) /* the last part of a message */
        TRY(absorb(op, NULL, *once));
    *ret = once && !op->data.n ? *once : buf_bytes(&op->data);
    return CKR_OK;
}

/* A plaintext's length is known only after: CKR_BUFFER_TOO_SMALL leaves the operation as it was. */
static CK_RV put_out(struct bytes result, CK_BYTE *out, CK_ULONG *out_n)
{
    CK_ULONG room = *out_n;
    *out_n = (CK_ULONG)result.n;
    if (room < result.n)
        return CKR_BUFFER_TOO_SMALL;
    if (result.n)
        memcpy(out, result.p, result.n);
    return CKR_OK;
}

/* ---- ciphers ------------------------------------------------------------------------------- */

/* What a one-part call or the end brings; once NULL: the end. */
static size_t cipher_most(const struct op_use *u, const struct op *op, const struct bytes *once)
{
    return op->mech->cipher->most(&u->call, &op->stream, once ? once->n : 0, true);
}

static CK_RV cipher_run(const struct op_use *u, struct op *op, const struct bytes *once,
                        uint8_t *out, size_t *ret_n)
{
    size_t first = 0, rest = 0;
    if (once) {
        op->stream.gather = u->key.tpm_key;
        TRY(op->mech->cipher->update(&u->call, &op->stream, *once, out, &first));
    }
    TRY(op->mech->cipher->final(&u->call, &op->stream, out + first, &rest));
    *ret_n = first + rest;
    return CKR_OK;
}

/* Where the length is known only afterwards. A one-part call that finds the buffer too small is
 * begun anew. */
static CK_RV cipher_guess(const struct op_use *u, struct op *op, enum op_kind kind,
                          const struct bytes *once, size_t most, CK_BYTE *out, CK_ULONG *out_n)
{
    CLEANUP(buf_free) struct buf room = {0};
    uint8_t *p;
    size_t n;
    TRY(buf_extend(&room, most + 1, &p));
    TRY(cipher_run(u, op, once, p, &n));
    CK_RV rv = put_out(BYTES(p, n), out, out_n);
    if (rv == CKR_BUFFER_TOO_SMALL && once)
        TRY(op_start(op, kind, &u->call));
    return rv;
}

static CK_RV cipher_conclude(const struct op_use *u, struct op *op, enum op_kind kind,
                             const struct bytes *once, CK_BYTE *out, CK_ULONG *out_n)
{
    size_t most = cipher_most(u, op, once), n;
    if (out && !op->mech->cipher->exact(&op->stream))
        return cipher_guess(u, op, kind, once, most, out, out_n);
    CK_ULONG room = *out_n;
    *out_n = (CK_ULONG)most;
    if (!out)
        return CKR_OK;
    if (room < most)
        return CKR_BUFFER_TOO_SMALL;
    TRY(cipher_run(u, op, once, out, &n));
    *out_n = (CK_ULONG)n;
    return CKR_OK;
}

static CK_RV cipher_update(const struct op_use *u, struct op *op, struct bytes data, CK_BYTE *out,
                           CK_ULONG *out_n)
{
    size_t most = op->mech->cipher->most(&u->call, &op->stream, data.n, false), n;
    CK_ULONG room = *out_n;
    *out_n = (CK_ULONG)most;
    if (!out)
        return CKR_OK;
    if (room < most)
        return CKR_BUFFER_TOO_SMALL;
    TRY(op->mech->cipher->update(&u->call, &op->stream, data, out, &n));
    *out_n = (CK_ULONG)n;
    return CKR_OK;
}

size_t crypt_most(const struct mech_call *call, bool encrypt, size_t n)
{
    const struct mech_stream s = {.encrypt = encrypt};
    const struct mech *m = call->mech;
    return m->cipher ? m->cipher->most(call, &s, n, true)
                     : mech_output_size(m, call->params, call->key);
}

static CK_RV stream_whole(const struct mech_call *call, bool encrypt, struct bytes in,
                          struct secret *ret)
{
    const struct mech_cipher *c = call->mech->cipher;
    CLEANUP(mech_stream_free) struct mech_stream s = {.encrypt = encrypt};
    CLEANUP(secret_free) struct secret room = {0};
    size_t first, rest;
    TRY(c->start(call, &s));
    s.gather = call->key->tpm_key;
    TRY(secret_new(&room, c->most(call, &s, in.n, true)));
    TRY(c->update(call, &s, in, room.p, &first));
    TRY(c->final(call, &s, room.p + first, &rest));
    return secret_copy(ret, BYTES(room.p, first + rest));
}

CK_RV crypt_whole(const struct mech_call *call, bool encrypt, struct bytes in, struct secret *ret)
{
    const struct mech *m = call->mech;
    if (m->cipher)
        return stream_whole(call, encrypt, in, ret);
    if (!encrypt)
        return m->decrypt(call, in, ret);
    CLEANUP(secret_free) struct secret room = {0};
    TRY(secret_new(&room, mech_output_size(m, call->params, call->key)));
    TRY(m->encrypt(call, in, room.p));
    *ret = room;
    room = (struct secret){0};
    return CKR_OK;
}

/* ---- the end ------------------------------------------------------------------------------- */

static CK_RV decrypt(const struct mech_call *call, struct bytes in, CK_BYTE *out, CK_ULONG *out_n)
{
    CLEANUP(secret_free) struct secret plain = {0};
    TRY(call->mech->decrypt(call, in, &plain));
    return put_out(secret_bytes(&plain), out, out_n);
}

static CK_RV recover(const struct mech_call *call, struct bytes in, CK_BYTE *out, CK_ULONG *out_n)
{
    CLEANUP(secret_free) struct secret data = {0};
    TRY(call->mech->recover(call, in, &data));
    return put_out(secret_bytes(&data), out, out_n);
}

static CK_RV mac(const struct op_use *u, struct op *op, const struct bytes *once, uint8_t *ret)
{
    if (once)
        TRY(op->mech->mac->update(&u->call, &op->stream, *once));
    return op->mech->mac->final(&u->call, &op->stream, ret);
}

static CK_RV finish(const struct op_use *u, struct op *op, enum op_kind kind,
                    const struct bytes *once, size_t most, CK_BYTE *out, CK_ULONG *out_n)
{
    uint8_t digest[HASH_MAX];
    struct bytes in;
    if (op->mech->mac) {
        *out_n = (CK_ULONG)most;
        return mac(u, op, once, out);
    }
    TRY(input(op, once, digest, &in));
    switch (kind) {
    case OP_DIGEST:
        return put_out(in, out, out_n);
    case OP_DECRYPT:
        return decrypt(&u->call, in, out, out_n);
    case OP_VERIFY_RECOVER:
        return recover(&u->call, in, out, out_n);
    default:
        *out_n = (CK_ULONG)most;
        return encrypts(kind) ? op->mech->encrypt(&u->call, in, out)
                              : op->mech->sign(&u->call, in, out);
    }
}

/* The most that the operation puts out. */
static size_t output_size(const struct op_use *u, const struct op *op, enum op_kind kind)
{
    return kind == OP_DIGEST ? hash_size(op->mech->hash)
                             : mech_output_size(op->mech, &op->params, &u->key);
}

/* The common end of the one-part call and of C_…Final: the length protocol, then the work. Anything
 * but a question for the length and a short buffer ends the operation (2.40, 5.2). */
CK_RV op_conclude(struct session *s, enum op_kind kind, const struct bytes *once, CK_BYTE *out,
                  CK_ULONG *out_n)
{
    struct op *op = s->op[kind];
    CLEANUP(op_use_end) struct op_use u = {0};
    TOKEN_READ(s->token);
    if (op->mech->cipher) {
        TRY(op_use(s, op, kind, &u));
        return token_use_rv(cipher_conclude(&u, op, kind, once, out, out_n));
    }
    if (op->key)
        u.key = object_mech_key(op->key);
    size_t most = output_size(&u, op, kind);
    bool exact = kind != OP_DECRYPT && kind != OP_VERIFY_RECOVER;
    if (!out || (exact && *out_n < most)) {
        *out_n = (CK_ULONG)most;
        return out ? CKR_BUFFER_TOO_SMALL : CKR_OK;
    }
    TRY(op_use(s, op, kind, &u));
    return token_use_rv(finish(&u, op, kind, once, most, out, out_n));
}

static CK_RV ending(struct session *s, enum op_kind kind, bool asked, CK_RV rv)
{
    bool goes_on = rv == CKR_BUFFER_TOO_SMALL || (rv == CKR_OK && asked);
    if (!goes_on)
        op_free(&s->op[kind]);
    return rv;
}

CK_RV op_once(struct session *s, enum op_kind kind, struct bytes data, CK_BYTE *out,
              CK_ULONG *out_n)
{
    if (!s->op[kind])
        return CKR_OPERATION_NOT_INITIALIZED;
    if (s->op[kind]->updated) /* 5.8.2 and its like: not after an Update */
        return op_abort(s, kind, CKR_OPERATION_ACTIVE);
    return ending(s, kind, !out, op_conclude(s, kind, &data, out, out_n));
}

CK_RV op_absorb(struct session *s, enum op_kind kind, struct bytes data)
{
    struct op *op = s->op[kind];
    CLEANUP(op_use_end) struct op_use u = {0};
    if (!op->mech->mac) /* no key is touched yet */
        return absorb(op, NULL, data);
    TOKEN_READ(s->token);
    TRY(op_use(s, op, kind, &u));
    return token_use_rv(absorb(op, &u.call, data));
}

CK_RV op_update(struct session *s, enum op_kind kind, struct bytes data)
{
    struct op *op = s->op[kind];
    if (!op)
        return CKR_OPERATION_NOT_INITIALIZED;
    op->updated = true;
    CK_RV rv = op_absorb(s, kind, data);
    return rv == CKR_OK ? rv : op_abort(s, kind, rv);
}

static CK_RV update_out(struct session *s, enum op_kind kind, struct bytes data, CK_BYTE *out,
                        CK_ULONG *out_n)
{
    struct op *op = s->op[kind];
    CLEANUP(op_use_end) struct op_use u = {0};
    if (!op->mech->cipher) { /* everything comes at the end */
        *out_n = 0;
        return out ? absorb(op, NULL, data) : CKR_OK;
    }
    TOKEN_READ(s->token);
    TRY(op_use(s, op, kind, &u));
    return token_use_rv(cipher_update(&u, op, data, out, out_n));
}

/* C_EncryptUpdate, C_DecryptUpdate. */
CK_RV op_update_out(struct session *s, enum op_kind kind, struct bytes data, CK_BYTE *out,
                    CK_ULONG *out_n)
{
    struct op *op = s->op[kind];
    if (!op)
        return CKR_OPERATION_NOT_INITIALIZED;
    CK_RV rv = update_out(s, kind, data, out, out_n);
    if (rv == CKR_BUFFER_TOO_SMALL || (rv == CKR_OK && !out)) /* a question brings nothing */
        return rv;
    op->updated = true;
    return rv == CKR_OK ? rv : op_abort(s, kind, rv);
}

CK_RV op_final(struct session *s, enum op_kind kind, CK_BYTE *out, CK_ULONG *out_n)
{
    if (!s->op[kind])
        return CKR_OPERATION_NOT_INITIALIZED;
    return ending(s, kind, !out, op_conclude(s, kind, NULL, out, out_n));
}

/* ---- verification -------------------------------------------------------------------------- */

static CK_RV verify_mac(const struct op_use *u, struct op *op, const struct bytes *once,
                        struct bytes signature)
{
    uint8_t own[HASH_MAX];
    TRY(mac(u, op, once, own));
    bool same = secret_equal(BYTES(own, signature.n), signature);
    secret_wipe(own, sizeof(own)); /* the right one for what was given */
    return same ? CKR_OK : CKR_SIGNATURE_INVALID;
}

CK_RV op_check(struct session *s, enum op_kind kind, const struct bytes *once,
               struct bytes signature)
{
    struct op *op = s->op[kind];
    CLEANUP(op_use_end) struct op_use u = {0};
    uint8_t digest[HASH_MAX];
    struct bytes in;
    TOKEN_READ(s->token);
    TRY(op_use(s, op, kind, &u));
    if (signature.n != output_size(&u, op, kind))
        return CKR_SIGNATURE_LEN_RANGE;
    if (op->mech->mac)
        return token_use_rv(verify_mac(&u, op, once, signature));
    TRY(input(op, once, digest, &in));
    return op->mech->verify(&u.call, in, signature);
}

CK_RV op_verify(struct session *s, bool final, struct bytes data, struct bytes signature)
{
    if (!s->op[OP_VERIFY])
        return CKR_OPERATION_NOT_INITIALIZED;
    if (!final && s->op[OP_VERIFY]->updated)
        return op_abort(s, OP_VERIFY, CKR_OPERATION_ACTIVE);
    return op_abort(s, OP_VERIFY, op_check(s, OP_VERIFY, final ? NULL : &data, signature));
}

CK_RV op_verify_signature(struct session *s, bool final, struct bytes data)
{
    struct op *op = s->op[OP_VERIFY_SIGNATURE];
    if (!op)
        return CKR_OPERATION_NOT_INITIALIZED;
    if (!final && op->updated)
        return op_abort(s, OP_VERIFY_SIGNATURE, CKR_OPERATION_ACTIVE);
    return op_abort(
        s, OP_VERIFY_SIGNATURE,
        op_check(s, OP_VERIFY_SIGNATURE, final ? NULL : &data, buf_bytes(&op->signature)));
}

/* ---- two operations at once (2.40, 5.12) ---------------------------------------------------- */

/* The one that has a length to report goes first: where it wants more room, or was only asked,
 * nothing was done. */
CK_RV op_update_both(struct session *s, enum op_kind cipher, enum op_kind other,
                     bool other_gets_out, struct bytes data, CK_BYTE *out, CK_ULONG *out_n)
{
    if (!s->op[cipher] || !s->op[other])
        return CKR_OPERATION_NOT_INITIALIZED;
    /* in may be out, and what is digested or signed must be what came */
    CLEANUP(buf_free) struct buf before = {0};
    if (!other_gets_out)
        TRY(buf_set(&before, data));
    CK_RV rv = op_update_out(s, cipher, data, out, out_n);
    if (rv != CKR_OK || !out)
        return rv;
    return op_update(s, other, other_gets_out ? BYTES(out, *out_n) : buf_bytes(&before));
}

/* 2.40, 5.10.4 C_DigestKey. */
CK_RV op_digest_key(struct session *s, CK_OBJECT_HANDLE handle)
{
    struct op *op = s->op[OP_DIGEST];
    CLEANUP(object_unref) struct object *key = NULL;
    CLEANUP(secret_free) struct secret value = {0};
    if (!op)
        return CKR_OPERATION_NOT_INITIALIZED;
    TOKEN_READ(s->token);
    CK_RV rv = object_get_key(s, handle, CKR_KEY_HANDLE_INVALID, &key);
    if (rv == CKR_OK && attrs_ulong(&key->attrs, CKA_CLASS, 0) != CKO_SECRET_KEY)
        rv = CKR_KEY_INDIGESTIBLE;
    if (rv != CKR_OK)
        return op_abort(s, OP_DIGEST, rv);
    rv = key_bytes(s->token, key, &value);
    if (rv == CKR_OK)
        rv = soft_digest_update(op->digest, secret_bytes(&value));
    op->updated = op->keyed = true;
    /* a key that is in the TPM has no bytes to digest */
    return rv == CKR_OK
               ? rv
               : op_abort(s, OP_DIGEST, rv == CKR_KEY_UNEXTRACTABLE ? CKR_KEY_INDIGESTIBLE : rv);
}
