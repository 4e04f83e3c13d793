/* Tokens and objects as another program has stored them, whatever the store: what `latchkey
 * migrate` works on. The stores are read in tpm2_pkcs11.c and softhsm.c, and only read. */
#ifndef CLI_OLD_STORE_H
#define CLI_OLD_STORE_H

#include "cli.h"

/* One attribute, as PKCS#11 gives it: a CK_BBOOL, a CK_ULONG, bytes. Templates are left out. */
struct old_attribute {
    CK_ATTRIBUTE_TYPE type;
    struct buf value;
};
struct old_object {
    char name[96]; /* in its store, for messages: "object 7" */
    struct old_attribute *attributes;
    size_t n;
};
/* Empty when it is not there. */
struct bytes old_attribute(const struct old_object *o, CK_ATTRIBUTE_TYPE type);
CK_ULONG old_ulong(const struct old_object *o, CK_ATTRIBUTE_TYPE type, CK_ULONG otherwise);
bool old_bool(const struct old_object *o, CK_ATTRIBUTE_TYPE type);
/* One more, empty; NULL: memory is out. */
struct buf *old_attribute_add(struct old_object *o, CK_ATTRIBUTE_TYPE type);
void old_object_free(struct old_object *o);

struct old_token {
    char *label;          /* NULL: not initialised */
    bool empty_pin;       /* its user PIN is the empty one */
    struct buf sealed;    /* what the user PIN opens; empty: no user PIN is set */
    struct secret opened; /* what was in it, once it was opened */
    /* of tpm2-pkcs11 */
    CK_ULONG parent;         /* persistent handle, or 0x40000001 */
    bool parent_auth;        /* the parent has an authorization */
    struct buf salt, public; /* that belong to sealed */
    struct old_object *objects;
    size_t n;
};
/* One more, empty; NULL: memory is out. */
struct old_object *old_object_add(struct old_token *t);

struct old_store {
    char path[4096];
    struct old_token *tokens;
    size_t n;
};
struct old_token *old_token_add(struct old_store *s);
void old_store_free(struct old_store *s);

#endif
