/* What the token's transactions do to the table nv. */
#ifndef STORE_INTENT_H
#define STORE_INTENT_H

#include "connection.h"

/* Removes the intent's rows of the handles that the new token names. CKR_FUNCTION_FAILED when one
 * of them is no longer there: another process took the intent for dead. */
CK_RV intent_take(struct use *u, int64_t intent, const struct store_token *t);
/* Dooms the NV indices that the token's row names. */
CK_RV intent_doom(struct use *u, int64_t token);
/* Reads every row. */
CK_RV intent_check(struct use *u);

#endif
