#include "internal.h"

#include <stdlib.h>

/* NV indices of latchkey: the part of the owner's range that no vendor or TCG profile claims. */
enum { NV_FIRST = 0x01800000, NV_LAST = 0x01BFFFFF };

void tpm_seat_free(struct tpm_seat_owned *s)
{
    buf_free(&s->name);
    buf_free(&s->pub);
    buf_free(&s->priv);
}

/* ---- the policy ---------------------------------------------------------------------------- */

/* PolicyCommandCode(NV_ChangeAuth), PolicyAuthValue: a constant (measured, and recomputed by a unit
 * test). */
static const uint8_t by_old_pin[32] = {
    0xaa, 0x83, 0xa5, 0x98, 0xd9, 0x3a, 0x56, 0xc9, 0xca, 0x6f, 0xea, 0x7c, 0x3f, 0xfc, 0x4e, 0x10,
    0x63, 0x57, 0xff, 0x6d, 0x93, 0xe1, 0x1a, 0x9b, 0x4a, 0xc2, 0xb6, 0xaa, 0xe1, 0x2b, 0xa0, 0xde,
};

struct policy {
    struct policy_signer signer; /* of the signed branch */
    uint8_t by_signature[32];
    uint8_t digest[32]; /* PolicyOR of both */
};

static CK_RV make_policy(struct bytes seed, struct policy *ret)
{
    TRY(policy_signer(seed, &ret->signer));
    TRY(policy_command_code_digest(ret->signer.digest, TPM2_CC_NV_ChangeAuth, ret->by_signature));
    return policy_or_digest((const uint8_t *[]){by_old_pin, ret->by_signature}, 2, ret->digest);
}

/* ---- the index ----------------------------------------------------------------------------- */

static void index_public(uint32_t nv, bool no_da, const struct policy *policy, TPM2B_NV_PUBLIC *ret)
{
    *ret = (TPM2B_NV_PUBLIC){.nvPublic = {.nvIndex = nv,
                                          .nameAlg = TPM2_ALG_SHA256,
                                          .attributes = TPMA_NV_AUTHREAD | TPMA_NV_AUTHWRITE |
                                                        TPMA_NV_WRITEDEFINE |
                                                        (no_da ? TPMA_NV_NO_DA : 0),
                                          .authPolicy.size = sizeof(policy->digest),
                                          .dataSize = TPM_SECRET}};
    memcpy(ret->nvPublic.authPolicy.buffer, policy->digest, sizeof(policy->digest));
}

CK_RV index_name(const TPM2B_NV_PUBLIC *index, uint8_t *ret34)
{
    uint8_t raw[sizeof(TPMS_NV_PUBLIC)];
    size_t n = 0;
    if (Tss2_MU_TPMS_NV_PUBLIC_Marshal(&index->nvPublic, raw, sizeof(raw), &n) != TSS2_RC_SUCCESS)
        return CKR_GENERAL_ERROR;
    ret34[0] = (uint8_t)(index->nvPublic.nameAlg >> 8);
    ret34[1] = (uint8_t)index->nvPublic.nameAlg;
    return soft_hash(HASH_SHA256, (struct bytes[]){BYTES(raw, n)}, 1, ret34 + 2);
}

CK_RV index_define(struct tpm *t, struct session *s, const TPM2B_NV_PUBLIC *index,
                   struct bytes auth)
{
    COMMAND(c, NV_DefineSpace, .handles = 1, .auth_handles = 1, .auths = 1);
    c.handle[0].handle = TPM2_RH_OWNER;
    TRY(owner_auth(t, &c.auth[0].value));
    c.auth[0].session = c.encrypt_in = s;
    cmd_put_2b(&c, auth);
    PUT(&c, TPM2B_NV_PUBLIC, index);
    TRY(cmd_send(t, &c));
    if (rc_plain(c.rc) == TPM2_RC_NV_DEFINED)
        return CKR_FUNCTION_REJECTED;
    CK_RV rv = error_tpm(ERROR_TPM_OWNER, c.name, c.rc);
    return rc_plain(c.rc) == TPM2_RC_BAD_AUTH ? CKR_ACTION_PROHIBITED : rv;
}

