/* TLS 1.2's derivations against published vectors and OpenSSL's TLS1-PRF. */
#include "derive_test.h"

#include <stddef.h>

enum { MASTER = 48 };

static CK_SSL3_RANDOM_DATA randoms(struct bytes client, struct bytes server)
{
    return (CK_SSL3_RANDOM_DATA){(void *)(uintptr_t)client.p, client.n, (void *)(uintptr_t)server.p,
                                 server.n};
}

static uint8_t client_random[32], server_random[32], premaster[MASTER], session_hash[48];

static int start(void **state)
{
    fill(client_random, sizeof(client_random), 1);
    fill(server_random, sizeof(server_random), 2);
    fill(premaster, sizeof(premaster), 3);
    fill(session_hash, sizeof(session_hash), 4);
    return group_start(state);
}

static CK_SSL3_RANDOM_DATA some_randoms(void)
{
    return randoms(BYTES_OF(client_random), BYTES_OF(server_random));
}

/* PRF(secret, label || seed) by OpenSSL. */
static void evp_prf(enum hash h, struct bytes secret, const struct bytes *parts, size_t n_parts,
                    uint8_t *ret, size_t n)
{
    CLEANUP(buf_free) struct buf seed = {0};
    for (size_t i = 0; i < n_parts; i++)
        assert_ok(buf_bytes_append(&seed, parts[i]));
    const OSSL_PARAM p[] = {DIGEST(h), OCTETS(OSSL_KDF_PARAM_SECRET, secret),
                            OCTETS(OSSL_KDF_PARAM_SEED, seed), OSSL_PARAM_END};
    evp_kdf("TLS1-PRF", p, ret, n);
}

/* ---- published vectors --------------------------------------------------------------------- */

/* NIST CAVP, component testing (SP800-135), TLS v1.2 KDF, SHA-256, the first case. */
static const char cavp_premaster[] =
    "f8938ecc9edebc5030c0c6a441e213cd24e6f770a50dda07876f8d55da062bca"
    "db386b411fd4fe4313a604fce6c17fbc";
static const char cavp_client_hello[] =
    "36c129d01a3200894b9179faac589d9835d58775f9b5ea3587cb8fd0364cae8c";
static const char cavp_server_hello[] =
    "f6c9575ed7ddd73e1f7d16eca115415812a43c2b747daaaae043abfb50053fce";
static const char cavp_master[] = "202c88c00f84a17a20027079604787461176455539e705be730890602c289a50"
                                  "01e34eeb3a043e5d52a65e66125188bf";
static const char cavp_client_random[] =
    "62e1fd91f23f558a605f28478c58cf72637b89784d959df7e946d3f07bd1b616";
static const char cavp_server_random[] =
    "ae6c806f8ad4d80784549dff28a4b58fd837681a51d928c3e30ee5ff14f39868";
static const char cavp_key_block[] =
    "d06139889fffac1e3a71865f504aa5d0d2a2e89506c6f2279b670c3e1b74f531"
    "016a2530c51a3a0f7e1d6590d0f0566b2f387f8d11fd4f731cdd572d2eae927f"
    "6f2f81410b25e6960be68985add6c38445ad9f8c64bf8068bf9a6679485d966f"
    "1ad6f68b43495b10a683755ea2b858d70ccac7ec8b053c6bd41ca299d4e51928";

static void test_master_vector(void **state)
{
    (void)state;
    const struct hex base = unhex(cavp_premaster), master = unhex(cavp_master);
    const struct hex client = unhex(cavp_client_hello), server = unhex(cavp_server_hello);
    CK_VERSION version = {0, 0};
    CK_TLS12_MASTER_KEY_DERIVE_PARAMS p = {randoms(HEX(client), HEX(server)), &version, CKM_SHA256};
    struct derivation d = {.type = CKM_TLS12_MASTER_KEY_DERIVE,
                           .key = soft_key(CKK_GENERIC_SECRET, HEX(base)),
                           PARAMETER(p)};
    assert_derives(&d, HEX(master));
    assert_int_equal(version.major, 0xF8); /* the premaster secret's first two bytes */
    assert_int_equal(version.minor, 0x93);
    d.type = CKM_TLS12_MASTER_KEY_DERIVE_DH;
    p.pVersion = NULL;
    assert_derives(&d, HEX(master));
}

