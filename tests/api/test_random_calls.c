/* Calls at random: every function, with arguments that are mostly right, and what must hold after
 * each whatever they were. A few seeds that are always the same, or LATCHKEY_RANDOM_SEED alone;
 * LATCHKEY_RANDOM_CALLS is how many calls a seed. A fault prints the seed and the number of the
 * call. */
#include "calls.h"

#include <pthread.h>
#include <stdatomic.h>

enum { SEEDS = 5, CALLS = 1500 };

static unsigned long setting(const char *name, unsigned long otherwise)
{
    const char *value = getenv(name);
    return value ? strtoul(value, NULL, 0) : otherwise;
}

static void *run_calls(void *caller)
{
    struct caller *c = caller;
    unsigned long n = setting("LATCHKEY_RANDOM_CALLS", CALLS);
    while (c->number < n && c->faults < FAULTS_TOLD) {
        calls_next(c);
        if (c->number % 256 == 0)
            calls_still_work(c);
    }
    calls_still_work(c);
    return NULL;
}

static unsigned run_seed(uint64_t seed, unsigned long threads)
{
    enum { THREADS_MAX = 8 };
    struct caller c[THREADS_MAX];
    pthread_t ids[THREADS_MAX];
    unsigned faults = 0;
    assert_in_range(threads, 1, THREADS_MAX);
    for (unsigned long i = 0; i < threads; i++) {
        calls_start(&c[i], seed + i, threads == 1);
        c[i].session[1] = c[0].session[1]; /* one that they share */
    }
    for (unsigned long i = 0; i < threads; i++)
        assert_int_equal(pthread_create(&ids[i], NULL, run_calls, &c[i]), 0);
    for (unsigned long i = 0; i < threads; i++) {
        assert_int_equal(pthread_join(ids[i], NULL), 0);
        faults += c[i].faults;
    }
    return faults;
}

/* Token objects of a seed are not the next one's. */
static void remove_objects(void)
{
    CK_OBJECT_HANDLE found[64];
    CK_ULONG n;
    CK_ATTRIBUTE stored[] = {ATTR_BOOL(CKA_TOKEN, true)};
    CK_SESSION_HANDLE s = open_session(fx.slot, CKF_RW_SESSION);
    assert_ok(login(s, CKU_USER, USER_PIN));
    assert_ok(p11->C_FindObjectsInit(s, stored, 1));
    while (p11->C_FindObjects(s, found, COUNT(found), &n) == CKR_OK && n)
        for (CK_ULONG i = 0; i < n; i++)
            p11->C_DestroyObject(s, found[i]); /* the fixed ones stay */
    assert_ok(p11->C_FindObjectsFinal(s));
}

static unsigned run_once(unsigned long seed, unsigned long threads)
{
    print_message("LATCHKEY_RANDOM_SEED=%lu\n", seed); /* should it crash */
    assert_ok(initialize(NULL));
    calls_learn();
    unsigned faults = run_seed(seed, threads);
    assert_ok(p11->C_CloseAllSessions(fx.slot));
    remove_objects();
    assert_ok(p11->C_Finalize(NULL));
    return faults;
}

static void run_all(unsigned long seeds, unsigned long threads)
{
    unsigned long only = setting("LATCHKEY_RANDOM_SEED", 0);
    unsigned faults = 0;
    for (unsigned long seed = 1; !only && seed <= seeds; seed++)
        faults += run_once(seed, threads);
    if (only)
        faults = run_once(only, threads);
    assert_int_equal(faults, 0);
}

static int group_fixed_keys(void **state)
{
    group_token(state);
    test_user(state);
    calls_fixed_keys();
    return test_end(state);
}

static void test_calls_at_random(void **state)
{
    (void)state;
    run_all(SEEDS, 1);
}

/* Under ThreadSanitizer, too. */
static void test_threads_at_random(void **state)
{
    (void)state;
    run_all(1, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_calls_at_random, NULL, test_end),
        cmocka_unit_test_setup_teardown(test_threads_at_random, NULL, test_end),
    };
    return cmocka_run_group_tests(tests, group_fixed_keys, group_end);
}
