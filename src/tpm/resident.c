#include "internal.h"

#include <stdlib.h>

/* ---- what one call loads besides ----------------------------------------------------------- */

static void extra_keep(struct tpm *t, TPM2_HANDLE handle)
{
    extra_forget(t, handle); /* after a reset of the TPM a number comes again */
    for (size_t i = 0; i < EXTRA_HANDLES; i++)
        if (!t->extra[i]) {
            t->extra[i] = handle;
            return;
        }
    log_error("more handles than a TPM has slots; 0x%x stays", handle);
}

/* TPM_RC_VALUE is what FlushContext answers for a number that no context has: a spoilt answer may
 * have given us one. Kept, it would take the place of a real one. */
static bool never_was(struct tpm *t, TPM2_HANDLE handle, TSS2_RC rc)
{
    TPMS_CAPABILITY_DATA data;
    TPM2_HANDLE from = handle;
    if (handle >> TPM2_HR_SHIFT == TPM2_HT_POLICY_SESSION) /* in one list with the others */
        from =
            (TPM2_HANDLE)TPM2_HT_LOADED_SESSION << TPM2_HR_SHIFT | (handle & TPM2_HR_HANDLE_MASK);
    return rc_plain(rc) == TPM2_RC_VALUE &&
           get_capability(t, TPM2_CAP_HANDLES, from, 1, &data) == CKR_OK &&
           (data.data.handles.count == 0 || data.data.handles.handle[0] != handle);
}

/* A slot that is given up only in our books is lost for everybody until the TPM's next start: what
 * the TPM does not flush now is tried again whenever a hold ends, or by the next owner. */
void flush_handle(struct tpm *t, TPM2_HANDLE handle)
{
    COMMAND(c, FlushContext, .repeatable = true);
    PUT(&c, UINT32, handle); /* flushHandle is a parameter, not in the handle area */
    CK_RV rv = cmd_send(t, &c);
    bool was_gone =
        rv == CKR_OK && (rc_plain(c.rc) == TPM2_RC_HANDLE || never_was(t, handle, c.rc));
    if (was_gone)
        log_debug("handle 0x%x was gone already", handle);
    else if (!t->managed && (rv != CKR_OK || c.rc != TPM2_RC_SUCCESS))
        extra_keep(t, handle);
}

void extra_add(struct tpm *t, TPM2_HANDLE handle)
{
    extra_keep(t, handle);
    handle_pending(t, PENDING_NONE, NO_BYTES);
}

void extra_forget(struct tpm *t, TPM2_HANDLE handle)
{
    for (size_t i = 0; i < EXTRA_HANDLES; i++)
        if (t->extra[i] == handle)
            t->extra[i] = 0;
    if (t->primary == handle)
        t->primary = 0;
}

void extra_flush(struct tpm *t, TPM2_HANDLE handle)
{
    extra_forget(t, handle);
    flush_handle(t, handle);
}

void extras_flush(struct tpm *t)
{
    for (size_t i = 0; i < EXTRA_HANDLES; i++)
        if (t->extra[i])
            extra_flush(t, t->extra[i]);
}

/* ---- what stays ---------------------------------------------------------------------------- */

void residents_forget(struct tpm *t)
{
    memset(t->key, 0, sizeof(t->key));
    memset(t->extra, 0, sizeof(t->extra));
    t->primary = 0;
    session_wipe(&t->session);
}

static void evict(struct tpm *t, struct resident *r)
{
    if (r->handle)
        flush_handle(t, r->handle);
    *r = (struct resident){0};
}

static struct resident *oldest(struct tpm *t)
{
    struct resident *r = &t->key[0];
    for (size_t i = 1; i < RESIDENT_KEYS; i++)
        if (t->key[i].used < r->used)
            r = &t->key[i];
    return r;
}

/* ---- saved contexts ------------------------------------------------------------------------ */

static struct saved *saved_find(struct tpm *t, struct bytes name)
{
    for (size_t i = 0; i < SAVED_KEYS; i++)
        if (t->saved[i].name_n && bytes_equal(BYTES(t->saved[i].name, t->saved[i].name_n), name))
            return &t->saved[i];
    return NULL;
}

static struct saved *saved_new(struct tpm *t, struct bytes name)
{
    struct saved *s = &t->saved[0];
    for (size_t i = 1; i < SAVED_KEYS; i++)
        if (t->saved[i].used < s->used)
            s = &t->saved[i];
    buf_free(&s->context);
    memcpy(s->name, name.p, name.n);
    s->name_n = name.n;
    return s;
}

static void save_context(struct tpm *t, const struct resident *r, struct saved *s)
{
    COMMAND(c, ContextSave, .handles = 1);
    c.handle[0].handle = r->handle;
    if (cmd_send(t, &c) == CKR_OK && c.rc == TPM2_RC_SUCCESS)
        buf_set(&s->context, BYTES(c.answer, c.answer_n));
}

