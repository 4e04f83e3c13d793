#include "internal.h"

/* A limit of PIN tries of one token. Two indices of type PIN_FAIL, the gates, count wrong PINs in
 * place of the dictionary-attack logic, and refuse all after the last. Between changes of the PIN
 * one is open, the other is closed: its limit is 0. Who passes the open one may read the pepper,
 * and with it has the seat's authorization. A guess at the seat itself is one at 256 random bits,
 * so no command and no bound session tries a PIN past a gate; and where a gate was overcome, the
 * seat's own authorization, which the dictionary-attack logic guards, is still ahead.
 *
 * A gate has no policy that anybody could satisfy, be it for reading alone: the answer's encryption
 * takes the gate's authorization into its key whatever the policy was (part 1, 21.2), and a known
 * counter under it would be a PIN tried without a count. So the owner reads it. It cannot be the
 * object that a session is bound to (part 3, 11.1), and who redefines it cannot write it, so has
 * never its Name. */

/* ---- what follows from the PIN ------------------------------------------------------------- */

static CK_RV gate_auth(struct bytes auth, struct secret *ret)
{
    TRY(secret_new(ret, TPM_AUTH));
    return soft_hkdf(HASH_SHA256, auth, NO_BYTES, BYTES_STR("latchkey PIN gate"), ret->p, ret->n);
}

static CK_RV seat_auth(struct bytes auth, struct bytes pepper, struct secret *ret)
{
    TRY(secret_new(ret, TPM_AUTH));
    return soft_hkdf(HASH_SHA256, auth, pepper, BYTES_STR("latchkey PIN seat"), ret->p, ret->n);
}

/* Whoever has S needs no gate. */
static CK_RV make_pepper(struct bytes seed, struct secret *ret)
{
    TRY(secret_new(ret, TPM_SECRET));
    return soft_hkdf(HASH_SHA256, seed, NO_BYTES, BYTES_STR("latchkey PIN pepper"), ret->p, ret->n);
}

/* ---- policies ------------------------------------------------------------------------------ */

/* PolicyOR of PolicySigned alone, and with NV_ChangeAuth, which wants its command code said. */
struct gate_policy {
    struct policy_signer signer;
    uint8_t change[32], digest[32];
};

static CK_RV make_gate_policy(struct bytes seed, struct gate_policy *ret)
{
    TRY(policy_signer(seed, &ret->signer));
    TRY(policy_command_code_digest(ret->signer.digest, TPM2_CC_NV_ChangeAuth, ret->change));
    return policy_or_digest((const uint8_t *[]){ret->signer.digest, ret->change}, 2, ret->digest);
}

/* PolicyOR of PolicySecret of either gate, for NV_Read. */
struct pepper_policy {
    uint8_t behind[TPM_GATES][32], digest[32];
};

static CK_RV make_pepper_policy(const struct tpm_index *gate, struct pepper_policy *ret)
{
    for (int g = 0; g < TPM_GATES; g++) {
        TRY(policy_secret_digest(gate[g].name, ret->behind[g]));
        TRY(policy_command_code_digest(ret->behind[g], TPM2_CC_NV_Read, ret->behind[g]));
    }
    return policy_or_digest((const uint8_t *[]){ret->behind[0], ret->behind[1]}, TPM_GATES,
                            ret->digest);
}

/* ---- a gate, for who has the seed ---------------------------------------------------------- */

struct pin_counter {
    uint32_t count, limit; /* TPMS_NV_PIN_COUNTER_PARAMETERS; limit 0: closed */
};

struct keeper {
    const struct tpm_parent *parent;
    struct bytes seed;
    struct gate_policy policy;
};

static CK_RV signed_session(struct tpm *t, const struct keeper *k, bool change, struct session *ret)
{
    TRY(session_start(t, k->parent, TPM2_SE_POLICY, ret));
    TRY(policy_signed(t, ret, &k->policy.signer, k->seed));
    if (change)
        TRY(policy_command_code(t, ret, TPM2_CC_NV_ChangeAuth));
    ret->keep = false;
    return policy_or(t, ret, (const uint8_t *[]){k->policy.signer.digest, k->policy.change}, 2);
}

static CK_RV gate_write(struct tpm *t, const struct keeper *k, const struct tpm_index *gate,
                        uint32_t limit)
{
    CLEANUP(session_wipe) struct session s = {0};
    TRY(signed_session(t, k, false, &s));
    COMMAND(c, NV_Write);
    index_aim(&c, &s, gate, NO_BYTES);
    PUT(&c, UINT16, 8);
    PUT(&c, UINT32, 0);
    PUT(&c, UINT32, limit);
    PUT(&c, UINT16, 0);
    return cmd_exec(t, &c, ERROR_TPM_ANY);
}

