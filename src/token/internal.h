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
    CK_OBJECT_HANDLE handle;   /* object_handle for token objects, odd for session objects */
    int64_t row;               /* 0: a session object */
    CK_SESSION_HANDLE session; /* the session that a session object goes with */
    uint8_t uid[16];
    bool private_;
    bool sealed_with_login; /* a public row whose MAC under S was checked and is right */
    struct attrs attrs;
    struct buf pub, priv; /* TPM key blobs; with STORE_AUTH_SEALED priv is the sealed value */
    uint32_t parent;
    struct buf parent_name;
    enum store_auth auth;
    struct secret own_auth; /* authorization of a session key made without login */
    /* A key in process memory, as long as its session: a secret key's bytes, or a private key. A
     * logout wipes those of private objects, under token.state (write): the one change that a
     * published object sees. */
    struct secret value;
    struct soft_private *private_key;
    struct object *next; /* token.objects: the list of session objects */
};

/* Where a key's secret part is: what CKA_LATCHKEY_PROTECTION tells. */
enum protection { PROTECTION_NONE, PROTECTION_TPM, PROTECTION_SEALED, PROTECTION_SESSION };
enum protection object_protection(const struct object *o);

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
    struct slot_mark
        *marks; /* what C_WaitForSlotEvent saw last: a token and its generation a slot */
    size_t n_marks;
    bool marked;
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

/* The same for C_Logout: a store that cannot be read keeps nobody logged in. */
CK_RV token_enter_logout(struct token *t);

bool token_has_sessions(struct token *t);
/* With its last session gone, a removed token makes room for the one that replaced it. */
void token_forgive(struct token *t);
/* A token that was found to be another TPM's: still? That TPM may have been there for a while only,
 * or said something wrong once. */
void token_reconsider(struct token *t);

/* CKR_TOKEN_NOT_RECOGNIZED is no answer of the functions that use a key: CKR_DEVICE_ERROR there. */
static inline CK_RV token_use_rv(CK_RV rv)
{
    return rv == CKR_TOKEN_NOT_RECOGNIZED ? CKR_DEVICE_ERROR : rv;
}

struct tpm_parent token_parent(const struct store_token *row);
struct tpm_seat token_seat(const struct store_token *row, bool so);
/* What limits the tries of the user PIN; of a row whose limit.tries is not 0. */
struct tpm_limit token_limit(const struct store_token *row);
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

/* A stored object's handle. A private one's is that of this login alone: 2.40, 5.6 C_Logout, "even
 * if a user is later logged back into the token, those handles remain invalid". */
CK_OBJECT_HANDLE object_handle(const struct token *t, int64_t row, bool private_);
/* By handle, readable in this session. CKR_OBJECT_HANDLE_INVALID. Unref when done. */
CK_RV object_get(struct session *s, CK_OBJECT_HANDLE handle, struct object **ret);
/* The same for a key; invalid: the code for a handle of none. What else went wrong (memory, the
 * store) keeps its own. */
CK_RV object_get_key(struct session *s, CK_OBJECT_HANDLE handle, CK_RV invalid,
                     struct object **ret);
/* Publishes new objects: all or none. Fills in handles; takes a reference of its own where it keeps
 * one. Session objects belong to s. */
enum { OBJECTS_AT_ONCE = 1 + MECH_EXTRA_KEYS };
CK_RV objects_publish(struct session *s, struct object **objects, size_t n);
CK_RV object_replace(struct session *s, struct object *old, struct object *fresh);
CK_RV object_remove(struct session *s, struct object *o);
void session_objects_drop(struct token *t, CK_SESSION_HANDLE session);
void token_objects_forget(struct token *t, bool private_only);
/* The search column's value of an attribute. hashed: the keyed hash that private rows have. */
CK_RV object_column(struct token *t, enum store_column column, struct bytes value, bool hashed,
                    struct buf *ret);
extern const CK_ATTRIBUTE_TYPE object_column_type[STORE_COLUMNS];

/* AES-256-GCM under the token's sealing key, bound to token, object and what it is; appends to ret.
 * Needs a login. */
CK_RV object_seal(struct token *t, const uint8_t *uid, const char *what, struct bytes plain,
                  struct buf *ret);
CK_RV object_open_sealed(struct token *t, const uint8_t *uid, const char *what, struct bytes sealed,
                         struct secret *ret);

/* Fills in what the token says of every new object and every new key. */
CK_RV object_finish(struct object *o);

/* ---- objects that are not in the store: builtin.c -------------------------------------------- */

/* Profiles, and the mechanisms. Their handles are at the end of the numbers, and even. */
bool builtin_class(CK_OBJECT_CLASS cls);
bool builtin_handle(CK_OBJECT_HANDLE handle);
size_t builtin_index(CK_OBJECT_HANDLE handle);
/* Unref when done. CKR_OBJECT_HANDLE_INVALID: there are not that many. */
CK_RV builtin_get(size_t index, struct object **ret);

/* ---- keys: hold.c (token.state held for reading) ----------------------------------------------
 */

/* A public, private or secret key? */
bool object_is_key(const struct object *o);
/* The public half of an asymmetric key object, private ones included. */
CK_RV object_public(const struct object *o, struct soft_key **ret);
/* The key as mechanisms see it, without its secret part. Borrows from the object. */
struct mech_key object_mech_key(const struct object *o);
/* CKA_ALLOWED_MECHANISMS: CKR_MECHANISM_INVALID when the list is there and the mechanism not in it.
 */
