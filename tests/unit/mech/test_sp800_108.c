/* SP800-108 with every PRF, in software and in the TPM, against NIST's vectors and OpenSSL. */
#include "derive_test.h"

/* ---- parameters ---------------------------------------------------------------------------- */

static CK_SP800_108_COUNTER_FORMAT counter(CK_ULONG bits)
{
    return (CK_SP800_108_COUNTER_FORMAT){.ulWidthInBits = bits};
}

static CK_SP800_108_DKM_LENGTH_FORMAT dkm_length(CK_ULONG method, CK_ULONG bits)
{
    return (CK_SP800_108_DKM_LENGTH_FORMAT){.dkmLengthMethod = method, .ulWidthInBits = bits};
}

#define FIELD(kind, format)                                                                        \
    {                                                                                              \
        kind, &(format), sizeof(format)                                                            \
    }

static CK_PRF_DATA_PARAM array(struct bytes b)
{
    return (CK_PRF_DATA_PARAM){CK_SP800_108_BYTE_ARRAY, (void *)(uintptr_t)b.p, b.n};
}

static const CK_PRF_DATA_PARAM chain = {CK_SP800_108_ITERATION_VARIABLE, NULL, 0};

static CK_SP800_108_KDF_PARAMS kdf(CK_MECHANISM_TYPE prf, CK_PRF_DATA_PARAM *fields, CK_ULONG n)
{
    return (CK_SP800_108_KDF_PARAMS){
        .prfType = prf, .ulNumberOfDataParams = n, .pDataParams = fields};
}

static CK_SP800_108_FEEDBACK_KDF_PARAMS feedback(CK_MECHANISM_TYPE prf, CK_PRF_DATA_PARAM *fields,
                                                 CK_ULONG n, struct bytes iv)
{
    return (CK_SP800_108_FEEDBACK_KDF_PARAMS){.prfType = prf,
                                              .ulNumberOfDataParams = n,
                                              .pDataParams = fields,
                                              .ulIVLen = iv.n,
                                              .pIV = (void *)(uintptr_t)iv.p};
}

static const CK_MECHANISM_TYPE hmac_mechanism[HASH_COUNT] = {
    [HASH_SHA1] = CKM_SHA_1_HMAC,        [HASH_SHA224] = CKM_SHA224_HMAC,
    [HASH_SHA256] = CKM_SHA256_HMAC,     [HASH_SHA384] = CKM_SHA384_HMAC,
    [HASH_SHA512] = CKM_SHA512_HMAC,     [HASH_SHA3_224] = CKM_SHA3_224_HMAC,
    [HASH_SHA3_256] = CKM_SHA3_256_HMAC, [HASH_SHA3_384] = CKM_SHA3_384_HMAC,
    [HASH_SHA3_512] = CKM_SHA3_512_HMAC,
};

/* With the key in software, then with the same key in the TPM. */
static void assert_derives_both(struct derivation *d, struct bytes expected)
{
    struct pair pair;
    struct mech_key software = d->key;
    assert_derives(d, expected);
    d->key = in_tpm(software.type, software.value, &pair);
    assert_derives(d, expected);
    d->key = software;
    pair_free(&pair);
}

/* ---- published vectors --------------------------------------------------------------------- */

/* NIST CAVP, KBKDF800-108: CounterMode, BEFORE_FIXED, RLEN 32; FeedbackModeNOzeroiv,
 * FeedbackModewzeroiv and FeedbackModenocounter; PipelineModewithCounter and
 * PipelineModeWOCounterr. The chained ones AFTER_ITER. */
