/* Several threads and processes at once, kills, and a disk that is full. */
#include <pthread.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include "support.h"

enum { WRITERS = 4, ROUNDS = 25 };

/* ---- processes ------------------------------------------------------------------------------ */

static unsigned child_number;

static int child_adds_objects(struct fixture *f)
{
    struct store *s;
    CHECK(store_open(f->dir, &s) == CKR_OK);
    for (unsigned i = 0; i < ROUNDS; i++)
        CHECK(add_object(s, 1, child_number * ROUNDS + i, NULL) == CKR_OK);
    store_close(&s);
    return 0;
}

static void processes_write_at_once(void **state)
{
    struct fixture *f = *state;
    pid_t pid[WRITERS];
    assert_int_equal(add_token(f->s, 1), 1);
    store_close(&f->s);
    for (child_number = 0; child_number < WRITERS; child_number++)
        pid[child_number] = start(child_adds_objects, f);
    for (unsigned i = 0; i < WRITERS; i++)
        assert_int_equal(finish(pid[i]), 0);
    OK(store_open(f->dir, &f->s));
    size_t n;
    OK(store_objects_count(f->s, 1, &n));
    assert_int_equal(n, WRITERS * ROUNDS);
    OK(store_check(f->s));
}

/* ---- who writes all the time ---------------------------------------------------------------- */

enum { CRAMMING_SECONDS = 3 };

static struct progress {
    atomic_uint writes[WRITERS];
    atomic_bool over;
} * progress; /* shared */

static int child_crams(struct fixture *f)
{
    struct store *s;
    CHECK(store_open(f->dir, &s) == CKR_OK);
    while (!atomic_load(&progress->over)) {
        CHECK(store_note_set(s, "n", BYTES_STR("x")) == CKR_OK);
        atomic_fetch_add(&progress->writes[child_number], 1);
    }
    store_close(&s);
    return 0;
}

/* No pause between two writes: yet nobody is told that the store is locked, and all get on. */
static void nobody_starves(void **state)
{
    struct fixture *f = *state;
    pid_t pid[WRITERS];
    unsigned least = UINT_MAX, most = 0, failed = 0;
    OK(store_note_set(f->s, "n", BYTES_STR("0")));
    store_close(&f->s);
    progress =
        mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(progress, MAP_FAILED);
    for (child_number = 0; child_number < WRITERS; child_number++)
        pid[child_number] = start(child_crams, f);
    sleep(CRAMMING_SECONDS);
    atomic_store(&progress->over, true);
    for (unsigned i = 0; i < WRITERS; i++) {
        failed += finish(pid[i]) != 0;
        unsigned n = atomic_load(&progress->writes[i]);
        least = n < least ? n : least;
        most = n > most ? n : most;
        print_message("%u ", n);
    }
    print_message("writes\n");
    munmap(progress, sizeof(*progress));
    OK(store_open(f->dir, &f->s));
    assert_int_equal(failed, 0);
    assert_true(most <= 5 * least);
}

static int child_creates(struct fixture *f)
{
    char key[16];
    snprintf(key, sizeof(key), "%u", child_number);
    CHECK(store_note_set(f->s, key, BYTES_STR("x")) == CKR_OK);
    return 0;
}

static void processes_create_the_store_at_once(void **state)
{
    struct fixture *f = *state;
    pid_t pid[WRITERS];
    for (child_number = 0; child_number < WRITERS; child_number++)
        pid[child_number] = start(child_creates, f);
    for (unsigned i = 0; i < WRITERS; i++)
        assert_int_equal(finish(pid[i]), 0);
    for (unsigned i = 0; i < WRITERS; i++) {
        CLEANUP(buf_free) struct buf note = {0};
        char key[16];
        snprintf(key, sizeof(key), "%u", i);
        OK(store_note_get(f->s, key, &note));
        assert_buf(&note, "x");
    }
}

static int told[2]; /* a pipe from the child */

