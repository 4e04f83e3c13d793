#include <ctype.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "module.h"
#include "output.h"
#include "pin.h"
#include "verbs.h"

/* ---- status ---- */

static const char *lockout_text(const LATCHKEY_TPM_STATUS *s)
{
    if (s->inLockout)
        return "locked";
    return s->lockoutAuthSet ? "guarded" : "unguarded (latchkey tpm harden)";
}

static void cells_of_tpm(struct table *t, const LATCHKEY_TPM_STATUS *s)
{
    table_cell(t, "%s", s->tcti);
    table_cell(t, "%s %s", s->manufacturer, s->vendor);
    table_cell(t, "%s", s->spec);
    table_cell(t, "%lu.%lu", s->firmwareMajor, s->firmwareMinor);
    table_bool(t, s->simulator);
    table_bool(t, s->resourceManager);
    table_cell(t, "%s", lockout_text(s));
    table_bool(t, s->inLockout);
    table_bool(t, s->lockoutAuthSet);
    table_cell(t, "%lu of %lu", s->lockoutCounter, s->maxTries);
    table_cell(t, "%lu", s->lockoutCounter);
    table_cell(t, "%lu", s->maxTries);
    table_cell(t, "%lu", s->recoveryTime);
    table_cell(t, "%lu", s->lockoutRecovery);
    if (s->srkHandle)
        table_cell(t, "0x%08lx", s->srkHandle);
    else
        table_none(t);
    if (s->srkName[0])
        table_cell(t, "%s", s->srkName);
    else
        table_none(t);
    table_cell(t, "%lu", s->nvIndices);
}

CK_RV tpm_status(struct cli *cli)
{
    static const struct column columns[] = {
        {"tcti", "REACHED BY", CELL_TEXT},
        {"vendor", "VENDOR", CELL_TEXT},
        {"spec", "SPECIFICATION", CELL_TEXT},
        {"firmware", "FIRMWARE", CELL_TEXT},
        {"simulator", "SIMULATOR", CELL_BOOL},
        {"resource_manager", "RESOURCE MANAGER", CELL_BOOL},
        {NULL, "LOCKOUT", CELL_TEXT},
        {"in_lockout", NULL, CELL_BOOL},
        {"lockout_auth_set", NULL, CELL_BOOL},
        {NULL, "WRONG PINS", CELL_TEXT},
        {"lockout_counter", NULL, CELL_NUMBER},
        {"max_tries", NULL, CELL_NUMBER},
        {"recovery_time", "ONE FORGIVEN EACH (S)", CELL_NUMBER},
        {"lockout_recovery", "AFTER WRONG CODE (S)", CELL_NUMBER},
        {"srk_handle", "SRK", CELL_TEXT},
        {"srk_name", "SRK NAME", CELL_TEXT},
        {"nv_indices", "NV INDICES", CELL_NUMBER},
    };
    CLEANUP(table_free) struct table t = TABLE(columns);
    LATCHKEY_TPM_STATUS status = {0};
    TRY(module_open_admin(cli));
    TRY(check(cli->module.admin->TpmStatus(&status), "ask the TPM for its status"));
    cells_of_tpm(&t, &status);
    TRY(table_print_record(&t, cli->option[OPT_JSON]));
    if (status.simulator && !cli->option[OPT_JSON])
        fputs("This is a software TPM: it protects nothing.\n", stderr);
    return CKR_OK;
}

/* ---- the recovery code ----
 * 128 random bits as 32 hexadecimal digits, and four digits of their SHA-256 behind them: one wrong
 * code costs a day, so a slip of the pen is caught before the TPM sees it. */

enum { CODE = 32, CHECK = 4, GROUP = 4 };

