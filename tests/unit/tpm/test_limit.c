/* A limit of PIN tries: the gates count them, and nothing tries a PIN past a gate. */
#include "limits.h"

static void assert_left(const struct limited *l, uint32_t left)
{
    uint32_t most, now;
    assert_ok(tpm_limit_read(fx.tpm, &l->limit, &most, &now));
    assert_int_equal(most, TRIES);
    assert_int_equal(now, left);
}

/* ---- counting ------------------------------------------------------------------------------ */

static void test_closed_until_a_pin_is_set(void **state)
{
    (void)state;
    struct limited l;
    uint32_t most, left;
    limit_define(&l, TRIES);
    assert_limit_opens(&l, pin, CKR_PIN_LOCKED);
    assert_ok(tpm_limit_read(fx.tpm, &l.limit, &most, &left));
    assert_int_equal(most, 0);
    assert_ok(limit_change(&l, pin));
    assert_left(&l, TRIES);
    assert_limit_opens(&l, pin, CKR_OK);
    limit_end(&l);
}

/* The dictionary-attack counter, and with it everybody else, is left out of it. */
static void test_wrong_pins_are_counted_here_alone(void **state)
{
    (void)state;
    struct limited l;
    limit_start(&l);
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 1; i < TRIES; i++) {
            assert_limit_opens(&l, wrong, CKR_PIN_INCORRECT);
            assert_left(&l, TRIES - i);
        }
        assert_limit_opens(&l, pin, CKR_OK); /* gives all tries back */
        assert_left(&l, TRIES);
    }
    for (int i = 0; i < TRIES; i++)
        assert_limit_opens(&l, wrong, CKR_PIN_INCORRECT);
    assert_left(&l, 0);
    assert_limit_opens(&l, wrong, CKR_PIN_LOCKED);
    assert_limit_opens(&l, pin, CKR_PIN_LOCKED);
    assert_true(logged("limit of 3 wrong PINs"));
    assert_int_equal(swtpm_lockout_counter(&fx.swtpm), 0);
    assert_ok(limit_change(&l, other_pin)); /* the security officer */
    assert_left(&l, TRIES);
    assert_limit_opens(&l, other_pin, CKR_OK);
    assert_limit_opens(&l, pin, CKR_PIN_INCORRECT);
    assert_int_equal(swtpm_lockout_counter(&fx.swtpm), 0);
    limit_end(&l);
}

static void test_changes_alternate_the_gates(void **state)
{
    (void)state;
    struct limited l;
    limit_start(&l);
    for (int i = 0; i < 4; i++) {
        const uint8_t *now = i % 2 ? pin : other_pin, *before = i % 2 ? other_pin : pin;
        assert_ok(limit_change(&l, now));
        assert_left(&l, TRIES);
        assert_limit_opens(&l, before, CKR_PIN_INCORRECT);
        assert_left(&l, TRIES - 1);
        assert_limit_opens(&l, now, CKR_OK);
        assert_int_equal(slots_taken(), 1); /* the session that stays for the keys */
    }
    assert_int_equal(swtpm_lockout_counter(&fx.swtpm), 0);
    limit_end(&l);
}

/* During a lockout of the whole TPM the seat refuses, as every one does. */
static void test_lockout_of_the_tpm(void **state)
{
    (void)state;
    struct limited l;
    struct seat s;
    limit_start(&l);
    seat_define(&s, false);
    swtpm_set_lockout(&fx.swtpm, 1, 1000, 1000);
    assert_opens(&s, wrong, CKR_PIN_INCORRECT);
    assert_limit_opens(&l, pin, CKR_PIN_LOCKED);
    assert_ok(limit_change(&l, other_pin));
    calm();
    assert_limit_opens(&l, other_pin, CKR_OK);
    seat_end(&s);
    limit_end(&l);
}

/* ---- a change that is cut off -------------------------------------------------------------- */

static struct {
    unsigned left; /* commands that still reach the TPM */
    bool answered; /* is the last one's answer lost, or the command itself? */
} cut;

static enum tap_verdict cut_before(struct exchange *e)
{
    (void)e;
    if (cut.left > 0) {
        cut.left--;
        return TAP_PASS;
    }
    return TAP_LOSE;
}

