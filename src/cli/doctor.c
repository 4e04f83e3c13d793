/* `latchkey doctor`: what the module finds, and what lies outside it. A row of checks, each of
 * which reports any number of findings and changes nothing. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/config.h"
#include "machine.h"
#include "module.h"
#include "output.h"
#include "simulate.h"
#include "verbs.h"

struct report {
    struct cli *cli;
    struct config config;
    struct table table;
    bool problem;
    bool examined; /* by the module itself */
    bool tpm_answers;
};

static void add(void *context, CK_ULONG level, const char *id, const char *text, const char *remedy)
{
    static const char *const levels[] = {"ok", "note", "warning", "problem"};
    struct report *r = context;
    level = level > LATCHKEY_FINDING_PROBLEM ? LATCHKEY_FINDING_PROBLEM : level;
    r->problem |= level == LATCHKEY_FINDING_PROBLEM;
    table_cell(&r->table, "%s", levels[level]);
    table_cell(&r->table, "%s", id);
    table_cell(&r->table, "%s", text);
    if (remedy)
        table_cell(&r->table, "%s", remedy);
    else
        table_none(&r->table);
}

static void find(struct report *r, CK_ULONG level, const char *id, const char *remedy,
                 const char *format, ...) __attribute__((format(printf, 5, 6)));

static void find(struct report *r, CK_ULONG level, const char *id, const char *remedy,
                 const char *format, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    add(r, level, id, text, remedy);
}

/* ---- configuration ---- */

static void check_config(struct report *r)
{
    static const char *const variables[] = {"LATCHKEY_STORE", "LATCHKEY_TCTI", "LATCHKEY_LOG",
                                            "LATCHKEY_LOG_FILE"};
    const char *named = getenv("LATCHKEY_CONF");
    char *user = config_user_file();
    if (!named && access("/etc/latchkey.conf", F_OK) == 0)
        add(r, LATCHKEY_FINDING_NOTE, "config", "in effect: /etc/latchkey.conf", NULL);
    if (user && access(user, F_OK) == 0)
        find(r, LATCHKEY_FINDING_NOTE, "config", NULL, "in effect: %s%s", user,
             named ? " (LATCHKEY_CONF)" : "");
    for (size_t i = 0; i < sizeof(variables) / sizeof(*variables); i++)
        if (getenv(variables[i]))
            find(r, LATCHKEY_FINDING_NOTE, "config", NULL, "in effect: %s=%s (environment)",
                 variables[i], getenv(variables[i]));
    find(r, LATCHKEY_FINDING_OK, "store-path", NULL, "the store is %s", r->config.store);
    free(user);
}

/* ---- the TPM's device file ---- */

static void no_access(struct report *r, const char *path)
{
    struct stat st;
    char remedy[256];
    struct group *group = stat(path, &st) == 0 ? getgrgid(st.st_gid) : NULL;
    snprintf(remedy, sizeof(remedy), "sudo usermod -aG %s \"$USER\"   (then log in again)",
             group ? group->gr_name : "tss");
    find(r, LATCHKEY_FINDING_PROBLEM, "tpm-device", remedy,
         "%s is there, but this user may not use it: it belongs to the group %s", path,
         group ? group->gr_name : "(unknown)");
}

/* Only where the module has not found a TPM itself: it may well have reached one by tabrmd. */
static void check_device(struct report *r)
{
    static const char *const defaults[] = {"/dev/tpmrm0", "/dev/tpm0"};
    const char *tcti = r->config.tcti;
    const char *named = tcti && !strncmp(tcti, "device:", 7) ? tcti + 7 : NULL;
    if (r->tpm_answers || (tcti && !named))
        return;
    for (size_t i = 0; i < (named ? 1 : 2); i++) {
        const char *path = named ? named : defaults[i];
        if (faccessat(AT_FDCWD, path, R_OK | W_OK, AT_EACCESS) == 0)
            find(r, LATCHKEY_FINDING_OK, "tpm-device", NULL, "%s can be opened", path);
        else if (access(path, F_OK) == 0)
            no_access(r, path);
        else
            continue;
        return;
    }
    if (!named && r->examined)
        return;
    add(r, LATCHKEY_FINDING_PROBLEM, "tpm-device",
        named ? "the configured TPM device is not there"
              : "this machine shows no TPM (/dev/tpmrm0)",
        "switch the TPM on in the firmware's setup; to try things out without one: "
        "latchkey tpm simulate start");
}

static void check_simulator(struct report *r)
{
    struct simulator s = {0};
    pid_t pid = 0;
    if (simulator_paths(&s) == CKR_OK && r->config.tcti && !strcmp(r->config.tcti, s.tcti)) {
        int process = simulator_process(&s, &pid);
        if (process >= 0)
            find(r, LATCHKEY_FINDING_OK, "simulator", NULL, "the software TPM runs (pid %d)",
                 (int)pid);
        else
            add(r, LATCHKEY_FINDING_PROBLEM, "simulator",
                "the software TPM that is configured is not running",
                "latchkey tpm simulate start");
        if (process >= 0)
            close(process);
    }
    simulator_free(&s);
}

