/* The PKCS#11 module that REFUSING_MODULE names, with one thing changed: what REFUSING_CALL names
 * fails, as in "C_CreateObject:2,C_DestroyObject": the second one, and every one. For what must not
 * be done by halves, and for what is to be said of it. */
#include <dlfcn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <latchkey/cryptoki.h>

CK_RV C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR list);

static CK_FUNCTION_LIST real, ours;

/* calls: of this function until now. */
static bool refused(const char *function, long *calls)
{
    const char *list = getenv("REFUSING_CALL"), *found = list ? strstr(list, function) : NULL;
    const char *end = found ? found + strlen(function) : NULL;
    ++*calls;
    return end && (*end != ':' || strtol(end + 1, NULL, 10) == *calls);
}

#define REFUSING(function, parameters, arguments)                                                  \
    static CK_RV refusing_##function parameters                                                    \
    {                                                                                              \
        static long calls;                                                                         \
        return refused(#function, &calls) ? CKR_DEVICE_MEMORY : real.function arguments;           \
    }
REFUSING(C_Initialize, (void *arguments), (arguments))
REFUSING(C_GetTokenInfo, (CK_SLOT_ID slot, CK_TOKEN_INFO *ret), (slot, ret))
REFUSING(C_GetMechanismInfo, (CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *ret),
         (slot, type, ret))
REFUSING(C_OpenSession,
         (CK_SLOT_ID slot, CK_FLAGS flags, void *context, CK_NOTIFY notify, CK_SESSION_HANDLE *ret),
         (slot, flags, context, notify, ret))
REFUSING(C_InitToken, (CK_SLOT_ID slot, CK_BYTE *pin, CK_ULONG n, CK_BYTE *label),
         (slot, pin, n, label))
REFUSING(C_InitPIN, (CK_SESSION_HANDLE session, CK_BYTE *pin, CK_ULONG n), (session, pin, n))
REFUSING(C_CreateObject,
         (CK_SESSION_HANDLE session, CK_ATTRIBUTE *attributes, CK_ULONG n, CK_OBJECT_HANDLE *ret),
         (session, attributes, n, ret))
REFUSING(C_DestroyObject, (CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object), (session, object))

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
    ours.C_Initialize = refusing_C_Initialize;
    ours.C_GetTokenInfo = refusing_C_GetTokenInfo;
    ours.C_GetMechanismInfo = refusing_C_GetMechanismInfo;
    ours.C_OpenSession = refusing_C_OpenSession;
    ours.C_InitToken = refusing_C_InitToken;
    ours.C_InitPIN = refusing_C_InitPIN;
    ours.C_CreateObject = refusing_C_CreateObject;
    ours.C_DestroyObject = refusing_C_DestroyObject;
    *list = &ours;
    return CKR_OK;
}
