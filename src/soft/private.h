/* Private keys in software, for sealed keys and session objects. Their secrets lie in the secret
 * type only; numbers that an operation makes of them are wiped when it ends.
 *
 * A key is immutable and may be shared between threads. As with soft_key and soft_spki_parse,
 * CURVE_NONE is RSA. A key of another kind than the function is for: CKR_KEY_TYPE_INCONSISTENT. */
#ifndef SOFT_PRIVATE_H
#define SOFT_PRIVATE_H

#include "soft.h"

struct soft_private;

/* RSAPrivateKey's (RFC 8017, A.1.2) and PKCS#11's order: CKA_MODULUS … CKA_COEFFICIENT. */
enum rsa_number { RSA_N, RSA_E, RSA_D, RSA_P, RSA_Q, RSA_DP, RSA_DQ, RSA_QINV, RSA_NUMBERS };
enum { PRIVATE_RSA_BITS_MIN = 1024, PRIVATE_RSA_BITS_MAX = 8192 };

/* ---- making ---- */

/* bits: a multiple of 16, else CKR_KEY_SIZE_RANGE. exponent: big-endian, odd, from 3 to 64 bits
 * long, else CKR_ATTRIBUTE_VALUE_INVALID. FIPS 186-5, A.1.3. */
CK_RV soft_private_generate_rsa(size_t bits, struct bytes exponent, struct soft_private **ret);
/* c is not CURVE_NONE. */
CK_RV soft_private_generate(enum curve c, struct soft_private **ret);
/* Big-endian numbers; the primes may be missing (n = 0 bytes, or zero), and the last three. All
 * that is given must fit together: CKR_ATTRIBUTE_VALUE_INVALID, also for a length out of range. */
CK_RV soft_private_from_rsa(const struct bytes number[RSA_NUMBERS], struct soft_private **ret);
/* CKA_VALUE: the scalar (leading zeros may be missing), for Edwards and Montgomery curves the bytes
 * of RFC 8032 and 7748. CKR_ATTRIBUTE_VALUE_INVALID. */
CK_RV soft_private_from_value(enum curve c, struct bytes value, struct soft_private **ret);
/* From DER PrivateKeyInfo or OneAsymmetricKey (RFC 5958), with RSAPrivateKey (RFC 8017),
 * ECPrivateKey (RFC 5915) or CurvePrivateKey (RFC 8410); RSA's last five numbers may be zero. A
 * public key inside must be the right one. CKR_ATTRIBUTE_VALUE_INVALID. */
CK_RV soft_private_from_pkcs8(struct bytes der, struct soft_private **ret);
void soft_private_free(struct soft_private **k);

/* ---- parts, borrowed from the key ---- */

enum curve soft_private_curve(const struct soft_private *k);
const struct soft_key *soft_private_public(const struct soft_private *k);
/* RSA: without leading zeros; NO_BYTES for other keys. */
struct bytes soft_private_number(const struct soft_private *k, enum rsa_number which);
/* The scalar, as long as the order, or those bytes; NO_BYTES for RSA. */
struct bytes soft_private_value(const struct soft_private *k);
/* DER PrivateKeyInfo, as the openssl command writes it. */
CK_RV soft_private_to_pkcs8(const struct soft_private *k, struct secret *ret);

/* ---- for the store and for memory, where nobody else can write ---- */

/* PrivateKeyInfo; for Edwards and Montgomery keys OneAsymmetricKey (RFC 5958) with the public key,
 * which the other kinds have in their private part. */
CK_RV soft_private_to_stored(const struct soft_private *k, struct secret *ret);
/* From that, or from what soft_private_to_pkcs8 wrote, as soft_private_from_pkcs8, but who calls
 * knows that it is what was written: the parts are not made to prove again that they fit together,
 * which takes as long as a signature. CKR_ATTRIBUTE_VALUE_INVALID: it cannot be read. */
CK_RV soft_private_from_stored(struct bytes der, struct soft_private **ret);
/* A key of its own, with memory of its own that is wiped with it. */
CK_RV soft_private_copy(const struct soft_private *k, struct soft_private **ret);

/* ---- use ---- */

/* in^d mod n, as soft_rsa_public is in^e. Blinded, and verified with e before it goes out:
 * CKR_FUNCTION_FAILED should it be wrong. */
CK_RV soft_private_rsa(const struct soft_private *k, struct bytes in, uint8_t *ret);
/* r || s, each as long as the order; digest of 1 to 64 bytes, else CKR_DATA_LEN_RANGE. */
CK_RV soft_private_ecdsa(const struct soft_private *k, struct bytes digest, uint8_t *ret);
/* Z of ECDH, X25519 or X448. CKR_DOMAIN_PARAMS_INVALID: peer, a point as soft_key_ec wants it, is
 * not on the curve or gives a result of zeros by X25519 or X448. */
CK_RV soft_private_ecdh(const struct soft_private *k, struct bytes peer, struct secret *ret_z);
/* form: see soft_eddsa_verify; ret holds 64 bytes for Ed25519, 114 for Ed448. */
CK_RV soft_private_eddsa(const struct soft_private *k, const struct soft_eddsa *form,
                         struct bytes message, uint8_t *ret);

#endif
