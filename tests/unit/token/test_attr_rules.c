/* Templates of new objects: every attribute of the specification's tables, for every kind of object
 * and every way in which one is made. */
#include "attr_spec.h"

/* ---- what there is ------------------------------------------------------------------------- */

static void kind_attrs(const struct object_kind *k, struct attrs *ret)
{
    *ret = (struct attrs){0};
    assert_rv(CKR_OK, CKA_CLASS, attrs_set_ulong(ret, CKA_CLASS, k->cls));
    if (k->type != CK_UNAVAILABLE_INFORMATION)
        assert_rv(CKR_OK, CKA_CLASS,
                  attrs_set_ulong(ret,
                                  k->cls == CKO_CERTIFICATE ? CKA_CERTIFICATE_TYPE : CKA_KEY_TYPE,
                                  k->type));
}

static void attributes_known(const struct object_kind *k)
{
    static const CK_ATTRIBUTE_TYPE bases[] = {0, CKF_ARRAY_ATTRIBUTE,
                                              CKA_VENDOR_DEFINED | 0x4C4B0000UL};
    struct attrs a;
    kind_attrs(k, &a);
    for (size_t b = 0; b < COUNT(bases); b++)
        for (CK_ATTRIBUTE_TYPE type = bases[b]; type < bases[b] + 0x1000; type++) {
            if (attrs_known(&a, type) != (spec_of(k, type) != NULL))
                print_error("class %lu, type %lu, %s\n", k->cls, k->type, name_attribute(type));
            assert_int_equal(attrs_known(&a, type), spec_of(k, type) != NULL);
        }
    attrs_free(&a);
}

static void test_the_attributes_are_the_specified_ones(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(kinds); k++)
        attributes_known(&kinds[k]);
    for (size_t k = 0; k < COUNT(shown); k++)
        attributes_known(&shown[k]);
}

/* ---- footnotes 1 to 6 ---------------------------------------------------------------------- */

static void test_minimal_templates(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(kinds); k++)
        for (size_t e = 0; e < COUNT(events); e++) {
            struct template t = needed(events[e], &kinds[k], CK_UNAVAILABLE_INFORMATION);
            assert_rv(CKR_OK, CKA_CLASS, try_new(events[e], &kinds[k], &t, false));
        }
}

static void missing(const struct spec *s, const struct object_kind *k)
{
    for (size_t e = 0; e < COUNT(events); e++) {
        bool certificate = k->cls == CKO_CERTIFICATE && s->attribute == CKA_VALUE;
        struct template t = needed(events[e], k, s->attribute);
        if (!decides(s->attribute) && (events[e] == ATTR_CREATE || !certificate))
            assert_rv(must(s, events[e]) ? CKR_TEMPLATE_INCOMPLETE : CKR_OK, s->attribute,
                      try_new(events[e], k, &t, false));
    }
}

static void test_footnotes_1_3_and_5(void **state)
{
    (void)state;
    for_each(missing);
}

static void given(const struct spec *s, const struct object_kind *k)
{
    if (decides(s->attribute))
        return;
    for (size_t e = 0; e < COUNT(events); e++) {
        struct template t = needed(events[e], k, s->attribute);
        add(&t, value_of(s));
        assert_rv(never(s, events[e]) ? CKR_ATTRIBUTE_READ_ONLY : CKR_OK, s->attribute,
                  try_new(events[e], k, &t, false));
    }
}

static void test_footnotes_2_4_and_6(void **state)
{
    (void)state;
    for_each(given);
}

/* Of keys the type must be there, too (footnotes 1 and 5 of CKA_KEY_TYPE), and of certificates. */
static void test_no_type(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(kinds); k++) {
        const struct object_kind typeless = {kinds[k].cls, CK_UNAVAILABLE_INFORMATION};
        struct template t = needed(ATTR_CREATE, &kinds[k], CK_UNAVAILABLE_INFORMATION);
        if (kinds[k].cls == CKO_CERTIFICATE)
            t.v[0] = t.v[--t.n];
        assert_rv(kinds[k].cls == CKO_DATA ? CKR_OK : CKR_TEMPLATE_INCOMPLETE, CKA_KEY_TYPE,
                  try_new(ATTR_CREATE, &typeless, &t, false));
        assert_rv(kinds[k].cls == CKO_DATA ? CKR_OK : CKR_TEMPLATE_INCOMPLETE, CKA_KEY_TYPE,
                  try_new(ATTR_UNWRAP, &typeless, &t, false));
    }
}

