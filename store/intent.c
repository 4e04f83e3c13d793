#include "intent.h"

#include <stdlib.h>
#include <time.h>
#include <base/error.h>
#include "query.h"

/* ---- one C_InitToken ------------------------------------------------------------------------ */

static CK_RV known(struct use *u, uint32_t handle, bool *ret)
{
    CLEANUP(query_end)
    struct query q = query_begin(
        u, "SELECT 1 FROM token WHERE ? IN (user_nv, so_nv, gate_0_nv, gate_1_nv, pepper_nv)"
           " UNION ALL SELECT 1 FROM nv WHERE handle = ?");
    query_int(&q, handle);
    query_int(&q, handle);
    return query_row(&q, ret);
}

static CK_RV add(struct use *u, int64_t intent, uint32_t handle)
{
    if (handle == 0)
        return CKR_OK;
    bool taken;
    TRY(known(u, handle, &taken));
    if (taken)
        return error_log(CKR_FUNCTION_FAILED, "store %s names NV index 0x%x already", u->s->path,
                         handle);
    CLEANUP(query_end)
    struct query q = query_begin(u, "INSERT INTO nv (handle, made, intent) VALUES (?, ?, ?)");
    query_int(&q, handle);
    query_int(&q, time(NULL));
    query_int(&q, intent);
    return query_run(&q, NULL);
}

static bool all_none(const uint32_t *nv, size_t n)
{
    uint32_t any = 0;
    for (size_t i = 0; i < n; i++)
        any |= nv[i];
    return any == 0;
}

CK_RV store_intent_begin(struct store *s, const uint32_t *nv, size_t n, int64_t *ret_intent)
{
    if (all_none(nv, n)) {
        *ret_intent = 0;
        return CKR_OK;
    }
    CLEANUP(use_end) struct use u = {0};
    TRY(use_begin(&u, s, USE_CREATE));
    int64_t intent;
    TRY(query_next_id(&u, "nv", &intent));
    for (size_t i = 0; i < n; i++)
        TRY(add(&u, intent, nv[i]));
    TRY(use_commit(&u));
    *ret_intent = intent;
    return CKR_OK;
}

CK_RV store_intent_drop(struct store *s, int64_t intent)
{
    CLEANUP(use_end) struct use u = {0};
    TRY(use_begin(&u, s, USE_WRITE));
    if (!u.exists)
        return CKR_OK;
    CLEANUP(query_end) struct query q = query_begin(&u, "DELETE FROM nv WHERE intent = ?");
    query_int(&q, intent);
    TRY(query_run(&q, NULL));
    return use_commit(&u);
}

CK_RV intent_take(struct use *u, int64_t intent, const struct store_token *t)
{
    const uint32_t nv[] = {t->user.nv, t->so.nv, t->limit.nv[0], t->limit.nv[1], t->limit.nv[2]};
    size_t taken, named = 0;
    CLEANUP(query_end)
    struct query q =
        query_begin(u, "DELETE FROM nv WHERE intent = ? AND handle IN (?, ?, ?, ?, ?)");
    query_int(&q, intent);
    for (size_t i = 0; i < sizeof(nv) / sizeof(*nv); i++) {
        query_int(&q, nv[i]); /* 0 is in no row */
        named += nv[i] != 0;
    }
    TRY(query_run(&q, &taken));
    if (taken != named)
        return error_log(CKR_FUNCTION_FAILED,
                         "store %s: this initialisation took so long that another process ended it",
                         u->s->path);
    return CKR_OK;
}

#define DOOMED(index, name)                                                                        \
    " SELECT " index ", " name ", ?1 FROM token WHERE id = ?2 AND " index " <> 0"

