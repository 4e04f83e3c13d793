#include "file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static CK_RV read_all(FILE *f, struct buf *ret)
{
    char some[4096];
    size_t n;
    while ((n = fread(some, 1, sizeof(some), f)) > 0)
        TRY(buf_append(ret, some, n));
    return CKR_OK;
}

CK_RV file_get(const char *path, struct buf *ret)
{
    FILE *f = strcmp(path, "-") ? fopen(path, "re") : stdin;
    if (!f)
        return fail(errno == ENOENT ? EXIT_NOT_FOUND : EXIT_FAILED, NULL, "%s cannot be read: %s",
                    path, strerror(errno));
    errno = 0;
    CK_RV rv = read_all(f, ret);
    if (rv == CKR_OK && ferror(f))
        rv = fail(EXIT_FAILED, NULL, "%s cannot be read: %s", path, strerror(errno));
    if (f != stdin)
        fclose(f);
    return rv;
}

CK_RV file_put(const char *path, struct bytes content)
{
    FILE *f = path ? fopen(path, "we") : stdout;
    bool ok = f && fwrite(content.p, 1, content.n, f) == content.n && fflush(f) == 0;
    int reason = errno;
    if (f && path && fclose(f) != 0)
        ok = false;
    return ok ? CKR_OK
              : fail(EXIT_FAILED, NULL, "%s cannot be written: %s", path ? path : "the output",
                     strerror(reason));
}