/* A command whose authorized handle and index are the same NV index. */
void index_aim(struct cmd *c, struct session *s, const struct tpm_index *index, struct bytes auth)
{
    c->handles = 2;
    c->auth_handles = c->auths = 1;
    c->handle[0] = c->handle[1] = (struct cmd_handle){index->nv, index->name};
    c->auth[0] = (struct cmd_auth){.session = s, .value = auth};
}

CK_RV seat_read(struct tpm *t, struct session *s, const struct tpm_index *index, struct bytes auth,
                struct secret *ret)
{
    COMMAND(c, NV_Read);
    index_aim(&c, s, index, auth);
    c.encrypt_out = s;
    PUT(&c, UINT16, TPM_SECRET);
    PUT(&c, UINT16, 0);
    TRY(cmd_exec(t, &c, ERROR_TPM_LOGIN));
    struct bytes secret = cmd_get_2b(&c);
    if (c.bad || secret.n != TPM_SECRET)
        return error_log(CKR_DEVICE_ERROR, "TPM2_NV_Read answered nonsense");
    return secret_copy(ret, secret);
}

static CK_RV fill(struct tpm *t, struct session *s, TPM2B_NV_PUBLIC *index, struct bytes auth,
                  struct bytes secret, uint8_t *name)
{
    CLEANUP(secret_free) struct secret back = {0};
    const struct tpm_index at = {index->nvPublic.nvIndex, BYTES(name, 34)};
    TRY(index_name(index, name));
    COMMAND(w, NV_Write);
    index_aim(&w, s, &at, auth);
    w.encrypt_in = s;
    cmd_put_2b(&w, secret);
    PUT(&w, UINT16, 0);
    TRY(cmd_exec(t, &w, ERROR_TPM_ANY));
    index->nvPublic.attributes |= TPMA_NV_WRITTEN;
    TRY(index_name(index, name));
    COMMAND(l, NV_WriteLock);
    index_aim(&l, s, &at, auth);
    TRY(cmd_exec(t, &l, ERROR_TPM_ANY));
    index->nvPublic.attributes |= TPMA_NV_WRITELOCKED;
    TRY(index_name(index, name));
    TRY(seat_read(t, s, &at, auth, &back));
    return secret_equal(secret_bytes(&back), secret)
               ? CKR_OK
               : error_log(CKR_DEVICE_ERROR, "NV index 0x%x does not keep what was written", at.nv);
}

CK_RV tpm_seat_define(struct tpm *t, const struct tpm_parent *parent, uint32_t nv, bool no_da,
                      struct bytes auth, struct bytes secret, struct bytes reset_seed,
                      struct tpm_seat_owned *ret)
{
    HOLD(t);
    struct policy policy = {0};
    CLEANUP(session_wipe) struct session s = {0};
    TPM2B_NV_PUBLIC index;
    uint8_t name[34];
    TRY(make_policy(reset_seed, &policy));
    index_public(nv, no_da, &policy, &index);
    TRY(session_start(t, parent, TPM2_SE_HMAC, &s));
    CK_RV rv = session_prove(t, parent, &s);
    if (rv == CKR_OK)
        rv = index_define(t, &s, &index, auth);
    if (rv == CKR_OK)
        rv = fill(t, &s, &index, auth, secret, name);
    session_end(t, &s);
    TRY(rv);
    struct tpm_seat_owned made = {.nv = nv};
    TRY(buf_append(&made.name, name, sizeof(name)));
    *ret = made;
    return CKR_OK;
}

