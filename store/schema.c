#include "schema.h"

#include <inttypes.h>
#include <stdio.h>
#include <base/error.h>
#include "query.h"

#define APPLICATION_ID 0x4C4B4559 /* "LKEY" */

#define SEARCH(column)                                                                             \
    "CREATE INDEX object_" column " ON object (token, " column ", private)"                        \
    " WHERE " column " IS NOT NULL"

static const char *const version_1[] = {
    "CREATE TABLE token ("
    "  id            INTEGER PRIMARY KEY AUTOINCREMENT CHECK (id > 0),"
    "  uid           BLOB NOT NULL UNIQUE CHECK (length(uid) = 16),"
    "  serial        BLOB NOT NULL UNIQUE CHECK (length(serial) = 16),"
    "  label         BLOB CHECK (length(label) <= 32),"
    "  user_pin_set  INTEGER NOT NULL,"
    "  unattended    INTEGER NOT NULL,"
    "  pin_rounds    INTEGER NOT NULL,"
    "  generation    INTEGER NOT NULL CHECK (generation BETWEEN 1 AND 0xFFFFFFFF),"
    "  check_value   BLOB,"
    "  parent        INTEGER NOT NULL,"
    "  parent_name   BLOB,"
    "  parent_public BLOB,"
    "  user_nv       INTEGER NOT NULL,"
    "  user_nv_name  BLOB,"
    "  user_pub      BLOB,"
    "  user_priv     BLOB,"
    "  so_nv         INTEGER NOT NULL,"
    "  so_nv_name    BLOB,"
    "  so_pub        BLOB,"
    "  so_priv       BLOB"
    ") STRICT",
    "CREATE TABLE object ("
    "  id           INTEGER PRIMARY KEY AUTOINCREMENT CHECK (id > 0),"
    "  token        INTEGER NOT NULL REFERENCES token (id),"
    "  uid          BLOB NOT NULL UNIQUE CHECK (length(uid) = 16),"
    "  private      INTEGER NOT NULL CHECK (private IN (0, 1)),"
    "  generation   INTEGER NOT NULL,"
    "  cka_class    BLOB,"
    "  cka_key_type BLOB,"
    "  cka_id       BLOB,"
    "  cka_label    BLOB,"
    "  cka_subject  BLOB,"
    "  cka_issuer   BLOB,"
    "  cka_serial   BLOB,"
    "  auth         INTEGER NOT NULL,"
    "  parent       INTEGER NOT NULL,"
    "  parent_name  BLOB,"
    "  pub          BLOB,"
    "  priv         BLOB,"
    "  mac          BLOB,"
    "  attrs        BLOB"
    ") STRICT",
    "CREATE INDEX object_token ON object (token, private)",
    SEARCH("cka_class"),
    SEARCH("cka_key_type"),
    SEARCH("cka_id"),
    SEARCH("cka_label"),
    SEARCH("cka_subject"),
    SEARCH("cka_issuer"),
    SEARCH("cka_serial"),
    "CREATE TABLE nv ("
    "  id     INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  handle INTEGER NOT NULL,"
    "  name   BLOB,"
    "  intent INTEGER,"
    "  made   INTEGER NOT NULL"
    ") STRICT",
    "CREATE TABLE note ("
    "  id    INTEGER PRIMARY KEY,"
    "  key   TEXT NOT NULL UNIQUE,"
    "  value BLOB"
    ") STRICT",
    NULL,
};

static const char *const version_2[] = {
    "ALTER TABLE token ADD COLUMN max_pin_tries INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE token ADD COLUMN gate_0_nv INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE token ADD COLUMN gate_0_name BLOB",
    "ALTER TABLE token ADD COLUMN gate_1_nv INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE token ADD COLUMN gate_1_name BLOB",
    "ALTER TABLE token ADD COLUMN pepper_nv INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE token ADD COLUMN pepper_name BLOB",
    NULL,
};

/* migration[n] turns version n into n + 1. */
static const char *const *const migration[] = {version_1, version_2};

const int64_t schema_version = sizeof(migration) / sizeof(*migration);

static CK_RV number(struct use *u, const char *sql, int64_t *ret)
{
    CLEANUP(query_end) struct query q = query_begin(u, sql);
    bool row;
    TRY(query_row(&q, &row));
    *ret = row ? row_int(&q, INT64_MIN, INT64_MAX) : 0;
    return CKR_OK;
}

CK_RV schema_look(struct use *u, int64_t *ret)
{
    int64_t application, version, tables;
    TRY(number(u, "PRAGMA application_id", &application));
    TRY(number(u, "PRAGMA user_version", &version));
    TRY(number(u, "SELECT count(*) FROM sqlite_schema", &tables));
    bool blank = application == 0 && version == 0 && tables == 0;
    if (!blank && (application != APPLICATION_ID || version < 1))
        return error_log(CKR_DEVICE_ERROR, "%s is not a latchkey store; it is left alone",
                         u->s->path);
    if (version > schema_version)
        return error_log(CKR_TOKEN_NOT_RECOGNIZED,
                         "the store %s has format %" PRId64 ", this module knows %" PRId64
                         ": install the newer latchkey",
                         u->s->path, version, schema_version);
    *ret = version;
    return CKR_OK;
}

CK_RV schema_migrate(struct use *u, int64_t version)
{
    char marks[96];
    snprintf(marks, sizeof(marks), "PRAGMA application_id = %d; PRAGMA user_version = %" PRId64,
             APPLICATION_ID, schema_version);
    int code = SQLITE_OK;
    for (int64_t v = version; v < schema_version; v++)
        for (const char *const *sql = migration[v]; *sql && code == SQLITE_OK; sql++)
            code = sqlite3_exec(u->s->db, *sql, NULL, NULL, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_exec(u->s->db, marks, NULL, NULL, NULL);
    return connection_error(u->s, code);
}
