/* C_CreateObject, C_DestroyObject and the objects that hold no key of the TPM: PKCS#11 3.0 sections
 * 5.7, 4.5 (data), 4.6 (certificates), 4.8 (public keys). */
#include "keys.h"

#include <openssl/x509.h>

#define BIG (1024 * 1024)

static CK_RV create(CK_ATTRIBUTE *template, CK_ULONG n, CK_OBJECT_HANDLE *ret)
{
    return p11->C_CreateObject(fx.session, template, n, ret);
}

static CK_OBJECT_HANDLE make_data(bool token, bool private, const char *label, const void *p,
                                  CK_ULONG n)
{
    CK_ATTRIBUTE template[] = {
        ATTR_ULONG(CKA_CLASS, CKO_DATA),    ATTR_BOOL(CKA_TOKEN, token),
        ATTR_BOOL(CKA_PRIVATE, private),    ATTR_STR(CKA_LABEL, label),
        ATTR_STR(CKA_APPLICATION, "tests"), ATTR_MEM(CKA_OBJECT_ID, "\6\1\52", 3),
        ATTR_MEM(CKA_VALUE, p, n),
    };
    CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
    assert_ok(create(template, COUNT(template), &object));
    assert_true(object != CK_INVALID_HANDLE);
    return object;
}

static void data_objects(void **state)
{
    static const char value[] = "what is kept";
    for (int kind = 0; kind < 4; kind++) {
        bool token = kind & 1, private = kind & 2;
        test_user(state);
        CK_OBJECT_HANDLE object = make_data(token, private, "data", value, sizeof value);
        assert_blob(get_attribute(fx.session, object, CKA_VALUE), value, sizeof value);
        assert_blob(get_attribute(fx.session, object, CKA_APPLICATION), "tests", 5);
        assert_blob(get_attribute(fx.session, object, CKA_OBJECT_ID), "\6\1\52", 3);
        assert_int_equal(get_bool(fx.session, object, CKA_PRIVATE), private);
        assert_ok(p11->C_Finalize(NULL));
        test_user(state);
        object = find_object(fx.session, CKO_DATA, "data");
        assert_int_equal(object != CK_INVALID_HANDLE, token);
        if (token) {
            assert_blob(get_attribute(fx.session, object, CKA_VALUE), value, sizeof value);
            assert_ok(p11->C_DestroyObject(fx.session, object));
            assert_int_equal(find_object(fx.session, CKO_DATA, "data"), CK_INVALID_HANDLE);
        }
        assert_ok(p11->C_Finalize(NULL));
    }
}

static void big_data_objects(void **state)
{
    CK_BYTE *value = malloc(BIG), *got = malloc(BIG);
    for (size_t i = 0; i < BIG; i++)
        value[i] = (CK_BYTE)(i * 2654435761U >> 13);
    for (int private = 0; private < 2; private ++) {
        test_user(state);
        make_data(true, private, "big", value, BIG);
        assert_ok(p11->C_Finalize(NULL));
        test_user(state);
        CK_ATTRIBUTE attribute = {CKA_VALUE, NULL, 0};
        CK_OBJECT_HANDLE object = find_object(fx.session, CKO_DATA, "big");
        assert_ok(p11->C_GetAttributeValue(fx.session, object, &attribute, 1));
        assert_int_equal(attribute.ulValueLen, BIG);
        attribute.pValue = got;
        assert_ok(p11->C_GetAttributeValue(fx.session, object, &attribute, 1));
        assert_memory_equal(got, value, BIG);
        assert_ok(p11->C_DestroyObject(fx.session, object));
        assert_ok(p11->C_Finalize(NULL));
    }
    free(value);
    free(got);
}

static void empty_values(void **state)
{
    test_user(state);
    CK_ATTRIBUTE bare[] = {ATTR_ULONG(CKA_CLASS, CKO_DATA)};
    CK_OBJECT_HANDLE object;
    assert_ok(create(bare, 1, &object));
    assert_int_equal(get_attribute(fx.session, object, CKA_VALUE).n, 0);
    assert_int_equal(get_attribute(fx.session, object, CKA_LABEL).n, 0);
    assert_false(get_bool(fx.session, object, CKA_TOKEN));
}

