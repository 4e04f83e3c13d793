/* Mechanisms: one row each in table.c, one file a family. What to hash, to pad, to send to the TPM,
 * to do in software. No state, no locks: rows are constant, calls carry all they need.
 *
 * A call answers, besides CKR_HOST_MEMORY and what src/tpm answers, the codes that PKCS#11 names
 * for the operation: CKR_DATA_LEN_RANGE, CKR_DATA_INVALID, CKR_ENCRYPTED_DATA_INVALID,
 * CKR_ENCRYPTED_DATA_LEN_RANGE, CKR_SIGNATURE_INVALID, CKR_SIGNATURE_LEN_RANGE. */
#ifndef MECH_MECH_H
#define MECH_MECH_H

#include <soft/aes.h>
#include <soft/private.h>
#include <soft/soft.h>
#include <tpm/tpm.h>

/* A key as the families see it. Borrowed. curve or modulus is always filled for key pairs. Where an
 * operation needs the secret part, exactly one of the last three is there: where the key lives, and
 * with it whether the TPM does the work, is decided by which. */
struct mech_key {
    CK_KEY_TYPE type;
    enum curve curve;
    size_t modulus_bits;
    struct bytes modulus; /* without leading zeros */
    const struct soft_key *public_;
    const struct tpm_key *tpm_key;       /* private and secret keys in the TPM */
    const struct soft_private *private_; /* private keys in software */
    struct bytes value;                  /* secret keys in software */
};

enum { MECH_FIELDS = 32, MECH_EXTRA_KEYS = 16, MECH_ATTRIBUTES_MAX = 4096 };

/* A key that a derivation makes beside the one that C_DeriveKey returns (SP800-108's additional
 * keys). Borrowed from the caller for the length of the call. */
struct mech_extra_key {
    const CK_ATTRIBUTE *template;
    CK_ULONG n;
    CK_OBJECT_HANDLE *ret; /* wherever it lies: to be written by memcpy */
};

/* The parameter of a derivation. */
struct mech_derivation {
    enum hash prf;          /* HASH_NONE with SP800-108: AES-CMAC */
    bool extract, expand;   /* HKDF */
    struct buf salt;        /* HKDF, PBKDF2 */
    struct buf data;        /* HKDF info, what is concatenated or xored, TLS label */
    struct buf seed;        /* TLS: what the PRF takes after the label; feedback mode: its IV */
    struct secret password; /* PBKDF2 */
    uint32_t rounds;        /* PBKDF2 */
    size_t offset;          /* EXTRACT_KEY_FROM_KEY: bits */
    /* A second key that the parameter names, 0: none. What is concatenated, HKDF's salt, a part of
     * SP800-108's input. */
    CK_OBJECT_HANDLE other;
    /* SP800-108. The bytes lie in data; a field of no bytes is the other key's value. */
    enum kdf_mode mode;
    struct kdf_field field[MECH_FIELDS];
    size_t n_fields;
    bool whole_segments; /* the length field counts all that the PRF gives, not what is used */
    struct mech_extra_key extra[MECH_EXTRA_KEYS];
    size_t n_extra;
    /* TLS 1.2 key and MAC: bits of each MAC secret and key, bytes of each IV, and where the results
     * go, a CK_SSL3_KEY_MAT_OUT wherever it lies (NULL: another derivation). The value is the key
     * block of RFC 5246, 6.3: MAC secrets, keys, IVs, the client's before the server's. */
    size_t mac_bits, key_bits, iv_n;
    CK_SSL3_KEY_MAT_OUT *material;
    CK_VERSION *version; /* TLS master key: where derive puts the premaster secret's version */
};

/* A mechanism's parameter, read once at Init (the caller's memory may be gone afterwards, but for
 * what a derivation writes to). */
struct mech_params {
    enum hash hash, mgf;
    size_t salt;
    struct buf label;      /* OAEP source data, EdDSA context */
    enum hash kdf;         /* ECDH: HASH_NONE is CKD_NULL */
    struct buf shared;     /* ECDH: SharedInfo */
    struct buf peer;       /* ECDH: 04 || X || Y */
    bool flagged, prehash; /* EdDSA: CK_EDDSA_PARAMS was given; its phFlag */
    struct buf iv;         /* AES: IV, nonce, or CTR's first counter block */
    struct buf aad;        /* GCM, CCM */
    unsigned counter_bits; /* CTR */
    size_t
        data_n; /* CCM: how long the data will be. C_WrapKey and C_UnwrapKey set it (3.2, 6.13.6) */
    size_t mac_n;      /* bytes of a tag, or of a _GENERAL mechanism's MAC; 0: the natural length */
    unsigned key_bits; /* RSA_AES_KEY_WRAP */
    struct mech_derivation derivation;
};
void mech_params_free(struct mech_params *p);

