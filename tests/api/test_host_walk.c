/* Each allocation, each SQLite call, each operation on a file fails in turn, in every family of
 * functions: a code that says so, nothing half-made, nothing lost or leaked, and the next try
 * works.
 */
#include "scenarios.h"

#include <dirent.h>
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>

#define NV_INDICES 0x01

/* What fails, and what may be answered: never that the caller is wrong. */
struct kind {
    const char *name;
    struct fault fault;
    const CK_RV *codes; /* up to CKR_OK */
};

/* libcrypto (CKR_FUNCTION_FAILED) and tss2 (CKR_DEVICE_ERROR) do not always say why. */
static const CK_RV of_memory[] = {CKR_HOST_MEMORY, CKR_FUNCTION_FAILED, CKR_DEVICE_ERROR, CKR_OK};
static const CK_RV of_disk[] = {CKR_DEVICE_ERROR,    CKR_DEVICE_MEMORY, CKR_TOKEN_WRITE_PROTECTED,
                                CKR_FUNCTION_FAILED, CKR_HOST_MEMORY,   CKR_OK};

static unsigned long struck;

/* ---- what must hold ------------------------------------------------------------------------ */

static void assert_allowed(const struct scenario *s, const struct kind *k, CK_RV rv)
{
    for (const CK_RV *code = k->codes;; code++) {
        if (*code == rv)
            return;
        if (*code == CKR_OK)
            break;
    }
    check_rv(k->codes[0], rv, s->name, __FILE__, __LINE__);
}

static unsigned open_files(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned n = 0;
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n;
}

static sqlite3 *open_store(void)
{
    char path[100];
    sqlite3 *db;
    snprintf(path, sizeof path, "%s/store.db", fx.store);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    return db;
}

static void assert_store_is_whole(void)
{
    sqlite3 *db = open_store();
    sqlite3_stmt *check;
    assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &check, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(check), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(check, 0), "ok");
    sqlite3_finalize(check);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* All or none of what the scenario makes is there; afterwards nothing of it. An error with
 * everything there can be: a disk that fails after the commit. */
static void assert_all_or_none(const struct scenario *s, const struct kind *k, CK_RV rv)
{
    CK_ATTRIBUTE label = ATTR_STR(CKA_LABEL, WALK);
    CK_OBJECT_HANDLE found[4];
    CK_ULONG n = 0;
    assert_ok(p11->C_FindObjectsInit(fx.session, &label, 1));
    assert_ok(p11->C_FindObjects(fx.session, found, COUNT(found), &n));
    assert_ok(p11->C_FindObjectsFinal(fx.session));
    if (rv == CKR_OK || (n > 0 && k->fault.kind != FAULT_MEMORY))
        assert_int_equal(n, s->makes);
    else
        assert_int_equal(n, 0);
    for (CK_ULONG i = 0; i < n; i++)
        assert_ok(p11->C_DestroyObject(fx.session, found[i]));
}

/* ---- one fault ----------------------------------------------------------------------------- */

static void begin(const struct scenario *s)
{
    void *state = NULL;
    if (s->start >= AT_INITIALIZED)
        test_initialized(&state);
    if (s->start >= AT_SESSION)
        fx.session = open_session(fx.slot, CKF_RW_SESSION);
    if (s->start == AT_USER) {
        assert_ok(login(fx.session, CKU_USER, USER_PIN));
        look_around();
    }
}

static CK_RV run(const struct scenario *s, const struct kind *k)
{
    CK_RV rv = s->run();
    if (s->start == AT_USER)
        assert_all_or_none(s, k, rv);
    return rv;
}

/* The fault, and then the same once more without it, in the same session. Returns the blocks that
 * are a known leak of a library. */
