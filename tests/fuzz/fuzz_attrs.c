/* The attributes of a store's row, and the templates within them: what can be read is packed in one
 * form, which reads back as the same. */
#include "fuzz.h"

#include <token/attr.h>

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    log_setup(LOG_ERROR, "/dev/null");
    return 0;
}

static void attrs_done(struct attrs *a)
{
    attrs_free(a);
}

static void tell(const struct attr *a)
{
    CK_BYTE room[16];
    CK_ATTRIBUTE query = {a->type, NULL, 0}, small = {a->type, room, sizeof(room)};
    CHECK(attrs_tell(buf_bytes(&a->value), &query) == CKR_OK);
    CHECK(query.ulValueLen == a->value.n);
    CK_RV rv = attrs_tell(buf_bytes(&a->value), &small);
    CHECK(rv == (a->value.n > sizeof(room) ? CKR_BUFFER_TOO_SMALL : CKR_OK));
}

/* A nested template into memory of the length that the query gave. */
static void tell_template(struct bytes packed)
{
    CK_ATTRIBUTE out = {CKA_WRAP_TEMPLATE, NULL, 0};
    if (attrs_tell_template(packed, &out) != CKR_OK || out.ulValueLen == CK_UNAVAILABLE_INFORMATION)
        return;
    CK_ATTRIBUTE *inner = calloc(1, out.ulValueLen + 1);
    CHECK(inner && out.ulValueLen % sizeof(*inner) == 0);
    out.pValue = inner;
    CHECK(attrs_tell_template(packed, &out) == CKR_OK);
    size_t n = out.ulValueLen / sizeof(*inner);
    for (size_t i = 0; i < n; i++)
        if (inner[i].ulValueLen != CK_UNAVAILABLE_INFORMATION)
            CHECK((inner[i].pValue = malloc(inner[i].ulValueLen + 1)));
    attrs_tell_template(packed, &out);
    for (size_t i = 0; i < n; i++)
        free(inner[i].pValue);
    free(inner);
}

static void use(const struct attrs *a)
{
    for (size_t i = 0; i < a->n; i++) {
        tell(&a->v[i]);
        attrs_revealable(a, a->v[i].type);
        attrs_known(a, a->v[i].type);
        attrs_ulong(a, a->v[i].type, 0);
        if (i)
            CHECK(a->v[i - 1].type < a->v[i].type);
        if (!attrs_is_template(a->v[i].type))
            continue;
        CLEANUP(attrs_joined_free) struct attrs_joined joined = {0};
        CK_BBOOL yes = CK_TRUE;
        CK_ATTRIBUTE given = {CKA_ENCRYPT, &yes, 1};
        bool match;
        tell_template(buf_bytes(&a->v[i].value));
        attrs_match_template(a, buf_bytes(&a->v[i].value), &match);
        attrs_with_template(buf_bytes(&a->v[i].value), &given, 1, &joined);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(attrs_done) struct attrs a = {0}, again = {0}, changed = {0}, copied = {0};
    CLEANUP(buf_free) struct buf packed = {0}, packed_again = {0};
    CK_ATTRIBUTE label = {CKA_LABEL, (CK_UTF8CHAR *)"x", 1};
    if (attrs_unpack(BYTES(data, size), &a) != CKR_OK)
        return 0;
    CHECK(attrs_pack(&a, &packed) == CKR_OK);
    CHECK(attrs_unpack(buf_bytes(&packed), &again) == CKR_OK);
    CHECK(attrs_pack(&again, &packed_again) == CKR_OK);
    CHECK(bytes_equal(buf_bytes(&packed), buf_bytes(&packed_again)));
    use(&a);
    attrs_changed(&a, &label, 1, false, &changed);
    attrs_copied(&a, &label, 1, false, &copied);
    return 0;
}
