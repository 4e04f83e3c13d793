/* Cryptoki as this project sees it: p11-kit's pkcs11.h (2.40) and what PKCS#11 3.0, 3.1 and 3.2
 * add. Every addition yields to a header that already has it, so a newer p11-kit wins. Values:
 * OASIS PKCS#11 Specification 3.0 to 3.2, header files pkcs11t.h and pkcs11f.h. */
#ifndef LATCHKEY_CRYPTOKI_H
#define LATCHKEY_CRYPTOKI_H

/* Some parameters have other members in p11-kit's header for 3.2 than in that of OASIS (pMac for
 * pMAC, nonce for pNonce, no pSharedData): its types get out of the way of those below. So this
 * header comes before those of p11-kit. */
#define CK_ECDH_AES_KEY_WRAP_PARAMS          P11_KIT_ECDH_AES_KEY_WRAP_PARAMS
#define CK_ECDH_AES_KEY_WRAP_PARAMS_PTR      P11_KIT_ECDH_AES_KEY_WRAP_PARAMS_PTR
#define CK_CCM_PARAMS                        P11_KIT_CCM_PARAMS
#define CK_CCM_PARAMS_PTR                    P11_KIT_CCM_PARAMS_PTR
#define CK_CCM_MESSAGE_PARAMS                P11_KIT_CCM_MESSAGE_PARAMS
#define CK_CCM_MESSAGE_PARAMS_PTR            P11_KIT_CCM_MESSAGE_PARAMS_PTR
#define CK_DERIVED_KEY                       P11_KIT_DERIVED_KEY
#define CK_DERIVED_KEY_PTR                   P11_KIT_DERIVED_KEY_PTR
#define CK_SP800_108_KDF_PARAMS              P11_KIT_SP800_108_KDF_PARAMS
#define CK_SP800_108_KDF_PARAMS_PTR          P11_KIT_SP800_108_KDF_PARAMS_PTR
#define CK_SP800_108_FEEDBACK_KDF_PARAMS     P11_KIT_SP800_108_FEEDBACK_KDF_PARAMS
#define CK_SP800_108_FEEDBACK_KDF_PARAMS_PTR P11_KIT_SP800_108_FEEDBACK_KDF_PARAMS_PTR
#include <p11-kit/pkcs11.h>
#undef CK_ECDH_AES_KEY_WRAP_PARAMS
#undef CK_ECDH_AES_KEY_WRAP_PARAMS_PTR
#undef CK_CCM_PARAMS
#undef CK_CCM_PARAMS_PTR
#undef CK_CCM_MESSAGE_PARAMS
#undef CK_CCM_MESSAGE_PARAMS_PTR
#undef CK_DERIVED_KEY
#undef CK_DERIVED_KEY_PTR
#undef CK_SP800_108_KDF_PARAMS
#undef CK_SP800_108_KDF_PARAMS_PTR
#undef CK_SP800_108_FEEDBACK_KDF_PARAMS
#undef CK_SP800_108_FEEDBACK_KDF_PARAMS_PTR

#ifndef CK_UNAVAILABLE_INFORMATION
#define CK_UNAVAILABLE_INFORMATION (~0UL)
#endif

/* ---- objects and profiles */
#ifndef CKO_PROFILE
#define CKO_PROFILE 0x00000009UL
#endif
#ifndef CKO_VALIDATION
#define CKO_VALIDATION 0x0000000aUL
#define CKO_TRUST      0x0000000bUL
#endif
#ifndef CKP_INVALID_ID
#define CKP_INVALID_ID                0x00000000UL
#define CKP_BASELINE_PROVIDER         0x00000001UL
#define CKP_EXTENDED_PROVIDER         0x00000002UL
#define CKP_AUTHENTICATION_TOKEN      0x00000003UL
#define CKP_PUBLIC_CERTIFICATES_TOKEN 0x00000004UL
#define CKP_VENDOR_DEFINED            0x80000000UL
#endif
#ifndef CKP_COMPLETE_PROVIDER
#define CKP_COMPLETE_PROVIDER 0x00000005UL
#define CKP_HKDF_TLS_TOKEN    0x00000006UL
#endif

/* ---- key types */
#ifndef CKK_EC_MONTGOMERY
#define CKK_EC_MONTGOMERY 0x00000041UL
#endif
#ifndef CKK_CHACHA20
#define CKK_CHACHA20 0x00000033UL
#define CKK_POLY1305 0x00000034UL
#define CKK_SALSA20  0x0000003eUL
#endif
#ifndef CKK_AES_XTS
#define CKK_AES_XTS          0x00000035UL
#define CKK_SHA3_224_HMAC    0x00000036UL
#define CKK_SHA3_256_HMAC    0x00000037UL
#define CKK_SHA3_384_HMAC    0x00000038UL
#define CKK_SHA3_512_HMAC    0x00000039UL
#define CKK_BLAKE2B_160_HMAC 0x0000003aUL
#define CKK_BLAKE2B_256_HMAC 0x0000003bUL
#define CKK_BLAKE2B_384_HMAC 0x0000003cUL
#define CKK_BLAKE2B_512_HMAC 0x0000003dUL
#define CKK_X2RATCHET        0x0000003fUL
#endif
#ifndef CKK_HKDF
#define CKK_HKDF            0x00000042UL
#define CKK_SHA512_224_HMAC 0x00000043UL
#define CKK_SHA512_256_HMAC 0x00000044UL
#define CKK_SHA512_T_HMAC   0x00000045UL
#define CKK_HSS             0x00000046UL
#endif
#ifndef CKK_XMSS
#define CKK_XMSS    0x00000047UL
#define CKK_XMSSMT  0x00000048UL
#define CKK_ML_KEM  0x00000049UL
#define CKK_ML_DSA  0x0000004aUL
#define CKK_SLH_DSA 0x0000004bUL
#endif

/* ---- attributes (without CKA_TRUST_*, names that p11-kit gives to the numbers of NSS) */
#ifndef CKA_UNIQUE_ID
#define CKA_UNIQUE_ID 0x00000004UL
#endif
#ifndef CKA_PROFILE_ID
#define CKA_PROFILE_ID 0x00000601UL
#endif
#ifndef CKA_SUBPRIME_BITS
#define CKA_SUBPRIME_BITS 0x00000134UL
#endif
#ifndef CKA_HSS_LEVELS
#define CKA_HSS_LEVELS         0x00000617UL
#define CKA_HSS_LMS_TYPE       0x00000618UL
#define CKA_HSS_LMOTS_TYPE     0x00000619UL
#define CKA_HSS_LMS_TYPES      0x0000061aUL
#define CKA_HSS_LMOTS_TYPES    0x0000061bUL
#define CKA_HSS_KEYS_REMAINING 0x0000061cUL
#endif
#ifndef CKA_PARAMETER_SET
#define CKA_PARAMETER_SET                     0x0000061dUL
#define CKA_OBJECT_VALIDATION_FLAGS           0x0000061eUL
#define CKA_VALIDATION_TYPE                   0x0000061fUL
#define CKA_VALIDATION_VERSION                0x00000620UL
#define CKA_VALIDATION_LEVEL                  0x00000621UL
#define CKA_VALIDATION_MODULE_ID              0x00000622UL
#define CKA_VALIDATION_FLAG                   0x00000623UL
#define CKA_VALIDATION_AUTHORITY_TYPE         0x00000624UL
#define CKA_VALIDATION_COUNTRY                0x00000625UL
#define CKA_VALIDATION_CERTIFICATE_IDENTIFIER 0x00000626UL
#define CKA_VALIDATION_CERTIFICATE_URI        0x00000627UL
#define CKA_VALIDATION_VENDOR_URI             0x00000628UL
#define CKA_VALIDATION_PROFILE                0x00000629UL
#define CKA_ENCAPSULATE                       0x00000633UL
#define CKA_DECAPSULATE                       0x00000634UL
#define CKA_HASH_OF_CERTIFICATE               0x00000635UL
#define CKA_PUBLIC_CRC64_VALUE                0x00000636UL
#define CKA_SEED                              0x00000637UL
#endif