static long strike(const struct scenario *s, const struct kind *k, unsigned long nth)
{
    struct fault fault = k->fault;
    fault.nth = nth;
    begin(s);
    fault_set(&fault);
    CK_RV rv = run(s, k);
    struck += fault_struck();
    assert_allowed(s, k, rv);
    long known_leak = fault_known_leak();
    fault_set(&(struct fault){.kind = FAULT_NONE});
    assert_ok(run(s, k));
    p11->C_Finalize(NULL);
    return known_leak;
}

/* What libraries keep once and for all is no leak: one grows each time. */
static void assert_no_leak(const struct scenario *s, const struct kind *k, unsigned long nth)
{
    unsigned files = open_files();
    for (int i = 0; i < 4; i++) {
        long before = faults_blocks();
        long known_leak = strike(s, k, nth);
        assert_int_equal(open_files(), files);
        if (faults_blocks() - before <= known_leak)
            return;
    }
    fail_msg("%s, %s %lu: %s", s->name, k->name, nth, "memory leaks");
}

/* Returns how many calls of the kind the scenario makes. */
static unsigned long count_calls(const struct scenario *s, const struct kind *k)
{
    struct fault fault = k->fault;
    fault.nth = 0;
    begin(s);
    fault_set(&fault);
    assert_ok(run(s, k));
    unsigned long n = fault_calls();
    fault_set(&(struct fault){.kind = FAULT_NONE});
    p11->C_Finalize(NULL);
    return n;
}

/* ---- walks --------------------------------------------------------------------------------- */

enum { MOST = 4000, MEMORY_SAMPLES = 100, DISK_SAMPLES = 10 };

/* So many calls, spread over the scenario, others in each walk. In a family that was asked for all
 * of them, but those of a PIN's stretching, which are thousands, all alike. */
static void walk(const struct scenario *s, const struct kind *k, unsigned long samples)
{
    static unsigned long turn;
    unsigned long n = count_calls(s, k), step = 1;
    if (getenv("WALK_ONLY"))
        samples = MOST;
    if (n > samples)
        step = (n + samples - 1) / samples;
    for (unsigned long nth = step == 1 ? 1 : 1 + turn++ * 7 % step; nth <= n; nth += step) {
        if (getenv("WALK_TRACE"))
            print_message("%s, %s %lu of %lu\n", s->name, k->name, nth, n);
        assert_no_leak(s, k, nth);
    }
    assert_store_is_whole();
}

