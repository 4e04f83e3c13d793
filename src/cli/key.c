#include <errno.h>
#include <openssl/ec.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include "key_lines.h"
#include "module.h"
#include "object.h"
#include "pin.h"
#include "public_key.h"
#include "uri.h"
#include "verbs.h"

/* ---- generate ---- */

enum usage { USAGE_SIGN = 1, USAGE_DECRYPT = 2, USAGE_DERIVE = 4 };

struct plan {
    bool rsa, always_authenticate;
    CK_ULONG bits;
    uint8_t curve[32]; /* DER of the curve's OID */
    size_t curve_len;
    const char *label;
    uint8_t id[32];
    size_t id_len;
    unsigned usage;
};

static CK_RV plan_usage(const char *list, struct plan *ret)
{
    static const struct {
        const char *name;
        unsigned bit;
    } rows[] = {{"sign", USAGE_SIGN}, {"decrypt", USAGE_DECRYPT}, {"derive", USAGE_DERIVE}};
    if (!list) {
        ret->usage = ret->rsa ? USAGE_SIGN | USAGE_DECRYPT : USAGE_SIGN;
        return CKR_OK;
    }
    for (const char *s = list; *s; s += *s == ',') {
        size_t len = strcspn(s, ","), i = 0;
        while (i < 3 && (strlen(rows[i].name) != len || strncmp(rows[i].name, s, len) != 0))
            i++;
        if (i == 3)
            return fail(EXIT_USAGE, NULL, "--usage takes sign, decrypt and derive, not '%.*s'",
                        (int)len, s);
        ret->usage |= rows[i].bit;
        s += len;
    }
    if (!ret->usage || (ret->usage & (ret->rsa ? USAGE_DERIVE : USAGE_DECRYPT)))
        return fail(EXIT_USAGE, NULL, "an %s key can %s", ret->rsa ? "RSA" : "EC",
                    ret->rsa ? "sign and decrypt" : "sign and derive");
    return CKR_OK;
}

static CK_RV plan_curve(const char *name, struct plan *ret)
{
    ASN1_OBJECT *oid = OBJ_nid2obj(EC_curve_nist2nid(name));
    unsigned char *at = ret->curve;
    int n = oid ? i2d_ASN1_OBJECT(oid, NULL) : 0;
    if (n <= 0 || (size_t)n > sizeof(ret->curve) || OBJ_obj2nid(oid) == NID_undef)
        return fail(EXIT_USAGE, NULL, "'%s' is no curve: there are %s", name,
                    option_rows[OPT_CURVE].values);
    ret->curve_len = (size_t)i2d_ASN1_OBJECT(oid, &at);
    return CKR_OK;
}

static CK_RV plan_type(struct cli *cli, struct plan *ret)
{
    const char *type = cli->option[OPT_TYPE], *bits = cli->option[OPT_BITS];
    const char *curve = cli->option[OPT_CURVE];
    ret->rsa = type ? !strcmp(type, "rsa") : bits != NULL;
    if (type && !ret->rsa && strcmp(type, "ec") != 0)
        return fail(EXIT_USAGE, NULL, "--type is ec or rsa, not '%s'", type);
    if (ret->rsa ? curve : bits)
        return fail(EXIT_USAGE, NULL, "--%s goes with --type %s", ret->rsa ? "curve" : "bits",
                    ret->rsa ? "ec" : "rsa");
    if (!ret->rsa)
        return plan_curve(curve ? curve : "P-256", ret);
    char *end;
    ret->bits = strtoul(bits ? bits : "2048", &end, 10);
    if (*end || ret->bits < 1024 || ret->bits > 16384)
        return fail(EXIT_USAGE, NULL, "--bits is 2048 or 3072, not '%s'", bits);
    return CKR_OK;
}

/* At random when not given: clients pair a certificate with its key by this value (and some, ssh
 * among them, pass over keys without one). */
static CK_RV plan_id(const char *hex, struct plan *ret)
{
    if (!hex) {
        ret->id_len = 8;
        if (getrandom(ret->id, ret->id_len, 0) == (ssize_t)ret->id_len)
            return CKR_OK;
        return fail(EXIT_FAILED, NULL, "no random bytes: %s", strerror(errno));
    }
    return key_id_parse(hex, ret->id, sizeof(ret->id), &ret->id_len);
}

