/* Calls of every function with arguments that are mostly right, and what must hold after each
 * whatever they were. Which call, and with what, follows from the caller: api/random_calls has it
 * from a seed, the fuzz target "calls" from its input. */
#ifndef TESTS_CALLS_H
#define TESTS_CALLS_H

#include "random.h"

enum { FAULTS_TOLD = 20 };

/* The token's mechanisms, once after C_Initialize; calls go to p11_32. */
void calls_learn(void);
/* FIXED token objects that no call can change or destroy; by the session fx.session, logged in. */
void calls_fixed_keys(void);
/* Sessions, logged in. seed 0 with c->input set afterwards: the input decides. */
void calls_start(struct caller *c, uint64_t seed, bool alone);
/* One call, or a few that belong together. Faults are printed and counted in c->faults. */
void calls_next(struct caller *c);
/* The token still does what it should. */
void calls_still_work(struct caller *c);

#endif
