#include "mechanism.h"

#include <errno.h>
#include <openssl/objects.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include "module.h"

#define SECRET  CKO_SECRET_KEY
#define PRIVATE CKO_PRIVATE_KEY

/* Of those that fit a key the first that the token has is the default. ECDSA hashes here, because
 * not every token hashes for it (csr.c does the same). */
static const struct mechanism rows[] = {
    {USE_SIGN, "rsa-pkcs-sha256", CKK_RSA, CKM_SHA256_RSA_PKCS, PARAMETER_NONE, NID_sha256, 0},
    {USE_SIGN, "rsa-pkcs-sha384", CKK_RSA, CKM_SHA384_RSA_PKCS, PARAMETER_NONE, NID_sha384, 0},
    {USE_SIGN, "rsa-pkcs-sha512", CKK_RSA, CKM_SHA512_RSA_PKCS, PARAMETER_NONE, NID_sha512, 0},
    {USE_SIGN, "rsa-pss-sha256", CKK_RSA, CKM_SHA256_RSA_PKCS_PSS, PARAMETER_PSS, NID_sha256, 0},
    {USE_SIGN, "rsa-pss-sha384", CKK_RSA, CKM_SHA384_RSA_PKCS_PSS, PARAMETER_PSS, NID_sha384, 0},
    {USE_SIGN, "rsa-pss-sha512", CKK_RSA, CKM_SHA512_RSA_PKCS_PSS, PARAMETER_PSS, NID_sha512, 0},
    {USE_SIGN, "ecdsa-sha256", CKK_EC, CKM_ECDSA, PARAMETER_NONE, NID_sha256, 0},
    {USE_SIGN, "ecdsa-sha384", CKK_EC, CKM_ECDSA, PARAMETER_NONE, NID_sha384, 0},
    {USE_SIGN, "ecdsa-sha512", CKK_EC, CKM_ECDSA, PARAMETER_NONE, NID_sha512, 0},
    {USE_SIGN, "eddsa", CKK_EC_EDWARDS, CKM_EDDSA, PARAMETER_NONE, 0, 0},
    {USE_SIGN, "hmac-sha256", CKK_GENERIC_SECRET, CKM_SHA256_HMAC, PARAMETER_NONE, 0, 0},
    {USE_SIGN, "hmac-sha1", CKK_GENERIC_SECRET, CKM_SHA_1_HMAC, PARAMETER_NONE, 0, 0},
    {USE_SIGN, "hmac-sha224", CKK_GENERIC_SECRET, CKM_SHA224_HMAC, PARAMETER_NONE, 0, 0},
    {USE_SIGN, "hmac-sha384", CKK_GENERIC_SECRET, CKM_SHA384_HMAC, PARAMETER_NONE, 0, 0},
    {USE_SIGN, "hmac-sha512", CKK_GENERIC_SECRET, CKM_SHA512_HMAC, PARAMETER_NONE, 0, 0},
    {USE_SIGN, "hmac-sha1", CKK_SHA_1_HMAC, CKM_SHA_1_HMAC, PARAMETER_NONE, 0, 0},
    {USE_SIGN, "hmac-sha224", CKK_SHA224_HMAC, CKM_SHA224_HMAC, PARAMETER_NONE, 0, 0},
    {USE_SIGN, "hmac-sha256", CKK_SHA256_HMAC, CKM_SHA256_HMAC, PARAMETER_NONE, 0, 0},
    {USE_SIGN, "hmac-sha384", CKK_SHA384_HMAC, CKM_SHA384_HMAC, PARAMETER_NONE, 0, 0},
    {USE_SIGN, "hmac-sha512", CKK_SHA512_HMAC, CKM_SHA512_HMAC, PARAMETER_NONE, 0, 0},
    {USE_SIGN, "aes-cmac", CKK_AES, CKM_AES_CMAC, PARAMETER_NONE, 0, 0},

    {USE_ENCRYPT, "aes-gcm", CKK_AES, CKM_AES_GCM, PARAMETER_GCM, 0, 0},
    {USE_ENCRYPT, "aes-cbc-pad", CKK_AES, CKM_AES_CBC_PAD, PARAMETER_IV, 0, 0},
    {USE_ENCRYPT, "rsa-oaep", CKK_RSA, CKM_RSA_PKCS_OAEP, PARAMETER_OAEP, NID_sha256, 0},
    {USE_ENCRYPT, "rsa-oaep-sha1", CKK_RSA, CKM_RSA_PKCS_OAEP, PARAMETER_OAEP, NID_sha1, 0},
    {USE_ENCRYPT, "rsa-pkcs", CKK_RSA, CKM_RSA_PKCS, PARAMETER_NONE, 0, 0},

    {USE_WRAP, "aes-kwp", CKK_AES, CKM_AES_KEY_WRAP_KWP, PARAMETER_NONE, 0, 0},
    {USE_WRAP, "aes-key-wrap-pad", CKK_AES, CKM_AES_KEY_WRAP_PAD, PARAMETER_NONE, 0, 0},
    {USE_WRAP, "aes-key-wrap", CKK_AES, CKM_AES_KEY_WRAP, PARAMETER_NONE, 0, 0},
    {USE_WRAP, "aes-gcm", CKK_AES, CKM_AES_GCM, PARAMETER_GCM, 0, 0},
    {USE_WRAP, "aes-cbc-pad", CKK_AES, CKM_AES_CBC_PAD, PARAMETER_IV, 0, 0},
    {USE_WRAP, "rsa-oaep", CKK_RSA, CKM_RSA_PKCS_OAEP, PARAMETER_OAEP, NID_sha256, SECRET},
    {USE_WRAP, "rsa-oaep-sha1", CKK_RSA, CKM_RSA_PKCS_OAEP, PARAMETER_OAEP, NID_sha1, SECRET},
    {USE_WRAP, "rsa-pkcs", CKK_RSA, CKM_RSA_PKCS, PARAMETER_NONE, 0, SECRET},
    {USE_WRAP, "rsa-aes", CKK_RSA, CKM_RSA_AES_KEY_WRAP, PARAMETER_RSA_AES, NID_sha256, 0},
};
enum { ROWS = sizeof(rows) / sizeof(*rows) };

