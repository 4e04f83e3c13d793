/* The mechanism table: what its rows promise, they have. */
#include "mech_test.h"

static const struct mech *rows;
static size_t n_rows;

static int read_table(void **state)
{
    rows = mech_table(&n_rows);
    return group_start(state);
}

#define EC_FLAGS (CKF_EC_F_P | CKF_EC_NAMEDCURVE | CKF_EC_UNCOMPRESS | CKF_EC_CURVENAME)

/* Encryption in one part and in parts, and not both. */
static void assert_ciphers_match(const struct mech *m)
{
    CK_FLAGS there = CKF_ENCRYPT | CKF_DECRYPT | CKF_WRAP | CKF_UNWRAP;
    assert_false(m->cipher && (m->encrypt || m->decrypt));
    assert_int_equal(!!(m->flags & (CKF_ENCRYPT | CKF_WRAP)), m->encrypt || m->cipher);
    assert_int_equal(!!(m->flags & (CKF_DECRYPT | CKF_UNWRAP)), m->decrypt || m->cipher);
    assert_int_equal(!!(m->flags & CKF_ENCRYPT), !!(m->flags & CKF_DECRYPT));
    assert_int_equal(!!(m->flags & CKF_WRAP), !!(m->flags & CKF_UNWRAP));
    if (m->cipher) {
        assert_int_not_equal(m->flags & there, 0);
        assert_true(m->cipher->most && m->cipher->exact && m->cipher->start && m->cipher->update &&
                    m->cipher->final);
    }
    if (m->wrap_block)
        assert_int_not_equal(m->flags & CKF_WRAP, 0);
    CK_FLAGS message = m->flags & (CKF_MESSAGE_ENCRYPT | CKF_MESSAGE_DECRYPT);
    assert_int_equal(message != 0, m->message != NULL);
    assert_true(message == 0 || message == (CKF_MESSAGE_ENCRYPT | CKF_MESSAGE_DECRYPT));
    if (message)
        assert_non_null(m->cipher);
}

/* A flag without function is a crash, a function without flag is dead. */
static void test_flags_match_functions(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_rows; i++) {
        const struct mech *m = &rows[i];
        assert_ciphers_match(m);
        assert_false(m->mac && (m->sign || m->verify));
        if (m->mac)
            assert_true(m->mac->start && m->mac->update && m->mac->final);
        assert_int_equal(!!(m->flags & CKF_SIGN), m->sign || m->mac);
        assert_int_equal(!!(m->flags & CKF_VERIFY), m->verify || m->mac);
        assert_int_equal(!!(m->flags & CKF_SIGN_RECOVER), m->sign && m->recover);
        assert_int_equal(!!(m->flags & CKF_VERIFY_RECOVER), m->recover != NULL);
        assert_int_equal(!!(m->flags & CKF_DERIVE), m->derive != NULL);
        assert_int_equal(!!(m->flags & CKF_GENERATE_KEY_PAIR), m->generate_soft != NULL);
        assert_true(!m->generate_pair || m->flags & CKF_GENERATE_KEY_PAIR);
        assert_int_equal(!!(m->flags & CKF_ENCAPSULATE), m->encapsulate != NULL);
        assert_int_equal(!!(m->flags & CKF_DECAPSULATE), m->encapsulate != NULL);
        assert_true(m->flags & CKF_GENERATE || !m->generate); /* without: a random key */
        assert_non_null(m->params);
        /* what has no function here is nobody's, but for keys that are simply random */
        const CK_FLAGS known = CKF_HW | CKF_SIGN | CKF_VERIFY | CKF_SIGN_RECOVER |
                               CKF_VERIFY_RECOVER | CKF_ENCRYPT | CKF_DECRYPT | CKF_WRAP |
                               CKF_UNWRAP | CKF_MESSAGE_ENCRYPT | CKF_MESSAGE_DECRYPT | CKF_DERIVE |
                               CKF_GENERATE | CKF_GENERATE_KEY_PAIR | CKF_DIGEST | CKF_ENCAPSULATE |
                               CKF_DECAPSULATE | CKF_MESSAGE_SIGN | CKF_MESSAGE_VERIFY | EC_FLAGS;
        assert_int_equal(m->flags & ~known, 0);
        assert_int_not_equal(m->flags & known & ~(CKF_HW | EC_FLAGS), 0);
    }
}

static bool is_hmac(const struct mech *m)
{
    return m->key_type == MECH_HMAC_KEY;
}

