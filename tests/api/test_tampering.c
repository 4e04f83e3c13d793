/* Keys in a store that somebody edited who knows no PIN (SECURITY.md): what the attributes say a
 * key may do holds, one key does not pass for another, and nothing crashes. */
#include "store_edit.h"

static const CK_BYTE digest[32] = {0xD1, 0x6E};

/* A token key pair on P-256. guarded: CKA_PRIVATE, CKA_ALWAYS_AUTHENTICATE. */
static struct key_pair make_pair(const char *label, bool guarded)
{
    struct blob curve = ec_params(NID_X9_62_prime256v1);
    CK_ATTRIBUTE public[] = {ATTR_MEM(CKA_EC_PARAMS, curve.p, curve.n), ATTR_BOOL(CKA_TOKEN, true),
                             ATTR_STR(CKA_ID, label), ATTR_STR(CKA_LABEL, label)};
    CK_ATTRIBUTE private[] = {
        ATTR_BOOL(CKA_TOKEN, true),      ATTR_STR(CKA_ID, label),
        ATTR_STR(CKA_LABEL, label),      ATTR_BOOL(CKA_SIGN, true),
        ATTR_BOOL(CKA_PRIVATE, guarded), ATTR_BOOL(CKA_SENSITIVE, true),
        ATTR_BOOL(CKA_DERIVE, true),     ATTR_BOOL(CKA_ALWAYS_AUTHENTICATE, guarded)};
    struct key_pair keys;
    assert_ok(p11->C_GenerateKeyPair(fx.session, MECHANISM(CKM_EC_KEY_PAIR_GEN), public,
                                     COUNT(public), private, COUNT(private), &keys.public,
                                     &keys.private));
    return keys;
}

static CK_RV try_sign(CK_OBJECT_HANDLE key)
{
    CK_BYTE signature[64];
    CK_ULONG n = sizeof signature;
    CK_RV rv = p11->C_SignInit(fx.session, MECHANISM(CKM_ECDSA), key);
    return rv != CKR_OK
               ? rv
               : p11->C_Sign(fx.session, (CK_BYTE_PTR)digest, sizeof digest, signature, &n);
}

static CK_RV try_derive(CK_OBJECT_HANDLE key, struct blob point)
{
    CK_ECDH1_DERIVE_PARAMS ecdh = {CKD_NULL, 0, NULL, point.n, point.p};
    CK_ATTRIBUTE template[] = {ATTR_BOOL(CKA_SENSITIVE, false), ATTR_BOOL(CKA_EXTRACTABLE, true)};
    CK_OBJECT_HANDLE derived;
    return p11->C_DeriveKey(fx.session, MECHANISM_WITH(CKM_ECDH1_DERIVE, ecdh), key, template,
                            COUNT(template), &derived);
}

static CK_RV rename_object(CK_OBJECT_HANDLE object, const char *label)
{
    CK_ATTRIBUTE template = ATTR_STR(CKA_LABEL, label);
    return p11->C_SetAttributeValue(fx.session, object, &template, 1);
}

/* ---- a private row dressed as a public one ------------------------------------------------- */

struct disguise {
    CK_OBJECT_HANDLE key;
    struct uid uid;
};

/* TPM2B_PUBLIC of a P-256 key ends in its point: size and 32 bytes, twice. */
static void put_point(struct field *pub, struct blob point)
{
    enum { COORDINATE = 32, DER = 3 };
    memcpy(pub->p + pub->n - 2 * COORDINATE - 2, point.p + DER, COORDINATE);
    memcpy(pub->p + pub->n - COORDINATE, point.p + DER + COORDINATE, COORDINATE);
}

/* A guarded key's row gets all that is not sealed of an unguarded one's, with its own public point
 * in it: what the TPM needs to load the key, and no rule in the way. */
