/* What every part of the `latchkey` command shares: the command line as it was read, the module,
 * the token in use, and the one way a failure is told. */
#ifndef CLI_H
#define CLI_H

#include <stdbool.h>
#include <stdint.h>
#include <latchkey/admin.h>
#include "base/bytes.h"
#include "base/secret.h"

/* What the exit status means; the texts are in verbs.c. */
enum exit_code {
    EXIT_OK,
    EXIT_FAILED,
    EXIT_USAGE,
    EXIT_NOT_FOUND,
    EXIT_PIN_WRONG,
    EXIT_PIN_IS_LOCKED,
    EXIT_NO_TPM,
    EXIT_AMBIGUOUS,
    EXIT_NO_MODULE,
    EXIT_CODES
};

/* In the order of the table in verbs.c. A PIN's three sources stand together: see pin.c. */
enum option {
    OPT_HELP,
    OPT_MODULE,
    OPT_JSON,
    OPT_TOKEN,
    OPT_PIN_FILE,
    OPT_PIN_FD,
    OPT_PIN_ENV,
    OPT_SO_PIN_FILE,
    OPT_SO_PIN_FD,
    OPT_SO_PIN_ENV,
    OPT_NEW_PIN_FILE,
    OPT_NEW_PIN_FD,
    OPT_NEW_PIN_ENV,
    OPT_LABEL,
    OPT_ID,
    OPT_LOGIN,
    OPT_YES,
    OPT_FORCE,
    OPT_SO,
    OPT_UNATTENDED,
    OPT_PIN_FILE_OUT,
    OPT_GENERATE_SO_PIN,
    OPT_MAX_PIN_TRIES,
    OPT_TYPE,
    OPT_CURVE,
    OPT_BITS,
    OPT_USAGE,
    OPT_ALWAYS_AUTHENTICATE,
    OPT_EXTRACTABLE,
    OPT_FORMAT,
    OPT_TSS2,
    OPT_PASSWORD_FILE,
    OPT_NO_CERTIFICATES,
    OPT_HANDLE,
    OPT_WITH,
    OPT_MECHANISM,
    OPT_SIGNATURE,
    OPT_SUBJECT,
    OPT_SAN,
    OPT_OUT,
    OPT_DER,
    OPT_REPLACE,
    OPT_RECOVERY_FILE,
    OPT_OLD_RECOVERY_FILE,
    OPT_MAX_TRIES,
    OPT_RECOVERY_TIME,
    OPT_LOCKOUT_RECOVERY,
    OPT_SOCKET,
    OPT_FOREGROUND,
    OPT_KILL,
    OPT_CLASS,
    OPT_DRY_RUN,
    OPT_REMOVE,
    OPTIONS
};

struct module {
    void *library;
    char *path;
    CK_FUNCTION_LIST *p11;
    const LATCHKEY_ADMIN *admin; /* NULL: another module than latchkey's */
    bool initialized;
};

struct token {
    CK_SLOT_ID slot;
    CK_TOKEN_INFO info;
    CK_SESSION_HANDLE session; /* 0: none open */
    char *pin_source;          /* of the URI that named the token, or NULL */
    struct secret pin;         /* kept for keys that want it again at each use */
};

struct cli {
    const struct verb *verb;
    const char *option[OPTIONS]; /* its value, "" for a flag that was given, NULL otherwise */
    const char **words;          /* the command line without options */
    const char **args;           /* what is left of them behind the verb's words */
    size_t n_args;
    struct module module;
    struct token token;
};

/* A verb's max_args: what stands behind it is another command with options of its own. */
#define A_COMMAND SIZE_MAX

/* One verb of the command; usage, help and completion are printed from these rows. */
struct verb {
    const char *words; /* "tpm simulate start" */
    const char *arguments;
    size_t min_args, max_args;
    uint64_t options; /* bits 1 << enum option */
    const char *summary;
    const char *help; /* a paragraph more, or NULL */
    CK_RV (*run)(struct cli *cli);
};

/* A failure that the user has been told of; only the exit status is left to say. */
#define TOLD(code) (CKR_VENDOR_DEFINED | (CK_RV)(code))

/* Says on stderr what happened and, where not NULL, what to do next. Returns TOLD(code). */
CK_RV fail(enum exit_code code, const char *next, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
#ifdef __clang_analyzer__ /* as in base/error.h */
#define fail(...) (fail(__VA_ARGS__) | 1)
#endif
/* CKR_OK, or: says "cannot <doing>", why, and what to do about that rv. Returns TOLD(…). */
CK_RV check(CK_RV rv, const char *doing, ...) __attribute__((format(printf, 2, 3)));
/* The exit status for what a verb returned; tells what has not been told yet. */
int exit_status(CK_RV rv);

#endif
