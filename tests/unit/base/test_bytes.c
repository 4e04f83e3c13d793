/* base/bytes.h: borrowed bytes and the owned buffer. */
#include "base_test.h"

#include "base/bytes.h"

static void compares(void **state)
{
    (void)state;
    assert_true(bytes_equal(NO_BYTES, BYTES("x", 0)));
    assert_true(bytes_equal(BYTES_STR("abc"), BYTES("abcd", 3)));
    assert_false(bytes_equal(BYTES_STR("abc"), BYTES_STR("abd")));
    assert_false(bytes_equal(BYTES_STR("abc"), BYTES_STR("abcd")));
    assert_true(bytes_compare(BYTES_STR("abc"), BYTES_STR("abd")) < 0);
    assert_true(bytes_compare(BYTES_STR("abd"), BYTES_STR("abc")) > 0);
    assert_int_equal(bytes_compare(BYTES_STR("abc"), BYTES_STR("abc")), 0);
    assert_true(bytes_compare(BYTES_STR("ab"), BYTES_STR("abc")) < 0);
}

static void numbers_go_round(void **state)
{
    (void)state;
    CLEANUP(buf_free) struct buf b = {0};
    uint8_t u8;
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;
    assert_int_equal(buf_u8(&b, 0x12), CKR_OK);
    assert_int_equal(buf_u16(&b, 0x1234), CKR_OK);
    assert_int_equal(buf_u32(&b, 0x12345678), CKR_OK);
    assert_int_equal(buf_u64(&b, 0x123456789ABCDEF0), CKR_OK);
    static const uint8_t wire[] = {0x12, 0x12, 0x34, 0x12, 0x34, 0x56, 0x78, 0x12,
                                   0x34, 0x56, 0x78, 0x9A, 0xBC, 0xDE, 0xF0};
    assert_int_equal(b.n, sizeof wire);
    assert_memory_equal(b.p, wire, sizeof wire); /* big-endian, as the TPM's wire */
    struct bytes in = buf_bytes(&b);
    assert_true(bytes_take_u8(&in, &u8) && u8 == 0x12);
    assert_true(bytes_take_u16(&in, &u16) && u16 == 0x1234);
    assert_true(bytes_take_u32(&in, &u32) && u32 == 0x12345678);
    assert_true(bytes_take_u64(&in, &u64) && u64 == 0x123456789ABCDEF0);
    assert_int_equal(in.n, 0);
}

/* Taking more than there is changes nothing. */
static void takes_no_more_than_there_is(void **state)
{
    (void)state;
    static const uint8_t raw[] = {1, 2, 3};
    struct bytes in = BYTES_OF(raw), run;
    uint32_t u32 = 7;
    assert_false(bytes_take_u32(&in, &u32));
    assert_false(bytes_take(&in, 4, &run));
    assert_false(bytes_take(&in, SIZE_MAX, &run));
    assert_int_equal(u32, 7);
    assert_ptr_equal(in.p, raw);
    assert_int_equal(in.n, 3);
    assert_true(bytes_take(&in, 3, &run));
    assert_ptr_equal(run.p, raw);
    assert_true(bytes_take(&in, 0, &run));
}

static void buffer_grows(void **state)
{
    (void)state;
    CLEANUP(buf_free) struct buf b = {0};
    for (unsigned i = 0; i < 10000; i++)
        assert_int_equal(buf_u8(&b, (uint8_t)(i * 7)), CKR_OK);
    assert_int_equal(b.n, 10000);
    for (unsigned i = 0; i < 10000; i++)
        assert_int_equal(b.p[i], (uint8_t)(i * 7));
    uint8_t *room = NULL;
    assert_int_equal(buf_extend(&b, 5, &room), CKR_OK);
    assert_memory_equal(room, "\0\0\0\0\0", 5);
    assert_int_equal(buf_set(&b, BYTES_STR("new")), CKR_OK);
    assert_true(bytes_equal(buf_bytes(&b), BYTES_STR("new")));
    buf_free(&b);
    assert_null(b.p);
    buf_free(&b); /* twice is once */
}

/* A size that overflows is out of memory, and leaves the buffer as it was. */
static void refuses_absurd_sizes(void **state)
{
    (void)state;
    CLEANUP(buf_free) struct buf b = {0};
    assert_int_equal(buf_set(&b, BYTES_STR("kept")), CKR_OK);
    assert_int_equal(buf_reserve(&b, SIZE_MAX), CKR_HOST_MEMORY);
    assert_int_equal(buf_reserve(&b, SIZE_MAX - 3), CKR_HOST_MEMORY);
    assert_true(bytes_equal(buf_bytes(&b), BYTES_STR("kept")));
}

static void hexadecimal(void **state)
{
    (void)state;
    char text[9];
    bytes_hex(BYTES("\x00\x9F\xAB\xFF", 4), text);
    assert_string_equal(text, "009fabff");
    bytes_hex(NO_BYTES, text);
    assert_string_equal(text, "");
}

static void a_number_has_no_leading_zeros(void **state)
{
    (void)state;
    assert_true(bytes_equal(bytes_number(BYTES("\0\0\1\0", 4)), BYTES("\1\0", 2)));
    assert_true(bytes_equal(bytes_number(BYTES("\1\0", 2)), BYTES("\1\0", 2)));
    assert_int_equal(bytes_number(BYTES("\0\0", 2)).n, 0);
    assert_int_equal(bytes_number(NO_BYTES).n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compares),         cmocka_unit_test(a_number_has_no_leading_zeros),
        cmocka_unit_test(numbers_go_round), cmocka_unit_test(takes_no_more_than_there_is),
        cmocka_unit_test(buffer_grows),     cmocka_unit_test(refuses_absurd_sizes),
        cmocka_unit_test(hexadecimal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
