/* How many TPM commands each step may cost, counted on the wire, and what must not be seen there.
 * A TPM command is a millisecond and more on hardware; the budget is part of the design
 * (ARCHITECTURE.md). */
#include "spend.h"

#include <stdio.h>

#define P256_ORDER_BYTES 32

static const CK_BYTE digest[32] = {0x5A, 1, 2, 3};

static int group_budget(void **state)
{
    group_token_proxied(state);
    test_user(state);
    static const char *const labels[] = {"a", "b", "c", "d", "e"};
    for (size_t i = 0; i < COUNT(labels); i++)
        generate_ec(fx.session, NID_X9_62_prime256v1, labels[i], true);
    generate_rsa(fx.session, 2048, "rsa", true);
    return test_end(state);
}

static void sign_with(const char *label)
{
    CK_OBJECT_HANDLE key = find_object(fx.session, CKO_PRIVATE_KEY, label);
    sign(fx.session, MECHANISM(CKM_ECDSA), key, digest, sizeof digest);
}

static void public_work_is_free(void **state)
{
    (void)state;
    CK_ULONG n = 0;
    CK_SLOT_INFO slot_info;
    CK_MECHANISM_TYPE types[256];
    CK_ULONG type_count = COUNT(types);
    assert_ok(initialize(NULL));
    spend("C_Initialize", 0);
    assert_ok(p11->C_GetSlotList(CK_TRUE, NULL, &n));
    spend("C_GetSlotList", 0);
    assert_ok(p11->C_GetSlotInfo(fx.slot, &slot_info));
    spend("C_GetSlotInfo", 0);
    assert_ok(p11->C_GetMechanismList(fx.slot, types, &type_count));
    for (CK_ULONG i = 0; i < type_count; i++)
        assert_ok(p11->C_GetMechanismInfo(fx.slot, types[i], &(CK_MECHANISM_INFO){0}));
    spend("C_GetMechanismList, C_GetMechanismInfo", 0);
    fx.session = open_session(fx.slot, CKF_RW_SESSION);
    spend("C_OpenSession", 0);

    CK_OBJECT_HANDLE ec = find_object(fx.session, CKO_PUBLIC_KEY, "a");
    CK_OBJECT_HANDLE rsa = find_object(fx.session, CKO_PUBLIC_KEY, "rsa");
    spend("find public keys", 0);
    get_attribute(fx.session, ec, CKA_EC_POINT);
    get_attribute(fx.session, rsa, CKA_MODULUS);
    spend("C_GetAttributeValue", 0);
    struct blob signature = {.n = 2 * P256_ORDER_BYTES};
    signature.p[0] = signature.p[63] = 1;
    assert_rv(CKR_SIGNATURE_INVALID,
              verify(fx.session, MECHANISM(CKM_ECDSA), ec, digest, sizeof digest, signature));
    spend("C_Verify", 0);
    struct blob secret = {.n = sizeof secret.p};
    assert_ok(p11->C_EncryptInit(fx.session, MECHANISM(CKM_RSA_PKCS), rsa));
    assert_ok(p11->C_Encrypt(fx.session, (CK_BYTE_PTR)digest, sizeof digest, secret.p, &secret.n));
    spend("C_Encrypt with a public key", 0);
    struct blob hash = {.n = sizeof hash.p};
    assert_ok(p11->C_DigestInit(fx.session, MECHANISM(CKM_SHA256)));
    assert_ok(p11->C_Digest(fx.session, (CK_BYTE_PTR)digest, sizeof digest, hash.p, &hash.n));
    spend("C_Digest", 0);
    assert_ok(p11->C_CloseSession(fx.session));
    spend("C_CloseSession", 0);
    assert_ok(p11->C_Finalize(NULL));
    spend("C_Finalize", 0);
}

