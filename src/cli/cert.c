#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include "certificate.h"
#include "file.h"
#include "key_lines.h"
#include "module.h"
#include "object.h"
#include "pin.h"
#include "public_key.h"
#include "template.h"
#include "uri.h"
#include "verbs.h"

CK_RV certificate_read(const char *path, X509 **ret, size_t *ret_more)
{
    CLEANUP(buf_free) struct buf content = {0};
    TRY(file_get(path, &content));
    const unsigned char *at = content.p;
    BIO *pem = content.n ? BIO_new_mem_buf(content.p, (int)content.n) : NULL;
    *ret = pem ? PEM_read_bio_X509(pem, NULL, NULL, NULL) : NULL;
    for (X509 *next; *ret && (next = PEM_read_bio_X509(pem, NULL, NULL, NULL)); ++*ret_more)
        X509_free(next);
    BIO_free(pem);
    if (!*ret && content.n)
        *ret = d2i_X509(NULL, &at, (long)content.n);
    ERR_clear_error();
    return *ret ? CKR_OK
                : fail(EXIT_FAILED, "A PEM certificate begins with -----BEGIN CERTIFICATE-----",
                       "%s holds no certificate, neither PEM nor DER", path);
}

struct place {
    struct buf id, label;
};

static void place_free(struct place *place)
{
    buf_free(&place->id);
    buf_free(&place->label);
}

/* ID and label: as given, else those of the certificate's key. */
static CK_RV find_place(struct cli *cli, X509 *certificate, struct place *ret)
{
    CLEANUP(object_free) struct object key = {0};
    const char *id = cli->option[OPT_ID], *label = cli->option[OPT_LABEL];
    EVP_PKEY *public = X509_get0_pubkey(certificate);
    if (public)
        TRY(public_key_find(cli, CKO_PUBLIC_KEY, public, &key));
    if (public && !key.handle)
        TRY(public_key_find(cli, CKO_PRIVATE_KEY, public, &key));
    if (!key.handle && !id && !label)
        return fail(EXIT_NOT_FOUND, "For a certificate without a key here give --label or --id.",
                    "no key on the token '%s' fits the certificate", PADDED(cli->token.info.label));
    TRY(buf_bytes_append(&ret->label, label ? BYTES_STR(label) : buf_bytes(&key.label)));
    if (!id)
        return buf_bytes_append(&ret->id, buf_bytes(&key.id));
    uint8_t bytes[64];
    size_t n = 0;
    TRY(key_id_parse(id, bytes, sizeof(bytes), &n));
    return buf_append(&ret->id, bytes, n);
}

static CK_RV der_of(int (*encode)(const void *, unsigned char **), const void *what,
                    struct buf *ret)
{
    unsigned char *der = NULL;
    int n = encode(what, &der);
    CK_RV rv = n > 0 ? buf_append(ret, der, (size_t)n) : CKR_HOST_MEMORY;
    OPENSSL_free(der);
    return rv;
}

static int encode_certificate(const void *what, unsigned char **der)
{
    return i2d_X509(what, der);
}

static int encode_name(const void *what, unsigned char **der)
{
    return i2d_X509_NAME(what, der);
}

static int encode_serial(const void *what, unsigned char **der)
{
    return i2d_ASN1_INTEGER(what, der);
}

CK_RV certificate_create(struct cli *cli, X509 *certificate, struct bytes id, struct bytes label,
                         CK_OBJECT_HANDLE *ret)
{
    static const CK_OBJECT_CLASS cls = CKO_CERTIFICATE;
    static const CK_CERTIFICATE_TYPE type = CKC_X_509;
    CLEANUP(buf_free) struct buf subject = {0}, issuer = {0}, serial = {0}, value = {0};
    struct template t = {0};
    TRY(der_of(encode_certificate, certificate, &value));
    TRY(der_of(encode_name, X509_get_subject_name(certificate), &subject));
    TRY(der_of(encode_name, X509_get_issuer_name(certificate), &issuer));
    TRY(der_of(encode_serial, X509_get0_serialNumber(certificate), &serial));
    template_add(&t, CKA_CLASS, BYTES(&cls, sizeof(cls)));
    template_add(&t, CKA_CERTIFICATE_TYPE, BYTES(&type, sizeof(type)));
    template_bool(&t, CKA_TOKEN, true);
    template_bool(&t, CKA_PRIVATE, false);
    template_add(&t, CKA_LABEL, label);
    template_add(&t, CKA_ID, id);
    template_add(&t, CKA_SUBJECT, buf_bytes(&subject));
    template_add(&t, CKA_ISSUER, buf_bytes(&issuer));
    template_add(&t, CKA_SERIAL_NUMBER, buf_bytes(&serial));
    template_add(&t, CKA_VALUE, buf_bytes(&value));
    return check(cli->module.p11->C_CreateObject(cli->token.session, t.attributes, t.n, ret),
                 "store the certificate '%.*s'", (int)label.n, (const char *)label.p);
}

