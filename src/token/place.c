#include "internal.h"

#include <latchkey/vendor.h>
#include <soft/aes.h>

/* Where a new key lives: in the TPM, sealed in the store, or in this process for a session. */

/* ---- what the template asks for ------------------------------------------------------------ */

static const char *const protection_name[] = {
    [PROTECTION_NONE] = "",
    [PROTECTION_TPM] = "tpm",
    [PROTECTION_SEALED] = "sealed",
    [PROTECTION_SESSION] = "session",
};

/* PROTECTION_NONE: whatever there is. */
static enum protection asked(const struct object *o)
{
    struct bytes value = attrs_bytes(&o->attrs, CKA_LATCHKEY_PROTECTION);
    enum protection p = PROTECTION_SESSION;
    while (p != PROTECTION_NONE && !bytes_equal(value, BYTES_STR(protection_name[p])))
        p--;
    return p;
}

CK_RV key_tell_protection(struct object *o)
{
    enum protection p = object_protection(o);
    return p == PROTECTION_NONE
               ? CKR_OK
               : attrs_set(&o->attrs, CKA_LATCHKEY_PROTECTION, BYTES_STR(protection_name[p]));
}

/* ---- what the TPM can hold ----------------------------------------------------------------- */

static uint32_t number(struct bytes be)
{
    uint32_t n = 0;
    for (size_t i = 0; i < be.n; i++)
        n = n << 8 | be.p[i];
    return n;
}

/* TPM 2.0 part 1, B.2: odd, greater than 2^16, a 32-bit number */
static bool exponent_fits(struct bytes e)
{
    e = bytes_number(e);
    return e.n == 0 || (e.n <= 4 && number(e) > 65536 && number(e) % 2);
}

static bool rsa_fits(const struct tpm_caps *caps, size_t bits, struct bytes exponent)
{
    return bits >= 1024 && bits % 1024 == 0 && bits <= 32768 &&
           (caps->rsa_sizes & (1U << (bits / 1024 - 1))) && exponent_fits(exponent);
}

static bool aes_fits(const struct tpm_caps *caps, size_t n)
{
    return n >= 16 && n <= 32 && n % 8 == 0 && (caps->aes_sizes & (1U << (n / 8 - 2)));
}

/* The TPM takes 64 bytes of a keyed hash's key, which is no more than any hash's block, whatever
 * that is. One that is longer than its hash's block is hashed first. */
enum { HMAC_MAX = 64 };

static bool secret_fits(const struct tpm_caps *caps, CK_KEY_TYPE type, size_t n)
{
    enum hash h = mech_hmac_hash(type);
    if (type == CKK_AES)
        return aes_fits(caps, n);
    bool hashed = h != HASH_NONE && n > hash_block_size(h);
    return n >= 1 && (n <= HMAC_MAX || hashed) &&
           (type == CKK_GENERIC_SECRET || (h != HASH_NONE && (caps->hashes & (1U << h))));
}

static bool algorithm_fits(const struct tpm_caps *caps, const struct object *o,
                           const struct material *from, size_t length)
{
    CK_KEY_TYPE type = attrs_ulong(&o->attrs, CKA_KEY_TYPE, CK_UNAVAILABLE_INFORMATION);
    struct mech_key k = object_mech_key(o);
    if (attrs_ulong(&o->attrs, CKA_CLASS, 0) == CKO_SECRET_KEY)
        return secret_fits(caps, type, from->value.n ? from->value.n : length);
    if (type == CKK_RSA)
        return rsa_fits(caps, length ? length : k.modulus_bits,
                        attrs_bytes(&o->attrs, CKA_PUBLIC_EXPONENT));
    return type == CKK_EC && k.curve < CURVE_COUNT && (caps->curves & (1U << k.curve));
}

/* Bytes that this process had anyway are of more use here, where every hash and every derivation
 * works, than in the TPM: but only as long as the session. */
static bool better_in_memory(const struct object *o, enum origin origin)
{
    bool stored = attrs_true(&o->attrs, CKA_TOKEN);
    bool generic = attrs_ulong(&o->attrs, CKA_KEY_TYPE, 0) == CKK_GENERIC_SECRET &&
                   attrs_ulong(&o->attrs, CKA_CLASS, 0) == CKO_SECRET_KEY;
    return !stored && origin != ORIGIN_GENERATED && (generic || origin == ORIGIN_DERIVED);
}

static CK_RV refuse(enum protection p, const char *why)
{
    return error_log(CKR_TEMPLATE_INCONSISTENT, "a key cannot be protected as \"%s\": %s",
                     protection_name[p], why);
}

