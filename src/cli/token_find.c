/* Which token is meant, and being logged in to it. */
#include "module.h"

#include <stdio.h>
#include <string.h>
#include "pin.h"
#include "uri.h"

bool token_label_taken(struct cli *cli, const char *label)
{
    CLEANUP(free_slots) CK_SLOT_ID *ids = NULL;
    CK_ULONG n = 0;
    if (module_slots(cli, true, &ids, &n) != CKR_OK)
        return false;
    for (CK_ULONG i = 0; i < n; i++) {
        CK_TOKEN_INFO info;
        if (cli->module.p11->C_GetTokenInfo(ids[i], &info) == CKR_OK &&
            (info.flags & CKF_TOKEN_INITIALIZED) && !strcmp(PADDED(info.label), label))
            return true;
    }
    return false;
}

/* A token that is not recognised has no info; only its slot's number can name it. */
static bool fits(P11KitUri *uri, CK_SLOT_ID slot, const CK_TOKEN_INFO *info)
{
    if (!uri)
        return info;
    CK_SLOT_ID wanted = p11_kit_uri_get_slot_id(uri);
    if (wanted != (CK_SLOT_ID)-1 && wanted != slot)
        return false;
    return info ? p11_kit_uri_match_token_info(uri, info) : wanted == slot;
}

static CK_RV search(struct cli *cli, P11KitUri *first, P11KitUri *second, CK_ULONG *ret_hits)
{
    CLEANUP(free_slots) CK_SLOT_ID *ids = NULL;
    CK_ULONG n = 0, hits = 0;
    TRY(module_slots(cli, true, &ids, &n));
    for (CK_ULONG i = 0; i < n; i++) {
        CK_TOKEN_INFO info = {0};
        CK_RV rv = cli->module.p11->C_GetTokenInfo(ids[i], &info);
        if (rv != CKR_OK && rv != CKR_TOKEN_NOT_RECOGNIZED)
            TRY(check(rv, "look at the token in slot %lu", ids[i]));
        if (rv == CKR_OK && !(info.flags & CKF_TOKEN_INITIALIZED))
            continue;
        const CK_TOKEN_INFO *known = rv == CKR_OK ? &info : NULL;
        if (!fits(first, ids[i], known) || (second && !fits(second, ids[i], known)))
            continue;
        hits++;
        cli->token.slot = ids[i];
        cli->token.info = info;
    }
    *ret_hits = hits;
    return CKR_OK;
}

static CK_RV keep_pin_source(struct cli *cli, P11KitUri *uri)
{
    const char *source = uri ? p11_kit_uri_get_pin_source(uri) : NULL;
    if (!source || cli->token.pin_source)
        return CKR_OK;
    cli->token.pin_source = strdup(source);
    return cli->token.pin_source ? CKR_OK : CKR_HOST_MEMORY;
}

CK_RV token_find(struct cli *cli, const char *name, P11KitUri *uri)
{
    CLEANUP(uri_free) P11KitUri *named = NULL;
    const char *wanted = name ? name : cli->option[OPT_TOKEN];
    CK_ULONG hits = 0;
    if (name && cli->option[OPT_TOKEN])
        return fail(EXIT_USAGE, NULL, "the token is named twice: '%s' and --token", name);
    if (wanted)
        TRY(uri_parse(wanted, URI_TOKEN, &named));
    TRY(search(cli, named ? named : uri, named ? uri : NULL, &hits));
    TRY(keep_pin_source(cli, named));
    TRY(keep_pin_source(cli, uri));
    if (hits == 1)
        return CKR_OK;
    if (hits > 1)
        return fail(EXIT_AMBIGUOUS, "'latchkey token list' shows them; name one with --token.",
                    wanted ? "%lu tokens fit '%s'" : "there are %lu tokens", hits, wanted);
    if (wanted || uri)
        return fail(EXIT_NOT_FOUND, "'latchkey token list' shows the tokens there are.",
                    "there is no token %s%s%s", wanted ? "'" : "that fits the URI",
                    wanted ? wanted : "", wanted ? "'" : "");
    return fail(EXIT_NOT_FOUND, "Make one: latchkey token create", "there is no token yet");
}

