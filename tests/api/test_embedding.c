/* The module inside a host program: what is the host's stays as it was, and what hosts do to
 * themselves (closed streams, small stacks, other directories, an exit in the middle) does no harm.
 */
#define OPENSSL_SUPPRESS_DEPRECATED  /* RAND_get_rand_method: old hosts have methods of their own  \
                                      */
#include "children.h"

#include <fcntl.h>
#include <fenv.h>
#include <locale.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>

extern char **environ;

/* ---- a program's life ---------------------------------------------------------------------- */

static CK_BYTE buffer[512];
static CK_ULONG buffer_n;

static CK_RV keep_first(CK_RV rv, CK_RV next)
{
    return rv == CKR_OK ? next : rv;
}

/* What must fail, each in another layer. No libcrypto of the test's is called: a program without
 * OpenSSL does the same. */
static CK_RV fail_everywhere(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key)
{
    CK_BYTE not_a_point[65] = {4, 1, 2, 3};
    CK_BYTE p256[] = {0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07};
    CK_BYTE octets[67] = {4, 65, 4, 1};
    CK_ECDH1_DERIVE_PARAMS ecdh = {CKD_NULL, 0, NULL, sizeof not_a_point, not_a_point};
    CK_ATTRIBUTE secret[] = {ATTR_ULONG(CKA_CLASS, CKO_SECRET_KEY),
                             ATTR_ULONG(CKA_KEY_TYPE, CKK_GENERIC_SECRET),
                             ATTR_ULONG(CKA_VALUE_LEN, 32)};
    CK_ATTRIBUTE public[] = {
        ATTR_ULONG(CKA_CLASS, CKO_PUBLIC_KEY), ATTR_ULONG(CKA_KEY_TYPE, CKK_EC),
        ATTR_MEM(CKA_EC_PARAMS, p256, sizeof p256), ATTR_MEM(CKA_EC_POINT, octets, sizeof octets)};
    CK_OBJECT_HANDLE object;
    bool refused = login(session, CKU_SO, "a wrong PIN") != CKR_OK &&
                   p11->C_DeriveKey(session, MECHANISM_WITH(CKM_ECDH1_DERIVE, ecdh), key, secret,
                                    COUNT(secret), &object) != CKR_OK &&
                   p11->C_CreateObject(session, public, COUNT(public), &object) != CKR_OK &&
                   p11->C_SignInit(session, MECHANISM(CKM_AES_GCM), key) != CKR_OK &&
                   p11->C_GetSessionInfo(4711, &(CK_SESSION_INFO){0}) != CKR_OK &&
                   p11->C_DestroyObject(session, 4711) != CKR_OK;
    return refused ? CKR_OK : CKR_FUNCTION_FAILED;
}

static CK_RV work_in(CK_SESSION_HANDLE session)
{
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE, object;
    CK_ATTRIBUTE aes[] = {ATTR_ULONG(CKA_VALUE_LEN, 32), ATTR_BOOL(CKA_ENCRYPT, true)};
    CK_BYTE iv[16] = {0};
    CK_ATTRIBUTE data[] = {ATTR_ULONG(CKA_CLASS, CKO_DATA), ATTR_BOOL(CKA_TOKEN, true)};
    CK_RV rv = find_p256(session, &key);
    rv = keep_first(rv, sign_often(session, key, 2));
    rv = keep_first(rv, p11->C_GenerateRandom(session, buffer, 16));
    rv = keep_first(rv, p11->C_DigestInit(session, MECHANISM(CKM_SHA3_256)));
    buffer_n = sizeof buffer;
    rv = keep_first(rv, p11->C_Digest(session, iv, sizeof iv, buffer, &buffer_n));
    rv = keep_first(
        rv, p11->C_GenerateKey(session, MECHANISM(CKM_AES_KEY_GEN), aes, COUNT(aes), &object));
    rv = keep_first(rv, p11->C_EncryptInit(session, MECHANISM_WITH(CKM_AES_CBC_PAD, iv), object));
    buffer_n = sizeof buffer;
    rv = keep_first(rv, p11->C_Encrypt(session, iv, sizeof iv, buffer, &buffer_n));
    rv = keep_first(rv, p11->C_CreateObject(session, data, COUNT(data), &object));
    rv = keep_first(rv, p11->C_DestroyObject(session, object));
    return keep_first(rv, fail_everywhere(session, key));
}

