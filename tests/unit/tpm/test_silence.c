/* A software TPM that takes a command and says nothing, or breaks off and stays: tpm-timeout ends
 * the wait, over a Unix socket and over TCP, and the next call connects anew. */
#include "tpm_test.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>

/* What it says before it falls silent: the header of an answer of 12 bytes, less than that, or
 * nothing. */
static const uint8_t some[] = {0x80, 0x01, 0, 0, 0, 12, 0, 0, 0, 0};
static struct {
    int listener;
    size_t says;
    unsigned commands;
} mute;

static void *be_mute(void *unused)
{
    int fd, kept[64], n = 0;
    while (n < 64 && (fd = accept(mute.listener, NULL, NULL)) >= 0) {
        uint8_t command[4096];
        kept[n++] = fd;
        if (read(fd, command, sizeof(command)) > 0)
            mute.commands++;
        send(fd, some, mute.says, MSG_NOSIGNAL); /* who only looked whether we are here is gone */
    }
    while (n > 0)
        close(kept[--n]);
    return unused;
}

static char *log_text(void)
{
    static char text[8192];
    log_setup(LOG_ERROR, NULL);
    FILE *f = fopen(fx.log, "r");
    size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
    text[n] = '\0';
    if (f)
        fclose(f);
    return text;
}

/* Two calls: each sends one command, and once more as it changes nothing. */
static void silence(char *tcti, int listener, size_t says)
{
    pthread_t thread;
    struct tpm *t;
    const struct config config = {
        .tcti = tcti, .lock_dir = fx.dir, .lock_timeout = 20, .tpm_timeout = 1};
    mute.listener = listener;
    mute.says = says;
    mute.commands = 0;
    unlink(fx.log);
    log_setup(LOG_WARN, fx.log);
    assert_int_equal(pthread_create(&thread, NULL, be_mute, NULL), 0);
    assert_ok(tpm_new(&config, &t));
    uint8_t bytes[8];
    CK_RV first = tpm_random(t, bytes, sizeof(bytes));
    CK_RV second = tpm_random(t, bytes, sizeof(bytes));
    tpm_free(&t);
    shutdown(listener, SHUT_RDWR);
    pthread_join(thread, NULL);
    close(listener);
    assert_rv(CKR_DEVICE_ERROR, first);
    assert_rv(CKR_DEVICE_ERROR, second);
    assert_int_equal(mute.commands, 4);
    assert_non_null(strstr(log_text(), says ? "talking failed" : "did not answer within 1 s"));
}

static int listen_at(const void *address, socklen_t n, int family)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, address, n), 0);
    assert_int_equal(listen(fd, 16), 0);
    return fd;
}

static void unix_socket(size_t says)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char tcti[160];
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/mute", fx.dir);
    int fd = listen_at(&address, sizeof(address), AF_UNIX);
    snprintf(tcti, sizeof(tcti), "swtpm:path=%s", address.sun_path);
    silence(tcti, fd, says);
    unlink(address.sun_path);
}

static void unix_socket_without_an_answer(void **state)
{
    (void)state;
    unix_socket(0);
}

static void unix_socket_with_half_a_header(void **state)
{
    (void)state;
    unix_socket(6);
}

static void unix_socket_with_a_header(void **state)
{
    (void)state;
    unix_socket(sizeof(some));
}

static void tcp_without_an_answer(void **state)
{
    (void)state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(address);
    char tcti[160];
    int fd = listen_at(&address, n, AF_INET);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &n), 0);
    snprintf(tcti, sizeof(tcti), "swtpm:host=127.0.0.1,port=%u", ntohs(address.sin_port));
    silence(tcti, fd, 0);
}

/* Nobody accepts, and the queue is full: connecting blocks. */
static void nobody_accepts(void **state)
{
    (void)state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char tcti[160];
    struct tpm *t;
    struct config config = {.lock_dir = fx.dir, .lock_timeout = 20, .tpm_timeout = 1};
    int queue[8];
    uint8_t bytes[8];
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/closed", fx.dir);
    int listener = listen_at(&address, sizeof(address), AF_UNIX);
    assert_int_equal(listen(listener, 1), 0);
    for (size_t i = 0; i < COUNT(queue); i++) {
        queue[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        connect(queue[i], (const struct sockaddr *)&address, sizeof(address));
    }
    snprintf(tcti, sizeof(tcti), "swtpm:path=%s", address.sun_path);
    config.tcti = tcti;
    assert_ok(tpm_new(&config, &t));
    CK_RV rv = tpm_random(t, bytes, sizeof(bytes));
    tpm_free(&t);
    for (size_t i = 0; i < COUNT(queue); i++)
        close(queue[i]);
    close(listener);
    unlink(address.sun_path);
    assert_rv(CKR_DEVICE_ERROR, rv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unix_socket_without_an_answer),
        cmocka_unit_test(unix_socket_with_half_a_header),
        cmocka_unit_test(unix_socket_with_a_header),
        cmocka_unit_test(tcp_without_an_answer),
        cmocka_unit_test(nobody_accepts),
    };
    alarm(250); /* a wait without end is what this is about */
    return cmocka_run_group_tests(tests, group_start, group_stop);
}
