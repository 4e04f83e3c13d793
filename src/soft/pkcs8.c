/* PrivateKeyInfo (RFC 5208) and its successor OneAsymmetricKey (RFC 5958), read and written. */
#include "internal.h"

#include <string.h>

static bool take_version(struct bytes *in, uint8_t max, uint8_t *ret)
{
    struct bytes version;
    if (!der_take_unsigned(in, &version) || version.n > 1)
        return false;
    *ret = version.n ? version.p[0] : 0;
    return *ret <= max;
}

/* What a BIT STRING with the public key holds. */
static CK_RV public_bits(const struct soft_private *k, struct buf *ret)
{
    TRY(buf_u8(ret, 0)); /* no unused bits */
    return key_append(k->public_, ret);
}

/* ---- reading ---- */

/* stored: the parts are known to belong together. */

/* RFC 8017, A.1.2; version 1 would have more than two primes. */
static CK_RV read_rsa(struct bytes in, bool stored, struct soft_private **ret)
{
    struct der sequence;
    struct bytes number[RSA_NUMBERS];
    uint8_t version;
    if (!der_take(&in, DER_SEQUENCE, &sequence) || in.n ||
        !take_version(&sequence.content, 0, &version))
        return CKR_ATTRIBUTE_VALUE_INVALID;
    for (int i = 0; i < RSA_NUMBERS; i++)
        if (!der_take_unsigned(&sequence.content, &number[i]))
            return CKR_ATTRIBUTE_VALUE_INVALID;
    if (sequence.content.n)
        return CKR_ATTRIBUTE_VALUE_INVALID;
    return (stored ? private_of_numbers : soft_private_from_rsa)(number, ret);
}

/* Does what a BIT STRING holds equal the public key? */
static CK_RV compare_public(const struct soft_private *k, struct bytes bits)
{
    CLEANUP(buf_free) struct buf expected = {0};
    TRY(public_bits(k, &expected));
    return bytes_equal(bits, buf_bytes(&expected)) ? CKR_OK : CKR_ATTRIBUTE_VALUE_INVALID;
}

/* bits: the BIT STRING with the public key, empty where there is none. */
static CK_RV read_value(enum curve c, struct bytes value, struct bytes bits, bool stored,
                        struct soft_private **ret)
{
    if (stored && bits.n)
        return private_of_value(c, value, BYTES(bits.p + 1, bits.n - 1), ret);
    CLEANUP(soft_private_free) struct soft_private *k = NULL;
    TRY(soft_private_from_value(c, value, &k));
    if (bits.n)
        TRY(compare_public(k, bits));
    *ret = k;
    k = NULL;
    return CKR_OK;
}

/* RFC 5915, 3: [0] parameters and [1] publicKey, which may both be missing. */
static bool take_ec_tail(struct bytes *in, enum curve c, struct bytes *ret_bits)
{
    struct der wrapper, bits;
    *ret_bits = NO_BYTES;
    if (der_next(*in) == DER_CONTEXT_0 &&
        (!der_take(in, DER_CONTEXT_0, &wrapper) || !bytes_equal(wrapper.content, curve_oid(c))))
        return false;
    if (der_next(*in) == DER_CONTEXT_1) {
        if (!der_take(in, DER_CONTEXT_1, &wrapper) ||
            !der_take(&wrapper.content, DER_BIT_STRING, &bits) || wrapper.content.n ||
            bits.content.n == 0)
            return false;
        *ret_bits = bits.content;
    }
    return in->n == 0;
}

static CK_RV read_ec(enum curve c, struct bytes in, bool stored, struct soft_private **ret)
{
    struct der sequence, value;
    struct bytes bits;
    uint8_t version;
    if (!der_take(&in, DER_SEQUENCE, &sequence) || in.n)
        return CKR_ATTRIBUTE_VALUE_INVALID;
    in = sequence.content;
    if (!take_version(&in, 1, &version) || version != 1 ||
        !der_take(&in, DER_OCTET_STRING, &value) || value.content.n != curve_field_size(c) ||
        !take_ec_tail(&in, c, &bits))
        return CKR_ATTRIBUTE_VALUE_INVALID;
    return read_value(c, value.content, bits, stored, ret);
}

/* RFC 8410, 7: CurvePrivateKey is one more OCTET STRING. */
static CK_RV read_raw(enum curve c, struct bytes in, struct bytes bits, bool stored,
                      struct soft_private **ret)
{
    struct bytes value;
    return soft_octet_string_parse(in, &value) ? read_value(c, value, bits, stored, ret)
                                               : CKR_ATTRIBUTE_VALUE_INVALID;
}