static enum tap_verdict cut_after(struct exchange *e)
{
    (void)e;
    return cut.answered && cut.left == 0 ? TAP_LOSE : TAP_PASS;
}

/* As a process that is killed leaves it: the rest of the change does not happen. */
static CK_RV change_cut_off(struct limited *l, const uint8_t *auth, unsigned commands,
                            bool answered)
{
    cut.left = commands;
    cut.answered = answered;
    tap.before = cut_before;
    tap.after = cut_after;
    CK_RV rv = limit_change(l, auth);
    tap.before = tap.after = NULL;
    swtpm_reset(&fx.swtpm); /* its sessions are gone with it, the SRK is persistent */
    return rv;
}

static void settle(struct limited *l, const uint8_t *auth)
{
    bool unsettled = false;
    const struct tpm_parent parent = srk();
    const struct tpm_seat seat = seat_of(&l->seat);
    assert_rv(CKR_OK, opens(l, auth, &unsettled));
    if (unsettled)
        assert_ok(tpm_limit_settle(fx.tpm, &parent, &seat, &l->limit, BYTES(auth, TPM_AUTH),
                                   BYTES_OF(seed)));
    assert_limit_opens(l, auth, CKR_OK);
    assert_left(l, TRIES);
}

static unsigned change_commands(struct limited *l)
{
    tap_clear();
    assert_ok(limit_change(l, other_pin));
    unsigned n = (unsigned)tap.n;
    assert_ok(limit_change(l, pin));
    return n;
}

static void test_change_cut_off(void **state)
{
    (void)state;
    struct limited l;
    limit_start(&l);
    unsigned n = change_commands(&l), committed = 0;
    for (unsigned at = 0; at < 2 * n; at++) {
        bool unsettled;
        CK_RV rv = change_cut_off(&l, other_pin, at / 2, at % 2);
        bool old = opens(&l, pin, &unsettled) == CKR_OK;
        bool new = opens(&l, other_pin, &unsettled) == CKR_OK;
        assert_true(old != new);
        assert_true(rv != CKR_OK || new);
        committed += new;
        settle(&l, old ? pin : other_pin);
        swtpm_reset_lockout(&fx.swtpm);
        assert_limit_opens(&l, old ? other_pin : pin, CKR_PIN_INCORRECT);
        assert_int_equal(swtpm_lockout_counter(&fx.swtpm), 0); /* it ends at a gate */
        assert_ok(limit_change(&l, pin));
    }
    assert_true(committed > 0 && committed < 2 * n);
    print_message("%u changes cut off, %u after the commit\n", 2 * n, committed);
    swtpm_reset_lockout(&fx.swtpm);
    limit_end(&l);
}

/* ---- guesses past the gates ---------------------------------------------------------------- */

/* What a guess makes of a PIN: all that can be had without the pepper. */
static void derive(const uint8_t *auth, const char *info, uint8_t *ret)
{
    assert_ok(soft_hkdf(HASH_SHA256, BYTES(auth, TPM_AUTH), NO_BYTES, BYTES_STR(info), ret, 32));
}

#define HELD(t)                                                                                    \
    assert_ok(tpm_enter(t));                                                                       \
    CLEANUP(tpm_leave) struct tpm *held_ __attribute__((unused)) = (t)

/* Commands that take an index' authorization. */
enum shape { ALONE, TWICE, WITH_KEY, POLICY };
static const struct row {
    uint32_t code;
    enum shape shape;
    uint8_t n, params[12];
} rows[] = {
    {TPM2_CC_NV_Read, TWICE, 4, {0, 8, 0, 0}},
    {TPM2_CC_NV_Write, TWICE, 12, {0, 8, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0}},
    {TPM2_CC_NV_Increment, TWICE, 0, {0}},
    {TPM2_CC_NV_SetBits, TWICE, 8, {0}},
    {TPM2_CC_NV_Extend, TWICE, 2, {0, 0}},
    {TPM2_CC_NV_ReadLock, TWICE, 0, {0}},
    {TPM2_CC_NV_WriteLock, TWICE, 0, {0}},
    {TPM2_CC_NV_ChangeAuth, ALONE, 3, {0, 1, 7}},
    {TPM2_CC_NV_Certify, WITH_KEY, 8, {0, 0, 0, 0x10, 0, 8, 0, 0}},
    {TPM2_CC_PolicySecret, POLICY, 10, {0}},
    {TPM2_CC_PolicyNV, POLICY, 10, {0, 1, 0, 0, 0, 0, 1}},
};