CK_RV tpm_nv_pick(struct tpm *t, uint32_t *ret)
{
    HOLD(t);
    for (int i = 0; i < 64; i++) {
        uint32_t r;
        TRY(soft_random((uint8_t *)&r, sizeof(r)));
        uint32_t nv = NV_FIRST + r % (NV_LAST - NV_FIRST + 1);
        COMMAND(c, NV_ReadPublic, .handles = 1, .repeatable = true);
        c.handle[0].handle = nv;
        TRY(cmd_send(t, &c));
        if (rc_plain(c.rc) == TPM2_RC_HANDLE) {
            *ret = nv;
            return CKR_OK;
        }
        TRY(error_tpm(ERROR_TPM_ANY, c.name, c.rc));
    }
    return error_log(CKR_DEVICE_MEMORY, "no free NV index was found");
}

/* ---- opening ------------------------------------------------------------------------------- */

/* Proves, uncounted, that the session's key, the TPM and the index are those that the store means:
 * with any of them wrong, even the right PIN would answer as a wrong one and burn a try. */
CK_RV seat_prove(struct tpm *t, struct session *s, struct session *policy,
                 const struct tpm_seat *seat)
{
    COMMAND(c, NV_ReadPublic, .handles = 1, .auths = policy ? 2 : 1);
    c.handle[0] = (struct cmd_handle){seat->nv, seat->name};
    c.auth[0].session = c.audit = s;
    c.auth[1].session = c.encrypt_out = policy;
    TRY(cmd_send(t, &c));
    if (rc_plain(c.rc) == TPM2_RC_HANDLE)
        return error_log(CKR_TOKEN_NOT_RECOGNIZED,
                         "the token's NV index 0x%x is not in the TPM: it was cleared, the index "
                         "removed, or the store belongs to another machine",
                         seat->nv);
    if (rc_plain(c.rc) == TPM2_RC_BAD_AUTH || rc_plain(c.rc) == TPM2_RC_AUTH_FAIL)
        return error_log(CKR_TOKEN_NOT_RECOGNIZED,
                         "the TPM does not have the parent key or the NV index 0x%x that the store "
                         "names: it was cleared, or the store is an old copy or another machine's",
                         seat->nv);
    TRY(error_tpm(ERROR_TPM_ANY, c.name, c.rc));
    cmd_get_2b(&c);
    struct bytes name = cmd_get_2b(&c);
    TRY(cmd_parsed(&c));
    return bytes_equal(name, seat->name)
               ? CKR_OK
               : error_log(CKR_TOKEN_NOT_RECOGNIZED, "NV index 0x%x is not the token's", seat->nv);
}

/* A salted session proven against the seat. */
static CK_RV proven_session(struct tpm *t, const struct tpm_parent *parent,
                            const struct tpm_seat *seat, struct session *ret)
{
    TRY(session_start(t, parent, TPM2_SE_HMAC, ret));
    return seat_prove(t, ret, NULL, seat);
}

bool session_stays(const struct tpm *t)
{
    return !t->managed && !t->config->password_session;
}

/* The session that read the secret serves for the keys: one StartAuthSession less. */
void session_keep(struct tpm *t, struct session *s)
{
    if (!session_stays(t)) {
        if (s->handle)
            session_end(t, s);
        return;
    }
    if (t->session.handle)
        flush_handle(t, t->session.handle);
    session_wipe(&t->session);
    t->session = *s;
    extra_forget(t, s->handle);
    *s = (struct session){0};
}

static CK_RV open_nv(struct tpm *t, const struct tpm_parent *parent, const struct tpm_seat *seat,
                     struct bytes auth, struct secret *ret)
{
    CLEANUP(session_wipe) struct session s = {0};
    CK_RV rv = proven_session(t, parent, seat, &s);
    if (rv == CKR_OK) {
        s.keep = session_stays(t);
        rv = seat_read(t, &s, &(struct tpm_index){seat->nv, seat->name}, auth, ret);
    }
    if (rv == CKR_OK)
        session_keep(t, &s);
    else if (s.handle)
        session_end(t, &s);
    return rv;
}

/* ---- sealed objects ------------------------------------------------------------------------ */