CK_RV intent_doom(struct use *u, int64_t token)
{
    CLEANUP(query_end)
    struct query q = query_begin(
        u,
        "INSERT INTO nv (handle, name, made)" DOOMED("user_nv", "user_nv_name") " UNION ALL" DOOMED(
            "so_nv",
            "so_nv_name") " UNION ALL" DOOMED("gate_0_nv",
                                              "gate_0_name") " UNION ALL" DOOMED("gate_1_nv",
                                                                                 "gate_1_name") " U"
                                                                                                "NI"
                                                                                                "ON"
                                                                                                " A"
                                                                                                "L"
                                                                                                "L" DOOMED(
                                                                                                    "pepper_nv",
                                                                                                    "pepper_name"));
    query_int(&q, time(NULL));
    query_int(&q, token);
    return query_run(&q, NULL);
}

/* ---- what is pending ------------------------------------------------------------------------ */

#define NV_COLUMNS "SELECT id, handle, name, intent IS NOT NULL FROM nv"

static CK_RV decode(struct query *q, struct store_nv *ret)
{
    ret->row = row_int(q, 1, INT64_MAX);
    ret->handle = row_u32(q);
    row_bytes(q, MAX_BYTES, &ret->name);
    ret->intent = row_bool(q);
    return row_check(q, "nv");
}

struct list {
    struct store_nv *p;
    size_t n;
};

static void list_free(struct list *l)
{
    store_nv_free(&l->p, l->n);
}

static CK_RV list_add(struct list *l, struct query *q)
{
    struct store_nv *more = realloc(l->p, (l->n + 1) * sizeof(*more));
    if (!more)
        return CKR_HOST_MEMORY;
    l->p = more;
    more[l->n] = (struct store_nv){0};
    return decode(q, &more[l->n++]);
}

CK_RV store_nv_pending(struct store *s, unsigned min_age_seconds, struct store_nv **ret,
                       size_t *ret_n)
{
    CLEANUP(use_end) struct use u = {0};
    CLEANUP(list_free) struct list list = {0};
    TRY(use_begin(&u, s, USE_READ));
    if (u.exists) {
        /* a clock that was set back makes rows from the future: old ones too */
        CLEANUP(query_end)
        struct query q =
            query_begin(&u, NV_COLUMNS " WHERE intent IS NULL OR abs(? - made) >= ? ORDER BY id");
        query_int(&q, time(NULL));
        query_int(&q, min_age_seconds);
        bool row;
        for (;;) {
            TRY(query_row(&q, &row));
            if (!row)
                break;
            TRY(list_add(&list, &q));
        }
    }
    *ret = list.p;
    *ret_n = list.n;
    list = (struct list){0};
    return CKR_OK;
}

void store_nv_free(struct store_nv **list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_free(&(*list)[i].name);
    free(*list);
    *list = NULL;
}

CK_RV store_nv_done(struct store *s, const struct store_nv *nv)
{
    CLEANUP(use_end) struct use u = {0};
    TRY(use_begin(&u, s, USE_WRITE));
    if (!u.exists)
        return CKR_OK;
    CLEANUP(query_end)
    struct query q = query_begin(&u, "DELETE FROM nv WHERE id = ? AND handle = ?");
    query_int(&q, nv->row);
    query_int(&q, nv->handle);
    TRY(query_run(&q, NULL));
    return use_commit(&u);
}

CK_RV store_nv_known(struct store *s, uint32_t handle, bool *ret)
{
    CLEANUP(use_end) struct use u = {0};
    TRY(use_begin(&u, s, USE_READ));
    *ret = false;
    return u.exists ? known(&u, handle, ret) : CKR_OK;
}

CK_RV intent_check(struct use *u)
{
    CLEANUP(query_end) struct query q = query_begin(u, NV_COLUMNS);
    CK_RV rv = CKR_OK;
    for (;;) {
        CLEANUP(list_free) struct list one = {0};
        bool row;
        TRY(query_row(&q, &row));
        if (!row)
            return rv;
        CK_RV this_rv = list_add(&one, &q);
        rv = rv == CKR_OK ? this_rv : rv;
    }
}
