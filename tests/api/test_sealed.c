/* Keys that the TPM lacks or that are to be extractable: sealed in the store, used in software
 * (CKA_LATCHKEY_PROTECTION, include/latchkey/vendor.h). PKCS#11 3.1 sections 5.18.2, 5.18.1, 5.7.2,
 * 6.3; SECURITY.md: only this TPM with the PIN opens them, each for its own object only. */
#include "material.h"
#include "store_edit.h"

#include <latchkey/vendor.h>

/* ---- making them ----------------------------------------------------------------------------- */

static const struct kind {
    const char *label;
    CK_MECHANISM_TYPE mechanism;
    int nid;
    CK_ULONG bits;
    bool extractable;
} kinds[] = {
    {"ed25519", CKM_EC_EDWARDS_KEY_PAIR_GEN, NID_ED25519, 0, false},
    {"x25519", CKM_EC_MONTGOMERY_KEY_PAIR_GEN, NID_X25519, 0, false},
    {"ed448", CKM_EC_EDWARDS_KEY_PAIR_GEN, NID_ED448, 0, false},
    {"x448", CKM_EC_MONTGOMERY_KEY_PAIR_GEN, NID_X448, 0, false},
    {"rsa4096", CKM_RSA_PKCS_KEY_PAIR_GEN, 0, 4096, false},
    {"rsa1024", CKM_RSA_PKCS_KEY_PAIR_GEN, 0, 1024, true},
    {"p256", CKM_EC_KEY_PAIR_GEN, NID_X9_62_prime256v1, 0, true},
};

/* extra: one more attribute of the private key. */
static CK_RV try_pair(const struct kind *k, bool token, bool private_, CK_ATTRIBUTE extra,
                      struct key_pair *ret)
{
    struct blob curve = ec_params(k->nid);
    CK_ATTRIBUTE public[] = {
        k->bits ? (CK_ATTRIBUTE)ATTR_ULONG(CKA_MODULUS_BITS, k->bits)
                : (CK_ATTRIBUTE)ATTR_MEM(CKA_EC_PARAMS, curve.p, curve.n),
        ATTR_BOOL(CKA_TOKEN, token),
        ATTR_STR(CKA_LABEL, k->label),
    };
    CK_ATTRIBUTE private[] = {
        ATTR_BOOL(CKA_TOKEN, token),
        ATTR_STR(CKA_LABEL, k->label),
        ATTR_BOOL(CKA_PRIVATE, private_),
        ATTR_BOOL(CKA_DERIVE, k->bits == 0),
        ATTR_BOOL(CKA_EXTRACTABLE, k->extractable),
        extra,
    };
    return p11->C_GenerateKeyPair(fx.session, MECHANISM(k->mechanism), public, COUNT(public),
                                  private, COUNT(private) - !extra.ulValueLen, &ret->public,
                                  &ret->private);
}

static struct key_pair make_pair(const struct kind *k, bool token)
{
    struct key_pair keys;
    assert_ok(try_pair(k, token, true, (CK_ATTRIBUTE){0}, &keys));
    return keys;
}

static void assert_pair(struct key_pair keys)
{
    EVP_PKEY *key = openssl_key(fx.session, keys.public);
    assert_same_private(keys.private, key);
    EVP_PKEY_free(key);
}

static CK_RV try_secret(CK_KEY_TYPE type, CK_ULONG n, bool token, bool extractable,
                        CK_OBJECT_HANDLE *ret)
{
    CK_MECHANISM_TYPE mechanism = type == CKK_AES ? CKM_AES_KEY_GEN : CKM_GENERIC_SECRET_KEY_GEN;
    CK_ATTRIBUTE template[] = {
        ATTR_ULONG(CKA_VALUE_LEN, n),
        ATTR_BOOL(CKA_TOKEN, token),
        ATTR_BOOL(CKA_SENSITIVE, false),
        ATTR_BOOL(CKA_EXTRACTABLE, extractable),
    };
    return p11->C_GenerateKey(fx.session, MECHANISM(mechanism), template, COUNT(template), ret);
}

