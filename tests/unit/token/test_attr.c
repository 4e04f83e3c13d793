/* The attribute table: every row, every footnote, for every class and every way a new object is
 * made; and a list from the specification that the table is held against. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <token/attr.c> /* the rows themselves are nobody else's business */

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void check_rv(CK_RV expected, CK_RV got, CK_ATTRIBUTE_TYPE type, const char *file, int line)
{
    if (expected != got) {
        print_error("%s: ", name_attribute(type));
        print_error("%s instead of ", name_rv(got));
        print_error("%s\n", name_rv(expected));
        _fail(file, line);
    }
}
#define assert_rv(expected, type, call) check_rv(expected, call, type, __FILE__, __LINE__)

/* ---- kinds of objects ---------------------------------------------------------------------- */

static const struct object_kind {
    CK_OBJECT_CLASS cls;
    CK_KEY_TYPE key_type;
} kinds[] = {
    {CKO_DATA, CK_UNAVAILABLE_INFORMATION},
    {CKO_CERTIFICATE, CK_UNAVAILABLE_INFORMATION},
    {CKO_PUBLIC_KEY, CKK_RSA},
    {CKO_PUBLIC_KEY, CKK_EC},
    {CKO_PRIVATE_KEY, CKK_RSA},
    {CKO_PRIVATE_KEY, CKK_EC},
    {CKO_SECRET_KEY, CKK_AES},
    {CKO_SECRET_KEY, CKK_GENERIC_SECRET},
};
static const enum attr_event events[] = {ATTR_CREATE, ATTR_GENERATE, ATTR_DERIVE};

/* Templates: a valid value of each kind, and the attributes that an event cannot do without. */
struct template
{
    CK_ATTRIBUTE v[80];
    CK_ULONG n;
};

static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
static CK_ULONG number = 7;
static uint8_t bytes_of_it[] = {1, 2, 3};
static char date[] = "20300102";

static CK_ATTRIBUTE value_of(const struct rule *r)
{
    switch (r->kind) {
    case BOOL: /* what anybody may say of any of them */
        return (CK_ATTRIBUTE){r->type, &no, sizeof(no)};
    case ULONG:
    case MECHANISMS:
        return (CK_ATTRIBUTE){r->type, &number, sizeof(number)};
    case DATE:
        return (CK_ATTRIBUTE){r->type, date, 8};
    case BIN:
        break;
    }
    return (CK_ATTRIBUTE){r->type, bytes_of_it, sizeof(bytes_of_it)};
}

static bool given_by_caller(CK_ATTRIBUTE_TYPE type)
{
    return type == CKA_CLASS || type == CKA_KEY_TYPE; /* arguments of attrs_new */
}

static bool here_for(const struct rule *r, const struct object_kind *k)
{
    unsigned here = place(k->cls, k->key_type);
    return applies(r, here) && rule_for(here, r->type) == r;
}

/* All that must be there, but the one that is left out. */
static struct template needed(enum attr_event event, const struct object_kind *k,
                              CK_ATTRIBUTE_TYPE leave_out)
{
    struct template t = {.n = 0};
    for (size_t i = 0; i < RULES; i++)
        if (here_for(&rules[i], k) && (rules[i].notes & must(event)) &&
            !given_by_caller(rules[i].type) && rules[i].type != leave_out)
            t.v[t.n++] = value_of(&rules[i]);
    return t;
}

static void add(struct template *t, CK_ATTRIBUTE a)
{
    assert_true(t->n < COUNT(t->v));
    t->v[t->n++] = a;
}

static CK_RV try_new(enum attr_event event, const struct object_kind *k, const struct template *t,
                     bool so)
{
    struct attrs a = {0};
    CK_RV rv = attrs_new(event, k->cls, k->key_type, t->v, t->n, so, &a);
    assert_true(rv == CKR_OK || a.n == 0);
    attrs_free(&a);
    return rv;
}

/* f for each row, kind of object and event. */
static void for_each(void (*f)(const struct rule *, const struct object_kind *, enum attr_event))
{
    for (size_t i = 0; i < RULES; i++)
        for (size_t k = 0; k < COUNT(kinds); k++)
            for (size_t e = 0; e < COUNT(events); e++)
                if (here_for(&rules[i], &kinds[k]) && !given_by_caller(rules[i].type))
                    f(&rules[i], &kinds[k], events[e]);
}

/* ---- new objects --------------------------------------------------------------------------- */

