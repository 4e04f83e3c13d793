/* Between the files of the TPM layer: the connection, commands as values, sessions, residency. */
#ifndef TPM_INTERNAL_H
#define TPM_INTERNAL_H

#include <pthread.h>
#include <string.h>
#include <tss2/tss2_mu.h>
#include <tss2/tss2_tcti.h>
#include <tss2/tss2_tpm2_types.h>
#include <base/error.h>
#include <base/host.h>
#include "tpm.h"

enum { RESIDENT_KEYS = 2, EXTRA_HANDLES = 7, NONCE = 16, NAME_MAX_SIZE = 66 };

/* ---- lock file: who owns the TPM's slots when there is no resource manager ------------------ */

struct lock_record {
    uint8_t owner[16]; /* random id of the owner's struct tpm */
    int32_t pid;
    uint32_t n;
    uint32_t handle[RESIDENT_KEYS + 1 + 4]; /* resident, and what one call adds at most */
    /* A command that makes a handle is under way: were its process killed now, only this would tell
     * which of the TPM's handles is ours. */
    uint32_t pending; /* enum pending */
    uint8_t pending_name[NAME_MAX_SIZE];
    uint8_t zero[2]; /* no padding: the record is compared and written as a whole */
    uint32_t pending_name_n;
};
enum pending { PENDING_NONE, PENDING_OBJECT, PENDING_SESSION };

struct lock_file {
    char path[512];
    int fd; /* -1: not open */
    struct host_file file;
    int64_t turn; /* since when this owner has it again and again */
    struct lock_self {
        int32_t pid;
        uint64_t start;
    } self; /* as it is told to others */
};

/* Waits at most timeout seconds; CKR_DEVICE_ERROR then, and the log names the holder (not with 0).
 * Reads the record (zeroed when it is new or damaged). Who waits gets it after a few turns of
 * others, however often they come back. */
CK_RV lock_file_take(struct lock_file *l, unsigned timeout, struct lock_record *ret);
/* False, and logged: what was written before may still be there. */
bool lock_file_write(struct lock_file *l, const struct lock_record *record);
void lock_file_release(struct lock_file *l);
/* Does another owner hold it just now? */
bool lock_file_busy(const struct lock_file *l);
void lock_file_close(struct lock_file *l);
/* Where the lock of this TCTI lies. */
CK_RV lock_file_path(const struct config *config, const char *tcti, char *ret, size_t n);

/* ---- sessions ------------------------------------------------------------------------------ */

struct session {
    TPM2_HANDLE handle; /* 0: none */
    uint8_t nonce_caller[NONCE], nonce_tpm[NONCE];
    struct secret key; /* of a salted session; empty: unsalted */
    bool policy_auth; /* a policy session after PolicyAuthValue: the entity's auth is in the HMAC */
    bool policy;
    bool keep; /* continueSession */
};

/* ---- the connection ------------------------------------------------------------------------ */

struct resident {
    TPM2_HANDLE handle; /* 0: free */
    uint8_t name[NAME_MAX_SIZE];
    size_t name_n;
    uint64_t used; /* LRU clock */
};

/* A key that had to make room: the second time it goes its context is saved, so that it comes back
 * by ContextLoad, which hardware does several times faster than Load. */
struct saved {
    uint8_t name[NAME_MAX_SIZE];
    size_t name_n;      /* 0: free */
    struct buf context; /* TPMS_CONTEXT, marshalled; empty: it went once */
    uint64_t used;
};
enum { SAVED_KEYS = 16 };

struct tpm {
    pthread_mutex_t mutex; /* guards everything below; a leaf */
    bool held_for_fork;    /* by the fork handler's thread */
    const struct config *config;
    char tcti_name[256];
    TSS2_TCTI_CONTEXT *tcti; /* NULL: not connected */
    bool managed;            /* behind a resource manager */
    bool reopen;             /* /dev/tpm0: can be open once, so only within a hold */
    struct lock_file lock;
    struct lock_record record; /* as last read or written */
    uint8_t id[16];
    int64_t gave_up;   /* when the lock file was waited for in vain; clock_now() */
    bool unreached;    /* tcti_name did not answer */
    unsigned silences; /* commands of this hold that got no answer in time */
    bool broken;       /* a command got no answer, or a spoilt one */
    bool unwilling;    /* to the last command it said "again" until patience ended */
    enum pending pending;
    uint8_t pending_name[NAME_MAX_SIZE];
    size_t pending_name_n;
    struct resident key[RESIDENT_KEYS];
    struct saved saved[SAVED_KEYS];
    struct session session; /* for key use; bare TPM only */
    TPM2_HANDLE primary;    /* the transient primary, when this call has made it */
    TPM2_HANDLE primary_number;
    /* what this call loaded besides; flushed at its end, or when the TPM does it */
    TPM2_HANDLE extra[EXTRA_HANDLES];
    uint64_t clock;
    struct secret owner_auth;
    bool owner_auth_read;
};

