/* `latchkey ssh-agent`: an agent for ssh whose keys are the token's. The processes; the socket is
 * in ssh_socket.c, what is said there is in ssh_serve.c and ssh_answer.c. */
#include "ssh_agent.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "verbs.h"

/* ---- the agent itself -------------------------------------------------------------------------
 */

/* Who waits for the agent to be ready. */
struct launch {
    int ready;     /* a pipe that gets the socket's path then; -1: nobody waits */
    pid_t command; /* 0: none */
    bool detach;   /* from the terminal and all that waits for our output's end */
};

static void print_quoted(const char *text)
{
    const char *plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+,:@%";
    if (!text[strspn(text, plain)]) {
        fputs(text, stdout);
        return;
    }
    putchar('\'');
    for (const char *s = text; *s; s++)
        fputs(*s == '\'' ? "'\\''" : (char[]){*s, '\0'}, stdout);
    putchar('\'');
}

static CK_RV print_environment(const struct ssh_place *place)
{
    fputs("SSH_AUTH_SOCK=", stdout);
    print_quoted(place->path);
    printf("; export SSH_AUTH_SOCK;\nSSH_AGENT_PID=%d; export SSH_AGENT_PID;\n", (int)getpid());
    return fflush(stdout) == 0
               ? CKR_OK
               : fail(EXIT_FAILED, NULL, "the output cannot be written: %s", strerror(errno));
}

/* The working directory stays: what the module was told of may be relative to it. */
static CK_RV detach(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || setsid() < 0)
        return fail(EXIT_FAILED, NULL, "cannot go to the background: %s", strerror(errno));
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        dup2(null, fd);
    close(null);
    return CKR_OK;
}

static CK_RV say_ready(const struct launch *launch, const struct ssh_place *place)
{
    if (!launch->command)
        TRY(print_environment(place));
    if (launch->detach)
        TRY(detach());
    if (launch->ready >= 0) {
        size_t n = strlen(place->path);
        bool written = write(launch->ready, place->path, n) == (ssize_t)n;
        close(launch->ready);
        return written ? CKR_OK : TOLD(EXIT_FAILED);
    }
    return CKR_OK;
}

/* Nobody but root looks into this process: neither a debugger nor a core dump shows the PIN. */
static CK_RV run_agent(struct cli *cli, struct launch launch)
{
    CLEANUP(ssh_keys_free) struct ssh_agent agent = {.cli = cli};
    CLEANUP(ssh_place_free) struct ssh_place place = {.listener = -1};
    prctl(PR_SET_DUMPABLE, 0);
    TRY(ssh_keys_open(&agent));
    ssh_serve_hold_signals();
    TRY(ssh_place_make(cli, &place));
    TRY(say_ready(&launch, &place));
    return ssh_serve(&agent, place.listener, launch.command);
}

/* ---- in the background ------------------------------------------------------------------------
 */

static long pin_descriptor(const struct cli *cli)
{
    return cli->option[OPT_PIN_FD] ? strtol(cli->option[OPT_PIN_FD], NULL, 10) : -1;
}

static void close_between(long first, long last)
{
    if (first <= last)
        close_range((unsigned)first, (unsigned)last, 0);
}

/* What the caller has open (locks, pipes) is not kept open by an agent that stays for days. */
static void close_inherited(const struct cli *cli, int keep)
{
    long pin = pin_descriptor(cli), low = pin < keep ? pin : keep, high = pin < keep ? keep : pin;
    low = low > STDERR_FILENO ? low : STDERR_FILENO;
    close_between(STDERR_FILENO + 1, low - 1);
    close_between(low + 1, high - 1);
    close_between(high + 1, INT_MAX);
}

/* Ctrl-C at the PIN's prompt is the child's, which first mends the terminal. */
static CK_RV await_child(pid_t child, int ready)
{
    char byte;
    int status = 0;
    ssize_t n;
    signal(SIGINT, SIG_IGN);
    signal(SIGQUIT, SIG_IGN);
    do
        n = read(ready, &byte, 1);
    while (n < 0 && errno == EINTR);
    close(ready);
    if (n == 1)
        return CKR_OK;
    waitpid(child, &status, 0);
    return TOLD(WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : EXIT_FAILED);
}

/* The module is opened in the child: PKCS#11 ends with a fork. */
static CK_RV run_in_background(struct cli *cli)
{
    int ready[2];
    pid_t child = pipe2(ready, O_CLOEXEC) == 0 ? fork() : -1;
    if (child < 0)
        return fail(EXIT_FAILED, NULL, "no process can be started: %s", strerror(errno));
    if (child > 0) {
        close(ready[1]);
        return await_child(child, ready[0]);
    }
    close_inherited(cli, ready[1]);
    return run_agent(cli, (struct launch){.ready = ready[1], .detach = true});
}

