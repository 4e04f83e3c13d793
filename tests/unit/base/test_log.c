/* base/log.h: one line an event, at the level that was asked for. */
#include "base_test.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char text[16384];

/* What log_line left in the file; the log goes back to stderr. */
static size_t written(const char *path)
{
    log_setup(LOG_ERROR, NULL);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof text - 1, f);
    text[n] = '\0';
    fclose(f);
    unlink(path);
    return n;
}

static void levels(void **state)
{
    (void)state;
    char *path = temporary_file("");
    log_setup(LOG_WARN, path);
    assert_true(log_wants(LOG_ERROR) && log_wants(LOG_WARN) && !log_wants(LOG_INFO));
    log_error("an %s", "error");
    log_warn("a warning");
    log_info("an information");
    log_debug("a detail");
    written(path);
    assert_non_null(strstr(text, " error: an error\n"));
    assert_non_null(strstr(text, " warn: a warning\n"));
    assert_null(strstr(text, "information"));
    assert_null(strstr(text, "detail"));
    free(path);
}

static void long_lines_are_cut(void **state)
{
    (void)state;
    char *path = temporary_file(""), longer[5000];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    log_setup(LOG_ERROR, path);
    log_error("%s", longer);
    size_t n = written(path);
    assert_true(n <= 1024);
    assert_int_equal(text[n - 1], '\n');
    assert_ptr_equal(strchr(text, '\n'), text + n - 1);
    free(path);
}

static void file_is_private_and_no_link(void **state)
{
    (void)state;
    struct stat st;
    char *path = temporary_file(""), link_path[256];
    unlink(path);
    log_setup(LOG_ERROR, path);
    log_error("first");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    snprintf(link_path, sizeof link_path, "%s.link", path);
    assert_int_equal(symlink(path, link_path), 0);
    log_setup(LOG_ERROR, link_path); /* somebody's link does not lead the log astray */
    log_error("not through the link");
    unlink(link_path);
    written(path);
    assert_non_null(strstr(text, "first"));
    assert_null(strstr(text, "not through the link"));
    free(path);
}

static void level_names(void **state)
{
    (void)state;
    enum log_level level = LOG_ERROR;
    assert_true(log_level_parse("trace", &level));
    assert_int_equal(level, LOG_TRACE);
    assert_true(log_level_parse("error", &level));
    assert_int_equal(level, LOG_ERROR);
    assert_false(log_level_parse("loud", &level));
    assert_false(log_level_parse("", &level));
    assert_int_equal(level, LOG_ERROR);
}

static unsigned lines(void)
{
    unsigned n = 0;
    for (const char *p = text; (p = strchr(p, '\n')); p++)
        n++;
    return n;
}

static void the_same_is_said_once(void **state)
{
    (void)state;
    char *path = temporary_file("");
    log_setup(LOG_DEBUG, path);
    for (int i = 0; i < 1000; i++) {
        log_error("no answer");
        log_warn("no answer"); /* another level is another line */
        errno = i % 2 ? ENOENT : EACCES;
        log_warn("the reason: %m");
    }
    written(path);
    assert_int_equal(lines(), 8);
    assert_non_null(strstr(text, "error: no answer\n"));
    assert_non_null(strstr(text, "error: 999 times more: no answer\n"));
    assert_non_null(strstr(text, "warn: 999 times more: no answer\n"));
    assert_non_null(strstr(text, "warn: 499 times more: the reason: Permission denied\n"));
    free(path);
}

static void what_makes_room_is_told(void **state)
{
    (void)state;
    char *path = temporary_file("");
    log_setup(LOG_DEBUG, path);
    log_error("often");
    log_error("often");
    for (int i = 0; i < 100; i++)
        log_error("line %d", i);
    const char *told = NULL, *last = NULL;
    written(path);
    assert_int_equal(lines(), 102);
    told = strstr(text, "error: 1 times more: often\n");
    last = strstr(text, "line 20\n");
    assert_true(told && last && told < last);
    free(path);
}

