#include "internal.h"

#include <stdio.h>

/* Objects that the token itself is the source of (3.0, 4.11 and 4.13): which profiles it meets, and
 * which mechanisms it has. It has no CKO_VALIDATION objects: nobody has validated it. */

/* PKCS#11 Profiles 3.2, section 5: those that are met in full. That of public certificates speaks
 * of what is on the token, too: certificates are public, and have their key's CKA_ID, unless an
 * application asks for the contrary. */
static const CK_PROFILE_ID profiles[] = {CKP_BASELINE_PROVIDER, CKP_EXTENDED_PROVIDER,
                                         CKP_AUTHENTICATION_TOKEN, CKP_PUBLIC_CERTIFICATES_TOKEN,
                                         CKP_HKDF_TLS_TOKEN};
enum { PROFILES = sizeof(profiles) / sizeof(*profiles) };

/* Rows are numbered from 1 and never reach here: the last even handles. */
static const CK_OBJECT_HANDLE last = CK_UNAVAILABLE_INFORMATION - 1;
enum { BUILTINS_MAX = 4096 };

/* 3.0, 4.13 and 4.14: not found unless the template says the class, so that programs of earlier
 * versions meet nothing that they do not know. */
bool builtin_class(CK_OBJECT_CLASS cls)
{
    return cls == CKO_PROFILE || cls == CKO_MECHANISM;
}

bool builtin_handle(CK_OBJECT_HANDLE handle)
{
    return handle % 2 == 0 && handle > last - 2 * BUILTINS_MAX;
}

size_t builtin_index(CK_OBJECT_HANDLE handle)
{
    return (size_t)(last - handle) / 2;
}

static CK_RV describe(size_t index, CK_OBJECT_CLASS cls, CK_ATTRIBUTE_TYPE type, CK_ULONG value,
                      struct object **ret)
{
    CLEANUP(object_unref) struct object *o = NULL;
    char unique[32];
    int n = snprintf(unique, sizeof(unique), "%s %lx", cls == CKO_PROFILE ? "profile" : "mechanism",
                     value);
    TRY(object_new(&o));
    o->handle = last - 2 * (CK_OBJECT_HANDLE)index;
    TRY(attrs_set_ulong(&o->attrs, CKA_CLASS, cls));
    TRY(attrs_set_ulong(&o->attrs, type, value));
    TRY(attrs_set(&o->attrs, CKA_UNIQUE_ID, BYTES(unique, n)));
    TRY(attrs_set(&o->attrs, CKA_LABEL, NO_BYTES));
    TRY(attrs_set_bool(&o->attrs, CKA_TOKEN, true));
    TRY(attrs_set_bool(&o->attrs, CKA_PRIVATE, false));
    TRY(attrs_set_bool(&o->attrs, CKA_MODIFIABLE, false));
    TRY(attrs_set_bool(&o->attrs, CKA_COPYABLE, false));
    TRY(attrs_set_bool(&o->attrs, CKA_DESTROYABLE, false));
    *ret = o;
    o = NULL;
    return CKR_OK;
}

CK_RV builtin_get(size_t index, struct object **ret)
{
    size_t rows;
    const struct mech *table = mech_table(&rows);
    if (index < PROFILES)
        return describe(index, CKO_PROFILE, CKA_PROFILE_ID, profiles[index], ret);
    if (index - PROFILES >= rows)
        return CKR_OBJECT_HANDLE_INVALID;
    return describe(index, CKO_MECHANISM, CKA_MECHANISM_TYPE, table[index - PROFILES].type, ret);
}
