#include "internal.h"

/* AES and HMAC keys, and keys that are brought in from outside. */

/* MAX_DIGEST_BUFFER of every TPM here (part 2, 10.4.8 and its vendors) */
enum { CHUNK = TPM_HMAC_HIDDEN };

/* ---- making -------------------------------------------------------------------------------- */

static TPM2B_PUBLIC secret_template(TPMI_ALG_PUBLIC type, struct bytes value)
{
    TPM2B_PUBLIC t = key_template(type);
    if (value.n)
        t.publicArea.objectAttributes &= ~(TPMA_OBJECT)TPMA_OBJECT_SENSITIVEDATAORIGIN;
    return t;
}

CK_RV tpm_make_aes(struct tpm *t, const struct tpm_parent *parent, struct bytes auth, unsigned bits,
                   struct bytes value, struct tpm_key_made *ret)
{
    HOLD(t);
    TPM2B_PUBLIC template = secret_template(TPM2_ALG_SYMCIPHER, value);
    template.publicArea.parameters.symDetail.sym = (TPMT_SYM_DEF_OBJECT){
        .algorithm = TPM2_ALG_AES, .keyBits.aes = (uint16_t)bits, .mode.aes = TPM2_ALG_NULL};
    struct tpm_key_made k = {0};
    return key_hand_over(key_create(t, parent, auth, value, &template, &k), &k, ret);
}

CK_RV tpm_make_hmac(struct tpm *t, const struct tpm_parent *parent, struct bytes auth,
                    struct bytes value, struct tpm_key_made *ret)
{
    HOLD(t);
    TPM2B_PUBLIC template = secret_template(TPM2_ALG_KEYEDHASH, value);
    template.publicArea.parameters.keyedHashDetail.scheme.scheme = TPM2_ALG_NULL;
    struct tpm_key_made k = {0};
    return key_hand_over(key_create(t, parent, auth, value, &template, &k), &k, ret);
}

/* ---- import -------------------------------------------------------------------------------- */

/* The outer wrapper of a duplication blob (part 1, 23.3.2.3): the sensitive area encrypted and
 * authenticated under a seed that only the parent opens. Session encryption would not cover it. */
static CK_RV wrap(struct tpm *t, const struct tpm_parent *parent, struct bytes sensitive,
                  struct bytes name, struct buf *ret_duplicate, struct buf *ret_seed)
{
    static const uint8_t zero_iv[16];
    CLEANUP(secret_free) struct secret seed = {0}, keys = {0}, inner = {0};
    enum hash h;
    uint8_t hmac[HASH_MAX];
    TRY(parent_share(t, parent, "DUPLICATE", &h, ret_seed, &seed));
    TRY(secret_new(&keys, 16 + HASH_MAX));
    TRY(soft_kdfa(h, secret_bytes(&seed), "STORAGE", name, NO_BYTES, 128, keys.p));
    TRY(soft_kdfa(h, secret_bytes(&seed), "INTEGRITY", NO_BYTES, NO_BYTES,
                  (uint32_t)(8 * hash_size(h)), keys.p + 16));
    TRY(secret_copy(&inner, sensitive));
    TRY(soft_aes_cfb(true, keys.p, zero_iv, inner.p, inner.n));
    TRY(soft_hmac(h, BYTES(keys.p + 16, hash_size(h)), (struct bytes[]){secret_bytes(&inner), name},
                  2, hmac));
    TRY(buf_u16(ret_duplicate, (uint16_t)hash_size(h)));
    TRY(buf_append(ret_duplicate, hmac, hash_size(h)));
    return buf_append(ret_duplicate, inner.p, inner.n);
}

