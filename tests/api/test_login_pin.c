/* C_Login, C_Logout, C_InitPIN, C_SetPIN, C_LoginUser: PKCS#11 3.0 sections 5.5.8, 5.5.9, 5.6.8–10.
 */
#include "keys.h"

static void wrong_pin(void **state)
{
    (void)state;
    fx.session = open_session(fx.slot, CKF_RW_SESSION);
    assert_rv(CKR_PIN_INCORRECT, login(fx.session, CKU_USER, "not the pin"));
    assert_rv(CKR_PIN_INCORRECT, login(fx.session, CKU_SO, "not the pin"));
    assert_rv(CKR_PIN_INCORRECT, login(fx.session, CKU_USER, SO_PIN));
    assert_ok(login(fx.session, CKU_USER, USER_PIN));
}

/* The user's PIN is none of the lengths that are refused, so these cost no try. */
static void impossible_pins(void **state)
{
    (void)state;
    CK_UTF8CHAR long_pin[300] = {0};
    fx.session = open_session(fx.slot, CKF_RW_SESSION);
    uint32_t before = swtpm_lockout_counter(&fx.tpm);
    assert_rv_either(CKR_PIN_INCORRECT, CKR_PIN_LEN_RANGE, login(fx.session, CKU_USER, ""));
    assert_rv_either(CKR_PIN_INCORRECT, CKR_PIN_LEN_RANGE,
                     p11->C_Login(fx.session, CKU_USER, long_pin, sizeof long_pin));
    assert_rv(CKR_ARGUMENTS_BAD, p11->C_Login(fx.session, CKU_USER, NULL, 4));
    assert_rv(CKR_USER_TYPE_INVALID, login(fx.session, 77, USER_PIN));
    assert_rv(CKR_OPERATION_NOT_INITIALIZED, login(fx.session, CKU_CONTEXT_SPECIFIC, USER_PIN));
    assert_int_equal(swtpm_lockout_counter(&fx.tpm), before);
}

static void login_twice(void **state)
{
    (void)state;
    fx.session = open_session(fx.slot, CKF_RW_SESSION);
    assert_rv(CKR_USER_NOT_LOGGED_IN, p11->C_Logout(fx.session));
    assert_ok(login(fx.session, CKU_USER, USER_PIN));
    assert_rv(CKR_USER_ALREADY_LOGGED_IN, login(fx.session, CKU_USER, USER_PIN));
    assert_rv(CKR_USER_ANOTHER_ALREADY_LOGGED_IN, login(fx.session, CKU_SO, SO_PIN));
    assert_ok(p11->C_Logout(fx.session));
    assert_ok(login(fx.session, CKU_SO, SO_PIN));
    assert_rv(CKR_USER_ALREADY_LOGGED_IN, login(fx.session, CKU_SO, SO_PIN));
    assert_rv(CKR_USER_ANOTHER_ALREADY_LOGGED_IN, login(fx.session, CKU_USER, USER_PIN));
}

/* Section 5.6.9: at logout handles of private objects become invalid, private session objects go.
 */
static void logout_hides_private_objects(void **state)
{
    (void)state;
    test_user(state);
    struct key_pair token = generate_ec(fx.session, NID_X9_62_prime256v1, "stays", true);
    struct key_pair session = generate_ec(fx.session, NID_X9_62_prime256v1, "goes", false);
    assert_ok(p11->C_Logout(fx.session));
    assert_rv(CKR_KEY_HANDLE_INVALID,
              p11->C_SignInit(fx.session, MECHANISM(CKM_ECDSA), token.private));
    assert_rv(CKR_KEY_HANDLE_INVALID,
              p11->C_SignInit(fx.session, MECHANISM(CKM_ECDSA), session.private));
    assert_ok(login(fx.session, CKU_USER, USER_PIN));
    assert_true(find_object(fx.session, CKO_PRIVATE_KEY, "stays") != CK_INVALID_HANDLE);
    assert_int_equal(find_object(fx.session, CKO_PRIVATE_KEY, "goes"), CK_INVALID_HANDLE);
}

