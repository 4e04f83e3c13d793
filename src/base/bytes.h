/* The first two of the three kinds of memory: borrowed bytes and the owned buffer.
 * The third, for everything secret, is in secret.h. */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <latchkey/cryptoki.h>

/* Run f(&variable) when the variable leaves its scope. */
#define CLEANUP(f) __attribute__((cleanup(f)))

/* The one macro for "return the CK_RV of a failed step". */
#define TRY(expr)                                                                                  \
    do {                                                                                           \
        CK_RV try_rv_ = (expr);                                                                    \
        if (try_rv_ != CKR_OK)                                                                     \
            return try_rv_;                                                                        \
    } while (0)

/* Memory that somebody else owns; valid as long as the owner says. p may be NULL when n is 0. */
struct bytes {
    const uint8_t *p;
    size_t n;
};

#define BYTES(ptr, len) ((struct bytes){(const uint8_t *)(ptr), (size_t)(len)})
#define BYTES_OF(array) BYTES(array, sizeof(array))
#define BYTES_STR(str)  BYTES(str, strlen(str))
#define NO_BYTES        ((struct bytes){NULL, 0})

/* Equal length and content. Not constant time: for secrets use secret_equal. */
bool bytes_equal(struct bytes a, struct bytes b);
int bytes_compare(struct bytes a, struct bytes b);
/* A big-endian number without its leading zeros; no bytes for zero. */
struct bytes bytes_number(struct bytes be);

/* A growing buffer that owns its memory. Zero-initialise; free with buf_free, which wipes first. */
struct buf {
    uint8_t *p;
    size_t n;
    size_t cap;
};

void buf_free(struct buf *b);
static inline struct bytes buf_bytes(const struct buf *b)
{
    return BYTES(b->p, b->n);
}
/* All return CKR_HOST_MEMORY when memory is out; the buffer is then unchanged. */
CK_RV buf_reserve(struct buf *b, size_t more);
CK_RV buf_append(struct buf *b, const void *p, size_t n);
CK_RV buf_bytes_append(struct buf *b, struct bytes bytes);
CK_RV buf_set(struct buf *b, struct bytes bytes);
CK_RV buf_u8(struct buf *b, uint8_t v);
CK_RV buf_u16(struct buf *b, uint16_t v); /* big-endian, as are the next two */
CK_RV buf_u32(struct buf *b, uint32_t v);
CK_RV buf_u64(struct buf *b, uint64_t v);
/* n zero bytes more; *ret points at them until the next append. */
CK_RV buf_extend(struct buf *b, size_t n, uint8_t **ret);

/* Take numbers and runs from the front of *in. False, and *in unchanged, when it is too short. */
bool bytes_take(struct bytes *in, size_t n, struct bytes *ret);
bool bytes_take_u8(struct bytes *in, uint8_t *ret);
bool bytes_take_u16(struct bytes *in, uint16_t *ret);
bool bytes_take_u32(struct bytes *in, uint32_t *ret);
bool bytes_take_u64(struct bytes *in, uint64_t *ret);

/* Lower-case hexadecimal of bytes and a NUL; out holds 2 * n + 1 characters. */
void bytes_hex(struct bytes bytes, char *out);

#endif
