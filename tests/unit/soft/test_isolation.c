/* The host keeps its OpenSSL to itself: whatever src/soft does, the host's error queue stays as it
 * was, its configuration is not loaded, its default engine and RAND method are not asked. */
#define OPENSSL_SUPPRESS_DEPRECATED /* ENGINE */
#include "soft_test.h"

#include <soft/aes.h>
#include <soft/internal.h>
#include <soft/private.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <openssl/conf.h>
#include <openssl/core_dispatch.h>
#include <openssl/ec.h>
#include <openssl/engine.h>
#include <openssl/provider.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

/* ---- everything that soft.h offers, successes and failures ---- */

static void use_digests(void)
{
    uint8_t out[255 * HASH_MAX];
    struct bytes part = BYTES("part", 4);
    for (enum hash h = HASH_SHA1; h < HASH_COUNT; h++) {
        struct soft_digest *d = NULL, *copy = NULL, *loaded = NULL;
        CLEANUP(buf_free) struct buf saved = {0};
        assert_ok(soft_hash(h, &part, 1, out));
        assert_ok(soft_digest_new(h, &d));
        assert_ok(soft_digest_update(d, part));
        assert_ok(soft_digest_copy(d, &copy));
        assert_int_equal(soft_digest_save(d, &saved),
                         h < HASH_SHA3_224 ? CKR_OK : CKR_STATE_UNSAVEABLE);
        assert_int_equal(soft_digest_load(h, buf_bytes(&saved), &loaded),
                         h < HASH_SHA3_224 ? CKR_OK : CKR_SAVED_STATE_INVALID);
        assert_ok(soft_digest_final(d, out));
        soft_digest_free(&d);
        soft_digest_free(&copy);
        soft_digest_free(&loaded);
        assert_ok(soft_hmac(h, part, &part, 1, out));
        assert_ok(soft_hkdf(h, part, part, part, out, 100));
        assert_ok(soft_pbkdf2(h, part, part, 3, out, 100));
        assert_ok(soft_kdfa(h, part, "L", part, part, 256, out));
        assert_ok(soft_kdfe(h, part, "L", part, part, 256, out));
        assert_ok(soft_x963_kdf(h, part, part, out, 100));
        assert_ok(soft_hkdf_extract(h, part, part, out));
        assert_ok(soft_hkdf_expand(h, part, part, out, 100));
        assert_ok(soft_tls12_prf(h, part, part, &part, 1, out, 100));
        struct soft_prf prf = {0};
        assert_ok(soft_prf_hmac(h, part, &prf));
        assert_ok(soft_sp800_108(KDF_MODE_COUNTER, &prf, &(struct kdf_field){.bits = 8}, 1,
                                 NO_BYTES, out, 100));
        soft_prf_free(&prf);
    }
    assert_int_not_equal(soft_hash(HASH_NONE, &part, 1, out), CKR_OK);
    assert_int_not_equal(soft_hmac(HASH_NONE, part, &part, 1, out), CKR_OK);
}

static void use_ciphers(void)
{
    uint8_t key[32] = {1}, data[40] = {2};
    CLEANUP(buf_free) struct buf sealed = {0};
    CLEANUP(secret_free) struct secret opened = {0};
    assert_ok(soft_random(data, sizeof(data)));
    assert_ok(soft_aes_cfb(true, key, key + 16, data, sizeof(data)));
    assert_ok(soft_aes_cfb(false, key, key + 16, data, sizeof(data)));
    assert_ok(soft_gcm_seal(key, BYTES("aad", 3), BYTES_OF(data), &sealed));
    assert_ok(soft_gcm_open(key, BYTES("aad", 3), buf_bytes(&sealed), &opened));
    assert_int_not_equal(soft_gcm_open(key, NO_BYTES, buf_bytes(&sealed), &opened), CKR_OK);
}

static void use_aes(void)
{
    uint8_t key[32] = {1}, iv[16] = {2}, data[32] = {3};
    for (enum aes_mode m = AES_ECB; m < AES_MODES; m++) {
        for (size_t n = 16; n <= 32; n += 8) {
            assert_ok(soft_aes(m, true, BYTES(key, n), iv, data, data, 32));
            assert_ok(soft_aes(m, false, BYTES(key, n), iv, data, data, 32));
        }
    }
    assert_int_not_equal(soft_aes(AES_CBC, true, BYTES(key, 17), iv, data, data, 32), CKR_OK);
    soft_ghash(key, iv, data, 32);
}

