/* The managed software TPM of `latchkey tpm simulate`. */
#ifndef CLI_SIMULATE_H
#define CLI_SIMULATE_H

#include <sys/types.h>
#include "cli.h"

/* Where it lives: "<store>/swtpm", so that it comes and goes with the tokens made in it. */
struct simulator {
    char *dir, *socket, *control, *pid_file, *tcti;
};
CK_RV simulator_paths(struct simulator *ret);
void simulator_free(struct simulator *s);
/* A pidfd of the running swtpm that owns the socket, -1 when it is not running. *ret_pid too. */
int simulator_process(const struct simulator *s, pid_t *ret_pid);

/* Points the user's config file at the simulator: one marked line at its end, which the one before
 * it yields to; every other line stays. remove takes just that line out again. */
CK_RV simulate_config_add(const struct simulator *s);
CK_RV simulate_config_remove(void);

#endif
