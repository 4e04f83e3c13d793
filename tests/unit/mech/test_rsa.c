/* RSA mechanisms over a TPM key, against libcrypto. */
#include "mech_test.h"

/* Two keys for all tests: the small one for what is done often, 2048 bits for the rest. */
struct key {
    struct pair pair;
    struct soft_key *public_;
    EVP_PKEY *evp;
    size_t k; /* bytes of the modulus */
};
static struct key small, big;

static const struct mech_key bits2048 = {.type = CKK_RSA, .modulus_bits = 2048};

static void key_make(struct key *key, unsigned bits)
{
    struct mech_pair_wanted wanted = {.parent = srk(), .modulus_bits = bits};
    fill(key->pair.auth, sizeof(key->pair.auth), bits);
    wanted.auth = BYTES_OF(key->pair.auth);
    assert_ok(row(CKM_RSA_PKCS_KEY_PAIR_GEN)->generate_pair(fx.tpm, &wanted, &key->pair.made));
    struct bytes modulus = buf_bytes(&key->pair.made.modulus),
                 exponent = buf_bytes(&key->pair.made.exponent);
    assert_ok(soft_key_rsa(modulus, exponent, &key->public_));
    key->evp = evp_rsa_public(modulus, exponent);
    key->k = bits / 8;
    assert_int_equal(EVP_PKEY_get_bits(key->evp), bits);
}

static int start(void **state)
{
    if (group_start(state) != 0 || test_start(state) != 0)
        return -1;
    key_make(&small, 1024);
    key_make(&big, 2048);
    mark_checked(CKM_RSA_PKCS_KEY_PAIR_GEN);
    return test_stop(state);
}

static int stop(void **state)
{
    struct key *keys[] = {&small, &big};
    for (int i = 0; i < 2; i++) {
        pair_free(&keys[i]->pair);
        soft_key_free(&keys[i]->public_);
        EVP_PKEY_free(keys[i]->evp);
    }
    return group_stop(state);
}

/* What a family's function is called with. */
struct use {
    struct mech_key key;
    struct mech_params params;
    struct mech_call call;
};

static struct use *use(CK_MECHANISM_TYPE type, struct key *key)
{
    static struct use u;
    pair_key(&key->pair);
    mech_params_free(&u.params);
    u = (struct use){.key = {.type = CKK_RSA,
                             .modulus_bits = key->k * 8,
                             .modulus = buf_bytes(&key->pair.made.modulus),
                             .public_ = key->public_,
                             .tpm_key = &key->pair.key}};
    u.call =
        (struct mech_call){.mech = row(type), .params = &u.params, .key = &u.key, .tpm = fx.tpm};
    return &u;
}

static EVP_PKEY_CTX *evp_context(EVP_PKEY *key, int (*init)(EVP_PKEY_CTX *), int padding)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
    assert_int_equal(init(ctx), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, padding), 1);
    return ctx;
}

/* ---- PKCS#1 v1.5 signatures ---------------------------------------------------------------- */

static bool evp_verifies(struct key *key, enum hash h, struct bytes in, const uint8_t *signature)
{
    EVP_PKEY_CTX *ctx = evp_context(key->evp, EVP_PKEY_verify_init, RSA_PKCS1_PADDING);
    if (h != HASH_NONE)
        assert_int_equal(EVP_PKEY_CTX_set_signature_md(ctx, evp_md(h)), 1);
    bool ok = EVP_PKEY_verify(ctx, signature, key->k, in.p, in.n) == 1;
    EVP_PKEY_CTX_free(ctx);
    return ok;
}