static void use_rsa(void)
{
    uint8_t n[256], out[256] = {0}, digest[32] = {7};
    size_t found;
    CLEANUP(soft_key_free) struct soft_key *k = NULL;
    CLEANUP(buf_free) struct buf spki = {0};
    CLEANUP(buf_free) struct buf info = {0};
    memset(n, 0xC1, sizeof(n));
    assert_ok(soft_key_rsa(BYTES_OF(n), BYTES("\1\0\1", 3), &k));
    struct soft_key *bad = NULL;
    assert_int_not_equal(soft_key_rsa(BYTES_OF(n), NO_BYTES, &bad), CKR_OK);
    assert_ok(soft_key_spki(k, &spki));
    assert_ok(soft_digest_info(HASH_SHA256, BYTES_OF(digest), &info));
    assert_int_equal(soft_rsa_verify_pkcs1(k, buf_bytes(&info), BYTES_OF(out)),
                     CKR_SIGNATURE_INVALID);
    memset(out, 0x11, sizeof(out));
    assert_int_equal(
        soft_rsa_verify_pss(k, HASH_SHA256, HASH_SHA1, 20, BYTES_OF(digest), BYTES_OF(out)),
        CKR_SIGNATURE_INVALID);
    assert_int_not_equal(soft_rsa_public(k, BYTES_OF(n), out), CKR_OK);
    assert_ok(soft_rsa_encrypt_pkcs1(k, BYTES_OF(digest), out));
    assert_ok(
        soft_rsa_encrypt_oaep(k, HASH_SHA256, HASH_SHA1, BYTES("l", 1), BYTES_OF(digest), out));
    assert_ok(soft_pad_pss(HASH_SHA256, HASH_SHA256, 32, BYTES_OF(digest), 2048, out));
    assert_int_equal(soft_unpad_pkcs1(BYTES_OF(out), n, &found), CKR_ENCRYPTED_DATA_INVALID);
    assert_int_equal(soft_unpad_oaep(HASH_SHA256, HASH_SHA1, NO_BYTES, BYTES_OF(out), n, &found),
                     CKR_ENCRYPTED_DATA_INVALID);
}

static void use_ec(void)
{
    uint8_t seed[48] = {3}, digest[32] = {4}, point[65], sig[64];
    assert_ok(soft_p256_public_from_seed(BYTES_OF(seed), point));
    assert_ok(soft_p256_sign_with_seed(BYTES_OF(seed), BYTES_OF(digest), sig));
    CLEANUP(soft_key_free) struct soft_key *k = NULL;
    CLEANUP(buf_free) struct buf own = {0};
    CLEANUP(secret_free) struct secret z = {0};
    CLEANUP(buf_free) struct buf spki = {0};
    assert_ok(soft_key_ec(CURVE_P256, BYTES_OF(point), &k));
    assert_ok(soft_key_spki(k, &spki));
    assert_ok(soft_ecdsa_verify(k, BYTES_OF(digest), BYTES_OF(sig)));
    sig[5] ^= 1;
    assert_int_equal(soft_ecdsa_verify(k, BYTES_OF(digest), BYTES_OF(sig)), CKR_SIGNATURE_INVALID);
    assert_ok(soft_ecdh_ephemeral(CURVE_P256, BYTES_OF(point), &own, &z));
    point[64] ^= 1;
    struct soft_key *bad = NULL;
    assert_int_not_equal(soft_key_ec(CURVE_P256, BYTES_OF(point), &bad), CKR_OK);
    assert_int_not_equal(soft_key_ec(CURVE_P384, BYTES_OF(point), &bad), CKR_OK);
}

