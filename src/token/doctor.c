#include "internal.h"

#include <errno.h>
#include <grp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* What is wrong, in plain words, and the command that mends it. Changes nothing, burns no try. */

struct report {
    LATCHKEY_FINDING callback;
    void *context;
};

static void say(const struct report *r, CK_ULONG level, const char *id, const char *remedy,
                const char *format, ...) __attribute__((format(printf, 5, 6)));

static void say(const struct report *r, CK_ULONG level, const char *id, const char *remedy,
                const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    for (char *c = text; *c; c++) /* a label may hold anything */
        if ((unsigned char)*c < ' ' || *c == 127)
            *c = '?';
    r->callback(r->context, level, id, text, remedy);
}

#define OK(id, ...)              say(r, LATCHKEY_FINDING_OK, id, NULL, __VA_ARGS__)
#define NOTE(id, remedy, ...)    say(r, LATCHKEY_FINDING_NOTE, id, remedy, __VA_ARGS__)
#define WARNING(id, remedy, ...) say(r, LATCHKEY_FINDING_WARNING, id, remedy, __VA_ARGS__)
#define PROBLEM(id, remedy, ...) say(r, LATCHKEY_FINDING_PROBLEM, id, remedy, __VA_ARGS__)

/* ---- the store ----------------------------------------------------------------------------- */

/* Can the tokens be read at all? */
static bool examine_store(struct library *lib, const struct report *r)
{
    const char *dir = store_dir(lib->store);
    char path[4200];
    struct stat st;
    size_t n = 0;
    snprintf(path, sizeof(path), "%s/store.db", dir);
    if (stat(path, &st) != 0 && errno == ENOENT) {
        NOTE("store", "latchkey token create", "there is no store yet in %s", dir);
        return true;
    }
    if (access(path, R_OK) != 0) {
        PROBLEM("store-permission", "join the group that owns it, or set 'store' to your own",
                "%s cannot be read by this user: %m", path);
        return false;
    }
    CK_RV rv = store_check(lib->store);
    if (rv == CKR_OK)
        rv = store_slots(lib->store, NULL, &n);
    if (rv == CKR_TOKEN_NOT_RECOGNIZED) {
        PROBLEM("store-version", "install the version of latchkey that wrote it, or a newer one",
                "%s was written by a newer latchkey", path);
        return false;
    }
    if (rv != CKR_OK) {
        PROBLEM("store-damaged", "restore store.db from a backup: it opens with today's PIN",
                "%s is damaged (%s)", path, name_rv(rv));
        return false;
    }
    OK("store", "%s: %zu token%s", path, n, n == 1 ? "" : "s");
    if (!store_writable(lib->store))
        NOTE("store-read-only", NULL, "this user can use the store but not change it");
    if (st.st_mode & S_IRWXO)
        WARNING("store-mode", "chmod o= the file", "%s is open to every user of this machine",
                path);
    return true;
}

/* ---- the TPM ------------------------------------------------------------------------------- */

static void explain_no_tpm(struct library *lib, const struct report *r)
{
    struct stat st;
    if (lib->config.tcti) {
        PROBLEM("tpm", "latchkey tpm simulate start, if it is the simulator; else check 'tcti'",
                "the TPM at '%s' does not answer", lib->config.tcti);
    } else if (stat("/dev/tpmrm0", &st) == 0) {
        struct group entry, *group = NULL;
        char room[2048], remedy[128];
        getgrgid_r(st.st_gid, &entry, room, sizeof(room), &group);
        const char *name = group ? group->gr_name : "tss";
        snprintf(remedy, sizeof(remedy), "usermod -a -G %s USER, then log in again", name);
        PROBLEM("tpm-permission", remedy,
                "/dev/tpmrm0 is there but this user may not open it: it belongs to group %s", name);
    } else {
        PROBLEM("tpm", "switch it on in the firmware set-up, or: latchkey tpm simulate start",
                "this machine shows no TPM (no /dev/tpmrm0, no /dev/tpm0, no tpm2-abrmd)");
    }
}

static void examine_lockout(const struct tpm_lockout *l, const struct report *r)
{
    if (l->in_lockout || l->counter >= l->max_tries)
        PROBLEM("lockout", "latchkey tpm unlock",
                "the TPM is locked after %u wrong tries: no PIN is taken. One try comes back after "
                "%u s; keys that are in use go on working",
                l->counter, l->interval);
    else if (l->counter)
        NOTE("lockout", NULL,
             "%u of %u wrong tries are on the TPM's counter; one is forgiven every %u s",
             l->counter, l->max_tries, l->interval);
    else
        OK("lockout", "no wrong tries on the counter (%u are allowed)", l->max_tries);
    if (!l->auth_set)
        WARNING("lockout-auth", "latchkey tpm harden",
                "the TPM's lockoutAuth is empty: anybody on this machine can reset the counter and "
                "try PINs without end");
    else
        OK("lockout-auth", "the lockoutAuth is set");
}

