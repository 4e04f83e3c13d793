/* A file in a store of SoftHSM, as `latchkey migrate softhsm` reads it: an object of a token whose
 * PIN is 1234, and what its encryption hides. */
#include "fuzz.h"

#include "softhsm.h"

/* The user's blob of the token that the corpus' objects are of. */
static const uint8_t sealed[] = {
    0xE9, 0x0D, 0xED, 0xBB, 0x95, 0xA7, 0xBA, 0x61, 0xD1, 0x65, 0x2C, 0x9C, 0x6A, 0x87, 0x10,
    0x71, 0x52, 0x1C, 0xF8, 0xB8, 0xAB, 0xCA, 0xEE, 0xAA, 0x44, 0x82, 0x84, 0xF7, 0xD3, 0xBD,
    0xCE, 0x63, 0x03, 0xA8, 0x64, 0x68, 0x20, 0xDC, 0x96, 0xAB, 0x53, 0xF9, 0x98, 0x6F, 0x4C,
    0xC7, 0xDF, 0x72, 0x17, 0x17, 0x27, 0xC6, 0xC7, 0x9A, 0xBB, 0xE9, 0x73, 0x91, 0xCB, 0x3D,
    0x3B, 0x15, 0x4F, 0xB5, 0x24, 0x6F, 0xC3, 0x6C, 0x6C, 0x07, 0xE4, 0x01};

static const CK_ATTRIBUTE_TYPE types[] = {CKA_VALUE,       CKA_PRIVATE_EXPONENT, CKA_PRIME_1,
                                          CKA_COEFFICIENT, CKA_MODULUS,          CKA_LABEL};

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    return 0;
}

static void check_rv(CK_RV rv)
{
    CHECK(rv == CKR_OK || rv == CKR_ENCRYPTED_DATA_INVALID);
}

/* Nothing is made up: what was read, or decrypted, is no longer than the file. */
static void check_object(const struct old_object *o, size_t size)
{
    size_t sum = 0;
    for (size_t i = 0; i < o->n; i++)
        sum += o->attributes[i].value.n;
    CHECK(sum <= size);
}

static void open_object(struct old_token *t, size_t size)
{
    CK_RV rv = softhsm_open(t, BYTES_STR("1234"));
    check_rv(rv);
    CHECK(t->opened.n == 32); /* the blob is right */
    check_object(&t->objects[0], size);
    for (size_t i = 0; rv == CKR_OK && i < sizeof(types) / sizeof(*types); i++) {
        CLEANUP(secret_free) struct secret value = {0};
        check_rv(softhsm_secret(t, &t->objects[0], types[i], &value));
        CHECK(value.n <= size);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct old_store store = {0};
    struct old_token *t = old_token_add(&store);
    struct old_object *o = t ? old_object_add(t) : NULL;
    CHECK(o && buf_append(&t->sealed, sealed, sizeof(sealed)) == CKR_OK);
    if (softhsm_parse(BYTES(data, size), o)) {
        check_object(o, size);
        open_object(t, size);
    }
    old_store_free(&store);
    CHECK(secret_in_use() == 0);
    return 0;
}