/* Every curve's generator as a key, and a signature that is not one. */
static void use_curve(enum curve c)
{
    uint8_t point[133], sig[132];
    size_t n = curve_field_size(c);
    EC_GROUP *group = EC_GROUP_new_by_curve_name(curve_nid(c));
    CLEANUP(soft_key_free) struct soft_key *k = NULL;
    CLEANUP(buf_free) struct buf own = {0};
    CLEANUP(secret_free) struct secret z = {0};
    memset(sig, 0x01, sizeof(sig));
    assert_int_equal(EC_POINT_point2oct(group, EC_GROUP_get0_generator(group),
                                        POINT_CONVERSION_UNCOMPRESSED, point, sizeof(point), NULL),
                     1 + 2 * n);
    EC_GROUP_free(group);
    assert_ok(soft_key_ec(c, BYTES(point, 1 + 2 * n), &k));
    assert_ok(soft_ecdh_ephemeral(c, BYTES(point, 1 + 2 * n), &own, &z));
    assert_int_equal(soft_ecdsa_verify(k, BYTES("digest", 6), BYTES(sig, 2 * n)),
                     CKR_SIGNATURE_INVALID);
}

static void use_certificate(void)
{
    struct soft_certificate c = {0};
    assert_int_not_equal(soft_certificate_parse(BYTES("0\0", 2), &c), CKR_OK);
}

static void use_pkcs8(const struct soft_private *k)
{
    CLEANUP(secret_free) struct secret der = {0};
    CLEANUP(soft_private_free) struct soft_private *again = NULL;
    struct soft_private *bad = NULL;
    assert_ok(soft_private_to_pkcs8(k, &der));
    assert_ok(soft_private_from_pkcs8(secret_bytes(&der), &again));
    assert_int_not_equal(soft_private_from_pkcs8(BYTES(der.p, der.n - 1), &bad), CKR_OK);
}

static void use_private_rsa(void)
{
    uint8_t out[128];
    struct bytes number[RSA_NUMBERS] = {{0}};
    CLEANUP(soft_private_free) struct soft_private *k = NULL;
    CLEANUP(soft_private_free) struct soft_private *again = NULL;
    struct soft_private *bad = NULL;
    assert_ok(soft_private_generate_rsa(1024, BYTES("\1\0\1", 3), &k));
    assert_ok(soft_private_rsa(k, BYTES("in", 2), out));
    use_pkcs8(k);
    for (int i = RSA_N; i <= RSA_D; i++)
        number[i] = soft_private_number(k, (enum rsa_number)i);
    assert_ok(soft_private_from_rsa(number, &again)); /* finds the primes */
    number[RSA_D] = number[RSA_E];
    assert_int_not_equal(soft_private_from_rsa(number, &bad), CKR_OK);
}

static void use_private(enum curve c)
{
    uint8_t sig[132];
    CLEANUP(soft_private_free) struct soft_private *k = NULL;
    CLEANUP(buf_free) struct buf point = {0};
    CLEANUP(secret_free) struct secret z = {0};
    struct bytes text = BYTES("text", 4);
    assert_ok(soft_private_generate(c, &k));
    use_pkcs8(k);
    assert_ok(soft_key_point(soft_private_public(k), &point));
    if (curve_is_edwards(c)) {
        assert_ok(soft_private_eddsa(k, &(struct soft_eddsa){true, text}, text, sig));
        assert_ok(soft_private_eddsa(k, NULL, text, sig));
        assert_ok(soft_eddsa_verify(soft_private_public(k), NULL, text,
                                    BYTES(sig, 2 * curve_field_size(c))));
        return;
    }
    assert_ok(soft_private_ecdh(k, buf_bytes(&point), &z));
    struct secret none = {0};
    assert_int_not_equal(soft_private_ecdh(k, BYTES(point.p, point.n - 1), &none), CKR_OK);
    if (!curve_is_montgomery(c))
        assert_ok(soft_private_ecdsa(k, text, sig));
}

static void use_everything(void)
{
    use_digests();
    use_ciphers();
    use_aes();
    use_rsa();
    use_ec();
    for (enum curve c = CURVE_P224; c < CURVE_COUNT; c++)
        use_curve(c);
    use_certificate();
    use_private_rsa();
    for (enum curve c = CURVE_P224; c < CURVE_END; c++)
        use_private(c);
}

/* ---- witnesses ---- */

