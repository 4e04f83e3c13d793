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

/* RFC 5869 2.3: T(i) = HMAC(PRK, T(i-1) || info || i) */
static CK_RV hkdf_expand(const struct hmac *prk, struct bytes info, uint8_t *ret, size_t n)
{
    uint8_t t[HASH_MAX];
    CK_RV rv = CKR_OK;
    for (size_t done = 0, i = 1; rv == CKR_OK && done < n; i++) {
        uint8_t counter = (uint8_t)i;
        struct bytes parts[] = {BYTES(t, i > 1 ? prk->size : 0), info, BYTES(&counter, 1)};
        rv = hmac_run(prk, parts, 3, t);
        if (rv == CKR_OK)
            done += copy_block(ret + done, n - done, t, prk->size);
    }
    secret_wipe(t, sizeof(t));
    return rv;
}

CK_RV soft_hkdf_expand(enum hash h, struct bytes prk, struct bytes info, uint8_t *ret, size_t n)
{
    if (n > 255 * hash_size(h))
        return error_log(CKR_KEY_SIZE_RANGE, "HKDF cannot give %zu bytes", n);
    CLEANUP(hmac_free) struct hmac hmac = {0};
    TRY(hmac_start(h, prk, &hmac));
    return hkdf_expand(&hmac, info, ret, n);
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

enum { FIELD_BYTES_MAX = 8 };

static bool fits(uint64_t v, unsigned bits)
{
    return bits >= 64 || v >> bits == 0;
}

/* What the fields have in common for all calls, and room for a call's parts. */
struct counter_kdf {
    const struct kdf_field *fields;
    size_t n;
    uint8_t counter[FIELD_BYTES_MAX], length[FIELD_BYTES_MAX];
    struct bytes *parts;
};

static void free_parts(struct counter_kdf *k)
{
    free(k->parts);
}

static void put_number(const struct kdf_field *f, uint64_t v, uint8_t *ret)
{
    size_t n = f->bits / 8;
    for (size_t i = 0; i < n; i++, v >>= 8)
        ret[f->little_endian ? i : n - 1 - i] = (uint8_t)v;
}

/* How often there is a field of this kind; -1: one of them has no width. */
static int count(const struct kdf_field *fields, size_t n, enum kdf_field_kind kind,
                 unsigned bits_max)
{
    int found = 0;
    for (size_t i = 0; i < n; i++) {
        if (fields[i].kind != kind)
            continue;
        if (fields[i].bits == 0 || fields[i].bits > bits_max || fields[i].bits % 8)
            return -1;
        found++;
    }
    return found;
}

/* The parts, among which counter is filled for each call. */
static CK_RV lay_out(struct counter_kdf *k, uint64_t blocks, uint64_t bits)
{
    int lengths = count(k->fields, k->n, KDF_LENGTH, 64);
    if (count(k->fields, k->n, KDF_COUNTER, 32) != 1 || lengths < 0 || lengths > 1)
        return error_log(CKR_MECHANISM_PARAM_INVALID, "SP800-108: bad counter or length field");
    if (!(k->parts = calloc(k->n, sizeof(*k->parts))))
        return CKR_HOST_MEMORY;
    for (size_t i = 0; i < k->n; i++) {
        const struct kdf_field *f = &k->fields[i];
        if (f->kind != KDF_BYTES && !fits(f->kind == KDF_COUNTER ? blocks : bits, f->bits))
            return error_log(CKR_KEY_SIZE_RANGE, "SP800-108: a field of %u bits is too short",
                             f->bits);
        if (f->kind == KDF_LENGTH)
            put_number(f, bits, k->length);
        k->parts[i] = f->kind == KDF_COUNTER  ? BYTES(k->counter, f->bits / 8)
                      : f->kind == KDF_LENGTH ? BYTES(k->length, f->bits / 8)
                                              : f->bytes;
    }
    return CKR_OK;
}

static void set_counter(struct counter_kdf *k, uint64_t number)
{
    for (size_t i = 0; i < k->n; i++)
        if (k->fields[i].kind == KDF_COUNTER)
            put_number(&k->fields[i], number, k->counter);
}

CK_RV soft_sp800_108_counter(enum hash prf, struct bytes key, const struct kdf_field *fields,
                             size_t n_fields, uint8_t *ret, size_t n)
{
    CLEANUP(free_parts) struct counter_kdf k = {.fields = fields, .n = n_fields};
    CLEANUP(hmac_free) struct hmac hmac = {0};
    TRY(hmac_start(prf, key, &hmac));
    TRY(lay_out(&k, (n + hmac.size - 1) / hmac.size, (uint64_t)n * 8));
    uint8_t block[HASH_MAX];
    CK_RV rv = CKR_OK;
    uint64_t number = 1;
    for (size_t done = 0; rv == CKR_OK && done < n; number++) {
        set_counter(&k, number);
        rv = hmac_run(&hmac, k.parts, k.n, block);
        if (rv == CKR_OK)
            done += copy_block(ret + done, n - done, block, hmac.size);
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
