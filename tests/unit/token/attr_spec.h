/* The attribute tables of PKCS#11, typed from the specification's text (2.40 to 3.2; sections of
 * 3.1) and not from src/token: kind of object, attribute, data type, footnotes. The last two
 * columns are what the text around the tables says and what this token makes of its freedom. */
#ifndef ATTR_SPEC_H
#define ATTR_SPEC_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <base/names.h>
#include <latchkey/vendor.h>
#include <token/attr.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static inline void check_rv(CK_RV expected, CK_RV got, CK_ATTRIBUTE_TYPE type, const char *file,
                            int line)
{
    if (expected != got) {
        print_error("%s: ", name_attribute(type));
        print_error("%s instead of ", name_rv(got));
        print_error("%s\n", name_rv(expected));
        _fail(file, line);
    }
}
#define assert_rv(expected, type, call) check_rv(expected, call, type, __FILE__, __LINE__)

/* ---- kinds of objects ---------------------------------------------------------------------- */

struct object_kind {
    CK_OBJECT_CLASS cls;
    CK_ULONG type; /* key or certificate type */
};

static const struct object_kind kinds[] = {
    {CKO_DATA, CK_UNAVAILABLE_INFORMATION},
    {CKO_CERTIFICATE, CKC_X_509},
    {CKO_CERTIFICATE, CKC_X_509_ATTR_CERT},
    {CKO_CERTIFICATE, CKC_WTLS},
    {CKO_PUBLIC_KEY, CKK_RSA},
    {CKO_PUBLIC_KEY, CKK_EC},
    {CKO_PUBLIC_KEY, CKK_EC_EDWARDS},
    {CKO_PUBLIC_KEY, CKK_EC_MONTGOMERY},
    {CKO_PRIVATE_KEY, CKK_RSA},
    {CKO_PRIVATE_KEY, CKK_EC},
    {CKO_PRIVATE_KEY, CKK_EC_EDWARDS},
    {CKO_PRIVATE_KEY, CKK_EC_MONTGOMERY},
    {CKO_SECRET_KEY, CKK_AES},
    {CKO_SECRET_KEY, CKK_GENERIC_SECRET},
    {CKO_SECRET_KEY, CKK_SHA_1_HMAC},
    {CKO_SECRET_KEY, CKK_SHA224_HMAC},
    {CKO_SECRET_KEY, CKK_SHA256_HMAC},
    {CKO_SECRET_KEY, CKK_SHA384_HMAC},
    {CKO_SECRET_KEY, CKK_SHA512_HMAC},
    {CKO_SECRET_KEY, CKK_SHA3_224_HMAC},
    {CKO_SECRET_KEY, CKK_SHA3_256_HMAC},
    {CKO_SECRET_KEY, CKK_SHA3_384_HMAC},
    {CKO_SECRET_KEY, CKK_SHA3_512_HMAC},
    {CKO_SECRET_KEY, CKK_HKDF},
};

/* Read only: the token shows them, no application makes them. */
static const struct object_kind shown[] = {
    {CKO_PROFILE, CK_UNAVAILABLE_INFORMATION},
    {CKO_MECHANISM, CK_UNAVAILABLE_INFORMATION},
    {CKO_VALIDATION, CK_UNAVAILABLE_INFORMATION},
};

static const enum attr_event events[] = {ATTR_CREATE, ATTR_GENERATE, ATTR_DERIVE, ATTR_UNWRAP};

/* ---- the tables ---------------------------------------------------------------------------- */

#define ANY     (~1UL) /* types */
#define ANY_EC  (~2UL)
#define OBJECT  (~3UL) /* classes */
#define KEY     (~4UL)
#define PRIVSEC (~5UL) /* private and secret keys */

/* Data types: b CK_BBOOL, n a number, s a string of bytes, d CK_DATE, m CK_MECHANISM_TYPE_PTR,
 * t CK_ATTRIBUTE_PTR. */
