/* HKDF's halves, SP800-108 and TLS 1.2's PRF. */
#include "soft_test.h"
#include "../../lib/rfc5869.h"

#include <openssl/core_names.h>
#include <openssl/kdf.h>

static void evp_kdf(const char *name, const OSSL_PARAM *parameters, uint8_t *ret, size_t n)
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, name, NULL);
    EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
    assert_int_equal(EVP_KDF_derive(ctx, ret, n, parameters), 1);
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
}

#define OCTETS(key, bytes)                                                                         \
    OSSL_PARAM_construct_octet_string(key, (void *)(uintptr_t)(bytes).p, (bytes).n)
#define TEXT(key, text) OSSL_PARAM_construct_utf8_string(key, (char *)(uintptr_t)(text), 0)
#define DIGEST(h)       TEXT(OSSL_KDF_PARAM_DIGEST, EVP_MD_get0_name(evp_md(h)))

static void hkdf_in_halves(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rfc_5869) / sizeof *rfc_5869; i++) {
        enum hash hash = rfc_5869[i].digest == CKM_SHA_1 ? HASH_SHA1 : HASH_SHA256;
        struct hex ikm = unhex(rfc_5869[i].ikm), salt = unhex(rfc_5869[i].salt);
        struct hex info = unhex(rfc_5869[i].info), prk = unhex(rfc_5869[i].prk);
        struct hex okm = unhex(rfc_5869[i].okm);
        uint8_t out[HASH_MAX];
        assert_ok(soft_hkdf_extract(hash, HEX_BYTES(ikm), HEX_BYTES(salt), out));
        assert_memory_equal(out, prk.p, prk.n);
        assert_ok(soft_hkdf_expand(hash, HEX_BYTES(prk), HEX_BYTES(info), out, okm.n));
        assert_memory_equal(out, okm.p, okm.n);
    }
    static uint8_t most[255 * 32 + 1];
    assert_ok(soft_hkdf_expand(HASH_SHA256, BYTES("prk", 3), NO_BYTES, most, 255 * 32));
    assert_int_equal(soft_hkdf_expand(HASH_SHA256, BYTES("prk", 3), NO_BYTES, most, 255 * 32 + 1),
                     CKR_KEY_SIZE_RANGE);
}

/* SP800-108 with an HMAC. */
static CK_RV sp800_108(enum kdf_mode mode, enum hash h, struct bytes key,
                       const struct kdf_field *fields, size_t n_fields, struct bytes iv,
                       uint8_t *ret, size_t n)
{
    CLEANUP(soft_prf_free) struct soft_prf prf = {0};
    TRY(soft_prf_hmac(h, key, &prf));
    return soft_sp800_108(mode, &prf, fields, n_fields, iv, ret, n);
}

static CK_RV counter_mode(enum hash h, struct bytes key, const struct kdf_field *fields,
                          size_t n_fields, uint8_t *ret, size_t n)
{
    return sp800_108(KDF_MODE_COUNTER, h, key, fields, n_fields, NO_BYTES, ret, n);
}

