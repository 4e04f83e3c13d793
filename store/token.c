#include "token.h"

#include <string.h>
#include <base/error.h>
#include "intent.h"
#include "object.h"
#include "query.h"

static void seat_free(struct store_seat *seat)
{
    buf_free(&seat->nv_name);
    buf_free(&seat->pub);
    buf_free(&seat->priv);
}

void store_token_free(struct store_token *t)
{
    buf_free(&t->label);
    buf_free(&t->check);
    buf_free(&t->parent_name);
    buf_free(&t->parent_public);
    seat_free(&t->user);
    seat_free(&t->so);
    for (int i = 0; i < STORE_LIMIT_INDICES; i++)
        buf_free(&t->limit.name[i]);
}

/* ---- rows ----------------------------------------------------------------------------------- */

/* The order in which bind() gives and decode() takes. */
#define COLUMNS                                                                                    \
    "id, uid, generation, serial, label, user_pin_set, unattended, pin_rounds, check_value,"       \
    " parent, parent_name, parent_public, user_nv, user_nv_name, user_pub, user_priv,"             \
    " so_nv, so_nv_name, so_pub, so_priv, max_pin_tries, gate_0_nv, gate_0_name, gate_1_nv,"       \
    " gate_1_name, pepper_nv, pepper_name"

static void decode_seat(struct query *q, struct store_seat *ret)
{
    ret->nv = row_u32(q);
    row_bytes(q, MAX_BYTES, &ret->nv_name);
    row_bytes(q, MAX_BYTES, &ret->pub);
    row_bytes(q, MAX_BYTES, &ret->priv);
}

static void decode_limit(struct query *q, struct store_limit *ret)
{
    ret->tries = row_u32(q);
    for (int i = 0; i < STORE_LIMIT_INDICES; i++) {
        ret->nv[i] = row_u32(q);
        row_bytes(q, MAX_BYTES, &ret->name[i]);
    }
}

/* Into an empty *ret; on failure the caller frees what is in it. */
static CK_RV decode(struct query *q, struct store_token *ret)
{
    ret->id = row_int(q, 1, INT64_MAX);
    ret->slot = (CK_SLOT_ID)ret->id;
    row_fixed(q, sizeof(ret->uid), ret->uid);
    ret->generation = row_u32(q);
    row_fixed(q, sizeof(ret->serial) - 1, ret->serial);
    row_bytes(q, MAX_LABEL, &ret->label);
    ret->user_pin_set = row_bool(q);
    ret->unattended = row_bool(q);
    ret->pin_rounds = row_u32(q);
    row_bytes(q, MAX_BYTES, &ret->check);
    ret->parent = row_u32(q);
    row_bytes(q, MAX_BYTES, &ret->parent_name);
    row_bytes(q, MAX_BYTES, &ret->parent_public);
    decode_seat(q, &ret->user);
    decode_seat(q, &ret->so);
    decode_limit(q, &ret->limit);
    return row_check(q, "token");
}

static void bind_seat(struct query *q, const struct store_seat *seat)
{
    query_int(q, seat->nv);
    query_bytes(q, buf_bytes(&seat->nv_name), MAX_BYTES);
    query_bytes(q, buf_bytes(&seat->pub), MAX_BYTES);
    query_bytes(q, buf_bytes(&seat->priv), MAX_BYTES);
}

static void bind_limit(struct query *q, const struct store_limit *limit)
{
    query_int(q, limit->tries);
    for (int i = 0; i < STORE_LIMIT_INDICES; i++) {
        query_int(q, limit->nv[i]);
        query_bytes(q, buf_bytes(&limit->name[i]), MAX_BYTES);
    }
}

static void bind(struct query *q, int64_t id, uint32_t generation, const struct store_token *t)
{
    query_int(q, id);
    query_bytes(q, BYTES_OF(t->uid), sizeof(t->uid));
    query_int(q, generation);
    query_bytes(q, BYTES(t->serial, sizeof(t->serial) - 1), sizeof(t->serial) - 1);
    query_bytes(q, buf_bytes(&t->label), MAX_LABEL);
    query_int(q, t->user_pin_set);
    query_int(q, t->unattended);
    query_int(q, t->pin_rounds);
    query_bytes(q, buf_bytes(&t->check), MAX_BYTES);
    query_int(q, t->parent);
    query_bytes(q, buf_bytes(&t->parent_name), MAX_BYTES);
    query_bytes(q, buf_bytes(&t->parent_public), MAX_BYTES);
    bind_seat(q, &t->user);
    bind_seat(q, &t->so);
    bind_limit(q, &t->limit);
}

