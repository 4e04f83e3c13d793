/* The store as a whole: when it comes into being, what it says of itself, notes, forks. */
#include "support.h"

static void missing_store_reads_as_empty(void **state)
{
    struct fixture *f = *state;
    size_t n = 7;
    OK(store_slots(f->s, NULL, &n));
    assert_int_equal(n, 0);
    CK_SLOT_ID slot;
    OK(store_next_slot(f->s, &slot));
    assert_int_equal(slot, 1);
    struct store_token t;
    assert_int_equal(store_token_get(f->s, 1, &t), CKR_SLOT_ID_INVALID);
    struct store_object o;
    assert_int_equal(store_object_get(f->s, 1, 1, &o), CKR_OBJECT_HANDLE_INVALID);
    struct store_found *ids;
    OK(store_objects_find(f->s, 1, true, NULL, 0, &ids, &n));
    assert_int_equal(n, 0);
    free(ids);
    OK(store_objects_count(f->s, 1, &n));
    assert_int_equal(n, 0);
    struct store_nv *nv;
    OK(store_nv_pending(f->s, 0, &nv, &n));
    assert_int_equal(n, 0);
    store_nv_free(&nv, n);
    bool known = true;
    OK(store_nv_known(f->s, 0x01800000, &known));
    assert_false(known);
    CLEANUP(buf_free) struct buf note = {0};
    OK(store_note_get(f->s, "note", &note));
    assert_int_equal(note.n, 0);
    uint64_t generation = 7;
    OK(store_generation(f->s, &generation));
    assert_int_equal(generation, 0);
    OK(store_check(f->s));
    assert_true(store_writable(f->s));
    assert_false(there(f->dir));
}

static void changes_of_what_is_not_there_make_no_store(void **state)
{
    struct fixture *f = *state;
    CLEANUP(store_object_free) struct store_object o = object_for(1, 1);
    struct store_nv nv = {.row = 1, .handle = 0x01800000};
    struct store_seat seat = {0};
    assert_int_equal(store_objects_add(f->s, &o, 1), CKR_DEVICE_REMOVED);
    assert_int_equal(store_object_update(f->s, &o), CKR_OBJECT_HANDLE_INVALID);
    assert_int_equal(store_object_delete(f->s, 1, 1), CKR_OBJECT_HANDLE_INVALID);
    assert_int_equal(store_token_set_user_pin(f->s, 1, true), CKR_DEVICE_REMOVED);
    assert_int_equal(store_token_set_seat(f->s, 1, true, &seat), CKR_DEVICE_REMOVED);
    assert_int_equal(store_token_delete(f->s, 1), CKR_DEVICE_REMOVED);
    OK(store_intent_drop(f->s, 1));
    OK(store_nv_done(f->s, &nv));
    assert_false(there(f->dir));
}

static void notes_are_kept_and_replaced(void **state)
{
    struct fixture *f = *state;
    CLEANUP(buf_free) struct buf note = {0};
    OK(store_note_set(f->s, "tpm", BYTES_STR("one")));
    OK(store_note_set(f->s, "other", BYTES_STR("two")));
    OK(store_note_get(f->s, "tpm", &note));
    assert_buf(&note, "one");
    OK(store_note_set(f->s, "tpm", BYTES_STR("three")));
    OK(store_note_get(f->s, "tpm", &note));
    assert_buf(&note, "three");
    OK(store_note_set(f->s, "tpm", NO_BYTES));
    OK(store_note_get(f->s, "tpm", &note));
    assert_int_equal(note.n, 0);
    OK(store_note_get(f->s, "absent", &note));
    assert_int_equal(note.n, 0);
    CLEANUP(buf_free) struct buf big = {0};
    uint8_t *p;
    OK(buf_extend(&big, 65537, &p));
    assert_int_equal(store_note_set(f->s, "tpm", buf_bytes(&big)), CKR_DEVICE_MEMORY);
}

static void generation_sees_own_and_foreign_changes(void **state)
{
    struct fixture *f = *state;
    struct store *other;
    uint64_t g[6];
    OK(store_open(f->dir, &other));
    OK(store_note_set(f->s, "n", BYTES_STR("1")));
    OK(store_generation(f->s, &g[0]));
    OK(store_generation(f->s, &g[1]));
    assert_true(g[0] > 0 && g[0] == g[1]);
    OK(store_note_set(f->s, "n", BYTES_STR("2")));
    OK(store_generation(f->s, &g[2]));
    assert_true(g[2] > g[1]);
    OK(store_note_set(other, "n", BYTES_STR("3")));
    OK(store_generation(f->s, &g[3]));
    assert_true(g[3] > g[2]);
    CLEANUP(buf_free) struct buf note = {0};
    OK(store_note_get(f->s, "n", &note));
    OK(store_generation(f->s, &g[4]));
    assert_true(g[4] == g[3]);
    sql(f->path, "DELETE FROM note");
    OK(store_note_get(f->s, "n", &note)); /* a read in between must not swallow the change */
    assert_int_equal(note.n, 0);
    OK(store_generation(f->s, &g[5]));
    assert_true(g[5] > g[4]);
    store_close(&other);
}

