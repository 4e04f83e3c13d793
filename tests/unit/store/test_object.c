/* Objects: rows, searches, and that a search goes through its index at 100,000 objects. */
#include "support.h"

static void an_object_comes_back_as_it_was(void **state)
{
    struct fixture *f = *state;
    int64_t token = add_token(f->s, 1);
    CLEANUP(store_object_free) struct store_object o = object_for(token, 1), back = {0};
    static const char *const text[STORE_COLUMNS] = {"class",   "key type", "id",    "label",
                                                    "subject", "issuer",   "serial"};
    for (size_t i = 0; i < STORE_COLUMNS; i++)
        fill(&o.column[i], text[i]);
    fill(&o.mac, "mac");
    o.private_ = true;
    OK(store_objects_add(f->s, &o, 1));
    OK(store_object_get(f->s, token, o.id, &back));
    assert_int_equal(back.id, o.id);
    assert_int_equal(back.token, token);
    assert_memory_equal(back.uid, o.uid, sizeof(o.uid));
    assert_true(back.private_);
    for (size_t i = 0; i < STORE_COLUMNS; i++)
        assert_buf(&back.column[i], text[i]);
    assert_buf(&back.attrs, "attributes");
    assert_buf(&back.mac, "mac");
    assert_buf(&back.pub, "public area");
    assert_buf(&back.priv, "private area");
    assert_buf(&back.parent_name, "parent name");
    assert_int_equal(back.parent, 0x81000001);
    assert_int_equal(back.auth, STORE_AUTH_DERIVED);
    assert_int_equal(back.generation, 1);
    struct store_object none;
    assert_int_equal(store_object_get(f->s, token + 1, o.id, &none), CKR_OBJECT_HANDLE_INVALID);
    assert_int_equal(store_object_get(f->s, token, o.id + 1, &none), CKR_OBJECT_HANDLE_INVALID);
    OK(store_check(f->s));
}

static void attributes_of_16_mib_fit_and_no_more(void **state)
{
    struct fixture *f = *state;
    int64_t token = add_token(f->s, 1);
    CLEANUP(store_object_free) struct store_object o = object_for(token, 1), back = {0};
    uint8_t *p;
    OK(buf_extend(&o.attrs, (16 << 20) - o.attrs.n, &p));
    OK(store_objects_add(f->s, &o, 1));
    OK(store_object_get(f->s, token, o.id, &back));
    assert_true(bytes_equal(buf_bytes(&o.attrs), buf_bytes(&back.attrs)));
    OK(buf_u8(&o.attrs, 0));
    assert_int_equal(store_object_update(f->s, &o), CKR_DEVICE_MEMORY);
}

static void a_pair_is_added_whole_or_not_at_all(void **state)
{
    struct fixture *f = *state;
    int64_t token = add_token(f->s, 1);
    struct store_object pair[2] = {object_for(token, 1), object_for(token, 1)};
    assert_int_equal(store_objects_add(f->s, pair, 2), CKR_DEVICE_ERROR); /* one uid twice */
    size_t n;
    OK(store_objects_count(f->s, token, &n));
    assert_int_equal(n, 0);
    pair[1].uid[15] = 1;
    pair[1].generation = 2;
    assert_int_equal(store_objects_add(f->s, pair, 2), CKR_DEVICE_REMOVED);
    OK(store_objects_count(f->s, token, &n));
    assert_int_equal(n, 0);
    pair[1].generation = 1;
    OK(store_objects_add(f->s, pair, 2));
    assert_int_not_equal(pair[0].id, pair[1].id);
    OK(store_objects_count(f->s, token, &n));
    assert_int_equal(n, 2);
    store_object_free(&pair[0]);
    store_object_free(&pair[1]);
}

static void an_object_of_no_token(void **state)
{
    struct fixture *f = *state;
    int64_t token = add_token(f->s, 1);
    assert_int_equal(add_object(f->s, token + 1, 1, NULL), CKR_DEVICE_REMOVED);
    CLEANUP(store_object_free) struct store_object o = object_for(token + 1, 1);
    o.generation = 0;
    assert_int_equal(store_objects_add(f->s, &o, 1), CKR_DEVICE_REMOVED);
}

static void an_update_keeps_the_key(void **state)
{
    struct fixture *f = *state;
    int64_t token = add_token(f->s, 1);
    CLEANUP(store_object_free) struct store_object o = object_for(token, 1), back = {0};
    OK(store_objects_add(f->s, &o, 1));
    fill(&o.column[STORE_LABEL], "renamed");
    buf_free(&o.column[STORE_ID]);
    fill(&o.attrs, "other attributes");
    fill(&o.mac, "other mac");
    fill(&o.pub, "must not be written");
    o.private_ = true;
    OK(store_object_update(f->s, &o));
    OK(store_object_get(f->s, token, o.id, &back));
    assert_buf(&back.column[STORE_LABEL], "renamed");
    assert_buf(&back.column[STORE_ID], "");
    assert_buf(&back.attrs, "other attributes");
    assert_buf(&back.mac, "other mac");
    assert_buf(&back.pub, "public area");
    assert_true(back.private_);
    o.id++;
    assert_int_equal(store_object_update(f->s, &o), CKR_OBJECT_HANDLE_INVALID);
    o.id--;
    o.token++;
    assert_int_equal(store_object_update(f->s, &o), CKR_OBJECT_HANDLE_INVALID);
}

