/* RSA's public-key operations against OpenSSL's private ones. */
#include "rsa_pair.h"

/* Every remainder of the size by 8: EMSA-PSS's emBits is one less, and 1025 has a whole octet more.
 */
static const size_t sizes[] = {512,  1024, 1025, 1026, 1027, 1028, 1029,
                               1030, 1031, 1032, 2041, 2048, 3072, 4096};
enum { SIZES = sizeof(sizes) / sizeof(*sizes) };
static struct rsa_pair pairs[SIZES];

static void evp_sign(EVP_PKEY_CTX *ctx, struct bytes in, uint8_t *ret, size_t size)
{
    size_t n = size;
    assert_int_equal(EVP_PKEY_sign(ctx, ret, &n, in.p, in.n), 1);
    assert_int_equal(n, size);
    EVP_PKEY_CTX_free(ctx);
}

static void pkcs1(void **state)
{
    (void)state;
    uint8_t sig[513], data[512];
    fill(data, sizeof(data), 1);
    for (size_t i = 0; i < SIZES; i++) {
        const struct rsa_pair *p = &pairs[i];
        size_t lengths[] = {0, 1, 20, 51, p->size - 11};
        for (size_t j = 0; j < 5; j++) {
            struct bytes t = BYTES(data, lengths[j]);
            EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(p->evp, NULL);
            assert_int_equal(EVP_PKEY_sign_init(ctx), 1);
            assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING), 1);
            evp_sign(ctx, t, sig, p->size);
            assert_ok(soft_rsa_verify_pkcs1(p->ours, t, BYTES(sig, p->size)));
            assert_int_equal(
                soft_rsa_verify_pkcs1(p->ours, BYTES(data + 1, t.n + 1), BYTES(sig, p->size)),
                t.n == p->size - 11 ? CKR_DATA_LEN_RANGE : CKR_SIGNATURE_INVALID);
            sig[p->size / 2] ^= 1;
            assert_int_equal(soft_rsa_verify_pkcs1(p->ours, t, BYTES(sig, p->size)),
                             CKR_SIGNATURE_INVALID);
        }
        assert_int_equal(soft_rsa_verify_pkcs1(p->ours, BYTES(data, 20), BYTES(sig, p->size - 1)),
                         CKR_SIGNATURE_LEN_RANGE);
        assert_int_equal(soft_rsa_verify_pkcs1(p->ours, BYTES(data, 20), BYTES(sig, p->size + 1)),
                         CKR_SIGNATURE_LEN_RANGE);
        assert_int_equal(
            soft_rsa_verify_pkcs1(p->ours, BYTES(data, 20), BYTES(p->modulus, p->size)),
            CKR_SIGNATURE_INVALID);
    }
}

/* A block that is right but for its padding octets: too short a run, another type, a late zero. */
static void pkcs1_forged_blocks(void **state)
{
    (void)state;
    const struct rsa_pair *p = &pairs[1];
    uint8_t block[128], sig[128];
    struct bytes t = BYTES("0123456789", 10);
    static const size_t at[] = {1, 2, 60, 117};
    for (size_t i = 0; i < 4; i++) {
        assert_ok(soft_pad_pkcs1(t, block, sizeof(block)));
        rsa_private(p, block, sig);
        assert_ok(soft_rsa_verify_pkcs1(p->ours, t, BYTES_OF(sig)));
        block[at[i]] ^= 0x03;
        rsa_private(p, block, sig);
        assert_int_equal(soft_rsa_verify_pkcs1(p->ours, t, BYTES_OF(sig)), CKR_SIGNATURE_INVALID);
    }
    /* Bleichenbacher 2006: one octet of padding, the rest behind the text */
    memset(block, 0, sizeof(block));
    memcpy(block,
           "\0\1\xff\0"
           "0123456789",
           14);
    rsa_private(p, block, sig);
    assert_int_equal(soft_rsa_verify_pkcs1(p->ours, t, BYTES_OF(sig)), CKR_SIGNATURE_INVALID);
}

static void pss_case(const struct rsa_pair *p, enum hash h, enum hash mgf, size_t salt)
{
    uint8_t digest[HASH_MAX], sig[512];
    struct bytes d = BYTES(digest, hash_size(h));
    fill(digest, sizeof(digest), (uint32_t)salt);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(p->evp, NULL);
    assert_int_equal(EVP_PKEY_sign_init(ctx), 1);
    set_pss(ctx, h, mgf, (int)salt);
    evp_sign(ctx, d, sig, p->size);
    struct bytes s = BYTES(sig, p->size);
    assert_ok(soft_rsa_verify_pss(p->ours, h, mgf, salt, d, s));
    assert_int_equal(soft_rsa_verify_pss(p->ours, h, mgf, salt + 1, d, s),
                     salt + 2 + hash_size(h) == (p->bits + 6) / 8 ? CKR_KEY_SIZE_RANGE
                                                                  : CKR_SIGNATURE_INVALID);
    if (salt)
        assert_int_equal(soft_rsa_verify_pss(p->ours, h, mgf, salt - 1, d, s),
                         CKR_SIGNATURE_INVALID);
    assert_int_equal(
        soft_rsa_verify_pss(p->ours, h, mgf == HASH_SHA1 ? HASH_SHA256 : HASH_SHA1, salt, d, s),
        CKR_SIGNATURE_INVALID);
    digest[0] ^= 1;
    assert_int_equal(soft_rsa_verify_pss(p->ours, h, mgf, salt, d, s), CKR_SIGNATURE_INVALID);
    assert_int_equal(soft_rsa_verify_pss(p->ours, h, mgf, salt, BYTES(digest, d.n - 1), s),
                     CKR_DATA_LEN_RANGE);
}

