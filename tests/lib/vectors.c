#include "vectors.h"

#include <stdio.h>

/* ---- SP800-38A, appendix F ----------------------------------------------------------------- */

#define KEY128 "2b7e151628aed2a6abf7158809cf4f3c"
#define KEY192 "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b"
#define KEY256 "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"
#define COUNT0 "000102030405060708090a0b0c0d0e0f"
#define BLOCKS                                                                                     \
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"                             \
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
#define MODE(type, form, n, key, iv, data, result, source)                                         \
    {                                                                                              \
        type, CKK_AES, form, n, key, iv, NULL, data, result, "SP800-38A, " source                  \
    }
#define IV_MODE(type, key, result, source)                                                         \
    MODE(type, FORM_IV, 0, key, COUNT0, BLOCKS, result, source)
#define CFB8(key, result, source)                                                                  \
    MODE(CKM_AES_CFB8, FORM_IV, 0, key, COUNT0, "6bc1bee22e409f96e93d7e117393172aae2d", result,    \
         source)
#define CTR(key, result, source)                                                                   \
    MODE(CKM_AES_CTR, FORM_COUNTER, 128, key, "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff", BLOCKS, result,  \
         source)

/* ---- CBC with padding, AEAD, key wrapping --------------------------------------------------- */

#define PAD(key, iv, data, result, test)                                                           \
    {                                                                                              \
        CKM_AES_CBC_PAD, CKK_AES, FORM_IV, 0, key, iv, NULL, data, result,                         \
            "Wycheproof, aes_cbc_pkcs5_test.json, " test                                           \
    }
#define AEAD(type, form, tag, key, iv, aad, data, result, source)                                  \
    {                                                                                              \
        type, CKK_AES, form, tag, key, iv, aad, data, result, source                               \
    }
#define GCM(key, iv, aad, data, result, test)                                                      \
    AEAD(CKM_AES_GCM, FORM_GCM, 16, key, iv, aad, data, result,                                    \
         "McGrew and Viega, The Galois/Counter Mode of Operation, appendix B, test case " test)
#define GCM_KEY "feffe9928665731c6d6a8f9467308308"
#define GCM_AAD "feedfacedeadbeeffeedfacedeadbeefabaddad2"
#define GCM_PLAIN                                                                                  \
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"                             \
    "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
#define CCM(tag, iv, aad, data, result, test)                                                      \
    AEAD(CKM_AES_CCM, FORM_CCM, tag, "404142434445464748494a4b4c4d4e4f", iv, aad, data, result,    \
         "SP800-38C, appendix C, example " test)
#define WRAP(type, kek, data, result, source)                                                      \
    {                                                                                              \
        type, CKK_AES, FORM_IV, 0, kek, NULL, NULL, data, result, source                           \
    }
#define KEK     "000102030405060708090a0b0c0d0e0f"
#define WRAPPED "00112233445566778899aabbccddeeff"
#define KWP(type)                                                                                  \
    WRAP(type, "5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8",                                 \
         "c37b7e6492584340bed12207808941155068f738",                                               \
         "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a", "RFC 5649, 6"),       \
        WRAP(type, "5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8", "466f7250617369",           \
             "afbeb0f07dfbf5419200f2ccb50bb24f", "RFC 5649, 6")

/* ---- MACs ---------------------------------------------------------------------------------- */

#define CMAC(key, data, result, test)                                                              \
    {                                                                                              \
        CKM_AES_CMAC, CKK_AES, FORM_NONE, 0, key, NULL, NULL, data, result,                        \
            "SP800-38B, appendix D, " test                                                         \
    }
#define HMAC(type, kt, key, data, result, source)                                                  \
    {                                                                                              \
        type, kt, FORM_NONE, 0, key, NULL, NULL, data, result, source                              \
    }
#define HMAC_GENERAL(type, kt, n, key, data, result, source)                                       \
    {                                                                                              \
        type, kt, FORM_GENERAL, n, key, NULL, NULL, data, result, source                           \
    }

