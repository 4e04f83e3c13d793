/* Padding for the private-key operation: what is encoded here OpenSSL verifies, what OpenSSL
 * encrypts is unpadded here. */
#define OPENSSL_SUPPRESS_DEPRECATED /* PKCS1_MGF1 */
#include "rsa_pair.h"

static const size_t sizes[] = {512, 1024, 1025, 1026, 1027, 1028, 1029, 1030, 1031, 2048};
enum { SIZES = sizeof(sizes) / sizeof(*sizes) };
static struct rsa_pair pairs[SIZES];

static bool evp_verify(EVP_PKEY_CTX *ctx, const struct rsa_pair *p, const uint8_t *block,
                       struct bytes digest)
{
    uint8_t sig[512];
    rsa_private(p, block, sig);
    bool ok = EVP_PKEY_verify(ctx, sig, p->size, digest.p, digest.n) == 1;
    EVP_PKEY_CTX_free(ctx);
    return ok;
}

static void pkcs1_with_digest_info(void **state)
{
    (void)state;
    uint8_t digest[HASH_MAX], block[512];
    fill(digest, sizeof(digest), 1);
    for (size_t i = 1; i < SIZES; i++) {
        for (enum hash h = HASH_SHA1; h < HASH_COUNT; h++) {
            const struct rsa_pair *p = &pairs[i];
            struct bytes d = BYTES(digest, hash_size(h));
            CLEANUP(buf_free) struct buf info = {0};
            EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(p->evp, NULL);
            assert_int_equal(EVP_PKEY_verify_init(ctx), 1);
            assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING), 1);
            assert_int_equal(EVP_PKEY_CTX_set_signature_md(ctx, evp_md(h)), 1);
            assert_ok(soft_digest_info(h, d, &info));
            assert_ok(soft_pad_pkcs1(buf_bytes(&info), block, p->size));
            assert_true(evp_verify(ctx, p, block, d));
        }
    }
    struct buf info = {0};
    assert_int_equal(soft_digest_info(HASH_SHA256, BYTES(digest, 31), &info), CKR_DATA_LEN_RANGE);
    assert_int_equal(soft_digest_info(HASH_NONE, NO_BYTES, &info), CKR_DATA_LEN_RANGE);
    assert_null(info.p);
}

static void pkcs1_lengths(void **state)
{
    (void)state;
    uint8_t data[64], block[64];
    fill(data, sizeof(data), 2);
    assert_ok(soft_pad_pkcs1(BYTES(data, 53), block, 64));
    assert_hex(block, "0001ffffffffffffffff00");
    assert_memory_equal(block + 11, data, 53);
    assert_int_equal(soft_pad_pkcs1(BYTES(data, 54), block, 64), CKR_DATA_LEN_RANGE);
    assert_int_equal(soft_pad_pkcs1(NO_BYTES, block, 10), CKR_DATA_LEN_RANGE);
    assert_ok(soft_pad_pkcs1(NO_BYTES, block, 11));
    assert_hex(block, "0001ffffffffffffffff00");
}

static void pss_case(const struct rsa_pair *p, enum hash h, enum hash mgf, size_t salt)
{
    uint8_t digest[HASH_MAX], block[512], again[512];
    struct bytes d = BYTES(digest, hash_size(h));
    fill(digest, sizeof(digest), (uint32_t)salt);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(p->evp, NULL);
    assert_int_equal(EVP_PKEY_verify_init(ctx), 1);
    set_pss(ctx, h, mgf, (int)salt);
    memset(block, 0xEE, sizeof(block));
    assert_ok(soft_pad_pss(h, mgf, salt, d, p->bits, block));
    assert_int_equal(block[p->size], 0xEE);
    assert_true(evp_verify(ctx, p, block, d));
    assert_ok(soft_pad_pss(h, mgf, salt, d, p->bits, again));
    if (salt >= 16)
        assert_memory_not_equal(block, again, p->size); /* a fresh salt */
    if (salt == 0)
        assert_memory_equal(block, again, p->size);
}

static void pss(void **state)
{
    (void)state;
    for (size_t i = 0; i < SIZES; i++) {
        for (enum hash h = HASH_SHA1; h < HASH_COUNT; h++) {
            size_t em = (sizes[i] + 6) / 8, hash = hash_size(h);
            uint8_t digest[HASH_MAX] = {0}, block[256];
            struct bytes d = BYTES(digest, hash);
            if (em < hash + 2) {
                assert_int_equal(soft_pad_pss(h, h, 0, d, sizes[i], block), CKR_KEY_SIZE_RANGE);
                continue;
            }
            size_t longest = em - hash - 2;
            pss_case(&pairs[i], h, h, 0);
            pss_case(&pairs[i], h, HASH_SHA1, longest / 2);
            pss_case(&pairs[i], h, h, longest);
            assert_int_equal(soft_pad_pss(h, h, longest + 1, d, sizes[i], block),
                             CKR_KEY_SIZE_RANGE);
            assert_int_equal(soft_pad_pss(h, h, SIZE_MAX, d, sizes[i], block), CKR_KEY_SIZE_RANGE);
            assert_int_equal(soft_pad_pss(h, h, 0, BYTES(digest, hash - 1), sizes[i], block),
                             CKR_DATA_LEN_RANGE);
        }
    }
}

