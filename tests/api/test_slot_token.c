/* Slot and token management: PKCS#11 3.0 section 5.5. */
#include "fixture.h"

static bool printable(const CK_UTF8CHAR *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] < ' ')
            return false;
    return true;
}

static void slot_list_protocol(void **state)
{
    (void)state;
    CK_SLOT_ID slots[16];
    CK_ULONG n = 0, with_token = 0;
    assert_ok(p11->C_GetSlotList(CK_FALSE, NULL, &n));
    assert_ok(p11->C_GetSlotList(CK_TRUE, NULL, &with_token));
    assert_int_equal(with_token, 1); /* the blank slot is not offered beside a token */
    assert_int_equal(n, 2);
    n = 1;
    assert_rv(CKR_BUFFER_TOO_SMALL, p11->C_GetSlotList(CK_FALSE, slots, &n));
    assert_int_equal(n, 2);
    n = COUNT(slots);
    assert_ok(p11->C_GetSlotList(CK_TRUE, slots, &n));
    assert_int_equal(n, 1);
    assert_int_equal(slots[0], fx.slot);
    assert_rv(CKR_ARGUMENTS_BAD, p11->C_GetSlotList(CK_TRUE, slots, NULL));
}

static void slot_info(void **state)
{
    (void)state;
    CK_SLOT_INFO info;
    memset(&info, 0, sizeof info);
    assert_ok(p11->C_GetSlotInfo(fx.slot, &info));
    assert_true(printable(info.slotDescription, sizeof info.slotDescription));
    assert_true(printable(info.manufacturerID, sizeof info.manufacturerID));
    assert_true(info.flags & CKF_TOKEN_PRESENT);
    assert_true(info.flags & CKF_HW_SLOT);
    assert_false(info.flags & CKF_REMOVABLE_DEVICE);
    assert_rv(CKR_ARGUMENTS_BAD, p11->C_GetSlotInfo(fx.slot, NULL));
    assert_rv(CKR_SLOT_ID_INVALID, p11->C_GetSlotInfo(CK_UNAVAILABLE_INFORMATION, &info));
}

static void token_info(void **state)
{
    (void)state;
    CK_TOKEN_INFO info;
    CK_UTF8CHAR label[32];
    memset(&info, 0, sizeof info);
    pad_label(label, LABEL);
    assert_ok(p11->C_GetTokenInfo(fx.slot, &info));
    assert_memory_equal(info.label, label, sizeof label);
    assert_true(printable(info.manufacturerID, sizeof info.manufacturerID));
    assert_true(printable(info.model, sizeof info.model));
    assert_true(printable(info.serialNumber, sizeof info.serialNumber));
    const CK_FLAGS set =
        CKF_RNG | CKF_LOGIN_REQUIRED | CKF_USER_PIN_INITIALIZED | CKF_TOKEN_INITIALIZED;
    assert_int_equal(info.flags & set, set);
    assert_int_equal(info.flags & (CKF_WRITE_PROTECTED | CKF_USER_PIN_LOCKED | CKF_SO_PIN_LOCKED |
                                   CKF_PROTECTED_AUTHENTICATION_PATH),
                     0);
    assert_int_equal(info.ulMinPinLen, 4);
    assert_int_equal(info.ulMaxPinLen, 255);
    assert_int_equal(info.ulSessionCount, 0);
    open_session(fx.slot, CKF_RW_SESSION);
    open_session(fx.slot, 0);
    assert_ok(p11->C_GetTokenInfo(fx.slot, &info));
    assert_int_equal(info.ulSessionCount, 2);
    assert_int_equal(info.ulRwSessionCount, 1);
    assert_rv(CKR_ARGUMENTS_BAD, p11->C_GetTokenInfo(fx.slot, NULL));
    assert_rv(CKR_SLOT_ID_INVALID, p11->C_GetTokenInfo(CK_UNAVAILABLE_INFORMATION, &info));
}

static void blank_token(void **state)
{
    (void)state;
    CK_TOKEN_INFO info;
    CK_SLOT_ID slot = blank_slot();
    assert_ok(p11->C_GetTokenInfo(slot, &info));
    assert_false(info.flags & CKF_TOKEN_INITIALIZED);
    assert_false(info.flags & CKF_USER_PIN_INITIALIZED);
}

static CK_RV peer_find_token(void)
{
    CK_SLOT_ID slots[16];
    CK_ULONG n = COUNT(slots);
    CK_RV rv = p11->C_Initialize(NULL);
    if (rv == CKR_OK)
        rv = p11->C_GetSlotList(CK_TRUE, slots, &n);
    if (rv != CKR_OK)
        return rv;
    for (CK_ULONG i = 0; i < n; i++) {
        CK_TOKEN_INFO info;
        CK_UTF8CHAR label[32];
        pad_label(label, LABEL);
        if (p11->C_GetTokenInfo(slots[i], &info) == CKR_OK &&
            memcmp(info.label, label, sizeof label) == 0)
            return slots[i];
    }
    return CK_UNAVAILABLE_INFORMATION;
}

