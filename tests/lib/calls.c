#include "calls.h"

#include <stdio.h>

#include "rules.h"

#include "../../src/base/names.h"

static CK_FUNCTION_LIST_3_2 *f;

/* ---- what must hold ------------------------------------------------------------------------ */

static void fault(struct caller *c, const char *what, CK_RV rv)
{
    c->faults++;
    if (c->faults <= FAULTS_TOLD)
        print_error("%s: %s (%s) [LATCHKEY_RANDOM_SEED=%llu, call %lu]\n", c->name, what,
                    name_rv(rv), (unsigned long long)c->seed, c->number);
}

/* The codes of section 5 that come from the arguments; those of a broken device are never right
 * here. USER_NOT_LOGGED_IN, KEY_HANDLE_INVALID go with GOES_ON: an operation whose key went away
 * says why. */
enum {
    NEW = 1 << 0,
    PARAM = 1 << 1,
    INIT = 1 << 2,
    OUT = 1 << 3,
    GOES_ON = 1 << 4,
    DATA = 1 << 5,
    CIPHERTEXT = 1 << 6,
    SIGNATURE = 1 << 7,
    OBJECT = 1 << 8,
    CHANGE = 1 << 9,
    READ = 1 << 10,
    WRAP = 1 << 11,
    UNWRAP = 1 << 12,
    DERIVE = 1 << 13,
    STATE = 1 << 14,
    SLOT = 1 << 15,
    LOGIN = 1 << 16,
    AEAD = 1 << 17,
    NO_SESSION = 1 << 18,
    DIGEST_KEY = 1 << 19,
    PARALLEL = 1 << 20,
    NOT_SUPPORTED = 1 << 21,
    KEY_SIZE = 1 << 22,
    EVENT = 1 << 23,
    TYPE = 1 << 24,
    COUNTER = 1 << 25,
};

static const struct {
    unsigned group;
    CK_RV rv;
} codes[] = {
    {NEW | CHANGE, CKR_ATTRIBUTE_READ_ONLY},
    {NEW | CHANGE | READ, CKR_ATTRIBUTE_TYPE_INVALID},
    {NEW | CHANGE, CKR_ATTRIBUTE_VALUE_INVALID},
    {NEW | CHANGE, CKR_TEMPLATE_INCONSISTENT},
    {NEW, CKR_TEMPLATE_INCOMPLETE},
    {NEW, CKR_CURVE_NOT_SUPPORTED},
    {NEW, CKR_DOMAIN_PARAMS_INVALID},
    {NEW | CHANGE, CKR_SESSION_READ_ONLY},
    {NEW | CHANGE | INIT | GOES_ON | WRAP | LOGIN, CKR_USER_NOT_LOGGED_IN},
    {TYPE | INIT | WRAP | UNWRAP, CKR_MECHANISM_INVALID},
    {PARAM | INIT | WRAP | UNWRAP, CKR_MECHANISM_PARAM_INVALID},
    {INIT, CKR_OPERATION_ACTIVE},
    {INIT | WRAP | UNWRAP | DERIVE, CKR_KEY_FUNCTION_NOT_PERMITTED},
    {INIT | WRAP | DERIVE | GOES_ON | DIGEST_KEY, CKR_KEY_HANDLE_INVALID},
    {INIT | WRAP | DERIVE | KEY_SIZE | DIGEST_KEY, CKR_KEY_SIZE_RANGE},
    {INIT | DERIVE, CKR_KEY_TYPE_INCONSISTENT},
    {INIT | GOES_ON, CKR_OPERATION_NOT_INITIALIZED},
    {GOES_ON, CKR_OPERATION_ACTIVE},
    {OUT | READ | WRAP, CKR_BUFFER_TOO_SMALL},
    {DATA, CKR_DATA_INVALID},
    {DATA, CKR_DATA_LEN_RANGE},
    {CIPHERTEXT, CKR_ENCRYPTED_DATA_INVALID},
    {CIPHERTEXT, CKR_ENCRYPTED_DATA_LEN_RANGE},
    {SIGNATURE, CKR_SIGNATURE_INVALID},
    {SIGNATURE, CKR_SIGNATURE_LEN_RANGE},
    {OBJECT, CKR_OBJECT_HANDLE_INVALID},
    {CHANGE, CKR_ACTION_PROHIBITED},
    {READ, CKR_ATTRIBUTE_SENSITIVE},
    {WRAP, CKR_KEY_NOT_WRAPPABLE},
    {WRAP, CKR_KEY_UNEXTRACTABLE},
    {WRAP, CKR_WRAPPING_KEY_HANDLE_INVALID},
    {WRAP, CKR_WRAPPING_KEY_SIZE_RANGE},
    {WRAP, CKR_WRAPPING_KEY_TYPE_INCONSISTENT},
    {UNWRAP, CKR_UNWRAPPING_KEY_HANDLE_INVALID},
    {UNWRAP, CKR_UNWRAPPING_KEY_SIZE_RANGE},
    {UNWRAP, CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT},
    {UNWRAP, CKR_WRAPPED_KEY_INVALID},
    {UNWRAP, CKR_WRAPPED_KEY_LEN_RANGE},
    {STATE, CKR_OPERATION_NOT_INITIALIZED},
    {STATE, CKR_STATE_UNSAVEABLE},
    {STATE, CKR_SAVED_STATE_INVALID},
    {STATE, CKR_KEY_NOT_NEEDED},
    {STATE, CKR_BUFFER_TOO_SMALL},
    {SLOT, CKR_SLOT_ID_INVALID},
    {SLOT, CKR_TOKEN_NOT_PRESENT},
    {SLOT, CKR_TOKEN_NOT_RECOGNIZED},
    {SLOT, CKR_SESSION_PARALLEL_NOT_SUPPORTED},
    {SLOT, CKR_SESSION_READ_WRITE_SO_EXISTS},
    {SLOT, CKR_SESSION_EXISTS},
    {SLOT | LOGIN, CKR_PIN_INCORRECT},
    {SLOT | LOGIN, CKR_PIN_LEN_RANGE},
    {LOGIN, CKR_USER_ALREADY_LOGGED_IN},
    {LOGIN, CKR_USER_ANOTHER_ALREADY_LOGGED_IN},
    {LOGIN, CKR_SESSION_READ_ONLY_EXISTS},
    {LOGIN, CKR_SESSION_READ_ONLY},
    {LOGIN, CKR_USER_TYPE_INVALID},
    {LOGIN, CKR_OPERATION_NOT_INITIALIZED},
    {AEAD, CKR_AEAD_DECRYPT_FAILED},
    {COUNTER, CKR_TOKEN_RESOURCE_EXCEEDED},
    {COUNTER, CKR_DATA_LEN_RANGE}, /* 6.11.3: of decryption, too */
    {DIGEST_KEY, CKR_KEY_INDIGESTIBLE},
    {DIGEST_KEY, CKR_OPERATION_NOT_INITIALIZED},
    {PARALLEL, CKR_FUNCTION_NOT_PARALLEL},
    {NOT_SUPPORTED, CKR_FUNCTION_NOT_SUPPORTED},
    {EVENT, CKR_NO_EVENT},
};

static bool allowed(unsigned groups, CK_RV rv)
{
    if (rv == CKR_OK || rv == CKR_ARGUMENTS_BAD ||
        (rv == CKR_SESSION_HANDLE_INVALID && !(groups & NO_SESSION)))
        return true;
    for (size_t i = 0; i < COUNT(codes); i++)
        if (codes[i].rv == rv && (codes[i].group & groups))
            return true;
    return false;
}

static CK_RV judge(struct caller *c, unsigned groups, CK_RV rv)
{
    if (!allowed(groups, rv) && !(rv == CKR_SESSION_CLOSED && !c->alone))
        fault(c, "a code that is not this function's", rv);
    return rv;
}

/* ---- outputs ------------------------------------------------------------------------------- */

enum { FILL = 0xA5 };

struct out {
    CK_BYTE *p, *start;
    CK_ULONG room, n;
    CK_ULONG *length; /* what is given for the pointer to n */
    bool in_place;
};

/* A question, no room, too little, or enough; NULL for the length now and then. */
static struct out some_room(struct caller *c)
{
    struct out o = {.room = one_in(c, 8) ? 0 : one_in(c, 4) ? below(c, 300) : ROOM};
    o.start = room(c, o.room + GUARD);
    memset(o.start, FILL, o.room + GUARD);
    o.p = one_in(c, 8) ? NULL : o.start;
    o.n = o.room;
    return o;
}

