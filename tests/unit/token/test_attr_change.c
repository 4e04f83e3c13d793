/* Changes (C_SetAttributeValue) and copies (C_CopyObject) of every attribute of every kind of
 * object: footnotes 8, 10, 11, 12, and what 4.1.2, 4.1.3 and the text around the tables say. */
#include "attr_spec.h"

typedef CK_RV change_fn(const struct attrs *old, const CK_ATTRIBUTE *template, CK_ULONG n, bool so,
                        struct attrs *ret);

static change_fn *const ways[] = {attrs_changed, attrs_copied};

static const struct object_kind rsa = {CKO_PRIVATE_KEY, CKK_RSA}, x509 = {CKO_CERTIFICATE, 0},
                                aes = {CKO_SECRET_KEY, CKK_AES};

static CK_RV try_change(change_fn *f, const struct attrs *old, CK_ATTRIBUTE a, bool so)
{
    struct attrs fresh = {0};
    CK_RV rv = f(old, &a, 1, so, &fresh);
    if (rv == CKR_OK) {
        assert_true(bytes_equal(attrs_bytes(&fresh, a.type), BYTES(a.pValue, a.ulValueLen)));
        assert_true(fresh.n >= old->n);
    } else {
        assert_int_equal(fresh.n, 0);
    }
    attrs_free(&fresh);
    return rv;
}

static bool may_change(const struct spec *s, change_fn *f)
{
    return note(s, 8) || text(s, 'm') || (f == attrs_copied && text(s, 'c'));
}

/* ---- truth values -------------------------------------------------------------------------- */

static CK_RV change_bool(change_fn *f, const struct attrs *object, CK_ATTRIBUTE_TYPE type,
                         bool from, bool to, bool so)
{
    struct attrs old = {0};
    assert_rv(CKR_OK, type, attrs_copy(object, &old));
    assert_rv(CKR_OK, type, attrs_set_bool(&old, type, from));
    CK_RV rv = try_change(f, &old, (CK_ATTRIBUTE){type, to ? &yes : &no, 1}, so);
    attrs_free(&old);
    return rv;
}

static CK_RV unless(bool allowed)
{
    return allowed ? CKR_OK : CKR_ATTRIBUTE_READ_ONLY;
}

static void change_of_bool(const struct spec *s, const struct object_kind *k,
                           const struct attrs *object, change_fn *f)
{
    CK_ATTRIBUTE_TYPE type = s->attribute;
    bool may = may_change(s, f);
    /* "Trusted certificates cannot be modified": what made them trusted is the SO's alone */
    bool certificate = k->cls == CKO_CERTIFICATE && type == CKA_TRUSTED;
    assert_rv(unless(may && !note(s, 10) && !note(s, 12)), type,
              change_bool(f, object, type, false, true, false));
    assert_rv(unless(may && !note(s, 12)), type, change_bool(f, object, type, false, true, true));
    assert_rv(unless(may && !note(s, 11) && !certificate), type,
              change_bool(f, object, type, true, false, false));
    assert_rv(unless(may && !note(s, 11)), type, change_bool(f, object, type, true, false, true));
    /* writing back what was read is a change like another */
    assert_rv(unless(may), type, change_bool(f, object, type, true, true, true));
    assert_rv(unless(may), type, change_bool(f, object, type, false, false, false));
}

static void bools(const struct spec *s, const struct object_kind *k)
{
    struct attrs object;
    object_of(k, &object);
    for (size_t w = 0; s->form == 'b' && w < COUNT(ways); w++)
        change_of_bool(s, k, &object, ways[w]);
    attrs_free(&object);
}

static void test_footnotes_8_10_11_and_12(void **state)
{
    (void)state;
    for_each(bools);
}

/* ---- other values -------------------------------------------------------------------------- */

