/* What `latchkey setup` does to files, as functions of their content alone: nothing here touches a
 * file. */
#ifndef CLI_SETUP_EDIT_H
#define CLI_SETUP_EDIT_H

#include "cli.h"

struct content {
    bool exists;
    struct buf text;
};
void content_free(struct content *c);
bool content_equal(const struct content *a, const struct content *b);

enum edit_kind {
    EDIT_OWN_FILE, /* a whole file of ours: its first line says so */
    EDIT_BLOCK,    /* lines at the end of somebody's file, between two of ours */
    EDIT_POLICY,   /* the module, text is its path, among the SecurityDevices of Firefox's
                      policies.json */
};

/* The content with text in it, or, with remove, without. An edit that remove would not undo to the
 * byte is refused, as is one that would change what is not ours: *ret_refusal says why, and is NULL
 * otherwise. */
CK_RV edit(enum edit_kind kind, const struct content *before, const char *text, bool remove,
           struct content *after, const char **ret_refusal);

#endif
