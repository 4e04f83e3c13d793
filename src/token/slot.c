#include "internal.h"

#include <stdio.h>
#include <stdlib.h>

/* Cryptoki's strings: blanks to the end, no NUL. */
static void pad(CK_UTF8CHAR *out, size_t n, struct bytes text)
{
    memset(out, ' ', n);
    if (text.n)
        memcpy(out, text.p, text.n < n ? text.n : n);
}

#define PAD(field, text) pad(field, sizeof(field), text)

/* C_GetSlotList and its like have no code for a store that cannot be read. */
static CK_RV listing(CK_RV rv)
{
    return rv == CKR_OK || rv == CKR_HOST_MEMORY ? rv : CKR_FUNCTION_FAILED;
}

/* A blank token confuses users and strongSwan: it shows only while there is no other. */
bool slot_shows_blank(struct library *lib)
{
    size_t tokens = 0;
    return lib->config.show_empty_slot ||
           (store_slots(lib->store, NULL, &tokens) == CKR_OK && tokens == 0);
}

static CK_RV all_slots(struct library *lib, bool present, CK_SLOT_ID **ret, size_t *ret_n)
{
    size_t n = 0;
    CK_SLOT_ID next;
    TRY(store_slots(lib->store, NULL, &n));
    size_t room = n + 16; /* some more may appear meanwhile */
    CK_SLOT_ID *list = calloc(room + 1, sizeof(*list));
    if (!list)
        return CKR_HOST_MEMORY;
    n = room;
    CK_RV rv = store_slots(lib->store, list, &n);
    bool empty = !present || n == 0 || lib->config.show_empty_slot;
    if (rv == CKR_OK && empty)
        rv = store_next_slot(lib->store, &next);
    if (rv != CKR_OK) {
        free(list);
        return rv;
    }
    if (empty)
        list[n++] = next;
    *ret = list;
    *ret_n = n;
    return CKR_OK;
}

CK_RV slot_list(struct library *lib, bool present, CK_SLOT_ID *ret, CK_ULONG *count)
{
    CK_SLOT_ID *list;
    size_t n;
    /* 2.40, 5.5: an event is what the application has not seen, and here it sees: a token that
     * comes while the list is made is told again. (That begins with C_Initialize, which leaves the
     * store alone.) */
    CK_RV rv = slot_events_begin(lib);
    if (rv != CKR_NO_EVENT) /* more came meanwhile */
        TRY(listing(rv));
    TRY(listing(all_slots(lib, present, &list, &n)));
    bool fits = ret && *count >= n;
    if (fits)
        memcpy(ret, list, n * sizeof(*list));
    free(list);
    *count = (CK_ULONG)n;
    return !ret || fits ? CKR_OK : CKR_BUFFER_TOO_SMALL;
}

/* The slot's token; *ret NULL for the empty slot. */
static CK_RV slot_token(struct library *lib, CK_SLOT_ID slot, struct token **ret)
{
    *ret = NULL;
    CK_RV rv = token_find(lib, slot, ret);
    return rv == CKR_TOKEN_NOT_PRESENT ? CKR_OK : rv;
}

CK_RV slot_info(struct library *lib, CK_SLOT_ID slot, CK_SLOT_INFO *ret)
{
    struct token *t;
    char text[96];
    TRY(slot_token(lib, slot, &t));
    snprintf(text, sizeof(text), "latchkey slot %lu%s", slot, t ? "" : " (empty)");
    *ret = (CK_SLOT_INFO){.flags = CKF_HW_SLOT};
    if (t || slot_shows_blank(lib))
        ret->flags |= CKF_TOKEN_PRESENT;
    PAD(ret->slotDescription, BYTES_STR(text));
    PAD(ret->manufacturerID, BYTES_STR("latchkey"));
    ret->hardwareVersion.major = 2; /* TPM 2.0 */
    ret->firmwareVersion.major = LATCHKEY_VERSION_MAJOR;
    ret->firmwareVersion.minor = LATCHKEY_VERSION_MINOR;
    return CKR_OK;
}

/* What the TPM's counters say of a PIN (design: LOCKED, FINAL_TRY, COUNT_LOW). */
static CK_FLAGS pin_flags(const struct tpm_lockout *l, CK_FLAGS low, CK_FLAGS final,
                          CK_FLAGS locked)
{
    CK_FLAGS flags = l->counter > 0 ? low : 0;
    if (l->in_lockout || l->counter >= l->max_tries)
        return flags | locked;
    return l->counter + 1 == l->max_tries ? flags | final : flags;
}

/* The same of a token's own limit, whose counter only the owner authorization reads. */
static CK_FLAGS limit_flags(struct library *lib, const struct store_token *row)
{
    const struct tpm_limit limit = token_limit(row);
    uint32_t most, left;
    if (!limit.tries || !row->user_pin_set ||
        tpm_limit_read(lib->tpm, &limit, &most, &left) != CKR_OK)
        return 0;
    const struct tpm_lockout l = {.counter = most - left, .max_tries = most};
    return pin_flags(&l, CKF_USER_PIN_COUNT_LOW, CKF_USER_PIN_FINAL_TRY, CKF_USER_PIN_LOCKED);
}

