/* Cryptography in software, on OpenSSL in a private library context: digests, KDFs, ciphers,
 * padding, public-key operations, DER. The host's default context, its configuration, engines and
 * its thread's error queue are never touched: every function leaves the queue as it found it.
 *
 * State: the private context and the algorithms fetched from it, made by soft_start and read-only
 * until soft_stop; no lock is needed between the two, and every function below may be called from
 * any thread. After a fork the child calls soft_abandon (forgets, frees nothing), then soft_start.
 *
 * Errors: CKR_HOST_MEMORY; CKR_FUNCTION_FAILED where OpenSSL refuses what it should not; others are
 * named at the function. Output parameters (ret_…) are untouched on failure unless said; blocks of
 * plain bytes (uint8_t *ret) may then hold half a result. */
#ifndef SOFT_SOFT_H
#define SOFT_SOFT_H

#include <base/secret.h>

CK_RV soft_start(void);
void soft_stop(void);
void soft_abandon(void);

/* ---- digests ------------------------------------------------------------------------------- */

enum hash {
    HASH_NONE,
    HASH_SHA1,
    HASH_SHA224,
    HASH_SHA256,
    HASH_SHA384,
    HASH_SHA512,
    HASH_SHA3_224,
    HASH_SHA3_256,
    HASH_SHA3_384,
    HASH_SHA3_512,
    HASH_COUNT
};
enum { HASH_MAX = 64 };

size_t hash_size(enum hash h);       /* digest size in bytes; 0 for HASH_NONE */
size_t hash_block_size(enum hash h); /* HMAC block size in bytes */

/* The digest of the concatenated parts; ret holds hash_size(h) bytes. */
CK_RV soft_hash(enum hash h, const struct bytes *parts, size_t n_parts, uint8_t *ret);

/* The first n bytes of SHAKE256 (FIPS 202, 6.2) of the concatenated parts. */
CK_RV soft_shake256(const struct bytes *parts, size_t n_parts, uint8_t *ret, size_t n);

struct soft_digest; /* a digest under way */
CK_RV soft_digest_new(enum hash h, struct soft_digest **ret);
CK_RV soft_digest_update(struct soft_digest *d, struct bytes data);
CK_RV soft_digest_final(struct soft_digest *d, uint8_t *ret); /* d can then only be freed */
CK_RV soft_digest_copy(const struct soft_digest *d, struct soft_digest **ret);
void soft_digest_free(struct soft_digest **d);
/* Appends the state of a digest under way, in a form of our own that any process can read.
 * CKR_STATE_UNSAVEABLE: SHA-3, whose state OpenSSL does not show. Who digests secrets has a secret
 * in the state. */
CK_RV soft_digest_save(const struct soft_digest *d, struct buf *ret);
/* CKR_SAVED_STATE_INVALID: not such a state of a digest with h. */
CK_RV soft_digest_load(enum hash h, struct bytes saved, struct soft_digest **ret);

CK_RV soft_hmac(enum hash h, struct bytes key, const struct bytes *parts, size_t n_parts,
                uint8_t *ret);

/* ---- key derivation ------------------------------------------------------------------------ */

/* CKR_KEY_SIZE_RANGE: more than 255 digests. */
CK_RV soft_hkdf(enum hash h, struct bytes key, struct bytes salt, struct bytes info, uint8_t *ret,
                size_t n);
/* Its two halves (RFC 5869 2.2, 2.3). ret of the first holds hash_size(h) bytes. */
CK_RV soft_hkdf_extract(enum hash h, struct bytes key, struct bytes salt, uint8_t *ret);
CK_RV soft_hkdf_expand(enum hash h, struct bytes prk, struct bytes info, uint8_t *ret, size_t n);
/* CKR_ARGUMENTS_BAD: no rounds. */
CK_RV soft_pbkdf2(enum hash h, struct bytes password, struct bytes salt, uint32_t rounds,
                  uint8_t *ret, size_t n);
/* TPM 2.0 part 1, 11.4.10.2 (SP800-108 counter mode, label with its NUL, 32-bit counter and
 * length). CKR_ARGUMENTS_BAD: bits is no multiple of 8. */
CK_RV soft_kdfa(enum hash h, struct bytes key, const char *label, struct bytes context_u,
                struct bytes context_v, uint32_t bits, uint8_t *ret);
/* TPM 2.0 part 1, 11.4.10.3 (SP800-56A one-step: counter, Z, label with NUL, partyU, partyV).
 * CKR_ARGUMENTS_BAD as above. */
