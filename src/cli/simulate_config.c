#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/config.h"
#include "simulate.h"

static const char mark[] = "# the next line: 'latchkey tpm simulate stop' removes it";

static void free_text(char **text)
{
    free(*text);
}

/* The file behind a symbolic link, so that the link stays one; the directory is made. */
static CK_RV target(char **ret)
{
    CLEANUP(free_text) char *named = config_user_file();
    if (!named)
        return fail(EXIT_FAILED, "Set LATCHKEY_CONF to a file.",
                    "there is no home directory for the config file");
    char *copy = strdup(named);
    if (copy)
        mkdir(dirname(copy), 0700);
    free(copy);
    *ret = realpath(named, NULL);
    if (!*ret && errno == ENOENT)
        *ret = strdup(named);
    return *ret ? CKR_OK
                : fail(EXIT_FAILED, NULL, "%s cannot be reached: %s", named, strerror(errno));
}

/* All lines but the marked one. */
static CK_RV read_others(const char *path, struct buf *ret, mode_t *ret_mode)
{
    FILE *f = fopen(path, "re");
    struct stat st;
    char *line = NULL;
    size_t cap = 0;
    CK_RV rv = CKR_OK;
    *ret_mode = 0600;
    if (!f && errno == ENOENT)
        return CKR_OK;
    if (!f || fstat(fileno(f), &st) != 0)
        return fail(EXIT_FAILED, NULL, "%s cannot be read: %s", path, strerror(errno));
    *ret_mode = st.st_mode & 0777;
    for (ssize_t n; rv == CKR_OK && (n = getline(&line, &cap, f)) >= 0;) {
        if (!strncmp(line, mark, sizeof(mark) - 1))
            (void)!getline(&line, &cap, f);
        else
            rv = buf_append(ret, line, (size_t)n);
    }
    free(line);
    fclose(f);
    return rv;
}

static CK_RV replace(const char *path, const struct buf *content, mode_t mode)
{
    char *temporary = NULL;
    if (asprintf(&temporary, "%s.XXXXXX", path) < 0)
        return CKR_HOST_MEMORY;
    int fd = mkstemp(temporary);
    bool ok = fd >= 0 && fchmod(fd, mode) == 0 &&
              write(fd, content->p, content->n) == (ssize_t)content->n && fsync(fd) == 0 &&
              rename(temporary, path) == 0;
    int reason = errno;
    if (fd >= 0)
        close(fd);
    if (!ok)
        unlink(temporary);
    free(temporary);
    return ok ? CKR_OK
              : fail(EXIT_FAILED, NULL, "%s cannot be written: %s", path, strerror(reason));
}

static CK_RV append_line(struct buf *content, const char *line)
{
    if (content->n && content->p[content->n - 1] != '\n')
        TRY(buf_u8(content, '\n'));
    TRY(buf_append(content, line, strlen(line)));
    return buf_u8(content, '\n');
}

CK_RV simulate_config_add(const struct simulator *s)
{
    CLEANUP(buf_free) struct buf content = {0};
    CLEANUP(free_text) char *path = NULL, *line = NULL;
    mode_t mode;
    TRY(target(&path));
    TRY(read_others(path, &content, &mode));
    if (asprintf(&line, "tcti = %s", s->tcti) < 0)
        return CKR_HOST_MEMORY;
    TRY(append_line(&content, mark));
    TRY(append_line(&content, line));
    return replace(path, &content, mode);
}

CK_RV simulate_config_remove(void)
{
    CLEANUP(buf_free) struct buf content = {0};
    CLEANUP(free_text) char *path = NULL;
    mode_t mode;
    TRY(target(&path));
    if (access(path, F_OK) != 0)
        return CKR_OK;
    TRY(read_others(path, &content, &mode));
    return replace(path, &content, mode);
}
