/* `latchkey migrate`: tokens of another program, with their keys. */
#include "migrate.h"

#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "certificate.h"
#include "module.h"
#include "output.h"
#include "pin.h"

struct counts {
    size_t keys, certificates, left_out;
};

/* One token on its way. */
struct move {
    struct cli *cli;
    const struct migration *m;
    struct old_token *t;
    struct counts counts;
};

/* ---- one object ----------------------------------------------------------------------------- */

static unsigned usage_of(const struct old_object *o)
{
    static const struct {
        CK_ATTRIBUTE_TYPE type;
        unsigned usage;
    } rows[] = {{CKA_SIGN, USAGE_SIGN},       {CKA_VERIFY, USAGE_SIGN},
                {CKA_DECRYPT, USAGE_DECRYPT}, {CKA_ENCRYPT, USAGE_DECRYPT},
                {CKA_DERIVE, USAGE_DERIVE},   {CKA_UNWRAP, USAGE_WRAP},
                {CKA_WRAP, USAGE_WRAP}};
    unsigned usage = 0;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        if (old_bool(o, rows[i].type))
            usage |= rows[i].usage;
    return usage;
}

/* A string of the label's bytes; free with free. */
static char *label_of(const struct old_object *o)
{
    struct bytes label = old_attribute(o, CKA_LABEL);
    return strndup(label.n ? (const char *)label.p : "", label.n);
}

static CK_RV leave_out(struct move *v, const char *source, const char *why)
{
    v->counts.left_out++;
    fprintf(stderr, "  Left out: %s %s.\n", source, why);
    return CKR_OK;
}

static CK_RV plan_of(const struct migration *m, const struct old_object *o, const char *label,
                     const char *source, struct key_plan *ret)
{
    struct bytes id = old_attribute(o, CKA_ID);
    *ret = (struct key_plan){.kind = m->kind(o),
                             .label = label,
                             .id_len = id.n,
                             .usage = usage_of(o),
                             .extractable = m->software && old_bool(o, CKA_EXTRACTABLE),
                             .always_authenticate = old_bool(o, CKA_ALWAYS_AUTHENTICATE)};
    if ((!ret->kind && !m->software) || id.n > sizeof(ret->id))
        return fail(EXIT_FAILED, m->get_rid,
                    "%s is of a kind, or has an ID, that is not known here", source);
    if (ret->kind) /* programs give flags that mean nothing to the kind */
        ret->usage &= ret->kind->may;
    if (id.n)
        memcpy(ret->id, id.p, id.n);
    return CKR_OK;
}

static CK_RV move_key(struct move *v, const struct old_object *o, const char *label,
                      const char *source)
{
    struct key_plan plan;
    bool public = old_ulong(o, CKA_CLASS, CK_UNAVAILABLE_INFORMATION) == CKO_PUBLIC_KEY;
    TRY(plan_of(v->m, o, label, source, &plan));
    if (!plan.kind)
        return leave_out(v, source, "is a key of a kind that latchkey does not have");
    v->counts.keys += !public;
    return (public ? v->m->move_public : v->m->move_key)(v->cli, v->t, o, &plan, source);
}

static CK_RV move_certificate(struct move *v, const struct old_object *o, const char *label,
                              const char *source)
{
    struct bytes value = old_attribute(o, CKA_VALUE);
    const unsigned char *at = value.p;
    CK_OBJECT_HANDLE handle;
    X509 *certificate = d2i_X509(NULL, &at, (long)value.n);
    if (!certificate)
        return fail(EXIT_FAILED, v->m->get_rid, "%s is no X.509 certificate", source);
    CK_RV rv = certificate_create(v->cli, certificate, old_attribute(o, CKA_ID), BYTES_STR(label),
                                  &handle);
    X509_free(certificate);
    v->counts.certificates++;
    return rv;
}

static CK_RV move_labelled(struct move *v, const struct old_object *o, const char *label)
{
    char source[400];
    CK_OBJECT_CLASS cls = old_ulong(o, CKA_CLASS, CK_UNAVAILABLE_INFORMATION);
    snprintf(source, sizeof(source), "%s ('%.150s') of the token '%.100s'", o->name, label,
             v->t->label);
    switch (cls) {
    case CKO_CERTIFICATE:
        return move_certificate(v, o, label, source);
    case CKO_PUBLIC_KEY:
    case CKO_PRIVATE_KEY:
    case CKO_SECRET_KEY:
        return move_key(v, o, label, source);
    default:
        return leave_out(v, source, "is neither a key nor a certificate");
    }
}

static CK_RV move_object(struct move *v, const struct old_object *o)
{
    char *label = label_of(o);
    CK_RV rv = label ? move_labelled(v, o, label) : CKR_HOST_MEMORY;
    free(label);
    return rv;
}

/* Public keys last: most have come with their private halves by then. */
static CK_RV move_objects(struct move *v, bool public)
{
    for (size_t i = 0; i < v->t->n; i++) {
        const struct old_object *o = &v->t->objects[i];
        if ((old_ulong(o, CKA_CLASS, CK_UNAVAILABLE_INFORMATION) == CKO_PUBLIC_KEY) == public)
            TRY(move_object(v, o));
    }
    return CKR_OK;
}