/* ---- values -------------------------------------------------------------------------------- */

static void badly_formed(const struct spec *s, const struct object_kind *k)
{
    if (decides(s->attribute))
        return;
    for (size_t e = 0; e < COUNT(events); e++) {
        if (never(s, events[e]))
            continue;
        struct template t = needed(events[e], k, s->attribute);
        add(&t, (CK_ATTRIBUTE){s->attribute, NULL, 8});
        assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, s->attribute, try_new(events[e], k, &t, true));
        t.v[t.n - 1] = (CK_ATTRIBUTE){s->attribute, numbers, CK_UNAVAILABLE_INFORMATION};
        assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, s->attribute, try_new(events[e], k, &t, true));
        t.v[t.n - 1] = (CK_ATTRIBUTE){s->attribute, numbers, (8 << 20) + 1};
        assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, s->attribute, try_new(events[e], k, &t, true));
        for (size_t i = 0; i < COUNT(malformed); i++)
            if (malformed[i].form == s->form) {
                t.v[t.n - 1] = malformed[i].a;
                t.v[t.n - 1].type = s->attribute;
                assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, s->attribute,
                          try_new(events[e], k, &t, true));
            }
    }
}

static void test_values_of_wrong_form(void **state)
{
    (void)state;
    for_each(badly_formed);
}

static CK_RV with_value(const struct object_kind *k, CK_ATTRIBUTE_TYPE type, const void *p,
                        CK_ULONG n)
{
    struct template t = needed(ATTR_CREATE, k, type);
    add(&t, (CK_ATTRIBUTE){type, (void *)(uintptr_t)p, n});
    return try_new(ATTR_CREATE, k, &t, true);
}

static void test_values_out_of_range(void **state)
{
    (void)state;
    const struct object_kind x509 = {CKO_CERTIFICATE, CKC_X_509}, aes = {CKO_SECRET_KEY, CKK_AES},
                             generic = {CKO_SECRET_KEY, CKK_GENERIC_SECRET};
    static const uint8_t bytes[64];
    for (CK_ULONG n = 0; n < 6; n++) {
        CK_RV rv = n < 4 ? CKR_OK : CKR_ATTRIBUTE_VALUE_INVALID;
        assert_rv(rv, CKA_CERTIFICATE_CATEGORY,
                  with_value(&x509, CKA_CERTIFICATE_CATEGORY, &n, sizeof(n)));
        assert_rv(rv, CKA_JAVA_MIDP_SECURITY_DOMAIN,
                  with_value(&x509, CKA_JAVA_MIDP_SECURITY_DOMAIN, &n, sizeof(n)));
        rv = n == 0 || n == 3 ? CKR_OK : CKR_ATTRIBUTE_VALUE_INVALID;
        assert_rv(rv, CKA_CHECK_VALUE, with_value(&x509, CKA_CHECK_VALUE, bytes, n));
        assert_rv(rv, CKA_CHECK_VALUE, with_value(&generic, CKA_CHECK_VALUE, bytes, n));
    }
    static const CK_ULONG huge[] = {63, 64, 65, CK_UNAVAILABLE_INFORMATION};
    for (size_t i = 0; i < COUNT(huge); i++)
        assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, CKA_CERTIFICATE_CATEGORY,
                  with_value(&x509, CKA_CERTIFICATE_CATEGORY, &huge[i], sizeof(huge[i])));
    for (CK_ULONG n = 1; n <= sizeof(bytes); n++) {
        bool key = n == 16 || n == 24 || n == 32;
        assert_rv(key ? CKR_OK : CKR_ATTRIBUTE_VALUE_INVALID, CKA_VALUE,
                  with_value(&aes, CKA_VALUE, bytes, n));
        assert_rv(CKR_OK, CKA_VALUE, with_value(&generic, CKA_VALUE, bytes, n));
    }
}

