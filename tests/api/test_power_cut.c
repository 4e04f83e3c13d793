/* The power is cut: what was not synced is lost, torn at sectors, or there in any mixture, and so
 * are a journal's name and its removal. SQLite's layer under the module is replaced by one that
 * writes down what the store does to its files; each cut is made from that, and opened again: what
 * was reported done is there, the transaction under way happened or did not. */
#include "keys.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTOR 512

/* ---- what was done to the files ------------------------------------------------------------ */

enum kind { CREATE, WRITE, TRUNCATE, SYNC, DELETE, DELETE_SYNCED, REPORTED };
enum { DATABASE = 0, FILES = 200, OPS = 20000 };

static struct op {
    enum kind kind;
    int file;  /* 0: the database; each journal is one of its own */
    size_t at; /* or the new length */
    size_t n;
    CK_BYTE *p; /* what was written */
} ops[OPS];

static size_t n_ops;
static int n_files = 1;
static bool recording;

static void note(enum kind kind, int file, size_t at, const void *p, size_t n)
{
    if (!recording || file < 0)
        return;
    assert_true(n_ops < OPS);
    CK_BYTE *copy = n == 0 ? NULL : malloc(n);
    if (n > 0)
        memcpy(copy, p, n);
    ops[n_ops++] = (struct op){kind, file, at, n, copy};
}

/* ---- the layer under SQLite ---------------------------------------------------------------- */

struct file {
    sqlite3_file base;
    int number; /* -1: none of the store's */
    sqlite3_file *real;
};

static sqlite3_vfs *below;
static struct file *as_file(sqlite3_file *f)
{
    return (struct file *)(void *)f;
}

static int file_close(sqlite3_file *f)
{
    return as_file(f)->real->pMethods->xClose(as_file(f)->real);
}

static int file_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
    return as_file(f)->real->pMethods->xRead(as_file(f)->real, p, n, at);
}

static int file_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
    note(WRITE, as_file(f)->number, (size_t)at, p, (size_t)n);
    return as_file(f)->real->pMethods->xWrite(as_file(f)->real, p, n, at);
}

static int file_truncate(sqlite3_file *f, sqlite3_int64 n)
{
    note(TRUNCATE, as_file(f)->number, (size_t)n, NULL, 0);
    return as_file(f)->real->pMethods->xTruncate(as_file(f)->real, n);
}

/* The first one of a new file syncs its directory, too (unixSync, UNIXFILE_DIRSYNC). No disk is
 * waited for here. */
static int file_sync(sqlite3_file *f, int flags)
{
    (void)flags;
    note(SYNC, as_file(f)->number, 0, NULL, 0);
    return SQLITE_OK;
}

static int file_size(sqlite3_file *f, sqlite3_int64 *ret)
{
    return as_file(f)->real->pMethods->xFileSize(as_file(f)->real, ret);
}

static int file_lock(sqlite3_file *f, int level)
{
    return as_file(f)->real->pMethods->xLock(as_file(f)->real, level);
}

static int file_unlock(sqlite3_file *f, int level)
{
    return as_file(f)->real->pMethods->xUnlock(as_file(f)->real, level);
}

static int file_reserved(sqlite3_file *f, int *ret)
{
    return as_file(f)->real->pMethods->xCheckReservedLock(as_file(f)->real, ret);
}

static int file_control(sqlite3_file *f, int what, void *argument)
{
    return as_file(f)->real->pMethods->xFileControl(as_file(f)->real, what, argument);
}

static int file_sector(sqlite3_file *f)
{
    return as_file(f)->real->pMethods->xSectorSize(as_file(f)->real);
}

static int file_device(sqlite3_file *f)
{
    return as_file(f)->real->pMethods->xDeviceCharacteristics(as_file(f)->real);
}

static const sqlite3_io_methods methods = {
    .iVersion = 1,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector,
    .xDeviceCharacteristics = file_device,
};

static bool of_the_store(const char *path)
{
    return path != NULL && strncmp(path, fx.store, strlen(fx.store)) == 0 &&
           path[strlen(fx.store)] == '/';
}

