#include "internal.h"

#include <stdlib.h>

/* ---- opening and closing ------------------------------------------------------------------- */

CK_RV library_open(struct config *config, struct library **ret)
{
    struct library *lib = calloc(1, sizeof(*lib));
    if (!lib) {
        config_free(config);
        return CKR_HOST_MEMORY;
    }
    lib->config = *config;
    *config = (struct config){0};
    pthread_mutex_init(&lib->registry, NULL);
    CK_RV rv = soft_start();
    if (rv == CKR_OK)
        rv = store_open(lib->config.store, &lib->store);
    if (rv == CKR_OK)
        rv = tpm_new(&lib->config, &lib->tpm);
    if (rv != CKR_OK) {
        library_close(&lib);
        return rv;
    }
    *ret = lib;
    return CKR_OK;
}

const struct config *library_config(const struct library *lib)
{
    return &lib->config;
}

static void token_free(struct token *t)
{
    token_objects_forget(t, false);
    token_keys_free(&t->keys);
    store_token_free(&t->row);
    pthread_rwlock_destroy(&t->state);
    pthread_mutex_destroy(&t->objects);
    free(t);
}

void library_close(struct library **libp)
{
    struct library *lib = *libp;
    *libp = NULL;
    for (size_t i = 0; i < lib->session_slots; i++)
        if (lib->sessions[i])
            session_close(lib, lib->sessions[i]->handle);
    free(lib->sessions);
    free(lib->marks);
    while (lib->tokens) {
        struct token *t = lib->tokens;
        lib->tokens = t->next;
        token_free(t);
    }
    if (lib->tpm)
        tpm_free(&lib->tpm);
    if (lib->store)
        store_close(&lib->store);
    soft_stop();
    pthread_mutex_destroy(&lib->registry);
    config_free(&lib->config);
    free(lib);
}

void library_before_fork(struct library *lib)
{
    pthread_mutex_lock(&lib->registry);
    store_before_fork(lib->store);
    tpm_before_fork(lib->tpm);
}

void library_after_fork_parent(struct library *lib)
{
    tpm_after_fork_parent(lib->tpm);
    store_after_fork_parent(lib->store);
    pthread_mutex_unlock(&lib->registry);
}

void library_abandon(struct library **libp)
{
    struct library *lib = *libp;
    *libp = NULL;
    tpm_abandon(&lib->tpm);
    store_abandon(&lib->store);
    soft_abandon();
}

/* ---- what the TPM can ---------------------------------------------------------------------- */

static const char caps_note[] = "tpm-capabilities";

static bool caps_from_store(struct library *lib, struct tpm_caps *ret)
{
    CLEANUP(buf_free) struct buf packed = {0};
    return store_note_get(lib->store, caps_note, &packed) == CKR_OK &&
           tpm_caps_unpack(buf_bytes(&packed), ret);
}

/* Asked of the TPM once and kept with the store, which belongs to that TPM. */
void library_keep_caps(struct library *lib)
{
    CLEANUP(buf_free) struct buf packed = {0};
    struct tpm_caps caps;
    if (library_caps(lib, &caps) == CKR_OK && tpm_caps_pack(&caps, &packed) == CKR_OK)
        store_note_set(lib->store, caps_note, buf_bytes(&packed));
}

CK_RV library_caps(struct library *lib, struct tpm_caps *ret)
{
    pthread_mutex_lock(&lib->registry);
    bool known = lib->caps_known;
    *ret = lib->caps;
    pthread_mutex_unlock(&lib->registry);
    if (known)
        return CKR_OK;
    if (!caps_from_store(lib, ret))
        TRY(tpm_get_caps(lib->tpm, ret));
    pthread_mutex_lock(&lib->registry);
    lib->caps = *ret;
    lib->caps_known = true;
    pthread_mutex_unlock(&lib->registry);
    return CKR_OK;
}

/* ---- tokens -------------------------------------------------------------------------------- */