static CK_RV check_digits(struct bytes code, char out[2 * EVP_MAX_MD_SIZE + 1])
{
    uint8_t hash[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (!EVP_Digest(code.p, code.n, hash, &n, EVP_sha256(), NULL))
        return CKR_FUNCTION_FAILED;
    bytes_hex(BYTES(hash, n), out);
    return CKR_OK;
}

/* In groups of four, with '-' between them. */
static CK_RV code_format(const struct secret *code, struct secret *ret)
{
    char digits[2 * EVP_MAX_MD_SIZE + 1];
    TRY(check_digits(secret_bytes(code), digits));
    secret_free(ret);
    TRY(secret_new(ret, (CODE + CHECK) / GROUP * (GROUP + 1) - 1));
    for (size_t i = 0, at = 0; i < CODE + CHECK; i++) {
        if (i && i % GROUP == 0)
            ret->p[at++] = '-';
        ret->p[at++] = i < CODE ? code->p[i] : (uint8_t)digits[i - CODE];
    }
    return CKR_OK;
}

/* In place: what was typed or read becomes the 32 digits. */
static CK_RV code_parse(struct secret *code)
{
    CLEANUP(secret_free) struct secret plain = {0};
    char digits[2 * EVP_MAX_MD_SIZE + 1];
    size_t n = 0;
    TRY(secret_new(&plain, CODE + CHECK));
    for (size_t i = 0; i < code->n; i++) {
        if (code->p[i] == '-' || code->p[i] == ' ')
            continue;
        if (n == plain.n || !isxdigit(code->p[i]))
            return fail(EXIT_PIN_WRONG, "It has nine groups of four of 0-9 and a-f.",
                        "that is no recovery code of latchkey's; the TPM was not asked");
        plain.p[n++] = (uint8_t)tolower(code->p[i]);
    }
    TRY(check_digits(BYTES(plain.p, CODE), digits));
    if (n != plain.n || memcmp(plain.p + CODE, digits, CHECK) != 0)
        return fail(EXIT_PIN_WRONG, "Compare it with what you wrote down.",
                    "the recovery code has a slip in it; the TPM was not asked");
    secret_free(code);
    return secret_copy(code, BYTES(plain.p, CODE));
}

static CK_RV code_read(const char *file, const char *option, const char *prompt, struct secret *ret)
{
    TRY(file ? pin_from_file(file, "recovery code", ret)
             : terminal_line(prompt, true, option, ret));
    return code_parse(ret);
}

/* Written down by hand and typed back, or in the file, before the TPM is told. */
static CK_RV code_keep(const char *file, const struct secret *code)
{
    CLEANUP(secret_free) struct secret text = {0}, again = {0};
    TRY(code_format(code, &text));
    if (file)
        return pin_to_file(file, secret_bytes(&text));
    printf("The recovery code:\n\n    %.*s\n\nWrite it down now, and keep it apart from this "
           "machine.\n",
           (int)text.n, (const char *)text.p);
    fflush(stdout);
    TRY(code_read(NULL, "--recovery-file", "Type it to go on: ", &again));
    return secret_equal(secret_bytes(code), secret_bytes(&again))
               ? CKR_OK
               : fail(EXIT_FAILED, NULL, "that is another code; nothing was changed");
}

/* ---- harden and unlock ---- */

static CK_RV number_of(struct cli *cli, enum option option, CK_ULONG otherwise, CK_ULONG *ret)
{
    const char *text = cli->option[option];
    char *end;
    *ret = otherwise;
    if (!text)
        return CKR_OK;
    *ret = strtoul(text, &end, 10);
    if (isdigit((unsigned char)*text) && !*end && *ret > 0 && *ret <= UINT32_MAX)
        return CKR_OK;
    return fail(EXIT_USAGE, NULL, "--%s takes a number above 0, not '%s'", option_rows[option].name,
                text);
}

/* check(), in the words that fit the recovery code: it has a lockout of its own. */
static CK_RV check_code(CK_RV rv, const LATCHKEY_TPM_STATUS *s, const char *doing)
{
    char next[160];
    snprintf(next, sizeof(next),
             "The TPM refuses every code for %lu s after a wrong one, counted while it is on.",
             s->lockoutRecovery);
    if (rv == CKR_PIN_INCORRECT)
        return fail(EXIT_PIN_WRONG, next, "cannot %s: the recovery code is wrong", doing);
    if (rv == CKR_PIN_LOCKED)
        return fail(EXIT_PIN_IS_LOCKED, next, "cannot %s: a wrong recovery code was given before",
                    doing);
    return check(rv, "%s", doing);
}

static void explain(CK_ULONG tries, CK_ULONG recovery, CK_ULONG lockout)
{
    CK_ULONG days = (10000 > tries ? 10000 - tries : 0) * recovery / 86400;
    printf(
        "The TPM now takes %lu wrong PINs, then one each %lu s. To try all 10,000 PINs of four\n"
        "digits takes %lu days, of six digits %lu years. A wrong recovery code blocks every code\n"
        "for %lu s.\n",
        tries, recovery, days, days * 100 / 365, lockout);
}

CK_RV tpm_harden(struct cli *cli)
{
    CLEANUP(secret_free) struct secret old = {0}, code = {0};
    LATCHKEY_TPM_STATUS status = {0};
    CK_ULONG tries, recovery, lockout;
    const char *file = cli->option[OPT_RECOVERY_FILE];
    TRY(number_of(cli, OPT_MAX_TRIES, 32, &tries));
    TRY(number_of(cli, OPT_RECOVERY_TIME, 600, &recovery));
    TRY(number_of(cli, OPT_LOCKOUT_RECOVERY, 86400, &lockout));
    TRY(module_open_admin(cli));
    TRY(check(cli->module.admin->TpmStatus(&status), "ask the TPM for its status"));
    if (status.lockoutAuthSet)
        TRY(code_read(cli->option[OPT_OLD_RECOVERY_FILE], "--old-recovery-file",
                      "The recovery code in force now: ", &old));
    TRY(pin_generate(CODE / 2, &code));
    TRY(code_keep(file, &code));
    CK_RV rv = cli->module.admin->TpmHarden(old.p, old.n, code.p, code.n, tries, recovery, lockout);
    if (rv != CKR_OK && file)
        fprintf(stderr, "Keep %s until 'latchkey tpm status' has shown that nothing changed.\n",
                file);
    TRY(check_code(rv, &status, "set the TPM's lockout authorization"));
    explain(tries, recovery, lockout);
    return CKR_OK;
}

CK_RV tpm_unlock(struct cli *cli)
{
    CLEANUP(secret_free) struct secret code = {0};
    LATCHKEY_TPM_STATUS status = {0};
    TRY(module_open_admin(cli));
    TRY(check(cli->module.admin->TpmStatus(&status), "ask the TPM for its status"));
    if (status.lockoutAuthSet)
        TRY(code_read(cli->option[OPT_RECOVERY_FILE], "--recovery-file",
                      "The recovery code: ", &code));
    TRY(check_code(cli->module.admin->TpmUnlock(code.p, code.n), &status, "end the lockout"));
    printf("The count of wrong PINs is 0.\n");
    if (!status.lockoutAuthSet)
        fputs("It took no code: anybody can do that. Set one: latchkey tpm harden\n", stderr);
    return CKR_OK;
}

/* ---- orphans ---- */

CK_RV tpm_remove_index(struct cli *cli)
{
    char *end;
    unsigned long handle = strtoul(cli->args[0], &end, 0);
    if (end == cli->args[0] || *end)
        return fail(EXIT_USAGE, "latchkey doctor lists them", "'%s' is not a handle like 0x1812345",
                    cli->args[0]);
    if (!cli->option[OPT_FORCE])
        return fail(EXIT_USAGE, "look for other stores on this machine, then add --force",
                    "NV index 0x%lx may belong to a token in another user's store", handle);
    TRY(module_open_admin(cli));
    CK_RV rv = cli->module.admin->NvRemove(handle);
    if (rv == CKR_ARGUMENTS_BAD)
        return fail(EXIT_NOT_FOUND, "latchkey doctor lists the orphans",
                    "0x%lx is not an orphan: a token of this store uses it, or it is no index of "
                    "latchkey's",
                    handle);
    TRY(check(rv, "remove NV index 0x%lx", handle));
    printf("NV index 0x%lx is gone.\n", handle);
    return CKR_OK;
}