static void test_no_row_is_dead(void **state)
{
    (void)state;
    for (size_t i = 0; i < RULES; i++) {
        unsigned used = 0;
        for (size_t k = 0; k < COUNT(kinds); k++)
            used += here_for(&rules[i], &kinds[k]);
        if (used == 0)
            print_error("%s: row %zu is for no object\n", name_attribute(rules[i].type), i);
        assert_int_not_equal(used, 0);
    }
}

/* No two rows for one attribute of one kind of object: the second would be without effect. */
static void test_no_row_hides_another(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(kinds); k++)
        for (size_t i = 0; i < RULES; i++)
            if (applies(&rules[i], place(kinds[k].cls, kinds[k].key_type)))
                assert_ptr_equal(rule_for(place(kinds[k].cls, kinds[k].key_type), rules[i].type),
                                 &rules[i]);
}

static void test_minimal_templates(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(kinds); k++)
        for (size_t e = 0; e < COUNT(events); e++) {
            struct template t = needed(events[e], &kinds[k], CK_UNAVAILABLE_INFORMATION);
            assert_rv(CKR_OK, CKA_CLASS, try_new(events[e], &kinds[k], &t, false));
        }
}

static void missing(const struct rule *r, const struct object_kind *k, enum attr_event event)
{
    struct template t = needed(event, k, r->type);
    assert_rv(r->notes & must(event) ? CKR_TEMPLATE_INCOMPLETE : CKR_OK, r->type,
              try_new(event, k, &t, false));
}

static void test_footnotes_1_and_3(void **state)
{
    (void)state;
    for_each(missing);
}

static void given(const struct rule *r, const struct object_kind *k, enum attr_event event)
{
    struct template t = needed(event, k, r->type);
    add(&t, value_of(r));
    unsigned forbidden = event == ATTR_CREATE     ? N2_CREATE_NEVER
                         : event == ATTR_GENERATE ? N4_GENERATE_NEVER
                                                  : N6_UNWRAP_NEVER;
    assert_rv(r->notes & forbidden ? CKR_ATTRIBUTE_READ_ONLY : CKR_OK, r->type,
              try_new(event, k, &t, false));
}

static void test_footnotes_2_4_and_6(void **state)
{
    (void)state;
    for_each(given);
}

static const struct {
    enum kind kind;
    CK_ATTRIBUTE a;
} malformed[] = {
    {BOOL, {0, &yes, 0}},
    {BOOL, {0, NULL, 0}},
    {BOOL, {0, (CK_BBOOL[]){1, 1}, 2}},
    {BOOL, {0, &number, sizeof(number)}},
    {BOOL, {0, (CK_BBOOL[]){2}, 1}},
    {BOOL, {0, (CK_BBOOL[]){0xFF}, 1}},
    {ULONG, {0, &number, 0}},
    {ULONG, {0, NULL, 0}},
    {ULONG, {0, &number, 1}},
    {ULONG, {0, &number, 4}},
    {ULONG, {0, &number, sizeof(number) - 1}},
    {ULONG, {0, (CK_ULONG[]){1, 2}, sizeof(number) + 1}},
    {ULONG, {0, (CK_ULONG[]){1, 2}, 2 * sizeof(number)}},
    {MECHANISMS, {0, &number, 1}},
    {MECHANISMS, {0, &number, sizeof(number) - 1}},
    {MECHANISMS, {0, (CK_ULONG[]){1, 2}, sizeof(number) + 4}},
    {DATE, {0, (char[]){"2030010"}, 7}},
    {DATE, {0, (char[]){"203001020"}, 9}},
    {DATE, {0, (char[]){"2030010x"}, 8}},
    {DATE, {0, (char[]){"20300002"}, 8}},
    {DATE, {0, (char[]){"20301302"}, 8}},
    {DATE, {0, (char[]){"20300100"}, 8}},
    {DATE, {0, (char[]){"20300132"}, 8}},
    {DATE, {0, (char[]){"        "}, 8}},
};

static void badly_formed(const struct rule *r, const struct object_kind *k, enum attr_event event)
{
    if (r->notes & never(event))
        return;
    struct template t = needed(event, k, r->type);
    add(&t, (CK_ATTRIBUTE){r->type, NULL, 8});
    assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, r->type, try_new(event, k, &t, true));
    t.v[t.n - 1] = (CK_ATTRIBUTE){r->type, bytes_of_it, CK_UNAVAILABLE_INFORMATION};
    assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, r->type, try_new(event, k, &t, true));
    t.v[t.n - 1] = (CK_ATTRIBUTE){r->type, bytes_of_it, (8 << 20) + 1};
    assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, r->type, try_new(event, k, &t, true));
    for (size_t i = 0; i < COUNT(malformed); i++)
        if (malformed[i].kind == r->kind) {
            t.v[t.n - 1] = malformed[i].a;
            t.v[t.n - 1].type = r->type;
            assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, r->type, try_new(event, k, &t, true));
        }
}

