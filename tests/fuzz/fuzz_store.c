/* A store that somebody else has written: valid SQLite, and any value in any column of its rows.
 * The input is a number of changes to one token and one object; then everything is read that needs
 * no TPM. */
#include "fuzz_token.h"

#include <sqlite3.h>
#include <unistd.h>

static const struct {
    const char *table, *name;
} columns[] = {
    {"object", "attrs"},       {"object", "pub"},          {"object", "priv"},
    {"object", "mac"},         {"object", "auth"},         {"object", "parent"},
    {"object", "parent_name"}, {"object", "private"},      {"object", "generation"},
    {"object", "uid"},         {"object", "cka_class"},    {"object", "cka_key_type"},
    {"object", "cka_id"},      {"object", "cka_label"},    {"object", "cka_subject"},
    {"object", "cka_issuer"},  {"object", "cka_serial"},   {"object", "token"},
    {"object", "id"},          {"token", "uid"},           {"token", "serial"},
    {"token", "label"},        {"token", "user_pin_set"},  {"token", "unattended"},
    {"token", "pin_rounds"},   {"token", "generation"},    {"token", "check_value"},
    {"token", "parent"},       {"token", "parent_name"},   {"token", "parent_public"},
    {"token", "user_nv"},      {"token", "user_nv_name"},  {"token", "user_pub"},
    {"token", "user_priv"},    {"token", "so_nv"},         {"token", "so_nv_name"},
    {"token", "so_pub"},       {"token", "so_priv"},       {"token", "id"},
    {"note", "value"},         {"nv", "handle"},           {"nv", "name"},
    {"nv", "intent"},          {"sqlite_sequence", "seq"}, {"token", "max_pin_tries"},
    {"token", "gate_0_nv"},    {"token", "gate_0_name"},   {"token", "gate_1_nv"},
    {"token", "gate_1_name"},  {"token", "pepper_nv"},     {"token", "pepper_name"},
};
enum { COLUMNS = sizeof(columns) / sizeof(*columns) };

static sqlite3 *db;

static void run(const char *sql)
{
    sqlite3_exec(db, sql, NULL, NULL, NULL);
}

/* STRICT tables refuse what is of another type; then the column stays. */
static void change(struct bytes *in)
{
    char sql[128];
    sqlite3_stmt *statement;
    uint8_t column = next_u8(in) % COLUMNS, kind = next_u8(in) % 4;
    struct bytes value = NO_BYTES;
    uint64_t number = 0;
    uint16_t n = 0;
    snprintf(sql, sizeof(sql), "UPDATE %s SET %s = ?", columns[column].table, columns[column].name);
    CHECK(sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK);
    if (kind == 0) {
        bytes_take_u64(in, &number);
        sqlite3_bind_int64(statement, 1, (sqlite3_int64)number);
    } else if (kind == 1) {
        sqlite3_bind_int64(statement, 1, next_u8(in));
    } else if (kind == 2) {
        bytes_take_u16(in, &n);
        bytes_take(in, n < in->n ? n : in->n, &value);
        sqlite3_bind_blob64(statement, 1, value.n ? (const void *)value.p : "", value.n,
                            SQLITE_TRANSIENT);
    }
    sqlite3_step(statement);
    sqlite3_finalize(statement);
}

/* ---- what reads ---------------------------------------------------------------------------- */

static void attributes(struct session *s, CK_OBJECT_HANDLE object)
{
    static const CK_ATTRIBUTE_TYPE types[] = {
        CKA_CLASS,     CKA_KEY_TYPE,        CKA_LABEL,           CKA_ID,
        CKA_VALUE,     CKA_MODULUS,         CKA_PUBLIC_EXPONENT, CKA_EC_POINT,
        CKA_EC_PARAMS, CKA_PUBLIC_KEY_INFO, CKA_UNIQUE_ID,       CKA_PRIVATE_EXPONENT,
        CKA_TRUSTED,   CKA_WRAP_TEMPLATE,   CKA_CHECK_VALUE,     CKA_ALLOWED_MECHANISMS};
    enum { TYPES = sizeof(types) / sizeof(*types) };
    CK_ULONG size;
    for (int i = 0; i < TYPES; i++) {
        CK_ATTRIBUTE a = {types[i], NULL, 0};
        if (session_get_attributes(s, object, &a, 1) != CKR_OK || a.ulValueLen > 1 << 24)
            continue;
        a.pValue = calloc(1, a.ulValueLen + 1);
        CHECK(a.pValue);
        session_get_attributes(s, object, &a, 1);
        free(a.pValue);
    }
    session_object_size(s, object, &size);
}

