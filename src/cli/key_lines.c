#include "key_lines.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include "public_key.h"
#include "uri.h"

/* OpenSSH's own PKCS#11 code knows Ed25519 since 10.1 only; its agents always did. */
static CK_RV print_ssh_agent(struct cli *cli, const struct object *key)
{
    CLEANUP(buf_free) struct buf uri = {0};
    const char *module = cli->option[OPT_MODULE] ? cli->module.path : "";
    const char *option = *module ? " --module " : "";
    TRY(uri_format(cli, CKO_PUBLIC_KEY, buf_bytes(&key->id), NO_BYTES, &uri));
    printf("ssh:\n"
           "  latchkey key export%s%s '%s' --format ssh   # the line for authorized_keys\n"
           "  eval \"$(latchkey ssh-agent%s%s)\"; ssh user@host\n",
           option, module, (const char *)uri.p, option, module);
    return CKR_OK;
}

/* libp11, which is behind the engine, knows no Edwards or Montgomery keys. */
static CK_RV print_engine(struct cli *cli, const struct object *key)
{
    CLEANUP(buf_free) struct buf text = {0};
    TRY(uri_format(cli, CKO_PRIVATE_KEY, buf_bytes(&key->id), NO_BYTES, &text));
    const char *uri = (const char *)text.p, *module = cli->module.path;
    printf("nginx (the engine section of openssl.cnf names the module, see latchkey-pkcs11(7)):\n"
           "  ssl_certificate_key \"engine:pkcs11:%s?pin-source=/path/to/pin\";\n",
           uri);
    printf("OpenSSL:\n"
           "  PKCS11_MODULE_PATH=%s openssl req -new -engine pkcs11 -keyform engine \\\n"
           "      -key '%s' -subj /CN=example\n",
           module, uri);
    printf("ssh:\n"
           "  ssh-keygen -D %s        # the line for authorized_keys\n"
           "  ssh -o PKCS11Provider=%s user@host\n",
           module, module);
    return CKR_OK;
}

CK_RV key_lines_print(struct cli *cli, const struct object *key)
{
    CLEANUP(buf_free) struct buf parameters = {0};
    CK_ULONG type = object_ulong(cli, key->handle, CKA_KEY_TYPE);
    if (type != CKK_RSA)
        TRY(object_attribute(cli, key->handle, CKA_EC_PARAMS, &parameters));
    const struct raw_curve *raw = public_key_raw_curve(buf_bytes(&parameters));
    if (raw) /* libp11 0.4.12 gives up at the first key of a type that it does not know */
        fputs("OpenSSL's engine (nginx, curl, ...) finds no key in a token that has such a one: "
              "keep it in a token of its own.\n",
              stderr);
    if (raw && raw->nid != EVP_PKEY_ED25519) /* X25519 and X448 derive; OpenSSH has no Ed448 */
        return CKR_OK;
    putchar('\n');
    return raw ? print_ssh_agent(cli, key) : print_engine(cli, key);
}

CK_RV key_report(struct cli *cli, const struct object *key)
{
    static const struct column columns[] = {{"label", "LABEL", CELL_TEXT},
                                            {"id", "ID", CELL_TEXT},
                                            {"type", "TYPE", CELL_TEXT},
                                            {"uri", "URI", CELL_TEXT}};
    CLEANUP(table_free) struct table t = TABLE(columns);
    table_cell(&t, "%s", (char *)key->label.p);
    TRY(cell_id(&t, key));
    TRY(cell_type(cli, &t, key));
    TRY(cell_uri(cli, &t, key->cls, key));
    return table_print_record(&t, cli->option[OPT_JSON]);
}

CK_RV key_id_parse(const char *hex, uint8_t *out, size_t room, size_t *ret_n)
{
    if (OPENSSL_hexstr2buf_ex(out, room, ret_n, hex, ':') && *ret_n)
        return CKR_OK;
    return fail(EXIT_USAGE, NULL, "'%s' is no ID: 1 to %zu bytes in hexadecimal", hex, room);
}