static void test_key_types(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_rows; i++) {
        const struct mech *m = &rows[i];
        bool digest = m->flags & CKF_DIGEST;
        bool ec = m->flags & EC_FLAGS;
        bool from_nothing = digest || m->generate;
        assert_int_equal(from_nothing, m->key_type == CK_UNAVAILABLE_INFORMATION);
        assert_int_equal(ec, m->key_type == CKK_EC || m->key_type == CKK_EC_EDWARDS ||
                                 m->key_type == CKK_EC_MONTGOMERY);
        assert_true(from_nothing || ec || m->key_type == CKK_RSA || mech_symmetric(m));
        /* the TPM does the private half of a key pair's work where it has such keys, none of a
         * digest's or of what comes of nothing */
        if (from_nothing)
            assert_int_equal(m->flags & CKF_HW, 0);
        if (m->key_type == CKK_RSA || m->key_type == CKK_EC)
            assert_int_not_equal(m->flags & CKF_HW, 0);
        if (digest)
            assert_int_not_equal(m->hash, HASH_NONE);
        if (m->hash != HASH_NONE) /* a hash first: nothing that has to come back */
            assert_int_equal(m->flags & (CKF_ENCRYPT | CKF_DECRYPT | CKF_DERIVE), 0);
        assert_int_equal(is_hmac(m), m->mac_hash != HASH_NONE);
    }
}

/* What stands for several key types is those, and no others. */
static void test_types_of_base_keys(void **state)
{
    (void)state;
    static const CK_KEY_TYPE types[] = {
        CKK_AES, CKK_GENERIC_SECRET, CKK_HKDF, CKK_SHA_1_HMAC, CKK_SHA3_512_HMAC, CKK_RSA, CKK_EC,
        CKK_DES3};
    static const struct {
        CK_MECHANISM_TYPE mechanism;
        bool takes[COUNT(types)];
    } cases[] = {
        {CKM_SP800_108_COUNTER_KDF, {true, true, true, true, true}},
        {CKM_HKDF_DERIVE, {false, true, true}},
        {CKM_HKDF_KEY_GEN, {false, false, true}},
        {CKM_TLS12_KDF, {false, true}},
        {CKM_PKCS5_PBKD2, {false}},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        for (size_t k = 0; k < COUNT(types); k++)
            assert_int_equal(mech_takes_key(row(cases[i].mechanism), types[k]), cases[i].takes[k]);
}

static void test_no_row_twice(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_rows; i++) {
        assert_ptr_equal(mech_find(rows[i].type), &rows[i]);
        for (size_t k = 0; k < i; k++)
            assert_int_not_equal(rows[i].type, rows[k].type);
    }
    assert_null(mech_find(CKM_DES_ECB));
    assert_null(mech_find(CK_UNAVAILABLE_INFORMATION));
}

static bool in_list(const CK_MECHANISM_TYPE *list, size_t n, CK_MECHANISM_TYPE type)
{
    for (size_t i = 0; i < n; i++)
        if (list[i] == type)
            return true;
    return false;
}

static void test_every_row_is_in_a_test(void **state)
{
    (void)state;
#define LIST(name) name, COUNT(name)
    const struct {
        const CK_MECHANISM_TYPE *types;
        size_t n;
    } lists[] = {
        {LIST(rsa_covered)},     {LIST(ec_covered)},           {LIST(digest_covered)},
        {LIST(aes_covered)},     {LIST(aead_covered)},         {LIST(mac_covered)},
        {LIST(key_gen_covered)}, {LIST(kdf_covered)},          {LIST(sp800_108_covered)},
        {LIST(combine_covered)}, {LIST(tls_covered)},          {LIST(eddsa_covered)},
        {LIST(keywrap_covered)}, {LIST(encrypt_data_covered)},
    };
    size_t in_lists = 0;
    for (size_t k = 0; k < COUNT(lists); k++)
        in_lists += lists[k].n;
    for (size_t i = 0; i < n_rows; i++) {
        unsigned found = 0;
        for (size_t k = 0; k < COUNT(lists); k++)
            found += in_list(lists[k].types, lists[k].n, rows[i].type);
        if (found != 1)
            print_error("mechanism 0x%lx is in %u tests\n", rows[i].type, found);
        assert_int_equal(found, 1);
    }
    assert_int_equal(in_lists, n_rows);
}

