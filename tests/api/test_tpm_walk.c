/* Every fault of the TPM at every command of every call: each ends in a code of the function's,
 * with nothing beside it, and once the fault is gone the same call works (PKCS#11 3.2 section 5.1).
 *
 * The quick form puts one fault of each sort into each command, in turn; the long one all of them.
 * LATCHKEY_WALK=name walks one call only. */
#undef _FORTIFY_SOURCE /* it brings a poll of its own, and here is another */
#include "tpm_calls.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../../src/base/names.h"

enum { COMMANDS = 500, TOLD = 60, PATIENCE = 30 /* seconds */, LINES = 60 /* of the log */ };

/* ---- time ---------------------------------------------------------------------------------- */

/* The module waits for a TPM that says "again", and what it waits for is the clock: these come
 * before libc's, and while the fault lasts a pause takes no time, but is over. Seen by the module's
 * thread only: the proxy's TPM takes the time it takes. */
static _Thread_local bool hurried;
static _Thread_local struct timespec passed;

static void add(struct timespec *to, const struct timespec *t)
{
    to->tv_sec += t->tv_sec;
    to->tv_nsec += t->tv_nsec;
    to->tv_sec += to->tv_nsec / 1000000000;
    to->tv_nsec %= 1000000000;
}

__attribute__((visibility("default"))) int nanosleep(const struct timespec *t,
                                                     struct timespec *left)
{
    if (!hurried)
        return (int)syscall(SYS_nanosleep, t, left);
    add(&passed, t);
    return 0;
}

__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, struct timespec *ret)
{
    int done = (int)syscall(SYS_clock_gettime, clock, ret);
    if (done == 0 && clock == CLOCK_MONOTONIC)
        add(ret, &passed);
    return done;
}

/* An answer that is not to come is not waited for. */
__attribute__((visibility("default"))) int poll(struct pollfd *fds, nfds_t n, int timeout)
{
    const struct timespec some = {0, 20000000};
    if (!hurried || timeout < 1000)
        return ppoll(fds, n,
                     timeout < 0 ? NULL
                                 : &(struct timespec){timeout / 1000, timeout % 1000 * 1000000L},
                     NULL);
    for (;;) {
        int ready = ppoll(fds, n, &some, NULL);
        if (ready != 0 || proxy_silent())
            return ready;
    }
}

/* ---- the faults ---------------------------------------------------------------------------- */

/* TPM 2.0 part 2, 6.6.3, tables 15 to 17 (TPM_RC Constants): format zero, the warnings, and format
 * one, which has the number of a handle, parameter or session in it. */
static const uint32_t plain_codes[] = {
    0x01E,
    0x100,
    0x101,
    0x103,
    0x10B,
    0x119,
    0x120,
    0x121,
    0x124,
    0x125,
    0x126,
    0x127,
    0x128,
    0x12D,
    0x12E,
    0x12F,
    0x130,
    0x131,
    0x142,
    0x143,
    0x144,
    0x145,
    0x146,
    0x147,
    0x148,
    0x149,
    0x14A,
    0x14B,
    0x14C,
    0x150,
    0x151,
    0x152,
    0x153,
    0x154,
    0x155,
    0x17F,
    0x901,
    0x902,
    0x903,
    0x904,
    0x905,
    0x906,
    0x907,
    0x908,
    0x909,
    0x90A,
    0x910,
    0x911,
    0x912,
    0x913,
    0x914,
    0x915,
    0x916,
    0x918,
    0x919,
    0x91A,
    0x91B,
    0x91C,
    0x91D,
    0x91E,
    0x920,
    0x921,
    0x922,
    0x923,
    0x97F,
    /* no TPM's: TCTI, a resource manager's own and what it passes on, SAPI, ESAPI, nonsense */
    0xA0001,
    0xA0008,
    0xA000A,
    0xA000B,
    0xB0902,
    0xB0903,
    0xB0921,
    0xB098E,
    0xB0143,
    0xB0007,
    0xC0902,
    0xC0903,
    0xC0001,
    0x80007,
    0x70018,
    0x9FF,
    0xFFF,
    0x80000000,
    0xFFFFFFFF,
};
static const uint32_t numbered_codes[] = {
    0x81, 0x82, 0x83, 0x84, 0x85, 0x87, 0x88, 0x89, 0x8A, 0x8B, 0x8C,
    0x8D, 0x8E, 0x8F, 0x90, 0x92, 0x95, 0x96, 0x97, 0x98, 0x9A, 0x9B,
    0x9C, 0x9D, 0x9F, 0xA0, 0xA1, 0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0xA7,
};
static const uint32_t numbers[] = {0,     0x100, 0x200,         0x140,
                                   0x240, 0x340, 0x800 + 0x100, 0x800 + 0x200};

