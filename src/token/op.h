/* An operation of a session, as op.c, message.c and state.c see it. session.mutex guards it. */
#ifndef TOKEN_OP_H
#define TOKEN_OP_H

#include "internal.h"

enum { IV_MAX = 16 }; /* bytes of an IV that is generated */

struct op {
    const struct mech *mech;
    struct mech_params params;
    struct object *key;          /* NULL for digests */
    struct soft_key *public_;    /* with a public key */
    struct soft_digest *digest;  /* where the mechanism hashes */
    struct mech_stream stream;   /* where it works in parts */
    struct buf data;             /* what came so far, where it does neither */
    struct buf signature;        /* C_VerifySignatureInit's */
    bool updated;                /* multi-part under way */
    bool keyed;                  /* a digest over a key: its state is as secret as that */
    bool in_message;             /* between C_…MessageBegin and the message's end */
    struct mech_message message; /* that message's parameter */
    uint64_t messages;           /* that got a counted IV */
    CK_ULONG generator;          /* which counted them */
    uint8_t iv_start[IV_MAX];    /* where the counting began */
    bool always_authenticate, authenticated;
    uint64_t epoch; /* the login it was begun under */
};

/* One operation's key held for a call, and the call. */
struct op_use {
    struct held_key held;
    struct mech_key key;
    struct mech_call call;
};
/* token.state held. Checks that the operation may go on, and holds its key. */
CK_RV op_use(struct session *s, struct op *op, enum op_kind kind, struct op_use *ret);
void op_use_end(struct op_use *u);

/* Reads mechanism and key into a new operation (its parameter too, unless with_params is false). */
CK_RV op_new(struct session *s, enum op_kind kind, const CK_MECHANISM *mechanism,
             CK_OBJECT_HANDLE key, bool with_params, struct op **ret);
/* Begins the mechanism's stream or digest anew. */
CK_RV op_start(struct op *op, enum op_kind kind, const struct mech_call *call);

/* Puts a generated IV into the caller's memory, where the parameter asks for one. */
CK_RV message_iv(const struct mech_message *m);

/* The steps of op.c that messages take, too; none ends the operation. once NULL: the data came in
 * parts. CKR_BUFFER_TOO_SMALL and a question for the length (out NULL) change nothing. */
CK_RV op_absorb(struct session *s, enum op_kind kind, struct bytes data);
CK_RV op_conclude(struct session *s, enum op_kind kind, const struct bytes *once, CK_BYTE *out,
                  CK_ULONG *out_n);
CK_RV op_check(struct session *s, enum op_kind kind, const struct bytes *once,
               struct bytes signature);

/* A cipher's or an encryption's whole run (wrapping, messages): all of in, at once. */
CK_RV crypt_whole(const struct mech_call *call, bool encrypt, struct bytes in, struct secret *ret);
/* How long that gets at most. */
size_t crypt_most(const struct mech_call *call, bool encrypt, size_t n);

#endif
