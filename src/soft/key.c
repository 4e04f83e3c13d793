/* Public keys as objects and as SubjectPublicKeyInfo (RFC 5280 4.1, RFC 3279 2.3.1, RFC 5480 2, RFC
 * 8410 3 and 4). */
#include "internal.h"

#include <stdlib.h>

static const uint8_t oid_rsa[] = {0x06, 0x09, 0x2A, 0x86, 0x48, 0x86,
                                  0xF7, 0x0D, 0x01, 0x01, 0x01}; /* rsaEncryption */
static const uint8_t oid_ec[] = {0x06, 0x07, 0x2A, 0x86, 0x48,
                                 0xCE, 0x3D, 0x02, 0x01}; /* id-ecPublicKey */
static const uint8_t der_null[] = {DER_NULL, 0};

void soft_key_free(struct soft_key **k)
{
    if (!*k)
        return;
    BN_free((*k)->n);
    BN_free((*k)->e);
    BN_MONT_CTX_free((*k)->mont);
    EC_POINT_free((*k)->point);
    free(*k);
    *k = NULL;
}

static CK_RV append_number(struct buf *out, const BIGNUM *number)
{
    CLEANUP(buf_free) struct buf be = {0};
    uint8_t *p;
    TRY(buf_extend(&be, (size_t)BN_num_bytes(number), &p));
    BN_bn2bin(number, p);
    return der_append_unsigned(out, buf_bytes(&be));
}

CK_RV soft_key_point(const struct soft_key *k, struct buf *ret)
{
    KEEP_ERROR_QUEUE;
    uint8_t *point;
    size_t n = curve_point_size(k->curve);
    if (k->curve == CURVE_NONE)
        return CKR_KEY_TYPE_INCONSISTENT;
    if (curve_is_raw(k->curve))
        return buf_append(ret, k->raw, n);
    TRY(buf_extend(ret, n, &point));
    return EC_POINT_point2oct(soft_state.group[k->curve], k->point, POINT_CONVERSION_UNCOMPRESSED,
                              point, n, NULL) == n
               ? CKR_OK
               : error_openssl("EC point");
}

CK_RV key_append(const struct soft_key *k, struct buf *out)
{
    if (k->curve != CURVE_NONE)
        return soft_key_point(k, out);
    CLEANUP(buf_free) struct buf numbers = {0};
    TRY(append_number(&numbers, k->n));
    TRY(append_number(&numbers, k->e));
    return der_append(out, DER_SEQUENCE, buf_bytes(&numbers));
}

/* ---- AlgorithmIdentifier ---- */

static struct bytes algorithm_oid(enum curve c)
{
    if (c == CURVE_NONE)
        return BYTES_OF(oid_rsa);
    return curve_is_raw(c) ? curve_oid(c) : BYTES_OF(oid_ec);
}

static struct bytes algorithm_parameters(enum curve c)
{
    if (c == CURVE_NONE)
        return BYTES_OF(der_null);
    return curve_is_raw(c) ? NO_BYTES : curve_oid(c);
}

CK_RV algorithm_append(enum curve c, struct buf *out)
{
    CLEANUP(buf_free) struct buf algorithm = {0};
    TRY(buf_bytes_append(&algorithm, algorithm_oid(c)));
    TRY(buf_bytes_append(&algorithm, algorithm_parameters(c)));
    return der_append(out, DER_SEQUENCE, buf_bytes(&algorithm));
}

static bool algorithm_is(enum curve c, struct bytes oid, struct bytes parameters)
{
    if (!bytes_equal(oid, algorithm_oid(c)))
        return false;
    /* RFC 3279 wants NULL for RSA; some encoders leave it out */
    if (c == CURVE_NONE)
        return parameters.n == 0 || bytes_equal(parameters, BYTES_OF(der_null));
    return curve_is_raw(c) ? parameters.n == 0 : curve_from_params(parameters) == c;
}

bool algorithm_take(struct bytes *in, enum curve *ret)
{
    struct der algorithm, oid;
    if (!der_take(in, DER_SEQUENCE, &algorithm) || !der_take(&algorithm.content, DER_OID, &oid))
        return false;
    for (enum curve c = CURVE_NONE; c < CURVE_END; c++) {
        if (algorithm_is(c, oid.whole, algorithm.content)) {
            *ret = c;
            return true;
        }
    }
    return false;
}

/* ---- SubjectPublicKeyInfo ---- */

CK_RV soft_key_spki(const struct soft_key *k, struct buf *ret)
{
    KEEP_ERROR_QUEUE;
    CLEANUP(buf_free) struct buf bits = {0};
    CLEANUP(buf_free) struct buf info = {0};
    TRY(buf_u8(&bits, 0)); /* no unused bits */
    TRY(key_append(k, &bits));
    TRY(algorithm_append(k->curve, &info));
    TRY(der_append(&info, DER_BIT_STRING, buf_bytes(&bits)));
    return der_append(ret, DER_SEQUENCE, buf_bytes(&info));
}

/* The key without the count of unused bits. */
static bool take_apart(struct bytes in, enum curve *ret_curve, struct bytes *ret_key)
{
    struct der info, key;
    uint8_t unused;
    if (!der_take(&in, DER_SEQUENCE, &info) || in.n)
        return false;
    in = info.content;
    if (!algorithm_take(&in, ret_curve) || !der_take(&in, DER_BIT_STRING, &key) || in.n ||
        !bytes_take_u8(&key.content, &unused) || unused != 0)
        return false;
    *ret_key = key.content;
    return true;
}

/* A positive INTEGER, without the octet that keeps it so. */
static bool take_number(struct bytes *in, struct bytes *ret)
{
    struct der number;
    if (!der_take(in, DER_INTEGER, &number) || number.content.n == 0 || number.content.p[0] & 0x80)
        return false;
    *ret = number.content;
    while (ret->n > 1 && ret->p[0] == 0)
        *ret = BYTES(ret->p + 1, ret->n - 1);
    return true;
}

static CK_RV parse_rsa(struct bytes key, struct buf *ret_modulus, struct buf *ret_exponent)
{
    struct der sequence;
    struct bytes n, e;
    if (!der_take(&key, DER_SEQUENCE, &sequence) || key.n || !take_number(&sequence.content, &n) ||
        !take_number(&sequence.content, &e) || sequence.content.n)
        return CKR_ATTRIBUTE_VALUE_INVALID;
    TRY(buf_reserve(ret_modulus, n.n));
    TRY(buf_bytes_append(ret_exponent, e));
    return buf_bytes_append(ret_modulus, n);
}

static CK_RV parse_ec(enum curve c, struct bytes key, struct buf *ret_point)
{
    if (key.n != curve_point_size(c) || (!curve_is_raw(c) && key.p[0] != 0x04))
        return CKR_ATTRIBUTE_VALUE_INVALID;
    return buf_bytes_append(ret_point, key);
}

CK_RV soft_spki_parse(struct bytes spki, enum curve *ret_curve, struct buf *ret_point,
                      struct buf *ret_modulus, struct buf *ret_exponent)
{
    struct bytes key;
    enum curve c;
    if (!take_apart(spki, &c, &key))
        return CKR_ATTRIBUTE_VALUE_INVALID;
    TRY(c == CURVE_NONE ? parse_rsa(key, ret_modulus, ret_exponent) : parse_ec(c, key, ret_point));
    *ret_curve = c;
    return CKR_OK;
}
