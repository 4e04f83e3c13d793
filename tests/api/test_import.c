/* C_CreateObject of private and secret keys: PKCS#11 3.1 sections 4.1.1, 4.9, 4.10, 5.7.1, 6.1.3
 * (RSA), 6.3.4 to 6.3.8 (EC, Edwards, Montgomery), 6.8.2 (generic secret), 6.10.2 (AES). libcrypto
 * makes the keys and says whether the module has the same ones. */
#include "material.h"

#include <openssl/x509.h>
#include <stdio.h>

#include <latchkey/vendor.h>

static struct parts parts;

static void set_bool(CK_ATTRIBUTE_TYPE type, bool value)
{
    set_part(&parts, (CK_ATTRIBUTE)ATTR_BOOL(type, value));
}

static void ask_protection(const char *wish)
{
    set_part(&parts, (CK_ATTRIBUTE)ATTR_STR(CKA_LATCHKEY_PROTECTION, wish));
}

static CK_ULONG count_all(void)
{
    return count_objects(fx.session, NULL, 0);
}

/* ---- what comes in works, and lives where it should ------------------------------------------ */

/* Where it goes by itself: as a token object, for a session. */
static const struct {
    const char *kind, *token, *session;
} private_keys[] = {
    {"RSA-1024", "tpm", "tpm"},
    {"RSA-2048", "tpm", "tpm"},
    {"RSA-3072", "tpm", "tpm"},
    {"RSA-4096", "sealed", "session"},
    {"RSA-2048-e3", "sealed", "session"},
    {"P-224", "tpm", "tpm"},
    {"P-256", "tpm", "tpm"},
    {"P-384", "tpm", "tpm"},
    {"P-521", "tpm", "tpm"},
    {"ED25519", "sealed", "session"},
    {"X25519", "sealed", "session"},
};

/* 4.9, 4.7: a key from outside is not local and may have been known there. */
static void assert_from_outside(CK_OBJECT_HANDLE key)
{
    assert_false(get_bool(fx.session, key, CKA_LOCAL));
    assert_false(get_bool(fx.session, key, CKA_ALWAYS_SENSITIVE));
    assert_false(get_bool(fx.session, key, CKA_NEVER_EXTRACTABLE));
    assert_int_equal(get_ulong(fx.session, key, CKA_KEY_GEN_MECHANISM), CK_UNAVAILABLE_INFORMATION);
    assert_true(get_bool(fx.session, key, CKA_SENSITIVE));
    assert_false(get_bool(fx.session, key, CKA_EXTRACTABLE));
}

static void private_keys_of_all_kinds(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(private_keys); i++) {
        EVP_PKEY *key = make_key(private_keys[i].kind);
        for (int token = 0; token < 2; token++) {
            CK_OBJECT_HANDLE object;
            private_parts(key, &parts);
            set_bool(CKA_TOKEN, token);
            assert_ok(create(&parts, &object));
            assert_protection(object, token ? private_keys[i].token : private_keys[i].session);
            assert_same_private(object, key);
            assert_from_outside(object);
            assert_ok(p11->C_DestroyObject(fx.session, object));
        }
        EVP_PKEY_free(key);
    }
}

static const struct {
    CK_KEY_TYPE type;
    CK_ULONG n;
    const char *token, *session;
} secret_keys[] = {
    {CKK_AES, 16, "tpm", "tpm"},
    {CKK_AES, 24, "sealed", "session"},
    {CKK_AES, 32, "tpm", "tpm"},
    {CKK_GENERIC_SECRET, 1, "tpm", "session"},
    {CKK_GENERIC_SECRET, 64, "tpm", "session"},
    {CKK_GENERIC_SECRET, 65, "sealed", "session"},
    {CKK_GENERIC_SECRET, 1000, "sealed", "session"},
    {CKK_SHA_1_HMAC, 20, "tpm", "tpm"},
    {CKK_SHA256_HMAC, 32, "tpm", "tpm"},
    {CKK_SHA256_HMAC, 200, "tpm", "tpm"}, /* RFC 2104: hashed first */
    {CKK_SHA384_HMAC, 48, "tpm", "tpm"},
    {CKK_SHA512_HMAC, 64, "tpm", "tpm"},
    {CKK_SHA512_HMAC, 100, "sealed", "session"},
    {CKK_SHA224_HMAC, 28, "sealed", "session"}, /* no such hash in this TPM */
    {CKK_SHA3_256_HMAC, 32, "sealed", "session"},
};

