/* Message-based operations: PKCS#11 3.0 sections 5.9, 5.11, 5.14 and 5.16, and the parameters of
 * 2.12 (3.1: 6.13). */
#include "secret_keys.h"

/* One message's parameter, of GCM or CCM, and where it points. */
struct aead {
    bool gcm;
    CK_BYTE iv[13], tag[16], aad[40];
    CK_ULONG iv_n, tag_n, aad_n;
    union {
        CK_GCM_MESSAGE_PARAMS gcm;
        CK_CCM_MESSAGE_PARAMS ccm;
    } as;
    CK_ULONG size;
};

static CK_BYTE plain[3000], sealed[3016];

/* Not to be moved: it points into itself. */
static void parameter(struct aead *a, CK_GENERATOR_FUNCTION generator, CK_ULONG fixed,
                      CK_ULONG data_n)
{
    if (a->gcm)
        a->as.gcm = (CK_GCM_MESSAGE_PARAMS){a->iv, a->iv_n, fixed, generator, a->tag, 8 * a->tag_n};
    else
        a->as.ccm =
            (CK_CCM_MESSAGE_PARAMS){data_n, a->iv, a->iv_n, fixed, generator, a->tag, a->tag_n};
    a->size = a->gcm ? sizeof a->as.gcm : sizeof a->as.ccm;
}

static void make(struct aead *a, bool gcm, CK_ULONG data_n, uint32_t seed)
{
    *a = (struct aead){.gcm = gcm, .iv_n = gcm ? 12 : 7 + data_n % 7, .aad_n = data_n % 40};
    a->tag_n = gcm ? 16 - data_n % 4 : 4 + 2 * (data_n % 7);
    fill(a->iv, a->iv_n, seed + 1);
    fill(a->aad, a->aad_n, seed + 2);
    parameter(a, CKG_NO_GENERATE, 0, data_n);
}

static CK_MECHANISM *mechanism_of(const struct aead *a)
{
    static CK_MECHANISM m;
    m = (CK_MECHANISM){a->gcm ? CKM_AES_GCM : CKM_AES_CCM, NULL, 0};
    return &m;
}

static const CK_BYTE key_value[32] = {1, 2, 3, 4, 5, 6, 7, 8};

static CK_OBJECT_HANDLE key_in(enum place place)
{
    return import_key(fx.session, place, CKK_AES, key_value, 16);
}

/* What libcrypto makes of the message, with the IV that is in the parameter now. */
static void opinion(const struct aead *a, CK_ULONG n)
{
    evp_seal(a->gcm ? "GCM" : "CCM", key_value, 16, a->iv, a->iv_n, a->aad, a->aad_n, a->tag_n,
             plain, n, sealed);
}

static CK_RV encrypt_message(struct aead *a, const CK_BYTE *in, CK_ULONG n, CK_BYTE *out,
                             CK_ULONG *out_n)
{
    return p11_3->C_EncryptMessage(fx.session, &a->as, a->size, a->aad, a->aad_n,
                                   (CK_BYTE_PTR)(uintptr_t)in, n, out, out_n);
}

static CK_RV decrypt_message(struct aead *a, const CK_BYTE *in, CK_ULONG n, CK_BYTE *out,
                             CK_ULONG *out_n)
{
    return p11_3->C_DecryptMessage(fx.session, &a->as, a->size, a->aad, a->aad_n,
                                   (CK_BYTE_PTR)(uintptr_t)in, n, out, out_n);
}

static void assert_sealed(const struct aead *a, const CK_BYTE *out, CK_ULONG out_n, CK_ULONG n)
{
    opinion(a, n);
    assert_int_equal(out_n, n);
    assert_memory_equal(out, sealed, n);
    assert_memory_equal(a->tag, sealed + n, a->tag_n);
}

/* ---- one call a message -------------------------------------------------------------------- */

static const CK_ULONG sizes[] = {0, 1, 15, 16, 17, 100, 1023, 1024, 1025, sizeof plain};

static void both_ways(bool gcm, CK_ULONG n, uint32_t seed)
{
    static CK_BYTE out[sizeof plain];
    struct aead a;
    CK_ULONG out_n = sizeof out;
    make(&a, gcm, n, seed);
    fill(plain, n, seed);
    assert_ok(encrypt_message(&a, plain, n, out, &out_n));
    assert_sealed(&a, out, out_n, n);
    out_n = sizeof out;
    assert_ok(decrypt_message(&a, out, n, out, &out_n)); /* in place */
    assert_int_equal(out_n, n);
    assert_memory_equal(out, plain, n);
}

static void begin_both(bool gcm, CK_OBJECT_HANDLE key)
{
    const struct aead a = {.gcm = gcm};
    assert_ok(p11_3->C_MessageEncryptInit(fx.session, mechanism_of(&a), key));
    assert_ok(p11_3->C_MessageDecryptInit(fx.session, mechanism_of(&a), key));
}

static void end_both(void)
{
    assert_ok(p11_3->C_MessageEncryptFinal(fx.session));
    assert_ok(p11_3->C_MessageDecryptFinal(fx.session));
    assert_rv(CKR_OPERATION_NOT_INITIALIZED, p11_3->C_MessageEncryptFinal(fx.session));
    assert_rv(CKR_OPERATION_NOT_INITIALIZED, p11_3->C_MessageDecryptFinal(fx.session));
}

static void one_part(void **state)
{
    (void)state;
    for (enum place place = 0; place < PLACES; place++)
        for (int gcm = 0; gcm < 2; gcm++) {
            begin_both(gcm, key_in(place));
            for (uint32_t i = 0; i < 2 * COUNT(sizes); i++)
                both_ways(gcm, sizes[i / 2], i);
            end_both();
        }
}

/* ---- parts --------------------------------------------------------------------------------- */

