/* Keys that come from outside: libcrypto makes them, templates carry their numbers, and libcrypto
 * says whether the module's object is the same key. */
#ifndef TESTS_MATERIAL_H
#define TESTS_MATERIAL_H

#include "keys.h"

/* kind: "RSA-2048" and its like, "RSA-2048-e3", "P-256" and its like, "ED25519", "X25519", "ED448",
 * "X448". */
EVP_PKEY *make_key(const char *kind);
struct blob random_blob(CK_ULONG n);
/* DER PrivateKeyInfo. */
struct blob pkcs8_of(EVP_PKEY *key);
/* A number of the key by the name of its OSSL_PKEY_PARAM, unsigned; RSA's only. */
struct blob rsa_number(EVP_PKEY *key, const char *name);
/* Uncompressed point or the bytes of RFC 8032 and 7748; scalar as long as the order, or such bytes.
 */
struct blob public_point(EVP_PKEY *key);
struct blob private_value(EVP_PKEY *key);
/* DER OCTET STRING around it, as CKA_EC_POINT has it. */
struct blob octet_string(struct blob content);

/* A template that owns its values. Points into itself: not to be copied. */
struct parts {
    CK_ULONG n;
    CK_ATTRIBUTE v[32];
    struct blob value[32];
};

/* Adds the attribute, or puts it in the place of that type's. */
void set_part(struct parts *p, CK_ATTRIBUTE a);
void drop_part(struct parts *p, CK_ATTRIBUTE_TYPE type);
struct blob *part(struct parts *p, CK_ATTRIBUTE_TYPE type);
/* What makes up the key, with all usages its type has; a session object. */
void private_parts(EVP_PKEY *key, struct parts *ret);
void public_parts(EVP_PKEY *key, struct parts *ret);
void secret_parts(CK_KEY_TYPE type, struct blob value, struct parts *ret);
CK_RV create(struct parts *p, CK_OBJECT_HANDLE *ret);

/* The key of fx.session does what libcrypto does with this one: signs, decrypts, agrees. */
void assert_same_private(CK_OBJECT_HANDLE object, EVP_PKEY *key);
/* AES: encrypts alike; others: HMAC-SHA256 is the same, or that of the type's hash. */
void assert_same_secret(CK_OBJECT_HANDLE object, struct blob value);
/* CKA_LATCHKEY_PROTECTION */
void assert_protection(CK_OBJECT_HANDLE object, const char *protection);

/* Does any file of the store contain these bytes? */
bool store_carries(const void *p, size_t n);

#endif
