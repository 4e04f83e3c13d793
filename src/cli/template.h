/* A template for C_CreateObject and its like; the values are borrowed. */
#ifndef CLI_TEMPLATE_H
#define CLI_TEMPLATE_H

#include "cli.h"

enum { TEMPLATE_ROOM = 32 }; /* an RSA private key with all its numbers takes 22 */

struct template
{
    CK_ATTRIBUTE attributes[TEMPLATE_ROOM];
    CK_ULONG n;
};

static inline void template_add(struct template *t, CK_ATTRIBUTE_TYPE type, struct bytes value)
{
    t->attributes[t->n++] = (CK_ATTRIBUTE){type, (void *)(uintptr_t)value.p, value.n};
}

static inline void template_bool(struct template *t, CK_ATTRIBUTE_TYPE type, bool value)
{
    static const CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    template_add(t, type, BYTES(value ? &yes : &no, sizeof(CK_BBOOL)));
}

#endif