static bool filled(const CK_BYTE *p, CK_ULONG n)
{
    for (CK_ULONG i = 0; i < n; i++)
        if (p[i] != FILL)
            return false;
    return true;
}

static CK_RV judge_out(struct caller *c, const struct out *o, unsigned groups, CK_RV rv)
{
    if (!filled(o->start + o->room, GUARD))
        fault(c, "wrote behind the buffer", rv);
    if (o->p && rv == CKR_OK && o->n > o->room)
        fault(c, "told more than there was room for", rv);
    if (rv == CKR_BUFFER_TOO_SMALL && (!o->p || o->n <= o->room))
        fault(c, "there was room enough", rv);
    if (rv == CKR_BUFFER_TOO_SMALL && !o->in_place && !filled(o->start, o->room))
        fault(c, "wrote into a buffer that was too small", rv);
    return judge(c, groups, rv);
}

/* Data for a call with that output: in a buffer of its own, or in the same. */
static const CK_BYTE *some_data(struct caller *c, struct out *o, CK_ULONG *ret_n)
{
    *ret_n = some_length(c);
    const CK_BYTE *data = noise(c, *ret_n);
    if (one_in(c, 60))
        return NULL;
    if (!o || !o->p || *ret_n > o->room || !one_in(c, 3))
        return data;
    memcpy(o->start, data, *ret_n);
    o->in_place = true;
    return o->start;
}

/* ---- handles ------------------------------------------------------------------------------- */

static CK_SESSION_HANDLE some_session(struct caller *c)
{
    return one_in(c, 60) ? (CK_SESSION_HANDLE)draw(c) >> below(c, 64) : ONE_OF(c, c->session);
}

static void judge_object(struct caller *c, CK_SESSION_HANDLE s, CK_OBJECT_HANDLE object)
{
    const char *broken = broken_rule(s, object);
    if (broken)
        fault(c, broken, CKR_OK);
}

static void add_object(struct caller *c, CK_OBJECT_HANDLE handle)
{
    judge_object(c, c->session[0], handle);
    c->object[FIXED + below(c, OBJECTS - FIXED)] = handle;
}

static const CK_OBJECT_HANDLE untouched = 0x5A5A5A5A;

/* A new object's handle: nothing of it when there is none. */
static CK_RV judge_new(struct caller *c, CK_OBJECT_HANDLE handle, unsigned groups, CK_RV rv)
{
    if (rv == CKR_OK)
        add_object(c, handle);
    else if (handle != untouched)
        fault(c, "a handle beside an error", rv);
    return judge(c, groups, rv);
}

/* ---- mechanisms ---------------------------------------------------------------------------- */

static struct {
    CK_MECHANISM_TYPE type;
    CK_FLAGS flags;
} mechanisms[256];
static CK_ULONG n_mechanisms;

void calls_learn(void)
{
    CK_MECHANISM_TYPE list[COUNT(mechanisms)];
    CK_MECHANISM_INFO info;
    f = p11_32;
    assert_non_null(f);
    n_mechanisms = COUNT(mechanisms);
    assert_ok(f->C_GetMechanismList(fx.slot, list, &n_mechanisms));
    for (CK_ULONG i = 0; i < n_mechanisms; i++) {
        assert_ok(f->C_GetMechanismInfo(fx.slot, list[i], &info));
        mechanisms[i].type = list[i];
        mechanisms[i].flags = info.flags;
    }
}

static CK_MECHANISM_TYPE some_type(struct caller *c, CK_FLAGS flag)
{
    CK_ULONG i = below(c, n_mechanisms);
    if (!one_in(c, 30))
        while (!(mechanisms[i].flags & flag))
            i = below(c, n_mechanisms);
    return one_in(c, 200) ? CKM_DES3_CBC : mechanisms[i].type;
}

static CK_MECHANISM some_mechanism(struct caller *c, CK_FLAGS flag)
{
    CK_MECHANISM m = with_parameter(c, some_type(c, flag));
    if (one_in(c, 12))
        spoil_parameter(c, &m);
    return m;
}

/* ---- slots, sessions, login ---------------------------------------------------------------- */

static CK_SLOT_ID some_slot(struct caller *c)
{
    return one_in(c, 5) ? (CK_SLOT_ID)draw(c) >> below(c, 64) : fx.slot;
}

static void get_slot_list(struct caller *c)
{
    CK_ULONG n = below(c, 4);
    CK_SLOT_ID *list = room(c, n * sizeof *list);
    judge(c, OUT | NO_SESSION,
          f->C_GetSlotList(one_in(c, 2), one_in(c, 3) ? NULL : list, one_in(c, 20) ? NULL : &n));
}

static void get_infos(struct caller *c)
{
    CK_SLOT_INFO slot;
    CK_TOKEN_INFO token;
    CK_INFO info;
    CK_SESSION_INFO session;
    CK_MECHANISM_INFO mechanism;
    CK_FLAGS flags;
    bool null = one_in(c, 20);
    judge(c, NO_SESSION, f->C_GetInfo(null ? NULL : &info));
    judge(c, SLOT | NO_SESSION, f->C_GetSlotInfo(some_slot(c), null ? NULL : &slot));
    judge(c, SLOT | NO_SESSION, f->C_GetTokenInfo(some_slot(c), null ? NULL : &token));
    judge(c, SLOT | NO_SESSION | TYPE,
          f->C_GetMechanismInfo(some_slot(c), some_type(c, ~0UL), null ? NULL : &mechanism));
    judge(c, 0, f->C_GetSessionInfo(some_session(c), null ? NULL : &session));
    judge(c, 0, f->C_GetSessionValidationFlags(some_session(c), below(c, 3), null ? NULL : &flags));
}

static void get_mechanism_list(struct caller *c)
{
    CK_ULONG n = one_in(c, 2) ? n_mechanisms : below(c, 200);
    CK_MECHANISM_TYPE *list = room(c, n * sizeof *list);
    judge(
        c, SLOT | OUT | NO_SESSION,
        f->C_GetMechanismList(some_slot(c), one_in(c, 3) ? NULL : list, one_in(c, 20) ? NULL : &n));
}

static void wait_for_slot_event(struct caller *c)
{
    CK_SLOT_ID slot;
    judge(c, EVENT | NO_SESSION,
          f->C_WaitForSlotEvent(CKF_DONT_BLOCK, one_in(c, 9) ? NULL : &slot, NULL));
}

/* No session is left open for it to succeed, and the PIN is not the token's. */
static void init_token(struct caller *c)
{
    CK_UTF8CHAR label[32];
    pad_label(label, "other");
    if (c->alone && f->C_GetSessionInfo(c->session[0], &(CK_SESSION_INFO){0}) == CKR_OK)
        judge(c, SLOT | NO_SESSION,
              f->C_InitToken(fx.slot, one_in(c, 9) ? NULL : (CK_BYTE *)"wrong one", 9,
                             one_in(c, 9) ? NULL : label));
}

static void open_some_session(struct caller *c)
{
    CK_SESSION_HANDLE handle = untouched;
    CK_FLAGS flags = (one_in(c, 30) ? 0 : CKF_SERIAL_SESSION) | (one_in(c, 4) ? 0 : CKF_RW_SESSION);
    CK_ULONG place = below(c, SESSIONS);
    CK_RV rv = judge(c, SLOT | NO_SESSION,
                     f->C_OpenSession(one_in(c, 20) ? some_slot(c) : fx.slot, flags, NULL, NULL,
                                      one_in(c, 30) ? NULL : &handle));
    if (rv == CKR_OK) {
        f->C_CloseSession(c->session[place]); /* the table has room for so many */
        c->session[place] = handle;
    } else if (handle != untouched) {
        fault(c, "a session beside an error", rv);
    }
}

static void close_session(struct caller *c)
{
    judge(c, 0,
          one_in(c, 15) && c->alone ? f->C_CloseAllSessions(fx.slot)
                                    : f->C_CloseSession(some_session(c)));
}

static void log_in_right(struct caller *c)
{
    CK_BYTE pin[] = USER_PIN;
    judge(c, LOGIN, f->C_Login(ONE_OF(c, c->session), CKU_USER, pin, sizeof pin - 1));
}

