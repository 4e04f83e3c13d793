/* Requests to `latchkey ssh-agent`, one after the other as one client sends them. */
#include "fuzz.h"

#include <openssl/evp.h>
#include "public_key.h"
#include "ssh_agent.h"
#include "ssh_wire.h"

/* As slow as it is in earnest, it would be all that is tried. */
int PKCS5_PBKDF2_HMAC(const char *pass, int passlen, const unsigned char *salt, int saltlen,
                      int iter, const EVP_MD *digest, int keylen, unsigned char *out)
{
    (void)iter, (void)digest;
    memset(out, 0, (size_t)keylen);
    for (int i = 0; i < passlen; i++)
        out[i % keylen] ^= (unsigned char)pass[i];
    for (int i = 0; i < saltlen; i++)
        out[i % keylen] ^= salt[i];
    return 1;
}

static uint8_t blob[] = {0, 0, 0, 4, 'b', 'l', 'o', 'b'}, comment[] = {'c'};
static struct ssh_identity identity = {.type = "ecdsa-sha2-nistp256",
                                       .blob = {blob, sizeof(blob), sizeof(blob)},
                                       .comment = {comment, sizeof(comment), sizeof(comment)}};

CK_RV ssh_keys_read(struct ssh_agent *agent)
{
    agent->keys = (struct ssh_keys){.all = &identity, .n = 1};
    return CKR_OK;
}

const struct ssh_identity *ssh_keys_find(struct ssh_agent *agent, struct bytes wanted)
{
    (void)agent;
    return bytes_equal(wanted, buf_bytes(&identity.blob)) ? &identity : NULL;
}

/* The message's bytes for a signature. */
CK_RV ssh_keys_sign(struct ssh_agent *agent, const struct ssh_identity *wanted,
                    struct bytes message, uint32_t flags, struct buf *ret)
{
    (void)agent;
    const struct ssh_algorithm *algorithm = ssh_algorithm_of(wanted->type, flags);
    return algorithm ? ssh_put_signature(ret, algorithm, message) : CKR_MECHANISM_INVALID;
}

/* Of keys that are written; here none is. */
CK_RV public_key_point(EVP_PKEY *key, struct buf *ret)
{
    (void)key, (void)ret;
    return CKR_FUNCTION_FAILED;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    return 0;
}

/* What can be read in an answer is of the right form. */
static void check_answer(struct bytes answer)
{
    struct bytes part;
    uint8_t type;
    uint32_t n;
    CHECK(bytes_take_u8(&answer, &type));
    if (type == 12) {
        CHECK(bytes_take_u32(&answer, &n));
        while (n--)
            CHECK(ssh_take_string(&answer, &part) && ssh_take_string(&answer, &part));
    } else if (type == 14) {
        CHECK(ssh_take_string(&answer, &part) && ssh_take_string(&part, &(struct bytes){0}) &&
              ssh_take_string(&part, &(struct bytes){0}) && part.n == 0);
    } else {
        CHECK(type == 5 || type == 6);
    }
    CHECK(answer.n == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ssh_agent agent = {0};
    struct bytes in = BYTES(data, size), request;
    while (ssh_take_string(&in, &request)) {
        CLEANUP(buf_free) struct buf out = {0};
        bool locked = agent.lock.on;
        CHECK(ssh_answer(&agent, request, &out) == CKR_OK);
        check_answer(buf_bytes(&out));
        CHECK(!locked || out.p[0] != 14); /* nothing is signed while it is locked */
    }
    return 0;
}
