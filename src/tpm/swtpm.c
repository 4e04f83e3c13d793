/* The TCTI of a software TPM. tss2's own waits without end, for a connection as for an answer,
 * opens without close-on-exec and tells nobody its descriptor. */
#include "internal.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct socket_tcti {
    TSS2_TCTI_CONTEXT_COMMON_V2 common; /* first: it is what tss2's macros see */
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)], host[256], port[8]; /* no path: TCP */
    unsigned timeout;                                                           /* seconds */
    int fd; /* -1: not within a command */
};

enum { HEADER = 10 }; /* TPM 2.0 part 1, 18.1: tag, size, code */

/* ---- the configuration --------------------------------------------------------------------- */

/* As tss2's: "swtpm:path=…" or "swtpm:host=…,port=…", each with a default. */
static TSS2_RC configure(const char *name, struct socket_tcti *ret)
{
    const struct {
        const char *key;
        char *value;
        size_t n;
    } keys[] = {{"path=", ret->path, sizeof(ret->path)},
                {"host=", ret->host, sizeof(ret->host)},
                {"port=", ret->port, sizeof(ret->port)}};
    const char *at = strchr(name, ':');
    snprintf(ret->host, sizeof(ret->host), "localhost");
    snprintf(ret->port, sizeof(ret->port), "2321");
    for (at = at ? at + 1 : ""; *at; at += *at == ',') {
        size_t i = 0, n = strcspn(at, ",");
        while (i < 3 && strncmp(at, keys[i].key, 5) != 0)
            i++;
        if (i == 3 || n - 5 >= keys[i].n)
            return TSS2_TCTI_RC_BAD_VALUE;
        memcpy(keys[i].value, at + 5, n - 5);
        keys[i].value[n - 5] = '\0';
        at += n;
    }
    return TSS2_RC_SUCCESS;
}

/* ---- the connection ------------------------------------------------------------------------ */

static void disconnect(struct socket_tcti *s)
{
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}

/* SO_SNDTIMEO bounds connect(2), too: a TPM that accepts nobody has a queue, and it is full. */
static bool connect_to(struct socket_tcti *s, int family, const void *address, socklen_t n)
{
    const struct timeval patience = {.tv_sec = s->timeout};
    s->fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s->fd < 0)
        return false;
    setsockopt(s->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    if (connect(s->fd, address, n) == 0)
        return true;
    int reason = errno;
    disconnect(s);
    errno = reason;
    return false;
}

static bool connect_tcp(struct socket_tcti *s)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *all = NULL;
    if (getaddrinfo(s->host, s->port, &hints, &all) != 0) {
        errno = EADDRNOTAVAIL;
        return false;
    }
    for (struct addrinfo *a = all; a && s->fd < 0; a = a->ai_next)
        connect_to(s, a->ai_family, a->ai_addr, a->ai_addrlen);
    freeaddrinfo(all);
    return s->fd >= 0;
}

static bool connect_unix(struct socket_tcti *s)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, s->path, sizeof(s->path));
    return connect_to(s, AF_UNIX, &address, sizeof(address));
}

/* A connection lasts for one command, as swtpm serves one at a time. */
static TSS2_RC reach(struct socket_tcti *s)
{
    if (s->fd >= 0 || (s->path[0] ? connect_unix(s) : connect_tcp(s)))
        return TSS2_RC_SUCCESS;
    log_error("the software TPM cannot be reached: %m");
    return TSS2_TCTI_RC_IO_ERROR;
}

/* ---- bytes --------------------------------------------------------------------------------- */

static bool send_all(int fd, const uint8_t *p, size_t n)
{
    while (n > 0) {
        ssize_t done = send(fd, p, n, MSG_NOSIGNAL);
        if (done < 0 && errno != EINTR)
            return false;
        p += done > 0 ? done : 0;
        n -= done > 0 ? (size_t)done : 0;
    }
    return true;
}

