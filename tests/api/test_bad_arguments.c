/* What a broken caller does: handles that name nothing, NULL pointers, lengths that cannot be.
 * Every function refuses; none crashes. PKCS#11 3.0 section 5.1. */
#include "keys.h"

#define NOWHERE 0xDEADBEEFUL

static CK_BYTE buffer[64];
static CK_ULONG size;
static CK_OBJECT_HANDLE object;

struct answer {
    const char *name;
    CK_RV rv;
};

static void all_answer(CK_RV expected, const struct answer *rows, size_t n)
{
    for (size_t i = 0; i < n; i++)
        check_rv(expected, rows[i].rv, rows[i].name, __FILE__, __LINE__);
}

static void sessions_that_are_not(void **state)
{
    (void)state;
    CK_ATTRIBUTE attribute = ATTR_BOOL(CKA_TOKEN, false);
    CK_MECHANISM *ecdsa = MECHANISM(CKM_ECDSA), *sha = MECHANISM(CKM_SHA256);
    static const CK_SESSION_HANDLE handles[] = {CK_INVALID_HANDLE, NOWHERE, (CK_ULONG)-1};
    for (size_t h = 0; h < COUNT(handles); h++) {
        CK_SESSION_HANDLE s = handles[h];
        size = sizeof buffer;
        const struct answer rows[] = {
            {"C_CloseSession", p11->C_CloseSession(s)},
            {"C_GetSessionInfo", p11->C_GetSessionInfo(s, &(CK_SESSION_INFO){0})},
            {"C_Login", p11->C_Login(s, CKU_USER, PIN(USER_PIN))},
            {"C_Logout", p11->C_Logout(s)},
            {"C_InitPIN", p11->C_InitPIN(s, PIN(USER_PIN))},
            {"C_SetPIN", p11->C_SetPIN(s, PIN(USER_PIN), PIN("new pin"))},
            {"C_CreateObject", p11->C_CreateObject(s, &attribute, 1, &object)},
            {"C_DestroyObject", p11->C_DestroyObject(s, 1)},
            {"C_GetAttributeValue", p11->C_GetAttributeValue(s, 1, &attribute, 1)},
            {"C_SetAttributeValue", p11->C_SetAttributeValue(s, 1, &attribute, 1)},
            {"C_FindObjectsInit", p11->C_FindObjectsInit(s, NULL, 0)},
            {"C_FindObjects", p11->C_FindObjects(s, &object, 1, &size)},
            {"C_FindObjectsFinal", p11->C_FindObjectsFinal(s)},
            {"C_EncryptInit", p11->C_EncryptInit(s, ecdsa, 1)},
            {"C_Encrypt", p11->C_Encrypt(s, buffer, 1, buffer, &size)},
            {"C_EncryptUpdate", p11->C_EncryptUpdate(s, buffer, 1, buffer, &size)},
            {"C_EncryptFinal", p11->C_EncryptFinal(s, buffer, &size)},
            {"C_DecryptInit", p11->C_DecryptInit(s, ecdsa, 1)},
            {"C_Decrypt", p11->C_Decrypt(s, buffer, 1, buffer, &size)},
            {"C_DecryptUpdate", p11->C_DecryptUpdate(s, buffer, 1, buffer, &size)},
            {"C_DecryptFinal", p11->C_DecryptFinal(s, buffer, &size)},
            {"C_DigestInit", p11->C_DigestInit(s, sha)},
            {"C_Digest", p11->C_Digest(s, buffer, 1, buffer, &size)},
            {"C_DigestUpdate", p11->C_DigestUpdate(s, buffer, 1)},
            {"C_DigestFinal", p11->C_DigestFinal(s, buffer, &size)},
            {"C_SignInit", p11->C_SignInit(s, ecdsa, 1)},
            {"C_Sign", p11->C_Sign(s, buffer, 1, buffer, &size)},
            {"C_SignUpdate", p11->C_SignUpdate(s, buffer, 1)},
            {"C_SignFinal", p11->C_SignFinal(s, buffer, &size)},
            {"C_VerifyInit", p11->C_VerifyInit(s, ecdsa, 1)},
            {"C_Verify", p11->C_Verify(s, buffer, 1, buffer, 1)},
            {"C_VerifyUpdate", p11->C_VerifyUpdate(s, buffer, 1)},
            {"C_VerifyFinal", p11->C_VerifyFinal(s, buffer, 1)},
            {"C_GenerateKeyPair", p11->C_GenerateKeyPair(s, MECHANISM(CKM_EC_KEY_PAIR_GEN), NULL, 0,
                                                         NULL, 0, &object, &object)},
            {"C_DeriveKey", p11->C_DeriveKey(s, ecdsa, 1, NULL, 0, &object)},
            {"C_SeedRandom", p11->C_SeedRandom(s, buffer, 1)},
            {"C_GenerateRandom", p11->C_GenerateRandom(s, buffer, 1)},
            {"C_SessionCancel", p11_3->C_SessionCancel(s, CKF_SIGN)},
            {"C_LoginUser", p11_3->C_LoginUser(s, CKU_USER, PIN(USER_PIN), NULL, 0)},
        };
        all_answer(CKR_SESSION_HANDLE_INVALID, rows, COUNT(rows));
    }
}

