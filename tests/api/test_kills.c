/* A process killed, and a power cut of the TPM, at each step of what changes PINs, tokens and
 * objects: exactly one of the old and the new PIN opens, an object is there whole or not at all,
 * what was reported done is done, and nothing stays behind (store/FORMAT.md, "Order of writes"). */
#include "material.h"
#include "tracer.h"

#include <latchkey/admin.h>

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define FRESH "made under fire"

static const char *const user_pins[] = {"user pin 1234", "user pin 5678"};
static const char *const so_pins[] = {"so pin 87654321", "so pin 12345678"};

/* Which PIN is the right one; shared with the peers. */
static struct now {
    unsigned user, so;
} * now;

static void map_state(void)
{
    char path[100];
    const char *store = getenv("LATCHKEY_STORE");
    snprintf(path, sizeof path, "%s.now", store);
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, sizeof *now), 0);
    now = mmap(NULL, sizeof *now, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(now != MAP_FAILED);
    close(fd);
}

/* ---- what the peer does ---------------------------------------------------------------------- */

static const char *user_pin(void)
{
    return user_pins[now->user];
}

static const char *so_pin(void)
{
    return so_pins[now->so];
}

static CK_RV peer_public(void)
{
    map_state();
    assert_ok(p11->C_Initialize(NULL));
    fx.slot = slot_of(LABEL);
    fx.session = open_session(fx.slot, CKF_RW_SESSION);
    return CKR_OK;
}

static CK_RV peer_user(void)
{
    peer_public();
    return login(fx.session, CKU_USER, user_pin());
}

static CK_RV peer_so(void)
{
    peer_public();
    return login(fx.session, CKU_SO, so_pin());
}

static CK_RV peer_without_session(void)
{
    peer_public();
    return p11->C_CloseSession(fx.session);
}

static CK_RV init_token(CK_SLOT_ID slot, const char *label)
{
    CK_UTF8CHAR padded[32];
    pad_label(padded, label);
    return p11->C_InitToken(slot, PIN(so_pin()), padded);
}

static CK_RV call_init_fresh(void)
{
    return init_token(blank_slot(), FRESH);
}

static CK_RV call_init_again(void)
{
    return init_token(fx.slot, LABEL);
}

static CK_RV call_init_pin(void)
{
    return p11->C_InitPIN(fx.session, PIN(user_pins[!now->user]));
}

static CK_RV call_set_user_pin(void)
{
    return p11->C_SetPIN(fx.session, PIN(user_pin()), PIN(user_pins[!now->user]));
}

static CK_RV call_set_so_pin(void)
{
    return p11->C_SetPIN(fx.session, PIN(so_pin()), PIN(so_pins[!now->so]));
}

static CK_RV call_generate_pair(void)
{
    struct key_pair keys;
    struct blob curve = ec_params(NID_X9_62_prime256v1);
    CK_ATTRIBUTE public[] = {ATTR_MEM(CKA_EC_PARAMS, curve.p, curve.n), ATTR_BOOL(CKA_TOKEN, true),
                             ATTR_STR(CKA_LABEL, FRESH)};
    CK_ATTRIBUTE private[] = {ATTR_BOOL(CKA_TOKEN, true), ATTR_STR(CKA_LABEL, FRESH)};
    return p11->C_GenerateKeyPair(fx.session, MECHANISM(CKM_EC_KEY_PAIR_GEN), public, COUNT(public),
                                  private, COUNT(private), &keys.public, &keys.private);
}

static CK_RV call_generate_key(void)
{
    CK_OBJECT_HANDLE key;
    CK_ATTRIBUTE template[] = {ATTR_BOOL(CKA_TOKEN, true), ATTR_STR(CKA_LABEL, FRESH),
                               ATTR_ULONG(CKA_VALUE_LEN, 32), ATTR_BOOL(CKA_ENCRYPT, true)};
    return p11->C_GenerateKey(fx.session, MECHANISM(CKM_AES_KEY_GEN), template, COUNT(template),
                              &key);
}

static CK_RV call_import(void)
{
    static struct parts parts;
    CK_OBJECT_HANDLE key;
    EVP_PKEY *made = make_key("P-256");
    private_parts(made, &parts);
    EVP_PKEY_free(made);
    set_part(&parts, (CK_ATTRIBUTE)ATTR_BOOL(CKA_TOKEN, true));
    set_part(&parts, (CK_ATTRIBUTE)ATTR_STR(CKA_LABEL, FRESH));
    return create(&parts, &key);
}

static CK_RV call_copy(void)
{
    CK_OBJECT_HANDLE copy;
    CK_ATTRIBUTE label = ATTR_STR(CKA_LABEL, FRESH);
    return p11->C_CopyObject(fx.session, find_object(fx.session, CKO_PRIVATE_KEY, "kept"), &label,
                             1, &copy);
}

