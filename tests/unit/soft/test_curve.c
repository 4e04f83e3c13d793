/* The curve table and CKA_EC_PARAMS. */
#include "soft_test.h"

#include <openssl/ec.h>
#include <openssl/objects.h>

static void table_agrees_with_openssl(void **state)
{
    (void)state;
    for (enum curve c = CURVE_P224; c < CURVE_COUNT; c++) {
        int nid = curve_nid(c);
        assert_int_not_equal(nid, NID_undef);
        EC_GROUP *group = EC_GROUP_new_by_curve_name(nid);
        assert_int_equal(curve_bits(c), EC_GROUP_get_degree(group));
        assert_int_equal(curve_bits(c), EC_GROUP_order_bits(group));
        assert_int_equal(curve_field_size(c), (curve_bits(c) + 7) / 8);
        EC_GROUP_free(group);
        uint8_t *der = NULL;
        int n = i2d_ASN1_OBJECT(OBJ_nid2obj(nid), &der);
        assert_true(n > 0);
        assert_true(bytes_equal(curve_oid(c), BYTES(der, n)));
        assert_int_equal(curve_from_params(BYTES(der, n)), c);
        OPENSSL_free(der);
    }
}

static void printable_string(const char *name, enum curve expected)
{
    uint8_t der[32] = {0x13, (uint8_t)strlen(name)};
    memcpy(der + 2, name, strlen(name));
    assert_int_equal(curve_from_params(BYTES(der, 2 + strlen(name))), expected);
    assert_int_equal(curve_from_params(BYTES(der, 3 + strlen(name))), CURVE_NONE);
    assert_int_equal(curve_from_params(BYTES(der, 1 + strlen(name))), CURVE_NONE);
}

static void names(void **state)
{
    (void)state;
    printable_string("secp224r1", CURVE_P224);
    printable_string("P-224", CURVE_P224);
    printable_string("secp256r1", CURVE_P256);
    printable_string("prime256v1", CURVE_P256);
    printable_string("P-256", CURVE_P256);
    printable_string("secp384r1", CURVE_P384);
    printable_string("P-384", CURVE_P384);
    printable_string("secp521r1", CURVE_P521);
    printable_string("P-521", CURVE_P521);
    printable_string("secp256k1", CURVE_SECP256K1);
    printable_string("brainpoolP512r1", CURVE_BRAINPOOL512);
    printable_string("secp160r1", CURVE_NONE);
    printable_string("P-25", CURVE_NONE);
    printable_string("", CURVE_NONE);
}

static void malformed_parameters(void **state)
{
    (void)state;
    struct hex k1 = unhex("06052b81040008"); /* secp160r1 */
    struct hex trailing = unhex("06052b8104002200"), long_form = unhex("0681052b81040022");
    struct hex implicit = unhex("0500"), explicit_parameters = unhex("3003020101");
    assert_int_equal(curve_from_params(NO_BYTES), CURVE_NONE);
    assert_int_equal(curve_from_params(HEX_BYTES(k1)), CURVE_NONE);
    assert_int_equal(curve_from_params(HEX_BYTES(trailing)), CURVE_NONE);
    assert_int_equal(curve_from_params(HEX_BYTES(long_form)), CURVE_NONE);
    assert_int_equal(curve_from_params(HEX_BYTES(implicit)), CURVE_NONE);
    assert_int_equal(curve_from_params(HEX_BYTES(explicit_parameters)), CURVE_NONE);
    assert_int_equal(curve_from_params(BYTES(trailing.p, 6)), CURVE_NONE);
    assert_int_equal(curve_from_params(BYTES(trailing.p, 7)), CURVE_P384);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_agrees_with_openssl),
        cmocka_unit_test(names),
        cmocka_unit_test(malformed_parameters),
    };
    return run_soft_tests(tests);
}
