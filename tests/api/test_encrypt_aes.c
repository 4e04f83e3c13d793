/* Encryption with AES: PKCS#11 3.0 sections 5.8 to 5.11, mechanisms of 2.11 to 2.14 (3.1: 6.10 to
 * 6.14) and 2.15 (key wrapping), on keys in every place. */
#include "secret_keys.h"
#include "vectors.h"

static bool is_cipher(CK_MECHANISM_TYPE type)
{
    CK_MECHANISM_INFO info;
    assert_ok(p11->C_GetMechanismInfo(fx.slot, type, &info));
    return (info.flags & CKF_ENCRYPT) != 0;
}

static CK_OBJECT_HANDLE vector_key(const struct vector *v, enum place place)
{
    struct blob value = unhex(v->key);
    return import_key(fx.session, place, v->key_type, value.p, value.n);
}

/* Runs f for each vector of a cipher, with its key in each place. */
static void each_vector(void (*f)(const struct vector *v, CK_MECHANISM *m, CK_OBJECT_HANDLE key))
{
    for (size_t i = 0; i < vector_count; i++)
        for (enum place place = 0; place < PLACES; place++) {
            struct vector_mechanism m;
            const struct vector *v = &vectors[i];
            if (!is_cipher(v->type) || !place_holds(place, v->key_type, strlen(v->key) / 2))
                continue;
            CK_OBJECT_HANDLE key = vector_key(v, place);
            vector_mechanism(v, &m);
            f(v, &m.mechanism, key);
            assert_ok(p11->C_DestroyObject(fx.session, key));
        }
}

static void assert_crypt(CK_RV expected, bool encrypt, CK_MECHANISM *m, CK_OBJECT_HANDLE key,
                         const CK_BYTE *in, CK_ULONG n, uint32_t seed, const CK_BYTE *want,
                         CK_ULONG want_n)
{
    static CK_BYTE out[8192];
    CK_ULONG out_n;
    memset(out, 0, sizeof out);
    assert_rv(expected, crypt(fx.session, encrypt, m, key, in, n, seed, out, &out_n));
    if (expected == CKR_OK) {
        assert_int_equal(out_n, want_n);
        assert_memory_equal(out, want, want_n);
    }
    assert_idle(fx.session);
}

/* ---- known answers ------------------------------------------------------------------------- */

static void known_answer(const struct vector *v, CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
    struct blob data = unhex(v->data), result = unhex(v->result);
    for (uint32_t seed = 0; seed < 6; seed++) {
        assert_crypt(CKR_OK, true, m, key, data.p, data.n, seed, result.p, result.n);
        assert_crypt(CKR_OK, false, m, key, result.p, result.n, seed, data.p, data.n);
    }
}

static void known_answers(void **state)
{
    (void)state;
    each_vector(known_answer);
}

/* PKCS#11 3.0 section 5.2: the output may be where the input is. */
static void known_answer_in_place(const struct vector *v, CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
    struct blob data = unhex(v->data), result = unhex(v->result), both = data;
    both.n = sizeof both.p;
    assert_ok(p11->C_EncryptInit(fx.session, m, key));
    assert_ok(p11->C_Encrypt(fx.session, both.p, data.n, both.p, &both.n));
    assert_blob(both, result.p, result.n);
    both.n = sizeof both.p;
    assert_ok(p11->C_DecryptInit(fx.session, m, key));
    assert_ok(p11->C_Decrypt(fx.session, both.p, result.n, both.p, &both.n));
    assert_blob(both, data.p, data.n);
}

static void in_place(void **state)
{
    (void)state;
    each_vector(known_answer_in_place);
}

/* ---- libcrypto ----------------------------------------------------------------------------- */

static const struct mode {
    CK_MECHANISM_TYPE type;
    enum vector_form form;
    CK_ULONG n; /* of the form */
    const char *evp;
    CK_ULONG unit, iv_n;
    bool padding;
} modes[] = {
    {CKM_AES_ECB, FORM_NONE, 0, "ECB", 16, 0, false},
    {CKM_AES_CBC, FORM_IV, 0, "CBC", 16, 16, false},
    {CKM_AES_CBC_PAD, FORM_IV, 0, "CBC", 1, 16, true},
    {CKM_AES_CTR, FORM_COUNTER, 128, "CTR", 1, 16, false},
    {CKM_AES_OFB, FORM_IV, 0, "OFB", 1, 16, false},
    {CKM_AES_CFB128, FORM_IV, 0, "CFB", 1, 16, false},
    {CKM_AES_CFB8, FORM_IV, 0, "CFB8", 1, 16, false},
    {CKM_AES_GCM, FORM_GCM, 16, "GCM", 1, 12, false},
    {CKM_AES_GCM, FORM_GCM, 13, "GCM", 1, 60, false},
    {CKM_AES_CCM, FORM_CCM, 10, "CCM", 1, 11, false},
    {CKM_AES_KEY_WRAP, FORM_NONE, 0, "WRAP", 8, 0, false},
    {CKM_AES_KEY_WRAP_KWP, FORM_NONE, 0, "WRAP-PAD", 1, 0, false},
};

static CK_BYTE plain[5000], sealed[5064];

static CK_ULONG opinion(const struct mode *m, const CK_BYTE *key, CK_ULONG key_n, struct blob iv,
                        struct blob aad, CK_ULONG n)
{
    if (m->form != FORM_GCM && m->form != FORM_CCM)
        return evp_encrypt(m->evp, m->padding, key, key_n, m->iv_n == 0 ? NULL : iv.p, plain, n,
                           sealed);
    evp_seal(m->evp, key, key_n, iv.p, iv.n, aad.p, aad.n, m->n, plain, n, sealed);
    return n + m->n;
}

static void both_ways(const struct mode *mode, const CK_BYTE *value, CK_ULONG value_n,
                      CK_OBJECT_HANDLE key, CK_ULONG n, uint32_t seed)
{
    struct vector_mechanism m;
    struct blob iv = {.n = mode->iv_n}, aad = {.n = n % 50};
    fill(iv.p, iv.n, seed + 1);
    fill(aad.p, aad.n, seed + 2);
    fill(plain, n, seed + 3);
    CK_ULONG sealed_n = opinion(mode, value, value_n, iv, aad, n);
    make_mechanism(&m, mode->type, mode->form, mode->n, iv, aad, n);
    assert_crypt(CKR_OK, true, &m.mechanism, key, plain, n, seed, sealed, sealed_n);
    assert_crypt(CKR_OK, false, &m.mechanism, key, sealed, sealed_n, seed, plain, n);
}

