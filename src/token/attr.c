#include "attr.h"

#include <stdlib.h>
#include <string.h>
#include <base/error.h>
#include <base/log.h>
#include <base/names.h>

/* ---- lists --------------------------------------------------------------------------------- */

void attrs_free(struct attrs *a)
{
    for (size_t i = 0; i < a->n; i++)
        buf_free(&a->v[i].value);
    free(a->v);
    *a = (struct attrs){0};
}

/* Where it is, or would have to be put. */
static size_t position(const struct attrs *a, CK_ATTRIBUTE_TYPE type)
{
    size_t low = 0, high = a->n;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (a->v[mid].type < type)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

const struct attr *attrs_find(const struct attrs *a, CK_ATTRIBUTE_TYPE type)
{
    size_t i = position(a, type);
    return i < a->n && a->v[i].type == type ? &a->v[i] : NULL;
}

struct bytes attrs_bytes(const struct attrs *a, CK_ATTRIBUTE_TYPE type)
{
    const struct attr *found = attrs_find(a, type);
    return found ? buf_bytes(&found->value) : NO_BYTES;
}

CK_ULONG attrs_ulong(const struct attrs *a, CK_ATTRIBUTE_TYPE type, CK_ULONG missing)
{
    struct bytes v = attrs_bytes(a, type);
    CK_ULONG number = missing;
    if (v.n == sizeof(number))
        memcpy(&number, v.p, sizeof(number));
    return number;
}

bool attrs_true(const struct attrs *a, CK_ATTRIBUTE_TYPE type)
{
    struct bytes v = attrs_bytes(a, type);
    return v.n == 1 && v.p[0] != CK_FALSE;
}

CK_RV attrs_set(struct attrs *a, CK_ATTRIBUTE_TYPE type, struct bytes value)
{
    size_t i = position(a, type);
    if (i < a->n && a->v[i].type == type)
        return buf_set(&a->v[i].value, value);
    struct attr fresh = {.type = type};
    TRY(buf_set(&fresh.value, value));
    struct attr *v = realloc(a->v, (a->n + 1) * sizeof(*v));
    if (!v) {
        buf_free(&fresh.value);
        return CKR_HOST_MEMORY;
    }
    memmove(v + i + 1, v + i, (a->n - i) * sizeof(*v));
    v[i] = fresh;
    a->v = v;
    a->n++;
    return CKR_OK;
}

CK_RV attrs_set_ulong(struct attrs *a, CK_ATTRIBUTE_TYPE type, CK_ULONG value)
{
    return attrs_set(a, type, BYTES(&value, sizeof(value)));
}

CK_RV attrs_set_bool(struct attrs *a, CK_ATTRIBUTE_TYPE type, bool value)
{
    CK_BBOOL b = value ? CK_TRUE : CK_FALSE;
    return attrs_set(a, type, BYTES(&b, 1));
}

CK_RV attrs_copy(const struct attrs *from, struct attrs *ret)
{
    struct attrs copy = {0};
    for (size_t i = 0; i < from->n; i++) {
        CK_RV rv = attrs_set(&copy, from->v[i].type, buf_bytes(&from->v[i].value));
        if (rv != CKR_OK) {
            attrs_free(&copy);
            return rv;
        }
    }
    *ret = copy;
    return CKR_OK;
}

/* ---- the table ----------------------------------------------------------------------------- */

enum kind { BOOL, ULONG, BIN, DATE, MECHANISMS };

/* Classes, and key types within them, as bits. */
enum {
    DATA = 1,
    CERT = 2,
    PUBLIC = 4,
    PRIVATE = 8,
    SECRET = 16,
    KEYS = PUBLIC | PRIVATE | SECRET,
    ALL = DATA | CERT | KEYS,
    RSA = 32,
    EC = 64,
};

/* Named after the footnotes of 2.40, table 10 ("common footnotes for object attribute tables"). */
enum {
    N1_CREATE_MUST = 1,
    N2_CREATE_NEVER = 2,
    N3_GENERATE_MUST = 4,
    N4_GENERATE_NEVER = 8,
    N6_UNWRAP_NEVER = 16,
    N7_SENSITIVE = 32,
    N8_MODIFIABLE = 64,
    N10_SO_ONLY = 128,
    N11_STICKY_TRUE = 256,
    N12_STICKY_FALSE = 512,
    AT_COPY = 1024, /* 4.4: may be changed in the process of copying */
    SET_BY_TOKEN = N2_CREATE_NEVER | N4_GENERATE_NEVER | N6_UNWRAP_NEVER,
};

enum fallback { NONE, EMPTY, FALSE_, TRUE_, ZERO, TRUE_IF_KEY_CAN };

struct rule {
    CK_ATTRIBUTE_TYPE type;
    enum kind kind;
    unsigned where; /* classes; with RSA or EC in it, only for that key type */
    unsigned notes;
    enum fallback fallback;
};

/* clang-format off */
static const struct rule rules[] = {
    /* 4.4 storage objects */
    {CKA_CLASS,               ULONG, ALL,  N1_CREATE_MUST, NONE},
    {CKA_TOKEN,               BOOL,  ALL,  AT_COPY, FALSE_},
    {CKA_PRIVATE,             BOOL,  DATA | CERT | PUBLIC, AT_COPY, FALSE_},
    {CKA_PRIVATE,             BOOL,  PRIVATE | SECRET, AT_COPY, TRUE_},
    {CKA_MODIFIABLE,          BOOL,  ALL,  AT_COPY, TRUE_},
    {CKA_COPYABLE,            BOOL,  ALL,  N12_STICKY_FALSE, TRUE_},
    {CKA_DESTROYABLE,         BOOL,  ALL,  AT_COPY, TRUE_},
    {CKA_LABEL,               BIN,   ALL,  N8_MODIFIABLE, EMPTY},
    {CKA_UNIQUE_ID,           BIN,   ALL,  SET_BY_TOKEN, NONE},
    /* 4.5 data objects */
    {CKA_APPLICATION,         BIN,   DATA, N8_MODIFIABLE, EMPTY},
    {CKA_OBJECT_ID,           BIN,   DATA, N8_MODIFIABLE, EMPTY},
    {CKA_VALUE,               BIN,   DATA, N8_MODIFIABLE, EMPTY},
    /* 4.6 certificates */
    {CKA_CERTIFICATE_TYPE,    ULONG, CERT, N1_CREATE_MUST, NONE},
    {CKA_TRUSTED,             BOOL,  CERT | PUBLIC, N8_MODIFIABLE | N10_SO_ONLY, FALSE_},
    {CKA_CERTIFICATE_CATEGORY, ULONG, CERT, 0, ZERO},
    {CKA_CHECK_VALUE,         BIN,   CERT | SECRET, 0, NONE},
    {CKA_PUBLIC_KEY_INFO,     BIN,   CERT | PUBLIC | PRIVATE, 0, EMPTY},
    {CKA_SUBJECT,             BIN,   CERT, N1_CREATE_MUST, NONE},
    {CKA_ISSUER,              BIN,   CERT, N8_MODIFIABLE, EMPTY},
    {CKA_SERIAL_NUMBER,       BIN,   CERT, N8_MODIFIABLE, EMPTY},
    {CKA_VALUE,               BIN,   CERT, N1_CREATE_MUST, NONE},
    {CKA_URL,                 BIN,   CERT, 0, EMPTY},
    {CKA_HASH_OF_SUBJECT_PUBLIC_KEY, BIN, CERT, 0, EMPTY},
    {CKA_HASH_OF_ISSUER_PUBLIC_KEY,  BIN, CERT, 0, EMPTY},
    {CKA_NAME_HASH_ALGORITHM, ULONG, CERT, 0, NONE},
    {CKA_JAVA_MIDP_SECURITY_DOMAIN, ULONG, CERT, 0, ZERO},
    {CKA_ID,                  BIN,   CERT | KEYS, N8_MODIFIABLE, EMPTY},
    {CKA_START_DATE,          DATE,  CERT | KEYS, N8_MODIFIABLE, EMPTY},
    {CKA_END_DATE,            DATE,  CERT | KEYS, N8_MODIFIABLE, EMPTY},
    /* 4.7 keys */
    {CKA_KEY_TYPE,            ULONG, KEYS, N1_CREATE_MUST, NONE},
    {CKA_DERIVE,              BOOL,  KEYS, N8_MODIFIABLE, FALSE_},
    {CKA_LOCAL,               BOOL,  KEYS, SET_BY_TOKEN, FALSE_},
    {CKA_KEY_GEN_MECHANISM,   ULONG, KEYS, SET_BY_TOKEN, NONE},
    {CKA_ALLOWED_MECHANISMS,  MECHANISMS, KEYS, 0, NONE},
    {CKA_SUBJECT,             BIN,   PUBLIC | PRIVATE, N8_MODIFIABLE, EMPTY},
    /* 4.8 public keys */
    {CKA_ENCRYPT,             BOOL,  PUBLIC, N8_MODIFIABLE, TRUE_IF_KEY_CAN},
    {CKA_VERIFY,              BOOL,  PUBLIC, N8_MODIFIABLE, TRUE_IF_KEY_CAN},
    {CKA_VERIFY_RECOVER,      BOOL,  PUBLIC, N8_MODIFIABLE, TRUE_IF_KEY_CAN},
    {CKA_WRAP,                BOOL,  PUBLIC | SECRET, N8_MODIFIABLE, FALSE_},
    /* 4.9 private keys, 4.10 secret keys */
    {CKA_SENSITIVE,           BOOL,  PRIVATE, N8_MODIFIABLE | N11_STICKY_TRUE, TRUE_},
    {CKA_SENSITIVE,           BOOL,  SECRET,  N8_MODIFIABLE | N11_STICKY_TRUE, FALSE_},
    {CKA_EXTRACTABLE,         BOOL,  PRIVATE, N8_MODIFIABLE | N12_STICKY_FALSE, FALSE_},
    {CKA_EXTRACTABLE,         BOOL,  SECRET,  N8_MODIFIABLE | N12_STICKY_FALSE, TRUE_},
    {CKA_DECRYPT,             BOOL,  PRIVATE, N8_MODIFIABLE, TRUE_IF_KEY_CAN},
    {CKA_SIGN,                BOOL,  PRIVATE, N8_MODIFIABLE, TRUE_IF_KEY_CAN},
    {CKA_SIGN_RECOVER,        BOOL,  PRIVATE, N8_MODIFIABLE, TRUE_IF_KEY_CAN},
    {CKA_UNWRAP,              BOOL,  PRIVATE | SECRET, N8_MODIFIABLE, FALSE_},
    {CKA_ENCRYPT,             BOOL,  SECRET, N8_MODIFIABLE, FALSE_},
    {CKA_DECRYPT,             BOOL,  SECRET, N8_MODIFIABLE, FALSE_},
    {CKA_SIGN,                BOOL,  SECRET, N8_MODIFIABLE, FALSE_},
    {CKA_VERIFY,              BOOL,  SECRET, N8_MODIFIABLE, FALSE_},
    {CKA_ALWAYS_SENSITIVE,    BOOL,  PRIVATE | SECRET, SET_BY_TOKEN, FALSE_},
    {CKA_NEVER_EXTRACTABLE,   BOOL,  PRIVATE | SECRET, SET_BY_TOKEN, FALSE_},
    {CKA_WRAP_WITH_TRUSTED,   BOOL,  PRIVATE | SECRET, N8_MODIFIABLE | N11_STICKY_TRUE, FALSE_},
    {CKA_TRUSTED,             BOOL,  SECRET, N8_MODIFIABLE | N10_SO_ONLY, FALSE_},
    {CKA_ALWAYS_AUTHENTICATE, BOOL,  PRIVATE, 0, FALSE_},
    {CKA_VALUE,               BIN,   SECRET, N1_CREATE_MUST | N4_GENERATE_NEVER | N6_UNWRAP_NEVER |
                                             N7_SENSITIVE, NONE},
    {CKA_VALUE_LEN,           ULONG, SECRET, N2_CREATE_NEVER | N3_GENERATE_MUST, NONE},
    /* current mechanisms 2.1.2, 2.1.3: RSA keys */
    {CKA_MODULUS,             BIN,   PUBLIC | PRIVATE | RSA, N1_CREATE_MUST | N4_GENERATE_NEVER, NONE},
    {CKA_MODULUS_BITS,        ULONG, PUBLIC | RSA, N2_CREATE_NEVER | N3_GENERATE_MUST, NONE},
    {CKA_PUBLIC_EXPONENT,     BIN,   PUBLIC | RSA, N1_CREATE_MUST, NONE},
    {CKA_PUBLIC_EXPONENT,     BIN,   PRIVATE | RSA, N4_GENERATE_NEVER, NONE},
    {CKA_PRIVATE_EXPONENT,    BIN,   PRIVATE | RSA, N1_CREATE_MUST | N4_GENERATE_NEVER | N7_SENSITIVE, NONE},
    {CKA_PRIME_1,             BIN,   PRIVATE | RSA, N4_GENERATE_NEVER | N7_SENSITIVE, NONE},
    {CKA_PRIME_2,             BIN,   PRIVATE | RSA, N4_GENERATE_NEVER | N7_SENSITIVE, NONE},
    {CKA_EXPONENT_1,          BIN,   PRIVATE | RSA, N4_GENERATE_NEVER | N7_SENSITIVE, NONE},
    {CKA_EXPONENT_2,          BIN,   PRIVATE | RSA, N4_GENERATE_NEVER | N7_SENSITIVE, NONE},
    {CKA_COEFFICIENT,         BIN,   PRIVATE | RSA, N4_GENERATE_NEVER | N7_SENSITIVE, NONE},
    /* 2.3.2, 2.3.3: EC keys. Every client reads EC_PARAMS and EC_POINT from the private key too. */
    {CKA_EC_PARAMS,           BIN,   PUBLIC | EC, N1_CREATE_MUST | N3_GENERATE_MUST, NONE},
    {CKA_EC_POINT,            BIN,   PUBLIC | EC, N1_CREATE_MUST | N4_GENERATE_NEVER, NONE},
    {CKA_EC_PARAMS,           BIN,   PRIVATE | EC, N1_CREATE_MUST | N4_GENERATE_NEVER, NONE},
    {CKA_EC_POINT,            BIN,   PRIVATE | EC, N4_GENERATE_NEVER, NONE},
    {CKA_VALUE,               BIN,   PRIVATE | EC, N1_CREATE_MUST | N4_GENERATE_NEVER | N7_SENSITIVE, NONE},
};
/* clang-format on */

enum { RULES = sizeof(rules) / sizeof(*rules) };

static unsigned place(CK_OBJECT_CLASS cls, CK_KEY_TYPE key_type)
{
    static const struct {
        CK_OBJECT_CLASS cls;
        unsigned bit;
    } classes[] = {{CKO_DATA, DATA},
                   {CKO_CERTIFICATE, CERT},
                   {CKO_PUBLIC_KEY, PUBLIC},
                   {CKO_PRIVATE_KEY, PRIVATE},
                   {CKO_SECRET_KEY, SECRET}};
    for (size_t i = 0; i < sizeof(classes) / sizeof(*classes); i++)
        if (classes[i].cls == cls) {
            unsigned type = key_type == CKK_RSA ? RSA : key_type == CKK_EC ? EC : 0;
            return classes[i].bit | (classes[i].bit & (PUBLIC | PRIVATE) ? type : 0);
        }
    return 0;
}

static bool applies(const struct rule *r, unsigned here)
{
    const unsigned types = RSA | EC;
    return (r->where & here & ALL) && (!(r->where & types) || (r->where & here & types));
}

static const struct rule *rule_for(unsigned here, CK_ATTRIBUTE_TYPE type)
{
    for (size_t i = 0; i < RULES; i++)
        if (rules[i].type == type && applies(&rules[i], here))
            return &rules[i];
    return NULL;
}

static unsigned place_of(const struct attrs *a)
{
    return place(attrs_ulong(a, CKA_CLASS, CK_UNAVAILABLE_INFORMATION),
                 attrs_ulong(a, CKA_KEY_TYPE, CK_UNAVAILABLE_INFORMATION));
}

/* ---- values -------------------------------------------------------------------------------- */

static bool all_digits(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] < '0' || p[i] > '9')
            return false;
    return true;
}

