/* Saved digest states: their form against FIPS 180-4's own numbers, what comes of a loaded one
 * against OpenSSL's EVP, and that nothing else is taken for one. */
#include "soft_test.h"

enum { LENGTHS = 301, HEAD = 4 };

/* Bytes of a word, and of what stands in front of the number of waiting bytes. */
static size_t word_size(enum hash h)
{
    return h < HASH_SHA384 ? 4 : 8;
}
static size_t head_size(enum hash h)
{
    return HEAD + word_size(h) * (h == HASH_SHA1 ? 2u + 5 : 2u + 8);
}

/* The state after data; appended to ret. */
static void save_after(enum hash h, struct bytes data, struct buf *ret)
{
    CLEANUP(soft_digest_free) struct soft_digest *d = NULL;
    assert_ok(soft_digest_new(h, &d));
    assert_ok(soft_digest_update(d, data));
    assert_ok(soft_digest_save(d, ret));
}

static void assert_refused(enum hash h, struct bytes saved)
{
    struct soft_digest *d = NULL;
    assert_int_equal(soft_digest_load(h, saved, &d), CKR_SAVED_STATE_INVALID);
    assert_null(d);
}

/* Chunks of 0 to 199 bytes. */
static void add_in_chunks(struct soft_digest *d, struct bytes data)
{
    while (data.n) {
        struct bytes chunk;
        size_t n = (size_t)rand() % 200;
        assert_true(bytes_take(&data, n < data.n ? n : data.n, &chunk));
        assert_ok(soft_digest_update(d, chunk));
    }
}

static void assert_final(struct soft_digest *d, const uint8_t *expected, enum hash h)
{
    uint8_t found[HASH_MAX];
    assert_ok(soft_digest_final(d, found));
    assert_memory_equal(found, expected, hash_size(h));
}

/* ---- the form ---- */

