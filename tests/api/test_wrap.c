/* C_WrapKey, C_UnwrapKey: PKCS#11 3.2 sections 5.18.3, 5.18.4; 6.1 (RSA), 6.7 (private keys), 6.10
 * to 6.13 (AES), 6.16 (AES key wrap). What one side wraps the other unwraps: libcrypto has the
 * wrapping keys, too. */
#include "material.h"

#include <openssl/rsa.h>

#include <latchkey/vendor.h>

/* ---- the keys that wrap ---------------------------------------------------------------------- */

static const char *const places[] = {"tpm", "sealed", "session"};
static EVP_PKEY *rsa;   /* wraps */
static struct blob aes; /* wraps */
static CK_OBJECT_HANDLE rsa_public, rsa_private[COUNT(places)], aes_key[COUNT(places)];

static void place(struct parts *p, size_t i)
{
    set_part(p, (CK_ATTRIBUTE)ATTR_BOOL(CKA_TOKEN, i < 2));
    set_part(p, (CK_ATTRIBUTE)ATTR_STR(CKA_LATCHKEY_PROTECTION, places[i]));
}

static void make_wrappers(void)
{
    static struct parts parts;
    aes = random_blob(32);
    for (size_t i = 0; i < COUNT(places); i++) {
        secret_parts(CKK_AES, aes, &parts);
        place(&parts, i);
        assert_ok(create(&parts, &aes_key[i]));
        private_parts(rsa, &parts);
        set_part(&parts, (CK_ATTRIBUTE)ATTR_BOOL(CKA_UNWRAP, true));
        place(&parts, i);
        assert_ok(create(&parts, &rsa_private[i]));
    }
    public_parts(rsa, &parts);
    assert_ok(create(&parts, &rsa_public));
}

/* ---- the keys that are wrapped --------------------------------------------------------------- */

static const struct {
    const char *kind; /* NULL: a secret key */
    CK_KEY_TYPE type;
    CK_ULONG n;
} kinds[] = {
    {NULL, CKK_AES, 16},
    {NULL, CKK_AES, 32},
    {NULL, CKK_GENERIC_SECRET, 20},
    {NULL, CKK_SHA256_HMAC, 32},
    {"RSA-1024", CKK_RSA, 0},
    {"P-256", CKK_EC, 0},
    {"P-521", CKK_EC, 0},
    {"ED25519", CKK_EC_EDWARDS, 0},
    {"X25519", CKK_EC_MONTGOMERY, 0},
};
enum { SECRETS = 4 };

struct target {
    EVP_PKEY *key; /* NULL: a secret key */
    CK_KEY_TYPE type;
    struct blob plain; /* value or PrivateKeyInfo */
    CK_OBJECT_HANDLE object;
};
static struct target targets[COUNT(kinds)];

static void make_targets(void)
{
    static struct parts parts;
    for (size_t i = 0; i < COUNT(kinds); i++) {
        struct target *t = &targets[i];
        if (kinds[i].kind && !t->key)
            t->key = make_key(kinds[i].kind);
        t->type = kinds[i].type;
        t->plain = t->key ? pkcs8_of(t->key) : random_blob(kinds[i].n);
        if (t->key)
            private_parts(t->key, &parts);
        else
            secret_parts(t->type, t->plain, &parts);
        set_part(&parts, (CK_ATTRIBUTE)ATTR_BOOL(CKA_EXTRACTABLE, true));
        assert_ok(create(&parts, &t->object));
    }
}

static int test_wrapping(void **state)
{
    test_user(state);
    make_wrappers();
    make_targets();
    return 0;
}

static int group_wrapping(void **state)
{
    rsa = make_key("RSA-2048");
    return group_token(state);
}

static int group_wrapping_end(void **state)
{
    EVP_PKEY_free(rsa);
    for (size_t i = 0; i < COUNT(targets); i++)
        EVP_PKEY_free(targets[i].key);
    return group_end(state);
}

/* ---- the ways to wrap ------------------------------------------------------------------------ */

static CK_BYTE iv[16] = {0xF0, 0xE1, 0xD2, 0xC3, 0xB4, 0xA5, 0x96, 0x87,
                         0x78, 0x69, 0x5A, 0x4B, 0x3C, 0x2D, 0x1E, 0x0F};
static CK_BYTE aad[] = "header";
static CK_AES_CTR_PARAMS ctr = {128,
                                {0xF0, 0xE1, 0xD2, 0xC3, 0xB4, 0xA5, 0x96, 0x87, 0x78, 0x69, 0x5A,
                                 0x4B, 0x3C, 0x2D, 0x1E, 0x0F}};
static CK_GCM_PARAMS gcm = {iv, 12, 96, aad, sizeof aad, 128};
static CK_CCM_PARAMS ccm = {0, iv, 12, aad, sizeof aad, 16};
static CK_RSA_PKCS_OAEP_PARAMS oaep = {CKM_SHA256, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, NULL, 0};
static CK_RSA_AES_KEY_WRAP_PARAMS rsa_aes = {256, &oaep};

enum whose { AES_WRAPS, RSA_WRAPS };