static CK_RV take_counter(struct cmd *c, struct pin_counter *ret)
{
    struct bytes data = cmd_get_2b(c);
    c->bad |= !bytes_take_u32(&data, &ret->count) || !bytes_take_u32(&data, &ret->limit);
    return cmd_parsed(c);
}

static CK_RV gate_read(struct tpm *t, const struct keeper *k, const struct tpm_index *gate,
                       struct pin_counter *ret)
{
    CLEANUP(session_wipe) struct session s = {0};
    TRY(signed_session(t, k, false, &s));
    COMMAND(c, NV_Read);
    index_aim(&c, &s, gate, NO_BYTES);
    PUT(&c, UINT16, 8);
    PUT(&c, UINT16, 0);
    TRY(cmd_exec(t, &c, ERROR_TPM_ANY));
    return take_counter(&c, ret);
}

static CK_RV gate_change_auth(struct tpm *t, const struct keeper *k, const struct tpm_index *gate,
                              struct bytes new_auth)
{
    CLEANUP(session_wipe) struct session s = {0}, hiding = {0};
    TRY(session_start(t, k->parent, TPM2_SE_HMAC, &hiding));
    TRY(signed_session(t, k, true, &s));
    return index_change_auth(t, gate, &s, &hiding, NO_BYTES, new_auth);
}

/* ---- making -------------------------------------------------------------------------------- */

void tpm_limit_free(struct tpm_limit_owned *l)
{
    for (int i = 0; i < TPM_LIMIT_INDICES; i++)
        buf_free(&l->name[i]);
}

static TPM2B_NV_PUBLIC limit_public(uint32_t nv, TPMA_NV attributes, uint16_t size,
                                    const uint8_t *policy)
{
    TPM2B_NV_PUBLIC index = {.nvPublic = {.nvIndex = nv,
                                          .nameAlg = TPM2_ALG_SHA256,
                                          .attributes = attributes | TPMA_NV_NO_DA,
                                          .authPolicy.size = 32,
                                          .dataSize = size}};
    memcpy(index.nvPublic.authPolicy.buffer, policy, 32);
    return index;
}

/* Its Name now, which is what ret has once it succeeds. */
static CK_RV name_now(const TPM2B_NV_PUBLIC *index, struct buf *ret)
{
    uint8_t name[34];
    TRY(index_name(index, name));
    return buf_set(ret, BYTES_OF(name));
}

static CK_RV define(struct tpm *t, const struct tpm_parent *parent, const TPM2B_NV_PUBLIC *index,
                    struct bytes auth)
{
    CLEANUP(session_wipe) struct session s = {0};
    TRY(session_start(t, parent, TPM2_SE_HMAC, &s));
    CK_RV rv = session_prove(t, parent, &s);
    if (rv == CKR_OK)
        rv = index_define(t, &s, index, auth);
    if (s.handle)
        session_end(t, &s);
    return rv;
}

static CK_RV define_gate(struct tpm *t, const struct keeper *k, uint32_t nv,
                         struct tpm_limit_owned *ret, int g)
{
    CLEANUP(secret_free) struct secret nobodys = {0};
    TPM2B_NV_PUBLIC index =
        limit_public(nv,
                     TPM2_NT_PIN_FAIL << TPMA_NV_TPM2_NT_SHIFT | TPMA_NV_POLICYREAD |
                         TPMA_NV_POLICYWRITE | TPMA_NV_OWNERREAD,
                     8, k->policy.digest);
    TRY(secret_new(&nobodys, TPM_AUTH));
    TRY(soft_random(nobodys.p, nobodys.n));
    TRY(define(t, k->parent, &index, secret_bytes(&nobodys)));
    ret->nv[g] = nv;
    TRY(name_now(&index, &ret->name[g]));
    TRY(gate_write(t, k, &(struct tpm_index){nv, buf_bytes(&ret->name[g])}, 0));
    index.nvPublic.attributes |= TPMA_NV_WRITTEN;
    return name_now(&index, &ret->name[g]);
}

/* The owner's command on an index; salted, and encrypted where it has a parameter. */
static CK_RV as_owner(struct tpm *t, const struct tpm_parent *parent, const struct tpm_index *index,
                      bool hidden, struct cmd *c)
{
    CLEANUP(session_wipe) struct session s = {0};
    c->handles = 2;
    c->auth_handles = c->auths = 1;
    c->handle[0].handle = TPM2_RH_OWNER;
    c->handle[1] = (struct cmd_handle){index->nv, index->name};
    TRY(owner_auth(t, &c->auth[0].value));
    TRY(session_start(t, parent, TPM2_SE_HMAC, &s));
    s.keep = false;
    c->auth[0].session = &s;
    c->encrypt_in = hidden ? &s : NULL;
    CK_RV rv = cmd_exec(t, c, ERROR_TPM_OWNER);
    if (s.handle)
        session_end(t, &s);
    return rv;
}

