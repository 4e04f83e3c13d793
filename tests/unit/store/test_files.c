/* Modes of what is created, and stores that may only be read. */
#include <dirent.h>
#include "support.h"

static size_t entries(const char *dir)
{
    DIR *d = opendir(dir);
    assert_non_null(d);
    size_t n = 0;
    for (struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static int child_creates_under_umask_0777(struct fixture *f)
{
    umask(0777);
    CHECK(store_note_set(f->s, "n", BYTES_STR("1")) == CKR_OK);
    CHECK(store_note_set(f->s, "n", BYTES_STR("2")) == CKR_OK);
    return 0;
}

static int child_creates_under_umask_0(struct fixture *f)
{
    umask(0);
    CHECK(store_note_set(f->s, "n", BYTES_STR("1")) == CKR_OK);
    return 0;
}

static void parents_are_made_for_the_owner_alone(void **state)
{
    struct fixture *f = *state;
    child *const bodies[] = {child_creates_under_umask_0, child_creates_under_umask_0777};
    for (unsigned i = 0; i < 2; i++) {
        char dir[96], path[128];
        snprintf(dir, sizeof(dir), "%s/a%u", f->top, i);
        snprintf(path, sizeof(path), "%s/b", dir);
        store_close(&f->s);
        OK(store_open(path, &f->s));
        assert_int_equal(finish(start(bodies[i], f)), 0);
        assert_int_equal(mode_of(dir), 0700);
        assert_int_equal(mode_of(path), 0700);
        assert_int_equal(entries(path), 1);
        snprintf(path, sizeof(path), "%s/b/store.db", dir);
        assert_int_equal(mode_of(path), 0600);
    }
}

/* The shared store: 2770, and its group. */
static void a_group_writable_directory_makes_a_group_writable_file(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(mkdir(f->dir, 0700), 0);
    if (geteuid() == 0)
        assert_int_equal(chown(f->dir, (uid_t)-1, NOBODY), 0);
    assert_int_equal(chmod(f->dir, 02770), 0);
    assert_int_equal(finish(start(child_creates_under_umask_0777, f)), 0);
    struct stat st, dir;
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(stat(f->dir, &dir), 0);
    assert_int_equal(st.st_mode & 07777, 0660);
    assert_int_equal(st.st_gid, dir.st_gid);
    assert_int_equal(entries(f->dir), 1);
}

static int child_of_the_group_writes(struct fixture *f)
{
    drop_root();
    struct store *s;
    CHECK(store_open(f->dir, &s) == CKR_OK);
    CHECK(store_writable(s));
    CHECK(store_note_set(s, "n", BYTES_STR("group")) == CKR_OK);
    store_close(&s);
    return 0;
}

static void a_member_of_the_group_writes_a_shared_store(void **state)
{
    struct fixture *f = *state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(mkdir(f->dir, 0700), 0);
    assert_int_equal(chown(f->dir, (uid_t)-1, NOBODY), 0);
    assert_int_equal(chmod(f->dir, 02770), 0);
    OK(store_note_set(f->s, "n", BYTES_STR("root")));
    assert_int_equal(finish(start(child_of_the_group_writes, f)), 0);
    CLEANUP(buf_free) struct buf note = {0};
    OK(store_note_get(f->s, "n", &note));
    assert_buf(&note, "group");
}

static int child_reads_only(struct fixture *f)
{
    drop_root();
    struct store *s;
    CHECK(store_open(f->dir, &s) == CKR_OK);
    CHECK(!store_writable(s));
    CLEANUP(buf_free) struct buf note = {0};
    CHECK(store_note_get(s, "n", &note) == CKR_OK && note.n == 5);
    uint64_t generation = 0;
    CHECK(store_generation(s, &generation) == CKR_OK && generation > 0);
    CHECK(store_note_set(s, "n", BYTES_STR("2")) == CKR_TOKEN_WRITE_PROTECTED);
    int64_t intent;
    CHECK(store_intent_begin(s, (uint32_t[]){1, 2}, 2, &intent) == CKR_TOKEN_WRITE_PROTECTED);
    CHECK(store_object_delete(s, 1, 1) == CKR_TOKEN_WRITE_PROTECTED);
    CHECK(store_check(s) == CKR_OK);
    store_close(&s);
    return 0;
}

/* Write permission on only one of the two is none: the journal lies in the directory. */
static void without_permission_on_both_a_store_is_read_only(void **state)
{
    static const struct {
        mode_t dir, file;
    } rows[] = {{0755, 0644}, {0755, 0666}, {0777, 0644}, {0555, 0444}};
    struct fixture *f = *state;
    OK(store_note_set(f->s, "n", BYTES_STR("value")));
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        assert_int_equal(chmod(f->dir, rows[i].dir), 0);
        assert_int_equal(chmod(f->path, rows[i].file), 0);
        if (geteuid() != 0 && (rows[i].dir & 0200) && (rows[i].file & 0200))
            continue; /* this process owns them */
        assert_int_equal(finish(start(child_reads_only, f)), 0);
        assert_int_equal(entries(f->dir), 1);
    }
    assert_int_equal(chmod(f->dir, 0755), 0);
}

static int child_cannot_create(struct fixture *f)
{
    drop_root();
    CHECK(!store_writable(f->s));
    CHECK(store_note_set(f->s, "n", BYTES_STR("1")) == CKR_TOKEN_WRITE_PROTECTED);
    size_t n;
    CHECK(store_slots(f->s, NULL, &n) == CKR_OK && n == 0);
    return 0;
}

static void a_store_that_cannot_be_created(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(chmod(f->top, 0555), 0);
    assert_int_equal(finish(start(child_cannot_create, f)), 0);
    assert_int_equal(chmod(f->top, 0755), 0);
    assert_false(there(f->dir));
}

static int child_cannot_read(struct fixture *f)
{
    drop_root();
    struct store *s;
    size_t n;
    CHECK(store_open(f->dir, &s) == CKR_OK);
    CHECK(store_slots(s, NULL, &n) == CKR_DEVICE_ERROR);
    CHECK(!store_writable(s));
    store_close(&s);
    return 0;
}

/* Not "no tokens": the user would make a second one. */
static void a_store_that_cannot_be_read_is_not_empty(void **state)
{
    struct fixture *f = *state;
    OK(store_note_set(f->s, "n", BYTES_STR("1")));
    assert_int_equal(chmod(f->dir, 0000), 0);
    assert_int_equal(finish(start(child_cannot_read, f)), 0);
    assert_int_equal(chmod(f->dir, 0755), 0);
    assert_int_equal(chmod(f->path, 0000), 0);
    assert_int_equal(finish(start(child_cannot_read, f)), 0);
}

static int child_sees_it_become_writable(struct fixture *f)
{
    struct store *s;
    if (geteuid() == 0)
        CHECK(chown(f->dir, NOBODY, NOBODY) == 0 && chown(f->path, NOBODY, NOBODY) == 0);
    drop_root();
    CHECK(chmod(f->dir, 0500) == 0);
    CHECK(store_open(f->dir, &s) == CKR_OK);
    CHECK(store_note_set(s, "n", BYTES_STR("2")) == CKR_TOKEN_WRITE_PROTECTED);
    CHECK(chmod(f->dir, 0700) == 0);
    CHECK(store_note_set(s, "n", BYTES_STR("2")) == CKR_OK);
    store_close(&s);
    return 0;
}

static void permission_that_is_given_later_is_used(void **state)
{
    struct fixture *f = *state;
    OK(store_note_set(f->s, "n", BYTES_STR("1")));
    assert_int_equal(finish(start(child_sees_it_become_writable, f)), 0);
}

/* A link to a store elsewhere: the journal's place is there. */
static int child_reads_through_link(struct fixture *f)
{
    drop_root();
    struct store *s;
    CHECK(store_open(f->top, &s) == CKR_OK);
    CHECK(!store_writable(s));
    CLEANUP(buf_free) struct buf note = {0};
    CHECK(store_note_get(s, "n", &note) == CKR_OK && note.n == 1);
    CHECK(store_note_set(s, "n", BYTES_STR("2")) == CKR_TOKEN_WRITE_PROTECTED);
    store_close(&s);
    return 0;
}

static void a_linked_file_is_as_writable_as_its_target(void **state)
{
    struct fixture *f = *state;
    char link[96];
    OK(store_note_set(f->s, "n", BYTES_STR("1")));
    assert_int_equal(chmod(f->path, 0666), 0);
    assert_int_equal(chmod(f->dir, 0555), 0);
    assert_int_equal(chmod(f->top, 0777), 0);
    snprintf(link, sizeof(link), "%s/store.db", f->top);
    assert_int_equal(symlink(f->path, link), 0);
    assert_int_equal(finish(start(child_reads_through_link, f)), 0);
    assert_int_equal(chmod(f->dir, 0755), 0);
}

/* What a daemon does, and then opens a file of its own. */
static void a_strangers_file_is_not_touched(void **state)
{
    struct fixture *f = *state;
    struct stat store, st;
    int fd = -1;
    OK(store_note_set(f->s, "n", BYTES_STR("1")));
    assert_int_equal(stat(f->path, &store), 0);
    for (int i = 3; i < 64 && fd < 0; i++)
        if (fstat(i, &st) == 0 && st.st_ino == store.st_ino && st.st_dev == store.st_dev)
            fd = i;
    assert_true(fd >= 0);
    FILE *theirs = tmpfile();
    assert_non_null(theirs);
    assert_int_equal(dup2(fileno(theirs), fd), fd);
    CK_RV rv = store_note_set(f->s, "n", BYTES_STR("2"));
    store_close(&f->s);
    assert_int_equal(rv, CKR_OK);
    assert_int_equal(fstat(fileno(theirs), &store), 0);
    assert_int_equal(store.st_size, 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_ino, store.st_ino);
    close(fd);
    fclose(theirs);
    CLEANUP(buf_free) struct buf note = {0};
    OK(store_open(f->dir, &f->s));
    OK(store_note_get(f->s, "n", &note));
    assert_buf(&note, "2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_strangers_file_is_not_touched),
        TEST(parents_are_made_for_the_owner_alone),
        TEST(a_group_writable_directory_makes_a_group_writable_file),
        TEST(a_member_of_the_group_writes_a_shared_store),
        TEST(without_permission_on_both_a_store_is_read_only),
        TEST(a_store_that_cannot_be_created),
        TEST(a_store_that_cannot_be_read_is_not_empty),
        TEST(permission_that_is_given_later_is_used),
        TEST(a_linked_file_is_as_writable_as_its_target),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
