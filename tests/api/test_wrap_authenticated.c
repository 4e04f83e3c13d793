/* C_WrapKeyAuthenticated, C_UnwrapKeyAuthenticated: PKCS#11 3.2 sections 5.18.6, 5.18.7, 6.13.3
 * (GCM), 6.13.5 (CCM). */
#include "material.h"

#include <latchkey/vendor.h>

enum { TAG = 16, NONCE = 12 };

static const char *const places[] = {"tpm", "sealed", "session"};
static CK_OBJECT_HANDLE aes_key[COUNT(places)], target, private_target;
static struct blob aes, value;
static EVP_PKEY *pair;
static CK_BYTE nonce[NONCE], tag[TAG];
static CK_GCM_MESSAGE_PARAMS gcm;
static CK_CCM_MESSAGE_PARAMS ccm;
static CK_BYTE aad[] = "who may have it";

static int test_authenticated(void **state)
{
    static struct parts parts;
    test_user(state);
    aes = random_blob(32);
    value = random_blob(20);
    for (size_t i = 0; i < COUNT(places); i++) {
        secret_parts(CKK_AES, aes, &parts);
        set_part(&parts, (CK_ATTRIBUTE)ATTR_BOOL(CKA_TOKEN, i < 2));
        set_part(&parts, (CK_ATTRIBUTE)ATTR_STR(CKA_LATCHKEY_PROTECTION, places[i]));
        assert_ok(create(&parts, &aes_key[i]));
    }
    secret_parts(CKK_GENERIC_SECRET, value, &parts);
    set_part(&parts, (CK_ATTRIBUTE)ATTR_BOOL(CKA_EXTRACTABLE, true));
    assert_ok(create(&parts, &target));
    private_parts(pair, &parts);
    set_part(&parts, (CK_ATTRIBUTE)ATTR_BOOL(CKA_EXTRACTABLE, true));
    assert_ok(create(&parts, &private_target));
    memset(nonce, 0xA5, sizeof nonce);
    gcm = (CK_GCM_MESSAGE_PARAMS){nonce, NONCE, 0, CKG_NO_GENERATE, tag, 8 * TAG};
    ccm = (CK_CCM_MESSAGE_PARAMS){0, nonce, NONCE, 0, CKG_NO_GENERATE, tag, TAG};
    return 0;
}

static int group_authenticated(void **state)
{
    pair = make_key("ED25519");
    return group_token(state);
}

static int group_authenticated_end(void **state)
{
    EVP_PKEY_free(pair);
    return group_end(state);
}

static CK_MECHANISM mechanism_of(bool is_ccm)
{
    return is_ccm ? (CK_MECHANISM){CKM_AES_CCM, &ccm, sizeof ccm}
                  : (CK_MECHANISM){CKM_AES_GCM, &gcm, sizeof gcm};
}

static CK_RV wrap(bool is_ccm, size_t where, CK_OBJECT_HANDLE key, CK_ULONG aad_n, struct blob *ret)
{
    CK_MECHANISM mechanism = mechanism_of(is_ccm);
    ret->n = sizeof ret->p;
    return p11_32->C_WrapKeyAuthenticated(fx.session, &mechanism, aes_key[where], key,
                                          aad_n ? aad : NULL, aad_n, ret->p, &ret->n);
}

static CK_RV unwrap(bool is_ccm, size_t where, struct blob wrapped, CK_ULONG aad_n,
                    CK_OBJECT_HANDLE *ret)
{
    CK_MECHANISM mechanism = mechanism_of(is_ccm);
    CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_CLASS, CKO_SECRET_KEY),
                               ATTR_ULONG(CKA_KEY_TYPE, CKK_GENERIC_SECRET),
                               ATTR_BOOL(CKA_SENSITIVE, false), ATTR_BOOL(CKA_EXTRACTABLE, true)};
    return p11_32->C_UnwrapKeyAuthenticated(fx.session, &mechanism, aes_key[where], wrapped.p,
                                            wrapped.n, template, COUNT(template),
                                            aad_n ? aad : NULL, aad_n, ret);
}

