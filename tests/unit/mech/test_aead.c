/* GCM and CCM, on keys in software and in the TPM: published vectors, libcrypto, what is not
 * genuine, limits, and what they cost. */
#include "symmetric_test.h"

#include <mech/symmetric.h>

/* One call of either, with its parameter. */
struct aead {
    bool gcm;
    struct bytes iv, aad;
    size_t tag, data_n;
};

static void begin(struct operation *o, const struct aead *a, const struct mech_key *key)
{
    CK_GCM_PARAMS gcm = {.pIv = (CK_BYTE_PTR)(uintptr_t)a->iv.p,
                         .ulIvLen = a->iv.n,
                         .pAAD = (CK_BYTE_PTR)(uintptr_t)a->aad.p,
                         .ulAADLen = a->aad.n,
                         .ulTagBits = 8 * a->tag};
    CK_CCM_PARAMS ccm = {.ulDataLen = a->data_n,
                         .pNonce = (CK_BYTE_PTR)(uintptr_t)a->iv.p,
                         .ulNonceLen = a->iv.n,
                         .pAAD = (CK_BYTE_PTR)(uintptr_t)a->aad.p,
                         .ulAADLen = a->aad.n,
                         .ulMACLen = a->tag};
    if (a->gcm)
        operation_begin(o, CKM_AES_GCM, key, &gcm, sizeof(gcm));
    else
        operation_begin(o, CKM_AES_CCM, key, &ccm, sizeof(ccm));
}

/* ret: ciphertext and tag */
static void evp_seal(const struct aead *a, struct bytes key, struct bytes in, uint8_t *ret)
{
    char name[24];
    int n;
    snprintf(name, sizeof(name), "AES-%zu-%s", 8 * key.n, a->gcm ? "GCM" : "CCM");
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, name, NULL);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    assert_int_equal(EVP_EncryptInit_ex2(ctx, cipher, NULL, NULL, NULL), 1);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, (int)a->iv.n, NULL), 1);
    if (!a->gcm)
        assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, (int)a->tag, NULL), 1);
    assert_int_equal(EVP_EncryptInit_ex2(ctx, NULL, key.p, a->iv.p, NULL), 1);
    if (!a->gcm)
        assert_int_equal(EVP_EncryptUpdate(ctx, NULL, &n, NULL, (int)in.n), 1);
    if (a->aad.n)
        assert_int_equal(EVP_EncryptUpdate(ctx, NULL, &n, a->aad.p, (int)a->aad.n), 1);
    assert_int_equal(EVP_EncryptUpdate(ctx, ret, &n, in.p, (int)in.n), 1);
    assert_int_equal(EVP_EncryptFinal_ex(ctx, ret + in.n, &n), 1);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, (int)a->tag, ret + in.n), 1);
    EVP_CIPHER_CTX_free(ctx);
    EVP_CIPHER_free(cipher);
}

/* ---- published vectors --------------------------------------------------------------------- */

struct vector {
    const char *key, *iv, *aad, *plain, *sealed;
    size_t tag;
};

static void check_vector(bool gcm, const struct vector *v)
{
    struct sym_key key;
    struct hex value = unhex(v->key), iv = unhex(v->iv), aad = unhex(v->aad);
    struct hex plain = unhex(v->plain), sealed = unhex(v->sealed);
    const struct aead a = {gcm, HEX_BYTES(iv), HEX_BYTES(aad), v->tag, plain.n};
    aes_key(&key, HEX_BYTES(value));
    FOR_EACH_PLACE(w, &key)
    for (uint32_t seed = 0; seed < 3; seed++) {
        struct operation o;
        begin(&o, &a, &key.place[w]);
        assert_cipher(&o, true, HEX_BYTES(plain), seed, HEX_BYTES(sealed));
        assert_cipher(&o, false, HEX_BYTES(sealed), seed, HEX_BYTES(plain));
        operation_end(&o);
    }
    sym_key_free(&key);
}

/* McGrew and Viega, "The Galois/Counter Mode of Operation", appendix B: test cases 1, 2, 4, 5, 6
 * and 16. */
