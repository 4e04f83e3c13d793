/* Every kind of call from many threads at once (PKCS#11 3.0 section 5.4.1), while one of them logs
 * out and in, and while one finalizes the library. Run under ThreadSanitizer too. */
#include "keys.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

enum { EACH = 2, HANDLES = 1 << 18 };

/* cmocka's assertions belong to the main thread: workers write down the first thing that went
 * wrong. */
static struct {
    _Atomic unsigned failures;
    _Atomic(const char *) where;
    _Atomic CK_RV rv;
} wrong;
static _Atomic bool ending; /* C_Finalize may have come: its code is right as well */
static _Atomic unsigned long calls;
static unsigned rounds;

static void fault(const char *where, CK_RV rv)
{
    if (atomic_fetch_add(&wrong.failures, 1) > 0)
        return;
    atomic_store(&wrong.rv, rv);
    atomic_store(&wrong.where, where);
}

/* What may come besides CKR_OK. */
struct allowed {
    CK_RV rv[6];
};
#define ALLOWED(...) (&(const struct allowed){{__VA_ARGS__}})

/* Somebody logs out: private objects' handles go, and so does what their operations were. */
#define LOGOUT                                                                                     \
    CKR_USER_NOT_LOGGED_IN, CKR_OBJECT_HANDLE_INVALID, CKR_KEY_HANDLE_INVALID,                     \
        CKR_OPERATION_NOT_INITIALIZED

static bool check(const char *where, CK_RV rv, const struct allowed *allowed)
{
    atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
    if (rv == CKR_OK)
        return true;
    if (rv == CKR_CRYPTOKI_NOT_INITIALIZED && atomic_load(&ending))
        return false;
    for (size_t i = 0; i < COUNT(allowed->rv); i++)
        if (rv == allowed->rv[i])
            return false;
    fault(where, rv);
    return false;
}
#define OK(call)         check(#call, call, ALLOWED(CKR_OK))
#define OK_OR(call, ...) check(#call, call, ALLOWED(__VA_ARGS__))
#define MUST(call)                                                                                 \
    do {                                                                                           \
        if (!OK(call))                                                                             \
            return false;                                                                          \
    } while (0)

/* ---- no handle is given twice ---- */

static pthread_mutex_t given_lock = PTHREAD_MUTEX_INITIALIZER;
static CK_ULONG given[HANDLES]; /* open addressing; 0: free */
static size_t n_given;

/* Sessions and objects number apart. */
static void give(CK_ULONG handle, bool session)
{
    CK_ULONG key = handle * 2 + session;
    size_t at = (size_t)(key * 0x9E3779B97F4A7C15UL >> 40) % HANDLES;
    pthread_mutex_lock(&given_lock);
    if (n_given > HANDLES / 2) { /* a long run: the table holds the last so many */
        memset(given, 0, sizeof given);
        n_given = 0;
    }
    while (given[at] != 0 && given[at] != key)
        at = (at + 1) % HANDLES;
    if (given[at] == key)
        fault(session ? "a session handle was given twice" : "an object handle was given twice",
              CKR_OK);
    given[at] = key;
    n_given++;
    pthread_mutex_unlock(&given_lock);
}

static void forget_given(void)
{
    memset(given, 0, sizeof given);
    n_given = 0;
}

/* ---- kinds of work: one round each; false: the library is gone ---- */

static bool opened(CK_SESSION_HANDLE *session)
{
    MUST(p11->C_OpenSession(fx.slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, session));
    give(*session, true);
    return true;
}

static CK_OBJECT_HANDLE find(CK_SESSION_HANDLE session, CK_OBJECT_CLASS cls, const char *label)
{
    CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_CLASS, cls), ATTR_STR(CKA_LABEL, label)};
    CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
    CK_ULONG n = 0;
    if (!OK(p11->C_FindObjectsInit(session, template, COUNT(template))))
        return CK_INVALID_HANDLE;
    OK(p11->C_FindObjects(session, &object, 1, &n));
    OK(p11->C_FindObjectsFinal(session));
    return n == 1 ? object : CK_INVALID_HANDLE;
}

static void sign_with(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key)
{
    CK_BYTE digest[32] = {1}, signature[64];
    CK_ULONG n = sizeof signature;
    if (OK_OR(p11->C_SignInit(session, MECHANISM(CKM_ECDSA), key), LOGOUT))
        OK_OR(p11->C_Sign(session, digest, sizeof digest, signature, &n), LOGOUT);
}

static bool sign_round(CK_SESSION_HANDLE session)
{
    sign_with(session, find(session, CKO_PRIVATE_KEY, "p256"));
    return true;
}

static struct blob known; /* a signature of zeros by "p256" */

