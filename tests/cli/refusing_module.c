/* The PKCS#11 module that REFUSING_MODULE names, with one thing changed: the C_CreateObject whose
 * number, from 1, is in REFUSING_CALL fails. For what must not be done by halves. */
#include <dlfcn.h>
#include <stdlib.h>
#include <latchkey/cryptoki.h>

CK_RV C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR list);

static CK_FUNCTION_LIST real, ours;

static CK_RV create(CK_SESSION_HANDLE session, CK_ATTRIBUTE *attributes, CK_ULONG n,
                    CK_OBJECT_HANDLE *ret)
{
    static long calls;
    const char *refused = getenv("REFUSING_CALL");
    if (refused && ++calls == strtol(refused, NULL, 10))
        return CKR_DEVICE_MEMORY;
    return real.C_CreateObject(session, attributes, n, ret);
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR list)
{
    const char *path = getenv("REFUSING_MODULE");
    void *library = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
    CK_FUNCTION_LIST *found = NULL;
    CK_C_GetFunctionList get = NULL;
    if (library)
        *(void **)&get = dlsym(library, "C_GetFunctionList");
    if (!get || get(&found) != CKR_OK)
        return CKR_GENERAL_ERROR;
    real = ours = *found;
    ours.C_CreateObject = create;
    *list = &ours;
    return CKR_OK;
}