CK_RV key_fits_tpm(struct session *s, const struct object *o, enum origin origin,
                   const struct material *from, size_t length, bool *ret)
{
    struct tpm_caps caps;
    enum protection wish = asked(o);
    bool stored = attrs_true(&o->attrs, CKA_TOKEN);
    if ((wish == PROTECTION_SEALED && !stored) || (wish == PROTECTION_SESSION && stored))
        return refuse(wish, stored ? "it is a token object" : "it is a session object");
    *ret = false;
    if (wish == PROTECTION_SEALED || wish == PROTECTION_SESSION || origin == ORIGIN_COPIED)
        return CKR_OK;
    if (attrs_true(&o->attrs, CKA_EXTRACTABLE))
        return wish == PROTECTION_TPM ? refuse(wish, "it is to be extractable") : CKR_OK;
    if (wish != PROTECTION_TPM && better_in_memory(o, origin))
        return CKR_OK;
    TRY(library_caps(s->token->lib, &caps));
    *ret = algorithm_fits(&caps, o, from, length);
    return wish == PROTECTION_TPM && !*ret ? refuse(wish, "the TPM has no such keys") : CKR_OK;
}

/* ---- into the TPM -------------------------------------------------------------------------- */

/* The authorization follows from S and the object's id; without login (a session key with
 * CKA_PRIVATE false) it is random and lives with the object. */
CK_RV key_prepare(struct token *t, struct object *o, struct secret *auth)
{
    o->parent = t->row.parent;
    TRY(buf_set(&o->parent_name, buf_bytes(&t->row.parent_name)));
    o->auth = STORE_AUTH_DERIVED;
    if (t->login != LOGIN_USER) {
        if (attrs_true(&o->attrs, CKA_TOKEN))
            return CKR_USER_NOT_LOGGED_IN; /* a token key's authorization is made from S */
        TRY(secret_new(&o->own_auth, TPM_AUTH));
        TRY(soft_random(o->own_auth.p, o->own_auth.n));
    }
    return key_authorization(t, o, auth);
}

void key_take_blobs(struct object *o, struct tpm_key_made *made)
{
    o->pub = made->pub;
    o->priv = made->priv;
    made->pub = made->priv = (struct buf){0};
}

/* A keyed hash's key as the TPM takes it: RFC 2104 hashes one that is longer than the block. */
static CK_RV make_hmac(struct tpm *t, const struct tpm_parent *parent, struct bytes auth,
                       enum hash h, struct bytes value, struct tpm_key_made *ret)
{
    CLEANUP(secret_free) struct secret hashed = {0};
    if (h == HASH_NONE || value.n <= hash_block_size(h))
        return tpm_make_hmac(t, parent, auth, value, ret);
    TRY(secret_new(&hashed, hash_size(h)));
    TRY(soft_hash(h, &value, 1, hashed.p));
    return tpm_make_hmac(t, parent, auth, secret_bytes(&hashed), ret);
}

enum { TPM_MADE_HMAC = 32 }; /* the TPM makes keys as long as the name's hash, SHA-256, only */

static CK_RV make_secret(struct token *t, const struct object *o, struct bytes auth,
                         struct bytes value, size_t length, struct tpm_key_made *ret)
{
    const struct tpm_parent parent = token_parent(&t->row);
    CK_KEY_TYPE type = attrs_ulong(&o->attrs, CKA_KEY_TYPE, 0);
    CLEANUP(secret_free) struct secret random = {0};
    if (type == CKK_AES)
        return tpm_make_aes(t->lib->tpm, &parent, auth,
                            (unsigned)(8 * (value.n ? value.n : length)), value, ret);
    if (!value.n && length != TPM_MADE_HMAC) {
        TRY(secret_new(&random, length));
        TRY(tpm_random(t->lib->tpm, random.p, length));
        value = secret_bytes(&random);
    }
    return make_hmac(t->lib->tpm, &parent, auth, mech_hmac_hash(type), value, ret);
}

static CK_RV import_private(struct token *t, const struct soft_private *k, struct bytes auth,
                            struct tpm_key_made *ret)
{
    const struct tpm_parent parent = token_parent(&t->row);
    enum curve c = soft_private_curve(k);
    CLEANUP(buf_free) struct buf point = {0};
    if (c == CURVE_NONE)
        return tpm_import_rsa(t->lib->tpm, &parent, auth, soft_private_number(k, RSA_N),
                              number(soft_private_number(k, RSA_E)), soft_private_number(k, RSA_P),
                              ret);
    TRY(soft_key_point(soft_private_public(k), &point));
    return tpm_import_ec(t->lib->tpm, &parent, auth, c, buf_bytes(&point), soft_private_value(k),
                         ret);
}

