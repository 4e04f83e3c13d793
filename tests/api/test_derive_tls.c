/* C_DeriveKey and C_Sign with TLS 1.2: PKCS#11 3.2 section 6.40. */
#include "derive.h"

/* NIST CAVP, component testing (SP800-135), TLS v1.2 KDF, SHA-256, the first case. */
static const char premaster[] = "f8938ecc9edebc5030c0c6a441e213cd24e6f770a50dda07876f8d55da062bca"
                                "db386b411fd4fe4313a604fce6c17fbc";
static const char client_hello[] =
    "36c129d01a3200894b9179faac589d9835d58775f9b5ea3587cb8fd0364cae8c";
static const char server_hello[] =
    "f6c9575ed7ddd73e1f7d16eca115415812a43c2b747daaaae043abfb50053fce";
static const char master[] = "202c88c00f84a17a20027079604787461176455539e705be730890602c289a50"
                             "01e34eeb3a043e5d52a65e66125188bf";
static const char client_random[] =
    "62e1fd91f23f558a605f28478c58cf72637b89784d959df7e946d3f07bd1b616";
static const char server_random[] =
    "ae6c806f8ad4d80784549dff28a4b58fd837681a51d928c3e30ee5ff14f39868";
static const char key_block[] = "d06139889fffac1e3a71865f504aa5d0d2a2e89506c6f2279b670c3e1b74f531"
                                "016a2530c51a3a0f7e1d6590d0f0566b2f387f8d11fd4f731cdd572d2eae927f"
                                "6f2f81410b25e6960be68985add6c38445ad9f8c64bf8068bf9a6679485d966f"
                                "1ad6f68b43495b10a683755ea2b858d70ccac7ec8b053c6bd41ca299d4e51928";

/* The randoms of a handshake, which a parameter points to. */
struct randoms {
    struct blob client, server;
    CK_SSL3_RANDOM_DATA data;
};

static void set_randoms(struct randoms *r, const char *client, const char *server)
{
    r->client = unhex(client);
    r->server = unhex(server);
    r->data = (CK_SSL3_RANDOM_DATA){r->client.p, r->client.n, r->server.p, r->server.n};
}

/* PRF(secret, label || seed) by OpenSSL. */
static struct blob prf(struct blob secret, const char *label, struct blob seed, CK_ULONG n)
{
    struct blob all = {.n = strlen(label)};
    memcpy(all.p, label, all.n);
    memcpy(all.p + all.n, seed.p, seed.n);
    all.n += seed.n;
    OSSL_PARAM p[] = {TEXT("digest", "SHA256"), OCTETS("secret", secret), OCTETS("seed", all),
                      OSSL_PARAM_construct_end()};
    return openssl_kdf("TLS1-PRF", p, n);
}

/* ---- master secrets ----------------------------------------------------------------------------
 */

static void master_secret(void **state)
{
    (void)state;
    struct randoms r;
    CK_VERSION version = {0, 0};
    CK_OBJECT_HANDLE base = base_key(CKK_GENERIC_SECRET, unhex(premaster), false, true, false);
    set_randoms(&r, client_hello, server_hello);
    CK_TLS12_MASTER_KEY_DERIVE_PARAMS p = {r.data, &version, CKM_SHA256};
    assert_derives(MECHANISM_WITH(CKM_TLS12_MASTER_KEY_DERIVE, p), base, 0, unhex(master));
    assert_int_equal(version.major, 0xF8); /* the premaster secret's first two bytes */
    assert_int_equal(version.minor, 0x93);
    assert_derives(MECHANISM_WITH(CKM_TLS12_MASTER_KEY_DERIVE, p), base, 48, unhex(master));
    p.pVersion = NULL;
    assert_derives(MECHANISM_WITH(CKM_TLS12_MASTER_KEY_DERIVE, p), base, 0, unhex(master));
    assert_derives(MECHANISM_WITH(CKM_TLS12_MASTER_KEY_DERIVE_DH, p), base, 0, unhex(master));
}

