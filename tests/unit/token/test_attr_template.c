/* Templates that are values (CKA_WRAP_TEMPLATE and its like): taken in, stored, told, and used. */
#include "attr_spec.h"

static const struct object_kind aes = {CKO_SECRET_KEY, CKK_AES}, rsa = {CKO_PRIVATE_KEY, CKK_RSA};
static CK_ULONG cls = CKO_SECRET_KEY, mechanisms[] = {CKM_AES_CBC, CK_UNAVAILABLE_INFORMATION};
static char label[] = "inner", date[] = "20300102";

/* One of each data type, and not in the order of their types. */
static CK_ATTRIBUTE inner[] = {{CKA_EXTRACTABLE, &no, 1},
                               {CKA_LABEL, label, 5},
                               {CKA_ALLOWED_MECHANISMS, mechanisms, sizeof(mechanisms)},
                               {CKA_START_DATE, date, 8},
                               {CKA_CLASS, &cls, sizeof(cls)},
                               {CKA_ID, NULL, 0}};
static const CK_ATTRIBUTE_TYPE sorted[] = {CKA_CLASS,      CKA_LABEL,       CKA_ID,
                                           CKA_START_DATE, CKA_EXTRACTABLE, CKA_ALLOWED_MECHANISMS};

static CK_RV key_with(CK_ATTRIBUTE a, struct attrs *ret)
{
    struct template t = needed(ATTR_CREATE, &aes, CK_UNAVAILABLE_INFORMATION);
    add(&t, a);
    *ret = (struct attrs){0};
    return attrs_new(ATTR_CREATE, aes.cls, aes.type, t.v, t.n, false, ret);
}

static CK_RV try_key(const void *array, CK_ULONG n)
{
    struct attrs key;
    CK_RV rv = key_with((CK_ATTRIBUTE){CKA_UNWRAP_TEMPLATE, (void *)(uintptr_t)array, n}, &key);
    attrs_free(&key);
    return rv;
}

static struct bytes packed_of(const struct attrs *key)
{
    assert_non_null(attrs_find(key, CKA_UNWRAP_TEMPLATE));
    return attrs_bytes(key, CKA_UNWRAP_TEMPLATE);
}

static void make(struct attrs *key)
{
    assert_rv(CKR_OK, CKA_UNWRAP_TEMPLATE,
              key_with((CK_ATTRIBUTE){CKA_UNWRAP_TEMPLATE, inner, sizeof(inner)}, key));
}

/* ---- in ------------------------------------------------------------------------------------ */

static void test_which_are_templates(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(specified); i++)
        assert_int_equal(attrs_is_template(specified[i].attribute), specified[i].form == 't');
    assert_false(attrs_is_template(0x7FFFFFFF));
}

/* What is kept is a list of attributes in the portable form, without any pointer. */
static void test_kept_as_values(void **state)
{
    (void)state;
    struct attrs key, list = {0};
    CK_ATTRIBUTE array[COUNT(inner)];
    char changing[] = "inner";
    memcpy(array, inner, sizeof(array));
    array[1].pValue = changing;
    assert_rv(CKR_OK, CKA_UNWRAP_TEMPLATE,
              key_with((CK_ATTRIBUTE){CKA_UNWRAP_TEMPLATE, array, sizeof(array)}, &key));
    memset(changing, 'x', 5);
    memset(array, 0xEE, sizeof(array));
    assert_rv(CKR_OK, CKA_UNWRAP_TEMPLATE, attrs_unpack(packed_of(&key), &list));
    assert_int_equal(list.n, COUNT(inner));
    for (size_t i = 0; i < COUNT(inner); i++)
        assert_true(bytes_equal(attrs_bytes(&list, inner[i].type),
                                BYTES(inner[i].pValue, inner[i].ulValueLen)));
    attrs_free(&list);
    attrs_free(&key);
}

static void test_not_aligned(void **state)
{
    (void)state;
    uint8_t room[sizeof(inner) + 1];
    memcpy(room + 1, inner, sizeof(inner));
    assert_rv(CKR_OK, CKA_UNWRAP_TEMPLATE, try_key(room + 1, sizeof(inner)));
}

