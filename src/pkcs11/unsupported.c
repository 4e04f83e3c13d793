#include "entry.h"

/* Every function that answers CKR_FUNCTION_NOT_SUPPORTED, in one place, with the reason. */

#pragma GCC diagnostic ignored "-Wunused-parameter"
#define UNSUPPORTED(name, ...)                                                                     \
    CK_RV name(__VA_ARGS__)                                                                        \
    {                                                                                              \
        LIBRARY(lib);                                                                              \
        return entry_trace(#name, CKR_FUNCTION_NOT_SUPPORTED);                                     \
    }

/* 3.2, 5.22: no session of ours is asynchronous (CKF_ASYNC_SESSION is refused), since no operation
 * takes long enough for that to be worth a thread: the functions have nothing to complete. */
UNSUPPORTED(C_AsyncComplete, CK_SESSION_HANDLE session, CK_UTF8CHAR_PTR function,
            CK_ASYNC_DATA_PTR result)
UNSUPPORTED(C_AsyncGetID, CK_SESSION_HANDLE session, CK_UTF8CHAR_PTR function, CK_ULONG_PTR id)
UNSUPPORTED(C_AsyncJoin, CK_SESSION_HANDLE session, CK_UTF8CHAR_PTR function, CK_ULONG id,
            CK_BYTE_PTR data, CK_ULONG n)
