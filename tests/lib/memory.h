/* Another process's memory, searched for secrets: its heap, freed memory and all stacks. */
#ifndef TESTS_MEMORY_H
#define TESTS_MEMORY_H

#include "fixture.h"

struct needle {
    const char *name;
    size_t n;
    bool ordinary; /* may lie in ordinary memory as long as it is in use */
    uint8_t p[640];
};

struct needles {
    size_t n;
    struct needle v[160];
};

/* At least 16 bytes of high entropy. Any 16 bytes of it, at a multiple of 8 or at its end, are
 * found: freed memory loses its first bytes to the allocator. */
struct needle *needle_add(struct needles *list, const char *name, const void *p, size_t n);
/* The same, and in the forms that computing leaves: as a number in the order of its limbs, and as
 * an HMAC key under the two pads (RFC 2104). */
void needle_add_number(struct needles *list, const char *name, const void *p, size_t n);
void needle_add_key(struct needles *list, const char *name, const void *p, size_t n);

enum memory_rule {
    MEMORY_CLEAN,   /* no needle anywhere */
    MEMORY_GUARDED, /* only where nothing is dumped, swapped or inherited by a child */
};

/* How many needles are where they must not be; each is printed. The mapping of the file `except` is
 * passed over: what is in there is the host program's. */
unsigned memory_search(pid_t pid, const struct needles *list, enum memory_rule rule,
                       const char *except);
/* Does the file contain one, as it is or in hexadecimal? */
unsigned file_search(const char *path, const struct needles *list);

#endif