static CK_RV a_life_with(const char *parameters)
{
    CK_SESSION_HANDLE session = CK_INVALID_HANDLE;
    CK_TOKEN_INFO info;
    CK_RV rv = initialize(parameters);
    if (rv != CKR_OK)
        return rv;
    rv = p11->C_GetTokenInfo(fx.slot, &info);
    rv = keep_first(
        rv, p11->C_OpenSession(fx.slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session));
    rv = keep_first(rv, login(session, CKU_USER, USER_PIN));
    rv = keep_first(rv, work_in(session));
    return keep_first(rv, p11->C_Finalize(NULL));
}

static CK_RV a_life(void)
{
    return a_life_with(NULL);
}

/* ---- the host's state ---------------------------------------------------------------------- */

static unsigned open_descriptors(void)
{
    unsigned n = 0;
    for (int fd = 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static unsigned free_thread_keys(void)
{
    static pthread_key_t keys[2048];
    unsigned n = 0;
    while (n < COUNT(keys) && pthread_key_create(&keys[n], NULL) == 0)
        n++;
    for (unsigned i = 0; i < n; i++)
        pthread_key_delete(keys[i]);
    return n;
}

static void read_umask(char *ret, size_t n)
{
    char line[128];
    FILE *f = fopen("/proc/self/status", "r");
    ret[0] = '\0';
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, "Umask:", 6) == 0)
            snprintf(ret, n, "%.20s", line);
    if (f != NULL)
        fclose(f);
}

/* One thing of the host's a field; compared as bytes. */
struct host {
    struct {
        void (*handler)(int);
        int flags;
    } action[NSIG];
    sigset_t mask;
    struct itimerval timer[3];
    char umask[32], directory[256], locale[256];
    char *environment[256];
    struct rlimit limit[RLIM_NLIMITS];
    unsigned descriptors, thread_keys;
    int rounding, exceptions, cancel;
    const void *rand_method;
    unsigned long error;
};

static void look_at_host(struct host *h)
{
    memset(h, 0, sizeof *h);
    for (int i = 1; i < NSIG; i++) {
        struct sigaction action = {0};
        sigaction(i, NULL, &action);
        h->action[i].handler = action.sa_handler;
        h->action[i].flags = action.sa_flags;
    }
    pthread_sigmask(SIG_SETMASK, NULL, &h->mask);
    getitimer(ITIMER_REAL, &h->timer[0]);
    getitimer(ITIMER_VIRTUAL, &h->timer[1]);
    getitimer(ITIMER_PROF, &h->timer[2]);
    read_umask(h->umask, sizeof h->umask);
    assert_non_null(getcwd(h->directory, sizeof h->directory));
    snprintf(h->locale, sizeof h->locale, "%s", setlocale(LC_ALL, NULL));
    for (size_t i = 0; environ[i] != NULL && i < COUNT(h->environment); i++)
        h->environment[i] = environ[i];
    for (unsigned i = 0; i < RLIM_NLIMITS; i++)
        getrlimit(i, &h->limit[i]);
    h->descriptors = open_descriptors();
    h->thread_keys = free_thread_keys();
    h->rounding = fegetround();
    h->exceptions = fetestexcept(FE_ALL_EXCEPT & ~FE_INEXACT);
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &h->cancel);
    h->rand_method = RAND_get_rand_method();
    h->error = ERR_peek_error();
}

static void assert_same_host(const struct host *a, const struct host *b)
{
#define SAME(field) assert_memory_equal(&a->field, &b->field, sizeof a->field)
    SAME(action);
    SAME(mask);
    SAME(timer);
    SAME(umask);
    SAME(directory);
    SAME(locale);
    SAME(environment);
    SAME(limit);
    SAME(descriptors);
    SAME(thread_keys);
    SAME(rounding);
    SAME(exceptions);
    SAME(cancel);
    SAME(rand_method);
    SAME(error);
#undef SAME
}