/* A certificate of libcrypto's making, self-signed. */
static struct blob make_certificate(void)
{
    struct blob der = {0};
    CK_BYTE *end = der.p;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 4711);
    X509_gmtime_adj(X509_getm_notBefore(x), 0);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_NAME *name = X509_get_subject_name(x);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"test", -1, -1, 0);
    X509_set_issuer_name(x, name);
    X509_set_pubkey(x, key);
    assert_true(X509_sign(x, key, EVP_sha256()) > 0);
    der.n = (CK_ULONG)i2d_X509(x, &end);
    X509_free(x);
    EVP_PKEY_free(key);
    return der;
}

/* CKA_CHECK_VALUE of a certificate: the first three bytes of its SHA-1 (section 4.6.3). */
static void certificates(void **state)
{
    struct blob der = make_certificate(), sha1 = openssl_digest("SHA1", der.p, der.n);
    static const CK_BYTE subject[] = {0x30, 0x0F, 0x31, 0x0D, 0x30, 0x0B, 0x06, 0x03, 0x55,
                                      0x04, 0x03, 0x0C, 0x04, 't',  'e',  's',  't'};
    CK_ATTRIBUTE template[] = {
        ATTR_ULONG(CKA_CLASS, CKO_CERTIFICATE),
        ATTR_ULONG(CKA_CERTIFICATE_TYPE, CKC_X_509),
        ATTR_BOOL(CKA_TOKEN, true),
        ATTR_STR(CKA_LABEL, "certificate"),
        ATTR_STR(CKA_ID, "\1"),
        ATTR_MEM(CKA_SUBJECT, subject, sizeof subject),
        ATTR_MEM(CKA_ISSUER, subject, sizeof subject),
        ATTR_MEM(CKA_SERIAL_NUMBER, "\2\2\22\147", 4),
        ATTR_MEM(CKA_VALUE, der.p, der.n),
    };
    CK_OBJECT_HANDLE object;
    test_user(state);
    assert_ok(create(template, COUNT(template), &object));
    assert_ok(p11->C_Finalize(NULL));
    test_public(state); /* found and read before login */
    object = find_object(fx.session, CKO_CERTIFICATE, "certificate");
    assert_true(object != CK_INVALID_HANDLE);
    assert_blob(get_attribute(fx.session, object, CKA_VALUE), der.p, der.n);
    assert_blob(get_attribute(fx.session, object, CKA_SUBJECT), subject, sizeof subject);
    assert_blob(get_attribute(fx.session, object, CKA_ISSUER), subject, sizeof subject);
    assert_blob(get_attribute(fx.session, object, CKA_SERIAL_NUMBER), "\2\2\22\147", 4);
    assert_blob(get_attribute(fx.session, object, CKA_CHECK_VALUE), sha1.p, 3);
    assert_int_equal(get_ulong(fx.session, object, CKA_CERTIFICATE_TYPE), CKC_X_509);
    assert_false(get_bool(fx.session, object, CKA_TRUSTED));
    assert_false(get_bool(fx.session, object, CKA_PRIVATE));
}

/* Clients read the key out of CKA_PUBLIC_KEY_INFO, and find issuers by CKA_SUBJECT: neither may say
 * another thing than the certificate. */
