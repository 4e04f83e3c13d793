/* `latchkey uri`, `latchkey module` and `latchkey example`: what to paste into other programs'
 * configurations. */
#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "embedded.h"
#include "file.h"
#include "module.h"
#include "object.h"
#include "public_key.h"
#include "uri.h"
#include "verbs.h"

/* Where --pin-file lies, absolute: programs read it from elsewhere. NULL: the option is not given.
 */
static CK_RV pin_file_path(struct cli *cli, char out[PATH_MAX], const char **ret)
{
    const char *given = cli->option[OPT_PIN_FILE];
    *ret = given ? realpath(given, out) : NULL;
    return given && !*ret ? fail(EXIT_NOT_FOUND, NULL, "there is no file %s", given) : CKR_OK;
}

static CK_RV put_text(struct buf *ret, const char *text)
{
    return buf_append(ret, text, strlen(text));
}

/* RFC 7512, 2.3: pk11-qchar, and '%' for what is none. */
static CK_RV put_query(struct buf *ret, const char *text)
{
    for (; *text; text++) {
        char hex[4];
        bool plain = isalnum((unsigned char)*text) || strchr("-._~:[]@!$'()*+,=/", *text);
        snprintf(hex, sizeof(hex), "%%%02X", (unsigned char)*text);
        TRY(plain ? buf_u8(ret, (uint8_t)*text) : put_text(ret, hex));
    }
    return CKR_OK;
}

/* The object's URI without a NUL behind it; that of a private key names the PIN's file. */
static CK_RV put_uri(struct cli *cli, CK_OBJECT_CLASS cls, const struct object *o, const char *pin,
                     struct buf *ret)
{
    TRY(uri_format(cli, cls, buf_bytes(&o->id), buf_bytes(&o->label), ret));
    ret->n--;
    if (!pin)
        return CKR_OK;
    TRY(put_text(ret, "?pin-source=")); /* GnuTLS takes no "file:" before the path, all take none */
    return put_query(ret, pin);
}

/* ---- uri ---- */

static CK_RV class_named(const char *name, CK_OBJECT_CLASS *ret)
{
    for (CK_OBJECT_CLASS cls = CKO_DATA; cls <= CKO_SECRET_KEY; cls++)
        if (!strcmp(object_class(cls), name)) {
            *ret = cls;
            return CKR_OK;
        }
    return fail(EXIT_USAGE, NULL, "--class is private, public, cert, secret-key or data, not '%s'",
                name);
}

static CK_RV print_tokens(struct cli *cli)
{
    CLEANUP(free_slots) CK_SLOT_ID *ids = NULL;
    CK_ULONG n = 0;
    TRY(module_open(cli, NULL));
    TRY(module_slots(cli, true, &ids, &n));
    for (CK_ULONG i = 0; i < n; i++) {
        CLEANUP(buf_free) struct buf uri = {0};
        CK_TOKEN_INFO info;
        if (cli->module.p11->C_GetTokenInfo(ids[i], &info) != CKR_OK ||
            !(info.flags & CKF_TOKEN_INITIALIZED))
            continue;
        TRY(uri_of_token(&info, &uri));
        printf("%s\n", (char *)uri.p);
    }
    return CKR_OK;
}

/* The private half is meant where a key pair is named, though its public half alone is seen. */
static CK_RV print_object(struct cli *cli, P11KitUri *uri, const char *pin)
{
    CLEANUP(buf_free) struct buf text = {0};
    CLEANUP(key_pair_free) struct key_pair pair = {0};
    const char *wanted = cli->option[OPT_CLASS];
    CK_OBJECT_CLASS cls = CKO_PRIVATE_KEY;
    if (wanted)
        TRY(class_named(wanted, &cls));
    if (cls == CKO_CERTIFICATE || cls == CKO_DATA)
        TRY(object_find(cli, uri, cli->args[0], cls, &pair.private));
    else
        TRY(key_find(cli, uri, cli->args[0], &pair));
    if (!wanted && key_half(&pair)->cls == CKO_SECRET_KEY)
        cls = CKO_SECRET_KEY;
    TRY(put_uri(cli, cls, key_half(&pair), pin, &text));
    printf("%.*s\n", (int)text.n, (char *)text.p);
    return CKR_OK;
}

CK_RV object_uri(struct cli *cli)
{
    CLEANUP(uri_free) P11KitUri *uri = NULL;
    char path[PATH_MAX];
    const char *pin;
    if (!cli->n_args)
        return print_tokens(cli);
    TRY(pin_file_path(cli, path, &pin));
    TRY(uri_parse(cli->args[0], URI_OBJECT, &uri));
    TRY(token_open(cli, uri, cli->option[OPT_LOGIN] ? OPEN_LOGIN : OPEN_READ));
    return print_object(cli, uri, pin);
}

