#include "families.h"

/* A mechanism is one row: nothing else in the project decides by its CKM. */

#define NO_KEY        CK_UNAVAILABLE_INFORMATION
#define SIGN          (CKF_SIGN | CKF_VERIFY | CKF_MESSAGE_SIGN | CKF_MESSAGE_VERIFY)
#define RECOVER       (CKF_SIGN_RECOVER | CKF_VERIFY_RECOVER)
#define WRAP          (CKF_WRAP | CKF_UNWRAP)
#define EC_FLAGS      (CKF_EC_F_P | CKF_EC_NAMEDCURVE | CKF_EC_UNCOMPRESS)
#define EDWARDS_FLAGS (CKF_EC_F_P | CKF_EC_NAMEDCURVE | CKF_EC_CURVENAME)

#define RSA_PKCS1(ckm, h)                                                                          \
    {                                                                                              \
        .type = ckm, .key_type = CKK_RSA, .flags = CKF_HW | SIGN, .hash = h,                       \
        .params = params_none, .sign = rsa_sign_pkcs1, .verify = rsa_verify_pkcs1                  \
    }
#define RSA_PSS(ckm, h)                                                                            \
    {                                                                                              \
        .type = ckm, .key_type = CKK_RSA, .flags = CKF_HW | SIGN, .hash = h,                       \
        .params = rsa_params_pss, .sign = rsa_sign_pss, .verify = rsa_verify_pss                   \
    }
#define ECDSA(ckm, h)                                                                              \
    {                                                                                              \
        .type = ckm, .key_type = CKK_EC, .flags = CKF_HW | SIGN | EC_FLAGS, .hash = h,             \
        .params = params_none, .sign = ec_sign, .verify = ec_verify                                \
    }
#define ECDH(ckm)                                                                                  \
    {                                                                                              \
        .type = ckm, .key_type = CKK_EC,                                                           \
        .flags = CKF_HW | CKF_DERIVE | CKF_ENCAPSULATE | CKF_DECAPSULATE | EC_FLAGS,               \
        .params = ec_params_ecdh, .derive = ec_derive, .encapsulate = ec_encapsulate               \
    }
#define ENCRYPT_AND_WRAP (CKF_ENCRYPT | CKF_DECRYPT | CKF_WRAP | CKF_UNWRAP)
#define AES(ckm, m, read, c, ...)                                                                  \
    {                                                                                              \
        .type = ckm, .key_type = CKK_AES, .flags = CKF_HW | ENCRYPT_AND_WRAP, .mode = m,           \
        .params = read, .cipher = &c, __VA_ARGS__                                                  \
    }
#define MAC(ckm, key, hw, h, read, m)                                                              \
    {                                                                                              \
        .type = ckm, .key_type = key, .flags = hw | SIGN, .mac_hash = h, .params = read, .mac = &m \
    }
