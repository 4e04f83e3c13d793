#include "adopt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "key_lines.h"
#include "key_store.h"
#include "module.h"
#include "pin.h"
#include "public_key.h"
#include "tss2_file.h"

/* TPMI_ALG_PUBLIC, TPM 2.0 part 2, 12.2.2, and the hash that a keyedhash may be bound to. */
static const struct {
    unsigned algorithm, hash;
    const char *kind;
} kinds[] = {{0x0001, 0, "rsa"},
             {0x0023, 0, "ec"},
             {0x0025, 0, "aes"},
             {0x0008, 0, "generic"},
             {0x0008, 0x0004, "hmac-sha1"},
             {0x0008, 0x000B, "hmac-sha256"},
             {0x0008, 0x000C, "hmac-sha384"},
             {0x0008, 0x000D, "hmac-sha512"}};
enum { ALG_KEYEDHASH = 0x0008, ALG_HMAC = 0x0005 };
enum { AT_TYPE = 2, AT_POLICY = 10 }; /* in a TPM2B_PUBLIC; behind the policy are the parameters */

static unsigned number_at(struct bytes b, size_t at)
{
    return at + 2 <= b.n ? (unsigned)(b.p[at] << 8 | b.p[at + 1]) : 0;
}

const struct key_kind *adopt_kind(struct bytes public)
{
    unsigned algorithm = number_at(public, AT_TYPE), hash = 0;
    size_t scheme = AT_POLICY + 2 + number_at(public, AT_POLICY);
    if (algorithm == ALG_KEYEDHASH && number_at(public, scheme) == ALG_HMAC)
        hash = number_at(public, scheme + 2);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
        if (kinds[i].algorithm == algorithm && kinds[i].hash == hash)
            return key_kind_named(kinds[i].kind);
    return NULL;
}

/* ---- taking one in ------------------------------------------------------------------------ */

CK_RV handles_add(struct handles *handles, CK_OBJECT_HANDLE handle)
{
    CK_OBJECT_HANDLE *grown = reallocarray(handles->h, handles->n + 1, sizeof(*grown));
    if (!grown)
        return CKR_HOST_MEMORY;
    handles->h = grown;
    handles->h[handles->n++] = handle;
    return CKR_OK;
}

/* The codes of KeyAdopt mean something of their own. */
static CK_RV told(CK_RV rv, const char *source)
{
    switch (rv) {
    case CKR_PIN_INCORRECT:
        return fail(EXIT_PIN_WRONG, "Mind that the TPM may count wrong ones.",
                    "the password of %s is wrong", source);
    case CKR_TOKEN_NOT_RECOGNIZED:
        return fail(EXIT_FAILED, "It works in the TPM that made it, until that one is cleared.",
                    "no parent in this TPM opens %s: it is another TPM's, or its parent is gone",
                    source);
    case CKR_KEY_FUNCTION_NOT_PERMITTED:
        return fail(EXIT_FAILED, "LATCHKEY_LOG=error makes the module say what it lacks.",
                    "%s is of a kind that cannot be used here", source);
    case CKR_KEY_SIZE_RANGE:
        return fail(EXIT_FAILED, "'key import' takes the bytes themselves, in a file.",
                    "%s is of a size that is not supported, or an HMAC key that no TPM made: "
                    "nothing tells how long it is",
                    source);
    case CKR_OBJECT_HANDLE_INVALID:
        return fail(EXIT_NOT_FOUND, "'tpm2_getcap handles-persistent' lists what there is.",
                    "there is no such key: %s", source);
    default:
        return check(rv, "take in %s", source);
    }
}

static CK_RV adopt(struct cli *cli, const struct key_plan *plan, LATCHKEY_TPM_KEY *key,
                   const char *source, struct handles *made)
{
    struct template t = {0};
    CK_OBJECT_HANDLE handle = 0;
    if (plan->kind->cls == CKO_SECRET_KEY)
        key_plan_secret(plan, &t);
    else
        key_plan_private(plan, &t);
    CK_RV rv = cli->module.admin->KeyAdopt(cli->token.session, key, t.attributes, t.n, &handle);
    TRY(told(rv, source));
    return handles_add(made, handle);
}

CK_RV adopt_key(struct cli *cli, const struct key_plan *plan, LATCHKEY_TPM_KEY *key,
                const char *source, struct handles *made)
{
    CLEANUP(public_key_free) EVP_PKEY *public = NULL;
    CK_OBJECT_HANDLE handle = 0;
    TRY(adopt(cli, plan, key, source, made));
    if (plan->kind->cls == CKO_SECRET_KEY)
        return CKR_OK;
    TRY(public_key_read(cli, made->h[made->n - 1], &public));
    if (!public)
        return fail(EXIT_FAILED, NULL, "the module does not tell the public half of %s", source);
    TRY(key_store_public(cli, plan, public, &handle));
    return handles_add(made, handle);
}

/* ---- `latchkey key import` ------------------------------------------------------------------ */

/* One that came in before stands before it. */
static CK_RV refuse_twice(struct cli *cli, const struct handles *made)
{
    CLEANUP(public_key_free) EVP_PKEY *public = NULL;
    CLEANUP(object_free) struct object first = {0};
    if (cli->option[OPT_FORCE] || made->n < 2)
        return CKR_OK;
    TRY(public_key_read(cli, made->h[0], &public));
    TRY(public_key_find(cli, CKO_PRIVATE_KEY, public, &first));
    return first.handle == made->h[0]
               ? CKR_OK
               : fail(EXIT_AMBIGUOUS, "--force imports it once more under the new name.",
                      "this key is on the token already, as '%s'", (char *)first.label.p);
}