static CK_RV place_in_tpm(struct session *s, struct object *o, const struct material *from,
                          size_t length)
{
    struct token *t = s->token;
    CLEANUP(secret_free) struct secret auth = {0};
    CLEANUP(tpm_key_made_free) struct tpm_key_made made = {0};
    TRY(key_prepare(t, o, &auth));
    TRY(token_use_rv(from->private_
                         ? import_private(t, from->private_, secret_bytes(&auth), &made)
                         : make_secret(t, o, secret_bytes(&auth), from->value, length, &made)));
    key_take_blobs(o, &made);
    return CKR_OK;
}

/* ---- into the store or into memory ---------------------------------------------------------- */

CK_RV key_software_allowed(struct session *s, const struct object *o)
{
    if (!attrs_true(&o->attrs, CKA_TOKEN))
        return CKR_OK;
    if (!s->token->lib->config.sealed_keys)
        return error_log(CKR_TEMPLATE_INCONSISTENT,
                         "the TPM cannot hold this key, or it is to be extractable, and "
                         "sealed-keys = no forbids to keep it in the store");
    return s->token->login == LOGIN_USER ? CKR_OK : CKR_USER_NOT_LOGGED_IN;
}

static CK_RV place_sealed(struct token *t, struct object *o, const struct material *from)
{
    CLEANUP(secret_free) struct secret encoded = {0};
    if (from->private_)
        TRY(soft_private_to_stored(from->private_, &encoded));
    o->auth = STORE_AUTH_SEALED;
    return object_seal(t, o->uid, "value", from->private_ ? secret_bytes(&encoded) : from->value,
                       &o->priv);
}

static CK_RV place_in_memory(struct object *o, const struct material *from)
{
    return from->private_ ? soft_private_copy(from->private_, &o->private_key)
                          : secret_copy(&o->value, from->value);
}

static CK_RV place_software(struct session *s, struct object *o, const struct material *from,
                            size_t length)
{
    CLEANUP(secret_free) struct secret random = {0};
    struct material made = *from;
    TRY(key_software_allowed(s, o));
    if (!made.private_ && !made.value.n) {
        TRY(secret_new(&random, length));
        TRY(tpm_random(s->token->lib->tpm, random.p, length));
        made.value = secret_bytes(&random);
    }
    return attrs_true(&o->attrs, CKA_TOKEN) ? place_sealed(s->token, o, &made)
                                            : place_in_memory(o, &made);
}

/* ---- CKA_CHECK_VALUE (2.40, 4.10.2) -------------------------------------------------------- */

enum { CHECK_VALUE = 3 };

/* Of AES keys the first bytes of an encrypted zero block, of others those of the value's SHA-1.
 * False: the TPM made it and tells nothing of it. */
static CK_RV compute_check_value(struct token *t, const struct object *o, struct bytes value,
                                 uint8_t *ret, bool *ret_known)
{
    CLEANUP(key_release) struct held_key held = {0};
    uint8_t block[AES_BLOCK] = {0}, hash[HASH_MAX] = {0};
    bool aes = attrs_ulong(&o->attrs, CKA_KEY_TYPE, 0) == CKK_AES;
    if (!value.n) {
        TRY(key_hold(t, o, &held));
        value = held.key.value;
    }
    if (aes && value.n)
        TRY(soft_aes(AES_ECB, true, value, NULL, block, block, sizeof(block)));
    else if (aes)
        TRY(token_use_rv(tpm_aes(t->lib->tpm, held.key.tpm_key, TPM_ECB, true, NULL, block, block,
                                 sizeof(block))));
    else if (value.n)
        TRY(soft_hash(HASH_SHA1, &value, 1, hash));
    *ret_known = aes || value.n;
    memcpy(ret, aes ? block : hash, CHECK_VALUE);
    return CKR_OK;
}

/* The template may give it: the right one, or an empty one, which says that none is wanted. */
CK_RV key_add_check_value(struct token *t, struct object *o, struct bytes value)
{
    uint8_t own[CHECK_VALUE] = {0};
    bool known;
    const struct attr *given = attrs_find(&o->attrs, CKA_CHECK_VALUE);
    if (attrs_ulong(&o->attrs, CKA_CLASS, 0) != CKO_SECRET_KEY || (given && !given->value.n))
        return CKR_OK;
    TRY(compute_check_value(t, o, value, own, &known));
    if (given)
        return known && bytes_equal(buf_bytes(&given->value), BYTES_OF(own))
                   ? CKR_OK
                   : CKR_ATTRIBUTE_VALUE_INVALID;
    return known ? attrs_set(&o->attrs, CKA_CHECK_VALUE, BYTES_OF(own)) : CKR_OK;
}

