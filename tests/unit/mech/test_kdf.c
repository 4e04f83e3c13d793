/* HKDF and PBKDF2 against published vectors and OpenSSL; HKDF with keys in the TPM, too. */
#include "derive_test.h"

/* ---- HKDF ---------------------------------------------------------------------------------- */

static CK_HKDF_PARAMS hkdf(bool extract, bool expand, CK_MECHANISM_TYPE digest, struct bytes salt,
                           struct bytes info)
{
    return (CK_HKDF_PARAMS){.bExtract = extract,
                            .bExpand = expand,
                            .prfHashMechanism = digest,
                            .ulSaltType = salt.n ? CKF_HKDF_SALT_DATA : CKF_HKDF_SALT_NULL,
                            .pSalt = (void *)(uintptr_t)salt.p,
                            .ulSaltLen = salt.n,
                            .pInfo = (void *)(uintptr_t)info.p,
                            .ulInfoLen = info.n};
}

/* RFC 5869, appendix A, test cases 1, 3, 4 and 7 */
static const struct {
    CK_MECHANISM_TYPE digest;
    const char *ikm, *salt, *info, *prk, *okm;
} rfc_5869[] = {
    {CKM_SHA256, "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "000102030405060708090a0b0c",
     "f0f1f2f3f4f5f6f7f8f9", "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
     "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"},
    {CKM_SHA256, "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", "",
     "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
     "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"},
    {CKM_SHA_1, "0b0b0b0b0b0b0b0b0b0b0b", "000102030405060708090a0b0c", "f0f1f2f3f4f5f6f7f8f9",
     "9b6c18c432a7bf8f0e71c8eb88f4b30baa2ba243",
     "085a01ea1b10f36933068b56efa5ad81a4f14b822f5b091568a9cdd4f155fda2c22e422478d305f3f896"},
    {CKM_SHA_1, "0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c", "", "",
     "2adccada18779e7c2077ad2eb19d3f3e731385dd",
     "2c91117204d745f3500d636a62f64f0ab3bae548aa53d423b0d1f27ebba6f5e5673a081d70cce7acfc48"},
};

/* Both halves at once, each alone, the second also in the TPM, the salt as data and as a key. */
static void test_hkdf_vectors(void **state)
{
    (void)state;
    static const CK_MECHANISM_TYPE types[] = {CKM_HKDF_DERIVE, CKM_HKDF_DATA};
    for (size_t i = 0; i < 2 * COUNT(rfc_5869); i++) {
        CK_MECHANISM_TYPE type = types[i % 2], digest = rfc_5869[i / 2].digest;
        const struct hex ikm = unhex(rfc_5869[i / 2].ikm), salt = unhex(rfc_5869[i / 2].salt);
        const struct hex info = unhex(rfc_5869[i / 2].info), prk = unhex(rfc_5869[i / 2].prk);
        const struct hex okm = unhex(rfc_5869[i / 2].okm);
        CK_HKDF_PARAMS p = hkdf(true, true, digest, HEX(salt), HEX(info));
        struct derivation d = {
            .type = type, .key = soft_key(CKK_HKDF, HEX(ikm)), PARAMETER(p), .want = okm.n};
        assert_derives(&d, HEX(okm));
        p.ulSaltType = CKF_HKDF_SALT_KEY;
        p.pSalt = NULL;
        p.hSaltKey = 5;
        d.other = HEX(salt);
        assert_derives(&d, HEX(okm));
        p = hkdf(true, false, digest, HEX(salt), HEX(info));
        assert_derives_not_with(prk.n - 1, CKR_KEY_SIZE_RANGE, &d);
        d.want = prk.n;
        assert_derives(&d, HEX(prk));
        d.want = 0;
        assert_derives(&d, HEX(prk));

        struct pair pair;
        p = hkdf(false, true, digest, HEX(salt), HEX(info));
        d.key = soft_key(CKK_GENERIC_SECRET, HEX(prk));
        d.want = okm.n;
        assert_derives(&d, HEX(okm));
        d.key = in_tpm(CKK_GENERIC_SECRET, HEX(prk), &pair);
        assert_derives(&d, HEX(okm));
        pair_free(&pair);
    }
}

