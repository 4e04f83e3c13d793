/* Whole files in and out. */
#ifndef CLI_FILE_H
#define CLI_FILE_H

#include "cli.h"

/* The whole of a file, or of standard input for "-". CKR told: EXIT_NOT_FOUND, EXIT_FAILED. */
CK_RV file_get(const char *path, struct buf *ret);
/* To the file, whole or not at all, or to standard output for NULL and "-". */
CK_RV file_put(const char *path, struct bytes content);
/* The same; a new file has mode 0600. */
CK_RV file_put_private(const char *path, struct bytes content);

#endif