static void user_changes_pin(void **state)
{
    (void)state;
    test_user(state);
    generate_ec(fx.session, NID_X9_62_prime256v1, "survives", true);
    assert_rv(CKR_PIN_INCORRECT, p11->C_SetPIN(fx.session, PIN("wrong"), PIN("new pin")));
    assert_rv(CKR_PIN_LEN_RANGE, p11->C_SetPIN(fx.session, PIN(USER_PIN), PIN("123")));
    assert_ok(p11->C_SetPIN(fx.session, PIN(USER_PIN), PIN("new pin")));
    struct key_pair keys = keys_of(fx.session, "survives");
    sign(fx.session, MECHANISM(CKM_ECDSA), keys.private, "0123456789", 10); /* still logged in */
    assert_ok(p11->C_Logout(fx.session));
    assert_rv(CKR_PIN_INCORRECT, login(fx.session, CKU_USER, USER_PIN));
    assert_ok(login(fx.session, CKU_USER, "new pin"));
    keys = keys_of(fx.session, "survives");
    sign(fx.session, MECHANISM(CKM_ECDSA), keys.private, "0123456789", 10);
    assert_ok(p11->C_SetPIN(fx.session, PIN("new pin"), PIN(USER_PIN)));
}

/* Section 5.5.9: in a read-write public session C_SetPIN changes the user's PIN. */
static void public_session_changes_user_pin(void **state)
{
    (void)state;
    fx.session = open_session(fx.slot, CKF_RW_SESSION);
    assert_ok(p11->C_SetPIN(fx.session, PIN(USER_PIN), PIN("new pin")));
    assert_ok(p11->C_SetPIN(fx.session, PIN("new pin"), PIN(USER_PIN)));
    CK_SESSION_HANDLE ro = open_session(fx.slot, 0);
    assert_rv(CKR_SESSION_READ_ONLY, p11->C_SetPIN(ro, PIN(USER_PIN), PIN("new pin")));
}

static void so_changes_pins(void **state)
{
    (void)state;
    test_so(state);
    assert_ok(p11->C_SetPIN(fx.session, PIN(SO_PIN), PIN("new so pin")));
    assert_ok(p11->C_InitPIN(fx.session, PIN("given by the so")));
    assert_rv(CKR_PIN_LEN_RANGE, p11->C_InitPIN(fx.session, PIN("123")));
    assert_ok(p11->C_Logout(fx.session));
    assert_rv(CKR_PIN_INCORRECT, login(fx.session, CKU_SO, SO_PIN));
    assert_rv(CKR_PIN_INCORRECT, login(fx.session, CKU_USER, USER_PIN));
    assert_ok(login(fx.session, CKU_USER, "given by the so"));
    struct key_pair keys = keys_of(fx.session, "survives"); /* of user_changes_pin */
    sign(fx.session, MECHANISM(CKM_ECDSA), keys.private, "0123456789", 10);
    assert_ok(p11->C_Logout(fx.session));
    assert_ok(login(fx.session, CKU_SO, "new so pin"));
    assert_ok(p11->C_SetPIN(fx.session, PIN("new so pin"), PIN(SO_PIN)));
    assert_ok(p11->C_InitPIN(fx.session, PIN(USER_PIN)));
}

static void init_pin_is_the_so_s(void **state)
{
    (void)state;
    test_user(state);
    assert_rv(CKR_USER_NOT_LOGGED_IN, p11->C_InitPIN(fx.session, PIN("sneaky")));
    assert_ok(p11->C_Logout(fx.session));
    assert_rv(CKR_USER_NOT_LOGGED_IN, p11->C_InitPIN(fx.session, PIN("sneaky")));
}

static void no_user_pin_yet(void **state)
{
    (void)state;
    CK_UTF8CHAR label[32];
    CK_TOKEN_INFO info;
    pad_label(label, "without user");
    CK_SLOT_ID slot = blank_slot();
    assert_ok(p11->C_InitToken(slot, PIN(SO_PIN), label));
    assert_ok(p11->C_GetTokenInfo(slot, &info));
    assert_false(info.flags & CKF_USER_PIN_INITIALIZED);
    CK_SESSION_HANDLE session = open_session(slot, CKF_RW_SESSION);
    assert_rv(CKR_USER_PIN_NOT_INITIALIZED, login(session, CKU_USER, USER_PIN));
    assert_rv_either(CKR_USER_PIN_NOT_INITIALIZED, CKR_PIN_INCORRECT,
                     p11->C_SetPIN(session, PIN(USER_PIN), PIN("new pin")));
}

/* PINs are bytes: every value and both extreme lengths. */
static void binary_and_long_pins(void **state)
{
    (void)state;
    CK_UTF8CHAR pin[255];
    for (size_t i = 0; i < sizeof pin; i++)
        pin[i] = (CK_UTF8CHAR)i; /* begins with NUL */
    test_user(state);
    assert_ok(p11->C_SetPIN(fx.session, PIN(USER_PIN), pin, sizeof pin));
    assert_ok(p11->C_Logout(fx.session));
    assert_rv(CKR_PIN_INCORRECT, p11->C_Login(fx.session, CKU_USER, pin, sizeof pin - 1));
    assert_ok(p11->C_Login(fx.session, CKU_USER, pin, sizeof pin));
    assert_ok(p11->C_SetPIN(fx.session, pin, sizeof pin, PIN("4pin")));
    assert_ok(p11->C_SetPIN(fx.session, PIN("4pin"), PIN(USER_PIN)));
}