static void test_protection(void **state)
{
    (void)state;
    static const char *const good[] = {"tpm", "sealed", "session"};
    static const char *const bad[] = {"", "TPM", "tp", "tpm ", "software", "sealedx"};
    const struct object_kind private_ = {CKO_PRIVATE_KEY, CKK_RSA};
    for (size_t i = 0; i < COUNT(good); i++)
        assert_rv(CKR_OK, CKA_LATCHKEY_PROTECTION,
                  with_value(&private_, CKA_LATCHKEY_PROTECTION, good[i], strlen(good[i])));
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, CKA_LATCHKEY_PROTECTION,
                  with_value(&private_, CKA_LATCHKEY_PROTECTION, bad[i], strlen(bad[i])));
    /* the NUL is no part of it */
    assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, CKA_LATCHKEY_PROTECTION,
              with_value(&private_, CKA_LATCHKEY_PROTECTION, "tpm", 4));
}

static void test_calendar(void **state)
{
    (void)state;
    static const char *const days[] = {"20240229", "20000229", "20301231", "20300430", "20300228"};
    const struct object_kind key = {CKO_PUBLIC_KEY, CKK_EC};
    for (size_t i = 0; i < COUNT(days); i++)
        assert_rv(CKR_OK, CKA_START_DATE, with_value(&key, CKA_START_DATE, days[i], 8));
}

static void twice(const struct spec *s, const struct object_kind *k)
{
    static CK_ULONG two = 2;
    static uint8_t other[16] = {9};
    static CK_ATTRIBUTE nested[] = {{CKA_SIGN, &yes, 1}};
    if (decides(s->attribute) || s->attribute == CKA_URL)
        return;
    for (size_t e = 0; e < COUNT(events); e++) {
        if (never(s, events[e]))
            continue;
        struct template t = needed(events[e], k, s->attribute);
        CK_ATTRIBUTE a = value_of(s);
        add(&t, a);
        add(&t, a);
        assert_rv(CKR_OK, s->attribute, try_new(events[e], k, &t, true));
        a.pValue = s->form == 'b'                            ? (void *)&yes
                   : s->form == 'n'                          ? (void *)&two
                   : s->form == 'm'                          ? (void *)&two
                   : s->form == 't'                          ? (void *)nested
                   : s->form == 'd'                          ? (void *)(uintptr_t) "20300103"
                   : s->attribute == CKA_LATCHKEY_PROTECTION ? (void *)(uintptr_t) "tpm"
                                                             : (void *)other;
        if (s->form == 't')
            a.ulValueLen = sizeof(nested);
        if (s->attribute == CKA_LATCHKEY_PROTECTION)
            a.ulValueLen = 3;
        t.v[t.n - 1] = a;
        assert_rv(CKR_TEMPLATE_INCONSISTENT, s->attribute, try_new(events[e], k, &t, true));
    }
}

static void test_attributes_given_twice(void **state)
{
    (void)state;
    for_each(twice);
}

/* ---- class, type, and attributes that do not belong ----------------------------------------- */

/* The caller says the class and key type; the template may say them again, not others. */
static void test_class_and_key_type(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(kinds); k++)
        for (size_t e = 0; e < COUNT(events); e++) {
            CK_OBJECT_CLASS cls = kinds[k].cls;
            CK_KEY_TYPE key_type = kinds[k].type;
            bool key = cls != CKO_DATA && cls != CKO_CERTIFICATE;
            struct template t = needed(events[e], &kinds[k], CK_UNAVAILABLE_INFORMATION);
            add(&t, (CK_ATTRIBUTE){CKA_CLASS, &cls, sizeof(cls)});
            assert_rv(CKR_OK, CKA_CLASS, try_new(events[e], &kinds[k], &t, false));
            cls++;
            assert_rv(CKR_TEMPLATE_INCONSISTENT, CKA_CLASS,
                      try_new(events[e], &kinds[k], &t, false));
            t.v[t.n - 1] = (CK_ATTRIBUTE){CKA_KEY_TYPE, &key_type, sizeof(key_type)};
            assert_rv(key ? CKR_OK : CKR_TEMPLATE_INCONSISTENT, CKA_KEY_TYPE,
                      try_new(events[e], &kinds[k], &t, false));
            key_type = CKK_DSA;
            assert_rv(CKR_TEMPLATE_INCONSISTENT, CKA_KEY_TYPE,
                      try_new(events[e], &kinds[k], &t, false));
        }
}

