/* Parent and children at work at the same time, and every way in which a child comes to its end:
 * PKCS#11 3.0 section 5.4.1. The parent notices nothing, the TPM's counter of wrong PINs neither.
 */
#include "children.h"

#include <pthread.h>
#include <spawn.h>

enum { CHILDREN = 8, PARENT_THREADS = 2 };

static unsigned signatures_each(void)
{
    return long_run() ? 1000 : 20;
}

static void parent_still_works(void)
{
    assert_ok(sign_often(fx.session, keys_of(fx.session, "p256").private, 3));
}

/* ---- at the same time ---------------------------------------------------------------------- */

static CK_RV sign_many(void)
{
    CK_RV rv = p11->C_Initialize(NULL);
    return rv == CKR_OK ? use_key(signatures_each()) : rv;
}

/* Every other one tidies up: a C_Finalize among others' signatures. */
static CK_RV sign_many_and_finalize(void)
{
    CK_RV rv = sign_many();
    return rv == CKR_OK ? p11->C_Finalize(NULL) : rv;
}

/* In sessions of its own, with the parent's login. */
static void *parents_thread(void *ret_rv)
{
    CK_SESSION_HANDLE session;
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    CK_RV rv = p11->C_OpenSession(fx.slot, CKF_SERIAL_SESSION, NULL, NULL, &session);
    if (rv == CKR_OK)
        rv = find_p256(session, &key);
    *(CK_RV *)ret_rv = rv == CKR_OK ? sign_often(session, key, signatures_each()) : rv;
    return NULL;
}

static void all_at_once(void **state)
{
    (void)state;
    pid_t pids[CHILDREN];
    pthread_t threads[PARENT_THREADS];
    CK_RV rv[PARENT_THREADS];
    for (size_t i = 0; i < COUNT(pids); i++)
        pids[i] = start_child(i % 2 == 0 ? sign_many : sign_many_and_finalize);
    for (size_t i = 0; i < COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, parents_thread, &rv[i]), 0);
    for (size_t i = 0; i < COUNT(pids); i++)
        assert_child_ended_well(pids[i]);
    for (size_t i = 0; i < COUNT(threads); i++) {
        pthread_join(threads[i], NULL);
        assert_ok(rv[i]);
    }
    parent_still_works();
    assert_tpm_untouched();
    figure((CHILDREN + PARENT_THREADS) * signatures_each(),
           "signatures by a parent and its forked children at the same time, all right");
}

/* ---- ways to go ---------------------------------------------------------------------------- */

static void exits(void)
{
    exit(0);
}

static void exits_at_once(void)
{
    _exit(0);
}

static void uses_it_and_exits(void)
{
    exit(child_starts_anew() == CKR_OK ? 0 : 1);
}

static void only_finalizes_and_exits(void)
{
    exit(p11->C_Finalize(NULL) == CKR_OK ? 0 : 1);
}

static void runs_a_program(void)
{
    execl("/bin/true", "true", (char *)NULL);
}

static void uses_it_and_runs_a_program(void)
{
    if (child_starts_anew() == CKR_OK)
        execl("/bin/true", "true", (char *)NULL);
}

static void calls_what_it_may_not(void)
{
    CK_BYTE random[8];
    _exit(p11->C_GenerateRandom(fx.session, random, sizeof random) == CKR_CRYPTOKI_NOT_INITIALIZED
              ? 0
              : 1);
}

/* exit() runs the module's destructors, libcrypto's and libc's handlers, which must not reach what
 * is the parent's. */
static void every_way_to_go(void **state)
{
    (void)state;
    static void (*const children[])(void) = {exits,
                                             exits_at_once,
                                             uses_it_and_exits,
                                             only_finalizes_and_exits,
                                             runs_a_program,
                                             uses_it_and_runs_a_program,
                                             calls_what_it_may_not};
    for (size_t i = 0; i < COUNT(children); i++) {
        fflush(NULL);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            leaks_are_meant = true;
            alarm(CHILD_SECONDS);
            if (freopen("/dev/null", "w", stdout) != NULL) /* cmocka's buffers are the parent's */
                children[i]();
            _exit(1);
        }
        assert_child_ended_well(pid);
        parent_still_works();
    }
    assert_tpm_untouched();
}

