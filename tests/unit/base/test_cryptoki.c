/* include/latchkey: what a program compiled elsewhere sees. Sizes and offsets follow from the
 * declarations of PKCS#11 3.2, section 6 and pkcs11t.h, at 8 bytes a CK_ULONG and a pointer and
 * natural alignment; places in the lists from the order of pkcs11f.h; numbers from pkcs11t.h. */
#include "base_test.h"

#include <stdbool.h>

#include <latchkey/vendor.h>

struct row {
    const char *what;
    size_t is, should;
};

static void hold(const struct row *rows, size_t n)
{
    bool wrong = false;
    for (size_t i = 0; i < n; i++)
        if (rows[i].is != rows[i].should) {
            print_error("%s: 0x%zx, not 0x%zx\n", rows[i].what, rows[i].is, rows[i].should);
            wrong = true;
        }
    assert_false(wrong);
}
#define HOLD(rows) hold(rows, sizeof(rows) / sizeof *(rows))
#define SIZE(type, n)                                                                              \
    {                                                                                              \
#type, sizeof(type), n                                                                     \
    }
#define AT(type, member, n)                                                                        \
    {                                                                                              \
#type "." #member, offsetof(type, member), n                                               \
    }

static void sizes_and_offsets(void **state)
{
    (void)state;
    static const struct row rows[] = {
        SIZE(CK_RSA_PKCS_OAEP_PARAMS, 40),
        SIZE(CK_RSA_PKCS_PSS_PARAMS, 24),
        SIZE(CK_RSA_AES_KEY_WRAP_PARAMS, 16),
        AT(CK_RSA_AES_KEY_WRAP_PARAMS, pOAEPParams, 8),
        SIZE(CK_ECDH1_DERIVE_PARAMS, 40),
        SIZE(CK_ECDH_AES_KEY_WRAP_PARAMS, 32),
        AT(CK_ECDH_AES_KEY_WRAP_PARAMS, pSharedData, 24),
        SIZE(CK_EDDSA_PARAMS, 24),
        AT(CK_EDDSA_PARAMS, ulContextDataLen, 8),
        AT(CK_EDDSA_PARAMS, pContextData, 16),
        SIZE(CK_AES_CTR_PARAMS, 24),
        SIZE(CK_AES_CBC_ENCRYPT_DATA_PARAMS, 32),
        AT(CK_AES_CBC_ENCRYPT_DATA_PARAMS, pData, 16),
        SIZE(CK_MAC_GENERAL_PARAMS, 8),
        SIZE(CK_EXTRACT_PARAMS, 8),
        SIZE(CK_GCM_PARAMS, 48),
        AT(CK_GCM_PARAMS, ulIvBits, 16),
        AT(CK_GCM_PARAMS, pAAD, 24),
        AT(CK_GCM_PARAMS, ulTagBits, 40),
        SIZE(CK_GCM_MESSAGE_PARAMS, 48),
        AT(CK_GCM_MESSAGE_PARAMS, ulIvFixedBits, 16),
        AT(CK_GCM_MESSAGE_PARAMS, ivGenerator, 24),
        AT(CK_GCM_MESSAGE_PARAMS, pTag, 32),
        SIZE(CK_GCM_WRAP_PARAMS, 56),
        AT(CK_GCM_WRAP_PARAMS, pAAD, 32),
        SIZE(CK_CCM_PARAMS, 48),
        AT(CK_CCM_PARAMS, pNonce, 8),
        AT(CK_CCM_PARAMS, ulMACLen, 40),
        SIZE(CK_CCM_MESSAGE_PARAMS, 56),
        AT(CK_CCM_MESSAGE_PARAMS, nonceGenerator, 32),
        AT(CK_CCM_MESSAGE_PARAMS, pMAC, 40),
        SIZE(CK_CCM_WRAP_PARAMS, 64),
        AT(CK_CCM_WRAP_PARAMS, pAAD, 40),
        SIZE(CK_PKCS5_PBKD2_PARAMS, 72),
        AT(CK_PKCS5_PBKD2_PARAMS, prf, 32),
        SIZE(CK_PKCS5_PBKD2_PARAMS2, 72),
        AT(CK_PKCS5_PBKD2_PARAMS2, pPassword, 56),
        AT(CK_PKCS5_PBKD2_PARAMS2, ulPasswordLen, 64),
        SIZE(CK_SSL3_RANDOM_DATA, 32),
        SIZE(CK_SSL3_KEY_MAT_OUT, 48),
        AT(CK_SSL3_KEY_MAT_OUT, pIVClient, 32),
        SIZE(CK_TLS12_MASTER_KEY_DERIVE_PARAMS, 48),
        AT(CK_TLS12_MASTER_KEY_DERIVE_PARAMS, pVersion, 32),
        AT(CK_TLS12_MASTER_KEY_DERIVE_PARAMS, prfHashMechanism, 40),
        SIZE(CK_TLS12_EXTENDED_MASTER_KEY_DERIVE_PARAMS, 32),
        AT(CK_TLS12_EXTENDED_MASTER_KEY_DERIVE_PARAMS, pVersion, 24),
        SIZE(CK_TLS12_KEY_MAT_PARAMS, 80),
        AT(CK_TLS12_KEY_MAT_PARAMS, bIsExport, 24),
        AT(CK_TLS12_KEY_MAT_PARAMS, RandomInfo, 32),
        AT(CK_TLS12_KEY_MAT_PARAMS, pReturnedKeyMaterial, 64),
        AT(CK_TLS12_KEY_MAT_PARAMS, prfHashMechanism, 72),
        SIZE(CK_TLS_KDF_PARAMS, 72),
        AT(CK_TLS_KDF_PARAMS, RandomInfo, 24),
        AT(CK_TLS_KDF_PARAMS, pContextData, 56),
        SIZE(CK_TLS_MAC_PARAMS, 24),
        SIZE(CK_PRF_DATA_PARAM, 24),
        SIZE(CK_SP800_108_COUNTER_FORMAT, 16),
        AT(CK_SP800_108_COUNTER_FORMAT, ulWidthInBits, 8),
        SIZE(CK_SP800_108_DKM_LENGTH_FORMAT, 24),
        AT(CK_SP800_108_DKM_LENGTH_FORMAT, bLittleEndian, 8),
        AT(CK_SP800_108_DKM_LENGTH_FORMAT, ulWidthInBits, 16),
        SIZE(CK_DERIVED_KEY, 24),
        AT(CK_DERIVED_KEY, phKey, 16),
        SIZE(CK_SP800_108_KDF_PARAMS, 40),
        AT(CK_SP800_108_KDF_PARAMS, pAdditionalDerivedKeys, 32),
        SIZE(CK_SP800_108_FEEDBACK_KDF_PARAMS, 56),
        AT(CK_SP800_108_FEEDBACK_KDF_PARAMS, pIV, 32),
        SIZE(CK_HKDF_PARAMS, 64),
        AT(CK_HKDF_PARAMS, bExpand, 1),
        AT(CK_HKDF_PARAMS, prfHashMechanism, 8),
        AT(CK_HKDF_PARAMS, pSalt, 24),
        AT(CK_HKDF_PARAMS, hSaltKey, 40),
        AT(CK_HKDF_PARAMS, ulInfoLen, 56),
        SIZE(CK_ASYNC_DATA, 40),
        AT(CK_ASYNC_DATA, pValue, 8),
        AT(CK_ASYNC_DATA, hAdditionalObject, 32),
        SIZE(CK_INTERFACE, 24),
    };
    HOLD(rows);
}

