/* A peer stopped in the middle of a call: before or after one of the system calls by which it
 * changes something, in the TPM or on the disk. */
#ifndef TESTS_TRACER_H
#define TESTS_TRACER_H

#include "fixture.h"

/* What is done to a peer that has stopped. false: it is gone, do not go on with it. */
typedef bool (*tracer_strike)(struct peer *p);

/* Runs the step. Each TPM command is two moments, before it is sent and before its answer is read;
 * each write, truncation, sync, link and unlink of a file is one, before it is done. At the nth
 * moment (from 1) the strike is made; 0: never. How many moments there were until the end or until
 * the strike; *ret_ended: the step came to its end, with *ret_rv. */
unsigned trace_step(struct peer *p, peer_step step, unsigned nth, tracer_strike strike,
                    bool *ret_ended, CK_RV *ret_rv);
/* May this process trace its children? */
bool tracer_works(void);

#endif
