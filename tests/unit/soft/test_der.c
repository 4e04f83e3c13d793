/* OCTET STRING, and the DER reader beneath it. */
#include "soft_test.h"

static void octet_strings_round_trip(void **state)
{
    (void)state;
    static uint8_t content[70000];
    static const struct {
        size_t n;
        const char *header;
    } cases[] = {{0, "0400"},           {1, "0401"},          {65, "0441"},
                 {127, "047f"},         {128, "048180"},      {133, "048185"},
                 {255, "0481ff"},       {256, "04820100"},    {65535, "0482ffff"},
                 {65536, "0483010000"}, {70000, "0483011170"}};
    fill(content, sizeof(content), 1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        CLEANUP(buf_free) struct buf der = {0};
        struct bytes found = NO_BYTES;
        struct hex header = unhex(cases[i].header);
        assert_ok(soft_octet_string(BYTES(content, cases[i].n), &der));
        assert_int_equal(der.n, header.n + cases[i].n);
        assert_memory_equal(der.p, header.p, header.n);
        assert_true(soft_octet_string_parse(buf_bytes(&der), &found));
        assert_true(bytes_equal(found, BYTES(content, cases[i].n)));
        assert_false(soft_octet_string_parse(BYTES(der.p, der.n - 1), &found));
        assert_ok(buf_u8(&der, 0));
        assert_false(soft_octet_string_parse(buf_bytes(&der), &found));
    }
}

static void malformed(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "04",
        "0401",
        "0301aa",        /* another tag */
        "2404 0402aabb", /* constructed */
        "048101aa",      /* X.690 10.1: not the fewest octets */
        "04820001aa",
        "0480aa0000", /* indefinite */
        "0484ffffffffaa",
        "0485 0000000001 aa",
        "04ff",
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct hex der = unhex(cases[i]);
        struct bytes found = BYTES("untouched", 9);
        assert_false(soft_octet_string_parse(HEX_BYTES(der), &found));
        assert_int_equal(found.n, 9);
    }
}

/* X.690 10.1: 128 octets fit the header 04 81 80. */
static void length_with_leading_zero(void **state)
{
    (void)state;
    uint8_t der[132] = {0x04, 0x82, 0x00, 0x80};
    struct bytes found;
    assert_false(soft_octet_string_parse(BYTES_OF(der), &found));
    memcpy(der + 1, "\x04\x81\x80", 3);
    assert_true(soft_octet_string_parse(BYTES(der + 1, 131), &found));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(octet_strings_round_trip),
        cmocka_unit_test(malformed),
        cmocka_unit_test(length_with_leading_zero),
    };
    return run_soft_tests(tests);
}