static const struct {
    CK_MECHANISM_TYPE type, prf;
    CK_ULONG counter_bits; /* 0: none */
    const char *key, *iv, *fixed, *output;
} cavp[] = {
    {CKM_SP800_108_COUNTER_KDF, CKM_SHA256_HMAC, 32,
     "dd1d91b7d90b2bd3138533ce92b272fbf8a369316aefe242e659cc0ae238afe0", "",
     "01322b96b30acd197979444e468e1c5c6859bf1b1cf951b7e725303e237e46b8"
     "64a145fab25e517b08f8683d0315bb2911d80a0e8aba17f3b413faac",
     "10621342bfb0fd40046c0e29f2cfdbf0"},
    {CKM_SP800_108_COUNTER_KDF, CKM_SHA256_HMAC, 32,
     "c4bedbddb66493e7c7259a3bbbc25f8c7e0ca7fe284d92d431d9cd99a0d214ac", "",
     "1c69c54766791e315c2cc5c47ecd3ffab87d0d273dd920e70955814c220eacac"
     "e6a5946542da3dfe24ff626b4897898cafb7db83bdff3c14fa46fd4b",
     "1da47638d6c9c4d04d74d4640bbd42ab814d9e8cc22f4326695239f96b0693f1"
     "2d0dd1152cf44430"},
    {CKM_SP800_108_COUNTER_KDF, CKM_AES_CMAC, 32, "c10b152e8c97b77e18704e0f0bd38305", "",
     "98cd4cbbbebe15d17dc86e6dbad800a2dcbd64f7c7ad0e78e9cf94ffdba89d03"
     "e97eadf6c4f7b806caf52aa38f09d0eb71d71f497bcc6906b48d36c4",
     "26faf61908ad9ee881b8305c221db53f"},
    {CKM_SP800_108_COUNTER_KDF, CKM_AES_CMAC, 32, "695f1b1a16c949cea51cdf2554ec9d42", "",
     "4fce5942832a390aa1cbe8a0bf9d202cb799e986c9d6b51f45e4d597a6b57f06"
     "a4ebfec6467335d116b7f5f9c5b954062f661820f5db2a5bbb3e0625",
     "d34b601ec18c34dfa0f9e0b7523e218bdddb9befe8d08b6c0202d75ace0dba89"},
    {CKM_SP800_108_COUNTER_KDF, CKM_AES_CMAC, 32,
     "d0b1b3b70b2393c48ca05159e7e28cbeadea93f28a7cdae964e5136070c45d5c", "",
     "dd2f151a3f173492a6fbbb602189d51ddf8ef79fc8e96b8fcbe6dabe73a35b48"
     "104f9dff2d63d48786d2b3af177091d646a9efae005bdfacb61a1214",
     "8c449fb474d1c1d4d2a33827103b656a"},
    {CKM_SP800_108_FEEDBACK_KDF, CKM_SHA256_HMAC, 32,
     "93f698e842eed75394d629d957e2e89c6e741f810b623c8b901e38376d068e7b",
     "9f575d9059d3e0c0803f08112f8a806de3c3471912cdf42b095388b14b33508e",
     "53b89c18690e2057a1d167822e636de50be0018532c431f7f5e37f77139220d5e042599ebe266af5767ee18cd2c5"
     "c19a1f0f80",
     "bd1476f43a4e315747cf5918e0ea5bc0d98769457477c3ab18b742def0e079a9"
     "33b756365afb5541f253fee43c6fd788a44041038509e9eeb68f7d65ffbb5f95"},
    {CKM_SP800_108_FEEDBACK_KDF, CKM_AES_CMAC, 16, "d7f5fa7551645de0b36aecd46565f954", "",
     "fb5294ed40a0e4aa70a7be13913070a4c5cfc05f89b9f7dd26a493b8c63889c7c3b0b60dd6d598ffa296a426224c"
     "727a501946",
     "7164471f559812581a53aaf7fb6d6c53a1293115cda873887efcc7ce6b3a026b"
     "2d19f0d38db8590e218a2676df88f53cab3313ed63bd1e4828f3c066ea5eb1fd"},
    {CKM_SP800_108_FEEDBACK_KDF, CKM_AES_CMAC, 0, "5c996c922f65de97d4408373229814c6",
     "28dc945cb8337ab5336c3e9b5bad21c7",
     "62afe5fed91e797221a854336b0aadd8a05ad0e3c8345729897b2efcec5a1178a2fa4c063007b67a7015e0d6b727"
     "1ea8d86b44",
     "88a9aae193abdd3fe8143bab66014ae41dc2d12ea9d08f5871588fc5d827924e"
     "b9942989d7a36d4b3b107997566472cad5942bd13cb5cff32b9dae30f1bb6300"},
    {CKM_SP800_108_DOUBLE_PIPELINE_KDF, CKM_AES_CMAC, 8, "08a5a251b8e4826fbf73292f4cd6c790", "",
     "aa5acbce73a98d4c4f361d5c22a2cc6f6bdc30027aa31af1ba8b15a5bd5b6a34d133519ad1a82483c2d2a6dd9a97"
     "273a780421",
     "ff1c72ec38b8968a1ce0942a571a1f522ddd2a1c6ffc2b60c90bb54a5c0e9de4"
     "0d289686cbff127b408ec64ef615b18c1abc0736ae4c94e33e54d832e686276e"},
    {CKM_SP800_108_DOUBLE_PIPELINE_KDF, CKM_AES_CMAC, 32,
     "2451975a33ab0c7535e00abe7b57982335b0471ad857a093c6765e6c58443852", "",
     "fb95eb3c47dcad3b783b045b29bcb6f5aefc0389735843b92b4d8fab97d61350b76b2a83442d7c5aa497aa1cf441"
     "760281a08b",
     "2f157687f782c8b64325826e3c755194c70abffd9d78c4678924b9d73dcced86"
     "dcaf7dfa3bf56cf03fa45c7fca05ca1092c41bbd934131e95db2b204241a9d02"},
    {CKM_SP800_108_DOUBLE_PIPELINE_KDF, CKM_AES_CMAC, 0, "ada2452f1f141a82c7a1b7d3e09ffed1", "",
     "335660eb265d2044efa06eacd848d3f9f57d219011343318f3a964df4a6fb1bf6cbdee711c7fcbe73b8f257f992e"
     "47e8b065af",
     "a73bd29176e38e761222ae07d639181f4b2c555a3b261815cde5d88a67c8b95c"
     "58b6b66ea4f10608c6d799b051519fc8e89de00cdc556350a7d966475086f9af"},
};

static void test_cavp(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cavp); i++) {
        const struct hex key = unhex(cavp[i].key), iv = unhex(cavp[i].iv);
        const struct hex fixed = unhex(cavp[i].fixed), output = unhex(cavp[i].output);
        CK_SP800_108_COUNTER_FORMAT format = counter(cavp[i].counter_bits);
        CK_PRF_DATA_PARAM fields[3];
        CK_ULONG n = 0;
        if (cavp[i].type == CKM_SP800_108_COUNTER_KDF)
            fields[n++] = (CK_PRF_DATA_PARAM)FIELD(CK_SP800_108_ITERATION_VARIABLE, format);
        else
            fields[n++] = chain;
        if (cavp[i].type != CKM_SP800_108_COUNTER_KDF && cavp[i].counter_bits)
            fields[n++] = (CK_PRF_DATA_PARAM)FIELD(CK_SP800_108_COUNTER, format);
        fields[n++] = array(HEX(fixed));
        const CK_SP800_108_KDF_PARAMS p = kdf(cavp[i].prf, fields, n);
        const CK_SP800_108_FEEDBACK_KDF_PARAMS f = feedback(cavp[i].prf, fields, n, HEX(iv));
        bool is_feedback = cavp[i].type == CKM_SP800_108_FEEDBACK_KDF;
        struct derivation d = {
            .type = cavp[i].type,
            .key = soft_key(cavp[i].prf == CKM_AES_CMAC ? CKK_AES : CKK_GENERIC_SECRET, HEX(key)),
            .parameter = is_feedback ? (const void *)&f : &p,
            .parameter_n = is_feedback ? sizeof(f) : sizeof(p),
            .want = output.n};
        assert_derives_both(&d, HEX(output));
    }
}

