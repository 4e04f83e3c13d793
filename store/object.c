#include "object.h"

#include <stdlib.h>
#include <string.h>
#include <base/error.h>
#include "query.h"
#include "token.h"

void store_object_free(struct store_object *o)
{
    for (size_t i = 0; i < STORE_COLUMNS; i++)
        buf_free(&o->column[i]);
    buf_free(&o->attrs);
    buf_free(&o->mac);
    buf_free(&o->pub);
    buf_free(&o->priv);
    buf_free(&o->parent_name);
}

/* ---- rows ----------------------------------------------------------------------------------- */

#define SEARCH_COLUMNS                                                                             \
    "cka_class, cka_key_type, cka_id, cka_label, cka_subject, cka_issuer, cka_serial"
/* The order in which store_objects_add gives and decode() takes. */
#define COLUMNS                                                                                    \
    "token, uid, generation, auth, parent, parent_name, pub, priv, private, " SEARCH_COLUMNS       \
    ", mac, attrs"

/* Into an empty *ret; on failure the caller frees what is in it. */
static CK_RV decode(struct query *q, struct store_object *ret)
{
    ret->id = row_int(q, 1, INT64_MAX);
    ret->token = row_int(q, 1, INT64_MAX);
    row_fixed(q, sizeof(ret->uid), ret->uid);
    ret->generation = row_u32(q);
    ret->auth = (enum store_auth)row_int(q, STORE_AUTH_NONE, STORE_AUTH_SEALED);
    ret->parent = row_u32(q);
    row_bytes(q, MAX_BYTES, &ret->parent_name);
    row_bytes(q, MAX_BYTES, &ret->pub);
    row_bytes(q, MAX_BYTES, &ret->priv);
    ret->private_ = row_bool(q);
    for (size_t i = 0; i < STORE_COLUMNS; i++)
        row_bytes(q, MAX_BYTES, &ret->column[i]);
    row_bytes(q, MAX_BYTES, &ret->mac);
    row_bytes(q, MAX_ATTRS, &ret->attrs);
    return row_check(q, "object");
}

/* What an update replaces too: private to attrs. */
static void bind_attributes(struct query *q, const struct store_object *o)
{
    query_int(q, o->private_);
    for (size_t i = 0; i < STORE_COLUMNS; i++)
        query_bytes(q, buf_bytes(&o->column[i]), MAX_BYTES);
    query_bytes(q, buf_bytes(&o->mac), MAX_BYTES);
    query_bytes(q, buf_bytes(&o->attrs), MAX_ATTRS);
}

CK_RV object_check(struct use *u)
{
    CLEANUP(query_end) struct query q = query_begin(u, "SELECT id, " COLUMNS " FROM object");
    CK_RV rv = CKR_OK;
    for (;;) {
        CLEANUP(store_object_free) struct store_object o = {0};
        bool row;
        TRY(query_row(&q, &row));
        if (!row)
            return rv;
        CK_RV this_rv = decode(&q, &o);
        rv = rv == CKR_OK ? this_rv : rv;
    }
}

/* ---- one object ----------------------------------------------------------------------------- */

