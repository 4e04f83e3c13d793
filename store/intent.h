/* What the token's transactions do to the table nv. */
#ifndef STORE_INTENT_H
#define STORE_INTENT_H

#include "connection.h"

/* Removes the intent's rows of these two handles (0: none). CKR_FUNCTION_FAILED when one of them is
 * no longer there: another process took the intent for dead. */
CK_RV intent_take(struct use *u, int64_t intent, uint32_t user_nv, uint32_t so_nv);
/* Dooms the NV indices that the token's row names. */
CK_RV intent_doom(struct use *u, int64_t token);
/* Reads every row. */
CK_RV intent_check(struct use *u);

#endif