/* ---- against OpenSSL ----------------------------------------------------------------------- */

static const struct bytes label = {(const uint8_t *)"label", 5};
static const struct bytes context = {(const uint8_t *)"context", 7};

static void evp_kbkdf(const char *mode, const char *mac, const char *algorithm, struct bytes key,
                      struct bytes iv, uint8_t *ret, size_t n)
{
    bool hmac = strcmp(mac, "HMAC") == 0;
    OSSL_PARAM p[] = {TEXT(OSSL_KDF_PARAM_MODE, mode),
                      TEXT(OSSL_KDF_PARAM_MAC, mac),
                      TEXT(hmac ? OSSL_KDF_PARAM_DIGEST : OSSL_KDF_PARAM_CIPHER, algorithm),
                      OCTETS(OSSL_KDF_PARAM_KEY, key),
                      OCTETS(OSSL_KDF_PARAM_SALT, label),
                      OCTETS(OSSL_KDF_PARAM_INFO, context),
                      iv.n ? OCTETS(OSSL_KDF_PARAM_SEED, iv) : (OSSL_PARAM)OSSL_PARAM_END,
                      OSSL_PARAM_END};
    evp_kdf("KBKDF", p, ret, n);
}

/* OpenSSL's order: (chain,) 32-bit counter, label, NUL, context, 32-bit length. */
struct kbkdf {
    CK_SP800_108_COUNTER_FORMAT counter;
    CK_SP800_108_DKM_LENGTH_FORMAT length;
    CK_PRF_DATA_PARAM fields[6];
    CK_SP800_108_KDF_PARAMS counter_mode;
    CK_SP800_108_FEEDBACK_KDF_PARAMS feedback_mode;
};

static void lay_out(struct kbkdf *k, CK_MECHANISM_TYPE prf, struct bytes iv)
{
    k->counter = counter(32);
    k->length = dkm_length(CK_SP800_108_DKM_LENGTH_SUM_OF_KEYS, 32);
    const CK_PRF_DATA_PARAM fields[] = {chain,          FIELD(CK_SP800_108_COUNTER, k->counter),
                                        array(label),   array(BYTES("", 1)),
                                        array(context), FIELD(CK_SP800_108_DKM_LENGTH, k->length)};
    memcpy(k->fields, fields, sizeof(fields));
    k->feedback_mode = feedback(prf, k->fields, 6, iv);
    if (!iv.n) {
        k->fields[1].type = CK_SP800_108_ITERATION_VARIABLE;
        k->counter_mode = kdf(prf, k->fields + 1, 5);
    }
}

static void test_hmac_as_openssl(void **state)
{
    (void)state;
    uint8_t key[100], iv[HASH_MAX], expected[200];
    fill(iv, sizeof(iv), 8);
    for (enum hash h = HASH_SHA1; h < HASH_COUNT; h++)
        for (size_t n = 1; n <= 200; n += 33) {
            struct kbkdf k;
            fill(key, sizeof(key), (uint32_t)n);
            struct derivation d = {.type = CKM_SP800_108_COUNTER_KDF,
                                   .key = soft_key(CKK_SHA256_HMAC, BYTES(key, 1 + n % 100)),
                                   PARAMETER(k.counter_mode),
                                   .want = n};
            lay_out(&k, hmac_mechanism[h], NO_BYTES);
            evp_kbkdf("counter", "HMAC", hash_name[h], d.key.value, NO_BYTES, expected, n);
            assert_derives(&d, BYTES(expected, n));
            d.type = CKM_SP800_108_FEEDBACK_KDF;
            d.parameter = &k.feedback_mode;
            d.parameter_n = sizeof(k.feedback_mode);
            lay_out(&k, hmac_mechanism[h], BYTES(iv, hash_size(h)));
            evp_kbkdf("feedback", "HMAC", hash_name[h], d.key.value, BYTES(iv, hash_size(h)),
                      expected, n);
            assert_derives(&d, BYTES(expected, n));
        }
}

static void test_hmac_in_the_tpm(void **state)
{
    (void)state;
    uint8_t value[64], expected[150];
    struct pair pair;
    struct kbkdf k;
    fill(value, sizeof(value), 4);
    struct derivation d = {.type = CKM_SP800_108_COUNTER_KDF,
                           .key = in_tpm(CKK_GENERIC_SECRET, BYTES_OF(value), &pair),
                           PARAMETER(k.counter_mode),
                           .want = 150};
    for (enum hash h = HASH_SHA1; h < HASH_COUNT; h++) {
        lay_out(&k, hmac_mechanism[h], NO_BYTES);
        evp_kbkdf("counter", "HMAC", hash_name[h], BYTES_OF(value), NO_BYTES, expected, 150);
        if (h == HASH_SHA1 || (h >= HASH_SHA256 && h <= HASH_SHA512))
            assert_derives(&d, BYTES_OF(expected));
        else
            assert_derives_not(CKR_KEY_FUNCTION_NOT_PERMITTED, &d);
    }
    pair_free(&pair);
}

