/* `latchkey sign` and `latchkey verify`. */
#include <openssl/asn1.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <stdio.h>
#include <string.h>
#include "file.h"
#include "key_use.h"
#include "mechanism.h"
#include "module.h"
#include "signature.h"
#include "stream.h"
#include "verbs.h"

enum { PIECE = 1 << 16, SIGNATURE = 2048 /* RSA of 16384 bits */ };

struct job {
    struct cli *cli;
    struct key_used key;
    const struct mechanism *mechanism;
    struct mechanism_room room;
    struct input in;
};

static void job_free(struct job *job)
{
    input_close(&job->in);
    key_used_free(&job->key);
}

/* ---- what is signed ---------------------------------------------------------------------------
 */

typedef CK_RV (*taker)(void *context, uint8_t *piece, size_t n);

static CK_RV each_piece(struct job *job, taker take, void *context)
{
    CLEANUP(buf_free) struct buf room = {0};
    TRY(buf_reserve(&room, PIECE));
    for (size_t n = PIECE; n == PIECE;) {
        TRY(input_read(&job->in, room.p, PIECE, &n));
        if (n)
            TRY(take(context, room.p, n));
    }
    return CKR_OK;
}

static CK_RV take_hash(void *context, uint8_t *piece, size_t n)
{
    return EVP_DigestUpdate(context, piece, n) ? CKR_OK : CKR_HOST_MEMORY;
}

static CK_RV hash(struct job *job, struct buf *ret)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    uint8_t *room;
    unsigned n = 0;
    CK_RV rv = buf_extend(ret, EVP_MAX_MD_SIZE, &room);
    if (!context || !EVP_DigestInit_ex(context, EVP_get_digestbynid(job->mechanism->hash), NULL))
        rv = CKR_HOST_MEMORY;
    if (rv == CKR_OK)
        rv = each_piece(job, take_hash, context);
    if (rv == CKR_OK && !EVP_DigestFinal_ex(context, room, &n))
        rv = CKR_HOST_MEMORY;
    EVP_MD_CTX_free(context);
    ret->n = n;
    return rv;
}

static CK_RV take_copy(void *context, uint8_t *piece, size_t n)
{
    enum { MOST = 64 << 20 };
    struct buf *all = context;
    if (all->n + n > MOST)
        return fail(EXIT_FAILED, "Sign its digest, or take a key of another type.",
                    "the file is too long: EdDSA wants all of it in memory");
    return buf_append(all, piece, n);
}

/* In one call, with what is to be signed in memory: ECDSA signs a hash, and EdDSA (RFC 8032) goes
 * over the message twice. */
static bool at_once(const struct job *job)
{
    return job->mechanism->type == CKM_ECDSA || job->mechanism->type == CKM_EDDSA;
}

static CK_RV message(struct job *job, struct buf *ret)
{
    return job->mechanism->type == CKM_ECDSA ? hash(job, ret) : each_piece(job, take_copy, ret);
}

/* ---- sign -------------------------------------------------------------------------------------
 */

static CK_RV take_sign(void *context, uint8_t *piece, size_t n)
{
    struct cli *cli = context;
    return cli->module.p11->C_SignUpdate(cli->token.session, piece, n);
}

static CK_RV sign_it(struct job *job, struct buf *ret)
{
    CLEANUP(buf_free) struct buf all = {0};
    struct cli *cli = job->cli;
    CK_FUNCTION_LIST *p11 = cli->module.p11;
    CK_ULONG n = SIGNATURE;
    uint8_t *room;
    TRY(buf_extend(ret, n, &room));
    if (at_once(job))
        TRY(message(job, &all));
    TRY(p11->C_SignInit(cli->token.session, &job->room.m, job->key.object.handle));
    TRY(key_authenticate(cli, &job->key));
    if (at_once(job))
        TRY(p11->C_Sign(cli->token.session, all.p, all.n, room, &n));
    else
        TRY(each_piece(job, take_sign, cli));
    if (!at_once(job))
        TRY(p11->C_SignFinal(cli->token.session, room, &n));
    ret->n = n;
    return CKR_OK;
}

