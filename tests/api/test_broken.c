/* What attacks found, one test a defect; the random calls of test_random_calls.c found some. */
#include "keys.h"

/* A secret key for the session out of value, with all uses and what extra says. */
static CK_OBJECT_HANDLE make_secret(CK_KEY_TYPE type, CK_ULONG n, const CK_ATTRIBUTE *extra,
                                    CK_ULONG n_extra)
{
    static const CK_BYTE value[64] = {7};
    CK_ATTRIBUTE template[16] = {
        ATTR_ULONG(CKA_CLASS, CKO_SECRET_KEY),
        ATTR_ULONG(CKA_KEY_TYPE, type),
        ATTR_MEM(CKA_VALUE, value, n),
        ATTR_BOOL(CKA_DERIVE, true),
        ATTR_BOOL(CKA_ENCRYPT, true),
        ATTR_BOOL(CKA_DECRYPT, true),
        ATTR_BOOL(CKA_SIGN, true),
        ATTR_BOOL(CKA_WRAP, true),
    };
    CK_OBJECT_HANDLE key;
    for (CK_ULONG i = 0; i < n_extra; i++)
        template[8 + i] = extra[i];
    assert_ok(p11->C_CreateObject(fx.session, template, 8 + n_extra, &key));
    return key;
}

/* 6.42: a count of attributes that no program means is not believed. */
static void test_sp800_108_absurd_count(void **state)
{
    (void)state;
    CK_OBJECT_HANDLE base = make_secret(CKK_GENERIC_SECRET, 32, NULL, 0), key, more;
    CK_ULONG length = 16;
    CK_ATTRIBUTE one[] = {ATTR_ULONG(CKA_VALUE_LEN, length)};
    CK_SP800_108_COUNTER_FORMAT counter = {CK_FALSE, 32};
    CK_PRF_DATA_PARAM field = {CK_SP800_108_ITERATION_VARIABLE, &counter, sizeof counter};
    CK_DERIVED_KEY extra = {one, ~0UL / sizeof(CK_ATTRIBUTE), &more};
    CK_SP800_108_KDF_PARAMS p = {CKM_SHA256_HMAC, 1, &field, 1, &extra};
    CK_MECHANISM *m = MECHANISM_WITH(CKM_SP800_108_COUNTER_KDF, p);
    assert_rv(CKR_MECHANISM_PARAM_INVALID, p11->C_DeriveKey(fx.session, m, base, one, 1, &key));
}

/* 5.14.1: a key that the mechanism cannot use is refused when it is named. */
static void test_message_sign_init_refuses(void **state)
{
    (void)state;
    CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_VALUE_LEN, 32), ATTR_BOOL(CKA_SIGN, true)};
    CK_OBJECT_HANDLE key;
    assert_ok(p11->C_GenerateKey(fx.session, MECHANISM(CKM_GENERIC_SECRET_KEY_GEN), template,
                                 COUNT(template), &key));
    struct blob where = get_attribute(fx.session, key, CKA_VENDOR_DEFINED | 0x4C4B0002UL);
    assert_blob(where, "tpm", 3); /* no TPM has SHA-3 HMAC */
    assert_rv(CKR_KEY_FUNCTION_NOT_PERMITTED,
              p11_32->C_MessageSignInit(fx.session, MECHANISM(CKM_SHA3_256_HMAC), key));
    assert_rv(CKR_OPERATION_NOT_INITIALIZED, p11_32->C_MessageSignFinal(fx.session));
}

