#include "cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/names.h"
#include "output.h"

#undef fail /* what clang-tidy is told of it */

static const struct fault {
    CK_RV rv;
    enum exit_code code;
    const char *why, *next;
} faults[] = {
    {CKR_PIN_INCORRECT, EXIT_PIN_WRONG, "the PIN is wrong",
     "The TPM counts the wrong ones: 'latchkey tpm status' shows how many are left."},
    {CKR_PIN_LOCKED, EXIT_PIN_IS_LOCKED, "the TPM is in lockout after too many wrong PINs",
     "Wait: one try is forgiven after the time 'latchkey tpm status' shows.\n"
     "  Or end the lockout with the recovery code: latchkey tpm unlock"},
    {CKR_PIN_LEN_RANGE, EXIT_USAGE, "the PIN is too short or too long",
     "Choose one of 4 to 255 bytes."},
    {CKR_PIN_INVALID, EXIT_USAGE, "the PIN holds characters the token does not take", NULL},
    {CKR_USER_PIN_NOT_INITIALIZED, EXIT_FAILED, "the token has no user PIN yet",
     "Set one with the SO PIN: latchkey token reset-pin"},
    {CKR_DEVICE_ERROR, EXIT_NO_TPM, "the TPM did not answer or gave an error",
     "'latchkey doctor' says what is wrong with it."},
    {CKR_DEVICE_REMOVED, EXIT_NO_TPM, "the token or the TPM went away meanwhile",
     "'latchkey doctor' says what became of it."},
    {CKR_DEVICE_MEMORY, EXIT_NO_TPM, "the TPM has no room left",
     "'latchkey doctor' lists what occupies it."},
    {CKR_TOKEN_NOT_PRESENT, EXIT_NO_TPM, "no token or no TPM is there",
     "'latchkey doctor' says why."},
    {CKR_TOKEN_NOT_RECOGNIZED, EXIT_NO_TPM,
     "the token's keys belong to another TPM, or this one was cleared",
     "'latchkey doctor' says which of the two it is."},
    {CKR_TOKEN_WRITE_PROTECTED, EXIT_FAILED, "the store cannot be written by this user",
     "'latchkey token show' says where the store is; look at its owner and permissions."},
    {CKR_SESSION_READ_ONLY, EXIT_FAILED, "the store cannot be written by this user",
     "'latchkey token show' says where the store is; look at its owner and permissions."},
    {CKR_SESSION_EXISTS, EXIT_FAILED, "a session of the token is still open", NULL},
    {CKR_USER_NOT_LOGGED_IN, EXIT_FAILED, "it needs the user PIN", "Give --login."},
    {CKR_ATTRIBUTE_VALUE_INVALID, EXIT_FAILED, "the token refuses one of the values",
     "LATCHKEY_LOG=info makes the module say which."},
    {CKR_MECHANISM_INVALID, EXIT_FAILED, "the token or its TPM cannot do that", NULL},
    {CKR_CURVE_NOT_SUPPORTED, EXIT_FAILED, "the TPM does not have that curve",
     "P-256 is there in every TPM 2.0."},
    {CKR_DOMAIN_PARAMS_INVALID, EXIT_FAILED, "the TPM does not have that curve",
     "P-256 is there in every TPM 2.0."},
    {CKR_KEY_SIZE_RANGE, EXIT_FAILED, "the token does not take that key size",
     "RSA of 2048 bits, P-256 and AES of 128 bits are there in every TPM 2.0."},
    {CKR_ACTION_PROHIBITED, EXIT_FAILED, "the object may not be changed or deleted", NULL},
    {CKR_FUNCTION_NOT_SUPPORTED, EXIT_FAILED, "the module cannot do that", NULL},
    {CKR_KEY_FUNCTION_NOT_PERMITTED, EXIT_FAILED, "the key was made for other uses",
     "'latchkey key show' lists them; --usage chooses them when a key is made."},
    {CKR_KEY_UNEXTRACTABLE, EXIT_FAILED, "the key may not leave the token",
     "Only a key that was made with --extractable can be wrapped."},
    {CKR_KEY_NOT_WRAPPABLE, EXIT_FAILED, "the key cannot be wrapped that way",
     "Take another --mechanism, or a key made with --extractable."},
    {CKR_KEY_TYPE_INCONSISTENT, EXIT_FAILED, "the key is of another type than the mechanism wants",
     NULL},
    {CKR_WRAPPING_KEY_TYPE_INCONSISTENT, EXIT_FAILED,
     "the wrapping key is of another type than the mechanism wants", NULL},
    {CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT, EXIT_FAILED,
     "the unwrapping key is of another type than the mechanism wants", NULL},
    {CKR_WRAPPED_KEY_INVALID, EXIT_FAILED,
     "the wrapped key is damaged, or was wrapped with another key or mechanism", NULL},
    {CKR_WRAPPED_KEY_LEN_RANGE, EXIT_FAILED,
     "the wrapped key has a length that the mechanism does not make", NULL},
    {CKR_ENCRYPTED_DATA_INVALID, EXIT_FAILED,
     "the data were changed, or encrypted with another key or mechanism", NULL},
    {CKR_ENCRYPTED_DATA_LEN_RANGE, EXIT_FAILED,
     "the data have a length that the mechanism does not make",
     "Were they encrypted with this key, and with this --mechanism?"},
    {CKR_SIGNATURE_INVALID, EXIT_FAILED, "the signature does not fit", NULL},
    {CKR_SIGNATURE_LEN_RANGE, EXIT_FAILED, "the signature has a length that this key does not make",
     "An ECDSA signature in DER needs --der."},
    {CKR_DATA_LEN_RANGE, EXIT_FAILED, "the data are too long for it", NULL},
    {CKR_TEMPLATE_INCONSISTENT, EXIT_FAILED, "the module does not take such an object",
     "LATCHKEY_LOG=info makes the module say why."},
    {CKR_TEMPLATE_INCOMPLETE, EXIT_FAILED,
     "the module wants more attributes than the command gives",
     "LATCHKEY_LOG=info makes the module say which."},
    {CKR_ATTRIBUTE_TYPE_INVALID, EXIT_FAILED, "the module does not take such an object",
     "LATCHKEY_LOG=info makes the module say why."},
    {CKR_MECHANISM_PARAM_INVALID, EXIT_FAILED, "the module does not take the mechanism that way",
     "Try another --mechanism."},
    {CKR_HOST_MEMORY, EXIT_FAILED, "memory is out", NULL},
};

