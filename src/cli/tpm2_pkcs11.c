#include "tpm2_pkcs11.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yaml.h>

enum { SCHEMA_OLDEST = 3, SCHEMA_NEWEST = 9, SCHEMA_WITH_CONFIG = 4 };

struct db {
    sqlite3 *db;
    int version;
    const char *path;
};

/* ---- values -------------------------------------------------------------------------------- */

static int digit(char c)
{
    return isdigit((unsigned char)c)    ? c - '0'
           : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10
                                        : -1;
}

static bool from_hex(const char *text, size_t n, struct buf *ret)
{
    for (size_t i = 0; i + 1 < n; i += 2) {
        int high = digit(text[i]), low = digit(text[i + 1]);
        if (high < 0 || low < 0 || buf_u8(ret, (uint8_t)(high << 4 | low)) != CKR_OK)
            return false;
    }
    return n % 2 == 0;
}

/* ---- YAML ---------------------------------------------------------------------------------- */

static bool scalar_is(const yaml_node_t *node, const char *text)
{
    return node && node->type == YAML_SCALAR_NODE &&
           strcmp((const char *)node->data.scalar.value, text) == 0;
}

/* A scalar's tag says what it is: the program writes them all, !!str in hexadecimal. */
static bool take_scalar(const yaml_node_t *node, struct buf *ret)
{
    const char *tag = (const char *)node->tag, *text = (const char *)node->data.scalar.value;
    char *end;
    if (strcmp(tag, YAML_BOOL_TAG) == 0)
        return buf_u8(ret, strcmp(text, "true") == 0) == CKR_OK;
    if (strcmp(tag, YAML_INT_TAG) != 0)
        return from_hex(text, strlen(text), ret);
    CK_ULONG n = strtoul(text, &end, 0);
    return *text && !*end && buf_append(ret, &n, sizeof(n)) == CKR_OK;
}

static bool add_attribute(const yaml_node_t *key, const yaml_node_t *value, struct old_object *o)
{
    char *end;
    if (!key || !value || key->type != YAML_SCALAR_NODE)
        return false;
    CK_ATTRIBUTE_TYPE type = strtoul((const char *)key->data.scalar.value, &end, 0);
    if (value->type != YAML_SCALAR_NODE || old_attribute(o, type).n)
        return !*end; /* a list; or there twice: the program takes the first */
    struct buf *room = *end ? NULL : old_attribute_add(o, type);
    return room && take_scalar(value, room);
}

static bool each_pair(const char *text,
                      bool (*take)(const yaml_node_t *, const yaml_node_t *, void *), void *context)
{
    yaml_parser_t parser;
    yaml_document_t document;
    bool ok = false;
    if (!yaml_parser_initialize(&parser))
        return false;
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, strlen(text));
    if (yaml_parser_load(&parser, &document)) {
        const yaml_node_t *root = yaml_document_get_root_node(&document);
        ok = root && root->type == YAML_MAPPING_NODE;
        for (yaml_node_pair_t *p = ok ? root->data.mapping.pairs.start : NULL;
             ok && p < root->data.mapping.pairs.top; p++)
            ok = take(yaml_document_get_node(&document, p->key),
                      yaml_document_get_node(&document, p->value), context);
        yaml_document_delete(&document);
    }
    yaml_parser_delete(&parser);
    return ok;
}

static bool take_attribute(const yaml_node_t *key, const yaml_node_t *value, void *object)
{
    return add_attribute(key, value, object);
}

static bool take_token_config(const yaml_node_t *key, const yaml_node_t *value, void *context)
{
    struct old_token *t = context;
    if (scalar_is(key, "empty-user-pin"))
        t->empty_pin = scalar_is(value, "true");
    return true;
}

enum { OWNER = 0x40000001 };

