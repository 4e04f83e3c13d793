/* The lock file of a TPM that has no resource manager. */
#include "tpm_test.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/sysmacros.h>

static char path[96];

static struct lock_file lock_at(const char *where)
{
    struct lock_file l = {.fd = -1};
    snprintf(l.path, sizeof(l.path), "%s", where);
    return l;
}

static void lock_close(struct lock_file *l)
{
    if (l->fd >= 0)
        close(l->fd);
    l->fd = -1;
}

static int start(void **state)
{
    (void)state;
    const char *base = getenv("TMPDIR");
    snprintf(fx.dir, sizeof(fx.dir), "%s/XXXXXX", base && strlen(base) < 24 ? base : "/tmp");
    if (!mkdtemp(fx.dir))
        return -1;
    snprintf(fx.log, sizeof(fx.log), "%s/log", fx.dir);
    log_setup(LOG_WARN, fx.log);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    log_setup(LOG_ERROR, NULL);
    remove_tree(fx.dir);
    return 0;
}

static int fresh_path(void **state)
{
    (void)state;
    static unsigned n;
    snprintf(path, sizeof(path), "%s/lock%u", fx.dir, n++);
    return 0;
}

/* ---- where it lies ------------------------------------------------------------------------- */

static void assert_path(const struct config *config, const char *tcti, const char *expected)
{
    char found[512];
    assert_ok(lock_file_path(config, tcti, found, sizeof(found)));
    assert_string_equal(found, expected);
}

static void test_path_beside_a_socket(void **state)
{
    (void)state;
    const struct config config = {0};
    assert_path(&config, "swtpm:path=/run/vtpm/sock", "/run/vtpm/sock.lock");
    assert_path(&config, "swtpm:path=/run/vtpm/sock,port=7", "/run/vtpm/sock.lock");
}

static void test_path_of_a_device_is_its_number(void **state)
{
    (void)state;
    struct config config = {.lock_dir = fx.dir};
    char link[80], tcti[100], expected[100];
    snprintf(link, sizeof(link), "%s/alias", fx.dir);
    assert_int_equal(symlink("/dev/null", link), 0);
    snprintf(tcti, sizeof(tcti), "device:%s", link);
    snprintf(expected, sizeof(expected), "%s/dev-1-3.lock", fx.dir);
    assert_path(&config, "device:/dev/null", expected);
    assert_path(&config, tcti, expected);
}

static void test_path_of_a_socket_in_a_lock_dir(void **state)
{
    (void)state;
    struct config config = {.lock_dir = fx.dir};
    char socket[80], link[80], a[100], b[100], first[512], second[512];
    snprintf(socket, sizeof(socket), "%s/sock", fx.dir);
    snprintf(link, sizeof(link), "%s/sock2", fx.dir);
    close(unix_listen(socket));
    assert_int_equal(symlink(socket, link), 0);
    snprintf(a, sizeof(a), "swtpm:path=%s", socket);
    snprintf(b, sizeof(b), "swtpm:path=%s", link);
    assert_ok(lock_file_path(&config, a, first, sizeof(first)));
    assert_ok(lock_file_path(&config, b, second, sizeof(second)));
    assert_string_equal(first, second);
}

static void test_path_of_an_address(void **state)
{
    (void)state;
    struct config config = {.lock_dir = fx.dir};
    char expected[120];
    snprintf(expected, sizeof(expected), "%s/mssim:host=_a_b,port=2321.lock", fx.dir);
    assert_path(&config, "mssim:host=/a/b,port=2321", expected);
}

