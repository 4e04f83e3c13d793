/* RFC 8017: the paddings of RSA. For keys in the TPM it is done here, so that any hash, salt length
 * and label works whatever the TPM knows. */
#include "internal.h"

#include <string.h>

CK_RV soft_digest_info(enum hash h, struct bytes digest, struct buf *ret)
{
    CLEANUP(buf_free) struct buf algorithm = {0};
    CLEANUP(buf_free) struct buf info = {0};
    if (h == HASH_NONE || digest.n != hash_size(h))
        return CKR_DATA_LEN_RANGE;
    TRY(buf_set(&algorithm, hash_oid(h)));
    TRY(der_append(&algorithm, DER_NULL, NO_BYTES));
    TRY(der_append(&info, DER_SEQUENCE, buf_bytes(&algorithm)));
    TRY(der_append(&info, DER_OCTET_STRING, digest));
    return der_append(ret, DER_SEQUENCE, buf_bytes(&info));
}

enum { PKCS1_OVERHEAD = 11 }; /* 00, block type, at least eight octets, 00 */

CK_RV soft_pad_pkcs1(struct bytes encoded, uint8_t *ret, size_t k)
{
    if (k < PKCS1_OVERHEAD || encoded.n > k - PKCS1_OVERHEAD)
        return CKR_DATA_LEN_RANGE;
    uint8_t *text = ret + k - encoded.n;
    memset(ret, 0xFF, k - encoded.n);
    ret[0] = 0;
    ret[1] = 1;
    text[-1] = 0;
    if (encoded.n)
        memcpy(text, encoded.p, encoded.n);
    return CKR_OK;
}

CK_RV pad_pkcs1_encryption(struct bytes plain, uint8_t *ret, size_t k)
{
    if (k < PKCS1_OVERHEAD || plain.n > k - PKCS1_OVERHEAD)
        return CKR_DATA_LEN_RANGE;
    uint8_t *text = ret + k - plain.n;
    ret[0] = 0;
    ret[1] = 2;
    TRY(soft_random(ret + 2, k - plain.n - 3));
    for (uint8_t *p = ret + 2; p < text - 1; p++)
        while (*p == 0)
            TRY(soft_random(p, 1));
    text[-1] = 0;
    if (plain.n)
        memcpy(text, plain.p, plain.n);
    return CKR_OK;
}

/* B.2.1, laid over data by exclusive or. */
static CK_RV xor_mgf1(enum hash mgf, struct bytes seed, uint8_t *data, size_t n)
{
    uint8_t block[HASH_MAX];
    size_t size = hash_size(mgf);
    for (size_t i = 0; i < n; i++) {
        if (i % size == 0) {
            uint32_t number = (uint32_t)(i / size);
            uint8_t counter[4] = {(uint8_t)(number >> 24), (uint8_t)(number >> 16),
                                  (uint8_t)(number >> 8), (uint8_t)number};
            TRY(soft_hash(mgf, (struct bytes[]){seed, BYTES_OF(counter)}, 2, block));
        }
        data[i] ^= block[i % size];
    }
    secret_wipe(block, sizeof(block));
    return CKR_OK;
}

/* EMSA-PSS's block within a modulus: emBits is modulus_bits - 1, so that a modulus of 8n + 1 bits
 * has one zero octet in front of the block. */
struct pss {
    uint8_t *db; /* PS || 01 || salt */
    uint8_t *h;  /* after db */
    size_t db_size;
    size_t hash_size;
    uint8_t top; /* mask of the bits of db[0] that are in use */
};

