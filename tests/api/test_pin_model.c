/* docs/pin-model.md: how many guesses at a PIN whoever it is has. Attackers who speak to the TPM
 * themselves, and what is in the store for one who has that alone. */
#include "store_edit.h"
#include "tpm_user.h"

#include <latchkey/admin.h>

#include <regex.h>

#define GUESS     "no such pin"
#define MAX_TRIES 5

/* Format-one codes without the number of the handle, parameter or session (part 2, 6.6). */
#define PLAIN(rc)      ((rc)&0x80 ? (rc)&0xBF : (rc))
#define PLAIN_AUTH     PLAIN(RC_AUTH_FAIL)
#define MAX_COMMAND_IN 48

static LATCHKEY_ADMIN *admin(void)
{
    CK_INTERFACE *interface;
    assert_ok(p11_3->C_GetInterface((CK_UTF8CHAR_PTR)LATCHKEY_INTERFACE, NULL, &interface, 0));
    return interface->pFunctionList;
}

static LATCHKEY_TOKEN_STATUS status_of(CK_SLOT_ID slot)
{
    LATCHKEY_TOKEN_STATUS status;
    assert_ok(admin()->TokenStatus(slot, &status));
    return status;
}

/* A PIN as the authorization it becomes; whoever has the store computes the same. */
struct auth {
    uint8_t p[32];
};

static struct auth auth_of(CK_SLOT_ID slot, char role, const char *pin)
{
    static struct field uid;
    struct auth auth;
    char sql[64];
    snprintf(sql, sizeof sql, "SELECT uid FROM token WHERE id = %lu", slot);
    copy_the_store();
    read_value(sql, &uid);
    assert_int_equal(uid.n, 16);
    stretch_pin(pin, uid.p, role, (unsigned)status_of(slot).pinRounds, auth.p);
    return auth;
}

/* ---- every command that takes an authorization ----------------------------------------------- */

/* handles: 'a' whoever authorizes, 'i' the index or object, 's' a policy session, 'p' the parent
 * with its empty authorization, 'n' TPM_RH_NULL that signs nothing, which is an authorization, too.
 */
struct use {
    const char *name;
    uint32_t code;
    const char *handles;
    size_t n;
    uint8_t params[MAX_COMMAND_IN];
};

static const struct use nv_uses[] = {
    {"NV_Read", CC_NV_READ, "ai", 4, {0, 32, 0, 0}},
    {"NV_Write", CC_NV_WRITE, "ai", 36, {0, 32}},
    {"NV_WriteLock", CC_NV_WRITE_LOCK, "ai", 0, {0}},
    {"NV_ReadLock", CC_NV_READ_LOCK, "ai", 0, {0}},
    {"NV_Increment", CC_NV_INCREMENT, "ai", 0, {0}},
    {"NV_Extend", CC_NV_EXTEND, "ai", 34, {0, 32}},
    {"NV_SetBits", CC_NV_SET_BITS, "ai", 8, {0}},
    {"NV_Certify", CC_NV_CERTIFY, "nai", 8, {0, 0, 0, 0x10, 0, 32, 0, 0}},
    {"PolicyNV", CC_POLICY_NV, "ais", 38, {0, 32}},
    {"PolicyAuthorizeNV", CC_POLICY_AUTHORIZE_NV, "ais", 0, {0}},
};

/* Authorized by the index alone. */
static const struct use index_uses[] = {
    {"PolicySecret", CC_POLICY_SECRET, "as", 10, {0}},
    {"NV_ChangeAuth", CC_NV_CHANGE_AUTH, "a", 2, {0}},
};

static const struct use object_uses[] = {
    {"Unseal", CC_UNSEAL, "a", 0, {0}},
    {"ObjectChangeAuth", CC_OBJECT_CHANGE_AUTH, "ap", 2, {0}},
    {"PolicySecret", CC_POLICY_SECRET, "as", 10, {0}},
    {"Certify", CC_CERTIFY, "an", 4, {0, 0, 0, 0x10}},
    {"ActivateCredential", CC_ACTIVATE_CREDENTIAL, "aP", 4, {0}},
};

