/* C_GetOperationState and C_SetOperationState: PKCS#11 3.0 sections 5.6.5 and 5.6.6; C_DigestKey:
 * 5.12.4. */
#include "secret_keys.h"

static CK_BYTE message[1000];

/* OpenSSL does not show the state of a SHA-3. */
static const struct {
    CK_MECHANISM_TYPE type;
    const char *name;
    bool saveable;
} digests[] = {
    {CKM_SHA_1, "SHA1", true},         {CKM_SHA224, "SHA224", true},
    {CKM_SHA256, "SHA256", true},      {CKM_SHA384, "SHA384", true},
    {CKM_SHA512, "SHA512", true},      {CKM_SHA3_224, "SHA3-224", false},
    {CKM_SHA3_256, "SHA3-256", false}, {CKM_SHA3_384, "SHA3-384", false},
    {CKM_SHA3_512, "SHA3-512", false},
};

static struct blob save(CK_SESSION_HANDLE session)
{
    struct blob state = {.n = sizeof state.p};
    assert_ok(p11->C_GetOperationState(session, state.p, &state.n));
    return state;
}

static CK_RV restore(CK_SESSION_HANDLE session, struct blob state)
{
    return p11->C_SetOperationState(session, state.p, state.n, 0, 0);
}

static void begin(CK_MECHANISM_TYPE type, CK_ULONG n)
{
    assert_ok(p11->C_DigestInit(fx.session, MECHANISM(type)));
    assert_ok(p11->C_DigestUpdate(fx.session, message, n));
}

static void finish(CK_SESSION_HANDLE session, const char *name, CK_ULONG from)
{
    struct blob got = {.n = sizeof got.p};
    struct blob want = openssl_digest(name, message, sizeof message);
    assert_ok(p11->C_DigestUpdate(session, message + from, sizeof message - from));
    assert_ok(p11->C_DigestFinal(session, got.p, &got.n));
    assert_blob(got, want.p, want.n);
}

/* ---- digests ------------------------------------------------------------------------------- */

/* Saved in the middle, the operation goes on; so does its copy in another session, twice. */
static void saved_and_restored(void **state)
{
    (void)state;
    static const CK_ULONG at[] = {0, 1, 63, 64, 65, 127, 128, 143, 144, 500, sizeof message};
    CK_SESSION_HANDLE other = open_session(fx.slot, 0);
    for (size_t i = 0; i < COUNT(digests); i++)
        for (size_t j = 0; j < COUNT(at) && digests[i].saveable; j++) {
            begin(digests[i].type, at[j]);
            struct blob saved = save(fx.session);
            finish(fx.session, digests[i].name, at[j]);
            for (int twice = 0; twice < 2; twice++) {
                assert_ok(restore(other, saved));
                finish(other, digests[i].name, at[j]);
            }
        }
}

/* Straight after Init: the one-part call is still open to it. */
static void before_any_data(void **state)
{
    (void)state;
    struct blob got = {.n = sizeof got.p}, want = openssl_digest("SHA256", message, 10);
    CK_SESSION_HANDLE other = open_session(fx.slot, 0);
    assert_ok(p11->C_DigestInit(fx.session, MECHANISM(CKM_SHA256)));
    assert_ok(restore(other, save(fx.session)));
    assert_ok(p11->C_Digest(other, message, 10, got.p, &got.n));
    assert_blob(got, want.p, want.n);
}

/* In another process, too: the same module, the same token. */
static void after_a_restart(void **state)
{
    begin(CKM_SHA512, 333);
    struct blob saved = save(fx.session);
    test_end(state);
    test_public(state);
    assert_ok(restore(fx.session, saved));
    finish(fx.session, "SHA512", 333);
}

static void length_protocol(void **state)
{
    (void)state;
    struct blob saved = {.n = 0};
    begin(CKM_SHA256, 10);
    assert_ok(p11->C_GetOperationState(fx.session, NULL, &saved.n));
    CK_ULONG all = saved.n;
    assert_in_range(all, 32, sizeof saved.p);
    saved.n = all - 1;
    assert_rv(CKR_BUFFER_TOO_SMALL, p11->C_GetOperationState(fx.session, saved.p, &saved.n));
    assert_int_equal(saved.n, all);
    assert_ok(p11->C_GetOperationState(fx.session, saved.p, &saved.n));
    assert_int_equal(saved.n, all);
    assert_rv(CKR_ARGUMENTS_BAD, p11->C_GetOperationState(fx.session, saved.p, NULL));
    finish(fx.session, "SHA256", 10);
}

