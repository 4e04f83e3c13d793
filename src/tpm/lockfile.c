#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

static const char magic[8] = "LKTPM01";

struct on_disk {
    char magic[8];
    struct lock_record record;
};

/* ---- where it lies ------------------------------------------------------------------------- */

static bool usable_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode) && access(path, W_OK | X_OK) == 0;
}

/* /run/latchkey is root:tss 0770, made by root when it is missing; a user without it has the
 * runtime directory, and at last a 0700 directory of his own in /tmp. */
static CK_RV shared_dir(char *ret, size_t n)
{
    snprintf(ret, n, "/run/latchkey");
    if (geteuid() == 0 && mkdir(ret, 0770) == 0) {
        struct group entry, *tss = NULL;
        char room[2048];
        getgrnam_r("tss", &entry, room, sizeof(room), &tss);
        if (chmod(ret, 0770) != 0 || (tss && chown(ret, 0, tss->gr_gid) != 0))
            log_warn("%s: owner and mode cannot be set: %m", ret);
    }
    if (usable_dir(ret))
        return CKR_OK;
    const char *runtime = secure_getenv("XDG_RUNTIME_DIR");
    if (runtime && usable_dir(runtime)) {
        snprintf(ret, n, "%s", runtime);
        return CKR_OK;
    }
    snprintf(ret, n, "/tmp/latchkey-%u", (unsigned)geteuid());
    struct stat st;
    if (mkdir(ret, 0700) != 0 && errno != EEXIST)
        return error_errno("cannot make the directory of the TPM lock,", ret, errno);
    if (lstat(ret, &st) != 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid() ||
        (st.st_mode & 077))
        return error_log(CKR_DEVICE_ERROR, "%s must be a directory of the current user, mode 0700",
                         ret);
    return CKR_OK;
}

/* The path of a Unix-socket TCTI, without what may follow it and with links resolved; false for any
 * other TCTI. */
static bool socket_path(const char *tcti, char *ret)
{
    const char *given = strstr(tcti, "path=");
    char path[PATH_MAX];
    if (!given)
        return false;
    snprintf(path, sizeof(path), "%.*s", (int)strcspn(given + 5, ","), given + 5);
    if (!realpath(path, ret))
        memcpy(ret, path, sizeof(path));
    return true;
}

/* Where there is no socket to lie beside: the device's number, the socket's inode, the address. */
static void leaf_name(const char *tcti, const char *socket, char *ret, size_t n)
{
    const char *device = strncmp(tcti, "device:", 7) == 0 ? tcti + 7 : NULL;
    struct stat st;
    if (device && stat(device, &st) == 0)
        snprintf(ret, n, "dev-%u-%u", major(st.st_rdev), minor(st.st_rdev));
    else if (socket && stat(socket, &st) == 0)
        snprintf(ret, n, "socket-%lu-%lu", (unsigned long)st.st_dev, (unsigned long)st.st_ino);
    else
        snprintf(ret, n, "%s", tcti);
    for (char *c = ret; *c; c++)
        if (*c == '/')
            *c = '_';
}

/* Everyone who can reach a TPM must come to the same file: beside a Unix socket; else in the shared
 * directory. */
CK_RV lock_file_path(const struct config *config, const char *tcti, char *ret, size_t n)
{
    char socket[PATH_MAX], leaf[300], dir[256];
    bool by_socket = socket_path(tcti, socket);
    if (by_socket && !config->lock_dir)
        return (size_t)snprintf(ret, n, "%s.lock", socket) < n
                   ? CKR_OK
                   : error_log(CKR_DEVICE_ERROR, "the path of the TPM's socket is too long");
    leaf_name(tcti, by_socket ? socket : NULL, leaf, sizeof(leaf));
    if (!config->lock_dir)
        TRY(shared_dir(dir, sizeof(dir)));
    return (size_t)snprintf(ret, n, "%s/%s.lock", config->lock_dir ? config->lock_dir : dir, leaf) <
                   n
               ? CKR_OK
               : error_log(CKR_DEVICE_ERROR, "the path of the TPM lock file is too long");
}

