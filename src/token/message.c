#include "op.h"

/* Message-based operations (3.0, 5.9, 5.11, 5.14, 5.16): one Init, then many messages, each with a
 * parameter of its own. */

/* ---- beginning ----------------------------------------------------------------------------- */

/* The parameter of the init is that of a message, or none: it is checked, and forgotten. */
static CK_RV check_parameter(const struct op *op, const CK_MECHANISM *mechanism)
{
    struct mech_message m = {0};
    if (!op->mech->message || !mechanism->ulParameterLen)
        return CKR_OK;
    return op->mech->message(op->mech, mechanism->pParameter, mechanism->ulParameterLen, &m);
}

/* A key that the mechanism cannot use shows itself at the start: it is refused before a message
 * begins, as the ordinary signature's is. */
static CK_RV try_start(struct session *s, enum op_kind kind, struct op *op)
{
    CLEANUP(op_use_end) struct op_use u = {0};
    if (!op->mech->mac)
        return CKR_OK;
    TRY(op_use(s, op, kind, &u));
    return token_use_rv(op_start(op, kind, &u.call));
}

CK_RV op_message_init(struct session *s, enum op_kind kind, const CK_MECHANISM *mechanism,
                      CK_OBJECT_HANDLE key)
{
    CLEANUP(op_free) struct op *op = NULL;
    bool signs = kind == OP_MESSAGE_SIGN || kind == OP_MESSAGE_VERIFY;
    if (!mechanism) /* 3.0: ends the process; cancelling what is not there is no error of its own */
        return s->op[kind] ? op_abort(s, kind, CKR_OK) : CKR_OPERATION_NOT_INITIALIZED;
    if (s->op[kind])
        return CKR_OPERATION_ACTIVE;
    TOKEN_READ(s->token);
    TRY(op_new(s, kind, mechanism, key, signs, &op));
    TRY(signs ? try_start(s, kind, op) : check_parameter(op, mechanism));
    s->op[kind] = op;
    op = NULL;
    return CKR_OK;
}

CK_RV op_message_final(struct session *s, enum op_kind kind)
{
    return s->op[kind] ? op_abort(s, kind, CKR_OK) : CKR_OPERATION_NOT_INITIALIZED;
}

/* ---- generated IVs ------------------------------------------------------------------------- */

enum { RANDOM_BITS_MIN = 96, COUNTED_MAX = 64 };

static size_t free_bits(const struct mech_message *m)
{
    return 8 * m->iv_n - m->fixed_bits;
}

/* Sets the last bits bits of the IV to those of value, which is as long. */
static void set_tail(const struct mech_message *m, const uint8_t *value)
{
    size_t bits = free_bits(m), whole = bits / 8, at = m->iv_n - whole;
    memcpy(m->iv + at, value + at, whole);
    uint8_t mask = (uint8_t)((1U << bits % 8) - 1);
    if (mask)
        m->iv[at - 1] = (uint8_t)((m->iv[at - 1] & ~mask) | (value[at - 1] & mask));
}

static void add(uint8_t *be, size_t n, uint64_t what)
{
    for (size_t i = n; i > 0 && what; i--, what >>= 8) {
        what += be[i - 1];
        be[i - 1] = (uint8_t)what;
    }
}

/* The number of the message, from start on. */
static CK_RV counted(struct op *op, const uint8_t *start)
{
    const struct mech_message *m = &op->message;
    uint8_t value[IV_MAX];
    if (m->iv_n > sizeof(value) || free_bits(m) == 0)
        return CKR_MECHANISM_PARAM_INVALID;
    if (free_bits(m) < COUNTED_MAX && op->messages >> free_bits(m))
        return error_log(CKR_TOKEN_RESOURCE_EXCEEDED, "every IV of that form was used");
    memcpy(value, start, sizeof(value));
    add(value, m->iv_n, op->messages++);
    set_tail(m, value);
    return CKR_OK;
}

/* 3.2, 6.13.2: "the initial IV counter is zero": that no two processes of messages have the same
 * fixed part is the application's care. */
static CK_RV counted_from_zero(struct op *op)
{
    static const uint8_t zero[IV_MAX];
    return counted(op, zero);
}

/* Where there is no room for random IVs: another start in each process of messages. */
static CK_RV counted_from_anywhere(struct op *op)
{
    if (op->messages == 0)
        TRY(soft_random(op->iv_start, sizeof(op->iv_start)));
    return counted(op, op->iv_start);
}