/* ---- mechanisms: digests, HMAC, and the keys for them */
#ifndef CKM_SHA3_256
#define CKM_SHA3_256              0x000002b0UL
#define CKM_SHA3_256_HMAC         0x000002b1UL
#define CKM_SHA3_256_HMAC_GENERAL 0x000002b2UL
#define CKM_SHA3_256_KEY_GEN      0x000002b3UL
#define CKM_SHA3_224              0x000002b5UL
#define CKM_SHA3_224_HMAC         0x000002b6UL
#define CKM_SHA3_224_HMAC_GENERAL 0x000002b7UL
#define CKM_SHA3_224_KEY_GEN      0x000002b8UL
#define CKM_SHA3_384              0x000002c0UL
#define CKM_SHA3_384_HMAC         0x000002c1UL
#define CKM_SHA3_384_HMAC_GENERAL 0x000002c2UL
#define CKM_SHA3_384_KEY_GEN      0x000002c3UL
#define CKM_SHA3_512              0x000002d0UL
#define CKM_SHA3_512_HMAC         0x000002d1UL
#define CKM_SHA3_512_HMAC_GENERAL 0x000002d2UL
#define CKM_SHA3_512_KEY_GEN      0x000002d3UL
#endif
#ifndef CKM_SHA3_256_KEY_DERIVATION
#define CKM_SHA3_256_KEY_DERIVATION  0x00000397UL
#define CKM_SHA3_224_KEY_DERIVATION  0x00000398UL
#define CKM_SHA3_384_KEY_DERIVATION  0x00000399UL
#define CKM_SHA3_512_KEY_DERIVATION  0x0000039aUL
#define CKM_SHAKE_128_KEY_DERIVATION 0x0000039bUL
#define CKM_SHAKE_256_KEY_DERIVATION 0x0000039cUL
#endif
#ifndef CKM_SHA_1_KEY_GEN
#define CKM_SHA_1_KEY_GEN      0x00004003UL
#define CKM_SHA224_KEY_GEN     0x00004004UL
#define CKM_SHA256_KEY_GEN     0x00004005UL
#define CKM_SHA384_KEY_GEN     0x00004006UL
#define CKM_SHA512_KEY_GEN     0x00004007UL
#define CKM_SHA512_224_KEY_GEN 0x00004008UL
#define CKM_SHA512_256_KEY_GEN 0x00004009UL
#define CKM_SHA512_T_KEY_GEN   0x0000400aUL
#define CKM_NULL               0x0000400bUL
#endif
#ifndef CKM_BLAKE2B_160
#define CKM_BLAKE2B_160              0x0000400cUL
#define CKM_BLAKE2B_160_HMAC         0x0000400dUL
#define CKM_BLAKE2B_160_HMAC_GENERAL 0x0000400eUL
#define CKM_BLAKE2B_160_KEY_DERIVE   0x0000400fUL
#define CKM_BLAKE2B_160_KEY_GEN      0x00004010UL
#define CKM_BLAKE2B_256              0x00004011UL
#define CKM_BLAKE2B_256_HMAC         0x00004012UL
#define CKM_BLAKE2B_256_HMAC_GENERAL 0x00004013UL
#define CKM_BLAKE2B_256_KEY_DERIVE   0x00004014UL
#define CKM_BLAKE2B_256_KEY_GEN      0x00004015UL
#define CKM_BLAKE2B_384              0x00004016UL
#define CKM_BLAKE2B_384_HMAC         0x00004017UL
#define CKM_BLAKE2B_384_HMAC_GENERAL 0x00004018UL
#define CKM_BLAKE2B_384_KEY_DERIVE   0x00004019UL
#define CKM_BLAKE2B_384_KEY_GEN      0x0000401aUL
#define CKM_BLAKE2B_512              0x0000401bUL
#define CKM_BLAKE2B_512_HMAC         0x0000401cUL
#define CKM_BLAKE2B_512_HMAC_GENERAL 0x0000401dUL
#define CKM_BLAKE2B_512_KEY_DERIVE   0x0000401eUL
#define CKM_BLAKE2B_512_KEY_GEN      0x0000401fUL
#endif

