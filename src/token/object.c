#include "internal.h"

#include <stdlib.h>

/* Objects as the store has them, and back: columns, sealing, MACs. */

/* ---- lifetime ------------------------------------------------------------------------------ */

CK_RV object_new(struct object **ret)
{
    struct object *o = calloc(1, sizeof(*o));
    if (!o)
        return CKR_HOST_MEMORY;
    atomic_init(&o->refs, 1);
    *ret = o;
    return CKR_OK;
}

struct object *object_ref(struct object *o)
{
    atomic_fetch_add_explicit(&o->refs, 1, memory_order_relaxed);
    return o;
}

void object_unref(struct object **op)
{
    struct object *o = *op;
    *op = NULL;
    if (!o || atomic_fetch_sub_explicit(&o->refs, 1, memory_order_acq_rel) != 1)
        return;
    attrs_free(&o->attrs);
    buf_free(&o->pub);
    buf_free(&o->priv);
    buf_free(&o->parent_name);
    secret_free(&o->own_auth);
    secret_free(&o->value);
    soft_private_free(&o->private_key);
    free(o);
}

/* ---- columns ------------------------------------------------------------------------------- */

const CK_ATTRIBUTE_TYPE object_column_type[STORE_COLUMNS] = {
    [STORE_CLASS] = CKA_CLASS,
    [STORE_KEY_TYPE] = CKA_KEY_TYPE,
    [STORE_ID] = CKA_ID,
    [STORE_LABEL] = CKA_LABEL,
    [STORE_SUBJECT] = CKA_SUBJECT,
    [STORE_ISSUER] = CKA_ISSUER,
    [STORE_SERIAL] = CKA_SERIAL_NUMBER,
};

static bool column_is_number(enum store_column column)
{
    return column == STORE_CLASS || column == STORE_KEY_TYPE;
}

enum { COLUMN_HASH = 16 };

CK_RV object_column(struct token *t, enum store_column column, struct bytes value, bool hashed,
                    struct buf *ret)
{
    CLEANUP(buf_free) struct buf plain = {0};
    CK_ULONG number;
    if (value.n == 0)
        return CKR_OK; /* not searchable */
    if (column_is_number(column) && value.n == sizeof(number)) {
        memcpy(&number, value.p, sizeof(number));
        TRY(buf_u64(&plain, number));
    } else {
        TRY(buf_set(&plain, value));
    }
    if (!hashed)
        return buf_bytes_append(ret, buf_bytes(&plain));
    uint8_t which = (uint8_t)column, hash[HASH_MAX];
    TRY(soft_hmac(HASH_SHA256, secret_bytes(&t->keys.search),
                  (struct bytes[]){BYTES(&which, 1), buf_bytes(&plain)}, 2, hash));
    return buf_append(ret, hash, COLUMN_HASH);
}

static CK_RV fill_columns(struct token *t, const struct object *o, struct store_object *row)
{
    for (int i = 0; i < STORE_COLUMNS; i++)
        TRY(object_column(t, (enum store_column)i, attrs_bytes(&o->attrs, object_column_type[i]),
                          o->private_, &row->column[i]));
    return CKR_OK;
}

/* ---- sealing ------------------------------------------------------------------------------- */

/* What a sealed blob is bound to: token, object, and which of the object's blobs it is. */
static CK_RV seal_context(const struct token *t, const uint8_t *uid, const char *what,
                          struct buf *ret)
{
    TRY(buf_append(ret, t->row.uid, sizeof(t->row.uid)));
    TRY(buf_append(ret, uid, 16));
    return buf_append(ret, what, strlen(what));
}

CK_RV object_seal(struct token *t, const uint8_t *uid, const char *what, struct bytes plain,
                  struct buf *ret)
{
    CLEANUP(buf_free) struct buf context = {0};
    if (!plain.n)
        return CKR_OK;
    TRY(seal_context(t, uid, what, &context));
    return soft_gcm_seal(t->keys.seal.p, buf_bytes(&context), plain, ret);
}

