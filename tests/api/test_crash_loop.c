/* A process that makes, changes, copies and destroys objects and keys is killed at any moment, and
 * within each operation on a file, again and again: what it had reported is there, what it had
 * destroyed is gone, the call under way happened or did not, and every key works. */
#include "faults.h"
#include "keys.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define SLOTS 12

/* What there is under one label. */
enum { DATA = 1, PUBLIC = 2, PRIVATE = 4, SECRET = 8 };
struct thing {
    unsigned has, value;
};

/* The peer's reports, in memory that outlives it. */
static struct reports {
    uint32_t seed;
    unsigned long kill_at;     /* operation on a file; 0: from outside */
    atomic_ulong calls;        /* reported done */
    struct thing thing[SLOTS]; /* as the last reports have it */
    unsigned changing;         /* the slot of the call under way; SLOTS: none */
    struct thing before, after;
} * reports;

static void map_reports(void)
{
    char path[100];
    snprintf(path, sizeof path, "%s/reports", getenv("XDG_RUNTIME_DIR"));
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, sizeof *reports), 0);
    reports = mmap(NULL, sizeof *reports, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(reports != MAP_FAILED);
    close(fd);
}

static CK_ULONG draw(uint32_t *seed, CK_ULONG below)
{
    *seed = *seed * 1103515245 + 12345;
    return (*seed >> 8) % below;
}

/* ---- the peer ------------------------------------------------------------------------------ */

static void label_of(unsigned slot, char *ret)
{
    sprintf(ret, "thing %u", slot);
}

/* Its size differs by three pages of the store; its content follows from its number. */
static CK_ULONG data_of(uint32_t value, CK_BYTE *ret)
{
    CK_ULONG n = 1 + value * 7919 % 12000;
    for (CK_ULONG i = 0; i < n; i++)
        ret[i] = (CK_BYTE)draw(&value, 256);
    return n;
}

static CK_OBJECT_HANDLE thing_of(unsigned slot, CK_OBJECT_CLASS cls)
{
    char label[16];
    label_of(slot, label);
    return find_object(fx.session, cls, label);
}

static CK_RV make_data(unsigned slot, unsigned value)
{
    static CK_BYTE bytes[12001];
    CK_ULONG n = data_of(value, bytes);
    char label[16];
    CK_OBJECT_HANDLE object;
    label_of(slot, label);
    CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_CLASS, CKO_DATA), ATTR_BOOL(CKA_TOKEN, true),
                               ATTR_BOOL(CKA_PRIVATE, slot % 2), ATTR_STR(CKA_LABEL, label),
                               ATTR_MEM(CKA_VALUE, bytes, n)};
    return p11->C_CreateObject(fx.session, template, COUNT(template), &object);
}

static CK_RV change_data(unsigned slot, unsigned value)
{
    static CK_BYTE bytes[12001];
    CK_ULONG n = data_of(value, bytes);
    CK_ATTRIBUTE change = ATTR_MEM(CKA_VALUE, bytes, n);
    return p11->C_SetAttributeValue(fx.session, thing_of(slot, CKO_DATA), &change, 1);
}

static CK_RV copy_data(unsigned from, unsigned to)
{
    char label[16];
    CK_OBJECT_HANDLE object;
    label_of(to, label);
    CK_ATTRIBUTE change = ATTR_STR(CKA_LABEL, label);
    return p11->C_CopyObject(fx.session, thing_of(from, CKO_DATA), &change, 1, &object);
}

static CK_RV make_pair(unsigned slot)
{
    char label[16];
    label_of(slot, label);
    generate_ec(fx.session, NID_X9_62_prime256v1, label, true);
    return CKR_OK;
}

static CK_RV make_secret(unsigned slot)
{
    char label[16];
    CK_OBJECT_HANDLE key;
    label_of(slot, label);
    CK_ATTRIBUTE template[] = {ATTR_STR(CKA_LABEL, label), ATTR_BOOL(CKA_TOKEN, true),
                               ATTR_ULONG(CKA_VALUE_LEN, 32), ATTR_BOOL(CKA_ENCRYPT, true),
                               ATTR_BOOL(CKA_EXTRACTABLE, slot % 2)};
    return p11->C_GenerateKey(fx.session, MECHANISM(CKM_AES_KEY_GEN), template, COUNT(template),
                              &key);
}

