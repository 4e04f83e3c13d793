#include "internal.h"

#include <stdlib.h>
#include <string.h>

static void put_be32(uint8_t out[4], uint32_t v)
{
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(v >> (24 - 8 * i));
}

static size_t copy_block(uint8_t *ret, size_t n, const uint8_t *block, size_t block_size)
{
    size_t part = n < block_size ? n : block_size;
    memcpy(ret, block, part);
    return part;
}

/* ---- pseudorandom functions ---- */

static CK_RV run_hmac(const void *key, const struct bytes *parts, size_t n_parts, uint8_t *ret)
{
    return hmac_run(key, parts, n_parts, ret);
}

CK_RV soft_prf_hmac(enum hash h, struct bytes key, struct soft_prf *ret)
{
    struct hmac *hmac = calloc(1, sizeof(*hmac));
    CK_RV rv = hmac ? hmac_start(h, key, hmac) : CKR_HOST_MEMORY;
    if (rv == CKR_OK)
        *ret = (struct soft_prf){hash_size(h), run_hmac, hmac, hmac};
    else
        free(hmac);
    return rv;
}

void soft_prf_free(struct soft_prf *prf)
{
    if (prf->owned)
        hmac_free(prf->owned);
    free(prf->owned);
    *prf = (struct soft_prf){0};
}

/* ---- HKDF ---- */

/* RFC 5869 2.3: T(i) = HMAC(PRK, T(i-1) || info || i) */
CK_RV soft_prf_expand(const struct soft_prf *prf, struct bytes info, uint8_t *ret, size_t n)
{
    if (n > 255 * prf->size)
        return error_log(CKR_KEY_SIZE_RANGE, "HKDF cannot give %zu bytes", n);
    uint8_t t[HASH_MAX];
    CK_RV rv = CKR_OK;
    for (size_t done = 0, i = 1; rv == CKR_OK && done < n; i++) {
        uint8_t counter = (uint8_t)i;
        struct bytes parts[] = {BYTES(t, i > 1 ? prf->size : 0), info, BYTES(&counter, 1)};
        rv = prf->run(prf->key, parts, 3, t);
        if (rv == CKR_OK)
            done += copy_block(ret + done, n - done, t, prf->size);
    }
    secret_wipe(t, sizeof(t));
    return rv;
}

CK_RV soft_hkdf_expand(enum hash h, struct bytes prk, struct bytes info, uint8_t *ret, size_t n)
{
    CLEANUP(hmac_free) struct hmac hmac = {0};
    TRY(hmac_start(h, prk, &hmac));
    return soft_prf_expand(&(struct soft_prf){hmac.size, run_hmac, &hmac, NULL}, info, ret, n);
}

/* 2.2: no salt is a salt of zeros, and so is HMAC's empty key */
CK_RV soft_hkdf_extract(enum hash h, struct bytes key, struct bytes salt, uint8_t *ret)
{
    return soft_hmac(h, salt, &key, 1, ret);
}

CK_RV soft_hkdf(enum hash h, struct bytes key, struct bytes salt, struct bytes info, uint8_t *ret,
                size_t n)
{
    uint8_t prk[HASH_MAX];
    TRY(soft_hkdf_extract(h, key, salt, prk));
    CK_RV rv = soft_hkdf_expand(h, BYTES(prk, hash_size(h)), info, ret, n);
    secret_wipe(prk, sizeof(prk));
    return rv;
}

/* RFC 8018 5.2 step 3: F(P, S, c, i) */
static CK_RV pbkdf2_block(const struct hmac *password, struct bytes salt, uint32_t rounds,
                          uint32_t number, uint8_t *ret)
{
    uint8_t u[HASH_MAX], be[4];
    put_be32(be, number);
    TRY(hmac_run(password, (struct bytes[]){salt, BYTES_OF(be)}, 2, u));
    memcpy(ret, u, password->size);
    CK_RV rv = CKR_OK;
    for (uint32_t round = 1; rv == CKR_OK && round < rounds; round++) {
        struct bytes last = BYTES(u, password->size);
        rv = hmac_run(password, &last, 1, u);
        for (size_t i = 0; i < password->size; i++)
            ret[i] ^= u[i];
    }
    secret_wipe(u, sizeof(u));
    return rv;
}

CK_RV soft_pbkdf2(enum hash h, struct bytes password, struct bytes salt, uint32_t rounds,
                  uint8_t *ret, size_t n)
{
    if (rounds == 0)
        return error_log(CKR_ARGUMENTS_BAD, "PBKDF2 with 0 rounds");
    CLEANUP(hmac_free) struct hmac hmac = {0};
    TRY(hmac_start(h, password, &hmac));
    uint8_t block[HASH_MAX];
    CK_RV rv = CKR_OK;
    uint32_t number = 1;
    for (size_t done = 0; rv == CKR_OK && done < n; number++) {
        rv = pbkdf2_block(&hmac, salt, rounds, number, block);
        if (rv == CKR_OK)
            done += copy_block(ret + done, n - done, block, hmac.size);
    }
    secret_wipe(block, sizeof(block));
    return rv;
}

