/* A fork while another thread is inside the module: PKCS#11 3.0 section 5.4.1. Whatever that thread
 * was about, the child finds every lock free and starts anew, and the thread goes on in the parent.
 */
#include "children.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* What the other thread does again and again while the forks happen. */
static atomic_bool over;
static atomic_uint turns;

static CK_SESSION_HANDLE own_session(void)
{
    CK_SESSION_HANDLE session = CK_INVALID_HANDLE;
    p11->C_OpenSession(fx.slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session);
    return session;
}

/* Not sign_often: a fork while this thread is in the test's own libcrypto, to verify, would leave
 * locks of that one taken in the child. */
static CK_RV in_a_signature(CK_SESSION_HANDLE session)
{
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    CK_BYTE digest[32] = {1};
    struct blob signature = {.n = 64};
    CK_RV rv = find_p256(session, &key);
    if (rv == CKR_OK)
        rv = p11->C_SignInit(session, MECHANISM(CKM_ECDSA), key);
    return rv == CKR_OK ? p11->C_Sign(session, digest, sizeof digest, signature.p, &signature.n)
                        : rv;
}

static CK_RV in_a_key_generation(CK_SESSION_HANDLE session)
{
    CK_ULONG bits = 2048;
    CK_OBJECT_HANDLE public, private;
    CK_ATTRIBUTE template[] = {ATTR_MEM(CKA_MODULUS_BITS, &bits, sizeof bits)};
    CK_RV rv = p11->C_GenerateKeyPair(session, MECHANISM(CKM_RSA_PKCS_KEY_PAIR_GEN), template, 1,
                                      NULL, 0, &public, &private);
    return rv == CKR_OK ? p11->C_DestroyObject(session, private) : rv;
}

static CK_RV in_a_transaction(CK_SESSION_HANDLE session)
{
    CK_OBJECT_HANDLE object;
    CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_CLASS, CKO_DATA), ATTR_BOOL(CKA_TOKEN, true),
                               ATTR_BOOL(CKA_PRIVATE, true)};
    CK_RV rv = p11->C_CreateObject(session, template, COUNT(template), &object);
    return rv == CKR_OK ? p11->C_DestroyObject(session, object) : rv;
}

static CK_RV in_a_search(CK_SESSION_HANDLE session)
{
    CK_OBJECT_HANDLE found[8];
    CK_ULONG n;
    CK_RV rv = p11->C_FindObjectsInit(session, NULL, 0);
    if (rv == CKR_OK)
        rv = p11->C_FindObjects(session, found, COUNT(found), &n);
    return rv == CKR_OK ? p11->C_FindObjectsFinal(session) : rv;
}

static CK_RV in_a_digest(CK_SESSION_HANDLE session)
{
    static CK_BYTE data[20000];
    CK_BYTE digest[32];
    CK_ULONG n = sizeof digest;
    CK_RV rv = p11->C_DigestInit(session, MECHANISM(CKM_SHA256));
    return rv == CKR_OK ? p11->C_Digest(session, data, sizeof data, digest, &n) : rv;
}

/* PBKDF2, then three commands. */
static CK_RV in_a_login(CK_SESSION_HANDLE session)
{
    CK_RV rv = p11->C_Logout(session);
    return rv == CKR_OK ? login(session, CKU_USER, USER_PIN) : rv;
}

/* The handle is worth nothing after each turn. */
static CK_RV in_initialize_or_finalize(CK_SESSION_HANDLE session)
{
    (void)session;
    CK_RV rv = p11->C_Finalize(NULL);
    if (rv == CKR_OK)
        rv = p11->C_Initialize(NULL);
    return rv == CKR_OK ? use_key(1) : rv; /* C_Finalize has something to flush */
}

static CK_RV in_a_wait_for_events(CK_SESSION_HANDLE session)
{
    (void)session;
    CK_SLOT_ID slot;
    CK_RV rv = p11->C_WaitForSlotEvent(0, &slot, NULL);
    return rv == CKR_CRYPTOKI_NOT_INITIALIZED && atomic_load(&over) ? CKR_OK : rv;
}

/* The fork may have come between the thread's C_Finalize and C_Initialize. */
static CK_RV child_finalizes_what_there_is(void)
{
    CK_RV rv = p11->C_Finalize(NULL);
    return rv == CKR_OK || rv == CKR_CRYPTOKI_NOT_INITIALIZED ? child_starts_anew() : rv;
}

struct other_thread {
    CK_RV (*turn)(CK_SESSION_HANDLE session);
    unsigned pause; /* milliseconds between turns, in which others get at what they keep */
    CK_RV rv;
};

static void *work(void *argument)
{
    struct other_thread *t = argument;
    CK_SESSION_HANDLE session = own_session();
    t->rv = CKR_OK;
    do {
        atomic_fetch_add(&turns, 1);
        t->rv = t->turn(session);
        sleep_ms(t->pause);
    } while (t->rv == CKR_OK && !atomic_load(&over));
    return NULL;
}

