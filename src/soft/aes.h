/* AES in the modes of SP800-38A, and GCM's hash: what GCM, CCM, CMAC and key wrapping are made of,
 * whether a key in the TPM or one in software does the block cipher. */
#ifndef SOFT_AES_H
#define SOFT_AES_H

#include <base/bytes.h>

enum { AES_BLOCK = 16 };
enum aes_mode { AES_ECB, AES_CBC, AES_CTR, AES_CFB128, AES_CFB8, AES_OFB, AES_MODES };

/* From in to out, which may be the same. key: 16, 24 or 32 bytes. iv16 goes in as the IV (CTR: the
 * first counter block, all 128 bits of which count) and comes out as the one to continue with; ECB
 * has none. ECB and CBC: n is a multiple of 16; CTR, OFB, CFB128: every call's but the last is.
 * CKR_KEY_SIZE_RANGE; CKR_DATA_LEN_RANGE. */
CK_RV soft_aes(enum aes_mode mode, bool encrypt, struct bytes key, uint8_t *iv16, const uint8_t *in,
               uint8_t *out, size_t n);

/* SP800-38D, 6.4: y becomes GHASH of the blocks under h, going on from y; n is a multiple of 16.
 * Takes the same time for every h, y and block. */
void soft_ghash(const uint8_t *h16, uint8_t *y16, const uint8_t *blocks, size_t n);

#endif