/* RFC 7627, 4 */
static void extended_master_secret(void **state)
{
    (void)state;
    struct blob session_hash = random_blob(32), secret = unhex(premaster), longer = random_blob(66);
    CK_VERSION version = {0, 0};
    CK_OBJECT_HANDLE base = base_key(CKK_GENERIC_SECRET, secret, false, true, false);
    CK_OBJECT_HANDLE of_dh = base_key(CKK_GENERIC_SECRET, longer, false, true, false);
    CK_TLS12_EXTENDED_MASTER_KEY_DERIVE_PARAMS p = {CKM_SHA256, session_hash.p, session_hash.n,
                                                    &version};
    assert_derives(MECHANISM_WITH(CKM_TLS12_EXTENDED_MASTER_KEY_DERIVE, p), base, 0,
                   prf(secret, "extended master secret", session_hash, 48));
    assert_int_equal(version.major, 0xF8);
    p.pVersion = NULL;
    assert_derives(MECHANISM_WITH(CKM_TLS12_EXTENDED_MASTER_KEY_DERIVE_DH, p), of_dh, 0,
                   prf(longer, "extended master secret", session_hash, 48));
}

/* 6.40.4, 6.40.5: a master secret is for TLS and nothing else. */
static void what_a_master_secret_is_for(void **state)
{
    (void)state;
    static const CK_MECHANISM_TYPE types[] = {
        CKM_TLS12_MASTER_KEY_DERIVE, CKM_TLS12_MASTER_KEY_DERIVE_DH,
        CKM_TLS12_EXTENDED_MASTER_KEY_DERIVE, CKM_TLS12_EXTENDED_MASTER_KEY_DERIVE_DH};
    static const CK_MECHANISM_TYPE fit[] = {CKM_TLS12_KEY_AND_MAC_DERIVE, CKM_TLS12_KEY_SAFE_DERIVE,
                                            CKM_TLS_KDF, CKM_TLS_MAC};
    struct randoms r;
    struct blob hash = random_blob(32);
    CK_OBJECT_HANDLE base = base_key(CKK_GENERIC_SECRET, unhex(premaster), false, true, false);
    set_randoms(&r, client_hello, server_hello);
    CK_TLS12_MASTER_KEY_DERIVE_PARAMS p = {r.data, NULL, CKM_SHA256};
    CK_TLS12_EXTENDED_MASTER_KEY_DERIVE_PARAMS e = {CKM_SHA256, hash.p, hash.n, NULL};
    for (size_t i = 0; i < COUNT(types); i++) {
        CK_OBJECT_HANDLE key, derived;
        CK_MECHANISM mechanism = {types[i], &p, sizeof p};
        if (i >= 2)
            mechanism = (CK_MECHANISM){types[i], &e, sizeof e};
        CK_ATTRIBUTE derives = ATTR_BOOL(CKA_DERIVE, true);
        assert_ok(derive(&mechanism, base, &derives, 1, &key));
        struct blob allowed = get_attribute(fx.session, key, CKA_ALLOWED_MECHANISMS);
        assert_true(allowed.n >= sizeof fit);
        assert_memory_equal(allowed.p, fit, sizeof fit);
        CK_KEY_DERIVATION_STRING_DATA none = {hash.p, 1};
        assert_rv(CKR_MECHANISM_INVALID, derive(MECHANISM_WITH(CKM_CONCATENATE_BASE_AND_DATA, none),
                                                key, NULL, 0, &derived));
        assert_rv(CKR_MECHANISM_INVALID,
                  p11->C_SignInit(fx.session, MECHANISM(CKM_SHA256_HMAC), key));
    }
}

/* ---- key and MAC ------------------------------------------------------------------------------
 */

struct material {
    struct randoms r;
    CK_BYTE iv[2][16];
    CK_SSL3_KEY_MAT_OUT out;
    CK_TLS12_KEY_MAT_PARAMS p;
};

/* The vector's whole block: two MAC secrets of 20 bytes, two keys of 32, two IVs of 12. */
static void lay_out(struct material *m)
{
    *m = (struct material){.out = {.pIVClient = m->iv[0], .pIVServer = m->iv[1]}};
    set_randoms(&m->r, client_random, server_random);
    m->p = (CK_TLS12_KEY_MAT_PARAMS){160, 256, 96, CK_FALSE, m->r.data, &m->out, CKM_SHA256};
}

static struct blob slice(struct blob of, CK_ULONG at, CK_ULONG n)
{
    memmove(of.p, of.p + at, n);
    of.n = n;
    return of;
}

/* All four keys are as sensitive and as extractable as the master secret (6.40.6): this one can be
 * read. */