/* What may follow the key: [0] attributes, passed over, and since version 1 [1] publicKey. */
static bool take_tail(struct bytes in, uint8_t version, struct bytes *ret_bits)
{
    struct der attributes, bits;
    *ret_bits = NO_BYTES;
    if (der_next(in) == DER_CONTEXT_0 && !der_take(&in, DER_CONTEXT_0, &attributes))
        return false;
    if (version > 0 && der_next(in) == DER_CONTEXT_1_BITS) {
        if (!der_take(&in, DER_CONTEXT_1_BITS, &bits) || bits.content.n == 0)
            return false;
        *ret_bits = bits.content;
    }
    return in.n == 0;
}

static CK_RV read_private(struct bytes der, bool stored, struct soft_private **ret)
{
    struct der info, key;
    struct bytes in, bits;
    enum curve c;
    uint8_t version;
    if (!der_take(&der, DER_SEQUENCE, &info) || der.n)
        return CKR_ATTRIBUTE_VALUE_INVALID;
    in = info.content;
    if (!take_version(&in, 1, &version) || !algorithm_take(&in, &c) ||
        !der_take(&in, DER_OCTET_STRING, &key) || !take_tail(in, version, &bits))
        return CKR_ATTRIBUTE_VALUE_INVALID;
    if (curve_is_raw(c))
        return read_raw(c, key.content, bits, stored, ret);
    CLEANUP(soft_private_free) struct soft_private *k = NULL;
    TRY(c == CURVE_NONE ? read_rsa(key.content, stored, &k) : read_ec(c, key.content, stored, &k));
    if (bits.n && !stored)
        TRY(compare_public(k, bits));
    *ret = k;
    k = NULL;
    return CKR_OK;
}

CK_RV soft_private_from_pkcs8(struct bytes der, struct soft_private **ret)
{
    return read_private(der, false, ret);
}

CK_RV soft_private_from_stored(struct bytes der, struct soft_private **ret)
{
    return read_private(der, true, ret);
}

/* ---- writing ---- */

static CK_RV append_rsa(const struct soft_private *k, struct buf *out)
{
    CLEANUP(buf_free) struct buf numbers = {0};
    TRY(der_append_unsigned(&numbers, NO_BYTES)); /* version: two primes */
    for (int i = 0; i < RSA_NUMBERS; i++)
        TRY(der_append_unsigned(&numbers, k->numbers[i]));
    return der_append(out, DER_SEQUENCE, buf_bytes(&numbers));
}

static CK_RV append_ec(const struct soft_private *k, struct buf *out)
{
    CLEANUP(buf_free) struct buf content = {0};
    CLEANUP(buf_free) struct buf bits = {0};
    CLEANUP(buf_free) struct buf wrapped = {0};
    TRY(der_append_unsigned(&content, BYTES("\1", 1)));
    TRY(der_append(&content, DER_OCTET_STRING, secret_bytes(&k->secret)));
    TRY(public_bits(k, &bits));
    TRY(der_append(&wrapped, DER_BIT_STRING, buf_bytes(&bits)));
    TRY(der_append(&content, DER_CONTEXT_1, buf_bytes(&wrapped)));
    return der_append(out, DER_SEQUENCE, buf_bytes(&content));
}

static CK_RV append_private(const struct soft_private *k, struct buf *out)
{
    if (k->curve == CURVE_NONE)
        return append_rsa(k, out);
    return curve_is_raw(k->curve) ? soft_octet_string(secret_bytes(&k->secret), out)
                                  : append_ec(k, out);
}

/* version 1: with the public key of RFC 7748's curves, which are without it in their private part
 */
static CK_RV write_private(const struct soft_private *k, uint8_t version, struct secret *ret)
{
    KEEP_ERROR_QUEUE;
    CLEANUP(buf_free) struct buf key = {0}, content = {0}, bits = {0}, info = {0};
    TRY(der_append_unsigned(&content, BYTES(&version, version)));
    TRY(algorithm_append(k->curve, &content));
    TRY(append_private(k, &key));
    TRY(der_append(&content, DER_OCTET_STRING, buf_bytes(&key)));
    if (version) {
        TRY(public_bits(k, &bits));
        TRY(der_append(&content, DER_CONTEXT_1_BITS, buf_bytes(&bits)));
    }
    TRY(der_append(&info, DER_SEQUENCE, buf_bytes(&content)));
    return secret_copy(ret, buf_bytes(&info));
}

CK_RV soft_private_to_pkcs8(const struct soft_private *k, struct secret *ret)
{
    return write_private(k, 0, ret);
}

CK_RV soft_private_to_stored(const struct soft_private *k, struct secret *ret)
{
    return write_private(k, curve_is_raw(k->curve) ? 1 : 0, ret);
}

CK_RV soft_private_copy(const struct soft_private *k, struct soft_private **ret)
{
    CLEANUP(secret_free) struct secret encoded = {0};
    TRY(soft_private_to_stored(k, &encoded));
    return soft_private_from_stored(secret_bytes(&encoded), ret);
}