static void log_in(struct caller *c)
{
    static const CK_USER_TYPE users[] = {CKU_USER, CKU_SO, CKU_CONTEXT_SPECIFIC, 7};
    const char *pin = one_in(c, 3) ? "wrong pin" : one_in(c, 2) ? SO_PIN : USER_PIN;
    CK_USER_TYPE user = ONE_OF(c, users);
    CK_ULONG n = one_in(c, 9) ? below(c, 4) : strlen(pin);
    CK_BYTE *given = one_in(c, 15) ? NULL : keep(c, pin, n);
    if (one_in(c, 3))
        judge(c, LOGIN, f->C_LoginUser(some_session(c), user, given, n, NULL, 0));
    else
        judge(c, LOGIN, f->C_Login(some_session(c), user, given, n));
    if (user == CKU_SO)
        f->C_Logout(ONE_OF(c, c->session));
}

static void log_out(struct caller *c)
{
    judge(c, LOGIN, f->C_Logout(some_session(c)));
}

/* The PINs stay what they are. */
static void set_pin(struct caller *c)
{
    CK_ULONG n = one_in(c, 2) ? 3 : 300;
    judge(c, LOGIN, f->C_SetPIN(some_session(c), (CK_BYTE *)"wrong one", 9, noise(c, n), n));
    judge(c, LOGIN, f->C_InitPIN(some_session(c), noise(c, n), n));
}

static void cancel(struct caller *c)
{
    judge(c, 0, f->C_SessionCancel(some_session(c), (CK_FLAGS)draw(c)));
}

static void random_numbers(struct caller *c)
{
    CK_ULONG n = some_length(c);
    judge(c, 0, f->C_GenerateRandom(some_session(c), one_in(c, 9) ? NULL : room(c, n), n));
    judge(c, 0, f->C_SeedRandom(some_session(c), one_in(c, 9) ? NULL : noise(c, n), n));
}

static void legacy(struct caller *c)
{
    CK_ULONG id;
    judge(c, PARALLEL, f->C_GetFunctionStatus(some_session(c)));
    judge(c, PARALLEL, f->C_CancelFunction(some_session(c)));
    judge(c, NOT_SUPPORTED, f->C_AsyncComplete(some_session(c), NULL, NULL));
    judge(c, NOT_SUPPORTED, f->C_AsyncGetID(some_session(c), NULL, &id));
    judge(c, NOT_SUPPORTED, f->C_AsyncJoin(some_session(c), NULL, 1, NULL, 0));
}

/* ---- objects ------------------------------------------------------------------------------- */

static void create_object(struct caller *c)
{
    CK_OBJECT_HANDLE handle = untouched;
    struct template t = secret_template(c, ONE_OF(c, secret_types), true, false);
    if (one_in(c, 5)) {
        t = (struct template){.n = 0};
        add_ulong(c, &t, CKA_CLASS, CKO_DATA);
        add_common(c, &t);
        add_bytes(c, &t, CKA_VALUE, "value", 5);
        maybe_spoil(c, &t);
    }
    CK_RV rv = f->C_CreateObject(some_session(c), one_in(c, 90) ? NULL : t.a,
                                 one_in(c, 90) ? ~0UL : t.n, one_in(c, 60) ? NULL : &handle);
    judge_new(c, handle, NEW, rv);
}

static void create_private(struct caller *c)
{
    static const int curves[] = {NID_X9_62_prime256v1, NID_secp384r1, NID_secp521r1};
    CK_OBJECT_HANDLE handle = untouched;
    struct template t = {.n = 0};
    struct blob params = ec_params(ONE_OF(c, curves));
    CK_ULONG n = one_in(c, 9) ? some_length(c) : 32;
    add_ulong(c, &t, CKA_CLASS, CKO_PRIVATE_KEY);
    add_ulong(c, &t, CKA_KEY_TYPE, CKK_EC);
    add_bytes(c, &t, CKA_EC_PARAMS, params.p, params.n);
    add_bytes(c, &t, CKA_VALUE, noise(c, n), n);
    add_common(c, &t);
    add_protection(c, &t);
    add_uses(c, &t, private_uses, COUNT(private_uses));
    maybe_spoil(c, &t);
    CK_RV rv = f->C_CreateObject(some_session(c), t.a, t.n, &handle);
    judge_new(c, handle, NEW, rv);
}

static struct template some_change(struct caller *c)
{
    struct template t = {.n = 0};
    add_common(c, &t);
    if (one_in(c, 2))
        add_bool(c, &t, ONE_OF(c, all_attributes), one_in(c, 2));
    maybe_spoil(c, &t);
    return t;
}

static void copy_object(struct caller *c)
{
    CK_OBJECT_HANDLE handle = untouched;
    struct template t = some_change(c);
    CK_SESSION_HANDLE s = some_session(c);
    CK_OBJECT_HANDLE object = some_object(c);
    struct one_way before = one_way_of(s, object);
    CK_RV rv = f->C_CopyObject(s, object, t.a, t.n, &handle);
    if (rv == CKR_OK && went_back(before, one_way_of(s, handle)))
        fault(c, "a copy is less guarded than what it was made of", rv);
    judge_new(c, handle, NEW | CHANGE | OBJECT, rv);
}

static void set_attributes(struct caller *c)
{
    struct template t = some_change(c);
    CK_SESSION_HANDLE s = some_session(c);
    CK_OBJECT_HANDLE object = some_object(c);
    struct one_way before = one_way_of(s, object);
    judge(c, CHANGE | OBJECT, f->C_SetAttributeValue(s, object, t.a, t.n));
    if (went_back(before, one_way_of(s, object)))
        fault(c, "a change took a guard away", CKR_OK);
    judge_object(c, s, object);
}

static void get_attributes(struct caller *c)
{
    CK_ATTRIBUTE a[6];
    CK_BYTE *start[COUNT(a)];
    CK_ULONG room_n[COUNT(a)], n = below(c, COUNT(a) + 1);
    for (CK_ULONG i = 0; i < n; i++) {
        room_n[i] = one_in(c, 3) ? below(c, 40) : 600;
        start[i] = room(c, room_n[i] + GUARD);
        memset(start[i], 0, room_n[i]); /* an array of attributes is read */
        memset(start[i] + room_n[i], FILL, GUARD);
        a[i] = (CK_ATTRIBUTE){ONE_OF(c, all_attributes), one_in(c, 4) ? NULL : start[i], room_n[i]};
    }
    CK_RV rv = f->C_GetAttributeValue(some_session(c), some_object(c), a, n);
    for (CK_ULONG i = 0; i < n; i++) {
        if (!filled(start[i] + room_n[i], GUARD))
            fault(c, "wrote behind an attribute", rv);
        if (rv == CKR_OK && a[i].pValue && a[i].ulValueLen > room_n[i])
            fault(c, "an attribute longer than its room", rv);
    }
    judge(c, READ | OBJECT, rv);
}

static void object_size(struct caller *c)
{
    CK_ULONG n;
    judge(c, OBJECT,
          f->C_GetObjectSize(some_session(c), some_object(c), one_in(c, 20) ? NULL : &n));
}

static void destroy(struct caller *c)
{
    judge(c, OBJECT | CHANGE, f->C_DestroyObject(some_session(c), some_object(c)));
}

static void find(struct caller *c)
{
    CK_SESSION_HANDLE s = some_session(c);
    CK_OBJECT_HANDLE *found = room(c, 16 * sizeof *found);
    CK_ULONG n = 0, max = below(c, 17);
    struct template t = some_change(c);
    if (one_in(c, 4))
        add_ulong(c, &t, CKA_CLASS, below(c, 11));
    if (!one_in(c, 9))
        judge(c, INIT | CHANGE, f->C_FindObjectsInit(s, t.a, t.n));
    if (judge(c, GOES_ON, f->C_FindObjects(s, found, max, one_in(c, 20) ? NULL : &n)) == CKR_OK) {
        if (n > max)
            fault(c, "more handles than there was room for", CKR_OK);
        for (CK_ULONG i = 0; i < n && i < 2; i++)
            add_object(c, found[i]);
    }
    if (!one_in(c, 9))
        judge(c, GOES_ON, f->C_FindObjectsFinal(s));
}

/* ---- keys ---------------------------------------------------------------------------------- */