/* What a key generation makes is what its row says. */
static void test_key_generations(void **state)
{
    (void)state;
    static const struct {
        CK_MECHANISM_TYPE type;
        CK_KEY_TYPE makes;
    } names[] = {
        {CKM_AES_KEY_GEN, CKK_AES},
        {CKM_GENERIC_SECRET_KEY_GEN, CKK_GENERIC_SECRET},
        {CKM_SHA_1_KEY_GEN, CKK_SHA_1_HMAC},
        {CKM_SHA224_KEY_GEN, CKK_SHA224_HMAC},
        {CKM_SHA256_KEY_GEN, CKK_SHA256_HMAC},
        {CKM_SHA384_KEY_GEN, CKK_SHA384_HMAC},
        {CKM_SHA512_KEY_GEN, CKK_SHA512_HMAC},
        {CKM_SHA3_224_KEY_GEN, CKK_SHA3_224_HMAC},
        {CKM_SHA3_256_KEY_GEN, CKK_SHA3_256_HMAC},
        {CKM_SHA3_384_KEY_GEN, CKK_SHA3_384_HMAC},
        {CKM_SHA3_512_KEY_GEN, CKK_SHA3_512_HMAC},
    };
    for (size_t i = 0; i < COUNT(names); i++) {
        const struct mech *m = row(names[i].type);
        assert_int_equal(m->key_type, names[i].makes);
        assert_int_not_equal(m->flags & CKF_GENERATE, 0);
        mark_checked(names[i].type);
    }
    assert_all_checked(key_gen_covered, COUNT(key_gen_covered));
}

/* ---- digests ------------------------------------------------------------------------------- */

static void test_digests(void **state)
{
    (void)state;
    uint8_t data[300], ours[HASH_MAX], theirs[EVP_MAX_MD_SIZE];
    fill(data, sizeof(data), 1);
    for (int h = HASH_NONE + 1; h < HASH_COUNT; h++) {
        const struct mech *m = row(hash_mechanism[h]);
        assert_int_equal(m->hash, h);
        assert_int_equal(mech_hash_of(m->type), h);
        for (size_t n = 0; n <= sizeof(data); n += 37) {
            const struct bytes in = BYTES(data, n);
            unsigned size;
            assert_ok(soft_hash(m->hash, &in, 1, ours));
            assert_int_equal(EVP_Digest(data, n, theirs, &size, evp_md((enum hash)h), NULL), 1);
            assert_int_equal(size, hash_size(m->hash));
            assert_memory_equal(ours, theirs, size);
        }
        mark_checked(m->type);
    }
    assert_all_checked(digest_covered, COUNT(digest_covered));
}

static void test_hash_of_what_is_no_digest(void **state)
{
    (void)state;
    assert_int_equal(mech_hash_of(CKM_SHA256_RSA_PKCS), HASH_NONE);
    assert_int_equal(mech_hash_of(CKM_ECDSA_SHA256), HASH_NONE);
    assert_int_equal(mech_hash_of(CKM_RSA_PKCS), HASH_NONE);
    assert_int_equal(mech_hash_of(CKM_MD5), HASH_NONE);
}

/* The hash that a combined mechanism's name says. */
static void test_combined_hashes(void **state)
{
    (void)state;
    static const struct {
        enum hash hash;
        CK_MECHANISM_TYPE pkcs1, pss, ecdsa;
    } names[] = {
        {HASH_SHA1, CKM_SHA1_RSA_PKCS, CKM_SHA1_RSA_PKCS_PSS, CKM_ECDSA_SHA1},
        {HASH_SHA224, CKM_SHA224_RSA_PKCS, CKM_SHA224_RSA_PKCS_PSS, CKM_ECDSA_SHA224},
        {HASH_SHA256, CKM_SHA256_RSA_PKCS, CKM_SHA256_RSA_PKCS_PSS, CKM_ECDSA_SHA256},
        {HASH_SHA384, CKM_SHA384_RSA_PKCS, CKM_SHA384_RSA_PKCS_PSS, CKM_ECDSA_SHA384},
        {HASH_SHA512, CKM_SHA512_RSA_PKCS, CKM_SHA512_RSA_PKCS_PSS, CKM_ECDSA_SHA512},
        {HASH_SHA3_224, CKM_SHA3_224_RSA_PKCS, CKM_SHA3_224_RSA_PKCS_PSS, CKM_ECDSA_SHA3_224},
        {HASH_SHA3_256, CKM_SHA3_256_RSA_PKCS, CKM_SHA3_256_RSA_PKCS_PSS, CKM_ECDSA_SHA3_256},
        {HASH_SHA3_384, CKM_SHA3_384_RSA_PKCS, CKM_SHA3_384_RSA_PKCS_PSS, CKM_ECDSA_SHA3_384},
        {HASH_SHA3_512, CKM_SHA3_512_RSA_PKCS, CKM_SHA3_512_RSA_PKCS_PSS, CKM_ECDSA_SHA3_512},
    };
    for (size_t i = 0; i < COUNT(names); i++) {
        assert_int_equal(row(names[i].pkcs1)->hash, names[i].hash);
        assert_int_equal(row(names[i].pss)->hash, names[i].hash);
        assert_int_equal(row(names[i].ecdsa)->hash, names[i].hash);
    }
}

