#include "simulate.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/config.h"
#include "output.h"
#include "verbs.h"

enum { WAIT_MS = 5000 };

/* ---- where it is, and whether it runs ---- */

void simulator_free(struct simulator *s)
{
    char *texts[] = {s->dir, s->socket, s->control, s->pid_file, s->tcti};
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        free(texts[i]);
    *s = (struct simulator){0};
}

CK_RV simulator_paths(struct simulator *ret)
{
    struct config config;
    TRY(check(config_load(NULL, &config), "read the configuration"));
    bool ok = asprintf(&ret->dir, "%s/swtpm", config.store) > 0 &&
              asprintf(&ret->socket, "%s/socket", ret->dir) > 0 &&
              asprintf(&ret->control, "%s/socket.ctrl", ret->dir) > 0 &&
              asprintf(&ret->pid_file, "%s/pid", ret->dir) > 0 &&
              asprintf(&ret->tcti, "swtpm:path=%s", ret->socket) > 0;
    config_free(&config);
    if (!ok)
        return CKR_HOST_MEMORY;
    if (strlen(ret->control) >= sizeof(((struct sockaddr_un *)0)->sun_path))
        return fail(EXIT_FAILED, "Choose a store with a shorter path (LATCHKEY_STORE).",
                    "the path of the simulator's socket is too long: %s", ret->control);
    return CKR_OK;
}

/* Is that process the swtpm that was started with our control socket among its arguments? */
static bool is_ours(pid_t pid, const char *control)
{
    char path[64], line[8192], expected[512];
    snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
    snprintf(expected, sizeof(expected), "type=unixio,path=%s,mode=0600", control);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, line, sizeof(line) - 1);
    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return false;
    line[n] = '\0';
    const char *program = strrchr(line, '/');
    if (strcmp(program ? program + 1 : line, "swtpm") != 0)
        return false;
    for (const char *s = line; s < line + n; s += strlen(s) + 1)
        if (!strcmp(s, expected))
            return true;
    return false;
}

/* The pidfd is opened first and the process looked at then: what gets the signal is what was
 * looked at, even if the number is taken again meanwhile. */
int simulator_process(const struct simulator *s, pid_t *ret_pid)
{
    FILE *f = fopen(s->pid_file, "re");
    int pid = 0;
    /* NOLINTNEXTLINE(cert-err34-c): whatever number it is, is_ours looks whose process */
    bool read = f && fscanf(f, "%d", &pid) == 1 && pid > 0;
    if (f)
        fclose(f);
    int fd = read ? pidfd_open(pid, 0) : -1;
    if (fd >= 0 && !is_ours(pid, s->control)) {
        close(fd);
        fd = -1;
    }
    *ret_pid = fd >= 0 ? pid : 0;
    return fd;
}

static CK_RV print_state(struct cli *cli, const struct simulator *s, pid_t pid)
{
    static const struct column columns[] = {{"running", "RUNNING", CELL_BOOL},
                                            {"pid", "PID", CELL_NUMBER},
                                            {"tcti", "TCTI", CELL_TEXT},
                                            {"state", "STATE", CELL_TEXT}};
    CLEANUP(table_free) struct table t = TABLE(columns);
    table_bool(&t, pid != 0);
    if (pid)
        table_cell(&t, "%d", (int)pid);
    else
        table_none(&t);
    table_cell(&t, "%s", s->tcti);
    table_cell(&t, "%s", s->dir);
    return table_print_record(&t, cli->option[OPT_JSON]);
}

/* ---- start ---- */

/* One start or stop at a time: the lock is on the directory itself. */
static CK_RV lock_directory(const struct simulator *s, int *ret)
{
    CLEANUP(buf_free) struct buf path = {0};
    TRY(buf_append(&path, s->dir, strlen(s->dir) + 1));
    for (char *at = (char *)path.p + 1; (at = strchr(at, '/')); at++) {
        *at = '\0';
        mkdir((char *)path.p, 0700);
        *at = '/';
    }
    mkdir(s->dir, 0700);
    *ret = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*ret < 0 || flock(*ret, LOCK_EX) != 0)
        return fail(EXIT_FAILED, NULL, "%s cannot be used: %s", s->dir, strerror(errno));
    return CKR_OK;
}