/* The whole block has 128 bytes: two MAC secrets of 20, two keys of 28, two IVs of 16. */
static void test_key_block_vector(void **state)
{
    (void)state;
    const struct hex master = unhex(cavp_master), block = unhex(cavp_key_block);
    const struct hex client = unhex(cavp_client_random), server = unhex(cavp_server_random);
    uint8_t iv[2][16];
    CK_SSL3_KEY_MAT_OUT out = {.pIVClient = iv[0], .pIVServer = iv[1]};
    const CK_TLS12_KEY_MAT_PARAMS p = {
        160, 224, 128, CK_FALSE, randoms(HEX(client), HEX(server)), &out, CKM_SHA256};
    struct derivation d = {.type = CKM_TLS12_KEY_AND_MAC_DERIVE,
                           .key = soft_key(CKK_GENERIC_SECRET, HEX(master)),
                           PARAMETER(p)};
    assert_derives(&d, HEX(block));
    d.want = 128;
    assert_derives(&d, HEX(block));
    d.type = CKM_TLS12_KEY_SAFE_DERIVE; /* never IVs */
    d.want = 0;
    assert_derives(&d, BYTES(block.p, 96));
}

/* M. D'Errico, "Test vectors for TLS 1.2 PRF", IETF TLS mailing list; the seed in two halves. */
static void test_prf_vector(void **state)
{
    (void)state;
    const struct hex secret = unhex("9bbe436ba940f017b17652849a71db35");
    const struct hex seed = unhex("a0ba9f936cda311827a6f796ffd5198c");
    const struct hex output =
        unhex("e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a"
              "6b301791e90d35c9c9a46b4e14baf9af0fa022f7077def17abfd3797c0564bab"
              "4fbc91666e9def9b97fce34f796789baa48082d122ee42c5a72e5a5110fff701"
              "87347b66");
    char label[] = "test label";
    const CK_TLS_KDF_PARAMS p = {.prfMechanism = CKM_SHA256,
                                 .pLabel = (CK_BYTE_PTR)label,
                                 .ulLabelLength = strlen(label),
                                 .RandomInfo = randoms(BYTES(seed.p, 8), BYTES(seed.p + 8, 8))};
    struct derivation d = {.type = CKM_TLS12_KDF,
                           .key = soft_key(CKK_GENERIC_SECRET, HEX(secret)),
                           PARAMETER(p),
                           .want = output.n};
    assert_derives(&d, HEX(output));
    d.type = CKM_TLS_KDF;
    assert_derives(&d, HEX(output));
}

/* ---- against OpenSSL ----------------------------------------------------------------------- */

static void test_extended_master(void **state)
{
    (void)state;
    for (enum hash h = HASH_SHA1; h < HASH_COUNT; h++) {
        uint8_t expected[MASTER];
        struct bytes hash = BYTES(session_hash, h == HASH_SHA384 ? 48 : 32);
        CK_VERSION version = {0, 0};
        CK_TLS12_EXTENDED_MASTER_KEY_DERIVE_PARAMS p = {hash_mechanism[h], session_hash, hash.n,
                                                        &version};
        struct derivation d = {.type = CKM_TLS12_EXTENDED_MASTER_KEY_DERIVE,
                               .key = soft_key(CKK_GENERIC_SECRET, BYTES_OF(premaster)),
                               PARAMETER(p)};
        const struct bytes parts[] = {BYTES_STR("extended master secret"), hash};
        evp_prf(h, d.key.value, parts, 2, expected, MASTER);
        assert_derives(&d, BYTES_OF(expected));
        assert_int_equal(version.major, premaster[0]);
        assert_int_equal(version.minor, premaster[1]);
        p.pVersion = NULL;
        assert_derives(&d, BYTES_OF(expected));
        d.type = CKM_TLS12_EXTENDED_MASTER_KEY_DERIVE_DH;
        assert_derives(&d, BYTES_OF(expected));
    }
}

