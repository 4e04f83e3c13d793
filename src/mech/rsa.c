#include "families.h"

#include <string.h>

static size_t modulus_size(const struct mech_call *call)
{
    return (call->key->modulus_bits + 7) / 8;
}

/* ---- parameters ---------------------------------------------------------------------------- */

static enum hash mgf_hash(CK_ULONG mgf)
{
    static const struct {
        CK_ULONG mgf;
        enum hash hash;
    } known[] = {
        {CKG_MGF1_SHA1, HASH_SHA1},     {CKG_MGF1_SHA224, HASH_SHA224},
        {CKG_MGF1_SHA256, HASH_SHA256}, {CKG_MGF1_SHA384, HASH_SHA384},
        {CKG_MGF1_SHA512, HASH_SHA512}, {0x06, HASH_SHA3_224}, /* CKG_MGF1_SHA3_224 … of 3.0 */
        {0x07, HASH_SHA3_256},          {0x08, HASH_SHA3_384},
        {0x09, HASH_SHA3_512}};
    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
        if (known[i].mgf == mgf)
            return known[i].hash;
    return HASH_NONE;
}

CK_RV rsa_params_pss(const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
                     struct mech_params *ret)
{
    READ_PARAM(CK_RSA_PKCS_PSS_PARAMS, p, in);
    ret->hash = mech_hash_of(p.hashAlg);
    ret->mgf = mgf_hash(p.mgf);
    ret->salt = p.sLen;
    /* 2.40, 2.1.10: where the mechanism has a hash of its own, hashAlg must be that one */
    if (ret->hash == HASH_NONE || ret->mgf == HASH_NONE ||
        (m->hash != HASH_NONE && m->hash != ret->hash))
        return CKR_MECHANISM_PARAM_INVALID;
    /* RFC 8017, 9.1.1 step 3: hash, salt and two bytes must fit the encoded message */
    size_t room = (key->modulus_bits - 1 + 7) / 8, fixed = hash_size(ret->hash) + 2;
    return room >= fixed && p.sLen <= room - fixed ? CKR_OK : CKR_MECHANISM_PARAM_INVALID;
}

CK_RV rsa_params_oaep(const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
                      struct mech_params *ret)
{
    (void)m;
    (void)key;
    READ_PARAM(CK_RSA_PKCS_OAEP_PARAMS, p, in);
    ret->hash = mech_hash_of(p.hashAlg);
    ret->mgf = mgf_hash(p.mgf);
    /* 2.40, 2.1.7: source 0 is the empty label, and must come without data */
    bool empty = p.ulSourceDataLen == 0;
    if (ret->hash == HASH_NONE || ret->mgf == HASH_NONE ||
        (p.source != CKZ_DATA_SPECIFIED && !(p.source == 0 && empty)) ||
        (!empty && !p.pSourceData) || p.ulSourceDataLen > 65536)
        return CKR_MECHANISM_PARAM_INVALID;
    return buf_set(&ret->label, BYTES(p.pSourceData, p.ulSourceDataLen));
}

/* ---- the private-key step ------------------------------------------------------------------ */

/* The TPM answers a block that is not below the modulus with a code that also means failure mode.
 */
static CK_RV private_step(const struct mech_call *call, struct bytes block, struct secret *ret)
{
    if (bytes_compare(block, call->key->modulus) >= 0)
        return CKR_DATA_INVALID;
    if (call->key->tpm_key)
        return tpm_rsa_private(call->tpm, call->key->tpm_key, block, ret);
    CLEANUP(secret_free) struct secret out = {0};
    TRY(secret_new(&out, block.n));
    TRY(soft_private_rsa(call->key->private_, block, out.p));
    *ret = out;
    out = (struct secret){0};
    return CKR_OK;
}

static CK_RV sign_block(const struct mech_call *call, struct bytes block, uint8_t *ret)
{
    CLEANUP(secret_free) struct secret out = {0};
    TRY(private_step(call, block, &out));
    memcpy(ret, out.p, out.n);
    return CKR_OK;
}

