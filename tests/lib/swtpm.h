/* A software TPM of a test's own: swtpm on Unix sockets inside a directory the caller names. */
#ifndef TESTS_SWTPM_H
#define TESTS_SWTPM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct swtpm {
    pid_t pid; /* 0: not running */
    char dir[96];
    char socket[104]; /* commands; swtpm's control channel is socket.ctrl */
};

/* Starts swtpm with its state in dir and returns once it answers. Ends the test program on failure.
 */
void swtpm_start(struct swtpm *t, const char *dir);
/* TPM2_Shutdown, then stop and reap: an orderly power-off, which costs no dictionary-attack try. */
void swtpm_stop(struct swtpm *t);
/* Power cut: no TPM2_Shutdown. */
void swtpm_kill(struct swtpm *t);
/* Starts again on the state that a stop or kill left. */
void swtpm_restart(struct swtpm *t);
/* A reboot of the machine (orderly), the process staying: transient objects and sessions are gone.
 */
void swtpm_reset(struct swtpm *t);
/* The same without TPM2_Shutdown: costs a dictionary-attack try where a PIN was used. */
void swtpm_power_cut(struct swtpm *t);
/* TPM2_Clear by the platform: a new storage seed; NV indices of the owner and persistent keys go.
 */
void swtpm_clear(struct swtpm *t);
/* Another owner authorization than the empty one. */
void swtpm_set_owner_auth(struct swtpm *t);
/* The same TPM a second time, with its state as it is now in a directory of its own. */
void swtpm_start_copy(struct swtpm *t, const char *dir, const struct swtpm *of);
/* TPM2_DictionaryAttackParameters with the empty lockoutAuth. Times in seconds. */
void swtpm_set_lockout(struct swtpm *t, uint32_t max_tries, uint32_t interval, uint32_t recovery);
/* TPM2_DictionaryAttackLockReset with the empty lockoutAuth. */
void swtpm_reset_lockout(struct swtpm *t);
/* TPM_PT_LOCKOUT_COUNTER. */
uint32_t swtpm_lockout_counter(struct swtpm *t);
/* How many handles of a kind there are: 0x01 NV, 0x02 loaded sessions, 0x03 saved sessions,
 * 0x80 transient, 0x81 persistent (TPM 2.0 part 2, TPM_HT). */
unsigned swtpm_handles(struct swtpm *t, uint8_t kind);

/* One command over a connection of its own. Returns the response's length, 0 when none came. */
size_t swtpm_exchange(const char *socket, const uint8_t *request, size_t n, uint8_t *response,
                      size_t size);
/* connect() to a Unix socket; -1 when nobody listens. */
int unix_connect(const char *path);
int unix_listen(const char *path);
bool read_fully(int fd, void *p, size_t n);
bool write_fully(int fd, const void *p, size_t n);
void sleep_ms(unsigned ms);

#endif
