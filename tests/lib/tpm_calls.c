#include "tpm_calls.h"

#include <latchkey/admin.h>
#include <latchkey/vendor.h>

#include <openssl/rsa.h>
#include <stdio.h>

#include "material.h"
#include "secret_keys.h"

enum { FILL = 0xA5, TEXT = 2500 };

const char *tpm_call_function, *tpm_call_wrong;

static struct {
    EVP_PKEY *ec, *rsa, *peer;
    struct blob aes, mac, oaep, wrapped;
} known;
static CK_BYTE text[TEXT], digest[32], iv[16];

/* ---- what a run leaves --------------------------------------------------------------------- */

static struct blob out, all;
static CK_OBJECT_HANDLE made[3];

static void wrong(const char *what)
{
    if (tpm_call_wrong == NULL)
        tpm_call_wrong = what;
}

static void expect(bool right, const char *what)
{
    if (!right)
        wrong(what);
}

static CK_BYTE *room(void)
{
    memset(out.p, FILL, sizeof out.p);
    out.n = sizeof out.p;
    return out.p;
}

/* Nothing stands beside an error, but for what a cipher had done already when the TPM failed: that
 * much of a long text. */
static void check_failure(bool cipher)
{
    for (size_t i = 0; i < sizeof out.p && !cipher; i++)
        if (out.p[i] != FILL)
            wrong("output beside an error");
    for (size_t i = 0; i < COUNT(made); i++)
        if (made[i] != CK_INVALID_HANDLE)
            wrong("a handle beside an error");
}

