/* The token's semantics: slots, sessions, login, objects, operations; what the C ABI calls once it
 * has checked its pointers and found the session. Arguments and return codes are those of the C_
 * function of the same name (PKCS#11 2.40 and 3.0, section 5); pointers are not NULL unless said.
 *
 * Locks, in the order they are taken (ARCHITECTURE.md):
 *   session.mutex      for the length of a call; the session's operations
 *   token.state        read: a call that relies on the login; write: login, logout, refresh
 *   token.objects      short; session objects and the cache of decoded objects
 *   library.registry   a leaf, short: sessions, tokens, their counts
 *   the store's or the TPM's own: leaves, never both at once */
#ifndef TOKEN_TOKEN_H
#define TOKEN_TOKEN_H

#include <base/config.h>
#include <latchkey/admin.h>

struct library;
struct session;

/* config: taken over, also on failure. */
CK_RV library_open(struct config *config, struct library **ret);
void library_close(struct library **lib);
const struct config *library_config(const struct library *lib);
/* In a forked child: drops what must not be shared, frees nothing that the parent's threads may
 * have been changing. */
void library_abandon(struct library **lib);
/* For pthread_atfork. */
void library_before_fork(struct library *lib);
void library_after_fork_parent(struct library *lib);

/* ---- slots and tokens ---------------------------------------------------------------------- */

CK_RV slot_list(struct library *lib, bool present, CK_SLOT_ID *ret, CK_ULONG *count);
CK_RV slot_info(struct library *lib, CK_SLOT_ID slot, CK_SLOT_INFO *ret);
CK_RV token_info(struct library *lib, CK_SLOT_ID slot, CK_TOKEN_INFO *ret);
CK_RV slot_mechanisms(struct library *lib, CK_SLOT_ID slot, CK_MECHANISM_TYPE *ret,
                      CK_ULONG *count);
CK_RV slot_mechanism_info(struct library *lib, CK_SLOT_ID slot, CK_MECHANISM_TYPE type,
                          CK_MECHANISM_INFO *ret);
/* Has a slot got another token, or lost it, since the last call? CKR_NO_EVENT. */
CK_RV slot_event(struct library *lib, CK_SLOT_ID *ret);
/* Events count from the first of these calls on; slot_list and slot_event make it. */
CK_RV slot_events_begin(struct library *lib);
/* label: 32 bytes, padded with blanks. */
CK_RV token_init(struct library *lib, CK_SLOT_ID slot, struct bytes pin, const CK_UTF8CHAR *label);
CK_RV token_destroy(struct library *lib, CK_SLOT_ID slot, struct bytes so_pin, bool force);

/* ---- sessions ------------------------------------------------------------------------------ */

CK_RV session_open(struct library *lib, CK_SLOT_ID slot, CK_FLAGS flags, CK_SESSION_HANDLE *ret);
CK_RV session_close(struct library *lib, CK_SESSION_HANDLE handle);
CK_RV session_close_all(struct library *lib, CK_SLOT_ID slot);
/* The session, locked for this call. CKR_SESSION_HANDLE_INVALID. */
CK_RV session_acquire(struct library *lib, CK_SESSION_HANDLE handle, struct session **ret);
void session_release(struct session **s);
CK_RV session_info(struct session *s, CK_SESSION_INFO *ret);
CK_RV session_login(struct session *s, CK_USER_TYPE user, struct bytes pin);
CK_RV session_logout(struct session *s);
CK_RV session_init_pin(struct session *s, struct bytes pin);
CK_RV session_set_pin(struct session *s, struct bytes old_pin, struct bytes new_pin);
CK_RV session_cancel(struct session *s, CK_FLAGS flags);
CK_RV session_seed_random(struct session *s, struct bytes seed);
CK_RV session_random(struct session *s, CK_BYTE *ret, CK_ULONG n);

/* ---- objects ------------------------------------------------------------------------------- */

CK_RV session_create_object(struct session *s, const CK_ATTRIBUTE *template, CK_ULONG n,
                            CK_OBJECT_HANDLE *ret);
CK_RV session_copy_object(struct session *s, CK_OBJECT_HANDLE object, const CK_ATTRIBUTE *template,
                          CK_ULONG n, CK_OBJECT_HANDLE *ret);