static void test_pkcs1_of_every_length(void **state)
{
    (void)state;
    uint8_t data[128], signature[256];
    struct use *u = use(CKM_RSA_PKCS, &small);
    fill(data, sizeof(data), 5);
    for (size_t n = 1; n <= small.k - 11; n++) {
        assert_ok(u->call.mech->sign(&u->call, BYTES(data, n), signature));
        assert_true(evp_verifies(&small, HASH_NONE, BYTES(data, n), signature));
        assert_ok(u->call.mech->verify(&u->call, BYTES(data, n), BYTES(signature, small.k)));
    }
    for (size_t n = small.k - 10; n <= small.k; n++)
        assert_rv(CKR_DATA_LEN_RANGE, u->call.mech->sign(&u->call, BYTES(data, n), signature));
    mark_checked(CKM_RSA_PKCS);
}

static void test_pkcs1_with_hash(void **state)
{
    (void)state;
    static const CK_MECHANISM_TYPE types[] = {
        CKM_SHA1_RSA_PKCS,     CKM_SHA224_RSA_PKCS,   CKM_SHA256_RSA_PKCS,
        CKM_SHA384_RSA_PKCS,   CKM_SHA512_RSA_PKCS,   CKM_SHA3_224_RSA_PKCS,
        CKM_SHA3_256_RSA_PKCS, CKM_SHA3_384_RSA_PKCS, CKM_SHA3_512_RSA_PKCS};
    uint8_t digest[HASH_MAX], signature[256];
    fill(digest, sizeof(digest), 6);
    for (size_t i = 0; i < COUNT(types); i++) {
        struct use *u = use(types[i], &big);
        struct bytes in = BYTES(digest, hash_size(u->call.mech->hash));
        assert_ok(u->call.mech->sign(&u->call, in, signature));
        assert_true(evp_verifies(&big, u->call.mech->hash, in, signature));
        assert_ok(u->call.mech->verify(&u->call, in, BYTES(signature, big.k)));
        digest[0] ^= 1;
        assert_rv(CKR_SIGNATURE_INVALID,
                  u->call.mech->verify(&u->call, in, BYTES(signature, big.k)));
        digest[0] ^= 1;
        mark_checked(types[i]);
    }
}

/* ---- PSS ----------------------------------------------------------------------------------- */

static const CK_ULONG mgf_id[HASH_COUNT] = {
    [HASH_SHA1] = 1,     [HASH_SHA224] = 5,   [HASH_SHA256] = 2,
    [HASH_SHA384] = 3,   [HASH_SHA512] = 4,   [HASH_SHA3_224] = 6,
    [HASH_SHA3_256] = 7, [HASH_SHA3_384] = 8, [HASH_SHA3_512] = 9,
};

static bool evp_verifies_pss(struct key *key, enum hash h, enum hash mgf, size_t salt,
                             struct bytes in, const uint8_t *signature)
{
    EVP_PKEY_CTX *ctx = evp_context(key->evp, EVP_PKEY_verify_init, RSA_PKCS1_PSS_PADDING);
    assert_int_equal(EVP_PKEY_CTX_set_signature_md(ctx, evp_md(h)), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, evp_md(mgf)), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, (int)salt), 1);
    bool ok = EVP_PKEY_verify(ctx, signature, key->k, in.p, in.n) == 1;
    EVP_PKEY_CTX_free(ctx);
    return ok;
}

static void pss(CK_MECHANISM_TYPE type, struct key *key, enum hash h, enum hash mgf, size_t salt)
{
    uint8_t digest[HASH_MAX], signature[256];
    struct use *u = use(type, key);
    const CK_RSA_PKCS_PSS_PARAMS p = {hash_mechanism[h], mgf_id[mgf], salt};
    struct bytes in = BYTES(digest, hash_size(h));
    fill(digest, sizeof(digest), (uint32_t)salt);
    assert_taken(u->call.mech, &u->key, &p, sizeof(p), &u->params);
    assert_ok(u->call.mech->sign(&u->call, in, signature));
    assert_true(evp_verifies_pss(key, h, mgf, salt, in, signature));
    assert_ok(u->call.mech->verify(&u->call, in, BYTES(signature, key->k)));
    assert_false(evp_verifies_pss(key, h, mgf, salt + 1, in, signature));
    mark_checked(type);
}

