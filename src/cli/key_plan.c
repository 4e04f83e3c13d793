#include "key_plan.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include "key_lines.h"
#include "object.h"
#include "verbs.h"

#define RSA_BITS                                                                                   \
    {                                                                                              \
        2048, 1024, 16384, 8, "2048, 3072 or 4096"                                                 \
    }
#define AES_BITS                                                                                   \
    {                                                                                              \
        256, 128, 256, 64, "128, 192 or 256"                                                       \
    }
#define BYTES_(n)                                                                                  \
    {                                                                                              \
        n, 8, 8192, 8, "8 to 8192, in whole bytes"                                                 \
    }
#define CURVE_ONLY                                                                                 \
    {                                                                                              \
        0, 0, 0, 0, NULL                                                                           \
    }
#define HMAC(name, type, generate, bits)                                                           \
    {                                                                                              \
        name, CKO_SECRET_KEY, type, generate, USAGE_SIGN, USAGE_SIGN, BYTES_(bits), NULL           \
    }

/* An AES key that both wraps and decrypts gives away what it wraps: only who asks gets it. */
static const struct key_kind kinds[] = {
    {"ec", CKO_PRIVATE_KEY, CKK_EC, CKM_EC_KEY_PAIR_GEN, USAGE_SIGN | USAGE_DERIVE, USAGE_SIGN,
     CURVE_ONLY, NULL},
    {"rsa", CKO_PRIVATE_KEY, CKK_RSA, CKM_RSA_PKCS_KEY_PAIR_GEN,
     USAGE_SIGN | USAGE_DECRYPT | USAGE_WRAP, USAGE_SIGN | USAGE_DECRYPT, RSA_BITS, NULL},
    {"ed25519", CKO_PRIVATE_KEY, CKK_EC_EDWARDS, CKM_EC_EDWARDS_KEY_PAIR_GEN, USAGE_SIGN,
     USAGE_SIGN, CURVE_ONLY, "ED25519"},
    {"x25519", CKO_PRIVATE_KEY, CKK_EC_MONTGOMERY, CKM_EC_MONTGOMERY_KEY_PAIR_GEN, USAGE_DERIVE,
     USAGE_DERIVE, CURVE_ONLY, "X25519"},
    {"ed448", CKO_PRIVATE_KEY, CKK_EC_EDWARDS, CKM_EC_EDWARDS_KEY_PAIR_GEN, USAGE_SIGN, USAGE_SIGN,
     CURVE_ONLY, "ED448"},
    {"x448", CKO_PRIVATE_KEY, CKK_EC_MONTGOMERY, CKM_EC_MONTGOMERY_KEY_PAIR_GEN, USAGE_DERIVE,
     USAGE_DERIVE, CURVE_ONLY, "X448"},
    {"aes", CKO_SECRET_KEY, CKK_AES, CKM_AES_KEY_GEN, USAGE_SIGN | USAGE_DECRYPT | USAGE_WRAP,
     USAGE_DECRYPT, AES_BITS, NULL},
    {"generic", CKO_SECRET_KEY, CKK_GENERIC_SECRET, CKM_GENERIC_SECRET_KEY_GEN,
     USAGE_SIGN | USAGE_DERIVE, USAGE_SIGN, BYTES_(256), NULL},
    HMAC("hmac-sha1", CKK_SHA_1_HMAC, CKM_SHA_1_KEY_GEN, 160),
    HMAC("hmac-sha224", CKK_SHA224_HMAC, CKM_SHA224_KEY_GEN, 224),
    HMAC("hmac-sha256", CKK_SHA256_HMAC, CKM_SHA256_KEY_GEN, 256),
    HMAC("hmac-sha384", CKK_SHA384_HMAC, CKM_SHA384_KEY_GEN, 384),
    HMAC("hmac-sha512", CKK_SHA512_HMAC, CKM_SHA512_KEY_GEN, 512),
};
enum { KINDS = sizeof(kinds) / sizeof(*kinds) };

static const struct {
    const char *name;
    unsigned bit;
} usages[] = {{"sign", USAGE_SIGN},  {"decrypt", USAGE_DECRYPT}, {"derive", USAGE_DERIVE},
              {"wrap", USAGE_WRAP},  {"verify", USAGE_SIGN},     {"encrypt", USAGE_DECRYPT},
              {"unwrap", USAGE_WRAP}};
enum { USAGES = sizeof(usages) / sizeof(*usages), USAGE_BITS = 4 };

const struct key_kind *key_kind_named(const char *name)
{
    for (size_t i = 0; i < KINDS; i++)
        if (!strcmp(kinds[i].name, name))
            return &kinds[i];
    return NULL;
}

CK_RV key_kind_option(struct cli *cli, const struct key_kind **ret)
{
    const char *type = cli->option[OPT_TYPE];
    const struct key_kind *kind = key_kind_named(type);
    if (!kind)
        return fail(EXIT_USAGE, NULL, "'%s' is no --type: there are %s", type,
                    option_rows[OPT_TYPE].values);
    *ret = kind;
    return CKR_OK;
}

static CK_RV usage_refused(const struct key_kind *kind)
{
    char text[64] = "";
    for (size_t i = 0; i < USAGE_BITS; i++)
        if (kind->may & usages[i].bit) {
            strcat(text, *text ? ", " : "");
            strcat(text, usages[i].name);
        }
    return fail(EXIT_USAGE, NULL, "the uses of a key of --type %s are: %s", kind->name, text);
}

