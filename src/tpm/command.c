#include "internal.h"

#include <base/clock.h>

enum { HEADER = 10, PARAM_KEY = 16, PARAM_IV = 16 };

void cmd_wipe(struct cmd *c)
{
    secret_wipe(c, sizeof(*c));
}

void cmd_put_raw(struct cmd *c, struct bytes raw)
{
    if (raw.n > sizeof(c->params) - c->n) {
        c->bad = true;
        return;
    }
    if (raw.n)
        memcpy(c->params + c->n, raw.p, raw.n);
    c->n += raw.n;
}

void cmd_put_2b(struct cmd *c, struct bytes content)
{
    uint8_t size[2] = {(uint8_t)(content.n >> 8), (uint8_t)content.n};
    c->bad |= content.n > UINT16_MAX;
    cmd_put_raw(c, BYTES_OF(size));
    cmd_put_raw(c, content);
}

struct bytes cmd_get_2b(struct cmd *c)
{
    struct bytes in = BYTES(c->answer + c->at, c->answer_n - c->at), content;
    uint16_t n;
    if (!bytes_take_u16(&in, &n) || !bytes_take(&in, n, &content)) {
        c->bad = true;
        return NO_BYTES;
    }
    c->at += 2U + n;
    return content;
}

TSS2_RC rc_plain(TSS2_RC rc)
{
    rc &= 0xFFFF;
    return (rc & TPM2_RC_FMT1) ? (rc & (TPM2_RC_FMT1 | 0x3F)) : rc;
}

bool rc_lost_object(TSS2_RC rc)
{
    rc = rc_plain(rc);
    return rc >= TPM2_RC_REFERENCE_H0 && rc <= TPM2_RC_REFERENCE_H6;
}

bool rc_lost_session(TSS2_RC rc)
{
    rc = rc_plain(rc);
    return rc >= TPM2_RC_REFERENCE_S0 && rc <= TPM2_RC_REFERENCE_S6;
}

/* ---- one command on the wire --------------------------------------------------------------- */

/* Fixed buffers: no allocation on the way to a signature. */
struct wire {
    uint8_t p[TPM2_MAX_COMMAND_SIZE];
    size_t n;
    bool full;
};

static void put(struct wire *w, const void *p, size_t n)
{
    if (n > sizeof(w->p) - w->n) {
        w->full = true;
        return;
    }
    if (n)
        memcpy(w->p + w->n, p, n);
    w->n += n;
}

static void put_be(struct wire *w, uint32_t v, size_t n)
{
    uint8_t be[4];
    for (size_t i = 0; i < n; i++)
        be[i] = (uint8_t)(v >> (8 * (n - 1 - i)));
    put(w, be, n);
}

static void wipe_wire(struct wire *w)
{
    secret_wipe(w, sizeof(*w));
}

/* HMAC key of a session in this command: sessionKey || authValue (TPM 2.0 part 1, 19.6.5, 19.6.8).
 * A policy session brings the authValue only after PolicyAuthValue. */
struct hmac_key {
    uint8_t p[TPM2_SHA256_DIGEST_SIZE + TPM_AUTH + 32];
    size_t n;
};

static struct hmac_key session_hmac_key(const struct session *s, struct bytes auth)
{
    struct hmac_key key = {.n = s->key.n};
    memcpy(key.p, s->key.n ? s->key.p : key.p, s->key.n);
    if (s->policy && !s->policy_auth)
        return key;
    /* part 1, 17.6.4.3: trailing zeros of an authValue do not count */
    while (auth.n && auth.p[auth.n - 1] == 0)
        auth.n--;
    if (auth.n && auth.n <= sizeof(key.p) - key.n) {
        memcpy(key.p + key.n, auth.p, auth.n);
        key.n += auth.n;
    }
    return key;
}

static void wipe_key(struct hmac_key *key)
{
    secret_wipe(key, sizeof(*key));
}

/* CFB encryption of the first parameter (part 1, 21.3). The parameter is a TPM2B at p. */
static CK_RV crypt_parameter(const struct session *s, struct bytes auth, bool encrypt, uint8_t *p,
                             size_t n)
{
    CLEANUP(wipe_key) struct hmac_key key = session_hmac_key(s, auth);
    struct bytes newer = BYTES_OF(s->nonce_caller), older = BYTES_OF(s->nonce_tpm);
    uint8_t stream[PARAM_KEY + PARAM_IV];
    size_t size = n >= 2 ? (size_t)(p[0] << 8 | p[1]) : SIZE_MAX;
    if (n < 2 || size > n - 2)
        return error_log(CKR_DEVICE_ERROR, "an encrypted TPM parameter has no size");
    TRY(soft_kdfa(HASH_SHA256, BYTES(key.p, key.n), "CFB", encrypt ? newer : older,
                  encrypt ? older : newer, 8 * sizeof(stream), stream));
    CK_RV rv = soft_aes_cfb(encrypt, stream, stream + PARAM_KEY, p + 2, size);
    secret_wipe(stream, sizeof(stream));
    return rv;
}

