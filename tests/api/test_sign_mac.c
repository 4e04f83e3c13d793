/* MACs: PKCS#11 3.0 sections 5.13 and 5.15, mechanisms of 2.11 (CMAC), 2.12.6 (GMAC), 2.20 to 2.31
 * (HMAC) and 2.40 (TLS), on keys in every place. */
#include "secret_keys.h"
#include "vectors.h"

static CK_BYTE message[3000];

static bool is_mac(const struct vector *v)
{
    CK_MECHANISM_INFO info;
    assert_ok(p11->C_GetMechanismInfo(fx.slot, v->type, &info));
    return (info.flags & CKF_SIGN) != 0;
}

/* What has no place in the TPM at all: its bytes are hashed in other ways. */
static bool wants_bytes(CK_MECHANISM_TYPE type)
{
    static const CK_MECHANISM_TYPE types[] = {
        CKM_SHA224_HMAC,   CKM_SHA224_HMAC_GENERAL,   CKM_SHA3_224_HMAC, CKM_SHA3_224_HMAC_GENERAL,
        CKM_SHA3_256_HMAC, CKM_SHA3_256_HMAC_GENERAL, CKM_SHA3_384_HMAC, CKM_SHA3_384_HMAC_GENERAL,
        CKM_SHA3_512_HMAC, CKM_SHA3_512_HMAC_GENERAL, CKM_TLS12_MAC,     CKM_TLS_MAC,
    };
    for (size_t i = 0; i < COUNT(types); i++)
        if (types[i] == type)
            return true;
    return false;
}

static void each_vector(void (*f)(const struct vector *v, CK_MECHANISM *m, CK_OBJECT_HANDLE key))
{
    for (size_t i = 0; i < vector_count; i++)
        for (enum place place = 0; place < PLACES; place++) {
            const struct vector *v = &vectors[i];
            struct vector_mechanism m;
            struct blob value = unhex(v->key);
            bool in_tpm = place == IN_TPM || place == IN_SESSION_TPM;
            if (!is_mac(v) || !place_holds(place, v->key_type, value.n) ||
                (in_tpm && wants_bytes(v->type)))
                continue;
            CK_OBJECT_HANDLE key = import_key(fx.session, place, v->key_type, value.p, value.n);
            vector_mechanism(v, &m);
            f(v, &m.mechanism, key);
            assert_ok(p11->C_DestroyObject(fx.session, key));
        }
}

/* ---- known answers ------------------------------------------------------------------------- */

static void known_answer(const struct vector *v, CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
    struct blob data = unhex(v->data), mac = unhex(v->result);
    for (uint32_t seed = 0; seed < 4; seed++) {
        assert_blob(sign_parts(fx.session, m, key, data.p, data.n, seed), mac.p, mac.n);
        assert_ok(verify_parts(fx.session, m, key, data.p, data.n, seed, mac));
    }
}

static void known_answers(void **state)
{
    (void)state;
    each_vector(known_answer);
}

static void assert_refused(CK_RV expected, CK_MECHANISM *m, CK_OBJECT_HANDLE key, struct blob data,
                           struct blob mac)
{
    for (uint32_t seed = 0; seed < 2; seed++) {
        assert_rv(expected, verify_parts(fx.session, m, key, data.p, data.n, seed, mac));
        assert_idle(fx.session);
    }
}

/* PKCS#11 3.0 section 5.15.2: CKR_SIGNATURE_LEN_RANGE by the length alone. */
static void wrong_mac(const struct vector *v, CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
    struct blob data = unhex(v->data), mac = unhex(v->result), other = mac;
    for (CK_ULONG at = 0; at < mac.n; at += mac.n - 1) {
        other.p[at] ^= 1;
        assert_refused(CKR_SIGNATURE_INVALID, m, key, data, other);
        other.p[at] ^= 1;
    }
    other.n = mac.n - 1;
    assert_refused(CKR_SIGNATURE_LEN_RANGE, m, key, data, other);
    other.n = mac.n + 1;
    assert_refused(CKR_SIGNATURE_LEN_RANGE, m, key, data, other);
    other.n = 0;
    assert_refused(CKR_SIGNATURE_LEN_RANGE, m, key, data, other);
    data.p[data.n] = 1;
    data.n++;
    assert_refused(CKR_SIGNATURE_INVALID, m, key, data, mac);
}

static void wrong_macs(void **state)
{
    (void)state;
    each_vector(wrong_mac);
}