static const struct way {
    CK_MECHANISM mechanism;
    enum whose whose;
    size_t zeros; /* pads with zeros to a multiple */
    bool secrets_only;
    const char *cipher; /* libcrypto's name */
    int padding;        /* of the cipher, or of RSA */
} ways[] = {
    {{CKM_AES_ECB, NULL, 0}, AES_WRAPS, 16, true, "aes-256-ecb", 0},
    {{CKM_AES_CBC, iv, 16}, AES_WRAPS, 16, true, "aes-256-cbc", 0},
    {{CKM_AES_CBC_PAD, iv, 16}, AES_WRAPS, 0, false, "aes-256-cbc", 1},
    {{CKM_AES_CTR, &ctr, sizeof ctr}, AES_WRAPS, 0, false, "aes-256-ctr", 0},
    {{CKM_AES_OFB, iv, 16}, AES_WRAPS, 0, false, "aes-256-ofb", 0},
    {{CKM_AES_CFB128, iv, 16}, AES_WRAPS, 0, false, "aes-256-cfb", 0},
    {{CKM_AES_CFB8, iv, 16}, AES_WRAPS, 0, false, "aes-256-cfb8", 0},
    {{CKM_AES_GCM, &gcm, sizeof gcm}, AES_WRAPS, 0, false, "id-aes256-GCM", 0},
    {{CKM_AES_CCM, &ccm, sizeof ccm}, AES_WRAPS, 0, false, "id-aes256-CCM", 0},
    {{CKM_AES_KEY_WRAP, NULL, 0}, AES_WRAPS, 8, false, "id-aes256-wrap", 0},
    {{CKM_AES_KEY_WRAP_KWP, NULL, 0}, AES_WRAPS, 0, false, "id-aes256-wrap-pad", 0},
    {{CKM_AES_KEY_WRAP_PAD, NULL, 0}, AES_WRAPS, 0, false, "id-aes256-wrap-pad", 0},
    {{CKM_AES_KEY_WRAP_PKCS7, NULL, 0}, AES_WRAPS, 0, false, "id-aes256-wrap", 8},
    {{CKM_RSA_PKCS, NULL, 0}, RSA_WRAPS, 0, true, NULL, RSA_PKCS1_PADDING},
    {{CKM_RSA_PKCS_OAEP, &oaep, sizeof oaep}, RSA_WRAPS, 0, true, NULL, RSA_PKCS1_OAEP_PADDING},
    {{CKM_RSA_X_509, NULL, 0}, RSA_WRAPS, 0, true, NULL, RSA_NO_PADDING},
    {{CKM_RSA_AES_KEY_WRAP, &rsa_aes, sizeof rsa_aes},
     RSA_WRAPS,
     0,
     false,
     "id-aes256-wrap-pad",
     RSA_PKCS1_OAEP_PADDING},
};

static CK_RV wrap_with(const struct way *w, size_t where, CK_OBJECT_HANDLE key, struct blob *ret)
{
    CK_MECHANISM mechanism = w->mechanism;
    ret->n = sizeof ret->p;
    return p11->C_WrapKey(fx.session, &mechanism,
                          w->whose == RSA_WRAPS ? rsa_public : aes_key[where], key, ret->p,
                          &ret->n);
}

/* The new key: extractable, not sensitive, so that it can be looked at. */
static CK_RV unwrap_with(const struct way *w, size_t where, struct blob wrapped,
                         const struct target *t, CK_OBJECT_HANDLE *ret)
{
    CK_MECHANISM mechanism = w->mechanism;
    bool length = !t->key && (w->zeros || w->padding == RSA_NO_PADDING);
    CK_ATTRIBUTE template[] = {
        ATTR_ULONG(CKA_CLASS, t->key ? CKO_PRIVATE_KEY : CKO_SECRET_KEY),
        ATTR_ULONG(CKA_KEY_TYPE, t->type),
        ATTR_BOOL(CKA_SENSITIVE, false),
        ATTR_BOOL(CKA_EXTRACTABLE, true),
        ATTR_BOOL(CKA_DERIVE, true),
        ATTR_ULONG(CKA_VALUE_LEN, t->plain.n),
    };
    return p11->C_UnwrapKey(fx.session, &mechanism,
                            w->whose == RSA_WRAPS ? rsa_private[where] : aes_key[where], wrapped.p,
                            wrapped.n, template, COUNT(template) - !length, ret);
}

static void assert_is(CK_OBJECT_HANDLE object, const struct target *t)
{
    if (t->key)
        assert_same_private(object, t->key);
    else
        assert_blob(get_attribute(fx.session, object, CKA_VALUE), t->plain.p, t->plain.n);
}

/* ---- libcrypto's side ------------------------------------------------------------------------ */

enum { TAG = 16 };

static bool is_aead(const struct way *w)
{
    return w->mechanism.mechanism == CKM_AES_GCM || w->mechanism.mechanism == CKM_AES_CCM;
}

static EVP_CIPHER_CTX *cipher_of(const struct way *w, struct blob key, bool encrypt)
{
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, w->cipher, NULL);
    bool with_iv =
        w->mechanism.pParameter == iv || w->mechanism.mechanism == CKM_AES_CTR || is_aead(w);
    assert_non_null(cipher);
    EVP_CIPHER_CTX_set_flags(context, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    assert_int_equal(EVP_CipherInit_ex(context, cipher, NULL, NULL, NULL, encrypt), 1);
    if (is_aead(w))
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_IVLEN, 12, NULL);
    if (w->mechanism.mechanism == CKM_AES_CCM)
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, TAG, NULL);
    EVP_CIPHER_free(cipher);
    assert_int_equal(EVP_CipherInit_ex(context, NULL, NULL, key.p, with_iv ? iv : NULL, encrypt),
                     1);
    EVP_CIPHER_CTX_set_padding(context, w->padding == 1);
    return context;
}

static void start_aead(EVP_CIPHER_CTX *context, const struct way *w, struct blob *in, bool encrypt)
{
    int n;
    if (!encrypt) {
        in->n -= TAG;
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, TAG, in->p + in->n);
    }
    if (w->mechanism.mechanism == CKM_AES_CCM)
        assert_int_equal(EVP_CipherUpdate(context, NULL, &n, NULL, (int)in->n), 1);
    assert_int_equal(EVP_CipherUpdate(context, NULL, &n, aad, sizeof aad), 1);
}

static struct blob openssl_aes(const struct way *w, struct blob key, struct blob in, bool encrypt)
{
    struct blob out = {0};
    int first = 0, rest = 0;
    EVP_CIPHER_CTX *context = cipher_of(w, key, encrypt);
    if (is_aead(w))
        start_aead(context, w, &in, encrypt);
    if (EVP_CipherUpdate(context, out.p, &first, in.p, (int)in.n) <= 0)
        fail_msg("%s of %lu bytes, %d", w->cipher, in.n, encrypt);
    if (w->mechanism.mechanism != CKM_AES_CCM || encrypt)
        assert_int_equal(EVP_CipherFinal_ex(context, out.p + first, &rest), 1);
    out.n = (CK_ULONG)(first + rest);
    if (is_aead(w) && encrypt) {
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TAG, out.p + out.n);
        out.n += TAG;
    }
    EVP_CIPHER_CTX_free(context);
    return out;
}

