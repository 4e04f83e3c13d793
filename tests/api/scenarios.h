/* Every family of functions once, in small calls that check their own results: what a walk of
 * faults goes along. The calls in FAULTY() are those that the fault may meet. */
#ifndef TESTS_SCENARIOS_H
#define TESTS_SCENARIOS_H

#include "faults.h"
#include "material.h"

#include <latchkey/vendor.h>
#include <stdio.h>

#define WALK   "walk" /* CKA_LABEL of what a scenario makes */
#define SECOND "second token"
#define TRY_STEP(call)                                                                             \
    do {                                                                                           \
        CK_RV step_rv_ = FAULTY(call);                                                             \
        if (step_rv_ != CKR_OK)                                                                    \
            return step_rv_;                                                                       \
    } while (0)

enum start { AT_NOTHING, AT_INITIALIZED, AT_SESSION, AT_USER, AT_SO };

static struct {
    CK_OBJECT_HANDLE ec, ec_public, ed, rsa, aes, sealed_aes, base, data;
} have;

/* ---- what is there ------------------------------------------------------------------------- */

static void keep_pair(const char *kind, const char *label)
{
    static struct parts parts;
    CK_OBJECT_HANDLE object;
    EVP_PKEY *key = make_key(kind);
    private_parts(key, &parts);
    set_part(&parts, (CK_ATTRIBUTE)ATTR_BOOL(CKA_TOKEN, true));
    set_part(&parts, (CK_ATTRIBUTE)ATTR_STR(CKA_LABEL, label));
    assert_ok(create(&parts, &object));
    public_parts(key, &parts);
    set_part(&parts, (CK_ATTRIBUTE)ATTR_BOOL(CKA_TOKEN, true));
    set_part(&parts, (CK_ATTRIBUTE)ATTR_STR(CKA_LABEL, label));
    assert_ok(create(&parts, &object));
    EVP_PKEY_free(key);
}

static void keep_secret(CK_KEY_TYPE type, CK_ULONG n, const char *label, bool sealed)
{
    static struct parts parts;
    CK_OBJECT_HANDLE object;
    secret_parts(type, random_blob(n), &parts);
    set_part(&parts, (CK_ATTRIBUTE)ATTR_BOOL(CKA_TOKEN, true));
    set_part(&parts, (CK_ATTRIBUTE)ATTR_STR(CKA_LABEL, label));
    set_part(&parts, (CK_ATTRIBUTE)ATTR_BOOL(CKA_EXTRACTABLE, sealed));
    assert_ok(create(&parts, &object));
}

static CK_RV make_data(bool token, CK_OBJECT_HANDLE *ret, const char *label)
{
    CK_ATTRIBUTE data[] = {ATTR_ULONG(CKA_CLASS, CKO_DATA), ATTR_BOOL(CKA_TOKEN, token),
                           ATTR_BOOL(CKA_PRIVATE, true), ATTR_STR(CKA_LABEL, label),
                           ATTR_STR(CKA_VALUE, "value")};
    return p11->C_CreateObject(fx.session, data, COUNT(data), ret);
}

/* A PIN's stretching allocates twice a round: as few of them as can be. */
static void configure(void)
{
    char path[80];
    snprintf(path, sizeof path, "%s/latchkey.conf", fx.dir);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs("pin-rounds = 1000\n", f);
    fclose(f);
}

static int group_scenarios(void **state)
{
    CK_OBJECT_HANDLE data;
    group_environment(state);
    configure();
    assert_ok(initialize(NULL));
    fx.slot = make_token(LABEL, SO_PIN, USER_PIN);
    test_end(state);
    test_user(state);
    keep_pair("P-256", "ec");
    keep_pair("ED25519", "ed");
    keep_pair("RSA-1024", "rsa");
    keep_secret(CKK_AES, 32, "aes", false);
    keep_secret(CKK_AES, 32, "sealed aes", true);
    keep_secret(CKK_GENERIC_SECRET, 32, "base", true);
    assert_ok(make_data(true, &data, "data"));
    make_token(SECOND, SO_PIN, USER_PIN);
    return test_end(state);
}