static CK_RV peer_with_object(void)
{
    peer_user();
    return find_object(fx.session, CKO_PRIVATE_KEY, FRESH) == CK_INVALID_HANDLE ? call_copy()
                                                                                : CKR_OK;
}

static CK_RV call_destroy(void)
{
    return p11->C_DestroyObject(fx.session, find_object(fx.session, CKO_PRIVATE_KEY, FRESH));
}

static CK_RV call_rename(void)
{
    CK_ATTRIBUTE label = ATTR_STR(CKA_LABEL, "renamed");
    return p11->C_SetAttributeValue(fx.session, find_object(fx.session, CKO_PRIVATE_KEY, FRESH),
                                    &label, 1);
}

/* ---- what must hold afterwards --------------------------------------------------------------- */

static LATCHKEY_ADMIN *admin(void)
{
    CK_INTERFACE *interface;
    assert_ok(p11_3->C_GetInterface((CK_UTF8CHAR_PTR)LATCHKEY_INTERFACE, NULL, &interface, 0));
    return interface->pFunctionList;
}

/* Exactly one of the two; a finished call's is the new one. */
static unsigned pin_that_opens(CK_USER_TYPE user, const char *const *pins, unsigned before,
                               bool done)
{
    CK_SESSION_HANDLE session = open_session(fx.slot, CKF_RW_SESSION);
    CK_RV rv = login(session, user, pins[!before]);
    unsigned after = rv == CKR_OK ? !before : before;
    if (rv == CKR_OK)
        assert_ok(p11->C_Logout(session));
    else
        assert_rv(CKR_PIN_INCORRECT, rv);
    rv = login(session, user, pins[before]);
    assert_rv(after == before ? CKR_OK : CKR_PIN_INCORRECT, rv);
    assert_true(!done || after != before);
    assert_ok(p11->C_CloseSession(session));
    return after;
}

static void check_user_pin(bool done)
{
    now->user = pin_that_opens(CKU_USER, user_pins, now->user, done);
    pin_that_opens(CKU_SO, so_pins, !now->so, true);
}

static void check_so_pin(bool done)
{
    now->so = pin_that_opens(CKU_SO, so_pins, now->so, done);
    pin_that_opens(CKU_USER, user_pins, !now->user, true);
}

static void use_private(const char *label)
{
    sign(fx.session, MECHANISM(CKM_ECDSA), find_object(fx.session, CKO_PRIVATE_KEY, label),
         "0123456789", 10);
}

static CK_ULONG count_labelled(CK_OBJECT_CLASS cls, const char *label)
{
    CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_CLASS, cls), ATTR_STR(CKA_LABEL, label)};
    return count_objects(fx.session, template, COUNT(template));
}

static void destroy_labelled(CK_OBJECT_CLASS cls, const char *label)
{
    CK_OBJECT_HANDLE object = find_object(fx.session, cls, label);
    if (object != CK_INVALID_HANDLE)
        assert_ok(p11->C_DestroyObject(fx.session, object));
}

static void log_in(void)
{
    fx.session = open_session(fx.slot, CKF_RW_SESSION);
    assert_ok(login(fx.session, CKU_USER, user_pin()));
}

static void check_pair(bool done)
{
    log_in();
    CK_ULONG n = count_labelled(CKO_PRIVATE_KEY, FRESH);
    assert_int_equal(count_labelled(CKO_PUBLIC_KEY, FRESH), n);
    assert_in_range(n, done ? 1 : 0, 1);
    if (n == 1)
        use_private(FRESH);
    destroy_labelled(CKO_PRIVATE_KEY, FRESH);
    destroy_labelled(CKO_PUBLIC_KEY, FRESH);
}

static void check_private(bool done)
{
    log_in();
    CK_ULONG n = count_labelled(CKO_PRIVATE_KEY, FRESH);
    assert_in_range(n, done ? 1 : 0, 1);
    if (n == 1)
        use_private(FRESH);
    use_private("kept");
    destroy_labelled(CKO_PRIVATE_KEY, FRESH);
}

static void check_secret(bool done)
{
    CK_BYTE in[16] = {1}, out[16];
    CK_ULONG n = sizeof out;
    log_in();
    CK_OBJECT_HANDLE key = find_object(fx.session, CKO_SECRET_KEY, FRESH);
    assert_true(!done || key != CK_INVALID_HANDLE);
    if (key != CK_INVALID_HANDLE) {
        assert_ok(p11->C_EncryptInit(fx.session, MECHANISM(CKM_AES_ECB), key));
        assert_ok(p11->C_Encrypt(fx.session, in, sizeof in, out, &n));
        assert_ok(p11->C_DestroyObject(fx.session, key));
    }
}