static void test_empty(void **state)
{
    (void)state;
    struct attrs key;
    bool match = false;
    assert_rv(CKR_OK, CKA_UNWRAP_TEMPLATE,
              key_with((CK_ATTRIBUTE){CKA_UNWRAP_TEMPLATE, NULL, 0}, &key));
    assert_int_equal(packed_of(&key).n, 0);
    assert_rv(CKR_OK, CKA_UNWRAP_TEMPLATE, attrs_match_template(&key, packed_of(&key), &match));
    assert_true(match);
    CK_ATTRIBUTE out = {CKA_UNWRAP_TEMPLATE, &match, 1};
    assert_rv(CKR_OK, CKA_UNWRAP_TEMPLATE, attrs_tell_template(packed_of(&key), &out));
    assert_int_equal(out.ulValueLen, 0);
    attrs_free(&key);
}

static void test_bad_templates(void **state)
{
    (void)state;
    static CK_ATTRIBUTE deep[] = {{CKA_LABEL, label, 5}};
    static CK_ATTRIBUTE many[257];
    for (size_t i = 0; i < COUNT(many); i++)
        many[i] = (CK_ATTRIBUTE){CKA_LABEL, label, 5};
    const struct {
        CK_ATTRIBUTE a[2];
        CK_RV rv;
    } bad[] = {
        {{{CKA_LABEL, NULL, 5}}, CKR_ATTRIBUTE_VALUE_INVALID},
        {{{CKA_LABEL, label, CK_UNAVAILABLE_INFORMATION}}, CKR_ATTRIBUTE_VALUE_INVALID},
        {{{CKA_SIGN, &yes, 2}}, CKR_ATTRIBUTE_VALUE_INVALID},
        {{{CKA_CLASS, &yes, 1}}, CKR_ATTRIBUTE_VALUE_INVALID},
        {{{CKA_VENDOR_DEFINED | 0xABC, &yes, 1}}, CKR_ATTRIBUTE_TYPE_INVALID},
        {{{CK_UNAVAILABLE_INFORMATION, &yes, 1}}, CKR_ATTRIBUTE_TYPE_INVALID},
        {{{CKA_WRAP_TEMPLATE, deep, sizeof(deep)}}, CKR_TEMPLATE_INCONSISTENT},
        {{{CKA_DECAPSULATE_TEMPLATE, NULL, 0}}, CKR_TEMPLATE_INCONSISTENT},
    };
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_rv(bad[i].rv, bad[i].a[0].type, try_key(bad[i].a, sizeof(bad[i].a[0])));
    CK_ATTRIBUTE twice[] = {{CKA_SIGN, &yes, 1}, {CKA_SIGN, &yes, 1}};
    assert_rv(CKR_OK, CKA_SIGN, try_key(twice, sizeof(twice)));
    twice[1].pValue = &no;
    assert_rv(CKR_TEMPLATE_INCONSISTENT, CKA_SIGN, try_key(twice, sizeof(twice)));
    assert_rv(CKR_OK, CKA_LABEL, try_key(many, 256 * sizeof(*many)));
    assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, CKA_LABEL, try_key(many, sizeof(many)));
    assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, CKA_LABEL, try_key(NULL, sizeof(*many)));
    assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, CKA_LABEL, try_key(many, sizeof(*many) + 1));
}

/* Each is as long as a value may be, all together are not. */
static void test_too_long_together(void **state)
{
    (void)state;
    uint8_t *large = calloc(1, ATTR_VALUE_MAX);
    assert_non_null(large);
    CK_ATTRIBUTE two[] = {{CKA_LABEL, large, ATTR_VALUE_MAX / 2},
                          {CKA_ID, large, ATTR_VALUE_MAX / 2}};
    assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, CKA_UNWRAP_TEMPLATE, try_key(two, sizeof(two)));
    two[1].ulValueLen -= 100;
    assert_rv(CKR_OK, CKA_UNWRAP_TEMPLATE, try_key(two, sizeof(two)));
    free(large);
}

/* ---- stored -------------------------------------------------------------------------------- */

