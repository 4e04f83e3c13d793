/* A PIN that was changed is dead everywhere: with the store, with an old copy of the store, and in
 * a process that was there before. The current PIN opens every copy. */
#include "keys.h"

#include <stdio.h>

#define NEW_PIN "a quite different pin"

static char copy[80];

static int group_copy(void **state)
{
    char command[256];
    group_keys(state);
    snprintf(copy, sizeof copy, "%s-copy", fx.store);
    snprintf(command, sizeof command, "cp -a '%s' '%s'", fx.store, copy);
    assert_int_equal(system(command), 0);
    test_user(state);
    assert_ok(p11->C_SetPIN(fx.session, PIN(USER_PIN), PIN(NEW_PIN)));
    return test_end(state);
}

static int test_copy(void **state)
{
    (void)state;
    char parameters[120];
    snprintf(parameters, sizeof parameters, "store='%s'", copy);
    assert_ok(initialize(parameters));
    fx.session = open_session(fx.slot, CKF_RW_SESSION);
    return 0;
}

static void old_pin_is_refused(void **state)
{
    (void)state;
    uint32_t before = swtpm_lockout_counter(&fx.tpm);
    assert_rv(CKR_PIN_INCORRECT, login(fx.session, CKU_USER, USER_PIN));
    assert_int_equal(swtpm_lockout_counter(&fx.tpm), before + 1); /* and guessing it costs tries */
    assert_rv(CKR_PIN_INCORRECT, p11->C_SetPIN(fx.session, PIN(USER_PIN), PIN("back again")));
}

static void new_pin_opens_the_copy(void **state)
{
    (void)state;
    assert_ok(login(fx.session, CKU_USER, NEW_PIN));
    struct key_pair keys = keys_of(fx.session, "p256");
    sign(fx.session, MECHANISM(CKM_ECDSA), keys.private, "0123456789", 10);
}

/* The SO's reset revokes as well. */
static void pin_reset_by_the_so(void **state)
{
    (void)state;
    assert_ok(login(fx.session, CKU_SO, SO_PIN));
    assert_ok(p11->C_InitPIN(fx.session, PIN("set by the so")));
    assert_ok(p11->C_Logout(fx.session));
    assert_rv(CKR_PIN_INCORRECT, login(fx.session, CKU_USER, NEW_PIN));
    assert_ok(login(fx.session, CKU_USER, "set by the so"));
    assert_ok(p11->C_SetPIN(fx.session, PIN("set by the so"), PIN(NEW_PIN)));
}

static void so_pin_is_revoked_too(void **state)
{
    (void)state;
    assert_ok(login(fx.session, CKU_SO, SO_PIN));
    assert_ok(p11->C_SetPIN(fx.session, PIN(SO_PIN), PIN("new so pin")));
    assert_ok(p11->C_Finalize(NULL));
    test_initialized(state); /* the original store this time */
    CK_SESSION_HANDLE session = open_session(fx.slot, CKF_RW_SESSION);
    assert_rv(CKR_PIN_INCORRECT, login(session, CKU_SO, SO_PIN));
    assert_ok(login(session, CKU_SO, "new so pin"));
    assert_ok(p11->C_SetPIN(session, PIN("new so pin"), PIN(SO_PIN)));
}

#define COPY_TEST(f) cmocka_unit_test_setup_teardown(f, test_copy, test_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        COPY_TEST(old_pin_is_refused),
        COPY_TEST(new_pin_opens_the_copy),
        COPY_TEST(pin_reset_by_the_so),
        COPY_TEST(so_pin_is_revoked_too),
    };
    return cmocka_run_group_tests(tests, group_copy, group_end);
}