static void evp_hkdf(enum hash h, const char *mode, struct bytes key, struct bytes salt,
                     struct bytes info, uint8_t *ret, size_t n)
{
    const OSSL_PARAM p[] = {TEXT(OSSL_KDF_PARAM_MODE, mode),   DIGEST(h),
                            OCTETS(OSSL_KDF_PARAM_KEY, key),   OCTETS(OSSL_KDF_PARAM_INFO, info),
                            OCTETS(OSSL_KDF_PARAM_SALT, salt), OSSL_PARAM_END};
    evp_kdf("HKDF", p, ret, n);
}

static void test_hkdf_of_every_hash(void **state)
{
    (void)state;
    uint8_t key[80], salt[300], info[300], expected[300];
    for (enum hash h = HASH_SHA1; h < HASH_COUNT; h++)
        for (size_t n = 1; n <= 300; n += 23) {
            fill(key, sizeof(key), (uint32_t)n);
            fill(salt, sizeof(salt), (uint32_t)n + 1);
            fill(info, sizeof(info), (uint32_t)n + 2);
            struct bytes k = BYTES(key, 1 + n % 80), s = BYTES(salt, n), i = BYTES(info, 301 - n);
            CK_HKDF_PARAMS p = hkdf(true, true, hash_mechanism[h], s, i);
            struct derivation d = {
                .type = CKM_HKDF_DERIVE, .key = soft_key(CKK_HKDF, k), PARAMETER(p), .want = n};
            evp_hkdf(h, "EXTRACT_AND_EXPAND", k, s, i, expected, n);
            assert_derives(&d, BYTES(expected, n));
            p.bExtract = CK_FALSE;
            evp_hkdf(h, "EXPAND_ONLY", k, s, i, expected, n);
            assert_derives(&d, BYTES(expected, n));
        }
}

static bool tpm_has(enum hash h)
{
    return h == HASH_SHA1 || (h >= HASH_SHA256 && h <= HASH_SHA512);
}

/* Info beyond one command's KiB would show the key on the bus. */
static void test_hkdf_in_the_tpm(void **state)
{
    (void)state;
    static const size_t info_sizes[] = {0, 20, 940, 1100};
    uint8_t value[64], info[1100], expected[200];
    struct pair pair;
    fill(value, sizeof(value), 3);
    fill(info, sizeof(info), 4);
    const struct mech_key key = in_tpm(CKK_HKDF, BYTES_OF(value), &pair);
    for (enum hash h = HASH_SHA1; h < HASH_COUNT; h++)
        for (size_t i = 0; i < COUNT(info_sizes); i++) {
            CK_HKDF_PARAMS p =
                hkdf(false, true, hash_mechanism[h], NO_BYTES, BYTES(info, info_sizes[i]));
            struct derivation d = {.type = CKM_HKDF_DERIVE, .key = key, PARAMETER(p), .want = 200};
            evp_hkdf(h, "EXPAND_ONLY", BYTES_OF(value), NO_BYTES, BYTES(info, info_sizes[i]),
                     expected, sizeof(expected));
            if (tpm_has(h) && info_sizes[i] < 1024)
                assert_derives(&d, BYTES_OF(expected));
            else
                assert_derives_not(CKR_KEY_FUNCTION_NOT_PERMITTED, &d);
            p.bExtract = CK_TRUE; /* HMAC keyed with the salt: the TPM's key would be the message */
            assert_derives_not(CKR_KEY_FUNCTION_NOT_PERMITTED, &d);
        }
    pair_free(&pair);
}

static void test_hkdf_lengths(void **state)
{
    (void)state;
    static uint8_t expected[255 * 32];
    const CK_HKDF_PARAMS p = hkdf(true, true, CKM_SHA256, NO_BYTES, NO_BYTES);
    const CK_HKDF_PARAMS half = hkdf(true, false, CKM_SHA256, NO_BYTES, NO_BYTES);
    struct derivation d = {.type = CKM_HKDF_DERIVE,
                           .key = soft_key(CKK_HKDF, BYTES("key", 3)),
                           PARAMETER(p),
                           .want = sizeof(expected)};
    evp_hkdf(HASH_SHA256, "EXTRACT_AND_EXPAND", d.key.value, NO_BYTES, NO_BYTES, expected,
             sizeof(expected));
    assert_derives(&d, BYTES_OF(expected));
    assert_derives_not_with(sizeof(expected) + 1, CKR_KEY_SIZE_RANGE, &d);
    assert_derives_not_with(SIZE_MAX, CKR_KEY_SIZE_RANGE, &d);
    assert_derives_not_with(0, CKR_TEMPLATE_INCOMPLETE, &d);
    d.parameter = &half;
    assert_derives_not_with(31, CKR_KEY_SIZE_RANGE, &d);
    assert_derives_not_with(33, CKR_KEY_SIZE_RANGE, &d);
}

