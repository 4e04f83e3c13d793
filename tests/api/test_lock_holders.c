/* Processes that have the lock of a TPM without a resource manager and do not give it back:
 * stopped, killed, strangers. Nobody waits for longer than lock-timeout, and the log says for whom.
 */
#include "keys.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 8 };

static char lock_path[120], log_path[80];

/* ---- the other process ---- */

static CK_RV peer_login(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves none behind, stopped */
    CK_RV rv = p11->C_Initialize(NULL);
    if (rv != CKR_OK)
        return rv;
    fx.slot = slot_of(LABEL);
    fx.session = open_session(fx.slot, CKF_RW_SESSION);
    return login(fx.session, CKU_USER, USER_PIN);
}

static CK_RV peer_sign_for_ever(void)
{
    CK_OBJECT_HANDLE key = keys_of(fx.session, "rsa2048").private;
    for (;;)
        sign(fx.session, MECHANISM(CKM_RSA_PKCS), key, "0123456789", 10);
    return CKR_OK;
}

static const peer_step steps[] = {peer_login, peer_sign_for_ever};

/* As the module's src/tpm/lockfile.c: the first byte is the holder's. */
static bool lock_is_held(void)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
    int fd = open(lock_path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_OFD_GETLK, &lock), 0);
    close(fd);
    return lock.l_type != F_UNLCK;
}

static void start_working(struct peer *p)
{
    peer_start(p);
    assert_ok(peer_call(p, peer_login));
    peer_send(p, peer_sign_for_ever);
}

/* In the middle of a call: with the lock. */
static void stop_holding(struct peer *p)
{
    for (;;) {
        sleep_ms(3);
        kill(p->pid, SIGSTOP);
        assert_int_equal(waitpid(p->pid, NULL, WUNTRACED), p->pid);
        if (lock_is_held())
            return;
        kill(p->pid, SIGCONT);
    }
}

/* ---- this process ---- */

static void start_with(const char *timeout)
{
    char parameters[160];
    unlink(log_path);
    snprintf(parameters, sizeof parameters, "lock-timeout=%s log-file=%s", timeout, log_path);
    assert_ok(initialize(parameters));
    fx.session = open_session(fx.slot, CKF_RW_SESSION);
    assert_ok(login(fx.session, CKU_USER, USER_PIN));
}

/* Where a wait is right, a slow machine may take its time. */
static void restart_patiently(void)
{
    assert_ok(p11->C_Finalize(NULL));
    start_with("120");
}

static unsigned log_count(const char *text)
{
    static char content[65536];
    unsigned n = 0;
    FILE *f = fopen(log_path, "r");
    size_t size = f == NULL ? 0 : fread(content, 1, sizeof content - 1, f);
    if (f != NULL)
        fclose(f);
    content[size] = '\0';
    for (const char *at = content; (at = strstr(at, text)) != NULL; at++)
        n++;
    return n;
}

static unsigned named(const struct peer *p)
{
    char text[40];
    snprintf(text, sizeof text, "process %d (", (int)p->pid);
    return log_count(text);
}

static CK_RV try_sign(CK_SESSION_HANDLE session)
{
    CK_BYTE digest[32] = {1}, signature[64];
    CK_ULONG n = sizeof signature;
    CK_RV rv = p11->C_SignInit(session, MECHANISM(CKM_ECDSA),
                               find_object(session, CKO_PRIVATE_KEY, "p256"));
    return rv != CKR_OK ? rv : p11->C_Sign(session, digest, sizeof digest, signature, &n);
}

/* What needs no TPM goes on. */
static void assert_the_rest_works(void)
{
    CK_TOKEN_INFO info;
    CK_BYTE digest[32];
    CK_ULONG n = sizeof digest;
    CK_SESSION_HANDLE session = open_session(fx.slot, CKF_RW_SESSION);
    assert_true(find_object(session, CKO_PUBLIC_KEY, "p256") != CK_INVALID_HANDLE);
    assert_ok(p11->C_DigestInit(session, MECHANISM(CKM_SHA256)));
    assert_ok(p11->C_Digest(session, digest, sizeof digest, digest, &n));
    assert_ok(p11->C_GetTokenInfo(fx.slot, &info));
    assert_ok(p11->C_CloseSession(session));
}