/* store/FORMAT.md: as bytes (0), and these bytes are again such a list. */
static void test_stored_bytes(void **state)
{
    (void)state;
    static const uint8_t expected[] = {
        0, 0, 0, 0, 0x40, 0, 2, 0x12, 0, 0, 0, 0, 0x24, /* UNWRAP_TEMPLATE */
        0, 0, 0, 0, 0,    0, 0, 0,    1, 0, 0, 0, 8,    0,   0,  0, 0, 0, 0, 0, /* CLASS */
        4,                                                                      /* secret key */
        0, 0, 0, 0, 0,    0, 0, 3,    0, 0, 0, 0, 2,    'h', 'i'};              /* LABEL */
    CLEANUP(buf_free) struct buf packed = {0};
    struct attrs key, alone = {0}, again = {0};
    CK_ATTRIBUTE array[] = {{CKA_LABEL, (void *)(uintptr_t) "hi", 2}, {CKA_CLASS, &cls, 8}};
    assert_rv(CKR_OK, 0, key_with((CK_ATTRIBUTE){CKA_UNWRAP_TEMPLATE, array, sizeof(array)}, &key));
    assert_rv(CKR_OK, 0, attrs_set(&alone, CKA_UNWRAP_TEMPLATE, packed_of(&key)));
    assert_rv(CKR_OK, 0, attrs_pack(&alone, &packed));
    assert_int_equal(packed.n, sizeof(expected));
    assert_memory_equal(packed.p, expected, sizeof(expected));
    assert_rv(CKR_OK, 0, attrs_unpack(buf_bytes(&packed), &again));
    assert_true(bytes_equal(packed_of(&again), packed_of(&key)));
    attrs_free(&again);
    attrs_free(&alone);
    attrs_free(&key);
}

/* ---- out ----------------------------------------------------------------------------------- */

/* The three calls of an application that knows nothing of it beforehand. */
static void test_told(void **state)
{
    (void)state;
    struct attrs key;
    CK_ATTRIBUTE array[COUNT(inner)], out = {CKA_UNWRAP_TEMPLATE, NULL, 0};
    uint8_t room[COUNT(inner)][32];
    make(&key);
    assert_rv(CKR_OK, 0, attrs_tell_template(packed_of(&key), &out));
    assert_int_equal(out.ulValueLen, sizeof(array));
    for (size_t i = 0; i < COUNT(array); i++) /* types are ignored on input */
        array[i] = (CK_ATTRIBUTE){CK_UNAVAILABLE_INFORMATION, NULL, 77};
    out.pValue = array;
    assert_rv(CKR_OK, 0, attrs_tell_template(packed_of(&key), &out));
    for (size_t i = 0; i < COUNT(array); i++) {
        assert_int_equal(array[i].type, sorted[i]);
        assert_null(array[i].pValue);
        array[i].pValue = room[i];
    }
    assert_rv(CKR_OK, 0, attrs_tell_template(packed_of(&key), &out));
    assert_int_equal(out.ulValueLen, sizeof(array));
    for (size_t i = 0; i < COUNT(array); i++)
        for (size_t k = 0; k < COUNT(inner); k++)
            if (inner[k].type == array[i].type)
                assert_true(bytes_equal(BYTES(array[i].pValue, array[i].ulValueLen),
                                        BYTES(inner[k].pValue, inner[k].ulValueLen)));
    attrs_free(&key);
}

static void test_array_too_small(void **state)
{
    (void)state;
    struct attrs key;
    CK_ATTRIBUTE array[COUNT(inner)], untouched[COUNT(inner)];
    memset(array, 0xEE, sizeof(array));
    memcpy(untouched, array, sizeof(array));
    make(&key);
    CK_ATTRIBUTE out = {CKA_UNWRAP_TEMPLATE, array, sizeof(array) - 1};
    assert_rv(CKR_BUFFER_TOO_SMALL, 0, attrs_tell_template(packed_of(&key), &out));
    assert_int_equal(out.ulValueLen, CK_UNAVAILABLE_INFORMATION);
    assert_memory_equal(array, untouched, sizeof(array));
    attrs_free(&key);
}

/* One inside too small: CKR_BUFFER_TOO_SMALL, and the others are filled. */
static void test_value_inside_too_small(void **state)
{
    (void)state;
    struct attrs key;
    CK_ATTRIBUTE array[COUNT(inner)];
    uint8_t room[COUNT(inner)][32];
    make(&key);
    for (size_t i = 0; i < COUNT(array); i++)
        array[i] = (CK_ATTRIBUTE){0, room[i], sizeof(room[i])};
    array[1].ulValueLen = 4;
    CK_ATTRIBUTE out = {CKA_UNWRAP_TEMPLATE, array, sizeof(array)};
    assert_rv(CKR_BUFFER_TOO_SMALL, 0, attrs_tell_template(packed_of(&key), &out));
    assert_int_equal(out.ulValueLen, sizeof(array));
    for (size_t i = 0; i < COUNT(array); i++) {
        assert_int_equal(array[i].type, sorted[i]);
        assert_true((array[i].ulValueLen == CK_UNAVAILABLE_INFORMATION) == (i == 1));
    }
    assert_memory_equal(array[3].pValue, date, 8);
    attrs_free(&key);
}