static void nothing_of_the_hosts_changes(void **state)
{
    (void)state;
    static struct host before, after;
    siginfo_t info = {0};
    assert_ok(a_life()); /* what libc and the linker do once */
    pid_t zombie = fork();
    if (zombie == 0)
        _exit(0);
    fesetround(FE_UPWARD);
    look_at_host(&before);
    assert_ok(a_life());
    look_at_host(&after);
    fesetround(FE_TONEAREST);
    assert_same_host(&before, &after);
    /* the host's child is still the host's to wait for */
    assert_int_equal(waitid(P_PID, (id_t)zombie, &info, WEXITED), 0);
    assert_int_equal(info.si_pid, zombie);
}

/* ---- OpenSSL ------------------------------------------------------------------------------- */

/* A ring of 16 that drops its oldest: with more errors pending than this OpenSSL keeps no promise
 * to anybody. */
enum { MANY_ERRORS = 10 };

/* A host that has errors pending finds those and no others. */
static void error_queue(unsigned pending)
{
    ERR_clear_error();
    for (unsigned i = 1; i <= pending; i++)
        ERR_raise_data(ERR_LIB_USER, (int)i, "the host's own");
    assert_ok(a_life());
    for (unsigned i = 1; i <= pending; i++) {
        const char *data;
        unsigned long error = ERR_get_error_all(NULL, NULL, NULL, &data, NULL);
        assert_int_equal(ERR_GET_REASON(error), i);
        assert_string_equal(data, "the host's own");
    }
    assert_int_equal(ERR_get_error(), 0);
}

static void error_queue_is_kept(void **state)
{
    (void)state;
    error_queue(0);
    error_queue(1);
    error_queue(MANY_ERRORS);
}

static CK_RV load_configuration(void)
{
    return OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, NULL) == 1 ? CKR_OK : CKR_FUNCTION_FAILED;
}

/* Does a fresh process that does this read the file that OPENSSL_CONF names? */
static bool configuration_is_read(peer_step step)
{
    char path[96];
    struct inotify_event event;
    struct peer peer;
    snprintf(path, sizeof path, "%s/openssl.cnf", fx.dir);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs("openssl_conf = init\n[init]\nproviders = p\n[p]\nlegacy = l\n[l]\nactivate = 1\n", f);
    fclose(f);
    int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    assert_true(inotify_add_watch(watch, path, IN_OPEN) >= 0);
    setenv("OPENSSL_CONF", path, 1);
    peer_start(&peer);
    unsetenv("OPENSSL_CONF");
    assert_ok(peer_call(&peer, step));
    peer_stop(&peer);
    bool was_read = read(watch, &event, sizeof event) > 0;
    close(watch);
    return was_read;
}

/* It is for the host to load it, or not, or later with other settings. */
static void configuration_is_the_hosts(void **state)
{
    (void)state;
    assert_true(configuration_is_read(load_configuration));
    assert_false(configuration_is_read(a_life));
}

/* ---- standard streams ---------------------------------------------------------------------- */

/* The step in a fresh process, which must live to tell. */
static void assert_survives(peer_step step)
{
    struct peer peer;
    peer_start(&peer);
    assert_ok(peer_call(&peer, step));
    peer_stop(&peer);
}

static CK_RV with_a_broken_stderr(void)
{
    int pair[2];
    if (pipe(pair) != 0 || dup2(pair[1], STDERR_FILENO) < 0)
        return CKR_GENERAL_ERROR;
    close(pair[0]);
    close(pair[1]);
    return a_life_with("log=trace");
}

/* The log goes to stderr; that nobody reads it there is no reason to end the host. */
static void nobody_reads_the_log(void **state)
{
    (void)state;
    assert_survives(with_a_broken_stderr);
}

static CK_RV without_streams(void)
{
    for (int fd = 0; fd <= 2; fd++)
        close(fd);
    return a_life_with("log=trace");
}

/* A daemon that closes it later on: the lock and the TPM's socket are opened afterwards. */
static CK_RV stderr_closed_after_initialize(void)
{
    CK_TOKEN_INFO info;
    CK_ULONG n;
    CK_RV rv = initialize("log=trace");
    rv = keep_first(rv, p11->C_GetSlotList(CK_FALSE, NULL, &n));
    close(STDERR_FILENO);
    rv = keep_first(rv, p11->C_GetTokenInfo(fx.slot, &info));
    rv = keep_first(rv, use_key(3));
    return keep_first(rv, p11->C_Finalize(NULL));
}