static int open_file(sqlite3_vfs *vfs, const char *path, sqlite3_file *f, int flags, int *ret)
{
    (void)vfs;
    struct file *file = as_file(f);
    *file = (struct file){.number = -1, .real = (sqlite3_file *)(void *)(file + 1)};
    if (of_the_store(path) && (flags & SQLITE_OPEN_MAIN_DB))
        file->number = DATABASE;
    bool fresh = of_the_store(path) && (flags & SQLITE_OPEN_MAIN_JOURNAL) &&
                 (flags & SQLITE_OPEN_CREATE) && access(path, F_OK) != 0;
    int code = below->xOpen(below, path, file->real, flags, ret);
    if (code != SQLITE_OK)
        return code;
    if (fresh && recording) {
        file->number = n_files++;
        assert_true(n_files < FILES);
        note(CREATE, file->number, 0, NULL, 0);
    }
    f->pMethods = &methods;
    return SQLITE_OK;
}

static int delete_file(sqlite3_vfs *vfs, const char *path, int sync)
{
    (void)vfs;
    if (of_the_store(path))
        note(sync ? DELETE_SYNCED : DELETE, n_files - 1, 0, NULL, 0);
    return below->xDelete(below, path, 0);
}

static void put_layer(void)
{
    static sqlite3_vfs layer;
    below = sqlite3_vfs_find(NULL);
    layer = *below;
    layer.zName = "recorder";
    layer.szOsFile = (int)sizeof(struct file) + below->szOsFile;
    layer.xOpen = open_file;
    layer.xDelete = delete_file;
    assert_int_equal(sqlite3_vfs_register(&layer, 1), SQLITE_OK);
}

/* ---- what a cut leaves --------------------------------------------------------------------- */

/* A file's bytes as the disk has them. */
struct image {
    CK_BYTE *p;
    size_t n, room;
};

static struct image first; /* the database before the first operation */
static uint32_t seed = 20240229;

static unsigned draw(unsigned below_this)
{
    seed = seed * 1103515245 + 12345;
    return (seed >> 8) % below_this;
}

static void put(struct image *image, size_t at, const CK_BYTE *p, size_t n)
{
    if (at + n > image->room) {
        image->room = 2 * (at + n);
        image->p = realloc(image->p, image->room);
    }
    if (at > image->n)
        memset(image->p + image->n, 0, at - image->n); /* a hole */
    memcpy(image->p + at, p, n);
    if (at + n > image->n)
        image->n = at + n;
}

/* Sectors of a write that was not synced: all, none, or any. */
static void put_some(struct image *image, const struct op *op)
{
    unsigned how = draw(3);
    for (size_t done = 0; done < op->n;) {
        size_t n = SECTOR - (op->at + done) % SECTOR;
        if (n > op->n - done)
            n = op->n - done;
        if (how == 0 || (how == 1 && draw(2)))
            put(image, op->at + done, op->p + done, n);
        done += n;
    }
}

static size_t last_sync(int file, size_t end)
{
    size_t synced = 0;
    for (size_t i = 0; i < end; i++)
        if (ops[i].kind == SYNC && ops[i].file == file)
            synced = i + 1;
    return synced;
}

/* The file after the first end operations; whole: nothing is lost. */
static struct image content_of(int file, size_t end, bool whole)
{
    struct image ret = {0};
    size_t synced = whole ? end : last_sync(file, end);
    if (file == DATABASE)
        put(&ret, 0, first.p, first.n);
    for (size_t i = 0; i < end; i++) {
        if (ops[i].file != file)
            continue;
        if (ops[i].kind == WRITE && i < synced)
            put(&ret, ops[i].at, ops[i].p, ops[i].n);
        else if (ops[i].kind == WRITE)
            put_some(&ret, &ops[i]);
        else if (ops[i].kind == TRUNCATE && (i < synced || draw(2)) && ops[i].at < ret.n)
            ret.n = ops[i].at;
    }
    return ret;
}

/* Which journal has its name in the directory; 0: none. What was done to it since the directory was
 * synced may be lost, the later sooner than the earlier. */