static void a_deleted_id_is_never_used_again(void **state)
{
    struct fixture *f = *state;
    int64_t token = add_token(f->s, 1), first, second;
    OK(add_object(f->s, token, 1, &first));
    assert_int_equal(store_object_delete(f->s, token + 1, first), CKR_OBJECT_HANDLE_INVALID);
    OK(store_object_delete(f->s, token, first));
    assert_int_equal(store_object_delete(f->s, token, first), CKR_OBJECT_HANDLE_INVALID);
    OK(add_object(f->s, token, 1, &second));
    assert_true(second > first);
}

/* ---- searches ------------------------------------------------------------------------------- */

static size_t find(struct store *s, int64_t token, bool with_private, const struct store_match *m,
                   size_t n_matches, int64_t *first)
{
    struct store_found *ids;
    size_t n;
    OK(store_objects_find(s, token, with_private, m, n_matches, &ids, &n));
    for (size_t i = 1; i < n; i++)
        assert_true(ids[i - 1].id < ids[i].id);
    if (first && n)
        *first = ids[0].id;
    free(ids);
    return n;
}

#define MATCH(column, text)                                                                        \
    {                                                                                              \
        column, {BYTES_STR(text)}, 1                                                               \
    }

static void searches_meet_every_match(void **state)
{
    struct fixture *f = *state;
    int64_t token = add_token(f->s, 1), other = add_token(f->s, 2), id[6], found;
    for (unsigned i = 0; i < 6; i++) {
        CLEANUP(store_object_free) struct store_object o = object_for(i < 5 ? token : other, i);
        o.private_ = i == 4;
        OK(store_objects_add(f->s, &o, 1));
        id[i] = o.id;
    }
    assert_int_equal(find(f->s, token, true, NULL, 0, NULL), 5);
    assert_int_equal(find(f->s, token, false, NULL, 0, NULL), 4);
    assert_int_equal(find(f->s, other, true, NULL, 0, NULL), 1);
    assert_int_equal(find(f->s, 99, true, NULL, 0, NULL), 0);

    const struct store_match public_keys[] = {MATCH(STORE_CLASS, "public key")};
    assert_int_equal(find(f->s, token, true, public_keys, 1, NULL), 3);
    assert_int_equal(find(f->s, token, false, public_keys, 1, NULL), 2);

    const struct store_match one[] = {MATCH(STORE_CLASS, "public key"), MATCH(STORE_ID, "2")};
    assert_int_equal(find(f->s, token, true, one, 2, &found), 1);
    assert_int_equal(found, id[2]);
    const struct store_match none[] = {MATCH(STORE_CLASS, "private key"), MATCH(STORE_ID, "2")};
    assert_int_equal(find(f->s, token, true, none, 2, NULL), 0);

    /* a public object's value, or a private one's hash; not the one's for the other's */
    const struct store_match neither[] = {{STORE_LABEL, {BYTES_STR("4"), BYTES_STR("1")}, 2}};
    assert_int_equal(find(f->s, token, true, neither, 1, NULL), 0);
    const struct store_match either[] = {{STORE_LABEL, {BYTES_STR("1"), BYTES_STR("4")}, 2},
                                         {STORE_ISSUER, {{0}}, 0}};
    assert_int_equal(find(f->s, token, true, either, 2, &found), 2);
    assert_int_equal(found, id[1]);
    assert_int_equal(find(f->s, token, false, either, 2, NULL), 1);

    const struct store_match twice[] = {MATCH(STORE_ID, "1"), MATCH(STORE_ID, "2")};
    assert_int_equal(find(f->s, token, true, twice, 2, NULL), 0);
    const struct store_match absent[] = {MATCH(STORE_SUBJECT, ""), MATCH(STORE_ID, "1")};
    assert_int_equal(find(f->s, token, true, absent, 1, NULL), 0); /* NULL is found by nothing */
    assert_int_equal(find(f->s, token, true, absent, 2, NULL), 0);
}

