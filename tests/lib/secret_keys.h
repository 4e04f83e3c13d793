/* Secret keys in each of their places, operations over them in parts of any size, and libcrypto's
 * opinion of the results. */
#ifndef TESTS_SECRET_KEYS_H
#define TESTS_SECRET_KEYS_H

#include "keys.h"

enum place { IN_SESSION, IN_SESSION_TPM, IN_TPM, SEALED, PLACES };
extern const char *const place_name[PLACES];

/* Does it hold such a key? The TPM has no AES-192, SHA-224 or SHA-3, and no longer HMAC keys. */
bool place_holds(enum place place, CK_KEY_TYPE type, CK_ULONG n);
/* C_CreateObject with every usage; a sealed key is extractable. The call must succeed. */
CK_OBJECT_HANDLE import_key(CK_SESSION_HANDLE session, enum place place, CK_KEY_TYPE type,
                            const void *value, CK_ULONG n);
/* The same with attributes of the caller's own; CKA_CLASS, CKA_KEY_TYPE and CKA_VALUE are added. */
CK_RV create_key(CK_SESSION_HANDLE session, CK_KEY_TYPE type, const void *value, CK_ULONG n,
                 const CK_ATTRIBUTE *more, CK_ULONG more_n, CK_OBJECT_HANDLE *ret);

/* ---- operations ---------------------------------------------------------------------------- */

/* Numbers that are the same in every run. */
CK_ULONG draw(uint32_t *seed, CK_ULONG below);
void fill(CK_BYTE *p, size_t n, uint32_t seed);
/* The next part of what is left: blocks, KiB and their neighbours among them. */
CK_ULONG next_part(uint32_t *seed, CK_ULONG left);

/* Init, and then all at once (seed 0) or in parts, some in place and some after a question for the
 * length or a short buffer. out has room for n + 64 bytes. */
CK_RV crypt(CK_SESSION_HANDLE session, bool encrypt, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key,
            const CK_BYTE *in, CK_ULONG n, uint32_t seed, CK_BYTE *out, CK_ULONG *out_n);
/* A MAC, likewise; the calls must succeed. */
struct blob sign_parts(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key,
                       const CK_BYTE *in, CK_ULONG n, uint32_t seed);
CK_RV verify_parts(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key,
                   const CK_BYTE *in, CK_ULONG n, uint32_t seed, struct blob mac);
/* No operation of the session is active: whatever was refused left nothing behind. */
void assert_idle(CK_SESSION_HANDLE session);

/* ---- libcrypto ----------------------------------------------------------------------------- */

/* mode: "CBC" …; ret has room for n + 16 bytes. */
CK_ULONG evp_encrypt(const char *mode, bool padding, const CK_BYTE *key, CK_ULONG key_n,
                     const CK_BYTE *iv, const CK_BYTE *in, CK_ULONG n, CK_BYTE *ret);
/* mode: "GCM" or "CCM"; ret: the ciphertext, and the tag of tag_n bytes behind it. */
void evp_seal(const char *mode, const CK_BYTE *key, CK_ULONG key_n, const CK_BYTE *iv,
              CK_ULONG iv_n, const CK_BYTE *aad, CK_ULONG aad_n, CK_ULONG tag_n, const CK_BYTE *in,
              CK_ULONG n, CK_BYTE *ret);
/* name: "HMAC" with a digest, "CMAC" or "GMAC" with a cipher; iv NULL: none. */
struct blob evp_mac(const char *name, const char *with, const void *key, CK_ULONG key_n,
                    const void *iv, CK_ULONG iv_n, const void *in, CK_ULONG n);

#endif