CK_RV soft_kdfe(enum hash h, struct bytes z, const char *label, struct bytes party_u,
                struct bytes party_v, uint32_t bits, uint8_t *ret);
/* ANSI X9.63 (PKCS#11 CKD_SHA*_KDF): H(Z || counter from 1 || shared) … to n bytes. */
CK_RV soft_x963_kdf(enum hash h, struct bytes z, struct bytes shared, uint8_t *ret, size_t n);

/* A pseudorandom function under one key: HMAC as below, or what the caller makes of a key that he
 * does not see. run may be given its output as input. */
struct soft_prf {
    size_t size; /* bytes of an output, HASH_MAX at most */
    CK_RV (*run)(const void *key, const struct bytes *parts, size_t n_parts, uint8_t *ret);
    const void *key;
    void *owned; /* by soft_prf_hmac */
};
CK_RV soft_prf_hmac(enum hash h, struct bytes key, struct soft_prf *ret);
void soft_prf_free(struct soft_prf *prf);

/* HKDF's second half under that key. */
CK_RV soft_prf_expand(const struct soft_prf *prf, struct bytes info, uint8_t *ret, size_t n);

/* SP800-108r1, 4.1 to 4.3. A field is a part of each call's input, in this order. */
enum kdf_mode { KDF_MODE_COUNTER, KDF_MODE_FEEDBACK, KDF_MODE_PIPELINE };
enum kdf_field_kind {
    KDF_COUNTER, /* from 1; 8, 16, 24 or 32 bits. Counter mode: exactly once; else at most once */
    KDF_CHAIN,   /* feedback: the last output; pipeline: A(i). Exactly once; not in counter mode */
    KDF_LENGTH,  /* 8 to 64 bits; at most once */
    KDF_BYTES
};
struct kdf_field {
    enum kdf_field_kind kind;
    unsigned bits; /* of a counter or length, a multiple of 8 */
    bool little_endian;
    uint64_t length; /* what a length field says: bits asked for */
    struct bytes bytes;
};
bool soft_sp800_108_valid(enum kdf_mode mode, const struct kdf_field *fields, size_t n_fields);
/* iv: feedback's first chaining value. CKR_MECHANISM_PARAM_INVALID: not valid as above;
 * CKR_KEY_SIZE_RANGE: the counter is too short for n, or a length field for its length. */
CK_RV soft_sp800_108(enum kdf_mode mode, const struct soft_prf *prf, const struct kdf_field *fields,
                     size_t n_fields, struct bytes iv, uint8_t *ret, size_t n);
/* RFC 5246, 5: P_hash(secret, label || seed); the seed comes in parts (client's and server's
 * random), four at most. CKR_ARGUMENTS_BAD: more. */
CK_RV soft_tls12_prf(enum hash h, struct bytes secret, struct bytes label, const struct bytes *seed,
                     size_t n_seed, uint8_t *ret, size_t n);

/* ---- ciphers and random -------------------------------------------------------------------- */

/* AES-128 in CFB mode (128-bit feedback), data in place; key and iv are 16 bytes each. */
CK_RV soft_aes_cfb(bool encrypt, const uint8_t *key, const uint8_t *iv, uint8_t *data, size_t n);

enum { GCM_IV = 12, GCM_TAG = 16 };
/* AES-256-GCM: appends iv (fresh, random) || ciphertext || tag to ret. key is 32 bytes. */
CK_RV soft_gcm_seal(const uint8_t *key, struct bytes aad, struct bytes plain, struct buf *ret);
/* The reverse. CKR_ENCRYPTED_DATA_INVALID when it was changed or the key or aad is another. */
CK_RV soft_gcm_open(const uint8_t *key, struct bytes aad, struct bytes sealed, struct secret *ret);

/* From the kernel, getrandom(2). */
CK_RV soft_random(uint8_t *ret, size_t n);

/* ---- curves -------------------------------------------------------------------------------- */

enum curve {
    CURVE_NONE,
    CURVE_P224,
    CURVE_P256,
    CURVE_P384,
    CURVE_P521,
    CURVE_SECP256K1, /* from here on none that a TPM has */
    CURVE_BRAINPOOL256,
    CURVE_BRAINPOOL384,
    CURVE_BRAINPOOL512,
    CURVE_COUNT, /* the curves above are for ECDSA and ECDH; those below have their own ways */
    CURVE_ED25519 = CURVE_COUNT,
    CURVE_X25519,
    CURVE_ED448,
    CURVE_X448,
    CURVE_END
};

