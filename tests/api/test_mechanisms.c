/* No mechanism without a known answer: PKCS#11 3.0 section 5.5.6 C_GetMechanismList against what
 * the tests hold. Those that take a secret key are in lib/vectors.c; of the others this says where.
 */
#include "vectors.h"

#include <stdio.h>

#define IN(file, suffix)                                                                           \
    {                                                                                              \
        file, "CKM_" #suffix, CKM_##suffix                                                         \
    }
#define DIGEST(suffix)   IN("api/test_digest.c", suffix)
#define GENERATE(suffix) IN("api/test_generate_key.c", suffix)
#define RSA(suffix)      IN("api/test_sign_rsa.c", suffix)
#define RSA_SHA3(suffix) IN("unit/mech/test_rsa.c", suffix)
#define ECDSA(suffix)    IN("api/test_sign_ecdsa.c", suffix)
#define EC_SHA3(suffix)  IN("unit/mech/test_ec.c", suffix)
#define EDWARDS(suffix)  IN("unit/mech/test_eddsa.c", suffix)
#define KDF(suffix)      IN("unit/mech/test_kdf.c", suffix)
#define SP800(suffix)    IN("unit/mech/test_sp800_108.c", suffix)
#define COMBINE(suffix)  IN("unit/mech/test_combine.c", suffix)
#define TLS(suffix)      IN("unit/mech/test_tls.c", suffix)

static const struct {
    const char *file, *name;
    CK_MECHANISM_TYPE type;
} elsewhere[] = {
    IN("api/test_keygen.c", RSA_PKCS_KEY_PAIR_GEN),
    IN("api/test_keygen.c", EC_KEY_PAIR_GEN),
    RSA(RSA_PKCS),
    RSA(RSA_X_509),
    IN("api/test_encrypt_rsa.c", RSA_PKCS_OAEP),
    RSA(SHA1_RSA_PKCS),
    RSA(SHA224_RSA_PKCS),
    RSA(SHA256_RSA_PKCS),
    RSA(SHA384_RSA_PKCS),
    RSA(SHA512_RSA_PKCS),
    RSA_SHA3(SHA3_224_RSA_PKCS),
    RSA_SHA3(SHA3_256_RSA_PKCS),
    RSA_SHA3(SHA3_384_RSA_PKCS),
    RSA_SHA3(SHA3_512_RSA_PKCS),
    RSA(RSA_PKCS_PSS),
    RSA(SHA1_RSA_PKCS_PSS),
    RSA(SHA224_RSA_PKCS_PSS),
    RSA(SHA256_RSA_PKCS_PSS),
    RSA(SHA384_RSA_PKCS_PSS),
    RSA(SHA512_RSA_PKCS_PSS),
    RSA_SHA3(SHA3_224_RSA_PKCS_PSS),
    RSA_SHA3(SHA3_256_RSA_PKCS_PSS),
    RSA_SHA3(SHA3_384_RSA_PKCS_PSS),
    RSA_SHA3(SHA3_512_RSA_PKCS_PSS),
    IN("unit/mech/test_keywrap.c", RSA_AES_KEY_WRAP),
    ECDSA(ECDSA),
    ECDSA(ECDSA_SHA1),
    ECDSA(ECDSA_SHA224),
    ECDSA(ECDSA_SHA256),
    ECDSA(ECDSA_SHA384),
    ECDSA(ECDSA_SHA512),
    EC_SHA3(ECDSA_SHA3_224),
    EC_SHA3(ECDSA_SHA3_256),
    EC_SHA3(ECDSA_SHA3_384),
    EC_SHA3(ECDSA_SHA3_512),
    IN("api/test_derive_ecdh.c", ECDH1_DERIVE),
    IN("api/test_derive_ecdh.c", ECDH1_COFACTOR_DERIVE),
    EDWARDS(EC_EDWARDS_KEY_PAIR_GEN),
    EDWARDS(EC_MONTGOMERY_KEY_PAIR_GEN),
    EDWARDS(EDDSA),
    GENERATE(AES_KEY_GEN),
    GENERATE(GENERIC_SECRET_KEY_GEN),
    GENERATE(SHA_1_KEY_GEN),
    GENERATE(SHA224_KEY_GEN),
    GENERATE(SHA256_KEY_GEN),
    GENERATE(SHA384_KEY_GEN),
    GENERATE(SHA512_KEY_GEN),
    GENERATE(SHA3_224_KEY_GEN),
    GENERATE(SHA3_256_KEY_GEN),
    GENERATE(SHA3_384_KEY_GEN),
    GENERATE(SHA3_512_KEY_GEN),
    GENERATE(HKDF_KEY_GEN),
    GENERATE(PKCS5_PBKD2),
    DIGEST(SHA_1),
    DIGEST(SHA224),
    DIGEST(SHA256),
    DIGEST(SHA384),
    DIGEST(SHA512),
    DIGEST(SHA3_224),
    DIGEST(SHA3_256),
    DIGEST(SHA3_384),
    DIGEST(SHA3_512),
    KDF(HKDF_DERIVE),
    KDF(HKDF_DATA),
    SP800(SP800_108_COUNTER_KDF),
    SP800(SP800_108_FEEDBACK_KDF),
    SP800(SP800_108_DOUBLE_PIPELINE_KDF),
    IN("unit/mech/test_encrypt_data.c", AES_ECB_ENCRYPT_DATA),
    IN("unit/mech/test_encrypt_data.c", AES_CBC_ENCRYPT_DATA),
    COMBINE(CONCATENATE_BASE_AND_KEY),
    COMBINE(CONCATENATE_BASE_AND_DATA),
    COMBINE(CONCATENATE_DATA_AND_BASE),
    COMBINE(XOR_BASE_AND_DATA),
    COMBINE(EXTRACT_KEY_FROM_KEY),
    IN("unit/mech/test_encrypt_data.c", AES_ECB_ENCRYPT_DATA),
    IN("unit/mech/test_encrypt_data.c", AES_CBC_ENCRYPT_DATA),
    TLS(TLS12_MASTER_KEY_DERIVE),
    TLS(TLS12_MASTER_KEY_DERIVE_DH),
    TLS(TLS12_EXTENDED_MASTER_KEY_DERIVE),
    TLS(TLS12_EXTENDED_MASTER_KEY_DERIVE_DH),
    TLS(TLS12_KEY_AND_MAC_DERIVE),
    TLS(TLS12_KEY_SAFE_DERIVE),
    TLS(TLS12_KDF),
    TLS(TLS_KDF),
};