static void test_values_of_wrong_form(void **state)
{
    (void)state;
    for_each(badly_formed);
}

static void twice(const struct rule *r, const struct object_kind *k, enum attr_event event)
{
    if (r->notes & never(event))
        return;
    static CK_ULONG other_number = 8;
    static uint8_t other_bytes[] = {1, 2, 4};
    static char other_date[] = "20300103";
    struct template t = needed(event, k, r->type);
    CK_ATTRIBUTE a = value_of(r);
    add(&t, a);
    add(&t, a);
    assert_rv(CKR_OK, r->type, try_new(event, k, &t, true));
    a.pValue = r->kind == BOOL   ? (void *)&yes
               : r->kind == BIN  ? (void *)other_bytes
               : r->kind == DATE ? (void *)other_date
                                 : (void *)&other_number;
    t.v[t.n - 1] = a;
    assert_rv(CKR_TEMPLATE_INCONSISTENT, r->type, try_new(event, k, &t, true));
}

static void test_attributes_given_twice(void **state)
{
    (void)state;
    for_each(twice);
}

/* The caller says the class and key type; the template may say them again, not others. */
static void test_class_and_key_type(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(kinds); k++)
        for (size_t e = 0; e < COUNT(events); e++) {
            CK_OBJECT_CLASS cls = kinds[k].cls;
            CK_KEY_TYPE key_type = kinds[k].key_type;
            bool key = key_type != CK_UNAVAILABLE_INFORMATION;
            struct template t = needed(events[e], &kinds[k], CK_UNAVAILABLE_INFORMATION);
            add(&t, (CK_ATTRIBUTE){CKA_CLASS, &cls, sizeof(cls)});
            assert_rv(CKR_OK, CKA_CLASS, try_new(events[e], &kinds[k], &t, false));
            cls++;
            assert_rv(CKR_TEMPLATE_INCONSISTENT, CKA_CLASS,
                      try_new(events[e], &kinds[k], &t, false));
            t.v[t.n - 1] = (CK_ATTRIBUTE){CKA_KEY_TYPE, &key_type, sizeof(key_type)};
            assert_rv(key ? CKR_OK : CKR_ATTRIBUTE_TYPE_INVALID, CKA_KEY_TYPE,
                      try_new(events[e], &kinds[k], &t, false));
            key_type = CKK_DSA;
            assert_rv(key ? CKR_TEMPLATE_INCONSISTENT : CKR_ATTRIBUTE_TYPE_INVALID, CKA_KEY_TYPE,
                      try_new(events[e], &kinds[k], &t, false));
        }
}

static void test_classes_that_are_not_kept(void **state)
{
    (void)state;
    static const CK_OBJECT_CLASS classes[] = {CKO_HW_FEATURE, CKO_DOMAIN_PARAMETERS,
                                              CKO_MECHANISM,  CKO_PROFILE,
                                              0x80000001,     CK_UNAVAILABLE_INFORMATION};
    for (size_t i = 0; i < COUNT(classes); i++) {
        const struct object_kind k = {classes[i], CKK_RSA};
        const struct template t = {.n = 0};
        assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, CKA_CLASS, try_new(ATTR_CREATE, &k, &t, false));
    }
}

/* Attributes of other classes, of other key types, of nobody. */
static void test_unknown_attributes(void **state)
{
    (void)state;
    static const CK_ATTRIBUTE_TYPE strange[] = {CKA_VENDOR_DEFINED,  CKA_VENDOR_DEFINED + 5,
                                                CKA_HW_FEATURE_TYPE, CKA_BASE,
                                                0x7FFFFFFF,          CK_UNAVAILABLE_INFORMATION};
    for (size_t k = 0; k < COUNT(kinds); k++)
        for (size_t i = 0; i < RULES + COUNT(strange); i++) {
            CK_ATTRIBUTE_TYPE type = i < RULES ? rules[i].type : strange[i - RULES];
            if (i < RULES && rule_for(place(kinds[k].cls, kinds[k].key_type), type))
                continue;
            for (size_t e = 0; e < COUNT(events); e++) {
                struct template t = needed(events[e], &kinds[k], CK_UNAVAILABLE_INFORMATION);
                CK_ATTRIBUTE a =
                    i < RULES ? value_of(&rules[i]) : (CK_ATTRIBUTE){type, bytes_of_it, 3};
                add(&t, a);
                assert_rv(CKR_ATTRIBUTE_TYPE_INVALID, type,
                          try_new(events[e], &kinds[k], &t, true));
            }
        }
}

