#include <latchkey/vendor.h>
#include <stdio.h>
#include <string.h>
#include "module.h"
#include "object.h"
#include "pin.h"
#include "public_key.h"
#include "uri.h"
#include "verbs.h"

/* ---- list and show ---- */

static CK_RV cells_of_usage(struct cli *cli, struct table *t, CK_OBJECT_HANDLE key)
{
    static const struct {
        CK_ATTRIBUTE_TYPE attribute;
        const char *name;
    } rows[] = {{CKA_SIGN, "sign"},       {CKA_VERIFY, "verify"}, {CKA_ENCRYPT, "encrypt"},
                {CKA_DECRYPT, "decrypt"}, {CKA_DERIVE, "derive"}, {CKA_WRAP, "wrap"},
                {CKA_UNWRAP, "unwrap"}};
    char text[80] = "";
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (!object_bool(cli, key, rows[i].attribute))
            continue;
        strcat(text, *text ? "," : "");
        strcat(text, rows[i].name);
    }
    table_cell(t, "%s", text);
    return CKR_OK;
}

/* latchkey's own attribute; of other modules' keys nothing is known. */
static CK_RV cell_protection(struct cli *cli, struct table *t, CK_OBJECT_HANDLE key)
{
    CLEANUP(buf_free) struct buf text = {0};
    TRY(object_attribute(cli, key, CKA_LATCHKEY_PROTECTION, &text));
    text.n ? table_cell(t, "%.*s", (int)text.n, (char *)text.p) : table_none(t);
    return CKR_OK;
}

#define KEY_COLUMNS                                                                                \
    {"label", "LABEL", CELL_TEXT}, {"id", "ID", CELL_TEXT}, {"type", "TYPE", CELL_TEXT},           \
        {"class", "CLASS", CELL_TEXT}, {"usage", "USAGE", CELL_LIST},                              \
    {                                                                                              \
        "protection", "PROTECTION", CELL_TEXT                                                      \
    }

static CK_RV cells_of_key(struct cli *cli, struct table *t, const struct object *key)
{
    table_cell(t, "%s", (char *)key->label.p);
    TRY(cell_id(t, key));
    TRY(cell_type(cli, t, key));
    table_cell(t, "%s", object_class(key->cls));
    TRY(cells_of_usage(cli, t, key->handle));
    return cell_protection(cli, t, key->handle);
}

static CK_RV rows_of_class(struct cli *cli, struct table *t, CK_OBJECT_CLASS cls)
{
    CLEANUP(handles_free) struct handles found = {0};
    CK_ATTRIBUTE wanted[] = {{CKA_CLASS, &cls, sizeof(cls)}};
    TRY(objects_find(cli, wanted, 1, &found));
    for (size_t i = 0; i < found.n; i++) {
        CLEANUP(object_free) struct object key = {0};
        TRY(object_read(cli, found.h[i], &key));
        if (cls == CKO_PUBLIC_KEY && public_key_has_private(cli, &key))
            continue; /* it says nothing more than its private half */
        TRY(cells_of_key(cli, t, &key));
        TRY(cell_uri(cli, t, cls, &key));
    }
    return CKR_OK;
}

CK_RV key_list(struct cli *cli)
{
    static const struct column columns[] = {KEY_COLUMNS, {"uri", NULL, CELL_TEXT}};
    CLEANUP(table_free) struct table t = TABLE(columns);
    TRY(token_open(cli, NULL, cli->option[OPT_LOGIN] ? OPEN_LOGIN : OPEN_READ));
    TRY(rows_of_class(cli, &t, CKO_PRIVATE_KEY));
    TRY(rows_of_class(cli, &t, CKO_SECRET_KEY));
    TRY(rows_of_class(cli, &t, CKO_PUBLIC_KEY));
    if (!t.n_cells)
        fputs(cli->option[OPT_LOGIN] ? "No keys yet. Make one: latchkey key generate\n"
                                     : "No public keys. Private ones are seen with --login.\n",
              stderr);
    return table_print_list(&t, cli->option[OPT_JSON]);
}

static CK_RV cell_pem(struct cli *cli, struct table *t, const struct key_pair *pair)
{
    CLEANUP(public_key_free) EVP_PKEY *key = NULL;
    CLEANUP(buf_free) struct buf pem = {0};
    if (key_half(pair)->cls == CKO_SECRET_KEY) {
        table_none(t);
        return CKR_OK;
    }
    TRY(public_key_of(cli, pair, &key));
    TRY(public_key_pem(key, &pem));
    table_cell(t, "%.*s", (int)pem.n, (char *)pem.p);
    return CKR_OK;
}

CK_RV key_show(struct cli *cli)
{
    static const struct column columns[] = {KEY_COLUMNS,
                                            {"local", "MADE HERE", CELL_BOOL},
                                            {"extractable", "EXTRACTABLE", CELL_BOOL},
                                            {"always_authenticate", "PIN EACH USE", CELL_BOOL},
                                            {"uri", "URI", CELL_TEXT},
                                            {"public_key", NULL, CELL_TEXT}};
    CLEANUP(table_free) struct table t = TABLE(columns);
    CLEANUP(uri_free) P11KitUri *uri = NULL;
    CLEANUP(key_pair_free) struct key_pair pair = {0};
    TRY(uri_parse(cli->args[0], URI_OBJECT, &uri));
    TRY(token_open(cli, uri, cli->option[OPT_LOGIN] ? OPEN_LOGIN : OPEN_READ));
    TRY(key_find(cli, uri, cli->args[0], &pair));
    const struct object *key = key_half(&pair);
    TRY(cells_of_key(cli, &t, key));
    table_bool(&t, object_bool(cli, key->handle, CKA_LOCAL));
    if (key->cls == CKO_PUBLIC_KEY) {
        table_none(&t);
        table_none(&t);
    } else {
        table_bool(&t, object_bool(cli, key->handle, CKA_EXTRACTABLE));
        table_bool(&t, object_bool(cli, key->handle, CKA_ALWAYS_AUTHENTICATE));
    }
    TRY(cell_uri(cli, &t, key->cls, key));
    TRY(cell_pem(cli, &t, &pair));
    TRY(table_print_record(&t, cli->option[OPT_JSON]));
    if (!cli->option[OPT_JSON] && t.cells[t.n_cells - 1])
        fputs(t.cells[t.n_cells - 1], stdout);
    return CKR_OK;
}

/* ---- delete ---- */

CK_RV key_delete(struct cli *cli)
{
    CLEANUP(uri_free) P11KitUri *uri = NULL;
    CLEANUP(key_pair_free) struct key_pair pair = {0};
    char prompt[320];
    TRY(uri_parse(cli->args[0], URI_OBJECT, &uri));
    TRY(token_open(cli, uri, OPEN_WRITE | OPEN_LOGIN));
    TRY(key_find(cli, uri, cli->args[0], &pair));
    const char *label = (const char *)key_half(&pair)->label.p;
    snprintf(prompt, sizeof(prompt),
             "The key '%.200s' will be lost for good. Type yes to go on: ", label);
    if (!cli->option[OPT_YES])
        TRY(terminal_confirm(prompt, "yes"));
    CK_FUNCTION_LIST *p11 = cli->module.p11;
    if (pair.private.handle)
        TRY(check(p11->C_DestroyObject(cli->token.session, pair.private.handle),
                  "delete the key '%s'", label));
    if (pair.public.handle)
        TRY(check(p11->C_DestroyObject(cli->token.session, pair.public.handle),
                  "delete the public key '%s'", label));
    printf("The key '%s' is gone.\n", label);
    return CKR_OK;
}
