/* A resource manager as Linux has it behind /dev/tpmrm0, in front of a swtpm: a thread that gives
 * each connection a space of its own.
 *
 * What it imitates (Linux, drivers/char/tpm: tpm2-space.c, tpm-dev-common.c):
 *  - a space has room for 3 transient objects and 3 sessions. A command that makes one more
 *    answers ENOMEM, and the space's sessions are gone after it;
 *  - before each command the space's contexts are all loaded, after it all are saved, objects
 *    flushed. When that fails for an object, or a session cannot be saved (the TPM's 0x901, context
 *    gap, comes to this), the answer is EFAULT and the sessions are gone. A session that the TPM
 *    does not know any more is forgotten without a word;
 *  - objects have handles from 0x80FFFFFF downwards, also in what TPM2_GetCapability lists, which
 *    knows no others; an unknown one answers EINVAL. Sessions keep the TPM's handles, and everybody
 *    sees them listed;
 *  - a command that the TPM does not have answers 0xB0143 (TPM_RC_COMMAND_CODE of the resource
 *    manager);
 *  - the end of a connection flushes the space's sessions; its objects lie saved, in no slot.
 *
 * An errno is what the device file's read() answers. On the socket it is a header of tag 0 with the
 * number in place of the response code; lib/tcti_kernelrm.c makes of it what tcti-device does. */
#ifndef TESTS_RESOURCE_MANAGER_H
#define TESTS_RESOURCE_MANAGER_H

#include "swtpm.h"

/* Listens on path in front of t. One a process. */
void resource_manager_start(struct swtpm *t, const char *path);
void resource_manager_stop(void);
/* How many connections there are. */
unsigned resource_manager_clients(void);
/* Commands answered by an errno since the start. */
unsigned resource_manager_errors(void);
/* TPM2_ContextSave of sessions since the start: what the context gap counts. */
unsigned long resource_manager_session_saves(void);
/* The tcti string for it; static. */
const char *resource_manager_tcti(const char *path);

#endif
