/* Mechanisms: one row each in table.c, one file a family. What to hash, to pad, to send to the TPM,
 * to do in software. No state, no locks: rows are constant, calls carry all they need.
 *
 * A call answers, besides CKR_HOST_MEMORY and what src/tpm answers, the codes that PKCS#11 names
 * for the operation: CKR_DATA_LEN_RANGE, CKR_DATA_INVALID, CKR_ENCRYPTED_DATA_INVALID,
 * CKR_ENCRYPTED_DATA_LEN_RANGE, CKR_SIGNATURE_INVALID, CKR_SIGNATURE_LEN_RANGE. */
#ifndef MECH_MECH_H
#define MECH_MECH_H

#include <soft/soft.h>
#include <tpm/tpm.h>

/* A key as the families see it. Borrowed; public_ and curve/modulus_bits are always filled for key
 * pairs, tpm_key for private keys, value for secret keys. */
struct mech_key {
    CK_KEY_TYPE type;
    enum curve curve;
    size_t modulus_bits;
    struct bytes modulus; /* without leading zeros */
    const struct soft_key *public_;
    const struct tpm_key *tpm_key;
    struct bytes value;
};

/* A mechanism's parameter, read once at Init (the caller's memory may be gone afterwards). */
struct mech_params {
    enum hash hash, mgf;
    size_t salt;
    struct buf label;  /* OAEP source data */
    enum hash kdf;     /* ECDH: HASH_NONE is CKD_NULL */
    struct buf shared; /* ECDH: SharedInfo */
    struct buf peer;   /* ECDH: 04 || X || Y */
};
void mech_params_free(struct mech_params *p);

struct mech;

struct mech_call {
    const struct mech *mech;
    const struct mech_params *params;
    const struct mech_key *key;
    struct tpm *tpm;
};

/* What C_GenerateKeyPair asks for, and what came of it. */
struct mech_pair_wanted {
    struct tpm_parent parent;
    struct bytes auth;
    unsigned modulus_bits;
    uint32_t exponent;
    enum curve curve;
};

struct mech {
    CK_MECHANISM_TYPE type;
    CK_KEY_TYPE key_type; /* CK_UNAVAILABLE_INFORMATION: uses no key */
    CK_FLAGS flags;       /* CKF_SIGN …; CKF_HW where the TPM does the private-key step */
    enum hash hash;       /* applied to the data first; HASH_NONE: the data goes in as it is */
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
    /* want: length of the new key's value; 0: the mechanism's natural one */
    CK_RV (*derive)(const struct mech_call *call, size_t want, struct secret *ret);
    CK_RV(*generate_pair)
    (struct tpm *t, const struct mech_pair_wanted *wanted, struct tpm_key_made *ret);
};

/* The row, or NULL. */
const struct mech *mech_find(CK_MECHANISM_TYPE type);
/* All rows, for the list and the tests. */
const struct mech *mech_table(size_t *ret_n);
/* Does this TPM have what the mechanism needs? */
bool mech_available(const struct mech *m, const struct tpm_caps *caps);
void mech_info(const struct mech *m, const struct tpm_caps *caps, CK_MECHANISM_INFO *ret);
/* Length of a signature or a ciphertext; the most a plaintext can have. */
size_t mech_output_size(const struct mech *m, const struct mech_key *key);
enum hash mech_hash_of(CK_MECHANISM_TYPE digest); /* CKM_SHA256 → HASH_SHA256; else HASH_NONE */

#endif
