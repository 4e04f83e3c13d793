#include "key_use.h"

#include "module.h"
#include "template.h"
#include "uri.h"

static bool pin_given(const struct cli *cli, P11KitUri *uri)
{
    return cli->option[OPT_LOGIN] || cli->option[OPT_PIN_FILE] || cli->option[OPT_PIN_FD] ||
           cli->option[OPT_PIN_ENV] || p11_kit_uri_get_pin_source(uri);
}

static CK_RV public_of_same_id(struct cli *cli, const struct object *key, struct object *ret)
{
    static const CK_OBJECT_CLASS cls = CKO_PUBLIC_KEY;
    CLEANUP(handles_free) struct handles found = {0};
    struct template wanted = {0};
    template_add(&wanted, CKA_CLASS, BYTES(&cls, sizeof(cls)));
    template_add(&wanted, CKA_ID, buf_bytes(&key->id));
    if (key->id.n)
        TRY(objects_find(cli, wanted.attributes, wanted.n, &found));
    return found.n == 1 ? object_read(cli, found.h[0], ret) : CKR_OK;
}

static CK_RV choose(struct cli *cli, const char *name, enum half half, struct key_pair *pair,
                    struct object *ret)
{
    struct object *wanted =
        half == HALF_PUBLIC && pair->private.cls != CKO_SECRET_KEY ? &pair->public : &pair->private;
    if (!wanted->handle && half == HALF_PUBLIC)
        TRY(public_of_same_id(cli, &pair->private, wanted));
    if (!wanted->handle)
        return fail(EXIT_NOT_FOUND, "'latchkey key list --login' shows what there is.",
                    "the key '%s' has no %s half on the token", name,
                    half == HALF_PUBLIC ? "public" : "private");
    *ret = *wanted;
    *wanted = (struct object){0};
    return CKR_OK;
}

static CK_RV find(struct cli *cli, P11KitUri *uri, const char *name, enum half half,
                  struct key_used *ret)
{
    CLEANUP(key_pair_free) struct key_pair pair = {0};
    TRY(key_find(cli, uri, name, &pair));
    TRY(choose(cli, name, half, &pair, &ret->object));
    ret->type = object_ulong(cli, ret->object.handle, CKA_KEY_TYPE);
    return CKR_OK;
}

CK_RV key_open(struct cli *cli, const char *name, enum half half, unsigned flags,
               struct key_used *ret)
{
    CLEANUP(uri_free) P11KitUri *uri = NULL;
    TRY(uri_parse(name, URI_OBJECT, &uri));
    if (half == HALF_PRIVATE || pin_given(cli, uri))
        flags |= OPEN_LOGIN;
    TRY(token_open(cli, uri, flags));
    return find(cli, uri, name, half, ret);
}

CK_RV key_get(struct cli *cli, const char *name, enum half half, struct key_used *ret)
{
    CLEANUP(uri_free) P11KitUri *uri = NULL;
    TRY(uri_parse(name, URI_OBJECT, &uri));
    return find(cli, uri, name, half, ret);
}

CK_RV key_authenticate(struct cli *cli, const struct key_used *key)
{
    return object_bool(cli, key->object.handle, CKA_ALWAYS_AUTHENTICATE) ? token_login_again(cli)
                                                                         : CKR_OK;
}