typedef CK_RV next_function(CK_SESSION_HANDLE, CK_VOID_PTR, CK_ULONG, CK_BYTE_PTR, CK_ULONG,
                            CK_BYTE_PTR, CK_ULONG_PTR, CK_FLAGS);

static void ask_first(next_function *next, struct aead *a, CK_BYTE *in, CK_ULONG n, CK_FLAGS flags,
                      uint32_t *seed)
{
    CK_BYTE small[sizeof plain + 16];
    CK_ULONG told = 0, again;
    if (draw(seed, 2) == 0)
        return;
    assert_ok(next(fx.session, &a->as, a->size, in, n, NULL, &told, flags));
    if (told == 0 || draw(seed, 2) == 0)
        return;
    again = told - 1;
    assert_true(again <= sizeof small);
    assert_rv(CKR_BUFFER_TOO_SMALL, next(fx.session, &a->as, a->size, in, n, small, &again, flags));
    assert_int_equal(again, told);
}

/* in, in parts; the last one may be of nothing. */
static CK_RV run_parts(next_function *next, struct aead *a, const CK_BYTE *in, CK_ULONG n,
                       uint32_t seed, CK_BYTE *out, CK_ULONG *out_n)
{
    CK_BYTE copy[2100];
    bool last = false;
    CK_ULONG at = 0, all = 0;
    while (!last) {
        CK_ULONG some = next_part(&seed, n - at), got = n - all + 16;
        bool in_place = draw(&seed, 2) == 0;
        last = at + some == n && draw(&seed, 2) == 0;
        CK_FLAGS flags = last ? CKF_END_OF_MESSAGE : 0;
        if (some > 0)
            memcpy(copy, in + at, some);
        ask_first(next, a, copy, some, flags, &seed);
        if (in_place && !last)
            got = sizeof copy;
        CK_BYTE *to = in_place && !last ? copy : out + all;
        CK_RV rv = next(fx.session, &a->as, a->size, copy, some, to, &got, flags);
        if (rv != CKR_OK)
            return rv;
        if (to == copy && got > 0)
            memcpy(out + all, copy, got);
        all += got;
        at += some;
    }
    *out_n = all;
    return CKR_OK;
}

static CK_RV decrypt_parts(struct aead *a, const CK_BYTE *in, CK_ULONG n, uint32_t seed,
                           CK_BYTE *out, CK_ULONG *out_n)
{
    assert_ok(p11_3->C_DecryptMessageBegin(fx.session, &a->as, a->size, a->aad, a->aad_n));
    return run_parts(p11_3->C_DecryptMessageNext, a, in, n, seed, out, out_n);
}

static void parts_both_ways(bool gcm, CK_ULONG n, uint32_t seed)
{
    static CK_BYTE out[sizeof plain + 16], back[sizeof plain + 16];
    struct aead a;
    CK_ULONG out_n, back_n;
    make(&a, gcm, n, seed);
    fill(plain, n, seed);
    assert_ok(p11_3->C_EncryptMessageBegin(fx.session, &a.as, a.size, a.aad, a.aad_n));
    assert_ok(run_parts(p11_3->C_EncryptMessageNext, &a, plain, n, seed, out, &out_n));
    assert_sealed(&a, out, out_n, n);
    assert_ok(decrypt_parts(&a, out, n, seed + 1, back, &back_n));
    assert_int_equal(back_n, n);
    assert_memory_equal(back, plain, n);
}

static void parts(void **state)
{
    (void)state;
    for (enum place place = 0; place < PLACES; place++)
        for (int gcm = 0; gcm < 2; gcm++) {
            begin_both(gcm, key_in(place));
            for (uint32_t i = 0; i < 5 * COUNT(sizes); i++)
                parts_both_ways(gcm, sizes[i / 5], i);
            end_both();
        }
}

/* 3.1, 6.13: pTag may be elsewhere at the last part than at the first. */
static void tag_at_the_last_part(void **state)
{
    (void)state;
    struct aead a;
    CK_BYTE out[32], elsewhere[16];
    CK_ULONG n = sizeof out;
    make(&a, true, 20, 3);
    fill(plain, 20, 3);
    opinion(&a, 20);
    begin_both(true, key_in(IN_TPM));
    assert_ok(p11_3->C_EncryptMessageBegin(fx.session, &a.as, a.size, a.aad, a.aad_n));
    a.as.gcm.pTag = elsewhere;
    assert_ok(p11_3->C_EncryptMessageNext(fx.session, &a.as, a.size, plain, 20, out, &n,
                                          CKF_END_OF_MESSAGE));
    assert_memory_equal(elsewhere, sealed + 20, a.tag_n);
    n = sizeof out;
    a.as.gcm.pTag = a.tag;
    assert_ok(p11_3->C_DecryptMessageBegin(fx.session, &a.as, a.size, a.aad, a.aad_n));
    a.as.gcm.pTag = elsewhere;
    assert_ok(p11_3->C_DecryptMessageNext(fx.session, &a.as, a.size, out, 20, out, &n,
                                          CKF_END_OF_MESSAGE));
    assert_memory_equal(out, plain, 20);
}

/* ---- generated IVs ------------------------------------------------------------------------- */

static CK_ULONG low_bits(const struct aead *a, CK_ULONG bits)
{
    CK_ULONG value = 0;
    for (CK_ULONG i = 0; i < a->iv_n; i++)
        value = value << 8 | a->iv[i];
    return bits >= 64 ? value : value & ((1UL << bits) - 1);
}

static void assert_fixed(const struct aead *a, const CK_BYTE *given, CK_ULONG bits)
{
    for (CK_ULONG i = 0; i < bits; i++)
        assert_int_equal((a->iv[i / 8] ^ given[i / 8]) >> (7 - i % 8) & 1, 0);
}