/* What it takes in the store, in bytes. */
CK_RV session_object_size(struct session *s, CK_OBJECT_HANDLE object, CK_ULONG *ret);
CK_RV session_destroy_object(struct session *s, CK_OBJECT_HANDLE object);
CK_RV session_get_attributes(struct session *s, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *template,
                             CK_ULONG n);
CK_RV session_set_attributes(struct session *s, CK_OBJECT_HANDLE object,
                             const CK_ATTRIBUTE *template, CK_ULONG n);
CK_RV session_find_init(struct session *s, const CK_ATTRIBUTE *template, CK_ULONG n);
CK_RV session_find(struct session *s, CK_OBJECT_HANDLE *ret, CK_ULONG max, CK_ULONG *ret_n);
CK_RV session_find_final(struct session *s);
CK_RV session_generate_pair(struct session *s, const CK_MECHANISM *mechanism,
                            const CK_ATTRIBUTE *public_template, CK_ULONG public_n,
                            const CK_ATTRIBUTE *private_template, CK_ULONG private_n,
                            CK_OBJECT_HANDLE *ret_public, CK_OBJECT_HANDLE *ret_private);
CK_RV session_generate_key(struct session *s, const CK_MECHANISM *mechanism,
                           const CK_ATTRIBUTE *template, CK_ULONG n, CK_OBJECT_HANDLE *ret);
/* LATCHKEY_ADMIN's KeyAdopt, ForeignUnseal and KeyRelease. */
CK_RV session_adopt(struct session *s, const LATCHKEY_TPM_KEY *key, const CK_ATTRIBUTE *template,
                    CK_ULONG n, CK_OBJECT_HANDLE *ret);
CK_RV session_unseal_foreign(struct session *s, const LATCHKEY_TPM_KEY *object, CK_BYTE *data,
                             CK_ULONG *data_n);
CK_RV session_key_out(struct session *s, CK_OBJECT_HANDLE key, LATCHKEY_TPM_KEY *ret);
/* aad, tag …: NULL but for C_WrapKeyAuthenticated, whose mechanism has a message's parameter. */
CK_RV session_wrap(struct session *s, const CK_MECHANISM *mechanism, CK_OBJECT_HANDLE wrapping,
                   CK_OBJECT_HANDLE key, const struct bytes *aad, CK_BYTE *out, CK_ULONG *out_n);
CK_RV session_unwrap(struct session *s, const CK_MECHANISM *mechanism, CK_OBJECT_HANDLE unwrapping,
                     struct bytes wrapped, const struct bytes *aad, const CK_ATTRIBUTE *template,
                     CK_ULONG n, CK_OBJECT_HANDLE *ret);
CK_RV session_encapsulate(struct session *s, const CK_MECHANISM *mechanism,
                          CK_OBJECT_HANDLE public_key, const CK_ATTRIBUTE *template, CK_ULONG n,
                          CK_BYTE *out, CK_ULONG *out_n, CK_OBJECT_HANDLE *ret);
CK_RV session_decapsulate(struct session *s, const CK_MECHANISM *mechanism,
                          CK_OBJECT_HANDLE private_key, const CK_ATTRIBUTE *template, CK_ULONG n,
                          struct bytes ciphertext, CK_OBJECT_HANDLE *ret);
/* ret may be NULL where the mechanism's parameter says where the keys' handles go. */
CK_RV session_derive(struct session *s, const CK_MECHANISM *mechanism, CK_OBJECT_HANDLE base,
                     const CK_ATTRIBUTE *template, CK_ULONG n, CK_OBJECT_HANDLE *ret);

/* ---- operations: C_…Init, C_…, C_…Update, C_…Final ----------------------------------------- */

enum op_kind {
    OP_DIGEST,
    OP_SIGN,
    OP_VERIFY,
    OP_ENCRYPT,
    OP_DECRYPT,
    OP_SIGN_RECOVER,
    OP_VERIFY_RECOVER,   /* data: the signature; out: what was signed */
    OP_VERIFY_SIGNATURE, /* 3.2: the signature comes first */
    OP_MESSAGE_ENCRYPT,
    OP_MESSAGE_DECRYPT,
    OP_MESSAGE_SIGN,
    OP_MESSAGE_VERIFY,
    OP_KINDS
};

/* mechanism NULL: ends the active operation (3.0, 5.12.1 and its like). key is not used by digests.
 */
CK_RV op_init(struct session *s, enum op_kind kind, const CK_MECHANISM *mechanism,
              CK_OBJECT_HANDLE key);