static void test_gcm_vectors(void **state)
{
    (void)state;
#define KEY "feffe9928665731c6d6a8f9467308308"
#define AAD "feedfacedeadbeeffeedfacedeadbeefabaddad2"
#define PLAIN                                                                                      \
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"                             \
    "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
    static const struct vector vectors[] = {
        {"00000000000000000000000000000000", "000000000000000000000000", "", "",
         "58e2fccefa7e3061367f1d57a4e7455a", 16},
        {"00000000000000000000000000000000", "000000000000000000000000", "",
         "00000000000000000000000000000000",
         "0388dace60b6a392f328c2b971b2fe78ab6e47d42cec13bdf53a67b21257bddf", 16},
        {KEY, "cafebabefacedbaddecaf888", AAD, PLAIN,
         "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
         "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091"
         "5bc94fbc3221a5db94fae95ae7121a47",
         16},
        {KEY, "cafebabefacedbad", AAD, PLAIN,
         "61353b4c2806934a777ff51fa22a4755699b2a714fcdc6f83766e5f97b6c7423"
         "73806900e49f24b22b097544d4896b424989b5e1ebac0f07c23f4598"
         "3612d2e79e3b0785561be14aaca2fccb",
         16},
        {KEY,
         "9313225df88406e555909c5aff5269aa6a7a9538534f7da1e4c303d2a318a728"
         "c3c0c95156809539fcf0e2429a6b525416aedbf5a0de6a57a637b39b",
         AAD, PLAIN,
         "8ce24998625615b603a033aca13fb894be9112a5c3a211a8ba262a3cca7e2ca7"
         "01e4a9a4fba43c90ccdcb281d48c7c6fd62875d2aca417034c34aee5"
         "619cc5aefffe0bfa462af43c1699d050",
         16},
        {KEY KEY, "cafebabefacedbaddecaf888", AAD, PLAIN,
         "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
         "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
         "76fc6ece0f4e1768cddf8853bb2d551b",
         16},
    };
    for (size_t i = 0; i < COUNT(vectors); i++)
        check_vector(true, &vectors[i]);
}

/* SP800-38C, appendix C: examples 1 to 3. */
static void test_sp800_38c(void **state)
{
    (void)state;
    static const struct vector vectors[] = {
        {"404142434445464748494a4b4c4d4e4f", "10111213141516", "0001020304050607", "20212223",
         "7162015b4dac255d", 4},
        {"404142434445464748494a4b4c4d4e4f", "1011121314151617", "000102030405060708090a0b0c0d0e0f",
         "202122232425262728292a2b2c2d2e2f", "d2a1f0e051ea5f62081a7792073d593d1fc64fbfaccd", 6},
        {"404142434445464748494a4b4c4d4e4f", "101112131415161718191a1b",
         "000102030405060708090a0b0c0d0e0f10111213",
         "202122232425262728292a2b2c2d2e2f3031323334353637",
         "e3b201a9f5b71a7a9b1ceaeccd97e70b6176aad9a4428aa5484392fbc1b09951", 8},
    };
    for (size_t i = 0; i < COUNT(vectors); i++)
        check_vector(false, &vectors[i]);
}

/* Its example 4: an AAD whose length takes the long form. */
static void test_sp800_38c_long_aad(void **state)
{
    (void)state;
    static uint8_t aad[65536];
    struct sym_key key;
    struct hex value = unhex("404142434445464748494a4b4c4d4e4f");
    struct hex nonce = unhex("101112131415161718191a1b1c");
    struct hex plain = unhex("202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f");
    struct hex sealed = unhex("69915dad1e84c6376a68c2967e4dab615ae0fd1faec44cc484828529463ccf72"
                              "b4ac6bec93e8598e7f0dadbcea5b");
    const struct aead a = {false, HEX_BYTES(nonce), BYTES_OF(aad), 14, plain.n};
    for (size_t i = 0; i < sizeof(aad); i++)
        aad[i] = (uint8_t)i;
    aes_key(&key, HEX_BYTES(value));
    FOR_EACH_PLACE(w, &key)
    {
        struct operation o;
        begin(&o, &a, &key.place[w]);
        assert_cipher(&o, true, HEX_BYTES(plain), 0, HEX_BYTES(sealed));
        assert_cipher(&o, false, HEX_BYTES(sealed), 0, HEX_BYTES(plain));
        operation_end(&o);
    }
    sym_key_free(&key);
}

