/* A store with one token, and no TPM. */
#ifndef FUZZ_TOKEN_H
#define FUZZ_TOKEN_H

#include "fuzz.h"

#include <tss2/tss2_tctildr.h>
#include <token/internal.h>

/* The linker prefers these to the library's, which looks for files in vain each time. */
TSS2_RC Tss2_TctiLdr_Initialize(const char *name, TSS2_TCTI_CONTEXT **ret)
{
    (void)name, (void)ret;
    return TSS2_TCTI_RC_NOT_SUPPORTED;
}

void Tss2_TctiLdr_Finalize(TSS2_TCTI_CONTEXT **context)
{
    (void)context;
}

static inline struct buf copy_of(struct bytes b)
{
    struct buf ret = {0};
    CHECK(buf_set(&ret, b) == CKR_OK);
    return ret;
}

/* One token, with one object of these attributes (in FORMAT.md's form) when there are any. */
static inline void token_make(struct bytes attrs)
{
    struct store *s = NULL;
    CLEANUP(store_token_free)
    struct store_token t = {.slot = 1,
                            .uid = "0123456789abcde",
                            .serial = "0123456789abcdef",
                            .pin_rounds = 1000,
                            .label = copy_of(BYTES_STR("label")),
                            .check = copy_of(BYTES_STR("check")),
                            .parent_name = copy_of(BYTES_STR("name")),
                            .parent_public = copy_of(BYTES_STR("public"))};
    scratch_make();
    CHECK(store_open(scratch, &s) == CKR_OK && store_intent_commit(s, 0, &t) == CKR_OK);
    struct store_object o = {.token = t.id,
                             .uid = "fedcba987654321",
                             .generation = t.generation,
                             .attrs = copy_of(attrs)};
    if (attrs.n)
        CHECK(store_objects_add(s, &o, 1) == CKR_OK);
    store_object_free(&o);
    store_close(&s);
}

static inline struct library *token_open(CK_SESSION_HANDLE *ret_session)
{
    struct library *lib = NULL;
    struct config config = {.store = strdup(scratch),
                            .tcti = strdup("device:/nowhere"),
                            .lock_dir = strdup(scratch),
                            .lock_timeout = 1,
                            .tpm_timeout = 300,
                            .sealed_keys = true,
                            .pin_rounds = 1000};
    CHECK(library_open(&config, &lib) == CKR_OK);
    CK_RV rv = session_open(lib, 1, CKF_SERIAL_SESSION | CKF_RW_SESSION, ret_session);
    if (rv != CKR_OK)
        *ret_session = CK_INVALID_HANDLE;
    return lib;
}

#endif