static void token_info_is_one(void **state)
{
    (void)state;
    CK_TOKEN_INFO info;
    assert_ok(initialize(NULL));
    assert_ok(p11->C_GetTokenInfo(fx.slot, &info));
    spend("C_GetTokenInfo, first", 1);
    assert_ok(p11->C_GetTokenInfo(fx.slot, &info));
    spend("C_GetTokenInfo, again", 1);
}

static void login_is_three_and_signing_one(void **state)
{
    (void)state;
    assert_ok(initialize(NULL));
    fx.session = open_session(fx.slot, 0);
    proxy_clear();
    assert_ok(login(fx.session, CKU_USER, USER_PIN));
    spend("C_Login", 3);
    CK_OBJECT_HANDLE key = find_object(fx.session, CKO_PRIVATE_KEY, "a");
    spend("find a private key", 0);
    sign(fx.session, MECHANISM(CKM_ECDSA), key, digest, sizeof digest);
    spend("first signature", 3);
    for (int i = 0; i < 10; i++) {
        sign(fx.session, MECHANISM(CKM_ECDSA_SHA256), key, digest, sizeof digest);
        assert_int_equal(proxy_count(), 1);
        spend("signature", 1);
    }
    assert_ok(p11->C_Logout(fx.session));
    proxy_print("C_Logout");
}

/* What a limit of tries costs; without one none of this is sent. */
static void a_limit_costs_the_login(void **state)
{
    (void)state;
    CK_TOKEN_INFO info;
    assert_ok(initialize("max-pin-tries=5 show-empty-slot=yes"));
    CK_SLOT_ID slot = make_token("limited", SO_PIN, USER_PIN);
    assert_ok(p11->C_Finalize(NULL));
    assert_ok(initialize(NULL));
    fx.session = open_session(slot, CKF_RW_SESSION);
    proxy_clear();
    assert_ok(p11->C_GetTokenInfo(slot, &info));
    spend("C_GetTokenInfo, limited", 3);
    assert_ok(login(fx.session, CKU_USER, USER_PIN));
    spend("C_Login, limited", 10);
    generate_ec(fx.session, NID_X9_62_prime256v1, "limited", true);
    CK_OBJECT_HANDLE key = find_object(fx.session, CKO_PRIVATE_KEY, "limited");
    sign(fx.session, MECHANISM(CKM_ECDSA), key, digest, sizeof digest);
    proxy_clear();
    sign(fx.session, MECHANISM(CKM_ECDSA), key, digest, sizeof digest);
    spend("signature, limited", 1);
    assert_ok(p11->C_SetPIN(fx.session, PIN(USER_PIN), PIN("new pin")));
    spend("C_SetPIN, limited", 71);
    assert_ok(p11->C_Logout(fx.session));
    proxy_clear();
    assert_ok(login(fx.session, CKU_USER, "new pin"));
    spend("C_Login, limited, the other gate", 11);
    assert_ok(p11->C_Logout(fx.session));
    proxy_clear();
    assert_rv(CKR_PIN_INCORRECT, login(fx.session, CKU_USER, USER_PIN));
    spend("wrong PIN, limited", 9);
    assert_ok(login(fx.session, CKU_SO, SO_PIN));
    proxy_clear();
    assert_ok(p11->C_InitPIN(fx.session, PIN(USER_PIN)));
    spend("C_InitPIN, limited", 42);
}