static CK_RV load_sealed(struct tpm *t, const struct tpm_parent *parent, struct session *s,
                         const struct tpm_seat *seat, TPM2_HANDLE *ret, uint8_t *ret_name,
                         size_t *ret_name_n)
{
    COMMAND(c, Load, .handles = 1, .auth_handles = 1, .auths = 1, .makes_handle = true);
    residents_flush(t); /* the primary may need a slot too */
    TRY(public_name(seat->pub, ret_name, ret_name_n));
    c.handle[0].name = parent->name;
    TRY(parent_handle(t, parent, &c.handle[0].handle));
    c.auth[0].session = s; /* proves the session's key: a wrong one answers 0x9A2, uncounted */
    cmd_put_raw(&c, seat->priv);
    cmd_put_raw(&c, seat->pub);
    handle_pending(t, PENDING_OBJECT, BYTES(ret_name, *ret_name_n));
    TRY(cmd_send(t, &c)); /* a lost answer stays pending */
    TSS2_RC rc = rc_plain(c.rc);
    if (rc != TPM2_RC_SUCCESS)
        handle_pending(t, PENDING_NONE, NO_BYTES);
    if (rc == TPM2_RC_BAD_AUTH || rc == TPM2_RC_INTEGRITY || rc == TPM2_RC_HANDLE)
        return error_log(CKR_TOKEN_NOT_RECOGNIZED,
                         "the TPM does not have the parent key that the store names: it was "
                         "cleared, or the store belongs to another machine");
    TRY(error_tpm(ERROR_TPM_ANY, c.name, c.rc));
    extra_add(t, c.made);
    *ret = c.made;
    return CKR_OK;
}

static CK_RV unseal(struct tpm *t, const struct tpm_parent *parent, struct session *s,
                    const struct tpm_seat *seat, struct bytes auth, struct secret *ret)
{
    uint8_t name[NAME_MAX_SIZE];
    size_t name_n;
    TPM2_HANDLE handle = 0;
    TRY(load_sealed(t, parent, s, seat, &handle, name, &name_n));
    COMMAND(c, Unseal, .handles = 1, .auth_handles = 1, .auths = 1);
    c.handle[0] = (struct cmd_handle){handle, BYTES(name, name_n)};
    c.auth[0] = (struct cmd_auth){.session = s, .value = auth};
    c.encrypt_out = s;
    s->keep = session_stays(t);
    TRY(cmd_exec(t, &c, ERROR_TPM_LOGIN));
    struct bytes secret = cmd_get_2b(&c);
    if (c.bad || secret.n != TPM_SECRET)
        return error_log(CKR_DEVICE_ERROR, "TPM2_Unseal answered nonsense");
    return secret_copy(ret, secret);
}

CK_RV tpm_seat_seal(struct tpm *t, const struct tpm_parent *parent, bool no_da, struct bytes auth,
                    struct bytes secret, struct tpm_seat_owned *ret)
{
    HOLD(t);
    const TPM2B_PUBLIC template = {
        .publicArea = {.type = TPM2_ALG_KEYEDHASH,
                       .nameAlg = TPM2_ALG_SHA256,
                       .objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                                           TPMA_OBJECT_USERWITHAUTH |
                                           (no_da ? TPMA_OBJECT_NODA : 0),
                       .parameters.keyedHashDetail.scheme.scheme = TPM2_ALG_NULL}};
    struct tpm_key_made made = {0};
    CK_RV rv = key_create(t, parent, auth, secret, &template, &made);
    if (rv != CKR_OK) {
        tpm_key_made_free(&made);
        return rv;
    }
    *ret = (struct tpm_seat_owned){.pub = made.pub, .priv = made.priv};
    return CKR_OK;
}

static CK_RV open_sealed(struct tpm *t, const struct tpm_parent *parent,
                         const struct tpm_seat *seat, struct bytes auth, struct secret *ret)
{
    CLEANUP(session_wipe) struct session s = {0};
    TRY(session_start(t, parent, TPM2_SE_HMAC, &s));
    CK_RV rv = unseal(t, parent, &s, seat, auth, ret);
    if (rv == CKR_OK)
        session_keep(t, &s);
    else if (s.handle)
        session_end(t, &s);
    return rv;
}

