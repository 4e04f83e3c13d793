#include "release.h"

#include <stdio.h>
#include "adopt.h"
#include "file.h"
#include "module.h"
#include "object.h"
#include "pin.h"
#include "tss2_file.h"
#include "uri.h"

/* The codes of KeyRelease mean something of their own. */
static CK_RV told(CK_RV rv, const char *name)
{
    switch (rv) {
    case CKR_KEY_NOT_WRAPPABLE:
        return fail(EXIT_FAILED, "If it is extractable, 'latchkey key wrap' takes it out.",
                    "'%s' is not in the TPM, but sealed by it and used in software", name);
    case CKR_KEY_UNEXTRACTABLE:
        return fail(EXIT_FAILED, NULL,
                    "'%s' stays: it wants the PIN at each use, a trusted key to be wrapped by, or "
                    "certain mechanisms, and outside of the token nothing would hold it to that",
                    name);
    case CKR_KEY_FUNCTION_NOT_PERMITTED:
        return fail(EXIT_FAILED, NULL,
                    "'%s' hangs on a primary key that other programs do not make by themselves",
                    name);
    default:
        return check(rv, "export the key '%s'", name);
    }
}

static CK_RV new_password(struct cli *cli, struct secret *ret)
{
    CLEANUP(secret_free) struct secret again = {0};
    const char *file = cli->option[OPT_PASSWORD_FILE], *option = "--password-file";
    if (file)
        return adopt_password_file(file, ret);
    TRY(terminal_line("Password for the file: ", false, option, ret));
    TRY(terminal_line("Password for the file, once more: ", false, option, &again));
    if (ret->n > 32)
        return fail(EXIT_USAGE, NULL, "a TPM's passwords have at most 32 bytes");
    return secret_equal(secret_bytes(ret), secret_bytes(&again))
               ? CKR_OK
               : fail(EXIT_USAGE, "Nothing was written. Try again.",
                      "the two passwords are not the same");
}

/* TPM 2.0 part 2, 8.3: TPMA_OBJECT noDA, behind the TPM2B's size, type and nameAlg. */
static bool outside_lockout(struct bytes public)
{
    return public.n >= 10 && (public.p[8] & 0x04);
}

/* Once it is too late to refuse, one has to know. */
static void warn(const struct tss2_key *file)
{
    fputs(
        "The key works on this machine with the file alone, without the token's PIN, also when it "
        "is\ndeleted here. ",
        stderr);
    if (file->empty_auth)
        fputs("It has no password: whoever reads the file can use it.\n", stderr);
    else if (outside_lockout(buf_bytes(&file->public)))
        fputs("The TPM does not count wrong passwords for it: a short one can be guessed.\n",
              stderr);
    else
        fputs("A wrong password counts as a wrong PIN.\n", stderr);
}

static CK_RV release(struct cli *cli, const struct object *key, const struct secret *password,
                     struct tss2_key *ret)
{
    uint8_t *public, *private;
    TRY(buf_extend(&ret->public, LATCHKEY_BLOB_MAX, &public));
    TRY(buf_extend(&ret->private, LATCHKEY_BLOB_MAX, &private));
    LATCHKEY_TPM_KEY out = {.pPublic = public,
                            .ulPublicLen = LATCHKEY_BLOB_MAX,
                            .pPrivate = private,
                            .ulPrivateLen = LATCHKEY_BLOB_MAX,
                            .pAuth = password->p,
                            .ulAuthLen = password->n};
    TRY(told(cli->module.admin->KeyRelease(cli->token.session, key->handle, &out), cli->args[0]));
    ret->parent = out.parent;
    ret->empty_auth = password->n == 0;
    ret->public.n = out.ulPublicLen;
    ret->private.n = out.ulPrivateLen;
    return CKR_OK;
}

static CK_RV find_private(struct cli *cli, P11KitUri *uri, struct key_pair *ret)
{
    TRY(token_open(cli, uri, OPEN_LOGIN));
    if (!cli->module.admin || cli->module.admin->version.minor < 2)
        return fail(EXIT_NO_MODULE, NULL, "--tss2 needs latchkey's own module, of 0.2 or newer");
    TRY(key_find(cli, uri, cli->args[0], ret));
    return ret->private.handle
               ? CKR_OK
               : fail(EXIT_FAILED, NULL, "'%s' is a public key: its private half is not here",
                      cli->args[0]);
}

CK_RV key_release(struct cli *cli)
{
    CLEANUP(uri_free) P11KitUri *uri = NULL;
    CLEANUP(key_pair_free) struct key_pair pair = {0};
    CLEANUP(secret_free) struct secret password = {0};
    CLEANUP(tss2_key_free) struct tss2_key file = {0};
    CLEANUP(buf_free) struct buf text = {0};
    if (cli->option[OPT_FORMAT])
        return fail(EXIT_USAGE, NULL, "--tss2 has one form only: leave --format out");
    TRY(uri_parse(cli->args[0], URI_OBJECT, &uri));
    TRY(find_private(cli, uri, &pair));
    TRY(new_password(cli, &password));
    TRY(release(cli, &pair.private, &password, &file));
    TRY(tss2_write(&file, &text));
    TRY(file_put_private(cli->option[OPT_OUT], buf_bytes(&text)));
    warn(&file);
    return CKR_OK;
}