/* Whoever tries: the authorized handle and what he says. */
struct attempt {
    uint32_t by, target, parent;
    const void *auth;
    size_t n;
};

static uint32_t use(const struct use *u, const struct attempt *a, struct tpm_answer *ret)
{
    struct tpm_session policy;
    struct tpm_command c = {.code = u->code};
    assert_int_equal(session_begin(RH_NULL, 1, &policy), 0);
    for (const char *h = u->handles; *h != '\0'; h++) {
        c.handle[c.handles++] = *h == 'a'                ? a->by
                                : *h == 'i'              ? a->target
                                : *h == 's'              ? policy.handle
                                : *h == 'p' || *h == 'P' ? a->parent
                                                         : RH_NULL;
        if (*h == 'a')
            command_password(&c, a->auth, a->n);
        if (*h == 'n' || *h == 'P')
            command_password(&c, NULL, 0);
    }
    raw_put(&c.params, u->params, u->n);
    command_send(&c, ret);
    tpm_flush(policy.handle);
    return PLAIN(ret->rc);
}

/* Either the TPM counts a wrong guess, or it answers the right authorization in the same way. */
static void assert_no_free_guess(const struct use *u, const struct attempt *right)
{
    struct tpm_answer a;
    struct attempt wrong = *right;
    wrong.auth = "guess";
    wrong.n = 5;
    uint32_t before = swtpm_lockout_counter(&fx.tpm);
    uint32_t rc = use(u, &wrong, &a);
    bool counted = swtpm_lockout_counter(&fx.tpm) == before + 1;
    uint32_t right_rc = use(u, right, &a);
    if (rc == 0 || (counted ? rc != PLAIN_AUTH : rc != right_rc))
        fail_msg("%s: a wrong guess answers 0x%x (%s), the right one 0x%x", u->name, rc,
                 counted ? "counted" : "not counted", right_rc);
}

/* In a lockout the right authorization is no better than a wrong one. */
static void assert_locked(const struct use *u, const struct attempt *right)
{
    struct tpm_answer a;
    struct attempt wrong = *right;
    wrong.auth = "guess";
    wrong.n = 5;
    uint32_t rc = use(u, right, &a);
    if (rc == 0 || rc != use(u, &wrong, &a))
        fail_msg("%s answers 0x%x in a lockout", u->name, rc);
}

/* A session bound to the entity proves its authorization without naming it in a command (part 1,
 * 19.6.8): the PIN could be guessed with the HMAC of any other command. */
static uint32_t use_bound(uint32_t entity, uint32_t index, const void *auth, size_t n)
{
    struct tpm_session s;
    struct tpm_answer a;
    struct nv_public nv = {0};
    struct tpm_command c = {.code = CC_NV_READ_PUBLIC, .handle = {index}, .handles = 1};
    uint32_t rc = session_begin(entity, 0, &s);
    if (rc != 0)
        return PLAIN(rc);
    assert_int_equal(nv_read_public(index, &nv), 0);
    session_bound(&s, auth, n);
    command_audit(&c, &s, nv.name, nv.name_n);
    command_send(&c, &a);
    tpm_flush(s.handle);
    return PLAIN(a.rc);
}

static void assert_binding_counts(uint32_t entity, uint32_t index, const struct auth *right)
{
    uint32_t before = swtpm_lockout_counter(&fx.tpm);
    assert_int_equal(use_bound(entity, index, "guess", 5), PLAIN_AUTH);
    assert_int_equal(swtpm_lockout_counter(&fx.tpm), before + 1);
    assert_int_equal(use_bound(entity, index, right->p, sizeof right->p), 0);
    assert_int_equal(swtpm_lockout_counter(&fx.tpm), before + 1);
}