static void test_classes_that_are_not_made(void **state)
{
    (void)state;
    static const CK_OBJECT_CLASS classes[] = {
        CKO_HW_FEATURE, CKO_DOMAIN_PARAMETERS, CKO_MECHANISM, CKO_OTP_KEY,
        CKO_PROFILE,    CKO_VALIDATION,        0x80000001,    CK_UNAVAILABLE_INFORMATION};
    for (size_t i = 0; i < COUNT(classes); i++) {
        const struct object_kind k = {classes[i], CKK_RSA};
        const struct template t = {.n = 0};
        for (size_t e = 0; e < COUNT(events); e++)
            assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, CKA_CLASS, try_new(events[e], &k, &t, true));
    }
}

/* 4.1.1: a type that Cryptoki or this token does not know is an invalid value; one that belongs to
 * another class does not go together with this one. */
static void test_types_of_no_or_another_class(void **state)
{
    (void)state;
    static const CK_KEY_TYPE unknown[] = {CKK_DSA, CKK_DH, CKK_DES3, CKK_VENDOR_DEFINED, 0x7777};
    static const struct object_kind crossed[] = {{CKO_PUBLIC_KEY, CKK_AES},
                                                 {CKO_PUBLIC_KEY, CKK_HKDF},
                                                 {CKO_PRIVATE_KEY, CKK_GENERIC_SECRET},
                                                 {CKO_PRIVATE_KEY, CKK_SHA256_HMAC},
                                                 {CKO_SECRET_KEY, CKK_RSA},
                                                 {CKO_SECRET_KEY, CKK_EC_EDWARDS}};
    const struct template none = {.n = 0};
    for (CK_OBJECT_CLASS cls = CKO_PUBLIC_KEY; cls <= CKO_SECRET_KEY; cls++)
        for (size_t i = 0; i < COUNT(unknown); i++)
            assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, CKA_KEY_TYPE,
                      try_new(ATTR_CREATE, &(struct object_kind){cls, unknown[i]}, &none, false));
    for (size_t i = 0; i < COUNT(crossed); i++)
        assert_rv(CKR_TEMPLATE_INCONSISTENT, CKA_KEY_TYPE,
                  try_new(ATTR_CREATE, &crossed[i], &none, false));
    const struct object_kind certificate = {CKO_CERTIFICATE, CKC_VENDOR_DEFINED};
    struct template t = needed(ATTR_CREATE, &certificate, CK_UNAVAILABLE_INFORMATION);
    assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, CKA_CERTIFICATE_TYPE,
              try_new(ATTR_CREATE, &certificate, &t, false));
}

static void foreign(const struct object_kind *k, CK_ATTRIBUTE a, CK_RV expected)
{
    for (size_t e = 0; e < COUNT(events); e++) {
        struct template t = needed(events[e], k, CK_UNAVAILABLE_INFORMATION);
        add(&t, a);
        assert_rv(expected, a.type, try_new(events[e], k, &t, true));
    }
}

/* 4.1.1: attributes of nobody are invalid, those of other classes and key types inconsistent. */
static void test_attributes_of_others(void **state)
{
    (void)state;
    static const CK_ATTRIBUTE_TYPE strange[] = {CKA_VENDOR_DEFINED,  CKA_VENDOR_DEFINED + 5,
                                                CKA_HW_FEATURE_TYPE, CKA_BASE,
                                                0x7FFFFFFF,          CK_UNAVAILABLE_INFORMATION};
    for (size_t k = 0; k < COUNT(kinds); k++) {
        for (size_t i = 0; i < COUNT(specified); i++)
            if (!spec_of(&kinds[k], specified[i].attribute))
                foreign(&kinds[k], value_of(&specified[i]), CKR_TEMPLATE_INCONSISTENT);
        for (size_t i = 0; i < COUNT(strange); i++)
            foreign(&kinds[k], (CK_ATTRIBUTE){strange[i], &yes, 1}, CKR_ATTRIBUTE_TYPE_INVALID);
    }
}

/* ---- the rest ------------------------------------------------------------------------------ */