static CK_RV make_plan(struct cli *cli, struct plan *ret)
{
    ret->label = cli->option[OPT_LABEL] ? cli->option[OPT_LABEL] : "";
    ret->always_authenticate = cli->option[OPT_ALWAYS_AUTHENTICATE];
    if (!*ret->label)
        return fail(EXIT_USAGE, "It is the name you will use the key by.", "--label is missing");
    TRY(plan_type(cli, ret));
    TRY(plan_usage(cli->option[OPT_USAGE], ret));
    return plan_id(cli->option[OPT_ID], ret);
}

static CK_RV check_free(struct cli *cli, struct plan *p)
{
    CLEANUP(handles_free) struct handles label = {0}, id = {0};
    CK_ATTRIBUTE by_id[] = {{CKA_ID, p->id, p->id_len}};
    CK_ATTRIBUTE by_label[] = {{CKA_LABEL, (void *)(uintptr_t)p->label, strlen(p->label)}};
    TRY(objects_find(cli, by_label, 1, &label));
    TRY(objects_find(cli, by_id, 1, &id));
    if (label.n)
        return fail(EXIT_AMBIGUOUS, "Choose another, or delete the old one.",
                    "the label '%s' is taken", p->label);
    return id.n ? fail(EXIT_AMBIGUOUS, "Choose another.", "the ID is taken") : CKR_OK;
}

struct template
{
    CK_ATTRIBUTE attributes[16];
    CK_ULONG n;
};

static void add(struct template *t, CK_ATTRIBUTE_TYPE type, const void *value, size_t n)
{
    t->attributes[t->n++] = (CK_ATTRIBUTE){type, (void *)(uintptr_t)value, n};
}

static void add_bool(struct template *t, CK_ATTRIBUTE_TYPE type, bool value)
{
    static const CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    add(t, type, value ? &yes : &no, sizeof(CK_BBOOL));
}

static void add_common(struct template *t, const struct plan *p, bool private)
{
    add_bool(t, CKA_TOKEN, true);
    add_bool(t, CKA_PRIVATE, private);
    add(t, CKA_LABEL, p->label, strlen(p->label));
    add(t, CKA_ID, p->id, p->id_len);
}

static void fill_templates(const struct plan *p, struct template *public, struct template *private)
{
    static const uint8_t f4[] = {1, 0, 1};
    add_common(public, p, false);
    add_bool(public, CKA_VERIFY, p->usage & USAGE_SIGN);
    add_bool(public, CKA_ENCRYPT, p->usage & USAGE_DECRYPT);
    add_bool(public, CKA_WRAP, false);
    if (p->rsa) {
        add(public, CKA_MODULUS_BITS, &p->bits, sizeof(p->bits));
        add(public, CKA_PUBLIC_EXPONENT, f4, sizeof(f4));
    } else {
        add(public, CKA_EC_PARAMS, p->curve, p->curve_len);
    }
    add_common(private, p, true);
    add_bool(private, CKA_SENSITIVE, true);
    add_bool(private, CKA_EXTRACTABLE, false);
    add_bool(private, CKA_SIGN, p->usage & USAGE_SIGN);
    add_bool(private, CKA_DECRYPT, p->usage & USAGE_DECRYPT);
    add_bool(private, CKA_DERIVE, p->usage & USAGE_DERIVE);
    add_bool(private, CKA_UNWRAP, false);
    if (p->always_authenticate)
        add_bool(private, CKA_ALWAYS_AUTHENTICATE, true);
}

static CK_RV generate(struct cli *cli, const struct plan *p, struct key_pair *ret)
{
    struct template public = {0}, private = {0};
    CK_MECHANISM mechanism = {p->rsa ? CKM_RSA_PKCS_KEY_PAIR_GEN : CKM_EC_KEY_PAIR_GEN, NULL, 0};
    CK_OBJECT_HANDLE public_handle = 0, private_handle = 0;
    fill_templates(p, &public, &private);
    struct spinner *spinner = spinner_start("the TPM makes the key");
    CK_RV rv = cli->module.p11->C_GenerateKeyPair(cli->token.session, &mechanism, public.attributes,
                                                  public.n, private.attributes, private.n,
                                                  &public_handle, &private_handle);
    spinner_stop(&spinner);
    TRY(check(rv, "make the key"));
    TRY(object_read(cli, private_handle, &ret->private));
    return object_read(cli, public_handle, &ret->public);
}

