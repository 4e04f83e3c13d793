/* The private library context, and the functions of the provider that is loaded into it. */
#include "internal.h"

#include <stdio.h>
#include <string.h>
#include <openssl/crypto.h>
#include <openssl/obj_mac.h>
#include <openssl/provider.h>

struct soft_state soft_state;

static const char *const digest_names[HASH_COUNT] = {
    [HASH_SHA3_224] = "SHA3-224",
    [HASH_SHA3_256] = "SHA3-256",
    [HASH_SHA3_384] = "SHA3-384",
    [HASH_SHA3_512] = "SHA3-512",
};
static const int curve_nids[CURVE_COUNT] = {
    [CURVE_P224] = NID_secp224r1,
    [CURVE_P256] = NID_X9_62_prime256v1,
    [CURVE_P384] = NID_secp384r1,
    [CURVE_P521] = NID_secp521r1,
    [CURVE_SECP256K1] = NID_secp256k1,
    [CURVE_BRAINPOOL256] = NID_brainpoolP256r1,
    [CURVE_BRAINPOOL384] = NID_brainpoolP384r1,
    [CURVE_BRAINPOOL512] = NID_brainpoolP512r1,
};
static const char *const aes_mode_names[AES_MODES] = {
    [AES_ECB] = "ECB",    [AES_CBC] = "CBC",   [AES_CTR] = "CTR",
    [AES_CFB128] = "CFB", [AES_CFB8] = "CFB8", [AES_OFB] = "OFB",
};
const size_t aes_key_sizes[AES_KEY_SIZES] = {16, 24, 32};

/* names: "AES-256-GCM:id-aes256-GCM:…" */
static bool is_named(const char *names, const char *name)
{
    size_t n = strlen(name);
    for (const char *p = names; p; p = strchr(p, ':')) {
        p += *p == ':';
        if (strncmp(p, name, n) == 0 && (p[n] == ':' || p[n] == '\0'))
            return true;
    }
    return false;
}

/* NULL when the provider has no such algorithm. */
static const OSSL_DISPATCH *find(int operation, const char *name)
{
    int no_cache;
    const OSSL_ALGORITHM *row =
        OSSL_PROVIDER_query_operation(soft_state.provider, operation, &no_cache);
    for (; row && row->algorithm_names; row++)
        if (is_named(row->algorithm_names, name))
            return row->implementation;
    return NULL;
}

static bool read_digest(const OSSL_DISPATCH *d, struct digest_functions *ret)
{
    for (; d && d->function_id; d++) {
        switch (d->function_id) {
        case OSSL_FUNC_DIGEST_NEWCTX:
            ret->newctx = OSSL_FUNC_digest_newctx(d);
            break;
        case OSSL_FUNC_DIGEST_DUPCTX:
            ret->dupctx = OSSL_FUNC_digest_dupctx(d);
            break;
        case OSSL_FUNC_DIGEST_FREECTX:
            ret->freectx = OSSL_FUNC_digest_freectx(d);
            break;
        case OSSL_FUNC_DIGEST_INIT:
            ret->init = OSSL_FUNC_digest_init(d);
            break;
        case OSSL_FUNC_DIGEST_UPDATE:
            ret->update = OSSL_FUNC_digest_update(d);
            break;
        case OSSL_FUNC_DIGEST_FINAL:
            ret->final = OSSL_FUNC_digest_final(d);
            break;
        }
    }
    return ret->newctx && ret->dupctx && ret->freectx && ret->init && ret->update && ret->final;
}

