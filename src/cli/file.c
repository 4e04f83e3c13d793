#include "file.h"

#include "stream.h"

static CK_RV read_all(struct input *in, struct buf *ret)
{
    enum { PIECE = 16384 };
    for (size_t got = PIECE; got == PIECE;) {
        uint8_t *room;
        TRY(buf_extend(ret, PIECE, &room));
        TRY(input_read(in, room, PIECE, &got));
        ret->n -= PIECE - got;
    }
    return CKR_OK;
}

CK_RV file_get(const char *path, struct buf *ret)
{
    CLEANUP(input_close) struct input in = {.fd = -1};
    TRY(input_open(path, "reading", &in));
    return read_all(&in, ret);
}

static CK_RV put(const char *path, enum output_mode mode, struct bytes content)
{
    CLEANUP(output_close) struct output out = {.fd = -1};
    TRY(output_open(path, mode, &out));
    TRY(output_write(&out, content));
    return output_commit(&out);
}

CK_RV file_put(const char *path, struct bytes content)
{
    return put(path, OUTPUT_OPEN, content);
}

CK_RV file_put_private(const char *path, struct bytes content)
{
    return put(path, OUTPUT_PRIVATE, content);
}