static bool date_valid(const uint8_t *p, size_t n)
{
    if (n == 0)
        return true;
    if (n != sizeof(CK_DATE) || !all_digits(p, n))
        return false;
    int month = (p[4] - '0') * 10 + p[5] - '0', day = (p[6] - '0') * 10 + p[7] - '0';
    return month >= 1 && month <= 12 && day >= 1 && day <= 31;
}

static bool value_valid(enum kind kind, const CK_ATTRIBUTE *a)
{
    const uint8_t *p = a->pValue;
    if (a->ulValueLen > ATTR_VALUE_MAX || (!p && a->ulValueLen))
        return false;
    switch (kind) {
    case BOOL:
        return a->ulValueLen == sizeof(CK_BBOOL) && (*p == CK_TRUE || *p == CK_FALSE);
    case ULONG:
        return a->ulValueLen == sizeof(CK_ULONG);
    case DATE:
        return date_valid(p, a->ulValueLen);
    case MECHANISMS:
        return a->ulValueLen % sizeof(CK_MECHANISM_TYPE) == 0;
    case BIN:
        return true;
    }
    return false;
}

CK_RV attrs_template_ulong(const CK_ATTRIBUTE *template, CK_ULONG n, CK_ATTRIBUTE_TYPE type,
                           CK_ULONG *ret)
{
    for (CK_ULONG i = 0; i < n; i++)
        if (template[i].type == type) {
            if (template[i].ulValueLen != sizeof(*ret) || !template[i].pValue)
                return CKR_ATTRIBUTE_VALUE_INVALID;
            memcpy(ret, template[i].pValue, sizeof(*ret));
        }
    return CKR_OK;
}