/* A command of the TPM for each byte, or six for each eight. */
static bool too_slow(const struct mode *m, enum place place, CK_ULONG n)
{
    bool in_tpm = place == IN_TPM || place == IN_SESSION_TPM;
    return in_tpm && n > 100 && (m->type == CKM_AES_CFB8 || m->iv_n + m->n == 0) &&
           m->type != CKM_AES_ECB;
}

static void any_size(const CK_BYTE *value, CK_ULONG value_n, CK_OBJECT_HANDLE key, enum place place)
{
    static const CK_ULONG sizes[] = {0, 1, 8, 15, 16, 17, 48, 1023, 1024, 1025, 5000};
    for (size_t i = 0; i < COUNT(modes); i++)
        for (size_t j = 0; j < COUNT(sizes); j++) {
            bool wraps = modes[i].n + modes[i].iv_n == 0 && modes[i].type != CKM_AES_ECB;
            CK_ULONG n = sizes[j] / modes[i].unit * modes[i].unit;
            if (too_slow(&modes[i], place, n) || (wraps && n < 2 * modes[i].unit))
                continue;
            both_ways(&modes[i], value, value_n, key, n, 0);
            both_ways(&modes[i], value, value_n, key, n, (uint32_t)(j + 1));
        }
}

static void as_libcrypto(void **state)
{
    (void)state;
    CK_BYTE value[32];
    for (CK_ULONG n = 16; n <= 32; n += 8)
        for (enum place place = 0; place < PLACES; place++) {
            if (!place_holds(place, CKK_AES, n))
                continue;
            fill(value, n, (uint32_t)n);
            any_size(value, n, import_key(fx.session, place, CKK_AES, value, n), place);
        }
}

static CK_OBJECT_HANDLE generated(CK_ULONG n, bool token, bool readable)
{
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    CK_ATTRIBUTE template[] = {
        ATTR_ULONG(CKA_VALUE_LEN, n),         ATTR_BOOL(CKA_TOKEN, token),
        ATTR_BOOL(CKA_EXTRACTABLE, readable), ATTR_BOOL(CKA_SENSITIVE, !readable),
        ATTR_BOOL(CKA_ENCRYPT, true),         ATTR_BOOL(CKA_DECRYPT, true),
    };
    assert_ok(p11->C_GenerateKey(fx.session, MECHANISM(CKM_AES_KEY_GEN), template, COUNT(template),
                                 &key));
    return key;
}

/* A generated key's value can be read where it is extractable: libcrypto says what is right. */
static void generated_keys(void **state)
{
    (void)state;
    for (CK_ULONG n = 16; n <= 32; n += 8)
        for (int token = 0; token < 2; token++) {
            CK_OBJECT_HANDLE key = generated(n, token, true);
            struct blob value = get_attribute(fx.session, key, CKA_VALUE);
            assert_int_equal(value.n, n);
            any_size(value.p, n, key, token ? SEALED : IN_SESSION);
        }
}

/* The modes are made of blocks, and ECB is what the TPM says a block becomes. */
static void block_by_block(CK_OBJECT_HANDLE key, CK_ULONG n)
{
    static CK_BYTE ctr[2048], blocks[2048], other[2048];
    CK_AES_CTR_PARAMS counter = {.ulCounterBits = 128};
    CK_ULONG out_n;
    fill(plain, n, 9);
    for (CK_ULONG i = 0; i < n; i += 16) {
        memset(blocks + i, 0, 16);
        blocks[i + 14] = (CK_BYTE)(i / 16 >> 8);
        blocks[i + 15] = (CK_BYTE)(i / 16);
    }
    assert_ok(crypt(fx.session, true, MECHANISM(CKM_AES_ECB), key, blocks, n, 0, other, &out_n));
    assert_ok(crypt(fx.session, true, MECHANISM_WITH(CKM_AES_CTR, counter), key, plain, n, 0, ctr,
                    &out_n));
    for (CK_ULONG i = 0; i < n; i++)
        assert_int_equal(ctr[i], plain[i] ^ other[i]);
    assert_ok(crypt(fx.session, false, MECHANISM(CKM_AES_ECB), key, other, n, 3, ctr, &out_n));
    assert_memory_equal(ctr, blocks, n);
}

static void generated_in_the_tpm(void **state)
{
    (void)state;
    static CK_BYTE back[8192];
    for (CK_ULONG n = 16; n <= 32; n += 16)
        for (int token = 0; token < 2; token++) {
            CK_OBJECT_HANDLE key = generated(n, token, false);
            block_by_block(key, 1040);
            for (size_t i = 0; i < COUNT(modes); i++) {
                struct vector_mechanism m;
                CK_ULONG size = modes[i].iv_n + modes[i].n == 0 ? 48 : 2000, sealed_n, back_n;
                make_mechanism(&m, modes[i].type, modes[i].form, modes[i].n,
                               (struct blob){.n = modes[i].iv_n}, (struct blob){.n = 9}, size);
                assert_ok(
                    crypt(fx.session, true, &m.mechanism, key, plain, size, 4, sealed, &sealed_n));
                assert_ok(crypt(fx.session, false, &m.mechanism, key, sealed, sealed_n, 0, back,
                                &back_n));
                assert_int_equal(back_n, size);
                assert_memory_equal(back, plain, size);
            }
        }
}

typedef CK_RV crypt_function(CK_SESSION_HANDLE, CK_BYTE *, CK_ULONG, CK_BYTE *, CK_ULONG *);

static void assert_none_waits(bool encrypt, CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
    static const CK_ULONG sizes[] = {1, 7, 13, 16, 17, 40, 3};
    CK_BYTE out[64];
    CK_ULONG n = sizeof out;
    crypt_function *update = encrypt ? p11->C_EncryptUpdate : p11->C_DecryptUpdate;
    assert_ok((encrypt ? p11->C_EncryptInit : p11->C_DecryptInit)(fx.session, m, key));
    for (size_t i = 0; i < COUNT(sizes); i++) {
        assert_ok(update(fx.session, plain, sizes[i], NULL, &n));
        assert_int_equal(n, sizes[i]);
        assert_ok(update(fx.session, plain, sizes[i], out, &n));
        assert_int_equal(n, sizes[i]);
    }
    n = sizeof out;
    assert_ok((encrypt ? p11->C_EncryptFinal : p11->C_DecryptFinal)(fx.session, out, &n));
    assert_int_equal(n, m->mechanism == CKM_AES_GCM ? 16 : 0);
}