/* ---- mechanisms: signatures */
#ifndef CKM_SHA3_256_RSA_PKCS
#define CKM_SHA3_256_RSA_PKCS     0x00000060UL
#define CKM_SHA3_384_RSA_PKCS     0x00000061UL
#define CKM_SHA3_512_RSA_PKCS     0x00000062UL
#define CKM_SHA3_256_RSA_PKCS_PSS 0x00000063UL
#define CKM_SHA3_384_RSA_PKCS_PSS 0x00000064UL
#define CKM_SHA3_512_RSA_PKCS_PSS 0x00000065UL
#define CKM_SHA3_224_RSA_PKCS     0x00000066UL
#define CKM_SHA3_224_RSA_PKCS_PSS 0x00000067UL
#endif
#ifndef CKM_ECDSA_SHA3_224
#define CKM_ECDSA_SHA3_224 0x00001047UL
#define CKM_ECDSA_SHA3_256 0x00001048UL
#define CKM_ECDSA_SHA3_384 0x00001049UL
#define CKM_ECDSA_SHA3_512 0x0000104aUL
#endif
#ifndef CKM_DSA_SHA3_224
#define CKM_DSA_SHA3_224 0x00000018UL
#define CKM_DSA_SHA3_256 0x00000019UL
#define CKM_DSA_SHA3_384 0x0000001aUL
#define CKM_DSA_SHA3_512 0x0000001bUL
#endif
#ifndef CKM_EC_MONTGOMERY_KEY_PAIR_GEN
#define CKM_EC_MONTGOMERY_KEY_PAIR_GEN 0x00001056UL
#endif
#ifndef CKM_XEDDSA
#define CKM_XEDDSA 0x00004029UL
#endif
#ifndef CKM_EC_KEY_PAIR_GEN_W_EXTRA_BITS
#define CKM_EC_KEY_PAIR_GEN_W_EXTRA_BITS 0x0000140bUL
#endif
#ifndef CKM_HSS_KEY_PAIR_GEN
#define CKM_HSS_KEY_PAIR_GEN 0x00004032UL
#define CKM_HSS              0x00004033UL
#endif
#ifndef CKM_XMSS_KEY_PAIR_GEN
#define CKM_XMSS_KEY_PAIR_GEN   0x00004034UL
#define CKM_XMSSMT_KEY_PAIR_GEN 0x00004035UL
#define CKM_XMSS                0x00004036UL
#define CKM_XMSSMT              0x00004037UL
#endif
#ifndef CKM_ML_DSA_KEY_PAIR_GEN
#define CKM_ML_DSA_KEY_PAIR_GEN  0x0000001cUL
#define CKM_ML_DSA               0x0000001dUL
#define CKM_HASH_ML_DSA          0x0000001fUL
#define CKM_HASH_ML_DSA_SHA224   0x00000023UL
#define CKM_HASH_ML_DSA_SHA256   0x00000024UL
#define CKM_HASH_ML_DSA_SHA384   0x00000025UL
#define CKM_HASH_ML_DSA_SHA512   0x00000026UL
#define CKM_HASH_ML_DSA_SHA3_224 0x00000027UL
#define CKM_HASH_ML_DSA_SHA3_256 0x00000028UL
#define CKM_HASH_ML_DSA_SHA3_384 0x00000029UL
#define CKM_HASH_ML_DSA_SHA3_512 0x0000002aUL
#define CKM_HASH_ML_DSA_SHAKE128 0x0000002bUL
#define CKM_HASH_ML_DSA_SHAKE256 0x0000002cUL
#endif
#ifndef CKM_ML_DSA_EXTERNAL_MU_GEN
#define CKM_ML_DSA_EXTERNAL_MU_GEN 0x0000403bUL
#define CKM_ML_DSA_EXTERNAL_MU     0x0000403cUL
#endif
#ifndef CKM_SLH_DSA_KEY_PAIR_GEN
#define CKM_SLH_DSA_KEY_PAIR_GEN  0x0000002dUL
#define CKM_SLH_DSA               0x0000002eUL
#define CKM_HASH_SLH_DSA          0x00000034UL
#define CKM_HASH_SLH_DSA_SHA224   0x00000036UL
#define CKM_HASH_SLH_DSA_SHA256   0x00000037UL
#define CKM_HASH_SLH_DSA_SHA384   0x00000038UL
#define CKM_HASH_SLH_DSA_SHA512   0x00000039UL
#define CKM_HASH_SLH_DSA_SHA3_224 0x0000003aUL
#define CKM_HASH_SLH_DSA_SHA3_256 0x0000003bUL
#define CKM_HASH_SLH_DSA_SHA3_384 0x0000003cUL
#define CKM_HASH_SLH_DSA_SHA3_512 0x0000003dUL
#define CKM_HASH_SLH_DSA_SHAKE128 0x0000003eUL
#define CKM_HASH_SLH_DSA_SHAKE256 0x0000003fUL
#endif

/* ---- mechanisms: ciphers and wrapping */
#ifndef CKM_AES_XTS
#define CKM_AES_XTS         0x00001071UL
#define CKM_AES_XTS_KEY_GEN 0x00001072UL
#endif
#ifndef CKM_AES_KEY_WRAP_KWP
#define CKM_AES_KEY_WRAP_KWP   0x0000210bUL
#define CKM_AES_KEY_WRAP_PKCS7 0x0000210cUL
#endif
#ifndef CKM_CHACHA20_KEY_GEN
#define CKM_CHACHA20_KEY_GEN 0x00001225UL
#define CKM_CHACHA20         0x00001226UL
#define CKM_POLY1305_KEY_GEN 0x00001227UL
#define CKM_POLY1305         0x00001228UL
#endif
#ifndef CKM_SALSA20
#define CKM_SALSA20              0x00004020UL
#define CKM_CHACHA20_POLY1305    0x00004021UL
#define CKM_SALSA20_POLY1305     0x00004022UL
#define CKM_X3DH_INITIALIZE      0x00004023UL
#define CKM_X3DH_RESPOND         0x00004024UL
#define CKM_X2RATCHET_INITIALIZE 0x00004025UL
#define CKM_X2RATCHET_RESPOND    0x00004026UL
#define CKM_X2RATCHET_ENCRYPT    0x00004027UL
#define CKM_X2RATCHET_DECRYPT    0x00004028UL
#define CKM_SALSA20_KEY_GEN      0x0000402dUL
#endif
#ifndef CKM_ECDH_X_AES_KEY_WRAP
#define CKM_ECDH_X_AES_KEY_WRAP   0x00004038UL
#define CKM_ECDH_COF_AES_KEY_WRAP 0x00004039UL
#define CKM_PUB_KEY_FROM_PRIV_KEY 0x0000403aUL
#endif
#ifndef CKM_ML_KEM_KEY_PAIR_GEN
#define CKM_ML_KEM_KEY_PAIR_GEN 0x0000000fUL
#define CKM_ML_KEM              0x00000017UL
#endif

/* ---- mechanisms: derivation */
#ifndef CKM_SP800_108_COUNTER_KDF
#define CKM_SP800_108_COUNTER_KDF         0x000003acUL
#define CKM_SP800_108_FEEDBACK_KDF        0x000003adUL
#define CKM_SP800_108_DOUBLE_PIPELINE_KDF 0x000003aeUL
#endif
#ifndef CKM_HKDF_DERIVE
#define CKM_HKDF_DERIVE  0x0000402aUL
#define CKM_HKDF_DATA    0x0000402bUL
#define CKM_HKDF_KEY_GEN 0x0000402cUL
#endif
#ifndef CKM_IKE2_PRF_PLUS_DERIVE
#define CKM_IKE2_PRF_PLUS_DERIVE 0x0000402eUL
#define CKM_IKE_PRF_DERIVE       0x0000402fUL
#define CKM_IKE1_PRF_DERIVE      0x00004030UL
#define CKM_IKE1_EXTENDED_DERIVE 0x00004031UL
#endif
#ifndef CKM_TLS12_EXTENDED_MASTER_KEY_DERIVE
#define CKM_TLS12_EXTENDED_MASTER_KEY_DERIVE    0x00000056UL
#define CKM_TLS12_EXTENDED_MASTER_KEY_DERIVE_DH 0x00000057UL
#endif
#ifndef CKM_DSA_PROBABILISTIC_PARAMETER_GEN
#define CKM_DSA_PROBABILISTIC_PARAMETER_GEN 0x00002003UL
#endif
#ifndef CKM_DSA_FIPS_G_GEN
#define CKM_DSA_FIPS_G_GEN 0x00002005UL
#endif
#ifndef CKM_KEA_DERIVE
#define CKM_KEA_DERIVE 0x00001012UL
#endif

