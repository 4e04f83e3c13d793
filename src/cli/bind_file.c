#include "bind_file.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char first_line[] = "Private-key-format: v1.";

bool bind_is(struct bytes content)
{
    return content.n > sizeof(first_line) &&
           memcmp(content.p, first_line, sizeof(first_line) - 1) == 0;
}

/* ---- lines --------------------------------------------------------------------------------- */

/* What stands behind "name: "; not there: NO_BYTES. */
static struct bytes field(struct bytes content, const char *name)
{
    size_t len = strlen(name);
    const uint8_t *end = content.p + content.n;
    for (const uint8_t *line = content.p, *next; line < end; line = next) {
        const uint8_t *stop = memchr(line, '\n', (size_t)(end - line));
        stop = stop ? stop : end;
        next = stop < end ? stop + 1 : end;
        if ((size_t)(stop - line) < len + 2 || memcmp(line, name, len) != 0 || line[len] != ':')
            continue;
        for (line += len + 1; line < stop && *line == ' ';)
            line++;
        while (stop > line && (stop[-1] == '\r' || stop[-1] == ' '))
            stop--;
        return BYTES(line, stop - line);
    }
    return NO_BYTES;
}

static CK_RV damaged(const char *path, const char *name)
{
    return fail(EXIT_FAILED, NULL, "the key in %s is damaged: %s cannot be read", path, name);
}

static CK_RV number(struct bytes content, const char *path, const char *name, struct secret *ret)
{
    CLEANUP(secret_free) struct secret room = {0};
    struct bytes text = field(content, name);
    if (text.n == 0 || text.n % 4 || text.n > 4096)
        return damaged(path, name);
    TRY(secret_new(&room, text.n / 4 * 3));
    int n = EVP_DecodeBlock(room.p, text.p, (int)text.n);
    if (n <= 0)
        return damaged(path, name);
    for (size_t i = 1; i <= 2 && text.p[text.n - i] == '='; i++)
        n--; /* the padding was counted */
    return secret_copy(ret, BYTES(room.p, n));
}

/* ---- keys ---------------------------------------------------------------------------------- */

static const struct {
    const char *line, *parameter;
} rsa[] = {
    {"Modulus", OSSL_PKEY_PARAM_RSA_N},           {"PublicExponent", OSSL_PKEY_PARAM_RSA_E},
    {"PrivateExponent", OSSL_PKEY_PARAM_RSA_D},   {"Prime1", OSSL_PKEY_PARAM_RSA_FACTOR1},
    {"Prime2", OSSL_PKEY_PARAM_RSA_FACTOR2},      {"Exponent1", OSSL_PKEY_PARAM_RSA_EXPONENT1},
    {"Exponent2", OSSL_PKEY_PARAM_RSA_EXPONENT2}, {"Coefficient", OSSL_PKEY_PARAM_RSA_COEFFICIENT1},
};
enum { NUMBERS = sizeof(rsa) / sizeof(*rsa) };

static CK_RV read_numbers(struct bytes content, const char *path, BIGNUM **n, OSSL_PARAM_BLD *bld)
{
    for (size_t i = 0; i < NUMBERS; i++) {
        CLEANUP(secret_free) struct secret value = {0};
        TRY(number(content, path, rsa[i].line, &value));
        n[i] = BN_secure_new();
        if (!n[i] || !BN_bin2bn(value.p, (int)value.n, n[i]) ||
            !OSSL_PARAM_BLD_push_BN(bld, rsa[i].parameter, n[i]))
            return CKR_HOST_MEMORY;
    }
    return CKR_OK;
}

static EVP_PKEY *rsa_of(OSSL_PARAM_BLD *bld)
{
    EVP_PKEY *key = NULL;
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    if (params && context && EVP_PKEY_fromdata_init(context) == 1)
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_KEYPAIR, params);
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(params);
    return key;
}

static CK_RV read_rsa(struct bytes content, const char *path, const char *group, EVP_PKEY **ret)
{
    BIGNUM *n[NUMBERS] = {NULL};
    OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    (void)group;
    CK_RV rv = bld ? read_numbers(content, path, n, bld) : CKR_HOST_MEMORY;
    if (rv == CKR_OK)
        *ret = rsa_of(bld);
    OSSL_PARAM_BLD_free(bld);
    for (size_t i = 0; i < NUMBERS; i++)
        BN_clear_free(n[i]);
    return rv;
}

/* RFC 5915 without the public key, which OpenSSL then computes. */
static CK_RV read_ec(struct bytes content, const char *path, const char *group, EVP_PKEY **ret)
{
    CLEANUP(secret_free) struct secret scalar = {0}, der = {0};
    unsigned char *oid = NULL;
    TRY(number(content, path, "PrivateKey", &scalar));
    int oid_n = i2d_ASN1_OBJECT(OBJ_txt2obj(group, 0), &oid);
    if (oid_n <= 0)
        return CKR_HOST_MEMORY;
    size_t n = scalar.n > 66 ? 0 : scalar.n;
    CK_RV rv = secret_new(&der, 9 + n + (size_t)oid_n);
    if (rv == CKR_OK) {
        const uint8_t head[] = {0x30, (uint8_t)(der.n - 2), 2, 1, 1, 4, (uint8_t)n};
        memcpy(der.p, head, sizeof(head));
        memcpy(der.p + 7, scalar.p, n);
        der.p[7 + n] = 0xA0;
        der.p[8 + n] = (uint8_t)oid_n;
        memcpy(der.p + 9 + n, oid, (size_t)oid_n);
        const unsigned char *at = der.p;
        *ret = d2i_PrivateKey(EVP_PKEY_EC, NULL, &at, (long)der.n);
    }
    OPENSSL_free(oid);
    return rv;
}

static CK_RV read_raw(struct bytes content, const char *path, const char *group, EVP_PKEY **ret)
{
    CLEANUP(secret_free) struct secret value = {0};
    TRY(number(content, path, "PrivateKey", &value));
    *ret = EVP_PKEY_new_raw_private_key_ex(NULL, group, NULL, value.p, value.n);
    return CKR_OK;
}

/* IANA, DNS Security Algorithm Numbers */
static const struct algorithm {
    unsigned long number;
    CK_RV (*read)(struct bytes content, const char *path, const char *group, EVP_PKEY **ret);
    const char *group;
} algorithms[] = {
    {5, read_rsa, NULL},       {7, read_rsa, NULL},         {8, read_rsa, NULL},
    {10, read_rsa, NULL},      {13, read_ec, "prime256v1"}, {14, read_ec, "secp384r1"},
    {15, read_raw, "ED25519"}, {16, read_raw, "ED448"},
};

CK_RV bind_read(struct bytes content, const char *path, EVP_PKEY **ret)
{
    char text[16] = "";
    struct bytes said = field(content, "Algorithm");
    snprintf(text, sizeof(text), "%.*s", (int)(said.n < 8 ? said.n : 8), (const char *)said.p);
    unsigned long wanted = strtoul(text, NULL, 10);
    if (field(content, "Engine").n || field(content, "Label").n)
        return fail(EXIT_FAILED, "Take the key out of that token.",
                    "%s does not hold a key, but names one in another token", path);
    for (size_t i = 0; i < sizeof(algorithms) / sizeof(*algorithms); i++) {
        if (algorithms[i].number != wanted)
            continue;
        TRY(algorithms[i].read(content, path, algorithms[i].group, ret));
        ERR_clear_error();
        return *ret ? CKR_OK : damaged(path, "the key");
    }
    return fail(EXIT_FAILED, NULL,
                "%s holds a key for the DNSSEC algorithm %lu, which is not known here", path,
                wanted);
}
