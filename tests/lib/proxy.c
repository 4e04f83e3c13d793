#include "proxy.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MESSAGE_SIZE 4096
#define MAX_CLIENTS  64
#define TPM_RC_RETRY 0x922

struct exchange {
    uint32_t code, rc;
    size_t request_size, response_size;
    uint8_t request[MESSAGE_SIZE], response[MESSAGE_SIZE];
};

/* The recording and the fault are shared with the proxy's thread under lock; the rest is set
 * before the thread starts. */
static struct {
    pthread_t thread;
    struct swtpm *tpm;
    char path[104], control_path[112];
    int listener, control, wake[2];
    pthread_mutex_t lock;
    struct exchange *log;
    size_t count, room;
    enum proxy_fault fault;
    uint32_t fault_code, fault_value;
    unsigned fault_nth, fault_times, struck;
    bool vanished, silent;
} proxy = {.lock = PTHREAD_MUTEX_INITIALIZER};

static const struct {
    uint32_t code;
    const char *name;
} command_names[] = {
    {0x11F, "NV_UndefineSpaceSpecial"},
    {0x120, "EvictControl"},
    {0x122, "NV_UndefineSpace"},
    {0x126, "Clear"},
    {0x129, "HierarchyChangeAuth"},
    {0x12A, "NV_DefineSpace"},
    {0x131, "CreatePrimary"},
    {0x137, "NV_Write"},
    {0x138, "NV_WriteLock"},
    {0x139, "DictionaryAttackLockReset"},
    {0x13A, "DictionaryAttackParameters"},
    {0x13B, "NV_ChangeAuth"},
    {0x13E, "SequenceComplete"},
    {0x144, "Startup"},
    {0x145, "Shutdown"},
    {0x14E, "NV_Read"},
    {0x150, "ObjectChangeAuth"},
    {0x151, "PolicySecret"},
    {0x153, "Create"},
    {0x154, "ECDH_ZGen"},
    {0x155, "HMAC"},
    {0x156, "Import"},
    {0x157, "Load"},
    {0x159, "RSA_Decrypt"},
    {0x15B, "HMAC_Start"},
    {0x15C, "SequenceUpdate"},
    {0x15D, "Sign"},
    {0x15E, "Unseal"},
    {0x160, "PolicySigned"},
    {0x161, "ContextLoad"},
    {0x162, "ContextSave"},
    {0x164, "EncryptDecrypt"},
    {0x165, "FlushContext"},
    {0x167, "LoadExternal"},
    {0x169, "NV_ReadPublic"},
    {0x16B, "PolicyAuthValue"},
    {0x16C, "PolicyCommandCode"},
    {0x171, "PolicyOR"},
    {0x173, "ReadPublic"},
    {0x176, "StartAuthSession"},
    {0x17A, "GetCapability"},
    {0x17B, "GetRandom"},
    {0x18A, "TestParms"},
    {0x18C, "PolicyPassword"},
    {0x191, "CreateLoaded"},
    {0x193, "EncryptDecrypt2"},
};

const char *tpm_command_name(uint32_t code)
{
    static _Thread_local char number[16];
    for (size_t i = 0; i < sizeof command_names / sizeof *command_names; i++)
        if (command_names[i].code == code)
            return command_names[i].name;
    snprintf(number, sizeof number, "0x%x", code);
    return number;
}

static uint32_t u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void record(const struct exchange *e)
{
    pthread_mutex_lock(&proxy.lock);
    if (proxy.count == proxy.room) {
        proxy.room = proxy.room == 0 ? 64 : 2 * proxy.room;
        proxy.log = realloc(proxy.log, proxy.room * sizeof *proxy.log);
        if (proxy.log == NULL)
            abort();
    }
    proxy.log[proxy.count++] = *e;
    pthread_mutex_unlock(&proxy.lock);
}

/* Which fault this command gets, if any. */
static enum proxy_fault take_fault(uint32_t code, uint32_t *value)
{
    enum proxy_fault fault = PROXY_NO_FAULT;
    pthread_mutex_lock(&proxy.lock);
    proxy.silent = false;
    bool meant = proxy.fault_code == 0 || proxy.fault_code == code;
    if (meant && proxy.fault_nth > 1) {
        proxy.fault_nth--;
    } else if (meant && proxy.fault != PROXY_NO_FAULT) {
        fault = proxy.fault;
        *value = proxy.fault_value;
        proxy.struck++;
        proxy.vanished = fault == PROXY_VANISH;
        proxy.silent = fault == PROXY_MUTE || fault == PROXY_STALL;
        if (proxy.fault_times != PROXY_FOR_EVER && --proxy.fault_times == 0)
            proxy.fault = PROXY_NO_FAULT;
    }
    pthread_mutex_unlock(&proxy.lock);
    return fault;
}