/* ---- the programs that use the module ---- */

static void check_p11_kit(struct report *r)
{
    const char *path = r->cli->module.path ? r->cli->module.path : "latchkey-pkcs11.so";
    char *known = machine_p11_kit_knows(path);
    if (known && *known)
        find(r, LATCHKEY_FINDING_OK, "p11-kit", NULL, "p11-kit knows the module (%s)", known);
    else
        add(r, LATCHKEY_FINDING_WARNING, "p11-kit",
            "p11-kit does not know the module: GnuTLS programs, curl and browsers will not find it",
            "latchkey setup p11-kit");
    free(known);
}

static void check_openssl(struct report *r)
{
    bool engine = machine_has_engine(), provider = machine_has_provider();
    if (engine)
        add(r, LATCHKEY_FINDING_OK, "openssl", "OpenSSL's PKCS#11 engine is installed", NULL);
    if (provider)
        add(r, LATCHKEY_FINDING_OK, "openssl", "OpenSSL's PKCS#11 provider is installed", NULL);
    if (!engine && !provider)
        add(r, LATCHKEY_FINDING_NOTE, "openssl",
            "OpenSSL has neither the PKCS#11 engine nor the provider: nginx, curl and openssl "
            "cannot use the keys",
            "sudo apt install libengine-pkcs11-openssl   (or pkcs11-provider)");
}

/* ---- the module ---- */

static void check_module(struct report *r)
{
    const char *why = "";
    struct cli *cli = r->cli;
    CK_RV rv = module_load(cli, &why);
    if (rv == CKR_OK) {
        find(r, LATCHKEY_FINDING_OK, "module", NULL, "the module %s loads", cli->module.path);
        return;
    }
    find(r, LATCHKEY_FINDING_PROBLEM, "module",
         "install latchkey, or name the module: --module FILE", "the module cannot be loaded: %s",
         why);
}

static void check_inside(struct report *r)
{
    struct cli *cli = r->cli;
    LATCHKEY_TPM_STATUS status;
    if (!cli->module.p11)
        return;
    /* what the module logs is in the findings too */
    module_close(cli);
    if (module_open(cli, NULL) != CKR_OK) {
        add(r, LATCHKEY_FINDING_PROBLEM, "module", "the module does not initialise",
            "LATCHKEY_LOG=debug latchkey doctor");
        return;
    }
    if (!cli->module.admin)
        find(r, LATCHKEY_FINDING_NOTE, "module", NULL,
             "%s is another module than latchkey's: it is not examined", cli->module.path);
    else if (cli->module.admin->Doctor(add, r) != CKR_OK)
        add(r, LATCHKEY_FINDING_PROBLEM, "module", "the module's own examination broke off",
            "LATCHKEY_LOG=debug latchkey doctor");
    r->examined = cli->module.admin;
    r->tpm_answers = r->examined && cli->module.admin->TpmStatus(&status) == CKR_OK;
}

static void (*const checks[])(struct report *) = {check_config, check_module,    check_inside,
                                                  check_device, check_simulator, check_p11_kit,
                                                  check_openssl};

static void print_findings(const struct table *t)
{
    static const struct {
        const char *level;
        enum style style;
    } styles[] = {{"ok", STYLE_GREEN},
                  {"note", STYLE_DIM},
                  {"warning", STYLE_YELLOW},
                  {"problem", STYLE_RED}};
    for (size_t i = 0; i + 3 < t->n_cells; i += t->n_columns) {
        enum style s = STYLE_PLAIN;
        for (size_t j = 0; j < 4; j++)
            if (!strcmp(styles[j].level, t->cells[i]))
                s = styles[j].style;
        printf("%s%-8s%s ", style(stdout, s), t->cells[i], style(stdout, STYLE_PLAIN));
        print_clean(stdout, t->cells[i + 2]);
        putchar('\n');
        if (t->cells[i + 3])
            printf("         -> %s\n", t->cells[i + 3]);
    }
}

CK_RV doctor(struct cli *cli)
{
    static const struct column columns[] = {{"level", "LEVEL", CELL_TEXT},
                                            {"id", "ID", CELL_TEXT},
                                            {"text", "TEXT", CELL_TEXT},
                                            {"remedy", "REMEDY", CELL_TEXT}};
    struct report r = {.cli = cli, .table = TABLE(columns)};
    TRY(check(config_load(NULL, &r.config), "read the configuration"));
    for (size_t i = 0; i < sizeof(checks) / sizeof(*checks); i++)
        checks[i](&r);
    CK_RV rv = r.table.failed ? CKR_HOST_MEMORY : CKR_OK;
    if (rv == CKR_OK && cli->option[OPT_JSON])
        rv = table_print_list(&r.table, true);
    else if (rv == CKR_OK)
        print_findings(&r.table);
    config_free(&r.config);
    table_free(&r.table);
    return rv == CKR_OK && r.problem ? TOLD(EXIT_FAILED) : rv;
}
