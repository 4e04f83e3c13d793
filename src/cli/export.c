/* `latchkey key export`: the public key in the forms that other programs read. */
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>
#include "file.h"
#include "module.h"
#include "public_key.h"
#include "release.h"
#include "ssh_wire.h"
#include "uri.h"
#include "verbs.h"

static CK_RV as_pem(EVP_PKEY *key, const char *label, struct buf *ret)
{
    (void)label;
    return public_key_pem(key, ret);
}

static CK_RV as_der(EVP_PKEY *key, const char *label, struct buf *ret)
{
    (void)label;
    unsigned char *der = NULL;
    int n = i2d_PUBKEY(key, &der);
    CK_RV rv = n > 0 ? buf_append(ret, der, (size_t)n) : CKR_HOST_MEMORY;
    OPENSSL_free(der);
    return rv;
}

static CK_RV put_base64(struct bytes blob, struct buf *ret)
{
    uint8_t *room;
    TRY(buf_extend(ret, 4 * ((blob.n + 2) / 3) + 1, &room));
    EVP_EncodeBlock(room, blob.p, (int)blob.n);
    ret->n--;
    return CKR_OK;
}

static CK_RV as_ssh(EVP_PKEY *key, const char *label, struct buf *ret)
{
    CLEANUP(buf_free) struct buf blob = {0};
    const char *type = ssh_type_of(key);
    if (!type)
        return fail(EXIT_FAILED, NULL, "OpenSSH has no keys of this type");
    TRY(ssh_put_key(&blob, key));
    TRY(buf_append(ret, type, strlen(type)));
    TRY(buf_u8(ret, ' '));
    TRY(put_base64(buf_bytes(&blob), ret));
    TRY(buf_u8(ret, ' '));
    TRY(ssh_put_comment(ret, label));
    return buf_u8(ret, '\n');
}

/* ---- the verb ---------------------------------------------------------------------------------
 */

static const struct form {
    const char *name;
    CK_RV (*print)(EVP_PKEY *key, const char *label, struct buf *ret);
} forms[] = {{"pem", as_pem}, {"spki", as_pem}, {"der", as_der}, {"ssh", as_ssh}};

static const struct form *form_named(const char *name)
{
    for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++)
        if (!strcmp(forms[i].name, name))
            return &forms[i];
    return NULL;
}

CK_RV key_export(struct cli *cli)
{
    CLEANUP(uri_free) P11KitUri *uri = NULL;
    CLEANUP(key_pair_free) struct key_pair pair = {0};
    CLEANUP(public_key_free) EVP_PKEY *key = NULL;
    CLEANUP(buf_free) struct buf text = {0};
    const char *wanted = cli->option[OPT_FORMAT] ? cli->option[OPT_FORMAT] : "pem";
    const struct form *form = form_named(wanted);
    if (cli->option[OPT_TSS2])
        return key_release(cli);
    if (cli->option[OPT_PASSWORD_FILE])
        return fail(EXIT_USAGE, NULL, "a public key has no password: --password-file needs --tss2");
    if (!form)
        return fail(EXIT_USAGE, NULL, "--format is pem, der or ssh, not '%s'", wanted);
    TRY(uri_parse(cli->args[0], URI_OBJECT, &uri));
    TRY(token_open(cli, uri, cli->option[OPT_LOGIN] ? OPEN_LOGIN : OPEN_READ));
    TRY(key_find(cli, uri, cli->args[0], &pair));
    if (key_half(&pair)->cls == CKO_SECRET_KEY)
        return fail(EXIT_FAILED, "'latchkey key wrap' takes one out under another key.",
                    "'%s' is a secret key: it has no public half", cli->args[0]);
    TRY(public_key_of(cli, &pair, &key));
    TRY(form->print(key, (const char *)key_half(&pair)->label.p, &text));
    return file_put(cli->option[OPT_OUT], buf_bytes(&text));
}
