/* The vendor interface's KeyRelease and KeyAdopt (latchkey/admin.h): a key out of a token and into
 * it again. What programs make of such a key: tests/cli/release.sh, adopt.sh. */
#include "keys.h"

#include <latchkey/admin.h>

static const CK_BYTE digest[32] = {0x5A};
static const char password[] = "a password, not to be seen";

struct released {
    CK_BYTE public[LATCHKEY_BLOB_MAX], private[LATCHKEY_BLOB_MAX];
    LATCHKEY_TPM_KEY key;
};

static LATCHKEY_ADMIN *admin(void)
{
    CK_INTERFACE *interface;
    assert_ok(p11_3->C_GetInterface((CK_UTF8CHAR_PTR)LATCHKEY_INTERFACE, NULL, &interface, 0));
    return interface->pFunctionList;
}

static CK_RV release(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key, struct released *r)
{
    r->key = (LATCHKEY_TPM_KEY){.pPublic = r->public,
                                .ulPublicLen = sizeof r->public,
                                .pPrivate = r->private,
                                .ulPrivateLen = sizeof r->private,
                                .pAuth = (CK_BYTE_PTR)password,
                                .ulAuthLen = strlen(password)};
    return admin()->KeyRelease(session, key, &r->key);
}

static struct key_pair with(CK_ATTRIBUTE more)
{
    struct blob params = ec_params(NID_X9_62_prime256v1);
    CK_ATTRIBUTE public[] = {ATTR_MEM(CKA_EC_PARAMS, params.p, params.n)};
    CK_ATTRIBUTE private[] = {more};
    struct key_pair keys;
    assert_ok(p11->C_GenerateKeyPair(fx.session, MECHANISM(CKM_EC_KEY_PAIR_GEN), public, 1, private,
                                     1, &keys.public, &keys.private));
    return keys;
}

/* The copy is the same key, also for a read-only session; neither leaves the bus readable. */
static void out_and_in(void **state)
{
    (void)state;
    static struct released r;
    CK_ATTRIBUTE label = ATTR_STR(CKA_LABEL, "in again");
    CK_OBJECT_HANDLE again;
    struct key_pair keys = keys_of(fx.session, "p256");
    CK_SESSION_HANDLE reader = open_session(fx.slot, 0);
    proxy_clear();
    assert_ok(release(reader, keys.private, &r));
    proxy_print("KeyRelease");
    assert_ok(admin()->KeyAdopt(fx.session, &r.key, &label, 1, &again));
    assert_false(proxy_carries(password, strlen(password)));
    struct blob signature = sign(fx.session, MECHANISM(CKM_ECDSA), again, digest, sizeof digest);
    assert_ok(
        verify(fx.session, MECHANISM(CKM_ECDSA), keys.public, digest, sizeof digest, signature));
    sign(fx.session, MECHANISM(CKM_ECDSA), keys.private, digest, sizeof digest);
    r.key.ulAuthLen--;
    assert_rv(CKR_PIN_INCORRECT, admin()->KeyAdopt(fx.session, &r.key, &label, 1, &again));
}

/* Not even where keys are used with their authorizations in clear. */
static void password_session(void **state)
{
    (void)state;
    static struct released r;
    assert_ok(p11->C_Finalize(NULL));
    assert_ok(initialize("session=password"));
    CK_SESSION_HANDLE session = open_session(fx.slot, 0);
    assert_ok(login(session, CKU_USER, USER_PIN));
    proxy_clear();
    assert_ok(release(session, keys_of(session, "p256").private, &r));
    assert_false(proxy_carries(password, strlen(password)));
}