/* A premaster secret of Diffie-Hellman has any length, also more than a hash's block. */
static void test_masters_of_diffie_hellman(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 32, 48, 66, 128, 129, 256, 512};
    uint8_t secret[512], expected[MASTER];
    fill(secret, sizeof(secret), 9);
    for (size_t i = 0; i < COUNT(sizes); i++)
        for (enum hash h = HASH_SHA1; h < HASH_COUNT; h++) {
            const CK_TLS12_MASTER_KEY_DERIVE_PARAMS p = {some_randoms(), NULL, hash_mechanism[h]};
            const struct derivation d = {.type = CKM_TLS12_MASTER_KEY_DERIVE_DH,
                                         .key =
                                             soft_key(CKK_GENERIC_SECRET, BYTES(secret, sizes[i])),
                                         PARAMETER(p),
                                         .want = MASTER};
            const struct bytes parts[] = {BYTES_STR("master secret"), BYTES_OF(client_random),
                                          BYTES_OF(server_random)};
            evp_prf(h, d.key.value, parts, 3, expected, MASTER);
            assert_derives(&d, BYTES_OF(expected));
        }
}

/* RFC 5705, 4: no context, an empty one and one of some bytes give three keys. */
static void test_exporter(void **state)
{
    (void)state;
    char label[] = "EXPORTER-of-a-test";
    uint8_t context[300];
    fill(context, sizeof(context), 6);
    static const struct {
        bool there;
        size_t n;
        uint8_t length[2];
    } contexts[] = {{false, 0, {0, 0}}, {true, 0, {0, 0}}, {true, 1, {0, 1}}, {true, 300, {1, 44}}};
    for (size_t i = 0; i < COUNT(contexts); i++)
        for (size_t n = 1; n < 200; n += 33) {
            uint8_t expected[200];
            const CK_TLS_KDF_PARAMS p = {CKM_SHA384,
                                         (CK_BYTE_PTR)label,
                                         strlen(label),
                                         some_randoms(),
                                         contexts[i].there ? context : NULL,
                                         contexts[i].n};
            const struct derivation d = {.type = CKM_TLS_KDF,
                                         .key = soft_key(CKK_GENERIC_SECRET, BYTES_OF(premaster)),
                                         PARAMETER(p),
                                         .want = n};
            const struct bytes parts[] = {BYTES_STR(label), BYTES_OF(client_random),
                                          BYTES_OF(server_random), BYTES_OF(contexts[i].length),
                                          BYTES(context, contexts[i].n)};
            evp_prf(HASH_SHA384, d.key.value, parts, contexts[i].there ? 5 : 3, expected, n);
            assert_derives(&d, BYTES(expected, n));
        }
}

/* What the token layer cuts the block by. */
static void test_sizes_of_the_key_block(void **state)
{
    (void)state;
    uint8_t iv[2][16], expected[200];
    CK_SSL3_KEY_MAT_OUT out = {.pIVClient = iv[0], .pIVServer = iv[1]};
    static const size_t sizes[][3] = {
        {20, 16, 16}, {32, 32, 16}, {0, 32, 4}, {48, 0, 0}, {20, 5, 0}};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        size_t mac = sizes[i][0], key = sizes[i][1], iv_n = sizes[i][2];
        const CK_TLS12_KEY_MAT_PARAMS p = {8 * mac,        8 * key, 8 * iv_n,  CK_FALSE,
                                           some_randoms(), &out,    CKM_SHA256};
        struct derivation d = {.type = CKM_TLS12_KEY_AND_MAC_DERIVE,
                               .key = soft_key(CKK_GENERIC_SECRET, BYTES_OF(premaster)),
                               PARAMETER(p)};
        const struct bytes parts[] = {BYTES_STR("key expansion"), BYTES_OF(server_random),
                                      BYTES_OF(client_random)};
        size_t n = 2 * (mac + key + iv_n);
        evp_prf(HASH_SHA256, d.key.value, parts, 3, expected, n);
        assert_derives(&d, BYTES(expected, n));
        assert_derives_not_with(n + 1, CKR_KEY_SIZE_RANGE, &d);
        assert_derives_not_with(n - 1, CKR_KEY_SIZE_RANGE, &d);
        struct mech_params params;
        assert_taken(row(d.type), &d.key, &p, sizeof(p), &params);
        assert_int_equal(params.derivation.mac_bits, 8 * mac);
        assert_int_equal(params.derivation.key_bits, 8 * key);
        assert_int_equal(params.derivation.iv_n, iv_n);
        assert_ptr_equal(params.derivation.material, &out);
        mech_params_free(&params);
        assert_taken(row(CKM_TLS12_KEY_SAFE_DERIVE), &d.key, &p, sizeof(p), &params);
        assert_int_equal(params.derivation.iv_n, 0);
        mech_params_free(&params);
    }
}