static void check_destroyed(bool done)
{
    log_in();
    CK_ULONG n = count_labelled(CKO_PRIVATE_KEY, FRESH);
    assert_in_range(n, 0, done ? 0 : 1);
    if (n == 1)
        use_private(FRESH);
    use_private("kept");
}

static void check_renamed(bool done)
{
    log_in();
    CK_ULONG renamed = count_labelled(CKO_PRIVATE_KEY, "renamed");
    assert_int_equal(count_labelled(CKO_PRIVATE_KEY, FRESH) + renamed, 1);
    assert_true(!done || renamed == 1);
    use_private(renamed == 1 ? "renamed" : FRESH);
    destroy_labelled(CKO_PRIVATE_KEY, "renamed");
}

/* Objects of the token that there is: made by whoever made the token. */
static void furnish(void)
{
    fx.session = open_session(fx.slot, CKF_RW_SESSION);
    assert_ok(login(fx.session, CKU_SO, so_pin()));
    assert_ok(p11->C_InitPIN(fx.session, PIN(user_pin())));
    assert_ok(p11->C_Logout(fx.session));
    assert_ok(login(fx.session, CKU_USER, user_pin()));
    generate_ec(fx.session, NID_X9_62_prime256v1, "kept", true);
}

static void check_made_anew(bool done)
{
    CK_TOKEN_INFO info;
    assert_int_equal(slot_of(LABEL), fx.slot);
    pin_that_opens(CKU_SO, so_pins, !now->so, true);
    assert_ok(p11->C_GetTokenInfo(fx.slot, &info));
    if (info.flags & CKF_USER_PIN_INITIALIZED) { /* the old one, and all that is his */
        assert_false(done);
        log_in();
        use_private("kept");
        return;
    }
    fx.session = open_session(fx.slot, CKF_RW_SESSION);
    assert_int_equal(count_objects(fx.session, NULL, 0), 0);
    assert_ok(p11->C_CloseSession(fx.session));
    furnish();
}

static bool token_is_there(const char *label, CK_SLOT_ID *ret)
{
    CK_SLOT_ID slots[16];
    CK_ULONG n = COUNT(slots);
    CK_TOKEN_INFO info;
    assert_ok(p11->C_GetSlotList(CK_TRUE, slots, &n));
    for (CK_ULONG i = 0; i < n; i++)
        if (p11->C_GetTokenInfo(slots[i], &info) == CKR_OK &&
            memcmp(info.label, label, strlen(label)) == 0) {
            *ret = slots[i];
            return true;
        }
    return false;
}

static void check_fresh(bool done)
{
    CK_SLOT_ID slot;
    bool there = token_is_there(FRESH, &slot);
    assert_true(there || !done);
    if (there) {
        CK_SESSION_HANDLE session = open_session(slot, CKF_RW_SESSION);
        assert_ok(login(session, CKU_SO, so_pin()));
        assert_ok(p11->C_CloseSession(session));
        assert_ok(admin()->TokenDestroy(slot, PIN(so_pin()), CK_FALSE));
    }
    log_in();
    use_private("kept");
}

/* ---- the walk -------------------------------------------------------------------------------- */

static const struct operation {
    const char *name;
    peer_step prepare, call;
    void (*check)(bool done);
} operations[] = {
    {"C_InitToken, fresh", peer_without_session, call_init_fresh, check_fresh},
    {"C_InitToken, again", peer_without_session, call_init_again, check_made_anew},
    {"C_InitPIN", peer_so, call_init_pin, check_user_pin},
    {"C_SetPIN, user", peer_public, call_set_user_pin, check_user_pin},
    {"C_SetPIN, SO", peer_so, call_set_so_pin, check_so_pin},
    {"C_GenerateKeyPair", peer_user, call_generate_pair, check_pair},
    {"C_GenerateKey", peer_user, call_generate_key, check_secret},
    {"C_CreateObject", peer_user, call_import, check_private},
    {"C_CopyObject", peer_user, call_copy, check_private},
    {"C_DestroyObject", peer_with_object, call_destroy, check_destroyed},
    {"C_SetAttributeValue", peer_with_object, call_rename, check_renamed},
};

static const peer_step steps[] = {
    peer_public,          peer_user,          peer_so,
    peer_without_session, peer_with_object,   call_init_fresh,
    call_init_again,      call_init_pin,      call_set_user_pin,
    call_set_so_pin,      call_generate_pair, call_generate_key,
    call_import,          call_copy,          call_destroy,
    call_rename,
};

static bool strike_process(struct peer *p)
{
    peer_kill(p);
    return false;
}

/* The TPM loses what it had in memory; the process goes on and finds out. */
static bool strike_tpm(struct peer *p)
{
    (void)p;
    swtpm_kill(&fx.tpm);
    swtpm_restart(&fx.tpm);
    return true;
}

