/* DER from outside: private and public keys, points, parameters, certificates. What can be read is
 * written and read once more. */
#include "fuzz.h"

#include <soft/private.h>

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    log_setup(LOG_ERROR, "/dev/null");
    return soft_start() == CKR_OK ? 0 : -1;
}

static void private_key(struct bytes in)
{
    CLEANUP(soft_private_free) struct soft_private *k = NULL, *again = NULL, *stored = NULL;
    CLEANUP(secret_free) struct secret der = {0}, der_again = {0};
    if (soft_private_from_pkcs8(in, &k) == CKR_OK) {
        CHECK(soft_private_to_pkcs8(k, &der) == CKR_OK);
        CHECK(soft_private_from_pkcs8(secret_bytes(&der), &again) == CKR_OK);
        CHECK(soft_private_to_pkcs8(again, &der_again) == CKR_OK);
        CHECK(secret_equal(secret_bytes(&der), secret_bytes(&der_again)));
    }
    soft_private_from_stored(in, &stored);
}

static void public_key(struct bytes in)
{
    CLEANUP(buf_free) struct buf point = {0}, modulus = {0}, exponent = {0}, spki = {0};
    CLEANUP(buf_free) struct buf point_2 = {0}, modulus_2 = {0}, exponent_2 = {0};
    CLEANUP(soft_key_free) struct soft_key *k = NULL;
    enum curve c, c_2;
    if (soft_spki_parse(in, &c, &point, &modulus, &exponent) != CKR_OK)
        return;
    CHECK((c == CURVE_NONE) == (point.n == 0) && (c == CURVE_NONE) == (modulus.n > 0));
    CK_RV rv = c == CURVE_NONE ? soft_key_rsa(buf_bytes(&modulus), buf_bytes(&exponent), &k)
                               : soft_key_ec(c, buf_bytes(&point), &k);
    if (rv != CKR_OK)
        return;
    CHECK(soft_key_spki(k, &spki) == CKR_OK);
    CHECK(soft_spki_parse(buf_bytes(&spki), &c_2, &point_2, &modulus_2, &exponent_2) == CKR_OK);
    CHECK(c == c_2 && bytes_equal(buf_bytes(&point), buf_bytes(&point_2)) &&
          bytes_equal(buf_bytes(&modulus), buf_bytes(&modulus_2)));
}

/* A point is in a DER OCTET STRING, or bare. */
static void point(struct bytes in)
{
    struct bytes content;
    if (!soft_octet_string_parse(in, &content))
        content = in;
    for (enum curve c = CURVE_P224; c < CURVE_END; c++) {
        CLEANUP(soft_key_free) struct soft_key *k = NULL;
        CLEANUP(buf_free) struct buf told = {0};
        if (soft_key_ec(c, content, &k) != CKR_OK)
            continue;
        CHECK(soft_key_point(k, &told) == CKR_OK);
        CHECK(bytes_equal(buf_bytes(&told), content));
    }
}

static void certificate(struct bytes in)
{
    CLEANUP(soft_certificate_free) struct soft_certificate c = {0};
    struct bytes first;
    if (soft_sequence_first(in, &first))
        CHECK(first.p == in.p && first.n <= in.n);
    if (soft_certificate_parse(in, &c) == CKR_OK) {
        CHECK(c.subject.n && c.issuer.n && c.serial.n && c.spki.n);
        public_key(buf_bytes(&c.spki));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes in = BYTES(data, size);
    private_key(in);
    public_key(in);
    point(in);
    certificate(in);
    CHECK(curve_from_params(in) < CURVE_COUNT);
    enum curve e = curve_from_params_edwards(in), m = curve_from_params_montgomery(in);
    CHECK(e == CURVE_NONE || curve_is_edwards(e));
    CHECK(m == CURVE_NONE || curve_is_montgomery(m));
    return 0;
}
