/* Software work of two sessions runs on two cores: while one thread is in the middle of it, with
 * all the locks that it takes, another does each kind from beginning to end. Shown without a clock:
 * the first thread's input ends in a page that cannot be read, and its handler of SIGSEGV keeps it
 * there until the other has finished. */
#include "keys.h"

#include <latchkey/vendor.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, INPUT = 3 * PAGE };

static CK_BYTE *input; /* its last page is closed, until … */
static _Atomic bool inside, let_go;

static struct {
    CK_OBJECT_HANDLE aes, sealed, sealed_public, rsa, rsa_public;
    struct blob signature, sealed_signature; /* of the input */
} keys;

/* Called by the kernel in the thread that reads the page. */
static void hold(int signal)
{
    (void)signal;
    atomic_store(&inside, true);
    while (!atomic_load(&let_go))
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    if (mprotect(input + INPUT - PAGE, PAGE, PROT_READ | PROT_WRITE) != 0)
        _exit(1);
}

/* ---- kinds of work, over the input ---- */

static CK_RV digest(CK_SESSION_HANDLE session, const CK_BYTE *p, CK_ULONG n)
{
    CK_BYTE hash[32];
    CK_ULONG hash_n = sizeof hash;
    CK_RV rv = p11->C_DigestInit(session, MECHANISM(CKM_SHA256));
    return rv != CKR_OK ? rv : p11->C_Digest(session, (CK_BYTE_PTR)p, n, hash, &hash_n);
}

static CK_RV verify_with(CK_SESSION_HANDLE session, CK_MECHANISM_TYPE type, CK_OBJECT_HANDLE key,
                         const CK_BYTE *p, CK_ULONG n, struct blob *signature)
{
    CK_RV rv = p11->C_VerifyInit(session, MECHANISM(type), key);
    return rv != CKR_OK ? rv
                        : p11->C_Verify(session, (CK_BYTE_PTR)p, n, signature->p, signature->n);
}

static CK_RV verify_rsa(CK_SESSION_HANDLE session, const CK_BYTE *p, CK_ULONG n)
{
    return verify_with(session, CKM_SHA256_RSA_PKCS, keys.rsa_public, p, n, &keys.signature);
}

static CK_RV sign_sealed(CK_SESSION_HANDLE session, const CK_BYTE *p, CK_ULONG n)
{
    CK_BYTE signature[64];
    CK_ULONG signature_n = sizeof signature;
    CK_RV rv = p11->C_SignInit(session, MECHANISM(CKM_EDDSA), keys.sealed);
    return rv != CKR_OK ? rv : p11->C_Sign(session, (CK_BYTE_PTR)p, n, signature, &signature_n);
}

static CK_RV verify_sealed(CK_SESSION_HANDLE session, const CK_BYTE *p, CK_ULONG n)
{
    return verify_with(session, CKM_EDDSA, keys.sealed_public, p, n, &keys.sealed_signature);
}

static CK_RV encrypt_aes(CK_SESSION_HANDLE session, const CK_BYTE *p, CK_ULONG n)
{
    static _Thread_local CK_BYTE out[INPUT + 64];
    CK_ULONG out_n = sizeof out;
    CK_RV rv = p11->C_EncryptInit(session, MECHANISM(CKM_AES_ECB), keys.aes);
    return rv != CKR_OK ? rv : p11->C_Encrypt(session, (CK_BYTE_PTR)p, n, out, &out_n);
}

/* A new object's value: read for its copy. */
static CK_RV create_object(CK_SESSION_HANDLE session, const CK_BYTE *p, CK_ULONG n)
{
    CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_CLASS, CKO_DATA), ATTR_MEM(CKA_VALUE, p, n)};
    CK_OBJECT_HANDLE object;
    CK_RV rv = p11->C_CreateObject(session, template, COUNT(template), &object);
    return rv != CKR_OK ? rv : p11->C_DestroyObject(session, object);
}

static CK_RV sign_in_tpm(CK_SESSION_HANDLE session, const CK_BYTE *p, CK_ULONG n)
{
    CK_BYTE signature[256];
    CK_ULONG signature_n = sizeof signature;
    CK_RV rv = p11->C_SignInit(session, MECHANISM(CKM_SHA256_RSA_PKCS), keys.rsa);
    return rv != CKR_OK ? rv : p11->C_Sign(session, (CK_BYTE_PTR)p, n, signature, &signature_n);
}

