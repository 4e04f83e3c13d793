#include "swtpm.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TPM_RESPONSE_SIZE 4096
#define TPM_HEADER_SIZE   10
#define TPM_RC_INITIALIZE 0x100 /* TPM2_Startup was sent already */
#define TPM_RH_OWNER      0x40000001U
#define TPM_RH_LOCKOUT    0x4000000AU
#define TPM_RH_PLATFORM   0x4000000CU

static void die(const char *what)
{
    fprintf(stderr, "swtpm: %s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

void sleep_ms(unsigned ms)
{
    nanosleep(&(struct timespec){ms / 1000, (long)(ms % 1000) * 1000000L}, NULL);
}

static struct sockaddr_un unix_address(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        die(path);
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    return address;
}

int unix_connect(const char *path)
{
    struct sockaddr_un address = unix_address(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

int unix_listen(const char *path)
{
    struct sockaddr_un address = unix_address(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    unlink(path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 64) != 0)
        die(path);
    return fd;
}

bool read_fully(int fd, void *p, size_t n)
{
    for (uint8_t *at = p; n > 0;) {
        ssize_t got = read(fd, at, n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        at += got;
        n -= (size_t)got;
    }
    return true;
}

bool write_fully(int fd, const void *p, size_t n)
{
    for (const uint8_t *at = p; n > 0;) {
        ssize_t put = send(fd, at, n, MSG_NOSIGNAL);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return false;
        at += put;
        n -= (size_t)put;
    }
    return true;
}

static void put_u32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static uint32_t get_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

size_t swtpm_exchange(const char *socket, const uint8_t *request, size_t n, uint8_t *response,
                      size_t size)
{
    size_t length = 0;
    int fd = unix_connect(socket);
    if (fd < 0)
        return 0;
    if (write_fully(fd, request, n) && read_fully(fd, response, TPM_HEADER_SIZE)) {
        length = get_u32(response + 2);
        if (length < TPM_HEADER_SIZE || length > size ||
            !read_fully(fd, response + TPM_HEADER_SIZE, length - TPM_HEADER_SIZE))
            length = 0;
    }
    close(fd);
    return length;
}

/* A command without sessions: code and parameters. Returns the response code, ~0 without answer. */
static uint32_t plain_command(struct swtpm *t, uint32_t code, const uint8_t *parameters, size_t n,
                              uint8_t *response)
{
    uint8_t request[64] = {0x80, 0x01};
    put_u32(request + 2, (uint32_t)(TPM_HEADER_SIZE + n));
    put_u32(request + 6, code);
    memcpy(request + TPM_HEADER_SIZE, parameters, n);
    size_t length =
        swtpm_exchange(t->socket, request, TPM_HEADER_SIZE + n, response, TPM_RESPONSE_SIZE);
    return length == 0 ? UINT32_MAX : get_u32(response + 6);
}

/* A command authorized by the empty password of a hierarchy. */
static void hierarchy_command(struct swtpm *t, const char *name, uint32_t code, uint32_t hierarchy,
                              const uint32_t *parameters, size_t n)
{
    static const uint8_t empty_password[] = {0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0};
    uint8_t request[64] = {0x80, 0x02};
    size_t length = TPM_HEADER_SIZE + 4 + sizeof empty_password + 4 * n;
    put_u32(request + 2, (uint32_t)length);
    put_u32(request + 6, code);
    put_u32(request + 10, hierarchy);
    memcpy(request + 14, empty_password, sizeof empty_password);
    for (size_t i = 0; i < n; i++)
        put_u32(request + 14 + sizeof empty_password + 4 * i, parameters[i]);
    uint8_t response[TPM_RESPONSE_SIZE];
    if (swtpm_exchange(t->socket, request, length, response, sizeof response) == 0 ||
        get_u32(response + 6) != 0) {
        fprintf(stderr, "swtpm: %s answered 0x%x\n", name, get_u32(response + 6));
        exit(EXIT_FAILURE);
    }
}

static void startup(struct swtpm *t)
{
    uint8_t response[TPM_RESPONSE_SIZE];
    for (int i = 0; i < 1000; i++) {
        uint32_t rc = plain_command(t, 0x144, (uint8_t[]){0, 0}, 2, response);
        if (rc == 0 || rc == TPM_RC_INITIALIZE)
            return;
        sleep_ms(5);
    }
    die("no answer to TPM2_Startup");
}

static void run_swtpm(const struct swtpm *t)
{
    char server[160], control[160], state[160];
    snprintf(server, sizeof server, "type=unixio,path=%s", t->socket);
    snprintf(control, sizeof control, "type=unixio,path=%s.ctrl", t->socket);
    snprintf(state, sizeof state, "dir=%s", t->dir);
    char log[120];
    snprintf(log, sizeof log, "%s/log", t->dir);
    if (freopen(log, "a", stderr) == NULL)
        _exit(127);
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* a test that crashes leaves no swtpm behind */
    execlp("swtpm", "swtpm", "socket", "--tpm2", "--server", server, "--ctrl", control,
           "--tpmstate", state, "--flags", "not-need-init,startup-clear", (char *)NULL);
    perror("swtpm");
    _exit(127);
}

void swtpm_restart(struct swtpm *t)
{
    t->pid = fork();
    if (t->pid < 0)
        die("fork");
    if (t->pid == 0)
        run_swtpm(t);
    startup(t);
}

void swtpm_start(struct swtpm *t, const char *dir)
{
    snprintf(t->dir, sizeof t->dir, "%s", dir);
    snprintf(t->socket, sizeof t->socket, "%s/tpm", dir);
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        die(dir);
    swtpm_restart(t);
}

void swtpm_start_copy(struct swtpm *t, const char *dir, const struct swtpm *of)
{
    char command[320];
    snprintf(command, sizeof command, "mkdir -m 700 '%s' && cp '%s'/*.permall '%s'", dir, of->dir,
             dir);
    if (system(command) != 0)
        die(command);
    swtpm_start(t, dir);
}

static void shutdown_clear(struct swtpm *t)
{
    uint8_t response[TPM_RESPONSE_SIZE];
    plain_command(t, 0x145, (uint8_t[]){0, 0}, 2, response);
}

static void end_process(struct swtpm *t, int signal)
{
    kill(t->pid, signal);
    while (waitpid(t->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    t->pid = 0;
    unlink(t->socket);
}

void swtpm_kill(struct swtpm *t)
{
    if (t->pid != 0)
        end_process(t, SIGKILL);
}

void swtpm_stop(struct swtpm *t)
{
    if (t->pid == 0)
        return;
    shutdown_clear(t);
    end_process(t, SIGTERM);
}

/* CMD_INIT of swtpm's control channel: the TPM's reset line. */
void swtpm_power_cut(struct swtpm *t)
{
    static const uint8_t init[] = {0, 0, 0, 2, 0, 0, 0, 0};
    uint8_t result[4] = {1};
    char control[112];
    snprintf(control, sizeof control, "%s.ctrl", t->socket);
    int fd = unix_connect(control);
    if (fd < 0 || !write_fully(fd, init, sizeof init) || !read_fully(fd, result, sizeof result) ||
        get_u32(result) != 0)
        die("CMD_INIT");
    close(fd);
    startup(t);
}

void swtpm_reset(struct swtpm *t)
{
    shutdown_clear(t);
    swtpm_power_cut(t);
}

void swtpm_clear(struct swtpm *t)
{
    hierarchy_command(t, "TPM2_Clear", 0x126, TPM_RH_PLATFORM, NULL, 0);
}

void swtpm_set_owner_auth(struct swtpm *t)
{
    const uint32_t two_bytes = 0x00026F77; /* TPM2B_AUTH */
    hierarchy_command(t, "TPM2_HierarchyChangeAuth", 0x129, TPM_RH_OWNER, &two_bytes, 1);
}

void swtpm_set_lockout(struct swtpm *t, uint32_t max_tries, uint32_t interval, uint32_t recovery)
{
    hierarchy_command(t, "TPM2_DictionaryAttackParameters", 0x13A, TPM_RH_LOCKOUT,
                      (uint32_t[]){max_tries, interval, recovery}, 3);
}

void swtpm_reset_lockout(struct swtpm *t)
{
    hierarchy_command(t, "TPM2_DictionaryAttackLockReset", 0x139, TPM_RH_LOCKOUT, NULL, 0);
}

/* TPM2_GetCapability; the answer is header, moreData, capability, count, items. */
static uint32_t capability(struct swtpm *t, uint32_t capability, uint32_t first, uint32_t count,
                           uint8_t *response)
{
    uint8_t parameters[12];
    put_u32(parameters, capability);
    put_u32(parameters + 4, first);
    put_u32(parameters + 8, count);
    if (plain_command(t, 0x17A, parameters, sizeof parameters, response) != 0)
        die("TPM2_GetCapability");
    return get_u32(response + TPM_HEADER_SIZE + 5);
}

uint32_t swtpm_lockout_counter(struct swtpm *t)
{
    uint8_t response[TPM_RESPONSE_SIZE];
    capability(t, 6, 0x20E, 1, response);
    return get_u32(response + TPM_HEADER_SIZE + 13);
}

unsigned swtpm_handles(struct swtpm *t, uint8_t kind)
{
    uint8_t response[TPM_RESPONSE_SIZE];
    return capability(t, 1, (uint32_t)kind << 24, 128, response);
}