/* ---- libcrypto ----------------------------------------------------------------------------- */

static void random_call(const struct sym_key *key, enum where w, bool gcm, uint32_t *seed)
{
    static const size_t gcm_tags[] = {4, 8, 12, 13, 14, 15, 16}; /* bytes */
    static uint8_t plain[6000], aad[0x10100], sealed[6016];
    uint8_t iv[100];
    struct operation o;
    struct aead a = {.gcm = gcm};
    a.iv = BYTES(iv, !gcm                 ? 7 + draw(seed, 7)
                     : draw(seed, 2) == 0 ? 12
                                          : 1 + draw(seed, sizeof(iv)));
    a.tag = gcm ? gcm_tags[draw(seed, COUNT(gcm_tags))] : 4 + 2 * draw(seed, 7);
    static const size_t liked[] = {0, 1, 13, 14, 15, 16, 30, 0xFEFF, 0xFF00, 0xFF01};
    a.aad = BYTES(aad, draw(seed, 3) ? draw(seed, 2000) : liked[draw(seed, COUNT(liked))]);
    a.data_n = draw(seed, 3) ? draw(seed, sizeof(plain)) : draw(seed, 50);
    fill(plain, a.data_n, *seed);
    fill(iv, sizeof(iv), *seed + 1);
    fill(aad, a.aad.n, *seed + 2);
    evp_seal(&a, BYTES(key->value, key->n), BYTES(plain, a.data_n), sealed);
    begin(&o, &a, &key->place[w]);
    assert_cipher(&o, true, BYTES(plain, a.data_n), draw(seed, 2) ? *seed : 0,
                  BYTES(sealed, a.data_n + a.tag));
    assert_cipher(&o, false, BYTES(sealed, a.data_n + a.tag), draw(seed, 2) ? *seed : 0,
                  BYTES(plain, a.data_n));
    operation_end(&o);
}

static void test_as_libcrypto(void **state)
{
    (void)state;
    uint32_t seed = 11;
    for (size_t size = 16; size <= 32; size += 8) {
        struct sym_key key;
        uint8_t value[32];
        fill(value, sizeof(value), (uint32_t)size);
        aes_key(&key, BYTES(value, size));
        FOR_EACH_PLACE(w, &key)
        for (int round = 0; round < (w == IN_TPM ? 40 : 150); round++)
            random_call(&key, w, round % 2, &seed);
        sym_key_free(&key);
    }
    mark_checked(CKM_AES_GCM);
    mark_checked(CKM_AES_CCM);
}

/* ---- the counter of GCM is 32 bits long ---------------------------------------------------- */

static void times(const uint8_t *h, uint8_t *y)
{
    static const uint8_t zero[16];
    soft_ghash(h, y, zero, 16);
}

/* h to the power of 2^128 - 2 */
static void invert(const uint8_t *h, uint8_t *ret)
{
    uint8_t square[16], same[16];
    memcpy(square, h, 16);
    memset(ret, 0, 16);
    ret[0] = 0x80; /* 1 */
    for (int i = 1; i < 128; i++) {
        memcpy(same, square, 16);
        times(same, square);
        times(square, ret);
    }
}

