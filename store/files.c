#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <base/error.h>
#include <base/host.h>

static void free_string(char **s)
{
    free(*s);
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

/* Cuts the last component off an absolute path; false when only the root is left. */
static bool to_parent(char *path)
{
    char *slash = strrchr(path, '/');
    if (!slash || !path[1])
        return false;
    slash[slash == path] = '\0';
    return true;
}

static bool may_write_in(const char *dir)
{
    return faccessat(AT_FDCWD, dir, R_OK | W_OK | X_OK, AT_EACCESS) == 0;
}

bool files_writable(const char *path)
{
    /* the journal lies beside what a link points to */
    char real[PATH_MAX]; /* no allocation: memory that is out is no missing permission */
    if (realpath(path, real))
        return faccessat(AT_FDCWD, real, W_OK, AT_EACCESS) == 0 && to_parent(real) &&
               may_write_in(real);
    snprintf(real, sizeof(real), "%s", path);
    while (errno == ENOENT && to_parent(real)) {
        struct stat st;
        if (stat(real, &st) == 0)
            return S_ISDIR(st.st_mode) && may_write_in(real);
    }
    return false;
}

/* What was made in dir is there after a power cut too. */
static CK_RV sync_dir(const char *dir)
{
    CLEANUP(close_fd) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0)
        return error_errno("sync directory", dir, errno);
    return CKR_OK;
}

/* NOLINTNEXTLINE(misc-no-recursion): a level a directory of a path */
static CK_RV make_dirs(const char *dir)
{
    struct stat st;
    if (stat(dir, &st) == 0 || errno != ENOENT)
        return CKR_OK; /* whatever else is wrong with it shows at its use */
    CLEANUP(free_string) char *above = strdup(dir);
    if (!above)
        return CKR_HOST_MEMORY;
    if (to_parent(above))
        TRY(make_dirs(above));
    if (mkdir(dir, 0700) != 0)
        return errno == EEXIST ? CKR_OK : error_errno("create directory", dir, errno);
    if (chmod(dir, 0700) != 0) /* the umask may have taken our own bits */
        return error_errno("create directory", dir, errno);
    return sync_dir(above);
}

/* Made under another name and linked: nobody meets the file with a wrong mode, and closing our
 * descriptor cannot drop the POSIX locks that SQLite holds on path in this process. */
static CK_RV place_file(const char *path, mode_t mode)
{
    CLEANUP(free_string) char *fresh = NULL;
    if (asprintf(&fresh, "%s.XXXXXX", path) < 0) {
        fresh = NULL;
        return CKR_HOST_MEMORY;
    }
    int fd = host_above_stdio(mkostemp(fresh, O_CLOEXEC));
    if (fd < 0)
        return error_errno("create", path, errno);
    bool made = fchmod(fd, mode) == 0 && fsync(fd) == 0;
    int reason = errno;
    close(fd);
    if (made && link(fresh, path) != 0 && errno != EEXIST) {
        made = false;
        reason = errno;
    }
    unlink(fresh);
    return made ? CKR_OK : error_errno("create", path, reason);
}

CK_RV files_create(const char *dir, const char *path)
{
    TRY(make_dirs(dir));
    struct stat st;
    if (stat(dir, &st) != 0)
        return error_errno("open directory", dir, errno);
    TRY(place_file(path, (st.st_mode & S_IWGRP) ? 0660 : 0600));
    return sync_dir(dir);
}