static CK_RV pss_layout(enum hash h, enum hash mgf, size_t salt, struct bytes digest,
                        size_t modulus_bits, uint8_t *em, struct pss *ret)
{
    size_t hash = hash_size(h), em_bits = modulus_bits - 1, em_size = (em_bits + 7) / 8;
    if (hash == 0 || hash_size(mgf) == 0 || digest.n != hash)
        return CKR_DATA_LEN_RANGE;
    if (modulus_bits == 0 || em_size < hash + 2 || salt > em_size - hash - 2)
        return CKR_KEY_SIZE_RANGE;
    uint8_t *db = em + (modulus_bits + 7) / 8 - em_size;
    *ret = (struct pss){.db = db,
                        .h = db + em_size - hash - 1,
                        .db_size = em_size - hash - 1,
                        .hash_size = hash,
                        .top = (uint8_t)(0xFF >> (8 * em_size - em_bits))};
    return CKR_OK;
}

/* H = Hash(eight zero octets || mHash || salt), salt being the end of db */
static CK_RV pss_hash(enum hash h, const struct pss *pss, struct bytes digest, size_t salt,
                      uint8_t *ret)
{
    static const uint8_t zeros[8];
    struct bytes parts[] = {BYTES_OF(zeros), digest, BYTES(pss->h - salt, salt)};
    return soft_hash(h, parts, 3, ret);
}

CK_RV soft_pad_pss(enum hash h, enum hash mgf, size_t salt, struct bytes digest,
                   size_t modulus_bits, uint8_t *ret)
{
    struct pss pss;
    TRY(pss_layout(h, mgf, salt, digest, modulus_bits, ret, &pss));
    memset(ret, 0, (size_t)(pss.h - ret));
    pss.h[-(ptrdiff_t)salt - 1] = 1;
    TRY(soft_random(pss.h - salt, salt));
    TRY(pss_hash(h, &pss, digest, salt, pss.h));
    TRY(xor_mgf1(mgf, BYTES(pss.h, pss.hash_size), pss.db, pss.db_size));
    pss.db[0] &= pss.top;
    pss.h[pss.hash_size] = 0xBC;
    return CKR_OK;
}

static bool is_zero(const uint8_t *p, const uint8_t *end)
{
    while (p < end && *p == 0)
        p++;
    return p == end;
}

CK_RV pss_verify(enum hash h, enum hash mgf, size_t salt, struct bytes digest, size_t modulus_bits,
                 uint8_t *em)
{
    struct pss pss;
    uint8_t hash[HASH_MAX];
    TRY(pss_layout(h, mgf, salt, digest, modulus_bits, em, &pss));
    if (!is_zero(em, pss.db) || pss.h[pss.hash_size] != 0xBC || pss.db[0] & (uint8_t)~pss.top)
        return CKR_SIGNATURE_INVALID;
    TRY(xor_mgf1(mgf, BYTES(pss.h, pss.hash_size), pss.db, pss.db_size));
    pss.db[0] &= pss.top;
    const uint8_t *one = pss.h - salt - 1;
    if (!is_zero(pss.db, one) || *one != 1)
        return CKR_SIGNATURE_INVALID;
    TRY(pss_hash(h, &pss, digest, salt, hash));
    return bytes_equal(BYTES(hash, pss.hash_size), BYTES(pss.h, pss.hash_size))
               ? CKR_OK
               : CKR_SIGNATURE_INVALID;
}

CK_RV pad_oaep(enum hash h, enum hash mgf, struct bytes label, struct bytes plain, uint8_t *ret,
               size_t k)
{
    size_t hash = hash_size(h);
    if (hash == 0 || hash_size(mgf) == 0 || k < 2 * hash + 2 || plain.n > k - 2 * hash - 2)
        return CKR_DATA_LEN_RANGE;
    uint8_t *seed = ret + 1, *db = seed + hash;
    size_t db_size = k - hash - 1;
    memset(ret, 0, k);
    TRY(soft_hash(h, &label, 1, db));
    ret[k - plain.n - 1] = 1;
    if (plain.n)
        memcpy(ret + k - plain.n, plain.p, plain.n);
    TRY(soft_random(seed, hash));
    TRY(xor_mgf1(mgf, BYTES(seed, hash), db, db_size));
    return xor_mgf1(mgf, BYTES(db, db_size), seed, hash);
}

