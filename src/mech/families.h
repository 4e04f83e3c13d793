/* The functions that the rows of table.c name. */
#ifndef MECH_FAMILIES_H
#define MECH_FAMILIES_H

#include <string.h>
#include "mech.h"

/* The structs of the caller may be unaligned: copied before they are read. */
#define READ_PARAM(type, name, in)                                                                 \
    type name;                                                                                     \
    if (!(in)->pParameter || (in)->ulParameterLen != sizeof(name))                                 \
        return CKR_MECHANISM_PARAM_INVALID;                                                        \
    memcpy(&name, (in)->pParameter, sizeof(name))

/* table.c */
CK_RV params_none(const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
                  struct mech_params *ret);

/* rsa.c */
CK_RV rsa_params_pss(const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
                     struct mech_params *ret);
CK_RV rsa_params_oaep(const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
                      struct mech_params *ret);
CK_RV rsa_sign_pkcs1(const struct mech_call *call, struct bytes in, uint8_t *ret);
CK_RV rsa_verify_pkcs1(const struct mech_call *call, struct bytes in, struct bytes signature);
CK_RV rsa_sign_pss(const struct mech_call *call, struct bytes in, uint8_t *ret);
CK_RV rsa_verify_pss(const struct mech_call *call, struct bytes in, struct bytes signature);
CK_RV rsa_sign_raw(const struct mech_call *call, struct bytes in, uint8_t *ret);
CK_RV rsa_verify_raw(const struct mech_call *call, struct bytes in, struct bytes signature);
CK_RV rsa_recover_pkcs1(const struct mech_call *call, struct bytes signature, struct secret *ret);
CK_RV rsa_recover_raw(const struct mech_call *call, struct bytes signature, struct secret *ret);
CK_RV rsa_encrypt_pkcs1(const struct mech_call *call, struct bytes in, uint8_t *ret);
CK_RV rsa_decrypt_pkcs1(const struct mech_call *call, struct bytes in, struct secret *ret);
CK_RV rsa_encrypt_oaep(const struct mech_call *call, struct bytes in, uint8_t *ret);
CK_RV rsa_decrypt_oaep(const struct mech_call *call, struct bytes in, struct secret *ret);
CK_RV rsa_encrypt_raw(const struct mech_call *call, struct bytes in, uint8_t *ret);
CK_RV rsa_decrypt_raw(const struct mech_call *call, struct bytes in, struct secret *ret);
CK_RV rsa_generate_pair(struct tpm *t, const struct mech_pair_wanted *wanted,
                        struct tpm_key_made *ret);

CK_RV rsa_generate_soft(const struct mech_pair_wanted *wanted, struct soft_private **ret);

/* ec.c */
CK_RV ec_params_ecdh(const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
                     struct mech_params *ret);
CK_RV ec_sign(const struct mech_call *call, struct bytes in, uint8_t *ret);
CK_RV ec_verify(const struct mech_call *call, struct bytes in, struct bytes signature);
CK_RV ec_derive(const struct mech_call *call, size_t want, struct secret *ret);
CK_RV ec_generate_pair(struct tpm *t, const struct mech_pair_wanted *wanted,
                       struct tpm_key_made *ret);

CK_RV ec_generate_soft(const struct mech_pair_wanted *wanted, struct soft_private **ret);
CK_RV ec_encapsulate(const struct mech_call *call, size_t want, struct buf *ret_ciphertext,
                     struct secret *ret);

/* eddsa.c */
CK_RV eddsa_params(const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
                   struct mech_params *ret);
CK_RV eddsa_sign(const struct mech_call *call, struct bytes in, uint8_t *ret);
CK_RV eddsa_verify(const struct mech_call *call, struct bytes in, struct bytes signature);

/* aes.c */
CK_RV aes_params_iv(const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
                    struct mech_params *ret);
CK_RV aes_params_counter(const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
                         struct mech_params *ret);
CK_RV aes_params_data(const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
                      struct mech_params *ret);
CK_RV aes_params_iv_data(const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
                         struct mech_params *ret);
CK_RV aes_derive(const struct mech_call *call, size_t want, struct secret *ret);
extern const struct mech_cipher aes_whole;  /* ECB, CBC */
extern const struct mech_cipher aes_stream; /* CTR, CFB128, OFB */
extern const struct mech_cipher aes_bytes;  /* CFB8 */
extern const struct mech_cipher aes_cbc_pad;

/* gcm.c, ccm.c */
CK_RV aead_params_gcm(const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
                      struct mech_params *ret);
CK_RV aead_params_ccm(const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
                      struct mech_params *ret);
CK_RV aead_message_gcm(const struct mech *m, void *parameter, CK_ULONG n, struct mech_message *ret);
CK_RV aead_message_ccm(const struct mech *m, void *parameter, CK_ULONG n, struct mech_message *ret);
CK_RV aead_wrap_gcm(const struct mech *m, void *parameter, CK_ULONG n, struct mech_message *ret);
CK_RV aead_wrap_ccm(const struct mech *m, void *parameter, CK_ULONG n, struct mech_message *ret);
extern const struct mech_cipher aead_gcm, aead_ccm;