static struct blob openssl_rsa(const struct way *w, struct blob in, bool encrypt)
{
    struct blob out = {0};
    size_t n = sizeof out.p;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(rsa, NULL);
    assert_int_equal((encrypt ? EVP_PKEY_encrypt_init : EVP_PKEY_decrypt_init)(context), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(context, w->padding), 1);
    if (w->padding == RSA_PKCS1_OAEP_PADDING)
        assert_int_equal(EVP_PKEY_CTX_set_rsa_oaep_md(context, EVP_sha256()), 1);
    if (w->padding == RSA_NO_PADDING && encrypt) { /* at the block's end */
        memmove(in.p + 256 - in.n, in.p, in.n);
        memset(in.p, 0, 256 - in.n);
        in.n = 256;
    }
    assert_int_equal(
        (encrypt ? EVP_PKEY_encrypt : EVP_PKEY_decrypt)(context, out.p, &n, in.p, in.n), 1);
    EVP_PKEY_CTX_free(context);
    out.n = n;
    return out;
}

/* 6.1.24: an AES key of the moment under OAEP, then the target under that. */
static struct blob openssl_rsa_aes(const struct way *w, struct blob in, bool encrypt)
{
    struct blob key = random_blob(32), head = {.n = 256}, tail;
    if (encrypt) {
        head = openssl_rsa(w, key, true);
        tail = openssl_aes(w, key, in, true);
        memcpy(head.p + head.n, tail.p, tail.n);
        head.n += tail.n;
        return head;
    }
    memcpy(head.p, in.p, 256);
    key = openssl_rsa(w, head, false);
    assert_int_equal(key.n, 32);
    memmove(in.p, in.p + 256, in.n - 256);
    in.n -= 256;
    return openssl_aes(w, key, in, false);
}

static struct blob openssl_way(const struct way *w, struct blob in, bool encrypt)
{
    if (w->mechanism.mechanism == CKM_RSA_AES_KEY_WRAP)
        return openssl_rsa_aes(w, in, encrypt);
    return w->whose == RSA_WRAPS ? openssl_rsa(w, in, encrypt) : openssl_aes(w, aes, in, encrypt);
}

static struct blob openssl_wraps(const struct way *w, struct blob plain)
{
    size_t pad = w->zeros ? (w->zeros - plain.n % w->zeros) % w->zeros : 0;
    CK_BYTE fill = 0;
    if (w->padding == 8) /* PKCS #7, to semiblocks */
        fill = (CK_BYTE)(pad = 8 - plain.n % 8);
    memset(plain.p + plain.n, fill, pad);
    plain.n += pad;
    return openssl_way(w, plain, true);
}

/* What was wrapped is the plain text and, by the way's rule, padding. */
static void assert_openssl_unwraps(const struct way *w, struct blob wrapped, struct blob plain)
{
    struct blob got = openssl_way(w, wrapped, false);
    if (w->padding == RSA_NO_PADDING && w->whose == RSA_WRAPS) {
        memmove(got.p, got.p + got.n - plain.n, plain.n);
        got.n = plain.n;
    }
    if (w->padding == 8)
        got.n -= got.p[got.n - 1];
    assert_in_range(got.n, plain.n, plain.n + (w->zeros ? w->zeros - 1 : 0));
    for (CK_ULONG i = plain.n; i < got.n; i++)
        assert_int_equal(got.p[i], 0);
    assert_memory_equal(got.p, plain.p, plain.n);
}

/* ---- the matrix ------------------------------------------------------------------------------ */

static void check_way(const struct way *w, size_t where, const struct target *t)
{
    struct blob wrapped, foreign;
    CK_OBJECT_HANDLE object;
    assert_ok(wrap_with(w, where, t->object, &wrapped));
    assert_openssl_unwraps(w, wrapped, t->plain);
    assert_ok(unwrap_with(w, where, wrapped, t, &object));
    assert_is(object, t);
    assert_ok(p11->C_DestroyObject(fx.session, object));
    foreign = openssl_wraps(w, t->plain);
    assert_ok(unwrap_with(w, where, foreign, t, &object));
    assert_is(object, t);
    assert_ok(p11->C_DestroyObject(fx.session, object));
}

static void every_way_with_every_key(void **state)
{
    (void)state;
    struct blob wrapped;
    for (size_t i = 0; i < COUNT(ways); i++)
        for (size_t where = 0; where < COUNT(places); where++)
            for (size_t k = 0; k < COUNT(targets); k++) {
                if (where && k && (k + i + where) % 3) /* not all of the same */
                    continue;
                if (k < SECRETS || !ways[i].secrets_only)
                    check_way(&ways[i], where, &targets[k]);
                else
                    assert_rv(CKR_KEY_NOT_WRAPPABLE,
                              wrap_with(&ways[i], where, targets[k].object, &wrapped));
            }
}

/* 5.2: length asked for, buffer too small, buffer right; the first two do nothing else. */
static void lengths(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(ways); i++) {
        CK_MECHANISM mechanism = ways[i].mechanism;
        CK_OBJECT_HANDLE key = ways[i].whose == RSA_WRAPS ? rsa_public : aes_key[0];
        struct blob wrapped, room;
        CK_ULONG n = 0;
        assert_ok(wrap_with(&ways[i], 0, targets[2].object, &wrapped));
        assert_ok(p11->C_WrapKey(fx.session, &mechanism, key, targets[2].object, NULL, &n));
        assert_in_range(n, wrapped.n, wrapped.n + 16);
        room.n = wrapped.n - 1;
        assert_rv(CKR_BUFFER_TOO_SMALL,
                  p11->C_WrapKey(fx.session, &mechanism, key, targets[2].object, room.p, &room.n));
        assert_int_equal(room.n, n);
        assert_ok(p11->C_WrapKey(fx.session, &mechanism, key, targets[2].object, room.p, &room.n));
        assert_int_equal(room.n, wrapped.n);
    }
}

/* ---- what may be wrapped ----------------------------------------------------------------------
 */

static const struct way *way_of(CK_MECHANISM_TYPE type)
{
    size_t i = 0;
    while (ways[i].mechanism.mechanism != type)
        i++;
    return &ways[i];
}

static CK_OBJECT_HANDLE make_secret(CK_ATTRIBUTE *more, CK_ULONG n)
{
    static struct parts parts;
    CK_OBJECT_HANDLE key;
    secret_parts(CKK_AES, random_blob(32), &parts);
    for (CK_ULONG i = 0; i < n; i++)
        set_part(&parts, more[i]);
    assert_ok(create(&parts, &key));
    return key;
}

