#include "internal.h"

#include <stdlib.h>

/* Operations: their state, the output-length protocol (2.40, 5.2), streaming and hashing. Nowhere
 * else. */

struct op {
    const struct mech *mech;
    struct mech_params params;
    struct object *key;         /* NULL for digests */
    struct soft_key *public_;   /* verify, encrypt */
    struct soft_digest *digest; /* where the mechanism hashes */
    struct buf data;            /* what came so far, where it does not */
    bool updated;               /* multi-part under way */
    bool always_authenticate, authenticated;
    uint64_t epoch; /* the login it was begun under */
};

enum { DATA_MAX = 1 << 16 }; /* of a mechanism that does not hash: far beyond any modulus */

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
    buf_free(&op->data);
    free(op);
}

/* What each kind asks of the mechanism and of the key. */
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
};

static struct mech_key public_view(const struct op *op)
{
    struct mech_key k = object_mech_key(op->key);
    k.public_ = op->public_;
    return k;
}

/* ---- beginning ----------------------------------------------------------------------------- */

static CK_RV take_key(struct session *s, enum op_kind kind, CK_OBJECT_HANDLE handle, struct op *op)
{
    CK_RV rv = object_get(s, handle, &op->key);
    if (rv == CKR_OBJECT_HANDLE_INVALID)
        return CKR_KEY_HANDLE_INVALID;
    TRY(rv);
    const struct attrs *a = &op->key->attrs;
    CK_OBJECT_CLASS cls = attrs_ulong(a, CKA_CLASS, CK_UNAVAILABLE_INFORMATION);
    if (cls != CKO_PUBLIC_KEY && cls != CKO_PRIVATE_KEY && cls != CKO_SECRET_KEY)
        return CKR_KEY_HANDLE_INVALID;
    if (attrs_ulong(a, CKA_KEY_TYPE, CK_UNAVAILABLE_INFORMATION) != op->mech->key_type ||
        cls == CKO_SECRET_KEY)
        return CKR_KEY_TYPE_INCONSISTENT;
    if (cls != kinds[kind].cls || !attrs_true(a, kinds[kind].usage))
        return CKR_KEY_FUNCTION_NOT_PERMITTED;
    TRY(key_mechanism_allowed(op->key, op->mech->type));
    if (object_mech_key(op->key).modulus_bits > 16384) /* what the families have room for */
        return CKR_KEY_SIZE_RANGE;
    op->always_authenticate = attrs_true(a, CKA_ALWAYS_AUTHENTICATE);
    return cls == CKO_PUBLIC_KEY ? object_public(op->key, &op->public_) : CKR_OK;
}