/* ---- values inside mechanism parameters */
#ifndef CKG_MGF1_SHA3_224
#define CKG_MGF1_SHA3_224 0x00000006UL
#define CKG_MGF1_SHA3_256 0x00000007UL
#define CKG_MGF1_SHA3_384 0x00000008UL
#define CKG_MGF1_SHA3_512 0x00000009UL
#endif
#ifndef CKG_NO_GENERATE
#define CKG_NO_GENERATE          0x00000000UL
#define CKG_GENERATE             0x00000001UL
#define CKG_GENERATE_COUNTER     0x00000002UL
#define CKG_GENERATE_RANDOM      0x00000003UL
#define CKG_GENERATE_COUNTER_XOR 0x00000004UL
#endif
#ifndef CKD_SHA3_224_KDF
#define CKD_SHA3_224_KDF       0x0000000aUL
#define CKD_SHA3_256_KDF       0x0000000bUL
#define CKD_SHA3_384_KDF       0x0000000cUL
#define CKD_SHA3_512_KDF       0x0000000dUL
#define CKD_SHA1_KDF_SP800     0x0000000eUL
#define CKD_SHA224_KDF_SP800   0x0000000fUL
#define CKD_SHA256_KDF_SP800   0x00000010UL
#define CKD_SHA384_KDF_SP800   0x00000011UL
#define CKD_SHA512_KDF_SP800   0x00000012UL
#define CKD_SHA3_224_KDF_SP800 0x00000013UL
#define CKD_SHA3_256_KDF_SP800 0x00000014UL
#define CKD_SHA3_384_KDF_SP800 0x00000015UL
#define CKD_SHA3_512_KDF_SP800 0x00000016UL
#define CKD_BLAKE2B_160_KDF    0x00000017UL
#define CKD_BLAKE2B_256_KDF    0x00000018UL
#define CKD_BLAKE2B_384_KDF    0x00000019UL
#define CKD_BLAKE2B_512_KDF    0x0000001aUL
#endif
#ifndef CKZ_SALT_SPECIFIED
#define CKZ_SALT_SPECIFIED 0x00000001UL
#endif
#ifndef CKP_PKCS5_PBKD2_HMAC_SHA1
#define CKP_PKCS5_PBKD2_HMAC_SHA1       0x00000001UL
#define CKP_PKCS5_PBKD2_HMAC_GOSTR3411  0x00000002UL
#define CKP_PKCS5_PBKD2_HMAC_SHA224     0x00000003UL
#define CKP_PKCS5_PBKD2_HMAC_SHA256     0x00000004UL
#define CKP_PKCS5_PBKD2_HMAC_SHA384     0x00000005UL
#define CKP_PKCS5_PBKD2_HMAC_SHA512     0x00000006UL
#define CKP_PKCS5_PBKD2_HMAC_SHA512_224 0x00000007UL
#define CKP_PKCS5_PBKD2_HMAC_SHA512_256 0x00000008UL
#endif
#ifndef CK_SP800_108_ITERATION_VARIABLE
#define CK_SP800_108_ITERATION_VARIABLE         0x00000001UL
#define CK_SP800_108_COUNTER                    0x00000002UL
#define CK_SP800_108_DKM_LENGTH                 0x00000003UL
#define CK_SP800_108_BYTE_ARRAY                 0x00000004UL
#define CK_SP800_108_KEY_HANDLE                 0x00000005UL
#define CK_SP800_108_DKM_LENGTH_SUM_OF_KEYS     0x00000001UL
#define CK_SP800_108_DKM_LENGTH_SUM_OF_SEGMENTS 0x00000002UL
#endif
#ifndef CKF_HKDF_SALT_NULL
#define CKF_HKDF_SALT_NULL 0x00000001UL
#define CKF_HKDF_SALT_DATA 0x00000002UL
#define CKF_HKDF_SALT_KEY  0x00000004UL
#endif
#ifndef CKP_ML_DSA_44
#define CKP_ML_DSA_44 0x00000001UL
#define CKP_ML_DSA_65 0x00000002UL
#define CKP_ML_DSA_87 0x00000003UL
#endif
#ifndef CKP_SLH_DSA_SHA2_128S
#define CKP_SLH_DSA_SHA2_128S  0x00000001UL
#define CKP_SLH_DSA_SHAKE_128S 0x00000002UL
#define CKP_SLH_DSA_SHA2_128F  0x00000003UL
#define CKP_SLH_DSA_SHAKE_128F 0x00000004UL
#define CKP_SLH_DSA_SHA2_192S  0x00000005UL
#define CKP_SLH_DSA_SHAKE_192S 0x00000006UL
#define CKP_SLH_DSA_SHA2_192F  0x00000007UL
#define CKP_SLH_DSA_SHAKE_192F 0x00000008UL
#define CKP_SLH_DSA_SHA2_256S  0x00000009UL
#define CKP_SLH_DSA_SHAKE_256S 0x0000000aUL
#define CKP_SLH_DSA_SHA2_256F  0x0000000bUL
#define CKP_SLH_DSA_SHAKE_256F 0x0000000cUL
#endif
#ifndef CKP_ML_KEM_512
#define CKP_ML_KEM_512  0x00000001UL
#define CKP_ML_KEM_768  0x00000002UL
#define CKP_ML_KEM_1024 0x00000003UL
#endif

/* ---- flags */
#ifndef CKF_MESSAGE_ENCRYPT
#define CKF_MESSAGE_ENCRYPT 0x00000002UL
#define CKF_MESSAGE_DECRYPT 0x00000004UL
#define CKF_MESSAGE_SIGN    0x00000008UL
#define CKF_MESSAGE_VERIFY  0x00000010UL
#endif
#ifndef CKF_MULTI_MESSAGE
#define CKF_MULTI_MESSAGE 0x00000020UL
#endif
#ifndef CKF_FIND_OBJECTS
#define CKF_FIND_OBJECTS 0x00000040UL
#endif
#ifndef CKF_END_OF_MESSAGE
#define CKF_END_OF_MESSAGE 0x00000001UL
#endif
#ifndef CKF_EC_F_2M
#define CKF_EC_F_2M         0x00200000UL
#define CKF_EC_ECPARAMETERS 0x00400000UL
#endif
#ifndef CKF_EC_OID
#define CKF_EC_OID 0x00800000UL
#endif
#ifndef CKF_EC_CURVENAME
#define CKF_EC_CURVENAME 0x04000000UL
#endif
#ifndef CKF_ENCAPSULATE
#define CKF_ENCAPSULATE 0x10000000UL
#define CKF_DECAPSULATE 0x20000000UL
#endif
#ifndef CKF_INTERFACE_FORK_SAFE
#define CKF_INTERFACE_FORK_SAFE 0x00000001UL
#endif
#ifndef CKF_ERROR_STATE
#define CKF_ERROR_STATE 0x01000000UL
#endif
#ifndef CKF_SEED_RANDOM_REQUIRED
#define CKF_SEED_RANDOM_REQUIRED    0x02000000UL
#define CKF_ASYNC_SESSION_SUPPORTED 0x04000000UL
#define CKF_ASYNC_SESSION           0x00000008UL
#endif

/* ---- validation */
#ifndef CKS_LAST_VALIDATION_OK
#define CKS_LAST_VALIDATION_OK 0x00000001UL
#endif
#ifndef CKV_AUTHORITY_TYPE_UNSPECIFIED
#define CKV_AUTHORITY_TYPE_UNSPECIFIED     0x00000000UL
#define CKV_AUTHORITY_TYPE_NIST_CMVP       0x00000001UL
#define CKV_AUTHORITY_TYPE_COMMON_CRITERIA 0x00000002UL
#define CKV_TYPE_UNSPECIFIED               0x00000000UL
#define CKV_TYPE_SOFTWARE                  0x00000001UL
#define CKV_TYPE_HARDWARE                  0x00000002UL
#define CKV_TYPE_FIRMWARE                  0x00000003UL
#define CKV_TYPE_HYBRID                    0x00000004UL
#endif

