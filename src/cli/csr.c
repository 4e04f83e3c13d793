/* `latchkey key csr`: OpenSSL builds the request (RFC 2986), the token signs it. */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include "file.h"
#include "module.h"
#include "object.h"
#include "public_key.h"
#include "signature.h"
#include "uri.h"
#include "verbs.h"

static void free_request(X509_REQ **request)
{
    X509_REQ_free(*request);
}

static void free_name(X509_NAME **name)
{
    X509_NAME_free(*name);
}

/* Takes one value up to an unescaped separator; "\," and the like stand for the character. */
static const char *take_value(const char *s, char separator, char *out, size_t room)
{
    size_t n = 0;
    for (; *s && *s != separator; s++) {
        if (*s == '\\' && s[1])
            s++;
        if (n + 1 < room)
            out[n++] = *s;
    }
    out[n] = '\0';
    return s;
}

/* "/CN=a/O=b" in the order written; "CN=a,O=b" is RFC 4514, where the last part stands first in
 * the encoding. */
static CK_RV parse_subject(const char *text, X509_NAME *ret)
{
    char separator = *text == '/' ? '/' : ',';
    int at = separator == '/' ? -1 : 0;
    for (const char *s = text + (*text == '/'); *s; s += *s == separator) {
        char type[64], value[256];
        while (*s == ' ')
            s++;
        size_t len = strcspn(s, "=");
        if (!s[len] || len == 0 || len >= sizeof(type))
            return fail(EXIT_USAGE, NULL, "the subject '%s' is not of the form /CN=…/O=…", text);
        memcpy(type, s, len);
        type[len] = '\0';
        s = take_value(s + len + 1, separator, value, sizeof(value));
        if (!X509_NAME_add_entry_by_txt(ret, type, MBSTRING_UTF8, (unsigned char *)value, -1, at,
                                        0))
            return fail(EXIT_USAGE, NULL, "the subject's '%s=%s' is not allowed", type, value);
    }
    return CKR_OK;
}

static CK_RV add_names(X509_REQ *request, const char *san)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, NULL, NULL, request, NULL, 0);
    X509V3_set_ctx_nodb(&context);
    X509_EXTENSION *extension = X509V3_EXT_nconf_nid(NULL, &context, NID_subject_alt_name, san);
    STACK_OF(X509_EXTENSION) *list = sk_X509_EXTENSION_new_null();
    if (!extension) {
        sk_X509_EXTENSION_free(list);
        return fail(EXIT_USAGE, "It looks like DNS:www.example.org,IP:192.0.2.1",
                    "--san '%s' cannot be read", san);
    }
    bool ok =
        list && sk_X509_EXTENSION_push(list, extension) && X509_REQ_add_extensions(request, list);
    sk_X509_EXTENSION_free(list);
    X509_EXTENSION_free(extension);
    return ok ? CKR_OK : CKR_HOST_MEMORY;
}

static CK_RV build(struct cli *cli, EVP_PKEY *key, X509_REQ *request)
{
    CLEANUP(free_name) X509_NAME *subject = X509_NAME_new();
    const char *san = cli->option[OPT_SAN];
    if (!subject)
        return CKR_HOST_MEMORY;
    TRY(parse_subject(cli->option[OPT_SUBJECT], subject));
    if (!X509_REQ_set_version(request, X509_REQ_VERSION_1) ||
        !X509_REQ_set_subject_name(request, subject) || !X509_REQ_set_pubkey(request, key))
        return CKR_HOST_MEMORY;
    return san ? add_names(request, san) : CKR_OK;
}

/* How a key signs: CKM_RSA_PKCS over a DigestInfo and CKM_ECDSA are what every token has. */
struct scheme {
    CK_MECHANISM_TYPE mechanism;
    const EVP_MD *digest; /* NULL: EdDSA signs the request itself (RFC 8410, section 3) */
    int algorithm;        /* of the AlgorithmIdentifier */
    int parameter;        /* V_ASN1_NULL for RSA (RFC 4055), V_ASN1_UNDEF for ECDSA (RFC 5758) */
};