static long size_of(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? (long)st.st_size : -1;
}

/* What is written to descriptor 2 must not arrive in the store, in the TPM's lock or in the TPM. */
static void closed_streams(void **state)
{
    (void)state;
    char lock[128];
    snprintf(lock, sizeof lock, "%s.lock", fx.tpm.socket);
    assert_ok(a_life());
    long before = size_of(lock);
    assert_true(before > 0);
    assert_survives(without_streams);
    assert_survives(stderr_closed_after_initialize);
    assert_int_equal(size_of(lock), before);
    assert_ok(a_life());
}

/* stdout and stderr are for the host's words, but for the log's lines. */
static void nothing_is_printed(void **state)
{
    (void)state;
    char path[96];
    snprintf(path, sizeof path, "%s/printed", fx.dir);
    fflush(NULL);
    int saved[2] = {dup(1), dup(2)}, fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    dup2(fd, 1);
    dup2(fd, 2);
    close(fd);
    CK_RV rv = a_life();
    fflush(NULL);
    dup2(saved[0], 1);
    dup2(saved[1], 2);
    close(saved[0]);
    close(saved[1]);
    assert_ok(rv);
    assert_int_equal(size_of(path), 0);
}

/* ---- a TPM that hangs up ------------------------------------------------------------------- */

static int hanging_up;

static void *hang_up(void *unused)
{
    (void)unused;
    for (int fd; (fd = accept(hanging_up, NULL, NULL)) >= 0;)
        close(fd);
    return NULL;
}

static CK_RV talk_to_a_tpm_that_hangs_up(void)
{
    char path[96], parameters[160], control[160];
    pthread_t thread;
    CK_TOKEN_INFO info;
    snprintf(path, sizeof path, "%s/hangs-up", getenv("HOME"));
    snprintf(parameters, sizeof parameters, "log-file=/dev/null tcti=swtpm:path=%s", path);
    hanging_up = unix_listen(path);
    /* the control channel is the real one's */
    snprintf(control, sizeof control, "%s.ctrl", strchr(getenv("LATCHKEY_TCTI"), '=') + 1);
    strcat(path, ".ctrl");
    if (symlink(control, path) != 0)
        return CKR_GENERAL_ERROR;
    if (pthread_create(&thread, NULL, hang_up, NULL) != 0)
        return CKR_GENERAL_ERROR;
    CK_RV rv = initialize(parameters);
    for (int i = 0; rv == CKR_OK && i < 200; i++)
        p11->C_GetTokenInfo(fx.slot, &info);
    shutdown(hanging_up, SHUT_RDWR);
    pthread_join(thread, NULL);
    close(hanging_up);
    return keep_first(rv, p11->C_Finalize(NULL));
}

/* SIGPIPE is not for a host that has never written to that socket. */
static void tpm_hangs_up(void **state)
{
    (void)state;
    assert_survives(talk_to_a_tpm_that_hangs_up);
}

/* ---- umask, directories, limits ------------------------------------------------------------ */

static atomic_bool watching;
static atomic_uint umasks_seen;

static void *watch_umask(void *expected)
{
    char now_is[32];
    while (atomic_load(&watching)) {
        read_umask(now_is, sizeof now_is);
        if (strcmp(now_is, expected) != 0)
            atomic_fetch_add(&umasks_seen, 1);
    }
    return NULL;
}