bool curve_is_edwards(enum curve c);    /* Ed25519, Ed448 */
bool curve_is_montgomery(enum curve c); /* X25519, X448 */
/* Bytes of a coordinate: 28, 32, 48, 66 … 32, 56; of an Edwards curve with its sign: 32, 57. */
size_t curve_field_size(enum curve c);
size_t curve_bits(enum curve c);      /* 224, 256, 384, 521, 255, 448 */
const char *curve_name(enum curve c); /* "P-256" */
struct bytes curve_oid(enum curve c); /* CKA_EC_PARAMS: the DER of its OBJECT IDENTIFIER */
/* From CKA_EC_PARAMS: namedCurve OID, or PrintableString with the curve's name ("secp256r1",
 * "P-256"; 3.0, 2.3.3). CURVE_NONE when it is none of those or not well-formed. */
enum curve curve_from_params(struct bytes der);
/* The same for CKK_EC_EDWARDS and CKK_EC_MONTGOMERY: the OIDs of RFC 8410, or "edwards25519",
 * "curve25519", "edwards448", "curve448" (3.0, 2.3.5 and 2.3.6). */
enum curve curve_from_params_edwards(struct bytes der);
enum curve curve_from_params_montgomery(struct bytes der);

/* ---- public keys --------------------------------------------------------------------------- */

struct soft_key; /* an RSA, EC, Edwards or Montgomery public key; immutable, may be shared between
                    threads */

/* Big-endian unsigned integers. CKR_ATTRIBUTE_VALUE_INVALID: even, of less than 512 or more than
 * 16,384 bits, or with an exponent that is 1, not below the modulus or, beside a modulus of more
 * than 3,072 bits, longer than 64. */
CK_RV soft_key_rsa(struct bytes modulus, struct bytes exponent, struct soft_key **ret);
/* point: uncompressed (04 || X || Y) without DER wrapping; Edwards and Montgomery curves: the
 * bytes of RFC 8032 and 7748. Off the curve, at infinity or of a wrong length:
 * CKR_ATTRIBUTE_VALUE_INVALID. */
CK_RV soft_key_ec(enum curve c, struct bytes point, struct soft_key **ret);
void soft_key_free(struct soft_key **k);
/* Appends that point. CKR_KEY_TYPE_INCONSISTENT: an RSA key. */
CK_RV soft_key_point(const struct soft_key *k, struct buf *ret);
/* Appends the DER SubjectPublicKeyInfo (CKA_PUBLIC_KEY_INFO). */
CK_RV soft_key_spki(const struct soft_key *k, struct buf *ret);
/* The inverse: exactly one of (modulus, exponent) and (curve, point) is filled, *ret_curve being
 * CURVE_NONE for RSA. CKR_ATTRIBUTE_VALUE_INVALID for anything else. */
CK_RV soft_spki_parse(struct bytes spki, enum curve *ret_curve, struct buf *ret_point,
                      struct buf *ret_modulus, struct buf *ret_exponent);

/* Verification answers CKR_OK, CKR_SIGNATURE_INVALID, or CKR_SIGNATURE_LEN_RANGE when sig is not as
 * long as the modulus (RSA) or twice the order (EC), CKR_KEY_TYPE_INCONSISTENT for another kind of
 * curve. What could not have been signed answers as the padding below would: CKR_DATA_LEN_RANGE,
 * CKR_KEY_SIZE_RANGE. */
/* PKCS#1 v1.5 over `encoded`, the T of RFC 8017 9.2: a DigestInfo, or CKM_RSA_PKCS's data. */
CK_RV soft_rsa_verify_pkcs1(const struct soft_key *k, struct bytes encoded, struct bytes sig);
CK_RV soft_rsa_verify_pss(const struct soft_key *k, enum hash h, enum hash mgf, size_t salt,
                          struct bytes digest, struct bytes sig);
/* r || s, each as long as the order; digest of 1 to 64 bytes (truncated as X9.62 says). */
CK_RV soft_ecdsa_verify(const struct soft_key *k, struct bytes digest, struct bytes sig);
/* CK_EDDSA_PARAMS: NULL is Ed25519, otherwise Ed25519ph with prehash, else Ed25519ctx (RFC 8032,
 * 5.1); NULL is Ed448 with an empty context, otherwise Ed448ph with prehash, else Ed448 (5.2).
 * CKR_MECHANISM_PARAM_INVALID: a context of more than 255 bytes. */