static void certificates_say_one_thing(void **state)
{
    struct blob der = make_certificate(), other = make_certificate();
    CK_ATTRIBUTE template[] = {
        ATTR_ULONG(CKA_CLASS, CKO_CERTIFICATE), ATTR_ULONG(CKA_CERTIFICATE_TYPE, CKC_X_509),
        ATTR_MEM(CKA_VALUE, der.p, der.n),      ATTR_MEM(CKA_SUBJECT, NULL, 0),
        ATTR_MEM(CKA_PUBLIC_KEY_INFO, NULL, 0),
    };
    CK_ATTRIBUTE *value = &template[2], *subject = &template[3], *spki = &template[4];
    CK_OBJECT_HANDLE object;
    test_user(state);
    value->pValue = other.p, value->ulValueLen = other.n;
    assert_ok(create(template, 5, &object));
    struct blob own_subject = get_attribute(fx.session, object, CKA_SUBJECT);
    struct blob other_spki = get_attribute(fx.session, object, CKA_PUBLIC_KEY_INFO);
    value->pValue = der.p, value->ulValueLen = der.n;
    spki->pValue = other_spki.p, spki->ulValueLen = other_spki.n;
    assert_rv(CKR_TEMPLATE_INCONSISTENT, create(template, 5, &object));
    spki->pValue = own_subject.p, spki->ulValueLen = own_subject.n;
    assert_rv(CKR_TEMPLATE_INCONSISTENT, create(template, 5, &object));
    subject->pValue = other_spki.p, subject->ulValueLen = other_spki.n;
    assert_rv(CKR_TEMPLATE_INCONSISTENT, create(template, 4, &object));
    subject->pValue = own_subject.p, subject->ulValueLen = own_subject.n;
    assert_ok(create(template, 4, &object)); /* the right one may be said */
    struct blob own_spki = get_attribute(fx.session, object, CKA_PUBLIC_KEY_INFO);
    spki->pValue = own_spki.p, spki->ulValueLen = own_spki.n;
    assert_ok(create(template, 5, &object));
}

/* 4.10.2: who gives one gives the right one, or an empty one, and then there is none. */
static void certificates_check_value(void **state)
{
    struct blob der = make_certificate(), sha1 = openssl_digest("SHA1", der.p, der.n);
    CK_ATTRIBUTE template[] = {
        ATTR_ULONG(CKA_CLASS, CKO_CERTIFICATE), ATTR_ULONG(CKA_CERTIFICATE_TYPE, CKC_X_509),
        ATTR_MEM(CKA_VALUE, der.p, der.n),      ATTR_MEM(CKA_SUBJECT, NULL, 0),
        ATTR_MEM(CKA_CHECK_VALUE, sha1.p, 3),
    };
    CK_ATTRIBUTE *given = &template[4];
    CK_OBJECT_HANDLE object;
    test_user(state);
    assert_ok(create(template, 4, &object));
    struct blob subject = get_attribute(fx.session, object, CKA_SUBJECT);
    template[3].pValue = subject.p, template[3].ulValueLen = subject.n;
    assert_ok(create(template, 5, &object));
    assert_blob(get_attribute(fx.session, object, CKA_CHECK_VALUE), sha1.p, 3);
    given->ulValueLen = 2;
    assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, create(template, 5, &object));
    given->ulValueLen = 3;
    sha1.p[2] ^= 1;
    assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, create(template, 5, &object));
    given->ulValueLen = 0;
    assert_ok(create(template, 5, &object));
    assert_int_equal(get_attribute(fx.session, object, CKA_CHECK_VALUE).n, 0);
}

/* CKA_TRUSTED is the SO's to set (section 4.6.3). */
static void user_cannot_trust(void **state)
{
    struct blob der = make_certificate();
    CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_CLASS, CKO_CERTIFICATE),
                               ATTR_ULONG(CKA_CERTIFICATE_TYPE, CKC_X_509),
                               ATTR_STR(CKA_SUBJECT, "0"), ATTR_MEM(CKA_VALUE, der.p, der.n),
                               ATTR_BOOL(CKA_TRUSTED, true)};
    CK_OBJECT_HANDLE object;
    test_user(state);
    assert_rv_either(CKR_ATTRIBUTE_READ_ONLY, CKR_USER_NOT_LOGGED_IN,
                     create(template, COUNT(template), &object));
}

