/* Objects of the token as the verbs see them: found by name, read, described. */
#ifndef CLI_OBJECT_H
#define CLI_OBJECT_H

#include "cli.h"
#include <p11-kit/uri.h>
#include "output.h"

struct handles {
    CK_OBJECT_HANDLE *h;
    size_t n;
};
void handles_free(struct handles *handles);

struct object {
    CK_OBJECT_HANDLE handle; /* 0: none */
    CK_OBJECT_CLASS cls;
    struct buf id;
    struct buf label; /* a NUL follows it */
};
void object_free(struct object *o);

/* The attribute's bytes; empty when the object has it not or does not show it. */
CK_RV object_attribute(struct cli *cli, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type,
                       struct buf *ret);
bool object_bool(struct cli *cli, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type);
/* CK_UNAVAILABLE_INFORMATION when absent. */
CK_ULONG object_ulong(struct cli *cli, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type);

CK_RV objects_find(struct cli *cli, CK_ATTRIBUTE *attributes, size_t n, struct handles *ret);
CK_RV object_read(struct cli *cli, CK_OBJECT_HANDLE handle, struct object *ret);
/* The one object of that class the URI names; uri as written is name. */
CK_RV object_find(struct cli *cli, P11KitUri *uri, const char *name, CK_OBJECT_CLASS cls,
                  struct object *ret);
/* "EC P-256", "RSA 2048", "AES 256", "X.509 CN=…" */
CK_RV object_describe(struct cli *cli, const struct object *o, struct buf *ret);
/* Class names as RFC 7512 writes them: "private", "public", "cert", … */
const char *object_class(CK_OBJECT_CLASS cls);

/* A key pair by the URI's name; a secret key stands as private. Absent halves have handle 0. */
struct key_pair {
    struct object private, public;
};
void key_pair_free(struct key_pair *pair);
CK_RV key_find(struct cli *cli, P11KitUri *uri, const char *name, struct key_pair *ret);
/* The half that is there. */
static inline const struct object *key_half(const struct key_pair *pair)
{
    return pair->private.handle ? &pair->private : &pair->public;
}

/* Cells label, id and uri (class in it unless CK_UNAVAILABLE_INFORMATION) of an object. */
CK_RV cell_id(struct table *t, const struct object *o);
CK_RV cell_uri(struct cli *cli, struct table *t, CK_OBJECT_CLASS cls, const struct object *o);
CK_RV cell_type(struct cli *cli, struct table *t, const struct object *o);

#endif
