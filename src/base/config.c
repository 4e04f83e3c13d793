#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>
#include "error.h"

#define SYSTEM_FILE "/etc/latchkey.conf"

static bool parse_bool(const char *v, bool *ret)
{
    bool yes = strcasecmp(v, "yes") == 0 || strcasecmp(v, "true") == 0 || strcmp(v, "1") == 0;
    bool no = strcasecmp(v, "no") == 0 || strcasecmp(v, "false") == 0 || strcmp(v, "0") == 0;
    if (!yes && !no)
        return false;
    *ret = yes;
    return true;
}

/* Absolute from now on: the host may change its directory before the next use, or fork and
 * initialise once more. */
static void make_absolute(char **path)
{
    char *here, *whole;
    if (!*path || **path == '/' || !(here = getcwd(NULL, 0)))
        return;
    if (asprintf(&whole, "%s/%s", here, *path) >= 0) {
        free(*path);
        *path = whole;
    }
    free(here);
}

static bool parse_text(const char *v, void *field)
{
    char **text = field;
    if (!*v)
        return false;
    free(*text);
    *text = strdup(v); /* NULL: set() notices */
    return true;
}

static bool parse_flag(const char *v, void *field)
{
    return parse_bool(v, field);
}

static bool parse_number(const char *v, void *field)
{
    char *end;
    errno = 0;
    unsigned long n = strtoul(v, &end, 10);
    if (errno || end == v || *end || n == 0 || n > 100000000 || v[0] == '-')
        return false;
    *(uint32_t *)field = (uint32_t)n;
    return true;
}

static bool parse_rounds(const char *v, void *field)
{
    uint32_t n;
    if (!parse_number(v, &n) || n < CONFIG_PIN_ROUNDS_MIN || n > CONFIG_PIN_ROUNDS_MAX)
        return false;
    *(uint32_t *)field = n;
    return true;
}

static bool parse_tries(const char *v, void *field)
{
    uint32_t n = 0;
    if (strcmp(v, "0") != 0 &&
        (!parse_number(v, &n) || n < CONFIG_PIN_TRIES_MIN || n > CONFIG_PIN_TRIES_MAX))
        return false;
    *(uint32_t *)field = n;
    return true;
}

/* poll() counts milliseconds in an int. */
static bool parse_timeout(const char *v, void *field)
{
    uint32_t n;
    if (!parse_number(v, &n) || n > CONFIG_TIMEOUT_MAX)
        return false;
    *(uint32_t *)field = n;
    return true;
}

static bool parse_level(const char *v, void *field)
{
    return log_level_parse(v, field);
}

static bool parse_choice(const char *v, const char *yes, const char *no, bool *field)
{
    bool is_yes = strcmp(v, yes) == 0;
    if (!is_yes && strcmp(v, no) != 0)
        return false;
    *field = is_yes;
    return true;
}

static bool parse_session(const char *v, void *field)
{
    return parse_choice(v, "password", "hmac", field);
}

static bool parse_storage(const char *v, void *field)
{
    return parse_choice(v, "sealed", "nv", field);
}

static bool parse_manager(const char *v, void *field)
{
    bool yes;
    enum config_manager *manager = field;
    if (!strcasecmp(v, "auto"))
        *manager = MANAGER_AUTO;
    else if (parse_bool(v, &yes))
        *manager = yes ? MANAGER_YES : MANAGER_NO;
    else
        return false;
    return true;
}

static const struct key {
    const char *name;
    const char *environment; /* NULL: not settable there */
    bool (*parse)(const char *value, void *field);
    size_t field;
} keys[] = {
    {"store", "LATCHKEY_STORE", parse_text, offsetof(struct config, store)},
    {"tcti", "LATCHKEY_TCTI", parse_text, offsetof(struct config, tcti)},
    {"resource-manager", NULL, parse_manager, offsetof(struct config, manager)},
    {"log", "LATCHKEY_LOG", parse_level, offsetof(struct config, log)},
    {"log-file", "LATCHKEY_LOG_FILE", parse_text, offsetof(struct config, log_file)},
    {"owner-auth-file", NULL, parse_text, offsetof(struct config, owner_auth_file)},
    {"srk-name", NULL, parse_text, offsetof(struct config, srk_name)},
    {"lock-dir", NULL, parse_text, offsetof(struct config, lock_dir)},
    {"lock-timeout", NULL, parse_number, offsetof(struct config, lock_timeout)},
    {"tpm-timeout", NULL, parse_timeout, offsetof(struct config, tpm_timeout)},
    {"show-empty-slot", NULL, parse_flag, offsetof(struct config, show_empty_slot)},
    {"session", NULL, parse_session, offsetof(struct config, password_session)},
    {"pin-storage", NULL, parse_storage, offsetof(struct config, pin_storage_sealed)},
    {"sealed-keys", NULL, parse_flag, offsetof(struct config, sealed_keys)},
    {"pin-rounds", NULL, parse_rounds, offsetof(struct config, pin_rounds)},
    {"max-pin-tries", NULL, parse_tries, offsetof(struct config, max_pin_tries)},
    {"unattended", NULL, parse_flag, offsetof(struct config, unattended)},
};

