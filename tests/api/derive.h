/* What the tests of the derivations share: base keys, templates and what came out. */
#ifndef TESTS_DERIVE_H
#define TESTS_DERIVE_H

#include "material.h"

#include <latchkey/vendor.h>
#include <openssl/kdf.h>

static inline struct blob unhex(const char *text)
{
    struct blob ret = {.n = 0};
    for (; text[0] && text[1]; text += 2) {
        const char digits[] = {text[0], text[1], '\0'};
        ret.p[ret.n++] = (CK_BYTE)strtoul(digits, NULL, 16);
    }
    return ret;
}

/* A base key with CKA_DERIVE; token: where it goes by itself, for most the TPM. */
static inline CK_OBJECT_HANDLE base_key(CK_KEY_TYPE type, struct blob value, bool token,
                                        bool sensitive, bool extractable)
{
    static struct parts parts;
    CK_OBJECT_HANDLE key;
    secret_parts(type, value, &parts);
    set_part(&parts, (CK_ATTRIBUTE)ATTR_BOOL(CKA_TOKEN, token));
    set_part(&parts, (CK_ATTRIBUTE)ATTR_BOOL(CKA_SENSITIVE, sensitive));
    set_part(&parts, (CK_ATTRIBUTE)ATTR_BOOL(CKA_EXTRACTABLE, extractable));
    assert_ok(create(&parts, &key));
    return key;
}

/* One that was never seen outside: the only kind that has always been sensitive. */
static inline CK_OBJECT_HANDLE made_key(CK_ULONG n, bool sensitive, bool extractable)
{
    CK_OBJECT_HANDLE key;
    CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_VALUE_LEN, n), ATTR_BOOL(CKA_DERIVE, true),
                               ATTR_BOOL(CKA_SENSITIVE, sensitive),
                               ATTR_BOOL(CKA_EXTRACTABLE, extractable),
                               ATTR_STR(CKA_LATCHKEY_PROTECTION, "session")};
    assert_ok(p11->C_GenerateKey(fx.session, MECHANISM(CKM_GENERIC_SECRET_KEY_GEN), template,
                                 COUNT(template), &key));
    return key;
}

static inline CK_RV derive(CK_MECHANISM *mechanism, CK_OBJECT_HANDLE base, CK_ATTRIBUTE *template,
                           CK_ULONG n, CK_OBJECT_HANDLE *ret)
{
    *ret = CK_INVALID_HANDLE;
    return p11->C_DeriveKey(fx.session, mechanism, base, template, n, ret);
}

/* A generic secret that can be read; length 0: not said. */
static inline CK_RV derive_readable(CK_MECHANISM *mechanism, CK_OBJECT_HANDLE base, CK_ULONG length,
                                    CK_OBJECT_HANDLE *ret)
{
    CK_ATTRIBUTE template[] = {ATTR_BOOL(CKA_SENSITIVE, false), ATTR_BOOL(CKA_EXTRACTABLE, true),
                               ATTR_ULONG(CKA_VALUE_LEN, length)};
    return derive(mechanism, base, template, length ? 3 : 2, ret);
}

static inline void assert_derives(CK_MECHANISM *mechanism, CK_OBJECT_HANDLE base, CK_ULONG length,
                                  struct blob want)
{
    CK_OBJECT_HANDLE key;
    assert_ok(derive_readable(mechanism, base, length, &key));
    assert_blob(get_attribute(fx.session, key, CKA_VALUE), want.p, want.n);
    assert_int_equal(get_ulong(fx.session, key, CKA_VALUE_LEN), want.n);
    assert_ok(p11->C_DestroyObject(fx.session, key));
}

struct history {
    bool sensitive, always_sensitive, extractable, never_extractable;
};

static inline void assert_history(CK_OBJECT_HANDLE key, struct history want)
{
    assert_int_equal(get_bool(fx.session, key, CKA_SENSITIVE), want.sensitive);
    assert_int_equal(get_bool(fx.session, key, CKA_ALWAYS_SENSITIVE), want.always_sensitive);
    assert_int_equal(get_bool(fx.session, key, CKA_EXTRACTABLE), want.extractable);
    assert_int_equal(get_bool(fx.session, key, CKA_NEVER_EXTRACTABLE), want.never_extractable);
    assert_false(get_bool(fx.session, key, CKA_LOCAL));
}

/* EVP_KDF of that name. */
static inline struct blob openssl_kdf(const char *name, const OSSL_PARAM *parameters, CK_ULONG n)
{
    struct blob out = {.n = n};
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, name, NULL);
    EVP_KDF_CTX *context = EVP_KDF_CTX_new(kdf);
    assert_int_equal(EVP_KDF_derive(context, out.p, n, parameters), 1);
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
    return out;
}
#define TEXT(name, text) OSSL_PARAM_construct_utf8_string(name, (char *)(uintptr_t)(text), 0)
#define OCTETS(name, blob)                                                                         \
    OSSL_PARAM_construct_octet_string(name, (void *)(uintptr_t)(blob).p, (blob).n)

#endif