static CK_RV import_command(struct tpm *t, const struct tpm_parent *parent, struct bytes pub,
                            struct bytes duplicate, struct bytes seed, struct buf *ret_priv)
{
    COMMAND(c, Import, .handles = 1, .auth_handles = 1, .auths = 1);
    c.handle[0].name = parent->name;
    residents_yield(t);
    TRY(parent_handle(t, parent, &c.handle[0].handle));
    cmd_put_2b(&c, NO_BYTES); /* no inner wrapper */
    cmd_put_raw(&c, pub);
    cmd_put_2b(&c, duplicate);
    cmd_put_2b(&c, seed);
    PUT(&c, UINT16, TPM2_ALG_NULL);
    TRY(cmd_exec(t, &c, ERROR_TPM_IMPORT));
    struct bytes priv = cmd_get_2b(&c);
    TRY(cmd_parsed(&c));
    return append_2b(ret_priv, priv);
}

/* TPM2B_SENSITIVE of an asymmetric key. */
static CK_RV sensitive_area(TPMI_ALG_PUBLIC type, struct bytes auth, struct bytes private_,
                            struct secret *ret)
{
    size_t n = 2 + 2 + 2 + auth.n + 2 + 2 + private_.n;
    TRY(secret_new(ret, n));
    uint8_t *p = ret->p;
    const uint16_t head[] = {(uint16_t)(n - 2), type, (uint16_t)auth.n};
    for (int i = 0; i < 3; i++) {
        *p++ = (uint8_t)(head[i] >> 8);
        *p++ = (uint8_t)head[i];
    }
    memcpy(p, auth.p, auth.n);
    p += auth.n;
    *p++ = 0; /* seedValue: empty */
    *p++ = 0;
    *p++ = (uint8_t)(private_.n >> 8);
    *p++ = (uint8_t)private_.n;
    memcpy(p, private_.p, private_.n);
    return CKR_OK;
}

static CK_RV import_key(struct tpm *t, const struct tpm_parent *parent, struct bytes auth,
                        struct bytes private_, TPM2B_PUBLIC *template, struct tpm_key_made *ret)
{
    CLEANUP(secret_free) struct secret sensitive = {0};
    CLEANUP(buf_free) struct buf duplicate = {0}, seed = {0};
    uint8_t raw[sizeof(TPM2B_PUBLIC)], name[NAME_MAX_SIZE];
    size_t raw_n = 0, name_n;
    template->publicArea.objectAttributes &=
        ~(TPMA_OBJECT)(TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                       TPMA_OBJECT_SENSITIVEDATAORIGIN);
    if (auth.n > TPM_AUTH || private_.n > 512 ||
        Tss2_MU_TPM2B_PUBLIC_Marshal(template, raw, sizeof(raw), &raw_n) != TSS2_RC_SUCCESS)
        return CKR_GENERAL_ERROR;
    TRY(public_name(BYTES(raw, raw_n), name, &name_n));
    TRY(sensitive_area(template->publicArea.type, auth, private_, &sensitive));
    TRY(wrap(t, parent, secret_bytes(&sensitive), BYTES(name, name_n), &duplicate, &seed));
    TRY(import_command(t, parent, BYTES(raw, raw_n), buf_bytes(&duplicate), buf_bytes(&seed),
                       &ret->priv));
    return buf_append(&ret->pub, raw, raw_n);
}

CK_RV tpm_import_rsa(struct tpm *t, const struct tpm_parent *parent, struct bytes auth,
                     struct bytes modulus, uint32_t exponent, struct bytes prime,
                     struct tpm_key_made *ret)
{
    HOLD(t);
    TPM2B_PUBLIC template = key_template(TPM2_ALG_RSA);
    if (modulus.n > sizeof(template.publicArea.unique.rsa.buffer))
        return CKR_KEY_SIZE_RANGE;
    template.publicArea.parameters.rsaDetail =
        (TPMS_RSA_PARMS){.symmetric.algorithm = TPM2_ALG_NULL,
                         .scheme.scheme = TPM2_ALG_NULL,
                         .keyBits = (uint16_t)(8 * modulus.n),
                         .exponent = exponent == 65537 ? 0 : exponent};
    template.publicArea.unique.rsa.size = (uint16_t)modulus.n;
    memcpy(template.publicArea.unique.rsa.buffer, modulus.p, modulus.n);
    struct tpm_key_made k = {0};
    return key_hand_over(import_key(t, parent, auth, prime, &template, &k), &k, ret);
}

