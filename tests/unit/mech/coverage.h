/* Which test program cross-checks which mechanism. test_table.c fails when a row of the table is in
 * no list; each program fails when one of its list was not checked. */
#ifndef COVERAGE_H
#define COVERAGE_H

#include <latchkey/cryptoki.h>

/* test_rsa.c */
static const CK_MECHANISM_TYPE rsa_covered[] = {
    CKM_RSA_PKCS_KEY_PAIR_GEN,
    CKM_RSA_PKCS,
    CKM_RSA_X_509,
    CKM_RSA_PKCS_OAEP,
    CKM_SHA1_RSA_PKCS,
    CKM_SHA224_RSA_PKCS,
    CKM_SHA256_RSA_PKCS,
    CKM_SHA384_RSA_PKCS,
    CKM_SHA512_RSA_PKCS,
    CKM_RSA_PKCS_PSS,
    CKM_SHA1_RSA_PKCS_PSS,
    CKM_SHA224_RSA_PKCS_PSS,
    CKM_SHA256_RSA_PKCS_PSS,
    CKM_SHA384_RSA_PKCS_PSS,
    CKM_SHA512_RSA_PKCS_PSS,
};

/* test_ec.c */
static const CK_MECHANISM_TYPE ec_covered[] = {
    CKM_EC_KEY_PAIR_GEN, CKM_ECDSA,        CKM_ECDSA_SHA1,
    CKM_ECDSA_SHA224,    CKM_ECDSA_SHA256, CKM_ECDSA_SHA384,
    CKM_ECDSA_SHA512,    CKM_ECDH1_DERIVE, CKM_ECDH1_COFACTOR_DERIVE,
};

/* test_aes.c */
static const CK_MECHANISM_TYPE aes_covered[] = {
    CKM_AES_ECB, CKM_AES_CBC,    CKM_AES_CBC_PAD, CKM_AES_CTR,
    CKM_AES_OFB, CKM_AES_CFB128, CKM_AES_CFB8,
};

/* test_aead.c */
static const CK_MECHANISM_TYPE aead_covered[] = {
    CKM_AES_GCM,
    CKM_AES_CCM,
};

/* test_mac.c */
static const CK_MECHANISM_TYPE mac_covered[] = {
    CKM_AES_CMAC,
    CKM_AES_CMAC_GENERAL,
    CKM_AES_GMAC,
    CKM_SHA_1_HMAC,
    CKM_SHA_1_HMAC_GENERAL,
    CKM_SHA224_HMAC,
    CKM_SHA224_HMAC_GENERAL,
    CKM_SHA256_HMAC,
    CKM_SHA256_HMAC_GENERAL,
    CKM_SHA384_HMAC,
    CKM_SHA384_HMAC_GENERAL,
    CKM_SHA512_HMAC,
    CKM_SHA512_HMAC_GENERAL,
    CKM_SHA3_224_HMAC,
    CKM_SHA3_224_HMAC_GENERAL,
    CKM_SHA3_256_HMAC,
    CKM_SHA3_256_HMAC_GENERAL,
    CKM_SHA3_384_HMAC,
    CKM_SHA3_384_HMAC_GENERAL,
    CKM_SHA3_512_HMAC,
    CKM_SHA3_512_HMAC_GENERAL,
};

/* test_table.c */
static const CK_MECHANISM_TYPE key_gen_covered[] = {
    CKM_AES_KEY_GEN,      CKM_GENERIC_SECRET_KEY_GEN, CKM_SHA_1_KEY_GEN,    CKM_SHA224_KEY_GEN,
    CKM_SHA256_KEY_GEN,   CKM_SHA384_KEY_GEN,         CKM_SHA512_KEY_GEN,   CKM_SHA3_224_KEY_GEN,
    CKM_SHA3_256_KEY_GEN, CKM_SHA3_384_KEY_GEN,       CKM_SHA3_512_KEY_GEN,
};
static const CK_MECHANISM_TYPE digest_covered[] = {
    CKM_SHA_1,    CKM_SHA224,   CKM_SHA256,   CKM_SHA384,   CKM_SHA512,
    CKM_SHA3_224, CKM_SHA3_256, CKM_SHA3_384, CKM_SHA3_512,
};

#endif
