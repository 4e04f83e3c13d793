#include "internal.h"

#include <stdio.h>
#include <stdlib.h>

/* C_InitToken and the end of tokens. The order between TPM and store makes a kill at any point
 * mendable: intent, indices, switch, removal of the old (store/FORMAT.md). */

/* ---- mending ------------------------------------------------------------------------------- */

enum { INTENT_AGE = 600 }; /* seconds: no C_InitToken of another process is still at it */

static void remove_pending(struct library *lib, unsigned min_age)
{
    struct store_nv *list = NULL;
    size_t n = 0;
    if (store_nv_pending(lib->store, min_age, &list, &n) != CKR_OK)
        return;
    for (size_t i = 0; i < n; i++)
        if (tpm_nv_undefine(lib->tpm, list[i].handle, buf_bytes(&list[i].name)) == CKR_OK)
            store_nv_done(lib->store, &list[i]);
    store_nv_free(&list, n);
}

void token_mend(struct library *lib)
{
    pthread_mutex_lock(&lib->registry);
    bool done = lib->mended;
    lib->mended = true;
    pthread_mutex_unlock(&lib->registry);
    if (!done && store_writable(lib->store))
        remove_pending(lib, INTENT_AGE);
}

/* ---- making the seats ---------------------------------------------------------------------- */

/* What a new token is made of, before anything is done. */
struct plan {
    struct store_token row;
    struct secret s;
    struct secret user_auth; /* random: nobody's until C_InitPIN */
    struct secret so_auth;
    uint8_t seed[48];
    int64_t intent;
};

static void plan_free(struct plan *p)
{
    store_token_free(&p->row);
    secret_free(&p->s);
    secret_free(&p->user_auth);
    secret_free(&p->so_auth);
    secret_wipe(p->seed, sizeof(p->seed));
}

static CK_RV define_seat(struct library *lib, struct plan *p, bool so, uint32_t nv)
{
    struct store_seat *seat = so ? &p->row.so : &p->row.user;
    const struct tpm_parent parent = token_parent(&p->row);
    struct tpm_seat_owned made = {0};
    TRY(tpm_seat_define(lib->tpm, &parent, nv, !so && p->row.unattended,
                        secret_bytes(so ? &p->so_auth : &p->user_auth), secret_bytes(&p->s),
                        BYTES_OF(p->seed), &made));
    seat->nv = made.nv;
    seat->nv_name = made.name;
    return CKR_OK;
}

static CK_RV define_limit(struct library *lib, struct plan *p, const uint32_t *nv)
{
    const struct tpm_parent parent = token_parent(&p->row);
    struct tpm_limit_owned made = {0};
    CK_RV rv = tpm_limit_define(lib->tpm, &parent, nv, BYTES_OF(p->seed), &made);
    for (int i = 0; i < TPM_LIMIT_INDICES; i++) {
        p->row.limit.nv[i] = made.nv[i]; /* also of those that have to go again */
        p->row.limit.name[i] = made.name[i];
    }
    return rv;
}

/* The new token's indices: the user's, the SO's, and those of a limit. */
enum { SEATS = 2, INDICES = SEATS + TPM_LIMIT_INDICES };

/* The one of that number in the row; name empty when it is not defined yet. */
static struct tpm_index planned(const struct plan *p, size_t i)
{
    const struct store_seat *seat = i ? &p->row.so : &p->row.user;
    return i < SEATS ? (struct tpm_index){seat->nv, buf_bytes(&seat->nv_name)}
                     : (struct tpm_index){p->row.limit.nv[i - SEATS],
                                          buf_bytes(&p->row.limit.name[i - SEATS])};
}

static void forget_planned(struct plan *p)
{
    buf_free(&p->row.user.nv_name);
    buf_free(&p->row.so.nv_name);
    p->row.user.nv = p->row.so.nv = 0;
    for (int i = 0; i < TPM_LIMIT_INDICES; i++) {
        buf_free(&p->row.limit.name[i]);
        p->row.limit.nv[i] = 0;
    }
}

static CK_RV pick(struct library *lib, uint32_t *nv, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        TRY(tpm_nv_pick(lib->tpm, &nv[i]));
        for (size_t j = 0; j < i; j++)
            if (nv[j] == nv[i])
                return CKR_FUNCTION_REJECTED;
    }
    return CKR_OK;
}

static CK_RV define_all(struct library *lib, struct plan *p, const uint32_t *nv)
{
    TRY(define_seat(lib, p, false, nv[0]));
    TRY(define_seat(lib, p, true, nv[1]));
    return p->row.limit.tries ? define_limit(lib, p, nv + SEATS) : CKR_OK;
}

