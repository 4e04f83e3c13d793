/* C_GenerateKey: PKCS#11 3.0 section 5.18.1 and 4.10 (secret keys); the mechanisms of 2.8, 2.11,
 * 2.20 to 2.31, 2.35 (PBKDF2) and 2.46 (HKDF). */
#include "secret_keys.h"

#include <latchkey/vendor.h>

static const struct made {
    CK_MECHANISM_TYPE type, use;
    CK_KEY_TYPE key;
    CK_ULONG n;
    bool tpm; /* has such keys */
} made[] = {
    {CKM_AES_KEY_GEN, CKM_AES_CMAC, CKK_AES, 16, true},
    {CKM_AES_KEY_GEN, CKM_AES_CMAC, CKK_AES, 24, false},
    {CKM_AES_KEY_GEN, CKM_AES_CMAC, CKK_AES, 32, true},
    {CKM_GENERIC_SECRET_KEY_GEN, CKM_SHA256_HMAC, CKK_GENERIC_SECRET, 1, true},
    {CKM_GENERIC_SECRET_KEY_GEN, CKM_SHA512_HMAC, CKK_GENERIC_SECRET, 32, true},
    {CKM_GENERIC_SECRET_KEY_GEN, CKM_SHA_1_HMAC, CKK_GENERIC_SECRET, 64, true},
    {CKM_GENERIC_SECRET_KEY_GEN, CKM_SHA256_HMAC, CKK_GENERIC_SECRET, 65, false},
    {CKM_GENERIC_SECRET_KEY_GEN, CKM_SHA256_HMAC, CKK_GENERIC_SECRET, 1000, false},
    {CKM_SHA_1_KEY_GEN, CKM_SHA_1_HMAC, CKK_SHA_1_HMAC, 20, true},
    {CKM_SHA224_KEY_GEN, CKM_SHA224_HMAC, CKK_SHA224_HMAC, 28, false},
    {CKM_SHA256_KEY_GEN, CKM_SHA256_HMAC, CKK_SHA256_HMAC, 32, true},
    {CKM_SHA256_KEY_GEN, CKM_SHA256_HMAC, CKK_SHA256_HMAC, 100, true},
    {CKM_SHA384_KEY_GEN, CKM_SHA384_HMAC, CKK_SHA384_HMAC, 48, true},
    {CKM_SHA512_KEY_GEN, CKM_SHA512_HMAC, CKK_SHA512_HMAC, 64, true},
    {CKM_SHA3_224_KEY_GEN, CKM_SHA3_224_HMAC, CKK_SHA3_224_HMAC, 28, false},
    {CKM_SHA3_256_KEY_GEN, CKM_SHA3_256_HMAC, CKK_SHA3_256_HMAC, 32, false},
    {CKM_SHA3_384_KEY_GEN, CKM_SHA3_384_HMAC, CKK_SHA3_384_HMAC, 48, false},
    {CKM_SHA3_512_KEY_GEN, CKM_SHA3_512_HMAC, CKK_SHA3_512_HMAC, 64, false},
    {CKM_HKDF_KEY_GEN, CK_UNAVAILABLE_INFORMATION, CKK_HKDF, 32, false},
};

static CK_RV generate(CK_SESSION_HANDLE session, const struct made *m, const CK_ATTRIBUTE *more,
                      CK_ULONG n, CK_OBJECT_HANDLE *ret)
{
    CK_ATTRIBUTE template[24] = {ATTR_ULONG(CKA_VALUE_LEN, m->n)};
    assert_true(n < COUNT(template));
    for (CK_ULONG i = 0; i < n; i++)
        template[1 + i] = more[i];
    *ret = CK_INVALID_HANDLE;
    return p11->C_GenerateKey(session, MECHANISM(m->type), template, n + 1, ret);
}

static CK_RV read_attribute(CK_OBJECT_HANDLE key, CK_ATTRIBUTE_TYPE type)
{
    CK_BYTE value[4096];
    CK_ATTRIBUTE attribute = {type, value, sizeof value};
    return p11->C_GetAttributeValue(fx.session, key, &attribute, 1);
}

/* ---- what is made -------------------------------------------------------------------------- */