#define CALL(list, function, ...)                                                                  \
    do {                                                                                           \
        tpm_call_function = #function;                                                             \
        CK_RV rv_ = (list)->function(__VA_ARGS__);                                                 \
        if (rv_ != CKR_OK) {                                                                       \
            check_failure(strstr(#function, "crypt") != NULL);                                     \
            return rv_;                                                                            \
        }                                                                                          \
    } while (0)
#define PASS(call)                                                                                 \
    do {                                                                                           \
        CK_RV passed_ = call;                                                                      \
        if (passed_ != CKR_OK)                                                                     \
            return passed_;                                                                        \
    } while (0)

/* Appends what an update gave. */
static void gather(void)
{
    memcpy(all.p + all.n, out.p, out.n);
    all.n += out.n;
    room();
}

static void forget_made(void)
{
    memset(made, 0, sizeof made);
}

static void destroy_made(void)
{
    for (size_t i = 0; i < COUNT(made); i++)
        if (made[i] != CK_INVALID_HANDLE)
            assert_ok(p11->C_DestroyObject(fx.session, made[i]));
    forget_made();
}

static CK_OBJECT_HANDLE private_key(const char *label)
{
    return find_object(fx.session, CKO_PRIVATE_KEY, label);
}

static CK_OBJECT_HANDLE secret_key(const char *label)
{
    return find_object(fx.session, CKO_SECRET_KEY, label);
}

/* ---- signatures ---------------------------------------------------------------------------- */

static CK_RV sign_once(CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, const CK_BYTE *p, CK_ULONG n)
{
    room();
    CALL(p11, C_SignInit, fx.session, mechanism, key);
    CALL(p11, C_Sign, fx.session, (CK_BYTE *)p, n, out.p, &out.n);
    return CKR_OK;
}

static CK_RV sign_ec(void)
{
    PASS(sign_once(MECHANISM(CKM_ECDSA), private_key("ec"), digest, sizeof digest));
    expect(openssl_verify(known.ec, 0, NULL, 0, digest, sizeof digest, out), "signature");
    return CKR_OK;
}

static CK_RV sign_text(CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
    room();
    CALL(p11, C_SignInit, fx.session, mechanism, key);
    CALL(p11, C_SignUpdate, fx.session, text, 1500);
    CALL(p11, C_SignUpdate, fx.session, text + 1500, TEXT - 1500);
    CALL(p11, C_SignFinal, fx.session, out.p, &out.n);
    return CKR_OK;
}

static CK_RV sign_ec_parts(void)
{
    struct blob hash = openssl_digest("SHA256", text, TEXT);
    PASS(sign_text(MECHANISM(CKM_ECDSA_SHA256), private_key("ec")));
    expect(openssl_verify(known.ec, 0, "SHA256", 0, hash.p, hash.n, out), "signature");
    return CKR_OK;
}

static CK_RV sign_rsa(void)
{
    struct blob hash = openssl_digest("SHA256", text, TEXT);
    PASS(sign_once(MECHANISM(CKM_SHA256_RSA_PKCS), private_key("rsa"), text, TEXT));
    expect(openssl_verify(known.rsa, RSA_PKCS1_PADDING, "SHA256", 0, hash.p, hash.n, out),
           "signature");
    return CKR_OK;
}

static CK_RV sign_pss(void)
{
    struct blob hash = openssl_digest("SHA256", text, TEXT);
    CK_RSA_PKCS_PSS_PARAMS pss = {CKM_SHA256, CKG_MGF1_SHA256, 20};
    PASS(sign_text(MECHANISM_WITH(CKM_SHA256_RSA_PKCS_PSS, pss), private_key("rsa")));
    expect(openssl_verify(known.rsa, RSA_PKCS1_PSS_PADDING, "SHA256", 20, hash.p, hash.n, out),
           "signature");
    return CKR_OK;
}

static void expect_mac(const char *name, const char *with, struct blob key, CK_ULONG n)
{
    struct blob mac = evp_mac(name, with, key.p, key.n, NULL, 0, text, n);
    expect(out.n == mac.n && memcmp(out.p, mac.p, mac.n) == 0, "MAC");
}

static CK_RV sign_hmac(void)
{
    PASS(sign_once(MECHANISM(CKM_SHA256_HMAC), secret_key("mac"), text, 100));
    expect_mac("HMAC", "SHA256", known.mac, 100);
    return CKR_OK;
}

static CK_RV sign_hmac_parts(void)
{
    PASS(sign_text(MECHANISM(CKM_SHA256_HMAC), secret_key("mac")));
    expect_mac("HMAC", "SHA256", known.mac, TEXT);
    return CKR_OK;
}

static CK_RV sign_cmac(void)
{
    PASS(sign_text(MECHANISM(CKM_AES_CMAC), secret_key("aes")));
    expect_mac("CMAC", "AES-256-CBC", known.aes, TEXT);
    return CKR_OK;
}

static CK_RV verify_hmac(void)
{
    struct blob mac = evp_mac("HMAC", "SHA256", known.mac.p, known.mac.n, NULL, 0, text, TEXT);
    room();
    CALL(p11, C_VerifyInit, fx.session, MECHANISM(CKM_SHA256_HMAC), secret_key("mac"));
    CALL(p11, C_Verify, fx.session, text, TEXT, mac.p, mac.n);
    return CKR_OK;
}

/* A wrong one stays wrong, whatever the TPM does. */
static CK_RV verify_wrong_hmac(void)
{
    struct blob mac = {.n = 32};
    room();
    CALL(p11, C_VerifyInit, fx.session, MECHANISM(CKM_SHA256_HMAC), secret_key("mac"));
    CALL(p11, C_Verify, fx.session, text, TEXT, mac.p, mac.n);
    return CKR_OK;
}

/* More keys than the TPM holds, in turn: saved, loaded again. */
static CK_RV many_keys(void)
{
    for (int i = 0; i < 3; i++) {
        PASS(sign_ec());
        PASS(sign_rsa());
        PASS(sign_hmac());
    }
    return CKR_OK;
}

/* ---- ciphers ------------------------------------------------------------------------------- */

static CK_RV encrypt_text(CK_MECHANISM *mechanism, const char *label)
{
    room();
    CALL(p11, C_EncryptInit, fx.session, mechanism, secret_key(label));
    CALL(p11, C_Encrypt, fx.session, text, TEXT, out.p, &out.n);
    return CKR_OK;
}

static void expect_bytes(struct blob got, const CK_BYTE *want, CK_ULONG n)
{
    expect(got.n == n && memcmp(got.p, want, n) == 0, "text");
}

static CK_RV encrypt_cbc(void)
{
    static CK_BYTE want[TEXT + 16];
    CK_ULONG n = evp_encrypt("CBC", true, known.aes.p, 32, iv, text, TEXT, want);
    PASS(encrypt_text(&(CK_MECHANISM){CKM_AES_CBC_PAD, iv, sizeof iv}, "aes"));
    expect_bytes(out, want, n);
    return CKR_OK;
}

static CK_RV encrypt_gcm(void)
{
    static CK_BYTE want[TEXT + 16];
    CK_GCM_PARAMS gcm = {iv, 12, 96, text, 20, 128};
    evp_seal("GCM", known.aes.p, 32, iv, 12, text, 20, 16, text, TEXT, want);
    PASS(encrypt_text(MECHANISM_WITH(CKM_AES_GCM, gcm), "aes"));
    expect_bytes(out, want, TEXT + 16);
    return CKR_OK;
}

/* In three updates; what came is in all. */
static CK_RV crypt_parts_of(bool encrypt, CK_MECHANISM *mechanism, const CK_BYTE *in, CK_ULONG n)
{
    all.n = 0;
    room();
    if (encrypt)
        CALL(p11, C_EncryptInit, fx.session, mechanism, secret_key("aes"));
    else
        CALL(p11, C_DecryptInit, fx.session, mechanism, secret_key("aes"));
    for (CK_ULONG at = 0, some; at < n; at += some) {
        some = n - at < 1100 ? n - at : 1100;
        if (encrypt)
            CALL(p11, C_EncryptUpdate, fx.session, (CK_BYTE *)in + at, some, out.p, &out.n);
        else
            CALL(p11, C_DecryptUpdate, fx.session, (CK_BYTE *)in + at, some, out.p, &out.n);
        gather();
    }
    if (encrypt)
        CALL(p11, C_EncryptFinal, fx.session, out.p, &out.n);
    else
        CALL(p11, C_DecryptFinal, fx.session, out.p, &out.n);
    gather();
    return CKR_OK;
}

static CK_RV encrypt_ctr_parts(void)
{
    static CK_BYTE want[TEXT + 16];
    CK_AES_CTR_PARAMS ctr = {.ulCounterBits = 128};
    memcpy(ctr.cb, iv, sizeof iv);
    evp_encrypt("CTR", false, known.aes.p, 32, iv, text, TEXT, want);
    PASS(crypt_parts_of(true, MECHANISM_WITH(CKM_AES_CTR, ctr), text, TEXT));
    expect_bytes(all, want, TEXT);
    return CKR_OK;
}

static CK_RV decrypt_cbc_parts(void)
{
    static CK_BYTE in[TEXT + 16];
    CK_ULONG n = evp_encrypt("CBC", true, known.aes.p, 32, iv, text, TEXT, in);
    PASS(crypt_parts_of(false, &(CK_MECHANISM){CKM_AES_CBC_PAD, iv, sizeof iv}, in, n));
    expect_bytes(all, text, TEXT);
    return CKR_OK;
}

static CK_RV decrypt_gcm_parts(void)
{
    static CK_BYTE in[TEXT + 16];
    CK_GCM_PARAMS gcm = {iv, 12, 96, text, 20, 128};
    evp_seal("GCM", known.aes.p, 32, iv, 12, text, 20, 16, text, TEXT, in);
    PASS(crypt_parts_of(false, MECHANISM_WITH(CKM_AES_GCM, gcm), in, sizeof in));
    expect_bytes(all, text, TEXT);
    return CKR_OK;
}

static CK_RV decrypt_oaep(void)
{
    CK_RSA_PKCS_OAEP_PARAMS oaep = {CKM_SHA_1, CKG_MGF1_SHA1, CKZ_DATA_SPECIFIED, NULL, 0};
    room();
    CALL(p11, C_DecryptInit, fx.session, MECHANISM_WITH(CKM_RSA_PKCS_OAEP, oaep),
         private_key("rsa"));
    CALL(p11, C_Decrypt, fx.session, known.oaep.p, known.oaep.n, out.p, &out.n);
    expect_bytes(out, text, 40);
    return CKR_OK;
}

static CK_RV messages(void)
{
    static CK_BYTE want[200 + 16];
    CK_BYTE nonce[12], tag[16];
    CK_GCM_MESSAGE_PARAMS gcm = {nonce, 12, 0, CKG_NO_GENERATE, tag, 128};
    memcpy(nonce, iv, sizeof nonce);
    evp_seal("GCM", known.aes.p, 32, nonce, 12, text, 20, 16, text, 200, want);
    room();
    CALL(p11_3, C_MessageEncryptInit, fx.session, MECHANISM(CKM_AES_GCM), secret_key("aes"));
    CALL(p11_3, C_EncryptMessage, fx.session, &gcm, sizeof gcm, text, 20, text, 200, out.p, &out.n);
    expect_bytes(out, want, 200);
    expect(memcmp(tag, want + 200, 16) == 0, "tag");
    room();
    CALL(p11_3, C_MessageEncryptFinal, fx.session);
    CALL(p11_3, C_MessageDecryptInit, fx.session, MECHANISM(CKM_AES_GCM), secret_key("aes"));
    CALL(p11_3, C_DecryptMessage, fx.session, &gcm, sizeof gcm, text, 20, want, 200, out.p, &out.n);
    expect_bytes(out, text, 200);
    room();
    CALL(p11_3, C_MessageDecryptFinal, fx.session);
    return CKR_OK;
}

/* Such an operation goes on after a message that failed (PKCS#11 3.0 section 5.9.2). */
static void end_messages(void)
{
    p11_3->C_MessageEncryptFinal(fx.session);
    p11_3->C_MessageDecryptFinal(fx.session);
}

/* ---- keys are made ------------------------------------------------------------------------- */

static CK_RV generate(CK_MECHANISM_TYPE type, CK_ULONG n, bool extractable)
{
    CK_ATTRIBUTE template[] = {ATTR_BOOL(CKA_TOKEN, true), ATTR_ULONG(CKA_VALUE_LEN, n),
                               ATTR_BOOL(CKA_EXTRACTABLE, extractable)};
    room();
    CALL(p11, C_GenerateKey, fx.session, MECHANISM(type), template, COUNT(template), made);
    return CKR_OK;
}

static CK_RV generate_aes(void)
{
    return generate(CKM_AES_KEY_GEN, 32, false);
}

static CK_RV generate_hmac(void)
{
    return generate(CKM_GENERIC_SECRET_KEY_GEN, 48, false);
}

static CK_RV generate_sealed(void)
{
    return generate(CKM_AES_KEY_GEN, 32, true);
}

static CK_RV generate_pair(CK_MECHANISM_TYPE type, CK_ATTRIBUTE parameter)
{
    CK_ATTRIBUTE public[] = {ATTR_BOOL(CKA_TOKEN, true), parameter};
    CK_ATTRIBUTE private[] = {ATTR_BOOL(CKA_TOKEN, true)};
    room();
    CALL(p11, C_GenerateKeyPair, fx.session, MECHANISM(type), public, COUNT(public), private,
         COUNT(private), &made[0], &made[1]);
    return CKR_OK;
}

static CK_RV pair_ec(void)
{
    struct blob curve = ec_params(NID_secp384r1);
    return generate_pair(CKM_EC_KEY_PAIR_GEN,
                         (CK_ATTRIBUTE)ATTR_MEM(CKA_EC_PARAMS, curve.p, curve.n));
}

static CK_RV pair_ed25519(void)
{
    struct blob curve = ec_params(NID_ED25519);
    return generate_pair(CKM_EC_EDWARDS_KEY_PAIR_GEN,
                         (CK_ATTRIBUTE)ATTR_MEM(CKA_EC_PARAMS, curve.p, curve.n));
}

static CK_RV pair_rsa(void)
{
    return generate_pair(CKM_RSA_PKCS_KEY_PAIR_GEN,
                         (CK_ATTRIBUTE)ATTR_ULONG(CKA_MODULUS_BITS, 2048));
}

static CK_RV create_on_token(struct parts *parts)
{
    set_part(parts, (CK_ATTRIBUTE)ATTR_BOOL(CKA_TOKEN, true));
    set_part(parts, (CK_ATTRIBUTE)ATTR_BOOL(CKA_EXTRACTABLE, false));
    room();
    CALL(p11, C_CreateObject, fx.session, parts->v, parts->n, made);
    return CKR_OK;
}

static struct parts parts;

static CK_RV import_aes(void)
{
    secret_parts(CKK_AES, known.aes, &parts);
    return create_on_token(&parts);
}

static CK_RV import_ec(void)
{
    private_parts(known.ec, &parts);
    return create_on_token(&parts);
}

static CK_RV import_rsa(void)
{
    private_parts(known.rsa, &parts);
    return create_on_token(&parts);
}

static void same_secret(void)
{
    assert_same_secret(made[0], known.aes);
    destroy_made();
}

static void same_ec(void)
{
    assert_same_private(made[0], known.ec);
    destroy_made();
}

static void same_rsa(void)
{
    assert_same_private(made[0], known.rsa);
    destroy_made();
}

/* A key that was made without login, under no authorization of the token's. */
static CK_OBJECT_HANDLE open_key;

static void make_open_key(void)
{
    private_parts(known.ec, &parts);
    set_part(&parts, (CK_ATTRIBUTE)ATTR_BOOL(CKA_PRIVATE, false));
    set_part(&parts, (CK_ATTRIBUTE)ATTR_STR(CKA_LATCHKEY_PROTECTION, "tpm"));
    assert_ok(p11->C_Logout(fx.session));
    assert_ok(create(&parts, &open_key));
    assert_ok(login(fx.session, CKU_USER, USER_PIN));
}

static CK_RV copy_key(void)
{
    CK_ATTRIBUTE keep = ATTR_BOOL(CKA_TOKEN, true);
    room();
    CALL(p11, C_CopyObject, fx.session, open_key, &keep, 1, made);
    return CKR_OK;
}

static void make_victim(void)
{
    assert_ok(import_ec());
    open_key = made[0];
    assert_ok(sign_once(MECHANISM(CKM_ECDSA), open_key, digest, sizeof digest));
    forget_made();
}

/* Whatever the TPM says, the object is gone. */
static CK_RV destroy_key(void)
{
    room();
    CALL(p11, C_DestroyObject, fx.session, open_key);
    return CKR_OK;
}

static CK_SESSION_HANDLE other_session;

static void make_session_key(void)
{
    CK_SESSION_HANDLE session = fx.session;
    private_parts(known.ec, &parts);
    set_part(&parts, (CK_ATTRIBUTE)ATTR_STR(CKA_LATCHKEY_PROTECTION, "tpm"));
    fx.session = other_session = open_session(fx.slot, CKF_RW_SESSION);
    assert_ok(create(&parts, &open_key));
    assert_ok(sign_once(MECHANISM(CKM_ECDSA), open_key, digest, sizeof digest));
    fx.session = session;
}

static CK_RV close_session(void)
{
    room();
    CALL(p11, C_CloseSession, other_session);
    return CKR_OK;
}

/* ---- keys of keys -------------------------------------------------------------------------- */

static struct blob agreed(void)
{
    struct blob secret = {.n = 0};
    size_t n = sizeof secret.p;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(known.peer, NULL);
    assert_int_equal(EVP_PKEY_derive_init(context), 1);
    assert_int_equal(EVP_PKEY_derive_set_peer(context, known.ec), 1);
    assert_int_equal(EVP_PKEY_derive(context, secret.p, &n), 1);
    EVP_PKEY_CTX_free(context);
    secret.n = n;
    return secret;
}

static void expect_key_value(struct blob want)
{
    struct blob value = get_attribute(fx.session, made[0], CKA_VALUE);
    expect(value.n == want.n && memcmp(value.p, want.p, want.n) == 0, "key");
}

static CK_RV derive_ecdh(void)
{
    struct blob point = public_point(known.peer);
    CK_ECDH1_DERIVE_PARAMS ecdh = {CKD_NULL, 0, NULL, point.n, point.p};
    CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_KEY_TYPE, CKK_GENERIC_SECRET),
                               ATTR_BOOL(CKA_SENSITIVE, false), ATTR_BOOL(CKA_EXTRACTABLE, true)};
    room();
    CALL(p11, C_DeriveKey, fx.session, MECHANISM_WITH(CKM_ECDH1_DERIVE, ecdh), private_key("ec"),
         template, COUNT(template), made);
    expect_key_value(agreed());
    return CKR_OK;
}