/* 3.0, 5.8.3 leaves open when the output comes. Of a mode whose data are of any length other
 * modules give it with the input, and programs take such a mode for a stream. */
static void every_byte_at_once(void **state)
{
    (void)state;
    CK_BYTE value[16] = {7};
    for (enum place place = 0; place < PLACES; place++) {
        CK_OBJECT_HANDLE key = import_key(fx.session, place, CKK_AES, value, sizeof value);
        for (size_t i = 0; i < COUNT(modes); i++) {
            struct vector_mechanism m;
            if (modes[i].unit != 1 || modes[i].padding || modes[i].iv_n < 12 || modes[i].iv_n > 16)
                continue;
            make_mechanism(&m, modes[i].type, modes[i].form, modes[i].n,
                           (struct blob){.n = modes[i].iv_n}, (struct blob){.n = 9}, 97);
            assert_none_waits(true, &m.mechanism, key);
            if (modes[i].form != FORM_GCM) /* 5.10: nothing before the tag was right */
                assert_none_waits(false, &m.mechanism, key);
        }
    }
}

/* More than the TPM is held for at once. */
static void much_data(void **state)
{
    (void)state;
    enum { MUCH = 200016 };
    static CK_BYTE in[MUCH], want[MUCH + 64], out[MUCH + 64];
    CK_BYTE iv[16] = {1}, value[32] = {2};
    CK_ULONG n;
    CK_GCM_PARAMS gcm = {iv, 12, 96, NULL, 0, 128};
    CK_OBJECT_HANDLE key = import_key(fx.session, IN_TPM, CKK_AES, value, sizeof value);
    fill(in, sizeof in, 3);
    evp_encrypt("CBC", false, value, sizeof value, iv, in, MUCH, want);
    assert_ok(crypt(fx.session, true, MECHANISM_WITH(CKM_AES_CBC, iv), key, in, MUCH, 0, out, &n));
    assert_int_equal(n, MUCH);
    assert_memory_equal(out, want, n);
    evp_seal("GCM", value, sizeof value, iv, 12, NULL, 0, 16, in, MUCH, want);
    assert_ok(crypt(fx.session, true, MECHANISM_WITH(CKM_AES_GCM, gcm), key, in, MUCH, 0, out, &n));
    assert_int_equal(n, MUCH + 16);
    assert_memory_equal(out, want, n);
    assert_ok(crypt(fx.session, false, MECHANISM_WITH(CKM_AES_GCM, gcm), key, want, n, 0, out, &n));
    assert_int_equal(n, MUCH);
    assert_memory_equal(out, in, n);
}

/* No data at all may come by NULL (PKCS#11 3.0 section 5.8.2 speaks of a location of 0 bytes). */
static void no_data(void **state)
{
    (void)state;
    CK_BYTE out[64], value[16] = {4};
    for (enum place place = 0; place < PLACES; place++) {
        CK_OBJECT_HANDLE key = import_key(fx.session, place, CKK_AES, value, sizeof value);
        for (size_t i = 0; i < COUNT(modes); i++) {
            struct vector_mechanism m;
            struct blob iv = {.n = modes[i].iv_n}, aad = {.n = 0};
            bool wraps = modes[i].n + modes[i].iv_n == 0 && modes[i].type != CKM_AES_ECB;
            CK_ULONG n = sizeof out, rest = sizeof out, want_n;
            make_mechanism(&m, modes[i].type, modes[i].form, modes[i].n, iv, aad, 0);
            assert_ok(p11->C_EncryptInit(fx.session, &m.mechanism, key));
            assert_rv(wraps ? CKR_DATA_LEN_RANGE : CKR_OK,
                      p11->C_Encrypt(fx.session, NULL, 0, out, &n));
            if (wraps)
                continue;
            want_n = opinion(&modes[i], value, sizeof value, iv, aad, 0);
            assert_int_equal(n, want_n);
            assert_memory_equal(out, sealed, n);
            n = sizeof out;
            assert_ok(p11->C_EncryptInit(fx.session, &m.mechanism, key));
            assert_ok(p11->C_EncryptUpdate(fx.session, NULL, 0, out, &n));
            assert_int_equal(n, 0);
            assert_ok(p11->C_EncryptFinal(fx.session, out, &rest));
            assert_int_equal(rest, want_n);
            assert_memory_equal(out, sealed, rest);
        }
    }
}

/* ---- lengths ------------------------------------------------------------------------------- */

static void one_part_protocol(bool encrypt, CK_MECHANISM *m, CK_OBJECT_HANDLE key, struct blob in,
                              struct blob out)
{
    CK_BYTE room[512];
    CK_ULONG n = 0, told;
    crypt_function *whole = encrypt ? p11->C_Encrypt : p11->C_Decrypt;
    assert_ok((encrypt ? p11->C_EncryptInit : p11->C_DecryptInit)(fx.session, m, key));
    assert_ok(whole(fx.session, in.p, in.n, NULL, &told));
    assert_in_range(told, out.n, out.n + 16); /* a decryption may answer its upper bound */
    for (int i = 0; i < 2 && out.n > 0; i++) {
        n = out.n - 1;
        memset(room, 0xEE, sizeof room);
        assert_rv(CKR_BUFFER_TOO_SMALL, whole(fx.session, in.p, in.n, room, &n));
        assert_in_range(n, out.n, told);
        assert_int_equal(room[0], 0xEE);
    }
    n = told;
    assert_ok(whole(fx.session, in.p, in.n, room, &n));
    assert_int_equal(n, out.n);
    assert_memory_equal(room, out.p, out.n);
    assert_idle(fx.session);
}

typedef CK_RV final_function(CK_SESSION_HANDLE, CK_BYTE *, CK_ULONG *);