/* PKCS#11 3.0 section 5.2. */
static void protocol(const struct vector *v, CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
    struct blob data = unhex(v->data), mac = unhex(v->result), got = {.n = 0};
    assert_ok(p11->C_SignInit(fx.session, m, key));
    assert_ok(p11->C_Sign(fx.session, data.p, data.n, NULL, &got.n));
    assert_int_equal(got.n, mac.n);
    got.n--;
    assert_rv(CKR_BUFFER_TOO_SMALL, p11->C_Sign(fx.session, data.p, data.n, got.p, &got.n));
    assert_int_equal(got.n, mac.n);
    assert_ok(p11->C_Sign(fx.session, data.p, data.n, got.p, &got.n));
    assert_blob(got, mac.p, mac.n);
    assert_idle(fx.session);
    assert_ok(p11->C_SignInit(fx.session, m, key));
    assert_ok(p11->C_SignUpdate(fx.session, data.p, data.n));
    assert_ok(p11->C_SignFinal(fx.session, NULL, &got.n));
    assert_int_equal(got.n, mac.n);
    got.n--;
    assert_rv(CKR_BUFFER_TOO_SMALL, p11->C_SignFinal(fx.session, got.p, &got.n));
    assert_int_equal(got.n, mac.n);
    assert_ok(p11->C_SignFinal(fx.session, got.p, &got.n));
    assert_blob(got, mac.p, mac.n);
    assert_idle(fx.session);
}

static void length_protocol(void **state)
{
    (void)state;
    each_vector(protocol);
}

/* ---- libcrypto ----------------------------------------------------------------------------- */

static const struct hmac {
    CK_MECHANISM_TYPE type, general, generate;
    CK_KEY_TYPE key;
    const char *digest;
    CK_ULONG size, block;
} hmacs[] = {
    {CKM_SHA_1_HMAC, CKM_SHA_1_HMAC_GENERAL, CKM_SHA_1_KEY_GEN, CKK_SHA_1_HMAC, "SHA1", 20, 64},
    {CKM_SHA224_HMAC, CKM_SHA224_HMAC_GENERAL, CKM_SHA224_KEY_GEN, CKK_SHA224_HMAC, "SHA224", 28,
     64},
    {CKM_SHA256_HMAC, CKM_SHA256_HMAC_GENERAL, CKM_SHA256_KEY_GEN, CKK_SHA256_HMAC, "SHA256", 32,
     64},
    {CKM_SHA384_HMAC, CKM_SHA384_HMAC_GENERAL, CKM_SHA384_KEY_GEN, CKK_SHA384_HMAC, "SHA384", 48,
     128},
    {CKM_SHA512_HMAC, CKM_SHA512_HMAC_GENERAL, CKM_SHA512_KEY_GEN, CKK_SHA512_HMAC, "SHA512", 64,
     128},
    {CKM_SHA3_224_HMAC, CKM_SHA3_224_HMAC_GENERAL, CKM_SHA3_224_KEY_GEN, CKK_SHA3_224_HMAC,
     "SHA3-224", 28, 144},
    {CKM_SHA3_256_HMAC, CKM_SHA3_256_HMAC_GENERAL, CKM_SHA3_256_KEY_GEN, CKK_SHA3_256_HMAC,
     "SHA3-256", 32, 136},
    {CKM_SHA3_384_HMAC, CKM_SHA3_384_HMAC_GENERAL, CKM_SHA3_384_KEY_GEN, CKK_SHA3_384_HMAC,
     "SHA3-384", 48, 104},
    {CKM_SHA3_512_HMAC, CKM_SHA3_512_HMAC_GENERAL, CKM_SHA3_512_KEY_GEN, CKK_SHA3_512_HMAC,
     "SHA3-512", 64, 72},
};

static void hmac_agrees(const struct hmac *h, CK_OBJECT_HANDLE key, const CK_BYTE *value,
                        CK_ULONG value_n)
{
    static const CK_ULONG sizes[] = {0, 1, 1023, 1024, 1025, sizeof message};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct blob want = evp_mac("HMAC", h->digest, value, value_n, NULL, 0, message, sizes[i]);
        assert_int_equal(want.n, h->size);
        assert_blob(sign_parts(fx.session, MECHANISM(h->type), key, message, sizes[i], (uint32_t)i),
                    want.p, want.n);
        assert_ok(verify_parts(fx.session, MECHANISM(h->type), key, message, sizes[i], (uint32_t)i,
                               want));
    }
}

