#include "import_file.h"

#include <ctype.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/provider.h>
#include <stdio.h>
#include <string.h>
#include "bind_file.h"
#include "file.h"
#include "key_store.h"
#include "pin.h"

void import_file_free(struct import_file *file)
{
    EVP_PKEY_free(file->key);
    X509_free(file->certificate);
    sk_X509_pop_free(file->issuers, X509_free);
    *file = (struct import_file){0};
}

/* ---- the password -----------------------------------------------------------------------------
 */

struct password {
    struct cli *cli;
    const char *path;
    struct secret text; /* once it was asked for */
    bool asked;
    CK_RV rv; /* of asking */
};

static void password_free(struct password *password)
{
    secret_free(&password->text);
}

static CK_RV ask(struct password *p)
{
    char prompt[320];
    const char *file = p->cli->option[OPT_PASSWORD_FILE];
    if (p->asked)
        return p->rv;
    p->asked = true;
    snprintf(prompt, sizeof(prompt), "Password of %.256s: ", p->path);
    p->rv = file ? pin_from_file(file, "password", &p->text)
                 : terminal_line(prompt, false, "--password-file", &p->text);
    return p->rv;
}

/* Called by OpenSSL where it needs one. */
static int give_password(char *room, int n, int writing, void *context)
{
    struct password *p = context;
    (void)writing;
    if (ask(p) != CKR_OK || p->text.n > (size_t)n)
        return -1;
    memcpy(room, p->text.p, p->text.n);
    return (int)p->text.n;
}

/* ---- PKCS#12 ----------------------------------------------------------------------------------
 */

/* What no password protects is protected by the empty one, of which there are two encodings. */
static CK_RV find_password(PKCS12 *p12, struct password *p, const char **ret)
{
    static const char *const none[] = {NULL, ""};
    for (size_t i = 0; i < 2; i++)
        if (PKCS12_verify_mac(p12, none[i], 0)) {
            *ret = none[i];
            return CKR_OK;
        }
    TRY(ask(p));
    CLEANUP(secret_free) struct secret typed = p->text;
    p->text = (struct secret){0};
    TRY(secret_new(&p->text, typed.n + 1)); /* with a NUL behind it */
    memcpy(p->text.p, typed.p, typed.n);
    *ret = (const char *)p->text.p;
    if (!PKCS12_mac_present(p12) || PKCS12_verify_mac(p12, *ret, (int)typed.n))
        return CKR_OK;
    return fail(EXIT_PIN_WRONG, NULL, "the password of %s is wrong", p->path);
}

static CK_RV read_pkcs12(PKCS12 *p12, struct password *p, struct import_file *ret)
{
    const char *password = NULL;
    TRY(find_password(p12, p, &password));
    bool ok = PKCS12_parse(p12, password, &ret->key, &ret->certificate, &ret->issuers);
    if (!ok && !OSSL_PROVIDER_available(NULL, "legacy")) {
        /* RC2 and single DES, which older programs encrypt with */
        OSSL_PROVIDER_load(NULL, "legacy");
        OSSL_PROVIDER_load(NULL, "default"); /* with another loaded it does not come by itself */
        ok = PKCS12_parse(p12, password, &ret->key, &ret->certificate, &ret->issuers);
    }
    ret->private = true;
    if (!ok)
        return fail(EXIT_FAILED, "'openssl pkcs12 -info -in FILE' says what is in it.",
                    "%s cannot be decrypted: damaged, or a cipher that OpenSSL does not have",
                    p->path);
    return ret->key ? CKR_OK
                    : fail(EXIT_FAILED, "For certificates there is: latchkey cert import",
                           "%s holds no private key", p->path);
}

/* ---- keys -------------------------------------------------------------------------------------
 */

static EVP_PKEY *pem_private(BIO *in, struct password *p)
{
    return PEM_read_bio_PrivateKey(in, NULL, give_password, p);
}

static EVP_PKEY *der_private(BIO *in, struct password *p)
{
    (void)p;
    return d2i_PrivateKey_bio(in, NULL);
}

static EVP_PKEY *der_encrypted(BIO *in, struct password *p)
{
    return d2i_PKCS8PrivateKey_bio(in, NULL, give_password, p);
}

static EVP_PKEY *pem_public(BIO *in, struct password *p)
{
    (void)p;
    return PEM_read_bio_PUBKEY(in, NULL, NULL, NULL);
}

static EVP_PKEY *der_public(BIO *in, struct password *p)
{
    (void)p;
    return d2i_PUBKEY_bio(in, NULL);
}

static const struct {
    EVP_PKEY *(*read)(BIO *in, struct password *p);
    bool private;
} readers[] = {{pem_private, true},
               {der_private, true},
               {der_encrypted, true},
               {pem_public, false},
               {der_public, false}};