static void test_hkdf_parameters(void **state)
{
    (void)state;
    uint8_t some[8] = {0};
    const CK_HKDF_PARAMS good = hkdf(true, true, CKM_SHA256, BYTES_OF(some), BYTES_OF(some));
    CK_HKDF_PARAMS bad[12];
    for (size_t i = 0; i < COUNT(bad); i++)
        bad[i] = good;
    bad[0].bExtract = bad[0].bExpand = CK_FALSE;
    bad[1].prfHashMechanism = CKM_MD5;
    bad[2].prfHashMechanism = CKM_SHA256_HMAC;
    bad[3].ulSaltType = 0;
    bad[4].ulSaltType = CKF_HKDF_SALT_NULL | CKF_HKDF_SALT_DATA;
    bad[5].pSalt = NULL;
    bad[6].ulSaltLen = 65537;
    bad[7].ulSaltLen = SIZE_MAX;
    bad[8].ulSaltType = CKF_HKDF_SALT_KEY; /* hSaltKey is none */
    bad[9].pInfo = NULL;
    bad[10].ulInfoLen = 65537;
    bad[11].ulInfoLen = SIZE_MAX;
    assert_length_matters(CKM_HKDF_DERIVE, &good, sizeof(good));
    assert_length_matters(CKM_HKDF_DATA, &good, sizeof(good));
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_refused(row(CKM_HKDF_DERIVE), NULL, &bad[i], sizeof(bad[i]));
        assert_refused(row(CKM_HKDF_DATA), NULL, &bad[i], sizeof(bad[i]));
    }
}

/* 3.1, 6.62.3: what belongs to a half that is not wanted is ignored. */
static void test_hkdf_ignores(void **state)
{
    (void)state;
    struct mech_params params;
    CK_HKDF_PARAMS p = {.bExpand = CK_TRUE,
                        .prfHashMechanism = CKM_SHA256,
                        .ulSaltType = CKF_HKDF_SALT_KEY,
                        .hSaltKey = 5};
    assert_taken(row(CKM_HKDF_DERIVE), NULL, &p, sizeof(p), &params);
    assert_int_equal(params.derivation.other, CK_INVALID_HANDLE); /* nothing to resolve */
    mech_params_free(&params);
    p.ulSaltType = 99;
    assert_taken(row(CKM_HKDF_DERIVE), NULL, &p, sizeof(p), &params);
    mech_params_free(&params);
    p = (CK_HKDF_PARAMS){.bExtract = CK_TRUE,
                         .prfHashMechanism = CKM_SHA256,
                         .ulSaltType = CKF_HKDF_SALT_KEY,
                         .hSaltKey = 5,
                         .ulInfoLen = 9};
    assert_taken(row(CKM_HKDF_DERIVE), NULL, &p, sizeof(p), &params);
    assert_int_equal(params.derivation.other, 5);
    mech_params_free(&params);
}

/* A random key of its own type: the token layer's work. */
static void test_hkdf_keys(void **state)
{
    (void)state;
    const struct mech *m = row(CKM_HKDF_KEY_GEN);
    assert_int_equal(m->flags, CKF_GENERATE);
    assert_int_equal(m->key_type, CKK_HKDF);
    assert_null(m->generate);
    mark_checked(m->type);
}

/* ---- PBKDF2 -------------------------------------------------------------------------------- */

static CK_PKCS5_PBKD2_PARAMS2 pbkdf2(CK_ULONG prf, struct bytes password, struct bytes salt,
                                     CK_ULONG rounds)
{
    return (CK_PKCS5_PBKD2_PARAMS2){.saltSource = CKZ_SALT_SPECIFIED,
                                    .pSaltSourceData = (void *)(uintptr_t)salt.p,
                                    .ulSaltSourceDataLen = salt.n,
                                    .iterations = rounds,
                                    .prf = prf,
                                    .pPassword = (void *)(uintptr_t)password.p,
                                    .ulPasswordLen = password.n};
}