/* The umask is the process's: a thread of the host's may be making a file just then. */
static void modes_whatever_the_umask(mode_t mask)
{
    char store[96], file[112], parameters[128], expected[32];
    struct stat st;
    CK_SLOT_ID slot = 0;
    CK_ULONG n = 1;
    pthread_t thread;
    snprintf(store, sizeof store, "%s/umask-%o", fx.dir, mask);
    snprintf(file, sizeof file, "%s/store.db", store);
    snprintf(parameters, sizeof parameters, "store=%s", store);
    mode_t before = umask(mask);
    read_umask(expected, sizeof expected);
    atomic_store(&watching, true);
    atomic_store(&umasks_seen, 0);
    pthread_create(&thread, NULL, watch_umask, expected);
    CK_UTF8CHAR label[32];
    pad_label(label, "umask");
    CK_RV rv = initialize(parameters);
    rv = keep_first(rv, p11->C_GetSlotList(CK_FALSE, &slot, &n));
    rv = keep_first(rv, p11->C_InitToken(slot, PIN(SO_PIN), label));
    rv = keep_first(rv, p11->C_Finalize(NULL));
    atomic_store(&watching, false);
    pthread_join(thread, NULL);
    umask(before);
    assert_ok(rv);
    assert_int_equal(atomic_load(&umasks_seen), 0);
    assert_int_equal(stat(store, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
}

static void files_have_their_modes(void **state)
{
    (void)state;
    modes_whatever_the_umask(0);
    modes_whatever_the_umask(0777);
}

static CK_RV after_a_change_of_directory(void)
{
    char home[256];
    snprintf(home, sizeof home, "%s", getenv("HOME"));
    if (chdir(home) != 0)
        return CKR_GENERAL_ERROR;
    unsetenv("LATCHKEY_STORE");
    CK_RV rv = initialize("store=store");
    if (chdir("/") != 0)
        return CKR_GENERAL_ERROR;
    rv = keep_first(rv, use_key(1));
    return keep_first(rv, in_child(child_starts_anew)); /* a daemon: chdir, fork */
}

static void relative_paths(void **state)
{
    (void)state;
    assert_survives(after_a_change_of_directory);
}

static CK_RV in_a_chroot(void)
{
    char empty[96];
    CK_BYTE random[8];
    snprintf(empty, sizeof empty, "%s/empty", getenv("HOME"));
    mkdir(empty, 0700);
    CK_RV rv = initialize("log-file=/dev/null");
    rv = keep_first(rv, use_key(1));
    CK_SESSION_HANDLE session = CK_INVALID_HANDLE;
    rv = keep_first(rv, p11->C_OpenSession(fx.slot, CKF_SERIAL_SESSION, NULL, NULL, &session));
    leaks_are_meant = true; /* LeakSanitizer needs /proc to find any */
    if (chroot(empty) != 0)
        return geteuid() == 0 ? CKR_GENERAL_ERROR : p11->C_Finalize(NULL);
    CK_RV inside = p11->C_GenerateRandom(session, random, sizeof random);
    if (inside != CKR_OK && inside != CKR_DEVICE_ERROR)
        rv = keep_first(rv, inside);
    return keep_first(rv, p11->C_Finalize(NULL));
}

/* Store and TPM are gone, as for a program that locks itself in too early. */
static void chroot_after_initialize(void **state)
{
    (void)state;
    assert_survives(in_a_chroot);
}

/* From none free to enough: calls fail, and afterwards all is well. */
static CK_RV with_few_descriptors(void)
{
    struct rlimit limit, few;
    getrlimit(RLIMIT_NOFILE, &limit);
    few = limit;
    CK_RV rv = CKR_HOST_MEMORY;
    for (rlim_t n = open_descriptors(); rv != CKR_OK; n++) {
        few.rlim_cur = n;
        setrlimit(RLIMIT_NOFILE, &few);
        rv = a_life_with("log-file=/dev/null");
        p11->C_Finalize(NULL);
        if (n > open_descriptors() + 20)
            return CKR_GENERAL_ERROR; /* it needs seven or so */
    }
    setrlimit(RLIMIT_NOFILE, &limit);
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_MEMLOCK, &none);
    return a_life();
}

static void few_descriptors_no_locked_memory(void **state)
{
    (void)state;
    assert_survives(with_few_descriptors);
}

#ifdef __SANITIZE_ADDRESS__
enum { SMALL_STACK = 512 * 1024 }; /* its frames are several times as large */
#else
enum { SMALL_STACK = 64 * 1024 };
#endif

static void *live(void *ret_rv)
{
    *(CK_RV *)ret_rv = a_life();
    return NULL;
}

static CK_RV on_a_small_stack(void)
{
    CK_RV rv = CKR_GENERAL_ERROR;
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, SMALL_STACK);
    if (pthread_create(&thread, &attributes, live, &rv) == 0)
        pthread_join(thread, NULL);
    pthread_attr_destroy(&attributes);
    return rv;
}