/* mac.c */
CK_RV mac_params_general(const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
                         struct mech_params *ret);
CK_RV mac_params_gmac(const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
                      struct mech_params *ret);
extern const struct mech_mac mac_cmac, mac_gmac, mac_hmac;

/* derive.c: what the derivations share */

/* Appends what a parameter points at. CKR_MECHANISM_PARAM_INVALID: no pointer, or absurdly much. */
CK_RV params_append(const void *p, CK_ULONG n, struct buf *ret);
/* The base key's value. CKR_KEY_FUNCTION_NOT_PERMITTED: it is in the TPM. */
CK_RV derive_value(const struct mech_call *call, struct bytes *ret);
/* want, or natural where that is 0. CKR_TEMPLATE_INCOMPLETE: natural is 0, too;
 * CKR_KEY_SIZE_RANGE: more than most. */
CK_RV derive_length(size_t want, size_t natural, size_t most, size_t *ret);

/* What is kept goes into a new key as a whole, or with so many bytes that nobody can try them all:
 * one byte is told by the new key's check value, and after it the next. CKR_KEY_SIZE_RANGE. */
CK_RV derive_enough(const struct mech_call *call, size_t used, size_t of);

/* params->derivation.prf under the base key, wherever that is; call must outlive it.
 * CKR_KEY_FUNCTION_NOT_PERMITTED: the TPM does not compute it; CKR_KEY_TYPE_INCONSISTENT. */
CK_RV derive_prf(const struct mech_call *call, struct soft_prf *ret);
/* Hands a value over. */
CK_RV derive_give(struct secret *from, struct secret *ret);

/* kdf.c */
CK_RV kdf_params_hkdf(const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
                      struct mech_params *ret);
CK_RV kdf_params_pbkdf2(const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
                        struct mech_params *ret);
CK_RV kdf_hkdf(const struct mech_call *call, size_t want, struct secret *ret);
CK_RV kdf_pbkdf2(const struct mech_call *call, size_t want, struct secret *ret);

/* sp800_108.c */
CK_RV sp800_108_params_counter(const struct mech *m, const CK_MECHANISM *in,
                               const struct mech_key *key, struct mech_params *ret);
CK_RV sp800_108_params_feedback(const struct mech *m, const CK_MECHANISM *in,
                                const struct mech_key *key, struct mech_params *ret);
CK_RV sp800_108_params_pipeline(const struct mech *m, const CK_MECHANISM *in,
                                const struct mech_key *key, struct mech_params *ret);
CK_RV sp800_108_derive(const struct mech_call *call, size_t want, struct secret *ret);

/* combine.c */
CK_RV combine_params_key(const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
                         struct mech_params *ret);
CK_RV combine_params_data(const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
                          struct mech_params *ret);
CK_RV combine_params_offset(const struct mech *m, const CK_MECHANISM *in,
                            const struct mech_key *key, struct mech_params *ret);
CK_RV combine_base_key(const struct mech_call *call, size_t want, struct secret *ret);
CK_RV combine_base_data(const struct mech_call *call, size_t want, struct secret *ret);
CK_RV combine_data_base(const struct mech_call *call, size_t want, struct secret *ret);
CK_RV combine_xor(const struct mech_call *call, size_t want, struct secret *ret);
CK_RV combine_extract(const struct mech_call *call, size_t want, struct secret *ret);

/* tls.c */
enum { TLS_MASTER_SIZE = 48 };
CK_RV tls_params_master(const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
                        struct mech_params *ret);
CK_RV tls_params_master_dh(const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
                           struct mech_params *ret);
CK_RV tls_params_extended(const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
                          struct mech_params *ret);
CK_RV tls_params_extended_dh(const struct mech *m, const CK_MECHANISM *in,
                             const struct mech_key *key, struct mech_params *ret);
CK_RV tls_params_key_and_mac(const struct mech *m, const CK_MECHANISM *in,
                             const struct mech_key *key, struct mech_params *ret);
CK_RV tls_params_key_safe(const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
                          struct mech_params *ret);
CK_RV tls_params_kdf(const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
                     struct mech_params *ret);
CK_RV tls_params_mac(const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
                     struct mech_params *ret);
CK_RV tls_master(const struct mech_call *call, size_t want, struct secret *ret);
CK_RV tls_master_dh(const struct mech_call *call, size_t want, struct secret *ret);
CK_RV tls_key_and_mac(const struct mech_call *call, size_t want, struct secret *ret);
CK_RV tls_kdf(const struct mech_call *call, size_t want, struct secret *ret);

/* keywrap.c */
CK_RV keywrap_params(const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
                     struct mech_params *ret);
CK_RV keywrap_params_kwp(const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
                         struct mech_params *ret);
CK_RV keywrap_params_rsa(const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
                         struct mech_params *ret);
extern const struct mech_cipher keywrap_kw, keywrap_kwp, keywrap_pkcs7, keywrap_rsa;
extern const struct mech_mac tls_finished;

#endif