enum { MESSAGES = 40 };

/* The IVs of a run, each message right under the IV that came out. */
static void generated_run(bool gcm, CK_GENERATOR_FUNCTION generator, CK_ULONG fixed, bool in_parts,
                          struct aead *all)
{
    CK_BYTE given[13], out[64];
    fill(given, sizeof given, (uint32_t)fixed);
    for (size_t i = 0; i < MESSAGES; i++) {
        CK_ULONG n = 0, out_n = sizeof out;
        make(&all[i], gcm, 30, 1);
        memcpy(all[i].iv, given, sizeof given);
        parameter(&all[i], generator, fixed, 30);
        assert_ok(encrypt_message(&all[i], plain, 30, NULL, &n)); /* brings no IV */
        assert_memory_equal(all[i].iv, given, all[i].iv_n);
        if (in_parts) {
            assert_ok(p11_3->C_EncryptMessageBegin(fx.session, &all[i].as, all[i].size, all[i].aad,
                                                   all[i].aad_n));
            assert_ok(run_parts(p11_3->C_EncryptMessageNext, &all[i], plain, 30, (uint32_t)i + 1,
                                out, &out_n));
        } else {
            assert_ok(encrypt_message(&all[i], plain, 30, out, &out_n));
        }
        assert_sealed(&all[i], out, out_n, 30);
        assert_fixed(&all[i], given, fixed);
        out_n = sizeof out;
        assert_ok(decrypt_message(&all[i], out, 30, out, &out_n));
        assert_memory_equal(out, plain, 30);
    }
    for (size_t i = 0; i < MESSAGES; i++)
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(all[i].iv, all[j].iv, all[i].iv_n);
}

static void generated(bool gcm, CK_GENERATOR_FUNCTION generator, CK_ULONG fixed, bool in_parts)
{
    static struct aead all[MESSAGES];
    CK_BYTE given[13];
    struct aead base = {.iv_n = 12};
    fill(given, sizeof given, (uint32_t)fixed);
    begin_both(gcm, key_in(IN_SESSION));
    generated_run(gcm, generator, fixed, in_parts, all);
    CK_ULONG bits = 8 * all[0].iv_n - fixed < 64 ? 8 * all[0].iv_n - fixed : 64;
    base.iv_n = all[0].iv_n;
    memcpy(base.iv, given, sizeof given);
    for (CK_ULONG i = 0; i < MESSAGES; i++) {
        if (generator == CKG_GENERATE_COUNTER) /* "the initial IV counter is zero" */
            assert_int_equal(low_bits(&all[i], bits), i);
        if (generator == CKG_GENERATE_COUNTER_XOR)
            assert_int_equal(low_bits(&all[i], bits), low_bits(&base, bits) ^ i);
    }
    end_both();
}

/* 3.1, 6.13: the fixed bits stay, the others differ from message to message. */
static void generated_ivs(void **state)
{
    (void)state;
    static const CK_ULONG fixed[] = {0, 1, 32, 35, 48};
    for (CK_GENERATOR_FUNCTION g = CKG_GENERATE; g <= CKG_GENERATE_COUNTER_XOR; g++)
        for (size_t i = 0; i < COUNT(fixed); i++)
            for (int bits = 0; bits < 4; bits++)
                if ((bits & 1) || fixed[i] <= 32) /* random ones need room to be unique */
                    generated(bits & 1, g, fixed[i], bits & 2);
}

/* Another process of messages does not begin where the last one did, under the same key. */
static void generated_anew(void **state)
{
    (void)state;
    CK_BYTE seen[4][12], out[16];
    CK_OBJECT_HANDLE key = key_in(IN_SESSION);
    for (size_t i = 0; i < COUNT(seen); i++) {
        struct aead a;
        CK_ULONG n = sizeof out;
        make(&a, true, 4, 1);
        parameter(&a, CKG_GENERATE, 32, 4);
        begin_both(true, key);
        assert_ok(encrypt_message(&a, plain, 4, out, &n));
        end_both();
        memcpy(seen[i], a.iv, 12);
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(seen[i], seen[j], 12);
    }
}

/* Four IVs with two bits to choose; there is no fifth. */
static void ivs_run_out(void **state)
{
    (void)state;
    static const CK_GENERATOR_FUNCTION generators[] = {CKG_GENERATE, CKG_GENERATE_COUNTER,
                                                       CKG_GENERATE_COUNTER_XOR};
    for (size_t g = 0; g < COUNT(generators); g++) {
        struct aead a;
        CK_BYTE out[16], seen[4] = {0};
        begin_both(true, key_in(IN_SESSION));
        make(&a, true, 4, 1);
        for (int i = 0; i < 5; i++) {
            CK_ULONG n = sizeof out;
            a.iv[11] &= 0xFC;
            parameter(&a, generators[g], 94, 4);
            CK_RV rv = encrypt_message(&a, plain, 4, out, &n);
            assert_rv(i == 4 ? CKR_TOKEN_RESOURCE_EXCEEDED : CKR_OK, rv);
            if (i < 4)
                seen[a.iv[11] & 3]++;
        }
        for (int i = 0; i < 4; i++)
            assert_int_equal(seen[i], 1);
        end_both();
    }
}

