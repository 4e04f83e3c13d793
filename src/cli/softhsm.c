#include "softhsm.h"

#include <dirent.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "file.h"

/* The attributes of a token.object. */
enum {
    TOKEN_LABEL = 0x80005349,
    TOKEN_FLAGS = 0x8000534B,
    TOKEN_USER_PIN = 0x8000534D,
};

/* ---- a file -------------------------------------------------------------------------------- */

/* How a value is written; numbers are 64 bits, big-endian. */
enum form { FORM_BOOL = 1, FORM_ULONG, FORM_BYTES, FORM_TEMPLATE, FORM_MECHANISMS };

static bool put_ulong(uint64_t n, struct buf *ret)
{
    CK_ULONG native = (CK_ULONG)n;
    return buf_append(ret, &native, sizeof(native)) == CKR_OK;
}

static bool take_mechanisms(struct bytes *in, uint64_t n, struct buf *ret)
{
    uint64_t mechanism;
    bool ok = true;
    while (ok && n--)
        ok = bytes_take_u64(in, &mechanism) && put_ulong(mechanism, ret);
    return ok;
}

static bool take_value(struct bytes *in, uint64_t form, struct buf *ret)
{
    struct bytes run;
    uint64_t n;
    uint8_t flag;
    if (form == FORM_BOOL)
        return bytes_take_u8(in, &flag) && buf_u8(ret, flag != 0) == CKR_OK;
    if (!bytes_take_u64(in, &n))
        return false;
    switch (form) {
    case FORM_ULONG:
        return put_ulong(n, ret);
    case FORM_BYTES:
        return n <= in->n && bytes_take(in, (size_t)n, &run) &&
               buf_bytes_append(ret, run) == CKR_OK;
    case FORM_TEMPLATE:
        return n <= in->n && bytes_take(in, (size_t)n, &run);
    case FORM_MECHANISMS:
        return take_mechanisms(in, n, ret);
    default:
        return false;
    }
}

/* A file begins with the number of its changes. */
bool softhsm_parse(struct bytes in, struct old_object *o)
{
    uint64_t changes, type, form;
    bool ok = bytes_take_u64(&in, &changes);
    while (ok && in.n) {
        struct buf *room = bytes_take_u64(&in, &type) && bytes_take_u64(&in, &form)
                               ? old_attribute_add(o, (CK_ATTRIBUTE_TYPE)type)
                               : NULL;
        ok = room && take_value(&in, form, room);
    }
    return ok;
}

static CK_RV read_object(const char *path, struct old_object *o)
{
    CLEANUP(buf_free) struct buf content = {0};
    TRY(file_get(path, &content));
    return softhsm_parse(buf_bytes(&content), o)
               ? CKR_OK
               : fail(EXIT_FAILED, "Is SoftHSM writing it just now? Stop what uses it.",
                      "%s is no object of SoftHSM, or damaged", path);
}

/* ---- a token ------------------------------------------------------------------------------- */

static int is_object(const struct dirent *e)
{
    const char *end = strrchr(e->d_name, '.');
    return end && !strcmp(end, ".object") && strcmp(e->d_name, "token.object") != 0;
}