static CK_RV define_pepper(struct tpm *t, const struct keeper *k, uint32_t nv,
                           struct tpm_limit_owned *ret)
{
    CLEANUP(secret_free) struct secret pepper = {0};
    struct pepper_policy policy = {0};
    const struct tpm_index gate[TPM_GATES] = {{ret->nv[0], buf_bytes(&ret->name[0])},
                                              {ret->nv[1], buf_bytes(&ret->name[1])}};
    struct buf *name = &ret->name[TPM_PEPPER];
    TRY(make_pepper(k->seed, &pepper));
    TRY(make_pepper_policy(gate, &policy));
    TPM2B_NV_PUBLIC index =
        limit_public(nv, TPMA_NV_POLICYREAD | TPMA_NV_OWNERWRITE | TPMA_NV_WRITEDEFINE, TPM_SECRET,
                     policy.digest);
    /* an empty authorization, that the policy session can decrypt what it reads; it opens nothing
     */
    TRY(define(t, k->parent, &index, NO_BYTES));
    ret->nv[TPM_PEPPER] = nv;
    TRY(name_now(&index, name));
    COMMAND(w, NV_Write);
    cmd_put_2b(&w, secret_bytes(&pepper));
    PUT(&w, UINT16, 0);
    TRY(as_owner(t, k->parent, &(struct tpm_index){nv, buf_bytes(name)}, true, &w));
    index.nvPublic.attributes |= TPMA_NV_WRITTEN;
    TRY(name_now(&index, name));
    COMMAND(l, NV_WriteLock);
    TRY(as_owner(t, k->parent, &(struct tpm_index){nv, buf_bytes(name)}, false, &l));
    index.nvPublic.attributes |= TPMA_NV_WRITELOCKED;
    return name_now(&index, name);
}

CK_RV tpm_limit_define(struct tpm *t, const struct tpm_parent *parent,
                       const uint32_t nv[TPM_LIMIT_INDICES], struct bytes seed,
                       struct tpm_limit_owned *ret)
{
    HOLD(t);
    struct keeper k = {.parent = parent, .seed = seed};
    TRY(make_gate_policy(seed, &k.policy));
    residents_flush(t); /* the signer's public key wants a slot */
    for (int g = 0; g < TPM_GATES; g++)
        TRY(define_gate(t, &k, nv[g], ret, g));
    return define_pepper(t, &k, nv[TPM_PEPPER], ret);
}

/* ---- opening ------------------------------------------------------------------------------- */

struct opening {
    const struct tpm_parent *parent;
    const struct tpm_seat *seat;
    const struct tpm_limit *limit;
    struct bytes auth;
    struct session s, p; /* for authorizations, and the policy that leads to the pepper */
};

static void opening_wipe(struct opening *o)
{
    session_wipe(&o->s);
    session_wipe(&o->p);
    *o = (struct opening){0};
}

/* Like the proof of a seat this comes before the PIN: a right one over a session out of step, or
 * under another Name, would be counted as a wrong one. */
static CK_RV prove_gate(struct tpm *t, struct opening *o, int g)
{
    const struct tpm_seat gate = {o->limit->index[g].nv, o->limit->index[g].name, NO_BYTES,
                                  NO_BYTES};
    return seat_prove(t, &o->s, NULL, &gate);
}

static CK_RV pass_gate(struct tpm *t, struct opening *o, int g)
{
    CLEANUP(secret_free) struct secret auth = {0};
    TRY(gate_auth(o->auth, &auth));
    TRY(prove_gate(t, o, g));
    COMMAND(c, PolicySecret, .handles = 2, .auth_handles = 1, .auths = 1);
    c.handle[0] = (struct cmd_handle){o->limit->index[g].nv, o->limit->index[g].name};
    c.handle[1].handle = o->p.handle;
    c.auth[0] = (struct cmd_auth){.session = &o->s, .value = secret_bytes(&auth)};
    cmd_put_2b(&c, NO_BYTES); /* nonceTPM, cpHashA, policyRef */
    cmd_put_2b(&c, NO_BYTES);
    cmd_put_2b(&c, NO_BYTES);
    PUT(&c, UINT32, 0);
    return cmd_exec(t, &c, ERROR_TPM_GATE);
}