struct spec {
    CK_OBJECT_CLASS cls;
    CK_ULONG type;
    CK_ATTRIBUTE_TYPE attribute;
    char form;
    const char *footnotes;
    /* m modifiable, c changes at a copy, v only to the value that it has, x only to no value;
     * a number: this token keeps that footnote, too */
    const char *text;
    /* Default: - none, e empty, 0, f CK_FALSE, t CK_TRUE, s CK_TRUE unless derived, x CK_FALSE
     * unless derived; else the usages that a type of key has: r RSA, w Weierstrass, d Edwards,
     * a AES, h HMAC and generic secrets */
    const char *fallback;
};

static const struct spec specified[] = {
    /* tables 14 and 19: common attributes, storage objects */
    {OBJECT, ANY, CKA_CLASS, 'n', "1", "", "-"},
    {OBJECT, ANY, CKA_UNIQUE_ID, 's', "2,4,6", "", "-"},
    {OBJECT, ANY, CKA_TOKEN, 'b', "", "c", "f"},
    {PRIVSEC, ANY, CKA_PRIVATE, 'b', "", "c", "t"},
    {OBJECT, ANY, CKA_PRIVATE, 'b', "", "c", "f"},
    {OBJECT, ANY, CKA_MODIFIABLE, 'b', "", "c", "t"},
    {OBJECT, ANY, CKA_LABEL, 's', "", "m", "e"},
    {OBJECT, ANY, CKA_COPYABLE, 'b', "12", "m", "t"},
    {OBJECT, ANY, CKA_DESTROYABLE, 'b', "", "c", "t"},
    /* data objects: "token-specific" whether they change */
    {CKO_DATA, ANY, CKA_APPLICATION, 's', "", "m", "e"},
    {CKO_DATA, ANY, CKA_OBJECT_ID, 's', "", "m", "e"},
    {CKO_DATA, ANY, CKA_VALUE, 's', "", "m", "e"},
    /* certificates, common; CKA_TRUSTED is the SO's */
    {CKO_CERTIFICATE, ANY, CKA_CERTIFICATE_TYPE, 'n', "1", "", "-"},
    {CKO_CERTIFICATE, ANY, CKA_TRUSTED, 'b', "10", "m", "f"},
    {CKO_CERTIFICATE, ANY, CKA_CERTIFICATE_CATEGORY, 'n', "", "", "0"},
    {CKO_CERTIFICATE, ANY, CKA_CHECK_VALUE, 's', "", "", "-"},
    {CKO_CERTIFICATE, ANY, CKA_START_DATE, 'd', "", "", "e"},
    {CKO_CERTIFICATE, ANY, CKA_END_DATE, 'd', "", "", "e"},
    {CKO_CERTIFICATE, ANY, CKA_PUBLIC_KEY_INFO, 's', "", "", "e"},
    /* X.509: "Only the CKA_ID, CKA_ISSUER, and CKA_SERIAL_NUMBER attributes may be modified" */
    {CKO_CERTIFICATE, CKC_X_509, CKA_SUBJECT, 's', "1", "", "-"},
    {CKO_CERTIFICATE, CKC_X_509, CKA_ID, 's', "", "m", "e"},
    {CKO_CERTIFICATE, CKC_X_509, CKA_ISSUER, 's', "", "m", "e"},
    {CKO_CERTIFICATE, CKC_X_509, CKA_SERIAL_NUMBER, 's', "", "m", "e"},
    {CKO_CERTIFICATE, CKC_X_509, CKA_VALUE, 's', "1", "", "-"},
    {CKO_CERTIFICATE, CKC_X_509, CKA_URL, 's', "", "", "e"},
    {CKO_CERTIFICATE, CKC_X_509, CKA_HASH_OF_SUBJECT_PUBLIC_KEY, 's', "", "", "e"},
    {CKO_CERTIFICATE, CKC_X_509, CKA_HASH_OF_ISSUER_PUBLIC_KEY, 's', "", "", "e"},
    {CKO_CERTIFICATE, CKC_X_509, CKA_JAVA_MIDP_SECURITY_DOMAIN, 'n', "", "", "0"},
    {CKO_CERTIFICATE, CKC_X_509, CKA_NAME_HASH_ALGORITHM, 'n', "", "", "-"},
    /* WTLS: "Only the CKA_ISSUER attribute may be modified" */
    {CKO_CERTIFICATE, CKC_WTLS, CKA_SUBJECT, 's', "1", "", "-"},
    {CKO_CERTIFICATE, CKC_WTLS, CKA_ISSUER, 's', "", "m", "e"},
    {CKO_CERTIFICATE, CKC_WTLS, CKA_VALUE, 's', "1", "", "-"},
    {CKO_CERTIFICATE, CKC_WTLS, CKA_URL, 's', "", "", "e"},
    {CKO_CERTIFICATE, CKC_WTLS, CKA_HASH_OF_SUBJECT_PUBLIC_KEY, 's', "", "", "e"},
    {CKO_CERTIFICATE, CKC_WTLS, CKA_HASH_OF_ISSUER_PUBLIC_KEY, 's', "", "", "e"},
    {CKO_CERTIFICATE, CKC_WTLS, CKA_NAME_HASH_ALGORITHM, 'n', "", "", "-"},
    /* attribute certificates: "Only the CKA_AC_ISSUER, CKA_SERIAL_NUMBER and CKA_ATTR_TYPES" */
    {CKO_CERTIFICATE, CKC_X_509_ATTR_CERT, CKA_OWNER, 's', "1", "", "-"},
    {CKO_CERTIFICATE, CKC_X_509_ATTR_CERT, CKA_AC_ISSUER, 's', "", "m", "e"},
    {CKO_CERTIFICATE, CKC_X_509_ATTR_CERT, CKA_SERIAL_NUMBER, 's', "", "m", "e"},
    {CKO_CERTIFICATE, CKC_X_509_ATTR_CERT, CKA_ATTR_TYPES, 's', "", "m", "e"},
    {CKO_CERTIFICATE, CKC_X_509_ATTR_CERT, CKA_VALUE, 's', "1", "", "-"},
    /* keys, common */
    {KEY, ANY, CKA_KEY_TYPE, 'n', "1,5", "", "-"},
    {KEY, ANY, CKA_ID, 's', "8", "", "e"},
    {KEY, ANY, CKA_START_DATE, 'd', "8", "", "e"},
    {KEY, ANY, CKA_END_DATE, 'd', "8", "", "e"},
    {KEY, ANY, CKA_DERIVE, 'b', "8", "", "f"},
    {KEY, ANY, CKA_LOCAL, 'b', "2,4,6", "", "f"},
    {KEY, ANY, CKA_KEY_GEN_MECHANISM, 'n', "2,4,6", "", "-"},
    {KEY, ANY, CKA_ALLOWED_MECHANISMS, 'm', "", "", "e"},
    {KEY, ANY, CKA_OBJECT_VALIDATION_FLAGS, 'n', "4,6,9", "2", "0"},
    /* public keys */
    {CKO_PUBLIC_KEY, ANY, CKA_SUBJECT, 's', "8", "", "e"},
    {CKO_PUBLIC_KEY, ANY, CKA_ENCRYPT, 'b', "8,9", "", "r"},
    {CKO_PUBLIC_KEY, ANY, CKA_VERIFY, 'b', "8,9", "", "rwd"},
    {CKO_PUBLIC_KEY, ANY, CKA_VERIFY_RECOVER, 'b', "8,9", "", "r"},
    {CKO_PUBLIC_KEY, ANY, CKA_WRAP, 'b', "8,9", "", "f"},
    {CKO_PUBLIC_KEY, ANY, CKA_ENCAPSULATE, 'b', "8,9", "", "f"},
    {CKO_PUBLIC_KEY, ANY, CKA_TRUSTED, 'b', "10", "m", "f"},
    {CKO_PUBLIC_KEY, ANY, CKA_WRAP_TEMPLATE, 't', "", "", "-"},
    {CKO_PUBLIC_KEY, ANY, CKA_ENCAPSULATE_TEMPLATE, 't', "", "", "-"},
    {CKO_PUBLIC_KEY, ANY, CKA_PUBLIC_KEY_INFO, 's', "", "", "e"},
    /* private keys */
    {CKO_PRIVATE_KEY, ANY, CKA_SUBJECT, 's', "8", "", "e"},
    {CKO_PRIVATE_KEY, ANY, CKA_SENSITIVE, 'b', "8,9,11", "", "t"},
    {CKO_PRIVATE_KEY, ANY, CKA_DECRYPT, 'b', "8,9", "", "r"},
    {CKO_PRIVATE_KEY, ANY, CKA_SIGN, 'b', "8,9", "", "rwd"},
    {CKO_PRIVATE_KEY, ANY, CKA_SIGN_RECOVER, 'b', "8,9", "", "r"},
    {CKO_PRIVATE_KEY, ANY, CKA_UNWRAP, 'b', "8,9", "", "f"},
    {CKO_PRIVATE_KEY, ANY, CKA_DECAPSULATE, 'b', "8,9", "", "f"},
    {CKO_PRIVATE_KEY, ANY, CKA_EXTRACTABLE, 'b', "8,9,12", "", "f"},
    {CKO_PRIVATE_KEY, ANY, CKA_ALWAYS_SENSITIVE, 'b', "2,4,6", "", "f"},
    {CKO_PRIVATE_KEY, ANY, CKA_NEVER_EXTRACTABLE, 'b', "2,4,6", "", "f"},
    {CKO_PRIVATE_KEY, ANY, CKA_WRAP_WITH_TRUSTED, 'b', "11", "m", "f"},
    {CKO_PRIVATE_KEY, ANY, CKA_UNWRAP_TEMPLATE, 't', "", "", "-"},
    {CKO_PRIVATE_KEY, ANY, CKA_DERIVE_TEMPLATE, 't', "", "", "-"},
    {CKO_PRIVATE_KEY, ANY, CKA_DECAPSULATE_TEMPLATE, 't', "", "", "-"},
    {CKO_PRIVATE_KEY, ANY, CKA_ALWAYS_AUTHENTICATE, 'b', "", "", "f"},
    {CKO_PRIVATE_KEY, ANY, CKA_PUBLIC_KEY_INFO, 's', "8", "v", "e"},
    /* secret keys */
    {CKO_SECRET_KEY, ANY, CKA_SENSITIVE, 'b', "8,11", "", "s"},
    {CKO_SECRET_KEY, ANY, CKA_ENCRYPT, 'b', "8,9", "", "a"},
    {CKO_SECRET_KEY, ANY, CKA_DECRYPT, 'b', "8,9", "", "a"},
    {CKO_SECRET_KEY, ANY, CKA_SIGN, 'b', "8,9", "", "ah"},
    {CKO_SECRET_KEY, ANY, CKA_VERIFY, 'b', "8,9", "", "ah"},
    {CKO_SECRET_KEY, ANY, CKA_WRAP, 'b', "8,9", "", "f"},
    {CKO_SECRET_KEY, ANY, CKA_UNWRAP, 'b', "8,9", "", "f"},
    {CKO_SECRET_KEY, ANY, CKA_EXTRACTABLE, 'b', "8,9,12", "", "x"},
    {CKO_SECRET_KEY, ANY, CKA_ALWAYS_SENSITIVE, 'b', "2,4,6", "", "f"},
    {CKO_SECRET_KEY, ANY, CKA_NEVER_EXTRACTABLE, 'b', "2,4,6", "", "f"},
    {CKO_SECRET_KEY, ANY, CKA_CHECK_VALUE, 's', "", "x", "-"},
    {CKO_SECRET_KEY, ANY, CKA_WRAP_WITH_TRUSTED, 'b', "11", "m", "f"},
    {CKO_SECRET_KEY, ANY, CKA_TRUSTED, 'b', "10", "m", "f"},
    {CKO_SECRET_KEY, ANY, CKA_WRAP_TEMPLATE, 't', "", "", "-"},
    {CKO_SECRET_KEY, ANY, CKA_UNWRAP_TEMPLATE, 't', "", "", "-"},
    {CKO_SECRET_KEY, ANY, CKA_DERIVE_TEMPLATE, 't', "", "", "-"},
    /* AES, generic secrets; HMAC and HKDF keys are generated with a CKA_VALUE_LEN, too */
    {CKO_SECRET_KEY, ANY, CKA_VALUE, 's', "1,4,6,7", "", "-"},
    {CKO_SECRET_KEY, ANY, CKA_VALUE_LEN, 'n', "2,3", "", "-"},
    /* RSA */
    {CKO_PUBLIC_KEY, CKK_RSA, CKA_MODULUS, 's', "1,4", "", "-"},
    {CKO_PUBLIC_KEY, CKK_RSA, CKA_MODULUS_BITS, 'n', "2,3", "", "-"},
    {CKO_PUBLIC_KEY, CKK_RSA, CKA_PUBLIC_EXPONENT, 's', "1", "", "-"},
    {CKO_PRIVATE_KEY, CKK_RSA, CKA_MODULUS, 's', "1,4,6", "", "-"},
    {CKO_PRIVATE_KEY, CKK_RSA, CKA_PUBLIC_EXPONENT, 's', "1,4,6", "", "-"},
    {CKO_PRIVATE_KEY, CKK_RSA, CKA_PRIVATE_EXPONENT, 's', "1,4,6,7", "", "-"},
    {CKO_PRIVATE_KEY, CKK_RSA, CKA_PRIME_1, 's', "4,6,7", "", "-"},
    {CKO_PRIVATE_KEY, CKK_RSA, CKA_PRIME_2, 's', "4,6,7", "", "-"},
    {CKO_PRIVATE_KEY, CKK_RSA, CKA_EXPONENT_1, 's', "4,6,7", "", "-"},
    {CKO_PRIVATE_KEY, CKK_RSA, CKA_EXPONENT_2, 's', "4,6,7", "", "-"},
    {CKO_PRIVATE_KEY, CKK_RSA, CKA_COEFFICIENT, 's', "4,6,7", "", "-"},
    /* short Weierstrass, Edwards and Montgomery: the same tables. CKA_EC_POINT of a private key is
     * not in them, but clients expect it */
    {CKO_PUBLIC_KEY, ANY_EC, CKA_EC_PARAMS, 's', "1,3", "", "-"},
    {CKO_PUBLIC_KEY, ANY_EC, CKA_EC_POINT, 's', "1,4", "", "-"},
    {CKO_PRIVATE_KEY, ANY_EC, CKA_EC_PARAMS, 's', "1,4,6", "", "-"},
    {CKO_PRIVATE_KEY, ANY_EC, CKA_VALUE, 's', "1,4,6,7", "", "-"},
    {CKO_PRIVATE_KEY, ANY_EC, CKA_EC_POINT, 's', "4,6", "", "-"},
    /* this token's own */
    {PRIVSEC, ANY, CKA_LATCHKEY_PROTECTION, 's', "", "", "-"},
    /* profiles, mechanisms, validations */
    {CKO_PROFILE, ANY, CKA_PROFILE_ID, 'n', "", "", "-"},
    {CKO_MECHANISM, ANY, CKA_MECHANISM_TYPE, 'n', "", "", "-"},
    {CKO_VALIDATION, ANY, CKA_VALIDATION_TYPE, 'n', "", "", "-"},
    {CKO_VALIDATION, ANY, CKA_VALIDATION_VERSION, 's', "", "", "-"},
    {CKO_VALIDATION, ANY, CKA_VALIDATION_LEVEL, 'n', "", "", "-"},
    {CKO_VALIDATION, ANY, CKA_VALIDATION_MODULE_ID, 's', "", "", "-"},
    {CKO_VALIDATION, ANY, CKA_VALIDATION_FLAG, 'n', "", "", "-"},
    {CKO_VALIDATION, ANY, CKA_VALIDATION_AUTHORITY_TYPE, 'n', "", "", "-"},
    {CKO_VALIDATION, ANY, CKA_VALIDATION_COUNTRY, 's', "", "", "-"},
    {CKO_VALIDATION, ANY, CKA_VALIDATION_CERTIFICATE_IDENTIFIER, 's', "", "", "-"},
    {CKO_VALIDATION, ANY, CKA_VALIDATION_CERTIFICATE_URI, 's', "", "", "-"},
    {CKO_VALIDATION, ANY, CKA_VALIDATION_VENDOR_URI, 's', "", "", "-"},
    {CKO_VALIDATION, ANY, CKA_VALIDATION_PROFILE, 's', "", "", "-"},
};