/* 5.18.3: CKA_EXTRACTABLE MUST be true, wherever the key is. */
static void extractable_only(void **state)
{
    (void)state;
    struct blob wrapped;
    const struct way *kwp = way_of(CKM_AES_KEY_WRAP_KWP);
    for (size_t where = 0; where < COUNT(places); where++) {
        assert_rv(CKR_KEY_UNEXTRACTABLE, wrap_with(kwp, 0, aes_key[where], &wrapped));
        assert_rv(CKR_KEY_UNEXTRACTABLE, wrap_with(kwp, 0, rsa_private[where], &wrapped));
    }
    CK_ATTRIBUTE may = ATTR_BOOL(CKA_EXTRACTABLE, true),
                 no_more = ATTR_BOOL(CKA_EXTRACTABLE, false);
    CK_OBJECT_HANDLE key = make_secret(&may, 1);
    assert_ok(wrap_with(kwp, 0, key, &wrapped));
    assert_ok(p11->C_SetAttributeValue(fx.session, key, &no_more, 1));
    assert_rv(CKR_KEY_UNEXTRACTABLE, wrap_with(kwp, 0, key, &wrapped));
}

static CK_RV set_trusted(CK_OBJECT_HANDLE key)
{
    CK_ATTRIBUTE trusted = ATTR_BOOL(CKA_TRUSTED, true);
    return p11->C_SetAttributeValue(fx.session, key, &trusted, 1);
}

/* 4.11: a key with CKA_WRAP_WITH_TRUSTED goes under trusted keys only, and the SO alone gives
 * trust: here to a public key that both of them see. */
static void trusted_wrapping_keys(void **state)
{
    (void)state;
    static struct parts parts;
    struct blob wrapped = {.n = sizeof wrapped.p};
    CK_ATTRIBUTE guarded[] = {ATTR_BOOL(CKA_EXTRACTABLE, true),
                              ATTR_BOOL(CKA_WRAP_WITH_TRUSTED, true), ATTR_BOOL(CKA_TOKEN, true),
                              ATTR_STR(CKA_LABEL, "guarded")};
    CK_ATTRIBUTE less = ATTR_BOOL(CKA_WRAP_WITH_TRUSTED, false);
    CK_OBJECT_HANDLE key = make_secret(guarded, COUNT(guarded)), public, own;
    public_parts(rsa, &parts);
    set_part(&parts, (CK_ATTRIBUTE)ATTR_BOOL(CKA_TOKEN, true));
    assert_ok(create(&parts, &public));
    assert_rv(CKR_KEY_NOT_WRAPPABLE, wrap_with(way_of(CKM_AES_KEY_WRAP_KWP), 0, key, &wrapped));
    assert_rv(CKR_KEY_NOT_WRAPPABLE, p11->C_WrapKey(fx.session, MECHANISM(CKM_RSA_PKCS), public,
                                                    key, wrapped.p, &wrapped.n));
    assert_rv(CKR_ATTRIBUTE_READ_ONLY, p11->C_SetAttributeValue(fx.session, key, &less, 1));
    assert_rv(CKR_ATTRIBUTE_READ_ONLY, set_trusted(public));
    set_part(&parts, (CK_ATTRIBUTE)ATTR_BOOL(CKA_TRUSTED, true));
    assert_rv(CKR_ATTRIBUTE_READ_ONLY, create(&parts, &own));
    assert_ok(p11->C_Logout(fx.session));
    assert_ok(login(fx.session, CKU_SO, SO_PIN));
    assert_ok(set_trusted(public));
    assert_ok(p11->C_Logout(fx.session));
    assert_ok(login(fx.session, CKU_USER, USER_PIN));
    key = find_object(fx.session, CKO_SECRET_KEY, "guarded"); /* the old handle ended */
    wrapped.n = sizeof wrapped.p;
    assert_ok(
        p11->C_WrapKey(fx.session, MECHANISM(CKM_RSA_PKCS), public, key, wrapped.p, &wrapped.n));
}

/* 5.18.3: CKA_WRAP_TEMPLATE; a mismatch is CKR_KEY_HANDLE_INVALID. */
static void wrap_template(void **state)
{
    (void)state;
    struct blob wrapped = {.n = sizeof wrapped.p};
    CK_ATTRIBUTE wanted[] = {ATTR_STR(CKA_LABEL, "fit"), ATTR_ULONG(CKA_KEY_TYPE, CKK_AES)};
    CK_ATTRIBUTE by_value[] = {ATTR_ULONG(CKA_VALUE_LEN, 32)};
    CK_ATTRIBUTE picky = ATTR_MEM(CKA_WRAP_TEMPLATE, wanted, sizeof wanted);
    CK_ATTRIBUTE long_only = ATTR_MEM(CKA_WRAP_TEMPLATE, by_value, sizeof by_value);
    CK_ATTRIBUTE fit[] = {ATTR_BOOL(CKA_EXTRACTABLE, true), ATTR_STR(CKA_LABEL, "fit")};
    CK_ATTRIBUTE unfit[] = {ATTR_BOOL(CKA_EXTRACTABLE, true), ATTR_STR(CKA_LABEL, "unfit")};
    CK_OBJECT_HANDLE wrapping = make_secret(&picky, 1), other = make_secret(&long_only, 1);
    CK_OBJECT_HANDLE good = make_secret(fit, 2), bad = make_secret(unfit, 2);
    CK_MECHANISM *kwp = MECHANISM(CKM_AES_KEY_WRAP_KWP);
    assert_ok(p11->C_WrapKey(fx.session, kwp, wrapping, good, wrapped.p, &wrapped.n));
    assert_rv(CKR_KEY_HANDLE_INVALID,
              p11->C_WrapKey(fx.session, kwp, wrapping, bad, wrapped.p, &wrapped.n));
    assert_rv(CKR_KEY_HANDLE_INVALID,
              p11->C_WrapKey(fx.session, kwp, wrapping, targets[4].object, wrapped.p, &wrapped.n));
    wrapped.n = sizeof wrapped.p;
    assert_ok(p11->C_WrapKey(fx.session, kwp, other, bad, wrapped.p, &wrapped.n));
    assert_rv(CKR_KEY_HANDLE_INVALID,
              p11->C_WrapKey(fx.session, kwp, other, targets[0].object, wrapped.p, &wrapped.n));
}

