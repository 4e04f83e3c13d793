/* Public rows and notes in a store that somebody edited who knows no PIN (SECURITY.md): what was
 * written under a login is checked under a login, CKA_TRUSTED counts only so, and no number in the
 * store makes the module crash, hang or burn a try. */
#include "store_edit.h"

#include <openssl/x509.h>

static CK_RV read_label(CK_OBJECT_HANDLE object)
{
    CK_BYTE label[64];
    CK_ATTRIBUTE template = {CKA_LABEL, label, sizeof label};
    return p11->C_GetAttributeValue(fx.session, object, &template, 1);
}

static CK_RV set_label(CK_OBJECT_HANDLE object, const char *label)
{
    CK_ATTRIBUTE template = ATTR_STR(CKA_LABEL, label);
    return p11->C_SetAttributeValue(fx.session, object, &template, 1);
}

/* ---- certificates -------------------------------------------------------------------------- */

static struct blob make_certificate(const char *name)
{
    struct blob der = {0};
    CK_BYTE *end = der.p;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    X509_gmtime_adj(X509_getm_notBefore(x), 0);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                               (const unsigned char *)name, -1, -1, 0);
    X509_set_pubkey(x, key);
    assert_true(X509_sign(x, key, EVP_sha256()) > 0);
    der.n = (CK_ULONG)i2d_X509(x, &end);
    X509_free(x);
    EVP_PKEY_free(key);
    return der;
}

/* Made by the SO, as CKA_TRUSTED is the SO's to set; the user is logged in afterwards. */
static CK_OBJECT_HANDLE store_certificate(struct blob der, bool trusted)
{
    CK_ATTRIBUTE template[] = {
        ATTR_ULONG(CKA_CLASS, CKO_CERTIFICATE),
        ATTR_ULONG(CKA_CERTIFICATE_TYPE, CKC_X_509),
        ATTR_BOOL(CKA_TOKEN, true),
        ATTR_BOOL(CKA_TRUSTED, trusted),
        ATTR_MEM(CKA_VALUE, der.p, der.n),
        ATTR_MEM(CKA_SUBJECT, NULL, 0),
    };
    CK_OBJECT_HANDLE object;
    assert_ok(p11->C_Logout(fx.session));
    assert_ok(login(fx.session, CKU_SO, SO_PIN));
    assert_ok(p11->C_CreateObject(fx.session, template, COUNT(template), &object));
    assert_ok(p11->C_Logout(fx.session));
    assert_ok(login(fx.session, CKU_USER, USER_PIN));
    return object;
}

static CK_ULONG count_trusted(void)
{
    CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_CLASS, CKO_CERTIFICATE),
                               ATTR_BOOL(CKA_TRUSTED, true)};
    return count_objects(fx.session, template, COUNT(template));
}

static void assert_not_trusted(CK_OBJECT_HANDLE certificate)
{
    assert_int_equal(count_trusted(), 0);
    assert_false(get_bool(fx.session, certificate, CKA_TRUSTED));
}

/* What p11-kit and GnuTLS take for a trust anchor, at each login state. */
static void trust_needs_the_mac(void **state)
{
    (void)state;
    struct blob evil = make_certificate("evil");
    CK_OBJECT_HANDLE object = store_certificate(make_certificate("good"), true);
    assert_int_equal(count_trusted(), 1);
    assert_true(get_bool(fx.session, object, CKA_TRUSTED));
    struct uid uid = uid_of(object);
    forge_attribute(uid, CKA_VALUE, evil.p, evil.n);
    remove_mac(uid);
    assert_not_trusted(object);
    assert_ok(set_label(object, "a label of the user's")); /* which makes a new MAC */
    assert_not_trusted(object);
    assert_ok(p11->C_Logout(fx.session));
    assert_not_trusted(object);
    assert_ok(login(fx.session, CKU_SO, SO_PIN));
    assert_not_trusted(object);
}

