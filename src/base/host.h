/* What calls into other libraries and the kernel would do to the host program, kept from it. */
#ifndef BASE_HOST_H
#define BASE_HOST_H

#include <signal.h>

#include "bytes.h"

/* A write to somebody who has gone away, or beyond RLIMIT_FSIZE, fails; the signal that would come
 * with it (SIGPIPE, SIGXFSZ) and end a host without a handler does not come. For this thread, until
 * the scope is left. */
struct quiet {
    sigset_t mask, pending; /* before */
};
struct quiet host_quiet_begin(void);
void host_quiet_end(struct quiet *q); /* errno stays */
#define QUIET                                                                                      \
    CLEANUP(host_quiet_end) __attribute__((unused)) struct quiet quiet_ = host_quiet_begin()

/* The same descriptor under a number that is no standard stream's: in a host that has closed those,
 * whatever is printed would go into our files. -1 stays -1, with its errno. */
int host_above_stdio(int fd);

/* Keeps others' open() off the standard streams' numbers until the scope is left. */
struct stdio_guard {
    bool held[3];
};
struct stdio_guard host_guard_stdio(void);
void host_release_stdio(struct stdio_guard *g);
#define GUARD_STDIO                                                                                \
    CLEANUP(host_release_stdio)                                                                    \
    __attribute__((unused)) struct stdio_guard stdio_guard_ = host_guard_stdio()

/* A daemon that closes all descriptors closes ours, too, and the next file of its own may get the
 * number: which file was it? */
struct host_file {
    uint64_t device, inode;
};
/* fd < 0: none. */
struct host_file host_file_of(int fd);
bool host_file_is(int fd, struct host_file file);

#endif