CK_RV object_open_sealed(struct token *t, const uint8_t *uid, const char *what, struct bytes sealed,
                         struct secret *ret)
{
    CLEANUP(buf_free) struct buf context = {0};
    TRY(seal_context(t, uid, what, &context));
    return soft_gcm_open(t->keys.seal.p, buf_bytes(&context), sealed, ret);
}

static CK_RV row_mac(struct token *t, const struct store_object *row, uint8_t *ret)
{
    CLEANUP(buf_free) struct buf length = {0}; /* or bytes could move from attrs to pub */
    TRY(buf_u64(&length, row->attrs.n));
    return soft_hmac(HASH_SHA256, secret_bytes(&t->keys.mac),
                     (struct bytes[]){BYTES_OF(t->row.uid), BYTES_OF(row->uid), buf_bytes(&length),
                                      buf_bytes(&row->attrs), buf_bytes(&row->pub)},
                     5, ret);
}

/* ---- to the store -------------------------------------------------------------------------- */

static CK_RV to_row(struct token *t, const struct object *o, struct store_object *row)
{
    CLEANUP(buf_free) struct buf packed = {0};
    uint8_t mac[HASH_MAX];
    row->id = o->row;
    row->token = t->row.id;
    row->generation = t->row.generation;
    memcpy(row->uid, o->uid, sizeof(row->uid));
    row->private_ = o->private_;
    row->parent = o->parent;
    row->auth = o->auth;
    TRY(buf_set(&row->parent_name, buf_bytes(&o->parent_name)));
    TRY(buf_set(&row->priv, buf_bytes(&o->priv)));
    TRY(fill_columns(t, o, row));
    TRY(attrs_pack(&o->attrs, &packed));
    if (o->private_) {
        TRY(object_seal(t, o->uid, "attrs", buf_bytes(&packed), &row->attrs));
        return object_seal(t, o->uid, "pub", buf_bytes(&o->pub), &row->pub);
    }
    TRY(buf_set(&row->attrs, buf_bytes(&packed)));
    TRY(buf_set(&row->pub, buf_bytes(&o->pub)));
    if (t->login == LOGIN_NONE)
        return CKR_OK;
    TRY(row_mac(t, row, mac));
    return buf_append(&row->mac, mac, 32);
}

/* ---- from the store ------------------------------------------------------------------------ */

static CK_RV damaged(const struct store_object *row)
{
    return error_log(CKR_DEVICE_ERROR,
                     "object %lld of the store was changed by somebody who is not logged in, or is "
                     "damaged; it is not used",
                     (long long)row->id);
}

/* Want of memory is no sign of damage. */
static CK_RV read_rv(const struct store_object *row, CK_RV rv)
{
    return rv == CKR_OK || rv == CKR_HOST_MEMORY ? rv : damaged(row);
}

static CK_RV read_private(struct token *t, const struct store_object *row, struct object *o)
{
    CLEANUP(secret_free) struct secret attrs = {0}, pub = {0};
    TRY(read_rv(row, object_open_sealed(t, row->uid, "attrs", buf_bytes(&row->attrs), &attrs)));
    if (row->pub.n)
        TRY(read_rv(row, object_open_sealed(t, row->uid, "pub", buf_bytes(&row->pub), &pub)));
    TRY(buf_set(&o->pub, secret_bytes(&pub)));
    return read_rv(row, attrs_unpack(secret_bytes(&attrs), &o->attrs));
}