static CK_RV add(struct use *u, struct store_object *o)
{
    uint32_t generation;
    TRY(token_generation(u, o->token, &generation));
    if (generation == 0 || generation != o->generation)
        return CKR_DEVICE_REMOVED;
    CLEANUP(query_end)
    struct query q = query_begin(u, "INSERT INTO object (" COLUMNS ") VALUES"
                                    " (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    query_int(&q, o->token);
    query_bytes(&q, BYTES_OF(o->uid), sizeof(o->uid));
    query_int(&q, o->generation);
    query_int(&q, o->auth);
    query_int(&q, o->parent);
    query_bytes(&q, buf_bytes(&o->parent_name), MAX_BYTES);
    query_bytes(&q, buf_bytes(&o->pub), MAX_BYTES);
    query_bytes(&q, buf_bytes(&o->priv), MAX_BYTES);
    bind_attributes(&q, o);
    TRY(query_run(&q, NULL));
    o->id = sqlite3_last_insert_rowid(u->s->db);
    return CKR_OK;
}

CK_RV store_objects_add(struct store *s, struct store_object *objects, size_t n)
{
    CLEANUP(use_end) struct use u = {0};
    TRY(use_begin(&u, s, USE_WRITE));
    if (!u.exists)
        return CKR_DEVICE_REMOVED;
    for (size_t i = 0; i < n; i++)
        TRY(add(&u, &objects[i]));
    return use_commit(&u);
}

CK_RV store_object_get(struct store *s, int64_t token, int64_t id, struct store_object *ret)
{
    CLEANUP(use_end) struct use u = {0};
    TRY(use_begin(&u, s, USE_READ));
    if (!u.exists)
        return CKR_OBJECT_HANDLE_INVALID;
    CLEANUP(query_end)
    struct query q =
        query_begin(&u, "SELECT id, " COLUMNS " FROM object WHERE id = ? AND token = ?");
    query_int(&q, id);
    query_int(&q, token);
    bool row;
    TRY(query_row(&q, &row));
    if (!row)
        return CKR_OBJECT_HANDLE_INVALID;
    CLEANUP(store_object_free) struct store_object o = {0};
    TRY(decode(&q, &o));
    *ret = o;
    o = (struct store_object){0};
    return CKR_OK;
}

/* Runs an UPDATE or DELETE of one row, and commits. */
static CK_RV change_one(struct use *u, struct query *q)
{
    size_t n;
    TRY(query_run(q, &n));
    return n == 1 ? use_commit(u) : CKR_OBJECT_HANDLE_INVALID;
}

CK_RV store_object_update(struct store *s, const struct store_object *object)
{
    CLEANUP(use_end) struct use u = {0};
    TRY(use_begin(&u, s, USE_WRITE));
    if (!u.exists)
        return CKR_OBJECT_HANDLE_INVALID;
    CLEANUP(query_end)
    struct query q = query_begin(&u, "UPDATE object SET (private, " SEARCH_COLUMNS ", mac, attrs) ="
                                     " (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) WHERE id = ? AND token = ?");
    bind_attributes(&q, object);
    query_int(&q, object->id);
    query_int(&q, object->token);
    return change_one(&u, &q);
}

CK_RV store_object_delete(struct store *s, int64_t token, int64_t id)
{
    CLEANUP(use_end) struct use u = {0};
    TRY(use_begin(&u, s, USE_WRITE));
    if (!u.exists)
        return CKR_OBJECT_HANDLE_INVALID;
    CLEANUP(query_end)
    struct query q = query_begin(&u, "DELETE FROM object WHERE id = ? AND token = ?");
    query_int(&q, id);
    query_int(&q, token);
    return change_one(&u, &q);
}

CK_RV object_delete_all(struct use *u, int64_t token)
{
    CLEANUP(query_end) struct query q = query_begin(u, "DELETE FROM object WHERE token = ?");
    query_int(&q, token);
    return query_run(&q, NULL);
}

/* ---- searches ------------------------------------------------------------------------------- */

/* The index to use is the most selective column's, and is named: SQLite, without statistics, takes
 * all for equal, and would walk every private key to find the one with an id. */
static const struct {
    const char *name;
    int selective;
} columns[STORE_COLUMNS] = {
    [STORE_CLASS] = {"cka_class", 1},     [STORE_KEY_TYPE] = {"cka_key_type", 2},
    [STORE_ID] = {"cka_id", 7},           [STORE_LABEL] = {"cka_label", 6},
    [STORE_SUBJECT] = {"cka_subject", 4}, [STORE_ISSUER] = {"cka_issuer", 3},
    [STORE_SERIAL] = {"cka_serial", 5},
};

static CK_RV put(struct buf *sql, const char *text)
{
    return buf_append(sql, text, strlen(text));
}

static const char *best_index(const struct store_match *matches, size_t n)
{
    const char *best = "token";
    int selective = 0;
    for (size_t i = 0; i < n; i++)
        if (matches[i].n_any > 0 && columns[matches[i].column].selective > selective) {
            best = columns[matches[i].column].name;
            selective = columns[matches[i].column].selective;
        }
    return best;
}

static CK_RV find_sql(const struct store_match *matches, size_t n, struct buf *ret)
{
    TRY(put(ret, "SELECT id, private FROM object INDEXED BY object_"));
    TRY(put(ret, best_index(matches, n)));
    TRY(put(ret, " WHERE token = ? AND private = ?"));
    for (size_t i = 0; i < n; i++) {
        if (matches[i].n_any == 0)
            continue;
        TRY(put(ret, " AND "));
        TRY(put(ret, columns[matches[i].column].name));
        TRY(put(ret, " = ?"));
    }
    return buf_append(ret, " ORDER BY id", sizeof(" ORDER BY id"));
}

struct ids {
    struct store_found *p;
    size_t n, cap;
};

static void ids_free(struct ids *ids)
{
    free(ids->p);
}

static CK_RV ids_add(struct ids *ids, struct store_found found)
{
    if (ids->n == ids->cap) {
        size_t cap = ids->cap ? 2 * ids->cap : 16;
        struct store_found *more = realloc(ids->p, cap * sizeof(*more));
        if (!more)
            return CKR_HOST_MEMORY;
        ids->p = more;
        ids->cap = cap;
    }
    ids->p[ids->n++] = found;
    return CKR_OK;
}

static CK_RV take_ids(struct query *q, struct ids *ids)
{
    for (;;) {
        bool row;
        TRY(query_row(q, &row));
        if (!row)
            return CKR_OK;
        struct store_found found = {.id = row_int(q, 1, INT64_MAX)};
        found.private_ = row_bool(q);
        TRY(row_check(q, "object"));
        TRY(ids_add(ids, found));
    }
}

/* The public rows or the private ones, each by a value of their own and by "=": SQLite would copy
 * the values of an IN to pages that it frees without wiping them. */
static CK_RV find(struct use *u, int64_t token, bool private_, const struct store_match *matches,
                  size_t n_matches, struct ids *ids)
{
    CLEANUP(buf_free) struct buf sql = {0};
    TRY(find_sql(matches, n_matches, &sql));
    CLEANUP(query_end) struct query q = query_begin(u, (const char *)sql.p);
    query_int(&q, token);
    query_int(&q, private_);
    for (size_t i = 0; i < n_matches; i++)
        if (matches[i].n_any > 0)
            query_bytes(&q, matches[i].any[private_ && matches[i].n_any > 1], SIZE_MAX);
    return take_ids(&q, ids);
}

static int by_id(const void *a, const void *b)
{
    const struct store_found *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

static CK_RV find_both(struct use *u, int64_t token, const struct store_match *matches,
                       size_t n_matches, struct ids *ids)
{
    TRY(find(u, token, false, matches, n_matches, ids));
    size_t public_ = ids->n;
    TRY(find(u, token, true, matches, n_matches, ids));
    if (public_ > 0 && ids->n > public_)
        qsort(ids->p, ids->n, sizeof(*ids->p), by_id);
    return CKR_OK;
}

CK_RV store_objects_find(struct store *s, int64_t token, bool with_private,
                         const struct store_match *matches, size_t n_matches,
                         struct store_found **ret, size_t *ret_n)
{
    CLEANUP(use_end) struct use u = {0};
    CLEANUP(ids_free) struct ids ids = {0};
    TRY(use_begin(&u, s, USE_READ));
    if (u.exists)
        TRY(with_private ? find_both(&u, token, matches, n_matches, &ids)
                         : find(&u, token, false, matches, n_matches, &ids));
    *ret = ids.p;
    *ret_n = ids.n;
    ids = (struct ids){0};
    return CKR_OK;
}

CK_RV store_objects_count(struct store *s, int64_t token, size_t *ret)
{
    CLEANUP(use_end) struct use u = {0};
    TRY(use_begin(&u, s, USE_READ));
    *ret = 0;
    if (!u.exists)
        return CKR_OK;
    CLEANUP(query_end)
    struct query q = query_begin(&u, "SELECT count(*) FROM object WHERE token = ?");
    query_int(&q, token);
    bool row;
    TRY(query_row(&q, &row));
    *ret = row ? (size_t)row_int(&q, 0, INT64_MAX) : 0;
    return CKR_OK;
}