/* Public keys that come from outside: verified with in software. */
static void imported_public_keys(void **state)
{
    test_user(state);
    EVP_PKEY *key = EVP_EC_gen("P-256");
    struct blob curve = ec_params(NID_X9_62_prime256v1), point = {.p = {0x04, 65}};
    size_t n = 0;
    assert_int_equal(EVP_PKEY_get_octet_string_param(key, "pub", point.p + 2, 65, &n), 1);
    CK_ATTRIBUTE template[] = {
        ATTR_ULONG(CKA_CLASS, CKO_PUBLIC_KEY), ATTR_ULONG(CKA_KEY_TYPE, CKK_EC),
        ATTR_BOOL(CKA_VERIFY, true),           ATTR_MEM(CKA_EC_PARAMS, curve.p, curve.n),
        ATTR_MEM(CKA_EC_POINT, point.p, 67),
    };
    CK_OBJECT_HANDLE object;
    assert_ok(create(template, COUNT(template), &object));
    assert_false(get_bool(fx.session, object, CKA_LOCAL));
    assert_rv(CKR_SIGNATURE_INVALID,
              verify(fx.session, MECHANISM(CKM_ECDSA), object, "01234567890123456789", 20,
                     (struct blob){.n = 64, .p = {[31] = 1, [63] = 1}}));
    point.p[40] ^= 1;
    assert_true(create(template, COUNT(template), &object) != CKR_OK); /* off the curve */
    EVP_PKEY_free(key);
}

/* Section 6.3.3 wants the point in a DER OCTET STRING, but NSS and others take a bare one as well.
 * It reads as it should be; and one whose second byte says the length of the rest is no OCTET
 * STRING. */
static void imported_with_a_bare_point(void **state)
{
    test_user(state);
    struct blob curve = ec_params(NID_X9_62_prime256v1), point = {.n = 67, .p = {0x04, 65}};
    for (int tried = 0; tried == 0 || point.p[3] != 63; tried++) {
        EVP_PKEY *key = EVP_EC_gen("P-256");
        size_t n = 0;
        assert_int_equal(EVP_PKEY_get_octet_string_param(key, "pub", point.p + 2, 65, &n), 1);
        EVP_PKEY_free(key);
    }
    CK_ATTRIBUTE template[] = {
        ATTR_ULONG(CKA_CLASS, CKO_PUBLIC_KEY),
        ATTR_ULONG(CKA_KEY_TYPE, CKK_EC),
        ATTR_MEM(CKA_EC_PARAMS, curve.p, curve.n),
        ATTR_MEM(CKA_EC_POINT, point.p + 2, 65),
    };
    CK_OBJECT_HANDLE object;
    assert_ok(create(template, COUNT(template), &object));
    assert_blob(get_attribute(fx.session, object, CKA_EC_POINT), point.p, point.n);
    point.p[40] ^= 1;
    assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, create(template, COUNT(template), &object));
    template[3].ulValueLen = 64;
    assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, create(template, COUNT(template), &object));
}

/* CKA_PUBLIC_KEY_INFO of an imported key is the key's, said or not. */
static void public_key_info(void **state)
{
    test_user(state);
    struct blob curve = ec_params(NID_X9_62_prime256v1), info[2];
    struct blob point[2] = {{.n = 67, .p = {0x04, 65}}, {.n = 67, .p = {0x04, 65}}};
    for (int i = 0; i < 3; i++) { /* in the third round the second key with the first's */
        bool wrong = i == 2;
        struct blob *own = &point[i % 2];
        EVP_PKEY *key = EVP_EC_gen("P-256");
        size_t n = 0;
        assert_int_equal(EVP_PKEY_get_octet_string_param(key, "pub", own->p + 2, 65, &n), 1);
        EVP_PKEY_free(key);
        CK_ATTRIBUTE template[] = {
            ATTR_ULONG(CKA_CLASS, CKO_PUBLIC_KEY),
            ATTR_ULONG(CKA_KEY_TYPE, CKK_EC),
            ATTR_MEM(CKA_EC_PARAMS, curve.p, curve.n),
            ATTR_MEM(CKA_EC_POINT, own->p, own->n),
            ATTR_MEM(CKA_PUBLIC_KEY_INFO, wrong ? info[1].p : NULL, wrong ? info[1].n : 0),
        };
        CK_OBJECT_HANDLE object;
        assert_rv(wrong ? CKR_TEMPLATE_INCONSISTENT : CKR_OK, create(template, 5, &object));
        if (!wrong)
            info[i] = get_attribute(fx.session, object, CKA_PUBLIC_KEY_INFO);
    }
}