static void generate_key(struct caller *c)
{
    static const struct {
        CK_MECHANISM_TYPE mechanism;
        CK_KEY_TYPE type;
    } kinds[] = {{CKM_AES_KEY_GEN, CKK_AES},
                 {CKM_AES_KEY_GEN, CKK_AES},
                 {CKM_GENERIC_SECRET_KEY_GEN, CKK_GENERIC_SECRET},
                 {CKM_SHA256_KEY_GEN, CKK_SHA256_HMAC},
                 {CKM_SHA512_KEY_GEN, CKK_SHA512_HMAC},
                 {CKM_SHA3_256_KEY_GEN, CKK_SHA3_256_HMAC},
                 {CKM_HKDF_KEY_GEN, CKK_HKDF},
                 {CKM_PKCS5_PBKD2, CKK_AES}};
    CK_ULONG i = below(c, COUNT(kinds));
    CK_OBJECT_HANDLE handle = untouched;
    CK_MECHANISM m = with_parameter(c, kinds[i].mechanism);
    struct template t = secret_template(c, kinds[i].type, false, true);
    if (one_in(c, 30))
        m = some_mechanism(c, ~0UL);
    if (kinds[i].mechanism == CKM_PKCS5_PBKD2)
        add_ulong(c, &t, CKA_KEY_TYPE, CKK_AES);
    CK_RV rv = f->C_GenerateKey(some_session(c), one_in(c, 60) ? NULL : &m, t.a, t.n,
                                one_in(c, 60) ? NULL : &handle);
    judge_new(c, handle, NEW | TYPE | PARAM | KEY_SIZE, rv);
}

static void add_curve(struct caller *c, struct template *t, CK_MECHANISM_TYPE mechanism)
{
    static const int curves[] = {NID_X9_62_prime256v1, NID_X9_62_prime256v1, NID_secp384r1,
                                 NID_secp521r1, NID_sect233k1};
    static const int edwards[] = {NID_ED25519, NID_ED448}, montgomery[] = {NID_X25519, NID_X448};
    int nid = mechanism == CKM_EC_EDWARDS_KEY_PAIR_GEN      ? ONE_OF(c, edwards)
              : mechanism == CKM_EC_MONTGOMERY_KEY_PAIR_GEN ? ONE_OF(c, montgomery)
                                                            : ONE_OF(c, curves);
    struct blob params = ec_params(nid);
    add_bytes(c, t, CKA_EC_PARAMS, params.p, params.n);
}

static void generate_pair(struct caller *c)
{
    static const CK_MECHANISM_TYPE kinds[] = {CKM_EC_KEY_PAIR_GEN,
                                              CKM_EC_KEY_PAIR_GEN,
                                              CKM_EC_KEY_PAIR_GEN,
                                              CKM_EC_EDWARDS_KEY_PAIR_GEN,
                                              CKM_EC_MONTGOMERY_KEY_PAIR_GEN,
                                              CKM_RSA_PKCS_KEY_PAIR_GEN};
    CK_MECHANISM m = {ONE_OF(c, kinds), NULL, 0};
    struct template pub = {.n = 0}, priv = {.n = 0};
    CK_OBJECT_HANDLE public = untouched, private = untouched;
    if (m.mechanism == CKM_RSA_PKCS_KEY_PAIR_GEN)
        add_ulong(c, &pub, CKA_MODULUS_BITS, one_in(c, 5) ? below(c, 1024) : 1024);
    else
        add_curve(c, &pub, m.mechanism);
    add_common(c, &pub);
    add_uses(c, &pub, public_uses, COUNT(public_uses));
    if (one_in(c, 9))
        add_nested(c, &pub, CKA_WRAP_TEMPLATE);
    add_common(c, &priv);
    add_protection(c, &priv);
    add_uses(c, &priv, private_uses, COUNT(private_uses));
    if (one_in(c, 9))
        add_bool(c, &priv, CKA_ALWAYS_AUTHENTICATE, true);
    maybe_spoil(c, &pub);
    maybe_spoil(c, &priv);
    CK_RV rv =
        f->C_GenerateKeyPair(some_session(c), &m, pub.a, pub.n, priv.a, priv.n, &public, &private);
    judge_new(c, public, NEW | TYPE | PARAM | KEY_SIZE, rv);
    judge_new(c, private, NEW | TYPE | PARAM | KEY_SIZE, rv);
}

/* Keys are tried until one is of the mechanism's type. */
enum { TRIES = 25 };

static bool no_such_key(CK_RV rv)
{
    return rv == CKR_KEY_TYPE_INCONSISTENT || rv == CKR_KEY_HANDLE_INVALID ||
           rv == CKR_WRAPPING_KEY_TYPE_INCONSISTENT || rv == CKR_WRAPPING_KEY_HANDLE_INVALID ||
           rv == CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT || rv == CKR_UNWRAPPING_KEY_HANDLE_INVALID ||
           rv == CKR_KEY_UNEXTRACTABLE;
}

static void derive(struct caller *c)
{
    CK_MECHANISM m = some_mechanism(c, CKF_DERIVE);
    CK_KEY_TYPE type = one_in(c, 2) ? CKK_GENERIC_SECRET : ONE_OF(c, secret_types);
    struct template t = secret_template(c, type, false, one_in(c, 2));
    CK_SESSION_HANDLE s = some_session(c);
    CK_OBJECT_HANDLE handle = untouched;
    CK_RV rv = CKR_KEY_HANDLE_INVALID;
    for (int i = 0; i < TRIES && no_such_key(rv); i++) {
        rv = f->C_DeriveKey(s, &m, some_object(c), t.a, t.n, one_in(c, 30) ? NULL : &handle);
        judge(c, NEW | TYPE | PARAM | DERIVE, rv);
    }
    if (handle != untouched)
        judge_new(c, handle, NEW | TYPE | PARAM | DERIVE, rv);
}

static CK_GCM_MESSAGE_PARAMS some_message(struct caller *c)
{
    CK_ULONG iv = one_in(c, 9) ? below(c, 17) : 12;
    return (CK_GCM_MESSAGE_PARAMS){.pIv = one_in(c, 30) ? NULL : c->message_iv,
                                   .ulIvLen = iv,
                                   .ulIvFixedBits = one_in(c, 20)  ? (CK_ULONG)draw(c)
                                                    : one_in(c, 2) ? 0
                                                                   : below(c, 8 * iv + 2),
                                   .ivGenerator = below(c, one_in(c, 9) ? 9 : 5),
                                   .pTag = one_in(c, 30) ? NULL : c->message_tag,
                                   .ulTagBits = one_in(c, 12) ? below(c, 140) : 128};
}

static void wrap_and_unwrap(struct caller *c)
{
    CK_MECHANISM m = some_mechanism(c, CKF_WRAP);
    CK_SESSION_HANDLE s = some_session(c);
    CK_GCM_MESSAGE_PARAMS message = some_message(c);
    bool authenticated = one_in(c, 4);
    CK_OBJECT_HANDLE wrapping = 0, handle = untouched;
    struct out o = some_room(c);
    CK_RV rv = CKR_KEY_HANDLE_INVALID;
    if (authenticated)
        m = (CK_MECHANISM){CKM_AES_GCM, &message, sizeof message};
    else if (m.mechanism == CKM_AES_GCM && one_in(c, 2))
        fill_gcm_wrap(c, &m);
    for (int i = 0; i < 2 * TRIES && no_such_key(rv); i++) {
        if (rv != CKR_KEY_UNEXTRACTABLE)
            wrapping = some_object(c);
        o.n = o.room;
        rv = authenticated
                 ? f->C_WrapKeyAuthenticated(s, &m, wrapping, some_object(c), NULL, 0, o.p, &o.n)
                 : f->C_WrapKey(s, &m, wrapping, some_object(c), o.p, &o.n);
        judge_out(c, &o, WRAP, rv);
    }
    bool whole = o.p && rv == CKR_OK;
    CK_ULONG n = whole ? o.n : some_length(c);
    CK_BYTE *wrapped = whole ? keep(c, o.p, n) : noise(c, n);
    if (n && one_in(c, 4))
        wrapped[below(c, n)] ^= 1;
    if (n && one_in(c, 6))
        n--;
    struct template t = secret_template(c, ONE_OF(c, secret_types), false, one_in(c, 3));
    add_ulong(c, &t, CKA_CLASS, one_in(c, 5) ? CKO_PRIVATE_KEY : CKO_SECRET_KEY);
    add_ulong(c, &t, CKA_KEY_TYPE, one_in(c, 3) ? CKK_AES : CKK_GENERIC_SECRET);
    if (one_in(c, 3))
        wrapping = some_object(c);
    rv = authenticated
             ? f->C_UnwrapKeyAuthenticated(s, &m, wrapping, wrapped, n, t.a, t.n, NULL, 0, &handle)
             : f->C_UnwrapKey(s, &m, wrapping, wrapped, n, t.a, t.n, &handle);
    judge_new(c, handle, NEW | UNWRAP, rv);
}

