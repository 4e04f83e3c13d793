/* Many threads on one module (PKCS#11 3.0 section 5.4.1). Run under ThreadSanitizer too. */
#include "keys.h"

#include <pthread.h>
#include <stdatomic.h>

#define THREADS 8
#define ROUNDS  25

/* cmocka's assertions belong to the main thread: workers count what went wrong. */
static atomic_uint failures;

static void expect(CK_RV rv)
{
    if (rv != CKR_OK)
        atomic_fetch_add(&failures, 1);
}

static void run(void *(*work)(void *), int threads)
{
    pthread_t ids[32];
    atomic_store(&failures, 0);
    for (int i = 0; i < threads; i++)
        assert_int_equal(pthread_create(&ids[i], NULL, work, (void *)(uintptr_t)i), 0);
    for (int i = 0; i < threads; i++)
        assert_int_equal(pthread_join(ids[i], NULL), 0);
    assert_int_equal(atomic_load(&failures), 0);
}

static CK_OBJECT_HANDLE find(CK_SESSION_HANDLE session, CK_OBJECT_CLASS cls, const char *label)
{
    CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_CLASS, cls), ATTR_STR(CKA_LABEL, label)};
    CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
    CK_ULONG n = 0;
    expect(p11->C_FindObjectsInit(session, template, COUNT(template)));
    expect(p11->C_FindObjects(session, &object, 1, &n));
    expect(p11->C_FindObjectsFinal(session));
    return object;
}

/* Signatures and verifications, each thread in sessions of its own. */
static void *sign_and_verify(void *unused)
{
    (void)unused;
    CK_BYTE digest[32] = {3};
    for (int i = 0; i < ROUNDS; i++) {
        CK_SESSION_HANDLE session;
        CK_BYTE signature[64];
        CK_ULONG n = sizeof signature;
        expect(p11->C_OpenSession(fx.slot, CKF_SERIAL_SESSION, NULL, NULL, &session));
        CK_OBJECT_HANDLE private = find(session, CKO_PRIVATE_KEY, "p256");
        CK_OBJECT_HANDLE public = find(session, CKO_PUBLIC_KEY, "p256");
        expect(p11->C_SignInit(session, MECHANISM(CKM_ECDSA), private));
        expect(p11->C_Sign(session, digest, sizeof digest, signature, &n));
        expect(p11->C_VerifyInit(session, MECHANISM(CKM_ECDSA), public));
        expect(p11->C_Verify(session, digest, sizeof digest, signature, n));
        expect(p11->C_CloseSession(session));
    }
    return NULL;
}

/* Session objects come and go while others search. */
static void *make_and_destroy(void *unused)
{
    (void)unused;
    CK_SESSION_HANDLE session;
    expect(p11->C_OpenSession(fx.slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session));
    for (int i = 0; i < ROUNDS; i++) {
        CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_CLASS, CKO_DATA), ATTR_STR(CKA_LABEL, "t"),
                                   ATTR_BOOL(CKA_TOKEN, i % 5 == 0)};
        CK_OBJECT_HANDLE object, found[64];
        CK_ULONG n;
        expect(p11->C_CreateObject(session, template, COUNT(template), &object));
        expect(p11->C_FindObjectsInit(session, template, 2));
        expect(p11->C_FindObjects(session, found, COUNT(found), &n));
        expect(p11->C_FindObjectsFinal(session));
        expect(p11->C_DestroyObject(session, object));
    }
    expect(p11->C_CloseSession(session));
    return NULL;
}

/* Every kind of work at once. */
static void *mixed(void *number)
{
    CK_BYTE digest[32], random[16];
    CK_ULONG n;
    CK_SESSION_HANDLE session;
    if ((uintptr_t)number % 3 == 0)
        return sign_and_verify(NULL);
    if ((uintptr_t)number % 3 == 1)
        return make_and_destroy(NULL);
    for (int i = 0; i < ROUNDS; i++) {
        CK_TOKEN_INFO info;
        n = sizeof digest;
        expect(p11->C_OpenSession(fx.slot, CKF_SERIAL_SESSION, NULL, NULL, &session));
        expect(p11->C_GetTokenInfo(fx.slot, &info));
        expect(p11->C_GenerateRandom(session, random, sizeof random));
        expect(p11->C_DigestInit(session, MECHANISM(CKM_SHA256)));
        expect(p11->C_Digest(session, random, sizeof random, digest, &n));
        expect(p11->C_CloseSession(session));
    }
    return NULL;
}