/* TLS 1.3's way: the first message's IV, exclusive-or the number of the message. */
static CK_RV xored(struct op *op)
{
    const struct mech_message *m = &op->message;
    uint8_t value[IV_MAX] = {0};
    if (m->iv_n > sizeof(value) || free_bits(m) == 0)
        return CKR_MECHANISM_PARAM_INVALID;
    if (op->messages == 0)
        memcpy(op->iv_start, m->iv, m->iv_n);
    if (free_bits(m) < COUNTED_MAX && op->messages >> free_bits(m))
        return error_log(CKR_TOKEN_RESOURCE_EXCEEDED, "every IV of that form was used");
    add(value, m->iv_n, op->messages++);
    for (size_t i = 0; i < m->iv_n; i++)
        m->iv[i] = op->iv_start[i] ^ value[i];
    return CKR_OK;
}

static CK_RV random_iv(const struct mech_message *m)
{
    uint8_t value[IV_MAX];
    if (m->iv_n > sizeof(value) || free_bits(m) == 0)
        return CKR_MECHANISM_PARAM_INVALID;
    TRY(soft_random(value, sizeof(value)));
    set_tail(m, value);
    return CKR_OK;
}

/* One message alone (a wrapped key): a counter would begin and end with it. */
CK_RV message_iv(const struct mech_message *m)
{
    if (m->generator == CKG_NO_GENERATE)
        return CKR_OK;
    return m->fixed_bits > 8 * m->iv_n || m->generator > CKG_GENERATE_COUNTER_XOR
               ? CKR_MECHANISM_PARAM_INVALID
               : random_iv(m);
}

/* One way of counting a process of messages: the numbers of two could give an IV twice. */
static bool counts_anew(const struct op *op)
{
    CK_ULONG g = op->message.generator;
    return op->messages && g != op->generator && g != CKG_NO_GENERATE && g != CKG_GENERATE_RANDOM;
}

static CK_RV generate_iv(struct op *op)
{
    const struct mech_message *m = &op->message;
    if (m->generator != CKG_NO_GENERATE && m->fixed_bits > 8 * m->iv_n)
        return CKR_MECHANISM_PARAM_INVALID;
    if (counts_anew(op))
        return CKR_MECHANISM_PARAM_INVALID;
    if (!op->messages)
        op->generator = m->generator;
    switch (m->generator) {
    case CKG_NO_GENERATE:
        return CKR_OK;
    case CKG_GENERATE: /* SP800-38D, 8.2: at random only where there is room enough */
        return free_bits(m) >= RANDOM_BITS_MIN ? random_iv(m) : counted_from_anywhere(op);
    case CKG_GENERATE_COUNTER:
        return counted_from_zero(op);
    case CKG_GENERATE_RANDOM:
        return random_iv(m);
    case CKG_GENERATE_COUNTER_XOR:
        return xored(op);
    default:
        return CKR_MECHANISM_PARAM_INVALID;
    }
}

/* ---- one message of an AEAD ---------------------------------------------------------------- */

static CK_RV read_parameter(struct op *op, void *parameter, CK_ULONG n, struct bytes aad)
{
    op->message = (struct mech_message){0};
    if (!parameter || !op->mech->message)
        return CKR_MECHANISM_PARAM_INVALID;
    TRY(op->mech->message(op->mech, parameter, n, &op->message));
    op->params.mac_n = op->message.tag_n;
    op->params.data_n = op->message.data_n;
    return buf_set(&op->params.aad, aad);
}

static CK_RV start_message(struct op *op, enum op_kind kind, const struct mech_call *call)
{
    if (kind == OP_MESSAGE_ENCRYPT)
        TRY(generate_iv(op));
    TRY(buf_set(&op->params.iv, BYTES(op->message.iv, op->message.iv_n)));
    return op_start(op, kind, call);
}

/* What a part brings, the tag aside. */
static size_t part_most(const struct op *op, enum op_kind kind, const struct mech_call *call,
                        size_t n, bool last)
{
    size_t tag = last ? op->message.tag_n : 0;
    bool opens = kind == OP_MESSAGE_DECRYPT;
    size_t most = op->mech->cipher->most(call, &op->stream, n + (opens ? tag : 0), last);
    return opens ? most : most - tag;
}