/* An IV of 16 bytes for which J0 ends with these four: J0 = ((IV * H) + length) * H. */
static void test_gcm_counter_wraps(void **state)
{
    (void)state;
    struct sym_key key;
    uint8_t value[16] = {5}, h[16] = {0}, back[16], plain[200], sealed[216];
    fill(plain, sizeof(plain), 1);
    evp_cipher("ECB", false, true, BYTES_OF(value), NULL, BYTES(h, 16), h);
    invert(h, back);
    aes_key(&key, BYTES_OF(value));
    FOR_EACH_PLACE(w, &key)
    for (unsigned before = 0; before < 8; before++) {
        struct operation o;
        uint8_t iv[16];
        memset(iv, 0xFF, sizeof(iv)); /* the carry would go far */
        iv[15] = (uint8_t)(0xFF - before);
        times(back, iv);
        iv[15] ^= 128; /* its length in bits */
        times(back, iv);
        const struct aead a = {true, BYTES_OF(iv), NO_BYTES, 16, sizeof(plain)};
        evp_seal(&a, BYTES_OF(value), BYTES_OF(plain), sealed);
        begin(&o, &a, &key.place[w]);
        assert_ok(o.call.mech->cipher->start(&o.call, &o.stream));
        const struct gcm *g = (const void *)o.stream.state.p;
        assert_int_equal(g->counter[15], (uint8_t)(0 - before)); /* the IV does what it is for */
        assert_int_equal(g->counter[11], 0xFF);
        assert_cipher(&o, true, BYTES_OF(plain), 0, BYTES_OF(sealed));
        assert_cipher(&o, false, BYTES_OF(sealed), 4, BYTES_OF(plain));
        operation_end(&o);
    }
    sym_key_free(&key);
}

/* ---- what is not genuine ------------------------------------------------------------------- */

static void test_changed_bytes(void **state)
{
    (void)state;
    struct sym_key key;
    uint8_t value[16] = {6}, iv[12] = {7}, aad[20] = {8}, plain[35], sealed[51];
    aes_key(&key, BYTES_OF(value));
    fill(plain, sizeof(plain), 3);
    FOR_EACH_PLACE(w, &key)
    for (int gcm = 0; gcm < 2; gcm++)
        for (size_t tag = 4; tag <= 16; tag += 4) {
            const struct aead a = {gcm, BYTES_OF(iv), BYTES_OF(aad), tag, sizeof(plain)};
            struct operation o;
            evp_seal(&a, BYTES_OF(value), BYTES_OF(plain), sealed);
            size_t n = sizeof(plain) + tag;
            begin(&o, &a, &key.place[w]);
            assert_cipher(&o, false, BYTES(sealed, n), 0, BYTES_OF(plain));
            for (size_t i = 0; i < n; i++) {
                sealed[i] ^= 0x10;
                assert_cipher_fails(&o, CKR_ENCRYPTED_DATA_INVALID, false, BYTES(sealed, n),
                                    (uint32_t)i);
                sealed[i] ^= 0x10;
            }
            o.params.aad.p[19] ^= 1;
            assert_cipher_fails(&o, CKR_ENCRYPTED_DATA_INVALID, false, BYTES(sealed, n), 0);
            o.params.aad.p[19] ^= 1;
            o.params.iv.p[0] ^= 1;
            assert_cipher_fails(&o, CKR_ENCRYPTED_DATA_INVALID, false, BYTES(sealed, n), 0);
            operation_end(&o);
        }
    sym_key_free(&key);
}

static void test_lengths(void **state)
{
    (void)state;
    struct sym_key key;
    uint8_t value[16] = {6}, iv[12] = {7}, data[64] = {0};
    aes_key(&key, BYTES_OF(value));
    for (int gcm = 0; gcm < 2; gcm++) {
        const struct aead a = {gcm, BYTES_OF(iv), NO_BYTES, 12, 20};
        struct operation o;
        begin(&o, &a, &key.place[IN_SOFTWARE]);
        for (size_t n = 0; n < sizeof(data); n++) {
            if (!gcm && n != 20)
                assert_cipher_fails(&o, CKR_DATA_LEN_RANGE, true, BYTES(data, n), (uint32_t)n);
            if (n < 12 || (!gcm && n != 32))
                assert_cipher_fails(&o, CKR_ENCRYPTED_DATA_LEN_RANGE, false, BYTES(data, n),
                                    (uint32_t)n);
        }
        operation_end(&o);
    }
    sym_key_free(&key);
}