static int engine_calls;

static int witness_digests(ENGINE *e, const EVP_MD **ret, const int **ret_nids, int nid)
{
    static const int nids[] = {NID_sha1,     NID_sha224,   NID_sha256,   NID_sha384,  NID_sha512,
                               NID_sha3_224, NID_sha3_256, NID_sha3_384, NID_sha3_512};
    (void)e;
    (void)nid;
    if (!ret) {
        *ret_nids = nids;
        return sizeof(nids) / sizeof(*nids);
    }
    engine_calls++;
    *ret = NULL;
    return 0;
}

static int witness_ciphers(ENGINE *e, const EVP_CIPHER **ret, const int **ret_nids, int nid)
{
    static const int nids[] = {NID_aes_128_cfb128, NID_aes_256_gcm,   NID_aes_256_ctr,
                               NID_aes_128_ecb,    NID_aes_192_ecb,   NID_aes_256_ecb,
                               NID_aes_128_cbc,    NID_aes_192_cbc,   NID_aes_256_cbc,
                               NID_aes_128_cfb8,   NID_aes_128_ofb128};
    (void)e;
    (void)nid;
    if (!ret) {
        *ret_nids = nids;
        return sizeof(nids) / sizeof(*nids);
    }
    engine_calls++;
    *ret = NULL;
    return 0;
}

static int witness_pkeys(ENGINE *e, EVP_PKEY_METHOD **ret, const int **ret_nids, int nid)
{
    static const int nids[] = {EVP_PKEY_RSA, EVP_PKEY_EC, EVP_PKEY_ED25519, EVP_PKEY_X25519};
    (void)e;
    (void)nid;
    if (!ret) {
        *ret_nids = nids;
        return sizeof(nids) / sizeof(*nids);
    }
    engine_calls++;
    *ret = NULL;
    return 0;
}

static int witness_init(ENGINE *e)
{
    (void)e;
    engine_calls++; /* every functional reference passes here the first time */
    return 1;
}

static int witness_bytes(unsigned char *ret, int n)
{
    engine_calls++;
    memset(ret, 4, (size_t)n);
    return 1;
}

static int witness_status(void)
{
    return 1;
}

static void default_engine_is_not_asked(void **state)
{
    (void)state;
    static RAND_METHOD random = {
        .bytes = witness_bytes, .pseudorand = witness_bytes, .status = witness_status};
    ENGINE *e = ENGINE_new();
    assert_true(ENGINE_set_id(e, "witness") && ENGINE_set_name(e, "witness"));
    assert_true(ENGINE_set_digests(e, witness_digests) && ENGINE_set_ciphers(e, witness_ciphers) &&
                ENGINE_set_pkey_meths(e, witness_pkeys) && ENGINE_set_RAND(e, &random) &&
                ENGINE_set_RSA(e, RSA_get_default_method()) &&
                ENGINE_set_EC(e, EC_KEY_get_default_method()));
    assert_true(ENGINE_add(e));
    /* as nginx's ssl_engine and openssl.cnf's default_algorithms = ALL do */
    assert_true(ENGINE_set_default(e, ENGINE_METHOD_ALL));
    ENGINE_set_init_function(e, witness_init);
    engine_calls = 0;

    soft_stop();
    assert_ok(soft_start());
    use_everything();
    assert_int_equal(engine_calls, 0);

    /* the witness sees what goes through the usual interfaces, a private context or not */
    OSSL_LIB_CTX *library = OSSL_LIB_CTX_new();
    EVP_MD *md = EVP_MD_fetch(library, "SHA256", NULL);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    assert_false(EVP_DigestInit_ex2(ctx, md, NULL));
    assert_int_not_equal(engine_calls, 0);
    EVP_MD_CTX_free(ctx);
    EVP_MD_free(md);
    OSSL_LIB_CTX_free(library);
    ERR_clear_error();
    ENGINE_unregister_digests(e);
    ENGINE_unregister_ciphers(e);
    ENGINE_unregister_pkey_meths(e);
    ENGINE_unregister_RAND(e);
    ENGINE_unregister_RSA(e);
    ENGINE_unregister_EC(e);
    ENGINE_remove(e);
    ENGINE_free(e);
    RAND_set_rand_method(NULL);
}

