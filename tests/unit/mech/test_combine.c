/* Keys made of another key's bytes: the specification's examples, its length rules. */
#include "derive_test.h"

static const uint8_t base[] = {0x01, 0x23, 0x45, 0x67}, added[] = {0x89, 0xAB, 0xCD, 0xEF};

static CK_KEY_DERIVATION_STRING_DATA string(struct bytes data)
{
    return (CK_KEY_DERIVATION_STRING_DATA){(void *)(uintptr_t)data.p, data.n};
}

static const CK_OBJECT_HANDLE other_handle = 77;

/* 3.1, 6.43.3 to 6.43.6: base 01234567, data or other key 89ABCDEF. */
static const struct {
    CK_MECHANISM_TYPE type;
    uint8_t result[8];
    size_t n;
} examples[] = {
    {CKM_CONCATENATE_BASE_AND_KEY, {0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF}, 8},
    {CKM_CONCATENATE_BASE_AND_DATA, {0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF}, 8},
    {CKM_CONCATENATE_DATA_AND_BASE, {0x89, 0xAB, 0xCD, 0xEF, 0x01, 0x23, 0x45, 0x67}, 8},
    {CKM_XOR_BASE_AND_DATA, {0x88, 0x88, 0x88, 0x88}, 4},
};

/* The natural length, every shorter one from the front, none that is longer. */
static void test_examples(void **state)
{
    (void)state;
    const CK_KEY_DERIVATION_STRING_DATA data = string(BYTES_OF(added));
    for (size_t i = 0; i < COUNT(examples); i++) {
        struct derivation d = {.type = examples[i].type,
                               .key = soft_key(CKK_GENERIC_SECRET, BYTES_OF(base)),
                               PARAMETER(data)};
        if (d.type == CKM_CONCATENATE_BASE_AND_KEY) {
            d.parameter = &other_handle;
            d.parameter_n = sizeof(other_handle);
            d.other = BYTES_OF(added);
        }
        assert_derives(&d, BYTES(examples[i].result, examples[i].n));
        for (d.want = 1; d.want <= examples[i].n; d.want++)
            assert_derives(&d, BYTES(examples[i].result, d.want));
        assert_derives_not(CKR_KEY_SIZE_RANGE, &d);
        assert_derives_not_with(SIZE_MAX, CKR_KEY_SIZE_RANGE, &d);
    }
}

static void test_every_secret_key_is_a_base_key(void **state)
{
    (void)state;
    static const CK_KEY_TYPE types[] = {CKK_AES, CKK_GENERIC_SECRET, CKK_HKDF, CKK_SHA256_HMAC};
    const CK_KEY_DERIVATION_STRING_DATA data = string(BYTES_OF(added));
    for (size_t i = 0; i < COUNT(types); i++) {
        struct derivation d = {.type = CKM_XOR_BASE_AND_DATA,
                               .key = soft_key(types[i], BYTES_OF(base)),
                               PARAMETER(data)};
        assert_derives(&d, BYTES("\x88\x88\x88\x88", 4));
        assert_true(mech_takes_key(row(CKM_EXTRACT_KEY_FROM_KEY), types[i]));
    }
    assert_false(mech_takes_key(row(CKM_XOR_BASE_AND_DATA), CKK_RSA));
    assert_false(mech_takes_key(row(CKM_CONCATENATE_BASE_AND_KEY), CKK_EC));
}

/* 6.43.6: the shorter of key and data gives the length. */
static void test_xor_of_unequal_lengths(void **state)
{
    (void)state;
    for (size_t key_n = 1; key_n <= 4; key_n++)
        for (size_t data_n = 1; data_n <= 4; data_n++) {
            const CK_KEY_DERIVATION_STRING_DATA data = string(BYTES(added, data_n));
            struct derivation d = {.type = CKM_XOR_BASE_AND_DATA,
                                   .key = soft_key(CKK_AES, BYTES(base, key_n)),
                                   PARAMETER(data)};
            size_t n = key_n < data_n ? key_n : data_n;
            assert_derives(&d, BYTES("\x88\x88\x88\x88", n));
            assert_derives_not_with(n + 1, CKR_KEY_SIZE_RANGE, &d);
        }
}

