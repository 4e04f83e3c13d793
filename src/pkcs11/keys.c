#include "entry.h"

/* Key management: 2.40, 5.13, and what 3.2 adds in 5.18. */

static CK_RV C_GenerateKey_(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism,
                            CK_ATTRIBUTE *template, CK_ULONG n, CK_OBJECT_HANDLE *key)
{
    SESSION(s, session);
    if (!mechanism || !entry_template(template, n) || !key)
        return CKR_ARGUMENTS_BAD;
    TRY(entry_parameter(mechanism));
    return session_generate_key(s, mechanism, template, n, key);
}
ENTRY(C_GenerateKey,
      (CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_ATTRIBUTE *template, CK_ULONG n,
       CK_OBJECT_HANDLE *key),
      (session, mechanism, template, n, key))

static CK_RV C_GenerateKeyPair_(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism,
                                CK_ATTRIBUTE *public_template, CK_ULONG public_n,
                                CK_ATTRIBUTE *private_template, CK_ULONG private_n,
                                CK_OBJECT_HANDLE *public_key, CK_OBJECT_HANDLE *private_key)
{
    SESSION(s, session);
    if (!mechanism || !entry_template(public_template, public_n) ||
        !entry_template(private_template, private_n) || !public_key || !private_key)
        return CKR_ARGUMENTS_BAD;
    TRY(entry_parameter(mechanism));
    return session_generate_pair(s, mechanism, public_template, public_n, private_template,
                                 private_n, public_key, private_key);
}
ENTRY(C_GenerateKeyPair,
      (CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_ATTRIBUTE *public_template,
       CK_ULONG public_n, CK_ATTRIBUTE *private_template, CK_ULONG private_n,
       CK_OBJECT_HANDLE *public_key, CK_OBJECT_HANDLE *private_key),
      (session, mechanism, public_template, public_n, private_template, private_n, public_key,
       private_key))

static CK_RV C_WrapKey_(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism,
                        CK_OBJECT_HANDLE wrapping, CK_OBJECT_HANDLE key, unsigned char *out,
                        CK_ULONG *out_n)
{
    SESSION(s, session);
    if (!mechanism || !out_n)
        return CKR_ARGUMENTS_BAD;
    TRY(entry_parameter(mechanism));
    return session_wrap(s, mechanism, wrapping, key, NULL, out, out_n);
}
ENTRY(C_WrapKey,
      (CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE wrapping,
       CK_OBJECT_HANDLE key, unsigned char *out, CK_ULONG *out_n),
      (session, mechanism, wrapping, key, out, out_n))

static CK_RV C_UnwrapKey_(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism,
                          CK_OBJECT_HANDLE unwrapping, unsigned char *wrapped, CK_ULONG wrapped_n,
                          CK_ATTRIBUTE *template, CK_ULONG n, CK_OBJECT_HANDLE *key)
{
    SESSION(s, session);
    if (!mechanism || !wrapped || !entry_readable(wrapped, wrapped_n) ||
        !entry_template(template, n) || !key)
        return CKR_ARGUMENTS_BAD;
    TRY(entry_parameter(mechanism));
    return session_unwrap(s, mechanism, unwrapping, BYTES(wrapped, wrapped_n), NULL, template, n,
                          key);
}
ENTRY(C_UnwrapKey,
      (CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE unwrapping,
       unsigned char *wrapped, CK_ULONG wrapped_n, CK_ATTRIBUTE *template, CK_ULONG n,
       CK_OBJECT_HANDLE *key),
      (session, mechanism, unwrapping, wrapped, wrapped_n, template, n, key))

/* phKey may be NULL where the mechanism's parameter has places for the handles (2.40, 2.39.6). */
static CK_RV C_DeriveKey_(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE base,
                          CK_ATTRIBUTE *template, CK_ULONG n, CK_OBJECT_HANDLE *key)
{
    SESSION(s, session);
    if (!mechanism || !entry_template(template, n))
        return CKR_ARGUMENTS_BAD;
    TRY(entry_parameter(mechanism));
    return session_derive(s, mechanism, base, template, n, key);
}
ENTRY(C_DeriveKey,
      (CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE base,
       CK_ATTRIBUTE *template, CK_ULONG n, CK_OBJECT_HANDLE *key),
      (session, mechanism, base, template, n, key))

/* ---- 3.2 ----------------------------------------------------------------------------------- */