static CK_RV read_pepper(struct tpm *t, struct opening *o, struct secret *ret)
{
    struct pepper_policy policy = {0};
    TRY(make_pepper_policy(o->limit->index, &policy));
    TRY(policy_command_code(t, &o->p, TPM2_CC_NV_Read));
    TRY(policy_or(t, &o->p, (const uint8_t *[]){policy.behind[0], policy.behind[1]}, TPM_GATES));
    o->p.keep = false;
    CK_RV rv = seat_read(t, &o->p, &o->limit->index[TPM_PEPPER], NO_BYTES, ret);
    /* no PIN is in that command, so none is wrong */
    return rv == CKR_PIN_INCORRECT || rv == CKR_PIN_LOCKED ? CKR_TOKEN_NOT_RECOGNIZED : rv;
}

/* What a gate answers to a PIN that passes it, but is not the seat's: *ret_passed. */
static CK_RV open_through(struct tpm *t, struct opening *o, int g, bool *ret_passed,
                          struct secret *ret)
{
    CLEANUP(secret_free) struct secret pepper = {0}, auth = {0};
    if (!o->p.handle)
        TRY(session_start(t, o->parent, TPM2_SE_POLICY, &o->p));
    TRY(pass_gate(t, o, g));
    *ret_passed = true;
    TRY(read_pepper(t, o, &pepper));
    TRY(seat_auth(o->auth, secret_bytes(&pepper), &auth));
    o->s.keep = session_stays(t);
    CK_RV rv = seat_read(t, &o->s, &(struct tpm_index){o->seat->nv, o->seat->name},
                         secret_bytes(&auth), ret);
    o->s.keep = true;
    return rv;
}

static CK_RV owner_read(struct tpm *t, const struct tpm_index *gate, struct pin_counter *ret)
{
    CLEANUP(session_wipe) struct session s = {0};
    COMMAND(c, NV_Read, .handles = 2, .auth_handles = 1, .auths = 1);
    c.handle[0].handle = TPM2_RH_OWNER;
    c.handle[1] = (struct cmd_handle){gate->nv, gate->name};
    TRY(owner_session(t, &s, &c.auth[0]));
    PUT(&c, UINT16, 8);
    PUT(&c, UINT16, 0);
    CK_RV rv = cmd_send(t, &c);
    if (s.handle)
        session_end(t, &s);
    TRY(rv);
    if (c.rc != TPM2_RC_SUCCESS) /* who may not read it has no use for an error in the log */
        return rc_plain(c.rc) == TPM2_RC_BAD_AUTH ? CKR_ACTION_PROHIBITED
                                                  : CKR_TOKEN_NOT_RECOGNIZED;
    return take_counter(&c, ret);
}

static bool is_open(struct tpm *t, const struct tpm_index *gate)
{
    struct pin_counter counter;
    return owner_read(t, gate, &counter) == CKR_OK && counter.limit > 0;
}

/* Either gate may be the one: a change that was cut off leaves both open. */
static CK_RV try_gates(struct tpm *t, struct opening *o, int *ret_gate, bool *ret_unsettled,
                       struct secret *ret)
{
    bool wrong = false;
    for (int g = 0; g < TPM_GATES; g++) {
        bool passed = false;
        CK_RV rv = open_through(t, o, g, &passed, ret);
        if (rv == CKR_OK) {
            *ret_gate = g;
            *ret_unsettled = g == 0 ? is_open(t, &o->limit->index[1]) : wrong;
            return CKR_OK;
        }
        if (rv != CKR_PIN_INCORRECT && (rv != CKR_PIN_LOCKED || passed))
            return rv;
        wrong |= rv == CKR_PIN_INCORRECT;
    }
    return wrong ? CKR_PIN_INCORRECT
                 : error_log(CKR_PIN_LOCKED,
                             "the token's limit of %u wrong PINs is reached: the security officer "
                             "sets a new one (latchkey token reset-pin)",
                             o->limit->tries);
}

static CK_RV open_limited(struct tpm *t, struct opening *o, int *ret_gate, bool *ret_unsettled,
                          struct secret *ret)
{
    TRY(session_start(t, o->parent, TPM2_SE_HMAC, &o->s));
    CK_RV rv = session_start(t, o->parent, TPM2_SE_POLICY, &o->p);
    if (rv == CKR_OK)
        rv = seat_prove(t, &o->s, &o->p, o->seat);
    if (rv == CKR_OK)
        rv = try_gates(t, o, ret_gate, ret_unsettled, ret);
    if (o->p.handle)
        session_end(t, &o->p);
    if (rv == CKR_OK)
        session_keep(t, &o->s);
    else if (o->s.handle)
        session_end(t, &o->s);
    return rv;
}