static CK_MECHANISM_TYPE types[256];
static CK_ULONG count;

static int test_list(void **state)
{
    test_initialized(state);
    count = COUNT(types);
    assert_ok(p11->C_GetMechanismList(fx.slot, types, &count));
    return 0;
}

static size_t vectors_of(CK_MECHANISM_TYPE type)
{
    size_t n = 0;
    for (size_t i = 0; i < vector_count; i++)
        n += vectors[i].type == type;
    return n;
}

static bool is_elsewhere(CK_MECHANISM_TYPE type)
{
    for (size_t i = 0; i < COUNT(elsewhere); i++)
        if (elsewhere[i].type == type)
            return true;
    return false;
}

static bool is_listed(CK_MECHANISM_TYPE type)
{
    for (CK_ULONG i = 0; i < count; i++)
        if (types[i] == type)
            return true;
    return false;
}

static void each_has_a_known_answer(void **state)
{
    (void)state;
    for (CK_ULONG i = 0; i < count; i++)
        if (vectors_of(types[i]) == 0 && !is_elsewhere(types[i]))
            fail_msg("mechanism 0x%lx has no vector in lib/vectors.c and no test is named for it",
                     types[i]);
}

static void none_is_held_in_vain(void **state)
{
    (void)state;
    for (size_t i = 0; i < vector_count; i++)
        assert_true(is_listed(vectors[i].type));
    for (size_t i = 0; i < COUNT(elsewhere); i++)
        if (!is_listed(elsewhere[i].type) || vectors_of(elsewhere[i].type) > 0)
            fail_msg("%s is not the module's, or has a vector", elsewhere[i].name);
}

static bool is_word(const char *at, size_t n)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    return at[n] == '\0' || strchr(letters, at[n]) == NULL;
}

static bool mentions(const char *text, const char *name)
{
    const char *at = text;
    while ((at = strstr(at, name)) != NULL) {
        if (is_word(at, strlen(name)))
            return true;
        at++;
    }
    return false;
}

/* The test that is named for a mechanism has its name in it. */
static void the_named_tests_are_there(void **state)
{
    (void)state;
    static char text[1 << 17];
    for (size_t i = 0; i < COUNT(elsewhere); i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", TESTS_DIR, elsewhere[i].file);
        FILE *f = fopen(path, "re");
        if (f == NULL)
            fail_msg("%s is not there", path);
        size_t n = fread(text, 1, sizeof text - 1, f);
        fclose(f);
        text[n] = '\0';
        if (!mentions(text, elsewhere[i].name))
            fail_msg("%s does not mention %s", elsewhere[i].file, elsewhere[i].name);
    }
}

static void vectors_say_where_they_are_from(void **state)
{
    (void)state;
    for (size_t i = 0; i < vector_count; i++) {
        assert_true(strlen(vectors[i].source) > 5);
        assert_true(unhex(vectors[i].result).n > 0);
    }
}

#define LIST_TEST(f) cmocka_unit_test_setup_teardown(f, test_list, test_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LIST_TEST(each_has_a_known_answer),
        LIST_TEST(none_is_held_in_vain),
        LIST_TEST(the_named_tests_are_there),
        LIST_TEST(vectors_say_where_they_are_from),
    };
    return cmocka_run_group_tests(tests, group_token, group_end);
}
