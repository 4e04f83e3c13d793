/* Many threads at once on shared keys, with no lock (the thread sanitizer looks). */
#include "soft_test.h"

#include <pthread.h>
#include <soft/aes.h>
#include <soft/private.h>

enum { THREADS = 8, ROUNDS = 200 };

static struct soft_key *rsa, *ec;
static struct soft_private *private_rsa, *private_ec, *private_ed, *private_x, *private_ed448;
static const uint8_t seed[48] = {1}, digest[32] = {2};
static uint8_t point[65], sig[64], modulus[256], mac[32], rsa_out[256];

/* The software private keys: signatures that verify. */
static CK_RV use_private_keys(void)
{
    uint8_t out[256], back[256];
    CLEANUP(buf_free) struct buf x_point = {0};
    CLEANUP(secret_free) struct secret z = {0};
    TRY(soft_private_rsa(private_rsa, BYTES_OF(digest), out));
    TRY(soft_rsa_public(soft_private_public(private_rsa), BYTES(out, 128), back));
    if (memcmp(back + 96, digest, sizeof(digest)) != 0)
        return CKR_GENERAL_ERROR;
    TRY(soft_private_ecdsa(private_ec, BYTES_OF(digest), out));
    TRY(soft_ecdsa_verify(soft_private_public(private_ec), BYTES_OF(digest), BYTES(out, 96)));
    TRY(soft_private_eddsa(private_ed, NULL, BYTES_OF(digest), out));
    TRY(soft_eddsa_verify(soft_private_public(private_ed), NULL, BYTES_OF(digest), BYTES(out, 64)));
    TRY(soft_private_eddsa(private_ed448, NULL, BYTES_OF(digest), out));
    TRY(soft_eddsa_verify(soft_private_public(private_ed448), NULL, BYTES_OF(digest),
                          BYTES(out, 114)));
    TRY(soft_key_point(soft_private_public(private_x), &x_point));
    return soft_private_ecdh(private_x, buf_bytes(&x_point), &z);
}

static CK_RV one_round(uint32_t number)
{
    uint8_t out[256], key[32] = {3};
    struct bytes part = BYTES_OF(seed);
    CLEANUP(buf_free) struct buf sealed = {0};
    CLEANUP(buf_free) struct buf own = {0};
    CLEANUP(secret_free) struct secret opened = {0};
    CLEANUP(secret_free) struct secret z = {0};
    TRY(soft_hmac(HASH_SHA256, BYTES_OF(digest), &part, 1, out));
    if (memcmp(out, mac, sizeof(mac)) != 0)
        return CKR_GENERAL_ERROR;
    TRY(soft_kdfa(HASH_SHA256, part, "CFB", NO_BYTES, NO_BYTES, 256, out));
    TRY(soft_gcm_seal(key, part, BYTES_OF(point), &sealed));
    TRY(soft_gcm_open(key, part, buf_bytes(&sealed), &opened));
    TRY(soft_rsa_public(rsa, BYTES_OF(digest), out));
    if (memcmp(out, rsa_out, sizeof(rsa_out)) != 0)
        return CKR_GENERAL_ERROR;
    TRY(soft_ecdsa_verify(ec, BYTES_OF(digest), BYTES_OF(sig)));
    if (number % 8 == 0) {
        TRY(soft_p256_sign_with_seed(BYTES_OF(seed), BYTES_OF(digest), out));
        TRY(soft_ecdsa_verify(ec, BYTES_OF(digest), BYTES(out, 64)));
        TRY(soft_ecdh_ephemeral(CURVE_P256, BYTES_OF(point), &own, &z));
        TRY(soft_aes(AES_CBC, true, BYTES_OF(key), out, out, out, 64));
        TRY(use_private_keys());
    }
    return CKR_OK;
}

static void *run(void *failed)
{
    for (uint32_t i = 0; i < ROUNDS; i++)
        if (one_round(i) != CKR_OK)
            return failed;
    return NULL;
}

static void threads_share_keys(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    struct bytes part = BYTES_OF(seed);
    memset(modulus, 0xD3, sizeof(modulus));
    assert_ok(soft_key_rsa(BYTES_OF(modulus), BYTES("\1\0\1", 3), &rsa));
    assert_ok(soft_p256_public_from_seed(BYTES_OF(seed), point));
    assert_ok(soft_key_ec(CURVE_P256, BYTES_OF(point), &ec));
    assert_ok(soft_p256_sign_with_seed(BYTES_OF(seed), BYTES_OF(digest), sig));
    assert_ok(soft_hmac(HASH_SHA256, BYTES_OF(digest), &part, 1, mac));
    assert_ok(soft_rsa_public(rsa, BYTES_OF(digest), rsa_out));
    assert_ok(soft_private_generate_rsa(1024, BYTES("\1\0\1", 3), &private_rsa));
    assert_ok(soft_private_generate(CURVE_P384, &private_ec));
    assert_ok(soft_private_generate(CURVE_ED25519, &private_ed));
    assert_ok(soft_private_generate(CURVE_X25519, &private_x));
    assert_ok(soft_private_generate(CURVE_ED448, &private_ed448));
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run, &rsa), 0);
    for (int i = 0; i < THREADS; i++) {
        void *failed;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    soft_key_free(&rsa);
    soft_key_free(&ec);
    soft_private_free(&private_rsa);
    soft_private_free(&private_ec);
    soft_private_free(&private_ed);
    soft_private_free(&private_x);
    soft_private_free(&private_ed448);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(threads_share_keys)};
    return run_soft_tests(tests);
}
