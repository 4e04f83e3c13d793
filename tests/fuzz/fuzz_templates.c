/* Arrays of CK_ATTRIBUTE of every shape, to every call that takes one. A template is that of an
 * object which could be made, and attributes of the input's own: any type, any length, nested, with
 * or without a value, in memory of exactly that length that is gone after the call. */
#include "fuzz.h"
#include "inner_module.h"
#include "material.h"
#include "random.h"
#include "rules.h"

enum { MOST = 40, ALLOCATIONS = 512, DEPTH = 3, OWN = 12, OBJECTS_KEPT = 16 };

/* ---- memory of the caller's ---------------------------------------------------------------- */

static struct {
    void *p[ALLOCATIONS];
    size_t n;
} memory;

static void *allocate(const void *content, size_t n)
{
    uint8_t *p = malloc(n ? n : 1);
    CHECK(p && memory.n < ALLOCATIONS);
    if (n)
        memcpy(p, content, n);
    memory.p[memory.n++] = p;
    return p;
}

static void free_all(void)
{
    while (memory.n)
        free(memory.p[--memory.n]);
}

/* ---- templates ----------------------------------------------------------------------------- */

static struct parts bases[12];
static size_t n_bases;

static void fill_bases(void)
{
    static const char *const kinds[] = {"RSA-2048", "P-256", "ED25519", "X25519"};
    static const CK_KEY_TYPE secrets[] = {CKK_AES, CKK_GENERIC_SECRET};
    for (size_t i = 0; i < COUNT(kinds); i++) {
        EVP_PKEY *key = make_key(kinds[i]);
        private_parts(key, &bases[n_bases++]);
        public_parts(key, &bases[n_bases++]);
        EVP_PKEY_free(key);
    }
    for (size_t i = 0; i < COUNT(secrets); i++)
        secret_parts(secrets[i], random_blob(32), &bases[n_bases++]);
    struct parts *data = &bases[n_bases++], *certificate = &bases[n_bases++];
    set_part(data, (CK_ATTRIBUTE)ATTR_ULONG(CKA_CLASS, CKO_DATA));
    set_part(data, (CK_ATTRIBUTE)ATTR_STR(CKA_VALUE, "value"));
    set_part(certificate, (CK_ATTRIBUTE)ATTR_ULONG(CKA_CLASS, CKO_CERTIFICATE));
    set_part(certificate, (CK_ATTRIBUTE)ATTR_ULONG(CKA_CERTIFICATE_TYPE, CKC_X_509));
    set_part(certificate, (CK_ATTRIBUTE)ATTR_MEM(CKA_SUBJECT, "\x30\x00", 2));
    set_part(certificate, (CK_ATTRIBUTE)ATTR_MEM(CKA_VALUE, "\x30\x00", 2));
}

static CK_ATTRIBUTE next_attribute(struct bytes *in, unsigned depth);

static CK_ULONG next_attributes(struct bytes *in, unsigned depth, CK_ATTRIBUTE *ret)
{
    CK_ULONG n = next_u8(in) % OWN;
    for (CK_ULONG i = 0; i < n; i++)
        ret[i] = next_attribute(in, depth);
    return n;
}

static CK_ATTRIBUTE_TYPE next_type(struct bytes *in)
{
    static const CK_ATTRIBUTE_TYPE others[] = {CKA_VERIFY_RECOVER,
                                               CKA_SIGN_RECOVER,
                                               CKA_ENCAPSULATE,
                                               CKA_DECAPSULATE,
                                               CKA_END_DATE,
                                               CKA_OBJECT_ID,
                                               CKA_ISSUER,
                                               CKA_SERIAL_NUMBER,
                                               CKA_CERTIFICATE_TYPE,
                                               CKA_CERTIFICATE_CATEGORY,
                                               CKA_URL,
                                               CKA_PRIME_2,
                                               CKA_EXPONENT_1,
                                               CKA_EXPONENT_2,
                                               CKA_COEFFICIENT};
    uint32_t any = 0;
    uint8_t which = next_u8(in);
    if (which < COUNT(all_attributes))
        return all_attributes[which];
    if (which - COUNT(all_attributes) < COUNT(others))
        return others[which - COUNT(all_attributes)];
    bytes_take_u32(in, &any);
    return any;
}