static void login_user(void **state)
{
    (void)state;
    assert_non_null(p11_3);
    fx.session = open_session(fx.slot, CKF_RW_SESSION);
    assert_ok(p11_3->C_LoginUser(fx.session, CKU_USER, PIN(USER_PIN), NULL, 0));
    assert_ok(p11->C_Logout(fx.session));
    assert_true(p11_3->C_LoginUser(fx.session, CKU_USER, PIN(USER_PIN), PIN("joe")) != CKR_OK);
}

/* CKA_ALWAYS_AUTHENTICATE: section 4.9, C_Login with CKU_CONTEXT_SPECIFIC before each use. */
static void always_authenticate(void **state)
{
    (void)state;
    test_user(state);
    struct blob curve = ec_params(NID_X9_62_prime256v1), signature = {.n = 64};
    CK_ATTRIBUTE public[] = {ATTR_MEM(CKA_EC_PARAMS, curve.p, curve.n)};
    CK_ATTRIBUTE private[] = {ATTR_BOOL(CKA_ALWAYS_AUTHENTICATE, true), ATTR_BOOL(CKA_SIGN, true),
                              ATTR_BOOL(CKA_PRIVATE, true)};
    struct key_pair keys;
    CK_BYTE digest[32] = {0};
    assert_ok(p11->C_GenerateKeyPair(fx.session, MECHANISM(CKM_EC_KEY_PAIR_GEN), public,
                                     COUNT(public), private, COUNT(private), &keys.public,
                                     &keys.private));
    assert_true(get_bool(fx.session, keys.private, CKA_ALWAYS_AUTHENTICATE));
    for (int i = 0; i < 2; i++) {
        assert_ok(p11->C_SignInit(fx.session, MECHANISM(CKM_ECDSA), keys.private));
        assert_rv(CKR_PIN_INCORRECT, login(fx.session, CKU_CONTEXT_SPECIFIC, "wrong"));
        assert_ok(login(fx.session, CKU_CONTEXT_SPECIFIC, USER_PIN));
        assert_ok(p11->C_Sign(fx.session, digest, sizeof digest, signature.p, &signature.n));
    }
    assert_ok(p11->C_SignInit(fx.session, MECHANISM(CKM_ECDSA), keys.private));
    assert_rv(CKR_USER_NOT_LOGGED_IN,
              p11->C_Sign(fx.session, digest, sizeof digest, signature.p, &signature.n));
}

/* Section 4.9: CKA_ALWAYS_AUTHENTICATE means something only where CKA_PRIVATE is true. */
static void always_authenticate_is_private(void **state)
{
    (void)state;
    test_user(state);
    struct blob curve = ec_params(NID_X9_62_prime256v1);
    CK_ATTRIBUTE public[] = {ATTR_MEM(CKA_EC_PARAMS, curve.p, curve.n)};
    CK_ATTRIBUTE private[] = {ATTR_BOOL(CKA_ALWAYS_AUTHENTICATE, true),
                              ATTR_BOOL(CKA_PRIVATE, false)};
    struct key_pair keys;
    assert_rv(CKR_TEMPLATE_INCONSISTENT,
              p11->C_GenerateKeyPair(fx.session, MECHANISM(CKM_EC_KEY_PAIR_GEN), public,
                                     COUNT(public), private, COUNT(private), &keys.public,
                                     &keys.private));
}

#define LOGIN_TEST(f) cmocka_unit_test_setup_teardown(f, test_initialized, test_end)
#define USER_TEST(f)  cmocka_unit_test_teardown(f, test_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOGIN_TEST(wrong_pin),
        LOGIN_TEST(impossible_pins),
        LOGIN_TEST(login_twice),
        USER_TEST(logout_hides_private_objects),
        USER_TEST(user_changes_pin),
        LOGIN_TEST(public_session_changes_user_pin),
        USER_TEST(so_changes_pins),
        USER_TEST(init_pin_is_the_so_s),
        LOGIN_TEST(no_user_pin_yet),
        USER_TEST(binary_and_long_pins),
        LOGIN_TEST(login_user),
        USER_TEST(always_authenticate),
        USER_TEST(always_authenticate_is_private),
    };
    return cmocka_run_group_tests(tests, group_token, group_end);
}
