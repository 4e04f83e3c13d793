/* Each value of a row in a store that somebody edited who knows no PIN (SECURITY.md): changed, or
 * exchanged with another of the same object. What a key may do and what it is, is what its maker
 * said, or the key is not used. */
#include "store_edit.h"

/* A token key on P-256 whose row is in clear, under its MAC (private_: sealed). */
static CK_OBJECT_HANDLE make_private_key(bool private_)
{
    struct blob curve = ec_params(NID_X9_62_prime256v1);
    CK_MECHANISM_TYPE allowed = CKM_ECDSA;
    CK_ATTRIBUTE public[] = {ATTR_MEM(CKA_EC_PARAMS, curve.p, curve.n)};
    CK_ATTRIBUTE private[] = {ATTR_BOOL(CKA_TOKEN, true),
                              ATTR_BOOL(CKA_PRIVATE, private_),
                              ATTR_STR(CKA_LABEL, "key"),
                              ATTR_STR(CKA_ID, "id"),
                              ATTR_BOOL(CKA_SIGN, true),
                              ATTR_BOOL(CKA_DERIVE, false),
                              ATTR_MEM(CKA_ALLOWED_MECHANISMS, &allowed, sizeof allowed)};
    struct key_pair keys;
    assert_ok(p11->C_GenerateKeyPair(fx.session, MECHANISM(CKM_EC_KEY_PAIR_GEN), public,
                                     COUNT(public), private, COUNT(private), &keys.public,
                                     &keys.private));
    return keys.private;
}

static CK_RV try_sign(CK_OBJECT_HANDLE key, CK_MECHANISM_TYPE type)
{
    CK_BYTE digest[32] = {1}, signature[64];
    CK_ULONG n = sizeof signature;
    CK_RV rv = p11->C_SignInit(fx.session, MECHANISM(type), key);
    return rv != CKR_OK ? rv : p11->C_Sign(fx.session, digest, sizeof digest, signature, &n);
}

/* ---- attributes in clear ------------------------------------------------------------------- */

static CK_ULONG secret_class = CKO_SECRET_KEY, generic = CKK_GENERIC_SECRET;
static CK_MECHANISM_TYPE other_mechanism = CKM_ECDSA_SHA256;

static const CK_ATTRIBUTE forged[] = {
    {CKA_LOCAL, &no, 1},
    {CKA_ALWAYS_SENSITIVE, &no, 1},
    {CKA_NEVER_EXTRACTABLE, &no, 1},
    {CKA_SENSITIVE, &no, 1},
    {CKA_EXTRACTABLE, &yes, 1},
    {CKA_DERIVE, &yes, 1},
    {CKA_SIGN, &no, 1},
    {CKA_MODIFIABLE, &no, 1},
    {CKA_COPYABLE, &no, 1},
    {CKA_DESTROYABLE, &no, 1},
    {CKA_WRAP_WITH_TRUSTED, &yes, 1},
    {CKA_ALLOWED_MECHANISMS, &other_mechanism, sizeof other_mechanism},
    {CKA_ALLOWED_MECHANISMS, NULL, 0},
    {CKA_CLASS, &secret_class, sizeof secret_class},
    {CKA_KEY_TYPE, &generic, sizeof generic},
    {CKA_LABEL, (CK_UTF8CHAR[]){"yek"}, 3},
    {CKA_ID, (CK_UTF8CHAR[]){"di"}, 2},
};

/* The form of numbers in a row is big-endian: turned here. */
static void forge(struct uid uid, const CK_ATTRIBUTE *a)
{
    CK_BYTE value[8];
    bool number = a->ulValueLen == sizeof(CK_ULONG);
    for (size_t i = 0; i < sizeof value && number; i++)
        value[i] = (CK_BYTE)(*(CK_ULONG *)a->pValue >> (56 - 8 * i));
    forge_attribute(uid, a->type, number ? value : a->pValue, a->ulValueLen);
}

/* With the MAC that was there, and with none: then nobody vouches for the row, and no key of the
 * TPM works through it. */
static void forged_attributes(void **state)
{
    (void)state;
    static struct field whole, mac;
    CK_OBJECT_HANDLE key = make_private_key(false);
    struct uid uid = uid_of(key);
    read_field(uid, "attrs", &whole);
    read_field(uid, "mac", &mac);
    for (size_t i = 0; i < COUNT(forged); i++) {
        CK_BYTE label[8];
        CK_ATTRIBUTE template = {CKA_LABEL, label, sizeof label};
        forge(uid, &forged[i]);
        assert_rv(CKR_DEVICE_ERROR, p11->C_GetAttributeValue(fx.session, key, &template, 1));
        assert_rv(CKR_DEVICE_ERROR, try_sign(key, CKM_ECDSA));
        remove_mac(uid);
        assert_true(try_sign(key, CKM_ECDSA) != CKR_OK);
        assert_true(try_sign(key, CKM_ECDSA_SHA256) != CKR_OK);
        write_field(uid, "attrs", &whole);
        write_field(uid, "mac", &mac);
        assert_ok(try_sign(key, CKM_ECDSA));
    }
}

/* ---- a private row's values ---------------------------------------------------------------- */