CK_RV token_generation(struct use *u, int64_t token, uint32_t *ret)
{
    CLEANUP(query_end)
    struct query q = query_begin(u, "SELECT id, generation FROM token WHERE id = ?");
    query_int(&q, token);
    bool row;
    TRY(query_row(&q, &row));
    if (!row) {
        *ret = 0;
        return CKR_OK;
    }
    row_int(&q, 1, INT64_MAX);
    *ret = row_u32(&q);
    return row_check(&q, "token");
}

CK_RV token_check(struct use *u)
{
    CLEANUP(query_end) struct query q = query_begin(u, "SELECT " COLUMNS " FROM token");
    CK_RV rv = CKR_OK;
    for (;;) {
        CLEANUP(store_token_free) struct store_token t = {0};
        bool row;
        TRY(query_row(&q, &row));
        if (!row)
            return rv;
        CK_RV this_rv = decode(&q, &t);
        rv = rv == CKR_OK ? this_rv : rv;
    }
}

/* ---- slots ---------------------------------------------------------------------------------- */

CK_RV store_slots(struct store *s, CK_SLOT_ID *ret, size_t *ret_n)
{
    CLEANUP(use_end) struct use u = {0};
    TRY(use_begin(&u, s, USE_READ));
    size_t n = 0;
    if (u.exists) {
        CLEANUP(query_end) struct query q = query_begin(&u, "SELECT id FROM token ORDER BY id");
        bool row;
        for (;;) {
            TRY(query_row(&q, &row));
            if (!row)
                break;
            CK_SLOT_ID slot = (CK_SLOT_ID)row_int(&q, 1, INT64_MAX);
            TRY(row_check(&q, "token"));
            if (ret && n < *ret_n)
                ret[n] = slot;
            n++;
        }
    }
    bool fits = !ret || n <= *ret_n;
    *ret_n = n;
    return fits ? CKR_OK : CKR_BUFFER_TOO_SMALL;
}

CK_RV store_next_slot(struct store *s, CK_SLOT_ID *ret)
{
    CLEANUP(use_end) struct use u = {0};
    TRY(use_begin(&u, s, USE_READ));
    int64_t next = 1;
    if (u.exists)
        TRY(query_next_id(&u, "token", &next));
    *ret = (CK_SLOT_ID)next;
    return CKR_OK;
}

/* ---- one token ------------------------------------------------------------------------------ */

CK_RV store_token_get(struct store *s, CK_SLOT_ID slot, struct store_token *ret)
{
    CLEANUP(use_end) struct use u = {0};
    TRY(use_begin(&u, s, USE_READ));
    if (!u.exists || slot > INT64_MAX)
        return CKR_SLOT_ID_INVALID;
    CLEANUP(query_end)
    struct query q = query_begin(&u, "SELECT " COLUMNS " FROM token WHERE id = ?");
    query_int(&q, (int64_t)slot);
    bool row;
    TRY(query_row(&q, &row));
    if (!row)
        return CKR_SLOT_ID_INVALID;
    CLEANUP(store_token_free) struct store_token t = {0};
    TRY(decode(&q, &t));
    *ret = t;
    t = (struct store_token){0};
    return CKR_OK;
}

/* Runs an UPDATE or DELETE of one token's row, and commits. */
static CK_RV change_one(struct use *u, struct query *q)
{
    size_t n;
    TRY(query_run(q, &n));
    return n == 1 ? use_commit(u) : CKR_DEVICE_REMOVED;
}