/* session: under HMAC, else as a password. */
static TSS2_RC try_command(const struct row *row, const struct tpm_index *index, struct bytes auth,
                           bool session)
{
    struct tpm *t = fx.tpm;
    const struct tpm_parent parent = srk();
    const struct cmd_handle handle = {index->nv, index->name};
    CLEANUP(session_wipe) struct session s = {0}, p = {0};
    HELD(t);
    assert_ok(session_start(t, &parent, TPM2_SE_HMAC, &s));
    assert_ok(session_start(t, NULL, TPM2_SE_POLICY, &p));
    struct cmd c = {.name = "?", .code = row->code};
    if (row->shape == WITH_KEY) {
        c.handle[c.handles++] = (struct cmd_handle){TPM2_RH_NULL, NO_BYTES};
        c.auths = c.auth_handles = 1;
    }
    c.auth[c.auths++] = (struct cmd_auth){session ? &s : NULL, auth, NO_BYTES};
    c.auth_handles++;
    c.handle[c.handles++] = handle;
    if (row->shape == TWICE || row->shape == WITH_KEY || row->code == TPM2_CC_PolicyNV)
        c.handle[c.handles++] = handle;
    if (row->shape == POLICY)
        c.handle[c.handles++].handle = p.handle;
    cmd_put_raw(&c, BYTES(row->params, row->n));
    assert_ok(cmd_send(t, &c));
    return c.rc;
}

static uint32_t left_of(const struct limited *l)
{
    uint32_t most, left;
    assert_ok(tpm_limit_read(fx.tpm, &l->limit, &most, &left));
    return left;
}

static void no_command_tries(struct limited *l, const struct row *row,
                             const struct tpm_index *index, const char *info, bool session)
{
    uint8_t right[TPM_AUTH], false_one[TPM_AUTH];
    memcpy(right, pin, TPM_AUTH);
    memcpy(false_one, wrong, TPM_AUTH);
    if (info) {
        derive(pin, info, right);
        derive(wrong, info, false_one);
    }
    TSS2_RC of_right = try_command(row, index, BYTES_OF(right), session);
    uint32_t before = left_of(l);
    TSS2_RC of_wrong = try_command(row, index, BYTES_OF(false_one), session);
    if (of_right != of_wrong && left_of(l) != before - 1) {
        print_error("command 0x%x on index 0x%x tells a right PIN (0x%x) from a wrong one (0x%x), "
                    "uncounted\n",
                    row->code, index->nv, of_right, of_wrong);
        fail();
    }
}

/* On the gates, on the pepper, and on the seat itself, as far as a guess gets there. */
static void test_no_command_tries_a_pin_past_a_gate(void **state)
{
    (void)state;
    struct limited l;
    unsigned told = 0;
    limit_define(&l, 100);
    assert_ok(limit_change(&l, pin));
    const struct tpm_index seat = {l.seat.made.nv, buf_bytes(&l.seat.made.name)};
    static const char *const infos[] = {NULL, "latchkey PIN gate", "latchkey PIN seat"};
    for (size_t i = 0; i < COUNT(rows); i++)
        for (size_t k = 0; k < 2 * COUNT(infos); k++) {
            const char *info = infos[k / 2];
            for (int g = 0; g < TPM_LIMIT_INDICES; g++)
                no_command_tries(&l, &rows[i], &l.limit.index[g], info, k % 2);
            no_command_tries(&l, &rows[i], &seat, info, k % 2);
        }
    /* the test sees something: the open gate does tell, and counts */
    uint8_t right[TPM_AUTH], false_one[TPM_AUTH];
    derive(pin, infos[1], right);
    derive(wrong, infos[1], false_one);
    for (size_t i = 0; i < COUNT(rows); i++)
        told += try_command(&rows[i], &l.limit.index[0], BYTES_OF(right), true) !=
                try_command(&rows[i], &l.limit.index[0], BYTES_OF(false_one), true);
    assert_true(told > 0);
    swtpm_reset_lockout(&fx.swtpm);
    limit_end(&l);
}