static void operations(struct session *s, CK_OBJECT_HANDLE object)
{
    static const struct {
        enum op_kind kind;
        CK_MECHANISM_TYPE type;
    } tries[] = {
        {OP_VERIFY, CKM_SHA256_RSA_PKCS}, {OP_VERIFY, CKM_ECDSA}, {OP_VERIFY, CKM_EDDSA},
        {OP_ENCRYPT, CKM_RSA_PKCS},       {OP_SIGN, CKM_ECDSA},   {OP_ENCRYPT, CKM_AES_ECB},
        {OP_SIGN, CKM_SHA256_HMAC}};
    static const uint8_t signature[512] = {1};
    CK_BYTE out[2048];
    for (size_t i = 0; i < sizeof(tries) / sizeof(*tries); i++) {
        CK_ULONG n = sizeof(out);
        if (op_init(s, tries[i].kind, &(CK_MECHANISM){tries[i].type, NULL, 0}, object) != CKR_OK)
            continue;
        if (tries[i].kind == OP_VERIFY)
            op_verify(s, false, BYTES(signature, 32), BYTES(signature, 64));
        else
            op_once(s, tries[i].kind, BYTES(signature, 32), out, &n);
        op_init(s, tries[i].kind, NULL, CK_INVALID_HANDLE);
    }
}

static void objects(struct session *s)
{
    CK_OBJECT_HANDLE found[16], fresh;
    CK_ULONG n = 0;
    CK_BBOOL no = CK_FALSE;
    CK_ATTRIBUTE searched[] = {{CKA_LABEL, (CK_UTF8CHAR *)"label", 5}, {CKA_TOKEN, &no, 1}};
    for (CK_ULONG with = 0; with < 2; with++) {
        if (session_find_init(s, searched, with) == CKR_OK)
            session_find(s, found, 16, &n);
        session_find_final(s);
    }
    if (session_find_init(s, NULL, 0) != CKR_OK)
        return;
    session_find(s, found, 16, &n);
    session_find_final(s);
    for (CK_ULONG i = 0; i < n && i < 16; i++) {
        if (builtin_handle(found[i]))
            continue;
        attributes(s, found[i]);
        operations(s, found[i]);
        session_copy_object(s, found[i], &searched[1], 1, &fresh);
    }
}

static void finding(void *context, CK_ULONG level, const char *id, const char *text,
                    const char *remedy)
{
    (void)context, (void)level, (void)remedy;
    CHECK(*id && *text);
}

static void read_all(void)
{
    CK_SESSION_HANDLE handle;
    CK_TOKEN_INFO info;
    CK_SLOT_INFO slot;
    CK_SLOT_ID slots[8];
    CK_ULONG n = 8;
    struct session *s = NULL;
    struct library *lib = token_open(&handle);
    slot_list(lib, true, slots, &n);
    slot_info(lib, 1, &slot);
    token_info(lib, 1, &info);
    admin_doctor(lib, finding, NULL);
    if (handle != CK_INVALID_HANDLE && session_acquire(lib, handle, &s) == CKR_OK) {
        objects(s);
        session_login(s, CKU_USER, BYTES_STR("1234"));
        session_release(&s);
    }
    library_close(&lib);
}

/* ---- the target ---------------------------------------------------------------------------- */

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    char path[160];
    (void)argc, (void)argv;
    log_setup(LOG_ERROR, "/dev/null");
    token_make(BYTES_STR("attributes come from the input"));
    snprintf(path, sizeof(path), "%s/store.db", scratch);
    CHECK(sqlite3_open(path, &db) == SQLITE_OK);
    run("PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY");
    run("PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF");
    run("CREATE TEMP TABLE t AS SELECT * FROM token; CREATE TEMP TABLE o AS SELECT * FROM object");
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes in = BYTES(data, size);
    run("BEGIN; DELETE FROM object; DELETE FROM token; DELETE FROM note; DELETE FROM nv;"
        "INSERT INTO main.token SELECT * FROM t; INSERT INTO main.object SELECT * FROM o;"
        "INSERT INTO note (key, value) VALUES ('tpm-capabilities', x'00');"
        "INSERT INTO nv (handle, made) VALUES (25165825, 1); UPDATE sqlite_sequence SET seq = 1");
    for (int i = 0; i < 12 && in.n; i++)
        change(&in);
    run("COMMIT");
    read_all();
    return 0;
}