static void pss(void **state)
{
    (void)state;
    for (size_t i = 0; i < SIZES; i++) {
        const struct rsa_pair *p = &pairs[i];
        for (enum hash h = HASH_SHA1; h < HASH_COUNT; h++) {
            size_t em = (p->bits + 6) / 8;
            if (em < hash_size(h) + 2)
                continue; /* SHA-512 with 512 bits */
            size_t longest = em - hash_size(h) - 2;
            pss_case(p, h, h, 0);
            pss_case(p, h, h == HASH_SHA384 ? HASH_SHA1 : h, longest);
            if (hash_size(h) <= longest)
                pss_case(p, h, HASH_SHA256, hash_size(h));
        }
    }
}

static void pss_forged(const struct rsa_pair *p, size_t at, uint8_t bits)
{
    uint8_t digest[32], block[131], sig[131];
    struct bytes d = BYTES_OF(digest), s = BYTES(sig, p->size);
    fill(digest, sizeof(digest), 9);
    do /* until the forged value, too, is below the modulus */
        assert_ok(soft_pad_pss(HASH_SHA256, HASH_SHA256, 32, d, p->bits, block));
    while (at == 0 && memcmp((uint8_t[]){block[0] | bits, block[1]}, p->modulus, 2) >= 0);
    rsa_private(p, block, sig);
    assert_ok(soft_rsa_verify_pss(p->ours, HASH_SHA256, HASH_SHA256, 32, d, s));
    block[at] ^= bits;
    rsa_private(p, block, sig);
    assert_int_equal(soft_rsa_verify_pss(p->ours, HASH_SHA256, HASH_SHA256, 32, d, s),
                     CKR_SIGNATURE_INVALID);
}

/* RFC 8017, 9.1.2 steps 4, 6 and 10: the last octet is BC; the bits above emBits, for 1025 bits a
 * whole octet, are zero; so is the padding before the salt. */
static void pss_forged_blocks(void **state)
{
    (void)state;
    for (size_t i = 2; i < 10; i++) {
        const struct rsa_pair *p = &pairs[i];
        pss_forged(p, p->size - 1, 0x01);
        pss_forged(p, 0, (uint8_t)(1 << ((p->bits - 1) % 8)));
        pss_forged(p, 2, 0x01);
        pss_forged(p, p->size - 1 - 32 - 32 - 1, 0x02);
    }
}

static void public_operation(void **state)
{
    (void)state;
    uint8_t in[513] = {0}, block[512], out[512];
    for (size_t i = 0; i < SIZES; i++) {
        const struct rsa_pair *p = &pairs[i];
        fill(in + 1, p->size - 1, (uint32_t)i);
        rsa_private(p, in, block);
        assert_ok(soft_rsa_public(p->ours, BYTES(block, p->size), out));
        assert_memory_equal(out, in, p->size);
        /* shorter input is a smaller number */
        memset(in, 0, sizeof(in));
        in[p->size - 1] = 2;
        assert_ok(soft_rsa_public(p->ours, BYTES("\2", 1), block));
        assert_ok(soft_rsa_public(p->ours, BYTES(in, p->size), out));
        assert_memory_equal(out, block, p->size);
        assert_ok(soft_rsa_public(p->ours, NO_BYTES, out));
        assert_memory_equal(out, in, p->size - 1);
        assert_int_equal(soft_rsa_public(p->ours, BYTES(in, p->size + 1), out), CKR_DATA_LEN_RANGE);
        assert_int_equal(soft_rsa_public(p->ours, BYTES(p->modulus, p->size), out),
                         CKR_DATA_INVALID);
    }
}

static void evp_decrypt(EVP_PKEY_CTX *ctx, struct bytes in, struct bytes expected)
{
    uint8_t out[512];
    size_t n = sizeof(out);
    assert_int_equal(EVP_PKEY_decrypt(ctx, out, &n, in.p, in.n), 1);
    assert_int_equal(n, expected.n);
    assert_memory_equal(out, expected.p, n);
    EVP_PKEY_CTX_free(ctx);
}

