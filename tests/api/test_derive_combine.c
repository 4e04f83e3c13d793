/* C_DeriveKey with the simple mechanisms and HKDF: PKCS#11 3.2 sections 5.18.5, 6.43, 6.62. */
#include "derive.h"
#include "../lib/rfc5869.h"

static CK_MECHANISM with_data(CK_MECHANISM_TYPE type, CK_KEY_DERIVATION_STRING_DATA *data)
{
    return (CK_MECHANISM){type, data, sizeof *data};
}

/* The examples of 6.43.3 to 6.43.7. */
static void examples(void **state)
{
    (void)state;
    struct blob base = unhex("01234567"), data = unhex("89ABCDEF");
    CK_OBJECT_HANDLE key = base_key(CKK_GENERIC_SECRET, base, false, false, true);
    CK_OBJECT_HANDLE other = base_key(CKK_GENERIC_SECRET, data, false, false, true);
    CK_OBJECT_HANDLE long_key = base_key(CKK_GENERIC_SECRET, unhex("329F84A9"), false, false, true);
    CK_KEY_DERIVATION_STRING_DATA string = {data.p, data.n};
    CK_EXTRACT_PARAMS from = 21;
    CK_MECHANISM append = with_data(CKM_CONCATENATE_BASE_AND_DATA, &string),
                 prepend = with_data(CKM_CONCATENATE_DATA_AND_BASE, &string),
                 exclusive_or = with_data(CKM_XOR_BASE_AND_DATA, &string);
    assert_derives(MECHANISM_WITH(CKM_CONCATENATE_BASE_AND_KEY, other), key, 0,
                   unhex("0123456789ABCDEF"));
    assert_derives(MECHANISM_WITH(CKM_CONCATENATE_BASE_AND_KEY, other), key, 5,
                   unhex("0123456789"));
    assert_derives(&append, key, 0, unhex("0123456789ABCDEF"));
    assert_derives(&append, key, 6, unhex("0123456789AB"));
    assert_derives(&prepend, key, 0, unhex("89ABCDEF01234567"));
    assert_derives(&prepend, key, 3, unhex("89ABCD"));
    assert_derives(&exclusive_or, key, 0, unhex("88888888"));
    assert_derives(MECHANISM_WITH(CKM_EXTRACT_KEY_FROM_KEY, from), long_key, 2, unhex("9526"));
    string.ulLen = 2;
    assert_derives(&exclusive_or, key, 0, unhex("8888"));
}

static void as_another_type(void **state)
{
    (void)state;
    struct blob base = random_blob(16), data = random_blob(16), both = base;
    CK_KEY_DERIVATION_STRING_DATA string = {data.p, data.n};
    CK_MECHANISM append = with_data(CKM_CONCATENATE_BASE_AND_DATA, &string);
    CK_OBJECT_HANDLE key = base_key(CKK_GENERIC_SECRET, base, false, true, false), derived;
    CK_ATTRIBUTE aes[] = {ATTR_ULONG(CKA_CLASS, CKO_SECRET_KEY), ATTR_ULONG(CKA_KEY_TYPE, CKK_AES),
                          ATTR_BOOL(CKA_EXTRACTABLE, false), ATTR_ULONG(CKA_VALUE_LEN, 32),
                          ATTR_BOOL(CKA_TOKEN, true)};
    CK_ATTRIBUTE hmac[] = {ATTR_ULONG(CKA_KEY_TYPE, CKK_SHA256_HMAC), ATTR_BOOL(CKA_TOKEN, true)};
    memcpy(both.p + both.n, data.p, data.n);
    both.n += data.n;
    /* what is kept goes into the TPM */
    assert_ok(derive(&append, key, aes, COUNT(aes), &derived));
    assert_protection(derived, "tpm");
    assert_same_secret(derived, both);
    assert_ok(p11->C_DestroyObject(fx.session, derived));
    assert_ok(derive(&append, key, aes, COUNT(aes) - 1, &derived));
    assert_protection(derived, "session");
    assert_same_secret(derived, both);
    assert_ok(derive(&append, key, hmac, COUNT(hmac), &derived));
    assert_protection(derived, "tpm");
    assert_same_secret(derived, both);
    assert_ok(p11->C_DestroyObject(fx.session, derived));
    aes[3] = (CK_ATTRIBUTE)ATTR_ULONG(CKA_VALUE_LEN, 20);
    assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, derive(&append, key, aes, 4, &derived));
    assert_rv(CKR_TEMPLATE_INCOMPLETE, derive(&append, key, aes, 3, &derived));
    aes[3] = (CK_ATTRIBUTE)ATTR_ULONG(CKA_VALUE_LEN, 32);
    string.ulLen = 15; /* fewer bytes than asked for */
    assert_rv(CKR_KEY_SIZE_RANGE, derive(&append, key, aes, 4, &derived));
    assert_int_equal(derived, CK_INVALID_HANDLE);
}