/* ---- the interpreter ----------------------------------------------------------------------- */

static CK_RV refuse(CK_RV rv, CK_ATTRIBUTE_TYPE type, const char *why)
{
    log_info("template: %s: %s [%s]", name_attribute(type), why, name_rv(rv));
    return rv;
}

static CK_RV take(const struct rule *r, const CK_ATTRIBUTE *in, bool so, struct attrs *a)
{
    if (!value_valid(r->kind, in))
        return refuse(CKR_ATTRIBUTE_VALUE_INVALID, in->type, "the value has not the form it needs");
    struct bytes value = BYTES(in->pValue, in->ulValueLen);
    if ((r->notes & N10_SO_ONLY) && value.p[0] == CK_TRUE && !so)
        return refuse(CKR_ATTRIBUTE_READ_ONLY, in->type, "only the SO can set it to true");
    const struct attr *before = attrs_find(a, in->type);
    if (before && !bytes_equal(buf_bytes(&before->value), value))
        return refuse(CKR_TEMPLATE_INCONSISTENT, in->type, "given twice with different values");
    return attrs_set(a, in->type, value);
}

static unsigned never(enum attr_event event)
{
    return event == ATTR_CREATE     ? N2_CREATE_NEVER
           : event == ATTR_GENERATE ? N4_GENERATE_NEVER
                                    : N6_UNWRAP_NEVER;
}