/* An ESYS_TR as Esys_TR_Serialize writes it begins with the TPM handle. */
static bool take_esys_tr(struct bytes tr, struct old_token *t)
{
    if (tr.n < 4)
        return false;
    t->parent =
        (CK_ULONG)tr.p[0] << 24 | (CK_ULONG)tr.p[1] << 16 | (CK_ULONG)tr.p[2] << 8 | tr.p[3];
    return t->parent >> 24 == 0x81;
}

static bool take_parent_config(const yaml_node_t *key, const yaml_node_t *value, void *context)
{
    struct old_token *t = context;
    CLEANUP(buf_free) struct buf tr = {0};
    if (scalar_is(key, "transient") && scalar_is(value, "true"))
        t->parent = OWNER;
    if (!scalar_is(key, "esys-tr") || value->type != YAML_SCALAR_NODE)
        return true;
    const char *text = (const char *)value->data.scalar.value;
    return from_hex(text, strlen(text), &tr) && take_esys_tr(buf_bytes(&tr), t);
}

/* ---- SQLite -------------------------------------------------------------------------------- */

static CK_RV damaged(const struct db *s)
{
    return fail(EXIT_FAILED, NULL, "the store %s cannot be read: %s", s->path,
                sqlite3_errmsg(s->db));
}

static void statement_free(sqlite3_stmt **q)
{
    sqlite3_finalize(*q);
}

/* The first row for that number; *ret_row false when there is none. */
static CK_RV query(struct db *s, const char *sql, long long number, sqlite3_stmt **ret,
                   bool *ret_row)
{
    if (sqlite3_prepare_v2(s->db, sql, -1, ret, NULL) != SQLITE_OK)
        return damaged(s);
    sqlite3_bind_int64(*ret, 1, number);
    int rc = sqlite3_step(*ret);
    *ret_row = rc == SQLITE_ROW;
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? CKR_OK : damaged(s);
}

static struct bytes column(sqlite3_stmt *q, int i)
{
    const void *p = sqlite3_column_blob(q, i);
    return p ? BYTES(p, (size_t)sqlite3_column_bytes(q, i)) : NO_BYTES;
}

static const char *column_text(sqlite3_stmt *q, int i)
{
    const unsigned char *text = sqlite3_column_text(q, i);
    return text ? (const char *)text : "";
}

static CK_RV check_version(struct db *s)
{
    CLEANUP(statement_free) sqlite3_stmt *q = NULL;
    bool row;
    TRY(query(s, "SELECT max(schema_version) FROM schema WHERE ?1 = 0", 0, &q, &row));
    s->version = row ? sqlite3_column_int(q, 0) : 0;
    if (s->version >= SCHEMA_OLDEST && s->version <= SCHEMA_NEWEST)
        return CKR_OK;
    return fail(EXIT_FAILED,
                s->version < SCHEMA_OLDEST
                    ? "Let the program itself bring it up to date first: tpm2_ptool dbup"
                    : "There may be a newer latchkey that knows it.",
                "the store %s has schema version %d; %d to %d are known", s->path, s->version,
                SCHEMA_OLDEST, SCHEMA_NEWEST);
}

/* Where libtpm2_pkcs11 looks (its db.c). */
static CK_RV find_store(const char *dir, char *ret, size_t n)
{
    const char *home = getenv("HOME"), *set = getenv("TPM2_PKCS11_STORE");
    char own[3072];
    snprintf(own, sizeof(own), "%s/.tpm2_pkcs11", home ? home : "");
    const char *places[] = {dir, dir ? NULL : set, dir || set ? NULL : "/etc/tpm2_pkcs11",
                            dir || set ? NULL : own};
    for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
        snprintf(ret, n, "%s/tpm2_pkcs11.sqlite3", places[i] ? places[i] : "");
        if (places[i] && access(ret, F_OK) == 0)
            return CKR_OK;
    }
    return fail(EXIT_NOT_FOUND, "Give the directory that holds tpm2_pkcs11.sqlite3.",
                "there is no store of tpm2-pkcs11 in %s",
                dir   ? dir
                : set ? set
                      : "/etc/tpm2_pkcs11 and ~/.tpm2_pkcs11");
}