/* Slot ids are the same in every process, and stay when other tokens come. */
static void slot_ids_are_stable(void **state)
{
    (void)state;
    struct peer p;
    peer_start(&p);
    assert_int_equal(peer_call(&p, peer_find_token), fx.slot);
    peer_stop(&p);
    CK_SLOT_ID blank = blank_slot();
    CK_SLOT_ID second = make_token("second", SO_PIN, USER_PIN);
    assert_int_equal(second, blank); /* C_InitToken keeps the slot id */
    assert_true(blank_slot() != second);
    CK_TOKEN_INFO first_info, second_info;
    assert_ok(p11->C_GetTokenInfo(fx.slot, &first_info));
    assert_ok(p11->C_GetTokenInfo(second, &second_info));
    assert_memory_not_equal(first_info.serialNumber, second_info.serialNumber,
                            sizeof first_info.serialNumber);
    assert_ok(p11->C_Finalize(NULL));
    assert_ok(initialize(NULL));
    assert_int_equal(slot_of("second"), second);
    assert_int_equal(slot_of(LABEL), fx.slot);
}

static void mechanism_list(void **state)
{
    (void)state;
    CK_MECHANISM_TYPE types[256];
    CK_ULONG n = 0;
    assert_ok(p11->C_GetMechanismList(fx.slot, NULL, &n));
    assert_in_range(n, 20, COUNT(types));
    CK_ULONG all = n;
    n = 1;
    assert_rv(CKR_BUFFER_TOO_SMALL, p11->C_GetMechanismList(fx.slot, types, &n));
    assert_int_equal(n, all);
    assert_ok(p11->C_GetMechanismList(fx.slot, types, &n));
    for (CK_ULONG i = 0; i < n; i++) {
        CK_MECHANISM_INFO info = {0};
        assert_ok(p11->C_GetMechanismInfo(fx.slot, types[i], &info));
        assert_true(info.ulMinKeySize <= info.ulMaxKeySize);
        assert_true((info.flags & ~(CK_FLAGS)CKF_HW) != 0);
        for (CK_ULONG j = 0; j < i; j++)
            assert_true(types[i] != types[j]);
    }
    CK_MECHANISM_INFO info;
    assert_rv(CKR_MECHANISM_INVALID, p11->C_GetMechanismInfo(fx.slot, 0x7FFFFFFF, &info));
    assert_rv(CKR_ARGUMENTS_BAD, p11->C_GetMechanismInfo(fx.slot, types[0], NULL));
    assert_rv(CKR_ARGUMENTS_BAD, p11->C_GetMechanismList(fx.slot, types, NULL));
    assert_rv(CKR_SLOT_ID_INVALID, p11->C_GetMechanismList(CK_UNAVAILABLE_INFORMATION, NULL, &n));
}

