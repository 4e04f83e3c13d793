/* The signature first, then the data: PKCS#11 3.2 section 5.15.8 and after, C_VerifySignatureInit,
 * C_VerifySignature, C_VerifySignatureUpdate, C_VerifySignatureFinal; C_GetSessionValidationFlags.
 */
#include "secret_keys.h"

static CK_BYTE message[3000];

static CK_RV init(CK_MECHANISM *m, CK_OBJECT_HANDLE key, struct blob signature)
{
    return p11_32->C_VerifySignatureInit(fx.session, m, key, signature.p, signature.n);
}

static CK_RV whole(CK_MECHANISM *m, CK_OBJECT_HANDLE key, CK_ULONG n, struct blob signature)
{
    CK_RV rv = init(m, key, signature);
    return rv == CKR_OK ? p11_32->C_VerifySignature(fx.session, message, n) : rv;
}

static CK_RV in_parts(CK_MECHANISM *m, CK_OBJECT_HANDLE key, CK_ULONG n, struct blob signature)
{
    uint32_t seed = (uint32_t)n + 1;
    CK_RV rv = init(m, key, signature);
    if (rv != CKR_OK)
        return rv;
    for (CK_ULONG at = 0, some; at < n; at += some) {
        some = next_part(&seed, n - at);
        assert_ok(p11_32->C_VerifySignatureUpdate(fx.session, message + at, some));
    }
    return p11_32->C_VerifySignatureFinal(fx.session);
}

static void assert_over(void)
{
    assert_rv(CKR_OPERATION_NOT_INITIALIZED, p11_32->C_VerifySignature(fx.session, message, 1));
    assert_rv(CKR_OPERATION_NOT_INITIALIZED,
              p11_32->C_VerifySignatureUpdate(fx.session, message, 1));
    assert_rv(CKR_OPERATION_NOT_INITIALIZED, p11_32->C_VerifySignatureFinal(fx.session));
}

static void refused(CK_RV rv, CK_MECHANISM *m, CK_OBJECT_HANDLE key, CK_ULONG n,
                    struct blob signature)
{
    assert_rv(rv, whole(m, key, n, signature));
    assert_over();
    assert_rv(rv, in_parts(m, key, n, signature));
    assert_over();
}

static void verifies(CK_MECHANISM *m, struct key_pair key)
{
    static const CK_ULONG lengths[] = {0, 1, 32, 1000, sizeof message};
    for (size_t i = 0; i < COUNT(lengths); i++) {
        CK_ULONG n = m->mechanism == CKM_ECDSA || m->mechanism == CKM_RSA_PKCS ? 32 : lengths[i];
        struct blob signature = sign(fx.session, m, key.private, message, n);
        refused(CKR_OK, m, key.public, n, signature);
        message[0] ^= 1;
        refused(n == 0 ? CKR_OK : CKR_SIGNATURE_INVALID, m, key.public, n, signature);
        message[0] ^= 1;
        signature.p[signature.n / 2] ^= 1;
        refused(CKR_SIGNATURE_INVALID, m, key.public, n, signature);
        signature.p[signature.n / 2] ^= 1;
        signature.n--;
        refused(CKR_SIGNATURE_LEN_RANGE, m, key.public, n, signature);
    }
}

/* "Any mechanism that supports C_VerifyInit must also support C_VerifySignatureInit." */
static void with_pairs(void **state)
{
    (void)state;
    CK_RSA_PKCS_PSS_PARAMS pss = {CKM_SHA256, CKG_MGF1_SHA256, 32};
    struct key_pair ec = generate_ec(fx.session, NID_X9_62_prime256v1, "ec", false);
    struct key_pair rsa = generate_rsa(fx.session, 2048, "rsa", false);
    verifies(MECHANISM(CKM_ECDSA_SHA256), ec);
    verifies(MECHANISM(CKM_ECDSA), ec);
    verifies(MECHANISM(CKM_SHA256_RSA_PKCS), rsa);
    verifies(MECHANISM(CKM_RSA_PKCS), rsa);
    verifies(MECHANISM_WITH(CKM_SHA256_RSA_PKCS_PSS, pss), rsa);
}

static void with_secret_keys(void **state)
{
    (void)state;
    for (enum place place = 0; place < PLACES; place++) {
        CK_BYTE iv[12] = {0};
        CK_ULONG n = 7;
        CK_OBJECT_HANDLE aes = import_key(fx.session, place, CKK_AES, message, 16);
        CK_OBJECT_HANDLE hmac = import_key(fx.session, place, CKK_GENERIC_SECRET, message, 16);
        verifies(MECHANISM(CKM_AES_CMAC), (struct key_pair){aes, aes});
        verifies(MECHANISM_WITH(CKM_AES_GMAC, iv), (struct key_pair){aes, aes});
        verifies(MECHANISM(CKM_SHA256_HMAC), (struct key_pair){hmac, hmac});
        verifies(MECHANISM_WITH(CKM_SHA_1_HMAC_GENERAL, n), (struct key_pair){hmac, hmac});
    }
}

