#include "connection.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <base/error.h>
#include <base/log.h>
#include "files.h"
#include "query.h"
#include "schema.h"

static const struct {
    int code; /* extended, or primary */
    const char *text;
} advice[] = {
    {SQLITE_BUSY,
     "another process has kept it locked (see who has store.db open), or its file system "
     "has no locks"},
    {SQLITE_READONLY_ROLLBACK,
     "a write was interrupted; let a user who may write the store open it once"},
    {SQLITE_READONLY_CANTLOCK, "it is in WAL mode; run PRAGMA journal_mode = DELETE on it"},
    {SQLITE_READONLY, "this process may only read it"},
    {SQLITE_FULL, "make room on its file system; nothing was changed"},
    {SQLITE_TOOBIG, "the value is longer than the format allows"},
    {SQLITE_CORRUPT, "restore a backup"},
    {SQLITE_NOTADB, "restore a backup, or name another store"},
    {SQLITE_CANTOPEN, "check the modes of the file and its directory"},
    {SQLITE_IOERR, "check the disk and its free space"},
};

static const char *advice_for(int code)
{
    for (int mask = -1;; mask = 0xFF) {
        for (size_t i = 0; i < sizeof(advice) / sizeof(*advice); i++)
            if (advice[i].code == (code & mask))
                return advice[i].text;
        if (mask == 0xFF)
            return "run 'latchkey doctor'";
    }
}

CK_RV connection_error(struct store *s, int code)
{
    if (code == SQLITE_OK || code == SQLITE_ROW || code == SQLITE_DONE)
        return CKR_OK;
    bool newest = s->db && sqlite3_extended_errcode(s->db) == code;
    char text[512];
    snprintf(text, sizeof(text), "%s: %s", newest ? sqlite3_errmsg(s->db) : sqlite3_errstr(code),
             advice_for(code));
    CK_RV rv = error_sqlite(s->path, code, text);
    /* not "write-protected": whoever only wanted to read is not served either */
    return code == SQLITE_READONLY_ROLLBACK || code == SQLITE_READONLY_CANTLOCK ? CKR_DEVICE_ERROR
                                                                                : rv;
}

/* ---- open and close ------------------------------------------------------------------------- */

static void forget_statements(struct store *s)
{
    while (s->n_statements)
        sqlite3_finalize(s->statement[--s->n_statements]);
}

/* The host may have closed all descriptors, as a daemon does, and have a file of its own under the
 * number: closing the connection would close that. */
static bool lost(const struct store *s)
{
    return s->db && s->fd >= 0 && !host_file_is(s->fd, s->file);
}

static void leave_alone(struct store *s)
{
    struct store *copy = malloc(sizeof(*copy));
    if (copy)
        *copy = *s;
    store_abandon(&copy);
    s->n_statements = 0;
}

static void disconnect(struct store *s)
{
    if (lost(s)) {
        leave_alone(s);
    } else {
        forget_statements(s);
        sqlite3_close(s->db);
    }
    s->db = NULL;
    s->data_version = -1;
}

/* sqlite.org/security.html: what a file from elsewhere should not be able to do, and a bound on
 * what one row can make us allocate. mmap would turn an I/O error into a signal. */
static int restrain(sqlite3 *db)
{
    sqlite3_limit(db, SQLITE_LIMIT_LENGTH, 2 * MAX_ATTRS);
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
    return sqlite3_exec(db,
                        "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;"
                        "PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY;"
                        "PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON;"
                        "PRAGMA synchronous = EXTRA",
                        NULL, NULL, NULL);
}

static int wait_for_lock(void *store, int times)
{
    struct store *s = store;
    (void)times;
    return turns_wait(&s->turns, s->dir);
}

/* SQLite does not tell its descriptor: it gets the lowest number, unless another thread is faster.
 */
static int next_number(void)
{
    int fd = open("/", O_PATH | O_CLOEXEC);
    if (fd >= 0)
        close(fd);
    return fd;
}

static void note_file(struct store *s)
{
    struct stat st;
    s->file = host_file_of(s->fd);
    if (stat(s->path, &st) != 0 || s->file.inode != st.st_ino || s->file.device != st.st_dev)
        s->fd = -1;
}