static CK_RV token_new(struct library *lib, CK_SLOT_ID slot, struct token **ret)
{
    struct token *t = calloc(1, sizeof(*t));
    if (!t)
        return CKR_HOST_MEMORY;
    t->lib = lib;
    t->slot = slot;
    t->next_session_object = 1;
    pthread_rwlockattr_t fair; /* or signatures without end would keep a logout waiting */
    pthread_rwlockattr_init(&fair);
    pthread_rwlockattr_setkind_np(&fair, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&t->state, &fair);
    pthread_rwlockattr_destroy(&fair);
    pthread_mutex_init(&t->objects, NULL);
    t->next = lib->tokens;
    lib->tokens = t;
    *ret = t;
    return CKR_OK;
}

/* A slot that the store names no token for. */
static CK_RV empty_slot(struct library *lib, CK_SLOT_ID slot)
{
    CK_SLOT_ID next;
    TRY(store_next_slot(lib->store, &next));
    return next == slot ? CKR_TOKEN_NOT_PRESENT : CKR_SLOT_ID_INVALID;
}

CK_RV token_find(struct library *lib, CK_SLOT_ID slot, struct token **ret)
{
    CLEANUP(store_token_free) struct store_token row = {0};
    CK_RV rv = store_token_get(lib->store, slot, &row);
    if (rv == CKR_SLOT_ID_INVALID)
        rv = empty_slot(lib, slot);
    TRY(rv);
    pthread_mutex_lock(&lib->registry);
    struct token *t = lib->tokens;
    while (t && t->slot != slot)
        t = t->next;
    rv = t ? CKR_OK : token_new(lib, slot, &t);
    pthread_mutex_unlock(&lib->registry);
    if (rv == CKR_OK)
        *ret = t;
    return rv;
}

/* Under token.state (write). A token with another generation is another token: whoever has sessions
 * with the old one learns that it was removed. */
static CK_RV refresh(struct token *t, uint64_t generation)
{
    struct store_token row = {0};
    CK_RV rv = store_token_get(t->lib->store, t->slot, &row);
    if (rv != CKR_OK && rv != CKR_SLOT_ID_INVALID)
        return rv;
    bool gone = rv == CKR_SLOT_ID_INVALID;
    if (t->loaded && (gone || row.id != t->row.id || row.generation != t->row.generation)) {
        token_drop_login(t);
        token_objects_forget(t, false);
        t->removed = token_has_sessions(t); /* whoever has none has lost none */
    }
    if (gone)
        return CKR_DEVICE_REMOVED;
    store_token_free(&t->row);
    t->row = row;
    t->loaded = true;
    t->foreign = t->foreign && t->seen == generation;
    t->seen = generation;
    return CKR_OK;
}

static CK_RV enter(struct token *t, bool write)
{
    uint64_t generation;
    TRY(store_generation(t->lib->store, &generation));
    if (!write) {
        pthread_rwlock_rdlock(&t->state);
        if (t->loaded && t->seen == generation)
            return CKR_OK;
        pthread_rwlock_unlock(&t->state);
    }
    pthread_rwlock_wrlock(&t->state);
    CK_RV rv = t->loaded && t->seen == generation ? CKR_OK : refresh(t, generation);
    if (rv == CKR_OK && write)
        return CKR_OK;
    pthread_rwlock_unlock(&t->state);
    TRY(rv);
    pthread_rwlock_rdlock(&t->state); /* another refresh in between does no harm */
    return CKR_OK;
}

static CK_RV unless_removed(struct token *t)
{
    if (!t->removed)
        return CKR_OK;
    pthread_rwlock_unlock(&t->state);
    return CKR_DEVICE_REMOVED;
}

CK_RV token_enter_row(struct token *t)
{
    return enter(t, false);
}

CK_RV token_enter(struct token *t)
{
    TRY(enter(t, false));
    return unless_removed(t);
}

CK_RV token_enter_write(struct token *t)
{
    TRY(enter(t, true));
    return unless_removed(t);
}

CK_RV token_enter_logout(struct token *t)
{
    CK_RV rv = token_enter_write(t);
    if (rv == CKR_OK || rv == CKR_DEVICE_REMOVED)
        return rv;
    pthread_rwlock_wrlock(&t->state);
    return unless_removed(t);
}

void token_leave(struct token **t)
{
    pthread_rwlock_unlock(&(*t)->state);
}
