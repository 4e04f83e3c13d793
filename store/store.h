/* The store: one SQLite database that keeps tokens and objects. It knows no meaning of a value:
 * search columns and attribute blobs come in as bytes and go out as bytes. FORMAT.md is the format.
 *
 * Locks: a struct store has one mutex of its own around the connection (a leaf: nothing else is
 * taken under it). Every function may be called from any thread. Errors: CKR_HOST_MEMORY,
 * CKR_TOKEN_WRITE_PROTECTED, CKR_DEVICE_MEMORY (disk full, or a value longer than FORMAT.md
 * allows), CKR_DEVICE_ERROR (damaged, not readable, I/O, a uid or serial used twice, busy
 * beyond the timeout), CKR_TOKEN_NOT_RECOGNIZED (newer than this module); all logged here, once,
 * with what to do. Nothing that was answered with CKR_OK is lost by a crash. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <base/bytes.h>

struct store;

/* Opens dir/store.db lazily: a directory or file that does not exist is an empty store until the
 * first write creates it (directory 0700; in a directory that is group-writable the database is
 * made 0660, else 0600, whatever the umask). dir is copied. Fails only for CKR_HOST_MEMORY. */
CK_RV store_open(const char *dir, struct store **ret);
void store_close(struct store **s);
/* After a fork, in the child: forgets the connection without a file operation (SQLite handles must
 * not cross a fork); leaks its memory on purpose. */
void store_abandon(struct store **s);
/* For pthread_atfork's handlers: hold the mutex over the fork. */
void store_before_fork(struct store *s);
void store_after_fork_parent(struct store *s);

const char *store_dir(const struct store *s);
/* Can this process write it? True for a store that can be created. No side effect. */
bool store_writable(struct store *s);
/* A number that changes whenever any process changed the store (PRAGMA data_version and the own
 * writes). CKR_OK and 0 for a store that does not exist yet. */
CK_RV store_generation(struct store *s, uint64_t *ret);
/* PRAGMA quick_check and a read of every row's shape: CKR_OK or CKR_DEVICE_ERROR. For doctor. */
CK_RV store_check(struct store *s);

/* ---- tokens -------------------------------------------------------------------------------- */

/* One PIN role's seat: an NV index, or (pin storage "sealed") a sealed object. */
struct store_seat {
    uint32_t nv;          /* NV index handle; 0 when sealed */
    struct buf nv_name;   /* its Name once written */
    struct buf pub, priv; /* TPM2B_PUBLIC / TPM2B_PRIVATE of the sealed object; empty for NV */
};

/* The indices that stand before the user's seat where its PIN tries are limited; all handles 0
 * where they are not. */
enum { STORE_LIMIT_INDICES = 3 };
struct store_limit {
    uint32_t tries;                       /* 0: no limit */
    uint32_t nv[STORE_LIMIT_INDICES];     /* gate, gate, pepper */
    struct buf name[STORE_LIMIT_INDICES]; /* their Names once written */
};

struct store_token {
    int64_t id; /* row id; set by the store; the slot's number too */
    CK_SLOT_ID slot;
    uint8_t
        uid[16]; /* random; constant over the life of the slot's token, also through C_InitToken */
    struct buf label;  /* UTF-8 without padding, at most 32 bytes */
    char serial[17];   /* 16 characters, unique */
    bool user_pin_set; /* a hint; the TPM decides */
    bool unattended;
    uint32_t pin_rounds;
    struct store_seat user, so;
    struct store_limit limit;
    struct buf check;    /* check value of the token secret */
    uint32_t generation; /* goes up by one at every C_InitToken */
    uint32_t parent; /* persistent handle of the parent (SRK); 0: transient primary of the TCG ECC
                        template */
    struct buf parent_name,
        parent_public; /* its Name; its TPM2B_PUBLIC (salts are encrypted to it) */
};
void store_token_free(struct store_token *t); /* the contents, not the struct */

/* Calls back with every token's slot, ascending. *ret_n counts; ret may be NULL to count only and
 * holds *ret_n slots otherwise (CKR_BUFFER_TOO_SMALL when there are more). */
CK_RV store_slots(struct store *s, CK_SLOT_ID *ret, size_t *ret_n);
/* The slot id the next token takes; never one that was used before, stable until it is taken. */
CK_RV store_next_slot(struct store *s, CK_SLOT_ID *ret);
/* CKR_SLOT_ID_INVALID when no token is in that slot. */
CK_RV store_token_get(struct store *s, CK_SLOT_ID slot, struct store_token *ret);
/* This and the other changes of one token: CKR_DEVICE_REMOVED when its row is gone. */
CK_RV store_token_set_user_pin(struct store *s, int64_t token, bool set);
/* Sealed PIN storage: replaces one seat's blobs (so: the SO's). */
CK_RV store_token_set_seat(struct store *s, int64_t token, bool so, const struct store_seat *seat);

/* C_InitToken's order between TPM and store (design: any kill is mended at the next open). */

/* Commits an intent: these NV handles are about to be defined (0: none; with nothing else there is
 * nothing to commit, and the intent is 0). CKR_FUNCTION_FAILED: the store names one of them
 * already, take another. */
