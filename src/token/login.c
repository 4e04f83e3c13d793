#include "internal.h"

/* PINs, the token secret S, and who is logged in. */

/* ---- what is derived from S ---------------------------------------------------------------- */

void token_keys_free(struct token_keys *k)
{
    secret_free(&k->s);
    secret_free(&k->seal);
    secret_free(&k->search);
    secret_free(&k->mac);
}

static CK_RV derive(const struct store_token *row, struct bytes s, const char *info,
                    struct secret *ret)
{
    TRY(secret_new(ret, 32));
    return soft_hkdf(HASH_SHA256, s, BYTES_OF(row->uid), BYTES_STR(info), ret->p, ret->n);
}

static CK_RV derive_all(const struct store_token *row, struct token_keys *k)
{
    struct bytes s = secret_bytes(&k->s);
    TRY(derive(row, s, "latchkey object sealing", &k->seal));
    TRY(derive(row, s, "latchkey object search", &k->search));
    return derive(row, s, "latchkey object authentication", &k->mac);
}

CK_RV token_keys_derive(const struct store_token *row, struct secret *s, struct token_keys *ret)
{
    struct token_keys k = {.s = *s};
    *s = (struct secret){0};
    CK_RV rv = derive_all(row, &k);
    if (rv != CKR_OK) {
        token_keys_free(&k);
        return rv;
    }
    *ret = k;
    return CKR_OK;
}

CK_RV token_check_value(const struct store_token *row, struct bytes s, struct buf *ret)
{
    CLEANUP(secret_free) struct secret check = {0};
    TRY(derive(row, s, "latchkey token check", &check));
    return buf_set(ret, secret_bytes(&check));
}

/* 48 bytes: the private scalar of the policy's signed branch, with no bias worth naming. */
CK_RV token_reset_seed(struct bytes s, uint8_t *ret48)
{
    return soft_hkdf(HASH_SHA256, s, NO_BYTES, BYTES_STR("latchkey PIN reset"), ret48, 48);
}

CK_RV token_pin_auth(const struct store_token *row, bool so, struct bytes pin, struct secret *ret)
{
    uint8_t salt[17];
    /* the store says the number, and who writes the store must not have it near nothing, nor have a
     * login take hours */
    if (row->pin_rounds < CONFIG_PIN_ROUNDS_MIN || row->pin_rounds > CONFIG_PIN_ROUNDS_MAX)
        return error_log(CKR_DEVICE_ERROR,
                         "the store's PIN rounds, %u, are none that latchkey sets",
                         row->pin_rounds);
    memcpy(salt, row->uid, 16);
    salt[16] = so ? 'S' : 'U';
    TRY(secret_new(ret, TPM_AUTH));
    return soft_pbkdf2(HASH_SHA256, pin, BYTES_OF(salt), row->pin_rounds, ret->p, ret->n);
}

/* ---- the seats ----------------------------------------------------------------------------- */

struct tpm_parent token_parent(const struct store_token *row)
{
    return (struct tpm_parent){row->parent, buf_bytes(&row->parent_name),
                               buf_bytes(&row->parent_public)};
}

struct tpm_seat token_seat(const struct store_token *row, bool so)
{
    const struct store_seat *seat = so ? &row->so : &row->user;
    return (struct tpm_seat){seat->nv, buf_bytes(&seat->nv_name), buf_bytes(&seat->pub),
                             buf_bytes(&seat->priv)};
}

struct tpm_limit token_limit(const struct store_token *row)
{
    struct tpm_limit limit = {.tries = row->limit.tries};
    for (int i = 0; i < TPM_LIMIT_INDICES; i++)
        limit.index[i] = (struct tpm_index){row->limit.nv[i], buf_bytes(&row->limit.name[i])};
    return limit;
}

static bool limited(const struct token *t, bool so)
{
    return !so && t->row.limit.tries != 0;
}

/* A right PIN clears up after a change of the PIN that was cut off. What hinders it is logged, and
 * does not hinder the login. */
static void settle(struct token *t, struct bytes auth, struct bytes s)
{
    const struct tpm_parent parent = token_parent(&t->row);
    const struct tpm_seat seat = token_seat(&t->row, false);
    const struct tpm_limit limit = token_limit(&t->row);
    uint8_t seed[48];
    if (token_reset_seed(s, seed) == CKR_OK)
        tpm_limit_settle(t->lib->tpm, &parent, &seat, &limit, auth, BYTES_OF(seed));
    secret_wipe(seed, sizeof(seed));
}