/* Holds the write lock for as long as child_number says, in seconds. */
static int child_holds_the_lock(struct fixture *f)
{
    sqlite3 *db;
    CHECK(sqlite3_open(f->path, &db) == SQLITE_OK);
    CHECK(sqlite3_exec(db, "BEGIN EXCLUSIVE", NULL, NULL, NULL) == SQLITE_OK);
    CHECK(write(told[1], "", 1) == 1);
    sleep(child_number);
    CHECK(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK);
    sqlite3_close(db);
    return 0;
}

static CK_RV write_while_locked(struct fixture *f, unsigned seconds)
{
    char byte;
    child_number = seconds;
    OK(store_note_set(f->s, "n", BYTES_STR("1")));
    assert_int_equal(pipe(told), 0);
    pid_t pid = start(child_holds_the_lock, f);
    assert_int_equal(read(told[0], &byte, 1), 1);
    CK_RV rv = store_note_set(f->s, "n", BYTES_STR("2"));
    assert_int_equal(finish(pid), 0);
    close(told[0]);
    close(told[1]);
    return rv;
}

static void a_lock_is_waited_for_but_not_for_ever(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(write_while_locked(f, 1), CKR_OK);
    assert_int_equal(write_while_locked(f, 7), CKR_DEVICE_ERROR);
    OK(store_note_set(f->s, "n", BYTES_STR("3")));
}

/* ---- kills ---------------------------------------------------------------------------------- */

/* Tells the id of each object it added, and its negative once it deleted it again. */
static int child_writes_until_killed(struct fixture *f)
{
    struct store *s;
    close(told[0]);
    CHECK(store_open(f->dir, &s) == CKR_OK);
    for (unsigned i = 0;; i++) {
        int64_t id;
        CHECK(add_object(s, 1, child_number * 1000000 + i, &id) == CKR_OK);
        CHECK(write(told[1], &id, sizeof(id)) == sizeof(id));
        if (i % 3 != 0)
            continue;
        CHECK(store_object_delete(s, 1, id) == CKR_OK);
        CHECK(write(told[1], &(int64_t){-id}, sizeof(id)) == sizeof(id));
    }
}

static bool exists(struct store *s, int64_t id)
{
    CLEANUP(store_object_free) struct store_object o = {0};
    CK_RV rv = store_object_get(s, 1, id, &o);
    assert_true(rv == CKR_OK || rv == CKR_OBJECT_HANDLE_INVALID);
    return rv == CKR_OK;
}

/* Every word the child said must be true; its last may be overtaken by what it did next. */
static size_t believe(struct store *s)
{
    int64_t words[4096];
    ssize_t bytes = 0, more;
    while ((more = read(told[0], (char *)words + bytes, sizeof(words) - (size_t)bytes)) > 0)
        bytes += more;
    size_t n = (size_t)bytes / sizeof(*words);
    for (size_t i = 0; i < n; i++) {
        bool last = i + 1 == n, deleted = !last && words[i + 1] == -words[i];
        if (words[i] < 0)
            assert_false(exists(s, -words[i]));
        else if (!last)
            assert_int_equal(exists(s, words[i]), !deleted);
    }
    return n;
}

static void what_was_acknowledged_survives_kills(void **state)
{
    struct fixture *f = *state;
    size_t words = 0;
    assert_int_equal(add_token(f->s, 1), 1);
    store_close(&f->s);
    for (child_number = 0; child_number < 60; child_number++) {
        assert_int_equal(pipe(told), 0);
        pid_t pid = start(child_writes_until_killed, f);
        close(told[1]);
        poll(&(struct pollfd){.fd = told[0], .events = POLLIN}, 1, -1); /* its first word */
        nanosleep(&(struct timespec){0, 5000000L + 1234567L * child_number}, NULL);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_true(WIFSIGNALED(finish(pid)));
        OK(store_open(f->dir, &f->s));
        words += believe(f->s);
        OK(store_check(f->s));
        store_close(&f->s);
        close(told[0]);
    }
    assert_true(words >= 60);
    OK(store_open(f->dir, &f->s));
}

