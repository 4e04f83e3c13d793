#include "ssh_wire.h"

#include <openssl/core_names.h>
#include <openssl/objects.h>
#include <string.h>
#include "public_key.h"

CK_RV ssh_put_string(struct buf *out, struct bytes bytes)
{
    TRY(buf_u32(out, (uint32_t)bytes.n));
    return buf_bytes_append(out, bytes);
}

/* RFC 4251, section 5: mpint is signed, so a zero byte stands before a first bit that is set. */
CK_RV ssh_put_number(struct buf *out, struct bytes number)
{
    while (number.n && *number.p == 0)
        number = BYTES(number.p + 1, number.n - 1);
    bool sign = number.n && *number.p & 0x80;
    TRY(buf_u32(out, (uint32_t)(number.n + sign)));
    if (sign)
        TRY(buf_u8(out, 0));
    return buf_bytes_append(out, number);
}

bool ssh_take_string(struct bytes *in, struct bytes *ret)
{
    struct bytes rest = *in;
    uint32_t n;
    if (!bytes_take_u32(&rest, &n) || !bytes_take(&rest, n, ret))
        return false;
    *in = rest;
    return true;
}

CK_RV ssh_put_comment(struct buf *out, const char *label)
{
    for (const char *s = label; *s; s++)
        TRY(buf_u8(out, (uint8_t)*s < 0x20 || *s == 0x7f ? '?' : (uint8_t)*s));
    return CKR_OK;
}

/* ---- keys: RFC 4253 section 6.6, RFC 5656 section 3.1, RFC 8709 section 4 ---------------------
 */

static CK_RV put_parameter(struct buf *out, EVP_PKEY *key, const char *name)
{
    CLEANUP(buf_free) struct buf bytes = {0};
    BIGNUM *number = NULL;
    uint8_t *room;
    if (!EVP_PKEY_get_bn_param(key, name, &number))
        return CKR_HOST_MEMORY;
    CK_RV rv = buf_extend(&bytes, (size_t)BN_num_bytes(number), &room);
    if (rv == CKR_OK)
        BN_bn2bin(number, room);
    BN_free(number);
    return rv == CKR_OK ? ssh_put_number(out, buf_bytes(&bytes)) : rv;
}

static CK_RV put_rsa(struct buf *out, EVP_PKEY *key, const char *curve)
{
    (void)curve;
    TRY(put_parameter(out, key, OSSL_PKEY_PARAM_RSA_E));
    return put_parameter(out, key, OSSL_PKEY_PARAM_RSA_N);
}

static CK_RV put_ec(struct buf *out, EVP_PKEY *key, const char *curve)
{
    CLEANUP(buf_free) struct buf point = {0};
    TRY(ssh_put_string(out, BYTES_STR(curve)));
    TRY(public_key_point(key, &point));
    return ssh_put_string(out, buf_bytes(&point));
}

static CK_RV put_ed25519(struct buf *out, EVP_PKEY *key, const char *curve)
{
    (void)curve;
    uint8_t raw[32];
    size_t n = sizeof(raw);
    return EVP_PKEY_get_raw_public_key(key, raw, &n) ? ssh_put_string(out, BYTES(raw, n))
                                                     : CKR_HOST_MEMORY;
}

static const struct form {
    const char *type, *group; /* as OpenSSL names them; group NULL: any */
    const char *name, *curve;
    CK_RV (*put)(struct buf *out, EVP_PKEY *key, const char *curve);
} forms[] = {
    {"RSA", NULL, "ssh-rsa", NULL, put_rsa},
    {"ED25519", NULL, "ssh-ed25519", NULL, put_ed25519},
    {"EC", "prime256v1", "ecdsa-sha2-nistp256", "nistp256", put_ec},
    {"EC", "secp384r1", "ecdsa-sha2-nistp384", "nistp384", put_ec},
    {"EC", "secp521r1", "ecdsa-sha2-nistp521", "nistp521", put_ec},
};

static const struct form *form_of(EVP_PKEY *key)
{
    char group[64] = "";
    EVP_PKEY_get_group_name(key, group, sizeof(group), NULL);
    for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
        const struct form *form = &forms[i];
        if (EVP_PKEY_is_a(key, form->type) && (!form->group || !strcmp(form->group, group)))
            return form;
    }
    return NULL;
}

const char *ssh_type_of(EVP_PKEY *key)
{
    const struct form *form = form_of(key);
    return form ? form->name : NULL;
}

CK_RV ssh_put_key(struct buf *out, EVP_PKEY *key)
{
    const struct form *form = form_of(key);
    if (!form)
        return CKR_KEY_TYPE_INCONSISTENT;
    TRY(ssh_put_string(out, BYTES_STR(form->name)));
    return form->put(out, key, form->curve);
}

/* ---- signatures: RFC 8332 section 3, RFC 5656 sections 3.1.2 and 6.2.1, RFC 8709 section 6 ----
 */

/* The flags are the agent protocol's. Without one an RSA key is asked for SHA-1, which is refused:
 * OpenSSH takes no such signature since 8.8. */
static const struct ssh_algorithm algorithms[] = {
    {"ssh-ed25519", 0, "ssh-ed25519", CKM_EDDSA, 0},
    {"ecdsa-sha2-nistp256", 0, "ecdsa-sha2-nistp256", CKM_ECDSA, NID_sha256},
    {"ecdsa-sha2-nistp384", 0, "ecdsa-sha2-nistp384", CKM_ECDSA, NID_sha384},
    {"ecdsa-sha2-nistp521", 0, "ecdsa-sha2-nistp521", CKM_ECDSA, NID_sha512},
    {"ssh-rsa", 2, "rsa-sha2-256", CKM_SHA256_RSA_PKCS, 0},
    {"ssh-rsa", 4, "rsa-sha2-512", CKM_SHA512_RSA_PKCS, 0},
};

const struct ssh_algorithm *ssh_algorithm_of(const char *type, uint32_t flags)
{
    for (size_t i = 0; i < sizeof(algorithms) / sizeof(*algorithms); i++) {
        const struct ssh_algorithm *row = &algorithms[i];
        if (!strcmp(row->type, type) && (!row->flag || flags & row->flag))
            return row;
    }
    return NULL;
}

CK_RV ssh_put_signature(struct buf *out, const struct ssh_algorithm *algorithm,
                        struct bytes signature)
{
    CLEANUP(buf_free) struct buf pair = {0};
    size_t half = signature.n / 2;
    TRY(ssh_put_string(out, BYTES_STR(algorithm->name)));
    if (algorithm->mechanism != CKM_ECDSA)
        return ssh_put_string(out, signature);
    TRY(ssh_put_number(&pair, BYTES(signature.p, half)));
    TRY(ssh_put_number(&pair, BYTES(signature.p + half, signature.n - half)));
    return ssh_put_string(out, buf_bytes(&pair));
}