/* ---- tests ---- */

static void stopped(void **state)
{
    (void)state;
    struct peer p;
    start_with("1");
    assert_ok(try_sign(fx.session));
    start_working(&p);
    stop_holding(&p);
    assert_rv(CKR_DEVICE_ERROR, try_sign(fx.session));
    assert_int_equal(named(&p), 1);
    assert_int_equal(log_count("it is stopped: continue it"), 1);
    assert_the_rest_works();
    kill(p.pid, SIGCONT); /* it goes on as if nothing had been */
    restart_patiently();
    for (int i = 0; i < 20; i++)
        assert_ok(try_sign(fx.session));
    peer_kill(&p);
}

static CK_SESSION_HANDLE session_of[THREADS];
static CK_RV rv_of[THREADS];

static void *sign_in_thread(void *number)
{
    CK_SESSION_HANDLE session = session_of[(uintptr_t)number];
    CK_BYTE digest[32] = {1}, signature[64];
    CK_ULONG n = sizeof signature;
    rv_of[(uintptr_t)number] = p11->C_Sign(session, digest, sizeof digest, signature, &n);
    return NULL;
}

/* Threads wait at the same time, not one after the other: the wait, and what the log says of it, is
 * one for all. */
static void threads_wait_together(void **state)
{
    (void)state;
    pthread_t thread[THREADS];
    struct peer p;
    start_with("8");
    for (int i = 0; i < THREADS; i++) {
        session_of[i] = open_session(fx.slot, 0);
        assert_ok(p11->C_SignInit(session_of[i], MECHANISM(CKM_ECDSA),
                                  keys_of(session_of[i], "p256").private));
    }
    start_working(&p);
    stop_holding(&p);
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, sign_in_thread, (void *)i), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
        assert_rv(CKR_DEVICE_ERROR, rv_of[i]);
    }
    assert_int_equal(named(&p), 1);
    kill(p.pid, SIGCONT);
    restart_patiently();
    assert_ok(try_sign(fx.session));
    peer_kill(&p);
}

/* What C_Finalize would clear away, the holder has cleared away: there is nothing to wait for. */
static void finalize_beside_a_stopped_one(void **state)
{
    (void)state;
    struct peer p;
    start_with("1000000");
    struct key_pair own = generate_ec(fx.session, NID_X9_62_prime256v1, "a session's", false);
    sign(fx.session, MECHANISM(CKM_ECDSA), own.private, "0123456789", 10);
    assert_ok(try_sign(fx.session));
    start_working(&p);
    stop_holding(&p);
    alarm(120);
    assert_ok(p11->C_DestroyObject(fx.session, own.private));
    assert_ok(p11->C_CloseSession(fx.session));
    assert_ok(p11->C_Finalize(NULL));
    assert_ok(initialize(NULL));
    alarm(0);
    kill(p.pid, SIGCONT);
    peer_kill(&p);
}

static CK_RV child_finalizes(void)
{
    CK_ULONG n;
    CK_RV rv = p11->C_GetSlotList(CK_TRUE, NULL, &n);
    return rv == CKR_CRYPTOKI_NOT_INITIALIZED ? p11->C_Finalize(NULL) : CKR_GENERAL_ERROR;
}

/* A fork while a thread waits for the lock: neither parent nor child waits for it. */
static void fork_while_a_thread_waits(void **state)
{
    (void)state;
    pthread_t thread;
    struct peer p;
    start_with("3");
    session_of[0] = fx.session;
    assert_ok(
        p11->C_SignInit(fx.session, MECHANISM(CKM_ECDSA), keys_of(fx.session, "p256").private));
    start_working(&p);
    stop_holding(&p);
    assert_int_equal(pthread_create(&thread, NULL, sign_in_thread, NULL), 0);
    sleep_ms(100);
    assert_ok(in_child(child_finalizes));
    pthread_join(thread, NULL);
    assert_rv(CKR_DEVICE_ERROR, rv_of[0]);
    kill(p.pid, SIGCONT);
    restart_patiently();
    assert_ok(try_sign(fx.session));
    peer_kill(&p);
}