static CK_RV generate(const void *parameter, size_t n, size_t want, struct secret *ret)
{
    const struct mech *m = row(CKM_PKCS5_PBKD2);
    struct mech_params params;
    assert_taken(m, NULL, parameter, n, &params);
    const struct mech_call call = {.mech = m, .params = &params};
    CK_RV rv = m->generate(&call, want, ret);
    mech_params_free(&params);
    return rv;
}

static void assert_generates(const void *parameter, size_t n, struct bytes expected)
{
    CLEANUP(secret_free) struct secret key = {0};
    assert_ok(generate(parameter, n, expected.n, &key));
    assert_int_equal(key.n, expected.n);
    assert_memory_equal(key.p, expected.p, expected.n);
    mark_checked(CKM_PKCS5_PBKD2);
}

/* RFC 6070, section 2, and RFC 7914, section 11; in both forms of the parameter. */
static void test_pbkdf2_vectors(void **state)
{
    (void)state;
    static const struct {
        CK_ULONG prf;
        const char *password, *salt, *key;
        size_t password_n, salt_n;
        CK_ULONG rounds;
    } cases[] = {
        {CKP_PKCS5_PBKD2_HMAC_SHA1, "password", "salt", "0c60c80f961f0e71f3a9b524af6012062fe037a6",
         8, 4, 1},
        {CKP_PKCS5_PBKD2_HMAC_SHA1, "password", "salt", "ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957",
         8, 4, 2},
        {CKP_PKCS5_PBKD2_HMAC_SHA1, "passwordPASSWORDpassword",
         "saltSALTsaltSALTsaltSALTsaltSALTsalt",
         "3d2eec4fe41c849b80c8d83662c0e44a8b291a964cf2f07038", 24, 36, 4096},
        {CKP_PKCS5_PBKD2_HMAC_SHA1, "pass\0word", "sa\0lt", "56fa6aa75548099dcc37d7f03425e0c3", 9,
         5, 4096},
        {CKP_PKCS5_PBKD2_HMAC_SHA256, "passwd", "salt",
         "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"
         "49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783",
         6, 4, 1},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct hex key = unhex(cases[i].key);
        const CK_PKCS5_PBKD2_PARAMS2 p =
            pbkdf2(cases[i].prf, BYTES(cases[i].password, cases[i].password_n),
                   BYTES(cases[i].salt, cases[i].salt_n), cases[i].rounds);
        assert_generates(&p, sizeof(p), HEX(key));
        CK_ULONG length = p.ulPasswordLen;
        CK_PKCS5_PBKD2_PARAMS old;
        memcpy(&old, &p, sizeof(old));
        old.ulPasswordLen = &length;
        assert_generates(&old, sizeof(old), HEX(key));
    }
}

static void test_pbkdf2_as_openssl(void **state)
{
    (void)state;
    static const struct {
        CK_ULONG prf;
        enum hash hash;
    } prfs[] = {{CKP_PKCS5_PBKD2_HMAC_SHA1, HASH_SHA1},
                {CKP_PKCS5_PBKD2_HMAC_SHA224, HASH_SHA224},
                {CKP_PKCS5_PBKD2_HMAC_SHA256, HASH_SHA256},
                {CKP_PKCS5_PBKD2_HMAC_SHA384, HASH_SHA384},
                {CKP_PKCS5_PBKD2_HMAC_SHA512, HASH_SHA512}};
    uint8_t password[200], salt[200], expected[150];
    for (size_t i = 0; i < COUNT(prfs); i++)
        for (size_t n = 1; n <= sizeof(expected); n += 37) {
            fill(password, sizeof(password), (uint32_t)n);
            fill(salt, sizeof(salt), (uint32_t)(n + i));
            const CK_PKCS5_PBKD2_PARAMS2 p =
                pbkdf2(prfs[i].prf, BYTES(password, n), BYTES(salt, 200 - n), n);
            assert_int_equal(PKCS5_PBKDF2_HMAC((const char *)password, (int)n, salt, (int)(200 - n),
                                               (int)n, evp_md(prfs[i].hash), (int)n, expected),
                             1);
            assert_generates(&p, sizeof(p), BYTES(expected, n));
        }
    const CK_PKCS5_PBKD2_PARAMS2 empty = /* no password is one, too */
        pbkdf2(CKP_PKCS5_PBKD2_HMAC_SHA256, NO_BYTES, BYTES(salt, 8), 3);
    assert_int_equal(PKCS5_PBKDF2_HMAC("", 0, salt, 8, 3, EVP_sha256(), 40, expected), 1);
    assert_generates(&empty, sizeof(empty), BYTES(expected, 40));
}

