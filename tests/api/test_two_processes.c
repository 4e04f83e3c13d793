/* Processes that share a token: what one changes the others see at their next call. */
#include "keys.h"

/* ---- what the peer does ---- */

static CK_RV peer_login(void)
{
    CK_RV rv = p11->C_Initialize(NULL);
    if (rv != CKR_OK)
        return rv;
    fx.slot = slot_of(LABEL);
    fx.session = open_session(fx.slot, CKF_RW_SESSION);
    return login(fx.session, CKU_USER, USER_PIN);
}

static CK_RV peer_make_object(void)
{
    CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_CLASS, CKO_DATA), ATTR_BOOL(CKA_TOKEN, true),
                               ATTR_BOOL(CKA_PRIVATE, true), ATTR_STR(CKA_LABEL, "shared"),
                               ATTR_STR(CKA_VALUE, "value")};
    CK_OBJECT_HANDLE object;
    return p11->C_CreateObject(fx.session, template, COUNT(template), &object);
}

static CK_RV peer_destroy_object(void)
{
    return p11->C_DestroyObject(fx.session, find_object(fx.session, CKO_DATA, "shared"));
}

static CK_RV peer_make_session_object(void)
{
    CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_CLASS, CKO_DATA), ATTR_STR(CKA_LABEL, "own")};
    CK_OBJECT_HANDLE object;
    return p11->C_CreateObject(fx.session, template, COUNT(template), &object);
}

static CK_RV peer_rename_key(void)
{
    CK_ATTRIBUTE label = ATTR_STR(CKA_LABEL, "renamed");
    struct key_pair keys = keys_of(fx.session, "p256");
    CK_RV rv = p11->C_SetAttributeValue(fx.session, keys.public, &label, 1);
    return rv != CKR_OK ? rv : p11->C_SetAttributeValue(fx.session, keys.private, &label, 1);
}

static CK_RV peer_rename_back(void)
{
    CK_ATTRIBUTE label = ATTR_STR(CKA_LABEL, "p256");
    struct key_pair keys = keys_of(fx.session, "renamed");
    CK_RV rv = p11->C_SetAttributeValue(fx.session, keys.public, &label, 1);
    return rv != CKR_OK ? rv : p11->C_SetAttributeValue(fx.session, keys.private, &label, 1);
}

static CK_RV peer_sign_100(void)
{
    struct key_pair keys = keys_of(fx.session, "p256");
    for (int i = 0; i < 100; i++)
        sign(fx.session, MECHANISM(CKM_ECDSA), keys.private, "0123456789", 10);
    return CKR_OK;
}

static CK_RV peer_make_keys(void)
{
    for (int i = 0; i < 5; i++)
        generate_ec(fx.session, NID_X9_62_prime256v1, "by a peer", true);
    return CKR_OK;
}

static CK_RV peer_sign_for_ever(void)
{
    for (;;)
        peer_sign_100();
    return CKR_OK;
}

static CK_RV peer_set_pin(void)
{
    return p11->C_SetPIN(fx.session, PIN(USER_PIN), PIN("new pin"));
}

static CK_RV peer_set_pin_back(void)
{
    return p11->C_SetPIN(fx.session, PIN("new pin"), PIN(USER_PIN));
}

static const peer_step steps[] = {
    peer_login,      peer_make_object,  peer_destroy_object, peer_make_session_object,
    peer_rename_key, peer_rename_back,  peer_sign_100,       peer_make_keys,
    peer_set_pin,    peer_set_pin_back, peer_sign_for_ever,
};

/* ---- tests ---- */

static void objects_come_and_go(void **state)
{
    (void)state;
    struct peer p;
    peer_start(&p);
    assert_ok(peer_call(&p, peer_login));
    assert_int_equal(find_object(fx.session, CKO_DATA, "shared"), CK_INVALID_HANDLE);
    assert_ok(peer_call(&p, peer_make_object));
    CK_OBJECT_HANDLE object = find_object(fx.session, CKO_DATA, "shared");
    assert_blob(get_attribute(fx.session, object, CKA_VALUE), "value", 5);
    assert_ok(peer_call(&p, peer_destroy_object));
    CK_ATTRIBUTE attribute = {CKA_VALUE, NULL, 0};
    assert_rv(CKR_OBJECT_HANDLE_INVALID,
              p11->C_GetAttributeValue(fx.session, object, &attribute, 1));
    assert_int_equal(find_object(fx.session, CKO_DATA, "shared"), CK_INVALID_HANDLE);
    assert_ok(peer_call(&p, peer_make_session_object));
    assert_int_equal(find_object(fx.session, CKO_DATA, "own"), CK_INVALID_HANDLE);
    peer_stop(&p);
}