static CK_RV open_db(struct db *s)
{
    if (sqlite3_open_v2(s->path, &s->db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK)
        return damaged(s);
    sqlite3_busy_timeout(s->db, 5000);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    return check_version(s);
}

static void close_db(struct db *s)
{
    sqlite3_close(s->db);
}

/* ---- a token ------------------------------------------------------------------------------- */

static CK_RV read_parent(struct db *s, long long id, struct old_token *t)
{
    CLEANUP(statement_free) sqlite3_stmt *q = NULL;
    bool row, with_config = s->version >= SCHEMA_WITH_CONFIG;
    TRY(query(s,
              with_config ? "SELECT config, objauth FROM pobjects WHERE id = ?1"
                          : "SELECT handle, objauth FROM pobjects WHERE id = ?1",
              id, &q, &row));
    bool ok = row && (with_config ? each_pair(column_text(q, 0), take_parent_config, t)
                                  : take_esys_tr(column(q, 0), t));
    if (!ok || !t->parent)
        return fail(EXIT_FAILED, NULL, "the primary key of the token '%s' in %s cannot be read",
                    t->label ? t->label : "", s->path);
    t->parent_auth = *column_text(q, 1) != '\0';
    return CKR_OK;
}

static CK_RV read_seal(struct db *s, long long id, struct old_token *t)
{
    CLEANUP(statement_free) sqlite3_stmt *q = NULL;
    bool row;
    TRY(query(s, "SELECT userpub, userpriv, userauthsalt FROM sealobjects WHERE tokid = ?1", id, &q,
              &row));
    if (!row)
        return CKR_OK;
    TRY(buf_bytes_append(&t->public, column(q, 0)));
    TRY(buf_bytes_append(&t->sealed, column(q, 1)));
    return buf_bytes_append(&t->salt, column(q, 2));
}

static CK_RV read_object(struct db *s, sqlite3_stmt *q, struct old_token *t)
{
    struct old_object *o = old_object_add(t);
    if (!o)
        return CKR_HOST_MEMORY;
    snprintf(o->name, sizeof(o->name), "object %lld", (long long)sqlite3_column_int64(q, 0));
    return each_pair(column_text(q, 1), take_attribute, o)
               ? CKR_OK
               : fail(EXIT_FAILED, NULL, "the attributes of %s in %s cannot be read", o->name,
                      s->path);
}

static CK_RV read_objects(struct db *s, long long id, struct old_token *t)
{
    CLEANUP(statement_free) sqlite3_stmt *q = NULL;
    bool row;
    TRY(query(s, "SELECT id, attrs FROM tobjects WHERE tokid = ?1 ORDER BY id", id, &q, &row));
    while (row) {
        TRY(read_object(s, q, t));
        row = sqlite3_step(q) == SQLITE_ROW;
    }
    return CKR_OK;
}

static CK_RV read_token(struct db *s, long long id, struct old_token *t)
{
    CLEANUP(statement_free) sqlite3_stmt *q = NULL;
    bool row;
    TRY(query(s, "SELECT label, config, pid FROM tokens WHERE id = ?1", id, &q, &row));
    if (!row || !each_pair(column_text(q, 1), take_token_config, t))
        return fail(EXIT_FAILED, NULL, "token %lld in %s cannot be read", id, s->path);
    if (*column_text(q, 0)) {
        t->label = strdup(column_text(q, 0));
        if (!t->label)
            return CKR_HOST_MEMORY;
    }
    TRY(read_parent(s, sqlite3_column_int64(q, 2), t));
    TRY(read_seal(s, id, t));
    return read_objects(s, id, t);
}

CK_RV tpm2_pkcs11_read(const char *dir, struct old_store *ret)
{
    CLEANUP(close_db) struct db s = {.path = ret->path};
    CLEANUP(statement_free) sqlite3_stmt *q = NULL;
    bool row;
    TRY(find_store(dir, ret->path, sizeof(ret->path)));
    TRY(open_db(&s));
    TRY(query(&s, "SELECT id FROM tokens WHERE id > ?1 ORDER BY id", 0, &q, &row));
    while (row) {
        struct old_token *t = old_token_add(ret);
        if (!t)
            return CKR_HOST_MEMORY;
        TRY(read_token(&s, sqlite3_column_int64(q, 0), t));
        row = sqlite3_step(q) == SQLITE_ROW;
    }
    return CKR_OK;
}

/* ---- its secrets --------------------------------------------------------------------------- */

CK_RV tpm2_pkcs11_pin_auth(const struct old_token *t, struct bytes pin, struct secret *ret)
{
    static const char digits[] = "0123456789abcdef";
    CLEANUP(secret_free) struct secret digest = {0};
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    CK_RV rv = secret_new(&digest, 32);
    bool ok = rv == CKR_OK && context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) &&
              EVP_DigestUpdate(context, pin.p, pin.n) &&
              EVP_DigestUpdate(context, t->salt.p, t->salt.n) &&
              EVP_DigestFinal_ex(context, digest.p, NULL);
    EVP_MD_CTX_free(context);
    if (!ok)
        return CKR_HOST_MEMORY;
    TRY(secret_new(ret, 32));
    for (size_t i = 0; i < ret->n; i++)
        ret->p[i] = (uint8_t)digits[digest.p[i / 2] >> (i % 2 ? 0 : 4) & 15];
    return CKR_OK;
}