struct mech;

struct mech_call {
    const struct mech *mech;
    const struct mech_params *params;
    const struct mech_key *key;
    struct bytes other;    /* the value of params->derivation.other */
    bool kept;             /* key or other is sensitive, or not extractable */
    const size_t *extra_n; /* bytes of each of params->derivation.extra */
    struct tpm *tpm;
};

/* ---- operations in parts ------------------------------------------------------------------- */

/* What a family keeps from one call to the next. */
struct mech_stream {
    bool encrypt;
    bool gather; /* all input comes at once: what does not fill a TPM command waits for the end */
    struct secret state;        /* the family's own struct: chaining values, subkeys */
    struct soft_digest *digest; /* HMAC in software */
    struct buf pending;         /* input that waits for a whole block or command, or the end */
};
void mech_stream_free(struct mech_stream *s);

/* A cipher. start comes before all, with s->encrypt set; it may ask the TPM. CKR_DATA_LEN_RANGE,
 * CKR_ENCRYPTED_DATA_LEN_RANGE, CKR_ENCRYPTED_DATA_INVALID as PKCS#11 names them. */
struct mech_cipher {
    /* The most that the next n bytes bring out, with what the end brings after them when final is
     * set. Where exact(s) it is what they bring. */
    size_t (*most)(const struct mech_call *call, const struct mech_stream *s, size_t n, bool final);
    bool (*exact)(const struct mech_stream *s);
    CK_RV (*start)(const struct mech_call *call, struct mech_stream *s);
    /* out may be in.p, and has room for most(…, false). */
    CK_RV(*update)
    (const struct mech_call *call, struct mech_stream *s, struct bytes in, uint8_t *out,
     size_t *ret_n);
    /* Leaves s as it is, so that it can be called again when the caller's buffer was too small. */
    CK_RV(*final)
    (const struct mech_call *call, const struct mech_stream *s, uint8_t *out, size_t *ret_n);
};

/* A MAC. ret of final holds mech_output_size bytes; s can then only be freed. */
struct mech_mac {
    CK_RV (*start)(const struct mech_call *call, struct mech_stream *s);
    CK_RV (*update)(const struct mech_call *call, struct mech_stream *s, struct bytes in);
    CK_RV (*final)(const struct mech_call *call, struct mech_stream *s, uint8_t *ret);
};

/* One message of C_EncryptMessage and its like: where its parts are in the caller's memory. */
struct mech_message {
    uint8_t *iv; /* goes in; generated ones come out */
    size_t iv_n, fixed_bits;
    CK_ULONG generator; /* CKG_… */
    uint8_t *tag;       /* NULL: it is behind the data (wrap_message) */
    size_t tag_n;
    size_t data_n;    /* CCM */
    struct bytes aad; /* wrap_message */
};

/* What C_GenerateKeyPair asks for, and what came of it. */
struct mech_pair_wanted {
    struct tpm_parent parent;
    struct bytes auth;
    unsigned modulus_bits;
    struct bytes exponent; /* big-endian, without leading zeros */
    enum curve curve;
};

/* What stands for several key types in a row. */
#define MECH_ANY_SECRET ((CK_KEY_TYPE)CK_UNAVAILABLE_INFORMATION - 1) /* every secret key */
#define MECH_HMAC_KEY                                                                              \
    ((CK_KEY_TYPE)CK_UNAVAILABLE_INFORMATION - 2) /* generic or this hash's HMAC */
#define MECH_HKDF_KEY ((CK_KEY_TYPE)CK_UNAVAILABLE_INFORMATION - 3) /* generic or CKK_HKDF */

/* Bits of the longest RSA key that is made: longer ones take minutes. */
enum { MECH_RSA_MADE_MAX = 4096 };
/* Bytes of the longest generic or HMAC key that is made. */
enum { MECH_SECRET_MAX = 32768 };

