/* EC mechanisms over a TPM key, against libcrypto. */
#include "mech_test.h"

#include <openssl/ecdsa.h>
#include <openssl/kdf.h>

static const char *const group[CURVE_COUNT] = {
    [CURVE_P224] = "P-224", [CURVE_P256] = "P-256", [CURVE_P384] = "P-384", [CURVE_P521] = "P-521"};

/* One key a curve of this TPM. */
static struct key {
    bool there;
    struct pair pair;
    struct soft_key *public_;
    EVP_PKEY *evp;
    size_t n; /* bytes of a coordinate */
} keys[CURVE_COUNT];

static EVP_PKEY *evp_public(enum curve c, struct bytes point)
{
    EVP_PKEY *ret = NULL;
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME,
                                                            (char *)(uintptr_t)group[c], 0),
                           OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY,
                                                             (void *)(uintptr_t)point.p, point.n),
                           OSSL_PARAM_END};
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
    assert_int_equal(EVP_PKEY_fromdata(ctx, &ret, EVP_PKEY_PUBLIC_KEY, params), 1);
    EVP_PKEY_CTX_free(ctx);
    return ret;
}

static int start(void **state)
{
    struct tpm_caps caps;
    if (group_start(state) != 0 || test_start(state) != 0 || tpm_get_caps(fx.tpm, &caps) != CKR_OK)
        return -1;
    for (int c = CURVE_P224; c < CURVE_COUNT; c++) {
        struct key *key = &keys[c];
        struct mech_pair_wanted wanted = {.parent = srk(), .curve = (enum curve)c};
        if (!(caps.curves & 1u << c))
            continue;
        fill(key->pair.auth, sizeof(key->pair.auth), (uint32_t)c);
        wanted.auth = BYTES_OF(key->pair.auth);
        assert_ok(row(CKM_EC_KEY_PAIR_GEN)->generate_pair(fx.tpm, &wanted, &key->pair.made));
        key->n = curve_field_size((enum curve)c);
        assert_ok(soft_key_ec((enum curve)c, buf_bytes(&key->pair.made.point), &key->public_));
        key->evp = evp_public((enum curve)c, buf_bytes(&key->pair.made.point));
        key->there = true;
    }
    assert_true(keys[CURVE_P256].there && keys[CURVE_P384].there && keys[CURVE_P521].there);
    mark_checked(CKM_EC_KEY_PAIR_GEN);
    return test_stop(state);
}

static int stop(void **state)
{
    for (int c = CURVE_P224; c < CURVE_COUNT; c++) {
        pair_free(&keys[c].pair);
        soft_key_free(&keys[c].public_);
        EVP_PKEY_free(keys[c].evp);
    }
    return group_stop(state);
}

struct use {
    struct mech_key key;
    struct mech_params params;
    struct mech_call call;
};

static struct use *use(CK_MECHANISM_TYPE type, int c)
{
    static struct use u;
    mech_params_free(&u.params);
    pair_key(&keys[c].pair);
    u = (struct use){.key = {.type = CKK_EC,
                             .curve = (enum curve)c,
                             .public_ = keys[c].public_,
                             .tpm_key = &keys[c].pair.key}};
    u.call =
        (struct mech_call){.mech = row(type), .params = &u.params, .key = &u.key, .tpm = fx.tpm};
    return &u;
}

#define FOR_EACH_CURVE(c)                                                                          \
    for (int c = CURVE_P224; c < CURVE_COUNT; c++)                                                 \
        if (keys[c].there)

/* ---- ECDSA --------------------------------------------------------------------------------- */

static bool evp_verifies(const struct key *key, struct bytes digest, const uint8_t *rs)
{
    ECDSA_SIG *sig = ECDSA_SIG_new();
    uint8_t *der = NULL;
    ECDSA_SIG_set0(sig, BN_bin2bn(rs, (int)key->n, NULL),
                   BN_bin2bn(rs + key->n, (int)key->n, NULL));
    int n = i2d_ECDSA_SIG(sig, &der);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key->evp, NULL);
    assert_int_equal(EVP_PKEY_verify_init(ctx), 1);
    bool ok = EVP_PKEY_verify(ctx, der, (size_t)n, digest.p, digest.n) == 1;
    EVP_PKEY_CTX_free(ctx);
    OPENSSL_free(der);
    ECDSA_SIG_free(sig);
    return ok;
}