/* A mechanism missing from the list is dead to most programs; flags say what it can do. */
static void mechanism_flags(void **state)
{
    (void)state;
    static const CK_FLAGS sign = CKF_SIGN | CKF_VERIFY, crypt = CKF_ENCRYPT | CKF_DECRYPT,
                          recover = CKF_SIGN_RECOVER | CKF_VERIFY_RECOVER;
    static const struct {
        CK_MECHANISM_TYPE type;
        CK_FLAGS flags;
    } rows[] = {
        {CKM_RSA_PKCS_KEY_PAIR_GEN, CKF_GENERATE_KEY_PAIR},
        {CKM_EC_KEY_PAIR_GEN, CKF_GENERATE_KEY_PAIR},
        {CKM_RSA_PKCS, sign | crypt | recover},
        {CKM_RSA_X_509, sign | crypt | recover},
        {CKM_RSA_PKCS_OAEP, crypt},
        {CKM_RSA_PKCS_PSS, sign},
        {CKM_SHA1_RSA_PKCS, sign},
        {CKM_SHA224_RSA_PKCS, sign},
        {CKM_SHA256_RSA_PKCS, sign},
        {CKM_SHA384_RSA_PKCS, sign},
        {CKM_SHA512_RSA_PKCS, sign},
        {CKM_SHA1_RSA_PKCS_PSS, sign},
        {CKM_SHA224_RSA_PKCS_PSS, sign},
        {CKM_SHA256_RSA_PKCS_PSS, sign},
        {CKM_SHA384_RSA_PKCS_PSS, sign},
        {CKM_SHA512_RSA_PKCS_PSS, sign},
        {CKM_ECDSA, sign},
        {CKM_ECDSA_SHA1, sign},
        {CKM_ECDSA_SHA224, sign},
        {CKM_ECDSA_SHA256, sign},
        {CKM_ECDSA_SHA384, sign},
        {CKM_ECDSA_SHA512, sign},
        {CKM_ECDH1_DERIVE, CKF_DERIVE},
        {CKM_ECDH1_COFACTOR_DERIVE, CKF_DERIVE},
        {CKM_SHA_1, CKF_DIGEST},
        {CKM_SHA224, CKF_DIGEST},
        {CKM_SHA256, CKF_DIGEST},
        {CKM_SHA384, CKF_DIGEST},
        {CKM_SHA512, CKF_DIGEST},
        {CKM_SHA3_224, CKF_DIGEST},
        {CKM_SHA3_256, CKF_DIGEST},
        {CKM_SHA3_384, CKF_DIGEST},
        {CKM_SHA3_512, CKF_DIGEST},
    };
    const CK_FLAGS functions = sign | crypt | CKF_DIGEST | CKF_DERIVE | CKF_GENERATE_KEY_PAIR |
                               CKF_GENERATE | CKF_SIGN_RECOVER | CKF_VERIFY_RECOVER;
    for (size_t i = 0; i < COUNT(rows); i++) {
        CK_MECHANISM_INFO info;
        assert_ok(p11->C_GetMechanismInfo(fx.slot, rows[i].type, &info));
        assert_int_equal(info.flags & functions, rows[i].flags);
    }
    CK_MECHANISM_INFO rsa, ec;
    assert_ok(p11->C_GetMechanismInfo(fx.slot, CKM_RSA_PKCS_KEY_PAIR_GEN, &rsa));
    assert_true(rsa.ulMinKeySize <= 2048 && rsa.ulMaxKeySize >= 2048);
    assert_true(rsa.flags & CKF_HW);
    assert_ok(p11->C_GetMechanismInfo(fx.slot, CKM_ECDSA, &ec));
    assert_true(ec.ulMinKeySize <= 256 && ec.ulMaxKeySize >= 384);
    const CK_FLAGS curve = CKF_EC_F_P | CKF_EC_NAMEDCURVE | CKF_EC_UNCOMPRESS;
    assert_int_equal(ec.flags & curve, curve);
}

static void slot_events(void **state)
{
    (void)state;
    CK_SLOT_ID slot;
    assert_rv(CKR_NO_EVENT, p11->C_WaitForSlotEvent(CKF_DONT_BLOCK, &slot, NULL));
    assert_rv(CKR_ARGUMENTS_BAD, p11->C_WaitForSlotEvent(CKF_DONT_BLOCK, NULL, NULL));
    assert_rv(CKR_ARGUMENTS_BAD, p11->C_WaitForSlotEvent(CKF_DONT_BLOCK, &slot, &slot));
}

static void init_token_arguments(void **state)
{
    (void)state;
    CK_UTF8CHAR label[32], long_pin[256];
    pad_label(label, "never");
    memset(long_pin, '1', sizeof long_pin);
    CK_SLOT_ID slot = blank_slot();
    assert_rv(CKR_PIN_LEN_RANGE, p11->C_InitToken(slot, PIN("123"), label));
    assert_rv(CKR_PIN_LEN_RANGE, p11->C_InitToken(slot, long_pin, sizeof long_pin, label));
    assert_rv(CKR_ARGUMENTS_BAD, p11->C_InitToken(slot, PIN(SO_PIN), NULL));
    assert_rv(CKR_ARGUMENTS_BAD, p11->C_InitToken(slot, NULL, 4, label));
    assert_rv(CKR_SLOT_ID_INVALID,
              p11->C_InitToken(CK_UNAVAILABLE_INFORMATION, PIN(SO_PIN), label));
    assert_int_equal(blank_slot(), slot);
}

#define TOKEN_TEST(f) cmocka_unit_test_setup_teardown(f, test_initialized, test_end)

int main(int argc, char **argv)
{
    static const peer_step steps[] = {peer_find_token};
    peer_serve(argc, argv, steps, COUNT(steps));
    const struct CMUnitTest tests[] = {
        TOKEN_TEST(slot_list_protocol),   TOKEN_TEST(slot_info),
        TOKEN_TEST(token_info),           TOKEN_TEST(blank_token),
        TOKEN_TEST(init_token_arguments), TOKEN_TEST(mechanism_list),
        TOKEN_TEST(mechanism_flags),      TOKEN_TEST(slot_events),
        TOKEN_TEST(slot_ids_are_stable),
    };
    return cmocka_run_group_tests(tests, group_token, group_end);
}
