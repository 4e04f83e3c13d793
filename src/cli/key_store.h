/* Keys whose numbers are known, as objects of the token. All tell of a failure. */
#ifndef CLI_KEY_STORE_H
#define CLI_KEY_STORE_H

#include <openssl/evp.h>
#include "key_plan.h"

/* The kind of an OpenSSL key. */
CK_RV key_store_kind(EVP_PKEY *key, const struct key_kind **ret);
CK_RV key_store_private(struct cli *cli, const struct key_plan *plan, EVP_PKEY *key,
                        CK_OBJECT_HANDLE *ret);
CK_RV key_store_public(struct cli *cli, const struct key_plan *plan, EVP_PKEY *key,
                       CK_OBJECT_HANDLE *ret);
CK_RV key_store_secret(struct cli *cli, const struct key_plan *plan, struct bytes value,
                       CK_OBJECT_HANDLE *ret);

#endif