struct fault {
    const char *what;
    enum proxy_fault kind;
    uint32_t value;
    unsigned times;
};

static const struct fault wire_faults[] = {
    {"hangs up", PROXY_DROP, 0, 1},
    {"loses the answer", PROXY_DROP_ANSWER, 0, 1},
    {"changes the answer", PROXY_CORRUPT, 0, 1},
    {"answers garbage", PROXY_GARBAGE, 0, 1},
    {"answers half", PROXY_SHORT, 0, 1},
    {"answers a byte more", PROXY_LONG, 1, 1},
    {"answers much more", PROXY_LONG, 1000, 1},
    {"breaks off", PROXY_TRUNCATE, 0, 1},
    {"says 0 bytes", PROXY_SIZE, 0, 1},
    {"says 11 bytes", PROXY_SIZE, 11, 1},
    {"says 4 GiB", PROXY_SIZE, 0xFFFFFFFF, 1},
    {"stalls", PROXY_STALL, 0, 1},
    {"does not answer", PROXY_MUTE, 0, 1},
    {"is reset", PROXY_RESET, 0, 1},
    {"loses power", PROXY_POWER_CUT, 0, 1},
    {"vanishes", PROXY_VANISH, 0, 1},
    {"hangs up thrice", PROXY_DROP, 0, 3},
    {"hangs up for ever", PROXY_DROP, 0, PROXY_FOR_EVER},
    {"loses every answer", PROXY_DROP_ANSWER, 0, PROXY_FOR_EVER},
    {"changes every answer", PROXY_CORRUPT, 0, PROXY_FOR_EVER},
};

/* Some go on: the codes that mean "again" or "not there", and some that do not. */
static const struct fault lasting_faults[] = {
    {"RETRY thrice", PROXY_ERROR, 0x922, 3},
    {"RETRY for ever", PROXY_ERROR, 0x922, PROXY_FOR_EVER},
    {"YIELDED for ever", PROXY_ERROR, 0x908, PROXY_FOR_EVER},
    {"TESTING for ever", PROXY_ERROR, 0x90A, PROXY_FOR_EVER},
    {"NV_RATE for ever", PROXY_ERROR, 0x920, PROXY_FOR_EVER},
    {"CONTEXT_GAP for ever", PROXY_ERROR, 0x901, PROXY_FOR_EVER},
    {"SESSION_MEMORY for ever", PROXY_ERROR, 0x903, PROXY_FOR_EVER},
    {"SESSION_HANDLES for ever", PROXY_ERROR, 0x905, PROXY_FOR_EVER},
    {"OBJECT_MEMORY twice", PROXY_ERROR, 0x902, 2},
    {"OBJECT_MEMORY for ever", PROXY_ERROR, 0x902, PROXY_FOR_EVER},
    {"REFERENCE_H0 twice", PROXY_ERROR, 0x910, 2},
    {"REFERENCE_H0 for ever", PROXY_ERROR, 0x910, PROXY_FOR_EVER},
    {"REFERENCE_S0 for ever", PROXY_ERROR, 0x918, PROXY_FOR_EVER},
    {"BAD_AUTH twice", PROXY_ERROR, 0x9A2, 2},
    {"BAD_AUTH for ever", PROXY_ERROR, 0x9A2, PROXY_FOR_EVER},
    {"FAILURE for ever", PROXY_ERROR, 0x101, PROXY_FOR_EVER},
    {"HANDLE for ever", PROXY_ERROR, 0x18B, PROXY_FOR_EVER},
    {"NV_DEFINED for ever", PROXY_ERROR, 0x14C, PROXY_FOR_EVER},
};

