#include "machine.h"

#include <dirent.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool machine_has(const char *program)
{
    const char *path = getenv("PATH");
    for (const char *dir = path ? path : ""; *dir; dir += strspn(dir, ":")) {
        char file[1024];
        size_t n = strcspn(dir, ":");
        snprintf(file, sizeof(file), "%.*s/%s", (int)n, dir, program);
        if (access(file, X_OK) == 0)
            return true;
        dir += n;
    }
    return false;
}

/* OpenSSL names its directories as 'ENGINESDIR: "/path"'. */
static bool openssl_has(int which, const char *leaf)
{
    const char *text = OpenSSL_version(which), *start = strchr(text, '"');
    char path[1024];
    if (!start)
        return false;
    snprintf(path, sizeof(path), "%.*s/%s", (int)strcspn(start + 1, "\""), start + 1, leaf);
    return access(path, R_OK) == 0;
}

bool machine_has_engine(void)
{
    return openssl_has(OPENSSL_ENGINES_DIR, "pkcs11.so");
}

bool machine_has_provider(void)
{
    return openssl_has(OPENSSL_MODULES_DIR, "pkcs11.so");
}

char *machine_home(const char *leaf)
{
    const char *home = getenv("HOME");
    char *path = NULL;
    return home && asprintf(&path, "%s/%s", home, leaf) >= 0 ? path : NULL;
}

char *machine_p11_kit_dir(void)
{
    const char *xdg = getenv("XDG_CONFIG_HOME");
    char *path = NULL;
    if (geteuid() == 0)
        return strdup("/etc/pkcs11/modules");
    if (!xdg)
        return machine_home(".config/pkcs11/modules");
    return asprintf(&path, "%s/pkcs11/modules", xdg) < 0 ? NULL : path;
}

/* Does a p11-kit module file in dir name a module with our file's name? */
static bool names_module(const char *dir, const char *leaf)
{
    char line[1024];
    bool found = false;
    DIR *d = opendir(dir);
    for (struct dirent *entry; d && !found && (entry = readdir(d));) {
        const char *end = strrchr(entry->d_name, '.');
        int fd = end && !strcmp(end, ".module")
                     ? openat(dirfd(d), entry->d_name, O_RDONLY | O_CLOEXEC)
                     : -1;
        FILE *f = fd >= 0 ? fdopen(fd, "r") : NULL;
        while (f && !found && fgets(line, sizeof(line), f))
            found = !strncmp(line, "module:", 7) && strstr(line, leaf);
        if (f)
            fclose(f);
    }
    if (d)
        closedir(d);
    return found;
}

char *machine_p11_kit_knows(const char *module)
{
    char *user = machine_p11_kit_dir();
    const char *leaf = strrchr(module, '/') ? strrchr(module, '/') + 1 : module;
    const char *const dirs[] = {user, "/etc/pkcs11/modules", P11_KIT_MODULES};
    const char *known = "";
    for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs) && !*known; i++)
        known = dirs[i] && names_module(dirs[i], leaf) ? dirs[i] : "";
    char *ret = strdup(known);
    free(user);
    return ret;
}
