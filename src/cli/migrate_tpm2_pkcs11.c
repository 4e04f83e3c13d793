/* `latchkey migrate tpm2-pkcs11`: its keys are in this TPM already. */
#include <stdint.h>
#include "adopt.h"
#include "migrate.h"
#include "tpm2_pkcs11.h"
#include "verbs.h"

static CK_RV check_parent(const struct old_token *t)
{
    return t->parent_auth ? fail(EXIT_FAILED, NULL,
                                 "the primary key of the token '%s' has an authorization of its "
                                 "own, which is not supported",
                                 t->label)
                          : CKR_OK;
}

static CK_RV unseal(struct cli *cli, struct old_token *t, struct bytes pin)
{
    CLEANUP(secret_free) struct secret auth = {0}, room = {0};
    CK_ULONG n = LATCHKEY_SEALED_MAX;
    TRY(tpm2_pkcs11_pin_auth(t, pin, &auth));
    TRY(secret_new(&room, LATCHKEY_SEALED_MAX));
    LATCHKEY_TPM_KEY object = {.parent = t->parent,
                               .pPublic = t->public.p,
                               .ulPublicLen = t->public.n,
                               .pPrivate = t->sealed.p,
                               .ulPrivateLen = t->sealed.n,
                               .pAuth = auth.p,
                               .ulAuthLen = auth.n};
    CK_RV rv = cli->module.admin->ForeignUnseal(cli->token.session, &object, room.p, &n);
    TRY(check(rv, "open the token '%s' of tpm2-pkcs11 with its user PIN", t->label));
    return secret_copy(&t->opened, BYTES(room.p, n));
}

/* Hash by hash; what the public area says of an HMAC key counts for more than the name here. */
static const struct key_kind *kind_of(const struct old_object *o)
{
    static const struct {
        CK_KEY_TYPE type;
        const char *kind;
    } rows[] = {{CKK_SHA_1_HMAC, "hmac-sha1"},
                {CKK_SHA256_HMAC, "hmac-sha256"},
                {CKK_SHA384_HMAC, "hmac-sha384"},
                {CKK_SHA512_HMAC, "hmac-sha512"}};
    CK_KEY_TYPE type = old_ulong(o, CKA_KEY_TYPE, CK_UNAVAILABLE_INFORMATION);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        if (rows[i].type == type)
            return key_kind_named(rows[i].kind);
    return adopt_kind(old_attribute(o, OLD_PUBLIC));
}

static CK_RV move_key(struct cli *cli, const struct old_token *t, const struct old_object *o,
                      const struct key_plan *plan, const char *source)
{
    CLEANUP(secret_free) struct secret auth = {0};
    CLEANUP(handles_free) struct handles made = {0};
    struct bytes public = old_attribute(o, OLD_PUBLIC), private = old_attribute(o, OLD_PRIVATE);
    if (tpm2_pkcs11_key_auth(o, secret_bytes(&t->opened), &auth) != CKR_OK)
        return fail(EXIT_FAILED, NULL, "the authorization of %s is damaged", source);
    LATCHKEY_TPM_KEY key = {.parent = t->parent,
                            .pPublic = (CK_BYTE_PTR)(uintptr_t) public.p,
                            .ulPublicLen = public.n,
                            .pPrivate = (CK_BYTE_PTR)(uintptr_t) private.p,
                            .ulPrivateLen = private.n,
                            .pAuth = auth.p,
                            .ulAuthLen = auth.n,
                            .ulValueLen = old_ulong(o, CKA_VALUE_LEN, 0)};
    return adopt_key(cli, plan, &key, source, &made);
}

CK_RV migrate_tpm2_pkcs11(struct cli *cli)
{
    static const struct migration m = {
        .program = "tpm2-pkcs11",
        .get_rid = "'tpm2_ptool objdel' takes it out of the old store.",
        .farewell = "delete the file, but not with 'tpm2_ptool destroy',\n"
                    "which takes the primary key that the keys hang on out of the TPM",
        .read = tpm2_pkcs11_read,
        .check = check_parent,
        .open = unseal,
        .kind = kind_of,
        .move_key = move_key,
    };
    return migrate(cli, &m);
}