/* ---- finished ------------------------------------------------------------------------------ */

static CK_RV sign(CK_MECHANISM_TYPE type, const CK_TLS_MAC_PARAMS *p, const struct mech_key *key,
                  struct bytes a, struct bytes b, uint8_t *ret)
{
    const struct mech *m = row(type);
    struct mech_params params;
    CLEANUP(mech_stream_free) struct mech_stream s = {0};
    assert_taken(m, key, p, sizeof(*p), &params);
    assert_int_equal(mech_output_size(m, &params, key), p->ulMacLength);
    const struct mech_call call = {.mech = m, .params = &params, .key = key, .tpm = fx.tpm};
    CK_RV rv = m->mac->start(&call, &s);
    if (rv == CKR_OK)
        rv = m->mac->update(&call, &s, a);
    if (rv == CKR_OK)
        rv = m->mac->update(&call, &s, b);
    if (rv == CKR_OK)
        rv = m->mac->final(&call, &s, ret);
    mech_params_free(&params);
    return rv;
}

/* RFC 5246, 7.4.9, by OpenSSL's PRF; the data in one part and in two. */
static void test_finished(void **state)
{
    (void)state;
    static const CK_MECHANISM_TYPE types[] = {CKM_TLS12_MAC, CKM_TLS_MAC};
    static const char *const labels[] = {"", "server finished", "client finished"};
    const struct mech_key key = soft_key(CKK_GENERIC_SECRET, BYTES_OF(premaster));
    uint8_t ours[64], theirs[64];
    for (enum hash h = HASH_SHA1; h < HASH_COUNT; h++)
        for (CK_ULONG side = 1; side <= 2; side++)
            for (CK_ULONG n = 12; n <= sizeof(ours); n += 13) {
                const CK_TLS_MAC_PARAMS p = {hash_mechanism[h], n, side};
                const struct bytes parts[] = {BYTES_STR(labels[side]), BYTES(session_hash, 32)};
                evp_prf(h, key.value, parts, 2, theirs, n);
                assert_ok(sign(types[n % 2], &p, &key, parts[1], NO_BYTES, ours));
                assert_memory_equal(ours, theirs, n);
                assert_ok(sign(types[(n + 1) % 2], &p, &key, BYTES(session_hash, 5),
                               BYTES(session_hash + 5, 27), ours));
                assert_memory_equal(ours, theirs, n);
                mark_checked(types[n % 2]);
            }
}

static void test_finished_parameters(void **state)
{
    (void)state;
    const CK_TLS_MAC_PARAMS good = {CKM_SHA256, 12, 1};
    const CK_TLS_MAC_PARAMS bad[] = {{CKM_TLS_PRF, 12, 1}, {CKM_SHA256, 11, 1},
                                     {CKM_SHA256, 65, 1},  {CKM_SHA256, 0, 1},
                                     {CKM_SHA256, 12, 0},  {CKM_SHA256, 12, 3}};
    assert_length_matters(CKM_TLS_MAC, &good, sizeof(good));
    assert_length_matters(CKM_TLS12_MAC, &good, sizeof(good));
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_refused(row(CKM_TLS_MAC), NULL, &bad[i], sizeof(bad[i]));
}

