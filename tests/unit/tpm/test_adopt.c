/* Which keys of other programs are taken in, by their public areas, and what the log says of the
 * others: TPM 2.0 part 2, 12.2. Nothing is sent to the TPM for it. */
#include "tpm_test.h"

/* What tpm2_create makes when nothing is asked for. */
enum {
    USUAL = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |
            TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_DECRYPT | TPMA_OBJECT_SIGN_ENCRYPT
};

static TPMT_PUBLIC area(TPMI_ALG_PUBLIC type)
{
    TPMT_PUBLIC p = {.type = type, .nameAlg = TPM2_ALG_SHA256, .objectAttributes = USUAL};
    if (type == TPM2_ALG_RSA) {
        p.parameters.rsaDetail.symmetric.algorithm = TPM2_ALG_NULL;
        p.parameters.rsaDetail.scheme.scheme = TPM2_ALG_NULL;
        p.parameters.rsaDetail.keyBits = 2048;
        p.unique.rsa.size = 256;
        fill(p.unique.rsa.buffer, 256, 1);
    } else if (type == TPM2_ALG_ECC) {
        p.parameters.eccDetail.symmetric.algorithm = TPM2_ALG_NULL;
        p.parameters.eccDetail.scheme.scheme = TPM2_ALG_NULL;
        p.parameters.eccDetail.kdf.scheme = TPM2_ALG_NULL;
        p.parameters.eccDetail.curveID = TPM2_ECC_NIST_P256;
        p.unique.ecc.x.size = p.unique.ecc.y.size = 32;
    } else if (type == TPM2_ALG_SYMCIPHER) {
        p.parameters.symDetail.sym = (TPMT_SYM_DEF_OBJECT){
            .algorithm = TPM2_ALG_AES, .keyBits.aes = 256, .mode.aes = TPM2_ALG_NULL};
        p.unique.sym.size = 32;
    } else {
        p.objectAttributes &= ~(TPMA_OBJECT)TPMA_OBJECT_DECRYPT;
        p.parameters.keyedHashDetail.scheme.scheme = TPM2_ALG_NULL;
        p.unique.keyedHash.size = 32;
    }
    return p;
}

static CK_RV describe_area(const TPMT_PUBLIC *p, struct tpm_adopted *ret)
{
    const TPM2B_PUBLIC b = {.publicArea = *p};
    uint8_t pub[sizeof(b)];
    size_t n = 0;
    assert_int_equal(Tss2_MU_TPM2B_PUBLIC_Marshal(&b, pub, sizeof(pub), &n), TSS2_RC_SUCCESS);
    const struct tpm_foreign key = {.pub = BYTES(pub, n)};
    return tpm_describe_foreign(fx.tpm, &key, ret);
}

/* ---- taken --------------------------------------------------------------------------------- */

static void test_rsa(void **state)
{
    (void)state;
    TPMT_PUBLIC p = area(TPM2_ALG_RSA);
    CLEANUP(tpm_adopted_free) struct tpm_adopted k = {0};
    assert_ok(describe_area(&p, &k));
    assert_int_equal(k.kind, TPM_KIND_RSA);
    assert_true(k.local);
    assert_int_equal(k.modulus.n, 256);
    assert_memory_equal(k.modulus.p, p.unique.rsa.buffer, 256);
    assert_true(bytes_equal(buf_bytes(&k.exponent), BYTES("\x01\x00\x01", 3)));
}

/* A coordinate's leading zeros may be missing. */
static void test_ec(void **state)
{
    (void)state;
    TPMT_PUBLIC p = area(TPM2_ALG_ECC);
    CLEANUP(tpm_adopted_free) struct tpm_adopted k = {0}, imported = {0};
    p.unique.ecc.x.size = 31;
    fill(p.unique.ecc.x.buffer, 31, 2);
    assert_ok(describe_area(&p, &k));
    assert_int_equal(k.kind, TPM_KIND_EC);
    assert_int_equal(k.curve, CURVE_P256);
    assert_true(k.derives);
    assert_int_equal(k.point.n, 65);
    assert_int_equal(k.point.p[0], 4);
    assert_int_equal(k.point.p[1], 0);
    assert_memory_equal(k.point.p + 2, p.unique.ecc.x.buffer, 31);
    p.objectAttributes &= ~(TPMA_OBJECT)(TPMA_OBJECT_DECRYPT | TPMA_OBJECT_SENSITIVEDATAORIGIN);
    assert_ok(describe_area(&p, &imported));
    assert_false(imported.derives);
    assert_false(imported.local);
}