static CK_RV search(CK_SESSION_HANDLE session, const CK_BYTE *p, CK_ULONG n)
{
    (void)p;
    (void)n;
    return find_object(session, CKO_PRIVATE_KEY, "p256") != CK_INVALID_HANDLE ? CKR_OK
                                                                              : CKR_GENERAL_ERROR;
}

static CK_RV (*const works[])(CK_SESSION_HANDLE, const CK_BYTE *, CK_ULONG) = {
    digest, verify_rsa, sign_sealed, verify_sealed, encrypt_aes, create_object, sign_in_tpm, search,
};
enum { HELD = 7 }; /* of these the first so many read the input */

/* ---- two threads ---- */

static CK_SESSION_HANDLE first, second;
static CK_RV first_rv;
static unsigned held_work;

static void *work_and_be_held(void *unused)
{
    (void)unused;
    first_rv = works[held_work](first, input, INPUT);
    return NULL;
}

static void beside_each_other(void **state)
{
    (void)state;
    static const CK_BYTE other[INPUT]; /* as the input: all zeros */
    struct sigaction held = {.sa_handler = hold}, of_cmocka;
    pthread_t thread;
    assert_int_equal(sigaction(SIGSEGV, &held, &of_cmocka), 0);
    for (held_work = 0; held_work < HELD; held_work++) {
        atomic_store(&inside, false);
        atomic_store(&let_go, false);
        assert_int_equal(mprotect(input + INPUT - PAGE, PAGE, PROT_NONE), 0);
        assert_int_equal(pthread_create(&thread, NULL, work_and_be_held, NULL), 0);
        while (!atomic_load(&inside))
            sleep_ms(1);
        alarm(120); /* which would end the test program */
        for (size_t i = 0; i < COUNT(works); i++)
            assert_ok(works[i](second, other, INPUT));
        alarm(0);
        atomic_store(&let_go, true);
        pthread_join(thread, NULL);
        assert_ok(first_rv);
    }
    sigaction(SIGSEGV, &of_cmocka, NULL);
}

static struct key_pair generate_sealed(void)
{
    struct key_pair made;
    CK_BYTE ed25519[] = {0x06, 0x03, 0x2B, 0x65, 0x70};
    CK_ATTRIBUTE public[] = {ATTR_MEM(CKA_EC_PARAMS, ed25519, sizeof ed25519)};
    CK_ATTRIBUTE private[] = {ATTR_BOOL(CKA_TOKEN, true), ATTR_BOOL(CKA_SIGN, true),
                              ATTR_STR(CKA_LATCHKEY_PROTECTION, "sealed")};
    assert_ok(p11->C_GenerateKeyPair(fx.session, MECHANISM(CKM_EC_EDWARDS_KEY_PAIR_GEN), public,
                                     COUNT(public), private, COUNT(private), &made.public,
                                     &made.private));
    return made;
}

static int start_one(void **state)
{
    test_user(state);
    struct key_pair rsa = keys_of(fx.session, "rsa2048"), sealed = generate_sealed();
    keys.rsa = rsa.private;
    keys.rsa_public = rsa.public;
    keys.sealed = sealed.private;
    keys.sealed_public = sealed.public;
    CK_ATTRIBUTE aes[] = {ATTR_ULONG(CKA_CLASS, CKO_SECRET_KEY), ATTR_ULONG(CKA_KEY_TYPE, CKK_AES),
                          ATTR_BOOL(CKA_ENCRYPT, true), ATTR_BOOL(CKA_EXTRACTABLE, true),
                          ATTR_STR(CKA_VALUE, "0123456789abcdef")};
    assert_ok(p11->C_CreateObject(fx.session, aes, COUNT(aes), &keys.aes));
    keys.signature = sign(fx.session, MECHANISM(CKM_SHA256_RSA_PKCS), keys.rsa, input, INPUT);
    keys.sealed_signature = sign(fx.session, MECHANISM(CKM_EDDSA), keys.sealed, input, INPUT);
    first = open_session(fx.slot, CKF_RW_SESSION);
    second = open_session(fx.slot, CKF_RW_SESSION);
    return 0;
}

static int start(void **state)
{
    group_keys(state);
    input = mmap(NULL, INPUT, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(input != MAP_FAILED);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(beside_each_other, start_one, test_end),
    };
    return cmocka_run_group_tests(tests, start, group_end);
}
