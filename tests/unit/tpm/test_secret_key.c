/* AES and HMAC keys in the TPM, and keys brought in from outside: all against src/soft, which its
 * own tests hold against published vectors and OpenSSL. */
#include "tpm_test.h"

#include <soft/aes.h>
#include <soft/private.h>

static const struct {
    enum tpm_cipher tpm;
    enum aes_mode soft;
    bool whole_blocks;
} modes[] = {{TPM_ECB, AES_ECB, true},
             {TPM_CBC, AES_CBC, true},
             {TPM_CTR, AES_CTR, false},
             {TPM_CFB, AES_CFB128, false},
             {TPM_OFB, AES_OFB, false}};

static void known_aes(struct pair *p, struct bytes value)
{
    const struct tpm_parent parent = srk();
    *p = (struct pair){0};
    fill(p->auth, sizeof(p->auth), 3);
    assert_ok(
        tpm_make_aes(fx.tpm, &parent, BYTES_OF(p->auth), (unsigned)(8 * value.n), value, &p->made));
    pair_key(p);
}

/* Every mode, both directions, lengths beyond one command's KiB, chained calls. */
static void test_aes_modes(void **state)
{
    (void)state;
    uint8_t value[32], plain[3000], ours[3000], theirs[3000];
    fill(value, sizeof(value), 1);
    fill(plain, sizeof(plain), 2);
    for (size_t bits = 16; bits <= 32; bits += 16) {
        struct pair key;
        known_aes(&key, BYTES(value, bits));
        for (size_t m = 0; m < sizeof(modes) / sizeof(*modes); m++) {
            uint8_t iv[16] = {9, 8, 7}, same_iv[16] = {9, 8, 7}, back_iv[16] = {9, 8, 7};
            size_t first = 1040, all = modes[m].whole_blocks ? 2992 : 2999;
            assert_ok(tpm_aes(fx.tpm, &key.key, modes[m].tpm, true, iv, plain, ours, first));
            assert_ok(tpm_aes(fx.tpm, &key.key, modes[m].tpm, true, iv, plain + first, ours + first,
                              all - first));
            assert_ok(
                soft_aes(modes[m].soft, true, BYTES(value, bits), same_iv, plain, theirs, all));
            assert_memory_equal(ours, theirs, all);
            assert_ok(tpm_aes(fx.tpm, &key.key, modes[m].tpm, false, back_iv, ours, ours, all));
            assert_memory_equal(ours, plain, all);
        }
        pair_free(&key);
    }
}

static void test_hmac(void **state)
{
    (void)state;
    static const enum hash hashes[] = {HASH_SHA1, HASH_SHA256, HASH_SHA384, HASH_SHA512};
    static const size_t sizes[] = {0, 1, 1023, 1024, 1025, 2048, 5000};
    const struct tpm_parent parent = srk();
    uint8_t value[64], data[5000], ours[HASH_MAX], theirs[HASH_MAX];
    struct pair key = {0};
    fill(value, sizeof(value), 4);
    fill(data, sizeof(data), 5);
    fill(key.auth, sizeof(key.auth), 6);
    assert_ok(tpm_make_hmac(fx.tpm, &parent, BYTES_OF(key.auth), BYTES_OF(value), &key.made));
    pair_key(&key);
    for (size_t h = 0; h < sizeof(hashes) / sizeof(*hashes); h++)
        for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
            struct bytes message = BYTES(data, sizes[i]);
            assert_ok(tpm_hmac(fx.tpm, &key.key, hashes[h], message, ours));
            assert_ok(soft_hmac(hashes[h], BYTES_OF(value), &message, 1, theirs));
            assert_memory_equal(ours, theirs, hash_size(hashes[h]));
        }
    pair_free(&key);
}

/* ---- from outside -------------------------------------------------------------------------- */

