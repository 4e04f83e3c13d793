/* Certificates as objects of the token. */
#ifndef CLI_CERTIFICATE_H
#define CLI_CERTIFICATE_H

#include <openssl/x509.h>
#include "object.h"

/* The first of a PEM file, or DER. *ret_more: how many follow in the file. Tells of a failure. */
CK_RV certificate_read(const char *path, X509 **ret, size_t *ret_more);
/* Stores it; tells of a failure. */
CK_RV certificate_create(struct cli *cli, X509 *certificate, struct bytes id, struct bytes label,
                         CK_OBJECT_HANDLE *ret);
/* Those on the token that are the same to the last byte. */
CK_RV certificate_present(struct cli *cli, X509 *certificate, struct handles *ret);
static inline void certificate_free(X509 **certificate)
{
    X509_free(*certificate);
}

#endif