static bool decrypt(struct bytes key, struct bytes iv, struct bytes tag, struct bytes in,
                    struct secret *out)
{
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int n = 0, rest = 0;
    bool ok =
        context && key.n == 32 && tag.n == 16 && iv.n && iv.n <= 64 &&
        EVP_DecryptInit_ex(context, EVP_aes_256_gcm(), NULL, NULL, NULL) &&
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_IVLEN, (int)iv.n, NULL) &&
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, (int)tag.n, (void *)(uintptr_t)tag.p) &&
        EVP_DecryptInit_ex(context, NULL, NULL, key.p, iv.p) &&
        EVP_DecryptUpdate(context, out->p, &n, in.p, (int)in.n) &&
        EVP_DecryptFinal_ex(context, out->p + n, &rest) > 0;
    EVP_CIPHER_CTX_free(context);
    return ok;
}

/* The next part of "iv:tag:ciphertext". */
static bool part(struct bytes *text, struct buf *ret)
{
    const uint8_t *colon = memchr(text->p, ':', text->n);
    size_t n = colon ? (size_t)(colon - text->p) : text->n;
    bool ok = from_hex((const char *)text->p, n, ret);
    size_t used = colon ? n + 1 : n;
    *text = BYTES(text->p + used, text->n - used);
    return ok;
}

CK_RV tpm2_pkcs11_key_auth(const struct old_object *o, struct bytes wrapping_key,
                           struct secret *ret)
{
    CLEANUP(buf_free) struct buf key = {0}, iv = {0}, tag = {0}, in = {0};
    CLEANUP(secret_free) struct secret out = {0};
    struct bytes text = old_attribute(o, OLD_OBJECT_AUTH);
    if (!text.n) /* a key without an authorization */
        return CKR_OK;
    bool ok = from_hex((const char *)wrapping_key.p, wrapping_key.n, &key) && part(&text, &iv) &&
              part(&text, &tag) && part(&text, &in) && in.n && in.n <= 32 &&
              secret_new(&out, in.n) == CKR_OK &&
              decrypt(buf_bytes(&key), buf_bytes(&iv), buf_bytes(&tag), buf_bytes(&in), &out);
    secret_wipe(key.p, key.n);
    return ok ? secret_copy(ret, secret_bytes(&out)) : CKR_ENCRYPTED_DATA_INVALID;
}