/* SP800-38D, 5.2.1.1: 2^36 - 32 bytes. */
static void test_gcm_has_an_end(void **state)
{
    (void)state;
    struct sym_key key;
    uint8_t value[16] = {6}, iv[12] = {7}, data[64] = {0};
    const struct aead a = {true, BYTES_OF(iv), NO_BYTES, 16, 0};
    size_t n;
    aes_key(&key, BYTES_OF(value));
    for (size_t over = 0; over < 3; over++) {
        struct operation o;
        begin(&o, &a, &key.place[IN_SOFTWARE]);
        o.stream.encrypt = true;
        assert_ok(o.call.mech->cipher->start(&o.call, &o.stream));
        struct gcm *g = (void *)o.stream.state.p;
        g->data_n = ((uint64_t)1 << 36) - 32 - 48;
        assert_ok(o.call.mech->cipher->update(&o.call, &o.stream, BYTES(data, 15), data, &n));
        assert_rv(
            over ? CKR_DATA_LEN_RANGE : CKR_OK,
            o.call.mech->cipher->update(&o.call, &o.stream, BYTES(data, 33 + over), data, &n));
        operation_end(&o);
    }
    sym_key_free(&key);
}

/* ---- parameters ---------------------------------------------------------------------------- */

static void test_gcm_parameters(void **state)
{
    (void)state;
    const struct mech *m = row(CKM_AES_GCM);
    uint8_t iv[16] = {1}, aad[8] = {2}, room[sizeof(CK_GCM_PARAMS) + 9] = {0};
    struct mech_params params;
    CK_GCM_PARAMS p = {iv, 12, 96, aad, 8, 128};
    for (CK_ULONG bits = 0; bits <= 130; bits++) {
        bool good = bits == 32 || bits == 64 || (bits >= 96 && bits <= 128 && bits % 8 == 0);
        p.ulTagBits = bits;
        if (!good) {
            assert_refused(m, NULL, &p, sizeof(p));
            continue;
        }
        p.ulIvBits = bits; /* 3.0, 2.12.7: of no account */
        assert_taken(m, NULL, &p, sizeof(p), &params);
        assert_int_equal(params.mac_n, bits / 8);
        assert_true(bytes_equal(buf_bytes(&params.iv), BYTES(iv, 12)));
        assert_true(bytes_equal(buf_bytes(&params.aad), BYTES_OF(aad)));
        mech_params_free(&params);
    }
    p.ulTagBits = 128;
    memcpy(room + 1, &p, sizeof(p)); /* unaligned */
    assert_taken(m, NULL, room + 1, sizeof(p), &params);
    mech_params_free(&params);
    const CK_ULONG old[] = {(CK_ULONG)iv, 12, (CK_ULONG)aad, 8, 96}; /* without ulIvBits */
    assert_taken(m, NULL, old, sizeof(old), &params);
    assert_int_equal(params.mac_n, 12);
    assert_true(bytes_equal(buf_bytes(&params.iv), BYTES(iv, 12)));
    assert_true(bytes_equal(buf_bytes(&params.aad), BYTES_OF(aad)));
    mech_params_free(&params);
    for (size_t n = 0; n < sizeof(room); n++)
        if (n != sizeof(p) && n != sizeof(old))
            assert_refused(m, NULL, room + 1, n);
    assert_refused(m, NULL, NULL, sizeof(p));
    static const CK_GCM_PARAMS bad[] = {
        {.ulIvLen = 12, .ulTagBits = 128},           /* no IV */
        {.pIv = (CK_BYTE_PTR) "", .ulTagBits = 128}, /* of no length */
        {.pIv = (CK_BYTE_PTR) "", .ulIvLen = 1ul << 32, .ulTagBits = 128},
        {.pIv = (CK_BYTE_PTR) "", .ulIvLen = 1, .ulAADLen = 1, .ulTagBits = 128},
        {.pIv = (CK_BYTE_PTR) "",
         .ulIvLen = 1,
         .pAAD = (CK_BYTE_PTR) "",
         .ulAADLen = 1ul << 32,
         .ulTagBits = 128},
    };
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_refused(m, NULL, &bad[i], sizeof(bad[i]));
}

