/* File systems as administrators have them: full, read-only, without locks, with files of others
 * and of the wrong kind. Each has its code; what was reported done stays; when the cause is gone
 * all goes on. */
#include "faults.h"
#include "keys.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534

static char place[80], database[100], parameters[120];

/* A copy of the store in a directory of its own, on a file system of so many KiB where that is
 * asked for. */
static bool copy_store(unsigned kib)
{
    char command[300], options[32];
    snprintf(place, sizeof place, "%s/place", fx.dir);
    snprintf(database, sizeof database, "%s/store.db", place);
    snprintf(parameters, sizeof parameters, "store='%s'", place);
    snprintf(options, sizeof options, "size=%uk,mode=755", kib);
    assert_int_equal(mkdir(place, 0755), 0);
    if (kib > 0 && mount("tmpfs", place, "tmpfs", 0, options) != 0) {
        print_message("no file system can be mounted here: %s\n", strerror(errno));
        return false;
    }
    snprintf(command, sizeof command, "cp '%s/store.db' '%s'", fx.store, database);
    assert_int_equal(system(command), 0);
    return true;
}

static int test_over(void **state)
{
    char command[120];
    p11->C_Finalize(NULL);
    while (umount2(place, MNT_DETACH) == 0)
        ;
    snprintf(command, sizeof command, "rm -rf '%s'", place);
    assert_int_equal(system(command), 0);
    return test_end(state);
}

static void log_in(void)
{
    assert_ok(initialize(parameters));
    fx.session = open_session(fx.slot, CKF_RW_SESSION);
    assert_ok(login(fx.session, CKU_USER, USER_PIN));
}

static void assert_signs(void)
{
    sign(fx.session, MECHANISM(CKM_ECDSA), keys_of(fx.session, "p256").private, "0123456789", 10);
}

static CK_RV make_data(CK_ULONG n, CK_OBJECT_HANDLE *ret)
{
    static CK_BYTE bytes[20000];
    CK_ATTRIBUTE data[] = {ATTR_ULONG(CKA_CLASS, CKO_DATA), ATTR_BOOL(CKA_TOKEN, true),
                           ATTR_STR(CKA_LABEL, "filler"), ATTR_MEM(CKA_VALUE, bytes, n)};
    memset(bytes, 7, sizeof bytes);
    return p11->C_CreateObject(fx.session, data, COUNT(data), ret);
}

