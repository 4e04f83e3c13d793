#include "inner_tpm.h"

#include <base/bytes.h>
#include "fuzz.h"

#include <libtpms/tpm_error.h>
#include <libtpms/tpm_library.h>
#include <tss2/tss2_tctildr.h>
#include <tss2/tss2_tpm2_types.h>

/* ---- its memory ---------------------------------------------------------------------------- */

static const enum TPMLIB_StateType kinds[] = {TPMLIB_STATE_PERMANENT, TPMLIB_STATE_VOLATILE};
enum { KINDS = sizeof(kinds) / sizeof(*kinds) };

static struct {
    unsigned char *p;
    uint32_t n;
} snapshot[KINDS];
static bool permanent_changed;

static TPM_RESULT nothing_to_do(void)
{
    return TPM_SUCCESS;
}

/* Nothing: then libtpms takes what TPMLIB_SetState gave it, or makes a new TPM. */
static TPM_RESULT load(unsigned char **data, uint32_t *n, uint32_t number, const char *name)
{
    (void)data, (void)n, (void)number, (void)name;
    return TPM_RETRY;
}

static TPM_RESULT store(const unsigned char *data, uint32_t n, uint32_t number, const char *name)
{
    (void)data, (void)n, (void)number, (void)name;
    permanent_changed = true;
    return TPM_SUCCESS;
}

static TPM_RESULT forget(uint32_t number, const char *name, TPM_BOOL must)
{
    (void)number, (void)name, (void)must;
    return TPM_SUCCESS;
}

static TPM_RESULT locality(TPM_MODIFIER_INDICATOR *ret, uint32_t number)
{
    (void)number;
    *ret = 0;
    return TPM_SUCCESS;
}

static TPM_RESULT presence(TPM_BOOL *ret, uint32_t number)
{
    (void)number;
    *ret = FALSE;
    return TPM_SUCCESS;
}

/* ---- its commands -------------------------------------------------------------------------- */

static struct {
    unsigned char *p;
    uint32_t n, size;
} answer;

static void process(const uint8_t *command, size_t n)
{
    static unsigned char copy[TPM2_MAX_COMMAND_SIZE];
    CHECK(n <= sizeof(copy));
    memcpy(copy, command, n);
    CHECK(TPMLIB_Process(&answer.p, &answer.n, &answer.size, copy, (uint32_t)n) == TPM_SUCCESS);
}

static bool succeeded(void)
{
    static const uint8_t success[4];
    return answer.n >= 10 && memcmp(answer.p + 6, success, 4) == 0;
}

static TSS2_RC transmit(TSS2_TCTI_CONTEXT *context, size_t n, const uint8_t *command)
{
    (void)context;
    process(command, n);
    return TSS2_RC_SUCCESS;
}

static TSS2_RC receive(TSS2_TCTI_CONTEXT *context, size_t *n, uint8_t *ret, int32_t timeout)
{
    (void)context, (void)timeout;
    CHECK(answer.n <= *n);
    memcpy(ret, answer.p, answer.n);
    *n = answer.n;
    return TSS2_RC_SUCCESS;
}

/* The linker prefers these to the library's. */
TSS2_RC Tss2_TctiLdr_Initialize(const char *name, TSS2_TCTI_CONTEXT **ret)
{
    static TSS2_TCTI_CONTEXT_COMMON_V1 tcti = {
        .version = 1, .transmit = transmit, .receive = receive};
    (void)name;
    *ret = (TSS2_TCTI_CONTEXT *)&tcti;
    return TSS2_RC_SUCCESS;
}

void Tss2_TctiLdr_Finalize(TSS2_TCTI_CONTEXT **context)
{
    *context = NULL;
}

/* ---- its life ------------------------------------------------------------------------------ */

void inner_tpm_start(void)
{
    static const uint8_t startup[] = {0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x44, 0, 0};
    /* TPM2_DictionaryAttackParameters by the lockout hierarchy, whose authorization is empty. */
    static const uint8_t lockout[] = {
        0x80, 2, 0, 0, 0, 39, 0, 0, 1, 0x3A, 0x40, 0, 0, 0x0A, 0,    0, 0, 9, 0x40, 0,
        0,    9, 0, 0, 0, 0,  0, 0, 0, 0x27, 0x10, 0, 0, 3,    0xE8, 0, 0, 3, 0xE8};
    static struct libtpms_callbacks callbacks = {
        .sizeOfStruct = sizeof(callbacks),
        .tpm_nvram_init = nothing_to_do,
        .tpm_nvram_loaddata = load,
        .tpm_nvram_storedata = store,
        .tpm_nvram_deletename = forget,
        .tpm_io_init = nothing_to_do,
        .tpm_io_getlocality = locality,
        .tpm_io_getphysicalpresence = presence,
    };
    CHECK(TPMLIB_ChooseTPMVersion(TPMLIB_TPM_VERSION_2) == TPM_SUCCESS);
    CHECK(TPMLIB_RegisterCallbacks(&callbacks) == TPM_SUCCESS);
    CHECK(TPMLIB_MainInit() == TPM_SUCCESS);
    process(startup, sizeof(startup));
    CHECK(succeeded());
    process(lockout, sizeof(lockout));
    CHECK(succeeded());
}

void inner_tpm_snapshot(void)
{
    for (int i = 0; i < KINDS; i++) {
        free(snapshot[i].p);
        CHECK(TPMLIB_GetState(kinds[i], &snapshot[i].p, &snapshot[i].n) == TPM_SUCCESS);
    }
    permanent_changed = false;
}

void inner_tpm_restore(void)
{
    if (!permanent_changed) /* what was loaded, the module has flushed */
        return;
    TPMLIB_Terminate();
    for (int i = 0; i < KINDS; i++)
        CHECK(TPMLIB_SetState(kinds[i], snapshot[i].p, snapshot[i].n) == TPM_SUCCESS);
    CHECK(TPMLIB_MainInit() == TPM_SUCCESS);
    permanent_changed = false;
}