static CK_FLAGS lockout_flags(struct library *lib, bool unattended)
{
    struct tpm_lockout l;
    if (tpm_get_lockout(lib->tpm, &l) != CKR_OK)
        return 0; /* no TPM: what the store says has to do */
    return (unattended ? 0
                       : pin_flags(&l, CKF_USER_PIN_COUNT_LOW, CKF_USER_PIN_FINAL_TRY,
                                   CKF_USER_PIN_LOCKED)) |
           pin_flags(&l, CKF_SO_PIN_COUNT_LOW, CKF_SO_PIN_FINAL_TRY, CKF_SO_PIN_LOCKED);
}

/* The stricter of the two. */
static CK_FLAGS tries_flags(struct library *lib, const struct store_token *row)
{
    CK_FLAGS flags = lockout_flags(lib, row->unattended) | limit_flags(lib, row);
    return (flags & CKF_USER_PIN_LOCKED) ? flags & ~(CK_FLAGS)CKF_USER_PIN_FINAL_TRY : flags;
}

static void common_info(CK_TOKEN_INFO *ret)
{
    *ret = (CK_TOKEN_INFO){
        /* a saved digest needs no key to go on */
        .flags =
            CKF_RNG | CKF_LOGIN_REQUIRED | CKF_DUAL_CRYPTO_OPERATIONS | CKF_RESTORE_KEY_NOT_NEEDED,
        .ulMaxSessionCount = CK_EFFECTIVELY_INFINITE,
        .ulMaxRwSessionCount = CK_EFFECTIVELY_INFINITE,
        .ulMaxPinLen = PIN_MAX,
        .ulMinPinLen = PIN_MIN,
        .ulTotalPublicMemory = CK_UNAVAILABLE_INFORMATION,
        .ulFreePublicMemory = CK_UNAVAILABLE_INFORMATION,
        .ulTotalPrivateMemory = CK_UNAVAILABLE_INFORMATION,
        .ulFreePrivateMemory = CK_UNAVAILABLE_INFORMATION,
        .hardwareVersion = {2, 0},
        .firmwareVersion = {LATCHKEY_VERSION_MAJOR, LATCHKEY_VERSION_MINOR},
    };
    PAD(ret->label, NO_BYTES);
    PAD(ret->manufacturerID, BYTES_STR("latchkey"));
    PAD(ret->model, BYTES_STR("TPM 2.0"));
    PAD(ret->serialNumber, NO_BYTES);
    pad(ret->utcTime, sizeof(ret->utcTime), NO_BYTES);
}

CK_RV token_info(struct library *lib, CK_SLOT_ID slot, CK_TOKEN_INFO *ret)
{
    struct token *t;
    CK_TOKEN_INFO info;
    common_info(&info);
    TRY(slot_token(lib, slot, &t));
    if (!store_writable(lib->store))
        info.flags |= CKF_WRITE_PROTECTED;
    if (!t) { /* pkcs11-tool asks before it initialises */
        *ret = info;
        return CKR_OK;
    }
    token_reconsider(t);
    TRY(token_enter_row(t));
    CLEANUP(token_leave) struct token *held __attribute__((unused)) = t;
    if (t->foreign)
        return CKR_TOKEN_NOT_RECOGNIZED;
    info.flags |= CKF_TOKEN_INITIALIZED | (t->row.user_pin_set ? CKF_USER_PIN_INITIALIZED : 0) |
                  tries_flags(lib, &t->row);
    PAD(info.label, buf_bytes(&t->row.label));
    PAD(info.serialNumber, BYTES_STR(t->row.serial));
    pthread_mutex_lock(&lib->registry);
    info.ulSessionCount = t->sessions;
    info.ulRwSessionCount = t->rw_sessions;
    pthread_mutex_unlock(&lib->registry);
    *ret = info;
    return CKR_OK;
}

CK_RV slot_mechanisms(struct library *lib, CK_SLOT_ID slot, CK_MECHANISM_TYPE *ret, CK_ULONG *count)
{
    struct token *t;
    size_t rows;
    const struct mech *table = mech_table(&rows);
    TRY(slot_token(lib, slot, &t));
    bool fits = !ret || rows <= *count;
    for (size_t i = 0; ret && fits && i < rows; i++)
        ret[i] = table[i].type;
    *count = (CK_ULONG)rows;
    return fits ? CKR_OK : CKR_BUFFER_TOO_SMALL;
}

CK_RV slot_mechanism_info(struct library *lib, CK_SLOT_ID slot, CK_MECHANISM_TYPE type,
                          CK_MECHANISM_INFO *ret)
{
    struct token *t;
    struct tpm_caps caps;
    const struct mech *m = mech_find(type);
    TRY(slot_token(lib, slot, &t));
    if (!m)
        return CKR_MECHANISM_INVALID;
    TRY(library_caps(lib, &caps));
    mech_info(m, &caps, ret);
    return CKR_OK;
}