static void null_pointers(void **state)
{
    (void)state;
    CK_SESSION_HANDLE s = fx.session;
    struct key_pair keys = keys_of(s, "p256");
    CK_MECHANISM *generate = MECHANISM(CKM_EC_KEY_PAIR_GEN);
    size = sizeof buffer;
    const struct answer rows[] = {
        {"C_GetInfo", p11->C_GetInfo(NULL)},
        {"C_GetSlotList", p11->C_GetSlotList(CK_TRUE, NULL, NULL)},
        {"C_GetSlotInfo", p11->C_GetSlotInfo(fx.slot, NULL)},
        {"C_GetTokenInfo", p11->C_GetTokenInfo(fx.slot, NULL)},
        {"C_GetMechanismList", p11->C_GetMechanismList(fx.slot, NULL, NULL)},
        {"C_GetMechanismInfo", p11->C_GetMechanismInfo(fx.slot, CKM_ECDSA, NULL)},
        {"C_OpenSession", p11->C_OpenSession(fx.slot, CKF_SERIAL_SESSION, NULL, NULL, NULL)},
        {"C_GetSessionInfo", p11->C_GetSessionInfo(s, NULL)},
        {"C_SetPIN old", p11->C_SetPIN(s, NULL, 4, PIN("new pin"))},
        {"C_SetPIN new", p11->C_SetPIN(s, PIN(USER_PIN), NULL, 4)},
        {"C_CreateObject", p11->C_CreateObject(s, NULL, 3, &object)},
        {"C_GetAttributeValue", p11->C_GetAttributeValue(s, keys.public, NULL, 3)},
        {"C_SetAttributeValue", p11->C_SetAttributeValue(s, keys.public, NULL, 3)},
        {"C_FindObjectsInit", p11->C_FindObjectsInit(s, NULL, 3)},
        {"C_GenerateKeyPair mechanism",
         p11->C_GenerateKeyPair(s, NULL, NULL, 0, NULL, 0, &object, &object)},
        {"C_GenerateKeyPair template",
         p11->C_GenerateKeyPair(s, generate, NULL, 3, NULL, 0, &object, &object)},
        {"C_GenerateKeyPair template",
         p11->C_GenerateKeyPair(s, generate, NULL, 0, NULL, 3, &object, &object)},
        {"C_GenerateKeyPair public",
         p11->C_GenerateKeyPair(s, generate, NULL, 0, NULL, 0, NULL, &object)},
        {"C_GenerateKeyPair private",
         p11->C_GenerateKeyPair(s, generate, NULL, 0, NULL, 0, &object, NULL)},
        {"C_DeriveKey", p11->C_DeriveKey(s, NULL, keys.private, NULL, 0, &object)},
        {"C_GenerateRandom", p11->C_GenerateRandom(s, NULL, 8)},
    };
    all_answer(CKR_ARGUMENTS_BAD, rows, COUNT(rows));
}