/* Keys of a byte, of a block, and longer: generic ones and those of the hash. */
static void hmac_as_libcrypto(void **state)
{
    (void)state;
    CK_BYTE value[200];
    fill(value, sizeof value, 7);
    for (size_t i = 0; i < COUNT(hmacs); i++)
        for (enum place place = 0; place < PLACES; place++) {
            const CK_ULONG sizes[] = {1, 64, hmacs[i].block, hmacs[i].block + 1, sizeof value};
            const CK_KEY_TYPE types[] = {hmacs[i].key, CKK_GENERIC_SECRET};
            bool in_tpm = place == IN_TPM || place == IN_SESSION_TPM;
            for (size_t j = 0; j < 2 * COUNT(sizes); j++) {
                CK_ULONG n = sizes[j / 2];
                if (!place_holds(place, types[j % 2], n) || (in_tpm && wants_bytes(hmacs[i].type)))
                    continue;
                CK_OBJECT_HANDLE key = import_key(fx.session, place, types[j % 2], value, n);
                hmac_agrees(&hmacs[i], key, value, n);
                assert_ok(p11->C_DestroyObject(fx.session, key));
            }
        }
}

static void cmac_and_gmac_as_libcrypto(void **state)
{
    (void)state;
    static const char *const ciphers[][2] = {{"AES-128-CBC", "AES-128-GCM"},
                                             {"AES-192-CBC", "AES-192-GCM"},
                                             {"AES-256-CBC", "AES-256-GCM"}};
    static const CK_ULONG sizes[] = {0, 1, 15, 16, 17, 1023, 1024, 1025, sizeof message};
    CK_BYTE value[32], iv[12];
    fill(value, sizeof value, 8);
    fill(iv, sizeof iv, 9);
    for (size_t i = 0; i < 3 * PLACES; i++) {
        CK_ULONG n = 16 + 8 * (i % 3);
        if (!place_holds((enum place)(i / 3), CKK_AES, n))
            continue;
        CK_OBJECT_HANDLE key = import_key(fx.session, (enum place)(i / 3), CKK_AES, value, n);
        for (size_t j = 0; j < COUNT(sizes); j++) {
            struct blob want =
                evp_mac("CMAC", ciphers[i % 3][0], value, n, NULL, 0, message, sizes[j]);
            assert_blob(sign_parts(fx.session, MECHANISM(CKM_AES_CMAC), key, message, sizes[j],
                                   (uint32_t)j),
                        want.p, 16);
            want = evp_mac("GMAC", ciphers[i % 3][1], value, n, iv, sizeof iv, message, sizes[j]);
            assert_blob(sign_parts(fx.session, MECHANISM_WITH(CKM_AES_GMAC, iv), key, message,
                                   sizes[j], (uint32_t)j),
                        want.p, 16);
        }
    }
}

/* No data at all may come by NULL. */
static void no_data(void **state)
{
    (void)state;
    static const CK_BYTE value[16] = {6};
    for (enum place place = 0; place < PLACES; place++) {
        CK_OBJECT_HANDLE aes = import_key(fx.session, place, CKK_AES, value, sizeof value);
        CK_OBJECT_HANDLE hmac = import_key(fx.session, place, CKK_GENERIC_SECRET, value, 16);
        struct blob want = evp_mac("CMAC", "AES-128-CBC", value, 16, NULL, 0, message, 0);
        assert_blob(sign(fx.session, MECHANISM(CKM_AES_CMAC), aes, NULL, 0), want.p, want.n);
        assert_ok(verify(fx.session, MECHANISM(CKM_AES_CMAC), aes, NULL, 0, want));
        want = evp_mac("HMAC", "SHA256", value, 16, NULL, 0, message, 0);
        assert_blob(sign(fx.session, MECHANISM(CKM_SHA256_HMAC), hmac, NULL, 0), want.p, want.n);
        assert_ok(p11->C_SignInit(fx.session, MECHANISM(CKM_SHA256_HMAC), hmac));
        assert_ok(p11->C_SignUpdate(fx.session, NULL, 0));
        assert_ok(p11->C_SignFinal(fx.session, want.p, &want.n));
        assert_ok(verify(fx.session, MECHANISM(CKM_SHA256_HMAC), hmac, NULL, 0, want));
    }
}

/* ---- _GENERAL ------------------------------------------------------------------------------ */