CK_RV key_plan_usage(struct cli *cli, struct key_plan *ret)
{
    const char *list = cli->option[OPT_USAGE];
    ret->usage = list ? 0 : ret->kind->does;
    for (const char *s = list; s && *s; s += *s == ',') {
        size_t len = strcspn(s, ","), i = 0;
        while (i < USAGES &&
               (strlen(usages[i].name) != len || strncmp(usages[i].name, s, len) != 0))
            i++;
        if (i == USAGES)
            return fail(EXIT_USAGE, NULL,
                        "--usage takes sign, decrypt, derive and wrap, not '%.*s'", (int)len, s);
        ret->usage |= usages[i].bit;
        s += len;
    }
    return !ret->usage || (ret->usage & ~ret->kind->may) ? usage_refused(ret->kind) : CKR_OK;
}

/* At random when not given: clients pair a certificate with its key by this value (and some, ssh
 * among them, pass over keys without one). */
static CK_RV plan_id(const char *hex, struct key_plan *ret)
{
    if (!hex) {
        ret->id_len = 8;
        if (getrandom(ret->id, ret->id_len, 0) == (ssize_t)ret->id_len)
            return CKR_OK;
        return fail(EXIT_FAILED, NULL, "no random bytes: %s", strerror(errno));
    }
    return key_id_parse(hex, ret->id, sizeof(ret->id), &ret->id_len);
}

CK_RV key_plan_names(struct cli *cli, const char *fallback, struct key_plan *ret)
{
    const char *label = cli->option[OPT_LABEL] ? cli->option[OPT_LABEL] : fallback;
    if (!label || !*label)
        return fail(EXIT_USAGE, "It is the name you will use the key by.", "--label is missing");
    ret->label = label;
    ret->extractable = cli->option[OPT_EXTRACTABLE];
    ret->always_authenticate = cli->option[OPT_ALWAYS_AUTHENTICATE];
    return plan_id(cli->option[OPT_ID], ret);
}

CK_RV key_plan_check_free(struct cli *cli, const struct key_plan *p)
{
    CLEANUP(handles_free) struct handles label = {0}, id = {0};
    struct template by_id = {0}, by_label = {0};
    template_add(&by_id, CKA_ID, BYTES(p->id, p->id_len));
    template_add(&by_label, CKA_LABEL, BYTES_STR(p->label));
    TRY(objects_find(cli, by_label.attributes, 1, &label));
    TRY(objects_find(cli, by_id.attributes, 1, &id));
    if (label.n)
        return fail(EXIT_AMBIGUOUS, "Choose another, or delete the old one.",
                    "the label '%s' is taken", p->label);
    return id.n ? fail(EXIT_AMBIGUOUS, "Choose another.", "the ID is taken") : CKR_OK;
}

static void common(const struct key_plan *p, const CK_OBJECT_CLASS *cls, struct template *t)
{
    template_add(t, CKA_CLASS, BYTES(cls, sizeof(*cls)));
    template_add(t, CKA_KEY_TYPE, BYTES(&p->kind->type, sizeof(p->kind->type)));
    template_bool(t, CKA_TOKEN, true);
    template_bool(t, CKA_PRIVATE, *cls != CKO_PUBLIC_KEY);
    template_add(t, CKA_LABEL, BYTES_STR(p->label));
    template_add(t, CKA_ID, BYTES(p->id, p->id_len));
}

static void guarded(const struct key_plan *p, struct template *t)
{
    template_bool(t, CKA_SENSITIVE, true);
    template_bool(t, CKA_EXTRACTABLE, p->extractable);
    template_bool(t, CKA_SIGN, p->usage & USAGE_SIGN);
    template_bool(t, CKA_DECRYPT, p->usage & USAGE_DECRYPT);
    template_bool(t, CKA_DERIVE, p->usage & USAGE_DERIVE);
    template_bool(t, CKA_UNWRAP, p->usage & USAGE_WRAP);
}

static void other_half(const struct key_plan *p, struct template *t)
{
    template_bool(t, CKA_VERIFY, p->usage & USAGE_SIGN);
    template_bool(t, CKA_ENCRYPT, p->usage & USAGE_DECRYPT);
    template_bool(t, CKA_WRAP, p->usage & USAGE_WRAP);
}

void key_plan_public(const struct key_plan *plan, struct template *ret)
{
    static const CK_OBJECT_CLASS cls = CKO_PUBLIC_KEY;
    common(plan, &cls, ret);
    other_half(plan, ret);
}

void key_plan_private(const struct key_plan *plan, struct template *ret)
{
    static const CK_OBJECT_CLASS cls = CKO_PRIVATE_KEY;
    common(plan, &cls, ret);
    guarded(plan, ret);
    if (plan->always_authenticate)
        template_bool(ret, CKA_ALWAYS_AUTHENTICATE, true);
}

void key_plan_secret(const struct key_plan *plan, struct template *ret)
{
    static const CK_OBJECT_CLASS cls = CKO_SECRET_KEY;
    common(plan, &cls, ret);
    guarded(plan, ret);
    other_half(plan, ret);
}
