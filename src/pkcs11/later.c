#include "entry.h"

/* Every function that answers CKR_FUNCTION_NOT_SUPPORTED, in one place. All of them are to come:
 * copy, symmetric keys, wrapping, saved states, dual operations, the messages of 3.0, and what 3.2
 * adds.
 */

#pragma GCC diagnostic ignored "-Wunused-parameter"
#define LATER(name, ...)                                                                           \
    CK_RV name(__VA_ARGS__)                                                                        \
    {                                                                                              \
        LIBRARY(lib);                                                                              \
        return entry_trace(#name, CKR_FUNCTION_NOT_SUPPORTED);                                     \
    }

/* clang-format off */
LATER(C_GenerateKey, CK_SESSION_HANDLE a1, CK_MECHANISM *a2, CK_ATTRIBUTE *a3, CK_ULONG a4, CK_OBJECT_HANDLE *a5)
LATER(C_WrapKey, CK_SESSION_HANDLE a1, CK_MECHANISM *a2, CK_OBJECT_HANDLE a3, CK_OBJECT_HANDLE a4, unsigned char *a5, CK_ULONG *a6)
LATER(C_UnwrapKey, CK_SESSION_HANDLE a1, CK_MECHANISM *a2, CK_OBJECT_HANDLE a3, unsigned char *a4, CK_ULONG a5, CK_ATTRIBUTE *a6, CK_ULONG a7, CK_OBJECT_HANDLE *a8)
LATER(C_GetOperationState, CK_SESSION_HANDLE a1, unsigned char *a2, CK_ULONG *a3)
LATER(C_SetOperationState, CK_SESSION_HANDLE a1, unsigned char *a2, CK_ULONG a3, CK_OBJECT_HANDLE a4, CK_OBJECT_HANDLE a5)
LATER(C_DigestKey, CK_SESSION_HANDLE a1, CK_OBJECT_HANDLE a2)
LATER(C_DigestEncryptUpdate, CK_SESSION_HANDLE a1, unsigned char *a2, CK_ULONG a3, unsigned char *a4, CK_ULONG *a5)
LATER(C_DecryptDigestUpdate, CK_SESSION_HANDLE a1, unsigned char *a2, CK_ULONG a3, unsigned char *a4, CK_ULONG *a5)
LATER(C_SignEncryptUpdate, CK_SESSION_HANDLE a1, unsigned char *a2, CK_ULONG a3, unsigned char *a4, CK_ULONG *a5)
LATER(C_DecryptVerifyUpdate, CK_SESSION_HANDLE a1, unsigned char *a2, CK_ULONG a3, unsigned char *a4, CK_ULONG *a5)
LATER(C_MessageEncryptInit, CK_SESSION_HANDLE a1, CK_MECHANISM_PTR a2, CK_OBJECT_HANDLE a3)
LATER(C_EncryptMessage, CK_SESSION_HANDLE a1, CK_VOID_PTR a2, CK_ULONG a3, CK_BYTE_PTR a4, CK_ULONG a5, CK_BYTE_PTR a6, CK_ULONG a7, CK_BYTE_PTR a8, CK_ULONG_PTR a9)
LATER(C_EncryptMessageBegin, CK_SESSION_HANDLE a1, CK_VOID_PTR a2, CK_ULONG a3, CK_BYTE_PTR a4, CK_ULONG a5)
LATER(C_EncryptMessageNext, CK_SESSION_HANDLE a1, CK_VOID_PTR a2, CK_ULONG a3, CK_BYTE_PTR a4, CK_ULONG a5, CK_BYTE_PTR a6, CK_ULONG_PTR a7, CK_FLAGS a8)
LATER(C_MessageEncryptFinal, CK_SESSION_HANDLE a1)
LATER(C_MessageDecryptInit, CK_SESSION_HANDLE a1, CK_MECHANISM_PTR a2, CK_OBJECT_HANDLE a3)
LATER(C_DecryptMessage, CK_SESSION_HANDLE a1, CK_VOID_PTR a2, CK_ULONG a3, CK_BYTE_PTR a4, CK_ULONG a5, CK_BYTE_PTR a6, CK_ULONG a7, CK_BYTE_PTR a8, CK_ULONG_PTR a9)
LATER(C_DecryptMessageBegin, CK_SESSION_HANDLE a1, CK_VOID_PTR a2, CK_ULONG a3, CK_BYTE_PTR a4, CK_ULONG a5)
LATER(C_DecryptMessageNext, CK_SESSION_HANDLE a1, CK_VOID_PTR a2, CK_ULONG a3, CK_BYTE_PTR a4, CK_ULONG a5, CK_BYTE_PTR a6, CK_ULONG_PTR a7, CK_FLAGS a8)
LATER(C_MessageDecryptFinal, CK_SESSION_HANDLE a1)
LATER(C_MessageSignInit, CK_SESSION_HANDLE a1, CK_MECHANISM_PTR a2, CK_OBJECT_HANDLE a3)
LATER(C_SignMessage, CK_SESSION_HANDLE a1, CK_VOID_PTR a2, CK_ULONG a3, CK_BYTE_PTR a4, CK_ULONG a5, CK_BYTE_PTR a6, CK_ULONG_PTR a7)
LATER(C_SignMessageBegin, CK_SESSION_HANDLE a1, CK_VOID_PTR a2, CK_ULONG a3)
LATER(C_SignMessageNext, CK_SESSION_HANDLE a1, CK_VOID_PTR a2, CK_ULONG a3, CK_BYTE_PTR a4, CK_ULONG a5, CK_BYTE_PTR a6, CK_ULONG_PTR a7)
LATER(C_MessageSignFinal, CK_SESSION_HANDLE a1)
LATER(C_MessageVerifyInit, CK_SESSION_HANDLE a1, CK_MECHANISM_PTR a2, CK_OBJECT_HANDLE a3)
LATER(C_VerifyMessage, CK_SESSION_HANDLE a1, CK_VOID_PTR a2, CK_ULONG a3, CK_BYTE_PTR a4, CK_ULONG a5, CK_BYTE_PTR a6, CK_ULONG a7)
LATER(C_VerifyMessageBegin, CK_SESSION_HANDLE a1, CK_VOID_PTR a2, CK_ULONG a3)
LATER(C_VerifyMessageNext, CK_SESSION_HANDLE a1, CK_VOID_PTR a2, CK_ULONG a3, CK_BYTE_PTR a4, CK_ULONG a5, CK_BYTE_PTR a6, CK_ULONG a7)
LATER(C_MessageVerifyFinal, CK_SESSION_HANDLE a1)

/* What 3.2 adds. */
LATER(C_EncapsulateKey, CK_SESSION_HANDLE a1, CK_MECHANISM_PTR a2, CK_OBJECT_HANDLE a3, CK_ATTRIBUTE_PTR a4, CK_ULONG a5, CK_BYTE_PTR a6, CK_ULONG_PTR a7, CK_OBJECT_HANDLE_PTR a8)
LATER(C_DecapsulateKey, CK_SESSION_HANDLE a1, CK_MECHANISM_PTR a2, CK_OBJECT_HANDLE a3, CK_ATTRIBUTE_PTR a4, CK_ULONG a5, CK_BYTE_PTR a6, CK_ULONG a7, CK_OBJECT_HANDLE_PTR a8)
LATER(C_VerifySignatureInit, CK_SESSION_HANDLE a1, CK_MECHANISM_PTR a2, CK_OBJECT_HANDLE a3, CK_BYTE_PTR a4, CK_ULONG a5)
LATER(C_VerifySignature, CK_SESSION_HANDLE a1, CK_BYTE_PTR a2, CK_ULONG a3)
LATER(C_VerifySignatureUpdate, CK_SESSION_HANDLE a1, CK_BYTE_PTR a2, CK_ULONG a3)
LATER(C_VerifySignatureFinal, CK_SESSION_HANDLE a1)
LATER(C_GetSessionValidationFlags, CK_SESSION_HANDLE a1, CK_SESSION_VALIDATION_FLAGS_TYPE a2, CK_FLAGS_PTR a3)
LATER(C_AsyncComplete, CK_SESSION_HANDLE a1, CK_UTF8CHAR_PTR a2, CK_ASYNC_DATA_PTR a3)
LATER(C_AsyncGetID, CK_SESSION_HANDLE a1, CK_UTF8CHAR_PTR a2, CK_ULONG_PTR a3)
LATER(C_AsyncJoin, CK_SESSION_HANDLE a1, CK_UTF8CHAR_PTR a2, CK_ULONG a3, CK_BYTE_PTR a4, CK_ULONG a5)
LATER(C_WrapKeyAuthenticated, CK_SESSION_HANDLE a1, CK_MECHANISM_PTR a2, CK_OBJECT_HANDLE a3, CK_OBJECT_HANDLE a4, CK_BYTE_PTR a5, CK_ULONG a6, CK_BYTE_PTR a7, CK_ULONG_PTR a8)
LATER(C_UnwrapKeyAuthenticated, CK_SESSION_HANDLE a1, CK_MECHANISM_PTR a2, CK_OBJECT_HANDLE a3, CK_BYTE_PTR a4, CK_ULONG a5, CK_ATTRIBUTE_PTR a6, CK_ULONG a7, CK_BYTE_PTR a8, CK_ULONG a9, CK_OBJECT_HANDLE_PTR a10)
/* clang-format on */