static CK_RV read_seat(struct token *t, bool so, struct bytes pin, struct secret *ret)
{
    CLEANUP(secret_free) struct secret auth = {0}, s = {0};
    CLEANUP(buf_free) struct buf check = {0};
    const struct tpm_parent parent = token_parent(&t->row);
    const struct tpm_seat seat = token_seat(&t->row, so);
    const struct tpm_limit limit = token_limit(&t->row);
    bool unsettled = false;
    TRY(token_pin_auth(&t->row, so, pin, &auth));
    TRY(limited(t, so) ? tpm_limit_open(t->lib->tpm, &parent, &seat, &limit, secret_bytes(&auth),
                                        &unsettled, &s)
                       : tpm_seat_open(t->lib->tpm, &parent, &seat, secret_bytes(&auth), &s));
    TRY(token_check_value(&t->row, secret_bytes(&s), &check));
    if (!secret_equal(buf_bytes(&check), buf_bytes(&t->row.check)))
        return error_log(CKR_TOKEN_NOT_RECOGNIZED, "the TPM's token secret is not the store's");
    if (unsettled)
        settle(t, secret_bytes(&auth), secret_bytes(&s));
    *ret = s;
    s = (struct secret){0};
    return CKR_OK;
}

/* Under token.state (write). A TPM that does not know the token answers CKR_DEVICE_ERROR here and
 * CKR_TOKEN_NOT_RECOGNIZED from then on in C_GetTokenInfo and C_OpenSession. */
CK_RV token_open_seat(struct token *t, bool so, struct bytes pin, struct secret *ret)
{
    uint64_t generation;
    /* no PIN of the token can be that long or short: no try is burnt for it */
    if (pin.n < PIN_MIN || pin.n > PIN_MAX)
        return CKR_PIN_INCORRECT;
    CK_RV rv = read_seat(t, so, pin, ret);
    if (rv == CKR_OK)
        t->foreign = false;
    if (rv != CKR_TOKEN_NOT_RECOGNIZED)
        return rv;
    /* another process may have re-initialised it between our reading the row and the index */
    if (store_generation(t->lib->store, &generation) == CKR_OK && generation != t->seen)
        return CKR_DEVICE_REMOVED;
    t->foreign = true;
    return CKR_DEVICE_ERROR;
}

/* ---- login and logout ---------------------------------------------------------------------- */

void token_drop_login(struct token *t)
{
    if (t->login != LOGIN_NONE) {
        t->login = LOGIN_NONE;
        t->epoch++;
        token_keys_free(&t->keys);
    }
    token_objects_forget(t, true);
}

static CK_RV check_user(const struct session *s, enum login wanted)
{
    const struct token *t = s->token;
    if (t->login == wanted)
        return CKR_USER_ALREADY_LOGGED_IN;
    if (t->login != LOGIN_NONE)
        return CKR_USER_ANOTHER_ALREADY_LOGGED_IN;
    if (wanted == LOGIN_USER)
        return t->row.user_pin_set ? CKR_OK : CKR_USER_PIN_NOT_INITIALIZED;
    pthread_mutex_lock(&t->lib->registry);
    bool read_only = t->sessions != t->rw_sessions;
    pthread_mutex_unlock(&t->lib->registry);
    return read_only ? CKR_SESSION_READ_ONLY_EXISTS : CKR_OK;
}

static CK_RV log_in(struct session *s, enum login wanted, struct bytes pin)
{
    struct token *t = s->token;
    struct token_keys keys;
    CLEANUP(secret_free) struct secret secret = {0};
    TOKEN_WRITE(t);
    if (session_closed(s)) /* the last one's closing logged out, or will */
        return CKR_SESSION_CLOSED;
    TRY(check_user(s, wanted));
    TRY(token_open_seat(t, wanted == LOGIN_SO, pin, &secret));
    TRY(token_keys_derive(&t->row, &secret, &keys));
    token_objects_forget(t, true); /* what was read without login was read without its MACs */
    t->keys = keys;
    t->login = wanted;
    t->epoch++;
    t->foreign = false;
    return CKR_OK;
}

CK_RV session_login(struct session *s, CK_USER_TYPE user, struct bytes pin)
{
    switch (user) {
    case CKU_USER:
        return log_in(s, LOGIN_USER, pin);
    case CKU_SO:
        return log_in(s, LOGIN_SO, pin);
    case CKU_CONTEXT_SPECIFIC:
        return op_context_login(s, pin);
    default:
        return CKR_USER_TYPE_INVALID;
    }
}

CK_RV session_logout(struct session *s)
{
    struct token *t = s->token;
    TRY(token_enter_logout(t));
    CLEANUP(token_leave) struct token *entered __attribute__((unused)) = t;
    if (t->login == LOGIN_NONE)
        return CKR_USER_NOT_LOGGED_IN;
    token_drop_login(t);
    return CKR_OK;
}