static void test_cmac_as_openssl(void **state)
{
    (void)state;
    static const char *const ciphers[] = {"AES-128-CBC", "AES-192-CBC", "AES-256-CBC"};
    uint8_t key[32], iv[16], expected[100];
    fill(iv, sizeof(iv), 8);
    for (size_t i = 0; i < 3; i++)
        for (size_t n = 1; n <= 100; n += 11) {
            struct kbkdf k;
            fill(key, sizeof(key), (uint32_t)n);
            struct derivation d = {.type = CKM_SP800_108_COUNTER_KDF,
                                   .key = soft_key(CKK_AES, BYTES(key, 16 + 8 * i)),
                                   PARAMETER(k.counter_mode),
                                   .want = n};
            lay_out(&k, CKM_AES_CMAC, NO_BYTES);
            evp_kbkdf("counter", "CMAC", ciphers[i], d.key.value, NO_BYTES, expected, n);
            assert_derives(&d, BYTES(expected, n));
            if (i != 1) /* this TPM has no AES-192 */
                assert_derives_both(&d, BYTES(expected, n));
            d.type = CKM_SP800_108_FEEDBACK_KDF;
            d.parameter = &k.feedback_mode;
            d.parameter_n = sizeof(k.feedback_mode);
            lay_out(&k, CKM_AES_CMAC, BYTES_OF(iv));
            evp_kbkdf("feedback", "CMAC", ciphers[i], d.key.value, BYTES_OF(iv), expected, n);
            assert_derives(&d, BYTES(expected, n));
        }
}

/* CMAC of whole blocks, of part of one, beyond a TPM command's KiB: by OpenSSL, one block each. */
static void test_cmac_of_every_length(void **state)
{
    (void)state;
    uint8_t key[16], data[1100], message[1101], expected[16];
    fill(key, sizeof(key), 1);
    fill(data, sizeof(data), 2);
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "CMAC", NULL);
    const OSSL_PARAM cipher[] = {TEXT("cipher", "AES-128-CBC"), OSSL_PARAM_END};
    for (size_t n = 1; n <= sizeof(data); n += n < 40 ? 1 : 53) {
        size_t size;
        EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(mac);
        message[0] = 1;
        memcpy(message + 1, data, n);
        assert_int_equal(EVP_MAC_init(ctx, key, sizeof(key), cipher), 1);
        assert_int_equal(EVP_MAC_update(ctx, message, n + 1), 1);
        assert_int_equal(EVP_MAC_final(ctx, expected, &size, sizeof(expected)), 1);
        EVP_MAC_CTX_free(ctx);
        CK_SP800_108_COUNTER_FORMAT format = counter(8);
        CK_PRF_DATA_PARAM fields[] = {FIELD(CK_SP800_108_ITERATION_VARIABLE, format),
                                      array(BYTES(data, n))};
        const CK_SP800_108_KDF_PARAMS p = kdf(CKM_AES_CMAC, fields, 2);
        struct derivation d = {.type = CKM_SP800_108_COUNTER_KDF,
                               .key = soft_key(CKK_AES, BYTES_OF(key)),
                               PARAMETER(p),
                               .want = 16};
        assert_derives_both(&d, BYTES_OF(expected));
    }
    EVP_MAC_free(mac);
}

/* ---- fields -------------------------------------------------------------------------------- */

/* 3.1, 6.42.7: the fields are concatenated in their order; here with numbers that are little
 * endian, and another key's value twice. */
static void test_fields_in_any_order(void **state)
{
    (void)state;
    static const uint8_t expected_counter[] = {1, 0}, expected_length[] = {0x28, 0x01, 0};
    CK_SP800_108_COUNTER_FORMAT i = {CK_TRUE, 16};
    CK_SP800_108_DKM_LENGTH_FORMAT l = {CK_SP800_108_DKM_LENGTH_SUM_OF_KEYS, CK_TRUE, 24};
    CK_OBJECT_HANDLE other = 9;
    CK_PRF_DATA_PARAM fields[] = {array(label),
                                  FIELD(CK_SP800_108_KEY_HANDLE, other),
                                  FIELD(CK_SP800_108_DKM_LENGTH, l),
                                  FIELD(CK_SP800_108_ITERATION_VARIABLE, i),
                                  array(context),
                                  FIELD(CK_SP800_108_KEY_HANDLE, other)};
    const CK_SP800_108_KDF_PARAMS p = kdf(CKM_SHA512_HMAC, fields, COUNT(fields));
    struct bytes key = BYTES("key", 3), value = BYTES("the other key", 13);
    const struct bytes parts[] = {
        label, value, BYTES_OF(expected_length), BYTES_OF(expected_counter), context, value};
    uint8_t expected[64];
    assert_ok(soft_hmac(HASH_SHA512, key, parts, COUNT(parts), expected));
    const struct derivation d = {.type = CKM_SP800_108_COUNTER_KDF,
                                 .key = soft_key(CKK_GENERIC_SECRET, key),
                                 PARAMETER(p),
                                 .other = value,
                                 .want = 37};
    assert_derives(&d, BYTES(expected, 37));
    struct mech_params params;
    assert_taken(row(d.type), &d.key, &p, sizeof(p), &params);
    assert_int_equal(params.derivation.other, other);
    mech_params_free(&params);
}

