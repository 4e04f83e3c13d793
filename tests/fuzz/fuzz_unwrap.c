/* What C_UnwrapKey finds behind a right unwrapping: whoever has the wrapping key may put there what
 * he likes. The input is that content; it is encrypted as it should be. */
#include "fuzz.h"
#include "inner_module.h"
#include "keys.h"
#include "rules.h"

static CK_BYTE wrapping_value[32] = {7}, iv[16], nonce[12];
static CK_GCM_PARAMS gcm = {.pIv = nonce, .ulIvLen = sizeof nonce, .ulTagBits = 128};

static const struct {
    CK_MECHANISM mechanism;
    CK_ULONG unit; /* of its input */
} ways[] = {
    {{CKM_AES_KEY_WRAP_KWP, NULL, 0}, 1},
    {{CKM_AES_CBC_PAD, iv, sizeof iv}, 1},
    {{CKM_AES_GCM, &gcm, sizeof gcm}, 1},
    {{CKM_AES_KEY_WRAP, NULL, 0}, 8},
};

static const struct {
    CK_OBJECT_CLASS cls;
    CK_KEY_TYPE type;
} kinds[] = {
    {CKO_PRIVATE_KEY, CKK_EC},         {CKO_PRIVATE_KEY, CKK_RSA},
    {CKO_PRIVATE_KEY, CKK_EC_EDWARDS}, {CKO_PRIVATE_KEY, CKK_EC_MONTGOMERY},
    {CKO_SECRET_KEY, CKK_AES},         {CKO_SECRET_KEY, CKK_GENERIC_SECRET},
    {CKO_SECRET_KEY, CKK_SHA256_HMAC},
};

static CK_OBJECT_HANDLE wrapping_key(void)
{
    CK_OBJECT_HANDLE key;
    CK_ATTRIBUTE t[] = {ATTR_ULONG(CKA_CLASS, CKO_SECRET_KEY),
                        ATTR_ULONG(CKA_KEY_TYPE, CKK_AES),
                        ATTR_MEM(CKA_VALUE, wrapping_value, sizeof wrapping_value),
                        ATTR_BOOL(CKA_EXTRACTABLE, true),
                        ATTR_BOOL(CKA_ENCRYPT, true),
                        ATTR_BOOL(CKA_WRAP, true),
                        ATTR_BOOL(CKA_UNWRAP, true)};
    CHECK(p11->C_CreateObject(fx.session, t, COUNT(t), &key) == CKR_OK);
    return key;
}

static bool expected(CK_RV rv)
{
    static const CK_RV codes[] = {CKR_OK,
                                  CKR_WRAPPED_KEY_INVALID,
                                  CKR_WRAPPED_KEY_LEN_RANGE,
                                  CKR_TEMPLATE_INCONSISTENT,
                                  CKR_TEMPLATE_INCOMPLETE,
                                  CKR_ATTRIBUTE_VALUE_INVALID,
                                  CKR_KEY_SIZE_RANGE,
                                  CKR_CURVE_NOT_SUPPORTED,
                                  CKR_DOMAIN_PARAMS_INVALID};
    for (size_t i = 0; i < COUNT(codes); i++)
        if (rv == codes[i])
            return true;
    fprintf(stderr, "C_UnwrapKey: 0x%lx\n", rv);
    return false;
}

static struct blob encrypt(const CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key,
                           struct bytes content)
{
    struct blob ret = {.n = sizeof ret.p};
    CK_MECHANISM m = *mechanism;
    CK_RV rv = p11->C_EncryptInit(fx.session, &m, key);
    if (rv == CKR_OK)
        rv = p11->C_Encrypt(fx.session, (CK_BYTE *)(uintptr_t)content.p, content.n, ret.p, &ret.n);
    if (rv != CKR_OK)
        ret.n = 0;
    return ret;
}

/* What came in goes out again, and is the same key. */
static void wrap_again(CK_OBJECT_HANDLE wrapping, CK_OBJECT_HANDLE key, size_t kind)
{
    CK_MECHANISM m = ways[0].mechanism;
    struct blob wrapped = {.n = sizeof wrapped.p};
    CK_ATTRIBUTE t[] = {ATTR_ULONG(CKA_CLASS, kinds[kind].cls),
                        ATTR_ULONG(CKA_KEY_TYPE, kinds[kind].type), ATTR_BOOL(CKA_SENSITIVE, false),
                        ATTR_BOOL(CKA_EXTRACTABLE, true)};
    CK_OBJECT_HANDLE second;
    static const CK_ATTRIBUTE_TYPE values[] = {CKA_VALUE, CKA_PRIVATE_EXPONENT, CKA_EC_PARAMS};
    CHECK(p11->C_WrapKey(fx.session, &m, wrapping, key, wrapped.p, &wrapped.n) == CKR_OK);
    CHECK(p11->C_UnwrapKey(fx.session, &m, wrapping, wrapped.p, wrapped.n, t, COUNT(t), &second) ==
          CKR_OK);
    for (size_t i = 0; i < COUNT(values); i++) {
        struct blob a = {.n = sizeof a.p}, b = {.n = sizeof b.p};
        CK_ATTRIBUTE of_a = {values[i], a.p, a.n}, of_b = {values[i], b.p, b.n};
        CK_RV rv = p11->C_GetAttributeValue(fx.session, key, &of_a, 1);
        CHECK(p11->C_GetAttributeValue(fx.session, second, &of_b, 1) == rv);
        if (rv == CKR_OK)
            CHECK(of_a.ulValueLen == of_b.ulValueLen && memcmp(a.p, b.p, of_a.ulValueLen) == 0);
    }
}

static void unwrap(struct bytes in)
{
    uint8_t how = next_u8(&in);
    size_t way = how % COUNT(ways), kind = how / COUNT(ways) % COUNT(kinds);
    bool readable = how & 0x80;
    CK_ATTRIBUTE t[] = {ATTR_ULONG(CKA_CLASS, kinds[kind].cls),
                        ATTR_ULONG(CKA_KEY_TYPE, kinds[kind].type),
                        ATTR_BOOL(CKA_SENSITIVE, !readable), ATTR_BOOL(CKA_EXTRACTABLE, readable)};
    CK_OBJECT_HANDLE wrapping = wrapping_key(), key = 0;
    CK_MECHANISM m = ways[way].mechanism;
    in.n = in.n > 4000 ? 4000 : in.n - in.n % ways[way].unit;
    struct blob wrapped = encrypt(&m, wrapping, in);
    if (wrapped.n == 0)
        return;
    CK_RV rv = p11->C_UnwrapKey(fx.session, &m, wrapping, wrapped.p, wrapped.n, t, COUNT(t), &key);
    CHECK(expected(rv));
    if (rv != CKR_OK)
        return;
    CHECK(!broken_rule(fx.session, key));
    CHECK(!get_bool(fx.session, key, CKA_LOCAL) &&
          !get_bool(fx.session, key, CKA_ALWAYS_SENSITIVE));
    if (readable)
        wrap_again(wrapping, key, kind);
}

static void nothing(void)
{
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    inner_module_start(nothing);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    inner_module_begin();
    fx.session = open_session(fx.slot, CKF_RW_SESSION);
    CHECK(login(fx.session, CKU_USER, USER_PIN) == CKR_OK);
    unwrap(BYTES(data, size));
    inner_module_end();
    return 0;
}