static unsigned must(enum attr_event event)
{
    return event == ATTR_CREATE ? N1_CREATE_MUST : event == ATTR_GENERATE ? N3_GENERATE_MUST : 0;
}

static CK_RV take_template(enum attr_event event, unsigned here, const CK_ATTRIBUTE *template,
                           CK_ULONG n, bool so, struct attrs *a)
{
    for (CK_ULONG i = 0; i < n; i++) {
        const struct rule *r = rule_for(here, template[i].type);
        if (!r)
            return refuse(CKR_ATTRIBUTE_TYPE_INVALID, template[i].type,
                          "objects of this class and key type do not have it");
        if (r->notes & never(event))
            return refuse(CKR_ATTRIBUTE_READ_ONLY, template[i].type, "the token sets it");
        TRY(take(r, &template[i], so, a));
    }
    return CKR_OK;
}

/* What a key type can do in hardware is also its default. */
static bool key_can(unsigned here, CK_ATTRIBUTE_TYPE type)
{
    return (here & RSA) || type == CKA_SIGN || type == CKA_VERIFY;
}

static CK_RV set_fallback(const struct rule *r, unsigned here, struct attrs *a)
{
    switch (r->fallback) {
    case NONE:
        return CKR_OK;
    case EMPTY:
        return attrs_set(a, r->type, NO_BYTES);
    case ZERO:
        return attrs_set_ulong(a, r->type, 0);
    case FALSE_:
        return attrs_set_bool(a, r->type, false);
    case TRUE_:
        return attrs_set_bool(a, r->type, true);
    case TRUE_IF_KEY_CAN:
        return attrs_set_bool(a, r->type, key_can(here, r->type));
    }
    return CKR_GENERAL_ERROR;
}