static void ecdsa(CK_MECHANISM_TYPE type, int c, struct bytes digest)
{
    uint8_t signature[132];
    struct use *u = use(type, c);
    size_t n = mech_output_size(u->call.mech, &u->params, &u->key);
    assert_int_equal(n, 2 * keys[c].n);
    assert_ok(u->call.mech->sign(&u->call, digest, signature));
    assert_true(evp_verifies(&keys[c], digest, signature));
    assert_ok(u->call.mech->verify(&u->call, digest, BYTES(signature, n)));
    mark_checked(type);
}

static void test_ecdsa_of_every_length(void **state)
{
    (void)state;
    uint8_t digest[64];
    FOR_EACH_CURVE(c)
    for (size_t n = 1; n <= sizeof(digest); n++) {
        fill(digest, sizeof(digest), (uint32_t)(n * 8) + (uint32_t)c);
        digest[0] = n % 3 ? 0xFF : 0; /* above the order; with leading zeros */
        ecdsa(CKM_ECDSA, c, BYTES(digest, n));
    }
}

/* X9.62 takes the leftmost bits of longer data; only P-521 has an order beyond what a TPM takes. */
static void test_ecdsa_of_long_data(void **state)
{
    (void)state;
    uint8_t data[200], signature[132];
    fill(data, sizeof(data), 3);
    FOR_EACH_CURVE(c)
    for (size_t n = 65; n <= sizeof(data); n += 27) {
        struct use *u = use(CKM_ECDSA, c);
        if (c == CURVE_P521) {
            assert_rv(CKR_DATA_LEN_RANGE, u->call.mech->sign(&u->call, BYTES(data, n), signature));
            continue;
        }
        ecdsa(CKM_ECDSA, c, BYTES(data, n));
    }
    struct use *u = use(CKM_ECDSA, CURVE_P256);
    assert_rv(CKR_DATA_LEN_RANGE, u->call.mech->sign(&u->call, NO_BYTES, signature));
    assert_rv(CKR_DATA_LEN_RANGE, u->call.mech->verify(&u->call, NO_BYTES, BYTES(signature, 64)));
}

static void test_ecdsa_with_hash(void **state)
{
    (void)state;
    static const CK_MECHANISM_TYPE types[] = {
        CKM_ECDSA_SHA1,     CKM_ECDSA_SHA224,   CKM_ECDSA_SHA256,
        CKM_ECDSA_SHA384,   CKM_ECDSA_SHA512,   CKM_ECDSA_SHA3_224,
        CKM_ECDSA_SHA3_256, CKM_ECDSA_SHA3_384, CKM_ECDSA_SHA3_512};
    uint8_t digest[HASH_MAX];
    FOR_EACH_CURVE(c)
    for (size_t i = 0; i < COUNT(types); i++) {
        fill(digest, sizeof(digest), (uint32_t)i);
        ecdsa(types[i], c, BYTES(digest, hash_size(row(types[i])->hash)));
    }
}

/* R and S are as long as the order, whatever they begin with: of 600 signatures some are short. */
static void test_short_numbers_are_padded(void **state)
{
    (void)state;
    uint8_t digest[32], signature[64];
    unsigned padded = 0;
    struct use *u = use(CKM_ECDSA, CURVE_P256);
    for (uint32_t i = 0; i < 600; i++) {
        fill(digest, sizeof(digest), i);
        assert_ok(u->call.mech->sign(&u->call, BYTES_OF(digest), signature));
        assert_true(evp_verifies(&keys[CURVE_P256], BYTES_OF(digest), signature));
        padded += signature[0] == 0 || signature[32] == 0;
    }
    if (padded == 0)
        print_message("none of 600 signatures had a short number (1 run in 100)\n");
}