/* Around a command that makes a handle: what it is going to be, written to the lock file's record;
 * PENDING_NONE once the handle is known or was refused. name: of the object. */
void handle_pending(struct tpm *t, enum pending what, struct bytes name);
/* Still pending after a lost answer: look for the handle and flush it. An error: the TPM does not
 * say which handles there are, and it stays pending. */
CK_RV settle_pending(struct tpm *t);

/* Every port function is one hold: mutex, connection, lock file, other owners' handles flushed. */
CK_RV tpm_enter(struct tpm *t);
void tpm_leave(struct tpm **t);
#define HOLD(t)                                                                                    \
    TRY(tpm_enter(t));                                                                             \
    CLEANUP(tpm_leave) struct tpm *hold_ __attribute__((unused)) = (t)

/* The same, and alone: behind a resource manager, too, no other process is within such a hold. For
 * changes that take several commands. */
CK_RV tpm_enter_alone(struct tpm *t);
void tpm_leave_alone(struct tpm **t);
#define HOLD_ALONE(t)                                                                              \
    TRY(tpm_enter_alone(t));                                                                       \
    CLEANUP(tpm_leave_alone) struct tpm *hold_ __attribute__((unused)) = (t)

/* ---- commands as values -------------------------------------------------------------------- */

struct cmd_handle {
    TPM2_HANDLE handle;
    struct bytes name; /* empty: the handle is its own Name (hierarchies, PCRs, sessions) */
};

struct cmd_auth {
    struct session *session; /* NULL: password */
    struct bytes value;      /* authorization of the handle of the same number */
    struct bytes new_value;  /* set when the command changes it: the response is keyed with this */
};

struct cmd {
    const char *name;
    TPM2_CC code;
    struct cmd_handle handle[3];
    unsigned handles, auth_handles; /* how many handles, how many of them need authorization */
    struct cmd_auth auth[3];
    unsigned auths;
    struct session *encrypt_in, *encrypt_out; /* protect the first parameter; NULL: not */
    struct session *audit;
    bool sequence; /* its only handle is a sequence object's, whose Name is empty (part 3, 17.1) */
    bool makes_handle; /* the response begins with a handle */
    bool repeatable;   /* changes nothing: may be sent again after an I/O error */
    bool bad;          /* a parameter could not be marshalled */
    uint8_t params[TPM2_MAX_COMMAND_SIZE];
    size_t n;
    /* the answer */
    TSS2_RC rc;
    TPM2_HANDLE made;
    uint8_t answer[TPM2_MAX_RESPONSE_SIZE];
    size_t answer_n, at;
};

