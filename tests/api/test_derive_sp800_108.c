/* C_DeriveKey with the KDFs of SP800-108: PKCS#11 3.2 section 6.42. */
#include "derive.h"

#define FIELD(type, value)                                                                         \
    {                                                                                              \
        type, &(value), sizeof(value)                                                              \
    }

static CK_SP800_108_COUNTER_FORMAT counter = {CK_FALSE, 32};
static CK_SP800_108_DKM_LENGTH_FORMAT of_keys = {CK_SP800_108_DKM_LENGTH_SUM_OF_KEYS, CK_FALSE, 32},
                                      of_segments = {CK_SP800_108_DKM_LENGTH_SUM_OF_SEGMENTS,
                                                     CK_FALSE, 32};

/* NIST CAVP, KBKDF800-108: CounterMode, BEFORE_FIXED, RLEN 32; and
 * PipelineModeWOCounterr. */
static const struct {
    CK_MECHANISM_TYPE type, prf;
    const char *key, *fixed, *output;
} cavp[] = {
    {CKM_SP800_108_COUNTER_KDF, CKM_SHA256_HMAC,
     "dd1d91b7d90b2bd3138533ce92b272fbf8a369316aefe242e659cc0ae238afe0",
     "01322b96b30acd197979444e468e1c5c6859bf1b1cf951b7e725303e237e46b8"
     "64a145fab25e517b08f8683d0315bb2911d80a0e8aba17f3b413faac",
     "10621342bfb0fd40046c0e29f2cfdbf0"},
    {CKM_SP800_108_COUNTER_KDF, CKM_AES_CMAC, "c10b152e8c97b77e18704e0f0bd38305",
     "98cd4cbbbebe15d17dc86e6dbad800a2dcbd64f7c7ad0e78e9cf94ffdba89d03"
     "e97eadf6c4f7b806caf52aa38f09d0eb71d71f497bcc6906b48d36c4",
     "26faf61908ad9ee881b8305c221db53f"},
    {CKM_SP800_108_DOUBLE_PIPELINE_KDF, CKM_AES_CMAC, "ada2452f1f141a82c7a1b7d3e09ffed1",
     "335660eb265d2044efa06eacd848d3f9f57d219011343318f3a964df4a6fb1bf6cbdee711c7fcbe73b8f257f992e"
     "47e8b065af",
     "a73bd29176e38e761222ae07d639181f4b2c555a3b261815cde5d88a67c8b95c"
     "58b6b66ea4f10608c6d799b051519fc8e89de00cdc556350a7d966475086f9af"},
};

/* Under keys in memory and in the TPM. */
static void vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cavp); i++) {
        struct blob key = unhex(cavp[i].key), fixed = unhex(cavp[i].fixed);
        CK_PRF_DATA_PARAM fields[] = {FIELD(CK_SP800_108_ITERATION_VARIABLE, counter),
                                      {CK_SP800_108_BYTE_ARRAY, fixed.p, fixed.n}};
        if (cavp[i].type != CKM_SP800_108_COUNTER_KDF)
            fields[0] = (CK_PRF_DATA_PARAM){CK_SP800_108_ITERATION_VARIABLE, NULL, 0};
        CK_SP800_108_KDF_PARAMS p = {cavp[i].prf, COUNT(fields), fields, 0, NULL};
        struct blob want = unhex(cavp[i].output);
        for (int token = 0; token < 2; token++) {
            CK_OBJECT_HANDLE base =
                base_key(cavp[i].prf == CKM_AES_CMAC ? CKK_AES : CKK_GENERIC_SECRET, key, token,
                         true, false);
            assert_derives(MECHANISM_WITH(cavp[i].type, p), base, want.n, want);
            assert_ok(p11->C_DestroyObject(fx.session, base));
        }
    }
}

/* ---- several keys (6.42.6) --------------------------------------------------------------------
 */

