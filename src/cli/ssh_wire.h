/* How SSH writes keys and signatures (RFC 4251, section 5, and the RFC of each type of key). */
#ifndef CLI_SSH_WIRE_H
#define CLI_SSH_WIRE_H

#include <openssl/evp.h>
#include "cli.h"

CK_RV ssh_put_string(struct buf *out, struct bytes bytes);
/* A number that is not negative; big-endian, with any number of zeros in front. */
CK_RV ssh_put_number(struct buf *out, struct bytes number);
/* Takes a string from the front of *in. False, and *in unchanged, when it is too short. */
bool ssh_take_string(struct bytes *in, struct bytes *ret);
/* A label as a comment: control characters become '?', so that none begins another line. */
CK_RV ssh_put_comment(struct buf *out, const char *label);

/* "ssh-ed25519" and the like; NULL: OpenSSH has no keys of this type. */
const char *ssh_type_of(EVP_PKEY *key);
/* Appends the public key with its type in front. CKR_KEY_TYPE_INCONSISTENT: it has none. */
CK_RV ssh_put_key(struct buf *out, EVP_PKEY *key);

/* How a type of key signs. */
struct ssh_algorithm {
    const char *type;            /* of the key */
    uint32_t flag;               /* of the request that asks for it; 0: the only one */
    const char *name;            /* of the signature */
    CK_MECHANISM_TYPE mechanism; /* without a parameter */
    int hash;                    /* NID of the hash made here; 0: the mechanism takes the message */
};
/* NULL: there is none for these flags. */
const struct ssh_algorithm *ssh_algorithm_of(const char *type, uint32_t flags);
/* Appends a signature as PKCS#11 makes it, with the algorithm's name in front. */
CK_RV ssh_put_signature(struct buf *out, const struct ssh_algorithm *algorithm,
                        struct bytes signature);

#endif
