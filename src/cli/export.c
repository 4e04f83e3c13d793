/* `latchkey key export`: the public key in the forms that other programs read. */
#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>
#include "file.h"
#include "module.h"
#include "public_key.h"
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

/* ---- OpenSSH: RFC 4253 section 6.6, RFC 5656 section 3.1, RFC 8709 section 4 ------------------
 */

static CK_RV ssh_string(struct buf *blob, struct bytes bytes)
{
    TRY(buf_u32(blob, (uint32_t)bytes.n));
    return buf_bytes_append(blob, bytes);
}

/* RFC 4251, section 5: a positive mpint whose first bit is set gets a zero byte in front. */
static CK_RV ssh_number(EVP_PKEY *key, const char *name, struct buf *blob)
{
    CLEANUP(buf_free) struct buf bytes = {0};
    BIGNUM *number = NULL;
    uint8_t *room;
    if (!EVP_PKEY_get_bn_param(key, name, &number))
        return CKR_HOST_MEMORY;
    size_t n = (size_t)BN_num_bits(number) / 8 + 1;
    CK_RV rv = buf_extend(&bytes, n, &room);
    if (rv == CKR_OK)
        BN_bn2binpad(number, room, (int)n);
    BN_free(number);
    return rv == CKR_OK ? ssh_string(blob, buf_bytes(&bytes)) : rv;
}

static CK_RV ssh_rsa(EVP_PKEY *key, const char *curve, struct buf *blob)
{
    (void)curve;
    TRY(ssh_number(key, OSSL_PKEY_PARAM_RSA_E, blob));
    return ssh_number(key, OSSL_PKEY_PARAM_RSA_N, blob);
}

static CK_RV ssh_ec(EVP_PKEY *key, const char *curve, struct buf *blob)
{
    CLEANUP(buf_free) struct buf point = {0};
    TRY(ssh_string(blob, BYTES_STR(curve)));
    TRY(public_key_point(key, &point));
    return ssh_string(blob, buf_bytes(&point));
}

static CK_RV ssh_ed25519(EVP_PKEY *key, const char *curve, struct buf *blob)
{
    (void)curve;
    uint8_t raw[32];
    size_t n = sizeof(raw);
    return EVP_PKEY_get_raw_public_key(key, raw, &n) ? ssh_string(blob, BYTES(raw, n))
                                                     : CKR_HOST_MEMORY;
}

static const struct ssh_form {
    const char *type, *group; /* as OpenSSL names them; group NULL: any */
    const char *name, *curve;
    CK_RV (*put)(EVP_PKEY *key, const char *curve, struct buf *blob);
} ssh_forms[] = {
    {"RSA", NULL, "ssh-rsa", NULL, ssh_rsa},
    {"ED25519", NULL, "ssh-ed25519", NULL, ssh_ed25519},
    {"EC", "prime256v1", "ecdsa-sha2-nistp256", "nistp256", ssh_ec},
    {"EC", "secp384r1", "ecdsa-sha2-nistp384", "nistp384", ssh_ec},
    {"EC", "secp521r1", "ecdsa-sha2-nistp521", "nistp521", ssh_ec},
};

static const struct ssh_form *ssh_form_of(EVP_PKEY *key)
{
    char group[64] = "";
    EVP_PKEY_get_group_name(key, group, sizeof(group), NULL);
    for (size_t i = 0; i < sizeof(ssh_forms) / sizeof(*ssh_forms); i++) {
        const struct ssh_form *form = &ssh_forms[i];
        if (EVP_PKEY_is_a(key, form->type) && (!form->group || !strcmp(form->group, group)))
            return form;
    }
    return NULL;
}

static CK_RV put_base64(struct bytes blob, struct buf *ret)
{
    uint8_t *room;
    TRY(buf_extend(ret, 4 * ((blob.n + 2) / 3) + 1, &room));
    EVP_EncodeBlock(room, blob.p, (int)blob.n);
    ret->n--;
    return CKR_OK;
}

/* The label stands behind the key as a comment; a line break in it would begin another key. */
static CK_RV put_comment(const char *label, struct buf *ret)
{
    TRY(buf_u8(ret, ' '));
    for (const char *s = label; *s; s++)
        TRY(buf_u8(ret, (uint8_t)*s < 0x20 ? '?' : (uint8_t)*s));
    return buf_u8(ret, '\n');
}

static CK_RV as_ssh(EVP_PKEY *key, const char *label, struct buf *ret)
{
    CLEANUP(buf_free) struct buf blob = {0};
    const struct ssh_form *form = ssh_form_of(key);
    if (!form)
        return fail(EXIT_FAILED, NULL, "OpenSSH has no keys of this type");
    TRY(ssh_string(&blob, BYTES_STR(form->name)));
    TRY(form->put(key, form->curve, &blob));
    TRY(buf_append(ret, form->name, strlen(form->name)));
    TRY(buf_u8(ret, ' '));
    TRY(put_base64(buf_bytes(&blob), ret));
    return put_comment(label, ret);
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