/* 6.43: what is glued of a sensitive key is sensitive, of one that must not leave must not leave.
 */
static void rules_of_gluing(void **state)
{
    (void)state;
    struct blob data = random_blob(16);
    CK_KEY_DERIVATION_STRING_DATA string = {data.p, data.n};
    CK_EXTRACT_PARAMS from = 0;
    CK_MECHANISM ways[] = {with_data(CKM_CONCATENATE_BASE_AND_DATA, &string),
                           with_data(CKM_CONCATENATE_DATA_AND_BASE, &string),
                           with_data(CKM_XOR_BASE_AND_DATA, &string),
                           {CKM_EXTRACT_KEY_FROM_KEY, &from, sizeof from}};
    CK_ATTRIBUTE length = ATTR_ULONG(CKA_VALUE_LEN, 16);
    CK_ATTRIBUTE open[] = {length, ATTR_BOOL(CKA_SENSITIVE, false)};
    CK_ATTRIBUTE extractable[] = {length, ATTR_BOOL(CKA_EXTRACTABLE, true)};
    for (int kind = 0; kind < 4; kind++) {
        bool sensitive = kind & 1, may_leave = kind & 2;
        CK_OBJECT_HANDLE made = made_key(16, sensitive, may_leave), derived;
        CK_OBJECT_HANDLE known = base_key(CKK_GENERIC_SECRET, data, false, sensitive, may_leave);
        for (size_t i = 0; i < COUNT(ways); i++) {
            assert_ok(derive(&ways[i], made, &length, 1, &derived));
            assert_history(derived, (struct history){sensitive, sensitive, may_leave, !may_leave});
            assert_ok(derive(&ways[i], known, &length, 1, &derived));
            assert_history(derived, (struct history){sensitive, false, may_leave, false});
            assert_rv(sensitive ? CKR_TEMPLATE_INCONSISTENT : CKR_OK,
                      derive(&ways[i], made, open, 2, &derived));
            assert_rv(may_leave ? CKR_OK : CKR_TEMPLATE_INCONSISTENT,
                      derive(&ways[i], made, extractable, 2, &derived));
        }
    }
}

/* 6.43.3: of two keys the stricter counts, and both must always have been sensitive. */
static void rules_of_two_keys(void **state)
{
    (void)state;
    for (int kind = 0; kind < 16; kind++) {
        CK_OBJECT_HANDLE a = made_key(8, kind & 1, kind & 2), b = made_key(8, kind & 4, kind & 8);
        CK_OBJECT_HANDLE derived;
        bool sensitive = kind & 5, may_leave = (kind & 10) == 10;
        assert_ok(derive(MECHANISM_WITH(CKM_CONCATENATE_BASE_AND_KEY, b), a, NULL, 0, &derived));
        assert_history(derived,
                       (struct history){sensitive, (kind & 5) == 5, may_leave, (kind & 10) == 0});
    }
}

/* ---- HKDF ------------------------------------------------------------------------------------ */

static CK_HKDF_PARAMS hkdf(size_t i, bool extract, bool expand, struct blob *salt,
                           struct blob *info)
{
    *salt = unhex(rfc_5869[i].salt);
    *info = unhex(rfc_5869[i].info);
    return (CK_HKDF_PARAMS){extract,
                            expand,
                            rfc_5869[i].digest,
                            salt->n ? CKF_HKDF_SALT_DATA : CKF_HKDF_SALT_NULL,
                            salt->n ? salt->p : NULL,
                            salt->n,
                            CK_INVALID_HANDLE,
                            info->n ? info->p : NULL,
                            info->n};
}