/* ---- reading them -------------------------------------------------------------------------- */

static inline bool listed(const char *list, long footnote)
{
    for (const char *at = list; *at; at++) {
        char *end;
        if (*at < '0' || *at > '9')
            continue;
        if (strtol(at, &end, 10) == footnote)
            return true;
        at = end - 1;
    }
    return false;
}

static inline bool note(const struct spec *s, long footnote)
{
    return listed(s->footnotes, footnote) || listed(s->text, footnote);
}

static inline bool text(const struct spec *s, char what)
{
    return strchr(s->text, what) != NULL;
}

static inline bool speaks_of(const struct spec *s, const struct object_kind *k)
{
    bool private_ = k->cls == CKO_PRIVATE_KEY, secret = k->cls == CKO_SECRET_KEY;
    bool key = private_ || secret || k->cls == CKO_PUBLIC_KEY;
    bool ec = k->type == CKK_EC || k->type == CKK_EC_EDWARDS || k->type == CKK_EC_MONTGOMERY;
    bool cls = s->cls == OBJECT || s->cls == k->cls || (s->cls == KEY && key) ||
               (s->cls == PRIVSEC && (private_ || secret));
    return cls && (s->type == ANY || s->type == k->type || (s->type == ANY_EC && ec));
}

/* The first row that does. NULL: such objects have no such attribute. */
static inline const struct spec *spec_of(const struct object_kind *k, CK_ATTRIBUTE_TYPE type)
{
    for (size_t i = 0; i < COUNT(specified); i++)
        if (specified[i].attribute == type && speaks_of(&specified[i], k))
            return &specified[i];
    return NULL;
}

