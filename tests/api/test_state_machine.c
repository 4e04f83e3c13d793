/* The life of an operation: PKCS#11 3.0 sections 5.2 (output lengths) and 5.8 to 5.15 (what ends
 * it). */
#include "keys.h"

/* One row an operation with output: how it begins, its one-part and its last multi-part call. */
struct operation {
    const char *name;
    CK_RV (*begin)(void);
    CK_RV (*whole)(CK_BYTE *out, CK_ULONG *n);
    CK_RV (*update)(void);
    CK_RV (*final)(CK_BYTE *out, CK_ULONG *n);
    CK_ULONG size;
};

static struct key_pair rsa, ec;
static CK_BYTE message[32] = {1, 2, 3};
static struct blob ciphertext;

static int test_keys(void **state)
{
    test_user(state);
    rsa = keys_of(fx.session, "rsa2048");
    ec = keys_of(fx.session, "p256");
    ciphertext.n = sizeof ciphertext.p;
    assert_ok(p11->C_EncryptInit(fx.session, MECHANISM(CKM_RSA_PKCS), rsa.public));
    assert_ok(p11->C_Encrypt(fx.session, message, sizeof message, ciphertext.p, &ciphertext.n));
    return 0;
}

static CK_RV sign_begin(void)
{
    return p11->C_SignInit(fx.session, MECHANISM(CKM_ECDSA_SHA256), ec.private);
}

static CK_RV sign_whole(CK_BYTE *out, CK_ULONG *n)
{
    return p11->C_Sign(fx.session, message, sizeof message, out, n);
}

static CK_RV sign_update(void)
{
    return p11->C_SignUpdate(fx.session, message, sizeof message);
}

static CK_RV sign_final(CK_BYTE *out, CK_ULONG *n)
{
    return p11->C_SignFinal(fx.session, out, n);
}

static CK_RV rsa_sign_begin(void)
{
    return p11->C_SignInit(fx.session, MECHANISM(CKM_SHA256_RSA_PKCS), rsa.private);
}

static CK_RV digest_begin(void)
{
    return p11->C_DigestInit(fx.session, MECHANISM(CKM_SHA256));
}

static CK_RV digest_whole(CK_BYTE *out, CK_ULONG *n)
{
    return p11->C_Digest(fx.session, message, sizeof message, out, n);
}

static CK_RV digest_update(void)
{
    return p11->C_DigestUpdate(fx.session, message, sizeof message);
}

static CK_RV digest_final(CK_BYTE *out, CK_ULONG *n)
{
    return p11->C_DigestFinal(fx.session, out, n);
}

static CK_RV encrypt_begin(void)
{
    return p11->C_EncryptInit(fx.session, MECHANISM(CKM_RSA_PKCS), rsa.public);
}

static CK_RV encrypt_whole(CK_BYTE *out, CK_ULONG *n)
{
    return p11->C_Encrypt(fx.session, message, sizeof message, out, n);
}

static CK_RV decrypt_begin(void)
{
    return p11->C_DecryptInit(fx.session, MECHANISM(CKM_RSA_PKCS), rsa.private);
}

static CK_RV decrypt_whole(CK_BYTE *out, CK_ULONG *n)
{
    return p11->C_Decrypt(fx.session, ciphertext.p, ciphertext.n, out, n);
}

static const struct operation operations[] = {
    {"ECDSA", sign_begin, sign_whole, sign_update, sign_final, 64},
    {"RSA signature", rsa_sign_begin, sign_whole, sign_update, sign_final, 256},
    {"digest", digest_begin, digest_whole, digest_update, digest_final, 32},
    {"encryption", encrypt_begin, encrypt_whole, NULL, NULL, 256},
    {"decryption", decrypt_begin, decrypt_whole, NULL, NULL, sizeof message},
};

/* NULL asks for the length, a short buffer is refused with the length; neither ends the operation,
 * success does. */
static void length_protocol(CK_RV (*last)(CK_BYTE *, CK_ULONG *), CK_ULONG size)
{
    CK_BYTE out[512];
    CK_ULONG n = 0;
    for (int i = 0; i < 2; i++) {
        assert_ok(last(NULL, &n));
        assert_true(n >= size); /* a decryption may answer its upper bound */
        n = size - 1;
        memset(out, 0xEE, sizeof out);
        assert_rv(CKR_BUFFER_TOO_SMALL, last(out, &n));
        assert_true(n >= size);
        assert_int_equal(out[0], 0xEE);
    }
    memset(out, 0xEE, sizeof out);
    assert_ok(last(out, &n));
    assert_int_equal(n, size);
    assert_int_equal(out[size], 0xEE);
    assert_rv(CKR_OPERATION_NOT_INITIALIZED, last(out, &n));
}