static int open_database(struct store *s)
{
    s->read_only = !files_writable(s->path);
    /* private cache and no mutex: whatever the host set for its own use of SQLite. Not NOFOLLOW: it
     * refuses a link anywhere in the path, and homes are often behind one. */
    int flags = (s->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE) |
                SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
    int number = next_number();
    s->fd = -1; /* where it cannot be opened there is nothing that the host could have closed */
    int code = sqlite3_open_v2(s->path, &s->db, flags, NULL);
    if (code != SQLITE_OK)
        return code;
    s->fd = number;
    note_file(s);
    sqlite3_extended_result_codes(s->db, 1);
    sqlite3_busy_handler(s->db, wait_for_lock, s);
    code = restrain(s->db);
    if (code == SQLITE_OK && !s->read_only)
        code = sqlite3_exec(s->db, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
    return code;
}

/* Leaves s->db NULL when there is no store and none is to be made. */
static CK_RV connect_store(struct store *s, enum use_mode mode)
{
    if (faccessat(AT_FDCWD, s->path, R_OK, AT_EACCESS) != 0) {
        if (errno != ENOENT && errno != ENOTDIR)
            return error_log(CKR_DEVICE_ERROR, "store %s cannot be read: %m", s->path);
        if (mode != USE_CREATE)
            return CKR_OK;
        TRY(files_create(s->dir, s->path));
    }
    CK_RV rv = connection_error(s, open_database(s));
    if (rv != CKR_OK)
        disconnect(s);
    return rv;
}

/* ---- a stay --------------------------------------------------------------------------------- */

static CK_RV run(struct use *u, const char *sql)
{
    CLEANUP(query_end) struct query q = query_begin(u, sql);
    return query_run(&q, NULL);
}

/* Was the file deleted or replaced since it was opened? */
static bool moved(struct store *s)
{
    int answer = 0;
    sqlite3_file_control(s->db, "main", SQLITE_FCNTL_HAS_MOVED, &answer);
    return answer != 0;
}

static CK_RV get_ready(struct store *s, enum use_mode mode)
{
    bool now_writable = s->db && mode != USE_READ && s->read_only && files_writable(s->path);
    if (s->db && (now_writable || lost(s) || moved(s)))
        disconnect(s);
    /* statements are dropped here, where none is running; a find has many texts */
    if (s->n_statements > STATEMENTS / 2)
        forget_statements(s);
    if (!s->db)
        TRY(connect_store(s, mode));
    if (s->db && mode != USE_READ && s->read_only)
        return error_log(CKR_TOKEN_WRITE_PROTECTED, "this process may only read the store %s",
                         s->path);
    return CKR_OK;
}

/* Bytes 16 to 27 of the file (sqlite.org/fileformat2.html, 1.3): page size, the journal's kind,
 * lengths, and at the end the counter that every transaction which changes the file counts up. Only
 * with a rollback journal (1, 1) it does. */
static bool read_stamp(struct store *s, uint8_t *ret)
{
    enum { AT = 16, WRITE_KIND = 2, READ_KIND = 3 };
    sqlite3_file *file = NULL;
    return sqlite3_file_control(s->db, "main", SQLITE_FCNTL_FILE_POINTER, &file) == SQLITE_OK &&
           file && file->pMethods && file->pMethods->xRead(file, ret, STAMP, AT) == SQLITE_OK &&
           ret[WRITE_KIND] == 1 && ret[READ_KIND] == 1;
}

/* Nobody has changed the file since the last look: one read instead of a transaction, which is
 * locks and a look for a journal. No lock is needed: who changes something writes the counter
 * before he is done, and if he is not done, what was seen last still holds. */
static bool unchanged(struct store *s)
{
    uint8_t now[STAMP];
    return s->db && s->data_version != -1 && s->version > 0 && !lost(s) && !moved(s) &&
           read_stamp(s, now) && memcmp(now, s->stamp, STAMP) == 0;
}

/* Another process may have changed, migrated or filled the store since the last look. */
static CK_RV look(struct use *u)
{
    struct store *s = u->s;
    CLEANUP(query_end) struct query q = query_begin(u, "PRAGMA data_version");
    bool row;
    TRY(query_row(&q, &row));
    int64_t data_version = row_int(&q, 0, INT64_MAX);
    if (data_version != s->data_version) {
        s->generation++;
        TRY(schema_look(u, &s->version));
        s->data_version = data_version;
    }
    if (!read_stamp(s, s->stamp))
        memset(s->stamp, 0, STAMP);
    return CKR_OK;
}

/* A store of an older version: no statement knows its tables, so it is migrated before it is read.
 */
static CK_RV migrate_older(struct use *u)
{
    struct store *s = u->s;
    TRY(run(u, "ROLLBACK"));
    CK_RV rv = run(u, "BEGIN IMMEDIATE");
    if (rv == CKR_TOKEN_WRITE_PROTECTED)
        return error_log(CKR_TOKEN_NOT_RECOGNIZED,
                         "the store %s was written by an older latchkey, and this user cannot "
                         "migrate it: let one who can write it run 'latchkey token list' once",
                         s->path);
    TRY(rv);
    TRY(look(u));
    if (s->version < schema_version)
        TRY(schema_migrate(u, s->version));
    s->data_version = -1;
    return run(u, "COMMIT");
}

static CK_RV begin(struct use *u, enum use_mode mode)
{
    struct store *s = u->s;
    TRY(get_ready(s, mode));
    if (!s->db)
        return CKR_OK;
    TRY(run(u, mode == USE_READ ? "BEGIN" : "BEGIN IMMEDIATE"));
    TRY(look(u));
    if (s->version > 0 && s->version < schema_version) {
        TRY(migrate_older(u));
        TRY(run(u, mode == USE_READ ? "BEGIN" : "BEGIN IMMEDIATE"));
        TRY(look(u));
    }
    if (mode == USE_CREATE && s->version < schema_version) {
        TRY(schema_migrate(u, s->version));
        s->data_version = -1; /* the version holds only if this use is committed: look again */
        u->exists = true;
    } else {
        u->exists = s->version > 0;
    }
    return CKR_OK;
}

CK_RV use_begin(struct use *u, struct store *s, enum use_mode mode)
{
    pthread_mutex_lock(&s->lock);
    u->s = s;
    if (mode != USE_READ)
        turns_let_others(&s->turns, s->dir);
    CK_RV rv = begin(u, mode);
    turns_waited(&s->turns);
    return rv;
}

CK_RV use_commit(struct use *u)
{
    u->s->generation++;
    CK_RV rv = run(u, "COMMIT");
    turns_waited(&u->s->turns);
    return rv;
}

void use_end(struct use *u)
{
    struct store *s = u->s;
    if (!s)
        return;
    if (s->db && !sqlite3_get_autocommit(s->db))
        run(u, "ROLLBACK");
    /* that can fail, too; left open, the transaction would keep others out and be the next one's */
    if (s->db && !sqlite3_get_autocommit(s->db))
        disconnect(s);
    turns_waited(&s->turns); /* a statement or the rollback may have waited, and given up */
    u->s = NULL;
    pthread_mutex_unlock(&s->lock);
}

/* ---- store.h -------------------------------------------------------------------------------- */

/* Absolute, as the host may change its directory before the first use. */
static char *absolute(const char *dir)
{
    char *here = dir[0] == '/' ? NULL : getcwd(NULL, 0);
    char *ret = NULL;
    if (asprintf(&ret, "%s%s%s", here ? here : "", here ? "/" : "", dir) < 0)
        ret = NULL;
    free(here);
    return ret;
}

CK_RV store_open(const char *dir, struct store **ret)
{
    struct store *s = calloc(1, sizeof(*s));
    if (!s)
        return CKR_HOST_MEMORY;
    pthread_mutex_init(&s->lock, NULL);
    s->data_version = -1;
    s->turns.waiting = -1;
    s->fd = -1;
    s->dir = absolute(dir);
    if (!s->dir || asprintf(&s->path, "%s/store.db", s->dir) < 0) {
        s->path = NULL;
        store_close(&s);
        return CKR_HOST_MEMORY;
    }
    *ret = s;
    return CKR_OK;
}

void store_close(struct store **s)
{
    if (!*s)
        return;
    disconnect(*s);
    pthread_mutex_destroy(&(*s)->lock);
    free((*s)->dir);
    free((*s)->path);
    free(*s);
    *s = NULL;
}

void store_abandon(struct store **s)
{
    /* still reachable, so that leak checkers do not report what is meant */
    static struct store *_Atomic abandoned;
    if (*s)
        (*s)->abandoned = atomic_exchange(&abandoned, *s);
    *s = NULL;
}

void store_before_fork(struct store *s)
{
    pthread_mutex_lock(&s->lock);
}

void store_after_fork_parent(struct store *s)
{
    pthread_mutex_unlock(&s->lock);
}

const char *store_dir(const struct store *s)
{
    return s->dir;
}

bool store_writable(struct store *s)
{
    return files_writable(s->path);
}

CK_RV store_generation(struct store *s, uint64_t *ret)
{
    pthread_mutex_lock(&s->lock);
    bool known = unchanged(s);
    if (known)
        *ret = s->generation;
    pthread_mutex_unlock(&s->lock);
    if (known)
        return CKR_OK;
    CLEANUP(use_end) struct use u = {0};
    TRY(use_begin(&u, s, USE_READ));
    *ret = u.exists ? s->generation : 0;
    return CKR_OK;
}