static inline bool somewhere(CK_ATTRIBUTE_TYPE type)
{
    for (size_t i = 0; i < COUNT(specified); i++)
        if (specified[i].attribute == type)
            return true;
    return false;
}

/* f for each attribute that each kind of object has. */
static inline void for_each(void (*f)(const struct spec *, const struct object_kind *))
{
    for (size_t k = 0; k < COUNT(kinds); k++)
        for (size_t i = 0; i < COUNT(specified); i++)
            if (spec_of(&kinds[k], specified[i].attribute) == &specified[i])
                f(&specified[i], &kinds[k]);
}

static inline bool must(const struct spec *s, enum attr_event event)
{
    static const long footnote[] = {
        [ATTR_CREATE] = 1, [ATTR_GENERATE] = 3, [ATTR_DERIVE] = 0, [ATTR_UNWRAP] = 5};
    return footnote[event] && note(s, footnote[event]);
}

static inline bool never(const struct spec *s, enum attr_event event)
{
    static const long footnote[] = {
        [ATTR_CREATE] = 2, [ATTR_GENERATE] = 4, [ATTR_DERIVE] = 6, [ATTR_UNWRAP] = 6};
    return note(s, footnote[event]);
}

/* ---- templates ----------------------------------------------------------------------------- */

struct template
{
    CK_ATTRIBUTE v[80];
    CK_ULONG n;
};

