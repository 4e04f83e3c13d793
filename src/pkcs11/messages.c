#include "entry.h"

/* Message-based operations: 3.0, 5.9, 5.11, 5.14 and 5.16. */

static CK_RV init(CK_SESSION_HANDLE session, enum op_kind kind, const CK_MECHANISM *mechanism,
                  CK_OBJECT_HANDLE key)
{
    SESSION(s, session);
    TRY(entry_parameter(mechanism));
    return op_message_init(s, kind, mechanism, key);
}

static CK_RV final(CK_SESSION_HANDLE session, enum op_kind kind)
{
    SESSION(s, session);
    return op_message_final(s, kind);
}

static CK_RV one_message(CK_SESSION_HANDLE session, enum op_kind kind, void *parameter,
                         CK_ULONG parameter_n, const CK_BYTE *aad, CK_ULONG aad_n,
                         const CK_BYTE *in, CK_ULONG in_n, CK_BYTE *out, CK_ULONG *out_n)
{
    SESSION(s, session);
    if (!out_n || !entry_readable(parameter, parameter_n) || !entry_readable(aad, aad_n) ||
        !entry_readable(in, in_n))
        return CKR_ARGUMENTS_BAD;
    return op_message(s, kind, parameter, parameter_n, BYTES(aad, aad_n), BYTES(in, in_n), out,
                      out_n);
}

static CK_RV begin(CK_SESSION_HANDLE session, enum op_kind kind, void *parameter,
                   CK_ULONG parameter_n, const CK_BYTE *aad, CK_ULONG aad_n)
{
    SESSION(s, session);
    if (!entry_readable(parameter, parameter_n) || !entry_readable(aad, aad_n))
        return CKR_ARGUMENTS_BAD;
    return op_message_begin(s, kind, parameter, parameter_n, BYTES(aad, aad_n));
}

static CK_RV next(CK_SESSION_HANDLE session, enum op_kind kind, void *parameter,
                  CK_ULONG parameter_n, const CK_BYTE *in, CK_ULONG in_n, CK_BYTE *out,
                  CK_ULONG *out_n, CK_FLAGS flags)
{
    SESSION(s, session);
    if (!out_n || !entry_readable(parameter, parameter_n) || !entry_readable(in, in_n))
        return CKR_ARGUMENTS_BAD;
    return op_message_next(s, kind, parameter, parameter_n, BYTES(in, in_n),
                           flags & CKF_END_OF_MESSAGE, out, out_n);
}

