#include "internal.h"

#include <stdlib.h>

/* C_WaitForSlotEvent (2.40, 5.5): a TPM does not come and go, but tokens do: one was made, made
 * anew or deleted, by whatever process. */

struct slot_mark {
    CK_SLOT_ID slot;
    uint32_t generation; /* of its token */
};

static CK_RV look(struct library *lib, struct slot_mark **ret, size_t *ret_n)
{
    size_t n = 0;
    TRY(store_slots(lib->store, NULL, &n));
    CK_SLOT_ID *slots = calloc(n + 1, sizeof(*slots));
    struct slot_mark *marks = calloc(n + 1, sizeof(*marks));
    CK_RV rv = slots && marks ? store_slots(lib->store, slots, &n) : CKR_HOST_MEMORY;
    for (size_t i = 0; rv == CKR_OK && i < n; i++) {
        CLEANUP(store_token_free) struct store_token row = {0};
        /* gone meanwhile: the next look sees it; damaged: it is there */
        rv = store_token_get(lib->store, slots[i], &row);
        marks[i] = (struct slot_mark){slots[i], row.generation};
        if (rv == CKR_SLOT_ID_INVALID || rv == CKR_DEVICE_ERROR)
            rv = CKR_OK;
    }
    free(slots);
    if (rv != CKR_OK) {
        free(marks);
        return rv == CKR_BUFFER_TOO_SMALL ? CKR_NO_EVENT : rv; /* more came meanwhile: again */
    }
    *ret = marks;
    *ret_n = n;
    return CKR_OK;
}

static const struct slot_mark *find(const struct slot_mark *marks, size_t n, CK_SLOT_ID slot)
{
    for (size_t i = 0; i < n; i++)
        if (marks[i].slot == slot)
            return &marks[i];
    return NULL;
}

/* A slot whose token in a is not the one in b. */
static bool differs(const struct slot_mark *a, size_t n_a, const struct slot_mark *b, size_t n_b,
                    CK_SLOT_ID *ret)
{
    for (size_t i = 0; i < n_a; i++) {
        const struct slot_mark *other = find(b, n_b, a[i].slot);
        if (other && other->generation == a[i].generation)
            continue;
        *ret = a[i].slot;
        return true;
    }
    return false;
}

CK_RV slot_events_begin(struct library *lib)
{
    struct slot_mark *marks = NULL;
    size_t n = 0;
    pthread_mutex_lock(&lib->registry);
    bool begun = lib->marked;
    pthread_mutex_unlock(&lib->registry);
    if (begun)
        return CKR_OK;
    TRY(look(lib, &marks, &n));
    pthread_mutex_lock(&lib->registry);
    struct slot_mark *old = lib->marked ? marks : lib->marks;
    if (!lib->marked) {
        lib->marks = marks;
        lib->n_marks = n;
        lib->marked = true;
    }
    pthread_mutex_unlock(&lib->registry);
    free(old);
    return CKR_OK;
}

/* One slot a call: the others' marks stay as they are, and are told later. */
static CK_RV tell(struct library *lib, struct slot_mark *now, size_t n, CK_SLOT_ID *ret)
{
    bool changed = differs(now, n, lib->marks, lib->n_marks, ret) ||
                   differs(lib->marks, lib->n_marks, now, n, ret);
    if (!changed)
        return CKR_NO_EVENT;
    struct slot_mark *merged = calloc(lib->n_marks + 2, sizeof(*merged));
    size_t kept = 0;
    if (!merged)
        return CKR_HOST_MEMORY;
    for (size_t i = 0; i < lib->n_marks; i++)
        if (lib->marks[i].slot != *ret)
            merged[kept++] = lib->marks[i];
    const struct slot_mark *fresh = find(now, n, *ret);
    if (fresh)
        merged[kept++] = *fresh;
    free(lib->marks);
    lib->marks = merged;
    lib->n_marks = kept;
    return CKR_OK;
}

CK_RV slot_event(struct library *lib, CK_SLOT_ID *ret)
{
    struct slot_mark *now = NULL;
    size_t n = 0;
    TRY(slot_events_begin(lib));
    TRY(look(lib, &now, &n));
    pthread_mutex_lock(&lib->registry);
    CK_RV rv = tell(lib, now, n, ret);
    pthread_mutex_unlock(&lib->registry);
    free(now);
    return rv;
}