/* ---- one token ------------------------------------------------------------------------------ */

static CK_RV fill(struct move *v, struct bytes pin, const struct secret *new_pin)
{
    CK_FUNCTION_LIST *p11 = v->cli->module.p11;
    TRY(v->m->open(v->cli, v->t, pin));
    TRY(check(p11->C_Logout(v->cli->token.session), "log out"));
    TRY(check(p11->C_Login(v->cli->token.session, CKU_USER, new_pin->p, new_pin->n),
              "log in to the new token"));
    TRY(move_objects(v, false));
    return v->m->move_public ? move_objects(v, true) : CKR_OK;
}

static CK_RV check_token(struct cli *cli, const struct migration *m, const struct old_token *t)
{
    if (m->check)
        TRY(m->check(t));
    if (!t->sealed.n)
        return fail(EXIT_FAILED, "Set one there first, with the SO PIN.",
                    "the token '%s' has no user PIN, so nothing opens its keys", t->label);
    if (token_label_taken(cli, t->label))
        return fail(EXIT_AMBIGUOUS, "Nothing was changed.", "there is a token '%s' already",
                    t->label);
    return CKR_OK;
}

/* The new token's user PIN is the old one, unless another is given. */
static CK_RV read_pins(struct cli *cli, const struct migration *m, const struct old_token *t,
                       struct secret *pin, struct secret *new_pin, struct secret *so_pin)
{
    const char *const *option = cli->option;
    bool given = option[OPT_NEW_PIN_FILE] || option[OPT_NEW_PIN_FD] || option[OPT_NEW_PIN_ENV];
    fprintf(stderr, "The token '%s' of %s:\n", t->label, m->program);
    if (!t->empty_pin)
        TRY(pin_read(cli, PIN_USER, false, pin));
    TRY(t->empty_pin || given ? pin_read(cli, PIN_NEW, true, new_pin)
                              : secret_copy(new_pin, secret_bytes(pin)));
    return pin_read(cli, PIN_SO, true, so_pin);
}

/* A token that did not come over whole is removed again. */
static CK_RV move_token(struct move *v)
{
    CLEANUP(secret_free) struct secret pin = {0}, new_pin = {0}, so_pin = {0};
    struct cli *cli = v->cli;
    TRY(check_token(cli, v->m, v->t));
    TRY(token_find_empty(cli));
    TRY(read_pins(cli, v->m, v->t, &pin, &new_pin, &so_pin));
    bool made = false;
    CK_RV rv = token_make(cli, v->t->label, &so_pin, &new_pin, &made);
    if (!made)
        return rv;
    if (rv == CKR_OK)
        rv = fill(v, secret_bytes(&pin), &new_pin);
    cli->module.p11->C_CloseAllSessions(cli->token.slot);
    cli->token.session = 0;
    if (rv == CKR_OK)
        return CKR_OK;
    CK_RV gone = cli->module.admin->TokenDestroy(cli->token.slot, NULL, 0, CK_TRUE);
    fputs(gone == CKR_OK
              ? "  The new token is removed again; the old store was not touched.\n"
              : "  The new token could not be removed: 'latchkey token destroy --force' does.\n",
          stderr);
    return rv;
}

/* ---- the verb ------------------------------------------------------------------------------- */

static void report(const struct move *v, struct table *table)
{
    table_cell(table, "%s", v->t->label);
    table_cell(table, "%zu", v->counts.keys);
    table_cell(table, "%zu", v->counts.certificates);
    table_cell(table, "%zu", v->counts.left_out);
}

static CK_RV move_tokens(struct cli *cli, const struct migration *m, struct old_store *store,
                         struct table *table)
{
    const char *wanted = cli->option[OPT_LABEL];
    for (size_t i = 0; i < store->n; i++) {
        struct move v = {.cli = cli, .m = m, .t = &store->tokens[i]};
        if (!v.t->label || (wanted && strcmp(wanted, v.t->label) != 0))
            continue;
        TRY(move_token(&v));
        report(&v, table);
    }
    return CKR_OK;
}

CK_RV migrate(struct cli *cli, const struct migration *m)
{
    static const struct column columns[] = {{"token", "TOKEN", CELL_TEXT},
                                            {"keys", "KEYS", CELL_NUMBER},
                                            {"certificates", "CERTIFICATES", CELL_NUMBER},
                                            {"left_out", "LEFT OUT", CELL_NUMBER}};
    CLEANUP(table_free) struct table table = TABLE(columns);
    CLEANUP(old_store_free) struct old_store store = {0};
    TRY(m->read(cli->n_args ? cli->args[0] : NULL, &store));
    TRY(module_open_admin(cli));
    CK_RV rv = move_tokens(cli, m, &store, &table);
    if (rv == CKR_OK && !table.n_cells)
        return fail(EXIT_NOT_FOUND, NULL, "there is no such token in %s", store.path);
    if (table.n_cells)
        TRY(table_print_list(&table, cli->option[OPT_JSON]));
    if (rv == CKR_OK && !cli->option[OPT_JSON])
        printf("\nThe old store goes on working. When all programs use latchkey, %s: %s\n",
               m->farewell, store.path);
    return rv;
}