static int journal_after(size_t end, bool whole)
{
    size_t synced = 0;
    int name = 0, n_later = 0;
    int later[FILES + FILES];
    for (size_t i = 0; i < end; i++)
        if (ops[i].kind == DELETE_SYNCED || (ops[i].kind == SYNC && ops[i].file != DATABASE))
            synced = i + 1;
    for (size_t i = 0; i < end; i++) {
        bool made = ops[i].kind == CREATE;
        if (!made && ops[i].kind != DELETE && ops[i].kind != DELETE_SYNCED)
            continue;
        if (i < synced)
            name = made ? ops[i].file : 0;
        else
            later[n_later++] = made ? ops[i].file : 0;
    }
    int kept = whole ? n_later : (int)draw((unsigned)n_later + 1);
    return kept == 0 ? name : later[kept - 1];
}

static char cut_dir[80];

static void write_image(const char *leaf, const struct image *image)
{
    char path[120];
    snprintf(path, sizeof path, "%s/%s", cut_dir, leaf);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, image->p, image->n), image->n);
    close(fd);
}

static void make_cut(size_t end, bool whole)
{
    char path[120];
    struct image database = content_of(DATABASE, end, whole);
    int number = journal_after(end, whole);
    snprintf(path, sizeof path, "%s/store.db-journal", cut_dir);
    unlink(path);
    write_image("store.db", &database);
    free(database.p);
    if (number == 0)
        return;
    struct image journal = content_of(number, end, whole);
    write_image("store.db-journal", &journal);
    free(journal.p);
}

/* ---- what must hold ------------------------------------------------------------------------ */

/* Everything that is in the database, as a number. */
struct state {
    uint64_t hash;
};

static void hash_rows(sqlite3 *db, const char *sql, struct state *ret)
{
    sqlite3_stmt *rows;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &rows, NULL), SQLITE_OK);
    while (sqlite3_step(rows) == SQLITE_ROW)
        for (int i = 0; i < sqlite3_column_count(rows); i++) {
            const CK_BYTE *p = sqlite3_column_blob(rows, i);
            for (int j = 0; j < sqlite3_column_bytes(rows, i); j++)
                ret->hash = (ret->hash ^ p[j]) * 0x100000001B3; /* FNV-1a */
            ret->hash = (ret->hash ^ 0xFF) * 0x100000001B3;
        }
    sqlite3_finalize(rows);
}

/* Rolls back what the cut interrupted. */
static struct state state_of_cut(void)
{
    static const char *const tables[] = {"token", "object", "nv", "note", "sqlite_sequence"};
    struct state ret = {0xCBF29CE484222325};
    char path[120], sql[64];
    sqlite3 *db;
    sqlite3_stmt *check;
    snprintf(path, sizeof path, "%s/store.db", cut_dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &check, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(check), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(check, 0), "ok");
    sqlite3_finalize(check);
    for (size_t i = 0; i < COUNT(tables); i++) {
        snprintf(sql, sizeof sql, "SELECT * FROM %s ORDER BY 1", tables[i]);
        hash_rows(db, sql, &ret);
    }
    sqlite3_close(db);
    return ret;
}

/* The states that transactions led to, in order, and where in the record each was reached. */
static struct {
    struct state state;
    size_t op;
} history[FILES];
static size_t n_history;

static void write_history(void)
{
    make_cut(0, true);
    history[n_history++].state = state_of_cut();
    for (size_t i = 0; i < n_ops; i++)
        if (ops[i].kind == DELETE || ops[i].kind == DELETE_SYNCED) {
            make_cut(i + 1, true);
            history[n_history].state = state_of_cut();
            history[n_history++].op = i + 1;
        }
}

/* Every transaction of a call that was reported done is there; a later one may be, if it came as
 * far as its commit. */
static void assert_kept(size_t end)
{
    size_t least = 0, most = 0, reported = 0;
    for (size_t i = 0; i < end; i++)
        if (ops[i].kind == REPORTED)
            reported = i;
    for (size_t i = 0; i < n_history; i++) {
        least = history[i].op <= reported ? i : least;
        most = history[i].op <= end ? i : most;
    }
    struct state now = state_of_cut();
    for (size_t i = least; i <= most; i++)
        if (history[i].state.hash == now.hash)
            return;
    for (size_t i = 0; i < least; i++)
        if (history[i].state.hash == now.hash)
            fail_msg("cut after operation %zu: transactions %zu to %zu are lost", end, i + 1,
                     least);
    fail_msg("cut after operation %zu: a state that never was", end);
}