static void pairs_work(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(kinds); i++)
        for (int token = kinds[i].bits == 4096; token < 2; token++) {
            struct key_pair keys = make_pair(&kinds[i], token);
            assert_protection(keys.private, token ? "sealed" : "session");
            assert_pair(keys);
            assert_true(get_bool(fx.session, keys.private, CKA_LOCAL));
            assert_true(get_bool(fx.session, keys.private, CKA_ALWAYS_SENSITIVE));
            assert_int_equal(get_bool(fx.session, keys.private, CKA_NEVER_EXTRACTABLE),
                             !kinds[i].extractable);
            assert_int_equal(get_ulong(fx.session, keys.private, CKA_KEY_GEN_MECHANISM),
                             kinds[i].mechanism);
        }
}

/* What can be read of an extractable secret key is the key that works. */
static void secrets_work(void **state)
{
    (void)state;
    static const struct {
        CK_KEY_TYPE type;
        CK_ULONG n;
    } rows[] = {{CKK_AES, 16}, {CKK_AES, 24}, {CKK_GENERIC_SECRET, 20}, {CKK_GENERIC_SECRET, 300}};
    for (size_t i = 0; i < COUNT(rows); i++)
        for (int token = 0; token < 2; token++) {
            CK_OBJECT_HANDLE key;
            assert_ok(try_secret(rows[i].type, rows[i].n, token, true, &key));
            assert_protection(key, token ? "sealed" : "session");
            struct blob value = get_attribute(fx.session, key, CKA_VALUE);
            assert_int_equal(value.n, rows[i].n);
            assert_same_secret(key, value);
            assert_false(get_bool(fx.session, key, CKA_ALWAYS_SENSITIVE));
            assert_false(get_bool(fx.session, key, CKA_NEVER_EXTRACTABLE));
        }
}

static void next_process(void **state)
{
    (void)state;
    assert_ok(p11->C_Finalize(NULL));
    assert_ok(initialize(store_parameters));
    fx.session = open_session(fx.slot, CKF_RW_SESSION);
    assert_ok(login(fx.session, CKU_USER, USER_PIN));
}

static void they_outlive_the_process(void **state)
{
    CK_OBJECT_HANDLE aes;
    for (size_t i = 0; i < COUNT(kinds); i++)
        if (kinds[i].bits != 4096)
            make_pair(&kinds[i], true);
    assert_ok(try_secret(CKK_AES, 24, true, true, &aes));
    struct blob value = get_attribute(fx.session, aes, CKA_VALUE);
    struct uid uid = uid_of(aes);
    next_process(state);
    for (size_t i = 0; i < COUNT(kinds); i++)
        if (kinds[i].bits != 4096)
            assert_pair(keys_of(fx.session, kinds[i].label));
    CK_ATTRIBUTE by_uid = ATTR_MEM(CKA_UNIQUE_ID, uid.hex, 32);
    CK_ULONG n = 0;
    assert_ok(p11->C_FindObjectsInit(fx.session, &by_uid, 1));
    assert_ok(p11->C_FindObjects(fx.session, &aes, 1, &n));
    assert_ok(p11->C_FindObjectsFinal(fx.session));
    assert_int_equal(n, 1);
    assert_same_secret(aes, value);
}

/* A key without the flag, from hardware; the flag would be a lie for one that no TPM has. */
static void mechanisms_tell_the_truth(void **state)
{
    (void)state;
    static const struct {
        CK_MECHANISM_TYPE type;
        bool hardware;
    } rows[] = {{CKM_EDDSA, false},          {CKM_EC_EDWARDS_KEY_PAIR_GEN, false},
                {CKM_ECDSA, true},           {CKM_EC_MONTGOMERY_KEY_PAIR_GEN, false},
                {CKM_EC_KEY_PAIR_GEN, true}, {CKM_RSA_PKCS_KEY_PAIR_GEN, true},
                {CKM_AES_KEY_GEN, true},     {CKM_CONCATENATE_BASE_AND_DATA, false},
                {CKM_HKDF_DERIVE, false}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        CK_MECHANISM_INFO info;
        assert_ok(p11->C_GetMechanismInfo(fx.slot, rows[i].type, &info));
        assert_int_equal((info.flags & CKF_HW) != 0, rows[i].hardware);
    }
}

