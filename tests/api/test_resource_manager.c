/* That lib/resource_manager.c does what its header says the kernel does: only then do the tests
 * behind it mean anything. And what the module makes of a resource manager that has enough of it.
 */
#include "keys.h"
#include "transports.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

enum { HEADER = 10, CC_START_AUTH_SESSION = 0x176, CC_CREATE_PRIMARY = 0x131 };
enum { CC_FLUSH_CONTEXT = 0x165, CC_GET_CAPABILITY = 0x17A, CC_READ_PUBLIC = 0x173 };
enum { CC_GET_RANDOM = 0x17B, TAG_PLAIN = 0x8001, TAG_AUTH = 0x8002 };

static char path[120];

static uint32_t u32(const CK_BYTE *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put_u32(CK_BYTE *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (CK_BYTE)(v >> (24 - 8 * i));
}

/* ---- a client of the device ---- */

static int device(void)
{
    int fd = unix_connect(path);
    assert_true(fd >= 0);
    return fd;
}

static CK_BYTE answer[4096];

/* 0, the TPM's code, or minus an errno. */
static long command(int fd, uint16_t tag, uint32_t code, const void *p, size_t n)
{
    CK_BYTE request[256];
    request[0] = (CK_BYTE)(tag >> 8);
    request[1] = (CK_BYTE)tag;
    put_u32(request + 2, (uint32_t)(HEADER + n));
    put_u32(request + 6, code);
    memcpy(request + HEADER, p, n);
    assert_true(write_fully(fd, request, HEADER + n));
    assert_true(read_fully(fd, answer, HEADER));
    assert_true(read_fully(fd, answer + HEADER, u32(answer + 2) - HEADER));
    long said = (long)u32(answer + 6);
    return answer[0] == 0 ? -said : said;
}

static long with_handle(int fd, uint32_t code, uint32_t handle)
{
    CK_BYTE p[4];
    put_u32(p, handle);
    return command(fd, TAG_PLAIN, code, p, sizeof p);
}

/* An unsalted HMAC session. */
static long start_session(int fd)
{
    CK_BYTE p[33] = {0x40, 0, 0, 7, 0x40, 0, 0, 7, 0, 16};
    CK_BYTE end[] = {0, 0, 0, 0, 0x10, 0, 0x0B}; /* no salt, HMAC, TPM_ALG_NULL, SHA-256 */
    memcpy(p + 26, end, sizeof end);
    return command(fd, TAG_PLAIN, CC_START_AUTH_SESSION, p, sizeof p);
}

/* The TCG's P-256 storage key of the null hierarchy: an object in one command. */
static long make_object(int fd)
{
    static const CK_BYTE p[] = {
        0x40, 0,   0, 7,                                        /* TPM_RH_NULL */
        0,    0,   0, 9,    0x40, 0,    0, 9, 0, 0,    0, 0, 0, /* the empty password */
        0,    4,   0, 0,    0,    0,                            /* no secret */
        0,    26,  0, 0x23, 0,    0x0B, 0, 3, 4, 0x72, 0, 0, 0, 6,
        0,    128, 0, 0x43, 0,    0x10, 0, 3, 0, 0x10, 0, 0, 0, 0, /* AES-128 CFB, P-256 */
        0,    0,   0, 0,    0,    0};
    return command(fd, TAG_AUTH, CC_CREATE_PRIMARY, p, sizeof p);
}

static uint32_t made(void)
{
    return u32(answer + HEADER);
}

static unsigned count_handles(int fd, uint32_t first)
{
    CK_BYTE p[12] = {0, 0, 0, 1};
    put_u32(p + 4, first);
    put_u32(p + 8, 16);
    assert_int_equal(command(fd, TAG_PLAIN, CC_GET_CAPABILITY, p, sizeof p), 0);
    return u32(answer + HEADER + 5);
}

/* ---- the imitation ---- */

static void objects_have_numbers_of_their_own(void **state)
{
    (void)state;
    int a = device(), b = device();
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(make_object(a), 0);
        assert_int_equal(made(), 0x80FFFFFF - i);
    }
    assert_int_equal(make_object(b), 0);
    assert_int_equal(made(), 0x80FFFFFF);
    assert_int_equal(swtpm_handles(&fx.tpm, 0x80), 0); /* in no slot between commands */
    assert_int_equal(count_handles(a, 0x80000000), 2);
    assert_int_equal(u32(answer + HEADER + 9), 0x80FFFFFF);
    assert_int_equal(count_handles(b, 0x80000000), 1);
    assert_int_equal(with_handle(a, CC_READ_PUBLIC, 0x80FFFFFE), 0);
    assert_int_equal(with_handle(b, CC_READ_PUBLIC, 0x80FFFFFE), -EINVAL);
    assert_int_equal(with_handle(a, CC_READ_PUBLIC, 0x80000000), -EINVAL);
    assert_int_equal(with_handle(a, CC_FLUSH_CONTEXT, 0x80FFFFFF), 0);
    assert_int_equal(count_handles(a, 0x80000000), 1);
    assert_int_equal(with_handle(a, CC_READ_PUBLIC, 0x80FFFFFF), -EINVAL);
    assert_int_equal(with_handle(a, CC_READ_PUBLIC, 0x80FFFFFE), 0);
    assert_int_equal(make_object(a), 0);
    assert_int_equal(made(), 0x80FFFFFF); /* the free place */
    close(a);
    close(b);
}