#define INIT(name, kind)                                                                           \
    CK_RV name(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE key)        \
    {                                                                                              \
        return entry_trace(#name, init(session, kind, mechanism, key));                            \
    }
#define FINAL(name, kind)                                                                          \
    CK_RV name(CK_SESSION_HANDLE session)                                                          \
    {                                                                                              \
        return entry_trace(#name, final(session, kind));                                           \
    }
#define CRYPT(name, kind)                                                                          \
    CK_RV name(CK_SESSION_HANDLE session, CK_VOID_PTR parameter, CK_ULONG parameter_n,             \
               CK_BYTE_PTR aad, CK_ULONG aad_n, CK_BYTE_PTR in, CK_ULONG in_n, CK_BYTE_PTR out,    \
               CK_ULONG_PTR out_n)                                                                 \
    {                                                                                              \
        return entry_trace(#name, one_message(session, kind, parameter, parameter_n, aad, aad_n,   \
                                              in, in_n, out, out_n));                              \
    }
#define BEGIN(name, kind)                                                                          \
    CK_RV name(CK_SESSION_HANDLE session, CK_VOID_PTR parameter, CK_ULONG parameter_n,             \
               CK_BYTE_PTR aad, CK_ULONG aad_n)                                                    \
    {                                                                                              \
        return entry_trace(#name, begin(session, kind, parameter, parameter_n, aad, aad_n));       \
    }
#define NEXT(name, kind)                                                                           \
    CK_RV name(CK_SESSION_HANDLE session, CK_VOID_PTR parameter, CK_ULONG parameter_n,             \
               CK_BYTE_PTR in, CK_ULONG in_n, CK_BYTE_PTR out, CK_ULONG_PTR out_n, CK_FLAGS flags) \
    {                                                                                              \
        return entry_trace(                                                                        \
            #name, next(session, kind, parameter, parameter_n, in, in_n, out, out_n, flags));      \
    }

INIT(C_MessageEncryptInit, OP_MESSAGE_ENCRYPT)
CRYPT(C_EncryptMessage, OP_MESSAGE_ENCRYPT)
BEGIN(C_EncryptMessageBegin, OP_MESSAGE_ENCRYPT)
NEXT(C_EncryptMessageNext, OP_MESSAGE_ENCRYPT)
FINAL(C_MessageEncryptFinal, OP_MESSAGE_ENCRYPT)

INIT(C_MessageDecryptInit, OP_MESSAGE_DECRYPT)
CRYPT(C_DecryptMessage, OP_MESSAGE_DECRYPT)
BEGIN(C_DecryptMessageBegin, OP_MESSAGE_DECRYPT)
NEXT(C_DecryptMessageNext, OP_MESSAGE_DECRYPT)
FINAL(C_MessageDecryptFinal, OP_MESSAGE_DECRYPT)

/* ---- signatures: the parameter of a message has no meaning for any mechanism here ----------- */

INIT(C_MessageSignInit, OP_MESSAGE_SIGN)
FINAL(C_MessageSignFinal, OP_MESSAGE_SIGN)
INIT(C_MessageVerifyInit, OP_MESSAGE_VERIFY)
FINAL(C_MessageVerifyFinal, OP_MESSAGE_VERIFY)

static CK_RV C_SignMessage_(CK_SESSION_HANDLE session, CK_VOID_PTR parameter, CK_ULONG parameter_n,
                            CK_BYTE_PTR data, CK_ULONG n, CK_BYTE_PTR out, CK_ULONG_PTR out_n)
{
    SESSION(s, session);
    if (!out_n || !entry_readable(data, n))
        return CKR_ARGUMENTS_BAD;
    return op_sign_message(s, parameter_n ? parameter : NULL, BYTES(data, n), out, out_n);
}
ENTRY(C_SignMessage,
      (CK_SESSION_HANDLE session, CK_VOID_PTR parameter, CK_ULONG parameter_n, CK_BYTE_PTR data,
       CK_ULONG n, CK_BYTE_PTR out, CK_ULONG_PTR out_n),
      (session, parameter, parameter_n, data, n, out, out_n))

static CK_RV sign_begin(CK_SESSION_HANDLE session, enum op_kind kind, const void *parameter,
                        CK_ULONG parameter_n)
{
    SESSION(s, session);
    return op_sign_message_begin(s, kind, parameter_n ? parameter : NULL);
}

CK_RV C_SignMessageBegin(CK_SESSION_HANDLE session, CK_VOID_PTR parameter, CK_ULONG parameter_n)
{
    return entry_trace("C_SignMessageBegin",
                       sign_begin(session, OP_MESSAGE_SIGN, parameter, parameter_n));
}

/* 3.0, 5.14.4: the last part is the one that has a place for the signature's length. */
static CK_RV C_SignMessageNext_(CK_SESSION_HANDLE session, CK_VOID_PTR parameter,
                                CK_ULONG parameter_n, CK_BYTE_PTR data, CK_ULONG n, CK_BYTE_PTR out,
                                CK_ULONG_PTR out_n)
{
    SESSION(s, session);
    (void)parameter;
    (void)parameter_n;
    if (!entry_readable(data, n))
        return CKR_ARGUMENTS_BAD;
    return op_sign_message_next(s, BYTES(data, n), out_n != NULL, out, out_n);
}
ENTRY(C_SignMessageNext,
      (CK_SESSION_HANDLE session, CK_VOID_PTR parameter, CK_ULONG parameter_n, CK_BYTE_PTR data,
       CK_ULONG n, CK_BYTE_PTR out, CK_ULONG_PTR out_n),
      (session, parameter, parameter_n, data, n, out, out_n))

static CK_RV C_VerifyMessage_(CK_SESSION_HANDLE session, CK_VOID_PTR parameter,
                              CK_ULONG parameter_n, CK_BYTE_PTR data, CK_ULONG n,
                              CK_BYTE_PTR signature, CK_ULONG signature_n)
{
    SESSION(s, session);
    if (!entry_readable(data, n) || !signature || !entry_readable(signature, signature_n))
        return CKR_ARGUMENTS_BAD;
    return op_verify_message(s, parameter_n ? parameter : NULL, BYTES(data, n),
                             BYTES(signature, signature_n));
}
ENTRY(C_VerifyMessage,
      (CK_SESSION_HANDLE session, CK_VOID_PTR parameter, CK_ULONG parameter_n, CK_BYTE_PTR data,
       CK_ULONG n, CK_BYTE_PTR signature, CK_ULONG signature_n),
      (session, parameter, parameter_n, data, n, signature, signature_n))

CK_RV C_VerifyMessageBegin(CK_SESSION_HANDLE session, CK_VOID_PTR parameter, CK_ULONG parameter_n)
{
    return entry_trace("C_VerifyMessageBegin",
                       sign_begin(session, OP_MESSAGE_VERIFY, parameter, parameter_n));
}

static CK_RV C_VerifyMessageNext_(CK_SESSION_HANDLE session, CK_VOID_PTR parameter,
                                  CK_ULONG parameter_n, CK_BYTE_PTR data, CK_ULONG n,
                                  CK_BYTE_PTR signature, CK_ULONG signature_n)
{
    SESSION(s, session);
    (void)parameter;
    (void)parameter_n;
    if (!entry_readable(data, n) || !entry_readable(signature, signature_n))
        return CKR_ARGUMENTS_BAD;
    return op_verify_message_next(s, BYTES(data, n), signature != NULL,
                                  BYTES(signature, signature_n));
}
ENTRY(C_VerifyMessageNext,
      (CK_SESSION_HANDLE session, CK_VOID_PTR parameter, CK_ULONG parameter_n, CK_BYTE_PTR data,
       CK_ULONG n, CK_BYTE_PTR signature, CK_ULONG signature_n),
      (session, parameter, parameter_n, data, n, signature, signature_n))