static inline void add(struct template *t, CK_ATTRIBUTE a)
{
    assert_true(t->n < COUNT(t->v));
    t->v[t->n++] = a;
}

static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;

/* What anybody may say of it. */
static inline CK_ATTRIBUTE value_of(const struct spec *s)
{
    static CK_ULONG one = 1;
    static uint8_t bytes[] = {1, 2, 3}, aes[16] = {7};
    static char date[] = "20300102", sealed[] = "sealed", label[] = "inner";
    static CK_ATTRIBUTE nested[] = {{CKA_LABEL, label, 5}, {CKA_SIGN, &yes, 1}};
    CK_ATTRIBUTE_TYPE type = s->attribute;
    if (type == CKA_LATCHKEY_PROTECTION)
        return (CK_ATTRIBUTE){type, sealed, 6};
    if (type == CKA_URL) /* another would need the hashes, too */
        return (CK_ATTRIBUTE){type, NULL, 0};
    if (type == CKA_VALUE)
        return (CK_ATTRIBUTE){type, aes, sizeof(aes)};
    switch (s->form) {
    case 'b':
        return (CK_ATTRIBUTE){type, &no, sizeof(no)};
    case 'n':
    case 'm':
        return (CK_ATTRIBUTE){type, &one, sizeof(one)};
    case 'd':
        return (CK_ATTRIBUTE){type, date, 8};
    case 't':
        return (CK_ATTRIBUTE){type, nested, sizeof(nested)};
    default:
        return (CK_ATTRIBUTE){type, bytes, sizeof(bytes)};
    }
}