static CK_RV read_key(struct bytes content, struct password *p, struct import_file *ret)
{
    for (size_t i = 0; !ret->key && !p->asked && i < sizeof(readers) / sizeof(*readers); i++) {
        BIO *in = BIO_new_mem_buf(content.p, (int)content.n);
        if (!in)
            return CKR_HOST_MEMORY;
        ret->key = readers[i].read(in, p);
        ret->private = readers[i].private;
        BIO_free(in);
    }
    ERR_clear_error();
    if (ret->key)
        return CKR_OK;
    if (p->asked)
        return p->rv == CKR_OK
                   ? fail(EXIT_PIN_WRONG, NULL,
                          "the password of %s is wrong, or the file is damaged", p->path)
                   : p->rv;
    return fail(EXIT_FAILED,
                "It may be PEM or DER: PKCS#8, RSA or EC PRIVATE KEY, PUBLIC KEY; or PKCS#12.\n"
                "  Bytes of a secret key need --type aes, generic or hmac-….",
                "%s holds no key that OpenSSL can read", p->path);
}

/* To look at the numbers of a key that is none of ours, or too long, may take hours. */
static CK_RV find_kind(struct import_file *file, const char *path)
{
    TRY(key_store_kind(file->key, &file->kind));
    CK_ULONG bits = (CK_ULONG)EVP_PKEY_get_bits(file->key), most = file->kind->bits.most;
    return most == 0 || bits <= most
               ? CKR_OK
               : fail(EXIT_FAILED, NULL, "%s holds a key of %lu bits; at most %lu can be imported",
                      path, bits, most);
}

/* Numbers that do not belong together would give the key away with the first signature. */
static CK_RV check_numbers(const struct import_file *file, const char *path)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(file->key, NULL);
    bool ok = context && (file->private ? EVP_PKEY_pairwise_check(context)
                                        : EVP_PKEY_public_check(context)) == 1;
    EVP_PKEY_CTX_free(context);
    ERR_clear_error();
    return ok ? CKR_OK
              : fail(EXIT_FAILED, "Nothing was imported.",
                     "the key in %s is damaged: its numbers do not belong together", path);
}

CK_RV import_file_read(struct cli *cli, const char *path, struct bytes content,
                       struct import_file *ret)
{
    CLEANUP(password_free) struct password password = {.cli = cli, .path = path};
    if (content.n > 1 << 24)
        return fail(EXIT_FAILED, NULL, "%s is too long for a key", path);
    const unsigned char *at = content.p;
    PKCS12 *p12 = content.n ? d2i_PKCS12(NULL, &at, (long)content.n) : NULL;
    ERR_clear_error(); /* with one in the queue, PEM_read_bio_PrivateKey makes half a key of it */
    CK_RV rv = p12                ? read_pkcs12(p12, &password, ret)
               : bind_is(content) ? bind_read(content, path, &ret->key)
                                  : read_key(content, &password, ret);
    ret->private |= bind_is(content);
    PKCS12_free(p12);
    TRY(rv);
    TRY(find_kind(ret, path));
    return check_numbers(ret, path);
}

/* ---- secret keys ------------------------------------------------------------------------------
 */

static int digit(uint8_t c)
{
    return isdigit(c) ? c - '0' : isxdigit(c) ? tolower(c) - 'a' + 10 : -1;
}

/* Blanks, line ends and colons between the bytes are passed over. */
static CK_RV from_hex(const struct buf *text, const char *path, struct buf *ret)
{
    int high = -1;
    for (size_t i = 0; i < text->n; i++) {
        uint8_t c = text->p[i];
        if (high < 0 && (isspace(c) || c == ':'))
            continue;
        int low = digit(c);
        if (low < 0)
            return fail(EXIT_FAILED, NULL, "%s is not hexadecimal", path);
        if (high >= 0)
            TRY(buf_u8(ret, (uint8_t)(high << 4 | low)));
        high = high < 0 ? low : -1;
    }
    return high < 0 ? CKR_OK : fail(EXIT_FAILED, NULL, "%s has half a byte at its end", path);
}

CK_RV import_file_raw(struct cli *cli, const char *path, struct buf *ret)
{
    CLEANUP(buf_free) struct buf content = {0};
    const char *format = cli->option[OPT_FORMAT] ? cli->option[OPT_FORMAT] : "raw";
    bool hex = !strcmp(format, "hex");
    if (!hex && strcmp(format, "raw") != 0)
        return fail(EXIT_USAGE, NULL, "--format of a secret key is raw or hex, not '%s'", format);
    TRY(file_get(path, &content));
    if (hex)
        return from_hex(&content, path, ret);
    return buf_bytes_append(ret, buf_bytes(&content));
}
