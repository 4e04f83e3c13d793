#include "resource_manager.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEADER       10
#define MESSAGE_SIZE 4096
#define CONTEXT_SIZE 2048
#define MAX_CLIENTS  64
#define MAX_COMMANDS 256

enum { OBJECTS = 3, SESSIONS = 3, FIRST_HANDLE = 0xFFFFFF };
enum { HT_HMAC_SESSION = 0x02, HT_POLICY_SESSION = 0x03, HT_TRANSIENT = 0x80 };
enum {
    CC_START_AUTH_SESSION = 0x176,
    CC_CONTEXT_LOAD = 0x161,
    CC_CONTEXT_SAVE = 0x162,
    CC_FLUSH_CONTEXT = 0x165,
    CC_GET_CAPABILITY = 0x17A,
};
enum { RC_REFERENCE_H0 = 0x910, RC_HANDLE = 0x08B, RC_NO_COMMAND = 0xB0143 };

struct message {
    size_t n;
    uint8_t p[MESSAGE_SIZE];
};

struct context {
    size_t n; /* 0: the slot is free */
    uint8_t p[CONTEXT_SIZE];
};

struct space {
    struct context object[OBJECTS], session[SESSIONS];
    uint32_t session_handle[SESSIONS];
};

/* A space during a command: a copy, which takes the space's place when all went well. */
struct work {
    int tpm; /* one connection a command: swtpm serves one at a time, so nobody comes between */
    struct space space;
    uint32_t loaded[OBJECTS]; /* the TPM's handles of the objects; 0: free */
};

struct client {
    int fd;
    struct space *space;
};

static struct {
    pthread_t thread;
    struct swtpm *tpm;
    int listener, wake[2];
    struct client client[MAX_CLIENTS];
    size_t clients;
    uint32_t command[MAX_COMMANDS]; /* TPMA_CC of what the TPM has */
    size_t commands;
    _Atomic unsigned connected, errors;
    _Atomic unsigned long session_saves;
} rm;

static uint32_t u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put_u32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static unsigned kind_of(uint32_t handle)
{
    return handle >> 24;
}

static bool is_session(uint32_t handle)
{
    return kind_of(handle) == HT_HMAC_SESSION || kind_of(handle) == HT_POLICY_SESSION;
}

/* ---- the TPM ---- */

/* The answer takes the command's place. 0 or an errno. */
static int exchange(int tpm, struct message *m)
{
    if (tpm < 0 || !write_fully(tpm, m->p, m->n) || !read_fully(tpm, m->p, HEADER))
        return EIO;
    m->n = u32(m->p + 2);
    if (m->n < HEADER || m->n > sizeof m->p || !read_fully(tpm, m->p + HEADER, m->n - HEADER))
        return EIO;
    return 0;
}

static void set_command(struct message *m, uint32_t code, const void *parameters, size_t n)
{
    m->p[0] = 0x80;
    m->p[1] = 0x01;
    m->n = HEADER + n;
    put_u32(m->p + 2, (uint32_t)m->n);
    put_u32(m->p + 6, code);
    memcpy(m->p + HEADER, parameters, n);
}

/* One of the manager's own commands, about a handle. The TPM's answer, or UINT32_MAX. */
static uint32_t handle_command(int tpm, uint32_t code, uint32_t handle, struct message *ret)
{
    uint8_t be[4];
    put_u32(be, handle);
    set_command(ret, code, be, sizeof be);
    return exchange(tpm, ret) == 0 ? u32(ret->p + 6) : UINT32_MAX;
}

static void flush(int tpm, uint32_t handle)
{
    struct message m;
    handle_command(tpm, CC_FLUSH_CONTEXT, handle, &m);
}

/* TPMA_CC of each command (TPM 2.0 part 2, 8.9): bits 0 to 15 the index, 25 to 27 the number of
 * handles, 28 that the response has one. */