static void output_lengths(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(operations); i++) {
        const struct operation *o = &operations[i];
        print_message("    %s\n", o->name);
        assert_ok(o->begin());
        length_protocol(o->whole, o->size);
        if (o->final == NULL)
            continue;
        assert_ok(o->begin());
        assert_ok(o->update());
        length_protocol(o->final, o->size);
    }
}

static void exact_buffers(void **state)
{
    (void)state;
    CK_BYTE out[512];
    for (size_t i = 0; i < COUNT(operations); i++) {
        CK_ULONG n = operations[i].size;
        assert_ok(operations[i].begin());
        assert_ok(operations[i].whole(out, &n));
        assert_int_equal(n, operations[i].size);
    }
}

static void active_and_not_initialized(void **state)
{
    (void)state;
    CK_BYTE out[512];
    for (size_t i = 0; i < COUNT(operations); i++) {
        const struct operation *o = &operations[i];
        CK_ULONG n = sizeof out;
        assert_rv(CKR_OPERATION_NOT_INITIALIZED, o->whole(out, &n));
        if (o->update != NULL) {
            assert_rv(CKR_OPERATION_NOT_INITIALIZED, o->update());
            assert_rv(CKR_OPERATION_NOT_INITIALIZED, o->final(out, &n));
        }
        assert_ok(o->begin());
        assert_rv(CKR_OPERATION_ACTIVE, o->begin());
        n = sizeof out;
        assert_ok(o->whole(out, &n)); /* the refused begin did no harm */
    }
}

/* A one-part call does not end a multi-part operation. */
static void no_whole_after_update(void **state)
{
    (void)state;
    CK_BYTE out[512];
    CK_ULONG n = sizeof out;
    for (size_t i = 0; i < COUNT(operations); i++) {
        const struct operation *o = &operations[i];
        if (o->update == NULL)
            continue;
        assert_ok(o->begin());
        assert_ok(o->update());
        assert_rv_either(CKR_OPERATION_ACTIVE, CKR_OPERATION_NOT_INITIALIZED, o->whole(out, &n));
        p11_3->C_SessionCancel(fx.session, CKF_SIGN | CKF_DIGEST);
    }
}

/* A C_EncryptUpdate that only asks for a length is none: the one-part call may follow. */
static void whole_after_a_question(void **state)
{
    (void)state;
    CK_BYTE data[] = "data", out[512];
    CK_ULONG n = 0;
    CK_OBJECT_HANDLE key = keys_of(fx.session, "rsa2048").public;
    assert_ok(p11->C_EncryptInit(fx.session, MECHANISM(CKM_RSA_PKCS), key));
    assert_ok(p11->C_EncryptUpdate(fx.session, data, sizeof data, NULL, &n));
    n = sizeof out;
    assert_ok(p11->C_Encrypt(fx.session, data, sizeof data, out, &n));
    assert_int_equal(n, 256);
}

/* An error other than CKR_BUFFER_TOO_SMALL ends the operation. */
static void errors_end_it(void **state)
{
    (void)state;
    CK_BYTE out[512];
    CK_ULONG n = sizeof out;
    assert_ok(p11->C_SignInit(fx.session, MECHANISM(CKM_RSA_PKCS), rsa.private));
    assert_rv(CKR_DATA_LEN_RANGE, p11->C_Sign(fx.session, out, 300, out, &n));
    assert_rv(CKR_OPERATION_NOT_INITIALIZED, sign_whole(out, &n));
    assert_ok(encrypt_begin());
    assert_rv(CKR_DATA_LEN_RANGE, p11->C_Encrypt(fx.session, out, 300, out, &n));
    assert_rv(CKR_OPERATION_NOT_INITIALIZED, encrypt_whole(out, &n));
    assert_ok(decrypt_begin());
    assert_rv(CKR_ENCRYPTED_DATA_LEN_RANGE, p11->C_Decrypt(fx.session, out, 10, out, &n));
    assert_rv(CKR_OPERATION_NOT_INITIALIZED, decrypt_whole(out, &n));
}

