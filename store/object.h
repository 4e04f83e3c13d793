/* What the rest of the store needs of the table object. */
#ifndef STORE_OBJECT_H
#define STORE_OBJECT_H

#include "connection.h"

CK_RV object_delete_all(struct use *u, int64_t token);
/* Reads every row. */
CK_RV object_check(struct use *u);

#endif