static void *field_of(const struct config *c, const struct key *key)
{
    return (void *)((uintptr_t)c + key->field);
}

/* CKR_ARGUMENTS_BAD: there is no such key or the value is none it can have; the log says so. */
static CK_RV set(struct config *c, const char *name, const char *value, const char *from)
{
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
        if (strcmp(keys[i].name, name) != 0)
            continue;
        char **field = field_of(c, &keys[i]);
        if (keys[i].parse(value, field))
            return keys[i].parse != parse_text || *field ? CKR_OK : CKR_HOST_MEMORY;
        log_error("%s: %s = %s is not a value this key can have; see latchkey.conf(5)", from, name,
                  value);
        return CKR_ARGUMENTS_BAD;
    }
    log_error("%s: unknown key '%s'; see latchkey.conf(5)", from, name);
    return CKR_ARGUMENTS_BAD;
}

static char *trim(char *s)
{
    while (isspace((unsigned char)*s))
        s++;
    char *end = s + strlen(s);
    while (end > s && isspace((unsigned char)end[-1]))
        *--end = '\0';
    return s;
}

/* The quotes that a parameter string may have are allowed here, too. */
static char *unquote(char *s)
{
    size_t n = strlen(s);
    bool quoted = n >= 2 && (*s == '\'' || *s == '"') && s[n - 1] == *s;
    if (!quoted)
        return s;
    s[n - 1] = '\0';
    return s + 1;
}

/* A line that cannot be understood is passed over. */
static CK_RV read_line(struct config *c, char *line, const char *path, unsigned number)
{
    char *text = trim(line);
    if (*text == '\0' || *text == '#')
        return CKR_OK;
    char from[512];
    snprintf(from, sizeof(from), "%s line %u", path, number);
    char *equals = strchr(text, '=');
    if (!equals) {
        log_error("%s: expected 'key = value'", from);
        return CKR_OK;
    }
    *equals = '\0';
    CK_RV rv = set(c, trim(text), unquote(trim(equals + 1)), from);
    return rv == CKR_ARGUMENTS_BAD ? CKR_OK : rv;
}

/* A file that somebody else could have written decides where secrets go: it must belong to root or
 * to us, and nobody else may be able to write it. */
static bool trustworthy(int fd, const char *path)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return false;
    if ((st.st_uid == 0 || st.st_uid == geteuid()) && !(st.st_mode & (S_IWGRP | S_IWOTH)))
        return true;
    log_error("%s is passed over: it must be owned by root or the current user and writable by "
              "its owner alone",
              path);
    return false;
}

/* The machine is in want of something: to go on without the file would be to work on another store
 * than it names. */
static bool in_want(int number)
{
    return number == ENOMEM || number == EMFILE || number == ENFILE || number == EIO ||
           number == ESTALE || number == EINTR;
}

static CK_RV read_lines(struct config *c, FILE *f, const char *path)
{
    char *line = NULL;
    size_t cap = 0;
    CK_RV rv = CKR_OK;
    errno = 0;
    for (unsigned number = 1; rv == CKR_OK && getline(&line, &cap, f) >= 0; number++)
        rv = read_line(c, line, path, number);
    if (rv == CKR_OK && !feof(f))
        rv = error_errno("config file", path, errno);
    free(line);
    return rv;
}

/* One that is not there, or not for us to read, is passed over. */
static CK_RV read_file(struct config *c, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not hang the host */
    if (fd < 0 && in_want(errno))
        return error_errno("config file", path, errno);
    if (fd < 0) {
        if (errno != ENOENT && errno != ENOTDIR)
            log_info("config file %s cannot be read: %m", path);
        return CKR_OK;
    }
    bool trusted = trustworthy(fd, path);
    FILE *f = trusted ? fdopen(fd, "r") : NULL;
    if (!f) {
        close(fd);
        return trusted ? CKR_HOST_MEMORY : CKR_OK;
    }
    CK_RV rv = read_lines(c, f, path);
    fclose(f);
    return rv;
}

