/* What the AES families share: the one primitive that knows where a key lives, and what is composed
 * over it. */
#ifndef MECH_SYMMETRIC_H
#define MECH_SYMMETRIC_H

#include "families.h"

enum {
    GATHER = 1024,         /* what one TPM command takes */
    COLLECT_MAX = 1 << 28, /* input that has to wait for the end */
};

/* ---- symmetric.c --------------------------------------------------------------------------- */

/* As soft_aes, with the key of the call wherever it is; one TPM command a KiB. (CFB8, which no TPM
 * has: a command for each byte that is encrypted; OFB: one for each block.) */
CK_RV aes_run(const struct mech_call *call, enum aes_mode mode, bool encrypt, uint8_t *iv16,
              const uint8_t *in, uint8_t *out, size_t n);
/* CTR where only the lowest bits count (SP800-38A, B.1): they start again from zero, the others
 * stay. */
CK_RV aes_counter(const struct mech_call *call, uint8_t *counter16, unsigned bits,
                  const uint8_t *in, uint8_t *out, size_t n);

/* Blocks until those bits are zero again; UINT64_MAX stands for all beyond, too. */
uint64_t aes_counter_left(const uint8_t *counter16, unsigned bits);

/* n bytes are whole units, out may be in. */
typedef CK_RV aes_feed(const struct mech_call *call, struct mech_stream *s, const uint8_t *in,
                       uint8_t *out, size_t n);
/* Feeds the whole units of s->pending and in, and keeps the rest; where hold is set, the last byte
 * and with it the last unit waits, too. unit: at most GATHER. out may be in.p. */
CK_RV aes_feed_units(const struct mech_call *call, struct mech_stream *s, struct bytes in,
                     size_t unit, bool hold, aes_feed *feed, uint8_t *out, size_t *ret_n);
/* How many bytes that is, when n more come. */
size_t aes_whole_units(const struct mech_stream *s, size_t n, size_t unit, bool hold);
/* Keeps all of it. too_long: the answer when there would be more than most bytes of it. */
CK_RV aes_collect(struct mech_stream *s, struct bytes in, size_t most, CK_RV too_long);
bool aes_always_exact(const struct mech_stream *s);
void aes_store_be64(uint8_t *p, uint64_t v);

/* GCM and CCM put the tag behind the ciphertext. Bytes of a parameter: there, when there are some,
 * and fewer than 2^32 (3.1, 6.13.5). */
CK_RV aead_bytes(CK_BYTE_PTR p, CK_ULONG n, struct buf *ret);
/* What was collected comes out at the end, with its tag or without. */
size_t aead_most(const struct mech_call *call, const struct mech_stream *s, size_t n, bool final);
/* Parts what was collected for decryption. */
CK_RV aead_split(const struct mech_call *call, const struct mech_stream *s, struct bytes *ret_data,
                 struct bytes *ret_tag);

/* ---- aes.c --------------------------------------------------------------------------------- */

/* PKCS #7 padding at the end of data whose last n bytes are tail, in constant time: false, or how
 * many bytes to take away, 1 to n. */
bool aes_unpad(const uint8_t *tail, size_t n, size_t *ret);

/* ---- gcm.c --------------------------------------------------------------------------------- */

struct ghash {
    uint8_t h[AES_BLOCK], y[AES_BLOCK];
    uint8_t tail[AES_BLOCK]; /* n bytes that wait for a whole block */
    size_t n;
};

struct gcm {
    struct ghash hash;
    uint8_t counter[AES_BLOCK]; /* of the next block */
    uint8_t first[AES_BLOCK];   /* E(J0), which hides the hash */
    uint64_t aad_n, data_n;     /* bytes */
    uint8_t ahead[GATHER];      /* key stream that is there already: its last ahead_n bytes */
    size_t ahead_n;
};

/* With the IV of the call's parameters: one TPM command when it has 12 bytes, else two. */
CK_RV gcm_begin(const struct mech_call *call, struct gcm *ret);
void gcm_add_aad(struct gcm *g, struct bytes aad);
/* g can then only be wiped. */
void gcm_tag(struct gcm *g, uint8_t *ret16);

/* ---- mac.c --------------------------------------------------------------------------------- */

/* CBC-MAC from the IV 0, for CMAC and CCM. Zero-initialise. */
struct cbc_mac {
    uint8_t chain[AES_BLOCK];
    uint8_t room[GATHER]; /* what comes is run when the room is full and more comes */
    size_t n;
};
CK_RV cbc_mac_add(const struct mech_call *call, struct cbc_mac *m, struct bytes data);
void cbc_mac_pad(struct cbc_mac *m); /* zeros to the end of the block */
CK_RV cbc_mac_end(const struct mech_call *call, struct cbc_mac *m, uint8_t *ret16);

#endif