/* The one-part call: data in, result out. out NULL asks for the length (2.40, 5.2). */
CK_RV op_once(struct session *s, enum op_kind kind, struct bytes data, CK_BYTE *out,
              CK_ULONG *out_n);
CK_RV op_update(struct session *s, enum op_kind kind, struct bytes data);
CK_RV op_update_out(struct session *s, enum op_kind kind, struct bytes data, CK_BYTE *out,
                    CK_ULONG *out_n);
/* The dual functions: cipher is the one that puts out, other digests, signs or verifies what goes
 * in or (other_gets_out) what comes out. */
CK_RV op_update_both(struct session *s, enum op_kind cipher, enum op_kind other,
                     bool other_gets_out, struct bytes data, CK_BYTE *out, CK_ULONG *out_n);
CK_RV op_digest_key(struct session *s, CK_OBJECT_HANDLE key);
CK_RV op_final(struct session *s, enum op_kind kind, CK_BYTE *out, CK_ULONG *out_n);
/* C_Verify, C_VerifyFinal: final false is the one-part call. */
CK_RV op_verify(struct session *s, bool final, struct bytes data, struct bytes signature);
/* 3.2: C_VerifySignatureInit and what follows. */
CK_RV op_init_signature(struct session *s, const CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key,
                        struct bytes signature);
CK_RV op_verify_signature(struct session *s, bool final, struct bytes data);
/* C_GetOperationState, C_SetOperationState: digests. out NULL asks for the length. */
CK_RV op_save(struct session *s, CK_BYTE *out, CK_ULONG *out_n);
CK_RV op_restore(struct session *s, struct bytes state, CK_OBJECT_HANDLE encryption_key,
                 CK_OBJECT_HANDLE authentication_key);

/* Messages (3.0): kind is one of OP_MESSAGE_…. parameter is the caller's struct, read and written.
 */
CK_RV op_message_init(struct session *s, enum op_kind kind, const CK_MECHANISM *mechanism,
                      CK_OBJECT_HANDLE key);
CK_RV op_message_final(struct session *s, enum op_kind kind);
CK_RV op_message(struct session *s, enum op_kind kind, void *parameter, CK_ULONG parameter_n,
                 struct bytes aad, struct bytes in, CK_BYTE *out, CK_ULONG *out_n);
CK_RV op_message_begin(struct session *s, enum op_kind kind, void *parameter, CK_ULONG parameter_n,
                       struct bytes aad);
CK_RV op_message_next(struct session *s, enum op_kind kind, void *parameter, CK_ULONG parameter_n,
                      struct bytes in, bool last, CK_BYTE *out, CK_ULONG *out_n);
CK_RV op_sign_message(struct session *s, const void *parameter, struct bytes data, CK_BYTE *out,
                      CK_ULONG *out_n);
CK_RV op_sign_message_begin(struct session *s, enum op_kind kind, const void *parameter);
CK_RV op_sign_message_next(struct session *s, struct bytes data, bool last, CK_BYTE *out,
                           CK_ULONG *out_n);
CK_RV op_verify_message(struct session *s, const void *parameter, struct bytes data,
                        struct bytes signature);
CK_RV op_verify_message_next(struct session *s, struct bytes data, bool last,
                             struct bytes signature);
/* A call with bad arguments ends the operation (2.40, 5.2), as every error does. */
CK_RV op_abort(struct session *s, enum op_kind kind, CK_RV rv);

/* ---- the vendor interface (latchkey/admin.h) ------------------------------------------------- */

CK_RV admin_token_status(struct library *lib, CK_SLOT_ID slot, LATCHKEY_TOKEN_STATUS *ret);
CK_RV admin_tpm_status(struct library *lib, LATCHKEY_TPM_STATUS *ret);
CK_RV admin_harden(struct library *lib, struct bytes old_code, struct bytes code,
                   CK_ULONG max_tries, CK_ULONG interval, CK_ULONG recovery);
CK_RV admin_unlock(struct library *lib, struct bytes code);
CK_RV admin_doctor(struct library *lib, LATCHKEY_FINDING callback, void *context);
CK_RV admin_pin_tries(struct library *lib, CK_SLOT_ID slot, CK_ULONG *ret_max, CK_ULONG *ret_left);
CK_RV admin_nv_remove(struct library *lib, CK_ULONG handle);

#endif
