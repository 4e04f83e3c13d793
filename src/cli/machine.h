/* What is installed on this machine beside latchkey, for the doctor and for setup. */
#ifndef CLI_MACHINE_H
#define CLI_MACHINE_H

#include "cli.h"

/* Is there a program of that name in PATH? */
bool machine_has(const char *program);
/* OpenSSL's PKCS#11 engine; its PKCS#11 provider. */
bool machine_has_engine(void);
bool machine_has_provider(void);
/* Where the user's own p11-kit module files are (pkcs11.conf(5)); p11-kit shows root none.
 * malloced. */
char *machine_p11_kit_dir(void);
/* The directory of a p11-kit module file that names a module with this file's name: the user's, the
 * system's, a package's. "": none. malloced. */
char *machine_p11_kit_knows(const char *module);
/* "$HOME/leaf", malloced; NULL without a home. */
char *machine_home(const char *leaf);

#endif