static void look_around(void)
{
    have.ec = find_object(fx.session, CKO_PRIVATE_KEY, "ec");
    have.ec_public = find_object(fx.session, CKO_PUBLIC_KEY, "ec");
    have.ed = find_object(fx.session, CKO_PRIVATE_KEY, "ed");
    have.rsa = find_object(fx.session, CKO_PRIVATE_KEY, "rsa");
    have.aes = find_object(fx.session, CKO_SECRET_KEY, "aes");
    have.sealed_aes = find_object(fx.session, CKO_SECRET_KEY, "sealed aes");
    have.base = find_object(fx.session, CKO_SECRET_KEY, "base");
    have.data = find_object(fx.session, CKO_DATA, "data");
}

/* ---- library, slots, sessions -------------------------------------------------------------- */

static CK_RV initialise(void)
{
    TRY_STEP(initialize(NULL));
    assert_int_equal(slot_of(LABEL), fx.slot);
    return p11->C_Finalize(NULL);
}

static CK_RV finalise(void)
{
    assert_ok(initialize(NULL));
    fx.session = open_session(fx.slot, CKF_RW_SESSION);
    assert_ok(login(fx.session, CKU_USER, USER_PIN));
    TRY_STEP(p11->C_Finalize(NULL));
    return CKR_OK;
}

static CK_RV log_in_as_child(void)
{
    TRY_STEP(initialize(NULL));
    TRY_STEP(p11->C_OpenSession(fx.slot, CKF_SERIAL_SESSION, NULL, NULL, &fx.session));
    TRY_STEP(login(fx.session, CKU_USER, USER_PIN));
    return CKR_OK;
}

static CK_RV forked_child(void)
{
    CK_RV rv = log_in_as_child();
    p11->C_Finalize(NULL);
    return rv;
}

static CK_RV in_a_fork(void)
{
    return in_child(forked_child);
}

static CK_RV slots(void)
{
    CK_SLOT_ID list[8];
    CK_ULONG n = COUNT(list);
    CK_SLOT_INFO slot;
    CK_TOKEN_INFO token;
    TRY_STEP(p11->C_GetSlotList(CK_TRUE, list, &n));
    assert_int_equal(n, 2);
    TRY_STEP(p11->C_GetSlotInfo(fx.slot, &slot));
    assert_true(slot.flags & CKF_TOKEN_PRESENT);
    TRY_STEP(p11->C_GetTokenInfo(fx.slot, &token));
    assert_memory_equal(token.label, LABEL, strlen(LABEL));
    assert_true(!(token.flags & CKF_WRITE_PROTECTED) || fault_struck());
    return CKR_OK;
}

static CK_RV slot_event(void)
{
    CK_SLOT_ID slot;
    CK_RV rv = FAULTY(p11->C_WaitForSlotEvent(CKF_DONT_BLOCK, &slot, NULL));
    return rv == CKR_NO_EVENT ? CKR_OK : rv;
}

static CK_RV mechanisms(void)
{
    CK_MECHANISM_TYPE list[400];
    CK_ULONG n = COUNT(list);
    CK_MECHANISM_INFO info;
    TRY_STEP(p11->C_GetMechanismList(fx.slot, list, &n));
    TRY_STEP(p11->C_GetMechanismInfo(fx.slot, CKM_ECDSA, &info));
    assert_true(info.flags & CKF_SIGN);
    return CKR_OK;
}

static CK_RV sessions(void)
{
    CK_SESSION_HANDLE session;
    CK_SESSION_INFO info;
    TRY_STEP(p11->C_OpenSession(fx.slot, CKF_SERIAL_SESSION, NULL, NULL, &session));
    TRY_STEP(p11->C_GetSessionInfo(session, &info));
    assert_int_equal(info.state, CKS_RO_PUBLIC_SESSION);
    TRY_STEP(p11->C_CloseSession(session));
    return CKR_OK;
}

static CK_RV log_in_and_out(void)
{
    TRY_STEP(login(fx.session, CKU_USER, USER_PIN));
    assert_true(find_object(fx.session, CKO_PRIVATE_KEY, "ec") != CK_INVALID_HANDLE);
    TRY_STEP(p11->C_Logout(fx.session));
    assert_true(find_object(fx.session, CKO_PRIVATE_KEY, "ec") == CK_INVALID_HANDLE);
    return CKR_OK;
}

/* ---- tokens and PINs ----------------------------------------------------------------------- */

#define OTHER_PIN "another pin 4321"