enum { MODULUS_MAX = 2048 }; /* bytes: more than any TPM or sane public key has */

/* ---- PKCS#1 v1.5 --------------------------------------------------------------------------- */

/* What is padded: the data of CKM_RSA_PKCS as it is, else the DigestInfo of the digest. */
static CK_RV encoded(const struct mech_call *call, struct bytes in, struct buf *ret)
{
    return call->mech->hash == HASH_NONE ? buf_set(ret, in)
                                         : soft_digest_info(call->mech->hash, in, ret);
}

CK_RV rsa_sign_pkcs1(const struct mech_call *call, struct bytes in, uint8_t *ret)
{
    CLEANUP(buf_free) struct buf t = {0};
    uint8_t block[MODULUS_MAX];
    TRY(encoded(call, in, &t));
    TRY(soft_pad_pkcs1(buf_bytes(&t), block, modulus_size(call)));
    return sign_block(call, BYTES(block, modulus_size(call)), ret);
}

CK_RV rsa_verify_pkcs1(const struct mech_call *call, struct bytes in, struct bytes signature)
{
    CLEANUP(buf_free) struct buf t = {0};
    TRY(encoded(call, in, &t));
    return soft_rsa_verify_pkcs1(call->key->public_, buf_bytes(&t), signature);
}

CK_RV rsa_encrypt_pkcs1(const struct mech_call *call, struct bytes in, uint8_t *ret)
{
    return soft_rsa_encrypt_pkcs1(call->key->public_, in, ret);
}

/* Ciphertexts shorter than the modulus lost leading zeros on their way; longer ones are no such. */
static CK_RV decrypt_block(const struct mech_call *call, struct bytes in, struct secret *ret)
{
    size_t k = modulus_size(call);
    uint8_t block[MODULUS_MAX] = {0};
    if (in.n != k)
        return CKR_ENCRYPTED_DATA_LEN_RANGE;
    memcpy(block, in.p, k);
    CK_RV rv = private_step(call, BYTES(block, k), ret);
    return rv == CKR_DATA_INVALID ? CKR_ENCRYPTED_DATA_INVALID : rv;
}

CK_RV rsa_decrypt_pkcs1(const struct mech_call *call, struct bytes in, struct secret *ret)
{
    CLEANUP(secret_free) struct secret block = {0}, plain = {0};
    size_t n;
    TRY(decrypt_block(call, in, &block));
    TRY(secret_new(&plain, block.n));
    TRY(soft_unpad_pkcs1(secret_bytes(&block), plain.p, &n));
    return secret_copy(ret, BYTES(plain.p, n));
}

/* ---- PSS ----------------------------------------------------------------------------------- */

CK_RV rsa_sign_pss(const struct mech_call *call, struct bytes in, uint8_t *ret)
{
    uint8_t block[MODULUS_MAX];
    TRY(soft_pad_pss(call->params->hash, call->params->mgf, call->params->salt, in,
                     call->key->modulus_bits, block));
    return sign_block(call, BYTES(block, modulus_size(call)), ret);
}

CK_RV rsa_verify_pss(const struct mech_call *call, struct bytes in, struct bytes signature)
{
    if (in.n != hash_size(call->params->hash))
        return CKR_DATA_LEN_RANGE;
    return soft_rsa_verify_pss(call->key->public_, call->params->hash, call->params->mgf,
                               call->params->salt, in, signature);
}

/* ---- OAEP ---------------------------------------------------------------------------------- */

CK_RV rsa_encrypt_oaep(const struct mech_call *call, struct bytes in, uint8_t *ret)
{
    return soft_rsa_encrypt_oaep(call->key->public_, call->params->hash, call->params->mgf,
                                 buf_bytes(&call->params->label), in, ret);
}

CK_RV rsa_decrypt_oaep(const struct mech_call *call, struct bytes in, struct secret *ret)
{
    CLEANUP(secret_free) struct secret block = {0}, plain = {0};
    size_t n;
    TRY(decrypt_block(call, in, &block));
    TRY(secret_new(&plain, block.n));
    TRY(soft_unpad_oaep(call->params->hash, call->params->mgf, buf_bytes(&call->params->label),
                        secret_bytes(&block), plain.p, &n));
    return secret_copy(ret, BYTES(plain.p, n));
}

