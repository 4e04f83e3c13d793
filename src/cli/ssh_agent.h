/* The parts of `latchkey ssh-agent`: the token's keys, the answers to requests, the server.
 * "The draft" is draft-ietf-sshm-ssh-agent, the SSH agent protocol. */
#ifndef CLI_SSH_AGENT_H
#define CLI_SSH_AGENT_H

#include <sys/types.h>
#include "cli.h"

/* Of a request and of an answer, without the length in front; OpenSSH's own limit. */
enum { SSH_MESSAGE = 256 << 10 };

struct ssh_identity {
    CK_OBJECT_HANDLE key;
    const char *type;
    struct buf blob;
    struct buf comment;
};

struct ssh_keys {
    struct ssh_identity *all;
    size_t n;
    CK_SESSION_HANDLE login; /* stays open and keeps the login, whatever becomes of the others */
};

/* What the draft calls locking: a password that is kept as PBKDF2 makes it. */
struct ssh_lock {
    bool on;
    uint8_t salt[16], hash[32];
};

struct ssh_agent {
    struct cli *cli;
    struct ssh_keys keys;
    struct ssh_lock lock;
};

/* ---- ssh_keys.c: tells of failures ---- */

/* Opens the token, with the PIN. */
CK_RV ssh_keys_open(struct ssh_agent *agent);
void ssh_keys_free(struct ssh_agent *agent);
/* Looks what the token has now: all private keys that sign and that SSH has a type for. */
CK_RV ssh_keys_read(struct ssh_agent *agent);
/* The one with this public key, or NULL. */
const struct ssh_identity *ssh_keys_find(struct ssh_agent *agent, struct bytes blob);
/* Appends the signature. CKR_MECHANISM_INVALID: not with these flags. */
CK_RV ssh_keys_sign(struct ssh_agent *agent, const struct ssh_identity *identity,
                    struct bytes message, uint32_t flags, struct buf *ret);

/* ---- ssh_answer.c ---- */

/* Appends the answer to one request, both without the length in front. Fails only when memory is
 * out. */
CK_RV ssh_answer(struct ssh_agent *agent, struct bytes request, struct buf *ret);

/* ---- ssh_socket.c: tells of failures ---- */

struct ssh_place {
    char *directory; /* made for the socket; NULL with --socket */
    char *path;
    int listener; /* -1: none yet */
};

/* Listens at --socket, or in a new directory that only this user can enter. */
CK_RV ssh_place_make(const struct cli *cli, struct ssh_place *ret);
/* And removes it. */
void ssh_place_free(struct ssh_place *place);
/* The agent that listens there; -1 with errno. Says nothing. */
int ssh_connect(const char *path);

/* ---- ssh_serve.c ---- */

/* Blocks the signals that end the agent (and that of its command's end) for ssh_serve to see. */
void ssh_serve_hold_signals(void);
/* Answers until a signal comes; with a command (0: none) until that ends, and then as it did. */
CK_RV ssh_serve(struct ssh_agent *agent, int listener, pid_t command);

#endif
