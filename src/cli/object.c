#include "object.h"

#include <openssl/ec.h>
#include <openssl/objects.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include "base/names.h"
#include "module.h"
#include "public_key.h"
#include "uri.h"
#include "verbs.h"

void handles_free(struct handles *handles)
{
    free(handles->h);
    *handles = (struct handles){0};
}

void object_free(struct object *o)
{
    buf_free(&o->id);
    buf_free(&o->label);
    *o = (struct object){0};
}

void key_pair_free(struct key_pair *pair)
{
    object_free(&pair->private);
    object_free(&pair->public);
}

CK_RV object_attribute(struct cli *cli, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type,
                       struct buf *ret)
{
    CK_ATTRIBUTE attribute = {type, NULL, 0};
    CK_FUNCTION_LIST *p11 = cli->module.p11;
    buf_free(ret);
    CK_RV rv = p11->C_GetAttributeValue(cli->token.session, object, &attribute, 1);
    if (rv == CKR_ATTRIBUTE_TYPE_INVALID || rv == CKR_ATTRIBUTE_SENSITIVE ||
        (rv == CKR_OK && attribute.ulValueLen == CK_UNAVAILABLE_INFORMATION))
        return CKR_OK;
    TRY(check(rv, "read %s", name_attribute(type)));
    uint8_t *room;
    TRY(buf_extend(ret, attribute.ulValueLen, &room));
    attribute.pValue = room;
    TRY(check(p11->C_GetAttributeValue(cli->token.session, object, &attribute, 1), "read %s",
              name_attribute(type)));
    ret->n = attribute.ulValueLen;
    return CKR_OK;
}

bool object_bool(struct cli *cli, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type)
{
    CK_BBOOL value = CK_FALSE;
    CK_ATTRIBUTE attribute = {type, &value, sizeof(value)};
    return cli->module.p11->C_GetAttributeValue(cli->token.session, object, &attribute, 1) ==
               CKR_OK &&
           value == CK_TRUE;
}

CK_ULONG object_ulong(struct cli *cli, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type)
{
    CK_ULONG value = CK_UNAVAILABLE_INFORMATION;
    CK_ATTRIBUTE attribute = {type, &value, sizeof(value)};
    CK_RV rv = cli->module.p11->C_GetAttributeValue(cli->token.session, object, &attribute, 1);
    return rv == CKR_OK ? value : CK_UNAVAILABLE_INFORMATION;
}

static CK_RV collect(struct cli *cli, struct handles *ret)
{
    CK_OBJECT_HANDLE some[256];
    for (;;) {
        CK_ULONG n = 0;
        TRY(check(cli->module.p11->C_FindObjects(cli->token.session, some, 256, &n),
                  "find objects"));
        if (n == 0)
            return CKR_OK;
        CK_OBJECT_HANDLE *grown = reallocarray(ret->h, ret->n + n, sizeof(*grown));
        if (!grown)
            return CKR_HOST_MEMORY;
        ret->h = grown;
        memcpy(ret->h + ret->n, some, n * sizeof(*some));
        ret->n += n;
    }
}

CK_RV objects_find(struct cli *cli, CK_ATTRIBUTE *attributes, size_t n, struct handles *ret)
{
    CK_FUNCTION_LIST *p11 = cli->module.p11;
    TRY(check(p11->C_FindObjectsInit(cli->token.session, attributes, n), "find objects"));
    CK_RV rv = collect(cli, ret);
    p11->C_FindObjectsFinal(cli->token.session);
    return rv;
}

CK_RV object_read(struct cli *cli, CK_OBJECT_HANDLE handle, struct object *ret)
{
    ret->handle = handle;
    ret->cls = object_ulong(cli, handle, CKA_CLASS);
    TRY(object_attribute(cli, handle, CKA_ID, &ret->id));
    TRY(object_attribute(cli, handle, CKA_LABEL, &ret->label));
    TRY(buf_append(&ret->label, "", 1));
    ret->label.n--;
    return CKR_OK;
}

const char *object_class(CK_OBJECT_CLASS cls)
{
    static const char *const names[] = {
        [CKO_DATA] = "data",           [CKO_CERTIFICATE] = "cert",      [CKO_PUBLIC_KEY] = "public",
        [CKO_PRIVATE_KEY] = "private", [CKO_SECRET_KEY] = "secret-key",
    };
    return cls < sizeof(names) / sizeof(*names) ? names[cls] : name_class(cls);
}