CK_RV key_mechanism_allowed(const struct object *key, CK_MECHANISM_TYPE type);

enum curve key_curve(CK_KEY_TYPE type, struct bytes params);
/* The TPM authorization of a key: derived from S, or its own. CKR_USER_NOT_LOGGED_IN. */
CK_RV key_authorization(struct token *t, const struct object *o, struct secret *ret);

/* A private or secret key opened for one call, with what mech_key borrows from. */
struct held_key {
    struct mech_key key;
    struct tpm_key tpm;
    struct secret auth, value;
    struct soft_private *private_;
};
/* CKR_USER_NOT_LOGGED_IN: its authorization, or its seal, follows from S. */
CK_RV key_hold(struct token *t, const struct object *o, struct held_key *ret);
void key_release(struct held_key *k);
/* The bytes of a key that is not in the TPM: a secret key's value, a private key's PrivateKeyInfo.
 * CKR_KEY_UNEXTRACTABLE: it is in the TPM. */
CK_RV key_bytes(struct token *t, const struct object *o, struct secret *ret);
/* A sensitive attribute that may be told (attrs_revealable), in a form that outlives the call.
 * CKR_ATTRIBUTE_TYPE_INVALID: the key has no such part, or the TPM keeps it. */
CK_RV key_secret_attribute(struct token *t, const struct object *o, CK_ATTRIBUTE_TYPE type,
                           struct secret *ret);

/* ---- new keys: place.c ------------------------------------------------------------------------
 */

/* How a new key came about: decides where it may live and what CKA_LOCAL and its like say. */
enum origin { ORIGIN_GENERATED, ORIGIN_CREATED, ORIGIN_UNWRAPPED, ORIGIN_DERIVED, ORIGIN_COPIED };

/* What a new key is made of; both empty: the TPM or the generator makes it (generated only). */
struct material {
    struct bytes value;
    const struct soft_private *private_;
};
/* Puts a finished key object (object_finish was called) where it will live: into the TPM, sealed
 * into the row, or into memory, and says so in CKA_LATCHKEY_PROTECTION. length: bytes of a secret
 * key that is to be generated. CKR_TEMPLATE_INCONSISTENT: the template asks for a protection that
 * cannot be had. */
CK_RV key_place(struct session *s, struct object *o, enum origin origin,
                const struct material *from, size_t length);
/* Would it live in the TPM? A pair is made there, not placed. */
CK_RV key_fits_tpm(struct session *s, const struct object *o, enum origin origin,
                   const struct material *from, size_t length, bool *ret);
/* May it be kept outside the TPM? CKR_TEMPLATE_INCONSISTENT: sealed-keys = no. */
CK_RV key_software_allowed(struct session *s, const struct object *o);
/* The authorization a new TPM key of this object is made with. */
CK_RV key_prepare(struct token *t, struct object *o, struct secret *auth);
/* Moves what the TPM made into the object. */
void key_take_blobs(struct object *o, struct tpm_key_made *made);
CK_RV key_tell_protection(struct object *o);
/* CKA_CHECK_VALUE of a secret key (2.40, 4.10.2), unless the template wants none. value: empty when
 * the TPM has it. CKR_ATTRIBUTE_VALUE_INVALID: the template has another. */
CK_RV key_add_check_value(struct token *t, struct object *o, struct bytes value);
/* A private or secret key's object out of the values in C_CreateObject's template. */
CK_RV key_from_template(struct session *s, const CK_ATTRIBUTE *template, CK_ULONG n,
                        struct object *o);
/* Completes and places a key that came as bytes: a secret key's value, or a private key's
 * PrivateKeyInfo (private_ NULL). */
CK_RV key_from_outside(struct session *s, struct object *o, enum origin origin,
                       const struct material *from);
/* CKA_LOCAL, CKA_KEY_GEN_MECHANISM, CKA_ALWAYS_SENSITIVE, CKA_NEVER_EXTRACTABLE, CKA_CHECK_VALUE.
 * base: what it was derived from, or NULL. mechanism: of a generated key. */
CK_RV key_history(struct object *o, enum origin origin, CK_MECHANISM_TYPE mechanism,
                  const struct object *base);
/* After it, for a second key that went in: both have to have been kept, or one is enough. */
CK_RV key_history_both(struct object *o, const struct object *other);
CK_RV key_history_either(struct object *o, const struct object *other);
/* Checks and completes a new secret key's value against CKA_KEY_TYPE and CKA_VALUE_LEN.
 * CKR_ATTRIBUTE_VALUE_INVALID, CKR_KEY_SIZE_RANGE. */
CK_RV key_check_value_length(CK_KEY_TYPE type, size_t n);
/* Does the template, where it says them, say this class and key type? CKR_TEMPLATE_INCONSISTENT. */
CK_RV template_is(const CK_ATTRIBUTE *template, CK_ULONG n, CK_OBJECT_CLASS cls, CK_KEY_TYPE type);
/* The attributes of a key pair's half that follow from the key: modulus, point, SPKI … */
CK_RV key_describe(struct attrs *a, const struct soft_key *public_);
/* C_Login with CKU_CONTEXT_SPECIFIC: for the operation of this session that waits for it. */
CK_RV op_context_login(struct session *s, struct bytes pin);

#endif
