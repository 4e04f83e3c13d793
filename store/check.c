#include <string.h>
#include <base/error.h>
#include <base/log.h>
#include "intent.h"
#include "object.h"
#include "query.h"
#include "token.h"

/* Each row of the answer is a finding; quick_check says "ok" when it has none. */
static CK_RV pragma(struct use *u, const char *sql)
{
    CLEANUP(query_end) struct query q = query_begin(u, sql);
    CK_RV rv = CKR_OK;
    for (;;) {
        bool row;
        TRY(query_row(&q, &row));
        if (!row)
            return rv;
        const char *text = (const char *)sqlite3_column_text(q.stmt, 0);
        if (!text || strcmp(text, "ok") != 0)
            rv =
                error_log(CKR_DEVICE_ERROR, "store %s: %s: %s", u->s->path, sql, text ? text : "?");
    }
}

CK_RV store_check(struct store *s)
{
    CLEANUP(use_end) struct use u = {0};
    TRY(use_begin(&u, s, USE_READ));
    if (!u.exists)
        return CKR_OK;
    TRY(pragma(&u, "PRAGMA quick_check"));
    TRY(pragma(&u, "PRAGMA foreign_key_check"));
    TRY(token_check(&u));
    TRY(object_check(&u));
    return intent_check(&u);
}
