/* Two operations at once: PKCS#11 3.0 section 5.17. */
#include "secret_keys.h"

static CK_BYTE plain[3000], sealed[3016], iv[16];
static const CK_BYTE value[16] = {7, 7, 7};
static CK_OBJECT_HANDLE aes, hmac;

/* A pair of operations that one call feeds. */
struct dual {
    bool encrypt, mac;
    CK_RV (*update)(CK_SESSION_HANDLE, CK_BYTE *, CK_ULONG, CK_BYTE *, CK_ULONG *);
};

static struct dual duals[4];

static int test_keys(void **state)
{
    test_user(state);
    duals[0] = (struct dual){true, false, p11->C_DigestEncryptUpdate};
    duals[1] = (struct dual){false, false, p11->C_DecryptDigestUpdate};
    duals[2] = (struct dual){true, true, p11->C_SignEncryptUpdate};
    duals[3] = (struct dual){false, true, p11->C_DecryptVerifyUpdate};
    aes = import_key(fx.session, IN_TPM, CKK_AES, value, sizeof value);
    hmac = import_key(fx.session, SEALED, CKK_GENERIC_SECRET, value, sizeof value);
    fill(plain, sizeof plain, 1);
    return 0;
}

static CK_RV begin_cipher(const struct dual *d, CK_MECHANISM *m)
{
    return (d->encrypt ? p11->C_EncryptInit : p11->C_DecryptInit)(fx.session, m, aes);
}

static CK_RV begin_other(const struct dual *d)
{
    if (!d->mac)
        return p11->C_DigestInit(fx.session, MECHANISM(CKM_SHA256));
    return (d->encrypt ? p11->C_SignInit : p11->C_VerifyInit)(fx.session,
                                                              MECHANISM(CKM_SHA384_HMAC), hmac);
}

/* The other operation saw exactly these bytes. */
static void end_other(const struct dual *d, const CK_BYTE *p, CK_ULONG n)
{
    struct blob got = {.n = sizeof got.p};
    struct blob want = d->mac ? evp_mac("HMAC", "SHA384", value, sizeof value, NULL, 0, p, n)
                              : openssl_digest("SHA256", p, n);
    if (d->mac && !d->encrypt) {
        assert_ok(p11->C_VerifyFinal(fx.session, want.p, want.n));
        return;
    }
    assert_ok(d->mac ? p11->C_SignFinal(fx.session, got.p, &got.n)
                     : p11->C_DigestFinal(fx.session, got.p, &got.n));
    assert_blob(got, want.p, want.n);
}

static CK_ULONG end_cipher(const struct dual *d, CK_BYTE *out, CK_ULONG room)
{
    assert_ok((d->encrypt ? p11->C_EncryptFinal : p11->C_DecryptFinal)(fx.session, out, &room));
    return room;
}

/* ---- results ------------------------------------------------------------------------------- */

/* Each part, in place or not, after a question and a short buffer: neither feeds anything. */
static CK_ULONG feed_part(const struct dual *d, const CK_BYTE *in, CK_ULONG n, uint32_t *seed,
                          CK_BYTE *out)
{
    CK_BYTE copy[2048], *to = draw(seed, 2) == 0 ? copy : out;
    CK_ULONG told = 0, got = sizeof copy;
    if (n > 0)
        memcpy(copy, in, n);
    assert_ok(d->update(fx.session, copy, n, NULL, &told));
    if (told > 0) {
        CK_ULONG less = told - 1;
        assert_rv(CKR_BUFFER_TOO_SMALL, d->update(fx.session, copy, n, to, &less));
        assert_int_equal(less, told);
    }
    assert_ok(d->update(fx.session, copy, n, to, &got));
    if (to == copy && got > 0)
        memcpy(out, copy, got);
    return got;
}