static void the_fourth_is_refused(void **state)
{
    (void)state;
    int fd = device();
    for (int i = 0; i < 3; i++)
        assert_int_equal(make_object(fd), 0);
    assert_int_equal(make_object(fd), -ENOMEM);
    assert_int_equal(count_handles(fd, 0x80000000), 3);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(with_handle(fd, CC_FLUSH_CONTEXT, 0x80FFFFFF - i), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(start_session(fd), 0);
    assert_int_equal(start_session(fd), -ENOMEM);
    assert_int_equal(swtpm_handles(&fx.tpm, 0x02) + swtpm_handles(&fx.tpm, 0x03), 0);
    assert_int_equal(start_session(fd), 0); /* they went with the refusal */
    close(fd);
}

static void sessions_are_saved_and_end_with_the_client(void **state)
{
    (void)state;
    int a = device(), b = device();
    assert_int_equal(start_session(a), 0);
    uint32_t session = made();
    assert_int_equal(session >> 24, 2);
    assert_int_equal(swtpm_handles(&fx.tpm, 0x02), 0);
    assert_int_equal(swtpm_handles(&fx.tpm, 0x03), 1);
    assert_int_equal(count_handles(b, 0x03000000), 1); /* seen by everybody, as the kernel has it */
    assert_int_equal(start_session(a), 0);
    assert_int_equal(with_handle(a, CC_FLUSH_CONTEXT, session), 0);
    assert_int_equal(swtpm_handles(&fx.tpm, 0x03), 1);
    close(a);
    for (int i = 0; i < 500 && swtpm_handles(&fx.tpm, 0x03) != 0; i++)
        sleep_ms(10);
    assert_int_equal(swtpm_handles(&fx.tpm, 0x03), 0);
    close(b);
}

static void unknown_commands(void **state)
{
    (void)state;
    int fd = device();
    assert_int_equal(command(fd, TAG_PLAIN, 0x2FF, "", 0), 0xB0143);
    assert_int_equal(command(fd, TAG_PLAIN, CC_GET_RANDOM, "\0\x08", 2), 0);
    close(fd);
}

/* The context gap (TPM 2.0 part 1, 30.6): why no session may be left idle. One client's idle
 * session takes the other's away after 65,532 saves. */
static void an_idle_session_hurts_others(void **state)
{
    (void)state;
    if (!long_run())
        skip();
    int idle = device(), busy = device();
    assert_int_equal(start_session(idle), 0);
    assert_int_equal(start_session(busy), 0);
    unsigned long before = resource_manager_session_saves(), saves;
    while (command(busy, TAG_PLAIN, CC_GET_RANDOM, "\0\x08", 2) == 0)
        ;
    saves = resource_manager_session_saves() - before;
    assert_int_equal(command(busy, TAG_PLAIN, CC_GET_RANDOM, "\0\x08", 2), 0);
    assert_in_range(saves, 65500, 65536);
    figure(saves, "saves of a session until another that is idle forbids the next");
    close(idle);
    close(busy);
}

/* ---- the module ---- */

/* A client that fills the TPM with what it never uses does not keep the module from its work. */
static void beside_a_greedy_client(void **state)
{
    (void)state;
    int fd[8];
    for (size_t i = 0; i < COUNT(fd); i++) {
        fd[i] = device();
        for (int k = 0; k < 3; k++) {
            assert_int_equal(make_object(fd[i]), 0);
            assert_int_equal(start_session(fd[i]), 0);
        }
    }
    test_user(state);
    CK_OBJECT_HANDLE ec = keys_of(fx.session, "p256").private;
    CK_OBJECT_HANDLE rsa = keys_of(fx.session, "rsa2048").private;
    for (int i = 0; i < 10; i++) {
        sign(fx.session, MECHANISM(CKM_ECDSA), ec, "0123456789", 10);
        sign(fx.session, MECHANISM(CKM_RSA_PKCS), rsa, "0123456789", 10);
        generate_ec(fx.session, NID_X9_62_prime256v1, "beside it", false);
    }
    test_end(state);
    for (size_t i = 0; i < COUNT(fd); i++)
        close(fd[i]);
}

static int start(void **state)
{
    group_keys(state);
    snprintf(path, sizeof path, "%s.rm", fx.tpm.socket);
    transport_use(TRANSPORT_KERNEL);
    return 0;
}

static int stop(void **state)
{
    transports_stop();
    return group_end(state);
}

static int settled(void **state)
{
    (void)state;
    transport_settle(TRANSPORT_KERNEL);
    return swtpm_handles(&fx.tpm, 0x80) + swtpm_handles(&fx.tpm, 0x02) +
                       swtpm_handles(&fx.tpm, 0x03) ==
                   0
               ? 0
               : -1;
}

#define MANAGER_TEST(f) cmocka_unit_test_teardown(f, settled)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MANAGER_TEST(objects_have_numbers_of_their_own),
        MANAGER_TEST(the_fourth_is_refused),
        MANAGER_TEST(sessions_are_saved_and_end_with_the_client),
        MANAGER_TEST(unknown_commands),
        MANAGER_TEST(an_idle_session_hurts_others),
        MANAGER_TEST(beside_a_greedy_client),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