CK_RV soft_kdfa(enum hash h, struct bytes key, const char *label, struct bytes context_u,
                struct bytes context_v, uint32_t bits, uint8_t *ret)
{
    if (bits % 8)
        return error_log(CKR_ARGUMENTS_BAD, "KDFa of %u bits", bits);
    CLEANUP(hmac_free) struct hmac hmac = {0};
    TRY(hmac_start(h, key, &hmac));
    uint8_t block[HASH_MAX], counter[4], length[4];
    put_be32(length, bits);
    struct bytes parts[] = {BYTES_OF(counter), BYTES(label, strlen(label) + 1), context_u,
                            context_v, BYTES_OF(length)};
    CK_RV rv = CKR_OK;
    uint32_t number = 1;
    for (size_t done = 0; rv == CKR_OK && done < bits / 8; number++) {
        put_be32(counter, number);
        rv = hmac_run(&hmac, parts, 5, block);
        if (rv == CKR_OK)
            done += copy_block(ret + done, bits / 8 - done, block, hmac.size);
    }
    secret_wipe(block, sizeof(block));
    return rv;
}

/* ---- SP800-108 ---- */

enum { NUMBER_MAX = 8 };

static bool fits(uint64_t v, unsigned bits)
{
    return bits >= 64 || v >> bits == 0;
}

static void put_number(const struct kdf_field *f, uint64_t v, uint8_t *ret)
{
    size_t n = f->bits / 8;
    for (size_t i = 0; i < n; i++, v >>= 8)
        ret[f->little_endian ? i : n - 1 - i] = (uint8_t)v;
}

static size_t count(const struct kdf_field *fields, size_t n, enum kdf_field_kind kind)
{
    size_t found = 0;
    for (size_t i = 0; i < n; i++)
        found += fields[i].kind == kind;
    return found;
}

bool soft_sp800_108_valid(enum kdf_mode mode, const struct kdf_field *fields, size_t n_fields)
{
    size_t counters = count(fields, n_fields, KDF_COUNTER);
    bool counts = mode == KDF_MODE_COUNTER;
    for (size_t i = 0; i < n_fields; i++) {
        const struct kdf_field *f = &fields[i];
        unsigned most = f->kind == KDF_COUNTER ? 32 : f->kind == KDF_LENGTH ? 64 : 0;
        if (most && (f->bits == 0 || f->bits > most || f->bits % 8))
            return false;
    }
    return (counts ? counters == 1 : counters <= 1) &&
           count(fields, n_fields, KDF_CHAIN) == (counts ? 0 : 1) &&
           count(fields, n_fields, KDF_LENGTH) <= 1;
}

/* One derivation: the parts of a call, of which those of counter and chain change from call to
 * call. Both are empty at first. */
struct run {
    enum kdf_mode mode;
    const struct soft_prf *prf;
    const struct kdf_field *counter; /* NULL: none */
    struct bytes *parts, *counter_part, *chain_part;
    size_t n;
    uint8_t number[NUMBER_MAX], length[NUMBER_MAX], chain[HASH_MAX];
};

static void run_free(struct run *r)
{
    free(r->parts);
    secret_wipe(r->chain, sizeof(r->chain));
}

static CK_RV lay_out(struct run *r, const struct kdf_field *fields, size_t n, uint64_t blocks)
{
    if (!soft_sp800_108_valid(r->mode, fields, n))
        return error_log(CKR_MECHANISM_PARAM_INVALID, "SP800-108: bad fields");
    if (!(r->parts = calloc(n, sizeof(*r->parts))))
        return CKR_HOST_MEMORY;
    r->n = n;
    for (size_t i = 0; i < n; i++) {
        const struct kdf_field *f = &fields[i];
        if ((f->kind == KDF_COUNTER && !fits(blocks, f->bits)) ||
            (f->kind == KDF_LENGTH && !fits(f->length, f->bits)))
            return error_log(CKR_KEY_SIZE_RANGE, "SP800-108: a field of %u bits is too short",
                             f->bits);
        if (f->kind == KDF_COUNTER) {
            r->counter = f;
            r->counter_part = &r->parts[i];
        } else if (f->kind == KDF_CHAIN) {
            r->chain_part = &r->parts[i];
        } else if (f->kind == KDF_LENGTH) {
            put_number(f, f->length, r->length);
            r->parts[i] = BYTES(r->length, f->bits / 8);
        } else {
            r->parts[i] = f->bytes;
        }
    }
    return CKR_OK;
}

/* What the number-th call chains in: the output before it, iv before the first; 4.3: A(i), where
 * A(0) is the input without counter and chain. */
