#include "tracer.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define OPTIONS ((void *)(uintptr_t)(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL))

/* glibc says what the TPM's library calls "write"; the peer's own answer goes by send. */
static bool is_tpm_command(const struct __ptrace_syscall_info *i)
{
    return i->entry.nr == SYS_write && i->entry.args[0] > 2;
}

static bool is_change(const struct __ptrace_syscall_info *i)
{
    static const uint64_t changes[] = {
        SYS_pwrite64, SYS_ftruncate, SYS_fsync,    SYS_fdatasync,
        SYS_linkat,   SYS_unlinkat,  SYS_renameat,
#ifdef SYS_unlink
        SYS_link,     SYS_unlink,    SYS_rename,
#endif
    };
    for (size_t k = 0; k < COUNT(changes); k++)
        if (i->entry.nr == changes[k])
            return true;
    return is_tpm_command(i);
}

static void resume(pid_t pid, int signal)
{
    assert_int_equal(ptrace(PTRACE_SYSCALL, pid, NULL, (void *)(uintptr_t)signal), 0);
}

enum stop { STOP_OTHER, STOP_MOMENT, STOP_END };

/* Waits until it stops. *sent: a TPM command is under way. */
static enum stop next_stop(pid_t pid, bool *sent, int *ret_signal)
{
    struct __ptrace_syscall_info info;
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFSTOPPED(status))
        fail_msg("the peer ended: status 0x%x", (unsigned)status);
    *ret_signal = 0;
    if (WSTOPSIG(status) != (SIGTRAP | 0x80)) {
        *ret_signal = status >> 16 == 0 ? WSTOPSIG(status) : 0;
        return STOP_OTHER;
    }
    assert_true(ptrace(PTRACE_GET_SYSCALL_INFO, pid, (void *)sizeof info, &info) > 0);
    bool was_sent = *sent;
    *sent = false;
    if (info.op != PTRACE_SYSCALL_INFO_ENTRY)
        return was_sent ? STOP_MOMENT : STOP_OTHER;
    *sent = is_tpm_command(&info);
    return info.entry.nr == SYS_sendto ? STOP_END : is_change(&info) ? STOP_MOMENT : STOP_OTHER;
}

static void attach(pid_t pid)
{
    int status;
    assert_int_equal(ptrace(PTRACE_SEIZE, pid, NULL, OPTIONS), 0);
    assert_int_equal(ptrace(PTRACE_INTERRUPT, pid, NULL, NULL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSTOPPED(status));
    resume(pid, 0);
}

unsigned trace_step(struct peer *p, peer_step step, unsigned nth, tracer_strike strike,
                    bool *ret_ended, CK_RV *ret_rv)
{
    unsigned moments = 0;
    bool sent = false;
    int signal;
    enum stop stop;
    *ret_ended = false;
    attach(p->pid);
    peer_send(p, step);
    while ((stop = next_stop(p->pid, &sent, &signal)) != STOP_END) {
        if (stop == STOP_MOMENT && ++moments == nth && !strike(p))
            return moments;
        resume(p->pid, signal);
    }
    assert_int_equal(ptrace(PTRACE_DETACH, p->pid, NULL, NULL), 0);
    *ret_ended = true;
    *ret_rv = peer_result(p);
    return moments;
}

bool tracer_works(void)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        for (;;)
            pause();
    bool works = ptrace(PTRACE_SEIZE, pid, NULL, OPTIONS) == 0;
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    return works;
}