static unsigned wrong_pins; /* typed on purpose */

static bool opens(const char *pin)
{
    CK_SESSION_HANDLE session = open_session(slot_of(SECOND), CKF_RW_SESSION);
    CK_RV rv = login(session, CKU_USER, pin);
    assert_rv_either(CKR_OK, CKR_PIN_INCORRECT, rv);
    assert_ok(p11->C_CloseSession(session));
    wrong_pins += rv != CKR_OK;
    return rv == CKR_OK;
}

/* It has one PIN of the two, whatever was answered; afterwards the first. */
static void put_the_pin_back(CK_RV rv)
{
    bool other = opens(OTHER_PIN);
    assert_int_equal(opens(USER_PIN), !other);
    if (rv == CKR_OK)
        assert_true(other);
    if (!other)
        return;
    CK_SESSION_HANDLE session = open_session(slot_of(SECOND), CKF_RW_SESSION);
    assert_ok(p11->C_SetPIN(session, PIN(OTHER_PIN), PIN(USER_PIN)));
    assert_ok(p11->C_CloseSession(session));
}

static CK_RV set_pin(void)
{
    CK_SESSION_HANDLE session = open_session(slot_of(SECOND), CKF_RW_SESSION);
    CK_RV rv = FAULTY(p11->C_SetPIN(session, PIN(USER_PIN), PIN(OTHER_PIN)));
    assert_ok(p11->C_CloseSession(session));
    put_the_pin_back(rv);
    return rv;
}

static CK_RV init_pin(void)
{
    CK_SESSION_HANDLE session = open_session(slot_of(SECOND), CKF_RW_SESSION);
    assert_ok(login(session, CKU_SO, SO_PIN));
    CK_RV rv = FAULTY(p11->C_InitPIN(session, PIN(OTHER_PIN)));
    assert_ok(p11->C_CloseSession(session));
    put_the_pin_back(rv);
    return rv;
}

/* Afterwards the token is the old one or the new one, and no index of the other is left once the
 * store could be written. */
static CK_RV init_token(void)
{
    CK_UTF8CHAR label[32];
    CK_TOKEN_INFO info;
    CK_SLOT_ID slot = slot_of(SECOND);
    pad_label(label, SECOND);
    CK_RV rv = FAULTY(p11->C_InitToken(slot, PIN(SO_PIN), label));
    assert_ok(p11->C_GetTokenInfo(slot, &info));
    CK_SESSION_HANDLE session = open_session(slot, CKF_RW_SESSION);
    assert_ok(login(session, CKU_SO, SO_PIN));
    if (!(info.flags & CKF_USER_PIN_INITIALIZED))
        assert_ok(p11->C_InitPIN(session, PIN(USER_PIN)));
    assert_ok(p11->C_CloseSession(session));
    assert_true(opens(USER_PIN));
    return rv;
}

/* ---- objects ------------------------------------------------------------------------------- */

static CK_RV find(void)
{
    CK_ATTRIBUTE template[] = {ATTR_STR(CKA_LABEL, "ec")};
    CK_OBJECT_HANDLE found[4];
    CK_ULONG n = 0;
    TRY_STEP(p11->C_FindObjectsInit(fx.session, template, 1));
    CK_RV rv = FAULTY(p11->C_FindObjects(fx.session, found, COUNT(found), &n));
    CK_RV last = FAULTY(p11->C_FindObjectsFinal(fx.session));
    if (rv == CKR_OK)
        assert_int_equal(n, 2);
    return rv == CKR_OK ? last : rv;
}

static CK_RV get_attributes(void)
{
    CK_BYTE label[16], value[16];
    CK_ATTRIBUTE wanted[] = {{CKA_LABEL, label, sizeof label}, {CKA_VALUE, value, sizeof value}};
    TRY_STEP(p11->C_GetAttributeValue(fx.session, have.data, wanted, COUNT(wanted)));
    assert_int_equal(wanted[1].ulValueLen, 5);
    assert_memory_equal(value, "value", 5);
    return CKR_OK;
}