static void assert_said(CK_OBJECT_HANDLE key, const struct made *m)
{
    assert_int_equal(get_ulong(fx.session, key, CKA_CLASS), CKO_SECRET_KEY);
    assert_int_equal(get_ulong(fx.session, key, CKA_KEY_TYPE), m->key);
    assert_int_equal(get_ulong(fx.session, key, CKA_VALUE_LEN), m->n);
    assert_true(get_bool(fx.session, key, CKA_LOCAL));
    assert_int_equal(get_ulong(fx.session, key, CKA_KEY_GEN_MECHANISM), m->type);
}

static void assert_secrecy(CK_OBJECT_HANDLE key, bool sensitive, bool extractable)
{
    assert_int_equal(get_bool(fx.session, key, CKA_SENSITIVE), sensitive);
    assert_int_equal(get_bool(fx.session, key, CKA_EXTRACTABLE), extractable);
    assert_int_equal(get_bool(fx.session, key, CKA_ALWAYS_SENSITIVE), sensitive);
    assert_int_equal(get_bool(fx.session, key, CKA_NEVER_EXTRACTABLE), !extractable);
    assert_rv(sensitive || !extractable ? CKR_ATTRIBUTE_SENSITIVE : CKR_OK,
              read_attribute(key, CKA_VALUE));
}

static void assert_protection(CK_OBJECT_HANDLE key, const char *protection)
{
    assert_blob(get_attribute(fx.session, key, CKA_LATCHKEY_PROTECTION), protection,
                strlen(protection));
}

/* PKCS#11 3.0 section 4.10.2: of AES keys a zero block's ciphertext, else the value's SHA-1. */
static void assert_check_value(CK_OBJECT_HANDLE key, const struct made *m, bool readable)
{
    if (m->key == CKK_AES) {
        CK_BYTE block[16] = {0};
        CK_ULONG n = sizeof block;
        assert_ok(p11->C_EncryptInit(fx.session, MECHANISM(CKM_AES_ECB), key));
        assert_ok(p11->C_Encrypt(fx.session, block, sizeof block, block, &n));
        assert_blob(get_attribute(fx.session, key, CKA_CHECK_VALUE), block, 3);
    } else if (readable) {
        struct blob value = get_attribute(fx.session, key, CKA_VALUE);
        assert_blob(get_attribute(fx.session, key, CKA_CHECK_VALUE),
                    openssl_digest("SHA1", value.p, value.n).p, 3);
    }
}

/* Two keys of a kind are different ones, and work. */
static void assert_works(const struct made *m, CK_OBJECT_HANDLE key, CK_OBJECT_HANDLE other)
{
    CK_BYTE data[50] = {0};
    if (m->use == CK_UNAVAILABLE_INFORMATION)
        return;
    struct blob mac = sign(fx.session, MECHANISM(m->use), key, data, sizeof data);
    assert_ok(verify(fx.session, MECHANISM(m->use), key, data, sizeof data, mac));
    if (m->n > 1)
        assert_rv(CKR_SIGNATURE_INVALID,
                  verify(fx.session, MECHANISM(m->use), other, data, sizeof data, mac));
}

static void check_kind(const struct made *m, bool token, bool extractable, bool sensitive)
{
    CK_OBJECT_HANDLE key, other;
    const CK_ATTRIBUTE more[] = {ATTR_BOOL(CKA_TOKEN, token),
                                 ATTR_BOOL(CKA_EXTRACTABLE, extractable),
                                 ATTR_BOOL(CKA_SENSITIVE, sensitive)};
    assert_ok(generate(fx.session, m, more, COUNT(more), &key));
    assert_ok(generate(fx.session, m, more, COUNT(more), &other));
    assert_said(key, m);
    assert_secrecy(key, sensitive, extractable);
    assert_protection(key, m->tpm && !extractable ? "tpm" : token ? "sealed" : "session");
    assert_check_value(key, m, extractable && !sensitive);
    assert_works(m, key, other);
    assert_ok(p11->C_DestroyObject(fx.session, key));
    assert_ok(p11->C_DestroyObject(fx.session, other));
}

static void each_kind(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(made); i++)
        for (unsigned bits = 0; bits < 8; bits++)
            check_kind(&made[i], bits & 1, bits & 2, bits & 4);
}

