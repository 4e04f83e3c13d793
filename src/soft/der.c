/* DER (X.690): a strict reader and a writer, for the few structures that PKCS#11 attributes hold.
 * OpenSSL's d2i functions accept BER, and decode keys in the host's default context on the way. */
#include "internal.h"

int der_next(struct bytes in)
{
    return in.n ? in.p[0] : -1;
}

/* X.690 8.1.3 and 10.1: definite, in the fewest octets. */
static bool take_length(struct bytes *in, size_t *ret)
{
    uint8_t first, octet;
    if (!bytes_take_u8(in, &first))
        return false;
    if (first < 0x80) {
        *ret = first;
        return true;
    }
    size_t octets = first & 0x7F, length = 0;
    if (octets == 0 || octets > 4)
        return false;
    for (size_t i = 0; i < octets; i++) {
        if (!bytes_take_u8(in, &octet) || (i == 0 && octet == 0))
            return false;
        length = length << 8 | octet;
    }
    *ret = length;
    return length >= 0x80;
}

bool der_take(struct bytes *in, uint8_t tag, struct der *ret)
{
    struct bytes rest = *in, content;
    uint8_t found;
    size_t length;
    if (!bytes_take_u8(&rest, &found) || found != tag || !take_length(&rest, &length) ||
        !bytes_take(&rest, length, &content))
        return false;
    *ret = (struct der){BYTES(in->p, in->n - rest.n), content};
    *in = rest;
    return true;
}

static CK_RV append_length(struct buf *out, size_t n)
{
    if (n < 0x80)
        return buf_u8(out, (uint8_t)n);
    size_t octets = 1;
    for (size_t rest = n >> 8; rest; rest >>= 8)
        octets++;
    TRY(buf_u8(out, (uint8_t)(0x80 | octets)));
    while (octets-- > 0)
        TRY(buf_u8(out, (uint8_t)(n >> (8 * octets))));
    return CKR_OK;
}

CK_RV der_append(struct buf *out, uint8_t tag, struct bytes content)
{
    enum { HEADER_MAX = 2 + sizeof(size_t) };
    TRY(buf_reserve(out, HEADER_MAX + content.n)); /* so that out grows wholly or not at all */
    TRY(buf_u8(out, tag));
    TRY(append_length(out, content.n));
    return buf_bytes_append(out, content);
}

bool der_take_unsigned(struct bytes *in, struct bytes *ret)
{
    struct bytes rest = *in;
    struct der number;
    if (!der_take(&rest, DER_INTEGER, &number) || number.content.n == 0)
        return false;
    struct bytes v = number.content;
    /* X.690 8.3.2: the first nine bits are not all alike */
    if (v.p[0] & 0x80 || (v.n > 1 && v.p[0] == 0 && !(v.p[1] & 0x80)))
        return false;
    *ret = v.p[0] == 0 ? BYTES(v.p + 1, v.n - 1) : v;
    *in = rest;
    return true;
}

CK_RV der_append_unsigned(struct buf *out, struct bytes number)
{
    CLEANUP(buf_free) struct buf content = {0};
    number = bytes_number(number);
    /* X.690 8.3: two's complement; zero is one octet */
    if (number.n == 0 || number.p[0] & 0x80)
        TRY(buf_u8(&content, 0));
    TRY(buf_bytes_append(&content, number));
    return der_append(out, DER_INTEGER, buf_bytes(&content));
}

CK_RV soft_octet_string(struct bytes content, struct buf *ret)
{
    return der_append(ret, DER_OCTET_STRING, content);
}

bool soft_octet_string_parse(struct bytes der, struct bytes *ret)
{
    struct der string;
    if (!der_take(&der, DER_OCTET_STRING, &string) || der.n)
        return false;
    *ret = string.content;
    return true;
}

bool soft_sequence_first(struct bytes in, struct bytes *ret)
{
    struct der sequence;
    bool ok = der_take(&in, DER_SEQUENCE, &sequence);
    if (ok)
        *ret = sequence.whole;
    return ok;
}
