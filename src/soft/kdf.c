#include "internal.h"

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

CK_RV soft_hkdf(enum hash h, struct bytes key, struct bytes salt, struct bytes info, uint8_t *ret,
                size_t n)
{
    if (n > 255 * hash_size(h))
        return error_log(CKR_KEY_SIZE_RANGE, "HKDF cannot give %zu bytes", n);
    uint8_t prk[HASH_MAX];
    /* 2.2: no salt is a salt of zeros, and so is HMAC's empty key */
    TRY(soft_hmac(h, salt, &key, 1, prk));
    CLEANUP(hmac_free) struct hmac hmac = {0};
    CK_RV rv = hmac_start(h, BYTES(prk, hash_size(h)), &hmac);
    secret_wipe(prk, sizeof(prk));
    TRY(rv);
    return hkdf_expand(&hmac, info, ret, n);
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