static void every_operation_is_one(void **state)
{
    (void)state;
    test_user(state);
    struct key_pair rsa = keys_of(fx.session, "rsa");
    struct key_pair ec = keys_of(fx.session, "a");
    struct blob message = openssl_digest("SHA256", "x", 1), plain, secret = {.n = 512};
    CK_RSA_PKCS_PSS_PARAMS pss = {CKM_SHA256, CKG_MGF1_SHA256, 20};
    struct {
        const char *step;
        CK_MECHANISM *mechanism;
    } rows[] = {
        {"CKM_RSA_PKCS", MECHANISM(CKM_RSA_PKCS)},
        {"CKM_SHA256_RSA_PKCS", MECHANISM(CKM_SHA256_RSA_PKCS)},
        {"CKM_RSA_PKCS_PSS", MECHANISM_WITH(CKM_RSA_PKCS_PSS, pss)},
    };
    sign(fx.session, rows[0].mechanism, rsa.private, message.p, message.n);
    proxy_clear();
    for (size_t i = 0; i < COUNT(rows); i++) {
        sign(fx.session, rows[i].mechanism, rsa.private, message.p, message.n);
        spend(rows[i].step, 1);
    }
    assert_ok(p11->C_EncryptInit(fx.session, MECHANISM(CKM_RSA_PKCS), rsa.public));
    assert_ok(p11->C_Encrypt(fx.session, message.p, message.n, secret.p, &secret.n));
    plain.n = sizeof plain.p;
    assert_ok(p11->C_DecryptInit(fx.session, MECHANISM(CKM_RSA_PKCS), rsa.private));
    assert_ok(p11->C_Decrypt(fx.session, secret.p, secret.n, plain.p, &plain.n));
    assert_blob(plain, message.p, message.n);
    assert_false(proxy_carries(message.p, message.n)); /* a plaintext is a secret */
    spend("CKM_RSA_PKCS decryption", 1);

    struct blob point = get_attribute(fx.session, ec.public, CKA_EC_POINT), shared;
    CK_ECDH1_DERIVE_PARAMS ecdh = {CKD_NULL, 0, NULL, point.n, point.p};
    CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_CLASS, CKO_SECRET_KEY),
                               ATTR_ULONG(CKA_KEY_TYPE, CKK_GENERIC_SECRET),
                               ATTR_BOOL(CKA_SENSITIVE, false), ATTR_BOOL(CKA_EXTRACTABLE, true)};
    CK_OBJECT_HANDLE derived;
    sign(fx.session, MECHANISM(CKM_ECDSA), ec.private, digest, sizeof digest);
    proxy_clear();
    assert_ok(p11->C_DeriveKey(fx.session, MECHANISM_WITH(CKM_ECDH1_DERIVE, ecdh), ec.private,
                               template, COUNT(template), &derived));
    shared = get_attribute(fx.session, derived, CKA_VALUE);
    assert_int_equal(shared.n, P256_ORDER_BYTES);
    assert_false(proxy_carries(shared.p, shared.n));
    spend("CKM_ECDH1_DERIVE", 1);
    CK_BYTE random[32];
    assert_ok(p11->C_GenerateRandom(fx.session, random, sizeof random));
    assert_false(proxy_carries(random, sizeof random));
    spend("C_GenerateRandom of 32 bytes", 1);
}

/* The TPM keeps three objects and three sessions at most (0x902, 0x903): keys in rotation come and
 * go, and two keys that take turns stay. */
static void keys_in_rotation(void **state)
{
    (void)state;
    test_user(state);
    static const char *const labels[] = {"a", "b", "c", "d", "e"};
    sign_with("a");
    sign_with("b");
    proxy_clear();
    for (int i = 0; i < 5; i++) {
        sign_with("a");
        sign_with("b");
        spend("two keys in turn", 2);
    }
    for (int round = 0; round < 4; round++)
        for (size_t i = 0; i < COUNT(labels); i++) {
            sign_with(labels[i]);
            assert_true(swtpm_handles(&fx.tpm, 0x80) <= 2);
            assert_true(swtpm_handles(&fx.tpm, 0x02) <= 1);
            assert_int_equal(swtpm_handles(&fx.tpm, 0x03), 0);
            spend("five keys in turn", 4);
        }
    assert_ok(p11->C_Finalize(NULL));
    proxy_print("C_Finalize");
    assert_int_equal(swtpm_handles(&fx.tpm, 0x80), 0);
    assert_int_equal(swtpm_handles(&fx.tpm, 0x02), 0);
}