/* 5.6.6: "any pending operations are lost": whatever is active is replaced. */
static void replaces_what_is_active(void **state)
{
    (void)state;
    CK_OBJECT_HANDLE key = import_key(fx.session, IN_SESSION, CKK_AES, message, 16);
    begin(CKM_SHA256, 77);
    struct blob saved = save(fx.session);
    assert_ok(p11->C_DigestUpdate(fx.session, message, 5));
    assert_ok(p11->C_EncryptInit(fx.session, MECHANISM(CKM_AES_ECB), key));
    assert_ok(restore(fx.session, saved));
    finish(fx.session, "SHA256", 77);
    assert_idle(fx.session);
}

/* ---- what cannot be saved ------------------------------------------------------------------ */

static CK_RV try_to_save(void)
{
    struct blob state = {.n = sizeof state.p};
    return p11->C_GetOperationState(fx.session, state.p, &state.n);
}

static void unsaveable(void **state)
{
    (void)state;
    CK_OBJECT_HANDLE aes = import_key(fx.session, IN_TPM, CKK_AES, message, 16);
    CK_OBJECT_HANDLE hmac = import_key(fx.session, IN_SESSION, CKK_GENERIC_SECRET, message, 16);
    CK_MECHANISM *ecb = MECHANISM(CKM_AES_ECB), *mac = MECHANISM(CKM_SHA256_HMAC);
    assert_rv(CKR_OPERATION_NOT_INITIALIZED, try_to_save());
    for (size_t i = 0; i < COUNT(digests); i++) {
        begin(digests[i].type, 10);
        assert_rv(digests[i].saveable ? CKR_OK : CKR_STATE_UNSAVEABLE, try_to_save());
        finish(fx.session, digests[i].name, 10); /* either way it goes on */
    }
    for (int with_digest = 0; with_digest < 2; with_digest++) {
        if (with_digest)
            begin(CKM_SHA256, 1);
        assert_ok(p11->C_EncryptInit(fx.session, ecb, aes));
        assert_rv(CKR_STATE_UNSAVEABLE, try_to_save());
        assert_ok(p11->C_EncryptInit(fx.session, NULL, 0));
        assert_ok(p11->C_DecryptInit(fx.session, ecb, aes));
        assert_rv(CKR_STATE_UNSAVEABLE, try_to_save());
        assert_ok(p11->C_DecryptInit(fx.session, NULL, 0));
        assert_ok(p11->C_SignInit(fx.session, mac, hmac));
        assert_rv(CKR_STATE_UNSAVEABLE, try_to_save());
        assert_ok(p11->C_SignInit(fx.session, NULL, 0));
        assert_ok(p11->C_VerifyInit(fx.session, mac, hmac));
        assert_rv(CKR_STATE_UNSAVEABLE, try_to_save());
        assert_ok(p11->C_VerifyInit(fx.session, NULL, 0));
        assert_ok(p11_3->C_MessageEncryptInit(fx.session, MECHANISM(CKM_AES_GCM), aes));
        assert_rv(CKR_STATE_UNSAVEABLE, try_to_save());
        assert_ok(p11_3->C_MessageEncryptFinal(fx.session));
    }
    assert_ok(try_to_save()); /* the digest alone */
    finish(fx.session, "SHA256", 1);
}

/* ---- what cannot be restored --------------------------------------------------------------- */

static void wrong_states(void **state)
{
    (void)state;
    begin(CKM_SHA256, 100);
    struct blob saved = save(fx.session);
    for (CK_ULONG i = 0; i < saved.n; i++) {
        saved.p[i] ^= 1;
        assert_rv(CKR_SAVED_STATE_INVALID, restore(fx.session, saved));
        saved.p[i] ^= 1;
    }
    for (CK_ULONG n = 0; n < saved.n; n++) {
        struct blob shorter = saved;
        shorter.n = n;
        assert_rv(CKR_SAVED_STATE_INVALID, restore(fx.session, shorter));
    }
    struct blob longer = saved;
    longer.n++;
    assert_rv(CKR_SAVED_STATE_INVALID, restore(fx.session, longer));
    assert_rv(CKR_ARGUMENTS_BAD, p11->C_SetOperationState(fx.session, NULL, saved.n, 0, 0));
    /* none of it touched what is active */
    finish(fx.session, "SHA256", 100);
}

