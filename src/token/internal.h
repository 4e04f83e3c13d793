/* Between the files of the token layer. Every piece of state names its lock. */
#ifndef TOKEN_INTERNAL_H
#define TOKEN_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <base/error.h>
#include <base/names.h>
#include <mech/mech.h>
#include <store/store.h>
#include "attr.h"
#include "token.h"

/* Not an attribute that anybody is told: the id that a copied key's authorization follows from. */
#define ATTR_AUTH_ORIGIN (CKA_VENDOR_DEFINED | 0x4C4B0001UL)

enum { PIN_MIN = 4, PIN_MAX = 255 };

/* ---- objects ------------------------------------------------------------------------------- */

/* Immutable once published, shared by reference; a change makes a new one. */
struct object {
    _Atomic unsigned refs;
    CK_OBJECT_HANDLE handle;   /* 2 * row for token objects, odd for session objects */
    int64_t row;               /* 0: a session object */
    CK_SESSION_HANDLE session; /* the session that a session object goes with */
    uint8_t uid[16];
    bool private_;
    bool sealed_with_login; /* a public row whose MAC under S was checked and is right */
    struct attrs attrs;
    struct buf pub, priv; /* TPM key blobs */
    uint32_t parent;
    struct buf parent_name;
    enum store_auth auth;
    struct secret own_auth; /* authorization of a session key made without login */
    struct secret value;    /* CKA_VALUE of a secret key */
    struct object *next;    /* token.objects: the list of session objects */
};

struct object *object_ref(struct object *o);
void object_unref(struct object **o);
CK_RV object_new(struct object **ret);

/* ---- tokens -------------------------------------------------------------------------------- */

enum login { LOGIN_NONE, LOGIN_USER, LOGIN_SO };

/* S and what is derived from it while somebody is logged in. */
struct token_keys {
    struct secret s;
    struct secret seal;   /* AES-256-GCM key of private rows */
    struct secret search; /* HMAC key of private search columns */
    struct secret mac;    /* HMAC key of public rows */
};
void token_keys_free(struct token_keys *k);
CK_RV token_keys_derive(const struct store_token *row, struct secret *s, struct token_keys *ret);
CK_RV token_check_value(const struct store_token *row, struct bytes s, struct buf *ret);

enum { CACHE = 256 };

struct cached {
    struct object *object;
    uint64_t generation; /* of the store, when it was read */
};

struct token {
    struct library *lib;
    CK_SLOT_ID slot;
    struct token *next;             /* library.registry */
    unsigned sessions, rw_sessions; /* library.registry */

    pthread_rwlock_t state; /* guards from here … */
    struct store_token row;
    bool loaded;
    uint64_t seen; /* store generation of row */
    enum login login;
    struct token_keys keys;
    uint64_t epoch; /* goes up at each login and logout: operations remember it */
    bool removed;   /* another process re-initialised or deleted it */
    bool foreign;   /* known to belong to another TPM */
                    /* … to here */

    pthread_mutex_t objects; /* guards the rest */
    struct object *session_objects;
    CK_ULONG next_session_object;
    struct cached cache[CACHE]; /* direct-mapped by row */
};

/* ---- the library --------------------------------------------------------------------------- */

struct library {
    struct config config;      /* constant after library_open */
    struct store *store;       /* has its own lock */
    struct tpm *tpm;           /* has its own lock */
    pthread_mutex_t registry;  /* guards the rest, and the counts in tokens */
    struct session **sessions; /* indexed by the low bits of the handle */
    size_t session_slots;
    CK_ULONG next_serial;
    struct token *tokens;
    bool mended; /* token_mend did its work */
    bool caps_known;
    struct tpm_caps caps;
};

/* The runtime token of a slot that the store has; made when it is first asked for, kept until the
 * library closes. CKR_SLOT_ID_INVALID; CKR_TOKEN_NOT_PRESENT for the empty slot. */
CK_RV token_find(struct library *lib, CK_SLOT_ID slot, struct token **ret);
/* Does the empty slot show a (blank) token? */
bool slot_shows_blank(struct library *lib);
CK_RV library_caps(struct library *lib, struct tpm_caps *ret);
void library_keep_caps(struct library *lib);

/* Takes token.state for reading, after bringing row up to date with the store.
 * CKR_DEVICE_REMOVED when the token of the open sessions is no more. */
CK_RV token_enter(struct token *t);
/* The same for who asks about the slot's token, whatever became of the sessions with its
 * predecessor. */
CK_RV token_enter_row(struct token *t);
void token_leave(struct token **t);
#define TOKEN_READ(t)                                                                              \
    TRY(token_enter(t));                                                                           \
    CLEANUP(token_leave) struct token *token_read_ __attribute__((unused)) = (t)