static void lengths_of(CK_MECHANISM_TYPE type, CK_MECHANISM_TYPE general, CK_ULONG most,
                       CK_OBJECT_HANDLE key)
{
    const CK_ULONG wrong[] = {0, most + 1, CK_UNAVAILABLE_INFORMATION};
    struct blob whole = sign(fx.session, MECHANISM(type), key, message, 100);
    for (CK_ULONG n = 1; n <= most; n++) {
        struct blob mac = sign(fx.session, MECHANISM_WITH(general, n), key, message, 100);
        assert_blob(mac, whole.p, n);
        assert_ok(verify(fx.session, MECHANISM_WITH(general, n), key, message, 100, mac));
        mac.p[n - 1] ^= 1;
        assert_rv(CKR_SIGNATURE_INVALID,
                  verify(fx.session, MECHANISM_WITH(general, n), key, message, 100, mac));
    }
    for (size_t i = 0; i < COUNT(wrong); i++) {
        CK_ULONG n = wrong[i];
        assert_rv(CKR_MECHANISM_PARAM_INVALID,
                  p11->C_SignInit(fx.session, MECHANISM_WITH(general, n), key));
        assert_rv(CKR_MECHANISM_PARAM_INVALID,
                  p11->C_VerifyInit(fx.session, MECHANISM_WITH(general, n), key));
        assert_idle(fx.session);
    }
}

static void general_lengths(void **state)
{
    (void)state;
    for (enum place place = IN_SESSION; place <= IN_TPM; place += IN_TPM - IN_SESSION) {
        CK_OBJECT_HANDLE aes = import_key(fx.session, place, CKK_AES, "0123456789abcdef", 16);
        CK_OBJECT_HANDLE hmac = import_key(fx.session, place, CKK_GENERIC_SECRET, "0123456789", 10);
        lengths_of(CKM_AES_CMAC, CKM_AES_CMAC_GENERAL, 16, aes);
        for (size_t i = 0; i < COUNT(hmacs); i++)
            if (place == IN_SESSION || !wants_bytes(hmacs[i].type))
                lengths_of(hmacs[i].type, hmacs[i].general, hmacs[i].size, hmac);
    }
}

/* ---- parameters ---------------------------------------------------------------------------- */

static void refused(CK_MECHANISM_TYPE type, CK_OBJECT_HANDLE key, const void *p, CK_ULONG n)
{
    CK_MECHANISM m = {type, (CK_VOID_PTR)(uintptr_t)p, n};
    assert_rv(CKR_MECHANISM_PARAM_INVALID, p11->C_SignInit(fx.session, &m, key));
    assert_rv(CKR_MECHANISM_PARAM_INVALID, p11->C_VerifyInit(fx.session, &m, key));
    assert_idle(fx.session);
}

static void wrong_parameters(void **state)
{
    (void)state;
    CK_BYTE bytes[32] = {0};
    CK_OBJECT_HANDLE aes = import_key(fx.session, IN_TPM, CKK_AES, "0123456789abcdef", 16);
    CK_OBJECT_HANDLE hmac = import_key(fx.session, IN_TPM, CKK_GENERIC_SECRET, "0123456789", 10);
    for (size_t i = 0; i < COUNT(hmacs); i++) {
        if (wants_bytes(hmacs[i].type))
            continue;
        refused(hmacs[i].type, hmac, bytes, 8);
        refused(hmacs[i].general, hmac, NULL, 0);
        refused(hmacs[i].general, hmac, NULL, sizeof(CK_ULONG));
        refused(hmacs[i].general, hmac, bytes, 4);
    }
    refused(CKM_AES_CMAC, aes, bytes, 16);
    refused(CKM_AES_CMAC_GENERAL, aes, bytes, 4);
    refused(CKM_AES_CMAC_GENERAL, aes, NULL, 0);
    refused(CKM_AES_GMAC, aes, NULL, 0);
    refused(CKM_AES_GMAC, aes, NULL, 12);
    refused(CKM_AES_GMAC, aes, bytes, 11);
    refused(CKM_AES_GMAC, aes, bytes, 16);
    CK_GCM_PARAMS gcm = {bytes, 12, 96, NULL, 0, 8};
    refused(CKM_AES_GMAC, aes, &gcm, sizeof gcm);
}