/* NULL: there is no home; with errno other than 0, it could not be found. */
static char *home_path(const char *xdg, const char *below_home, const char *leaf)
{
    char *path = NULL;
    const char *base = secure_getenv(xdg);
    errno = 0;
    if (base && base[0] == '/')
        return asprintf(&path, "%s/%s", base, leaf) < 0 ? NULL : path;
    const char *home = secure_getenv("HOME");
    struct passwd entry, *found = NULL;
    char room[4096];
    if (!home || home[0] != '/') {
        int number = getpwuid_r(geteuid(), &entry, room, sizeof(room), &found);
        home = found ? found->pw_dir : NULL;
        errno = in_want(number) ? number : 0;
    }
    if (!home)
        return NULL;
    return asprintf(&path, "%s/%s/%s", home, below_home, leaf) < 0 ? NULL : path;
}

char *config_user_file(void)
{
    const char *named = secure_getenv("LATCHKEY_CONF");
    return named ? strdup(named) : home_path("XDG_CONFIG_HOME", ".config", "latchkey.conf");
}

static CK_RV read_files(struct config *c)
{
    if (!secure_getenv("LATCHKEY_CONF"))
        TRY(read_file(c, SYSTEM_FILE));
    char *user = config_user_file();
    if (!user)
        return errno ? error_errno("finding the home directory", NULL, errno) : CKR_OK;
    CK_RV rv = read_file(c, user);
    free(user);
    return rv;
}

static CK_RV read_environment(struct config *c)
{
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
        const char *value = keys[i].environment ? secure_getenv(keys[i].environment) : NULL;
        CK_RV rv = value && *value ? set(c, keys[i].name, value, keys[i].environment) : CKR_OK;
        if (rv == CKR_HOST_MEMORY)
            return rv;
    }
    return CKR_OK;
}

/* Takes "key=value" from *at; a value may stand in ' or ". False at the end or at a fault. */
static bool next_parameter(char **at, char **name, char **value, bool *fault)
{
    char *s = *at;
    while (isspace((unsigned char)*s))
        s++;
    if (!*s)
        return false;
    *name = s;
    s += strcspn(s, "= \t");
    if (*s != '=') {
        *fault = true;
        return false;
    }
    *s++ = '\0';
    char quote = '\0';
    if (*s == '\'' || *s == '"')
        quote = *s++;
    *value = s;
    s = quote ? strchr(s, quote) : s + strcspn(s, " \t\n");
    if (!s) {
        *fault = true;
        return false;
    }
    *at = *s ? s + 1 : s;
    *s = '\0';
    return true;
}

static CK_RV read_parameters(struct config *c, const char *parameters)
{
    char *copy = strdup(parameters);
    if (!copy)
        return CKR_HOST_MEMORY;
    char *at = copy, *name, *value;
    bool fault = false;
    CK_RV rv = CKR_OK;
    while (rv == CKR_OK && next_parameter(&at, &name, &value, &fault))
        rv = set(c, name, value, "module parameters");
    free(copy);
    if (rv == CKR_HOST_MEMORY)
        return rv;
    return fault || rv != CKR_OK
               ? error_log(CKR_ARGUMENTS_BAD, "module parameters cannot be read: expected "
                                              "\"key=value key='value'\"")
               : CKR_OK;
}

static CK_RV default_store(struct config *c)
{
    if (c->store)
        return CKR_OK;
    c->store = home_path("XDG_DATA_HOME", ".local/share", "latchkey");
    if (c->store)
        return CKR_OK;
    return errno ? error_errno("finding the home directory", NULL, errno)
                 : error_log(CKR_GENERAL_ERROR,
                             "no home directory to keep the store in: set 'store'");
}

CK_RV config_load(const char *parameters, struct config *ret)
{
    struct config c = {.log = LOG_ERROR,
                       .pin_rounds = 10000,
                       .lock_timeout = 30,
                       .tpm_timeout = 300,
                       .sealed_keys = true};
    CK_RV rv = read_files(&c);
    if (rv == CKR_OK)
        rv = read_environment(&c);
    if (rv == CKR_OK && parameters)
        rv = read_parameters(&c, parameters);
    if (rv == CKR_OK)
        rv = default_store(&c);
    if (rv != CKR_OK) {
        config_free(&c);
        return rv;
    }
    char **const paths[] = {&c.store, &c.log_file, &c.owner_auth_file, &c.lock_dir};
    for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
        make_absolute(paths[i]);
    *ret = c;
    return CKR_OK;
}

void config_free(struct config *c)
{
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
        if (keys[i].parse == parse_text)
            free(*(char **)field_of(c, &keys[i]));
    *c = (struct config){0};
}

CK_RV config_copy(const struct config *from, struct config *ret)
{
    struct config copy = *from;
    bool complete = true;
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
        char **text = field_of(&copy, &keys[i]);
        if (keys[i].parse == parse_text && *text)
            complete &= (*text = strdup(*text)) != NULL;
    }
    if (!complete) {
        config_free(&copy);
        return CKR_HOST_MEMORY;
    }
    *ret = copy;
    return CKR_OK;
}
