/* C_SetOperationState's blob, as it is and with the check value made right. What is restored goes
 * on, and is saved as the same. */
#include "fuzz_token.h"

static struct library *lib;
static CK_SESSION_HANDLE handle;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    log_setup(LOG_ERROR, "/dev/null");
    token_make(NO_BYTES);
    lib = token_open(&handle);
    CHECK(handle != CK_INVALID_HANDLE);
    return 0;
}

static void restore(struct session *s, struct bytes state)
{
    CK_BYTE saved[512], again[512], digest[HASH_MAX];
    CK_ULONG n = sizeof(saved), again_n = sizeof(again), digest_n = sizeof(digest);
    if (op_restore(s, state, CK_INVALID_HANDLE, CK_INVALID_HANDLE) != CKR_OK)
        return;
    CHECK(op_save(s, saved, &n) == CKR_OK);
    CHECK(op_restore(s, BYTES(saved, n), CK_INVALID_HANDLE, CK_INVALID_HANDLE) == CKR_OK);
    CHECK(op_save(s, again, &again_n) == CKR_OK);
    CHECK(bytes_equal(BYTES(saved, n), BYTES(again, again_n)));
    op_update(s, OP_DIGEST, BYTES(saved, n));
    op_final(s, OP_DIGEST, digest, &digest_n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char magic[] = "latchkey digest 1";
    CLEANUP(buf_free) struct buf state = copy_of(BYTES(data, size));
    CLEANUP(session_release) struct session *s = NULL;
    uint8_t check[32];
    CHECK(session_acquire(lib, handle, &s) == CKR_OK);
    restore(s, BYTES(data, size));
    CHECK(soft_hash(HASH_SHA256, (struct bytes[]){BYTES_OF(magic), BYTES(data, size)}, 2, check) ==
          CKR_OK);
    CHECK(buf_append(&state, check, sizeof(check)) == CKR_OK);
    restore(s, buf_bytes(&state));
    op_init(s, OP_DIGEST, NULL, CK_INVALID_HANDLE);
    return 0;
}
