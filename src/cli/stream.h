/* Files of any size in and out, a piece at a time. */
#ifndef CLI_STREAM_H
#define CLI_STREAM_H

#include "cli.h"

struct input {
    int fd;
    const char *name; /* for messages */
    uint64_t size;    /* 0: not known */
    uint64_t done;
    struct spinner *progress; /* NULL: small, or no terminal */
};

/* path NULL or "-": standard input. doing: what a terminal shows while it lasts. */
CK_RV input_open(const char *path, const char *doing, struct input *ret);
/* Up to n bytes; fewer only at the end. */
CK_RV input_read(struct input *in, uint8_t *room, size_t n, size_t *ret_n);
void input_close(struct input *in);

struct output {
    int fd;
    char *path;      /* what it will be called; NULL: written where it goes at once */
    char *temporary; /* what it is called until then; NULL: nothing yet */
};

enum output_mode { OUTPUT_OPEN = 0666, OUTPUT_PRIVATE = 0600 };

/* path NULL or "-": standard output. A file is there under its name only when output_commit has
 * succeeded; until then its old content stays. One that is there keeps its permissions. */
CK_RV output_open(const char *path, enum output_mode mode, struct output *ret);
CK_RV output_write(struct output *out, struct bytes piece);
CK_RV output_commit(struct output *out);
/* Accepts a committed one; otherwise nothing is left of it. */
void output_close(struct output *out);

#endif
