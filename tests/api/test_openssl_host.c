/* The host is OpenSSL itself: libp11's engine loads the module and signs by it, in workers that
 * have the parent's EVP_PKEY as well, and as the process' default for everything; a provider that
 * would take every digest, cipher and random number is asked for none by the module. */
#define OPENSSL_SUPPRESS_DEPRECATED /* engines */
#include "children.h"

#include <dlfcn.h>
#include <openssl/core_dispatch.h>
#include <openssl/engine.h>
#include <openssl/provider.h>
#include <openssl/rand.h>
#include <stdatomic.h>

/* ---- libp11's engine ----------------------------------------------------------------------- */

static ENGINE *engine;
static EVP_PKEY *engine_key;

static const char *module_path(void)
{
    Dl_info module;
    assert_true(dladdr(*(void **)&p11->C_Initialize, &module) != 0);
    return module.dli_fname;
}

static int engine_with_key(void **state)
{
    (void)state;
    engine = ENGINE_by_id("pkcs11");
    assert_non_null(engine);
    assert_int_equal(ENGINE_ctrl_cmd_string(engine, "MODULE_PATH", module_path(), 0), 1);
    assert_int_equal(ENGINE_init(engine), 1);
    assert_int_equal(ENGINE_ctrl_cmd_string(engine, "PIN", USER_PIN, 0), 1);
    engine_key = ENGINE_load_private_key(engine, "pkcs11:object=p256;type=private", NULL, NULL);
    assert_non_null(engine_key);
    counter = swtpm_lockout_counter(&fx.tpm);
    return 0;
}

static int engine_gone(void **state)
{
    (void)state;
    EVP_PKEY_free(engine_key);
    ENGINE_finish(engine);
    ENGINE_free(engine);
    return 0;
}

/* What a TLS server does with its key, libcrypto verifying with the public half. */
static CK_RV sign_by_engine(unsigned times)
{
    bool right = true;
    for (unsigned i = 0; right && i < times; i++) {
        CK_BYTE text[8] = {(CK_BYTE)i, (CK_BYTE)getpid()}, signature[80];
        size_t n = sizeof signature;
        EVP_MD_CTX *context = EVP_MD_CTX_new();
        right = EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, engine_key) == 1 &&
                EVP_DigestSign(context, signature, &n, text, sizeof text) == 1;
        EVP_MD_CTX_free(context);
        context = EVP_MD_CTX_new();
        right = right &&
                EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, p256_public) == 1 &&
                EVP_DigestVerify(context, signature, n, text, sizeof text) == 1;
        EVP_MD_CTX_free(context);
    }
    return right ? CKR_OK : CKR_SIGNATURE_INVALID;
}

static CK_RV worker(void)
{
    return sign_by_engine(long_run() ? 500 : 10);
}

/* A worker of a worker, as a process manager has between it and the master. */
static CK_RV worker_with_worker(void)
{
    CK_RV rv = sign_by_engine(1);
    return rv == CKR_OK ? in_child(worker) : rv;
}

/* nginx, Apache's prefork: the key is opened once, the workers have it by the fork. */
static void workers_have_the_engines_key(void **state)
{
    (void)state;
    pid_t pids[6];
    assert_ok(sign_by_engine(2));
    for (size_t i = 0; i < COUNT(pids); i++)
        pids[i] = start_child(i % 3 == 0 ? worker_with_worker : worker);
    CK_RV rv = sign_by_engine(10); /* the master as well */
    for (size_t i = 0; i < COUNT(pids); i++)
        assert_child_ended_well(pids[i]);
    assert_ok(rv);
    assert_ok(sign_by_engine(2));
    assert_tpm_untouched();
    figure(COUNT(pids) + 2, "forked workers with the engine's key");
}

/* openssl.cnf's default_algorithms = ALL: what the module computes itself must not come back. */
static void engine_is_the_default(void **state)
{
    (void)state;
    assert_int_equal(ENGINE_set_default_string(engine, "ALL"), 1);
    CK_RV rv = sign_by_engine(5);
    pid_t pid = start_child(worker);
    assert_child_ended_well(pid);
    ENGINE_unregister_RSA(engine);
    ENGINE_unregister_EC(engine);
    ENGINE_unregister_pkey_meths(engine);
    assert_ok(rv);
    assert_tpm_untouched();
}

/* ---- a provider that takes everything ------------------------------------------------------ */

static atomic_uint asked; /* how often the provider was to do something */

static void *ask(void *provider)
{
    (void)provider;
    atomic_fetch_add(&asked, 1);
    return NULL; /* it does nothing for anybody */
}

static void free_nothing(void *context)
{
    (void)context;
}

static int refuse(void)
{
    atomic_fetch_add(&asked, 1);
    return 0;
}

#define FUNCTION(f) ((void (*)(void))(f))
static const OSSL_DISPATCH digest[] = {{OSSL_FUNC_DIGEST_NEWCTX, FUNCTION(ask)},
                                       {OSSL_FUNC_DIGEST_FREECTX, FUNCTION(free_nothing)},
                                       {OSSL_FUNC_DIGEST_INIT, FUNCTION(refuse)},
                                       {OSSL_FUNC_DIGEST_UPDATE, FUNCTION(refuse)},
                                       {OSSL_FUNC_DIGEST_FINAL, FUNCTION(refuse)},
                                       {OSSL_FUNC_DIGEST_GET_PARAMS, FUNCTION(refuse)},
                                       {0, NULL}};