static void evp_encrypt(EVP_PKEY_CTX *ctx, const struct rsa_pair *p, struct bytes plain,
                        uint8_t *ret_block)
{
    uint8_t cipher[512];
    size_t n = sizeof(cipher);
    assert_int_equal(EVP_PKEY_encrypt(ctx, cipher, &n, plain.p, plain.n), 1);
    assert_int_equal(n, p->size);
    EVP_PKEY_CTX_free(ctx);
    rsa_private(p, cipher, ret_block);
}

static void unpad_pkcs1(void **state)
{
    (void)state;
    uint8_t data[512], block[512], out[512];
    fill(data, sizeof(data), 3);
    for (size_t i = 0; i < SIZES; i++) {
        for (size_t n = 0; n <= pairs[i].size - 11; n += n < 4 || n + 24 > pairs[i].size ? 1 : 5) {
            EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pairs[i].evp, NULL);
            size_t found = 0;
            assert_int_equal(EVP_PKEY_encrypt_init(ctx), 1);
            assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING), 1);
            evp_encrypt(ctx, &pairs[i], BYTES(data, n), block);
            assert_ok(soft_unpad_pkcs1(BYTES(block, pairs[i].size), out, &found));
            assert_int_equal(found, n);
            assert_memory_equal(out, data, n);
        }
    }
}

static void assert_bad_pkcs1(const uint8_t *block, size_t k)
{
    uint8_t out[64];
    size_t n = 4711;
    assert_int_equal(soft_unpad_pkcs1(BYTES(block, k), out, &n), CKR_ENCRYPTED_DATA_INVALID);
    assert_int_equal(n, 4711);
}

static void unpad_pkcs1_refuses(void **state)
{
    (void)state;
    uint8_t good[64], bad[64], out[64];
    size_t n;
    memset(good, 0xAB, sizeof(good));
    memcpy(good, "\0\2", 2);
    good[20] = 0;
    assert_ok(soft_unpad_pkcs1(BYTES_OF(good), out, &n));
    assert_int_equal(n, 43);
    for (size_t i = 0; i < 2; i++) {
        memcpy(bad, good, sizeof(bad));
        bad[i] ^= 1;
        assert_bad_pkcs1(bad, sizeof(bad));
    }
    for (size_t i = 2; i < 10; i++) { /* fewer than eight octets of padding */
        memcpy(bad, good, sizeof(bad));
        bad[i] = 0;
        assert_bad_pkcs1(bad, sizeof(bad));
    }
    memcpy(bad, good, sizeof(bad));
    bad[20] = 1; /* no end of the padding */
    assert_bad_pkcs1(bad, sizeof(bad));
    bad[63] = 0; /* at the very end: an empty text */
    assert_ok(soft_unpad_pkcs1(BYTES_OF(bad), out, &n));
    assert_int_equal(n, 0);
    assert_bad_pkcs1(good, 10);
    assert_bad_pkcs1(good, 0);
}

static void unpad_oaep(void **state)
{
    (void)state;
    uint8_t data[512], block[512], out[512];
    fill(data, sizeof(data), 4);
    for (size_t i = 0; i < SIZES; i++) {
        for (enum hash h = HASH_SHA1; h < HASH_COUNT; h++) {
            if (pairs[i].size < 2 * hash_size(h) + 2)
                continue;
            size_t longest = pairs[i].size - 2 * hash_size(h) - 2;
            size_t lengths[] = {0, 1, longest / 2, longest};
            for (size_t j = 0; j < 4; j++) {
                size_t n = lengths[j] < longest ? lengths[j] : longest, found = 4711;
                struct bytes label = BYTES("a label", j % 2 ? 7 : 0);
                enum hash mgf = j < 2 ? h : HASH_SHA1,
                          other = h == HASH_SHA1 ? HASH_SHA224 : HASH_SHA1;
                EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pairs[i].evp, NULL);
                assert_int_equal(EVP_PKEY_encrypt_init(ctx), 1);
                set_oaep(ctx, h, mgf, label);
                evp_encrypt(ctx, &pairs[i], BYTES(data, n), block);
                struct bytes b = BYTES(block, pairs[i].size);
                assert_int_equal(soft_unpad_oaep(h, mgf, BYTES("another", 7), b, out, &found),
                                 CKR_ENCRYPTED_DATA_INVALID);
                assert_int_equal(soft_unpad_oaep(other, mgf, label, b, out, &found),
                                 CKR_ENCRYPTED_DATA_INVALID);
                assert_int_equal(found, 4711);
                assert_ok(soft_unpad_oaep(h, mgf, label, b, out, &found));
                assert_int_equal(found, n);
                assert_memory_equal(out, data, n);
            }
        }
    }
}

