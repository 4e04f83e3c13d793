#include "entry.h"

/* Digest, sign, verify, encrypt, decrypt: 2.40, 5.8 to 5.12. The state machine is in token/op.c. */

static CK_RV init(CK_SESSION_HANDLE session, enum op_kind kind, const CK_MECHANISM *mechanism,
                  CK_OBJECT_HANDLE key)
{
    SESSION(s, session);
    if (mechanism && !entry_readable(mechanism->pParameter, mechanism->ulParameterLen))
        return CKR_MECHANISM_PARAM_INVALID;
    return op_init(s, kind, mechanism, key);
}

static CK_RV once(CK_SESSION_HANDLE session, enum op_kind kind, const void *data, CK_ULONG n,
                  CK_BYTE *out, CK_ULONG *out_n)
{
    SESSION(s, session);
    if (!out_n || !entry_readable(data, n))
        return op_abort(s, kind, CKR_ARGUMENTS_BAD);
    return op_once(s, kind, BYTES(data, n), out, out_n);
}

static CK_RV update(CK_SESSION_HANDLE session, enum op_kind kind, const void *data, CK_ULONG n)
{
    SESSION(s, session);
    if (!entry_readable(data, n))
        return op_abort(s, kind, CKR_ARGUMENTS_BAD);
    return op_update(s, kind, BYTES(data, n));
}

/* C_EncryptUpdate, C_DecryptUpdate: the mechanisms here put everything out at the end. */
static CK_RV update_out(CK_SESSION_HANDLE session, enum op_kind kind, const void *data, CK_ULONG n,
                        CK_BYTE *out, CK_ULONG *out_n)
{
    SESSION(s, session);
    if (!out_n || !entry_readable(data, n))
        return op_abort(s, kind, CKR_ARGUMENTS_BAD);
    *out_n = 0;
    return out ? op_update(s, kind, BYTES(data, n)) : op_update(s, kind, NO_BYTES);
}

static CK_RV final(CK_SESSION_HANDLE session, enum op_kind kind, CK_BYTE *out, CK_ULONG *out_n)
{
    SESSION(s, session);
    return out_n ? op_final(s, kind, out, out_n) : op_abort(s, kind, CKR_ARGUMENTS_BAD);
}

static CK_RV verify(CK_SESSION_HANDLE session, bool is_final, const void *data, CK_ULONG n,
                    const void *signature, CK_ULONG signature_n)
{
    SESSION(s, session);
    if (!entry_readable(data, n) || !signature || !entry_readable(signature, signature_n))
        return op_abort(s, OP_VERIFY, CKR_ARGUMENTS_BAD);
    return op_verify(s, is_final, BYTES(data, n), BYTES(signature, signature_n));
}

#define INIT(name, kind)                                                                           \
    CK_RV name(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)           \
    {                                                                                              \
        return entry_trace(#name, init(session, kind, mechanism, key));                            \
    }
#define ONCE(name, kind)                                                                           \
    CK_RV name(CK_SESSION_HANDLE session, unsigned char *data, CK_ULONG n, unsigned char *out,     \
               CK_ULONG *out_n)                                                                    \
    {                                                                                              \
        return entry_trace(#name, once(session, kind, data, n, out, out_n));                       \
    }
#define UPDATE(name, kind)                                                                         \
    CK_RV name(CK_SESSION_HANDLE session, unsigned char *data, CK_ULONG n)                         \
    {                                                                                              \
        return entry_trace(#name, update(session, kind, data, n));                                 \
    }
#define UPDATE_OUT(name, kind)                                                                     \
    CK_RV name(CK_SESSION_HANDLE session, unsigned char *data, CK_ULONG n, unsigned char *out,     \
               CK_ULONG *out_n)                                                                    \
    {                                                                                              \
        return entry_trace(#name, update_out(session, kind, data, n, out, out_n));                 \
    }
#define FINAL(name, kind)                                                                          \
    CK_RV name(CK_SESSION_HANDLE session, unsigned char *out, CK_ULONG *out_n)                     \
    {                                                                                              \
        return entry_trace(#name, final(session, kind, out, out_n));                               \
    }

CK_RV C_DigestInit(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism)
{
    return entry_trace("C_DigestInit", init(session, OP_DIGEST, mechanism, CK_INVALID_HANDLE));
}
ONCE(C_Digest, OP_DIGEST)
UPDATE(C_DigestUpdate, OP_DIGEST)
FINAL(C_DigestFinal, OP_DIGEST)

INIT(C_SignInit, OP_SIGN)
ONCE(C_Sign, OP_SIGN)
UPDATE(C_SignUpdate, OP_SIGN)
FINAL(C_SignFinal, OP_SIGN)

INIT(C_EncryptInit, OP_ENCRYPT)
ONCE(C_Encrypt, OP_ENCRYPT)
UPDATE_OUT(C_EncryptUpdate, OP_ENCRYPT)
FINAL(C_EncryptFinal, OP_ENCRYPT)

INIT(C_DecryptInit, OP_DECRYPT)
ONCE(C_Decrypt, OP_DECRYPT)
UPDATE_OUT(C_DecryptUpdate, OP_DECRYPT)
FINAL(C_DecryptFinal, OP_DECRYPT)

INIT(C_VerifyInit, OP_VERIFY)
UPDATE(C_VerifyUpdate, OP_VERIFY)

CK_RV C_Verify(CK_SESSION_HANDLE session, unsigned char *data, CK_ULONG n, unsigned char *signature,
               CK_ULONG signature_n)
{
    return entry_trace("C_Verify", verify(session, false, data, n, signature, signature_n));
}

CK_RV C_VerifyFinal(CK_SESSION_HANDLE session, unsigned char *signature, CK_ULONG signature_n)
{
    return entry_trace("C_VerifyFinal", verify(session, true, NULL, 0, signature, signature_n));
}

INIT(C_SignRecoverInit, OP_SIGN_RECOVER)
ONCE(C_SignRecover, OP_SIGN_RECOVER)
INIT(C_VerifyRecoverInit, OP_VERIFY_RECOVER)
ONCE(C_VerifyRecover, OP_VERIFY_RECOVER)