static void secret_keys_of_all_kinds(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(secret_keys); i++)
        for (int token = 0; token < 2; token++) {
            struct blob value = random_blob(secret_keys[i].n);
            CK_OBJECT_HANDLE object;
            secret_parts(secret_keys[i].type, value, &parts);
            set_bool(CKA_TOKEN, token);
            assert_ok(create(&parts, &object));
            assert_protection(object, token ? secret_keys[i].token : secret_keys[i].session);
            assert_same_secret(object, value);
            assert_from_outside(object);
            assert_int_equal(get_ulong(fx.session, object, CKA_VALUE_LEN), value.n);
            assert_ok(p11->C_DestroyObject(fx.session, object));
        }
}

/* 6.1.3: the primes and what follows from them may be missing. */
static void rsa_with_fewer_numbers(void **state)
{
    (void)state;
    static const CK_ATTRIBUTE_TYPE crt[] = {CKA_EXPONENT_1, CKA_EXPONENT_2, CKA_COEFFICIENT,
                                            CKA_PRIME_2, CKA_PRIME_1};
    static const char *const kinds[] = {"RSA-2048", "RSA-4096"};
    for (size_t k = 0; k < COUNT(kinds); k++) {
        EVP_PKEY *key = make_key(kinds[k]);
        for (size_t less = 3; less <= COUNT(crt); less += 2) {
            CK_OBJECT_HANDLE object;
            private_parts(key, &parts);
            for (size_t i = 0; i < less; i++)
                drop_part(&parts, crt[i]);
            set_bool(CKA_TOKEN, true);
            assert_ok(create(&parts, &object));
            assert_same_private(object, key);
            assert_ok(p11->C_DestroyObject(fx.session, object));
        }
        EVP_PKEY_free(key);
    }
}

/* 4.9: CKA_PUBLIC_KEY_INFO and the public numbers are there, whatever the template said of them. */
static void public_side_is_told(void **state)
{
    (void)state;
    EVP_PKEY *key = make_key("P-256");
    struct blob point = octet_string(public_point(key));
    CK_OBJECT_HANDLE object;
    private_parts(key, &parts);
    assert_ok(create(&parts, &object));
    assert_blob(get_attribute(fx.session, object, CKA_EC_POINT), point.p, point.n);
    EVP_PKEY *told = openssl_key(fx.session, object);
    assert_int_equal(EVP_PKEY_eq(told, key), 1);
    EVP_PKEY_free(told);
    EVP_PKEY_free(key);
}

/* ---- who may --------------------------------------------------------------------------------- */

/* Without login: session keys that are not private (5.6.2), in the TPM and in memory. */
static void without_login(void **state)
{
    (void)state;
    static const char *const kinds[] = {"RSA-2048", "P-256", "ED25519"};
    CK_OBJECT_HANDLE object;
    assert_ok(p11->C_Logout(fx.session));
    for (size_t i = 0; i < COUNT(kinds); i++) {
        EVP_PKEY *key = make_key(kinds[i]);
        private_parts(key, &parts);
        assert_rv(CKR_USER_NOT_LOGGED_IN, create(&parts, &object)); /* private by default */
        set_bool(CKA_PRIVATE, false);
        assert_ok(create(&parts, &object));
        assert_same_private(object, key);
        set_bool(CKA_TOKEN, true);
        assert_rv(CKR_USER_NOT_LOGGED_IN, create(&parts, &object));
        EVP_PKEY_free(key);
    }
    struct blob value = random_blob(32);
    secret_parts(CKK_AES, value, &parts);
    set_bool(CKA_PRIVATE, false);
    assert_ok(create(&parts, &object));
    assert_same_secret(object, value);
}

static void in_a_read_only_session(void **state)
{
    (void)state;
    CK_OBJECT_HANDLE object;
    CK_SESSION_HANDLE rw = fx.session;
    secret_parts(CKK_AES, random_blob(32), &parts);
    fx.session = open_session(fx.slot, 0);
    assert_ok(create(&parts, &object));
    set_bool(CKA_TOKEN, true);
    assert_rv(CKR_SESSION_READ_ONLY, create(&parts, &object));
    fx.session = rw;
    assert_ok(create(&parts, &object));
    assert_ok(p11->C_DestroyObject(fx.session, object));
}