/* A session object, private, sensitive, not to be extracted, for its type's own operations. */
static void defaults(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(made); i++) {
        CK_OBJECT_HANDLE key;
        bool aes = made[i].key == CKK_AES, hkdf = made[i].key == CKK_HKDF;
        assert_ok(generate(fx.session, &made[i], NULL, 0, &key));
        assert_said(key, &made[i]);
        assert_secrecy(key, true, false);
        assert_false(get_bool(fx.session, key, CKA_TOKEN));
        assert_true(get_bool(fx.session, key, CKA_PRIVATE));
        assert_true(get_bool(fx.session, key, CKA_MODIFIABLE));
        assert_int_equal(get_bool(fx.session, key, CKA_ENCRYPT), aes);
        assert_int_equal(get_bool(fx.session, key, CKA_DECRYPT), aes);
        assert_int_equal(get_bool(fx.session, key, CKA_SIGN), !hkdf);
        assert_int_equal(get_bool(fx.session, key, CKA_VERIFY), !hkdf);
        assert_false(get_bool(fx.session, key, CKA_WRAP));
        assert_false(get_bool(fx.session, key, CKA_UNWRAP));
        assert_false(get_bool(fx.session, key, CKA_TRUSTED));
        assert_false(get_bool(fx.session, key, CKA_WRAP_WITH_TRUSTED));
        assert_int_equal(get_attribute(fx.session, key, CKA_LABEL).n, 0);
        assert_int_equal(get_attribute(fx.session, key, CKA_ID).n, 0);
        assert_int_equal(get_attribute(fx.session, key, CKA_START_DATE).n, 0);
    }
}

/* PKCS#11 3.0 section 4.10.2: an empty CKA_CHECK_VALUE asks for none. */
static void no_check_value(void **state)
{
    (void)state;
    CK_OBJECT_HANDLE key;
    const CK_ATTRIBUTE none[] = {{CKA_CHECK_VALUE, NULL, 0}};
    const CK_ATTRIBUTE wrong[] = {ATTR_STR(CKA_CHECK_VALUE, "abc")};
    assert_ok(generate(fx.session, &made[0], none, 1, &key));
    CK_ATTRIBUTE value = {CKA_CHECK_VALUE, NULL, 0};
    CK_RV rv = p11->C_GetAttributeValue(fx.session, key, &value, 1);
    assert_rv_either(CKR_OK, CKR_ATTRIBUTE_TYPE_INVALID, rv);
    assert_true(value.ulValueLen == 0 || value.ulValueLen == CK_UNAVAILABLE_INFORMATION);
    assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, generate(fx.session, &made[0], wrong, 1, &key));
}

/* ---- PBKDF2 -------------------------------------------------------------------------------- */

static CK_PKCS5_PBKD2_PARAMS2 pbkdf2(CK_ULONG rounds)
{
    static CK_UTF8CHAR password[] = "password", salt[] = "salt";
    return (CK_PKCS5_PBKD2_PARAMS2){
        CKZ_SALT_SPECIFIED, salt, 4, rounds, CKP_PKCS5_PBKD2_HMAC_SHA1, NULL, 0, password, 8};
}

static CK_RV derive_password(CK_PKCS5_PBKD2_PARAMS2 *p, CK_KEY_TYPE type, CK_ULONG n, bool token,
                             bool extractable, CK_OBJECT_HANDLE *ret)
{
    CK_ATTRIBUTE template[] = {
        ATTR_ULONG(CKA_KEY_TYPE, type),
        ATTR_ULONG(CKA_VALUE_LEN, n),
        ATTR_BOOL(CKA_TOKEN, token),
        ATTR_BOOL(CKA_EXTRACTABLE, extractable),
        ATTR_BOOL(CKA_SENSITIVE, !extractable),
    };
    CK_MECHANISM m = {CKM_PKCS5_PBKD2, p, sizeof *p};
    return p11->C_GenerateKey(fx.session, &m, template, COUNT(template), ret);
}

