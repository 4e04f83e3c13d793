/* Public keys between PKCS#11 attributes and OpenSSL. */
#ifndef CLI_PUBLIC_KEY_H
#define CLI_PUBLIC_KEY_H

#include <openssl/evp.h>
#include "object.h"

/* From the public half's attributes, else from the private half's (the module shows them there
 * too), else from a public key with the same ID. Free with public_key_free. */
CK_RV public_key_of(struct cli *cli, const struct key_pair *pair, EVP_PKEY **ret);
/* From one object. CKR_OK and *ret NULL when its attributes do not make a public key. */
CK_RV public_key_read(struct cli *cli, CK_OBJECT_HANDLE object, EVP_PKEY **ret);
static inline void public_key_free(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
    *key = NULL;
}

#endif
