/* C_EncapsulateKey, C_DecapsulateKey with ECDH: PKCS#11 3.2 sections 5.18.8, 5.18.9, 6.3. The
 * ciphertext is the point of a key of the moment. */
#include "derive.h"

static const char *const kinds[] = {"P-256", "P-384", "P-521", "X25519", "X448"};

struct pair {
    EVP_PKEY *key;
    CK_OBJECT_HANDLE public, private;
};

/* token: the private key is in the TPM, or sealed. more: of both. */
static struct pair make_pair(const char *kind, bool token)
{
    static struct parts parts;
    struct pair p = {.key = make_key(kind)};
    public_parts(p.key, &parts);
    set_part(&parts, (CK_ATTRIBUTE)ATTR_BOOL(CKA_ENCAPSULATE, true));
    assert_ok(create(&parts, &p.public));
    private_parts(p.key, &parts);
    set_part(&parts, (CK_ATTRIBUTE)ATTR_BOOL(CKA_DECAPSULATE, true));
    set_part(&parts, (CK_ATTRIBUTE)ATTR_BOOL(CKA_TOKEN, token));
    assert_ok(create(&parts, &p.private));
    return p;
}

static void free_pair(struct pair *p)
{
    EVP_PKEY_free(p->key);
    assert_ok(p11->C_DestroyObject(fx.session, p->private));
}

static CK_ECDH1_DERIVE_PARAMS plain = {CKD_NULL, 0, NULL, 0, NULL};
static CK_MECHANISM ecdh = {CKM_ECDH1_DERIVE, &plain, sizeof plain};
static CK_BBOOL false_ = CK_FALSE, true_ = CK_TRUE;
static CK_ATTRIBUTE readable[] = {{CKA_SENSITIVE, &false_, 1}, {CKA_EXTRACTABLE, &true_, 1}};

static CK_RV encapsulate(CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, CK_ATTRIBUTE *template,
                         CK_ULONG n, struct blob *ciphertext, CK_OBJECT_HANDLE *ret)
{
    *ret = CK_INVALID_HANDLE;
    ciphertext->n = sizeof ciphertext->p;
    return p11_32->C_EncapsulateKey(fx.session, mechanism, key, template, n, ciphertext->p,
                                    &ciphertext->n, ret);
}

static CK_RV decapsulate(CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, CK_ATTRIBUTE *template,
                         CK_ULONG n, struct blob ciphertext, CK_OBJECT_HANDLE *ret)
{
    *ret = CK_INVALID_HANDLE;
    return p11_32->C_DecapsulateKey(fx.session, mechanism, key, template, n, ciphertext.p,
                                    ciphertext.n, ret);
}

/* What libcrypto agrees on with the peer of that point. */
static struct blob openssl_agrees(EVP_PKEY *own, struct blob point)
{
    struct blob secret = {0};
    size_t n = sizeof secret.p;
    EVP_PKEY *peer = EVP_PKEY_new();
    assert_int_equal(EVP_PKEY_copy_parameters(peer, own), 1);
    assert_int_equal(EVP_PKEY_set1_encoded_public_key(peer, point.p, point.n), 1);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(own, NULL);
    assert_int_equal(EVP_PKEY_derive_init(context), 1);
    assert_int_equal(EVP_PKEY_derive_set_peer(context, peer), 1);
    assert_int_equal(EVP_PKEY_derive(context, secret.p, &n), 1);
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(peer);
    secret.n = n;
    return secret;
}

/* ---- both ends agree ---------------------------------------------------------------------------
 */

static void every_curve(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(kinds); i++)
        for (int token = 0; token < 2; token++) {
            struct pair p = make_pair(kinds[i], token);
            struct blob ciphertext;
            CK_OBJECT_HANDLE ours, theirs;
            assert_ok(encapsulate(&ecdh, p.public, readable, 2, &ciphertext, &ours));
            struct blob value = get_attribute(fx.session, ours, CKA_VALUE);
            struct blob want = openssl_agrees(p.key, ciphertext);
            assert_blob(value, want.p, want.n);
            assert_ok(decapsulate(&ecdh, p.private, readable, 2, ciphertext, &theirs));
            assert_blob(get_attribute(fx.session, theirs, CKA_VALUE), want.p, want.n);
            free_pair(&p);
        }
}