CK_RV store_token_set_user_pin(struct store *s, int64_t token, bool set)
{
    CLEANUP(use_end) struct use u = {0};
    TRY(use_begin(&u, s, USE_WRITE));
    if (!u.exists)
        return CKR_DEVICE_REMOVED;
    CLEANUP(query_end)
    struct query q = query_begin(&u, "UPDATE token SET user_pin_set = ? WHERE id = ?");
    query_int(&q, set);
    query_int(&q, token);
    return change_one(&u, &q);
}

CK_RV store_token_set_seat(struct store *s, int64_t token, bool so, const struct store_seat *seat)
{
    CLEANUP(use_end) struct use u = {0};
    TRY(use_begin(&u, s, USE_WRITE));
    if (!u.exists)
        return CKR_DEVICE_REMOVED;
    CLEANUP(query_end)
    struct query q = query_begin(
        &u, so ? "UPDATE token SET so_nv = ?, so_nv_name = ?, so_pub = ?, so_priv = ? WHERE id = ?"
               : "UPDATE token SET user_nv = ?, user_nv_name = ?, user_pub = ?, user_priv = ?"
                 " WHERE id = ?");
    bind_seat(&q, seat);
    query_int(&q, token);
    return change_one(&u, &q);
}

CK_RV store_token_delete(struct store *s, int64_t token)
{
    CLEANUP(use_end) struct use u = {0};
    TRY(use_begin(&u, s, USE_WRITE));
    if (!u.exists)
        return CKR_DEVICE_REMOVED;
    TRY(intent_doom(&u, token));
    TRY(object_delete_all(&u, token));
    CLEANUP(query_end) struct query q = query_begin(&u, "DELETE FROM token WHERE id = ?");
    query_int(&q, token);
    return change_one(&u, &q);
}

/* ---- the switch of C_InitToken --------------------------------------------------------------- */

static CK_RV insert(struct use *u, const struct store_token *t)
{
    int64_t next;
    TRY(query_next_id(u, "token", &next));
    if (t->slot != (CK_SLOT_ID)next)
        return error_log(CKR_FUNCTION_FAILED, "store %s: slot %lu was filled meanwhile", u->s->path,
                         t->slot);
    CLEANUP(query_end)
    struct query q = query_begin(u, "INSERT INTO token (" COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?,"
                                    " ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    bind(&q, next, 1, t);
    return query_run(&q, NULL);
}

/* The row keeps its id and uid; those and the generation must be what the caller read. */
static CK_RV replace(struct use *u, const struct store_token *t)
{
    TRY(intent_doom(u, t->id));
    TRY(object_delete_all(u, t->id));
    CLEANUP(query_end)
    struct query q = query_begin(
        u, "UPDATE token SET generation = ?3 + 1, serial = ?4, label = ?5, user_pin_set = ?6,"
           " unattended = ?7, pin_rounds = ?8, check_value = ?9, parent = ?10, parent_name = ?11,"
           " parent_public = ?12, user_nv = ?13, user_nv_name = ?14, user_pub = ?15,"
           " user_priv = ?16, so_nv = ?17, so_nv_name = ?18, so_pub = ?19, so_priv = ?20,"
           " max_pin_tries = ?21, gate_0_nv = ?22, gate_0_name = ?23, gate_1_nv = ?24,"
           " gate_1_name = ?25, pepper_nv = ?26, pepper_name = ?27"
           " WHERE id = ?1 AND uid = ?2 AND generation = ?3");
    bind(&q, t->id, t->generation, t);
    size_t n;
    TRY(query_run(&q, &n));
    if (n != 1)
        return error_log(CKR_FUNCTION_FAILED,
                         "store %s: the token in slot %lu was initialised or deleted meanwhile",
                         u->s->path, t->slot);
    return CKR_OK;
}

CK_RV store_intent_commit(struct store *s, int64_t intent, struct store_token *t)
{
    CLEANUP(use_end) struct use u = {0};
    TRY(use_begin(&u, s, USE_CREATE));
    TRY(intent_take(&u, intent, t));
    TRY(t->id ? replace(&u, t) : insert(&u, t));
    TRY(use_commit(&u));
    t->generation = t->id ? t->generation + 1 : 1;
    t->id = t->id ? t->id : (int64_t)t->slot;
    return CKR_OK;
}