static void wrong_generators(void **state)
{
    (void)state;
    static const struct {
        CK_GENERATOR_FUNCTION generator;
        CK_ULONG fixed;
    } rows[] = {{5, 0},
                {CK_UNAVAILABLE_INFORMATION, 0},
                {CKG_GENERATE, 96},
                {CKG_GENERATE, 97},
                {CKG_GENERATE_COUNTER, 96},
                {CKG_GENERATE_RANDOM, 96},
                {CKG_GENERATE_COUNTER_XOR, 1000},
                {CKG_GENERATE_RANDOM, CK_UNAVAILABLE_INFORMATION}};
    begin_both(true, key_in(IN_SESSION));
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct aead a;
        CK_BYTE out[16];
        CK_ULONG n = sizeof out;
        make(&a, true, 8, 1);
        parameter(&a, rows[i].generator, rows[i].fixed, 8);
        assert_rv(CKR_MECHANISM_PARAM_INVALID, encrypt_message(&a, plain, 8, out, &n));
        assert_rv(CKR_MECHANISM_PARAM_INVALID,
                  p11_3->C_EncryptMessageBegin(fx.session, &a.as, a.size, a.aad, a.aad_n));
        /* "ulIvFixedBits and ivGenerator are ignored" */
        opinion(&a, 8);
        memcpy(a.tag, sealed + 8, a.tag_n);
        n = sizeof out;
        assert_ok(decrypt_message(&a, sealed, 8, out, &n));
        assert_memory_equal(out, plain, 8);
    }
    end_both();
}

/* ---- what is not genuine ------------------------------------------------------------------- */

static void not_genuine(struct aead *a, CK_ULONG n)
{
    CK_BYTE out[100];
    CK_ULONG out_n = sizeof out;
    memset(out, 0xEE, sizeof out);
    assert_rv(CKR_AEAD_DECRYPT_FAILED, decrypt_message(a, sealed, n, out, &out_n));
    assert_rv(CKR_AEAD_DECRYPT_FAILED, decrypt_parts(a, sealed, n, 5, out, &out_n));
    for (size_t i = 0; i < sizeof out; i++)
        assert_int_equal(out[i], 0xEE);
    /* the message is over */
    assert_rv(CKR_OPERATION_NOT_INITIALIZED,
              p11_3->C_DecryptMessageNext(fx.session, &a->as, a->size, sealed, 1, out, &out_n, 0));
}

static void still_works(struct aead *a, CK_ULONG n)
{
    CK_BYTE out[100];
    CK_ULONG out_n = sizeof out;
    assert_ok(decrypt_message(a, sealed, n, out, &out_n));
    assert_int_equal(out_n, n);
    assert_memory_equal(out, plain, n);
}

static void tampered(void **state)
{
    (void)state;
    for (enum place place = IN_SESSION; place <= IN_TPM; place += IN_TPM)
        for (int gcm = 0; gcm < 2; gcm++) {
            struct aead a;
            CK_ULONG n = 53;
            fill(plain, n, 9);
            make(&a, gcm, n, 9);
            opinion(&a, n);
            memcpy(a.tag, sealed + n, a.tag_n);
            begin_both(gcm, key_in(place));
            CK_BYTE *bytes[] = {sealed, sealed + n - 1, a.tag, a.tag + a.tag_n - 1,
                                a.aad,  a.aad + 12,     a.iv,  a.iv + a.iv_n - 1};
            for (size_t i = 0; i < COUNT(bytes); i++) {
                *bytes[i] ^= 4;
                not_genuine(&a, n);
                *bytes[i] ^= 4;
                still_works(&a, n);
            }
            end_both();
        }
}

/* ---- lengths and parameters ---------------------------------------------------------------- */

static void length_protocol(void **state)
{
    (void)state;
    struct aead a, before;
    CK_BYTE out[64];
    CK_ULONG n = 0;
    make(&a, true, 50, 1);
    parameter(&a, CKG_GENERATE, 32, 50);
    before = a;
    begin_both(true, key_in(IN_TPM));
    assert_ok(encrypt_message(&a, plain, 50, NULL, &n));
    assert_int_equal(n, 50);
    n = 49;
    assert_rv(CKR_BUFFER_TOO_SMALL, encrypt_message(&a, plain, 50, out, &n));
    assert_int_equal(n, 50);
    assert_memory_equal(a.iv, before.iv, sizeof a.iv);
    assert_memory_equal(a.tag, before.tag, sizeof a.tag);
    assert_ok(encrypt_message(&a, plain, 50, out, &n));
    assert_sealed(&a, out, n, 50);
    n = 0;
    assert_ok(decrypt_message(&a, out, 50, NULL, &n));
    assert_int_equal(n, 50);
    n = 49;
    assert_rv(CKR_BUFFER_TOO_SMALL, decrypt_message(&a, out, 50, out, &n));
    assert_int_equal(n, 50);
    assert_ok(decrypt_message(&a, out, 50, out, &n));
    assert_memory_equal(out, plain, 50);
    end_both();
}

static void refused(const void *p, CK_ULONG n)
{
    CK_BYTE out[16];
    CK_ULONG out_n = sizeof out;
    CK_VOID_PTR q = (CK_VOID_PTR)(uintptr_t)p;
    CK_RV also = q == NULL && n > 0 ? CKR_ARGUMENTS_BAD : CKR_MECHANISM_PARAM_INVALID;
    assert_rv_either(CKR_MECHANISM_PARAM_INVALID, also,
                     p11_3->C_EncryptMessage(fx.session, q, n, NULL, 0, plain, 8, out, &out_n));
    out_n = sizeof out;
    assert_rv_either(CKR_MECHANISM_PARAM_INVALID, also,
                     p11_3->C_DecryptMessage(fx.session, q, n, NULL, 0, plain, 8, out, &out_n));
    assert_rv_either(CKR_MECHANISM_PARAM_INVALID, also,
                     p11_3->C_EncryptMessageBegin(fx.session, q, n, NULL, 0));
    assert_rv_either(CKR_MECHANISM_PARAM_INVALID, also,
                     p11_3->C_DecryptMessageBegin(fx.session, q, n, NULL, 0));
}