CK_RV key_place(struct session *s, struct object *o, enum origin origin,
                const struct material *from, size_t length)
{
    bool tpm = false;
    TRY(key_fits_tpm(s, o, origin, from, length, &tpm));
    TRY(tpm ? place_in_tpm(s, o, from, length) : place_software(s, o, from, length));
    TRY(key_tell_protection(o));
    return key_add_check_value(s->token, o, from->value);
}

/* ---- what is said of it -------------------------------------------------------------------- */

/* 2.40, 4.7 to 4.10: what came from outside is not local, and may have been known there. */
CK_RV key_history(struct object *o, enum origin origin, CK_MECHANISM_TYPE mechanism,
                  const struct object *base)
{
    struct attrs *a = &o->attrs;
    bool local = origin == ORIGIN_GENERATED;
    TRY(attrs_set_bool(a, CKA_LOCAL, local));
    TRY(attrs_set_ulong(a, CKA_KEY_GEN_MECHANISM, local ? mechanism : CK_UNAVAILABLE_INFORMATION));
    if (attrs_ulong(a, CKA_CLASS, 0) == CKO_PUBLIC_KEY)
        return CKR_OK;
    /* 2.3.5 and its like: a derived key is as sensitive as the base key was */
    bool was_sensitive = local || (base && attrs_true(&base->attrs, CKA_ALWAYS_SENSITIVE));
    bool was_kept = local || (base && attrs_true(&base->attrs, CKA_NEVER_EXTRACTABLE));
    TRY(attrs_set_bool(a, CKA_ALWAYS_SENSITIVE, was_sensitive && attrs_true(a, CKA_SENSITIVE)));
    return attrs_set_bool(a, CKA_NEVER_EXTRACTABLE, was_kept && !attrs_true(a, CKA_EXTRACTABLE));
}

CK_RV key_history_both(struct object *o, const struct object *other)
{
    struct attrs *a = &o->attrs;
    if (!attrs_true(&other->attrs, CKA_ALWAYS_SENSITIVE))
        TRY(attrs_set_bool(a, CKA_ALWAYS_SENSITIVE, false));
    return attrs_true(&other->attrs, CKA_NEVER_EXTRACTABLE)
               ? CKR_OK
               : attrs_set_bool(a, CKA_NEVER_EXTRACTABLE, false);
}

CK_RV key_history_either(struct object *o, const struct object *other)
{
    struct attrs *a = &o->attrs;
    if (attrs_true(&other->attrs, CKA_ALWAYS_SENSITIVE))
        TRY(attrs_set_bool(a, CKA_ALWAYS_SENSITIVE, attrs_true(a, CKA_SENSITIVE)));
    return attrs_true(&other->attrs, CKA_NEVER_EXTRACTABLE)
               ? attrs_set_bool(a, CKA_NEVER_EXTRACTABLE, !attrs_true(a, CKA_EXTRACTABLE))
               : CKR_OK;
}

CK_RV key_check_value_length(CK_KEY_TYPE type, size_t n)
{
    if (type == CKK_AES)
        return n == 16 || n == 24 || n == 32 ? CKR_OK : CKR_KEY_SIZE_RANGE;
    return n >= 1 && n <= MECH_SECRET_MAX ? CKR_OK : CKR_KEY_SIZE_RANGE;
}

static CK_RV describe_point(struct attrs *a, enum curve c, struct bytes point)
{
    CLEANUP(buf_free) struct buf wrapped = {0};
    TRY(soft_octet_string(point, &wrapped));
    if (c < CURVE_COUNT || !attrs_bytes(a, CKA_EC_PARAMS).n)
        TRY(attrs_set(a, CKA_EC_PARAMS, curve_oid(c)));
    return attrs_set(a, CKA_EC_POINT, buf_bytes(&wrapped));
}

CK_RV key_describe(struct attrs *a, const struct soft_key *public_)
{
    CLEANUP(buf_free) struct buf spki = {0}, point = {0}, modulus = {0}, exponent = {0};
    enum curve c;
    TRY(soft_key_spki(public_, &spki));
    TRY(soft_spki_parse(buf_bytes(&spki), &c, &point, &modulus, &exponent));
    TRY(attrs_set(a, CKA_PUBLIC_KEY_INFO, buf_bytes(&spki)));
    if (c != CURVE_NONE)
        return describe_point(a, c, buf_bytes(&point));
    TRY(attrs_set(a, CKA_MODULUS, buf_bytes(&modulus)));
    return attrs_set(a, CKA_PUBLIC_EXPONENT, buf_bytes(&exponent));
}
