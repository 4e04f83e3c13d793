/* PKCS#8: what the openssl command writes is read and written back; what is malformed is refused.
 */
#include "private_test.h"

#include <stdio.h>
#include <unistd.h>

struct file {
    uint8_t p[5000];
    size_t n;
};

/* What the openssl command prints. */
static struct file run_openssl(const char *arguments)
{
    char command[300];
    struct file f = {.n = 0};
    snprintf(command, sizeof(command), "(openssl %s) 2>/dev/null", arguments);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    f.n = fread(f.p, 1, sizeof(f.p), pipe);
    assert_int_equal(pclose(pipe), 0);
    assert_true(f.n > 0 && f.n < sizeof(f.p));
    return f;
}

static const struct {
    enum curve curve;
    const char *options;
} kinds[] = {
    {CURVE_NONE, "-algorithm RSA -pkeyopt rsa_keygen_bits:1024"},
    {CURVE_NONE, "-algorithm RSA -pkeyopt rsa_keygen_bits:2048"},
    {CURVE_NONE, "-algorithm RSA -pkeyopt rsa_keygen_bits:3072 -pkeyopt rsa_keygen_pubexp:3"},
    {CURVE_P224, "-algorithm EC -pkeyopt ec_paramgen_curve:P-224"},
    {CURVE_P256, "-algorithm EC -pkeyopt ec_paramgen_curve:P-256"},
    {CURVE_P384, "-algorithm EC -pkeyopt ec_paramgen_curve:P-384"},
    {CURVE_P521, "-algorithm EC -pkeyopt ec_paramgen_curve:P-521"},
    {CURVE_SECP256K1, "-algorithm EC -pkeyopt ec_paramgen_curve:secp256k1"},
    {CURVE_BRAINPOOL384, "-algorithm EC -pkeyopt ec_paramgen_curve:brainpoolP384r1"},
    {CURVE_ED25519, "-algorithm ED25519"},
    {CURVE_X25519, "-algorithm X25519"},
    {CURVE_ED448, "-algorithm ED448"},
    {CURVE_X448, "-algorithm X448"},
};
enum { KINDS = sizeof(kinds) / sizeof(*kinds) };

static struct file generate(size_t kind)
{
    char arguments[200];
    snprintf(arguments, sizeof(arguments),
             "genpkey %s | openssl pkcs8 -topk8 -nocrypt -outform DER", kinds[kind].options);
    return run_openssl(arguments);
}

static void assert_written(const struct soft_private *k, struct bytes expected)
{
    CLEANUP(secret_free) struct secret der = {0};
    assert_ok(soft_private_to_pkcs8(k, &der));
    assert_true(bytes_equal(secret_bytes(&der), expected));
}

static void round_trip_with_the_command(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        struct file f = generate(i);
        CLEANUP(soft_private_free) struct soft_private *k = NULL;
        assert_ok(soft_private_from_pkcs8(BYTES(f.p, f.n), &k));
        assert_int_equal(soft_private_curve(k), kinds[i].curve);
        assert_written(k, BYTES(f.p, f.n));
        EVP_PKEY *evp = evp_private(k);
        assert_same_public(k, evp);
        EVP_PKEY_free(evp);
    }
}

/* What the store keeps: read without arithmetic it is the same key, read with it right as well; and
 * so is what was stored before the public key was in it. */
static void stored_is_the_same_key(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        struct file f = generate(i);
        CLEANUP(soft_private_free)
        struct soft_private *k = NULL, *stored = NULL, *older = NULL, *checked = NULL;
        CLEANUP(secret_free) struct secret der = {0};
        assert_ok(soft_private_from_pkcs8(BYTES(f.p, f.n), &k));
        assert_ok(soft_private_to_stored(k, &der));
        assert_ok(soft_private_from_stored(secret_bytes(&der), &stored));
        assert_ok(soft_private_from_stored(BYTES(f.p, f.n), &older));
        assert_ok(soft_private_from_pkcs8(secret_bytes(&der), &checked));
        assert_written(stored, BYTES(f.p, f.n));
        assert_written(older, BYTES(f.p, f.n));
        assert_written(checked, BYTES(f.p, f.n));
        EVP_PKEY *evp = evp_private(k);
        assert_same_public(stored, evp);
        assert_same_public(older, evp);
        EVP_PKEY_free(evp);
    }
}