static void hkdf_vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rfc_5869); i++) {
        struct blob salt, info, okm = unhex(rfc_5869[i].okm), prk = unhex(rfc_5869[i].prk);
        CK_OBJECT_HANDLE ikm = base_key(CKK_HKDF, unhex(rfc_5869[i].ikm), false, true, false);
        CK_HKDF_PARAMS both = hkdf(i, true, true, &salt, &info);
        assert_derives(MECHANISM_WITH(CKM_HKDF_DERIVE, both), ikm, okm.n, okm);
        CK_HKDF_PARAMS extract = hkdf(i, true, false, &salt, &info);
        assert_derives(MECHANISM_WITH(CKM_HKDF_DERIVE, extract), ikm, 0, prk);
        if (salt.n) {
            both.ulSaltType = CKF_HKDF_SALT_KEY;
            both.hSaltKey = base_key(CKK_GENERIC_SECRET, salt, false, true, false);
            assert_derives(MECHANISM_WITH(CKM_HKDF_DERIVE, both), ikm, okm.n, okm);
        }
        CK_HKDF_PARAMS expand = hkdf(i, false, true, &salt, &info);
        for (int token = 0; token < 2; token++) { /* also under a key in the TPM */
            CK_OBJECT_HANDLE key = base_key(CKK_GENERIC_SECRET, prk, token, true, false);
            assert_protection(key, token ? "tpm" : "session");
            assert_derives(MECHANISM_WITH(CKM_HKDF_DERIVE, expand), key, okm.n, okm);
        }
    }
}

/* 6.62.4: the same as a data object. */
static void hkdf_data(void **state)
{
    (void)state;
    struct blob salt, info, okm = unhex(rfc_5869[0].okm);
    CK_HKDF_PARAMS both = hkdf(0, true, true, &salt, &info);
    CK_OBJECT_HANDLE ikm = base_key(CKK_HKDF, unhex(rfc_5869[0].ikm), false, true, false), data;
    for (int token = 0; token < 2; token++) {
        CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_CLASS, CKO_DATA),
                                   ATTR_ULONG(CKA_VALUE_LEN, okm.n), ATTR_BOOL(CKA_TOKEN, token),
                                   ATTR_BOOL(CKA_PRIVATE, true), ATTR_STR(CKA_LABEL, "derived")};
        assert_ok(
            derive(MECHANISM_WITH(CKM_HKDF_DATA, both), ikm, template, COUNT(template), &data));
        assert_int_equal(get_ulong(fx.session, data, CKA_CLASS), CKO_DATA);
        assert_blob(get_attribute(fx.session, data, CKA_VALUE), okm.p, okm.n);
        assert_blob(get_attribute(fx.session, data, CKA_LABEL), "derived", 7);
        template[0] = (CK_ATTRIBUTE)ATTR_ULONG(CKA_CLASS, CKO_SECRET_KEY);
        assert_rv(CKR_TEMPLATE_INCONSISTENT,
                  derive(MECHANISM_WITH(CKM_HKDF_DATA, both), ikm, template, 2, &data));
    }
}

/* 6.62.3: the base key's past is the derived key's, a salt's is not. */
static void hkdf_rules(void **state)
{
    (void)state;
    struct blob salt, info, known = random_blob(32);
    CK_HKDF_PARAMS p = hkdf(0, true, true, &salt, &info);
    CK_OBJECT_HANDLE open = base_key(CKK_GENERIC_SECRET, known, false, false, true), derived;
    CK_OBJECT_HANDLE made = made_key(32, true, false);
    for (int kind = 0; kind < 4; kind++)
        for (int salted = 0; salted < 2; salted++) {
            bool sensitive = kind & 1, may_leave = kind & 2;
            CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_VALUE_LEN, 32),
                                       ATTR_BOOL(CKA_SENSITIVE, sensitive),
                                       ATTR_BOOL(CKA_EXTRACTABLE, may_leave)};
            p.ulSaltType = salted ? CKF_HKDF_SALT_KEY : CKF_HKDF_SALT_DATA;
            p.hSaltKey = salted ? open : CK_INVALID_HANDLE;
            assert_ok(derive(MECHANISM_WITH(CKM_HKDF_DERIVE, p), made, template, 3, &derived));
            assert_history(derived, (struct history){sensitive, sensitive, may_leave, !may_leave});
            assert_ok(derive(MECHANISM_WITH(CKM_HKDF_DERIVE, p), open, template, 3, &derived));
            assert_history(derived, (struct history){sensitive, false, may_leave, false});
        }
}

/* ---- keys in the TPM, and refusals ------------------------------------------------------------
 */