static CK_RV try_sign(CK_OBJECT_HANDLE key)
{
    CK_BYTE digest[32] = {1}, signature[64];
    CK_ULONG n = sizeof signature;
    CK_RV rv = p11->C_SignInit(fx.session, MECHANISM(CKM_EDDSA), key);
    return rv != CKR_OK ? rv : p11->C_Sign(fx.session, digest, sizeof digest, signature, &n);
}

/* A sealed key opens with the login only, also one that everybody sees; a private session key ends
 * with it (5.6.9). */
static void after_logout(void **state)
{
    (void)state;
    EVP_PKEY *key = make_key("ED25519");
    CK_OBJECT_HANDLE stored, fleeting, seen;
    private_parts(key, &parts);
    assert_ok(create(&parts, &fleeting));
    set_bool(CKA_TOKEN, true);
    assert_ok(create(&parts, &stored));
    set_bool(CKA_PRIVATE, false);
    assert_ok(create(&parts, &seen));
    assert_same_private(seen, key);
    struct blob unique = get_attribute(fx.session, stored, CKA_UNIQUE_ID);
    assert_ok(p11->C_Logout(fx.session));
    assert_rv(CKR_KEY_HANDLE_INVALID, try_sign(fleeting));
    assert_rv(CKR_KEY_HANDLE_INVALID, try_sign(stored));
    assert_rv(CKR_USER_NOT_LOGGED_IN, try_sign(seen));
    assert_ok(login(fx.session, CKU_USER, USER_PIN));
    assert_rv(CKR_KEY_HANDLE_INVALID, try_sign(fleeting));
    /* 5.6 C_Logout: "even if a user is later logged back into the token, those handles remain
     * invalid" */
    assert_rv(CKR_KEY_HANDLE_INVALID, try_sign(stored));
    assert_rv(CKR_OBJECT_HANDLE_INVALID, p11->C_DestroyObject(fx.session, stored));
    CK_ATTRIBUTE by_id = {CKA_UNIQUE_ID, unique.p, unique.n};
    CK_ULONG n;
    assert_ok(p11->C_FindObjectsInit(fx.session, &by_id, 1));
    assert_ok(p11->C_FindObjects(fx.session, &stored, 1, &n));
    assert_ok(p11->C_FindObjectsFinal(fx.session));
    assert_int_equal(n, 1);
    assert_same_private(stored, key);
    assert_same_private(seen, key);
    assert_ok(p11->C_DestroyObject(fx.session, stored));
    assert_ok(p11->C_DestroyObject(fx.session, seen));
    EVP_PKEY_free(key);
}

/* ---- what is asked for ----------------------------------------------------------------------- */

static const struct {
    const char *kind; /* NULL: AES-256 */
    bool token, extractable;
    const char *wish, *got; /* NULL: CKR_TEMPLATE_INCONSISTENT */
} wishes[] = {
    {"P-256", true, false, "tpm", "tpm"},
    {"P-256", true, false, "sealed", "sealed"},
    {"P-256", true, false, "session", NULL},
    {"P-256", false, false, "tpm", "tpm"},
    {"P-256", false, false, "session", "session"},
    {"P-256", false, false, "sealed", NULL},
    {"P-256", true, true, "tpm", NULL},
    {"P-256", true, true, NULL, "sealed"},
    {"P-256", false, true, NULL, "session"},
    {"ED25519", true, false, "tpm", NULL},
    {"ED25519", true, false, "sealed", "sealed"},
    {"RSA-2048", true, false, "sealed", "sealed"},
    {"RSA-2048-e3", true, false, "tpm", NULL},
    {NULL, true, false, "sealed", "sealed"},
    {NULL, false, false, "session", "session"},
    {NULL, true, true, NULL, "sealed"},
    {NULL, true, true, "tpm", NULL},
};

static CK_RV create_as_wished(size_t i, CK_OBJECT_HANDLE *ret, EVP_PKEY **key, struct blob *value)
{
    *key = wishes[i].kind ? make_key(wishes[i].kind) : NULL;
    *value = random_blob(32);
    if (*key)
        private_parts(*key, &parts);
    else
        secret_parts(CKK_AES, *value, &parts);
    set_bool(CKA_TOKEN, wishes[i].token);
    set_bool(CKA_EXTRACTABLE, wishes[i].extractable);
    if (wishes[i].wish)
        ask_protection(wishes[i].wish);
    return create(&parts, ret);
}