static void test_ccm_parameters(void **state)
{
    (void)state;
    const struct mech *m = row(CKM_AES_CCM);
    uint8_t nonce[16] = {1}, aad[8] = {2};
    struct mech_params params;
    for (CK_ULONG nonce_n = 0; nonce_n <= 16; nonce_n++)
        for (CK_ULONG mac_n = 0; mac_n <= 18; mac_n++) {
            const CK_CCM_PARAMS p = {33, nonce, nonce_n, aad, 8, mac_n};
            if (nonce_n < 7 || nonce_n > 13 || mac_n < 4 || mac_n > 16 || mac_n % 2) {
                assert_refused(m, NULL, &p, sizeof(p));
                continue;
            }
            assert_taken(m, NULL, &p, sizeof(p), &params);
            assert_int_equal(params.mac_n, mac_n);
            assert_int_equal(params.data_n, 33);
            assert_true(bytes_equal(buf_bytes(&params.iv), BYTES(nonce, nonce_n)));
            assert_true(bytes_equal(buf_bytes(&params.aad), BYTES_OF(aad)));
            mech_params_free(&params);
        }
    const CK_CCM_PARAMS no_nonce = {0, NULL, 12, NULL, 0, 16}, no_aad = {0, nonce, 12, NULL, 1, 16};
    assert_refused(m, NULL, &no_nonce, sizeof(no_nonce));
    assert_refused(m, NULL, &no_aad, sizeof(no_aad));
    for (size_t n = 0; n < sizeof(CK_CCM_PARAMS); n++)
        assert_refused(m, NULL, &no_aad, n);
}

/* The length field has 15 bytes less the nonce. */
static void test_ccm_length_field(void **state)
{
    (void)state;
    uint8_t nonce[13] = {1};
    for (size_t nonce_n = 7; nonce_n <= 13; nonce_n++) {
        size_t l = 15 - nonce_n;
        struct operation o;
        struct mech_key key = {.type = CKK_AES, .value = BYTES(nonce, 0)};
        struct aead a = {false, BYTES(nonce, nonce_n), NO_BYTES, 16, 0};
        a.data_n = l == 8 ? SIZE_MAX : ((size_t)1 << 8 * l) - 1;
        begin(&o, &a, &key);
        assert_ok(o.call.mech->cipher->start(&o.call, &o.stream));
        operation_end(&o);
        if (l == 8)
            continue;
        a.data_n++;
        begin(&o, &a, &key);
        assert_rv(CKR_MECHANISM_PARAM_INVALID, o.call.mech->cipher->start(&o.call, &o.stream));
        operation_end(&o);
    }
}

static void test_messages(void **state)
{
    (void)state;
    const struct mech *gcm = row(CKM_AES_GCM), *ccm = row(CKM_AES_CCM);
    uint8_t iv[12], tag[16];
    const CK_GCM_MESSAGE_PARAMS g = {iv, 12, 32, CKG_GENERATE_COUNTER, tag, 96};
    const CK_CCM_MESSAGE_PARAMS c = {77, iv, 11, 8, CKG_GENERATE, tag, 10};
    struct mech_message m = {0};
    CK_GCM_MESSAGE_PARAMS bad_g[6] = {g, g, g, g, g, g};
    CK_CCM_MESSAGE_PARAMS bad_c[5] = {c, c, c, c, c};
    assert_ok(gcm->message(gcm, (void *)(uintptr_t)&g, sizeof(g), &m));
    assert_ptr_equal(m.iv, iv);
    assert_ptr_equal(m.tag, tag);
    assert_int_equal(m.iv_n, 12);
    assert_int_equal(m.fixed_bits, 32);
    assert_int_equal(m.generator, CKG_GENERATE_COUNTER);
    assert_int_equal(m.tag_n, 12);
    assert_ok(ccm->message(ccm, (void *)(uintptr_t)&c, sizeof(c), &m));
    assert_int_equal(m.iv_n, 11);
    assert_int_equal(m.fixed_bits, 8);
    assert_int_equal(m.generator, CKG_GENERATE);
    assert_int_equal(m.tag_n, 10);
    assert_int_equal(m.data_n, 77);
    bad_g[0].pIv = NULL;
    bad_g[1].ulIvLen = 0;
    bad_g[2].ulIvLen = 1ul << 32;
    bad_g[3].pTag = NULL;
    bad_g[4].ulTagBits = 0;
    bad_g[5].ulTagBits = 100;
    bad_c[0].pNonce = NULL;
    bad_c[1].ulNonceLen = 6;
    bad_c[2].ulNonceLen = 14;
    bad_c[3].pMAC = NULL;
    bad_c[4].ulMACLen = 5;
    for (size_t i = 0; i < COUNT(bad_g); i++)
        assert_rv(CKR_MECHANISM_PARAM_INVALID, gcm->message(gcm, &bad_g[i], sizeof(g), &m));
    for (size_t i = 0; i < COUNT(bad_c); i++)
        assert_rv(CKR_MECHANISM_PARAM_INVALID, ccm->message(ccm, &bad_c[i], sizeof(c), &m));
    const struct mech *both[] = {gcm, ccm};
    for (size_t i = 0; i < 2; i++) {
        assert_ok(both[i]->message(both[i], NULL, 0, &m));
        assert_rv(CKR_MECHANISM_PARAM_INVALID, both[i]->message(both[i], NULL, sizeof(c), &m));
        assert_rv(CKR_MECHANISM_PARAM_INVALID,
                  both[i]->message(both[i], bad_g, sizeof(g) + sizeof(c), &m));
        assert_rv(CKR_MECHANISM_PARAM_INVALID, both[i]->message(both[i], bad_g, 0, &m));
    }
}

