#include "admin.h"
#include "entry.h"

static CK_RV TokenDestroy_(CK_SLOT_ID slot, CK_UTF8CHAR_PTR pin, CK_ULONG pin_n, CK_BBOOL force)
{
    LIBRARY(lib);
    if (!entry_readable(pin, pin_n) || (!pin && !force))
        return CKR_ARGUMENTS_BAD;
    return token_destroy(lib, slot, BYTES(pin, pin_n), force != CK_FALSE);
}
static ENTRY(TokenDestroy, (CK_SLOT_ID slot, CK_UTF8CHAR_PTR pin, CK_ULONG pin_n, CK_BBOOL force),
             (slot, pin, pin_n, force))

    static CK_RV TokenStatus_(CK_SLOT_ID slot, LATCHKEY_TOKEN_STATUS *status)
{
    LIBRARY(lib);
    return status ? admin_token_status(lib, slot, status) : CKR_ARGUMENTS_BAD;
}
static ENTRY(TokenStatus, (CK_SLOT_ID slot, LATCHKEY_TOKEN_STATUS *status), (slot, status))

    static CK_RV TpmStatus_(LATCHKEY_TPM_STATUS *status)
{
    LIBRARY(lib);
    return status ? admin_tpm_status(lib, status) : CKR_ARGUMENTS_BAD;
}
static ENTRY(TpmStatus, (LATCHKEY_TPM_STATUS * status), (status))

    static CK_RV
    TpmHarden_(CK_UTF8CHAR_PTR old, CK_ULONG old_n, CK_UTF8CHAR_PTR code, CK_ULONG code_n,
               CK_ULONG max_tries, CK_ULONG interval, CK_ULONG recovery)
{
    LIBRARY(lib);
    if (!entry_readable(old, old_n) || !code || !entry_readable(code, code_n))
        return CKR_ARGUMENTS_BAD;
    return admin_harden(lib, BYTES(old, old_n), BYTES(code, code_n), max_tries, interval, recovery);
}
static ENTRY(TpmHarden,
             (CK_UTF8CHAR_PTR old, CK_ULONG old_n, CK_UTF8CHAR_PTR code, CK_ULONG code_n,
              CK_ULONG max_tries, CK_ULONG interval, CK_ULONG recovery),
             (old, old_n, code, code_n, max_tries, interval, recovery))

    static CK_RV TpmUnlock_(CK_UTF8CHAR_PTR code, CK_ULONG code_n)
{
    LIBRARY(lib);
    return entry_readable(code, code_n) ? admin_unlock(lib, BYTES(code, code_n))
                                        : CKR_ARGUMENTS_BAD;
}
static ENTRY(TpmUnlock, (CK_UTF8CHAR_PTR code, CK_ULONG code_n), (code, code_n))

    static CK_RV Doctor_(LATCHKEY_FINDING callback, void *context)
{
    LIBRARY(lib);
    return callback ? admin_doctor(lib, callback, context) : CKR_ARGUMENTS_BAD;
}
static ENTRY(Doctor, (LATCHKEY_FINDING callback, void *context), (callback, context))

    static CK_RV NvRemove_(CK_ULONG handle)
{
    LIBRARY(lib);
    return admin_nv_remove(lib, handle);
}
static ENTRY(NvRemove, (CK_ULONG handle), (handle))

    static CK_RV PinTries_(CK_SLOT_ID slot, CK_ULONG *max, CK_ULONG *left)
{
    LIBRARY(lib);
    return max && left ? admin_pin_tries(lib, slot, max, left) : CKR_ARGUMENTS_BAD;
}
static ENTRY(PinTries, (CK_SLOT_ID slot, CK_ULONG *max, CK_ULONG *left), (slot, max, left))

    static bool readable(const LATCHKEY_TPM_KEY *k)
{
    return k && entry_readable(k->pPublic, k->ulPublicLen) &&
           entry_readable(k->pPrivate, k->ulPrivateLen) && entry_readable(k->pAuth, k->ulAuthLen);
}

static CK_RV KeyAdopt_(CK_SESSION_HANDLE session, LATCHKEY_TPM_KEY *key, CK_ATTRIBUTE_PTR template,
                       CK_ULONG n, CK_OBJECT_HANDLE_PTR ret)
{
    SESSION(s, session);
    if (!readable(key) || !entry_template(template, n) || !ret)
        return CKR_ARGUMENTS_BAD;
    return session_adopt(s, key, template, n, ret);
}
static ENTRY(KeyAdopt,
             (CK_SESSION_HANDLE session, LATCHKEY_TPM_KEY *key, CK_ATTRIBUTE_PTR template,
              CK_ULONG n, CK_OBJECT_HANDLE_PTR ret),
             (session, key, template, n, ret))

    static CK_RV ForeignUnseal_(CK_SESSION_HANDLE session, LATCHKEY_TPM_KEY *object,
                                CK_BYTE_PTR data, CK_ULONG_PTR data_n)
{
    SESSION(s, session);
    if (!readable(object) || !data_n)
        return CKR_ARGUMENTS_BAD;
    return session_unseal_foreign(s, object, data, data_n);
}
static ENTRY(ForeignUnseal,
             (CK_SESSION_HANDLE session, LATCHKEY_TPM_KEY *object, CK_BYTE_PTR data,
              CK_ULONG_PTR data_n),
             (session, object, data, data_n))

    static CK_RV
    KeyRelease_(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, LATCHKEY_TPM_KEY *key)
{
    SESSION(s, session);
    if (!key || !entry_readable(key->pAuth, key->ulAuthLen) || !key->pPublic != !key->pPrivate)
        return CKR_ARGUMENTS_BAD;
    return session_key_out(s, object, key);
}
static ENTRY(KeyRelease,
             (CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, LATCHKEY_TPM_KEY *key),
             (session, object, key))

    LATCHKEY_ADMIN admin_list = {
        .version = {1, 2},
        .TokenDestroy = TokenDestroy,
        .TokenStatus = TokenStatus,
        .TpmStatus = TpmStatus,
        .TpmHarden = TpmHarden,
        .TpmUnlock = TpmUnlock,
        .Doctor = Doctor,
        .NvRemove = NvRemove,
        .PinTries = PinTries,
        .KeyAdopt = KeyAdopt,
        .ForeignUnseal = ForeignUnseal,
        .KeyRelease = KeyRelease,
};