static CK_RV complete(enum attr_event event, unsigned here, struct attrs *a)
{
    for (size_t i = 0; i < RULES; i++) {
        const struct rule *r = &rules[i];
        if (!applies(r, here) || attrs_find(a, r->type))
            continue;
        if (r->notes & must(event))
            return refuse(CKR_TEMPLATE_INCOMPLETE, r->type, "missing");
        TRY(set_fallback(r, here, a));
    }
    return CKR_OK;
}

static CK_RV dates_in_order(const struct attrs *a)
{
    struct bytes start = attrs_bytes(a, CKA_START_DATE), end = attrs_bytes(a, CKA_END_DATE);
    if (start.n && end.n && bytes_compare(start, end) > 0)
        return refuse(CKR_TEMPLATE_INCONSISTENT, CKA_END_DATE, "before CKA_START_DATE");
    return CKR_OK;
}

static CK_RV build_new(enum attr_event event, CK_OBJECT_CLASS cls, CK_KEY_TYPE key_type,
                       const CK_ATTRIBUTE *template, CK_ULONG n, bool so, struct attrs *a)
{
    unsigned here = place(cls, key_type);
    TRY(attrs_set_ulong(a, CKA_CLASS, cls));
    if (here & KEYS)
        TRY(attrs_set_ulong(a, CKA_KEY_TYPE, key_type));
    TRY(take_template(event, here, template, n, so, a));
    TRY(complete(event, here, a));
    return dates_in_order(a);
}