static void key_block_of_readable_keys(void **state)
{
    (void)state;
    static struct material m;
    struct blob block = unhex(key_block);
    CK_OBJECT_HANDLE base = base_key(CKK_GENERIC_SECRET, unhex(master), false, false, true);
    CK_ATTRIBUTE aes[] = {ATTR_ULONG(CKA_KEY_TYPE, CKK_AES)};
    lay_out(&m);
    assert_ok(p11->C_DeriveKey(fx.session, MECHANISM_WITH(CKM_TLS12_KEY_AND_MAC_DERIVE, m.p), base,
                               aes, 1, NULL));
    const CK_OBJECT_HANDLE keys[] = {m.out.hClientMacSecret, m.out.hServerMacSecret,
                                     m.out.hClientKey, m.out.hServerKey};
    static const CK_ULONG at[] = {0, 20, 40, 72}, sizes[] = {20, 20, 32, 32};
    for (size_t i = 0; i < COUNT(keys); i++) {
        struct blob want = slice(block, at[i], sizes[i]);
        assert_blob(get_attribute(fx.session, keys[i], CKA_VALUE), want.p, want.n);
        assert_history(keys[i], (struct history){false, false, true, false});
        assert_int_equal(get_ulong(fx.session, keys[i], CKA_KEY_TYPE),
                         i < 2 ? CKK_GENERIC_SECRET : CKK_AES);
    }
    assert_memory_equal(m.iv[0], block.p + 104, 12);
    assert_memory_equal(m.iv[1], block.p + 116, 12);
}

static CK_RV derive_material(CK_MECHANISM_TYPE type, struct material *m, CK_OBJECT_HANDLE base,
                             CK_ATTRIBUTE *template, CK_ULONG n)
{
    return p11->C_DeriveKey(fx.session, MECHANISM_WITH(type, m->p), base, template, n, NULL);
}

static void keys_as_the_master_secret(void **state)
{
    (void)state;
    static struct material m;
    for (int kind = 0; kind < 4; kind++) {
        bool sensitive = kind & 1, may_leave = kind & 2;
        CK_OBJECT_HANDLE base = made_key(48, sensitive, may_leave);
        CK_ATTRIBUTE aes[] = {ATTR_ULONG(CKA_KEY_TYPE, CKK_AES),
                              ATTR_BOOL(CKA_SENSITIVE, sensitive),
                              ATTR_BOOL(CKA_EXTRACTABLE, may_leave)};
        for (CK_ULONG said = 1; said <= 3; said += 2) { /* saying it is no harm */
            lay_out(&m);
            assert_ok(derive_material(CKM_TLS12_KEY_AND_MAC_DERIVE, &m, base, aes, said));
            const CK_OBJECT_HANDLE keys[] = {m.out.hClientMacSecret, m.out.hServerMacSecret,
                                             m.out.hClientKey, m.out.hServerKey};
            for (size_t i = 0; i < COUNT(keys); i++)
                assert_history(keys[i],
                               (struct history){sensitive, sensitive, may_leave, !may_leave});
        }
        CK_ULONG before = count_objects(fx.session, NULL, 0);
        for (int which = 1; which < 3; which++) {
            CK_ATTRIBUTE other[] = {
                aes[0], which == 1 ? (CK_ATTRIBUTE)ATTR_BOOL(CKA_SENSITIVE, !sensitive)
                                   : (CK_ATTRIBUTE)ATTR_BOOL(CKA_EXTRACTABLE, !may_leave)};
            lay_out(&m);
            assert_rv(CKR_TEMPLATE_INCONSISTENT,
                      derive_material(CKM_TLS12_KEY_AND_MAC_DERIVE, &m, base, other, 2));
            assert_int_equal(m.out.hClientKey, CK_INVALID_HANDLE);
        }
        assert_int_equal(count_objects(fx.session, NULL, 0), before);
    }
}

/* 6.40.6: MAC secrets sign and verify; the other keys encrypt, decrypt and derive. */
static void usages(void **state)
{
    (void)state;
    static struct material m;
    CK_OBJECT_HANDLE base = made_key(48, true, false);
    CK_ATTRIBUTE aes[] = {ATTR_ULONG(CKA_KEY_TYPE, CKK_AES), ATTR_BOOL(CKA_DERIVE, false)};
    lay_out(&m);
    assert_ok(derive_material(CKM_TLS12_KEY_AND_MAC_DERIVE, &m, base, aes, 1));
    assert_true(get_bool(fx.session, m.out.hClientMacSecret, CKA_SIGN));
    assert_true(get_bool(fx.session, m.out.hServerMacSecret, CKA_VERIFY));
    assert_false(get_bool(fx.session, m.out.hClientMacSecret, CKA_ENCRYPT));
    assert_true(get_bool(fx.session, m.out.hClientKey, CKA_ENCRYPT));
    assert_true(get_bool(fx.session, m.out.hServerKey, CKA_DECRYPT));
    assert_true(get_bool(fx.session, m.out.hServerKey, CKA_DERIVE));
    assert_ok(derive_material(CKM_TLS12_KEY_AND_MAC_DERIVE, &m, base, aes, 2));
    assert_false(get_bool(fx.session, m.out.hServerKey, CKA_DERIVE));
}

