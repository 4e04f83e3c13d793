/* Certificates that OpenSSL makes, taken apart here. */
#include "soft_test.h"

#include <openssl/x509.h>
#include <openssl/x509v3.h>

struct made {
    X509 *x509;
    struct buf der;
};

static void made_free(struct made *m)
{
    X509_free(m->x509);
    buf_free(&m->der);
}

static struct made make(long version, const char *serial, const char *not_before,
                        const char *not_after)
{
    struct made m = {.x509 = X509_new()};
    EVP_PKEY *key = EVP_EC_gen("P-256");
    BIGNUM *number = NULL;
    uint8_t *der = NULL;
    X509_set_version(m.x509, version);
    assert_true(BN_hex2bn(&number, serial));
    BN_to_ASN1_INTEGER(number, X509_get_serialNumber(m.x509));
    BN_free(number);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(m.x509), "CN", MBSTRING_UTF8,
                               (const uint8_t *)"Gerät 7", -1, -1, 0);
    X509_NAME_add_entry_by_txt(X509_get_issuer_name(m.x509), "O", MBSTRING_ASC,
                               (const uint8_t *)"Issuing CA", -1, -1, 0);
    /* as they are: the wrong kind for the year is a test, too */
    assert_true(ASN1_TIME_set_string(X509_getm_notBefore(m.x509), not_before));
    assert_true(ASN1_TIME_set_string(X509_getm_notAfter(m.x509), not_after));
    X509_set_pubkey(m.x509, key);
    assert_true(X509_sign(m.x509, key, EVP_sha256()) > 0);
    EVP_PKEY_free(key);
    int n = i2d_X509(m.x509, &der);
    assert_true(n > 0);
    assert_ok(buf_append(&m.der, der, (size_t)n));
    OPENSSL_free(der);
    return m;
}

/* found is what i2d writes; frees der. */
static void assert_der(struct buf found, uint8_t *der, int n)
{
    assert_true(n > 0 && bytes_equal(buf_bytes(&found), BYTES(der, n)));
    OPENSSL_free(der);
}

static void parts_are_openssl_s(void **state)
{
    (void)state;
    static const char *const serials[] = {"0",  "1",  "7F",
                                          "80", "-1", "F123456789ABCDEF0123456789ABCDEF01234567"};
    for (long version = X509_VERSION_1; version <= X509_VERSION_3; version++) {
        for (size_t i = 0; i < sizeof(serials) / sizeof(*serials); i++) {
            CLEANUP(made_free)
            struct made m = make(version, serials[i], "260102030405Z", "20510607080910Z");
            CLEANUP(soft_certificate_free) struct soft_certificate c = {0};
            uint8_t *subject = NULL, *issuer = NULL, *serial = NULL, *spki = NULL;
            assert_ok(soft_certificate_parse(buf_bytes(&m.der), &c));
            int n = i2d_X509_NAME(X509_get_subject_name(m.x509), &subject);
            assert_der(c.subject, subject, n);
            n = i2d_X509_NAME(X509_get_issuer_name(m.x509), &issuer);
            assert_der(c.issuer, issuer, n);
            n = i2d_ASN1_INTEGER(X509_get_serialNumber(m.x509), &serial);
            assert_der(c.serial, serial, n);
            n = i2d_PUBKEY(X509_get0_pubkey(m.x509), &spki);
            assert_der(c.spki, spki, n);
            assert_memory_equal(&c.start, "20260102", 8);
            assert_memory_equal(&c.end, "20510607", 8);
        }
    }
}