static void final_protocol(bool encrypt, CK_MECHANISM *m, CK_OBJECT_HANDLE key, struct blob in,
                           struct blob out)
{
    CK_BYTE room[512];
    CK_ULONG first = sizeof room, told = 0, n;
    final_function *final = encrypt ? p11->C_EncryptFinal : p11->C_DecryptFinal;
    assert_ok((encrypt ? p11->C_EncryptInit : p11->C_DecryptInit)(fx.session, m, key));
    assert_ok((encrypt ? p11->C_EncryptUpdate : p11->C_DecryptUpdate)(fx.session, in.p, in.n, room,
                                                                      &first));
    assert_ok(final(fx.session, NULL, &told));
    CK_ULONG rest = out.n - first;
    assert_in_range(told, rest, rest + 16);
    if (rest > 0) {
        n = rest - 1;
        memset(room + first, 0xEE, sizeof room - first);
        assert_rv(CKR_BUFFER_TOO_SMALL, final(fx.session, room + first, &n));
        assert_in_range(n, rest, told);
        assert_int_equal(room[first], 0xEE);
    }
    n = told;
    assert_ok(final(fx.session, room + first, &n));
    assert_int_equal(first + n, out.n);
    assert_memory_equal(room, out.p, out.n);
    assert_idle(fx.session);
}

static void protocol(const struct vector *v, CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
    struct blob data = unhex(v->data), result = unhex(v->result);
    one_part_protocol(true, m, key, data, result);
    one_part_protocol(false, m, key, result, data);
    final_protocol(true, m, key, data, result);
    final_protocol(false, m, key, result, data);
}

static void length_protocol(void **state)
{
    (void)state;
    each_vector(protocol);
}

static CK_BYTE zeros[64];

static void assert_length(CK_RV expected, bool encrypt, CK_MECHANISM *m, CK_OBJECT_HANDLE key,
                          CK_ULONG n)
{
    assert_crypt(expected, encrypt, m, key, zeros, n, 0, NULL, 0);
    assert_crypt(expected, encrypt, m, key, zeros, n, 1, NULL, 0);
}

static void wrong_lengths_of(CK_OBJECT_HANDLE key)
{
    const CK_RV in = CKR_DATA_LEN_RANGE, out = CKR_ENCRYPTED_DATA_LEN_RANGE;
    static const struct {
        size_t mode;
        bool encrypt;
        CK_ULONG n;
    } rows[] = {
        {0, true, 1},    {0, true, 17},   {0, false, 15}, {1, true, 15},  {1, true, 33},
        {1, false, 17},  {2, false, 0},   {2, false, 15}, {2, false, 17}, {7, false, 0},
        {7, false, 15},  {8, false, 12},  {9, true, 19},  {9, true, 21},  {9, false, 9},
        {9, false, 29},  {9, false, 31},  {10, true, 0},  {10, true, 8},  {10, true, 20},
        {10, false, 16}, {10, false, 25}, {11, true, 0},  {11, false, 0}, {11, false, 8},
        {11, false, 20},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct vector_mechanism m;
        const struct mode *mode = &modes[rows[i].mode];
        make_mechanism(&m, mode->type, mode->form, mode->n, (struct blob){.n = mode->iv_n},
                       (struct blob){.n = 3}, 20);
        assert_length(rows[i].encrypt ? in : out, rows[i].encrypt, &m.mechanism, key, rows[i].n);
    }
}

static void wrong_lengths(void **state)
{
    (void)state;
    for (enum place place = 0; place < PLACES; place++)
        wrong_lengths_of(import_key(fx.session, place, CKK_AES, "0123456789abcdef", 16));
}

/* PKCS#11 3.1 section 6.11.3: "the counter must not overflow". */
static void counter_overflows(void **state)
{
    (void)state;
    CK_AES_CTR_PARAMS counter = {.ulCounterBits = 8};
    CK_BYTE out[64];
    CK_ULONG n;
    memset(counter.cb, 0xFE, sizeof counter.cb);
    for (enum place place = 0; place < PLACES; place++) {
        CK_MECHANISM *m = MECHANISM_WITH(CKM_AES_CTR, counter);
        CK_OBJECT_HANDLE key = import_key(fx.session, place, CKK_AES, "0123456789abcdef", 16);
        assert_ok(crypt(fx.session, true, m, key, zeros, 32, 0, out, &n));
        assert_length(CKR_DATA_LEN_RANGE, true, m, key, 33);
    }
}

/* ---- parameters ---------------------------------------------------------------------------- */

static CK_OBJECT_HANDLE parameter_key;

static void refused(CK_MECHANISM_TYPE type, const void *parameter, CK_ULONG n)
{
    CK_MECHANISM m = {type, (CK_VOID_PTR)(uintptr_t)parameter, n};
    assert_rv(CKR_MECHANISM_PARAM_INVALID, p11->C_EncryptInit(fx.session, &m, parameter_key));
    assert_rv(CKR_MECHANISM_PARAM_INVALID, p11->C_DecryptInit(fx.session, &m, parameter_key));
    assert_idle(fx.session);
}

static void wrong_ivs(void)
{
    static const CK_MECHANISM_TYPE types[] = {CKM_AES_CBC, CKM_AES_CBC_PAD, CKM_AES_OFB,
                                              CKM_AES_CFB128, CKM_AES_CFB8};
    refused(CKM_AES_ECB, zeros, 16);
    for (size_t i = 0; i < COUNT(types); i++) {
        static const CK_ULONG sizes[] = {0, 1, 15, 17, 32};
        refused(types[i], NULL, 0);
        refused(types[i], NULL, 16);
        for (size_t j = 0; j < COUNT(sizes); j++)
            refused(types[i], zeros, sizes[j]);
    }
}

static void wrong_counters(void)
{
    CK_AES_CTR_PARAMS counter = {.ulCounterBits = 128};
    refused(CKM_AES_CTR, NULL, 0);
    refused(CKM_AES_CTR, NULL, sizeof counter);
    refused(CKM_AES_CTR, zeros, 16);
    refused(CKM_AES_CTR, &counter, sizeof counter - 1);
    for (size_t i = 0; i < 3; i++) {
        static const CK_ULONG bits[] = {0, 129, CK_UNAVAILABLE_INFORMATION};
        counter.ulCounterBits = bits[i];
        refused(CKM_AES_CTR, &counter, sizeof counter);
    }
}

static void wrong_gcm(CK_GCM_PARAMS p)
{
    refused(CKM_AES_GCM, &p, sizeof p);
}

