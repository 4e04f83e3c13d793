#include "internal.h"

TPM2_ECC_CURVE key_curve_id(enum curve c)
{
    static const TPM2_ECC_CURVE id[CURVE_COUNT] = {
        [CURVE_P224] = TPM2_ECC_NIST_P224,
        [CURVE_P256] = TPM2_ECC_NIST_P256,
        [CURVE_P384] = TPM2_ECC_NIST_P384,
        [CURVE_P521] = TPM2_ECC_NIST_P521,
    };
    return id[c];
}

/* The hashes that TPM and software both have. */
static const TPM2_ALG_ID hash_id[HASH_COUNT] = {
    [HASH_SHA1] = TPM2_ALG_SHA1,
    [HASH_SHA256] = TPM2_ALG_SHA256,
    [HASH_SHA384] = TPM2_ALG_SHA384,
    [HASH_SHA512] = TPM2_ALG_SHA512,
};

TPM2_ALG_ID key_hash_id(enum hash h)
{
    return hash_id[h];
}

enum hash key_hash_of(unsigned id)
{
    for (enum hash h = 0; id && h < HASH_COUNT; h++)
        if (hash_id[h] == id)
            return h;
    return HASH_NONE;
}

void tpm_key_made_free(struct tpm_key_made *k)
{
    buf_free(&k->pub);
    buf_free(&k->priv);
    buf_free(&k->modulus);
    buf_free(&k->exponent);
    buf_free(&k->point);
}

/* sign and decrypt both, no scheme: what a key may do is the token's business (CKA_SIGN …), and
 * raw RSA, on which PSS with any salt stands, needs the decrypt attribute. */
TPM2B_PUBLIC key_template(TPMI_ALG_PUBLIC type)
{
    return (TPM2B_PUBLIC){
        .publicArea = {.type = type,
                       .nameAlg = TPM2_ALG_SHA256,
                       .objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                                           TPMA_OBJECT_SENSITIVEDATAORIGIN |
                                           TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA |
                                           TPMA_OBJECT_DECRYPT | TPMA_OBJECT_SIGN_ENCRYPT}};
}

CK_RV append_2b(struct buf *b, struct bytes content)
{
    TRY(buf_u16(b, (uint16_t)content.n));
    return buf_bytes_append(b, content);
}

CK_RV key_create(struct tpm *t, const struct tpm_parent *parent, struct bytes auth,
                 struct bytes value, const TPM2B_PUBLIC *template, struct tpm_key_made *ret)
{
    static const TPML_PCR_SELECTION no_pcrs = {0};
    CLEANUP(session_wipe) struct session s = {0};
    TPM2B_SENSITIVE_CREATE sensitive = {0};
    COMMAND(c, Create, .handles = 1, .auth_handles = 1, .auths = 1);
    if (auth.n > TPM_AUTH || value.n > sizeof(sensitive.sensitive.data.buffer))
        return CKR_GENERAL_ERROR;
    c.handle[0].name = parent->name;
    residents_yield(t);
    TRY(session_start(t, parent, TPM2_SE_HMAC,
                      &s)); /* salted: the parent's authorization is empty */
    TRY(parent_handle(t, parent, &c.handle[0].handle));
    s.keep = false;
    c.auth[0].session = c.encrypt_in = &s;
    sensitive.sensitive.userAuth.size = (uint16_t)auth.n;
    memcpy(sensitive.sensitive.userAuth.buffer, auth.p, auth.n);
    sensitive.sensitive.data.size = (uint16_t)value.n;
    if (value.n)
        memcpy(sensitive.sensitive.data.buffer, value.p, value.n);
    PUT(&c, TPM2B_SENSITIVE_CREATE, &sensitive);
    secret_wipe(&sensitive, sizeof(sensitive));
    PUT(&c, TPM2B_PUBLIC, template);
    cmd_put_2b(&c, NO_BYTES);
    PUT(&c, TPML_PCR_SELECTION, &no_pcrs);
    TRY(cmd_send(t, &c));
    if (rc_plain(c.rc) == TPM2_RC_OBJECT_MEMORY) { /* not executed; the other resident may go too */
        residents_flush(t);
        TRY(cmd_send(t, &c));
    }
    TRY(error_tpm(value.n ? ERROR_TPM_PARENT : ERROR_TPM_CREATE, c.name, c.rc));
    struct bytes priv = cmd_get_2b(&c), pub = cmd_get_2b(&c);
    TRY(cmd_parsed(&c));
    TRY(append_2b(&ret->priv, priv));
    return append_2b(&ret->pub, pub);
}

