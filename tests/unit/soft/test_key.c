/* SubjectPublicKeyInfo, written and read. */
#include "rsa_pair.h"

#include <openssl/ec.h>
#include <openssl/x509.h>

struct parts {
    enum curve curve;
    struct buf point, modulus, exponent;
};

static void parts_free(struct parts *p)
{
    buf_free(&p->point);
    buf_free(&p->modulus);
    buf_free(&p->exponent);
}

static CK_RV parse(struct bytes spki, struct parts *ret)
{
    return soft_spki_parse(spki, &ret->curve, &ret->point, &ret->modulus, &ret->exponent);
}

/* What OpenSSL writes for the key; free with OPENSSL_free. */
static struct bytes evp_spki(EVP_PKEY *key)
{
    uint8_t *der = NULL;
    int n = i2d_PUBKEY(key, &der);
    assert_true(n > 0);
    return BYTES(der, n);
}

static void check(struct bytes expected, const struct soft_key *k)
{
    CLEANUP(buf_free) struct buf spki = {0};
    assert_ok(buf_u8(&spki, 0xEE)); /* it appends */
    assert_ok(soft_key_spki(k, &spki));
    assert_int_equal(spki.p[0], 0xEE);
    assert_true(bytes_equal(BYTES(spki.p + 1, spki.n - 1), expected));
}

static void refuses_every_cut(struct bytes spki)
{
    CLEANUP(parts_free) struct parts parts = {.curve = CURVE_P521};
    CLEANUP(buf_free) struct buf longer = {0};
    for (size_t n = 0; n < spki.n; n++)
        assert_int_equal(parse(BYTES(spki.p, n), &parts), CKR_ATTRIBUTE_VALUE_INVALID);
    assert_ok(buf_set(&longer, spki));
    assert_ok(buf_u8(&longer, 0));
    assert_int_equal(parse(buf_bytes(&longer), &parts), CKR_ATTRIBUTE_VALUE_INVALID);
    assert_int_equal(parts.curve, CURVE_P521);
    assert_int_equal(parts.point.n + parts.modulus.n + parts.exponent.n, 0);
}

static void rsa(void **state)
{
    (void)state;
    static const size_t sizes[] = {512, 1024, 1025, 1031, 2048, 4096};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        CLEANUP(rsa_pair_free) struct rsa_pair p = rsa_pair_new(sizes[i]);
        CLEANUP(parts_free) struct parts parts = {.curve = CURVE_P521};
        struct bytes spki = evp_spki(p.evp);
        check(spki, p.ours);
        assert_ok(parse(spki, &parts));
        assert_int_equal(parts.curve, CURVE_NONE);
        assert_int_equal(parts.point.n, 0);
        assert_true(bytes_equal(buf_bytes(&parts.modulus), BYTES(p.modulus, p.size)));
        assert_true(bytes_equal(buf_bytes(&parts.exponent), BYTES(p.exponent, p.exponent_n)));
        refuses_every_cut(spki);
        OPENSSL_free((void *)(uintptr_t)spki.p);
    }
}

static void ec(void **state)
{
    (void)state;
    for (enum curve c = CURVE_P224; c < CURVE_COUNT; c++) {
        EVP_PKEY *key = EVP_EC_gen(curve_name(c));
        struct bytes spki = evp_spki(key);
        CLEANUP(parts_free) struct parts parts = {0};
        CLEANUP(soft_key_free) struct soft_key *ours = NULL;
        assert_ok(parse(spki, &parts));
        assert_int_equal(parts.curve, c);
        assert_int_equal(parts.modulus.n + parts.exponent.n, 0);
        assert_int_equal(parts.point.n, 1 + 2 * curve_field_size(c));
        assert_memory_equal(parts.point.p, spki.p + spki.n - parts.point.n, parts.point.n);
        assert_ok(soft_key_ec(c, buf_bytes(&parts.point), &ours));
        check(spki, ours);
        refuses_every_cut(spki);
        OPENSSL_free((void *)(uintptr_t)spki.p);
        EVP_PKEY_free(key);
    }
}

static void other_keys(void **state)
{
    (void)state;
    CLEANUP(parts_free) struct parts parts = {0};
    EVP_PKEY *keys[] = {EVP_PKEY_Q_keygen(NULL, NULL, "SM2"), EVP_EC_gen("secp224k1")};
    for (size_t i = 0; i < 2; i++) {
        struct bytes spki = evp_spki(keys[i]);
        assert_int_equal(parse(spki, &parts), CKR_ATTRIBUTE_VALUE_INVALID);
        OPENSSL_free((void *)(uintptr_t)spki.p);
        EVP_PKEY_free(keys[i]);
    }
}

/* Small SubjectPublicKeyInfos by hand: only the first is right. */
static void malformed(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "301b 300d 06092a864886f70d010101 0500 030a 00 3007 02020081 020103",
        "301b 300d 06092a864886f70d010101 0500 030a 01 3007 02020081 020103",    /* unused bits */
        "301a 300d 06092a864886f70d010101 0500 0309 00 3006 020181 020103",      /* negative */
        "301c 300d 06092a864886f70d010101 0500 030b 00 3008 02020081 020103 00", /* trailing */
        "3019 300d 06092a864886f70d010101 0500 0308 00 3005 0200 020103",        /* empty number */
        "301b 300d 06092a864886f70d010102 0500 030a 00 3007 02020081 020103",    /* another OID */
        "301c 300e 06092a864886f70d010101 020101 030a 00 3007 02020081 020103",  /* parameters */
        "30811b 300d 06092a864886f70d010101 0500 030a 00 3007 02020081 020103",  /* long length */
        "3080 300d 06092a864886f70d010101 0500 030a 00 3007 02020081 020103 0000", /* BER */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        CLEANUP(parts_free) struct parts parts = {0};
        struct hex spki = unhex(cases[i]);
        assert_int_equal(parse(HEX_BYTES(spki), &parts), i ? CKR_ATTRIBUTE_VALUE_INVALID : CKR_OK);
        assert_int_equal(parts.modulus.n, i ? 0 : 1);
    }
    struct hex no_null = unhex("3019 300b 06092a864886f70d010101 030a 00 3007 02020081 020103");
    CLEANUP(parts_free) struct parts parts = {0};
    assert_ok(parse(HEX_BYTES(no_null), &parts));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rsa),
        cmocka_unit_test(ec),
        cmocka_unit_test(other_keys),
        cmocka_unit_test(malformed),
    };
    return run_soft_tests(tests);
}
