/* `latchkey key import`. */
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "adopt.h"
#include "certificate.h"
#include "file.h"
#include "import_file.h"
#include "key_lines.h"
#include "key_store.h"
#include "module.h"
#include "public_key.h"
#include "tss2_file.h"
#include "verbs.h"

/* ---- all or nothing ---------------------------------------------------------------------------
 */

/* An import that failed leaves the token as it was. */
static void undo(struct cli *cli, const struct handles *made)
{
    size_t left = 0;
    for (size_t i = made->n; i-- > 0;)
        if (cli->module.p11->C_DestroyObject(cli->token.session, made->h[i]) != CKR_OK)
            left++;
    if (left)
        fprintf(stderr, "  %zu of the objects made before could not be removed again.\n", left);
    else if (made->n)
        fprintf(stderr, "  Nothing was imported: what had been stored before is removed again.\n");
}

/* ---- what is stored ---------------------------------------------------------------------------
 */

static CK_RV add_private(struct cli *cli, const struct key_plan *plan, EVP_PKEY *key,
                         struct handles *made)
{
    CK_OBJECT_HANDLE handle = 0;
    TRY(key_store_private(cli, plan, key, &handle));
    return handles_add(made, handle);
}

static CK_RV add_public(struct cli *cli, const struct key_plan *plan, EVP_PKEY *key,
                        struct handles *made)
{
    CK_OBJECT_HANDLE handle = 0;
    TRY(key_store_public(cli, plan, key, &handle));
    return handles_add(made, handle);
}

/* One that is there already stays as it is. */
static CK_RV add_certificate(struct cli *cli, X509 *certificate, struct bytes id,
                             struct bytes label, struct handles *made)
{
    CLEANUP(handles_free) struct handles same = {0};
    CK_OBJECT_HANDLE handle = 0;
    TRY(certificate_present(cli, certificate, &same));
    if (same.n)
        return CKR_OK;
    TRY(certificate_create(cli, certificate, id, label, &handle));
    return handles_add(made, handle);
}

/* The name in the PKCS#12 file, else the subject's common name. */
static struct bytes issuer_label(X509 *certificate)
{
    int n = 0;
    unsigned char *alias = X509_alias_get0(certificate, &n);
    if (alias && n > 0)
        return BYTES(alias, n);
    X509_NAME *subject = X509_get_subject_name(certificate);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (at < 0)
        return BYTES_STR("issuer");
    ASN1_STRING *name = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
    return BYTES(ASN1_STRING_get0_data(name), ASN1_STRING_length(name));
}

static CK_RV add_certificates(struct cli *cli, const struct key_plan *plan,
                              const struct import_file *file, struct handles *made)
{
    if (cli->option[OPT_NO_CERTIFICATES])
        return CKR_OK;
    if (file->certificate)
        TRY(add_certificate(cli, file->certificate, BYTES(plan->id, plan->id_len),
                            BYTES_STR(plan->label), made));
    for (int i = 0; i < sk_X509_num(file->issuers); i++) {
        X509 *issuer = sk_X509_value(file->issuers, i);
        TRY(add_certificate(cli, issuer, NO_BYTES, issuer_label(issuer), made));
    }
    return CKR_OK;
}

static CK_RV add_all(struct cli *cli, const struct key_plan *plan, const struct import_file *file,
                     struct handles *made)
{
    if (file->private)
        TRY(add_private(cli, plan, file->key, made));
    TRY(add_public(cli, plan, file->key, made));
    return add_certificates(cli, plan, file, made);
}

/* ---- is it there already ----------------------------------------------------------------------
 */

/* A public key whose private half arrives is no obstacle. */
static CK_RV refuse_twice(struct cli *cli, const struct import_file *file)
{
    CLEANUP(object_free) struct object private = {0}, public = {0};
    if (cli->option[OPT_FORCE])
        return CKR_OK;
    TRY(public_key_find(cli, CKO_PRIVATE_KEY, file->key, &private));
    TRY(public_key_find(cli, CKO_PUBLIC_KEY, file->key, &public));
    if (!private.handle &&
        (!public.handle || (file->private && !public_key_has_private(cli, &public))))
        return CKR_OK;
    return fail(EXIT_AMBIGUOUS, "--force imports it once more under the new name.",
                "this key is on the token already, as '%s'",
                (char *)(private.handle ? private.label.p : public.label.p));
}