static void test_finished_fails(void **state)
{
    (void)state;
    static uint8_t much[65536];
    uint8_t mac[12];
    struct pair pair;
    const CK_TLS_MAC_PARAMS p = {CKM_SHA256, 12, 1};
    struct mech_key key = soft_key(CKK_GENERIC_SECRET, BYTES_OF(premaster));
    assert_ok(sign(CKM_TLS_MAC, &p, &key, BYTES_OF(much), NO_BYTES, mac));
    assert_rv(CKR_DATA_LEN_RANGE, sign(CKM_TLS_MAC, &p, &key, BYTES_OF(much), BYTES(much, 1), mac));
    key = in_tpm(CKK_GENERIC_SECRET, BYTES_OF(premaster), &pair);
    assert_rv(CKR_KEY_FUNCTION_NOT_PERMITTED,
              sign(CKM_TLS_MAC, &p, &key, BYTES_OF(much), NO_BYTES, mac));
    pair_free(&pair);
}

/* ---- what is refused ----------------------------------------------------------------------- */

static void test_lengths(void **state)
{
    (void)state;
    CK_VERSION version = {7, 7};
    const CK_TLS12_MASTER_KEY_DERIVE_PARAMS p = {some_randoms(), &version, CKM_SHA256};
    struct derivation d = {.type = CKM_TLS12_MASTER_KEY_DERIVE,
                           .key = soft_key(CKK_GENERIC_SECRET, BYTES_OF(premaster)),
                           PARAMETER(p)};
    assert_derives_not_with(47, CKR_KEY_SIZE_RANGE, &d);
    assert_derives_not_with(49, CKR_KEY_SIZE_RANGE, &d);
    d.key.value = BYTES(premaster, 47);
    assert_derives_not(CKR_KEY_SIZE_RANGE, &d);
    assert_int_equal(version.major, 7); /* untouched on failure */
    assert_int_equal(version.minor, 7);
    const CK_TLS_KDF_PARAMS kdf = {.prfMechanism = CKM_SHA256, .RandomInfo = some_randoms()};
    d.type = CKM_TLS_KDF;
    d.parameter = &kdf;
    d.parameter_n = sizeof(kdf);
    assert_derives_not_with(0, CKR_TEMPLATE_INCOMPLETE, &d);
    assert_derives_not_with(65537, CKR_KEY_SIZE_RANGE, &d);
}

static void refuse_randoms(CK_MECHANISM_TYPE type, void *parameter, size_t n, size_t at)
{
    const CK_SSL3_RANDOM_DATA good = some_randoms();
    CK_SSL3_RANDOM_DATA bad[] = {good, good, good, good, good, good};
    bad[0].pClientRandom = NULL;
    bad[1].pServerRandom = NULL;
    bad[2].ulClientRandomLen = 0;
    bad[3].ulServerRandomLen = 0;
    bad[4].ulClientRandomLen = 65537;
    bad[5].ulServerRandomLen = SIZE_MAX;
    for (size_t i = 0; i < COUNT(bad); i++) {
        memcpy((char *)parameter + at, &bad[i], sizeof(bad[i]));
        assert_refused(row(type), NULL, parameter, n);
    }
    memcpy((char *)parameter + at, &good, sizeof(good));
}

static void test_master_parameters(void **state)
{
    (void)state;
    CK_VERSION version;
    static const CK_MECHANISM_TYPE types[] = {CKM_TLS12_MASTER_KEY_DERIVE,
                                              CKM_TLS12_MASTER_KEY_DERIVE_DH};
    for (size_t i = 0; i < COUNT(types); i++) {
        CK_TLS12_MASTER_KEY_DERIVE_PARAMS p = {some_randoms(), NULL, CKM_SHA256};
        assert_length_matters(types[i], &p, sizeof(p));
        refuse_randoms(types[i], &p, sizeof(p),
                       offsetof(CK_TLS12_MASTER_KEY_DERIVE_PARAMS, RandomInfo));
        p.prfHashMechanism = CKM_MD5;
        assert_refused(row(types[i]), NULL, &p, sizeof(p));
        p.prfHashMechanism = CKM_TLS_PRF; /* TLS 1.0's and 1.1's */
        assert_refused(row(types[i]), NULL, &p, sizeof(p));
    }
    const CK_TLS12_MASTER_KEY_DERIVE_PARAMS p = {some_randoms(), &version, CKM_SHA256};
    assert_refused(row(CKM_TLS12_MASTER_KEY_DERIVE_DH), NULL, &p, sizeof(p));
}

