/* Lists of attributes and the form in which the store keeps them. */
#include "attr_spec.h"

static const struct object_kind rsa = {CKO_PRIVATE_KEY, CKK_RSA};

/* ---- lists --------------------------------------------------------------------------------- */

static void test_sorted(void **state)
{
    (void)state;
    struct attrs a = {0};
    for (CK_ULONG i = 0; i < 200; i++) /* 7 generates the numbers modulo 200 */
        assert_rv(CKR_OK, 0, attrs_set_ulong(&a, i * 7 % 200, i));
    assert_int_equal(a.n, 200);
    for (size_t i = 0; i < a.n; i++)
        assert_int_equal(a.v[i].type, i);
    assert_int_equal(attrs_ulong(&a, 7, 0), 1);
    assert_rv(CKR_OK, 0, attrs_set_ulong(&a, 7, 99)); /* another value, no second attribute */
    assert_int_equal(a.n, 200);
    assert_int_equal(attrs_ulong(&a, 7, 0), 99);
    assert_null(attrs_find(&a, 200));
    attrs_free(&a);
}

static void test_copies_are_apart(void **state)
{
    (void)state;
    struct attrs a = {0}, b = {0};
    object_of(&rsa, &a);
    assert_rv(CKR_OK, 0, attrs_copy(&a, &b));
    assert_rv(CKR_OK, 0, attrs_set(&b, CKA_LABEL, BYTES_STR("other")));
    assert_int_equal(attrs_bytes(&a, CKA_LABEL).n, 0);
    assert_int_equal(a.n, b.n);
    attrs_free(&a);
    attrs_free(&b);
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

/* The nested templates that such objects can have. */
static void add_nested(const struct object_kind *k, struct attrs *a)
{
    for (size_t i = 0; i < COUNT(specified); i++) {
        const struct spec *s = &specified[i];
        struct template t = needed(ATTR_CREATE, k, CK_UNAVAILABLE_INFORMATION);
        struct attrs with = {0};
        if (s->form != 't' || spec_of(k, s->attribute) != s)
            continue;
        add(&t, value_of(s));
        assert_rv(CKR_OK, s->attribute,
                  attrs_new(ATTR_CREATE, k->cls, k->type, t.v, t.n, false, &with));
        assert_rv(CKR_OK, s->attribute,
                  attrs_set(a, s->attribute, attrs_bytes(&with, s->attribute)));
        attrs_free(&with);
    }
}

static void test_round_trip(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(kinds); k++) {
        CLEANUP(buf_free) struct buf packed = {0}, again = {0};
        struct attrs a, b = {0};
        CK_ULONG list[] = {CKM_ECDSA, CKM_RSA_PKCS, CK_UNAVAILABLE_INFORMATION};
        object_of(&kinds[k], &a);
        add_nested(&kinds[k], &a);
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

/* Numbers are numbers by their type alone, whatever class they were seen in; 4 bytes longer or
 * shorter they would not come back on a machine with another CK_ULONG. */
static void test_numbers_are_portable(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(specified); i++) {
        CLEANUP(buf_free) struct buf packed = {0};
        struct attrs a = {0};
        bool numbers_inside = specified[i].form == 'n' || specified[i].form == 'm';
        assert_rv(CKR_OK, 0, attrs_set_ulong(&a, specified[i].attribute, 0x0102));
        assert_rv(CKR_OK, 0, attrs_pack(&a, &packed));
        assert_int_equal(packed.n, 8 + 1 + 4 + 8);
        assert_int_equal(packed.p[8], numbers_inside);
        assert_int_equal(packed.p[packed.n - 1], numbers_inside ? 2 : 0);
        attrs_free(&a);
    }
}

static void test_cut_short(void **state)
{
    (void)state;
    CLEANUP(buf_free) struct buf packed = {0};
    struct attrs a;
    size_t whole = 0;
    object_of(&rsa, &a);
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

/* store/FORMAT.md: ascending. A million in another order would keep the reader busy for minutes. */
static void test_order_is_checked(void **state)
{
    (void)state;
    static const uint8_t one_two[] = {0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0,
                                      0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0};
    struct attrs a = {0};
    uint8_t packed[sizeof(one_two)];
    assert_rv(CKR_OK, 0, attrs_unpack(BYTES_OF(one_two), &a));
    assert_int_equal(a.n, 2);
    attrs_free(&a);
    for (uint8_t first = 2; first < 4; first++) { /* twice the same; descending */
        memcpy(packed, one_two, sizeof(packed));
        packed[7] = first;
        assert_rv(CKR_DEVICE_ERROR, 0, attrs_unpack(BYTES_OF(packed), &a));
        assert_int_equal(a.n, 0);
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
        cmocka_unit_test(test_sorted),
        cmocka_unit_test(test_copies_are_apart),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_stored_bytes),
        cmocka_unit_test(test_numbers_are_portable),
        cmocka_unit_test(test_cut_short),
        cmocka_unit_test(test_hostile_bytes),
        cmocka_unit_test(test_order_is_checked),
        cmocka_unit_test(test_values_of_wrong_size),
        cmocka_unit_test(test_template_numbers),
    };
    return cmocka_run_group_tests_name("token/attr", tests, NULL, NULL);
}