static struct bytes auth_of(const struct cmd *c, const struct session *s)
{
    for (unsigned i = 0; i < c->auth_handles; i++)
        if (c->auth[i].session == s)
            return c->auth[i].value;
    return NO_BYTES;
}

static uint8_t session_attributes(const struct cmd *c, const struct session *s)
{
    return (uint8_t)((s->keep ? TPMA_SESSION_CONTINUESESSION : 0) |
                     (c->encrypt_in == s ? TPMA_SESSION_DECRYPT : 0) |
                     (c->encrypt_out == s ? TPMA_SESSION_ENCRYPT : 0) |
                     (c->audit == s ? TPMA_SESSION_AUDIT : 0));
}

static CK_RV command_hash(const struct cmd *c, struct bytes params, uint8_t *ret)
{
    struct wire head = {.n = 0};
    put_be(&head, c->code, 4);
    for (unsigned i = 0; i < c->handles; i++)
        if (c->handle[i].name.n)
            put(&head, c->handle[i].name.p, c->handle[i].name.n);
        else if (!c->sequence)
            put_be(&head, c->handle[i].handle, 4);
    return soft_hash(HASH_SHA256, (struct bytes[]){BYTES(head.p, head.n), params}, 2, ret);
}

static CK_RV command_hmac(const struct cmd *c, unsigned i, const uint8_t *cp_hash, uint8_t *ret)
{
    const struct session *s = c->auth[i].session;
    CLEANUP(wipe_key)
    struct hmac_key key = session_hmac_key(s, i < c->auth_handles ? c->auth[i].value : NO_BYTES);
    uint8_t attributes = session_attributes(c, s);
    /* part 1, 19.6.5: the first session's HMAC covers the nonces of the other sessions that encrypt
     */
    bool first = i == 0 && c->auth_handles; /* only where it authorizes */
    bool other_in = first && c->encrypt_in && c->encrypt_in != s;
    bool other_out =
        first && c->encrypt_out && c->encrypt_out != s && c->encrypt_out != c->encrypt_in;
    return soft_hmac(HASH_SHA256, BYTES(key.p, key.n),
                     (struct bytes[]){BYTES(cp_hash, 32), BYTES_OF(s->nonce_caller),
                                      BYTES_OF(s->nonce_tpm),
                                      other_in ? BYTES_OF(c->encrypt_in->nonce_tpm) : NO_BYTES,
                                      other_out ? BYTES_OF(c->encrypt_out->nonce_tpm) : NO_BYTES,
                                      BYTES(&attributes, 1)},
                     6, ret);
}

static CK_RV put_auth(struct wire *w, const struct cmd *c, unsigned i, const uint8_t *cp_hash)
{
    const struct session *s = c->auth[i].session;
    if (!s) {
        put_be(w, TPM2_RS_PW, 4);
        put_be(w, 0, 2);
        put_be(w, TPMA_SESSION_CONTINUESESSION, 1);
        put_be(w, (uint32_t)c->auth[i].value.n, 2);
        put(w, c->auth[i].value.p, c->auth[i].value.n);
        return CKR_OK;
    }
    uint8_t hmac[TPM2_SHA256_DIGEST_SIZE];
    TRY(command_hmac(c, i, cp_hash, hmac));
    put_be(w, s->handle, 4);
    put_be(w, NONCE, 2);
    put(w, s->nonce_caller, NONCE);
    put_be(w, session_attributes(c, s), 1);
    put_be(w, sizeof(hmac), 2);
    put(w, hmac, sizeof(hmac));
    return CKR_OK;
}