/* What needs the bytes of the base key cannot have those that the TPM keeps. */
static void keys_in_the_tpm(void **state)
{
    (void)state;
    struct blob value = random_blob(32), salt, info;
    CK_KEY_DERIVATION_STRING_DATA string = {value.p, 16};
    CK_EXTRACT_PARAMS from = 0;
    CK_HKDF_PARAMS extract = hkdf(0, true, true, &salt, &info), salted = extract,
                   foreign = hkdf(0, false, true, &salt, &info);
    CK_OBJECT_HANDLE tpm = base_key(CKK_GENERIC_SECRET, value, true, true, false), derived;
    CK_OBJECT_HANDLE open = base_key(CKK_GENERIC_SECRET, value, false, true, false);
    assert_protection(tpm, "tpm");
    foreign.prfHashMechanism = CKM_SHA3_256; /* no TPM has it */
    salted.ulSaltType = CKF_HKDF_SALT_KEY;
    salted.hSaltKey = tpm;
    CK_MECHANISM ways[] = {with_data(CKM_CONCATENATE_BASE_AND_DATA, &string),
                           with_data(CKM_CONCATENATE_DATA_AND_BASE, &string),
                           with_data(CKM_XOR_BASE_AND_DATA, &string),
                           {CKM_EXTRACT_KEY_FROM_KEY, &from, sizeof from},
                           {CKM_CONCATENATE_BASE_AND_KEY, &open, sizeof open},
                           {CKM_HKDF_DERIVE, &extract, sizeof extract},
                           {CKM_HKDF_DERIVE, &foreign, sizeof foreign}};
    CK_ATTRIBUTE length = ATTR_ULONG(CKA_VALUE_LEN, 16);
    for (size_t i = 0; i < COUNT(ways); i++) {
        assert_rv(CKR_KEY_FUNCTION_NOT_PERMITTED, derive(&ways[i], tpm, &length, 1, &derived));
        assert_ok(derive(&ways[i], open, &length, 1, &derived));
    }
    assert_rv(
        CKR_KEY_FUNCTION_NOT_PERMITTED,
        derive(MECHANISM_WITH(CKM_CONCATENATE_BASE_AND_KEY, tpm), open, &length, 1, &derived));
    assert_rv(CKR_KEY_FUNCTION_NOT_PERMITTED,
              derive(MECHANISM_WITH(CKM_HKDF_DERIVE, salted), open, &length, 1, &derived));
    assert_ok(p11->C_DestroyObject(fx.session, tpm));
}

static void refusals(void **state)
{
    (void)state;
    CK_KEY_DERIVATION_STRING_DATA string = {(CK_BYTE_PTR) "12345678", 8}, null = {NULL, 8};
    CK_EXTRACT_PARAMS beyond = 64, from = 1;
    CK_OBJECT_HANDLE derived, key = made_key(8, true, false), none = 0xFFFF, public;
    CK_ATTRIBUTE not_for_it = ATTR_BOOL(CKA_DERIVE, false), length = ATTR_ULONG(CKA_VALUE_LEN, 8);
    CK_ATTRIBUTE too_long = ATTR_ULONG(CKA_VALUE_LEN, 9), zero = ATTR_ULONG(CKA_VALUE_LEN, 0);
    CK_ATTRIBUTE value = ATTR_STR(CKA_VALUE, "12345678"), local = ATTR_BOOL(CKA_LOCAL, true);
    CK_ATTRIBUTE pair = ATTR_ULONG(CKA_CLASS, CKO_PRIVATE_KEY);
    CK_MECHANISM append = with_data(CKM_CONCATENATE_BASE_AND_DATA, &string);
    CK_ULONG before = count_objects(fx.session, NULL, 0);
    assert_rv(CKR_KEY_HANDLE_INVALID, derive(&append, none, NULL, 0, &derived));
    assert_rv(CKR_MECHANISM_INVALID, derive(MECHANISM(CKM_SHA256), key, NULL, 0, &derived));
    assert_rv(CKR_MECHANISM_PARAM_INVALID,
              derive(MECHANISM(CKM_XOR_BASE_AND_DATA), key, NULL, 0, &derived));
    append.pParameter = &null;
    assert_rv(CKR_MECHANISM_PARAM_INVALID, derive(&append, key, NULL, 0, &derived));
    append.pParameter = &string;
    assert_rv(CKR_MECHANISM_PARAM_INVALID,
              derive(MECHANISM_WITH(CKM_EXTRACT_KEY_FROM_KEY, beyond), key, &length, 1, &derived));
    assert_rv(CKR_TEMPLATE_INCOMPLETE,
              derive(MECHANISM_WITH(CKM_EXTRACT_KEY_FROM_KEY, from), key, NULL, 0, &derived));
    assert_rv(CKR_KEY_SIZE_RANGE,
              derive(MECHANISM_WITH(CKM_EXTRACT_KEY_FROM_KEY, from), key, &too_long, 1, &derived));
    assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, derive(&append, key, &zero, 1, &derived));
    assert_rv(CKR_ATTRIBUTE_READ_ONLY, derive(&append, key, &value, 1, &derived));
    assert_rv(CKR_ATTRIBUTE_READ_ONLY, derive(&append, key, &local, 1, &derived));
    assert_rv(CKR_TEMPLATE_INCONSISTENT, derive(&append, key, &pair, 1, &derived));
    assert_rv(CKR_KEY_HANDLE_INVALID,
              derive(MECHANISM_WITH(CKM_CONCATENATE_BASE_AND_KEY, none), key, NULL, 0, &derived));
    assert_int_equal(count_objects(fx.session, NULL, 0), before);
    public = generate_ec(fx.session, NID_X9_62_prime256v1, "ec", false).private;
    assert_rv(CKR_KEY_TYPE_INCONSISTENT, derive(&append, public, NULL, 0, &derived));
    assert_ok(p11->C_SetAttributeValue(fx.session, key, &not_for_it, 1));
    assert_rv(CKR_KEY_FUNCTION_NOT_PERMITTED, derive(&append, key, NULL, 0, &derived));
}