static const OSSL_DISPATCH cipher[] = {{OSSL_FUNC_CIPHER_NEWCTX, FUNCTION(ask)},
                                       {OSSL_FUNC_CIPHER_FREECTX, FUNCTION(free_nothing)},
                                       {OSSL_FUNC_CIPHER_CIPHER, FUNCTION(refuse)},
                                       {OSSL_FUNC_CIPHER_ENCRYPT_INIT, FUNCTION(refuse)},
                                       {OSSL_FUNC_CIPHER_DECRYPT_INIT, FUNCTION(refuse)},
                                       {OSSL_FUNC_CIPHER_GET_PARAMS, FUNCTION(refuse)},
                                       {0, NULL}};

static const OSSL_ALGORITHM digests[] = {{"SHA1", "provider=greedy", digest, ""},
                                         {"SHA2-256:SHA256", "provider=greedy", digest, ""},
                                         {"SHA2-384:SHA384", "provider=greedy", digest, ""},
                                         {"SHA2-512:SHA512", "provider=greedy", digest, ""},
                                         {"SHA3-256", "provider=greedy", digest, ""},
                                         {NULL, NULL, NULL, NULL}};
static const OSSL_ALGORITHM ciphers[] = {{"AES-128-ECB", "provider=greedy", cipher, ""},
                                         {"AES-256-CBC", "provider=greedy", cipher, ""},
                                         {"AES-256-GCM", "provider=greedy", cipher, ""},
                                         {NULL, NULL, NULL, NULL}};

static const OSSL_ALGORITHM *query(void *provider, int operation, int *no_cache)
{
    (void)provider;
    *no_cache = 0;
    return operation == OSSL_OP_DIGEST ? digests : operation == OSSL_OP_CIPHER ? ciphers : NULL;
}

static const OSSL_DISPATCH provider_functions[] = {
    {OSSL_FUNC_PROVIDER_QUERY_OPERATION, FUNCTION(query)}, {0, NULL}};

static int provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
                         const OSSL_DISPATCH **out, void **context)
{
    (void)handle;
    (void)in;
    *out = provider_functions;
    *context = (void *)digests;
    return 1;
}

static CK_RV work_of_every_kind(void)
{
    CK_SESSION_HANDLE session;
    CK_BYTE digest_value[64], iv[16] = {0}, out[64];
    CK_ULONG n = sizeof digest_value;
    CK_OBJECT_HANDLE key;
    CK_ATTRIBUTE aes[] = {ATTR_ULONG(CKA_VALUE_LEN, 32), ATTR_BOOL(CKA_EXTRACTABLE, true)};
    CK_RV rv = p11->C_Initialize(NULL);
    if (rv == CKR_OK)
        rv = use_key(2);
    if (rv == CKR_OK)
        rv = p11->C_OpenSession(fx.slot, CKF_SERIAL_SESSION, NULL, NULL, &session);
    if (rv == CKR_OK)
        rv = p11->C_DigestInit(session, MECHANISM(CKM_SHA3_256));
    if (rv == CKR_OK)
        rv = p11->C_Digest(session, iv, sizeof iv, digest_value, &n);
    if (rv == CKR_OK)
        rv = p11->C_GenerateKey(session, MECHANISM(CKM_AES_KEY_GEN), aes, COUNT(aes), &key);
    if (rv == CKR_OK)
        rv = p11->C_EncryptInit(session, MECHANISM_WITH(CKM_AES_CBC_PAD, iv), key);
    n = sizeof out;
    if (rv == CKR_OK)
        rv = p11->C_Encrypt(session, iv, sizeof iv, out, &n);
    return rv == CKR_OK ? p11->C_Finalize(NULL) : rv;
}

static bool host_digest_works(void)
{
    unsigned n;
    CK_BYTE value[64];
    EVP_MD *md = EVP_MD_fetch(NULL, "SHA2-256", NULL);
    bool works = md != NULL && EVP_Digest("", 0, value, &n, md, NULL) == 1;
    EVP_MD_free(md);
    return works;
}

/* Recursion without end, were it a provider that calls the module for its work. */
static CK_RV under_a_greedy_provider(void)
{
    OSSL_PROVIDER *own = OSSL_PROVIDER_load(NULL, "default");
    bool set = OSSL_PROVIDER_add_builtin(NULL, "greedy", provider_init) == 1 && own != NULL &&
               OSSL_PROVIDER_load(NULL, "greedy") != NULL &&
               EVP_set_default_properties(NULL, "provider=greedy") == 1;
    if (!set || host_digest_works() || atomic_load(&asked) == 0)
        return CKR_GENERAL_ERROR; /* the host gets there: the provider is in everybody's way */
    p256_public = NULL;           /* the test's own verification would ask it, too */
    atomic_store(&asked, 0);
    CK_RV rv = work_of_every_kind();
    return rv == CKR_OK && atomic_load(&asked) != 0 ? CKR_FUNCTION_FAILED : rv;
}

static void greedy_provider(void **state)
{
    (void)state;
    p11->C_Finalize(NULL);
    assert_ok(in_child(under_a_greedy_provider)); /* which keeps it to itself */
}

/* ---- the program --------------------------------------------------------------------------- */

static int group_of_engine(void **state)
{
    group_keys(state);
    test_user(state);
    p256_public = openssl_key(fx.session, keys_of(fx.session, "p256").public);
    return test_end(state);
}

static int group_of_engine_end(void **state)
{
    EVP_PKEY_free(p256_public);
    return group_end(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greedy_provider),
        cmocka_unit_test_setup_teardown(workers_have_the_engines_key, engine_with_key, engine_gone),
        cmocka_unit_test_setup_teardown(engine_is_the_default, engine_with_key, engine_gone),
    };
    ENGINE_load_builtin_engines();
    ENGINE *there = ENGINE_by_id("pkcs11");
    if (there == NULL) {
        puts("OpenSSL has no pkcs11 engine");
        return 77;
    }
    ENGINE_free(there);
    return cmocka_run_group_tests(tests, group_of_engine, group_of_engine_end);
}
