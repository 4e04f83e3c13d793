/* What the fuzz targets share. A target is LLVMFuzzerTestOneInput: driven by libFuzzer, or by
 * replay.c with the files of its corpus. */
#ifndef FUZZ_H
#define FUZZ_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <base/log.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold whatever the input was. */
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            dprintf(STDERR_FILENO, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                 \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* A new directory, which the target's end removes; tests/fuzz/run has it in memory. */
static inline int scratch_remove(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st, (void)kind, (void)ftw;
    return remove(path);
}

static char scratch[128];

static inline void scratch_end(void)
{
    nftw(scratch, scratch_remove, 8, FTW_DEPTH | FTW_PHYS);
}

static inline void scratch_make(void)
{
    const char *base = getenv("TMPDIR");
    snprintf(scratch, sizeof(scratch), "%s/fuzz.XXXXXX", base && strlen(base) < 96 ? base : "/tmp");
    CHECK(mkdtemp(scratch) && atexit(scratch_end) == 0);
}

/* The next number of the input; 0 when there is none. */
static inline uint8_t next_u8(struct bytes *in)
{
    uint8_t v = 0;
    bytes_take_u8(in, &v);
    return v;
}

/* As many bytes as the number before them says, or as there are. */
static inline struct bytes next_slice(struct bytes *in)
{
    struct bytes ret = NO_BYTES;
    size_t n = next_u8(in);
    bytes_take(in, n < in->n ? n : in->n, &ret);
    return ret;
}

#endif
