#include "broker.h"

#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t bus, broker;

bool broker_installed(void)
{
    return system("command -v dbus-daemon tpm2-abrmd >/dev/null 2>&1") == 0;
}

static pid_t run(const char *const *argv, int out)
{
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (out >= 0)
            dup2(out, STDOUT_FILENO);
        execvp(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    return pid;
}

static bool start_bus(void)
{
    int out[2];
    char address[256] = {0};
    if (pipe2(out, O_CLOEXEC) != 0)
        return false;
    bus = run((const char *[]){"dbus-daemon", "--session", "--nofork", "--nopidfile",
                               "--print-address=1", NULL},
              out[1]);
    close(out[1]);
    ssize_t n = read(out[0], address, sizeof(address) - 1);
    close(out[0]);
    address[strcspn(address, "\n")] = '\0';
    return n > 0 && setenv("DBUS_SESSION_BUS_ADDRESS", address, 1) == 0;
}

bool broker_start(const char *tcti)
{
    char option[200];
    setenv("TSS2_LOG", "all+NONE", 1);
    snprintf(option, sizeof(option), "--tcti=%s", tcti);
    if (!start_bus())
        return false;
    int quiet = open("/dev/null", O_WRONLY | O_CLOEXEC);
    broker = run((const char *[]){"tpm2-abrmd", "--session", "--allow-root", option, NULL}, quiet);
    close(quiet);
    return broker > 0;
}

static void end(pid_t *pid)
{
    if (*pid > 0) {
        kill(*pid, SIGTERM);
        waitpid(*pid, NULL, 0);
    }
    *pid = 0;
}

void broker_stop(void)
{
    end(&broker);
    end(&bus);
}