static CK_RV C_WrapKeyAuthenticated_(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism,
                                     CK_OBJECT_HANDLE wrapping, CK_OBJECT_HANDLE key,
                                     CK_BYTE_PTR aad, CK_ULONG aad_n, CK_BYTE_PTR out,
                                     CK_ULONG_PTR out_n)
{
    SESSION(s, session);
    if (!mechanism || !entry_readable(aad, aad_n) || !out_n)
        return CKR_ARGUMENTS_BAD;
    TRY(entry_parameter(mechanism));
    return session_wrap(s, mechanism, wrapping, key, &BYTES(aad, aad_n), out, out_n);
}
ENTRY(C_WrapKeyAuthenticated,
      (CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE wrapping,
       CK_OBJECT_HANDLE key, CK_BYTE_PTR aad, CK_ULONG aad_n, CK_BYTE_PTR out, CK_ULONG_PTR out_n),
      (session, mechanism, wrapping, key, aad, aad_n, out, out_n))

static CK_RV C_UnwrapKeyAuthenticated_(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism,
                                       CK_OBJECT_HANDLE unwrapping, CK_BYTE_PTR wrapped,
                                       CK_ULONG wrapped_n, CK_ATTRIBUTE_PTR template, CK_ULONG n,
                                       CK_BYTE_PTR aad, CK_ULONG aad_n, CK_OBJECT_HANDLE_PTR key)
{
    SESSION(s, session);
    if (!mechanism || !wrapped || !entry_readable(wrapped, wrapped_n) ||
        !entry_template(template, n) || !entry_readable(aad, aad_n) || !key)
        return CKR_ARGUMENTS_BAD;
    TRY(entry_parameter(mechanism));
    return session_unwrap(s, mechanism, unwrapping, BYTES(wrapped, wrapped_n), &BYTES(aad, aad_n),
                          template, n, key);
}
ENTRY(C_UnwrapKeyAuthenticated,
      (CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE unwrapping,
       CK_BYTE_PTR wrapped, CK_ULONG wrapped_n, CK_ATTRIBUTE_PTR template, CK_ULONG n,
       CK_BYTE_PTR aad, CK_ULONG aad_n, CK_OBJECT_HANDLE_PTR key),
      (session, mechanism, unwrapping, wrapped, wrapped_n, template, n, aad, aad_n, key))

static CK_RV C_EncapsulateKey_(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism,
                               CK_OBJECT_HANDLE public_key, CK_ATTRIBUTE_PTR template, CK_ULONG n,
                               CK_BYTE_PTR out, CK_ULONG_PTR out_n, CK_OBJECT_HANDLE_PTR key)
{
    SESSION(s, session);
    if (!mechanism || !entry_template(template, n) || !out_n || (out && !key))
        return CKR_ARGUMENTS_BAD;
    TRY(entry_parameter(mechanism));
    return session_encapsulate(s, mechanism, public_key, template, n, out, out_n, key);
}
ENTRY(C_EncapsulateKey,
      (CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE public_key,
       CK_ATTRIBUTE_PTR template, CK_ULONG n, CK_BYTE_PTR out, CK_ULONG_PTR out_n,
       CK_OBJECT_HANDLE_PTR key),
      (session, mechanism, public_key, template, n, out, out_n, key))

static CK_RV C_DecapsulateKey_(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism,
                               CK_OBJECT_HANDLE private_key, CK_ATTRIBUTE_PTR template, CK_ULONG n,
                               CK_BYTE_PTR ciphertext, CK_ULONG ciphertext_n,
                               CK_OBJECT_HANDLE_PTR key)
{
    SESSION(s, session);
    if (!mechanism || !entry_template(template, n) || !ciphertext ||
        !entry_readable(ciphertext, ciphertext_n) || !key)
        return CKR_ARGUMENTS_BAD;
    TRY(entry_parameter(mechanism));
    return session_decapsulate(s, mechanism, private_key, template, n,
                               BYTES(ciphertext, ciphertext_n), key);
}
ENTRY(C_DecapsulateKey,
      (CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE private_key,
       CK_ATTRIBUTE_PTR template, CK_ULONG n, CK_BYTE_PTR ciphertext, CK_ULONG ciphertext_n,
       CK_OBJECT_HANDLE_PTR key),
      (session, mechanism, private_key, template, n, ciphertext, ciphertext_n, key))