static CK_RV define_seats(struct library *lib, struct plan *p)
{
    uint32_t nv[INDICES];
    size_t n = p->row.limit.tries ? INDICES : SEATS;
    TRY(pick(lib, nv, n));
    CK_RV known = store_intent_begin(lib->store, nv, n, &p->intent);
    if (known != CKR_OK) /* CKR_FUNCTION_FAILED: the store names one of them, take another */
        return known == CKR_FUNCTION_FAILED ? CKR_FUNCTION_REJECTED : known;
    CK_RV rv = define_all(lib, p, nv);
    if (rv == CKR_OK)
        return CKR_OK;
    /* what was defined goes; a handle that was taken by somebody else is not ours to remove. The
     * intent stays while something may be left: it is mended at a later opening */
    bool taken = rv == CKR_FUNCTION_REJECTED, gone = true;
    for (size_t i = 0; i < n; i++)
        if (!taken || planned(p, i).nv)
            gone &= tpm_nv_undefine(lib->tpm, nv[i], NO_BYTES) == CKR_OK;
    if (gone)
        store_intent_drop(lib->store, p->intent);
    forget_planned(p);
    return rv;
}

static CK_RV seal_seats(struct library *lib, struct plan *p)
{
    const struct tpm_parent parent = token_parent(&p->row);
    struct tpm_seat_owned user = {0}, so = {0};
    TRY(tpm_seat_seal(lib->tpm, &parent, p->row.unattended, secret_bytes(&p->user_auth),
                      secret_bytes(&p->s), &user));
    CK_RV rv = tpm_seat_seal(lib->tpm, &parent, false, secret_bytes(&p->so_auth),
                             secret_bytes(&p->s), &so);
    if (rv != CKR_OK) {
        tpm_seat_free(&user);
        return rv;
    }
    p->row.user = (struct store_seat){.pub = user.pub, .priv = user.priv};
    p->row.so = (struct store_seat){.pub = so.pub, .priv = so.priv};
    return store_intent_begin(lib->store, NULL, 0, &p->intent);
}

static CK_RV make_seats(struct library *lib, struct plan *p)
{
    CK_RV rv = CKR_FUNCTION_REJECTED;
    for (int i = 0; i < 8 && rv == CKR_FUNCTION_REJECTED && !lib->config.pin_storage_sealed; i++)
        rv = define_seats(lib, p);
    /* only for want of NV space or of the owner's leave: a passing fault or a lockout must not make
     * a weaker token, nor one that already has its indices */
    bool no_nv = (rv == CKR_DEVICE_MEMORY || rv == CKR_ACTION_PROHIBITED) && !p->row.id;
    if (no_nv && p->row.limit.tries) {
        error_log(rv, "no NV index can be made, and max-pin-tries needs them (see owner-auth-file "
                      "in latchkey.conf(5))");
        no_nv = false;
    }
    if (rv == CKR_OK || !(lib->config.pin_storage_sealed || no_nv))
        return rv == CKR_FUNCTION_REJECTED || rv == CKR_ACTION_PROHIBITED ? CKR_DEVICE_ERROR : rv;
    if (!lib->config.pin_storage_sealed)
        log_error("no NV index can be made for the PINs; they are kept in sealed objects instead: "
                  "an old PIN will go on working with an old copy of the store (see "
                  "owner-auth-file and pin-storage in latchkey.conf(5))");
    return seal_seats(lib, p);
}

/* ---- the new row --------------------------------------------------------------------------- */

static CK_RV new_identity(struct store_token *row, CK_SLOT_ID slot)
{
    char hex[17];
    TRY(soft_random(row->uid, sizeof(row->uid)));
    bytes_hex(BYTES(row->uid, 8), hex);
    memcpy(row->serial, hex, sizeof(row->serial));
    row->slot = slot;
    return CKR_OK;
}

static void keep_identity(struct store_token *row, const struct store_token *old)
{
    row->id = old->id;
    row->slot = old->slot;
    row->generation = old->generation;
    memcpy(row->uid, old->uid, sizeof(row->uid));
    memcpy(row->serial, old->serial, sizeof(row->serial));
}

static CK_RV set_label(struct store_token *row, const CK_UTF8CHAR *label)
{
    size_t n = 32;
    while (n && label[n - 1] == ' ')
        n--;
    return buf_set(&row->label, BYTES(label, n));
}

static CK_RV make_plan(struct library *lib, struct bytes pin, const CK_UTF8CHAR *label,
                       struct plan *p)
{
    struct tpm_parent_owned parent;
    p->row.pin_rounds = lib->config.pin_rounds;
    p->row.unattended = lib->config.unattended;
    p->row.limit.tries = lib->config.max_pin_tries;
    TRY(set_label(&p->row, label));
    TRY(tpm_find_parent(lib->tpm, &parent));
    p->row.parent = parent.handle;
    p->row.parent_name = parent.name;
    p->row.parent_public = parent.pub;
    TRY(secret_new(&p->s, TPM_SECRET));
    TRY(tpm_random(lib->tpm, p->s.p, p->s.n));
    TRY(secret_new(&p->user_auth, TPM_AUTH));
    TRY(soft_random(p->user_auth.p, p->user_auth.n));
    TRY(token_pin_auth(&p->row, true, pin, &p->so_auth));
    TRY(token_reset_seed(secret_bytes(&p->s), p->seed));
    return token_check_value(&p->row, secret_bytes(&p->s), &p->row.check);
}