/* ---- the codes of a function --------------------------------------------------------------- */

/* Section 5 of PKCS#11 3.2, of those that may come from a TPM: beside these every function has
 * CKR_DEVICE_ERROR, CKR_DEVICE_MEMORY, CKR_DEVICE_REMOVED, CKR_FUNCTION_FAILED. */
static const struct {
    const char *function;
    CK_RV rv;
} codes[] = {
    {"C_GetTokenInfo", CKR_TOKEN_NOT_RECOGNIZED},    {"C_InitToken", CKR_TOKEN_NOT_RECOGNIZED},
    {"C_OpenSession", CKR_TOKEN_NOT_RECOGNIZED},     {"C_GenerateKey", CKR_KEY_SIZE_RANGE},
    {"C_GenerateKeyPair", CKR_KEY_SIZE_RANGE},       {"C_GenerateKey", CKR_CURVE_NOT_SUPPORTED},
    {"C_GenerateKeyPair", CKR_CURVE_NOT_SUPPORTED},  {"C_CreateObject", CKR_CURVE_NOT_SUPPORTED},
    {"C_CreateObject", CKR_ATTRIBUTE_VALUE_INVALID}, {"C_UnwrapKey", CKR_CURVE_NOT_SUPPORTED},
    {"C_DecapsulateKey", CKR_WRAPPED_KEY_INVALID},   {"C_DeriveKey", CKR_MECHANISM_PARAM_INVALID},
    {"C_DeriveKey", CKR_CURVE_NOT_SUPPORTED},
};

/* What the TPM says of an authorization that came from a PIN or a recovery code is believed. */
static const char *const takes_pin[] = {"C_Login",      "C_SetPIN",  "C_InitToken",
                                        "TokenDestroy", "TpmHarden", "TpmUnlock"};

static bool said_of_pin(const char *function, const struct fault *f, CK_RV rv)
{
    uint32_t code = f->value & 0xFFFF, base = code & 0x80 ? code & 0xBF : code;
    for (size_t i = 0; i < COUNT(takes_pin); i++)
        if (f->kind == PROXY_ERROR && strcmp(function, takes_pin[i]) == 0)
            return (rv == CKR_PIN_INCORRECT && (base == 0x8E || base == 0xA2)) ||
                   (rv == CKR_PIN_LOCKED && base == 0x921);
    return false;
}

/* The device's fault, not the caller's. */
static bool ails(CK_RV rv)
{
    return rv == CKR_DEVICE_ERROR || rv == CKR_DEVICE_MEMORY || rv == CKR_DEVICE_REMOVED ||
           rv == CKR_FUNCTION_FAILED;
}

static bool allowed(const struct fault *f, CK_RV rv)
{
    for (size_t i = 0; i < COUNT(codes); i++)
        if (codes[i].rv == rv && strcmp(codes[i].function, tpm_call_function) == 0)
            return true;
    return ails(rv) || said_of_pin(tpm_call_function, f, rv);
}

/* ---- one step of the walk ------------------------------------------------------------------ */

static struct {
    const struct tpm_call *call;
    struct fault fault;
    unsigned nth, complaints;
    bool under_way;
    struct swtpm *other; /* this TPM comes in the place of ours, that is the fault */
    const char *reason;  /* what the log says of it */
} walk;

