#include "attr_rules.h"

#include <base/error.h>
#include <base/log.h>
#include <base/names.h>
#include <base/secret.h>

/* The one interpreter of the rules: templates of new objects, of changes and of copies. Attributes
 * are looked at in the template's order: whether the object has such a one, whether its value is
 * one and whether it may be said. What is missing and what does not go together come last. */

CK_RV attr_refuse(CK_RV rv, CK_ATTRIBUTE_TYPE type, const char *why)
{
    log_info("template: %s: %s [%s]", name_attribute(type), why, name_rv(rv));
    return rv;
}

/* 4.1.1: an attribute of other objects is inconsistent here, one of no object is invalid. */
static CK_RV not_here(CK_ATTRIBUTE_TYPE type)
{
    enum kind kind;
    if (attr_kind_known(type, &kind))
        return attr_refuse(CKR_TEMPLATE_INCONSISTENT, type, "objects of this kind do not have it");
    return attr_refuse(CKR_ATTRIBUTE_TYPE_INVALID, type, "unknown");
}

static CK_RV bad_value(CK_ATTRIBUTE_TYPE type)
{
    return attr_refuse(CKR_ATTRIBUTE_VALUE_INVALID, type, "no value that it can have");
}

/* ---- what must go together ------------------------------------------------------------------- */

static CK_RV consistent(const struct attrs *a)
{
    struct bytes start = attrs_bytes(a, CKA_START_DATE), end = attrs_bytes(a, CKA_END_DATE);
    if (start.n && end.n && bytes_compare(start, end) > 0)
        return attr_refuse(CKR_TEMPLATE_INCONSISTENT, CKA_END_DATE, "before CKA_START_DATE");
    if (attrs_true(a, CKA_ALWAYS_AUTHENTICATE) && !attrs_true(a, CKA_PRIVATE)) /* 4.9 */
        return attr_refuse(CKR_TEMPLATE_INCONSISTENT, CKA_ALWAYS_AUTHENTICATE,
                           "only with CKA_PRIVATE true");
    return CKR_OK;
}

/* 4.6.3, 4.6.4: the footnotes of the certificates' own tables. */
static CK_RV certificate_complete(unsigned place, const struct attrs *a)
{
    bool url = attrs_bytes(a, CKA_URL).n;
    if (!(place & (X509 | WTLS)))
        return CKR_OK;
    if (!url && !attrs_bytes(a, CKA_VALUE).n)
        return attr_refuse(CKR_TEMPLATE_INCOMPLETE, CKA_VALUE, "empty, and no CKA_URL");
    if (url && !attrs_bytes(a, CKA_HASH_OF_SUBJECT_PUBLIC_KEY).n)
        return attr_refuse(CKR_TEMPLATE_INCOMPLETE, CKA_HASH_OF_SUBJECT_PUBLIC_KEY,
                           "missing beside a CKA_URL");
    if (url && !attrs_bytes(a, CKA_HASH_OF_ISSUER_PUBLIC_KEY).n)
        return attr_refuse(CKR_TEMPLATE_INCOMPLETE, CKA_HASH_OF_ISSUER_PUBLIC_KEY,
                           "missing beside a CKA_URL");
    return CKR_OK;
}

/* ---- new objects ----------------------------------------------------------------------------- */

static const struct {
    unsigned must, never;
} at_event[] = {
    [ATTR_CREATE] = {N1_CREATE_MUST, N2_CREATE_NEVER},
    [ATTR_GENERATE] = {N3_GENERATE_MUST, N4_GENERATE_NEVER},
    [ATTR_DERIVE] = {0, N6_UNWRAP_NEVER}, /* no footnote speaks of it: as unwrapping */
    [ATTR_UNWRAP] = {N5_UNWRAP_MUST, N6_UNWRAP_NEVER},
};

static CK_RV take(const struct rule *r, unsigned place, const CK_ATTRIBUTE *in, bool so,
                  struct attrs *a)
{
    CLEANUP(buf_free) struct buf packed = {0};
    if (!attr_value_valid(r, place, in))
        return bad_value(in->type);
    struct bytes value = BYTES(in->pValue, in->ulValueLen);
    if (r->kind == TEMPLATE) {
        TRY(attrs_pack_template(in, &packed));
        value = buf_bytes(&packed);
    }
    if ((r->notes & N10_SO_ONLY) && value.p[0] == CK_TRUE && !so)
        return attr_refuse(CKR_ATTRIBUTE_READ_ONLY, in->type, "only the SO can set it to true");
    if (r->notes &
        N7_SENSITIVE) /* the parts of a key are taken from the template when it is made */
        value = NO_BYTES;
    const struct attr *before = attrs_find(a, in->type);
    if (before && !bytes_equal(buf_bytes(&before->value), value))
        return attr_refuse(CKR_TEMPLATE_INCONSISTENT, in->type,
                           "given twice with different values");
    return attrs_set(a, in->type, value);
}