/* Data without a pointer, an output without a length. Each in a fresh operation: which of these
 * errors ends it is not at issue here. */
static void null_data(void **state)
{
    (void)state;
    CK_SESSION_HANDLE s = fx.session;
    struct key_pair ec = keys_of(s, "p256"), rsa = keys_of(s, "rsa2048");
    CK_MECHANISM *sha = MECHANISM(CKM_SHA256), *ecdsa = MECHANISM(CKM_ECDSA_SHA256);
    CK_MECHANISM *pkcs = MECHANISM(CKM_RSA_PKCS);
    const CK_FLAGS all = CKF_SIGN | CKF_VERIFY | CKF_ENCRYPT | CKF_DECRYPT | CKF_DIGEST;
#define REFUSED(init, call)                                                                        \
    do {                                                                                           \
        size = sizeof buffer;                                                                      \
        assert_ok(init);                                                                           \
        assert_rv(CKR_ARGUMENTS_BAD, call);                                                        \
        assert_ok(p11_3->C_SessionCancel(s, all));                                                 \
    } while (0)
    REFUSED(p11->C_DigestInit(s, sha), p11->C_Digest(s, NULL, 1, buffer, &size));
    REFUSED(p11->C_DigestInit(s, sha), p11->C_Digest(s, buffer, 1, buffer, NULL));
    REFUSED(p11->C_DigestInit(s, sha), p11->C_DigestUpdate(s, NULL, 1));
    REFUSED(p11->C_DigestInit(s, sha), p11->C_DigestFinal(s, buffer, NULL));
    REFUSED(p11->C_SignInit(s, ecdsa, ec.private), p11->C_Sign(s, NULL, 1, buffer, &size));
    REFUSED(p11->C_SignInit(s, ecdsa, ec.private), p11->C_Sign(s, buffer, 1, buffer, NULL));
    REFUSED(p11->C_SignInit(s, ecdsa, ec.private), p11->C_SignUpdate(s, NULL, 1));
    REFUSED(p11->C_SignInit(s, ecdsa, ec.private), p11->C_SignFinal(s, buffer, NULL));
    REFUSED(p11->C_VerifyInit(s, ecdsa, ec.public), p11->C_Verify(s, NULL, 1, buffer, 64));
    REFUSED(p11->C_VerifyInit(s, ecdsa, ec.public), p11->C_Verify(s, buffer, 1, NULL, 64));
    REFUSED(p11->C_VerifyInit(s, ecdsa, ec.public), p11->C_VerifyUpdate(s, NULL, 1));
    REFUSED(p11->C_VerifyInit(s, ecdsa, ec.public), p11->C_VerifyFinal(s, NULL, 64));
    REFUSED(p11->C_EncryptInit(s, pkcs, rsa.public), p11->C_Encrypt(s, NULL, 1, buffer, &size));
    REFUSED(p11->C_EncryptInit(s, pkcs, rsa.public), p11->C_Encrypt(s, buffer, 1, buffer, NULL));
    REFUSED(p11->C_DecryptInit(s, pkcs, rsa.private), p11->C_Decrypt(s, NULL, 256, buffer, &size));
    REFUSED(p11->C_DecryptInit(s, pkcs, rsa.private), p11->C_Decrypt(s, buffer, 64, buffer, NULL));
#undef REFUSED
}