static void trust_cannot_be_forged(void **state)
{
    (void)state;
    CK_OBJECT_HANDLE object = store_certificate(make_certificate("no anchor"), false);
    struct uid uid = uid_of(object);
    forge_attribute(uid, CKA_TRUSTED, &yes, 1);
    assert_int_equal(count_trusted(), 0); /* with the MAC of what it was */
    assert_rv(CKR_DEVICE_ERROR, read_label(object));
    remove_mac(uid);
    assert_not_trusted(object);
    assert_ok(p11->C_Logout(fx.session));
    assert_not_trusted(object);
    set_label(object, "by nobody");
    assert_ok(login(fx.session, CKU_USER, USER_PIN));
    assert_not_trusted(object);
}

static void swapped_value(void **state)
{
    (void)state;
    struct blob evil = make_certificate("evil");
    CK_OBJECT_HANDLE object = store_certificate(make_certificate("good"), true);
    struct uid uid = uid_of(object);
    forge_attribute(uid, CKA_VALUE, evil.p, evil.n);
    assert_rv(CKR_DEVICE_ERROR, read_label(object));
    assert_int_equal(count_trusted(), 0);
    assert_rv(CKR_DEVICE_ERROR, set_label(object, "renamed"));
}

/* ---- public keys --------------------------------------------------------------------------- */

static CK_RV try_verify(CK_OBJECT_HANDLE key, CK_MECHANISM_TYPE type)
{
    CK_RV rv = p11->C_VerifyInit(fx.session, MECHANISM(type), key);
    if (rv == CKR_OK)
        assert_ok(p11->C_VerifyInit(fx.session, NULL, CK_INVALID_HANDLE)); /* 3.0: cancels */
    return rv;
}

/* A signature of the attacker's key must not pass for one of ours. */
static void swapped_public_keys(void **state)
{
    (void)state;
    struct key_pair a = generate_ec(fx.session, NID_X9_62_prime256v1, "a", true);
    struct key_pair b = generate_ec(fx.session, NID_X9_62_prime256v1, "b", true);
    struct uid uid_a = uid_of(a.public), uid_b = uid_of(b.public);
    assert_ok(try_verify(a.public, CKM_ECDSA));
    swap_field(uid_a, uid_b, "attrs");
    assert_rv(CKR_DEVICE_ERROR, try_verify(a.public, CKM_ECDSA));
    swap_field(uid_a, uid_b, "mac"); /* the MAC knows whose row it is */
    assert_rv(CKR_DEVICE_ERROR, try_verify(a.public, CKM_ECDSA));
    assert_rv(CKR_DEVICE_ERROR, try_verify(b.public, CKM_ECDSA));
}

/* A MAC over attrs and pub in one stream would let the last attribute move over: a restriction
 * would be gone. */
static void moved_boundary(void **state)
{
    (void)state;
    static struct field attrs, pub;
    struct blob curve = ec_params(NID_X9_62_prime256v1);
    CK_MECHANISM_TYPE allowed = CKM_ECDSA;
    CK_ATTRIBUTE public[] = {ATTR_MEM(CKA_EC_PARAMS, curve.p, curve.n), ATTR_BOOL(CKA_TOKEN, true),
                             ATTR_MEM(CKA_ALLOWED_MECHANISMS, &allowed, sizeof allowed)};
    CK_ATTRIBUTE private[] = {ATTR_BOOL(CKA_TOKEN, true)};
    struct key_pair keys;
    assert_ok(p11->C_GenerateKeyPair(fx.session, MECHANISM(CKM_EC_KEY_PAIR_GEN), public,
                                     COUNT(public), private, COUNT(private), &keys.public,
                                     &keys.private));
    assert_rv(CKR_MECHANISM_INVALID, try_verify(keys.public, CKM_ECDSA_SHA256));
    struct uid uid = uid_of(keys.public);
    read_field(uid, "attrs", &attrs);
    size_t n, at = find_attribute(&attrs, CKA_ALLOWED_MECHANISMS, &n);
    pub.n = attrs.n - at;
    memcpy(pub.p, attrs.p + at, pub.n);
    attrs.n = at;
    write_field(uid, "attrs", &attrs);
    write_field(uid, "pub", &pub);
    assert_rv(CKR_DEVICE_ERROR, try_verify(keys.public, CKM_ECDSA_SHA256));
}