static CK_ATTRIBUTE of(CK_ATTRIBUTE_TYPE type, const void *p, size_t n)
{
    return (CK_ATTRIBUTE){type, allocate(p, n), n};
}

static CK_ATTRIBUTE next_attribute(struct bytes *in, unsigned depth)
{
    static const CK_ULONG lengths[] = {1, 8, CK_UNAVAILABLE_INFORMATION, 1UL << 40, 1UL << 63};
    CK_ATTRIBUTE inner[OWN];
    CK_ATTRIBUTE_TYPE type = next_type(in);
    CK_ULONG number;
    CK_BBOOL truth;
    struct bytes slice;
    switch (next_u8(in) % 8) {
    case 0:
    case 1:
        truth = next_u8(in);
        return of(type, &truth, sizeof truth);
    case 2:
        number = next_u8(in);
        return of(type, &number, sizeof number);
    case 3:
        slice = next_slice(in);
        return of(type, slice.p, slice.n);
    case 4:
        return (CK_ATTRIBUTE){type, NULL, next_u8(in)};
    case 5:
        return (CK_ATTRIBUTE){type, NULL, lengths[next_u8(in) % COUNT(lengths)]};
    case 6:
        if (depth == 0)
            return (CK_ATTRIBUTE){type, NULL, 0};
        number = next_attributes(in, depth - 1, inner);
        return of(type, inner, number * sizeof *inner);
    default:
        number = bases[next_u8(in) % n_bases].n;
        return of(type, &number, next_u8(in) % (sizeof number + 1));
    }
}

/* A base without some of its attributes, before or behind the input's own. */
static CK_ATTRIBUTE *next_template(struct bytes *in, CK_ULONG *ret_n)
{
    CK_ATTRIBUTE all[OWN + 32];
    uint8_t how = next_u8(in);
    const struct parts *base = &bases[how % (n_bases + 1)];
    uint8_t without = next_u8(in);
    CK_ULONG n = how & 0x80 ? 0 : next_attributes(in, DEPTH, all);
    for (CK_ULONG i = 0; how % (n_bases + 1) < n_bases && i < base->n; i++)
        if (without != i + 1)
            all[n++] = of(base->v[i].type, base->v[i].pValue, base->v[i].ulValueLen);
    if (how & 0x80)
        n += next_attributes(in, DEPTH, all + n);
    *ret_n = n;
    return n ? allocate(all, n * sizeof *all) : NULL;
}

/* ---- calls --------------------------------------------------------------------------------- */

static const CK_OBJECT_HANDLE untouched = 0x5A5A5A5A;
static CK_OBJECT_HANDLE objects[OBJECTS_KEPT];
static size_t n_objects;

static CK_OBJECT_HANDLE next_object(struct bytes *in)
{
    return n_objects ? objects[next_u8(in) % (n_objects < OBJECTS_KEPT ? n_objects : OBJECTS_KEPT)]
                     : CK_INVALID_HANDLE;
}

/* The codes of section 5 for templates. */
static void judge(CK_RV rv)
{
    static const CK_RV codes[] = {CKR_OK,
                                  CKR_ARGUMENTS_BAD,
                                  CKR_ATTRIBUTE_READ_ONLY,
                                  CKR_ATTRIBUTE_TYPE_INVALID,
                                  CKR_ATTRIBUTE_VALUE_INVALID,
                                  CKR_ATTRIBUTE_SENSITIVE,
                                  CKR_ACTION_PROHIBITED,
                                  CKR_BUFFER_TOO_SMALL,
                                  CKR_CURVE_NOT_SUPPORTED,
                                  CKR_DOMAIN_PARAMS_INVALID,
                                  CKR_TEMPLATE_INCOMPLETE,
                                  CKR_TEMPLATE_INCONSISTENT,
                                  CKR_KEY_SIZE_RANGE,
                                  CKR_KEY_HANDLE_INVALID,
                                  CKR_KEY_TYPE_INCONSISTENT,
                                  CKR_KEY_FUNCTION_NOT_PERMITTED,
                                  CKR_OBJECT_HANDLE_INVALID,
                                  CKR_UNWRAPPING_KEY_HANDLE_INVALID,
                                  CKR_WRAPPED_KEY_INVALID,
                                  CKR_WRAPPED_KEY_LEN_RANGE};
    for (size_t i = 0; i < COUNT(codes); i++)
        if (rv == codes[i])
            return;
    fprintf(stderr, "a code that does not come from a template: 0x%lx\n", rv);
    abort();
}