static void wrong_gcm_parameters(void **state)
{
    (void)state;
    CK_BYTE iv[12] = {0}, tag[16];
    const CK_GCM_MESSAGE_PARAMS right = {iv, sizeof iv, 0, CKG_NO_GENERATE, tag, 128};
    CK_GCM_MESSAGE_PARAMS all[6] = {right, right, right, right, right, right};
    all[0].pIv = NULL;
    all[1].ulIvLen = 0;
    all[2].pTag = NULL;
    all[3].ulTagBits = 0;
    all[4].ulTagBits = 127;
    all[5].ulTagBits = 136;
    begin_both(true, key_in(IN_SESSION));
    for (size_t i = 0; i < COUNT(all); i++)
        refused(&all[i], sizeof all[i]);
    refused(NULL, 0);
    refused(NULL, sizeof right);
    refused(&right, sizeof right - 1);
    refused(&right, sizeof right + 1);
    both_ways(true, 40, 3); /* nothing of it ended the process */
    end_both();
}

static void wrong_ccm_parameters(void **state)
{
    (void)state;
    CK_BYTE nonce[13] = {0}, mac[16];
    const CK_CCM_MESSAGE_PARAMS right = {8, nonce, 13, 0, CKG_NO_GENERATE, mac, 8};
    CK_CCM_MESSAGE_PARAMS all[7] = {right, right, right, right, right, right, right};
    CK_BYTE out[16];
    CK_ULONG n = sizeof out;
    all[0].pNonce = NULL;
    all[1].ulNonceLen = 6;
    all[2].ulNonceLen = 14;
    all[3].pMAC = NULL;
    all[4].ulMACLen = 2;
    all[5].ulMACLen = 7;
    all[6].ulDataLen = 65536;
    begin_both(false, key_in(IN_SESSION));
    for (size_t i = 0; i < COUNT(all); i++)
        refused(&all[i], sizeof all[i]);
    refused(&right, sizeof right - 1);
    /* as much data as was said */
    CK_CCM_MESSAGE_PARAMS other = right;
    other.ulDataLen = 9;
    assert_rv(CKR_DATA_LEN_RANGE, p11_3->C_EncryptMessage(fx.session, &other, sizeof other, NULL, 0,
                                                          plain, 8, out, &n));
    n = sizeof out;
    assert_rv_either(
        CKR_ENCRYPTED_DATA_LEN_RANGE, CKR_ENCRYPTED_DATA_INVALID,
        p11_3->C_DecryptMessage(fx.session, &other, sizeof other, NULL, 0, plain, 8, out, &n));
    both_ways(false, 40, 3);
    end_both();
}

/* The Init takes no parameter, or one of its mechanism's. */
static void init_parameters(void **state)
{
    (void)state;
    struct aead a;
    CK_OBJECT_HANDLE key = key_in(IN_TPM);
    make(&a, true, 8, 1);
    CK_MECHANISM with = {CKM_AES_GCM, &a.as, a.size}, shorter = {CKM_AES_GCM, &a.as, a.size - 1};
    CK_MECHANISM no_pointer = {CKM_AES_GCM, NULL, a.size};
    assert_ok(p11_3->C_MessageEncryptInit(fx.session, &with, key));
    assert_ok(p11_3->C_MessageEncryptFinal(fx.session));
    assert_rv(CKR_MECHANISM_PARAM_INVALID, p11_3->C_MessageEncryptInit(fx.session, &shorter, key));
    assert_rv(CKR_MECHANISM_PARAM_INVALID, p11_3->C_MessageDecryptInit(fx.session, &shorter, key));
    assert_rv(CKR_MECHANISM_PARAM_INVALID,
              p11_3->C_MessageEncryptInit(fx.session, &no_pointer, key));
    assert_rv(CKR_MECHANISM_INVALID,
              p11_3->C_MessageEncryptInit(fx.session, MECHANISM(CKM_AES_ECB), key));
    assert_rv(CKR_MECHANISM_INVALID,
              p11_3->C_MessageEncryptInit(fx.session, MECHANISM(0x7FFFFFFF), key));
    assert_rv(CKR_KEY_HANDLE_INVALID,
              p11_3->C_MessageEncryptInit(fx.session, MECHANISM(CKM_AES_GCM), 0));
    const CK_ATTRIBUTE only[] = {ATTR_BOOL(CKA_ENCRYPT, true), ATTR_BOOL(CKA_DECRYPT, false)};
    assert_ok(create_key(fx.session, CKK_AES, key_value, 16, only, 2, &key));
    assert_rv(CKR_KEY_FUNCTION_NOT_PERMITTED,
              p11_3->C_MessageDecryptInit(fx.session, MECHANISM(CKM_AES_GCM), key));
    assert_rv(CKR_OPERATION_NOT_INITIALIZED, p11_3->C_MessageEncryptFinal(fx.session));
    assert_rv(CKR_OPERATION_NOT_INITIALIZED, p11_3->C_MessageDecryptFinal(fx.session));
}

/* ---- states -------------------------------------------------------------------------------- */