static CK_ATTRIBUTE another(const struct spec *s)
{
    static CK_ULONG two = 2;
    static uint8_t bytes[16] = {5};
    static CK_ATTRIBUTE nested[] = {{CKA_SIGN, &yes, 1}};
    if (s->attribute == CKA_LATCHKEY_PROTECTION)
        return (CK_ATTRIBUTE){s->attribute, (void *)(uintptr_t) "tpm", 3};
    if (s->attribute == CKA_CHECK_VALUE)
        return (CK_ATTRIBUTE){s->attribute, bytes, 3};
    return s->form == 's'   ? (CK_ATTRIBUTE){s->attribute, bytes, sizeof(bytes)}
           : s->form == 'd' ? (CK_ATTRIBUTE){s->attribute, (void *)(uintptr_t) "20310506", 8}
           : s->form == 't' ? (CK_ATTRIBUTE){s->attribute, nested, sizeof(nested)}
                            : (CK_ATTRIBUTE){s->attribute, &two, sizeof(two)};
}

static void others(const struct spec *s, const struct object_kind *k)
{
    struct attrs object;
    object_of(k, &object);
    for (size_t w = 0; s->form != 'b' && w < COUNT(ways); w++) {
        CK_RV rv = text(s, 'v') ? CKR_ATTRIBUTE_VALUE_INVALID : unless(may_change(s, ways[w]));
        assert_rv(rv, s->attribute, try_change(ways[w], &object, another(s), true));
    }
    attrs_free(&object);
}

static void test_footnote_8(void **state)
{
    (void)state;
    for_each(others);
}

static void wrong_form(const struct spec *s, const struct object_kind *k)
{
    struct attrs object;
    object_of(k, &object);
    for (size_t w = 0; w < COUNT(ways); w++) {
        assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, s->attribute,
                  try_change(ways[w], &object, (CK_ATTRIBUTE){s->attribute, NULL, 8}, true));
        for (size_t m = 0; m < COUNT(malformed); m++) {
            CK_ATTRIBUTE a = malformed[m].a;
            a.type = s->attribute;
            if (malformed[m].form == s->form)
                assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, a.type,
                          try_change(ways[w], &object, a, true));
        }
    }
    attrs_free(&object);
}

static void test_changes_of_wrong_form(void **state)
{
    (void)state;
    for_each(wrong_form);
}

static void test_attributes_of_others(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(kinds); k++) {
        struct attrs object;
        object_of(&kinds[k], &object);
        for (size_t i = 0; i < COUNT(specified); i++)
            if (!spec_of(&kinds[k], specified[i].attribute))
                assert_rv(CKR_TEMPLATE_INCONSISTENT, specified[i].attribute,
                          try_change(attrs_changed, &object, value_of(&specified[i]), true));
        CK_ATTRIBUTE strange = {CKA_VENDOR_DEFINED | 0xABC, &yes, 1};
        assert_rv(CKR_ATTRIBUTE_TYPE_INVALID, strange.type,
                  try_change(attrs_changed, &object, strange, true));
        attrs_free(&object);
    }
}

/* What the token alone makes nobody changes, whatever CKA_MODIFIABLE and CKA_COPYABLE say. */
static void test_objects_of_the_token(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(shown); k++) {
        struct attrs object = {0};
        assert_rv(CKR_OK, CKA_CLASS, attrs_set_ulong(&object, CKA_CLASS, shown[k].cls));
        for (size_t i = 0; i < COUNT(specified); i++)
            for (size_t w = 0; w < COUNT(ways); w++)
                if (spec_of(&shown[k], specified[i].attribute) == &specified[i])
                    assert_rv(CKR_ATTRIBUTE_READ_ONLY, specified[i].attribute,
                              try_change(ways[w], &object, value_of(&specified[i]), true));
        attrs_free(&object);
    }
}

/* ---- all or none --------------------------------------------------------------------------- */