/* ---- what comes out ---------------------------------------------------------------------------
 */

static CK_RV unwrap(CK_OBJECT_HANDLE by, CK_MECHANISM_TYPE type, struct blob wrapped,
                    CK_ATTRIBUTE *template, CK_ULONG n, CK_OBJECT_HANDLE *ret)
{
    CK_MECHANISM mechanism = way_of(type)->mechanism;
    return p11->C_UnwrapKey(fx.session, &mechanism, by, wrapped.p, wrapped.n, template, n, ret);
}

/* 5.18.4: CKA_UNWRAP_TEMPLATE is added, and may not be contradicted. */
static void unwrap_template(void **state)
{
    (void)state;
    CK_ATTRIBUTE imposed[] = {ATTR_BOOL(CKA_SENSITIVE, true), ATTR_STR(CKA_LABEL, "imposed"),
                              ATTR_BOOL(CKA_DECRYPT, false), ATTR_ULONG(CKA_KEY_TYPE, CKK_AES)};
    CK_ATTRIBUTE own = ATTR_MEM(CKA_UNWRAP_TEMPLATE, imposed, sizeof imposed);
    CK_OBJECT_HANDLE key = make_secret(&own, 1), object = CK_INVALID_HANDLE;
    struct blob wrapped = {.n = sizeof wrapped.p};
    CK_MECHANISM *kwp = MECHANISM(CKM_AES_KEY_WRAP_KWP);
    assert_ok(p11->C_WrapKey(fx.session, kwp, key, targets[1].object, wrapped.p, &wrapped.n));
    CK_ATTRIBUTE class = ATTR_ULONG(CKA_CLASS, CKO_SECRET_KEY);
    assert_ok(unwrap(key, CKM_AES_KEY_WRAP_KWP, wrapped, &class, 1, &object));
    assert_blob(get_attribute(fx.session, object, CKA_LABEL), "imposed", 7);
    assert_false(get_bool(fx.session, object, CKA_DECRYPT));
    assert_true(get_bool(fx.session, object, CKA_ENCRYPT));
    assert_same_secret(object, targets[1].plain);
    CK_ATTRIBUTE same[] = {class, ATTR_BOOL(CKA_SENSITIVE, true)};
    assert_ok(unwrap(key, CKM_AES_KEY_WRAP_KWP, wrapped, same, 2, &object));
    CK_ATTRIBUTE against[] = {class, ATTR_BOOL(CKA_SENSITIVE, false)};
    assert_rv(CKR_TEMPLATE_INCONSISTENT,
              unwrap(key, CKM_AES_KEY_WRAP_KWP, wrapped, against, 2, &object));
    CK_ATTRIBUTE another[] = {class, ATTR_ULONG(CKA_KEY_TYPE, CKK_GENERIC_SECRET)};
    assert_rv(CKR_TEMPLATE_INCONSISTENT,
              unwrap(key, CKM_AES_KEY_WRAP_KWP, wrapped, another, 2, &object));
}

/* 5.18.4; and where it goes: the TPM, as what C_CreateObject brings. */
static void attributes_of_an_unwrapped_key(void **state)
{
    (void)state;
    struct blob wrapped;
    CK_OBJECT_HANDLE object;
    for (int extractable = 0; extractable < 2; extractable++) {
        CK_ATTRIBUTE secret[] = {ATTR_ULONG(CKA_CLASS, CKO_SECRET_KEY),
                                 ATTR_ULONG(CKA_KEY_TYPE, CKK_AES), ATTR_BOOL(CKA_TOKEN, true),
                                 ATTR_BOOL(CKA_EXTRACTABLE, extractable)};
        CK_ATTRIBUTE private[] = {ATTR_ULONG(CKA_CLASS, CKO_PRIVATE_KEY),
                                  ATTR_ULONG(CKA_KEY_TYPE, CKK_EC), ATTR_BOOL(CKA_TOKEN, true),
                                  ATTR_BOOL(CKA_EXTRACTABLE, extractable),
                                  ATTR_BOOL(CKA_DERIVE, true)};
        for (int asymmetric = 0; asymmetric < 2; asymmetric++) {
            const struct target *t = &targets[asymmetric ? 5 : 1];
            assert_ok(wrap_with(way_of(CKM_AES_GCM), 0, t->object, &wrapped));
            assert_ok(unwrap(aes_key[0], CKM_AES_GCM, wrapped, asymmetric ? private : secret,
                             asymmetric ? 5 : 4, &object));
            assert_protection(object, extractable ? "sealed" : "tpm");
            assert_false(get_bool(fx.session, object, CKA_LOCAL));
            assert_false(get_bool(fx.session, object, CKA_ALWAYS_SENSITIVE));
            assert_false(get_bool(fx.session, object, CKA_NEVER_EXTRACTABLE));
            assert_true(get_bool(fx.session, object, CKA_SENSITIVE));
            assert_int_equal(get_ulong(fx.session, object, CKA_KEY_GEN_MECHANISM),
                             CK_UNAVAILABLE_INFORMATION);
            if (asymmetric)
                assert_same_private(object, t->key);
            else
                assert_same_secret(object, t->plain);
            assert_ok(p11->C_DestroyObject(fx.session, object));
        }
    }
}

/* 5.18.4, 6.16.3: lengths that conflict; more than the padding is not cut off, for who can cut a
 * key can guess it. */
