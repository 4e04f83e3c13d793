/* BIND's private keys of DNSSEC (Kexample.org.+013+12345.private), as dnssec-keygen writes them and
 * softhsm2-keyconv reads them: lines of names and base64. The format has no specification but
 * BIND's lib/dns/dst_parse.c; the algorithms' numbers are IANA's. */
#ifndef CLI_BIND_FILE_H
#define CLI_BIND_FILE_H

#include <openssl/evp.h>
#include "cli.h"

bool bind_is(struct bytes content);
/* Tells of a failure; path is for the message. */
CK_RV bind_read(struct bytes content, const char *path, EVP_PKEY **ret);

#endif
