/* Its inline functions would stand before those of libc, which this file replaces. */
#undef _FORTIFY_SOURCE

#include "faults.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/provider.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What the next library in the search order calls so: libc's, or the sanitizer's before it. */
#define NEXT(f)                                                                                    \
    (__extension__({                                                                               \
        static __typeof__(&f) next_;                                                               \
        if (next_ == NULL)                                                                         \
            *(void **)&next_ = dlsym(RTLD_NEXT, #f);                                               \
        next_;                                                                                     \
    }))

/* ---- when ---------------------------------------------------------------------------------- */

static struct fault fault;
static long known_leak;
static _Thread_local int inside;
static atomic_ulong own_calls, *calls = &own_calls;

void fault_set(const struct fault *f)
{
    if (calls == &own_calls) {
        void *shared =
            mmap(NULL, sizeof *calls, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (shared != MAP_FAILED)
            calls = shared;
    }
    fault = *f;
    known_leak = 0;
    atomic_store(calls, 0);
}

void fault_enter(void)
{
    inside++;
}

void fault_leave(void)
{
    inside--;
}

unsigned long fault_calls(void)
{
    return atomic_load(calls);
}

bool fault_struck(void)
{
    return fault.nth > 0 && fault_calls() >= fault.nth;
}

static bool strikes(enum fault_kind kind)
{
    if (inside == 0 || fault.kind != kind)
        return false;
    unsigned long n = atomic_fetch_add(calls, 1) + 1;
    return fault.lasting ? fault.nth > 0 && n >= fault.nth : n == fault.nth;
}

/* ---- memory -------------------------------------------------------------------------------- */

/* libc's own names; and ASan's, whose allocator must see every block. */
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t each);
void *__libc_realloc(void *p, size_t n);
void __libc_free(void *p);
void *__interceptor_malloc(size_t n) __attribute__((weak));
void *__interceptor_calloc(size_t n, size_t each) __attribute__((weak));
void *__interceptor_realloc(void *p, size_t n) __attribute__((weak));
void __interceptor_free(void *p) __attribute__((weak));

static atomic_long blocks;

long faults_blocks(void)
{
    return atomic_load(&blocks);
}

static bool no_memory(void)
{
    if (!strikes(FAULT_MEMORY))
        return false;
    errno = ENOMEM;
    return true;
}

static void *counted(void *p)
{
    if (p != NULL)
        atomic_fetch_add(&blocks, 1);
    return p;
}

void *malloc(size_t n)
{
    if (no_memory())
        return NULL;
    return counted(__interceptor_malloc ? __interceptor_malloc(n) : __libc_malloc(n));
}

void *calloc(size_t n, size_t each)
{
    if (no_memory())
        return NULL;
    return counted(__interceptor_calloc ? __interceptor_calloc(n, each) : __libc_calloc(n, each));
}

void *realloc(void *p, size_t n)
{
    if (no_memory())
        return NULL;
    void *fresh = __interceptor_realloc ? __interceptor_realloc(p, n) : __libc_realloc(p, n);
    if (p == NULL)
        counted(fresh);
    else if (n == 0 && fresh == NULL)
        atomic_fetch_sub(&blocks, 1);
    return fresh;
}

void free(void *p)
{
    if (p != NULL)
        atomic_fetch_sub(&blocks, 1);
    if (__interceptor_free)
        __interceptor_free(p);
    else
        __libc_free(p);
}

/* glibc's loader does not survive a failed allocation: it finds that library no more (2.36). */
void *dlopen(const char *path, int flags)
{
    int was = inside;
    inside = 0;
    void *ret = NEXT(dlopen)(path, flags);
    inside = was;
    return ret;
}

/* Known leaks, of libcrypto 3.0 (seen with 3.0.19), of what no caller can free. OSSL_LIB_CTX_new:
 * where ossl_property_parse_init fails, context_init frees the locks, but not what
 * ossl_lib_ctx_get_data has hung into the context by then. OSSL_PROVIDER_load:
 * ossl_lib_ctx_generic_new does not look whether CRYPTO_set_ex_data has kept the method store,
 * which is four blocks (ossl_method_store_new). */
enum { METHOD_STORE = 4 };
void __lsan_disable(void) __attribute__((weak));
void __lsan_enable(void) __attribute__((weak));

#define LEAKY(call)                                                                                \
    (__extension__({                                                                               \
        bool unwatched_ = inside > 0 && fault.kind == FAULT_MEMORY && __lsan_disable != NULL;      \
        if (unwatched_)                                                                            \
            __lsan_disable();                                                                      \
        __typeof__(call) leaky_ret_ = (call);                                                      \
        if (unwatched_)                                                                            \
            __lsan_enable();                                                                       \
        leaky_ret_;                                                                                \
    }))

OSSL_LIB_CTX *OSSL_LIB_CTX_new(void)
{
    long before = faults_blocks();
    OSSL_LIB_CTX *ret = LEAKY(NEXT(OSSL_LIB_CTX_new)());
    if (ret == NULL)
        known_leak = faults_blocks() - before;
    return ret;
}

OSSL_PROVIDER *OSSL_PROVIDER_load(OSSL_LIB_CTX *context, const char *name)
{
    bool before = fault_struck();
    OSSL_PROVIDER *ret = LEAKY(NEXT(OSSL_PROVIDER_load)(context, name));
    if (fault_struck() && !before)
        known_leak = METHOD_STORE;
    return ret;
}

long fault_known_leak(void)
{
    return known_leak;
}

/* The sanitizer's would not come by malloc. */
char *strdup(const char *s)
{
    size_t n = strlen(s) + 1;
    char *copy = malloc(n);
    return copy == NULL ? NULL : memcpy(copy, s, n);
}

static void *map(void *p, size_t n, int protection, int flags, int fd, off_t offset)
{
    if ((flags & MAP_ANONYMOUS) && no_memory())
        return MAP_FAILED;
    return NEXT(mmap)(p, n, protection, flags, fd, offset);
}

void *mmap(void *p, size_t n, int protection, int flags, int fd, off_t offset)
{
    return map(p, n, protection, flags, fd, offset);
}

void *mmap64(void *p, size_t n, int protection, int flags, int fd, off64_t offset)
{
    return map(p, n, protection, flags, fd, offset);
}

int mlock(const void *p, size_t n)
{
    return no_memory() ? -1 : NEXT(mlock)(p, n);
}

/* ---- files --------------------------------------------------------------------------------- */

static bool dying; /* after the write under way */

static void die(void)
{
    kill(getpid(), SIGKILL);
}

static bool here(const char *path)
{
    return fault.beside == NULL || strstr(path, fault.beside) != NULL;
}

/* errno is set; a short read or write is none. */
static bool file_fails(unsigned files, const char *path)
{
    if (inside == 0 || fault.kind != FAULT_FILE || !(fault.files & files) || !here(path) ||
        !strikes(FAULT_FILE))
        return false;
    errno = fault.code;
    dying = fault.code == FAULT_KILL;
    if (dying && files != FILE_WRITE)
        die();
    return fault.code > 0;
}

static bool fd_fails(unsigned files, int fd)
{
    char link[32], path[512];
    struct stat st;
    if (inside == 0 || fault.kind != FAULT_FILE || syscall(SYS_fstat, fd, &st) != 0 ||
        S_ISSOCK(st.st_mode))
        return false;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    long n = syscall(SYS_readlink, link, path, sizeof path - 1);
    path[n < 0 ? 0 : n] = '\0';
    return file_fails(files, path);
}

/* *n is halved where the fault is no error. */
static bool transfer_fails(unsigned files, int fd, size_t *n)
{
    int before = errno;
    errno = 0;
    if (fd_fails(files, fd))
        return true;
    if (errno != 0)
        *n /= 2;
    errno = before;
    return false;
}

static ssize_t transferred(ssize_t n)
{
    if (dying)
        die();
    return n;
}

static unsigned opening(int flags)
{
    return (flags & O_ACCMODE) == O_RDONLY ? FILE_OPEN : FILE_CHANGE;
}

#define OPEN(name)                                                                                 \
    int name(const char *path, int flags, ...)                                                     \
    {                                                                                              \
        va_list args;                                                                              \
        va_start(args, flags);                                                                     \
        mode_t mode = (flags & O_CREAT) ? va_arg(args, mode_t) : 0;                                \
        va_end(args);                                                                              \
        return file_fails(opening(flags), path) ? -1 : NEXT(name)(path, flags, mode);              \
    }
OPEN(open)
OPEN(open64)

#define LOOK(name, stat_type)                                                                      \
    int name(const char *path, struct stat_type *ret)                                              \
    {                                                                                              \
        return file_fails(FILE_LOOK, path) ? -1 : NEXT(name)(path, ret);                           \
    }
LOOK(stat, stat)
LOOK(stat64, stat64)
LOOK(lstat, stat)
LOOK(lstat64, stat64)

#define LOOK_FD(name, stat_type)                                                                   \
    int name(int fd, struct stat_type *ret)                                                        \
    {                                                                                              \
        return fd_fails(FILE_LOOK, fd) ? -1 : NEXT(name)(fd, ret);                                 \
    }
LOOK_FD(fstat, stat)
LOOK_FD(fstat64, stat64)

int access(const char *path, int mode)
{
    return file_fails(FILE_LOOK, path) ? -1 : NEXT(access)(path, mode);
}

int faccessat(int dir, const char *path, int mode, int flags)
{
    return file_fails(FILE_LOOK, path) ? -1 : NEXT(faccessat)(dir, path, mode, flags);
}

int mkdir(const char *path, mode_t mode)
{
    return file_fails(FILE_CHANGE, path) ? -1 : NEXT(mkdir)(path, mode);
}

int mkostemp(char *path, int flags)
{
    return file_fails(FILE_CHANGE, path) ? -1 : NEXT(mkostemp)(path, flags);
}

int link(const char *from, const char *to)
{
    return file_fails(FILE_CHANGE, to) ? -1 : NEXT(link)(from, to);
}

int chmod(const char *path, mode_t mode)
{
    return file_fails(FILE_CHANGE, path) ? -1 : NEXT(chmod)(path, mode);
}

int fchmod(int fd, mode_t mode)
{
    return fd_fails(FILE_CHANGE, fd) ? -1 : NEXT(fchmod)(fd, mode);
}

int unlink(const char *path)
{
    return file_fails(FILE_REMOVE, path) ? -1 : NEXT(unlink)(path);
}

int fsync(int fd)
{
    return fd_fails(FILE_SYNC, fd) ? -1 : NEXT(fsync)(fd);
}

int fdatasync(int fd)
{
    return fd_fails(FILE_SYNC, fd) ? -1 : NEXT(fdatasync)(fd);
}

ssize_t read(int fd, void *p, size_t n)
{
    return transfer_fails(FILE_READ, fd, &n) ? -1 : transferred(NEXT(read)(fd, p, n));
}

ssize_t write(int fd, const void *p, size_t n)
{
    return transfer_fails(FILE_WRITE, fd, &n) ? -1 : transferred(NEXT(write)(fd, p, n));
}

#define TRANSFER(name, files, pointer, offset_type)                                                \
    ssize_t name(int fd, pointer p, size_t n, offset_type at)                                      \
    {                                                                                              \
        return transfer_fails(files, fd, &n) ? -1 : transferred(NEXT(name)(fd, p, n, at));         \
    }
TRANSFER(pread, FILE_READ, void *, off_t)
TRANSFER(pread64, FILE_READ, void *, off64_t)
TRANSFER(pwrite, FILE_WRITE, const void *, off_t)
TRANSFER(pwrite64, FILE_WRITE, const void *, off64_t)

int ftruncate(int fd, off_t n)
{
    return fd_fails(FILE_WRITE, fd) ? -1 : (int)transferred(NEXT(ftruncate)(fd, n));
}

int ftruncate64(int fd, off64_t n)
{
    return fd_fails(FILE_WRITE, fd) ? -1 : (int)transferred(NEXT(ftruncate64)(fd, n));
}

/* Every command's third argument fits a pointer. */
#define CONTROL(name)                                                                              \
    int name(int fd, int command, ...)                                                             \
    {                                                                                              \
        va_list args;                                                                              \
        va_start(args, command);                                                                   \
        void *argument = va_arg(args, void *);                                                     \
        va_end(args);                                                                              \
        bool locks = command == F_SETLK || command == F_SETLKW || command == F_GETLK ||            \
                     command == F_OFD_SETLK || command == F_OFD_SETLKW;                            \
        return locks && fd_fails(FILE_LOCK, fd) ? -1 : NEXT(name)(fd, command, argument);          \
    }
CONTROL(fcntl)
CONTROL(fcntl64)

/* ---- SQLite -------------------------------------------------------------------------------- */

/* Has the test program itself linked to the library: NEXT finds nothing in what only the module
 * loads. */
static int (*const linked)(void) __attribute__((used)) = sqlite3_threadsafe;

/* The library calls itself by the same names. */
static _Thread_local int within_sqlite;

static bool sqlite_fails(void)
{
    return within_sqlite == 0 && strikes(FAULT_SQLITE);
}

#define SERVED(call)                                                                               \
    (__extension__({                                                                               \
        within_sqlite++;                                                                           \
        int served_ret_ = (call);                                                                  \
        within_sqlite--;                                                                           \
        served_ret_;                                                                               \
    }))

#define SQLITE_CALL(name, parameters, ...)                                                         \
    int name parameters                                                                            \
    {                                                                                              \
        return sqlite_fails() ? fault.code : SERVED(NEXT(name)(__VA_ARGS__));                      \
    }
SQLITE_CALL(sqlite3_step, (sqlite3_stmt * s), s)
SQLITE_CALL(sqlite3_bind_int64, (sqlite3_stmt * s, int i, sqlite3_int64 v), s, i, v)
SQLITE_CALL(sqlite3_bind_null, (sqlite3_stmt * s, int i), s, i)
SQLITE_CALL(sqlite3_bind_text, (sqlite3_stmt * s, int i, const char *p, int n, void (*end)(void *)),
            s, i, p, n, end)
SQLITE_CALL(sqlite3_bind_blob, (sqlite3_stmt * s, int i, const void *p, int n, void (*end)(void *)),
            s, i, p, n, end)
SQLITE_CALL(sqlite3_exec,
            (sqlite3 * db, const char *sql, int (*row)(void *, int, char **, char **), void *own,
             char **error),
            db, sql, row, own, error)
SQLITE_CALL(sqlite3_file_control, (sqlite3 * db, const char *name, int what, void *ret), db, name,
            what, ret)

int sqlite3_open_v2(const char *path, sqlite3 **ret, int flags, const char *vfs)
{
    *ret = NULL;
    return sqlite_fails() ? fault.code : SERVED(NEXT(sqlite3_open_v2)(path, ret, flags, vfs));
}

int sqlite3_prepare_v3(sqlite3 *db, const char *sql, int n, unsigned flags, sqlite3_stmt **ret,
                       const char **tail)
{
    *ret = NULL;
    return sqlite_fails() ? fault.code
                          : SERVED(NEXT(sqlite3_prepare_v3)(db, sql, n, flags, ret, tail));
}