static CK_RV report_new(struct cli *cli, const struct object *key)
{
    static const struct column columns[] = {{"label", "LABEL", CELL_TEXT},
                                            {"id", "ID", CELL_TEXT},
                                            {"type", "TYPE", CELL_TEXT},
                                            {"uri", "URI", CELL_TEXT}};
    CLEANUP(table_free) struct table t = TABLE(columns);
    table_cell(&t, "%s", (char *)key->label.p);
    TRY(cell_id(&t, key));
    TRY(cell_type(cli, &t, key));
    TRY(cell_uri(cli, &t, CKO_PRIVATE_KEY, key));
    TRY(table_print_record(&t, cli->option[OPT_JSON]));
    return cli->option[OPT_JSON] ? CKR_OK : key_lines_print(cli, key);
}

CK_RV key_generate(struct cli *cli)
{
    CLEANUP(key_pair_free) struct key_pair pair = {0};
    struct plan plan = {0};
    TRY(make_plan(cli, &plan));
    TRY(token_open(cli, NULL, OPEN_WRITE | OPEN_LOGIN));
    TRY(check_free(cli, &plan));
    TRY(generate(cli, &plan, &pair));
    return report_new(cli, &pair.private);
}

/* ---- list and show ---- */

static CK_RV cells_of_usage(struct cli *cli, struct table *t, CK_OBJECT_HANDLE key)
{
    static const struct {
        CK_ATTRIBUTE_TYPE attribute;
        const char *name;
    } rows[] = {{CKA_SIGN, "sign"},       {CKA_VERIFY, "verify"}, {CKA_ENCRYPT, "encrypt"},
                {CKA_DECRYPT, "decrypt"}, {CKA_DERIVE, "derive"}, {CKA_WRAP, "wrap"},
                {CKA_UNWRAP, "unwrap"}};
    char text[80] = "";
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (!object_bool(cli, key, rows[i].attribute))
            continue;
        strcat(text, *text ? "," : "");
        strcat(text, rows[i].name);
    }
    table_cell(t, "%s", text);
    return CKR_OK;
}

#define KEY_COLUMNS                                                                                \
    {"label", "LABEL", CELL_TEXT}, {"id", "ID", CELL_TEXT}, {"type", "TYPE", CELL_TEXT},           \
        {"class", "CLASS", CELL_TEXT},                                                             \
    {                                                                                              \
        "usage", "USAGE", CELL_LIST                                                                \
    }

static CK_RV cells_of_key(struct cli *cli, struct table *t, const struct object *key)
{
    table_cell(t, "%s", (char *)key->label.p);
    TRY(cell_id(t, key));
    TRY(cell_type(cli, t, key));
    table_cell(t, "%s", object_class(key->cls));
    return cells_of_usage(cli, t, key->handle);
}

/* Public halves whose private half is in the list say nothing more. */
static bool has_private(struct cli *cli, const struct object *public)
{
    CLEANUP(handles_free) struct handles found = {0};
    CK_OBJECT_CLASS cls = CKO_PRIVATE_KEY;
    CK_ATTRIBUTE wanted[] = {{CKA_CLASS, &cls, sizeof(cls)}, {CKA_ID, public->id.p, public->id.n}};
    return public->id.n && objects_find(cli, wanted, 2, &found) == CKR_OK && found.n;
}

static CK_RV rows_of_class(struct cli *cli, struct table *t, CK_OBJECT_CLASS cls)
{
    CLEANUP(handles_free) struct handles found = {0};
    CK_ATTRIBUTE wanted[] = {{CKA_CLASS, &cls, sizeof(cls)}};
    TRY(objects_find(cli, wanted, 1, &found));
    for (size_t i = 0; i < found.n; i++) {
        CLEANUP(object_free) struct object key = {0};
        TRY(object_read(cli, found.h[i], &key));
        if (cls == CKO_PUBLIC_KEY && has_private(cli, &key))
            continue;
        TRY(cells_of_key(cli, t, &key));
        TRY(cell_uri(cli, t, cls, &key));
    }
    return CKR_OK;
}