static void complain(const char *what, unsigned long n)
{
    char text[40] = "";
    if (++walk.complaints > TOLD)
        return;
    if (walk.fault.kind == PROXY_ERROR)
        snprintf(text, sizeof text, " (0x%x)", walk.fault.value);
    print_error("%s, command %u %s%s: %s (%lu) in %s\n", walk.call->name, walk.nth, walk.fault.what,
                text, what, n, tpm_call_function);
}

static unsigned descriptors(void)
{
    unsigned n = 0;
    DIR *d = opendir("/proc/self/fd");
    assert_non_null(d);
    while (readdir(d) != NULL)
        n++;
    closedir(d);
    return n;
}

static const char *log_path(void)
{
    static char path[80];
    snprintf(path, sizeof path, "%s/log", fx.dir);
    return path;
}

/* What the log has had since the last time. */
static const char *log_text(void)
{
    static char text[1 << 16];
    int fd = open(log_path(), O_RDWR | O_CLOEXEC | O_CREAT, 0600);
    assert_true(fd >= 0);
    ssize_t n = read(fd, text, sizeof text - 1);
    assert_in_range(n, 0, sizeof text - 1);
    text[n] = '\0';
    assert_int_equal(ftruncate(fd, 0), 0);
    close(fd);
    return text;
}

static unsigned lines_of(const char *text)
{
    unsigned lines = 0;
    while ((text = strchr(text, '\n')) != NULL) {
        lines++;
        text++;
    }
    return lines;
}

/* Before the module is there, and before the fault. */
struct before {
    unsigned tries, other_tries, indices, files;
    CK_ULONG objects;
};

static CK_ULONG objects(const struct tpm_call *call)
{
    CK_SESSION_INFO info;
    bool logged_in = call->start == test_user &&
                     p11->C_GetSessionInfo(fx.session, &info) == CKR_OK &&
                     info.state == CKS_RW_USER_FUNCTIONS;
    return logged_in ? count_objects(fx.session, NULL, 0) : 0;
}

/* Of a right PIN no try is counted; but a TPM whose power fails counts one where it cannot tell. */
static void check_tries(const struct before *b, const struct fault *f)
{
    unsigned allowance = f->kind == PROXY_POWER_CUT;
    unsigned tries = swtpm_lockout_counter(&fx.tpm);
    if (walk.call->answer != CKR_PIN_INCORRECT && tries > b->tries + allowance)
        complain("tries were burnt", tries - b->tries);
    if (walk.other != NULL && walk.call->answer != CKR_PIN_INCORRECT &&
        swtpm_lockout_counter(walk.other) > b->other_tries)
        complain("tries were burnt of another TPM", swtpm_lockout_counter(walk.other));
}

static void check_failed(const struct fault *f, CK_RV rv, const char *log)
{
    unsigned lines = lines_of(log);
    if (!allowed(f, rv))
        complain(name_rv(rv), rv);
    if (lines == 0 && ails(rv))
        complain("nothing in the log", rv);
    if (lines > LINES)
        complain("the log is flooded", lines);
    if (walk.reason != NULL && strstr(log, walk.reason) == NULL) {
        complain("the log does not give the reason", rv);
        print_error("%s", log);
    }
}

/* misled: what it tells may be what the TPM told. */
static CK_RV run(const struct tpm_call *call, bool misled)
{
    tpm_call_wrong = NULL;
    passed = (struct timespec){0};
    hurried = true;
    CK_RV rv = call->run();
    hurried = false;
    if (passed.tv_sec > PATIENCE)
        complain("takes too many seconds", (unsigned long)passed.tv_sec);
    if (tpm_call_wrong != NULL && !misled)
        complain(tpm_call_wrong, rv);
    return rv;
}

/* The module cannot but believe TPM_RC_HANDLE, the answer for what is not there, nor find out which
 * handles there are from answers of which each is changed. */