static inline bool given_by_caller(CK_ATTRIBUTE_TYPE type)
{
    return type == CKA_CLASS || type == CKA_KEY_TYPE; /* arguments of attrs_new */
}

/* What decides the meaning of the rest is always in. */
static inline bool decides(CK_ATTRIBUTE_TYPE type)
{
    return given_by_caller(type) || type == CKA_CERTIFICATE_TYPE;
}

/* All that must be there, but the one that is left out. */
static inline struct template needed(enum attr_event event, const struct object_kind *k,
                                     CK_ATTRIBUTE_TYPE leave_out)
{
    struct template t = {.n = 0};
    if (k->cls == CKO_CERTIFICATE)
        add(&t, (CK_ATTRIBUTE){CKA_CERTIFICATE_TYPE, (void *)(uintptr_t)&k->type, sizeof(k->type)});
    for (size_t i = 0; i < COUNT(specified); i++) {
        const struct spec *s = &specified[i];
        if (spec_of(k, s->attribute) != s || decides(s->attribute) || s->attribute == leave_out)
            continue;
        /* a certificate is there by its value, however it came to be */
        if (must(s, event) || (k->cls == CKO_CERTIFICATE && s->attribute == CKA_VALUE))
            add(&t, value_of(s));
    }
    return t;
}