/* ---- module ---- */

CK_RV show_module(struct cli *cli)
{
    TRY(module_need(cli));
    printf("%s\n", cli->module.path);
    return CKR_OK;
}

/* ---- example ---- */

/* What the templates' placeholders stand for. */
struct subject {
    const struct object *key;
    const char *pin;
};

static CK_RV put_module(struct cli *cli, const struct subject *s, struct buf *ret)
{
    (void)s;
    return put_text(ret, cli->module.path);
}

static CK_RV put_private(struct cli *cli, const struct subject *s, struct buf *ret)
{
    return put_uri(cli, CKO_PRIVATE_KEY, s->key, s->pin, ret);
}

static CK_RV put_key(struct cli *cli, const struct subject *s, struct buf *ret)
{
    return put_uri(cli, CKO_PRIVATE_KEY, s->key, NULL, ret);
}

static CK_RV put_certificate(struct cli *cli, const struct subject *s, struct buf *ret)
{
    return put_uri(cli, CKO_CERTIFICATE, s->key, NULL, ret);
}

static CK_RV put_token_uri(struct cli *cli, const struct subject *s, struct buf *ret)
{
    (void)s;
    TRY(uri_of_token(&cli->token.info, ret));
    ret->n--;
    return CKR_OK;
}

static CK_RV put_token(struct cli *cli, const struct subject *s, struct buf *ret)
{
    (void)s;
    return put_text(ret, PADDED(cli->token.info.label));
}

static CK_RV put_serial(struct cli *cli, const struct subject *s, struct buf *ret)
{
    (void)s;
    return put_text(ret, PADDED(cli->token.info.serialNumber));
}

static CK_RV put_slot(struct cli *cli, const struct subject *s, struct buf *ret)
{
    (void)s;
    char text[24];
    snprintf(text, sizeof(text), "%lu", cli->token.slot);
    return put_text(ret, text);
}

static CK_RV put_label(struct cli *cli, const struct subject *s, struct buf *ret)
{
    (void)cli;
    return buf_append(ret, s->key->label.p, s->key->label.n);
}

static CK_RV put_id(struct cli *cli, const struct subject *s, struct buf *ret)
{
    (void)cli;
    uint8_t *room;
    TRY(buf_extend(ret, 2 * s->key->id.n + 1, &room));
    bytes_hex(buf_bytes(&s->key->id), (char *)room);
    ret->n--;
    return CKR_OK;
}

static CK_RV put_pin_file(struct cli *cli, const struct subject *s, struct buf *ret)
{
    (void)cli;
    return put_text(ret, s->pin);
}

static const struct placeholder {
    const char *name;
    CK_RV (*put)(struct cli *cli, const struct subject *s, struct buf *ret);
} placeholders[] = {
    {"MODULE", put_module},       /* the module's path */
    {"URI", put_private},         /* of the private key, with the PIN's file */
    {"KEY", put_key},             /* the same without it */
    {"CERT", put_certificate},    /* of the certificate */
    {"TOKEN_URI", put_token_uri}, /* of the token */
    {"TOKEN", put_token},         /* its label */
    {"SERIAL", put_serial},       /* its serial number */
    {"SLOT", put_slot},           /* its slot's ID, decimal */
    {"LABEL", put_label},         /* of the key */
    {"ID", put_id},               /* of the key, hexadecimal */
    {"PIN_FILE", put_pin_file},   /* the path of the PIN's file */
};

/* The placeholder that text begins with, behind its '@'; NULL: none. */
static const struct placeholder *placeholder_at(const char *text)
{
    for (size_t i = 0; i < sizeof(placeholders) / sizeof(*placeholders); i++) {
        size_t n = strlen(placeholders[i].name);
        if (!strncmp(text, placeholders[i].name, n) && text[n] == '@')
            return &placeholders[i];
    }
    return NULL;
}

static CK_RV fill(struct cli *cli, const char *text, const struct subject *s, struct buf *ret)
{
    while (*text) {
        const struct placeholder *p = *text == '@' ? placeholder_at(text + 1) : NULL;
        if (p) {
            TRY(p->put(cli, s, ret));
            text += strlen(p->name) + 2;
        } else {
            TRY(buf_u8(ret, (uint8_t)*text++));
        }
    }
    return CKR_OK;
}

static const struct embedded *example_named(const char *name)
{
    for (size_t i = 0; i < n_examples; i++)
        if (!strcmp(examples[i].name, name))
            return &examples[i];
    return NULL;
}

