#include "op.h"

/* C_GetOperationState, C_SetOperationState (2.40, 5.6): digests. A cipher's state is worth as much
 * as what it encrypts, and a signature's is the key's business: those cannot be saved. */

static const char magic[] = "latchkey digest 1";

static bool saveable(const struct session *s)
{
    for (int kind = 0; kind < OP_KINDS; kind++)
        if (kind != OP_DIGEST && s->op[kind])
            return false;
    return s->op[OP_DIGEST] && !s->op[OP_DIGEST]->keyed;
}

static bool any(const struct session *s)
{
    bool some = s->finding;
    for (int kind = 0; kind < OP_KINDS; kind++)
        some |= s->op[kind] != NULL;
    return some;
}

/* A mistake of the application's, not an attacker, is what the check value finds. */
static CK_RV check_value(struct bytes state, uint8_t *ret32)
{
    return soft_hash(HASH_SHA256, (struct bytes[]){BYTES_OF(magic), state}, 2, ret32);
}

CK_RV op_save(struct session *s, CK_BYTE *out, CK_ULONG *out_n)
{
    CLEANUP(buf_free) struct buf state = {0};
    uint8_t check[32];
    if (!any(s))
        return CKR_OPERATION_NOT_INITIALIZED;
    if (!saveable(s))
        return CKR_STATE_UNSAVEABLE;
    const struct op *op = s->op[OP_DIGEST];
    TRY(buf_u64(&state, op->mech->type));
    TRY(buf_u8(&state, op->updated));
    TRY(soft_digest_save(op->digest, &state));
    TRY(check_value(buf_bytes(&state), check));
    TRY(buf_append(&state, check, sizeof(check)));
    CK_ULONG room = *out_n;
    *out_n = (CK_ULONG)state.n;
    if (!out)
        return CKR_OK;
    if (room < state.n)
        return CKR_BUFFER_TOO_SMALL;
    memcpy(out, state.p, state.n);
    return CKR_OK;
}

static CK_RV read_state(struct bytes state, const struct mech **ret_mech, bool *ret_updated,
                        struct bytes *ret_digest)
{
    uint8_t check[32], updated;
    uint64_t type;
    if (state.n < sizeof(check))
        return CKR_SAVED_STATE_INVALID;
    struct bytes given = BYTES(state.p + state.n - sizeof(check), sizeof(check));
    state.n -= sizeof(check);
    TRY(check_value(state, check));
    if (!bytes_equal(given, BYTES_OF(check)) || !bytes_take_u64(&state, &type) ||
        !bytes_take_u8(&state, &updated))
        return CKR_SAVED_STATE_INVALID;
    const struct mech *m = mech_find((CK_MECHANISM_TYPE)type);
    if (!m || !(m->flags & CKF_DIGEST))
        return CKR_SAVED_STATE_INVALID;
    *ret_mech = m;
    *ret_updated = updated;
    *ret_digest = state;
    return CKR_OK;
}

/* Whatever was active is replaced, as the specification has it. */
CK_RV op_restore(struct session *s, struct bytes state, CK_OBJECT_HANDLE encryption_key,
                 CK_OBJECT_HANDLE authentication_key)
{
    const struct mech *m;
    bool updated;
    struct bytes digest;
    CLEANUP(op_free) struct op *op = NULL;
    TRY(read_state(state, &m, &updated, &digest));
    if (encryption_key || authentication_key)
        return CKR_KEY_NOT_NEEDED;
    TOKEN_READ(s->token);
    const CK_MECHANISM mechanism = {m->type, NULL, 0};
    TRY(op_new(s, OP_DIGEST, &mechanism, CK_INVALID_HANDLE, true, &op));
    TRY(soft_digest_load(m->hash, digest, &op->digest));
    op->updated = updated;
    for (int kind = 0; kind < OP_KINDS; kind++)
        op_free(&s->op[kind]);
    s->op[OP_DIGEST] = op;
    op = NULL;
    return CKR_OK;
}