static inline CK_RV try_new(enum attr_event event, const struct object_kind *k,
                            const struct template *t, bool so)
{
    struct attrs a = {0};
    CK_RV rv = attrs_new(event, k->cls, k->type, t->v, t->n, so, &a);
    assert_true(rv == CKR_OK || a.n == 0);
    attrs_free(&a);
    return rv;
}

static inline void object_of(const struct object_kind *k, struct attrs *ret)
{
    struct template t = needed(ATTR_CREATE, k, CK_UNAVAILABLE_INFORMATION);
    *ret = (struct attrs){0};
    assert_rv(CKR_OK, CKA_CLASS, attrs_new(ATTR_CREATE, k->cls, k->type, t.v, t.n, false, ret));
}

/* ---- values of a wrong form ---------------------------------------------------------------- */

static CK_ULONG numbers[] = {1, 2};
static const struct {
    char form;
    CK_ATTRIBUTE a;
} malformed[] = {
    {'b', {0, &yes, 0}},
    {'b', {0, NULL, 0}},
    {'b', {0, (CK_BBOOL[]){1, 1}, 2}},
    {'b', {0, numbers, sizeof(CK_ULONG)}},
    {'b', {0, (CK_BBOOL[]){2}, 1}},
    {'b', {0, (CK_BBOOL[]){0xFF}, 1}},
    {'n', {0, numbers, 0}},
    {'n', {0, NULL, 0}},
    {'n', {0, numbers, 1}},
    {'n', {0, numbers, 4}},
    {'n', {0, numbers, sizeof(CK_ULONG) - 1}},
    {'n', {0, numbers, sizeof(CK_ULONG) + 1}},
    {'n', {0, numbers, sizeof(numbers)}},
    {'m', {0, numbers, 1}},
    {'m', {0, numbers, sizeof(CK_ULONG) - 1}},
    {'m', {0, numbers, sizeof(CK_ULONG) + 4}},
    {'t', {0, numbers, 1}},
    {'t', {0, numbers, sizeof(CK_ATTRIBUTE) - 1}},
    {'d', {0, (char[]){"2030010"}, 7}},
    {'d', {0, (char[]){"203001020"}, 9}},
    {'d', {0, (char[]){"2030010x"}, 8}},
    {'d', {0, (char[]){"20300002"}, 8}},
    {'d', {0, (char[]){"20301302"}, 8}},
    {'d', {0, (char[]){"20300100"}, 8}},
    {'d', {0, (char[]){"20300132"}, 8}},
    {'d', {0, (char[]){"20300431"}, 8}},
    {'d', {0, (char[]){"20300229"}, 8}}, /* no leap year */
    {'d', {0, (char[]){"21000229"}, 8}}, /* nor is this one */
    {'d', {0, (char[]){"20320230"}, 8}},
    {'d', {0, (char[]){"        "}, 8}},
};

#endif