/* Another key needs the slot. */
static void make_room(struct tpm *t, struct resident *r)
{
    if (!r->handle)
        return;
    struct bytes name = BYTES(r->name, r->name_n);
    struct saved *s = saved_find(t, name);
    if (!s)
        s = saved_new(t, name);
    else if (!s->context.n)
        save_context(t, r, s);
    s->used = ++t->clock;
    evict(t, r);
}

void residents_yield(struct tpm *t)
{
    struct resident *r = oldest(t);
    if (r->handle) /* both are taken: a free one has never been used, so it is the oldest */
        make_room(t, r);
}

/* 0: it was not saved, or the TPM does not take it any more (a reset). */
static TPM2_HANDLE load_context(struct tpm *t, struct bytes name)
{
    struct saved *s = saved_find(t, name);
    if (!s || !s->context.n)
        return 0;
    COMMAND(c, ContextLoad, .makes_handle = true);
    cmd_put_raw(&c, buf_bytes(&s->context));
    handle_pending(t, PENDING_OBJECT, name);
    CK_RV rv = cmd_send(t, &c);
    if (rv == CKR_OK && c.rc == TPM2_RC_SUCCESS)
        return c.made;
    if (rv == CKR_OK)
        handle_pending(t, PENDING_NONE, NO_BYTES);
    buf_free(&s->context);
    return 0;
}

void saved_free(struct tpm *t)
{
    for (size_t i = 0; i < SAVED_KEYS; i++)
        buf_free(&t->saved[i].context);
    memset(t->saved, 0, sizeof(t->saved));
}

void residents_flush(struct tpm *t)
{
    for (size_t i = 0; i < RESIDENT_KEYS; i++)
        evict(t, &t->key[i]);
    if (t->session.handle)
        flush_handle(t, t->session.handle);
    session_wipe(&t->session);
}

static struct resident *find(struct tpm *t, struct bytes name)
{
    for (size_t i = 0; i < RESIDENT_KEYS; i++)
        if (t->key[i].handle && bytes_equal(BYTES(t->key[i].name, t->key[i].name_n), name))
            return &t->key[i];
    return NULL;
}

static CK_RV try_load(struct tpm *t, TPM2_HANDLE parent, struct bytes parent_name, struct bytes pub,
                      struct bytes priv, struct cmd *c)
{
    c->handle[0] = (struct cmd_handle){parent, parent_name};
    cmd_put_raw(c, priv);
    cmd_put_raw(c, pub);
    return cmd_send(t, c);
}

/* The caller ends the pending state once it has recorded the handle. */
static CK_RV load_object(struct tpm *t, const struct tpm_parent *parent, struct bytes name,
                         struct bytes pub, struct bytes priv, TPM2_HANDLE *ret)
{
    for (int attempt = 0;; attempt++) {
        TPM2_HANDLE above;
        TRY(parent_handle(t, parent, &above));
        /* the parent's authorization is empty and the blob is wrapped: a password session does */
        COMMAND(c, Load, .handles = 1, .auth_handles = 1, .auths = 1, .makes_handle = true);
        handle_pending(t, PENDING_OBJECT, name);
        TRY(try_load(t, above, parent->name, pub, priv, &c)); /* a lost answer stays pending */
        if (c.rc != TPM2_RC_SUCCESS)
            handle_pending(t, PENDING_NONE, NO_BYTES);
        if (rc_plain(c.rc) == TPM2_RC_OBJECT_MEMORY && attempt == 0) {
            residents_flush(t);
            continue;
        }
        if (parent_is_primary(parent->handle))
            extra_flush(t, above); /* a transient primary has done its work; its slot is needed */
        if (rc_plain(c.rc) == TPM2_RC_HANDLE)
            return error_log(CKR_TOKEN_NOT_RECOGNIZED, "the parent key 0x%x is not in the TPM",
                             parent->handle);
        TRY(error_tpm(ERROR_TPM_ANY, c.name, c.rc));
        *ret = c.made;
        return CKR_OK;
    }
}

static CK_RV key_load(struct tpm *t, const struct tpm_key *key, struct bytes name,
                      struct resident **ret)
{
    struct resident *r = find(t, name);
    if (!r) {
        r = oldest(t);
        make_room(t, r);
        TPM2_HANDLE handle = load_context(t, name);
        if (!handle) {
            TRY(settle_pending(t)); /* its answer was lost: Load comes instead */
            TRY(load_object(t, &key->parent, name, key->pub, key->priv, &handle));
        }
        extra_forget(t, handle); /* that one was another, before a reset of the TPM */
        *r = (struct resident){.handle = handle, .name_n = name.n};
        memcpy(r->name, name.p, name.n);
        handle_pending(t, PENDING_NONE, NO_BYTES);
    }
    r->used = ++t->clock;
    *ret = r;
    return CKR_OK;
}

/* The session for key use. A key's authorization is 256 random bits, so no salt is needed; the
 * session that a login left behind serves as well. Behind a resource manager it lives for one
 * command: an idle saved session would hurt every other client. */