/* RFC 6070, 2: test cases 1 and 2. */
static const CK_BYTE rfc6070[2][20] = {
    {0x0c, 0x60, 0xc8, 0x0f, 0x96, 0x1f, 0x0e, 0x71, 0xf3, 0xa9,
     0xb5, 0x24, 0xaf, 0x60, 0x12, 0x06, 0x2f, 0xe0, 0x37, 0xa6},
    {0xea, 0x6c, 0x01, 0x4d, 0xc7, 0x2d, 0x6f, 0x8c, 0xcd, 0x1e,
     0xd9, 0x2a, 0xce, 0x1d, 0x41, 0xf0, 0xd8, 0xde, 0x89, 0x57},
};

static void from_a_password(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
        CK_PKCS5_PBKD2_PARAMS2 p = pbkdf2(1 + i / 2);
        bool token = i & 1;
        assert_ok(derive_password(&p, CKK_GENERIC_SECRET, 20, token, true, &key));
        assert_blob(get_attribute(fx.session, key, CKA_VALUE), rfc6070[i / 2], 20);
        assert_int_equal(get_ulong(fx.session, key, CKA_KEY_GEN_MECHANISM), CKM_PKCS5_PBKD2);
        assert_true(get_bool(fx.session, key, CKA_LOCAL));
        assert_protection(key, token ? "sealed" : "session");
        assert_blob(get_attribute(fx.session, key, CKA_CHECK_VALUE),
                    openssl_digest("SHA1", rfc6070[i / 2], 20).p, 3);
    }
}

/* The same key in the TPM, where nobody reads it: its MACs are right. */
static void from_a_password_into_the_tpm(void **state)
{
    (void)state;
    CK_PKCS5_PBKD2_PARAMS2 p = pbkdf2(2);
    for (int token = 0; token < 2; token++) {
        CK_OBJECT_HANDLE hmac = CK_INVALID_HANDLE, aes = CK_INVALID_HANDLE;
        assert_ok(derive_password(&p, CKK_SHA256_HMAC, 20, token, false, &hmac));
        assert_ok(derive_password(&p, CKK_AES, 16, token, false, &aes));
        assert_protection(hmac, "tpm");
        assert_protection(aes, "tpm");
        assert_secrecy(hmac, true, false);
        struct blob want = evp_mac("HMAC", "SHA256", rfc6070[1], 20, NULL, 0, "abc", 3);
        assert_blob(sign(fx.session, MECHANISM(CKM_SHA256_HMAC), hmac, "abc", 3), want.p, want.n);
        want = evp_mac("CMAC", "AES-128-CBC", rfc6070[1], 16, NULL, 0, "abc", 3);
        assert_blob(sign(fx.session, MECHANISM(CKM_AES_CMAC), aes, "abc", 3), want.p, want.n);
    }
}

/* PKCS#11 3.0 section 2.35: the older parameter has a pointer to the password's length. */
static void password_length_by_pointer(void **state)
{
    (void)state;
    CK_ULONG n = 8;
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    CK_PKCS5_PBKD2_PARAMS2 p = pbkdf2(1);
    p.ulPasswordLen = (CK_ULONG)(uintptr_t)&n;
    assert_ok(derive_password(&p, CKK_GENERIC_SECRET, 20, false, true, &key));
    assert_blob(get_attribute(fx.session, key, CKA_VALUE), rfc6070[0], 20);
}

static void wrong_password_parameters(void **state)
{
    (void)state;
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    CK_PKCS5_PBKD2_PARAMS2 all[8];
    for (size_t i = 0; i < COUNT(all); i++)
        all[i] = pbkdf2(1);
    all[0].saltSource = 2;
    all[1].iterations = 0;
    all[2].prf = 0;
    all[3].prf = 0x100;
    all[4].pPrfData = all;
    all[5].ulPrfDataLen = 1;
    all[6].pPassword = NULL;
    all[7].pSaltSourceData = NULL;
    for (size_t i = 0; i < COUNT(all); i++)
        assert_rv(CKR_MECHANISM_PARAM_INVALID,
                  derive_password(&all[i], CKK_GENERIC_SECRET, 20, false, false, &key));
    CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_VALUE_LEN, 20), ATTR_ULONG(CKA_KEY_TYPE, CKK_AES)};
    CK_PKCS5_PBKD2_PARAMS2 p = pbkdf2(1);
    CK_MECHANISM m = {CKM_PKCS5_PBKD2, &p, sizeof p}, no_parameter = {CKM_PKCS5_PBKD2, NULL, 0};
    CK_MECHANISM shorter = {CKM_PKCS5_PBKD2, &p, sizeof p - 1};
    assert_rv(CKR_TEMPLATE_INCOMPLETE, p11->C_GenerateKey(fx.session, &m, template, 1, &key));
    assert_rv_either(CKR_KEY_SIZE_RANGE, CKR_ATTRIBUTE_VALUE_INVALID,
                     p11->C_GenerateKey(fx.session, &m, template, 2, &key));
    assert_rv(CKR_MECHANISM_PARAM_INVALID,
              p11->C_GenerateKey(fx.session, &no_parameter, template, 2, &key));
    assert_rv(CKR_MECHANISM_PARAM_INVALID,
              p11->C_GenerateKey(fx.session, &shorter, template, 2, &key));
    assert_int_equal(key, CK_INVALID_HANDLE);
}

