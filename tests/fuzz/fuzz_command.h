/* What the targets of the `latchkey` command share: its files in memory, its words to nobody. */
#ifndef FUZZ_COMMAND_H
#define FUZZ_COMMAND_H

#include "fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

struct memory_file {
    int fd;
    char path[64];
};

static inline struct memory_file memory_file(const char *name)
{
    struct memory_file f = {.fd = memfd_create(name, MFD_CLOEXEC)};
    CHECK(f.fd >= 0);
    snprintf(f.path, sizeof(f.path), "/proc/self/fd/%d", f.fd);
    return f;
}

static inline void memory_file_set(const struct memory_file *f, struct bytes content)
{
    CHECK(ftruncate(f->fd, 0) == 0);
    CHECK(pwrite(f->fd, content.p, content.n, 0) == (ssize_t)content.n);
}

/* The command tells of each failure; CHECK and the sanitizers are heard. */
static FILE *told, *heard;

static inline void quiet(bool on)
{
    if (!told) {
        told = fopen("/dev/null", "w");
        heard = stderr;
    }
    CHECK(told);
    stderr = on ? told : heard;
}

#endif