CK_RV tpm_import_ec(struct tpm *t, const struct tpm_parent *parent, struct bytes auth, enum curve c,
                    struct bytes point, struct bytes scalar, struct tpm_key_made *ret)
{
    HOLD(t);
    size_t n = curve_field_size(c);
    TPM2B_PUBLIC template = key_template(TPM2_ALG_ECC);
    TPMS_ECC_POINT *p = &template.publicArea.unique.ecc;
    if (point.n != 1 + 2 * n)
        return CKR_ATTRIBUTE_VALUE_INVALID;
    template.publicArea.parameters.eccDetail =
        (TPMS_ECC_PARMS){.symmetric.algorithm = TPM2_ALG_NULL,
                         .scheme.scheme = TPM2_ALG_NULL,
                         .curveID = key_curve_id(c),
                         .kdf.scheme = TPM2_ALG_NULL};
    p->x.size = p->y.size = (uint16_t)n;
    memcpy(p->x.buffer, point.p + 1, n);
    memcpy(p->y.buffer, point.p + 1 + n, n);
    struct tpm_key_made k = {0};
    return key_hand_over(import_key(t, parent, auth, scalar, &template, &k), &k, ret);
}

/* ---- use ----------------------------------------------------------------------------------- */

static CK_RV aes_chunk(struct tpm *t, const struct tpm_key *key, TPM2_ALG_ID mode, bool encrypt,
                       uint8_t *iv, struct bytes in, uint8_t *ret)
{
    COMMAND(c, EncryptDecrypt2, .encrypt_in = KEY_SESSION, .encrypt_out = KEY_SESSION);
    cmd_put_2b(&c, in);
    PUT(&c, UINT8, !encrypt);
    PUT(&c, UINT16, mode);
    cmd_put_2b(&c, iv ? BYTES(iv, 16) : NO_BYTES);
    TRY(key_use(t, key, &c));
    TRY(error_tpm(ERROR_TPM_ANY, c.name, c.rc));
    struct bytes out = cmd_get_2b(&c), next = cmd_get_2b(&c);
    TRY(cmd_parsed(&c));
    if (out.n != in.n || (iv && next.n != 16))
        return error_log(CKR_DEVICE_ERROR, "TPM2_EncryptDecrypt2 answered another length");
    memcpy(ret, out.p, out.n);
    if (iv)
        memcpy(iv, next.p, 16);
    return CKR_OK;
}

CK_RV tpm_aes(struct tpm *t, const struct tpm_key *key, enum tpm_cipher cipher, bool encrypt,
              uint8_t *iv, const uint8_t *in, uint8_t *out, size_t n)
{
    static const TPM2_ALG_ID mode[] = {
        [TPM_ECB] = TPM2_ALG_ECB, [TPM_CBC] = TPM2_ALG_CBC, [TPM_CTR] = TPM2_ALG_CTR,
        [TPM_CFB] = TPM2_ALG_CFB, [TPM_OFB] = TPM2_ALG_OFB,
    };
    HOLD(t);
    while (n) {
        size_t some = n < CHUNK ? n : CHUNK;
        TRY(aes_chunk(t, key, mode[cipher], encrypt, cipher == TPM_ECB ? NULL : iv, BYTES(in, some),
                      out));
        in += some;
        out += some;
        n -= some;
    }
    return CKR_OK;
}

static CK_RV take_hmac(struct cmd *c, enum hash h, uint8_t *ret)
{
    struct bytes out = cmd_get_2b(c);
    TRY(cmd_parsed(c));
    if (out.n != hash_size(h))
        return error_log(CKR_DEVICE_ERROR, "%s answered another length", c->name);
    memcpy(ret, out.p, out.n);
    return CKR_OK;
}

static CK_RV hmac_short(struct tpm *t, const struct tpm_key *key, enum hash h, struct bytes data,
                        uint8_t *ret)
{
    COMMAND(c, HMAC, .encrypt_in = KEY_SESSION, .encrypt_out = KEY_SESSION);
    cmd_put_2b(&c, data);
    PUT(&c, UINT16, key_hash_id(h));
    TRY(key_use(t, key, &c));
    TRY(error_tpm(ERROR_TPM_ANY, c.name, c.rc));
    return take_hmac(&c, h, ret);
}

