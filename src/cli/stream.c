#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include "output.h"

/* ---- in ---- */

enum { WORTH_A_BAR = 4 << 20 };

static CK_RV cannot_read(const char *name)
{
    return fail(errno == ENOENT ? EXIT_NOT_FOUND : EXIT_FAILED, NULL, "%s cannot be read: %s", name,
                strerror(errno));
}

CK_RV input_open(const char *path, const char *doing, struct input *ret)
{
    struct stat st;
    bool standard = !path || !strcmp(path, "-");
    *ret = (struct input){.fd = STDIN_FILENO, .name = standard ? "standard input" : path};
    if (!standard)
        ret->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (ret->fd < 0 || fstat(ret->fd, &st) != 0)
        return cannot_read(ret->name);
    if (S_ISREG(st.st_mode))
        ret->size = (uint64_t)st.st_size;
    if (ret->size >= WORTH_A_BAR)
        ret->progress = progress_start(doing, ret->size);
    return CKR_OK;
}

CK_RV input_read(struct input *in, uint8_t *room, size_t n, size_t *ret_n)
{
    size_t got = 0;
    while (got < n) {
        ssize_t some = read(in->fd, room + got, n - got);
        if (some < 0 && errno == EINTR)
            continue;
        if (some < 0)
            return cannot_read(in->name);
        if (some == 0)
            break;
        got += (size_t)some;
    }
    in->done += got;
    progress_set(in->progress, in->done);
    *ret_n = got;
    return CKR_OK;
}

void input_close(struct input *in)
{
    spinner_stop(&in->progress);
    if (in->fd > STDERR_FILENO)
        close(in->fd);
    in->fd = -1;
}

/* ---- out ---- */

static CK_RV cannot_write(const struct output *out, const char *path)
{
    int reason = errno;
    const char *name = path ? path : out->path ? out->path : "the output";
    return fail(EXIT_FAILED, NULL, "%s cannot be written: %s", name, strerror(reason));
}

/* Beside the file, so that it can be renamed; told apart from what others leave there. */
static char *name_beside(const char *path)
{
    unsigned tag = 0;
    char *name = NULL;
    if (getrandom(&tag, sizeof(tag), 0) != (ssize_t)sizeof(tag) ||
        asprintf(&name, "%s.%08x.new", path, tag) < 0)
        return NULL;
    return name;
}

/* Without a name where the file system allows it: then not even a kill leaves it behind. It gets
 * one through /proc. */
static bool open_unnamed(struct output *out, mode_t mode)
{
    char *copy = access("/proc/self/fd", X_OK) == 0 ? strdup(out->path) : NULL;
    out->fd = copy ? open(dirname(copy), O_TMPFILE | O_WRONLY | O_CLOEXEC, mode) : -1;
    free(copy);
    return out->fd >= 0;
}

static bool open_named(struct output *out, mode_t mode)
{
    out->temporary = name_beside(out->path);
    if (out->temporary)
        out->fd = open(out->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (out->fd >= 0)
        return true;
    free(out->temporary);
    out->temporary = NULL;
    return false;
}

CK_RV output_open(const char *path, enum output_mode mode, struct output *ret)
{
    struct stat st;
    *ret = (struct output){.fd = STDOUT_FILENO};
    if (!path || !strcmp(path, "-"))
        return fflush(stdout) == 0 ? CKR_OK : cannot_write(ret, path);
    bool there = stat(path, &st) == 0;
    if (there && !S_ISREG(st.st_mode)) { /* a device or a pipe: nothing to put in its place */
        ret->fd = open(path, O_WRONLY | O_CLOEXEC);
        return ret->fd >= 0 ? CKR_OK : cannot_write(ret, path);
    }
    /* through a symbolic link: the file it names is the one that is meant */
    ret->path = there ? realpath(path, NULL) : strdup(path);
    ret->fd = -1;
    if (!ret->path)
        return cannot_write(ret, path);
    if (there && access(path, W_OK) != 0)
        return cannot_write(ret, path);
    if (!open_unnamed(ret, (mode_t)mode) && !open_named(ret, (mode_t)mode))
        return cannot_write(ret, path);
    return there && fchmod(ret->fd, st.st_mode & 07777) != 0 ? cannot_write(ret, path) : CKR_OK;
}

CK_RV output_write(struct output *out, struct bytes piece)
{
    while (piece.n) {
        ssize_t some = write(out->fd, piece.p, piece.n);
        if (some < 0 && errno == EINTR)
            continue;
        if (some < 0)
            return cannot_write(out, NULL);
        piece.p += some;
        piece.n -= (size_t)some;
    }
    return CKR_OK;
}

static bool give_name(struct output *out)
{
    char own[64];
    if (out->temporary)
        return true;
    snprintf(own, sizeof(own), "/proc/self/fd/%d", out->fd);
    out->temporary = name_beside(out->path);
    if (out->temporary && linkat(AT_FDCWD, own, AT_FDCWD, out->temporary, AT_SYMLINK_FOLLOW) == 0)
        return true;
    free(out->temporary);
    out->temporary = NULL;
    return false;
}

CK_RV output_commit(struct output *out)
{
    if (!out->path)
        return CKR_OK;
    if (fsync(out->fd) != 0 || !give_name(out) || rename(out->temporary, out->path) != 0)
        return cannot_write(out, NULL);
    free(out->temporary);
    out->temporary = NULL;
    return CKR_OK;
}

void output_close(struct output *out)
{
    if (out->temporary)
        unlink(out->temporary);
    if (out->fd > STDERR_FILENO)
        close(out->fd);
    free(out->temporary);
    free(out->path);
    *out = (struct output){.fd = -1};
}
