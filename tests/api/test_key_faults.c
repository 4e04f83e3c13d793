/* The TPM fails while keys are made, brought in, unwrapped, derived and copied: no object is there
 * afterwards, not one of several (PKCS#11 3.2 sections 5.7.1, 5.7.2, 5.18), and the next try works.
 */
#include "derive.h"

#define TPM_CC_OBJECT_CHANGE_AUTH 0x150
#define TPM_CC_CREATE             0x153
#define TPM_CC_IMPORT             0x156
#define TPM_CC_RANDOM             0x17B

#define TPM_RC_FAILURE 0x101

static CK_OBJECT_HANDLE made[3]; /* by the last step */

/* ---- steps -------------------------------------------------------------------------------------
 */

static CK_RV generate_aes(void)
{
    CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_VALUE_LEN, 32), ATTR_BOOL(CKA_TOKEN, true)};
    return p11->C_GenerateKey(fx.session, MECHANISM(CKM_AES_KEY_GEN), template, 2, made);
}

/* Sealed: the TPM gives the random bytes only. */
static CK_RV generate_sealed(void)
{
    CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_VALUE_LEN, 32), ATTR_BOOL(CKA_TOKEN, true),
                               ATTR_BOOL(CKA_EXTRACTABLE, true)};
    return p11->C_GenerateKey(fx.session, MECHANISM(CKM_AES_KEY_GEN), template, 3, made);
}

static CK_RV generate_pair(void)
{
    struct blob curve = ec_params(NID_X9_62_prime256v1);
    CK_ATTRIBUTE public[] = {ATTR_MEM(CKA_EC_PARAMS, curve.p, curve.n), ATTR_BOOL(CKA_TOKEN, true)};
    CK_ATTRIBUTE private[] = {ATTR_BOOL(CKA_TOKEN, true)};
    return p11->C_GenerateKeyPair(fx.session, MECHANISM(CKM_EC_KEY_PAIR_GEN), public, 2, private, 1,
                                  &made[0], &made[1]);
}

static CK_RV import(const char *kind)
{
    static struct parts parts;
    EVP_PKEY *key = kind ? make_key(kind) : NULL;
    if (key)
        private_parts(key, &parts);
    else
        secret_parts(CKK_AES, random_blob(32), &parts);
    EVP_PKEY_free(key);
    set_part(&parts, (CK_ATTRIBUTE)ATTR_BOOL(CKA_TOKEN, true));
    return create(&parts, made);
}

static CK_RV import_aes(void)
{
    return import(NULL);
}

static CK_RV import_rsa(void)
{
    return import("RSA-1024");
}

static CK_RV import_ec(void)
{
    return import("P-256");
}

static CK_OBJECT_HANDLE wrapping, base, foreign;
static struct blob wrapped_pair, wrapped_secret;

static CK_RV unwrap(struct blob wrapped, CK_OBJECT_CLASS class, CK_KEY_TYPE type)
{
    CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_CLASS, class), ATTR_ULONG(CKA_KEY_TYPE, type),
                               ATTR_BOOL(CKA_TOKEN, true)};
    return p11->C_UnwrapKey(fx.session, MECHANISM(CKM_AES_KEY_WRAP_KWP), wrapping, wrapped.p,
                            wrapped.n, template, 3, made);
}

static CK_RV unwrap_pair(void)
{
    return unwrap(wrapped_pair, CKO_PRIVATE_KEY, CKK_EC);
}

static CK_RV unwrap_secret(void)
{
    return unwrap(wrapped_secret, CKO_SECRET_KEY, CKK_AES);
}

/* Three keys at once, all into the TPM. */
static CK_RV derive_three(void)
{
    CK_ATTRIBUTE aes[] = {ATTR_ULONG(CKA_KEY_TYPE, CKK_AES), ATTR_ULONG(CKA_VALUE_LEN, 16),
                          ATTR_BOOL(CKA_TOKEN, true), ATTR_BOOL(CKA_EXTRACTABLE, false)};
    CK_SP800_108_COUNTER_FORMAT counter = {CK_FALSE, 32};
    CK_PRF_DATA_PARAM field = {CK_SP800_108_ITERATION_VARIABLE, &counter, sizeof counter};
    CK_DERIVED_KEY extra[] = {{aes, 4, &made[1]}, {aes, 4, &made[2]}};
    CK_SP800_108_KDF_PARAMS p = {CKM_SHA256_HMAC, 1, &field, 2, extra};
    return p11->C_DeriveKey(fx.session, MECHANISM_WITH(CKM_SP800_108_COUNTER_KDF, p), base, aes, 4,
                            made);
}

static CK_RV encapsulate(void)
{
    CK_ECDH1_DERIVE_PARAMS ecdh = {CKD_NULL, 0, NULL, 0, NULL};
    CK_ATTRIBUTE aes[] = {ATTR_ULONG(CKA_KEY_TYPE, CKK_AES), ATTR_ULONG(CKA_VALUE_LEN, 32),
                          ATTR_BOOL(CKA_TOKEN, true), ATTR_BOOL(CKA_EXTRACTABLE, false)};
    CK_BYTE ciphertext[65];
    CK_ULONG n = sizeof ciphertext;
    return p11_32->C_EncapsulateKey(fx.session, MECHANISM_WITH(CKM_ECDH1_DERIVE, ecdh), foreign,
                                    aes, 4, ciphertext, &n, made);
}

/* ---- a fault in each ---------------------------------------------------------------------------
 */

