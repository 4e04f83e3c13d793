/* Files that this module did not write, or not like that: refused, logged, never a crash. */
#include "support.h"

/* A store with one token and two objects, closed. */
static void make_store(struct fixture *f)
{
    int64_t token = add_token(f->s, 1);
    OK(add_object(f->s, token, 1, NULL));
    OK(add_object(f->s, token, 2, NULL));
    int64_t intent;
    OK(store_intent_begin(f->s, (uint32_t[]){0x01800100, 0x01800101}, 2, &intent));
    OK(store_note_set(f->s, "n", BYTES_STR("1")));
    store_close(&f->s);
    OK(store_open(f->dir, &f->s));
}

static void write_file(const char *path, const void *p, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(write(fd, p, n), n);
    close(fd);
}

static void everything_answers(struct store *s, CK_RV rv)
{
    size_t n;
    CK_SLOT_ID slot;
    struct store_token t = {0};
    uint64_t generation;
    assert_int_equal(store_slots(s, NULL, &n), rv);
    assert_int_equal(store_next_slot(s, &slot), rv);
    assert_int_equal(store_token_get(s, 1, &t), rv);
    assert_int_equal(store_generation(s, &generation), rv);
    assert_int_equal(store_note_set(s, "n", BYTES_STR("2")), rv);
    assert_int_equal(store_object_delete(s, 1, 1), rv);
    assert_int_equal(store_check(s), rv);
}

static void a_newer_store_is_refused(void **state)
{
    struct fixture *f = *state;
    make_store(f);
    sql(f->path, "PRAGMA user_version = 3");
    everything_answers(f->s, CKR_TOKEN_NOT_RECOGNIZED);
    sql(f->path, "PRAGMA user_version = 2");
    OK(store_check(f->s));
}

static void a_store_that_is_migrated_while_in_use_is_refused(void **state)
{
    struct fixture *f = *state;
    make_store(f);
    OK(store_check(f->s));
    sql(f->path, "PRAGMA user_version = 3");
    everything_answers(f->s, CKR_TOKEN_NOT_RECOGNIZED);
}

static void another_programs_database_is_left_alone(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(mkdir(f->dir, 0700), 0);
    sql(f->path, "CREATE TABLE bookmark (url TEXT)");
    everything_answers(f->s, CKR_DEVICE_ERROR);
    sql(f->path, "PRAGMA application_id = 5; PRAGMA user_version = 1");
    everything_answers(f->s, CKR_DEVICE_ERROR);
    sql(f->path, "SELECT url FROM bookmark");
}

static void an_empty_file_is_an_empty_store(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(mkdir(f->dir, 0700), 0);
    write_file(f->path, "", 0);
    size_t n = 7;
    OK(store_slots(f->s, NULL, &n));
    assert_int_equal(n, 0);
    uint64_t generation = 7;
    OK(store_generation(f->s, &generation));
    assert_int_equal(generation, 0);
    assert_int_equal(store_object_delete(f->s, 1, 1), CKR_OBJECT_HANDLE_INVALID);
    assert_int_equal(add_token(f->s, 1), 1);
    OK(store_check(f->s));
}

static void garbage_is_no_store(void **state)
{
    struct fixture *f = *state;
    uint8_t garbage[8192];
    for (size_t i = 0; i < sizeof(garbage); i++)
        garbage[i] = (uint8_t)(i * 7 + 3);
    assert_int_equal(mkdir(f->dir, 0700), 0);
    write_file(f->path, garbage, sizeof(garbage));
    everything_answers(f->s, CKR_DEVICE_ERROR);
    write_file(f->path, garbage, 10);
    everything_answers(f->s, CKR_DEVICE_ERROR);
    assert_int_equal(unlink(f->path), 0);
    assert_int_equal(mkdir(f->path, 0700), 0);
    everything_answers(f->s, CKR_DEVICE_ERROR);
}