/* 5.18.5: CKA_DERIVE_TEMPLATE is added, and may not be contradicted. */
static void derive_template(void **state)
{
    (void)state;
    static struct parts parts;
    CK_ATTRIBUTE imposed[] = {ATTR_BOOL(CKA_EXTRACTABLE, false), ATTR_STR(CKA_LABEL, "imposed"),
                              ATTR_ULONG(CKA_KEY_TYPE, CKK_AES), ATTR_ULONG(CKA_VALUE_LEN, 16)};
    struct blob value = random_blob(16);
    CK_KEY_DERIVATION_STRING_DATA string = {value.p, value.n};
    CK_MECHANISM append = with_data(CKM_CONCATENATE_BASE_AND_DATA, &string);
    CK_OBJECT_HANDLE key, derived;
    secret_parts(CKK_GENERIC_SECRET, value, &parts);
    CK_ATTRIBUTE own = ATTR_MEM(CKA_DERIVE_TEMPLATE, imposed, sizeof imposed);
    set_part(&parts, own);
    set_part(&parts, (CK_ATTRIBUTE)ATTR_BOOL(CKA_EXTRACTABLE, true));
    set_part(&parts, (CK_ATTRIBUTE)ATTR_BOOL(CKA_SENSITIVE, false));
    assert_ok(create(&parts, &key));
    assert_ok(derive(&append, key, NULL, 0, &derived));
    assert_int_equal(get_ulong(fx.session, derived, CKA_KEY_TYPE), CKK_AES);
    assert_false(get_bool(fx.session, derived, CKA_EXTRACTABLE));
    assert_blob(get_attribute(fx.session, derived, CKA_LABEL), "imposed", 7);
    assert_same_secret(derived, value);
    CK_ATTRIBUTE against = ATTR_BOOL(CKA_EXTRACTABLE, true), more = ATTR_BOOL(CKA_ENCRYPT, false);
    assert_rv(CKR_TEMPLATE_INCONSISTENT, derive(&append, key, &against, 1, &derived));
    assert_ok(derive(&append, key, &more, 1, &derived));
    assert_false(get_bool(fx.session, derived, CKA_ENCRYPT));
}

#define USER_TEST(f) cmocka_unit_test_setup_teardown(f, test_user, test_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        USER_TEST(examples),          USER_TEST(as_another_type), USER_TEST(rules_of_gluing),
        USER_TEST(rules_of_two_keys), USER_TEST(hkdf_vectors),    USER_TEST(hkdf_data),
        USER_TEST(hkdf_rules),        USER_TEST(keys_in_the_tpm), USER_TEST(refusals),
        USER_TEST(derive_template),
    };
    return cmocka_run_group_tests(tests, group_token, group_end);
}
