#include "attr_rules.h"

/* Lists of attributes, and the form in which the store keeps them. */

#include <stdlib.h>
#include <string.h>

/* ---- lists --------------------------------------------------------------------------------- */

void attrs_free(struct attrs *a)
{
    for (size_t i = 0; i < a->n; i++)
        buf_free(&a->v[i].value);
    free(a->v);
    *a = (struct attrs){0};
}

/* Where it is, or would have to be put. */
static size_t position(const struct attrs *a, CK_ATTRIBUTE_TYPE type)
{
    size_t low = 0, high = a->n;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (a->v[mid].type < type)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

const struct attr *attrs_find(const struct attrs *a, CK_ATTRIBUTE_TYPE type)
{
    size_t i = position(a, type);
    return i < a->n && a->v[i].type == type ? &a->v[i] : NULL;
}

struct bytes attrs_bytes(const struct attrs *a, CK_ATTRIBUTE_TYPE type)
{
    const struct attr *found = attrs_find(a, type);
    return found ? buf_bytes(&found->value) : NO_BYTES;
}

CK_ULONG attrs_ulong(const struct attrs *a, CK_ATTRIBUTE_TYPE type, CK_ULONG missing)
{
    struct bytes v = attrs_bytes(a, type);
    CK_ULONG number = missing;
    if (v.n == sizeof(number))
        memcpy(&number, v.p, sizeof(number));
    return number;
}

bool attrs_true(const struct attrs *a, CK_ATTRIBUTE_TYPE type)
{
    struct bytes v = attrs_bytes(a, type);
    return v.n == 1 && v.p[0] != CK_FALSE;
}

CK_RV attrs_set(struct attrs *a, CK_ATTRIBUTE_TYPE type, struct bytes value)
{
    size_t i = position(a, type);
    if (i < a->n && a->v[i].type == type)
        return buf_set(&a->v[i].value, value);
    struct attr fresh = {.type = type};
    TRY(buf_set(&fresh.value, value));
    struct attr *v = realloc(a->v, (a->n + 1) * sizeof(*v));
    if (!v) {
        buf_free(&fresh.value);
        return CKR_HOST_MEMORY;
    }
    memmove(v + i + 1, v + i, (a->n - i) * sizeof(*v));
    v[i] = fresh;
    a->v = v;
    a->n++;
    return CKR_OK;
}

CK_RV attrs_set_ulong(struct attrs *a, CK_ATTRIBUTE_TYPE type, CK_ULONG value)
{
    return attrs_set(a, type, BYTES(&value, sizeof(value)));
}

CK_RV attrs_set_bool(struct attrs *a, CK_ATTRIBUTE_TYPE type, bool value)
{
    CK_BBOOL b = value ? CK_TRUE : CK_FALSE;
    return attrs_set(a, type, BYTES(&b, 1));
}

void attrs_remove(struct attrs *a, CK_ATTRIBUTE_TYPE type)
{
    size_t i = position(a, type);
    if (i == a->n || a->v[i].type != type)
        return;
    buf_free(&a->v[i].value);
    a->n--;
    memmove(a->v + i, a->v + i + 1, (a->n - i) * sizeof(*a->v));
}

CK_RV attrs_copy(const struct attrs *from, struct attrs *ret)
{
    struct attrs copy = {0};
    for (size_t i = 0; i < from->n; i++) {
        CK_RV rv = attrs_set(&copy, from->v[i].type, buf_bytes(&from->v[i].value));
        if (rv != CKR_OK) {
            attrs_free(&copy);
            return rv;
        }
    }
    *ret = copy;
    return CKR_OK;
}

/* ---- the portable form --------------------------------------------------------------------- */

static CK_RV pack_numbers(struct bytes value, struct buf *ret)
{
    TRY(buf_u32(ret, (uint32_t)(value.n / sizeof(CK_ULONG) * 8)));
    for (size_t i = 0; i < value.n / sizeof(CK_ULONG); i++) {
        CK_ULONG number;
        memcpy(&number, value.p + i * sizeof(number), sizeof(number));
        /* CK_UNAVAILABLE_INFORMATION is all ones in every width */
        TRY(buf_u64(ret, number == CK_UNAVAILABLE_INFORMATION ? UINT64_MAX : number));
    }
    return CKR_OK;
}

CK_RV attrs_pack(const struct attrs *a, struct buf *ret)
{
    for (size_t i = 0; i < a->n; i++) {
        enum kind kind = attr_kind(a->v[i].type);
        struct bytes value = buf_bytes(&a->v[i].value);
        bool numbers = kind == ULONG || kind == MECHANISMS;
        TRY(buf_u64(ret, a->v[i].type));
        TRY(buf_u8(ret, numbers));
        if (numbers) {
            TRY(pack_numbers(value, ret));
        } else {
            TRY(buf_u32(ret, (uint32_t)value.n));
            TRY(buf_bytes_append(ret, value));
        }
    }
    return CKR_OK;
}

static CK_RV unpack_numbers(struct bytes value, struct attrs *a, CK_ATTRIBUTE_TYPE type)
{
    CLEANUP(buf_free) struct buf native = {0};
    uint64_t number;
    while (bytes_take_u64(&value, &number)) {
        CK_ULONG n = (CK_ULONG)number;
        TRY(buf_append(&native, &n, sizeof(n)));
    }
    return value.n ? CKR_DEVICE_ERROR : attrs_set(a, type, buf_bytes(&native));
}

static CK_RV unpack(struct bytes in, struct attrs *a)
{
    while (in.n) {
        uint64_t type;
        uint8_t numbers;
        uint32_t n;
        struct bytes value;
        if (!bytes_take_u64(&in, &type) || !bytes_take_u8(&in, &numbers) ||
            !bytes_take_u32(&in, &n) || !bytes_take(&in, n, &value))
            return CKR_DEVICE_ERROR;
        /* in ascending order; what somebody wrote in another would take minutes to sort */
        if (a->n && type <= a->v[a->n - 1].type)
            return CKR_DEVICE_ERROR;
        TRY(numbers ? unpack_numbers(value, a, (CK_ATTRIBUTE_TYPE)type)
                    : attrs_set(a, (CK_ATTRIBUTE_TYPE)type, value));
    }
    return CKR_OK;
}

CK_RV attrs_unpack(struct bytes packed, struct attrs *ret)
{
    struct attrs a = {0};
    CK_RV rv = unpack(packed, &a);
    if (rv != CKR_OK) {
        attrs_free(&a);
        return rv;
    }
    *ret = a;
    return CKR_OK;
}