static CK_RV matching(struct cli *cli, P11KitUri *uri, struct handles *ret)
{
    CK_ULONG n = 0;
    CK_ATTRIBUTE *attributes = p11_kit_uri_get_attributes(uri, &n);
    if (n == 0)
        return fail(EXIT_USAGE, "Add object=LABEL or id=%01 to the URI.",
                    "the URI names no object");
    return objects_find(cli, attributes, n, ret);
}

static CK_RV not_found(struct cli *cli, const char *what, const char *name)
{
    char why[256] = "'latchkey object list' shows what there is.";
    bool can_login = cli->verb->options >> OPT_LOGIN & 1;
    return fail(EXIT_NOT_FOUND,
                can_login && !cli->option[OPT_LOGIN] ? "Private keys are seen with --login only."
                                                     : why,
                "there is no %s '%s' on the token '%s'", what, name, PADDED(cli->token.info.label));
}

CK_RV object_find(struct cli *cli, P11KitUri *uri, const char *name, CK_OBJECT_CLASS cls,
                  struct object *ret)
{
    CLEANUP(handles_free) struct handles found = {0};
    CK_OBJECT_HANDLE hit = 0;
    size_t hits = 0;
    TRY(matching(cli, uri, &found));
    for (size_t i = 0; i < found.n; i++) {
        if (object_ulong(cli, found.h[i], CKA_CLASS) != cls)
            continue;
        hit = found.h[i];
        hits++;
    }
    const char *what = cls == CKO_CERTIFICATE ? "certificate" : object_class(cls);
    if (hits == 0)
        return not_found(cli, what, name);
    if (hits > 1)
        return fail(EXIT_AMBIGUOUS, "Name it by its URI: 'latchkey object list' shows them.",
                    "'%s' is the name of %zu %s objects", name, hits, what);
    return object_read(cli, hit, ret);
}

static CK_RV add_half(struct key_pair *pair, struct object *o, const char *name)
{
    struct object *half = o->cls == CKO_PUBLIC_KEY ? &pair->public : &pair->private;
    const struct object *other = key_half(pair);
    if (half->handle || (other->handle && !bytes_equal(buf_bytes(&other->id), buf_bytes(&o->id))))
        return fail(EXIT_AMBIGUOUS, "Name one by its URI: 'latchkey key list' shows them.",
                    "'%s' is the name of several keys", name);
    *half = *o;
    *o = (struct object){0};
    return CKR_OK;
}

CK_RV key_find(struct cli *cli, P11KitUri *uri, const char *name, struct key_pair *ret)
{
    CLEANUP(handles_free) struct handles found = {0};
    TRY(matching(cli, uri, &found));
    for (size_t i = 0; i < found.n; i++) {
        CLEANUP(object_free) struct object o = {0};
        TRY(object_read(cli, found.h[i], &o));
        if (o.cls == CKO_PRIVATE_KEY || o.cls == CKO_PUBLIC_KEY || o.cls == CKO_SECRET_KEY)
            TRY(add_half(ret, &o, name));
    }
    return key_half(ret)->handle ? CKR_OK : not_found(cli, "key", name);
}

static CK_RV describe_certificate(struct cli *cli, const struct object *o, struct buf *ret)
{
    CLEANUP(buf_free) struct buf der = {0};
    TRY(object_attribute(cli, o->handle, CKA_SUBJECT, &der));
    const unsigned char *at = der.p;
    X509_NAME *name = d2i_X509_NAME(NULL, &at, (long)der.n);
    BIO *text = BIO_new(BIO_s_mem());
    CK_RV rv = buf_append(ret, "X.509 ", 6);
    char *p = NULL;
    if (name && text &&
        X509_NAME_print_ex(text, name, 0, XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB) >
            0) {
        long n = BIO_get_mem_data(text, &p);
        rv = rv == CKR_OK ? buf_append(ret, p, (size_t)n) : rv;
    }
    BIO_free(text);
    X509_NAME_free(name);
    return rv;
}

