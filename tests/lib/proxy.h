/* A wire tap between the module and its TPM: a thread that listens where tcti-swtpm connects,
 * passes each command on to swtpm, writes down both directions, and can spoil an answer. */
#ifndef TESTS_PROXY_H
#define TESTS_PROXY_H

#include "swtpm.h"

enum proxy_fault {
    PROXY_NO_FAULT,
    PROXY_ERROR,       /* value: the response code; the TPM does not see the command */
    PROXY_DELAY,       /* value: milliseconds before the answer */
    PROXY_DROP,        /* hang up before the TPM sees the command */
    PROXY_DROP_ANSWER, /* the TPM executes the command, its answer is lost */
    PROXY_CORRUPT,     /* flip the answer's last byte */
    PROXY_GARBAGE,     /* an answer of random length field and content */
    PROXY_SHORT,     /* half of what follows the answer's head is missing; its size field agrees */
    PROXY_LONG,      /* value: bytes more; its size field agrees */
    PROXY_TRUNCATE,  /* the answer breaks off in the middle, then hang up */
    PROXY_SIZE,      /* value: what the answer's size field says */
    PROXY_STALL,     /* the answer breaks off in the middle, and the connection stays */
    PROXY_MUTE,      /* no answer, and the connection stays */
    PROXY_RESET,     /* a reboot of the TPM before it sees the command; orderly */
    PROXY_POWER_CUT, /* the same without TPM2_Shutdown */
    PROXY_VANISH,    /* hang up, and on everybody who connects, until the next proxy_fault */
};
#define PROXY_FOR_EVER 0

/* Starts listening on path (and path.ctrl) in front of t. One proxy a process. */
void proxy_start(struct swtpm *t, const char *path);
void proxy_stop(void);

/* Forget what was recorded. */
void proxy_clear(void);
/* Commands recorded, those not counted that the TPM answered with TPM_RC_RETRY (0x922): the first
 * use of dictionary-attack protection after a start of the TPM always gets one. */
unsigned proxy_count(void);
/* Among them those with this code. */
unsigned proxy_count_of(uint32_t code);
/* Print step and the names of the recorded commands in one line. */
void proxy_print(const char *step);
/* Do any recorded request or response bytes contain these? */
bool proxy_carries(const void *p, size_t n);
/* The next fault: on the nth (from 1) command with this code (0: any), once, from now on. */
void proxy_fault(enum proxy_fault kind, uint32_t code, unsigned nth, uint32_t value);
/* On this many commands one after the other; PROXY_FOR_EVER: until the next proxy_fault. */
void proxy_fault_times(enum proxy_fault kind, uint32_t code, unsigned nth, uint32_t value,
                       unsigned times);
/* Did it strike? */
bool proxy_fault_struck(void);
/* Did it strike, and somebody waits for the answer since? */
bool proxy_silent(void);
/* How often? */
unsigned proxy_fault_strikes(void);
/* Another TPM is behind it from now on. */
void proxy_leads_to(struct swtpm *t);
const char *tpm_command_name(uint32_t code);

#endif