/* 2.40, 5.2: conventions for functions returning output in a variable-length buffer. */
static void lengths(void **state)
{
    (void)state;
    static struct released r;
    CK_OBJECT_HANDLE key = keys_of(fx.session, "rsa2048").private;
    LATCHKEY_TPM_KEY ask = {.pAuth = NULL};
    proxy_clear();
    assert_ok(admin()->KeyRelease(fx.session, key, &ask));
    assert_int_equal(ask.ulPublicLen, LATCHKEY_BLOB_MAX);
    assert_int_equal(ask.ulPrivateLen, LATCHKEY_BLOB_MAX);
    ask = (LATCHKEY_TPM_KEY){.pPublic = r.public,
                             .ulPublicLen = sizeof r.public,
                             .pPrivate = r.private,
                             .ulPrivateLen = sizeof r.private - 1};
    assert_rv(CKR_BUFFER_TOO_SMALL, admin()->KeyRelease(fx.session, key, &ask));
    assert_int_equal(ask.ulPrivateLen, LATCHKEY_BLOB_MAX);
    assert_int_equal(proxy_count(), 0);
    assert_rv(CKR_ARGUMENTS_BAD, admin()->KeyRelease(fx.session, key, NULL));
    ask = (LATCHKEY_TPM_KEY){.pPublic = r.public, .ulPublicLen = sizeof r.public};
    assert_rv(CKR_ARGUMENTS_BAD, admin()->KeyRelease(fx.session, key, &ask));
    ask = (LATCHKEY_TPM_KEY){.pAuth = r.public, .ulAuthLen = 33};
    assert_rv(CKR_ARGUMENTS_BAD, admin()->KeyRelease(fx.session, key, &ask));
    assert_rv(CKR_KEY_HANDLE_INVALID, release(fx.session, CK_INVALID_HANDLE, &r));
    assert_rv(CKR_KEY_HANDLE_INVALID, release(fx.session, keys_of(fx.session, "p256").public, &r));
    assert_rv(CKR_SESSION_HANDLE_INVALID, release(CK_INVALID_HANDLE, key, &r));
}

/* Whoever is to have it, the token's user says. */
static void needs_the_user(void **state)
{
    (void)state;
    static struct released r;
    CK_OBJECT_HANDLE key = keys_of(fx.session, "p256").private;
    assert_ok(p11->C_Logout(fx.session));
    assert_rv(CKR_USER_NOT_LOGGED_IN, release(fx.session, key, &r));
    assert_ok(login(fx.session, CKU_SO, SO_PIN));
    assert_rv(CKR_USER_NOT_LOGGED_IN, release(fx.session, key, &r));
}

/* Conditions that only the token holds a key to, and keys that are none of the TPM's. */
static void what_stays(void **state)
{
    (void)state;
    static struct released r;
    static CK_MECHANISM_TYPE ecdsa[] = {CKM_ECDSA};
    CK_ATTRIBUTE conditions[] = {ATTR_BOOL(CKA_ALWAYS_AUTHENTICATE, true),
                                 ATTR_BOOL(CKA_WRAP_WITH_TRUSTED, true),
                                 ATTR_MEM(CKA_ALLOWED_MECHANISMS, ecdsa, sizeof ecdsa)};
    for (size_t i = 0; i < COUNT(conditions); i++)
        assert_rv(CKR_KEY_UNEXTRACTABLE, release(fx.session, with(conditions[i]).private, &r));
    CK_ATTRIBUTE extractable = ATTR_BOOL(CKA_EXTRACTABLE, true);
    assert_rv(CKR_KEY_NOT_WRAPPABLE, release(fx.session, with(extractable).private, &r));
    CK_ATTRIBUTE none = ATTR_BOOL(CKA_PRIVATE, true);
    assert_ok(release(fx.session, with(none).private, &r)); /* a session's, in the TPM */
}

/* 2.40, 5.6: a token object is made in a read-write session. */
static void in_needs_a_writer(void **state)
{
    (void)state;
    static struct released r;
    CK_ATTRIBUTE token = ATTR_BOOL(CKA_TOKEN, true);
    CK_OBJECT_HANDLE again;
    CK_SESSION_HANDLE reader = open_session(fx.slot, 0);
    assert_ok(release(reader, keys_of(fx.session, "p256").private, &r));
    assert_rv(CKR_SESSION_READ_ONLY, admin()->KeyAdopt(reader, &r.key, &token, 1, &again));
    CK_ATTRIBUTE extractable[] = {token, ATTR_BOOL(CKA_EXTRACTABLE, true)};
    assert_rv(CKR_TEMPLATE_INCONSISTENT,
              admin()->KeyAdopt(fx.session, &r.key, extractable, 2, &again));
}

static int group(void **state)
{
    group_token_proxied(state);
    test_user(state);
    generate_ec(fx.session, NID_X9_62_prime256v1, "p256", true);
    generate_rsa(fx.session, 2048, "rsa2048", true);
    return test_end(state);
}

#define USER_TEST(f) cmocka_unit_test_setup_teardown(f, test_user, test_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        USER_TEST(out_and_in),     USER_TEST(password_session), USER_TEST(lengths),
        USER_TEST(needs_the_user), USER_TEST(what_stays),       USER_TEST(in_needs_a_writer),
    };
    return cmocka_run_group_tests(tests, group, group_end);
}