/* ---- templates ----------------------------------------------------------------------------- */

/* PKCS#11 3.0 section 4.1.1, and the footnotes of table 11. */
static void template_errors(void **state)
{
    (void)state;
    const struct {
        CK_RV rv, also;
        CK_ATTRIBUTE attribute;
    } rows[] = {
        {CKR_TEMPLATE_INCONSISTENT, 0, ATTR_ULONG(CKA_KEY_TYPE, CKK_GENERIC_SECRET)},
        {CKR_TEMPLATE_INCONSISTENT, 0, ATTR_ULONG(CKA_CLASS, CKO_PRIVATE_KEY)},
        {CKR_ATTRIBUTE_TYPE_INVALID, 0, ATTR_ULONG(0x7FFF1234, 1)},
        {CKR_ATTRIBUTE_TYPE_INVALID, CKR_TEMPLATE_INCONSISTENT, ATTR_ULONG(CKA_MODULUS_BITS, 1024)},
        {CKR_ATTRIBUTE_READ_ONLY, CKR_TEMPLATE_INCONSISTENT,
         ATTR_STR(CKA_VALUE, "0123456789abcdef")},
        {CKR_ATTRIBUTE_READ_ONLY, 0, ATTR_BOOL(CKA_LOCAL, true)},
        {CKR_ATTRIBUTE_READ_ONLY, 0, ATTR_BOOL(CKA_ALWAYS_SENSITIVE, true)},
        {CKR_ATTRIBUTE_READ_ONLY, 0, ATTR_BOOL(CKA_NEVER_EXTRACTABLE, true)},
        {CKR_ATTRIBUTE_READ_ONLY, 0, ATTR_ULONG(CKA_KEY_GEN_MECHANISM, CKM_AES_KEY_GEN)},
        {CKR_ATTRIBUTE_READ_ONLY, 0, ATTR_BOOL(CKA_TRUSTED, true)},
        {CKR_ATTRIBUTE_VALUE_INVALID, 0, ATTR_STR(CKA_ENCRYPT, "\2")},
        {CKR_ATTRIBUTE_VALUE_INVALID, 0, ATTR_STR(CKA_ENCRYPT, "\1\1")},
        {CKR_ATTRIBUTE_VALUE_INVALID, 0, ATTR_STR(CKA_TOKEN, "")},
        {CKR_ATTRIBUTE_VALUE_INVALID, 0, ATTR_STR(CKA_START_DATE, "yesterda")},
        {CKR_TEMPLATE_INCONSISTENT, CKR_ATTRIBUTE_VALUE_INVALID, ATTR_ULONG(CKA_VALUE_LEN, 32)},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        CK_OBJECT_HANDLE key;
        CK_RV rv = generate(fx.session, &made[0], &rows[i].attribute, 1, &key);
        if (rv != rows[i].rv && rv != rows[i].also)
            print_error("row %zu\n", i);
        assert_rv_either(rows[i].rv, rows[i].also == 0 ? rows[i].rv : rows[i].also, rv);
        assert_int_equal(key, CK_INVALID_HANDLE);
    }
}