CK_RV tpm_seat_open(struct tpm *t, const struct tpm_parent *parent, const struct tpm_seat *seat,
                    struct bytes auth, struct secret *ret)
{
    HOLD(t);
    return seat->nv ? open_nv(t, parent, seat, auth, ret) : open_sealed(t, parent, seat, auth, ret);
}

/* ---- another authorization ----------------------------------------------------------------- */

/* The new authorization goes under the second session's encryption: with the policy session's own,
 * an unknown present authorization would give garbage instead of an error (measured). */
CK_RV index_change_auth(struct tpm *t, const struct tpm_index *index, struct session *policy,
                        struct session *proven, struct bytes auth, struct bytes new_auth)
{
    COMMAND(c, NV_ChangeAuth, .handles = 1, .auth_handles = 1, .auths = 2);
    c.handle[0] = (struct cmd_handle){index->nv, index->name};
    c.auth[0] = (struct cmd_auth){.session = policy, .value = auth, .new_value = new_auth};
    c.auth[1].session = c.encrypt_in = proven;
    policy->keep = proven->keep = false;
    cmd_put_2b(&c, new_auth);
    /* the signed branch takes no PIN, so no PIN can be wrong or locked there */
    return cmd_exec(t, &c, auth.n ? ERROR_TPM_LOGIN : ERROR_TPM_ANY);
}

/* auth given: by the branch of the old PIN; else by the signed one. PolicyOR wants the digests of
 * both branches, and the signed one's follows from the seed. */
static CK_RV change(struct tpm *t, const struct tpm_parent *parent, const struct tpm_seat *seat,
                    struct bytes auth, struct bytes seed, struct bytes new_auth)
{
    struct policy policy = {0};
    CLEANUP(session_wipe) struct session proven = {0}, s = {0};
    TRY(make_policy(seed, &policy));
    residents_flush(t); /* two sessions and a key at once: make room */
    TRY(session_start(t, parent, TPM2_SE_HMAC, &proven));
    TRY(session_start(t, parent, TPM2_SE_POLICY, &s));
    TRY(seat_prove(t, &proven, &s,
                   seat)); /* before the policy is begun: it is bound to the nonce */
    if (!auth.n)
        TRY(policy_signed(t, &s, &policy.signer, seed));
    TRY(policy_command_code(t, &s, TPM2_CC_NV_ChangeAuth));
    if (auth.n)
        TRY(policy_auth_value(t, &s));
    TRY(policy_or(t, &s, (const uint8_t *[]){by_old_pin, policy.by_signature}, 2));
    return index_change_auth(t, &(struct tpm_index){seat->nv, seat->name}, &s, &proven, auth,
                             new_auth); /* the hold ends what is left */
}

/* A lost answer leaves it open which PIN it is. The signed branch needs neither and counts nothing:
 * once more by it, and it is the new one. */
CK_RV seat_change_surely(struct tpm *t, const struct tpm_parent *parent,
                         const struct tpm_seat *seat, struct bytes auth, struct bytes seed,
                         struct bytes new_auth)
{
    t->broken = false;
    CK_RV rv = change(t, parent, seat, auth, seed, new_auth);
    if (rv == CKR_OK || !t->broken)
        return rv;
    TRY(settle_pending(t));
    extras_flush(t);
    return change(t, parent, seat, NO_BYTES, seed, new_auth);
}

CK_RV tpm_seat_change(struct tpm *t, const struct tpm_parent *parent, const struct tpm_seat *seat,
                      struct bytes auth, struct bytes reset_seed, struct bytes new_auth)
{
    HOLD(t);
    return seat_change_surely(t, parent, seat, auth, reset_seed, new_auth);
}

CK_RV tpm_seat_reset(struct tpm *t, const struct tpm_parent *parent, const struct tpm_seat *seat,
                     struct bytes reset_seed, struct bytes new_auth)
{
    HOLD(t);
    return seat_change_surely(t, parent, seat, NO_BYTES, reset_seed, new_auth);
}

/* ---- removal ------------------------------------------------------------------------------- */

