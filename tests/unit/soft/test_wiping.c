/* No private number and nothing that was digested is left in memory that OpenSSL frees: its
 * allocator is this test's, and every block is searched when it is given back. */
#include "private_test.h"

#include <malloc.h>
#include <openssl/crypto.h>

enum { PATTERNS = 32, PATTERN = 16 };
static uint8_t patterns[PATTERNS][PATTERN];
static size_t n_patterns, found, blocks;

static void search(const uint8_t *p, size_t n)
{
    blocks++;
    for (size_t i = 0; i < n_patterns; i++)
        if (memmem(p, n, patterns[i], PATTERN))
            found++;
}

static void *take(size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    return calloc(1, n ? n : 1); /* what an older block left behind would be found as well */
}

static void give_back(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    if (p)
        search(p, malloc_usable_size(p));
    free(p);
}

static void *resize(void *p, size_t n, const char *file, int line)
{
    void *fresh = take(n, file, line);
    size_t old = p ? malloc_usable_size(p) : 0;
    memcpy(fresh, p ? p : "", old < n ? old : n);
    give_back(p, file, line);
    return fresh;
}

/* The middle of a number, as it is and as BIGNUM has it. */
static void look_for(struct bytes secret)
{
    assert_true(secret.n >= PATTERN && n_patterns + 2 <= PATTERNS);
    const uint8_t *middle = secret.p + (secret.n - PATTERN) / 2;
    memcpy(patterns[n_patterns], middle, PATTERN);
    for (int i = 0; i < PATTERN; i++)
        patterns[n_patterns + 1][i] = middle[PATTERN - 1 - i];
    n_patterns += 2;
}

static void pkcs8_round_trip(const struct soft_private *k)
{
    CLEANUP(secret_free) struct secret der = {0};
    CLEANUP(soft_private_free) struct soft_private *again = NULL;
    assert_ok(soft_private_to_pkcs8(k, &der));
    assert_ok(soft_private_from_pkcs8(secret_bytes(&der), &again));
}

static void rsa(void **state)
{
    (void)state;
    uint8_t out[256];
    struct bytes number[RSA_NUMBERS] = {{0}};
    n_patterns = found = blocks = 0;
    CLEANUP(soft_private_free) struct soft_private *k = NULL;
    CLEANUP(soft_private_free) struct soft_private *again = NULL;
    assert_ok(soft_private_generate_rsa(2048, BYTES("\1\0\1", 3), &k));
    for (int i = RSA_D; i < RSA_NUMBERS; i++)
        look_for(soft_private_number(k, (enum rsa_number)i));
    assert_ok(soft_private_rsa(k, BYTES("hello", 5), out));
    pkcs8_round_trip(k);
    for (int i = RSA_N; i <= RSA_D; i++)
        number[i] = soft_private_number(k, (enum rsa_number)i);
    assert_ok(soft_private_from_rsa(number, &again));
    assert_true(blocks > 50);
    assert_int_equal(found, 0);
}

static void curves(void **state)
{
    (void)state;
    for (enum curve c = CURVE_P224; c < CURVE_END; c++) {
        uint8_t out[132];
        CLEANUP(soft_private_free) struct soft_private *k = NULL;
        CLEANUP(buf_free) struct buf point = {0};
        CLEANUP(secret_free) struct secret z = {0};
        assert_ok(soft_private_generate(c, &k));
        n_patterns = found = blocks = 0;
        look_for(soft_private_value(k));
        pkcs8_round_trip(k);
        assert_ok(soft_key_point(soft_private_public(k), &point));
        if (curve_is_edwards(c))
            assert_ok(soft_private_eddsa(k, NULL, BYTES("text", 4), out));
        if (c < CURVE_COUNT)
            assert_ok(soft_private_ecdsa(k, BYTES("text", 4), out));
        if (!curve_is_edwards(c))
            assert_ok(soft_private_ecdh(k, buf_bytes(&point), &z));
        assert_true(blocks > 0);
        assert_int_equal(found, 0);
    }
}

/* The first chaining words of a saved state (src/soft/sha.c), as a context has them. */
static void look_for_words(enum hash h, struct bytes saved)
{
    uint32_t narrow;
    uint64_t wide;
    struct bytes head;
    uint8_t *p = patterns[n_patterns++];
    bool is_narrow = h < HASH_SHA384;
    assert_true(n_patterns <= PATTERNS && bytes_take(&saved, is_narrow ? 12 : 20, &head));
    for (size_t i = 0; i < PATTERN; i += is_narrow ? 4 : 8) {
        assert_true(is_narrow ? bytes_take_u32(&saved, &narrow) : bytes_take_u64(&saved, &wide));
        memcpy(p + i, is_narrow ? (void *)&narrow : &wide, is_narrow ? 4 : 8);
    }
}

static void digests(void **state)
{
    (void)state;
    uint8_t data[200], out[HASH_MAX];
    fill(data, sizeof(data), 4);
    for (enum hash h = HASH_SHA1; h < HASH_COUNT; h++) {
        size_t block = hash_block_size(h);
        struct bytes waiting = BYTES(data + block, 40);
        CLEANUP(soft_digest_free) struct soft_digest *d = NULL;
        CLEANUP(soft_digest_free) struct soft_digest *copy = NULL;
        CLEANUP(soft_digest_free) struct soft_digest *loaded = NULL;
        CLEANUP(buf_free) struct buf saved = {0};
        n_patterns = found = blocks = 0;
        look_for(waiting);
        assert_ok(soft_digest_new(h, &d));
        assert_ok(soft_digest_update(d, BYTES(data, block)));
        assert_ok(soft_digest_update(d, waiting));
        assert_ok(soft_digest_copy(d, &copy));
        if (h < HASH_SHA3_224) {
            assert_ok(soft_digest_save(d, &saved));
            look_for_words(h, buf_bytes(&saved));
            assert_ok(soft_digest_load(h, buf_bytes(&saved), &loaded));
            struct soft_digest *bad = NULL; /* has the words when the end is missed */
            assert_int_not_equal(soft_digest_load(h, BYTES(saved.p, saved.n - 1), &bad), CKR_OK);
        }
        soft_digest_free(&copy);
        soft_digest_free(&loaded);
        assert_ok(soft_digest_final(d, out));
        soft_digest_free(&d);
        assert_true(blocks >= 2);
        assert_int_equal(found, 0);
    }
}

static void the_search_finds(void **state)
{
    (void)state;
    uint8_t number[64];
    fill(number, sizeof(number), 3);
    n_patterns = found = 0;
    look_for(BYTES_OF(number));
    BN_free(BN_bin2bn(number, sizeof(number), NULL));
    assert_int_equal(found, 1);
    BN_clear_free(BN_bin2bn(number, sizeof(number), NULL));
    OPENSSL_free(OPENSSL_memdup(number, sizeof(number)));
    assert_int_equal(found, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(rsa), cmocka_unit_test(curves),
                                       cmocka_unit_test(digests),
                                       cmocka_unit_test(the_search_finds)};
    if (!CRYPTO_set_mem_functions(take, resize, give_back))
        return 1;
    return run_soft_tests(tests);
}
