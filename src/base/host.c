#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const int quieted[] = {SIGPIPE, SIGXFSZ};
enum { QUIETED = sizeof(quieted) / sizeof(*quieted) };

struct quiet host_quiet_begin(void)
{
    struct quiet q;
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < QUIETED; i++)
        sigaddset(&set, quieted[i]);
    sigpending(&q.pending);
    pthread_sigmask(SIG_BLOCK, &set, &q.mask);
    return q;
}

void host_quiet_end(struct quiet *q)
{
    int saved_errno = errno;
    sigset_t ours;
    sigemptyset(&ours);
    for (size_t i = 0; i < QUIETED; i++)
        if (!sigismember(&q->pending, quieted[i])) /* else it is the host's */
            sigaddset(&ours, quieted[i]);
    while (sigtimedwait(&ours, NULL, &(struct timespec){0}) > 0 || errno == EINTR)
        ;
    pthread_sigmask(SIG_SETMASK, &q->mask, NULL);
    errno = saved_errno;
}

int host_above_stdio(int fd)
{
    if (fd < 0 || fd > STDERR_FILENO)
        return fd;
    int above = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    int reason = errno;
    close(fd);
    errno = reason;
    return above;
}

struct stdio_guard host_guard_stdio(void)
{
    struct stdio_guard g = {{false}};
    for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++) {
        if (fcntl(i, F_GETFD) >= 0)
            continue;
        int fd = open("/dev/null", O_RDWR | O_CLOEXEC); /* the lowest that is free */
        if (fd == i)
            g.held[i] = true;
        else if (fd >= 0)
            close(fd);
    }
    return g;
}

void host_release_stdio(struct stdio_guard *g)
{
    for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++)
        if (g->held[i])
            close(i);
}

struct host_file host_file_of(int fd)
{
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0)
        return (struct host_file){0};
    return (struct host_file){st.st_dev, st.st_ino};
}

bool host_file_is(int fd, struct host_file file)
{
    struct stat st;
    if (fd < 0)
        return false;
    if (fstat(fd, &st) != 0)
        return errno != EBADF; /* it is there, and cannot be looked at: no reason to leave it */
    return st.st_dev == file.device && st.st_ino == file.inode;
}
