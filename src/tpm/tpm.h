/* The TPM port: what the token needs of a TPM 2.0, and nothing of how it is said.
 *
 * A struct tpm is one connection with its resident keys and session. Its one mutex guards all of
 * it and is a leaf: taken by each function below for the length of the call, nothing else is taken
 * under it (the lock file of a TPM without resource manager is held within). The connection is made
 * by the first function that needs it.
 *
 * Authorization values are at most 32 bytes. Errors, all logged here once: CKR_DEVICE_ERROR (no
 * TPM, I/O, an answer that makes no sense, lockout where no PIN is concerned), CKR_DEVICE_MEMORY
 * (slots or NV taken), CKR_HOST_MEMORY; others are named at the function. Outputs are untouched on
 * failure. */
#ifndef TPM_TPM_H
#define TPM_TPM_H

#include <base/config.h>
#include <base/secret.h>
#include <soft/soft.h>

struct tpm;

enum { TPM_AUTH = 32, TPM_SECRET = 32 };

/* config is borrowed for the life of the struct. */
CK_RV tpm_new(const struct config *config, struct tpm **ret);
/* Flushes what is resident and disconnects. */
void tpm_free(struct tpm **t);
/* For pthread_atfork: waits a little for the command under way, so that the child inherits no
 * connection in the middle of one. */
void tpm_before_fork(struct tpm *t);
void tpm_after_fork_parent(struct tpm *t);
/* In a forked child: closes descriptors, sends no byte, frees nothing that the parent's TCTI owns.
 */
void tpm_abandon(struct tpm **t);

/* ---- what it is ---------------------------------------------------------------------------- */

/* What the mechanism table asks of a TPM; a plain value, kept with the store as bytes. */
struct tpm_caps {
    uint32_t rsa_sizes;   /* bit i: 1024 * (i + 1) bits */
    uint32_t aes_sizes;   /* bit i: 128 + 64 * i bits */
    uint32_t curves;      /* bit i: enum curve i */
    uint32_t hashes;      /* bit i: enum hash i (for signatures by TPM2_Sign) */
    char manufacturer[5]; /* four characters of TPM_PT_MANUFACTURER */
    uint32_t firmware[2];
};
CK_RV tpm_get_caps(struct tpm *t, struct tpm_caps *ret);
CK_RV tpm_caps_pack(const struct tpm_caps *caps, struct buf *ret);
bool tpm_caps_unpack(struct bytes packed, struct tpm_caps *ret);

/* Dictionary-attack state; one GetCapability (TPM 2.0 part 2, 6.13). */
struct tpm_lockout {
    bool in_lockout, auth_set;
    uint32_t counter, max_tries;
    uint32_t interval; /* seconds until one failure is forgiven */
    uint32_t recovery; /* seconds after a wrong lockoutAuth */
};
CK_RV tpm_get_lockout(struct tpm *t, struct tpm_lockout *ret);

struct tpm_identity {
    char tcti[256];
    char manufacturer[8], vendor[32], spec[32];
    uint32_t firmware[2];
    bool managed;   /* behind a resource manager */
    bool simulator; /* vendor string of a software TPM */
    uint32_t nv_indices;
};
CK_RV tpm_get_identity(struct tpm *t, struct tpm_identity *ret);

/* Sets the lockoutAuth from old to new code (both hashed to 32 bytes; empty: the empty
 * authorization), proves the new one, then sets the parameters with it. CKR_PIN_INCORRECT: old is
 * not the present one. */
CK_RV tpm_harden(struct tpm *t, struct bytes old_code, struct bytes new_code, uint32_t max_tries,
                 uint32_t interval, uint32_t recovery);
/* TPM2_DictionaryAttackLockReset. CKR_PIN_INCORRECT, CKR_PIN_LOCKED (a wrong code was given within
 * the recovery time). */
CK_RV tpm_unlock(struct tpm *t, struct bytes code);

/* TPM2_StirRandom; at most 128 bytes. */
CK_RV tpm_stir(struct tpm *t, struct bytes seed);
/* n random bytes: TPM2_GetRandom's, mixed with OpenSSL's. */
CK_RV tpm_random(struct tpm *t, uint8_t *ret, size_t n);

/* ---- the parent of all keys ---------------------------------------------------------------- */

/* A storage key: persistent (handle), or a transient primary, made again whenever it is needed; its
 * handle is then a number below 16: 0 latchkey's own, of the TCG's ECC P-256 template, the others
 * those of other programs' keys. pub is its TPM2B_PUBLIC, marshalled. */