/* ---- raw (X.509) --------------------------------------------------------------------------- */

CK_RV rsa_sign_raw(const struct mech_call *call, struct bytes in, uint8_t *ret)
{
    size_t k = modulus_size(call);
    uint8_t block[MODULUS_MAX] = {0};
    if (in.n > k) /* 2.40, 2.1.8: padded with zeros on the left, so it may be shorter */
        return CKR_DATA_LEN_RANGE;
    if (in.n)
        memcpy(block + k - in.n, in.p, in.n);
    return sign_block(call, BYTES(block, k), ret);
}

CK_RV rsa_verify_raw(const struct mech_call *call, struct bytes in, struct bytes signature)
{
    size_t k = modulus_size(call);
    uint8_t block[MODULUS_MAX] = {0}, opened[MODULUS_MAX];
    if (in.n > k)
        return CKR_DATA_LEN_RANGE;
    if (signature.n != k)
        return CKR_SIGNATURE_LEN_RANGE;
    if (in.n)
        memcpy(block + k - in.n, in.p, in.n);
    CK_RV rv = soft_rsa_public(call->key->public_, signature, opened);
    if (rv != CKR_OK)
        return rv == CKR_DATA_INVALID ? CKR_SIGNATURE_INVALID : rv;
    return secret_equal(BYTES(block, k), BYTES(opened, k)) ? CKR_OK : CKR_SIGNATURE_INVALID;
}

CK_RV rsa_encrypt_raw(const struct mech_call *call, struct bytes in, uint8_t *ret)
{
    return soft_rsa_public(call->key->public_, in, ret);
}

CK_RV rsa_decrypt_raw(const struct mech_call *call, struct bytes in, struct secret *ret)
{
    return decrypt_block(call, in, ret);
}

/* ---- recovery ------------------------------------------------------------------------------ */

CK_RV rsa_recover_raw(const struct mech_call *call, struct bytes signature, struct secret *ret)
{
    size_t k = modulus_size(call);
    CLEANUP(secret_free) struct secret block = {0};
    if (signature.n != k)
        return CKR_SIGNATURE_LEN_RANGE;
    TRY(secret_new(&block, k));
    CK_RV rv = soft_rsa_public(call->key->public_, signature, block.p);
    if (rv != CKR_OK)
        return rv == CKR_DATA_INVALID ? CKR_SIGNATURE_INVALID : rv;
    *ret = block;
    block = (struct secret){0};
    return CKR_OK;
}

/* RFC 8017, 9.2: 00 01, at least eight FF, 00, then what was signed. All of it is public. */
CK_RV rsa_recover_pkcs1(const struct mech_call *call, struct bytes signature, struct secret *ret)
{
    CLEANUP(secret_free) struct secret block = {0};
    size_t at = 2;
    TRY(rsa_recover_raw(call, signature, &block));
    while (at < block.n && block.p[at] == 0xFF)
        at++;
    bool padded =
        block.p[0] == 0 && block.p[1] == 1 && at >= 10 && at < block.n && block.p[at] == 0;
    return padded ? secret_copy(ret, BYTES(block.p + at + 1, block.n - at - 1))
                  : CKR_SIGNATURE_INVALID;
}

/* ---- generation ---------------------------------------------------------------------------- */

CK_RV rsa_generate_pair(struct tpm *t, const struct mech_pair_wanted *wanted,
                        struct tpm_key_made *ret)
{
    uint32_t e = 0;
    for (size_t i = 0; i < wanted->exponent.n; i++)
        e = e << 8 | wanted->exponent.p[i];
    return tpm_make_rsa(t, &wanted->parent, wanted->auth, wanted->modulus_bits, e, ret);
}

CK_RV rsa_generate_soft(const struct mech_pair_wanted *wanted, struct soft_private **ret)
{
    return soft_private_generate_rsa(wanted->modulus_bits, wanted->exponent, ret);
}