static TSS2_RC bind_to(const struct tpm_index *index, struct session *ret)
{
    static const TPMT_SYM_DEF none = {.algorithm = TPM2_ALG_NULL};
    session_wipe(ret);
    ret->keep = true;
    COMMAND(c, StartAuthSession, .handles = 2, .makes_handle = true);
    c.handle[0].handle = TPM2_RH_NULL;
    c.handle[1] = (struct cmd_handle){index->nv, index->name};
    cmd_put_2b(&c, BYTES_OF(ret->nonce_caller));
    cmd_put_2b(&c, NO_BYTES);
    PUT(&c, UINT8, TPM2_SE_HMAC);
    PUT(&c, TPMT_SYM_DEF, &none);
    PUT(&c, UINT16, TPM2_ALG_SHA256);
    assert_ok(cmd_send(fx.tpm, &c));
    if (c.rc == TPM2_RC_SUCCESS) {
        struct bytes nonce = cmd_get_2b(&c);
        memcpy(ret->nonce_tpm, nonce.p, NONCE);
        ret->handle = c.made;
        extra_add(fx.tpm, c.made);
    }
    return c.rc;
}

/* The key of a session that is bound to an index follows from its authorization (part 1, 19.6.8):
 * any command under it tries that. */
static TSS2_RC try_bound(const struct tpm_index *index, const uint8_t *auth)
{
    CLEANUP(session_wipe) struct session s = {0};
    size_t n = TPM_AUTH;
    HELD(fx.tpm);
    assert_int_equal(bind_to(index, &s), TPM2_RC_SUCCESS);
    while (n && !auth[n - 1])
        n--;
    assert_ok(secret_new(&s.key, TPM2_SHA256_DIGEST_SIZE));
    assert_ok(soft_kdfa(HASH_SHA256, BYTES(auth, n), "ATH", BYTES_OF(s.nonce_tpm),
                        BYTES_OF(s.nonce_caller), (uint32_t)(8 * s.key.n), s.key.p));
    COMMAND(c, NV_ReadPublic, .handles = 1, .auths = 1);
    c.handle[0] = (struct cmd_handle){index->nv, index->name};
    c.auth[0].session = c.audit = &s;
    assert_ok(cmd_send(fx.tpm, &c));
    return c.rc;
}

static void test_bound_sessions_try_no_pin(void **state)
{
    (void)state;
    struct limited l;
    CLEANUP(session_wipe) struct session s = {0};
    struct seat unlimited;
    uint8_t guess[TPM_AUTH];
    limit_start(&l);
    for (int g = 0; g < TPM_GATES; g++) {
        HELD(fx.tpm);
        assert_int_equal(rc_plain(bind_to(&l.limit.index[g], &s)), TPM2_RC_HANDLE);
    }
    const struct tpm_index seat = {l.seat.made.nv, buf_bytes(&l.seat.made.name)};
    TSS2_RC refused = try_bound(&seat, wrong);
    assert_int_equal(try_bound(&seat, pin), refused);
    derive(pin, "latchkey PIN seat", guess);
    assert_int_equal(try_bound(&seat, guess), refused);
    seat_define(&unlimited, false); /* where the PIN alone is the authorization, it is tried so */
    const struct tpm_index there = {unlimited.made.nv, buf_bytes(&unlimited.made.name)};
    assert_int_equal(try_bound(&there, pin), TPM2_RC_SUCCESS);
    assert_int_not_equal(try_bound(&there, wrong), TPM2_RC_SUCCESS);
    swtpm_reset_lockout(&fx.swtpm);
    assert_left(&l, TRIES);
    seat_end(&unlimited);
    limit_end(&l);
}

/* A policy session that may only read would be enough: the answer is encrypted with the
 * authorization in the key, and what it says is known. */