static CK_RV advance(struct run *r, uint64_t number, struct bytes iv, const uint8_t *last)
{
    if (r->mode == KDF_MODE_COUNTER)
        return CKR_OK;
    if (r->mode == KDF_MODE_PIPELINE && number == 1)
        TRY(r->prf->run(r->prf->key, r->parts, r->n, r->chain));
    else if (r->mode == KDF_MODE_PIPELINE)
        TRY(r->prf->run(r->prf->key, r->chain_part, 1, r->chain));
    else if (number > 1)
        memcpy(r->chain, last, r->prf->size);
    bool first_feedback = r->mode == KDF_MODE_FEEDBACK && number == 1;
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): soft_sp800_108_valid wants one */
    *r->chain_part = first_feedback ? iv : BYTES(r->chain, r->prf->size);
    return CKR_OK;
}

static CK_RV next_block(struct run *r, uint64_t number, struct bytes iv, uint8_t *block)
{
    TRY(advance(r, number, iv, block));
    if (r->counter) {
        put_number(r->counter, number, r->number);
        *r->counter_part = BYTES(r->number, r->counter->bits / 8);
    }
    return r->prf->run(r->prf->key, r->parts, r->n, block);
}

CK_RV soft_sp800_108(enum kdf_mode mode, const struct soft_prf *prf, const struct kdf_field *fields,
                     size_t n_fields, struct bytes iv, uint8_t *ret, size_t n)
{
    CLEANUP(run_free) struct run r = {.mode = mode, .prf = prf};
    TRY(lay_out(&r, fields, n_fields, (n + prf->size - 1) / prf->size));
    uint8_t block[HASH_MAX];
    CK_RV rv = CKR_OK;
    uint64_t number = 1;
    for (size_t done = 0; rv == CKR_OK && done < n; number++) {
        rv = next_block(&r, number, iv, block);
        if (rv == CKR_OK)
            done += copy_block(ret + done, n - done, block, prf->size);
    }
    secret_wipe(block, sizeof(block));
    return rv;
}

/* ---- TLS 1.2 ---- */

/* RFC 5246, 5: A(i) = HMAC(A(i-1)), from label || seed on; output is HMAC(A(i) || label || seed) */
static CK_RV p_hash(const struct hmac *hmac, struct bytes *parts, size_t n_parts, uint8_t *ret,
                    size_t n)
{
    uint8_t a[HASH_MAX], block[HASH_MAX];
    CK_RV rv = hmac_run(hmac, parts + 1, n_parts - 1, a);
    parts[0] = BYTES(a, hmac->size);
    for (size_t done = 0; rv == CKR_OK && done < n;) {
        rv = hmac_run(hmac, parts, n_parts, block);
        if (rv == CKR_OK) {
            done += copy_block(ret + done, n - done, block, hmac->size);
            rv = hmac_run(hmac, parts, 1, a);
        }
    }
    parts[0] = NO_BYTES;
    secret_wipe(a, sizeof(a));
    secret_wipe(block, sizeof(block));
    return rv;
}

CK_RV soft_tls12_prf(enum hash h, struct bytes secret, struct bytes label, const struct bytes *seed,
                     size_t n_seed, uint8_t *ret, size_t n)
{
    enum { SEED_PARTS_MAX = 4 };
    struct bytes parts[2 + SEED_PARTS_MAX] = {NO_BYTES, label};
    if (n_seed > SEED_PARTS_MAX)
        return error_log(CKR_ARGUMENTS_BAD, "a TLS seed of %zu parts", n_seed);
    for (size_t i = 0; i < n_seed; i++)
        parts[2 + i] = seed[i];
    CLEANUP(hmac_free) struct hmac hmac = {0};
    TRY(hmac_start(h, secret, &hmac));
    return p_hash(&hmac, parts, 2 + n_seed, ret, n);
}

/* ---- a counter and a hash ---- */

/* H(parts with the big-endian counter at counter_at) for counter 1, 2, … to n bytes. */
static CK_RV hash_counter(enum hash h, struct bytes *parts, size_t n_parts, size_t counter_at,
                          uint8_t *ret, size_t n)
{
    uint8_t block[HASH_MAX], counter[4];
    parts[counter_at] = BYTES_OF(counter);
    CK_RV rv = CKR_OK;
    uint32_t number = 1;
    for (size_t done = 0; rv == CKR_OK && done < n; number++) {
        put_be32(counter, number);
        rv = soft_hash(h, parts, n_parts, block);
        if (rv == CKR_OK)
            done += copy_block(ret + done, n - done, block, hash_size(h));
    }
    parts[counter_at] = NO_BYTES;
    secret_wipe(block, sizeof(block));
    return rv;
}

CK_RV soft_kdfe(enum hash h, struct bytes z, const char *label, struct bytes party_u,
                struct bytes party_v, uint32_t bits, uint8_t *ret)
{
    if (bits % 8)
        return error_log(CKR_ARGUMENTS_BAD, "KDFe of %u bits", bits);
    struct bytes parts[] = {NO_BYTES, z, BYTES(label, strlen(label) + 1), party_u, party_v};
    return hash_counter(h, parts, 5, 0, ret, bits / 8);
}

CK_RV soft_x963_kdf(enum hash h, struct bytes z, struct bytes shared, uint8_t *ret, size_t n)
{
    struct bytes parts[] = {z, NO_BYTES, shared};
    return hash_counter(h, parts, 3, 1, ret, n);
}
