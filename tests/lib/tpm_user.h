/* Somebody who reaches the TPM and does not use the module: commands byte by byte (TPM 2.0 part 3),
 * over connections of their own. */
#ifndef TESTS_TPM_USER_H
#define TESTS_TPM_USER_H

#include "fixture.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

enum {
    CC_NV_UNDEFINE = 0x122,
    CC_NV_DEFINE = 0x12A,
    CC_CREATE_PRIMARY = 0x131,
    CC_NV_GLOBAL_LOCK = 0x132,
    CC_NV_INCREMENT = 0x134,
    CC_NV_SET_BITS = 0x135,
    CC_NV_EXTEND = 0x136,
    CC_NV_WRITE = 0x137,
    CC_NV_WRITE_LOCK = 0x138,
    CC_LOCK_RESET = 0x139,
    CC_NV_CHANGE_AUTH = 0x13B,
    CC_ACTIVATE_CREDENTIAL = 0x147,
    CC_CERTIFY = 0x148,
    CC_POLICY_NV = 0x149,
    CC_NV_READ = 0x14E,
    CC_NV_READ_LOCK = 0x14F,
    CC_OBJECT_CHANGE_AUTH = 0x150,
    CC_POLICY_SECRET = 0x151,
    CC_LOAD = 0x157,
    CC_UNSEAL = 0x15E,
    CC_FLUSH = 0x165,
    CC_NV_READ_PUBLIC = 0x169,
    CC_READ_PUBLIC = 0x173,
    CC_START_SESSION = 0x176,
    CC_NV_CERTIFY = 0x184,
    CC_POLICY_AUTHORIZE_NV = 0x192,
};

#define RH_OWNER     0x40000001u
#define RH_NULL      0x40000007u
#define RH_LOCKOUT   0x4000000Au
#define RS_PW        0x40000009u
#define RC_RETRY     0x922u
#define RC_LOCKOUT   0x921u
#define RC_AUTH_FAIL 0x98Eu /* of the first session: counted */
#define RC_BAD_AUTH  0x9A2u /* of the first session: not counted */
#define RC_NV_LOCKED 0x148u
#define RC_NV_AUTH   0x149u /* the authorization does not open this index */

struct raw {
    size_t n;
    uint8_t p[1024];
};

static inline void raw_put(struct raw *r, const void *p, size_t n)
{
    assert_in_range(n, 0, sizeof r->p - r->n);
    if (n > 0)
        memcpy(r->p + r->n, p, n);
    r->n += n;
}

static inline void raw_uint(struct raw *r, uint64_t v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        raw_put(r, &(uint8_t){(uint8_t)(v >> (8 * (n - 1 - i)))}, 1);
}

static inline void raw_2b(struct raw *r, const void *p, size_t n)
{
    raw_uint(r, n, 2);
    raw_put(r, p, n);
}

static inline uint32_t raw_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* What is sent: up to three handles, the authorization area (empty: none), the parameters. */
struct tpm_command {
    uint32_t code, handle[3];
    size_t handles;
    struct raw auths, params;
};

struct tpm_answer {
    uint32_t rc;
    size_t n;
    uint8_t p[4096]; /* the whole answer */
};

/* TPM_RS_PW with this value. */
static inline void command_password(struct tpm_command *c, const void *p, size_t n)
{
    raw_uint(&c->auths, RS_PW, 4);
    raw_uint(&c->auths, 0, 2);
    raw_uint(&c->auths, 0, 1);
    raw_2b(&c->auths, p, n);
}

/* Sent again after TPM_RC_RETRY, as the first use of a protected entity after a start wants it. */
static inline uint32_t command_send(const struct tpm_command *c, struct tpm_answer *ret)
{
    struct raw request = {0};
    size_t auths = c->auths.n > 0 ? 4 + c->auths.n : 0;
    raw_uint(&request, auths > 0 ? 0x8002 : 0x8001, 2);
    raw_uint(&request, 10 + 4 * c->handles + auths + c->params.n, 4);
    raw_uint(&request, c->code, 4);
    for (size_t i = 0; i < c->handles; i++)
        raw_uint(&request, c->handle[i], 4);
    if (auths > 0)
        raw_uint(&request, c->auths.n, 4);
    raw_put(&request, c->auths.p, c->auths.n);
    raw_put(&request, c->params.p, c->params.n);
    do {
        ret->n = swtpm_exchange(fx.tpm.socket, request.p, request.n, ret->p, sizeof ret->p);
        assert_true(ret->n >= 10);
        ret->rc = raw_u32(ret->p + 6);
    } while (ret->rc == RC_RETRY);
    return ret->rc;
}

/* ---- small commands -------------------------------------------------------------------------- */

static inline void tpm_flush(uint32_t handle)
{
    struct tpm_answer a;
    struct tpm_command c = {.code = CC_FLUSH};
    raw_uint(&c.params, handle, 4);
    assert_int_equal(command_send(&c, &a), 0);
}

/* An index' public area and Name, as TPM2_NV_ReadPublic tells anybody. */
struct nv_public {
    size_t n, name_n;
    uint8_t p[256], name[64];
};

