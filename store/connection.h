/* The connection to store.db and the stay of one function in it. */
#ifndef STORE_CONNECTION_H
#define STORE_CONNECTION_H

#include <pthread.h>
#include <sqlite3.h>
#include <base/host.h>
#include "store.h"
#include "turns.h"

enum { STATEMENTS = 64, STAMP = 12 };

struct store {
    char *dir, *path;     /* absolute, constant */
    pthread_mutex_t lock; /* guards all that follows */
    sqlite3 *db;          /* NULL: not open */
    int fd;               /* db's; -1: not known */
    struct host_file file;
    bool read_only;
    sqlite3_stmt *statement[STATEMENTS]; /* prepared, found again by their text */
    size_t n_statements;
    int64_t data_version; /* PRAGMA data_version when the header was last looked at; -1: never */
    int64_t version;      /* user_version then; 0: nothing in it yet */
    uint64_t generation;
    uint8_t stamp[STAMP]; /* of the file when data_version was last looked at; zeros: not known */
    struct turns turns;
    struct store *abandoned; /* the next of a forked child's list */
};

enum use_mode {
    USE_READ,
    USE_WRITE, /* a store that does not exist stays so */
    USE_CREATE /* makes it */
};

/* One function's stay: the mutex and one transaction. */
struct use {
    struct store *s;
    bool exists; /* false: there is no store, and no transaction */
};

/* Call use_end also after a failure: CLEANUP(use_end) struct use u = {0}. */
CK_RV use_begin(struct use *u, struct store *s, enum use_mode mode);
/* What was written is on disk when this answers CKR_OK. */
CK_RV use_commit(struct use *u);
/* Rolls back what was not committed. */
void use_end(struct use *u);

/* Logs an SQLite result code with what can be done about it. SQLITE_OK, _ROW, _DONE: CKR_OK. */
CK_RV connection_error(struct store *s, int code);

#endif