static void bad_templates(void **state)
{
    test_user(state);
    CK_ATTRIBUTE no_class[] = {ATTR_STR(CKA_LABEL, "x")};
    CK_ATTRIBUTE strange_class[] = {ATTR_ULONG(CKA_CLASS, 0x7777)};
    CK_ATTRIBUTE foreign[] = {ATTR_ULONG(CKA_CLASS, CKO_DATA), ATTR_STR(CKA_MODULUS, "1")};
    CK_ATTRIBUTE short_bool[] = {ATTR_ULONG(CKA_CLASS, CKO_DATA), {CKA_TOKEN, &yes, 0}};
    CK_ATTRIBUTE long_bool[] = {ATTR_ULONG(CKA_CLASS, CKO_DATA), ATTR_ULONG(CKA_TOKEN, 1)};
    CK_ATTRIBUTE null_value[] = {ATTR_ULONG(CKA_CLASS, CKO_DATA), {CKA_LABEL, NULL, 5}};
    CK_ATTRIBUTE twice[] = {ATTR_ULONG(CKA_CLASS, CKO_DATA), ATTR_STR(CKA_LABEL, "a"),
                            ATTR_STR(CKA_LABEL, "b")};
    CK_ATTRIBUTE keyless[] = {ATTR_ULONG(CKA_CLASS, CKO_PUBLIC_KEY)};
    CK_ATTRIBUTE own_id[] = {ATTR_ULONG(CKA_CLASS, CKO_DATA), ATTR_STR(CKA_UNIQUE_ID, "mine")};
    CK_OBJECT_HANDLE object;
    assert_rv(CKR_TEMPLATE_INCOMPLETE, create(no_class, 1, &object));
    assert_rv_either(CKR_ATTRIBUTE_VALUE_INVALID, CKR_TEMPLATE_INCONSISTENT,
                     create(strange_class, 1, &object));
    assert_rv_either(CKR_ATTRIBUTE_TYPE_INVALID, CKR_TEMPLATE_INCONSISTENT,
                     create(foreign, 2, &object));
    assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, create(short_bool, 2, &object));
    assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, create(long_bool, 2, &object));
    assert_rv_either(CKR_ATTRIBUTE_VALUE_INVALID, CKR_ARGUMENTS_BAD,
                     create(null_value, 2, &object));
    assert_rv(CKR_TEMPLATE_INCONSISTENT, create(twice, 3, &object));
    assert_rv(CKR_TEMPLATE_INCOMPLETE, create(keyless, 1, &object));
    assert_rv_either(CKR_ATTRIBUTE_READ_ONLY, CKR_TEMPLATE_INCONSISTENT,
                     create(own_id, 2, &object));
    assert_rv(CKR_ARGUMENTS_BAD, create(NULL, 1, &object));
    assert_rv(CKR_ARGUMENTS_BAD, create(strange_class, 1, NULL));
}