static void encapsulate(struct caller *c)
{
    CK_MECHANISM m = with_parameter(c, CKM_ECDH1_DERIVE);
    CK_SESSION_HANDLE s = some_session(c);
    struct template t = secret_template(c, CKK_GENERIC_SECRET, false, one_in(c, 2));
    struct out o = some_room(c);
    CK_OBJECT_HANDLE handle = untouched;
    CK_RV rv = CKR_KEY_HANDLE_INVALID;
    CK_ECDH1_DERIVE_PARAMS *p = m.pParameter;
    if (p && !one_in(c, 9))
        p->ulPublicDataLen = 0;
    if (one_in(c, 12))
        spoil_parameter(c, &m);
    for (int i = 0; i < TRIES && no_such_key(rv); i++) {
        o.n = o.room;
        rv = f->C_EncapsulateKey(s, &m, some_object(c), t.a, t.n, o.p, &o.n, &handle);
        judge_out(c, &o, NEW | TYPE | PARAM | DERIVE | OUT, rv);
    }
    if (handle != untouched)
        judge_new(c, handle, NEW | TYPE | PARAM | DERIVE | OUT, rv);
    bool whole = rv == CKR_OK && o.p;
    CK_ULONG n = whole ? o.n : one_in(c, 2) ? 65 : some_length(c);
    CK_BYTE *ciphertext = whole ? keep(c, o.p, n) : noise(c, n);
    if (n && one_in(c, 3))
        ciphertext[below(c, n)] ^= 1;
    rv = CKR_KEY_HANDLE_INVALID;
    handle = untouched;
    for (int i = 0; i < TRIES && no_such_key(rv); i++) {
        rv = f->C_DecapsulateKey(s, &m, some_object(c), t.a, t.n, ciphertext, n, &handle);
        judge(c, NEW | UNWRAP | KEY_SIZE, rv);
    }
    if (handle != untouched)
        judge_new(c, handle, NEW | UNWRAP | KEY_SIZE, rv);
}

/* ---- operations ---------------------------------------------------------------------------- */

typedef CK_RV init_call(CK_SESSION_HANDLE, CK_MECHANISM_PTR, CK_OBJECT_HANDLE);
typedef CK_RV out_call(CK_SESSION_HANDLE, CK_BYTE_PTR, CK_ULONG, CK_BYTE_PTR, CK_ULONG_PTR);
typedef CK_RV in_call(CK_SESSION_HANDLE, CK_BYTE_PTR, CK_ULONG);
typedef CK_RV final_call(CK_SESSION_HANDLE, CK_BYTE_PTR, CK_ULONG_PTR);

static void begin(struct caller *c, CK_SESSION_HANDLE s, init_call *call, CK_FLAGS flag)
{
    CK_MECHANISM m = some_mechanism(c, flag);
    CK_RV rv = CKR_KEY_HANDLE_INVALID;
    for (int i = 0; i < TRIES && no_such_key(rv); i++)
        rv = judge(c, INIT, call(s, one_in(c, 40) ? NULL : &m, some_object(c)));
}

static void put(struct caller *c, CK_SESSION_HANDLE s, out_call *call, unsigned groups)
{
    struct out o = some_room(c);
    CK_ULONG n;
    const CK_BYTE *data = some_data(c, &o, &n);
    judge_out(c, &o, groups | OUT | GOES_ON,
              call(s, (CK_BYTE_PTR)data, n, o.p, one_in(c, 60) ? NULL : &o.n));
}

static void take(struct caller *c, CK_SESSION_HANDLE s, in_call *call, unsigned groups)
{
    CK_ULONG n;
    const CK_BYTE *data = some_data(c, NULL, &n);
    judge(c, groups | GOES_ON, call(s, (CK_BYTE_PTR)data, n));
}

static void end(struct caller *c, CK_SESSION_HANDLE s, final_call *call, unsigned groups)
{
    struct out o = some_room(c);
    judge_out(c, &o, groups | OUT | GOES_ON, call(s, o.p, one_in(c, 60) ? NULL : &o.n));
}

static void encrypt(struct caller *c)
{
    CK_SESSION_HANDLE s = some_session(c);
    if (one_in(c, 2))
        begin(c, s, f->C_EncryptInit, CKF_ENCRYPT);
    if (one_in(c, 3))
        put(c, s, f->C_Encrypt, DATA);
    for (CK_ULONG i = below(c, 4); i; i--)
        put(c, s, f->C_EncryptUpdate, DATA);
    if (one_in(c, 2))
        end(c, s, f->C_EncryptFinal, DATA);
}

static void decrypt(struct caller *c)
{
    CK_SESSION_HANDLE s = some_session(c);
    if (one_in(c, 2))
        begin(c, s, f->C_DecryptInit, CKF_DECRYPT);
    if (one_in(c, 3))
        put(c, s, f->C_Decrypt, CIPHERTEXT | COUNTER);
    for (CK_ULONG i = below(c, 4); i; i--)
        put(c, s, f->C_DecryptUpdate, CIPHERTEXT | COUNTER);
    if (one_in(c, 2))
        end(c, s, f->C_DecryptFinal, CIPHERTEXT | COUNTER);
}

static void sign_something(struct caller *c)
{
    CK_SESSION_HANDLE s = some_session(c);
    if (one_in(c, 2))
        begin(c, s, f->C_SignInit, CKF_SIGN);
    if (one_in(c, 3))
        put(c, s, f->C_Sign, DATA);
    for (CK_ULONG i = below(c, 3); i; i--)
        take(c, s, f->C_SignUpdate, DATA);
    if (one_in(c, 2))
        end(c, s, f->C_SignFinal, DATA);
}

static void verify_something(struct caller *c)
{
    CK_SESSION_HANDLE s = some_session(c);
    CK_ULONG n = some_length(c);
    if (one_in(c, 2))
        begin(c, s, f->C_VerifyInit, CKF_VERIFY);
    if (one_in(c, 3))
        judge(c, DATA | SIGNATURE | GOES_ON,
              f->C_Verify(s, noise(c, n), n, one_in(c, 20) ? NULL : noise(c, n), n));
    for (CK_ULONG i = below(c, 3); i; i--)
        take(c, s, f->C_VerifyUpdate, DATA);
    if (one_in(c, 2))
        take(c, s, f->C_VerifyFinal, DATA | SIGNATURE);
}

static void verify_signature_first(struct caller *c)
{
    CK_SESSION_HANDLE s = some_session(c);
    CK_MECHANISM m = some_mechanism(c, CKF_VERIFY);
    CK_ULONG n = some_length(c);
    CK_BYTE *signature = noise(c, n);
    CK_RV rv = CKR_KEY_HANDLE_INVALID;
    for (int i = 0; i < TRIES && no_such_key(rv); i++)
        rv = judge(c, INIT | SIGNATURE,
                   f->C_VerifySignatureInit(s, one_in(c, 40) ? NULL : &m, some_object(c),
                                            one_in(c, 40) ? NULL : signature, n));
    if (one_in(c, 3))
        take(c, s, f->C_VerifySignature, DATA | SIGNATURE);
    take(c, s, f->C_VerifySignatureUpdate, DATA);
    if (one_in(c, 2))
        judge(c, DATA | SIGNATURE | GOES_ON, f->C_VerifySignatureFinal(s));
}

static void recover(struct caller *c)
{
    CK_SESSION_HANDLE s = some_session(c);
    begin(c, s, f->C_SignRecoverInit, CKF_SIGN_RECOVER);
    put(c, s, f->C_SignRecover, DATA);
    begin(c, s, f->C_VerifyRecoverInit, CKF_VERIFY_RECOVER);
    put(c, s, f->C_VerifyRecover, SIGNATURE);
}

static void digest(struct caller *c)
{
    CK_SESSION_HANDLE s = some_session(c);
    CK_MECHANISM m = some_mechanism(c, CKF_DIGEST);
    if (one_in(c, 2))
        judge(c, INIT, f->C_DigestInit(s, one_in(c, 20) ? NULL : &m));
    if (one_in(c, 4))
        put(c, s, f->C_Digest, 0);
    for (CK_ULONG i = below(c, 3); i; i--)
        take(c, s, f->C_DigestUpdate, 0);
    if (one_in(c, 3))
        judge(c, DIGEST_KEY | GOES_ON, f->C_DigestKey(s, some_object(c)));
    if (one_in(c, 3))
        end(c, s, f->C_DigestFinal, 0);
}