static void test_nobody_reads_a_gate_by_policy(void **state)
{
    (void)state;
    struct limited l;
    limit_start(&l);
    for (int code = 0; code < 2; code++) {
        CLEANUP(session_wipe) struct session p = {0};
        HELD(fx.tpm);
        assert_ok(session_start(fx.tpm, NULL, TPM2_SE_POLICY, &p));
        if (code)
            assert_ok(policy_command_code(fx.tpm, &p, TPM2_CC_NV_Read));
        COMMAND(c, NV_Read);
        index_aim(&c, &p, &l.limit.index[0], NO_BYTES);
        PUT(&c, UINT16, 8);
        PUT(&c, UINT16, 0);
        assert_ok(cmd_send(fx.tpm, &c));
        assert_int_equal(rc_plain(c.rc), TPM2_RC_POLICY_FAIL);
    }
    assert_left(&l, TRIES);
    limit_end(&l);
}

/* What the TPM does that forbids it: with the right authorization in the key an answer that was
 * encrypted under a policy that asks for none can be read, with any other it cannot. */
static void test_answers_are_encrypted_with_the_authorization(void **state)
{
    (void)state;
    static const uint8_t from[32], known[8] = {0, 0, 0, 1, 0, 0, 0, 5};
    TPM2B_NV_PUBLIC index = {
        .nvPublic = {.nameAlg = TPM2_ALG_SHA256,
                     .attributes = TPMA_NV_POLICYREAD | TPMA_NV_AUTHWRITE | TPMA_NV_NO_DA,
                     .authPolicy.size = 32,
                     .dataSize = sizeof(known)}};
    uint8_t name[34];
    const struct tpm_parent parent = srk();
    assert_ok(tpm_nv_pick(fx.tpm, &index.nvPublic.nvIndex));
    assert_ok(policy_command_code_digest(from, TPM2_CC_NV_Read, index.nvPublic.authPolicy.buffer));
    const struct tpm_index at = {index.nvPublic.nvIndex, BYTES_OF(name)};
    for (int guess = 0; guess < 2; guess++) {
        CLEANUP(session_wipe) struct session s = {0}, p = {0};
        HELD(fx.tpm);
        assert_ok(session_start(fx.tpm, &parent, TPM2_SE_HMAC, &s));
        assert_ok(session_start(fx.tpm, NULL, TPM2_SE_POLICY, &p));
        if (!guess) {
            assert_ok(index_define(fx.tpm, &s, &index, BYTES_OF(pin)));
            assert_ok(index_name(&index, name));
            COMMAND(w, NV_Write);
            index_aim(&w, &s, &at, BYTES_OF(pin));
            cmd_put_2b(&w, BYTES_OF(known));
            PUT(&w, UINT16, 0);
            assert_ok(cmd_exec(fx.tpm, &w, ERROR_TPM_ANY));
            index.nvPublic.attributes |= TPMA_NV_WRITTEN;
            assert_ok(index_name(&index, name));
        }
        assert_ok(policy_command_code(fx.tpm, &p, TPM2_CC_NV_Read));
        COMMAND(c, NV_Read);
        index_aim(&c, &p, &at, NO_BYTES);
        c.encrypt_out = &p;
        PUT(&c, UINT16, sizeof(known));
        PUT(&c, UINT16, 0);
        tap_clear();
        assert_ok(cmd_exec(fx.tpm, &c, ERROR_TPM_ANY));
        /* the answer as it went by: size 8, and the encrypted content, after header and length */
        uint8_t stream[32], read[8];
        assert_ok(soft_kdfa(HASH_SHA256, BYTES(guess ? wrong : pin, TPM_AUTH), "CFB",
                            BYTES_OF(p.nonce_tpm), BYTES_OF(p.nonce_caller), 256, stream));
        memcpy(read, tap.log[0].response + 16, sizeof(read));
        assert_ok(soft_aes_cfb(false, stream, stream + 16, read, sizeof(read)));
        assert_int_equal(memcmp(read, known, sizeof(known)) == 0, guess == 0);
    }
    assert_ok(tpm_nv_undefine(fx.tpm, at.nv, at.name));
}