static void small_stacks(void **state)
{
    (void)state;
    assert_survives(on_a_small_stack);
}

/* ---- the end ------------------------------------------------------------------------------- */

static void *sign_on(void *unused)
{
    (void)unused;
    use_key(1000000000);
    return NULL;
}

static void *digest_on(void *unused)
{
    CK_SESSION_HANDLE session;
    CK_BYTE digest[64];
    static CK_BYTE data[1000];
    p11->C_OpenSession(fx.slot, CKF_SERIAL_SESSION, NULL, NULL, &session);
    for (;;) {
        CK_ULONG n = sizeof digest;
        p11->C_DigestInit(session, MECHANISM(CKM_SHA3_512));
        p11->C_Digest(session, data, sizeof data, digest, &n);
    }
    return unused;
}

static atomic_uint exit_after; /* milliseconds */

/* main returns while threads are at work: libc and libcrypto tear down what they stand on. */
static CK_RV leave_with_threads_inside(void)
{
    pthread_t thread;
    CK_RV rv = p11->C_Initialize(NULL);
    for (int i = 0; rv == CKR_OK && i < 4; i++)
        pthread_create(&thread, NULL, i % 2 == 0 ? sign_on : digest_on, NULL);
    sleep_ms(atomic_load(&exit_after));
    if (freopen("/dev/null", "w", stdout) != NULL)
        exit(rv == CKR_OK ? 0 : 1);
    return CKR_GENERAL_ERROR;
}

static CK_RV leave_without_finalize(void)
{
    CK_RV rv = child_starts_anew();
    exit(rv == CKR_OK && freopen("/dev/null", "w", stdout) != NULL ? 0 : 1);
}

static void exits_in_the_middle(void **state)
{
    (void)state;
    unsigned exits = long_run() ? 1000 : 10;
    for (unsigned i = 0; i < exits; i++) {
        atomic_store(&exit_after, 5 + 3 * i % 50);
        assert_child_ended_well(
            start_child(i % 5 == 0 ? leave_without_finalize : leave_with_threads_inside));
    }
    assert_ok(a_life());
    figure(exits, "exits of the host with threads inside the module");
}

static const peer_step steps[] = {
    a_life,
    load_configuration,
    with_a_broken_stderr,
    without_streams,
    stderr_closed_after_initialize,
    talk_to_a_tpm_that_hangs_up,
    after_a_change_of_directory,
    in_a_chroot,
    with_few_descriptors,
    on_a_small_stack,
};

#define SLOT_VARIABLE "EMBEDDING_TEST_SLOT" /* for the peers */

static int group_of_hosts(void **state)
{
    char slot[24];
    group_keys(state);
    snprintf(slot, sizeof slot, "%lu", fx.slot);
    return setenv(SLOT_VARIABLE, slot, 1);
}

#define EMBEDDING_TEST(f) cmocka_unit_test_teardown(f, test_end)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        EMBEDDING_TEST(nothing_of_the_hosts_changes),
        EMBEDDING_TEST(error_queue_is_kept),
        EMBEDDING_TEST(configuration_is_the_hosts),
        EMBEDDING_TEST(nobody_reads_the_log),
        EMBEDDING_TEST(closed_streams),
        EMBEDDING_TEST(nothing_is_printed),
        EMBEDDING_TEST(tpm_hangs_up),
        EMBEDDING_TEST(files_have_their_modes),
        EMBEDDING_TEST(relative_paths),
        EMBEDDING_TEST(chroot_after_initialize),
        EMBEDDING_TEST(few_descriptors_no_locked_memory),
        EMBEDDING_TEST(small_stacks),
        EMBEDDING_TEST(exits_in_the_middle),
    };
    if (getenv(SLOT_VARIABLE) != NULL)
        fx.slot = strtoul(getenv(SLOT_VARIABLE), NULL, 10);
    peer_serve(argc, argv, steps, COUNT(steps));
    return cmocka_run_group_tests(tests, group_of_hosts, group_end);
}