static bool flag(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type)
{
    CK_BBOOL value = CK_FALSE;
    CK_ATTRIBUTE a = {type, &value, sizeof value};
    return p11->C_GetAttributeValue(fx.session, object, &a, 1) == CKR_OK && value;
}

static void hold(CK_OBJECT_HANDLE object)
{
    const char *broken = broken_rule(fx.session, object);
    if (broken)
        fprintf(stderr, "%s\n", broken);
    CHECK(!broken);
    CHECK(!flag(object, CKA_TRUSTED)); /* the SO's to give: 4.6.3, 4.9, 4.11 */
}

/* What was made is as the rules say, and is what the template asked for. */
static void judge_new(CK_RV rv, CK_OBJECT_HANDLE object, const CK_ATTRIBUTE *t, CK_ULONG n)
{
    judge(rv);
    CHECK(rv == CKR_OK || object == untouched || object == CK_INVALID_HANDLE);
    if (rv != CKR_OK)
        return;
    objects[n_objects++ % OBJECTS_KEPT] = object;
    hold(object);
    for (CK_ULONG i = 0; i < n; i++) {
        CK_BYTE got[256];
        CK_ATTRIBUTE a = {t[i].type, got, sizeof got};
        if ((t[i].type == CKA_LABEL || t[i].type == CKA_ID || t[i].type == CKA_APPLICATION) &&
            p11->C_GetAttributeValue(fx.session, object, &a, 1) == CKR_OK)
            CHECK(a.ulValueLen == t[i].ulValueLen &&
                  (a.ulValueLen == 0 || memcmp(got, t[i].pValue, a.ulValueLen) == 0));
    }
}

static void create_object(struct bytes *in)
{
    CK_OBJECT_HANDLE object = untouched;
    CK_ULONG n;
    CK_ATTRIBUTE *t = next_template(in, &n);
    CK_RV rv = p11->C_CreateObject(fx.session, t, n, &object);
    judge_new(rv, object, t, n);
    if (rv == CKR_OK)
        CHECK(!flag(object, CKA_LOCAL) && !flag(object, CKA_ALWAYS_SENSITIVE) &&
              !flag(object, CKA_NEVER_EXTRACTABLE));
}

static void generate_key(struct bytes *in)
{
    static const CK_MECHANISM_TYPE types[] = {CKM_AES_KEY_GEN, CKM_GENERIC_SECRET_KEY_GEN,
                                              CKM_SHA256_KEY_GEN, CKM_HKDF_KEY_GEN};
    CK_MECHANISM m = {types[next_u8(in) % COUNT(types)], NULL, 0};
    CK_OBJECT_HANDLE object = untouched;
    CK_ULONG n;
    CK_ATTRIBUTE *t = next_template(in, &n);
    CK_RV rv = p11->C_GenerateKey(fx.session, &m, t, n, &object);
    judge_new(rv, object, t, n);
    if (rv == CKR_OK)
        CHECK(flag(object, CKA_LOCAL));
}

static void generate_pair(struct bytes *in)
{
    static const CK_MECHANISM_TYPE types[] = {CKM_EC_KEY_PAIR_GEN, CKM_EC_EDWARDS_KEY_PAIR_GEN,
                                              CKM_EC_MONTGOMERY_KEY_PAIR_GEN};
    CK_MECHANISM m = {types[next_u8(in) % COUNT(types)], NULL, 0};
    CK_OBJECT_HANDLE public = untouched, private = untouched;
    CK_ULONG public_n, private_n;
    CK_ATTRIBUTE *a = next_template(in, &public_n), *b = next_template(in, &private_n);
    CK_RV rv = p11->C_GenerateKeyPair(fx.session, &m, a, public_n, b, private_n, &public, &private);
    judge_new(rv, public, a, public_n);
    judge_new(rv, private, b, private_n);
}