/* NIST CAVP, KBKDF800-108, CounterMode.zip: PRF HMAC, CTRLOCATION=BEFORE_FIXED, RLEN 8 to 32. */
static void sp800_108_cavs(void **state)
{
    (void)state;
    const struct {
        enum hash hash;
        unsigned bits;
        const char *key, *fixed, *output;
    } cases[] = {
        {HASH_SHA1, 32, "e02ba5d5c410e855bbd13f840124273e6b864237",
         "b14e227b4438f973d671141c6246acdc794eee91bc7efd1d5ff02a7b8fb044009fb6f1f0f64f3536"
         "5fb1098e1995a34f8b70a71ed0265ed17ae7ae40",
         "f077c2d5d36a658031c74ef5a66aa48b4456530a"},
        {HASH_SHA224, 8, "eb9386450d7b2da5492da5b139cf4b0b951a5b0c7d40c22ae2c20677",
         "bd8b73969e3e2d7a943b937c3bffe3a9199d1cf27e289bb10c3b88696a5ae36b3b868b4fc6a20ca9"
         "3dd0b328f3351f71ce656bb558fa33c74741398d",
         "bc902dfba79fb4084339b6666c7f72b9f47675229dc24ec61068bb05082717eead35647ff147d7de"},
        {HASH_SHA256, 8, "63a657fb6c5bacb9a124d3e7db8bbb7d42bfdfaf8f04cb6359cd888c70669652",
         "2697b6ec112cab4d6f1714c991c17d44fb36a0b6ef0b0f5451619ab248950f56f403215c78711aa5"
         "63683ced05be7246f32574fa294f162dbbeb3dee",
         "1992e75756fa64734d5caecc5f6420fcb28b8b90421eee97dc8b6140ce18518405688bea489d2aaa"},
        {HASH_SHA256, 16, "d4349c26108719debacc04e166a09063ffb5e17bcbaf8738dc2618aa7d1e97ae",
         "da1f5ed45ead428689b0ecca9dbc2569e76953cda0df085499cca6d5949d8995e1e42bbdc94b0dd7"
         "8c164867c364a64c894de85294ad89d267ff443d",
         "00550ae0f29a2373269af175e7f829ec32c3d05099a39f8c0e02caa00b68afb7457669334383ffb2"},
        {HASH_SHA256, 24, "c9063598d6cf8660300073b5c25603baf3ade910c182deea15d8107d6f6be295",
         "22d27eec90c2dd4ae5cf4a705abecfd781b9051ba512b048ea9499364b791e9cdf63215db43680da"
         "cffe6f19d77fc93f8a46d84dd52146389d9ec308",
         "f3a5b521b435a8c83eaf2d264b5b1a6dcc32c21b4897511203f97f01f2a691eef080b4cd7ca4fc38"},
        {HASH_SHA256, 32, "dd1d91b7d90b2bd3138533ce92b272fbf8a369316aefe242e659cc0ae238afe0",
         "01322b96b30acd197979444e468e1c5c6859bf1b1cf951b7e725303e237e46b864a145fab25e517b"
         "08f8683d0315bb2911d80a0e8aba17f3b413faac",
         "10621342bfb0fd40046c0e29f2cfdbf0"},
        {HASH_SHA256, 32, "e204d6d466aad507ffaf6d6dab0a5b26152c9e21e764370464e360c8fbc765c6",
         "7b03b98d9f94b899e591f3ef264b71b193fba7043c7e953cde23bc5384bc1a6293580115fae3495f"
         "d845dadbd02bd6455cf48d0f62b33e62364a3a80",
         "770dfab6a6a4a4bee0257ff335213f78d8287b4fd537d5c1fffa956910e7c779"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct hex key = unhex(cases[i].key), fixed = unhex(cases[i].fixed);
        struct hex output = unhex(cases[i].output);
        uint8_t out[64];
        struct kdf_field fields[] = {{.kind = KDF_COUNTER, .bits = cases[i].bits},
                                     {.kind = KDF_BYTES, .bytes = HEX_BYTES(fixed)}};
        assert_ok(counter_mode(cases[i].hash, HEX_BYTES(key), fields, 2, out, output.n));
        assert_memory_equal(out, output.p, output.n);
    }
}

/* OpenSSL's order is counter, label, NUL, context, 32-bit length: KDFa's, too. */
static void sp800_108_as_kbkdf(void **state)
{
    (void)state;
    struct bytes key = BYTES("a key", 5), label = BYTES("label", 5), context = BYTES("context", 7);
    struct kdf_field fields[] = {{.kind = KDF_COUNTER, .bits = 32},
                                 {.kind = KDF_BYTES, .bytes = label},
                                 {.kind = KDF_BYTES, .bytes = BYTES("", 1)},
                                 {.kind = KDF_BYTES, .bytes = context},
                                 {.kind = KDF_LENGTH, .bits = 32}};
    for (enum hash h = HASH_SHA1; h < HASH_COUNT; h++) {
        for (size_t n = 1; n < 200; n += 13) {
            uint8_t ours[200], theirs[200];
            OSSL_PARAM p[] = {TEXT(OSSL_KDF_PARAM_MODE, "counter"),
                              TEXT(OSSL_KDF_PARAM_MAC, "HMAC"),
                              DIGEST(h),
                              OCTETS(OSSL_KDF_PARAM_KEY, key),
                              OCTETS(OSSL_KDF_PARAM_SALT, label),
                              OCTETS(OSSL_KDF_PARAM_INFO, context),
                              OSSL_PARAM_END};
            evp_kdf("KBKDF", p, theirs, n);
            fields[4].length = 8 * n;
            assert_ok(counter_mode(h, key, fields, 5, ours, n));
            assert_memory_equal(ours, theirs, n);
        }
    }
}

/* Any order and form of fields: the blocks are HMACs of what is laid out by hand here. */
static void sp800_108_fields_in_any_order(void **state)
{
    (void)state;
    struct bytes key = BYTES("a key", 5);
    uint8_t out[64], expected[64];
    const struct {
        unsigned counter_bits, length_bits;
        bool little_endian;
        const char *first, *second;
    } cases[] = {
        {8, 8, false, "90 01", "90 02"},
        {16, 24, true, "900100 0100", "900100 0200"},
        {24, 16, false, "0190 000001", "0190 000002"},
        {32, 64, true, "9001000000000000 01000000", "9001000000000000 02000000"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        size_t n = i == 0 ? 18 : 50; /* 0x90 and 0x190 bits */
        struct kdf_field fields[] = {
            {.kind = KDF_BYTES, .bytes = BYTES("before", 6)},
            {KDF_LENGTH, cases[i].length_bits, cases[i].little_endian, 8 * n, NO_BYTES},
            {KDF_COUNTER, cases[i].counter_bits, cases[i].little_endian, 0, NO_BYTES},
            {.kind = KDF_BYTES, .bytes = NO_BYTES},
            {.kind = KDF_BYTES, .bytes = BYTES("after", 5)}};
        struct hex numbers[] = {unhex(cases[i].first), unhex(cases[i].second)};
        for (int block = 0; block < 2; block++) {
            struct bytes parts[] = {BYTES("before", 6), HEX_BYTES(numbers[block]),
                                    BYTES("after", 5)};
            assert_ok(soft_hmac(HASH_SHA256, key, parts, 3, expected + 32 * block));
        }
        assert_ok(counter_mode(HASH_SHA256, key, fields, 5, out, n));
        assert_memory_equal(out, expected, n);
    }
}

static void sp800_108_refuses(void **state)
{
    (void)state;
    static uint8_t out[32 * 256];
    struct bytes key = BYTES("a key", 5);
    const struct {
        struct kdf_field fields[3];
        size_t n_fields, n;
        CK_RV rv;
    } cases[] = {
        {{{.kind = KDF_BYTES}}, 1, 32, CKR_MECHANISM_PARAM_INVALID},
        {{{.kind = KDF_COUNTER, .bits = 0}}, 1, 32, CKR_MECHANISM_PARAM_INVALID},
        {{{.kind = KDF_COUNTER, .bits = 12}}, 1, 32, CKR_MECHANISM_PARAM_INVALID},
        {{{.kind = KDF_COUNTER, .bits = 40}}, 1, 32, CKR_MECHANISM_PARAM_INVALID},
        {{{.kind = KDF_COUNTER, .bits = 8}, {.kind = KDF_COUNTER, .bits = 8}},
         2,
         32,
         CKR_MECHANISM_PARAM_INVALID},
        {{{.kind = KDF_COUNTER, .bits = 8}, {.kind = KDF_LENGTH, .bits = 72}},
         2,
         32,
         CKR_MECHANISM_PARAM_INVALID},
        {{{.kind = KDF_COUNTER, .bits = 8},
          {.kind = KDF_LENGTH, .bits = 16},
          {.kind = KDF_LENGTH, .bits = 16}},
         3,
         32,
         CKR_MECHANISM_PARAM_INVALID},
        {{{.kind = KDF_COUNTER, .bits = 8}}, 1, 32 * 255, CKR_OK},
        {{{.kind = KDF_COUNTER, .bits = 8}}, 1, 32 * 255 + 1, CKR_KEY_SIZE_RANGE},
        {{{.kind = KDF_COUNTER, .bits = 8}, {.kind = KDF_CHAIN}},
         2,
         32,
         CKR_MECHANISM_PARAM_INVALID},
        {{{.kind = KDF_COUNTER, .bits = 8}, {.kind = KDF_LENGTH, .bits = 8, .length = 0xFF}},
         2,
         32,
         CKR_OK},
        {{{.kind = KDF_COUNTER, .bits = 8}, {.kind = KDF_LENGTH, .bits = 8, .length = 0x100}},
         2,
         32,
         CKR_KEY_SIZE_RANGE},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        assert_int_equal(
            counter_mode(HASH_SHA256, key, cases[i].fields, cases[i].n_fields, out, cases[i].n),
            cases[i].rv);
    assert_int_equal(counter_mode(HASH_SHA256, key, NULL, 0, out, 32), CKR_MECHANISM_PARAM_INVALID);
}

/* NIST CAVP, KBKDF800-108, FeedbackModeNOzeroiv: CTRLOCATION=AFTER_ITER, RLEN 32. */
static void feedback_cavs(void **state)
{
    (void)state;
    struct hex key = unhex("93f698e842eed75394d629d957e2e89c6e741f810b623c8b901e38376d068e7b");
    struct hex iv = unhex("9f575d9059d3e0c0803f08112f8a806de3c3471912cdf42b095388b14b33508e");
    struct hex fixed = unhex("53b89c18690e2057a1d167822e636de50be0018532c431f7f5e37f77139220d5"
                             "e042599ebe266af5767ee18cd2c5c19a1f0f80");
    struct kdf_field fields[] = {{.kind = KDF_CHAIN},
                                 {.kind = KDF_COUNTER, .bits = 32},
                                 {.kind = KDF_BYTES, .bytes = HEX_BYTES(fixed)}};
    uint8_t out[64];
    assert_ok(sp800_108(KDF_MODE_FEEDBACK, HASH_SHA256, HEX_BYTES(key), fields, 3, HEX_BYTES(iv),
                        out, sizeof(out)));
    assert_hex(out, "bd1476f43a4e315747cf5918e0ea5bc0d98769457477c3ab18b742def0e079a9"
                    "33b756365afb5541f253fee43c6fd788a44041038509e9eeb68f7d65ffbb5f95");
}

/* OpenSSL's feedback mode: K(i-1), 32-bit counter, label, NUL, context, 32-bit length. */
static void feedback_as_kbkdf(void **state)
{
    (void)state;
    struct bytes key = BYTES("a key", 5), label = BYTES("label", 5), context = BYTES("context", 7);
    for (enum hash h = HASH_SHA1; h < HASH_COUNT; h++)
        for (size_t n = 1; n < 200; n += 23) {
            uint8_t ours[200], theirs[200], iv[HASH_MAX];
            fill(iv, sizeof(iv), (uint32_t)n);
            struct bytes seed = BYTES(iv, hash_size(h)); /* OpenSSL's must be that long */
            struct kdf_field fields[] = {{.kind = KDF_CHAIN},
                                         {.kind = KDF_COUNTER, .bits = 32},
                                         {.kind = KDF_BYTES, .bytes = label},
                                         {.kind = KDF_BYTES, .bytes = BYTES("", 1)},
                                         {.kind = KDF_BYTES, .bytes = context},
                                         {.kind = KDF_LENGTH, .bits = 32, .length = 8 * n}};
            OSSL_PARAM p[] = {TEXT(OSSL_KDF_PARAM_MODE, "feedback"),
                              TEXT(OSSL_KDF_PARAM_MAC, "HMAC"),
                              DIGEST(h),
                              OCTETS(OSSL_KDF_PARAM_KEY, key),
                              OCTETS(OSSL_KDF_PARAM_SALT, label),
                              OCTETS(OSSL_KDF_PARAM_INFO, context),
                              OCTETS(OSSL_KDF_PARAM_SEED, seed),
                              OSSL_PARAM_END};
            evp_kdf("KBKDF", p, theirs, n);
            assert_ok(sp800_108(KDF_MODE_FEEDBACK, h, key, fields, 6, seed, ours, n));
            assert_memory_equal(ours, theirs, n);
        }
}

/* SP800-108r1, 4.3, by hand; with and without a counter. */
static void double_pipeline(void **state)
{
    (void)state;
    struct bytes key = BYTES("a key", 5), before = BYTES("before", 6), after = BYTES("after", 5);
    const struct kdf_field fields[] = {{.kind = KDF_BYTES, .bytes = before},
                                       {.kind = KDF_CHAIN},
                                       {.kind = KDF_BYTES, .bytes = after},
                                       {.kind = KDF_COUNTER, .bits = 16}};
    for (size_t counters = 0; counters <= 1; counters++) {
        uint8_t a[32], ours[90], expected[96];
        for (uint8_t i = 1; i <= 3; i++) {
            uint8_t number[] = {0, i};
            struct bytes chain = BYTES_OF(a), first[] = {before, after};
            struct bytes parts[] = {before, chain, after, BYTES_OF(number)};
            assert_ok(i == 1 ? soft_hmac(HASH_SHA256, key, first, 2, a)
                             : soft_hmac(HASH_SHA256, key, &chain, 1, a));
            assert_ok(soft_hmac(HASH_SHA256, key, parts, 3 + counters, expected + 32 * (i - 1)));
        }
        assert_ok(sp800_108(KDF_MODE_PIPELINE, HASH_SHA256, key, fields, 3 + counters, NO_BYTES,
                            ours, sizeof(ours)));
        assert_memory_equal(ours, expected, sizeof(ours));
    }
}

static void chained_modes_refuse(void **state)
{
    (void)state;
    uint8_t out[32];
    const struct kdf_field chain = {.kind = KDF_CHAIN}, counter = {.kind = KDF_COUNTER, .bits = 8};
    const struct kdf_field none[] = {counter}, twice[] = {chain, chain};
    const struct kdf_field counters[] = {chain, counter, counter};
    for (enum kdf_mode mode = KDF_MODE_FEEDBACK; mode <= KDF_MODE_PIPELINE; mode++) {
        struct bytes key = BYTES("key", 3);
        assert_int_equal(sp800_108(mode, HASH_SHA256, key, none, 1, NO_BYTES, out, 32),
                         CKR_MECHANISM_PARAM_INVALID);
        assert_int_equal(sp800_108(mode, HASH_SHA256, key, twice, 2, NO_BYTES, out, 32),
                         CKR_MECHANISM_PARAM_INVALID);
        assert_int_equal(sp800_108(mode, HASH_SHA256, key, counters, 3, NO_BYTES, out, 32),
                         CKR_MECHANISM_PARAM_INVALID);
        assert_ok(sp800_108(mode, HASH_SHA256, key, counters, 2, NO_BYTES, out, 32));
    }
}

/* The first: M. D'Errico, "Test vectors for TLS 1.2 PRF", IETF TLS mailing list; the others: NIST
 * CAVP, component testing, TLS v1.2 KDF (SHA-256): master secret and key block. */
static void tls12_prf_vectors(void **state)
{
    (void)state;
    const struct {
        const char *secret, *label, *seed[2], *output;
    } cases[] = {
        {"9bbe436ba940f017b17652849a71db35",
         "test label",
         {"a0ba9f936cda311827a6f796ffd5198c", ""},
         "e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a"
         "6b301791e90d35c9c9a46b4e14baf9af0fa022f7077def17abfd3797c0564bab"
         "4fbc91666e9def9b97fce34f796789baa48082d122ee42c5a72e5a5110fff701"
         "87347b66"},
        {"f8938ecc9edebc5030c0c6a441e213cd24e6f770a50dda07876f8d55da062bcadb386b411fd4fe4313a604fce"
         "6c17fbc",
         "master secret",
         {"36c129d01a3200894b9179faac589d9835d58775f9b5ea3587cb8fd0364cae8c",
          "f6c9575ed7ddd73e1f7d16eca115415812a43c2b747daaaae043abfb50053fce"},
         "202c88c00f84a17a20027079604787461176455539e705be730890602c289a5001e34eeb3a043e5d52a65e661"
         "25188bf"},
        {"202c88c00f84a17a20027079604787461176455539e705be730890602c289a5001e34eeb3a043e5d52a65e661"
         "25188bf",
         "key expansion",
         {"ae6c806f8ad4d80784549dff28a4b58fd837681a51d928c3e30ee5ff14f39868",
          "62e1fd91f23f558a605f28478c58cf72637b89784d959df7e946d3f07bd1b616"},
         "d06139889fffac1e3a71865f504aa5d0d2a2e89506c6f2279b670c3e1b74f531016a2530c51a3a0f7e1d6590d"
         "0f0566b2f387f8d11fd4f731cdd572d2eae927f6f2f81410b25e6960be68985add6c38445ad9f8c64bf8068bf"
         "9a6679485d966f1ad6f68b43495b10a683755ea2b858d70ccac7ec8b053c6bd41ca299d4e51928"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct hex secret = unhex(cases[i].secret), output = unhex(cases[i].output);
        struct hex client = unhex(cases[i].seed[0]), server = unhex(cases[i].seed[1]);
        struct bytes seed[] = {HEX_BYTES(client), HEX_BYTES(server)};
        uint8_t out[128];
        assert_ok(soft_tls12_prf(HASH_SHA256, HEX_BYTES(secret), BYTES_STR(cases[i].label), seed, 2,
                                 out, output.n));
        assert_memory_equal(out, output.p, output.n);
    }
}

static void tls12_prf_as_openssl(void **state)
{
    (void)state;
    uint8_t ours[150], theirs[150];
    struct bytes secret = BYTES("secret", 6), label = BYTES("label", 5);
    struct bytes seed[5] = {BYTES("s1", 2), BYTES("s2", 2), NO_BYTES, BYTES("s4", 2), NO_BYTES};
    for (enum hash h = HASH_SHA1; h < HASH_COUNT; h++) {
        OSSL_PARAM p[] = {DIGEST(h), OCTETS(OSSL_KDF_PARAM_SECRET, secret),
                          OCTETS(OSSL_KDF_PARAM_SEED, BYTES("labels1s2s4", 11)), OSSL_PARAM_END};
        for (size_t n = 1; n <= sizeof(ours); n += 7) {
            assert_ok(soft_tls12_prf(h, secret, label, seed, 4, ours, n));
            evp_kdf("TLS1-PRF", p, theirs, n);
            assert_memory_equal(ours, theirs, n);
        }
    }
    assert_int_equal(soft_tls12_prf(HASH_SHA256, secret, label, seed, 5, ours, 8),
                     CKR_ARGUMENTS_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hkdf_in_halves),       cmocka_unit_test(sp800_108_cavs),
        cmocka_unit_test(sp800_108_as_kbkdf),   cmocka_unit_test(sp800_108_fields_in_any_order),
        cmocka_unit_test(sp800_108_refuses),    cmocka_unit_test(feedback_cavs),
        cmocka_unit_test(feedback_as_kbkdf),    cmocka_unit_test(double_pipeline),
        cmocka_unit_test(chained_modes_refuse), cmocka_unit_test(tls12_prf_vectors),
        cmocka_unit_test(tls12_prf_as_openssl),
    };
    return run_soft_tests(tests);
}