static bool receive_all(struct socket_tcti *s, uint8_t *p, size_t n)
{
    while (n > 0) {
        struct pollfd waiting = {.fd = s->fd, .events = POLLIN};
        int ready = poll(&waiting, 1, (int)s->timeout * 1000);
        ssize_t done = ready > 0 ? recv(s->fd, p, n, 0) : ready;
        if (done == 0 || (done < 0 && errno != EINTR))
            return false;
        p += done > 0 ? done : 0;
        n -= done > 0 ? (size_t)done : 0;
    }
    return true;
}

/* ---- the TCTI's functions ------------------------------------------------------------------ */

static TSS2_RC transmit(TSS2_TCTI_CONTEXT *context, size_t n, const uint8_t *command)
{
    struct socket_tcti *s = (struct socket_tcti *)context;
    TSS2_RC rc = reach(s);
    if (rc == TSS2_RC_SUCCESS && !send_all(s->fd, command, n))
        rc = TSS2_TCTI_RC_IO_ERROR;
    if (rc != TSS2_RC_SUCCESS)
        disconnect(s);
    return rc;
}

static TSS2_RC receive_answer(struct socket_tcti *s, size_t *n, uint8_t *ret)
{
    uint32_t size;
    size_t at = sizeof(TPM2_ST);
    if (*n < HEADER || !receive_all(s, ret, HEADER))
        return TSS2_TCTI_RC_IO_ERROR;
    Tss2_MU_UINT32_Unmarshal(ret, HEADER, &at, &size);
    if (size < HEADER || size > *n)
        return TSS2_TCTI_RC_MALFORMED_RESPONSE;
    if (!receive_all(s, ret + HEADER, size - HEADER))
        return TSS2_TCTI_RC_IO_ERROR;
    *n = size;
    return TSS2_RC_SUCCESS;
}

static TSS2_RC receive(TSS2_TCTI_CONTEXT *context, size_t *n, uint8_t *ret, int32_t timeout)
{
    struct socket_tcti *s = (struct socket_tcti *)context;
    (void)timeout;
    TSS2_RC rc = receive_answer(s, n, ret);
    disconnect(s);
    return rc;
}

static TSS2_RC poll_handles(TSS2_TCTI_CONTEXT *context, TSS2_TCTI_POLL_HANDLE *ret, size_t *n)
{
    const struct socket_tcti *s = (const struct socket_tcti *)context;
    if (*n < 1)
        return TSS2_TCTI_RC_INSUFFICIENT_BUFFER;
    *n = 1;
    *ret = (struct pollfd){.fd = s->fd, .events = POLLIN};
    return TSS2_RC_SUCCESS;
}

static void finalize(TSS2_TCTI_CONTEXT *context)
{
    disconnect((struct socket_tcti *)context);
    free(context);
}

bool swtpm_named(const char *tcti)
{
    return strcmp(tcti, "swtpm") == 0 || strncmp(tcti, "swtpm:", 6) == 0;
}

TSS2_RC swtpm_open(const char *tcti, unsigned timeout, TSS2_TCTI_CONTEXT **ret)
{
    struct socket_tcti *s = calloc(1, sizeof(*s));
    if (!s)
        return TSS2_TCTI_RC_MEMORY;
    s->common.v1 = (TSS2_TCTI_CONTEXT_COMMON_V1){.version = 2,
                                                 .transmit = transmit,
                                                 .receive = receive,
                                                 .finalize = finalize,
                                                 .getPollHandles = poll_handles};
    s->timeout = timeout;
    s->fd = -1;
    TSS2_RC rc = configure(tcti, s);
    if (rc == TSS2_RC_SUCCESS)
        rc = reach(s); /* is there one at all? */
    disconnect(s);
    if (rc == TSS2_RC_SUCCESS)
        *ret = (TSS2_TCTI_CONTEXT *)s;
    else
        free(s);
    return rc;
}
