#include "rules.h"

enum flag { NOT_THERE, IS_FALSE, IS_TRUE };

static enum flag flag_of(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type)
{
    CK_BBOOL value = CK_FALSE;
    CK_ATTRIBUTE a = {type, &value, sizeof value};
    if (p11->C_GetAttributeValue(session, object, &a, 1) != CKR_OK)
        return NOT_THERE;
    return value ? IS_TRUE : IS_FALSE;
}

struct one_way one_way_of(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object)
{
    enum flag sensitive = flag_of(session, object, CKA_SENSITIVE);
    return (struct one_way){.key = sensitive != NOT_THERE,
                            .sensitive = sensitive == IS_TRUE,
                            .unextractable = flag_of(session, object, CKA_EXTRACTABLE) == IS_FALSE,
                            .wrap_with_trusted =
                                flag_of(session, object, CKA_WRAP_WITH_TRUSTED) == IS_TRUE};
}

bool went_back(struct one_way before, struct one_way after)
{
    return before.key && after.key &&
           ((before.sensitive && !after.sensitive) ||
            (before.unextractable && !after.unextractable) ||
            (before.wrap_with_trusted && !after.wrap_with_trusted));
}

/* 5.7.5: "If the specified attribute (i.e., the attribute specified by the type field) for the
 * object cannot be revealed because the object is sensitive or unextractable, then the ulValueLen
 * field in that triple is modified to hold the value CK_UNAVAILABLE_INFORMATION." */
static bool tells_secret(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object)
{
    static const CK_ATTRIBUTE_TYPE secrets[] = {
        CKA_VALUE,      CKA_PRIVATE_EXPONENT, CKA_PRIME_1,    CKA_PRIME_2,
        CKA_EXPONENT_1, CKA_EXPONENT_2,       CKA_COEFFICIENT};
    for (size_t i = 0; i < COUNT(secrets); i++) {
        CK_BYTE value[1024] = {0};
        CK_ATTRIBUTE a = {secrets[i], NULL, 0}, whole = {secrets[i], value, sizeof value};
        if (p11->C_GetAttributeValue(session, object, &a, 1) == CKR_OK ||
            p11->C_GetAttributeValue(session, object, &whole, 1) == CKR_OK)
            return true;
        for (size_t k = 0; k < sizeof value; k++)
            if (value[k])
                return true;
    }
    return false;
}

const char *broken_rule(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object)
{
    struct one_way way = one_way_of(session, object);
    if (!way.key)
        return NULL;
    if ((way.sensitive || way.unextractable) && tells_secret(session, object))
        return "a secret comes out";
    if (!way.sensitive && flag_of(session, object, CKA_ALWAYS_SENSITIVE) == IS_TRUE)
        return "always sensitive, and not sensitive";
    if (!way.unextractable && flag_of(session, object, CKA_NEVER_EXTRACTABLE) == IS_TRUE)
        return "never extractable, and extractable";
    return NULL;
}