static CK_RV get_sealed_value(void)
{
    CK_BYTE value[64];
    CK_ULONG size = 0;
    CK_ATTRIBUTE wanted[] = {{CKA_VALUE_LEN, &size, sizeof size}, {CKA_VALUE, value, sizeof value}};
    CK_RV rv = FAULTY(p11->C_GetAttributeValue(fx.session, have.base, wanted, COUNT(wanted)));
    if (rv == CKR_ATTRIBUTE_SENSITIVE) /* it is */
        rv = wanted[1].ulValueLen == CK_UNAVAILABLE_INFORMATION ? CKR_OK : rv;
    return rv;
}

static CK_RV set_attributes(void)
{
    CK_ATTRIBUTE fresh = ATTR_STR(CKA_VALUE, "fresh"), old = ATTR_STR(CKA_VALUE, "value");
    CK_RV rv = FAULTY(p11->C_SetAttributeValue(fx.session, have.data, &fresh, 1));
    struct blob now = get_attribute(fx.session, have.data, CKA_VALUE);
    assert_int_equal(now.n, 5);
    if (rv == CKR_OK || memcmp(now.p, "value", 5) != 0)
        assert_memory_equal(now.p, "fresh", 5);
    assert_ok(p11->C_SetAttributeValue(fx.session, have.data, &old, 1));
    return rv;
}

static CK_RV create_data(void)
{
    CK_OBJECT_HANDLE object;
    return FAULTY(make_data(true, &object, WALK));
}

static CK_RV create_session_data(void)
{
    CK_OBJECT_HANDLE object;
    return FAULTY(make_data(false, &object, WALK));
}

static CK_RV copy_key(CK_OBJECT_HANDLE key, bool token)
{
    CK_OBJECT_HANDLE object;
    CK_ATTRIBUTE changes[] = {ATTR_STR(CKA_LABEL, WALK), ATTR_BOOL(CKA_TOKEN, token)};
    return FAULTY(p11->C_CopyObject(fx.session, key, changes, COUNT(changes), &object));
}

static CK_RV copy(void)
{
    return copy_key(have.ec, true);
}

static CK_RV copy_to_session(void)
{
    return copy_key(have.sealed_aes, false);
}

static CK_RV destroy(void)
{
    CK_OBJECT_HANDLE object;
    assert_ok(make_data(true, &object, "to be destroyed"));
    CK_RV rv = FAULTY(p11->C_DestroyObject(fx.session, object));
    object = find_object(fx.session, CKO_DATA, "to be destroyed");
    if (rv == CKR_OK)
        assert_true(object == CK_INVALID_HANDLE);
    if (object != CK_INVALID_HANDLE)
        assert_ok(p11->C_DestroyObject(fx.session, object));
    return rv;
}

static CK_RV create_public_key(void)
{
    CK_OBJECT_HANDLE object;
    CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_CLASS, CKO_PUBLIC_KEY),
                               ATTR_ULONG(CKA_KEY_TYPE, CKK_EC),
                               ATTR_BOOL(CKA_TOKEN, true),
                               ATTR_STR(CKA_LABEL, WALK),
                               {CKA_EC_PARAMS, NULL, 0},
                               {CKA_EC_POINT, NULL, 0}};
    struct blob params = get_attribute(fx.session, have.ec_public, CKA_EC_PARAMS);
    struct blob point = get_attribute(fx.session, have.ec_public, CKA_EC_POINT);
    template[4] = (CK_ATTRIBUTE)ATTR_MEM(CKA_EC_PARAMS, params.p, params.n);
    template[5] = (CK_ATTRIBUTE)ATTR_MEM(CKA_EC_POINT, point.p, point.n);
    return FAULTY(p11->C_CreateObject(fx.session, template, COUNT(template), &object));
}

/* ---- keys ---------------------------------------------------------------------------------- */

static CK_RV generate_secret(bool sealed)
{
    CK_OBJECT_HANDLE key;
    CK_ATTRIBUTE template[] = {ATTR_STR(CKA_LABEL, WALK), ATTR_BOOL(CKA_TOKEN, true),
                               ATTR_ULONG(CKA_VALUE_LEN, 32), ATTR_BOOL(CKA_EXTRACTABLE, sealed)};
    return FAULTY(p11->C_GenerateKey(fx.session, MECHANISM(CKM_AES_KEY_GEN), template,
                                     COUNT(template), &key));
}

static CK_RV generate_in_tpm(void)
{
    return generate_secret(false);
}

static CK_RV generate_sealed(void)
{
    return generate_secret(true);
}