static void test_nothing_to_combine(void **state)
{
    (void)state;
    const CK_KEY_DERIVATION_STRING_DATA nothing = string(NO_BYTES);
    struct derivation d = {.type = CKM_CONCATENATE_BASE_AND_DATA,
                           .key = soft_key(CKK_GENERIC_SECRET, BYTES_OF(base)),
                           PARAMETER(nothing)};
    assert_derives(&d, BYTES_OF(base));
    d.type = CKM_CONCATENATE_DATA_AND_BASE;
    assert_derives(&d, BYTES_OF(base));
    d.type = CKM_XOR_BASE_AND_DATA; /* would be a key of no bytes */
    assert_derives_not(CKR_KEY_SIZE_RANGE, &d);
    d.key.value = NO_BYTES;
    d.type = CKM_CONCATENATE_BASE_AND_DATA;
    assert_derives_not(CKR_KEY_SIZE_RANGE, &d);
}

/* ---- extraction ---------------------------------------------------------------------------- */

/* 6.43.7: 329F84A9 from bit 21 on gives 9526, which wraps around the end. */
static void test_extraction_example(void **state)
{
    (void)state;
    static const uint8_t value[] = {0x32, 0x9F, 0x84, 0xA9};
    CK_EXTRACT_PARAMS bit = 21;
    struct derivation d = {.type = CKM_EXTRACT_KEY_FROM_KEY,
                           .key = soft_key(CKK_GENERIC_SECRET, BYTES_OF(value)),
                           PARAMETER(bit),
                           .want = 2};
    assert_derives(&d, BYTES("\x95\x26", 2));
    assert_derives_not_with(0, CKR_TEMPLATE_INCOMPLETE, &d);
    assert_derives_not_with(5, CKR_KEY_SIZE_RANGE, &d);
    bit = 31; /* 1, then 0011 0010 1001 100 */
    assert_derives(&d, BYTES("\x99\x4F", 2));
    bit = 32;
    assert_derives_not(CKR_MECHANISM_PARAM_INVALID, &d);
}

/* Bit by bit. */
static void test_extraction_of_every_bit(void **state)
{
    (void)state;
    uint8_t value[7], expected[7];
    fill(value, sizeof(value), 5);
    for (CK_EXTRACT_PARAMS bit = 0; bit < 56; bit++)
        for (size_t n = 1; n <= sizeof(value); n++) {
            memset(expected, 0, sizeof(expected));
            for (size_t i = 0; i < 8 * n; i++) {
                size_t from = (bit + i) % 56;
                unsigned set = (unsigned)value[from / 8] >> (7 - from % 8) & 1u;
                expected[i / 8] |= (uint8_t)(set << (7 - i % 8));
            }
            struct derivation d = {.type = CKM_EXTRACT_KEY_FROM_KEY,
                                   .key = soft_key(CKK_GENERIC_SECRET, BYTES_OF(value)),
                                   PARAMETER(bit),
                                   .want = n};
            assert_derives(&d, BYTES(expected, n));
        }
}

/* ---- what is refused ----------------------------------------------------------------------- */

static void test_parameters(void **state)
{
    (void)state;
    static const CK_MECHANISM_TYPE of_data[] = {
        CKM_CONCATENATE_BASE_AND_DATA, CKM_CONCATENATE_DATA_AND_BASE, CKM_XOR_BASE_AND_DATA};
    const CK_KEY_DERIVATION_STRING_DATA good = string(BYTES_OF(added));
    const CK_KEY_DERIVATION_STRING_DATA bad[] = {{NULL, 4}, {NULL, SIZE_MAX}, {good.pData, 65537}};
    for (size_t i = 0; i < COUNT(of_data); i++) {
        assert_length_matters(of_data[i], &good, sizeof(good));
        for (size_t k = 0; k < COUNT(bad); k++)
            assert_refused(row(of_data[i]), NULL, &bad[k], sizeof(bad[k]));
    }
    const CK_OBJECT_HANDLE none = CK_INVALID_HANDLE;
    assert_length_matters(CKM_CONCATENATE_BASE_AND_KEY, &other_handle, sizeof(other_handle));
    assert_refused(row(CKM_CONCATENATE_BASE_AND_KEY), NULL, &none, sizeof(none));
    const CK_EXTRACT_PARAMS bit = 3, far = 8 * 65536, farthest = SIZE_MAX;
    assert_length_matters(CKM_EXTRACT_KEY_FROM_KEY, &bit, sizeof(bit));
    assert_refused(row(CKM_EXTRACT_KEY_FROM_KEY), NULL, &far, sizeof(far));
    assert_refused(row(CKM_EXTRACT_KEY_FROM_KEY), NULL, &farthest, sizeof(farthest));
}