/* ---- taking it ----------------------------------------------------------------------------- */

static CK_RV open_file(struct lock_file *l)
{
    int fd = open(l->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT) {
        fd = open(l->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0660);
        if (fd >= 0 && fchmod(fd, 0660) != 0) /* whatever the umask */
            log_warn("%s: mode cannot be set: %m", l->path);
        if (fd < 0 && errno == EEXIST)
            fd = open(l->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    }
    if (fd < 0) {
        error_errno("cannot open the TPM lock file", l->path, errno);
        return CKR_DEVICE_ERROR;
    }
    l->fd = fd;
    return CKR_OK;
}

/* An OFD lock: it is the descriptor's, not the process'; another module copy in this process is
 * another owner, as it must be. */
static int set_lock(int fd, short type)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET};
    int done;
    do
        done = fcntl(fd, F_OFD_SETLK, &lock);
    while (done != 0 && errno == EINTR);
    return done;
}

static void read_record(const struct lock_file *l, struct lock_record *ret)
{
    struct on_disk disk;
    const size_t most = sizeof(disk.record.handle) / sizeof(disk.record.handle[0]);
    *ret = (struct lock_record){0};
    if (pread(l->fd, &disk, sizeof(disk), 0) == (ssize_t)sizeof(disk) &&
        memcmp(disk.magic, magic, sizeof(magic)) == 0 && disk.record.n <= most &&
        disk.record.pending_name_n <= NAME_MAX_SIZE)
        *ret = disk.record;
}

static CK_RV wait_for_lock(struct lock_file *l, unsigned timeout)
{
    struct timespec start, now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (long pause_ns = 50000;; pause_ns = pause_ns < 4000000 ? pause_ns * 2 : pause_ns) {
        if (set_lock(l->fd, F_WRLCK) == 0)
            return CKR_OK;
        if (errno != EAGAIN && errno != EACCES)
            return error_errno("cannot lock", l->path, errno);
        clock_gettime(CLOCK_MONOTONIC, &now);
        double waited =
            (double)(now.tv_sec - start.tv_sec) + (double)(now.tv_nsec - start.tv_nsec) / 1e9;
        if (waited >= timeout) {
            struct lock_record holder;
            read_record(l, &holder);
            return error_log(CKR_DEVICE_ERROR,
                             "process %d has held the TPM's lock %s for more than %u s",
                             (int)holder.pid, l->path, timeout);
        }
        nanosleep(&(struct timespec){0, pause_ns}, NULL);
    }
}

/* Somebody may have removed the file that we hold open: then others lock another one. */
static bool still_there(const struct lock_file *l)
{
    struct stat ours, theirs;
    return fstat(l->fd, &ours) == 0 && stat(l->path, &theirs) == 0 &&
           ours.st_ino == theirs.st_ino && ours.st_dev == theirs.st_dev;
}

CK_RV lock_file_take(struct lock_file *l, unsigned timeout, struct lock_record *ret)
{
    for (int i = 0; i < 10; i++) {
        if (l->fd < 0)
            TRY(open_file(l));
        CK_RV rv = wait_for_lock(l, timeout);
        if (rv != CKR_OK || still_there(l)) {
            if (rv == CKR_OK)
                read_record(l, ret);
            return rv;
        }
        close(l->fd);
        l->fd = -1;
    }
    return error_log(CKR_DEVICE_ERROR, "the TPM lock file %s is being replaced all the time",
                     l->path);
}

void lock_file_write(struct lock_file *l, const struct lock_record *record)
{
    struct on_disk disk = {.record = *record};
    memcpy(disk.magic, magic, sizeof(magic));
    if (pwrite(l->fd, &disk, sizeof(disk), 0) != (ssize_t)sizeof(disk))
        log_warn("%s cannot be written: %m", l->path);
}

void lock_file_release(struct lock_file *l)
{
    if (l->fd >= 0)
        set_lock(l->fd, F_UNLCK);
}