static bool read_cipher(const OSSL_DISPATCH *d, struct cipher_functions *ret)
{
    for (; d && d->function_id; d++) {
        switch (d->function_id) {
        case OSSL_FUNC_CIPHER_NEWCTX:
            ret->newctx = OSSL_FUNC_cipher_newctx(d);
            break;
        case OSSL_FUNC_CIPHER_FREECTX:
            ret->freectx = OSSL_FUNC_cipher_freectx(d);
            break;
        case OSSL_FUNC_CIPHER_ENCRYPT_INIT:
            ret->encrypt_init = OSSL_FUNC_cipher_encrypt_init(d);
            break;
        case OSSL_FUNC_CIPHER_DECRYPT_INIT:
            ret->decrypt_init = OSSL_FUNC_cipher_decrypt_init(d);
            break;
        case OSSL_FUNC_CIPHER_UPDATE:
            ret->update = OSSL_FUNC_cipher_update(d);
            break;
        case OSSL_FUNC_CIPHER_FINAL:
            ret->final = OSSL_FUNC_cipher_final(d);
            break;
        case OSSL_FUNC_CIPHER_CIPHER:
            ret->cipher = OSSL_FUNC_cipher_cipher(d);
            break;
        case OSSL_FUNC_CIPHER_GET_CTX_PARAMS:
            ret->get_ctx_params = OSSL_FUNC_cipher_get_ctx_params(d);
            break;
        case OSSL_FUNC_CIPHER_SET_CTX_PARAMS:
            ret->set_ctx_params = OSSL_FUNC_cipher_set_ctx_params(d);
            break;
        }
    }
    return ret->newctx && ret->freectx && ret->encrypt_init && ret->decrypt_init && ret->update &&
           ret->final && ret->cipher && ret->get_ctx_params && ret->set_ctx_params;
}

static bool load_aes(struct soft_state *s)
{
    for (enum aes_mode m = AES_ECB; m < AES_MODES; m++) {
        for (size_t i = 0; i < AES_KEY_SIZES; i++) {
            char name[16];
            snprintf(name, sizeof(name), "AES-%zu-%s", 8 * aes_key_sizes[i], aes_mode_names[m]);
            if (!read_cipher(find(OSSL_OP_CIPHER, name), &s->aes[m][i]))
                return false;
        }
    }
    return read_cipher(find(OSSL_OP_CIPHER, "AES-256-GCM"), &s->aes_256_gcm);
}

/* From the provider what sha.c has not. */
static bool load_digests(struct soft_state *s)
{
    for (enum hash h = HASH_SHA1; h < HASH_COUNT; h++) {
        s->digest[h] = sha_functions[h];
        if (digest_names[h] && !read_digest(find(OSSL_OP_DIGEST, digest_names[h]), &s->digest[h]))
            return false;
    }
    return read_digest(find(OSSL_OP_DIGEST, "SHAKE-256"), &s->shake256);
}

static bool make_groups(struct soft_state *s)
{
    for (enum curve c = CURVE_P224; c < CURVE_COUNT; c++)
        if (!(s->group[c] = EC_GROUP_new_by_curve_name_ex(s->library, NULL, curve_nids[c])))
            return false;
    return true;
}

CK_RV soft_start(void)
{
    KEEP_ERROR_QUEUE;
    struct soft_state *s = &soft_state;
    if ((s->library = OSSL_LIB_CTX_new()) &&
        (s->provider = OSSL_PROVIDER_load(s->library, "default")) &&
        (s->provider_ctx = OSSL_PROVIDER_get0_provider_ctx(s->provider)) && load_digests(s) &&
        load_aes(s) && make_groups(s))
        return CKR_OK;
    CK_RV rv = error_openssl("starting the private library context");
    soft_stop();
    return rv;
}

void soft_stop(void)
{
    KEEP_ERROR_QUEUE;
    for (enum curve c = CURVE_NONE; c < CURVE_COUNT; c++)
        EC_GROUP_free(soft_state.group[c]);
    if (soft_state.provider)
        OSSL_PROVIDER_unload(soft_state.provider);
    OSSL_LIB_CTX_free(soft_state.library);
    soft_abandon();
}

void soft_abandon(void)
{
    soft_state = (struct soft_state){0};
}
