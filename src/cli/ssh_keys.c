/* The keys that `latchkey ssh-agent` offers and signs with. */
#include "ssh_agent.h"

#include <openssl/objects.h>
#include <stdlib.h>
#include "key_use.h"
#include "module.h"
#include "public_key.h"
#include "ssh_wire.h"

CK_RV ssh_keys_open(struct ssh_agent *agent)
{
    struct cli *cli = agent->cli;
    TRY(token_open(cli, NULL, OPEN_LOGIN));
    agent->keys.login = cli->token.session;
    cli->token.session = 0;
    TRY(token_session(cli, false));
    return ssh_keys_read(agent);
}

static void forget(struct ssh_keys *keys)
{
    for (size_t i = 0; i < keys->n; i++) {
        buf_free(&keys->all[i].blob);
        buf_free(&keys->all[i].comment);
    }
    free(keys->all);
    keys->all = NULL;
    keys->n = 0;
}

void ssh_keys_free(struct ssh_agent *agent)
{
    forget(&agent->keys);
}

static CK_RV add(struct ssh_agent *agent, CK_OBJECT_HANDLE handle)
{
    struct cli *cli = agent->cli;
    struct ssh_keys *keys = &agent->keys;
    CLEANUP(key_pair_free) struct key_pair pair = {0};
    CLEANUP(public_key_free) EVP_PKEY *public = NULL;
    struct ssh_identity *identity = &keys->all[keys->n];
    if (!object_bool(cli, handle, CKA_SIGN))
        return CKR_OK;
    TRY(object_read(cli, handle, &pair.private));
    TRY(public_key_seek(cli, &pair, &public));
    const char *type = public ? ssh_type_of(public) : NULL;
    if (!type)
        return CKR_OK;
    keys->n++;
    identity->key = handle;
    identity->type = type;
    TRY(ssh_put_key(&identity->blob, public));
    return ssh_put_comment(&identity->comment, (const char *)pair.private.label.p);
}

CK_RV ssh_keys_read(struct ssh_agent *agent)
{
    CLEANUP(handles_free) struct handles found = {0};
    struct ssh_keys *keys = &agent->keys;
    CK_OBJECT_CLASS cls = CKO_PRIVATE_KEY;
    CK_ATTRIBUTE wanted = {CKA_CLASS, &cls, sizeof(cls)};
    forget(keys);
    TRY(objects_find(agent->cli, &wanted, 1, &found));
    if (!found.n)
        return CKR_OK;
    keys->all = calloc(found.n, sizeof(*keys->all));
    if (!keys->all)
        return CKR_HOST_MEMORY;
    for (size_t i = 0; i < found.n; i++)
        TRY(add(agent, found.h[i]));
    return CKR_OK;
}

static const struct ssh_identity *find(const struct ssh_keys *keys, struct bytes blob)
{
    for (size_t i = 0; i < keys->n; i++)
        if (bytes_equal(buf_bytes(&keys->all[i].blob), blob))
            return &keys->all[i];
    return NULL;
}

const struct ssh_identity *ssh_keys_find(struct ssh_agent *agent, struct bytes blob)
{
    const struct ssh_identity *known = find(&agent->keys, blob);
    if (known)
        return known;
    return ssh_keys_read(agent) == CKR_OK ? find(&agent->keys, blob) : NULL;
}

/* A PIN that has become wrong is not tried again and again: the TPM counts. */
static CK_RV authenticate(struct cli *cli, CK_OBJECT_HANDLE key)
{
    struct key_used used = {.object.handle = key};
    if (!cli->token.pin.p && object_bool(cli, key, CKA_ALWAYS_AUTHENTICATE))
        return fail(EXIT_PIN_WRONG, "Start the agent again.", "the PIN is another one by now");
    CK_RV rv = key_authenticate(cli, &used);
    if (rv == TOLD(EXIT_PIN_WRONG) || rv == TOLD(EXIT_PIN_IS_LOCKED))
        secret_free(&cli->token.pin);
    return rv;
}

static CK_RV sign(struct cli *cli, CK_OBJECT_HANDLE key, CK_MECHANISM_TYPE type,
                  struct bytes message, struct buf *ret)
{
    enum { MOST = 2048 /* RSA of 16384 bits */ };
    CK_FUNCTION_LIST *p11 = cli->module.p11;
    CK_MECHANISM mechanism = {type, NULL, 0};
    CK_ULONG n = MOST;
    uint8_t *room;
    TRY(buf_extend(ret, n, &room));
    TRY(p11->C_SignInit(cli->token.session, &mechanism, key));
    TRY(authenticate(cli, key));
    TRY(p11->C_Sign(cli->token.session, (CK_BYTE *)(uintptr_t)message.p, message.n, room, &n));
    ret->n = n;
    return CKR_OK;
}

/* What failed may have left an operation under way, which not every module can cancel. */
static CK_RV renew_session(struct cli *cli)
{
    cli->module.p11->C_CloseSession(cli->token.session);
    cli->token.session = 0;
    return token_session(cli, false);
}

CK_RV ssh_keys_sign(struct ssh_agent *agent, const struct ssh_identity *identity,
                    struct bytes message, uint32_t flags, struct buf *ret)
{
    CLEANUP(buf_free) struct buf raw = {0};
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    const struct ssh_algorithm *algorithm = ssh_algorithm_of(identity->type, flags);
    if (!algorithm)
        return CKR_MECHANISM_INVALID;
    if (algorithm->hash) {
        const EVP_MD *hash = EVP_get_digestbynid(algorithm->hash);
        if (!EVP_Digest(message.p, message.n, digest, &n, hash, NULL))
            return CKR_HOST_MEMORY;
        message = BYTES(digest, n);
    }
    CK_RV rv = sign(agent->cli, identity->key, algorithm->mechanism, message, &raw);
    if (rv != CKR_OK) {
        rv = check(rv, "sign with '%.*s'", (int)identity->comment.n,
                   (const char *)identity->comment.p);
        renew_session(agent->cli);
        return rv;
    }
    return ssh_put_signature(ret, algorithm, buf_bytes(&raw));
}
