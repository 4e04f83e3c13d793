/* The programs that `latchkey setup` knows, and the files that tell them of the module: root's are
 * the system's. */
#include <glob.h>
#include <openssl/conf.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "machine.h"
#include "setup.h"

static void free_text(char **text)
{
    free(*text);
}

/* A file of root's or of the user's. NULL when memory is out or there is no home. */
static char *file_of_user(const char *system, const char *leaf)
{
    return geteuid() == 0 ? strdup(system) : machine_home(leaf);
}

static CK_RV no_home(void)
{
    return fail(EXIT_FAILED, NULL, "HOME is not set: whose files are meant?");
}

/* ---- p11-kit ---- */

static CK_RV plan_p11_kit(struct setup *s, const struct target *target)
{
    CLEANUP(free_text)
    char *dir = machine_p11_kit_dir(), *path = NULL, *text = NULL,
         *known = machine_p11_kit_knows(s->cli->module.path);
    if (!dir || !known)
        return no_home();
    if (!strcmp(known, P11_KIT_MODULES) && !s->remove)
        return setup_absent(s, target, "knows the module already, by its package");
    if (access(P11_KIT_MODULES, F_OK) != 0 && !machine_has("p11-kit"))
        return setup_absent(s, target, "p11-kit is not installed");
    if (asprintf(&path, "%s/latchkey.module", dir) < 0 ||
        asprintf(&text, "module: %s\n", s->cli->module.path) < 0)
        return CKR_HOST_MEMORY;
    return setup_file(s, target, path, EDIT_OWN_FILE, text);
}

/* ---- OpenSSL ----
 * A file of its own that includes the system's: OPENSSL_CONF names it for those who want it. */

static void conf_free(CONF **conf)
{
    NCONF_free(*conf);
}

/* Once a provider is named in a file the default one is loaded only if it is named, too. */
struct openssl_form {
    bool there;
    const char *list;    /* the key in OpenSSL's first section that names the list */
    const char *section; /* that list, where the system's file has none */
    const char *head;    /* lines of the list and below it, up to the module's path */
    const char *tail;    /* and behind it */
};
static const char engine_head[] =
    "pkcs11 = latchkey_engine\n\n[latchkey_engine]\nengine_id = pkcs11\nMODULE_PATH = ";
static const char engine_tail[] = "init = 1\n";
static const char provider_head[] =
    "default = latchkey_default\npkcs11 = latchkey_provider\n\n[latchkey_default]\nactivate = 1\n\n"
    "[latchkey_provider]\nmodule = pkcs11\npkcs11-module-path = ";
static const char provider_tail[] = "activate = 1\n";

static CK_RV put_form(CONF *conf, const char *first, const struct openssl_form *form,
                      const char *module, struct buf *text)
{
    CLEANUP(free_text) char *lines = NULL;
    const char *named = NCONF_get_string(conf, first, form->list);
    const char *section = named ? named : form->section;
    if (!form->there)
        return CKR_OK;
    if (asprintf(&lines, "\n[%s]\n%s = %s\n\n[%s]\n%s%s\n%s", first, form->list, section, section,
                 form->head, module, form->tail) < 0)
        return CKR_HOST_MEMORY;
    return buf_append(text, lines, strlen(lines));
}

static CK_RV put_head(CONF *conf, const char *system, const char **ret_first, struct buf *text)
{
    CLEANUP(free_text) char *lines = NULL;
    bool there = NCONF_load(conf, system, NULL) == 1;
    const char *first = there ? NCONF_get_string(conf, "default", "openssl_conf") : NULL;
    *ret_first = first ? first : "latchkey_init";
    if (asprintf(&lines, "%s%s\n[default]\nopenssl_conf = %s\n", there ? ".include " : "",
                 there ? system : "", *ret_first) < 0)
        return CKR_HOST_MEMORY;
    return buf_append(text, lines, strlen(lines));
}

/* NUL-terminated */
static CK_RV openssl_text(const char *module, struct buf *ret)
{
    const struct openssl_form forms[] = {
        {machine_has_engine(), "engines", "latchkey_engines", engine_head, engine_tail},
        {machine_has_provider(), "providers", "latchkey_providers", provider_head, provider_tail}};
    CLEANUP(free_text) char *system = NULL;
    CLEANUP(conf_free) CONF *conf = NCONF_new(NULL);
    const char *first;
    if (!conf || asprintf(&system, "%s/openssl.cnf", X509_get_default_cert_area()) < 0)
        return CKR_HOST_MEMORY;
    TRY(put_head(conf, system, &first, ret));
    for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++)
        TRY(put_form(conf, first, &forms[i], module, ret));
    return buf_u8(ret, 0);
}