static CK_RV generate_pair(void)
{
    struct blob curve = ec_params(NID_X9_62_prime256v1);
    CK_OBJECT_HANDLE keys[2];
    CK_ATTRIBUTE public[] = {ATTR_STR(CKA_LABEL, WALK), ATTR_BOOL(CKA_TOKEN, true),
                             ATTR_MEM(CKA_EC_PARAMS, curve.p, curve.n)};
    CK_ATTRIBUTE private[] = {ATTR_STR(CKA_LABEL, WALK), ATTR_BOOL(CKA_TOKEN, true)};
    return FAULTY(p11->C_GenerateKeyPair(fx.session, MECHANISM(CKM_EC_KEY_PAIR_GEN), public, 3,
                                         private, 2, &keys[0], &keys[1]));
}

static CK_RV import_pair(void)
{
    static struct parts parts;
    CK_OBJECT_HANDLE object;
    EVP_PKEY *key = make_key("P-256");
    private_parts(key, &parts);
    EVP_PKEY_free(key);
    set_part(&parts, (CK_ATTRIBUTE)ATTR_BOOL(CKA_TOKEN, true));
    set_part(&parts, (CK_ATTRIBUTE)ATTR_STR(CKA_LABEL, WALK));
    return FAULTY(create(&parts, &object));
}

static CK_RV wrap_and_unwrap(void)
{
    struct blob wrapped = {.n = sizeof wrapped.p};
    CK_OBJECT_HANDLE key;
    CK_MECHANISM *kwp = MECHANISM(CKM_AES_KEY_WRAP_KWP);
    CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_CLASS, CKO_SECRET_KEY),
                               ATTR_ULONG(CKA_KEY_TYPE, CKK_GENERIC_SECRET),
                               ATTR_STR(CKA_LABEL, WALK), ATTR_BOOL(CKA_TOKEN, true)};
    TRY_STEP(p11->C_WrapKey(fx.session, kwp, have.sealed_aes, have.base, wrapped.p, &wrapped.n));
    assert_int_equal(wrapped.n, 40);
    return FAULTY(p11->C_UnwrapKey(fx.session, kwp, have.sealed_aes, wrapped.p, wrapped.n, template,
                                   COUNT(template), &key));
}

static CK_RV derive_ecdh(void)
{
    static struct blob point;
    CK_OBJECT_HANDLE key;
    point = get_attribute(fx.session, have.ec_public, CKA_EC_POINT);
    CK_ECDH1_DERIVE_PARAMS ecdh = {CKD_NULL, 0, NULL, point.n, point.p};
    CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_CLASS, CKO_SECRET_KEY),
                               ATTR_ULONG(CKA_KEY_TYPE, CKK_AES), ATTR_ULONG(CKA_VALUE_LEN, 32),
                               ATTR_STR(CKA_LABEL, WALK), ATTR_BOOL(CKA_TOKEN, false)};
    return FAULTY(p11->C_DeriveKey(fx.session, MECHANISM_WITH(CKM_ECDH1_DERIVE, ecdh), have.ec,
                                   template, COUNT(template), &key));
}

static CK_RV derive_hkdf(void)
{
    CK_OBJECT_HANDLE key;
    CK_HKDF_PARAMS hkdf = {.bExtract = CK_TRUE,
                           .bExpand = CK_TRUE,
                           .prfHashMechanism = CKM_SHA256,
                           .ulSaltType = CKF_HKDF_SALT_NULL};
    CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_CLASS, CKO_SECRET_KEY),
                               ATTR_ULONG(CKA_KEY_TYPE, CKK_AES), ATTR_ULONG(CKA_VALUE_LEN, 32),
                               ATTR_STR(CKA_LABEL, WALK), ATTR_BOOL(CKA_TOKEN, true)};
    return FAULTY(p11->C_DeriveKey(fx.session, MECHANISM_WITH(CKM_HKDF_DERIVE, hkdf), have.base,
                                   template, COUNT(template), &key));
}

/* ---- operations ---------------------------------------------------------------------------- */

static const CK_BYTE text[] = "sixteen bytes of text, and then sixteen again..";