bool proxy_silent(void)
{
    pthread_mutex_lock(&proxy.lock);
    bool is = proxy.silent;
    pthread_mutex_unlock(&proxy.lock);
    return is;
}

static bool vanished(void)
{
    pthread_mutex_lock(&proxy.lock);
    bool is = proxy.vanished;
    pthread_mutex_unlock(&proxy.lock);
    return is;
}

static void put_u32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static void error_response(struct exchange *e, uint32_t rc)
{
    static const uint8_t head[] = {0x80, 0x01, 0, 0, 0, 10};
    memcpy(e->response, head, sizeof head);
    put_u32(e->response + 6, rc);
    e->response_size = 10;
}

/* The answer has n bytes now, and says so. */
static void resize(struct exchange *e, size_t n)
{
    if (n > e->response_size)
        memset(e->response + e->response_size, 0x5A, n - e->response_size);
    e->response_size = n;
    put_u32(e->response + 2, (uint32_t)n);
}

static void spoil(struct exchange *e, enum proxy_fault fault, uint32_t value)
{
    size_t n = e->response_size;
    switch (fault) {
    case PROXY_DELAY:
        sleep_ms(value);
        break;
    case PROXY_CORRUPT:
        e->response[n - 1] ^= 0xFF;
        break;
    case PROXY_GARBAGE:
        memset(e->response, 0xA5, 10);
        e->response_size = 10;
        break;
    case PROXY_SHORT:
        resize(e, n > 10 ? 10 + (n - 10) / 2 : n);
        break;
    case PROXY_LONG:
        resize(e, n + value < sizeof e->response ? n + value : n);
        break;
    case PROXY_TRUNCATE:
    case PROXY_STALL:
        e->response_size = n / 2;
        break;
    case PROXY_MUTE:
        e->response_size = 0;
        break;
    case PROXY_SIZE:
        put_u32(e->response + 2, value);
        break;
    default:
        break;
    }
}

/* Fills the exchange's response; false: hang up on the client. */
static bool answer(struct exchange *e)
{
    uint32_t value = 0;
    enum proxy_fault fault = take_fault(e->code, &value);
    if (fault == PROXY_DROP || fault == PROXY_VANISH)
        return false;
    if (fault == PROXY_ERROR) {
        error_response(e, value);
        return true;
    }
    if (fault == PROXY_RESET)
        swtpm_reset(proxy.tpm);
    if (fault == PROXY_POWER_CUT)
        swtpm_power_cut(proxy.tpm);
    e->response_size = swtpm_exchange(proxy.tpm->socket, e->request, e->request_size, e->response,
                                      sizeof e->response);
    if (e->response_size > 0)
        spoil(e, fault, value);
    return fault == PROXY_MUTE || (fault != PROXY_DROP_ANSWER && e->response_size > 0);
}

/* One command of a client; false when the connection is to be closed. */
static bool serve_command(int fd)
{
    static struct exchange e; /* the proxy's thread is the one user */
    if (!read_fully(fd, e.request, 10))
        return false;
    e.request_size = u32(e.request + 2);
    if (e.request_size < 10 || e.request_size > sizeof e.request ||
        !read_fully(fd, e.request + 10, e.request_size - 10))
        return false;
    e.code = u32(e.request + 6);
    e.rc = 0;
    e.response_size = 0;
    bool alive = answer(&e);
    if (e.response_size >= 10)
        e.rc = u32(e.response + 6);
    record(&e);
    /* what is less than it says is followed by nothing */
    return alive && write_fully(fd, e.response, e.response_size) &&
           (u32(e.response + 2) == e.response_size || proxy_silent());
}

/* Control messages are one datagram-like request and one answer; passed on unread. */
static bool serve_control(int fd)
{
    char path[112];
    uint8_t message[MESSAGE_SIZE];
    ssize_t n = read(fd, message, sizeof message);
    snprintf(path, sizeof path, "%s.ctrl", proxy.tpm->socket);
    int tpm = n > 0 ? unix_connect(path) : -1;
    if (tpm < 0)
        return false;
    bool alive = write_fully(tpm, message, (size_t)n) &&
                 (n = read(tpm, message, sizeof message)) > 0 &&
                 write_fully(fd, message, (size_t)n);
    close(tpm);
    return alive;
}

