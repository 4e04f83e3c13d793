/* Many processes on one TPM: straight, behind tpm2-abrmd, and behind a resource manager as the
 * kernel's. All get on, some are killed, nothing is left behind. */
#include "keys.h"
#include "transports.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 24 };

/* Memory that all processes share: who has come how far. */
static struct board {
    _Atomic unsigned next_place; /* of the process that joins now */
    _Atomic bool stop;
    _Atomic unsigned long operations[MOST];
    _Atomic unsigned long longest[MOST]; /* milliseconds of one operation, and which it was */
    _Atomic unsigned slowest[MOST];
} * board;

static void map_board(void)
{
    int fd = open(getenv("LATCHKEY_TEST_BOARD"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, sizeof *board), 0);
    board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(board != MAP_FAILED);
    close(fd);
}

/* ---- what a process does ---- */

static unsigned place;
static CK_OBJECT_HANDLE ec, rsa, own, public;

static void find_keys(void)
{
    char label[24];
    snprintf(label, sizeof label, "own %u", place);
    ec = find_object(fx.session, CKO_PRIVATE_KEY, "p256");
    public = find_object(fx.session, CKO_PUBLIC_KEY, "p256");
    rsa = find_object(fx.session, CKO_PRIVATE_KEY, "rsa2048");
    own = find_object(fx.session, CKO_PRIVATE_KEY, label);
    if (own == CK_INVALID_HANDLE) /* one that was killed has left it */
        own = generate_ec(fx.session, NID_X9_62_prime256v1, label, true).private;
}

static CK_RV peer_join(void)
{
    map_board();
    place = atomic_load(&board->next_place);
    assert_ok(p11->C_Initialize(NULL));
    fx.slot = slot_of(LABEL);
    fx.session = open_session(fx.slot, CKF_RW_SESSION);
    assert_ok(login(fx.session, CKU_USER, USER_PIN));
    find_keys();
    return CKR_OK;
}

static void sign_once(CK_OBJECT_HANDLE key)
{
    struct blob signature = sign(fx.session, MECHANISM(CKM_ECDSA), key, "0123456789", 10);
    if (key == ec)
        assert_ok(verify(fx.session, MECHANISM(CKM_ECDSA), public, "0123456789", 10, signature));
}

static void sign_ec(void)
{
    sign_once(ec);
}

static void sign_own(void)
{
    sign_once(own);
}

/* The third key: more than stay in the TPM between calls. */
static void sign_rsa(void)
{
    sign(fx.session, MECHANISM(CKM_RSA_PKCS), rsa, "0123456789", 10);
}

static void make_and_destroy(void)
{
    struct key_pair k = generate_ec(fx.session, NID_X9_62_prime256v1, "for a moment", false);
    sign_once(k.private);
    assert_ok(p11->C_DestroyObject(fx.session, k.private));
    assert_ok(p11->C_DestroyObject(fx.session, k.public));
}

static void log_out_and_in(void)
{
    assert_ok(p11->C_Logout(fx.session));
    assert_ok(login(fx.session, CKU_USER, USER_PIN));
    find_keys();
}

static void search(void)
{
    CK_ATTRIBUTE private[] = {ATTR_ULONG(CKA_CLASS, CKO_PRIVATE_KEY), ATTR_BOOL(CKA_TOKEN, true)};
    assert_true(count_objects(fx.session, private, COUNT(private)) >= 3);
}

static void (*const operations[])(void) = {
    sign_ec, sign_own, sign_rsa, sign_ec, search,   sign_own, make_and_destroy, sign_ec,
    sign_ec, sign_own, sign_rsa, sign_ec, sign_own, sign_ec,  log_out_and_in,   search,
};

static unsigned long milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (unsigned long)now.tv_sec * 1000 + (unsigned long)now.tv_nsec / 1000000;
}

/* A call that fails ends the peer, which its parent sees. */
static CK_RV peer_work(void)
{
    for (unsigned i = place; !atomic_load(&board->stop); i++) {
        unsigned long start = milliseconds();
        operations[i % COUNT(operations)]();
        unsigned long took = milliseconds() - start;
        if (took > atomic_load(&board->longest[place])) {
            atomic_store(&board->longest[place], took);
            atomic_store(&board->slowest[place], i % COUNT(operations));
        }
        atomic_fetch_add(&board->operations[place], 1);
    }
    return CKR_OK;
}

static CK_RV peer_leave(void)
{
    return p11->C_Finalize(NULL);
}

/* For the idle one: what a program has done that waits for its next customer. */
static CK_RV peer_sign_each(void)
{
    sign_ec();
    sign_own();
    sign_rsa();
    return CKR_OK;
}

static const peer_step steps[] = {peer_join, peer_work, peer_leave, peer_sign_each};

/* ---- the storm ---- */

static void join(struct peer *p, unsigned at)
{
    atomic_store(&board->next_place, at);
    peer_start(p);
    assert_ok(peer_call(p, peer_join));
}

static unsigned long total(unsigned processes)
{
    unsigned long n = 0;
    for (unsigned i = 0; i < processes; i++)
        n += atomic_load(&board->operations[i]);
    return n;
}

/* One of the first half, in the middle of whatever it does. */
static void kill_one(struct peer *peers, unsigned processes)
{
    unsigned victim = (unsigned)rand() % (processes / 2);
    peer_kill(&peers[victim]);
    join(&peers[victim], victim);
    peer_send(&peers[victim], peer_work);
}