static CK_RV sign_with(CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, struct blob *ret)
{
    ret->n = sizeof ret->p;
    TRY_STEP(p11->C_SignInit(fx.session, mechanism, key));
    TRY_STEP(p11->C_Sign(fx.session, (CK_BYTE_PTR)text, 32, ret->p, &ret->n));
    return CKR_OK;
}

static CK_RV sign_and_verify(CK_MECHANISM *mechanism, CK_OBJECT_CLASS cls, const char *label,
                             CK_OBJECT_HANDLE key)
{
    struct blob signature;
    CK_RV rv = sign_with(mechanism, key, &signature);
    if (rv != CKR_OK)
        return rv;
    CK_OBJECT_HANDLE checker = find_object(fx.session, cls, label);
    assert_ok(verify(fx.session, mechanism, checker, text, 32, signature));
    TRY_STEP(p11->C_VerifyInit(fx.session, mechanism, checker));
    TRY_STEP(p11->C_Verify(fx.session, (CK_BYTE_PTR)text, 32, signature.p, signature.n));
    return CKR_OK;
}

static CK_RV ecdsa(void)
{
    return sign_and_verify(MECHANISM(CKM_ECDSA), CKO_PUBLIC_KEY, "ec", have.ec);
}

static CK_RV eddsa(void)
{
    return sign_and_verify(MECHANISM(CKM_EDDSA), CKO_PUBLIC_KEY, "ed", have.ed);
}

static CK_RV rsa(void)
{
    return sign_and_verify(MECHANISM(CKM_SHA256_RSA_PKCS), CKO_PUBLIC_KEY, "rsa", have.rsa);
}

static CK_RV hmac(void)
{
    return sign_and_verify(MECHANISM(CKM_SHA256_HMAC), CKO_SECRET_KEY, "base", have.base);
}

static CK_RV encrypt_and_decrypt(CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
    struct blob there = {.n = sizeof there.p}, back = {.n = sizeof back.p};
    TRY_STEP(p11->C_EncryptInit(fx.session, mechanism, key));
    TRY_STEP(p11->C_Encrypt(fx.session, (CK_BYTE_PTR)text, sizeof text, there.p, &there.n));
    TRY_STEP(p11->C_DecryptInit(fx.session, mechanism, key));
    TRY_STEP(p11->C_Decrypt(fx.session, there.p, there.n, back.p, &back.n));
    assert_blob(back, text, sizeof text);
    return CKR_OK;
}

static CK_RV cbc(void)
{
    CK_BYTE iv[16] = {1};
    return encrypt_and_decrypt(MECHANISM_WITH(CKM_AES_CBC, iv), have.aes);
}

static CK_RV gcm(void)
{
    CK_BYTE iv[12] = {1};
    CK_GCM_PARAMS params = {.pIv = iv, .ulIvLen = sizeof iv, .ulIvBits = 96, .ulTagBits = 128};
    return encrypt_and_decrypt(MECHANISM_WITH(CKM_AES_GCM, params), have.sealed_aes);
}

static CK_RV decrypt_rsa(void)
{
    struct blob there = {.n = sizeof there.p}, back = {.n = sizeof back.p};
    CK_RSA_PKCS_OAEP_PARAMS oaep = {CKM_SHA256, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, NULL, 0};
    CK_MECHANISM *mechanism = MECHANISM_WITH(CKM_RSA_PKCS_OAEP, oaep);
    CK_OBJECT_HANDLE public = find_object(fx.session, CKO_PUBLIC_KEY, "rsa");
    TRY_STEP(p11->C_EncryptInit(fx.session, mechanism, public));
    TRY_STEP(p11->C_Encrypt(fx.session, (CK_BYTE_PTR)text, 16, there.p, &there.n));
    TRY_STEP(p11->C_DecryptInit(fx.session, mechanism, have.rsa));
    TRY_STEP(p11->C_Decrypt(fx.session, there.p, there.n, back.p, &back.n));
    assert_blob(back, text, 16);
    return CKR_OK;
}