/* AEAD suites have no MAC secrets; 6.40.7: no IVs, whatever is asked. */
static void parts_of_the_block(void **state)
{
    (void)state;
    static struct material m;
    struct blob block = unhex(key_block);
    CK_OBJECT_HANDLE base = base_key(CKK_GENERIC_SECRET, unhex(master), false, false, true);
    CK_ATTRIBUTE aes[] = {ATTR_ULONG(CKA_KEY_TYPE, CKK_AES)};
    lay_out(&m);
    m.p.ulMacSizeInBits = 0;
    assert_ok(derive_material(CKM_TLS12_KEY_AND_MAC_DERIVE, &m, base, aes, 1));
    assert_int_equal(m.out.hClientMacSecret, CK_INVALID_HANDLE);
    assert_int_equal(m.out.hServerMacSecret, CK_INVALID_HANDLE);
    struct blob want = slice(block, 32, 32);
    assert_blob(get_attribute(fx.session, m.out.hServerKey, CKA_VALUE), want.p, want.n);
    assert_memory_equal(m.iv[1], block.p + 76, 12);
    lay_out(&m);
    assert_ok(derive_material(CKM_TLS12_KEY_SAFE_DERIVE, &m, base, aes, 1));
    CK_BYTE zeros[16] = {0};
    assert_memory_equal(m.iv[0], zeros, 16);
    want = slice(block, 72, 32);
    assert_blob(get_attribute(fx.session, m.out.hServerKey, CKA_VALUE), want.p, want.n);
}

/* ---- what else --------------------------------------------------------------------------------
 */

/* M. D'Errico, "Test vectors for TLS 1.2 PRF", IETF TLS mailing list; the seed in two halves. */
static void prf_vector(void **state)
{
    (void)state;
    struct randoms r;
    struct blob label = {10, "test label"};
    CK_OBJECT_HANDLE base =
        base_key(CKK_GENERIC_SECRET, unhex("9bbe436ba940f017b17652849a71db35"), false, false, true);
    set_randoms(&r, "a0ba9f936cda3118", "27a6f796ffd5198c");
    CK_TLS_KDF_PARAMS p = {CKM_SHA256, label.p, label.n, r.data, NULL, 0};
    struct blob want = unhex("e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a"
                             "6b301791e90d35c9c9a46b4e14baf9af0fa022f7077def17abfd3797c0564bab"
                             "4fbc91666e9def9b97fce34f796789baa48082d122ee42c5a72e5a5110fff701"
                             "87347b66");
    assert_derives(MECHANISM_WITH(CKM_TLS12_KDF, p), base, want.n, want);
    assert_derives(MECHANISM_WITH(CKM_TLS_KDF, p), base, want.n, want);
}

/* 6.40.8: never less sensitive than the original key, nor more extractable. */
static void rules_of_the_kdf(void **state)
{
    (void)state;
    struct randoms r;
    struct blob label = {4, "EXPO"};
    set_randoms(&r, client_random, server_random);
    CK_TLS_KDF_PARAMS p = {CKM_SHA256, label.p, label.n, r.data, NULL, 0};
    CK_ATTRIBUTE length = ATTR_ULONG(CKA_VALUE_LEN, 16);
    CK_ATTRIBUTE open[] = {length, ATTR_BOOL(CKA_SENSITIVE, false)};
    for (int kind = 0; kind < 4; kind++) {
        bool sensitive = kind & 1, may_leave = kind & 2;
        CK_OBJECT_HANDLE base = made_key(48, sensitive, may_leave), derived;
        assert_ok(derive(MECHANISM_WITH(CKM_TLS_KDF, p), base, &length, 1, &derived));
        assert_history(derived, (struct history){sensitive, sensitive, may_leave, !may_leave});
        assert_rv(sensitive ? CKR_TEMPLATE_INCONSISTENT : CKR_OK,
                  derive(MECHANISM_WITH(CKM_TLS_KDF, p), base, open, 2, &derived));
    }
}