static void so_only(const struct rule *r, const struct object_kind *k, enum attr_event event)
{
    if (!(r->notes & N10_SO_ONLY))
        return;
    struct template t = needed(event, k, r->type);
    add(&t, (CK_ATTRIBUTE){r->type, &yes, sizeof(yes)});
    assert_rv(CKR_ATTRIBUTE_READ_ONLY, r->type, try_new(event, k, &t, false));
    assert_rv(CKR_OK, r->type, try_new(event, k, &t, true));
}

static void test_footnote_10(void **state)
{
    (void)state;
    for_each(so_only);
}

static void test_dates_in_order(void **state)
{
    (void)state;
    char early[] = "20290101";
    for (size_t k = 1; k < COUNT(kinds); k++) {
        struct template t = needed(ATTR_CREATE, &kinds[k], CK_UNAVAILABLE_INFORMATION);
        add(&t, (CK_ATTRIBUTE){CKA_START_DATE, date, 8});
        add(&t, (CK_ATTRIBUTE){CKA_END_DATE, date, 8});
        assert_rv(CKR_OK, CKA_END_DATE, try_new(ATTR_CREATE, &kinds[k], &t, false));
        t.v[t.n - 1].pValue = early;
        assert_rv(CKR_TEMPLATE_INCONSISTENT, CKA_END_DATE,
                  try_new(ATTR_CREATE, &kinds[k], &t, false));
        t.v[t.n - 1].ulValueLen = 0; /* empty is no date */
        assert_rv(CKR_OK, CKA_END_DATE, try_new(ATTR_CREATE, &kinds[k], &t, false));
    }
}

/* What is filled in. */
static void fallback_of(const struct rule *r, const struct object_kind *k, enum attr_event event)
{
    struct template t = needed(event, k, r->type);
    struct attrs a = {0};
    if (r->notes & must(event))
        return;
    assert_rv(CKR_OK, r->type, attrs_new(event, k->cls, k->key_type, t.v, t.n, false, &a));
    const struct attr *found = attrs_find(&a, r->type);
    bool can = k->key_type == CKK_RSA || r->type == CKA_SIGN || r->type == CKA_VERIFY;
    switch (r->fallback) {
    case NONE:
        assert_null(found);
        break;
    case EMPTY:
        assert_non_null(found);
        assert_int_equal(found->value.n, 0);
        break;
    case ZERO:
        assert_int_equal(attrs_ulong(&a, r->type, 5), 0);
        break;
    case FALSE_:
    case TRUE_:
    case TRUE_IF_KEY_CAN:
        assert_non_null(found);
        assert_int_equal(found->value.n, sizeof(CK_BBOOL));
        assert_int_equal(attrs_true(&a, r->type),
                         r->fallback == TRUE_ || (r->fallback == TRUE_IF_KEY_CAN && can));
        break;
    }
    attrs_free(&a);
}

static void test_defaults(void **state)
{
    (void)state;
    for_each(fallback_of);
}

/* ---- changes ------------------------------------------------------------------------------- */

static void object_of(const struct object_kind *k, struct attrs *ret)
{
    struct template t = needed(ATTR_CREATE, k, CK_UNAVAILABLE_INFORMATION);
    *ret = (struct attrs){0};
    assert_rv(CKR_OK, CKA_CLASS, attrs_new(ATTR_CREATE, k->cls, k->key_type, t.v, t.n, false, ret));
}

static CK_RV try_change(const struct attrs *old, CK_ATTRIBUTE a, bool so)
{
    struct attrs fresh = {0};
    CK_RV rv = attrs_changed(old, &a, 1, so, &fresh);
    if (rv == CKR_OK)
        assert_true(bytes_equal(attrs_bytes(&fresh, a.type), BYTES(a.pValue, a.ulValueLen)));
    else
        assert_int_equal(fresh.n, 0);
    attrs_free(&fresh);
    return rv;
}

static CK_RV change_bool(const struct attrs *object, CK_ATTRIBUTE_TYPE type, bool from, bool to,
                         bool so)
{
    struct attrs old = {0};
    assert_rv(CKR_OK, type, attrs_copy(object, &old));
    assert_rv(CKR_OK, type, attrs_set_bool(&old, type, from));
    CK_RV rv = try_change(&old, (CK_ATTRIBUTE){type, to ? &yes : &no, 1}, so);
    attrs_free(&old);
    return rv;
}