static void lengths_in_the_template(void **state)
{
    (void)state;
    static const struct {
        CK_MECHANISM_TYPE type;
        size_t target;
        CK_ULONG said; /* 0: nothing */
        CK_RV rv;
    } rows[] = {
        {CKM_AES_KEY_WRAP_KWP, 2, 20, CKR_OK},
        {CKM_AES_KEY_WRAP_KWP, 2, 19, CKR_WRAPPED_KEY_LEN_RANGE},
        {CKM_AES_KEY_WRAP_KWP, 2, 21, CKR_WRAPPED_KEY_LEN_RANGE},
        {CKM_AES_KEY_WRAP, 2, 20, CKR_OK},
        {CKM_AES_KEY_WRAP, 2, 17, CKR_OK},
        {CKM_AES_KEY_WRAP, 2, 16, CKR_WRAPPED_KEY_LEN_RANGE},
        {CKM_AES_KEY_WRAP, 2, 25, CKR_WRAPPED_KEY_LEN_RANGE},
        {CKM_AES_CBC, 2, 20, CKR_OK},
        {CKM_AES_CBC, 2, 16, CKR_WRAPPED_KEY_LEN_RANGE},
        {CKM_AES_CBC, 2, 33, CKR_WRAPPED_KEY_LEN_RANGE},
        {CKM_AES_GCM, 2, 19, CKR_WRAPPED_KEY_LEN_RANGE},
        {CKM_RSA_PKCS, 2, 19, CKR_WRAPPED_KEY_LEN_RANGE},
        {CKM_RSA_X_509, 2, 20, CKR_OK},
        {CKM_RSA_X_509, 2, 0, CKR_TEMPLATE_INCOMPLETE},
        {CKM_RSA_X_509, 2, 300, CKR_WRAPPED_KEY_LEN_RANGE},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct way *w = way_of(rows[i].type);
        CK_OBJECT_HANDLE by = w->whose == RSA_WRAPS ? rsa_private[0] : aes_key[0], object;
        CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_CLASS, CKO_SECRET_KEY),
                                   ATTR_ULONG(CKA_KEY_TYPE, CKK_GENERIC_SECRET),
                                   ATTR_ULONG(CKA_VALUE_LEN, rows[i].said)};
        struct blob wrapped;
        assert_ok(wrap_with(w, 0, targets[rows[i].target].object, &wrapped));
        CK_RV rv = unwrap(by, rows[i].type, wrapped, template, rows[i].said ? 3 : 2, &object);
        if (rv != rows[i].rv)
            print_error("row %zu\n", i);
        assert_rv(rows[i].rv, rv);
    }
    /* an AES key of 20 bytes */
    struct blob wrapped;
    CK_OBJECT_HANDLE object;
    CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_CLASS, CKO_SECRET_KEY),
                               ATTR_ULONG(CKA_KEY_TYPE, CKK_AES)};
    assert_ok(wrap_with(way_of(CKM_AES_KEY_WRAP_KWP), 0, targets[2].object, &wrapped));
    assert_rv(CKR_WRAPPED_KEY_LEN_RANGE,
              unwrap(aes_key[0], CKM_AES_KEY_WRAP_KWP, wrapped, template, 2, &object));
}

/* ---- refusals ---------------------------------------------------------------------------------
 */

static CK_ULONG count_all(void)
{
    return count_objects(fx.session, NULL, 0);
}

static void refused_to_wrap(void **state)
{
    (void)state;
    CK_ATTRIBUTE unfit = ATTR_BOOL(CKA_WRAP, false);
    CK_OBJECT_HANDLE not_for_it = make_secret(&unfit, 1), target = targets[1].object;
    struct blob out;
    const struct {
        CK_MECHANISM_TYPE type;
        CK_OBJECT_HANDLE by, key;
        CK_RV rv;
    } rows[] = {
        {CKM_AES_KEY_WRAP, 0xFFFF, target, CKR_WRAPPING_KEY_HANDLE_INVALID},
        {CKM_AES_KEY_WRAP, rsa_public, target, CKR_WRAPPING_KEY_TYPE_INCONSISTENT},
        {CKM_AES_KEY_WRAP, targets[3].object, target, CKR_WRAPPING_KEY_TYPE_INCONSISTENT},
        {CKM_RSA_PKCS, aes_key[0], target, CKR_WRAPPING_KEY_TYPE_INCONSISTENT},
        {CKM_RSA_PKCS, rsa_private[0], target, CKR_WRAPPING_KEY_TYPE_INCONSISTENT},
        {CKM_AES_KEY_WRAP, not_for_it, target, CKR_KEY_FUNCTION_NOT_PERMITTED},
        {CKM_AES_KEY_WRAP, aes_key[0], 0xFFFF, CKR_KEY_HANDLE_INVALID},
        {CKM_AES_KEY_WRAP, aes_key[0], rsa_public, CKR_KEY_HANDLE_INVALID},
        {CKM_AES_CMAC, aes_key[0], target, CKR_MECHANISM_INVALID},
        {CKM_SHA256, aes_key[0], target, CKR_MECHANISM_INVALID},
        {CKM_ECDSA, aes_key[0], target, CKR_MECHANISM_INVALID},
        {CKM_AES_CBC, aes_key[0], target, CKR_MECHANISM_PARAM_INVALID},
        {CKM_AES_GCM, aes_key[0], target, CKR_MECHANISM_PARAM_INVALID},
        {CKM_RSA_PKCS_OAEP, rsa_public, target, CKR_MECHANISM_PARAM_INVALID},
        {CKM_RSA_AES_KEY_WRAP, rsa_public, target, CKR_MECHANISM_PARAM_INVALID},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        out.n = sizeof out.p;
        CK_RV rv = p11->C_WrapKey(fx.session, MECHANISM(rows[i].type), rows[i].by, rows[i].key,
                                  out.p, &out.n);
        if (rv != rows[i].rv)
            print_error("row %zu\n", i);
        assert_rv(rows[i].rv, rv);
    }
    assert_rv(CKR_ARGUMENTS_BAD,
              p11->C_WrapKey(fx.session, NULL, aes_key[0], target, NULL, &out.n));
    assert_rv(CKR_ARGUMENTS_BAD,
              p11->C_WrapKey(fx.session, MECHANISM(CKM_AES_ECB), aes_key[0], target, out.p, NULL));
}