CK_RV key_hand_over(CK_RV rv, struct tpm_key_made *k, struct tpm_key_made *ret)
{
    if (rv == CKR_OK)
        *ret = *k;
    else
        tpm_key_made_free(k);
    return rv;
}

CK_RV rsa_numbers(const TPMT_PUBLIC *area, struct buf *ret_exponent, struct buf *ret_modulus)
{
    uint32_t e = area->parameters.rsaDetail.exponent;
    e = e ? e : 65537; /* part 2, 12.2.3.5 */
    const uint8_t be[4] = {(uint8_t)(e >> 24), (uint8_t)(e >> 16), (uint8_t)(e >> 8), (uint8_t)e};
    TRY(buf_bytes_append(ret_exponent, bytes_number(BYTES_OF(be))));
    return buf_append(ret_modulus, area->unique.rsa.buffer, area->unique.rsa.size);
}

static CK_RV read_rsa(struct tpm_key_made *k)
{
    TPM2B_PUBLIC pub;
    if (!public_parse(buf_bytes(&k->pub), &pub) || pub.publicArea.type != TPM2_ALG_RSA)
        return error_log(CKR_DEVICE_ERROR, "TPM2_Create answered another key than was asked for");
    return rsa_numbers(&pub.publicArea, &k->exponent, &k->modulus);
}

CK_RV tpm_make_rsa(struct tpm *t, const struct tpm_parent *parent, struct bytes auth, unsigned bits,
                   uint32_t exponent, struct tpm_key_made *ret)
{
    HOLD(t);
    TPM2B_PUBLIC template = key_template(TPM2_ALG_RSA);
    template.publicArea.parameters.rsaDetail =
        (TPMS_RSA_PARMS){.symmetric.algorithm = TPM2_ALG_NULL,
                         .scheme.scheme = TPM2_ALG_NULL,
                         .keyBits = (uint16_t)bits,
                         .exponent = exponent == 65537 ? 0 : exponent};
    struct tpm_key_made k = {0};
    CK_RV rv = key_create(t, parent, auth, NO_BYTES, &template, &k);
    return key_hand_over(rv == CKR_OK ? read_rsa(&k) : rv, &k, ret);
}

CK_RV append_padded(struct buf *b, struct bytes number, size_t n)
{
    uint8_t *p;
    if (number.n > n)
        return error_log(CKR_DEVICE_ERROR, "the TPM answered a coordinate that is too long");
    TRY(buf_extend(b, n, &p));
    memcpy(p + n - number.n, number.p, number.n);
    return CKR_OK;
}

static CK_RV read_ec(struct tpm_key_made *k, enum curve c)
{
    TPM2B_PUBLIC pub;
    if (!public_parse(buf_bytes(&k->pub), &pub) || pub.publicArea.type != TPM2_ALG_ECC)
        return error_log(CKR_DEVICE_ERROR, "TPM2_Create answered another key than was asked for");
    const TPMS_ECC_POINT *p = &pub.publicArea.unique.ecc;
    TRY(buf_u8(&k->point, 4));
    TRY(append_padded(&k->point, BYTES(p->x.buffer, p->x.size), curve_field_size(c)));
    return append_padded(&k->point, BYTES(p->y.buffer, p->y.size), curve_field_size(c));
}

CK_RV tpm_make_ec(struct tpm *t, const struct tpm_parent *parent, struct bytes auth, enum curve c,
                  struct tpm_key_made *ret)
{
    HOLD(t);
    TPM2B_PUBLIC template = key_template(TPM2_ALG_ECC);
    template.publicArea.parameters.eccDetail =
        (TPMS_ECC_PARMS){.symmetric.algorithm = TPM2_ALG_NULL,
                         .scheme.scheme = TPM2_ALG_NULL,
                         .curveID = key_curve_id(c),
                         .kdf.scheme = TPM2_ALG_NULL};
    struct tpm_key_made k = {0};
    CK_RV rv = key_create(t, parent, auth, NO_BYTES, &template, &k);
    return key_hand_over(rv == CKR_OK ? read_ec(&k, c) : rv, &k, ret);
}

/* ---- use ----------------------------------------------------------------------------------- */

CK_RV tpm_rsa_private(struct tpm *t, const struct tpm_key *key, struct bytes in, struct secret *ret)
{
    HOLD(t);
    COMMAND(c, RSA_Decrypt, .encrypt_in = KEY_SESSION, .encrypt_out = KEY_SESSION);
    cmd_put_2b(&c, in);
    PUT(&c, UINT16, TPM2_ALG_NULL); /* TPMT_RSA_DECRYPT without scheme: raw RSA */
    cmd_put_2b(&c, NO_BYTES);
    TRY(key_use(t, key, &c));
    TRY(error_tpm(ERROR_TPM_ANY, c.name, c.rc));
    struct bytes out = cmd_get_2b(&c);
    TRY(cmd_parsed(&c));
    if (out.n > in.n)
        return error_log(CKR_DEVICE_ERROR, "TPM2_RSA_Decrypt answered more than a modulus");
    TRY(secret_new(ret, in.n));
    memcpy(ret->p + in.n - out.n, out.p, out.n);
    return CKR_OK;
}