static void test_aes(void **state)
{
    (void)state;
    TPMT_PUBLIC p = area(TPM2_ALG_SYMCIPHER);
    CLEANUP(tpm_adopted_free) struct tpm_adopted k = {0};
    assert_ok(describe_area(&p, &k));
    assert_int_equal(k.kind, TPM_KIND_AES);
    assert_int_equal(k.bits, 256);
}

static void test_hmac(void **state)
{
    (void)state;
    static const struct {
        TPMI_ALG_KEYEDHASH_SCHEME scheme;
        TPMI_ALG_HASH hash;
        enum hash expected;
        unsigned bits;
    } rows[] = {{TPM2_ALG_NULL, 0, HASH_NONE, 256},
                {TPM2_ALG_HMAC, TPM2_ALG_SHA1, HASH_SHA1, 160},
                {TPM2_ALG_HMAC, TPM2_ALG_SHA256, HASH_SHA256, 256},
                {TPM2_ALG_HMAC, TPM2_ALG_SHA384, HASH_SHA384, 384},
                {TPM2_ALG_HMAC, TPM2_ALG_SHA512, HASH_SHA512, 512}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        TPMT_PUBLIC p = area(TPM2_ALG_KEYEDHASH);
        CLEANUP(tpm_adopted_free) struct tpm_adopted k = {0}, imported = {0};
        p.parameters.keyedHashDetail.scheme.scheme = rows[i].scheme;
        p.parameters.keyedHashDetail.scheme.details.hmac.hashAlg = rows[i].hash;
        assert_ok(describe_area(&p, &k));
        assert_int_equal(k.kind, TPM_KIND_HMAC);
        assert_int_equal(k.hash, rows[i].expected);
        assert_int_equal(k.bits, rows[i].bits);
        p.objectAttributes &= ~(TPMA_OBJECT)TPMA_OBJECT_SENSITIVEDATAORIGIN;
        assert_ok(describe_area(&p, &imported));
        assert_int_equal(imported.bits, 0); /* made elsewhere: nothing tells its length */
    }
}

/* ---- refused ------------------------------------------------------------------------------- */

static void rsa_scheme(TPMT_PUBLIC *p)
{
    p->parameters.rsaDetail.scheme.scheme = TPM2_ALG_RSASSA;
    p->parameters.rsaDetail.scheme.details.rsassa.hashAlg = TPM2_ALG_SHA256;
}

static void ec_scheme(TPMT_PUBLIC *p)
{
    p->parameters.eccDetail.scheme.scheme = TPM2_ALG_ECDSA;
    p->parameters.eccDetail.scheme.details.ecdsa.hashAlg = TPM2_ALG_SHA256;
}

static void other_curve(TPMT_PUBLIC *p)
{
    p->parameters.eccDetail.curveID = TPM2_ECC_BN_P256;
}

static void long_x(TPMT_PUBLIC *p)
{
    p->unique.ecc.x.size = 33;
}

static void long_y(TPMT_PUBLIC *p)
{
    p->unique.ecc.y.size = 33;
}

static void camellia(TPMT_PUBLIC *p)
{
    p->parameters.symDetail.sym.algorithm = TPM2_ALG_CAMELLIA;
}

static void one_mode(TPMT_PUBLIC *p)
{
    p->parameters.symDetail.sym.mode.aes = TPM2_ALG_CFB;
}

static void xor_scheme(TPMT_PUBLIC *p)
{
    p->parameters.keyedHashDetail.scheme.scheme = TPM2_ALG_XOR;
    p->parameters.keyedHashDetail.scheme.details.exclusiveOr.hashAlg = TPM2_ALG_SHA256;
    p->parameters.keyedHashDetail.scheme.details.exclusiveOr.kdf = TPM2_ALG_KDF1_SP800_108;
}