/* Two keys at once, of the TPM's HMAC and into the TPM. */
static CK_RV derive_two(void)
{
    CK_ATTRIBUTE aes[] = {ATTR_ULONG(CKA_KEY_TYPE, CKK_AES), ATTR_ULONG(CKA_VALUE_LEN, 16),
                          ATTR_BOOL(CKA_TOKEN, true), ATTR_BOOL(CKA_EXTRACTABLE, false)};
    CK_SP800_108_COUNTER_FORMAT counter = {CK_FALSE, 32};
    CK_PRF_DATA_PARAM field = {CK_SP800_108_ITERATION_VARIABLE, &counter, sizeof counter};
    CK_DERIVED_KEY extra = {aes, COUNT(aes), &made[1]};
    CK_SP800_108_KDF_PARAMS kdf = {CKM_SHA256_HMAC, 1, &field, 1, &extra};
    room();
    CALL(p11, C_DeriveKey, fx.session, MECHANISM_WITH(CKM_SP800_108_COUNTER_KDF, kdf),
         secret_key("mac"), aes, COUNT(aes), made);
    return CKR_OK;
}

static CK_RV wrap_sealed(void)
{
    room();
    CALL(p11, C_WrapKey, fx.session, MECHANISM(CKM_AES_KEY_WRAP), secret_key("aes"),
         secret_key("sealed"), out.p, &out.n);
    expect_bytes(out, known.wrapped.p, known.wrapped.n);
    return CKR_OK;
}