static void objects_that_are_not(void **state)
{
    (void)state;
    CK_SESSION_HANDLE s = fx.session;
    CK_MECHANISM *ecdsa = MECHANISM(CKM_ECDSA), *pkcs = MECHANISM(CKM_RSA_PKCS);
    CK_ATTRIBUTE attribute = ATTR_STR(CKA_LABEL, "x");
    CK_ECDH1_DERIVE_PARAMS ecdh = {CKD_NULL, 0, NULL, sizeof buffer, buffer};
    static const CK_OBJECT_HANDLE handles[] = {CK_INVALID_HANDLE, NOWHERE, (CK_ULONG)-1};
    for (size_t h = 0; h < COUNT(handles); h++) {
        CK_OBJECT_HANDLE o = handles[h];
        const struct answer keys[] = {
            {"C_SignInit", p11->C_SignInit(s, ecdsa, o)},
            {"C_VerifyInit", p11->C_VerifyInit(s, ecdsa, o)},
            {"C_EncryptInit", p11->C_EncryptInit(s, pkcs, o)},
            {"C_DecryptInit", p11->C_DecryptInit(s, pkcs, o)},
            {"C_DeriveKey",
             p11->C_DeriveKey(s, MECHANISM_WITH(CKM_ECDH1_DERIVE, ecdh), o, NULL, 0, &object)},
        };
        const struct answer objects[] = {
            {"C_DestroyObject", p11->C_DestroyObject(s, o)},
            {"C_GetAttributeValue", p11->C_GetAttributeValue(s, o, &attribute, 1)},
            {"C_SetAttributeValue", p11->C_SetAttributeValue(s, o, &attribute, 1)},
        };
        all_answer(CKR_KEY_HANDLE_INVALID, keys, COUNT(keys));
        all_answer(CKR_OBJECT_HANDLE_INVALID, objects, COUNT(objects));
    }
}

/* An object that is no key, where a key is wanted. */
static void no_key_at_all(void **state)
{
    (void)state;
    CK_ATTRIBUTE data[] = {ATTR_ULONG(CKA_CLASS, CKO_DATA)};
    assert_ok(p11->C_CreateObject(fx.session, data, 1, &object));
    CK_RV rv = p11->C_SignInit(fx.session, MECHANISM(CKM_ECDSA), object);
    assert_true(rv == CKR_KEY_HANDLE_INVALID || rv == CKR_KEY_TYPE_INCONSISTENT ||
                rv == CKR_KEY_FUNCTION_NOT_PERMITTED);
}

/* A NULL parameter with a length, a parameter where none belongs, one of the wrong size. */
static void mechanism_parameters(void **state)
{
    (void)state;
    CK_SESSION_HANDLE s = fx.session;
    struct key_pair ec = keys_of(s, "p256"), rsa = keys_of(s, "rsa2048");
    CK_RSA_PKCS_PSS_PARAMS pss = {CKM_SHA256, CKG_MGF1_SHA256, 32};
    CK_MECHANISM missing[] = {{CKM_RSA_PKCS_PSS, NULL, sizeof pss},
                              {CKM_RSA_PKCS_PSS, &pss, sizeof pss + 1},
                              {CKM_RSA_PKCS_PSS, &pss, 1},
                              {CKM_RSA_PKCS, &pss, sizeof pss},
                              {CKM_SHA256_RSA_PKCS, &pss, 1}};
    for (size_t i = 0; i < COUNT(missing); i++)
        assert_rv_either(CKR_MECHANISM_PARAM_INVALID, CKR_ARGUMENTS_BAD,
                         p11->C_SignInit(s, &missing[i], rsa.private));
    CK_MECHANISM generate = {CKM_EC_KEY_PAIR_GEN, &pss, sizeof pss};
    struct blob curve = ec_params(NID_X9_62_prime256v1);
    CK_ATTRIBUTE public[] = {ATTR_MEM(CKA_EC_PARAMS, curve.p, curve.n)};
    assert_rv(CKR_MECHANISM_PARAM_INVALID,
              p11->C_GenerateKeyPair(s, &generate, public, 1, NULL, 0, &object, &object));
    CK_ECDH1_DERIVE_PARAMS ecdh = {CKD_NULL, 0, NULL, (CK_ULONG)-1, NULL};
    assert_rv(
        CKR_MECHANISM_PARAM_INVALID,
        p11->C_DeriveKey(s, MECHANISM_WITH(CKM_ECDH1_DERIVE, ecdh), ec.private, NULL, 0, &object));
}

