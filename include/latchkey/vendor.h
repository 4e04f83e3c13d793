/* What latchkey adds to the attributes of PKCS#11. */
#ifndef LATCHKEY_VENDOR_H
#define LATCHKEY_VENDOR_H

#include <latchkey/cryptoki.h>

/* Where a private or secret key lives, read-only, a string without NUL:
 * "tpm": the key works only inside the TPM;
 * "sealed": its value is encrypted in the store under the token's secret, and used in software in
 * locked memory;
 * "session": its value is in this process's locked memory, as long as the session. */
#define CKA_LATCHKEY_PROTECTION (CKA_VENDOR_DEFINED | 0x4C4B0002UL)

#endif