static int is_directory(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

static CK_RV each_entry(const char *dir, int (*wanted)(const struct dirent *),
                        CK_RV (*take)(const char *dir, const char *name, void *context),
                        void *context)
{
    struct dirent **entries;
    int n = scandir(dir, &entries, wanted, alphasort);
    CK_RV rv = CKR_OK;
    if (n < 0)
        return fail(EXIT_FAILED, "As the user who owns it, or in the group softhsm, it may work.",
                    "the directory %s cannot be read", dir);
    for (int i = 0; i < n; i++) {
        if (rv == CKR_OK)
            rv = take(dir, entries[i]->d_name, context);
        free(entries[i]);
    }
    free(entries);
    return rv;
}

static CK_RV take_object(const char *dir, const char *name, void *context)
{
    char path[4096 + 512];
    struct old_object *o = old_object_add(context);
    if (!o)
        return CKR_HOST_MEMORY;
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    snprintf(o->name, sizeof(o->name), "%.90s", name);
    return read_object(path, o);
}

static CK_RV take_head(const struct old_object *head, struct old_token *t)
{
    struct bytes label = old_attribute(head, TOKEN_LABEL);
    CK_ULONG flags = old_ulong(head, TOKEN_FLAGS, 0);
    while (label.n && label.p[label.n - 1] == ' ')
        label.n--;
    if (!(flags & CKF_TOKEN_INITIALIZED) || !label.n)
        return CKR_OK;
    t->label = strndup((const char *)label.p, label.n);
    if (!t->label)
        return CKR_HOST_MEMORY;
    return (flags & CKF_USER_PIN_INITIALIZED)
               ? buf_bytes_append(&t->sealed, old_attribute(head, TOKEN_USER_PIN))
               : CKR_OK;
}

static CK_RV take_token(const char *dir, const char *name, void *context)
{
    CLEANUP(old_object_free) struct old_object head = {0};
    char own[4096 + 256], path[4096 + 512];
    snprintf(own, sizeof(own), "%s/%s", dir, name);
    snprintf(path, sizeof(path), "%s/sqlite3.db", own);
    if (access(path, F_OK) == 0)
        return fail(EXIT_FAILED, NULL,
                    "the token in %s is one of objectstore.backend = db; only those of 'file' are "
                    "known",
                    own);
    snprintf(path, sizeof(path), "%s/token.object", own);
    if (access(path, F_OK) != 0)
        return CKR_OK;
    struct old_token *t = old_token_add(context);
    if (!t)
        return CKR_HOST_MEMORY;
    TRY(read_object(path, &head));
    TRY(take_head(&head, t));
    return each_entry(own, is_object, take_object, t);
}

/* ---- the store ----------------------------------------------------------------------------- */

/* The value of "directories.tokendir = DIR" in the file; false: there is none. */
static bool tokens_of(const char *configuration, char *ret, size_t n)
{
    char line[4096], value[4096];
    bool found = false;
    FILE *f = fopen(configuration, "re");
    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, " directories.tokendir = %4095[^#\r\n]", value) == 1) {
            for (size_t end = strlen(value); end && value[end - 1] == ' ';)
                value[--end] = '\0';
            found = snprintf(ret, n, "%s", value) < (int)n;
        }
    if (f)
        fclose(f);
    return found;
}

/* Where SoftHSM looks (its SimpleConfigLoader.cpp). */
static CK_RV find_store(const char *dir, char *ret, size_t n)
{
    const char *home = getenv("HOME"), *set = getenv("SOFTHSM2_CONF");
    char own[3072];
    snprintf(own, sizeof(own), "%s/.config/softhsm2/softhsm2.conf", home ? home : "");
    bool found = dir   ? snprintf(ret, n, "%s", dir) < (int)n
                 : set ? tokens_of(set, ret, n)
                       : tokens_of(own, ret, n) || tokens_of("/etc/softhsm/softhsm2.conf", ret, n);
    return found && access(ret, F_OK) == 0
               ? CKR_OK
               : fail(EXIT_NOT_FOUND, "Give the directory of its tokens (directories.tokendir).",
                      "there is no store of SoftHSM in %s",
                      dir   ? dir
                      : set ? set
                            : "~/.config/softhsm2 and /etc/softhsm");
}

CK_RV softhsm_read(const char *dir, struct old_store *ret)
{
    TRY(find_store(dir, ret->path, sizeof(ret->path)));
    return each_entry(ret->path, is_directory, take_token, ret);
}

/* ---- what is encrypted --------------------------------------------------------------------- */

enum { SALT = 8, IV = 16, KEY = 32, ROUNDS = 1500 };

/* iv || AES-256-CBC with padding */
static CK_RV decrypt(struct bytes key, struct bytes in, struct secret *ret)
{
    CLEANUP(secret_free) struct secret out = {0};
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int n = 0, rest = 0;
    CK_RV rv = secret_new(&out, in.n);
    bool ok = rv == CKR_OK && context && in.n > IV && in.n < INT32_MAX &&
              EVP_DecryptInit_ex(context, EVP_aes_256_cbc(), NULL, key.p, in.p) &&
              EVP_DecryptUpdate(context, out.p, &n, in.p + IV, (int)(in.n - IV)) &&
              EVP_DecryptFinal_ex(context, out.p + n, &rest) > 0;
    EVP_CIPHER_CTX_free(context);
    TRY(rv);
    return ok ? secret_copy(ret, BYTES(out.p, n + rest)) : CKR_ENCRYPTED_DATA_INVALID;
}

