#include "error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/err.h>
#include <sqlite3.h>
#include <tss2/tss2_rc.h>
#include <tss2/tss2_tpm2_types.h>
#include <tss2/tss2_common.h>
#include "log.h"
#include "names.h"

#undef error_errno /* what clang-tidy is told of them */
#undef error_openssl
#undef error_log

/* TPM 2.0 part 2, 6.6: format-one codes carry the number of the handle, session or parameter in
 * bits 6 and 8–11; without them 0x98E and 0x99D are both plain 0x8E and 0x9D. Warnings and
 * version-1 codes are compared whole. */
static uint32_t plain(uint32_t rc)
{
    rc &= 0xFFFF; /* tpm2-abrmd and the kernel put their layer above */
    return (rc & TPM2_RC_FMT1) ? (rc & (TPM2_RC_FMT1 | 0x3F)) : rc;
}

struct row {
    int context; /* -1: any */
    uint32_t rc; /* as plain() gives it */
    CK_RV rv;
    const char *advice; /* NULL: an ordinary answer, logged at info */
};

/* the session's salt was for another key */
#define ANOTHER_PARENT                                                                             \
    "the TPM does not have the parent key that the store names: it was cleared, or the store "     \
    "belongs to another machine"

static const struct row rows[] = {
    {ERROR_TPM_LOGIN, TPM2_RC_AUTH_FAIL, CKR_PIN_INCORRECT, NULL},
    {ERROR_TPM_LOGIN, TPM2_RC_LOCKOUT, CKR_PIN_LOCKED, NULL},
    /* the same text as AUTH_FAIL, for an entity without dictionary-attack protection */
    {ERROR_TPM_LOGIN, TPM2_RC_BAD_AUTH, CKR_PIN_INCORRECT, NULL},
    {ERROR_TPM_GATE, TPM2_RC_AUTH_FAIL, CKR_PIN_INCORRECT, NULL},
    {ERROR_TPM_GATE, TPM2_RC_BAD_AUTH, CKR_PIN_INCORRECT, NULL},
    {ERROR_TPM_GATE, TPM2_RC_LOCKOUT, CKR_PIN_LOCKED, NULL},
    /* out of tries, or closed; of any other index the TPM says that of one it cannot use */
    {ERROR_TPM_GATE, TPM2_RC_AUTH_UNAVAILABLE, CKR_PIN_LOCKED, NULL},
    {ERROR_TPM_OWNER, TPM2_RC_BAD_AUTH, CKR_DEVICE_ERROR,
     "the owner authorization is set and was not given: see owner-auth-file in latchkey.conf(5)"},
    {ERROR_TPM_LOCKOUT, TPM2_RC_AUTH_FAIL, CKR_PIN_INCORRECT, NULL},
    {ERROR_TPM_LOCKOUT, TPM2_RC_BAD_AUTH, CKR_PIN_INCORRECT, NULL},
    {ERROR_TPM_LOCKOUT, TPM2_RC_LOCKOUT, CKR_PIN_LOCKED, NULL},
    {ERROR_TPM_PARENT, TPM2_RC_BAD_AUTH, CKR_DEVICE_ERROR, ANOTHER_PARENT},
    {ERROR_TPM_CREATE, TPM2_RC_BAD_AUTH, CKR_DEVICE_ERROR, ANOTHER_PARENT},
    {ERROR_TPM_CREATE, TPM2_RC_VALUE, CKR_KEY_SIZE_RANGE, NULL},
    {ERROR_TPM_CREATE, TPM2_RC_KEY_SIZE, CKR_KEY_SIZE_RANGE, NULL},
    {ERROR_TPM_CREATE, TPM2_RC_CURVE, CKR_CURVE_NOT_SUPPORTED, "the TPM does not have this curve"},
    {ERROR_TPM_IMPORT, TPM2_RC_CURVE, CKR_CURVE_NOT_SUPPORTED, "the TPM does not have this curve"},
    /* part 3, 13.3: the halves of the key do not fit each other */
    {ERROR_TPM_IMPORT, TPM2_RC_BINDING, CKR_ATTRIBUTE_VALUE_INVALID, NULL},
    {ERROR_TPM_IMPORT, TPM2_RC_ECC_POINT, CKR_ATTRIBUTE_VALUE_INVALID, NULL},
    {ERROR_TPM_ECDH, TPM2_RC_ECC_POINT, CKR_MECHANISM_PARAM_INVALID, NULL},
    {-1, TPM2_RC_LOCKOUT, CKR_DEVICE_ERROR,
     "the TPM is in dictionary-attack lockout: see 'latchkey tpm status'"},
    {-1, TPM2_RC_NV_SPACE, CKR_DEVICE_MEMORY, "the TPM has no NV space left"},
    {-1, TPM2_RC_OBJECT_MEMORY, CKR_DEVICE_MEMORY,
     "every object slot of the TPM is taken by others"},
    {-1, TPM2_RC_SESSION_MEMORY, CKR_DEVICE_ERROR,
     "every session slot of the TPM is taken by others"},
    {-1, TPM2_RC_SESSION_HANDLES, CKR_DEVICE_ERROR,
     "every session slot of the TPM is taken by others"},
    {-1, TPM2_RC_CONTEXT_GAP, CKR_DEVICE_ERROR,
     "another program's idle session keeps the TPM from saving ours"},
    {-1, TPM2_RC_MEMORY, CKR_DEVICE_MEMORY, "the TPM is out of memory"},
    {-1, TPM2_RC_INTEGRITY, CKR_DEVICE_ERROR,
     "the key does not belong to this TPM (cleared, or a store from another machine?)"},
    {-1, TPM2_RC_INITIALIZE, CKR_DEVICE_ERROR, "the TPM was not started (TPM2_Startup)"},
    {-1, TPM2_RC_FAILURE, CKR_DEVICE_ERROR, "the TPM is in failure mode; a reset may help"},
};