static void both(struct caller *c)
{
    CK_SESSION_HANDLE s = some_session(c);
    CK_MECHANISM m = {CKM_SHA256, NULL, 0};
    if (one_in(c, 2))
        judge(c, INIT, f->C_DigestInit(s, &m));
    if (one_in(c, 2))
        begin(c, s, f->C_EncryptInit, CKF_ENCRYPT);
    if (one_in(c, 3))
        begin(c, s, f->C_SignInit, CKF_SIGN);
    put(c, s, f->C_DigestEncryptUpdate, DATA);
    put(c, s, f->C_DecryptDigestUpdate, CIPHERTEXT | COUNTER);
    put(c, s, f->C_SignEncryptUpdate, DATA);
    put(c, s, f->C_DecryptVerifyUpdate, CIPHERTEXT | DATA);
}

static void save_state(struct caller *c)
{
    CK_SESSION_HANDLE s = some_session(c);
    struct out o = some_room(c);
    CK_RV rv = judge_out(c, &o, STATE, f->C_GetOperationState(s, o.p, one_in(c, 30) ? NULL : &o.n));
    if (rv == CKR_OK && o.p && o.n && o.n <= sizeof c->state_saved)
        memcpy(c->state_saved, o.p, c->state_n = o.n);
    CK_ULONG n = one_in(c, 4) ? some_length(c) : c->state_n;
    CK_BYTE *state = n == c->state_n ? keep(c, c->state_saved, n) : noise(c, n);
    if (n && one_in(c, 3))
        state[below(c, n)] ^= 1;
    judge(c, STATE | GOES_ON,
          f->C_SetOperationState(some_session(c), state, n, one_in(c, 9) ? some_object(c) : 0, 0));
}

/* ---- messages ------------------------------------------------------------------------------ */

struct message_calls {
    init_call *init;
    CK_FLAGS flag;
    unsigned groups;
    CK_RV(*whole)
    (CK_SESSION_HANDLE, CK_VOID_PTR, CK_ULONG, CK_BYTE_PTR, CK_ULONG, CK_BYTE_PTR, CK_ULONG,
     CK_BYTE_PTR, CK_ULONG_PTR);
    CK_RV (*begin)(CK_SESSION_HANDLE, CK_VOID_PTR, CK_ULONG, CK_BYTE_PTR, CK_ULONG);
    CK_RV(*next)
    (CK_SESSION_HANDLE, CK_VOID_PTR, CK_ULONG, CK_BYTE_PTR, CK_ULONG, CK_BYTE_PTR, CK_ULONG_PTR,
     CK_FLAGS);
    CK_RV (*final)(CK_SESSION_HANDLE);
};

static void crypt_messages(struct caller *c, const struct message_calls *call)
{
    CK_SESSION_HANDLE s = some_session(c);
    CK_MECHANISM m = {one_in(c, 9) ? some_type(c, ~0UL) : CKM_AES_GCM, NULL, 0};
    struct out o = some_room(c), part = some_room(c);
    CK_ULONG n, part_n, aad = some_length(c), size = sizeof c->message;
    CK_RV rv = CKR_KEY_HANDLE_INVALID;
    for (int i = 0; i < TRIES && no_such_key(rv); i++)
        rv = judge(c, INIT, call->init(s, one_in(c, 30) ? NULL : &m, some_object(c)));
    c->message = some_message(c);
    if (one_in(c, 12))
        size = below(c, size);
    const CK_BYTE *data = some_data(c, &o, &n);
    unsigned groups = call->groups | PARAM | GOES_ON | OUT | AEAD | COUNTER;
    judge_out(c, &o, groups,
              call->whole(s, &c->message, size, noise(c, aad), aad, (CK_BYTE_PTR)data, n, o.p,
                          one_in(c, 40) ? NULL : &o.n));
    judge(c, groups, call->begin(s, &c->message, size, noise(c, aad), aad));
    for (CK_ULONG i = below(c, 3); i; i--) {
        data = some_data(c, &part, &part_n);
        part.n = part.room;
        judge_out(c, &part, groups,
                  call->next(s, c->alone && one_in(c, 2) ? NULL : &c->message, size,
                             (CK_BYTE_PTR)data, part_n, part.p, &part.n,
                             one_in(c, 2) ? CKF_END_OF_MESSAGE : 0));
        part = some_room(c);
    }
    if (one_in(c, 3))
        judge(c, groups, call->final(s));
}

static void encrypt_messages(struct caller *c)
{
    crypt_messages(c, &(struct message_calls){f->C_MessageEncryptInit, CKF_MESSAGE_ENCRYPT, DATA,
                                              f->C_EncryptMessage, f->C_EncryptMessageBegin,
                                              f->C_EncryptMessageNext, f->C_MessageEncryptFinal});
}

static void decrypt_messages(struct caller *c)
{
    crypt_messages(c,
                   &(struct message_calls){f->C_MessageDecryptInit, CKF_MESSAGE_DECRYPT, CIPHERTEXT,
                                           f->C_DecryptMessage, f->C_DecryptMessageBegin,
                                           f->C_DecryptMessageNext, f->C_MessageDecryptFinal});
}

static void sign_messages(struct caller *c)
{
    CK_SESSION_HANDLE s = some_session(c);
    struct out o = some_room(c), last = some_room(c);
    CK_ULONG n = some_length(c), parameter = one_in(c, 9);
    unsigned groups = DATA | GOES_ON | OUT | PARAM;
    begin(c, s, f->C_MessageSignInit, CKF_MESSAGE_SIGN);
    judge_out(c, &o, groups, f->C_SignMessage(s, &n, parameter, noise(c, n), n, o.p, &o.n));
    judge(c, groups, f->C_SignMessageBegin(s, &n, parameter));
    judge(c, groups, f->C_SignMessageNext(s, NULL, 0, noise(c, n), n, NULL, NULL));
    judge_out(
        c, &last, groups,
        f->C_SignMessageNext(s, NULL, 0, noise(c, n), n, last.p, one_in(c, 5) ? NULL : &last.n));
    if (one_in(c, 2))
        judge(c, groups, f->C_MessageSignFinal(s));
}

static void verify_messages(struct caller *c)
{
    CK_SESSION_HANDLE s = some_session(c);
    CK_ULONG n = some_length(c);
    unsigned groups = DATA | GOES_ON | SIGNATURE | PARAM;
    begin(c, s, f->C_MessageVerifyInit, CKF_MESSAGE_VERIFY);
    judge(c, groups, f->C_VerifyMessage(s, NULL, 0, noise(c, n), n, noise(c, n), n));
    judge(c, groups, f->C_VerifyMessageBegin(s, NULL, 0));
    judge(c, groups, f->C_VerifyMessageNext(s, NULL, 0, noise(c, n), n, NULL, 0));
    if (one_in(c, 2))
        judge(c, groups, f->C_VerifyMessageNext(s, NULL, 0, noise(c, n), n, noise(c, n), n));
    if (one_in(c, 2))
        judge(c, groups, f->C_MessageVerifyFinal(s));
}

/* ---- pairs --------------------------------------------------------------------------------- */

static CK_OBJECT_HANDLE session_key(struct caller *c, CK_SESSION_HANDLE s, CK_KEY_TYPE type)
{
    static const CK_ULONG lengths[] = {16, 24, 32};
    struct template t = {.n = 0};
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    CK_ULONG n = ONE_OF(c, lengths);
    add_ulong(c, &t, CKA_CLASS, CKO_SECRET_KEY);
    add_ulong(c, &t, CKA_KEY_TYPE, type);
    add_bytes(c, &t, CKA_VALUE, noise(c, n), n);
    add_bool(c, &t, CKA_PRIVATE, false);
    add_uses(c, &t, NULL, 0);
    for (size_t i = 0; i < COUNT(secret_uses); i++)
        add_bool(c, &t, secret_uses[i], true);
    if (one_in(c, 3)) /* else in the TPM, where that has such keys */
        add_bool(c, &t, CKA_EXTRACTABLE, true);
    CK_RV rv = f->C_CreateObject(s, t.a, t.n, &key);
    if (rv != CKR_OK)
        fault(c, "a key of the pairs", rv);
    return key;
}