static void test_import_ec(void **state)
{
    (void)state;
    static const enum curve curves[] = {CURVE_P256, CURVE_P384, CURVE_P521};
    const struct tpm_parent parent = srk();
    for (size_t i = 0; i < sizeof(curves) / sizeof(*curves); i++) {
        CLEANUP(soft_private_free) struct soft_private *private_ = NULL;
        CLEANUP(secret_free) struct secret scalar = {0};
        uint8_t hash[32] = {1, 2, 3}, signature[2 * 66];
        struct pair key = {0};
        fill(key.auth, sizeof(key.auth), 8);
        assert_ok(soft_private_generate(curves[i], &private_));
        assert_ok(secret_copy(&scalar, soft_private_value(private_)));
        const struct soft_key *public_ = soft_private_public(private_);
        CLEANUP(buf_free) struct buf own = {0};
        assert_ok(soft_key_point(public_, &own));
        struct bytes point = buf_bytes(&own);
        tap_clear();
        assert_ok(tpm_import_ec(fx.tpm, &parent, BYTES_OF(key.auth), curves[i], point,
                                secret_bytes(&scalar), &key.made));
        assert_false(tap_carries(scalar.p, scalar.n)); /* never on the bus in clear */
        pair_key(&key);
        assert_ok(tpm_ecdsa(fx.tpm, &key.key, curves[i], BYTES_OF(hash), signature));
        assert_ok(soft_ecdsa_verify(public_, BYTES_OF(hash),
                                    BYTES(signature, 2 * curve_field_size(curves[i]))));
        scalar.p[scalar.n - 1] ^= 1; /* halves that do not belong together */
        struct tpm_key_made bad = {0};
        assert_rv(CKR_ATTRIBUTE_VALUE_INVALID,
                  tpm_import_ec(fx.tpm, &parent, BYTES_OF(key.auth), curves[i], point,
                                secret_bytes(&scalar), &bad));
        pair_free(&key);
    }
}

static void test_import_rsa(void **state)
{
    (void)state;
    static const uint8_t exponent[] = {1, 0, 1};
    const struct tpm_parent parent = srk();
    CLEANUP(soft_private_free) struct soft_private *private_ = NULL;
    CLEANUP(secret_free) struct secret ours = {0};
    uint8_t block[256] = {0, 7, 7}, theirs[256];
    struct pair key = {0};
    fill(key.auth, sizeof(key.auth), 10);
    assert_ok(soft_private_generate_rsa(2048, BYTES_OF(exponent), &private_));
    struct bytes n = soft_private_number(private_, RSA_N), p = soft_private_number(private_, RSA_P);
    tap_clear();
    assert_ok(tpm_import_rsa(fx.tpm, &parent, BYTES_OF(key.auth), n, 65537, p, &key.made));
    assert_false(tap_carries(p.p, p.n));
    pair_key(&key);
    assert_ok(tpm_rsa_private(fx.tpm, &key.key, BYTES_OF(block), &ours));
    assert_ok(soft_private_rsa(private_, BYTES_OF(block), theirs));
    assert_memory_equal(ours.p, theirs, sizeof(theirs));
    pair_free(&key);
}

/* The same key under another authorization; the old blob keeps the old one. */
static void test_rekey(void **state)
{
    (void)state;
    uint8_t hash[32] = {5}, signature[64], other[TPM_AUTH];
    CLEANUP(buf_free) struct buf priv = {0};
    struct pair key;
    pair_ec(&key, CURVE_P256);
    fill(other, sizeof(other), 11);
    assert_ok(tpm_rekey(fx.tpm, &key.key, BYTES_OF(other), &priv));
    struct tpm_key again = key.key;
    again.priv = buf_bytes(&priv);
    again.auth = BYTES_OF(other);
    tpm_key_drop(fx.tpm, key.key.pub);
    assert_ok(tpm_ecdsa(fx.tpm, &again, CURVE_P256, BYTES_OF(hash), signature));
    tpm_key_drop(fx.tpm, key.key.pub);
    assert_ok(tpm_ecdsa(fx.tpm, &key.key, CURVE_P256, BYTES_OF(hash), signature));
    pair_free(&key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TPM_TEST(test_aes_modes), TPM_TEST(test_hmac),
                                       TPM_TEST(test_import_ec), TPM_TEST(test_import_rsa),
                                       TPM_TEST(test_rekey)};
    return cmocka_run_group_tests_name("tpm/secret_key", tests, group_start, group_stop);
}