static void test_changed_signatures(void **state)
{
    (void)state;
    uint8_t digest[32] = {1}, signature[132];
    FOR_EACH_CURVE(c)
    {
        struct use *u = use(CKM_ECDSA, c);
        size_t n = 2 * keys[c].n;
        assert_ok(u->call.mech->sign(&u->call, BYTES_OF(digest), signature));
        for (size_t at = 0; at < n; at++) {
            signature[at] ^= 1;
            assert_rv(CKR_SIGNATURE_INVALID,
                      u->call.mech->verify(&u->call, BYTES_OF(digest), BYTES(signature, n)));
            signature[at] ^= 1;
        }
        memset(signature, 0, n);
        assert_rv(CKR_SIGNATURE_INVALID,
                  u->call.mech->verify(&u->call, BYTES_OF(digest), BYTES(signature, n)));
    }
}

/* ---- ECDH ---------------------------------------------------------------------------------- */

struct peer {
    EVP_PKEY *evp;
    uint8_t point[133];
    size_t n;
};

static struct peer peer_make(int c)
{
    struct peer p = {.evp = EVP_EC_gen(group[c])};
    assert_non_null(p.evp);
    assert_int_equal(EVP_PKEY_get_octet_string_param(p.evp, OSSL_PKEY_PARAM_PUB_KEY, p.point,
                                                     sizeof(p.point), &p.n),
                     1);
    assert_int_equal(p.point[0], 4);
    return p;
}

static size_t evp_derive(EVP_PKEY *own, EVP_PKEY *peer, uint8_t *ret, size_t room)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(own, NULL);
    assert_int_equal(EVP_PKEY_derive_init(ctx), 1);
    assert_int_equal(EVP_PKEY_derive_set_peer(ctx, peer), 1);
    assert_int_equal(EVP_PKEY_derive(ctx, ret, &room), 1);
    EVP_PKEY_CTX_free(ctx);
    return room;
}

static void evp_x963(enum hash h, struct bytes z, struct bytes shared, uint8_t *ret, size_t n)
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "X963KDF", NULL);
    EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)(uintptr_t)hash_name[h], 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)z.p, z.n),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)shared.p,
                                          shared.n),
        OSSL_PARAM_END};
    assert_int_equal(EVP_KDF_derive(ctx, ret, n, params), 1);
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
}

static struct use *use_ecdh(CK_MECHANISM_TYPE type, int c, CK_ULONG kdf, struct bytes shared,
                            struct bytes point)
{
    struct use *u = use(type, c);
    const CK_ECDH1_DERIVE_PARAMS p = {kdf, shared.n, (CK_BYTE *)(uintptr_t)shared.p, point.n,
                                      (CK_BYTE *)(uintptr_t)point.p};
    assert_taken(u->call.mech, &u->key, &p, sizeof(p), &u->params);
    return u;
}

static void test_ecdh_without_kdf(void **state)
{
    (void)state;
    static const CK_MECHANISM_TYPE types[] = {CKM_ECDH1_DERIVE, CKM_ECDH1_COFACTOR_DERIVE};
    FOR_EACH_CURVE(c)
    for (size_t i = 0; i < COUNT(types); i++)
        for (int round = 0; round < 4; round++) {
            CLEANUP(buf_free) struct buf der = {0};
            uint8_t z[66];
            struct peer peer = peer_make(c);
            size_t n = evp_derive(peer.evp, keys[c].evp, z, sizeof(z));
            assert_int_equal(n, keys[c].n);
            assert_ok(soft_octet_string(BYTES(peer.point, peer.n), &der));
            const struct bytes forms[] = {BYTES(peer.point, peer.n), buf_bytes(&der)};
            for (size_t f = 0; f < COUNT(forms); f++)
                for (size_t want = 0; want <= n; want += 1 + n / 3) {
                    CLEANUP(secret_free) struct secret key = {0};
                    struct use *u = use_ecdh(types[i], c, CKD_NULL, NO_BYTES, forms[f]);
                    assert_ok(u->call.mech->derive(&u->call, want, &key));
                    assert_int_equal(key.n, want ? want : n);
                    /* 2.40, 2.3.5: bytes are taken away from the leading end */
                    assert_memory_equal(key.p, z + n - key.n, key.n);
                }
            struct secret key = {0};
            struct use *u = use_ecdh(types[i], c, CKD_NULL, NO_BYTES, forms[0]);
            assert_rv(CKR_KEY_SIZE_RANGE, u->call.mech->derive(&u->call, n + 1, &key));
            EVP_PKEY_free(peer.evp);
            mark_checked(types[i]);
        }
}

