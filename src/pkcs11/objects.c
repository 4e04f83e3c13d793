#include "entry.h"

/* Objects: 2.40, 5.7. */

static CK_RV C_CreateObject_(CK_SESSION_HANDLE session, CK_ATTRIBUTE *template, CK_ULONG n,
                             CK_OBJECT_HANDLE *object)
{
    SESSION(s, session);
    if (!entry_template(template, n) || !object)
        return CKR_ARGUMENTS_BAD;
    return session_create_object(s, template, n, object);
}
ENTRY(C_CreateObject,
      (CK_SESSION_HANDLE session, CK_ATTRIBUTE *template, CK_ULONG n, CK_OBJECT_HANDLE *object),
      (session, template, n, object))

static CK_RV C_CopyObject_(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
                           CK_ATTRIBUTE *template, CK_ULONG n, CK_OBJECT_HANDLE *copy)
{
    SESSION(s, session);
    if (!entry_template(template, n) || !copy)
        return CKR_ARGUMENTS_BAD;
    return session_copy_object(s, object, template, n, copy);
}
ENTRY(C_CopyObject,
      (CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *template, CK_ULONG n,
       CK_OBJECT_HANDLE *copy),
      (session, object, template, n, copy))

static CK_RV C_GetObjectSize_(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ULONG *size)
{
    SESSION(s, session);
    return size ? session_object_size(s, object, size) : CKR_ARGUMENTS_BAD;
}
ENTRY(C_GetObjectSize, (CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ULONG *size),
      (session, object, size))

static CK_RV C_DestroyObject_(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object)
{
    SESSION(s, session);
    return session_destroy_object(s, object);
}
ENTRY(C_DestroyObject, (CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object), (session, object))

static CK_RV C_GetAttributeValue_(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
                                  CK_ATTRIBUTE *template, CK_ULONG n)
{
    SESSION(s, session);
    if (!entry_template(template, n))
        return CKR_ARGUMENTS_BAD;
    return session_get_attributes(s, object, template, n);
}
ENTRY(C_GetAttributeValue,
      (CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *template, CK_ULONG n),
      (session, object, template, n))

static CK_RV C_SetAttributeValue_(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
                                  CK_ATTRIBUTE *template, CK_ULONG n)
{
    SESSION(s, session);
    if (!entry_template(template, n))
        return CKR_ARGUMENTS_BAD;
    return session_set_attributes(s, object, template, n);
}
ENTRY(C_SetAttributeValue,
      (CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *template, CK_ULONG n),
      (session, object, template, n))

static CK_RV C_FindObjectsInit_(CK_SESSION_HANDLE session, CK_ATTRIBUTE *template, CK_ULONG n)
{
    SESSION(s, session);
    return entry_template(template, n) ? session_find_init(s, template, n) : CKR_ARGUMENTS_BAD;
}
ENTRY(C_FindObjectsInit, (CK_SESSION_HANDLE session, CK_ATTRIBUTE *template, CK_ULONG n),
      (session, template, n))

static CK_RV C_FindObjects_(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE *objects, CK_ULONG max,
                            CK_ULONG *count)
{
    SESSION(s, session);
    if (!entry_readable(objects, max) || !count)
        return CKR_ARGUMENTS_BAD;
    return session_find(s, objects, max, count);
}
ENTRY(C_FindObjects,
      (CK_SESSION_HANDLE session, CK_OBJECT_HANDLE *objects, CK_ULONG max, CK_ULONG *count),
      (session, objects, max, count))

static CK_RV C_FindObjectsFinal_(CK_SESSION_HANDLE session)
{
    SESSION(s, session);
    return session_find_final(s);
}
ENTRY(C_FindObjectsFinal, (CK_SESSION_HANDLE session), (session))