/* ---- an owner who redefines a gate --------------------------------------------------------- */

static const uint8_t owners[TPM_AUTH] = {'o', 'w', 'n', 'e', 'r', [31] = 1};

/* In place of the gate one whose authorization is known: the same in all, or one that he can
 * write. */
static struct tpm_index redefine(struct limited *l, TPMA_NV more, struct buf *name)
{
    TPM2B_NV_PUBLIC public = {0};
    CLEANUP(session_wipe) struct session s = {0};
    const struct tpm_parent parent = srk();
    const struct tpm_index gate = l->limit.index[0];
    uint8_t now[34];
    COMMAND(r, NV_ReadPublic, .handles = 1);
    r.handle[0].handle = gate.nv;
    {
        HELD(fx.tpm);
        assert_ok(cmd_exec(fx.tpm, &r, ERROR_TPM_ANY));
    }
    GET(&r, TPM2B_NV_PUBLIC, &public);
    assert_ok(tpm_nv_undefine(fx.tpm, gate.nv, gate.name));
    HELD(fx.tpm);
    public.nvPublic.attributes = (public.nvPublic.attributes & ~TPMA_NV_WRITTEN) | more;
    assert_ok(session_start(fx.tpm, &parent, TPM2_SE_HMAC, &s));
    assert_ok(index_define(fx.tpm, &s, &public, BYTES_OF(owners)));
    assert_ok(index_name(&public, now));
    assert_ok(buf_set(name, BYTES_OF(now)));
    if (more) {
        COMMAND(w, NV_Write, .handles = 2, .auth_handles = 1, .auths = 1);
        w.handle[0].handle = TPM2_RH_OWNER;
        w.handle[1] = (struct cmd_handle){gate.nv, buf_bytes(name)};
        cmd_put_raw(&w, BYTES(((uint8_t[]){0, 8, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0}), 12));
        assert_ok(cmd_exec(fx.tpm, &w, ERROR_TPM_ANY));
        public.nvPublic.attributes |= TPMA_NV_WRITTEN;
        assert_ok(index_name(&public, now));
        assert_ok(buf_set(name, BYTES_OF(now)));
    }
    return (struct tpm_index){gate.nv, buf_bytes(name)};
}

/* As far to the pepper as this gate leads. */
static bool reaches_pepper(struct limited *l, const struct tpm_index *gate)
{
    const struct tpm_parent parent = srk();
    CLEANUP(session_wipe) struct session s = {0}, p = {0};
    uint8_t behind[TPM_GATES][32];
    HELD(fx.tpm);
    assert_ok(session_start(fx.tpm, &parent, TPM2_SE_HMAC, &s));
    assert_ok(session_start(fx.tpm, &parent, TPM2_SE_POLICY, &p));
    COMMAND(c, PolicySecret, .handles = 2, .auth_handles = 1, .auths = 1);
    c.handle[0] = (struct cmd_handle){gate->nv, gate->name};
    c.handle[1].handle = p.handle;
    c.auth[0] = (struct cmd_auth){&s, BYTES_OF(owners), NO_BYTES};
    cmd_put_raw(&c, BYTES(((uint8_t[10]){0}), 10));
    assert_ok(cmd_send(fx.tpm, &c));
    if (c.rc != TPM2_RC_SUCCESS)
        return false;
    for (int g = 0; g < TPM_GATES; g++) {
        assert_ok(policy_secret_digest(l->limit.index[g].name, behind[g]));
        assert_ok(policy_command_code_digest(behind[g], TPM2_CC_NV_Read, behind[g]));
    }
    assert_ok(policy_command_code(fx.tpm, &p, TPM2_CC_NV_Read));
    if (policy_or(fx.tpm, &p, (const uint8_t *[]){behind[0], behind[1]}, TPM_GATES) != CKR_OK)
        return false;
    COMMAND(r, NV_Read);
    index_aim(&r, &p, &l->limit.index[TPM_PEPPER], NO_BYTES);
    PUT(&r, UINT16, TPM_SECRET);
    PUT(&r, UINT16, 0);
    assert_ok(cmd_send(fx.tpm, &r));
    return r.rc == TPM2_RC_SUCCESS;
}