static void wrong_gcm_parameters(void)
{
    static const CK_ULONG bits[] = {0, 8, 31, 33, 88, 95, 100, 129, 136, 256};
    const CK_GCM_PARAMS right = {.pIv = zeros, .ulIvLen = 12, .ulTagBits = 128};
    CK_GCM_PARAMS p = right;
    refused(CKM_AES_GCM, NULL, 0);
    refused(CKM_AES_GCM, NULL, sizeof right);
    refused(CKM_AES_GCM, &right, sizeof right - 1);
    refused(CKM_AES_GCM, &right, sizeof right - sizeof(CK_ULONG) - 1);
    refused(CKM_AES_GCM, zeros, 12);
    for (size_t i = 0; i < COUNT(bits); i++) {
        p.ulTagBits = bits[i];
        wrong_gcm(p);
    }
    p = right;
    p.ulIvLen = 0;
    wrong_gcm(p);
    p = right;
    p.pIv = NULL;
    wrong_gcm(p);
    p = right;
    p.ulAADLen = 5;
    wrong_gcm(p);
}

static void wrong_ccm(CK_CCM_PARAMS p)
{
    refused(CKM_AES_CCM, &p, sizeof p);
}

static void wrong_ccm_parameters(void)
{
    static const CK_ULONG nonces[] = {0, 1, 6, 14, 16}, macs[] = {0, 1, 2, 3, 5, 15, 17, 18, 32};
    const CK_CCM_PARAMS right = {.ulDataLen = 20, .pNonce = zeros, .ulNonceLen = 13, .ulMACLen = 8};
    CK_CCM_PARAMS p = right;
    refused(CKM_AES_CCM, NULL, 0);
    refused(CKM_AES_CCM, NULL, sizeof right);
    refused(CKM_AES_CCM, &right, sizeof right - 1);
    for (size_t i = 0; i < COUNT(nonces); i++) {
        p.ulNonceLen = nonces[i];
        wrong_ccm(p);
    }
    p = right;
    for (size_t i = 0; i < COUNT(macs); i++) {
        p.ulMACLen = macs[i];
        wrong_ccm(p);
    }
    p = right;
    p.pNonce = NULL;
    wrong_ccm(p);
    p = right;
    p.ulAADLen = 5;
    wrong_ccm(p);
    p = right;
    p.ulDataLen = 65536; /* a nonce of 13 bytes leaves two for the length */
    wrong_ccm(p);
}

static void wrong_wrapping(void)
{
    static const CK_MECHANISM_TYPE types[] = {CKM_AES_KEY_WRAP, CKM_AES_KEY_WRAP_PKCS7,
                                              CKM_AES_KEY_WRAP_KWP, CKM_AES_KEY_WRAP_PAD};
    for (size_t i = 0; i < COUNT(types); i++) {
        CK_ULONG right = i < 2 ? 8 : 4;
        refused(types[i], zeros, right - 1);
        refused(types[i], zeros, right + 1);
        refused(types[i], zeros, 16);
        refused(types[i], NULL, right);
    }
}

static void wrong_parameters(void **state)
{
    (void)state;
    for (enum place place = 0; place < PLACES; place++) {
        parameter_key = import_key(fx.session, place, CKK_AES, "0123456789abcdef", 16);
        wrong_ivs();
        wrong_counters();
        wrong_gcm_parameters();
        wrong_ccm_parameters();
        wrong_wrapping();
    }
}

/* PKCS#11 2.40's text has no ulIvBits in CK_GCM_PARAMS, its header has. */
static void gcm_of_both_layouts(void **state)
{
    (void)state;
    struct {
        CK_BYTE_PTR iv;
        CK_ULONG iv_n;
        CK_BYTE_PTR aad;
        CK_ULONG aad_n, tag_bits;
    } old = {zeros, 12, zeros, 7, 120};
    CK_GCM_PARAMS new = {zeros, 12, 96, zeros, 7, 120}, odd = {zeros, 12, 17, zeros, 7, 120};
    CK_BYTE want[35], value[16] = {1};
    assert_int_equal(sizeof old, 40);
    assert_int_equal(sizeof new, 48);
    evp_seal("GCM", value, 16, zeros, 12, zeros, 7, 15, zeros, 20, want);
    CK_OBJECT_HANDLE key = import_key(fx.session, IN_TPM, CKK_AES, value, sizeof value);
    CK_MECHANISM *all[] = {MECHANISM_WITH(CKM_AES_GCM, old), MECHANISM_WITH(CKM_AES_GCM, new),
                           MECHANISM_WITH(CKM_AES_GCM, odd)};
    for (size_t i = 0; i < COUNT(all); i++) {
        assert_crypt(CKR_OK, true, all[i], key, zeros, 20, 0, want, sizeof want);
        assert_crypt(CKR_OK, false, all[i], key, want, sizeof want, 1, zeros, 20);
    }
}

/* The caller's memory is its own again after Init. */
static void parameters_are_copied(void **state)
{
    (void)state;
    CK_BYTE iv[12] = {0}, aad[3] = {0}, value[16] = {1}, want[21], out[21];
    CK_ULONG n = sizeof out;
    CK_GCM_PARAMS p = {iv, sizeof iv, 0, aad, sizeof aad, 128};
    CK_OBJECT_HANDLE key = import_key(fx.session, IN_TPM, CKK_AES, value, sizeof value);
    evp_seal("GCM", value, 16, iv, 12, aad, 3, 16, zeros, 5, want);
    assert_ok(p11->C_EncryptInit(fx.session, MECHANISM_WITH(CKM_AES_GCM, p), key));
    memset(iv, 1, sizeof iv);
    memset(aad, 1, sizeof aad);
    memset(&p, 0, sizeof p);
    assert_ok(p11->C_Encrypt(fx.session, zeros, 5, out, &n));
    assert_int_equal(n, sizeof want);
    assert_memory_equal(out, want, n);
}