/* The search columns of a public row are under no MAC of their own. */
static void swapped_public_columns(void **state)
{
    (void)state;
    struct key_pair a = generate_ec(fx.session, NID_X9_62_prime256v1, "a", true);
    struct key_pair b = generate_ec(fx.session, NID_X9_62_prime256v1, "b", true);
    swap_field(uid_of(a.public), uid_of(b.public), "cka_label");
    CK_OBJECT_HANDLE found = find_object(fx.session, CKO_PUBLIC_KEY, "a");
    assert_true(found == CK_INVALID_HANDLE || try_verify(found, CKM_ECDSA) == CKR_DEVICE_ERROR);
}

/* ---- notes and numbers --------------------------------------------------------------------- */

static void assert_sane_mechanisms(void)
{
    CK_MECHANISM_TYPE types[256];
    CK_ULONG n = COUNT(types);
    assert_ok(p11->C_GetMechanismList(fx.slot, types, &n));
    assert_in_range(n, 1, COUNT(types));
    for (CK_ULONG i = 0; i < n; i++) {
        CK_MECHANISM_INFO info;
        assert_ok(p11->C_GetMechanismInfo(fx.slot, types[i], &info));
        assert_true(info.ulMinKeySize <= info.ulMaxKeySize);
        assert_in_range(info.ulMaxKeySize, 0, 8 * 32768); /* bits of a generic secret */
    }
}

/* "tpm-capabilities" is a cache that anybody with the file can fill. */
static void hostile_capabilities(void **state)
{
    static const char *const values[] = {
        "NULL",
        "X'01'",
        "X'00'",
        "X'01FFFFFFFFFFFFFFFFFFFFFFFF494246580000000000000000'", /* all bits of version 1 */
        "X'01000000000000000000000000494246580000000000000000'", /* none */
        "X'010000000F8000000080000000494246580000000000000000'",
        "X'02FFFFFFFFFFFFFFFFFFFFFFFF494246580000000000000000'",
        "randomblob(25)",
        "zeroblob(65536)",
    };
    char sql[200];
    for (size_t i = 0; i < COUNT(values); i++) {
        copy_the_store();
        snprintf(sql, sizeof sql, "UPDATE note SET value = %s WHERE key = 'tpm-capabilities'",
                 values[i]);
        edit(sql);
        assert_ok(initialize(store_parameters));
        assert_sane_mechanisms();
        fx.session = open_session(fx.slot, CKF_RW_SESSION);
        assert_ok(login(fx.session, CKU_USER, USER_PIN));
        sign(fx.session, MECHANISM(CKM_ECDSA), keys_of(fx.session, "p256").private, "x", 1);
        test_end(state);
    }
}

/* One round makes the TPM's user index a hash of the PIN, a great number of them a login of
 * minutes: both are refused before the TPM is asked, and cost no try. */