static CK_RV digest(void)
{
    struct blob hash = {.n = sizeof hash.p}, state = {.n = sizeof state.p};
    struct blob want = openssl_digest("SHA256", text, sizeof text);
    TRY_STEP(p11->C_DigestInit(fx.session, MECHANISM(CKM_SHA256)));
    TRY_STEP(p11->C_DigestUpdate(fx.session, (CK_BYTE_PTR)text, 20));
    CK_RV rv = FAULTY(p11->C_GetOperationState(fx.session, state.p, &state.n));
    if (rv == CKR_OK)
        rv = FAULTY(p11->C_SetOperationState(fx.session, state.p, state.n, 0, 0));
    if (rv != CKR_OK) { /* neither ends the operation */
        p11_3->C_SessionCancel(fx.session, CKF_DIGEST);
        return rv;
    }
    TRY_STEP(p11->C_DigestUpdate(fx.session, (CK_BYTE_PTR)text + 20, sizeof text - 20));
    TRY_STEP(p11->C_DigestFinal(fx.session, hash.p, &hash.n));
    assert_blob(hash, want.p, want.n);
    return CKR_OK;
}

static CK_RV random_bytes(void)
{
    CK_BYTE bytes[64] = {0};
    TRY_STEP(p11->C_SeedRandom(fx.session, bytes, sizeof bytes));
    TRY_STEP(p11->C_GenerateRandom(fx.session, bytes, sizeof bytes));
    return CKR_OK;
}

/* ---- the table ----------------------------------------------------------------------------- */

struct scenario {
    const char *name;
    enum start start;
    CK_RV (*run)(void);
    CK_ULONG makes; /* objects labelled WALK, all of them or none */
};

static const struct scenario scenarios[] = {
    {"C_Initialize", AT_NOTHING, initialise, 0},
    {"C_Finalize", AT_NOTHING, finalise, 0},
    {"C_Initialize in a forked child", AT_INITIALIZED, in_a_fork, 0},
    {"C_GetSlotList, C_GetTokenInfo", AT_INITIALIZED, slots, 0},
    {"C_WaitForSlotEvent", AT_INITIALIZED, slot_event, 0},
    {"C_GetMechanismList", AT_INITIALIZED, mechanisms, 0},
    {"C_OpenSession", AT_INITIALIZED, sessions, 0},
    {"C_Login", AT_SESSION, log_in_and_out, 0},
    {"C_SetPIN", AT_INITIALIZED, set_pin, 0},
    {"C_InitPIN", AT_INITIALIZED, init_pin, 0},
    {"C_InitToken", AT_INITIALIZED, init_token, 0},
    {"C_FindObjects", AT_USER, find, 0},
    {"C_GetAttributeValue", AT_USER, get_attributes, 0},
    {"C_GetAttributeValue of a sealed key", AT_USER, get_sealed_value, 0},
    {"C_SetAttributeValue", AT_USER, set_attributes, 0},
    {"C_CreateObject", AT_USER, create_data, 1},
    {"C_CreateObject for the session", AT_USER, create_session_data, 1},
    {"C_CreateObject of a public key", AT_USER, create_public_key, 1},
    {"C_CreateObject of a private key", AT_USER, import_pair, 1},
    {"C_CopyObject", AT_USER, copy, 1},
    {"C_CopyObject of a sealed key", AT_USER, copy_to_session, 1},
    {"C_DestroyObject", AT_USER, destroy, 0},
    {"C_GenerateKey", AT_USER, generate_in_tpm, 1},
    {"C_GenerateKey, sealed", AT_USER, generate_sealed, 1},
    {"C_GenerateKeyPair", AT_USER, generate_pair, 2},
    {"C_WrapKey, C_UnwrapKey", AT_USER, wrap_and_unwrap, 1},
    {"C_DeriveKey, ECDH", AT_USER, derive_ecdh, 1},
    {"C_DeriveKey, HKDF", AT_USER, derive_hkdf, 1},
    {"C_Sign, C_Verify, ECDSA", AT_USER, ecdsa, 0},
    {"C_Sign, C_Verify, EdDSA", AT_USER, eddsa, 0},
    {"C_Sign, C_Verify, RSA", AT_USER, rsa, 0},
    {"C_Sign, C_Verify, HMAC", AT_USER, hmac, 0},
    {"C_Encrypt, C_Decrypt, CBC", AT_USER, cbc, 0},
    {"C_Encrypt, C_Decrypt, GCM", AT_USER, gcm, 0},
    {"C_Decrypt, RSA", AT_USER, decrypt_rsa, 0},
    {"C_Digest and its state", AT_USER, digest, 0},
    {"C_GenerateRandom", AT_USER, random_bytes, 0},
};

#endif
