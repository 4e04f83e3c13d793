/* The TPM is absent, slow, confused, restarted, cleared: each has its code, none counts as a wrong
 * PIN, and what can go on goes on. */
#include "keys.h"

#include <unistd.h>

#define TPM_CC_SIGN      0x15D
#define TPM_CC_LOAD      0x157
#define TPM_CC_NV_READ   0x14E
#define TPM_CC_NV_PUBLIC 0x169

#define TPM_RC_RETRY         0x922
#define TPM_RC_YIELDED       0x908
#define TPM_RC_TESTING       0x90A
#define TPM_RC_NV_RATE       0x920
#define TPM_RC_REFERENCE_H0  0x910
#define TPM_RC_REFERENCE_S0  0x918
#define TPM_RC_FAILURE       0x101
#define TPM_RC_OBJECT_MEMORY 0x902

static CK_BYTE digest[32] = {42};

static int group_faults(void **state)
{
    group_token_proxied(state);
    test_user(state);
    generate_ec(fx.session, NID_X9_62_prime256v1, "p256", true);
    return test_end(state);
}

static CK_RV try_sign(CK_OBJECT_HANDLE key)
{
    CK_BYTE signature[64];
    CK_ULONG n = sizeof signature;
    CK_RV rv = p11->C_SignInit(fx.session, MECHANISM(CKM_ECDSA), key);
    return rv != CKR_OK ? rv : p11->C_Sign(fx.session, digest, sizeof digest, signature, &n);
}

static CK_OBJECT_HANDLE used_key(void)
{
    CK_OBJECT_HANDLE key = find_object(fx.session, CKO_PRIVATE_KEY, "p256");
    assert_ok(try_sign(key));
    return key;
}

/* Public work needs no TPM: list, read, verify; C_GetTokenInfo answers from the store. */
static void absent(void **state)
{
    test_user(state);
    CK_OBJECT_HANDLE key = find_object(fx.session, CKO_PRIVATE_KEY, "p256");
    struct blob signature = sign(fx.session, MECHANISM(CKM_ECDSA), key, digest, sizeof digest);
    assert_ok(p11->C_Finalize(NULL));
    swtpm_stop(&fx.tpm);
    CK_TOKEN_INFO info;
    test_public(state);
    assert_ok(p11->C_GetTokenInfo(fx.slot, &info));
    assert_true(info.flags & CKF_TOKEN_INITIALIZED);
    assert_int_equal(info.flags & (CKF_USER_PIN_LOCKED | CKF_USER_PIN_COUNT_LOW), 0);
    CK_OBJECT_HANDLE public = find_object(fx.session, CKO_PUBLIC_KEY, "p256");
    assert_ok(verify(fx.session, MECHANISM(CKM_ECDSA), public, digest, sizeof digest, signature));
    CK_RV rv = login(fx.session, CKU_USER, USER_PIN);
    swtpm_restart(&fx.tpm);
    assert_rv_either(CKR_DEVICE_ERROR, CKR_DEVICE_REMOVED, rv);
    assert_ok(login(fx.session, CKU_USER, USER_PIN)); /* it came back */
}

static void vanishes_and_comes_back(void **state)
{
    test_user(state);
    CK_OBJECT_HANDLE key = used_key();
    swtpm_stop(&fx.tpm);
    CK_RV rv = try_sign(key);
    swtpm_restart(&fx.tpm);
    assert_rv_either(CKR_DEVICE_ERROR, CKR_DEVICE_REMOVED, rv);
    assert_ok(try_sign(key)); /* still logged in: the key is loaded again */
}

/* A reboot of the TPM under a running process costs nobody anything. */
static void resets(void **state)
{
    test_user(state);
    CK_OBJECT_HANDLE key = used_key();
    for (int i = 0; i < 3; i++) {
        swtpm_reset(&fx.tpm);
        assert_ok(try_sign(key));
        assert_ok(try_sign(key));
    }
    swtpm_reset(&fx.tpm);
    assert_ok(p11->C_Logout(fx.session));
    assert_ok(login(fx.session, CKU_USER, USER_PIN));
    assert_int_equal(swtpm_lockout_counter(&fx.tpm), 0);
}

