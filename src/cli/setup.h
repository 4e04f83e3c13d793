/* What `latchkey setup` is made of: targets, which are programs, and their steps, which are files.
 */
#ifndef CLI_SETUP_H
#define CLI_SETUP_H

#include <limits.h>
#include <stdlib.h>
#include "setup_edit.h"

enum step_state {
    STEP_ABSENT,  /* the program is not on this machine */
    STEP_DONE,    /* nothing is to be done */
    STEP_CHANGE,  /* the file becomes what after says */
    STEP_REFUSED, /* it is left alone, and why */
};

struct step {
    const struct target *target;
    enum step_state state;
    char *path;      /* NULL: STEP_ABSENT */
    const char *why; /* STEP_ABSENT, STEP_REFUSED */
    bool nss;        /* modutil does it, not after: */
    bool replaces;   /* it knows another file as latchkey */
    struct content before, after;
};

struct setup {
    struct cli *cli;
    bool remove;
    struct step *steps;
    size_t n;
};

struct target {
    const char *name;
    const char *hint; /* printed when it is done, with the path; NULL: none */
    CK_RV (*plan)(struct setup *s, const struct target *target);
};

extern const struct target targets[];
extern const size_t n_targets;

/* Each adds a step. */
CK_RV setup_absent(struct setup *s, const struct target *target, const char *why);
CK_RV setup_file(struct setup *s, const struct target *target, const char *path,
                 enum edit_kind kind, const char *text);
CK_RV setup_nss(struct setup *s, const struct target *target, const char *directory);

#endif