static void test_damaged(void **state)
{
    (void)state;
    struct attrs key;
    struct attrs_joined j = {0};
    bool match = true;
    CK_ATTRIBUTE out = {CKA_UNWRAP_TEMPLATE, NULL, 0};
    make(&key);
    struct bytes cut = packed_of(&key);
    cut.n--;
    assert_rv(CKR_DEVICE_ERROR, 0, attrs_tell_template(cut, &out));
    assert_int_equal(out.ulValueLen, CK_UNAVAILABLE_INFORMATION);
    assert_rv(CKR_DEVICE_ERROR, 0, attrs_match_template(&key, cut, &match));
    assert_rv(CKR_DEVICE_ERROR, 0, attrs_with_template(cut, NULL, 0, &j));
    assert_null(j.v);
    attrs_free(&key);
}

/* C_GetAttributeValue's cases 3 to 5. */
static void test_tell(void **state)
{
    (void)state;
    uint8_t room[4] = {9, 9, 9, 9};
    CK_ATTRIBUTE out = {CKA_LABEL, NULL, 99};
    assert_rv(CKR_OK, 0, attrs_tell(BYTES_STR("abc"), &out));
    assert_int_equal(out.ulValueLen, 3);
    out = (CK_ATTRIBUTE){CKA_LABEL, room, 2};
    assert_rv(CKR_BUFFER_TOO_SMALL, 0, attrs_tell(BYTES_STR("abc"), &out));
    assert_int_equal(out.ulValueLen, CK_UNAVAILABLE_INFORMATION);
    assert_int_equal(room[0], 9);
    out = (CK_ATTRIBUTE){CKA_LABEL, room, 4};
    assert_rv(CKR_OK, 0, attrs_tell(BYTES_STR("abc"), &out));
    assert_int_equal(out.ulValueLen, 3);
    assert_memory_equal(room, "abc\11", 4);
    out = (CK_ATTRIBUTE){CKA_LABEL, room, 0};
    assert_rv(CKR_OK, 0, attrs_tell(NO_BYTES, &out));
    assert_int_equal(out.ulValueLen, 0);
}

/* ---- use ----------------------------------------------------------------------------------- */

static bool matches(const struct object_kind *k, CK_ATTRIBUTE *array, CK_ULONG n)
{
    struct attrs key, object;
    bool match = false;
    object_of(k, &object);
    assert_rv(CKR_OK, 0,
              key_with((CK_ATTRIBUTE){CKA_WRAP_TEMPLATE, array, n * sizeof(*array)}, &key));
    assert_rv(CKR_OK, 0,
              attrs_match_template(&object, attrs_bytes(&key, CKA_WRAP_TEMPLATE), &match));
    attrs_free(&object);
    attrs_free(&key);
    return match;
}

static void test_match(void **state)
{
    (void)state;
    CK_ULONG type = CKK_RSA;
    CK_ATTRIBUTE good[] = {
        {CKA_KEY_TYPE, &type, sizeof(type)}, {CKA_LABEL, NULL, 0}, {CKA_SENSITIVE, &yes, 1}};
    assert_true(matches(&rsa, good, 3));
    assert_false(matches(&aes, good, 3));
    assert_true(matches(&aes, good + 1, 2));
    CK_ATTRIBUTE other_value = {CKA_SENSITIVE, &no, 1}, longer = {CKA_LABEL, label, 5};
    assert_false(matches(&rsa, &other_value, 1));
    assert_false(matches(&rsa, &longer, 1));
    CK_ATTRIBUTE not_there = {CKA_SIGN_RECOVER, &no, 1};
    assert_true(matches(&aes, &not_there, 0));
    assert_false(matches(&aes, &not_there, 1)); /* also when it would be false */
}

