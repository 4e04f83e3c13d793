/* Attributes: a list of values, and the rules of PKCS#11 for each as one table with one
 * interpreter. No state, no locks. */
#ifndef TOKEN_ATTR_H
#define TOKEN_ATTR_H

#include <base/bytes.h>

enum { ATTR_VALUE_MAX = 8 << 20 }; /* bytes of one value */

struct attr {
    CK_ATTRIBUTE_TYPE type;
    struct buf value; /* as C_GetAttributeValue gives it; a nested template in the portable form */
};

/* Sorted by type. Zero-initialise; free with attrs_free, which wipes. */
struct attrs {
    struct attr *v;
    size_t n;
};

void attrs_free(struct attrs *a);
/* NULL when it is not there. */
const struct attr *attrs_find(const struct attrs *a, CK_ATTRIBUTE_TYPE type);
struct bytes attrs_bytes(const struct attrs *a, CK_ATTRIBUTE_TYPE type); /* empty when missing */
CK_ULONG attrs_ulong(const struct attrs *a, CK_ATTRIBUTE_TYPE type, CK_ULONG missing);
bool attrs_true(const struct attrs *a, CK_ATTRIBUTE_TYPE type);
CK_RV attrs_set(struct attrs *a, CK_ATTRIBUTE_TYPE type, struct bytes value);
CK_RV attrs_set_ulong(struct attrs *a, CK_ATTRIBUTE_TYPE type, CK_ULONG value);
CK_RV attrs_set_bool(struct attrs *a, CK_ATTRIBUTE_TYPE type, bool value);
void attrs_remove(struct attrs *a, CK_ATTRIBUTE_TYPE type);
CK_RV attrs_copy(const struct attrs *from, struct attrs *ret);

/* The portable form that the store keeps (store/FORMAT.md): CK_ULONGs as 64 bits big-endian. */
CK_RV attrs_pack(const struct attrs *a, struct buf *ret);
CK_RV attrs_unpack(struct bytes packed, struct attrs *ret);

/* ---- the rules ----------------------------------------------------------------------------- */

/* C_EncapsulateKey and C_DecapsulateKey derive. */
enum attr_event { ATTR_CREATE, ATTR_GENERATE, ATTR_DERIVE, ATTR_UNWRAP };

/* Class and key type of a template, where it says them. */
CK_RV attrs_template_ulong(const CK_ATTRIBUTE *template, CK_ULONG n, CK_ATTRIBUTE_TYPE type,
                           CK_ULONG *ret);

/* The attributes of a new object out of the template: every value well-formed, every rule of the
 * event kept, CKA_CLASS and CKA_KEY_TYPE as given (CK_UNAVAILABLE_INFORMATION: the caller found
 * none), defaults filled in. so: the SO is logged in. CKR_ATTRIBUTE_TYPE_INVALID,
 * CKR_ATTRIBUTE_VALUE_INVALID, CKR_ATTRIBUTE_READ_ONLY, CKR_TEMPLATE_INCOMPLETE,
 * CKR_TEMPLATE_INCONSISTENT (2.40, 4.1.1).
 * Left to the caller, who knows the key: whether CKA_CHECK_VALUE and CKA_PUBLIC_KEY_INFO are those
 * of the key, and whether the CKA_LATCHKEY_PROTECTION asked for can be had. */
CK_RV attrs_new(enum attr_event event, CK_OBJECT_CLASS cls, CK_KEY_TYPE key_type,
                const CK_ATTRIBUTE *template, CK_ULONG n, bool so, struct attrs *ret);
/* old with the template's changes (C_SetAttributeValue, 2.40, 4.1.2). */
CK_RV attrs_changed(const struct attrs *old, const CK_ATTRIBUTE *template, CK_ULONG n, bool so,
                    struct attrs *ret);
/* old with a copy's changes (C_CopyObject, 2.40, 4.1.3): what may be modified, and CKA_TOKEN,
 * CKA_PRIVATE, CKA_MODIFIABLE, CKA_DESTROYABLE. */
CK_RV attrs_copied(const struct attrs *old, const CK_ATTRIBUTE *template, CK_ULONG n, bool so,
                   struct attrs *ret);
/* May the attribute of this object be told? (footnote 7) */
bool attrs_revealable(const struct attrs *a, CK_ATTRIBUTE_TYPE type);
/* Is it an attribute that objects of this class and key type have? */
bool attrs_known(const struct attrs *a, CK_ATTRIBUTE_TYPE type);

/* ---- telling and nested templates ------------------------------------------------------------ */

/* One value into the caller's attribute: length query, too small, or the copy (2.40, 5.7
 * C_GetAttributeValue, cases 3 to 5). CKR_BUFFER_TOO_SMALL. */
CK_RV attrs_tell(struct bytes value, CK_ATTRIBUTE *out);
/* Is its value a template (CKA_WRAP_TEMPLATE and its like)? Then it is told by this one. */
bool attrs_is_template(CK_ATTRIBUTE_TYPE type);
CK_RV attrs_tell_template(struct bytes packed, CK_ATTRIBUTE *out);

/* The portable form of a nested template in the caller's memory, as objects keep it.
 * CKR_ATTRIBUTE_TYPE_INVALID, CKR_ATTRIBUTE_VALUE_INVALID, CKR_TEMPLATE_INCONSISTENT. */
CK_RV attrs_pack_template(const CK_ATTRIBUTE *template, struct buf *ret);

/* Has the object every attribute of the template, with that value? Attributes that may not be told
 * never match. An empty template matches all. */
CK_RV attrs_match_template(const struct attrs *object, struct bytes packed, bool *ret);

/* A template given with a call, and what a key's CKA_UNWRAP_TEMPLATE, CKA_DERIVE_TEMPLATE or
 * CKA_DECAPSULATE_TEMPLATE adds to it. Zero-initialise; v borrows from the given one. */
struct attrs_joined {
    CK_ATTRIBUTE *v;
    CK_ULONG n;
    struct attrs own;
};
void attrs_joined_free(struct attrs_joined *j);
/* CKR_TEMPLATE_INCONSISTENT: one is given with another value than the key's template says. */
CK_RV attrs_with_template(struct bytes packed, const CK_ATTRIBUTE *given, CK_ULONG n,
                          struct attrs_joined *ret);

#endif