static bool misleads(const struct fault *f)
{
    return (f->kind == PROXY_ERROR && (f->value & 0xBF) == 0x8B) ||
           (f->kind == PROXY_CORRUPT && f->times != 1);
}

static bool works_again(const struct tpm_call *call)
{
    if (misleads(&walk.fault))
        swtpm_reset(&fx.tpm);
    if (call->mend != NULL)
        call->mend();
    CK_RV rv = run(call, false);
    if (rv != call->answer)
        complain("does not work afterwards", rv);
    return rv == call->answer;
}

static void next_process(void)
{
    CK_TOKEN_INFO info;
    test_initialized(NULL);
    assert_ok(p11->C_GetTokenInfo(fx.slot, &info));
    assert_ok(p11->C_Finalize(NULL));
}

/* What it left when it ended. Where the fault hit its end, the next one flushes what is left. */
static void check_end(const struct before *b)
{
    static const uint8_t kinds[] = {0x80, 0x02, 0x03};
    if (misleads(&walk.fault))
        swtpm_reset(&fx.tpm);
    if (walk.call->start == NULL)
        next_process();
    for (size_t i = 0; i < COUNT(kinds); i++)
        if (swtpm_handles(&fx.tpm, kinds[i]) > 0)
            complain("handles are left", kinds[i]);
    if (swtpm_handles(&fx.tpm, 0x80) + swtpm_handles(&fx.tpm, 0x02) > 0)
        swtpm_reset(&fx.tpm);
    if (swtpm_handles(&fx.tpm, 0x01) != b->indices && !misleads(&walk.fault) && walk.other == NULL)
        complain("NV indices are left", swtpm_handles(&fx.tpm, 0x01) - b->indices);
    for (int i = 0; descriptors() != b->files && i < 200; i++)
        sleep_ms(5); /* the proxy's, whose clients have gone */
    if (descriptors() != b->files)
        complain("descriptors are left", descriptors() - b->files);
}

static void arm(const struct fault *f)
{
    if (walk.other != NULL)
        proxy_leads_to(walk.other);
    else
        proxy_fault_times(f->kind, 0, walk.nth, f->value, f->times);
}

/* Who had another TPM for a while has been off. */
static void lift(void)
{
    proxy_fault(PROXY_NO_FAULT, 0, 1, 0);
    if (walk.other == NULL)
        return;
    proxy_leads_to(&fx.tpm);
    swtpm_reset(&fx.tpm);
    swtpm_reset(walk.other);
}

/* True when the call worked at last. */
static bool disturbed(const struct tpm_call *call, const struct fault *f, const struct before *b,
                      bool *ret_struck)
{
    CK_ULONG before = objects(call);
    log_text();
    arm(f);
    CK_RV rv = run(call, misleads(f) && strcmp(call->name, "TpmStatus") == 0);
    *ret_struck = proxy_fault_struck() || walk.other != NULL;
    bool done_there = walk.other != NULL && rv == call->answer;
    if (done_there && call->after != NULL)
        call->after(); /* what it made is of that TPM */
    lift();
    check_tries(b, f);
    if (rv == call->answer)
        return !done_there;
    if (*ret_struck)
        check_failed(f, rv, log_text());
    else
        complain("fails by itself", rv);
    if (objects(call) != before && objects(call) != 0 &&
        strcmp(tpm_call_function, "C_DestroyObject") != 0)
        complain("objects are left", objects(call) - before);
    return works_again(call);
}