/* Function k of a list, counted from 1, is at byte 8k: the version takes the first eight. */
static void places_in_the_lists(void **state)
{
    (void)state;
    static const struct row rows[] = {
        AT(CK_FUNCTION_LIST, C_Initialize, 8 * 1),
        AT(CK_FUNCTION_LIST, C_WaitForSlotEvent, 8 * 68),
        SIZE(CK_FUNCTION_LIST, 8 * 69),
        AT(CK_FUNCTION_LIST_3_0, C_GetInfo, 8 * 3),
        AT(CK_FUNCTION_LIST_3_0, C_GetFunctionList, 8 * 4),
        AT(CK_FUNCTION_LIST_3_0, C_OpenSession, 8 * 13),
        AT(CK_FUNCTION_LIST_3_0, C_Sign, 8 * 44),
        AT(CK_FUNCTION_LIST_3_0, C_WaitForSlotEvent, 8 * 68),
        AT(CK_FUNCTION_LIST_3_0, C_GetInterfaceList, 8 * 69),
        AT(CK_FUNCTION_LIST_3_0, C_SessionCancel, 8 * 72),
        AT(CK_FUNCTION_LIST_3_0, C_MessageEncryptInit, 8 * 73),
        AT(CK_FUNCTION_LIST_3_0, C_MessageDecryptInit, 8 * 78),
        AT(CK_FUNCTION_LIST_3_0, C_MessageSignInit, 8 * 83),
        AT(CK_FUNCTION_LIST_3_0, C_MessageVerifyInit, 8 * 88),
        AT(CK_FUNCTION_LIST_3_0, C_MessageVerifyFinal, 8 * 92),
        SIZE(CK_FUNCTION_LIST_3_0, 8 * 93),
        AT(CK_FUNCTION_LIST_3_2, C_GetInfo, 8 * 3),
        AT(CK_FUNCTION_LIST_3_2, C_WaitForSlotEvent, 8 * 68),
        AT(CK_FUNCTION_LIST_3_2, C_MessageVerifyFinal, 8 * 92),
        AT(CK_FUNCTION_LIST_3_2, C_EncapsulateKey, 8 * 93),
        AT(CK_FUNCTION_LIST_3_2, C_DecapsulateKey, 8 * 94),
        AT(CK_FUNCTION_LIST_3_2, C_VerifySignatureInit, 8 * 95),
        AT(CK_FUNCTION_LIST_3_2, C_VerifySignature, 8 * 96),
        AT(CK_FUNCTION_LIST_3_2, C_VerifySignatureUpdate, 8 * 97),
        AT(CK_FUNCTION_LIST_3_2, C_VerifySignatureFinal, 8 * 98),
        AT(CK_FUNCTION_LIST_3_2, C_GetSessionValidationFlags, 8 * 99),
        AT(CK_FUNCTION_LIST_3_2, C_AsyncComplete, 8 * 100),
        AT(CK_FUNCTION_LIST_3_2, C_AsyncGetID, 8 * 101),
        AT(CK_FUNCTION_LIST_3_2, C_AsyncJoin, 8 * 102),
        AT(CK_FUNCTION_LIST_3_2, C_WrapKeyAuthenticated, 8 * 103),
        AT(CK_FUNCTION_LIST_3_2, C_UnwrapKeyAuthenticated, 8 * 104),
        SIZE(CK_FUNCTION_LIST_3_2, 8 * 105),
    };
    HOLD(rows);
}