static void so_only(const struct spec *s, const struct object_kind *k)
{
    for (size_t e = 0; note(s, 10) && e < COUNT(events); e++) {
        struct template t = needed(events[e], k, s->attribute);
        add(&t, (CK_ATTRIBUTE){s->attribute, &yes, sizeof(yes)});
        assert_rv(CKR_ATTRIBUTE_READ_ONLY, s->attribute, try_new(events[e], k, &t, false));
        assert_rv(CKR_OK, s->attribute, try_new(events[e], k, &t, true));
    }
}

static void test_footnote_10(void **state)
{
    (void)state;
    for_each(so_only);
}

static void test_dates_in_order(void **state)
{
    (void)state;
    char early[] = "20290101", late[] = "20300102";
    for (size_t k = 1; k < COUNT(kinds); k++) {
        struct template t = needed(ATTR_CREATE, &kinds[k], CK_UNAVAILABLE_INFORMATION);
        add(&t, (CK_ATTRIBUTE){CKA_START_DATE, late, 8});
        add(&t, (CK_ATTRIBUTE){CKA_END_DATE, late, 8});
        assert_rv(CKR_OK, CKA_END_DATE, try_new(ATTR_CREATE, &kinds[k], &t, false));
        t.v[t.n - 1].pValue = early;
        assert_rv(CKR_TEMPLATE_INCONSISTENT, CKA_END_DATE,
                  try_new(ATTR_CREATE, &kinds[k], &t, false));
        t.v[t.n - 1].ulValueLen = 0; /* empty is no date */
        assert_rv(CKR_OK, CKA_END_DATE, try_new(ATTR_CREATE, &kinds[k], &t, false));
    }
}

/* 4.9: CKA_ALWAYS_AUTHENTICATE "may only be set to CK_TRUE when CKA_PRIVATE is also CK_TRUE". */
static void test_always_authenticate_is_private(void **state)
{
    (void)state;
    const struct object_kind rsa = {CKO_PRIVATE_KEY, CKK_RSA};
    for (size_t e = 0; e < COUNT(events); e++)
        for (int bits = 0; bits < 4; bits++) {
            struct template t = needed(events[e], &rsa, CK_UNAVAILABLE_INFORMATION);
            add(&t, (CK_ATTRIBUTE){CKA_ALWAYS_AUTHENTICATE, bits & 1 ? &yes : &no, 1});
            add(&t, (CK_ATTRIBUTE){CKA_PRIVATE, bits & 2 ? &yes : &no, 1});
            assert_rv(bits == 1 ? CKR_TEMPLATE_INCONSISTENT : CKR_OK, CKA_ALWAYS_AUTHENTICATE,
                      try_new(events[e], &rsa, &t, false));
        }
}

/* The footnotes of the certificates' own tables: value or URL, and with a URL both hashes. */
static void test_certificates_by_url(void **state)
{
    (void)state;
    static const CK_ULONG types[] = {CKC_X_509, CKC_WTLS};
    for (size_t k = 0; k < COUNT(types); k++)
        for (int bits = 0; bits < 16; bits++) {
            const struct object_kind kind = {CKO_CERTIFICATE, types[k]};
            struct template t = needed(ATTR_CREATE, &kind, CKA_VALUE);
            add(&t, (CK_ATTRIBUTE){CKA_VALUE, &yes, bits & 1 ? 1 : 0});
            add(&t, (CK_ATTRIBUTE){CKA_URL, &yes, bits & 2 ? 1 : 0});
            add(&t, (CK_ATTRIBUTE){CKA_HASH_OF_SUBJECT_PUBLIC_KEY, &yes, bits & 4 ? 1 : 0});
            add(&t, (CK_ATTRIBUTE){CKA_HASH_OF_ISSUER_PUBLIC_KEY, &yes, bits & 8 ? 1 : 0});
            bool good = bits & 2 ? bits >= 14 : bits & 1;
            assert_rv(good ? CKR_OK : CKR_TEMPLATE_INCOMPLETE, CKA_URL,
                      try_new(ATTR_CREATE, &kind, &t, false));
        }
}

/* ---- defaults ------------------------------------------------------------------------------ */