struct tpm_parent {
    uint32_t handle;
    struct bytes name, pub;
};
struct tpm_parent_owned {
    uint32_t handle;
    struct buf name, pub;
};
void tpm_parent_free(struct tpm_parent_owned *p);
/* The SRK: 0x81000001 when it is a proper storage key; else made there, when the owner
 * authorization allows; else a transient primary. CKR_DEVICE_ERROR when srk-name says another. */
CK_RV tpm_find_parent(struct tpm *t, struct tpm_parent_owned *ret);
/* What is at 0x81000001, as it is; handle 0 when nothing is. Makes nothing. */
CK_RV tpm_read_srk(struct tpm *t, struct tpm_parent_owned *ret);
/* Is the parent that the store names the one of this TPM? CKR_OK, or CKR_TOKEN_NOT_RECOGNIZED when
 * the TPM was cleared or is another one. */
CK_RV tpm_check_parent(struct tpm *t, const struct tpm_parent *parent);

/* ---- seats: where a PIN opens the token secret --------------------------------------------- */

/* One role's seat as the store keeps it. nv 0: sealed object pub/priv. */
struct tpm_seat {
    uint32_t nv;
    struct bytes name;      /* of the NV index, once written */
    struct bytes pub, priv; /* of the sealed object, marshalled TPM2Bs */
};
struct tpm_seat_owned {
    uint32_t nv;
    struct buf name, pub, priv;
};
void tpm_seat_free(struct tpm_seat_owned *s);

/* A random handle of latchkey's range that the TPM does not have defined. */
CK_RV tpm_nv_pick(struct tpm *t, uint32_t *ret);
/* Defines the index, writes the secret, write-locks it, reads it back. reset_seed: 48 bytes that
 * the key of the policy's signed branch is derived from. CKR_FUNCTION_REJECTED: the handle is taken
 * (pick another); CKR_ACTION_PROHIBITED: the owner authorization is another. no_da: outside
 * dictionary-attack protection. */
CK_RV tpm_seat_define(struct tpm *t, const struct tpm_parent *parent, uint32_t nv, bool no_da,
                      struct bytes auth, struct bytes secret, struct bytes reset_seed,
                      struct tpm_seat_owned *ret);
/* The other storage: a sealed object under the parent. */
CK_RV tpm_seat_seal(struct tpm *t, const struct tpm_parent *parent, bool no_da, struct bytes auth,
                    struct bytes secret, struct tpm_seat_owned *ret);
/* Reads the secret. CKR_PIN_INCORRECT only for a wrong auth, CKR_PIN_LOCKED only for a lockout;
 * CKR_TOKEN_NOT_RECOGNIZED: the index is gone, or another's, or the parent is another TPM's. */
CK_RV tpm_seat_open(struct tpm *t, const struct tpm_parent *parent, const struct tpm_seat *seat,
                    struct bytes auth, struct secret *ret);
/* Are the parent and the seat in this TPM, as the store names them? Asks without a PIN, so what it
 * says is not proven. CKR_TOKEN_NOT_RECOGNIZED. */
CK_RV tpm_check_seat(struct tpm *t, const struct tpm_parent *parent, const struct tpm_seat *seat);
/* Another auth for an NV seat, by the old one: dead at once, with every copy of the store. (A
 * sealed seat is sealed anew with tpm_seat_seal.) */
CK_RV tpm_seat_change(struct tpm *t, const struct tpm_parent *parent, const struct tpm_seat *seat,
                      struct bytes auth, struct bytes reset_seed, struct bytes new_auth);
/* Another auth for an NV seat by the signed branch, without the old one, also during a lockout. */
CK_RV tpm_seat_reset(struct tpm *t, const struct tpm_parent *parent, const struct tpm_seat *seat,
                     struct bytes reset_seed, struct bytes new_auth);
/* Undefines an index with the owner authorization. name non-empty: only when it is still that one
 * (or never was written and nobody else's). CKR_OK also when it is not there. */
CK_RV tpm_nv_undefine(struct tpm *t, uint32_t nv, struct bytes name);
/* Handles of latchkey's range that the TPM has defined; *ret is malloced. */
CK_RV tpm_nv_list(struct tpm *t, uint32_t **ret, size_t *ret_n);

/* ---- a limit of one token's PIN tries: limit.c ----------------------------------------------- */

struct tpm_index {
    uint32_t nv;
    struct bytes name; /* once written */
};

/* Two gates count the tries; between changes of the PIN one of them is open. Who passes it reads
 * the pepper, without which no PIN leads to the seat's authorization. */
enum { TPM_GATES = 2, TPM_PEPPER = TPM_GATES, TPM_LIMIT_INDICES };
struct tpm_limit {
    struct tpm_index index[TPM_LIMIT_INDICES];
    uint32_t tries; /* how many are allowed, where the gates do not tell */
};
struct tpm_limit_owned {
    uint32_t nv[TPM_LIMIT_INDICES]; /* 0: not defined */
    struct buf name[TPM_LIMIT_INDICES];
};
void tpm_limit_free(struct tpm_limit_owned *l);