static void assert_states(bool encrypt, CK_OBJECT_HANDLE key)
{
    struct aead a;
    CK_BYTE out[32];
    CK_ULONG n = sizeof out;
    CK_MECHANISM *gcm = MECHANISM(CKM_AES_GCM);
    CK_RV(*init)
    (CK_SESSION_HANDLE, CK_MECHANISM *, CK_OBJECT_HANDLE) =
        encrypt ? p11_3->C_MessageEncryptInit : p11_3->C_MessageDecryptInit;
    CK_RV(*begin)
    (CK_SESSION_HANDLE, CK_VOID_PTR, CK_ULONG, CK_BYTE_PTR, CK_ULONG) =
        encrypt ? p11_3->C_EncryptMessageBegin : p11_3->C_DecryptMessageBegin;
    CK_RV(*whole)
    (struct aead *, const CK_BYTE *, CK_ULONG, CK_BYTE *, CK_ULONG *) =
        encrypt ? encrypt_message : decrypt_message;
    next_function *next = encrypt ? p11_3->C_EncryptMessageNext : p11_3->C_DecryptMessageNext;
    make(&a, true, 8, 1);
    assert_rv(CKR_OPERATION_NOT_INITIALIZED, whole(&a, plain, 8, out, &n));
    assert_rv(CKR_OPERATION_NOT_INITIALIZED, begin(fx.session, &a.as, a.size, NULL, 0));
    assert_rv(CKR_OPERATION_NOT_INITIALIZED, next(fx.session, &a.as, a.size, plain, 8, out, &n, 0));
    assert_ok(init(fx.session, gcm, key));
    assert_rv(CKR_OPERATION_ACTIVE, init(fx.session, gcm, key));
    assert_rv(CKR_OPERATION_NOT_INITIALIZED, next(fx.session, &a.as, a.size, plain, 8, out, &n, 0));
    assert_ok(begin(fx.session, &a.as, a.size, NULL, 0));
    assert_rv(CKR_OPERATION_ACTIVE, begin(fx.session, &a.as, a.size, NULL, 0));
    assert_rv(CKR_OPERATION_ACTIVE, whole(&a, plain, 8, out, &n));
    assert_ok(next(fx.session, &a.as, a.size, plain, 8, out, &n, 0)); /* goes on */
    assert_ok(init(fx.session, NULL, 0));
    assert_rv(CKR_OPERATION_NOT_INITIALIZED, next(fx.session, &a.as, a.size, plain, 8, out, &n, 0));
}

static void states(void **state)
{
    (void)state;
    CK_OBJECT_HANDLE key = key_in(IN_TPM);
    assert_states(true, key);
    assert_states(false, key);
    assert_rv(CKR_OPERATION_NOT_INITIALIZED, p11_3->C_MessageEncryptFinal(fx.session));
    assert_rv(CKR_OPERATION_NOT_INITIALIZED, p11_3->C_MessageDecryptFinal(fx.session));
}

/* 3.0, 5.6.4: each flag ends its own. */
static void session_cancel(void **state)
{
    (void)state;
    CK_OBJECT_HANDLE key = key_in(IN_SESSION);
    static const CK_FLAGS flags[] = {CKF_MESSAGE_ENCRYPT, CKF_MESSAGE_DECRYPT, CKF_MESSAGE_SIGN,
                                     CKF_MESSAGE_VERIFY};
    for (size_t i = 0; i < COUNT(flags); i++) {
        begin_both(true, key);
        assert_ok(p11_3->C_MessageSignInit(fx.session, MECHANISM(CKM_AES_CMAC), key));
        assert_ok(p11_3->C_MessageVerifyInit(fx.session, MECHANISM(CKM_AES_CMAC), key));
        assert_ok(p11_3->C_SessionCancel(fx.session, flags[i]));
        CK_RV rv[] = {
            p11_3->C_MessageEncryptFinal(fx.session), p11_3->C_MessageDecryptFinal(fx.session),
            p11_3->C_MessageSignFinal(fx.session), p11_3->C_MessageVerifyFinal(fx.session)};
        for (size_t j = 0; j < COUNT(rv); j++)
            assert_rv(i == j ? CKR_OPERATION_NOT_INITIALIZED : CKR_OK, rv[j]);
    }
    assert_ok(p11_3->C_SessionCancel(fx.session, CKF_MESSAGE_ENCRYPT)); /* nothing to cancel */
}

static void logout_and_destroy(void **state)
{
    (void)state;
    for (enum place place = 0; place < PLACES; place++)
        for (int destroy = 0; destroy < 2; destroy++) {
            struct aead a;
            CK_BYTE out[32];
            CK_ULONG n = sizeof out;
            CK_OBJECT_HANDLE key = key_in(place);
            make(&a, true, 8, 1);
            begin_both(true, key);
            if (destroy)
                assert_ok(p11->C_DestroyObject(fx.session, key));
            else
                assert_ok(p11->C_Logout(fx.session));
            assert_rv_either(CKR_KEY_HANDLE_INVALID, CKR_USER_NOT_LOGGED_IN,
                             encrypt_message(&a, plain, 8, out, &n));
            assert_rv_either(CKR_KEY_HANDLE_INVALID, CKR_USER_NOT_LOGGED_IN,
                             p11_3->C_DecryptMessageBegin(fx.session, &a.as, a.size, NULL, 0));
            end_both();
            if (!destroy)
                assert_ok(login(fx.session, CKU_USER, USER_PIN));
        }
}

/* ---- signatures ---------------------------------------------------------------------------- */

static struct key_pair generate_edwards(int nid)
{
    struct blob curve = ec_params(nid);
    CK_ATTRIBUTE public[] = {ATTR_MEM(CKA_EC_PARAMS, curve.p, curve.n),
                             ATTR_BOOL(CKA_VERIFY, true)};
    CK_ATTRIBUTE private[] = {ATTR_BOOL(CKA_SIGN, true)};
    struct key_pair pair = {CK_INVALID_HANDLE, CK_INVALID_HANDLE};
    assert_ok(p11->C_GenerateKeyPair(fx.session, MECHANISM(CKM_EC_EDWARDS_KEY_PAIR_GEN), public,
                                     COUNT(public), private, COUNT(private), &pair.public,
                                     &pair.private));
    return pair;
}

static CK_RV sign_message(const CK_BYTE *in, CK_ULONG n, struct blob *ret)
{
    ret->n = sizeof ret->p;
    return p11_3->C_SignMessage(fx.session, NULL, 0, (CK_BYTE_PTR)(uintptr_t)in, n, ret->p,
                                &ret->n);
}