static struct disguise disguise(void)
{
    static struct field pub, attrs;
    char sql[640];
    CK_OBJECT_HANDLE donor = make_pair("donor", false).private;
    struct key_pair victim = make_pair("victim", true);
    struct disguise d = {victim.private, uid_of(victim.private)};
    struct blob point = get_attribute(fx.session, victim.public, CKA_EC_POINT);
    struct uid from = uid_of(donor);
    assert_ok(try_sign(donor));
    read_field(from, "pub", &pub);
    put_point(&pub, point);
    read_field(from, "attrs", &attrs);
    replace_attribute(&attrs, CKA_EC_POINT, point.p, point.n);
    replace_attribute(&attrs, CKA_UNIQUE_ID, d.uid.hex, 32);
    snprintf(sql, sizeof sql,
             "UPDATE object SET private = 0, mac = NULL,"
             " (cka_class, cka_key_type, cka_id, cka_label) ="
             " (SELECT cka_class, cka_key_type, cka_id, cka_label FROM object WHERE uid = X'%s')"
             " WHERE uid = X'%s'",
             from.hex, d.uid.hex);
    edit(sql);
    write_field(d.uid, "pub", &pub);
    write_field(d.uid, "attrs", &attrs);
    return d;
}

static void assert_useless(CK_OBJECT_HANDLE key)
{
    struct blob point = get_attribute(fx.session, keys_of(fx.session, "p256").public, CKA_EC_POINT);
    assert_rv_either(CKR_DEVICE_ERROR, CKR_KEY_HANDLE_INVALID, try_sign(key));
    assert_rv_either(CKR_DEVICE_ERROR, CKR_KEY_HANDLE_INVALID, try_derive(key, point));
}

static void disguised_without_mac(void **state)
{
    (void)state;
    struct disguise d = disguise();
    assert_useless(d.key);
}

static void disguised_with_another_mac(void **state)
{
    (void)state;
    struct disguise d = disguise();
    static struct field mac;
    read_field(uid_of(make_pair("other", false).private), "mac", &mac);
    assert_int_equal(mac.n, 32);
    write_field(d.uid, "mac", &mac);
    assert_useless(d.key);
}

/* NSS changes CKA_ID of what it finds: no such change gives the forgery a right MAC. */
static void disguise_is_not_made_good(void **state)
{
    (void)state;
    struct disguise d = disguise();
    rename_object(d.key, "renamed");
    assert_useless(d.key);
}

static void disguised_before_login(void **state)
{
    (void)state;
    struct disguise d = disguise();
    assert_ok(p11->C_Logout(fx.session));
    CK_RV rv = try_sign(d.key);
    assert_true(rv == CKR_USER_NOT_LOGGED_IN || rv == CKR_KEY_HANDLE_INVALID ||
                rv == CKR_DEVICE_ERROR);
    rename_object(d.key, "renamed");
    assert_ok(login(fx.session, CKU_USER, USER_PIN));
    assert_useless(d.key);
}

/* The flag alone: neither does a sealed row become readable nor a public one private. */
static void flipped_flag(void **state)
{
    (void)state;
    CK_BYTE label[16];
    CK_ATTRIBUTE template = {CKA_LABEL, label, sizeof label};
    struct key_pair guarded = make_pair("sealed", true), open = make_pair("open", false);
    char sql[200];
    snprintf(sql, sizeof sql,
             "UPDATE object SET private = 1 - private WHERE uid IN (X'%s', X'%s', X'%s')",
             uid_of(guarded.private).hex, uid_of(open.private).hex, uid_of(open.public).hex);
    edit(sql);
    const CK_OBJECT_HANDLE objects[] = {guarded.private, open.private, open.public};
    for (size_t i = 0; i < COUNT(objects); i++)
        assert_rv(CKR_DEVICE_ERROR, p11->C_GetAttributeValue(fx.session, objects[i], &template, 1));
    assert_true(try_sign(guarded.private) != CKR_OK && try_sign(open.private) != CKR_OK);
    CK_ATTRIBUTE decoded[] = {ATTR_STR(CKA_LABEL, "open"), ATTR_BOOL(CKA_TOKEN, true),
                              ATTR_BOOL(CKA_MODIFIABLE, true)};
    assert_int_equal(count_objects(fx.session, decoded, COUNT(decoded)), 0);
}

/* ---- one key for another ------------------------------------------------------------------- */

static const char *const columns[] = {"cka_id", "cka_label"};

