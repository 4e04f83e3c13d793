#include "query.h"

/* FORMAT.md: the value's bound. */
enum { MAX_NOTE = 65536 };

CK_RV store_note_get(struct store *s, const char *key, struct buf *ret)
{
    CLEANUP(use_end) struct use u = {0};
    TRY(use_begin(&u, s, USE_READ));
    CLEANUP(buf_free) struct buf value = {0};
    if (u.exists) {
        CLEANUP(query_end)
        struct query q = query_begin(&u, "SELECT id, value FROM note WHERE key = ?");
        query_text(&q, key);
        bool row;
        TRY(query_row(&q, &row));
        if (row) {
            row_int(&q, 1, INT64_MAX);
            row_bytes(&q, MAX_NOTE, &value);
            TRY(row_check(&q, "note"));
        }
    }
    buf_free(ret);
    *ret = value;
    value = (struct buf){0};
    return CKR_OK;
}

CK_RV store_note_set(struct store *s, const char *key, struct bytes value)
{
    CLEANUP(use_end) struct use u = {0};
    TRY(use_begin(&u, s, USE_CREATE));
    CLEANUP(query_end)
    struct query q = query_begin(&u, "INSERT OR REPLACE INTO note (key, value) VALUES (?, ?)");
    query_text(&q, key);
    query_bytes(&q, value, MAX_NOTE);
    TRY(query_run(&q, NULL));
    return use_commit(&u);
}