/* Codes that say "again": waited for. */
static void retry_codes(void **state)
{
    static const uint32_t codes[] = {TPM_RC_RETRY, TPM_RC_YIELDED, TPM_RC_TESTING, TPM_RC_NV_RATE};
    test_user(state);
    CK_OBJECT_HANDLE key = used_key();
    for (size_t i = 0; i < COUNT(codes); i++) {
        proxy_fault(PROXY_ERROR, TPM_CC_SIGN, 1, codes[i]);
        assert_ok(try_sign(key));
        assert_true(proxy_fault_struck());
        assert_ok(p11->C_Logout(fx.session));
        proxy_fault(PROXY_ERROR, TPM_CC_NV_READ, 1, codes[i]);
        assert_ok(login(fx.session, CKU_USER, USER_PIN));
        assert_true(proxy_fault_struck());
        key = used_key();
    }
    assert_int_equal(swtpm_lockout_counter(&fx.tpm), 0);
}

/* An object or session that a resource manager lost: loaded again. Its room taken by others:
 * evicted. */
static void lost_objects_and_sessions(void **state)
{
    static const uint32_t codes[] = {TPM_RC_REFERENCE_H0, TPM_RC_REFERENCE_S0};
    test_user(state);
    CK_OBJECT_HANDLE key = used_key();
    for (size_t i = 0; i < COUNT(codes); i++) {
        proxy_fault(PROXY_ERROR, TPM_CC_SIGN, 1, codes[i]);
        assert_ok(try_sign(key));
        assert_true(proxy_fault_struck());
    }
    assert_ok(p11->C_Finalize(NULL));
    test_user(state);
    key = find_object(fx.session, CKO_PRIVATE_KEY, "p256");
    proxy_fault(PROXY_ERROR, TPM_CC_LOAD, 1, TPM_RC_OBJECT_MEMORY);
    assert_rv_either(CKR_OK, CKR_DEVICE_MEMORY, try_sign(key));
    assert_true(proxy_fault_struck());
    assert_ok(try_sign(key));
}

/* Failure mode and nonsense are device errors, and no more than that. */
static void device_errors(void **state)
{
    static const struct {
        enum proxy_fault fault;
        uint32_t value;
    } rows[] = {{PROXY_ERROR, TPM_RC_FAILURE}, {PROXY_ERROR, 0x9FF}, {PROXY_GARBAGE, 0}};
    test_user(state);
    CK_OBJECT_HANDLE key = used_key();
    for (size_t i = 0; i < COUNT(rows); i++) {
        proxy_fault(rows[i].fault, TPM_CC_SIGN, 1, rows[i].value);
        CK_RV rv = try_sign(key);
        assert_true(proxy_fault_struck());
        assert_true(rv == CKR_OK || rv == CKR_DEVICE_ERROR || rv == CKR_FUNCTION_FAILED);
        assert_ok(try_sign(key));
    }
}

/* A lost answer, a cut connection, a changed answer: signing changes nothing in the TPM, so it is
 * done again. */
static void broken_wire(void **state)
{
    static const enum proxy_fault faults[] = {PROXY_DROP, PROXY_DROP_ANSWER, PROXY_CORRUPT};
    test_user(state);
    CK_OBJECT_HANDLE key = used_key();
    for (size_t i = 0; i < COUNT(faults); i++) {
        proxy_fault(faults[i], TPM_CC_SIGN, 1, 0);
        assert_ok(try_sign(key));
        assert_true(proxy_fault_struck());
        assert_ok(try_sign(key));
    }
    assert_int_equal(swtpm_lockout_counter(&fx.tpm), 0);
}