static char letter_of(CK_KEY_TYPE type)
{
    switch (type) {
    case CKK_RSA:
        return 'r';
    case CKK_EC:
        return 'w';
    case CKK_EC_EDWARDS:
        return 'd';
    case CKK_EC_MONTGOMERY:
        return 'm';
    case CKK_AES:
        return 'a';
    case CKK_HKDF:
        return 'k';
    default:
        return 'h';
    }
}

static void check_default(const struct spec *s, const struct object_kind *k, enum attr_event event,
                          const struct attrs *a)
{
    const struct attr *found = attrs_find(a, s->attribute);
    if (s->fallback[0] == '-') {
        assert_null(found);
        return;
    }
    assert_non_null(found);
    if (s->fallback[0] == 'e') {
        assert_int_equal(found->value.n, 0);
    } else if (s->fallback[0] == '0') {
        assert_int_equal(attrs_ulong(a, s->attribute, 5), 0);
    } else {
        bool derived = event == ATTR_DERIVE;
        bool expected = strcmp(s->fallback, "t") == 0   ? true
                        : strcmp(s->fallback, "f") == 0 ? false
                        : strcmp(s->fallback, "s") == 0 ? !derived
                        : strcmp(s->fallback, "x") == 0
                            ? derived
                            : strchr(s->fallback, letter_of(k->type)) != NULL;
        assert_int_equal(found->value.n, sizeof(CK_BBOOL));
        if (attrs_true(a, s->attribute) != expected)
            print_error("%s of class %lu, type %lu\n", name_attribute(s->attribute), k->cls,
                        k->type);
        assert_int_equal(attrs_true(a, s->attribute), expected);
    }
}

static void fallback_of(const struct spec *s, const struct object_kind *k)
{
    for (size_t e = 0; e < COUNT(events); e++) {
        struct template t = needed(events[e], k, s->attribute);
        struct attrs a = {0};
        bool certificate = k->cls == CKO_CERTIFICATE && s->attribute == CKA_VALUE;
        if (decides(s->attribute) || must(s, events[e]) || certificate)
            continue;
        assert_rv(CKR_OK, s->attribute, attrs_new(events[e], k->cls, k->type, t.v, t.n, false, &a));
        check_default(s, k, events[e], &a);
        attrs_free(&a);
    }
}

static void test_defaults(void **state)
{
    (void)state;
    for_each(fallback_of);
}

/* ---- footnote 7 ---------------------------------------------------------------------------- */

static void test_footnote_7(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(kinds); k++) {
        struct attrs a;
        object_of(&kinds[k], &a);
        for (int bits = 0; bits < 4; bits++) {
            assert_rv(CKR_OK, CKA_SENSITIVE, attrs_set_bool(&a, CKA_SENSITIVE, bits & 1));
            assert_rv(CKR_OK, CKA_EXTRACTABLE, attrs_set_bool(&a, CKA_EXTRACTABLE, bits & 2));
            for (size_t i = 0; i < COUNT(specified); i++) {
                const struct spec *s = &specified[i];
                if (spec_of(&kinds[k], s->attribute) == s)
                    assert_int_equal(attrs_revealable(&a, s->attribute), !note(s, 7) || bits == 2);
            }
        }
        attrs_free(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_attributes_are_the_specified_ones),
        cmocka_unit_test(test_minimal_templates),
        cmocka_unit_test(test_footnotes_1_3_and_5),
        cmocka_unit_test(test_footnotes_2_4_and_6),
        cmocka_unit_test(test_no_type),
        cmocka_unit_test(test_values_of_wrong_form),
        cmocka_unit_test(test_values_out_of_range),
        cmocka_unit_test(test_protection),
        cmocka_unit_test(test_calendar),
        cmocka_unit_test(test_attributes_given_twice),
        cmocka_unit_test(test_class_and_key_type),
        cmocka_unit_test(test_classes_that_are_not_made),
        cmocka_unit_test(test_types_of_no_or_another_class),
        cmocka_unit_test(test_attributes_of_others),
        cmocka_unit_test(test_footnote_10),
        cmocka_unit_test(test_dates_in_order),
        cmocka_unit_test(test_always_authenticate_is_private),
        cmocka_unit_test(test_certificates_by_url),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_footnote_7),
    };
    return cmocka_run_group_tests_name("token/attr_rules", tests, NULL, NULL);
}