static void test_pbkdf2_lengths(void **state)
{
    (void)state;
    struct secret key = {0};
    const CK_PKCS5_PBKD2_PARAMS2 p =
        pbkdf2(CKP_PKCS5_PBKD2_HMAC_SHA256, BYTES("p", 1), BYTES("salt", 4), 1);
    assert_rv(CKR_TEMPLATE_INCOMPLETE, generate(&p, sizeof(p), 0, &key));
    assert_rv(CKR_KEY_SIZE_RANGE, generate(&p, sizeof(p), 65537, &key));
    assert_null(key.p);
}

static void test_pbkdf2_parameters(void **state)
{
    (void)state;
    uint8_t some[8] = {0};
    CK_ULONG lengths[2] = {65536, SIZE_MAX};
    const CK_PKCS5_PBKD2_PARAMS2 good =
        pbkdf2(CKP_PKCS5_PBKD2_HMAC_SHA256, BYTES_OF(some), BYTES_OF(some), 1);
    CK_PKCS5_PBKD2_PARAMS2 bad[17];
    for (size_t i = 0; i < COUNT(bad); i++)
        bad[i] = good;
    bad[0].saltSource = 0;
    bad[1].saltSource = 2;
    bad[2].pSaltSourceData = NULL;
    bad[3].ulSaltSourceDataLen = 65537;
    bad[4].ulSaltSourceDataLen = SIZE_MAX;
    bad[5].iterations = 0;
    bad[6].iterations = 10000001;
    bad[7].iterations = SIZE_MAX;
    bad[8].prf = 0;
    bad[9].prf = CKP_PKCS5_PBKD2_HMAC_GOSTR3411;
    bad[10].prf = CKP_PKCS5_PBKD2_HMAC_SHA512_224;
    bad[11].prf = CKP_PKCS5_PBKD2_HMAC_SHA512_256;
    bad[12].prf = SIZE_MAX;
    bad[13].pPrfData = some;
    bad[14].ulPrfDataLen = 1;
    bad[15].pPassword = NULL;
    bad[16].ulPasswordLen = 65537; /* no pointer either */
    assert_length_matters(CKM_PKCS5_PBKD2, &good, sizeof(good));
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_refused(row(CKM_PKCS5_PBKD2), NULL, &bad[i], sizeof(bad[i]));
    for (size_t i = 0; i < COUNT(lengths); i++) { /* behind a pointer */
        CK_PKCS5_PBKD2_PARAMS old;
        memcpy(&old, &good, sizeof(old));
        old.ulPasswordLen = &lengths[i];
        assert_refused(row(CKM_PKCS5_PBKD2), NULL, &old, sizeof(old));
    }
}

static void test_every_mechanism_was_checked(void **state)
{
    (void)state;
    assert_all_checked(kdf_covered, COUNT(kdf_covered));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TPM_TEST(test_hkdf_vectors),      TPM_TEST(test_hkdf_of_every_hash),
        TPM_TEST(test_hkdf_in_the_tpm),   TPM_TEST(test_hkdf_lengths),
        TPM_TEST(test_hkdf_parameters),   TPM_TEST(test_hkdf_ignores),
        TPM_TEST(test_hkdf_keys),         TPM_TEST(test_pbkdf2_vectors),
        TPM_TEST(test_pbkdf2_as_openssl), TPM_TEST(test_pbkdf2_lengths),
        TPM_TEST(test_pbkdf2_parameters), cmocka_unit_test(test_every_mechanism_was_checked),
    };
    return cmocka_run_group_tests_name("mech/kdf", tests, group_start, group_stop);
}