/* One session for all: the usage guide leaves the order to the caller, so an operation of one
 * thread may meet another's; none may crash or leave anything but these codes. */
static void *share_a_session(void *unused)
{
    (void)unused;
    for (int i = 0; i < 4 * ROUNDS; i++) {
        CK_BYTE digest[32] = {0};
        CK_ULONG n = sizeof digest;
        CK_RV rv = p11->C_DigestInit(fx.session, MECHANISM(CKM_SHA256));
        if (rv != CKR_OK && rv != CKR_OPERATION_ACTIVE)
            expect(rv);
        rv = p11->C_Digest(fx.session, digest, sizeof digest, digest, &n);
        if (rv != CKR_OK && rv != CKR_OPERATION_NOT_INITIALIZED)
            expect(rv);
    }
    return NULL;
}

static atomic_uint logins;

/* Of threads that log in at once one succeeds, the others are told. */
static void *log_in(void *unused)
{
    (void)unused;
    CK_SESSION_HANDLE session;
    expect(p11->C_OpenSession(fx.slot, CKF_SERIAL_SESSION, NULL, NULL, &session));
    CK_RV rv = login(session, CKU_USER, USER_PIN);
    if (rv == CKR_OK)
        atomic_fetch_add(&logins, 1);
    else if (rv != CKR_USER_ALREADY_LOGGED_IN)
        expect(rv);
    return NULL;
}

/* Sessions are closed under a thread that uses them. */
static void *use_until_closed(void *unused)
{
    (void)unused;
    CK_SESSION_HANDLE session;
    CK_BYTE random[8];
    expect(p11->C_OpenSession(fx.slot, CKF_SERIAL_SESSION, NULL, NULL, &session));
    CK_RV rv = CKR_OK;
    for (int i = 0; i < 10000 && rv == CKR_OK; i++)
        rv = p11->C_GenerateRandom(session, random, sizeof random);
    if (rv != CKR_SESSION_HANDLE_INVALID && rv != CKR_SESSION_CLOSED)
        expect(CKR_GENERAL_ERROR);
    return NULL;
}

static atomic_uint initializations;

static void *initialize_at_once(void *unused)
{
    (void)unused;
    CK_RV rv = initialize(NULL);
    if (rv == CKR_OK)
        atomic_fetch_add(&initializations, 1);
    else if (rv != CKR_CRYPTOKI_ALREADY_INITIALIZED)
        expect(rv);
    return NULL;
}

static void signing(void **state)
{
    (void)state;
    run(sign_and_verify, THREADS);
}

static void objects(void **state)
{
    (void)state;
    run(make_and_destroy, THREADS);
    assert_int_equal(find_object(fx.session, CKO_DATA, "t"), CK_INVALID_HANDLE);
}

static void everything(void **state)
{
    (void)state;
    run(mixed, 9);
}

static void shared_session(void **state)
{
    (void)state;
    run(share_a_session, THREADS);
}

static void concurrent_logins(void **state)
{
    (void)state;
    uint32_t before = swtpm_lockout_counter(&fx.tpm);
    assert_ok(p11->C_Logout(fx.session));
    atomic_store(&logins, 0);
    run(log_in, THREADS);
    assert_int_equal(atomic_load(&logins), 1);
    assert_int_equal(swtpm_lockout_counter(&fx.tpm), before);
}

static void closed_under_use(void **state)
{
    (void)state;
    pthread_t ids[4];
    atomic_store(&failures, 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&ids[i], NULL, use_until_closed, NULL), 0);
    sleep_ms(50);
    assert_ok(p11->C_CloseAllSessions(fx.slot));
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_join(ids[i], NULL), 0);
    assert_int_equal(atomic_load(&failures), 0);
}

static void concurrent_initialize(void **state)
{
    (void)state;
    assert_ok(p11->C_Finalize(NULL));
    atomic_store(&initializations, 0);
    run(initialize_at_once, THREADS);
    assert_int_equal(atomic_load(&initializations), 1);
}

#define THREAD_TEST(f) cmocka_unit_test_setup_teardown(f, test_user, test_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        THREAD_TEST(signing),
        THREAD_TEST(objects),
        THREAD_TEST(everything),
        THREAD_TEST(shared_session),
        THREAD_TEST(concurrent_logins),
        THREAD_TEST(closed_under_use),
        THREAD_TEST(concurrent_initialize),
    };
    return cmocka_run_group_tests(tests, group_keys, group_end);
}
