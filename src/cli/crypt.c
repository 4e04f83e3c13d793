/* `latchkey encrypt` and `latchkey decrypt`. */
#include <string.h>
#include "key_use.h"
#include "mechanism.h"
#include "module.h"
#include "stream.h"
#include "verbs.h"

/* What C_Encrypt… and C_Decrypt… have in common. */
struct direction {
    bool encrypt;
    const char *doing, *shown;
    CK_C_EncryptInit init;
    CK_C_Encrypt once;
    CK_C_EncryptUpdate update;
    CK_C_EncryptFinal final;
};

struct job {
    struct cli *cli;
    struct direction way;
    struct key_used key;
    const struct mechanism *mechanism;
    struct mechanism_room room;
    struct input in;
    struct output out;
};

static void job_free(struct job *job)
{
    input_close(&job->in);
    output_close(&job->out);
    key_used_free(&job->key);
}

static struct direction direction(const struct cli *cli, bool encrypt)
{
    const CK_FUNCTION_LIST *p = cli->module.p11;
    if (encrypt)
        return (struct direction){
            true,         "encrypt",          "encrypting",      p->C_EncryptInit,
            p->C_Encrypt, p->C_EncryptUpdate, p->C_EncryptFinal,
        };
    return (struct direction){
        false,        "decrypt",          "decrypting",      p->C_DecryptInit,
        p->C_Decrypt, p->C_DecryptUpdate, p->C_DecryptFinal,
    };
}

static CK_RV start(struct job *job)
{
    mechanism_fill(job->mechanism, &job->room);
    TRY(check(job->way.init(job->cli->token.session, &job->room.m, job->key.object.handle),
              "%s with %s", job->way.doing, job->mechanism->name));
    return key_authenticate(job->cli, &job->key);
}

/* CKR_OK, or tells what cannot be done. */
static CK_RV cannot(const struct job *job, CK_RV rv)
{
    return check(rv, "%s %s", job->way.doing, job->in.name);
}

/* ---- AES-GCM: chunks that stand for themselves ------------------------------------------------
 */

/* The file: the head, the nonce, then chunk after chunk, each with its tag; latchkey(1) describes
 * it. A chunk's nonce is the file's with the chunk's number XORed into its last four bytes. The
 * head and "is it the last one" are authenticated with each, so chunks cannot be moved, changed or
 * cut off, and what is written out has been verified. */
enum { CHUNK = 1 << 20, TAG = 16, HEAD = 8 };
static const uint8_t head[HEAD] = {'L', 'K', 'E', 'N', 'C', 1, 1, 20};

static void number_chunk(struct mechanism_room *room, const uint8_t *nonce, uint32_t i, bool last)
{
    memcpy(room->iv, nonce, room->iv_len);
    for (size_t k = 0; k < 4; k++)
        room->iv[room->iv_len - 1 - k] ^= (uint8_t)(i >> (8 * k));
    memcpy(room->aad, head, HEAD);
    room->aad[HEAD] = last;
    room->aad_len = HEAD + 1;
}

struct pieces {
    struct buf now, next, out;
};

static void pieces_free(struct pieces *p)
{
    buf_free(&p->now);
    buf_free(&p->next);
    buf_free(&p->out);
}

static CK_RV read_piece(struct job *job, struct buf *ret)
{
    size_t n = CHUNK + (job->way.encrypt ? 0 : TAG);
    return input_read(&job->in, ret->p, n, &ret->n);
}

static CK_RV one_chunk(struct job *job, struct pieces *p)
{
    CK_ULONG n = CHUNK + TAG;
    TRY(start(job));
    TRY(cannot(job, job->way.once(job->cli->token.session, p->now.p, p->now.n, p->out.p, &n)));
    return output_write(&job->out, BYTES(p->out.p, n));
}

static CK_RV chunks(struct job *job, const uint8_t *nonce)
{
    CLEANUP(pieces_free) struct pieces p = {0};
    TRY(buf_reserve(&p.now, CHUNK + TAG));
    TRY(buf_reserve(&p.next, CHUNK + TAG));
    TRY(buf_reserve(&p.out, CHUNK + TAG));
    TRY(read_piece(job, &p.now));
    for (uint32_t i = 0;; i++) {
        TRY(read_piece(job, &p.next));
        number_chunk(&job->room, nonce, i, !p.next.n);
        TRY(one_chunk(job, &p));
        if (!p.next.n)
            return CKR_OK;
        if (i == UINT32_MAX)
            return fail(EXIT_FAILED, NULL, "%s is too long for one nonce", job->in.name);
        struct buf done = p.now;
        p.now = p.next;
        p.next = done;
    }
}

static CK_RV encrypt_chunks(struct job *job)
{
    uint8_t nonce[sizeof(job->room.iv)];
    job->room.iv_len = mechanism_iv(job->mechanism);
    TRY(mechanism_new_iv(&job->room));
    memcpy(nonce, job->room.iv, job->room.iv_len);
    TRY(output_write(&job->out, BYTES_OF(head)));
    TRY(output_write(&job->out, BYTES(nonce, job->room.iv_len)));
    return chunks(job, nonce);
}