/* ---- return values */
#ifndef CKR_AEAD_DECRYPT_FAILED
#define CKR_AEAD_DECRYPT_FAILED 0x00000042UL
#endif
#ifndef CKR_TOKEN_RESOURCE_EXCEEDED
#define CKR_TOKEN_RESOURCE_EXCEEDED 0x00000201UL
#endif
#ifndef CKR_OPERATION_CANCEL_FAILED
#define CKR_OPERATION_CANCEL_FAILED 0x00000202UL
#endif
#ifndef CKR_KEY_EXHAUSTED
#define CKR_KEY_EXHAUSTED 0x00000203UL
#endif
#ifndef CKR_PENDING
#define CKR_PENDING                     0x00000204UL
#define CKR_SESSION_ASYNC_NOT_SUPPORTED 0x00000205UL
#define CKR_SEED_RANDOM_REQUIRED        0x00000206UL
#define CKR_OPERATION_NOT_VALIDATED     0x00000207UL
#define CKR_TOKEN_NOT_INITIALIZED       0x00000208UL
#define CKR_PARAMETER_SET_NOT_SUPPORTED 0x00000209UL
#endif

/* p11-kit has numbers of its own for these, and no CKF_ARRAY_ATTRIBUTE in the two templates; a
 * program goes by those of OASIS. */
#undef CKR_EXCEEDED_MAX_ITERATIONS
#undef CKR_FIPS_SELF_TEST_FAILED
#undef CKR_LIBRARY_LOAD_FAILED
#undef CKR_PIN_TOO_WEAK
#undef CKR_PUBLIC_KEY_INVALID
#define CKR_EXCEEDED_MAX_ITERATIONS 0x000001b5UL
#define CKR_FIPS_SELF_TEST_FAILED   0x000001b6UL
#define CKR_LIBRARY_LOAD_FAILED     0x000001b7UL
#define CKR_PIN_TOO_WEAK            0x000001b8UL
#define CKR_PUBLIC_KEY_INVALID      0x000001b9UL
#undef CKA_ENCAPSULATE_TEMPLATE
#undef CKA_DECAPSULATE_TEMPLATE
#define CKA_ENCAPSULATE_TEMPLATE (CKF_ARRAY_ATTRIBUTE | 0x0000062aUL)
#define CKA_DECAPSULATE_TEMPLATE (CKF_ARRAY_ATTRIBUTE | 0x0000062bUL)

/* The functions in the order of the lists (pkcs11f.h). C_GetInfo is given by who uses the first:
 * each list has its own, which tells the version of that list. */
/* clang-format off */
#define LATCHKEY_FUNCTIONS_2_40(F, GET_INFO) \
    F(C_Initialize) F(C_Finalize) GET_INFO F(C_GetFunctionList) F(C_GetSlotList) \
    F(C_GetSlotInfo) F(C_GetTokenInfo) F(C_GetMechanismList) F(C_GetMechanismInfo) \
    F(C_InitToken) F(C_InitPIN) F(C_SetPIN) F(C_OpenSession) F(C_CloseSession) \
    F(C_CloseAllSessions) F(C_GetSessionInfo) F(C_GetOperationState) F(C_SetOperationState) \
    F(C_Login) F(C_Logout) F(C_CreateObject) F(C_CopyObject) F(C_DestroyObject) \
    F(C_GetObjectSize) F(C_GetAttributeValue) F(C_SetAttributeValue) F(C_FindObjectsInit) \
    F(C_FindObjects) F(C_FindObjectsFinal) F(C_EncryptInit) F(C_Encrypt) F(C_EncryptUpdate) \
    F(C_EncryptFinal) F(C_DecryptInit) F(C_Decrypt) F(C_DecryptUpdate) F(C_DecryptFinal) \
    F(C_DigestInit) F(C_Digest) F(C_DigestUpdate) F(C_DigestKey) F(C_DigestFinal) F(C_SignInit) \
    F(C_Sign) F(C_SignUpdate) F(C_SignFinal) F(C_SignRecoverInit) F(C_SignRecover) \
    F(C_VerifyInit) F(C_Verify) F(C_VerifyUpdate) F(C_VerifyFinal) F(C_VerifyRecoverInit) \
    F(C_VerifyRecover) F(C_DigestEncryptUpdate) F(C_DecryptDigestUpdate) F(C_SignEncryptUpdate) \
    F(C_DecryptVerifyUpdate) F(C_GenerateKey) F(C_GenerateKeyPair) F(C_WrapKey) F(C_UnwrapKey) \
    F(C_DeriveKey) F(C_SeedRandom) F(C_GenerateRandom) F(C_GetFunctionStatus) \
    F(C_CancelFunction) F(C_WaitForSlotEvent)
#define LATCHKEY_FUNCTIONS_3_0(F) \
    F(C_GetInterfaceList) F(C_GetInterface) F(C_LoginUser) F(C_SessionCancel) \
    F(C_MessageEncryptInit) F(C_EncryptMessage) F(C_EncryptMessageBegin) F(C_EncryptMessageNext) \
    F(C_MessageEncryptFinal) F(C_MessageDecryptInit) F(C_DecryptMessage) \
    F(C_DecryptMessageBegin) F(C_DecryptMessageNext) F(C_MessageDecryptFinal) \
    F(C_MessageSignInit) F(C_SignMessage) F(C_SignMessageBegin) F(C_SignMessageNext) \
    F(C_MessageSignFinal) F(C_MessageVerifyInit) F(C_VerifyMessage) F(C_VerifyMessageBegin) \
    F(C_VerifyMessageNext) F(C_MessageVerifyFinal)
#define LATCHKEY_FUNCTIONS_3_2(F) \
    F(C_EncapsulateKey) F(C_DecapsulateKey) F(C_VerifySignatureInit) F(C_VerifySignature) \
    F(C_VerifySignatureUpdate) F(C_VerifySignatureFinal) F(C_GetSessionValidationFlags) \
    F(C_AsyncComplete) F(C_AsyncGetID) F(C_AsyncJoin) F(C_WrapKeyAuthenticated) \
    F(C_UnwrapKeyAuthenticated)
/* clang-format on */

#define LATCHKEY_MEMBER(name)  CK_##name name;
#define LATCHKEY_DECLARE(name) extern __typeof__(*(CK_##name)0) name;

#if CRYPTOKI_VERSION_MAJOR < 3 /* p11-kit 0.25 has the types below */
#define LATCHKEY_OWN_CRYPTOKI_3 1
#endif
#if CRYPTOKI_VERSION_MAJOR < 3 || (CRYPTOKI_VERSION_MAJOR == 3 && CRYPTOKI_VERSION_MINOR < 2)
#define LATCHKEY_OWN_CRYPTOKI_3_2 1 /* a p11-kit of 3.2 has those further below, too */
#endif

typedef CK_FLAGS *CK_FLAGS_PTR;

#ifdef LATCHKEY_OWN_CRYPTOKI_3

typedef struct CK_INTERFACE {
    CK_UTF8CHAR *pInterfaceName;
    CK_VOID_PTR pFunctionList;
    CK_FLAGS flags;
} CK_INTERFACE;
typedef CK_INTERFACE *CK_INTERFACE_PTR;
typedef CK_INTERFACE_PTR *CK_INTERFACE_PTR_PTR;