/* ---- with a command ---------------------------------------------------------------------------
 */

/* In a process made before there was a PIN: starts the command once the agent is ready. */
static void run_command(struct cli *cli, int ready)
{
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)], pid[24];
    ssize_t n = read(ready, path, sizeof(path) - 1);
    if (n <= 0)
        _exit(EXIT_FAILED);
    path[n] = '\0';
    snprintf(pid, sizeof(pid), "%d", (int)getppid());
    if (pin_descriptor(cli) > STDERR_FILENO)
        close((int)pin_descriptor(cli));
    if (cli->option[OPT_PIN_ENV])
        unsetenv(cli->option[OPT_PIN_ENV]);
    if (setenv("SSH_AUTH_SOCK", path, 1) == 0 && setenv("SSH_AGENT_PID", pid, 1) == 0)
        execvp(cli->args[0], (char **)(uintptr_t)cli->args);
    int reason = errno;
    fail(EXIT_FAILED, NULL, "%s cannot be started: %s", cli->args[0], strerror(reason));
    _exit(reason == ENOENT ? 127 : 126); /* as a shell says it */
}

static CK_RV run_with_command(struct cli *cli)
{
    int ready[2];
    signal(SIGCHLD, SIG_DFL); /* ignored, it would not come */
    pid_t child = pipe2(ready, O_CLOEXEC) == 0 ? fork() : -1;
    if (child < 0)
        return fail(EXIT_FAILED, NULL, "no process can be started: %s", strerror(errno));
    if (child == 0) {
        close(ready[1]);
        run_command(cli, ready[0]);
    }
    close(ready[0]);
    return run_agent(cli, (struct launch){.ready = ready[1], .command = child});
}

/* ---- its end ----------------------------------------------------------------------------------
 */

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

/* The number may be another process's by now: it must be the one that listens on the socket. The
 * pidfd is opened before the connection is looked at once more. */
static CK_RV find_agent(pid_t *ret_pid, int *ret_process)
{
    const char *number = getenv("SSH_AGENT_PID"), *path = getenv("SSH_AUTH_SOCK");
    struct ucred peer = {0};
    socklen_t n = sizeof(peer);
    if (!number || !path)
        return fail(EXIT_USAGE, NULL, "%s is not set: which agent is meant?",
                    path ? "SSH_AGENT_PID" : "SSH_AUTH_SOCK");
    CLEANUP(close_fd) int fd = ssh_connect(path);
    if (fd < 0)
        return fail(EXIT_NOT_FOUND, NULL, "there is no agent at %s: %s", path, strerror(errno));
    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n);
    if (peer.pid <= 0 || peer.pid != strtol(number, NULL, 10))
        return fail(EXIT_NOT_FOUND, NULL, "process %s is not the agent at %s", number, path);
    int process = pidfd_open(peer.pid, 0);
    struct pollfd connection = {.fd = fd};
    if (process < 0 || poll(&connection, 1, 0) != 0) {
        close_fd(&process);
        return fail(EXIT_NOT_FOUND, NULL, "the agent at %s has ended", path);
    }
    *ret_pid = peer.pid;
    *ret_process = process;
    return CKR_OK;
}

static CK_RV end_agent(void)
{
    enum { WAIT_MS = 10000 }; /* it may be in the middle of a signature */
    CLEANUP(close_fd) int process = -1;
    pid_t pid = 0;
    TRY(find_agent(&pid, &process));
    struct pollfd ended = {.fd = process, .events = POLLIN};
    if (pidfd_send_signal(process, SIGTERM, NULL, 0) != 0 && errno != ESRCH)
        return fail(EXIT_FAILED, NULL, "the agent cannot be ended: %s", strerror(errno));
    if (poll(&ended, 1, WAIT_MS) != 1)
        return fail(EXIT_FAILED, NULL, "the agent does not end");
    printf("unset SSH_AUTH_SOCK;\nunset SSH_AGENT_PID;\n");
    return CKR_OK;
}

CK_RV ssh_agent(struct cli *cli)
{
    if (cli->option[OPT_KILL])
        return end_agent();
    if (cli->n_args)
        return run_with_command(cli);
    if (cli->option[OPT_FOREGROUND])
        return run_agent(cli, (struct launch){.ready = -1});
    return run_in_background(cli);
}