static const struct {
    int nid;
    CK_MECHANISM_TYPE mechanism;
    CK_RSA_PKCS_MGF_TYPE mgf;
    CK_ULONG size;
} hashes[] = {{NID_sha1, CKM_SHA_1, CKG_MGF1_SHA1, 20},
              {NID_sha256, CKM_SHA256, CKG_MGF1_SHA256, 32},
              {NID_sha384, CKM_SHA384, CKG_MGF1_SHA384, 48},
              {NID_sha512, CKM_SHA512, CKG_MGF1_SHA512, 64}};

static const char *const verbs_of[USES] = {"sign", "encrypt", "wrap keys"};

static bool fits(const struct mechanism *row, enum mechanism_use use, CK_KEY_TYPE key)
{
    return row->use == use && row->key == key;
}

static bool carries(const struct mechanism *row, CK_OBJECT_CLASS target)
{
    return !target || !row->target || row->target == target;
}

/* "a, b, c" of those that fit. */
static void names(enum mechanism_use use, CK_KEY_TYPE key, char *out, size_t room)
{
    size_t n = 0;
    *out = '\0';
    for (size_t i = 0; i < ROWS && n < room; i++)
        if (fits(&rows[i], use, key))
            n += (size_t)snprintf(out + n, room - n, "%s%s", n ? ", " : "", rows[i].name);
}

static CK_RV named(const char *name, enum mechanism_use use, CK_KEY_TYPE key,
                   CK_OBJECT_CLASS target, const struct mechanism **ret)
{
    char choice[512];
    for (size_t i = 0; i < ROWS; i++) {
        if (!fits(&rows[i], use, key) || strcmp(rows[i].name, name) != 0)
            continue;
        if (!carries(&rows[i], target))
            return fail(EXIT_USAGE, "rsa-aes can.", "%s cannot carry a private key: it is too long",
                        name);
        *ret = &rows[i];
        return CKR_OK;
    }
    names(use, key, choice, sizeof(choice));
    return fail(EXIT_USAGE, NULL, "'%s' is no mechanism to %s with this key: there are %s", name,
                verbs_of[use], choice);
}