static CK_RV sign_without_end(void)
{
    CK_RV rv = p11->C_Initialize(NULL);
    return rv == CKR_OK ? use_key(1000000000) : rv;
}

/* A worker that crashes in the middle of its work. */
static void killed_children(void **state)
{
    (void)state;
    static const int signals[] = {SIGKILL, SIGSEGV, SIGTERM};
    unsigned rounds = long_run() ? 300 : 6;
    for (unsigned i = 0; i < rounds; i++) {
        int status = 0;
        pid_t pid = start_child(sign_without_end);
        sleep_ms(10 + 7 * i % 40); /* wherever that is */
        kill(pid, signals[i % COUNT(signals)]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == signals[i % COUNT(signals)]);
        parent_still_works();
    }
    assert_tpm_untouched();
    figure(rounds, "forked children killed at their work");
}

extern char **environ;

static pid_t start_by_vfork(char *const *arguments)
{
    pid_t pid = vfork();
    if (pid == 0) {
        execve("/bin/true", arguments, environ);
        _exit(1);
    }
    return pid;
}

/* vfork shares the parent's memory and runs no handlers. */
static void started_programs(void **state)
{
    (void)state;
    char name[] = "true", *const arguments[] = {name, NULL};
    for (int i = 0; i < 20; i++) {
        pid_t pid = -1;
        if (i % 2 == 0)
            pid = start_by_vfork(arguments);
        else
            assert_int_equal(posix_spawn(&pid, "/bin/true", NULL, NULL, arguments, environ), 0);
        parent_still_works();
        assert_child_ended_well(pid);
    }
    assert_tpm_untouched();
}

/* ---- generations --------------------------------------------------------------------------- */

static int generation;

static CK_RV next_generation(void)
{
    enum { GENERATIONS = 5 };
    CK_RV rv = generation % 2 == 0 ? child_starts_anew() : child_finalizes_first();
    if (rv != CKR_OK || ++generation == GENERATIONS)
        return rv;
    pid_t pid = start_child(next_generation);
    int status = -1;
    rv = use_key(1); /* while the next one works */
    if (waitpid(pid, &status, 0) != pid || status != 0)
        rv = CKR_FUNCTION_FAILED;
    return rv == CKR_USER_ALREADY_LOGGED_IN ? CKR_OK : rv;
}

static void grandchildren(void **state)
{
    (void)state;
    generation = 0;
    assert_ok(in_child(next_generation));
    parent_still_works();
    assert_tpm_untouched();
}

static int orphans_answer[2];
static pid_t daemons_id;

/* A daemon: it goes to work when its parent, which had the key open, is gone. */
static CK_RV orphan(void)
{
    while (getppid() == daemons_id)
        sleep_ms(1);
    CK_RV rv = child_starts_anew();
    return write(orphans_answer[1], &rv, sizeof rv) == (ssize_t)sizeof rv ? CKR_OK
                                                                          : CKR_FUNCTION_FAILED;
}

static CK_RV become_a_daemon(void)
{
    CK_RV rv = child_starts_anew();
    daemons_id = getpid(); /* before the fork: it may be dead when the orphan first looks */
    if (rv == CKR_OK)
        start_child(orphan);
    return rv;
}

static void child_of_a_dead_parent(void **state)
{
    (void)state;
    CK_RV rv = CKR_GENERAL_ERROR;
    assert_int_equal(pipe(orphans_answer), 0);
    assert_ok(in_child(become_a_daemon));
    close(orphans_answer[1]);
    assert_true(read_fully(orphans_answer[0], &rv, sizeof rv));
    assert_ok(rv);
    close(orphans_answer[0]);
    parent_still_works();
    assert_tpm_untouched();
}

#define FORK_TEST(f) cmocka_unit_test_setup_teardown(f, test_children, test_children_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FORK_TEST(all_at_once),      FORK_TEST(every_way_to_go), FORK_TEST(killed_children),
        FORK_TEST(started_programs), FORK_TEST(grandchildren),   FORK_TEST(child_of_a_dead_parent),
    };
    return cmocka_run_group_tests(tests, group_keys, group_end);
}
