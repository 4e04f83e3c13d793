/* Finding the half of a key that a verb uses. */
#ifndef CLI_KEY_USE_H
#define CLI_KEY_USE_H

#include "object.h"

enum half { HALF_PUBLIC, HALF_PRIVATE }; /* a secret key is both */

struct key_used {
    struct object object;
    CK_KEY_TYPE type;
};
static inline void key_used_free(struct key_used *key)
{
    object_free(&key->object);
}

/* Opens the token and finds the key. What uses public halves needs no PIN for them: it logs in only
 * where --login or a source of the PIN is given. flags: more for token_open. */
CK_RV key_open(struct cli *cli, const char *name, enum half half, unsigned flags,
               struct key_used *ret);
/* On the token that is open. */
CK_RV key_get(struct cli *cli, const char *name, enum half half, struct key_used *ret);
/* After C_…Init with a key that wants the PIN at each use. */
CK_RV key_authenticate(struct cli *cli, const struct key_used *key);

#endif