/* The caller's memory is its own again after Init. */
static void signature_is_copied(void **state)
{
    (void)state;
    CK_MECHANISM *m = MECHANISM(CKM_AES_CMAC);
    CK_OBJECT_HANDLE key = import_key(fx.session, IN_TPM, CKK_AES, message, 16);
    struct blob mac = sign(fx.session, m, key, message, 100);
    assert_ok(init(m, key, mac));
    assert_ok(p11_32->C_VerifySignatureInit(fx.session, NULL, 0, NULL, 0)); /* and begun anew */
    assert_over();
    assert_ok(p11_32->C_VerifySignatureInit(fx.session, m, key, mac.p, mac.n));
    memset(mac.p, 0, mac.n);
    assert_ok(p11_32->C_VerifySignature(fx.session, message, 100));
}

static void states(void **state)
{
    (void)state;
    CK_MECHANISM *m = MECHANISM(CKM_AES_CMAC);
    CK_OBJECT_HANDLE key = import_key(fx.session, IN_TPM, CKK_AES, message, 16);
    struct blob mac = sign(fx.session, m, key, message, 100);
    assert_over();
    assert_ok(init(m, key, mac));
    assert_rv(CKR_OPERATION_ACTIVE, init(m, key, mac));
    assert_ok(p11_32->C_VerifySignatureUpdate(fx.session, message, 50));
    /* 5.15.9: not to end an operation in parts */
    assert_rv(CKR_OPERATION_ACTIVE, p11_32->C_VerifySignature(fx.session, message + 50, 50));
    assert_over();
    assert_ok(init(m, key, mac));
    assert_rv(CKR_ARGUMENTS_BAD, p11_32->C_VerifySignatureUpdate(fx.session, NULL, 5));
    assert_over();
    assert_ok(init(m, key, mac));
    assert_ok(p11_3->C_SessionCancel(fx.session, CKF_VERIFY));
    assert_over();
    assert_ok(init(m, key, mac));
    assert_ok(p11->C_DestroyObject(fx.session, key));
    assert_rv(CKR_KEY_HANDLE_INVALID, p11_32->C_VerifySignature(fx.session, message, 100));
    assert_over();
}

static void init_refusals(void **state)
{
    (void)state;
    CK_MECHANISM *m = MECHANISM(CKM_AES_CMAC);
    struct blob mac = {.n = 16};
    CK_BYTE parameter[3] = {0};
    const CK_ATTRIBUTE signs[] = {ATTR_BOOL(CKA_SIGN, true), ATTR_BOOL(CKA_VERIFY, false)};
    CK_OBJECT_HANDLE key = import_key(fx.session, IN_SESSION, CKK_AES, message, 16), other = 0;
    assert_ok(create_key(fx.session, CKK_AES, message, 16, signs, 2, &other));
    assert_rv(CKR_KEY_FUNCTION_NOT_PERMITTED, init(m, other, mac));
    assert_rv(CKR_KEY_HANDLE_INVALID, init(m, 0, mac));
    assert_rv(CKR_KEY_TYPE_INCONSISTENT, init(MECHANISM(CKM_ECDSA), key, mac));
    assert_rv(CKR_MECHANISM_INVALID, init(MECHANISM(CKM_AES_CBC), key, mac));
    assert_rv(CKR_MECHANISM_PARAM_INVALID, init(MECHANISM_WITH(CKM_AES_CMAC, parameter), key, mac));
    assert_rv(CKR_ARGUMENTS_BAD, p11_32->C_VerifySignatureInit(fx.session, m, key, NULL, 16));
    assert_rv(CKR_SESSION_HANDLE_INVALID, p11_32->C_VerifySignatureInit(0, m, key, mac.p, mac.n));
    assert_over();
}

/* 3.2, 5.6.12: nobody has validated this module, so no flag is set. */
static void validation_flags(void **state)
{
    (void)state;
    CK_FLAGS flags = 7;
    assert_ok(p11_32->C_GetSessionValidationFlags(fx.session, CKS_LAST_VALIDATION_OK, &flags));
    assert_int_equal(flags, 0);
    assert_rv(CKR_ARGUMENTS_BAD,
              p11_32->C_GetSessionValidationFlags(fx.session, CKS_LAST_VALIDATION_OK, NULL));
    assert_rv(CKR_ARGUMENTS_BAD, p11_32->C_GetSessionValidationFlags(fx.session, 99, &flags));
    assert_rv(CKR_SESSION_HANDLE_INVALID,
              p11_32->C_GetSessionValidationFlags(0, CKS_LAST_VALIDATION_OK, &flags));
}

static int group_message(void **state)
{
    fill(message, sizeof message, 12);
    return group_token(state);
}

#define USER_TEST(f) cmocka_unit_test_setup_teardown(f, test_user, test_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        USER_TEST(with_pairs), USER_TEST(with_secret_keys), USER_TEST(signature_is_copied),
        USER_TEST(states),     USER_TEST(init_refusals),    USER_TEST(validation_flags),
    };
    return cmocka_run_group_tests(tests, group_message, group_end);
}
