/* The ways from the module to the fixture's TPM: straight, where processes take turns by the lock
 * file; by tpm2-abrmd; by a resource manager as the kernel's. */
#ifndef TESTS_TRANSPORTS_H
#define TESTS_TRANSPORTS_H

#include "fixture.h"
#include "resource_manager.h"

enum transport { TRANSPORT_BARE, TRANSPORT_BROKER, TRANSPORT_KERNEL };

/* From now on C_Initialize in this process, and in peers started later, goes this way. Starts what
 * it takes. False: tpm2-abrmd is not installed. */
bool transport_use(enum transport transport);
/* Nobody is connected any more: waits until the manager has noticed. */
void transport_settle(enum transport transport);
void transports_stop(void);

#endif