/* The test TPM's counter stands above this limit: locked at once, as after so many guesses. */
static void lock(void)
{
    assert_true(swtpm_lockout_counter(&fx.tpm) > 1);
    swtpm_set_lockout(&fx.tpm, 1, 1000, 1000);
}

static int test_counting(void **state)
{
    swtpm_reset_lockout(&fx.tpm);
    swtpm_set_lockout(&fx.tpm, 10000, 1000, 1000);
    return test_initialized(state);
}

static void assert_still_opens(CK_SLOT_ID slot)
{
    CK_SESSION_HANDLE session = open_session(slot, CKF_RW_SESSION);
    assert_ok(login(session, CKU_USER, USER_PIN));
    assert_ok(p11->C_Logout(session));
    assert_ok(login(session, CKU_SO, SO_PIN));
    assert_ok(p11->C_CloseSession(session));
}

/* ---- whoever may use the TPM ----------------------------------------------------------------- */

static void each_guess_at_an_index_counts(void **state)
{
    (void)state;
    LATCHKEY_TOKEN_STATUS s = status_of(fx.slot);
    for (int so = 0; so < 2; so++) {
        uint32_t index = (uint32_t)(so ? s.soIndex : s.userIndex);
        struct auth right = auth_of(fx.slot, so ? 'S' : 'U', so ? SO_PIN : USER_PIN);
        const struct attempt a = {index, index, 0, right.p, sizeof right.p};
        for (size_t i = 0; i < COUNT(nv_uses); i++)
            assert_no_free_guess(&nv_uses[i], &a);
        for (size_t i = 0; i < COUNT(index_uses); i++)
            assert_no_free_guess(&index_uses[i], &a);
        assert_binding_counts(index, index, &right);
    }
    assert_still_opens(fx.slot);
}

static void a_lockout_is_one_for_each_command(void **state)
{
    (void)state;
    LATCHKEY_TOKEN_STATUS s = status_of(fx.slot);
    uint32_t index = (uint32_t)s.userIndex;
    struct auth right = auth_of(fx.slot, 'U', USER_PIN);
    const struct attempt a = {index, index, 0, right.p, sizeof right.p};
    for (int i = 0; i < 2; i++)
        assert_int_equal(use_bound(index, index, "guess", 5), PLAIN_AUTH);
    lock();
    for (size_t i = 0; i < COUNT(nv_uses); i++)
        assert_locked(&nv_uses[i], &a);
    for (size_t i = 0; i < COUNT(index_uses); i++)
        assert_locked(&index_uses[i], &a);
    assert_int_equal(use_bound(index, index, right.p, sizeof right.p), RC_LOCKOUT);
    assert_int_equal(use_bound(index, index, "guess", 5), RC_LOCKOUT);
}

/* ---- whoever has the owner authorization: empty here, which is knowing it ----------------------
 */

/* The index is no owner's to read or write. That it is write-locked is looked at first, and to lock
 * it once more is no error. */
static bool owner_is_refused(const struct use *u, uint32_t rc)
{
    return rc == RC_NV_AUTH || (rc == RC_NV_LOCKED && u->code != CC_NV_READ) ||
           (rc == 0 && u->code == CC_NV_WRITE_LOCK);
}

static void owner_reads_nothing(void **state)
{
    (void)state;
    struct tpm_answer a;
    LATCHKEY_TOKEN_STATUS s = status_of(fx.slot);
    struct tpm_command lock_all = {.code = CC_NV_GLOBAL_LOCK, .handle = {RH_OWNER}, .handles = 1};
    for (int so = 0; so < 2; so++) {
        uint32_t index = (uint32_t)(so ? s.soIndex : s.userIndex);
        const struct attempt owner = {RH_OWNER, index, 0, NULL, 0};
        for (size_t i = 0; i < COUNT(nv_uses); i++)
            if (!owner_is_refused(&nv_uses[i], use(&nv_uses[i], &owner, &a)))
                fail_msg("%s by the owner answers 0x%x", nv_uses[i].name, a.rc);
    }
    command_password(&lock_all, NULL, 0);
    assert_int_equal(command_send(&lock_all, &a), 0);
    assert_int_equal(swtpm_lockout_counter(&fx.tpm), 0);
    assert_still_opens(fx.slot);
}