/* Single-threaded on purpose: a TPM answers one command at a time as well. */
static void *proxy_main(void *unused)
{
    (void)unused;
    struct pollfd fds[3 + MAX_CLIENTS] = {
        {proxy.wake[0], POLLIN, 0}, {proxy.listener, POLLIN, 0}, {proxy.control, POLLIN, 0}};
    bool is_control[3 + MAX_CLIENTS] = {false};
    nfds_t n = 3;
    for (;;) {
        if (poll(fds, n, -1) < 0)
            continue;
        if (fds[0].revents != 0)
            break;
        for (nfds_t i = n; i-- > 3;) {
            if (fds[i].revents == 0 || (!vanished() && (is_control[i] ? serve_control(fds[i].fd)
                                                                      : serve_command(fds[i].fd))))
                continue;
            close(fds[i].fd);
            n--;
            fds[i] = fds[n];
            is_control[i] = is_control[n];
        }
        for (nfds_t i = 1; i < 3 && n < 3 + MAX_CLIENTS; i++)
            if (fds[i].revents != 0) {
                is_control[n] = i == 2;
                fds[n++] = (struct pollfd){accept(fds[i].fd, NULL, NULL), POLLIN, 0};
            }
    }
    for (nfds_t i = 1; i < n; i++)
        close(fds[i].fd);
    return NULL;
}

void proxy_start(struct swtpm *t, const char *path)
{
    proxy.tpm = t;
    snprintf(proxy.path, sizeof proxy.path, "%s", path);
    snprintf(proxy.control_path, sizeof proxy.control_path, "%s.ctrl", path);
    proxy.listener = unix_listen(proxy.path);
    proxy.control = unix_listen(proxy.control_path);
    if (pipe2(proxy.wake, O_CLOEXEC) != 0 ||
        pthread_create(&proxy.thread, NULL, proxy_main, NULL) != 0) {
        perror("proxy");
        exit(EXIT_FAILURE);
    }
}

void proxy_stop(void)
{
    close(proxy.wake[1]);
    pthread_join(proxy.thread, NULL);
    close(proxy.wake[0]);
    free(proxy.log);
    proxy.log = NULL;
    proxy.count = proxy.room = 0;
}

void proxy_clear(void)
{
    pthread_mutex_lock(&proxy.lock);
    proxy.count = 0;
    pthread_mutex_unlock(&proxy.lock);
}

unsigned proxy_count_of(uint32_t code)
{
    unsigned n = 0;
    pthread_mutex_lock(&proxy.lock);
    for (size_t i = 0; i < proxy.count; i++)
        n += proxy.log[i].rc != TPM_RC_RETRY && (code == 0 || proxy.log[i].code == code);
    pthread_mutex_unlock(&proxy.lock);
    return n;
}

unsigned proxy_count(void)
{
    return proxy_count_of(0);
}

void proxy_print(const char *step)
{
    pthread_mutex_lock(&proxy.lock);
    printf("%-40s %2zu:", step, proxy.count);
    for (size_t i = 0; i < proxy.count; i++) {
        printf(" %s", tpm_command_name(proxy.log[i].code));
        if (proxy.log[i].rc != 0)
            printf("(0x%x)", proxy.log[i].rc);
    }
    printf("\n");
    pthread_mutex_unlock(&proxy.lock);
    fflush(stdout);
}

bool proxy_carries(const void *p, size_t n)
{
    bool found = false;
    pthread_mutex_lock(&proxy.lock);
    for (size_t i = 0; i < proxy.count && !found; i++)
        found = memmem(proxy.log[i].request, proxy.log[i].request_size, p, n) != NULL ||
                memmem(proxy.log[i].response, proxy.log[i].response_size, p, n) != NULL;
    pthread_mutex_unlock(&proxy.lock);
    return found;
}

void proxy_fault_times(enum proxy_fault kind, uint32_t code, unsigned nth, uint32_t value,
                       unsigned times)
{
    pthread_mutex_lock(&proxy.lock);
    proxy.fault = kind;
    proxy.fault_code = code;
    proxy.fault_nth = nth;
    proxy.fault_value = value;
    proxy.fault_times = times;
    proxy.struck = 0;
    proxy.vanished = proxy.silent = false;
    pthread_mutex_unlock(&proxy.lock);
}

void proxy_fault(enum proxy_fault kind, uint32_t code, unsigned nth, uint32_t value)
{
    proxy_fault_times(kind, code, nth, value, 1);
}

unsigned proxy_fault_strikes(void)
{
    pthread_mutex_lock(&proxy.lock);
    unsigned struck = proxy.struck;
    pthread_mutex_unlock(&proxy.lock);
    return struck;
}

bool proxy_fault_struck(void)
{
    return proxy_fault_strikes() > 0;
}

void proxy_leads_to(struct swtpm *t)
{
    pthread_mutex_lock(&proxy.lock);
    proxy.tpm = t;
    pthread_mutex_unlock(&proxy.lock);
}