/* The module on what the cut left. */
static void assert_module_works(void)
{
    char parameters[120];
    snprintf(parameters, sizeof parameters, "store='%s'", cut_dir);
    assert_ok(initialize(parameters));
    CK_SESSION_HANDLE session = open_session(fx.slot, CKF_RW_SESSION);
    assert_ok(login(session, CKU_USER, USER_PIN));
    sign(session, MECHANISM(CKM_ECDSA), keys_of(session, "p256").private, "0123456789", 10);
    assert_ok(p11->C_Finalize(NULL));
}

/* ---- the calls that are recorded ----------------------------------------------------------- */

static void reported(CK_RV rv)
{
    assert_ok(rv);
    note(REPORTED, DATABASE, 0, NULL, 0);
}

static void record_objects(void)
{
    static CK_BYTE bytes[20000];
    CK_OBJECT_HANDLE object, other;
    for (unsigned i = 0; i < 4; i++) {
        for (size_t j = 0; j < sizeof bytes; j++)
            bytes[j] = (CK_BYTE)draw(256);
        CK_ATTRIBUTE data[] = {ATTR_ULONG(CKA_CLASS, CKO_DATA), ATTR_BOOL(CKA_TOKEN, true),
                               ATTR_BOOL(CKA_PRIVATE, i % 2),
                               ATTR_MEM(CKA_VALUE, bytes, i * 5000 + 10)};
        CK_ATTRIBUTE longer = ATTR_MEM(CKA_VALUE, bytes, sizeof bytes - i * 5000);
        CK_ATTRIBUTE label = ATTR_STR(CKA_LABEL, "copy");
        reported(p11->C_CreateObject(fx.session, data, COUNT(data), &object));
        reported(p11->C_SetAttributeValue(fx.session, object, &longer, 1));
        reported(p11->C_CopyObject(fx.session, object, &label, 1, &other));
        reported(p11->C_DestroyObject(fx.session, i % 2 ? object : other));
    }
}

static void record_token(void)
{
    CK_UTF8CHAR label[32];
    CK_SLOT_ID slot = slot_of("second");
    pad_label(label, "second");
    reported(p11->C_InitToken(slot, PIN(SO_PIN), label));
    generate_ec(fx.session, NID_X9_62_prime256v1, "later", true);
    reported(CKR_OK);
}

static void read_first(void)
{
    char path[100];
    struct stat st;
    snprintf(path, sizeof path, "%s/store.db", fx.store);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    first = (struct image){malloc((size_t)st.st_size), (size_t)st.st_size, (size_t)st.st_size};
    assert_int_equal(read(fd, first.p, first.n), st.st_size);
    close(fd);
}

static int group_recorded(void **state)
{
    group_token(state);
    test_user(state);
    generate_ec(fx.session, NID_X9_62_prime256v1, "p256", true);
    make_token("second", SO_PIN, USER_PIN);
    test_end(state);
    read_first();
    put_layer();
    test_user(state);
    recording = true;
    record_objects();
    record_token();
    recording = false;
    test_end(state);
    snprintf(cut_dir, sizeof cut_dir, "%s/cut", fx.dir);
    assert_int_equal(mkdir(cut_dir, 0700), 0);
    write_history();
    return 0;
}

/* After each operation, and between what it did and what it did not; several mixtures each. */
static void power_is_cut(void **state)
{
    (void)state;
    unsigned long cuts = 0, mixtures = long_run() ? 60 : 1;
    for (size_t end = 0; end <= n_ops; end++)
        for (unsigned long i = 0; i < mixtures; i++) {
            make_cut(end, false);
            assert_kept(end);
            if (cuts++ % (long_run() ? 500 : 200) == 0)
                assert_module_works();
        }
    figure(cuts, "power cuts with torn and lost writes survived");
    figure(n_history - 1, "transactions that they were cut into");
}

static int group_over(void **state)
{
    for (size_t i = 0; i < n_ops; i++)
        free(ops[i].p);
    free(first.p);
    return group_end(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(power_is_cut, test_end),
    };
    return cmocka_run_group_tests(tests, group_recorded, group_over);
}