/* PKCS#11 3.0 section 2.40.8: the length of the MAC, and whose it is. */
static void wrong_tls_parameters(void **state)
{
    (void)state;
    CK_OBJECT_HANDLE key = import_key(fx.session, IN_SESSION, CKK_GENERIC_SECRET, message, 48);
    static const CK_TLS_MAC_PARAMS wrong[] = {
        {CKM_SHA256, 12, 0},
        {CKM_SHA256, 12, 3},
        {CKM_SHA256, 0, 1},
        {CKM_AES_CBC, 12, 1},
    };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        refused(CKM_TLS12_MAC, key, &wrong[i], sizeof wrong[i]);
        refused(CKM_TLS12_MAC, key, &wrong[i], sizeof wrong[i] - 1);
    }
    refused(CKM_TLS12_MAC, key, NULL, 0);
}

/* ---- keys ---------------------------------------------------------------------------------- */

/* No TPM hashes with SHA-224 or SHA-3, and TLS's key is spread over more than an HMAC. */
static void not_on_keys_in_the_tpm(void **state)
{
    (void)state;
    for (enum place place = IN_SESSION_TPM; place <= IN_TPM; place++) {
        CK_OBJECT_HANDLE key = import_key(fx.session, place, CKK_GENERIC_SECRET, message, 48);
        for (size_t i = 0; i < COUNT(hmacs); i++) {
            if (!wants_bytes(hmacs[i].type))
                continue;
            CK_ULONG n = 4;
            assert_rv(CKR_KEY_FUNCTION_NOT_PERMITTED,
                      p11->C_SignInit(fx.session, MECHANISM(hmacs[i].type), key));
            assert_rv(CKR_KEY_FUNCTION_NOT_PERMITTED,
                      p11->C_VerifyInit(fx.session, MECHANISM_WITH(hmacs[i].general, n), key));
        }
        CK_TLS_MAC_PARAMS tls = {CKM_SHA256, 12, 1};
        assert_rv(CKR_KEY_FUNCTION_NOT_PERMITTED,
                  p11->C_SignInit(fx.session, MECHANISM_WITH(CKM_TLS12_MAC, tls), key));
        assert_idle(fx.session);
    }
}

/* PKCS#11 3.0 sections 2.20 and on: an HMAC takes generic keys and those of its own hash. */
static void key_types(void **state)
{
    (void)state;
    CK_OBJECT_HANDLE aes = import_key(fx.session, IN_SESSION, CKK_AES, "0123456789abcdef", 16);
    CK_OBJECT_HANDLE generic = import_key(fx.session, IN_SESSION, CKK_GENERIC_SECRET, message, 32);
    for (size_t i = 0; i < COUNT(hmacs); i++) {
        CK_OBJECT_HANDLE own = import_key(fx.session, IN_SESSION, hmacs[i].key, message, 32);
        for (size_t j = 0; j < COUNT(hmacs); j++) {
            CK_RV rv = p11->C_SignInit(fx.session, MECHANISM(hmacs[j].type), own);
            assert_rv(i == j ? CKR_OK : CKR_KEY_TYPE_INCONSISTENT, rv);
            if (i == j)
                assert_ok(p11->C_SignInit(fx.session, NULL, 0));
        }
        assert_rv(CKR_KEY_TYPE_INCONSISTENT,
                  p11->C_SignInit(fx.session, MECHANISM(hmacs[i].type), aes));
        assert_rv(CKR_KEY_TYPE_INCONSISTENT,
                  p11->C_SignInit(fx.session, MECHANISM(CKM_AES_CMAC), own));
    }
    assert_rv(CKR_KEY_TYPE_INCONSISTENT,
              p11->C_SignInit(fx.session, MECHANISM(CKM_AES_CMAC), generic));
    assert_rv(CKR_MECHANISM_INVALID, p11->C_SignInit(fx.session, MECHANISM(CKM_AES_CBC), aes));
    assert_idle(fx.session);
}

static void usage(void **state)
{
    (void)state;
    const CK_ATTRIBUTE signs[] = {ATTR_BOOL(CKA_SIGN, true), ATTR_BOOL(CKA_VERIFY, false)};
    const CK_ATTRIBUTE verifies[] = {ATTR_BOOL(CKA_SIGN, false), ATTR_BOOL(CKA_VERIFY, true)};
    CK_OBJECT_HANDLE a = CK_INVALID_HANDLE, b = CK_INVALID_HANDLE;
    CK_MECHANISM *m = MECHANISM(CKM_SHA256_HMAC);
    assert_ok(create_key(fx.session, CKK_GENERIC_SECRET, message, 20, signs, 2, &a));
    assert_ok(create_key(fx.session, CKK_GENERIC_SECRET, message, 20, verifies, 2, &b));
    struct blob mac = sign(fx.session, m, a, message, 50);
    assert_rv(CKR_KEY_FUNCTION_NOT_PERMITTED, p11->C_VerifyInit(fx.session, m, a));
    assert_rv(CKR_KEY_FUNCTION_NOT_PERMITTED, p11->C_SignInit(fx.session, m, b));
    assert_ok(verify(fx.session, m, b, message, 50, mac));
}

