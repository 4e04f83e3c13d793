#include "log.h"
#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const level_name[] = {"error", "warn", "info", "debug", "trace"};

static _Atomic int level_now = LOG_ERROR; /* atomics: read by every thread, set by C_Initialize */
static _Atomic int log_fd = STDERR_FILENO;
static int file_fd =
    -1; /* the last log file's; only log_setup, which C_Initialize locks, sees it */

bool log_level_parse(const char *name, enum log_level *ret)
{
    for (size_t i = 0; i < sizeof(level_name) / sizeof(*level_name); i++)
        if (strcmp(name, level_name[i]) == 0) {
            *ret = (enum log_level)i;
            return true;
        }
    return false;
}

void log_setup(enum log_level level, const char *file)
{
    int fd = -1;
    if (file)
        fd = host_above_stdio(
            open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
    int reason = errno;
    /* The number is never closed: a thread that is about to write to it would write to whatever the
     * host opens next. */
    if (fd >= 0 && file_fd >= 0) {
        dup3(fd, file_fd, O_CLOEXEC);
        close(fd);
    } else if (fd >= 0) {
        file_fd = fd;
    }
    atomic_store(&log_fd, fd >= 0 ? file_fd : STDERR_FILENO);
    atomic_store(&level_now, (int)level);
    if (file && fd < 0) {
        errno = reason;
        log_warn("log file %s cannot be opened (%m); logging to stderr", file);
    }
}

bool log_wants(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&level_now, memory_order_relaxed);
}

void log_line(enum log_level level, const char *format, ...)
{
    if (!log_wants(level))
        return;
    QUIET; /* stderr may be a pipe that nobody reads any more */
    int saved_errno = errno;
    char line[1024];
    struct timespec now;
    struct tm parts;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    size_t n = strftime(line, sizeof(line), "%Y-%m-%dT%H:%M:%SZ ", &parts);
    n += (size_t)snprintf(line + n, sizeof(line) - n, "latchkey[%d] %s: ", (int)getpid(),
                          level_name[level]);
    va_list args;
    va_start(args, format);
    errno = saved_errno; /* of %m, by which strerror's buffer of all threads is not needed */
    int more = vsnprintf(line + n, sizeof(line) - n - 1, format, args);
    va_end(args);
    n += more < 0 ? 0 : (size_t)more;
    if (n > sizeof(line) - 2)
        n = sizeof(line) - 2;
    line[n++] = '\n';
    /* one write: lines of threads and processes do not mix; a full disk must not stop a signature
     */
    if (write(atomic_load(&log_fd), line, n) < 0)
        errno = saved_errno;
    errno = saved_errno;
}