/* GCM encrypts as a stream: what C_EncryptFinal has left to give is the tag. */
static void gcm_updates_come_out_at_once(void **state)
{
    (void)state;
    static const CK_ULONG parts[] = {1, 15, 16, 17, 5, 0, 1030, 1024, 100, 3};
    static CK_BYTE in[2211], want[sizeof in + 16], out[sizeof want];
    CK_BYTE iv[12] = {1}, value[16] = {2};
    CK_GCM_PARAMS gcm = {iv, 12, 96, NULL, 0, 128};
    fill(in, sizeof in, 3);
    evp_seal("GCM", value, 16, iv, 12, NULL, 0, 16, in, sizeof in, want);
    for (enum place where = IN_SESSION; where < PLACES; where++) {
        CK_OBJECT_HANDLE key = import_key(fx.session, where, CKK_AES, value, sizeof value);
        CK_ULONG at = 0, n;
        assert_ok(p11->C_EncryptInit(fx.session, MECHANISM_WITH(CKM_AES_GCM, gcm), key));
        for (size_t i = 0; i < COUNT(parts); at += parts[i++]) {
            n = parts[i];
            assert_ok(p11->C_EncryptUpdate(fx.session, in + at, parts[i], out + at, &n));
            assert_int_equal(n, parts[i]);
        }
        assert_int_equal(at, sizeof in);
        n = 16;
        assert_ok(p11->C_EncryptFinal(fx.session, out + at, &n));
        assert_int_equal(n, 16);
        assert_memory_equal(out, want, sizeof want);
    }
}

/* ---- what is not genuine ------------------------------------------------------------------- */

static void not_genuine(CK_MECHANISM *m, CK_OBJECT_HANDLE key, struct blob in)
{
    CK_BYTE out[512];
    CK_ULONG n = sizeof out;
    memset(out, 0xEE, sizeof out);
    assert_ok(p11->C_DecryptInit(fx.session, m, key));
    assert_rv(CKR_ENCRYPTED_DATA_INVALID, p11->C_Decrypt(fx.session, in.p, in.n, out, &n));
    for (size_t i = 0; i < sizeof out; i++)
        assert_int_equal(out[i], 0xEE);
    assert_crypt(CKR_ENCRYPTED_DATA_INVALID, false, m, key, in.p, in.n, 3, NULL, 0);
}

static void tamper(const struct vector *v, CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
    struct blob result = unhex(v->result);
    bool padded = v->type == CKM_AES_CBC_PAD;
    bool guarded = padded || v->form == FORM_GCM || v->form == FORM_CCM ||
                   (v->form == FORM_IV && v->iv == NULL);
    if (!guarded || (padded && result.n < 32))
        return;
    /* of what is only padded, the byte that the last one of the padding hangs from */
    CK_ULONG step = padded ? result.n : result.n / 3, at = padded ? result.n - 17 : 0;
    for (; at < result.n; at += step) {
        result.p[at] ^= 1;
        not_genuine(m, key, result);
        result.p[at] ^= 1;
    }
    if (padded)
        return;
    result.p[result.n - 1] ^= 0x80;
    not_genuine(m, key, result);
}

static void tampered(void **state)
{
    (void)state;
    each_vector(tamper);
}

static void padded(CK_RV expected, CK_MECHANISM *m, CK_OBJECT_HANDLE key, const char *mode,
                   const char *hex, CK_ULONG want_n)
{
    static const CK_BYTE value[16] = {5};
    CK_BYTE out[64], wrapped[64], iv[16] = {0};
    struct blob in = unhex(hex);
    CK_ULONG n = evp_encrypt(mode, false, value, sizeof value, strcmp(mode, "CBC") == 0 ? iv : NULL,
                             in.p, in.n, wrapped),
             out_n;
    assert_rv(expected, crypt(fx.session, false, m, key, wrapped, n, 0, out, &out_n));
    if (expected == CKR_OK)
        assert_int_equal(out_n, want_n);
    assert_idle(fx.session);
}

/* What was encrypted is not padded as the mechanism says: PKCS #7 of blocks and of semiblocks, and
 * RFC 5649, 3, whose shortest form is one block of ECB. */
static void wrong_paddings(void **state)
{
    (void)state;
    static const CK_BYTE value[16] = {5};
    const CK_RV wrong = CKR_ENCRYPTED_DATA_INVALID;
    CK_BYTE iv[16] = {0};
    CK_MECHANISM *cbc = MECHANISM_WITH(CKM_AES_CBC_PAD, iv);
    CK_MECHANISM *pkcs7 = MECHANISM(CKM_AES_KEY_WRAP_PKCS7), *kwp = MECHANISM(CKM_AES_KEY_WRAP_KWP);
    for (enum place place = 0; place < PLACES; place++) {
        CK_OBJECT_HANDLE key = import_key(fx.session, place, CKK_AES, value, sizeof value);
        padded(CKR_OK, cbc, key, "CBC", "000102030405060708090a0b0c030303", 13);
        padded(CKR_OK, cbc, key, "CBC", "10101010101010101010101010101010", 0);
        padded(wrong, cbc, key, "CBC", "000102030405060708090a0b0c030203", 0);
        padded(wrong, cbc, key, "CBC", "000102030405060708090a0b0c020303", 0);
        padded(wrong, cbc, key, "CBC", "00000000000000000000000000000000", 0);
        padded(wrong, cbc, key, "CBC", "11111111111111111111111111111111", 0);
        padded(CKR_OK, pkcs7, key, "WRAP", "00010203040506070809020202020202", 14);
        padded(wrong, pkcs7, key, "WRAP", "00010203040506070809020202020302", 0);
        padded(wrong, pkcs7, key, "WRAP", "00010203040506070809020202020200", 0);
        padded(wrong, pkcs7, key, "WRAP", "00010203040506070909090909090909", 0);
        padded(CKR_OK, kwp, key, "ECB", "a65959a6000000036162630000000000", 3);
        padded(CKR_OK, kwp, key, "ECB", "a65959a6000000086162636465666768", 8);
        padded(wrong, kwp, key, "ECB", "a65959a6000000036162630000000001", 0);
        padded(wrong, kwp, key, "ECB", "a65959a6000000036162630100000000", 0);
        padded(wrong, kwp, key, "ECB", "a65959a6000000000000000000000000", 0);
        padded(wrong, kwp, key, "ECB", "a65959a6000000096162636465666768", 0);
        padded(wrong, kwp, key, "ECB", "a65959a6ffffffff6162636465666768", 0);
        padded(wrong, kwp, key, "ECB", "a65959a7000000036162630000000000", 0);
    }
}

/* ---- keys ---------------------------------------------------------------------------------- */

static CK_OBJECT_HANDLE key_with(const CK_ATTRIBUTE *more, CK_ULONG n)
{
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    assert_ok(create_key(fx.session, CKK_AES, "0123456789abcdef", 16, more, n, &key));
    return key;
}