static CK_RV curve_name(struct cli *cli, CK_OBJECT_HANDLE key, char *out, size_t room)
{
    CLEANUP(buf_free) struct buf parameters = {0};
    TRY(object_attribute(cli, key, CKA_EC_PARAMS, &parameters));
    const struct raw_curve *raw = public_key_raw_curve(buf_bytes(&parameters));
    if (raw) {
        snprintf(out, room, "%s", raw->name);
        return CKR_OK;
    }
    const unsigned char *at = parameters.p;
    ASN1_OBJECT *oid = d2i_ASN1_OBJECT(NULL, &at, (long)parameters.n);
    int nid = oid ? OBJ_obj2nid(oid) : NID_undef;
    ASN1_OBJECT_free(oid);
    const char *nist = EC_curve_nid2nist(nid);
    snprintf(out, room, "EC %s", nist ? nist : OBJ_nid2sn(nid));
    return CKR_OK;
}

CK_RV object_describe(struct cli *cli, const struct object *o, struct buf *ret)
{
    char text[64] = "";
    CLEANUP(buf_free) struct buf modulus = {0};
    CK_KEY_TYPE type = object_ulong(cli, o->handle, CKA_KEY_TYPE);
    if (o->cls == CKO_CERTIFICATE)
        TRY(describe_certificate(cli, o, ret));
    else if (type == CKK_EC || type == CKK_EC_EDWARDS || type == CKK_EC_MONTGOMERY)
        TRY(curve_name(cli, o->handle, text, sizeof(text)));
    else if (type == CKK_RSA) {
        TRY(object_attribute(cli, o->handle, CKA_MODULUS, &modulus));
        snprintf(text, sizeof(text), "RSA %zu", modulus.n * 8);
    } else if (o->cls == CKO_SECRET_KEY) {
        CK_ULONG n = object_ulong(cli, o->handle, CKA_VALUE_LEN);
        const char *name = name_key_type(type);
        name = type == CKK_GENERIC_SECRET ? "generic" : name + (strncmp(name, "CKK_", 4) ? 0 : 4);
        if (n && n != CK_UNAVAILABLE_INFORMATION)
            snprintf(text, sizeof(text), "%s %lu", name, n * 8);
        else /* not every module knows it of a key that was unwrapped */
            snprintf(text, sizeof(text), "%s", name);
    }
    return buf_append(ret, text, strlen(text) + 1);
}

CK_RV cell_id(struct table *t, const struct object *o)
{
    CLEANUP(buf_free) struct buf hex = {0};
    uint8_t *room;
    TRY(buf_extend(&hex, 2 * o->id.n + 1, &room));
    bytes_hex(buf_bytes(&o->id), (char *)room);
    table_cell(t, "%s", (char *)room);
    return CKR_OK;
}

CK_RV cell_uri(struct cli *cli, struct table *t, CK_OBJECT_CLASS cls, const struct object *o)
{
    CLEANUP(buf_free) struct buf uri = {0};
    TRY(uri_format(cli, cls, buf_bytes(&o->id), buf_bytes(&o->label), &uri));
    table_cell(t, "%s", (char *)uri.p);
    return CKR_OK;
}

CK_RV cell_type(struct cli *cli, struct table *t, const struct object *o)
{
    CLEANUP(buf_free) struct buf type = {0};
    TRY(object_describe(cli, o, &type));
    table_cell(t, "%s", (char *)type.p);
    return CKR_OK;
}

CK_RV object_list(struct cli *cli)
{
    static const struct column columns[] = {{"class", "CLASS", CELL_TEXT},
                                            {"label", "LABEL", CELL_TEXT},
                                            {"id", "ID", CELL_TEXT},
                                            {"type", "TYPE", CELL_TEXT},
                                            {"uri", NULL, CELL_TEXT}};
    CLEANUP(table_free) struct table t = TABLE(columns);
    CLEANUP(handles_free) struct handles found = {0};
    TRY(token_open(cli, NULL, cli->option[OPT_LOGIN] ? OPEN_LOGIN : OPEN_READ));
    TRY(objects_find(cli, NULL, 0, &found));
    for (size_t i = 0; i < found.n; i++) {
        CLEANUP(object_free) struct object o = {0};
        TRY(object_read(cli, found.h[i], &o));
        table_cell(&t, "%s", object_class(o.cls));
        table_cell(&t, "%s", (char *)o.label.p);
        TRY(cell_id(&t, &o));
        TRY(cell_type(cli, &t, &o));
        TRY(cell_uri(cli, &t, o.cls, &o));
    }
    if (!found.n && !cli->option[OPT_LOGIN])
        fputs("No public objects. Private ones are seen with --login.\n", stderr);
    return table_print_list(&t, cli->option[OPT_JSON]);
}
