#include "memory.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

enum { WINDOW = 16, STEP = 8, CHUNK = 1 << 20, PAGE = 4096 };
/* A sanitizer's shadow is terabytes of nothing. */
#define LARGEST ((uint64_t)1 << 30)
struct needle *needle_add(struct needles *list, const char *name, const void *p, size_t n)
{
    struct needle *needle = &list->v[list->n++];
    assert_in_range(list->n, 1, COUNT(list->v));
    assert_in_range(n, WINDOW, sizeof needle->p);
    *needle = (struct needle){.name = name, .n = n};
    memcpy(needle->p, p, n);
    return needle;
}

void needle_add_number(struct needles *list, const char *name, const void *p, size_t n)
{
    struct needle *turned;
    needle_add(list, name, p, n);
    turned = needle_add(list, name, p, n);
    for (size_t i = 0; i < n; i++)
        turned->p[i] = ((const uint8_t *)p)[n - 1 - i];
}

void needle_add_key(struct needles *list, const char *name, const void *p, size_t n)
{
    static const uint8_t pads[] = {0x36, 0x5C};
    needle_add(list, name, p, n);
    for (size_t k = 0; k < COUNT(pads); k++) {
        struct needle *padded = needle_add(list, name, p, n);
        for (size_t i = 0; i < n; i++)
            padded->p[i] ^= pads[k];
    }
}

/* ---- windows, found by their first two bytes ---------------------------------------------------
 */

struct index {
    const struct needles *list;
    uint8_t first[8192]; /* a bit for each first two bytes */
};