/* SHA-256 over salt and PIN, then over itself: as often as the salt's last byte says, and more. */
static CK_RV stretch(struct bytes salt, struct bytes pin, struct secret *ret)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    CK_RV rv = secret_new(ret, KEY);
    bool ok = rv == CKR_OK && context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) &&
              EVP_DigestUpdate(context, salt.p, salt.n) &&
              EVP_DigestUpdate(context, pin.p, pin.n) && EVP_DigestFinal_ex(context, ret->p, NULL);
    for (int i = 1; ok && i < ROUNDS + salt.p[SALT - 1]; i++)
        ok = EVP_DigestInit_ex(context, EVP_sha256(), NULL) &&
             EVP_DigestUpdate(context, ret->p, KEY) && EVP_DigestFinal_ex(context, ret->p, NULL);
    EVP_MD_CTX_free(context);
    return ok ? CKR_OK : CKR_HOST_MEMORY;
}

/* salt || iv || the encrypted magic and key */
static CK_RV open_key(struct old_token *t, struct bytes pin)
{
    static const uint8_t magic[] = {0x52, 0x4A, 0x52};
    CLEANUP(secret_free) struct secret key = {0}, content = {0};
    struct bytes sealed = buf_bytes(&t->sealed);
    if (sealed.n <= SALT)
        return CKR_ENCRYPTED_DATA_INVALID;
    TRY(stretch(BYTES(sealed.p, SALT), pin, &key));
    CK_RV rv = decrypt(secret_bytes(&key), BYTES(sealed.p + SALT, sealed.n - SALT), &content);
    if (rv == CKR_ENCRYPTED_DATA_INVALID || content.n != sizeof(magic) + KEY ||
        memcmp(content.p, magic, sizeof(magic)) != 0)
        return rv == CKR_HOST_MEMORY ? rv : CKR_PIN_INCORRECT;
    return secret_copy(&t->opened, BYTES(content.p + sizeof(magic), KEY));
}

static bool is_secret(const struct old_object *o, CK_ATTRIBUTE_TYPE type)
{
    static const CK_ATTRIBUTE_TYPE types[] = {
        CKA_PRIVATE_EXPONENT, CKA_PRIME_1,    CKA_PRIME_2,
        CKA_EXPONENT_1,       CKA_EXPONENT_2, CKA_COEFFICIENT,
    };
    CK_OBJECT_CLASS cls = old_ulong(o, CKA_CLASS, CK_UNAVAILABLE_INFORMATION);
    bool key = cls == CKO_PRIVATE_KEY || cls == CKO_SECRET_KEY;
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
        if (types[i] == type)
            return true;
    return key && type == CKA_VALUE;
}

/* Names, numbers of public keys, certificates: every run of bytes is encrypted. */
static bool is_encrypted(const struct old_object *o, const struct old_attribute *a)
{
    static const CK_ATTRIBUTE_TYPE bytes[] = {
        CKA_LABEL, CKA_ID, CKA_VALUE, CKA_EC_PARAMS, CKA_EC_POINT, CKA_MODULUS, CKA_PUBLIC_EXPONENT,
    };
    for (size_t i = 0; i < sizeof(bytes) / sizeof(*bytes); i++)
        if (bytes[i] == a->type)
            return a->value.n && !is_secret(o, a->type);
    return false;
}

static CK_RV open_names(const struct old_token *t, struct old_object *o)
{
    for (size_t i = 0; i < o->n; i++) {
        CLEANUP(secret_free) struct secret plain = {0};
        if (!is_encrypted(o, &o->attributes[i]))
            continue;
        TRY(decrypt(secret_bytes(&t->opened), buf_bytes(&o->attributes[i].value), &plain));
        TRY(buf_set(&o->attributes[i].value, secret_bytes(&plain)));
    }
    return CKR_OK;
}

CK_RV softhsm_open(struct old_token *t, struct bytes pin)
{
    TRY(open_key(t, pin));
    for (size_t i = 0; i < t->n; i++)
        if (old_bool(&t->objects[i], CKA_PRIVATE))
            TRY(open_names(t, &t->objects[i]));
    return CKR_OK;
}

CK_RV softhsm_secret(const struct old_token *t, const struct old_object *o, CK_ATTRIBUTE_TYPE type,
                     struct secret *ret)
{
    struct bytes value = old_attribute(o, type);
    bool plain = !old_bool(o, CKA_PRIVATE) || !is_secret(o, type);
    return value.n == 0 || plain ? secret_copy(ret, value)
                                 : decrypt(secret_bytes(&t->opened), value, ret);
}