/* ---- generated keys ------------------------------------------------------------------------ */

static CK_OBJECT_HANDLE generated(const struct hmac *h, CK_ULONG n, bool token, bool readable)
{
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    CK_ATTRIBUTE template[] = {
        ATTR_BOOL(CKA_TOKEN, token),
        ATTR_ULONG(CKA_VALUE_LEN, n),
        ATTR_BOOL(CKA_SIGN, true),
        ATTR_BOOL(CKA_VERIFY, true),
        ATTR_BOOL(CKA_EXTRACTABLE, readable),
        ATTR_BOOL(CKA_SENSITIVE, !readable),
    };
    assert_ok(
        p11->C_GenerateKey(fx.session, MECHANISM(h->generate), template, COUNT(template), &key));
    return key;
}

/* Their value can be read, so libcrypto can say what is right. */
static void generated_keys(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(hmacs); i++)
        for (CK_ULONG n = 1; n < 300; n = 2 * n + 13)
            for (int token = 0; token < 2; token++) {
                CK_OBJECT_HANDLE key = generated(&hmacs[i], n, token, true);
                struct blob value = get_attribute(fx.session, key, CKA_VALUE);
                assert_int_equal(value.n, n);
                hmac_agrees(&hmacs[i], key, value.p, value.n);
                assert_ok(p11->C_DestroyObject(fx.session, key));
            }
}

/* In the TPM, where it has the hash: two keys differ, and each verifies its own. */
static void generated_in_the_tpm(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(hmacs); i++)
        for (int token = 0; token < 2; token++) {
            CK_MECHANISM *m = MECHANISM(hmacs[i].type);
            CK_ULONG n = 20 + 12 * (i % 2);
            CK_OBJECT_HANDLE a = generated(&hmacs[i], n, token, false);
            CK_OBJECT_HANDLE b = generated(&hmacs[i], n, token, false);
            struct blob mac = sign(fx.session, m, a, message, 99);
            assert_ok(verify(fx.session, m, a, message, 99, mac));
            assert_rv(CKR_SIGNATURE_INVALID, verify(fx.session, m, b, message, 99, mac));
        }
}

/* A token key is the same in the next session and after the next login. */
static void token_keys_last(void **state)
{
    (void)state;
    CK_BYTE value[64];
    fill(value, sizeof value, 3);
    for (enum place place = IN_TPM; place < PLACES; place++) {
        CK_OBJECT_HANDLE key = import_key(fx.session, place, CKK_SHA512_HMAC, value, sizeof value);
        CK_ATTRIBUTE label = ATTR_STR(CKA_LABEL, "lasting");
        assert_ok(p11->C_SetAttributeValue(fx.session, key, &label, 1));
        test_end(state);
        test_user(state);
        key = find_object(fx.session, CKO_SECRET_KEY, "lasting");
        assert_true(key != CK_INVALID_HANDLE);
        hmac_agrees(&hmacs[4], key, value, sizeof value);
        assert_ok(p11->C_DestroyObject(fx.session, key));
    }
}

static int group_message(void **state)
{
    fill(message, sizeof message, 42);
    return group_token(state);
}

#define USER_TEST(f) cmocka_unit_test_setup_teardown(f, test_user, test_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        USER_TEST(known_answers),
        USER_TEST(wrong_macs),
        USER_TEST(length_protocol),
        USER_TEST(hmac_as_libcrypto),
        USER_TEST(cmac_and_gmac_as_libcrypto),
        USER_TEST(no_data),
        USER_TEST(general_lengths),
        USER_TEST(wrong_parameters),
        USER_TEST(wrong_tls_parameters),
        USER_TEST(not_on_keys_in_the_tpm),
        USER_TEST(key_types),
        USER_TEST(usage),
        USER_TEST(generated_keys),
        USER_TEST(generated_in_the_tpm),
        USER_TEST(token_keys_last),
    };
    return cmocka_run_group_tests(tests, group_message, group_end);
}