/* What an ordinary user gets; 0 or the number of the check that failed. */
static int as_nobody(void)
{
    const struct config config = {0};
    char found[512], expected[80];
    const char *own = "/tmp/latchkey-65534";
    if (setgid(65534) != 0 || setuid(65534) != 0)
        return 1;
    setenv("XDG_RUNTIME_DIR", fx.dir, 1);
    snprintf(expected, sizeof(expected), "%s/mssim:.lock", fx.dir);
    if (lock_file_path(&config, "mssim:", found, sizeof(found)) != CKR_OK ||
        strcmp(found, expected) != 0)
        return 2;
    unsetenv("XDG_RUNTIME_DIR");
    struct stat st;
    if (lstat(own, &st) == 0) /* somebody's, not ours to change; root's or a link: a trap */
        return (S_ISDIR(st.st_mode) && st.st_uid == geteuid()) ||
                       lock_file_path(&config, "mssim:", found, sizeof(found)) == CKR_DEVICE_ERROR
                   ? 0
                   : 6;
    if (lock_file_path(&config, "mssim:", found, sizeof(found)) != CKR_OK ||
        strcmp(found, "/tmp/latchkey-65534/mssim:.lock") != 0)
        return 3;
    if (chmod(own, 0755) != 0 ||
        lock_file_path(&config, "mssim:", found, sizeof(found)) != CKR_DEVICE_ERROR)
        return 4;
    return rmdir(own) == 0 ? 0 : 5;
}

static void assert_as_nobody(int (*work)(void))
{
    assert_int_equal(chmod(fx.dir, 0777), 0);
    pid_t pid = fork();
    if (pid == 0)
        _exit(work());
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(chmod(fx.dir, 0700), 0);
    assert_int_equal(status, 0);
}

static void test_path_of_an_ordinary_user(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip(); /* needs to become somebody else */
    assert_as_nobody(as_nobody);
}

/* Somebody was there first, and waits for what will be written. */
static void test_traps_in_tmp(void **state)
{
    (void)state;
    char target[80];
    const char *own = "/tmp/latchkey-65534";
    struct stat st;
    if (geteuid() != 0 || lstat(own, &st) == 0)
        skip();
    assert_int_equal(mkdir(own, 0777), 0); /* not of who uses it */
    assert_as_nobody(as_nobody);
    assert_int_equal(rmdir(own), 0);
    snprintf(target, sizeof(target), "%s/trap", fx.dir);
    assert_int_equal(mkdir(target, 0700), 0);
    assert_int_equal(chown(target, 65534, 65534), 0);
    assert_int_equal(symlink(target, own), 0); /* to where he may write, but did not choose */
    assert_as_nobody(as_nobody);
    assert_int_equal(unlink(own), 0);
}

/* ---- the file ------------------------------------------------------------------------------ */

static void test_mode_whatever_the_umask(void **state)
{
    (void)state;
    struct lock_file l = lock_at(path);
    struct lock_record r;
    struct stat st;
    mode_t old = umask(077);
    assert_ok(lock_file_take(&l, 0, &r));
    umask(old);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0660);
    assert_int_equal(fcntl(l.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    lock_close(&l);
}

static void test_symlink_is_refused(void **state)
{
    (void)state;
    char target[112];
    struct lock_file l = lock_at(path);
    struct lock_record r;
    snprintf(target, sizeof(target), "%s.target", path);
    close(open(target, O_CREAT | O_WRONLY, 0600));
    assert_int_equal(symlink(target, path), 0);
    assert_rv(CKR_DEVICE_ERROR, lock_file_take(&l, 0, &r));
    struct stat st;
    assert_int_equal(stat(target, &st), 0);
    assert_int_equal(st.st_size, 0);
}

/* What must neither be waited for nor written to. */
static void test_what_is_no_file_is_refused(void **state)
{
    (void)state;
    char target[112], byte;
    struct lock_file l = lock_at(path);
    struct lock_record r;
    alarm(20);
    assert_int_equal(mkfifo(path, 0666), 0);
    assert_rv(CKR_DEVICE_ERROR, lock_file_take(&l, 1, &r));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0777), 0);
    assert_rv(CKR_DEVICE_ERROR, lock_file_take(&l, 1, &r));
    assert_int_equal(rmdir(path), 0);
    close(unix_listen(path));
    assert_rv(CKR_DEVICE_ERROR, lock_file_take(&l, 1, &r));
    assert_int_equal(unlink(path), 0);
    snprintf(target, sizeof(target), "%s.target", path);
    int fd = open(target, O_CREAT | O_RDWR, 0600);
    assert_int_equal(link(target, path), 0);
    assert_rv(CKR_DEVICE_ERROR, lock_file_take(&l, 1, &r));
    assert_int_equal(pread(fd, &byte, 1, 0), 0);
    close(fd);
    assert_int_equal(unlink(path), 0);
    assert_ok(lock_file_take(&l, 1, &r));
    alarm(0);
    lock_close(&l);
}