static const struct {
    CK_RV (*step)(void);
    uint32_t command;
    unsigned nth;
    size_t keys; /* objects that the step makes */
} rows[] = {
    {generate_aes, TPM_CC_CREATE, 1, 1},  {generate_sealed, TPM_CC_RANDOM, 1, 1},
    {generate_pair, TPM_CC_CREATE, 1, 2}, {import_aes, TPM_CC_CREATE, 1, 1},
    {import_rsa, TPM_CC_IMPORT, 1, 1},    {import_ec, TPM_CC_IMPORT, 1, 1},
    {unwrap_pair, TPM_CC_IMPORT, 1, 1},   {unwrap_secret, TPM_CC_CREATE, 1, 1},
    {derive_three, TPM_CC_CREATE, 1, 3},  {derive_three, TPM_CC_CREATE, 2, 3},
    {derive_three, TPM_CC_CREATE, 3, 3},  {encapsulate, TPM_CC_CREATE, 1, 1},
};

static int test_keys(void **state)
{
    static struct parts parts;
    test_user(state);
    struct blob aes = random_blob(32);
    EVP_PKEY *pair = make_key("P-256");
    wrapping = base_key(CKK_AES, aes, false, true, false);
    base = base_key(CKK_GENERIC_SECRET, random_blob(32), false, true, false);
    public_parts(pair, &parts);
    set_part(&parts, (CK_ATTRIBUTE)ATTR_BOOL(CKA_ENCAPSULATE, true));
    assert_ok(create(&parts, &foreign));
    private_parts(pair, &parts);
    set_part(&parts, (CK_ATTRIBUTE)ATTR_BOOL(CKA_EXTRACTABLE, true));
    CK_OBJECT_HANDLE object, secret;
    assert_ok(create(&parts, &object));
    secret = base_key(CKK_AES, random_blob(16), false, true, true);
    wrapped_pair.n = wrapped_secret.n = sizeof wrapped_pair.p;
    CK_MECHANISM *kwp = MECHANISM(CKM_AES_KEY_WRAP_KWP);
    assert_ok(p11->C_WrapKey(fx.session, kwp, wrapping, object, wrapped_pair.p, &wrapped_pair.n));
    assert_ok(
        p11->C_WrapKey(fx.session, kwp, wrapping, secret, wrapped_secret.p, &wrapped_secret.n));
    EVP_PKEY_free(pair);
    return 0;
}

static void assert_all_or_none(size_t i, enum proxy_fault fault)
{
    CK_ULONG before = count_objects(fx.session, NULL, 0);
    proxy_fault(fault, rows[i].command, rows[i].nth, TPM_RC_FAILURE);
    memset(made, 0, sizeof made);
    CK_RV rv = rows[i].step();
    if (!proxy_fault_struck() || rv == CKR_OK)
        fail_msg("row %zu answered %lx", i, rv);
    assert_rv_either(CKR_DEVICE_ERROR, CKR_DEVICE_REMOVED, rv);
    for (size_t k = 0; k < COUNT(made); k++)
        assert_int_equal(made[k], CK_INVALID_HANDLE);
    assert_int_equal(count_objects(fx.session, NULL, 0), before);
    proxy_fault(PROXY_NO_FAULT, 0, 0, 0);
    assert_ok(rows[i].step());
    assert_int_equal(count_objects(fx.session, NULL, 0), before + rows[i].keys);
    for (size_t k = 0; k < rows[i].keys; k++)
        assert_ok(p11->C_DestroyObject(fx.session, made[k]));
}

static void errors(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_all_or_none(i, PROXY_ERROR);
}

/* The TPM made the key, but nobody heard of it. Random bytes are asked for again. */
static void lost_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        if (rows[i].command != TPM_CC_RANDOM)
            assert_all_or_none(i, PROXY_DROP_ANSWER);
}

/* What came back is not what the TPM sent: sessions notice. */
static void spoilt_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        if (rows[i].command == TPM_CC_CREATE)
            assert_all_or_none(i, PROXY_CORRUPT);
}

/* A session's key made without login gets another authorization when it is kept. */
static void a_copy_that_fails(void **state)
{
    (void)state;
    static struct parts parts;
    EVP_PKEY *key = make_key("P-256");
    CK_OBJECT_HANDLE open, kept = CK_INVALID_HANDLE;
    CK_ATTRIBUTE keep = ATTR_BOOL(CKA_TOKEN, true);
    assert_ok(p11->C_Logout(fx.session));
    private_parts(key, &parts);
    set_part(&parts, (CK_ATTRIBUTE)ATTR_BOOL(CKA_PRIVATE, false));
    assert_ok(create(&parts, &open));
    assert_ok(login(fx.session, CKU_USER, USER_PIN));
    CK_ULONG before = count_objects(fx.session, NULL, 0);
    proxy_fault(PROXY_ERROR, TPM_CC_OBJECT_CHANGE_AUTH, 1, TPM_RC_FAILURE);
    assert_rv(CKR_DEVICE_ERROR, p11->C_CopyObject(fx.session, open, &keep, 1, &kept));
    assert_true(proxy_fault_struck());
    proxy_fault(PROXY_NO_FAULT, 0, 0, 0);
    assert_int_equal(kept, CK_INVALID_HANDLE);
    assert_int_equal(count_objects(fx.session, NULL, 0), before);
    assert_same_private(open, key);
    assert_ok(p11->C_CopyObject(fx.session, open, &keep, 1, &kept));
    assert_same_private(kept, key);
    assert_same_private(open, key);
    EVP_PKEY_free(key);
}

#define KEY_TEST(f) cmocka_unit_test_setup_teardown(f, test_keys, test_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        KEY_TEST(errors),
        KEY_TEST(lost_answers),
        KEY_TEST(spoilt_answers),
        KEY_TEST(a_copy_that_fails),
    };
    return cmocka_run_group_tests(tests, group_token_proxied, group_end);
}