static CK_RV unwrap_into_tpm(void)
{
    CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_CLASS, CKO_SECRET_KEY),
                               ATTR_ULONG(CKA_KEY_TYPE, CKK_AES), ATTR_BOOL(CKA_TOKEN, true),
                               ATTR_BOOL(CKA_EXTRACTABLE, false)};
    room();
    CALL(p11, C_UnwrapKey, fx.session, MECHANISM(CKM_AES_KEY_WRAP), secret_key("aes"),
         known.wrapped.p, known.wrapped.n, template, COUNT(template), made);
    return CKR_OK;
}

static CK_ECDH1_DERIVE_PARAMS no_kdf = {CKD_NULL, 0, NULL, 0, NULL};

static CK_RV encapsulate(void)
{
    CK_ATTRIBUTE aes[] = {ATTR_ULONG(CKA_KEY_TYPE, CKK_AES), ATTR_ULONG(CKA_VALUE_LEN, 32),
                          ATTR_BOOL(CKA_TOKEN, true), ATTR_BOOL(CKA_EXTRACTABLE, false)};
    room();
    CALL(p11_32, C_EncapsulateKey, fx.session, MECHANISM_WITH(CKM_ECDH1_DERIVE, no_kdf),
         find_object(fx.session, CKO_PUBLIC_KEY, "ec"), aes, COUNT(aes), out.p, &out.n, made);
    return CKR_OK;
}

