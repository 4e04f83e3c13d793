/* A wire tap: the test program's own Tss2_TctiLdr_Initialize, which the linker prefers to the
 * library's. It wraps the real TCTI, writes down both directions, and lets a test answer in the
 * TPM's place, change an answer, or lose it. */
#ifndef TAP_H
#define TAP_H

#include <dlfcn.h>
#include <tss2/tss2_tcti.h>
#include <tss2/tss2_tctildr.h>

enum { TAP_MESSAGE = 4096, TAP_LOG = 512 };

struct exchange {
    uint32_t code, rc;
    size_t request_n, response_n;
    uint8_t request[TAP_MESSAGE], response[TAP_MESSAGE];
};

enum tap_verdict { TAP_PASS, TAP_REPLACE, TAP_LOSE };

static struct {
    /* Before the TPM sees the command. TAP_REPLACE: it does not, response was filled in; TAP_LOSE:
     * an I/O error in sending. */
    enum tap_verdict (*before)(struct exchange *e);
    /* With the TPM's answer, which may be changed. TAP_LOSE: an I/O error in receiving. */
    enum tap_verdict (*after)(struct exchange *e);
    struct exchange log[TAP_LOG];
    size_t n; /* exchanges in all; the log keeps the first TAP_LOG */
    unsigned opened;
} tap;

static inline void tap_clear(void)
{
    tap.n = 0;
    tap.opened = 0;
}

static inline void tap_reset(void)
{
    tap.before = tap.after = NULL;
    tap_clear();
}

static inline unsigned tap_count(uint32_t code)
{
    unsigned n = 0;
    for (size_t i = 0; i < tap.n && i < TAP_LOG; i++)
        n += tap.log[i].code == code;
    return n;
}

/* Commands, those not counted that the TPM put off: the first use of dictionary-attack protection
 * after its start always answers TPM2_RC_RETRY. */
static inline unsigned tap_commands(void)
{
    unsigned n = 0;
    for (size_t i = 0; i < tap.n && i < TAP_LOG; i++)
        n += tap.log[i].rc != 0x922;
    return n;
}

/* Did these bytes cross the wire in either direction? */
static inline bool tap_carries(const void *p, size_t n)
{
    for (size_t i = 0; i < tap.n && i < TAP_LOG; i++)
        if (memmem(tap.log[i].request, tap.log[i].request_n, p, n) ||
            memmem(tap.log[i].response, tap.log[i].response_n, p, n))
            return true;
    return false;
}

static inline uint32_t tap_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* An answer that is nothing but a response code. */
static inline enum tap_verdict tap_answer(struct exchange *e, uint32_t rc)
{
    const uint8_t response[] = {
        0x80,       1, 0, 0, 0, 10, (uint8_t)(rc >> 24), (uint8_t)(rc >> 16), (uint8_t)(rc >> 8),
        (uint8_t)rc};
    memcpy(e->response, response, sizeof(response));
    e->response_n = sizeof(response);
    return TAP_REPLACE;
}

/* ---- the TCTI ------------------------------------------------------------------------------ */

struct tap_tcti {
    TSS2_TCTI_CONTEXT_COMMON_V2 common; /* first: it is what the layer sees */
    TSS2_TCTI_CONTEXT *inner;
    struct exchange now;
    bool replaced;
};

static TSS2_RC tap_transmit(TSS2_TCTI_CONTEXT *context, size_t n, const uint8_t *command)
{
    struct tap_tcti *t = (struct tap_tcti *)context;
    t->now.code = tap_u32(command + 6);
    t->now.rc = UINT32_MAX;
    t->now.request_n = n;
    t->now.response_n = 0;
    memcpy(t->now.request, command, n);
    enum tap_verdict verdict = tap.before ? tap.before(&t->now) : TAP_PASS;
    t->replaced = verdict == TAP_REPLACE;
    if (verdict == TAP_LOSE)
        return TSS2_TCTI_RC_IO_ERROR;
    return t->replaced ? TSS2_RC_SUCCESS : Tss2_Tcti_Transmit(t->inner, n, command);
}

static TSS2_RC tap_receive(TSS2_TCTI_CONTEXT *context, size_t *n, uint8_t *response,
                           int32_t timeout)
{
    struct tap_tcti *t = (struct tap_tcti *)context;
    enum tap_verdict verdict = TAP_PASS;
    if (!t->replaced) {
        t->now.response_n = sizeof(t->now.response);
        TSS2_RC rc = Tss2_Tcti_Receive(t->inner, &t->now.response_n, t->now.response, timeout);
        if (rc != TSS2_RC_SUCCESS)
            return rc;
        verdict = tap.after ? tap.after(&t->now) : TAP_PASS;
    }
    if (t->now.response_n >= 10)
        t->now.rc = tap_u32(t->now.response + 6);
    if (tap.n++ < TAP_LOG)
        tap.log[tap.n - 1] = t->now;
    if (verdict == TAP_LOSE || t->now.response_n > *n)
        return TSS2_TCTI_RC_IO_ERROR;
    memcpy(response, t->now.response, t->now.response_n);
    *n = t->now.response_n;
    return TSS2_RC_SUCCESS;
}

static TSS2_RC tap_poll_handles(TSS2_TCTI_CONTEXT *context, TSS2_TCTI_POLL_HANDLE *handles,
                                size_t *n)
{
    struct tap_tcti *t = (struct tap_tcti *)context;
    return t->replaced ? TSS2_TCTI_RC_NOT_IMPLEMENTED
                       : Tss2_Tcti_GetPollHandles(t->inner, handles, n);
}

static void tap_finalize(TSS2_TCTI_CONTEXT *context)
{
    (void)context;
}

/* The linker left the library out: nothing else of it is used. */
static void *tap_real(const char *name)
{
    static void *library;
    if (!library)
        library = dlopen("libtss2-tctildr.so.0", RTLD_NOW);
    void *f = library ? dlsym(library, name) : NULL;
    if (!f) {
        fprintf(stderr, "tap: %s\n", dlerror());
        exit(EXIT_FAILURE);
    }
    return f;
}

TSS2_RC Tss2_TctiLdr_Initialize(const char *name, TSS2_TCTI_CONTEXT **ret)
{
    TSS2_RC (*real)(const char *, TSS2_TCTI_CONTEXT **);
    *(void **)&real = tap_real("Tss2_TctiLdr_Initialize");
    struct tap_tcti *t = calloc(1, sizeof(*t));
    TSS2_RC rc = real(name, &t->inner);
    if (rc != TSS2_RC_SUCCESS) {
        free(t);
        return rc;
    }
    t->common.v1.magic = 0x746170; /* "tap" */
    t->common.v1.version = 2;
    t->common.v1.transmit = tap_transmit;
    t->common.v1.receive = tap_receive;
    t->common.v1.finalize = tap_finalize;
    t->common.v1.getPollHandles = tap_poll_handles;
    tap.opened++;
    *ret = (TSS2_TCTI_CONTEXT *)t;
    return TSS2_RC_SUCCESS;
}

void Tss2_TctiLdr_Finalize(TSS2_TCTI_CONTEXT **context)
{
    void (*real)(TSS2_TCTI_CONTEXT **);
    *(void **)&real = tap_real("Tss2_TctiLdr_Finalize");
    struct tap_tcti *t = (struct tap_tcti *)*context;
    if (t)
        real(&t->inner);
    free(t);
    *context = NULL;
}

#endif