/* Damage is still found where it cannot be read; no byte beyond the end is looked at. */
static void stored_refuses_every_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        struct file f = generate(i);
        CLEANUP(soft_private_free) struct soft_private *k = NULL;
        CLEANUP(secret_free) struct secret der = {0};
        struct soft_private *none = NULL;
        assert_ok(soft_private_from_pkcs8(BYTES(f.p, f.n), &k));
        assert_ok(soft_private_to_stored(k, &der));
        for (size_t n = 0; n < der.n; n++) {
            uint8_t *exact = malloc(n ? n : 1);
            memcpy(exact, der.p, n);
            assert_int_equal(soft_private_from_stored(BYTES(exact, n), &none),
                             CKR_ATTRIBUTE_VALUE_INVALID);
            free(exact);
        }
        assert_null(none);
    }
}

/* What we write the command reads, finds right and writes the same. */
static void the_command_reads_ours(void **state)
{
    (void)state;
    for (enum curve c = CURVE_NONE; c < CURVE_END; c++) {
        CLEANUP(soft_private_free) struct soft_private *k = NULL;
        CLEANUP(secret_free) struct secret der = {0};
        char path[] = "/tmp/latchkey-pkcs8-XXXXXX", arguments[200];
        assert_ok(c == CURVE_NONE ? soft_private_generate_rsa(1024, BYTES("\1\0\1", 3), &k)
                                  : soft_private_generate(c, &k));
        assert_ok(soft_private_to_pkcs8(k, &der));
        int fd = mkstemp(path);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, der.p, der.n), der.n);
        close(fd);
        snprintf(arguments, sizeof(arguments), "pkey -check -noout -inform DER -in %s", path);
        struct file verdict = run_openssl(arguments);
        assert_true(verdict.n >= 12 && memcmp(verdict.p, "Key is valid", 12) == 0);
        snprintf(arguments, sizeof(arguments),
                 "pkcs8 -topk8 -nocrypt -inform DER -outform DER -in %s", path);
        struct file f = run_openssl(arguments);
        unlink(path);
        assert_true(bytes_equal(BYTES(f.p, f.n), secret_bytes(&der)));
    }
}

static void refuses_every_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        struct file f = generate(i);
        struct soft_private *k = NULL;
        for (size_t n = 0; n < f.n; n++) {
            uint8_t *exact = malloc(n ? n : 1); /* so that a checker sees a byte too far */
            memcpy(exact, f.p, n);
            assert_int_equal(soft_private_from_pkcs8(BYTES(exact, n), &k),
                             CKR_ATTRIBUTE_VALUE_INVALID);
            free(exact);
        }
        f.p[f.n] = 0;
        assert_int_equal(soft_private_from_pkcs8(BYTES(f.p, f.n + 1), &k),
                         CKR_ATTRIBUTE_VALUE_INVALID);
        assert_null(k);
    }
}

/* The last bit of the version: RFC 5958's, whose public key may be missing, is the next one. */
static size_t version_bit(const struct file *f)
{
    size_t header = f->p[1] & 0x80 ? 2 + (f->p[1] & 0x7F) : 2;
    return 8 * (header + 2);
}

/* One bit changed. Any bytes of the right number are a key of RFC 7748's curves; the other kinds
 * hold their public key and more, so they are keys no longer. */