#define HMAC(name, hw, h)                                                                          \
    {.type = CKM_##name##_KEY_GEN,                                                                 \
     .key_type = CKK_##name##_HMAC,                                                                \
     .flags = hw | CKF_GENERATE,                                                                   \
     .params = params_none},                                                                       \
        MAC(CKM_##name##_HMAC, MECH_HMAC_KEY, hw, h, params_none, mac_hmac),                       \
        MAC(CKM_##name##_HMAC_GENERAL, MECH_HMAC_KEY, hw, h, mac_params_general, mac_hmac)
#define MESSAGES (CKF_MESSAGE_ENCRYPT | CKF_MESSAGE_DECRYPT)
#define DIGEST(ckm, h)                                                                             \
    {                                                                                              \
        .type = ckm, .key_type = NO_KEY, .flags = CKF_DIGEST, .hash = h, .params = params_none     \
    }

/* All software's work, but for a pseudorandom function under a key in the TPM. */
#define DERIVE(ckm, keys, read, f, ...)                                                            \
    {                                                                                              \
        .type = ckm, .key_type = keys, .flags = CKF_DERIVE, .params = read, .derive = f,           \
        __VA_ARGS__                                                                                \
    }

/* 3.2, 6.40.4, 6.40.5: what TLS makes of a master secret */
static const CK_MECHANISM_TYPE of_master_secret[] = {CKM_TLS12_KEY_AND_MAC_DERIVE,
                                                     CKM_TLS12_KEY_SAFE_DERIVE,
                                                     CKM_TLS_KDF,
                                                     CKM_TLS_MAC,
                                                     CKM_TLS12_KDF,
                                                     CKM_TLS12_MAC};
#define MASTER_SECRET .allowed = {(const uint8_t *)of_master_secret, sizeof(of_master_secret)}

/* clang-format off */
static const struct mech table[] = {
    {.type = CKM_RSA_PKCS_KEY_PAIR_GEN, .key_type = CKK_RSA, .flags = CKF_HW | CKF_GENERATE_KEY_PAIR,
     .params = params_none, .generate_pair = rsa_generate_pair, .generate_soft = rsa_generate_soft},
    {.type = CKM_RSA_PKCS, .key_type = CKK_RSA,
     .flags = CKF_HW | SIGN | RECOVER | CKF_ENCRYPT | CKF_DECRYPT | WRAP,
     .params = params_none, .sign = rsa_sign_pkcs1, .verify = rsa_verify_pkcs1, .recover = rsa_recover_pkcs1,
     .encrypt = rsa_encrypt_pkcs1, .decrypt = rsa_decrypt_pkcs1, .secret_only = true},
    {.type = CKM_RSA_X_509, .key_type = CKK_RSA,
     .flags = CKF_HW | SIGN | RECOVER | CKF_ENCRYPT | CKF_DECRYPT | WRAP,
     .params = params_none, .sign = rsa_sign_raw, .verify = rsa_verify_raw, .recover = rsa_recover_raw,
     .encrypt = rsa_encrypt_raw, .decrypt = rsa_decrypt_raw, .secret_only = true, .raw_block = true},
    {.type = CKM_RSA_PKCS_OAEP, .key_type = CKK_RSA, .flags = CKF_HW | CKF_ENCRYPT | CKF_DECRYPT | WRAP,
     .params = rsa_params_oaep, .encrypt = rsa_encrypt_oaep, .decrypt = rsa_decrypt_oaep, .secret_only = true},
    RSA_PKCS1(CKM_SHA1_RSA_PKCS, HASH_SHA1),
    RSA_PKCS1(CKM_SHA224_RSA_PKCS, HASH_SHA224),
    RSA_PKCS1(CKM_SHA256_RSA_PKCS, HASH_SHA256),
    RSA_PKCS1(CKM_SHA384_RSA_PKCS, HASH_SHA384),
    RSA_PKCS1(CKM_SHA512_RSA_PKCS, HASH_SHA512),
    RSA_PKCS1(CKM_SHA3_224_RSA_PKCS, HASH_SHA3_224),
    RSA_PKCS1(CKM_SHA3_256_RSA_PKCS, HASH_SHA3_256),
    RSA_PKCS1(CKM_SHA3_384_RSA_PKCS, HASH_SHA3_384),
    RSA_PKCS1(CKM_SHA3_512_RSA_PKCS, HASH_SHA3_512),
    RSA_PSS(CKM_RSA_PKCS_PSS, HASH_NONE),
    RSA_PSS(CKM_SHA1_RSA_PKCS_PSS, HASH_SHA1),
    RSA_PSS(CKM_SHA224_RSA_PKCS_PSS, HASH_SHA224),
    RSA_PSS(CKM_SHA256_RSA_PKCS_PSS, HASH_SHA256),
    RSA_PSS(CKM_SHA384_RSA_PKCS_PSS, HASH_SHA384),
    RSA_PSS(CKM_SHA512_RSA_PKCS_PSS, HASH_SHA512),
    RSA_PSS(CKM_SHA3_224_RSA_PKCS_PSS, HASH_SHA3_224),
    RSA_PSS(CKM_SHA3_256_RSA_PKCS_PSS, HASH_SHA3_256),
    RSA_PSS(CKM_SHA3_384_RSA_PKCS_PSS, HASH_SHA3_384),
    RSA_PSS(CKM_SHA3_512_RSA_PKCS_PSS, HASH_SHA3_512),

    {.type = CKM_EC_KEY_PAIR_GEN, .key_type = CKK_EC,
     .flags = CKF_HW | CKF_GENERATE_KEY_PAIR | EC_FLAGS,
     .params = params_none, .generate_pair = ec_generate_pair, .generate_soft = ec_generate_soft},
    ECDSA(CKM_ECDSA, HASH_NONE),
    ECDSA(CKM_ECDSA_SHA1, HASH_SHA1),
    ECDSA(CKM_ECDSA_SHA224, HASH_SHA224),
    ECDSA(CKM_ECDSA_SHA256, HASH_SHA256),
    ECDSA(CKM_ECDSA_SHA384, HASH_SHA384),
    ECDSA(CKM_ECDSA_SHA512, HASH_SHA512),
    ECDSA(CKM_ECDSA_SHA3_224, HASH_SHA3_224),
    ECDSA(CKM_ECDSA_SHA3_256, HASH_SHA3_256),
    ECDSA(CKM_ECDSA_SHA3_384, HASH_SHA3_384),
    ECDSA(CKM_ECDSA_SHA3_512, HASH_SHA3_512),
    ECDH(CKM_ECDH1_DERIVE),
    ECDH(CKM_ECDH1_COFACTOR_DERIVE), /* the cofactor of every curve here is 1 */

    /* no TPM has them: sealed keys, and those of a session */
    {.type = CKM_EC_EDWARDS_KEY_PAIR_GEN, .key_type = CKK_EC_EDWARDS,
     .flags = CKF_GENERATE_KEY_PAIR | EDWARDS_FLAGS, .params = params_none, .generate_soft = ec_generate_soft},
    {.type = CKM_EDDSA, .key_type = CKK_EC_EDWARDS, .flags = SIGN | EDWARDS_FLAGS,
     .params = eddsa_params, .sign = eddsa_sign, .verify = eddsa_verify},
    {.type = CKM_EC_MONTGOMERY_KEY_PAIR_GEN, .key_type = CKK_EC_MONTGOMERY,
     .flags = CKF_GENERATE_KEY_PAIR | EDWARDS_FLAGS, .params = params_none, .generate_soft = ec_generate_soft},

    {.type = CKM_AES_KEY_GEN, .key_type = CKK_AES, .flags = CKF_HW | CKF_GENERATE, .params = params_none},
    AES(CKM_AES_ECB, AES_ECB, params_none, aes_whole, .wrap_block = AES_BLOCK, .secret_only = true),
    AES(CKM_AES_CBC, AES_CBC, aes_params_iv, aes_whole, .wrap_block = AES_BLOCK, .secret_only = true),
    AES(CKM_AES_CBC_PAD, AES_CBC, aes_params_iv, aes_cbc_pad),
    AES(CKM_AES_CTR, AES_CTR, aes_params_counter, aes_stream),
    AES(CKM_AES_OFB, AES_OFB, aes_params_iv, aes_stream),
    AES(CKM_AES_CFB128, AES_CFB128, aes_params_iv, aes_stream),
    AES(CKM_AES_CFB8, AES_CFB8, aes_params_iv, aes_bytes),
    {.type = CKM_AES_GCM, .key_type = CKK_AES, .flags = CKF_HW | ENCRYPT_AND_WRAP | MESSAGES,
     .params = aead_params_gcm, .cipher = &aead_gcm, .message = aead_message_gcm,
     .wrap_message = aead_wrap_gcm, .wrap_n = sizeof(CK_GCM_WRAP_PARAMS)},
    {.type = CKM_AES_CCM, .key_type = CKK_AES, .flags = CKF_HW | ENCRYPT_AND_WRAP | MESSAGES,
     .params = aead_params_ccm, .cipher = &aead_ccm, .message = aead_message_ccm,
     .wrap_message = aead_wrap_ccm, .wrap_n = sizeof(CK_CCM_WRAP_PARAMS)},
    AES(CKM_AES_KEY_WRAP, AES_ECB, keywrap_params, keywrap_kw, .wrap_block = AES_BLOCK / 2),
    AES(CKM_AES_KEY_WRAP_KWP, AES_ECB, keywrap_params_kwp, keywrap_kwp),
    /* KWP's older name; SoftHSM 2.6 fills a private key up with zeros before it wraps it so */
    AES(CKM_AES_KEY_WRAP_PAD, AES_ECB, keywrap_params_kwp, keywrap_kwp, .filled = AES_BLOCK / 2),
    AES(CKM_AES_KEY_WRAP_PKCS7, AES_ECB, keywrap_params, keywrap_pkcs7),
    {.type = CKM_RSA_AES_KEY_WRAP, .key_type = CKK_RSA, .flags = CKF_HW | CKF_WRAP | CKF_UNWRAP,
     .params = keywrap_params_rsa, .cipher = &keywrap_rsa},
    MAC(CKM_AES_CMAC, CKK_AES, CKF_HW, HASH_NONE, params_none, mac_cmac),
    MAC(CKM_AES_CMAC_GENERAL, CKK_AES, CKF_HW, HASH_NONE, mac_params_general, mac_cmac),
    /* one parameter for many messages would be one IV for all of them */
    {.type = CKM_AES_GMAC, .key_type = CKK_AES, .flags = CKF_HW | CKF_SIGN | CKF_VERIFY,
     .params = mac_params_gmac, .mac = &mac_gmac},

    {.type = CKM_GENERIC_SECRET_KEY_GEN, .key_type = CKK_GENERIC_SECRET, .flags = CKF_HW | CKF_GENERATE,
     .params = params_none},
    HMAC(SHA_1, CKF_HW, HASH_SHA1),
    HMAC(SHA224, 0, HASH_SHA224),
    HMAC(SHA256, CKF_HW, HASH_SHA256),
    HMAC(SHA384, CKF_HW, HASH_SHA384),
    HMAC(SHA512, CKF_HW, HASH_SHA512),
    HMAC(SHA3_224, 0, HASH_SHA3_224),
    HMAC(SHA3_256, 0, HASH_SHA3_256),
    HMAC(SHA3_384, 0, HASH_SHA3_384),
    HMAC(SHA3_512, 0, HASH_SHA3_512),

    DIGEST(CKM_SHA_1, HASH_SHA1),
    DIGEST(CKM_SHA224, HASH_SHA224),
    DIGEST(CKM_SHA256, HASH_SHA256),
    DIGEST(CKM_SHA384, HASH_SHA384),
    DIGEST(CKM_SHA512, HASH_SHA512),
    DIGEST(CKM_SHA3_224, HASH_SHA3_224),
    DIGEST(CKM_SHA3_256, HASH_SHA3_256),
    DIGEST(CKM_SHA3_384, HASH_SHA3_384),
    DIGEST(CKM_SHA3_512, HASH_SHA3_512),

    {.type = CKM_HKDF_KEY_GEN, .key_type = CKK_HKDF, .flags = CKF_GENERATE, .params = params_none},
    DERIVE(CKM_HKDF_DERIVE, MECH_HKDF_KEY, kdf_params_hkdf, kdf_hkdf),
    DERIVE(CKM_HKDF_DATA, MECH_HKDF_KEY, kdf_params_hkdf, kdf_hkdf, .gives_data = true),
    DERIVE(CKM_SP800_108_COUNTER_KDF, MECH_ANY_SECRET, sp800_108_params_counter, sp800_108_derive,
           .like_base = true),
    DERIVE(CKM_SP800_108_FEEDBACK_KDF, MECH_ANY_SECRET, sp800_108_params_feedback, sp800_108_derive,
           .like_base = true),
    DERIVE(CKM_SP800_108_DOUBLE_PIPELINE_KDF, MECH_ANY_SECRET, sp800_108_params_pipeline,
           sp800_108_derive, .like_base = true),
    {.type = CKM_PKCS5_PBKD2, .key_type = NO_KEY, .flags = CKF_GENERATE,
     .params = kdf_params_pbkdf2, .generate = kdf_pbkdf2},
    DERIVE(CKM_AES_ECB_ENCRYPT_DATA, CKK_AES, aes_params_data, aes_derive, .mode = AES_ECB),
    DERIVE(CKM_AES_CBC_ENCRYPT_DATA, CKK_AES, aes_params_iv_data, aes_derive, .mode = AES_CBC),
    DERIVE(CKM_CONCATENATE_BASE_AND_KEY, MECH_ANY_SECRET, combine_params_key, combine_base_key, .glues = true),
    DERIVE(CKM_CONCATENATE_BASE_AND_DATA, MECH_ANY_SECRET, combine_params_data, combine_base_data, .glues = true),
    DERIVE(CKM_CONCATENATE_DATA_AND_BASE, MECH_ANY_SECRET, combine_params_data, combine_data_base, .glues = true),
    DERIVE(CKM_XOR_BASE_AND_DATA, MECH_ANY_SECRET, combine_params_data, combine_xor, .glues = true),
    DERIVE(CKM_EXTRACT_KEY_FROM_KEY, MECH_ANY_SECRET, combine_params_offset, combine_extract, .glues = true),
    DERIVE(CKM_TLS12_MASTER_KEY_DERIVE, CKK_GENERIC_SECRET, tls_params_master, tls_master, MASTER_SECRET),
    DERIVE(CKM_TLS12_MASTER_KEY_DERIVE_DH, CKK_GENERIC_SECRET, tls_params_master_dh, tls_master_dh,
           MASTER_SECRET),
    DERIVE(CKM_TLS12_EXTENDED_MASTER_KEY_DERIVE, CKK_GENERIC_SECRET, tls_params_extended, tls_master,
           MASTER_SECRET),
    DERIVE(CKM_TLS12_EXTENDED_MASTER_KEY_DERIVE_DH, CKK_GENERIC_SECRET, tls_params_extended_dh,
           tls_master_dh, MASTER_SECRET),
    DERIVE(CKM_TLS12_KEY_AND_MAC_DERIVE, CKK_GENERIC_SECRET, tls_params_key_and_mac, tls_key_and_mac,
           .as_base = true),
    DERIVE(CKM_TLS12_KEY_SAFE_DERIVE, CKK_GENERIC_SECRET, tls_params_key_safe, tls_key_and_mac,
           .as_base = true),
    /* 3.1, 6.40.8: as sensitive as its base key, too */
    DERIVE(CKM_TLS12_KDF, CKK_GENERIC_SECRET, tls_params_kdf, tls_kdf, .glues = true),
    DERIVE(CKM_TLS_KDF, CKK_GENERIC_SECRET, tls_params_kdf, tls_kdf, .glues = true),
    MAC(CKM_TLS12_MAC, CKK_GENERIC_SECRET, 0, HASH_NONE, tls_params_mac, tls_finished),
    MAC(CKM_TLS_MAC, CKK_GENERIC_SECRET, 0, HASH_NONE, tls_params_mac, tls_finished),
};
/* clang-format on */

enum { ROWS = sizeof(table) / sizeof(*table) };

const struct mech *mech_find(CK_MECHANISM_TYPE type)
{
    for (size_t i = 0; i < ROWS; i++)
        if (table[i].type == type)
            return &table[i];
    return NULL;
}

const struct mech *mech_table(size_t *ret_n)
{
    *ret_n = ROWS;
    return table;
}

enum hash mech_hash_of(CK_MECHANISM_TYPE digest)
{
    const struct mech *m = mech_find(digest);
    return m && (m->flags & CKF_DIGEST) ? m->hash : HASH_NONE;
}

/* Key sizes: bits of RSA and EC keys, bytes of secret keys (2.40, 2.x "information about key
 * sizes"). */
static const struct {
    CK_KEY_TYPE key_type;
    CK_ULONG low, high;
} sizes[] = {
    {CKK_EC, 224, 521}, /* a curve that the TPM lacks is there for sealed keys */
    {CKK_EC_EDWARDS, 255, 448},
    {CKK_EC_MONTGOMERY, 255, 448},
    {CKK_AES, 16, 32},
    {MECH_HMAC_KEY, 1, MECH_SECRET_MAX},
    {CKK_GENERIC_SECRET, 8, 8 * MECH_SECRET_MAX}, /* bits, of all (3.1, 6.8) */
    {CKK_HKDF, 1, MECH_SECRET_MAX},
    {MECH_HKDF_KEY, 1, MECH_SECRET_MAX},
    {MECH_ANY_SECRET, 8, 8 * MECH_SECRET_MAX}, /* bits (6.42, 6.43) */
};

static CK_KEY_TYPE sized_as(CK_KEY_TYPE type)
{
    return mech_hmac_hash(type) == HASH_NONE ? type : MECH_HMAC_KEY;
}

static void rsa_sizes(const struct mech *m, CK_ULONG *low, CK_ULONG *high)
{
    bool makes = m->flags & CKF_GENERATE_KEY_PAIR;
    *low = PRIVATE_RSA_BITS_MIN;
    *high = makes ? MECH_RSA_MADE_MAX : PRIVATE_RSA_BITS_MAX;
}

/* Everything is there whatever the TPM has: what it lacks is done with sealed keys. Only they are
 * not hardware's. */
static bool in_hardware(const struct mech *m, const struct tpm_caps *caps)
{
    return !(m->key_type == CKK_RSA && !caps->rsa_sizes) &&
           !(m->key_type == CKK_EC && !caps->curves) &&
           !(m->key_type == CKK_AES && !caps->aes_sizes);
}

void mech_info(const struct mech *m, const struct tpm_caps *caps, CK_MECHANISM_INFO *ret)
{
    CK_ULONG low = 0, high = 0;
    if (m->key_type == CKK_RSA)
        rsa_sizes(m, &low, &high);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
        if (sizes[i].key_type == sized_as(m->key_type)) {
            low = sizes[i].low;
            high = sizes[i].high;
        }
    if (m->derive == tls_master || m->derive == tls_master_dh) /* 3.1, 6.40.4: bytes */
        low = high = TLS_MASTER_SIZE;
    CK_FLAGS flags = in_hardware(m, caps) ? m->flags : m->flags & ~(CK_FLAGS)CKF_HW;
    *ret = (CK_MECHANISM_INFO){.ulMinKeySize = low, .ulMaxKeySize = high, .flags = flags};
}

size_t mech_output_size(const struct mech *m, const struct mech_params *params,
                        const struct mech_key *key)
{
    if (m->mac && params->mac_n)
        return params->mac_n;
    if (m->mac)
        return m->mac_hash == HASH_NONE ? AES_BLOCK : hash_size(m->mac_hash);
    if (m->key_type == CKK_EC || m->key_type == CKK_EC_EDWARDS)
        return 2 * curve_field_size(key->curve);
    return (key->modulus_bits + 7) / 8;
}

void mech_params_free(struct mech_params *p)
{
    struct buf *all[] = {
        &p->label,           &p->shared,          &p->peer,           &p->iv, &p->aad,
        &p->derivation.salt, &p->derivation.data, &p->derivation.seed};
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): of pointers indeed */
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
        buf_free(all[i]);
    secret_free(&p->derivation.password);
}

void mech_stream_free(struct mech_stream *s)
{
    secret_free(&s->state);
    soft_digest_free(&s->digest);
    buf_free(&s->pending);
}

static const struct {
    CK_KEY_TYPE type;
    enum hash hash;
} hmac_keys[] = {
    {CKK_SHA_1_HMAC, HASH_SHA1},        {CKK_SHA224_HMAC, HASH_SHA224},
    {CKK_SHA256_HMAC, HASH_SHA256},     {CKK_SHA384_HMAC, HASH_SHA384},
    {CKK_SHA512_HMAC, HASH_SHA512},     {CKK_SHA3_224_HMAC, HASH_SHA3_224},
    {CKK_SHA3_256_HMAC, HASH_SHA3_256}, {CKK_SHA3_384_HMAC, HASH_SHA3_384},
    {CKK_SHA3_512_HMAC, HASH_SHA3_512},
};

enum hash mech_hmac_hash(CK_KEY_TYPE type)
{
    for (size_t i = 0; i < sizeof(hmac_keys) / sizeof(*hmac_keys); i++)
        if (hmac_keys[i].type == type)
            return hmac_keys[i].hash;
    return HASH_NONE;
}

static bool is_secret(CK_KEY_TYPE type)
{
    return type == CKK_AES || type == CKK_GENERIC_SECRET || type == CKK_HKDF ||
           mech_hmac_hash(type) != HASH_NONE;
}

bool mech_symmetric(const struct mech *m)
{
    return m->key_type == MECH_ANY_SECRET || m->key_type == MECH_HMAC_KEY ||
           m->key_type == MECH_HKDF_KEY || is_secret(m->key_type);
}

bool mech_takes_key(const struct mech *m, CK_KEY_TYPE type)
{
    if (m->key_type == MECH_ANY_SECRET)
        return is_secret(type);
    if (m->key_type == MECH_HMAC_KEY)
        return type == CKK_GENERIC_SECRET ||
               (m->mac_hash != HASH_NONE && mech_hmac_hash(type) == m->mac_hash);
    if (m->key_type == MECH_HKDF_KEY)
        return type == CKK_GENERIC_SECRET || type == CKK_HKDF;
    if (m->key_type == CKK_EC && m->derive) /* 3.0, 2.3.16: and X25519's and X448's */
        return type == CKK_EC || type == CKK_EC_MONTGOMERY;
    return type == m->key_type;
}

CK_RV params_none(const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
                  struct mech_params *ret)
{
    (void)m;
    (void)key;
    (void)ret;
    /* NSS and others leave a stale pointer with length 0: that is no parameter */
    return in->ulParameterLen == 0 ? CKR_OK : CKR_MECHANISM_PARAM_INVALID;
}
