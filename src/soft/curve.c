#include "internal.h"

#include <string.h>

enum { NAMES = 3 };

#define BRAINPOOL 0x06, 0x09, 0x2B, 0x24, 0x03, 0x03, 0x02, 0x08, 0x01, 0x01

static const struct curve_row {
    size_t bits;
    uint8_t oid_size, oid[11];
    const char *names[NAMES]; /* the first is curve_name; SEC 2, FIPS 186-4, X9.62, RFC 8410 */
} curves[CURVE_END] = {
    [CURVE_P224] = {224, 7, {0x06, 0x05, 0x2B, 0x81, 0x04, 0x00, 0x21}, {"P-224", "secp224r1"}},
    [CURVE_P256] = {256,
                    10,
                    {0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07},
                    {"P-256", "secp256r1", "prime256v1"}},
    [CURVE_P384] = {384, 7, {0x06, 0x05, 0x2B, 0x81, 0x04, 0x00, 0x22}, {"P-384", "secp384r1"}},
    [CURVE_P521] = {521, 7, {0x06, 0x05, 0x2B, 0x81, 0x04, 0x00, 0x23}, {"P-521", "secp521r1"}},
    [CURVE_SECP256K1] = {256, 7, {0x06, 0x05, 0x2B, 0x81, 0x04, 0x00, 0x0A}, {"secp256k1"}},
    [CURVE_BRAINPOOL256] = {256, 11, {BRAINPOOL, 0x07}, {"brainpoolP256r1"}}, /* RFC 5639 */
    [CURVE_BRAINPOOL384] = {384, 11, {BRAINPOOL, 0x0B}, {"brainpoolP384r1"}},
    [CURVE_BRAINPOOL512] = {512, 11, {BRAINPOOL, 0x0D}, {"brainpoolP512r1"}},
    [CURVE_ED25519] = {255, 5, {0x06, 0x03, 0x2B, 0x65, 0x70}, {"Ed25519", "edwards25519"}},
    [CURVE_X25519] = {255, 5, {0x06, 0x03, 0x2B, 0x65, 0x6E}, {"X25519", "curve25519"}},
    [CURVE_ED448] = {448, 5, {0x06, 0x03, 0x2B, 0x65, 0x71}, {"Ed448", "edwards448"}},
    [CURVE_X448] = {448, 5, {0x06, 0x03, 0x2B, 0x65, 0x6F}, {"X448", "curve448"}},
};

bool curve_is_edwards(enum curve c)
{
    return c == CURVE_ED25519 || c == CURVE_ED448;
}

bool curve_is_montgomery(enum curve c)
{
    return c == CURVE_X25519 || c == CURVE_X448;
}

size_t curve_bits(enum curve c)
{
    return curves[c].bits;
}

/* RFC 8032, 5.1.2 and 5.2.2: an Edwards curve's coordinate has room for one bit more. */
size_t curve_field_size(enum curve c)
{
    return curve_is_edwards(c) ? curves[c].bits / 8 + 1 : (curves[c].bits + 7) / 8;
}

const char *curve_name(enum curve c)
{
    return curves[c].names[0];
}

struct bytes curve_oid(enum curve c)
{
    return BYTES(curves[c].oid, curves[c].oid_size);
}

static bool has_name(const struct curve_row *row, struct bytes name)
{
    for (size_t i = 0; i < NAMES && row->names[i]; i++)
        if (bytes_equal(BYTES_STR(row->names[i]), name))
            return true;
    return false;
}

size_t curve_point_size(enum curve c)
{
    return curve_is_raw(c) ? curve_field_size(c)
                           : (c != CURVE_NONE) * (1 + 2 * curve_field_size(c));
}

/* The one from first to before end. */
static enum curve search(enum curve first, enum curve end, struct bytes der)
{
    struct bytes rest = der;
    struct der name;
    bool by_name = der_take(&rest, DER_PRINTABLE_STRING, &name) && rest.n == 0;
    for (enum curve c = first; c < end; c++)
        if (by_name ? has_name(&curves[c], name.content) : bytes_equal(curve_oid(c), der))
            return c;
    return CURVE_NONE;
}

enum curve curve_from_params(struct bytes der)
{
    return search(CURVE_P224, CURVE_COUNT, der);
}

/* OpenSC 0.23 says "curve25519" in a PrintableString whose length is one too much. */
static const uint8_t opensc_curve25519[] = {0x13, 0x0B, 'c', 'u', 'r', 'v',
                                            'e',  '2',  '5', '5', '1', '9'};

enum curve curve_from_params_edwards(struct bytes der)
{
    enum curve c = search(CURVE_COUNT, CURVE_END, der);
    return curve_is_edwards(c) ? c : CURVE_NONE;
}

enum curve curve_from_params_montgomery(struct bytes der)
{
    enum curve c = bytes_equal(der, BYTES_OF(opensc_curve25519))
                       ? CURVE_X25519
                       : search(CURVE_COUNT, CURVE_END, der);
    return curve_is_montgomery(c) ? c : CURVE_NONE;
}