/* A shared lock, for which reading is enough, would keep everybody out. */
static void test_wrong_mode_is_put_right(void **state)
{
    (void)state;
    struct lock_file l = lock_at(path);
    struct lock_record r;
    struct stat st;
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_int_equal(fchmod(fd, 0666), 0);
    close(fd);
    assert_ok(lock_file_take(&l, 0, &r));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0660);
    lock_close(&l);
}

static int take_as_nobody(void)
{
    struct lock_file l = lock_at(path);
    struct lock_record r;
    if (setgid(65534) != 0 || setuid(65534) != 0)
        return 1;
    return lock_file_take(&l, 1, &r) == CKR_DEVICE_ERROR && l.fd < 0 ? 0 : 2;
}

static void test_file_of_another_user(void **state)
{
    (void)state;
    struct lock_file l = lock_at(path);
    struct lock_record r;
    if (geteuid() != 0)
        skip();
    assert_ok(lock_file_take(&l, 0, &r));
    lock_file_release(&l);
    forget_log();
    assert_int_equal(chmod(fx.log, 0666), 0);
    assert_as_nobody(take_as_nobody);
    assert_true(logged("Permission denied"));
    assert_true(logged(path));
    lock_close(&l);
}

static void test_missing_directory(void **state)
{
    (void)state;
    struct lock_file l = lock_at("/nonexistent/lock");
    struct lock_record r;
    assert_rv(CKR_DEVICE_ERROR, lock_file_take(&l, 0, &r));
    assert_int_equal(l.fd, -1);
}

/* ---- the record ---------------------------------------------------------------------------- */

static const struct lock_record sample = {
    .owner = {1, 2, 3}, .pid = 4711, .n = 3, .handle = {0x80000000, 0x80000001, 0x02000000}};

static void write_sample(void)
{
    struct lock_file l = lock_at(path);
    struct lock_record r;
    assert_ok(lock_file_take(&l, 0, &r));
    assert_int_equal(r.n, 0);
    lock_file_write(&l, &sample);
    lock_file_release(&l);
    lock_close(&l);
}

static struct lock_record read_back(void)
{
    struct lock_file l = lock_at(path);
    struct lock_record r;
    assert_ok(lock_file_take(&l, 0, &r));
    lock_close(&l);
    return r;
}

static void test_record_reaches_the_next_owner(void **state)
{
    (void)state;
    write_sample();
    struct lock_record r = read_back();
    assert_memory_equal(&r, &sample, sizeof(r));
}

/* A record that cannot be trusted names no handle: nothing of a stranger's is flushed. */
static void test_damaged_record_is_empty(void **state)
{
    (void)state;
    static const struct lock_record none;
    write_sample();
    for (off_t at = 0; at < 8; at++) { /* the magic */
        int fd = open(path, O_RDWR);
        uint8_t byte;
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= 0x20;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        struct lock_record r = read_back();
        assert_memory_equal(&r, &none, sizeof(r));
        byte ^= 0x20;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        close(fd);
    }
    struct lock_record r = read_back();
    assert_memory_equal(&r, &sample, sizeof(r));
    assert_int_equal(truncate(path, (off_t)(8 + sizeof(sample) - 1)), 0);
    r = read_back();
    assert_memory_equal(&r, &none, sizeof(r));
}

static void assert_reads_as_empty(const struct lock_record *written)
{
    static const struct lock_record none;
    struct lock_file l = lock_at(path);
    struct lock_record r;
    assert_ok(lock_file_take(&l, 0, &r));
    lock_file_write(&l, written);
    lock_close(&l);
    r = read_back();
    assert_memory_equal(&r, &none, sizeof(r));
}

static void test_record_with_too_many_handles_is_empty(void **state)
{
    (void)state;
    const uint32_t counts[] = {(uint32_t)COUNT(sample.handle) + 1, 1000, UINT32_MAX};
    for (size_t i = 0; i < COUNT(counts); i++) {
        struct lock_record r = sample;
        r.n = counts[i];
        assert_reads_as_empty(&r);
    }
}

static void test_record_with_too_long_a_name_is_empty(void **state)
{
    (void)state;
    const uint32_t lengths[] = {NAME_MAX_SIZE + 1, 4000, UINT32_MAX};
    for (size_t i = 0; i < COUNT(lengths); i++) {
        struct lock_record r = sample;
        r.pending_name_n = lengths[i];
        assert_reads_as_empty(&r);
    }
}