static void every_flip(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        struct file f = generate(i);
        size_t accepted = 0;
        for (size_t bit = 0; bit < 8 * f.n; bit++) {
            if (bit == version_bit(&f) || (kinds[i].curve == CURVE_NONE && bit > 400 && bit % 37))
                continue;
            struct soft_private *k = NULL;
            f.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
            CK_RV rv = soft_private_from_pkcs8(BYTES(f.p, f.n), &k);
            assert_int_equal(rv, k ? CKR_OK : CKR_ATTRIBUTE_VALUE_INVALID);
            if (k) {
                assert_written(k, BYTES(f.p, f.n));
                accepted++;
            }
            soft_private_free(&k);
            f.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        assert_int_equal(accepted,
                         kinds[i].curve >= CURVE_COUNT ? 8 * curve_field_size(kinds[i].curve) : 0);
    }
}

static void assert_parsed(const char *hex, CK_RV rv)
{
    struct hex der = unhex(hex);
    CLEANUP(soft_private_free) struct soft_private *k = NULL;
    assert_int_equal(soft_private_from_pkcs8(HEX_BYTES(der), &k), rv);
}

/* RFC 8410, 10.3: without and with attributes and public key. */
static void ed25519_forms(void **state)
{
    (void)state;
    assert_parsed("302e020100300506032b657004220420"
                  "d4ee72dbf913584ad5b6d8f1f769f8ad3afe7c28cbf1d4fbe097a88f44755842",
                  CKR_OK);
#define ATTRIBUTES "a01f301d060a2a864886f70d01090914310f0c0d437572646c6520436861697273"
#define ED_KEY                                                                                     \
    "300506032b657004220420d4ee72dbf913584ad5b6d8f1f769f8ad3afe7c28cbf1d4fbe097a88f44755842"
#define ED_PUBLIC "81210019bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1"
    assert_parsed("3072020101" ED_KEY ATTRIBUTES ED_PUBLIC, CKR_OK);
    assert_parsed("3051020101" ED_KEY ED_PUBLIC, CKR_OK);
    assert_parsed("304f020100" ED_KEY ATTRIBUTES, CKR_OK);
    /* a public key in version 0, of another key, with unused bits, empty; order; version 2 */
    assert_parsed("3051020100" ED_KEY ED_PUBLIC, CKR_ATTRIBUTE_VALUE_INVALID);
    assert_parsed("3051020101" ED_KEY
                  "81210018bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1",
                  CKR_ATTRIBUTE_VALUE_INVALID);
    assert_parsed("3051020101" ED_KEY
                  "81210119bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1",
                  CKR_ATTRIBUTE_VALUE_INVALID);
    assert_parsed("3030020101" ED_KEY "8100", CKR_ATTRIBUTE_VALUE_INVALID);
    assert_parsed("3072020101" ED_KEY ED_PUBLIC ATTRIBUTES, CKR_ATTRIBUTE_VALUE_INVALID);
    assert_parsed("302e020102" ED_KEY, CKR_ATTRIBUTE_VALUE_INVALID);
    /* parameters beside the OID; 31 bytes */
    assert_parsed("3030020100300706032b6570050004220420"
                  "d4ee72dbf913584ad5b6d8f1f769f8ad3afe7c28cbf1d4fbe097a88f44755842",
                  CKR_ATTRIBUTE_VALUE_INVALID);
    assert_parsed("302d020100300506032b65700421041f"
                  "d4ee72dbf913584ad5b6d8f1f769f8ad3afe7c28cbf1d4fbe097a88f447558",
                  CKR_ATTRIBUTE_VALUE_INVALID);
}