static void lengths(void **state)
{
    (void)state;
    static const CK_ULONG wrong[] = {0, 1, 15, 17, 20, 31, 33, 64, 128, CK_UNAVAILABLE_INFORMATION};
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    CK_ATTRIBUTE label = ATTR_STR(CKA_LABEL, "no length");
    for (size_t i = 0; i < COUNT(wrong); i++)
        assert_rv_either(CKR_KEY_SIZE_RANGE, CKR_ATTRIBUTE_VALUE_INVALID,
                         generate(fx.session,
                                  &(struct made){.type = CKM_AES_KEY_GEN, .n = wrong[i]}, NULL, 0,
                                  &key));
    for (size_t i = 0; i < COUNT(made); i++) {
        struct made none = made[i], huge = made[i];
        none.n = 0;
        huge.n = 1000000;
        assert_rv(CKR_TEMPLATE_INCOMPLETE,
                  p11->C_GenerateKey(fx.session, MECHANISM(made[i].type), &label, 1, &key));
        assert_rv(CKR_TEMPLATE_INCOMPLETE,
                  p11->C_GenerateKey(fx.session, MECHANISM(made[i].type), NULL, 0, &key));
        assert_rv_either(CKR_KEY_SIZE_RANGE, CKR_ATTRIBUTE_VALUE_INVALID,
                         generate(fx.session, &none, NULL, 0, &key));
        assert_rv_either(CKR_KEY_SIZE_RANGE, CKR_ATTRIBUTE_VALUE_INVALID,
                         generate(fx.session, &huge, NULL, 0, &key));
    }
}

/* C_GetMechanismInfo's limits are met: the least and the greatest length are made, and no other
 * mechanism generates. */
static void limits_are_true(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(made); i++) {
        CK_MECHANISM_INFO info;
        CK_OBJECT_HANDLE key;
        struct made m = made[i];
        bool bits = m.type == CKM_GENERIC_SECRET_KEY_GEN;
        assert_ok(p11->C_GetMechanismInfo(fx.slot, m.type, &info));
        assert_true((info.flags & CKF_GENERATE) != 0);
        m.n = bits ? info.ulMinKeySize / 8 : info.ulMinKeySize;
        assert_ok(generate(fx.session, &m, NULL, 0, &key));
        m.n = bits ? info.ulMaxKeySize / 8 : info.ulMaxKeySize;
        assert_ok(generate(fx.session, &m, NULL, 0, &key));
        m.n++;
        assert_rv_either(CKR_KEY_SIZE_RANGE, CKR_ATTRIBUTE_VALUE_INVALID,
                         generate(fx.session, &m, NULL, 0, &key));
    }
}

static void mechanisms(void **state)
{
    (void)state;
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    CK_ATTRIBUTE length = ATTR_ULONG(CKA_VALUE_LEN, 16);
    CK_BYTE parameter[4] = {0};
    static const CK_MECHANISM_TYPE wrong[] = {CKM_AES_CBC, CKM_EC_KEY_PAIR_GEN, CKM_SHA256,
                                              CKM_DES3_KEY_GEN, 0x7FFFFFFF};
    for (size_t i = 0; i < COUNT(wrong); i++)
        assert_rv(CKR_MECHANISM_INVALID,
                  p11->C_GenerateKey(fx.session, MECHANISM(wrong[i]), &length, 1, &key));
    assert_rv(CKR_MECHANISM_PARAM_INVALID,
              p11->C_GenerateKey(fx.session, MECHANISM_WITH(CKM_AES_KEY_GEN, parameter), &length, 1,
                                 &key));
    assert_rv(CKR_ARGUMENTS_BAD, p11->C_GenerateKey(fx.session, NULL, &length, 1, &key));
    assert_rv(CKR_ARGUMENTS_BAD,
              p11->C_GenerateKey(fx.session, MECHANISM(CKM_AES_KEY_GEN), &length, 1, NULL));
    assert_rv(CKR_ARGUMENTS_BAD,
              p11->C_GenerateKey(fx.session, MECHANISM(CKM_AES_KEY_GEN), NULL, 1, &key));
    assert_int_equal(key, CK_INVALID_HANDLE);
}

/* ---- protection ---------------------------------------------------------------------------- */

static CK_RV protect(const struct made *m, bool token, bool extractable, const char *as)
{
    CK_OBJECT_HANDLE key;
    const CK_ATTRIBUTE more[] = {ATTR_BOOL(CKA_TOKEN, token),
                                 ATTR_BOOL(CKA_EXTRACTABLE, extractable),
                                 ATTR_STR(CKA_LATCHKEY_PROTECTION, as)};
    CK_RV rv = generate(fx.session, m, more, COUNT(more), &key);
    if (rv == CKR_OK)
        assert_protection(key, as);
    return rv;
}