static CK_RV destroy(unsigned slot, CK_OBJECT_CLASS cls)
{
    return p11->C_DestroyObject(fx.session, thing_of(slot, cls));
}

/* What a call does to a slot; from: the slot that a copy comes of. */
enum act { MAKE_DATA, CHANGE, COPY, MAKE_PAIR, MAKE_SECRET, DESTROY };

static CK_RV act(enum act act, unsigned slot, unsigned from)
{
    switch (act) {
    case MAKE_DATA:
        return FAULTY(make_data(slot, reports->after.value));
    case CHANGE:
        return FAULTY(change_data(slot, reports->after.value));
    case COPY:
        return FAULTY(copy_data(from, slot));
    case MAKE_PAIR:
        return FAULTY(make_pair(slot));
    case MAKE_SECRET:
        return FAULTY(make_secret(slot));
    case DESTROY:
        break;
    }
    unsigned gone = reports->before.has & ~reports->after.has;
    return FAULTY(destroy(slot, gone == DATA      ? CKO_DATA
                                : gone == PUBLIC  ? CKO_PUBLIC_KEY
                                : gone == PRIVATE ? CKO_PRIVATE_KEY
                                                  : CKO_SECRET_KEY));
}

/* Writes down what will be, does it, and reports it. */
static void do_one(uint32_t *seed)
{
    unsigned slot = (unsigned)draw(seed, SLOTS), from = (unsigned)draw(seed, SLOTS);
    struct thing now = reports->thing[slot], then = now;
    enum act what = DESTROY;
    if (now.has == 0) {
        static const enum act makes[] = {MAKE_DATA, COPY, MAKE_PAIR, MAKE_PAIR, MAKE_SECRET};
        what = makes[draw(seed, COUNT(makes))];
        if (what == COPY && reports->thing[from].has != DATA)
            what = MAKE_DATA;
        then.has = what == MAKE_PAIR ? PUBLIC | PRIVATE : what == MAKE_SECRET ? SECRET : DATA;
        then.value = what == COPY ? reports->thing[from].value : (unsigned)draw(seed, 100000);
    } else if (now.has == DATA && draw(seed, 3) > 0) {
        what = CHANGE;
        then.value = (unsigned)draw(seed, 100000);
    } else {
        then.has &= now.has - 1; /* one object of it */
    }
    if (what == COPY && slot % 2 != from % 2)
        slot = SLOTS; /* it would be private where the copy's slot is public */
    if (slot == SLOTS)
        return;
    reports->before = now;
    reports->after = then;
    atomic_signal_fence(memory_order_seq_cst);
    reports->changing = slot;
    assert_ok(act(what, slot, from));
    reports->thing[slot] = then;
    atomic_fetch_add(&reports->calls, 1);
}

static CK_RV work(void)
{
    map_reports();
    assert_ok(initialize(NULL));
    fx.slot = slot_of(LABEL);
    fx.session = open_session(fx.slot, CKF_RW_SESSION);
    assert_ok(login(fx.session, CKU_USER, USER_PIN));
    fault_set(
        &(struct fault){.kind = FAULT_FILE,
                        .code = FAULT_KILL,
                        .files = FILE_CHANGE | FILE_WRITE | FILE_SYNC | FILE_REMOVE | FILE_LOCK,
                        .nth = reports->kill_at,
                        .beside = "store.db"});
    uint32_t seed = reports->seed;
    while (reports->kill_at < ULONG_MAX)
        do_one(&seed);
    return CKR_OK;
}

/* ---- what must hold ------------------------------------------------------------------------ */

static void assert_works(unsigned slot, const struct thing *t)
{
    static struct blob signature;
    CK_BYTE block[16] = {0}, out[16];
    CK_ULONG n = sizeof out;
    if (t->has == (PUBLIC | PRIVATE)) {
        signature = sign(fx.session, MECHANISM(CKM_ECDSA), thing_of(slot, CKO_PRIVATE_KEY), block,
                         sizeof block);
        EVP_PKEY *key = openssl_key(fx.session, thing_of(slot, CKO_PUBLIC_KEY));
        assert_true(openssl_verify(key, 0, NULL, 0, block, sizeof block, signature));
        EVP_PKEY_free(key);
    }
    if (t->has == SECRET) {
        CK_OBJECT_HANDLE key = thing_of(slot, CKO_SECRET_KEY);
        assert_ok(p11->C_EncryptInit(fx.session, MECHANISM(CKM_AES_ECB), key));
        assert_ok(p11->C_Encrypt(fx.session, block, sizeof block, out, &n));
    }
}