struct soft_eddsa {
    bool prehash;
    struct bytes context;
};
CK_RV soft_eddsa_verify(const struct soft_key *k, const struct soft_eddsa *form,
                        struct bytes message, struct bytes sig);
/* in^e mod n; in is padded on the left to the modulus' length; ret holds that length.
 * CKR_DATA_LEN_RANGE: longer than it; CKR_DATA_INVALID: not below n. */
CK_RV soft_rsa_public(const struct soft_key *k, struct bytes in, uint8_t *ret);
/* Encryption; ret holds the modulus' length. CKR_DATA_LEN_RANGE: plain too long for the padding. */
CK_RV soft_rsa_encrypt_pkcs1(const struct soft_key *k, struct bytes plain, uint8_t *ret);
CK_RV soft_rsa_encrypt_oaep(const struct soft_key *k, enum hash h, enum hash mgf,
                            struct bytes label, struct bytes plain, uint8_t *ret);

/* ---- padding for the private-key operation the TPM does ------------------------------------ */

/* Appends the DER DigestInfo of a digest (RFC 8017 9.2 step 2), SHA-1 to SHA-512 and SHA-3. */
CK_RV soft_digest_info(enum hash h, struct bytes digest, struct buf *ret);
/* EMSA-PKCS1-v1_5 of `encoded` into k bytes. CKR_DATA_LEN_RANGE when it does not fit (k - 11). */
CK_RV soft_pad_pkcs1(struct bytes encoded, uint8_t *ret, size_t k);
/* EMSA-PSS (RFC 8017 9.1.1) with a random salt for a modulus of `modulus_bits` bits; ret holds
 * (modulus_bits + 7) / 8 bytes, the value padded on the left. CKR_DATA_LEN_RANGE: digest is not
 * hash_size(h) long; CKR_KEY_SIZE_RANGE: hash and salt do not fit the modulus. */
CK_RV soft_pad_pss(enum hash h, enum hash mgf, size_t salt, struct bytes digest,
                   size_t modulus_bits, uint8_t *ret);
/* Removes encryption padding in constant time. ret has room for block.n bytes; *ret_n is the plain
 * text's length. CKR_ENCRYPTED_DATA_INVALID for bad padding. */
CK_RV soft_unpad_pkcs1(struct bytes block, uint8_t *ret, size_t *ret_n);
CK_RV soft_unpad_oaep(enum hash h, enum hash mgf, struct bytes label, struct bytes block,
                      uint8_t *ret, size_t *ret_n);

/* ---- keys of our own for a moment ---------------------------------------------------------- */

/* An ephemeral key on c and its ECDH with peer (uncompressed point): Appends own point
 * (04 || X || Y) to ret_point; ret_z is the X coordinate, curve_field_size long.
 * CKR_DOMAIN_PARAMS_INVALID: peer is not on the curve. */
CK_RV soft_ecdh_ephemeral(enum curve c, struct bytes peer, struct buf *ret_point,
                          struct secret *ret_z);
/* A P-256 key pair whose private scalar is derived from 48 secret bytes (d = seed mod (n-1) + 1).
 * Writes the public point, 04 || X || Y, 65 bytes. */
CK_RV soft_p256_public_from_seed(struct bytes seed48, uint8_t *ret_point65);
/* ECDSA of a 32-byte digest with that key: r || s, 64 bytes. */
CK_RV soft_p256_sign_with_seed(struct bytes seed48, struct bytes digest32, uint8_t *ret_sig64);

/* ---- DER and certificates ------------------------------------------------------------------ */

/* Appends content wrapped as a DER OCTET STRING (CKA_EC_POINT). */
CK_RV soft_octet_string(struct bytes content, struct buf *ret);
/* The content of a DER OCTET STRING that fills der wholly; false otherwise. */
bool soft_octet_string_parse(struct bytes der, struct bytes *ret);
/* The DER SEQUENCE that in begins with, whole; false when it begins with none. */
bool soft_sequence_first(struct bytes in, struct bytes *ret);
/* The parts of an X.509 certificate that PKCS#11 makes attributes of: DER subject, issuer, serial
 * number (INTEGER), SubjectPublicKeyInfo; validity as CK_DATE. The signature is not verified.
 * CKR_ATTRIBUTE_VALUE_INVALID: der is not one certificate. */
struct soft_certificate {
    struct buf subject, issuer, serial, spki;
    CK_DATE start, end;
};
CK_RV soft_certificate_parse(struct bytes der, struct soft_certificate *ret);
void soft_certificate_free(struct soft_certificate *c);

#endif
