/* The module and the token a verb works on: loading, finding, opening, logging in. */
#ifndef CLI_MODULE_H
#define CLI_MODULE_H

#include <stdlib.h>
#include "cli.h"
#include <p11-kit/uri.h>

/* Path of the module that --module names, or the one that belongs to this command. malloced. */
char *module_path(const struct cli *cli);
/* Loads it without initialising it. *ret_why (may be NULL) on failure: the reason, borrowed. */
CK_RV module_load(struct cli *cli, const char **ret_why);
/* The same; tells of a failure. */
CK_RV module_need(struct cli *cli);
/* Loads and initialises. parameters: for C_Initialize's pReserved, or NULL. Tells of a failure. */
CK_RV module_open(struct cli *cli, const char *parameters);
/* module_open, and the vendor interface is there. */
/* The token's own limit of tries; *ret_max 0: none, or none that the module tells. *ret_left may be
 * CK_UNAVAILABLE_INFORMATION. */
CK_RV module_pin_tries(struct cli *cli, CK_ULONG *ret_max, CK_ULONG *ret_left);
CK_RV module_open_admin(struct cli *cli);
void module_close(struct cli *cli);

/* The ids of all slots, or of those with a token. Free *ret with free. */
CK_RV module_slots(struct cli *cli, bool with_token, CK_SLOT_ID **ret, CK_ULONG *ret_n);
/* An initialised token's slot with this label; false when there is none. */
bool token_label_taken(struct cli *cli, const char *label);

/* Finds the token into cli->token: that of --token (or name, where a verb takes the token as its
 * argument), which uri (may be NULL) must fit too; without either, the only one there is. */
CK_RV token_find(struct cli *cli, const char *name, P11KitUri *uri);
/* The slot that waits for C_InitToken, into cli->token. */
CK_RV token_find_empty(struct cli *cli);
/* Makes a token there and opens a session, the SO logged in. Tells of a failure; *ret_made then
 * tells whether a token is there that lacks its user PIN. */
CK_RV token_make(struct cli *cli, const char *label, const struct secret *so,
                 const struct secret *user, bool *ret_made);
CK_RV token_session(struct cli *cli, bool write);
/* Reads the PIN from where the options say, and logs in. */
CK_RV token_login(struct cli *cli, CK_USER_TYPE user);
/* module_open, token_find, token_session and, if asked, token_login as the user. */
enum open_flags { OPEN_READ = 0, OPEN_WRITE = 1, OPEN_LOGIN = 2 };
CK_RV token_open(struct cli *cli, P11KitUri *uri, unsigned flags);
/* For a key that wants the PIN at each use: the PIN of token_login once more. */
CK_RV token_login_again(struct cli *cli);
/* check(), and with a wrong PIN how many tries are left. */
CK_RV check_pin(struct cli *cli, CK_RV rv, CK_USER_TYPE user, const char *doing);

/* A space-padded field of a PKCS#11 structure as a string; out holds n + 1. */
const char *padded(char *out, const CK_UTF8CHAR *field, size_t n);
#define PADDED(field) padded((char[sizeof(field) + 1]){0}, field, sizeof(field))

static inline void free_slots(CK_SLOT_ID **ids)
{
    free(*ids);
}

#endif
