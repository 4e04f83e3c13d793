/* `latchkey key wrap` and `latchkey key unwrap`: keys that leave and come under another key. */
#include <string.h>
#include "file.h"
#include "key_lines.h"
#include "key_plan.h"
#include "key_store.h"
#include "key_use.h"
#include "mechanism.h"
#include "module.h"
#include "public_key.h"
#include "verbs.h"

static CK_RV with_missing(const struct cli *cli)
{
    return cli->option[OPT_WITH]
               ? CKR_OK
               : fail(EXIT_USAGE, "It names the key that wraps or unwraps.", "--with is missing");
}

static CK_RV wrap_it(struct cli *cli, struct mechanism_room *room, const struct key_used *with,
                     const struct key_used *key, struct buf *ret)
{
    CK_FUNCTION_LIST *p11 = cli->module.p11;
    CK_ULONG n = 0;
    uint8_t *at;
    TRY(buf_append(ret, room->iv, room->iv_len));
    TRY(p11->C_WrapKey(cli->token.session, &room->m, with->object.handle, key->object.handle, NULL,
                       &n));
    TRY(buf_extend(ret, n, &at));
    TRY(p11->C_WrapKey(cli->token.session, &room->m, with->object.handle, key->object.handle, at,
                       &n));
    ret->n = room->iv_len + n;
    return CKR_OK;
}

CK_RV key_wrap(struct cli *cli)
{
    CLEANUP(key_used_free) struct key_used key = {0}, with = {0};
    CLEANUP(buf_free) struct buf wrapped = {0};
    const struct mechanism *mechanism;
    struct mechanism_room room = {0};
    TRY(with_missing(cli));
    TRY(key_open(cli, cli->args[0], HALF_PRIVATE, OPEN_READ, &key));
    TRY(key_get(cli, cli->option[OPT_WITH], HALF_PUBLIC, &with));
    TRY(mechanism_choose(cli, USE_WRAP, with.type, key.object.cls, &mechanism));
    mechanism_fill(mechanism, &room);
    TRY(mechanism_new_iv(&room));
    TRY(check(wrap_it(cli, &room, &with, &key, &wrapped), "wrap '%s' under '%s' with %s",
              cli->args[0], cli->option[OPT_WITH], mechanism->name));
    return file_put(cli->option[OPT_OUT], buf_bytes(&wrapped));
}

/* The IV stands in front, where the mechanism has one. */
static CK_RV take_iv(const struct buf *wrapped, struct mechanism_room *room, struct bytes *ret)
{
    struct bytes rest = buf_bytes(wrapped), iv;
    if (!bytes_take(&rest, room->iv_len, &iv) || !rest.n)
        return CKR_WRAPPED_KEY_LEN_RANGE;
    if (iv.n)
        memcpy(room->iv, iv.p, iv.n);
    *ret = rest;
    return CKR_OK;
}

static CK_RV unwrap_it(struct cli *cli, struct mechanism_room *room, const struct key_used *with,
                       const struct buf *wrapped, const struct key_plan *plan,
                       CK_OBJECT_HANDLE *ret)
{
    struct template t = {0};
    struct bytes key;
    if (plan->kind->cls == CKO_SECRET_KEY)
        key_plan_secret(plan, &t);
    else
        key_plan_private(plan, &t);
    TRY(take_iv(wrapped, room, &key));
    return cli->module.p11->C_UnwrapKey(cli->token.session, &room->m, with->object.handle,
                                        (CK_BYTE *)(uintptr_t)key.p, key.n, t.attributes, t.n, ret);
}

/* What arrives is the private key alone; its other half is made from what the module shows of it.
 */
static CK_RV add_public(struct cli *cli, const struct key_plan *plan, CK_OBJECT_HANDLE private)
{
    CLEANUP(public_key_free) EVP_PKEY *key = NULL;
    CK_OBJECT_HANDLE made = 0;
    TRY(public_key_read(cli, private, &key));
    return key ? key_store_public(cli, plan, key, &made) : CKR_OK;
}

static CK_RV make_plan(struct cli *cli, struct key_plan *ret)
{
    TRY(with_missing(cli));
    if (!cli->option[OPT_TYPE])
        return fail(EXIT_USAGE, "The file does not say what it holds.", "--type is missing");
    TRY(key_kind_option(cli, &ret->kind));
    TRY(key_plan_names(cli, NULL, ret));
    return key_plan_usage(cli, ret);
}

CK_RV key_unwrap(struct cli *cli)
{
    CLEANUP(key_used_free) struct key_used with = {0};
    CLEANUP(buf_free) struct buf wrapped = {0};
    CLEANUP(object_free) struct object made = {0};
    const struct mechanism *mechanism;
    struct mechanism_room room = {0};
    struct key_plan plan = {0};
    CK_OBJECT_HANDLE handle = 0;
    TRY(make_plan(cli, &plan));
    TRY(file_get(cli->args[0], &wrapped));
    TRY(key_open(cli, cli->option[OPT_WITH], HALF_PRIVATE, OPEN_WRITE, &with));
    TRY(key_plan_check_free(cli, &plan));
    TRY(mechanism_choose(cli, USE_WRAP, with.type, plan.kind->cls, &mechanism));
    mechanism_fill(mechanism, &room);
    TRY(check(unwrap_it(cli, &room, &with, &wrapped, &plan, &handle),
              "unwrap %s under '%s' with %s", cli->args[0], cli->option[OPT_WITH],
              mechanism->name));
    CK_RV rv = plan.kind->cls == CKO_PRIVATE_KEY ? add_public(cli, &plan, handle) : CKR_OK;
    if (rv != CKR_OK)
        cli->module.p11->C_DestroyObject(cli->token.session, handle);
    TRY(rv);
    TRY(object_read(cli, handle, &made));
    return key_report(cli, &made);
}
