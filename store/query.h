/* One run of one SQL statement: begin, give the parameters in order, take the rows and their
 * columns in order. Failures stick and come out at the next function that answers a CK_RV. */
#ifndef STORE_QUERY_H
#define STORE_QUERY_H

#include "connection.h"

/* The longest values, in bytes: nothing longer is written, and nothing longer is believed. */
enum { MAX_LABEL = 32, MAX_BYTES = 65537, MAX_ATTRS = 16 << 20 };

struct query {
    struct store *s;
    sqlite3_stmt *stmt;
    int code;        /* first failure so far; SQLITE_OK */
    int param;       /* parameters given */
    int column;      /* columns taken from this row */
    const char *bad; /* name of this row's first column that cannot be */
    bool no_memory;
};

/* sql with "?" parameters. Use with CLEANUP(query_end); within a use whose store exists. */
struct query query_begin(struct use *u, const char *sql);
void query_end(struct query *q);

/* The next parameter. Bytes are borrowed until query_end; none of them is NULL. */
void query_int(struct query *q, int64_t v);
void query_bytes(struct query *q, struct bytes v, size_t max);
void query_text(struct query *q, const char *v);

/* Runs to the next row; *ret false when there is none. */
CK_RV query_row(struct query *q, bool *ret);
/* Runs a statement that answers no row; *ret (may be NULL) counts the rows changed. */
CK_RV query_run(struct query *q, size_t *ret);

/* The next column of the row. What was not written by this module marks the row as bad. */
int64_t row_int(struct query *q, int64_t min, int64_t max);
static inline uint32_t row_u32(struct query *q)
{
    return (uint32_t)row_int(q, 0, UINT32_MAX);
}
static inline bool row_bool(struct query *q)
{
    return row_int(q, 0, 1) != 0;
}
void row_bytes(struct query *q, size_t max, struct buf *ret);
/* Exactly n bytes. */
void row_fixed(struct query *q, size_t n, void *ret);
/* CKR_DEVICE_ERROR, logged with the row's id (its first column), when the row is bad. */
CK_RV row_check(struct query *q, const char *table);

/* The id that the table's next row gets: one that no row had before (AUTOINCREMENT). */
CK_RV query_next_id(struct use *u, const char *table, int64_t *ret);

#endif
