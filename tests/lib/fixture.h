/* What every API test stands on: one swtpm, one store and one loaded module a test program; a token
 * with known PINs; CKR names in failures. */
#ifndef TESTS_FIXTURE_H
#define TESTS_FIXTURE_H

#include <latchkey/cryptoki.h>

/* cmocka.h wants these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proxy.h"
#include "swtpm.h"

#define LABEL    "test token"
#define SO_PIN   "so pin 87654321"
#define USER_PIN "user pin 1234"

struct fixture {
    char dir[48]; /* temporary directory of the program; removed at the end */
    char store[64];
    struct swtpm tpm;
    CK_SLOT_ID slot;           /* the token of setup_token */
    CK_SESSION_HANDLE session; /* of the running test */
};

extern struct fixture fx;
extern CK_FUNCTION_LIST *p11;
extern CK_FUNCTION_LIST_3_0 *p11_3;  /* NULL: the module has no 3.0 interface */
extern CK_FUNCTION_LIST_3_2 *p11_32; /* NULL: no 3.2 interface */

/* Group set-up. environment: swtpm, store and environment variables, module loaded, not
 * initialised. token: and a token with LABEL and the two PINs. proxied: the same, through the
 * proxy. */
int group_environment(void **state);
int group_token(void **state);
int group_token_proxied(void **state);
int group_end(void **state);

/* Test set-up on a token: initialised; with a read-only public session; with a read-write user
 * session. test_end finalises whatever is left. */
int test_initialized(void **state);
int test_public(void **state);
int test_user(void **state);
int test_so(void **state);
int test_end(void **state);

/* C_Initialize with module parameters ("store=… tcti=…"), NULL without. */
CK_RV initialize(const char *parameters);
/* The token on a blank slot; ends with the module as it was: no session open. */
CK_SLOT_ID make_token(const char *label, const char *so_pin, const char *user_pin);
/* First slot whose token is not initialised. */
CK_SLOT_ID blank_slot(void);
CK_SLOT_ID slot_of(const char *label);
CK_SESSION_HANDLE open_session(CK_SLOT_ID slot, CK_FLAGS flags);
CK_RV login(CK_SESSION_HANDLE session, CK_USER_TYPE user, const char *pin);
void pad_label(CK_UTF8CHAR padded[32], const char *label);

/* Unfinished intents are left alone for ten minutes, in case their process is only slow
 * (store/FORMAT.md): to the store they are older now, and the next opening for writing mends. */
void age_intents(void);

/* The key of setup with this label and class, or CK_INVALID_HANDLE. */
CK_OBJECT_HANDLE find_object(CK_SESSION_HANDLE session, CK_OBJECT_CLASS cls, const char *label);
CK_ULONG count_objects(CK_SESSION_HANDLE session, CK_ATTRIBUTE *template, CK_ULONG n);

/* A failed comparison names both codes. */
void check_rv(CK_RV expected, CK_RV got, const char *call, const char *file, int line);
#define assert_rv(expected, call) check_rv(expected, call, #call, __FILE__, __LINE__)
#define assert_ok(call)           assert_rv(CKR_OK, call)
/* Where the specification leaves the choice. */
void check_rv_either(CK_RV a, CK_RV b, CK_RV got, const char *call, const char *file, int line);
#define assert_rv_either(a, b, call) check_rv_either(a, b, call, #call, __FILE__, __LINE__)

/* Template rows. */
extern CK_BBOOL yes, no;
#define ATTR_BOOL(type, value)                                                                     \
    {                                                                                              \
        type, (value) ? &yes : &no, sizeof(CK_BBOOL)                                               \
    }
#define ATTR_ULONG(type, value)                                                                    \
    {                                                                                              \
        type, &(CK_ULONG){value}, sizeof(CK_ULONG)                                                 \
    }
#define ATTR_STR(type, string)                                                                     \
    {                                                                                              \
        type, (CK_VOID_PTR)(string), strlen(string)                                                \
    }
#define ATTR_MEM(type, p, n)                                                                       \
    {                                                                                              \
        type, (CK_VOID_PTR)(p), n                                                                  \
    }
#define COUNT(array)                     (sizeof(array) / sizeof *(array))
#define PIN(string)                      ((CK_UTF8CHAR_PTR)(string)), strlen(string)
#define MECHANISM(type)                  (&(CK_MECHANISM){type, NULL, 0})
#define MECHANISM_WITH(type, parameters) (&(CK_MECHANISM){type, &(parameters), sizeof(parameters)})

/* A process of its own with the module loaded afresh: the test program runs itself again with the
 * argument "peer" and serves the steps it is asked for, in order. */
typedef CK_RV (*peer_step)(void);
struct peer {
    pid_t pid;
    int fd;
};
void peer_start(struct peer *p);
/* Runs the step in the peer; its CK_RV. step must be in the table that main gave to peer_serve. */
CK_RV peer_call(struct peer *p, peer_step step);
/* Starts the step and returns; peer_result waits for it. */
void peer_send(struct peer *p, peer_step step);
CK_RV peer_result(struct peer *p);
void peer_stop(struct peer *p);
/* SIGKILL, as by an impatient operator. */
void peer_kill(struct peer *p);
/* First thing in main: tells the table, and serves and exits when this process is a peer. */
void peer_serve(int argc, char **argv, const peer_step *steps, size_t n);

/* LATCHKEY_LONG is set (tests/long does): the walk goes all the way, the loop runs its full length.
 */
bool long_run(void);
/* What was done and survived, in the words of docs/reliability.md; tests/long makes its table of
 * these lines. Printed always. */
void figure(unsigned long n, const char *what);

/* Runs f in a forked child; its CK_RV (CKR_GENERAL_ERROR when it crashed or hung for 60 s). */
CK_RV in_child(peer_step f);

#endif
