/* Keys for the tests, and libcrypto as the second opinion on what the module computes with them. */
#ifndef TESTS_KEYS_H
#define TESTS_KEYS_H

#include "fixture.h"

#include <openssl/evp.h>
#include <openssl/obj_mac.h>

struct key_pair {
    CK_OBJECT_HANDLE public, private;
};

/* The module's answers in one piece; n is what the module said. */
struct blob {
    CK_ULONG n;
    CK_BYTE p[4096];
};

/* Generated on the token (token) or for the session; label also becomes CKA_ID. */
struct key_pair generate_rsa(CK_SESSION_HANDLE session, CK_ULONG bits, const char *label,
                             bool token);
struct key_pair generate_ec(CK_SESSION_HANDLE session, int nid, const char *label, bool token);
/* Group set-up helper: the RSA and EC token keys "rsa2048" and "p256" on the fixture's token. */
int group_keys(void **state);
/* The pair of that label. */
struct key_pair keys_of(CK_SESSION_HANDLE session, const char *label);

/* DER of the curve's name for CKA_EC_PARAMS. */
struct blob ec_params(int nid);

/* Attributes; the call must succeed. */
struct blob get_attribute(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
                          CK_ATTRIBUTE_TYPE type);
CK_ULONG get_ulong(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type);
bool get_bool(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type);
void assert_blob(struct blob blob, const void *p, size_t n);

/* libcrypto's view of a public key object (or of a private one: both carry the public values). */
EVP_PKEY *openssl_key(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object);
/* DER of an ECDSA signature of the form r || s. */
struct blob ecdsa_der(struct blob raw);
/* EVP_PKEY_verify of a digest. pad: RSA_PKCS1_PADDING, RSA_PKCS1_PSS_PADDING or 0 for EC;
 * digest NULL: no DigestInfo. */
bool openssl_verify(EVP_PKEY *key, int pad, const char *digest, int salt, const void *tbs,
                    size_t tbs_n, struct blob signature);
struct blob openssl_digest(const char *name, const void *p, size_t n);

/* One-part operations; the calls must succeed. */
struct blob sign(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key,
                 const void *data, CK_ULONG n);
CK_RV verify(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key,
             const void *data, CK_ULONG n, struct blob signature);

#endif
