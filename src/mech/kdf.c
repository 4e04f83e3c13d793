#include "families.h"

/* ---- HKDF ---------------------------------------------------------------------------------- */

static CK_RV read_salt(const CK_HKDF_PARAMS *p, struct mech_derivation *d)
{
    switch (p->ulSaltType) {
    case CKF_HKDF_SALT_NULL:
        return CKR_OK;
    case CKF_HKDF_SALT_DATA:
        return params_append(p->pSalt, p->ulSaltLen, &d->salt);
    case CKF_HKDF_SALT_KEY:
        d->other = p->hSaltKey;
        return d->other == CK_INVALID_HANDLE ? CKR_MECHANISM_PARAM_INVALID : CKR_OK;
    default:
        return CKR_MECHANISM_PARAM_INVALID;
    }
}

/* 3.1, 6.62.3: without bExtract the salt is ignored, without bExpand the info is. */
CK_RV kdf_params_hkdf(const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
                      struct mech_params *ret)
{
    (void)m;
    (void)key;
    struct mech_derivation *d = &ret->derivation;
    READ_PARAM(CK_HKDF_PARAMS, p, in);
    d->prf = mech_hash_of(p.prfHashMechanism);
    d->extract = p.bExtract;
    d->expand = p.bExpand;
    if (d->prf == HASH_NONE || (!d->extract && !d->expand))
        return CKR_MECHANISM_PARAM_INVALID;
    if (d->extract)
        TRY(read_salt(&p, d));
    return d->expand ? params_append(p.pInfo, p.ulInfoLen, &d->data) : CKR_OK;
}

/* 6.62.3 wants base keys as long as a digest; RFC 5869 does not, and TLS 1.3 extracts from shared
 * secrets of any curve. */
static CK_RV extract(const struct mech_call *call, struct secret *ret)
{
    const struct mech_derivation *d = &call->params->derivation;
    struct bytes base, salt = d->other ? call->other : buf_bytes(&d->salt);
    TRY(derive_value(call, &base));
    TRY(secret_new(ret, hash_size(d->prf)));
    return soft_hkdf_extract(d->prf, base, salt, ret->p);
}

/* ret = expansion of prk, or of the base key where there is none. */
static CK_RV expand(const struct mech_call *call, const struct secret *prk, size_t n,
                    struct secret *ret)
{
    const struct mech_derivation *d = &call->params->derivation;
    CLEANUP(soft_prf_free) struct soft_prf prf = {0};
    TRY(d->extract ? soft_prf_hmac(d->prf, secret_bytes(prk), &prf) : derive_prf(call, &prf));
    TRY(secret_new(ret, n));
    return soft_prf_expand(&prf, buf_bytes(&d->data), ret->p, n);
}

CK_RV kdf_hkdf(const struct mech_call *call, size_t want, struct secret *ret)
{
    const struct mech_derivation *d = &call->params->derivation;
    CLEANUP(secret_free) struct secret prk = {0}, key = {0};
    size_t n, digest = hash_size(d->prf);
    TRY(derive_length(want, d->expand ? 0 : digest, d->expand ? 255 * digest : digest, &n));
    if (!d->expand && n != digest) /* an extraction has that length, and is not cut */
        return CKR_KEY_SIZE_RANGE;
    if (d->extract)
        TRY(extract(call, &prk));
    if (!d->expand)
        return derive_give(&prk, ret);
    TRY(expand(call, &prk, n, &key));
    return derive_give(&key, ret);
}

/* ---- PBKDF2 -------------------------------------------------------------------------------- */

enum { ROUNDS_MAX = 10000000, LOWEST_ADDRESS = 65536 };

static enum hash pbkdf2_hash(CK_PKCS5_PBKD2_PSEUDO_RANDOM_FUNCTION_TYPE prf)
{
    static const enum hash hashes[] = {
        [CKP_PKCS5_PBKD2_HMAC_SHA1] = HASH_SHA1,     [CKP_PKCS5_PBKD2_HMAC_SHA224] = HASH_SHA224,
        [CKP_PKCS5_PBKD2_HMAC_SHA256] = HASH_SHA256, [CKP_PKCS5_PBKD2_HMAC_SHA384] = HASH_SHA384,
        [CKP_PKCS5_PBKD2_HMAC_SHA512] = HASH_SHA512,
    };
    return prf < sizeof(hashes) / sizeof(*hashes) ? hashes[prf] : HASH_NONE;
}

/* CK_PKCS5_PBKD2_PARAMS, with a pointer to the password's length, and CK_PKCS5_PBKD2_PARAMS2, with
 * the length, are equally long: only the value tells them apart. No pointer is below 64 KiB
 * (vm.mmap_min_addr) or odd, and no password is longer. */
static CK_RV password_length(CK_ULONG length_or_address, CK_ULONG *ret)
{
    if (length_or_address < LOWEST_ADDRESS) {
        *ret = length_or_address;
        return CKR_OK;
    }
    if (length_or_address % _Alignof(CK_ULONG))
        return CKR_MECHANISM_PARAM_INVALID;
    memcpy(ret, (const void *)length_or_address, sizeof(*ret));
    return *ret < LOWEST_ADDRESS ? CKR_OK : CKR_MECHANISM_PARAM_INVALID;
}

CK_RV kdf_params_pbkdf2(const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
                        struct mech_params *ret)
{
    (void)m;
    (void)key;
    struct mech_derivation *d = &ret->derivation;
    CK_ULONG password;
    READ_PARAM(CK_PKCS5_PBKD2_PARAMS2, p, in);
    d->prf = pbkdf2_hash(p.prf);
    if (p.saltSource != CKZ_SALT_SPECIFIED || d->prf == HASH_NONE || p.pPrfData || p.ulPrfDataLen ||
        p.iterations == 0 || p.iterations > ROUNDS_MAX)
        return CKR_MECHANISM_PARAM_INVALID;
    d->rounds = (uint32_t)p.iterations;
    TRY(params_append(p.pSaltSourceData, p.ulSaltSourceDataLen, &d->salt));
    TRY(password_length(p.ulPasswordLen, &password));
    if (password && !p.pPassword)
        return CKR_MECHANISM_PARAM_INVALID;
    return secret_copy(&d->password, BYTES(p.pPassword, password));
}

CK_RV kdf_pbkdf2(const struct mech_call *call, size_t want, struct secret *ret)
{
    const struct mech_derivation *d = &call->params->derivation;
    CLEANUP(secret_free) struct secret key = {0};
    size_t n;
    TRY(derive_length(want, 0, MECH_SECRET_MAX, &n));
    TRY(secret_new(&key, n));
    TRY(soft_pbkdf2(d->prf, secret_bytes(&d->password), buf_bytes(&d->salt), d->rounds, key.p, n));
    return derive_give(&key, ret);
}