/* RFC 5246, 7.4.9 */
static void finished(void **state)
{
    (void)state;
    struct blob secret = unhex(master), hash = random_blob(32);
    CK_OBJECT_HANDLE key = base_key(CKK_GENERIC_SECRET, secret, false, true, false);
    for (CK_ULONG side = 1; side <= 2; side++) {
        CK_TLS_MAC_PARAMS p = {CKM_SHA256, 12, side};
        struct blob want = prf(secret, side == 1 ? "server finished" : "client finished", hash, 12);
        struct blob got = sign(fx.session, MECHANISM_WITH(CKM_TLS12_MAC, p), key, hash.p, hash.n);
        assert_blob(got, want.p, want.n);
        assert_ok(verify(fx.session, MECHANISM_WITH(CKM_TLS_MAC, p), key, hash.p, hash.n, got));
        got.p[3] ^= 1;
        assert_rv(CKR_SIGNATURE_INVALID,
                  verify(fx.session, MECHANISM_WITH(CKM_TLS_MAC, p), key, hash.p, hash.n, got));
    }
}

static void refusals(void **state)
{
    (void)state;
    static struct material m;
    struct randoms r;
    CK_VERSION version;
    CK_OBJECT_HANDLE base = made_key(48, true, false), short_one = made_key(47, true, false),
                     derived, tpm;
    CK_ATTRIBUTE long_key = ATTR_ULONG(CKA_VALUE_LEN, 49);
    CK_ULONG before = count_objects(fx.session, NULL, 0);
    set_randoms(&r, client_hello, server_hello);
    CK_TLS12_MASTER_KEY_DERIVE_PARAMS p = {r.data, &version, CKM_SHA256}, none = p;
    assert_rv(CKR_KEY_SIZE_RANGE,
              derive(MECHANISM_WITH(CKM_TLS12_MASTER_KEY_DERIVE, p), short_one, NULL, 0, &derived));
    assert_rv(CKR_KEY_SIZE_RANGE,
              derive(MECHANISM_WITH(CKM_TLS12_MASTER_KEY_DERIVE, p), base, &long_key, 1, &derived));
    assert_rv(CKR_MECHANISM_PARAM_INVALID,
              derive(MECHANISM_WITH(CKM_TLS12_MASTER_KEY_DERIVE_DH, p), base, NULL, 0, &derived));
    none.RandomInfo.ulServerRandomLen = 0;
    assert_rv(CKR_MECHANISM_PARAM_INVALID,
              derive(MECHANISM_WITH(CKM_TLS12_MASTER_KEY_DERIVE, none), base, NULL, 0, &derived));
    lay_out(&m);
    m.p.bIsExport = CK_TRUE;
    assert_rv(CKR_MECHANISM_PARAM_INVALID,
              derive_material(CKM_TLS12_KEY_AND_MAC_DERIVE, &m, base, NULL, 0));
    lay_out(&m);
    m.p.ulKeySizeInBits = 200; /* no AES key */
    CK_ATTRIBUTE aes = ATTR_ULONG(CKA_KEY_TYPE, CKK_AES);
    assert_rv(CKR_ATTRIBUTE_VALUE_INVALID,
              derive_material(CKM_TLS12_KEY_AND_MAC_DERIVE, &m, base, &aes, 1));
    assert_int_equal(count_objects(fx.session, NULL, 0), before);
    tpm = base_key(CKK_GENERIC_SECRET, random_blob(48), true, true, false);
    lay_out(&m);
    assert_rv(CKR_KEY_FUNCTION_NOT_PERMITTED,
              derive_material(CKM_TLS12_KEY_AND_MAC_DERIVE, &m, tpm, &aes, 1));
    assert_rv(CKR_KEY_FUNCTION_NOT_PERMITTED,
              derive(MECHANISM_WITH(CKM_TLS12_MASTER_KEY_DERIVE, p), tpm, NULL, 0, &derived));
    assert_ok(p11->C_DestroyObject(fx.session, tpm));
}

#define USER_TEST(f) cmocka_unit_test_setup_teardown(f, test_user, test_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        USER_TEST(master_secret),
        USER_TEST(extended_master_secret),
        USER_TEST(what_a_master_secret_is_for),
        USER_TEST(key_block_of_readable_keys),
        USER_TEST(keys_as_the_master_secret),
        USER_TEST(usages),
        USER_TEST(parts_of_the_block),
        USER_TEST(prf_vector),
        USER_TEST(rules_of_the_kdf),
        USER_TEST(finished),
        USER_TEST(refusals),
    };
    return cmocka_run_group_tests(tests, group_token, group_end);
}