/* What is not kept here has only the template to be compared with. */
static CK_RV said_once(const CK_ATTRIBUTE *template, CK_ULONG last)
{
    for (CK_ULONG i = 0; i < last; i++)
        if (template[i].type == template[last].type &&
            !secret_equal(BYTES(template[i].pValue, template[i].ulValueLen),
                          BYTES(template[last].pValue, template[last].ulValueLen)))
            return attr_refuse(CKR_TEMPLATE_INCONSISTENT, template[i].type,
                               "given twice with different values");
    return CKR_OK;
}

static CK_RV take_template(enum attr_event event, unsigned place, const CK_ATTRIBUTE *template,
                           CK_ULONG n, bool so, struct attrs *a)
{
    for (CK_ULONG i = 0; i < n; i++) {
        const struct rule *r = attr_rule(place, template[i].type);
        if (!r)
            return not_here(template[i].type);
        if (r->notes & at_event[event].never)
            return attr_refuse(CKR_ATTRIBUTE_READ_ONLY, template[i].type, "the token sets it");
        TRY(take(r, place, &template[i], so, a)); /* from here on its value may be read */
        if (r->notes & N7_SENSITIVE)
            TRY(said_once(template, i));
    }
    return CKR_OK;
}

static CK_RV set_fallback(const struct rule *r, enum attr_event event, unsigned place,
                          struct attrs *a)
{
    switch (r->fallback) {
    case NONE:
        return CKR_OK;
    case EMPTY:
        return attrs_set(a, r->type, NO_BYTES);
    case ZERO:
        return attrs_set_ulong(a, r->type, 0);
    case FALSE_:
        return attrs_set_bool(a, r->type, false);
    case TRUE_:
        return attrs_set_bool(a, r->type, true);
    case FALSE_UNLESS_DERIVED:
        return attrs_set_bool(a, r->type, event == ATTR_DERIVE);
    case TRUE_UNLESS_DERIVED:
        return attrs_set_bool(a, r->type, event != ATTR_DERIVE);
    default:
        return attrs_set_bool(a, r->type, r->fallback & place & TYPES);
    }
}

static CK_RV complete(enum attr_event event, unsigned place, struct attrs *a)
{
    for (size_t i = 0; i < attr_rule_count; i++) {
        const struct rule *r = &attr_rules[i];
        if (!attr_applies(r->where, place) || attrs_find(a, r->type))
            continue;
        if (r->notes & at_event[event].must)
            return attr_refuse(CKR_TEMPLATE_INCOMPLETE, r->type, "missing");
        TRY(set_fallback(r, event, place, a));
    }
    return certificate_complete(place, a);
}

static CK_RV strange_type(CK_ATTRIBUTE_TYPE which, CK_ULONG type)
{
    unsigned elsewhere = attr_place(CKO_PUBLIC_KEY, type) | attr_place(CKO_SECRET_KEY, type);
    if (which == CKA_KEY_TYPE && (elsewhere & TYPES))
        return attr_refuse(CKR_TEMPLATE_INCONSISTENT, which, "no key of that type in this class");
    return attr_refuse(CKR_ATTRIBUTE_VALUE_INVALID, which, "unknown");
}

/* Class and type are the first to be known: they decide what the rest means. */
static CK_RV find_place(CK_OBJECT_CLASS cls, CK_ULONG type, unsigned *ret)
{
    unsigned place = attr_place(cls, type);
    CK_ATTRIBUTE_TYPE which = cls == CKO_CERTIFICATE ? CKA_CERTIFICATE_TYPE : CKA_KEY_TYPE;
    if (!(place & ALL & ~(unsigned)BY_TOKEN))
        return attr_refuse(CKR_ATTRIBUTE_VALUE_INVALID, CKA_CLASS, "no class that is made here");
    if (!(place & DATA) && type == CK_UNAVAILABLE_INFORMATION)
        return attr_refuse(CKR_TEMPLATE_INCOMPLETE, which, "missing");
    if (!(place & DATA) && !(place & TYPES))
        return strange_type(which, type);
    *ret = place;
    return CKR_OK;
}

static CK_RV build_new(enum attr_event event, CK_OBJECT_CLASS cls, CK_KEY_TYPE key_type,
                       const CK_ATTRIBUTE *template, CK_ULONG n, bool so, struct attrs *a)
{
    unsigned place = 0;
    CK_ULONG type = cls == CKO_CERTIFICATE ? CK_UNAVAILABLE_INFORMATION : key_type;
    if (cls == CKO_CERTIFICATE)
        TRY(attrs_template_ulong(template, n, CKA_CERTIFICATE_TYPE, &type));
    TRY(find_place(cls, type, &place));
    TRY(attrs_set_ulong(a, CKA_CLASS, cls));
    if (place & KEYS)
        TRY(attrs_set_ulong(a, CKA_KEY_TYPE, key_type));
    TRY(take_template(event, place, template, n, so, a));
    TRY(complete(event, place, a));
    for (size_t i = 0; i < attr_rule_count; i++)
        if ((attr_rules[i].notes & N7_SENSITIVE) && attr_applies(attr_rules[i].where, place))
            attrs_remove(a, attr_rules[i].type);
    return consistent(a);
}