/* ---- the verb ---------------------------------------------------------------------------------
 */

static CK_RV report(struct cli *cli, CK_OBJECT_HANDLE handle)
{
    CLEANUP(object_free) struct object key = {0};
    TRY(object_read(cli, handle, &key));
    return key_report(cli, &key);
}

static CK_RV store(struct cli *cli, const struct key_plan *plan, const struct import_file *file)
{
    CLEANUP(handles_free) struct handles made = {0};
    TRY(token_open(cli, NULL, OPEN_WRITE | OPEN_LOGIN));
    TRY(key_plan_check_free(cli, plan));
    TRY(refuse_twice(cli, file));
    struct spinner *spinner = spinner_start("the module stores the key");
    CK_RV rv = add_all(cli, plan, file, &made);
    spinner_stop(&spinner);
    if (rv != CKR_OK)
        undo(cli, &made);
    TRY(rv);
    TRY(report(cli, made.h[0]));
    size_t keys = file->private ? 2 : 1;
    if (made.n > keys)
        fprintf(stderr, "%zu certificates of the file are stored, too.\n", made.n - keys);
    return CKR_OK;
}

static CK_RV import_secret(struct cli *cli, struct key_plan *plan)
{
    CLEANUP(buf_free) struct buf value = {0};
    CK_OBJECT_HANDLE handle = 0;
    TRY(key_plan_names(cli, NULL, plan));
    TRY(key_plan_usage(cli, plan));
    TRY(import_file_raw(cli, cli->args[0], &value));
    size_t bits = value.n * 8;
    if (bits < plan->kind->bits.least || bits > plan->kind->bits.most ||
        bits % plan->kind->bits.step)
        return fail(EXIT_FAILED, "Is it hexadecimal? Then give --format hex.",
                    "%s has %zu bits; a key of --type %s has %s", cli->args[0], bits,
                    plan->kind->name, plan->kind->bits.text);
    TRY(token_open(cli, NULL, OPEN_WRITE | OPEN_LOGIN));
    TRY(key_plan_check_free(cli, plan));
    TRY(key_store_secret(cli, plan, buf_bytes(&value), &handle));
    return report(cli, handle);
}

static CK_RV import_pair(struct cli *cli, struct key_plan *plan, struct bytes content)
{
    CLEANUP(import_file_free) struct import_file file = {0};
    const struct key_kind *wanted = plan->kind;
    char name[256] = "";
    int n = 0;
    TRY(import_file_read(cli, cli->args[0], content, &file));
    plan->kind = file.kind;
    if (wanted && wanted != plan->kind)
        return fail(EXIT_USAGE, "Leave --type out: the file says it.",
                    "%s holds a key of type %s, not %s", cli->args[0], plan->kind->name,
                    wanted->name);
    unsigned char *alias = file.certificate ? X509_alias_get0(file.certificate, &n) : NULL;
    if (alias && n > 0)
        snprintf(name, sizeof(name), "%.*s", n, (const char *)alias);
    TRY(key_plan_names(cli, name, plan));
    TRY(key_plan_usage(cli, plan));
    return store(cli, plan, &file);
}

CK_RV key_import(struct cli *cli)
{
    CLEANUP(buf_free) struct buf content = {0};
    struct key_plan plan = {0};
    if (!cli->n_args == !cli->option[OPT_HANDLE])
        return fail(EXIT_USAGE, NULL, "give the file of the key, or --handle");
    if (cli->option[OPT_HANDLE])
        return adopt_persistent(cli);
    if (cli->option[OPT_TYPE])
        TRY(key_kind_option(cli, &plan.kind));
    if (plan.kind && plan.kind->cls == CKO_SECRET_KEY)
        return import_secret(cli, &plan);
    TRY(file_get(cli->args[0], &content));
    return tss2_is(buf_bytes(&content)) ? adopt_file(cli, buf_bytes(&content), cli->args[0])
                                        : import_pair(cli, &plan, buf_bytes(&content));
}