/* The template may ask for a place, and gets that or nothing. */
static void protection(void **state)
{
    (void)state;
    const struct made *aes = &made[0], *aes192 = &made[1];
    for (int extractable = 0; extractable < 2; extractable++) {
        assert_ok(protect(aes, true, extractable, "sealed"));
        assert_ok(protect(aes, false, extractable, "session"));
        assert_rv(CKR_TEMPLATE_INCONSISTENT, protect(aes, true, extractable, "session"));
        assert_rv(CKR_TEMPLATE_INCONSISTENT, protect(aes, false, extractable, "sealed"));
    }
    assert_ok(protect(aes, true, false, "tpm"));
    assert_ok(protect(aes, false, false, "tpm"));
    assert_rv(CKR_TEMPLATE_INCONSISTENT, protect(aes, true, true, "tpm"));
    assert_rv(CKR_TEMPLATE_INCONSISTENT, protect(aes, false, true, "tpm"));
    assert_rv(CKR_TEMPLATE_INCONSISTENT, protect(aes192, true, false, "tpm"));
    assert_rv_either(CKR_TEMPLATE_INCONSISTENT, CKR_ATTRIBUTE_VALUE_INVALID,
                     protect(aes, true, false, "paper"));
}

/* sealed-keys = no: what would lie in the store is refused, the rest is not. */
static void without_sealed_keys(void **state)
{
    (void)state;
    CK_OBJECT_HANDLE key;
    const CK_ATTRIBUTE stored[] = {ATTR_BOOL(CKA_TOKEN, true), ATTR_BOOL(CKA_EXTRACTABLE, true)};
    const CK_ATTRIBUTE not_stored[] = {ATTR_BOOL(CKA_EXTRACTABLE, true)};
    assert_ok(initialize("sealed-keys=no"));
    fx.session = open_session(fx.slot, CKF_RW_SESSION);
    assert_ok(login(fx.session, CKU_USER, USER_PIN));
    for (size_t i = 0; i < COUNT(made); i++) {
        assert_rv(CKR_TEMPLATE_INCONSISTENT, generate(fx.session, &made[i], stored, 2, &key));
        assert_rv(made[i].tpm ? CKR_OK : CKR_TEMPLATE_INCONSISTENT,
                  generate(fx.session, &made[i], stored, 1, &key));
        assert_ok(generate(fx.session, &made[i], not_stored, 1, &key));
    }
}

/* ---- sessions ------------------------------------------------------------------------------ */

static CK_RV generate_as(bool token, bool private)
{
    CK_OBJECT_HANDLE key;
    const CK_ATTRIBUTE more[] = {ATTR_BOOL(CKA_TOKEN, token), ATTR_BOOL(CKA_PRIVATE, private)};
    CK_RV rv = generate(fx.session, &made[0], more, 2, &key);
    if (rv == CKR_OK && token)
        assert_ok(p11->C_DestroyObject(fx.session, key));
    return rv;
}

/* PKCS#11 3.0 section 5.6, table 3: which session may make what. */
static void read_only_sessions(void **state)
{
    (void)state;
    fx.session = open_session(fx.slot, 0);
    assert_rv(CKR_SESSION_READ_ONLY, generate_as(true, true));
    assert_rv(CKR_SESSION_READ_ONLY, generate_as(true, false));
    assert_ok(generate_as(false, true));
    assert_ok(generate_as(false, false));
    assert_ok(p11->C_Logout(fx.session));
    assert_rv_either(CKR_SESSION_READ_ONLY, CKR_USER_NOT_LOGGED_IN, generate_as(true, true));
    assert_rv(CKR_USER_NOT_LOGGED_IN, generate_as(false, true));
    assert_ok(generate_as(false, false));
}