/* Defines the three with both gates closed: nobody passes before tpm_limit_change. seed: the seat's
 * reset_seed. Errors as tpm_seat_define; what is defined by then, as *ret tells also on failure, is
 * the caller's to undefine. */
CK_RV tpm_limit_define(struct tpm *t, const struct tpm_parent *parent,
                       const uint32_t nv[TPM_LIMIT_INDICES], struct bytes seed,
                       struct tpm_limit_owned *ret);
/* tpm_seat_open, through a gate. CKR_PIN_LOCKED also when no try is left. *ret_unsettled: a change
 * of the PIN was cut off, and the other gate is open, too. */
CK_RV tpm_limit_open(struct tpm *t, const struct tpm_parent *parent, const struct tpm_seat *seat,
                     const struct tpm_limit *limit, struct bytes auth, bool *ret_unsettled,
                     struct secret *ret);
/* Closes the other gate than the one that auth, which opens the seat, goes through. */
CK_RV tpm_limit_settle(struct tpm *t, const struct tpm_parent *parent, const struct tpm_seat *seat,
                       const struct tpm_limit *limit, struct bytes auth, struct bytes seed);
/* Another auth, by signed branches alone, and all tries again. Cut off at any point it leaves a
 * settled seat with exactly one of the old auth and the new. */
CK_RV tpm_limit_change(struct tpm *t, const struct tpm_parent *parent, const struct tpm_seat *seat,
                       const struct tpm_limit *limit, struct bytes seed, struct bytes new_auth);
/* How many tries are allowed and how many are left, read with the owner authorization; *ret_most 0:
 * no gate is open. CKR_ACTION_PROHIBITED: the owner authorization is another. */
CK_RV tpm_limit_read(struct tpm *t, const struct tpm_limit *limit, uint32_t *ret_most,
                     uint32_t *ret_left);

/* ---- keys ---------------------------------------------------------------------------------- */

/* A key as the store keeps it, with its authorization; all borrowed. */
struct tpm_key {
    struct tpm_parent parent;
    struct bytes pub, priv; /* marshalled TPM2B_PUBLIC, TPM2B_PRIVATE */
    struct bytes auth;
};

struct tpm_key_made {
    struct buf pub, priv;
    struct buf modulus, exponent; /* RSA */
    struct buf point;             /* EC: 04 || X || Y */
};
void tpm_key_made_free(struct tpm_key_made *k);

/* New keys: fixedTPM, fixedParent, sensitiveDataOrigin, userWithAuth, noDA, sign and decrypt, no
 * scheme. CKR_KEY_SIZE_RANGE, CKR_CURVE_NOT_SUPPORTED. exponent 0: 65537. */
CK_RV tpm_make_rsa(struct tpm *t, const struct tpm_parent *parent, struct bytes auth, unsigned bits,
                   uint32_t exponent, struct tpm_key_made *ret);
CK_RV tpm_make_ec(struct tpm *t, const struct tpm_parent *parent, struct bytes auth, enum curve c,
                  struct tpm_key_made *ret);

/* in^d mod n by TPM2_RSA_Decrypt without scheme; in and ret are as long as the modulus, in is below
 * it: the caller looks. */
CK_RV tpm_rsa_private(struct tpm *t, const struct tpm_key *key, struct bytes in,
                      struct secret *ret);
/* ECDSA of a digest already cut to the order's length; ret: r || s, 2 * curve_field_size(c). */
CK_RV tpm_ecdsa(struct tpm *t, const struct tpm_key *key, enum curve c, struct bytes digest,
                uint8_t *ret);
/* X coordinate of d * peer (TPM2_ECDH_ZGen); peer is 04 || X || Y. CKR_MECHANISM_PARAM_INVALID:
 * not on the curve. */
CK_RV tpm_ecdh(struct tpm *t, const struct tpm_key *key, enum curve c, struct bytes peer,
               struct secret *ret);
/* ---- symmetric keys ------------------------------------------------------------------------ */

/* With value: that key (TPM2_Create takes it in encrypted form); without: made by the TPM. */
CK_RV tpm_make_aes(struct tpm *t, const struct tpm_parent *parent, struct bytes auth, unsigned bits,
                   struct bytes value, struct tpm_key_made *ret);
/* value: at most the block size of the hashes it is for (the caller hashes longer ones). */
CK_RV tpm_make_hmac(struct tpm *t, const struct tpm_parent *parent, struct bytes auth,
                    struct bytes value, struct tpm_key_made *ret);

