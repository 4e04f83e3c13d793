/* `latchkey migrate`: tokens of another program with their keys, which are in this TPM already. */
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "adopt.h"
#include "certificate.h"
#include "key_store.h"
#include "module.h"
#include "output.h"
#include "pin.h"
#include "public_key.h"
#include "tpm2_pkcs11.h"
#include "verbs.h"

struct counts {
    size_t keys, certificates, left_out;
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

/* Hash by hash; what the public area says of an HMAC key counts for more than the name here. */
static const struct key_kind *kind_of(const struct old_object *o)
{
    static const struct {
        CK_KEY_TYPE type;
        const char *kind;
    } rows[] = {{CKK_SHA_1_HMAC, "hmac-sha1"},
                {CKK_SHA256_HMAC, "hmac-sha256"},
                {CKK_SHA384_HMAC, "hmac-sha384"},
                {CKK_SHA512_HMAC, "hmac-sha512"}};
    CK_KEY_TYPE type = old_ulong(o, CKA_KEY_TYPE, CK_UNAVAILABLE_INFORMATION);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        if (rows[i].type == type)
            return key_kind_named(rows[i].kind);
    return adopt_kind(old_attribute(o, OLD_PUBLIC));
}

/* A string of the label's bytes; free with free. */
static char *label_of(const struct old_object *o)
{
    struct bytes label = old_attribute(o, CKA_LABEL);
    return strndup(label.n ? (const char *)label.p : "", label.n);
}

static CK_RV plan_of(const struct old_object *o, const char *label, const char *source,
                     struct key_plan *ret)
{
    struct bytes id = old_attribute(o, CKA_ID);
    *ret = (struct key_plan){.kind = kind_of(o),
                             .label = label,
                             .id_len = id.n,
                             .usage = usage_of(o),
                             .always_authenticate = old_bool(o, CKA_ALWAYS_AUTHENTICATE)};
    if (!ret->kind || id.n > sizeof(ret->id))
        return fail(EXIT_FAILED, "'tpm2_ptool objdel' takes it out of the old store.",
                    "%s is of a kind, or has an ID, that is not known here", source);
    if (id.n)
        memcpy(ret->id, id.p, id.n);
    return CKR_OK;
}

static CK_RV move_key(struct cli *cli, const struct old_token *t, const struct old_object *o,
                      struct bytes wrapping_key, const char *label, const char *source)
{
    CLEANUP(secret_free) struct secret auth = {0};
    CLEANUP(handles_free) struct handles made = {0};
    struct bytes public = old_attribute(o, OLD_PUBLIC), private = old_attribute(o, OLD_PRIVATE);
    struct key_plan plan;
    TRY(plan_of(o, label, source, &plan));
    if (old_key_auth(o, wrapping_key, &auth) != CKR_OK)
        return fail(EXIT_FAILED, NULL, "the authorization of %s is damaged", source);
    LATCHKEY_TPM_KEY key = {.parent = t->parent,
                            .pPublic = (CK_BYTE_PTR)(uintptr_t) public.p,
                            .ulPublicLen = public.n,
                            .pPrivate = (CK_BYTE_PTR)(uintptr_t) private.p,
                            .ulPrivateLen = private.n,
                            .pAuth = auth.p,
                            .ulAuthLen = auth.n,
                            .ulValueLen = old_ulong(o, CKA_VALUE_LEN, 0)};
    return adopt_key(cli, &plan, &key, source, &made);
}

static CK_RV move_certificate(struct cli *cli, const struct old_object *o, const char *label,
                              const char *source)
{
    struct bytes value = old_attribute(o, CKA_VALUE);
    const unsigned char *at = value.p;
    CK_OBJECT_HANDLE handle;
    X509 *certificate = d2i_X509(NULL, &at, (long)value.n);
    if (!certificate)
        return fail(EXIT_FAILED, "'tpm2_ptool objdel' takes it out of the old store.",
                    "%s is no X.509 certificate", source);
    CK_RV rv =
        certificate_create(cli, certificate, old_attribute(o, CKA_ID), BYTES_STR(label), &handle);
    X509_free(certificate);
    return rv;
}

static CK_RV move_object(struct cli *cli, const struct old_token *t, const struct old_object *o,
                         struct bytes wrapping_key, struct counts *counts)
{
    char source[400];
    char *label = label_of(o);
    CK_OBJECT_CLASS cls = old_ulong(o, CKA_CLASS, CK_UNAVAILABLE_INFORMATION);
    CK_RV rv = label ? CKR_OK : CKR_HOST_MEMORY;
    snprintf(source, sizeof(source), "object %lld ('%.200s') of the token '%.100s'", o->id,
             label ? label : "", t->label);
    if (rv == CKR_OK && (cls == CKO_PRIVATE_KEY || cls == CKO_SECRET_KEY)) {
        counts->keys++;
        rv = move_key(cli, t, o, wrapping_key, label, source);
    } else if (rv == CKR_OK && cls == CKO_CERTIFICATE) {
        counts->certificates++;
        rv = move_certificate(cli, o, label, source);
    } else if (rv == CKR_OK && cls != CKO_PUBLIC_KEY) { /* comes with its private half */
        counts->left_out++;
        fprintf(stderr, "  Left out: %s is neither a key nor a certificate.\n", source);
    }
    free(label);
    return rv;
}

/* ---- one token ------------------------------------------------------------------------------ */

static CK_RV unseal(struct cli *cli, const struct old_token *t, struct bytes pin,
                    struct secret *ret)
{
    CLEANUP(secret_free) struct secret auth = {0}, room = {0};
    CK_ULONG n = LATCHKEY_SEALED_MAX;
    TRY(old_pin_auth(t, pin, &auth));
    TRY(secret_new(&room, LATCHKEY_SEALED_MAX));
    LATCHKEY_TPM_KEY object = {.parent = t->parent,
                               .pPublic = t->public.p,
                               .ulPublicLen = t->public.n,
                               .pPrivate = t->private.p,
                               .ulPrivateLen = t->private.n,
                               .pAuth = auth.p,
                               .ulAuthLen = auth.n};
    CK_RV rv = cli->module.admin->ForeignUnseal(cli->token.session, &object, room.p, &n);
    TRY(check(rv, "open the token '%s' of tpm2-pkcs11 with its user PIN", t->label));
    return secret_copy(ret, BYTES(room.p, n));
}

static CK_RV fill(struct cli *cli, const struct old_token *t, struct bytes pin,
                  const struct secret *new_pin, struct counts *counts)
{
    CLEANUP(secret_free) struct secret wrapping_key = {0};
    CK_FUNCTION_LIST *p11 = cli->module.p11;
    TRY(unseal(cli, t, pin, &wrapping_key));
    TRY(check(p11->C_Logout(cli->token.session), "log out"));
    TRY(check(p11->C_Login(cli->token.session, CKU_USER, new_pin->p, new_pin->n),
              "log in to the new token"));
    for (size_t i = 0; i < t->n; i++)
        TRY(move_object(cli, t, &t->objects[i], secret_bytes(&wrapping_key), counts));
    return CKR_OK;
}

static CK_RV check_token(struct cli *cli, const struct old_token *t)
{
    if (t->parent_auth)
        return fail(EXIT_FAILED, NULL,
                    "the primary key of the token '%s' has an authorization of its own, which is "
                    "not supported",
                    t->label);
    if (!t->private.n)
        return fail(EXIT_FAILED, "Set one there first, with the SO PIN.",
                    "the token '%s' has no user PIN, so nothing opens its keys", t->label);
    if (token_label_taken(cli, t->label))
        return fail(EXIT_AMBIGUOUS, "Nothing was changed.", "there is a token '%s' already",
                    t->label);
    return CKR_OK;
}

/* The new token's user PIN is the old one, unless another is given. */
static CK_RV read_pins(struct cli *cli, const struct old_token *t, struct secret *pin,
                       struct secret *new_pin, struct secret *so_pin)
{
    const char *const *option = cli->option;
    bool given = option[OPT_NEW_PIN_FILE] || option[OPT_NEW_PIN_FD] || option[OPT_NEW_PIN_ENV];
    fprintf(stderr, "The token '%s' of tpm2-pkcs11:\n", t->label);
    if (!t->empty_pin)
        TRY(pin_read(cli, PIN_USER, false, pin));
    TRY(t->empty_pin || given ? pin_read(cli, PIN_NEW, true, new_pin)
                              : secret_copy(new_pin, secret_bytes(pin)));
    return pin_read(cli, PIN_SO, true, so_pin);
}

/* A token that did not come over whole is removed again. */
static CK_RV move_token(struct cli *cli, const struct old_token *t, struct counts *counts)
{
    CLEANUP(secret_free) struct secret pin = {0}, new_pin = {0}, so_pin = {0};
    TRY(check_token(cli, t));
    TRY(token_find_empty(cli));
    TRY(read_pins(cli, t, &pin, &new_pin, &so_pin));
    bool made = false;
    CK_RV rv = token_make(cli, t->label, &so_pin, &new_pin, &made);
    if (!made)
        return rv;
    if (rv == CKR_OK)
        rv = fill(cli, t, secret_bytes(&pin), &new_pin, counts);
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

static void report(const struct old_token *t, const struct counts *counts, struct table *table)
{
    table_cell(table, "%s", t->label);
    table_cell(table, "%zu", counts->keys);
    table_cell(table, "%zu", counts->certificates);
    table_cell(table, "%zu", counts->left_out);
}

static CK_RV migrate_one(struct cli *cli, struct old_store *store, long long id,
                         struct table *table)
{
    CLEANUP(old_token_free) struct old_token t = {0};
    struct counts counts = {0};
    const char *wanted = cli->option[OPT_LABEL];
    TRY(old_store_token(store, id, &t));
    if (!t.label || (wanted && strcmp(wanted, t.label) != 0))
        return CKR_OK;
    TRY(move_token(cli, &t, &counts));
    report(&t, &counts, table);
    return CKR_OK;
}

static void free_ids(long long **ids)
{
    free(*ids);
}

CK_RV migrate_tpm2_pkcs11(struct cli *cli)
{
    static const struct column columns[] = {{"token", "TOKEN", CELL_TEXT},
                                            {"keys", "KEYS", CELL_NUMBER},
                                            {"certificates", "CERTIFICATES", CELL_NUMBER},
                                            {"left_out", "LEFT OUT", CELL_NUMBER}};
    CLEANUP(table_free) struct table table = TABLE(columns);
    CLEANUP(old_store_close) struct old_store *store = NULL;
    CLEANUP(free_ids) long long *ids = NULL;
    size_t n = 0;
    TRY(old_store_open(cli->n_args ? cli->args[0] : NULL, &store));
    TRY(old_store_tokens(store, &ids, &n));
    TRY(module_open_admin(cli));
    CK_RV rv = CKR_OK;
    for (size_t i = 0; rv == CKR_OK && i < n; i++)
        rv = migrate_one(cli, store, ids[i], &table);
    if (rv == CKR_OK && !table.n_cells)
        return fail(EXIT_NOT_FOUND, NULL, "there is no such token in %s", old_store_path(store));
    if (table.n_cells)
        TRY(table_print_list(&table, cli->option[OPT_JSON]));
    if (rv == CKR_OK && !cli->option[OPT_JSON])
        printf("\nThe old store goes on working. When all programs use latchkey, delete it: %s\n",
               old_store_path(store));
    return rv;
}