static CK_RV decapsulate(void)
{
    struct blob point = public_point(known.peer);
    CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_KEY_TYPE, CKK_GENERIC_SECRET),
                               ATTR_BOOL(CKA_SENSITIVE, false), ATTR_BOOL(CKA_EXTRACTABLE, true)};
    room();
    CALL(p11_32, C_DecapsulateKey, fx.session, MECHANISM_WITH(CKM_ECDH1_DERIVE, no_kdf),
         private_key("ec"), template, COUNT(template), point.p, point.n, made);
    expect_key_value(agreed());
    return CKR_OK;
}

static CK_RV random_bytes(void)
{
    static const CK_BYTE zero[100];
    CK_BYTE some[100] = {0};
    room();
    CALL(p11, C_SeedRandom, fx.session, text, 100);
    CALL(p11, C_GenerateRandom, fx.session, some, sizeof some);
    expect(memcmp(some, zero, sizeof zero) != 0, "random bytes");
    return CKR_OK;
}

/* ---- PINs ---------------------------------------------------------------------------------- */

static CK_STATE state_of(CK_SESSION_HANDLE session)
{
    CK_SESSION_INFO info = {0};
    assert_ok(p11->C_GetSessionInfo(session, &info));
    return info.state;
}

static CK_RV log_in_as(CK_USER_TYPE user, const char *pin)
{
    CK_STATE before = state_of(fx.session);
    room();
    tpm_call_function = "C_Login";
    CK_RV rv = login(fx.session, user, pin);
    /* section 5.6.8: CKR_PIN_LOCKED of a key's own login logs out */
    if (rv == CKR_PIN_LOCKED && user == CKU_CONTEXT_SPECIFIC)
        before = CKS_RW_PUBLIC_SESSION;
    if (rv != CKR_OK)
        expect(state_of(fx.session) == before, "state of the session");
    return rv;
}

static CK_RV login_user(void)
{
    return log_in_as(CKU_USER, USER_PIN);
}

static CK_RV login_wrong(void)
{
    return log_in_as(CKU_USER, "wrong pin");
}

static CK_RV login_so(void)
{
    return log_in_as(CKU_SO, SO_PIN);
}

static void open_rw(void)
{
    fx.session = open_session(fx.slot, CKF_RW_SESSION);
}

static CK_RV login_for_key(void)
{
    room();
    CALL(p11, C_SignInit, fx.session, MECHANISM(CKM_ECDSA), private_key("careful"));
    PASS(log_in_as(CKU_CONTEXT_SPECIFIC, USER_PIN));
    CALL(p11, C_Sign, fx.session, digest, sizeof digest, out.p, &out.n);
    expect(openssl_verify(known.ec, 0, NULL, 0, digest, sizeof digest, out), "signature");
    return CKR_OK;
}

/* As a program does that begins anew whenever something failed. */
static CK_RV session_and_login(void)
{
    room();
    CALL(p11, C_OpenSession, fx.slot, CKF_SERIAL_SESSION, NULL, NULL, &fx.session);
    PASS(login_user());
    PASS(sign_ec());
    room();
    CALL(p11, C_CloseSession, fx.session);
    return CKR_OK;
}

static void close_sessions(void)
{
    assert_ok(p11->C_CloseAllSessions(fx.slot));
}

/* Ended by C_SignInit without a mechanism (PKCS#11 3.0 section 5.13.1). */
static void end_signing(void)
{
    p11->C_SignInit(fx.session, NULL, CK_INVALID_HANDLE);
    if (state_of(fx.session) == CKS_RW_PUBLIC_SESSION)
        assert_ok(login(fx.session, CKU_USER, USER_PIN));
}

static CK_RV logout(void)
{
    room();
    CALL(p11, C_Logout, fx.session);
    return CKR_OK;
}

static const char *user_pin = USER_PIN, *so_pin = SO_PIN;

static CK_RV init_pin(void)
{
    room();
    CALL(p11, C_InitPIN, fx.session, PIN(USER_PIN));
    return CKR_OK;
}

static CK_RV change_pin(const char *from, const char *to)
{
    room();
    CALL(p11, C_SetPIN, fx.session, PIN(from), PIN(to));
    return CKR_OK;
}

static CK_RV set_user_pin(void)
{
    PASS(change_pin(user_pin, "another user pin"));
    user_pin = "another user pin";
    return CKR_OK;
}

static CK_RV set_so_pin(void)
{
    PASS(change_pin(so_pin, "another so pin"));
    so_pin = "another so pin";
    return CKR_OK;
}

/* Another session's login, where nobody is logged in. */
static bool opens(CK_USER_TYPE user, const char *pin)
{
    p11->C_Logout(fx.session);
    CK_RV rv = login(fx.session, user, pin);
    assert_rv_either(CKR_OK, CKR_PIN_INCORRECT, rv);
    return rv == CKR_OK;
}