/* 3.1, 6.42.6: a 48-byte key and a 16-byte key of SHA-256 take three segments, no segment being
 * for two keys; 512 or 768 bits of length. */
static void test_several_keys(void **state)
{
    (void)state;
    static const struct {
        CK_ULONG method;
        uint8_t bits[2];
    } methods[] = {{CK_SP800_108_DKM_LENGTH_SUM_OF_KEYS, {0x02, 0x00}},
                   {CK_SP800_108_DKM_LENGTH_SUM_OF_SEGMENTS, {0x03, 0x00}}};
    const size_t extra_n[] = {16};
    for (size_t m = 0; m < COUNT(methods); m++) {
        uint8_t segment[3][32], expected[64];
        struct bytes key = BYTES("key", 3);
        for (uint8_t i = 1; i <= 3; i++) {
            const struct bytes parts[] = {BYTES(&i, 1), label, BYTES_OF(methods[m].bits)};
            assert_ok(soft_hmac(HASH_SHA256, key, parts, 3, segment[i - 1]));
        }
        memcpy(expected, segment, 48);
        memcpy(expected + 48, segment[2], 16);
        CK_SP800_108_COUNTER_FORMAT i = counter(8);
        CK_SP800_108_DKM_LENGTH_FORMAT l = dkm_length(methods[m].method, 16);
        CK_PRF_DATA_PARAM fields[] = {FIELD(CK_SP800_108_ITERATION_VARIABLE, i), array(label),
                                      FIELD(CK_SP800_108_DKM_LENGTH, l)};
        CK_OBJECT_HANDLE handle;
        CK_ATTRIBUTE template = {CKA_VALUE_LEN, NULL, 0};
        CK_DERIVED_KEY extra = {&template, 1, &handle};
        CK_SP800_108_KDF_PARAMS p = kdf(CKM_SHA256_HMAC, fields, 3);
        p.ulAdditionalDerivedKeys = 1;
        p.pAdditionalDerivedKeys = &extra;
        struct derivation d = {.type = CKM_SP800_108_COUNTER_KDF,
                               .key = soft_key(CKK_GENERIC_SECRET, key),
                               PARAMETER(p),
                               .extra_n = extra_n,
                               .want = 64};
        assert_derives_both(&d, BYTES_OF(expected));
        assert_derives_not_with(16, CKR_TEMPLATE_INCOMPLETE, &d); /* none left for the first */
        assert_derives_not_with(0, CKR_TEMPLATE_INCOMPLETE, &d);
        struct mech_params params;
        assert_taken(row(d.type), &d.key, &p, sizeof(p), &params);
        assert_int_equal(params.derivation.n_extra, 1);
        assert_ptr_equal(params.derivation.extra[0].template, &template);
        assert_int_equal(params.derivation.extra[0].n, 1);
        assert_ptr_equal(params.derivation.extra[0].ret, &handle);
        mech_params_free(&params);
    }
}

/* Three keys, of which two fill their segments; each as long as it is asked for. */
static void test_three_keys(void **state)
{
    (void)state;
    CK_OBJECT_HANDLE handle[2];
    CK_DERIVED_KEY extra[] = {{NULL, 0, &handle[0]}, {NULL, 0, &handle[1]}};
    CK_SP800_108_COUNTER_FORMAT i = counter(32);
    CK_PRF_DATA_PARAM fields[] = {FIELD(CK_SP800_108_ITERATION_VARIABLE, i), array(label)};
    CK_SP800_108_KDF_PARAMS p = kdf(CKM_SHA_1_HMAC, fields, 2);
    struct derivation d = {.type = CKM_SP800_108_COUNTER_KDF,
                           .key = soft_key(CKK_GENERIC_SECRET, BYTES("key", 3)),
                           PARAMETER(p),
                           .want = 100};
    CLEANUP(secret_free) struct secret stream = {0};
    assert_ok(derive(&d, &stream)); /* segments 1 to 5 */
    const size_t extra_n[] = {1, 40};
    uint8_t expected[61];
    memcpy(expected, stream.p, 20);
    memcpy(expected + 20, stream.p + 20, 1);
    memcpy(expected + 21, stream.p + 40, 40);
    p.ulAdditionalDerivedKeys = 2;
    p.pAdditionalDerivedKeys = extra;
    d.extra_n = extra_n;
    d.want = sizeof(expected);
    assert_derives(&d, BYTES_OF(expected));
}

/* ---- what is refused ----------------------------------------------------------------------- */

static void test_lengths(void **state)
{
    (void)state;
    CK_SP800_108_COUNTER_FORMAT i = counter(8);
    CK_SP800_108_DKM_LENGTH_FORMAT l = dkm_length(CK_SP800_108_DKM_LENGTH_SUM_OF_KEYS, 8);
    CK_PRF_DATA_PARAM fields[] = {FIELD(CK_SP800_108_ITERATION_VARIABLE, i),
                                  FIELD(CK_SP800_108_DKM_LENGTH, l)};
    CK_SP800_108_KDF_PARAMS p = kdf(CKM_SHA256_HMAC, fields, 1);
    struct derivation d = {.type = CKM_SP800_108_COUNTER_KDF,
                           .key = soft_key(CKK_GENERIC_SECRET, BYTES("key", 3)),
                           PARAMETER(p),
                           .want = 255 * 32};
    CLEANUP(secret_free) struct secret most = {0};
    assert_ok(derive(&d, &most));
    assert_derives_not_with(255 * 32 + 1, CKR_KEY_SIZE_RANGE, &d);
    assert_derives_not_with(0, CKR_TEMPLATE_INCOMPLETE, &d);
    p = kdf(CKM_SHA256_HMAC, fields, 2); /* 8 bits of length: 31 bytes */
    assert_derives_not_with(32, CKR_KEY_SIZE_RANGE, &d);
    i = counter(32);
    p = kdf(CKM_SHA256_HMAC, fields, 1);
    assert_derives_not_with(65537, CKR_KEY_SIZE_RANGE, &d);
    assert_derives_not_with(SIZE_MAX, CKR_KEY_SIZE_RANGE, &d);
}