CK_RV store_intent_begin(struct store *s, const uint32_t *nv, size_t n, int64_t *ret_intent);
/* One transaction: writes the token (t->id 0: a new row in t->slot, CKR_FUNCTION_FAILED if that
 * slot was filled meanwhile; else replaces that row, bumps generation and deletes its objects,
 * CKR_FUNCTION_FAILED if its generation is not t->generation any more), dooms the replaced token's
 * NV handles with their Names, removes the intent (CKR_FUNCTION_FAILED if another process took it
 * for dead and removed it: the handles are gone then). Sets t->id and t->generation. */
CK_RV store_intent_commit(struct store *s, int64_t intent, struct store_token *t);
CK_RV store_intent_drop(struct store *s, int64_t intent);
/* One transaction: deletes the token and its objects, dooms its NV handles. */
CK_RV store_token_delete(struct store *s, int64_t token);

/* NV handles that are to be undefined: unfinished intents (name empty; only those older than
 * min_age_seconds, so a running C_InitToken of another process is left alone) and doomed ones. */
struct store_nv {
    int64_t row;
    bool intent;
    uint32_t handle;
    struct buf name; /* empty: not known */
};
CK_RV store_nv_pending(struct store *s, unsigned min_age_seconds, struct store_nv **ret,
                       size_t *ret_n);
void store_nv_free(struct store_nv **list, size_t n);
/* The handle of that row is gone from the TPM: forget it (an intent's row goes with its last). */
CK_RV store_nv_done(struct store *s, const struct store_nv *nv);
/* Is the NV handle named by any token, intent or doomed row? */
CK_RV store_nv_known(struct store *s, uint32_t handle, bool *ret);

/* ---- what is known of the TPM -------------------------------------------------------------- */

/* A small key-value table ("tpm-capabilities"). CKR_OK with an empty ret when the key is absent. */
CK_RV store_note_get(struct store *s, const char *key, struct buf *ret);
CK_RV store_note_set(struct store *s, const char *key, struct bytes value);

/* ---- objects ------------------------------------------------------------------------------- */

/* The indexed search columns. The caller decides what is in them: the attribute's value, or for a
 * private object a keyed hash of it. An empty buffer is SQL NULL: not searchable. */
enum store_column {
    STORE_CLASS,
    STORE_KEY_TYPE,
    STORE_ID,
    STORE_LABEL,
    STORE_SUBJECT,
    STORE_ISSUER,
    STORE_SERIAL,
    STORE_COLUMNS
};

/* How the TPM authorization of a key row is found; STORE_AUTH_SEALED: the key is none of the TPM's,
 * priv is its value, sealed by the caller. */
enum store_auth {
    STORE_AUTH_NONE,
    STORE_AUTH_DERIVED,
    STORE_AUTH_STORED,
    STORE_AUTH_EMPTY,
    STORE_AUTH_SEALED
};

struct store_object {
    int64_t id; /* row id, never reused (AUTOINCREMENT); set by the store */
    int64_t token;
    uint8_t uid[16]; /* CKA_UNIQUE_ID's bytes, random, UNIQUE */
    bool private_;   /* attrs is encrypted */
    struct buf column[STORE_COLUMNS];
    struct buf attrs; /* serialised (and for private objects sealed) attributes */
    struct buf mac;   /* over a public row, under the token secret; empty: written without login */
    struct buf pub, priv; /* TPM2B_PUBLIC, TPM2B_PRIVATE of a TPM key; else see store_auth */
    uint32_t parent;      /* handle of the parent; 0: transient primary */
    struct buf parent_name;
    enum store_auth auth;
    uint32_t generation; /* the token's, when the row was written */
};
void store_object_free(struct store_object *o); /* the contents, not the struct */

/* All n objects in one transaction, or none (key pairs). Each object's generation must be the
 * token's present one, else CKR_DEVICE_REMOVED. Sets each id; on failure they mean nothing. */
CK_RV store_objects_add(struct store *s, struct store_object *objects, size_t n);
/* CKR_OBJECT_HANDLE_INVALID when there is no such row in that token. */
CK_RV store_object_get(struct store *s, int64_t token, int64_t id, struct store_object *ret);
/* Replaces private_, columns, attrs, mac of the row (uid, key blobs stay).
 * CKR_OBJECT_HANDLE_INVALID as above. */
CK_RV store_object_update(struct store *s, const struct store_object *object);
CK_RV store_object_delete(struct store *s, int64_t token, int64_t id);

/* A search: for each column given (n_any > 0) a public row's value must equal any[0], a private
 * row's any[1], or any[0] as well where n_any is 1. */
struct store_match {
    enum store_column column;
    struct bytes any[2];
    size_t n_any;
};
struct store_found {
    int64_t id;
    bool private_;
};
/* The token's objects that meet every match, by ascending row id; private rows only when
 * with_private. *ret is malloced. */
CK_RV store_objects_find(struct store *s, int64_t token, bool with_private,
                         const struct store_match *matches, size_t n_matches,
                         struct store_found **ret, size_t *ret_n);
CK_RV store_objects_count(struct store *s, int64_t token, size_t *ret);

#endif
