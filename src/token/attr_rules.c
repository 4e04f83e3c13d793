#include "attr_rules.h"

/* Which object has which attribute, and what may be done with it: PKCS#11 2.40, 3.0, 3.1 and 3.2,
 * whose section numbers are 3.1's. */

/* clang-format off */
const struct rule attr_rules[] = {
    /* 4.3 all objects, 4.4 storage objects */
    {CKA_CLASS,               ULONG, ALL,  N1_CREATE_MUST, NONE},
    {CKA_UNIQUE_ID,           BIN,   ALL,  SET_BY_TOKEN, NONE},
    {CKA_TOKEN,               BOOL,  ALL,  AT_COPY, FALSE_},
    {CKA_PRIVATE,             BOOL,  DATA | CERT | PUBLIC | BY_TOKEN, AT_COPY, FALSE_},
    {CKA_PRIVATE,             BOOL,  PRIVATE | SECRET, AT_COPY, TRUE_},
    {CKA_MODIFIABLE,          BOOL,  ALL,  AT_COPY, TRUE_},
    {CKA_COPYABLE,            BOOL,  ALL,  N8_MODIFIABLE | N12_STICKY_FALSE, TRUE_},
    {CKA_DESTROYABLE,         BOOL,  ALL,  AT_COPY, TRUE_},
    {CKA_LABEL,               BIN,   ALL,  N8_MODIFIABLE, EMPTY},
    /* 4.5 data objects */
    {CKA_APPLICATION,         BIN,   DATA, N8_MODIFIABLE, EMPTY},
    {CKA_OBJECT_ID,           BIN,   DATA, N8_MODIFIABLE, EMPTY},
    {CKA_VALUE,               BIN,   DATA, N8_MODIFIABLE, EMPTY},
    /* 4.6.2 certificates */
    {CKA_CERTIFICATE_TYPE,    ULONG, CERT, N1_CREATE_MUST, NONE},
    {CKA_TRUSTED,             BOOL,  CERT, N8_MODIFIABLE | N10_SO_ONLY, FALSE_},
    {CKA_CERTIFICATE_CATEGORY, ULONG, CERT, 0, ZERO},
    {CKA_CHECK_VALUE,         BIN,   CERT, 0, NONE},
    {CKA_START_DATE,          DATE,  CERT, 0, EMPTY},
    {CKA_END_DATE,            DATE,  CERT, 0, EMPTY},
    {CKA_PUBLIC_KEY_INFO,     BIN,   CERT, 0, EMPTY},
    {CKA_VALUE,               BIN,   CERT, N1_CREATE_MUST, NONE},
    /* 4.6.3 X.509, 4.6.4 WTLS */
    {CKA_SUBJECT,             BIN,   CERT | X509 | WTLS, N1_CREATE_MUST, NONE},
    {CKA_ID,                  BIN,   CERT | X509, N8_MODIFIABLE, EMPTY},
    {CKA_ISSUER,              BIN,   CERT | X509 | WTLS, N8_MODIFIABLE, EMPTY},
    {CKA_SERIAL_NUMBER,       BIN,   CERT | X509 | ATTR_CERT, N8_MODIFIABLE, EMPTY},
    {CKA_URL,                 BIN,   CERT | X509 | WTLS, 0, EMPTY},
    {CKA_HASH_OF_SUBJECT_PUBLIC_KEY, BIN, CERT | X509 | WTLS, 0, EMPTY},
    {CKA_HASH_OF_ISSUER_PUBLIC_KEY,  BIN, CERT | X509 | WTLS, 0, EMPTY},
    {CKA_NAME_HASH_ALGORITHM, ULONG, CERT | X509 | WTLS, 0, NONE},
    {CKA_JAVA_MIDP_SECURITY_DOMAIN, ULONG, CERT | X509, 0, ZERO},
    /* 4.6.5 X.509 attribute certificates */
    {CKA_OWNER,               BIN,   CERT | ATTR_CERT, N1_CREATE_MUST, NONE},
    {CKA_AC_ISSUER,           BIN,   CERT | ATTR_CERT, N8_MODIFIABLE, EMPTY},
    {CKA_ATTR_TYPES,          BIN,   CERT | ATTR_CERT, N8_MODIFIABLE, EMPTY},
    /* 4.7 keys */
    {CKA_KEY_TYPE,            ULONG, KEYS, N1_CREATE_MUST | N5_UNWRAP_MUST, NONE},
    {CKA_ID,                  BIN,   KEYS, N8_MODIFIABLE, EMPTY},
    {CKA_START_DATE,          DATE,  KEYS, N8_MODIFIABLE, EMPTY},
    {CKA_END_DATE,            DATE,  KEYS, N8_MODIFIABLE, EMPTY},
    {CKA_DERIVE,              BOOL,  KEYS, N8_MODIFIABLE, FALSE_},
    {CKA_LOCAL,               BOOL,  KEYS, SET_BY_TOKEN, FALSE_},
    {CKA_KEY_GEN_MECHANISM,   ULONG, KEYS, SET_BY_TOKEN, NONE},
    /* Empty is any. Were it missing, OpenSSL's pkcs11-provider would not look for it at other keys, either. */
    {CKA_ALLOWED_MECHANISMS,  MECHANISMS, KEYS, 0, EMPTY},
    /* 3.2: 4, 6, 9, 12; and no application says it at C_CreateObject, as nothing validated this token */
    {CKA_OBJECT_VALIDATION_FLAGS, ULONG, KEYS, SET_BY_TOKEN, ZERO},
    /* 4.8 public keys */
    {CKA_SUBJECT,             BIN,   PUBLIC | PRIVATE, N8_MODIFIABLE, EMPTY},
    {CKA_ENCRYPT,             BOOL,  PUBLIC, N8_MODIFIABLE, RSA},
    {CKA_VERIFY,              BOOL,  PUBLIC, N8_MODIFIABLE, RSA | WEIERSTRASS | EDWARDS},
    {CKA_VERIFY_RECOVER,      BOOL,  PUBLIC, N8_MODIFIABLE, RSA},
    {CKA_WRAP,                BOOL,  PUBLIC | SECRET, N8_MODIFIABLE, FALSE_},
    {CKA_ENCAPSULATE,         BOOL,  PUBLIC, N8_MODIFIABLE, FALSE_},
    {CKA_TRUSTED,             BOOL,  PUBLIC | SECRET, N8_MODIFIABLE | N10_SO_ONLY, FALSE_},
    {CKA_WRAP_TEMPLATE,       TEMPLATE, PUBLIC | SECRET, 0, NONE},
    {CKA_ENCAPSULATE_TEMPLATE, TEMPLATE, PUBLIC, 0, NONE},
    {CKA_PUBLIC_KEY_INFO,     BIN,   PUBLIC, 0, EMPTY},
    /* 4.9 private keys */
    {CKA_SENSITIVE,           BOOL,  PRIVATE, N8_MODIFIABLE | N11_STICKY_TRUE, TRUE_},
    {CKA_EXTRACTABLE,         BOOL,  PRIVATE, N8_MODIFIABLE | N12_STICKY_FALSE, FALSE_},
    {CKA_DECRYPT,             BOOL,  PRIVATE, N8_MODIFIABLE, RSA},
    {CKA_SIGN,                BOOL,  PRIVATE, N8_MODIFIABLE, RSA | WEIERSTRASS | EDWARDS},
    {CKA_SIGN_RECOVER,        BOOL,  PRIVATE, N8_MODIFIABLE, RSA},
    {CKA_UNWRAP,              BOOL,  PRIVATE | SECRET, N8_MODIFIABLE, FALSE_},
    {CKA_DECAPSULATE,         BOOL,  PRIVATE, N8_MODIFIABLE, FALSE_},
    {CKA_ALWAYS_SENSITIVE,    BOOL,  PRIVATE | SECRET, SET_BY_TOKEN, FALSE_},
    {CKA_NEVER_EXTRACTABLE,   BOOL,  PRIVATE | SECRET, SET_BY_TOKEN, FALSE_},
    {CKA_WRAP_WITH_TRUSTED,   BOOL,  PRIVATE | SECRET, N8_MODIFIABLE | N11_STICKY_TRUE, FALSE_},
    {CKA_UNWRAP_TEMPLATE,     TEMPLATE, PRIVATE | SECRET, 0, NONE},
    {CKA_DERIVE_TEMPLATE,     TEMPLATE, PRIVATE | SECRET, 0, NONE},
    {CKA_DECAPSULATE_TEMPLATE, TEMPLATE, PRIVATE, 0, NONE},
    {CKA_ALWAYS_AUTHENTICATE, BOOL,  PRIVATE, 0, FALSE_},
    {CKA_PUBLIC_KEY_INFO,     BIN,   PRIVATE, N8_MODIFIABLE | SAME_AGAIN, EMPTY},
    {CKA_LATCHKEY_PROTECTION, BIN,   PRIVATE | SECRET, 0, NONE},
    /* 4.10 secret keys */
    {CKA_SENSITIVE,           BOOL,  SECRET, N8_MODIFIABLE | N11_STICKY_TRUE, TRUE_UNLESS_DERIVED},
    {CKA_EXTRACTABLE,         BOOL,  SECRET, N8_MODIFIABLE | N12_STICKY_FALSE, FALSE_UNLESS_DERIVED},
    {CKA_ENCRYPT,             BOOL,  SECRET, N8_MODIFIABLE, AES},
    {CKA_DECRYPT,             BOOL,  SECRET, N8_MODIFIABLE, AES},
    {CKA_SIGN,                BOOL,  SECRET, N8_MODIFIABLE, AES | GENERIC},
    {CKA_VERIFY,              BOOL,  SECRET, N8_MODIFIABLE, AES | GENERIC},
    {CKA_CHECK_VALUE,         BIN,   SECRET, CLEARABLE, NONE},
    /* 6.1 RSA keys */
    {CKA_MODULUS,             BIN,   PUBLIC | RSA, N1_CREATE_MUST | N4_GENERATE_NEVER, NONE},
    {CKA_MODULUS_BITS,        ULONG, PUBLIC | RSA, N2_CREATE_NEVER | N3_GENERATE_MUST, NONE},
    {CKA_PUBLIC_EXPONENT,     BIN,   PUBLIC | RSA, N1_CREATE_MUST, NONE},
    {CKA_MODULUS,             BIN,   PRIVATE | RSA, N1_CREATE_MUST | N4_GENERATE_NEVER | N6_UNWRAP_NEVER, NONE},
    {CKA_PUBLIC_EXPONENT,     BIN,   PRIVATE | RSA, N1_CREATE_MUST | N4_GENERATE_NEVER | N6_UNWRAP_NEVER, NONE},
    {CKA_PRIVATE_EXPONENT,    BIN,   PRIVATE | RSA, N1_CREATE_MUST | N4_GENERATE_NEVER | N6_UNWRAP_NEVER |
                                                    N7_SENSITIVE, NONE},
    {CKA_PRIME_1,             BIN,   PRIVATE | RSA, N4_GENERATE_NEVER | N6_UNWRAP_NEVER | N7_SENSITIVE, NONE},
    {CKA_PRIME_2,             BIN,   PRIVATE | RSA, N4_GENERATE_NEVER | N6_UNWRAP_NEVER | N7_SENSITIVE, NONE},
    {CKA_EXPONENT_1,          BIN,   PRIVATE | RSA, N4_GENERATE_NEVER | N6_UNWRAP_NEVER | N7_SENSITIVE, NONE},
    {CKA_EXPONENT_2,          BIN,   PRIVATE | RSA, N4_GENERATE_NEVER | N6_UNWRAP_NEVER | N7_SENSITIVE, NONE},
    {CKA_COEFFICIENT,         BIN,   PRIVATE | RSA, N4_GENERATE_NEVER | N6_UNWRAP_NEVER | N7_SENSITIVE, NONE},
    /* 6.3 EC keys. Every client reads EC_POINT from the private key too, and some give it. */
    {CKA_EC_PARAMS,           BIN,   PUBLIC | EC, N1_CREATE_MUST | N3_GENERATE_MUST, NONE},
    {CKA_EC_POINT,            BIN,   PUBLIC | EC, N1_CREATE_MUST | N4_GENERATE_NEVER, NONE},
    {CKA_EC_PARAMS,           BIN,   PRIVATE | EC, N1_CREATE_MUST | N4_GENERATE_NEVER | N6_UNWRAP_NEVER, NONE},
    {CKA_EC_POINT,            BIN,   PRIVATE | EC, N4_GENERATE_NEVER | N6_UNWRAP_NEVER, NONE},
    {CKA_VALUE,               BIN,   PRIVATE | EC, N1_CREATE_MUST | N4_GENERATE_NEVER | N6_UNWRAP_NEVER |
                                                   N7_SENSITIVE, NONE},
    /* 6.8 generic secrets, 6.10 AES, 6.20 and after: HMAC, 6.62 HKDF */
    {CKA_VALUE,               BIN,   SECRET, N1_CREATE_MUST | N4_GENERATE_NEVER | N6_UNWRAP_NEVER |
                                             N7_SENSITIVE, NONE},
    {CKA_VALUE_LEN,           ULONG, SECRET, N2_CREATE_NEVER | N3_GENERATE_MUST, NONE},
    /* 4.13 profiles, 4.12 mechanisms, 3.2: 4.15 validations */
    {CKA_PROFILE_ID,          ULONG, PROFILE, 0, NONE},
    {CKA_MECHANISM_TYPE,      ULONG, MECHANISM, 0, NONE},
    {CKA_VALIDATION_TYPE,     ULONG, VALIDATION, 0, NONE},
    {CKA_VALIDATION_VERSION,  BIN,   VALIDATION, 0, NONE},
    {CKA_VALIDATION_LEVEL,    ULONG, VALIDATION, 0, NONE},
    {CKA_VALIDATION_MODULE_ID, BIN,  VALIDATION, 0, NONE},
    {CKA_VALIDATION_FLAG,     ULONG, VALIDATION, 0, NONE},
    {CKA_VALIDATION_AUTHORITY_TYPE, ULONG, VALIDATION, 0, NONE},
    {CKA_VALIDATION_COUNTRY,  BIN,   VALIDATION, 0, NONE},
    {CKA_VALIDATION_CERTIFICATE_IDENTIFIER, BIN, VALIDATION, 0, NONE},
    {CKA_VALIDATION_CERTIFICATE_URI, BIN, VALIDATION, 0, NONE},
    {CKA_VALIDATION_VENDOR_URI, BIN, VALIDATION, 0, NONE},
    {CKA_VALIDATION_PROFILE,  BIN,   VALIDATION, 0, NONE},
};
/* clang-format on */