/* 4.10: the PIN for each use; a signed message is one, not all that come after it. */
static void test_always_authenticate_each_message(void **state)
{
    (void)state;
    struct blob params = ec_params(NID_X9_62_prime256v1);
    CK_ATTRIBUTE public[] = {ATTR_MEM(CKA_EC_PARAMS, params.p, params.n)};
    CK_ATTRIBUTE private[] = {ATTR_BOOL(CKA_ALWAYS_AUTHENTICATE, true), ATTR_BOOL(CKA_SIGN, true)};
    struct key_pair keys;
    CK_BYTE signature[64];
    CK_ULONG n = sizeof signature;
    assert_ok(p11->C_GenerateKeyPair(fx.session, MECHANISM(CKM_EC_KEY_PAIR_GEN), public, 1, private,
                                     2, &keys.public, &keys.private));
    assert_ok(p11_32->C_MessageSignInit(fx.session, MECHANISM(CKM_ECDSA_SHA256), keys.private));
    assert_rv(CKR_USER_NOT_LOGGED_IN,
              p11_32->C_SignMessage(fx.session, NULL, 0, (CK_BYTE *)"m", 1, signature, &n));
    assert_ok(login(fx.session, CKU_CONTEXT_SPECIFIC, USER_PIN));
    n = sizeof signature;
    assert_ok(p11_32->C_SignMessage(fx.session, NULL, 0, (CK_BYTE *)"m", 1, signature, &n));
    n = sizeof signature;
    assert_rv(CKR_USER_NOT_LOGGED_IN,
              p11_32->C_SignMessage(fx.session, NULL, 0, (CK_BYTE *)"m", 1, signature, &n));
    /* a question for the length is no use, and ends none */
    assert_ok(login(fx.session, CKU_CONTEXT_SPECIFIC, USER_PIN));
    assert_ok(p11_32->C_SignMessage(fx.session, NULL, 0, (CK_BYTE *)"m", 1, NULL, &n));
    assert_ok(p11_32->C_SignMessage(fx.session, NULL, 0, (CK_BYTE *)"m", 1, signature, &n));
    assert_ok(p11_32->C_MessageSignFinal(fx.session));
}

/* ---- templates of keys --------------------------------------------------------------------- */

/* 4.8: CKA_ALLOWED_MECHANISMS is the second key's, too. */
static void test_second_key_mechanisms(void **state)
{
    (void)state;
    CK_MECHANISM_TYPE only[] = {CKM_SHA256_HMAC};
    CK_ATTRIBUTE allowed[] = {ATTR_MEM(CKA_ALLOWED_MECHANISMS, only, sizeof only)};
    CK_OBJECT_HANDLE base = make_secret(CKK_GENERIC_SECRET, 16, NULL, 0), key;
    CK_OBJECT_HANDLE other = make_secret(CKK_GENERIC_SECRET, 16, allowed, 1);
    assert_rv(CKR_MECHANISM_INVALID,
              p11->C_DeriveKey(fx.session, MECHANISM_WITH(CKM_CONCATENATE_BASE_AND_KEY, other),
                               base, NULL, 0, &key));
}

/* 5.1.6: "a valid handle for an object which is not a key". */
static void test_object_that_is_no_key(void **state)
{
    (void)state;
    CK_ATTRIBUTE data[] = {ATTR_ULONG(CKA_CLASS, CKO_DATA)};
    CK_OBJECT_HANDLE object, key = make_secret(CKK_AES, 16, NULL, 0), made;
    CK_BYTE byte = 0, out[64];
    CK_ULONG n = sizeof out;
    CK_KEY_DERIVATION_STRING_DATA more = {&byte, 1};
    assert_ok(p11->C_CreateObject(fx.session, data, 1, &object));
    assert_rv(CKR_KEY_HANDLE_INVALID,
              p11->C_DeriveKey(fx.session, MECHANISM_WITH(CKM_CONCATENATE_BASE_AND_DATA, more),
                               object, NULL, 0, &made));
    assert_rv(CKR_KEY_HANDLE_INVALID,
              p11->C_DeriveKey(fx.session, MECHANISM_WITH(CKM_CONCATENATE_BASE_AND_KEY, object),
                               key, NULL, 0, &made));
    assert_rv(CKR_WRAPPING_KEY_HANDLE_INVALID,
              p11->C_WrapKey(fx.session, MECHANISM(CKM_AES_KEY_WRAP), object, key, out, &n));
    assert_ok(p11->C_DigestInit(fx.session, MECHANISM(CKM_SHA256)));
    assert_rv(CKR_KEY_HANDLE_INVALID, p11->C_DigestKey(fx.session, object));
}

/* ---- messages ------------------------------------------------------------------------------ */

/* 6.13.2: the XOR is with the IV of the application. One process of messages has one way of
 * counting: the numbers of two could give an IV twice. */
