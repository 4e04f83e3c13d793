/* The format's marks and migrations. FORMAT.md is the format. */
#ifndef STORE_SCHEMA_H
#define STORE_SCHEMA_H

#include "connection.h"

/* The version this module writes. */
extern const int64_t schema_version;

/* The store's version, 0 when there is nothing in it. CKR_TOKEN_NOT_RECOGNIZED: newer than this
 * module. CKR_DEVICE_ERROR: another program's database. */
CK_RV schema_look(struct use *u, int64_t *ret);
/* Runs the migrations from that version on, within u's transaction. */
CK_RV schema_migrate(struct use *u, int64_t version);

#endif