static void a_trace_is_whole(void **state)
{
    (void)state;
    char *path = temporary_file("");
    log_setup(LOG_TRACE, path);
    for (int i = 0; i < 10; i++)
        log_trace("step");
    written(path);
    assert_int_equal(lines(), 10);
    free(path);
}

/* log.c's clock. */
static time_t later;

int clock_gettime(clockid_t clock, struct timespec *ret)
{
    int done = (int)syscall(SYS_clock_gettime, clock, ret);
    ret->tv_sec += later;
    return done;
}

static void once_a_minute(void **state)
{
    (void)state;
    char *path = temporary_file("");
    log_setup(LOG_ERROR, path);
    for (later = 0; later < 180; later++)
        log_error("still");
    written(path);
    later = 0;
    assert_in_range(lines(), 6, 8); /* three, each with its count; a second passed, perhaps */
    assert_non_null(strstr(text, "59 times more: still"));
    free(path);
}

static void *log_in_thread(void *argument)
{
    for (int i = 0; i < 1000; i++)
        log_error("the same in all");
    return argument;
}

static void threads_count_together(void **state)
{
    (void)state;
    char *path = temporary_file("");
    pthread_t thread[4];
    unsigned more = 0;
    log_setup(LOG_ERROR, path);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, log_in_thread, NULL), 0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(thread[i], NULL);
    written(path);
    unsigned n = lines(), told = 0;
    for (const char *p = text; (p = strstr(p, "error: ")); p++)
        if (sscanf(p, "error: %u times more", &more) == 1)
            told += more + 1;
    assert_in_range(n, 2, 4); /* a minute may be over on a slow machine */
    assert_int_equal(told, 4000);
    free(path);
}

/* The child's first line is not the parent's thousandth, and it finds the lock free. */
static void a_child_begins_anew(void **state)
{
    (void)state;
    char *path = temporary_file("");
    log_setup(LOG_ERROR, path);
    log_error("both");
    log_error("both");
    log_before_fork();
    pid_t pid = fork();
    if (pid == 0) {
        log_after_fork_child();
        log_error("both");
        log_flush();
        _exit(0);
    }
    log_after_fork_parent();
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    written(path);
    assert_int_equal(lines(), 3);
    free(path);
}

/* What a daemon does, and then opens a file of its own. */
static void a_strangers_file_is_not_written(void **state)
{
    (void)state;
    char *path = temporary_file(""), *other = temporary_file("");
    log_setup(LOG_ERROR, path);
    log_error("before");
    int fd = -1;
    struct stat a, b;
    assert_int_equal(stat(path, &a), 0);
    for (int i = 3; i < 64 && fd < 0; i++)
        if (fstat(i, &b) == 0 && a.st_ino == b.st_ino && a.st_dev == b.st_dev)
            fd = i;
    int theirs = open(other, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0 && theirs >= 0);
    assert_int_equal(dup2(theirs, fd), fd);
    log_error("after");
    log_setup(LOG_ERROR, path);
    log_error("anew");
    assert_int_equal(fstat(theirs, &b), 0);
    assert_int_equal(b.st_size, 0);
    assert_int_equal(fstat(fd, &a), 0);
    assert_int_equal(a.st_ino, b.st_ino);
    close(fd);
    close(theirs);
    written(path);
    assert_non_null(strstr(text, "anew"));
    assert_null(strstr(text, "after"));
    unlink(other);
    free(path);
    free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels),
        cmocka_unit_test(long_lines_are_cut),
        cmocka_unit_test(file_is_private_and_no_link),
        cmocka_unit_test(level_names),
        cmocka_unit_test(the_same_is_said_once),
        cmocka_unit_test(what_makes_room_is_told),
        cmocka_unit_test(a_trace_is_whole),
        cmocka_unit_test(once_a_minute),
        cmocka_unit_test(threads_count_together),
        cmocka_unit_test(a_child_begins_anew),
        cmocka_unit_test(a_strangers_file_is_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