const size_t attr_rule_count = sizeof(attr_rules) / sizeof(*attr_rules);

/* ---- places -------------------------------------------------------------------------------- */

struct name_of_bit {
    CK_ULONG value;
    unsigned bit, classes;
};

static const struct name_of_bit classes[] = {
    {CKO_DATA, DATA, 0},           {CKO_CERTIFICATE, CERT, 0},      {CKO_PUBLIC_KEY, PUBLIC, 0},
    {CKO_PRIVATE_KEY, PRIVATE, 0}, {CKO_SECRET_KEY, SECRET, 0},     {CKO_PROFILE, PROFILE, 0},
    {CKO_MECHANISM, MECHANISM, 0}, {CKO_VALIDATION, VALIDATION, 0},
};

static const struct name_of_bit types[] = {
    {CKK_RSA, RSA, PUBLIC | PRIVATE},
    {CKK_EC, WEIERSTRASS, PUBLIC | PRIVATE},
    {CKK_EC_EDWARDS, EDWARDS, PUBLIC | PRIVATE},
    {CKK_EC_MONTGOMERY, MONTGOMERY, PUBLIC | PRIVATE},
    {CKK_AES, AES, SECRET},
    {CKK_GENERIC_SECRET, GENERIC, SECRET},
    {CKK_SHA_1_HMAC, GENERIC, SECRET},
    {CKK_SHA224_HMAC, GENERIC, SECRET},
    {CKK_SHA256_HMAC, GENERIC, SECRET},
    {CKK_SHA384_HMAC, GENERIC, SECRET},
    {CKK_SHA512_HMAC, GENERIC, SECRET},
    {CKK_SHA3_224_HMAC, GENERIC, SECRET},
    {CKK_SHA3_256_HMAC, GENERIC, SECRET},
    {CKK_SHA3_384_HMAC, GENERIC, SECRET},
    {CKK_SHA3_512_HMAC, GENERIC, SECRET},
    {CKK_HKDF, HKDF, SECRET},
    {CKC_X_509, X509, CERT},
    {CKC_X_509_ATTR_CERT, ATTR_CERT, CERT},
    {CKC_WTLS, WTLS, CERT},
};