static void assert_whole(void)
{
    sqlite3 *db;
    sqlite3_stmt *check;
    assert_int_equal(sqlite3_open(database, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &check, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(check), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(check, 0), "ok");
    sqlite3_finalize(check);
    sqlite3_close(db);
}

/* ---- full ---------------------------------------------------------------------------------- */

static CK_OBJECT_HANDLE fillers[4000];

/* Objects until there is no room, ever smaller ones; how many were reported done. */
static size_t fill_up(void)
{
    size_t n = 0;
    for (CK_ULONG size = 20000; size > 0; size /= 20) {
        CK_RV rv;
        while ((rv = make_data(size, &fillers[n])) == CKR_OK)
            assert_true(++n < COUNT(fillers));
        assert_rv(CKR_DEVICE_MEMORY, rv);
    }
    return n;
}

static void assert_full_and_usable(size_t n)
{
    CK_ATTRIBUTE label = ATTR_STR(CKA_LABEL, "filler");
    assert_int_equal(count_objects(fx.session, &label, 1), n);
    assert_signs();
    assert_ok(p11->C_Finalize(NULL));
    assert_whole();
    log_in();
    assert_int_equal(count_objects(fx.session, &label, 1), n);
    assert_signs();
}

static void assert_as_before(void)
{
    CK_OBJECT_HANDLE object;
    assert_ok(make_data(15000, &object));
    assert_ok(p11->C_DestroyObject(fx.session, object));
    assert_signs();
    assert_whole();
}

static void full_disk(void **state)
{
    (void)state;
    char path[120];
    if (!copy_store(1024))
        skip();
    log_in();
    /* all that there is but 200 KiB are somebody else's */
    snprintf(path, sizeof path, "%s/ballast", place);
    struct statfs fs;
    assert_int_equal(statfs(place, &fs), 0);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(posix_fallocate(fd, 0, (off_t)fs.f_bavail * fs.f_bsize - 200 * 1024), 0);
    size_t n = fill_up();
    assert_true(n > 5);
    assert_full_and_usable(n);
    assert_int_equal(ftruncate(fd, 0), 0);
    close(fd);
    assert_as_before();
    figure(n, "objects made until a file system was full, all kept");
}

/* The journal of a deletion needs room as well. When there is none at all, it says so. */
static void full_to_the_last_page(void **state)
{
    (void)state;
    char path[120];
    CK_OBJECT_HANDLE object;
    if (!copy_store(1024))
        skip();
    log_in();
    assert_ok(make_data(15000, &object));
    snprintf(path, sizeof path, "%s/ballast", place);
    struct statfs fs;
    assert_int_equal(statfs(place, &fs), 0);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(posix_fallocate(fd, 0, (off_t)fs.f_bavail * fs.f_bsize), 0);
    assert_rv(CKR_DEVICE_MEMORY, p11->C_DestroyObject(fx.session, object));
    assert_full_and_usable(1);
    assert_int_equal(ftruncate(fd, 0), 0);
    close(fd);
    assert_as_before();
}

/* The same without a mount: no file of this process may grow beyond the store's size. */
static void file_size_limit(void **state)
{
    (void)state;
    struct stat st;
    struct rlimit old, now;
    copy_store(0);
    log_in();
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(stat(database, &st), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    now = (struct rlimit){(rlim_t)st.st_size + 100000, old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &now), 0);
    size_t n = 0;
    CK_RV rv;
    while ((rv = make_data(20000, &fillers[n])) == CKR_OK)
        assert_true(++n < 100);
    assert_rv_either(CKR_DEVICE_MEMORY, CKR_DEVICE_ERROR, rv);
    assert_full_and_usable(n);
    assert_ok(p11->C_DestroyObject(fx.session, find_object(fx.session, CKO_DATA, "filler")));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_as_before();
}

/* ---- read-only ----------------------------------------------------------------------------- */

/* Reading and signing go on; when it is writable again, writing does, in the same process. */
static void remounted_read_only(void **state)
{
    (void)state;
    CK_SESSION_HANDLE session;
    CK_TOKEN_INFO info;
    if (!copy_store(4096))
        skip();
    assert_int_equal(mount("tmpfs", place, "tmpfs", MS_REMOUNT | MS_RDONLY, NULL), 0);
    assert_ok(initialize(parameters));
    fx.session = open_session(fx.slot, 0);
    assert_ok(login(fx.session, CKU_USER, USER_PIN));
    assert_signs();
    assert_ok(p11->C_GetTokenInfo(fx.slot, &info));
    assert_true(info.flags & CKF_WRITE_PROTECTED);
    CK_FLAGS flags = CKF_SERIAL_SESSION | CKF_RW_SESSION;
    assert_rv(CKR_TOKEN_WRITE_PROTECTED, p11->C_OpenSession(fx.slot, flags, NULL, NULL, &session));
    assert_int_equal(mount("tmpfs", place, "tmpfs", MS_REMOUNT, NULL), 0);
    fx.session = open_session(fx.slot, CKF_RW_SESSION);
    assert_as_before();
}

/* Under an open store: every write is refused by the kernel. */
static void read_only_meanwhile(void **state)
{
    (void)state;
    CK_OBJECT_HANDLE object;
    copy_store(0);
    log_in();
    fault_set(&(struct fault){.kind = FAULT_FILE,
                              .code = EROFS,
                              .files = FILE_CHANGE | FILE_WRITE | FILE_REMOVE,
                              .lasting = true,
                              .nth = 1,
                              .beside = "/place/"});
    CK_RV rv = FAULTY(make_data(10, &object));
    assert_true(fault_struck());
    assert_true(rv == CKR_TOKEN_WRITE_PROTECTED || rv == CKR_DEVICE_ERROR);
    assert_signs();
    fault_set(&(struct fault){.kind = FAULT_NONE});
    assert_as_before();
}

/* ---- NFS and its like ---------------------------------------------------------------------- */

/* What it answers, lasting, to which calls, and what is said to the application. */
static const struct {
    int code;
    unsigned files;
} remote[] = {
    {ENOLCK, FILE_LOCK}, /* no lock manager */
    {ESTALE, FILE_ALL},  /* the server came back without the file */
    {EIO, FILE_ALL},     /* soft mount, server away */
    {EACCES, FILE_READ | FILE_WRITE},
    {EDQUOT, FILE_WRITE | FILE_CHANGE},
};

static void remote_file_system(void **state)
{
    (void)state;
    copy_store(0);
    log_in();
    for (size_t i = 0; i < COUNT(remote); i++) {
        CK_OBJECT_HANDLE object;
        fault_set(&(struct fault){.kind = FAULT_FILE,
                                  .code = remote[i].code,
                                  .files = remote[i].files,
                                  .lasting = true,
                                  .nth = 1,
                                  .beside = "/place/"});
        CK_RV rv = FAULTY(make_data(10, &object));
        assert_true(fault_struck());
        if (remote[i].code == EDQUOT)
            assert_rv_either(CKR_DEVICE_MEMORY, CKR_DEVICE_ERROR, rv);
        else
            assert_rv(CKR_DEVICE_ERROR, rv);
        fault_set(&(struct fault){.kind = FAULT_NONE});
        assert_as_before();
    }
}

/* ---- other people's files ------------------------------------------------------------------ */

/* What somebody else who may not do so does with the store, in a child that is nobody. */
static CK_RV as_nobody(peer_step f)
{
    (void)f;
    if (setgroups(0, NULL) != 0 || setgid(NOBODY) != 0 || setuid(NOBODY) != 0)
        return CKR_GENERAL_ERROR;
    CK_RV rv = initialize(parameters);
    if (rv == CKR_OK)
        rv = p11->C_OpenSession(fx.slot, CKF_SERIAL_SESSION, NULL, NULL, &fx.session);
    if (rv == CKR_OK && find_object(fx.session, CKO_PUBLIC_KEY, "p256") == CK_INVALID_HANDLE)
        rv = CKR_OBJECT_HANDLE_INVALID;
    return rv;
}

static CK_RV read_as_nobody(void)
{
    return as_nobody(NULL);
}

/* A writer was killed in the middle: the store, and a journal that must be rolled back. */
static void leave_hot_journal(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        CK_OBJECT_HANDLE object;
        log_in();
        fault_set(&(struct fault){.kind = FAULT_FILE,
                                  .code = FAULT_KILL,
                                  .files = FILE_REMOVE,
                                  .nth = 1,
                                  .beside = "store.db-journal"});
        FAULTY(make_data(15000, &object));
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
}

/* Who may not write cannot roll back, and what lies there is no state that ever was: an error, that
 * says who is to open it; whoever may, mends it by that. */
static void journal_of_another(void **state)
{
    (void)state;
    char journal[120];
    struct stat st;
    if (geteuid() != 0)
        skip();
    copy_store(0);
    assert_int_equal(chmod(fx.dir, 0755), 0);
    assert_int_equal(chmod(database, 0644), 0);
    assert_ok(in_child(read_as_nobody));
    leave_hot_journal();
    snprintf(journal, sizeof journal, "%s-journal", database);
    assert_int_equal(stat(journal, &st), 0);
    assert_rv(CKR_DEVICE_ERROR, in_child(read_as_nobody));
    assert_int_equal(chmod(journal, 0600), 0); /* and unreadable, too */
    assert_rv(CKR_DEVICE_ERROR, in_child(read_as_nobody));
    assert_int_equal(stat(journal, &st), 0);
    log_in();
    assert_int_equal(find_object(fx.session, CKO_DATA, "filler"), CK_INVALID_HANDLE);
    assert_int_not_equal(stat(journal, &st), 0);
    assert_ok(in_child(read_as_nobody));
    assert_as_before();
}

static void modes(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    copy_store(0);
    assert_int_equal(chmod(fx.dir, 0755), 0);
    assert_int_equal(chmod(database, 0600), 0); /* root's */
    assert_rv(CKR_DEVICE_ERROR, in_child(read_as_nobody));
    assert_int_equal(chown(database, NOBODY, NOBODY), 0); /* his file, root's directory */
    assert_ok(in_child(read_as_nobody));
    assert_int_equal(chown(database, 0, 0), 0);
    assert_int_equal(chmod(database, 0666), 0);
    assert_ok(in_child(read_as_nobody));
    assert_int_equal(chmod(place, 0700), 0); /* the directory shut */
    assert_rv(CKR_DEVICE_ERROR, in_child(read_as_nobody));
}

/* ---- store.db is something else ------------------------------------------------------------ */

static CK_RV open_and_write(void)
{
    CK_OBJECT_HANDLE object;
    CK_RV rv = initialize(parameters);
    if (rv == CKR_OK)
        rv = p11->C_OpenSession(fx.slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL,
                                &fx.session);
    return rv == CKR_OK ? make_data(10, &object) : rv;
}

static void assert_refused(void)
{
    CK_RV rv = in_child(open_and_write); /* which must not hang */
    assert_rv_either(CKR_DEVICE_ERROR, CKR_TOKEN_NOT_RECOGNIZED, rv);
}

static void of_another_kind(void **state)
{
    (void)state;
    char link[120];
    copy_store(0);
    unlink(database);
    assert_int_equal(mkdir(database, 0700), 0);
    assert_refused();
    assert_int_equal(rmdir(database), 0);
    assert_int_equal(mkfifo(database, 0600), 0);
    assert_refused();
    unlink(database);
    assert_int_equal(symlink("/dev/null", database), 0);
    assert_refused(); /* as an empty store, whose slot has no token */
    unlink(database);
    assert_int_equal(symlink("store.db", database), 0); /* to itself */
    assert_refused();
    unlink(database);
    snprintf(link, sizeof link, "%s/store.db", fx.store); /* to a store: it is that one */
    assert_int_equal(symlink(link, database), 0);
    log_in();
    assert_as_before();
}

/* No HOME, none in the user database either: it says so, and a named store is enough. */
static CK_RV homeless(void)
{
    unsetenv("LATCHKEY_STORE");
    unsetenv("XDG_DATA_HOME");
    unsetenv("XDG_CONFIG_HOME");
    unsetenv("HOME");
    if (setgroups(0, NULL) != 0 || setgid(54321) != 0 || setuid(54321) != 0)
        return CKR_FUNCTION_FAILED;
    CK_RV rv = initialize(NULL);
    return rv != CKR_GENERAL_ERROR ? CKR_FUNCTION_FAILED : initialize(parameters);
}

static void no_home(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    copy_store(0);
    assert_int_equal(chmod(fx.dir, 0755), 0);
    assert_ok(in_child(homeless));
}

/* ---- the table ----------------------------------------------------------------------------- */

/* Mounts stay ours, and end with us. */
static int group_disk(void **state)
{
    if (unshare(CLONE_NEWNS) == 0)
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
    group_token(state);
    test_user(state);
    generate_ec(fx.session, NID_X9_62_prime256v1, "p256", true);
    return test_end(state);
}

#define DISK_TEST(f) cmocka_unit_test_teardown(f, test_over)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DISK_TEST(full_disk),           DISK_TEST(full_to_the_last_page),
        DISK_TEST(file_size_limit),     DISK_TEST(remounted_read_only),
        DISK_TEST(read_only_meanwhile), DISK_TEST(remote_file_system),
        DISK_TEST(journal_of_another),  DISK_TEST(modes),
        DISK_TEST(of_another_kind),     DISK_TEST(no_home),
    };
    return cmocka_run_group_tests(tests, group_disk, group_end);
}
