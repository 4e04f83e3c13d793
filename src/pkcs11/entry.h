/* The way in and out of every C_ function: is the library there, which session, trace. */
#ifndef PKCS11_ENTRY_H
#define PKCS11_ENTRY_H

#include <string.h>
#include <token/token.h>

/* An entry point is two functions: the C face, which traces, and name_, which has the logic. */
#define ENTRY(name, params, args)                                                                  \
    CK_RV name params                                                                              \
    {                                                                                              \
        return entry_trace(#name, name##_ args);                                                   \
    }
CK_RV entry_trace(const char *name, CK_RV rv);

/* Holds the library for this call: C_Finalize waits for it. CKR_CRYPTOKI_NOT_INITIALIZED before
 * C_Initialize, and in a forked child that has not called it. */
CK_RV entry_library(struct library **ret);
void entry_leave(struct library **lib);
#define LIBRARY(lib)                                                                               \
    CLEANUP(entry_leave) struct library *lib = NULL;                                               \
    TRY(entry_library(&lib))

/* Sleeps for at most that long; true when C_Finalize began meanwhile. */
bool entry_pause(unsigned milliseconds);

/* The same with a session, locked for the call. */
#define SESSION(s, handle)                                                                         \
    LIBRARY(lib_);                                                                                 \
    CLEANUP(session_release) struct session *s = NULL;                                             \
    TRY(session_acquire(lib_, handle, &s))

/* A pointer that must be there when the length says so. */
static inline bool entry_readable(const void *p, CK_ULONG n)
{
    return (p || n == 0) && n <= (CK_ULONG)(SIZE_MAX / 4);
}
/* 2.40, 5.1.6: "CKR_MECHANISM_PARAM_INVALID: Invalid parameters were supplied to the mechanism". */
static inline CK_RV entry_parameter(const CK_MECHANISM *mechanism)
{
    return !mechanism || entry_readable(mechanism->pParameter, mechanism->ulParameterLen)
               ? CKR_OK
               : CKR_MECHANISM_PARAM_INVALID;
}
static inline bool entry_template(const CK_ATTRIBUTE *template, CK_ULONG n)
{
    return (template || n == 0) && n <= 4096;
}

#endif