static bool value_is(unsigned slot, unsigned value)
{
    static CK_BYTE want[12001], got[12001];
    CK_ULONG n = data_of(value, want);
    CK_ATTRIBUTE attribute = {CKA_VALUE, got, sizeof got};
    assert_ok(p11->C_GetAttributeValue(fx.session, thing_of(slot, CKO_DATA), &attribute, 1));
    return attribute.ulValueLen == n && memcmp(got, want, n) == 0;
}

static bool is(unsigned slot, const struct thing *t)
{
    unsigned has = 0;
    has |= thing_of(slot, CKO_DATA) != CK_INVALID_HANDLE ? DATA : 0;
    has |= thing_of(slot, CKO_PUBLIC_KEY) != CK_INVALID_HANDLE ? PUBLIC : 0;
    has |= thing_of(slot, CKO_PRIVATE_KEY) != CK_INVALID_HANDLE ? PRIVATE : 0;
    has |= thing_of(slot, CKO_SECRET_KEY) != CK_INVALID_HANDLE ? SECRET : 0;
    return has == t->has && (has != DATA || value_is(slot, t->value));
}

/* After a kill: the reports are true, and the call under way is settled. */
static void assert_nothing_is_lost(void)
{
    unsigned open = reports->changing;
    CK_ULONG n = 0;
    if (open < SLOTS) {
        bool done = is(open, &reports->after);
        if (!done && !is(open, &reports->before))
            fail_msg("thing %u is neither as it was nor as it was to be", open);
        /* a report that was not made is made here */
        reports->thing[open] = done ? reports->after : reports->before;
    }
    for (unsigned i = 0; i < SLOTS; i++) {
        if (!is(i, &reports->thing[i]))
            fail_msg("thing %u is not as it was reported", i);
        assert_works(i, &reports->thing[i]);
        n += (CK_ULONG)__builtin_popcount(reports->thing[i].has);
    }
    assert_int_equal(count_objects(fx.session, NULL, 0), n);
    reports->changing = SLOTS;
}

/* ---- the loop ------------------------------------------------------------------------------ */

/* Half of the kills come by the clock, from outside; half within the nth operation on a file. */
static void kill_one(uint32_t *seed)
{
    struct peer p;
    unsigned long done = atomic_load(&reports->calls), calls = 1 + draw(seed, 4);
    bool outside = draw(seed, 2) == 0;
    reports->seed = (uint32_t)draw(seed, 1000000);
    reports->kill_at = outside ? 0 : 1 + draw(seed, 150);
    peer_start(&p);
    peer_send(&p, work);
    if (outside) {
        while (atomic_load(&reports->calls) < done + calls && waitpid(p.pid, NULL, WNOHANG) == 0)
            sleep_ms(1);
        usleep((useconds_t)draw(seed, 20000));
        peer_kill(&p);
    } else {
        int status = 0;
        assert_int_equal(waitpid(p.pid, &status, 0), p.pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        close(p.fd);
    }
}

static void killed_at_any_moment(void **state)
{
    unsigned kills = long_run() ? 1200 : 24;
    const char *given = getenv("LATCHKEY_RANDOM_SEED");
    uint32_t seed = given == NULL ? 20240229 : (uint32_t)strtoul(given, NULL, 0);
    map_reports();
    reports->changing = SLOTS;
    test_user(state);
    for (unsigned i = 0; i < kills; i++) {
        kill_one(&seed);
        if (i % 8 == 7) { /* as a process that has seen nothing of it */
            assert_ok(p11->C_Finalize(NULL));
            test_user(state);
        }
        assert_nothing_is_lost();
    }
    assert_int_equal(swtpm_lockout_counter(&fx.tpm), 0);
    figure(kills, "SIGKILLs in the middle of writing survived");
    figure(atomic_load(&reports->calls), "calls before them that were reported done, nothing lost");
}

int main(int argc, char **argv)
{
    static const peer_step steps[] = {work};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(killed_at_any_moment, test_end),
    };
    peer_serve(argc, argv, steps, COUNT(steps));
    return cmocka_run_group_tests(tests, group_token, group_end);
}
