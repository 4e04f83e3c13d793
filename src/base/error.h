/* The one translation of foreign error codes into CK_RV, and the place that logs them.
 * A code means one thing at a login and another with a key: the context says which. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include "bytes.h"

enum error_context {
    ERROR_TPM_ANY,    /* any command that is none of the following */
    ERROR_TPM_LOGIN,  /* an authorization that came from a PIN */
    ERROR_TPM_GATE,   /* the same, of an index that limits the tries */
    ERROR_TPM_ECDH,   /* a point from outside under an EC key */
    ERROR_TPM_PARENT, /* the authorization of the key that others hang on, which is empty */
    ERROR_TPM_CREATE, /* the same, and the TPM makes a key */
    ERROR_TPM_IMPORT, /* it takes one from outside */
    ERROR_TPM_OWNER,  /* owner authorization */
    ERROR_TPM_LOCKOUT /* lockout authorization */
};

/* what: the TPM command's or step's name, for the log. rc 0 gives CKR_OK. */
CK_RV error_tpm(enum error_context context, const char *what, uint32_t rc);
/* The connection to the TPM failed: CKR_DEVICE_ERROR or CKR_HOST_MEMORY. */
CK_RV error_tcti(const char *what, const char *tcti, uint32_t rc);
/* code: an SQLite (extended) result code; message: sqlite3_errmsg or NULL. */
CK_RV error_sqlite(const char *what, int code, const char *message);
/* errno of a failed system call on path (may be NULL). */
CK_RV error_errno(const char *what, const char *path, int number);
/* A failed OpenSSL call: takes the newest queued error into the log. CKR_FUNCTION_FAILED, or
 * CKR_HOST_MEMORY where that was the reason. The caller clears the queue to its mark. */
CK_RV error_openssl(const char *what);
/* rv itself, after one log line at level error that says what was wrong. */
CK_RV error_log(CK_RV rv, const char *format, ...) __attribute__((format(printf, 2, 3)));
#ifdef __clang_analyzer__ /* it sees one file at a time: none of these gives CKR_OK */
#define error_errno(...)   (error_errno(__VA_ARGS__) | 1)
#define error_openssl(...) (error_openssl(__VA_ARGS__) | 1)
#define error_log(...)     (error_log(__VA_ARGS__) | 1)
#endif

#endif
