/* A TCTI for lib/resource_manager.c, loaded by its path: what tcti-device is to /dev/tpmrm0. A
 * connection a context; an errno is an I/O error. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <tss2/tss2_tcti.h>

#include "swtpm.h"

#define HEADER 10
#define MAGIC  0x6B726D2D74657374ULL

struct connection {
    TSS2_TCTI_CONTEXT_COMMON_V2 common; /* first: TSS2_TCTI_CONTEXT is this */
    int fd;
};

static struct connection *of(TSS2_TCTI_CONTEXT *context)
{
    return (struct connection *)context;
}

static uint32_t u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static TSS2_RC transmit(TSS2_TCTI_CONTEXT *context, size_t n, const uint8_t *command)
{
    return write_fully(of(context)->fd, command, n) ? TSS2_RC_SUCCESS : TSS2_TCTI_RC_IO_ERROR;
}

static TSS2_RC receive(TSS2_TCTI_CONTEXT *context, size_t *n, uint8_t *response, int32_t timeout)
{
    (void)timeout;
    uint8_t header[HEADER];
    int fd = of(context)->fd;
    if (!read_fully(fd, header, HEADER))
        return TSS2_TCTI_RC_IO_ERROR;
    size_t size = u32(header + 2);
    if (header[0] == 0) { /* the device's read() failed */
        errno = (int)u32(header + 6);
        return TSS2_TCTI_RC_IO_ERROR;
    }
    if (size < HEADER || size > *n)
        return TSS2_TCTI_RC_INSUFFICIENT_BUFFER;
    memcpy(response, header, HEADER);
    *n = size;
    return read_fully(fd, response + HEADER, size - HEADER) ? TSS2_RC_SUCCESS
                                                            : TSS2_TCTI_RC_IO_ERROR;
}

static void finalize(TSS2_TCTI_CONTEXT *context)
{
    close(of(context)->fd);
}

static TSS2_RC cancel(TSS2_TCTI_CONTEXT *context)
{
    (void)context;
    return TSS2_TCTI_RC_NOT_IMPLEMENTED;
}

static TSS2_RC poll_handles(TSS2_TCTI_CONTEXT *context, TSS2_TCTI_POLL_HANDLE *handles, size_t *n)
{
    if (handles != NULL)
        handles[0] = (TSS2_TCTI_POLL_HANDLE){.fd = of(context)->fd, .events = POLLIN};
    *n = 1;
    return TSS2_RC_SUCCESS;
}

static TSS2_RC set_locality(TSS2_TCTI_CONTEXT *context, uint8_t locality)
{
    (void)context;
    (void)locality;
    return TSS2_TCTI_RC_NOT_IMPLEMENTED;
}

static TSS2_RC make_sticky(TSS2_TCTI_CONTEXT *context, TPM2_HANDLE *handle, uint8_t sticky)
{
    (void)context;
    (void)handle;
    (void)sticky;
    return TSS2_TCTI_RC_NOT_IMPLEMENTED;
}

static TSS2_RC init(TSS2_TCTI_CONTEXT *context, size_t *n, const char *path)
{
    *n = sizeof(struct connection);
    if (context == NULL)
        return TSS2_RC_SUCCESS;
    struct connection *c = of(context);
    *c = (struct connection){
        .common = {.v1 = {.magic = MAGIC,
                          .version = 2,
                          .transmit = transmit,
                          .receive = receive,
                          .finalize = finalize,
                          .cancel = cancel,
                          .getPollHandles = poll_handles,
                          .setLocality = set_locality},
                   .makeSticky = make_sticky},
        .fd = unix_connect(path),
    };
    return c->fd >= 0 ? TSS2_RC_SUCCESS : TSS2_TCTI_RC_IO_ERROR;
}

static const TSS2_TCTI_INFO info = {
    .version = 2,
    .name = "kernelrm",
    .description = "the tests' imitation of /dev/tpmrm0",
    .config_help = "path of its socket",
    .init = init,
};

__attribute__((visibility("default"))) const TSS2_TCTI_INFO *Tss2_Tcti_Info(void);

const TSS2_TCTI_INFO *Tss2_Tcti_Info(void)
{
    return &info;
}