/* Whatever is damaged: no crash, and store_check either finds nothing or says so. */
static void try_everything(struct fixture *f)
{
    struct store *s;
    OK(store_open(f->dir, &s));
    CLEANUP(store_token_free) struct store_token t = {0};
    CLEANUP(store_object_free) struct store_object o = {0};
    CLEANUP(buf_free) struct buf note = {0};
    struct store_nv *nv = NULL;
    struct store_found *ids = NULL;
    CK_SLOT_ID slots[4];
    size_t n = 4;
    store_slots(s, slots, &n);
    store_token_get(s, 1, &t);
    store_object_get(s, 1, 1, &o);
    store_note_get(s, "n", &note);
    if (store_objects_find(s, 1, true, NULL, 0, &ids, &n) == CKR_OK)
        free(ids);
    if (store_nv_pending(s, 0, &nv, &n) == CKR_OK)
        store_nv_free(&nv, n);
    CK_RV rv = store_check(s);
    assert_true(rv == CKR_OK || rv == CKR_DEVICE_ERROR || rv == CKR_TOKEN_NOT_RECOGNIZED);
    add_object(s, 1, 3, NULL);
    store_token_delete(s, 1);
    store_close(&s);
}

static uint8_t *read_file(const char *path, size_t *ret_n)
{
    int fd = open(path, O_RDONLY);
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    uint8_t *p = malloc((size_t)st.st_size);
    assert_int_equal(read(fd, p, (size_t)st.st_size), st.st_size);
    close(fd);
    *ret_n = (size_t)st.st_size;
    return p;
}

static void silence(void)
{
    int null = open("/dev/null", O_WRONLY);
    dup2(null, STDERR_FILENO);
    close(null);
}

static void a_truncated_store(void **state)
{
    struct fixture *f = *state;
    make_store(f);
    size_t n;
    uint8_t *whole = read_file(f->path, &n);
    for (size_t cut = 4096; cut < n; cut += 4096) {
        write_file(f->path, whole, cut);
        struct store *s;
        OK(store_open(f->dir, &s));
        assert_int_equal(store_check(s), CKR_DEVICE_ERROR);
        store_close(&s);
        try_everything(f);
    }
    free(whole);
}

static void flipped_bytes_crash_nothing(void **state)
{
    struct fixture *f = *state;
    make_store(f);
    size_t n;
    uint8_t *whole = read_file(f->path, &n);
    int kept = dup(STDERR_FILENO);
    silence();
    srandom(1);
    for (int round = 0; round < 300; round++) {
        size_t at[4];
        uint8_t was[4];
        for (int i = 0; i < 4; i++) {
            at[i] = (size_t)random() % n;
            was[i] = whole[at[i]];
            whole[at[i]] = (uint8_t)random();
        }
        write_file(f->path, whole, n);
        try_everything(f);
        for (int i = 3; i >= 0; i--)
            whole[at[i]] = was[i];
    }
    dup2(kept, STDERR_FILENO);
    close(kept);
    free(whole);
}

/* Rows that only somebody with another program can have written. Tables are made anew without
 * STRICT and CHECK, as such a program could. */
#define LOOSEN(table)                                                                              \
    "CREATE TABLE loose AS SELECT * FROM " table ";"                                               \
    "PRAGMA foreign_keys = OFF; DROP TABLE " table ";"                                             \
    "ALTER TABLE loose RENAME TO " table ";"

enum reader { TOKEN, OBJECT, NV, NOTE, SLOTS, SEQUENCE };

static CK_RV read_with(enum reader reader, struct store *s)
{
    CLEANUP(store_token_free) struct store_token t = {0};
    CLEANUP(store_object_free) struct store_object o = {0};
    CLEANUP(buf_free) struct buf note = {0};
    struct store_nv *nv;
    CK_SLOT_ID slot;
    size_t n;
    CK_RV rv;
    switch (reader) {
    case TOKEN:
        return store_token_get(s, 1, &t);
    case OBJECT:
        return store_object_get(s, 1, 1, &o);
    case NV:
        rv = store_nv_pending(s, 0, &nv, &n);
        if (rv == CKR_OK)
            store_nv_free(&nv, n);
        return rv;
    case NOTE:
        return store_note_get(s, "n", &note);
    case SLOTS:
        return store_slots(s, NULL, &n);
    case SEQUENCE:
        return store_next_slot(s, &slot);
    }
    return CKR_GENERAL_ERROR;
}