static void test_pss_with_every_salt(void **state)
{
    (void)state;
    uint8_t digest[32] = {1}, signature[128];
    size_t most = small.k - 2 - 32;
    for (size_t salt = 0; salt <= most; salt++)
        pss(CKM_RSA_PKCS_PSS, &small, HASH_SHA256, HASH_SHA256, salt);
    struct use *u = use(CKM_RSA_PKCS_PSS, &small);
    const CK_RSA_PKCS_PSS_PARAMS p = {CKM_SHA256, CKG_MGF1_SHA256, most + 1};
    assert_refused(u->call.mech, &u->key, &p, sizeof(p));
    u->params = (struct mech_params){.hash = HASH_SHA256, .mgf = HASH_SHA256, .salt = most + 1};
    assert_rv(CKR_KEY_SIZE_RANGE, u->call.mech->sign(&u->call, BYTES_OF(digest), signature));
}

static void test_pss_with_every_hash_and_mgf(void **state)
{
    (void)state;
    for (int h = HASH_SHA1; h < HASH_COUNT; h++)
        for (int mgf = HASH_SHA1; mgf < HASH_COUNT; mgf++)
            pss(CKM_RSA_PKCS_PSS, &big, (enum hash)h, (enum hash)mgf, hash_size((enum hash)h));
}

static void test_pss_with_hash(void **state)
{
    (void)state;
    static const CK_MECHANISM_TYPE types[] = {
        CKM_SHA1_RSA_PKCS_PSS,     CKM_SHA224_RSA_PKCS_PSS,   CKM_SHA256_RSA_PKCS_PSS,
        CKM_SHA384_RSA_PKCS_PSS,   CKM_SHA512_RSA_PKCS_PSS,   CKM_SHA3_224_RSA_PKCS_PSS,
        CKM_SHA3_256_RSA_PKCS_PSS, CKM_SHA3_384_RSA_PKCS_PSS, CKM_SHA3_512_RSA_PKCS_PSS};
    for (size_t i = 0; i < COUNT(types); i++) {
        enum hash own = row(types[i])->hash;
        pss(types[i], &big, own, own, hash_size(own));
        pss(types[i], &big, own, HASH_SHA1, 0);
        /* 2.40, 2.1.10: hashAlg must be the mechanism's */
        for (int h = HASH_SHA1; h < HASH_COUNT; h++) {
            const CK_RSA_PKCS_PSS_PARAMS p = {hash_mechanism[h], mgf_id[h], 20};
            if ((enum hash)h != own)
                assert_refused(row(types[i]), &bits2048, &p, sizeof(p));
        }
    }
}

/* 2.40, 2.1.10: the data of CKM_RSA_PKCS_PSS is as long as the hash. */
static void test_pss_data_of_other_lengths(void **state)
{
    (void)state;
    uint8_t data[HASH_MAX + 1] = {1}, signature[128] = {0};
    struct use *u = use(CKM_RSA_PKCS_PSS, &small);
    const CK_RSA_PKCS_PSS_PARAMS p = {CKM_SHA256, CKG_MGF1_SHA256, 32};
    assert_taken(u->call.mech, &u->key, &p, sizeof(p), &u->params);
    for (size_t n = 0; n <= sizeof(data); n++)
        if (n != 32) {
            assert_rv(CKR_DATA_LEN_RANGE, u->call.mech->sign(&u->call, BYTES(data, n), signature));
            assert_rv(CKR_DATA_LEN_RANGE,
                      u->call.mech->verify(&u->call, BYTES(data, n), BYTES_OF(signature)));
        }
}

