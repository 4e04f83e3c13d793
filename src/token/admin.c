#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The vendor interface: what an administrator asks that PKCS#11 has no words for. */

CK_RV admin_token_status(struct library *lib, CK_SLOT_ID slot, LATCHKEY_TOKEN_STATUS *ret)
{
    struct token *t;
    size_t objects;
    TRY(token_find(lib, slot, &t));
    token_forgive(t);
    TOKEN_READ(t);
    TRY(store_objects_count(lib->store, t->row.id, &objects));
    *ret = (LATCHKEY_TOKEN_STATUS){
        .sealed = t->row.user.nv == 0,
        .unattended = t->row.unattended,
        .writable = store_writable(lib->store),
        .pinRounds = t->row.pin_rounds,
        .userIndex = t->row.user.nv,
        .soIndex = t->row.so.nv,
        .parent = t->row.parent,
        .objects = (CK_ULONG)objects,
    };
    snprintf(ret->store, sizeof(ret->store), "%s", store_dir(lib->store));
    return CKR_OK;
}

CK_RV admin_pin_tries(struct library *lib, CK_SLOT_ID slot, CK_ULONG *ret_max, CK_ULONG *ret_left)
{
    struct token *t;
    uint32_t most = 0, left = 0;
    TRY(token_find(lib, slot, &t));
    token_forgive(t);
    TOKEN_READ(t);
    const struct tpm_limit limit = token_limit(&t->row);
    bool known = limit.tries && tpm_limit_read(lib->tpm, &limit, &most, &left) == CKR_OK && most;
    *ret_max = known ? most : limit.tries;
    *ret_left = known ? left : CK_UNAVAILABLE_INFORMATION;
    return CKR_OK;
}

CK_RV admin_tpm_status(struct library *lib, LATCHKEY_TPM_STATUS *ret)
{
    struct tpm_identity id;
    struct tpm_lockout l;
    TRY(tpm_get_identity(lib->tpm, &id));
    TRY(tpm_get_lockout(lib->tpm, &l));
    *ret = (LATCHKEY_TPM_STATUS){
        .firmwareMajor = id.firmware[0] >> 16,
        .firmwareMinor = id.firmware[0] & 0xFFFF,
        .resourceManager = id.managed,
        .simulator = id.simulator,
        .inLockout = l.in_lockout,
        .lockoutAuthSet = l.auth_set,
        .lockoutCounter = l.counter,
        .maxTries = l.max_tries,
        .recoveryTime = l.interval,
        .lockoutRecovery = l.recovery,
        .nvIndices = id.nv_indices,
    };
    snprintf(ret->tcti, sizeof(ret->tcti), "%s", id.tcti);
    snprintf(ret->manufacturer, sizeof(ret->manufacturer), "%s", id.manufacturer);
    snprintf(ret->vendor, sizeof(ret->vendor), "%s", id.vendor);
    snprintf(ret->spec, sizeof(ret->spec), "%s", id.spec);
    /* a status makes nothing: the SRK is told only where it already is */
    CLEANUP(tpm_parent_free) struct tpm_parent_owned parent = {0};
    TRY(tpm_read_srk(lib->tpm, &parent));
    ret->srkHandle = parent.handle;
    if (parent.name.n * 2 < sizeof(ret->srkName))
        bytes_hex(buf_bytes(&parent.name), ret->srkName);
    return CKR_OK;
}

CK_RV admin_harden(struct library *lib, struct bytes old_code, struct bytes code,
                   CK_ULONG max_tries, CK_ULONG interval, CK_ULONG recovery)
{
    if (!code.n || !max_tries || max_tries > 0xFFFF || interval > UINT32_MAX ||
        recovery > UINT32_MAX)
        return CKR_ARGUMENTS_BAD;
    return token_use_rv(tpm_harden(lib->tpm, old_code, code, (uint32_t)max_tries,
                                   (uint32_t)interval, (uint32_t)recovery));
}

CK_RV admin_unlock(struct library *lib, struct bytes code)
{
    return token_use_rv(tpm_unlock(lib->tpm, code));
}

CK_RV admin_nv_remove(struct library *lib, CK_ULONG handle)
{
    bool known;
    if (handle > UINT32_MAX)
        return CKR_ARGUMENTS_BAD;
    TRY(store_nv_known(lib->store, (uint32_t)handle, &known));
    return known ? CKR_ARGUMENTS_BAD : tpm_nv_undefine(lib->tpm, (uint32_t)handle, NO_BYTES);
}