/* ---- decryption padding, in time that tells nothing but good or bad ----
 *
 * Bleichenbacher's and Manger's attacks feed on which of the checks failed, and after how long. So
 * every octet is looked at, the findings are gathered in masks (all ones: true), and the first
 * branch is on their sum. The text's length, which the caller is told, is no secret then. */

/* Keeps the compiler from finding a branch in the arithmetic. */
static size_t opaque(size_t v)
{
    __asm__("" : "+r"(v));
    return v;
}

static size_t mask_zero(size_t v)
{
    return opaque((size_t)0 - ((~v & (v - 1)) >> (8 * sizeof(v) - 1)));
}

static size_t mask_equal(size_t a, size_t b)
{
    return mask_zero(a ^ b);
}

static size_t choose(size_t mask, size_t yes, size_t no)
{
    return (mask & yes) | (~mask & no);
}

static CK_RV release_text(size_t good, struct bytes block, size_t text_at, uint8_t *ret,
                          size_t *ret_n)
{
    if (!opaque(good))
        return CKR_ENCRYPTED_DATA_INVALID;
    *ret_n = block.n - text_at;
    if (*ret_n)
        memcpy(ret, block.p + text_at, *ret_n);
    return CKR_OK;
}

CK_RV soft_unpad_pkcs1(struct bytes block, uint8_t *ret, size_t *ret_n)
{
    if (block.n < PKCS1_OVERHEAD)
        return CKR_ENCRYPTED_DATA_INVALID;
    size_t good = mask_zero(block.p[0]) & mask_equal(block.p[1], 2);
    size_t found = 0, text_at = 0;
    for (size_t i = 2; i < block.n; i++) {
        size_t end = ~found & mask_zero(block.p[i]);
        if (i < PKCS1_OVERHEAD - 1) /* eight octets of padding at least */
            good &= ~end;
        text_at = choose(end, i + 1, text_at);
        found |= end;
    }
    return release_text(good & found, block, text_at, ret, ret_n);
}

/* RFC 8017 7.1.2 step 3 g, all of it; db is unmasked. *ret_text_at is an index into db. */
static size_t check_oaep_db(const uint8_t *db, size_t n, struct bytes label_hash,
                            size_t *ret_text_at)
{
    size_t difference = 0, found = 0, stray = 0, text_at = 0;
    for (size_t i = 0; i < label_hash.n; i++)
        difference |= (size_t)(db[i] ^ label_hash.p[i]);
    for (size_t i = label_hash.n; i < n; i++) {
        size_t one = ~found & mask_equal(db[i], 1);
        text_at = choose(one, i + 1, text_at);
        found |= one;
        stray |= ~found & ~mask_zero(db[i]);
    }
    *ret_text_at = text_at;
    return mask_zero(difference) & found & ~stray;
}

CK_RV soft_unpad_oaep(enum hash h, enum hash mgf, struct bytes label, struct bytes block,
                      uint8_t *ret, size_t *ret_n)
{
    size_t hash = hash_size(h);
    if (hash == 0 || hash_size(mgf) == 0 || block.n < 2 * hash + 2)
        return CKR_ENCRYPTED_DATA_INVALID;
    uint8_t label_hash[HASH_MAX];
    CLEANUP(secret_free) struct secret em = {0};
    TRY(soft_hash(h, &label, 1, label_hash));
    TRY(secret_copy(&em, block));
    uint8_t *seed = em.p + 1, *db = seed + hash;
    size_t db_size = em.n - hash - 1, text_at;
    TRY(xor_mgf1(mgf, BYTES(db, db_size), seed, hash));
    TRY(xor_mgf1(mgf, BYTES(seed, hash), db, db_size));
    size_t good = check_oaep_db(db, db_size, BYTES(label_hash, hash), &text_at);
    return release_text(good & mask_zero(em.p[0]), BYTES(db, db_size), text_at, ret, ret_n);
}