/* ---- other PINs ---------------------------------------------------------------------------- */

static CK_RV pin_allowed(struct bytes pin)
{
    return pin.n >= PIN_MIN && pin.n <= PIN_MAX ? CKR_OK : CKR_PIN_LEN_RANGE;
}

/* A sealed seat is sealed anew; the store's row is what makes the old PIN forgotten. */
static CK_RV reseal(struct token *t, bool so, struct bytes auth, struct bytes s)
{
    const struct tpm_parent parent = token_parent(&t->row);
    CLEANUP(tpm_seat_free) struct tpm_seat_owned made = {0};
    TRY(token_use_rv(
        tpm_seat_seal(t->lib->tpm, &parent, !so && t->row.unattended, auth, s, &made)));
    /* lent, not copied */
    const struct store_seat seat = {.pub = made.pub, .priv = made.priv};
    return store_token_set_seat(t->lib->store, t->row.id, so, &seat);
}

/* Two authorizations change, but only the seat's counts. Which gate is the one the old PIN knows.
 */
static CK_RV set_limited(struct token *t, struct bytes old_auth, struct bytes s, struct bytes auth)
{
    const struct tpm_parent parent = token_parent(&t->row);
    const struct tpm_seat seat = token_seat(&t->row, false);
    const struct tpm_limit limit = token_limit(&t->row);
    uint8_t seed[48];
    if (old_auth.n)
        settle(t, old_auth, s);
    TRY(token_reset_seed(s, seed));
    CK_RV rv = tpm_limit_change(t->lib->tpm, &parent, &seat, &limit, BYTES_OF(seed), auth);
    secret_wipe(seed, sizeof(seed));
    return rv == CKR_PIN_INCORRECT ? CKR_DEVICE_ERROR : token_use_rv(rv);
}

/* One NV_ChangeAuth: there is no moment at which both PINs or neither open the token. old empty: by
 * the signed branch. */
static CK_RV set_auth(struct token *t, bool so, struct bytes old, struct bytes s, struct bytes pin)
{
    CLEANUP(secret_free) struct secret auth = {0}, old_auth = {0};
    const struct tpm_parent parent = token_parent(&t->row);
    const struct tpm_seat seat = token_seat(&t->row, so);
    uint8_t seed[48];
    TRY(token_pin_auth(&t->row, so, pin, &auth));
    if (!seat.nv)
        return reseal(t, so, secret_bytes(&auth), s);
    if (old.n)
        TRY(token_pin_auth(&t->row, so, old, &old_auth));
    if (limited(t, so))
        return set_limited(t, secret_bytes(&old_auth), s, secret_bytes(&auth));
    TRY(token_reset_seed(s, seed));
    CK_RV rv =
        old.n ? tpm_seat_change(t->lib->tpm, &parent, &seat, secret_bytes(&old_auth),
                                BYTES_OF(seed), secret_bytes(&auth))
              : tpm_seat_reset(t->lib->tpm, &parent, &seat, BYTES_OF(seed), secret_bytes(&auth));
    secret_wipe(seed, sizeof(seed));
    return token_use_rv(rv);
}

CK_RV session_init_pin(struct session *s, struct bytes pin)
{
    struct token *t = s->token;
    TOKEN_WRITE(t);
    if (session_state(s) != CKS_RW_SO_FUNCTIONS)
        return CKR_USER_NOT_LOGGED_IN;
    TRY(pin_allowed(pin));
    TRY(set_auth(t, false, NO_BYTES, secret_bytes(&t->keys.s), pin));
    /* a hint for C_GetTokenInfo, written after the fact: a kill in between only loses the hint, and
     * C_InitPIN was not answered then */
    return t->row.user_pin_set ? CKR_OK : store_token_set_user_pin(t->lib->store, t->row.id, true);
}

CK_RV session_set_pin(struct session *s, struct bytes old_pin, struct bytes new_pin)
{
    struct token *t = s->token;
    CLEANUP(secret_free) struct secret secret = {0};
    TOKEN_WRITE(t);
    if (!s->rw)
        return CKR_SESSION_READ_ONLY;
    bool so = t->login == LOGIN_SO;
    if (!so && !t->row.user_pin_set)
        return CKR_USER_PIN_NOT_INITIALIZED;
    TRY(pin_allowed(new_pin));
    TRY(token_open_seat(t, so, old_pin, &secret));
    return set_auth(t, so, old_pin, secret_bytes(&secret), new_pin);
}
