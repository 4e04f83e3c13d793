/* C_SignRecover, C_VerifyRecover: PKCS#11 3.0 sections 5.13.5, 5.15.5; the RSA mechanisms that have
 * it: PKCS #1 v1.5 and X.509. */
#include "keys.h"

static struct blob sign_recover(CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, const void *p,
                                CK_ULONG n)
{
    struct blob signature = {.n = sizeof signature.p};
    assert_ok(p11->C_SignRecoverInit(fx.session, mechanism, key));
    assert_ok(p11->C_SignRecover(fx.session, (CK_BYTE_PTR)p, n, signature.p, &signature.n));
    return signature;
}

static CK_RV verify_recover(CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, struct blob signature,
                            struct blob *ret)
{
    ret->n = sizeof ret->p;
    assert_ok(p11->C_VerifyRecoverInit(fx.session, mechanism, key));
    return p11->C_VerifyRecover(fx.session, signature.p, signature.n, ret->p, &ret->n);
}

static void pkcs1(void **state)
{
    (void)state;
    static const char said[] = "recovered";
    struct key_pair keys = keys_of(fx.session, "rsa2048");
    struct blob signature = sign_recover(MECHANISM(CKM_RSA_PKCS), keys.private, said, sizeof said);
    struct blob data;
    assert_ok(verify_recover(MECHANISM(CKM_RSA_PKCS), keys.public, signature, &data));
    assert_blob(data, said, sizeof said);
    /* the same signature that C_Sign makes */
    struct blob same = sign(fx.session, MECHANISM(CKM_RSA_PKCS), keys.private, said, sizeof said);
    assert_blob(same, signature.p, signature.n);
    signature.p[100] ^= 1;
    assert_rv(CKR_SIGNATURE_INVALID,
              verify_recover(MECHANISM(CKM_RSA_PKCS), keys.public, signature, &data));
    signature.n--;
    assert_rv(CKR_SIGNATURE_LEN_RANGE,
              verify_recover(MECHANISM(CKM_RSA_PKCS), keys.public, signature, &data));
    /* nothing at all can be signed, too */
    signature = sign_recover(MECHANISM(CKM_RSA_PKCS), keys.private, said, 0);
    assert_ok(verify_recover(MECHANISM(CKM_RSA_PKCS), keys.public, signature, &data));
    assert_int_equal(data.n, 0);
}

static void raw(void **state)
{
    (void)state;
    CK_BYTE block[256] = {0, 2, 3};
    struct key_pair keys = keys_of(fx.session, "rsa2048");
    struct blob signature =
        sign_recover(MECHANISM(CKM_RSA_X_509), keys.private, block, sizeof block);
    struct blob data;
    assert_ok(verify_recover(MECHANISM(CKM_RSA_X_509), keys.public, signature, &data));
    assert_blob(data, block, sizeof block);
    /* what is no PKCS #1 block is not recovered as one */
    assert_rv(CKR_SIGNATURE_INVALID,
              verify_recover(MECHANISM(CKM_RSA_PKCS), keys.public, signature, &data));
}

static void lengths(void **state)
{
    (void)state;
    struct key_pair keys = keys_of(fx.session, "rsa2048");
    CK_BYTE out[256], said[20] = "twenty bytes of data";
    CK_ULONG n = 0;
    assert_ok(p11->C_SignRecoverInit(fx.session, MECHANISM(CKM_RSA_PKCS), keys.private));
    assert_rv(CKR_OPERATION_ACTIVE,
              p11->C_SignRecoverInit(fx.session, MECHANISM(CKM_RSA_PKCS), keys.private));
    assert_ok(p11->C_SignRecover(fx.session, said, sizeof said, NULL, &n));
    assert_int_equal(n, 256);
    n--;
    assert_rv(CKR_BUFFER_TOO_SMALL, p11->C_SignRecover(fx.session, said, sizeof said, out, &n));
    assert_ok(p11->C_SignRecover(fx.session, said, sizeof said, out, &n));
    struct blob signature = {.n = n};
    memcpy(signature.p, out, n);
    assert_ok(p11->C_VerifyRecoverInit(fx.session, MECHANISM(CKM_RSA_PKCS), keys.public));
    n = sizeof said - 1;
    assert_rv(CKR_BUFFER_TOO_SMALL,
              p11->C_VerifyRecover(fx.session, signature.p, signature.n, out, &n));
    assert_int_equal(n, sizeof said);
    assert_ok(p11->C_VerifyRecover(fx.session, signature.p, signature.n, out, &n));
    assert_memory_equal(out, said, sizeof said);
    assert_rv(CKR_OPERATION_NOT_INITIALIZED,
              p11->C_VerifyRecover(fx.session, signature.p, signature.n, out, &n));
}

static void refused(void **state)
{
    (void)state;
    struct key_pair rsa = keys_of(fx.session, "rsa2048"), ec = keys_of(fx.session, "p256");
    CK_ATTRIBUTE off = ATTR_BOOL(CKA_SIGN_RECOVER, false), on = ATTR_BOOL(CKA_SIGN_RECOVER, true);
    assert_rv(CKR_MECHANISM_INVALID,
              p11->C_SignRecoverInit(fx.session, MECHANISM(CKM_ECDSA), ec.private));
    assert_rv(CKR_MECHANISM_INVALID,
              p11->C_SignRecoverInit(fx.session, MECHANISM(CKM_SHA256_RSA_PKCS), rsa.private));
    assert_rv(CKR_KEY_FUNCTION_NOT_PERMITTED,
              p11->C_SignRecoverInit(fx.session, MECHANISM(CKM_RSA_PKCS), rsa.public));
    assert_ok(p11->C_SetAttributeValue(fx.session, rsa.private, &off, 1));
    assert_rv(CKR_KEY_FUNCTION_NOT_PERMITTED,
              p11->C_SignRecoverInit(fx.session, MECHANISM(CKM_RSA_PKCS), rsa.private));
    assert_ok(p11->C_SetAttributeValue(fx.session, rsa.private, &on, 1));
}

#define RECOVER_TEST(f) cmocka_unit_test_setup_teardown(f, test_user, test_end)

int main(void)
{
    const struct CMUnitTest tests[] = {RECOVER_TEST(pkcs1), RECOVER_TEST(raw),
                                       RECOVER_TEST(lengths), RECOVER_TEST(refused)};
    return cmocka_run_group_tests(tests, group_keys, group_end);
}