static bool verify_round(CK_SESSION_HANDLE session)
{
    CK_BYTE digest[32] = {0};
    CK_OBJECT_HANDLE key = find(session, CKO_PUBLIC_KEY, "p256");
    if (OK_OR(p11->C_VerifyInit(session, MECHANISM(CKM_ECDSA), key), CKR_KEY_HANDLE_INVALID))
        OK(p11->C_Verify(session, digest, sizeof digest, known.p, known.n));
    return true;
}

static bool digest_round(CK_SESSION_HANDLE session)
{
    static CK_BYTE text[20000];
    CK_BYTE digest[32];
    CK_ULONG n = sizeof digest;
    MUST(p11->C_DigestInit(session, MECHANISM(CKM_SHA256)));
    for (int i = 0; i < 3; i++)
        MUST(p11->C_DigestUpdate(session, text, sizeof text));
    MUST(p11->C_DigestFinal(session, digest, &n));
    return true;
}

static bool random_round(CK_SESSION_HANDLE session)
{
    CK_BYTE random[16];
    CK_TOKEN_INFO info;
    CK_SESSION_INFO own;
    MUST(p11->C_GenerateRandom(session, random, sizeof random));
    MUST(p11->C_GetSessionInfo(session, &own));
    MUST(p11->C_GetTokenInfo(fx.slot, &info));
    return true;
}

/* Objects of the session and of the token, which others find. */
static bool create_round(CK_SESSION_HANDLE session)
{
    static _Atomic unsigned n;
    CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_CLASS, CKO_DATA), ATTR_STR(CKA_LABEL, "storm"),
                               ATTR_BOOL(CKA_TOKEN, atomic_fetch_add(&n, 1) % 4 == 0),
                               ATTR_STR(CKA_VALUE, "value")};
    CK_ATTRIBUTE other = ATTR_STR(CKA_VALUE, "another value");
    CK_OBJECT_HANDLE object, copy;
    MUST(p11->C_CreateObject(session, template, COUNT(template), &object));
    give(object, false);
    MUST(p11->C_SetAttributeValue(session, object, &other, 1));
    MUST(p11->C_CopyObject(session, object, NULL, 0, &copy));
    give(copy, false);
    MUST(p11->C_DestroyObject(session, object));
    MUST(p11->C_DestroyObject(session, copy));
    return true;
}

static bool find_round(CK_SESSION_HANDLE session)
{
    CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_CLASS, CKO_DATA), ATTR_STR(CKA_LABEL, "storm")};
    CK_BYTE value[32];
    CK_ATTRIBUTE read = {CKA_VALUE, value, sizeof value};
    CK_OBJECT_HANDLE object;
    CK_ULONG n = 1;
    MUST(p11->C_FindObjectsInit(session, template, COUNT(template)));
    while (n == 1) {
        MUST(p11->C_FindObjects(session, &object, 1, &n));
        read.ulValueLen = sizeof value;
        if (n == 1)
            OK_OR(p11->C_GetAttributeValue(session, object, &read, 1), CKR_OBJECT_HANDLE_INVALID);
    }
    MUST(p11->C_FindObjectsFinal(session));
    return true;
}

/* A pair in the TPM, used and thrown away. Public objects: whoever is logged out may have them. */
static bool generate_round(CK_SESSION_HANDLE session)
{
    CK_BYTE p256[] = {0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07};
    CK_ATTRIBUTE public[] = {ATTR_MEM(CKA_EC_PARAMS, p256, sizeof p256)};
    CK_ATTRIBUTE private[] = {ATTR_BOOL(CKA_PRIVATE, false)};
    struct key_pair made;
    MUST(p11->C_GenerateKeyPair(session, MECHANISM(CKM_EC_KEY_PAIR_GEN), public, 1, private, 1,
                                &made.public, &made.private));
    give(made.public, false);
    give(made.private, false);
    sign_with(session, made.private);
    MUST(p11->C_DestroyObject(session, made.private));
    MUST(p11->C_DestroyObject(session, made.public));
    return true;
}

static bool encrypt_round(CK_SESSION_HANDLE session)
{
    CK_ATTRIBUTE template[] = {
        ATTR_ULONG(CKA_CLASS, CKO_SECRET_KEY), ATTR_ULONG(CKA_KEY_TYPE, CKK_AES),
        ATTR_BOOL(CKA_PRIVATE, false),         ATTR_BOOL(CKA_ENCRYPT, true),
        ATTR_BOOL(CKA_EXTRACTABLE, true),      ATTR_STR(CKA_VALUE, "0123456789abcdef")};
    CK_BYTE text[1024] = {0}, out[1024];
    CK_OBJECT_HANDLE key;
    CK_ULONG n = sizeof out;
    MUST(p11->C_CreateObject(session, template, COUNT(template), &key));
    give(key, false);
    MUST(p11->C_EncryptInit(session, MECHANISM(CKM_AES_ECB), key));
    MUST(p11->C_Encrypt(session, text, sizeof text, out, &n));
    return true;
}