/* A curve's digest: the one of its strength (RFC 5480, table 1), SHA-256 at least. */
static struct scheme choose(EVP_PKEY *key)
{
    if (EVP_PKEY_is_a(key, "RSA"))
        return (struct scheme){CKM_RSA_PKCS, EVP_sha256(), NID_sha256WithRSAEncryption,
                               V_ASN1_NULL};
    if (EVP_PKEY_is_a(key, "ED25519"))
        return (struct scheme){CKM_EDDSA, NULL, NID_ED25519, V_ASN1_UNDEF};
    if (EVP_PKEY_is_a(key, "ED448"))
        return (struct scheme){CKM_EDDSA, NULL, NID_ED448, V_ASN1_UNDEF};
    if (EVP_PKEY_get_bits(key) > 384)
        return (struct scheme){CKM_ECDSA, EVP_sha512(), NID_ecdsa_with_SHA512, V_ASN1_UNDEF};
    if (EVP_PKEY_get_bits(key) > 256)
        return (struct scheme){CKM_ECDSA, EVP_sha384(), NID_ecdsa_with_SHA384, V_ASN1_UNDEF};
    return (struct scheme){CKM_ECDSA, EVP_sha256(), NID_ecdsa_with_SHA256, V_ASN1_UNDEF};
}

static CK_RV digest_info(const EVP_MD *digest, struct bytes hash, struct buf *ret)
{
    X509_SIG *info = X509_SIG_new();
    X509_ALGOR *algorithm = NULL;
    ASN1_OCTET_STRING *octets = NULL;
    unsigned char *der = NULL;
    if (!info)
        return CKR_HOST_MEMORY;
    X509_SIG_getm(info, &algorithm, &octets);
    X509_ALGOR_set0(algorithm, OBJ_nid2obj(EVP_MD_get_type(digest)), V_ASN1_NULL, NULL);
    int n = ASN1_OCTET_STRING_set(octets, hash.p, (int)hash.n) ? i2d_X509_SIG(info, &der) : -1;
    CK_RV rv = n > 0 ? buf_append(ret, der, (size_t)n) : CKR_HOST_MEMORY;
    OPENSSL_free(der);
    X509_SIG_free(info);
    return rv;
}

static CK_RV hash(const struct scheme *scheme, struct bytes tbs, struct buf *ret)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (!EVP_Digest(tbs.p, tbs.n, digest, &n, scheme->digest, NULL))
        return CKR_HOST_MEMORY;
    return scheme->mechanism == CKM_RSA_PKCS ? digest_info(scheme->digest, BYTES(digest, n), ret)
                                             : buf_append(ret, digest, n);
}

/* What C_Sign gets: the request's inner part or its hash, with RSA inside a DigestInfo. */
static CK_RV to_sign(X509_REQ *request, const struct scheme *scheme, struct buf *ret)
{
    unsigned char *tbs = NULL;
    int n = i2d_re_X509_REQ_tbs(request, &tbs);
    CK_RV rv = n <= 0           ? CKR_HOST_MEMORY
               : scheme->digest ? hash(scheme, BYTES(tbs, n), ret)
                                : buf_append(ret, tbs, (size_t)n);
    OPENSSL_free(tbs);
    return rv;
}

static CK_RV sign(struct cli *cli, const struct object *key, CK_MECHANISM_TYPE type,
                  const struct buf *data, struct buf *ret)
{
    CK_FUNCTION_LIST *p11 = cli->module.p11;
    CK_MECHANISM mechanism = {type, NULL, 0};
    CK_ULONG n = 1024; /* RSA of 8192 bits */
    uint8_t *room;
    TRY(buf_extend(ret, n, &room));
    TRY(check(p11->C_SignInit(cli->token.session, &mechanism, key->handle), "sign with the key"));
    if (object_bool(cli, key->handle, CKA_ALWAYS_AUTHENTICATE))
        TRY(token_login_again(cli));
    TRY(check(p11->C_Sign(cli->token.session, data->p, data->n, room, &n), "sign with the key"));
    ret->n = n;
    return CKR_OK;
}