/* 5.18.3: CKR_KEY_SIZE_RANGE: too long for the modulus, too short for KW. */
static void sizes(void **state)
{
    (void)state;
    static struct parts parts;
    struct blob out;
    CK_OBJECT_HANDLE large, small;
    secret_parts(CKK_GENERIC_SECRET, random_blob(300), &parts);
    set_part(&parts, (CK_ATTRIBUTE)ATTR_BOOL(CKA_EXTRACTABLE, true));
    assert_ok(create(&parts, &large));
    secret_parts(CKK_GENERIC_SECRET, random_blob(5), &parts);
    set_part(&parts, (CK_ATTRIBUTE)ATTR_BOOL(CKA_EXTRACTABLE, true));
    assert_ok(create(&parts, &small));
    assert_rv(CKR_KEY_SIZE_RANGE, wrap_with(way_of(CKM_RSA_PKCS), 0, large, &out));
    assert_rv(CKR_KEY_SIZE_RANGE, wrap_with(way_of(CKM_RSA_PKCS_OAEP), 0, large, &out));
    assert_rv(CKR_KEY_SIZE_RANGE, wrap_with(way_of(CKM_RSA_X_509), 0, large, &out));
    assert_rv(CKR_KEY_SIZE_RANGE, wrap_with(way_of(CKM_AES_KEY_WRAP), 0, small, &out));
    assert_ok(wrap_with(way_of(CKM_AES_KEY_WRAP_KWP), 0, small, &out));
    assert_ok(wrap_with(way_of(CKM_RSA_AES_KEY_WRAP), 0, large, &out));
}

static void refused_to_unwrap(void **state)
{
    (void)state;
    CK_ATTRIBUTE unfit = ATTR_BOOL(CKA_UNWRAP, false);
    CK_OBJECT_HANDLE not_for_it = make_secret(&unfit, 1), object = CK_INVALID_HANDLE;
    CK_ATTRIBUTE good[] = {ATTR_ULONG(CKA_CLASS, CKO_SECRET_KEY),
                           ATTR_ULONG(CKA_KEY_TYPE, CKK_AES)};
    CK_ATTRIBUTE public[] = {ATTR_ULONG(CKA_CLASS, CKO_PUBLIC_KEY),
                             ATTR_ULONG(CKA_KEY_TYPE, CKK_RSA)};
    CK_ATTRIBUTE value[] = {good[0], good[1], ATTR_MEM(CKA_VALUE, iv, 16)};
    CK_ATTRIBUTE local[] = {good[0], good[1], ATTR_BOOL(CKA_LOCAL, true)};
    struct blob wrapped;
    assert_ok(wrap_with(way_of(CKM_AES_KEY_WRAP), 0, targets[1].object, &wrapped));
    const struct {
        CK_MECHANISM_TYPE type;
        CK_OBJECT_HANDLE by;
        CK_ATTRIBUTE *template;
        CK_ULONG n;
        CK_RV rv;
    } rows[] = {
        {CKM_AES_KEY_WRAP, 0xFFFF, good, 2, CKR_UNWRAPPING_KEY_HANDLE_INVALID},
        {CKM_AES_KEY_WRAP, rsa_private[0], good, 2, CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT},
        {CKM_RSA_PKCS, aes_key[0], good, 2, CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT},
        {CKM_RSA_PKCS, rsa_public, good, 2, CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT},
        {CKM_AES_KEY_WRAP, not_for_it, good, 2, CKR_KEY_FUNCTION_NOT_PERMITTED},
        {CKM_AES_KEY_WRAP, aes_key[0], good, 1, CKR_TEMPLATE_INCOMPLETE},
        {CKM_AES_KEY_WRAP, aes_key[0], NULL, 0, CKR_TEMPLATE_INCOMPLETE},
        {CKM_AES_KEY_WRAP, aes_key[0], public, 2, CKR_TEMPLATE_INCONSISTENT},
        {CKM_AES_KEY_WRAP, aes_key[0], value, 3, CKR_ATTRIBUTE_READ_ONLY},
        {CKM_AES_KEY_WRAP, aes_key[0], local, 3, CKR_ATTRIBUTE_READ_ONLY},
    };
    CK_ULONG before = count_all();
    for (size_t i = 0; i < COUNT(rows); i++) {
        CK_RV rv = unwrap(rows[i].by, rows[i].type, wrapped, rows[i].template, rows[i].n, &object);
        if (rv != rows[i].rv)
            print_error("row %zu\n", i);
        assert_rv(rows[i].rv, rv);
    }
    assert_int_equal(object, CK_INVALID_HANDLE);
    assert_int_equal(count_all(), before);
}

/* What was tampered with, cut or garbage makes no object. */
static void spoilt_wrappings(void **state)
{
    (void)state;
    static const struct {
        CK_MECHANISM_TYPE type;
        size_t target;
        CK_ULONG less;
        CK_RV rv;
    } rows[] = {
        {CKM_AES_KEY_WRAP, 1, 0, CKR_WRAPPED_KEY_INVALID},
        {CKM_AES_KEY_WRAP, 1, 1, CKR_WRAPPED_KEY_LEN_RANGE},
        {CKM_AES_KEY_WRAP, 1, 32, CKR_WRAPPED_KEY_LEN_RANGE},
        {CKM_AES_KEY_WRAP_KWP, 5, 0, CKR_WRAPPED_KEY_INVALID},
        {CKM_AES_KEY_WRAP_KWP, 5, 3, CKR_WRAPPED_KEY_LEN_RANGE},
        {CKM_AES_KEY_WRAP_PKCS7, 1, 0, CKR_WRAPPED_KEY_INVALID},
        {CKM_AES_GCM, 1, 0, CKR_WRAPPED_KEY_INVALID},
        {CKM_AES_GCM, 1, 40, CKR_WRAPPED_KEY_LEN_RANGE},
        {CKM_AES_CCM, 1, 0, CKR_WRAPPED_KEY_INVALID},
        {CKM_AES_ECB, 1, 1, CKR_WRAPPED_KEY_LEN_RANGE},
        {CKM_AES_CBC_PAD, 1, 1, CKR_WRAPPED_KEY_LEN_RANGE},
        {CKM_AES_CTR, 5, 0, CKR_WRAPPED_KEY_INVALID},
        {CKM_AES_CTR, 4, 1, CKR_WRAPPED_KEY_INVALID},
        {CKM_RSA_PKCS, 1, 1, CKR_WRAPPED_KEY_LEN_RANGE},
        {CKM_RSA_PKCS_OAEP, 1, 0, CKR_WRAPPED_KEY_INVALID},
        {CKM_RSA_AES_KEY_WRAP, 1, 0, CKR_WRAPPED_KEY_INVALID},
        {CKM_RSA_AES_KEY_WRAP, 1, 200, CKR_WRAPPED_KEY_LEN_RANGE},
    };
    CK_ULONG before = count_all();
    for (size_t i = 0; i < COUNT(rows); i++)
        for (size_t where = 0; where < COUNT(places); where++) {
            const struct way *w = way_of(rows[i].type);
            const struct target *t = &targets[rows[i].target];
            CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
            struct blob wrapped;
            assert_ok(wrap_with(w, where, t->object, &wrapped));
            wrapped.n -= rows[i].less;
            wrapped.p[wrapped.n / 2] ^= rows[i].less == 0 ? 0x20 : 0;
            if (rows[i].less == 0)
                wrapped.p[1] ^= 0x20;
            CK_RV rv = unwrap_with(w, where, wrapped, t, &object);
            if (rv != rows[i].rv)
                print_error("row %zu, %s\n", i, places[where]);
            assert_rv(rows[i].rv, rv);
            assert_int_equal(object, CK_INVALID_HANDLE);
        }
    assert_int_equal(count_all(), before);
}