#define IS(constant, n)                                                                            \
    {                                                                                              \
#constant, constant, n                                                                     \
    }

static void numbers(void **state)
{
    (void)state;
    static const struct row rows[] = {
        IS(CKO_PROFILE, 9),
        IS(CKO_VALIDATION, 10),
        IS(CKP_COMPLETE_PROVIDER, 5),
        IS(CKK_EC_MONTGOMERY, 0x41),
        IS(CKK_HKDF, 0x42),
        IS(CKK_SHA3_224_HMAC, 0x36),
        IS(CKK_SHA3_512_HMAC, 0x39),
        IS(CKK_SHA512_T_HMAC, 0x45),
        IS(CKK_SLH_DSA, 0x4b),
        IS(CKA_UNIQUE_ID, 4),
        IS(CKA_DERIVE_TEMPLATE, 0x40000213),
        IS(CKA_PROFILE_ID, 0x601),
        IS(CKA_PARAMETER_SET, 0x61d),
        IS(CKA_OBJECT_VALIDATION_FLAGS, 0x61e),
        IS(CKA_VALIDATION_FLAG, 0x623),
        IS(CKA_VALIDATION_PROFILE, 0x629),
        IS(CKA_ENCAPSULATE_TEMPLATE, 0x4000062a),
        IS(CKA_DECAPSULATE_TEMPLATE, 0x4000062b),
        IS(CKA_ENCAPSULATE, 0x633),
        IS(CKA_DECAPSULATE, 0x634),
        IS(CKA_LATCHKEY_PROTECTION, 0xcc4b0002), /* vendor.h */
        IS(CKM_SHA3_256_HMAC, 0x2b1),
        IS(CKM_SHA3_224_KEY_GEN, 0x2b8),
        IS(CKM_SHA3_512_HMAC_GENERAL, 0x2d2),
        IS(CKM_SHA3_512_RSA_PKCS_PSS, 0x65),
        IS(CKM_SHA3_224_RSA_PKCS_PSS, 0x67),
        IS(CKM_ECDSA_SHA3_512, 0x104a),
        IS(CKM_EC_EDWARDS_KEY_PAIR_GEN, 0x1055),
        IS(CKM_EC_MONTGOMERY_KEY_PAIR_GEN, 0x1056),
        IS(CKM_EDDSA, 0x1057),
        IS(CKM_AES_KEY_WRAP_PAD, 0x210a),
        IS(CKM_AES_KEY_WRAP_KWP, 0x210b),
        IS(CKM_AES_KEY_WRAP_PKCS7, 0x210c),
        IS(CKM_SHA_1_KEY_GEN, 0x4003),
        IS(CKM_SHA512_T_KEY_GEN, 0x400a),
        IS(CKM_HKDF_DERIVE, 0x402a),
        IS(CKM_HKDF_KEY_GEN, 0x402c),
        IS(CKM_SP800_108_COUNTER_KDF, 0x3ac),
        IS(CKM_SP800_108_DOUBLE_PIPELINE_KDF, 0x3ae),
        IS(CKM_TLS12_EXTENDED_MASTER_KEY_DERIVE, 0x56),
        IS(CKM_TLS12_EXTENDED_MASTER_KEY_DERIVE_DH, 0x57),
        IS(CKM_BLAKE2B_512_KEY_GEN, 0x401f),
        IS(CKM_HASH_SLH_DSA_SHAKE256, 0x3f),
        IS(CKG_MGF1_SHA3_512, 9),
        IS(CKG_GENERATE_COUNTER_XOR, 4),
        IS(CKD_SHA3_512_KDF, 0xd),
        IS(CKD_SHA256_KDF_SP800, 0x10),
        IS(CKP_PKCS5_PBKD2_HMAC_SHA512_256, 8),
        IS(CK_SP800_108_KEY_HANDLE, 5),
        IS(CKF_HKDF_SALT_KEY, 4),
        IS(CKF_MULTI_MESSAGE, 0x20),
        IS(CKF_EC_ECPARAMETERS, 0x400000),
        IS(CKF_ENCAPSULATE, 0x10000000),
        IS(CKF_DECAPSULATE, 0x20000000),
        IS(CKF_ASYNC_SESSION, 8),
        IS(CKF_SEED_RANDOM_REQUIRED, 0x2000000),
        IS(CKR_AEAD_DECRYPT_FAILED, 0x42),
        IS(CKR_PIN_TOO_WEAK, 0x1b8),       /* 0x1c3 in p11-kit's header */
        IS(CKR_PUBLIC_KEY_INVALID, 0x1b9), /* 0x1c4 there */
        IS(CKR_OPERATION_CANCEL_FAILED, 0x202),
        IS(CKR_PENDING, 0x204),
        IS(CKR_PARAMETER_SET_NOT_SUPPORTED, 0x209),
    };
    HOLD(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_and_offsets),
        cmocka_unit_test(places_in_the_lists),
        cmocka_unit_test(numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