/* All of data in parts as they come, with the last call's output after them. */
static CK_ULONG in_parts(struct caller *c, CK_SESSION_HANDLE s, out_call *update, final_call *final,
                         const CK_BYTE *data, CK_ULONG n, CK_BYTE *out, CK_ULONG room_n)
{
    CK_ULONG done = 0, at = 0, some, told;
    CK_RV rv = CKR_OK;
    while (at < n && rv == CKR_OK) {
        some = 1 + below(c, n - at);
        told = room_n - done;
        rv = update(s, keep(c, data + at, some), some, out + done, &told);
        at += some;
        done += rv == CKR_OK ? told : 0;
    }
    told = room_n - done;
    if (rv == CKR_OK)
        rv = final(s, out + done, &told);
    if (rv != CKR_OK)
        fault(c, "a pair in parts", rv);
    return rv == CKR_OK ? done + told : 0;
}

/* The next call of a row, which ends with the first that fails. */
#define AFTER(rv, call)                                                                            \
    do {                                                                                           \
        if ((rv) == CKR_OK)                                                                        \
            (rv) = (call);                                                                         \
    } while (0)

static CK_SESSION_HANDLE session_of_pair(struct caller *c)
{
    CK_SESSION_HANDLE s = CK_INVALID_HANDLE;
    if (c->alone) /* else another thread may close it, or log it out */
        f->C_OpenSession(fx.slot, CKF_SERIAL_SESSION, NULL, NULL, &s);
    return s;
}

static CK_MECHANISM cipher_of_pair(struct caller *c)
{
    static const CK_MECHANISM_TYPE types[] = {CKM_AES_CBC_PAD, CKM_AES_CTR,  CKM_AES_OFB,
                                              CKM_AES_CFB128,  CKM_AES_CFB8, CKM_AES_GCM};
    CK_MECHANISM m = {ONE_OF(c, types), NULL, 0};
    if (m.mechanism == CKM_AES_GCM)
        WITH(c, &m, (CK_GCM_PARAMS){.pIv = noise(c, 12), .ulIvLen = 12, .ulTagBits = 128});
    else if (m.mechanism == CKM_AES_CTR)
        WITH(c, &m, (CK_AES_CTR_PARAMS){128, {0}});
    else
        fill_iv(c, &m);
    return m;
}

/* At once in place, or in parts. */
static CK_RV whole_or_parts(struct caller *c, CK_SESSION_HANDLE s, out_call *once, out_call *update,
                            final_call *final, const CK_BYTE *in, CK_ULONG n, CK_BYTE *out,
                            CK_ULONG *out_n)
{
    *out_n = ROOM;
    memcpy(out, in, n);
    if (one_in(c, 2))
        return once(s, out, n, out, out_n);
    *out_n = in_parts(c, s, update, final, in, n, out, ROOM);
    return CKR_OK;
}

static void encrypt_pair(struct caller *c)
{
    CK_SESSION_HANDLE s = session_of_pair(c);
    if (!s)
        return;
    CK_MECHANISM m = cipher_of_pair(c);
    CK_OBJECT_HANDLE key = session_key(c, s, CKK_AES);
    CK_ULONG n = some_length(c), sealed_n = 0, plain_n = 0;
    CK_BYTE *data = noise(c, n), *sealed = room(c, ROOM), *plain = room(c, ROOM);
    CK_RV rv = f->C_EncryptInit(s, &m, key);
    AFTER(rv, whole_or_parts(c, s, f->C_Encrypt, f->C_EncryptUpdate, f->C_EncryptFinal, data, n,
                             sealed, &sealed_n));
    AFTER(rv, f->C_DecryptInit(s, &m, key));
    AFTER(rv, whole_or_parts(c, s, f->C_Decrypt, f->C_DecryptUpdate, f->C_DecryptFinal, sealed,
                             sealed_n, plain, &plain_n));
    if (rv != CKR_OK || plain_n != n || memcmp(plain, data, n) != 0)
        fault(c, "what was encrypted is not what is decrypted", rv);
    judge(c, 0, f->C_CloseSession(s));
}

static void sign_and_verify(struct caller *c, CK_SESSION_HANDLE s, CK_MECHANISM_TYPE type,
                            CK_OBJECT_HANDLE signing, CK_OBJECT_HANDLE verifying)
{
    CK_MECHANISM m = {type, NULL, 0};
    CK_ULONG n = some_length(c), cut = below(c, n + 1), signature_n = 512;
    CK_BYTE *data = noise(c, n), *signature = room(c, signature_n);
    CK_RV rv = f->C_SignInit(s, &m, signing);
    AFTER(rv, f->C_Sign(s, data, n, signature, &signature_n));
    AFTER(rv, f->C_VerifyInit(s, &m, verifying));
    AFTER(rv, f->C_VerifyUpdate(s, data, cut));
    AFTER(rv, f->C_VerifyUpdate(s, data + cut, n - cut));
    AFTER(rv, f->C_VerifyFinal(s, signature, signature_n));
    if (rv != CKR_OK)
        fault(c, "what was signed does not verify", rv);
}

static void sign_pair(struct caller *c)
{
    static const CK_MECHANISM_TYPE types[] = {CKM_SHA256_HMAC, CKM_SHA3_256_HMAC, CKM_SHA_1_HMAC,
                                              CKM_AES_CMAC};
    CK_SESSION_HANDLE s = session_of_pair(c);
    CK_MECHANISM_TYPE type = ONE_OF(c, types);
    if (!s)
        return;
    CK_OBJECT_HANDLE key = session_key(c, s, type == CKM_AES_CMAC ? CKK_AES : CKK_GENERIC_SECRET);
    sign_and_verify(c, s, type, key, key);
    judge(c, 0, f->C_CloseSession(s));
}

/* One of the fixed private keys of a type, and its public half. */
static CK_RV fixed_pair(struct caller *c, CK_SESSION_HANDLE s, CK_KEY_TYPE type,
                        CK_OBJECT_HANDLE *ret_private, CK_OBJECT_HANDLE *ret_public)
{
    CK_OBJECT_CLASS cls = CKO_PRIVATE_KEY;
    CK_OBJECT_HANDLE found[2];
    CK_ULONG n = 0;
    CK_ATTRIBUTE which[] = {{CKA_CLASS, &cls, sizeof cls},
                            {CKA_KEY_TYPE, &type, sizeof type},
                            {CKA_LABEL, room(c, 5), 5},
                            {CKA_PUBLIC_KEY_INFO, room(c, 600), 600}};
    memcpy(which[2].pValue, "fixed", 5);
    CK_RV rv = f->C_FindObjectsInit(s, which, 3);
    AFTER(rv, f->C_FindObjects(s, found, 2, &n));
    AFTER(rv, f->C_FindObjectsFinal(s));
    AFTER(rv, n ? CKR_OK : CKR_OBJECT_HANDLE_INVALID);
    if (rv == CKR_OK)
        *ret_private = found[below(c, n)];
    cls = CKO_PUBLIC_KEY;
    AFTER(rv, f->C_GetAttributeValue(s, *ret_private, &which[3], 1));
    AFTER(rv, f->C_FindObjectsInit(s, which, 4));
    AFTER(rv, f->C_FindObjects(s, ret_public, 1, &n));
    return rv;
}

static void sign_asymmetric(struct caller *c)
{
    static const struct {
        CK_MECHANISM_TYPE mechanism;
        CK_KEY_TYPE type;
    } kinds[] = {
        {CKM_SHA256_RSA_PKCS, CKK_RSA}, {CKM_ECDSA_SHA384, CKK_EC}, {CKM_EDDSA, CKK_EC_EDWARDS}};
    CK_ULONG i = below(c, COUNT(kinds));
    CK_OBJECT_HANDLE private = 0, public = 0;
    CK_SESSION_HANDLE s = session_of_pair(c);
    if (!s)
        return;
    f->C_Login(s, CKU_USER, (CK_BYTE *)USER_PIN, strlen(USER_PIN));
    CK_RV rv = fixed_pair(c, s, kinds[i].type, &private, &public);
    if (rv == CKR_OK)
        sign_and_verify(c, s, kinds[i].mechanism, private, public);
    else
        fault(c, "a fixed pair is not found", rv);
    judge(c, 0, f->C_CloseSession(s));
}