static void keys_not_needed(void **state)
{
    (void)state;
    CK_OBJECT_HANDLE key = import_key(fx.session, IN_SESSION, CKK_AES, message, 16);
    begin(CKM_SHA256, 100);
    struct blob saved = save(fx.session);
    assert_rv(CKR_KEY_NOT_NEEDED, p11->C_SetOperationState(fx.session, saved.p, saved.n, key, 0));
    assert_rv(CKR_KEY_NOT_NEEDED, p11->C_SetOperationState(fx.session, saved.p, saved.n, 0, key));
    finish(fx.session, "SHA256", 100);
}

/* ---- C_DigestKey --------------------------------------------------------------------------- */

static void digest_key(void **state)
{
    (void)state;
    static const enum place places[] = {IN_SESSION, SEALED};
    CK_BYTE value[100], all[200];
    fill(value, sizeof value, 3);
    for (size_t i = 0; i < 2 * COUNT(digests); i++) {
        struct blob got = {.n = sizeof got.p};
        CK_OBJECT_HANDLE key =
            import_key(fx.session, places[i % 2], CKK_GENERIC_SECRET, value, sizeof value);
        memcpy(all, message, 50);
        memcpy(all + 50, value, 100);
        memcpy(all + 150, message, 50);
        struct blob want = openssl_digest(digests[i / 2].name, all, sizeof all);
        begin(digests[i / 2].type, 50);
        assert_ok(p11->C_DigestKey(fx.session, key));
        assert_ok(p11->C_DigestUpdate(fx.session, message, 50));
        assert_ok(p11->C_DigestFinal(fx.session, got.p, &got.n));
        assert_blob(got, want.p, want.n);
    }
}

/* It begins a multi-part operation, and its state is as secret as the key. */
static void after_digest_key(void **state)
{
    (void)state;
    struct blob out = {.n = sizeof out.p};
    CK_OBJECT_HANDLE key = import_key(fx.session, IN_SESSION, CKK_AES, message, 16);
    assert_ok(p11->C_DigestInit(fx.session, MECHANISM(CKM_SHA256)));
    assert_ok(p11->C_DigestKey(fx.session, key));
    assert_rv(CKR_STATE_UNSAVEABLE, try_to_save());
    assert_rv(CKR_OPERATION_ACTIVE, p11->C_Digest(fx.session, message, 1, out.p, &out.n));
    assert_idle(fx.session);
}

static void indigestible(void **state)
{
    (void)state;
    struct key_pair rsa = generate_rsa(fx.session, 2048, "rsa", false);
    CK_OBJECT_HANDLE aes = import_key(fx.session, IN_TPM, CKK_AES, message, 16);
    CK_OBJECT_HANDLE hmac = import_key(fx.session, IN_SESSION_TPM, CKK_GENERIC_SECRET, message, 16);
    const struct {
        CK_RV rv;
        CK_OBJECT_HANDLE key;
    } rows[] = {{CKR_KEY_INDIGESTIBLE, aes},        {CKR_KEY_INDIGESTIBLE, hmac},
                {CKR_KEY_INDIGESTIBLE, rsa.public}, {CKR_KEY_INDIGESTIBLE, rsa.private},
                {CKR_KEY_HANDLE_INVALID, 0},        {CKR_KEY_HANDLE_INVALID, 0x7FFFFFFF}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_rv(CKR_OPERATION_NOT_INITIALIZED, p11->C_DigestKey(fx.session, rows[i].key));
        assert_ok(p11->C_DigestInit(fx.session, MECHANISM(CKM_SHA256)));
        assert_rv(rows[i].rv, p11->C_DigestKey(fx.session, rows[i].key));
        assert_idle(fx.session);
    }
}

static int group_message(void **state)
{
    fill(message, sizeof message, 11);
    return group_token(state);
}

#define PUBLIC_TEST(f) cmocka_unit_test_setup_teardown(f, test_public, test_end)
#define USER_TEST(f)   cmocka_unit_test_setup_teardown(f, test_user, test_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PUBLIC_TEST(saved_and_restored),
        PUBLIC_TEST(before_any_data),
        PUBLIC_TEST(after_a_restart),
        PUBLIC_TEST(length_protocol),
        USER_TEST(replaces_what_is_active),
        USER_TEST(unsaveable),
        PUBLIC_TEST(wrong_states),
        USER_TEST(keys_not_needed),
        USER_TEST(digest_key),
        USER_TEST(after_digest_key),
        USER_TEST(indigestible),
    };
    return cmocka_run_group_tests(tests, group_message, group_end);
}
