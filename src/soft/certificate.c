#include "internal.h"

#include <string.h>

static bool all_digits(struct bytes text)
{
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
    return true;
}

/* RFC 5280 4.1.2.5: YYMMDD… of 1950 to 2049, or YYYYMMDD…. */
static bool take_date(struct bytes *validity, CK_DATE *ret)
{
    struct der time;
    struct bytes date;
    size_t year_digits = der_next(*validity) == DER_UTC_TIME ? 2 : 4;
    uint8_t tag = year_digits == 2 ? DER_UTC_TIME : DER_GENERALIZED_TIME;
    if (!der_take(validity, tag, &time) || !bytes_take(&time.content, year_digits + 4, &date) ||
        !all_digits(date))
        return false;
    memcpy(ret->year, date.p[0] < '5' ? "20" : "19", 2);
    memcpy(ret->year + 4 - year_digits, date.p, year_digits);
    memcpy(ret->month, date.p + year_digits, 2);
    memcpy(ret->day, date.p + year_digits + 2, 2);
    return true;
}

struct tbs {
    struct der serial, issuer, subject, spki;
    CK_DATE start, end;
};

/* RFC 5280 4.1: TBSCertificate. What follows the key (extensions) is no concern of PKCS#11. */
static bool parse_tbs(struct bytes in, struct tbs *ret)
{
    struct der version, algorithm, validity;
    if (der_next(in) == DER_CONTEXT_0 && !der_take(&in, DER_CONTEXT_0, &version))
        return false;
    return der_take(&in, DER_INTEGER, &ret->serial) && ret->serial.content.n > 0 &&
           der_take(&in, DER_SEQUENCE, &algorithm) && der_take(&in, DER_SEQUENCE, &ret->issuer) &&
           der_take(&in, DER_SEQUENCE, &validity) && take_date(&validity.content, &ret->start) &&
           take_date(&validity.content, &ret->end) && validity.content.n == 0 &&
           der_take(&in, DER_SEQUENCE, &ret->subject) && der_take(&in, DER_SEQUENCE, &ret->spki);
}

static bool parse(struct bytes in, struct tbs *ret)
{
    struct der certificate, tbs, algorithm, signature;
    if (!der_take(&in, DER_SEQUENCE, &certificate) || in.n)
        return false;
    in = certificate.content;
    return der_take(&in, DER_SEQUENCE, &tbs) && der_take(&in, DER_SEQUENCE, &algorithm) &&
           der_take(&in, DER_BIT_STRING, &signature) && in.n == 0 && parse_tbs(tbs.content, ret);
}

CK_RV soft_certificate_parse(struct bytes der, struct soft_certificate *ret)
{
    struct tbs tbs;
    if (!parse(der, &tbs))
        return CKR_ATTRIBUTE_VALUE_INVALID;
    CLEANUP(soft_certificate_free)
    struct soft_certificate c = {.start = tbs.start, .end = tbs.end};
    TRY(buf_set(&c.subject, tbs.subject.whole));
    TRY(buf_set(&c.issuer, tbs.issuer.whole));
    TRY(buf_set(&c.serial, tbs.serial.whole));
    TRY(buf_set(&c.spki, tbs.spki.whole));
    *ret = c;
    c = (struct soft_certificate){0};
    return CKR_OK;
}

void soft_certificate_free(struct soft_certificate *c)
{
    buf_free(&c->subject);
    buf_free(&c->issuer);
    buf_free(&c->serial);
    buf_free(&c->spki);
    *c = (struct soft_certificate){0};
}
