#include "attr_rules.h"

#include <stdlib.h>
#include <string.h>

/* Templates that are values: CKA_WRAP_TEMPLATE and its like. 3.2, 4.8.3: none is stored as it
 * came, full of pointers into the application; this token keeps the portable form of its
 * attributes. */

enum { NESTED_MAX = 256 };

bool attrs_is_template(CK_ATTRIBUTE_TYPE type)
{
    return attr_kind(type) == TEMPLATE;
}

/* ---- in ------------------------------------------------------------------------------------ */

static CK_RV take_nested(const CK_ATTRIBUTE *in, struct attrs *a)
{
    enum kind kind;
    if (!attr_kind_known(in->type, &kind))
        return attr_refuse(CKR_ATTRIBUTE_TYPE_INVALID, in->type, "unknown, in a nested template");
    if (kind == TEMPLATE) /* 3.2, 4.8.3: recursion may be denied, with this code */
        return attr_refuse(CKR_TEMPLATE_INCONSISTENT, in->type, "a template in a nested template");
    if (!attr_form_valid(kind, in))
        return attr_refuse(CKR_ATTRIBUTE_VALUE_INVALID, in->type,
                           "the value has not the form it needs, in a nested template");
    struct bytes value = BYTES(in->pValue, in->ulValueLen);
    const struct attr *before = attrs_find(a, in->type);
    if (before && !bytes_equal(buf_bytes(&before->value), value))
        return attr_refuse(CKR_TEMPLATE_INCONSISTENT, in->type,
                           "twice with different values, in a nested template");
    return attrs_set(a, in->type, value);
}

CK_RV attrs_pack_template(const CK_ATTRIBUTE *a, struct buf *ret)
{
    CLEANUP(attrs_free) struct attrs nested = {0};
    CLEANUP(buf_free) struct buf packed = {0};
    size_t n = a->ulValueLen / sizeof(CK_ATTRIBUTE);
    if (!attr_form_valid(TEMPLATE, a) || n > NESTED_MAX)
        return attr_refuse(CKR_ATTRIBUTE_VALUE_INVALID, a->type, "no array of attributes");
    for (size_t i = 0; i < n; i++) {
        CK_ATTRIBUTE one; /* the array need not be aligned */
        memcpy(&one, (const uint8_t *)a->pValue + i * sizeof(one), sizeof(one));
        TRY(take_nested(&one, &nested));
    }
    TRY(attrs_pack(&nested, &packed));
    if (packed.n > ATTR_VALUE_MAX)
        return attr_refuse(CKR_ATTRIBUTE_VALUE_INVALID, a->type, "too long");
    return buf_set(ret, buf_bytes(&packed));
}

/* ---- out ----------------------------------------------------------------------------------- */

CK_RV attrs_tell(struct bytes value, CK_ATTRIBUTE *out)
{
    if (!out->pValue) {
        out->ulValueLen = (CK_ULONG)value.n;
        return CKR_OK;
    }
    if (out->ulValueLen < value.n) {
        out->ulValueLen = CK_UNAVAILABLE_INFORMATION;
        return CKR_BUFFER_TOO_SMALL;
    }
    if (value.n)
        memcpy(out->pValue, value.p, value.n);
    out->ulValueLen = (CK_ULONG)value.n;
    return CKR_OK;
}

/* 5.7.5 C_GetAttributeValue, "in the special case of an attribute whose value is an array of
 * attributes": the types inside are ignored on input and set on output. */
static CK_RV tell_nested(const struct attrs *nested, uint8_t *array)
{
    CK_RV rv = CKR_OK;
    for (size_t i = 0; i < nested->n; i++) { /* every one is filled, whatever the others answer */
        CK_ATTRIBUTE one;
        memcpy(&one, array + i * sizeof(one), sizeof(one));
        one.type = nested->v[i].type;
        CK_RV told = attrs_tell(buf_bytes(&nested->v[i].value), &one);
        memcpy(array + i * sizeof(one), &one, sizeof(one));
        if (rv == CKR_OK)
            rv = told;
    }
    return rv;
}

CK_RV attrs_tell_template(struct bytes packed, CK_ATTRIBUTE *out)
{
    CLEANUP(attrs_free) struct attrs nested = {0};
    CK_RV rv = attrs_unpack(packed, &nested);
    CK_ULONG length = (CK_ULONG)(nested.n * sizeof(CK_ATTRIBUTE));
    if (rv == CKR_OK && out->pValue && out->ulValueLen < length)
        rv = CKR_BUFFER_TOO_SMALL;
    if (rv != CKR_OK) {
        out->ulValueLen = CK_UNAVAILABLE_INFORMATION;
        return rv;
    }
    out->ulValueLen = length;
    return out->pValue ? tell_nested(&nested, out->pValue) : CKR_OK;
}

/* ---- use ----------------------------------------------------------------------------------- */

CK_RV attrs_match_template(const struct attrs *object, struct bytes packed, bool *ret)
{
    CLEANUP(attrs_free) struct attrs wanted = {0};
    bool all = true;
    TRY(attrs_unpack(packed, &wanted));
    for (size_t i = 0; i < wanted.n; i++) {
        const struct attr *w = &wanted.v[i], *has = attrs_find(object, w->type);
        /* what may not be told is not confirmed either */
        all = all && has && attrs_revealable(object, w->type) &&
              bytes_equal(buf_bytes(&has->value), buf_bytes(&w->value));
    }
    *ret = all;
    return CKR_OK;
}

void attrs_joined_free(struct attrs_joined *j)
{
    free(j->v);
    attrs_free(&j->own);
    *j = (struct attrs_joined){0};
}

static CK_RV agrees(const struct attrs *nested, const CK_ATTRIBUTE *given)
{
    const struct attr *fixed = attrs_find(nested, given->type);
    if (!given->pValue && given->ulValueLen)
        return attr_refuse(CKR_ATTRIBUTE_VALUE_INVALID, given->type, "no value");
    if (!fixed || bytes_equal(buf_bytes(&fixed->value), BYTES(given->pValue, given->ulValueLen)))
        return CKR_OK;
    return attr_refuse(CKR_TEMPLATE_INCONSISTENT, given->type, "the key's template says otherwise");
}

static bool says(const CK_ATTRIBUTE *template, CK_ULONG n, CK_ATTRIBUTE_TYPE type)
{
    for (CK_ULONG i = 0; i < n; i++)
        if (template[i].type == type)
            return true;
    return false;
}

static CK_RV join(const CK_ATTRIBUTE *given, CK_ULONG n, struct attrs_joined *j)
{
    j->v = calloc(n + j->own.n + 1, sizeof(*j->v));
    if (!j->v)
        return CKR_HOST_MEMORY;
    for (CK_ULONG i = 0; i < n; i++) {
        TRY(agrees(&j->own, &given[i]));
        j->v[j->n++] = given[i];
    }
    for (size_t i = 0; i < j->own.n; i++) {
        struct attr *a = &j->own.v[i];
        if (!says(given, n, a->type))
            j->v[j->n++] = (CK_ATTRIBUTE){a->type, a->value.p, (CK_ULONG)a->value.n};
    }
    return CKR_OK;
}

CK_RV attrs_with_template(struct bytes packed, const CK_ATTRIBUTE *given, CK_ULONG n,
                          struct attrs_joined *ret)
{
    struct attrs_joined j = {0};
    CK_RV rv = attrs_unpack(packed, &j.own);
    if (rv == CKR_OK)
        rv = join(given, n, &j);
    if (rv != CKR_OK) {
        attrs_joined_free(&j);
        return rv;
    }
    *ret = j;
    return CKR_OK;
}
