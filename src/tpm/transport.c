#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <base/clock.h>
#include <base/host.h>
#include <tss2/tss2_rc.h>
#include <tss2/tss2_tctildr.h>

/* How a TCTI, by the beginning of its name, reaches the TPM. What is not listed is taken for a TPM
 * that others share without a resource manager: the careful assumption. */
static const struct kind {
    const char *prefix;
    bool managed;
    bool exclusive; /* can be open once */
} kinds[] = {
    {"tabrmd", true, false},
    {"device:/dev/tpmrm", true, false},
    {"device:", false, true},
};

static const struct kind *kind_of(const char *tcti)
{
    static const struct kind bare = {"", false, false};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
        if (strncmp(tcti, kinds[i].prefix, strlen(kinds[i].prefix)) == 0)
            return &kinds[i];
    return &bare;
}

static const char *default_tcti(void)
{
    static const char *const devices[] = {"/dev/tpmrm0", "/dev/tpm0"};
    static const char *const names[] = {"device:/dev/tpmrm0", "device:/dev/tpm0"};
    for (int i = 0; i < 2; i++)
        if (access(devices[i], R_OK | W_OK) == 0)
            return names[i];
    return "tabrmd:";
}

static CK_RV no_tpm(const char *tcti, TSS2_RC rc)
{
    if (access("/dev/tpmrm0", F_OK) == 0 && access("/dev/tpmrm0", R_OK | W_OK) != 0)
        log_error("/dev/tpmrm0 exists but this user may not open it: join the group that owns it "
                  "(usually tss)");
    return error_tcti("no TPM at", tcti, rc);
}

/* As the TCTI tells it: a device's, a broker's bus, a socket's during a command; else -1. */
static int told_descriptor(struct tpm *t)
{
    TSS2_TCTI_POLL_HANDLE handle[2] = {{.fd = -1}};
    size_t n = 2;
    return t->tcti && Tss2_Tcti_GetPollHandles(t->tcti, handle, &n) == TSS2_RC_SUCCESS && n == 1
               ? handle[0].fd
               : -1;
}

/* The one that the TCTI has for itself: a bus may be the host's, too. */
static int own_descriptor(struct tpm *t)
{
    return strncmp(t->tcti_name, "tabrmd", 6) == 0 ? -1 : told_descriptor(t);
}