/* libcrypto's key of the moment. */
static void decapsulated_from_outside(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(kinds); i++) {
        struct pair p = make_pair(kinds[i], true);
        EVP_PKEY *moment = make_key(kinds[i]);
        struct blob want = openssl_agrees(moment, public_point(p.key));
        CK_OBJECT_HANDLE key;
        assert_ok(decapsulate(&ecdh, p.private, readable, 2, public_point(moment), &key));
        assert_blob(get_attribute(fx.session, key, CKA_VALUE), want.p, want.n);
        EVP_PKEY_free(moment);
        free_pair(&p);
    }
}

/* A key of the moment is one of the moment. */
static void never_twice(void **state)
{
    (void)state;
    struct pair p = make_pair("P-256", false);
    struct blob first, second;
    CK_OBJECT_HANDLE a, b;
    assert_ok(encapsulate(&ecdh, p.public, readable, 2, &first, &a));
    assert_ok(encapsulate(&ecdh, p.public, readable, 2, &second, &b));
    assert_memory_not_equal(first.p, second.p, first.n);
    struct blob value = get_attribute(fx.session, a, CKA_VALUE);
    assert_memory_not_equal(get_attribute(fx.session, b, CKA_VALUE).p, value.p, value.n);
    free_pair(&p);
}

/* With a KDF, of another type, and kept: in the TPM. */
static void through_a_kdf(void **state)
{
    (void)state;
    struct pair p = make_pair("P-256", true);
    CK_BYTE shared[] = "both know it";
    CK_ECDH1_DERIVE_PARAMS with_kdf = {CKD_SHA256_KDF, sizeof shared, shared, 0, NULL};
    CK_MECHANISM mechanism = {CKM_ECDH1_DERIVE, &with_kdf, sizeof with_kdf};
    CK_ATTRIBUTE aes[] = {ATTR_ULONG(CKA_KEY_TYPE, CKK_AES), ATTR_ULONG(CKA_VALUE_LEN, 32),
                          ATTR_BOOL(CKA_TOKEN, true), ATTR_BOOL(CKA_EXTRACTABLE, false)};
    struct blob ciphertext, input;
    CK_OBJECT_HANDLE ours, theirs;
    assert_ok(encapsulate(&mechanism, p.public, aes, 4, &ciphertext, &ours));
    assert_ok(decapsulate(&mechanism, p.private, aes, 4, ciphertext, &theirs));
    /* X9.63: one round of Hash(Z || 1 || SharedInfo) */
    input = openssl_agrees(p.key, ciphertext);
    memcpy(input.p + input.n, "\0\0\0\1", 4);
    memcpy(input.p + input.n + 4, shared, sizeof shared);
    struct blob want = openssl_digest("SHA256", input.p, input.n + 4 + sizeof shared);
    assert_protection(ours, "tpm");
    assert_same_secret(ours, want);
    assert_same_secret(theirs, want);
    assert_ok(p11->C_DestroyObject(fx.session, ours));
    assert_ok(p11->C_DestroyObject(fx.session, theirs));
    free_pair(&p);
}

/* ---- rules -------------------------------------------------------------------------------------
 */

/* 5.18.8, 5.18.9: neither always sensitive nor never extractable, extractable unless said, whatever
 * the private key is. */
static void attributes(void **state)
{
    (void)state;
    struct blob ciphertext;
    CK_OBJECT_HANDLE keys[2];
    struct key_pair made = generate_ec(fx.session, NID_X9_62_prime256v1, "made", false);
    CK_ATTRIBUTE for_public = ATTR_BOOL(CKA_ENCAPSULATE, true),
                 for_private = ATTR_BOOL(CKA_DECAPSULATE, true);
    CK_ATTRIBUTE kept[] = {ATTR_BOOL(CKA_SENSITIVE, true), ATTR_BOOL(CKA_EXTRACTABLE, false)};
    assert_ok(p11->C_SetAttributeValue(fx.session, made.public, &for_public, 1));
    assert_ok(p11->C_SetAttributeValue(fx.session, made.private, &for_private, 1));
    for (CK_ULONG said = 0; said <= 2; said += 2) {
        assert_ok(encapsulate(&ecdh, made.public, kept, said, &ciphertext, &keys[0]));
        assert_ok(decapsulate(&ecdh, made.private, kept, said, ciphertext, &keys[1]));
        for (int i = 0; i < 2; i++) {
            assert_history(keys[i], (struct history){said == 2, false, said == 0, false});
            assert_int_equal(get_ulong(fx.session, keys[i], CKA_CLASS), CKO_SECRET_KEY);
            assert_int_equal(get_ulong(fx.session, keys[i], CKA_KEY_TYPE), CKK_GENERIC_SECRET);
        }
    }
}