static void dates(void **state)
{
    (void)state;
    static const struct {
        const char *start, *end, *start_date, *end_date;
    } cases[] = {
        {"500101000000Z", "491231235959Z", "19500101", "20491231"},
        {"991231235959Z", "000101000000Z", "19991231", "20000101"},
        {"19490101000000Z", "99991231235959Z", "19490101", "99991231"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        CLEANUP(made_free)
        struct made m = make(X509_VERSION_3, "1", cases[i].start, cases[i].end);
        CLEANUP(soft_certificate_free) struct soft_certificate c = {0};
        assert_ok(soft_certificate_parse(buf_bytes(&m.der), &c));
        assert_memory_equal(&c.start, cases[i].start_date, 8);
        assert_memory_equal(&c.end, cases[i].end_date, 8);
    }
}

static void extensions_do_not_matter(void **state)
{
    (void)state;
    CLEANUP(made_free) struct made m = make(X509_VERSION_3, "1", "260101000000Z", "270101000000Z");
    CLEANUP(soft_certificate_free) struct soft_certificate c = {0};
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, "critical,CA:TRUE");
    X509_add_ext(m.x509, e, -1);
    X509_EXTENSION_free(e);
    uint8_t *der = NULL;
    int n = i2d_re_X509_tbs(m.x509, &der);
    assert_true(n > 0);
    OPENSSL_free(der);
    der = NULL;
    n = i2d_X509(m.x509, &der);
    assert_ok(soft_certificate_parse(BYTES(der, n), &c));
    OPENSSL_free(der);
}

static void not_one_certificate(void **state)
{
    (void)state;
    CLEANUP(made_free) struct made m = make(X509_VERSION_3, "1", "260101000000Z", "270101000000Z");
    struct soft_certificate c = {.start = {.year = {'x'}}};
    for (size_t n = 0; n < m.der.n; n++)
        assert_int_equal(soft_certificate_parse(BYTES(m.der.p, n), &c),
                         CKR_ATTRIBUTE_VALUE_INVALID);
    size_t n = m.der.n;
    assert_ok(buf_u8(&m.der, 0));
    assert_int_equal(soft_certificate_parse(buf_bytes(&m.der), &c), CKR_ATTRIBUTE_VALUE_INVALID);
    assert_int_equal(c.start.year[0], 'x');
    assert_null(c.subject.p);
    assert_ok(soft_certificate_parse(BYTES(m.der.p, n), &c));
    soft_certificate_free(&c);
    assert_int_equal(soft_certificate_parse(BYTES("-----BEGIN CERTIFICATE-----", 27), &c),
                     CKR_ATTRIBUTE_VALUE_INVALID);
}

/* No changed byte makes it read out of its bounds (the sanitizers look) or leaves half a result. */
static void changed_bytes(void **state)
{
    (void)state;
    CLEANUP(made_free) struct made m = make(X509_VERSION_3, "1", "260101000000Z", "270101000000Z");
    size_t refused = 0;
    for (size_t i = 0; i < 8 * m.der.n; i++) {
        struct soft_certificate c = {0};
        m.der.p[i / 8] ^= (uint8_t)(1 << i % 8);
        uint8_t *exact = malloc(m.der.n);
        assert_non_null(exact);
        memcpy(exact, m.der.p, m.der.n);
        CK_RV rv = soft_certificate_parse(BYTES(exact, m.der.n), &c);
        if (rv == CKR_ATTRIBUTE_VALUE_INVALID) {
            refused++;
            assert_null(c.subject.p);
        } else {
            assert_ok(rv);
            assert_non_null(c.spki.p);
        }
        soft_certificate_free(&c);
        free(exact);
        m.der.p[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    assert_true(refused > 8 * 20);
}

static void bad_dates(void **state)
{
    (void)state;
    CLEANUP(made_free) struct made m = make(X509_VERSION_3, "1", "260101000000Z", "270101000000Z");
    struct soft_certificate c = {0};
    uint8_t *date = memmem(m.der.p, m.der.n, "260101000000Z", 13);
    assert_non_null(date);
    date[3] = '/';
    assert_int_equal(soft_certificate_parse(buf_bytes(&m.der), &c), CKR_ATTRIBUTE_VALUE_INVALID);
    date[3] = '1';
    date[-2] = 0x16; /* IA5String */
    assert_int_equal(soft_certificate_parse(buf_bytes(&m.der), &c), CKR_ATTRIBUTE_VALUE_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_openssl_s),
        cmocka_unit_test(dates),
        cmocka_unit_test(extensions_do_not_matter),
        cmocka_unit_test(not_one_certificate),
        cmocka_unit_test(changed_bytes),
        cmocka_unit_test(bad_dates),
    };
    return run_soft_tests(tests);
}