static void sign_message_parts(const CK_BYTE *in, CK_ULONG n, uint32_t seed, struct blob *ret)
{
    CK_BYTE *p = (CK_BYTE_PTR)(uintptr_t)in;
    CK_ULONG at = 0, some, told = 0;
    assert_ok(p11_3->C_SignMessageBegin(fx.session, NULL, 0));
    for (; at + 10 < n; at += some) {
        some = next_part(&seed, n - at);
        assert_ok(p11_3->C_SignMessageNext(fx.session, NULL, 0, p + at, some, NULL, NULL));
    }
    assert_ok(p11_3->C_SignMessageNext(fx.session, NULL, 0, p + at, n - at, NULL, &told));
    ret->n = told - 1;
    assert_rv(CKR_BUFFER_TOO_SMALL,
              p11_3->C_SignMessageNext(fx.session, NULL, 0, p + at, n - at, ret->p, &ret->n));
    assert_int_equal(ret->n, told);
    assert_ok(p11_3->C_SignMessageNext(fx.session, NULL, 0, p + at, n - at, ret->p, &ret->n));
    assert_rv(CKR_OPERATION_NOT_INITIALIZED,
              p11_3->C_SignMessageNext(fx.session, NULL, 0, p, 1, NULL, NULL));
}

static CK_RV verify_message(const CK_BYTE *in, CK_ULONG n, struct blob signature)
{
    return p11_3->C_VerifyMessage(fx.session, NULL, 0, (CK_BYTE_PTR)(uintptr_t)in, n, signature.p,
                                  signature.n);
}

static CK_RV verify_message_parts(const CK_BYTE *in, CK_ULONG n, uint32_t seed,
                                  struct blob signature)
{
    CK_BYTE *p = (CK_BYTE_PTR)(uintptr_t)in;
    CK_ULONG at = 0, some;
    assert_ok(p11_3->C_VerifyMessageBegin(fx.session, NULL, 0));
    for (; at + 10 < n; at += some) {
        some = next_part(&seed, n - at);
        assert_ok(p11_3->C_VerifyMessageNext(fx.session, NULL, 0, p + at, some, NULL, 0));
    }
    CK_RV rv =
        p11_3->C_VerifyMessageNext(fx.session, NULL, 0, p + at, n - at, signature.p, signature.n);
    assert_rv(CKR_OPERATION_NOT_INITIALIZED,
              p11_3->C_VerifyMessageNext(fx.session, NULL, 0, p, 1, NULL, 0));
    return rv;
}

static void assert_verifies(CK_MECHANISM *m, CK_OBJECT_HANDLE key, const CK_BYTE *in, CK_ULONG n,
                            struct blob signature)
{
    struct blob wrong = signature;
    wrong.p[wrong.n - 1] ^= 1;
    assert_ok(verify(fx.session, m, key, in, n, signature));
    assert_ok(verify_message(in, n, signature));
    assert_ok(verify_message_parts(in, n, 4, signature));
    assert_rv(CKR_SIGNATURE_INVALID, verify_message(in, n, wrong));
    assert_rv(CKR_SIGNATURE_INVALID, verify_message_parts(in, n, 5, wrong));
    wrong.n--;
    assert_rv(CKR_SIGNATURE_LEN_RANGE, verify_message(in, n, wrong));
    assert_rv(CKR_SIGNATURE_LEN_RANGE, verify_message_parts(in, n, 6, wrong));
    assert_ok(verify_message(in, n, signature)); /* none of it ended the process */
}

static void signs_messages(CK_MECHANISM *m, struct key_pair key, CK_ULONG size)
{
    static const CK_ULONG lengths[] = {0, 1, 32, 500, 2500};
    struct blob signature;
    assert_ok(p11_3->C_MessageSignInit(fx.session, m, key.private));
    assert_ok(p11_3->C_MessageVerifyInit(fx.session, m, key.public));
    for (size_t i = 0; i < COUNT(lengths); i++) {
        CK_ULONG n = m->mechanism == CKM_ECDSA ? 32 : lengths[i], told = 0;
        fill(plain, n, (uint32_t)i);
        assert_ok(p11_3->C_SignMessage(fx.session, NULL, 0, plain, n, NULL, &told));
        assert_int_equal(told, size);
        told--;
        assert_rv(CKR_BUFFER_TOO_SMALL,
                  p11_3->C_SignMessage(fx.session, NULL, 0, plain, n, signature.p, &told));
        assert_int_equal(told, size);
        assert_ok(sign_message(plain, n, &signature));
        assert_int_equal(signature.n, size);
        assert_verifies(m, key.public, plain, n, signature);
        sign_message_parts(plain, n, (uint32_t)i, &signature);
        assert_verifies(m, key.public, plain, n, signature);
    }
    assert_ok(p11_3->C_MessageSignFinal(fx.session));
    assert_ok(p11_3->C_MessageVerifyFinal(fx.session));
}

static void signed_by_pairs(void **state)
{
    (void)state;
    CK_RSA_PKCS_PSS_PARAMS pss = {CKM_SHA256, CKG_MGF1_SHA256, 32};
    struct key_pair ec = generate_ec(fx.session, NID_X9_62_prime256v1, "ec", false);
    struct key_pair rsa = generate_rsa(fx.session, 2048, "rsa", false);
    signs_messages(MECHANISM(CKM_ECDSA_SHA256), ec, 64);
    signs_messages(MECHANISM(CKM_ECDSA), ec, 64);
    signs_messages(MECHANISM_WITH(CKM_SHA256_RSA_PKCS_PSS, pss), rsa, 256);
    signs_messages(MECHANISM(CKM_SHA256_RSA_PKCS), rsa, 256);
    signs_messages(MECHANISM(CKM_EDDSA), generate_edwards(NID_ED25519), 64);
    signs_messages(MECHANISM(CKM_EDDSA), generate_edwards(NID_ED448), 114);
}

