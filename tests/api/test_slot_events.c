/* C_WaitForSlotEvent: PKCS#11 3.0 section 5.5.4. The TPM stays where it is; what comes and goes are
 * tokens, by whatever process. */
#include "fixture.h"

#include <pthread.h>
#include <time.h>
#include <unistd.h>

/* ---- another process ----------------------------------------------------------------------- */

static CK_RV peer_begin(void)
{
    return initialize(NULL);
}

static CK_RV peer_make_token(void)
{
    CK_UTF8CHAR label[32];
    pad_label(label, "from elsewhere");
    return p11->C_InitToken(blank_slot(), PIN(SO_PIN), label);
}

/* The same slot, another token. */
static CK_RV peer_make_anew(void)
{
    CK_UTF8CHAR label[32];
    pad_label(label, "from elsewhere");
    return p11->C_InitToken(slot_of("from elsewhere"), PIN(SO_PIN), label);
}

static CK_RV peer_end(void)
{
    return p11->C_Finalize(NULL);
}

static struct peer peer;

static int test_peer(void **state)
{
    test_initialized(state);
    peer_start(&peer);
    assert_ok(peer_call(&peer, peer_begin));
    return 0;
}

static int test_peer_end(void **state)
{
    assert_ok(peer_call(&peer, peer_end));
    peer_stop(&peer);
    return test_end(state);
}

/* ---- without blocking ---------------------------------------------------------------------- */

static CK_RV poll_event(CK_SLOT_ID *slot)
{
    *slot = CK_UNAVAILABLE_INFORMATION;
    return p11->C_WaitForSlotEvent(CKF_DONT_BLOCK, slot, NULL);
}

static void nothing_happens(void **state)
{
    (void)state;
    CK_SLOT_ID slot;
    CK_ULONG n = 0;
    assert_rv(CKR_NO_EVENT, poll_event(&slot));
    assert_ok(p11->C_GetSlotList(CK_TRUE, NULL, &n));
    assert_rv(CKR_NO_EVENT, poll_event(&slot));
    assert_rv(CKR_ARGUMENTS_BAD, p11->C_WaitForSlotEvent(CKF_DONT_BLOCK, NULL, NULL));
    assert_rv(CKR_ARGUMENTS_BAD, p11->C_WaitForSlotEvent(0, NULL, NULL));
    assert_rv(CKR_ARGUMENTS_BAD, p11->C_WaitForSlotEvent(0, &slot, &slot));
}

/* What happened since the application saw the slots is an event, though nobody waited then. */
static void since_the_list(void **state)
{
    (void)state;
    CK_SLOT_ID slot;
    CK_ULONG n = 0;
    assert_ok(p11->C_GetSlotList(CK_TRUE, NULL, &n));
    assert_ok(peer_call(&peer, peer_make_token));
    assert_ok(poll_event(&slot));
    assert_int_equal(slot, slot_of("from elsewhere"));
    assert_rv(CKR_NO_EVENT, poll_event(&slot)); /* told once */
}

static void two_events(void **state)
{
    (void)state;
    CK_SLOT_ID a, b, slot;
    assert_rv(CKR_NO_EVENT, poll_event(&slot));
    CK_SLOT_ID old = slot_of("from elsewhere"), fresh = blank_slot();
    assert_ok(peer_call(&peer, peer_make_anew));
    assert_ok(peer_call(&peer, peer_make_token));
    assert_ok(poll_event(&a));
    assert_ok(poll_event(&b));
    assert_true((a == old && b == fresh) || (a == fresh && b == old));
    assert_rv(CKR_NO_EVENT, poll_event(&slot));
}

/* ---- blocking ------------------------------------------------------------------------------ */

struct waiter {
    pthread_t thread;
    CK_SLOT_ID slot;
    CK_RV rv;
};

static void *wait_for_event(void *argument)
{
    struct waiter *w = argument;
    w->slot = CK_UNAVAILABLE_INFORMATION;
    w->rv = p11->C_WaitForSlotEvent(0, &w->slot, NULL);
    return NULL;
}

static void start_waiting(struct waiter *w)
{
    assert_int_equal(pthread_create(&w->thread, NULL, wait_for_event, w), 0);
}

/* A minute is for ever here. */
static void stop_waiting(struct waiter *w)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 60;
    assert_int_equal(pthread_timedjoin_np(w->thread, NULL, &until), 0);
}

static bool waits(const struct waiter *w)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 300000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    return pthread_timedjoin_np(w->thread, NULL, &until) != 0;
}

static void until_a_token_is_made(void **state)
{
    (void)state;
    struct waiter w;
    CK_SLOT_ID fresh = blank_slot();
    start_waiting(&w);
    assert_true(waits(&w));
    assert_ok(peer_call(&peer, peer_make_token));
    stop_waiting(&w);
    assert_rv(CKR_OK, w.rv);
    assert_int_equal(w.slot, fresh);
}

/* Others work on while one waits. */
static void beside_other_calls(void **state)
{
    (void)state;
    struct waiter w;
    start_waiting(&w);
    for (int i = 0; i < 20; i++) {
        CK_BYTE random[16];
        CK_SESSION_HANDLE session = open_session(fx.slot, CKF_RW_SESSION);
        assert_ok(p11->C_GenerateRandom(session, random, sizeof random));
        assert_ok(p11->C_CloseSession(session));
    }
    assert_true(waits(&w));
    assert_ok(p11->C_Finalize(NULL));
    stop_waiting(&w);
    assert_rv(CKR_CRYPTOKI_NOT_INITIALIZED, w.rv);
}

/* "If C_Finalize is called while another thread waits, that returns CKR_CRYPTOKI_NOT_INITIALIZED."
 */
static void until_finalize(void **state)
{
    (void)state;
    enum { WAITERS = 4 };
    struct waiter w[WAITERS];
    for (size_t i = 0; i < WAITERS; i++)
        start_waiting(&w[i]);
    assert_true(waits(&w[0]));
    assert_ok(p11->C_Finalize(NULL));
    for (size_t i = 0; i < WAITERS; i++) {
        stop_waiting(&w[i]);
        assert_rv(CKR_CRYPTOKI_NOT_INITIALIZED, w[i].rv);
    }
    CK_SLOT_ID slot;
    assert_rv(CKR_CRYPTOKI_NOT_INITIALIZED, poll_event(&slot));
    assert_rv(CKR_CRYPTOKI_NOT_INITIALIZED, p11->C_WaitForSlotEvent(0, &slot, NULL));
    assert_ok(initialize(NULL));
    assert_rv(CKR_NO_EVENT, poll_event(&slot)); /* counts anew */
}

#define TOKEN_TEST(f) cmocka_unit_test_setup_teardown(f, test_initialized, test_end)
#define PEER_TEST(f)  cmocka_unit_test_setup_teardown(f, test_peer, test_peer_end)

int main(int argc, char **argv)
{
    static const peer_step steps[] = {peer_begin, peer_make_token, peer_make_anew, peer_end};
    peer_serve(argc, argv, steps, COUNT(steps));
    const struct CMUnitTest tests[] = {
        TOKEN_TEST(nothing_happens),    PEER_TEST(since_the_list),
        PEER_TEST(two_events),          PEER_TEST(until_a_token_is_made),
        TOKEN_TEST(beside_other_calls), TOKEN_TEST(until_finalize),
    };
    return cmocka_run_group_tests(tests, group_token, group_end);
}
