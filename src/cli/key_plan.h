/* A key to come, made, imported or unwrapped: what kinds there are and what the options say. */
#ifndef CLI_KEY_PLAN_H
#define CLI_KEY_PLAN_H

#include "cli.h"
#include "template.h"

/* Both halves of a use: signing and verifying, decrypting and encrypting, unwrapping and wrapping.
 */
enum usage { USAGE_SIGN = 1, USAGE_DECRYPT = 2, USAGE_DERIVE = 4, USAGE_WRAP = 8 };

struct key_kind {
    const char *name;    /* as --type takes it */
    CK_OBJECT_CLASS cls; /* CKO_PRIVATE_KEY or CKO_SECRET_KEY */
    CK_KEY_TYPE type;
    CK_MECHANISM_TYPE generate;
    unsigned may, does; /* enum usage: at most, and without --usage */
    struct {
        CK_ULONG usual, least, most, step;
        const char *text;
    } bits;            /* usual 0: it has a curve instead */
    const char *curve; /* OpenSSL's name of the only one there is */
};

/* NULL: no such kind. */
const struct key_kind *key_kind_named(const char *name);
/* --type's kind. TOLD(EXIT_USAGE) when there is none of that name; type must be given. */
CK_RV key_kind_option(struct cli *cli, const struct key_kind **ret);

struct key_plan {
    const struct key_kind *kind;
    const char *label;
    uint8_t id[32];
    size_t id_len;
    unsigned usage;
    bool extractable, always_authenticate;
};

/* Label (fallback, may be NULL, where no --label is given), ID (at random) and flags. */
CK_RV key_plan_names(struct cli *cli, const char *fallback, struct key_plan *ret);
/* --usage, held against the kind. */
CK_RV key_plan_usage(struct cli *cli, struct key_plan *ret);
/* TOLD(EXIT_AMBIGUOUS) when the token has the label or the ID already. */
CK_RV key_plan_check_free(struct cli *cli, const struct key_plan *plan);

/* All of the template but what makes the key itself: class and type, names, protection, usage. */
void key_plan_public(const struct key_plan *plan, struct template *ret);
void key_plan_private(const struct key_plan *plan, struct template *ret);
void key_plan_secret(const struct key_plan *plan, struct template *ret);

#endif