CK_RV attrs_new(enum attr_event event, CK_OBJECT_CLASS cls, CK_KEY_TYPE key_type,
                const CK_ATTRIBUTE *template, CK_ULONG n, bool so, struct attrs *ret)
{
    struct attrs a = {0};
    CK_RV rv = build_new(event, cls, key_type, template, n, so, &a);
    if (rv != CKR_OK) {
        attrs_free(&a);
        return rv;
    }
    *ret = a;
    return CKR_OK;
}

/* ---- changes --------------------------------------------------------------------------------- */

/* Of an attribute that this object has; NULL: it may. */
static const char *why_not(const struct rule *r, unsigned place, const struct attrs *old,
                           struct bytes value, bool so, unsigned allowed)
{
    bool to_true = r->kind == BOOL && value.p[0] == CK_TRUE;
    if (place & BY_TOKEN)
        return "the token alone makes such objects";
    if (!(r->notes & allowed) && !((r->notes & CLEARABLE) && !value.n))
        return "it cannot be changed";
    /* 4.6.2: trusted certificates cannot be modified; who gave the trust can take it */
    if ((place & CERT) && attrs_true(old, CKA_TRUSTED) && !(r->notes & AT_COPY) &&
        !(r->type == CKA_TRUSTED && so))
        return "trusted certificates cannot be modified";
    if ((r->notes & N11_STICKY_TRUE) && attrs_true(old, r->type) && !to_true)
        return "once true it stays true";
    if ((r->notes & N12_STICKY_FALSE) && !attrs_true(old, r->type) && to_true)
        return "once false it stays false";
    if ((r->notes & N10_SO_ONLY) && to_true && !so)
        return "only the SO can set it to true";
    return NULL;
}

/* The second time that the template speaks of an attribute it must say the same. */
static CK_RV said_before(const CK_ATTRIBUTE *template, CK_ULONG i, const struct attrs *a)
{
    for (CK_ULONG k = 0; k < i; k++)
        if (template[k].type == template[i].type &&
            !bytes_equal(attrs_bytes(a, template[i].type),
                         BYTES(template[i].pValue, template[i].ulValueLen)))
            return attr_refuse(CKR_TEMPLATE_INCONSISTENT, template[i].type,
                               "given twice with different values");
    return CKR_OK;
}

static CK_RV change_one(const struct attrs *old, const CK_ATTRIBUTE *template, CK_ULONG i, bool so,
                        unsigned allowed, struct attrs *a)
{
    const CK_ATTRIBUTE *in = &template[i];
    unsigned place = attr_place_of(old);
    const struct rule *r = attr_rule(place, in->type);
    if (!r)
        return not_here(in->type);
    if (!attr_value_valid(r, place, in))
        return bad_value(in->type);
    struct bytes value = BYTES(in->pValue, in->ulValueLen);
    const char *why = why_not(r, place, old, value, so, allowed);
    if (why)
        return attr_refuse(CKR_ATTRIBUTE_READ_ONLY, in->type, why);
    if ((r->notes & SAME_AGAIN) && !bytes_equal(attrs_bytes(old, in->type), value))
        return attr_refuse(CKR_ATTRIBUTE_VALUE_INVALID, in->type, "it does not belong to the key");
    TRY(said_before(template, i, a));
    return attrs_set(a, in->type, value);
}

static CK_RV change(const struct attrs *old, const CK_ATTRIBUTE *template, CK_ULONG n, bool so,
                    unsigned allowed, struct attrs *a)
{
    TRY(attrs_copy(old, a));
    for (CK_ULONG i = 0; i < n; i++)
        TRY(change_one(old, template, i, so, allowed, a));
    return consistent(a);
}

static CK_RV changed(const struct attrs *old, const CK_ATTRIBUTE *template, CK_ULONG n, bool so,
                     unsigned allowed, struct attrs *ret)
{
    struct attrs a = {0};
    CK_RV rv = change(old, template, n, so, allowed, &a);
    if (rv != CKR_OK) {
        attrs_free(&a);
        return rv;
    }
    *ret = a;
    return CKR_OK;
}

CK_RV attrs_changed(const struct attrs *old, const CK_ATTRIBUTE *template, CK_ULONG n, bool so,
                    struct attrs *ret)
{
    return changed(old, template, n, so, N8_MODIFIABLE, ret);
}

CK_RV attrs_copied(const struct attrs *old, const CK_ATTRIBUTE *template, CK_ULONG n, bool so,
                   struct attrs *ret)
{
    return changed(old, template, n, so, N8_MODIFIABLE | AT_COPY, ret);
}

/* ---- questions ------------------------------------------------------------------------------- */

bool attrs_known(const struct attrs *a, CK_ATTRIBUTE_TYPE type)
{
    return attr_rule(attr_place_of(a), type) != NULL;
}

bool attrs_revealable(const struct attrs *a, CK_ATTRIBUTE_TYPE type)
{
    const struct rule *r = attr_rule(attr_place_of(a), type);
    return !r || !(r->notes & N7_SENSITIVE) ||
           (!attrs_true(a, CKA_SENSITIVE) && attrs_true(a, CKA_EXTRACTABLE));
}
