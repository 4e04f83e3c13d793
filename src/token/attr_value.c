#include "attr_rules.h"

#include <string.h>

/* Is a value one that an attribute can have? */

/* ---- form ---------------------------------------------------------------------------------- */

static bool all_digits(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] < '0' || p[i] > '9')
            return false;
    return true;
}

static int number(const uint8_t *digits, int n)
{
    int value = 0;
    for (int i = 0; i < n; i++)
        value = value * 10 + digits[i] - '0';
    return value;
}

static int days_of(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return month < 1 || month > 12 ? 0 : days[month - 1] + (month == 2 && leap);
}

/* 3.1: CK_DATE, or nothing. */
static bool date_valid(const uint8_t *p, size_t n)
{
    if (n == 0)
        return true;
    if (n != sizeof(CK_DATE) || !all_digits(p, n))
        return false;
    int day = number(p + 6, 2);
    return day >= 1 && day <= days_of(number(p, 4), number(p + 4, 2));
}

bool attr_form_valid(enum kind kind, const CK_ATTRIBUTE *a)
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
    case TEMPLATE:
        return a->ulValueLen % sizeof(CK_ATTRIBUTE) == 0;
    case BIN:
        return true;
    }
    return false;
}

/* ---- range --------------------------------------------------------------------------------- */

#define BIT(n) (UINT64_C(1) << (n))

/* Values, or lengths of values, that alone are right. */
static const struct {
    CK_ATTRIBUTE_TYPE type;
    unsigned where;
    bool length;
    uint64_t allowed; /* bit n: n is */
} ranges[] = {
    /* 4.6.2 CK_CERTIFICATE_CATEGORY_…, 4.6.3 CK_SECURITY_DOMAIN_… */
    {CKA_CERTIFICATE_CATEGORY, CERT, false, BIT(0) | BIT(1) | BIT(2) | BIT(3)},
    {CKA_JAVA_MIDP_SECURITY_DOMAIN, CERT, false, BIT(0) | BIT(1) | BIT(2) | BIT(3)},
    /* 4.10.2: three bytes, or none so that there be no check value */
    {CKA_CHECK_VALUE, CERT | SECRET, true, BIT(0) | BIT(3)},
    /* 6.10.2 */
    {CKA_VALUE, SECRET | AES, true, BIT(16) | BIT(24) | BIT(32)},
};

static bool in_range(unsigned place, const CK_ATTRIBUTE *a)
{
    for (size_t i = 0; i < sizeof(ranges) / sizeof(*ranges); i++) {
        CK_ULONG n = a->ulValueLen;
        if (ranges[i].type != a->type || !attr_applies(ranges[i].where, place))
            continue;
        if (!ranges[i].length)
            memcpy(&n, a->pValue, sizeof(n)); /* a ULONG: its form was looked at */
        if (n > 63 || !(ranges[i].allowed & BIT(n)))
            return false;
    }
    return true;
}

static bool protection_valid(const CK_ATTRIBUTE *a)
{
    static const char *const words[] = {"tpm", "sealed", "session"};
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        if (bytes_equal(BYTES(a->pValue, a->ulValueLen), BYTES_STR(words[i])))
            return true;
    return false;
}

bool attr_value_valid(const struct rule *r, unsigned place, const CK_ATTRIBUTE *a)
{
    return attr_form_valid(r->kind, a) && in_range(place, a) &&
           (a->type != CKA_LATCHKEY_PROTECTION || protection_valid(a));
}

CK_RV attrs_template_ulong(const CK_ATTRIBUTE *template, CK_ULONG n, CK_ATTRIBUTE_TYPE type,
                           CK_ULONG *ret)
{
    for (CK_ULONG i = 0; i < n; i++)
        if (template[i].type == type) {
            if (template[i].ulValueLen != sizeof(*ret) || !template[i].pValue)
                return CKR_ATTRIBUTE_VALUE_INVALID;
            memcpy(ret, template[i].pValue, sizeof(*ret));
            if (*ret == CK_UNAVAILABLE_INFORMATION) /* callers take it for "not said" */
                return CKR_ATTRIBUTE_VALUE_INVALID;
        }
    return CKR_OK;
}