/* ---- the run ------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    void (*run)(struct caller *c);
    unsigned weight;
} calls[] = {
    {"C_GetSlotList", get_slot_list, 2},
    {"C_Get…Info", get_infos, 2},
    {"C_GetMechanismList", get_mechanism_list, 2},
    {"C_WaitForSlotEvent", wait_for_slot_event, 2},
    {"C_InitToken", init_token, 1},
    {"C_OpenSession", open_some_session, 12},
    {"C_CloseSession", close_session, 4},
    {"C_Login, right", log_in_right, 20},
    {"C_Login", log_in, 3},
    {"C_Logout", log_out, 3},
    {"C_SetPIN, C_InitPIN", set_pin, 1},
    {"C_SessionCancel", cancel, 4},
    {"C_GenerateRandom, C_SeedRandom", random_numbers, 2},
    {"the functions that do nothing", legacy, 1},
    {"C_CreateObject", create_object, 25},
    {"C_CreateObject, private", create_private, 6},
    {"C_CopyObject", copy_object, 8},
    {"C_SetAttributeValue", set_attributes, 8},
    {"C_GetAttributeValue", get_attributes, 12},
    {"C_GetObjectSize", object_size, 2},
    {"C_DestroyObject", destroy, 6},
    {"C_FindObjects…", find, 8},
    {"C_GenerateKey", generate_key, 16},
    {"C_GenerateKeyPair", generate_pair, 6},
    {"C_DeriveKey", derive, 30},
    {"C_WrapKey, C_UnwrapKey", wrap_and_unwrap, 25},
    {"C_EncapsulateKey, C_DecapsulateKey", encapsulate, 10},
    {"C_Encrypt…", encrypt, 30},
    {"C_Decrypt…", decrypt, 30},
    {"C_Sign…", sign_something, 25},
    {"C_Verify…", verify_something, 20},
    {"C_VerifySignature…", verify_signature_first, 8},
    {"C_SignRecover, C_VerifyRecover", recover, 4},
    {"C_Digest…", digest, 12},
    {"the dual functions", both, 10},
    {"C_GetOperationState, C_SetOperationState", save_state, 8},
    {"C_EncryptMessage…", encrypt_messages, 15},
    {"C_DecryptMessage…", decrypt_messages, 12},
    {"C_SignMessage…", sign_messages, 8},
    {"C_VerifyMessage…", verify_messages, 8},
    {"encrypt and decrypt", encrypt_pair, 15},
    {"sign and verify", sign_pair, 10},
    {"sign and verify by pairs", sign_asymmetric, 6},
};

static void forget(struct caller *c)
{
    while (c->n_kept)
        free(c->kept[--c->n_kept]);
}

/* Sessions that were closed are opened again in time, the first one at once. */
static void refresh(struct caller *c, CK_ULONG place)
{
    CK_SESSION_INFO info;
    CK_FLAGS flags = CKF_SERIAL_SESSION | (place && one_in(c, 3) ? 0 : CKF_RW_SESSION);
    if (f->C_GetSessionInfo(c->session[place], &info) != CKR_OK)
        f->C_OpenSession(fx.slot, flags, NULL, NULL, &c->session[place]);
}

void calls_next(struct caller *c)
{
    CK_ULONG all = 0, i = 0;
    refresh(c, 0);
    refresh(c, below(c, SESSIONS));
    for (size_t k = 0; k < COUNT(calls); k++)
        all += calls[k].weight;
    for (CK_ULONG at = below(c, all); at >= calls[i].weight; i++)
        at -= calls[i].weight;
    c->name = calls[i].name;
    c->number++;
    calls[i].run(c);
    forget(c);
}

/* FIPS 180-4's "abc": the token still works. */
void calls_still_work(struct caller *c)
{
    static const CK_BYTE right[] = {0xBA, 0x78, 0x16, 0xBF, 0x8F, 0x01, 0xCF, 0xEA};
    CK_BYTE hash[32];
    CK_ULONG n = sizeof hash;
    CK_SESSION_HANDLE s = CK_INVALID_HANDLE;
    c->name = "a digest afterwards";
    CK_RV rv = f->C_OpenSession(fx.slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &s);
    if (rv == CKR_OK)
        rv = f->C_DigestInit(s, MECHANISM(CKM_SHA256));
    if (rv == CKR_OK)
        rv = f->C_Digest(s, (CK_BYTE *)"abc", 3, hash, &n);
    if (rv != CKR_OK || memcmp(hash, right, sizeof right) != 0)
        fault(c, "the token works no more", rv);
    f->C_CloseSession(s);
}

/* ---- keys that are there in every run ------------------------------------------------------ */

static void add_fixed(struct caller *c, struct template *t, const CK_ATTRIBUTE_TYPE *uses, size_t n)
{
    add_bool(c, t, CKA_TOKEN, true);
    add_bool(c, t, CKA_MODIFIABLE, false);
    add_bool(c, t, CKA_DESTROYABLE, false);
    add_bytes(c, t, CKA_LABEL, "fixed", 5);
    for (size_t i = 0; i < n; i++)
        add_bool(c, t, uses[i], true);
}

/* extractable: outside the TPM. */
static void make_fixed_pair(struct caller *c, CK_MECHANISM_TYPE type, CK_ULONG bits, int nid,
                            bool extractable)
{
    CK_MECHANISM m = {type, NULL, 0};
    struct template pub = {.n = 0}, priv = {.n = 0};
    struct blob params = nid == NID_undef ? (struct blob){0} : ec_params(nid);
    CK_OBJECT_HANDLE public, private;
    if (bits)
        add_ulong(c, &pub, CKA_MODULUS_BITS, bits);
    else
        add_bytes(c, &pub, CKA_EC_PARAMS, params.p, params.n);
    add_fixed(c, &pub, public_uses, COUNT(public_uses));
    add_fixed(c, &priv, private_uses, COUNT(private_uses));
    add_bool(c, &priv, CKA_EXTRACTABLE, extractable);
    assert_ok(
        p11->C_GenerateKeyPair(fx.session, &m, pub.a, pub.n, priv.a, priv.n, &public, &private));
}

static void make_fixed_secret(struct caller *c, CK_MECHANISM_TYPE type, bool extractable)
{
    CK_MECHANISM m = {type, NULL, 0};
    struct template t = {.n = 0};
    CK_OBJECT_HANDLE key;
    add_ulong(c, &t, CKA_VALUE_LEN, 32);
    add_fixed(c, &t, secret_uses, COUNT(secret_uses));
    add_bool(c, &t, CKA_EXTRACTABLE, extractable);
    assert_ok(p11->C_GenerateKey(fx.session, &m, t.a, t.n, &key));
}

void calls_fixed_keys(void)
{
    struct caller c = {.name = "fixed keys"};
    make_fixed_pair(&c, CKM_RSA_PKCS_KEY_PAIR_GEN, 2048, NID_undef, false);
    make_fixed_pair(&c, CKM_RSA_PKCS_KEY_PAIR_GEN, 1024, NID_undef, true);
    make_fixed_pair(&c, CKM_EC_KEY_PAIR_GEN, 0, NID_X9_62_prime256v1, false);
    make_fixed_pair(&c, CKM_EC_KEY_PAIR_GEN, 0, NID_secp384r1, true);
    make_fixed_pair(&c, CKM_EC_EDWARDS_KEY_PAIR_GEN, 0, NID_ED25519, true);
    make_fixed_pair(&c, CKM_EC_MONTGOMERY_KEY_PAIR_GEN, 0, NID_X25519, true);
    make_fixed_secret(&c, CKM_AES_KEY_GEN, false);
    make_fixed_secret(&c, CKM_AES_KEY_GEN, true);
    make_fixed_secret(&c, CKM_GENERIC_SECRET_KEY_GEN, false);
    make_fixed_secret(&c, CKM_GENERIC_SECRET_KEY_GEN, true);
    forget(&c);
}

static void find_fixed(struct caller *c)
{
    CK_ATTRIBUTE label[] = {ATTR_STR(CKA_LABEL, "fixed")};
    CK_ULONG n;
    assert_ok(f->C_FindObjectsInit(c->session[0], label, 1));
    assert_ok(f->C_FindObjects(c->session[0], c->object, FIXED, &n));
    assert_ok(f->C_FindObjectsFinal(c->session[0]));
    assert_int_equal(n, FIXED);
}

void calls_start(struct caller *c, uint64_t seed, bool alone)
{
    *c = (struct caller){.seed = seed, .state = seed, .alone = alone, .name = "start"};
    for (int i = 0; i < SESSIONS; i++)
        assert_ok(f->C_OpenSession(fx.slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL,
                                   &c->session[i]));
    f->C_Login(c->session[0], CKU_USER, (CK_BYTE *)USER_PIN, strlen(USER_PIN));
    find_fixed(c);
}
