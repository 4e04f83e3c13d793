/* One table of Cryptoki's names for the log, the command and the tests. */
#ifndef BASE_NAMES_H
#define BASE_NAMES_H

#include "bytes.h"

/* The constant's name ("CKR_PIN_INCORRECT"), or "0x…" in a static thread-local buffer. */
const char *name_rv(CK_RV rv);
const char *name_mechanism(CK_MECHANISM_TYPE type);
const char *name_attribute(CK_ATTRIBUTE_TYPE type);
const char *name_class(CK_OBJECT_CLASS cls);
const char *name_key_type(CK_KEY_TYPE type);
const char *name_profile(CK_PROFILE_ID id);

#endif
