/* `latchkey secret …`: private data objects, told from those of other programs by their
 * application. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "file.h"
#include "module.h"
#include "object.h"
#include "pin.h"
#include "template.h"
#include "verbs.h"

static const char application[] = "latchkey secret";

static void fill(struct template *t, const char *name)
{
    static const CK_OBJECT_CLASS cls = CKO_DATA;
    template_add(t, CKA_CLASS, BYTES(&cls, sizeof(cls)));
    template_add(t, CKA_APPLICATION, BYTES_STR(application));
    if (name)
        template_add(t, CKA_LABEL, BYTES_STR(name));
}

static CK_RV find(struct cli *cli, const char *name, struct handles *ret)
{
    struct template wanted = {0};
    fill(&wanted, name);
    return objects_find(cli, wanted.attributes, wanted.n, ret);
}

static CK_RV find_one(struct cli *cli, const char *name, CK_OBJECT_HANDLE *ret)
{
    CLEANUP(handles_free) struct handles found = {0};
    TRY(find(cli, name, &found));
    if (!found.n)
        return fail(EXIT_NOT_FOUND, "'latchkey secret list' shows what there is.",
                    "there is no secret '%s' on the token '%s'", name,
                    PADDED(cli->token.info.label));
    if (found.n > 1)
        return fail(EXIT_AMBIGUOUS, NULL, "'%s' is the name of %zu secrets", name, found.n);
    *ret = found.h[0];
    return CKR_OK;
}

static CK_RV create(struct cli *cli, const char *name, struct bytes value)
{
    struct template t = {0};
    CK_OBJECT_HANDLE made = 0;
    fill(&t, name);
    template_bool(&t, CKA_TOKEN, true);
    template_bool(&t, CKA_PRIVATE, true);
    template_add(&t, CKA_VALUE, value);
    return check(cli->module.p11->C_CreateObject(cli->token.session, t.attributes, t.n, &made),
                 "store the secret '%s'", name);
}

/* From the file, or what is piped in; typed where neither is there. */
static CK_RV read_value(struct cli *cli, struct buf *ret)
{
    CLEANUP(secret_free) struct secret typed = {0};
    if (cli->n_args > 1 || !isatty(STDIN_FILENO))
        return file_get(cli->n_args > 1 ? cli->args[1] : "-", ret);
    TRY(terminal_line("Secret: ", false, "a FILE", &typed));
    return buf_bytes_append(ret, secret_bytes(&typed));
}

CK_RV secret_put(struct cli *cli)
{
    CLEANUP(buf_free) struct buf value = {0};
    CLEANUP(handles_free) struct handles old = {0};
    const char *name = cli->args[0];
    TRY(read_value(cli, &value));
    TRY(token_open(cli, NULL, OPEN_WRITE | OPEN_LOGIN));
    TRY(find(cli, name, &old));
    if (old.n && !cli->option[OPT_REPLACE])
        return fail(EXIT_AMBIGUOUS, "Give --replace to put this one in its place.",
                    "there is a secret '%s' already", name);
    TRY(create(cli, name, buf_bytes(&value)));
    for (size_t i = 0; i < old.n; i++) /* the old ones go only when the new one is there */
        TRY(check(cli->module.p11->C_DestroyObject(cli->token.session, old.h[i]),
                  "delete the old secret '%s'", name));
    return CKR_OK;
}

CK_RV secret_get(struct cli *cli)
{
    CLEANUP(buf_free) struct buf value = {0};
    CK_OBJECT_HANDLE handle = 0;
    TRY(token_open(cli, NULL, OPEN_LOGIN));
    TRY(find_one(cli, cli->args[0], &handle));
    TRY(object_attribute(cli, handle, CKA_VALUE, &value));
    return file_put_private(cli->option[OPT_OUT], buf_bytes(&value));
}

CK_RV secret_list(struct cli *cli)
{
    static const struct column columns[] = {{"name", "NAME", CELL_TEXT},
                                            {"bytes", "BYTES", CELL_NUMBER}};
    CLEANUP(table_free) struct table t = TABLE(columns);
    CLEANUP(handles_free) struct handles found = {0};
    TRY(token_open(cli, NULL, OPEN_LOGIN));
    TRY(find(cli, NULL, &found));
    for (size_t i = 0; i < found.n; i++) {
        CLEANUP(object_free) struct object o = {0};
        CK_ATTRIBUTE value = {CKA_VALUE, NULL, 0};
        TRY(object_read(cli, found.h[i], &o));
        TRY(check(cli->module.p11->C_GetAttributeValue(cli->token.session, found.h[i], &value, 1),
                  "look at the secret '%s'", (char *)o.label.p));
        table_cell(&t, "%s", (char *)o.label.p);
        table_cell(&t, "%lu", value.ulValueLen);
    }
    if (!found.n)
        fputs("No secrets yet. Store one: latchkey secret put\n", stderr);
    return table_print_list(&t, cli->option[OPT_JSON]);
}

CK_RV secret_delete(struct cli *cli)
{
    CK_OBJECT_HANDLE handle = 0;
    char prompt[320];
    const char *name = cli->args[0];
    TRY(token_open(cli, NULL, OPEN_WRITE | OPEN_LOGIN));
    TRY(find_one(cli, name, &handle));
    snprintf(prompt, sizeof(prompt),
             "The secret '%.200s' will be lost for good. Type yes to go on: ", name);
    if (!cli->option[OPT_YES])
        TRY(terminal_confirm(prompt, "yes"));
    TRY(check(cli->module.p11->C_DestroyObject(cli->token.session, handle),
              "delete the secret '%s'", name));
    printf("The secret '%s' is gone.\n", name);
    return CKR_OK;
}