static void protection_on_request(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(wishes); i++) {
        EVP_PKEY *key;
        struct blob value;
        CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
        CK_ULONG before = count_all();
        CK_RV rv = create_as_wished(i, &object, &key, &value);
        assert_rv(wishes[i].got ? CKR_OK : CKR_TEMPLATE_INCONSISTENT, rv);
        if (wishes[i].got) {
            assert_protection(object, wishes[i].got);
            if (key)
                assert_same_private(object, key);
            else
                assert_same_secret(object, value);
            assert_ok(p11->C_DestroyObject(fx.session, object));
        }
        assert_int_equal(count_all(), before);
        EVP_PKEY_free(key);
    }
    secret_parts(CKK_AES, random_blob(32), &parts);
    ask_protection("cupboard");
    CK_OBJECT_HANDLE object;
    assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, create(&parts, &object));
}

/* ---- wrong keys ------------------------------------------------------------------------------ */

static void spoil_last(CK_ATTRIBUTE_TYPE type)
{
    struct blob *value = part(&parts, type);
    value->p[value->n - 1] ^= 2;
}

static void fill_value(CK_BYTE byte)
{
    struct blob *value = part(&parts, CKA_VALUE);
    memset(value->p, byte, value->n);
}

static void lengthen(CK_ATTRIBUTE_TYPE type, CK_ULONG n)
{
    struct blob *value = part(&parts, type);
    value->n = n;
}

static void off_the_curve(void)
{
    EVP_PKEY *other = make_key("P-256");
    struct blob point = octet_string(public_point(other));
    set_part(&parts, (CK_ATTRIBUTE){CKA_EC_POINT, point.p, point.n});
    EVP_PKEY_free(other);
}

static void info_of_another_key(void)
{
    EVP_PKEY *other = make_key("P-256");
    CK_BYTE info[256], *end = info;
    CK_ULONG n = (CK_ULONG)i2d_PUBKEY(other, &end);
    set_part(&parts, (CK_ATTRIBUTE){CKA_PUBLIC_KEY_INFO, info, n});
    EVP_PKEY_free(other);
}

static void wrong_d(void)
{
    spoil_last(CKA_PRIVATE_EXPONENT);
}
static void wrong_p(void)
{
    spoil_last(CKA_PRIME_1);
}
static void wrong_dp(void)
{
    spoil_last(CKA_EXPONENT_1);
}
static void wrong_n(void)
{
    spoil_last(CKA_MODULUS);
}
static void even_e(void)
{
    spoil_last(CKA_PUBLIC_EXPONENT);
    part(&parts, CKA_PUBLIC_EXPONENT)->p[2] ^= 3;
}
static void no_d(void)
{
    drop_part(&parts, CKA_PRIVATE_EXPONENT);
}
static void no_e(void)
{
    drop_part(&parts, CKA_PUBLIC_EXPONENT);
}
static void no_n(void)
{
    drop_part(&parts, CKA_MODULUS);
}
static void empty_d(void)
{
    lengthen(CKA_PRIVATE_EXPONENT, 0);
}
static void no_value(void)
{
    drop_part(&parts, CKA_VALUE);
}
static void no_curve(void)
{
    drop_part(&parts, CKA_EC_PARAMS);
}
static void no_type(void)
{
    drop_part(&parts, CKA_KEY_TYPE);
}
static void unavailable_type(void)
{
    set_part(&parts, (CK_ATTRIBUTE)ATTR_ULONG(CKA_KEY_TYPE, CK_UNAVAILABLE_INFORMATION));
}
static void unavailable_class(void)
{
    set_part(&parts, (CK_ATTRIBUTE)ATTR_ULONG(CKA_CLASS, CK_UNAVAILABLE_INFORMATION));
}
static void zero(void)
{
    fill_value(0);
}
static void beyond_the_order(void)
{
    fill_value(0xFF);
}
static void empty(void)
{
    lengthen(CKA_VALUE, 0);
}
static void one_byte_more(void)
{
    lengthen(CKA_VALUE, part(&parts, CKA_VALUE)->n + 1);
    part(&parts, CKA_VALUE)->p[0] = 1;
}
static void told_length(void)
{
    set_part(&parts, (CK_ATTRIBUTE)ATTR_ULONG(CKA_VALUE_LEN, 32));
}
static void told_local(void)
{
    set_bool(CKA_LOCAL, true);
}
static void told_bits(void)
{
    set_part(&parts, (CK_ATTRIBUTE)ATTR_ULONG(CKA_MODULUS_BITS, 2048));
}
static void a_modulus(void)
{
    set_part(&parts, (CK_ATTRIBUTE)ATTR_MEM(CKA_MODULUS, "1", 1));
}
static void unknown_curve(void)
{
    struct blob curve = ec_params(NID_brainpoolP512t1);
    set_part(&parts, (CK_ATTRIBUTE){CKA_EC_PARAMS, curve.p, curve.n});
}
static void curve_of_the_other_kind(void)
{
    struct blob curve = ec_params(NID_X25519);
    set_part(&parts, (CK_ATTRIBUTE){CKA_EC_PARAMS, curve.p, curve.n});
}
static void seventeen(void)
{
    lengthen(CKA_VALUE, 17);
}
static void public_and_always_asked(void)
{
    set_bool(CKA_PRIVATE, false);
    set_bool(CKA_ALWAYS_AUTHENTICATE, true);
}