/* The functions that 3.0 adds, in the order of the function list (section 5.4, pkcs11f.h). */
typedef CK_RV (*CK_C_GetInterfaceList)(CK_INTERFACE_PTR, CK_ULONG_PTR);
typedef CK_RV (*CK_C_GetInterface)(CK_UTF8CHAR_PTR, CK_VERSION_PTR, CK_INTERFACE_PTR_PTR, CK_FLAGS);
typedef CK_RV (*CK_C_LoginUser)(CK_SESSION_HANDLE, CK_USER_TYPE, CK_UTF8CHAR_PTR, CK_ULONG,
                                CK_UTF8CHAR_PTR, CK_ULONG);
typedef CK_RV (*CK_C_SessionCancel)(CK_SESSION_HANDLE, CK_FLAGS);
typedef CK_RV (*CK_C_MessageEncryptInit)(CK_SESSION_HANDLE, CK_MECHANISM_PTR, CK_OBJECT_HANDLE);
typedef CK_RV (*CK_C_EncryptMessage)(CK_SESSION_HANDLE, CK_VOID_PTR, CK_ULONG, CK_BYTE_PTR,
                                     CK_ULONG, CK_BYTE_PTR, CK_ULONG, CK_BYTE_PTR, CK_ULONG_PTR);
typedef CK_RV (*CK_C_EncryptMessageBegin)(CK_SESSION_HANDLE, CK_VOID_PTR, CK_ULONG, CK_BYTE_PTR,
                                          CK_ULONG);
typedef CK_RV (*CK_C_EncryptMessageNext)(CK_SESSION_HANDLE, CK_VOID_PTR, CK_ULONG, CK_BYTE_PTR,
                                         CK_ULONG, CK_BYTE_PTR, CK_ULONG_PTR, CK_FLAGS);
typedef CK_RV (*CK_C_MessageEncryptFinal)(CK_SESSION_HANDLE);
typedef CK_C_MessageEncryptInit CK_C_MessageDecryptInit;
typedef CK_C_EncryptMessage CK_C_DecryptMessage;
typedef CK_C_EncryptMessageBegin CK_C_DecryptMessageBegin;
typedef CK_C_EncryptMessageNext CK_C_DecryptMessageNext;
typedef CK_C_MessageEncryptFinal CK_C_MessageDecryptFinal;
typedef CK_C_MessageEncryptInit CK_C_MessageSignInit;
typedef CK_RV (*CK_C_SignMessage)(CK_SESSION_HANDLE, CK_VOID_PTR, CK_ULONG, CK_BYTE_PTR, CK_ULONG,
                                  CK_BYTE_PTR, CK_ULONG_PTR);
typedef CK_RV (*CK_C_SignMessageBegin)(CK_SESSION_HANDLE, CK_VOID_PTR, CK_ULONG);
typedef CK_RV (*CK_C_SignMessageNext)(CK_SESSION_HANDLE, CK_VOID_PTR, CK_ULONG, CK_BYTE_PTR,
                                      CK_ULONG, CK_BYTE_PTR, CK_ULONG_PTR);
typedef CK_C_MessageEncryptFinal CK_C_MessageSignFinal;
typedef CK_C_MessageEncryptInit CK_C_MessageVerifyInit;
typedef CK_RV (*CK_C_VerifyMessage)(CK_SESSION_HANDLE, CK_VOID_PTR, CK_ULONG, CK_BYTE_PTR, CK_ULONG,
                                    CK_BYTE_PTR, CK_ULONG);
typedef CK_C_SignMessageBegin CK_C_VerifyMessageBegin;
typedef CK_RV (*CK_C_VerifyMessageNext)(CK_SESSION_HANDLE, CK_VOID_PTR, CK_ULONG, CK_BYTE_PTR,
                                        CK_ULONG, CK_BYTE_PTR, CK_ULONG);
typedef CK_C_MessageEncryptFinal CK_C_MessageVerifyFinal;

/* The 3.0 function list: the 2.40 members in their order, then what 3.0 adds. */
typedef struct CK_FUNCTION_LIST_3_0 {
    CK_VERSION version;
    LATCHKEY_FUNCTIONS_2_40(LATCHKEY_MEMBER, LATCHKEY_MEMBER(C_GetInfo))
    LATCHKEY_FUNCTIONS_3_0(LATCHKEY_MEMBER)
} CK_FUNCTION_LIST_3_0;
typedef CK_FUNCTION_LIST_3_0 *CK_FUNCTION_LIST_3_0_PTR;
typedef CK_FUNCTION_LIST_3_0_PTR *CK_FUNCTION_LIST_3_0_PTR_PTR;

/* The functions themselves, as p11-kit declares those of 2.40. */
LATCHKEY_FUNCTIONS_3_0(LATCHKEY_DECLARE)

#endif /* LATCHKEY_OWN_CRYPTOKI_3 */

#ifdef LATCHKEY_OWN_CRYPTOKI_3_2

typedef CK_ULONG CK_PROFILE_ID;

/* ---- mechanism parameters, in the order of the specification's section 6 */

typedef CK_ULONG CK_EC_KDF_TYPE;
typedef CK_ULONG CK_GENERATOR_FUNCTION;
typedef CK_ULONG CK_MAC_GENERAL_PARAMS, *CK_MAC_GENERAL_PARAMS_PTR;
typedef CK_ULONG CK_EXTRACT_PARAMS, *CK_EXTRACT_PARAMS_PTR;

typedef struct CK_RSA_AES_KEY_WRAP_PARAMS {
    CK_ULONG ulAESKeyBits;
    CK_RSA_PKCS_OAEP_PARAMS_PTR pOAEPParams;
} CK_RSA_AES_KEY_WRAP_PARAMS, *CK_RSA_AES_KEY_WRAP_PARAMS_PTR;

typedef struct CK_EDDSA_PARAMS {
    CK_BBOOL phFlag;
    CK_ULONG ulContextDataLen;
    CK_BYTE_PTR pContextData;
} CK_EDDSA_PARAMS, *CK_EDDSA_PARAMS_PTR;

/* CK_GCM_PARAMS (with ulIvBits), CK_AES_CTR_PARAMS and CK_AES_CBC_ENCRYPT_DATA_PARAMS are
 * p11-kit's. */
typedef struct CK_GCM_MESSAGE_PARAMS {
    CK_BYTE_PTR pIv;
    CK_ULONG ulIvLen;
    CK_ULONG ulIvFixedBits;
    CK_GENERATOR_FUNCTION ivGenerator;
    CK_BYTE_PTR pTag;
    CK_ULONG ulTagBits;
} CK_GCM_MESSAGE_PARAMS, *CK_GCM_MESSAGE_PARAMS_PTR;

typedef struct CK_GCM_WRAP_PARAMS {
    CK_BYTE_PTR pIv;
    CK_ULONG ulIvLen;
    CK_ULONG ulIvFixedBits;
    CK_GENERATOR_FUNCTION ivGenerator;
    CK_BYTE_PTR pAAD;
    CK_ULONG ulAADLen;
    CK_ULONG ulTagBits;
} CK_GCM_WRAP_PARAMS, *CK_GCM_WRAP_PARAMS_PTR;