/* A longer text goes in parts. The sequence has an authorization of its own, that of the moment:
 * with it the parts are encrypted and the answer is authenticated, as with a key. */
struct sequence {
    TPM2_HANDLE handle;
    uint8_t auth[TPM_AUTH];
};

static void sequence_wipe(struct sequence *s)
{
    secret_wipe(s, sizeof(*s));
}

static CK_RV hmac_start(struct tpm *t, const struct tpm_key *key, enum hash h, struct sequence *ret)
{
    COMMAND(c, HMAC_Start, .encrypt_in = KEY_SESSION, .makes_handle = true);
    TRY(soft_random(ret->auth, sizeof(ret->auth)));
    ret->auth[TPM_AUTH - 1] |= 1; /* zeros at the end would not count */
    cmd_put_2b(&c, BYTES_OF(ret->auth));
    PUT(&c, UINT16, key_hash_id(h));
    TRY(key_use(t, key, &c));
    TRY(error_tpm(ERROR_TPM_ANY, c.name, c.rc));
    extra_add(t, c.made);
    ret->handle = c.made;
    return CKR_OK;
}

static CK_RV sequence_use(struct tpm *t, const struct sequence *sequence, struct cmd *c)
{
    struct session *s;
    TRY(key_session(t, &s));
    c->handles = c->auth_handles = c->auths = 1;
    c->handle[0].handle = sequence->handle;
    c->auth[0] = (struct cmd_auth){.session = s, .value = BYTES_OF(sequence->auth)};
    c->encrypt_in = s;
    c->encrypt_out = c->encrypt_out ? s : NULL;
    CK_RV rv = cmd_exec(t, c, ERROR_TPM_ANY);
    key_session_end(t);
    return rv;
}

static CK_RV hmac_update(struct tpm *t, const struct sequence *sequence, struct bytes data)
{
    COMMAND(c, SequenceUpdate, .sequence = true);
    cmd_put_2b(&c, data);
    return sequence_use(t, sequence, &c);
}

static CK_RV hmac_end(struct tpm *t, const struct sequence *sequence, enum hash h,
                      struct bytes data, uint8_t *ret)
{
    COMMAND(c, SequenceComplete, .sequence = true, .encrypt_out = KEY_SESSION);
    cmd_put_2b(&c, data);
    PUT(&c, UINT32, TPM2_RH_NULL);
    TRY(sequence_use(t, sequence, &c));
    extra_forget(t, sequence->handle); /* it ended with the command */
    return take_hmac(&c, h, ret);
}

CK_RV tpm_hmac(struct tpm *t, const struct tpm_key *key, enum hash h, struct bytes data,
               uint8_t *ret)
{
    CLEANUP(sequence_wipe) struct sequence sequence;
    HOLD(t);
    if (data.n <= CHUNK)
        return hmac_short(t, key, h, data, ret);
    TRY(hmac_start(t, key, h, &sequence));
    while (data.n > CHUNK) {
        TRY(hmac_update(t, &sequence, BYTES(data.p, CHUNK)));
        data = BYTES(data.p + CHUNK, data.n - CHUNK);
    }
    return hmac_end(t, &sequence, h, data, ret);
}

/* ---- another authorization ----------------------------------------------------------------- */

CK_RV tpm_rekey(struct tpm *t, const struct tpm_key *key, struct bytes new_auth,
                struct buf *ret_priv)
{
    HOLD(t);
    COMMAND(c, ObjectChangeAuth, .encrypt_in = KEY_SESSION);
    cmd_put_2b(&c, new_auth);
    TRY(key_use_below(t, key, &c));
    TRY(error_tpm(ERROR_TPM_ANY, c.name, c.rc));
    struct bytes priv = cmd_get_2b(&c);
    TRY(cmd_parsed(&c));
    return append_2b(ret_priv, priv);
}