/* The machine's plug. */
static bool strike_both(struct peer *p)
{
    peer_kill(p);
    swtpm_kill(&fx.tpm);
    swtpm_restart(&fx.tpm);
    return false;
}

static const struct kind {
    tracer_strike strike;
    unsigned samples, offset; /* along the walk, in the quick form */
    const char *what;
} kinds[] = {
    {strike_process, 2, 1, "kills survived in the middle of a change of PINs, tokens and objects"},
    {strike_tpm, 1, 4, "power cuts of the TPM survived in the middle of such a change"},
    {strike_both, 1, 8, "power cuts of the machine survived in the middle of such a change"},
};

/* A power cut after a PIN was used may count as one try; nothing else counts. */
static void assert_counter(tracer_strike strike)
{
    assert_in_range(swtpm_lockout_counter(&fx.tpm), 0, strike == strike_process ? 0 : 1);
}

static unsigned tokens(void)
{
    CK_ULONG n;
    assert_ok(p11->C_GetSlotList(CK_TRUE, NULL, &n));
    return (unsigned)n;
}

static void assert_no_orphans(void)
{
    /* the next opening for writing undefines what an unfinished C_InitToken left */
    p11->C_Finalize(NULL);
    age_intents();
    test_initialized(NULL);
    assert_ok(p11->C_CloseSession(open_session(fx.slot, CKF_RW_SESSION)));
    assert_int_equal(swtpm_handles(&fx.tpm, 0x01), 2 * tokens());
    p11->C_Finalize(NULL);
    assert_int_equal(swtpm_handles(&fx.tpm, 0x80), 0);
    assert_int_equal(swtpm_handles(&fx.tpm, 0x02), 0);
    assert_int_equal(swtpm_handles(&fx.tpm, 0x03), 0);
    assert_int_equal(swtpm_handles(&fx.tpm, 0x81), 1);
}

/* Returns the number of moments there were. */
static unsigned strike_once(const struct operation *o, unsigned nth, tracer_strike strike,
                            bool *ret_ended)
{
    struct peer p;
    CK_RV rv = CKR_GENERAL_ERROR;
    swtpm_reset_lockout(&fx.tpm);
    peer_start(&p);
    assert_ok(peer_call(&p, o->prepare));
    unsigned moments = trace_step(&p, o->call, nth, strike, ret_ended, &rv);
    if (*ret_ended)
        peer_stop(&p);
    if (nth == 0)
        assert_ok(rv);
    assert_counter(strike);
    swtpm_reset_lockout(&fx.tpm);
    test_initialized(NULL);
    o->check(*ret_ended && rv == CKR_OK);
    assert_no_orphans();
    return moments;
}

/* How many moments a call has that nothing happens to. */
static unsigned moments_of(size_t i)
{
    static unsigned known[COUNT(operations)];
    bool ended;
    if (known[i] == 0) {
        known[i] = strike_once(&operations[i], 0, strike_process, &ended);
        print_message("%s: %u moments\n", operations[i].name, known[i]);
    }
    return known[i];
}

/* All moments of the call, or some along it, at another part of each operation. */
static unsigned long walk(size_t i, const struct kind *k)
{
    bool ended;
    unsigned long strikes = 0;
    unsigned moments = moments_of(i), samples = long_run() ? moments : k->samples;
    for (unsigned n = 0; n < samples; n++) {
        unsigned offset = long_run() ? 0 : (unsigned)(5 * i + k->offset) % COUNT(operations);
        unsigned nth = 1 + (n * moments + offset * moments / (unsigned)COUNT(operations)) / samples;
        strikes += strike_once(&operations[i], nth, k->strike, &ended) >= nth;
    }
    return strikes;
}

static void struck_at_each_step(const struct kind *k)
{
    unsigned long strikes = 0;
    if (!tracer_works()) {
        print_message("processes cannot be traced here\n");
        skip();
    }
    for (size_t i = 0; i < COUNT(operations); i++)
        strikes += walk(i, k);
    figure(strikes, k->what);
}

static void killed(void **state)
{
    (void)state;
    struck_at_each_step(&kinds[0]);
}

static void without_power_in_the_tpm(void **state)
{
    (void)state;
    struck_at_each_step(&kinds[1]);
}

static void without_power_at_all(void **state)
{
    (void)state;
    struck_at_each_step(&kinds[2]);
}

static int group_kills(void **state)
{
    group_environment(state);
    map_state();
    test_initialized(state);
    fx.slot = make_token(LABEL, so_pin(), user_pin());
    furnish();
    return test_end(state);
}

int main(int argc, char **argv)
{
    peer_serve(argc, argv, steps, COUNT(steps));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(killed, test_end),
        cmocka_unit_test_teardown(without_power_in_the_tpm, test_end),
        cmocka_unit_test_teardown(without_power_at_all, test_end),
    };
    return cmocka_run_group_tests(tests, group_kills, group_end);
}