static CK_RV read_public(struct token *t, const struct store_object *row, struct object *o)
{
    uint8_t mac[HASH_MAX];
    if (t->login != LOGIN_NONE && row->mac.n) {
        TRY(row_mac(t, row, mac));
        if (!secret_equal(BYTES(mac, 32), buf_bytes(&row->mac)))
            return damaged(row);
        o->sealed_with_login = true;
    }
    TRY(buf_set(&o->pub, buf_bytes(&row->pub)));
    TRY(read_rv(row, attrs_unpack(buf_bytes(&row->attrs), &o->attrs)));
    /* CKA_TRUSTED is worth something only under a MAC made by somebody logged in */
    bool forged = !o->sealed_with_login && attrs_true(&o->attrs, CKA_TRUSTED);
    return forged ? attrs_set_bool(&o->attrs, CKA_TRUSTED, false) : CKR_OK;
}

/* A search answers by the columns alone: they must be those of the attributes. */
static CK_RV check_columns(struct token *t, const struct store_object *row, const struct object *o)
{
    for (int i = 0; i < STORE_COLUMNS; i++) {
        CLEANUP(buf_free) struct buf own = {0};
        TRY(object_column(t, (enum store_column)i, attrs_bytes(&o->attrs, object_column_type[i]),
                          o->private_, &own));
        if (!bytes_equal(buf_bytes(&own), buf_bytes(&row->column[i])))
            return damaged(row);
    }
    return CKR_OK;
}

static CK_RV from_row(struct token *t, const struct store_object *row, struct object *o)
{
    o->row = row->id;
    o->handle = object_handle(t, row->id, row->private_);
    memcpy(o->uid, row->uid, sizeof(o->uid));
    o->private_ = row->private_;
    o->parent = row->parent;
    o->auth = row->auth;
    TRY(buf_set(&o->parent_name, buf_bytes(&row->parent_name)));
    TRY(buf_set(&o->priv, buf_bytes(&row->priv)));
    TRY(row->private_ ? read_private(t, row, o) : read_public(t, row, o));
    /* the row says which rules guard the object, its attributes say what it is: they must agree */
    if (attrs_true(&o->attrs, CKA_PRIVATE) != o->private_)
        return damaged(row);
    return o->private_ || o->sealed_with_login ? check_columns(t, row, o) : CKR_OK;
}

/* ---- the cache ----------------------------------------------------------------------------- */

static struct cached *cache_slot(struct token *t, int64_t row)
{
    return &t->cache[(uint64_t)row % CACHE];
}

static struct object *cache_get(struct token *t, int64_t row)
{
    pthread_mutex_lock(&t->objects);
    struct cached *c = cache_slot(t, row);
    struct object *o = c->object && c->object->row == row && c->generation == t->seen
                           ? object_ref(c->object)
                           : NULL;
    pthread_mutex_unlock(&t->objects);
    return o;
}

static void cache_put(struct token *t, struct object *o)
{
    pthread_mutex_lock(&t->objects);
    struct cached *c = cache_slot(t, o->row);
    object_unref(&c->object);
    *c = (struct cached){object_ref(o), t->seen};
    pthread_mutex_unlock(&t->objects);
}

void token_objects_forget(struct token *t, bool private_only)
{
    pthread_mutex_lock(&t->objects);
    for (int i = 0; i < CACHE; i++)
        object_unref(
            &t->cache[i].object); /* public ones too: their MACs count only while logged in */
    struct object **at = &t->session_objects;
    while (*at) {
        struct object *o = *at;
        if (private_only && !o->private_) {
            at = &o->next;
            continue;
        }
        *at = o->next;
        if (private_only) { /* an operation may hold it a while: not its key, after a logout */
            secret_free(&o->value);
            soft_private_free(&o->private_key);
        }
        object_unref(&o);
    }
    pthread_mutex_unlock(&t->objects);
}

/* ---- handles ------------------------------------------------------------------------------- */

/* An even number: below, the row; above, of a private object, the login it was found under. */
enum {
    LOGIN_BITS = sizeof(CK_ULONG) >= 8 ? 22 : 6,
    ROW_BITS = sizeof(CK_ULONG) * 8 - 2 - LOGIN_BITS
};