static const struct hostile {
    const char *sql;
    enum reader reader;
} hostile[] = {
    {LOOSEN("token") "UPDATE token SET uid = NULL", TOKEN},
    {LOOSEN("token") "UPDATE token SET uid = x'00'", TOKEN},
    {LOOSEN("token") "UPDATE token SET uid = 'sixteen letters.'", TOKEN},
    {LOOSEN("token") "UPDATE token SET serial = zeroblob(17)", TOKEN},
    {LOOSEN("token") "UPDATE token SET serial = 5", TOKEN},
    {LOOSEN("token") "UPDATE token SET label = zeroblob(33)", TOKEN},
    {LOOSEN("token") "UPDATE token SET label = 'text'", TOKEN},
    {LOOSEN("token") "UPDATE token SET generation = -1", TOKEN},
    {LOOSEN("token") "UPDATE token SET generation = 1.5", TOKEN},
    {LOOSEN("token") "UPDATE token SET user_pin_set = 2", TOKEN},
    {LOOSEN("token") "UPDATE token SET pin_rounds = 4294967296", TOKEN},
    {LOOSEN("token") "UPDATE token SET pin_rounds = NULL", TOKEN},
    {LOOSEN("token") "UPDATE token SET parent = x'81000001'", TOKEN},
    {LOOSEN("token") "UPDATE token SET so_nv = 9223372036854775807", TOKEN},
    {LOOSEN("token") "UPDATE token SET user_priv = zeroblob(65538)", TOKEN},
    {LOOSEN("token") "UPDATE token SET check_value = 3.0", TOKEN},
    {LOOSEN("token") "INSERT INTO token (id) VALUES (-5)", SLOTS},
    {LOOSEN("token") "INSERT INTO token (id) VALUES ('x')", SLOTS},
    {"DELETE FROM token; DROP TABLE token; CREATE VIEW token AS SELECT 1 AS id", SLOTS},
    {LOOSEN("object") "UPDATE object SET uid = zeroblob(15)", OBJECT},
    {LOOSEN("object") "UPDATE object SET private = 2", OBJECT},
    {LOOSEN("object") "UPDATE object SET auth = 5", OBJECT},
    {LOOSEN("object") "UPDATE object SET auth = -1", OBJECT},
    {LOOSEN("object") "UPDATE object SET parent = 'x'", OBJECT},
    {LOOSEN("object") "UPDATE object SET cka_id = 'text'", OBJECT},
    {LOOSEN("object") "UPDATE object SET cka_label = zeroblob(65538)", OBJECT},
    {LOOSEN("object") "UPDATE object SET attrs = zeroblob(16777217)", OBJECT},
    {LOOSEN("object") "UPDATE object SET attrs = zeroblob(34000000)", OBJECT},
    {LOOSEN("object") "UPDATE object SET priv = 1", OBJECT},
    {"DROP TABLE object", OBJECT},
    {LOOSEN("nv") "UPDATE nv SET handle = NULL", NV},
    {LOOSEN("nv") "UPDATE nv SET handle = 4294967296", NV},
    {LOOSEN("nv") "UPDATE nv SET name = 'text'", NV},
    {LOOSEN("nv") "UPDATE nv SET id = 0", NV},
    {LOOSEN("note") "UPDATE note SET value = zeroblob(65537)", NOTE},
    {LOOSEN("note") "UPDATE note SET value = 5", NOTE},
    {"UPDATE sqlite_sequence SET seq = 9223372036854775807", SEQUENCE},
    {"UPDATE sqlite_sequence SET seq = 'x'", SEQUENCE},
    {"UPDATE sqlite_sequence SET seq = NULL", SEQUENCE},
};

static void hostile_rows_are_refused(void **state)
{
    struct fixture *f = *state;
    make_store(f);
    size_t n;
    uint8_t *whole = read_file(f->path, &n);
    for (size_t i = 0; i < sizeof(hostile) / sizeof(*hostile); i++) {
        struct store *s;
        write_file(f->path, whole, n);
        OK(store_open(f->dir, &s));
        OK(read_with(hostile[i].reader, s));
        sql(f->path, hostile[i].sql);
        CK_RV rv = read_with(hostile[i].reader, s);
        if (rv != CKR_DEVICE_ERROR)
            fail_msg("%s: answers 0x%lx", hostile[i].sql, rv);
        if (hostile[i].reader != NOTE && hostile[i].reader != SEQUENCE)
            assert_int_equal(store_check(s), CKR_DEVICE_ERROR);
        store_close(&s);
        try_everything(f);
    }
    free(whole);
}