static CK_RV build(struct cmd *c, struct wire *w)
{
    CLEANUP(wipe_wire) struct wire params = {.n = 0}, auths = {.n = 0};
    put(&params, c->params, c->n);
    for (unsigned i = 0; i < c->auths; i++)
        if (c->auth[i].session)
            TRY(soft_random(c->auth[i].session->nonce_caller, NONCE));
    if (c->encrypt_in)
        TRY(crypt_parameter(c->encrypt_in, auth_of(c, c->encrypt_in), true, params.p, params.n));
    uint8_t cp_hash[TPM2_SHA256_DIGEST_SIZE];
    if (c->auths)
        TRY(command_hash(c, BYTES(params.p, params.n), cp_hash));
    for (unsigned i = 0; i < c->auths; i++)
        TRY(put_auth(&auths, c, i, cp_hash));
    size_t total = HEADER + 4 * c->handles + (c->auths ? 4 + auths.n : 0) + params.n;
    put_be(w, c->auths ? TPM2_ST_SESSIONS : TPM2_ST_NO_SESSIONS, 2);
    put_be(w, (uint32_t)total, 4);
    put_be(w, c->code, 4);
    for (unsigned i = 0; i < c->handles; i++)
        put_be(w, c->handle[i].handle, 4);
    if (c->auths) {
        put_be(w, (uint32_t)auths.n, 4);
        put(w, auths.p, auths.n);
    }
    put(w, params.p, params.n);
    return w->full || params.full || auths.full || c->bad
               ? error_log(CKR_DEVICE_ERROR, "%s: the command is too large", c->name)
               : CKR_OK;
}

/* ---- the answer ---------------------------------------------------------------------------- */

static CK_RV nonsense(const struct cmd *c)
{
    return error_log(CKR_DEVICE_ERROR, "%s: the TPM's answer cannot be read", c->name);
}

static CK_RV check_session(struct tpm *t, struct cmd *c, unsigned i, const uint8_t *rp_hash,
                           struct bytes *auths)
{
    struct session *s = c->auth[i].session;
    struct bytes nonce, hmac;
    uint16_t n;
    uint8_t attributes, want[TPM2_SHA256_DIGEST_SIZE];
    if (!bytes_take_u16(auths, &n) || !bytes_take(auths, n, &nonce) ||
        !bytes_take_u8(auths, &attributes) || !bytes_take_u16(auths, &n) ||
        !bytes_take(auths, n, &hmac))
        return nonsense(c);
    if (!s)
        return CKR_OK;
    if (nonce.n != NONCE)
        return nonsense(c);
    memcpy(s->nonce_tpm, nonce.p, NONCE);
    /* part 1, 19.6.5: where a command changes the authValue, its answer is keyed with the new one
     */
    struct bytes value = c->auth[i].new_value.n ? c->auth[i].new_value : c->auth[i].value;
    CLEANUP(wipe_key)
    struct hmac_key key = session_hmac_key(s, i < c->auth_handles ? value : NO_BYTES);
    bool proves = key.n || hmac.n; /* a policy session without key proves and hides nothing */
    if (proves)
        TRY(soft_hmac(HASH_SHA256, BYTES(key.p, key.n),
                      (struct bytes[]){BYTES(rp_hash, 32), BYTES_OF(s->nonce_tpm),
                                       BYTES_OF(s->nonce_caller), BYTES(&attributes, 1)},
                      4, want));
    if (proves && !secret_equal(BYTES_OF(want), hmac))
        return error_log(CKR_DEVICE_ERROR, "%s: the TPM's answer was changed on its way (HMAC)",
                         c->name);
    if (!(attributes & TPMA_SESSION_CONTINUESESSION)) {
        extra_forget(t, s->handle);
        s->handle = 0;
    }
    return CKR_OK;
}

static CK_RV read_sessions(struct tpm *t, struct cmd *c, struct bytes params, struct bytes auths)
{
    uint8_t head[8] = {0}, rp_hash[TPM2_SHA256_DIGEST_SIZE];
    for (int i = 0; i < 4; i++)
        head[4 + i] = (uint8_t)(c->code >> (8 * (3 - i)));
    TRY(soft_hash(HASH_SHA256, (struct bytes[]){BYTES_OF(head), params}, 2, rp_hash));
    for (unsigned i = 0; i < c->auths; i++)
        TRY(check_session(t, c, i, rp_hash, &auths));
    return CKR_OK;
}

/* An answer that was spoilt gives any number. Taken for ours, it would be used as a key, and in the
 * end be flushed again and again. */
static bool can_be_made(const struct cmd *c)
{
    TPM2_HANDLE kind = c->made >> TPM2_HR_SHIFT;
    return c->code == TPM2_CC_StartAuthSession
               ? kind == TPM2_HT_HMAC_SESSION || kind == TPM2_HT_POLICY_SESSION
               : kind == TPM2_HT_TRANSIENT;
}