/* RAND_set_rand_method is for the whole process, too. */
static void rand_method_is_not_asked(void **state)
{
    (void)state;
    static const RAND_METHOD random = {
        .bytes = witness_bytes, .pseudorand = witness_bytes, .status = witness_status};
    const RAND_METHOD *before = RAND_get_rand_method();
    uint8_t byte;
    RAND_set_rand_method(&random);
    engine_calls = 0;
    use_everything();
    assert_int_equal(engine_calls, 0);
    assert_true(RAND_bytes(&byte, 1));
    assert_int_equal(engine_calls, 1);
    RAND_set_rand_method(before);
}

static int configured; /* the provider that only the configuration file activates was loaded */

static int configured_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
                           const OSSL_DISPATCH **out, void **ret_provider)
{
    static const OSSL_DISPATCH none[] = {{0, NULL}};
    (void)handle;
    (void)in;
    configured++;
    *out = none;
    *ret_provider = &configured;
    return 1;
}

/* In a fresh process, for the configuration is loaded once. */
static int configuration_child(const char *directory)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/openssl.cnf", directory);
    FILE *f = fopen(path, "w");
    if (!f)
        return 2;
    fputs("openssl_conf = init\n[init]\nproviders = providers\n"
          "[providers]\nwitness = witness\n[witness]\nactivate = 1\n",
          f);
    fclose(f);
    setenv("OPENSSL_CONF", path, 1);
    OSSL_PROVIDER_add_builtin(NULL, "witness", configured_init);
    if (soft_start() != CKR_OK)
        return 3;
    use_everything();
    soft_stop();
    if (configured)
        return 4;
    EVP_MD_free(EVP_MD_fetch(NULL, "SHA256", NULL)); /* the host itself loads it */
    unlink(path);
    return configured ? 0 : 5;
}

static void configuration_is_not_loaded(void **state)
{
    (void)state;
    char directory[] = "/tmp/latchkey-soft-XXXXXX", command[600], self[256] = {0};
    assert_non_null(mkdtemp(directory));
    assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
    snprintf(command, sizeof(command), "'%s' --configuration '%s'", self, directory);
    int status = system(command);
    rmdir(directory);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void error_queue_stays(void **state)
{
    (void)state;
    for (int entries = 0; entries < 3; entries++) {
        ERR_clear_error();
        for (int i = 0; i < entries; i++)
            ERR_raise_data(ERR_LIB_USER, 100 + i, "the host's own");
        use_everything();
        soft_stop();
        assert_ok(soft_start());
        for (int i = 0; i < entries; i++)
            assert_int_equal(ERR_GET_REASON(ERR_get_error()), 100 + i);
        assert_int_equal(ERR_get_error(), 0);
    }
    /* a mark of the host's own */
    ERR_raise(ERR_LIB_USER, 100);
    ERR_set_mark();
    ERR_raise(ERR_LIB_USER, 101);
    use_everything();
    assert_int_equal(ERR_GET_REASON(ERR_peek_last_error()), 101);
    assert_true(ERR_pop_to_mark());
    assert_int_equal(ERR_GET_REASON(ERR_get_error()), 100);
    assert_int_equal(ERR_get_error(), 0);
}

static volatile struct soft_state abandoned; /* leak checkers find the parent's state here */

static void child_starts_anew(void **state)
{
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        abandoned = soft_state;
        soft_abandon();
        if (soft_start() != CKR_OK)
            _exit(1);
        use_everything();
        soft_stop();
        _exit(0);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    use_everything();
}

static void starts_again_and_again(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        soft_stop();
        soft_stop(); /* what was not started can be stopped */
        assert_ok(soft_start());
        use_digests();
    }
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--configuration") == 0)
        return configuration_child(argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(error_queue_stays),        cmocka_unit_test(default_engine_is_not_asked),
        cmocka_unit_test(rand_method_is_not_asked), cmocka_unit_test(configuration_is_not_loaded),
        cmocka_unit_test(child_starts_anew),        cmocka_unit_test(starts_again_and_again),
    };
    return run_soft_tests(tests);
}