static CK_RV seal_part(struct op *op, const struct mech_call *call, struct bytes in, bool last,
                       uint8_t *out, size_t *ret_n)
{
    CLEANUP(buf_free) struct buf end = {0};
    uint8_t *p;
    size_t n = 0, end_n;
    TRY(op->mech->cipher->update(call, &op->stream, in, out, &n));
    if (last) {
        TRY(buf_extend(&end, op->mech->cipher->most(call, &op->stream, 0, true), &p));
        TRY(op->mech->cipher->final(call, &op->stream, p, &end_n));
        size_t rest = end_n - op->message.tag_n;
        if (rest)
            memcpy(out + n, p, rest);
        memcpy(op->message.tag, p + rest, op->message.tag_n);
        n += rest;
    }
    *ret_n = n;
    return CKR_OK;
}

/* Nothing comes out before the tag was found right. */
static CK_RV open_part(struct op *op, const struct mech_call *call, struct bytes in, bool last,
                       uint8_t *out, size_t *ret_n)
{
    size_t n = 0;
    TRY(op->mech->cipher->update(call, &op->stream, in, out, &n));
    if (last) {
        struct bytes tag = BYTES(op->message.tag, op->message.tag_n);
        TRY(op->mech->cipher->update(call, &op->stream, tag, out, &n));
        CK_RV rv = op->mech->cipher->final(call, &op->stream, out, &n);
        TRY(rv == CKR_ENCRYPTED_DATA_INVALID ? CKR_AEAD_DECRYPT_FAILED : rv);
    }
    *ret_n = n;
    return CKR_OK;
}

static CK_RV part(struct op *op, enum op_kind kind, const struct mech_call *call, struct bytes in,
                  bool last, CK_BYTE *out, CK_ULONG *out_n)
{
    size_t n;
    TRY(kind == OP_MESSAGE_ENCRYPT ? seal_part(op, call, in, last, out, &n)
                                   : open_part(op, call, in, last, out, &n));
    *out_n = (CK_ULONG)n;
    return CKR_OK;
}

static CK_RV crypt_message(struct session *s, enum op_kind kind, void *parameter,
                           CK_ULONG parameter_n, struct bytes aad, struct bytes in, CK_BYTE *out,
                           CK_ULONG *out_n)
{
    struct op *op = s->op[kind];
    CLEANUP(op_use_end) struct op_use u = {0};
    TRY(read_parameter(op, parameter, parameter_n, aad));
    TOKEN_READ(s->token);
    CK_ULONG room = *out_n;
    *out_n = (CK_ULONG)in.n; /* as long as the plaintext, both ways: the tag is beside it */
    if (!out)
        return CKR_OK;
    if (room < in.n)
        return CKR_BUFFER_TOO_SMALL;
    TRY(op_use(s, op, kind, &u));
    TRY(token_use_rv(start_message(op, kind, &u.call)));
    return token_use_rv(part(op, kind, &u.call, in, true, out, out_n));
}

/* An error ends the message, not the process of messages. */
CK_RV op_message(struct session *s, enum op_kind kind, void *parameter, CK_ULONG parameter_n,
                 struct bytes aad, struct bytes in, CK_BYTE *out, CK_ULONG *out_n)
{
    if (!s->op[kind])
        return CKR_OPERATION_NOT_INITIALIZED;
    if (s->op[kind]->in_message)
        return CKR_OPERATION_ACTIVE;
    return crypt_message(s, kind, parameter, parameter_n, aad, in, out, out_n);
}

CK_RV op_message_begin(struct session *s, enum op_kind kind, void *parameter, CK_ULONG parameter_n,
                       struct bytes aad)
{
    struct op *op = s->op[kind];
    CLEANUP(op_use_end) struct op_use u = {0};
    if (!op)
        return CKR_OPERATION_NOT_INITIALIZED;
    if (op->in_message)
        return CKR_OPERATION_ACTIVE;
    TRY(read_parameter(op, parameter, parameter_n, aad));
    TOKEN_READ(s->token);
    TRY(op_use(s, op, kind, &u));
    TRY(token_use_rv(start_message(op, kind, &u.call)));
    op->in_message = true;
    return CKR_OK;
}

/* The tag may be elsewhere than at the beginning. */
static CK_RV read_tag(struct op *op, void *parameter, CK_ULONG n)
{
    struct mech_message again = {0};
    if (!parameter)
        return CKR_OK;
    TRY(op->mech->message(op->mech, parameter, n, &again));
    if (again.tag_n != op->message.tag_n)
        return CKR_MECHANISM_PARAM_INVALID;
    op->message.tag = again.tag;
    return CKR_OK;
}