/* One bad attribute and nothing is changed; nor does the object that it came from. */
static void test_changes_are_all_or_none(void **state)
{
    (void)state;
    struct attrs object, fresh = {0};
    object_of(&rsa, &object);
    char label[] = "new";
    const CK_ATTRIBUTE template[] = {{CKA_LABEL, label, 3}, {CKA_TOKEN, &yes, 1}};
    assert_rv(CKR_ATTRIBUTE_READ_ONLY, CKA_TOKEN,
              attrs_changed(&object, template, 2, false, &fresh));
    assert_int_equal(fresh.n, 0);
    assert_int_equal(attrs_bytes(&object, CKA_LABEL).n, 0);
    assert_rv(CKR_OK, CKA_LABEL, attrs_changed(&object, template, 1, false, &fresh));
    assert_int_equal(attrs_bytes(&object, CKA_LABEL).n, 0);
    assert_int_equal(fresh.n, object.n);
    attrs_free(&fresh);
    attrs_free(&object);
}

/* 4.1.2: the scenarios of 4.1.1 apply, so also "two different values for the same attribute". */
static void test_changes_given_twice(void **state)
{
    (void)state;
    struct attrs object;
    object_of(&rsa, &object);
    CK_ATTRIBUTE template[] = {
        {CKA_EXTRACTABLE, &no, 1}, {CKA_LABEL, &yes, 1}, {CKA_EXTRACTABLE, &no, 1}};
    for (size_t w = 0; w < COUNT(ways); w++) {
        struct attrs fresh = {0};
        assert_rv(CKR_OK, CKA_SIGN, ways[w](&object, template, 3, false, &fresh));
        attrs_free(&fresh);
        template[0].type = template[2].type = CKA_SIGN;
        template[2].pValue = &yes;
        assert_rv(CKR_TEMPLATE_INCONSISTENT, CKA_SIGN,
                  ways[w](&object, template, 3, false, &fresh));
        template[2].pValue = &no;
        assert_rv(CKR_OK, CKA_SIGN, ways[w](&object, template, 3, false, &fresh));
        attrs_free(&fresh);
    }
    attrs_free(&object);
}

/* ---- what goes together -------------------------------------------------------------------- */

static void test_changed_dates_stay_in_order(void **state)
{
    (void)state;
    struct attrs object, fresh = {0};
    object_of(&rsa, &object);
    char late[] = "20400101", early[] = "20290101";
    const CK_ATTRIBUTE template[] = {{CKA_START_DATE, late, 8}, {CKA_END_DATE, early, 8}};
    for (size_t w = 0; w < COUNT(ways); w++)
        assert_rv(CKR_TEMPLATE_INCONSISTENT, CKA_END_DATE,
                  ways[w](&object, template, 2, false, &fresh));
    attrs_free(&object);
}

/* 4.9: a copy of a key that always authenticates stays private. */
static void test_always_authenticate_stays_private(void **state)
{
    (void)state;
    struct attrs object;
    object_of(&rsa, &object);
    CK_ATTRIBUTE open = {CKA_PRIVATE, &no, 1};
    assert_rv(CKR_OK, CKA_PRIVATE, try_change(attrs_copied, &object, open, false));
    assert_rv(CKR_OK, CKA_PRIVATE, attrs_set_bool(&object, CKA_ALWAYS_AUTHENTICATE, true));
    assert_rv(CKR_TEMPLATE_INCONSISTENT, CKA_PRIVATE,
              try_change(attrs_copied, &object, open, false));
    attrs_free(&object);
}

