/* What the rest of the store needs of the table token. */
#ifndef STORE_TOKEN_H
#define STORE_TOKEN_H

#include "connection.h"

/* The token's generation; 0 when there is no such token. */
CK_RV token_generation(struct use *u, int64_t token, uint32_t *ret);
/* Reads every row. */
CK_RV token_check(struct use *u);

#endif