/* Footnotes 8, 10, 11 and 12 of a BOOL, as the specification words them. */
static void change_of_bool(const struct rule *r, const struct attrs *object)
{
    bool modifiable = r->notes & (N8_MODIFIABLE | N12_STICKY_FALSE);
    bool may_rise = modifiable && !(r->notes & (N10_SO_ONLY | N12_STICKY_FALSE));
    bool may_fall = modifiable && !(r->notes & N11_STICKY_TRUE);
    assert_rv(may_rise ? CKR_OK : CKR_ATTRIBUTE_READ_ONLY, r->type,
              change_bool(object, r->type, false, true, false));
    assert_rv(may_fall ? CKR_OK : CKR_ATTRIBUTE_READ_ONLY, r->type,
              change_bool(object, r->type, true, false, false));
    if (r->notes & N10_SO_ONLY)
        assert_rv(CKR_OK, r->type, change_bool(object, r->type, false, true, true));
    /* writing back what was read is a change like another */
    assert_rv(modifiable ? CKR_OK : CKR_ATTRIBUTE_READ_ONLY, r->type,
              change_bool(object, r->type, true, true, true));
    assert_rv(modifiable ? CKR_OK : CKR_ATTRIBUTE_READ_ONLY, r->type,
              change_bool(object, r->type, false, false, false));
}

static void test_footnotes_8_10_11_and_12(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(kinds); k++) {
        struct attrs object;
        object_of(&kinds[k], &object);
        for (size_t i = 0; i < RULES; i++) {
            const struct rule *r = &rules[i];
            if (!here_for(r, &kinds[k]))
                continue;
            if (r->kind == BOOL) {
                change_of_bool(r, &object);
                continue;
            }
            static CK_ULONG another = 99;
            uint8_t other[] = {9, 9, 9, 9};
            char day[] = "20310506";
            CK_ATTRIBUTE a = r->kind == BIN    ? (CK_ATTRIBUTE){r->type, other, sizeof(other)}
                             : r->kind == DATE ? (CK_ATTRIBUTE){r->type, day, 8}
                                               : (CK_ATTRIBUTE){r->type, &another, sizeof(another)};
            assert_rv(r->notes & N8_MODIFIABLE ? CKR_OK : CKR_ATTRIBUTE_READ_ONLY, r->type,
                      try_change(&object, a, true));
        }
        attrs_free(&object);
    }
}

static void test_changes_of_wrong_form(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(kinds); k++) {
        struct attrs object;
        object_of(&kinds[k], &object);
        for (size_t i = 0; i < RULES; i++) {
            if (!here_for(&rules[i], &kinds[k])) {
                if (!rule_for(place(kinds[k].cls, kinds[k].key_type), rules[i].type))
                    assert_rv(CKR_ATTRIBUTE_TYPE_INVALID, rules[i].type,
                              try_change(&object, value_of(&rules[i]), true));
                continue;
            }
            assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, rules[i].type,
                      try_change(&object, (CK_ATTRIBUTE){rules[i].type, NULL, 8}, true));
            for (size_t m = 0; m < COUNT(malformed); m++) {
                CK_ATTRIBUTE a = malformed[m].a;
                a.type = rules[i].type;
                if (malformed[m].kind == rules[i].kind)
                    assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, a.type, try_change(&object, a, true));
            }
        }
        attrs_free(&object);
    }
}

/* One bad attribute and nothing is changed; nor does the object that it came from. */
static void test_changes_are_all_or_none(void **state)
{
    (void)state;
    struct attrs object, fresh = {0};
    object_of(&kinds[4], &object);
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

static void test_changed_dates_stay_in_order(void **state)
{
    (void)state;
    struct attrs object, fresh = {0};
    object_of(&kinds[2], &object);
    char late[] = "20400101", early[] = "20290101";
    const CK_ATTRIBUTE template[] = {{CKA_START_DATE, late, 8}, {CKA_END_DATE, early, 8}};
    assert_rv(CKR_TEMPLATE_INCONSISTENT, CKA_END_DATE,
              attrs_changed(&object, template, 2, false, &fresh));
    attrs_free(&object);
}

/* ---- footnote 7 ---------------------------------------------------------------------------- */

static void test_footnote_7(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(kinds); k++) {
        struct attrs a;
        object_of(&kinds[k], &a);
        bool secret = kinds[k].cls == CKO_PRIVATE_KEY || kinds[k].cls == CKO_SECRET_KEY;
        for (int bits = 0; bits < 4; bits++) {
            assert_rv(CKR_OK, CKA_SENSITIVE, attrs_set_bool(&a, CKA_SENSITIVE, bits & 1));
            assert_rv(CKR_OK, CKA_EXTRACTABLE, attrs_set_bool(&a, CKA_EXTRACTABLE, bits & 2));
            for (size_t i = 0; i < RULES; i++) {
                if (!here_for(&rules[i], &kinds[k]))
                    continue;
                bool hidden = (rules[i].notes & N7_SENSITIVE) && bits != 2;
                assert_true(secret || !(rules[i].notes & N7_SENSITIVE));
                assert_int_equal(attrs_revealable(&a, rules[i].type), !hidden);
            }
        }
        attrs_free(&a);
    }
}