/* ---- rules ----------------------------------------------------------------------------------- */

/* sealed-keys = no (latchkey.conf(5)): none is made or kept for good, by no way; a session may. */
static void forbidden_by_configuration(void **state)
{
    (void)state;
    char parameters[160];
    struct key_pair keys = make_pair(&kinds[0], true), fleeting;
    CK_OBJECT_HANDLE object;
    CK_ATTRIBUTE keep = ATTR_BOOL(CKA_TOKEN, true), none = {0};
    static struct parts parts;
    EVP_PKEY *foreign = make_key("ED25519");
    snprintf(parameters, sizeof parameters, "%s sealed-keys=no", store_parameters);
    assert_ok(p11->C_Finalize(NULL));
    assert_ok(initialize(parameters));
    fx.session = open_session(fx.slot, CKF_RW_SESSION);
    assert_ok(login(fx.session, CKU_USER, USER_PIN));
    CK_ULONG before = count_objects(fx.session, &keep, 1);
    for (size_t i = 0; i < COUNT(kinds); i++)
        assert_rv(CKR_TEMPLATE_INCONSISTENT, try_pair(&kinds[i], true, true, none, &keys));
    assert_rv(CKR_TEMPLATE_INCONSISTENT, try_secret(CKK_AES, 32, true, true, &object));
    assert_ok(try_secret(CKK_AES, 32, true, false, &object)); /* in the TPM */
    assert_ok(p11->C_DestroyObject(fx.session, object));
    private_parts(foreign, &parts);
    assert_ok(create(&parts, &object));
    set_part(&parts, keep);
    assert_rv(CKR_TEMPLATE_INCONSISTENT, create(&parts, &object));
    assert_ok(try_pair(&kinds[0], false, true, none, &fleeting));
    assert_pair(fleeting);
    assert_rv(CKR_TEMPLATE_INCONSISTENT,
              p11->C_CopyObject(fx.session, fleeting.private, &keep, 1, &object));
    assert_int_equal(count_objects(fx.session, &keep, 1), before);
    EVP_PKEY_free(foreign);
}

/* 5.6.8: the SO works with public objects only; and he knows nothing that seals. */
static void not_for_the_so(void **state)
{
    (void)state;
    struct key_pair keys;
    assert_ok(p11->C_Logout(fx.session));
    assert_ok(login(fx.session, CKU_SO, SO_PIN));
    for (int private_ = 0; private_ < 2; private_++)
        assert_rv(CKR_USER_NOT_LOGGED_IN,
                  try_pair(&kinds[0], true, private_, (CK_ATTRIBUTE){0}, &keys));
}

/* 4.1.1: the attribute is the token's to say afterwards. */
static void protection_is_read_only(void **state)
{
    (void)state;
    struct key_pair keys = make_pair(&kinds[0], true);
    CK_ATTRIBUTE tpm = ATTR_STR(CKA_LATCHKEY_PROTECTION, "tpm");
    CK_OBJECT_HANDLE copy;
    assert_rv(CKR_ATTRIBUTE_READ_ONLY, p11->C_SetAttributeValue(fx.session, keys.private, &tpm, 1));
    assert_rv(CKR_ATTRIBUTE_READ_ONLY, p11->C_CopyObject(fx.session, keys.private, &tpm, 1, &copy));
    CK_BYTE room[8];
    tpm = (CK_ATTRIBUTE){CKA_LATCHKEY_PROTECTION, room, sizeof room};
    assert_rv(CKR_ATTRIBUTE_TYPE_INVALID,
              p11->C_GetAttributeValue(fx.session, keys.public, &tpm, 1));
}