/* What libcrypto finds under key, nonce, tag and associated data. */
static struct blob openssl_opens(bool is_ccm, struct blob wrapped, CK_ULONG aad_n)
{
    struct blob out = {.n = wrapped.n};
    int n;
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    const EVP_CIPHER *cipher = is_ccm ? EVP_aes_256_ccm() : EVP_aes_256_gcm();
    assert_int_equal(EVP_DecryptInit_ex(context, cipher, NULL, NULL, NULL), 1);
    EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_IVLEN, NONCE, NULL);
    EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, TAG, tag);
    assert_int_equal(EVP_DecryptInit_ex(context, NULL, NULL, aes.p, nonce), 1);
    if (is_ccm)
        assert_int_equal(EVP_DecryptUpdate(context, NULL, &n, NULL, (int)wrapped.n), 1);
    if (aad_n)
        assert_int_equal(EVP_DecryptUpdate(context, NULL, &n, aad, (int)aad_n), 1);
    assert_int_equal(EVP_DecryptUpdate(context, out.p, &n, wrapped.p, (int)wrapped.n), 1);
    if (!is_ccm)
        assert_int_equal(EVP_DecryptFinal_ex(context, out.p + n, &n), 1);
    EVP_CIPHER_CTX_free(context);
    return out;
}

static void both_mechanisms_everywhere(void **state)
{
    (void)state;
    static const CK_ULONG aad_sizes[] = {0, 1, sizeof aad};
    for (int is_ccm = 0; is_ccm < 2; is_ccm++)
        for (size_t where = 0; where < COUNT(places); where++)
            for (size_t a = 0; a < COUNT(aad_sizes); a++) {
                struct blob wrapped;
                CK_OBJECT_HANDLE object;
                assert_ok(wrap(is_ccm, where, target, aad_sizes[a], &wrapped));
                assert_int_equal(wrapped.n, value.n);
                struct blob plain = openssl_opens(is_ccm, wrapped, aad_sizes[a]);
                assert_blob(plain, value.p, value.n);
                assert_ok(
                    unwrap(is_ccm, (where + 1) % COUNT(places), wrapped, aad_sizes[a], &object));
                assert_blob(get_attribute(fx.session, object, CKA_VALUE), value.p, value.n);
                assert_false(get_bool(fx.session, object, CKA_LOCAL));
                assert_false(get_bool(fx.session, object, CKA_NEVER_EXTRACTABLE));
                assert_ok(p11->C_DestroyObject(fx.session, object));
            }
}

static void private_keys(void **state)
{
    (void)state;
    for (int is_ccm = 0; is_ccm < 2; is_ccm++) {
        struct blob wrapped, der = pkcs8_of(pair);
        CK_MECHANISM mechanism = mechanism_of(is_ccm);
        CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_CLASS, CKO_PRIVATE_KEY),
                                   ATTR_ULONG(CKA_KEY_TYPE, CKK_EC_EDWARDS)};
        CK_OBJECT_HANDLE object;
        assert_ok(wrap(is_ccm, 0, private_target, sizeof aad, &wrapped));
        assert_blob(openssl_opens(is_ccm, wrapped, sizeof aad), der.p, der.n);
        assert_ok(p11_32->C_UnwrapKeyAuthenticated(fx.session, &mechanism, aes_key[1], wrapped.p,
                                                   wrapped.n, template, COUNT(template), aad,
                                                   sizeof aad, &object));
        assert_same_private(object, pair);
    }
}

/* 6.13.3: the provider makes the IV and puts it where the parameter says; the fixed bits stay. */
static void generated_nonces(void **state)
{
    (void)state;
    static const CK_GENERATOR_FUNCTION generators[] = {CKG_GENERATE, CKG_GENERATE_RANDOM};
    for (int is_ccm = 0; is_ccm < 2; is_ccm++)
        for (size_t g = 0; g < COUNT(generators); g++)
            for (CK_ULONG fixed = 0; fixed <= 32; fixed += 16) {
                CK_BYTE before[NONCE], first[NONCE];
                struct blob wrapped;
                CK_OBJECT_HANDLE object;
                gcm.ivGenerator = ccm.nonceGenerator = generators[g];
                gcm.ulIvFixedBits = ccm.ulNonceFixedBits = fixed;
                memcpy(before, nonce, NONCE);
                assert_ok(wrap(is_ccm, 0, target, sizeof aad, &wrapped));
                assert_memory_equal(nonce, before, fixed / 8);
                assert_memory_not_equal(nonce, before, NONCE);
                memcpy(first, nonce, NONCE);
                assert_ok(wrap(is_ccm, 0, target, sizeof aad, &wrapped));
                assert_memory_not_equal(nonce, first, NONCE);
                assert_blob(openssl_opens(is_ccm, wrapped, sizeof aad), value.p, value.n);
                gcm.ivGenerator = ccm.nonceGenerator = CKG_NO_GENERATE;
                assert_ok(unwrap(is_ccm, 0, wrapped, sizeof aad, &object));
            }
}