/* After a switch that failed. One that failed at its very end happened all the same (the disk
 * refused to sync the directory): what the store names, or may name, stays. Its intent's rows have
 * it removed later, if it was not. */
static void remove_seats(struct library *lib, struct plan *p)
{
    CLEANUP(store_token_free) struct store_token now = {0};
    CK_RV rv = store_token_get(lib->store, p->row.slot, &now);
    if (rv == CKR_OK ? now.user.nv == p->row.user.nv : rv != CKR_SLOT_ID_INVALID)
        return;
    bool gone = true;
    for (size_t i = 0; i < INDICES; i++) {
        const struct tpm_index index = planned(p, i);
        if (index.nv)
            gone &= tpm_nv_undefine(lib->tpm, index.nv, index.name) == CKR_OK;
    }
    if (gone)
        store_intent_drop(lib->store, p->intent);
}

static CK_RV carry_out(struct library *lib, struct bytes pin, const CK_UTF8CHAR *label,
                       struct plan *p)
{
    TRY(make_plan(lib, pin, label, p));
    TRY(make_seats(lib, p));
    CK_RV rv = store_intent_commit(lib->store, p->intent, &p->row);
    if (rv != CKR_OK)
        remove_seats(lib, p);
    return rv;
}

/* ---- C_InitToken --------------------------------------------------------------------------- */

static CK_RV again(struct token *t, struct bytes pin, const CK_UTF8CHAR *label, struct plan *p)
{
    CLEANUP(secret_free) struct secret old = {0};
    token_forgive(t);
    TOKEN_WRITE(t);
    if (token_has_sessions(t))
        return CKR_SESSION_EXISTS;
    CK_RV rv = token_open_seat(t, true, pin, &old);
    if (t->foreign)
        return CKR_TOKEN_NOT_RECOGNIZED;
    TRY(rv);
    keep_identity(&p->row, &t->row);
    token_objects_forget(t, false);
    TRY(carry_out(t->lib, pin, label, p));
    t->loaded = false; /* its successor is another token, but these are no old sessions' */
    return CKR_OK;
}

/* The gates are NV indices, and a PIN that nobody guesses has no use for them. */
static CK_RV check_limit(const struct config *c)
{
    if (!c->max_pin_tries || (!c->pin_storage_sealed && !c->unattended))
        return CKR_OK;
    return error_log(CKR_FUNCTION_FAILED,
                     "max-pin-tries does not go with %s: no token is made (see latchkey.conf(5))",
                     c->unattended ? "unattended" : "pin-storage = sealed");
}

CK_RV token_init(struct library *lib, CK_SLOT_ID slot, struct bytes pin, const CK_UTF8CHAR *label)
{
    CLEANUP(plan_free) struct plan p = {0};
    struct token *t = NULL;
    CK_RV rv = token_find(lib, slot, &t);
    if (rv != CKR_TOKEN_NOT_PRESENT)
        TRY(rv);
    TRY(check_limit(&lib->config));
    if (!store_writable(lib->store))
        return CKR_TOKEN_WRITE_PROTECTED;
    if (pin.n < PIN_MIN || pin.n > PIN_MAX)
        return t ? CKR_PIN_INCORRECT : CKR_PIN_LEN_RANGE;
    if (t) {
        TRY(again(t, pin, label, &p));
    } else {
        TRY(new_identity(&p.row, slot));
        TRY(carry_out(lib, pin, label, &p));
    }
    library_keep_caps(lib);          /* now that the store exists */
    remove_pending(lib, INTENT_AGE); /* the indices of the token that was replaced */
    return CKR_OK;
}

/* ---- the vendor interface's TokenDestroy --------------------------------------------------- */

CK_RV token_destroy(struct library *lib, CK_SLOT_ID slot, struct bytes so_pin, bool force)
{
    struct token *t;
    TRY(token_find(lib, slot, &t));
    token_forgive(t);
    {
        CLEANUP(secret_free) struct secret s = {0};
        TOKEN_WRITE(t);
        if (token_has_sessions(t))
            return CKR_SESSION_EXISTS;
        if (so_pin.n || !force)
            TRY(token_open_seat(t, true, so_pin, &s));
        TRY(store_token_delete(lib->store, t->row.id));
        token_objects_forget(t, false);
        t->loaded = false;
    }
    remove_pending(lib, INTENT_AGE);
    return CKR_OK;
}