static char label[] = "label", separator[] = "", context[] = "context";
static CK_PRF_DATA_PARAM label_and_length[] = {FIELD(CK_SP800_108_ITERATION_VARIABLE, counter),
                                               {CK_SP800_108_BYTE_ARRAY, label, 5},
                                               {CK_SP800_108_BYTE_ARRAY, separator, 1},
                                               {CK_SP800_108_BYTE_ARRAY, context, 7},
                                               FIELD(CK_SP800_108_DKM_LENGTH, of_keys)};

/* OpenSSL's KBKDF has that layout, its length being that of what it gives. */
static struct blob openssl_stream(struct blob key, CK_ULONG n)
{
    struct blob salt = {5, "label"}, info = {7, "context"};
    OSSL_PARAM p[] = {TEXT("mode", "counter"),   TEXT("mac", "HMAC"),  TEXT("digest", "SHA256"),
                      OCTETS("key", key),        OCTETS("salt", salt), OCTETS("info", info),
                      OSSL_PARAM_construct_end()};
    return openssl_kdf("KBKDF", p, n);
}

/* 6.42.6's example: of 48 and 16 bytes the second begins with a segment of its own. */
static void several_keys(void **state)
{
    (void)state;
    struct blob value = random_blob(32), stream = openssl_stream(value, 96);
    CK_ATTRIBUTE aes[] = {ATTR_ULONG(CKA_KEY_TYPE, CKK_AES), ATTR_ULONG(CKA_VALUE_LEN, 16),
                          ATTR_BOOL(CKA_TOKEN, true), ATTR_BOOL(CKA_EXTRACTABLE, false)};
    CK_ATTRIBUTE readable[] = {ATTR_BOOL(CKA_SENSITIVE, false), ATTR_BOOL(CKA_EXTRACTABLE, true),
                               ATTR_ULONG(CKA_VALUE_LEN, 48)};
    for (int token = 0; token < 2; token++) {
        CK_OBJECT_HANDLE base = base_key(CKK_GENERIC_SECRET, value, token, true, false);
        CK_OBJECT_HANDLE first = CK_INVALID_HANDLE, second = CK_INVALID_HANDLE;
        CK_DERIVED_KEY extra = {aes, COUNT(aes), &second};
        CK_PRF_DATA_PARAM fields[COUNT(label_and_length)];
        CK_SP800_108_KDF_PARAMS p = {CKM_SHA256_HMAC, COUNT(fields), fields, 1, &extra};
        memcpy(fields, label_and_length, sizeof fields);
        fields[4].pValue = &of_segments;
        assert_ok(derive(MECHANISM_WITH(CKM_SP800_108_COUNTER_KDF, p), base, readable, 3, &first));
        assert_blob(get_attribute(fx.session, first, CKA_VALUE), stream.p, 48);
        struct blob rest = {.n = 16};
        memcpy(rest.p, stream.p + 64, 16);
        assert_same_secret(second, rest);
        assert_protection(second, "tpm");
        assert_ok(p11->C_DestroyObject(fx.session, second));
        assert_ok(p11->C_DestroyObject(fx.session, base));
    }
}

/* 6.42.6: none of the keys is made when one cannot be, and the handle of the one whose template is
 * at fault says so. */
static void all_or_none(void **state)
{
    (void)state;
    CK_OBJECT_HANDLE base = made_key(32, true, false), first, second = 77, third = 77;
    CK_ATTRIBUTE good[] = {ATTR_ULONG(CKA_VALUE_LEN, 16)};
    CK_ATTRIBUTE bad[] = {ATTR_ULONG(CKA_VALUE_LEN, 16), ATTR_ULONG(CKA_MODULUS_BITS, 2048)};
    CK_DERIVED_KEY extra[] = {{good, 1, &second}, {bad, 2, &third}};
    CK_SP800_108_KDF_PARAMS p = {CKM_SHA256_HMAC, COUNT(label_and_length), label_and_length, 2,
                                 extra};
    CK_ULONG before = count_objects(fx.session, NULL, 0);
    assert_rv(CKR_TEMPLATE_INCONSISTENT,
              derive(MECHANISM_WITH(CKM_SP800_108_COUNTER_KDF, p), base, good, 1, &first));
    assert_int_equal(count_objects(fx.session, NULL, 0), before);
    assert_int_equal(second, 77);
    assert_int_equal(third, CK_INVALID_HANDLE);
    extra[1] = (CK_DERIVED_KEY){good, 0, &third}; /* how long? */
    assert_rv(CKR_TEMPLATE_INCOMPLETE,
              derive(MECHANISM_WITH(CKM_SP800_108_COUNTER_KDF, p), base, good, 1, &first));
    assert_int_equal(count_objects(fx.session, NULL, 0), before);
    extra[1].ulAttributeCount = 1;
    assert_ok(derive(MECHANISM_WITH(CKM_SP800_108_COUNTER_KDF, p), base, good, 1, &first));
    assert_int_equal(count_objects(fx.session, NULL, 0), before + 3);
}

