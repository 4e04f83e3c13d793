/* Files of the source tree that are part of the command: made by cmake/embed.cmake. */
#ifndef CLI_EMBEDDED_H
#define CLI_EMBEDDED_H

#include <stddef.h>
#include <stdint.h>

struct embedded {
    const char *name;    /* the file's, without its directory */
    const uint8_t *text; /* NUL-terminated */
    size_t n;            /* without the NUL */
};

/* src/cli/examples: the first line is the summary, the rest the template. */
extern const struct embedded examples[];
extern const size_t n_examples;

#endif