static void test_parameterless_mechanisms(void **state)
{
    (void)state;
    uint8_t junk[8] = {0};
    for (size_t i = 0; i < n_rows; i++) {
        if (rows[i].params != params_none)
            continue;
        struct mech_params params;
        assert_taken(&rows[i], NULL, NULL, 0, &params);
        assert_taken(&rows[i], NULL, junk, 0, &params); /* NSS: a stale pointer of no length */
        assert_refused(&rows[i], NULL, junk, sizeof(junk));
        assert_refused(&rows[i], NULL, NULL, 1);
    }
}

/* ---- sizes --------------------------------------------------------------------------------- */

/* Sizes are those of all keys, whoever holds them; CKF_HW is told of what the TPM has. */
static void test_info(void **state)
{
    (void)state;
    const struct tpm_caps all = {.rsa_sizes = 2, .curves = 1u << CURVE_P256, .aes_sizes = 1};
    const struct tpm_caps nothing = {0};
    static const struct {
        CK_MECHANISM_TYPE type;
        CK_ULONG low, high;
        bool hardware;
    } expected[] = {
        {CKM_RSA_PKCS_KEY_PAIR_GEN, 1024, 4096, true},
        {CKM_RSA_PKCS, 1024, 8192, true},
        {CKM_ECDSA, 224, 521, true},
        {CKM_ECDH1_DERIVE, 224, 521, true},
        {CKM_EDDSA, 255, 448, false},
        {CKM_AES_GCM, 16, 32, true},
        {CKM_AES_KEY_GEN, 16, 32, true},
        {CKM_SHA256_HMAC, 1, MECH_SECRET_MAX, true},
        {CKM_SHA256_KEY_GEN, 1, MECH_SECRET_MAX, true},
        {CKM_GENERIC_SECRET_KEY_GEN, 8, 8 * MECH_SECRET_MAX, true},
        {CKM_CONCATENATE_BASE_AND_DATA, 8, 8 * MECH_SECRET_MAX, false},
        {CKM_TLS12_MASTER_KEY_DERIVE, 48, 48, false},
        {CKM_SHA256, 0, 0, false},
    };
    CK_MECHANISM_INFO info;
    for (size_t i = 0; i < COUNT(expected); i++) {
        mech_info(row(expected[i].type), &all, &info);
        assert_int_equal(info.ulMinKeySize, expected[i].low);
        assert_int_equal(info.ulMaxKeySize, expected[i].high);
        assert_int_equal(!!(info.flags & CKF_HW), expected[i].hardware);
        assert_int_equal(info.flags, row(expected[i].type)->flags);
    }
    mech_info(row(CKM_RSA_PKCS), &nothing, &info);
    assert_int_equal(info.flags, row(CKM_RSA_PKCS)->flags & ~(CK_FLAGS)CKF_HW);
    mech_info(row(CKM_ECDSA), &nothing, &info);
    assert_int_equal(info.flags & CKF_HW, 0);
    mech_info(row(CKM_AES_CTR), &nothing, &info);
    assert_int_equal(info.flags & CKF_HW, 0);
}

static void test_output_sizes(void **state)
{
    (void)state;
    const struct mech_params none = {0};
    struct mech_key key = {.type = CKK_RSA};
    for (key.modulus_bits = 1020; key.modulus_bits < 1030; key.modulus_bits++)
        assert_int_equal(mech_output_size(row(CKM_RSA_PKCS), &none, &key),
                         (key.modulus_bits + 7) / 8);
    static const size_t signature[CURVE_COUNT] = {
        [CURVE_P224] = 56,         [CURVE_P256] = 64,         [CURVE_P384] = 96,
        [CURVE_P521] = 132,        [CURVE_SECP256K1] = 64,    [CURVE_BRAINPOOL256] = 64,
        [CURVE_BRAINPOOL384] = 96, [CURVE_BRAINPOOL512] = 128};
    key = (struct mech_key){.type = CKK_EC};
    for (key.curve = CURVE_P224; key.curve < CURVE_COUNT; key.curve++)
        assert_int_equal(mech_output_size(row(CKM_ECDSA), &none, &key), signature[key.curve]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flags_match_functions),
        cmocka_unit_test(test_key_types),
        cmocka_unit_test(test_types_of_base_keys),
        cmocka_unit_test(test_no_row_twice),
        cmocka_unit_test(test_every_row_is_in_a_test),
        cmocka_unit_test(test_key_generations),
        cmocka_unit_test(test_digests),
        cmocka_unit_test(test_hash_of_what_is_no_digest),
        cmocka_unit_test(test_combined_hashes),
        cmocka_unit_test(test_parameterless_mechanisms),
        cmocka_unit_test(test_info),
        cmocka_unit_test(test_output_sizes),
    };
    return cmocka_run_group_tests_name("mech/table", tests, read_table, group_stop);
}
