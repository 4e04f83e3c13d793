#include "entry.h"

/* Slots, tokens, sessions, login: 2.40, 5.5 and 5.6. */

enum { EVENT_PAUSE_MS = 500 };

static CK_RV C_GetSlotList_(unsigned char present, CK_SLOT_ID *list, CK_ULONG *count)
{
    LIBRARY(lib);
    return count ? slot_list(lib, present != CK_FALSE, list, count) : CKR_ARGUMENTS_BAD;
}
ENTRY(C_GetSlotList, (unsigned char present, CK_SLOT_ID *list, CK_ULONG *count),
      (present, list, count))

static CK_RV C_GetSlotInfo_(CK_SLOT_ID slot, CK_SLOT_INFO *info)
{
    LIBRARY(lib);
    return info ? slot_info(lib, slot, info) : CKR_ARGUMENTS_BAD;
}
ENTRY(C_GetSlotInfo, (CK_SLOT_ID slot, CK_SLOT_INFO *info), (slot, info))

static CK_RV C_GetTokenInfo_(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
    LIBRARY(lib);
    return info ? token_info(lib, slot, info) : CKR_ARGUMENTS_BAD;
}
ENTRY(C_GetTokenInfo, (CK_SLOT_ID slot, CK_TOKEN_INFO *info), (slot, info))

/* 2.40, 5.5: without CKF_DONT_BLOCK until there is an event, or C_Finalize in another thread. Other
 * processes make tokens, too, and tell nobody: their doing is looked for twice a second. */
static CK_RV wait_for_event(struct library *lib, CK_FLAGS flags, CK_SLOT_ID *slot)
{
    CK_RV rv = slot_event(lib, slot);
    while (rv == CKR_NO_EVENT && !(flags & CKF_DONT_BLOCK)) {
        if (entry_pause(EVENT_PAUSE_MS))
            return CKR_CRYPTOKI_NOT_INITIALIZED; /* as the specification has it */
        rv = slot_event(lib, slot);
    }
    return rv;
}

static CK_RV C_WaitForSlotEvent_(CK_FLAGS flags, CK_SLOT_ID *slot, void *reserved)
{
    LIBRARY(lib);
    return slot && !reserved ? wait_for_event(lib, flags, slot) : CKR_ARGUMENTS_BAD;
}
ENTRY(C_WaitForSlotEvent, (CK_FLAGS flags, CK_SLOT_ID *slot, void *reserved),
      (flags, slot, reserved))

static CK_RV C_GetMechanismList_(CK_SLOT_ID slot, CK_MECHANISM_TYPE *list, CK_ULONG *count)
{
    LIBRARY(lib);
    return count ? slot_mechanisms(lib, slot, list, count) : CKR_ARGUMENTS_BAD;
}
ENTRY(C_GetMechanismList, (CK_SLOT_ID slot, CK_MECHANISM_TYPE *list, CK_ULONG *count),
      (slot, list, count))

static CK_RV C_GetMechanismInfo_(CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *info)
{
    LIBRARY(lib);
    return info ? slot_mechanism_info(lib, slot, type, info) : CKR_ARGUMENTS_BAD;
}
ENTRY(C_GetMechanismInfo, (CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *info),
      (slot, type, info))

/* No protected authentication path (no PIN pad): a PIN that is not given cannot be asked for. */
static CK_RV C_InitToken_(CK_SLOT_ID slot, unsigned char *pin, CK_ULONG pin_n, unsigned char *label)
{
    LIBRARY(lib);
    if (!pin || !label)
        return CKR_ARGUMENTS_BAD;
    return token_init(lib, slot, BYTES(pin, pin_n), label);
}
ENTRY(C_InitToken, (CK_SLOT_ID slot, unsigned char *pin, CK_ULONG pin_n, unsigned char *label),
      (slot, pin, pin_n, label))

static CK_RV C_InitPIN_(CK_SESSION_HANDLE session, unsigned char *pin, CK_ULONG pin_n)
{
    SESSION(s, session);
    return pin ? session_init_pin(s, BYTES(pin, pin_n)) : CKR_ARGUMENTS_BAD;
}
ENTRY(C_InitPIN, (CK_SESSION_HANDLE session, unsigned char *pin, CK_ULONG pin_n),
      (session, pin, pin_n))

static CK_RV C_SetPIN_(CK_SESSION_HANDLE session, unsigned char *old, CK_ULONG old_n,
                       unsigned char *fresh, CK_ULONG fresh_n)
{
    SESSION(s, session);
    if (!old || !fresh)
        return CKR_ARGUMENTS_BAD;
    return session_set_pin(s, BYTES(old, old_n), BYTES(fresh, fresh_n));
}
ENTRY(C_SetPIN,
      (CK_SESSION_HANDLE session, unsigned char *old, CK_ULONG old_n, unsigned char *fresh,
       CK_ULONG fresh_n),
      (session, old, old_n, fresh, fresh_n))

/* ---- sessions ------------------------------------------------------------------------------ */

static CK_RV C_OpenSession_(CK_SLOT_ID slot, CK_FLAGS flags, void *application, CK_NOTIFY notify,
                            CK_SESSION_HANDLE *session)
{
    LIBRARY(lib);
    (void)application;
    (void)notify; /* there is nothing to notify of */
    return session ? session_open(lib, slot, flags, session) : CKR_ARGUMENTS_BAD;
}
ENTRY(C_OpenSession,
      (CK_SLOT_ID slot, CK_FLAGS flags, void *application, CK_NOTIFY notify,
       CK_SESSION_HANDLE *session),
      (slot, flags, application, notify, session))