static void test_pss_parameters(void **state)
{
    (void)state;
    const struct mech *m = row(CKM_RSA_PKCS_PSS);
    uint8_t room[sizeof(CK_RSA_PKCS_PSS_PARAMS) + 9] = {0};
    const CK_RSA_PKCS_PSS_PARAMS good = {CKM_SHA256, CKG_MGF1_SHA256, 32};
    struct mech_params params;
    memcpy(room, &good, sizeof(good));
    for (size_t n = 0; n < sizeof(room); n++)
        if (n != sizeof(good))
            assert_refused(m, &bits2048, room, n);
    assert_refused(m, &bits2048, NULL, 0);
    assert_refused(m, &bits2048, NULL, sizeof(good));
    memcpy(room + 1, &good, sizeof(good)); /* unaligned */
    assert_taken(m, &bits2048, room + 1, sizeof(good), &params);
    assert_int_equal(params.hash, HASH_SHA256);
    assert_int_equal(params.mgf, HASH_SHA256);
    assert_int_equal(params.salt, 32);
    static const CK_RSA_PKCS_PSS_PARAMS bad[] = {
        {CKM_MD5, CKG_MGF1_SHA256, 32},
        {CKM_SHA256_RSA_PKCS, CKG_MGF1_SHA256, 32},
        {0, CKG_MGF1_SHA256, 32},
        {CK_UNAVAILABLE_INFORMATION, CKG_MGF1_SHA256, 32},
        {CKM_SHA256, 0, 32},
        {CKM_SHA256, 10, 32},
        {CKM_SHA256, CKM_SHA256, 32},
        {CKM_SHA256, CKG_MGF1_SHA256, 223},
        {CKM_SHA256, CKG_MGF1_SHA256, CK_UNAVAILABLE_INFORMATION},
        {CKM_SHA256, CKG_MGF1_SHA256, 1ul << 63},
    };
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_refused(m, &bits2048, &bad[i], sizeof(bad[i]));
}

/* ---- encryption ---------------------------------------------------------------------------- */

/* A key whose private half libcrypto has. */
static EVP_PKEY *software_pair(struct key *ret)
{
    EVP_PKEY *pair = EVP_RSA_gen(1024);
    BIGNUM *n = NULL, *e = NULL;
    uint8_t modulus[128], exponent[4];
    assert_int_equal(EVP_PKEY_get_bn_param(pair, OSSL_PKEY_PARAM_RSA_N, &n), 1);
    assert_int_equal(EVP_PKEY_get_bn_param(pair, OSSL_PKEY_PARAM_RSA_E, &e), 1);
    BN_bn2binpad(n, modulus, sizeof(modulus));
    int size = BN_bn2bin(e, exponent);
    *ret = (struct key){.k = sizeof(modulus)};
    assert_ok(soft_key_rsa(BYTES_OF(modulus), BYTES(exponent, size), &ret->public_));
    BN_free(n);
    BN_free(e);
    return pair;
}

static void set_oaep(EVP_PKEY_CTX *ctx, enum hash h, enum hash mgf, struct bytes label)
{
    assert_int_equal(EVP_PKEY_CTX_set_rsa_oaep_md(ctx, evp_md(h)), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, evp_md(mgf)), 1);
    if (label.n) {
        uint8_t *copy = OPENSSL_memdup(label.p, label.n);
        assert_int_equal(EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, copy, (int)label.n), 1);
    }
}

static void assert_plain(const struct secret *plain, struct bytes expected)
{
    assert_int_equal(plain->n, expected.n);
    assert_true(secret_equal(secret_bytes(plain), expected));
}