static bool event_round(CK_SESSION_HANDLE session)
{
    (void)session;
    CK_SLOT_ID slot, slots[8];
    CK_ULONG n = COUNT(slots);
    OK_OR(p11->C_WaitForSlotEvent(CKF_DONT_BLOCK, &slot, NULL), CKR_NO_EVENT);
    MUST(p11->C_GetSlotList(CK_TRUE, slots, &n));
    return true;
}

static bool (*const kinds[])(CK_SESSION_HANDLE) = {
    sign_round, verify_round,   digest_round,  random_round, create_round,
    find_round, generate_round, encrypt_round, event_round,
};
enum { KINDS = COUNT(kinds), WORKERS = EACH * KINDS };

/* A session a round, or a round in a session of some before it. */
static void *work(void *number)
{
    bool (*kind)(CK_SESSION_HANDLE) = kinds[(uintptr_t)number % KINDS];
    CK_SESSION_HANDLE session;
    for (unsigned i = 0; rounds == 0 || i < rounds; i++) {
        if (i % 4 == 0 && !opened(&session))
            return NULL;
        if (!kind(session) || (i % 4 == 3 && !OK(p11->C_CloseSession(session))))
            return NULL;
    }
    return NULL;
}

static void *log_out_and_in(void *unused)
{
    (void)unused;
    for (unsigned i = 0; rounds == 0 || i < rounds; i++) {
        if (!OK(p11->C_Logout(fx.session)) || !OK(login(fx.session, CKU_USER, USER_PIN)))
            return NULL;
        sleep_ms(5);
    }
    return NULL;
}

/* ---- tests ---- */

static void assert_nothing_wrong(void)
{
    if (atomic_load(&wrong.failures) != 0) {
        const char *where = atomic_load(&wrong.where);
        print_error("%u faults, the first: %s\n", atomic_load(&wrong.failures),
                    where == NULL ? "?" : where);
        assert_ok(atomic_load(&wrong.rv));
        fail();
    }
}

static void start_all(pthread_t *ids)
{
    for (uintptr_t i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_create(&ids[i], NULL, work, (void *)i), 0);
    assert_int_equal(pthread_create(&ids[WORKERS], NULL, log_out_and_in, NULL), 0);
}

static void join_all(pthread_t *ids)
{
    for (int i = 0; i <= WORKERS; i++)
        assert_int_equal(pthread_join(ids[i], NULL), 0);
}

static void all_at_once(void **state)
{
    (void)state;
    pthread_t ids[WORKERS + 1];
    rounds = long_run() ? 2000 : 24;
    forget_given();
    atomic_store(&calls, 0);
    start_all(ids);
    join_all(ids);
    assert_nothing_wrong();
    assert_int_equal(find_object(fx.session, CKO_DATA, "storm"), CK_INVALID_HANDLE);
    figure(atomic_load(&calls), "calls from 19 threads at once, one of them logging out and in");
}

static void *wait_for_event(void *ret)
{
    CK_SLOT_ID slot;
    *(CK_RV *)ret = p11->C_WaitForSlotEvent(0, &slot, NULL);
    return NULL;
}

/* 5.4.2: C_Finalize while other threads are inside calls. Each call is done, or says that there is
 * no library any more. */
static void finalize_under_all(void **state)
{
    (void)state;
    const unsigned times = long_run() ? 500 : 15;
    pthread_t ids[WORKERS + 1], waiter;
    CK_RV waited;
    rounds = 0; /* until there is no library */
    for (unsigned i = 0; i < times; i++) {
        forget_given();
        atomic_store(&ending, true);
        start_all(ids);
        assert_int_equal(pthread_create(&waiter, NULL, wait_for_event, &waited), 0);
        sleep_ms((unsigned)rand() % 60);
        assert_ok(p11->C_Finalize(NULL));
        join_all(ids);
        pthread_join(waiter, NULL);
        assert_nothing_wrong();
        assert_rv(CKR_CRYPTOKI_NOT_INITIALIZED, waited);
        assert_int_equal(swtpm_handles(&fx.tpm, 0x80), 0);
        assert_int_equal(swtpm_handles(&fx.tpm, 0x02), 0);
        test_user(state);
    }
    atomic_store(&ending, false);
    figure(times, "times C_Finalize while 20 threads were inside calls");
}

static int start(void **state)
{
    CK_BYTE digest[32] = {0};
    group_keys(state);
    test_user(state);
    known = sign(fx.session, MECHANISM(CKM_ECDSA), keys_of(fx.session, "p256").private, digest,
                 sizeof digest);
    return test_end(state);
}

#define STORM_TEST(f) cmocka_unit_test_setup_teardown(f, test_user, test_end)

int main(int argc, char **argv)
{
    if (argc == 2) /* one of them by itself */
        cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        STORM_TEST(all_at_once),
        STORM_TEST(finalize_under_all),
    };
    return cmocka_run_group_tests(tests, start, group_end);
}
