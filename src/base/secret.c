#include "secret.h"

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include "log.h"

/* Small secrets come from one arena of blocks, large ones from mappings of their own. The book of
 * used blocks lies outside the arena: MADV_WIPEONFORK empties the arena in a child, not the book.
 */
enum { BLOCK = 64, BLOCKS = 1024, ARENA = BLOCK * BLOCKS };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards everything below */
static uint8_t *arena;
static uint8_t used[BLOCKS];
static size_t in_use;
static bool warned;

static void *map_locked(size_t n)
{
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    /* RLIMIT_MEMLOCK may refuse: the program goes on, the log says once what is missing */
    if (mlock(p, n) != 0 && !warned) {
        warned = true;
        log_warn("secrets cannot be locked into RAM (RLIMIT_MEMLOCK); they may reach swap");
    }
    madvise(p, n, MADV_DONTDUMP);
    madvise(p, n, MADV_WIPEONFORK);
    return p;
}

static size_t blocks_for(size_t n)
{
    return n ? (n + BLOCK - 1) / BLOCK : 1;
}

static uint8_t *take_blocks(size_t want)
{
    size_t run = 0;
    for (size_t i = 0; i < BLOCKS; i++) {
        run = used[i] ? 0 : run + 1;
        if (run == want) {
            memset(used + i + 1 - want, 1, want);
            return arena + (i + 1 - want) * BLOCK;
        }
    }
    return NULL;
}

CK_RV secret_new(struct secret *ret, size_t n)
{
    if (n > SIZE_MAX / 2)
        return CKR_HOST_MEMORY;
    uint8_t *p = NULL;
    pthread_mutex_lock(&lock);
    if (!arena)
        arena = map_locked(ARENA);
    if (arena && n <= ARENA / 4)
        p = take_blocks(blocks_for(n));
    if (!p)
        p = map_locked(n ? n : 1);
    if (p)
        in_use += n;
    pthread_mutex_unlock(&lock);
    if (!p)
        return CKR_HOST_MEMORY;
    *ret = (struct secret){p, n};
    return CKR_OK;
}

CK_RV secret_copy(struct secret *ret, struct bytes from)
{
    TRY(secret_new(ret, from.n));
    if (from.n)
        memcpy(ret->p, from.p, from.n);
    return CKR_OK;
}

void secret_free(struct secret *s)
{
    if (!s->p)
        return;
    explicit_bzero(s->p, s->n);
    pthread_mutex_lock(&lock);
    in_use -= s->n;
    if (arena && s->p >= arena && s->p < arena + ARENA)
        memset(used + (size_t)(s->p - arena) / BLOCK, 0, blocks_for(s->n));
    else
        munmap(s->p, s->n ? s->n : 1);
    pthread_mutex_unlock(&lock);
    *s = (struct secret){0};
}

bool secret_equal(struct bytes a, struct bytes b)
{
    if (a.n != b.n)
        return false;
    uint8_t difference = 0;
    for (size_t i = 0; i < a.n; i++)
        difference |= (uint8_t)(((const volatile uint8_t *)a.p)[i] ^ b.p[i]);
    return difference == 0;
}

void secret_wipe(void *p, size_t n)
{
    if (n)
        explicit_bzero(p, n);
}

size_t secret_in_use(void)
{
    pthread_mutex_lock(&lock);
    size_t n = in_use;
    pthread_mutex_unlock(&lock);
    return n;
}

void secret_before_fork(void)
{
    pthread_mutex_lock(&lock);
}

void secret_after_fork_parent(void)
{
    pthread_mutex_unlock(&lock);
}

void secret_after_fork_child(void)
{
    pthread_mutex_init(&lock, NULL);
}