static bool examine_tpm(struct library *lib, const struct report *r)
{
    struct tpm_identity id;
    struct tpm_lockout l;
    if (tpm_get_identity(lib->tpm, &id) != CKR_OK || tpm_get_lockout(lib->tpm, &l) != CKR_OK) {
        explain_no_tpm(lib, r);
        return false;
    }
    OK("tpm", "%s %s (%s) at %s%s", id.manufacturer, id.vendor, id.spec, id.tcti,
       id.managed ? ", behind a resource manager" : "");
    if (id.simulator)
        WARNING("tpm-simulator", NULL,
                "this is a software TPM: it protects nothing against who can read its files");
    examine_lockout(&l, r);
    return true;
}

/* ---- tokens -------------------------------------------------------------------------------- */

static void examine_index(const struct store_token *row, const char *whose, uint32_t index,
                          const uint32_t *nv, size_t n_nv, const struct report *r)
{
    for (size_t i = 0; i < n_nv; i++)
        if (nv[i] == index)
            return;
    if (index)
        PROBLEM("token-index", "latchkey token destroy --force, then make the token anew",
                "token '%.*s': the %s's NV index 0x%x is gone from the TPM; the keys cannot be "
                "opened any more",
                (int)row->label.n, (const char *)row->label.p, whose, index);
}

static void examine_tries(struct library *lib, const struct store_token *row,
                          const struct report *r)
{
    const struct tpm_limit limit = token_limit(row);
    uint32_t most, left;
    int n = (int)row->label.n;
    const char *label = (const char *)row->label.p;
    if (!limit.tries || tpm_limit_read(lib->tpm, &limit, &most, &left) != CKR_OK || !most)
        return;
    if (!left)
        PROBLEM("token-tries", "latchkey token reset-pin",
                "token '%.*s': its limit of %u wrong PINs is reached, no user PIN is taken", n,
                label, most);
    else if (left < most)
        NOTE("token-tries", NULL, "token '%.*s': %u of %u tries of the user PIN are left", n, label,
             left, most);
    else
        OK("token-tries", "token '%.*s': all %u tries of the user PIN are left", n, label, most);
}

static void examine_token(struct library *lib, CK_SLOT_ID slot, const uint32_t *nv, size_t n_nv,
                          const struct report *r)
{
    CLEANUP(store_token_free) struct store_token row = {0};
    if (store_token_get(lib->store, slot, &row) != CKR_OK)
        return;
    int n = (int)row.label.n;
    const char *label = (const char *)row.label.p;
    const struct tpm_parent parent = token_parent(&row);
    CK_RV rv = tpm_check_parent(lib->tpm, &parent);
    if (rv != CKR_OK) {
        PROBLEM("token-foreign",
                "on the machine it came from it works; else: latchkey token destroy --force",
                "token '%.*s' belongs to another TPM, or this one was cleared: its keys cannot be "
                "used here",
                n, label);
        return;
    }
    examine_index(&row, "user PIN", row.user.nv, nv, n_nv, r);
    examine_index(&row, "SO PIN", row.so.nv, nv, n_nv, r);
    for (int i = 0; i < STORE_LIMIT_INDICES; i++)
        examine_index(&row, "limit of tries", row.limit.nv[i], nv, n_nv, r);
    examine_tries(lib, &row, r);
    if (!row.user_pin_set)
        NOTE("token-pin", "latchkey token reset-pin", "token '%.*s' has no user PIN yet", n, label);
    if (!row.user.nv)
        WARNING("token-sealed", NULL,
                "token '%.*s' keeps its PINs in sealed objects: an old PIN opens an old copy of "
                "the store",
                n, label);
    OK("token", "token '%.*s' belongs to this TPM", n, label);
}

static void examine_orphans(struct library *lib, const uint32_t *nv, size_t n,
                            const struct report *r)
{
    for (size_t i = 0; i < n; i++) {
        bool known = true;
        char remedy[96];
        if (store_nv_known(lib->store, nv[i], &known) != CKR_OK || known)
            continue;
        snprintf(remedy, sizeof(remedy), "latchkey tpm remove-index 0x%x --force", nv[i]);
        NOTE("nv-orphan", remedy,
             "NV index 0x%x looks like one of latchkey's but no token of this store names it; it "
             "may be another user's",
             nv[i]);
    }
}

static void examine_tokens(struct library *lib, const uint32_t *nv, size_t n_nv,
                           const struct report *r)
{
    size_t n = 0;
    if (store_slots(lib->store, NULL, &n) != CKR_OK)
        return;
    CK_SLOT_ID *slots = calloc(n + 1, sizeof(*slots));
    if (slots && store_slots(lib->store, slots, &n) == CKR_OK)
        for (size_t i = 0; i < n; i++)
            examine_token(lib, slots[i], nv, n_nv, r);
    free(slots);
}

CK_RV admin_doctor(struct library *lib, LATCHKEY_FINDING callback, void *context)
{
    const struct report report = {callback, context}, *r = &report;
    bool store = examine_store(lib, r);
    bool tpm = examine_tpm(lib, r);
    uint32_t *nv = NULL;
    size_t n_nv = 0;
    if (!store || !tpm || tpm_nv_list(lib->tpm, &nv, &n_nv) != CKR_OK)
        return CKR_OK;
    examine_tokens(lib, nv, n_nv, r);
    examine_orphans(lib, nv, n_nv, r);
    free(nv);
    return CKR_OK;
}
