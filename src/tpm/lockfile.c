#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <base/clock.h>
#include <base/host.h>

static const char magic[8] = "LKTPM01";

/* Who holds the lock: told before the record is, which only its owner changes. The time of its
 * start is what tells it from another process that was given the same number. */
struct holder {
    int32_t pid;   /* 0: unknown */
    uint32_t zero; /* no padding: nothing of the stack goes to the file */
    uint64_t start;
};

struct on_disk {
    char magic[8];
    struct lock_record record;
    struct holder holder;
};

/* Bytes of the file that are locked: by the holder, and, shared, by those who wait. */
enum { HOLDING, WAITING };

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
    if (mkdir(ret, 0700) == 0)
        chmod(ret, 0700); /* the umask may have taken our own bits */
    else if (errno != EEXIST)
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

/* Neither a tty nor a FIFO is to be waited for. */
enum { OPEN_FLAGS = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY };

/* Nothing else is written to: a link to a file of ours would have somebody else decide which. */
static CK_RV check_file(const struct lock_file *l, int fd, struct host_file *ret)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return error_errno("cannot look at the TPM lock file", l->path, errno);
    if (!S_ISREG(st.st_mode) || st.st_nlink > 1)
        return error_log(CKR_DEVICE_ERROR,
                         "%s is no file that the TPM could be locked by; remove it", l->path);
    /* who may only read it could still hold it, by a shared lock */
    if (st.st_uid == geteuid() && (st.st_mode & 07777) != 0660 && fchmod(fd, 0660) != 0)
        log_warn("%s: mode cannot be set: %m", l->path);
    *ret = (struct host_file){st.st_dev, st.st_ino};
    return CKR_OK;
}

static CK_RV open_file(struct lock_file *l)
{
    int fd = open(l->path, OPEN_FLAGS);
    if (fd < 0 && errno == ENOENT) {
        fd = open(l->path, OPEN_FLAGS | O_CREAT | O_EXCL, 0660);
        if (fd < 0 && errno == EEXIST)
            fd = open(l->path, OPEN_FLAGS);
    }
    fd = host_above_stdio(fd);
    if (fd < 0) {
        error_errno("cannot open the TPM lock file", l->path, errno);
        return CKR_DEVICE_ERROR;
    }
    CK_RV rv = check_file(l, fd, &l->file);
    if (rv == CKR_OK)
        l->fd = fd;
    else
        close(fd);
    return rv;
}

/* The host may have closed it, and have a file of its own under the number: that is not touched. */
static bool ours(const struct lock_file *l)
{
    return l->fd >= 0 && host_file_is(l->fd, l->file);
}

void lock_file_close(struct lock_file *l)
{
    if (ours(l))
        close(l->fd);
    l->fd = -1;
}

/* OFD locks: they are the descriptor's, not the process'; another module copy in this process is
 * another owner, as it must be. */
static struct flock range(int byte, short type)
{
    return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
}

static int set_lock(int fd, int byte, short type)
{
    struct flock region = range(byte, type);
    int done;
    do
        done = fcntl(fd, F_OFD_SETLK, &region);
    while (done != 0 && errno == EINTR);
    return done;
}

/* Has somebody else this byte? */
static bool taken(int fd, int byte)
{
    struct flock region = range(byte, F_WRLCK);
    return fcntl(fd, F_OFD_GETLK, &region) == 0 && region.l_type != F_UNLCK;
}

/* The part before the holder's name, which is written by itself. */
static const size_t record_end = offsetof(struct on_disk, holder);

/* How much of the record was read or written; -1 with errno. */
static ssize_t transfer(int fd, struct on_disk *disk, bool out)
{
    size_t done = 0;
    while (done < record_end) {
        uint8_t *p = (uint8_t *)disk + done;
        ssize_t n = out ? pwrite(fd, p, record_end - done, (off_t)done)
                        : pread(fd, p, record_end - done, (off_t)done);
        if (n == 0 || (n < 0 && errno != EINTR))
            return n < 0 ? n : (ssize_t)done;
        done += n > 0 ? (size_t)n : 0;
    }
    return (ssize_t)done;
}

/* An empty or damaged file is no record. One that cannot be read may be: whoever went on would lose
 * what it says of handles in the TPM. */
static CK_RV read_record(const struct lock_file *l, struct lock_record *ret)
{
    struct on_disk disk;
    const size_t most = sizeof(disk.record.handle) / sizeof(disk.record.handle[0]);
    ssize_t n = transfer(l->fd, &disk, false);
    *ret = (struct lock_record){0};
    if (n < 0) {
        error_errno("cannot read the TPM lock file", l->path, errno);
        return CKR_DEVICE_ERROR;
    }
    if (n == (ssize_t)record_end && memcmp(disk.magic, magic, sizeof(magic)) == 0 &&
        disk.record.n <= most && disk.record.pending_name_n <= NAME_MAX_SIZE)
        *ret = disk.record;
    return CKR_OK;
}

/* ---- who has it ---------------------------------------------------------------------------- */

/* From /proc/PID/stat: the command's name, the state's letter, and the time of its start in ticks
 * since the machine's. 0: no such process is to be seen from here. */
static uint64_t look_at(int32_t pid, char name[32], char *state)
{
    char path[32], text[512];
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = '\0';
    const char *open_ = strchr(text, '('), *close_ = strrchr(text, ')'); /* names may have both */
    uint64_t start = 0;
    if (!open_ || !close_ ||
        /* NOLINTNEXTLINE(cert-err34-c): the kernel wrote it */
        sscanf(close_ + 1,
               " %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
               "%*s %*s %" SCNu64,
               state, &start) != 2)
        return 0;
    snprintf(name, 32, "%.*s", (int)(close_ - open_ - 1), open_ + 1);
    for (char *c = name; *c; c++) /* a process names itself: nothing of it is to rule a terminal */
        if (*c < ' ' || *c > '~')
            *c = '?';
    return start;
}

