#include "signature.h"

#include <openssl/ecdsa.h>

CK_RV ecdsa_to_der(struct buf *signature)
{
    ECDSA_SIG *pair = ECDSA_SIG_new();
    int half = (int)(signature->n / 2);
    BIGNUM *r = BN_bin2bn(signature->p, half, NULL);
    BIGNUM *s = BN_bin2bn(signature->p + half, half, NULL);
    unsigned char *der = NULL;
    if (!pair || !r || !s || !ECDSA_SIG_set0(pair, r, s)) {
        BN_free(r);
        BN_free(s);
        ECDSA_SIG_free(pair);
        return CKR_HOST_MEMORY;
    }
    int n = i2d_ECDSA_SIG(pair, &der);
    CK_RV rv = n > 0 ? buf_set(signature, BYTES(der, n)) : CKR_HOST_MEMORY;
    OPENSSL_free(der);
    ECDSA_SIG_free(pair);
    return rv;
}

CK_RV ecdsa_from_der(size_t size, struct buf *signature)
{
    const unsigned char *at = signature->p;
    struct buf raw = {0};
    uint8_t *room;
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &at, (long)signature->n);
    CK_RV rv = pair && at == signature->p + signature->n ? buf_extend(&raw, 2 * size, &room)
                                                         : CKR_SIGNATURE_INVALID;
    if (rv == CKR_OK && (BN_bn2binpad(ECDSA_SIG_get0_r(pair), room, (int)size) < 0 ||
                         BN_bn2binpad(ECDSA_SIG_get0_s(pair), room + size, (int)size) < 0))
        rv = CKR_SIGNATURE_INVALID;
    ECDSA_SIG_free(pair);
    if (rv == CKR_OK) {
        buf_free(signature);
        *signature = raw;
    } else {
        buf_free(&raw);
    }
    return rv;
}