static CK_RV open_job(struct job *job, enum half half, const char *shown)
{
    struct cli *cli = job->cli;
    TRY(key_open(cli, cli->args[0], half, OPEN_READ, &job->key));
    TRY(mechanism_choose(cli, USE_SIGN, job->key.type, 0, &job->mechanism));
    if (cli->option[OPT_DER] && job->mechanism->type != CKM_ECDSA)
        return fail(EXIT_USAGE, NULL, "--der is for ECDSA: other signatures have one form only");
    mechanism_fill(job->mechanism, &job->room);
    return input_open(cli->n_args > 1 ? cli->args[1] : NULL, shown, &job->in);
}

CK_RV file_sign(struct cli *cli)
{
    CLEANUP(job_free) struct job job = {.cli = cli, .in.fd = -1};
    CLEANUP(buf_free) struct buf signature = {0};
    TRY(open_job(&job, HALF_PRIVATE, "signing"));
    TRY(check(sign_it(&job, &signature), "sign %s with %s", job.in.name, job.mechanism->name));
    if (cli->option[OPT_DER])
        TRY(ecdsa_to_der(&signature));
    return file_put(cli->option[OPT_OUT], buf_bytes(&signature));
}

/* ---- verify -----------------------------------------------------------------------------------
 */

static CK_RV take_verify(void *context, uint8_t *piece, size_t n)
{
    struct cli *cli = context;
    return cli->module.p11->C_VerifyUpdate(cli->token.session, piece, n);
}

static CK_RV verify_it(struct job *job, const struct buf *signature)
{
    CLEANUP(buf_free) struct buf all = {0};
    struct cli *cli = job->cli;
    CK_FUNCTION_LIST *p11 = cli->module.p11;
    if (at_once(job))
        TRY(message(job, &all));
    TRY(p11->C_VerifyInit(cli->token.session, &job->room.m, job->key.object.handle));
    TRY(key_authenticate(cli, &job->key));
    if (at_once(job))
        return p11->C_Verify(cli->token.session, all.p, all.n, signature->p, signature->n);
    TRY(each_piece(job, take_verify, cli));
    return p11->C_VerifyFinal(cli->token.session, signature->p, signature->n);
}

/* r and s are as long as the order of the curve: P-521's is 66 bytes. */
static CK_RV from_der(struct job *job, struct buf *signature)
{
    CLEANUP(buf_free) struct buf point = {0};
    TRY(object_attribute(job->cli, job->key.object.handle, CKA_EC_POINT, &point));
    const unsigned char *at = point.p;
    ASN1_OCTET_STRING *octets = d2i_ASN1_OCTET_STRING(NULL, &at, (long)point.n);
    size_t size = octets ? (size_t)ASN1_STRING_length(octets) / 2 : 0;
    ASN1_OCTET_STRING_free(octets);
    return size ? ecdsa_from_der(size, signature) : CKR_SIGNATURE_INVALID;
}

CK_RV file_verify(struct cli *cli)
{
    CLEANUP(job_free) struct job job = {.cli = cli, .in.fd = -1};
    CLEANUP(buf_free) struct buf signature = {0};
    if (!cli->option[OPT_SIGNATURE])
        return fail(EXIT_USAGE, "It names the file that 'latchkey sign' made.",
                    "--signature is missing");
    TRY(file_get(cli->option[OPT_SIGNATURE], &signature));
    TRY(open_job(&job, HALF_PUBLIC, "verifying"));
    CK_RV rv = cli->option[OPT_DER] ? from_der(&job, &signature) : CKR_OK;
    if (rv == CKR_OK)
        rv = verify_it(&job, &signature);
    if (rv == CKR_SIGNATURE_INVALID || rv == CKR_SIGNATURE_LEN_RANGE)
        return fail(EXIT_FAILED,
                    "The file, the signature or the key is another, or the --mechanism (or --der).",
                    "the signature does not fit %s", job.in.name);
    TRY(check(rv, "verify %s with %s", job.in.name, job.mechanism->name));
    printf("The signature fits.\n");
    return CKR_OK;
}