/* What could not be removed is written down: it goes when it is old enough. */
static void mend(void)
{
    void *state = NULL;
    sqlite3 *db = open_store();
    assert_int_equal(sqlite3_exec(db, "UPDATE nv SET made = 0", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    test_user(&state);
    test_end(&state);
}

enum { EACH = 5 }; /* of so many kinds the quick form takes one a scenario, in turn */

static void walk_all(const struct kind *kinds, size_t n_kinds, unsigned long quick,
                     unsigned long samples, const char *what)
{
    mend();
    unsigned indices = swtpm_handles(&fx.tpm, NV_INDICES);
    struck = 0;
    for (size_t i = 0; i < COUNT(scenarios); i++)
        for (size_t j = 0; j < n_kinds; j++)
            if (long_run() || n_kinds < EACH || (i + j) % EACH == 0)
                if (!getenv("WALK_ONLY") || strstr(scenarios[i].name, getenv("WALK_ONLY")))
                    walk(&scenarios[i], &kinds[j], long_run() ? samples : quick);
    mend();
    assert_int_equal(swtpm_lockout_counter(&fx.tpm), wrong_pins);
    assert_int_equal(swtpm_handles(&fx.tpm, NV_INDICES), indices);
    figure(struck, what);
}

static void memory(void **state)
{
    (void)state;
    static const struct kind kinds[] = {
        {"allocation", {.kind = FAULT_MEMORY}, of_memory},
        {"allocation and all after it", {.kind = FAULT_MEMORY, .lasting = true}, of_memory},
    };
    walk_all(kinds, COUNT(kinds), 2, MEMORY_SAMPLES,
             "allocations failed, spread over each function");
}

static void sqlite(void **state)
{
    (void)state;
#define ROW(number, last)                                                                          \
    {                                                                                              \
#number, {.kind = FAULT_SQLITE, .code = number, .lasting = last }, of_disk                 \
    }
    static const struct kind kinds[] = {
        ROW(SQLITE_NOMEM, false),    ROW(SQLITE_BUSY, false),      ROW(SQLITE_LOCKED, false),
        ROW(SQLITE_IOERR, false),    ROW(SQLITE_FULL, false),      ROW(SQLITE_CORRUPT, false),
        ROW(SQLITE_CANTOPEN, false), ROW(SQLITE_READONLY, false),  ROW(SQLITE_PERM, false),
        ROW(SQLITE_PROTOCOL, false), ROW(SQLITE_INTERRUPT, false), ROW(SQLITE_ERROR, false),
        ROW(SQLITE_NOTADB, false),   ROW(SQLITE_SCHEMA, false),    ROW(SQLITE_IOERR, true),
        ROW(SQLITE_NOMEM, true),
    };
    walk_all(kinds, COUNT(kinds), 1, DISK_SAMPLES, "SQLite calls failed, in 16 ways");
}

static void files(void **state)
{
    (void)state;
    enum { CHANGES = FILE_CHANGE | FILE_WRITE | FILE_SYNC };
#define FILE_ROW(number, calls, last)                                                              \
    {                                                                                              \
#number, {.kind = FAULT_FILE, .code = number, .files = calls, .lasting = last }, of_disk   \
    }
    static const struct kind kinds[] = {
        FILE_ROW(EIO, FILE_ALL, false),
        FILE_ROW(EIO, FILE_ALL, true),
        FILE_ROW(ENOSPC, CHANGES, false),
        FILE_ROW(ENOSPC, CHANGES, true),
        FILE_ROW(EDQUOT, CHANGES, false),
        FILE_ROW(EROFS, FILE_CHANGE | FILE_REMOVE, true),
        FILE_ROW(EACCES, FILE_OPEN | FILE_CHANGE | FILE_LOOK | FILE_REMOVE, false),
        FILE_ROW(EMFILE, FILE_OPEN | FILE_CHANGE, true),
        FILE_ROW(ENFILE, FILE_OPEN | FILE_CHANGE, false),
        FILE_ROW(EINTR, FILE_OPEN | FILE_CHANGE | FILE_READ | FILE_WRITE | FILE_LOCK, false),
        FILE_ROW(ESTALE, FILE_ALL, false),
        FILE_ROW(ENOLCK, FILE_LOCK, false),
        FILE_ROW(ENOMEM, FILE_ALL, false),
        FILE_ROW(FAULT_SHORT, FILE_READ, false),
        FILE_ROW(FAULT_SHORT, FILE_WRITE, false),
    };
    walk_all(kinds, COUNT(kinds), 1, DISK_SAMPLES, "operations on files failed, in 15 ways");
}

/* Each stat of a login that opens store and lock file: in the quick form, too. What is opened and
 * then cannot be looked at is closed, or this process locks itself out of its TPM. */
static void looks(void **state)
{
    (void)state;
    static const struct kind kind = {
        "EIO of a look", {.kind = FAULT_FILE, .code = EIO, .files = FILE_LOOK}, of_disk};
    for (size_t i = 0; i < COUNT(scenarios); i++)
        if (strcmp(scenarios[i].name, "C_Login") == 0)
            walk(&scenarios[i], &kind, MOST);
}

int main(int argc, char **argv)
{
    if (argc == 2) /* one of them by itself: the long forms take a while */
        cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(memory, test_end),
        cmocka_unit_test_teardown(sqlite, test_end),
        cmocka_unit_test_teardown(files, test_end),
        cmocka_unit_test_teardown(looks, test_end),
    };
    return cmocka_run_group_tests(tests, group_scenarios, group_end);
}