static const char *const changes[] = {
    "attrs = pub",
    "pub = attrs",
    "attrs = priv",
    "priv = pub",
    "pub = priv",
    "attrs = pub, pub = attrs",
    "priv = pub, pub = priv",
    "attrs = NULL",
    "pub = NULL",
    "priv = NULL",
    "attrs = substr(attrs, 1, length(attrs) - 1)",
    "attrs = zeroblob(length(attrs))",
    "pub = zeroblob(length(pub))",
    "priv = zeroblob(length(priv))",
    "cka_id = cka_label",
    "cka_label = NULL",
    "cka_class = zeroblob(8)",
};

static void private_rows(void **state)
{
    char sql[200];
    for (size_t i = 0; i < COUNT(changes); i++) {
        test_copy(state);
        CK_OBJECT_HANDLE key = make_private_key(true); /* not yet loaded into the TPM */
        snprintf(sql, sizeof sql, "UPDATE object SET %s WHERE uid = X'%s'", changes[i],
                 uid_of(key).hex);
        edit(sql);
        CK_RV rv = try_sign(key, CKM_ECDSA);
        if (rv == CKR_OK)
            fail_msg("%s: the key is used", changes[i]);
        test_end(state);
    }
}

/* ---- sealed values ------------------------------------------------------------------------- */

static CK_OBJECT_HANDLE make_sealed(void)
{
    CK_OBJECT_HANDLE key;
    CK_ULONG n = 32;
    CK_ATTRIBUTE template[] = {ATTR_MEM(CKA_VALUE_LEN, &n, sizeof n), ATTR_BOOL(CKA_TOKEN, true),
                               ATTR_BOOL(CKA_EXTRACTABLE, true), ATTR_BOOL(CKA_SENSITIVE, false),
                               ATTR_BOOL(CKA_ENCRYPT, true)};
    assert_ok(p11->C_GenerateKey(fx.session, MECHANISM(CKM_AES_KEY_GEN), template, COUNT(template),
                                 &key));
    return key;
}

static CK_RV try_encrypt(CK_OBJECT_HANDLE key)
{
    CK_BYTE block[16] = {0};
    CK_ULONG n = sizeof block;
    CK_RV rv = p11->C_EncryptInit(fx.session, MECHANISM(CKM_AES_ECB), key);
    return rv != CKR_OK ? rv : p11->C_Encrypt(fx.session, block, sizeof block, block, &n);
}

/* A key's value belongs to its object, and is no other of its values. */
static void sealed_values(void **state)
{
    (void)state;
    static struct field attrs;
    CK_OBJECT_HANDLE a = make_sealed(), b = make_sealed(), c = make_sealed();
    assert_ok(try_encrypt(a));
    swap_field(uid_of(a), uid_of(b), "priv");
    read_field(uid_of(c), "attrs", &attrs);
    write_field(uid_of(c), "priv", &attrs);
    const CK_OBJECT_HANDLE keys[] = {a, b, c};
    for (size_t i = 0; i < COUNT(keys); i++)
        assert_rv(CKR_DEVICE_ERROR, try_encrypt(keys[i]));
}

/* ---- the token's row ----------------------------------------------------------------------- */

/* The right PIN: refused, or taken as a wrong one once, and no more; the token is as it was when
 * the row is as it was. */
static void token_row(void **state)
{
    static const char *const edits[] = {
        "uid = zeroblob(16)",
        "generation = generation + 1",
        "check_value = zeroblob(length(check_value))",
        "user_nv = so_nv, user_nv_name = so_nv_name, so_nv = user_nv, so_nv_name = user_nv_name",
        "user_nv = so_nv",
        "user_nv_name = so_nv_name",
        "user_nv = 0, user_nv_name = NULL",
        "user_nv = 0x01C00002",
        "parent = 0x81000099",
        "parent_name = zeroblob(34)",
        "parent_public = NULL",
    };
    char sql[240];
    for (size_t i = 0; i < COUNT(edits); i++) {
        copy_the_store();
        snprintf(sql, sizeof sql, "UPDATE token SET %s", edits[i]);
        edit(sql);
        uint32_t before = swtpm_lockout_counter(&fx.tpm);
        assert_ok(initialize(store_parameters));
        CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
        if (p11->C_OpenSession(fx.slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL,
                               &fx.session) == CKR_OK &&
            login(fx.session, CKU_USER, USER_PIN) == CKR_OK)
            key = keys_of(fx.session, "p256").private;
        if (key != CK_INVALID_HANDLE && try_sign(key, CKM_ECDSA) == CKR_OK && i != 1)
            fail_msg("%s: works", edits[i]);
        assert_in_range(swtpm_lockout_counter(&fx.tpm), before, before + 1);
        test_end(state);
    }
    test_copy(state);
    assert_ok(try_sign(keys_of(fx.session, "p256").private, CKM_ECDSA));
}

#define TAMPER_TEST(f) cmocka_unit_test_setup_teardown(f, test_copy, test_end)
#define COPIES_TEST(f) cmocka_unit_test_teardown(f, test_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TAMPER_TEST(forged_attributes),
        COPIES_TEST(private_rows),
        TAMPER_TEST(sealed_values),
        COPIES_TEST(token_row),
    };
    return cmocka_run_group_tests(tests, group_keys, group_end);
}
