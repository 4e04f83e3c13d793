#include "query.h"

#include <limits.h>
#include <string.h>
#include <base/error.h>

static int prepare(struct store *s, const char *sql, sqlite3_stmt **ret)
{
    for (size_t i = 0; i < s->n_statements; i++)
        if (strcmp(sqlite3_sql(s->statement[i]), sql) == 0) {
            *ret = s->statement[i];
            return SQLITE_OK;
        }
    if (s->n_statements == STATEMENTS) /* use_begin keeps room for more than any use needs */
        return SQLITE_NOMEM;
    int code = sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL);
    if (code == SQLITE_OK)
        s->statement[s->n_statements++] = *ret;
    return code;
}

struct query query_begin(struct use *u, const char *sql)
{
    struct query q = {.s = u->s};
    q.code = prepare(u->s, sql, &q.stmt);
    return q;
}

void query_end(struct query *q)
{
    if (q->stmt) {
        sqlite3_reset(q->stmt);
        sqlite3_clear_bindings(q->stmt);
    }
    q->stmt = NULL;
}

static void keep(struct query *q, int code)
{
    if (q->code == SQLITE_OK)
        q->code = code;
}

void query_int(struct query *q, int64_t v)
{
    keep(q, sqlite3_bind_int64(q->stmt, ++q->param, v));
}

void query_bytes(struct query *q, struct bytes v, size_t max)
{
    q->param++;
    if (v.n > max || v.n > INT_MAX)
        keep(q, SQLITE_TOOBIG);
    else if (v.n == 0)
        keep(q, sqlite3_bind_null(q->stmt, q->param));
    else /* not bind_blob64: in Firefox these names lead to its own SQLite, which lacks that one */
        keep(q, sqlite3_bind_blob(q->stmt, q->param, v.p, (int)v.n, SQLITE_STATIC));
}

void query_text(struct query *q, const char *v)
{
    keep(q, sqlite3_bind_text(q->stmt, ++q->param, v, -1, SQLITE_STATIC));
}

CK_RV query_row(struct query *q, bool *ret)
{
    if (q->code == SQLITE_OK) {
        int code = sqlite3_step(q->stmt);
        *ret = code == SQLITE_ROW;
        q->column = 0;
        q->bad = NULL;
        if (code == SQLITE_ROW || code == SQLITE_DONE)
            return CKR_OK;
        /* a row that exceeds the limits was not written by this module */
        q->code = code == SQLITE_TOOBIG ? SQLITE_CORRUPT : code;
    }
    return connection_error(q->s, q->code);
}

CK_RV query_run(struct query *q, size_t *ret)
{
    bool row;
    TRY(query_row(q, &row));
    if (ret)
        *ret = (size_t)sqlite3_changes(q->s->db);
    return CKR_OK;
}

static void bad(struct query *q, int column)
{
    if (!q->bad)
        q->bad = sqlite3_column_name(q->stmt, column);
    if (!q->bad)
        q->bad = "?";
}

int64_t row_int(struct query *q, int64_t min, int64_t max)
{
    int column = q->column++;
    int64_t v = sqlite3_column_int64(q->stmt, column);
    if (sqlite3_column_type(q->stmt, column) == SQLITE_INTEGER && v >= min && v <= max)
        return v;
    bad(q, column);
    return 0;
}

void row_bytes(struct query *q, size_t max, struct buf *ret)
{
    int column = q->column++;
    int type = sqlite3_column_type(q->stmt, column);
    if (type == SQLITE_NULL)
        return;
    const void *p = sqlite3_column_blob(q->stmt, column);
    size_t n = (size_t)sqlite3_column_bytes(q->stmt, column);
    if (type != SQLITE_BLOB || n > max)
        bad(q, column);
    else if ((n && !p) || buf_set(ret, BYTES(p, n)) != CKR_OK)
        q->no_memory = true;
}

void row_fixed(struct query *q, size_t n, void *ret)
{
    int column = q->column++;
    if (sqlite3_column_type(q->stmt, column) == SQLITE_BLOB &&
        (size_t)sqlite3_column_bytes(q->stmt, column) == n)
        memcpy(ret, sqlite3_column_blob(q->stmt, column), n);
    else
        bad(q, column);
}

CK_RV row_check(struct query *q, const char *table)
{
    if (q->no_memory)
        return CKR_HOST_MEMORY;
    if (!q->bad)
        return CKR_OK;
    return error_log(CKR_DEVICE_ERROR,
                     "store %s: table %s, row %lld: column %s is damaged; restore a backup",
                     q->s->path, table, (long long)sqlite3_column_int64(q->stmt, 0), q->bad);
}

CK_RV query_next_id(struct use *u, const char *table, int64_t *ret)
{
    CLEANUP(query_end)
    struct query q = query_begin(u, "SELECT rowid, seq FROM sqlite_sequence WHERE name = ?");
    query_text(&q, table);
    bool row = false;
    TRY(query_row(&q, &row));
    if (!row) {
        *ret = 1;
        return CKR_OK;
    }
    row_int(&q, 1, INT64_MAX);
    *ret = row_int(&q, 0, INT64_MAX - 1) + 1;
    return row_check(&q, "sqlite_sequence");
}