/* ---- rules (6.42.7) ----------------------------------------------------------------------------
 */

/* What the template leaves out is as with the base key; it may say otherwise. */
static void as_the_base_key(void **state)
{
    (void)state;
    CK_SP800_108_KDF_PARAMS p = {CKM_SHA256_HMAC, COUNT(label_and_length), label_and_length, 0,
                                 NULL};
    CK_ATTRIBUTE length = ATTR_ULONG(CKA_VALUE_LEN, 16);
    for (int kind = 0; kind < 4; kind++) {
        bool sensitive = kind & 1, may_leave = kind & 2;
        CK_OBJECT_HANDLE base = made_key(32, sensitive, may_leave), derived;
        assert_ok(derive(MECHANISM_WITH(CKM_SP800_108_COUNTER_KDF, p), base, &length, 1, &derived));
        assert_history(derived, (struct history){sensitive, sensitive, may_leave, !may_leave});
        CK_ATTRIBUTE otherwise[] = {length, ATTR_BOOL(CKA_SENSITIVE, !sensitive),
                                    ATTR_BOOL(CKA_EXTRACTABLE, !may_leave)};
        assert_ok(
            derive(MECHANISM_WITH(CKM_SP800_108_COUNTER_KDF, p), base, otherwise, 3, &derived));
        assert_history(derived, (struct history){!sensitive, false, !may_leave, false});
    }
}

/* The additional keys, too. */
static void additional_keys_as_the_base_key(void **state)
{
    (void)state;
    CK_OBJECT_HANDLE base = made_key(32, true, false), first, second;
    CK_ATTRIBUTE length = ATTR_ULONG(CKA_VALUE_LEN, 16);
    CK_DERIVED_KEY extra = {&length, 1, &second};
    CK_SP800_108_KDF_PARAMS p = {CKM_SHA256_HMAC, COUNT(label_and_length), label_and_length, 1,
                                 &extra};
    assert_ok(derive(MECHANISM_WITH(CKM_SP800_108_COUNTER_KDF, p), base, &length, 1, &first));
    assert_history(first, (struct history){true, true, false, true});
    assert_history(second, (struct history){true, true, false, true});
}

/* Base key or a key among the data: one that has always been sensitive is enough. */
static void a_key_among_the_data(void **state)
{
    (void)state;
    CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_VALUE_LEN, 16), ATTR_BOOL(CKA_SENSITIVE, true),
                               ATTR_BOOL(CKA_EXTRACTABLE, false)};
    CK_OBJECT_HANDLE keys[] = {made_key(32, true, false),
                               base_key(CKK_GENERIC_SECRET, random_blob(32), false, true, false)};
    for (int kind = 0; kind < 4; kind++) {
        CK_OBJECT_HANDLE other = keys[kind & 1], derived;
        CK_PRF_DATA_PARAM fields[] = {FIELD(CK_SP800_108_ITERATION_VARIABLE, counter),
                                      FIELD(CK_SP800_108_KEY_HANDLE, other)};
        CK_SP800_108_KDF_PARAMS p = {CKM_SHA256_HMAC, COUNT(fields), fields, 0, NULL};
        assert_ok(derive(MECHANISM_WITH(CKM_SP800_108_COUNTER_KDF, p), keys[kind >> 1], template, 3,
                         &derived));
        assert_history(derived, (struct history){true, kind != 3, false, kind != 3});
    }
}