static void test_extended_master_parameters(void **state)
{
    (void)state;
    CK_VERSION version;
    static const CK_MECHANISM_TYPE types[] = {CKM_TLS12_EXTENDED_MASTER_KEY_DERIVE,
                                              CKM_TLS12_EXTENDED_MASTER_KEY_DERIVE_DH};
    const CK_TLS12_EXTENDED_MASTER_KEY_DERIVE_PARAMS good = {CKM_SHA256, session_hash, 32, NULL};
    const CK_TLS12_EXTENDED_MASTER_KEY_DERIVE_PARAMS bad[] = {
        {CKM_MD5, session_hash, 32, NULL},
        {CKM_SHA256, NULL, 32, NULL},
        {CKM_SHA256, session_hash, 0, NULL},
        {CKM_SHA256, session_hash, 65537, NULL}};
    for (size_t i = 0; i < COUNT(types); i++) {
        assert_length_matters(types[i], &good, sizeof(good));
        for (size_t k = 0; k < COUNT(bad); k++)
            assert_refused(row(types[i]), NULL, &bad[k], sizeof(bad[k]));
    }
    const CK_TLS12_EXTENDED_MASTER_KEY_DERIVE_PARAMS p = {CKM_SHA256, session_hash, 32, &version};
    assert_refused(row(CKM_TLS12_EXTENDED_MASTER_KEY_DERIVE_DH), NULL, &p, sizeof(p));
}

static void test_key_and_mac_parameters(void **state)
{
    (void)state;
    static const CK_MECHANISM_TYPE types[] = {CKM_TLS12_KEY_AND_MAC_DERIVE,
                                              CKM_TLS12_KEY_SAFE_DERIVE};
    uint8_t iv[16];
    CK_SSL3_KEY_MAT_OUT out = {.pIVClient = iv, .pIVServer = iv};
    CK_SSL3_KEY_MAT_OUT no_client = {.pIVServer = iv}, no_server = {.pIVClient = iv};
    const CK_SSL3_RANDOM_DATA r = some_randoms();
    CK_TLS12_KEY_MAT_PARAMS good = {160, 128, 128, CK_FALSE, r, &out, CKM_SHA256};
    const CK_TLS12_KEY_MAT_PARAMS bad[] = {{161, 128, 0, CK_FALSE, r, &out, CKM_SHA256},
                                           {160, 127, 0, CK_FALSE, r, &out, CKM_SHA256},
                                           {0, 0, 0, CK_FALSE, r, &out, CKM_SHA256},
                                           {160, 128, 0, CK_TRUE, r, &out, CKM_SHA256},
                                           {160, 128, 0, CK_FALSE, r, NULL, CKM_SHA256},
                                           {160, 128, 0, CK_FALSE, r, &out, CKM_MD5},
                                           {8200, 128, 0, CK_FALSE, r, &out, CKM_SHA256},
                                           {160, (CK_ULONG)-8, 0, CK_FALSE, r, &out, CKM_SHA256}};
    const CK_TLS12_KEY_MAT_PARAMS bad_iv[] = {
        {160, 128, 8, CK_FALSE, r, &no_client, CKM_SHA256},
        {160, 128, 8, CK_FALSE, r, &no_server, CKM_SHA256},
        {160, 128, 7, CK_FALSE, r, &out, CKM_SHA256},
        {0, 0, 128, CK_FALSE, r, &out, CKM_SHA256}, /* nothing but a look at the block */
        {160, 128, 8200, CK_FALSE, r, &out, CKM_SHA256}};
    for (size_t i = 0; i < COUNT(types); i++) {
        assert_length_matters(types[i], &good, sizeof(good));
        refuse_randoms(types[i], &good, sizeof(good),
                       offsetof(CK_TLS12_KEY_MAT_PARAMS, RandomInfo));
        for (size_t k = 0; k < COUNT(bad); k++)
            assert_refused(row(types[i]), NULL, &bad[k], sizeof(bad[k]));
    }
    for (size_t k = 0; k < COUNT(bad_iv); k++)
        assert_refused(row(CKM_TLS12_KEY_AND_MAC_DERIVE), NULL, &bad_iv[k], sizeof(bad_iv[k]));
}