/* A fault at login is never taken for a wrong PIN, and the try after it succeeds. */
static void faults_at_login(void **state)
{
    static const struct {
        enum proxy_fault fault;
        uint32_t code, value;
    } rows[] = {
        {PROXY_DROP, TPM_CC_NV_PUBLIC, 0},      {PROXY_DROP, TPM_CC_NV_READ, 0},
        {PROXY_CORRUPT, TPM_CC_NV_PUBLIC, 0},   {PROXY_CORRUPT, TPM_CC_NV_READ, 0},
        {PROXY_DROP_ANSWER, TPM_CC_NV_READ, 0}, {PROXY_ERROR, TPM_CC_NV_READ, TPM_RC_FAILURE},
        {PROXY_GARBAGE, TPM_CC_NV_READ, 0},     {PROXY_ERROR, TPM_CC_NV_PUBLIC, 0x9A2},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        test_public(state);
        proxy_fault(rows[i].fault, rows[i].code, 1, rows[i].value);
        CK_RV rv = login(fx.session, CKU_USER, USER_PIN);
        assert_true(proxy_fault_struck());
        assert_true(rv == CKR_OK || rv == CKR_DEVICE_ERROR || rv == CKR_FUNCTION_FAILED);
        if (rv != CKR_OK)
            assert_ok(login(fx.session, CKU_USER, USER_PIN));
        used_key();
        assert_ok(p11->C_Finalize(NULL));
    }
    assert_int_equal(swtpm_lockout_counter(&fx.tpm), 0);
}

static void slow(void **state)
{
    test_user(state);
    CK_OBJECT_HANDLE key = used_key();
    proxy_fault(PROXY_DELAY, TPM_CC_SIGN, 1, 1500);
    assert_ok(try_sign(key));
    assert_true(proxy_fault_struck());
}

static unsigned count_lines(const char *path)
{
    unsigned n = 0;
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    for (int c; (c = getc(f)) != EOF;)
        n += c == '\n';
    fclose(f);
    return n;
}

/* A server that tries again and again fills no disk with what its log has said already. */
static void many_failures_give_few_lines(void **state)
{
    (void)state;
    CK_BYTE byte;
    char path[160], parameters[200];
    snprintf(path, sizeof path, "%s.flood", fx.tpm.socket);
    snprintf(parameters, sizeof parameters, "log-file=%s", path);
    assert_ok(initialize(parameters));
    fx.session = open_session(fx.slot, 0);
    swtpm_stop(&fx.tpm);
    CK_RV rv = CKR_DEVICE_ERROR;
    for (int i = 0; i < 1000 && rv == CKR_DEVICE_ERROR; i++)
        rv = p11->C_GenerateRandom(fx.session, &byte, 1);
    swtpm_restart(&fx.tpm);
    assert_rv(CKR_DEVICE_ERROR, rv);
    assert_ok(p11->C_Finalize(NULL));
    assert_in_range(count_lines(path), 2, 50); /* a few a minute */
    assert_int_equal(unlink(path), 0);
    assert_ok(p11->C_Initialize(NULL));
}

/* After TPM2_Clear: the login is a device error, and once it is known the token is not recognized.
 * The last test: the token is lost. */
static void cleared(void **state)
{
    CK_TOKEN_INFO info;
    CK_SESSION_HANDLE session;
    test_public(state);
    swtpm_clear(&fx.tpm);
    assert_rv(CKR_DEVICE_ERROR, login(fx.session, CKU_USER, USER_PIN));
    assert_rv(CKR_TOKEN_NOT_RECOGNIZED, p11->C_GetTokenInfo(fx.slot, &info));
    assert_rv(CKR_TOKEN_NOT_RECOGNIZED,
              p11->C_OpenSession(fx.slot, CKF_SERIAL_SESSION, NULL, NULL, &session));
    assert_int_equal(swtpm_lockout_counter(&fx.tpm), 0);
}

#define FAULT_TEST(f) cmocka_unit_test_teardown(f, test_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FAULT_TEST(absent),
        FAULT_TEST(vanishes_and_comes_back),
        FAULT_TEST(resets),
        FAULT_TEST(retry_codes),
        FAULT_TEST(lost_objects_and_sessions),
        FAULT_TEST(device_errors),
        FAULT_TEST(broken_wire),
        FAULT_TEST(faults_at_login),
        FAULT_TEST(slow),
        FAULT_TEST(many_failures_give_few_lines),
        FAULT_TEST(cleared),
    };
    return cmocka_run_group_tests(tests, group_faults, group_end);
}