/* A verification is over after C_Verify or C_VerifyFinal, whatever it says. */
static void verification_always_ends(void **state)
{
    (void)state;
    struct blob bad = {.n = 64};
    CK_MECHANISM *mechanism = MECHANISM(CKM_ECDSA_SHA256);
    assert_rv(CKR_SIGNATURE_INVALID, verify(fx.session, mechanism, ec.public, message, 32, bad));
    assert_rv(CKR_OPERATION_NOT_INITIALIZED,
              p11->C_Verify(fx.session, message, sizeof message, bad.p, 64));
    assert_ok(p11->C_VerifyInit(fx.session, mechanism, ec.public));
    assert_ok(p11->C_VerifyUpdate(fx.session, message, sizeof message));
    assert_rv(CKR_SIGNATURE_LEN_RANGE, p11->C_VerifyFinal(fx.session, bad.p, 63));
    assert_rv(CKR_OPERATION_NOT_INITIALIZED, p11->C_VerifyFinal(fx.session, bad.p, 64));
    assert_rv(CKR_OPERATION_NOT_INITIALIZED, p11->C_VerifyUpdate(fx.session, message, 1));
}

/* 3.0: a NULL mechanism ends the active operation. */
static void null_mechanism_cancels(void **state)
{
    (void)state;
    CK_BYTE out[512];
    CK_ULONG n = sizeof out;
    assert_ok(sign_begin());
    assert_ok(p11->C_SignInit(fx.session, NULL, 0));
    assert_rv(CKR_OPERATION_NOT_INITIALIZED, sign_whole(out, &n));
    assert_ok(digest_begin());
    assert_ok(p11->C_DigestInit(fx.session, NULL));
    assert_rv(CKR_OPERATION_NOT_INITIALIZED, digest_whole(out, &n));
    assert_ok(decrypt_begin());
    assert_ok(p11->C_DecryptInit(fx.session, NULL, 0));
    assert_rv(CKR_OPERATION_NOT_INITIALIZED, decrypt_whole(out, &n));
}

/* Input and output may be one buffer. */
static void in_place(void **state)
{
    (void)state;
    CK_BYTE buffer[256];
    CK_ULONG n = sizeof buffer;
    memcpy(buffer, message, sizeof message);
    assert_ok(encrypt_begin());
    assert_ok(p11->C_Encrypt(fx.session, buffer, sizeof message, buffer, &n));
    assert_ok(decrypt_begin());
    assert_ok(p11->C_Decrypt(fx.session, buffer, n, buffer, &n));
    assert_int_equal(n, sizeof message);
    assert_memory_equal(buffer, message, sizeof message);
}

/* Section 5.7.4 and 5.6.9 leave it open whether an operation goes on when its key is destroyed or
 * the user logs out; either way it comes to an end, and the next needs the key. */
static void operations_lose_their_key(void **state)
{
    (void)state;
    CK_BYTE out[512];
    CK_ULONG n = sizeof out;
    struct key_pair brief = generate_ec(fx.session, NID_X9_62_prime256v1, "brief", false);
    assert_ok(p11->C_SignInit(fx.session, MECHANISM(CKM_ECDSA), brief.private));
    assert_ok(p11->C_DestroyObject(fx.session, brief.private));
    p11->C_Sign(fx.session, message, 32, out, &n);
    assert_rv(CKR_KEY_HANDLE_INVALID,
              p11->C_SignInit(fx.session, MECHANISM(CKM_ECDSA), brief.private));
    assert_ok(sign_begin());
    assert_ok(p11->C_Logout(fx.session));
    n = sizeof out;
    sign_whole(out, &n);
    assert_rv(CKR_KEY_HANDLE_INVALID, sign_begin());
}

#define STATE_TEST(f) cmocka_unit_test_setup_teardown(f, test_keys, test_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STATE_TEST(output_lengths),
        STATE_TEST(exact_buffers),
        STATE_TEST(active_and_not_initialized),
        STATE_TEST(no_whole_after_update),
        STATE_TEST(whole_after_a_question),
        STATE_TEST(errors_end_it),
        STATE_TEST(verification_always_ends),
        STATE_TEST(null_mechanism_cancels),
        STATE_TEST(in_place),
        STATE_TEST(operations_lose_their_key),
    };
    return cmocka_run_group_tests(tests, group_keys, group_end);
}