static CK_RV print_programs(void)
{
    for (size_t i = 0; i < n_examples; i++) {
        const char *summary = (const char *)examples[i].text;
        printf("%-15s %.*s\n", examples[i].name, (int)strcspn(summary, "\n"), summary);
    }
    return CKR_OK;
}

/* libp11 0.4.12 reads so many bytes of a pin-source, and a line's end with them. */
static void warn_of_pin(const char *path)
{
    enum { LIBP11_READS = 31 };
    struct stat st;
    if (path && stat(path, &st) == 0 && st.st_size > LIBP11_READS)
        fprintf(stderr,
                "%s is longer than the %d bytes that OpenSSL's engine reads of it: nginx, Apache, "
                "curl and others will have the PIN wrong.\n",
                path, LIBP11_READS);
}

/* Most programs go through libp11 or NSS, which know RSA and EC keys on the NIST curves alone. */
static void warn_of_type(struct cli *cli, const struct object *key)
{
    CK_KEY_TYPE type = object_ulong(cli, key->handle, CKA_KEY_TYPE);
    if (type != CKK_RSA && type != CKK_EC)
        fputs("Most programs know RSA keys and EC keys on the NIST curves only; this is another.\n",
              stderr);
}

static CK_RV warn_of_certificate(struct cli *cli, const struct object *key)
{
    CLEANUP(handles_free) struct handles found = {0};
    CK_OBJECT_CLASS cls = CKO_CERTIFICATE;
    CK_ATTRIBUTE wanted[] = {{CKA_CLASS, &cls, sizeof(cls)}, {CKA_ID, key->id.p, key->id.n}};
    TRY(objects_find(cli, wanted, 2, &found));
    if (!found.n)
        fputs("The key has no certificate yet: latchkey key csr, and then latchkey cert import.\n",
              stderr);
    return CKR_OK;
}

/* libp11 0.4.12 gives up at the first private key of another type than RSA and EC: it finds none.
 * Public halves are seen without a login. */
static CK_RV warn_of_others(struct cli *cli)
{
    CLEANUP(handles_free) struct handles found = {0};
    CK_OBJECT_CLASS cls = CKO_PUBLIC_KEY;
    CK_ATTRIBUTE wanted[] = {{CKA_CLASS, &cls, sizeof(cls)}};
    TRY(objects_find(cli, wanted, 1, &found));
    for (size_t i = 0; i < found.n; i++) {
        CK_KEY_TYPE type = object_ulong(cli, found.h[i], CKA_KEY_TYPE);
        if (type != CKK_EC_EDWARDS && type != CKK_EC_MONTGOMERY)
            continue;
        fputs("The token has an Ed25519 or X25519 key: OpenSSL's engine (nginx, curl, ...) finds "
              "none of "
              "its keys then.\nGive such a key a token of its own.\n",
              stderr);
        break;
    }
    return CKR_OK;
}

static CK_RV warn(struct cli *cli, const struct object *key)
{
    warn_of_type(cli, key);
    TRY(warn_of_others(cli));
    return warn_of_certificate(cli, key);
}

static CK_RV print_filled(struct cli *cli, const struct embedded *program, P11KitUri *uri)
{
    CLEANUP(key_pair_free) struct key_pair pair = {0};
    CLEANUP(buf_free) struct buf text = {0};
    char path[PATH_MAX];
    const char *pin;
    TRY(pin_file_path(cli, path, &pin));
    TRY(token_open(cli, uri, OPEN_READ));
    TRY(key_find(cli, uri, cli->args[1], &pair));
    struct subject s = {key_half(&pair), pin ? pin : "/path/to/pin"};
    if (s.key->cls == CKO_SECRET_KEY)
        return fail(EXIT_USAGE, NULL, "'%s' is a secret key: the programs take key pairs",
                    cli->args[1]);
    TRY(warn(cli, s.key));
    warn_of_pin(pin);
    const char *template = strchr((const char *)program->text, '\n') + 1;
    TRY(fill(cli, template, &s, &text));
    return file_put(cli->option[OPT_OUT], buf_bytes(&text));
}

CK_RV example(struct cli *cli)
{
    CLEANUP(uri_free) P11KitUri *uri = NULL;
    if (!cli->n_args)
        return print_programs();
    const struct embedded *program = example_named(cli->args[0]);
    if (!program)
        return fail(EXIT_USAGE, "'latchkey example' lists them.", "there is no example for '%s'",
                    cli->args[0]);
    if (cli->n_args < 2)
        return fail(EXIT_USAGE, "'latchkey key list' shows the keys.",
                    "the key is missing: latchkey example %s KEY", program->name);
    TRY(uri_parse(cli->args[1], URI_OBJECT, &uri));
    return print_filled(cli, program, uri);
}
