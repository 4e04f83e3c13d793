/* Known answers of the mechanisms that take a secret key, each with where it was published: what
 * the tests of encryption and of MACs run, in whatever way. */
#ifndef TESTS_VECTORS_H
#define TESTS_VECTORS_H

#include "keys.h"

/* What a mechanism's parameter is made of. */
enum vector_form {
    FORM_NONE,
    FORM_IV,      /* the bytes iv, none where there are none */
    FORM_COUNTER, /* CK_AES_CTR_PARAMS: iv, n bits */
    FORM_GCM,     /* CK_GCM_PARAMS: iv, aad, a tag of n bytes */
    FORM_CCM,     /* CK_CCM_PARAMS: the same */
    FORM_GENERAL, /* CK_MAC_GENERAL_PARAMS: n bytes */
    FORM_TLS,     /* CK_TLS_MAC_PARAMS: SHA-256, 12 bytes, ulServerOrClient n */
};

struct vector {
    CK_MECHANISM_TYPE type;
    CK_KEY_TYPE key_type;
    enum vector_form form;
    CK_ULONG n;
    const char *key, *iv, *aad, *data, *result; /* hexadecimal */
    const char *source;
};

extern const struct vector vectors[];
extern const size_t vector_count;

/* A mechanism with its parameter. Not to be moved: it points into itself. */
struct vector_mechanism {
    CK_MECHANISM mechanism;
    struct blob iv, aad;
    union {
        CK_AES_CTR_PARAMS counter;
        CK_GCM_PARAMS gcm;
        CK_CCM_PARAMS ccm;
        CK_MAC_GENERAL_PARAMS general;
        CK_TLS_MAC_PARAMS tls;
    } as;
};
/* data_n: of the plaintext, which CCM has to know. */
void make_mechanism(struct vector_mechanism *ret, CK_MECHANISM_TYPE type, enum vector_form form,
                    CK_ULONG n, struct blob iv, struct blob aad, CK_ULONG data_n);
void vector_mechanism(const struct vector *v, struct vector_mechanism *ret);

/* "" or NULL: no bytes. */
struct blob unhex(const char *text);

#endif