/* 6.42: CMAC's base key must be CKK_AES; a TPM has no HMAC with that, nor another HMAC with a key
 * that is one hash's. */
static void test_key_types(void **state)
{
    (void)state;
    uint8_t value[16] = {1};
    struct pair pair;
    CK_SP800_108_COUNTER_FORMAT i = counter(8);
    CK_PRF_DATA_PARAM fields[] = {FIELD(CK_SP800_108_ITERATION_VARIABLE, i)};
    CK_SP800_108_KDF_PARAMS p = kdf(CKM_AES_CMAC, fields, 1);
    struct derivation d = {.type = CKM_SP800_108_COUNTER_KDF,
                           .key = soft_key(CKK_GENERIC_SECRET, BYTES_OF(value)),
                           PARAMETER(p),
                           .want = 16};
    assert_derives_not(CKR_KEY_TYPE_INCONSISTENT, &d);
    d.key = in_tpm(CKK_GENERIC_SECRET, BYTES_OF(value), &pair);
    assert_derives_not(CKR_KEY_TYPE_INCONSISTENT, &d);
    pair_free(&pair);
    p.prfType = CKM_SHA256_HMAC;
    d.key = in_tpm(CKK_AES, BYTES_OF(value), &pair);
    assert_derives_not(CKR_KEY_FUNCTION_NOT_PERMITTED, &d);
    pair_free(&pair);
    CLEANUP(secret_free) struct secret derived = {0};
    d.key = in_tpm(CKK_SHA256_HMAC, BYTES_OF(value), &pair);
    assert_ok(derive(&d, &derived));
    p.prfType = CKM_SHA512_HMAC; /* the TPM may have but this key's SHA-256 */
    assert_derives_not(CKR_KEY_FUNCTION_NOT_PERMITTED, &d);
    pair_free(&pair);
}

static const CK_MECHANISM_TYPE modes[] = {CKM_SP800_108_COUNTER_KDF, CKM_SP800_108_FEEDBACK_KDF,
                                          CKM_SP800_108_DOUBLE_PIPELINE_KDF};

/* In each mode; the feedback parameter has the others' fields, and the IV. */
static void refuse(CK_MECHANISM_TYPE type, const CK_SP800_108_KDF_PARAMS *p)
{
    CK_SP800_108_FEEDBACK_KDF_PARAMS f =
        feedback(p->prfType, p->pDataParams, p->ulNumberOfDataParams, NO_BYTES);
    f.ulAdditionalDerivedKeys = p->ulAdditionalDerivedKeys;
    f.pAdditionalDerivedKeys = p->pAdditionalDerivedKeys;
    if (type == CKM_SP800_108_FEEDBACK_KDF)
        assert_refused(row(type), NULL, &f, sizeof(f));
    else
        assert_refused(row(type), NULL, p, sizeof(*p));
}

static void refuse_in_all(const CK_SP800_108_KDF_PARAMS *p)
{
    for (size_t i = 0; i < COUNT(modes); i++)
        refuse(modes[i], p);
}

static void test_parameters(void **state)
{
    (void)state;
    CK_SP800_108_COUNTER_FORMAT i = counter(8);
    CK_PRF_DATA_PARAM fields[] = {FIELD(CK_SP800_108_ITERATION_VARIABLE, i)};
    CK_PRF_DATA_PARAM chained[] = {chain};
    const CK_SP800_108_KDF_PARAMS good = kdf(CKM_SHA256_HMAC, fields, 1);
    const CK_SP800_108_KDF_PARAMS pipeline = kdf(CKM_SHA256_HMAC, chained, 1);
    CK_SP800_108_FEEDBACK_KDF_PARAMS f = feedback(CKM_SHA256_HMAC, chained, 1, NO_BYTES);
    assert_length_matters(CKM_SP800_108_COUNTER_KDF, &good, sizeof(good));
    assert_length_matters(CKM_SP800_108_DOUBLE_PIPELINE_KDF, &pipeline, sizeof(pipeline));
    assert_length_matters(CKM_SP800_108_FEEDBACK_KDF, &f, sizeof(f));
    f.ulIVLen = 16;
    assert_refused(row(CKM_SP800_108_FEEDBACK_KDF), NULL, &f, sizeof(f));
    static const CK_MECHANISM_TYPE no_prfs[] = {
        CKM_SHA256,           CKM_MD5_HMAC, CKM_DES3_CMAC, CKM_SHA256_HMAC_GENERAL,
        CKM_AES_CMAC_GENERAL, CKM_AES_GMAC, CKM_RSA_PKCS,  0};
    for (size_t k = 0; k < COUNT(no_prfs); k++) {
        CK_SP800_108_KDF_PARAMS bad = kdf(no_prfs[k], fields, 1);
        refuse(CKM_SP800_108_COUNTER_KDF, &bad);
        bad.pDataParams = chained;
        refuse(CKM_SP800_108_FEEDBACK_KDF, &bad);
        refuse(CKM_SP800_108_DOUBLE_PIPELINE_KDF, &bad);
    }
    CK_SP800_108_KDF_PARAMS bad = kdf(CKM_SHA256_HMAC, NULL, 1);
    refuse_in_all(&bad);
    bad = kdf(CKM_SHA256_HMAC, NULL, 0);
    refuse_in_all(&bad);
    bad = kdf(CKM_SHA256_HMAC, fields, 0);
    refuse_in_all(&bad);
}

