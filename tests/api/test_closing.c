/* A session is closed by one thread while another works in it: PKCS#11 3.0 sections 5.6.2, 5.6.7.
 * With the last one the login ends; session objects go with theirs. */
#include "keys.h"

#include <pthread.h>

#define TPM_CC_CREATE 0x153
#define ROUNDS        300

/* The session that the other thread works in, and what its last call answered. cmocka's assertions
 * belong to the main thread. */
static struct {
    CK_SESSION_HANDLE session;
    CK_RV rv;
    struct key_pair made;
} worker;

static pthread_t start(void *(*work)(void *))
{
    pthread_t thread;
    worker.session = open_session(fx.slot, CKF_RW_SESSION);
    assert_int_equal(pthread_create(&thread, NULL, work, NULL), 0);
    return thread;
}

static void assert_closed_or_done(CK_RV rv)
{
    if (rv != CKR_OK)
        assert_rv_either(CKR_SESSION_CLOSED, CKR_SESSION_HANDLE_INVALID, rv);
}

static void *log_in(void *unused)
{
    (void)unused;
    worker.rv = login(worker.session, CKU_USER, USER_PIN);
    return NULL;
}

/* A login that comes too late must not outlive its session: the next program part to open one
 * would find itself logged in. */
static void login_and_last_close(void **state)
{
    (void)state;
    CK_SESSION_INFO info;
    for (unsigned i = 0; i < ROUNDS; i++) {
        pthread_t thread = start(log_in);
        for (volatile unsigned spin = 0; spin < i * 997 % 40000; spin++)
            ;
        assert_ok(p11->C_CloseSession(worker.session));
        pthread_join(thread, NULL);
        assert_closed_or_done(worker.rv);
        CK_SESSION_HANDLE session = open_session(fx.slot, 0);
        assert_ok(p11->C_GetSessionInfo(session, &info));
        assert_int_equal(info.state, CKS_RO_PUBLIC_SESSION);
        assert_ok(p11->C_CloseSession(session));
    }
}

static CK_ULONG count_left(CK_SESSION_HANDLE session)
{
    CK_ATTRIBUTE template[] = {ATTR_STR(CKA_LABEL, "left over"), ATTR_BOOL(CKA_TOKEN, false)};
    return count_objects(session, template, COUNT(template));
}

static void *make_objects(void *unused)
{
    (void)unused;
    CK_OBJECT_HANDLE object;
    CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_CLASS, CKO_DATA), ATTR_STR(CKA_LABEL, "left over")};
    do
        worker.rv = p11->C_CreateObject(worker.session, template, COUNT(template), &object);
    while (worker.rv == CKR_OK);
    return NULL;
}

static void objects_and_close(void **state)
{
    (void)state;
    CK_SESSION_HANDLE session = open_session(fx.slot, 0);
    for (unsigned i = 0; i < ROUNDS; i++) {
        pthread_t thread = start(make_objects);
        for (volatile unsigned spin = 0; spin < i * 997 % 40000; spin++)
            ;
        assert_ok(p11->C_CloseSession(worker.session));
        pthread_join(thread, NULL);
        assert_closed_or_done(worker.rv);
        assert_int_equal(count_left(session), 0);
    }
}

/* CKA_PRIVATE false: no login comes into it. */
static void *make_key(void *unused)
{
    (void)unused;
    struct key_pair keys;
    CK_BYTE p256[] = {0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07};
    CK_ATTRIBUTE public[] = {ATTR_MEM(CKA_EC_PARAMS, p256, sizeof p256),
                             ATTR_STR(CKA_LABEL, "left over")};
    CK_ATTRIBUTE private[] = {ATTR_BOOL(CKA_PRIVATE, false), ATTR_STR(CKA_LABEL, "left over")};
    worker.rv =
        p11->C_GenerateKeyPair(worker.session, MECHANISM(CKM_EC_KEY_PAIR_GEN), public,
                               COUNT(public), private, COUNT(private), &keys.public, &keys.private);
    return NULL;
}

/* Closed while the TPM makes the key. */
static void key_and_close(bool last)
{
    CK_SESSION_HANDLE session = last ? CK_INVALID_HANDLE : open_session(fx.slot, 0);
    proxy_fault(PROXY_DELAY, TPM_CC_CREATE, 1, 200);
    pthread_t thread = start(make_key);
    while (!proxy_fault_struck())
        sleep_ms(1);
    assert_ok(last ? p11->C_CloseAllSessions(fx.slot) : p11->C_CloseSession(worker.session));
    pthread_join(thread, NULL);
    assert_rv_either(CKR_SESSION_CLOSED, CKR_SESSION_HANDLE_INVALID, worker.rv);
    session = last ? open_session(fx.slot, 0) : session;
    assert_int_equal(count_left(session), 0);
}

static void key_and_one_of_two(void **state)
{
    (void)state;
    key_and_close(false);
}

static void key_and_all(void **state)
{
    (void)state;
    key_and_close(true);
}

/* Half of the pair is stored, half is the session's: either nothing is left, or the call succeeded
 * and told the stored half's handle. */
static void *make_half_stored(void *unused)
{
    (void)unused;
    CK_BYTE p256[] = {0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07};
    CK_ATTRIBUTE public[] = {ATTR_MEM(CKA_EC_PARAMS, p256, sizeof p256), ATTR_BOOL(CKA_TOKEN, true),
                             ATTR_STR(CKA_LABEL, "stored half")};
    CK_ATTRIBUTE private[] = {ATTR_BOOL(CKA_PRIVATE, false), ATTR_STR(CKA_LABEL, "left over")};
    worker.rv = p11->C_GenerateKeyPair(worker.session, MECHANISM(CKM_EC_KEY_PAIR_GEN), public,
                                       COUNT(public), private, COUNT(private), &worker.made.public,
                                       &worker.made.private);
    return NULL;
}

static void half_stored_and_close(void **state)
{
    (void)state;
    CK_SESSION_HANDLE session = open_session(fx.slot, CKF_RW_SESSION);
    proxy_fault(PROXY_DELAY, TPM_CC_CREATE, 1, 200);
    pthread_t thread = start(make_half_stored);
    while (!proxy_fault_struck())
        sleep_ms(1);
    assert_ok(p11->C_CloseSession(worker.session));
    pthread_join(thread, NULL);
    assert_closed_or_done(worker.rv);
    CK_OBJECT_HANDLE stored = find_object(session, CKO_PUBLIC_KEY, "stored half");
    assert_int_equal(stored, worker.rv == CKR_OK ? worker.made.public : CK_INVALID_HANDLE);
    assert_int_equal(count_left(session), 0);
    if (worker.rv == CKR_OK)
        assert_ok(p11->C_DestroyObject(session, stored));
}

#define CLOSING_TEST(f) cmocka_unit_test_setup_teardown(f, test_initialized, test_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLOSING_TEST(login_and_last_close),  CLOSING_TEST(objects_and_close),
        CLOSING_TEST(key_and_one_of_two),    CLOSING_TEST(key_and_all),
        CLOSING_TEST(half_stored_and_close),
    };
    return cmocka_run_group_tests(tests, group_token_proxied, group_end);
}