/* The children are there at the same time as the thread's next turns, three at most. */
static void forks_during(struct other_thread *t, unsigned forks)
{
    pthread_t thread;
    pid_t pids[3] = {0};
    atomic_store(&over, false);
    atomic_store(&turns, 0);
    assert_int_equal(pthread_create(&thread, NULL, work, t), 0);
    while (atomic_load(&turns) == 0)
        sleep_ms(1);
    for (unsigned i = 0; i < forks + COUNT(pids); i++) {
        pid_t *pid = &pids[i % COUNT(pids)];
        for (volatile unsigned spin = 0; spin < i * 99991 % 3000000; spin++)
            ;
        if (*pid != 0)
            assert_child_ended_well(*pid);
        *pid = i < forks
                   ? start_child(i % 2 == 0 ? child_starts_anew : child_finalizes_what_there_is)
                   : 0;
    }
    atomic_store(&over, true);
    p11->C_Finalize(NULL); /* ends the wait for events */
    pthread_join(thread, NULL);
    p11->C_Finalize(NULL);
}

static void during(CK_RV (*turn)(CK_SESSION_HANDLE session), unsigned pause, const char *what)
{
    static struct other_thread t; /* outlives a failure of this function */
    t.turn = turn;
    t.pause = pause;
    unsigned forks = long_run() ? 500 : 6;
    forks_during(&t, forks);
    assert_rv_either(CKR_OK, CKR_CRYPTOKI_NOT_INITIALIZED, t.rv);
    assert_ok(p11->C_Initialize(NULL));
    assert_ok(use_key(3));
    assert_tpm_untouched();
    figure(forks, what);
}

#define DURING(turn, pause, what)                                                                  \
    static void turn##_test(void **state)                                                          \
    {                                                                                              \
        (void)state;                                                                               \
        during(turn, pause, "forks while another thread is in " what);                             \
    }
DURING(in_a_signature, 0, "C_Sign")
DURING(in_a_key_generation, 10, "C_GenerateKeyPair")
DURING(in_a_transaction, 0, "a store transaction")
DURING(in_a_search, 0, "C_FindObjects")
DURING(in_a_digest, 0, "C_Digest")
DURING(in_a_login, 0, "C_Login")
DURING(in_initialize_or_finalize, 0, "C_Initialize or C_Finalize")
DURING(in_a_wait_for_events, 0, "C_WaitForSlotEvent")

/* ---- longer than the fork waits ------------------------------------------------------------ */

enum { FORK_PATIENCE = 10 }; /* ARCHITECTURE.md, Fork */

static void *make_key(void *ret_rv)
{
    CK_SESSION_HANDLE session = own_session();
    *(CK_RV *)ret_rv = in_a_key_generation(session);
    return NULL;
}

static unsigned open_sockets(void)
{
    unsigned n = 0;
    for (int fd = 0; fd < 256; fd++) {
        struct stat st;
        n += fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
    }
    return n;
}

/* The clock on the wall, which is set an hour ahead while it is waited: the module's, too. */
static atomic_int hour;

__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, struct timespec *ret)
{
    int done = (int)syscall(SYS_clock_gettime, clock, ret);
    if (clock == CLOCK_REALTIME)
        ret->tv_sec += atomic_load(&hour);
    return done;
}

/* The child gets the connection in the middle of a command, and must not speak or listen on it. */
static void command_that_outlasts_the_fork(void **state)
{
    (void)state;
    pthread_t thread;
    static CK_RV rv;
    unsigned before = open_sockets();
    kill(fx.tpm.pid, SIGSTOP);
    assert_int_equal(pthread_create(&thread, NULL, make_key, &rv), 0);
    while (open_sockets() == before)
        sleep_ms(1);
    double start = now();
    atomic_store(&hour, 3600);
    pid_t pid = start_child(child_starts_anew);
    atomic_store(&hour, 0);
    bool patient = now() - start >= FORK_PATIENCE - 1;
    kill(fx.tpm.pid, SIGCONT);
    pthread_join(thread, NULL);
    assert_ok(rv);
    assert_child_ended_well(pid);
    assert_true(patient);
    assert_ok(sign_often(fx.session, keys_of(fx.session, "p256").private, 3));
    assert_tpm_untouched();
}

/* gcc 12's has no fork handlers: a child may find its allocator locked. */
static bool asan(void)
{
#ifdef __SANITIZE_ADDRESS__
    return true;
#else
    return false;
#endif
}

#define FORK_TEST(f) cmocka_unit_test_setup_teardown(f, test_children, test_children_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FORK_TEST(in_a_signature_test),
        FORK_TEST(in_a_key_generation_test),
        FORK_TEST(in_a_transaction_test),
        FORK_TEST(in_a_search_test),
        FORK_TEST(in_a_digest_test),
        FORK_TEST(in_a_login_test),
        FORK_TEST(in_initialize_or_finalize_test),
        FORK_TEST(in_a_wait_for_events_test),
        FORK_TEST(command_that_outlasts_the_fork),
    };
    if (asan()) {
        puts("AddressSanitizer itself does not survive forks of a process with threads at work");
        return 77;
    }
    return cmocka_run_group_tests(tests, group_keys, group_end);
}