/* Asked for, with a kind of key that the TPM has. */
static void on_request(void **state)
{
    (void)state;
    static const struct kind p256 = {"asked", CKM_EC_KEY_PAIR_GEN, NID_X9_62_prime256v1, 0, false};
    CK_ATTRIBUTE sealed = ATTR_STR(CKA_LATCHKEY_PROTECTION, "sealed"),
                 session = ATTR_STR(CKA_LATCHKEY_PROTECTION, "session"),
                 tpm = ATTR_STR(CKA_LATCHKEY_PROTECTION, "tpm");
    struct key_pair keys;
    assert_ok(try_pair(&p256, true, true, sealed, &keys));
    assert_protection(keys.private, "sealed");
    assert_pair(keys);
    assert_ok(try_pair(&p256, false, true, session, &keys));
    assert_protection(keys.private, "session");
    assert_pair(keys);
    assert_ok(try_pair(&p256, true, true, tpm, &keys));
    assert_protection(keys.private, "tpm");
    assert_rv(CKR_TEMPLATE_INCONSISTENT, try_pair(&p256, true, true, session, &keys));
    assert_rv(CKR_TEMPLATE_INCONSISTENT, try_pair(&p256, false, true, sealed, &keys));
    assert_rv(CKR_TEMPLATE_INCONSISTENT, try_pair(&kinds[0], true, true, tpm, &keys));
}

/* ---- copies ---------------------------------------------------------------------------------- */

static CK_OBJECT_HANDLE copy_to(CK_OBJECT_HANDLE object, bool token)
{
    CK_ATTRIBUTE where = ATTR_BOOL(CKA_TOKEN, token);
    CK_OBJECT_HANDLE copy;
    assert_ok(p11->C_CopyObject(fx.session, object, &where, 1, &copy));
    assert_protection(copy, token ? "sealed" : "session");
    assert_memory_not_equal(uid_of(copy).hex, uid_of(object).hex, 32);
    return copy;
}

/* Each copy is a key of its own: it works when the first is gone. */
static void copies(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(kinds); i++) {
        struct key_pair keys;
        if (kinds[i].bits == 4096)
            continue;
        keys = make_pair(&kinds[i], true);
        CK_OBJECT_HANDLE stored = keys.private, fleeting = copy_to(stored, false);
        assert_ok(p11->C_DestroyObject(fx.session, stored));
        CK_OBJECT_HANDLE again = copy_to(fleeting, true), twice = copy_to(again, true);
        assert_ok(p11->C_DestroyObject(fx.session, again));
        assert_pair((struct key_pair){keys.public, fleeting});
        assert_ok(p11->C_DestroyObject(fx.session, fleeting));
        assert_pair((struct key_pair){keys.public, twice});
        assert_true(get_bool(fx.session, twice, CKA_LOCAL));
        next_process(state);
        assert_pair(keys_of(fx.session, kinds[i].label));
    }
}

static void a_secret_copied(void **state)
{
    (void)state;
    CK_OBJECT_HANDLE key;
    CK_ATTRIBUTE hidden = ATTR_BOOL(CKA_SENSITIVE, true);
    assert_ok(try_secret(CKK_GENERIC_SECRET, 50, true, true, &key));
    struct blob value = get_attribute(fx.session, key, CKA_VALUE);
    CK_OBJECT_HANDLE copy = copy_to(copy_to(key, false), true);
    assert_ok(p11->C_DestroyObject(fx.session, key));
    assert_blob(get_attribute(fx.session, copy, CKA_VALUE), value.p, value.n);
    assert_ok(p11->C_CopyObject(fx.session, copy, &hidden, 1, &key));
    CK_ATTRIBUTE attribute = {CKA_VALUE, value.p, sizeof value.p};
    assert_rv(CKR_ATTRIBUTE_SENSITIVE, p11->C_GetAttributeValue(fx.session, key, &attribute, 1));
    assert_same_secret(key, get_attribute(fx.session, copy, CKA_VALUE));
}

