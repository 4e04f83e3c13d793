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
extern const struct mech_cipher aead_gcm, aead_ccm;

/* mac.c */
CK_RV mac_params_general(const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
                         struct mech_params *ret);
CK_RV mac_params_gmac(const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
                      struct mech_params *ret);
extern const struct mech_mac mac_cmac, mac_gmac, mac_hmac;

#endif