/* 4.1.1: incomplete, inconsistent, invalid. */
static const struct {
    const char *kind; /* NULL: AES-256 */
    void (*spoil)(void);
    CK_RV rv;
} spoilt[] = {
    {"RSA-2048", wrong_d, CKR_ATTRIBUTE_VALUE_INVALID},
    {"RSA-2048", wrong_p, CKR_ATTRIBUTE_VALUE_INVALID},
    {"RSA-2048", wrong_dp, CKR_ATTRIBUTE_VALUE_INVALID},
    {"RSA-2048", wrong_n, CKR_ATTRIBUTE_VALUE_INVALID},
    {"RSA-2048", even_e, CKR_ATTRIBUTE_VALUE_INVALID},
    {"RSA-2048", empty_d, CKR_ATTRIBUTE_VALUE_INVALID},
    {"RSA-2048", no_d, CKR_TEMPLATE_INCOMPLETE},
    {"RSA-2048", no_e, CKR_TEMPLATE_INCOMPLETE},
    {"RSA-2048", no_n, CKR_TEMPLATE_INCOMPLETE},
    {"RSA-2048", no_type, CKR_TEMPLATE_INCOMPLETE},
    {"RSA-2048", unavailable_type, CKR_ATTRIBUTE_VALUE_INVALID},
    {"RSA-2048", unavailable_class, CKR_ATTRIBUTE_VALUE_INVALID},
    {"RSA-2048", told_bits, CKR_TEMPLATE_INCONSISTENT},
    {"P-256", zero, CKR_ATTRIBUTE_VALUE_INVALID},
    {"P-256", beyond_the_order, CKR_ATTRIBUTE_VALUE_INVALID},
    {"P-256", empty, CKR_ATTRIBUTE_VALUE_INVALID},
    {"P-256", one_byte_more, CKR_ATTRIBUTE_VALUE_INVALID},
    {"P-256", off_the_curve, CKR_TEMPLATE_INCONSISTENT},         /* another key's point */
    {"P-256", info_of_another_key, CKR_ATTRIBUTE_VALUE_INVALID}, /* 4.9 */
    {"P-256", no_value, CKR_TEMPLATE_INCOMPLETE},
    {"P-256", no_curve, CKR_TEMPLATE_INCOMPLETE},
    {"P-256", unknown_curve, CKR_CURVE_NOT_SUPPORTED},
    {"P-256", a_modulus, CKR_TEMPLATE_INCONSISTENT},
    {"P-256", told_local, CKR_ATTRIBUTE_READ_ONLY},
    {"P-256", public_and_always_asked, CKR_TEMPLATE_INCONSISTENT},
    {"P-521", beyond_the_order, CKR_ATTRIBUTE_VALUE_INVALID},
    {"ED25519", one_byte_more, CKR_ATTRIBUTE_VALUE_INVALID},
    {"ED25519", empty, CKR_ATTRIBUTE_VALUE_INVALID},
    {"ED25519", curve_of_the_other_kind, CKR_CURVE_NOT_SUPPORTED},
    {"X25519", one_byte_more, CKR_ATTRIBUTE_VALUE_INVALID},
    {NULL, seventeen, CKR_ATTRIBUTE_VALUE_INVALID},
    {NULL, empty, CKR_ATTRIBUTE_VALUE_INVALID},
    {NULL, no_value, CKR_TEMPLATE_INCOMPLETE},
    {NULL, told_length, CKR_ATTRIBUTE_READ_ONLY},
    {NULL, told_local, CKR_ATTRIBUTE_READ_ONLY},
};