/* ---- somebody edits the store ---------------------------------------------------------------- */

static CK_RV try_sign(CK_OBJECT_HANDLE key)
{
    CK_BYTE text[] = "text", signature[64];
    CK_ULONG n = sizeof signature;
    CK_RV rv = p11->C_SignInit(fx.session, MECHANISM(CKM_EDDSA), key);
    return rv != CKR_OK ? rv : p11->C_Sign(fx.session, text, sizeof text, signature, &n);
}

/* Two keys' values change places: each is used as neither. */
static void a_value_belongs_to_its_object(void **state)
{
    (void)state;
    struct key_pair a = make_pair(&kinds[0], true), b = make_pair(&kinds[0], true);
    struct uid uid_a = uid_of(a.private), uid_b = uid_of(b.private);
    CK_OBJECT_HANDLE copy = copy_to(a.private, true);
    struct uid uid_copy = uid_of(copy);
    swap_field(uid_a, uid_b, "priv");
    next_process(state);
    assert_rv(CKR_DEVICE_ERROR, try_sign(a.private));
    assert_rv(CKR_DEVICE_ERROR, try_sign(b.private));
    swap_field(uid_a, uid_b, "priv");
    next_process(state);
    assert_pair(a);
    assert_pair(b);
    swap_field(uid_a, uid_copy, "priv"); /* the same key, but not the same object */
    next_process(state);
    assert_rv(CKR_DEVICE_ERROR, try_sign(a.private));
    assert_rv(CKR_DEVICE_ERROR, try_sign(copy));
}

/* Not as a secret key's value either, nor as a TPM key's private part. */
static void a_value_of_another_kind(void **state)
{
    (void)state;
    CK_OBJECT_HANDLE aes;
    struct key_pair ed = make_pair(&kinds[0], true);
    assert_ok(try_secret(CKK_AES, 32, true, true, &aes));
    struct uid uid_ed = uid_of(ed.private), uid_aes = uid_of(aes);
    swap_field(uid_ed, uid_aes, "priv");
    next_process(state);
    CK_BYTE room[64];
    CK_ATTRIBUTE value = {CKA_VALUE, room, sizeof room};
    assert_rv(CKR_DEVICE_ERROR, try_sign(ed.private));
    assert_rv(CKR_DEVICE_ERROR, p11->C_GetAttributeValue(fx.session, aes, &value, 1));
    swap_field(uid_ed, uid_aes, "priv");
    struct key_pair tpm = generate_ec(fx.session, NID_X9_62_prime256v1, "tpm", true);
    swap_field(uid_ed, uid_of(tpm.private), "priv");
    next_process(state);
    assert_rv(CKR_DEVICE_ERROR, try_sign(ed.private));
    CK_BYTE digest[32] = {1}, signature[64];
    CK_ULONG n = sizeof signature;
    CK_RV rv = p11->C_SignInit(fx.session, MECHANISM(CKM_ECDSA), tpm.private);
    if (rv == CKR_OK)
        rv = p11->C_Sign(fx.session, digest, sizeof digest, signature, &n);
    assert_rv(CKR_DEVICE_ERROR, rv);
}

/* Every byte of the sealed value counts. */
static void a_spoilt_value(void **state)
{
    static struct field priv;
    struct key_pair keys = make_pair(&kinds[0], true);
    struct uid uid = uid_of(keys.private);
    read_field(uid, "priv", &priv);
    for (size_t at = 0; at < priv.n; at += priv.n / 7) {
        priv.p[at] ^= 0x10;
        write_field(uid, "priv", &priv);
        priv.p[at] ^= 0x10;
        next_process(state);
        assert_rv(CKR_DEVICE_ERROR, try_sign(keys.private));
    }
    priv.n /= 2;
    write_field(uid, "priv", &priv);
    next_process(state);
    assert_rv(CKR_DEVICE_ERROR, try_sign(keys.private));
}