unsigned attr_place(CK_OBJECT_CLASS cls, CK_ULONG type)
{
    unsigned place = 0;
    for (size_t i = 0; i < sizeof(classes) / sizeof(*classes); i++)
        if (classes[i].value == cls)
            place = classes[i].bit;
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
        if (types[i].value == type && (types[i].classes & place))
            return place | types[i].bit;
    return place;
}

unsigned attr_place_of(const struct attrs *a)
{
    CK_OBJECT_CLASS cls = attrs_ulong(a, CKA_CLASS, CK_UNAVAILABLE_INFORMATION);
    CK_ATTRIBUTE_TYPE type = cls == CKO_CERTIFICATE ? CKA_CERTIFICATE_TYPE : CKA_KEY_TYPE;
    return attr_place(cls, attrs_ulong(a, type, CK_UNAVAILABLE_INFORMATION));
}

bool attr_applies(unsigned where, unsigned place)
{
    return (where & place & ALL) && (!(where & TYPES) || (where & place & TYPES));
}

const struct rule *attr_rule(unsigned place, CK_ATTRIBUTE_TYPE type)
{
    for (size_t i = 0; i < attr_rule_count; i++)
        if (attr_rules[i].type == type && attr_applies(attr_rules[i].where, place))
            return &attr_rules[i];
    return NULL;
}

bool attr_kind_known(CK_ATTRIBUTE_TYPE type, enum kind *ret)
{
    for (size_t i = 0; i < attr_rule_count; i++)
        if (attr_rules[i].type == type) {
            *ret = attr_rules[i].kind;
            return true;
        }
    return false;
}

enum kind attr_kind(CK_ATTRIBUTE_TYPE type)
{
    enum kind kind = BIN;
    attr_kind_known(type, &kind);
    return kind;
}
