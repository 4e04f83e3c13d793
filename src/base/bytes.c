#include "bytes.h"

#include <stdlib.h>
#include <string.h>

bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

struct bytes bytes_number(struct bytes be)
{
    while (be.n && be.p[0] == 0)
        be = BYTES(be.p + 1, be.n - 1);
    return be;
}

int bytes_compare(struct bytes a, struct bytes b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n ? memcmp(a.p, b.p, n) : 0;
    return order ? order : (a.n > b.n) - (a.n < b.n);
}

void buf_free(struct buf *b)
{
    if (b->p) {
        explicit_bzero(b->p, b->cap);
        free(b->p);
    }
    *b = (struct buf){0};
}

CK_RV buf_reserve(struct buf *b, size_t more)
{
    if (more > SIZE_MAX / 2 - b->n)
        return CKR_HOST_MEMORY;
    size_t want = b->n + more;
    if (want <= b->cap)
        return CKR_OK;
    size_t cap = b->cap ? b->cap : 64;
    while (cap < want)
        cap *= 2;
    /* not realloc: what it leaves behind would not be wiped */
    uint8_t *p = malloc(cap);
    if (!p)
        return CKR_HOST_MEMORY;
    if (b->p) {
        memcpy(p, b->p, b->n);
        explicit_bzero(b->p, b->cap);
        free(b->p);
    }
    b->p = p;
    b->cap = cap;
    return CKR_OK;
}

CK_RV buf_append(struct buf *b, const void *p, size_t n)
{
    TRY(buf_reserve(b, n));
    if (n)
        memcpy(b->p + b->n, p, n);
    b->n += n;
    return CKR_OK;
}

CK_RV buf_bytes_append(struct buf *b, struct bytes bytes)
{
    return buf_append(b, bytes.p, bytes.n);
}

CK_RV buf_set(struct buf *b, struct bytes bytes)
{
    struct buf fresh = {0};
    TRY(buf_append(&fresh, bytes.p, bytes.n));
    buf_free(b);
    *b = fresh;
    return CKR_OK;
}

CK_RV buf_extend(struct buf *b, size_t n, uint8_t **ret)
{
    TRY(buf_reserve(b, n));
    if (n)
        memset(b->p + b->n, 0, n);
    *ret = b->p + b->n;
    b->n += n;
    return CKR_OK;
}

static CK_RV append_be(struct buf *b, uint64_t v, size_t n)
{
    uint8_t be[8];
    for (size_t i = 0; i < n; i++)
        be[i] = (uint8_t)(v >> (8 * (n - 1 - i)));
    return buf_append(b, be, n);
}

CK_RV buf_u8(struct buf *b, uint8_t v)
{
    return append_be(b, v, 1);
}

CK_RV buf_u16(struct buf *b, uint16_t v)
{
    return append_be(b, v, 2);
}

CK_RV buf_u32(struct buf *b, uint32_t v)
{
    return append_be(b, v, 4);
}

CK_RV buf_u64(struct buf *b, uint64_t v)
{
    return append_be(b, v, 8);
}

bool bytes_take(struct bytes *in, size_t n, struct bytes *ret)
{
    if (in->n < n)
        return false;
    *ret = BYTES(in->p, n);
    if (n)
        *in = BYTES(in->p + n, in->n - n);
    return true;
}

static bool take_be(struct bytes *in, size_t n, uint64_t *ret)
{
    struct bytes be;
    if (!bytes_take(in, n, &be))
        return false;
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v = v << 8 | be.p[i];
    *ret = v;
    return true;
}

bool bytes_take_u8(struct bytes *in, uint8_t *ret)
{
    uint64_t v;
    if (!take_be(in, 1, &v))
        return false;
    *ret = (uint8_t)v;
    return true;
}

bool bytes_take_u16(struct bytes *in, uint16_t *ret)
{
    uint64_t v;
    if (!take_be(in, 2, &v))
        return false;
    *ret = (uint16_t)v;
    return true;
}

bool bytes_take_u32(struct bytes *in, uint32_t *ret)
{
    uint64_t v;
    if (!take_be(in, 4, &v))
        return false;
    *ret = (uint32_t)v;
    return true;
}

bool bytes_take_u64(struct bytes *in, uint64_t *ret)
{
    return take_be(in, 8, ret);
}

void bytes_hex(struct bytes bytes, char *out)
{
    static const char digit[] = "0123456789abcdef";
    for (size_t i = 0; i < bytes.n; i++) {
        *out++ = digit[bytes.p[i] >> 4];
        *out++ = digit[bytes.p[i] & 15];
    }
    *out = '\0';
}