static const struct fault *find(CK_RV rv)
{
    static const struct fault other = {0, EXIT_FAILED, "the module refused it",
                                       "LATCHKEY_LOG=debug makes the module say more."};
    for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++)
        if (faults[i].rv == rv)
            return &faults[i];
    return &other;
}

static void tell(const char *text, const char *next)
{
    fputs(isatty(STDERR_FILENO) ? "\r\033[K" : "", stderr); /* a spinner may turn there */
    fprintf(stderr, "%slatchkey:%s ", style(stderr, STYLE_RED), style(stderr, STYLE_PLAIN));
    print_clean(stderr, text);
    fputs("\n", stderr);
    if (next)
        fprintf(stderr, "  %s\n", next);
}

CK_RV fail(enum exit_code code, const char *next, const char *format, ...)
{
    char text[2048];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    tell(text, next);
    return TOLD(code);
}

CK_RV check(CK_RV rv, const char *doing, ...)
{
    if (rv == CKR_OK || (rv & CKR_VENDOR_DEFINED))
        return rv;
    char what[1024];
    va_list ap;
    va_start(ap, doing);
    vsnprintf(what, sizeof(what), doing, ap);
    va_end(ap);
    const struct fault *f = find(rv);
    return fail(f->code, f->next, "cannot %s: %s (%s)", what, f->why, name_rv(rv));
}

int exit_status(CK_RV rv)
{
    rv = check(rv, "go on");
    return rv == CKR_OK ? EXIT_OK : (int)(rv & 0xff);
}
