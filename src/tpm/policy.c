#include "internal.h"

/* Policies: their digests as the TPM will compute them (part 3, 23), and the commands. */

/* ---- digests ------------------------------------------------------------------------------- */

static const uint8_t nothing[32];

static struct bytes be32(uint32_t v, uint8_t *room)
{
    for (int i = 0; i < 4; i++)
        room[i] = (uint8_t)(v >> (8 * (3 - i)));
    return BYTES(room, 4);
}

CK_RV policy_command_code_digest(const uint8_t *from, TPM2_CC code, uint8_t *ret)
{
    uint8_t a[4], b[4];
    return soft_hash(
        HASH_SHA256,
        (struct bytes[]){BYTES(from, 32), be32(TPM2_CC_PolicyCommandCode, a), be32(code, b)}, 3,
        ret);
}

/* Part 3, 23.2.3: PolicyUpdate hashes the Name, then policyRef (empty) in a second round. */
static CK_RV name_digest(TPM2_CC code, struct bytes name, uint8_t *ret)
{
    uint8_t a[4], d[32];
    TRY(soft_hash(HASH_SHA256, (struct bytes[]){BYTES_OF(nothing), be32(code, a), name}, 3, d));
    return soft_hash(HASH_SHA256, (struct bytes[]){BYTES_OF(d)}, 1, ret);
}

CK_RV policy_secret_digest(struct bytes name, uint8_t *ret)
{
    return name_digest(TPM2_CC_PolicySecret, name, ret);
}

CK_RV policy_or_digest(const uint8_t *const *branch, size_t n, uint8_t *ret)
{
    struct bytes parts[2 + 8] = {BYTES_OF(nothing)};
    uint8_t a[4];
    parts[1] = be32(TPM2_CC_PolicyOR, a);
    for (size_t i = 0; i < n; i++)
        parts[2 + i] = BYTES(branch[i], 32);
    return soft_hash(HASH_SHA256, parts, 2 + n, ret);
}

static CK_RV signing_key(struct bytes seed, TPM2B_PUBLIC *ret, uint8_t *ret_name,
                         size_t *ret_name_n)
{
    uint8_t point[65], raw[sizeof(TPM2B_PUBLIC)];
    size_t n = 0;
    TRY(soft_p256_public_from_seed(seed, point));
    *ret = (TPM2B_PUBLIC){
        .publicArea = {.type = TPM2_ALG_ECC,
                       .nameAlg = TPM2_ALG_SHA256,
                       .objectAttributes = TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_SIGN_ENCRYPT,
                       .parameters.eccDetail = {.symmetric.algorithm = TPM2_ALG_NULL,
                                                .scheme.scheme = TPM2_ALG_NULL,
                                                .curveID = TPM2_ECC_NIST_P256,
                                                .kdf.scheme = TPM2_ALG_NULL},
                       .unique.ecc = {.x.size = 32, .y.size = 32}}};
    memcpy(ret->publicArea.unique.ecc.x.buffer, point + 1, 32);
    memcpy(ret->publicArea.unique.ecc.y.buffer, point + 33, 32);
    if (Tss2_MU_TPM2B_PUBLIC_Marshal(ret, raw, sizeof(raw), &n) != TSS2_RC_SUCCESS)
        return CKR_GENERAL_ERROR;
    return public_name(BYTES(raw, n), ret_name, ret_name_n);
}

CK_RV policy_signer(struct bytes seed, struct policy_signer *ret)
{
    TRY(signing_key(seed, &ret->key, ret->name, &ret->name_n));
    return name_digest(TPM2_CC_PolicySigned, BYTES(ret->name, ret->name_n), ret->digest);
}

/* ---- commands ------------------------------------------------------------------------------ */

CK_RV policy_command_code(struct tpm *t, const struct session *s, TPM2_CC code)
{
    COMMAND(c, PolicyCommandCode, .handles = 1);
    c.handle[0].handle = s->handle;
    PUT(&c, UINT32, code);
    return cmd_exec(t, &c, ERROR_TPM_ANY);
}

CK_RV policy_auth_value(struct tpm *t, struct session *s)
{
    COMMAND(c, PolicyAuthValue, .handles = 1);
    c.handle[0].handle = s->handle;
    TRY(cmd_exec(t, &c, ERROR_TPM_ANY));
    s->policy_auth = true;
    return CKR_OK;
}

CK_RV policy_or(struct tpm *t, const struct session *s, const uint8_t *const *branch, size_t n)
{
    TPML_DIGEST branches = {.count = (uint32_t)n};
    COMMAND(c, PolicyOR, .handles = 1);
    c.handle[0].handle = s->handle;
    for (size_t i = 0; i < n; i++) {
        branches.digests[i].size = 32;
        memcpy(branches.digests[i].buffer, branch[i], 32);
    }
    PUT(&c, TPML_DIGEST, &branches);
    return cmd_exec(t, &c, ERROR_TPM_ANY);
}

static CK_RV load_external(struct tpm *t, const struct policy_signer *signer, TPM2_HANDLE *ret)
{
    COMMAND(c, LoadExternal, .makes_handle = true);
    cmd_put_2b(&c, NO_BYTES); /* no private part */
    PUT(&c, TPM2B_PUBLIC, &signer->key);
    PUT(&c, UINT32, TPM2_RH_NULL);
    handle_pending(t, PENDING_OBJECT, BYTES(signer->name, signer->name_n));
    TRY(cmd_send(t, &c)); /* a lost answer stays pending */
    if (c.rc != TPM2_RC_SUCCESS)
        handle_pending(t, PENDING_NONE, NO_BYTES);
    TRY(error_tpm(ERROR_TPM_ANY, c.name, c.rc));
    extra_add(t, c.made);
    *ret = c.made;
    return CKR_OK;
}

CK_RV policy_signed(struct tpm *t, const struct session *s, const struct policy_signer *signer,
                    struct bytes seed)
{
    static const uint8_t no_expiration[4];
    TPMT_SIGNATURE signature = {
        .sigAlg = TPM2_ALG_ECDSA,
        .signature.ecdsa = {.hash = TPM2_ALG_SHA256, .signatureR.size = 32, .signatureS.size = 32}};
    uint8_t a_hash[32], rs[64];
    TPM2_HANDLE key;
    /* part 3, 23.3.1: aHash = H(nonceTPM || expiration || cpHashA || policyRef) */
    TRY(soft_hash(HASH_SHA256, (struct bytes[]){BYTES_OF(s->nonce_tpm), BYTES_OF(no_expiration)}, 2,
                  a_hash));
    TRY(soft_p256_sign_with_seed(seed, BYTES_OF(a_hash), rs));
    memcpy(signature.signature.ecdsa.signatureR.buffer, rs, 32);
    memcpy(signature.signature.ecdsa.signatureS.buffer, rs + 32, 32);
    TRY(load_external(t, signer, &key));
    COMMAND(c, PolicySigned, .handles = 2);
    c.handle[0].handle = key;
    c.handle[1].handle = s->handle;
    cmd_put_2b(&c, BYTES_OF(s->nonce_tpm));
    cmd_put_2b(&c, NO_BYTES);
    cmd_put_2b(&c, NO_BYTES);
    PUT(&c, UINT32, 0);
    PUT(&c, TPMT_SIGNATURE, &signature);
    CK_RV rv = cmd_exec(t, &c, ERROR_TPM_ANY);
    extra_flush(t, key);
    return rv;
}
