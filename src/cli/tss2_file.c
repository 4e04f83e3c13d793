#include "tss2_file.h"

#include <openssl/asn1t.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

static const char pem_name[] = "TSS2 PRIVATE KEY", loadable[] = "2.23.133.10.1.3";

typedef struct {
    ASN1_OBJECT *type;
    ASN1_BOOLEAN empty_auth;
    STACK_OF(ASN1_TYPE) * policy;
    ASN1_OCTET_STRING *secret; /* of an importable key */
    STACK_OF(ASN1_TYPE) * auth_policy;
    ASN1_UTF8STRING *description;
    ASN1_BOOLEAN rsa_parent;
    ASN1_INTEGER *parent;
    ASN1_OCTET_STRING *public, *private;
} TPM_KEY;

/* clang-format off */
ASN1_SEQUENCE(TPM_KEY) = {
    ASN1_SIMPLE(TPM_KEY, type, ASN1_OBJECT),
    ASN1_EXP_OPT(TPM_KEY, empty_auth, ASN1_BOOLEAN, 0),
    ASN1_EXP_SEQUENCE_OF_OPT(TPM_KEY, policy, ASN1_ANY, 1),
    ASN1_EXP_OPT(TPM_KEY, secret, ASN1_OCTET_STRING, 2),
    ASN1_EXP_SEQUENCE_OF_OPT(TPM_KEY, auth_policy, ASN1_ANY, 3),
    ASN1_EXP_OPT(TPM_KEY, description, ASN1_UTF8STRING, 4),
    ASN1_EXP_OPT(TPM_KEY, rsa_parent, ASN1_BOOLEAN, 5),
    ASN1_SIMPLE(TPM_KEY, parent, ASN1_INTEGER),
    ASN1_SIMPLE(TPM_KEY, public, ASN1_OCTET_STRING),
    ASN1_SIMPLE(TPM_KEY, private, ASN1_OCTET_STRING),
} static_ASN1_SEQUENCE_END(TPM_KEY)
    /* clang-format on */

    void tss2_key_free(struct tss2_key * key)
{
    buf_free(&key->public);
    buf_free(&key->private);
}

static void der_free(TPM_KEY **der)
{
    ASN1_item_free((ASN1_VALUE *)*der, ASN1_ITEM_rptr(TPM_KEY));
}

bool tss2_is(struct bytes content)
{
    static const char begin[] = "-----BEGIN TSS2 PRIVATE KEY-----";
    return memmem(content.p, content.n, begin, sizeof(begin) - 1) != NULL;
}

/* ---- reading ------------------------------------------------------------------------------ */

static CK_RV refuse(const char *path, const char *why)
{
    return fail(EXIT_FAILED, "The program that made it has to make another without that.",
                "the key in %s cannot be imported: %s", path, why);
}

static CK_RV check_kind(const TPM_KEY *der, const char *path)
{
    char type[64] = "";
    OBJ_obj2txt(type, sizeof(type), der->type, 1);
    if (strcmp(type, loadable) != 0)
        return refuse(path, "it is sealed data, or still to be imported by a TPM");
    if (der->policy || der->auth_policy)
        return refuse(path, "it wants a policy");
    return CKR_OK;
}

/* Some programs write a handle as the negative number of the same 32 bits. */
static CK_RV take_parent(const ASN1_INTEGER *number, const char *path, CK_ULONG *ret)
{
    int64_t n;
    if (!ASN1_INTEGER_get_int64(&n, number) || n < INT32_MIN || n > UINT32_MAX)
        return refuse(path, "its parent is no TPM handle");
    *ret = (uint32_t)n;
    return CKR_OK;
}

static CK_RV append(const ASN1_OCTET_STRING *from, struct buf *ret)
{
    return buf_append(ret, ASN1_STRING_get0_data(from), (size_t)ASN1_STRING_length(from));
}

static CK_RV take(const TPM_KEY *der, const char *path, struct tss2_key *ret)
{
    TRY(check_kind(der, path));
    TRY(take_parent(der->parent, path, &ret->parent));
    ret->empty_auth = der->empty_auth > 0;
    TRY(append(der->public, &ret->public));
    return append(der->private, &ret->private);
}

CK_RV tss2_read(struct bytes content, const char *path, struct tss2_key *ret)
{
    CLEANUP(der_free) TPM_KEY *der = NULL;
    BIO *in = BIO_new_mem_buf(content.p, (int)content.n);
    unsigned char *raw = NULL;
    long n = 0;
    if (!in)
        return CKR_HOST_MEMORY;
    if (PEM_bytes_read_bio(&raw, &n, NULL, pem_name, in, NULL, NULL)) {
        const unsigned char *at = raw;
        der = (TPM_KEY *)ASN1_item_d2i(NULL, &at, n, ASN1_ITEM_rptr(TPM_KEY));
    }
    OPENSSL_free(raw);
    BIO_free(in);
    ERR_clear_error();
    if (!der)
        return fail(EXIT_FAILED, NULL, "%s says TSS2 PRIVATE KEY, but cannot be read: is it whole?",
                    path);
    return take(der, path, ret);
}

/* ---- writing ------------------------------------------------------------------------------ */

static CK_RV fill(const struct tss2_key *key, TPM_KEY *der)
{
    der->type = OBJ_txt2obj(loadable, 1);
    der->empty_auth = key->empty_auth ? 0xFF : 0; /* written: some programs take none for true */
    der->rsa_parent = -1;
    bool ok = der->type && ASN1_INTEGER_set_uint64(der->parent, key->parent) &&
              ASN1_OCTET_STRING_set(der->public, key->public.p, (int)key->public.n) &&
              ASN1_OCTET_STRING_set(der->private, key->private.p, (int)key->private.n);
    return ok ? CKR_OK : CKR_HOST_MEMORY;
}

CK_RV tss2_write(const struct tss2_key *key, struct buf *ret)
{
    CLEANUP(der_free) TPM_KEY *der = (TPM_KEY *)ASN1_item_new(ASN1_ITEM_rptr(TPM_KEY));
    unsigned char *raw = NULL;
    char *text;
    if (!der)
        return CKR_HOST_MEMORY;
    TRY(fill(key, der));
    int n = ASN1_item_i2d((ASN1_VALUE *)der, &raw, ASN1_ITEM_rptr(TPM_KEY));
    BIO *out = BIO_new(BIO_s_mem());
    bool ok = n > 0 && out && PEM_write_bio(out, pem_name, "", raw, n) > 0;
    long size = ok ? BIO_get_mem_data(out, &text) : 0;
    CK_RV rv = ok ? buf_append(ret, text, (size_t)size) : CKR_HOST_MEMORY;
    OPENSSL_free(raw);
    BIO_free(out);
    return rv;
}