/* It is one of the two. */
static void which_pin(CK_USER_TYPE user, const char *old, const char *new, const char **is)
{
    bool was_so = user == CKU_SO;
    *is = opens(user, old) ? old : new;
    assert_true(*is == old || opens(user, new));
    if (!was_so)
        assert_ok(p11->C_Logout(fx.session));
}

static void which_user_pin(void)
{
    which_pin(CKU_USER, USER_PIN, "another user pin", &user_pin);
}

static void which_so_pin(void)
{
    which_pin(CKU_SO, SO_PIN, "another so pin", &so_pin);
}

static void user_pin_back(void)
{
    assert_ok(change_pin(user_pin, USER_PIN));
    user_pin = USER_PIN;
}

static void so_pin_back(void)
{
    assert_ok(change_pin(so_pin, SO_PIN));
    so_pin = SO_PIN;
}

/* ---- tokens -------------------------------------------------------------------------------- */

static LATCHKEY_ADMIN *admin(void)
{
    CK_INTERFACE *interface;
    assert_ok(p11_3->C_GetInterface((CK_UTF8CHAR_PTR)LATCHKEY_INTERFACE, NULL, &interface, 0));
    return interface->pFunctionList;
}

static CK_SLOT_ID token_slot;

static void find_blank(void)
{
    token_slot = blank_slot();
}

static CK_RV init_token(void)
{
    CK_UTF8CHAR label[32];
    pad_label(label, "passing");
    room();
    CALL(p11, C_InitToken, token_slot, PIN(SO_PIN), label);
    return CKR_OK;
}

static void make_passing(void)
{
    find_blank();
    assert_ok(init_token());
}

static CK_RV destroy_token(void)
{
    room();
    CALL(admin(), TokenDestroy, token_slot, PIN(SO_PIN), CK_FALSE);
    return CKR_OK;
}

/* What is left of a C_InitToken or of a token's end goes with the next one. */
static void drop_passing(void)
{
    age_intents();
    assert_ok(destroy_token());
}

static void make_and_drop(void)
{
    make_passing();
    drop_passing();
}

static CK_RV token_info(void)
{
    CK_TOKEN_INFO info;
    room();
    CALL(p11, C_GetTokenInfo, fx.slot, &info);
    expect((info.flags & CKF_TOKEN_INITIALIZED) != 0, "flags");
    expect((info.flags & (CKF_USER_PIN_LOCKED | CKF_SO_PIN_LOCKED)) == 0, "flags");
    return CKR_OK;
}

/* Without a store that knows the TPM it is asked what it can do. */
static int start_blank(void **state)
{
    char parameters[120];
    (void)state;
    snprintf(parameters, sizeof parameters, "store='%s/none'", fx.dir);
    return initialize(parameters) == CKR_OK ? 0 : -1;
}

static CK_RV mechanism_info(void)
{
    CK_MECHANISM_INFO info;
    CK_SLOT_ID slot = blank_slot();
    room();
    CALL(p11, C_GetMechanismInfo, slot, CKM_RSA_PKCS, &info);
    expect(info.ulMinKeySize == 1024 && info.ulMaxKeySize >= 2048, "sizes");
    return CKR_OK;
}

static CK_RV whole_process(void)
{
    CK_ULONG n = 0;
    room();
    CALL(p11, C_Initialize, NULL);
    CALL(p11, C_GetSlotList, CK_TRUE, NULL, &n);
    PASS(token_info());
    CALL(p11, C_OpenSession, fx.slot, CKF_SERIAL_SESSION, NULL, NULL, &fx.session);
    PASS(login_user());
    PASS(sign_ec());
    PASS(sign_hmac());
    room();
    CALL(p11, C_Finalize, NULL);
    return CKR_OK;
}

static void finalize(void)
{
    assert_ok(p11->C_Finalize(NULL));
}

/* ---- the TPM itself ------------------------------------------------------------------------ */

static CK_RV tpm_status(void)
{
    LATCHKEY_TPM_STATUS status;
    room();
    CALL(admin(), TpmStatus, &status);
    expect(status.srkHandle == 0x81000001, "status");
    return CKR_OK;
}

static void take_finding(void *context, CK_ULONG level, const char *id, const char *what,
                         const char *remedy)
{
    (void)level;
    (void)remedy;
    expect(id != NULL && what != NULL, "finding");
    ++*(unsigned *)context;
}

static CK_RV doctor(void)
{
    unsigned n = 0;
    room();
    CALL(admin(), Doctor, take_finding, &n);
    expect(n > 0, "findings");
    return CKR_OK;
}

/* From one code to the next; which one holds after a failure the next try finds out. */
static const char *const codes[] = {"", "recovery code one", "recovery code two"};
static size_t code;

static CK_RV harden(void)
{
    size_t next = code == 1 ? 2 : 1;
    room();
    CALL(admin(), TpmHarden, (CK_BYTE *)codes[code], strlen(codes[code]), (CK_BYTE *)codes[next],
         strlen(codes[next]), 10000, 1000, 0);
    code = next;
    return CKR_OK;
}

static CK_RV unlock(void)
{
    room();
    CALL(admin(), TpmUnlock, (CK_BYTE *)codes[code], strlen(codes[code]));
    return CKR_OK;
}

/* After a wrong one the TPM takes none until its next start (group_tpm_calls). */
static void which_code(void)
{
    for (code = 0; code < COUNT(codes); code++) {
        swtpm_reset(&fx.tpm);
        if (unlock() == CKR_OK)
            return;
    }
    fail_msg("no recovery code opens");
}