/* The index undefined, and defined as it was but for authorization and content. */
static void make_anew(uint32_t index, const void *auth, size_t n)
{
    struct nv_public before = {0}, after = {0};
    struct tpm_answer a;
    struct tpm_command undefine = {
        .code = CC_NV_UNDEFINE, .handle = {RH_OWNER, index}, .handles = 2};
    struct tpm_command define = {.code = CC_NV_DEFINE, .handle = {RH_OWNER}, .handles = 1};
    const struct attempt mine = {index, index, 0, auth, n};
    assert_int_equal(nv_read_public(index, &before), 0);
    command_password(&undefine, NULL, 0);
    assert_int_equal(command_send(&undefine, &a), 0);
    command_password(&define, NULL, 0);
    raw_2b(&define.params, auth, n);
    raw_2b(&define.params, before.p, before.n);
    /* handle(4) nameAlg(2) attributes(4): not written (bit 29), not write-locked (bit 11) yet */
    define.params.p[2 + n + 2 + 6] &= (uint8_t)~0x20;
    define.params.p[2 + n + 2 + 8] &= (uint8_t)~0x08;
    assert_int_equal(command_send(&define, &a), 0);
    assert_int_equal(use(&nv_uses[1], &mine, &a), 0);
    assert_int_equal(use(&nv_uses[2], &mine, &a), 0);
    assert_int_equal(nv_read_public(index, &after), 0);
    assert_int_equal(after.name_n, before.name_n);
    assert_memory_equal(after.name, before.name, before.name_n);
}

/* The Name is the old one, so the module cannot know. S is gone with the old content; what he
 * learns is whether the PIN that the user types is the one he guessed: one guess a login of the
 * user's, and a wrong one counts. */
static void owner_makes_the_index_anew(void **state)
{
    (void)state;
    CK_SESSION_INFO info;
    CK_SLOT_ID slot = make_token("victim", SO_PIN, USER_PIN);
    uint32_t index = (uint32_t)status_of(slot).userIndex;
    struct auth guess = auth_of(slot, 'U', GUESS), lucky = auth_of(slot, 'U', USER_PIN);
    CK_SESSION_HANDLE session = open_session(slot, CKF_RW_SESSION);
    make_anew(index, guess.p, sizeof guess.p);
    assert_rv(CKR_PIN_INCORRECT, login(session, CKU_USER, USER_PIN));
    assert_int_equal(swtpm_lockout_counter(&fx.tpm), 1);
    make_anew(index, lucky.p, sizeof lucky.p);
    assert_rv(CKR_DEVICE_ERROR, login(session, CKU_USER, USER_PIN));
    assert_int_equal(swtpm_lockout_counter(&fx.tpm), 1);
    assert_ok(p11->C_GetSessionInfo(session, &info));
    assert_int_equal(info.state, CKS_RW_PUBLIC_SESSION);
    assert_ok(p11->C_CloseSession(session));
    assert_ok(admin()->TokenDestroy(slot, NULL, 0, CK_TRUE));
}