struct mech {
    CK_MECHANISM_TYPE type;
    CK_KEY_TYPE key_type; /* CK_UNAVAILABLE_INFORMATION: uses no key */
    CK_FLAGS flags;       /* CKF_SIGN …; CKF_HW where the TPM does the private-key step */
    enum hash hash;       /* applied to the data first; HASH_NONE: the data goes in as it is */
    enum hash mac_hash;   /* of an HMAC */
    /* of a derivation: it gives a data object; what it gives shows the base key's bytes, so that it
     * must be kept as that is; it is as sensitive and extractable as that, unless the template says
     * otherwise; the same, and the template may not */
    bool gives_data, glues, like_base, as_base;
    struct bytes allowed; /* CKA_ALLOWED_MECHANISMS of what it gives, unless the template says */
    enum aes_mode mode;   /* of an AES cipher */
    /* of wrapping: of secret keys only; what is unwrapped has the key at its end, after zeros */
    bool secret_only, raw_block;
    size_t wrap_block; /* C_WrapKey pads the key's value with zeros to a multiple; 0: to none */
    size_t filled;     /* what others wrap may be so, where we do not */
    /* key: NULL where the mechanism uses none */
    CK_RV(*params)
    (const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
     struct mech_params *ret);
    /* in: the digest where hash is set, else the data. ret: mech_output_size bytes. */
    CK_RV (*sign)(const struct mech_call *call, struct bytes in, uint8_t *ret);
    CK_RV (*verify)(const struct mech_call *call, struct bytes in, struct bytes signature);
    /* What a signature was made of (C_VerifyRecover); CKR_SIGNATURE_INVALID. */
    CK_RV (*recover)(const struct mech_call *call, struct bytes signature, struct secret *ret);
    CK_RV (*encrypt)(const struct mech_call *call, struct bytes in, uint8_t *ret);
    CK_RV (*decrypt)(const struct mech_call *call, struct bytes in, struct secret *ret);
    /* want: length of the new key's value, of all keys' values (which then lie end to end) where
     * there are several; 0: the mechanism's natural one. CKR_TEMPLATE_INCOMPLETE: it has none;
     * CKR_KEY_SIZE_RANGE: it cannot give that many, or not from that base key;
     * CKR_KEY_FUNCTION_NOT_PERMITTED: not with a base key in the TPM; CKR_MECHANISM_PARAM_INVALID;
     * CKR_KEY_TYPE_INCONSISTENT. */
    CK_RV (*derive)(const struct mech_call *call, size_t want, struct secret *ret);
    CK_RV(*generate_pair)
    (struct tpm *t, const struct mech_pair_wanted *wanted, struct tpm_key_made *ret);
    CK_RV (*generate_soft)(const struct mech_pair_wanted *wanted, struct soft_private **ret);
    /* 3.2: a secret for the holder of key, and what that holder needs for it; decapsulation is
     * derive with the ciphertext for params->peer. want as above. */
    CK_RV(*encapsulate)
    (const struct mech_call *call, size_t want, struct buf *ret_ciphertext, struct secret *ret);
    /* The value of a new secret key that is not simply random (PBKDF2); want as above. */
    CK_RV (*generate)(const struct mech_call *call, size_t want, struct secret *ret);
    const struct mech_cipher
        *cipher;                /* encrypts and decrypts in parts; then encrypt, decrypt NULL */
    const struct mech_mac *mac; /* signs and verifies in parts; then sign, verify NULL */
    /* Reads the parameter of one message; with parameter NULL, that of the init alone, ret stays as
     * it is. The caller sets aad, and judges generator and fixed_bits, which decryption ignores.
     * CKR_MECHANISM_PARAM_INVALID. */
    CK_RV(*message)
    (const struct mech *m, void *parameter, CK_ULONG n, struct mech_message *ret);
    /* The same for the parameter that C_WrapKey and C_UnwrapKey may have instead of the ordinary
     * one; wrap_n: its size, which tells the two apart. */
    CK_RV(*wrap_message)
    (const struct mech *m, void *parameter, CK_ULONG n, struct mech_message *ret);
    size_t wrap_n;
};

/* CKK_SHA256_HMAC → HASH_SHA256; HASH_NONE for other key types. */
enum hash mech_hmac_hash(CK_KEY_TYPE type);
/* Does it use a secret key, not one half of a pair? */
bool mech_symmetric(const struct mech *m);
/* Does the mechanism take a key of that type? */
bool mech_takes_key(const struct mech *m, CK_KEY_TYPE type);

/* The row, or NULL. */
const struct mech *mech_find(CK_MECHANISM_TYPE type);
/* All rows, for the list and the tests. */
const struct mech *mech_table(size_t *ret_n);
/* CKF_HW is told only where this TPM has such keys. */
void mech_info(const struct mech *m, const struct tpm_caps *caps, CK_MECHANISM_INFO *ret);
/* Length of a signature, MAC or ciphertext; the most a plaintext can have. Not for ciphers in
 * parts.
 */
size_t mech_output_size(const struct mech *m, const struct mech_params *params,
                        const struct mech_key *key);
enum hash mech_hash_of(CK_MECHANISM_TYPE digest); /* CKM_SHA256 → HASH_SHA256; else HASH_NONE */

#endif