static void tell_holder(struct lock_file *l)
{
    char name[32], state;
    int32_t pid = (int32_t)getpid();
    if (l->self.pid != pid)
        l->self = (struct lock_self){pid, look_at(pid, name, &state)};
    const struct holder me = {.pid = pid, .start = l->self.start};
    struct holder told;
    const off_t at = offsetof(struct on_disk, holder);
    if (pread(l->fd, &told, sizeof(told), at) == (ssize_t)sizeof(told) && told.pid == me.pid &&
        told.start == me.start)
        return;
    if (pwrite(l->fd, &me, sizeof(me), at) != (ssize_t)sizeof(me))
        log_warn("%s cannot be written: %m", l->path);
}

static CK_RV held_too_long(const struct lock_file *l, unsigned timeout)
{
    struct holder h = {0};
    char name[32], state = 0;
    if (pread(l->fd, &h, sizeof(h), offsetof(struct on_disk, holder)) != (ssize_t)sizeof(h))
        h.pid = 0;
    uint64_t start = h.pid > 0 ? look_at(h.pid, name, &state) : 0;
    if (start == 0 || start != h.start)
        return error_log(CKR_DEVICE_ERROR,
                         "the TPM's lock %s has been held for more than %u s, by a process that "
                         "has not written its name, or is out of sight: fuser -v %s, as root, "
                         "shows who has it open",
                         l->path, timeout, l->path);
    return error_log(CKR_DEVICE_ERROR,
                     "process %d (%s) has held the TPM's lock %s for more than %u s%s", (int)h.pid,
                     name, l->path, timeout,
                     state == 'T' ? "; it is stopped: continue it (kill -CONT) or end it"
                                  : "; if it does not get on, end it");
}

/* ---- waiting ------------------------------------------------------------------------------- */

/* Who waits looks at least every LONGEST_PAUSE; who has had the lock for a TURN steps back for
 * longer than that, so that each who waits gets it in turn. */
enum { SHORTEST_PAUSE = 50000, LONGEST_PAUSE = 1000000, STEP_BACK = 2000000, TURN = 10000000 };

/* Others are only seen while they wait, so nobody steps back for nothing, but for one who is
 * stopped while waiting: that costs a turn's owner one step a call. */
static void let_others(struct lock_file *l)
{
    if (clock_now() - l->turn < TURN || !taken(l->fd, WAITING))
        return;
    clock_pause(STEP_BACK);
    l->turn = clock_now();
}

static CK_RV wait_for_lock(struct lock_file *l, unsigned timeout)
{
    int64_t start = clock_now();
    set_lock(l->fd, WAITING, F_RDLCK);
    CK_RV rv = CKR_OK;
    for (long pause = SHORTEST_PAUSE; rv == CKR_OK && set_lock(l->fd, HOLDING, F_WRLCK) != 0;) {
        if (errno != EAGAIN && errno != EACCES)
            rv = error_errno("cannot lock", l->path, errno);
        else if (clock_now() - start >= (int64_t)timeout * CLOCK_SECOND)
            rv = timeout ? held_too_long(l, timeout) : CKR_DEVICE_ERROR;
        else
            clock_pause(pause);
        pause = pause < LONGEST_PAUSE ? pause * 2 : pause;
    }
    set_lock(l->fd, WAITING, F_UNLCK);
    l->turn = clock_now();
    return rv;
}

static CK_RV lock(struct lock_file *l, unsigned timeout)
{
    let_others(l);
    return set_lock(l->fd, HOLDING, F_WRLCK) == 0 ? CKR_OK : wait_for_lock(l, timeout);
}

/* Somebody may have removed the file that we hold open: then others lock another one. */
static bool still_there(const struct lock_file *l)
{
    struct stat held, named;
    return fstat(l->fd, &held) == 0 && stat(l->path, &named) == 0 && held.st_ino == named.st_ino &&
           held.st_dev == named.st_dev;
}

CK_RV lock_file_take(struct lock_file *l, unsigned timeout, struct lock_record *ret)
{
    for (int i = 0; i < 10; i++) {
        if (!ours(l))
            TRY(open_file(l));
        CK_RV rv = lock(l, timeout);
        if (rv != CKR_OK || still_there(l)) {
            if (rv == CKR_OK && (rv = read_record(l, ret)) != CKR_OK)
                lock_file_release(l);
            if (rv == CKR_OK)
                tell_holder(l);
            return rv;
        }
        lock_file_close(l);
    }
    return error_log(CKR_DEVICE_ERROR, "the TPM lock file %s is being replaced all the time",
                     l->path);
}

bool lock_file_write(struct lock_file *l, const struct lock_record *record)
{
    struct on_disk disk = {.record = *record};
    memcpy(disk.magic, magic, sizeof(magic));
    if (ours(l) && transfer(l->fd, &disk, true) == (ssize_t)record_end)
        return true;
    log_warn("%s cannot be written: %m", l->path);
    return false;
}

void lock_file_release(struct lock_file *l)
{
    if (ours(l))
        set_lock(l->fd, HOLDING, F_UNLCK);
}

bool lock_file_busy(const struct lock_file *l)
{
    return ours(l) && taken(l->fd, HOLDING);
}
