/* SoftHSM's tokens, as they are on disk (objectstore.backend = file): a directory a token, a file
 * an object. Facts from the program's own ObjectFile.cpp, SecureDataManager.cpp and RFC4880.cpp
 * (2.0 to 2.6). What is private is under AES-256-CBC with a key that the user PIN opens. */
#ifndef CLI_SOFTHSM_H
#define CLI_SOFTHSM_H

#include "old_store.h"

/* dir: that of the tokens; NULL, where SoftHSM's configuration says. Tells of a failure. */
CK_RV softhsm_read(const char *dir, struct old_store *ret);
/* One file: an object, or the head of a token. False: it is none, or memory is out. */
bool softhsm_parse(struct bytes file, struct old_object *o);
/* Opens the key into t->opened, and with it all that is private, but what makes up keys.
 * CKR_PIN_INCORRECT; CKR_ENCRYPTED_DATA_INVALID. */
CK_RV softhsm_open(struct old_token *t, struct bytes pin);
/* One of the attributes that make up a key; empty when it is not there.
 * CKR_ENCRYPTED_DATA_INVALID. */
CK_RV softhsm_secret(const struct old_token *t, const struct old_object *o, CK_ATTRIBUTE_TYPE type,
                     struct secret *ret);

#endif