void cmd_wipe(struct cmd *c);
#define COMMAND(c, command_code, ...)                                                              \
    CLEANUP(cmd_wipe)                                                                              \
    struct cmd c = {.name = "TPM2_" #command_code, .code = TPM2_CC_##command_code, __VA_ARGS__}

/* Append a marshalled value to the parameters; take one from the answer. */
#define PUT(c, TYPE, value)                                                                        \
    ((c)->bad |= Tss2_MU_##TYPE##_Marshal(value, (c)->params, sizeof((c)->params), &(c)->n) != 0)
#define GET(c, TYPE, ret)                                                                          \
    ((c)->bad |= Tss2_MU_##TYPE##_Unmarshal((c)->answer, (c)->answer_n, &(c)->at, ret) != 0)
void cmd_put_raw(struct cmd *c, struct bytes raw); /* already marshalled */
void cmd_put_2b(struct cmd *c, struct bytes content);
/* A TPM2B's content within the answer; borrowed. */
struct bytes cmd_get_2b(struct cmd *c);

/* Sends it, replays what may be replayed, checks and decrypts the answer. CKR_OK: the TPM answered,
 * c->rc says what. Everything else did not get that far. */
CK_RV cmd_send(struct tpm *t, struct cmd *c);
/* The same, and c->rc translated. */
CK_RV cmd_exec(struct tpm *t, struct cmd *c, enum error_context context);
/* After reading the answer: CKR_DEVICE_ERROR when it could not be read as what it should be. */
CK_RV cmd_parsed(const struct cmd *c);

bool rc_lost_object(TSS2_RC rc);  /* 0x910…: a handle refers to an object that is not loaded */
bool rc_lost_session(TSS2_RC rc); /* 0x918… */
/* rc without the number of the parameter, handle or session */
TSS2_RC rc_plain(TSS2_RC rc);

/* Is this TCTI's name one of ours? */
bool swtpm_named(const char *tcti);
/* Ends with Tss2_Tcti_Finalize. timeout: seconds for each of connecting, sending, waiting. */
TSS2_RC swtpm_open(const char *tcti, unsigned timeout, TSS2_TCTI_CONTEXT **ret);

/* One exchange of bytes with the TPM. */
CK_RV transport_open(struct tpm *t);
void transport_close(struct tpm *t);
CK_RV transport_exchange(struct tpm *t, struct bytes command, uint8_t *ret, size_t *ret_n);

/* ---- sessions and handles ------------------------------------------------------------------ */

/* A fresh secret that only the parent can decrypt: encrypted is the content of a
 * TPM2B_ENCRYPTED_SECRET; *ret_hash the parent's nameAlg. */
/* Is it the one that srk-name pins? */
CK_RV parent_pinned(const struct tpm *t, struct bytes name);
CK_RV parent_share(struct tpm *t, const struct tpm_parent *parent, const char *label,
                   enum hash *ret_hash, struct buf *encrypted, struct secret *ret);
/* Salted to the parent, or with parent NULL unsalted. type: TPM2_SE_HMAC or TPM2_SE_POLICY. */
CK_RV session_start(struct tpm *t, const struct tpm_parent *parent, TPM2_SE type,
                    struct session *ret);
/* Proves, uncounted, that the TPM has the session's key: with another, the right authorization
 * would look like a wrong one. */
CK_RV session_prove(struct tpm *t, const struct tpm_parent *parent, struct session *s);
/* Ends it with a FlushContext, if it is still there. */
void session_end(struct tpm *t, struct session *s);
void session_wipe(struct session *s); /* for CLEANUP: frees the key */
/* The parent's handle: persistent, or the transient primary made now (flushed when the call ends).
 */
CK_RV parent_handle(struct tpm *t, const struct tpm_parent *parent, TPM2_HANDLE *ret);
/* How many kinds of transient primaries there are: 0 up to it stands for a parent's handle. */
size_t parent_primaries(void);
bool parent_is_primary(TPM2_HANDLE handle);
/* A persistent key; leaves ret empty when the handle is free. */
CK_RV read_parent(struct tpm *t, TPM2_HANDLE handle, struct tpm_parent_owned *ret);
/* A transient primary with its Name and public area, to be flushed by extra_flush. */
CK_RV make_primary(struct tpm *t, TPM2_HANDLE number, TPM2_HANDLE *ret,
                   struct tpm_parent_owned *ret_parent);
void flush_handle(struct tpm *t, TPM2_HANDLE handle);
/* Remember a handle to be flushed when the call ends; forget it (it ended, or stays); flush it now.
 */
void extra_add(struct tpm *t, TPM2_HANDLE handle);
void extra_forget(struct tpm *t, TPM2_HANDLE handle);
void extra_flush(struct tpm *t, TPM2_HANDLE handle);
void extras_flush(struct tpm *t);
/* What a command for key_use has as encrypt_in and encrypt_out to ask for it: key_use, which finds
 * the session, puts that in its place. */
#define KEY_SESSION ((struct session *)(uintptr_t)1)
/* Runs c on a key: loads it when needed, gives c its session, renews what was lost. */
CK_RV key_use(struct tpm *t, const struct tpm_key *key, struct cmd *c);
/* The session for key use, which is started where there is none; NULL: passwords are wanted. */
CK_RV key_session(struct tpm *t, struct session **ret);
/* After the command: behind a resource manager it may not stay. */
void key_session_end(struct tpm *t);
/* The same for a command whose second handle is the key's parent. */
CK_RV key_use_below(struct tpm *t, const struct tpm_key *key, struct cmd *c);
void residents_forget(struct tpm *t); /* without a command: the handles mean nothing any more */
void residents_flush(struct tpm *t);
/* Gives up all but one resident key: a command that makes an object needs a slot for it and one for
 * its parent, persistent or not. */
void residents_yield(struct tpm *t);
void saved_free(struct tpm *t);

/* Sign and decrypt, fixedTPM, noDA, no scheme: the base of every key template. */
TPM2B_PUBLIC key_template(TPMI_ALG_PUBLIC type);
TPM2_ECC_CURVE key_curve_id(enum curve c);
/* TPM_ALG_ID of a hash, 0 where the TPM has none; and back, HASH_NONE where it is no hash here. */
TPM2_ALG_ID key_hash_id(enum hash h);
enum hash key_hash_of(unsigned id);
/* An RSA public area's exponent, big-endian and as short as it is, and modulus. */
CK_RV rsa_numbers(const TPMT_PUBLIC *area, struct buf *ret_exponent, struct buf *ret_modulus);
/* The number with zeros before it, n bytes in all. CKR_DEVICE_ERROR: it is longer. */
CK_RV append_padded(struct buf *b, struct bytes number, size_t n);
/* Outputs are untouched on failure: k goes to ret with CKR_OK, else it is freed. Returns rv. */
CK_RV key_hand_over(CK_RV rv, struct tpm_key_made *k, struct tpm_key_made *ret);
/* Appends content with its size in front. */
CK_RV append_2b(struct buf *b, struct bytes content);
/* TPM2_Create under a salted session; sensitive: auth, and for what is not made by the TPM its
 * value. Fills in ret's blobs. */
CK_RV key_create(struct tpm *t, const struct tpm_parent *parent, struct bytes auth,
                 struct bytes value, const TPM2B_PUBLIC *template, struct tpm_key_made *ret);

/* The owner authorization from owner-auth-file, read once; empty without one. */
CK_RV owner_auth(struct tpm *t, struct bytes *ret);
/* How a command gives it: by password while it is empty, else in session s, salted to the SRK;
 * where there is none yet (CreatePrimary) unsalted, so a guessable one is open to who listens just
 * then. */
CK_RV owner_session(struct tpm *t, struct session *s, struct cmd_auth *ret);

/* ---- policies: policy.c -------------------------------------------------------------------- */

/* Who signs for PolicySigned. */
struct policy_signer {
    TPM2B_PUBLIC key;
    uint8_t name[NAME_MAX_SIZE];
    size_t name_n;
    uint8_t digest[32]; /* after PolicySigned by it, from nothing */
};
/* seed: 48 bytes, the private key. */
CK_RV policy_signer(struct bytes seed, struct policy_signer *ret);
/* Digests are 32 bytes. from: before the command; the others begin with nothing. */
CK_RV policy_command_code_digest(const uint8_t *from, TPM2_CC code, uint8_t *ret);
CK_RV policy_secret_digest(struct bytes name, uint8_t *ret);
CK_RV policy_or_digest(const uint8_t *const *branch, size_t n, uint8_t *ret);
/* The commands, on a policy session. */
CK_RV policy_command_code(struct tpm *t, const struct session *s, TPM2_CC code);
CK_RV policy_auth_value(struct tpm *t, struct session *s);
CK_RV policy_or(struct tpm *t, const struct session *s, const uint8_t *const *branch, size_t n);
/* Bound to the session's present nonce. */
CK_RV policy_signed(struct tpm *t, const struct session *s, const struct policy_signer *signer,
                    struct bytes seed);

/* ---- NV indices and seats: seat.c ------------------------------------------------------------ */

CK_RV index_name(const TPM2B_NV_PUBLIC *index, uint8_t *ret34);
/* CKR_FUNCTION_REJECTED: the handle is taken; CKR_ACTION_PROHIBITED: the owner authorization is
 * another. */
CK_RV index_define(struct tpm *t, struct session *s, const TPM2B_NV_PUBLIC *index,
                   struct bytes auth);
/* For a command whose authorized handle and index are the same NV index. */
void index_aim(struct cmd *c, struct session *s, const struct tpm_index *index, struct bytes auth);
CK_RV index_change_auth(struct tpm *t, const struct tpm_index *index, struct session *policy,
                        struct session *proven, struct bytes auth, struct bytes new_auth);
/* Proves, uncounted, session, TPM and index; a policy session that is given proves its key, too. */
CK_RV seat_prove(struct tpm *t, struct session *s, struct session *policy,
                 const struct tpm_seat *seat);
/* TPM_SECRET bytes out of an index. */
CK_RV seat_read(struct tpm *t, struct session *s, const struct tpm_index *index, struct bytes auth,
                struct secret *ret);
CK_RV seat_change_surely(struct tpm *t, const struct tpm_parent *parent,
                         const struct tpm_seat *seat, struct bytes auth, struct bytes seed,
                         struct bytes new_auth);
/* May the session that read a secret stay for the keys? Then session_keep takes it, else ends it.
 */
bool session_stays(const struct tpm *t);
void session_keep(struct tpm *t, struct session *s);

/* Name of a public area: nameAlg || digest of its TPMT_PUBLIC. pub: marshalled TPM2B_PUBLIC. */
CK_RV public_name(struct bytes pub, uint8_t *ret, size_t *ret_n);
/* TPM2B_PUBLIC out of marshalled bytes that fill it wholly. */
bool public_parse(struct bytes pub, TPM2B_PUBLIC *ret);
/* One GetCapability into *ret. */
CK_RV get_capability(struct tpm *t, TPM2_CAP cap, uint32_t property, uint32_t count,
                     TPMS_CAPABILITY_DATA *ret);

#endif