/* Longer than any key: the length alone says so, and none of it is looked at. */
static void far_too_long(void **state)
{
    (void)state;
    static CK_BYTE much[1 << 20];
    static const CK_MECHANISM_TYPE types[] = {CKM_AES_CBC_PAD, CKM_AES_KEY_WRAP_KWP, CKM_AES_GCM,
                                              CKM_RSA_PKCS_OAEP, CKM_RSA_AES_KEY_WRAP};
    CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_CLASS, CKO_SECRET_KEY),
                               ATTR_ULONG(CKA_KEY_TYPE, CKK_GENERIC_SECRET)};
    for (size_t i = 0; i < COUNT(types); i++)
        for (size_t where = 0; where < COUNT(places); where++) {
            const struct way *w = way_of(types[i]);
            CK_MECHANISM m = w->mechanism;
            CK_OBJECT_HANDLE by = w->whose == RSA_WRAPS ? rsa_private[where] : aes_key[where];
            CK_OBJECT_HANDLE object;
            assert_rv(
                CKR_WRAPPED_KEY_LEN_RANGE,
                p11->C_UnwrapKey(fx.session, &m, by, much, sizeof much, template, 2, &object));
            assert_rv(
                CKR_WRAPPED_KEY_LEN_RANGE,
                p11->C_UnwrapKey(fx.session, &m, by, much, SIZE_MAX / 8, template, 2, &object));
        }
}

/* 6.7: an encoding of another key than the template's, or of none. */
static void wrong_encodings(void **state)
{
    (void)state;
    static const struct {
        size_t of, as;
        CK_RV rv;
    } rows[] = {
        {4, 5, CKR_TEMPLATE_INCONSISTENT}, /* RSA as EC */
        {5, 4, CKR_TEMPLATE_INCONSISTENT}, {7, 8, CKR_TEMPLATE_INCONSISTENT},
        {8, 5, CKR_TEMPLATE_INCONSISTENT}, {1, 4, CKR_WRAPPED_KEY_INVALID}, /* no DER at all */
    };
    CK_ULONG before = count_all();
    const struct way *kwp = way_of(CKM_AES_KEY_WRAP_KWP);
    for (size_t i = 0; i < COUNT(rows); i++) {
        CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
        struct blob wrapped = openssl_wraps(kwp, targets[rows[i].of].plain);
        assert_rv(rows[i].rv, unwrap_with(kwp, 0, wrapped, &targets[rows[i].as], &object));
        assert_int_equal(object, CK_INVALID_HANDLE);
    }
    struct blob longer =
        targets[5].plain; /* one byte behind the DER, which KWP says is the key's */
    longer.p[longer.n++] = 0;
    CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
    assert_rv(CKR_WRAPPED_KEY_INVALID,
              unwrap_with(kwp, 0, openssl_wraps(kwp, longer), &targets[5], &object));
    assert_int_equal(count_all(), before);
}

/* 6.16.2: another initial value than the standard's. */
static void own_initial_values(void **state)
{
    (void)state;
    static const struct {
        CK_MECHANISM_TYPE type;
        CK_ULONG n;
    } rows[] = {{CKM_AES_KEY_WRAP, 8}, {CKM_AES_KEY_WRAP_PKCS7, 8}, {CKM_AES_KEY_WRAP_KWP, 4}};
    CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_CLASS, CKO_SECRET_KEY),
                               ATTR_ULONG(CKA_KEY_TYPE, CKK_AES)};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct blob wrapped = {.n = sizeof wrapped.p};
        CK_OBJECT_HANDLE object;
        CK_MECHANISM own = {rows[i].type, iv, rows[i].n};
        assert_ok(
            p11->C_WrapKey(fx.session, &own, aes_key[0], targets[1].object, wrapped.p, &wrapped.n));
        assert_ok(p11->C_UnwrapKey(fx.session, &own, aes_key[1], wrapped.p, wrapped.n, template, 2,
                                   &object));
        assert_same_secret(object, targets[1].plain);
        assert_rv(CKR_WRAPPED_KEY_INVALID,
                  unwrap(aes_key[0], rows[i].type, wrapped, template, 2, &object));
        own.ulParameterLen = rows[i].n + 1;
        assert_rv(CKR_MECHANISM_PARAM_INVALID,
                  p11->C_UnwrapKey(fx.session, &own, aes_key[0], wrapped.p, wrapped.n, template, 2,
                                   &object));
    }
}

#define WRAP_TEST(f) cmocka_unit_test_setup_teardown(f, test_wrapping, test_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WRAP_TEST(every_way_with_every_key),
        WRAP_TEST(lengths),
        WRAP_TEST(extractable_only),
        WRAP_TEST(trusted_wrapping_keys),
        WRAP_TEST(wrap_template),
        WRAP_TEST(unwrap_template),
        WRAP_TEST(attributes_of_an_unwrapped_key),
        WRAP_TEST(lengths_in_the_template),
        WRAP_TEST(refused_to_wrap),
        WRAP_TEST(sizes),
        WRAP_TEST(refused_to_unwrap),
        WRAP_TEST(spoilt_wrappings),
        WRAP_TEST(far_too_long),
        WRAP_TEST(wrong_encodings),
        WRAP_TEST(own_initial_values),
    };
    return cmocka_run_group_tests(tests, group_wrapping, group_wrapping_end);
}
