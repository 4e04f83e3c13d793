#include "entry.h"

#include <pthread.h>
#include <time.h>
#include <unistd.h>
#include <base/error.h>
#include <base/log.h>
#include <base/names.h>
#include <base/secret.h>

static pthread_mutex_t state = PTHREAD_MUTEX_INITIALIZER; /* guards all below */
static pthread_cond_t idle = PTHREAD_COND_INITIALIZER;
static pthread_cond_t ending = PTHREAD_COND_INITIALIZER; /* C_Finalize began */
static struct library *library;
static unsigned active; /* calls under way */
static bool finalizing;
static bool lost_by_fork;       /* a child that may call C_Finalize for what its parent had */
static bool inherited_valid;    /* the configuration survives the fork: servers lose their */
static struct config inherited; /* environment, and files may be out of reach by then */
static pthread_once_t once = PTHREAD_ONCE_INIT;

CK_RV entry_trace(const char *name, CK_RV rv)
{
    log_trace("%s: %s", name, name_rv(rv));
    return rv;
}

CK_RV entry_library(struct library **ret)
{
    pthread_mutex_lock(&state);
    struct library *lib = finalizing ? NULL : library;
    if (lib)
        active++;
    pthread_mutex_unlock(&state);
    if (!lib)
        return CKR_CRYPTOKI_NOT_INITIALIZED;
    *ret = lib;
    return CKR_OK;
}

void entry_leave(struct library **lib)
{
    if (!*lib)
        return;
    pthread_mutex_lock(&state);
    if (--active == 0)
        pthread_cond_broadcast(&idle);
    pthread_mutex_unlock(&state);
    *lib = NULL;
}

bool entry_pause(unsigned milliseconds)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)(milliseconds % 1000) * 1000000;
    until.tv_sec += (time_t)(milliseconds / 1000) + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&state);
    while (!finalizing && pthread_cond_clockwait(&ending, &state, CLOCK_MONOTONIC, &until) == 0)
        ;
    bool over = finalizing;
    pthread_mutex_unlock(&state);
    return over;
}

/* ---- fork ---------------------------------------------------------------------------------- */

enum { FORK_PATIENCE = 10 }; /* seconds, as tpm_before_fork's */

/* state held. A library that C_Finalize is just taking apart is nobody's: its locks cannot be
 * taken, and the child would inherit them, and SQLite's, and the connection that it flushes over.
 */
static void wait_until_closed(void)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += FORK_PATIENCE;
    while (finalizing && !library &&
           pthread_cond_clockwait(&idle, &state, CLOCK_MONOTONIC, &until) == 0)
        ;
}

/* Before a fork every lock but the sessions' and the tokens' is taken, so the child finds what they
 * guard whole. */
static void before_fork(void)
{
    pthread_mutex_lock(&state);
    wait_until_closed();
    if (library)
        library_before_fork(library);
    secret_before_fork();
    log_before_fork(); /* last: whoever has another lock may log */
}

static void after_fork_parent(void)
{
    log_after_fork_parent();
    secret_after_fork_parent();
    if (library)
        library_after_fork_parent(library);
    pthread_mutex_unlock(&state);
}

static void after_fork_child(void)
{
    log_after_fork_child();
    secret_after_fork_child();
    if (library) {
        const struct config *config = library_config(library);
        inherited = *config; /* the library is abandoned, not freed: its strings live on */
        inherited_valid = true;
        lost_by_fork = true;
        library_abandon(&library);
    }
    active = 0;
    finalizing = false;
    pthread_cond_init(&idle, NULL);
    pthread_cond_init(&ending, NULL);
    pthread_mutex_unlock(&state);
}

static void register_fork_handlers(void)
{
    pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}

/* ---- C_Initialize, C_Finalize -------------------------------------------------------------- */

/* 2.40, 5.4: the four mutex functions all or none. Native locks are used whatever was asked: they
 * are at least as strong, and every platform of this library has them. */
static CK_RV check_arguments(const CK_C_INITIALIZE_ARGS *args)
{
    int given = (args->CreateMutex != NULL) + (args->DestroyMutex != NULL) +
                (args->LockMutex != NULL) + (args->UnlockMutex != NULL);
    return given == 0 || given == 4 ? CKR_OK : CKR_ARGUMENTS_BAD;
}

static CK_RV configure(const char *parameters, struct config *ret)
{
    if (inherited_valid && !parameters)
        TRY(config_copy(&inherited, ret));
    else
        TRY(config_load(parameters, ret));
    log_setup(ret->log, ret->log_file);
    return CKR_OK;
}

/* state held. */
static CK_RV initialize(const char *parameters)
{
    struct config config;
    while (finalizing) /* the old library first has to be gone */
        pthread_cond_wait(&idle, &state);
    if (library)
        return CKR_CRYPTOKI_ALREADY_INITIALIZED;
    TRY(configure(parameters, &config));
    TRY(library_open(&config, &library));
    lost_by_fork = false;
    return CKR_OK;
}

/* No string lies there (mmap_min_addr): somebody put a number into pReserved. */
enum { LOWEST_ADDRESS = 4096 };

static CK_RV C_Initialize_(void *init_args)
{
    const CK_C_INITIALIZE_ARGS *args = init_args;
    pthread_once(&once, register_fork_handlers);
    if (args)
        TRY(check_arguments(args));
    /* the module's parameters: NSS's library parameters and p11-kit's x-init-reserved come here */
    const char *parameters = args ? args->pReserved : NULL;
    if (parameters && (uintptr_t)parameters < LOWEST_ADDRESS)
        return CKR_ARGUMENTS_BAD;
    pthread_mutex_lock(&state);
    CK_RV rv = initialize(parameters);
    pthread_mutex_unlock(&state);
    return rv;
}
ENTRY(C_Initialize, (void *init_args), (init_args))

/* New calls are refused at once, those under way are waited for. */
static CK_RV C_Finalize_(void *reserved)
{
    if (reserved)
        return CKR_ARGUMENTS_BAD;
    pthread_mutex_lock(&state);
    struct library *lib = finalizing ? NULL : library;
    bool forked = lost_by_fork;
    lost_by_fork = false;
    finalizing = finalizing || lib;
    pthread_cond_broadcast(&ending);
    while (lib && active)
        pthread_cond_wait(&idle, &state);
    if (lib)
        library = NULL;
    pthread_mutex_unlock(&state);
    if (!lib)
        return forked ? CKR_OK : CKR_CRYPTOKI_NOT_INITIALIZED;
    library_close(&lib);
    log_flush();
    pthread_mutex_lock(&state);
    finalizing = false;
    pthread_cond_broadcast(&idle);
    pthread_mutex_unlock(&state);
    return CKR_OK;
}
ENTRY(C_Finalize, (void *reserved), (reserved))