static void test_ecdh_with_every_kdf(void **state)
{
    (void)state;
    static const struct {
        CK_ULONG kdf;
        enum hash hash;
    } kdfs[] = {{CKD_SHA1_KDF, HASH_SHA1},
                {CKD_SHA224_KDF, HASH_SHA224},
                {CKD_SHA256_KDF, HASH_SHA256},
                {CKD_SHA384_KDF, HASH_SHA384},
                {CKD_SHA512_KDF, HASH_SHA512}};
    static const size_t lengths[] = {1, 16, 20, 21, 32, 64, 65, 200, 1000};
    uint8_t z[66], shared[100], expected[1000];
    fill(shared, sizeof(shared), 21);
    FOR_EACH_CURVE(c)
    {
        struct peer peer = peer_make(c);
        size_t n = evp_derive(peer.evp, keys[c].evp, z, sizeof(z));
        for (size_t i = 0; i < COUNT(kdfs); i++)
            for (size_t l = 0; l < COUNT(lengths); l++) {
                CLEANUP(secret_free) struct secret key = {0};
                struct bytes info = BYTES(shared, l * 12);
                struct use *u =
                    use_ecdh(CKM_ECDH1_DERIVE, c, kdfs[i].kdf, info, BYTES(peer.point, peer.n));
                assert_ok(u->call.mech->derive(&u->call, lengths[l], &key));
                evp_x963(kdfs[i].hash, BYTES(z, n), info, expected, lengths[l]);
                assert_int_equal(key.n, lengths[l]);
                assert_memory_equal(key.p, expected, lengths[l]);
            }
        struct secret key = {0};
        struct use *u =
            use_ecdh(CKM_ECDH1_DERIVE, c, CKD_SHA256_KDF, NO_BYTES, BYTES(peer.point, peer.n));
        assert_rv(CKR_TEMPLATE_INCOMPLETE, u->call.mech->derive(&u->call, 0, &key));
        EVP_PKEY_free(peer.evp);
    }
}

/* Points that are none: the TPM is not asked. */
static void test_bad_points(void **state)
{
    (void)state;
    uint8_t bad[200];
    FOR_EACH_CURVE(c)
    {
        struct peer peer = peer_make(c);
        struct secret key = {0};
        tap_clear();
        for (size_t n = 1; n < sizeof(bad); n++) {
            memset(bad, 4, sizeof(bad));
            memcpy(bad, peer.point, n < peer.n ? n : peer.n);
            if (n == peer.n)
                bad[peer.n - 1] ^= 1; /* off the curve */
            struct use *u = use_ecdh(CKM_ECDH1_DERIVE, c, CKD_NULL, NO_BYTES, BYTES(bad, n));
            assert_rv(CKR_MECHANISM_PARAM_INVALID, u->call.mech->derive(&u->call, 0, &key));
        }
        memset(bad, 0, sizeof(bad));
        bad[0] = 4; /* (0, 0) */
        struct use *u = use_ecdh(CKM_ECDH1_DERIVE, c, CKD_NULL, NO_BYTES, BYTES(bad, peer.n));
        assert_rv(CKR_MECHANISM_PARAM_INVALID, u->call.mech->derive(&u->call, 0, &key));
        memcpy(bad, peer.point, peer.n);
        bad[0] = 2; /* a compressed one's first byte */
        u = use_ecdh(CKM_ECDH1_DERIVE, c, CKD_NULL, NO_BYTES, BYTES(bad, peer.n));
        assert_rv(CKR_MECHANISM_PARAM_INVALID, u->call.mech->derive(&u->call, 0, &key));
        assert_int_equal(tap_commands(), 0);
        EVP_PKEY_free(peer.evp);
    }
    /* of another curve */
    struct peer p384 = peer_make(CURVE_P384);
    struct secret key = {0};
    struct use *u =
        use_ecdh(CKM_ECDH1_DERIVE, CURVE_P256, CKD_NULL, NO_BYTES, BYTES(p384.point, p384.n));
    assert_rv(CKR_MECHANISM_PARAM_INVALID, u->call.mech->derive(&u->call, 0, &key));
    EVP_PKEY_free(p384.evp);
}