static void test_one_generator(void **state)
{
    (void)state;
    CK_OBJECT_HANDLE key = make_secret(CKK_AES, 16, NULL, 0);
    CK_BYTE iv[12] = {1}, tag[16], data[16] = {0};
    CK_ULONG n = sizeof data;
    CK_GCM_MESSAGE_PARAMS p = {iv, 12, 32, CKG_GENERATE, tag, 128};
    assert_ok(p11_32->C_MessageEncryptInit(fx.session, MECHANISM(CKM_AES_GCM), key));
    assert_ok(p11_32->C_EncryptMessage(fx.session, &p, sizeof p, NULL, 0, data, n, data, &n));
    p.ivGenerator = CKG_GENERATE_COUNTER_XOR;
    assert_rv(CKR_MECHANISM_PARAM_INVALID,
              p11_32->C_EncryptMessage(fx.session, &p, sizeof p, NULL, 0, data, n, data, &n));
    p.ivGenerator = CKG_GENERATE_COUNTER;
    assert_rv(CKR_MECHANISM_PARAM_INVALID,
              p11_32->C_EncryptMessage(fx.session, &p, sizeof p, NULL, 0, data, n, data, &n));
    p.ivGenerator = CKG_GENERATE;
    assert_ok(p11_32->C_EncryptMessage(fx.session, &p, sizeof p, NULL, 0, data, n, data, &n));
    assert_ok(p11_32->C_MessageEncryptFinal(fx.session));
}

/* 5.7.5 has no CKR_USER_NOT_LOGGED_IN: a value that is sealed is one that cannot be revealed. */
static void test_sealed_value_without_login(void **state)
{
    (void)state;
    CK_ATTRIBUTE public[] = {ATTR_BOOL(CKA_TOKEN, true), ATTR_BOOL(CKA_PRIVATE, false),
                             ATTR_BOOL(CKA_SENSITIVE, false), ATTR_BOOL(CKA_EXTRACTABLE, true)};
    CK_OBJECT_HANDLE key = make_secret(CKK_AES, 16, public, COUNT(public));
    CK_BYTE value[16];
    CK_ATTRIBUTE a = {CKA_VALUE, value, sizeof value};
    assert_ok(p11->C_GetAttributeValue(fx.session, key, &a, 1));
    assert_ok(p11->C_Logout(fx.session));
    assert_rv(CKR_ATTRIBUTE_SENSITIVE, p11->C_GetAttributeValue(fx.session, key, &a, 1));
    assert_int_equal(a.ulValueLen, CK_UNAVAILABLE_INFORMATION);
    assert_ok(login(fx.session, CKU_SO, SO_PIN));
    assert_rv(CKR_ATTRIBUTE_SENSITIVE, p11->C_GetAttributeValue(fx.session, key, &a, 1));
    assert_ok(p11->C_Logout(fx.session));
    assert_ok(login(fx.session, CKU_USER, USER_PIN));
    assert_ok(p11->C_DestroyObject(fx.session, key));
}

/* A value that is given twice, the second time without a pointer. */
static void test_value_twice(void **state)
{
    (void)state;
    CK_BYTE value[16] = {1};
    CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_CLASS, CKO_SECRET_KEY),
                               ATTR_ULONG(CKA_KEY_TYPE, CKK_AES),
                               {CKA_VALUE, value, sizeof value},
                               {CKA_VALUE, NULL, sizeof value}};
    CK_OBJECT_HANDLE key;
    assert_rv(CKR_ATTRIBUTE_VALUE_INVALID,
              p11->C_CreateObject(fx.session, template, COUNT(template), &key));
}

/* 6.43: pieces of a key that may not be told are not made so small that each can be guessed by its
 * CKA_CHECK_VALUE (J. Clulow, "On the Security of PKCS #11", 2003: reduced key space). */