/* ---- the specification --------------------------------------------------------------------- */

enum { CREATE = 1, GENERATE = 2, CHANGE = 4, HIDDEN = 8 };

/* Which of it a template may carry, whether C_SetAttributeValue may change it, whether a sensitive
 * key hides it; read from 2.40's tables by hand. */
static const struct {
    CK_OBJECT_CLASS cls;
    CK_KEY_TYPE key_type;
    CK_ATTRIBUTE_TYPE type;
    int allowed;
} specified[] = {
    {CKO_DATA, 0, CKA_APPLICATION, CREATE | GENERATE | CHANGE},
    {CKO_DATA, 0, CKA_TOKEN, CREATE | GENERATE},
    {CKO_CERTIFICATE, 0, CKA_ID, CREATE | GENERATE | CHANGE},
    {CKO_CERTIFICATE, 0, CKA_SUBJECT, CREATE | GENERATE},
    {CKO_CERTIFICATE, 0, CKA_VALUE, CREATE | GENERATE},
    {CKO_CERTIFICATE, 0, CKA_ISSUER, CREATE | GENERATE | CHANGE},
    {CKO_CERTIFICATE, 0, CKA_SERIAL_NUMBER, CREATE | GENERATE | CHANGE},
    {CKO_PUBLIC_KEY, CKK_RSA, CKA_MODULUS, CREATE},
    {CKO_PUBLIC_KEY, CKK_RSA, CKA_MODULUS_BITS, GENERATE},
    {CKO_PUBLIC_KEY, CKK_RSA, CKA_PUBLIC_EXPONENT, CREATE | GENERATE},
    {CKO_PUBLIC_KEY, CKK_RSA, CKA_LOCAL, 0},
    {CKO_PUBLIC_KEY, CKK_RSA, CKA_KEY_GEN_MECHANISM, 0},
    {CKO_PUBLIC_KEY, CKK_EC, CKA_EC_PARAMS, CREATE | GENERATE},
    {CKO_PUBLIC_KEY, CKK_EC, CKA_EC_POINT, CREATE},
    {CKO_PRIVATE_KEY, CKK_RSA, CKA_MODULUS, CREATE},
    {CKO_PRIVATE_KEY, CKK_RSA, CKA_PUBLIC_EXPONENT, CREATE},
    {CKO_PRIVATE_KEY, CKK_RSA, CKA_PRIVATE_EXPONENT, CREATE | HIDDEN},
    {CKO_PRIVATE_KEY, CKK_RSA, CKA_PRIME_1, CREATE | HIDDEN},
    {CKO_PRIVATE_KEY, CKK_RSA, CKA_PRIME_2, CREATE | HIDDEN},
    {CKO_PRIVATE_KEY, CKK_RSA, CKA_EXPONENT_1, CREATE | HIDDEN},
    {CKO_PRIVATE_KEY, CKK_RSA, CKA_EXPONENT_2, CREATE | HIDDEN},
    {CKO_PRIVATE_KEY, CKK_RSA, CKA_COEFFICIENT, CREATE | HIDDEN},
    {CKO_PRIVATE_KEY, CKK_EC, CKA_EC_PARAMS, CREATE},
    {CKO_PRIVATE_KEY, CKK_EC, CKA_VALUE, CREATE | HIDDEN},
    {CKO_PRIVATE_KEY, CKK_EC, CKA_ALWAYS_SENSITIVE, 0},
    {CKO_PRIVATE_KEY, CKK_EC, CKA_NEVER_EXTRACTABLE, 0},
    {CKO_PRIVATE_KEY, CKK_EC, CKA_ALWAYS_AUTHENTICATE, CREATE | GENERATE},
    {CKO_PRIVATE_KEY, CKK_EC, CKA_ID, CREATE | GENERATE | CHANGE},
    {CKO_PRIVATE_KEY, CKK_EC, CKA_DERIVE, CREATE | GENERATE | CHANGE},
    {CKO_PRIVATE_KEY, CKK_EC, CKA_SUBJECT, CREATE | GENERATE | CHANGE},
    {CKO_PRIVATE_KEY, CKK_EC, CKA_UNIQUE_ID, 0},
    {CKO_SECRET_KEY, CKK_AES, CKA_VALUE, CREATE | HIDDEN},
    {CKO_SECRET_KEY, CKK_AES, CKA_VALUE_LEN, GENERATE},
    {CKO_SECRET_KEY, CKK_AES, CKA_ALWAYS_SENSITIVE, 0},
};

