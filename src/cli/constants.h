/* Constants of PKCS#11 3.0 that the header may lack (values: pkcs11t.h of OASIS PKCS#11 3.0), and
 * latchkey's own attribute. */
#ifndef CLI_CONSTANTS_H
#define CLI_CONSTANTS_H

#include <latchkey/cryptoki.h>

#ifndef CKK_EC_MONTGOMERY
#define CKK_EC_MONTGOMERY 0x00000041UL
#endif
#ifndef CKM_EC_MONTGOMERY_KEY_PAIR_GEN
#define CKM_EC_MONTGOMERY_KEY_PAIR_GEN 0x00001056UL
#endif
#ifndef CKM_AES_KEY_WRAP_KWP
#define CKM_AES_KEY_WRAP_KWP 0x0000210bUL
#endif
#ifndef CKM_SHA_1_KEY_GEN
#define CKM_SHA_1_KEY_GEN 0x00004003UL
#endif
#ifndef CKM_SHA224_KEY_GEN
#define CKM_SHA224_KEY_GEN 0x00004004UL
#endif
#ifndef CKM_SHA256_KEY_GEN
#define CKM_SHA256_KEY_GEN 0x00004005UL
#endif
#ifndef CKM_SHA384_KEY_GEN
#define CKM_SHA384_KEY_GEN 0x00004006UL
#endif
#ifndef CKM_SHA512_KEY_GEN
#define CKM_SHA512_KEY_GEN 0x00004007UL
#endif
/* where the key lies: the string "tpm", "sealed" or "session" */
#ifndef CKA_LATCHKEY_PROTECTION
#define CKA_LATCHKEY_PROTECTION (CKA_VENDOR_DEFINED | 0x4c4b0002UL)
#endif

#endif