static CK_RV next(struct session *s, enum op_kind kind, void *parameter, CK_ULONG parameter_n,
                  struct bytes in, bool last, CK_BYTE *out, CK_ULONG *out_n)
{
    struct op *op = s->op[kind];
    CLEANUP(op_use_end) struct op_use u = {0};
    TOKEN_READ(s->token);
    TRY(op_use(s, op, kind, &u));
    TRY(read_tag(op, parameter, parameter_n));
    CK_ULONG room = *out_n;
    *out_n = (CK_ULONG)part_most(op, kind, &u.call, in.n, last);
    if (!out)
        return CKR_OK;
    if (room < *out_n)
        return CKR_BUFFER_TOO_SMALL;
    return token_use_rv(part(op, kind, &u.call, in, last, out, out_n));
}

CK_RV op_message_next(struct session *s, enum op_kind kind, void *parameter, CK_ULONG parameter_n,
                      struct bytes in, bool last, CK_BYTE *out, CK_ULONG *out_n)
{
    struct op *op = s->op[kind];
    if (!op || !op->in_message)
        return CKR_OPERATION_NOT_INITIALIZED;
    CK_RV rv = next(s, kind, parameter, parameter_n, in, last, out, out_n);
    bool goes_on = rv == CKR_BUFFER_TOO_SMALL || (rv == CKR_OK && (!last || !out));
    if (!goes_on) {
        op->in_message = false;
        mech_stream_free(&op->stream);
    }
    return rv;
}

/* ---- signed messages ----------------------------------------------------------------------- */

/* The operation of one message is the ordinary one, with the key and parameter of the process. */
static enum op_kind plain_kind(enum op_kind kind)
{
    return kind == OP_MESSAGE_SIGN ? OP_SIGN : OP_VERIFY;
}

static CK_RV start_signing(struct session *s, enum op_kind kind)
{
    struct op *op = s->op[kind];
    CLEANUP(op_use_end) struct op_use u = {0};
    TOKEN_READ(s->token);
    buf_free(&op->data);
    op->updated = false;
    if (op->mech->mac)
        TRY(op_use(s, op, kind, &u));
    return token_use_rv(op_start(op, plain_kind(kind), &u.call));
}

CK_RV op_sign_message_begin(struct session *s, enum op_kind kind, const void *parameter)
{
    if (!s->op[kind])
        return CKR_OPERATION_NOT_INITIALIZED;
    if (s->op[kind]->in_message)
        return CKR_OPERATION_ACTIVE;
    if (parameter) /* no mechanism of ours takes one */
        return CKR_MECHANISM_PARAM_INVALID;
    TRY(start_signing(s, kind));
    s->op[kind]->in_message = true;
    return CKR_OK;
}

CK_RV op_sign_message_next(struct session *s, struct bytes data, bool last, CK_BYTE *out,
                           CK_ULONG *out_n)
{
    struct op *op = s->op[OP_MESSAGE_SIGN];
    if (!op || !op->in_message)
        return CKR_OPERATION_NOT_INITIALIZED;
    CK_RV rv = last ? op_conclude(s, OP_MESSAGE_SIGN, &data, out, out_n)
                    : op_absorb(s, OP_MESSAGE_SIGN, data);
    bool goes_on = rv == CKR_BUFFER_TOO_SMALL || (rv == CKR_OK && (!last || !out));
    op->in_message = goes_on;
    if (!goes_on) /* 4.10: the PIN for each use, and a message is one */
        op->authenticated = false;
    return rv;
}

CK_RV op_sign_message(struct session *s, const void *parameter, struct bytes data, CK_BYTE *out,
                      CK_ULONG *out_n)
{
    TRY(op_sign_message_begin(s, OP_MESSAGE_SIGN, parameter));
    CK_RV rv = op_sign_message_next(s, data, true, out, out_n);
    s->op[OP_MESSAGE_SIGN]->in_message = false;
    return rv;
}

CK_RV op_verify_message_next(struct session *s, struct bytes data, bool last,
                             struct bytes signature)
{
    struct op *op = s->op[OP_MESSAGE_VERIFY];
    if (!op || !op->in_message)
        return CKR_OPERATION_NOT_INITIALIZED;
    CK_RV rv = last ? op_check(s, OP_MESSAGE_VERIFY, &data, signature)
                    : op_absorb(s, OP_MESSAGE_VERIFY, data);
    op->in_message = rv == CKR_OK && !last;
    return rv;
}

CK_RV op_verify_message(struct session *s, const void *parameter, struct bytes data,
                        struct bytes signature)
{
    TRY(op_sign_message_begin(s, OP_MESSAGE_VERIFY, parameter));
    return op_verify_message_next(s, data, true, signature);
}