static void test_table_says_what_the_specification_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(specified); i++) {
        const struct rule *r =
            rule_for(place(specified[i].cls, specified[i].key_type), specified[i].type);
        assert_non_null(r);
        int allowed = (r->notes & N2_CREATE_NEVER ? 0 : CREATE) |
                      (r->notes & N4_GENERATE_NEVER ? 0 : GENERATE) |
                      (r->notes & N8_MODIFIABLE ? CHANGE : 0) |
                      (r->notes & N7_SENSITIVE ? HIDDEN : 0);
        if (allowed != specified[i].allowed)
            print_error("%s of class %lu: %x\n", name_attribute(r->type), specified[i].cls,
                        (unsigned)allowed);
        assert_int_equal(allowed, specified[i].allowed);
    }
}

/* ---- the portable form --------------------------------------------------------------------- */

static void assert_same(const struct attrs *a, const struct attrs *b)
{
    assert_int_equal(a->n, b->n);
    for (size_t i = 0; i < a->n; i++) {
        assert_int_equal(a->v[i].type, b->v[i].type);
        assert_true(bytes_equal(buf_bytes(&a->v[i].value), buf_bytes(&b->v[i].value)));
    }
}

/* The stored form has no class beside it, so a type must be of one kind everywhere. */
static void test_kind_does_not_depend_on_the_class(void **state)
{
    (void)state;
    for (size_t i = 0; i < RULES; i++)
        assert_int_equal(kind_of(rules[i].type), rules[i].kind);
}

static void test_round_trip(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(kinds); k++) {
        CLEANUP(buf_free) struct buf packed = {0}, again = {0};
        struct attrs a, b = {0};
        CK_ULONG list[] = {CKM_ECDSA, CKM_RSA_PKCS, CK_UNAVAILABLE_INFORMATION};
        object_of(&kinds[k], &a);
        assert_rv(CKR_OK, 0,
                  attrs_set_ulong(&a, CKA_KEY_GEN_MECHANISM, CK_UNAVAILABLE_INFORMATION));
        assert_rv(CKR_OK, 0, attrs_set(&a, CKA_ALLOWED_MECHANISMS, BYTES_OF(list)));
        assert_rv(CKR_OK, 0, attrs_pack(&a, &packed));
        assert_rv(CKR_OK, 0, attrs_unpack(buf_bytes(&packed), &b));
        assert_same(&a, &b);
        assert_rv(CKR_OK, 0, attrs_pack(&b, &again));
        assert_true(bytes_equal(buf_bytes(&packed), buf_bytes(&again)));
        attrs_free(&a);
        attrs_free(&b);
    }
}

/* store/FORMAT.md: type as 64 bits, what follows is numbers or not, length, value; big-endian. */
static void test_stored_bytes(void **state)
{
    (void)state;
    static const uint8_t expected[] = {
        0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 8, 0,   0,  0, 0, 0, 0, 0, 3, /* CKA_CLASS */
        0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 2, 'h', 'i'};                 /* CKA_LABEL */
    CLEANUP(buf_free) struct buf packed = {0};
    struct attrs a = {0};
    assert_rv(CKR_OK, 0, attrs_set(&a, CKA_LABEL, BYTES_STR("hi")));
    assert_rv(CKR_OK, 0, attrs_set_ulong(&a, CKA_CLASS, CKO_PRIVATE_KEY));
    assert_rv(CKR_OK, 0, attrs_pack(&a, &packed));
    assert_int_equal(packed.n, sizeof(expected));
    assert_memory_equal(packed.p, expected, sizeof(expected));
    attrs_free(&a);
}

static void test_cut_short(void **state)
{
    (void)state;
    CLEANUP(buf_free) struct buf packed = {0};
    struct attrs a;
    size_t whole = 0;
    object_of(&kinds[4], &a);
    assert_rv(CKR_OK, 0, attrs_pack(&a, &packed));
    for (size_t n = 0; n < packed.n; n++) {
        struct attrs b = {0};
        if (attrs_unpack(BYTES(packed.p, n), &b) == CKR_OK)
            whole++; /* cut between two attributes */
        else
            assert_int_equal(b.n, 0);
        attrs_free(&b);
    }
    assert_int_equal(whole, a.n);
    attrs_free(&a);
}