static void encryption(void **state)
{
    (void)state;
    uint8_t plain[512], out[512];
    fill(plain, sizeof(plain), 4);
    for (size_t i = 0; i < SIZES; i++) {
        const struct rsa_pair *p = &pairs[i];
        size_t lengths[] = {0, 1, 16, p->size - 11};
        for (size_t j = 0; j < 4; j++) {
            EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(p->evp, NULL);
            assert_int_equal(EVP_PKEY_decrypt_init(ctx), 1);
            assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING), 1);
            assert_ok(soft_rsa_encrypt_pkcs1(p->ours, BYTES(plain, lengths[j]), out));
            evp_decrypt(ctx, BYTES(out, p->size), BYTES(plain, lengths[j]));
        }
        assert_int_equal(soft_rsa_encrypt_pkcs1(p->ours, BYTES(plain, p->size - 10), out),
                         CKR_DATA_LEN_RANGE);
    }
}

static void oaep_encryption(void **state)
{
    (void)state;
    uint8_t plain[512], out[512];
    fill(plain, sizeof(plain), 5);
    for (size_t i = 0; i < SIZES; i++) {
        const struct rsa_pair *p = &pairs[i];
        for (enum hash h = HASH_SHA1; h < HASH_COUNT; h++) {
            if (p->size < 2 * hash_size(h) + 2) {
                assert_int_equal(soft_rsa_encrypt_oaep(p->ours, h, h, NO_BYTES, NO_BYTES, out),
                                 CKR_DATA_LEN_RANGE);
                continue;
            }
            size_t longest = p->size - 2 * hash_size(h) - 2, lengths[] = {0, longest / 2, longest};
            for (size_t j = 0; j < 3; j++) {
                struct bytes label = BYTES("label", j ? 5 : 0), m = BYTES(plain, lengths[j]);
                enum hash mgf = j == 1 ? HASH_SHA1 : h;
                EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(p->evp, NULL);
                assert_int_equal(EVP_PKEY_decrypt_init(ctx), 1);
                set_oaep(ctx, h, mgf, label);
                assert_ok(soft_rsa_encrypt_oaep(p->ours, h, mgf, label, m, out));
                evp_decrypt(ctx, BYTES(out, p->size), m);
            }
            assert_int_equal(
                soft_rsa_encrypt_oaep(p->ours, h, h, NO_BYTES, BYTES(plain, longest + 1), out),
                CKR_DATA_LEN_RANGE);
        }
    }
}

static void refuses_bad_keys(void **state)
{
    (void)state;
    static uint8_t big[2049];
    const struct rsa_pair *p = &pairs[1];
    struct bytes n = BYTES(p->modulus, p->size), e = BYTES(p->exponent, p->exponent_n);
    struct soft_key *k = NULL;
    uint8_t even[128], padded[129] = {0};
    memcpy(even, p->modulus, sizeof(even));
    even[127] &= 0xFE;
    memset(big, 0xFF, sizeof(big));
    const struct {
        struct bytes n, e;
    } bad[] = {
        {NO_BYTES, e},
        {n, NO_BYTES},
        {BYTES_OF(even), e},
        {n, BYTES("\1", 1)},
        {n, BYTES("\1\0", 2)},
        {n, n},
        {BYTES("\xff\xff\xff\xff\xff\xff\xff\xff", 8), BYTES("\3", 1)},
        {BYTES_OF(big), e},
        {BYTES(big, 385), BYTES(big, 9)}, /* 3080 bits with an exponent of 72 */
        {n, BYTES(big, 2000)},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_int_equal(soft_key_rsa(bad[i].n, bad[i].e, &k), CKR_ATTRIBUTE_VALUE_INVALID);
    assert_null(k);
    /* leading zeros, as Java's BigInteger writes them, do not make the modulus longer */
    memcpy(padded + 1, n.p, n.n);
    assert_ok(soft_key_rsa(BYTES_OF(padded), e, &k));
    assert_int_equal(soft_rsa_verify_pkcs1(k, NO_BYTES, BYTES_OF(padded)), CKR_SIGNATURE_LEN_RANGE);
    assert_int_equal(soft_rsa_verify_pkcs1(k, NO_BYTES, n), CKR_SIGNATURE_INVALID);
    soft_key_free(&k);
    assert_null(k);
    soft_key_free(&k);
}

static int make_pairs(void **state)
{
    if (start(state) != 0)
        return -1;
    for (size_t i = 0; i < SIZES; i++)
        pairs[i] = rsa_pair_new(sizes[i]);
    return 0;
}

static int free_pairs(void **state)
{
    for (size_t i = 0; i < SIZES; i++)
        rsa_pair_free(&pairs[i]);
    return stop(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pkcs1),
        cmocka_unit_test(pkcs1_forged_blocks),
        cmocka_unit_test(pss),
        cmocka_unit_test(pss_forged_blocks),
        cmocka_unit_test(public_operation),
        cmocka_unit_test(encryption),
        cmocka_unit_test(oaep_encryption),
        cmocka_unit_test(refuses_bad_keys),
    };
    return cmocka_run_group_tests(tests, make_pairs, free_pairs);
}
