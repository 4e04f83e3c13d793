#include "internal.h"

#include <stdlib.h>

/* A handle is a serial number above, the place in the table below: found at once, never given
 * twice. */
enum { PLACE_BITS = 20, PLACES = 1 << PLACE_BITS };

/* ---- the table (library.registry held) ------------------------------------------------------ */

static struct session *look_up(struct library *lib, CK_SESSION_HANDLE handle)
{
    size_t place = handle & (PLACES - 1);
    struct session *s = place < lib->session_slots ? lib->sessions[place] : NULL;
    return s && s->handle == handle ? s : NULL;
}

static CK_RV free_place(struct library *lib, size_t *ret)
{
    for (size_t i = 0; i < lib->session_slots; i++)
        if (!lib->sessions[i]) {
            *ret = i;
            return CKR_OK;
        }
    size_t more = lib->session_slots ? 2 * lib->session_slots : 16;
    if (more > PLACES)
        return CKR_SESSION_COUNT;
    struct session **table = realloc(lib->sessions, more * sizeof(struct session *));
    if (!table)
        return CKR_HOST_MEMORY;
    memset(table + lib->session_slots, 0, (more - lib->session_slots) * sizeof(struct session *));
    *ret = lib->session_slots;
    lib->sessions = table;
    lib->session_slots = more;
    return CKR_OK;
}

static CK_RV insert(struct library *lib, struct session *s)
{
    size_t place;
    TRY(free_place(lib, &place));
    s->handle = ++lib->next_serial << PLACE_BITS | place;
    s->refs = 1; /* the table's */
    lib->sessions[place] = s;
    s->token->sessions++;
    s->token->rw_sessions += s->rw;
    return CKR_OK;
}

/* ---- life ---------------------------------------------------------------------------------- */

static void session_free(struct session *s)
{
    for (int i = 0; i < OP_KINDS; i++)
        op_free(&s->op[i]);
    free(s->found);
    pthread_mutex_destroy(&s->mutex);
    free(s);
}

/* Drops one reference. */
static void unref(struct library *lib, struct session *s)
{
    pthread_mutex_lock(&lib->registry);
    bool last = --s->refs == 0;
    pthread_mutex_unlock(&lib->registry);
    if (last)
        session_free(s);
}

static CK_RV check_new(struct token *t, bool rw)
{
    /* 2.40, 5.6 C_OpenSession: no R/O session beside a logged-in SO */
    if (!rw && t->login == LOGIN_SO)
        return CKR_SESSION_READ_WRITE_SO_EXISTS;
    if (t->foreign)
        return CKR_TOKEN_NOT_RECOGNIZED;
    return rw && !store_writable(t->lib->store) ? CKR_TOKEN_WRITE_PROTECTED : CKR_OK;
}

bool token_has_sessions(struct token *t)
{
    pthread_mutex_lock(&t->lib->registry);
    bool any = t->sessions != 0;
    pthread_mutex_unlock(&t->lib->registry);
    return any;
}

void token_forgive(struct token *t)
{
    pthread_rwlock_wrlock(&t->state);
    t->removed = t->removed && token_has_sessions(t);
    pthread_rwlock_unlock(&t->state);
}

void token_reconsider(struct token *t)
{
    pthread_rwlock_wrlock(&t->state);
    if (t->foreign) {
        const struct tpm_parent parent = token_parent(&t->row);
        const struct tpm_seat seat = token_seat(&t->row, false);
        t->foreign = tpm_check_seat(t->lib->tpm, &parent, &seat) != CKR_OK;
    }
    pthread_rwlock_unlock(&t->state);
}

CK_RV session_open(struct library *lib, CK_SLOT_ID slot, CK_FLAGS flags, CK_SESSION_HANDLE *ret)
{
    struct token *t;
    /* 2.40, 5.6: "for legacy reasons" the flag must be set */
    if (!(flags & CKF_SERIAL_SESSION))
        return CKR_SESSION_PARALLEL_NOT_SUPPORTED;
    CK_RV rv = token_find(lib, slot, &t);
    if (rv == CKR_TOKEN_NOT_PRESENT && slot_shows_blank(lib))
        return CKR_TOKEN_NOT_RECOGNIZED; /* a token is there, but not initialised */
    TRY(rv);
    if (flags & CKF_RW_SESSION)
        token_mend(lib);
    token_forgive(t);
    token_reconsider(t);
    TOKEN_READ(t);
    TRY(check_new(t, flags & CKF_RW_SESSION));
    struct session *s = calloc(1, sizeof(*s));
    if (!s)
        return CKR_HOST_MEMORY;
    s->token = t;
    s->rw = flags & CKF_RW_SESSION;
    pthread_mutex_init(&s->mutex, NULL);
    pthread_mutex_lock(&lib->registry);
    rv = insert(lib, s);
    CK_SESSION_HANDLE handle = s->handle;
    pthread_mutex_unlock(&lib->registry);
    if (rv != CKR_OK)
        session_free(s);
    else
        *ret = handle;
    return rv;
}

bool session_closed(const struct session *s)
{
    pthread_mutex_lock(&s->token->lib->registry);
    bool closed = s->closed;
    pthread_mutex_unlock(&s->token->lib->registry);
    return closed;
}