/* 5.2 */
static void lengths(void **state)
{
    (void)state;
    static const CK_ULONG sizes[] = {65, 97, 133, 32, 56};
    for (size_t i = 0; i < COUNT(kinds); i++) {
        struct pair p = make_pair(kinds[i], false);
        CK_ULONG before = count_objects(fx.session, NULL, 0), n = 0;
        CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
        CK_BYTE room[133];
        assert_ok(
            p11_32->C_EncapsulateKey(fx.session, &ecdh, p.public, readable, 2, NULL, &n, &key));
        assert_int_equal(n, sizes[i]);
        n--;
        assert_rv(CKR_BUFFER_TOO_SMALL, p11_32->C_EncapsulateKey(fx.session, &ecdh, p.public,
                                                                 readable, 2, room, &n, &key));
        assert_int_equal(n, sizes[i]);
        assert_int_equal(key, CK_INVALID_HANDLE);
        assert_int_equal(count_objects(fx.session, NULL, 0), before);
        assert_ok(
            p11_32->C_EncapsulateKey(fx.session, &ecdh, p.public, readable, 2, room, &n, &key));
        free_pair(&p);
    }
}

static CK_OBJECT_HANDLE with_template(EVP_PKEY *key, bool public, CK_ATTRIBUTE_TYPE type,
                                      CK_ATTRIBUTE *imposed, CK_ULONG n)
{
    static struct parts parts;
    CK_OBJECT_HANDLE object;
    (public ? public_parts : private_parts)(key, &parts);
    set_part(&parts, (CK_ATTRIBUTE){public ? CKA_ENCAPSULATE : CKA_DECAPSULATE, &true_, 1});
    set_part(&parts, (CK_ATTRIBUTE){type, imposed, n * sizeof *imposed});
    assert_ok(create(&parts, &object));
    return object;
}

/* 4.8, 4.9: what CKA_ENCAPSULATE_TEMPLATE and CKA_DECAPSULATE_TEMPLATE say is so, and
 * CKA_DERIVE_TEMPLATE is of C_DeriveKey. */
static void templates(void **state)
{
    (void)state;
    EVP_PKEY *key = make_key("P-256");
    CK_ATTRIBUTE imposed[] = {ATTR_BOOL(CKA_EXTRACTABLE, false), ATTR_STR(CKA_LABEL, "imposed")};
    CK_ATTRIBUTE against = ATTR_BOOL(CKA_EXTRACTABLE, true);
    CK_OBJECT_HANDLE public = with_template(key, true, CKA_ENCAPSULATE_TEMPLATE, imposed, 2);
    CK_OBJECT_HANDLE private = with_template(key, false, CKA_DECAPSULATE_TEMPLATE, imposed, 2);
    CK_OBJECT_HANDLE deriving = with_template(key, false, CKA_DERIVE_TEMPLATE, imposed, 2), made;
    struct blob ciphertext;
    assert_rv(CKR_TEMPLATE_INCONSISTENT,
              encapsulate(&ecdh, public, &against, 1, &ciphertext, &made));
    assert_ok(encapsulate(&ecdh, public, NULL, 0, &ciphertext, &made));
    assert_false(get_bool(fx.session, made, CKA_EXTRACTABLE));
    assert_blob(get_attribute(fx.session, made, CKA_LABEL), "imposed", 7);
    assert_rv(CKR_TEMPLATE_INCONSISTENT,
              decapsulate(&ecdh, private, &against, 1, ciphertext, &made));
    assert_ok(decapsulate(&ecdh, private, NULL, 0, ciphertext, &made));
    assert_false(get_bool(fx.session, made, CKA_EXTRACTABLE));
    assert_ok(decapsulate(&ecdh, deriving, &against, 1, ciphertext, &made));
    assert_true(get_bool(fx.session, made, CKA_EXTRACTABLE));
    EVP_PKEY_free(key);
}

/* ---- refusals ----------------------------------------------------------------------------------
 */