static void run(const struct dual *d, CK_MECHANISM *m, const CK_BYTE *in, CK_ULONG in_n,
                const CK_BYTE *want, CK_ULONG want_n, uint32_t seed)
{
    static CK_BYTE out[8192];
    CK_ULONG out_n = 0;
    assert_ok(begin_cipher(d, m));
    assert_ok(begin_other(d));
    for (CK_ULONG at = 0, some; at < in_n; at += some) {
        some = next_part(&seed, in_n - at);
        out_n += feed_part(d, in + at, some, &seed, out + out_n);
    }
    CK_ULONG fed = d->encrypt ? in_n : out_n; /* not what the padding held back */
    out_n += end_cipher(d, out + out_n, sizeof out - out_n);
    assert_int_equal(out_n, want_n);
    assert_memory_equal(out, want, want_n);
    end_other(d, plain, fed);
    assert_idle(fx.session);
}

static void as_the_single_ones(void **state)
{
    (void)state;
    static const struct {
        CK_MECHANISM_TYPE type;
        const char *evp;
        bool padding;
        CK_ULONG n;
    } rows[] = {{CKM_AES_CBC, "CBC", false, 2992},
                {CKM_AES_CBC_PAD, "CBC", true, 2992},
                {CKM_AES_CBC_PAD, "CBC", true, 1000},
                {CKM_AES_OFB, "OFB", false, 2999}};
    for (size_t i = 0; i < COUNT(rows) * COUNT(duals); i++) {
        const struct dual *d = &duals[i % COUNT(duals)];
        CK_ULONG n = rows[i / COUNT(duals)].n;
        CK_MECHANISM m = {rows[i / COUNT(duals)].type, iv, sizeof iv};
        CK_ULONG sealed_n = evp_encrypt(rows[i / COUNT(duals)].evp, rows[i / COUNT(duals)].padding,
                                        value, sizeof value, iv, plain, n, sealed);
        for (uint32_t seed = 1; seed < 5; seed++)
            run(d, &m, d->encrypt ? plain : sealed, d->encrypt ? n : sealed_n,
                d->encrypt ? sealed : plain, d->encrypt ? sealed_n : n, seed);
    }
}

/* The calls may be mixed with those of one operation. */
static void interspersed(void **state)
{
    (void)state;
    CK_BYTE out[64];
    CK_ULONG n = 16;
    CK_MECHANISM cbc = {CKM_AES_CBC, iv, sizeof iv};
    struct blob digest = {.n = sizeof digest.p};
    assert_int_equal(evp_encrypt("CBC", false, value, 16, iv, plain, 48, sealed), 48);
    assert_ok(p11->C_EncryptInit(fx.session, &cbc, aes));
    assert_ok(p11->C_DigestInit(fx.session, MECHANISM(CKM_SHA256)));
    assert_ok(p11->C_DigestEncryptUpdate(fx.session, plain, 16, out, &n));
    assert_ok(p11->C_EncryptUpdate(fx.session, plain + 16, 16, out + 16, &n));
    assert_ok(p11->C_DigestUpdate(fx.session, plain + 16, 16));
    assert_ok(p11->C_DigestEncryptUpdate(fx.session, plain + 32, 16, out + 32, &n));
    assert_ok(p11->C_DigestKey(fx.session, hmac));
    assert_ok(p11->C_DigestFinal(fx.session, digest.p, &digest.n));
    n = 0;
    assert_ok(p11->C_EncryptFinal(fx.session, out, &n));
    assert_memory_equal(out, sealed, 48);
    memcpy(plain + 48, value, sizeof value);
    struct blob want = openssl_digest("SHA256", plain, 64);
    assert_blob(digest, want.p, want.n);
}

