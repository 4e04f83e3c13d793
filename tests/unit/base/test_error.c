/* base/error.h: one table says what a foreign code means. */
#include "base_test.h"

#include <errno.h>
#include <sqlite3.h>

#include "base/error.h"
#include "base/names.h"
#include <latchkey/vendor.h>

/* The same TPM code in different places; the layer and the parameter number do not matter. */
static void tpm_codes(void **state)
{
    (void)state;
    static const struct {
        enum error_context context;
        uint32_t rc;
        CK_RV rv;
    } rows[] = {
        {ERROR_TPM_ANY, 0, CKR_OK},
        {ERROR_TPM_LOGIN, 0x98E, CKR_PIN_INCORRECT},
        {ERROR_TPM_LOGIN, 0xB098E, CKR_PIN_INCORRECT}, /* through a resource manager */
        {ERROR_TPM_LOGIN, 0x921, CKR_PIN_LOCKED},
        {ERROR_TPM_LOGIN, 0x12F, CKR_DEVICE_ERROR},
        {ERROR_TPM_GATE, 0x98E, CKR_PIN_INCORRECT},
        {ERROR_TPM_GATE, 0x12F, CKR_PIN_LOCKED},
        {ERROR_TPM_LOCKOUT, 0x98E, CKR_PIN_INCORRECT},
        {ERROR_TPM_LOCKOUT, 0x921, CKR_PIN_LOCKED},
        {ERROR_TPM_ANY, 0x98E, CKR_DEVICE_ERROR},
        {ERROR_TPM_ECDH, 0x98E, CKR_DEVICE_ERROR},
        {ERROR_TPM_ECDH, 0x9A2, CKR_DEVICE_ERROR},
        {ERROR_TPM_ECDH, 0x1E7, CKR_MECHANISM_PARAM_INVALID},
        {ERROR_TPM_CREATE, 0x2C4, CKR_KEY_SIZE_RANGE},
        {ERROR_TPM_CREATE, 0x2E6, CKR_CURVE_NOT_SUPPORTED},
        {ERROR_TPM_IMPORT, 0x2E5, CKR_ATTRIBUTE_VALUE_INVALID},
        {ERROR_TPM_ANY, 0x1C4, CKR_DEVICE_ERROR}, /* of what nobody outside has given */
        {ERROR_TPM_ANY, 0x1C7, CKR_DEVICE_ERROR},
        {ERROR_TPM_ANY, 0x2E6, CKR_DEVICE_ERROR},
        {ERROR_TPM_OWNER, 0x9A2, CKR_DEVICE_ERROR},
        {ERROR_TPM_ANY, 0x921, CKR_DEVICE_ERROR},
        {ERROR_TPM_ANY, 0x902, CKR_DEVICE_MEMORY},
        {ERROR_TPM_ANY, 0x14B, CKR_DEVICE_MEMORY},
        {ERROR_TPM_ANY, 0x101, CKR_DEVICE_ERROR},
        {ERROR_TPM_ANY, 0xA000A, CKR_DEVICE_ERROR}, /* the TCTI's I/O error, not a TPM code */
        {ERROR_TPM_ANY, 0xFFFFFFFF, CKR_DEVICE_ERROR},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_string_equal(name_rv(error_tpm(rows[i].context, "test", rows[i].rc)),
                            name_rv(rows[i].rv));
}

static void sqlite_codes(void **state)
{
    (void)state;
    assert_int_equal(error_sqlite("test", SQLITE_OK, NULL), CKR_OK);
    assert_int_equal(error_sqlite("test", SQLITE_NOMEM, NULL), CKR_HOST_MEMORY);
    assert_int_equal(error_sqlite("test", SQLITE_READONLY_DIRECTORY, NULL),
                     CKR_TOKEN_WRITE_PROTECTED);
    assert_int_equal(error_sqlite("test", SQLITE_FULL, NULL), CKR_DEVICE_MEMORY);
    assert_int_equal(error_sqlite("test", SQLITE_CORRUPT, "damaged"), CKR_DEVICE_ERROR);
}

static void errnos(void **state)
{
    (void)state;
    assert_int_equal(error_errno("test", NULL, ENOMEM), CKR_HOST_MEMORY);
    assert_int_equal(error_errno("test", "/path", EROFS), CKR_TOKEN_WRITE_PROTECTED);
    assert_int_equal(error_errno("test", "/path", ENOSPC), CKR_DEVICE_MEMORY);
    assert_int_equal(error_errno("test", "/path", EIO), CKR_DEVICE_ERROR);
}

static void logs_and_passes_on(void **state)
{
    (void)state;
    assert_int_equal(error_log(CKR_DATA_INVALID, "%s %d", "number", 1), CKR_DATA_INVALID);
}

static void names(void **state)
{
    (void)state;
    assert_string_equal(name_rv(CKR_OK), "CKR_OK");
    assert_string_equal(name_rv(CKR_PIN_LOCKED), "CKR_PIN_LOCKED");
    assert_string_equal(name_rv(0x12345), "0x12345");
    assert_string_equal(name_mechanism(CKM_ECDSA_SHA256), "CKM_ECDSA_SHA256");
    assert_string_equal(name_mechanism(CKM_SHA3_512), "CKM_SHA3_512");
    assert_string_equal(name_attribute(CKA_ALWAYS_AUTHENTICATE), "CKA_ALWAYS_AUTHENTICATE");
    assert_string_equal(name_class(CKO_PRIVATE_KEY), "CKO_PRIVATE_KEY");
    assert_string_equal(name_key_type(CKK_AES), "CKK_AES");
}

/* By their numbers in pkcs11t.h of 3.2, so that a wrong constant shows here, too. */
static void names_of_3_2(void **state)
{
    (void)state;
    assert_string_equal(name_rv(0x42), "CKR_AEAD_DECRYPT_FAILED");
    assert_string_equal(name_rv(0x1b9), "CKR_PUBLIC_KEY_INVALID");
    assert_string_equal(name_rv(0x209), "CKR_PARAMETER_SET_NOT_SUPPORTED");
    assert_string_equal(name_mechanism(0x1056), "CKM_EC_MONTGOMERY_KEY_PAIR_GEN");
    assert_string_equal(name_mechanism(0x210c), "CKM_AES_KEY_WRAP_PKCS7");
    assert_string_equal(name_mechanism(0x402a), "CKM_HKDF_DERIVE");
    assert_string_equal(name_mechanism(0x0f), "CKM_ML_KEM_KEY_PAIR_GEN");
    assert_string_equal(name_attribute(0x4000062b), "CKA_DECAPSULATE_TEMPLATE");
    assert_string_equal(name_attribute(CKA_LATCHKEY_PROTECTION), "CKA_LATCHKEY_PROTECTION");
    assert_string_equal(name_class(0x0a), "CKO_VALIDATION");
    assert_string_equal(name_key_type(0x42), "CKK_HKDF");
    assert_string_equal(name_profile(0x02), "CKP_EXTENDED_PROVIDER");
    assert_string_equal(name_profile(0x77), "0x77");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tpm_codes), cmocka_unit_test(sqlite_codes),
        cmocka_unit_test(errnos),    cmocka_unit_test(logs_and_passes_on),
        cmocka_unit_test(names),     cmocka_unit_test(names_of_3_2),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
