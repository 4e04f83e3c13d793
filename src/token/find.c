#include "internal.h"

#include <stdlib.h>

/* C_FindObjects: the store's indexed columns narrow the search, attributes beyond them are compared
 * on the decoded object. */

static int column_of(CK_ATTRIBUTE_TYPE type)
{
    for (int i = 0; i < STORE_COLUMNS; i++)
        if (object_column_type[i] == type)
            return i;
    return -1;
}

struct search {
    struct store_match match[STORE_COLUMNS];
    struct buf value[STORE_COLUMNS][2];
    size_t n;
    bool exact;          /* the columns decide everything: no object need be decoded */
    bool token, session; /* which kinds to look at */
};

static void search_free(struct search *q)
{
    for (size_t i = 0; i < STORE_COLUMNS; i++)
        for (int k = 0; k < 2; k++)
            buf_free(&q->value[i][k]);
}

static CK_RV add_column(struct token *t, struct search *q, int column, struct bytes value)
{
    struct store_match *m = &q->match[q->n];
    struct buf *room = q->value[q->n];
    m->column = (enum store_column)column;
    TRY(object_column(t, m->column, value, false, &room[0]));
    m->any[0] = buf_bytes(&room[0]);
    m->n_any = 1;
    if (t->login == LOGIN_USER) { /* private rows carry a keyed hash there */
        TRY(object_column(t, m->column, value, true, &room[1]));
        m->any[1] = buf_bytes(&room[1]);
        m->n_any = 2;
    }
    q->n++;
    return CKR_OK;
}

static bool seen_before(const struct search *q, int column)
{
    for (size_t i = 0; i < q->n; i++)
        if ((int)q->match[i].column == column)
            return true;
    return false;
}

static CK_RV plan(struct token *t, const CK_ATTRIBUTE *template, CK_ULONG n, struct search *q)
{
    q->exact = q->token = q->session = true;
    for (CK_ULONG i = 0; i < n; i++) {
        struct bytes value = BYTES(template[i].pValue, template[i].ulValueLen);
        int column = column_of(template[i].type);
        if ((value.n && !value.p) || value.n > ATTR_VALUE_MAX)
            return CKR_ATTRIBUTE_VALUE_INVALID;
        if (template[i].type == CKA_TOKEN && value.n == 1 && value.p[0] <= CK_TRUE) {
            q->token &= value.p[0] != CK_FALSE;
            q->session &= value.p[0] == CK_FALSE;
        } else if (column >= 0 && value.n && !seen_before(q, column)) {
            TRY(add_column(t, q, column, value));
        } else {
            q->exact = false;
        }
    }
    return CKR_OK;
}

/* A part of a key that may be told may be searched for, too. */
static bool part_matches(struct token *t, const struct object *o, CK_ATTRIBUTE_TYPE type,
                         struct bytes wanted)
{
    CLEANUP(secret_free) struct secret part = {0};
    return attrs_known(&o->attrs, type) && key_secret_attribute(t, o, type, &part) == CKR_OK &&
           secret_equal(secret_bytes(&part), wanted);
}

static bool template_matches(const struct object *o, const CK_ATTRIBUTE *wanted)
{
    CLEANUP(buf_free) struct buf packed = {0};
    return attrs_pack_template(wanted, &packed) == CKR_OK &&
           bytes_equal(attrs_bytes(&o->attrs, wanted->type), buf_bytes(&packed));
}

static bool one_matches(struct token *t, const struct object *o, const CK_ATTRIBUTE *wanted)
{
    struct bytes value = BYTES(wanted->pValue, wanted->ulValueLen);
    if (!attrs_revealable(&o->attrs, wanted->type))
        return false;
    if (!attrs_find(&o->attrs, wanted->type))
        return part_matches(t, o, wanted->type, value);
    return attrs_is_template(wanted->type)
               ? template_matches(o, wanted)
               : bytes_equal(attrs_bytes(&o->attrs, wanted->type), value);
}

static bool matches(struct token *t, const struct object *o, const CK_ATTRIBUTE *template,
                    CK_ULONG n)
{
    for (CK_ULONG i = 0; i < n; i++)
        if (!one_matches(t, o, &template[i]))
            return false;
    return true;
}

