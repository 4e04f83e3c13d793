/* The store's directory and file: who may write them, and their creation with the right modes. */
#ifndef STORE_FILES_H
#define STORE_FILES_H

#include <base/bytes.h>

/* Can this process write the database at path, journal included? For one that does not exist: can
 * it be created, with its directories? No side effect. */
bool files_writable(const char *path);
/* Makes dir (with its parents, 0700) and in it the empty file path, 0600 or, where dir's group may
 * write, 0660. A file that another process made meanwhile is as good. CKR_TOKEN_WRITE_PROTECTED,
 * CKR_DEVICE_MEMORY, CKR_DEVICE_ERROR, CKR_HOST_MEMORY. */
CK_RV files_create(const char *dir, const char *path);

#endif