static CK_RV decrypt_chunks(struct job *job)
{
    uint8_t found[HEAD], nonce[sizeof(job->room.iv)];
    size_t n, iv_n;
    job->room.iv_len = mechanism_iv(job->mechanism);
    TRY(input_read(&job->in, found, HEAD, &n));
    TRY(input_read(&job->in, nonce, job->room.iv_len, &iv_n));
    if (n != HEAD || iv_n != job->room.iv_len || memcmp(found, head, HEAD) != 0)
        return fail(EXIT_FAILED, "What another program encrypted may need --mechanism aes-cbc-pad.",
                    "%s was not made by 'latchkey encrypt' with AES-GCM", job->in.name);
    return chunks(job, nonce);
}

/* ---- AES-CBC: the IV, then what the token makes of the stream ---------------------------------
 */

enum { PIECE = 1 << 16, BLOCK = 16 };

static CK_RV stream(struct job *job)
{
    CLEANUP(pieces_free) struct pieces p = {0};
    CK_SESSION_HANDLE session = job->cli->token.session;
    CK_ULONG n;
    TRY(buf_reserve(&p.now, PIECE));
    TRY(buf_reserve(&p.out, PIECE + BLOCK));
    TRY(start(job));
    for (p.now.n = PIECE; p.now.n == PIECE;) {
        n = PIECE + BLOCK;
        TRY(input_read(&job->in, p.now.p, PIECE, &p.now.n));
        if (p.now.n)
            TRY(cannot(job, job->way.update(session, p.now.p, p.now.n, p.out.p, &n)));
        if (p.now.n)
            TRY(output_write(&job->out, BYTES(p.out.p, n)));
    }
    n = PIECE + BLOCK;
    TRY(cannot(job, job->way.final(session, p.out.p, &n)));
    return output_write(&job->out, BYTES(p.out.p, n));
}

static CK_RV encrypt_stream(struct job *job)
{
    job->room.iv_len = mechanism_iv(job->mechanism);
    TRY(mechanism_new_iv(&job->room));
    TRY(output_write(&job->out, BYTES(job->room.iv, job->room.iv_len)));
    return stream(job);
}

static CK_RV decrypt_stream(struct job *job)
{
    size_t n;
    TRY(input_read(&job->in, job->room.iv, mechanism_iv(job->mechanism), &n));
    return n == mechanism_iv(job->mechanism) ? stream(job)
                                             : cannot(job, CKR_ENCRYPTED_DATA_LEN_RANGE);
}

/* ---- RSA: one block ---------------------------------------------------------------------------
 */

/* RFC 8017, 7.1.1 and 7.2.1: what fits in. */
static CK_RV check_length(struct job *job, size_t n)
{
    CLEANUP(buf_free) struct buf modulus = {0};
    TRY(object_attribute(job->cli, job->key.object.handle, CKA_MODULUS, &modulus));
    size_t overhead = 11;
    if (job->mechanism->parameter == PARAMETER_OAEP)
        overhead = 2 + 2 * (size_t)EVP_MD_get_size(EVP_get_digestbynid(job->mechanism->hash));
    if (modulus.n < overhead || n <= modulus.n - overhead)
        return CKR_OK;
    return fail(EXIT_FAILED,
                "Encrypt it with an AES key, and wrap that one with the RSA key: latchkey key wrap",
                "%s is too long: with this key %s takes %zu bytes", job->in.name,
                job->mechanism->name, modulus.n - overhead);
}

static CK_RV block(struct job *job)
{
    enum { MOST = 2048 }; /* RSA of 16384 bits */
    uint8_t in[MOST + 1], out[MOST];
    CK_ULONG n = MOST;
    size_t got;
    TRY(input_read(&job->in, in, sizeof(in), &got));
    CK_RV rv = job->way.encrypt ? check_length(job, got)
               : got > MOST     ? CKR_ENCRYPTED_DATA_LEN_RANGE
                                : CKR_OK;
    if (rv == CKR_OK)
        rv = start(job);
    if (rv == CKR_OK)
        rv = job->way.once(job->cli->token.session, in, got, out, &n);
    if (rv == CKR_OK)
        rv = output_write(&job->out, BYTES(out, n));
    secret_wipe(in, sizeof(in));
    secret_wipe(out, sizeof(out));
    return cannot(job, rv);
}

/* ---- the verbs --------------------------------------------------------------------------------
 */

static CK_RV run(struct job *job)
{
    switch (job->mechanism->parameter) {
    case PARAMETER_GCM:
        return job->way.encrypt ? encrypt_chunks(job) : decrypt_chunks(job);
    case PARAMETER_IV:
        return job->way.encrypt ? encrypt_stream(job) : decrypt_stream(job);
    default:
        return block(job);
    }
}

static CK_RV both_ways(struct cli *cli, bool encrypt)
{
    CLEANUP(job_free) struct job job = {.cli = cli, .in.fd = -1, .out.fd = -1};
    TRY(key_open(cli, cli->args[0], encrypt ? HALF_PUBLIC : HALF_PRIVATE, OPEN_READ, &job.key));
    job.way = direction(cli, encrypt);
    TRY(mechanism_choose(cli, USE_ENCRYPT, job.key.type, 0, &job.mechanism));
    TRY(input_open(cli->n_args > 1 ? cli->args[1] : NULL, job.way.shown, &job.in));
    TRY(output_open(cli->option[OPT_OUT], encrypt ? OUTPUT_OPEN : OUTPUT_PRIVATE, &job.out));
    TRY(run(&job));
    return output_commit(&job.out);
}

CK_RV file_encrypt(struct cli *cli)
{
    return both_ways(cli, true);
}

CK_RV file_decrypt(struct cli *cli)
{
    return both_ways(cli, false);
}