/* The same for writing. */
CK_RV token_enter_write(struct token *t);
#define TOKEN_WRITE(t)                                                                             \
    TRY(token_enter_write(t));                                                                     \
    CLEANUP(token_leave) struct token *token_write_ __attribute__((unused)) = (t)

bool token_has_sessions(struct token *t);
/* With its last session gone, a removed token makes room for the one that replaced it. */
void token_forgive(struct token *t);

/* CKR_TOKEN_NOT_RECOGNIZED is no answer of the functions that use a key: CKR_DEVICE_ERROR there. */
static inline CK_RV token_use_rv(CK_RV rv)
{
    return rv == CKR_TOKEN_NOT_RECOGNIZED ? CKR_DEVICE_ERROR : rv;
}

struct tpm_parent token_parent(const struct store_token *row);
struct tpm_seat token_seat(const struct store_token *row, bool so);
/* The authorization of a PIN: PBKDF2 over it with the token's uid and the role. */
CK_RV token_pin_auth(const struct store_token *row, bool so, struct bytes pin, struct secret *ret);
/* Opens a role's seat with a PIN and checks that what is in it is this token's secret. */
CK_RV token_open_seat(struct token *t, bool so, struct bytes pin, struct secret *ret);
CK_RV token_reset_seed(struct bytes s, uint8_t *ret48);
/* Under token.state (write): ends the login, drops private objects. */
void token_drop_login(struct token *t);
/* What a killed C_InitToken or TokenDestroy left in the TPM is removed, at the first opening for
 * writing. No TPM command when nothing is left. */
void token_mend(struct library *lib);

/* ---- sessions ------------------------------------------------------------------------------ */

struct op;

struct session {
    struct token *token;
    CK_SESSION_HANDLE handle;
    bool rw;
    unsigned refs;         /* library.registry */
    bool closed;           /* library.registry */
    pthread_mutex_t mutex; /* guards the rest */
    struct op *op[OP_KINDS];
    bool finding;
    CK_OBJECT_HANDLE *found;
    size_t found_n, found_at;
};

/* 2.40, 4.? "session state": computed from rw and the token's login (token.state held). */
CK_STATE session_state(const struct session *s);
/* Was it closed since the call began? Whoever closes it waits for nobody. */
bool session_closed(const struct session *s);
void op_free(struct op **op);

/* ---- access -------------------------------------------------------------------------------- */

/* May a session in its state read / write an object of that kind? (token.state held)
 * CKR_OK, CKR_USER_NOT_LOGGED_IN, CKR_SESSION_READ_ONLY. */
CK_RV access_read(const struct session *s, bool private_);
CK_RV access_write(const struct session *s, bool token_object, bool private_);

/* ---- objects in the store and in the session (token.state held for reading) ----------------- */

/* By handle, readable in this session. CKR_OBJECT_HANDLE_INVALID. Unref when done. */
CK_RV object_get(struct session *s, CK_OBJECT_HANDLE handle, struct object **ret);
/* Publishes new objects: all or none. Fills in handles; takes a reference of its own where it keeps
 * one. Session objects belong to s. */
CK_RV objects_publish(struct session *s, struct object **objects, size_t n);
CK_RV object_replace(struct session *s, struct object *old, struct object *fresh);
CK_RV object_remove(struct session *s, struct object *o);
void session_objects_drop(struct token *t, CK_SESSION_HANDLE session);
void token_objects_forget(struct token *t, bool private_only);
/* The search column's value of an attribute. hashed: the keyed hash that private rows have. */
CK_RV object_column(struct token *t, enum store_column column, struct bytes value, bool hashed,
                    struct buf *ret);
extern const CK_ATTRIBUTE_TYPE object_column_type[STORE_COLUMNS];

/* Fills in what the token says of every new object and every new key. */
CK_RV object_finish(struct object *o);
/* A private object's TPM key as src/tpm wants it; auth receives the authorization. */
CK_RV object_tpm_key(struct token *t, const struct object *o, struct secret *auth,
                     struct tpm_key *ret);
/* The public half of an RSA or EC key object, private ones included. */
CK_RV object_public(const struct object *o, struct soft_key **ret);
/* The key as mechanisms see it, without its private part. Borrows from the object. */
struct mech_key object_mech_key(const struct object *o);
/* CKA_ALLOWED_MECHANISMS: CKR_MECHANISM_INVALID when the list is there and the mechanism not in it.
 */
CK_RV key_mechanism_allowed(const struct object *key, CK_MECHANISM_TYPE type);
/* C_Login with CKU_CONTEXT_SPECIFIC: for the operation of this session that waits for it. */
CK_RV op_context_login(struct session *s, struct bytes pin);

#endif
