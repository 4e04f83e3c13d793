#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "module.h"
#include "output.h"
#include "pin.h"
#include "uri.h"
#include "verbs.h"

static const char *pin_state(CK_FLAGS flags)
{
    static const struct {
        CK_FLAGS flag;
        const char *text;
    } rows[] = {
        {CKF_USER_PIN_LOCKED, "locked"},
        {CKF_USER_PIN_FINAL_TRY, "one try left"},
        {CKF_USER_PIN_COUNT_LOW, "wrong PINs counted"},
        {CKF_USER_PIN_INITIALIZED, "ready"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        if (flags & rows[i].flag)
            return rows[i].text;
    return "no user PIN";
}

static CK_RV cells_of_token(struct table *t, CK_SLOT_ID slot, const CK_TOKEN_INFO *info)
{
    CLEANUP(buf_free) struct buf uri = {0};
    TRY(uri_of_token(info, &uri));
    table_cell(t, "%s", PADDED(info->label));
    table_cell(t, "%lu", slot);
    table_cell(t, "%s", PADDED(info->serialNumber));
    table_cell(t, "%s", PADDED(info->model));
    table_cell(t, "%s", pin_state(info->flags));
    table_bool(t, !(info->flags & CKF_WRITE_PROTECTED));
    table_cell(t, "%s", (char *)uri.p);
    return CKR_OK;
}

#define TOKEN_COLUMNS                                                                              \
    {"label", "LABEL", CELL_TEXT}, {"slot", "SLOT", CELL_NUMBER}, {"serial", "SERIAL", CELL_TEXT}, \
        {"model", "MODEL", CELL_TEXT}, {"pin", "PIN", CELL_TEXT},                                  \
        {"writable", "WRITABLE", CELL_BOOL},                                                       \
    {                                                                                              \
        "uri", "URI", CELL_TEXT                                                                    \
    }

CK_RV token_list(struct cli *cli)
{
    static const struct column columns[] = {TOKEN_COLUMNS};
    CLEANUP(table_free) struct table t = TABLE(columns);
    CLEANUP(free_slots) CK_SLOT_ID *ids = NULL;
    CK_ULONG n = 0;
    TRY(module_open(cli, NULL));
    TRY(module_slots(cli, true, &ids, &n));
    for (CK_ULONG i = 0; i < n; i++) {
        CK_TOKEN_INFO info;
        CK_RV rv = cli->module.p11->C_GetTokenInfo(ids[i], &info);
        if (rv == CKR_TOKEN_NOT_RECOGNIZED)
            fprintf(
                stderr,
                "Slot %lu: the token belongs to another TPM, or this one was cleared; 'latchkey "
                "doctor' says which.\n  To be rid of it: latchkey token destroy --force "
                "'pkcs11:slot-id=%lu'\n",
                ids[i], ids[i]);
        else if (rv != CKR_OK)
            TRY(check(rv, "look at the token in slot %lu", ids[i]));
        else if (info.flags & CKF_TOKEN_INITIALIZED)
            TRY(cells_of_token(&t, ids[i], &info));
    }
    if (!t.n_cells)
        fputs("No token yet. Make one: latchkey token create\n", stderr);
    return table_print_list(&t, cli->option[OPT_JSON]);
}

static void cells_of_status(struct table *t, const LATCHKEY_TOKEN_STATUS *s)
{
    table_cell(t, "%s", s->store);
    table_cell(t, "%s",
               s->sealed ? "sealed objects (an old PIN opens an old copy of the store)"
                         : "NV indices");
    table_bool(t, s->unattended);
    table_cell(t, "%lu", s->pinRounds);
    table_cell(t, "0x%08lx", s->userIndex);
    table_cell(t, "0x%08lx", s->soIndex);
    table_cell(t, "0x%08lx", s->parent);
    table_cell(t, "%lu", s->objects);
}

static void cells_of_tries(struct table *t, CK_ULONG max, CK_ULONG left)
{
    max ? table_cell(t, "%lu", max) : table_none(t);
    max &&left != CK_UNAVAILABLE_INFORMATION ? table_cell(t, "%lu", left) : table_none(t);
}

CK_RV token_show(struct cli *cli)
{
    static const struct column columns[] = {TOKEN_COLUMNS,
                                            {"store", "STORE", CELL_TEXT},
                                            {"pin_storage", "PIN STORAGE", CELL_TEXT},
                                            {"unattended", "UNATTENDED", CELL_BOOL},
                                            {"pin_rounds", "PIN ROUNDS", CELL_NUMBER},
                                            {"user_index", "USER INDEX", CELL_TEXT},
                                            {"so_index", "SO INDEX", CELL_TEXT},
                                            {"parent", "PARENT", CELL_TEXT},
                                            {"objects", "OBJECTS", CELL_NUMBER},
                                            {"max_pin_tries", "MAX PIN TRIES", CELL_NUMBER},
                                            {"pin_tries_left", "PIN TRIES LEFT", CELL_NUMBER}};
    CLEANUP(table_free) struct table t = TABLE(columns);
    LATCHKEY_TOKEN_STATUS status = {0};
    CK_ULONG max, left;
    TRY(module_open(cli, NULL));
    TRY(token_find(cli, cli->n_args ? cli->args[0] : NULL, NULL));
    TRY(cells_of_token(&t, cli->token.slot, &cli->token.info));
    const LATCHKEY_ADMIN *admin = cli->module.admin;
    if (admin) {
        TRY(check(admin->TokenStatus(cli->token.slot, &status), "read the token's status"));
        cells_of_status(&t, &status);
        TRY(check(module_pin_tries(cli, &max, &left), "read the token's limit of tries"));
        cells_of_tries(&t, max, left);
    }
    while (!admin && t.n_cells < t.n_columns)
        table_none(&t);
    return table_print_record(&t, cli->option[OPT_JSON]);
}

CK_RV token_find_empty(struct cli *cli)
{
    CLEANUP(free_slots) CK_SLOT_ID *ids = NULL;
    CK_ULONG n = 0;
    TRY(module_slots(cli, false, &ids, &n));
    for (CK_ULONG i = 0; i < n; i++) {
        CK_TOKEN_INFO info;
        if (cli->module.p11->C_GetTokenInfo(ids[i], &info) != CKR_OK ||
            (info.flags & CKF_TOKEN_INITIALIZED))
            continue;
        cli->token.slot = ids[i];
        cli->token.info = info;
        return CKR_OK;
    }
    return fail(EXIT_FAILED, NULL, "the module offers no empty slot to make a token in");
}

static CK_RV check_create(const struct cli *cli, const char *label)
{
    const char *const *option = cli->option;
    if (!*label || strlen(label) > 32)
        return fail(EXIT_USAGE, NULL, "a token's label has 1 to 32 bytes");
    if (!option[OPT_UNATTENDED] != !option[OPT_PIN_FILE_OUT])
        return fail(EXIT_USAGE, NULL,
                    "--unattended and --pin-file-out FILE belong together: the generated PIN has "
                    "to be kept where the service finds it");
    if (option[OPT_UNATTENDED] &&
        (option[OPT_PIN_FILE] || option[OPT_PIN_FD] || option[OPT_PIN_ENV]))
        return fail(EXIT_USAGE, NULL,
                    "--unattended generates the PIN: wrong tries are not counted there, so it must "
                    "be one that nobody can guess");
    if (option[OPT_UNATTENDED] && option[OPT_MAX_PIN_TRIES])
        return fail(EXIT_USAGE, NULL,
                    "--max-pin-tries does not go with --unattended, whose PIN nobody can guess");
    if (option[OPT_GENERATE_SO_PIN] &&
        (option[OPT_SO_PIN_FILE] || option[OPT_SO_PIN_FD] || option[OPT_SO_PIN_ENV]))
        return fail(EXIT_USAGE, NULL, "the SO PIN is both given and to be generated");
    return CKR_OK;
}

/* Asked before C_InitToken: a token whose user PIN is then refused would be left behind. */
static CK_RV check_length(const CK_TOKEN_INFO *info, const char *what, const struct secret *pin)
{
    if (pin->n >= info->ulMinPinLen && pin->n <= info->ulMaxPinLen)
        return CKR_OK;
    return fail(EXIT_USAGE, NULL, "the %s has %zu bytes; the token takes %lu to %lu", what, pin->n,
                info->ulMinPinLen, info->ulMaxPinLen);
}

/* The SO PIN and the PIN, asked for or generated; generated ones are in their files first. */
static CK_RV new_pins(struct cli *cli, struct secret *so, struct secret *user)
{
    const char *so_file = cli->option[OPT_GENERATE_SO_PIN];
    const char *user_file = cli->option[OPT_PIN_FILE_OUT];
    TRY(so_file ? pin_generate(16, so) : pin_read(cli, PIN_SO, true, so));
    TRY(check_length(&cli->token.info, "SO PIN", so));
    TRY(user_file ? pin_generate_unattended(user) : pin_read(cli, PIN_USER, true, user));
    TRY(check_length(&cli->token.info, "user PIN", user));
    if (so_file)
        TRY(pin_to_file(so_file, secret_bytes(so)));
    CK_RV rv = user_file ? pin_to_file(user_file, secret_bytes(user)) : CKR_OK;
    if (rv != CKR_OK && so_file)
        unlink(so_file);
    return rv;
}

static CK_RV set_user_pin(struct cli *cli, const struct secret *so, const struct secret *user)
{
    CK_FUNCTION_LIST *p11 = cli->module.p11;
    TRY(token_session(cli, true));
    TRY(check(p11->C_Login(cli->token.session, CKU_SO, so->p, so->n),
              "log in as security officer"));
    TRY(check(p11->C_InitPIN(cli->token.session, user->p, user->n), "set the user PIN"));
    return check(p11->C_GetTokenInfo(cli->token.slot, &cli->token.info), "look at the token");
}

static CK_RV init_token(struct cli *cli, const char *label, const struct secret *so)
{
    CK_UTF8CHAR name[32];
    size_t n = strlen(label);
    if (n > sizeof(name))
        return CKR_ARGUMENTS_BAD;
    memset(name, ' ', sizeof(name));
    memcpy(name, label, n); /* NOLINT(bugprone-not-null-terminated-result): padded */
    return cli->module.p11->C_InitToken(cli->token.slot, so->p, so->n, name);
}

CK_RV token_make(struct cli *cli, const char *label, const struct secret *so,
                 const struct secret *user, bool *ret_made)
{
    TRY(check_length(&cli->token.info, "SO PIN", so));
    TRY(check_length(&cli->token.info, "user PIN", user));
    TRY(check(init_token(cli, label, so), "make the token"));
    *ret_made = true;
    return set_user_pin(cli, so, user);
}

static CK_RV initialise(struct cli *cli, const char *label)
{
    CLEANUP(secret_free) struct secret so = {0}, user = {0};
    bool made = false;
    TRY(new_pins(cli, &so, &user));
    CK_RV rv = token_make(cli, label, &so, &user, &made);
    if (rv != CKR_OK && made)
        fputs("  The token is made, but without a user PIN: 'latchkey token reset-pin' sets one, "
              "'latchkey token destroy' removes it.\n",
              stderr);
    const char *const generated[] = {cli->option[OPT_GENERATE_SO_PIN],
                                     cli->option[OPT_PIN_FILE_OUT]};
    for (size_t i = 0; rv != CKR_OK && !made && i < 2; i++)
        if (generated[i])
            unlink(generated[i]); /* what is in it opens nothing */
    return rv;
}

static CK_RV open_to_create(struct cli *cli)
{
    char parameters[48];
    const char *tries = cli->option[OPT_MAX_PIN_TRIES];
    char *end;
    if (!tries)
        return module_open(cli, cli->option[OPT_UNATTENDED] ? "unattended=yes" : NULL);
    unsigned long n = strtoul(tries, &end, 10);
    if (*end || end == tries || n < 3 || n > 100)
        return fail(EXIT_USAGE, NULL, "--max-pin-tries takes a number from 3 to 100");
    snprintf(parameters, sizeof(parameters), "max-pin-tries=%lu", n);
    return module_open(cli, parameters);
}

CK_RV token_create(struct cli *cli)
{
    static const struct column columns[] = {TOKEN_COLUMNS,
                                            {"pin_file", "PIN FILE", CELL_TEXT},
                                            {"so_pin_file", "SO PIN FILE", CELL_TEXT}};
    CLEANUP(table_free) struct table t = TABLE(columns);
    const char *label = cli->option[OPT_LABEL] ? cli->option[OPT_LABEL] : "latchkey";
    TRY(check_create(cli, label));
    TRY(open_to_create(cli));
    if (token_label_taken(cli, label))
        return fail(EXIT_AMBIGUOUS, "Choose another with --label.", "there is a token '%s' already",
                    label);
    TRY(token_find_empty(cli));
    TRY(initialise(cli, label));
    TRY(cells_of_token(&t, cli->token.slot, &cli->token.info));
    for (size_t i = 0; i < 2; i++) {
        const char *file = cli->option[i ? OPT_GENERATE_SO_PIN : OPT_PIN_FILE_OUT];
        file ? table_cell(&t, "%s", file) : table_none(&t);
    }
    TRY(table_print_record(&t, cli->option[OPT_JSON]));
    if (!cli->option[OPT_JSON])
        printf("\nNext, a key:  latchkey key generate --token '%s' --label NAME\n", label);
    return CKR_OK;
}

static CK_RV confirm_destroy(struct cli *cli)
{
    char prompt[160];
    const char *label = PADDED(cli->token.info.label);
    if (cli->option[OPT_YES])
        return CKR_OK;
    snprintf(prompt, sizeof(prompt),
             "All keys of the token '%s' will be lost for good. Type %s to go on: ", label,
             *label ? "its label" : "yes");
    return terminal_confirm(prompt, *label ? label : "yes");
}

CK_RV token_destroy(struct cli *cli)
{
    CLEANUP(secret_free) struct secret so = {0};
    bool force = cli->option[OPT_FORCE];
    TRY(module_open_admin(cli));
    TRY(token_find(cli, cli->n_args ? cli->args[0] : NULL, NULL));
    TRY(confirm_destroy(cli));
    if (!force)
        TRY(pin_read(cli, PIN_SO, false, &so));
    CK_RV rv = cli->module.admin->TokenDestroy(cli->token.slot, so.p, so.n, force);
    TRY(check_pin(cli, rv, CKU_SO, "destroy the token"));
    printf("The token '%s' and its keys are gone.\n", PADDED(cli->token.info.label));
    return CKR_OK;
}

CK_RV token_pin(struct cli *cli)
{
    CLEANUP(secret_free) struct secret fresh = {0};
    const struct secret *old = &cli->token.pin;
    CK_USER_TYPE user = cli->option[OPT_SO] ? CKU_SO : CKU_USER;
    TRY(module_open(cli, NULL));
    TRY(token_find(cli, cli->n_args ? cli->args[0] : NULL, NULL));
    TRY(token_session(cli, true));
    TRY(token_login(cli, user));
    TRY(pin_read(cli, PIN_NEW, true, &fresh));
    CK_RV rv = cli->module.p11->C_SetPIN(cli->token.session, old->p, old->n, fresh.p, fresh.n);
    TRY(check_pin(cli, rv, user, "change the PIN"));
    printf("The %s PIN of '%s' is changed.\n", user == CKU_SO ? "SO" : "user",
           PADDED(cli->token.info.label));
    return CKR_OK;
}

CK_RV token_reset_pin(struct cli *cli)
{
    CLEANUP(secret_free) struct secret fresh = {0};
    TRY(module_open(cli, NULL));
    TRY(token_find(cli, cli->n_args ? cli->args[0] : NULL, NULL));
    TRY(token_session(cli, true));
    TRY(token_login(cli, CKU_SO));
    TRY(pin_read(cli, PIN_NEW, true, &fresh));
    TRY(check(cli->module.p11->C_InitPIN(cli->token.session, fresh.p, fresh.n),
              "set the user PIN"));
    printf("The user PIN of '%s' is set.\n", PADDED(cli->token.info.label));
    return CKR_OK;
}