static void test_pkcs1_decryption(void **state)
{
    (void)state;
    uint8_t data[128], cipher[128];
    struct use *u = use(CKM_RSA_PKCS, &small);
    fill(data, sizeof(data), 8);
    data[0] = 0; /* a plaintext may begin with what padding ends with */
    for (size_t n = 0; n <= small.k - 11; n += 3) {
        CLEANUP(secret_free) struct secret plain = {0};
        size_t size = sizeof(cipher);
        EVP_PKEY_CTX *ctx = evp_context(small.evp, EVP_PKEY_encrypt_init, RSA_PKCS1_PADDING);
        assert_int_equal(EVP_PKEY_encrypt(ctx, cipher, &size, data, n), 1);
        EVP_PKEY_CTX_free(ctx);
        assert_ok(u->call.mech->decrypt(&u->call, BYTES(cipher, size), &plain));
        assert_plain(&plain, BYTES(data, n));
    }
    struct secret plain = {0};
    memset(cipher, 1, sizeof(cipher)); /* bad padding with all but certainty */
    assert_rv(CKR_ENCRYPTED_DATA_INVALID,
              u->call.mech->decrypt(&u->call, BYTES_OF(cipher), &plain));
    assert_null(plain.p);
}

static void test_pkcs1_encryption(void **state)
{
    (void)state;
    struct key key;
    uint8_t data[128], cipher[128], plain[128];
    EVP_PKEY *pair = software_pair(&key);
    struct use *u = use(CKM_RSA_PKCS, &key);
    fill(data, sizeof(data), 9);
    for (size_t n = 0; n <= key.k - 11; n += 3) {
        size_t size = sizeof(plain);
        assert_ok(u->call.mech->encrypt(&u->call, BYTES(data, n), cipher));
        EVP_PKEY_CTX *ctx = evp_context(pair, EVP_PKEY_decrypt_init, RSA_PKCS1_PADDING);
        assert_int_equal(EVP_PKEY_decrypt(ctx, plain, &size, cipher, key.k), 1);
        EVP_PKEY_CTX_free(ctx);
        assert_int_equal(size, n);
        assert_memory_equal(plain, data, n);
    }
    assert_rv(CKR_DATA_LEN_RANGE, u->call.mech->encrypt(&u->call, BYTES(data, key.k - 10), cipher));
    soft_key_free(&key.public_);
    EVP_PKEY_free(pair);
}