/* C_WrapKey's output is the same, with the tag behind. */
static void as_the_older_function(void **state)
{
    (void)state;
    CK_GCM_PARAMS older = {nonce, NONCE, 8 * NONCE, aad, sizeof aad, 8 * TAG};
    struct blob wrapped, with_tag = {.n = sizeof with_tag.p};
    assert_ok(wrap(false, 0, target, sizeof aad, &wrapped));
    assert_ok(p11->C_WrapKey(fx.session, MECHANISM_WITH(CKM_AES_GCM, older), aes_key[0], target,
                             with_tag.p, &with_tag.n));
    memcpy(wrapped.p + wrapped.n, tag, TAG);
    assert_blob(with_tag, wrapped.p, wrapped.n + TAG);
}

/* 5.2; a question for the length makes no IV. */
static void lengths(void **state)
{
    (void)state;
    for (int is_ccm = 0; is_ccm < 2; is_ccm++) {
        CK_MECHANISM mechanism = mechanism_of(is_ccm);
        CK_BYTE out[64], before[NONCE];
        CK_ULONG n = 0;
        gcm.ivGenerator = ccm.nonceGenerator = CKG_GENERATE;
        memcpy(before, nonce, NONCE);
        assert_ok(p11_32->C_WrapKeyAuthenticated(fx.session, &mechanism, aes_key[0], target, NULL,
                                                 0, NULL, &n));
        assert_int_equal(n, value.n);
        n--;
        assert_rv(CKR_BUFFER_TOO_SMALL,
                  p11_32->C_WrapKeyAuthenticated(fx.session, &mechanism, aes_key[0], target, NULL,
                                                 0, out, &n));
        assert_int_equal(n, value.n);
        assert_memory_equal(nonce, before, NONCE);
        assert_ok(p11_32->C_WrapKeyAuthenticated(fx.session, &mechanism, aes_key[0], target, NULL,
                                                 0, out, &n));
    }
}

static void assert_refused(CK_RV want, bool is_ccm, struct blob wrapped, CK_ULONG aad_n)
{
    for (size_t where = 0; where < COUNT(places); where++) {
        CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
        CK_ULONG before = count_objects(fx.session, NULL, 0);
        assert_rv(want, unwrap(is_ccm, where, wrapped, aad_n, &object));
        assert_int_equal(object, CK_INVALID_HANDLE);
        assert_int_equal(count_objects(fx.session, NULL, 0), before);
    }
}

/* Key, nonce, tag and associated data are one: a bit elsewhere and there is no key. */
static void nothing_of_it_may_change(void **state)
{
    (void)state;
    for (int is_ccm = 0; is_ccm < 2; is_ccm++) {
        struct blob wrapped;
        CK_BYTE *places_of_a_bit[] = {&wrapped.p[3], &nonce[5], &tag[0], &tag[TAG - 1], &aad[2]};
        assert_ok(wrap(is_ccm, 0, target, sizeof aad, &wrapped));
        for (size_t i = 0; i < COUNT(places_of_a_bit); i++) {
            *places_of_a_bit[i] ^= 4;
            assert_refused(CKR_WRAPPED_KEY_INVALID, is_ccm, wrapped, sizeof aad);
            *places_of_a_bit[i] ^= 4;
        }
        assert_refused(CKR_WRAPPED_KEY_INVALID, is_ccm, wrapped, sizeof aad - 1);
        assert_refused(CKR_WRAPPED_KEY_INVALID, is_ccm, wrapped, 0);
        wrapped.n--;
        assert_refused(CKR_WRAPPED_KEY_INVALID, is_ccm, wrapped, sizeof aad);
    }
}