/* SHA-1's OAEP block around db, 128 bytes in all; OpenSSL's MGF1 masks it. */
static void oaep_block(const uint8_t *db, uint8_t *ret)
{
    enum { DB = 107, HASH = 20 };
    uint8_t mask[DB], *seed = ret + 1, *masked = seed + HASH;
    ret[0] = 0;
    fill(seed, HASH, 7);
    assert_int_equal(PKCS1_MGF1(mask, DB, seed, HASH, EVP_sha1()), 0);
    for (size_t i = 0; i < DB; i++)
        masked[i] = db[i] ^ mask[i];
    assert_int_equal(PKCS1_MGF1(mask, HASH, masked, DB, EVP_sha1()), 0);
    for (size_t i = 0; i < HASH; i++)
        seed[i] ^= mask[i];
}

/* RFC 8017, 7.1.2 step 3 g: between the label's hash and the octet 01 only zeros. */
static void oaep_padding_string(void **state)
{
    (void)state;
    uint8_t db[107] = {0}, block[128], out[128];
    size_t n = 4711;
    struct bytes empty = NO_BYTES;
    assert_ok(soft_hash(HASH_SHA1, &empty, 1, db));
    db[100] = 1;
    memcpy(db + 101, "\1\0text", 6);
    oaep_block(db, block);
    assert_ok(soft_unpad_oaep(HASH_SHA1, HASH_SHA1, NO_BYTES, BYTES_OF(block), out, &n));
    assert_int_equal(n, 6);
    assert_memory_equal(out, "\1\0text", 6);
    for (size_t i = 20; i < 100; i++) {
        db[i] = 2;
        oaep_block(db, block);
        assert_int_equal(soft_unpad_oaep(HASH_SHA1, HASH_SHA1, NO_BYTES, BYTES_OF(block), out, &n),
                         CKR_ENCRYPTED_DATA_INVALID);
        db[i] = 0;
    }
    memset(db + 20, 0, sizeof(db) - 20); /* no 01 at all */
    oaep_block(db, block);
    assert_int_equal(soft_unpad_oaep(HASH_SHA1, HASH_SHA1, NO_BYTES, BYTES_OF(block), out, &n),
                     CKR_ENCRYPTED_DATA_INVALID);
}

static void unpad_oaep_refuses(void **state)
{
    (void)state;
    uint8_t block[512], out[512];
    size_t n = 4711;
    const struct rsa_pair *p = &pairs[1];
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(p->evp, NULL);
    assert_int_equal(EVP_PKEY_encrypt_init(ctx), 1);
    set_oaep(ctx, HASH_SHA256, HASH_SHA256, NO_BYTES);
    evp_encrypt(ctx, p, BYTES("text", 4), block);
    struct bytes b = BYTES(block, p->size);
    for (size_t i = 0; i < p->size - 4; i++) { /* the last four are the text, which is not proven */
        block[i] ^= 1;
        assert_int_equal(soft_unpad_oaep(HASH_SHA256, HASH_SHA256, NO_BYTES, b, out, &n),
                         CKR_ENCRYPTED_DATA_INVALID);
        block[i] ^= 1;
    }
    assert_int_equal(soft_unpad_oaep(HASH_NONE, HASH_SHA256, NO_BYTES, b, out, &n),
                     CKR_ENCRYPTED_DATA_INVALID);
    assert_int_equal(soft_unpad_oaep(HASH_SHA256, HASH_NONE, NO_BYTES, b, out, &n),
                     CKR_ENCRYPTED_DATA_INVALID);
    assert_int_equal(soft_unpad_oaep(HASH_SHA256, HASH_SHA256, NO_BYTES, NO_BYTES, out, &n),
                     CKR_ENCRYPTED_DATA_INVALID);
    assert_int_equal(soft_unpad_oaep(HASH_SHA256, HASH_SHA256, NO_BYTES, BYTES(block, 65), out, &n),
                     CKR_ENCRYPTED_DATA_INVALID);
    assert_int_equal(n, 4711);
    assert_ok(soft_unpad_oaep(HASH_SHA256, HASH_SHA256, NO_BYTES, b, out, &n));
    assert_int_equal(n, 4);
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
        cmocka_unit_test(pkcs1_with_digest_info),
        cmocka_unit_test(pkcs1_lengths),
        cmocka_unit_test(pss),
        cmocka_unit_test(unpad_pkcs1),
        cmocka_unit_test(unpad_pkcs1_refuses),
        cmocka_unit_test(unpad_oaep),
        cmocka_unit_test(oaep_padding_string),
        cmocka_unit_test(unpad_oaep_refuses),
    };
    return cmocka_run_group_tests(tests, make_pairs, free_pairs);
}