static void learn_commands(void)
{
    struct message m;
    uint8_t parameters[12] = {0, 0, 0, 2, 0, 0, 0x01, 0x1F, 0, 0, 0, MAX_COMMANDS - 1};
    set_command(&m, CC_GET_CAPABILITY, parameters, sizeof parameters);
    int tpm = unix_connect(rm.tpm->socket);
    if (exchange(tpm, &m) != 0 || u32(m.p + 6) != 0) {
        fprintf(stderr, "resource manager: the TPM does not list its commands\n");
        exit(EXIT_FAILURE);
    }
    close(tpm);
    rm.commands = u32(m.p + HEADER + 5);
    for (size_t i = 0; i < rm.commands; i++)
        rm.command[i] = u32(m.p + HEADER + 9 + 4 * i);
}

static bool find_command(uint32_t code, unsigned *handles, bool *makes)
{
    for (size_t i = 0; i < rm.commands; i++)
        if ((rm.command[i] & 0xFFFF) == code) {
            /* these two have the handle as a parameter, in the same place */
            bool parameter = code == CC_FLUSH_CONTEXT || code == CC_CONTEXT_SAVE;
            *handles = parameter ? 1 : rm.command[i] >> 25 & 7;
            *makes = rm.command[i] >> 28 & 1;
            return true;
        }
    return false;
}

/* ---- before a command ---- */

/* The TPM's answer; *ret the handle. */
static uint32_t load(int tpm, const struct context *c, uint32_t *ret)
{
    struct message m;
    set_command(&m, CC_CONTEXT_LOAD, c->p, c->n);
    if (exchange(tpm, &m) != 0)
        return UINT32_MAX;
    *ret = u32(m.p + HEADER);
    return u32(m.p + 6);
}

static int load_space(struct work *w)
{
    struct space *s = &w->space;
    uint32_t handle;
    for (int i = 0; i < OBJECTS; i++)
        if (s->object[i].n && load(w->tpm, &s->object[i], &w->loaded[i]) != 0)
            return EFAULT;
    for (int i = 0; i < SESSIONS; i++) {
        uint32_t rc = s->session_handle[i] ? load(w->tpm, &s->session[i], &handle) : 0;
        if (rc == RC_REFERENCE_H0 || (rc & 0xBF) == RC_HANDLE)
            s->session_handle[i] = 0;
        else if (rc != 0)
            return EFAULT;
    }
    return 0;
}

static int free_object(const struct work *w)
{
    for (int i = 0; i < OBJECTS; i++)
        if (!w->loaded[i])
            return i;
    return -1;
}

static int free_session(const struct work *w)
{
    for (int i = 0; i < SESSIONS; i++)
        if (!w->space.session_handle[i])
            return i;
    return -1;
}

/* Is there a slot for what the command makes? The kernel asks only afterwards; swtpm's own three
 * slots would be full before that. */
static bool has_room(const struct work *w, uint32_t code, const struct message *m)
{
    bool session = code == CC_START_AUTH_SESSION ||
                   /* a TPMS_CONTEXT says after its sequence what it was */
                   (code == CC_CONTEXT_LOAD && m->n >= HEADER + 12 && is_session(u32(m->p + 18)));
    return session ? free_session(w) >= 0 : free_object(w) >= 0;
}

static int map_command(const struct work *w, unsigned handles, struct message *m)
{
    for (unsigned i = 0; i < handles && HEADER + 4 * i + 4 <= m->n; i++) {
        uint8_t *at = m->p + HEADER + 4 * i;
        uint32_t slot = FIRST_HANDLE - (u32(at) & 0xFFFFFF);
        if (kind_of(u32(at)) != HT_TRANSIENT)
            continue;
        if (slot >= OBJECTS || !w->loaded[slot])
            return EINVAL;
        put_u32(at, w->loaded[slot]);
    }
    return 0;
}

/* ---- after it ---- */

static uint32_t virtual_handle(int slot)
{
    return (uint32_t)HT_TRANSIENT << 24 | (uint32_t)(FIRST_HANDLE - slot);
}