/* ---- a full disk ---------------------------------------------------------------------------- */

static int child_fills_the_disk(struct fixture *f)
{
    struct store *s;
    struct stat st;
    CHECK(store_open(f->dir, &s) == CKR_OK);
    CHECK(stat(f->path, &st) == 0);
    signal(SIGXFSZ, SIG_IGN);
    rlim_t limit = (rlim_t)st.st_size + 100000;
    CHECK(setrlimit(RLIMIT_FSIZE, &(struct rlimit){limit, limit}) == 0);
    unsigned i = 0;
    CK_RV rv;
    do
        rv = add_object(s, 1, 100 + i++, NULL);
    while (rv == CKR_OK && i < 10000);
    CHECK(rv == CKR_DEVICE_MEMORY || rv == CKR_DEVICE_ERROR);
    size_t n;
    CHECK(store_objects_count(s, 1, &n) == CKR_OK && n == 1 + i - 1);
    CHECK(store_object_delete(s, 1, 1) == CKR_OK); /* goes on working */
    store_close(&s);
    return 0;
}

static void a_full_disk_loses_nothing(void **state)
{
    struct fixture *f = *state;
    int64_t first;
    assert_int_equal(add_token(f->s, 1), 1);
    OK(add_object(f->s, 1, 1, &first));
    assert_int_equal(first, 1);
    assert_int_equal(finish(start(child_fills_the_disk, f)), 0);
    size_t n;
    OK(store_objects_count(f->s, 1, &n));
    assert_true(n > 1);
    OK(store_check(f->s));
    OK(add_object(f->s, 1, 1, NULL));
}

/* ---- threads -------------------------------------------------------------------------------- */

struct thread {
    struct store *s;
    unsigned number;
    CK_RV rv;
};

static CK_RV work(struct thread *t)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        int64_t id;
        struct store_found *ids;
        size_t n;
        uint64_t generation;
        char text[16];
        snprintf(text, sizeof(text), "%u", t->number * ROUNDS + i);
        TRY(add_object(t->s, 1, t->number * ROUNDS + i, &id));
        const struct store_match match = {STORE_ID, {BYTES_STR(text)}, 1};
        TRY(store_objects_find(t->s, 1, true, &match, 1, &ids, &n));
        bool right = n == 1 && ids[0].id == id;
        free(ids);
        CLEANUP(store_object_free) struct store_object o = {0};
        TRY(store_object_get(t->s, 1, id, &o));
        TRY(store_generation(t->s, &generation));
        if (!right || generation == 0 || !store_writable(t->s))
            return CKR_GENERAL_ERROR;
    }
    return CKR_OK;
}

static void *run_thread(void *arg)
{
    struct thread *t = arg;
    t->rv = work(t);
    return NULL;
}

/* Two stores on one file in one process too: SQLite keeps their POSIX locks apart. */
static void threads_share_a_store(void **state)
{
    struct fixture *f = *state;
    struct store *second;
    struct thread t[WRITERS];
    pthread_t thread[WRITERS];
    assert_int_equal(add_token(f->s, 1), 1);
    OK(store_open(f->dir, &second));
    for (unsigned i = 0; i < WRITERS; i++) {
        t[i] = (struct thread){i % 2 ? second : f->s, i, CKR_GENERAL_ERROR};
        assert_int_equal(pthread_create(&thread[i], NULL, run_thread, &t[i]), 0);
    }
    for (unsigned i = 0; i < WRITERS; i++) {
        pthread_join(thread[i], NULL);
        assert_int_equal(t[i].rv, CKR_OK);
    }
    size_t n;
    OK(store_objects_count(f->s, 1, &n));
    assert_int_equal(n, WRITERS * ROUNDS);
    store_close(&second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(processes_write_at_once),
        TEST(nobody_starves),
        TEST(processes_create_the_store_at_once),
        TEST(a_lock_is_waited_for_but_not_for_ever),
        TEST(what_was_acknowledged_survives_kills),
        TEST(a_full_disk_loses_nothing),
        TEST(threads_share_a_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