typedef struct CK_CCM_WRAP_PARAMS {
    CK_ULONG ulDataLen;
    CK_BYTE_PTR pNonce;
    CK_ULONG ulNonceLen;
    CK_ULONG ulNonceFixedBits;
    CK_GENERATOR_FUNCTION nonceGenerator;
    CK_BYTE_PTR pAAD;
    CK_ULONG ulAADLen;
    CK_ULONG ulMACLen;
} CK_CCM_WRAP_PARAMS, *CK_CCM_WRAP_PARAMS_PTR;

typedef CK_ULONG CK_PKCS5_PBKD2_PSEUDO_RANDOM_FUNCTION_TYPE;
typedef CK_ULONG CK_PKCS5_PBKDF2_SALT_SOURCE_TYPE;

/* The password's length is a pointer here, by an old mistake that the next one puts right. */
typedef struct CK_PKCS5_PBKD2_PARAMS {
    CK_PKCS5_PBKDF2_SALT_SOURCE_TYPE saltSource;
    CK_VOID_PTR pSaltSourceData;
    CK_ULONG ulSaltSourceDataLen;
    CK_ULONG iterations;
    CK_PKCS5_PBKD2_PSEUDO_RANDOM_FUNCTION_TYPE prf;
    CK_VOID_PTR pPrfData;
    CK_ULONG ulPrfDataLen;
    CK_UTF8CHAR_PTR pPassword;
    CK_ULONG_PTR ulPasswordLen;
} CK_PKCS5_PBKD2_PARAMS, *CK_PKCS5_PBKD2_PARAMS_PTR;

typedef struct CK_PKCS5_PBKD2_PARAMS2 {
    CK_PKCS5_PBKDF2_SALT_SOURCE_TYPE saltSource;
    CK_VOID_PTR pSaltSourceData;
    CK_ULONG ulSaltSourceDataLen;
    CK_ULONG iterations;
    CK_PKCS5_PBKD2_PSEUDO_RANDOM_FUNCTION_TYPE prf;
    CK_VOID_PTR pPrfData;
    CK_ULONG ulPrfDataLen;
    CK_UTF8CHAR_PTR pPassword;
    CK_ULONG ulPasswordLen;
} CK_PKCS5_PBKD2_PARAMS2, *CK_PKCS5_PBKD2_PARAMS2_PTR;

typedef struct CK_SSL3_RANDOM_DATA {
    CK_BYTE_PTR pClientRandom;
    CK_ULONG ulClientRandomLen;
    CK_BYTE_PTR pServerRandom;
    CK_ULONG ulServerRandomLen;
} CK_SSL3_RANDOM_DATA;

typedef struct CK_SSL3_KEY_MAT_OUT {
    CK_OBJECT_HANDLE hClientMacSecret;
    CK_OBJECT_HANDLE hServerMacSecret;
    CK_OBJECT_HANDLE hClientKey;
    CK_OBJECT_HANDLE hServerKey;
    CK_BYTE_PTR pIVClient;
    CK_BYTE_PTR pIVServer;
} CK_SSL3_KEY_MAT_OUT, *CK_SSL3_KEY_MAT_OUT_PTR;

typedef struct CK_TLS12_MASTER_KEY_DERIVE_PARAMS {
    CK_SSL3_RANDOM_DATA RandomInfo;
    CK_VERSION_PTR pVersion;
    CK_MECHANISM_TYPE prfHashMechanism;
} CK_TLS12_MASTER_KEY_DERIVE_PARAMS, *CK_TLS12_MASTER_KEY_DERIVE_PARAMS_PTR;

typedef struct CK_TLS12_EXTENDED_MASTER_KEY_DERIVE_PARAMS {
    CK_MECHANISM_TYPE prfHashMechanism;
    CK_BYTE_PTR pSessionHash;
    CK_ULONG ulSessionHashLen;
    CK_VERSION_PTR pVersion;
} CK_TLS12_EXTENDED_MASTER_KEY_DERIVE_PARAMS, *CK_TLS12_EXTENDED_MASTER_KEY_DERIVE_PARAMS_PTR;

typedef struct CK_TLS12_KEY_MAT_PARAMS {
    CK_ULONG ulMacSizeInBits;
    CK_ULONG ulKeySizeInBits;
    CK_ULONG ulIVSizeInBits;
    CK_BBOOL bIsExport;
    CK_SSL3_RANDOM_DATA RandomInfo;
    CK_SSL3_KEY_MAT_OUT_PTR pReturnedKeyMaterial;
    CK_MECHANISM_TYPE prfHashMechanism;
} CK_TLS12_KEY_MAT_PARAMS, *CK_TLS12_KEY_MAT_PARAMS_PTR;

typedef struct CK_TLS_KDF_PARAMS {
    CK_MECHANISM_TYPE prfMechanism;
    CK_BYTE_PTR pLabel;
    CK_ULONG ulLabelLength;
    CK_SSL3_RANDOM_DATA RandomInfo;
    CK_BYTE_PTR pContextData;
    CK_ULONG ulContextDataLength;
} CK_TLS_KDF_PARAMS, *CK_TLS_KDF_PARAMS_PTR;

typedef struct CK_TLS_MAC_PARAMS {
    CK_MECHANISM_TYPE prfHashMechanism;
    CK_ULONG ulMacLength;
    CK_ULONG ulServerOrClient;
} CK_TLS_MAC_PARAMS, *CK_TLS_MAC_PARAMS_PTR;

typedef CK_ULONG CK_PRF_DATA_TYPE;
typedef CK_MECHANISM_TYPE CK_SP800_108_PRF_TYPE;
typedef CK_ULONG CK_SP800_108_DKM_LENGTH_METHOD;

typedef struct CK_PRF_DATA_PARAM {
    CK_PRF_DATA_TYPE type;
    CK_VOID_PTR pValue;
    CK_ULONG ulValueLen;
} CK_PRF_DATA_PARAM, *CK_PRF_DATA_PARAM_PTR;

typedef struct CK_SP800_108_COUNTER_FORMAT {
    CK_BBOOL bLittleEndian;
    CK_ULONG ulWidthInBits;
} CK_SP800_108_COUNTER_FORMAT, *CK_SP800_108_COUNTER_FORMAT_PTR;

typedef struct CK_SP800_108_DKM_LENGTH_FORMAT {
    CK_SP800_108_DKM_LENGTH_METHOD dkmLengthMethod;
    CK_BBOOL bLittleEndian;
    CK_ULONG ulWidthInBits;
} CK_SP800_108_DKM_LENGTH_FORMAT, *CK_SP800_108_DKM_LENGTH_FORMAT_PTR;

typedef struct CK_HKDF_PARAMS {
    CK_BBOOL bExtract;
    CK_BBOOL bExpand;
    CK_MECHANISM_TYPE prfHashMechanism;
    CK_ULONG ulSaltType;
    CK_BYTE_PTR pSalt;
    CK_ULONG ulSaltLen;
    CK_OBJECT_HANDLE hSaltKey;
    CK_BYTE_PTR pInfo;
    CK_ULONG ulInfoLen;
} CK_HKDF_PARAMS, *CK_HKDF_PARAMS_PTR;