/* The token's last session is gone: 2.40, 5.6 C_CloseSession, "logged out". */
static void last_closed(struct token *t)
{
    pthread_rwlock_wrlock(&t->state);
    pthread_mutex_lock(&t->lib->registry);
    bool none = t->sessions == 0;
    pthread_mutex_unlock(&t->lib->registry);
    if (none)
        token_drop_login(t);
    pthread_rwlock_unlock(&t->state);
}

CK_RV session_close(struct library *lib, CK_SESSION_HANDLE handle)
{
    pthread_mutex_lock(&lib->registry);
    struct session *s = look_up(lib, handle);
    struct token *t = s ? s->token : NULL;
    bool last = false;
    if (s) {
        s->closed = true;
        lib->sessions[handle & (PLACES - 1)] = NULL;
        t->rw_sessions -= s->rw;
        last = --t->sessions == 0;
    }
    pthread_mutex_unlock(&lib->registry);
    if (!s)
        return CKR_SESSION_HANDLE_INVALID;
    session_objects_drop(t, handle);
    unref(lib, s);
    if (last)
        last_closed(t);
    return CKR_OK;
}

CK_RV session_close_all(struct library *lib, CK_SLOT_ID slot)
{
    struct token *t;
    CK_RV rv = token_find(lib, slot, &t);
    for (;;) { /* also those of a token that another process has deleted */
        CK_SESSION_HANDLE handle = CK_INVALID_HANDLE;
        pthread_mutex_lock(&lib->registry);
        for (size_t i = 0; i < lib->session_slots && !handle; i++)
            if (lib->sessions[i] && lib->sessions[i]->token->slot == slot)
                handle = lib->sessions[i]->handle;
        pthread_mutex_unlock(&lib->registry);
        if (!handle)
            break;
        session_close(lib, handle);
    }
    return rv == CKR_TOKEN_NOT_PRESENT ? CKR_OK : rv; /* the empty slot has none */
}

CK_RV session_acquire(struct library *lib, CK_SESSION_HANDLE handle, struct session **ret)
{
    pthread_mutex_lock(&lib->registry);
    struct session *s = look_up(lib, handle);
    if (s)
        s->refs++;
    pthread_mutex_unlock(&lib->registry);
    if (!s)
        return CKR_SESSION_HANDLE_INVALID;
    pthread_mutex_lock(&s->mutex);
    *ret = s;
    return CKR_OK;
}

void session_release(struct session **sp)
{
    struct session *s = *sp;
    if (!s)
        return;
    pthread_mutex_unlock(&s->mutex);
    unref(s->token->lib, s);
    *sp = NULL;
}

/* ---- the small calls ----------------------------------------------------------------------- */

CK_RV session_info(struct session *s, CK_SESSION_INFO *ret)
{
    TOKEN_READ(s->token);
    *ret = (CK_SESSION_INFO){
        .slotID = s->token->slot,
        .state = session_state(s),
        .flags = CKF_SERIAL_SESSION | (s->rw ? CKF_RW_SESSION : 0),
    };
    return CKR_OK;
}

CK_RV session_seed_random(struct session *s, struct bytes seed)
{
    uint8_t
        hash[HASH_MAX]; /* TPM2_StirRandom takes 128 bytes; a hash of the seed holds what it has */
    TRY(soft_hash(HASH_SHA512, &seed, 1, hash));
    return tpm_stir(s->token->lib->tpm, BYTES(hash, 64));
}

/* The TPM's part covers the first bytes; OpenSSL's generator covers all, so a request of any size
 * is one TPM command. */
CK_RV session_random(struct session *s, CK_BYTE *ret, CK_ULONG n)
{
    if (n == 0) /* ret may be NULL */
        return CKR_OK;
    size_t head = n < 32 ? n : 32;
    TRY(tpm_random(s->token->lib->tpm, ret, head));
    return soft_random(ret + head, n - head);
}

CK_RV session_cancel(struct session *s, CK_FLAGS flags)
{
    static const struct {
        CK_FLAGS flag;
        enum op_kind kind;
    } kinds[] = {{CKF_DIGEST, OP_DIGEST},
                 {CKF_SIGN, OP_SIGN},
                 {CKF_VERIFY, OP_VERIFY},
                 {CKF_ENCRYPT, OP_ENCRYPT},
                 {CKF_DECRYPT, OP_DECRYPT},
                 {CKF_SIGN_RECOVER, OP_SIGN_RECOVER},
                 {CKF_VERIFY_RECOVER, OP_VERIFY_RECOVER},
                 {CKF_VERIFY, OP_VERIFY_SIGNATURE},
                 {CKF_MESSAGE_ENCRYPT, OP_MESSAGE_ENCRYPT},
                 {CKF_MESSAGE_DECRYPT, OP_MESSAGE_DECRYPT},
                 {CKF_MESSAGE_SIGN, OP_MESSAGE_SIGN},
                 {CKF_MESSAGE_VERIFY, OP_MESSAGE_VERIFY}};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
        if (flags & kinds[i].flag)
            op_free(&s->op[kinds[i].kind]);
    if ((flags & CKF_FIND_OBJECTS) && s->finding)
        return session_find_final(s);
    return CKR_OK;
}