/* Under another kind of index, which counts no tries, no PIN is given out at all. */
static void owner_makes_it_uncounted(void **state)
{
    (void)state;
    struct nv_public nv = {0};
    struct tpm_answer a;
    CK_SLOT_ID slot = make_token("victim", SO_PIN, USER_PIN);
    uint32_t index = (uint32_t)status_of(slot).userIndex;
    struct auth lucky = auth_of(slot, 'U', USER_PIN);
    struct tpm_command undefine = {
        .code = CC_NV_UNDEFINE, .handle = {RH_OWNER, index}, .handles = 2};
    struct tpm_command define = {.code = CC_NV_DEFINE, .handle = {RH_OWNER}, .handles = 1};
    assert_int_equal(nv_read_public(index, &nv), 0);
    command_password(&undefine, NULL, 0);
    assert_int_equal(command_send(&undefine, &a), 0);
    nv.p[6] = 0x02; /* TPMA_NV_NO_DA */
    nv.p[8] &= (uint8_t)~0x08;
    command_password(&define, NULL, 0);
    raw_2b(&define.params, lucky.p, sizeof lucky.p);
    raw_2b(&define.params, nv.p, nv.n);
    assert_int_equal(command_send(&define, &a), 0);
    CK_SESSION_HANDLE session = open_session(slot, CKF_RW_SESSION);
    assert_rv(CKR_DEVICE_ERROR, login(session, CKU_USER, USER_PIN));
    assert_rv(CKR_DEVICE_ERROR, login(session, CKU_USER, GUESS));
    assert_ok(p11->C_CloseSession(session));
    assert_ok(admin()->TokenDestroy(slot, NULL, 0, CK_TRUE));
}

/* ---- lockoutAuth ----------------------------------------------------------------------------- */

static uint32_t reset_counter(void)
{
    struct tpm_answer a;
    struct tpm_command c = {.code = CC_LOCK_RESET, .handle = {RH_LOCKOUT}, .handles = 1};
    command_password(&c, NULL, 0);
    return command_send(&c, &a);
}

static void empty_lockout_auth_is_no_limit(void **state)
{
    (void)state;
    CK_SESSION_HANDLE session = open_session(fx.slot, 0);
    swtpm_set_lockout(&fx.tpm, MAX_TRIES, 1000, 1000);
    for (int i = 0; i < 3 * MAX_TRIES; i++) {
        assert_rv(CKR_PIN_INCORRECT, login(session, CKU_USER, GUESS));
        assert_int_equal(reset_counter(), 0);
    }
    assert_ok(login(session, CKU_USER, USER_PIN));
}

/* The last one: the lockoutAuth stays set. `latchkey tpm harden`: 32 tries, then one every 10
 * minutes; nobody without the code resets the counter. */
static void hardened_has_a_limit(void **state)
{
    (void)state;
    LATCHKEY_TPM_STATUS s;
    CK_UTF8CHAR code[] = "a recovery code";
    assert_ok(admin()->TpmHarden(NULL, 0, code, sizeof code, 32, 600, 86400));
    CK_SESSION_HANDLE session = open_session(fx.slot, 0);
    for (int i = 0; i < 32; i++)
        assert_rv(CKR_PIN_INCORRECT, login(session, CKU_USER, GUESS));
    assert_rv(CKR_PIN_LOCKED, login(session, CKU_USER, USER_PIN));
    assert_ok(admin()->TpmStatus(&s));
    assert_true(s.inLockout && s.lockoutAuthSet);
    assert_int_equal(s.maxTries, 32);
    assert_int_equal(s.recoveryTime, 600);
    assert_ok(admin()->TpmUnlock(code, sizeof code));
    assert_ok(login(session, CKU_USER, USER_PIN));
    assert_int_not_equal(reset_counter(), 0);
    assert_rv(CKR_PIN_LOCKED, admin()->TpmUnlock(code, sizeof code)); /* for a day */
}

/* ---- whoever has the store ------------------------------------------------------------------- */

static CK_SLOT_ID sealed_slot;

/* The fixture's token, and one with sealed storage. */
static int group_both(void **state)
{
    group_token(state);
    assert_ok(initialize("pin-storage=sealed"));
    sealed_slot = make_token("sealed", SO_PIN, USER_PIN);
    return test_end(state);
}

