/* Fork: PKCS#11 3.0 section 5.4.1 wants C_Initialize in the child; servers do it in many orders. */
#include "children.h"

#include <pthread.h>

static CK_RV child_uses_parents_session(void)
{
    CK_SESSION_INFO info;
    return p11->C_GetSessionInfo(fx.session, &info);
}

static CK_RV child_gets_function_list(void)
{
    CK_FUNCTION_LIST *list;
    return p11->C_GetFunctionList(&list);
}

static CK_RV child_finalizes_at_the_end(void)
{
    CK_RV rv = child_starts_anew();
    return rv == CKR_OK ? p11->C_Finalize(NULL) : rv;
}

/* nginx's workers have an empty environment: what the first C_Initialize read has to do. */
static CK_RV child_without_environment(void)
{
    clearenv();
    return child_starts_anew();
}

static CK_RV grandchild(void)
{
    CK_RV rv = child_starts_anew();
    return rv == CKR_OK ? in_child(child_starts_anew) : rv;
}

static void parent_still_works(void)
{
    struct key_pair keys = keys_of(fx.session, "p256");
    sign(fx.session, MECHANISM(CKM_ECDSA), keys.private, "0123456789", 10);
}

static void child_is_not_initialized(void **state)
{
    (void)state;
    parent_still_works();
    assert_rv(CKR_CRYPTOKI_NOT_INITIALIZED, in_child(child_uses_parents_session));
    assert_rv(CKR_OK, in_child(child_gets_function_list));
    parent_still_works();
}

static void child_can_start(void **state)
{
    (void)state;
    static CK_RV (*const children[])(void) = {child_starts_anew, child_finalizes_first,
                                              child_finalizes_at_the_end, child_without_environment,
                                              grandchild};
    for (size_t i = 0; i < COUNT(children); i++) {
        parent_still_works();
        assert_ok(in_child(children[i]));
        parent_still_works();
    }
}

/* A child that exits runs the module's destructors and atexit handlers: the parent must not notice.
 */
static void exiting_child(void **state)
{
    (void)state;
    int status = -1;
    parent_still_works();
    pid_t pid = fork();
    if (pid == 0)
        execl("/bin/true", "true", (char *)NULL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    parent_still_works();
}

/* A fork in the middle of operations and searches leaves the parent's whole. */
static void operations_survive_in_the_parent(void **state)
{
    (void)state;
    struct key_pair keys = keys_of(fx.session, "p256");
    CK_BYTE out[64];
    CK_ULONG n = sizeof out;
    CK_OBJECT_HANDLE found;
    assert_ok(p11->C_SignInit(fx.session, MECHANISM(CKM_ECDSA_SHA256), keys.private));
    assert_ok(p11->C_SignUpdate(fx.session, (CK_BYTE_PTR) "abc", 3));
    assert_ok(p11->C_FindObjectsInit(fx.session, NULL, 0));
    assert_ok(in_child(child_starts_anew));
    assert_ok(p11->C_FindObjects(fx.session, &found, 1, &n));
    assert_int_equal(n, 1);
    assert_ok(p11->C_FindObjectsFinal(fx.session));
    n = sizeof out;
    assert_ok(p11->C_SignFinal(fx.session, out, &n));
}

static void fork_before_initialize(void **state)
{
    (void)state;
    assert_ok(p11->C_Finalize(NULL));
    assert_rv(CKR_CRYPTOKI_NOT_INITIALIZED, in_child(child_uses_parents_session));
    assert_ok(in_child(child_starts_anew));
}

/* ---- in the middle of a command ------------------------------------------------------------ */

static void *make_key(void *ret_rv)
{
    CK_ULONG bits = 2048;
    CK_OBJECT_HANDLE public, private;
    CK_ATTRIBUTE template[] = {ATTR_MEM(CKA_MODULUS_BITS, &bits, sizeof bits)};
    *(CK_RV *)ret_rv = p11->C_GenerateKeyPair(fx.session, MECHANISM(CKM_RSA_PKCS_KEY_PAIR_GEN),
                                              template, 1, NULL, 0, &public, &private);
    return NULL;
}

/* Longer than anybody should have to wait for what it holds. */
static void sleep_on(void)
{
    sleep(CHILD_SECONDS);
    _exit(0);
}

static void start_anew(void)
{
    _exit(child_starts_anew() == CKR_OK ? 0 : 1);
}

/* The child of a fork in the middle of a key generation does what it is told. ret_seconds: how long
 * the parent's next command takes. */
static pid_t fork_during_a_command(void (*child)(void), double *ret_seconds)
{
    pthread_t thread;
    CK_RV rv = CKR_GENERAL_ERROR;
    CK_BYTE random[16];
    fflush(NULL);
    assert_int_equal(pthread_create(&thread, NULL, make_key, &rv), 0);
    sleep_ms(10); /* the TPM takes 50 ms and more over the primes */
    pid_t pid = fork();
    if (pid == 0) {
        alarm(2 * CHILD_SECONDS);
        child();
    }
    assert_true(pid > 0);
    pthread_join(thread, NULL);
    assert_ok(rv);
    double before = now();
    assert_ok(p11->C_GenerateRandom(fx.session, random, sizeof random));
    *ret_seconds = now() - before;
    return pid;
}

/* A child that inherits the connection would keep the TPM, which serves one at a time, for as long
 * as it lives. */
static void idle_children_hold_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        double seconds;
        pid_t pid = fork_during_a_command(sleep_on, &seconds);
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        assert_true(seconds < CHILD_SECONDS / 2); /* on whatever machine */
    }
}

static void busy_children_get_on(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        int status = -1;
        double seconds;
        pid_t pid = fork_during_a_command(start_anew, &seconds);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        parent_still_works();
    }
    assert_tpm_untouched();
}

#define FORK_TEST(f) cmocka_unit_test_setup_teardown(f, test_children, test_children_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FORK_TEST(child_is_not_initialized),
        FORK_TEST(child_can_start),
        FORK_TEST(exiting_child),
        FORK_TEST(operations_survive_in_the_parent),
        FORK_TEST(fork_before_initialize),
        FORK_TEST(idle_children_hold_nothing),
        FORK_TEST(busy_children_get_on),
    };
    return cmocka_run_group_tests(tests, group_keys, group_end);
}