CK_RV attrs_new(enum attr_event event, CK_OBJECT_CLASS cls, CK_KEY_TYPE key_type,
                const CK_ATTRIBUTE *template, CK_ULONG n, bool so, struct attrs *ret)
{
    struct attrs a = {0};
    if (!place(cls, key_type))
        return refuse(CKR_ATTRIBUTE_VALUE_INVALID, CKA_CLASS, "no class that this token keeps");
    CK_RV rv = build_new(event, cls, key_type, template, n, so, &a);
    if (rv != CKR_OK) {
        attrs_free(&a);
        return rv;
    }
    *ret = a;
    return CKR_OK;
}

static CK_RV change_one(const struct attrs *old, const CK_ATTRIBUTE *in, bool so, unsigned allowed,
                        struct attrs *a)
{
    const struct rule *r = rule_for(place_of(old), in->type);
    if (!r)
        return refuse(CKR_ATTRIBUTE_TYPE_INVALID, in->type, "the object does not have it");
    if (!value_valid(r->kind, in))
        return refuse(CKR_ATTRIBUTE_VALUE_INVALID, in->type, "the value has not the form it needs");
    struct bytes value = BYTES(in->pValue, in->ulValueLen);
    bool to_true = r->kind == BOOL && value.p[0] == CK_TRUE;
    if (!(r->notes & allowed))
        return refuse(CKR_ATTRIBUTE_READ_ONLY, in->type, "it cannot be changed");
    if ((r->notes & N11_STICKY_TRUE) && attrs_true(old, in->type) && !to_true)
        return refuse(CKR_ATTRIBUTE_READ_ONLY, in->type, "once true it stays true");
    if ((r->notes & N12_STICKY_FALSE) && !attrs_true(old, in->type) && to_true)
        return refuse(CKR_ATTRIBUTE_READ_ONLY, in->type, "once false it stays false");
    if ((r->notes & N10_SO_ONLY) && to_true && !so)
        return refuse(CKR_ATTRIBUTE_READ_ONLY, in->type, "only the SO can set it to true");
    return attrs_set(a, in->type, value);
}

static CK_RV changed(const struct attrs *old, const CK_ATTRIBUTE *template, CK_ULONG n, bool so,
                     unsigned allowed, struct attrs *ret)
{
    struct attrs a = {0};
    TRY(attrs_copy(old, &a));
    CK_RV rv = CKR_OK;
    for (CK_ULONG i = 0; rv == CKR_OK && i < n; i++)
        rv = change_one(old, &template[i], so, allowed, &a);
    if (rv == CKR_OK)
        rv = dates_in_order(&a);
    if (rv != CKR_OK) {
        attrs_free(&a);
        return rv;
    }
    *ret = a;
    return CKR_OK;
}