/* Killed in the middle of a call: the next one gets the lock, and clears the handles away. */
static void killed(void **state)
{
    (void)state;
    const unsigned rounds = long_run() ? 1000 : 5;
    struct peer p;
    for (unsigned i = 0; i < rounds; i++) {
        start_working(&p);
        stop_holding(&p);
        peer_kill(&p);
        if (i % 2 == 0) { /* what a second one leaves besides */
            start_working(&p);
            stop_holding(&p);
            peer_kill(&p);
        }
        start_with("120");
        assert_ok(try_sign(fx.session));
        assert_ok(p11->C_Finalize(NULL));
        assert_int_equal(swtpm_handles(&fx.tpm, 0x80), 0);
        assert_int_equal(swtpm_handles(&fx.tpm, 0x02), 0);
        assert_int_equal(log_count("latchkey["), 0);
    }
    figure(rounds, "processes killed with the TPM's lock, in the middle of a call");
}

static void make_directory(void)
{
    assert_int_equal(mkdir(lock_path, 0777), 0);
}

static void make_fifo(void)
{
    assert_int_equal(mkfifo(lock_path, 0666), 0);
}

static void make_symlink(void)
{
    assert_int_equal(symlink(log_path, lock_path), 0);
}

static void make_link(void)
{
    char database[96];
    snprintf(database, sizeof database, "%s/store.db", fx.store);
    assert_int_equal(link(database, lock_path), 0);
}

/* Whatever lies in its place is not written to; with it gone all is well. */
static void something_in_its_place(void **state)
{
    (void)state;
    void (*const make[])(void) = {make_directory, make_fifo, make_symlink, make_link};
    for (size_t i = 0; i < COUNT(make); i++) {
        start_with("1");
        assert_ok(try_sign(fx.session));
        unlink(lock_path);
        make[i]();
        assert_rv(CKR_DEVICE_ERROR, try_sign(fx.session));
        assert_true(log_count(lock_path) > 0);
        assert_the_rest_works();
        assert_int_equal(remove(lock_path), 0);
        assert_ok(try_sign(fx.session)); /* who was lost with the file knows what is its own */
        assert_ok(p11->C_Finalize(NULL));
        assert_int_equal(swtpm_handles(&fx.tpm, 0x80), 0);
        assert_int_equal(swtpm_handles(&fx.tpm, 0x02), 0);
    }
}

static void garbage_in_it(void **state)
{
    (void)state;
    for (unsigned size = 1; size < 4096; size *= 3) {
        FILE *f = fopen(lock_path, "w");
        assert_non_null(f);
        for (unsigned i = 0; i < size; i++)
            fputc(rand() % 256, f);
        fclose(f);
        start_with("1");
        assert_ok(try_sign(fx.session));
        assert_ok(p11->C_Finalize(NULL));
        assert_int_equal(swtpm_handles(&fx.tpm, 0x80), 0);
    }
}

static int start(void **state)
{
    group_keys(state);
    snprintf(lock_path, sizeof lock_path, "%s.lock", fx.tpm.socket);
    snprintf(log_path, sizeof log_path, "%s/log", fx.dir);
    return 0;
}

#define HOLDER_TEST(f) cmocka_unit_test_teardown(f, test_end)

int main(int argc, char **argv)
{
    peer_serve(argc, argv, steps, COUNT(steps));
    const struct CMUnitTest tests[] = {
        HOLDER_TEST(stopped),
        HOLDER_TEST(threads_wait_together),
        HOLDER_TEST(finalize_beside_a_stopped_one),
        HOLDER_TEST(fork_while_a_thread_waits),
        HOLDER_TEST(killed),
        HOLDER_TEST(something_in_its_place),
        HOLDER_TEST(garbage_in_it),
    };
    return cmocka_run_group_tests(tests, start, group_end);
}
