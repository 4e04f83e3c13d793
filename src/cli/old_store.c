#include "old_store.h"

#include <stdlib.h>
#include <string.h>

struct bytes old_attribute(const struct old_object *o, CK_ATTRIBUTE_TYPE type)
{
    for (size_t i = 0; i < o->n; i++)
        if (o->attributes[i].type == type)
            return buf_bytes(&o->attributes[i].value);
    return NO_BYTES;
}

CK_ULONG old_ulong(const struct old_object *o, CK_ATTRIBUTE_TYPE type, CK_ULONG otherwise)
{
    CK_ULONG n;
    struct bytes value = old_attribute(o, type);
    if (value.n != sizeof(n))
        return otherwise;
    memcpy(&n, value.p, sizeof(n));
    return n;
}

bool old_bool(const struct old_object *o, CK_ATTRIBUTE_TYPE type)
{
    struct bytes value = old_attribute(o, type);
    return value.n == 1 && value.p[0];
}

/* The array with one element more, zeroed. */
static void *grown(void *array, size_t n, size_t size)
{
    void *more = reallocarray(array, n + 1, size);
    if (more)
        memset((char *)more + n * size, 0, size);
    return more;
}

struct buf *old_attribute_add(struct old_object *o, CK_ATTRIBUTE_TYPE type)
{
    struct old_attribute *v = grown(o->attributes, o->n, sizeof(*v));
    if (!v)
        return NULL;
    o->attributes = v;
    v[o->n].type = type;
    return &v[o->n++].value;
}

struct old_object *old_object_add(struct old_token *t)
{
    struct old_object *v = grown(t->objects, t->n, sizeof(*v));
    if (!v)
        return NULL;
    t->objects = v;
    return &v[t->n++];
}

struct old_token *old_token_add(struct old_store *s)
{
    struct old_token *v = grown(s->tokens, s->n, sizeof(*v));
    if (!v)
        return NULL;
    s->tokens = v;
    return &v[s->n++];
}

void old_object_free(struct old_object *o)
{
    for (size_t i = 0; i < o->n; i++)
        buf_free(&o->attributes[i].value);
    free(o->attributes);
}

static void token_free(struct old_token *t)
{
    free(t->label);
    buf_free(&t->sealed);
    secret_free(&t->opened);
    buf_free(&t->salt);
    buf_free(&t->public);
    for (size_t i = 0; i < t->n; i++)
        old_object_free(&t->objects[i]);
    free(t->objects);
}

void old_store_free(struct old_store *s)
{
    for (size_t i = 0; i < s->n; i++)
        token_free(&s->tokens[i]);
    free(s->tokens);
    *s = (struct old_store){0};
}