/* The P-256 key 1: without public key, with parameters inside, and what does not agree. */
static void ec_forms(void **state)
{
    (void)state;
#define P256 "301306072a8648ce3d020106082a8648ce3d030107"
#define ONE                                                                                        \
    "0420"                                                                                         \
    "0000000000000000000000000000000000000000000000000000000000000001"
#define POINT                                                                                      \
    "04"                                                                                           \
    "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"                             \
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
#define IN_P256 "a00a06082a8648ce3d030107"
#define IN_P384 "a00706052b81040022"
    assert_parsed("3041020100" P256 "0427"
                  "3025020101" ONE,
                  CKR_OK);
    assert_parsed("304d020100" P256 "0433"
                  "3031020101" ONE IN_P256,
                  CKR_OK);
    assert_parsed("308187020100" P256 "046d"
                  "306b020101" ONE "a144034200" POINT,
                  CKR_OK);
    assert_parsed("308193020100" P256 "0479"
                  "3077020101" ONE IN_P256 "a144034200" POINT,
                  CKR_OK);
    /* RFC 5958: the public key beside it, the right one and another key's */
    assert_parsed("308185020101" P256 "0427"
                  "3025020101" ONE "814200" POINT,
                  CKR_OK);
    assert_parsed("308185020101" P256 "0427"
                  "3025020101"
                  "0420"
                  "0000000000000000000000000000000000000000000000000000000000000002"
                  "814200" POINT,
                  CKR_ATTRIBUTE_VALUE_INVALID);
    /* another curve inside, another key's point, order of the parts, versions, lengths */
    assert_parsed("304a020100" P256 "0430"
                  "302e020101" ONE IN_P384,
                  CKR_ATTRIBUTE_VALUE_INVALID);
    assert_parsed("308187020100" P256 "046d"
                  "306b020101"
                  "0420"
                  "0000000000000000000000000000000000000000000000000000000000000002"
                  "a144034200" POINT,
                  CKR_ATTRIBUTE_VALUE_INVALID);
    assert_parsed("308193020100" P256 "0479"
                  "3077020101" ONE "a144034200" POINT IN_P256,
                  CKR_ATTRIBUTE_VALUE_INVALID);
    assert_parsed("3041020100" P256 "0427"
                  "3025020100" ONE,
                  CKR_ATTRIBUTE_VALUE_INVALID);
    assert_parsed("3041020100" P256 "0427"
                  "3025020102" ONE,
                  CKR_ATTRIBUTE_VALUE_INVALID);
    assert_parsed("3040020100" P256 "0426"
                  "3024020101"
                  "041f"
                  "00000000000000000000000000000000000000000000000000000000000001",
                  CKR_ATTRIBUTE_VALUE_INVALID);
    assert_parsed("3042020100" P256 "0428"
                  "3026020101"
                  "0421"
                  "000000000000000000000000000000000000000000000000000000000000000001",
                  CKR_ATTRIBUTE_VALUE_INVALID);
    assert_parsed("3045020100" P256 "042b"
                  "3029020101" ONE "a1020300",
                  CKR_ATTRIBUTE_VALUE_INVALID);
    /* 0 and the order */
    assert_parsed("3041020100" P256 "0427"
                  "3025020101"
                  "0420"
                  "0000000000000000000000000000000000000000000000000000000000000000",
                  CKR_ATTRIBUTE_VALUE_INVALID);
    assert_parsed("3041020100" P256 "0427"
                  "3025020101"
                  "0420"
                  "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
                  CKR_ATTRIBUTE_VALUE_INVALID);
    /* secp160r1 */
    assert_parsed("303e020100"
                  "301006072a8648ce3d020106052b81040008"
                  "0427"
                  "3025020101" ONE,
                  CKR_ATTRIBUTE_VALUE_INVALID);
}

/* ---- RSA ---- */

static void append(struct buf *out, uint8_t tag, struct bytes content)
{
    uint8_t header[] = {tag, 0x82, (uint8_t)(content.n >> 8), (uint8_t)content.n};
    size_t n = 4;
    if (content.n < 0x100) {
        header[1] = 0x81;
        header[2] = (uint8_t)content.n;
        n = 3;
    }
    if (content.n < 0x80) {
        header[1] = (uint8_t)content.n;
        n = 2;
    }
    assert_ok(buf_append(out, header, n));
    assert_ok(buf_bytes_append(out, content));
}

/* PrivateKeyInfo of the first `numbers` numbers, zero from `zero_from` on, with a version, and an
 * extra zero octet in front of the number `long_number`. */