static void changed_attributes(void **state)
{
    (void)state;
    struct peer p;
    struct key_pair keys = keys_of(fx.session, "p256");
    peer_start(&p);
    assert_ok(peer_call(&p, peer_login));
    assert_ok(peer_call(&p, peer_rename_key));
    assert_blob(get_attribute(fx.session, keys.private, CKA_LABEL), "renamed", 7);
    sign(fx.session, MECHANISM(CKM_ECDSA), keys.private, "0123456789", 10);
    assert_ok(peer_call(&p, peer_rename_back));
    peer_stop(&p);
}

/* The TPM's three slots are shared: nobody runs out of them. */
static void work_at_the_same_time(void **state)
{
    (void)state;
    struct peer p[4];
    for (size_t i = 0; i < COUNT(p); i++) {
        peer_start(&p[i]);
        assert_ok(peer_call(&p[i], peer_login));
    }
    for (size_t i = 0; i < COUNT(p); i++)
        peer_send(&p[i], i == 0 ? peer_make_keys : peer_sign_100);
    struct key_pair ec = keys_of(fx.session, "p256"), rsa = keys_of(fx.session, "rsa2048");
    for (int i = 0; i < 20; i++) {
        sign(fx.session, MECHANISM(CKM_ECDSA), ec.private, "0123456789", 10);
        sign(fx.session, MECHANISM(CKM_RSA_PKCS), rsa.private, "0123456789", 10);
    }
    for (size_t i = 0; i < COUNT(p); i++) {
        assert_ok(peer_result(&p[i]));
        peer_stop(&p[i]);
    }
    CK_ATTRIBUTE made = ATTR_STR(CKA_LABEL, "by a peer");
    assert_int_equal(count_objects(fx.session, &made, 1), 10);
}

/* A killed process leaves its keys loaded in the TPM; the next one clears them away. */
static void killed_processes_leak_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++) {
        struct peer p;
        peer_start(&p);
        assert_ok(peer_call(&p, peer_login));
        peer_send(&p, peer_sign_for_ever);
        sleep_ms(30);
        peer_kill(&p);
        struct key_pair keys = keys_of(fx.session, "rsa2048");
        sign(fx.session, MECHANISM(CKM_RSA_PKCS), keys.private, "0123456789", 10);
    }
    assert_true(swtpm_handles(&fx.tpm, 0x80) <= 2);
    assert_true(swtpm_handles(&fx.tpm, 0x02) <= 1);
}

/* A new PIN made elsewhere: who is logged in stays so, and the old PIN is dead here as well. */
static void pin_changed_elsewhere(void **state)
{
    (void)state;
    struct peer p;
    peer_start(&p);
    assert_ok(peer_call(&p, peer_login));
    assert_ok(peer_call(&p, peer_set_pin));
    struct key_pair keys = keys_of(fx.session, "p256");
    sign(fx.session, MECHANISM(CKM_ECDSA), keys.private, "0123456789", 10);
    assert_ok(p11->C_Logout(fx.session));
    assert_rv(CKR_PIN_INCORRECT, login(fx.session, CKU_USER, USER_PIN));
    assert_ok(login(fx.session, CKU_USER, "new pin"));
    assert_ok(peer_call(&p, peer_set_pin_back));
    peer_stop(&p);
}

#define USER_TEST(f) cmocka_unit_test_setup_teardown(f, test_user, test_end)

int main(int argc, char **argv)
{
    peer_serve(argc, argv, steps, COUNT(steps));
    const struct CMUnitTest tests[] = {
        USER_TEST(objects_come_and_go),   USER_TEST(changed_attributes),
        USER_TEST(work_at_the_same_time), USER_TEST(killed_processes_leak_nothing),
        USER_TEST(pin_changed_elsewhere),
    };
    return cmocka_run_group_tests(tests, group_keys, group_end);
}