/* FIPS 180-4, 5.3: the chaining words that a digest starts with. */
static void form_at_the_start(void **state)
{
    (void)state;
    static const struct {
        enum hash hash;
        const char *expected;
    } cases[] = {
        {HASH_SHA1, "00000220 0000000000000018"
                    "67452301 efcdab89 98badcfe 10325476 c3d2e1f0 03 616263"},
        {HASH_SHA224, "00000255 0000000000000018"
                      "c1059ed8 367cd507 3070dd17 f70e5939 ffc00b31 68581511 64f98fa7 befa4fa4"
                      "03 616263"},
        {HASH_SHA256, "00000250 0000000000000018"
                      "6a09e667 bb67ae85 3c6ef372 a54ff53a 510e527f 9b05688c 1f83d9ab 5be0cd19"
                      "03 616263"},
        {HASH_SHA384, "00000260 00000000000000000000000000000018"
                      "cbbb9d5dc1059ed8 629a292a367cd507 9159015a3070dd17 152fecd8f70e5939"
                      "67332667ffc00b31 8eb44a8768581511 db0c2e0d64f98fa7 47b5481dbefa4fa4"
                      "03 616263"},
        {HASH_SHA512, "00000270 00000000000000000000000000000018"
                      "6a09e667f3bcc908 bb67ae8584caa73b 3c6ef372fe94f82b a54ff53a5f1d36f1"
                      "510e527fade682d1 9b05688c2b3e6c1f 1f83d9abfb41bd6b 5be0cd19137e2179"
                      "03 616263"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        CLEANUP(buf_free) struct buf saved = {0};
        struct hex expected = unhex(cases[i].expected);
        save_after(cases[i].hash, BYTES("abc", 3), &saved);
        assert_int_equal(saved.n, expected.n);
        assert_memory_equal(saved.p, expected.p, expected.n);
    }
}

/* NIST CSRC, "Examples with Intermediate Values", two-block message: the words after block 1, which
 * is here a whole message. */
static void form_after_a_block(void **state)
{
    (void)state;
    uint8_t block[64] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq\x80";
    static const struct {
        enum hash hash;
        const char *expected;
    } cases[] = {
        {HASH_SHA1, "00000220 0000000000000200"
                    "f4286818 c37b27ae 0408f581 84677148 4a566572 00"},
        {HASH_SHA256, "00000250 0000000000000200"
                      "85e655d6 417a1795 3363376a 624cde5c 76e09589 cac5f811 cc4b32c1 f20e533a 00"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        CLEANUP(buf_free) struct buf saved = {0};
        struct hex expected = unhex(cases[i].expected);
        save_after(cases[i].hash, BYTES_OF(block), &saved);
        assert_int_equal(saved.n, expected.n);
        assert_memory_equal(saved.p, expected.p, expected.n);
    }
}

static void saving_appends(void **state)
{
    (void)state;
    for (enum hash h = HASH_SHA1; h < HASH_SHA3_224; h++) {
        CLEANUP(buf_free) struct buf saved = {0};
        assert_ok(buf_append(&saved, "before", 6));
        save_after(h, BYTES("x", 1), &saved);
        assert_int_equal(saved.n, 6 + head_size(h) + 1 + 1);
        assert_memory_equal(saved.p, "before", 6);
        CLEANUP(soft_digest_free) struct soft_digest *d = NULL;
        assert_ok(soft_digest_load(h, BYTES(saved.p + 6, saved.n - 6), &d));
    }
}

/* ---- what comes of it ---- */

static void every_length_goes_on(void **state)
{
    (void)state;
    uint8_t data[LENGTHS + 500], expected[EVP_MAX_MD_SIZE];
    fill(data, sizeof(data), 1);
    for (enum hash h = HASH_SHA1; h < HASH_SHA3_224; h++) {
        for (size_t n = 0; n < LENGTHS; n++) {
            CLEANUP(soft_digest_free) struct soft_digest *d = NULL;
            CLEANUP(soft_digest_free) struct soft_digest *loaded = NULL;
            CLEANUP(buf_free) struct buf saved = {0};
            CLEANUP(buf_free) struct buf again = {0};
            struct bytes more = BYTES(data + n, (size_t)rand() % 500);
            assert_true(EVP_Digest(data, n + more.n, expected, NULL, evp_md(h), NULL));
            assert_ok(soft_digest_new(h, &d));
            add_in_chunks(d, BYTES(data, n));
            assert_ok(soft_digest_save(d, &saved));
            assert_ok(soft_digest_load(h, buf_bytes(&saved), &loaded));
            assert_ok(soft_digest_save(loaded, &again));
            assert_true(bytes_equal(buf_bytes(&saved), buf_bytes(&again)));
            add_in_chunks(loaded, more);
            assert_final(loaded, expected, h);
            /* what was saved from goes on as well */
            add_in_chunks(d, more);
            assert_final(d, expected, h);
        }
    }
}

/* In one process after another, as it were. */
static void saved_after_each_chunk(void **state)
{
    (void)state;
    uint8_t data[3000], expected[EVP_MAX_MD_SIZE];
    fill(data, sizeof(data), 2);
    for (enum hash h = HASH_SHA1; h < HASH_SHA3_224; h++) {
        CLEANUP(soft_digest_free) struct soft_digest *d = NULL;
        assert_true(EVP_Digest(data, sizeof(data), expected, NULL, evp_md(h), NULL));
        assert_ok(soft_digest_new(h, &d));
        for (struct bytes rest = BYTES_OF(data), chunk; rest.n;) {
            CLEANUP(buf_free) struct buf saved = {0};
            size_t n = (size_t)rand() % 200;
            assert_true(bytes_take(&rest, n < rest.n ? n : rest.n, &chunk));
            assert_ok(soft_digest_update(d, chunk));
            assert_ok(soft_digest_save(d, &saved));
            soft_digest_free(&d);
            assert_ok(soft_digest_load(h, buf_bytes(&saved), &d));
        }
        assert_final(d, expected, h);
    }
}

/* The length's low word runs over into the high one, and the high one is loaded. */
static void lengths_of_two_words(void **state)
{
    (void)state;
    uint8_t data[128];
    fill(data, sizeof(data), 3);
    for (enum hash h = HASH_SHA1; h < HASH_SHA3_224; h++) {
        size_t word = word_size(h), block = hash_block_size(h);
        for (int round = 0; round < 2; round++) {
            CLEANUP(soft_digest_free) struct soft_digest *d = NULL;
            CLEANUP(buf_free) struct buf saved = {0};
            CLEANUP(buf_free) struct buf after = {0};
            uint8_t high_low[16] = {0};
            save_after(h, BYTES(data, block), &saved);
            /* 2^32 or 2^64 bits, less a block; and as much with a high word of 7 */
            saved.p[HEAD + word - 1] = round ? 7 : 0;
            memset(saved.p + HEAD + word, 0xFF, word - 2);
            saved.p[HEAD + 2 * word - 2] = (uint8_t)(0x100 - block / 32);
            saved.p[HEAD + 2 * word - 1] = 0;
            assert_ok(soft_digest_load(h, buf_bytes(&saved), &d));
            assert_ok(soft_digest_update(d, BYTES(data, block)));
            assert_ok(soft_digest_save(d, &after));
            high_low[word - 1] = round ? 8 : 1;
            assert_memory_equal(after.p + HEAD, high_low, 2 * word);
        }
    }
}

/* ---- what is none ---- */

static void cut_or_longer(void **state)
{
    (void)state;
    uint8_t data[200];
    fill(data, sizeof(data), 4);
    for (enum hash h = HASH_SHA1; h < HASH_SHA3_224; h++) {
        for (size_t n = 0; n < sizeof(data); n += 1 + n / 3) {
            CLEANUP(buf_free) struct buf saved = {0};
            save_after(h, BYTES(data, n), &saved);
            for (size_t i = 0; i < saved.n; i++) {
                uint8_t *cut = malloc(i + 1); /* so that a read beyond the end is seen */
                assert_non_null(cut);
                memcpy(cut + 1, saved.p, i);
                assert_refused(h, BYTES(cut + 1, i));
                free(cut);
            }
            assert_ok(buf_u8(&saved, 0));
            assert_refused(h, buf_bytes(&saved));
        }
        assert_refused(h, NO_BYTES);
    }
}

/* Each bit that says which hash, where in a block and how much is waiting. */
static void single_bits(void **state)
{
    (void)state;
    uint8_t data[200];
    fill(data, sizeof(data), 5);
    for (enum hash h = HASH_SHA1; h < HASH_SHA3_224; h++) {
        for (size_t n = 0; n < sizeof(data); n += 1 + n / 3) {
            CLEANUP(buf_free) struct buf saved = {0};
            save_after(h, BYTES(data, n), &saved);
            size_t low_end = HEAD + 2 * word_size(h), number = head_size(h);
            for (unsigned bit = 0; bit < 8; bit++) {
                for (size_t i = 0; i < saved.n; i++) {
                    bool place = i == low_end - 1 ||
                                 (i == low_end - 2 && (1u << bit) < hash_block_size(h) / 32);
                    if (i >= HEAD && i != number && !place)
                        continue;
                    saved.p[i] ^= (uint8_t)(1u << bit);
                    assert_refused(h, buf_bytes(&saved));
                    saved.p[i] ^= (uint8_t)(1u << bit);
                }
            }
        }
    }
}

/* A whole block and more is never waiting, though the numbers fit. */
static void a_block_waits(void **state)
{
    (void)state;
    for (enum hash h = HASH_SHA1; h < HASH_SHA3_224; h++) {
        CLEANUP(buf_free) struct buf saved = {0};
        uint8_t *more;
        size_t block = hash_block_size(h);
        save_after(h, NO_BYTES, &saved);
        saved.p[saved.n - 1] = (uint8_t)block;
        saved.p[HEAD + 2 * word_size(h) - 2] = (uint8_t)(block / 32);
        assert_ok(buf_extend(&saved, block, &more));
        assert_refused(h, buf_bytes(&saved));
    }
}

static void another_hash_s(void **state)
{
    (void)state;
    for (enum hash h = HASH_SHA1; h < HASH_SHA3_224; h++) {
        CLEANUP(buf_free) struct buf saved = {0};
        save_after(h, BYTES("abc", 3), &saved);
        for (enum hash other = HASH_NONE; other < HASH_COUNT; other++)
            if (other != h)
                assert_refused(other, buf_bytes(&saved));
    }
}

static void noise(void **state)
{
    (void)state;
    uint8_t data[400];
    for (uint32_t i = 0; i < 1000; i++) {
        fill(data, sizeof(data), i);
        for (enum hash h = HASH_NONE; h < HASH_COUNT; h++)
            assert_refused(h, BYTES(data, (size_t)rand() % sizeof(data)));
    }
}

static void sha3_is_not_saved(void **state)
{
    (void)state;
    for (enum hash h = HASH_SHA3_224; h < HASH_COUNT; h++) {
        CLEANUP(soft_digest_free) struct soft_digest *d = NULL;
        CLEANUP(buf_free) struct buf saved = {0};
        uint8_t expected[EVP_MAX_MD_SIZE];
        assert_ok(soft_digest_new(h, &d));
        assert_ok(soft_digest_update(d, BYTES("abc", 3)));
        assert_int_equal(soft_digest_save(d, &saved), CKR_STATE_UNSAVEABLE);
        assert_null(saved.p);
        assert_true(EVP_Digest("abc", 3, expected, NULL, evp_md(h), NULL));
        assert_final(d, expected, h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(form_at_the_start),
        cmocka_unit_test(form_after_a_block),
        cmocka_unit_test(saving_appends),
        cmocka_unit_test(every_length_goes_on),
        cmocka_unit_test(saved_after_each_chunk),
        cmocka_unit_test(lengths_of_two_words),
        cmocka_unit_test(cut_or_longer),
        cmocka_unit_test(single_bits),
        cmocka_unit_test(a_block_waits),
        cmocka_unit_test(another_hash_s),
        cmocka_unit_test(noise),
        cmocka_unit_test(sha3_is_not_saved),
    };
    return run_soft_tests(tests);
}