/* 4.6.2: "Trusted certificates cannot be modified." The SO can take the trust away. */
static void test_trusted_certificates(void **state)
{
    (void)state;
    struct attrs object;
    object_of(&x509, &object);
    assert_rv(CKR_OK, CKA_TRUSTED, attrs_set_bool(&object, CKA_TRUSTED, true));
    for (size_t i = 0; i < COUNT(specified); i++) {
        const struct spec *s = &specified[i];
        CK_ATTRIBUTE a = s->form == 'b' ? (CK_ATTRIBUTE){s->attribute, &no, 1} : another(s);
        if (spec_of(&x509, s->attribute) != s || s->attribute == CKA_TRUSTED)
            continue;
        assert_rv(CKR_ATTRIBUTE_READ_ONLY, a.type, try_change(attrs_changed, &object, a, true));
        assert_rv(unless(text(s, 'c')), a.type, try_change(attrs_copied, &object, a, false));
    }
    CK_ATTRIBUTE distrust = {CKA_TRUSTED, &no, 1};
    assert_rv(CKR_OK, CKA_TRUSTED, try_change(attrs_changed, &object, distrust, true));
    assert_rv(CKR_ATTRIBUTE_READ_ONLY, CKA_TRUSTED,
              try_change(attrs_changed, &object, distrust, false));
    attrs_free(&object);
}

/* 4.9: CKA_PUBLIC_KEY_INFO of a private key is set to what belongs to the key or not at all. */
static void test_public_key_info(void **state)
{
    (void)state;
    struct attrs object;
    uint8_t spki[] = {0x30, 1, 2}, other[] = {0x30, 1, 3};
    object_of(&rsa, &object);
    assert_rv(CKR_OK, CKA_PUBLIC_KEY_INFO, attrs_set(&object, CKA_PUBLIC_KEY_INFO, BYTES_OF(spki)));
    assert_rv(
        CKR_OK, CKA_PUBLIC_KEY_INFO,
        try_change(attrs_changed, &object, (CK_ATTRIBUTE){CKA_PUBLIC_KEY_INFO, spki, 3}, false));
    assert_rv(
        CKR_ATTRIBUTE_VALUE_INVALID, CKA_PUBLIC_KEY_INFO,
        try_change(attrs_changed, &object, (CK_ATTRIBUTE){CKA_PUBLIC_KEY_INFO, other, 3}, false));
    attrs_free(&object);
}

/* 4.10.2: "C_SetAttributeValue may be used to destroy the attribute, by supplying no-value." */
static void test_check_value(void **state)
{
    (void)state;
    struct attrs object;
    uint8_t value[] = {1, 2, 3};
    object_of(&aes, &object);
    assert_rv(CKR_OK, CKA_CHECK_VALUE, attrs_set(&object, CKA_CHECK_VALUE, BYTES_OF(value)));
    assert_rv(CKR_ATTRIBUTE_READ_ONLY, CKA_CHECK_VALUE,
              try_change(attrs_changed, &object, (CK_ATTRIBUTE){CKA_CHECK_VALUE, value, 3}, true));
    assert_rv(CKR_OK, CKA_CHECK_VALUE,
              try_change(attrs_changed, &object, (CK_ATTRIBUTE){CKA_CHECK_VALUE, NULL, 0}, false));
    attrs_free(&object);
    object_of(&x509, &object); /* a certificate's stays */
    assert_rv(CKR_ATTRIBUTE_READ_ONLY, CKA_CHECK_VALUE,
              try_change(attrs_changed, &object, (CK_ATTRIBUTE){CKA_CHECK_VALUE, NULL, 0}, true));
    attrs_free(&object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_footnotes_8_10_11_and_12),
        cmocka_unit_test(test_footnote_8),
        cmocka_unit_test(test_changes_of_wrong_form),
        cmocka_unit_test(test_attributes_of_others),
        cmocka_unit_test(test_objects_of_the_token),
        cmocka_unit_test(test_changes_are_all_or_none),
        cmocka_unit_test(test_changes_given_twice),
        cmocka_unit_test(test_changed_dates_stay_in_order),
        cmocka_unit_test(test_always_authenticate_stays_private),
        cmocka_unit_test(test_trusted_certificates),
        cmocka_unit_test(test_public_key_info),
        cmocka_unit_test(test_check_value),
    };
    return cmocka_run_group_tests_name("token/attr_change", tests, NULL, NULL);
}