/* No session proves this answer, but a Name is the hash of what it names: a spoilt one must not
 * make our index a stranger's, which stays for ever. Ours are all SHA-256's. */
static bool name_fits(const TPM2B_NV_PUBLIC *index, struct bytes name)
{
    uint8_t own[34];
    return index->nvPublic.nameAlg != TPM2_ALG_SHA256 ||
           (index_name(index, own) == CKR_OK && bytes_equal(BYTES_OF(own), name));
}

static CK_RV read_index(struct tpm *t, uint32_t nv, struct cmd *c, TPM2B_NV_PUBLIC *ret_public,
                        struct bytes *ret_name)
{
    c->handle[0].handle = nv;
    TRY(cmd_send(t, c));
    if (rc_plain(c->rc) == TPM2_RC_HANDLE) {
        *ret_name = NO_BYTES;
        return CKR_OK;
    }
    TRY(error_tpm(ERROR_TPM_ANY, c->name, c->rc));
    GET(c, TPM2B_NV_PUBLIC, ret_public);
    *ret_name = cmd_get_2b(c);
    TRY(cmd_parsed(c));
    return name_fits(ret_public, *ret_name)
               ? CKR_OK
               : error_log(CKR_DEVICE_ERROR, "%s: the Name is not the index's", c->name);
}

CK_RV tpm_check_seat(struct tpm *t, const struct tpm_parent *parent, const struct tpm_seat *seat)
{
    TPM2B_NV_PUBLIC index = {0};
    struct bytes now;
    TRY(tpm_check_parent(t, parent));
    if (!seat->nv)
        return CKR_OK;
    HOLD(t);
    COMMAND(c, NV_ReadPublic, .handles = 1, .repeatable = true);
    TRY(read_index(t, seat->nv, &c, &index, &now));
    return bytes_equal(now, seat->name) ? CKR_OK : CKR_TOKEN_NOT_RECOGNIZED;
}

CK_RV tpm_nv_undefine(struct tpm *t, uint32_t nv, struct bytes name)
{
    HOLD(t);
    TPM2B_NV_PUBLIC index = {0};
    struct bytes now;
    if (nv < NV_FIRST || nv > NV_LAST)
        return CKR_ARGUMENTS_BAD;
    COMMAND(r, NV_ReadPublic, .handles = 1, .repeatable = true);
    TRY(read_index(t, nv, &r, &index, &now));
    if (!now.n)
        return CKR_OK;
    if (name.n && !bytes_equal(name, now)) {
        log_warn("NV index 0x%x is another than the one latchkey made; it is left alone", nv);
        return CKR_OK;
    }
    COMMAND(c, NV_UndefineSpace, .handles = 2, .auth_handles = 1, .auths = 1);
    CLEANUP(session_wipe) struct session s = {0};
    c.handle[0].handle = TPM2_RH_OWNER;
    c.handle[1] = (struct cmd_handle){nv, now};
    TRY(owner_session(t, &s, &c.auth[0]));
    CK_RV rv = cmd_exec(t, &c, ERROR_TPM_OWNER);
    if (s.handle)
        session_end(t, &s);
    return rv;
}

CK_RV tpm_nv_list(struct tpm *t, uint32_t **ret, size_t *ret_n)
{
    HOLD(t);
    uint32_t *list = calloc(TPM2_MAX_CAP_HANDLES, sizeof(*list));
    size_t n = 0;
    if (!list)
        return CKR_HOST_MEMORY;
    TPMS_CAPABILITY_DATA data;
    CK_RV rv = get_capability(t, TPM2_CAP_HANDLES, NV_FIRST, TPM2_MAX_CAP_HANDLES, &data);
    for (uint32_t i = 0; rv == CKR_OK && i < data.data.handles.count; i++) {
        uint32_t nv = data.data.handles.handle[i];
        if (nv >= NV_FIRST && nv <= NV_LAST) /* whatever the TPM tells */
            list[n++] = nv;
    }
    if (rv != CKR_OK) {
        free(list);
        return rv;
    }
    *ret = list;
    *ret_n = n;
    return CKR_OK;
}
