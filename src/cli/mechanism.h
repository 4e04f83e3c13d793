/* The mechanisms the verbs use, by name and by key. */
#ifndef CLI_MECHANISM_H
#define CLI_MECHANISM_H

#include <openssl/evp.h>
#include "object.h"

enum mechanism_use { USE_SIGN, USE_ENCRYPT, USE_WRAP, USES };

/* What a mechanism's parameter is made of. */
enum mechanism_parameter {
    PARAMETER_NONE,
    PARAMETER_IV,      /* 16 bytes, in front of the output */
    PARAMETER_GCM,     /* a nonce of 12 bytes, in front of the output; the tag is 16 bytes */
    PARAMETER_PSS,     /* salt as long as the hash */
    PARAMETER_OAEP,    /* no label, MGF1 with the same hash */
    PARAMETER_RSA_AES, /* the same OAEP, and an AES key of 256 bits */
};

struct mechanism {
    enum mechanism_use use;
    const char *name; /* as --mechanism takes it */
    CK_KEY_TYPE key;  /* that it works with */
    CK_MECHANISM_TYPE type;
    enum mechanism_parameter parameter;
    int hash;               /* NID; 0: none */
    CK_OBJECT_CLASS target; /* of wrapping: what it can carry; 0: every key */
};

/* --mechanism's row, or the first one for a key of this type that the token has. target: of
 * wrapping, the class that is to be carried, else 0. Tells of a failure. */
CK_RV mechanism_choose(struct cli *cli, enum mechanism_use use, CK_KEY_TYPE key,
                       CK_OBJECT_CLASS target, const struct mechanism **ret);

/* Room for a mechanism and what its parameter points to; may not be moved. */
struct mechanism_room {
    CK_MECHANISM m;
    uint8_t iv[16];
    size_t iv_len; /* 0: it has none */
    CK_BYTE aad[16];
    CK_ULONG aad_len;
    union {
        CK_GCM_PARAMS gcm;
        CK_RSA_PKCS_PSS_PARAMS pss;
        CK_RSA_AES_KEY_WRAP_PARAMS rsa_aes;
    };
    CK_RSA_PKCS_OAEP_PARAMS oaep;
};
/* iv stays as it is: fill it in before use. */
void mechanism_fill(const struct mechanism *mechanism, struct mechanism_room *ret);
/* Of a parameter with an IV; 0 without. */
size_t mechanism_iv(const struct mechanism *mechanism);
/* A fresh one. */
CK_RV mechanism_new_iv(struct mechanism_room *room);

#endif