static bool same_file(void)
{
    char command[256];
    snprintf(command, sizeof command, "cmp -s '%s/store.db' '%s/store.db'", fx.store, store_copy);
    return system(command) == 0;
}

/* The same bytes whatever the PINs are: nothing there depends on one, so there is nothing to try a
 * guess on. What follows from S follows from 256 random bits. */
static void store_knows_no_pin(void **state)
{
    (void)state;
    copy_the_store();
    CK_SESSION_HANDLE session = open_session(fx.slot, CKF_RW_SESSION);
    assert_ok(login(session, CKU_USER, USER_PIN));
    assert_ok(p11->C_SetPIN(session, PIN(USER_PIN), PIN("another pin")));
    assert_ok(p11->C_Logout(session));
    assert_ok(login(session, CKU_SO, SO_PIN));
    assert_ok(p11->C_SetPIN(session, PIN(SO_PIN), PIN("another so pin")));
    assert_true(same_file());
    assert_ok(p11->C_SetPIN(session, PIN("another so pin"), PIN(SO_PIN)));
    assert_ok(p11->C_InitPIN(session, PIN(USER_PIN)));
    assert_true(same_file());
}

/* With sealed storage two columns hold what the PIN opens, encrypted by the TPM for its parent. */
static void sealed_store_knows_no_pin(void **state)
{
    (void)state;
    static struct field same;
    char sql[800];
    const char *rest = "uid, serial, label, user_pin_set, unattended, pin_rounds, generation, "
                       "check_value, parent, parent_name, parent_public, user_nv, user_nv_name, "
                       "so_nv, so_nv_name, so_pub, so_priv";
    CK_SESSION_HANDLE session = open_session(sealed_slot, CKF_RW_SESSION);
    copy_the_store();
    assert_ok(p11->C_SetPIN(session, PIN(USER_PIN), PIN("another pin")));
    snprintf(sql, sizeof sql, "ATTACH '%s/store.db' AS now", fx.store);
    sqlite3 *db = open_copy();
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    snprintf(sql, sizeof sql,
             "CREATE TABLE result AS SELECT count(*) AS n FROM (SELECT %s FROM main.token WHERE "
             "id = %lu INTERSECT SELECT %s FROM now.token WHERE id = %lu)",
             rest, sealed_slot, rest, sealed_slot);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    read_value("SELECT n FROM result", &same);
    assert_memory_equal(same.p, "1", 1);
    assert_ok(p11->C_SetPIN(session, PIN("another pin"), PIN(USER_PIN)));
}

/* On its own TPM the sealed object is loaded by whoever has the store, and each guess counts. */
static uint32_t load_sealed(uint32_t parent)
{
    static struct field pub, priv;
    char sql[80];
    struct tpm_answer a;
    struct tpm_command c = {.code = CC_LOAD, .handle = {parent}, .handles = 1};
    copy_the_store();
    snprintf(sql, sizeof sql, "SELECT user_pub FROM token WHERE id = %lu", sealed_slot);
    read_value(sql, &pub);
    snprintf(sql, sizeof sql, "SELECT user_priv FROM token WHERE id = %lu", sealed_slot);
    read_value(sql, &priv);
    command_password(&c, NULL, 0);
    raw_put(&c.params, priv.p, priv.n);
    raw_put(&c.params, pub.p, pub.n);
    assert_int_equal(command_send(&c, &a), 0);
    return raw_u32(a.p + 10);
}

static void each_guess_at_a_sealed_object_counts(void **state)
{
    (void)state;
    uint32_t parent = (uint32_t)status_of(sealed_slot).parent;
    uint32_t index = (uint32_t)status_of(fx.slot).userIndex; /* any, to be read in the session */
    struct auth right = auth_of(sealed_slot, 'U', USER_PIN);
    uint32_t object = load_sealed(parent);
    const struct attempt a = {object, 0, parent, right.p, sizeof right.p};
    for (size_t i = 0; i < COUNT(object_uses); i++)
        assert_no_free_guess(&object_uses[i], &a);
    assert_binding_counts(object, index, &right);
    lock();
    for (size_t i = 0; i < COUNT(object_uses); i++)
        assert_locked(&object_uses[i], &a);
    assert_int_equal(use_bound(object, index, right.p, sizeof right.p), RC_LOCKOUT);
    tpm_flush(object);
}

