/* Calls through the module's entry points that reach the TPM, each whole with what it needs and
 * with libcrypto's opinion of its result: what a fault can be put into. */
#ifndef TESTS_TPM_CALLS_H
#define TESTS_TPM_CALLS_H

#include "fixture.h"

struct tpm_call {
    const char *name;
    int (*start)(void **state); /* test_user and its like; NULL: the module is not initialised */
    void (*before)(void);       /* undisturbed */
    CK_RV (*run)(void);         /* the first code that is not CKR_OK */
    void (*mend)(void);         /* undisturbed, after a run that failed: so that it can run again */
    void (*after)(void);        /* undisturbed, after one that did not: what it made goes */
    CK_RV answer;               /* undisturbed */
    bool slow;
    bool any_tpm; /* it is about the TPM, whichever that is */
};
extern const struct tpm_call tpm_calls[];
extern const size_t tpm_calls_n;

/* The last run: the function it came to; what is wrong with its result or with what stands beside
 * its error, NULL: nothing. */
extern const char *tpm_call_function, *tpm_call_wrong;

/* Group set-up, behind a proxy: a token with the keys that the calls use. */
int group_tpm_calls(void **state);

#endif