static void test_too_many_of_anything(void **state)
{
    (void)state;
    CK_SP800_108_COUNTER_FORMAT i = counter(8);
    CK_PRF_DATA_PARAM fields[MECH_FIELDS + 1] = {FIELD(CK_SP800_108_ITERATION_VARIABLE, i)};
    for (size_t k = 1; k < COUNT(fields); k++)
        fields[k] = array(label);
    CK_OBJECT_HANDLE handle;
    CK_DERIVED_KEY extra[MECH_EXTRA_KEYS + 1];
    for (size_t k = 0; k < COUNT(extra); k++)
        extra[k] = (CK_DERIVED_KEY){NULL, 0, &handle};
    CK_SP800_108_KDF_PARAMS p = kdf(CKM_SHA256_HMAC, fields, MECH_FIELDS);
    p.pAdditionalDerivedKeys = extra;
    p.ulAdditionalDerivedKeys = MECH_EXTRA_KEYS;
    struct mech_params params;
    assert_taken(row(CKM_SP800_108_COUNTER_KDF), NULL, &p, sizeof(p), &params);
    assert_int_equal(params.derivation.n_extra, MECH_EXTRA_KEYS);
    assert_int_equal(params.derivation.n_fields, MECH_FIELDS);
    mech_params_free(&params);
    p.ulAdditionalDerivedKeys++;
    refuse(CKM_SP800_108_COUNTER_KDF, &p);
    p.ulAdditionalDerivedKeys = SIZE_MAX;
    refuse(CKM_SP800_108_COUNTER_KDF, &p);
    p = kdf(CKM_SHA256_HMAC, fields, MECH_FIELDS + 1);
    refuse(CKM_SP800_108_COUNTER_KDF, &p);
    p = kdf(CKM_SHA256_HMAC, fields, SIZE_MAX);
    refuse(CKM_SP800_108_COUNTER_KDF, &p);
}

static void test_additional_keys_need_their_pointers(void **state)
{
    (void)state;
    CK_SP800_108_COUNTER_FORMAT i = counter(8);
    CK_PRF_DATA_PARAM fields[] = {FIELD(CK_SP800_108_ITERATION_VARIABLE, i)};
    CK_OBJECT_HANDLE handle;
    CK_DERIVED_KEY bad[] = {{NULL, 1, &handle}, {NULL, 0, NULL}};
    CK_SP800_108_KDF_PARAMS p = kdf(CKM_SHA256_HMAC, fields, 1);
    p.ulAdditionalDerivedKeys = 1;
    refuse(CKM_SP800_108_COUNTER_KDF, &p);
    for (size_t k = 0; k < COUNT(bad); k++) {
        p.pAdditionalDerivedKeys = &bad[k];
        refuse(CKM_SP800_108_COUNTER_KDF, &p);
    }
}