/* Another TPM: nothing there opens, and no try is taken anywhere. */
static void the_store_on_another_machine(void **state)
{
    (void)state;
    char dir[80], tcti[160];
    struct swtpm other;
    snprintf(dir, sizeof dir, "%s/other", fx.dir);
    swtpm_start(&other, dir);
    snprintf(tcti, sizeof tcti, "tcti=swtpm:path=%s", other.socket);
    assert_ok(p11->C_Finalize(NULL));
    assert_ok(initialize(tcti));
    static const struct {
        CK_USER_TYPE user;
        const char *pin;
    } rows[] = {{CKU_USER, USER_PIN}, {CKU_USER, GUESS}, {CKU_SO, SO_PIN}, {CKU_SO, GUESS}};
    const CK_SLOT_ID slots[] = {fx.slot, sealed_slot};
    for (size_t i = 0; i < COUNT(slots); i++) {
        CK_SESSION_HANDLE session = open_session(slots[i], CKF_RW_SESSION);
        for (size_t k = 0; k < COUNT(rows); k++)
            assert_rv(CKR_DEVICE_ERROR, login(session, rows[k].user, rows[k].pin));
    }
    assert_int_equal(swtpm_lockout_counter(&other), 0);
    assert_int_equal(swtpm_lockout_counter(&fx.tpm), 0);
    p11->C_Finalize(NULL);
    swtpm_stop(&other);
}

/* ---- an old copy of the store ------------------------------------------------------------------
 */

static CK_RV login_in_the_copy(CK_SLOT_ID slot, CK_USER_TYPE user, const char *pin)
{
    p11->C_Finalize(NULL);
    assert_ok(initialize(store_parameters));
    fx.session = open_session(slot, CKF_RW_SESSION);
    return login(fx.session, user, pin);
}

/* C_InitToken: neither PIN of the old token opens anything, and none is counted, since there is no
 * index for it. */
static void init_token_leaves_old_copies_nothing(void **state)
{
    (void)state;
    CK_UTF8CHAR label[32];
    CK_SLOT_ID slot = make_token("made anew", SO_PIN, USER_PIN);
    copy_the_store();
    pad_label(label, "made anew");
    assert_ok(p11->C_InitToken(slot, PIN(SO_PIN), label));
    assert_rv(CKR_DEVICE_ERROR, login_in_the_copy(slot, CKU_USER, USER_PIN));
    assert_rv(CKR_DEVICE_ERROR, login_in_the_copy(slot, CKU_SO, SO_PIN));
    assert_ok(p11->C_CloseSession(fx.session));
    assert_rv(CKR_TOKEN_NOT_RECOGNIZED, p11->C_InitToken(slot, PIN(SO_PIN), label));
    assert_int_equal(swtpm_lockout_counter(&fx.tpm), 0);
    test_end(state);
    test_initialized(state);
    assert_ok(admin()->TokenDestroy(slot, PIN(SO_PIN), CK_FALSE));
}

/* ---- whoever answers in the TPM's place --------------------------------------------------------
 */

/* srk-name: the salt is for the named key only, so nobody else sees a session that a PIN is in. */
static void a_pinned_parent_is_the_only_one(void **state)
{
    (void)state;
    char parameters[120] = "srk-name=000b";
    for (size_t i = 0; i < 64; i++)
        strcat(parameters, "0");
    assert_ok(p11->C_Finalize(NULL));
    assert_ok(initialize(parameters));
    CK_SESSION_HANDLE session = open_session(fx.slot, CKF_RW_SESSION);
    assert_rv(CKR_DEVICE_ERROR, login(session, CKU_USER, USER_PIN));
    assert_rv(CKR_DEVICE_ERROR, login(session, CKU_SO, GUESS));
    assert_int_equal(swtpm_lockout_counter(&fx.tpm), 0);
}