static void test_hostile_bytes(void **state)
{
    (void)state;
    static const uint8_t bad[][16] = {
        {0, 0, 0, 0, 0, 0, 0, 3, 0, 0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 3}, /* longer than it is */
        {0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 3, 1, 2, 3},             /* no whole number */
        {0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 4, 1, 2, 3},
        {0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 1, 2, 3}, /* bytes behind the last */
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct attrs a = {0};
        assert_rv(CKR_DEVICE_ERROR, 0, attrs_unpack(BYTES_OF(bad[i]), &a));
        assert_int_equal(a.n, 0);
    }
    uint32_t random = 1;
    for (int i = 0; i < 20000; i++) {
        uint8_t noise[80];
        struct attrs a = {0};
        for (size_t k = 0; k < sizeof(noise); k++) {
            random = random * 1664525 + 1013904223;
            /* mostly zeros, so that lengths are often plausible */
            noise[k] = random >> 30 ? 0 : (uint8_t)(random >> 20);
        }
        if (attrs_unpack(BYTES_OF(noise), &a) == CKR_OK)
            for (size_t k = 1; k < a.n; k++)
                assert_true(a.v[k - 1].type < a.v[k].type);
        /* and what came of it can be asked */
        attrs_true(&a, CKA_SENSITIVE);
        attrs_ulong(&a, CKA_CLASS, 0);
        attrs_revealable(&a, CKA_VALUE);
        attrs_free(&a);
    }
}

/* Values of a wrong size in a damaged store are as if they were not there. */
static void test_values_of_wrong_size(void **state)
{
    (void)state;
    struct attrs a = {0};
    uint8_t long_true[] = {1, 1};
    assert_rv(CKR_OK, 0, attrs_set(&a, CKA_SENSITIVE, BYTES_OF(long_true)));
    assert_rv(CKR_OK, 0, attrs_set(&a, CKA_CLASS, BYTES_OF(long_true)));
    assert_false(attrs_true(&a, CKA_SENSITIVE));
    assert_int_equal(attrs_ulong(&a, CKA_CLASS, 77), 77);
    attrs_free(&a);
}

static void test_template_numbers(void **state)
{
    (void)state;
    CK_ULONG value = 5, cls = CKO_DATA;
    const CK_ATTRIBUTE good = {CKA_CLASS, &cls, sizeof(cls)}, other = {CKA_LABEL, &cls, 1},
                       bad[] = {{CKA_CLASS, NULL, sizeof(cls)}, {CKA_CLASS, &cls, 4}};
    assert_rv(CKR_OK, CKA_CLASS, attrs_template_ulong(&other, 1, CKA_CLASS, &value));
    assert_int_equal(value, 5);
    assert_rv(CKR_OK, CKA_CLASS, attrs_template_ulong(&good, 1, CKA_CLASS, &value));
    assert_int_equal(value, CKO_DATA);
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, CKA_CLASS,
                  attrs_template_ulong(&bad[i], 1, CKA_CLASS, &value));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_row_is_dead),
        cmocka_unit_test(test_no_row_hides_another),
        cmocka_unit_test(test_minimal_templates),
        cmocka_unit_test(test_footnotes_1_and_3),
        cmocka_unit_test(test_footnotes_2_4_and_6),
        cmocka_unit_test(test_values_of_wrong_form),
        cmocka_unit_test(test_attributes_given_twice),
        cmocka_unit_test(test_class_and_key_type),
        cmocka_unit_test(test_classes_that_are_not_kept),
        cmocka_unit_test(test_unknown_attributes),
        cmocka_unit_test(test_footnote_10),
        cmocka_unit_test(test_dates_in_order),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_footnotes_8_10_11_and_12),
        cmocka_unit_test(test_changes_of_wrong_form),
        cmocka_unit_test(test_changes_are_all_or_none),
        cmocka_unit_test(test_changed_dates_stay_in_order),
        cmocka_unit_test(test_footnote_7),
        cmocka_unit_test(test_table_says_what_the_specification_says),
        cmocka_unit_test(test_kind_does_not_depend_on_the_class),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_stored_bytes),
        cmocka_unit_test(test_cut_short),
        cmocka_unit_test(test_hostile_bytes),
        cmocka_unit_test(test_values_of_wrong_size),
        cmocka_unit_test(test_template_numbers),
    };
    return cmocka_run_group_tests_name("token/attr", tests, NULL, NULL);
}
