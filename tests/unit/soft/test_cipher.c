/* AES-CFB, AES-GCM and the random generator. */
#include "soft_test.h"

/* NIST SP800-38A, F.3.13 and F.3.14: CFB128-AES128. */
static void cfb_sp800_38a(void **state)
{
    (void)state;
    static const char plain[] = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
                                "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710";
    static const char cipher[] = "3b3fd92eb72dad20333449f8e83cfb4ac8a64537a0b3a93fcde3cdad9f1ce58b"
                                 "26751f67a3cbb140b1808cf187a4f4dfc04b05357c5d1c0eeac4c66f9ff7f2e6";
    struct hex key = unhex("2b7e151628aed2a6abf7158809cf4f3c");
    struct hex iv = unhex("000102030405060708090a0b0c0d0e0f");
    for (size_t n = 0; n <= 64; n++) {
        struct hex data = unhex(plain), expected = unhex(cipher), original = data;
        assert_ok(soft_aes_cfb(true, key.p, iv.p, data.p, n));
        assert_memory_equal(data.p, expected.p, n);
        assert_memory_equal(data.p + n, original.p + n, 64 - n);
        assert_ok(soft_aes_cfb(false, key.p, iv.p, data.p, n));
        assert_memory_equal(data.p, original.p, 64);
    }
}

/* McGrew and Viega, "The Galois/Counter Mode of Operation" (submission to NIST), appendix B,
 * test cases 13 to 16: AES-256. */
static void gcm_opens_known_vectors(void **state)
{
    (void)state;
    static const char key0[] = "0000000000000000000000000000000000000000000000000000000000000000";
    static const char key1[] = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308";
    const struct {
        const char *key, *aad, *sealed, *plain;
    } cases[] = {
        {key0, "", "000000000000000000000000 530f8afbc74536b9a963b4f1c4cb738b", ""},
        {key0, "",
         "000000000000000000000000 cea7403d4d606b6e074ec5d3baf39d18 "
         "d0d1c8a799996bf0265b98b5d48ab919",
         "00000000000000000000000000000000"},
        {key1, "",
         "cafebabefacedbaddecaf888"
         "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
         "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad"
         "b094dac5d93471bdec1a502270e3cc6c",
         "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
         "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255"},
        {key1, "feedfacedeadbeeffeedfacedeadbeefabaddad2",
         "cafebabefacedbaddecaf888"
         "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
         "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
         "76fc6ece0f4e1768cddf8853bb2d551b",
         "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
         "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct hex key = unhex(cases[i].key), aad = unhex(cases[i].aad);
        struct hex sealed = unhex(cases[i].sealed), plain = unhex(cases[i].plain);
        struct secret opened = {0};
        assert_ok(soft_gcm_open(key.p, HEX_BYTES(aad), HEX_BYTES(sealed), &opened));
        assert_int_equal(opened.n, plain.n);
        assert_memory_equal(opened.p, plain.p, plain.n);
        secret_free(&opened);
    }
}

static void gcm_round_trips_with_a_fresh_iv(void **state)
{
    (void)state;
    uint8_t key[32], data[100];
    fill(key, sizeof(key), 1);
    fill(data, sizeof(data), 2);
    for (size_t n = 0; n <= sizeof(data); n++) {
        CLEANUP(buf_free) struct buf sealed = {0};
        CLEANUP(buf_free) struct buf again = {0};
        CLEANUP(secret_free) struct secret opened = {0};
        struct bytes aad = BYTES(data, n % 7), plain = BYTES(data, n);
        assert_ok(buf_u8(&sealed, 0xEE)); /* it appends */
        assert_ok(soft_gcm_seal(key, aad, plain, &sealed));
        assert_ok(soft_gcm_seal(key, aad, plain, &again));
        assert_int_equal(sealed.n, 1 + GCM_IV + n + GCM_TAG);
        assert_int_equal(sealed.p[0], 0xEE);
        assert_memory_not_equal(sealed.p + 1, again.p, GCM_IV);
        assert_ok(soft_gcm_open(key, aad, BYTES(sealed.p + 1, sealed.n - 1), &opened));
        assert_int_equal(opened.n, n);
        assert_memory_equal(opened.p, data, n);
    }
}

static void gcm_refuses_every_change(void **state)
{
    (void)state;
    uint8_t key[32] = {1}, aad[] = "row 7";
    CLEANUP(buf_free) struct buf sealed = {0};
    struct secret opened = {0};
    assert_ok(soft_gcm_seal(key, BYTES_OF(aad), BYTES("attribute", 9), &sealed));
    for (size_t bit = 0; bit < 8 * sealed.n; bit++) {
        sealed.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(soft_gcm_open(key, BYTES_OF(aad), buf_bytes(&sealed), &opened),
                         CKR_ENCRYPTED_DATA_INVALID);
        sealed.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t n = 0; n < sealed.n; n++)
        assert_int_equal(soft_gcm_open(key, BYTES_OF(aad), BYTES(sealed.p, n), &opened),
                         CKR_ENCRYPTED_DATA_INVALID);
    assert_int_equal(soft_gcm_open(key, BYTES(aad, 5), buf_bytes(&sealed), &opened),
                     CKR_ENCRYPTED_DATA_INVALID);
    key[31] ^= 1;
    assert_int_equal(soft_gcm_open(key, BYTES_OF(aad), buf_bytes(&sealed), &opened),
                     CKR_ENCRYPTED_DATA_INVALID);
    assert_null(opened.p);
}

static void random_fills_all_of_it(void **state)
{
    (void)state;
    static uint8_t a[1000], b[1000];
    assert_ok(soft_random(a, 0));
    assert_int_equal(a[0], 0);
    assert_ok(soft_random(a, sizeof(a) - 1));
    assert_ok(soft_random(b, sizeof(b) - 1));
    assert_int_equal(a[999], 0);
    /* sixteen equal or zero bytes in a row: a probability of 2^-128 each */
    for (size_t i = 0; i + 16 < sizeof(a); i += 16) {
        static const uint8_t zeros[16];
        assert_memory_not_equal(a + i, b + i, 16);
        assert_memory_not_equal(a + i, zeros, 16);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cfb_sp800_38a),
        cmocka_unit_test(gcm_opens_known_vectors),
        cmocka_unit_test(gcm_round_trips_with_a_fresh_iv),
        cmocka_unit_test(gcm_refuses_every_change),
        cmocka_unit_test(random_fills_all_of_it),
    };
    return run_soft_tests(tests);
}