/* A fresh template of the row's kind of key, then spoilt. */
static void spoil(size_t i, EVP_PKEY *key, bool token)
{
    if (key)
        private_parts(key, &parts);
    else
        secret_parts(CKK_AES, random_blob(32), &parts);
    set_bool(CKA_TOKEN, token);
    spoilt[i].spoil();
}

static void wrong_keys_leave_nothing(void **state)
{
    (void)state;
    CK_ULONG before = count_all();
    const char *kind = NULL;
    EVP_PKEY *key = NULL;
    for (size_t i = 0; i < COUNT(spoilt); i++) {
        if (spoilt[i].kind != kind) {
            EVP_PKEY_free(key);
            kind = spoilt[i].kind;
            key = kind ? make_key(kind) : NULL;
        }
        for (int token = 0; token < 2; token++) {
            CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
            spoil(i, key, token);
            CK_RV rv = create(&parts, &object);
            if (rv != spoilt[i].rv)
                print_error("row %zu of spoilt\n", i);
            assert_rv(spoilt[i].rv, rv);
            assert_int_equal(object, CK_INVALID_HANDLE);
        }
    }
    EVP_PKEY_free(key);
    assert_int_equal(count_all(), before);
}

/* ---- secrets --------------------------------------------------------------------------------- */

static const CK_ATTRIBUTE_TYPE rsa_secrets[] = {CKA_PRIVATE_EXPONENT, CKA_PRIME_1,
                                                CKA_PRIME_2,          CKA_EXPONENT_1,
                                                CKA_EXPONENT_2,       CKA_COEFFICIENT};
static const CK_ATTRIBUTE_TYPE other_secrets[] = {CKA_VALUE};

static CK_RV try_read(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, CK_ULONG *ret_n)
{
    CK_BYTE room[1024];
    CK_ATTRIBUTE attribute = {type, room, sizeof room};
    CK_RV rv = p11->C_GetAttributeValue(fx.session, object, &attribute, 1);
    *ret_n = attribute.ulValueLen;
    return rv;
}

/* 4.9, footnote 7: a part is told if the key is neither sensitive nor unextractable; and a search
 * tells it as well as reading does. */
static void check_parts(bool sensitive, bool extractable, const CK_ATTRIBUTE_TYPE *types, size_t n)
{
    CK_OBJECT_HANDLE object;
    CK_ULONG length;
    set_bool(CKA_SENSITIVE, sensitive);
    set_bool(CKA_EXTRACTABLE, extractable);
    assert_ok(create(&parts, &object));
    for (size_t i = 0; i < n; i++) {
        struct blob *value = part(&parts, types[i]);
        CK_ATTRIBUTE by_value = {types[i], value->p, value->n};
        bool told = !sensitive && extractable;
        assert_int_equal(count_objects(fx.session, &by_value, 1), told);
        assert_rv(told ? CKR_OK : CKR_ATTRIBUTE_SENSITIVE, try_read(object, types[i], &length));
        assert_int_equal(length, told ? value->n : CK_UNAVAILABLE_INFORMATION);
        if (told)
            assert_blob(get_attribute(fx.session, object, types[i]), value->p, value->n);
    }
    assert_ok(p11->C_DestroyObject(fx.session, object));
}

static void parts_are_told_as_allowed(void **state)
{
    (void)state;
    static const char *const kinds[] = {"RSA-2048", "P-256", "P-521", "ED25519", NULL};
    for (size_t k = 0; k < COUNT(kinds); k++)
        for (int variant = 0; variant < 8; variant++) {
            EVP_PKEY *key = kinds[k] && (variant == 0 || k) ? make_key(kinds[k]) : NULL;
            bool rsa = k == 0;
            if (key)
                private_parts(key, &parts);
            else if (!rsa)
                secret_parts(CKK_AES, random_blob(16), &parts);
            set_bool(CKA_TOKEN, variant & 4);
            check_parts(variant & 1, variant & 2, rsa ? rsa_secrets : other_secrets,
                        rsa ? COUNT(rsa_secrets) : 1);
            EVP_PKEY_free(key);
        }
}