static void test_fields(void **state)
{
    (void)state;
    CK_SP800_108_COUNTER_FORMAT i = counter(8), i0 = counter(0), i12 = counter(12),
                                i40 = counter(40), i_long = counter((CK_ULONG)1 << 32 | 8);
    CK_SP800_108_DKM_LENGTH_FORMAT l = dkm_length(CK_SP800_108_DKM_LENGTH_SUM_OF_KEYS, 16);
    CK_SP800_108_DKM_LENGTH_FORMAT l0 = dkm_length(CK_SP800_108_DKM_LENGTH_SUM_OF_KEYS, 0);
    CK_SP800_108_DKM_LENGTH_FORMAT l72 = dkm_length(CK_SP800_108_DKM_LENGTH_SUM_OF_KEYS, 72);
    CK_SP800_108_DKM_LENGTH_FORMAT l_long =
        dkm_length(CK_SP800_108_DKM_LENGTH_SUM_OF_KEYS, (CK_ULONG)1 << 32 | 16);
    CK_SP800_108_DKM_LENGTH_FORMAT l_none = dkm_length(0, 16), l_three = dkm_length(3, 16);
    CK_OBJECT_HANDLE none = CK_INVALID_HANDLE, key = 1, another = 2;
    const CK_PRF_DATA_PARAM variable = FIELD(CK_SP800_108_ITERATION_VARIABLE, i);
    const CK_PRF_DATA_PARAM length = FIELD(CK_SP800_108_DKM_LENGTH, l);
    const CK_PRF_DATA_PARAM bad[][2] = {
        {FIELD(CK_SP800_108_DKM_LENGTH, l0), array(label)},
        {FIELD(CK_SP800_108_DKM_LENGTH, l72), array(label)},
        {FIELD(CK_SP800_108_DKM_LENGTH, l_long), array(label)},
        {FIELD(CK_SP800_108_DKM_LENGTH, l_none), array(label)},
        {FIELD(CK_SP800_108_DKM_LENGTH, l_three), array(label)},
        {{CK_SP800_108_DKM_LENGTH, NULL, sizeof(l)}, array(label)},
        {{CK_SP800_108_DKM_LENGTH, &l, sizeof(l) - 1}, array(label)},
        {length, length},
        {{CK_SP800_108_BYTE_ARRAY, NULL, 3}, array(label)},
        {{CK_SP800_108_BYTE_ARRAY, &l, 0}, array(label)},
        {{CK_SP800_108_BYTE_ARRAY, &l, 65537}, array(label)},
        {{CK_SP800_108_BYTE_ARRAY, &l, SIZE_MAX}, array(label)},
        {FIELD(CK_SP800_108_KEY_HANDLE, none), array(label)},
        {FIELD(CK_SP800_108_KEY_HANDLE, key), FIELD(CK_SP800_108_KEY_HANDLE, another)},
        {{CK_SP800_108_KEY_HANDLE, &key, 4}, array(label)},
        {{CK_SP800_108_KEY_HANDLE, NULL, sizeof(key)}, array(label)},
        {{0, &l, sizeof(l)}, array(label)},
        {{6, &l, sizeof(l)}, array(label)},
        {variable, array(label)}, /* a second one */
        {{CK_SP800_108_COUNTER, NULL, sizeof(i)}, array(label)},
        {FIELD(CK_SP800_108_COUNTER, i0), array(label)},
        {FIELD(CK_SP800_108_COUNTER, i12), array(label)},
        {FIELD(CK_SP800_108_COUNTER, i40), array(label)},
        {FIELD(CK_SP800_108_COUNTER, i_long), array(label)},
        {FIELD(CK_SP800_108_COUNTER, i), FIELD(CK_SP800_108_COUNTER, i)},
    };
    for (size_t k = 0; k < COUNT(bad); k++)
        for (size_t mode = 0; mode < COUNT(modes); mode++) {
            CK_PRF_DATA_PARAM fields[] = {mode == 0 ? variable : chain, bad[k][0], bad[k][1]};
            const CK_SP800_108_KDF_PARAMS p = kdf(CKM_SHA256_HMAC, fields, 3);
            refuse(modes[mode], &p);
        }
    CK_PRF_DATA_PARAM variables[] = {chain,
                                     {CK_SP800_108_ITERATION_VARIABLE, &i, sizeof(i) - 1},
                                     FIELD(CK_SP800_108_ITERATION_VARIABLE, i0),
                                     FIELD(CK_SP800_108_ITERATION_VARIABLE, i40),
                                     FIELD(CK_SP800_108_ITERATION_VARIABLE, i_long),
                                     FIELD(CK_SP800_108_COUNTER, i)};
    for (size_t k = 0; k < COUNT(variables); k++) {
        const CK_SP800_108_KDF_PARAMS p = kdf(CKM_SHA256_HMAC, &variables[k], 1);
        refuse(CKM_SP800_108_COUNTER_KDF, &p);
        if (k > 0) { /* there, it has no format */
            refuse(CKM_SP800_108_FEEDBACK_KDF, &p);
            refuse(CKM_SP800_108_DOUBLE_PIPELINE_KDF, &p);
        }
    }
}

/* Everything may lie anywhere. */
static void test_unaligned_parameters(void **state)
{
    (void)state;
    static char place[5][sizeof(CK_SP800_108_KDF_PARAMS) + 3 * sizeof(CK_PRF_DATA_PARAM)];
    const CK_SP800_108_COUNTER_FORMAT i = counter(32);
    const CK_OBJECT_HANDLE other = 3;
    memcpy(place[0] + 1, &i, sizeof(i));
    memcpy(place[1] + 1, &other, sizeof(other));
    const CK_PRF_DATA_PARAM fields[] = {{CK_SP800_108_ITERATION_VARIABLE, place[0] + 1, sizeof(i)},
                                        {CK_SP800_108_KEY_HANDLE, place[1] + 1, sizeof(other)},
                                        array(label)};
    memcpy(place[2] + 1, fields, sizeof(fields));
    CK_SP800_108_KDF_PARAMS p = kdf(CKM_SHA256_HMAC, NULL, 3);
    void *at = place[2] + 1;
    memcpy(&p.pDataParams, &at, sizeof(at));
    memcpy(place[3] + 1, &p, sizeof(p));
    uint8_t expected[32];
    const struct bytes parts[] = {BYTES("\0\0\0\1", 4), BYTES("other", 5), label};
    assert_ok(soft_hmac(HASH_SHA256, BYTES("key", 3), parts, 3, expected));
    const struct derivation d = {.type = CKM_SP800_108_COUNTER_KDF,
                                 .key = soft_key(CKK_GENERIC_SECRET, BYTES("key", 3)),
                                 .parameter = place[3] + 1,
                                 .parameter_n = sizeof(p),
                                 .other = BYTES("other", 5),
                                 .want = 32};
    assert_derives(&d, BYTES_OF(expected));
}

static void test_every_mechanism_was_checked(void **state)
{
    (void)state;
    assert_all_checked(sp800_108_covered, COUNT(sp800_108_covered));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TPM_TEST(test_cavp),
        TPM_TEST(test_hmac_as_openssl),
        TPM_TEST(test_hmac_in_the_tpm),
        TPM_TEST(test_cmac_as_openssl),
        TPM_TEST(test_cmac_of_every_length),
        TPM_TEST(test_fields_in_any_order),
        TPM_TEST(test_several_keys),
        TPM_TEST(test_three_keys),
        TPM_TEST(test_lengths),
        TPM_TEST(test_key_types),
        TPM_TEST(test_parameters),
        TPM_TEST(test_too_many_of_anything),
        TPM_TEST(test_additional_keys_need_their_pointers),
        TPM_TEST(test_fields),
        TPM_TEST(test_unaligned_parameters),
        cmocka_unit_test(test_every_mechanism_was_checked),
    };
    return cmocka_run_group_tests_name("mech/sp800_108", tests, group_start, group_stop);
}