/* 5.18.9: the codes of a wrapped key. */
static void spoilt_ciphertexts(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(kinds); i++)
        for (int token = 0; token < 2; token++) {
            struct pair p = make_pair(kinds[i], token);
            CK_ULONG before = count_objects(fx.session, NULL, 0);
            struct blob ciphertext = public_point(p.key), longer = ciphertext;
            CK_OBJECT_HANDLE key;
            longer.n++;
            assert_rv(CKR_WRAPPED_KEY_LEN_RANGE,
                      decapsulate(&ecdh, p.private, readable, 2, longer, &key));
            longer.n -= 2;
            assert_rv(CKR_WRAPPED_KEY_LEN_RANGE,
                      decapsulate(&ecdh, p.private, readable, 2, longer, &key));
            if (kinds[i][0] == 'P') /* off the curve */
                ciphertext.p[20] ^= 1;
            else /* RFC 7748, 6.1: of small order */
                memset(ciphertext.p, 0, ciphertext.n);
            assert_rv(CKR_WRAPPED_KEY_INVALID,
                      decapsulate(&ecdh, p.private, readable, 2, ciphertext, &key));
            assert_int_equal(key, CK_INVALID_HANDLE);
            assert_int_equal(count_objects(fx.session, NULL, 0), before);
            free_pair(&p);
        }
}

static void refusals(void **state)
{
    (void)state;
    struct pair p = make_pair("P-256", false);
    CK_ATTRIBUTE no_more[] = {ATTR_BOOL(CKA_ENCAPSULATE, false), ATTR_BOOL(CKA_DECAPSULATE, false)};
    CK_ATTRIBUTE too_long = ATTR_ULONG(CKA_VALUE_LEN, 33);
    CK_ATTRIBUTE value = ATTR_STR(CKA_VALUE, "12345678901234567890123456789012");
    struct blob ciphertext, point = public_point(p.key);
    CK_ECDH1_DERIVE_PARAMS with_peer = {CKD_NULL, 0, NULL, point.n, point.p};
    CK_OBJECT_HANDLE key;
    assert_rv(CKR_KEY_HANDLE_INVALID, encapsulate(&ecdh, 0xFFFF, NULL, 0, &ciphertext, &key));
    assert_rv(CKR_UNWRAPPING_KEY_HANDLE_INVALID, decapsulate(&ecdh, 0xFFFF, NULL, 0, point, &key));
    assert_rv(CKR_KEY_TYPE_INCONSISTENT, encapsulate(&ecdh, p.private, NULL, 0, &ciphertext, &key));
    assert_rv(CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT,
              decapsulate(&ecdh, p.public, NULL, 0, point, &key));
    assert_rv(CKR_MECHANISM_INVALID,
              encapsulate(MECHANISM(CKM_ECDSA), p.public, NULL, 0, &ciphertext, &key));
    assert_rv(CKR_MECHANISM_PARAM_INVALID, encapsulate(MECHANISM_WITH(CKM_ECDH1_DERIVE, with_peer),
                                                       p.public, NULL, 0, &ciphertext, &key));
    assert_rv(CKR_KEY_SIZE_RANGE, encapsulate(&ecdh, p.public, &too_long, 1, &ciphertext, &key));
    assert_rv(CKR_ATTRIBUTE_READ_ONLY, encapsulate(&ecdh, p.public, &value, 1, &ciphertext, &key));
    assert_ok(p11->C_SetAttributeValue(fx.session, p.public, &no_more[0], 1));
    assert_ok(p11->C_SetAttributeValue(fx.session, p.private, &no_more[1], 1));
    assert_rv(CKR_KEY_FUNCTION_NOT_PERMITTED,
              encapsulate(&ecdh, p.public, NULL, 0, &ciphertext, &key));
    assert_rv(CKR_KEY_FUNCTION_NOT_PERMITTED, decapsulate(&ecdh, p.private, NULL, 0, point, &key));
    free_pair(&p);
}

#define USER_TEST(f) cmocka_unit_test_setup_teardown(f, test_user, test_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        USER_TEST(every_curve), USER_TEST(decapsulated_from_outside),
        USER_TEST(never_twice), USER_TEST(through_a_kdf),
        USER_TEST(attributes),  USER_TEST(lengths),
        USER_TEST(templates),   USER_TEST(spoilt_ciphertexts),
        USER_TEST(refusals),
    };
    return cmocka_run_group_tests(tests, group_token, group_end);
}