CK_RV attrs_changed(const struct attrs *old, const CK_ATTRIBUTE *template, CK_ULONG n, bool so,
                    struct attrs *ret)
{
    return changed(old, template, n, so, N8_MODIFIABLE | N12_STICKY_FALSE, ret);
}

CK_RV attrs_copied(const struct attrs *old, const CK_ATTRIBUTE *template, CK_ULONG n, bool so,
                   struct attrs *ret)
{
    return changed(old, template, n, so, N8_MODIFIABLE | N12_STICKY_FALSE | AT_COPY, ret);
}

bool attrs_known(const struct attrs *a, CK_ATTRIBUTE_TYPE type)
{
    return rule_for(place_of(a), type) != NULL;
}

bool attrs_revealable(const struct attrs *a, CK_ATTRIBUTE_TYPE type)
{
    const struct rule *r = rule_for(place_of(a), type);
    return !r || !(r->notes & N7_SENSITIVE) ||
           (!attrs_true(a, CKA_SENSITIVE) && attrs_true(a, CKA_EXTRACTABLE));
}

/* ---- the portable form --------------------------------------------------------------------- */

static enum kind kind_of(CK_ATTRIBUTE_TYPE type)
{
    for (size_t i = 0; i < RULES; i++)
        if (rules[i].type == type)
            return rules[i].kind; /* the same in every class */
    return BIN;
}

static CK_RV pack_numbers(struct bytes value, struct buf *ret)
{
    TRY(buf_u32(ret, (uint32_t)(value.n / sizeof(CK_ULONG) * 8)));
    for (size_t i = 0; i < value.n / sizeof(CK_ULONG); i++) {
        CK_ULONG number;
        memcpy(&number, value.p + i * sizeof(number), sizeof(number));
        /* CK_UNAVAILABLE_INFORMATION is all ones in every width */
        TRY(buf_u64(ret, number == CK_UNAVAILABLE_INFORMATION ? UINT64_MAX : number));
    }
    return CKR_OK;
}

CK_RV attrs_pack(const struct attrs *a, struct buf *ret)
{
    for (size_t i = 0; i < a->n; i++) {
        enum kind kind = kind_of(a->v[i].type);
        struct bytes value = buf_bytes(&a->v[i].value);
        bool numbers = kind == ULONG || kind == MECHANISMS;
        TRY(buf_u64(ret, a->v[i].type));
        TRY(buf_u8(ret, numbers));
        if (numbers) {
            TRY(pack_numbers(value, ret));
        } else {
            TRY(buf_u32(ret, (uint32_t)value.n));
            TRY(buf_bytes_append(ret, value));
        }
    }
    return CKR_OK;
}

static CK_RV unpack_numbers(struct bytes value, struct attrs *a, CK_ATTRIBUTE_TYPE type)
{
    CLEANUP(buf_free) struct buf native = {0};
    uint64_t number;
    while (bytes_take_u64(&value, &number)) {
        CK_ULONG n = (CK_ULONG)number;
        TRY(buf_append(&native, &n, sizeof(n)));
    }
    return value.n ? CKR_DEVICE_ERROR : attrs_set(a, type, buf_bytes(&native));
}

static CK_RV unpack(struct bytes in, struct attrs *a)
{
    while (in.n) {
        uint64_t type;
        uint8_t numbers;
        uint32_t n;
        struct bytes value;
        if (!bytes_take_u64(&in, &type) || !bytes_take_u8(&in, &numbers) ||
            !bytes_take_u32(&in, &n) || !bytes_take(&in, n, &value))
            return CKR_DEVICE_ERROR;
        TRY(numbers ? unpack_numbers(value, a, (CK_ATTRIBUTE_TYPE)type)
                    : attrs_set(a, (CK_ATTRIBUTE_TYPE)type, value));
    }
    return CKR_OK;
}

CK_RV attrs_unpack(struct bytes packed, struct attrs *ret)
{
    struct attrs a = {0};
    CK_RV rv = unpack(packed, &a);
    if (rv != CKR_OK) {
        attrs_free(&a);
        return rv;
    }
    *ret = a;
    return CKR_OK;
}
