/* Where the store is, how the TPM is reached, what is logged: one struct, filled by precedence
 * (module parameters, environment, user file, system file, default). See latchkey.conf(5). */
#ifndef BASE_CONFIG_H
#define BASE_CONFIG_H

#include "log.h"

enum { CONFIG_PIN_ROUNDS_MIN = 1000, CONFIG_PIN_ROUNDS_MAX = 1000000 };
enum { CONFIG_PIN_TRIES_MIN = 3, CONFIG_PIN_TRIES_MAX = 100 };
enum { CONFIG_TIMEOUT_MAX = 86400 }; /* seconds: a day */

/* Do other programs share the TPM through a resource manager? AUTO: the tcti tells. */
enum config_manager { MANAGER_AUTO, MANAGER_YES, MANAGER_NO };

struct config {
    char *store;                 /* directory of store.db; always set */
    char *tcti;                  /* tctildr string; NULL: /dev/tpmrm0, /dev/tpm0, tabrmd in turn */
    enum config_manager manager; /* resource-manager; default auto */
    char *log_file;              /* NULL: stderr */
    enum log_level log;          /* default error */
    char *owner_auth_file;       /* holds the TPM's owner authorization; NULL: empty */
    char *srk_name;              /* hexadecimal Name the SRK must have; NULL: trust on first use */
    char *lock_dir;          /* directory of the TPM lock file; NULL: chosen by the kind of TCTI */
    bool show_empty_slot;    /* offer the slot for C_InitToken also when a token exists */
    bool password_session;   /* session = password: key use without HMAC session */
    bool pin_storage_sealed; /* pin-storage = sealed: new tokens keep S in sealed objects, not NV */
    bool sealed_keys;        /* sealed-keys: keys that the TPM cannot hold may be token objects */
    bool unattended;         /* new tokens get a user index outside dictionary-attack protection */
    uint32_t max_pin_tries;  /* new tokens refuse the user PIN after so many wrong ones; 0: never */
    uint32_t pin_rounds;     /* PBKDF2 rounds of new tokens; default 10,000 */
    uint32_t tpm_timeout;    /* seconds to wait for the TPM's answer; default 300 */
    uint32_t lock_timeout;   /* seconds to wait for the TPM lock; default 30 */
};

/* parameters: C_Initialize's pReserved string ("store=… tcti='…'"), or NULL.
 * CKR_ARGUMENTS_BAD for an unknown key or a bad value in parameters; the same fault in a file or
 * in the environment is logged and passed over. Free with config_free. */
CK_RV config_load(const char *parameters, struct config *ret);
/* For a forked child, whose environment may be gone. */
CK_RV config_copy(const struct config *from, struct config *ret);
void config_free(struct config *c);
/* Path of the user's config file ($LATCHKEY_CONF, else $XDG_CONFIG_HOME/latchkey.conf), malloced;
 * NULL when there is no home. */
char *config_user_file(void);

#endif