/* tss2 opens without it: a program that the host starts would keep the TPM busy. */
static void close_on_exec(struct tpm *t)
{
    int fd = own_descriptor(t);
    if (fd >= 0)
        fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static TSS2_RC open_tcti(struct tpm *t)
{
    return swtpm_named(t->tcti_name) ? swtpm_open(t->tcti_name, t->config->tpm_timeout, &t->tcti)
                                     : Tss2_TctiLdr_Initialize(t->tcti_name, &t->tcti);
}

static void close_tcti(struct tpm *t)
{
    if (t->tcti && swtpm_named(t->tcti_name))
        Tss2_Tcti_Finalize(t->tcti);
    else if (t->tcti)
        Tss2_TctiLdr_Finalize(&t->tcti);
    t->tcti = NULL;
}

CK_RV transport_open(struct tpm *t)
{
    if (t->tcti)
        return CKR_OK;
    QUIET;
    GUARD_STDIO;
    TSS2_RC rc = open_tcti(t);
    if (rc != TSS2_RC_SUCCESS) {
        t->tcti = NULL;
        t->unreached = true; /* a device may appear: choose anew the next time */
        return no_tpm(t->tcti_name, rc);
    }
    close_on_exec(t);
    log_debug("connected to the TPM at %s%s", t->tcti_name,
              t->managed ? " (behind a resource manager)" : "");
    return CKR_OK;
}

void transport_close(struct tpm *t)
{
    QUIET;
    close_tcti(t);
    if (t->managed) /* the resource manager flushed what was ours */
        residents_forget(t);
}

/* TCTIs of tss2 3.2 wait without end whatever timeout they are given, so wait here. */
static CK_RV wait_answer(struct tpm *t)
{
    struct pollfd waiting = {.fd = told_descriptor(t), .events = POLLIN};
    int ready;
    if (waiting.fd < 0)
        return CKR_OK;
    do
        ready = poll(&waiting, 1, (int)t->config->tpm_timeout * 1000);
    while (ready < 0 && errno == EINTR);
    if (ready > 0)
        return CKR_OK;
    t->silences++;
    return error_log(CKR_DEVICE_ERROR, "the TPM did not answer within %u s",
                     (unsigned)t->config->tpm_timeout);
}

/* A TPM that was silent twice is not waited for by the rest of the call, which is to clear up. */
enum { SILENCES = 2 };

CK_RV transport_exchange(struct tpm *t, struct bytes command, uint8_t *ret, size_t *ret_n)
{
    if (t->silences >= SILENCES)
        return CKR_DEVICE_ERROR;
    TRY(transport_open(t));
    QUIET;
    GUARD_STDIO;
    TSS2_RC rc = Tss2_Tcti_Transmit(t->tcti, command.n, command.p);
    if (rc == TSS2_RC_SUCCESS) {
        close_on_exec(t); /* mssim: connects for each command */
        TRY(wait_answer(t));
        rc = Tss2_Tcti_Receive(t->tcti, ret_n, ret, TSS2_TCTI_TIMEOUT_BLOCK);
    }
    if (rc == TSS2_RC_SUCCESS)
        return CKR_OK;
    return error_tcti("talking failed to the TPM at", t->tcti_name, rc);
}

/* ---- the hold ------------------------------------------------------------------------------ */

/* A TCTI that leads through another (pcap:, cmd:) does not tell by its name what is behind it. */
static bool is_managed(const struct config *config, const struct kind *kind)
{
    return config->manager == MANAGER_AUTO ? kind->managed : config->manager == MANAGER_YES;
}

static CK_RV choose_tcti(struct tpm *t)
{
    const char *name = t->config->tcti ? t->config->tcti : default_tcti();
    if (strlen(name) >= sizeof(t->tcti_name))
        return error_log(CKR_DEVICE_ERROR, "the tcti '%s' is too long", name);
    if (strcmp(t->tcti_name, name) != 0) { /* another TPM has another lock */
        lock_file_close(&t->lock);
        t->lock = (struct lock_file){.fd = -1};
    }
    t->unreached = false;
    memcpy(t->tcti_name, name, strlen(name) + 1);
    t->managed = is_managed(t->config, kind_of(name));
    t->reopen = kind_of(name)->exclusive && !t->managed;
    return soft_random(t->id, sizeof(t->id));
}

static bool write_record(struct tpm *t)
{
    struct lock_record r = {.pid = (int32_t)getpid()};
    memcpy(r.owner, t->id, sizeof(r.owner));
    for (size_t i = 0; i < RESIDENT_KEYS; i++)
        if (t->key[i].handle)
            r.handle[r.n++] = t->key[i].handle;
    if (t->session.handle)
        r.handle[r.n++] = t->session.handle;
    for (size_t i = 0; i < EXTRA_HANDLES; i++)
        if (t->extra[i] && r.n < sizeof(r.handle) / sizeof(*r.handle))
            r.handle[r.n++] = t->extra[i];
    r.pending = t->pending;
    r.pending_name_n = (uint32_t)t->pending_name_n;
    memcpy(r.pending_name, t->pending_name, t->pending_name_n);
    if (memcmp(&r, &t->record, sizeof(r)) == 0)
        return true;
    if (!lock_file_write(&t->lock, &r))
        return false;
    t->record = r;
    return true;
}

void handle_pending(struct tpm *t, enum pending what, struct bytes name)
{
    t->pending = what;
    t->pending_name_n = name.n;
    if (name.n)
        memcpy(t->pending_name, name.p, name.n);
    if (!t->managed)
        write_record(t);
}

/* ---- what a killed process left ------------------------------------------------------------ */

static bool named(const struct lock_record *r, TPM2_HANDLE handle)
{
    for (uint32_t i = 0; i < r->n; i++)
        if (r->handle[i] == handle)
            return true;
    return false;
}

static CK_RV has_name(struct tpm *t, TPM2_HANDLE handle, struct bytes name, bool *ret)
{
    COMMAND(c, ReadPublic, .handles = 1, .repeatable = true);
    c.handle[0].handle = handle;
    *ret = false;
    TRY(cmd_send(t, &c));
    if (rc_plain(c.rc) == TPM2_RC_HANDLE || rc_lost_object(c.rc) || c.rc == TPM2_RC_SEQUENCE)
        return CKR_OK; /* gone, or none that has a Name */
    TRY(error_tpm(ERROR_TPM_ANY, c.name, c.rc));
    cmd_get_2b(&c);
    *ret = bytes_equal(cmd_get_2b(&c), name);
    return cmd_parsed(&c);
}

/* An object is known by its Name; a session, which has none, only when it is the one that the
 * record does not explain. What may be a stranger's is left alone. */
static CK_RV flush_pending(struct tpm *t)
{
    TPMS_CAPABILITY_DATA data;
    TPM2_HANDLE unknown = 0;
    unsigned unknowns = 0;
    bool session = t->pending == PENDING_SESSION, ours = true;
    struct bytes name = BYTES(t->pending_name, t->pending_name_n);
    uint32_t first = (uint32_t)(session ? TPM2_HT_LOADED_SESSION : TPM2_HT_TRANSIENT)
                     << TPM2_HR_SHIFT;
    TRY(get_capability(t, TPM2_CAP_HANDLES, first, 16, &data));
    for (uint32_t i = 0; i < data.data.handles.count && i < TPM2_MAX_CAP_HANDLES; i++) {
        TPM2_HANDLE handle = data.data.handles.handle[i];
        if (named(&t->record, handle))
            continue;
        if (!session && name.n)
            TRY(has_name(t, handle, name, &ours));
        if (!ours)
            continue;
        unknown = handle;
        unknowns++;
    }
    if (unknowns == 1)
        flush_handle(t, unknown);
    return CKR_OK;
}

/* An answer was lost on its way: the handle that it told may be there. */
CK_RV settle_pending(struct tpm *t)
{
    if (t->pending == PENDING_NONE)
        return CKR_OK;
    if (!t->managed) /* a resource manager clears up after a broken connection */
        TRY(flush_pending(t));
    handle_pending(t, PENDING_NONE, NO_BYTES);
    return CKR_OK;
}

/* The file was made anew (a cleaner of old files had it) or spoilt: nobody has flushed for us. What
 * is still what we know stays ours; a session has no Name to ask for, its next use tells. */
static void keep_own(struct tpm *t)
{
    bool ours;
    for (size_t i = 0; i < RESIDENT_KEYS; i++)
        if (t->key[i].handle &&
            has_name(t, t->key[i].handle, BYTES(t->key[i].name, t->key[i].name_n), &ours) ==
                CKR_OK &&
            !ours)
            t->key[i] = (struct resident){0};
    write_record(t);
}

/* Somebody else had the TPM since: what he left is flushed, what we had he has flushed. What he was
 * about to make is ours to look for. */
static void take_over(struct tpm *t)
{
    static const uint8_t nobody[sizeof(t->id)];
    if (memcmp(t->record.owner, t->id, sizeof(t->id)) == 0)
        return;
    if (memcmp(t->record.owner, nobody, sizeof(nobody)) == 0) {
        keep_own(t);
        return;
    }
    const struct lock_record theirs = t->record;
    residents_forget(t);
    for (uint32_t i = 0; i < theirs.n; i++)
        flush_handle(t, theirs.handle[i]);
    handle_pending(t, theirs.pending, BYTES(theirs.pending_name, theirs.pending_name_n));
}

/* Threads wait for the lock file one after the other, under the mutex: one that came while another
 * waited in vain has waited as long as that one. */
static CK_RV take_lock(struct tpm *t, int64_t since, struct lock_record *ret)
{
    if (!t->lock.path[0])
        TRY(lock_file_path(t->config, t->tcti_name, t->lock.path, sizeof(t->lock.path)));
    bool waited = t->gave_up > since;
    CK_RV rv = lock_file_take(&t->lock, waited ? 0 : t->config->lock_timeout, ret);
    if (rv != CKR_OK && !waited)
        t->gave_up = clock_now();
    return rv;
}

static CK_RV enter_bare(struct tpm *t, int64_t since)
{
    TRY(take_lock(t, since, &t->record));
    CK_RV rv = transport_open(t);
    if (rv != CKR_OK) {
        lock_file_release(&t->lock);
        return rv;
    }
    take_over(t);
    extras_flush(t); /* what could not be flushed before: its slots are needed */
    rv = settle_pending(t);
    if (rv != CKR_OK && t->reopen)
        transport_close(t);
    if (rv != CKR_OK)
        lock_file_release(&t->lock);
    return rv;
}

CK_RV tpm_enter(struct tpm *t)
{
    int64_t since = clock_now();
    pthread_mutex_lock(&t->mutex);
    t->silences = 0;
    CK_RV rv = t->tcti_name[0] && !t->unreached ? CKR_OK : choose_tcti(t);
    if (rv == CKR_OK)
        rv = t->managed ? transport_open(t) : enter_bare(t, since);
    if (rv != CKR_OK)
        pthread_mutex_unlock(&t->mutex);
    return rv;
}

void tpm_leave(struct tpm **held)
{
    struct tpm *t = *held;
    extras_flush(t);
    if (!t->managed) {
        if (!write_record(t)) /* the next owner could not flush what it does not know of */
            residents_flush(t);
        if (t->reopen)
            transport_close(t);
        lock_file_release(&t->lock);
    }
    pthread_mutex_unlock(&t->mutex);
}

CK_RV tpm_enter_alone(struct tpm *t)
{
    struct lock_record nobodys; /* behind a resource manager no handle is ours to flush */
    int64_t since = clock_now();
    TRY(tpm_enter(t));
    CK_RV rv = t->managed ? take_lock(t, since, &nobodys) : CKR_OK;
    if (rv != CKR_OK)
        tpm_leave(&t);
    return rv;
}

void tpm_leave_alone(struct tpm **held)
{
    if ((*held)->managed)
        lock_file_release(&(*held)->lock);
    tpm_leave(held);
}

CK_RV tpm_new(const struct config *config, struct tpm **ret)
{
    struct tpm *t = calloc(1, sizeof(*t));
    if (!t)
        return CKR_HOST_MEMORY;
    t->config = config;
    t->lock.fd = -1;
    pthread_mutex_init(&t->mutex, NULL);
    *ret = t;
    return CKR_OK;
}

/* Only a connection that has something resident is taken up again to flush it; where another
 * process is at work on the TPM, it has done so. */
static void flush_at_end(struct tpm *t)
{
    bool any = t->session.handle != 0 || t->pending != PENDING_NONE;
    for (size_t i = 0; i < RESIDENT_KEYS; i++)
        any |= t->key[i].handle != 0;
    for (size_t i = 0; i < EXTRA_HANDLES; i++)
        any |= t->extra[i] != 0;
    if (!any || t->managed || lock_file_busy(&t->lock) || tpm_enter(t) != CKR_OK)
        return;
    residents_flush(t);
    tpm_leave(&t);
}

void tpm_free(struct tpm **tp)
{
    struct tpm *t = *tp;
    if (!t)
        return;
    flush_at_end(t);
    transport_close(t);
    lock_file_close(&t->lock);
    saved_free(t);
    secret_free(&t->owner_auth);
    session_wipe(&t->session);
    pthread_mutex_destroy(&t->mutex);
    secret_wipe(t, sizeof(*t));
    free(t);
    *tp = NULL;
}

enum { FORK_PATIENCE = 10 }; /* seconds: longer than a software TPM takes for an RSA key */

void tpm_before_fork(struct tpm *t)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until); /* the other may be set meanwhile */
    until.tv_sec += FORK_PATIENCE;
    t->held_for_fork = pthread_mutex_clocklock(&t->mutex, CLOCK_MONOTONIC, &until) == 0;
}

void tpm_after_fork_parent(struct tpm *t)
{
    if (t->held_for_fork)
        pthread_mutex_unlock(&t->mutex);
}

void tpm_abandon(struct tpm **tp)
{
    struct tpm *t = *tp;
    *tp = NULL;
    if (!t)
        return;
    lock_file_close(&t->lock);
    int fd = own_descriptor(t);
    if (fd > STDERR_FILENO) /* tabrmd has none to tell: its bus connection is seen by nobody */
        close(fd);
    secret_free(&t->owner_auth);
    session_wipe(&t->session);
    secret_wipe(t, sizeof(*t));
}