/* A template that the base key imposes is one that says something. */
static void imposed_by_the_base_key(void **state)
{
    (void)state;
    static struct parts parts;
    CK_ATTRIBUTE imposed[] = {ATTR_BOOL(CKA_SENSITIVE, true), ATTR_BOOL(CKA_EXTRACTABLE, false)};
    CK_ATTRIBUTE length = ATTR_ULONG(CKA_VALUE_LEN, 16);
    CK_SP800_108_KDF_PARAMS p = {CKM_SHA256_HMAC, COUNT(label_and_length), label_and_length, 0,
                                 NULL};
    CK_OBJECT_HANDLE base, derived;
    secret_parts(CKK_GENERIC_SECRET, random_blob(32), &parts);
    set_part(&parts, (CK_ATTRIBUTE)ATTR_BOOL(CKA_SENSITIVE, false));
    set_part(&parts, (CK_ATTRIBUTE)ATTR_BOOL(CKA_EXTRACTABLE, true));
    set_part(&parts, (CK_ATTRIBUTE)ATTR_MEM(CKA_DERIVE_TEMPLATE, imposed, sizeof imposed));
    assert_ok(create(&parts, &base));
    assert_ok(derive(MECHANISM_WITH(CKM_SP800_108_COUNTER_KDF, p), base, &length, 1, &derived));
    assert_history(derived, (struct history){true, false, false, false});
}

static void refusals(void **state)
{
    (void)state;
    CK_OBJECT_HANDLE base = made_key(32, true, false), derived;
    CK_ATTRIBUTE length = ATTR_ULONG(CKA_VALUE_LEN, 16);
    CK_SP800_108_KDF_PARAMS good = {CKM_SHA256_HMAC, COUNT(label_and_length), label_and_length, 0,
                                    NULL},
                            rows[6];
    for (size_t i = 0; i < COUNT(rows); i++)
        rows[i] = good;
    rows[0].prfType = CKM_SHA256;
    rows[1].ulNumberOfDataParams = 0;
    rows[2].pDataParams = NULL;
    rows[3].pDataParams = label_and_length + 1; /* no iteration variable */
    rows[3].ulNumberOfDataParams = 1;
    rows[4].ulAdditionalDerivedKeys = 1;
    rows[5].prfType = CKM_SHA256_HMAC_GENERAL;
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_rv(
            CKR_MECHANISM_PARAM_INVALID,
            derive(MECHANISM_WITH(CKM_SP800_108_COUNTER_KDF, rows[i]), base, &length, 1, &derived));
    good.prfType = CKM_AES_CMAC; /* under a key that is none of AES */
    assert_rv(CKR_KEY_TYPE_INCONSISTENT,
              derive(MECHANISM_WITH(CKM_SP800_108_COUNTER_KDF, good), base, &length, 1, &derived));
    good.prfType = CKM_SHA3_256_HMAC; /* no TPM has it */
    CK_OBJECT_HANDLE tpm = base_key(CKK_GENERIC_SECRET, random_blob(32), true, true, false);
    assert_rv(CKR_KEY_FUNCTION_NOT_PERMITTED,
              derive(MECHANISM_WITH(CKM_SP800_108_COUNTER_KDF, good), tpm, &length, 1, &derived));
    assert_ok(p11->C_DestroyObject(fx.session, tpm));
}

#define USER_TEST(f) cmocka_unit_test_setup_teardown(f, test_user, test_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        USER_TEST(vectors),
        USER_TEST(several_keys),
        USER_TEST(all_or_none),
        USER_TEST(as_the_base_key),
        USER_TEST(additional_keys_as_the_base_key),
        USER_TEST(a_key_among_the_data),
        USER_TEST(imposed_by_the_base_key),
        USER_TEST(refusals),
    };
    return cmocka_run_group_tests(tests, group_token, group_end);
}