/* PKCS#11 3.0 section 5.8.1: CKA_ENCRYPT, and its like. */
static void usage(void **state)
{
    (void)state;
    CK_MECHANISM *m = MECHANISM_WITH(CKM_AES_CBC, *(CK_BYTE(*)[16])zeros);
    const CK_ATTRIBUTE encrypts[] = {ATTR_BOOL(CKA_ENCRYPT, true), ATTR_BOOL(CKA_DECRYPT, false)};
    const CK_ATTRIBUTE decrypts[] = {ATTR_BOOL(CKA_ENCRYPT, false), ATTR_BOOL(CKA_DECRYPT, true)};
    CK_OBJECT_HANDLE key = key_with(encrypts, 2);
    assert_rv(CKR_KEY_FUNCTION_NOT_PERMITTED, p11->C_DecryptInit(fx.session, m, key));
    assert_ok(p11->C_EncryptInit(fx.session, m, key));
    key = key_with(decrypts, 2);
    assert_ok(p11->C_EncryptInit(fx.session, NULL, 0));
    assert_rv(CKR_KEY_FUNCTION_NOT_PERMITTED, p11->C_EncryptInit(fx.session, m, key));
    assert_ok(p11->C_DecryptInit(fx.session, m, key));
    assert_ok(p11->C_DecryptInit(fx.session, NULL, 0));
    assert_idle(fx.session);
}

static void other_keys(void **state)
{
    (void)state;
    CK_MECHANISM *m = MECHANISM(CKM_AES_ECB);
    CK_OBJECT_HANDLE aes = import_key(fx.session, IN_SESSION, CKK_AES, "0123456789abcdef", 16);
    CK_OBJECT_HANDLE generic = CK_INVALID_HANDLE;
    const CK_ATTRIBUTE more[] = {ATTR_BOOL(CKA_ENCRYPT, true)};
    assert_ok(
        create_key(fx.session, CKK_GENERIC_SECRET, "0123456789abcdef", 16, more, 1, &generic));
    struct key_pair rsa = generate_rsa(fx.session, 2048, "rsa", false);
    assert_rv(CKR_KEY_TYPE_INCONSISTENT, p11->C_EncryptInit(fx.session, m, generic));
    assert_rv(CKR_KEY_TYPE_INCONSISTENT, p11->C_EncryptInit(fx.session, m, rsa.public));
    assert_rv(CKR_KEY_TYPE_INCONSISTENT, p11->C_DecryptInit(fx.session, m, rsa.private));
    assert_rv(CKR_KEY_TYPE_INCONSISTENT,
              p11->C_EncryptInit(fx.session, MECHANISM(CKM_RSA_PKCS), aes));
    assert_rv(CKR_KEY_HANDLE_INVALID, p11->C_EncryptInit(fx.session, m, CK_INVALID_HANDLE));
    assert_rv(CKR_KEY_HANDLE_INVALID, p11->C_EncryptInit(fx.session, m, 0x7FFFFFFF));
    assert_rv(CKR_MECHANISM_INVALID,
              p11->C_EncryptInit(fx.session, MECHANISM(CKM_SHA256_HMAC), aes));
    assert_rv(CKR_MECHANISM_INVALID,
              p11->C_EncryptInit(fx.session, MECHANISM(CKM_AES_KEY_GEN), aes));
    assert_rv(CKR_MECHANISM_INVALID, p11->C_EncryptInit(fx.session, MECHANISM(0x7FFFFFFF), aes));
    assert_idle(fx.session);
}

/* PKCS#11 3.0 section 4.8, CKA_ALLOWED_MECHANISMS. */
static void allowed_mechanisms(void **state)
{
    (void)state;
    CK_MECHANISM_TYPE list[] = {CKM_AES_CBC, CKM_AES_CMAC};
    const CK_ATTRIBUTE more[] = {ATTR_MEM(CKA_ALLOWED_MECHANISMS, list, sizeof list),
                                 ATTR_BOOL(CKA_TOKEN, true), ATTR_BOOL(CKA_ENCRYPT, true),
                                 ATTR_BOOL(CKA_DECRYPT, true), ATTR_BOOL(CKA_SIGN, true)};
    CK_OBJECT_HANDLE key = key_with(more, COUNT(more));
    CK_MECHANISM *cbc = MECHANISM_WITH(CKM_AES_CBC, *(CK_BYTE(*)[16])zeros);
    CK_MECHANISM *pad = MECHANISM_WITH(CKM_AES_CBC_PAD, *(CK_BYTE(*)[16])zeros);
    assert_rv(CKR_MECHANISM_INVALID, p11->C_EncryptInit(fx.session, pad, key));
    assert_rv(CKR_MECHANISM_INVALID, p11->C_DecryptInit(fx.session, MECHANISM(CKM_AES_ECB), key));
    assert_rv(
        CKR_MECHANISM_INVALID,
        p11->C_SignInit(fx.session, MECHANISM_WITH(CKM_AES_CMAC_GENERAL, (CK_ULONG){4}), key));
    assert_idle(fx.session);
    assert_ok(p11->C_EncryptInit(fx.session, cbc, key));
    assert_ok(p11->C_SignInit(fx.session, MECHANISM(CKM_AES_CMAC), key));
}

/* ---- in the middle of an operation --------------------------------------------------------- */

static void begin_cbc(CK_OBJECT_HANDLE key)
{
    CK_BYTE out[32];
    CK_ULONG n = sizeof out;
    CK_MECHANISM *m = MECHANISM_WITH(CKM_AES_CBC, *(CK_BYTE(*)[16])zeros);
    assert_ok(p11->C_EncryptInit(fx.session, m, key));
    assert_ok(p11->C_EncryptUpdate(fx.session, zeros, 20, out, &n));
    assert_int_equal(n, 16);
}

static CK_RV go_on(void)
{
    CK_BYTE out[32];
    CK_ULONG n = sizeof out;
    return p11->C_EncryptUpdate(fx.session, zeros, 28, out, &n);
}

static void key_is_destroyed(void **state)
{
    (void)state;
    for (enum place place = 0; place < PLACES; place++) {
        CK_OBJECT_HANDLE key = import_key(fx.session, place, CKK_AES, "0123456789abcdef", 16);
        begin_cbc(key);
        assert_ok(p11->C_DestroyObject(fx.session, key));
        assert_rv(CKR_KEY_HANDLE_INVALID, go_on());
        assert_idle(fx.session);
    }
}

