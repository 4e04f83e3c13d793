/* Keys that are another key's ciphertext: libcrypto's, on keys in software and in the TPM. */
#include "derive_test.h"

static void evp_encrypt(const EVP_CIPHER *cipher, const uint8_t *key, const uint8_t *iv,
                        struct bytes data, uint8_t *ret)
{
    int n, rest;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    assert_int_equal(EVP_EncryptInit_ex(ctx, cipher, NULL, key, iv), 1);
    EVP_CIPHER_CTX_set_padding(ctx, 0);
    assert_int_equal(EVP_EncryptUpdate(ctx, ret, &n, data.p, (int)data.n), 1);
    assert_int_equal(EVP_EncryptFinal_ex(ctx, ret + n, &rest), 1);
    EVP_CIPHER_CTX_free(ctx);
}

static void check(CK_MECHANISM_TYPE type, const struct mech_key *key, const uint8_t *value)
{
    uint8_t data[64], expected[64];
    fill(data, sizeof(data), 3);
    for (size_t n = 16; n <= sizeof(data); n += 16) {
        const CK_KEY_DERIVATION_STRING_DATA plain = {data, n};
        CK_AES_CBC_ENCRYPT_DATA_PARAMS chained = {.length = n};
        chained.pData = data;
        fill(chained.iv, sizeof(chained.iv), 4);
        bool cbc = type == CKM_AES_CBC_ENCRYPT_DATA;
        evp_encrypt(cbc ? EVP_aes_256_cbc() : EVP_aes_256_ecb(), value, cbc ? chained.iv : NULL,
                    BYTES(data, n), expected);
        struct derivation d = {.type = type,
                               .key = *key,
                               .parameter = cbc ? (const void *)&chained : &plain,
                               .parameter_n = cbc ? sizeof(chained) : sizeof(plain)};
        assert_derives(&d, BYTES(expected, n));
        for (d.want = 1; d.want <= n; d.want += 5)
            assert_derives(&d, BYTES(expected, d.want));
        d.want = n + 1;
        assert_derives_not(CKR_KEY_SIZE_RANGE, &d);
    }
    mark_checked(type);
}

static void test_as_libcrypto(void **state)
{
    (void)state;
    uint8_t value[32];
    fill(value, sizeof(value), 9);
    struct tpm_key_made made = {0};
    const struct tpm_parent parent = srk();
    struct bytes auth = BYTES_STR("0123456789abcdef");
    assert_ok(tpm_make_aes(fx.tpm, &parent, auth, 256, BYTES_OF(value), &made));
    const struct tpm_key inside = {parent, buf_bytes(&made.pub), buf_bytes(&made.priv), auth};
    const struct mech_key keys[] = {soft_key(CKK_AES, BYTES_OF(value)),
                                    {.type = CKK_AES, .tpm_key = &inside}};
    for (size_t i = 0; i < COUNT(keys); i++) {
        check(CKM_AES_ECB_ENCRYPT_DATA, &keys[i], value);
        check(CKM_AES_CBC_ENCRYPT_DATA, &keys[i], value);
    }
    tpm_key_made_free(&made);
}

static void test_parameters(void **state)
{
    (void)state;
    static CK_BYTE data[32];
    const struct mech_key key = {.type = CKK_AES};
    const CK_KEY_DERIVATION_STRING_DATA bad[] = {{data, 0}, {data, 15}, {data, 17}, {NULL, 16}};
    for (size_t i = 0; i < COUNT(bad); i++) {
        CK_AES_CBC_ENCRYPT_DATA_PARAMS chained = {.length = bad[i].ulLen};
        chained.pData = bad[i].pData;
        assert_refused(row(CKM_AES_ECB_ENCRYPT_DATA), &key, &bad[i], sizeof(bad[i]));
        assert_refused(row(CKM_AES_CBC_ENCRYPT_DATA), &key, &chained, sizeof(chained));
    }
    assert_refused(row(CKM_AES_ECB_ENCRYPT_DATA), &key, NULL, 0);
    assert_refused(row(CKM_AES_CBC_ENCRYPT_DATA), &key, data, 16);
    assert_false(mech_takes_key(row(CKM_AES_CBC_ENCRYPT_DATA), CKK_GENERIC_SECRET));
}

static void test_every_mechanism_was_checked(void **state)
{
    (void)state;
    assert_all_checked(encrypt_data_covered, COUNT(encrypt_data_covered));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TPM_TEST(test_as_libcrypto),
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_every_mechanism_was_checked),
    };
    return cmocka_run_group_tests_name("mech/encrypt_data", tests, group_start, group_stop);
}