#define TIMES5(x)  x x x x x
#define TIMES20(x) TIMES5(x x x x)
#define TIMES131(x)                                                                                \
    TIMES20(TIMES5(x))                                                                             \
    TIMES20(x) TIMES5(x) TIMES5(x) x
#define HI_THERE "4869205468657265"
#define WHAT_DO  "7768617420646f2079612077616e7420666f72206e6f7468696e673f"
#define TRUNCATE "546573742057697468205472756e636174696f6e"
#define LARGER                                                                                     \
    "54657374205573696e67204c6172676572205468616e20426c6f636b2d53697a"                             \
    "65204b6579202d2048617368204b6579204669727374"
/* RFC 4231: test cases 1, 2 and 6, and 5, which is truncated. */
#define RFC4231(name, one, two, six, five)                                                         \
    HMAC(CKM_##name##_HMAC, CKK_##name##_HMAC, TIMES20("0b"), HI_THERE, one, "RFC 4231, 4.2"),     \
        HMAC(CKM_##name##_HMAC, CKK_GENERIC_SECRET, "4a656665", WHAT_DO, two, "RFC 4231, 4.3"),    \
        HMAC(CKM_##name##_HMAC, CKK_##name##_HMAC, TIMES131("aa"), LARGER, six, "RFC 4231, 4.7"),  \
        HMAC_GENERAL(CKM_##name##_HMAC_GENERAL, CKK_GENERIC_SECRET, 16, TIMES20("0c"), TRUNCATE,   \
                     five, "RFC 4231, 4.6")
#define BYTES16 "000102030405060708090a0b0c0d0e0f"
#define BYTES32 BYTES16 "101112131415161718191a1b1c1d1e1f"
#define BYTES48 BYTES32 "202122232425262728292a2b2c2d2e2f"
#define BYTES64 BYTES48 "303132333435363738393a3b3c3d3e3f"
/* "Sample message for keylen<blocklen" */
#define SAMPLE "53616d706c65206d65737361676520666f72206b65796c656e3c626c6f636b6c656e"
#define SHA3(name, key, first16, rest)                                                             \
    HMAC(CKM_##name##_HMAC, CKK_##name##_HMAC, key, SAMPLE, first16 rest,                          \
         "NIST CSRC, examples with intermediate values, HMAC_" #name ".pdf, sample 1"),            \
        HMAC_GENERAL(CKM_##name##_HMAC_GENERAL, CKK_GENERIC_SECRET, 16, key, SAMPLE, first16,      \
                     "the first 16 bytes of the same")
#define TLS(type, side, result)                                                                    \
    {                                                                                              \
        type, CKK_GENERIC_SECRET, FORM_TLS, side,                                                  \
            "00112233445566778899aabbccddeeff0123456789abcdeffedcba9876543210"                     \
            "00112233445566778899aabbccddeeff",                                                    \
            NULL, NULL, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",        \
            result, "openssl kdf TLS1-PRF, digest:SHA256, hexseed: the label and the data"         \
    }

/* clang-format off */
const struct vector vectors[] = {
    MODE(CKM_AES_ECB, FORM_NONE, 0, KEY128, NULL, BLOCKS,
         "3ad77bb40d7a3660a89ecaf32466ef97f5d3d58503b9699de785895a96fdbaaf"
         "43b1cd7f598ece23881b00e3ed0306887b0c785e27e8ad3f8223207104725dd4", "F.1.1"),
    MODE(CKM_AES_ECB, FORM_NONE, 0, KEY192, NULL, BLOCKS,
         "bd334f1d6e45f25ff712a214571fa5cc974104846d0ad3ad7734ecb3ecee4eef"
         "ef7afd2270e2e60adce0ba2face6444e9a4b41ba738d6c72fb16691603c18e0e", "F.1.3"),
    MODE(CKM_AES_ECB, FORM_NONE, 0, KEY256, NULL, BLOCKS,
         "f3eed1bdb5d2a03c064b5a7e3db181f8591ccb10d410ed26dc5ba74a31362870"
         "b6ed21b99ca6f4f9f153e7b1beafed1d23304b7a39f9f3ff067d8d8f9e24ecc7", "F.1.5"),
    IV_MODE(CKM_AES_CBC, KEY128,
            "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2"
            "73bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7", "F.2.1"),
    IV_MODE(CKM_AES_CBC, KEY192,
            "4f021db243bc633d7178183a9fa071e8b4d9ada9ad7dedf4e5e738763f69145a"
            "571b242012fb7ae07fa9baac3df102e008b0e27988598881d920a9e64f5615cd", "F.2.3"),
    IV_MODE(CKM_AES_CBC, KEY256,
            "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d"
            "39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b", "F.2.5"),
    CFB8(KEY128, "3b79424c9c0dd436bace9e0ed4586a4f32b9", "F.3.7"),
    CFB8(KEY192, "cda2521ef0a905ca44cd057cbf0d47a0678a", "F.3.9"),
    CFB8(KEY256, "dc1f1a8520a64db55fcc8ac554844e889700", "F.3.11"),
    IV_MODE(CKM_AES_CFB128, KEY128,
            "3b3fd92eb72dad20333449f8e83cfb4ac8a64537a0b3a93fcde3cdad9f1ce58b"
            "26751f67a3cbb140b1808cf187a4f4dfc04b05357c5d1c0eeac4c66f9ff7f2e6", "F.3.13"),
    IV_MODE(CKM_AES_CFB128, KEY192,
            "cdc80d6fddf18cab34c25909c99a417467ce7f7f81173621961a2b70171d3d7a"
            "2e1e8a1dd59b88b1c8e60fed1efac4c9c05f9f9ca9834fa042ae8fba584b09ff", "F.3.15"),
    IV_MODE(CKM_AES_CFB128, KEY256,
            "dc7e84bfda79164b7ecd8486985d386039ffed143b28b1c832113c6331e5407b"
            "df10132415e54b92a13ed0a8267ae2f975a385741ab9cef82031623d55b1e471", "F.3.17"),
    IV_MODE(CKM_AES_OFB, KEY128,
            "3b3fd92eb72dad20333449f8e83cfb4a7789508d16918f03f53c52dac54ed825"
            "9740051e9c5fecf64344f7a82260edcc304c6528f659c77866a510d9c1d6ae5e", "F.4.1"),
    IV_MODE(CKM_AES_OFB, KEY192,
            "cdc80d6fddf18cab34c25909c99a4174fcc28b8d4c63837c09e81700c1100401"
            "8d9a9aeac0f6596f559c6d4daf59a5f26d9f200857ca6c3e9cac524bd9acc92a", "F.4.3"),
    IV_MODE(CKM_AES_OFB, KEY256,
            "dc7e84bfda79164b7ecd8486985d38604febdc6740d20b3ac88f6ad82a4fb08d"
            "71ab47a086e86eedf39d1c5bba97c4080126141d67f37be8538f5a8be740e484", "F.4.5"),
    CTR(KEY128,
        "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff"
        "5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee", "F.5.1"),
    CTR(KEY192,
        "1abc932417521ca24f2b0459fe7e6e0b090339ec0aa6faefd5ccc2c6f4ce8e94"
        "1e36b26bd1ebc670d1bd1d665620abf74f78a7f6d29809585a97daec58c6b050", "F.5.3"),
    CTR(KEY256,
        "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5"
        "2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6", "F.5.5"),
    {CKM_AES_CTR, CKK_AES, FORM_COUNTER, 32, "7691be035e5020a8ac6e618529f9a0dc",
     "00e0017b27777f3f4a1786f000000001", NULL,
     "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223",
     "c1cf48a89f2ffdd9cf4652e9efdb72d74540a42bde6d7836d59a5ceaaef3105325b2072f",
     "RFC 3686, 6, test vector 3"},

    PAD("e34f15c7bd819930fe9d66e0c166e61c", "da9520f7d3520277035173299388bee2", "",
        "b10ab60153276941361000414aed0a9d", "tcId 1"),
    PAD("e09eaa5a3f5e56d279d5e7a03373f6ea", "c9ee3cd746bf208c65ca9e72a266d54f",
        "ef4eab37181f98423e53e947e7050fd0",
        "d1fa697f3e2e04d64f1a0da203813ca5bc226a0b1d42287b2a5b994a66eaf14a", "tcId 2"),

    GCM("00000000000000000000000000000000", "000000000000000000000000", NULL, "",
        "58e2fccefa7e3061367f1d57a4e7455a", "1"),
    GCM("00000000000000000000000000000000", "000000000000000000000000", NULL,
        "00000000000000000000000000000000",
        "0388dace60b6a392f328c2b971b2fe78ab6e47d42cec13bdf53a67b21257bddf", "2"),
    GCM(GCM_KEY, "cafebabefacedbaddecaf888", GCM_AAD, GCM_PLAIN,
        "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
        "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091"
        "5bc94fbc3221a5db94fae95ae7121a47", "4"),
    GCM(GCM_KEY, "cafebabefacedbad", GCM_AAD, GCM_PLAIN,
        "61353b4c2806934a777ff51fa22a4755699b2a714fcdc6f83766e5f97b6c7423"
        "73806900e49f24b22b097544d4896b424989b5e1ebac0f07c23f4598"
        "3612d2e79e3b0785561be14aaca2fccb", "5"),
    GCM("00000000000000000000000000000000" "0000000000000000", "000000000000000000000000", NULL,
        "00000000000000000000000000000000",
        "98e7247c07f0fe411c267e4384b0f6002ff58d80033927ab8ef4d4587514f0fb", "8"),
    GCM(GCM_KEY GCM_KEY, "cafebabefacedbaddecaf888", GCM_AAD, GCM_PLAIN,
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
        "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
        "76fc6ece0f4e1768cddf8853bb2d551b", "16"),
    CCM(4, "10111213141516", "0001020304050607", "20212223", "7162015b4dac255d", "1"),
    CCM(6, "1011121314151617", "000102030405060708090a0b0c0d0e0f",
        "202122232425262728292a2b2c2d2e2f", "d2a1f0e051ea5f62081a7792073d593d1fc64fbfaccd", "2"),
    CCM(8, "101112131415161718191a1b", "000102030405060708090a0b0c0d0e0f10111213",
        "202122232425262728292a2b2c2d2e2f3031323334353637",
        "e3b201a9f5b71a7a9b1ceaeccd97e70b6176aad9a4428aa5484392fbc1b09951", "3"),

    WRAP(CKM_AES_KEY_WRAP, KEK, WRAPPED, "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5",
         "RFC 3394, 4.1"),
    WRAP(CKM_AES_KEY_WRAP, KEK "1011121314151617", WRAPPED,
         "96778b25ae6ca435f92b5b97c050aed2468ab8a17ad84e5d", "RFC 3394, 4.2"),
    WRAP(CKM_AES_KEY_WRAP, KEK "101112131415161718191a1b1c1d1e1f", WRAPPED KEK,
         "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43b"
         "fb988b9b7a02dd21", "RFC 3394, 4.6"),
    KWP(CKM_AES_KEY_WRAP_KWP),
    KWP(CKM_AES_KEY_WRAP_PAD),
    WRAP(CKM_AES_KEY_WRAP_PKCS7, KEK, WRAPPED "0001020304",
         "5377b8f3cbe2bef2c19a0f645109c40c9e448f65822ae260bd745d2a03990b1c",
         "openssl enc -id-aes128-wrap of the data and 030303"),

    CMAC(KEY128, "", "bb1d6929e95937287fa37d129b756746", "D.1, example 1"),
    CMAC(KEY128, "6bc1bee22e409f96e93d7e117393172a", "070a16b46b4d4144f79bdd9dd04a287c",
         "D.1, example 2"),
    CMAC(KEY192, BLOCKS, "a1d5df0eed790f794d77589659f39a11", "D.2, example 8"),
    CMAC(KEY256, BLOCKS, "e1992190549f6ed5696a2c056c315410", "D.3, example 12"),
    {CKM_AES_CMAC_GENERAL, CKK_AES, FORM_GENERAL, 12, KEY128, NULL, NULL, BLOCKS,
     "51f0bebf7e3b9d92fc497417", "SP800-38B, D.1, example 4: the first 12 bytes, as in RFC 4494"},
    {CKM_AES_GMAC, CKK_AES, FORM_IV, 0, "77be63708971c4e240d1cb79e8d77feb",
     "e0e00f19fed7ba0136a797f3", NULL, "7a43ec1d9c0a5a78a0b16533a6213cab",
     "209fcc8d3675ed938e9c7166709dd946", "NIST CAVP, gcmEncryptExtIV128.rsp, PTlen 0, AADlen 128"},
    {CKM_AES_GMAC, CKK_AES, FORM_GCM, 16, "77be63708971c4e240d1cb79e8d77feb",
     "e0e00f19fed7ba0136a797f3", NULL, "7a43ec1d9c0a5a78a0b16533a6213cab",
     "209fcc8d3675ed938e9c7166709dd946", "the same"},

    HMAC(CKM_SHA_1_HMAC, CKK_SHA_1_HMAC, TIMES20("0b"), HI_THERE,
         "b617318655057264e28bc0b6fb378c8ef146be00", "RFC 2202, 3, test case 1"),
    HMAC(CKM_SHA_1_HMAC, CKK_GENERIC_SECRET, "4a656665", WHAT_DO,
         "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79", "RFC 2202, 3, test case 2"),
    HMAC(CKM_SHA_1_HMAC, CKK_SHA_1_HMAC, TIMES20("aa" "aa" "aa" "aa"), LARGER,
         "aa4ae5e15272d00e95705637ce8a3b55ed402112", "RFC 2202, 3, test case 6"),
    HMAC_GENERAL(CKM_SHA_1_HMAC_GENERAL, CKK_GENERIC_SECRET, 12, TIMES20("0c"), TRUNCATE,
                 "4c1a03424b55e07fe7f27be1", "RFC 2202, 3, test case 5"),
    RFC4231(SHA224, "896fb1128abbdf196832107cd49df33f47b4b1169912ba4f53684b22",
            "a30e01098bc6dbbf45690f3a7e9e6d0f8bbea2a39e6148008fd05e44",
            "95e9a0db962095adaebe9b2d6f0dbce2d499f112f2d2b7273fa6870e",
            "0e2aea68a90c8d37c988bcdb9fca6fa8"),
    RFC4231(SHA256, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            "a3b6167473100ee06e0c796c2955552b"),
    RFC4231(SHA384,
            "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59c"
            "faea9ea9076ede7f4af152e8b2fa9cb6",
            "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e"
            "8e2240ca5e69e2c78b3239ecfab21649",
            "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c6"
            "0c2ef6ab4030fe8296248df163f44952",
            "3abf34c3503b2a23a46efc619baef897"),
    RFC4231(SHA512,
            "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
            "daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854",
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
            "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
            "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352"
            "6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598",
            "415fad6271580a531d4179bc891d87a6"),
    SHA3(SHA3_224, BYTES16 "101112131415161718191a1b", "332cfd59347fdb8e576e77260be4aba2",
         "d6dc53117b3bfb52c6d18c04"),
    SHA3(SHA3_256, BYTES32, "4fe8e202c4f058e8dddc23d8c34e4673", "43e23555e24fc2f025d598f558f67205"),
    SHA3(SHA3_384, BYTES48, "d588a3c51f3f2d906e8298c1199aa8ff",
         "6296218127f6b38a90b6afe2c5617725bc99987f79b22a557b6520db710b7f42"),
    SHA3(SHA3_512, BYTES64, "4efd629d6c71bf86162658f29943b1c3",
         "08ce27cdfa6db0d9c3ce81763f9cbce5f7ebe9868031db1a8f8eb7b6b95e5c5e"
         "3f657a8996c86a2f6527e307f0213196"),

    TLS(CKM_TLS12_MAC, 1, "b683aa7e04b534f5d21078bc"),
    TLS(CKM_TLS12_MAC, 2, "5b2805475ee929c912177ce8"),
    TLS(CKM_TLS_MAC, 2, "5b2805475ee929c912177ce8"),
};
/* clang-format on */
const size_t vector_count = COUNT(vectors);

struct blob unhex(const char *text)
{
    struct blob bytes = {.n = text == NULL ? 0 : strlen(text) / 2};
    for (CK_ULONG i = 0; i < bytes.n; i++) {
        unsigned byte;
        assert_int_equal(sscanf(text + 2 * i, "%2x", &byte), 1);
        bytes.p[i] = (CK_BYTE)byte;
    }
    return bytes;
}

static void gcm_parameter(struct vector_mechanism *m, CK_ULONG tag)
{
    m->as.gcm = (CK_GCM_PARAMS){.pIv = m->iv.p,
                                .ulIvLen = m->iv.n,
                                .ulIvBits = 8 * m->iv.n,
                                .pAAD = m->aad.n ? m->aad.p : NULL,
                                .ulAADLen = m->aad.n,
                                .ulTagBits = 8 * tag};
}

static void ccm_parameter(struct vector_mechanism *m, CK_ULONG tag, CK_ULONG data_n)
{
    m->as.ccm = (CK_CCM_PARAMS){.ulDataLen = data_n,
                                .pNonce = m->iv.p,
                                .ulNonceLen = m->iv.n,
                                .pAAD = m->aad.n ? m->aad.p : NULL,
                                .ulAADLen = m->aad.n,
                                .ulMACLen = tag};
}

void make_mechanism(struct vector_mechanism *ret, CK_MECHANISM_TYPE type, enum vector_form form,
                    CK_ULONG n, struct blob iv, struct blob aad, CK_ULONG data_n)
{
    static const CK_ULONG sizes[] = {
        [FORM_NONE] = 0,
        [FORM_COUNTER] = sizeof(CK_AES_CTR_PARAMS),
        [FORM_GCM] = sizeof(CK_GCM_PARAMS),
        [FORM_CCM] = sizeof(CK_CCM_PARAMS),
        [FORM_GENERAL] = sizeof(CK_MAC_GENERAL_PARAMS),
        [FORM_TLS] = sizeof(CK_TLS_MAC_PARAMS),
    };
    ret->iv = iv;
    ret->aad = aad;
    ret->mechanism = (CK_MECHANISM){type, sizes[form] == 0 ? NULL : &ret->as, sizes[form]};
    if (form == FORM_IV && iv.n > 0)
        ret->mechanism = (CK_MECHANISM){type, ret->iv.p, iv.n};
    if (form == FORM_COUNTER) {
        ret->as.counter.ulCounterBits = n;
        memcpy(ret->as.counter.cb, iv.p, sizeof ret->as.counter.cb);
    }
    if (form == FORM_GCM)
        gcm_parameter(ret, n);
    if (form == FORM_CCM)
        ccm_parameter(ret, n, data_n);
    if (form == FORM_GENERAL)
        ret->as.general = n;
    if (form == FORM_TLS)
        ret->as.tls = (CK_TLS_MAC_PARAMS){CKM_SHA256, 12, n};
}

void vector_mechanism(const struct vector *v, struct vector_mechanism *ret)
{
    make_mechanism(ret, v->type, v->form, v->n, unhex(v->iv), unhex(v->aad), unhex(v->data).n);
}
