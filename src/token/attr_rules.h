/* The rules of PKCS#11 as data, and what attr_*.c have in common. Nothing for other files. */
#ifndef TOKEN_ATTR_RULES_H
#define TOKEN_ATTR_RULES_H

#include <latchkey/vendor.h>
#include "attr.h"

/* Form of a value. The same for an attribute in every class: the stored form has no class beside
 * it. */
enum kind { BOOL, ULONG, BIN, DATE, MECHANISMS, TEMPLATE };

/* Classes, and key and certificate types within them, as bits. */
enum {
    DATA = 1 << 0,
    CERT = 1 << 1,
    PUBLIC = 1 << 2,
    PRIVATE = 1 << 3,
    SECRET = 1 << 4,
    PROFILE = 1 << 5,
    MECHANISM = 1 << 6,
    VALIDATION = 1 << 7,
    KEYS = PUBLIC | PRIVATE | SECRET,
    BY_TOKEN = PROFILE | MECHANISM | VALIDATION, /* read only: no application makes them */
    ALL = DATA | CERT | KEYS | BY_TOKEN,

    RSA = 1 << 8,
    WEIERSTRASS = 1 << 9,
    EDWARDS = 1 << 10,
    MONTGOMERY = 1 << 11,
    EC = WEIERSTRASS | EDWARDS | MONTGOMERY,
    AES = 1 << 12,
    GENERIC = 1 << 13, /* generic secrets and the HMACs' key types */
    HKDF = 1 << 14,
    X509 = 1 << 15,
    ATTR_CERT = 1 << 16,
    WTLS = 1 << 17,
    TYPES = RSA | EC | AES | GENERIC | HKDF | X509 | ATTR_CERT | WTLS,
};

/* Named after the footnotes of 2.40, table 10 ("common footnotes for object attribute tables"). */
enum {
    N1_CREATE_MUST = 1 << 0,
    N2_CREATE_NEVER = 1 << 1,
    N3_GENERATE_MUST = 1 << 2,
    N4_GENERATE_NEVER = 1 << 3,
    N5_UNWRAP_MUST = 1 << 4,
    N6_UNWRAP_NEVER = 1 << 5,
    N7_SENSITIVE = 1 << 6,
    N8_MODIFIABLE = 1 << 7,
    N10_SO_ONLY = 1 << 8,
    N11_STICKY_TRUE = 1 << 9,
    N12_STICKY_FALSE = 1 << 10,
    AT_COPY = 1 << 11,    /* 4.1.3: may be changed in the process of copying */
    SAME_AGAIN = 1 << 12, /* 4.9: may be set, but only to what the key data say */
    CLEARABLE = 1 << 13,  /* 4.10.2: may be set to no value */
    SET_BY_TOKEN = N2_CREATE_NEVER | N4_GENERATE_NEVER | N6_UNWRAP_NEVER,
};

/* What an attribute is that the template leaves out: one of these, or the TYPES of which it is
 * true and false of all others. */
enum fallback { NONE, EMPTY, ZERO, FALSE_, TRUE_, FALSE_UNLESS_DERIVED, TRUE_UNLESS_DERIVED };

struct rule {
    CK_ATTRIBUTE_TYPE type;
    enum kind kind;
    unsigned where; /* classes; with one of TYPES in it, only for those */
    unsigned notes;
    unsigned fallback;
};

extern const struct rule attr_rules[];
extern const size_t attr_rule_count;

/* Where an object belongs: its class with its key or certificate type. 0 for a class that this
 * token knows nothing of; no type for one that it does not know in that class. */
unsigned attr_place(CK_OBJECT_CLASS cls, CK_ULONG type);
unsigned attr_place_of(const struct attrs *a);
bool attr_applies(unsigned where, unsigned place);
const struct rule *attr_rule(unsigned place, CK_ATTRIBUTE_TYPE type); /* NULL: it has none */
/* The kind of an attribute that some class has. */
bool attr_kind_known(CK_ATTRIBUTE_TYPE type, enum kind *ret);
enum kind attr_kind(CK_ATTRIBUTE_TYPE type); /* BIN when no class has it */

/* Logs why and answers rv. */
CK_RV attr_refuse(CK_RV rv, CK_ATTRIBUTE_TYPE type, const char *why);
/* Has the value the form of its kind? Of nested templates only the outside is looked at. */
bool attr_form_valid(enum kind kind, const CK_ATTRIBUTE *a);
/* Is it, beyond that, a value that the attribute can have in an object there? */
bool attr_value_valid(const struct rule *r, unsigned place, const CK_ATTRIBUTE *a);

#endif