/* ---- holders ------------------------------------------------------------------------------- */

/* A child that holds the lock, its record written, until it is killed. */
static pid_t holder(void)
{
    int ready[2];
    char byte;
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct lock_file l = lock_at(path);
        struct lock_record r;
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves nobody */
        if (lock_file_take(&l, 5, &r) != CKR_OK)
            _exit(1);
        r.pid = getpid();
        lock_file_write(&l, &r);
        if (write(ready[1], "x", 1) != 1)
            _exit(1);
        pause();
        _exit(0);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return pid;
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* What the log says after a second's wait. */
static bool told(const char *text)
{
    struct lock_file l = lock_at(path);
    struct lock_record r;
    forget_log();
    assert_rv(CKR_DEVICE_ERROR, lock_file_take(&l, 1, &r));
    lock_close(&l);
    log_flush(); /* it may have been said before */
    return logged(text);
}

/* The program's, or that of valgrind, which runs it. */
static const char *command_name(void)
{
    static char name[17];
    prctl(PR_GET_NAME, name);
    return name;
}

static void test_holder_is_named(void **state)
{
    (void)state;
    char text[64];
    pid_t pid = holder();
    snprintf(text, sizeof(text), "process %d (%s) has held", (int)pid, command_name());
    assert_true(told(text));
    assert_false(logged("stopped"));
    kill(pid, SIGSTOP);
    assert_int_equal(waitpid(pid, NULL, WUNTRACED), pid);
    assert_true(told(text));
    assert_true(logged("it is stopped: continue it"));
    end(pid);
}

/* The file ends with who holds it: number, and time of start. */
static void change_holder(int32_t pid, uint64_t later)
{
    struct {
        int32_t pid;
        uint64_t start;
    } h;
    struct stat st;
    int fd = open(path, O_RDWR);
    assert_int_equal(fstat(fd, &st), 0);
    off_t at = st.st_size - (off_t)sizeof(h);
    assert_int_equal(pread(fd, &h, sizeof(h), at), sizeof(h));
    h.pid = pid ? pid : h.pid;
    h.start += later;
    assert_int_equal(pwrite(fd, &h, sizeof(h), at), sizeof(h));
    close(fd);
}

/* Nobody is accused who only has the number of one that wrote it. */
static void test_number_given_again(void **state)
{
    (void)state;
    pid_t pid = holder();
    change_holder(0, 1);
    assert_true(told("out of sight"));
    assert_false(logged(command_name()));
    end(pid);
}

static void test_number_that_nobody_has(void **state)
{
    (void)state;
    const int32_t none[] = {-1, 1 << 30};
    pid_t pid = holder();
    for (size_t i = 0; i < COUNT(none); i++) {
        change_holder(none[i], 0);
        assert_true(told("out of sight"));
    }
    assert_int_equal(truncate(path, 3), 0);
    assert_true(told("out of sight"));
    end(pid);
}

/* ---- turns --------------------------------------------------------------------------------- */

static _Atomic bool enough;
static _Atomic unsigned hog_takes;

/* Holds it for a millisecond, again and again, with nothing in between. */
static void *hog(void *unused)
{
    (void)unused;
    struct lock_file l = lock_at(path);
    struct lock_record r;
    while (!enough && lock_file_take(&l, 20, &r) == CKR_OK) {
        sleep_ms(1);
        lock_file_release(&l);
        hog_takes++;
    }
    lock_close(&l);
    return NULL;
}

/* Without turns one that waits would have to look in the very moment: hundreds a take. */
static void test_who_waits_gets_a_turn(void **state)
{
    (void)state;
    enum { TAKES = 20, MOST_BETWEEN = 60 };
    struct lock_file l = lock_at(path);
    struct lock_record r;
    pthread_t thread;
    enough = false;
    hog_takes = 0;
    assert_int_equal(pthread_create(&thread, NULL, hog, NULL), 0);
    while (hog_takes == 0)
        sleep_ms(1);
    for (int i = 0; i < TAKES; i++) {
        assert_ok(lock_file_take(&l, 20, &r));
        lock_file_release(&l);
        sleep_ms(1);
    }
    enough = true;
    pthread_join(thread, NULL);
    assert_true(hog_takes < TAKES * MOST_BETWEEN);
    lock_close(&l);
}

/* One that is stopped, or killed, while it waits keeps nobody from anything. */
static void test_stopped_waiter(void **state)
{
    (void)state;
    struct lock_file l = lock_at(path);
    struct lock_record r;
    assert_ok(lock_file_take(&l, 0, &r));
    pid_t waiter = fork();
    if (waiter == 0) {
        struct lock_file own = lock_at(path);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        lock_file_take(&own, 60, &r);
        _exit(0);
    }
    sleep_ms(100);
    kill(waiter, SIGSTOP);
    assert_int_equal(waitpid(waiter, NULL, WUNTRACED), waiter);
    lock_file_release(&l);
    for (int i = 0; i < 100; i++) {
        assert_ok(lock_file_take(&l, 5, &r));
        lock_file_release(&l);
    }
    end(waiter);
    lock_close(&l);
}

/* ---- holders that do not get on ------------------------------------------------------------ */

static void test_stopped_holder_does_not_block_for_ever(void **state)
{
    (void)state;
    struct lock_file l = lock_at(path);
    struct lock_record r;
    struct timespec before, after;
    pid_t pid = holder();
    kill(pid, SIGSTOP);
    clock_gettime(CLOCK_MONOTONIC, &before);
    assert_rv(CKR_DEVICE_ERROR, lock_file_take(&l, 2, &r));
    clock_gettime(CLOCK_MONOTONIC, &after);
    assert_in_range(after.tv_sec - before.tv_sec, 1, 4);
    end(pid);
    assert_ok(lock_file_take(&l, 2, &r)); /* and the same struct takes it once it is free */
    assert_int_equal(r.pid, pid);
    lock_close(&l);
}

static void test_dead_holder_leaves_lock_and_record(void **state)
{
    (void)state;
    struct lock_file l = lock_at(path);
    struct lock_record r;
    pid_t pid = holder();
    end(pid);
    assert_ok(lock_file_take(&l, 0, &r));
    assert_int_equal(r.pid, pid);
    lock_close(&l);
}

static void test_two_in_one_process_exclude_each_other(void **state)
{
    (void)state;
    struct lock_file a = lock_at(path), b = lock_at(path);
    struct lock_record r;
    assert_ok(lock_file_take(&a, 0, &r));
    assert_rv(CKR_DEVICE_ERROR, lock_file_take(&b, 0, &r));
    lock_file_release(&a);
    assert_ok(lock_file_take(&b, 0, &r));
    assert_rv(CKR_DEVICE_ERROR, lock_file_take(&a, 0, &r));
    lock_close(&a); /* closing one does not release the other's, as POSIX locks would */
    struct lock_file c = lock_at(path);
    assert_rv(CKR_DEVICE_ERROR, lock_file_take(&c, 0, &r));
    lock_close(&b);
    lock_close(&c);
}

/* ---- fork ---------------------------------------------------------------------------------- */

static void test_child_that_closes_leaves_the_parents_lock(void **state)
{
    (void)state;
    struct lock_file l = lock_at(path), other = lock_at(path);
    struct lock_record r;
    assert_ok(lock_file_take(&l, 0, &r));
    pid_t pid = fork();
    if (pid == 0) {
        lock_close(&l);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_rv(CKR_DEVICE_ERROR, lock_file_take(&other, 0, &r));
    lock_close(&l);
    assert_ok(lock_file_take(&other, 0, &r));
    lock_close(&other);
}

static void test_child_that_keeps_it_open_holds_nothing_after_the_release(void **state)
{
    (void)state;
    struct lock_file l = lock_at(path), other = lock_at(path);
    struct lock_record r;
    assert_ok(lock_file_take(&l, 0, &r));
    pid_t pid = fork();
    if (pid == 0) {
        pause();
        _exit(0);
    }
    lock_file_release(&l);
    assert_ok(lock_file_take(&other, 0, &r));
    end(pid);
    lock_close(&other);
    lock_close(&l);
}

/* ---- a replaced file ----------------------------------------------------------------------- */

static void test_removed_file_is_made_anew(void **state)
{
    (void)state;
    struct lock_file a = lock_at(path), b = lock_at(path);
    struct lock_record r;
    assert_ok(lock_file_take(&a, 0, &r));
    lock_file_release(&a);
    assert_int_equal(unlink(path), 0);
    assert_ok(lock_file_take(&b, 0, &r)); /* makes the new one */
    assert_rv(CKR_DEVICE_ERROR, lock_file_take(&a, 0, &r));
    lock_close(&b);
    assert_ok(lock_file_take(&a, 0, &r));
    lock_close(&a);
}

/* The host has closed all descriptors and opened a file of its own. */
static void test_strangers_file_is_not_touched(void **state)
{
    (void)state;
    struct lock_file a = lock_at(path), b = lock_at(path);
    struct lock_record r = {.n = 1};
    struct stat st;
    assert_ok(lock_file_take(&a, 0, &r));
    lock_file_release(&a);
    FILE *theirs = tmpfile();
    assert_non_null(theirs);
    int fd = a.fd;
    assert_int_equal(dup2(fileno(theirs), fd), fd);
    assert_false(lock_file_write(&a, &r));
    assert_ok(lock_file_take(&a, 0, &r));
    assert_int_not_equal(a.fd, fd);
    assert_rv(CKR_DEVICE_ERROR, lock_file_take(&b, 0, &r));
    assert_true(lock_file_write(&a, &r));
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_size, 0);
    close(fd);
    fclose(theirs);
    lock_close(&a);
    lock_close(&b);
}

/* A waiter whose file is replaced while it waits must end up with the new one's lock. */
static void test_file_replaced_under_a_waiter(void **state)
{
    (void)state;
    struct lock_record r;
    pid_t old_holder = holder();
    pid_t waiter = fork();
    if (waiter == 0) {
        struct lock_file l = lock_at(path);
        _exit(lock_file_take(&l, 3, &r) == CKR_DEVICE_ERROR ? 0 : 1);
    }
    sleep_ms(200);
    assert_int_equal(unlink(path), 0);
    pid_t new_holder = holder();
    end(old_holder);
    int status;
    assert_int_equal(waitpid(waiter, &status, 0), waiter);
    assert_int_equal(status, 0);
    end(new_holder);
}

#define LOCK_TEST(f) cmocka_unit_test_setup(f, fresh_path)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOCK_TEST(test_path_beside_a_socket),
        LOCK_TEST(test_path_of_a_device_is_its_number),
        LOCK_TEST(test_path_of_a_socket_in_a_lock_dir),
        LOCK_TEST(test_path_of_an_address),
        LOCK_TEST(test_path_of_an_ordinary_user),
        LOCK_TEST(test_mode_whatever_the_umask),
        LOCK_TEST(test_traps_in_tmp),
        LOCK_TEST(test_symlink_is_refused),
        LOCK_TEST(test_what_is_no_file_is_refused),
        LOCK_TEST(test_wrong_mode_is_put_right),
        LOCK_TEST(test_file_of_another_user),
        LOCK_TEST(test_missing_directory),
        LOCK_TEST(test_record_reaches_the_next_owner),
        LOCK_TEST(test_damaged_record_is_empty),
        LOCK_TEST(test_record_with_too_many_handles_is_empty),
        LOCK_TEST(test_record_with_too_long_a_name_is_empty),
        LOCK_TEST(test_holder_is_named),
        LOCK_TEST(test_number_given_again),
        LOCK_TEST(test_number_that_nobody_has),
        LOCK_TEST(test_who_waits_gets_a_turn),
        LOCK_TEST(test_stopped_waiter),
        LOCK_TEST(test_stopped_holder_does_not_block_for_ever),
        LOCK_TEST(test_dead_holder_leaves_lock_and_record),
        LOCK_TEST(test_two_in_one_process_exclude_each_other),
        LOCK_TEST(test_child_that_closes_leaves_the_parents_lock),
        LOCK_TEST(test_child_that_keeps_it_open_holds_nothing_after_the_release),
        LOCK_TEST(test_removed_file_is_made_anew),
        LOCK_TEST(test_strangers_file_is_not_touched),
        LOCK_TEST(test_file_replaced_under_a_waiter),
    };
    return cmocka_run_group_tests_name("tpm/lockfile", tests, start, stop);
}