static CK_RV certificates_with(struct cli *cli, CK_ATTRIBUTE_TYPE type, struct bytes value,
                               struct handles *ret)
{
    CK_OBJECT_CLASS cls = CKO_CERTIFICATE;
    CK_ATTRIBUTE wanted[] = {{CKA_CLASS, &cls, sizeof(cls)},
                             {type, (void *)(uintptr_t)value.p, value.n}};
    return value.n ? objects_find(cli, wanted, 2, ret) : CKR_OK;
}

CK_RV certificate_present(struct cli *cli, X509 *certificate, struct handles *ret)
{
    CLEANUP(buf_free) struct buf value = {0};
    TRY(der_of(encode_certificate, certificate, &value));
    return certificates_with(cli, CKA_VALUE, buf_bytes(&value), ret);
}

/* The old ones go only when the new one is there. *ret: the certificate on the token. */
static CK_RV store(struct cli *cli, X509 *certificate, const struct place *at,
                   CK_OBJECT_HANDLE *ret)
{
    CLEANUP(handles_free) struct handles same = {0}, old = {0};
    TRY(certificate_present(cli, certificate, &same));
    if (same.n) {
        fputs("This certificate is on the token already.\n", stderr);
        *ret = same.h[0];
        return CKR_OK;
    }
    TRY(certificates_with(cli, CKA_ID, buf_bytes(&at->id), &old));
    if (old.n && !cli->option[OPT_REPLACE])
        return fail(EXIT_AMBIGUOUS, "Give --replace to put this one in its place.",
                    "there is another certificate with this ID already");
    TRY(certificate_create(cli, certificate, buf_bytes(&at->id), buf_bytes(&at->label), ret));
    for (size_t i = 0; i < old.n; i++)
        TRY(check(cli->module.p11->C_DestroyObject(cli->token.session, old.h[i]),
                  "delete the old certificate"));
    return CKR_OK;
}

CK_RV cert_import(struct cli *cli)
{
    CLEANUP(certificate_free) X509 *certificate = NULL;
    CLEANUP(place_free) struct place at = {0};
    CLEANUP(object_free) struct object stored = {0};
    CLEANUP(buf_free) struct buf uri = {0};
    CK_OBJECT_HANDLE handle = 0;
    size_t more = 0;
    TRY(certificate_read(cli->args[0], &certificate, &more));
    TRY(token_open(cli, NULL, OPEN_WRITE | OPEN_LOGIN));
    TRY(find_place(cli, certificate, &at));
    TRY(store(cli, certificate, &at, &handle));
    TRY(object_read(cli, handle, &stored));
    TRY(uri_format(cli, stored.cls, buf_bytes(&stored.id), buf_bytes(&stored.label), &uri));
    printf("%s\n", (char *)uri.p);
    if (more)
        fprintf(stderr, "The file's first certificate is stored; the %zu behind it are not.\n",
                more);
    return CKR_OK;
}

static CK_RV to_pem(struct buf *content)
{
    const unsigned char *at = content->p;
    CLEANUP(certificate_free) X509 *certificate = d2i_X509(NULL, &at, (long)content->n);
    BIO *pem = BIO_new(BIO_s_mem());
    char *p = NULL;
    bool ok = certificate && pem && PEM_write_bio_X509(pem, certificate);
    long n = ok ? BIO_get_mem_data(pem, &p) : 0;
    CK_RV rv = ok ? buf_set(content, BYTES(p, n))
                  : fail(EXIT_FAILED, "--der prints it as it is.",
                         "what is stored is no certificate OpenSSL can read");
    BIO_free(pem);
    return rv;
}

CK_RV cert_export(struct cli *cli)
{
    CLEANUP(uri_free) P11KitUri *uri = NULL;
    CLEANUP(object_free) struct object o = {0};
    CLEANUP(buf_free) struct buf content = {0};
    TRY(uri_parse(cli->args[0], URI_OBJECT, &uri));
    TRY(token_open(cli, uri, OPEN_READ));
    TRY(object_find(cli, uri, cli->args[0], CKO_CERTIFICATE, &o));
    TRY(object_attribute(cli, o.handle, CKA_VALUE, &content));
    if (!cli->option[OPT_DER])
        TRY(to_pem(&content));
    return file_put(cli->option[OPT_OUT], buf_bytes(&content));
}

CK_RV cert_delete(struct cli *cli)
{
    CLEANUP(uri_free) P11KitUri *uri = NULL;
    CLEANUP(object_free) struct object o = {0};
    char prompt[320];
    TRY(uri_parse(cli->args[0], URI_OBJECT, &uri));
    TRY(token_open(cli, uri, OPEN_WRITE | OPEN_LOGIN));
    TRY(object_find(cli, uri, cli->args[0], CKO_CERTIFICATE, &o));
    snprintf(prompt, sizeof(prompt),
             "Delete the certificate '%.200s'? Type yes to go on: ", (char *)o.label.p);
    if (!cli->option[OPT_YES])
        TRY(terminal_confirm(prompt, "yes"));
    TRY(check(cli->module.p11->C_DestroyObject(cli->token.session, o.handle),
              "delete the certificate"));
    printf("The certificate '%s' is gone.\n", (char *)o.label.p);
    return CKR_OK;
}