/* Each change of another connection shows at once, however many there are in a moment; where there
 * is none, not even the file's lock is waited for. */
static void generation_misses_no_change(void **state)
{
    struct fixture *f = *state;
    struct store *other;
    sqlite3 *holder;
    uint64_t before, now;
    OK(store_open(f->dir, &other));
    OK(store_note_set(f->s, "n", BYTES_STR("1")));
    OK(store_generation(f->s, &before));
    for (int i = 0; i < 200; i++, before = now) {
        OK(store_note_set(other, "n", BYTES_STR(i % 2 ? "2" : "3")));
        OK(store_generation(f->s, &now));
        assert_true(now > before);
    }
    assert_int_equal(sqlite3_open(f->path, &holder), SQLITE_OK);
    assert_int_equal(sqlite3_exec(holder, "BEGIN EXCLUSIVE; DELETE FROM note", NULL, NULL, NULL),
                     SQLITE_OK);
    OK(store_generation(f->s, &now)); /* nothing is committed yet */
    assert_true(now == before);
    assert_int_equal(sqlite3_exec(holder, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(holder);
    OK(store_generation(f->s, &now));
    assert_true(now > before);
    store_close(&other);
}

static void a_deleted_or_replaced_file_is_noticed(void **state)
{
    struct fixture *f = *state;
    CLEANUP(buf_free) struct buf note = {0};
    uint64_t before, after;
    OK(store_note_set(f->s, "n", BYTES_STR("old")));
    OK(store_generation(f->s, &before));
    assert_int_equal(unlink(f->path), 0);
    OK(store_note_get(f->s, "n", &note));
    assert_int_equal(note.n, 0);
    OK(store_generation(f->s, &after));
    assert_int_equal(after, 0);

    struct store *other;
    OK(store_open(f->dir, &other));
    OK(store_note_set(other, "n", BYTES_STR("new")));
    OK(store_note_get(f->s, "n", &note));
    assert_buf(&note, "new");
    OK(store_generation(f->s, &after));
    assert_true(after > before);
    store_close(&other);

    char kept[160];
    snprintf(kept, sizeof(kept), "%s.kept", f->path);
    assert_int_equal(rename(f->path, kept), 0);
    OK(store_note_set(f->s, "n", BYTES_STR("newest")));
    assert_int_equal(rename(kept, f->path), 0);
    OK(store_note_get(f->s, "n", &note));
    assert_buf(&note, "new");
}

static void a_relative_directory_stays_where_it_was(void **state)
{
    struct fixture *f = *state;
    char here[4096];
    assert_non_null(getcwd(here, sizeof(here)));
    assert_int_equal(chdir(f->top), 0);
    struct store *s;
    OK(store_open("store", &s));
    assert_int_equal(chdir("/"), 0);
    OK(store_note_set(s, "n", BYTES_STR("1")));
    assert_true(there(f->path));
    assert_string_equal(store_dir(s), f->dir);
    store_close(&s);
    assert_int_equal(chdir(here), 0);
}

static void the_format_says_who_it_is(void **state)
{
    struct fixture *f = *state;
    OK(store_note_set(f->s, "n", BYTES_STR("1")));
    uint8_t header[100];
    int fd = open(f->path, O_RDONLY);
    assert_int_equal(read(fd, header, sizeof(header)), sizeof(header));
    close(fd);
    assert_memory_equal(header + 68, "LKEY", 4);     /* application_id */
    assert_memory_equal(header + 60, "\0\0\0\2", 4); /* user_version */
    assert_memory_equal(header + 18, "\1\1", 2);     /* not WAL */
}

/* What pthread_atfork's handlers do with the store. */
static int child_abandons(struct fixture *f)
{
    const struct store *parents = f->s;
    store_abandon(&f->s);
    CHECK(f->s == NULL && parents != NULL);
    struct store *s;
    CHECK(store_open(f->dir, &s) == CKR_OK);
    CLEANUP(buf_free) struct buf note = {0};
    CHECK(store_note_get(s, "n", &note) == CKR_OK && note.n == 6);
    CHECK(store_note_set(s, "child", BYTES_STR("1")) == CKR_OK);
    store_close(&s);
    return 0;
}

static void a_forked_child_starts_anew(void **state)
{
    struct fixture *f = *state;
    OK(store_note_set(f->s, "n", BYTES_STR("parent")));
    store_before_fork(f->s);
    pid_t pid = start(child_abandons, f);
    store_after_fork_parent(f->s);
    OK(store_note_set(f->s, "m", BYTES_STR("while the child lives")));
    assert_int_equal(finish(pid), 0);
    CLEANUP(buf_free) struct buf note = {0};
    OK(store_note_get(f->s, "child", &note));
    assert_buf(&note, "1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(missing_store_reads_as_empty),
        TEST(changes_of_what_is_not_there_make_no_store),
        TEST(notes_are_kept_and_replaced),
        TEST(generation_sees_own_and_foreign_changes),
        TEST(generation_misses_no_change),
        TEST(a_deleted_or_replaced_file_is_noticed),
        TEST(a_relative_directory_stays_where_it_was),
        TEST(the_format_says_who_it_is),
        TEST(a_forked_child_starts_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