/* The whole of it; false when the call has no nth command. */
static bool step(const struct tpm_call *call, const struct fault *f, unsigned nth)
{
    bool struck;
    walk.call = call;
    walk.fault = *f;
    walk.nth = nth;
    walk.under_way = true;
    proxy_clear();
    log_text();
    struct before b = {.indices = swtpm_handles(&fx.tpm, 0x01), .files = descriptors()};
    if (call->start != NULL)
        call->start(NULL);
    if (call->before != NULL)
        call->before();
    b.tries = swtpm_lockout_counter(&fx.tpm);
    b.other_tries = walk.other != NULL ? swtpm_lockout_counter(walk.other) : 0;
    if (disturbed(call, f, &b, &struck) && call->after != NULL)
        call->after();
    p11->C_Finalize(NULL);
    check_end(&b);
    walk.under_way = false;
    return struck;
}

/* ---- the walk ------------------------------------------------------------------------------ */

static unsigned long steps_of[PROXY_VANISH + 1], lasting_steps, all_steps;

static bool count_step(const struct tpm_call *call, const struct fault *f, unsigned nth)
{
    if (!step(call, f, nth))
        return false;
    all_steps++;
    if (f->times == 1)
        steps_of[f->kind]++;
    else
        lasting_steps++;
    return true;
}

static struct fault code_fault(size_t i)
{
    size_t all = COUNT(plain_codes) + COUNT(numbered_codes), base = i % all;
    struct fault f = {"answers", PROXY_ERROR, 0, 1};
    f.value = base < COUNT(plain_codes)
                  ? plain_codes[base]
                  : numbered_codes[base - COUNT(plain_codes)] + numbers[i / all % COUNT(numbers)];
    return f;
}

/* Every code once for each number that it may have; those without a number once. Of all calls each
 * has a fourth of the codes, the next call the next fourth; a call that is asked for has all. */
static void walk_codes(const struct tpm_call *call)
{
    static size_t turn;
    size_t all = COUNT(plain_codes) + COUNT(numbered_codes);
    size_t part = getenv("LATCHKEY_WALK") != NULL ? 1 : 4;
    for (size_t i = turn++ % part; i < all * COUNT(numbers); i += part) {
        if (i >= all && i % all < COUNT(plain_codes))
            continue;
        struct fault f = code_fault(i);
        for (unsigned n = 1; n < COMMANDS && count_step(call, &f, n); n++)
            ;
    }
}

static void walk_table(const struct tpm_call *call, const struct fault *faults, size_t n_faults)
{
    for (size_t i = 0; i < n_faults; i++)
        for (unsigned n = 1; n < COMMANDS && count_step(call, &faults[i], n); n++)
            ;
}

/* Takes hours, and says how far it has come. */
static void walk_all(const struct tpm_call *call)
{
    unsigned long before = all_steps;
    walk_codes(call);
    walk_table(call, wire_faults, COUNT(wire_faults));
    walk_table(call, lasting_faults, COUNT(lasting_faults));
    printf("%s: %lu faults, %u complaints so far\n", call->name, all_steps - before,
           walk.complaints);
    fflush(stdout);
}

/* A code, and one of the other faults, at each command. */
static void walk_in_turn(const struct tpm_call *call)
{
    static size_t turn;
    bool more = true;
    for (unsigned n = 1; n < COMMANDS && more; n++, turn++) {
        struct fault code = code_fault(turn + turn / 127 * 5);
        const struct fault *other = turn % 2 ? &wire_faults[turn / 2 % COUNT(wire_faults)]
                                             : &lasting_faults[turn / 2 % COUNT(lasting_faults)];
        more = count_step(call, &code, n) && count_step(call, other, n);
    }
}

#define SURVIVED "TPM faults injected and survived: "

static void figures(void)
{
    figure(steps_of[PROXY_ERROR], SURVIVED "error codes");
    figure(steps_of[PROXY_DROP] + steps_of[PROXY_DROP_ANSWER], SURVIVED "connections cut");
    figure(steps_of[PROXY_CORRUPT] + steps_of[PROXY_GARBAGE] + steps_of[PROXY_SHORT] +
               steps_of[PROXY_LONG] + steps_of[PROXY_TRUNCATE] + steps_of[PROXY_SIZE],
           SURVIVED "spoilt answers");
    figure(steps_of[PROXY_RESET] + steps_of[PROXY_POWER_CUT], SURVIVED "resets and power cuts");
    figure(steps_of[PROXY_STALL] + steps_of[PROXY_MUTE], SURVIVED "silence");
    figure(steps_of[PROXY_VANISH], SURVIVED "vanished, and came back");
    figure(lasting_steps, SURVIVED "faults that go on");
}

