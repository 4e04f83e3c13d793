/* The module in this process with one token of an inner TPM, as tests/lib/fixture.h has it, but for
 * the process boundary; every input finds TPM and store as the first one did. */
#ifndef INNER_MODULE_H
#define INNER_MODULE_H

#include "fixture.h"

/* A token, initialised, and a session of the user's in fx.session for make to add objects by. */
void inner_module_start(void (*make)(void));
/* C_Initialize, on TPM and store as start left them. */
void inner_module_begin(void);
/* C_Finalize; nothing of the input is left. */
void inner_module_end(void);

#endif
