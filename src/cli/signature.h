/* ECDSA signatures between PKCS#11's form and DER. */
#ifndef CLI_SIGNATURE_H
#define CLI_SIGNATURE_H

#include "cli.h"

/* r and s side by side to their SEQUENCE (RFC 3279, section 2.2.3). */
CK_RV ecdsa_to_der(struct buf *signature);
/* The reverse. size: of each half. CKR_SIGNATURE_INVALID: it is no such SEQUENCE. */
CK_RV ecdsa_from_der(size_t size, struct buf *signature);

#endif