CK_RV key_session(struct tpm *t, struct session **ret)
{
    if (t->config->password_session) {
        *ret = NULL;
        return CKR_OK;
    }
    if (!t->session.handle) {
        TRY(session_start(t, NULL, TPM2_SE_HMAC, &t->session));
        extra_forget(t, t->session.handle); /* it stays */
    }
    t->session.keep = !t->managed;
    *ret = &t->session;
    return CKR_OK;
}

void key_session_end(struct tpm *t)
{
    if (!t->managed || !t->session.handle) /* an error answer does not end a session */
        return;
    flush_handle(t, t->session.handle);
    session_wipe(&t->session);
}

static void set_session(struct cmd *c, struct session *s, struct bytes auth, bool in, bool out)
{
    c->auth[0] = (struct cmd_auth){.session = s, .value = auth};
    c->encrypt_in = in ? s : NULL;
    c->encrypt_out = out ? s : NULL;
}

/* True when the answer means that what was resident is not what it was, so that the command is
 * worth sending again: an object or a session is gone, or the session is out of step (0x9A2 of a
 * noDA key: not counted). After a TPM reset an old handle may be another key's by now: nothing is
 * kept. */
static bool renew(struct tpm *t, struct bytes name, TSS2_RC rc)
{
    bool stale = rc_plain(rc) == TPM2_RC_BAD_AUTH && t->session.handle;
    /* of a handle that never was: the answer that told it was spoilt on its way */
    bool never = (rc & 0xFFFF) == TPM2_RC_VALUE + TPM2_RC_H + TPM2_RC_1;
    if (!rc_lost_object(rc) && !rc_lost_session(rc) && !stale && !never)
        return false;
    residents_flush(t);
    if (stale)
        saved_free(t);
    if (never) { /* the key is there, under another */
        handle_pending(t, PENDING_OBJECT, name);
        settle_pending(t);
    }
    return true;
}

/* One try: the key and the session are there, then the command. */
static CK_RV use_once(struct tpm *t, const struct tpm_key *key, struct bytes name, struct cmd *c,
                      bool in, bool out)
{
    struct resident *r;
    struct session *s;
    TRY(key_load(t, key, name, &r));
    TRY(key_session(t, &s));
    if (c->handles > 1) { /* found now: a primary that the key was loaded below is gone again */
        TRY(parent_handle(t, &key->parent, &c->handle[1].handle));
        c->handle[1].name = key->parent.name;
    }
    set_session(c, s, key->auth, in && s, out && s);
    c->handle[0] = (struct cmd_handle){r->handle, BYTES(r->name, r->name_n)};
    if (c->makes_handle)
        handle_pending(t, PENDING_OBJECT, NO_BYTES);
    CK_RV rv = cmd_send(t, c);
    if (c->makes_handle && rv == CKR_OK && c->rc != TPM2_RC_SUCCESS)
        handle_pending(t, PENDING_NONE, NO_BYTES);
    return rv;
}

static CK_RV use(struct tpm *t, const struct tpm_key *key, struct cmd *c, unsigned handles)
{
    uint8_t name[NAME_MAX_SIZE];
    size_t name_n;
    bool in = c->encrypt_in != NULL, out = c->encrypt_out != NULL; /* any non-NULL: asked for */
    TRY(public_name(key->pub, name, &name_n));
    c->handles = handles;
    c->auth_handles = c->auths = 1;
    CK_RV rv = CKR_OK;
    for (int attempt = 0; attempt < 4; attempt++) {
        t->broken = false;
        rv = use_once(t, key, BYTES(name, name_n), c, in, out);
        if (rv == CKR_OK && !renew(t, BYTES(name, name_n), c->rc))
            break;
        if (rv != CKR_OK && (!t->broken || attempt > 0))
            break;
        if (rv != CKR_OK) {
            /* the connection broke or the answer was spoilt: whether the TPM went on is unknown,
             * so its nonces are; using a key once more changes nothing */
            if (settle_pending(t) != CKR_OK)
                break;
            residents_flush(t);
        }
    }
    key_session_end(t);
    return rv;
}

CK_RV key_use(struct tpm *t, const struct tpm_key *key, struct cmd *c)
{
    return use(t, key, c, 1);
}

CK_RV key_use_below(struct tpm *t, const struct tpm_key *key, struct cmd *c)
{
    return use(t, key, c, 2);
}

void tpm_key_drop(struct tpm *t, struct bytes pub)
{
    uint8_t name[NAME_MAX_SIZE];
    size_t name_n;
    pthread_mutex_lock(&t->mutex);
    bool connected = t->tcti_name[0] != '\0';
    bool resident = connected && public_name(pub, name, &name_n) == CKR_OK &&
                    find(t, BYTES(name, name_n)) != NULL &&
                    !lock_file_busy(&t->lock); /* another process has it, and flushed it */
    pthread_mutex_unlock(&t->mutex);
    if (!resident || tpm_enter(t) != CKR_OK)
        return;
    struct resident *r = find(t, BYTES(name, name_n));
    if (r)
        evict(t, r);
    tpm_leave(&t);
}