static void sm3(TPMT_PUBLIC *p)
{
    p->parameters.keyedHashDetail.scheme.scheme = TPM2_ALG_HMAC;
    p->parameters.keyedHashDetail.scheme.details.hmac.hashAlg = TPM2_ALG_SM3_256;
}

static void decrypts_not(TPMT_PUBLIC *p)
{
    p->objectAttributes &= ~(TPMA_OBJECT)TPMA_OBJECT_DECRYPT;
}

static void signs_not(TPMT_PUBLIC *p)
{
    p->objectAttributes &= ~(TPMA_OBJECT)TPMA_OBJECT_SIGN_ENCRYPT;
}

static void restricted(TPMT_PUBLIC *p)
{
    p->objectAttributes |= TPMA_OBJECT_RESTRICTED;
}

static void policy(TPMT_PUBLIC *p)
{
    p->objectAttributes &= ~(TPMA_OBJECT)TPMA_OBJECT_USERWITHAUTH;
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        TPMI_ALG_PUBLIC type;
        void (*spoil)(TPMT_PUBLIC *p);
        const char *reason;
    } rows[] = {
        {TPM2_ALG_RSA, rsa_scheme, "bound to one scheme"},
        {TPM2_ALG_RSA, decrypts_not, "has to have the decrypt attribute"},
        {TPM2_ALG_RSA, restricted, "restricted"},
        {TPM2_ALG_RSA, policy, "wants a policy"},
        {TPM2_ALG_ECC, other_curve, "does not know its curve"},
        {TPM2_ALG_ECC, ec_scheme, "bound to one scheme"},
        {TPM2_ALG_ECC, signs_not, "may not sign"},
        {TPM2_ALG_ECC, long_x, "its point is none"},
        {TPM2_ALG_ECC, long_y, "its point is none"},
        {TPM2_ALG_SYMCIPHER, camellia, "of a cipher that latchkey does not know"},
        {TPM2_ALG_SYMCIPHER, one_mode, "bound to one mode"},
        {TPM2_ALG_SYMCIPHER, decrypts_not, "both encrypt and decrypt"},
        {TPM2_ALG_SYMCIPHER, signs_not, "both encrypt and decrypt"},
        {TPM2_ALG_KEYEDHASH, signs_not, "sealed data"},
        {TPM2_ALG_KEYEDHASH, xor_scheme, "does not know its scheme"},
        {TPM2_ALG_KEYEDHASH, sm3, "does not know its scheme"},
    };
    forget_log(); /* once: what it said a moment ago it does not say again */
    for (size_t i = 0; i < COUNT(rows); i++) {
        TPMT_PUBLIC p = area(rows[i].type);
        struct tpm_adopted k = {0};
        rows[i].spoil(&p);
        assert_rv(CKR_KEY_FUNCTION_NOT_PERMITTED, describe_area(&p, &k));
        assert_null(k.pub.p);
        if (!logged(rows[i].reason))
            fail_msg("row %zu: the log does not say '%s'", i, rows[i].reason);
    }
}

static void test_unreadable(void **state)
{
    (void)state;
    const struct tpm_foreign nothing = {0}, cut = {.pub = BYTES("\x00\x20\x00\x01", 4)};
    struct tpm_adopted k = {0};
    assert_rv(CKR_KEY_FUNCTION_NOT_PERMITTED, tpm_describe_foreign(fx.tpm, &nothing, &k));
    assert_rv(CKR_KEY_FUNCTION_NOT_PERMITTED, tpm_describe_foreign(fx.tpm, &cut, &k));
    assert_true(logged("its public area cannot be read"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TPM_TEST(test_rsa),  TPM_TEST(test_ec),      TPM_TEST(test_aes),
        TPM_TEST(test_hmac), TPM_TEST(test_refused), TPM_TEST(test_unreadable),
    };
    return cmocka_run_group_tests(tests, group_start, group_stop);
}