static void signed_by_secret_keys(void **state)
{
    (void)state;
    for (enum place place = 0; place < PLACES; place++) {
        CK_OBJECT_HANDLE aes = key_in(place);
        CK_OBJECT_HANDLE hmac = import_key(fx.session, place, CKK_GENERIC_SECRET, key_value, 32);
        CK_ULONG n = 10;
        signs_messages(MECHANISM(CKM_AES_CMAC), (struct key_pair){aes, aes}, 16);
        signs_messages(MECHANISM(CKM_SHA256_HMAC), (struct key_pair){hmac, hmac}, 32);
        signs_messages(MECHANISM_WITH(CKM_SHA512_HMAC_GENERAL, n), (struct key_pair){hmac, hmac},
                       10);
    }
}

/* A process of messages under one GMAC parameter would use one IV for all of them, which gives the
 * authentication key away (SP800-38D, 8 and appendix A). */
static void no_gmac_of_many_messages(void **state)
{
    (void)state;
    CK_BYTE iv[12] = {0};
    CK_MECHANISM_INFO info;
    CK_MECHANISM *m = MECHANISM_WITH(CKM_AES_GMAC, iv);
    CK_OBJECT_HANDLE key = key_in(IN_SESSION);
    assert_ok(p11->C_GetMechanismInfo(fx.slot, CKM_AES_GMAC, &info));
    assert_int_equal(info.flags & (CKF_MESSAGE_SIGN | CKF_MESSAGE_VERIFY), 0);
    assert_rv(CKR_MECHANISM_INVALID, p11_3->C_MessageSignInit(fx.session, m, key));
    assert_rv(CKR_MECHANISM_INVALID, p11_3->C_MessageVerifyInit(fx.session, m, key));
}

static void states_of_signing(void **state)
{
    (void)state;
    struct blob signature = {.n = sizeof signature.p};
    CK_MECHANISM *m = MECHANISM(CKM_AES_CMAC);
    CK_OBJECT_HANDLE key = key_in(IN_TPM);
    assert_rv(CKR_OPERATION_NOT_INITIALIZED, sign_message(plain, 4, &signature));
    assert_rv(CKR_OPERATION_NOT_INITIALIZED, p11_3->C_SignMessageBegin(fx.session, NULL, 0));
    assert_rv(CKR_OPERATION_NOT_INITIALIZED, verify_message(plain, 4, signature));
    assert_rv(CKR_OPERATION_NOT_INITIALIZED, p11_3->C_VerifyMessageBegin(fx.session, NULL, 0));
    assert_rv(CKR_OPERATION_NOT_INITIALIZED, p11_3->C_MessageSignFinal(fx.session));
    assert_rv(CKR_OPERATION_NOT_INITIALIZED, p11_3->C_MessageVerifyFinal(fx.session));
    assert_ok(p11_3->C_MessageSignInit(fx.session, m, key));
    assert_ok(p11_3->C_MessageVerifyInit(fx.session, m, key));
    assert_rv(CKR_OPERATION_ACTIVE, p11_3->C_MessageSignInit(fx.session, m, key));
    assert_rv(CKR_OPERATION_ACTIVE, p11_3->C_MessageVerifyInit(fx.session, m, key));
    assert_ok(p11_3->C_SignMessageBegin(fx.session, NULL, 0));
    assert_ok(p11_3->C_VerifyMessageBegin(fx.session, NULL, 0));
    assert_rv(CKR_OPERATION_ACTIVE, p11_3->C_SignMessageBegin(fx.session, NULL, 0));
    assert_rv(CKR_OPERATION_ACTIVE, p11_3->C_VerifyMessageBegin(fx.session, NULL, 0));
    assert_rv(CKR_OPERATION_ACTIVE, sign_message(plain, 4, &signature));
    assert_rv(CKR_OPERATION_ACTIVE, verify_message(plain, 4, signature));
    /* those refusals did not end the messages that were under way */
    assert_ok(p11_3->C_SignMessageNext(fx.session, NULL, 0, plain, 4, NULL, NULL));
    assert_ok(p11_3->C_VerifyMessageNext(fx.session, NULL, 0, plain, 4, NULL, 0));
    assert_ok(p11_3->C_MessageSignInit(fx.session, NULL, 0));
    assert_ok(p11_3->C_MessageVerifyInit(fx.session, NULL, 0));
    assert_rv(CKR_OPERATION_NOT_INITIALIZED, p11_3->C_MessageSignFinal(fx.session));
    assert_rv(CKR_OPERATION_NOT_INITIALIZED, p11_3->C_MessageVerifyFinal(fx.session));
}

#define USER_TEST(f) cmocka_unit_test_setup_teardown(f, test_user, test_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        USER_TEST(one_part),
        USER_TEST(parts),
        USER_TEST(tag_at_the_last_part),
        USER_TEST(generated_ivs),
        USER_TEST(generated_anew),
        USER_TEST(ivs_run_out),
        USER_TEST(wrong_generators),
        USER_TEST(tampered),
        USER_TEST(length_protocol),
        USER_TEST(wrong_gcm_parameters),
        USER_TEST(wrong_ccm_parameters),
        USER_TEST(init_parameters),
        USER_TEST(states),
        USER_TEST(session_cancel),
        USER_TEST(logout_and_destroy),
        USER_TEST(signed_by_pairs),
        USER_TEST(signed_by_secret_keys),
        USER_TEST(no_gmac_of_many_messages),
        USER_TEST(states_of_signing),
    };
    return cmocka_run_group_tests(tests, group_token, group_end);
}
