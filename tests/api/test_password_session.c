/* `session = password`: keys are used with their authorization in clear, for those who want the bus
 * cheap and trust it; a PIN, and the secret behind it, never are (latchkey.conf(5)). */
#include "keys.h"

#include <stdio.h>

#define LOADED_SESSIONS 0x02
#define TPM_CC_START    0x176

static const CK_BYTE digest[32] = {0x5A};

/* TPM 2.0 part 1, 19.6: handle TPM_RS_PW, no nonce, attributes, then the password with its size.
 * Nobody's but the empty authorization of the owner may go by so, unless it is a key's. */
static bool password_on_the_wire(void)
{
    for (uint8_t length = 1; length <= 32; length++)
        for (uint8_t attributes = 0; attributes < 2; attributes++) {
            const uint8_t clear[] = {0x40, 0, 0, 9, 0, 0, attributes, 0, length};
            if (proxy_carries(clear, sizeof clear))
                return true;
        }
    return false;
}

static int group_password(void **state)
{
    group_token_proxied(state);
    test_user(state);
    generate_ec(fx.session, NID_X9_62_prime256v1, "p256", true);
    generate_rsa(fx.session, 2048, "rsa2048", true);
    return test_end(state);
}

static int test_password(void **state)
{
    (void)state;
    assert_ok(initialize("session=password"));
    fx.session = open_session(fx.slot, CKF_RW_SESSION);
    proxy_clear();
    return 0;
}

static void pins_are_not_passwords(void **state)
{
    (void)state;
    assert_ok(login(fx.session, CKU_USER, USER_PIN));
    assert_true(proxy_count() <= 4); /* the session of the login is of no further use: flushed */
    assert_ok(p11->C_SetPIN(fx.session, PIN(USER_PIN), PIN("passing")));
    assert_ok(p11->C_SetPIN(fx.session, PIN("passing"), PIN(USER_PIN)));
    assert_ok(p11->C_Logout(fx.session));
    assert_ok(login(fx.session, CKU_SO, SO_PIN));
    assert_ok(p11->C_InitPIN(fx.session, PIN(USER_PIN)));
    assert_false(password_on_the_wire());
    assert_false(proxy_carries(USER_PIN, strlen(USER_PIN)));
}

/* First use loads the key; then the command itself and nothing around it. */
static void one_command_a_use(void **state)
{
    (void)state;
    assert_ok(login(fx.session, CKU_USER, USER_PIN));
    struct key_pair ec = keys_of(fx.session, "p256"), rsa = keys_of(fx.session, "rsa2048");
    proxy_clear();
    sign(fx.session, MECHANISM(CKM_ECDSA), ec.private, digest, sizeof digest);
    proxy_print("first signature");
    assert_true(proxy_count() <= 3);
    sign(fx.session, MECHANISM(CKM_RSA_PKCS), rsa.private, digest, sizeof digest);
    for (int i = 0; i < 5; i++) {
        proxy_clear();
        sign(fx.session, MECHANISM(CKM_ECDSA), ec.private, digest, sizeof digest);
        sign(fx.session, MECHANISM(CKM_RSA_PKCS), rsa.private, digest, sizeof digest);
        assert_int_equal(proxy_count(), 2);
        assert_int_equal(proxy_count_of(TPM_CC_START), 0);
        assert_true(password_on_the_wire()); /* the tap does see what it looks for */
    }
}

/* A new process's signature from beginning to end. */
static void whole_process(void **state)
{
    (void)state;
    CK_TOKEN_INFO info;
    assert_ok(p11->C_GetTokenInfo(fx.slot, &info));
    assert_ok(login(fx.session, CKU_USER, USER_PIN));
    sign(fx.session, MECHANISM(CKM_ECDSA), keys_of(fx.session, "p256").private, digest,
         sizeof digest);
    assert_ok(p11->C_Finalize(NULL));
    proxy_print("info, login, sign, finalise");
    assert_true(proxy_count() <= 8);
    assert_int_equal(swtpm_handles(&fx.tpm, LOADED_SESSIONS), 0);
}

#define PASSWORD_TEST(f) cmocka_unit_test_setup_teardown(f, test_password, test_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PASSWORD_TEST(pins_are_not_passwords),
        PASSWORD_TEST(one_command_a_use),
        PASSWORD_TEST(whole_process),
    };
    return cmocka_run_group_tests(tests, group_password, group_end);
}