/* sqlite.org/security.html: a file's triggers would run with our statements. */
static void triggers_in_the_file_do_not_run(void **state)
{
    struct fixture *f = *state;
    make_store(f);
    sql(f->path, "CREATE TRIGGER t AFTER INSERT ON object BEGIN DELETE FROM token; END;"
                 "CREATE TRIGGER u AFTER UPDATE ON token BEGIN DELETE FROM object; END");
    OK(add_object(f->s, 1, 3, NULL));
    OK(store_token_set_user_pin(f->s, 1, true));
    size_t n;
    OK(store_slots(f->s, NULL, &n));
    assert_int_equal(n, 1);
    OK(store_objects_count(f->s, 1, &n));
    assert_int_equal(n, 3);
}

static void an_object_without_its_token_is_found_by_the_check(void **state)
{
    struct fixture *f = *state;
    make_store(f);
    OK(store_check(f->s));
    sql(f->path, "PRAGMA foreign_keys = OFF; DELETE FROM token");
    assert_int_equal(store_check(f->s), CKR_DEVICE_ERROR);
}

/* A write that was cut off leaves a hot journal, which somebody must roll back. */
static int child_meets_hot_journal(struct fixture *f)
{
    drop_root();
    struct store *s;
    size_t n;
    CHECK(store_open(f->dir, &s) == CKR_OK);
    CHECK(store_slots(s, NULL, &n) == CKR_DEVICE_ERROR);
    CHECK(store_slots(s, NULL, &n) == CKR_DEVICE_ERROR);
    store_close(&s);
    return 0;
}

static int child_dies_in_a_write(struct fixture *f)
{
    sqlite3 *db;
    CHECK(sqlite3_open(f->path, &db) == SQLITE_OK);
    /* no room in the cache: the pages go to the file before the commit */
    CHECK(sqlite3_exec(db,
                       "PRAGMA cache_size = 1; PRAGMA cache_spill = 1; BEGIN;"
                       "UPDATE object SET attrs = zeroblob(300000), cka_label = zeroblob(50000);"
                       "DELETE FROM token",
                       NULL, NULL, NULL) == SQLITE_OK);
    _exit(0);
}

static void a_hot_journal_is_rolled_back_by_a_writer_and_reported_by_a_reader(void **state)
{
    struct fixture *f = *state;
    char journal[160];
    make_store(f);
    assert_int_equal(finish(start(child_dies_in_a_write, f)), 0);
    snprintf(journal, sizeof(journal), "%s-journal", f->path);
    assert_true(there(journal));
    assert_int_equal(chmod(f->dir, 0755), 0);
    assert_int_equal(chmod(f->path, 0644), 0);
    assert_int_equal(chmod(journal, 0644), 0);
    if (geteuid() == 0)
        assert_int_equal(finish(start(child_meets_hot_journal, f)), 0);
    OK(store_check(f->s));
    size_t n;
    OK(store_slots(f->s, NULL, &n));
    assert_int_equal(n, 1);
    CLEANUP(store_object_free) struct store_object o = {0};
    OK(store_object_get(f->s, 1, 1, &o));
    assert_buf(&o.attrs, "attributes");
    assert_false(there(journal));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_newer_store_is_refused),
        TEST(a_store_that_is_migrated_while_in_use_is_refused),
        TEST(another_programs_database_is_left_alone),
        TEST(an_empty_file_is_an_empty_store),
        TEST(garbage_is_no_store),
        TEST(a_truncated_store),
        TEST(flipped_bytes_crash_nothing),
        TEST(hostile_rows_are_refused),
        TEST(triggers_in_the_file_do_not_run),
        TEST(an_object_without_its_token_is_found_by_the_check),
        TEST(a_hot_journal_is_rolled_back_by_a_writer_and_reported_by_a_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