static void every_fault(void **state)
{
    (void)state;
    walk.complaints = 0;
    const char *only = getenv("LATCHKEY_WALK");
    for (size_t i = 0; i < tpm_calls_n; i++) {
        if (only != NULL ? strncmp(only, tpm_calls[i].name, strlen(only)) != 0
                         : tpm_calls[i].slow && !long_run())
            continue;
        if (long_run())
            walk_all(&tpm_calls[i]);
        else
            walk_in_turn(&tpm_calls[i]);
    }
    figures();
    if (walk.complaints > 0)
        fail_msg("%u complaints", walk.complaints);
}

/* ---- another TPM --------------------------------------------------------------------------- */

static struct swtpm other;

static void every_call_on(const struct fault *f, const char *reason)
{
    unsigned long n = 0;
    walk.other = &other;
    walk.reason = reason;
    walk.complaints = 0;
    for (size_t i = 0; i < tpm_calls_n; i++)
        if (!tpm_calls[i].slow && !tpm_calls[i].any_tpm) {
            step(&tpm_calls[i], f, 1);
            n++;
        }
    figure(n, "calls to a TPM that is another, was cleared or has another owner authorization");
    if (walk.complaints > 0)
        fail_msg("%u complaints", walk.complaints);
}

static const char *other_dir(void)
{
    static char dir[80];
    static unsigned n;
    snprintf(dir, sizeof dir, "%s/other%u", fx.dir, ++n);
    return dir;
}

static void exchanged(void **state)
{
    (void)state;
    const struct fault f = {"is another", PROXY_NO_FAULT, 0, 1};
    swtpm_start(&other, other_dir());
    every_call_on(&f, "cleared");
}

static void cleared(void **state)
{
    (void)state;
    const struct fault f = {"was cleared", PROXY_NO_FAULT, 0, 1};
    swtpm_start_copy(&other, other_dir(), &fx.tpm);
    swtpm_clear(&other);
    every_call_on(&f, "cleared");
}

static void another_owner(void **state)
{
    (void)state;
    const struct fault f = {"has another owner authorization", PROXY_NO_FAULT, 0, 1};
    swtpm_start_copy(&other, other_dir(), &fx.tpm);
    swtpm_set_owner_auth(&other);
    every_call_on(&f, NULL);
}

/* ---- set-up -------------------------------------------------------------------------------- */

static int group_walk(void **state)
{
    setenv("TSS2_LOG", "all+NONE", 1); /* its warnings are to be expected */
    setenv("LATCHKEY_LOG", "error", 1);
    group_tpm_calls(state);
    setenv("LATCHKEY_LOG_FILE", log_path(), 1);
    test_initialized(state); /* what a process opens once is open */
    return test_end(state);
}

static int end_walk(void **state)
{
    if (walk.under_way)
        print_error("the walk ended at %s, command %u %s (0x%x)\n", walk.call->name, walk.nth,
                    walk.fault.what, walk.fault.value);
    hurried = false;
    proxy_leads_to(&fx.tpm);
    walk.other = NULL;
    walk.reason = NULL;
    swtpm_stop(&other);
    return test_end(state);
}

#define WALK_TEST(f) cmocka_unit_test_teardown(f, end_walk)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WALK_TEST(exchanged),
        WALK_TEST(cleared),
        WALK_TEST(another_owner),
        WALK_TEST(every_fault),
    };
    return cmocka_run_group_tests(tests, group_walk, group_end);
}
