/* SHA-1 and SHA-2 on OpenSSL's low-level functions, for the provider shows nobody the state of its
 * digests. These ask no engine and load no configuration: they compute in a struct of ours.
 *
 * A saved state, big-endian: CKM_… of the digest (4 bytes); the length in bits, as long as two
 * words of the hash; its chaining words; the number of bytes that wait for a whole block (1 byte);
 * these.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "internal.h"

#include <string.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>

union sha {
    SHA_CTX sha1;
    SHA256_CTX sha256; /* SHA-224, too */
    SHA512_CTX sha512; /* SHA-384, too */
};

/* ---- as provider-digest(7) has it ---- */

static void *sha_new(void *unused)
{
    (void)unused;
    union sha *c = OPENSSL_zalloc(sizeof(*c));
    if (!c)
        ERR_raise(ERR_LIB_CRYPTO, ERR_R_MALLOC_FAILURE);
    return c;
}

static void *sha_copy(void *from)
{
    union sha *c = sha_new(NULL);
    if (c)
        *c = *(const union sha *)from;
    return c;
}

static void sha_free(void *c)
{
    OPENSSL_clear_free(c, sizeof(union sha));
}

#define SHA_FUNCTIONS(NAME, member)                                                                \
    static int NAME##_init(void *c, const OSSL_PARAM *unused)                                      \
    {                                                                                              \
        (void)unused;                                                                              \
        return NAME##_Init(&((union sha *)c)->member);                                             \
    }                                                                                              \
    static int NAME##_update(void *c, const unsigned char *data, size_t n)                         \
    {                                                                                              \
        return NAME##_Update(&((union sha *)c)->member, data, n);                                  \
    }                                                                                              \
    static int NAME##_final(void *c, unsigned char *ret, size_t *ret_n, size_t room)               \
    {                                                                                              \
        *ret_n = NAME##_DIGEST_LENGTH;                                                             \
        return room >= *ret_n && NAME##_Final(ret, &((union sha *)c)->member);                     \
    }
#define SHA1_DIGEST_LENGTH SHA_DIGEST_LENGTH
SHA_FUNCTIONS(SHA1, sha1)
SHA_FUNCTIONS(SHA224, sha256)
SHA_FUNCTIONS(SHA256, sha256)
SHA_FUNCTIONS(SHA384, sha512)
SHA_FUNCTIONS(SHA512, sha512)

#define ROW(NAME)                                                                                  \
    {                                                                                              \
        sha_new, sha_copy, sha_free, NAME##_init, NAME##_update, NAME##_final                      \
    }
const struct digest_functions sha_functions[HASH_COUNT] = {
    [HASH_SHA1] = ROW(SHA1),     [HASH_SHA224] = ROW(SHA224), [HASH_SHA256] = ROW(SHA256),
    [HASH_SHA384] = ROW(SHA384), [HASH_SHA512] = ROW(SHA512),
};

/* ---- saved states ---- */

enum { LENGTH_WORDS = 2, WORDS_MAX = LENGTH_WORDS + 8, SAVED_MAX = 4 + 8 * WORDS_MAX + 1 + 128 };

/* Where a context has what is saved: the length's high and low word, then the chaining words. */
struct parts {
    SHA_LONG *narrow[WORDS_MAX]; /* either these */
    SHA_LONG64 *wide[WORDS_MAX]; /* or these */
    void *block;
    unsigned int *waiting; /* bytes in block */
};

static struct parts sha1_parts(union sha *c)
{
    SHA_CTX *s = &c->sha1;
    return (struct parts){
        .narrow = {&s->Nh, &s->Nl, &s->h0, &s->h1, &s->h2, &s->h3, &s->h4},
        .block = s->data,
        .waiting = &s->num,
    };
}

static struct parts sha256_parts(union sha *c)
{
    SHA256_CTX *s = &c->sha256;
    SHA_LONG *h = s->h;
    return (struct parts){
        .narrow = {&s->Nh, &s->Nl, h, h + 1, h + 2, h + 3, h + 4, h + 5, h + 6, h + 7},
        .block = s->data,
        .waiting = &s->num,
    };
}

static struct parts sha512_parts(union sha *c)
{
    SHA512_CTX *s = &c->sha512;
    SHA_LONG64 *h = s->h;
    return (struct parts){
        .wide = {&s->Nh, &s->Nl, h, h + 1, h + 2, h + 3, h + 4, h + 5, h + 6, h + 7},
        .block = s->u.p,
        .waiting = &s->num,
    };
}

static const struct saved_row {
    uint32_t mechanism;
    uint8_t words;
    struct parts (*parts)(union sha *c);
} saved_rows[HASH_COUNT] = {
    [HASH_SHA1] = {CKM_SHA_1, LENGTH_WORDS + 5, sha1_parts},
    [HASH_SHA224] = {CKM_SHA224, LENGTH_WORDS + 8, sha256_parts},
    [HASH_SHA256] = {CKM_SHA256, LENGTH_WORDS + 8, sha256_parts},
    [HASH_SHA384] = {CKM_SHA384, LENGTH_WORDS + 8, sha512_parts},
    [HASH_SHA512] = {CKM_SHA512, LENGTH_WORDS + 8, sha512_parts},
};

CK_RV sha_save(enum hash h, void *state, struct buf *ret)
{
    const struct saved_row *row = &saved_rows[h];
    if (!row->parts)
        return CKR_STATE_UNSAVEABLE;
    struct parts parts = row->parts(state);
    TRY(buf_reserve(ret, SAVED_MAX)); /* after this nothing fails: all or nothing is appended */
    TRY(buf_u32(ret, row->mechanism));
    for (size_t i = 0; i < row->words; i++)
        TRY(parts.wide[i] ? buf_u64(ret, *parts.wide[i]) : buf_u32(ret, *parts.narrow[i]));
    TRY(buf_u8(ret, (uint8_t)*parts.waiting));
    return buf_append(ret, parts.block, *parts.waiting);
}

static bool take_words(struct bytes *in, const struct parts *parts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t wide;
        uint32_t narrow;
        if (parts->wide[i] ? !bytes_take_u64(in, &wide) : !bytes_take_u32(in, &narrow))
            return false;
        if (parts->wide[i])
            *parts->wide[i] = wide;
        else
            *parts->narrow[i] = narrow;
    }
    return true;
}

/* What waits is less than a block, and all of the length that is beyond whole blocks. */
static bool take_waiting(struct bytes *in, const struct parts *parts, size_t block_size)
{
    uint64_t bits = parts->wide[1] ? *parts->wide[1] : *parts->narrow[1];
    uint8_t n;
    struct bytes waiting;
    if (!bytes_take_u8(in, &n) || bits % (8 * block_size) != (size_t)8 * n ||
        !bytes_take(in, n, &waiting))
        return false;
    if (n)
        memcpy(parts->block, waiting.p, n);
    *parts->waiting = n;
    return true;
}

CK_RV sha_load(enum hash h, struct bytes saved, void *state)
{
    const struct saved_row *row = &saved_rows[h];
    uint32_t mechanism;
    if (!row->parts || !bytes_take_u32(&saved, &mechanism) || mechanism != row->mechanism)
        return CKR_SAVED_STATE_INVALID;
    struct parts parts = row->parts(state);
    if (!take_words(&saved, &parts, row->words) ||
        !take_waiting(&saved, &parts, hash_block_size(h)) || saved.n)
        return CKR_SAVED_STATE_INVALID;
    return CKR_OK;
}
