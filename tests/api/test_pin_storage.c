/* The other ways to keep a token's secret: `pin-storage = sealed`, in sealed objects instead of NV
 * indices, and `unattended = yes`, outside dictionary-attack protection (latchkey.conf(5)). Both
 * are chosen when a token is made, and it keeps them. */
#include "keys.h"

#include <latchkey/admin.h>

#include <stdio.h>

#define NV_INDICES 0x01
#define MAX_TRIES  5
#define NEW_PIN    "a quite different pin"

/* What each kind answers for. */
static struct kind {
    const char *parameters, *label;
    bool sealed, unattended;
    CK_SLOT_ID slot;
} kinds[] = {
    {"pin-storage=nv unattended=no", "ordinary", false, false, 0},
    {"pin-storage=sealed", "sealed", true, false, 0},
    {"unattended=yes", "unattended", false, true, 0},
    {"pin-storage=sealed unattended=yes", "sealed and unattended", true, true, 0},
};

#define FOR_EACH_KIND(k) for (struct kind *k = kinds; k < kinds + COUNT(kinds); k++)

static int group_kinds(void **state)
{
    group_environment(state);
    FOR_EACH_KIND(k)
    {
        unsigned indices = swtpm_handles(&fx.tpm, NV_INDICES);
        assert_ok(initialize(k->parameters));
        k->slot = make_token(k->label, SO_PIN, USER_PIN);
        CK_SESSION_HANDLE session = open_session(k->slot, CKF_RW_SESSION);
        assert_ok(login(session, CKU_USER, USER_PIN));
        generate_ec(session, NID_X9_62_prime256v1, "p256", true);
        assert_int_equal(swtpm_handles(&fx.tpm, NV_INDICES) - indices, k->sealed ? 0 : 2);
        test_end(state);
    }
    return 0;
}

static int test_counting(void **state)
{
    swtpm_reset_lockout(&fx.tpm);
    swtpm_set_lockout(&fx.tpm, MAX_TRIES, 1000, 1000);
    return test_initialized(state); /* and with no parameter: the tokens know what they are */
}

static void use_key(CK_SESSION_HANDLE session)
{
    sign(session, MECHANISM(CKM_ECDSA), keys_of(session, "p256").private, "0123456789", 10);
}

static void status(void **state)
{
    (void)state;
    CK_INTERFACE *interface;
    LATCHKEY_TOKEN_STATUS s;
    assert_ok(p11_3->C_GetInterface((CK_UTF8CHAR_PTR)LATCHKEY_INTERFACE, NULL, &interface, 0));
    LATCHKEY_ADMIN *admin = interface->pFunctionList;
    FOR_EACH_KIND(k)
    {
        assert_ok(admin->TokenStatus(k->slot, &s));
        assert_int_equal(s.sealed, k->sealed);
        assert_int_equal(s.unattended, k->unattended);
        assert_int_equal(s.userIndex == 0, k->sealed);
        assert_int_equal(s.soIndex == 0, k->sealed);
    }
}

/* A wrong PIN is one, and counted once where the TPM counts; a right one never is. */
static void logging_in(void **state)
{
    (void)state;
    FOR_EACH_KIND(k)
    {
        CK_SESSION_HANDLE session = open_session(k->slot, CKF_RW_SESSION);
        uint32_t before = swtpm_lockout_counter(&fx.tpm);
        assert_rv(CKR_PIN_INCORRECT, login(session, CKU_USER, "wrong pin"));
        assert_int_equal(swtpm_lockout_counter(&fx.tpm), before + !k->unattended);
        assert_ok(login(session, CKU_USER, USER_PIN));
        use_key(session);
        assert_ok(p11->C_Logout(session));
        assert_rv(CKR_PIN_INCORRECT, login(session, CKU_SO, "wrong pin"));
        assert_int_equal(swtpm_lockout_counter(&fx.tpm), before + !k->unattended + 1);
        assert_ok(login(session, CKU_SO, SO_PIN));
        assert_ok(p11->C_Logout(session));
        assert_int_equal(swtpm_lockout_counter(&fx.tpm), before + !k->unattended + 1);
        swtpm_reset_lockout(&fx.tpm);
    }
}