static CK_RV put_signature(X509_REQ *request, const struct scheme *scheme, const struct buf *bytes)
{
    X509_ALGOR *algorithm = X509_ALGOR_new();
    ASN1_BIT_STRING *signature = ASN1_BIT_STRING_new();
    bool ok = algorithm && signature &&
              X509_ALGOR_set0(algorithm, OBJ_nid2obj(scheme->algorithm), scheme->parameter, NULL) &&
              ASN1_BIT_STRING_set(signature, bytes->p, (int)bytes->n);
    if (ok) {
        signature->flags &= ~(ASN1_STRING_FLAG_BITS_LEFT | 7);
        signature->flags |= ASN1_STRING_FLAG_BITS_LEFT; /* no unused bits at the end */
        ok = X509_REQ_set1_signature_algo(request, algorithm);
    }
    if (ok)
        X509_REQ_set0_signature(request, signature);
    else
        ASN1_BIT_STRING_free(signature);
    X509_ALGOR_free(algorithm);
    return ok ? CKR_OK : CKR_HOST_MEMORY;
}

static CK_RV sign_request(struct cli *cli, const struct object *key, EVP_PKEY *public,
                          X509_REQ *request)
{
    CLEANUP(buf_free) struct buf data = {0}, signature = {0};
    struct scheme scheme = choose(public);
    TRY(to_sign(request, &scheme, &data));
    TRY(sign(cli, key, scheme.mechanism, &data, &signature));
    if (scheme.mechanism == CKM_ECDSA)
        TRY(ecdsa_to_der(&signature));
    TRY(put_signature(request, &scheme, &signature));
    if (X509_REQ_verify(request, public) == 1)
        return CKR_OK;
    return fail(EXIT_FAILED, "The public and the private key of this ID do not belong together.",
                "the signature does not fit the public key");
}

static CK_RV print_request(struct cli *cli, X509_REQ *request)
{
    BIO *pem = BIO_new(BIO_s_mem());
    char *p = NULL;
    bool ok = pem && PEM_write_bio_X509_REQ(pem, request);
    long n = ok ? BIO_get_mem_data(pem, &p) : 0;
    CK_RV rv = ok ? file_put(cli->option[OPT_OUT], BYTES(p, n)) : CKR_HOST_MEMORY;
    BIO_free(pem);
    return rv;
}

CK_RV key_csr(struct cli *cli)
{
    CLEANUP(uri_free) P11KitUri *uri = NULL;
    CLEANUP(key_pair_free) struct key_pair pair = {0};
    CLEANUP(public_key_free) EVP_PKEY *public = NULL;
    CLEANUP(free_request) X509_REQ *request = X509_REQ_new();
    if (!request)
        return CKR_HOST_MEMORY;
    if (!cli->option[OPT_SUBJECT])
        return fail(EXIT_USAGE, "For a server: --subject /CN=www.example.org",
                    "--subject is missing");
    TRY(uri_parse(cli->args[0], URI_OBJECT, &uri));
    TRY(token_open(cli, uri, OPEN_LOGIN));
    TRY(key_find(cli, uri, cli->args[0], &pair));
    if (pair.private.cls != CKO_PRIVATE_KEY)
        return fail(EXIT_NOT_FOUND, NULL, "'%s' has no private key to sign with", cli->args[0]);
    TRY(public_key_of(cli, &pair, &public));
    TRY(build(cli, public, request));
    TRY(sign_request(cli, &pair.private, public, request));
    return print_request(cli, request);
}