/* A signature that is wrong is found at the end, as ever. */
static void wrong_signature(void **state)
{
    (void)state;
    CK_BYTE out[64];
    CK_ULONG n = sizeof out;
    CK_MECHANISM cbc = {CKM_AES_CBC, iv, sizeof iv};
    struct blob mac = evp_mac("HMAC", "SHA384", value, sizeof value, NULL, 0, plain, 31);
    evp_encrypt("CBC", false, value, 16, iv, plain, 32, sealed);
    assert_ok(p11->C_DecryptInit(fx.session, &cbc, aes));
    assert_ok(begin_other(&duals[3]));
    assert_ok(p11->C_DecryptVerifyUpdate(fx.session, sealed, 32, out, &n));
    assert_rv(CKR_SIGNATURE_INVALID, p11->C_VerifyFinal(fx.session, mac.p, mac.n));
    n = 0;
    assert_ok(p11->C_DecryptFinal(fx.session, out, &n));
}

/* ---- what is refused ----------------------------------------------------------------------- */

static void both_must_be_active(void **state)
{
    (void)state;
    CK_MECHANISM cbc = {CKM_AES_CBC, iv, sizeof iv};
    CK_BYTE out[32];
    for (size_t i = 0; i < COUNT(duals); i++) {
        CK_ULONG n = sizeof out;
        assert_rv(CKR_OPERATION_NOT_INITIALIZED, duals[i].update(fx.session, plain, 16, out, &n));
        assert_ok(begin_cipher(&duals[i], &cbc));
        assert_rv(CKR_OPERATION_NOT_INITIALIZED, duals[i].update(fx.session, plain, 16, out, &n));
        /* the one that was active still is, and was given nothing */
        assert_int_equal(end_cipher(&duals[i], out, sizeof out), 0);
        assert_ok(begin_other(&duals[i]));
        n = sizeof out;
        assert_rv(CKR_OPERATION_NOT_INITIALIZED, duals[i].update(fx.session, plain, 16, out, &n));
        end_other(&duals[i], NULL, 0);
        assert_idle(fx.session);
    }
}

static void bad_arguments(void **state)
{
    (void)state;
    CK_MECHANISM cbc = {CKM_AES_CBC, iv, sizeof iv};
    CK_BYTE out[32];
    CK_ULONG n = sizeof out;
    for (size_t i = 0; i < COUNT(duals); i++) {
        assert_ok(begin_cipher(&duals[i], &cbc));
        assert_ok(begin_other(&duals[i]));
        assert_rv(CKR_ARGUMENTS_BAD, duals[i].update(fx.session, plain, 16, out, NULL));
        assert_idle(fx.session);
        assert_ok(begin_cipher(&duals[i], &cbc));
        assert_ok(begin_other(&duals[i]));
        assert_rv(CKR_ARGUMENTS_BAD, duals[i].update(fx.session, NULL, 16, out, &n));
        assert_idle(fx.session);
        assert_rv(CKR_SESSION_HANDLE_INVALID, duals[i].update(0, plain, 16, out, &n));
    }
}

/* "If a call does not produce output because an error occurs, then no plaintext is passed to the
 * active digest operation." */
static void error_in_the_cipher(void **state)
{
    (void)state;
    CK_BYTE out[64];
    for (size_t i = 0; i < COUNT(duals); i++) {
        CK_AES_CTR_PARAMS ctr = {.ulCounterBits = 1};
        CK_MECHANISM m = {CKM_AES_CTR, &ctr, sizeof ctr};
        CK_ULONG n = sizeof out;
        assert_ok(begin_cipher(&duals[i], &m));
        assert_ok(begin_other(&duals[i]));
        assert_rv_either(CKR_DATA_LEN_RANGE, CKR_ENCRYPTED_DATA_LEN_RANGE,
                         duals[i].update(fx.session, plain, 48, out, &n));
        end_other(&duals[i], NULL, 0);
        assert_idle(fx.session);
    }
}

#define KEYS_TEST(f) cmocka_unit_test_setup_teardown(f, test_keys, test_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        KEYS_TEST(as_the_single_ones),  KEYS_TEST(interspersed),  KEYS_TEST(wrong_signature),
        KEYS_TEST(both_must_be_active), KEYS_TEST(bad_arguments), KEYS_TEST(error_in_the_cipher),
    };
    return cmocka_run_group_tests(tests, group_token, group_end);
}