/* A row that everybody sees bears the mark of a login: with other rules than the token gave it the
 * key is not used. */
static void a_row_without_its_mark(void **state)
{
    struct key_pair keys;
    CK_BBOOL not_sensitive = CK_FALSE, extractable = CK_TRUE;
    assert_ok(try_pair(&kinds[0], true, false, (CK_ATTRIBUTE){0}, &keys));
    struct uid uid = uid_of(keys.private);
    assert_pair(keys);
    forge_attribute(uid, CKA_SENSITIVE, &not_sensitive, 1);
    forge_attribute(uid, CKA_EXTRACTABLE, &extractable, 1);
    remove_mac(uid);
    next_process(state);
    CK_BYTE room[64];
    CK_ATTRIBUTE value = {CKA_VALUE, room, sizeof room};
    assert_rv(CKR_DEVICE_ERROR, try_sign(keys.private));
    assert_rv(CKR_DEVICE_ERROR, p11->C_GetAttributeValue(fx.session, keys.private, &value, 1));
    assert_true(value.ulValueLen == CK_UNAVAILABLE_INFORMATION);
    CK_OBJECT_HANDLE copy;
    CK_ATTRIBUTE fleeting = ATTR_BOOL(CKA_TOKEN, false);
    CK_RV rv = p11->C_CopyObject(fx.session, keys.private, &fleeting, 1, &copy);
    assert_rv_either(CKR_DEVICE_ERROR, CKR_USER_NOT_LOGGED_IN, rv);
}

/* ---- the end --------------------------------------------------------------------------------- */

/* C_InitToken (5.5.4) destroys all that can be destroyed; what was sealed before opens no more,
 * even put back. */
static void init_token_kills_them(void **state)
{
    static struct field old;
    CK_UTF8CHAR label[32];
    CK_SLOT_ID first = fx.slot;
    pad_label(label, "second");
    assert_ok(p11->C_Finalize(NULL));
    assert_ok(initialize(store_parameters));
    fx.slot = make_token("second", SO_PIN, USER_PIN);
    next_process(state);
    struct key_pair keys = make_pair(&kinds[0], true);
    read_field(uid_of(keys.private), "priv", &old);
    assert_ok(p11->C_CloseAllSessions(fx.slot));
    assert_ok(p11->C_InitToken(fx.slot, PIN(SO_PIN), label));
    fx.session = open_session(fx.slot, CKF_RW_SESSION);
    assert_ok(login(fx.session, CKU_SO, SO_PIN));
    assert_ok(p11->C_InitPIN(fx.session, PIN(USER_PIN)));
    next_process(state);
    assert_rv(CKR_KEY_HANDLE_INVALID, try_sign(keys.private));
    CK_ATTRIBUTE stored = ATTR_BOOL(CKA_TOKEN, true);
    assert_int_equal(count_objects(fx.session, &stored, 1), 0);
    keys = make_pair(&kinds[0], true);
    write_field(uid_of(keys.private), "priv", &old);
    next_process(state);
    assert_rv(CKR_DEVICE_ERROR, try_sign(keys.private));
    fx.slot = first;
}

#define COPY_TEST(f) cmocka_unit_test_setup_teardown(f, test_copy, test_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        COPY_TEST(pairs_work),
        COPY_TEST(secrets_work),
        COPY_TEST(they_outlive_the_process),
        COPY_TEST(mechanisms_tell_the_truth),
        COPY_TEST(forbidden_by_configuration),
        COPY_TEST(not_for_the_so),
        COPY_TEST(protection_is_read_only),
        COPY_TEST(on_request),
        COPY_TEST(copies),
        COPY_TEST(a_secret_copied),
        COPY_TEST(a_value_belongs_to_its_object),
        COPY_TEST(a_value_of_another_kind),
        COPY_TEST(a_spoilt_value),
        COPY_TEST(a_row_without_its_mark),
        COPY_TEST(init_token_kills_them),
    };
    return cmocka_run_group_tests(tests, group_token, group_end);
}