CK_RV key_list(struct cli *cli)
{
    static const struct column columns[] = {KEY_COLUMNS, {"uri", NULL, CELL_TEXT}};
    CLEANUP(table_free) struct table t = TABLE(columns);
    TRY(token_open(cli, NULL, cli->option[OPT_LOGIN] ? OPEN_LOGIN : OPEN_READ));
    TRY(rows_of_class(cli, &t, CKO_PRIVATE_KEY));
    TRY(rows_of_class(cli, &t, CKO_SECRET_KEY));
    TRY(rows_of_class(cli, &t, CKO_PUBLIC_KEY));
    if (!t.n_cells)
        fputs(cli->option[OPT_LOGIN] ? "No keys yet. Make one: latchkey key generate\n"
                                     : "No public keys. Private ones are seen with --login.\n",
              stderr);
    return table_print_list(&t, cli->option[OPT_JSON]);
}

static CK_RV cell_pem(struct cli *cli, struct table *t, const struct key_pair *pair)
{
    CLEANUP(public_key_free) EVP_PKEY *key = NULL;
    if (key_half(pair)->cls == CKO_SECRET_KEY) {
        table_none(t);
        return CKR_OK;
    }
    TRY(public_key_of(cli, pair, &key));
    BIO *text = BIO_new(BIO_s_mem());
    char *p = NULL;
    if (!text || !PEM_write_bio_PUBKEY(text, key)) {
        BIO_free(text);
        return CKR_HOST_MEMORY;
    }
    long n = BIO_get_mem_data(text, &p);
    table_cell(t, "%.*s", (int)n, p);
    BIO_free(text);
    return CKR_OK;
}

CK_RV key_show(struct cli *cli)
{
    static const struct column columns[] = {KEY_COLUMNS,
                                            {"local", "MADE IN THE TPM", CELL_BOOL},
                                            {"extractable", "EXTRACTABLE", CELL_BOOL},
                                            {"always_authenticate", "PIN EACH USE", CELL_BOOL},
                                            {"uri", "URI", CELL_TEXT},
                                            {"public_key", NULL, CELL_TEXT}};
    CLEANUP(table_free) struct table t = TABLE(columns);
    CLEANUP(uri_free) P11KitUri *uri = NULL;
    CLEANUP(key_pair_free) struct key_pair pair = {0};
    TRY(uri_parse(cli->args[0], URI_OBJECT, &uri));
    TRY(token_open(cli, uri, cli->option[OPT_LOGIN] ? OPEN_LOGIN : OPEN_READ));
    TRY(key_find(cli, uri, cli->args[0], &pair));
    const struct object *key = key_half(&pair);
    TRY(cells_of_key(cli, &t, key));
    table_bool(&t, object_bool(cli, key->handle, CKA_LOCAL));
    if (key->cls == CKO_PUBLIC_KEY) {
        table_none(&t);
        table_none(&t);
    } else {
        table_bool(&t, object_bool(cli, key->handle, CKA_EXTRACTABLE));
        table_bool(&t, object_bool(cli, key->handle, CKA_ALWAYS_AUTHENTICATE));
    }
    TRY(cell_uri(cli, &t, key->cls, key));
    TRY(cell_pem(cli, &t, &pair));
    TRY(table_print_record(&t, cli->option[OPT_JSON]));
    if (!cli->option[OPT_JSON] && t.cells[t.n_cells - 1])
        fputs(t.cells[t.n_cells - 1], stdout);
    return CKR_OK;
}

/* ---- delete ---- */

CK_RV key_delete(struct cli *cli)
{
    CLEANUP(uri_free) P11KitUri *uri = NULL;
    CLEANUP(key_pair_free) struct key_pair pair = {0};
    char prompt[320];
    TRY(uri_parse(cli->args[0], URI_OBJECT, &uri));
    TRY(token_open(cli, uri, OPEN_WRITE | OPEN_LOGIN));
    TRY(key_find(cli, uri, cli->args[0], &pair));
    const char *label = (const char *)key_half(&pair)->label.p;
    snprintf(prompt, sizeof(prompt),
             "The key '%.200s' will be lost for good. Type yes to go on: ", label);
    if (!cli->option[OPT_YES])
        TRY(terminal_confirm(prompt, "yes"));
    CK_FUNCTION_LIST *p11 = cli->module.p11;
    if (pair.private.handle)
        TRY(check(p11->C_DestroyObject(cli->token.session, pair.private.handle),
                  "delete the key '%s'", label));
    if (pair.public.handle)
        TRY(check(p11->C_DestroyObject(cli->token.session, pair.public.handle),
                  "delete the public key '%s'", label));
    printf("The key '%s' is gone.\n", label);
    return CKR_OK;
}