static void test_ecdh_parameters(void **state)
{
    (void)state;
    const struct mech *m = row(CKM_ECDH1_DERIVE);
    const struct mech_key key = {.type = CKK_EC, .curve = CURVE_P256};
    uint8_t point[65] = {4}, shared[9] = "shared", room[sizeof(CK_ECDH1_DERIVE_PARAMS) + 9] = {0};
    const CK_ECDH1_DERIVE_PARAMS good = {CKD_SHA256_KDF, sizeof(shared), shared, sizeof(point),
                                         point};
    struct mech_params params;
    memcpy(room, &good, sizeof(good));
    for (size_t n = 0; n < sizeof(room); n++)
        if (n != sizeof(good))
            assert_refused(m, &key, room, n);
    assert_refused(m, &key, NULL, sizeof(good));
    memcpy(room + 1, &good, sizeof(good)); /* unaligned */
    assert_taken(m, &key, room + 1, sizeof(good), &params);
    assert_int_equal(params.kdf, HASH_SHA256);
    assert_true(bytes_equal(buf_bytes(&params.shared), BYTES_OF(shared)));
    assert_true(bytes_equal(buf_bytes(&params.peer), BYTES_OF(point)));
    mech_params_free(&params);
    const CK_ECDH1_DERIVE_PARAMS bad[] = {
        {0, 0, NULL, sizeof(point), point},
        {99, 0, NULL, sizeof(point), point},
        {CK_UNAVAILABLE_INFORMATION, 0, NULL, sizeof(point), point},
        {CKD_NULL, 0, NULL, sizeof(point), NULL},
        {CKD_NULL, 0, NULL, 257, point},
        {CKD_NULL, 0, NULL, CK_UNAVAILABLE_INFORMATION, point},
        {CKD_NULL, sizeof(shared), shared, sizeof(point), point}, /* 2.40, 2.3.5 */
        {CKD_SHA256_KDF, sizeof(shared), NULL, sizeof(point), point},
        {CKD_SHA256_KDF, 65537, shared, sizeof(point), point},
        {CKD_SHA256_KDF, CK_UNAVAILABLE_INFORMATION, shared, sizeof(point), point},
    };
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_refused(m, &key, &bad[i], sizeof(bad[i]));
}

static void test_every_mechanism_was_checked(void **state)
{
    (void)state;
    use(CKM_ECDSA, CURVE_P256); /* frees the last parameters */
    assert_all_checked(ec_covered, COUNT(ec_covered));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TPM_TEST(test_ecdsa_of_every_length),   TPM_TEST(test_ecdsa_of_long_data),
        TPM_TEST(test_ecdsa_with_hash),         TPM_TEST(test_short_numbers_are_padded),
        TPM_TEST(test_changed_signatures),      TPM_TEST(test_ecdh_without_kdf),
        TPM_TEST(test_ecdh_with_every_kdf),     TPM_TEST(test_bad_points),
        cmocka_unit_test(test_ecdh_parameters), cmocka_unit_test(test_every_mechanism_was_checked),
    };
    return cmocka_run_group_tests_name("mech/ec", tests, start, stop);
}