static void every_combination_of_columns_can_be_searched(void **state)
{
    struct fixture *f = *state;
    int64_t token = add_token(f->s, 1);
    CLEANUP(store_object_free) struct store_object o = object_for(token, 1);
    for (size_t i = 0; i < STORE_COLUMNS; i++)
        fill(&o.column[i], "x");
    OK(store_objects_add(f->s, &o, 1));
    for (unsigned mask = 0; mask < 1u << STORE_COLUMNS; mask++)
        for (size_t n_any = 1; n_any <= 2; n_any++) {
            struct store_match m[STORE_COLUMNS];
            size_t n = 0;
            for (unsigned i = 0; i < STORE_COLUMNS; i++)
                if (mask & 1u << i)
                    m[n++] = (struct store_match){
                        (enum store_column)i, {BYTES_STR("x"), BYTES_STR("y")}, n_any};
            assert_int_equal(find(f->s, token, true, m, n, NULL), 1);
            if (n) {
                m[n - 1].any[0] = BYTES_STR("z");
                assert_int_equal(find(f->s, token, true, m, n, NULL), 0);
            }
        }
}

/* ---- scale ---------------------------------------------------------------------------------- */

/* The text of the statements that connections opened from now on run. */
static char last_sql[512];

static int remember_sql(unsigned event, void *context, void *statement, void *text)
{
    (void)event, (void)context, (void)text;
    const char *run = sqlite3_sql(statement);
    if (strncmp(run, "SELECT", 6) == 0)
        snprintf(last_sql, sizeof(last_sql), "%s", run);
    return 0;
}

static int trace_new_connection(sqlite3 *db, const char **message, const void *api)
{
    (void)message, (void)api;
    return sqlite3_trace_v2(db, SQLITE_TRACE_STMT, remember_sql, NULL);
}

/* SQLite's description of how it runs sql, in one line. */
static void plan_of(const char *path, const char *statement, char *ret, size_t n)
{
    sqlite3 *db;
    sqlite3_stmt *q;
    char explain[600];
    snprintf(explain, sizeof(explain), "EXPLAIN QUERY PLAN %s", statement);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, explain, -1, &q, NULL), SQLITE_OK);
    ret[0] = '\0';
    while (sqlite3_step(q) == SQLITE_ROW) {
        strncat(ret, (const char *)sqlite3_column_text(q, 3), n - strlen(ret) - 1);
        strncat(ret, "; ", n - strlen(ret) - 1);
    }
    sqlite3_finalize(q);
    sqlite3_close(db);
}

static void add_many(struct store *s, int64_t token, unsigned n)
{
    struct store_object *all = calloc(n, sizeof(*all));
    for (unsigned i = 0; i < n; i++)
        all[i] = object_for(token, i);
    OK(store_objects_add(s, all, n));
    for (unsigned i = 0; i < n; i++)
        store_object_free(&all[i]);
    free(all);
}

static void a_hundred_thousand_objects_are_found_by_index(void **state)
{
    const struct {
        struct store_match m[2];
        size_t n, found;
        const char *index;
    } rows[] = {
        {{MATCH(STORE_ID, "77777")}, 1, 1, "object_cka_id (token=? AND cka_id=?"},
        {{MATCH(STORE_LABEL, "77777")}, 1, 1, "object_cka_label (token=? AND cka_label=?"},
        {{MATCH(STORE_CLASS, "private key"), MATCH(STORE_ID, "77777")},
         2,
         1,
         "object_cka_id (token=? AND cka_id=?"},
        {{{STORE_LABEL, {BYTES_STR("6"), BYTES_STR("5")}, 2}, MATCH(STORE_CLASS, "public key")},
         2,
         1,
         "object_cka_label (token=? AND cka_label=?"},
        {{MATCH(STORE_CLASS, "private key")},
         1,
         50000,
         "COVERING INDEX object_cka_class (token=? AND cka_class=?"},
        {{MATCH(STORE_SERIAL, "1")}, 1, 0, "object_cka_serial (token=? AND cka_serial=?"},
        {{{0}}, 0, 100000, "COVERING INDEX object_token (token=?"},
    };
    struct fixture *f = *state;
    int64_t token = add_token(f->s, 1);
    add_many(f->s, token, 100000);
    store_close(&f->s);
    assert_int_equal(sqlite3_auto_extension((void (*)(void))trace_new_connection), SQLITE_OK);
    OK(store_open(f->dir, &f->s));
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        char plan[512];
        assert_int_equal(find(f->s, token, true, rows[i].m, rows[i].n, NULL), rows[i].found);
        plan_of(f->path, last_sql, plan, sizeof(plan));
        if (strncmp(plan, "SEARCH ", 7) != 0 || !strstr(plan, rows[i].index))
            fail_msg("%s\nis run as: %s", last_sql, plan);
    }
    size_t n;
    OK(store_objects_count(f->s, token, &n));
    assert_int_equal(n, 100000);
    sqlite3_cancel_auto_extension((void (*)(void))trace_new_connection);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_object_comes_back_as_it_was),
        TEST(attributes_of_16_mib_fit_and_no_more),
        TEST(a_pair_is_added_whole_or_not_at_all),
        TEST(an_object_of_no_token),
        TEST(an_update_keeps_the_key),
        TEST(a_deleted_id_is_never_used_again),
        TEST(searches_meet_every_match),
        TEST(every_combination_of_columns_can_be_searched),
        TEST(a_hundred_thousand_objects_are_found_by_index),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
