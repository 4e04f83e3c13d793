#include "module.h"

#include <dlfcn.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MODULE_NAME "latchkey-pkcs11.so"

/* In a build tree the module lies beside the command; installed, where LIBDIR says. */
static char *own_module(void)
{
    char self[PATH_MAX], *path = NULL;
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (n > 0) {
        self[n] = '\0';
        if (asprintf(&path, "%s/" MODULE_NAME, dirname(self)) < 0)
            return NULL;
        if (access(path, F_OK) == 0)
            return path;
        free(path);
    }
    return strdup(LATCHKEY_MODULE_DIR "/" MODULE_NAME);
}

char *module_path(const struct cli *cli)
{
    const char *named = cli->option[OPT_MODULE];
    char *path = named ? realpath(named, NULL) : own_module();
    return path || !named ? path : strdup(named);
}

CK_RV module_load(struct cli *cli, const char **ret_why)
{
    struct module *m = &cli->module;
    m->path = module_path(cli);
    if (!m->path)
        return CKR_HOST_MEMORY;
    m->library = dlopen(m->path, RTLD_NOW | RTLD_LOCAL);
    CK_C_GetFunctionList get_list = NULL;
    if (m->library)
        *(void **)&get_list = dlsym(m->library, "C_GetFunctionList");
    if (!get_list) {
        if (ret_why)
            *ret_why = m->library ? "it is no PKCS#11 module" : dlerror();
        return TOLD(EXIT_NO_MODULE);
    }
    return get_list(&m->p11);
}

static void find_admin(struct module *m)
{
    CK_RV (*get_interface)(CK_UTF8CHAR_PTR, CK_VERSION_PTR, CK_INTERFACE_PTR_PTR, CK_FLAGS) = NULL;
    CK_UTF8CHAR name[] = LATCHKEY_INTERFACE;
    CK_INTERFACE *interface = NULL;
    *(void **)&get_interface = dlsym(m->library, "C_GetInterface");
    if (get_interface && get_interface(name, NULL, &interface, 0) == CKR_OK && interface)
        m->admin = interface->pFunctionList;
}

CK_RV module_need(struct cli *cli)
{
    const char *why = "";
    CK_RV rv = module_load(cli, &why);
    if (rv == TOLD(EXIT_NO_MODULE))
        return fail(EXIT_NO_MODULE, "Install latchkey, or name the module with --module.",
                    "the module cannot be loaded: %s", why);
    return check(rv, "load %s", cli->module.path);
}

CK_RV module_open(struct cli *cli, const char *parameters)
{
    struct module *m = &cli->module;
    TRY(module_need(cli));
    char copy[64];
    CK_C_INITIALIZE_ARGS args = {.flags = CKF_OS_LOCKING_OK};
    if (parameters) {
        snprintf(copy, sizeof(copy), "%s", parameters);
        args.pReserved = copy;
    }
    CK_RV rv = m->p11->C_Initialize(&args);
    if (rv == CKR_ARGUMENTS_BAD && parameters)
        return fail(EXIT_NO_MODULE, "Leave --module out, or name latchkey's.",
                    "%s does not take the parameter '%s'", m->path, parameters);
    TRY(check(rv, "initialise %s", m->path));
    m->initialized = true;
    find_admin(m);
    return CKR_OK;
}

CK_RV module_open_admin(struct cli *cli)
{
    TRY(module_open(cli, NULL));
    if (cli->module.admin)
        return CKR_OK;
    return fail(EXIT_NO_MODULE, "Leave --module out, or name latchkey's.",
                "%s cannot do '%s': it has no interface \"" LATCHKEY_INTERFACE "\"",
                cli->module.path, cli->verb->words);
}

CK_RV module_pin_tries(struct cli *cli, CK_ULONG *ret_max, CK_ULONG *ret_left)
{
    const LATCHKEY_ADMIN *admin = cli->module.admin;
    *ret_max = 0;
    *ret_left = CK_UNAVAILABLE_INFORMATION;
    if (!admin || admin->version.major != 1 || admin->version.minor < 1)
        return CKR_OK;
    return admin->PinTries(cli->token.slot, ret_max, ret_left);
}

void module_close(struct cli *cli)
{
    struct module *m = &cli->module;
    secret_free(&cli->token.pin);
    free(cli->token.pin_source);
    if (m->initialized)
        m->p11->C_Finalize(NULL);
    if (m->library)
        dlclose(m->library);
    free(m->path);
    *m = (struct module){0};
    cli->token = (struct token){0};
}

CK_RV module_slots(struct cli *cli, bool with_token, CK_SLOT_ID **ret, CK_ULONG *ret_n)
{
    CK_FUNCTION_LIST *p11 = cli->module.p11;
    CK_BBOOL present = with_token ? CK_TRUE : CK_FALSE;
    CK_SLOT_ID *ids = NULL;
    CK_ULONG n = 0;
    CK_RV rv;
    do { /* slots may be added between the two calls */
        free(ids);
        ids = NULL;
        rv = p11->C_GetSlotList(present, NULL, &n);
        if (rv == CKR_OK && n) {
            ids = calloc(n, sizeof(*ids));
            rv = ids ? p11->C_GetSlotList(present, ids, &n) : CKR_HOST_MEMORY;
        }
    } while (rv == CKR_BUFFER_TOO_SMALL);
    if (rv != CKR_OK)
        free(ids);
    TRY(check(rv, "list the slots"));
    *ret = ids;
    *ret_n = n;
    return CKR_OK;
}

const char *padded(char *out, const CK_UTF8CHAR *field, size_t n)
{
    while (n && (field[n - 1] == ' ' || field[n - 1] == '\0'))
        n--;
    memcpy(out, field, n);
    out[n] = '\0';
    return out;
}