static int map_made(struct work *w, struct message *m)
{
    uint8_t *at = m->p + HEADER;
    int slot = kind_of(u32(at)) == HT_TRANSIENT ? free_object(w) : free_session(w);
    if (slot < 0) {
        flush(w->tpm, u32(at));
        return ENOMEM;
    }
    if (kind_of(u32(at)) == HT_TRANSIENT) {
        w->loaded[slot] = u32(at);
        put_u32(at, virtual_handle(slot));
    } else {
        w->space.session_handle[slot] = u32(at);
    }
    return 0;
}

/* TPM2_GetCapability's list of handles: moreData, capability, count, handles. */
static void map_list(const struct work *w, struct message *m)
{
    uint32_t n = 0, count = u32(m->p + HEADER + 5);
    uint8_t *list = m->p + HEADER + 9;
    if (m->n < HEADER + 9 || u32(m->p + HEADER + 1) != 1 || m->n != HEADER + 9 + 4 * count)
        return;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t handle = u32(list + 4 * i);
        int slot = 0;
        while (slot < OBJECTS && w->loaded[slot] != handle)
            slot++;
        if (kind_of(handle) == HT_TRANSIENT && slot == OBJECTS)
            continue;
        put_u32(list + 4 * n++, kind_of(handle) == HT_TRANSIENT ? virtual_handle(slot) : handle);
    }
    m->n = HEADER + 9 + 4 * n;
    put_u32(m->p + 2, (uint32_t)m->n);
    put_u32(m->p + HEADER + 5, n);
}

static uint32_t save(int tpm, uint32_t handle, struct context *ret)
{
    struct message m;
    uint32_t rc = handle_command(tpm, CC_CONTEXT_SAVE, handle, &m);
    ret->n = rc == 0 && m.n - HEADER <= sizeof ret->p ? m.n - HEADER : 0;
    memcpy(ret->p, m.p + HEADER, ret->n);
    return rc == 0 && ret->n == 0 ? UINT32_MAX : rc;
}

static int save_space(struct work *w)
{
    struct space *s = &w->space;
    for (int i = 0; i < OBJECTS; i++) {
        uint32_t rc = w->loaded[i] ? save(w->tpm, w->loaded[i], &s->object[i]) : RC_REFERENCE_H0;
        if (rc == RC_REFERENCE_H0)
            s->object[i].n = 0;
        else if (rc != 0)
            return EFAULT;
        else
            flush(w->tpm, w->loaded[i]);
        w->loaded[i] = 0;
    }
    for (int i = 0; i < SESSIONS; i++) {
        if (!s->session_handle[i])
            continue;
        uint32_t rc = save(w->tpm, s->session_handle[i], &s->session[i]);
        atomic_fetch_add(&rm.session_saves, 1);
        if (rc == RC_REFERENCE_H0)
            s->session_handle[i] = 0;
        else if (rc != 0)
            return EFAULT;
    }
    return 0;
}

/* ---- a command ---- */

static void flush_space(struct work *w)
{
    for (int i = 0; i < OBJECTS; i++)
        if (w->loaded[i])
            flush(w->tpm, w->loaded[i]);
    for (int i = 0; i < SESSIONS; i++)
        if (w->space.session_handle[i])
            flush(w->tpm, w->space.session_handle[i]);
}

static int run(struct work *w, struct message *m, uint32_t code, unsigned handles, bool makes)
{
    int error = load_space(w);
    if (error == 0)
        error = map_command(w, handles, m);
    if (error == 0 && makes && !has_room(w, code, m))
        error = ENOMEM;
    if (error == 0)
        error = exchange(w->tpm, m);
    if (error == 0 && u32(m->p + 6) == 0 && makes)
        error = map_made(w, m);
    if (error == 0 && u32(m->p + 6) == 0 && code == CC_GET_CAPABILITY)
        map_list(w, m);
    return error != 0 ? error : save_space(w);
}

static void set_answer(struct message *m, uint16_t tag, uint32_t code)
{
    m->p[0] = (uint8_t)(tag >> 8);
    m->p[1] = (uint8_t)tag;
    m->n = HEADER;
    put_u32(m->p + 2, HEADER);
    put_u32(m->p + 6, code);
}

