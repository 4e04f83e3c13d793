/* `latchkey key export --tss2`. */
#ifndef CLI_RELEASE_H
#define CLI_RELEASE_H

#include "cli.h"

CK_RV key_release(struct cli *cli);

#endif