/* The access matrix of section 3.4.1: state of the session × kind of object. */
static void access_matrix(void **state)
{
    static const struct {
        CK_FLAGS flags;
        CK_USER_TYPE user;
        CK_RV rv[4]; /* public session, private session, public token, private token object */
    } rows[] = {
        {0,
         CKU_CONTEXT_SPECIFIC,
         {CKR_OK, CKR_USER_NOT_LOGGED_IN, CKR_SESSION_READ_ONLY, CKR_SESSION_READ_ONLY}},
        {0, CKU_USER, {CKR_OK, CKR_OK, CKR_SESSION_READ_ONLY, CKR_SESSION_READ_ONLY}},
        {CKF_RW_SESSION,
         CKU_CONTEXT_SPECIFIC,
         {CKR_OK, CKR_USER_NOT_LOGGED_IN, CKR_OK, CKR_USER_NOT_LOGGED_IN}},
        {CKF_RW_SESSION, CKU_USER, {CKR_OK, CKR_OK, CKR_OK, CKR_OK}},
        {CKF_RW_SESSION, CKU_SO, {CKR_OK, CKR_USER_NOT_LOGGED_IN, CKR_OK, CKR_USER_NOT_LOGGED_IN}},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        test_initialized(state);
        fx.session = open_session(fx.slot, rows[i].flags);
        if (rows[i].user != CKU_CONTEXT_SPECIFIC)
            assert_ok(login(fx.session, rows[i].user, rows[i].user == CKU_SO ? SO_PIN : USER_PIN));
        for (int kind = 0; kind < 4; kind++) {
            CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_CLASS, CKO_DATA),
                                       ATTR_BOOL(CKA_TOKEN, kind & 2),
                                       ATTR_BOOL(CKA_PRIVATE, kind & 1)};
            CK_OBJECT_HANDLE object;
            CK_RV rv = create(template, COUNT(template), &object);
            /* Both reasons hold for a private token object in a read-only public session. */
            if (rv == CKR_USER_NOT_LOGGED_IN && rows[i].rv[kind] == CKR_SESSION_READ_ONLY &&
                kind == 3 && rows[i].user == CKU_CONTEXT_SPECIFIC)
                continue;
            assert_rv(rows[i].rv[kind], rv);
            if (rv == CKR_OK)
                assert_ok(p11->C_DestroyObject(fx.session, object));
        }
        assert_ok(p11->C_Finalize(NULL));
    }
}

static void destroy(void **state)
{
    test_user(state);
    CK_ATTRIBUTE kept[] = {ATTR_ULONG(CKA_CLASS, CKO_DATA), ATTR_BOOL(CKA_DESTROYABLE, false)};
    CK_OBJECT_HANDLE object, token = make_data(true, true, "doomed", "x", 1);
    assert_ok(create(kept, 2, &object));
    assert_rv(CKR_ACTION_PROHIBITED, p11->C_DestroyObject(fx.session, object));
    CK_SESSION_HANDLE ro = open_session(fx.slot, 0);
    assert_rv(CKR_SESSION_READ_ONLY, p11->C_DestroyObject(ro, token));
    assert_ok(p11->C_DestroyObject(fx.session, token));
    assert_rv(CKR_OBJECT_HANDLE_INVALID, p11->C_DestroyObject(fx.session, token));
    assert_rv(CKR_OBJECT_HANDLE_INVALID, p11->C_DestroyObject(fx.session, CK_INVALID_HANDLE));
    struct key_pair keys = generate_ec(fx.session, NID_X9_62_prime256v1, "dying", true);
    sign(fx.session, MECHANISM(CKM_ECDSA), keys.private, "0123456789", 10);
    assert_ok(p11->C_DestroyObject(fx.session, keys.private));
    assert_rv(CKR_KEY_HANDLE_INVALID,
              p11->C_SignInit(fx.session, MECHANISM(CKM_ECDSA), keys.private));
    assert_ok(p11->C_GetAttributeValue(fx.session, keys.public, NULL, 0));
}

#define OBJECT_TEST(f) cmocka_unit_test_teardown(f, test_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        OBJECT_TEST(data_objects),
        OBJECT_TEST(big_data_objects),
        OBJECT_TEST(empty_values),
        OBJECT_TEST(certificates),
        OBJECT_TEST(certificates_say_one_thing),
        OBJECT_TEST(certificates_check_value),
        OBJECT_TEST(user_cannot_trust),
        OBJECT_TEST(imported_public_keys),
        OBJECT_TEST(imported_with_a_bare_point),
        OBJECT_TEST(public_key_info),
        OBJECT_TEST(bad_templates),
        OBJECT_TEST(access_matrix),
        OBJECT_TEST(destroy),
    };
    return cmocka_run_group_tests(tests, group_token, group_end);
}