/* ---- what it costs ------------------------------------------------------------------------- */

static unsigned commands_for(const struct aead *a, const struct sym_key *key, bool encrypt,
                             struct bytes in)
{
    static uint8_t out[10300];
    struct operation o;
    size_t n;
    begin(&o, a, &key->place[IN_TPM]);
    o.stream.encrypt = encrypt;
    tap_clear();
    assert_ok(o.call.mech->cipher->start(&o.call, &o.stream));
    assert_ok(o.call.mech->cipher->update(&o.call, &o.stream, in, out, &n));
    assert_ok(o.call.mech->cipher->final(&o.call, &o.stream, out, &n));
    unsigned commands = tap_count(TPM2_CC_EncryptDecrypt2);
    operation_end(&o);
    return commands;
}

static void test_commands(void **state)
{
    (void)state;
    static uint8_t data[10240], sealed[10256];
    struct sym_key key;
    uint8_t value[16] = {6}, iv[13] = {7};
    aes_key(&key, BYTES_OF(value));
    struct aead a = {true, BYTES(iv, 12), BYTES(data, 5000), 16, sizeof(data)};
    evp_seal(&a, BYTES_OF(value), BYTES_OF(data), sealed);
    assert_int_equal(commands_for(&a, &key, true, BYTES_OF(data)), 1 + 10); /* AAD costs none */
    assert_int_equal(commands_for(&a, &key, false, BYTES_OF(sealed)), 1 + 10);
    a.iv.n = 13;
    assert_int_equal(commands_for(&a, &key, true, BYTES_OF(data)), 2 + 10);
    a = (struct aead){false, BYTES(iv, 12), NO_BYTES, 16, sizeof(data)};
    evp_seal(&a, BYTES_OF(value), BYTES_OF(data), sealed);
    assert_int_equal(commands_for(&a, &key, true, BYTES_OF(data)), 10 + 11 + 1);
    assert_int_equal(commands_for(&a, &key, false, BYTES_OF(sealed)), 10 + 11 + 1);
    sym_key_free(&key);
}

static void test_all_checked(void **state)
{
    (void)state;
    assert_all_checked(aead_covered, COUNT(aead_covered));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TPM_TEST(test_gcm_vectors),
        TPM_TEST(test_sp800_38c),
        TPM_TEST(test_sp800_38c_long_aad),
        TPM_TEST(test_as_libcrypto),
        TPM_TEST(test_gcm_counter_wraps),
        TPM_TEST(test_changed_bytes),
        TPM_TEST(test_lengths),
        TPM_TEST(test_gcm_has_an_end),
        cmocka_unit_test(test_gcm_parameters),
        cmocka_unit_test(test_ccm_parameters),
        cmocka_unit_test(test_ccm_length_field),
        cmocka_unit_test(test_messages),
        TPM_TEST(test_commands),
        cmocka_unit_test(test_all_checked),
    };
    return cmocka_run_group_tests_name("mech/aead", tests, group_start, group_stop);
}