/* A length with no parameter behind it is the parameter's fault, whichever function is called. */
static void parameter_that_is_not_there(void **state)
{
    (void)state;
    CK_SESSION_HANDLE s = fx.session;
    struct key_pair ec = keys_of(s, "p256"), rsa = keys_of(s, "rsa2048");
    CK_MECHANISM generate = {CKM_AES_KEY_GEN, NULL, 16}, pair = {CKM_EC_KEY_PAIR_GEN, NULL, 16},
                 oaep = {CKM_RSA_PKCS_OAEP, NULL, sizeof(CK_RSA_PKCS_OAEP_PARAMS)},
                 ecdh = {CKM_ECDH1_DERIVE, NULL, sizeof(CK_ECDH1_DERIVE_PARAMS)};
    CK_ULONG n = sizeof buffer;
    assert_rv(CKR_MECHANISM_PARAM_INVALID, p11->C_EncryptInit(s, &oaep, rsa.public));
    assert_rv(CKR_MECHANISM_PARAM_INVALID, p11->C_GenerateKey(s, &generate, NULL, 0, &object));
    assert_rv(CKR_MECHANISM_PARAM_INVALID,
              p11->C_GenerateKeyPair(s, &pair, NULL, 0, NULL, 0, &object, &object));
    assert_rv(CKR_MECHANISM_PARAM_INVALID,
              p11->C_WrapKey(s, &oaep, rsa.public, ec.private, buffer, &n));
    assert_rv(CKR_MECHANISM_PARAM_INVALID,
              p11->C_UnwrapKey(s, &oaep, rsa.private, buffer, 256, NULL, 0, &object));
    assert_rv(CKR_MECHANISM_PARAM_INVALID,
              p11->C_DeriveKey(s, &ecdh, ec.private, NULL, 0, &object));
}

static void template_lengths(void **state)
{
    (void)state;
    CK_ULONG value = CKO_DATA;
    CK_ATTRIBUTE rows[] = {
        {CKA_CLASS, &value, 0},
        {CKA_CLASS, &value, 3},
        {CKA_CLASS, NULL, sizeof value},
        {CKA_CLASS, &value, (CK_ULONG)-1},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_rv_either(CKR_ATTRIBUTE_VALUE_INVALID, CKR_ARGUMENTS_BAD,
                         p11->C_CreateObject(fx.session, &rows[i], 1, &object));
}

/* A length near the top of its type must not wrap around anywhere inside. */
static void sums_that_overflow(void **state)
{
    (void)state;
    CK_ATTRIBUTE huge[] = {ATTR_ULONG(CKA_CLASS, CKO_DATA), {CKA_VALUE, buffer, (CK_ULONG)-2}};
    CK_RV rv = p11->C_CreateObject(fx.session, huge, 2, &object);
    assert_true(rv == CKR_ATTRIBUTE_VALUE_INVALID || rv == CKR_HOST_MEMORY ||
                rv == CKR_ARGUMENTS_BAD);
    assert_rv_either(CKR_PIN_LEN_RANGE, CKR_PIN_INCORRECT,
                     p11->C_SetPIN(fx.session, buffer, (CK_ULONG)-1, buffer, (CK_ULONG)-1));
}

#define USER_TEST(f) cmocka_unit_test_setup_teardown(f, test_user, test_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        USER_TEST(sessions_that_are_not),
        USER_TEST(null_pointers),
        USER_TEST(null_data),
        USER_TEST(objects_that_are_not),
        USER_TEST(no_key_at_all),
        USER_TEST(mechanism_parameters),
        USER_TEST(parameter_that_is_not_there),
        USER_TEST(template_lengths),
        USER_TEST(sums_that_overflow),
    };
    return cmocka_run_group_tests(tests, group_keys, group_end);
}
