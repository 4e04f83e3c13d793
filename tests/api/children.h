/* Forked children that use the parent's token: what all of tests/api/test_fork*.c share. A child
 * asserts nothing, cmocka's jumps would make it a second test program: it answers. */
#ifndef TESTS_CHILDREN_H
#define TESTS_CHILDREN_H

#include "keys.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CHILD_SECONDS = 120 }; /* a child that hangs is a failure, on a busy machine as well */

/* A child's copy of what its parent has is abandoned, not freed: LeakSanitizer asks this at exit.
 */
static bool leaks_are_meant;
__attribute__((visibility("default"))) int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
    return leaks_are_meant;
}

static EVP_PKEY *p256_public; /* libcrypto's copy, made before the forks */
static uint32_t counter;      /* of wrong PINs, before the test */

/* ---- set-up: logged in, with what the children need to judge their signatures --------------- */

static inline int test_children(void **state)
{
    test_user(state);
    p256_public = openssl_key(fx.session, keys_of(fx.session, "p256").public);
    counter = swtpm_lockout_counter(&fx.tpm);
    return 0;
}

static inline int test_children_end(void **state)
{
    EVP_PKEY_free(p256_public);
    p256_public = NULL;
    return test_end(state);
}

/* ---- what a child does ----------------------------------------------------------------------- */

static inline CK_RV verified(const CK_BYTE *digest, CK_ULONG n, struct blob raw)
{
    struct blob der = ecdsa_der(raw);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(p256_public, NULL);
    bool right = context != NULL && EVP_PKEY_verify_init(context) == 1 &&
                 EVP_PKEY_verify(context, der.p, der.n, digest, n) == 1;
    EVP_PKEY_CTX_free(context);
    return right ? CKR_OK : CKR_SIGNATURE_INVALID;
}

/* Signatures of different digests with that key, each of them verified where there is the public
 * key for it. */
static inline CK_RV sign_often(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key, unsigned times)
{
    CK_RV rv = CKR_OK;
    for (unsigned i = 0; rv == CKR_OK && i < times; i++) {
        CK_BYTE digest[32] = {(CK_BYTE)i, (CK_BYTE)(i >> 8), (CK_BYTE)getpid()};
        struct blob signature = {.n = 64};
        rv = p11->C_SignInit(session, MECHANISM(CKM_ECDSA), key);
        if (rv == CKR_OK)
            rv = p11->C_Sign(session, digest, sizeof digest, signature.p, &signature.n);
        if (rv == CKR_OK && p256_public != NULL)
            rv = verified(digest, sizeof digest, signature);
    }
    return rv;
}

static inline CK_RV find_p256(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE *ret)
{
    CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_CLASS, CKO_PRIVATE_KEY), ATTR_STR(CKA_ID, "p256")};
    CK_ULONG found;
    CK_RV rv = p11->C_FindObjectsInit(session, template, COUNT(template));
    if (rv == CKR_OK)
        rv = p11->C_FindObjects(session, ret, 1, &found);
    return rv == CKR_OK ? p11->C_FindObjectsFinal(session) : rv;
}

/* From a session to signatures, as any program does it. */
static inline CK_RV use_key(unsigned times)
{
    CK_SESSION_HANDLE session;
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    CK_RV rv = p11->C_OpenSession(fx.slot, CKF_SERIAL_SESSION, NULL, NULL, &session);
    if (rv == CKR_OK)
        rv = login(session, CKU_USER, USER_PIN);
    if (rv == CKR_OK)
        rv = find_p256(session, &key);
    return rv == CKR_OK ? sign_often(session, key, times) : rv;
}

static inline CK_RV child_starts_anew(void)
{
    CK_RV rv = p11->C_Initialize(NULL); /* nginx: no C_Finalize before it */
    return rv == CKR_OK ? use_key(10) : rv;
}

static inline CK_RV child_finalizes_first(void)
{
    CK_RV rv = p11->C_Finalize(NULL); /* pkcs11-provider */
    return rv == CKR_OK ? child_starts_anew() : rv;
}

/* ---- what the parent does -------------------------------------------------------------------- */

/* A child of the caller's, which goes on meanwhile. */
static inline pid_t start_child(peer_step step)
{
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        leaks_are_meant = true;
        signal(SIGSEGV, SIG_DFL); /* cmocka's handler would run the other tests here */
        alarm(CHILD_SECONDS);
        _exit(step() == CKR_OK ? 0 : 1);
    }
    return pid;
}

static inline void assert_child_ended_well(pid_t pid)
{
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* What the children had in the TPM is gone but for what its last user left for itself. */
static inline void assert_tpm_untouched(void)
{
    assert_int_equal(swtpm_lockout_counter(&fx.tpm), counter);
    assert_true(swtpm_handles(&fx.tpm, 0x80) <= 2);
    assert_true(swtpm_handles(&fx.tpm, 0x02) <= 1);
    assert_int_equal(swtpm_handles(&fx.tpm, 0x03), 0);
}

static inline double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

#endif