static CK_RV found(struct session *s, CK_OBJECT_HANDLE handle)
{
    if (s->found_n % 64 == 0) {
        CK_OBJECT_HANDLE *more = realloc(s->found, (s->found_n + 64) * sizeof(*more));
        if (!more)
            return CKR_HOST_MEMORY;
        s->found = more;
    }
    s->found[s->found_n++] = handle;
    return CKR_OK;
}

/* An object that was tampered with, or that went meanwhile, is not found; the log said why. */
static CK_RV check_row(struct session *s, const struct store_found *row, const struct search *q,
                       const CK_ATTRIBUTE *template, CK_ULONG n)
{
    CK_OBJECT_HANDLE handle = object_handle(s->token, row->id, row->private_);
    if (q->exact)
        return found(s, handle);
    CLEANUP(object_unref) struct object *o = NULL;
    CK_RV rv = object_get(s, handle, &o);
    if (rv == CKR_HOST_MEMORY)
        return rv;
    return rv == CKR_OK && matches(s->token, o, template, n) ? found(s, handle) : CKR_OK;
}

static CK_RV find_stored(struct session *s, const struct search *q, const CK_ATTRIBUTE *template,
                         CK_ULONG n)
{
    struct token *t = s->token;
    struct store_found *rows = NULL;
    size_t n_rows = 0;
    TRY(store_objects_find(t->lib->store, t->row.id, access_read(s, true) == CKR_OK, q->match, q->n,
                           &rows, &n_rows));
    CK_RV rv = CKR_OK;
    for (size_t i = 0; rv == CKR_OK && i < n_rows; i++)
        rv = check_row(s, &rows[i], q, template, n);
    free(rows);
    return rv;
}

static CK_RV find_in_session(struct session *s, const CK_ATTRIBUTE *template, CK_ULONG n)
{
    struct token *t = s->token;
    bool private_too = access_read(s, true) == CKR_OK;
    CK_RV rv = CKR_OK;
    pthread_mutex_lock(&t->objects);
    for (struct object *o = t->session_objects; rv == CKR_OK && o; o = o->next)
        if ((!o->private_ || private_too) && matches(t, o, template, n))
            rv = found(s, o->handle);
    pthread_mutex_unlock(&t->objects);
    return rv;
}

static CK_RV find_builtin(struct session *s, const CK_ATTRIBUTE *template, CK_ULONG n)
{
    CK_ULONG cls = CK_UNAVAILABLE_INFORMATION;
    if (attrs_template_ulong(template, n, CKA_CLASS, &cls) == CKR_OK && !builtin_class(cls))
        return CKR_OK;
    for (size_t i = 0;; i++) {
        CLEANUP(object_unref) struct object *o = NULL;
        CK_RV rv = builtin_get(i, &o);
        if (rv == CKR_OBJECT_HANDLE_INVALID)
            return CKR_OK;
        TRY(rv);
        if (matches(s->token, o, template, n))
            TRY(found(s, o->handle));
    }
}

static void forget(struct session *s)
{
    free(s->found);
    s->found = NULL;
    s->found_n = s->found_at = 0;
    s->finding = false;
}

CK_RV session_find_init(struct session *s, const CK_ATTRIBUTE *template, CK_ULONG n)
{
    CLEANUP(search_free) struct search q = {0};
    if (s->finding)
        return CKR_OPERATION_ACTIVE;
    TOKEN_READ(s->token);
    TRY(plan(s->token, template, n, &q));
    CK_RV rv = q.token ? find_stored(s, &q, template, n) : CKR_OK;
    if (rv == CKR_OK && q.session)
        rv = find_in_session(s, template, n);
    if (rv == CKR_OK && q.token)
        rv = find_builtin(s, template, n);
    if (rv != CKR_OK)
        forget(s);
    else
        s->finding = true;
    return rv;
}

CK_RV session_find(struct session *s, CK_OBJECT_HANDLE *ret, CK_ULONG max, CK_ULONG *ret_n)
{
    if (!s->finding)
        return CKR_OPERATION_NOT_INITIALIZED;
    size_t n = s->found_n - s->found_at;
    if (n > max)
        n = max;
    if (n)
        memcpy(ret, s->found + s->found_at, n * sizeof(*ret));
    s->found_at += n;
    *ret_n = (CK_ULONG)n;
    return CKR_OK;
}

CK_RV session_find_final(struct session *s)
{
    if (!s->finding)
        return CKR_OPERATION_NOT_INITIALIZED;
    forget(s);
    return CKR_OK;
}
