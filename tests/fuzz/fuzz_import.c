/* Files that `latchkey key import` and `cert import` are given: PEM and DER of every kind, PKCS#12,
 * BIND's, bytes and hexadecimal. A key that was read is written and read once more, and goes into a
 * template; here nobody but this target takes that. The password is always "password". */
#include "fuzz_command.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include "adopt.h"
#include "certificate.h"
#include "file.h"
#include "import_file.h"
#include "key_store.h"
#include "tss2_file.h"

static struct memory_file file, password, again;

/* ---- what would take for ever -------------------------------------------------------------- */

/* Rounds of a password's derivation are as many as the file says, and OpenSSL counts them. A number
 * like that anywhere, in DER or in PEM's base64 of it: nothing to be learnt in hours. */
enum { ROUNDS = 20000 };

static bool too_many_rounds(struct bytes der)
{
    for (size_t i = 0; i + 2 < der.n; i++) {
        size_t n = der.p[i + 1] & 0x80 ? 0 : der.p[i + 1], at = i + 2;
        if (der.p[i] != 2)
            continue;
        for (size_t more = der.p[i + 1] & 0x7F; n == 0 && more && more < 5; more--)
            n = at < der.n ? n << 8 | der.p[at++] : 0;
        uint64_t value = 0;
        for (size_t k = 0; k < n && n <= 8 && at + k < der.n; k++)
            value = value << 8 | der.p[at + k];
        if (value > ROUNDS && value != 65537 && value <= INT64_MAX)
            return true;
    }
    return false;
}

static bool takes_for_ever(struct bytes content)
{
    char *name, *header;
    unsigned char *der;
    long n;
    bool ret = too_many_rounds(content);
    BIO *in = BIO_new_mem_buf(content.p ? content.p : (const void *)"", (int)content.n);
    while (in && PEM_read_bio(in, &name, &header, &der, &n)) {
        ret |= too_many_rounds(BYTES(der, (size_t)n));
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_free(der);
    }
    BIO_free(in);
    ERR_clear_error();
    return ret;
}

/* ---- the module ---------------------------------------------------------------------------- */

static unsigned created;

/* Reads all of it; ASan sees where that is not the caller's. */
static CK_RV take_object(CK_SESSION_HANDLE session, CK_ATTRIBUTE_PTR t, CK_ULONG n,
                         CK_OBJECT_HANDLE_PTR ret)
{
    unsigned sum = 0;
    (void)session;
    for (CK_ULONG i = 0; i < n; i++) {
        CHECK(t[i].pValue || t[i].ulValueLen == 0);
        for (CK_ULONG k = 0; k < t[i].ulValueLen; k++)
            sum += ((const CK_BYTE *)t[i].pValue)[k];
        for (CK_ULONG k = 0; k < i; k++)
            CHECK(t[k].type != t[i].type);
    }
    *ret = ++created + (sum & 1);
    return CKR_OK;
}

static CK_FUNCTION_LIST module = {.C_CreateObject = take_object};

/* ---- what is read -------------------------------------------------------------------------- */

static CK_RV read_file(struct cli *cli, const char *path, struct import_file *ret)
{
    CLEANUP(buf_free) struct buf content = {0};
    TRY(file_get(path, &content));
    return import_file_read(cli, path, buf_bytes(&content), ret);
}

/* The key in a form of our own is the same key. */
static void read_again(struct cli *cli, const struct import_file *first)
{
    struct import_file second = {0};
    BIO *out = BIO_new(BIO_s_mem());
    char *text;
    CHECK(out &&
          (first->private ? PEM_write_bio_PrivateKey(out, first->key, NULL, NULL, 0, NULL, NULL)
                          : PEM_write_bio_PUBKEY(out, first->key)) == 1);
    size_t n = (size_t)BIO_get_mem_data(out, &text);
    memory_file_set(&again, BYTES(text, n));
    CHECK(read_file(cli, again.path, &second) == CKR_OK);
    CHECK(second.private == first->private && second.kind == first->kind);
    CHECK(EVP_PKEY_eq(first->key, second.key) == 1);
    import_file_free(&second);
    BIO_free(out);
}

/* A key that a TPM has wrapped: what was read is written and read once more. */
static void wrapped_key(struct bytes content)
{
    struct tss2_key first = {0}, second = {0};
    struct buf text = {0};
    if (tss2_read(content, file.path, &first) == CKR_OK) {
        adopt_kind(buf_bytes(&first.public));
        CHECK(tss2_write(&first, &text) == CKR_OK && tss2_is(buf_bytes(&text)));
        CHECK(tss2_read(buf_bytes(&text), again.path, &second) == CKR_OK);
        CHECK(second.parent == first.parent && second.empty_auth == first.empty_auth);
        CHECK(bytes_equal(buf_bytes(&first.public), buf_bytes(&second.public)));
        CHECK(bytes_equal(buf_bytes(&first.private), buf_bytes(&second.private)));
    }
    tss2_key_free(&first);
    tss2_key_free(&second);
    buf_free(&text);
}

static void key(struct cli *cli)
{
    struct import_file f = {0};
    struct buf content = {0};
    CK_OBJECT_HANDLE handle;
    if (file_get(file.path, &content) == CKR_OK && tss2_is(buf_bytes(&content)))
        wrapped_key(buf_bytes(&content));
    buf_free(&content);
    if (read_file(cli, file.path, &f) == CKR_OK) {
        struct key_plan plan = {.kind = f.kind, .label = "label", .usage = f.kind->does};
        CHECK(f.key && f.kind);
        read_again(cli, &f);
        if (f.private)
            key_store_private(cli, &plan, f.key, &handle);
        key_store_public(cli, &plan, f.key, &handle);
        if (f.certificate)
            CHECK(certificate_create(cli, f.certificate, NO_BYTES, NO_BYTES, &handle) == CKR_OK);
    }
    import_file_free(&f);
}

static void certificate(struct cli *cli)
{
    X509 *x = NULL;
    CK_OBJECT_HANDLE handle;
    size_t more = 0;
    if (certificate_read(file.path, &x, &more) == CKR_OK)
        CHECK(certificate_create(cli, x, NO_BYTES, NO_BYTES, &handle) == CKR_OK);
    X509_free(x);
}

static void secret(struct cli *cli)
{
    struct buf value = {0};
    if (import_file_raw(cli, file.path, &value) == CKR_OK)
        CHECK(value.n <= 1 << 20);
    buf_free(&value);
}

/* ---- the target ---------------------------------------------------------------------------- */

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    file = memory_file("key");
    again = memory_file("again");
    password = memory_file("password");
    memory_file_set(&password, BYTES_STR("password\n"));
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const readers[])(struct cli *) = {key, certificate, secret};
    struct cli cli = {.module.p11 = &module};
    struct bytes in = BYTES(data, size);
    uint8_t how = next_u8(&in);
    if (takes_for_ever(in))
        return 0;
    cli.option[OPT_PASSWORD_FILE] = password.path;
    cli.option[OPT_FORMAT] = how & 0x80 ? "raw" : "hex";
    memory_file_set(&file, in);
    quiet(true);
    readers[how % 3](&cli);
    quiet(false);
    CHECK(secret_in_use() == 0);
    ERR_clear_error();
    return 0;
}