CK_RV token_session(struct cli *cli, bool write)
{
    CK_FLAGS flags = CKF_SERIAL_SESSION | (write ? CKF_RW_SESSION : 0);
    CK_RV rv =
        cli->module.p11->C_OpenSession(cli->token.slot, flags, NULL, NULL, &cli->token.session);
    return check(rv, "open the token");
}

static const char *tries_left(const CK_TOKEN_INFO *info, CK_USER_TYPE user)
{
    static const struct {
        CK_FLAGS user, so;
        const char *text;
    } rows[] = {
        {CKF_USER_PIN_LOCKED, CKF_SO_PIN_LOCKED, "That was the last try: the TPM is in lockout."},
        {CKF_USER_PIN_FINAL_TRY, CKF_SO_PIN_FINAL_TRY, "One try is left before the lockout."},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        if (info->flags & (user == CKU_SO ? rows[i].so : rows[i].user))
            return rows[i].text;
    return NULL;
}

/* A token with a limit of its own: what that says of the wrong PIN, or of the right one that came
 * too late. CKR_OK: nothing. */
static CK_RV check_tries(struct cli *cli, CK_RV rv, const char *doing)
{
    CK_ULONG max, left;
    char next[128];
    if (module_pin_tries(cli, &max, &left) != CKR_OK || !max || left == CK_UNAVAILABLE_INFORMATION)
        return CKR_OK;
    if (left == 0)
        snprintf(next, sizeof(next),
                 "No try is left: the security officer sets a new PIN, latchkey token reset-pin");
    else
        snprintf(next, sizeof(next), "%lu of the token's %lu tries %s left.", left, max,
                 left == 1 ? "is" : "are");
    if (rv == CKR_PIN_INCORRECT)
        return fail(EXIT_PIN_WRONG, next, "cannot %s: the PIN is wrong (CKR_PIN_INCORRECT)", doing);
    if (left == 0)
        return fail(EXIT_PIN_IS_LOCKED, next,
                    "cannot %s: the token's limit of %lu wrong PINs is reached (CKR_PIN_LOCKED)",
                    doing, max);
    return CKR_OK;
}

CK_RV check_pin(struct cli *cli, CK_RV rv, CK_USER_TYPE user, const char *doing)
{
    CK_TOKEN_INFO info;
    if (user != CKU_SO && (rv == CKR_PIN_INCORRECT || rv == CKR_PIN_LOCKED))
        TRY(check_tries(cli, rv, doing));
    TRY(rv == CKR_PIN_INCORRECT ? CKR_OK : check(rv, "%s", doing));
    if (rv == CKR_OK)
        return CKR_OK;
    const char *left = NULL;
    if (cli->module.p11->C_GetTokenInfo(cli->token.slot, &info) == CKR_OK)
        left = tries_left(&info, user);
    return left ? fail(EXIT_PIN_WRONG, left, "cannot %s: the PIN is wrong (CKR_PIN_INCORRECT)",
                       doing)
                : check(rv, "%s", doing);
}

CK_RV token_login(struct cli *cli, CK_USER_TYPE user)
{
    struct secret *pin = &cli->token.pin;
    TRY(pin_read(cli, user == CKU_SO ? PIN_SO : PIN_USER, false, pin));
    CK_RV rv = cli->module.p11->C_Login(cli->token.session, user, pin->p, pin->n);
    return check_pin(cli, rv, user, user == CKU_SO ? "log in as security officer" : "log in");
}

CK_RV token_login_again(struct cli *cli)
{
    struct secret *pin = &cli->token.pin;
    CK_RV rv = cli->module.p11->C_Login(cli->token.session, CKU_CONTEXT_SPECIFIC, pin->p, pin->n);
    return check_pin(cli, rv, CKU_USER, "log in once more for this key");
}

CK_RV token_open(struct cli *cli, P11KitUri *uri, unsigned flags)
{
    TRY(module_open(cli, NULL));
    TRY(token_find(cli, NULL, uri));
    TRY(token_session(cli, flags & OPEN_WRITE));
    return flags & OPEN_LOGIN ? token_login(cli, CKU_USER) : CKR_OK;
}