enum tpm_cipher { TPM_ECB, TPM_CBC, TPM_CTR, TPM_CFB, TPM_OFB };
/* One command per KiB. iv: 16 bytes, in and out (chaining), not used for ECB. n: a multiple of 16
 * for ECB and CBC; for the others only the last call of a stream may end within a block. */
CK_RV tpm_aes(struct tpm *t, const struct tpm_key *key, enum tpm_cipher cipher, bool encrypt,
              uint8_t *iv, const uint8_t *in, uint8_t *out, size_t n);
/* One command up to a KiB, then one more per KiB, and the result goes by in clear. */
enum { TPM_HMAC_HIDDEN = 1024 };
CK_RV tpm_hmac(struct tpm *t, const struct tpm_key *key, enum hash h, struct bytes data,
               uint8_t *ret);

/* ---- keys from outside --------------------------------------------------------------------- */

/* TPM2_Import under a wrapper that only the parent opens. prime: one of the modulus' two.
 * CKR_ATTRIBUTE_VALUE_INVALID: the parts do not belong together. */
CK_RV tpm_import_rsa(struct tpm *t, const struct tpm_parent *parent, struct bytes auth,
                     struct bytes modulus, uint32_t exponent, struct bytes prime,
                     struct tpm_key_made *ret);
/* point: 04 || X || Y; scalar: as long as the order. */
CK_RV tpm_import_ec(struct tpm *t, const struct tpm_parent *parent, struct bytes auth, enum curve c,
                    struct bytes point, struct bytes scalar, struct tpm_key_made *ret);
/* The same key under another authorization: its new TPM2B_PRIVATE (the old one still loads). */
CK_RV tpm_rekey(struct tpm *t, const struct tpm_key *key, struct bytes new_auth,
                struct buf *ret_priv);

/* ---- keys that other programs had this TPM make --------------------------------------------- */

/* Wrapped for a parent, as TSS2 PRIVATE KEY files and tpm2-pkcs11 keep it, or made persistent. */
struct tpm_foreign {
    uint32_t handle; /* of the persistent key; then parent, pub and priv are not looked at */
    uint32_t parent; /* a persistent one; any other number: a primary of the owner hierarchy */
    struct bytes pub, priv; /* TPM2B_PUBLIC, TPM2B_PRIVATE */
    struct bytes auth;
};

enum tpm_kind { TPM_KIND_RSA, TPM_KIND_EC, TPM_KIND_AES, TPM_KIND_HMAC };

/* What such a key is, and the token's copy of it. */
struct tpm_adopted {
    struct tpm_parent_owned parent;
    struct buf pub, priv;
    enum tpm_kind kind;
    enum curve curve; /* EC */
    unsigned bits;    /* AES; HMAC, or 0 where the TPM does not tell */
    enum hash hash;   /* HMAC: the only one it may be used with, or HASH_NONE */
    struct buf modulus, exponent, point;
    bool local;   /* made in this TPM, never to leave it */
    bool derives; /* EC: may be used for ECDH */
};
void tpm_adopted_free(struct tpm_adopted *k);

/* All but parent and priv. CKR_KEY_FUNCTION_NOT_PERMITTED: a key of a kind, or with restrictions,
 * that latchkey cannot use; CKR_OBJECT_HANDLE_INVALID: nothing is at that handle. */
CK_RV tpm_describe_foreign(struct tpm *t, const struct tpm_foreign *key, struct tpm_adopted *ret);
/* Adds the key's blob under new_auth and its parent; the original stays as it is. The session that
 * carries the authorizations is salted to salt. CKR_PIN_INCORRECT: auth is wrong (if the key has no
 * noDA the TPM counted it); CKR_PIN_LOCKED; CKR_TOKEN_NOT_RECOGNIZED: no parent in this TPM opens
 * it; CKR_KEY_FUNCTION_NOT_PERMITTED: it has no parent that a copy could hang on. */
CK_RV tpm_adopt(struct tpm *t, const struct tpm_parent *salt, const struct tpm_foreign *key,
                struct bytes new_auth, struct tpm_adopted *k);
/* The content of a sealed data object of another program. Codes as above. */
CK_RV tpm_unseal_foreign(struct tpm *t, const struct tpm_parent *salt,
                         const struct tpm_foreign *object, struct secret *ret);

/* How a TSS2 PRIVATE KEY file names this parent of a key; false: a primary that programs do not
 * make by themselves. */
bool tpm_parent_in_file(uint32_t handle, uint32_t *ret);

/* The key will not be used again soon (destroyed, its session closed): give up its slot. */
void tpm_key_drop(struct tpm *t, struct bytes pub);

#endif