/* ---- the model itself --------------------------------------------------------------------------
 */

static char *read_text(const char *name)
{
    static char text[2][1 << 17];
    static unsigned turn;
    char path[512], *ret = text[turn++ % 2];
    snprintf(path, sizeof path, "%s/%s", TESTS_DIR, name);
    FILE *f = fopen(path, "re");
    if (f == NULL)
        fail_msg("%s is not there", path);
    ret[fread(ret, 1, sizeof text[0] - 1, f)] = '\0';
    fclose(f);
    return ret;
}

/* The function is there, and somebody calls it: its name is there twice. */
static void assert_test(const char *group, const char *name, const char *function)
{
    char file[256];
    snprintf(file, sizeof file, "%s/test_%s.c", group, name);
    const char *text = read_text(file), *first = strstr(text, function);
    if (first == NULL || strstr(first + 1, function) == NULL)
        fail_msg("docs/pin-model.md names %s: %s, which is not a test", file, function);
}

/* `api/NAME: FUNCTION` or `unit/LAYER/NAME: FUNCTION`; how many there are in the line. */
static unsigned check_line(char *line)
{
    regex_t test;
    regmatch_t at[5];
    unsigned n = 0;
    assert_int_equal(
        regcomp(&test, "`((api|budget|unit/[a-z]+))/([a-z_0-9]+): ([a-z_0-9]+)`", REG_EXTENDED), 0);
    for (; regexec(&test, line, COUNT(at), at, 0) == 0; line += at[0].rm_eo, n++) {
        char part[3][100];
        for (int i = 0; i < 3; i++)
            snprintf(part[i], sizeof part[i], "%.*s", (int)(at[i + 2].rm_eo - at[i + 2].rm_so),
                     line + at[i + 2].rm_so);
        assert_test(part[0], part[1], part[2]);
    }
    regfree(&test);
    return n;
}

static void each_line_is_held_by_a_test(void **state)
{
    (void)state;
    static char model[1 << 16];
    unsigned rows = 0;
    char *rest = NULL;
    snprintf(model, sizeof model, "%s", read_text("../docs/pin-model.md"));
    for (char *line = strtok_r(model, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        unsigned tests = check_line(line);
        if (strncmp(line, "| ", 2) != 0 || strstr(line, "| held by |") != NULL)
            continue;
        rows++;
        if (tests == 0)
            fail_msg("no test is named in: %s", line);
    }
    assert_true(rows > 20);
}

#define MODEL_TEST(f) cmocka_unit_test_setup_teardown(f, test_counting, test_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MODEL_TEST(each_guess_at_an_index_counts),
        MODEL_TEST(a_lockout_is_one_for_each_command),
        MODEL_TEST(owner_reads_nothing),
        MODEL_TEST(owner_makes_the_index_anew),
        MODEL_TEST(owner_makes_it_uncounted),
        MODEL_TEST(empty_lockout_auth_is_no_limit),
        MODEL_TEST(store_knows_no_pin),
        MODEL_TEST(sealed_store_knows_no_pin),
        MODEL_TEST(each_guess_at_a_sealed_object_counts),
        MODEL_TEST(the_store_on_another_machine),
        MODEL_TEST(init_token_leaves_old_copies_nothing),
        MODEL_TEST(a_pinned_parent_is_the_only_one),
        MODEL_TEST(hardened_has_a_limit),
        cmocka_unit_test(each_line_is_held_by_a_test),
    };
    return cmocka_run_group_tests(tests, group_both, group_end);
}