static CK_RV begin(struct session *s, enum op_kind kind, const CK_MECHANISM *mechanism,
                   CK_OBJECT_HANDLE key, struct op *op)
{
    op->mech = mech_find(mechanism->mechanism);
    if (!op->mech || !(op->mech->flags & kinds[kind].flag))
        return CKR_MECHANISM_INVALID;
    TOKEN_READ(s->token);
    op->epoch = s->token->epoch;
    struct mech_key k = {0};
    if (kind != OP_DIGEST) {
        TRY(take_key(s, kind, key, op));
        k = public_view(op);
    }
    TRY(op->mech->params(op->mech, mechanism, &k, &op->params));
    return op->mech->hash == HASH_NONE ? CKR_OK : soft_digest_new(op->mech->hash, &op->digest);
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
    CLEANUP(op_free) struct op *op = calloc(1, sizeof(*op));
    if (!op)
        return CKR_HOST_MEMORY;
    TRY(begin(s, kind, mechanism, key, op));
    s->op[kind] = op;
    op = NULL;
    return CKR_OK;
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

/* ---- going on ------------------------------------------------------------------------------ */

/* token.state held. A key that was destroyed is not used any more, and one that needed the login
 * not under another one. */
static CK_RV still_allowed(struct session *s, const struct op *op)
{
    const struct token *t = s->token;
    CLEANUP(object_unref) struct object *now = NULL;
    bool login = op->key && (op->key->private_ || (op->key->row && op->key->priv.n));
    if (login && (op->epoch != t->epoch || t->login != LOGIN_USER))
        return CKR_USER_NOT_LOGGED_IN;
    if (op->key && object_get(s, op->key->handle, &now) != CKR_OK)
        return CKR_KEY_HANDLE_INVALID;
    return op->always_authenticate && !op->authenticated ? CKR_USER_NOT_LOGGED_IN : CKR_OK;
}

static CK_RV absorb(struct op *op, struct bytes data)
{
    if (op->digest)
        return soft_digest_update(op->digest, data);
    return data.n > DATA_MAX - op->data.n ? CKR_DATA_LEN_RANGE : buf_bytes_append(&op->data, data);
}

/* The most that the operation puts out. */
static size_t output_size(const struct op *op, enum op_kind kind)
{
    struct mech_key k = {0};
    if (kind == OP_DIGEST)
        return hash_size(op->mech->hash);
    k = public_view(op);
    return mech_output_size(op->mech, &k);
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
    *ret = once ? *once : buf_bytes(&op->data);
    return CKR_OK;
}

/* A plaintext's length is known only after: CKR_BUFFER_TOO_SMALL leaves the operation as it was. */
static CK_RV put_out(const struct secret *plain, CK_BYTE *out, CK_ULONG *out_n)
{
    CK_ULONG room = *out_n;
    *out_n = (CK_ULONG)plain->n;
    if (room < plain->n)
        return CKR_BUFFER_TOO_SMALL;
    if (plain->n)
        memcpy(out, plain->p, plain->n);
    return CKR_OK;
}

static CK_RV decrypt(const struct mech_call *call, struct bytes in, CK_BYTE *out, CK_ULONG *out_n)
{
    CLEANUP(secret_free) struct secret plain = {0};
    TRY(call->mech->decrypt(call, in, &plain));
    return put_out(&plain, out, out_n);
}

static CK_RV recover(const struct mech_call *call, struct bytes in, CK_BYTE *out, CK_ULONG *out_n)
{
    CLEANUP(secret_free) struct secret data = {0};
    TRY(call->mech->recover(call, in, &data));
    return put_out(&data, out, out_n);
}

static CK_RV with_private_key(struct session *s, struct op *op, enum op_kind kind, struct bytes in,
                              CK_BYTE *out, CK_ULONG *out_n)
{
    CLEANUP(secret_free) struct secret auth = {0};
    struct tpm_key key;
    struct mech_key k = public_view(op);
    TRY(object_tpm_key(s->token, op->key, &auth, &key));
    k.tpm_key = &key;
    struct mech_call call = {
        .mech = op->mech, .params = &op->params, .key = &k, .tpm = s->token->lib->tpm};
    if (kind == OP_DECRYPT)
        return token_use_rv(decrypt(&call, in, out, out_n));
    *out_n = (CK_ULONG)mech_output_size(op->mech, &k);
    return token_use_rv(op->mech->sign(&call, in, out));
}

static CK_RV finish(struct session *s, enum op_kind kind, const struct bytes *once, CK_BYTE *out,
                    CK_ULONG *out_n)
{
    struct op *op = s->op[kind];
    uint8_t digest[HASH_MAX];
    struct bytes in;
    TRY(input(op, once, digest, &in));
    if (kind == OP_DIGEST) {
        memcpy(out, in.p, in.n);
        *out_n = (CK_ULONG)in.n;
        return CKR_OK;
    }
    if (kinds[kind].cls == CKO_PRIVATE_KEY)
        return with_private_key(s, op, kind, in, out, out_n);
    struct mech_key k = public_view(op);
    struct mech_call call = {
        .mech = op->mech, .params = &op->params, .key = &k, .tpm = s->token->lib->tpm};
    if (kind == OP_VERIFY_RECOVER)
        return recover(&call, in, out, out_n);
    *out_n = (CK_ULONG)mech_output_size(op->mech, &k);
    return op->mech->encrypt(&call, in, out);
}

/* The common end of the one-part call and of C_…Final: the length protocol, then the work. Anything
 * but a question for the length and a short buffer ends the operation (2.40, 5.2). */
static CK_RV conclude(struct session *s, enum op_kind kind, const struct bytes *once, CK_BYTE *out,
                      CK_ULONG *out_n)
{
    struct op *op = s->op[kind];
    size_t most = output_size(op, kind);
    if (!out) {
        *out_n = (CK_ULONG)most;
        return CKR_OK;
    }
    bool exact = kind != OP_DECRYPT && kind != OP_VERIFY_RECOVER;
    if (exact && *out_n < most) {
        *out_n = (CK_ULONG)most;
        return CKR_BUFFER_TOO_SMALL;
    }
    TOKEN_READ(s->token);
    TRY(still_allowed(s, op));
    return finish(s, kind, once, out, out_n);
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
    return ending(s, kind, !out, conclude(s, kind, &data, out, out_n));
}

CK_RV op_update(struct session *s, enum op_kind kind, struct bytes data)
{
    struct op *op = s->op[kind];
    if (!op)
        return CKR_OPERATION_NOT_INITIALIZED;
    op->updated |= data.p != NULL; /* a question for the length brings nothing */
    CK_RV rv = absorb(op, data);
    return rv == CKR_OK ? rv : op_abort(s, kind, rv);
}

CK_RV op_final(struct session *s, enum op_kind kind, CK_BYTE *out, CK_ULONG *out_n)
{
    if (!s->op[kind])
        return CKR_OPERATION_NOT_INITIALIZED;
    return ending(s, kind, !out, conclude(s, kind, NULL, out, out_n));
}

static CK_RV verify(struct session *s, const struct bytes *once, struct bytes signature)
{
    struct op *op = s->op[OP_VERIFY];
    uint8_t digest[HASH_MAX];
    struct bytes in;
    struct mech_key k = public_view(op);
    struct mech_call call = {
        .mech = op->mech, .params = &op->params, .key = &k, .tpm = s->token->lib->tpm};
    if (signature.n != mech_output_size(op->mech, &k))
        return CKR_SIGNATURE_LEN_RANGE;
    TOKEN_READ(s->token);
    TRY(still_allowed(s, op));
    TRY(input(op, once, digest, &in));
    return op->mech->verify(&call, in, signature);
}

CK_RV op_verify(struct session *s, bool final, struct bytes data, struct bytes signature)
{
    if (!s->op[OP_VERIFY])
        return CKR_OPERATION_NOT_INITIALIZED;
    if (!final && s->op[OP_VERIFY]->updated)
        return op_abort(s, OP_VERIFY, CKR_OPERATION_ACTIVE);
    return op_abort(s, OP_VERIFY, verify(s, final ? NULL : &data, signature));
}