/* ---- the table ----------------------------------------------------------------------------- */

const struct tpm_call tpm_calls[] = {
    {"whole process", NULL, NULL, whole_process, finalize, NULL, CKR_OK, false, false},
    {"C_GetTokenInfo", test_initialized, NULL, token_info, NULL, NULL, CKR_OK, false, false},
    {"C_GetMechanismInfo", start_blank, NULL, mechanism_info, NULL, NULL, CKR_OK, false, false},
    {"C_InitToken, blank", test_initialized, find_blank, init_token, NULL, drop_passing, CKR_OK,
     false, false},
    {"C_InitToken, again", test_initialized, make_passing, init_token, NULL, drop_passing, CKR_OK,
     false, false},
    {"TokenDestroy", test_initialized, make_passing, destroy_token, NULL, make_and_drop, CKR_OK,
     false, false},
    {"C_InitPIN", test_so, NULL, init_pin, NULL, NULL, CKR_OK, false, false},
    {"C_SetPIN, user", test_initialized, open_rw, set_user_pin, which_user_pin, user_pin_back,
     CKR_OK, false, false},
    {"C_SetPIN, SO", test_so, NULL, set_so_pin, which_so_pin, so_pin_back, CKR_OK, false, false},
    {"C_Login, user", test_public, NULL, login_user, NULL, NULL, CKR_OK, false, false},
    {"C_Login, wrong", test_public, NULL, login_wrong, NULL, NULL, CKR_PIN_INCORRECT, false, false},
    {"C_Login, SO", test_initialized, open_rw, login_so, NULL, NULL, CKR_OK, false, false},
    {"a session", test_initialized, NULL, session_and_login, close_sessions, NULL, CKR_OK, false,
     false},
    {"C_Login, context", test_user, NULL, login_for_key, end_signing, NULL, CKR_OK, false, false},
    {"C_Logout", test_user, NULL, logout, NULL, NULL, CKR_OK, false, false},
    {"sign, EC", test_user, NULL, sign_ec, NULL, NULL, CKR_OK, false, false},
    {"sign, EC in parts", test_user, NULL, sign_ec_parts, NULL, NULL, CKR_OK, false, false},
    {"sign, RSA", test_user, NULL, sign_rsa, NULL, NULL, CKR_OK, false, false},
    {"sign, PSS", test_user, NULL, sign_pss, NULL, NULL, CKR_OK, false, false},
    {"sign, HMAC", test_user, NULL, sign_hmac, NULL, NULL, CKR_OK, false, false},
    {"sign, HMAC in parts", test_user, NULL, sign_hmac_parts, NULL, NULL, CKR_OK, false, false},
    {"sign, CMAC", test_user, NULL, sign_cmac, NULL, NULL, CKR_OK, false, false},
    {"verify, HMAC", test_user, NULL, verify_hmac, NULL, NULL, CKR_OK, false, false},
    {"verify, wrong HMAC", test_user, NULL, verify_wrong_hmac, NULL, NULL, CKR_SIGNATURE_INVALID,
     false, false},
    {"many keys", test_user, NULL, many_keys, NULL, NULL, CKR_OK, false, false},
    {"encrypt, CBC", test_user, NULL, encrypt_cbc, NULL, NULL, CKR_OK, false, false},
    {"encrypt, GCM", test_user, NULL, encrypt_gcm, NULL, NULL, CKR_OK, false, false},
    {"encrypt, CTR in parts", test_user, NULL, encrypt_ctr_parts, NULL, NULL, CKR_OK, false, false},
    {"decrypt, CBC in parts", test_user, NULL, decrypt_cbc_parts, NULL, NULL, CKR_OK, false, false},
    {"decrypt, GCM in parts", test_user, NULL, decrypt_gcm_parts, NULL, NULL, CKR_OK, false, false},
    {"decrypt, OAEP", test_user, NULL, decrypt_oaep, NULL, NULL, CKR_OK, false, false},
    {"messages", test_user, NULL, messages, end_messages, NULL, CKR_OK, false, false},
    {"generate, AES", test_user, NULL, generate_aes, NULL, destroy_made, CKR_OK, false, false},
    {"generate, HMAC", test_user, NULL, generate_hmac, NULL, destroy_made, CKR_OK, false, false},
    {"generate, sealed", test_user, NULL, generate_sealed, NULL, destroy_made, CKR_OK, false,
     false},
    {"generate, EC pair", test_user, NULL, pair_ec, NULL, destroy_made, CKR_OK, false, false},
    {"generate, Ed25519 pair", test_user, NULL, pair_ed25519, NULL, destroy_made, CKR_OK, false,
     false},
    {"generate, RSA pair", test_user, NULL, pair_rsa, NULL, destroy_made, CKR_OK, true, false},
    {"import, AES", test_user, NULL, import_aes, NULL, same_secret, CKR_OK, false, false},
    {"import, EC", test_user, NULL, import_ec, NULL, same_ec, CKR_OK, false, false},
    {"import, RSA", test_user, NULL, import_rsa, NULL, same_rsa, CKR_OK, false, false},
    {"copy", test_user, make_open_key, copy_key, NULL, same_ec, CKR_OK, false, false},
    {"destroy", test_user, make_victim, destroy_key, NULL, NULL, CKR_OK, false, false},
    {"close a session", test_user, make_session_key, close_session, NULL, NULL, CKR_OK, false,
     false},
    {"derive, ECDH", test_user, NULL, derive_ecdh, NULL, destroy_made, CKR_OK, false, false},
    {"derive, two keys", test_user, NULL, derive_two, NULL, destroy_made, CKR_OK, false, false},
    {"wrap", test_user, NULL, wrap_sealed, NULL, NULL, CKR_OK, false, false},
    {"unwrap", test_user, NULL, unwrap_into_tpm, NULL, same_secret, CKR_OK, false, false},
    {"encapsulate", test_user, NULL, encapsulate, NULL, destroy_made, CKR_OK, false, false},
    {"decapsulate", test_user, NULL, decapsulate, NULL, destroy_made, CKR_OK, false, false},
    {"random", test_public, NULL, random_bytes, NULL, NULL, CKR_OK, false, false},
    {"TpmStatus", test_initialized, NULL, tpm_status, NULL, NULL, CKR_OK, false, false},
    {"Doctor", test_initialized, NULL, doctor, NULL, NULL, CKR_OK, false, false},
    {"TpmHarden", test_initialized, NULL, harden, which_code, NULL, CKR_OK, false, true},
    {"TpmUnlock", test_initialized, NULL, unlock, NULL, NULL, CKR_OK, false, true},
};
const size_t tpm_calls_n = COUNT(tpm_calls);