/* Whoever searches for one key must not sign with the other. */
static void swapped_columns(void **state)
{
    for (size_t i = 0; i < COUNT(columns); i++) {
        test_copy(state);
        struct key_pair a = make_pair("a", false), b = make_pair("b", false);
        struct key_pair c = generate_ec(fx.session, NID_X9_62_prime256v1, "c", true);
        struct key_pair d = generate_ec(fx.session, NID_X9_62_prime256v1, "d", true);
        swap_field(uid_of(a.private), uid_of(b.private), columns[i]);
        swap_field(uid_of(c.private), uid_of(d.private), columns[i]);
        static const char *const names[] = {"a", "b", "c", "d"};
        for (size_t k = 0; k < COUNT(names); k++) {
            CK_ATTRIBUTE by_id[] = {ATTR_ULONG(CKA_CLASS, CKO_PRIVATE_KEY),
                                    ATTR_STR(CKA_ID, names[k])};
            CK_OBJECT_HANDLE found[4];
            CK_ULONG n = 0;
            assert_ok(p11->C_FindObjectsInit(fx.session, by_id, COUNT(by_id)));
            assert_ok(p11->C_FindObjects(fx.session, found, COUNT(found), &n));
            assert_ok(p11->C_FindObjectsFinal(fx.session));
            for (CK_ULONG j = 0; j < n; j++)
                assert_rv_either(CKR_DEVICE_ERROR, CKR_KEY_HANDLE_INVALID, try_sign(found[j]));
        }
        test_end(state);
    }
}

/* A sealed row belongs to its object: another's content, or half of it, is refused. */
static void swapped_rows(void **state)
{
    static const char *const what[][2] = {
        {"attrs", "pub"}, {"attrs", NULL}, {"pub", NULL}, {"priv", NULL}};
    for (size_t i = 0; i < COUNT(what); i++) {
        test_copy(state);
        struct key_pair a = generate_ec(fx.session, NID_X9_62_prime256v1, "a", true);
        struct key_pair b = generate_ec(fx.session, NID_X9_62_prime256v1, "b", true);
        struct uid uid_a = uid_of(a.private), uid_b = uid_of(b.private);
        for (size_t k = 0; k < 2 && what[i][k] != NULL; k++)
            swap_field(uid_a, uid_b, what[i][k]);
        assert_rv(CKR_DEVICE_ERROR, try_sign(a.private));
        assert_rv(CKR_DEVICE_ERROR, try_sign(b.private));
        test_end(state);
    }
}

/* The whole of a row, search columns and all, under another's name or in another token. */
static void row_of_another_token(void **state)
{
    (void)state;
    char sql[400];
    struct uid here = uid_of(generate_ec(fx.session, NID_X9_62_prime256v1, "here", true).private);
    CK_SESSION_HANDLE session = fx.session;
    CK_SLOT_ID other = make_token("another", SO_PIN, USER_PIN);
    fx.session = open_session(other, CKF_RW_SESSION);
    assert_ok(login(fx.session, CKU_USER, USER_PIN));
    CK_OBJECT_HANDLE key = generate_ec(fx.session, NID_X9_62_prime256v1, "there", true).private;
    struct uid there = uid_of(key);
    assert_ok(try_sign(key));
    swap_field(here, there, "attrs");
    swap_field(here, there, "pub");
    swap_field(here, there, "priv");
    assert_rv(CKR_DEVICE_ERROR, try_sign(key));
    snprintf(sql, sizeof sql,
             "UPDATE object SET token = %lu, generation = (SELECT generation FROM"
             " token WHERE id = %lu) WHERE uid = X'%s'",
             other, other, here.hex);
    edit(sql);
    CK_ATTRIBUTE label = ATTR_STR(CKA_LABEL, "here");
    assert_int_equal(count_objects(fx.session, &label, 1), 0);
    fx.session = session;
    assert_int_equal(count_objects(fx.session, &label, 1), 1); /* the public key stayed */
}

/* ---- numbers that are none ----------------------------------------------------------------- */

