/* Another process keeps the database locked for longer than anybody waits: an error that says so,
 * nothing half-made, and everything that only reads goes on. */
#include "keys.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>

#define TPM_CC_NV_WRITE 0x137
#define NV_INDICES      0x01

static sqlite3 *other;

static void lock_store(void)
{
    char path[100];
    snprintf(path, sizeof path, "%s/store.db", fx.store);
    if (sqlite3_open(path, &other) != SQLITE_OK ||
        sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK) {
        print_error("%s cannot be locked: %s\n", path, sqlite3_errmsg(other));
        exit(EXIT_FAILURE);
    }
}

static void unlock_store(void)
{
    sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL);
    sqlite3_close(other);
}

/* Longer than one call into the database waits, not longer than two: whoever goes on after the
 * first finds the way free. */
#define LOCKED_FOR 7000

static void *unlock_later(void *unused)
{
    (void)unused;
    sleep_ms(LOCKED_FOR);
    unlock_store();
    return NULL;
}

static CK_RV init_token(CK_SLOT_ID slot, const char *label)
{
    CK_UTF8CHAR padded[32];
    pad_label(padded, label);
    return p11->C_InitToken(slot, PIN(SO_PIN), padded);
}

static CK_RV init_while_locked(CK_SLOT_ID slot, const char *label)
{
    pthread_t thread;
    lock_store();
    assert_int_equal(pthread_create(&thread, NULL, unlock_later, NULL), 0);
    CK_RV rv = init_token(slot, label);
    pthread_join(thread, NULL);
    return rv;
}

/* The TPM can make indices, so a store that cannot be written is no reason for sealed PINs, which
 * are weaker: nothing is made. */
static void init_token_on_a_blank_slot(void **state)
{
    (void)state;
    CK_SLOT_ID slot = blank_slot();
    CK_ULONG tokens = 0;
    unsigned indices = swtpm_handles(&fx.tpm, NV_INDICES);
    assert_rv(CKR_DEVICE_ERROR, init_while_locked(slot, "locked out"));
    assert_int_equal(swtpm_handles(&fx.tpm, NV_INDICES), indices);
    assert_ok(p11->C_GetSlotList(CK_TRUE, NULL, &tokens));
    assert_int_equal(tokens, 1);
    assert_int_equal(blank_slot(), slot);
}

static void assert_token_is_whole(void)
{
    CK_SESSION_HANDLE session = open_session(fx.slot, CKF_RW_SESSION);
    assert_ok(login(session, CKU_USER, USER_PIN));
    sign(session, MECHANISM(CKM_ECDSA), keys_of(session, "p256").private, "0123456789", 10);
    assert_ok(p11->C_CloseSession(session));
}

static void init_token_again(void **state)
{
    (void)state;
    unsigned indices = swtpm_handles(&fx.tpm, NV_INDICES);
    assert_rv(CKR_DEVICE_ERROR, init_while_locked(fx.slot, "renamed"));
    assert_int_equal(swtpm_handles(&fx.tpm, NV_INDICES), indices);
    assert_token_is_whole();
}

static void *lock_when_the_tpm_is_busy(void *unused)
{
    (void)unused;
    while (!proxy_fault_struck())
        sleep_ms(1);
    lock_store();
    return NULL;
}

/* The lock comes when the indices are there and the switch is not: they go again. */
static void lock_before_the_switch(void **state)
{
    (void)state;
    pthread_t thread;
    unsigned indices = swtpm_handles(&fx.tpm, NV_INDICES);
    proxy_fault(PROXY_DELAY, TPM_CC_NV_WRITE, 2, 300);
    assert_int_equal(pthread_create(&thread, NULL, lock_when_the_tpm_is_busy, NULL), 0);
    CK_RV rv = init_token(fx.slot, "renamed");
    pthread_join(thread, NULL);
    unlock_store();
    assert_rv(CKR_DEVICE_ERROR, rv);
    assert_int_equal(swtpm_handles(&fx.tpm, NV_INDICES), indices);
    assert_token_is_whole();
    assert_ok(init_token(blank_slot(), "another"));
    assert_int_equal(swtpm_handles(&fx.tpm, NV_INDICES), indices + 2);
}

static void readers_go_on(void **state)
{
    (void)state;
    CK_ATTRIBUTE data[] = {ATTR_ULONG(CKA_CLASS, CKO_DATA), ATTR_BOOL(CKA_TOKEN, true),
                           ATTR_STR(CKA_LABEL, "not kept")};
    CK_OBJECT_HANDLE object;
    lock_store();
    assert_token_is_whole();
    CK_SESSION_HANDLE session = open_session(fx.slot, CKF_RW_SESSION);
    assert_rv(CKR_DEVICE_ERROR, p11->C_CreateObject(session, data, COUNT(data), &object));
    unlock_store();
    assert_int_equal(find_object(session, CKO_DATA, "not kept"), CK_INVALID_HANDLE);
    assert_ok(p11->C_CreateObject(session, data, COUNT(data), &object));
}

static int group_locked(void **state)
{
    group_token_proxied(state);
    test_user(state);
    generate_ec(fx.session, NID_X9_62_prime256v1, "p256", true);
    return test_end(state);
}

#define LOCKED_TEST(f) cmocka_unit_test_setup_teardown(f, test_initialized, test_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOCKED_TEST(init_token_on_a_blank_slot),
        LOCKED_TEST(init_token_again),
        LOCKED_TEST(lock_before_the_switch),
        LOCKED_TEST(readers_go_on),
    };
    return cmocka_run_group_tests(tests, group_locked, group_end);
}
