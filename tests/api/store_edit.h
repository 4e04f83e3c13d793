/* The store edited behind the module's back, by somebody who can write the file but knows no PIN.
 * store/FORMAT.md says what is where. Each test has a copy of the store to spoil. */
#ifndef TESTS_STORE_EDIT_H
#define TESTS_STORE_EDIT_H

#include "keys.h"

#include <sqlite3.h>
#include <stdio.h>

static char store_copy[80], store_parameters[120];

/* ---- set-up -------------------------------------------------------------------------------- */

/* A fresh copy; the module works on it, not initialised yet. */
static inline void copy_the_store(void)
{
    char command[256];
    snprintf(store_copy, sizeof store_copy, "%s-copy", fx.store);
    snprintf(store_parameters, sizeof store_parameters, "store='%s'", store_copy);
    snprintf(command, sizeof command, "rm -rf '%s' && cp -a '%s' '%s'", store_copy, fx.store,
             store_copy);
    assert_int_equal(system(command), 0);
}

/* Logged in on a copy, in a read-write session. */
static inline int test_copy(void **state)
{
    (void)state;
    copy_the_store();
    assert_ok(initialize(store_parameters));
    fx.session = open_session(fx.slot, CKF_RW_SESSION);
    assert_ok(login(fx.session, CKU_USER, USER_PIN));
    return 0;
}

/* ---- rows ---------------------------------------------------------------------------------- */

/* CKA_UNIQUE_ID, which is the hexadecimal object.uid: names the row also when the object can no
 * longer be read. */
struct uid {
    char hex[33];
};

static inline struct uid uid_of(CK_OBJECT_HANDLE object)
{
    struct uid uid = {{0}};
    struct blob value = get_attribute(fx.session, object, CKA_UNIQUE_ID);
    assert_int_equal(value.n, 32);
    memcpy(uid.hex, value.p, 32);
    return uid;
}

static inline sqlite3 *open_copy(void)
{
    char path[100];
    sqlite3 *db;
    snprintf(path, sizeof path, "%s/store.db", store_copy);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    return db;
}

static inline void edit(const char *sql)
{
    sqlite3 *db = open_copy();
    char *error = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &error) != SQLITE_OK)
        fail_msg("%s: %s", sql, error);
    assert_true(sqlite3_total_changes(db) > 0);
    sqlite3_close(db);
}

/* A column's bytes. */
struct field {
    size_t n;
    CK_BYTE p[128 * 1024];
};

/* The one value that the query finds. */
static inline void read_value(const char *sql, struct field *ret)
{
    sqlite3 *db = open_copy();
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    ret->n = (size_t)sqlite3_column_bytes(statement, 0);
    assert_in_range(ret->n, 0, sizeof ret->p);
    if (ret->n > 0)
        memcpy(ret->p, sqlite3_column_blob(statement, 0), ret->n);
    sqlite3_finalize(statement);
    sqlite3_close(db);
}

static inline void read_field(struct uid uid, const char *column, struct field *ret)
{
    char sql[160];
    snprintf(sql, sizeof sql, "SELECT %s FROM object WHERE uid = X'%s'", column, uid.hex);
    read_value(sql, ret);
}

static inline void write_field(struct uid uid, const char *column, const struct field *value)
{
    char sql[160];
    sqlite3 *db = open_copy();
    sqlite3_stmt *statement;
    snprintf(sql, sizeof sql, "UPDATE object SET %s = ? WHERE uid = X'%s'", column, uid.hex);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    sqlite3_bind_blob(statement, 1, value->p, (int)value->n, SQLITE_STATIC);
    assert_int_equal(sqlite3_step(statement), SQLITE_DONE);
    assert_int_equal(sqlite3_changes(db), 1);
    sqlite3_finalize(statement);
    sqlite3_close(db);
}

static inline void remove_mac(struct uid uid)
{
    char sql[120];
    snprintf(sql, sizeof sql, "UPDATE object SET mac = NULL WHERE uid = X'%s'", uid.hex);
    edit(sql);
}

/* These columns of two rows change places. */
static inline void swap_field(struct uid a, struct uid b, const char *column)
{
    static struct field of_a, of_b;
    read_field(a, column, &of_a);
    read_field(b, column, &of_b);
    write_field(a, column, &of_b);
    write_field(b, column, &of_a);
}

/* ---- packed attributes: type (64 bits), kind (8), length (32), value; big-endian ------------- */

enum { ATTRIBUTE_HEADER = 13 };

static inline uint64_t big_endian(const CK_BYTE *p, size_t n)
{
    uint64_t value = 0;
    for (size_t i = 0; i < n; i++)
        value = value << 8 | p[i];
    return value;
}

/* Where the attribute begins; ret: its length with header. */
static inline size_t find_attribute(const struct field *attrs, CK_ATTRIBUTE_TYPE type, size_t *ret)
{
    for (size_t at = 0; at < attrs->n; at += *ret) {
        *ret = ATTRIBUTE_HEADER + big_endian(attrs->p + at + 9, 4);
        if (big_endian(attrs->p + at, 8) == type)
            return at;
    }
    fail_msg("the row has no attribute 0x%lx", type);
    return 0;
}

static inline void replace_attribute(struct field *attrs, CK_ATTRIBUTE_TYPE type, const void *p,
                                     size_t n)
{
    size_t old = 0, at = find_attribute(attrs, type, &old), fresh = ATTRIBUTE_HEADER + n;
    assert_in_range(attrs->n - old + fresh, 0, sizeof attrs->p);
    memmove(attrs->p + at + fresh, attrs->p + at + old, attrs->n - at - old);
    attrs->n = attrs->n - old + fresh;
    for (size_t i = 0; i < 4; i++)
        attrs->p[at + 9 + i] = (CK_BYTE)(n >> (24 - 8 * i));
    if (n > 0)
        memcpy(attrs->p + at + ATTRIBUTE_HEADER, p, n);
}

/* The same in the row. */
static inline void forge_attribute(struct uid uid, CK_ATTRIBUTE_TYPE type, const void *p, size_t n)
{
    static struct field attrs;
    read_field(uid, "attrs", &attrs);
    replace_attribute(&attrs, type, p, n);
    write_field(uid, "attrs", &attrs);
}

#endif