static void drain(CK_OBJECT_HANDLE key, CK_MECHANISM_TYPE type, bool private)
{
    static CK_BYTE out[64 * 1024];
    CK_ULONG n = sizeof out;
    CK_MECHANISM *mechanism = MECHANISM(type);
    CK_BYTE_PTR in = (CK_BYTE_PTR)digest;
    CK_RV sign = p11->C_SignInit(fx.session, mechanism, key);
    if (sign == CKR_OK && (sign = p11->C_Sign(fx.session, in, 32, NULL, &n)) == CKR_OK)
        sign = p11->C_Sign(fx.session, in, 32, out, &n);
    n = sizeof out;
    CK_RV decrypt = p11->C_DecryptInit(fx.session, mechanism, key);
    if (decrypt == CKR_OK)
        decrypt = p11->C_Decrypt(fx.session, in, 32, out, &n);
    n = sizeof out;
    CK_RV encrypt = p11->C_EncryptInit(fx.session, mechanism, key);
    if (encrypt == CKR_OK && (encrypt = p11->C_Encrypt(fx.session, in, 32, NULL, &n)) == CKR_OK)
        encrypt = p11->C_Encrypt(fx.session, in, 32, out, &n);
    CK_RV verify = p11->C_VerifyInit(fx.session, mechanism, key);
    if (verify == CKR_OK)
        verify = p11->C_Verify(fx.session, in, 32, out, 256);
    assert_true(sign != CKR_OK && decrypt != CKR_OK && verify != CKR_OK);
    assert_true(encrypt != CKR_OK || !private);
}

/* CKA_MODULUS decides how much is padded and written: of a public row it can be anything. */
static void modulus_of_any_length(void **state)
{
    static const size_t lengths[] = {0, 1, 2049, 60000};
    static const CK_MECHANISM_TYPE types[] = {CKM_SHA256_RSA_PKCS, CKM_RSA_PKCS, CKM_RSA_X_509};
    static CK_BYTE modulus[60000];
    memset(modulus, 0xC1, sizeof modulus);
    CK_ULONG bits = 2048;
    CK_ATTRIBUTE public[] = {ATTR_MEM(CKA_MODULUS_BITS, &bits, sizeof bits),
                             ATTR_BOOL(CKA_TOKEN, true)};
    CK_ATTRIBUTE private[] = {ATTR_BOOL(CKA_TOKEN, true), ATTR_BOOL(CKA_PRIVATE, false)};
    for (size_t i = 0; i < COUNT(lengths); i++) {
        test_copy(state);
        struct key_pair keys;
        assert_ok(p11->C_GenerateKeyPair(fx.session, MECHANISM(CKM_RSA_PKCS_KEY_PAIR_GEN), public,
                                         COUNT(public), private, COUNT(private), &keys.public,
                                         &keys.private));
        const CK_OBJECT_HANDLE both[] = {keys.public, keys.private};
        for (size_t k = 0; k < COUNT(both); k++) {
            struct uid uid = uid_of(both[k]);
            forge_attribute(uid, CKA_MODULUS, modulus, lengths[i]);
            remove_mac(uid);
            for (size_t t = 0; t < COUNT(types); t++)
                drain(both[k], types[t], k == 1);
        }
        test_end(state);
    }
}

/* What is left of a row that was cut at any place is an error, not a crash. */
static void cut_attributes(void **state)
{
    (void)state;
    static struct field whole, cut;
    struct key_pair keys = make_pair("cut", false);
    struct uid uid = uid_of(keys.private);
    read_field(uid, "attrs", &whole);
    remove_mac(uid);
    for (size_t n = 0; n < whole.n; n += 7) {
        CK_BYTE label[16];
        CK_ATTRIBUTE template[] = {{CKA_LABEL, label, sizeof label}, {CKA_VALUE, NULL, 0}};
        cut = whole;
        cut.n = n;
        write_field(uid, "attrs", &cut);
        p11->C_GetAttributeValue(fx.session, keys.private, template, COUNT(template));
        assert_true(try_sign(keys.private) != CKR_OK);
    }
}

#define TAMPER_TEST(f) cmocka_unit_test_setup_teardown(f, test_copy, test_end)
#define COPIES_TEST(f) cmocka_unit_test_teardown(f, test_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TAMPER_TEST(disguised_without_mac),
        TAMPER_TEST(disguised_with_another_mac),
        TAMPER_TEST(disguise_is_not_made_good),
        TAMPER_TEST(disguised_before_login),
        TAMPER_TEST(flipped_flag),
        COPIES_TEST(swapped_columns),
        COPIES_TEST(swapped_rows),
        TAMPER_TEST(row_of_another_token),
        COPIES_TEST(modulus_of_any_length),
        TAMPER_TEST(cut_attributes),
    };
    return cmocka_run_group_tests(tests, group_keys, group_end);
}