static void not_logged_in(void **state)
{
    (void)state;
    fx.session = open_session(fx.slot, CKF_RW_SESSION);
    assert_rv(CKR_USER_NOT_LOGGED_IN, generate_as(true, true));
    assert_rv(CKR_USER_NOT_LOGGED_IN, generate_as(false, true));
    assert_rv(CKR_USER_NOT_LOGGED_IN, generate_as(true, false)); /* nothing to protect it with */
    assert_ok(generate_as(false, false));
    assert_ok(login(fx.session, CKU_SO, SO_PIN));
    assert_rv(CKR_USER_NOT_LOGGED_IN, generate_as(true, true));
    assert_rv(CKR_USER_NOT_LOGGED_IN, generate_as(false, true));
    assert_ok(generate_as(false, false));
}

static CK_ULONG count_labelled(CK_SESSION_HANDLE session, const char *label)
{
    CK_ATTRIBUTE template = ATTR_STR(CKA_LABEL, label);
    return count_objects(session, &template, 1);
}

/* PKCS#11 3.0 section 5.6.2: a session's objects go with it, a token's stay. */
static void lives(void **state)
{
    (void)state;
    CK_OBJECT_HANDLE key;
    CK_SESSION_HANDLE other = open_session(fx.slot, CKF_RW_SESSION);
    const CK_ATTRIBUTE more[] = {ATTR_STR(CKA_LABEL, "life"), ATTR_BOOL(CKA_TOKEN, true)};
    for (size_t i = 0; i < COUNT(made); i++)
        for (CK_ULONG stored = 0; stored < 2; stored++)
            assert_ok(generate(other, &made[i], more, 1 + stored, &key));
    assert_int_equal(count_labelled(fx.session, "life"), 2 * COUNT(made));
    assert_ok(p11->C_CloseSession(other));
    assert_int_equal(count_labelled(fx.session, "life"), COUNT(made));
    assert_ok(p11->C_Logout(fx.session));
    assert_int_equal(count_labelled(fx.session, "life"), 0);
    test_end(state);
    test_user(state);
    assert_int_equal(count_labelled(fx.session, "life"), COUNT(made));
    while ((key = CK_INVALID_HANDLE, count_labelled(fx.session, "life")) > 0) {
        CK_ATTRIBUTE template = more[0];
        CK_ULONG n;
        assert_ok(p11->C_FindObjectsInit(fx.session, &template, 1));
        assert_ok(p11->C_FindObjects(fx.session, &key, 1, &n));
        assert_ok(p11->C_FindObjectsFinal(fx.session));
        assert_ok(p11->C_DestroyObject(fx.session, key));
    }
}

/* A logout takes the private session keys with it. */
static void private_session_keys(void **state)
{
    (void)state;
    CK_OBJECT_HANDLE key, public;
    const CK_ATTRIBUTE open[] = {ATTR_BOOL(CKA_PRIVATE, false)};
    assert_ok(generate(fx.session, &made[0], NULL, 0, &key));
    assert_ok(generate(fx.session, &made[0], open, 1, &public));
    assert_ok(p11->C_Logout(fx.session));
    assert_ok(read_attribute(public, CKA_LABEL));
    assert_rv(CKR_OBJECT_HANDLE_INVALID, read_attribute(key, CKA_LABEL));
    assert_ok(login(fx.session, CKU_USER, USER_PIN));
    assert_rv(CKR_OBJECT_HANDLE_INVALID, read_attribute(key, CKA_LABEL));
    assert_ok(read_attribute(public, CKA_LABEL));
}

#define USER_TEST(f) cmocka_unit_test_setup_teardown(f, test_user, test_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        USER_TEST(each_kind),
        USER_TEST(defaults),
        USER_TEST(no_check_value),
        USER_TEST(from_a_password),
        USER_TEST(from_a_password_into_the_tpm),
        USER_TEST(password_length_by_pointer),
        USER_TEST(wrong_password_parameters),
        USER_TEST(template_errors),
        USER_TEST(lengths),
        USER_TEST(limits_are_true),
        USER_TEST(mechanisms),
        USER_TEST(protection),
        cmocka_unit_test_teardown(without_sealed_keys, test_end),
        USER_TEST(read_only_sessions),
        cmocka_unit_test_setup_teardown(not_logged_in, test_initialized, test_end),
        USER_TEST(lives),
        USER_TEST(private_session_keys),
    };
    return cmocka_run_group_tests(tests, group_token, group_end);
}
