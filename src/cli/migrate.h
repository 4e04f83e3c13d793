/* What `latchkey migrate` does whatever program the tokens are of. */
#ifndef CLI_MIGRATE_H
#define CLI_MIGRATE_H

#include "key_plan.h"
#include "old_store.h"

struct migration {
    const char *program;
    const char *get_rid;  /* how an object is taken out of the old store */
    const char *farewell; /* what to do with the old store at the end; its path follows */
    CK_RV (*read)(const char *dir, struct old_store *ret);
    /* Can its keys be had at all? */
    CK_RV (*check)(const struct old_token *t);
    /* Opens what the PIN opens, into t->opened. A session of the new token is open. Tells. */
    CK_RV (*open)(struct cli *cli, struct old_token *t, struct bytes pin);
    /* NULL: of a kind that is not known here. */
    const struct key_kind *(*kind)(const struct old_object *o);
    /* Its keys are numbers: there may be such kinds, and extractable ones. Else they are in the
     * TPM, and another kind is a fault. */
    bool software;
    CK_RV(*move_key)
    (struct cli *cli, const struct old_token *t, const struct old_object *o,
     const struct key_plan *plan, const char *source);
    /* NULL: it comes with its private half. All others have been moved. */
    CK_RV(*move_public)
    (struct cli *cli, const struct old_token *t, const struct old_object *o,
     const struct key_plan *plan, const char *source);
};

CK_RV migrate(struct cli *cli, const struct migration *m);

#endif
