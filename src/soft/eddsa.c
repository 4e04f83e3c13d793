/* EdDSA over a curve of ed25519.c or ed448.c (RFC 8032, 5.1 and 5.2). */
#include "internal.h"

#include <string.h>
#include "limbs.h"

enum { ED_MAX = 57, LIMBS = 7, PREHASHED = 64, DOMAIN_MAX = 34, CONTEXT_MAX = 255 };

static const struct edwards *edwards_of(enum curve c)
{
    return c == CURVE_ED448 ? &edwards_448 : &edwards_25519;
}

/* ---- numbers modulo the order ---- */

static struct limbs_modulus modulus(const struct edwards *e)
{
    return limbs_modulus(e->order, e->limbs);
}

/* ret = what a hash gives mod the order: its pieces as long as the order, each times its power. */
static void scalar_reduce(const struct edwards *e, uint64_t *ret, const uint8_t *digest)
{
    struct limbs_modulus m = modulus(e);
    uint8_t wide[EDWARDS_POWERS * 8 * LIMBS] = {0};
    uint64_t sum[LIMBS] = {0}, piece[LIMBS];
    memcpy(wide, digest, 2 * e->size);
    for (size_t i = 0; i < EDWARDS_POWERS && e->powers[i]; i++) {
        limbs_load(piece, wide + i * 8 * e->limbs, e->limbs);
        limbs_multiply(&m, piece, e->powers[i], piece);
        limbs_add(&m, sum, piece, sum);
    }
    memcpy(ret, sum, e->limbs * sizeof(*sum));
    secret_wipe(wide, sizeof(wide));
    secret_wipe(sum, sizeof(sum));
    secret_wipe(piece, sizeof(piece));
}

/* As many bytes as a point has. */
static void scalar_store(const struct edwards *e, uint8_t *ret, const uint64_t *a)
{
    memset(ret, 0, e->size);
    limbs_store(ret, a, e->limbs);
}

/* ret = r + k * a mod the order; r and k are below it */
static void scalar_multiply_add(const struct edwards *e, uint8_t *ret, const uint64_t *r,
                                const uint64_t *k, const uint8_t *a_bytes)
{
    struct limbs_modulus m = modulus(e);
    uint64_t a[LIMBS];
    limbs_load(a, a_bytes, e->limbs);
    limbs_multiply(&m, a, k, a);
    limbs_multiply(&m, a, e->powers[1], a);
    limbs_add(&m, a, r, a);
    scalar_store(e, ret, a);
    secret_wipe(a, sizeof(a));
}

/* 5.1.7, 5.2.7 step 1: S is below the order; otherwise a signature would have a second form. */
static bool scalar_in_range(const struct edwards *e, const uint8_t *bytes)
{
    uint64_t s[LIMBS];
    limbs_load(s, bytes, e->limbs);
    for (size_t i = 8 * e->limbs; i < e->size; i++)
        if (bytes[i])
            return false;
    for (size_t i = e->limbs; i-- > 0;)
        if (s[i] != e->order[i])
            return s[i] < e->order[i];
    return false;
}

/* ---- the scheme ---- */

/* dom(F, C) || first || second || PH(M), hashed and reduced. dom is empty for plain Ed25519. */
struct signed_message {
    const struct edwards *curve;
    uint8_t domain[DOMAIN_MAX], digest[PREHASHED];
    struct bytes domain_bytes, context, message;
};

static CK_RV prepare(const struct edwards *e, const struct soft_eddsa *form, struct bytes message,
                     struct signed_message *ret)
{
    static const struct soft_eddsa plain = {false, NO_BYTES};
    ret->curve = e;
    ret->message = message;
    if (!form && !e->always_domain)
        return CKR_OK;
    if (!form)
        form = &plain;
    if (form->context.n > CONTEXT_MAX)
        return error_log(CKR_MECHANISM_PARAM_INVALID, "an EdDSA context of %zu bytes",
                         form->context.n);
    size_t n = strlen(e->domain);
    memcpy(ret->domain, e->domain, n);
    ret->domain[n] = form->prehash;
    ret->domain[n + 1] = (uint8_t)form->context.n;
    ret->domain_bytes = BYTES(ret->domain, n + 2);
    ret->context = form->context;
    if (!form->prehash)
        return CKR_OK;
    ret->message = BYTES_OF(ret->digest);
    return e->hash(&message, 1, ret->digest, PREHASHED);
}

