/* tpm2-abrmd on a bus of its own, in front of a swtpm. */
#ifndef TESTS_BROKER_H
#define TESTS_BROKER_H

#include <stdbool.h>

#define BROKER_TCTI "tabrmd:bus_type=session"

/* Are dbus-daemon and tpm2-abrmd installed? */
bool broker_installed(void);
/* tcti: how the broker reaches the TPM. Sets DBUS_SESSION_BUS_ADDRESS, and TSS2_LOG to silence: the
 * broker takes a moment to appear, and each attempt before that is loud. */
bool broker_start(const char *tcti);
void broker_stop(void);

#endif