static void pin_rounds(void **state)
{
    static const char *const values[] = {"0", "1", "999", "1000001", "4000000000", "-1"};
    char sql[80];
    CK_UTF8CHAR label[32];
    pad_label(label, LABEL);
    for (size_t i = 0; i < COUNT(values); i++) {
        copy_the_store();
        snprintf(sql, sizeof sql, "UPDATE token SET pin_rounds = %s", values[i]);
        edit(sql);
        uint32_t before = swtpm_lockout_counter(&fx.tpm);
        assert_ok(initialize(store_parameters));
        assert_rv(CKR_DEVICE_ERROR, p11->C_InitToken(fx.slot, PIN(SO_PIN), label));
        CK_RV rv = p11->C_OpenSession(fx.slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL,
                                      &fx.session);
        if (rv == CKR_OK) {
            assert_rv(CKR_DEVICE_ERROR, login(fx.session, CKU_USER, USER_PIN));
            assert_rv(CKR_DEVICE_ERROR, login(fx.session, CKU_SO, SO_PIN));
            assert_rv(CKR_DEVICE_ERROR,
                      p11->C_SetPIN(fx.session, PIN(USER_PIN), PIN("another pin")));
        } else {
            assert_rv(CKR_DEVICE_ERROR, rv);
        }
        assert_int_equal(swtpm_lockout_counter(&fx.tpm), before);
        test_end(state);
    }
}

/* A number that the module itself sets is another matter than the one the PIN was set with: that is
 * a wrong authorization, and no worse than a wrong PIN. */
static void other_pin_rounds(void **state)
{
    (void)state;
    edit("UPDATE token SET pin_rounds = 1000");
    assert_ok(p11->C_Logout(fx.session));
    assert_rv(CKR_PIN_INCORRECT, login(fx.session, CKU_USER, USER_PIN));
}

static void to_hex(const CK_BYTE *p, size_t n, char *ret)
{
    for (size_t i = 0; i < n; i++)
        sprintf(ret + 2 * i, "%02X", p[i]);
}

/* The token's storage key is now one whose private half somebody else may have. named: with the
 * Name that goes with it (TPM 2.0 part 1, 16). */
static void replace_parent(bool named)
{
    static struct field public;
    char hex[1024] = "", name[80] = "", sql[1200];
    struct blob point = get_attribute(fx.session, keys_of(fx.session, "p256").public, CKA_EC_POINT);
    read_value("SELECT parent_public FROM token", &public);
    memcpy(public.p + public.n - 66, point.p + 3, 32);
    memcpy(public.p + public.n - 32, point.p + 35, 32);
    to_hex(public.p, public.n, hex);
    snprintf(sql, sizeof sql, "UPDATE token SET parent_public = X'%s'", hex);
    edit(sql);
    struct blob digest = openssl_digest("SHA256", public.p + 2, public.n - 2);
    to_hex(digest.p, digest.n, name);
    snprintf(sql, sizeof sql, "UPDATE token SET parent_name = X'000B%s'", name);
    if (named)
        edit(sql);
}

/* The TPM proves that it has the storage key before a PIN is used under a session salted to it. */
static void another_parent(void **state)
{
    for (int named = 0; named < 2; named++) {
        test_copy(state);
        uint32_t before = swtpm_lockout_counter(&fx.tpm);
        replace_parent(named);
        assert_ok(p11->C_Logout(fx.session));
        CK_RV rv = login(fx.session, CKU_USER, USER_PIN);
        assert_rv_either(CKR_DEVICE_ERROR, CKR_TOKEN_NOT_RECOGNIZED, rv);
        assert_int_equal(swtpm_lockout_counter(&fx.tpm), before);
        test_end(state);
    }
}

#define TAMPER_TEST(f) cmocka_unit_test_setup_teardown(f, test_copy, test_end)
#define COPIES_TEST(f) cmocka_unit_test_teardown(f, test_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TAMPER_TEST(trust_needs_the_mac),  TAMPER_TEST(trust_cannot_be_forged),
        TAMPER_TEST(swapped_value),        TAMPER_TEST(swapped_public_keys),
        TAMPER_TEST(moved_boundary),       TAMPER_TEST(swapped_public_columns),
        COPIES_TEST(hostile_capabilities), COPIES_TEST(pin_rounds),
        TAMPER_TEST(other_pin_rounds),     COPIES_TEST(another_parent),
    };
    return cmocka_run_group_tests(tests, group_keys, group_end);
}
