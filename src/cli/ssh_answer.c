/* What `latchkey ssh-agent` answers: one request in, one answer out. */
#include "ssh_agent.h"

#include <openssl/evp.h>
#include <sys/random.h>
#include "ssh_wire.h"

/* The draft's numbers of messages. */
enum {
    AGENT_FAILURE = 5,
    AGENT_SUCCESS = 6,
    REQUEST_IDENTITIES = 11,
    IDENTITIES_ANSWER = 12,
    SIGN_REQUEST = 13,
    SIGN_RESPONSE = 14,
    LOCK = 22,
    UNLOCK = 23,
};

/* Any error becomes AGENT_FAILURE; this one is for what the client did wrong. */
static const CK_RV refused = CKR_ARGUMENTS_BAD;

/* Of a token with more keys than one answer holds, the first are shown. */
static CK_RV identities(struct ssh_agent *agent, struct bytes request, struct buf *ret)
{
    CLEANUP(buf_free) struct buf list = {0};
    const struct ssh_keys *keys = &agent->keys;
    uint32_t n = 0;
    if (request.n)
        return refused;
    if (!agent->lock.on)
        TRY(ssh_keys_read(agent));
    for (size_t i = 0; !agent->lock.on && i < keys->n; i++) {
        const struct ssh_identity *identity = &keys->all[i];
        if (5 + list.n + 8 + identity->blob.n + identity->comment.n > SSH_MESSAGE)
            break;
        TRY(ssh_put_string(&list, buf_bytes(&identity->blob)));
        TRY(ssh_put_string(&list, buf_bytes(&identity->comment)));
        n++;
    }
    TRY(buf_u8(ret, IDENTITIES_ANSWER));
    TRY(buf_u32(ret, n));
    return buf_bytes_append(ret, buf_bytes(&list));
}

static CK_RV sign(struct ssh_agent *agent, struct bytes request, struct buf *ret)
{
    CLEANUP(buf_free) struct buf signature = {0};
    struct bytes blob, message;
    uint32_t flags;
    if (agent->lock.on || !ssh_take_string(&request, &blob) ||
        !ssh_take_string(&request, &message) || !bytes_take_u32(&request, &flags) || request.n)
        return refused;
    const struct ssh_identity *identity = ssh_keys_find(agent, blob);
    if (!identity)
        return refused;
    TRY(ssh_keys_sign(agent, identity, message, flags, &signature));
    TRY(buf_u8(ret, SIGN_RESPONSE));
    return ssh_put_string(ret, buf_bytes(&signature));
}

/* ---- locking ----------------------------------------------------------------------------------
 */

/* So many rounds that passwords cannot be tried quickly, and that other clients do not notice. */
static CK_RV stretch(const struct ssh_lock *lock, struct bytes password, uint8_t ret[32])
{
    enum { ROUNDS = 100000 };
    return PKCS5_PBKDF2_HMAC(password.n ? (const char *)password.p : "", (int)password.n,
                             lock->salt, sizeof(lock->salt), ROUNDS, EVP_sha256(), 32, ret)
               ? CKR_OK
               : CKR_HOST_MEMORY;
}

static CK_RV lock(struct ssh_agent *agent, struct bytes request, struct buf *ret)
{
    struct ssh_lock fresh = {.on = true};
    struct bytes password;
    if (agent->lock.on || !ssh_take_string(&request, &password) || request.n)
        return refused;
    if (getrandom(fresh.salt, sizeof(fresh.salt), 0) != sizeof(fresh.salt))
        return CKR_HOST_MEMORY;
    TRY(stretch(&fresh, password, fresh.hash));
    agent->lock = fresh;
    return buf_u8(ret, AGENT_SUCCESS);
}

static CK_RV unlock(struct ssh_agent *agent, struct bytes request, struct buf *ret)
{
    uint8_t hash[32];
    struct bytes password;
    if (!agent->lock.on || !ssh_take_string(&request, &password) || request.n)
        return refused;
    TRY(stretch(&agent->lock, password, hash));
    if (!secret_equal(BYTES_OF(hash), BYTES_OF(agent->lock.hash)))
        return refused;
    agent->lock = (struct ssh_lock){0};
    return buf_u8(ret, AGENT_SUCCESS);
}

/* ---- all of them ------------------------------------------------------------------------------
 */

static const struct {
    uint8_t type;
    CK_RV (*answer)(struct ssh_agent *agent, struct bytes request, struct buf *ret);
} rows[] = {{REQUEST_IDENTITIES, identities}, {SIGN_REQUEST, sign}, {LOCK, lock}, {UNLOCK, unlock}};

static CK_RV answer(struct ssh_agent *agent, struct bytes request, struct buf *ret)
{
    uint8_t type;
    if (!bytes_take_u8(&request, &type))
        return refused;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        if (rows[i].type == type)
            return rows[i].answer(agent, request, ret);
    return refused;
}

CK_RV ssh_answer(struct ssh_agent *agent, struct bytes request, struct buf *ret)
{
    CLEANUP(buf_free) struct buf out = {0};
    if (answer(agent, request, &out) == CKR_OK)
        return buf_bytes_append(ret, buf_bytes(&out));
    return buf_u8(ret, AGENT_FAILURE);
}