static void test_a_redefined_gate_leads_nowhere(void **state)
{
    (void)state;
    for (int writable = 0; writable < 2; writable++) {
        struct limited l;
        CLEANUP(buf_free) struct buf name = {0};
        bool unsettled;
        limit_start(&l);
        const struct tpm_index fake = redefine(&l, writable ? TPMA_NV_OWNERWRITE : 0, &name);
        assert_false(bytes_equal(fake.name, l.limit.index[0].name));
        assert_false(reaches_pepper(&l, &fake));
        assert_rv(CKR_TOKEN_NOT_RECOGNIZED,
                  opens(&l, pin, &unsettled)); /* and no PIN is shown it */
        assert_int_equal(swtpm_lockout_counter(&fx.swtpm), 0);
        assert_ok(tpm_nv_undefine(fx.tpm, fake.nv, fake.name));
        limit_end(&l);
    }
}

/* ---- what is not counted ------------------------------------------------------------------- */

/* A parent public area that is not this TPM's: the salt goes to another key. */
static void test_wrong_salt_takes_no_try(void **state)
{
    (void)state;
    struct limited l;
    struct secret secret = {0};
    bool unsettled;
    limit_start(&l);
    struct tpm_parent parent = srk();
    const struct tpm_seat seat = seat_of(&l.seat);
    CLEANUP(buf_free) struct buf pub = {0};
    uint8_t point[65], other_name[NAME_MAX_SIZE];
    size_t n;
    assert_ok(buf_set(&pub, parent.pub));
    assert_ok(soft_p256_public_from_seed(BYTES_OF(seed), point));
    memcpy(pub.p + pub.n - 66, point + 1, 32); /* … x(32) size(2) y(32) end a TPM2B_PUBLIC */
    memcpy(pub.p + pub.n - 32, point + 33, 32);
    parent.pub = buf_bytes(&pub);
    assert_ok(public_name(parent.pub, other_name, &n));
    parent.name = BYTES(other_name, n);
    for (int i = 0; i < TRIES + 1; i++)
        assert_int_not_equal(
            tpm_limit_open(fx.tpm, &parent, &seat, &l.limit, BYTES_OF(pin), &unsettled, &secret),
            CKR_OK);
    assert_left(&l, TRIES);
    assert_limit_opens(&l, pin, CKR_OK);
    assert_int_equal(swtpm_lockout_counter(&fx.swtpm), 0);
    limit_end(&l);
}

static void test_a_false_gate_name_takes_no_try(void **state)
{
    (void)state;
    struct limited l;
    bool unsettled;
    limit_start(&l);
    for (int g = 0; g < TPM_GATES; g++) {
        for (int i = 0; i < TRIES + 1; i++) {
            l.made.name[g].p[20] ^= 1;
            assert_rv(CKR_TOKEN_NOT_RECOGNIZED, opens(&l, pin, &unsettled));
            l.made.name[g].p[20] ^= 1;
        }
        assert_left(&l, TRIES);
        assert_ok(limit_change(&l, pin)); /* to the other gate */
    }
    assert_limit_opens(&l, pin, CKR_OK);
    assert_int_equal(swtpm_lockout_counter(&fx.swtpm), 0);
    limit_end(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TPM_TEST(test_closed_until_a_pin_is_set),
        TPM_TEST(test_wrong_pins_are_counted_here_alone),
        TPM_TEST(test_changes_alternate_the_gates),
        TPM_TEST(test_lockout_of_the_tpm),
        TPM_TEST(test_change_cut_off),
        TPM_TEST(test_no_command_tries_a_pin_past_a_gate),
        TPM_TEST(test_bound_sessions_try_no_pin),
        TPM_TEST(test_nobody_reads_a_gate_by_policy),
        TPM_TEST(test_answers_are_encrypted_with_the_authorization),
        TPM_TEST(test_a_redefined_gate_leads_nowhere),
        TPM_TEST(test_wrong_salt_takes_no_try),
        TPM_TEST(test_a_false_gate_name_takes_no_try),
    };
    return cmocka_run_group_tests_name("tpm/limit", tests, group_start, group_stop);
}