/* ---- the token ----------------------------------------------------------------------------- */

static void keep(struct parts *p, const char *label, bool extractable)
{
    CK_OBJECT_HANDLE object;
    CK_OBJECT_CLASS cls;
    set_part(p, (CK_ATTRIBUTE)ATTR_BOOL(CKA_TOKEN, true));
    set_part(p, (CK_ATTRIBUTE)ATTR_STR(CKA_LABEL, label));
    memcpy(&cls, part(p, CKA_CLASS)->p, sizeof cls);
    if (cls != CKO_PUBLIC_KEY)
        set_part(p, (CK_ATTRIBUTE)ATTR_BOOL(CKA_EXTRACTABLE, extractable));
    assert_ok(create(p, &object));
}

static void keep_pairs(void)
{
    private_parts(known.ec, &parts);
    set_part(&parts, (CK_ATTRIBUTE)ATTR_BOOL(CKA_DECAPSULATE, true));
    keep(&parts, "ec", false);
    set_part(&parts, (CK_ATTRIBUTE)ATTR_BOOL(CKA_ALWAYS_AUTHENTICATE, true));
    keep(&parts, "careful", false);
    public_parts(known.ec, &parts);
    set_part(&parts, (CK_ATTRIBUTE)ATTR_BOOL(CKA_ENCAPSULATE, true));
    keep(&parts, "ec", false);
    private_parts(known.rsa, &parts);
    keep(&parts, "rsa", false);
}

static void keep_secrets(void)
{
    static const CK_ATTRIBUTE_TYPE usages[] = {CKA_SIGN, CKA_VERIFY, CKA_ENCRYPT, CKA_DECRYPT,
                                               CKA_WRAP, CKA_UNWRAP, CKA_DERIVE};
    const struct {
        const char *label;
        CK_KEY_TYPE type;
        struct blob value;
        bool extractable;
    } rows[] = {{"aes", CKK_AES, known.aes, false},
                {"mac", CKK_GENERIC_SECRET, known.mac, false},
                {"sealed", CKK_AES, known.aes, true}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        secret_parts(rows[i].type, rows[i].value, &parts);
        for (size_t k = 0; k < COUNT(usages); k++)
            set_part(&parts, (CK_ATTRIBUTE)ATTR_BOOL(usages[k], true));
        keep(&parts, rows[i].label, rows[i].extractable);
    }
}

static void encrypt_oaep(void)
{
    size_t n = sizeof known.oaep.p;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(known.rsa, NULL);
    assert_int_equal(EVP_PKEY_encrypt_init(context), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING), 1);
    assert_int_equal(EVP_PKEY_encrypt(context, known.oaep.p, &n, text, 40), 1);
    EVP_PKEY_CTX_free(context);
    known.oaep.n = n;
}

static void wrap_aes(void)
{
    int n = 0;
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    EVP_CIPHER_CTX_set_flags(context, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    assert_int_equal(EVP_EncryptInit_ex(context, EVP_aes_256_wrap(), NULL, known.aes.p, NULL), 1);
    assert_int_equal(EVP_EncryptUpdate(context, known.wrapped.p, &n, known.aes.p, 32), 1);
    EVP_CIPHER_CTX_free(context);
    known.wrapped.n = (CK_ULONG)n;
}

/* Few PBKDF2 rounds: they are not what is walked. */
static void make_quick_token(void)
{
    char path[80];
    snprintf(path, sizeof path, "%s/latchkey.conf", fx.dir);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "pin-rounds = 1000\n");
    assert_int_equal(fclose(f), 0);
    CK_UTF8CHAR label[32];
    pad_label(label, LABEL);
    test_initialized(NULL);
    assert_ok(p11->C_InitToken(fx.slot, PIN(SO_PIN), label));
    CK_SESSION_HANDLE session = open_session(fx.slot, CKF_RW_SESSION);
    assert_ok(login(session, CKU_SO, SO_PIN));
    assert_ok(p11->C_InitPIN(session, PIN(USER_PIN)));
    test_end(NULL);
}

int group_tpm_calls(void **state)
{
    group_token_proxied(state);
    swtpm_set_lockout(&fx.tpm, 10000, 1000, 0);
    make_quick_token();
    known.ec = make_key("P-256");
    known.peer = make_key("P-256");
    known.rsa = make_key("RSA-1024");
    known.aes = random_blob(32);
    known.mac = random_blob(32);
    fill(text, sizeof text, 1);
    fill(digest, sizeof digest, 2);
    fill(iv, sizeof iv, 3);
    encrypt_oaep();
    wrap_aes();
    test_user(state);
    keep_pairs();
    keep_secrets();
    return test_end(state);
}