/* ---- the functions that 3.2 adds */

typedef CK_ULONG CK_SESSION_VALIDATION_FLAGS_TYPE;
typedef CK_ULONG CK_VALIDATION_TYPE;
typedef CK_ULONG CK_VALIDATION_AUTHORITY_TYPE;

typedef struct CK_ASYNC_DATA {
    CK_ULONG ulVersion;
    CK_BYTE_PTR pValue;
    CK_ULONG ulValue;
    CK_OBJECT_HANDLE hObject;
    CK_OBJECT_HANDLE hAdditionalObject;
} CK_ASYNC_DATA, *CK_ASYNC_DATA_PTR;

typedef CK_RV (*CK_C_EncapsulateKey)(CK_SESSION_HANDLE, CK_MECHANISM_PTR, CK_OBJECT_HANDLE,
                                     CK_ATTRIBUTE_PTR, CK_ULONG, CK_BYTE_PTR, CK_ULONG_PTR,
                                     CK_OBJECT_HANDLE_PTR);
typedef CK_RV (*CK_C_DecapsulateKey)(CK_SESSION_HANDLE, CK_MECHANISM_PTR, CK_OBJECT_HANDLE,
                                     CK_ATTRIBUTE_PTR, CK_ULONG, CK_BYTE_PTR, CK_ULONG,
                                     CK_OBJECT_HANDLE_PTR);
typedef CK_RV (*CK_C_VerifySignatureInit)(CK_SESSION_HANDLE, CK_MECHANISM_PTR, CK_OBJECT_HANDLE,
                                          CK_BYTE_PTR, CK_ULONG);
typedef CK_RV (*CK_C_VerifySignature)(CK_SESSION_HANDLE, CK_BYTE_PTR, CK_ULONG);
typedef CK_C_VerifySignature CK_C_VerifySignatureUpdate;
typedef CK_RV (*CK_C_VerifySignatureFinal)(CK_SESSION_HANDLE);
typedef CK_RV (*CK_C_GetSessionValidationFlags)(CK_SESSION_HANDLE, CK_SESSION_VALIDATION_FLAGS_TYPE,
                                                CK_FLAGS_PTR);
typedef CK_RV (*CK_C_AsyncComplete)(CK_SESSION_HANDLE, CK_UTF8CHAR_PTR, CK_ASYNC_DATA_PTR);
typedef CK_RV (*CK_C_AsyncGetID)(CK_SESSION_HANDLE, CK_UTF8CHAR_PTR, CK_ULONG_PTR);
typedef CK_RV (*CK_C_AsyncJoin)(CK_SESSION_HANDLE, CK_UTF8CHAR_PTR, CK_ULONG, CK_BYTE_PTR,
                                CK_ULONG);
typedef CK_RV (*CK_C_WrapKeyAuthenticated)(CK_SESSION_HANDLE, CK_MECHANISM_PTR, CK_OBJECT_HANDLE,
                                           CK_OBJECT_HANDLE, CK_BYTE_PTR, CK_ULONG, CK_BYTE_PTR,
                                           CK_ULONG_PTR);
typedef CK_RV (*CK_C_UnwrapKeyAuthenticated)(CK_SESSION_HANDLE, CK_MECHANISM_PTR, CK_OBJECT_HANDLE,
                                             CK_BYTE_PTR, CK_ULONG, CK_ATTRIBUTE_PTR, CK_ULONG,
                                             CK_BYTE_PTR, CK_ULONG, CK_OBJECT_HANDLE_PTR);

typedef struct CK_FUNCTION_LIST_3_2 {
    CK_VERSION version;
    LATCHKEY_FUNCTIONS_2_40(LATCHKEY_MEMBER, LATCHKEY_MEMBER(C_GetInfo))
    LATCHKEY_FUNCTIONS_3_0(LATCHKEY_MEMBER)
    LATCHKEY_FUNCTIONS_3_2(LATCHKEY_MEMBER)
} CK_FUNCTION_LIST_3_2;
typedef CK_FUNCTION_LIST_3_2 *CK_FUNCTION_LIST_3_2_PTR;
typedef CK_FUNCTION_LIST_3_2_PTR *CK_FUNCTION_LIST_3_2_PTR_PTR;

LATCHKEY_FUNCTIONS_3_2(LATCHKEY_DECLARE)

#endif /* LATCHKEY_OWN_CRYPTOKI_3_2 */

/* Ours whatever p11-kit has: see above. */
typedef struct CK_ECDH_AES_KEY_WRAP_PARAMS {
    CK_ULONG ulAESKeyBits;
    CK_EC_KDF_TYPE kdf;
    CK_ULONG ulSharedDataLen;
    CK_BYTE_PTR pSharedData;
} CK_ECDH_AES_KEY_WRAP_PARAMS, *CK_ECDH_AES_KEY_WRAP_PARAMS_PTR;

typedef struct CK_CCM_PARAMS {
    CK_ULONG ulDataLen;
    CK_BYTE_PTR pNonce;
    CK_ULONG ulNonceLen;
    CK_BYTE_PTR pAAD;
    CK_ULONG ulAADLen;
    CK_ULONG ulMACLen;
} CK_CCM_PARAMS, *CK_CCM_PARAMS_PTR;

typedef struct CK_CCM_MESSAGE_PARAMS {
    CK_ULONG ulDataLen;
    CK_BYTE_PTR pNonce;
    CK_ULONG ulNonceLen;
    CK_ULONG ulNonceFixedBits;
    CK_GENERATOR_FUNCTION nonceGenerator;
    CK_BYTE_PTR pMAC;
    CK_ULONG ulMACLen;
} CK_CCM_MESSAGE_PARAMS, *CK_CCM_MESSAGE_PARAMS_PTR;

typedef struct CK_DERIVED_KEY {
    CK_ATTRIBUTE_PTR pTemplate;
    CK_ULONG ulAttributeCount;
    CK_OBJECT_HANDLE_PTR phKey;
} CK_DERIVED_KEY, *CK_DERIVED_KEY_PTR;

typedef struct CK_SP800_108_KDF_PARAMS {
    CK_SP800_108_PRF_TYPE prfType;
    CK_ULONG ulNumberOfDataParams;
    CK_PRF_DATA_PARAM_PTR pDataParams;
    CK_ULONG ulAdditionalDerivedKeys;
    CK_DERIVED_KEY_PTR pAdditionalDerivedKeys;
} CK_SP800_108_KDF_PARAMS, *CK_SP800_108_KDF_PARAMS_PTR;

typedef struct CK_SP800_108_FEEDBACK_KDF_PARAMS {
    CK_SP800_108_PRF_TYPE prfType;
    CK_ULONG ulNumberOfDataParams;
    CK_PRF_DATA_PARAM_PTR pDataParams;
    CK_ULONG ulIVLen;
    CK_BYTE_PTR pIV;
    CK_ULONG ulAdditionalDerivedKeys;
    CK_DERIVED_KEY_PTR pAdditionalDerivedKeys;
} CK_SP800_108_FEEDBACK_KDF_PARAMS, *CK_SP800_108_FEEDBACK_KDF_PARAMS_PTR;

#endif