static void close_lock(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static void run_swtpm(const struct simulator *s)
{
    char server[512], control[512], state[512], pid[512], log[512];
    snprintf(server, sizeof(server), "type=unixio,path=%s,mode=0600", s->socket);
    snprintf(control, sizeof(control), "type=unixio,path=%s,mode=0600", s->control);
    snprintf(state, sizeof(state), "dir=%s,mode=0600", s->dir);
    snprintf(pid, sizeof(pid), "file=%s", s->pid_file);
    snprintf(log, sizeof(log), "file=%s/log", s->dir);
    execlp("swtpm", "swtpm", "socket", "--tpm2", "--server", server, "--ctrl", control,
           "--tpmstate", state, "--pid", pid, "--log", log, "--flags",
           "not-need-init,startup-clear", "--daemon", (char *)NULL);
    _exit(errno == ENOENT ? 127 : 126);
}

static CK_RV start_process(const struct simulator *s)
{
    int status = 0;
    unlink(s->socket); /* left behind by a reboot or a kill */
    unlink(s->control);
    pid_t child = fork();
    if (child == 0) {
        umask(0077);
        run_swtpm(s);
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        return fail(EXIT_FAILED, NULL, "swtpm cannot be started: %s", strerror(errno));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return CKR_OK;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        return fail(EXIT_FAILED, "On Debian and Ubuntu: sudo apt install swtpm",
                    "swtpm is not installed");
    return fail(EXIT_FAILED, NULL, "swtpm did not start; %s/log says why", s->dir);
}

/* swtpm --daemon returns once the socket is there, and writes the pid file a moment later. */
static CK_RV await_process(const struct simulator *s, pid_t *ret_pid)
{
    for (int waited = 0; waited < WAIT_MS; waited += 20) {
        int fd = simulator_process(s, ret_pid);
        if (fd >= 0) {
            close(fd);
            return CKR_OK;
        }
        poll(NULL, 0, 20);
    }
    return fail(EXIT_FAILED, NULL, "swtpm started and went away; %s/log says why", s->dir);
}

static void warn_of_precedence(const struct simulator *s)
{
    struct config config;
    if (config_load(NULL, &config) != CKR_OK)
        return;
    if (!config.tcti || strcmp(config.tcti, s->tcti) != 0)
        fprintf(stderr, "It is not used yet: %s takes precedence.\n",
                getenv("LATCHKEY_TCTI") ? "the environment variable LATCHKEY_TCTI"
                                        : "another setting of tcti");
    config_free(&config);
}

CK_RV simulate_start(struct cli *cli)
{
    CLEANUP(simulator_free) struct simulator s = {0};
    CLEANUP(close_lock) int lock = -1;
    pid_t pid = 0;
    TRY(simulator_paths(&s));
    TRY(lock_directory(&s, &lock));
    CLEANUP(close_lock) int running = simulator_process(&s, &pid);
    if (running < 0) {
        TRY(start_process(&s));
        TRY(await_process(&s, &pid));
    }
    TRY(simulate_config_add(&s));
    TRY(print_state(cli, &s, pid));
    fputs("A software TPM: its keys lie in files, it protects nothing. For trying things out.\n",
          stderr);
    warn_of_precedence(&s);
    return CKR_OK;
}

/* ---- stop and status ---- */

/* TPM2_Shutdown(CLEAR): a stop without it after a login counts as a wrong PIN (TPM 2.0 part 1,
 * 19.8.6). Best effort: a simulator that hangs is ended all the same. */
static void shut_down(const struct simulator *s)
{
    static const uint8_t command[] = {0x80, 0x01, 0, 0, 0, 12, 0, 0, 0x01, 0x45, 0, 0};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval limit = {.tv_sec = WAIT_MS / 1000};
    uint8_t response[10];
    memcpy(address.sun_path, s->socket, strlen(s->socket) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    bool done = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
                send(fd, command, sizeof(command), MSG_NOSIGNAL) == sizeof(command) &&
                recv(fd, response, sizeof(response), MSG_WAITALL) == sizeof(response) &&
                !memcmp(response + 6, "\0\0\0\0", 4);
    close(fd);
    if (!done)
        fputs("The simulator did not take TPM2_Shutdown; it may count one wrong PIN.\n", stderr);
}

static CK_RV stop_process(const struct simulator *s, int process)
{
    struct pollfd ended = {.fd = process, .events = POLLIN};
    shut_down(s);
    if (pidfd_send_signal(process, SIGTERM, NULL, 0) != 0 && errno != ESRCH)
        return fail(EXIT_FAILED, NULL, "the simulator cannot be ended: %s", strerror(errno));
    if (poll(&ended, 1, WAIT_MS) != 1)
        return fail(EXIT_FAILED, NULL, "the simulator does not end");
    unlink(s->socket);
    unlink(s->control);
    unlink(s->pid_file);
    return CKR_OK;
}

CK_RV simulate_stop(struct cli *cli)
{
    CLEANUP(simulator_free) struct simulator s = {0};
    CLEANUP(close_lock) int lock = -1;
    pid_t pid = 0;
    TRY(simulator_paths(&s));
    if (access(s.dir, F_OK) == 0) {
        TRY(lock_directory(&s, &lock));
        CLEANUP(close_lock) int process = simulator_process(&s, &pid);
        if (process >= 0)
            TRY(stop_process(&s, process));
    }
    TRY(simulate_config_remove());
    return print_state(cli, &s, 0);
}

CK_RV simulate_status(struct cli *cli)
{
    CLEANUP(simulator_free) struct simulator s = {0};
    pid_t pid = 0;
    TRY(simulator_paths(&s));
    CLEANUP(close_lock) int process = simulator_process(&s, &pid);
    TRY(print_state(cli, &s, pid));
    return process >= 0 ? CKR_OK : TOLD(EXIT_NOT_FOUND);
}