static CK_RV plan_openssl(struct setup *s, const struct target *target)
{
    CLEANUP(buf_free) struct buf text = {0};
    CLEANUP(free_text)
    char *path = file_of_user("/etc/ssl/latchkey.cnf", ".config/latchkey-openssl.cnf");
    if (!path)
        return no_home();
    if (!machine_has_engine() && !machine_has_provider() && !s->remove)
        return setup_absent(s, target,
                            "OpenSSL has no PKCS#11 engine or provider: install "
                            "libengine-pkcs11-openssl or pkcs11-provider");
    TRY(openssl_text(s->cli->module.path, &text));
    return setup_file(s, target, path, EDIT_OWN_FILE, (const char *)text.p);
}

/* ---- NSS ---- */

static CK_RV plan_databases(struct setup *s, const struct target *target, const char *pattern,
                            size_t *n)
{
    CLEANUP(free_text) char *full = machine_home(pattern);
    glob_t found = {0};
    CK_RV rv = CKR_OK;
    if (!full)
        return no_home();
    if (glob(full, 0, NULL, &found) == 0)
        for (size_t i = 0; rv == CKR_OK && i < found.gl_pathc; i++) {
            *strrchr(found.gl_pathv[i], '/') = '\0';
            rv = setup_nss(s, target, found.gl_pathv[i]);
            ++*n;
        }
    globfree(&found);
    return rv;
}

static CK_RV plan_nss(struct setup *s, const struct target *target)
{
    static const char *const patterns[] = {
        ".pki/nssdb/pkcs11.txt",         /* Chromium, and what else uses the user's own */
        ".mozilla/firefox/*/pkcs11.txt", /* Firefox, a profile each */
        ".thunderbird/*/pkcs11.txt",     /* Thunderbird */
    };
    size_t n = 0;
    if (!machine_has("modutil"))
        return setup_absent(s, target, "modutil is not installed: libnss3-tools has it");
    for (size_t i = 0; i < sizeof(patterns) / sizeof(*patterns); i++)
        TRY(plan_databases(s, target, patterns[i], &n));
    return n ? CKR_OK
             : setup_absent(s, target,
                            "there is no NSS database in this home; for Chromium: "
                            "certutil -N -d sql:$HOME/.pki/nssdb");
}

/* ---- Firefox, for all users ---- */

static CK_RV plan_firefox(struct setup *s, const struct target *target)
{
    static const char path[] = "/etc/firefox/policies/policies.json";
    bool installed = machine_has("firefox") || machine_has("firefox-esr");
    if (!installed && !(s->remove && access(path, F_OK) == 0))
        return setup_absent(s, target, "Firefox is not installed");
    if (geteuid() != 0)
        return setup_absent(s, target, "its policy is root's to set; see nss for your profiles");
    return setup_file(s, target, path, EDIT_POLICY, s->cli->module.path);
}

/* ---- ssh ---- */

static CK_RV plan_ssh(struct setup *s, const struct target *target)
{
    CLEANUP(free_text) char *path = NULL, *text = NULL;
    bool root = geteuid() == 0;
    path = file_of_user("/etc/ssh/ssh_config.d/latchkey.conf", ".ssh/config");
    if (!path)
        return no_home();
    if (!machine_has("ssh") && !s->remove)
        return setup_absent(s, target, "ssh is not installed");
    if (root && access("/etc/ssh/ssh_config.d", F_OK) != 0 && !s->remove)
        return setup_absent(s, target, "there is no /etc/ssh/ssh_config.d");
    if (asprintf(&text, "%sPKCS11Provider %s\n", root ? "" : "Match all\n    ",
                 s->cli->module.path) < 0)
        return CKR_HOST_MEMORY;
    return setup_file(s, target, path, root ? EDIT_OWN_FILE : EDIT_BLOCK, text);
}

const struct target targets[] = {
    {"p11-kit", NULL, plan_p11_kit},
    {"openssl", "OpenSSL: programs find the module with OPENSSL_CONF set to", plan_openssl},
    {"nss", NULL, plan_nss},
    {"firefox", "Firefox: started anew, it reads", plan_firefox},
    {"ssh", NULL, plan_ssh},
};
const size_t n_targets = sizeof(targets) / sizeof(*targets);