static void write_rsa(const struct soft_private *k, int zero_from, int numbers, const char *version,
                      int long_number, struct buf *ret)
{
    CLEANUP(buf_free) struct buf sequence = {0};
    CLEANUP(buf_free) struct buf key = {0};
    CLEANUP(buf_free) struct buf info = {0};
    append(&sequence, 2, BYTES(version, 1));
    for (int i = 0; i < numbers; i++) {
        CLEANUP(buf_free) struct buf number = {0};
        struct bytes b = i < RSA_NUMBERS ? soft_private_number(k, (enum rsa_number)i) : NO_BYTES;
        if (i >= zero_from)
            b = NO_BYTES;
        if (b.n == 0 || b.p[0] & 0x80)
            assert_ok(buf_u8(&number, 0));
        if (i == long_number)
            assert_ok(buf_u8(&number, 0));
        assert_ok(buf_bytes_append(&number, b));
        append(&sequence, 2, buf_bytes(&number));
    }
    append(&key, 0x30, buf_bytes(&sequence));
    struct hex head = unhex("020100 300d06092a864886f70d0101010500");
    assert_ok(buf_bytes_append(&info, HEX_BYTES(head)));
    append(&info, 4, buf_bytes(&key));
    append(ret, 0x30, buf_bytes(&info));
}

static void rsa_forms(void **state)
{
    (void)state;
    CLEANUP(soft_private_free) struct soft_private *own = NULL;
    CLEANUP(secret_free) struct secret whole = {0};
    assert_ok(soft_private_generate_rsa(1024, BYTES("\1\0\1", 3), &own));
    assert_ok(soft_private_to_pkcs8(own, &whole));
    const struct {
        int zero_from, numbers;
        const char *version;
        int long_number;
        CK_RV rv;
    } cases[] = {
        {8, 8, "\0", -1, CKR_OK},
        {3, 8, "\0", -1, CKR_OK}, /* n, e, d */
        {5, 8, "\0", -1, CKR_OK}, /* and the primes */
        {7, 8, "\0", -1, CKR_OK},
        {4, 8, "\0", -1, CKR_OK}, /* and one of the primes */
        {2, 8, "\0", -1, CKR_ATTRIBUTE_VALUE_INVALID},
        {8, 7, "\0", -1, CKR_ATTRIBUTE_VALUE_INVALID},
        {8, 3, "\0", -1, CKR_ATTRIBUTE_VALUE_INVALID},
        {8, 9, "\0", -1, CKR_ATTRIBUTE_VALUE_INVALID},
        {8, 8, "\1", -1, CKR_ATTRIBUTE_VALUE_INVALID},
        {8, 8, "\2", -1, CKR_ATTRIBUTE_VALUE_INVALID},
        {8, 8, "\0", RSA_N, CKR_ATTRIBUTE_VALUE_INVALID}, /* not the shortest form */
        {8, 8, "\0", RSA_E, CKR_ATTRIBUTE_VALUE_INVALID},
        {8, 8, "\0", RSA_QINV, CKR_ATTRIBUTE_VALUE_INVALID},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        CLEANUP(buf_free) struct buf der = {0};
        CLEANUP(soft_private_free) struct soft_private *k = NULL;
        write_rsa(own, cases[i].zero_from, cases[i].numbers, cases[i].version, cases[i].long_number,
                  &der);
        assert_int_equal(soft_private_from_pkcs8(buf_bytes(&der), &k), cases[i].rv);
        if (k)
            assert_written(k, secret_bytes(&whole));
    }
}

/* RFC 8410, 7: the public key beside the private one is optional, and must be the right one. */
static void raw_with_public_key(void **state)
{
    (void)state;
    for (enum curve c = CURVE_ED25519; c < CURVE_END; c++) {
        CLEANUP(soft_private_free) struct soft_private *own = NULL;
        CLEANUP(soft_private_free) struct soft_private *read = NULL;
        CLEANUP(secret_free) struct secret with = {0}, without = {0};
        assert_ok(soft_private_generate(c, &own));
        assert_ok(soft_private_to_stored(own, &with));
        assert_ok(soft_private_to_pkcs8(own, &without));
        assert_true(with.n > without.n + curve_field_size(c));
        assert_ok(soft_private_from_pkcs8(secret_bytes(&with), &read));
        assert_written(read, secret_bytes(&without));
        soft_private_free(&read);
        with.p[with.n - 1] ^= 0x80;
        assert_int_equal(soft_private_from_pkcs8(secret_bytes(&with), &read),
                         CKR_ATTRIBUTE_VALUE_INVALID);
    }
}

