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

/* ---- reading ---- */

/* RFC 8017, A.1.2; version 1 would have more than two primes. */
static CK_RV read_rsa(struct bytes in, struct soft_private **ret)
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
    return sequence.content.n ? CKR_ATTRIBUTE_VALUE_INVALID : soft_private_from_rsa(number, ret);
}

/* Does what a BIT STRING holds equal the public key? */
static CK_RV compare_public(const struct soft_private *k, struct bytes bits)
{
    CLEANUP(buf_free) struct buf expected = {0};
    TRY(buf_u8(&expected, 0)); /* no unused bits */
    TRY(key_append(k->public_, &expected));
    return bytes_equal(bits, buf_bytes(&expected)) ? CKR_OK : CKR_ATTRIBUTE_VALUE_INVALID;
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

static CK_RV read_ec(enum curve c, struct bytes in, struct soft_private **ret)
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
    CLEANUP(soft_private_free) struct soft_private *k = NULL;
    TRY(soft_private_from_value(c, value.content, &k));
    if (bits.n)
        TRY(compare_public(k, bits));
    *ret = k;
    k = NULL;
    return CKR_OK;
}

/* RFC 8410, 7: CurvePrivateKey is one more OCTET STRING. */
static CK_RV read_25519(enum curve c, struct bytes in, struct soft_private **ret)
{
    struct bytes value;
    return soft_octet_string_parse(in, &value) ? soft_private_from_value(c, value, ret)
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

CK_RV soft_private_from_pkcs8(struct bytes der, struct soft_private **ret)
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
    CLEANUP(soft_private_free) struct soft_private *k = NULL;
    if (c == CURVE_NONE)
        TRY(read_rsa(key.content, &k));
    else
        TRY(curve_is_25519(c) ? read_25519(c, key.content, &k) : read_ec(c, key.content, &k));
    if (bits.n)
        TRY(compare_public(k, bits));
    *ret = k;
    k = NULL;
    return CKR_OK;
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
    TRY(buf_u8(&bits, 0)); /* no unused bits */
    TRY(key_append(k->public_, &bits));
    TRY(der_append(&wrapped, DER_BIT_STRING, buf_bytes(&bits)));
    TRY(der_append(&content, DER_CONTEXT_1, buf_bytes(&wrapped)));
    return der_append(out, DER_SEQUENCE, buf_bytes(&content));
}

static CK_RV append_private(const struct soft_private *k, struct buf *out)
{
    if (k->curve == CURVE_NONE)
        return append_rsa(k, out);
    return curve_is_25519(k->curve) ? soft_octet_string(secret_bytes(&k->secret), out)
                                    : append_ec(k, out);
}

CK_RV soft_private_to_pkcs8(const struct soft_private *k, struct secret *ret)
{
    KEEP_ERROR_QUEUE;
    CLEANUP(buf_free) struct buf key = {0};
    CLEANUP(buf_free) struct buf content = {0};
    CLEANUP(buf_free) struct buf info = {0};
    TRY(der_append_unsigned(&content, NO_BYTES)); /* version 0 */
    TRY(algorithm_append(k->curve, &content));
    TRY(append_private(k, &key));
    TRY(der_append(&content, DER_OCTET_STRING, buf_bytes(&key)));
    TRY(der_append(&info, DER_SEQUENCE, buf_bytes(&content)));
    return secret_copy(ret, buf_bytes(&info));
}