static void bad_parameters(void **state)
{
    (void)state;
    struct blob out;
    CK_GCM_MESSAGE_PARAMS good = gcm;
    static const struct {
        CK_ULONG iv_n, fixed, generator, tag_bits;
    } rows[] = {{0, 0, CKG_NO_GENERATE, 128},
                {NONCE, 0, CKG_NO_GENERATE, 0},
                {NONCE, 0, CKG_NO_GENERATE, 127},
                {NONCE, 0, CKG_NO_GENERATE, 136},
                {NONCE, 0, 77, 128},
                {NONCE, 97, CKG_GENERATE, 128}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        gcm.ulIvLen = rows[i].iv_n;
        gcm.ulIvFixedBits = rows[i].fixed;
        gcm.ivGenerator = rows[i].generator;
        gcm.ulTagBits = rows[i].tag_bits;
        assert_rv(CKR_MECHANISM_PARAM_INVALID, wrap(false, 0, target, 0, &out));
    }
    gcm = good;
    gcm.pIv = NULL;
    assert_rv(CKR_MECHANISM_PARAM_INVALID, wrap(false, 0, target, 0, &out));
    gcm = good;
    gcm.pTag = NULL;
    assert_rv(CKR_MECHANISM_PARAM_INVALID, wrap(false, 0, target, 0, &out));
    ccm.ulNonceLen = 6;
    assert_rv(CKR_MECHANISM_PARAM_INVALID, wrap(true, 0, target, 0, &out));
}

/* A message's parameter may be left out at C_MessageEncryptInit; here it is the only one. */
static void no_parameter(void **state)
{
    (void)state;
    static const CK_MECHANISM_TYPE types[] = {CKM_AES_GCM, CKM_AES_CCM};
    CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_CLASS, CKO_SECRET_KEY),
                               ATTR_ULONG(CKA_KEY_TYPE, CKK_GENERIC_SECRET)};
    CK_OBJECT_HANDLE object;
    CK_BYTE out[64] = {0};
    for (size_t i = 0; i < COUNT(types); i++) {
        CK_ULONG n = sizeof out;
        assert_rv(CKR_MECHANISM_PARAM_INVALID,
                  p11_32->C_WrapKeyAuthenticated(fx.session, MECHANISM(types[i]), aes_key[0],
                                                 target, NULL, 0, out, &n));
        assert_rv(CKR_MECHANISM_PARAM_INVALID,
                  p11_32->C_UnwrapKeyAuthenticated(fx.session, MECHANISM(types[i]), aes_key[0], out,
                                                   20, template, 2, NULL, 0, &object));
    }
}

static void refusals(void **state)
{
    (void)state;
    struct blob out = {.n = sizeof out.p};
    CK_MECHANISM mechanism = mechanism_of(false);
    CK_BYTE iv[16] = {0};
    assert_rv(CKR_KEY_UNEXTRACTABLE, wrap(false, 0, aes_key[1], 0, &out));
    assert_rv(CKR_KEY_HANDLE_INVALID, wrap(false, 0, 0xFFFF, 0, &out));
    assert_rv(CKR_WRAPPING_KEY_HANDLE_INVALID,
              p11_32->C_WrapKeyAuthenticated(fx.session, &mechanism, 0xFFFF, target, NULL, 0, out.p,
                                             &out.n));
    assert_rv(CKR_WRAPPING_KEY_TYPE_INCONSISTENT,
              p11_32->C_WrapKeyAuthenticated(fx.session, &mechanism, target, target, NULL, 0, out.p,
                                             &out.n));
    assert_rv(CKR_MECHANISM_INVALID,
              p11_32->C_WrapKeyAuthenticated(fx.session, MECHANISM(CKM_AES_KEY_WRAP), aes_key[0],
                                             target, NULL, 0, out.p, &out.n));
    assert_rv(CKR_MECHANISM_INVALID,
              p11_32->C_WrapKeyAuthenticated(fx.session, MECHANISM_WITH(CKM_AES_CBC, iv),
                                             aes_key[0], target, NULL, 0, out.p, &out.n));
    assert_rv(CKR_ARGUMENTS_BAD, p11_32->C_WrapKeyAuthenticated(fx.session, &mechanism, aes_key[0],
                                                                target, NULL, 4, out.p, &out.n));
}

#define AUTH_TEST(f) cmocka_unit_test_setup_teardown(f, test_authenticated, test_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        AUTH_TEST(both_mechanisms_everywhere),
        AUTH_TEST(private_keys),
        AUTH_TEST(generated_nonces),
        AUTH_TEST(as_the_older_function),
        AUTH_TEST(lengths),
        AUTH_TEST(nothing_of_it_may_change),
        AUTH_TEST(bad_parameters),
        AUTH_TEST(no_parameter),
        AUTH_TEST(refusals),
    };
    return cmocka_run_group_tests(tests, group_authenticated, group_authenticated_end);
}