CK_OBJECT_HANDLE object_handle(const struct token *t, int64_t row, bool private_)
{
    CK_OBJECT_HANDLE login = (CK_OBJECT_HANDLE)t->epoch % (1UL << LOGIN_BITS);
    return ((CK_OBJECT_HANDLE)row | (private_ ? login << ROW_BITS : 0)) * 2;
}

static int64_t handle_row(CK_OBJECT_HANDLE handle)
{
    return (int64_t)(handle / 2 % (1UL << ROW_BITS));
}

/* ---- getting ------------------------------------------------------------------------------- */

static CK_RV get_token_object(struct session *s, int64_t row_id, struct object **ret)
{
    struct token *t = s->token;
    struct object *o = cache_get(t, row_id);
    if (!o) {
        CLEANUP(store_object_free) struct store_object row = {0};
        TRY(store_object_get(t->lib->store, t->row.id, row_id, &row));
        /* 2.40, 4.? a private object does not exist for who is not logged in */
        if (row.private_ && access_read(s, true) != CKR_OK)
            return CKR_OBJECT_HANDLE_INVALID;
        TRY(object_new(&o));
        CK_RV rv = from_row(t, &row, o);
        if (rv != CKR_OK) {
            object_unref(&o);
            return rv;
        }
        cache_put(t, o);
    }
    *ret = o;
    return CKR_OK;
}

static struct object *get_session_object(struct token *t, CK_OBJECT_HANDLE handle)
{
    pthread_mutex_lock(&t->objects);
    struct object *o = t->session_objects;
    while (o && o->handle != handle)
        o = o->next;
    if (o)
        object_ref(o);
    pthread_mutex_unlock(&t->objects);
    return o;
}

CK_RV object_get(struct session *s, CK_OBJECT_HANDLE handle, struct object **ret)
{
    struct object *o = NULL;
    if (handle == CK_INVALID_HANDLE)
        return CKR_OBJECT_HANDLE_INVALID;
    if (builtin_handle(handle))
        return builtin_get(builtin_index(handle), ret);
    if (handle % 2)
        o = get_session_object(s->token, handle);
    else
        TRY(get_token_object(s, handle_row(handle), &o));
    if (o && o->handle != handle) /* of an earlier login */
        object_unref(&o);
    if (o && access_read(s, o->private_) != CKR_OK)
        object_unref(&o);
    if (!o)
        return CKR_OBJECT_HANDLE_INVALID;
    *ret = o;
    return CKR_OK;
}

CK_RV object_get_key(struct session *s, CK_OBJECT_HANDLE handle, CK_RV invalid, struct object **ret)
{
    CLEANUP(object_unref) struct object *o = NULL;
    CK_RV rv = object_get(s, handle, &o);
    if (rv == CKR_OBJECT_HANDLE_INVALID || (rv == CKR_OK && !object_is_key(o)))
        return invalid;
    TRY(rv);
    *ret = o;
    o = NULL;
    return CKR_OK;
}

/* ---- publishing ---------------------------------------------------------------------------- */

static CK_RV publish_token(struct session *s, struct object **objects, size_t n)
{
    struct store_object rows[OBJECTS_AT_ONCE] = {{0}};
    CK_RV rv = CKR_OK;
    for (size_t i = 0; rv == CKR_OK && i < n; i++)
        rv = to_row(s->token, objects[i], &rows[i]);
    if (rv == CKR_OK)
        rv = store_objects_add(s->token->lib->store, rows, n);
    for (size_t i = 0; i < n; i++) {
        objects[i]->row = rv == CKR_OK ? rows[i].id : 0;
        objects[i]->handle = object_handle(s->token, objects[i]->row, objects[i]->private_);
        store_object_free(&rows[i]);
    }
    return rv;
}

/* Under one hold of the lock that C_CloseSession drops the session's objects under. False: it has
 * been there already, and took this one along. */
static bool publish_session(struct session *s, struct object *o)
{
    struct token *t = s->token;
    pthread_mutex_lock(&t->objects);
    bool open = !session_closed(s);
    o->session = s->handle;
    o->handle = t->next_session_object++ * 2 + 1;
    if (open) {
        o->next = t->session_objects;
        t->session_objects = object_ref(o);
    }
    pthread_mutex_unlock(&t->objects);
    return open;
}