static void logout(void **state)
{
    (void)state;
    for (enum place place = 0; place < PLACES; place++) {
        begin_cbc(import_key(fx.session, place, CKK_AES, "0123456789abcdef", 16));
        assert_ok(p11->C_Logout(fx.session));
        if (place % 2) /* another login is not the one it was begun under */
            assert_ok(login(fx.session, CKU_USER, USER_PIN));
        assert_rv_either(CKR_USER_NOT_LOGGED_IN, CKR_KEY_HANDLE_INVALID, go_on());
        assert_idle(fx.session);
        if (place % 2 == 0)
            assert_ok(login(fx.session, CKU_USER, USER_PIN));
    }
}

/* A public session key asks for no login. */
static void logout_with_a_public_key(void **state)
{
    (void)state;
    for (int tpm = 0; tpm < 2; tpm++) {
        const CK_ATTRIBUTE more[] = {ATTR_BOOL(CKA_PRIVATE, false), ATTR_BOOL(CKA_ENCRYPT, true)};
        assert_ok(p11->C_Logout(fx.session));
        CK_OBJECT_HANDLE key = key_with(more, COUNT(more));
        begin_cbc(key);
        assert_ok(login(fx.session, CKU_USER, USER_PIN));
        assert_ok(go_on());
        assert_ok(p11->C_Logout(fx.session));
        assert_ok(p11->C_EncryptFinal(fx.session, zeros, &(CK_ULONG){0}));
        assert_ok(login(fx.session, CKU_USER, USER_PIN));
    }
}

/* PKCS#11 3.0 section 5.1: one encryption and one decryption at a time, a session. */
static void two_at_once(void **state)
{
    (void)state;
    CK_BYTE iv[16] = {0}, a[48], b[48], value[16] = {3};
    CK_ULONG a_n = 0, b_n = 0, n;
    CK_OBJECT_HANDLE tpm = import_key(fx.session, IN_TPM, CKK_AES, value, 16);
    CK_OBJECT_HANDLE soft = import_key(fx.session, SEALED, CKK_AES, value, 16);
    CK_MECHANISM *m = MECHANISM_WITH(CKM_AES_CBC_PAD, iv);
    fill(plain, 40, 5);
    assert_int_equal(evp_encrypt("CBC", true, value, 16, iv, plain, 40, sealed), 48);
    assert_ok(p11->C_EncryptInit(fx.session, m, tpm));
    assert_ok(p11->C_DecryptInit(fx.session, m, soft));
    assert_rv(CKR_OPERATION_ACTIVE, p11->C_EncryptInit(fx.session, m, tpm));
    assert_rv(CKR_OPERATION_ACTIVE, p11->C_DecryptInit(fx.session, m, tpm));
    for (CK_ULONG at = 0; at < 40; at += 8) {
        n = sizeof a - a_n;
        assert_ok(p11->C_EncryptUpdate(fx.session, plain + at, 8, a + a_n, &n));
        a_n += n;
        n = sizeof b - b_n;
        assert_ok(p11->C_DecryptUpdate(fx.session, sealed + at, 8, b + b_n, &n));
        b_n += n;
    }
    n = sizeof a - a_n;
    assert_ok(p11->C_EncryptFinal(fx.session, a + a_n, &n));
    assert_int_equal(a_n + n, 48);
    assert_memory_equal(a, sealed, 48);
    n = sizeof b - b_n;
    assert_ok(p11->C_DecryptUpdate(fx.session, sealed + 40, 8, b + b_n, &n));
    b_n += n;
    n = sizeof b - b_n;
    assert_ok(p11->C_DecryptFinal(fx.session, b + b_n, &n));
    assert_int_equal(b_n + n, 40);
    assert_memory_equal(b, plain, 40);
    assert_idle(fx.session);
}

/* PKCS#11 3.0 sections 5.8.2 and 5.8.3. */
static void order_of_calls(void **state)
{
    (void)state;
    CK_BYTE out[64];
    CK_ULONG n = sizeof out;
    CK_OBJECT_HANDLE key = import_key(fx.session, IN_TPM, CKK_AES, "0123456789abcdef", 16);
    assert_rv(CKR_OPERATION_NOT_INITIALIZED, p11->C_Encrypt(fx.session, zeros, 16, out, &n));
    assert_rv(CKR_OPERATION_NOT_INITIALIZED, p11->C_EncryptUpdate(fx.session, zeros, 16, out, &n));
    begin_cbc(key);
    assert_rv(CKR_OPERATION_ACTIVE, p11->C_Encrypt(fx.session, zeros, 16, out, &n));
    assert_idle(fx.session);
    begin_cbc(key);
    assert_rv(CKR_ARGUMENTS_BAD, p11->C_EncryptUpdate(fx.session, NULL, 16, out, &n));
    assert_idle(fx.session);
    begin_cbc(key);
    assert_rv(CKR_ARGUMENTS_BAD, p11->C_EncryptFinal(fx.session, out, NULL));
    assert_idle(fx.session);
    assert_rv_either(CKR_OPERATION_NOT_INITIALIZED, CKR_ARGUMENTS_BAD,
                     p11->C_EncryptInit(fx.session, NULL, key));
}

#define USER_TEST(f) cmocka_unit_test_setup_teardown(f, test_user, test_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        USER_TEST(known_answers),
        USER_TEST(in_place),
        USER_TEST(as_libcrypto),
        USER_TEST(generated_keys),
        USER_TEST(generated_in_the_tpm),
        USER_TEST(every_byte_at_once),
        USER_TEST(much_data),
        USER_TEST(no_data),
        USER_TEST(length_protocol),
        USER_TEST(wrong_lengths),
        USER_TEST(counter_overflows),
        USER_TEST(wrong_parameters),
        USER_TEST(gcm_of_both_layouts),
        USER_TEST(parameters_are_copied),
        USER_TEST(gcm_updates_come_out_at_once),
        USER_TEST(tampered),
        USER_TEST(wrong_paddings),
        USER_TEST(usage),
        USER_TEST(other_keys),
        USER_TEST(allowed_mechanisms),
        USER_TEST(key_is_destroyed),
        USER_TEST(logout),
        USER_TEST(logout_with_a_public_key),
        USER_TEST(two_at_once),
        USER_TEST(order_of_calls),
    };
    return cmocka_run_group_tests(tests, group_token, group_end);
}