static const char *const labels[] = {
    "", "x", "label", "ends with a blank ",
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"};

static void oaep_decrypts(struct key *key, enum hash h, enum hash mgf, struct bytes label,
                          struct bytes data)
{
    uint8_t cipher[256];
    size_t size = sizeof(cipher);
    CLEANUP(secret_free) struct secret plain = {0};
    struct use *u = use(CKM_RSA_PKCS_OAEP, key);
    const CK_RSA_PKCS_OAEP_PARAMS p = {hash_mechanism[h], mgf_id[mgf], CKZ_DATA_SPECIFIED,
                                       (void *)(uintptr_t)label.p, label.n};
    EVP_PKEY_CTX *ctx = evp_context(key->evp, EVP_PKEY_encrypt_init, RSA_PKCS1_OAEP_PADDING);
    set_oaep(ctx, h, mgf, label);
    assert_int_equal(EVP_PKEY_encrypt(ctx, cipher, &size, data.p, data.n), 1);
    EVP_PKEY_CTX_free(ctx);
    assert_taken(u->call.mech, &u->key, &p, sizeof(p), &u->params);
    assert_ok(u->call.mech->decrypt(&u->call, BYTES(cipher, size), &plain));
    assert_plain(&plain, data);
    /* another label */
    CK_RSA_PKCS_OAEP_PARAMS other = p;
    other.pSourceData = (void *)(uintptr_t) "another";
    other.ulSourceDataLen = 7;
    struct secret none = {0};
    mech_params_free(&u->params);
    assert_taken(u->call.mech, &u->key, &other, sizeof(other), &u->params);
    assert_rv(CKR_ENCRYPTED_DATA_INVALID,
              u->call.mech->decrypt(&u->call, BYTES(cipher, size), &none));
    mark_checked(CKM_RSA_PKCS_OAEP);
}

static void test_oaep_with_every_hash_mgf_and_label(void **state)
{
    (void)state;
    uint8_t data[64], nul[3] = {0};
    fill(data, sizeof(data), 11);
    for (int h = HASH_SHA1; h < HASH_COUNT; h++)
        for (int mgf = HASH_SHA1; mgf < HASH_COUNT; mgf++)
            oaep_decrypts(&big, (enum hash)h, (enum hash)mgf,
                          BYTES_STR(labels[(h + mgf) % (int)COUNT(labels)]), BYTES_OF(data));
    for (size_t i = 0; i < COUNT(labels); i++)
        oaep_decrypts(&small, HASH_SHA256, HASH_SHA1, BYTES_STR(labels[i]), BYTES(data, 5));
    oaep_decrypts(&small, HASH_SHA256, HASH_SHA256, BYTES_OF(nul), BYTES(data, 5));
}

static void test_oaep_of_every_length(void **state)
{
    (void)state;
    uint8_t data[128];
    fill(data, sizeof(data), 12);
    for (size_t n = 0; n <= small.k - 2 - 2 * 20; n += 2)
        oaep_decrypts(&small, HASH_SHA1, HASH_SHA1, NO_BYTES, BYTES(data, n));
}

static void test_oaep_encryption(void **state)
{
    (void)state;
    struct key key;
    uint8_t data[128], cipher[128], plain[128];
    EVP_PKEY *pair = software_pair(&key);
    fill(data, sizeof(data), 13);
    for (int h = HASH_SHA1; h <= HASH_SHA384; h++)
        for (size_t i = 0; i < COUNT(labels); i++) {
            struct use *u = use(CKM_RSA_PKCS_OAEP, &key);
            size_t size = sizeof(plain), n = key.k - 2 - 2 * hash_size((enum hash)h);
            const CK_RSA_PKCS_OAEP_PARAMS p = {hash_mechanism[h], mgf_id[h], CKZ_DATA_SPECIFIED,
                                               (void *)(uintptr_t)labels[i], strlen(labels[i])};
            assert_taken(u->call.mech, &u->key, &p, sizeof(p), &u->params);
            assert_ok(u->call.mech->encrypt(&u->call, BYTES(data, n), cipher));
            EVP_PKEY_CTX *ctx = evp_context(pair, EVP_PKEY_decrypt_init, RSA_PKCS1_OAEP_PADDING);
            set_oaep(ctx, (enum hash)h, (enum hash)h, BYTES_STR(labels[i]));
            assert_int_equal(EVP_PKEY_decrypt(ctx, plain, &size, cipher, key.k), 1);
            EVP_PKEY_CTX_free(ctx);
            assert_int_equal(size, n);
            assert_memory_equal(plain, data, n);
            assert_rv(CKR_DATA_LEN_RANGE,
                      u->call.mech->encrypt(&u->call, BYTES(data, n + 1), cipher));
        }
    soft_key_free(&key.public_);
    EVP_PKEY_free(pair);
}

static void test_oaep_parameters(void **state)
{
    (void)state;
    const struct mech *m = row(CKM_RSA_PKCS_OAEP);
    uint8_t room[sizeof(CK_RSA_PKCS_OAEP_PARAMS) + 9] = {0};
    CK_RSA_PKCS_OAEP_PARAMS good = {CKM_SHA256, CKG_MGF1_SHA1, CKZ_DATA_SPECIFIED,
                                    (void *)(uintptr_t) "label", 5};
    struct mech_params params;
    memcpy(room, &good, sizeof(good));
    for (size_t n = 0; n < sizeof(room); n++)
        if (n != sizeof(good))
            assert_refused(m, &bits2048, room, n);
    assert_refused(m, &bits2048, NULL, sizeof(good));
    memcpy(room + 1, &good, sizeof(good));
    assert_taken(m, &bits2048, room + 1, sizeof(good), &params);
    assert_true(bytes_equal(buf_bytes(&params.label), BYTES_STR("label")));
    assert_ptr_not_equal(params.label.p, good.pSourceData); /* the caller's may be gone later */
    mech_params_free(&params);
    good.source = 0; /* no source, as OpenSSL's engine says it, is the empty label … */
    good.pSourceData = NULL;
    good.ulSourceDataLen = 0;
    assert_taken(m, &bits2048, &good, sizeof(good), &params);
    assert_int_equal(params.label.n, 0);
    mech_params_free(&params);
    good.ulSourceDataLen = 5; /* … and must be empty */
    assert_refused(m, &bits2048, &good, sizeof(good));
    static const CK_RSA_PKCS_OAEP_PARAMS bad[] = {
        {CKM_MD5, CKG_MGF1_SHA1, CKZ_DATA_SPECIFIED, NULL, 0},
        {CKM_SHA256, 0, CKZ_DATA_SPECIFIED, NULL, 0},
        {CKM_SHA256, 99, CKZ_DATA_SPECIFIED, NULL, 0},
        {CKM_SHA256, CKG_MGF1_SHA1, 2, NULL, 0},
        {CKM_SHA256, CKG_MGF1_SHA1, CKZ_DATA_SPECIFIED, NULL, 5},
        {CKM_SHA256, CKG_MGF1_SHA1, CKZ_DATA_SPECIFIED, NULL, CK_UNAVAILABLE_INFORMATION},
    };
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_refused(m, &bits2048, &bad[i], sizeof(bad[i]));
    good.source = CKZ_DATA_SPECIFIED;
    good.pSourceData = room;
    good.ulSourceDataLen = 65537; /* refused before it is read */
    assert_refused(m, &bits2048, &good, sizeof(good));
}

static void test_ciphertexts_of_other_lengths(void **state)
{
    (void)state;
    static const CK_MECHANISM_TYPE types[] = {CKM_RSA_PKCS, CKM_RSA_X_509, CKM_RSA_PKCS_OAEP};
    uint8_t cipher[130] = {0};
    for (size_t i = 0; i < COUNT(types); i++) {
        struct use *u = use(types[i], &small);
        u->params.hash = u->params.mgf = HASH_SHA1;
        struct secret plain = {0};
        for (size_t n = 0; n < sizeof(cipher); n++)
            if (n != small.k)
                assert_rv(CKR_ENCRYPTED_DATA_LEN_RANGE,
                          u->call.mech->decrypt(&u->call, BYTES(cipher, n), &plain));
    }
}

/* ---- numbers that are not below the modulus ------------------------------------------------ */

static void test_blocks_not_below_the_modulus(void **state)
{
    (void)state;
    uint8_t block[128], out[128];
    struct secret plain = {0};
    struct bytes modulus = buf_bytes(&small.pair.made.modulus);
    const CK_MECHANISM_TYPE types[] = {CKM_RSA_PKCS, CKM_RSA_X_509, CKM_RSA_PKCS_OAEP};
    for (int k = 0; k < 2; k++) {
        if (k == 0)
            memcpy(block, modulus.p, sizeof(block));
        else
            memset(block, 0xFF, sizeof(block));
        struct use *u = use(CKM_RSA_X_509, &small);
        assert_rv(CKR_DATA_INVALID, u->call.mech->sign(&u->call, BYTES_OF(block), out));
        assert_rv(CKR_DATA_INVALID, u->call.mech->encrypt(&u->call, BYTES_OF(block), out));
        assert_rv(CKR_SIGNATURE_INVALID,
                  u->call.mech->verify(&u->call, BYTES(block, 5), BYTES_OF(block)));
        for (size_t i = 0; i < COUNT(types); i++) {
            u = use(types[i], &small);
            u->params.hash = u->params.mgf = HASH_SHA1;
            assert_rv(CKR_ENCRYPTED_DATA_INVALID,
                      u->call.mech->decrypt(&u->call, BYTES_OF(block), &plain));
        }
    }
}

/* ---- raw ----------------------------------------------------------------------------------- */

static void test_raw_of_every_length(void **state)
{
    (void)state;
    uint8_t data[128], signature[128], back[128];
    struct use *u = use(CKM_RSA_X_509, &small);
    fill(data, sizeof(data), 14);
    data[0] = 0x10; /* below every modulus of 1,024 bits */
    for (size_t n = 1; n <= small.k; n++) {
        size_t size = sizeof(back);
        assert_ok(u->call.mech->sign(&u->call, BYTES(data, n), signature));
        EVP_PKEY_CTX *ctx = evp_context(small.evp, EVP_PKEY_verify_recover_init, RSA_NO_PADDING);
        assert_int_equal(EVP_PKEY_verify_recover(ctx, back, &size, signature, small.k), 1);
        EVP_PKEY_CTX_free(ctx);
        assert_int_equal(size, small.k);
        assert_memory_equal(back + small.k - n, data, n); /* padded with zeros on the left */
        for (size_t i = 0; i < small.k - n; i++)
            assert_int_equal(back[i], 0);
        assert_ok(u->call.mech->verify(&u->call, BYTES(data, n), BYTES_OF(signature)));
    }
    uint8_t longer[129] = {0};
    assert_rv(CKR_DATA_LEN_RANGE, u->call.mech->sign(&u->call, BYTES_OF(longer), signature));
    mark_checked(CKM_RSA_X_509);
}

/* Results with leading zeros keep their length. */
static void test_raw_decryption_keeps_leading_zeros(void **state)
{
    (void)state;
    for (size_t zeros = 0; zeros < 128; zeros += 9) {
        uint8_t data[128] = {0}, cipher[128];
        size_t size = sizeof(cipher);
        CLEANUP(secret_free) struct secret plain = {0};
        struct use *u = use(CKM_RSA_X_509, &small);
        fill(data + zeros, sizeof(data) - zeros, 15);
        data[zeros] = 0x20;
        EVP_PKEY_CTX *ctx = evp_context(small.evp, EVP_PKEY_encrypt_init, RSA_NO_PADDING);
        assert_int_equal(EVP_PKEY_encrypt(ctx, cipher, &size, data, sizeof(data)), 1);
        EVP_PKEY_CTX_free(ctx);
        assert_ok(u->call.mech->decrypt(&u->call, BYTES_OF(cipher), &plain));
        assert_plain(&plain, BYTES_OF(data));
    }
}

static void test_every_mechanism_was_checked(void **state)
{
    (void)state;
    use(CKM_RSA_PKCS, &small); /* frees the last parameters */
    assert_all_checked(rsa_covered, COUNT(rsa_covered));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TPM_TEST(test_pkcs1_of_every_length),
        TPM_TEST(test_pkcs1_with_hash),
        TPM_TEST(test_pss_with_every_salt),
        TPM_TEST(test_pss_with_every_hash_and_mgf),
        TPM_TEST(test_pss_with_hash),
        TPM_TEST(test_pss_data_of_other_lengths),
        cmocka_unit_test(test_pss_parameters),
        TPM_TEST(test_pkcs1_decryption),
        cmocka_unit_test(test_pkcs1_encryption),
        TPM_TEST(test_oaep_with_every_hash_mgf_and_label),
        TPM_TEST(test_oaep_of_every_length),
        cmocka_unit_test(test_oaep_encryption),
        cmocka_unit_test(test_oaep_parameters),
        TPM_TEST(test_ciphertexts_of_other_lengths),
        TPM_TEST(test_blocks_not_below_the_modulus),
        TPM_TEST(test_raw_of_every_length),
        TPM_TEST(test_raw_decryption_keeps_leading_zeros),
        cmocka_unit_test(test_every_mechanism_was_checked),
    };
    return cmocka_run_group_tests_name("mech/rsa", tests, start, stop);
}