static CK_RV store(struct cli *cli, struct key_plan *plan, LATCHKEY_TPM_KEY *key,
                   const char *source)
{
    CLEANUP(handles_free) struct handles made = {0};
    CLEANUP(object_free) struct object object = {0};
    TRY(key_plan_check_free(cli, plan));
    CK_RV rv = adopt_key(cli, plan, key, source, &made);
    if (rv == CKR_OK)
        rv = refuse_twice(cli, &made);
    for (size_t i = made.n; rv != CKR_OK && i-- > 0;)
        cli->module.p11->C_DestroyObject(cli->token.session, made.h[i]);
    TRY(rv);
    TRY(object_read(cli, made.h[0], &object));
    return key_report(cli, &object);
}

static CK_RV check_admin(const struct cli *cli)
{
    return cli->module.admin && cli->module.admin->version.minor >= 1
               ? CKR_OK
               : fail(EXIT_NO_MODULE, NULL,
                      "keys of the TPM need latchkey's own module, of 0.2 or "
                      "newer");
}

static CK_RV check_length(const struct secret *password)
{
    return password->n <= 32 ? CKR_OK
                             : fail(EXIT_USAGE, NULL, "a TPM's passwords have at most 32 bytes");
}

CK_RV adopt_password_file(const char *path, struct secret *ret)
{
    struct stat st;
    if (stat(path, &st) == 0 && st.st_size == 0 && !S_ISFIFO(st.st_mode))
        return CKR_OK;
    TRY(pin_from_file(path, "password", ret));
    return check_length(ret);
}

/* tpm2_encodeobject calls every key one with a password: an empty one may be meant. */
static CK_RV ask_password(struct cli *cli, const char *source, struct secret *ret)
{
    char prompt[400];
    if (cli->option[OPT_PASSWORD_FILE])
        return adopt_password_file(cli->option[OPT_PASSWORD_FILE], ret);
    snprintf(prompt, sizeof(prompt), "Password of %.300s (Enter for none): ", source);
    TRY(terminal_line(prompt, false, "--password-file", ret));
    return check_length(ret);
}

static CK_RV plan_for(struct cli *cli, const struct key_kind *kind, const char *source,
                      struct key_plan *ret)
{
    if (!kind)
        return told(CKR_KEY_FUNCTION_NOT_PERMITTED, source);
    if (cli->option[OPT_EXTRACTABLE])
        return fail(EXIT_USAGE, NULL, "%s is in the TPM: it cannot be made extractable", source);
    ret->kind = kind;
    TRY(key_plan_names(cli, "", ret));
    return key_plan_usage(cli, ret);
}

CK_RV adopt_file(struct cli *cli, struct bytes content, const char *path)
{
    CLEANUP(tss2_key_free) struct tss2_key file = {0};
    CLEANUP(secret_free) struct secret password = {0};
    struct key_plan plan = {0};
    char source[300];
    snprintf(source, sizeof(source), "the key in %.256s", path);
    TRY(tss2_read(content, path, &file));
    TRY(plan_for(cli, adopt_kind(buf_bytes(&file.public)), source, &plan));
    if (!file.empty_auth || cli->option[OPT_PASSWORD_FILE])
        TRY(ask_password(cli, source, &password));
    TRY(token_open(cli, NULL, OPEN_WRITE | OPEN_LOGIN));
    TRY(check_admin(cli));
    LATCHKEY_TPM_KEY key = {.parent = file.parent,
                            .pPublic = file.public.p,
                            .ulPublicLen = file.public.n,
                            .pPrivate = file.private.p,
                            .ulPrivateLen = file.private.n,
                            .pAuth = password.p,
                            .ulAuthLen = password.n};
    return store(cli, &plan, &key, source);
}

/* Its type is known once the TPM was asked, so --type has to say it where it is not EC. */
CK_RV adopt_persistent(struct cli *cli)
{
    CLEANUP(secret_free) struct secret password = {0};
    struct key_plan plan = {0};
    const struct key_kind *kind = key_kind_named("ec");
    char source[64], *end;
    const char *text = cli->option[OPT_HANDLE];
    unsigned long handle = strtoul(text, &end, 0);
    if (*end || handle >> 24 != 0x81)
        return fail(EXIT_USAGE, "Persistent handles look like 0x81000005.",
                    "'%s' is no handle of a persistent key", text);
    snprintf(source, sizeof(source), "the key at 0x%08lx", handle);
    if (cli->option[OPT_TYPE])
        TRY(key_kind_option(cli, &kind));
    TRY(plan_for(cli, kind, source, &plan));
    if (cli->option[OPT_PASSWORD_FILE])
        TRY(ask_password(cli, source, &password));
    TRY(token_open(cli, NULL, OPEN_WRITE | OPEN_LOGIN));
    TRY(check_admin(cli));
    LATCHKEY_TPM_KEY key = {.handle = handle, .pAuth = password.p, .ulAuthLen = password.n};
    return store(cli, &plan, &key, source);
}
