/* TSS2 PRIVATE KEY files: a key that a TPM has wrapped, in PEM ("ASN.1 Specification for TPM 2.0
 * Key Files", draft of the TPM2 OpenSSL engine's and provider's authors). tpm2-openssl,
 * tpm2-tss-engine, openssl_tpm2_engine, tpm2-tools and ssh-tpm-agent write them. */
#ifndef CLI_TSS2_FILE_H
#define CLI_TSS2_FILE_H

#include "cli.h"

struct tss2_key {
    CK_ULONG parent; /* persistent handle, or a hierarchy's: the key hangs on its primary */
    bool empty_auth; /* it has no password */
    struct buf public, private; /* TPM2B_PUBLIC, TPM2B_PRIVATE */
};
void tss2_key_free(struct tss2_key *key);

bool tss2_is(struct bytes content);
/* Tells of a failure; path is for the message. */
CK_RV tss2_read(struct bytes content, const char *path, struct tss2_key *ret);
/* Appends the PEM. */
CK_RV tss2_write(const struct tss2_key *key, struct buf *ret);

#endif