static void test_no_small_pieces(void **state)
{
    (void)state;
    CK_ATTRIBUTE kept[] = {ATTR_BOOL(CKA_SENSITIVE, true), ATTR_BOOL(CKA_EXTRACTABLE, false)};
    CK_ATTRIBUTE open[] = {ATTR_BOOL(CKA_SENSITIVE, false), ATTR_BOOL(CKA_EXTRACTABLE, true)};
    CK_OBJECT_HANDLE secret = make_secret(CKK_GENERIC_SECRET, 32, kept, 2),
                     known = make_secret(CKK_GENERIC_SECRET, 32, open, 2), key;
    CK_BYTE data[32] = {0};
    CK_EXTRACT_PARAMS bit = 24;
    CK_KEY_DERIVATION_STRING_DATA string = {data, sizeof data};
    CK_MECHANISM ways[] = {{CKM_EXTRACT_KEY_FROM_KEY, &bit, sizeof bit},
                           {CKM_XOR_BASE_AND_DATA, &string, sizeof string},
                           {CKM_CONCATENATE_BASE_AND_DATA, &string, sizeof string},
                           {CKM_CONCATENATE_DATA_AND_BASE, &string, sizeof string},
                           {CKM_CONCATENATE_BASE_AND_KEY, &secret, sizeof secret}};
    for (size_t i = 0; i < COUNT(ways); i++) {
        bool after = i > 2; /* behind 32 bytes that are known */
        CK_OBJECT_HANDLE base = i == 4 ? known : secret;
        CK_ATTRIBUTE one[] = {ATTR_ULONG(CKA_VALUE_LEN, after ? 33 : 1)};
        CK_ATTRIBUTE many[] = {ATTR_ULONG(CKA_VALUE_LEN, after ? 48 : 16)};
        assert_rv(CKR_KEY_SIZE_RANGE, p11->C_DeriveKey(fx.session, &ways[i], base, one, 1, &key));
        assert_ok(p11->C_DeriveKey(fx.session, &ways[i], base, many, 1, &key));
        if (i < 4)
            assert_ok(p11->C_DeriveKey(fx.session, &ways[i], known, one, 1, &key));
    }
}

/* The same of the key block of a TLS connection and of exported keys: a shorter one is the
 * beginning of the longer. (The IVs of CKM_TLS12_KEY_AND_MAC_DERIVE tell of it, as 6.40.6 warns.)
 */
static void test_no_small_tls_pieces(void **state)
{
    (void)state;
    CK_ATTRIBUTE kept[] = {ATTR_BOOL(CKA_SENSITIVE, true), ATTR_BOOL(CKA_EXTRACTABLE, false)};
    CK_OBJECT_HANDLE base = make_secret(CKK_GENERIC_SECRET, 48, kept, 2), key;
    CK_BYTE random[32] = {0};
    CK_SSL3_KEY_MAT_OUT out = {.pIVClient = NULL};
    CK_TLS12_KEY_MAT_PARAMS block = {.ulMacSizeInBits = 8,
                                     .ulKeySizeInBits = 128,
                                     .RandomInfo = {random, 32, random, 32},
                                     .pReturnedKeyMaterial = &out,
                                     .prfHashMechanism = CKM_SHA256};
    CK_TLS_KDF_PARAMS exported = {
        CKM_SHA256, (CK_BYTE_PTR) "label", 5, {random, 32, random, 32}, NULL, 0};
    CK_ATTRIBUTE aes[] = {ATTR_ULONG(CKA_KEY_TYPE, CKK_AES)};
    CK_ATTRIBUTE one[] = {ATTR_ULONG(CKA_VALUE_LEN, 1)}, many[] = {ATTR_ULONG(CKA_VALUE_LEN, 16)};
    CK_MECHANISM *keys = MECHANISM_WITH(CKM_TLS12_KEY_SAFE_DERIVE, block),
                 *kdf = MECHANISM_WITH(CKM_TLS_KDF, exported);
    assert_rv(CKR_KEY_SIZE_RANGE, p11->C_DeriveKey(fx.session, keys, base, aes, 1, NULL));
    block.ulMacSizeInBits = 160;
    assert_ok(p11->C_DeriveKey(fx.session, keys, base, aes, 1, NULL));
    assert_rv(CKR_KEY_SIZE_RANGE, p11->C_DeriveKey(fx.session, kdf, base, one, 1, &key));
    assert_ok(p11->C_DeriveKey(fx.session, kdf, base, many, 1, &key));
}