/* Of the store as it is now. */
static void copy_store(char *ret_parameters, size_t size)
{
    char command[256];
    snprintf(command, sizeof command, "rm -rf '%s-copy' && cp -a '%s' '%s-copy'", fx.store,
             fx.store, fx.store);
    assert_int_equal(system(command), 0);
    snprintf(ret_parameters, size, "store='%s-copy'", fx.store);
}

static CK_RV login_at(const struct kind *k, const char *parameters, CK_USER_TYPE user,
                      const char *pin)
{
    p11->C_Finalize(NULL);
    assert_ok(initialize(parameters));
    fx.session = open_session(k->slot, CKF_RW_SESSION);
    return login(fx.session, user, pin);
}

/* With the store the old PIN is refused, in every kind. With an old copy of the store a sealed
 * object opens by it still: that is what NV is better for, and `latchkey doctor` says so. */
static void assert_changed(const struct kind *k, const char *copy, CK_USER_TYPE user,
                           const char *old, const char *fresh)
{
    assert_rv(CKR_PIN_INCORRECT, login_at(k, NULL, user, old));
    assert_ok(login_at(k, NULL, user, fresh));
    assert_rv(k->sealed ? CKR_OK : CKR_PIN_INCORRECT, login_at(k, copy, user, old));
    assert_rv(k->sealed ? CKR_PIN_INCORRECT : CKR_OK, login_at(k, copy, user, fresh));
    swtpm_reset_lockout(&fx.tpm);
}

static void changing_the_pin(void **state)
{
    (void)state;
    char copy[160];
    FOR_EACH_KIND(k)
    {
        copy_store(copy, sizeof copy);
        assert_ok(login_at(k, NULL, CKU_USER, USER_PIN));
        assert_rv(CKR_PIN_INCORRECT, p11->C_SetPIN(fx.session, PIN("wrong pin"), PIN(NEW_PIN)));
        assert_ok(p11->C_SetPIN(fx.session, PIN(USER_PIN), PIN(NEW_PIN)));
        use_key(fx.session);
        assert_changed(k, copy, CKU_USER, USER_PIN, NEW_PIN);
        assert_ok(login_at(k, NULL, CKU_USER, NEW_PIN));
        use_key(fx.session);
        assert_ok(p11->C_SetPIN(fx.session, PIN(NEW_PIN), PIN(USER_PIN)));
    }
}

static void changing_the_so_pin(void **state)
{
    (void)state;
    char copy[160];
    FOR_EACH_KIND(k)
    {
        copy_store(copy, sizeof copy);
        assert_ok(login_at(k, NULL, CKU_SO, SO_PIN));
        assert_ok(p11->C_SetPIN(fx.session, PIN(SO_PIN), PIN("a new so pin")));
        assert_changed(k, copy, CKU_SO, SO_PIN, "a new so pin");
        assert_ok(login_at(k, NULL, CKU_SO, "a new so pin"));
        assert_ok(p11->C_SetPIN(fx.session, PIN("a new so pin"), PIN(SO_PIN)));
    }
}

/* C_InitPIN replaces a PIN that nobody knows, and the keys stay. */
static void resetting_the_pin(void **state)
{
    (void)state;
    char copy[160];
    FOR_EACH_KIND(k)
    {
        copy_store(copy, sizeof copy);
        assert_ok(login_at(k, NULL, CKU_SO, SO_PIN));
        assert_ok(p11->C_InitPIN(fx.session, PIN(NEW_PIN)));
        assert_changed(k, copy, CKU_USER, USER_PIN, NEW_PIN);
        assert_ok(login_at(k, NULL, CKU_USER, NEW_PIN));
        use_key(fx.session);
        assert_ok(login_at(k, NULL, CKU_SO, SO_PIN));
        assert_ok(p11->C_InitPIN(fx.session, PIN(USER_PIN)));
    }
}

