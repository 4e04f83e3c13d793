/* What a file holds that is to be imported. */
#ifndef CLI_IMPORT_FILE_H
#define CLI_IMPORT_FILE_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include "key_plan.h"

struct import_file {
    EVP_PKEY *key;
    const struct key_kind *kind;
    bool private;             /* both halves; otherwise the public one alone */
    X509 *certificate;        /* the key's, or NULL; this and the next from PKCS#12 only */
    STACK_OF(X509) * issuers; /* or NULL */
};
void import_file_free(struct import_file *file);

/* PKCS#8, traditional, encrypted or not, SubjectPublicKeyInfo, in PEM or DER; PKCS#12; BIND's
 * .private. The password comes from --password-file or the terminal, where one is needed. Tells of
 * a failure. */
CK_RV import_file_read(struct cli *cli, const char *path, struct bytes content,
                       struct import_file *ret);
/* A key's bytes, as they are or in hexadecimal (--format). */
CK_RV import_file_raw(struct cli *cli, const char *path, struct buf *ret);

#endif