/* The TPM wants a digest exactly as long as the hash it is said to come from, and takes the
 * leftmost bits of the order's length. So: pad on the left to the order's length (the value stays),
 * and for P-224, whose order no TPM hash has, on the right up to SHA-256's (those bits are cut). */
static TPM2_ALG_ID pad_digest(enum curve c, struct bytes digest, uint8_t *ret, size_t *ret_n)
{
    static const struct {
        size_t order, size;
        TPM2_ALG_ID hash;
    } shape[CURVE_COUNT] = {
        [CURVE_P224] = {28, 32, TPM2_ALG_SHA256},
        [CURVE_P256] = {32, 32, TPM2_ALG_SHA256},
        [CURVE_P384] = {48, 48, TPM2_ALG_SHA384},
        [CURVE_P521] = {64, 64, TPM2_ALG_SHA512},
    };
    size_t order = shape[c].order, n = digest.n < order ? digest.n : order;
    memset(ret, 0, shape[c].size);
    memcpy(ret + order - n, digest.p, n);
    *ret_n = shape[c].size;
    return shape[c].hash;
}

static CK_RV take_number(struct cmd *c, uint8_t *ret, size_t n)
{
    struct bytes number = cmd_get_2b(c);
    TRY(cmd_parsed(c));
    while (number.n > n && number.p[0] == 0)
        number = BYTES(number.p + 1, number.n - 1);
    if (number.n > n)
        return error_log(CKR_DEVICE_ERROR, "%s answered a number that is too long", c->name);
    memset(ret, 0, n - number.n);
    memcpy(ret + n - number.n, number.p, number.n);
    return CKR_OK;
}

CK_RV tpm_ecdsa(struct tpm *t, const struct tpm_key *key, enum curve curve, struct bytes digest,
                uint8_t *ret)
{
    static const TPMT_TK_HASHCHECK no_ticket = {.tag = TPM2_ST_HASHCHECK,
                                                .hierarchy = TPM2_RH_NULL};
    uint8_t padded[64];
    size_t padded_n;
    uint16_t algorithm, hash;
    TPMT_SIG_SCHEME ecdsa = {.scheme = TPM2_ALG_ECDSA};
    HOLD(t);
    COMMAND(c, Sign, .encrypt_in = KEY_SESSION);
    ecdsa.details.ecdsa.hashAlg = pad_digest(curve, digest, padded, &padded_n);
    cmd_put_2b(&c, BYTES(padded, padded_n));
    PUT(&c, TPMT_SIG_SCHEME, &ecdsa);
    PUT(&c, TPMT_TK_HASHCHECK, &no_ticket);
    TRY(key_use(t, key, &c));
    TRY(error_tpm(ERROR_TPM_ANY, c.name, c.rc));
    GET(&c, UINT16, &algorithm);
    GET(&c, UINT16, &hash);
    size_t n = curve_field_size(curve);
    TRY(take_number(&c, ret, n));
    return take_number(&c, ret + n, n);
}

CK_RV tpm_ecdh(struct tpm *t, const struct tpm_key *key, enum curve curve, struct bytes peer,
               struct secret *ret)
{
    size_t n = curve_field_size(curve);
    if (peer.n != 1 + 2 * n)
        return CKR_MECHANISM_PARAM_INVALID;
    HOLD(t);
    COMMAND(c, ECDH_ZGen, .encrypt_in = KEY_SESSION, .encrypt_out = KEY_SESSION);
    PUT(&c, UINT16, (uint16_t)(4 + 2 * n)); /* TPM2B_ECC_POINT */
    cmd_put_2b(&c, BYTES(peer.p + 1, n));
    cmd_put_2b(&c, BYTES(peer.p + 1 + n, n));
    TRY(key_use(t, key, &c));
    TRY(error_tpm(ERROR_TPM_ECDH, c.name, c.rc));
    uint16_t size;
    GET(&c, UINT16, &size);
    CLEANUP(secret_free) struct secret z = {0};
    TRY(secret_new(&z, n));
    TRY(take_number(&c, z.p, n));
    *ret = z;
    z = (struct secret){0};
    return CKR_OK;
}