/* A template is no way to find out what a sensitive key's value is. */
static void test_secrets_do_not_match(void **state)
{
    (void)state;
    struct attrs object;
    object_of(&aes, &object);
    struct bytes value = attrs_bytes(&object, CKA_VALUE);
    CK_ATTRIBUTE guess = {CKA_VALUE, (void *)(uintptr_t)value.p, value.n};
    assert_false(matches(&aes, &guess, 1));
    attrs_free(&object);
}

static void test_joined(void **state)
{
    (void)state;
    struct attrs key;
    struct attrs_joined j = {0};
    CK_ATTRIBUTE given[] = {{CKA_TOKEN, &no, 1}, {CKA_LABEL, label, 5}, {CKA_SIGN, &yes, 1}};
    make(&key);
    assert_rv(CKR_OK, 0, attrs_with_template(packed_of(&key), given, 3, &j));
    assert_int_equal(j.n, 3 + COUNT(inner) - 1); /* the label once */
    for (size_t i = 0; i < 3; i++)
        assert_memory_equal(&j.v[i], &given[i], sizeof(given[i]));
    for (size_t k = 0; k < COUNT(inner); k++) {
        size_t seen = 0;
        for (CK_ULONG i = 0; i < j.n; i++)
            if (j.v[i].type == inner[k].type) {
                seen++;
                assert_true(bytes_equal(BYTES(j.v[i].pValue, j.v[i].ulValueLen),
                                        BYTES(inner[k].pValue, inner[k].ulValueLen)));
            }
        assert_int_equal(seen, 1);
    }
    attrs_free(&key); /* it stands by itself */
    CK_ULONG said = 0;
    assert_rv(CKR_OK, 0, attrs_template_ulong(j.v, j.n, CKA_CLASS, &said));
    assert_int_equal(said, CKO_SECRET_KEY);
    attrs_joined_free(&j);
    assert_null(j.v);
    attrs_joined_free(&j);
}

static void test_joined_with_nothing(void **state)
{
    (void)state;
    struct attrs key;
    struct attrs_joined j = {0};
    CK_ATTRIBUTE given[] = {{CKA_TOKEN, &no, 1}};
    make(&key);
    assert_rv(CKR_OK, 0, attrs_with_template(packed_of(&key), NULL, 0, &j));
    assert_int_equal(j.n, COUNT(inner));
    attrs_joined_free(&j);
    assert_rv(CKR_OK, 0, attrs_with_template(NO_BYTES, given, 1, &j));
    assert_int_equal(j.n, 1);
    attrs_joined_free(&j);
    assert_rv(CKR_OK, 0, attrs_with_template(NO_BYTES, NULL, 0, &j));
    assert_int_equal(j.n, 0);
    attrs_joined_free(&j);
    attrs_free(&key);
}

static void test_joined_with_another_value(void **state)
{
    (void)state;
    struct attrs key;
    struct attrs_joined j = {0};
    CK_ATTRIBUTE bad[] = {{CKA_EXTRACTABLE, &yes, 1},
                          {CKA_LABEL, label, 4},
                          {CKA_ID, &yes, 1},
                          {CKA_CLASS, &yes, 1},
                          {CKA_LABEL, NULL, 0}};
    make(&key);
    for (size_t i = 0; i < COUNT(bad); i++) {
        CK_ATTRIBUTE given[] = {{CKA_TOKEN, &no, 1}, bad[i]};
        assert_rv(CKR_TEMPLATE_INCONSISTENT, bad[i].type,
                  attrs_with_template(packed_of(&key), given, 2, &j));
        assert_null(j.v);
    }
    CK_ATTRIBUTE null = {CKA_LABEL, NULL, 5};
    assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, CKA_LABEL,
              attrs_with_template(packed_of(&key), &null, 1, &j));
    attrs_free(&key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_which_are_templates),
        cmocka_unit_test(test_kept_as_values),
        cmocka_unit_test(test_not_aligned),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_bad_templates),
        cmocka_unit_test(test_too_long_together),
        cmocka_unit_test(test_stored_bytes),
        cmocka_unit_test(test_told),
        cmocka_unit_test(test_array_too_small),
        cmocka_unit_test(test_value_inside_too_small),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_tell),
        cmocka_unit_test(test_match),
        cmocka_unit_test(test_secrets_do_not_match),
        cmocka_unit_test(test_joined),
        cmocka_unit_test(test_joined_with_nothing),
        cmocka_unit_test(test_joined_with_another_value),
    };
    return cmocka_run_group_tests_name("token/attr_template", tests, NULL, NULL);
}