static void transmit(struct space *s, struct message *m)
{
    static struct work w; /* the manager's thread is the one user */
    unsigned handles;
    bool makes;
    uint32_t code = u32(m->p + 6);
    if (!find_command(code, &handles, &makes)) {
        set_answer(m, 0x8001, RC_NO_COMMAND);
        return;
    }
    w = (struct work){.tpm = unix_connect(rm.tpm->socket), .space = *s};
    int error = run(&w, m, code, handles, makes);
    if (error == 0) {
        *s = w.space;
    } else {
        flush_space(&w);
        atomic_fetch_add(&rm.errors, 1);
        set_answer(m, 0, (uint32_t)error);
    }
    close(w.tpm);
}

/* ---- the clients ---- */

static void add_client(int fd)
{
    struct space *s = calloc(1, sizeof *s);
    if (fd < 0 || s == NULL || rm.clients == MAX_CLIENTS) {
        free(s);
        close(fd);
        return;
    }
    rm.client[rm.clients++] = (struct client){fd, s};
    atomic_store(&rm.connected, (unsigned)rm.clients);
}

static void end_client(size_t i)
{
    struct client *c = &rm.client[i];
    int tpm = unix_connect(rm.tpm->socket);
    for (int j = 0; j < SESSIONS && tpm >= 0; j++)
        if (c->space->session_handle[j])
            flush(tpm, c->space->session_handle[j]);
    if (tpm >= 0)
        close(tpm);
    close(c->fd);
    free(c->space);
    *c = rm.client[--rm.clients];
    atomic_store(&rm.connected, (unsigned)rm.clients);
}

/* False when the client is gone, or says what no device file takes. */
static bool serve(struct client *c)
{
    static struct message m;
    if (!read_fully(c->fd, m.p, HEADER))
        return false;
    m.n = u32(m.p + 2);
    if (m.n < HEADER || m.n > sizeof m.p || !read_fully(c->fd, m.p + HEADER, m.n - HEADER))
        return false;
    transmit(c->space, &m);
    return write_fully(c->fd, m.p, m.n);
}

static void *manage(void *unused)
{
    (void)unused;
    struct pollfd fds[2 + MAX_CLIENTS];
    for (;;) {
        fds[0] = (struct pollfd){rm.wake[0], POLLIN, 0};
        fds[1] = (struct pollfd){rm.listener, POLLIN, 0};
        size_t n = rm.clients;
        for (size_t i = 0; i < n; i++)
            fds[2 + i] = (struct pollfd){rm.client[i].fd, POLLIN, 0};
        if (poll(fds, 2 + n, -1) < 0)
            continue;
        if (fds[0].revents != 0)
            break;
        for (size_t i = n; i-- > 0;) /* backwards: the last takes the place of one that ends */
            if (fds[2 + i].revents != 0 && !serve(&rm.client[i]))
                end_client(i);
        if (fds[1].revents != 0)
            add_client(accept4(rm.listener, NULL, NULL, SOCK_CLOEXEC));
    }
    return NULL;
}

void resource_manager_start(struct swtpm *t, const char *path)
{
    rm.tpm = t;
    learn_commands();
    rm.listener = unix_listen(path);
    if (pipe2(rm.wake, O_CLOEXEC) != 0 || pthread_create(&rm.thread, NULL, manage, NULL) != 0) {
        perror("resource manager");
        exit(EXIT_FAILURE);
    }
}

void resource_manager_stop(void)
{
    close(rm.wake[1]);
    pthread_join(rm.thread, NULL);
    close(rm.wake[0]);
    close(rm.listener);
    while (rm.clients > 0)
        end_client(rm.clients - 1);
}

unsigned resource_manager_clients(void)
{
    return atomic_load(&rm.connected);
}

unsigned resource_manager_errors(void)
{
    return atomic_load(&rm.errors);
}

unsigned long resource_manager_session_saves(void)
{
    return atomic_load(&rm.session_saves);
}

const char *resource_manager_tcti(const char *path)
{
    static char tcti[256];
    snprintf(tcti, sizeof tcti, "%s:%s", TCTI_KERNELRM, path);
    return tcti;
}