static CK_RV C_CloseSession_(CK_SESSION_HANDLE session)
{
    LIBRARY(lib);
    return session_close(lib, session);
}
ENTRY(C_CloseSession, (CK_SESSION_HANDLE session), (session))

static CK_RV C_CloseAllSessions_(CK_SLOT_ID slot)
{
    LIBRARY(lib);
    return session_close_all(lib, slot);
}
ENTRY(C_CloseAllSessions, (CK_SLOT_ID slot), (slot))

static CK_RV C_GetSessionInfo_(CK_SESSION_HANDLE session, CK_SESSION_INFO *info)
{
    SESSION(s, session);
    return info ? session_info(s, info) : CKR_ARGUMENTS_BAD;
}
ENTRY(C_GetSessionInfo, (CK_SESSION_HANDLE session, CK_SESSION_INFO *info), (session, info))

static CK_RV C_Login_(CK_SESSION_HANDLE session, CK_USER_TYPE user, unsigned char *pin,
                      CK_ULONG pin_n)
{
    SESSION(s, session);
    return pin ? session_login(s, user, BYTES(pin, pin_n)) : CKR_ARGUMENTS_BAD;
}
ENTRY(C_Login, (CK_SESSION_HANDLE session, CK_USER_TYPE user, unsigned char *pin, CK_ULONG pin_n),
      (session, user, pin, pin_n))

/* 3.0, 5.6.9: there are no user names here, so any given is a wrong one. */
static CK_RV C_LoginUser_(CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_UTF8CHAR_PTR pin,
                          CK_ULONG pin_n, CK_UTF8CHAR_PTR name, CK_ULONG name_n)
{
    SESSION(s, session);
    if (!pin || !entry_readable(name, name_n))
        return CKR_ARGUMENTS_BAD;
    return name_n ? CKR_ARGUMENTS_BAD : session_login(s, user, BYTES(pin, pin_n));
}
ENTRY(C_LoginUser,
      (CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_UTF8CHAR_PTR pin, CK_ULONG pin_n,
       CK_UTF8CHAR_PTR name, CK_ULONG name_n),
      (session, user, pin, pin_n, name, name_n))

static CK_RV C_Logout_(CK_SESSION_HANDLE session)
{
    SESSION(s, session);
    return session_logout(s);
}
ENTRY(C_Logout, (CK_SESSION_HANDLE session), (session))

static CK_RV C_SessionCancel_(CK_SESSION_HANDLE session, CK_FLAGS flags)
{
    SESSION(s, session);
    return session_cancel(s, flags);
}
ENTRY(C_SessionCancel, (CK_SESSION_HANDLE session, CK_FLAGS flags), (session, flags))

/* ---- random -------------------------------------------------------------------------------- */

static CK_RV C_SeedRandom_(CK_SESSION_HANDLE session, unsigned char *seed, CK_ULONG n)
{
    SESSION(s, session);
    return entry_readable(seed, n) ? session_seed_random(s, BYTES(seed, n)) : CKR_ARGUMENTS_BAD;
}
ENTRY(C_SeedRandom, (CK_SESSION_HANDLE session, unsigned char *seed, CK_ULONG n),
      (session, seed, n))

static CK_RV C_GenerateRandom_(CK_SESSION_HANDLE session, unsigned char *data, CK_ULONG n)
{
    SESSION(s, session);
    return entry_readable(data, n) ? session_random(s, data, n) : CKR_ARGUMENTS_BAD;
}
ENTRY(C_GenerateRandom, (CK_SESSION_HANDLE session, unsigned char *data, CK_ULONG n),
      (session, data, n))

/* 2.40, 5.15: legacy functions that "simply return" this: test programs ask with no session. */
static CK_RV C_GetFunctionStatus_(CK_SESSION_HANDLE session)
{
    LIBRARY(lib);
    (void)session;
    return CKR_FUNCTION_NOT_PARALLEL;
}
ENTRY(C_GetFunctionStatus, (CK_SESSION_HANDLE session), (session))

static CK_RV C_CancelFunction_(CK_SESSION_HANDLE session)
{
    LIBRARY(lib);
    (void)session;
    return CKR_FUNCTION_NOT_PARALLEL;
}
ENTRY(C_CancelFunction, (CK_SESSION_HANDLE session), (session))

/* 3.2, 5.6.11: nothing of this token was validated by anybody, so no session is in a validated
 * state. */
static CK_RV C_GetSessionValidationFlags_(CK_SESSION_HANDLE session,
                                          CK_SESSION_VALIDATION_FLAGS_TYPE type, CK_FLAGS_PTR flags)
{
    SESSION(s, session);
    if (!flags || type != CKS_LAST_VALIDATION_OK)
        return CKR_ARGUMENTS_BAD;
    *flags = 0;
    return CKR_OK;
}
ENTRY(C_GetSessionValidationFlags,
      (CK_SESSION_HANDLE session, CK_SESSION_VALIDATION_FLAGS_TYPE type, CK_FLAGS_PTR flags),
      (session, type, flags))