CK_RV tpm_limit_open(struct tpm *t, const struct tpm_parent *parent, const struct tpm_seat *seat,
                     const struct tpm_limit *limit, struct bytes auth, bool *ret_unsettled,
                     struct secret *ret)
{
    HOLD(t);
    CLEANUP(opening_wipe) struct opening o = {parent, seat, limit, auth, {0}, {0}};
    int gate;
    return open_limited(t, &o, &gate, ret_unsettled, ret);
}

/* ---- another PIN --------------------------------------------------------------------------- */

/* Alone with the TPM, and the PIN tried once more: another process' change may have been under way,
 * and is done now. */
CK_RV tpm_limit_settle(struct tpm *t, const struct tpm_parent *parent, const struct tpm_seat *seat,
                       const struct tpm_limit *limit, struct bytes auth, struct bytes seed)
{
    HOLD_ALONE(t);
    CLEANUP(opening_wipe) struct opening o = {parent, seat, limit, auth, {0}, {0}};
    CLEANUP(secret_free) struct secret secret = {0};
    struct keeper k = {.parent = parent, .seed = seed};
    struct pin_counter counter;
    bool unsettled;
    int gate;
    TRY(make_gate_policy(seed, &k.policy));
    TRY(open_limited(t, &o, &gate, &unsettled, &secret));
    residents_flush(t);
    const struct tpm_index *other = &limit->index[1 - gate];
    TRY(gate_read(t, &k, other, &counter));
    return counter.limit ? gate_write(t, &k, other, 0) : CKR_OK;
}

/* The seat's authorization is the one commit. Before it the new PIN passes a gate but does not open
 * the seat, after it the old one does; both gates are open for that long. */
static CK_RV change(struct tpm *t, const struct keeper *k, const struct tpm_seat *seat,
                    const struct tpm_limit *limit, struct bytes at_gate, struct bytes at_seat)
{
    struct pin_counter now[TPM_GATES];
    for (int g = 0; g < TPM_GATES; g++)
        TRY(gate_read(t, k, &limit->index[g], &now[g]));
    uint32_t most = now[0].limit > now[1].limit ? now[0].limit : now[1].limit;
    uint32_t tries = most ? most : limit->tries;
    int fresh = now[0].limit == 0 ? 0 : 1;
    TRY(gate_change_auth(t, k, &limit->index[fresh], at_gate));
    TRY(gate_write(t, k, &limit->index[fresh], tries));
    TRY(seat_change_surely(t, k->parent, seat, NO_BYTES, k->seed, at_seat));
    /* it is done, and what fails now the next login mends */
    CK_RV rv = CKR_OK;
    if (t->managed) /* other processes' logins with the old PIN were counted at the new gate */
        rv = gate_write(t, k, &limit->index[fresh], tries);
    if (rv == CKR_OK)
        rv = gate_write(t, k, &limit->index[1 - fresh], 0);
    if (rv != CKR_OK)
        log_warn("the PIN is changed; the next login clears up what the change left");
    return CKR_OK;
}

CK_RV tpm_limit_change(struct tpm *t, const struct tpm_parent *parent, const struct tpm_seat *seat,
                       const struct tpm_limit *limit, struct bytes seed, struct bytes new_auth)
{
    HOLD_ALONE(t);
    CLEANUP(secret_free) struct secret pepper = {0}, at_gate = {0}, at_seat = {0};
    struct keeper k = {.parent = parent, .seed = seed};
    TRY(make_gate_policy(seed, &k.policy));
    TRY(make_pepper(seed, &pepper));
    TRY(gate_auth(new_auth, &at_gate));
    TRY(seat_auth(new_auth, secret_bytes(&pepper), &at_seat));
    residents_flush(t);
    return change(t, &k, seat, limit, secret_bytes(&at_gate), secret_bytes(&at_seat));
}

/* ---- what is left -------------------------------------------------------------------------- */

CK_RV tpm_limit_read(struct tpm *t, const struct tpm_limit *limit, uint32_t *ret_most,
                     uint32_t *ret_left)
{
    HOLD(t);
    uint32_t most = 0, left = 0;
    for (int g = 0; g < TPM_GATES; g++) {
        struct pin_counter counter;
        TRY(owner_read(t, &limit->index[g], &counter));
        uint32_t of_this = counter.count < counter.limit ? counter.limit - counter.count : 0;
        most = counter.limit > most ? counter.limit : most;
        left = of_this > left ? of_this : left;
    }
    *ret_most = most;
    *ret_left = left;
    return CKR_OK;
}