static void whole_process(void **state)
{
    (void)state;
    CK_TOKEN_INFO info;
    assert_ok(initialize(NULL));
    assert_ok(p11->C_GetTokenInfo(fx.slot, &info));
    fx.session = open_session(fx.slot, 0);
    assert_ok(login(fx.session, CKU_USER, USER_PIN));
    sign_with("c");
    assert_ok(p11->C_Finalize(NULL));
    spend("initialise, info, login, sign, finalise", 8);
}

/* The PIN, and what PIN and store have in common with an eavesdropper's dictionary: nothing of a
 * token's life may carry them in clear. */
static void no_secret_on_the_wire(void **state)
{
    (void)state;
    static const char so_pin[] = "another so pin", pin[] = "another pin", new_pin[] = "a third pin";
    static const char secret[] = "what a data object hides";
    assert_ok(initialize(NULL));
    CK_SLOT_ID slot = make_token("eavesdropped", so_pin, pin);
    CK_SESSION_HANDLE session = open_session(slot, CKF_RW_SESSION);
    assert_ok(login(session, CKU_USER, pin));
    assert_ok(p11->C_SetPIN(session, PIN(pin), PIN(new_pin)));
    CK_ATTRIBUTE data[] = {ATTR_ULONG(CKA_CLASS, CKO_DATA), ATTR_BOOL(CKA_TOKEN, true),
                           ATTR_BOOL(CKA_PRIVATE, true), ATTR_STR(CKA_VALUE, secret)};
    CK_OBJECT_HANDLE object;
    assert_ok(p11->C_CreateObject(session, data, COUNT(data), &object));
    struct key_pair keys = generate_ec(session, NID_X9_62_prime256v1, "k", true);
    struct blob point = get_attribute(session, keys.public, CKA_EC_POINT);
    sign(session, MECHANISM(CKM_ECDSA), keys.private, digest, sizeof digest);
    assert_ok(p11->C_Logout(session));
    assert_rv(CKR_PIN_INCORRECT, login(session, CKU_USER, "a wrong pin"));
    proxy_print("a token's life");
    /* The tap does see what goes by in clear: the public point's last bytes. */
    assert_true(proxy_carries(point.p + point.n - P256_ORDER_BYTES, P256_ORDER_BYTES));
    const char *const secrets[] = {so_pin, pin, new_pin, secret, "a wrong pin"};
    for (size_t i = 0; i < COUNT(secrets); i++)
        assert_false(proxy_carries(secrets[i], strlen(secrets[i])));
}

/* TPM 2.0 part 1, 19.6: TPM_RS_PW carries an authorization in clear. Nothing but the owner's empty
 * one may go by that way. Found by the handle 0x40000009 with a non-empty hmac field. */
static void no_password_session(void **state)
{
    (void)state;
    test_user(state);
    sign_with("a");
    assert_ok(p11->C_SetPIN(fx.session, PIN(USER_PIN), PIN("passing")));
    assert_ok(p11->C_SetPIN(fx.session, PIN("passing"), PIN(USER_PIN)));
    for (uint8_t length = 1; length <= 32; length++) {
        const uint8_t clear[] = {0x40, 0, 0, 9, 0, 0, 0, 0, length};
        assert_false(proxy_carries(clear, sizeof clear));
        const uint8_t continued[] = {0x40, 0, 0, 9, 0, 0, 1, 0, length};
        assert_false(proxy_carries(continued, sizeof continued));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BUDGET_TEST(public_work_is_free),
        BUDGET_TEST(token_info_is_one),
        BUDGET_TEST(login_is_three_and_signing_one),
        BUDGET_TEST(a_limit_costs_the_login),
        BUDGET_TEST(every_operation_is_one),
        BUDGET_TEST(keys_in_rotation),
        BUDGET_TEST(whole_process),
        BUDGET_TEST(no_secret_on_the_wire),
        BUDGET_TEST(no_password_session),
    };
    return cmocka_run_group_tests(tests, group_budget, group_end);
}
