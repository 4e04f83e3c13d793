#include "pin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>
#include "verbs.h"

enum {
    LINE = 512,      /* more than any PIN (255) or code */
    UNATTENDED = 31, /* of a PIN that nobody types */
};

static const struct {
    enum option file; /* …FD and …ENV follow it */
    const char *name, *prompt;
} roles[] = {
    [PIN_USER] = {OPT_PIN_FILE, "user PIN", "User PIN"},
    [PIN_SO] = {OPT_SO_PIN_FILE, "SO PIN", "SO PIN"},
    [PIN_NEW] = {OPT_NEW_PIN_FILE, "new PIN", "New PIN"},
};

static CK_RV first_line(struct secret *room, size_t n, const char *what, const char *from,
                        struct secret *ret)
{
    uint8_t *end = memchr(room->p, '\n', n);
    size_t len = end ? (size_t)(end - room->p) : n;
    if (!end && n == room->n)
        return fail(EXIT_USAGE, NULL, "the %s in %s is too long", what, from);
    if (len && room->p[len - 1] == '\r')
        len--;
    if (len == 0)
        return fail(EXIT_USAGE, NULL, "there is no %s in %s: its first line is empty", what, from);
    return secret_copy(ret, BYTES(room->p, len));
}

static CK_RV from_fd(int fd, const char *what, const char *from, struct secret *ret)
{
    CLEANUP(secret_free) struct secret room = {0};
    TRY(secret_new(&room, LINE));
    size_t n = 0;
    /* a byte at a time: behind the line may stand what the descriptor's owner reads next */
    while (n < room.n && (n == 0 || room.p[n - 1] != '\n')) {
        ssize_t got = read(fd, room.p + n, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail(EXIT_USAGE, NULL, "the %s cannot be read from %s: %s", what, from,
                        strerror(errno));
        if (got == 0)
            break;
        n++;
    }
    return first_line(&room, n, what, from, ret);
}

CK_RV pin_from_file(const char *path, const char *what, struct secret *ret)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail(errno == ENOENT ? EXIT_NOT_FOUND : EXIT_FAILED, NULL,
                    "the %s cannot be read from %s: %s", what, path, strerror(errno));
    CK_RV rv = from_fd(fd, what, path, ret);
    close(fd);
    return rv;
}

static CK_RV from_descriptor(const char *number, const char *what, struct secret *ret)
{
    char *end, from[64];
    long fd = strtol(number, &end, 10);
    if (end == number || *end || fd < 0 || fd > 65535)
        return fail(EXIT_USAGE, NULL, "'%s' is no descriptor number", number);
    snprintf(from, sizeof(from), "descriptor %ld", fd);
    return from_fd((int)fd, what, from, ret);
}

static CK_RV from_environment(const char *name, const char *what, struct secret *ret)
{
    const char *value = getenv(name);
    if (!value || !*value)
        return fail(EXIT_USAGE, NULL, "the %s is not in the environment: %s is %s", what, name,
                    value ? "empty" : "not set");
    return secret_copy(ret, BYTES_STR(value));
}

/* RFC 7512 leaves the form open; a path and a file: URI of a local path are what others take. */
static CK_RV from_source(const char *source, struct secret *ret)
{
    const char *path = strncmp(source, "file:", 5) ? source : source + 5;
    if (!strncmp(path, "//", 2))
        path += 2;
    if (*path != '/')
        return fail(EXIT_USAGE, "Give a file, as in pin-source=file:/etc/latchkey.pin",
                    "the URI's pin-source '%s' is no absolute path", source);
    return pin_from_file(path, "user PIN", ret);
}

static CK_RV typed(enum pin_role role, bool fresh, struct secret *ret)
{
    CLEANUP(secret_free) struct secret again = {0};
    char prompt[64], option[64];
    snprintf(prompt, sizeof(prompt), "%s: ", roles[role].prompt);
    snprintf(option, sizeof(option), "--%s", option_rows[roles[role].file].name);
    TRY(terminal_line(prompt, false, option, ret));
    if (!fresh)
        return CKR_OK;
    snprintf(prompt, sizeof(prompt), "%s, once more: ", roles[role].prompt);
    TRY(terminal_line(prompt, false, option, &again));
    if (secret_equal(secret_bytes(ret), secret_bytes(&again)))
        return CKR_OK;
    secret_free(ret);
    return fail(EXIT_USAGE, "Nothing was changed. Try again.", "the two PINs are not the same");
}

CK_RV pin_read(struct cli *cli, enum pin_role role, bool fresh, struct secret *ret)
{
    const char *const *given = &cli->option[roles[role].file];
    const char *what = roles[role].name;
    if (!!given[0] + !!given[1] + !!given[2] > 1)
        return fail(EXIT_USAGE, NULL, "the %s is given in more than one way", what);
    secret_free(ret);
    if (given[0])
        return pin_from_file(given[0], what, ret);
    if (given[1])
        return from_descriptor(given[1], what, ret);
    if (given[2])
        return from_environment(given[2], what, ret);
    if (role == PIN_USER && cli->token.pin_source)
        return from_source(cli->token.pin_source, ret);
    return typed(role, fresh, ret);
}

CK_RV pin_generate(size_t n, struct secret *ret)
{
    CLEANUP(secret_free) struct secret raw = {0}, text = {0};
    TRY(secret_new(&raw, n));
    TRY(secret_new(&text, 2 * n + 1));
    if (getrandom(raw.p, n, 0) != (ssize_t)n)
        return fail(EXIT_FAILED, NULL, "no random bytes: %s", strerror(errno));
    bytes_hex(secret_bytes(&raw), (char *)text.p);
    return secret_copy(ret, BYTES(text.p, 2 * n));
}

CK_RV pin_generate_unattended(struct secret *ret)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";
    CLEANUP(secret_free) struct secret text = {0};
    TRY(secret_new(&text, UNATTENDED));
    if (getrandom(text.p, text.n, 0) != (ssize_t)text.n)
        return fail(EXIT_FAILED, NULL, "no random bytes: %s", strerror(errno));
    for (size_t i = 0; i < text.n; i++)
        text.p[i] = (uint8_t)letters[text.p[i] % 32];
    return secret_copy(ret, secret_bytes(&text));
}

CK_RV pin_to_file(const char *path, struct bytes pin)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail(EXIT_FAILED, errno == EEXIST ? "Choose a name that is not taken." : NULL,
                    "%s cannot be made: %s", path, strerror(errno));
    bool written = write(fd, pin.p, pin.n) == (ssize_t)pin.n && fsync(fd) == 0;
    int reason = errno;
    if (close(fd) == 0 && written)
        return CKR_OK;
    unlink(path);
    return fail(EXIT_FAILED, NULL, "%s cannot be written: %s", path, strerror(reason));
}