static void assert_nowhere(const char *what, const struct blob *value)
{
    if (store_carries(value->p, value->n) || proxy_carries(value->p, value->n))
        fail_msg("%s went by in clear", what);
}

/* Neither the store nor the wire to the TPM ever has a secret in clear, whoever may see the object.
 */
static void in_clear_nowhere(void **state)
{
    (void)state;
    static const char *const kinds[] = {"RSA-2048", "RSA-4096", "P-256", "ED25519", "X25519", NULL};
    for (size_t k = 0; k < COUNT(kinds); k++)
        for (int variant = 0; variant < 4; variant++) {
            EVP_PKEY *key = kinds[k] ? make_key(k == 1 && variant ? "RSA-1024" : kinds[k]) : NULL;
            CK_OBJECT_HANDLE object;
            if (key)
                private_parts(key, &parts);
            else
                secret_parts(CKK_AES, random_blob(32), &parts);
            set_bool(CKA_TOKEN, true);
            set_bool(CKA_PRIVATE, variant & 1);
            set_bool(CKA_SENSITIVE, !(variant & 2));
            set_bool(CKA_EXTRACTABLE, variant & 2);
            proxy_clear();
            assert_ok(create(&parts, &object));
            bool rsa = key && EVP_PKEY_is_a(key, "RSA");
            for (size_t i = 0; i < (rsa ? COUNT(rsa_secrets) : 1); i++)
                assert_nowhere(kinds[k] ? kinds[k] : "AES",
                               part(&parts, rsa ? rsa_secrets[i] : CKA_VALUE));
            assert_ok(p11->C_DestroyObject(fx.session, object));
            EVP_PKEY_free(key);
        }
    /* the look at the store sees what is there */
    struct blob value = random_blob(32);
    CK_ATTRIBUTE data[] = {ATTR_ULONG(CKA_CLASS, CKO_DATA), ATTR_BOOL(CKA_TOKEN, true),
                           ATTR_MEM(CKA_VALUE, value.p, value.n)};
    CK_OBJECT_HANDLE object;
    assert_ok(p11->C_CreateObject(fx.session, data, COUNT(data), &object));
    assert_true(store_carries(value.p, value.n));
    assert_ok(p11->C_DestroyObject(fx.session, object));
}

/* ---- afterwards ------------------------------------------------------------------------------ */

static void token_keys_outlive_the_process(void **state)
{
    static const char *const kinds[] = {"RSA-2048", "P-384", "ED25519", "X25519"};
    EVP_PKEY *keys[COUNT(kinds)];
    struct blob value = random_blob(32);
    CK_OBJECT_HANDLE object;
    for (size_t i = 0; i < COUNT(kinds); i++) {
        keys[i] = make_key(kinds[i]);
        private_parts(keys[i], &parts);
        set_bool(CKA_TOKEN, true);
        set_part(&parts, (CK_ATTRIBUTE)ATTR_STR(CKA_LABEL, kinds[i]));
        assert_ok(create(&parts, &object));
    }
    secret_parts(CKK_AES, value, &parts);
    set_bool(CKA_TOKEN, true);
    set_part(&parts, (CK_ATTRIBUTE)ATTR_STR(CKA_LABEL, "aes"));
    assert_ok(create(&parts, &object));
    assert_ok(p11->C_Finalize(NULL));
    test_user(state);
    for (size_t i = 0; i < COUNT(kinds); i++) {
        assert_same_private(find_object(fx.session, CKO_PRIVATE_KEY, kinds[i]), keys[i]);
        EVP_PKEY_free(keys[i]);
    }
    assert_same_secret(find_object(fx.session, CKO_SECRET_KEY, "aes"), value);
}

#define USER_TEST(f) cmocka_unit_test_setup_teardown(f, test_user, test_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        USER_TEST(private_keys_of_all_kinds),
        USER_TEST(secret_keys_of_all_kinds),
        USER_TEST(rsa_with_fewer_numbers),
        USER_TEST(public_side_is_told),
        USER_TEST(without_login),
        USER_TEST(in_a_read_only_session),
        USER_TEST(after_logout),
        USER_TEST(protection_on_request),
        USER_TEST(wrong_keys_leave_nothing),
        USER_TEST(parts_are_told_as_allowed),
        USER_TEST(in_clear_nowhere),
        USER_TEST(token_keys_outlive_the_process),
    };
    return cmocka_run_group_tests(tests, group_token_proxied, group_end);
}