static void derive(struct bytes *in)
{
    CK_KEY_DERIVATION_STRING_DATA data = {(CK_BYTE *)"0123456789abcdef", 16};
    CK_MECHANISM m = {CKM_CONCATENATE_BASE_AND_DATA, &data, sizeof data};
    CK_OBJECT_HANDLE key = next_object(in), object = untouched;
    CK_ULONG n;
    CK_ATTRIBUTE *t = next_template(in, &n);
    struct one_way base = one_way_of(fx.session, key);
    CK_RV rv = p11->C_DeriveKey(fx.session, &m, key, t, n, &object);
    judge_new(rv, object, t, n);
    if (rv == CKR_OK) /* 6.43.3: what the base key is, the derived one is */
        CHECK(!base.sensitive || one_way_of(fx.session, object).sensitive);
}

static void copy_object(struct bytes *in)
{
    CK_OBJECT_HANDLE from = next_object(in), object = untouched;
    CK_ULONG n;
    CK_ATTRIBUTE *t = next_template(in, &n);
    struct one_way before = one_way_of(fx.session, from);
    CK_RV rv = p11->C_CopyObject(fx.session, from, t, n, &object);
    judge_new(rv, object, t, n);
    if (rv == CKR_OK)
        CHECK(!went_back(before, one_way_of(fx.session, object)));
}

static void set_attributes(struct bytes *in)
{
    CK_OBJECT_HANDLE object = next_object(in);
    CK_ULONG n;
    CK_ATTRIBUTE *t = next_template(in, &n);
    struct one_way before = one_way_of(fx.session, object);
    judge(p11->C_SetAttributeValue(fx.session, object, t, n));
    CHECK(!went_back(before, one_way_of(fx.session, object)));
    hold(object);
}

static void find(struct bytes *in)
{
    CK_OBJECT_HANDLE found[8];
    CK_ULONG n, found_n = 0;
    CK_ATTRIBUTE *t = next_template(in, &n);
    CK_RV rv = p11->C_FindObjectsInit(fx.session, t, n);
    judge(rv);
    if (rv != CKR_OK)
        return;
    CHECK(p11->C_FindObjects(fx.session, found, COUNT(found), &found_n) == CKR_OK);
    CHECK(found_n <= COUNT(found));
    for (CK_ULONG i = 0; i < found_n; i++)
        hold(found[i]);
    CHECK(p11->C_FindObjectsFinal(fx.session) == CKR_OK);
}

/* Into rooms of the input's lengths; guarded by ASan, for each is as long as it says. */
static void get_attributes(struct bytes *in)
{
    CK_ATTRIBUTE t[OWN];
    CK_OBJECT_HANDLE object = next_object(in);
    CK_ULONG n = next_u8(in) % OWN, room_n[OWN];
    for (CK_ULONG i = 0; i < n; i++) {
        static const uint8_t zero[256];
        room_n[i] = next_u8(in);
        t[i] = of(next_type(in), zero, room_n[i]);
        if (next_u8(in) % 4 == 0)
            t[i].pValue = NULL;
    }
    CK_RV rv = p11->C_GetAttributeValue(fx.session, object, t, n);
    judge(rv);
    for (CK_ULONG i = 0; rv == CKR_OK && i < n; i++)
        CHECK(!t[i].pValue || t[i].ulValueLen <= room_n[i]);
}

/* ---- the target ---------------------------------------------------------------------------- */

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    inner_module_start(fill_bases);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const calls[])(struct bytes *) = {create_object, generate_key,   generate_pair,
                                                    derive,        copy_object,    set_attributes,
                                                    find,          get_attributes, create_object};
    struct bytes in = BYTES(data, size);
    n_objects = 0;
    inner_module_begin();
    fx.session = open_session(fx.slot, CKF_RW_SESSION);
    CHECK(login(fx.session, CKU_USER, USER_PIN) == CKR_OK);
    for (int i = 0; i < MOST && in.n; i++) {
        calls[next_u8(&in) % COUNT(calls)](&in);
        free_all();
    }
    inner_module_end();
    return 0;
}