CK_RV mechanism_choose(struct cli *cli, enum mechanism_use use, CK_KEY_TYPE key,
                       CK_OBJECT_CLASS target, const struct mechanism **ret)
{
    char choice[512];
    const struct mechanism *first = NULL;
    names(use, key, choice, sizeof(choice));
    if (!*choice)
        return fail(EXIT_FAILED, NULL, "a key of this type cannot %s", verbs_of[use]);
    if (cli->option[OPT_MECHANISM])
        return named(cli->option[OPT_MECHANISM], use, key, target, ret);
    for (size_t i = 0; i < ROWS; i++) {
        CK_MECHANISM_INFO info;
        if (!fits(&rows[i], use, key) || !carries(&rows[i], target))
            continue;
        first = first ? first : &rows[i];
        if (cli->module.p11->C_GetMechanismInfo(cli->token.slot, rows[i].type, &info) != CKR_OK)
            continue;
        *ret = &rows[i];
        return CKR_OK;
    }
    return fail(EXIT_FAILED, NULL,
                "the token has none of the mechanisms that %s with this key (%s)", verbs_of[use],
                choice);
}

size_t mechanism_iv(const struct mechanism *mechanism)
{
    static const size_t sizes[] = {[PARAMETER_IV] = 16, [PARAMETER_GCM] = 12};
    return mechanism->parameter <= PARAMETER_GCM ? sizes[mechanism->parameter] : 0;
}

static void fill_hash(int nid, struct mechanism_room *ret)
{
    for (size_t i = 0; i < sizeof(hashes) / sizeof(*hashes); i++)
        if (hashes[i].nid == nid) {
            ret->oaep = (CK_RSA_PKCS_OAEP_PARAMS){hashes[i].mechanism, hashes[i].mgf,
                                                  CKZ_DATA_SPECIFIED, NULL, 0};
            ret->pss = (CK_RSA_PKCS_PSS_PARAMS){hashes[i].mechanism, hashes[i].mgf, hashes[i].size};
        }
}

static void point(struct mechanism_room *room, void *parameter, size_t n)
{
    room->m.pParameter = parameter;
    room->m.ulParameterLen = n;
}

void mechanism_fill(const struct mechanism *mechanism, struct mechanism_room *ret)
{
    ret->m = (CK_MECHANISM){mechanism->type, NULL, 0};
    ret->iv_len = mechanism_iv(mechanism);
    switch (mechanism->parameter) {
    case PARAMETER_NONE:
        break;
    case PARAMETER_IV:
        point(ret, ret->iv, ret->iv_len);
        break;
    case PARAMETER_GCM:
        ret->gcm =
            (CK_GCM_PARAMS){ret->iv, ret->iv_len, ret->iv_len * 8, ret->aad, ret->aad_len, 128};
        point(ret, &ret->gcm, sizeof(ret->gcm));
        break;
    case PARAMETER_PSS:
        fill_hash(mechanism->hash, ret);
        point(ret, &ret->pss, sizeof(ret->pss));
        break;
    case PARAMETER_OAEP:
        fill_hash(mechanism->hash, ret);
        point(ret, &ret->oaep, sizeof(ret->oaep));
        break;
    case PARAMETER_RSA_AES:
        fill_hash(mechanism->hash, ret);
        ret->rsa_aes = (CK_RSA_AES_KEY_WRAP_PARAMS){256, &ret->oaep};
        point(ret, &ret->rsa_aes, sizeof(ret->rsa_aes));
        break;
    }
}

CK_RV mechanism_new_iv(struct mechanism_room *room)
{
    if (getrandom(room->iv, room->iv_len, 0) == (ssize_t)room->iv_len)
        return CKR_OK;
    return fail(EXIT_FAILED, NULL, "no random bytes: %s", strerror(errno));
}