static CK_RV hash_to_scalar(const struct signed_message *m, struct bytes first, struct bytes second,
                            uint64_t *ret)
{
    uint8_t digest[2 * ED_MAX];
    struct bytes parts[] = {m->domain_bytes, m->context, first, second, m->message};
    TRY(m->curve->hash(parts, 5, digest, 2 * m->curve->size));
    scalar_reduce(m->curve, ret, digest);
    secret_wipe(digest, sizeof(digest));
    return CKR_OK;
}

/* 5.1.5, 5.2.5: the secret scalar in the first half, the prefix in the second. */
static CK_RV expand(const struct edwards *e, const uint8_t *seed, uint8_t *ret)
{
    struct bytes whole = BYTES(seed, e->size);
    TRY(e->hash(&whole, 1, ret, 2 * e->size));
    e->clamp(ret);
    return CKR_OK;
}

CK_RV edwards_public(enum curve c, const uint8_t *seed, uint8_t *ret)
{
    const struct edwards *e = edwards_of(c);
    uint8_t expanded[2 * ED_MAX];
    TRY(expand(e, seed, expanded));
    e->multiply_base(expanded, ret);
    secret_wipe(expanded, sizeof(expanded));
    return CKR_OK;
}

bool edwards_on_curve(enum curve c, const uint8_t *public)
{
    return edwards_of(c)->on_curve(public);
}

/* 5.1.6, 5.2.6 from step 2 on. */
static CK_RV sign(const uint8_t *expanded, const uint8_t *public, const struct signed_message *m,
                  uint64_t *nonce, uint8_t *ret)
{
    const struct edwards *e = m->curve;
    uint8_t nonce_bytes[ED_MAX];
    uint64_t k[LIMBS];
    TRY(hash_to_scalar(m, BYTES(expanded + e->size, e->size), NO_BYTES, nonce));
    scalar_store(e, nonce_bytes, nonce);
    e->multiply_base(nonce_bytes, ret);
    secret_wipe(nonce_bytes, sizeof(nonce_bytes));
    TRY(hash_to_scalar(m, BYTES(ret, e->size), BYTES(public, e->size), k));
    scalar_multiply_add(e, ret + e->size, nonce, k, expanded);
    return CKR_OK;
}

CK_RV edwards_sign(enum curve c, const uint8_t *seed, const uint8_t *public,
                   const struct soft_eddsa *form, struct bytes message, uint8_t *ret)
{
    uint8_t expanded[2 * ED_MAX];
    uint64_t nonce[LIMBS];
    struct signed_message m = {.message = NO_BYTES};
    /* It is hashed twice, and must be the same both times: one nonce with two hashes tells the
     * key. The caller's may lie where the signature goes, or be changed by another thread. */
    CLEANUP(buf_free) struct buf copy = {0};
    TRY(buf_set(&copy, message));
    TRY(prepare(edwards_of(c), form, buf_bytes(&copy), &m));
    TRY(expand(m.curve, seed, expanded));
    CK_RV rv = sign(expanded, public, &m, nonce, ret);
    secret_wipe(expanded, sizeof(expanded));
    secret_wipe(nonce, sizeof(nonce));
    return rv;
}

/* 5.1.7, 5.2.7, without the cofactor: S * B - k * A must encode as the signature's R. */
CK_RV soft_eddsa_verify(const struct soft_key *key, const struct soft_eddsa *form,
                        struct bytes message, struct bytes sig)
{
    if (!curve_is_edwards(key->curve))
        return CKR_KEY_TYPE_INCONSISTENT;
    const struct edwards *e = edwards_of(key->curve);
    if (sig.n != 2 * e->size)
        return CKR_SIGNATURE_LEN_RANGE;
    struct signed_message m = {.message = NO_BYTES};
    uint8_t k_bytes[ED_MAX], r[ED_MAX];
    uint64_t k[LIMBS];
    TRY(prepare(e, form, message, &m));
    if (!scalar_in_range(e, sig.p + e->size))
        return CKR_SIGNATURE_INVALID;
    TRY(hash_to_scalar(&m, BYTES(sig.p, e->size), BYTES(key->raw, e->size), k));
    scalar_store(e, k_bytes, k);
    return e->verify(sig.p + e->size, k_bytes, key->raw, r) && memcmp(r, sig.p, e->size) == 0
               ? CKR_OK
               : CKR_SIGNATURE_INVALID;
}