static CK_FLAGS flags(const struct kind *k)
{
    CK_TOKEN_INFO info;
    assert_ok(p11->C_GetTokenInfo(k->slot, &info));
    return info.flags;
}

/* Section 3.2: the flags speak of this token's PINs, and an unattended user's is none that the TPM
 * counts: a gateway starts up whatever was typed at it. */
static void during_a_lockout(void **state)
{
    (void)state;
    const CK_FLAGS user = CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_FINAL_TRY | CKF_USER_PIN_LOCKED;
    CK_SESSION_HANDLE session = open_session(kinds[1].slot, CKF_RW_SESSION);
    for (int i = 0; i < MAX_TRIES - 1; i++)
        assert_rv(CKR_PIN_INCORRECT, login(session, CKU_USER, "wrong pin"));
    FOR_EACH_KIND(k)
    assert_int_equal(flags(k) & user,
                     k->unattended ? 0 : CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_FINAL_TRY);
    assert_rv(CKR_PIN_INCORRECT, login(session, CKU_USER, "wrong pin"));
    FOR_EACH_KIND(k)
    {
        assert_int_equal(flags(k) & user,
                         k->unattended ? 0 : CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_LOCKED);
        assert_true(flags(k) & CKF_SO_PIN_LOCKED);
        assert_rv(CKR_PIN_LOCKED, login_at(k, NULL, CKU_SO, SO_PIN));
        assert_rv(k->unattended ? CKR_OK : CKR_PIN_LOCKED, login_at(k, NULL, CKU_USER, USER_PIN));
        if (k->unattended)
            use_key(fx.session);
    }
}

/* Guessing at an unattended token never locks anything. */
static void guessing_at_the_unattended(void **state)
{
    (void)state;
    FOR_EACH_KIND(k)
    {
        if (!k->unattended)
            continue;
        CK_SESSION_HANDLE session = open_session(k->slot, 0);
        for (int i = 0; i < 3 * MAX_TRIES; i++)
            assert_rv(CKR_PIN_INCORRECT, login(session, CKU_USER, "wrong pin"));
        assert_int_equal(swtpm_lockout_counter(&fx.tpm), 0);
        assert_ok(login(session, CKU_USER, USER_PIN));
    }
}

/* C_InitToken over a token makes it anew, as the settings now say; the old copy's keys are not
 * opened by the new PIN. */
static void made_anew(void **state)
{
    CK_UTF8CHAR label[32];
    unsigned indices = swtpm_handles(&fx.tpm, NV_INDICES);
    struct kind *k = &kinds[1];
    pad_label(label, k->label);
    assert_rv(CKR_PIN_INCORRECT, p11->C_InitToken(k->slot, PIN("wrong pin"), label));
    assert_ok(p11->C_InitToken(k->slot, PIN(SO_PIN), label));
    assert_int_equal(swtpm_handles(&fx.tpm, NV_INDICES), indices + 2);
    test_end(state);
    assert_ok(initialize(k->parameters));
    assert_ok(p11->C_InitToken(k->slot, PIN(SO_PIN), label));
    assert_int_equal(swtpm_handles(&fx.tpm, NV_INDICES), indices);
    assert_rv(CKR_USER_PIN_NOT_INITIALIZED, login_at(k, NULL, CKU_USER, USER_PIN));
    assert_int_equal(count_objects(fx.session, NULL, 0), 0);
}

#define STORAGE_TEST(f) cmocka_unit_test_setup_teardown(f, test_counting, test_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORAGE_TEST(status),
        STORAGE_TEST(logging_in),
        STORAGE_TEST(changing_the_pin),
        STORAGE_TEST(changing_the_so_pin),
        STORAGE_TEST(resetting_the_pin),
        STORAGE_TEST(during_a_lockout),
        STORAGE_TEST(guessing_at_the_unattended),
        STORAGE_TEST(made_anew),
    };
    return cmocka_run_group_tests(tests, group_kinds, group_end);
}