static const struct row *find(enum error_context context, uint32_t rc)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        if ((rows[i].context == -1 || rows[i].context == (int)context) && rows[i].rc == rc)
            return &rows[i];
    return NULL;
}

/* Tss2_RC_Decode keeps its text in thread-local memory, and for want of that glibc ends the
 * process: not called where there is no memory. */
static const char *text_of(uint32_t rc)
{
    void *room = malloc(2048);
    free(room);
    return room ? Tss2_RC_Decode(rc) : "no memory to say it";
}

CK_RV error_tpm(enum error_context context, const char *what, uint32_t rc)
{
    if (rc == TSS2_RC_SUCCESS)
        return CKR_OK;
    const struct row *row = NULL;
    uint32_t layer = rc & TSS2_RC_LAYER_MASK;
    /* a TCTI's, MU's own code says nothing of the TPM; a resource manager's may pass one on */
    if (layer == TSS2_TPM_RC_LAYER || layer == TSS2_RESMGR_TPM_RC_LAYER ||
        layer == TSS2_RESMGR_RC_LAYER)
        row = find(context, plain(rc));
    CK_RV rv = row ? row->rv : CKR_DEVICE_ERROR;
    bool ordinary = row && !row->advice;
    log_line(ordinary ? LOG_INFO : LOG_ERROR, "%s: TPM answered 0x%x (%s)%s%s", what, rc,
             text_of(rc), row && row->advice ? ": " : "", row && row->advice ? row->advice : "");
    return rv;
}

CK_RV error_tcti(const char *what, const char *tcti, uint32_t rc)
{
    log_error("%s '%s': %s", what, tcti, text_of(rc));
    return (rc & ~TSS2_RC_LAYER_MASK) == TSS2_BASE_RC_MEMORY ? CKR_HOST_MEMORY : CKR_DEVICE_ERROR;
}

static CK_RV sqlite_rv(int code)
{
    switch (code & 0xFF) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return CKR_OK;
    case SQLITE_NOMEM:
        return CKR_HOST_MEMORY;
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return CKR_TOKEN_WRITE_PROTECTED;
    case SQLITE_FULL:
    case SQLITE_TOOBIG:
        return CKR_DEVICE_MEMORY;
    default:
        return CKR_DEVICE_ERROR;
    }
}

CK_RV error_sqlite(const char *what, int code, const char *message)
{
    CK_RV rv = sqlite_rv(code);
    if (rv != CKR_OK)
        log_error("store: %s: %s (SQLite %d)", what, message ? message : sqlite3_errstr(code),
                  code);
    return rv;
}

CK_RV error_errno(const char *what, const char *path, int number)
{
    errno = number;
    log_error("%s%s%s: %m", what, path ? " " : "", path ? path : "");
    switch (number) {
    case ENOMEM:
        return CKR_HOST_MEMORY;
    case EROFS:
    case EACCES:
    case EPERM:
        return CKR_TOKEN_WRITE_PROTECTED;
    case ENOSPC:
    case EDQUOT:
        return CKR_DEVICE_MEMORY;
    default:
        return CKR_DEVICE_ERROR;
    }
}

CK_RV error_openssl(const char *what)
{
    unsigned long code = ERR_peek_last_error();
    char text[160] = "no reason given";
    if (code)
        ERR_error_string_n(code, text, sizeof(text));
    log_error("OpenSSL: %s: %s", what, text);
    return ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE ? CKR_HOST_MEMORY : CKR_FUNCTION_FAILED;
}

CK_RV error_log(CK_RV rv, const char *format, ...)
{
    char text[768];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    log_error("%s [%s]", text, name_rv(rv));
    return rv;
}