static CK_RV read_answer(struct tpm *t, struct cmd *c, uint8_t *raw, size_t n)
{
    struct bytes in = BYTES(raw, n), params;
    uint16_t tag;
    uint32_t size, rc, params_n;
    if (!bytes_take_u16(&in, &tag) || !bytes_take_u32(&in, &size) || !bytes_take_u32(&in, &rc) ||
        size != n)
        return nonsense(c);
    c->rc = rc;
    if (rc != TPM2_RC_SUCCESS)
        return CKR_OK;
    if (tag != (c->auths ? TPM2_ST_SESSIONS : TPM2_ST_NO_SESSIONS))
        return nonsense(c);
    if (c->makes_handle && (!bytes_take_u32(&in, &c->made) || !can_be_made(c)))
        return nonsense(c);
    params_n = (uint32_t)in.n;
    if (c->auths && !bytes_take_u32(&in, &params_n))
        return nonsense(c);
    if (!bytes_take(&in, params_n, &params))
        return nonsense(c);
    if (c->auths)
        TRY(read_sessions(t, c, params, in));
    c->answer_n = params.n;
    c->at = 0;
    if (params.n)
        memcpy(c->answer, params.p, params.n);
    if (c->encrypt_out && params.n)
        return crypt_parameter(c->encrypt_out, auth_of(c, c->encrypt_out), false, c->answer,
                               c->answer_n);
    return CKR_OK;
}

static CK_RV attempt(struct tpm *t, struct cmd *c)
{
    CLEANUP(wipe_wire) struct wire w = {.n = 0};
    uint8_t raw[TPM2_MAX_RESPONSE_SIZE];
    size_t n = sizeof(raw);
    TRY(build(c, &w));
    CK_RV rv = transport_exchange(t, BYTES(w.p, w.n), raw, &n);
    if (rv == CKR_OK)
        rv = read_answer(t, c, raw, n);
    secret_wipe(raw, n < sizeof(raw) ? n : sizeof(raw));
    log_trace("%s: 0x%x", c->name, rv == CKR_OK ? c->rc : (TSS2_RC)rv);
    return rv;
}

/* ---- replay -------------------------------------------------------------------------------- */

enum { PAUSE_MAX = 100 };

/* Answers that mean "not executed, send again": how long to wait in all, in milliseconds. */
static const struct {
    TSS2_RC rc;
    unsigned patience, pause;
} again[] = {
    {TPM2_RC_RETRY, 20000, 1},           {TPM2_RC_YIELDED, 20000, 1},
    {TPM2_RC_TESTING, 20000, 20},        {TPM2_RC_NV_RATE, 20000, 50},
    {TPM2_RC_CONTEXT_GAP, 2000, 20},     {TPM2_RC_SESSION_MEMORY, 2000, 20},
    {TPM2_RC_SESSION_HANDLES, 2000, 20},
};

/* What took long already will not be over at once: a TPM that is busy is not asked a thousand times
 * a second. */
static unsigned longer(unsigned pause, unsigned waited)
{
    unsigned grown = waited / 8 < PAUSE_MAX ? waited / 8 : PAUSE_MAX;
    return grown > pause ? grown : pause;
}

/* 0: it does not say so, or has said it for so long that the command fails. Then the next ones are
 * not waited for either, or a call of ten commands would take ten times as long to fail. */
static unsigned pause_for(struct tpm *t, TSS2_RC rc, unsigned waited)
{
    for (size_t i = 0; i < sizeof(again) / sizeof(*again); i++)
        if (again[i].rc == rc_plain(rc)) {
            t->unwilling |= waited >= again[i].patience;
            return t->unwilling ? 0 : longer(again[i].pause, waited);
        }
    t->unwilling = false;
    return 0;
}

/* What names nothing that a new connection would not know. */
static bool context_free(const struct cmd *c)
{
    for (unsigned i = 0; i < c->handles; i++)
        if (c->handle[i].handle >> TPM2_HR_SHIFT == TPM2_HT_TRANSIENT)
            return false;
    for (unsigned i = 0; i < c->auths; i++)
        if (c->auth[i].session)
            return false;
    return true;
}

CK_RV cmd_send(struct tpm *t, struct cmd *c)
{
    const int64_t start = clock_now();
    bool reconnected = false;
    for (;;) {
        CK_RV rv = attempt(t, c);
        if (rv != CKR_OK) {
            transport_close(t);
            t->broken = true;
            if (!c->repeatable || !context_free(c) || reconnected)
                return rv;
            reconnected = true;
            continue;
        }
        unsigned waited = (unsigned)((clock_now() - start) / CLOCK_MILLISECOND);
        unsigned pause = pause_for(t, c->rc, waited);
        if (!pause)
            return CKR_OK;
        clock_pause((long)pause * CLOCK_MILLISECOND);
    }
}

CK_RV cmd_exec(struct tpm *t, struct cmd *c, enum error_context context)
{
    TRY(cmd_send(t, c));
    return error_tpm(context, c->name, c->rc);
}

CK_RV cmd_parsed(const struct cmd *c)
{
    return c->bad ? nonsense(c) : CKR_OK;
}
