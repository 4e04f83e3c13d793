/* The server of `latchkey ssh-agent`: many clients, none of which can keep the others waiting. */
#include "ssh_agent.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CLIENTS = 256, PIECE = 16 << 10, HEADER = 4 };

struct client {
    int fd;
    struct buf in, out;
    size_t sent;   /* of out */
    uint64_t used; /* the round in which it was last heard of */
};

struct server {
    struct ssh_agent *agent;
    int listener, signals;
    pid_t command;
    bool ended;
    CK_RV result; /* once it has ended */
    struct client clients[CLIENTS];
    size_t n;
    uint64_t round;
};

/* ---- a client ---------------------------------------------------------------------------------
 */

/* Is a whole request there? *ret: without its length. False with *ret_garbage for a length that no
 * request has. */
static bool request_of(const struct client *c, struct bytes *ret, bool *ret_garbage)
{
    struct bytes in = buf_bytes(&c->in);
    uint32_t n = 0;
    *ret_garbage = false;
    if (!bytes_take_u32(&in, &n))
        return false;
    *ret_garbage = n == 0 || n > SSH_MESSAGE;
    return !*ret_garbage && bytes_take(&in, n, ret);
}

static bool waits(const struct client *c)
{
    struct bytes request;
    bool garbage;
    return !c->out.n && request_of(c, &request, &garbage);
}

/* What was a request may be a password: nothing of it stays behind. */
static void drop_request(struct client *c, size_t n)
{
    size_t rest = c->in.n - n;
    /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): a request was found there */
    memmove(c->in.p, c->in.p + n, rest);
    secret_wipe(c->in.p + rest, n);
    c->in.n = rest;
    if (!rest)
        buf_free(&c->in);
}

static bool answer_request(struct server *s, struct client *c)
{
    CLEANUP(buf_free) struct buf answer = {0};
    struct bytes request;
    bool garbage;
    if (!request_of(c, &request, &garbage))
        return !garbage;
    bool ok = ssh_answer(s->agent, request, &answer) == CKR_OK &&
              buf_u32(&c->out, (uint32_t)answer.n) == CKR_OK &&
              buf_bytes_append(&c->out, buf_bytes(&answer)) == CKR_OK;
    drop_request(c, HEADER + request.n);
    return ok;
}

static bool send_answer(struct client *c)
{
    while (c->sent < c->out.n) {
        ssize_t n = send(c->fd, c->out.p + c->sent, c->out.n - c->sent, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR)
            return errno == EAGAIN;
        c->sent += n > 0 ? (size_t)n : 0;
    }
    buf_free(&c->out);
    c->sent = 0;
    return true;
}

/* Not more than what completes one request and begins others: the rest waits in the socket. */
static bool receive(struct client *c)
{
    if (buf_reserve(&c->in, PIECE) != CKR_OK)
        return false;
    ssize_t n = recv(c->fd, c->in.p + c->in.n, PIECE, 0);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    c->in.n += (size_t)n;
    return n > 0;
}

static short wanted(const struct client *c)
{
    if (c->out.n)
        return POLLOUT;
    return waits(c) ? 0 : POLLIN;
}

/* One request a round, so that clients take turns. False: the connection is over. */
static bool serve_client(struct server *s, struct client *c, short seen)
{
    if (seen && !(seen & (POLLIN | POLLOUT)))
        return false;
    if (seen)
        c->used = s->round;
    if (seen & POLLIN && !receive(c))
        return false;
    if (!c->out.n && !answer_request(s, c))
        return false;
    return send_answer(c);
}

static void drop(struct server *s, size_t i)
{
    struct client *c = &s->clients[i];
    close(c->fd);
    buf_free(&c->in);
    buf_free(&c->out);
    *c = s->clients[--s->n];
    s->clients[s->n] = (struct client){0};
}

/* ---- new clients ------------------------------------------------------------------------------
 */

static void drop_idlest(struct server *s)
{
    size_t idlest = 0;
    for (size_t i = 1; i < s->n; i++)
        if (s->clients[i].used < s->clients[idlest].used)
            idlest = i;
    if (s->n)
        drop(s, idlest);
}

/* The socket's mode says the same, but not on every file system. */
static bool may_connect(int fd)
{
    struct ucred peer;
    socklen_t n = sizeof(peer);
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) == 0 &&
           (peer.uid == geteuid() || peer.uid == 0);
}

static void accept_client(struct server *s)
{
    int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE)
            drop_idlest(s);
        return;
    }
    if (!may_connect(fd)) {
        close(fd);
        return;
    }
    if (s->n == CLIENTS)
        drop_idlest(s);
    s->clients[s->n++] = (struct client){.fd = fd, .used = s->round};
}

/* ---- signals ----------------------------------------------------------------------------------
 */

static void ending_signals(sigset_t *ret)
{
    sigemptyset(ret);
    sigaddset(ret, SIGTERM);
    sigaddset(ret, SIGINT);
    sigaddset(ret, SIGQUIT);
    sigaddset(ret, SIGHUP);
    sigaddset(ret, SIGCHLD);
}

void ssh_serve_hold_signals(void)
{
    sigset_t ours;
    ending_signals(&ours);
    sigprocmask(SIG_BLOCK, &ours, NULL);
}

static void end(struct server *s, int status)
{
    s->ended = true;
    s->result = status ? TOLD(status & 0xff) : CKR_OK;
}

/* The command's end is the agent's, with the command's status as a shell would have it. */
static void take_signal(struct server *s)
{
    struct signalfd_siginfo info;
    int status;
    if (read(s->signals, &info, sizeof(info)) != sizeof(info))
        return;
    if (info.ssi_signo == SIGCHLD) {
        if (s->command && waitpid(s->command, &status, WNOHANG) == s->command)
            end(s, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    } else if (!s->command) {
        end(s, 0);
    } else if (info.ssi_signo != SIGINT && info.ssi_signo != SIGQUIT) {
        /* those two a terminal sends to the command as well */
        kill(s->command, (int)info.ssi_signo);
    }
}

/* ---- the loop ---------------------------------------------------------------------------------
 */

static void serve_round(struct server *s)
{
    struct pollfd polled[2 + CLIENTS] = {{.fd = s->signals, .events = POLLIN},
                                         {.fd = s->listener, .events = POLLIN}};
    size_t n = s->n;
    int timeout = -1;
    for (size_t i = 0; i < n; i++) {
        const struct client *c = &s->clients[i];
        polled[2 + i] = (struct pollfd){.fd = c->fd, .events = wanted(c)};
        timeout = waits(c) ? 0 : timeout;
    }
    if (poll(polled, (nfds_t)(2 + n), timeout) < 0)
        return;
    s->round++;
    if (polled[0].revents)
        take_signal(s);
    /* from the last one down: what drop moves into a gap has had its turn */
    for (size_t i = n; i-- > 0 && !s->ended;)
        if (!serve_client(s, &s->clients[i], polled[2 + i].revents))
            drop(s, i);
    if (polled[1].revents && !s->ended)
        accept_client(s);
}

CK_RV ssh_serve(struct ssh_agent *agent, int listener, pid_t command)
{
    struct server s = {.agent = agent, .listener = listener, .command = command};
    sigset_t ours;
    ending_signals(&ours);
    s.signals = signalfd(-1, &ours, SFD_CLOEXEC | SFD_NONBLOCK);
    if (s.signals < 0)
        return fail(EXIT_FAILED, NULL, "no signals can be taken: %s", strerror(errno));
    while (!s.ended)
        serve_round(&s);
    while (s.n)
        drop(&s, 0);
    close(s.signals);
    return s.result;
}
