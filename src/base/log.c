#include "log.h"
#include "clock.h"
#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const level_name[] = {"error", "warn", "info", "debug", "trace"};

static _Atomic int level_now = LOG_ERROR; /* atomics: read by every thread, set by C_Initialize */
static _Atomic int log_fd = STDERR_FILENO;
/* The last log file's; set by log_setup alone, which C_Initialize locks. */
static int file_fd = -1;
static _Atomic uint64_t file_device, file_inode;

bool log_level_parse(const char *name, enum log_level *ret)
{
    for (size_t i = 0; i < sizeof(level_name) / sizeof(*level_name); i++)
        if (strcmp(name, level_name[i]) == 0) {
            *ret = (enum log_level)i;
            return true;
        }
    return false;
}

static bool is_log_file(int fd)
{
    return host_file_is(fd,
                        (struct host_file){atomic_load(&file_device), atomic_load(&file_inode)});
}

/* Not into a file of the host's that has got the number since. */
static int descriptor(void)
{
    int fd = atomic_load(&log_fd);
    return fd == STDERR_FILENO || is_log_file(fd) ? fd : STDERR_FILENO;
}

void log_setup(enum log_level level, const char *file)
{
    log_flush(); /* to where the lines are that it counts */
    int fd = -1;
    if (file)
        fd = host_above_stdio(
            open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
    int reason = errno;
    /* The number is never closed: a thread that is about to write to it would write to whatever the
     * host opens next. */
    struct host_file opened = host_file_of(fd);
    if (fd >= 0 && is_log_file(file_fd)) {
        dup3(fd, file_fd, O_CLOEXEC);
        close(fd);
    } else if (fd >= 0) {
        file_fd = fd;
    }
    if (fd >= 0) {
        atomic_store(&file_device, opened.device);
        atomic_store(&file_inode, opened.inode);
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

/* ---- the same once --------------------------------------------------------------------------- */

/* A fault that repeats says the same few lines again and again. */
enum { LINE = 1024, REMEMBERED = 8, SECONDS = 60 };

static struct said {
    enum log_level level;
    size_t n; /* 0: free */
    char text[LINE];
    time_t since;
    unsigned more; /* times since then, not written */
    uint64_t turn; /* when it was said last */
} said[REMEMBERED];
static uint64_t turns;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards them; not held while writing */

static time_t seconds(void)
{
    return (time_t)(clock_now() / CLOCK_SECOND);
}

static void write_text(enum log_level level, unsigned more, const char *text, size_t n)
{
    char line[LINE];
    struct timespec now;
    struct tm parts;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    size_t at = strftime(line, sizeof(line), "%Y-%m-%dT%H:%M:%SZ ", &parts);
    at += (size_t)snprintf(line + at, sizeof(line) - at, "latchkey[%d] %s: ", (int)getpid(),
                           level_name[level]);
    if (more)
        at += (size_t)snprintf(line + at, sizeof(line) - at, "%u times more: ", more);
    if (n > sizeof(line) - 1 - at)
        n = sizeof(line) - 1 - at;
    memcpy(line + at, text, n);
    at += n;
    line[at++] = '\n';
    QUIET; /* stderr may be a pipe that nobody reads any more */
    int saved_errno = errno;
    /* one write: lines of threads and processes do not mix; a full disk must not stop a signature
     */
    if (write(descriptor(), line, at) < 0)
        errno = saved_errno;
}

/* Takes one whose minute is over, or that makes room; false when there is none with a count. */
static bool take_count(time_t now, bool all, struct said *ret)
{
    bool found = false;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < REMEMBERED && !found; i++) {
        if (said[i].n == 0 || (!all && now - said[i].since < SECONDS))
            continue;
        found = said[i].more > 0;
        if (found)
            *ret = said[i];
        said[i].n = 0;
    }
    pthread_mutex_unlock(&lock);
    return found;
}

static void tell_counts(bool all)
{
    struct said s;
    time_t now = seconds();
    while (take_count(now, all, &s))
        write_text(s.level, s.more, s.text, s.n);
}

void log_flush(void)
{
    tell_counts(true);
}

/* Was it said a moment ago? Then it is counted. Else it is remembered, in place of the oldest,
 * which is told. */
static bool said_before(enum log_level level, const char *text, size_t n, struct said *ret_gone)
{
    struct said *oldest = said;
    time_t now = seconds();
    pthread_mutex_lock(&lock);
    for (struct said *s = said; s < said + REMEMBERED; s++) {
        if (s->n == n && s->level == level && memcmp(s->text, text, n) == 0) {
            s->more++;
            s->turn = ++turns;
            pthread_mutex_unlock(&lock);
            return true;
        }
        if (s->n == 0 || (oldest->n != 0 && s->turn < oldest->turn))
            oldest = s;
    }
    if (oldest->n != 0 && oldest->more > 0)
        *ret_gone = *oldest;
    *oldest = (struct said){.level = level, .n = n, .since = now, .turn = ++turns};
    memcpy(oldest->text, text, n);
    pthread_mutex_unlock(&lock);
    return false;
}

void log_before_fork(void)
{
    pthread_mutex_lock(&lock);
}

void log_after_fork_parent(void)
{
    pthread_mutex_unlock(&lock);
}

/* The counts are the parent's to tell. */
void log_after_fork_child(void)
{
    memset(said, 0, sizeof(said));
    pthread_mutex_unlock(&lock);
}

void log_line(enum log_level level, const char *format, ...)
{
    if (!log_wants(level))
        return;
    int saved_errno = errno;
    char text[LINE];
    struct said gone = {.more = 0};
    va_list args;
    va_start(args,
             format); /* errno: of %m, by which strerror's buffer of all threads is not needed */
    int n = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    size_t length = n < 0 ? 0 : (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1;
    tell_counts(false);
    bool again = level < LOG_TRACE && length > 0 && said_before(level, text, length, &gone);
    if (gone.more)
        write_text(gone.level, gone.more, gone.text, gone.n);
    if (!again)
        write_text(level, 0, text, length);
    errno = saved_errno;
}