static inline uint32_t nv_read_public(uint32_t index, struct nv_public *ret)
{
    struct tpm_answer a;
    struct tpm_command c = {.code = CC_NV_READ_PUBLIC, .handle = {index}, .handles = 1};
    if (command_send(&c, &a) != 0)
        return a.rc;
    ret->n = (size_t)a.p[10] << 8 | a.p[11];
    memcpy(ret->p, a.p + 12, ret->n);
    const uint8_t *name = a.p + 12 + ret->n;
    ret->name_n = (size_t)name[0] << 8 | name[1];
    memcpy(ret->name, name + 2, ret->name_n);
    return 0;
}

/* An unsalted session, bound to an entity or to none (TPM_RH_NULL). type 0: HMAC, 1: policy. */
struct tpm_session {
    uint32_t handle;
    uint8_t nonce_caller[32], nonce_tpm[32], key[32];
    size_t key_n;
};

static inline uint32_t session_begin(uint32_t bind, uint8_t type, struct tpm_session *ret)
{
    struct tpm_answer a;
    struct tpm_command c = {.code = CC_START_SESSION, .handle = {RH_NULL, bind}, .handles = 2};
    *ret = (struct tpm_session){0};
    raw_2b(&c.params, ret->nonce_caller, 32);
    raw_2b(&c.params, NULL, 0);
    raw_uint(&c.params, type, 1);
    raw_uint(&c.params, 0x10, 2); /* no parameter encryption */
    raw_uint(&c.params, 0x0B, 2);
    if (command_send(&c, &a) != 0)
        return a.rc;
    ret->handle = raw_u32(a.p + 10);
    memcpy(ret->nonce_tpm, a.p + 16, 32);
    return 0;
}

static inline void hmac_sha256(const void *key, size_t n, const struct raw *text, uint8_t *ret32)
{
    unsigned size = 32;
    assert_non_null(HMAC(EVP_sha256(), key, (int)n, text->p, text->n, ret32, &size));
}

/* The key of a bound session, as its binder guesses the entity's authorization: KDFa, part 1,
 * 11.4.10.2. */
static inline void session_bound(struct tpm_session *s, const void *auth, size_t n)
{
    struct raw text = {0};
    raw_uint(&text, 1, 4);
    raw_put(&text, "ATH", 4);
    raw_put(&text, s->nonce_tpm, 32);
    raw_put(&text, s->nonce_caller, 32);
    raw_uint(&text, 256, 4);
    while (n > 0 && ((const uint8_t *)auth)[n - 1] == 0) /* part 1, 17.6.4.3 */
        n--;
    hmac_sha256(auth, n, &text, s->key);
    s->key_n = 32;
}

/* The session joins the command as an audit session, authorizing nothing (part 1, 19.6.5).
 * names: of the handles. */
static inline void command_audit(struct tpm_command *c, const struct tpm_session *s,
                                 const void *names, size_t n)
{
    struct raw text = {0};
    uint8_t digest[32], hmac[32];
    raw_uint(&text, c->code, 4);
    raw_put(&text, names, n);
    raw_put(&text, c->params.p, c->params.n);
    assert_int_equal(EVP_Digest(text.p, text.n, digest, NULL, EVP_sha256(), NULL), 1);
    text.n = 0;
    raw_put(&text, digest, 32);
    raw_put(&text, s->nonce_caller, 32);
    raw_put(&text, s->nonce_tpm, 32);
    raw_uint(&text, 0x81, 1); /* audit, continueSession */
    hmac_sha256(s->key, s->key_n, &text, hmac);
    raw_uint(&c->auths, s->handle, 4);
    raw_2b(&c->auths, s->nonce_caller, 32);
    raw_uint(&c->auths, 0x81, 1);
    raw_2b(&c->auths, hmac, 32);
}

/* ---- a PIN's authorization, as whoever reads the store can compute it ------------------------ */

/* ARCHITECTURE.md, "PINs and what follows from them"; store/FORMAT.md: the salt is token.uid and
 * the role. */
static inline void stretch_pin(const char *pin, const uint8_t *uid, char role, unsigned rounds,
                               uint8_t *ret32)
{
    uint8_t salt[17];
    memcpy(salt, uid, 16);
    salt[16] = (uint8_t)role;
    assert_int_equal(PKCS5_PBKDF2_HMAC(pin, (int)strlen(pin), salt, sizeof salt, (int)rounds,
                                       EVP_sha256(), 32, ret32),
                     1);
}

static inline void hkdf_sha256(const void *key, size_t n, const void *salt, size_t salt_n,
                               const char *info, uint8_t *ret, size_t ret_n)
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
    OSSL_PARAM params[5] = {OSSL_PARAM_construct_utf8_string("digest", (char *)"SHA256", 0),
                            OSSL_PARAM_construct_octet_string("key", (void *)key, n),
                            OSSL_PARAM_construct_octet_string("info", (void *)info, strlen(info)),
                            OSSL_PARAM_construct_end(), OSSL_PARAM_construct_end()};
    if (salt_n > 0)
        params[3] = OSSL_PARAM_construct_octet_string("salt", (void *)salt, salt_n);
    assert_int_equal(EVP_KDF_derive(ctx, ret, ret_n, params), 1);
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
}

#endif