/* Keys are stored under a login only, whose mark they bear: a copy is no way around that. */
static void test_copy_to_store_without_login(void **state)
{
    (void)state;
    CK_ATTRIBUTE template[] = {ATTR_BOOL(CKA_PRIVATE, false), ATTR_ULONG(CKA_VALUE_LEN, 16),
                               ATTR_BOOL(CKA_ENCRYPT, true)};
    CK_ATTRIBUTE stored[] = {ATTR_BOOL(CKA_TOKEN, true)};
    CK_OBJECT_HANDLE key, copy;
    assert_ok(p11->C_GenerateKey(fx.session, MECHANISM(CKM_AES_KEY_GEN), template, COUNT(template),
                                 &key));
    assert_ok(p11->C_Logout(fx.session));
    assert_rv(CKR_USER_NOT_LOGGED_IN, p11->C_CopyObject(fx.session, key, stored, 1, &copy));
    assert_ok(login(fx.session, CKU_USER, USER_PIN));
    assert_ok(p11->C_CopyObject(fx.session, key, stored, 1, &copy));
    assert_ok(p11->C_EncryptInit(fx.session, MECHANISM(CKM_AES_ECB), copy));
    assert_ok(p11->C_DestroyObject(fx.session, copy));
}

/* ---- aliasing ------------------------------------------------------------------------------ */

/* RFC 8032, 5.1.6 reads the message twice. If the signature's first half lay over the message by
 * then, two signatures with one nonce and two hashes would give the private key away. */
static void test_eddsa_in_place(void **state)
{
    (void)state;
    struct blob params = ec_params(NID_ED25519);
    CK_ATTRIBUTE public[] = {ATTR_MEM(CKA_EC_PARAMS, params.p, params.n)};
    struct key_pair keys;
    CK_BYTE data[100] = "message";
    CK_ULONG n = sizeof data;
    assert_ok(p11->C_GenerateKeyPair(fx.session, MECHANISM(CKM_EC_EDWARDS_KEY_PAIR_GEN), public, 1,
                                     NULL, 0, &keys.public, &keys.private));
    struct blob apart = sign(fx.session, MECHANISM(CKM_EDDSA), keys.private, data, sizeof data);
    assert_ok(p11->C_SignInit(fx.session, MECHANISM(CKM_EDDSA), keys.private));
    assert_ok(p11->C_Sign(fx.session, data, sizeof data, data, &n));
    assert_blob(apart, data, n);
}

/* 5.8.2: "it is OK if pData and pEncryptedData point to the same location". */
static void test_rsa_in_place(void **state)
{
    (void)state;
    struct key_pair keys = generate_rsa(fx.session, 2048, "in place", false);
    CK_RSA_PKCS_OAEP_PARAMS oaep = {CKM_SHA256, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, NULL, 0};
    CK_MECHANISM all[] = {{CKM_RSA_PKCS, NULL, 0}, {CKM_RSA_PKCS_OAEP, &oaep, sizeof oaep}};
    for (size_t i = 0; i < COUNT(all); i++) {
        CK_BYTE data[256] = "plain text";
        CK_ULONG n = sizeof data, plain_n = sizeof data;
        assert_ok(p11->C_EncryptInit(fx.session, &all[i], keys.public));
        assert_ok(p11->C_Encrypt(fx.session, data, 10, data, &n));
        assert_ok(p11->C_DecryptInit(fx.session, &all[i], keys.private));
        assert_ok(p11->C_Decrypt(fx.session, data, n, data, &plain_n));
        assert_int_equal(plain_n, 10);
        assert_memory_equal(data, "plain text", 10);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, test_user, test_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_sp800_108_absurd_count),
        TEST(test_message_sign_init_refuses),
        TEST(test_always_authenticate_each_message),
        TEST(test_second_key_mechanisms),
        TEST(test_object_that_is_no_key),
        TEST(test_one_generator),
        TEST(test_eddsa_in_place),
        TEST(test_value_twice),
        TEST(test_no_small_pieces),
        TEST(test_no_small_tls_pieces),
        TEST(test_rsa_in_place),
        TEST(test_sealed_value_without_login),
        TEST(test_copy_to_store_without_login),
    };
    return cmocka_run_group_tests(tests, group_token, group_end);
}
