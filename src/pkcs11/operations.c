#include "entry.h"

/* Digest, sign, verify, encrypt, decrypt: 2.40, 5.8 to 5.12. The state machine is in token/op.c. */

static CK_RV init(CK_SESSION_HANDLE session, enum op_kind kind, const CK_MECHANISM *mechanism,
                  CK_OBJECT_HANDLE key)
{
    SESSION(s, session);
    TRY(entry_parameter(mechanism));
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

static CK_RV update_out(CK_SESSION_HANDLE session, enum op_kind kind, const void *data, CK_ULONG n,
                        CK_BYTE *out, CK_ULONG *out_n)
{
    SESSION(s, session);
    if (!out_n || !entry_readable(data, n))
        return op_abort(s, kind, CKR_ARGUMENTS_BAD);
    return op_update_out(s, kind, BYTES(data, n), out, out_n);
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

/* ---- two operations at once ---------------------------------------------------------------- */

static CK_RV both(CK_SESSION_HANDLE session, enum op_kind cipher, enum op_kind other,
                  const void *data, CK_ULONG n, CK_BYTE *out, CK_ULONG *out_n)
{
    SESSION(s, session);
    if (!out_n || !entry_readable(data, n)) {
        op_abort(s, other, CKR_ARGUMENTS_BAD);
        return op_abort(s, cipher, CKR_ARGUMENTS_BAD);
    }
    return op_update_both(s, cipher, other, cipher == OP_DECRYPT, BYTES(data, n), out, out_n);
}

#define BOTH(name, cipher, other)                                                                  \
    CK_RV name(CK_SESSION_HANDLE session, unsigned char *data, CK_ULONG n, unsigned char *out,     \
               CK_ULONG *out_n)                                                                    \
    {                                                                                              \
        return entry_trace(#name, both(session, cipher, other, data, n, out, out_n));              \
    }

BOTH(C_DigestEncryptUpdate, OP_ENCRYPT, OP_DIGEST)
BOTH(C_DecryptDigestUpdate, OP_DECRYPT, OP_DIGEST)
BOTH(C_SignEncryptUpdate, OP_ENCRYPT, OP_SIGN)
BOTH(C_DecryptVerifyUpdate, OP_DECRYPT, OP_VERIFY)

static CK_RV C_DigestKey_(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key)
{
    SESSION(s, session);
    return op_digest_key(s, key);
}
ENTRY(C_DigestKey, (CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key), (session, key))

static CK_RV C_GetOperationState_(CK_SESSION_HANDLE session, unsigned char *state, CK_ULONG *n)
{
    SESSION(s, session);
    return n ? op_save(s, state, n) : CKR_ARGUMENTS_BAD;
}
ENTRY(C_GetOperationState, (CK_SESSION_HANDLE session, unsigned char *state, CK_ULONG *n),
      (session, state, n))

static CK_RV C_SetOperationState_(CK_SESSION_HANDLE session, unsigned char *state, CK_ULONG n,
                                  CK_OBJECT_HANDLE encryption_key,
                                  CK_OBJECT_HANDLE authentication_key)
{
    SESSION(s, session);
    if (!state || !entry_readable(state, n))
        return CKR_ARGUMENTS_BAD;
    return op_restore(s, BYTES(state, n), encryption_key, authentication_key);
}
ENTRY(C_SetOperationState,
      (CK_SESSION_HANDLE session, unsigned char *state, CK_ULONG n, CK_OBJECT_HANDLE encryption_key,
       CK_OBJECT_HANDLE authentication_key),
      (session, state, n, encryption_key, authentication_key))

/* ---- 3.2: the signature first -------------------------------------------------------------- */

static CK_RV C_VerifySignatureInit_(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism,
                                    CK_OBJECT_HANDLE key, CK_BYTE_PTR signature,
                                    CK_ULONG signature_n)
{
    SESSION(s, session);
    if (mechanism && (!signature || !entry_readable(signature, signature_n)))
        return CKR_ARGUMENTS_BAD;
    TRY(entry_parameter(mechanism));
    return op_init_signature(s, mechanism, key, BYTES(signature, signature_n));
}
ENTRY(C_VerifySignatureInit,
      (CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE key,
       CK_BYTE_PTR signature, CK_ULONG signature_n),
      (session, mechanism, key, signature, signature_n))

static CK_RV verify_signature(CK_SESSION_HANDLE session, bool is_final, const void *data,
                              CK_ULONG n)
{
    SESSION(s, session);
    if (!entry_readable(data, n))
        return op_abort(s, OP_VERIFY_SIGNATURE, CKR_ARGUMENTS_BAD);
    return op_verify_signature(s, is_final, BYTES(data, n));
}

CK_RV C_VerifySignature(CK_SESSION_HANDLE session, CK_BYTE_PTR data, CK_ULONG n)
{
    return entry_trace("C_VerifySignature", verify_signature(session, false, data, n));
}
UPDATE(C_VerifySignatureUpdate, OP_VERIFY_SIGNATURE)
CK_RV C_VerifySignatureFinal(CK_SESSION_HANDLE session)
{
    return entry_trace("C_VerifySignatureFinal", verify_signature(session, true, NULL, 0));
}