static void test_kdf_parameters(void **state)
{
    (void)state;
    static const CK_MECHANISM_TYPE types[] = {CKM_TLS12_KDF, CKM_TLS_KDF};
    const CK_SSL3_RANDOM_DATA r = some_randoms();
    uint8_t some[8] = {0};
    CK_TLS_KDF_PARAMS good = {CKM_SHA256, some, 8, r, some, 8};
    const CK_TLS_KDF_PARAMS bad[] = {{CKM_TLS_PRF, some, 8, r, some, 8},
                                     {CKM_SHA256, NULL, 8, r, some, 8},
                                     {CKM_SHA256, some, 65537, r, some, 8},
                                     {CKM_SHA256, some, 8, r, NULL, 8},
                                     {CKM_SHA256, some, 8, r, some, 65536}};
    for (size_t i = 0; i < COUNT(types); i++) {
        assert_length_matters(types[i], &good, sizeof(good));
        refuse_randoms(types[i], &good, sizeof(good), offsetof(CK_TLS_KDF_PARAMS, RandomInfo));
        for (size_t k = 0; k < COUNT(bad); k++)
            assert_refused(row(types[i]), NULL, &bad[k], sizeof(bad[k]));
    }
}

static void test_keys_in_the_tpm(void **state)
{
    (void)state;
    struct pair pair;
    CK_VERSION version;
    const CK_TLS12_MASTER_KEY_DERIVE_PARAMS p = {some_randoms(), &version, CKM_SHA256};
    struct derivation d = {.type = CKM_TLS12_MASTER_KEY_DERIVE,
                           .key = in_tpm(CKK_GENERIC_SECRET, BYTES_OF(premaster), &pair),
                           PARAMETER(p)};
    assert_derives_not(CKR_KEY_FUNCTION_NOT_PERMITTED, &d);
    const CK_TLS_KDF_PARAMS kdf = {.prfMechanism = CKM_SHA256, .RandomInfo = some_randoms()};
    d.type = CKM_TLS_KDF;
    d.parameter = &kdf;
    d.parameter_n = sizeof(kdf);
    assert_derives_not_with(32, CKR_KEY_FUNCTION_NOT_PERMITTED, &d);
    pair_free(&pair);
}

static void test_every_mechanism_was_checked(void **state)
{
    (void)state;
    assert_all_checked(tls_covered, COUNT(tls_covered));
    for (size_t i = 0; i < COUNT(tls_covered); i++) {
        assert_true(mech_takes_key(row(tls_covered[i]), CKK_GENERIC_SECRET));
        assert_false(mech_takes_key(row(tls_covered[i]), CKK_AES));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TPM_TEST(test_master_vector),
        TPM_TEST(test_key_block_vector),
        TPM_TEST(test_prf_vector),
        TPM_TEST(test_extended_master),
        TPM_TEST(test_masters_of_diffie_hellman),
        TPM_TEST(test_exporter),
        TPM_TEST(test_sizes_of_the_key_block),
        TPM_TEST(test_finished),
        TPM_TEST(test_finished_parameters),
        TPM_TEST(test_finished_fails),
        TPM_TEST(test_lengths),
        TPM_TEST(test_master_parameters),
        TPM_TEST(test_extended_master_parameters),
        TPM_TEST(test_key_and_mac_parameters),
        TPM_TEST(test_kdf_parameters),
        TPM_TEST(test_keys_in_the_tpm),
        cmocka_unit_test(test_every_mechanism_was_checked),
    };
    return cmocka_run_group_tests_name("mech/tls", tests, start, group_stop);
}