CK_RV objects_publish(struct session *s, struct object **objects, size_t n)
{
    struct object *stored[OBJECTS_AT_ONCE];
    size_t n_stored = 0;
    if (n > OBJECTS_AT_ONCE)
        return CKR_GENERAL_ERROR;
    for (size_t i = 0; i < n; i++)
        if (attrs_true(&objects[i]->attrs, CKA_TOKEN))
            stored[n_stored++] = objects[i];
    if (n_stored)
        TRY(publish_token(s, stored, n_stored));
    bool open = true;
    for (size_t i = 0; i < n; i++)
        if (!attrs_true(&objects[i]->attrs, CKA_TOKEN))
            open &= publish_session(s, objects[i]);
    /* what is stored stays, so its handle must be told: as if the session had been closed later */
    return open || n_stored ? CKR_OK : CKR_SESSION_CLOSED;
}

static struct object **session_link(struct token *t, const struct object *o)
{
    struct object **at = &t->session_objects;
    while (*at && *at != o)
        at = &(*at)->next;
    return at;
}

CK_RV object_replace(struct session *s, struct object *old, struct object *fresh)
{
    struct token *t = s->token;
    fresh->row = old->row;
    fresh->handle = old->handle;
    fresh->session = old->session;
    if (old->row) {
        CLEANUP(store_object_free) struct store_object row = {0};
        TRY(to_row(t, fresh, &row));
        return store_object_update(t->lib->store, &row); /* the cache sees another generation */
    }
    CK_RV rv = CKR_OBJECT_HANDLE_INVALID;
    pthread_mutex_lock(&t->objects);
    struct object **at = session_link(t, old);
    if (*at) {
        struct object *gone = *at;
        fresh->next = gone->next;
        *at = object_ref(fresh);
        object_unref(&gone);
        rv = CKR_OK;
    }
    pthread_mutex_unlock(&t->objects);
    return rv;
}

CK_RV object_remove(struct session *s, struct object *o)
{
    struct token *t = s->token;
    if (o->pub.n)
        tpm_key_drop(t->lib->tpm, buf_bytes(&o->pub));
    if (o->row)
        return store_object_delete(t->lib->store, t->row.id, o->row);
    pthread_mutex_lock(&t->objects);
    struct object **at = session_link(t, o), *gone = *at;
    if (gone)
        *at = gone->next;
    pthread_mutex_unlock(&t->objects);
    if (!gone) /* another thread was faster */
        return CKR_OBJECT_HANDLE_INVALID;
    object_unref(&gone);
    return CKR_OK;
}

void session_objects_drop(struct token *t, CK_SESSION_HANDLE session)
{
    struct object *dropped = NULL;
    pthread_mutex_lock(&t->objects);
    struct object **at = &t->session_objects;
    while (*at) {
        struct object *o = *at;
        if (o->session != session) {
            at = &o->next;
            continue;
        }
        *at = o->next;
        o->next = dropped;
        dropped = o;
    }
    pthread_mutex_unlock(&t->objects);
    while (dropped) { /* the TPM's lock is not taken under token.objects */
        struct object *o = dropped;
        dropped = o->next;
        if (o->pub.n)
            tpm_key_drop(t->lib->tpm, buf_bytes(&o->pub));
        object_unref(&o);
    }
}

/* ---- keys ---------------------------------------------------------------------------------- */

CK_RV object_finish(struct object *o)
{
    char hex[33];
    TRY(soft_random(o->uid, sizeof(o->uid)));
    bytes_hex(BYTES_OF(o->uid), hex);
    o->private_ = attrs_true(&o->attrs, CKA_PRIVATE);
    return attrs_set(&o->attrs, CKA_UNIQUE_ID, BYTES(hex, 32));
}
