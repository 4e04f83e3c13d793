/* Public keys between PKCS#11 attributes and OpenSSL. */
#ifndef CLI_PUBLIC_KEY_H
#define CLI_PUBLIC_KEY_H

#include <openssl/evp.h>
#include "object.h"

/* From the public half's attributes, else from the private half's (the module shows them there
 * too), else from a public key with the same ID. Free with public_key_free. */
CK_RV public_key_of(struct cli *cli, const struct key_pair *pair, EVP_PKEY **ret);
/* The same, but CKR_OK and *ret NULL when there is none. */
CK_RV public_key_seek(struct cli *cli, const struct key_pair *pair, EVP_PKEY **ret);
/* From one object. CKR_OK and *ret NULL when its attributes do not make a public key. */
CK_RV public_key_read(struct cli *cli, CK_OBJECT_HANDLE object, EVP_PKEY **ret);
/* The token's key of class cls whose public part is wanted; *ret stays empty without one. */
CK_RV public_key_find(struct cli *cli, CK_OBJECT_CLASS cls, EVP_PKEY *wanted, struct object *ret);
/* Is a private key with the same ID there (and seen)? */
bool public_key_has_private(struct cli *cli, const struct object *public);
/* Appends its SubjectPublicKeyInfo in PEM; the uncompressed point of an EC key. */
CK_RV public_key_pem(EVP_PKEY *key, struct buf *ret);
CK_RV public_key_point(EVP_PKEY *key, struct buf *ret);
/* A curve whose keys are bytes without a structure (RFC 8410), by its CKA_EC_PARAMS; else NULL. */
struct raw_curve {
    const char *name; /* "Ed25519" */
    int nid;          /* EVP_PKEY_ED25519 */
    size_t size;      /* bytes of a key */
};
const struct raw_curve *public_key_raw_curve(struct bytes parameters);
static inline void public_key_free(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
    *key = NULL;
}

#endif