static void assert_fair(unsigned processes, unsigned long slowest)
{
    unsigned long mean = total(processes) / processes;
    for (unsigned i = processes / 2; i < processes; i++) { /* those that nobody killed */
        print_message("process %u: %lu of %lu on the average, the longest (%u) took %lu ms\n", i,
                      atomic_load(&board->operations[i]), mean, atomic_load(&board->slowest[i]),
                      atomic_load(&board->longest[i]));
        assert_true(atomic_load(&board->operations[i]) >= mean / slowest);
    }
}

static void assert_nothing_left(enum transport transport)
{
    transport_settle(transport);
    assert_int_equal(swtpm_handles(&fx.tpm, 0x80), 0);
    assert_int_equal(swtpm_handles(&fx.tpm, 0x02), 0);
    assert_int_equal(swtpm_handles(&fx.tpm, 0x03), 0);
    assert_int_equal(swtpm_lockout_counter(&fx.tpm), 0);
}

static void storm(enum transport transport, const char *done, const char *killed)
{
    const unsigned processes = long_run() ? 16 : 4, kills = long_run() ? 150 : 4;
    const unsigned long goal = long_run() ? 30000 : 400;
    struct peer peers[MOST];
    unsigned n = 0;
    memset(board, 0, sizeof *board);
    for (unsigned i = 0; i < processes; i++)
        join(&peers[i], i);
    for (unsigned i = 0; i < processes; i++)
        peer_send(&peers[i], peer_work);
    while (total(processes) < goal) {
        sleep_ms((unsigned)rand() % 20);
        if (n < kills && total(processes) >= n * goal / kills) {
            kill_one(peers, processes);
            n++;
        }
    }
    atomic_store(&board->stop, true);
    for (unsigned i = 0; i < processes; i++)
        assert_ok(peer_result(&peers[i]));
    assert_fair(processes, long_run() ? 4 : 10);
    for (unsigned i = 0; i < processes; i++) {
        assert_ok(peer_call(&peers[i], peer_leave));
        peer_stop(&peers[i]);
    }
    assert_nothing_left(transport);
    figure(total(processes), done);
    figure(n, killed);
}

static void need(enum transport transport)
{
    if (!transport_use(transport))
        skip();
}

static void storm_straight(void **state)
{
    (void)state;
    need(TRANSPORT_BARE);
    storm(TRANSPORT_BARE, "operations of processes that take turns by the lock file",
          "processes killed that take turns by the lock file");
}

static void storm_broker(void **state)
{
    (void)state;
    need(TRANSPORT_BROKER);
    storm(TRANSPORT_BROKER, "operations of processes behind tpm2-abrmd",
          "processes killed behind tpm2-abrmd");
}

static void storm_kernel(void **state)
{
    (void)state;
    need(TRANSPORT_KERNEL);
    unsigned before = resource_manager_errors();
    storm(TRANSPORT_KERNEL, "operations of processes behind a resource manager as the kernel's",
          "processes killed behind a resource manager as the kernel's");
    assert_int_equal(resource_manager_errors(), before);
}

/* ---- one that works, one that waits ---- */

/* An idle session makes the TPM refuse to save any other after 65,532 saves (context gap, TPM 2.0
 * part 1, 30.6): behind a resource manager none may be left between calls. */
static void idle_one(enum transport transport, const char *done)
{
    const unsigned long signatures = long_run() ? 100000 : 200;
    struct peer idle;
    memset(board, 0, sizeof *board);
    join(&idle, MOST - 1);
    assert_ok(peer_call(&idle, peer_sign_each));
    if (transport != TRANSPORT_BARE) {
        assert_int_equal(swtpm_handles(&fx.tpm, 0x02), 0);
        assert_int_equal(swtpm_handles(&fx.tpm, 0x03), 0);
    }
    assert_ok(peer_join());
    for (unsigned long i = 0; i < signatures; i++)
        sign(fx.session, MECHANISM(CKM_ECDSA), ec, "0123456789", 10);
    assert_ok(peer_call(&idle, peer_sign_each));
    sign_ec();
    assert_ok(peer_call(&idle, peer_leave));
    peer_stop(&idle);
    assert_ok(p11->C_Finalize(NULL));
    assert_nothing_left(transport);
    figure(signatures, done);
}

static void idle_straight(void **state)
{
    (void)state;
    need(TRANSPORT_BARE);
    idle_one(TRANSPORT_BARE, "signatures beside an idle process, lock file");
}

static void idle_broker(void **state)
{
    (void)state;
    need(TRANSPORT_BROKER);
    idle_one(TRANSPORT_BROKER, "signatures beside an idle process, tpm2-abrmd");
}

static void idle_kernel(void **state)
{
    (void)state;
    need(TRANSPORT_KERNEL);
    unsigned before = resource_manager_errors();
    idle_one(TRANSPORT_KERNEL, "signatures beside an idle process, as behind the kernel's");
    assert_int_equal(resource_manager_errors(), before);
}

static int start(void **state)
{
    char path[80];
    group_keys(state);
    snprintf(path, sizeof path, "%s/board", fx.dir);
    setenv("LATCHKEY_TEST_BOARD", path, 1);
    map_board();
    return 0;
}

static int stop(void **state)
{
    transports_stop();
    return group_end(state);
}

#define PROCESS_TEST(f) cmocka_unit_test_teardown(f, test_end)

int main(int argc, char **argv)
{
    peer_serve(argc, argv, steps, COUNT(steps));
    if (argc == 2) /* one of them by itself: the long forms take a while */
        cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        PROCESS_TEST(storm_straight), PROCESS_TEST(storm_broker), PROCESS_TEST(storm_kernel),
        PROCESS_TEST(idle_straight),  PROCESS_TEST(idle_broker),  PROCESS_TEST(idle_kernel),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