/* ---- SubjectPublicKeyInfo of RFC 7748's curves ---- */

static void spki_raw(void **state)
{
    (void)state;
    for (enum curve c = CURVE_ED25519; c < CURVE_END; c++) {
        CLEANUP(soft_private_free) struct soft_private *own = NULL;
        CLEANUP(buf_free) struct buf spki = {0};
        CLEANUP(buf_free) struct buf expected = {0};
        CLEANUP(buf_free) struct buf point = {0};
        CLEANUP(buf_free) struct buf none = {0};
        enum curve found;
        assert_ok(soft_private_generate(c, &own));
        assert_ok(soft_key_point(soft_private_public(own), &expected));
        assert_ok(soft_key_spki(soft_private_public(own), &spki));
        assert_int_equal(spki.n, 12 + curve_field_size(c));
        assert_ok(soft_spki_parse(buf_bytes(&spki), &found, &point, &none, &none));
        assert_int_equal(found, c);
        assert_true(bytes_equal(buf_bytes(&point), buf_bytes(&expected)));
        assert_int_equal(none.n, 0);
        for (size_t n = 0; n < spki.n; n++)
            assert_int_equal(soft_spki_parse(BYTES(spki.p, n), &found, &point, &none, &none),
                             CKR_ATTRIBUTE_VALUE_INVALID);
        assert_int_equal(point.n, curve_field_size(c));
    }
}

static void curve_parameters_raw(void **state)
{
    (void)state;
    static const struct {
        const char *der;
        enum curve curve;
    } cases[] = {
        {"06032b6570", CURVE_ED25519},
        {"06032b656e", CURVE_X25519},
        {"130c656477617264733235353139", CURVE_ED25519}, /* edwards25519 */
        {"130a63757276653235353139", CURVE_X25519},      /* curve25519 */
        {"06032b6571", CURVE_ED448},
        {"06032b656f", CURVE_X448},
        {"130a65647761726473343438", CURVE_ED448}, /* edwards448 */
        {"13086375727665343438", CURVE_X448},      /* curve448 */
        {"06032b6572", CURVE_NONE},
        {"06032b656d", CURVE_NONE},
        {"06032b657000", CURVE_NONE},
        {"06082a8648ce3d030107", CURVE_NONE},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct hex der = unhex(cases[i].der);
        enum curve c = cases[i].curve;
        assert_int_equal(curve_from_params_edwards(HEX_BYTES(der)), curve_is_edwards(c) ? c : 0);
        assert_int_equal(curve_from_params_montgomery(HEX_BYTES(der)),
                         curve_is_montgomery(c) ? c : 0);
        if (cases[i].curve != CURVE_NONE)
            assert_int_equal(curve_from_params(HEX_BYTES(der)), CURVE_NONE);
    }
    for (enum curve c = CURVE_ED25519; c < CURVE_END; c++)
        assert_int_equal((curve_is_edwards(c) ? curve_from_params_edwards
                                              : curve_from_params_montgomery)(curve_oid(c)),
                         c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip_with_the_command),
        cmocka_unit_test(the_command_reads_ours),
        cmocka_unit_test(stored_is_the_same_key),
        cmocka_unit_test(stored_refuses_every_cut),
        cmocka_unit_test(refuses_every_cut),
        cmocka_unit_test(every_flip),
        cmocka_unit_test(ed25519_forms),
        cmocka_unit_test(ec_forms),
        cmocka_unit_test(rsa_forms),
        cmocka_unit_test(raw_with_public_key),
        cmocka_unit_test(spki_raw),
        cmocka_unit_test(curve_parameters_raw),
    };
    return run_soft_tests(tests);
}