static unsigned two_bytes(const uint8_t *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

static size_t next_window(const struct needle *needle, size_t at)
{
    size_t last = needle->n - WINDOW;
    return at == last ? SIZE_MAX : at + STEP > last ? last : at + STEP;
}

static void index_make(const struct needles *list, struct index *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->list = list;
    for (size_t i = 0; i < list->n; i++)
        for (size_t at = 0; at != SIZE_MAX; at = next_window(&list->v[i], at)) {
            unsigned key = two_bytes(list->v[i].p + at);
            ret->first[key / 8] |= (uint8_t)(1u << key % 8);
        }
}

static const struct needle *match(const struct index *x, const uint8_t *p)
{
    unsigned key = two_bytes(p);
    if (!(x->first[key / 8] & 1u << key % 8))
        return NULL;
    for (size_t i = 0; i < x->list->n; i++)
        for (size_t at = 0; at != SIZE_MAX; at = next_window(&x->list->v[i], at))
            if (memcmp(p, x->list->v[i].p + at, WINDOW) == 0)
                return &x->list->v[i];
    return NULL;
}

/* ---- processes ------------------------------------------------------------------------------- */

struct region {
    uint64_t from, to;
    char header[300]; /* its line in smaps */
    bool guarded;     /* VmFlags: not dumped, locked, wiped in a child */
};

/* A sanitizer makes mlock do nothing, a small RLIMIT_MEMLOCK lets it fail. */
static bool can_lock(void)
{
#ifdef __SANITIZE_ADDRESS__
    return false;
#else
    struct rlimit limit;
    return getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur >= 1 << 20;
#endif
}

static bool has_flag(const char *flags, const char *flag)
{
    return strstr(flags, flag) != NULL;
}

/* The next of /proc/PID/smaps; the header of the one after it is in line already. */
static bool next_region(FILE *smaps, char *line, size_t size, struct region *ret)
{
    unsigned long from, to;
    if (sscanf(line, "%lx-%lx ", &from, &to) != 2)
        return false;
    *ret = (struct region){.from = from, .to = to};
    snprintf(ret->header, sizeof ret->header, "%s", line);
    ret->header[strcspn(ret->header, "\n")] = '\0';
    *line = '\0';
    while (fgets(line, (int)size, smaps) != NULL && line[0] >= 'A' && line[0] <= 'Z')
        if (strncmp(line, "VmFlags:", 8) == 0) {
            line[strcspn(line, "\n")] = ' ';
            ret->guarded = has_flag(line, " dd ") && has_flag(line, " wf ") &&
                           (!can_lock() || has_flag(line, " lo "));
        }
    return true;
}

static bool skipped(const struct region *r, const char *except)
{
    return r->to - r->from > LARGEST || strstr(r->header, "[v") != NULL || /* vvar, vsyscall */
           (strchr(r->header, '/') != NULL && strstr(r->header, " r-") != NULL) ||
           (except != NULL && strstr(r->header, except) != NULL);
}

/* Most of a large mapping is untouched. */
static bool is_zero(const uint8_t *p, size_t n)
{
    static const uint8_t zero[PAGE];
    return n >= PAGE && memcmp(p, zero, PAGE) == 0;
}

static unsigned search_bytes(const struct index *x, const uint8_t *p, size_t n,
                             const struct region *r, uint64_t from, enum memory_rule rule)
{
    unsigned found = 0;
    for (size_t i = 0; i + WINDOW <= n; i++) {
        if (i % PAGE == 0 && is_zero(p + i, n - i)) {
            i += PAGE - 1;
            continue;
        }
        const struct needle *needle = match(x, p + i);
        if (needle == NULL || (rule == MEMORY_GUARDED && (needle->ordinary || r->guarded)))
            continue;
        print_error("%s at 0x%lx in %s\n", needle->name, (unsigned long)(from + i), r->header);
        found++;
        i += WINDOW - 1;
    }
    return found;
}

static unsigned search_region(int mem, const struct index *x, const struct region *r,
                              enum memory_rule rule)
{
    static uint8_t chunk[CHUNK + WINDOW];
    unsigned found = 0;
    for (uint64_t at = r->from; at < r->to; at += CHUNK) {
        size_t left = r->to - at, want = left < sizeof chunk ? left : sizeof chunk;
        ssize_t n = pread(mem, chunk, want, (off_t)at);
        if (n > 0)
            found += search_bytes(x, chunk, (size_t)n, r, at, rule);
    }
    return found;
}

unsigned memory_search(pid_t pid, const struct needles *list, enum memory_rule rule,
                       const char *except)
{
    static struct index x;
    char path[64], line[512];
    struct region r;
    unsigned found = 0;
    snprintf(path, sizeof path, "/proc/%d/smaps", (int)pid);
    FILE *smaps = fopen(path, "re");
    snprintf(path, sizeof path, "/proc/%d/mem", (int)pid);
    int mem = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(smaps != NULL && mem >= 0);
    index_make(list, &x);
    if (fgets(line, sizeof line, smaps) == NULL)
        *line = '\0';
    while (next_region(smaps, line, sizeof line, &r))
        if (!skipped(&r, except))
            found += search_region(mem, &x, &r, rule);
    fclose(smaps);
    close(mem);
    return found;
}

/* ---- files ----------------------------------------------------------------------------------- */

static unsigned search_hex(const struct needles *list, const char *text, const char *path)
{
    unsigned found = 0;
    for (size_t i = 0; i < list->n; i++) {
        char hex[2 * WINDOW + 1];
        for (size_t k = 0; k < WINDOW; k++)
            snprintf(hex + 2 * k, 3, "%02x", list->v[i].p[k]);
        if (strcasestr(text, hex) != NULL) {
            print_error("%s, hexadecimal, in %s\n", list->v[i].name, path);
            found++;
        }
    }
    return found;
}

unsigned file_search(const char *path, const struct needles *list)
{
    static struct index x;
    struct region r = {.to = 0};
    unsigned found = 0;
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    size_t n = (size_t)ftell(f);
    rewind(f);
    char *text = malloc(n + 1);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, n, f), n);
    text[n] = '\0';
    fclose(f);
    index_make(list, &x);
    snprintf(r.header, sizeof r.header, "%s", path);
    found = search_bytes(&x, (const uint8_t *)text, n, &r, 0, MEMORY_CLEAN);
    if (memchr(text, 0, n) == NULL) /* a text */
        found += search_hex(list, text, path);
    free(text);
    return found;
}
