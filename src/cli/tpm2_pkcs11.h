/* The store of tpm2-pkcs11, as it is on disk: SQLite, with attributes and configuration in YAML.
 * Schema versions 3 to 9; facts from the program's own db.py and db.c (1.0 to 1.9). Only read. */
#ifndef CLI_TPM2_PKCS11_H
#define CLI_TPM2_PKCS11_H

#include <yaml.h>
#include "cli.h"

struct old_store;

/* One attribute, as PKCS#11 gives it: a CK_BBOOL, a CK_ULONG, bytes. Lists are left out. */
struct old_attribute {
    CK_ATTRIBUTE_TYPE type;
    struct buf value;
};
struct old_object {
    long long id; /* its row */
    struct old_attribute *attributes;
    size_t n;
};
/* Empty when it is not there. */
struct bytes old_attribute(const struct old_object *o, CK_ATTRIBUTE_TYPE type);
CK_ULONG old_ulong(const struct old_object *o, CK_ATTRIBUTE_TYPE type, CK_ULONG otherwise);
bool old_bool(const struct old_object *o, CK_ATTRIBUTE_TYPE type);

/* tpm2-pkcs11's own attributes */
#define OLD_OBJECT_AUTH (CKA_VENDOR_DEFINED | 0x0F000001UL)
#define OLD_PUBLIC      (CKA_VENDOR_DEFINED | 0x0F000002UL)
#define OLD_PRIVATE     (CKA_VENDOR_DEFINED | 0x0F000003UL)

struct old_token {
    long long id;
    char *label;                      /* NULL: not initialised */
    bool empty_pin;                   /* its user PIN is the empty one */
    CK_ULONG parent;                  /* persistent handle, or 0x40000001 */
    bool parent_auth;                 /* the parent has an authorization */
    struct buf salt, public, private; /* of the user's sealed object; empty: no user PIN is set */
    struct old_object *objects;
    size_t n;
};
void old_token_free(struct old_token *t);

/* dir: NULL, where the program itself would look. Tells of a failure. */
CK_RV old_store_open(const char *dir, struct old_store **ret);
void old_store_close(struct old_store **s);
const char *old_store_path(const struct old_store *s);
/* The ids of its tokens, in order; *ret is malloced. */
CK_RV old_store_tokens(struct old_store *s, long long **ret, size_t *ret_n);
CK_RV old_store_token(struct old_store *s, long long id, struct old_token *ret);

/* What the user PIN's sealed object is authorized with: 32 hexadecimal digits of SHA-256. */
CK_RV old_pin_auth(const struct old_token *t, struct bytes pin, struct secret *ret);
/* A key's authorization, which is under the wrapping key (what the sealed object holds, in
 * hexadecimal) with AES-256-GCM. CKR_ENCRYPTED_DATA_INVALID. */
CK_RV old_key_auth(const struct old_object *o, struct bytes wrapping_key, struct secret *ret);

#endif