/* The handle is what the token layer resolves. */
static void test_other_key(void **state)
{
    (void)state;
    struct mech_params params;
    assert_taken(row(CKM_CONCATENATE_BASE_AND_KEY), NULL, &other_handle, sizeof(other_handle),
                 &params);
    assert_int_equal(params.derivation.other, other_handle);
    mech_params_free(&params);
}

/* A parameter may lie anywhere. */
static void test_unaligned_parameters(void **state)
{
    (void)state;
    char place[sizeof(CK_KEY_DERIVATION_STRING_DATA) + 1];
    const CK_KEY_DERIVATION_STRING_DATA data = string(BYTES_OF(added));
    memcpy(place + 1, &data, sizeof(data));
    const struct derivation d = {.type = CKM_XOR_BASE_AND_DATA,
                                 .key = soft_key(CKK_AES, BYTES_OF(base)),
                                 .parameter = place + 1,
                                 .parameter_n = sizeof(data)};
    assert_derives(&d, BYTES("\x88\x88\x88\x88", 4));
}

/* Nothing here is possible without the bytes. */
static void test_keys_in_the_tpm(void **state)
{
    (void)state;
    static const CK_MECHANISM_TYPE types[] = {
        CKM_CONCATENATE_BASE_AND_KEY, CKM_CONCATENATE_BASE_AND_DATA, CKM_CONCATENATE_DATA_AND_BASE,
        CKM_XOR_BASE_AND_DATA, CKM_EXTRACT_KEY_FROM_KEY};
    const CK_KEY_DERIVATION_STRING_DATA data = string(BYTES_OF(added));
    const CK_EXTRACT_PARAMS bit = 0;
    struct pair pair;
    struct mech_key key = in_tpm(CKK_GENERIC_SECRET, BYTES_OF(base), &pair);
    for (size_t i = 0; i < COUNT(types); i++) {
        struct derivation d = {
            .type = types[i], .key = key, PARAMETER(data), .other = BYTES_OF(added), .want = 1};
        if (types[i] == CKM_CONCATENATE_BASE_AND_KEY || types[i] == CKM_EXTRACT_KEY_FROM_KEY) {
            d.parameter = types[i] == CKM_EXTRACT_KEY_FROM_KEY ? &bit : &other_handle;
            d.parameter_n = sizeof(CK_ULONG);
        }
        assert_derives_not(CKR_KEY_FUNCTION_NOT_PERMITTED, &d);
    }
    pair_free(&pair);
}

static void test_every_mechanism_was_checked(void **state)
{
    (void)state;
    assert_all_checked(combine_covered, COUNT(combine_covered));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TPM_TEST(test_examples),
        TPM_TEST(test_every_secret_key_is_a_base_key),
        TPM_TEST(test_xor_of_unequal_lengths),
        TPM_TEST(test_nothing_to_combine),
        TPM_TEST(test_extraction_example),
        TPM_TEST(test_extraction_of_every_bit),
        TPM_TEST(test_parameters),
        TPM_TEST(test_other_key),
        TPM_TEST(test_unaligned_parameters),
        TPM_TEST(test_keys_in_the_tpm),
        cmocka_unit_test(test_every_mechanism_was_checked),
    };
    return cmocka_run_group_tests_name("mech/combine", tests, group_start, group_stop);
}
