#include "uri.h"

#include <stdlib.h>
#include <string.h>

static CK_RV set_label(P11KitUri *uri, enum uri_kind kind, const char *label)
{
    CK_TOKEN_INFO *info = p11_kit_uri_get_token_info(uri);
    CK_ATTRIBUTE attribute = {CKA_LABEL, (void *)(uintptr_t)label, strlen(label)};
    if (kind == URI_OBJECT)
        return p11_kit_uri_set_attribute(uri, &attribute) == P11_KIT_URI_OK ? CKR_OK
                                                                            : CKR_HOST_MEMORY;
    if (strlen(label) > sizeof(info->label))
        return fail(EXIT_NOT_FOUND, NULL, "there is no token '%s': a label has at most %zu bytes",
                    label, sizeof(info->label));
    memset(info->label, ' ', sizeof(info->label));
    memcpy(info->label, label, strlen(label));
    return CKR_OK;
}

static CK_RV parse(const char *text, P11KitUri *uri)
{
    int rc = p11_kit_uri_parse(text, P11_KIT_URI_FOR_ANY, uri);
    if (rc != P11_KIT_URI_OK)
        return fail(EXIT_USAGE, "A URI looks like pkcs11:token=T;object=LABEL;type=private",
                    "'%s': %s", text, p11_kit_uri_message(rc));
    if (p11_kit_uri_any_unrecognized(uri))
        return fail(EXIT_USAGE, "RFC 7512 lists the attributes a pkcs11: URI can have.",
                    "'%s' has an attribute that is not known", text);
    if (p11_kit_uri_get_pin_value(uri))
        return fail(EXIT_USAGE,
                    "Leave it out and be asked, or give --pin-file, or pin-source=FILE.",
                    "a PIN in a URI on the command line is refused: every user of the machine can "
                    "see it in the process list, and the shell's history keeps it");
    return CKR_OK;
}

CK_RV uri_parse(const char *text, enum uri_kind kind, P11KitUri **ret)
{
    CLEANUP(uri_free) P11KitUri *uri = p11_kit_uri_new();
    if (!uri)
        return CKR_HOST_MEMORY;
    TRY(strncmp(text, "pkcs11:", 7) == 0 ? parse(text, uri) : set_label(uri, kind, text));
    *ret = uri;
    uri = NULL;
    return CKR_OK;
}

static CK_RV add(P11KitUri *uri, CK_ATTRIBUTE_TYPE type, struct bytes value)
{
    CK_ATTRIBUTE attribute = {type, (void *)(uintptr_t)value.p, value.n};
    if (value.n && p11_kit_uri_set_attribute(uri, &attribute) != P11_KIT_URI_OK)
        return CKR_HOST_MEMORY;
    return CKR_OK;
}

static CK_RV format(P11KitUri *uri, const CK_TOKEN_INFO *info, P11KitUriType type, struct buf *ret)
{
    CK_TOKEN_INFO *token = p11_kit_uri_get_token_info(uri);
    char *text = NULL;
    memcpy(token->label, info->label, sizeof(token->label));
    if (token->label[0] == ' ' || !token->label[0])
        memcpy(token->serialNumber, info->serialNumber, sizeof(token->serialNumber));
    if (p11_kit_uri_format(uri, type, &text) != P11_KIT_URI_OK)
        return CKR_HOST_MEMORY;
    CK_RV rv = buf_append(ret, text, strlen(text) + 1);
    free(text);
    return rv;
}

CK_RV uri_format(const struct cli *cli, CK_OBJECT_CLASS cls, struct bytes id, struct bytes label,
                 struct buf *ret)
{
    CLEANUP(uri_free) P11KitUri *uri = p11_kit_uri_new();
    if (!uri)
        return CKR_HOST_MEMORY;
    TRY(add(uri, CKA_ID, id));
    TRY(add(uri, CKA_LABEL, label));
    if (cls != CK_UNAVAILABLE_INFORMATION)
        TRY(add(uri, CKA_CLASS, BYTES(&cls, sizeof(cls))));
    return format(uri, &cli->token.info, P11_KIT_URI_FOR_OBJECT_ON_TOKEN, ret);
}

CK_RV uri_of_token(const CK_TOKEN_INFO *info, struct buf *ret)
{
    CLEANUP(uri_free) P11KitUri *uri = p11_kit_uri_new();
    return uri ? format(uri, info, P11_KIT_URI_FOR_TOKEN, ret) : CKR_HOST_MEMORY;
}
