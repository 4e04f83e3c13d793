/* The store of tpm2-pkcs11, as it is on disk: SQLite, with attributes and configuration in YAML.
 * Schema versions 3 to 9; facts from the program's own db.py and db.c (1.0 to 1.9). */
#ifndef CLI_TPM2_PKCS11_H
#define CLI_TPM2_PKCS11_H

#include "old_store.h"

/* its own attributes */
#define OLD_OBJECT_AUTH (CKA_VENDOR_DEFINED | 0x0F000001UL)
#define OLD_PUBLIC      (CKA_VENDOR_DEFINED | 0x0F000002UL)
#define OLD_PRIVATE     (CKA_VENDOR_DEFINED | 0x0F000003UL)

/* dir: NULL, where the program itself would look. Tells of a failure. */
CK_RV tpm2_pkcs11_read(const char *dir, struct old_store *ret);

/* What the user PIN's sealed object is authorized with: 32 hexadecimal digits of SHA-256. */
CK_RV tpm2_pkcs11_pin_auth(const struct old_token *t, struct bytes pin, struct secret *ret);
/* A key's authorization, which is under the wrapping key (what the sealed object holds, in
 * hexadecimal) with AES-256-GCM. CKR_ENCRYPTED_DATA_INVALID. */
CK_RV tpm2_pkcs11_key_auth(const struct old_object *o, struct bytes wrapping_key,
                           struct secret *ret);

#endif
