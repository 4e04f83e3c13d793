/* Templates of keys: nested ones (PKCS#11 3.2 sections 4.8 to 4.11, 5.7.5), changes and copies
 * (4.1.2, 4.1.3), check values (4.11), and what a template leaves out (4.8 to 4.11). */
#include "material.h"

static struct parts parts;

static CK_OBJECT_HANDLE make(CK_ATTRIBUTE *more, CK_ULONG n)
{
    CK_OBJECT_HANDLE key;
    secret_parts(CKK_AES, random_blob(32), &parts);
    for (CK_ULONG i = 0; i < n; i++)
        set_part(&parts, more[i]);
    assert_ok(create(&parts, &key));
    return key;
}

static CK_RV change(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, bool value)
{
    CK_ATTRIBUTE attribute = ATTR_BOOL(type, value);
    return p11->C_SetAttributeValue(fx.session, object, &attribute, 1);
}

static CK_RV copy_with(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, bool value,
                       CK_OBJECT_HANDLE *ret)
{
    CK_ATTRIBUTE attribute = ATTR_BOOL(type, value);
    return p11->C_CopyObject(fx.session, object, &attribute, 1, ret);
}

/* ---- nested templates --------------------------------------------------------------------------
 */

static CK_BBOOL inner_true = CK_TRUE;
static CK_ULONG inner_type = CKK_AES;
static char inner_label[] = "inner";
static CK_ATTRIBUTE inner[] = {{CKA_SENSITIVE, &inner_true, sizeof inner_true},
                               {CKA_KEY_TYPE, &inner_type, sizeof inner_type},
                               {CKA_LABEL, inner_label, 5}};

/* 5.7.5: first how many, then how long each, then the values. */
static void assert_reads_back(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type)
{
    CK_ATTRIBUTE got[COUNT(inner)], outer = {type, NULL, 0};
    CK_BYTE room[COUNT(inner)][16];
    assert_ok(p11->C_GetAttributeValue(fx.session, object, &outer, 1));
    assert_int_equal(outer.ulValueLen, sizeof inner);
    memset(got, 0, sizeof got);
    outer.pValue = got;
    assert_ok(p11->C_GetAttributeValue(fx.session, object, &outer, 1));
    for (size_t i = 0; i < COUNT(inner); i++) {
        assert_in_range(got[i].ulValueLen, 1, sizeof *room);
        got[i].pValue = room[i];
    }
    assert_ok(p11->C_GetAttributeValue(fx.session, object, &outer, 1));
    for (size_t i = 0; i < COUNT(inner); i++) {
        size_t k = 0;
        while (k < COUNT(inner) && got[i].type != inner[k].type)
            k++;
        assert_in_range(k, 0, COUNT(inner) - 1);
        assert_int_equal(got[i].ulValueLen, inner[k].ulValueLen);
        assert_memory_equal(got[i].pValue, inner[k].pValue, inner[k].ulValueLen);
    }
    outer.ulValueLen = sizeof inner - sizeof *inner;
    assert_rv(CKR_BUFFER_TOO_SMALL, p11->C_GetAttributeValue(fx.session, object, &outer, 1));
    assert_true(outer.ulValueLen == CK_UNAVAILABLE_INFORMATION);
}

static void nested_ones_read_back(void **state)
{
    static const CK_ATTRIBUTE_TYPE types[] = {CKA_WRAP_TEMPLATE, CKA_UNWRAP_TEMPLATE,
                                              CKA_DERIVE_TEMPLATE};
    CK_ATTRIBUTE more[] = {ATTR_BOOL(CKA_TOKEN, true), ATTR_STR(CKA_LABEL, "outer"),
                           ATTR_MEM(CKA_WRAP_TEMPLATE, inner, sizeof inner),
                           ATTR_MEM(CKA_UNWRAP_TEMPLATE, inner, sizeof inner),
                           ATTR_MEM(CKA_DERIVE_TEMPLATE, inner, sizeof inner)};
    CK_OBJECT_HANDLE key = make(more, COUNT(more)), copy;
    assert_ok(copy_with(key, CKA_TOKEN, false, &copy));
    for (size_t i = 0; i < COUNT(types); i++) {
        assert_reads_back(key, types[i]);
        assert_reads_back(copy, types[i]);
    }
    assert_ok(p11->C_Finalize(NULL));
    test_user(state);
    key = find_object(fx.session, CKO_SECRET_KEY, "outer");
    for (size_t i = 0; i < COUNT(types); i++)
        assert_reads_back(key, types[i]);
    assert_ok(p11->C_DestroyObject(fx.session, key));
}

/* By what is in them, in whatever order (5.2: an attribute's value is compared). */
static void nested_ones_are_found(void **state)
{
    (void)state;
    CK_ATTRIBUTE turned[] = {inner[2], inner[0], inner[1]};
    CK_ATTRIBUTE whole = ATTR_MEM(CKA_UNWRAP_TEMPLATE, inner, sizeof inner);
    CK_ATTRIBUTE same = ATTR_MEM(CKA_UNWRAP_TEMPLATE, turned, sizeof turned);
    CK_ATTRIBUTE part = ATTR_MEM(CKA_UNWRAP_TEMPLATE, inner, 2 * sizeof *inner);
    CK_ATTRIBUTE token[] = {part, ATTR_BOOL(CKA_TOKEN, true)};
    CK_OBJECT_HANDLE key = make(&whole, 1), other = make(token, 2);
    assert_int_equal(count_objects(fx.session, &whole, 1), 1);
    assert_int_equal(count_objects(fx.session, &same, 1), 1);
    assert_int_equal(count_objects(fx.session, &part, 1), 1);
    assert_int_equal(count_objects(fx.session, token, 2), 1);
    assert_ok(p11->C_DestroyObject(fx.session, key));
    assert_int_equal(count_objects(fx.session, &same, 1), 0);
    assert_ok(p11->C_DestroyObject(fx.session, other));
    assert_int_equal(count_objects(fx.session, &part, 1), 0);
}

/* The copy of a key that wraps is as picky as it. */
static void nested_ones_hold_for_copies(void **state)
{
    (void)state;
    CK_ATTRIBUTE more = ATTR_MEM(CKA_WRAP_TEMPLATE, inner, sizeof inner);
    CK_ATTRIBUTE unfit[] = {ATTR_BOOL(CKA_EXTRACTABLE, true), ATTR_STR(CKA_LABEL, "other")};
    CK_ATTRIBUTE fit[] = {ATTR_BOOL(CKA_EXTRACTABLE, true), ATTR_STR(CKA_LABEL, "inner")};
    CK_OBJECT_HANDLE key = make(&more, 1), bad = make(unfit, 2), good = make(fit, 2), copy;
    CK_BYTE out[64];
    CK_ULONG n = sizeof out;
    assert_ok(copy_with(key, CKA_TOKEN, true, &copy));
    assert_rv(CKR_KEY_HANDLE_INVALID,
              p11->C_WrapKey(fx.session, MECHANISM(CKM_AES_KEY_WRAP_KWP), copy, bad, out, &n));
    assert_ok(p11->C_WrapKey(fx.session, MECHANISM(CKM_AES_KEY_WRAP_KWP), copy, good, out, &n));
    assert_ok(p11->C_DestroyObject(fx.session, copy));
}

/* Given with the key, never changed. */
static void nested_ones_stay(void **state)
{
    (void)state;
    CK_ATTRIBUTE more = ATTR_MEM(CKA_UNWRAP_TEMPLATE, inner, sizeof inner);
    CK_ATTRIBUTE shorter = ATTR_MEM(CKA_UNWRAP_TEMPLATE, inner, sizeof *inner);
    CK_ATTRIBUTE cut = ATTR_MEM(CKA_UNWRAP_TEMPLATE, inner, sizeof *inner - 1);
    CK_ATTRIBUTE none = ATTR_MEM(CKA_UNWRAP_TEMPLATE, NULL, 0);
    CK_OBJECT_HANDLE key = make(&more, 1), copy;
    CK_ATTRIBUTE rows[] = {shorter, none};
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_rv(CKR_ATTRIBUTE_READ_ONLY, p11->C_SetAttributeValue(fx.session, key, &rows[i], 1));
        assert_rv(CKR_ATTRIBUTE_READ_ONLY, p11->C_CopyObject(fx.session, key, &rows[i], 1, &copy));
    }
    assert_reads_back(key, CKA_UNWRAP_TEMPLATE);
    secret_parts(CKK_AES, random_blob(32), &parts);
    CK_ATTRIBUTE template[] = {parts.v[0], parts.v[1], parts.v[2], cut};
    assert_rv(CKR_ATTRIBUTE_VALUE_INVALID,
              p11->C_CreateObject(fx.session, template, COUNT(template), &copy));
    CK_ATTRIBUTE in_itself[] = {{CKA_UNWRAP_TEMPLATE, inner, sizeof inner}};
    template[3] = (CK_ATTRIBUTE)ATTR_MEM(CKA_UNWRAP_TEMPLATE, in_itself, sizeof in_itself);
    assert_rv(CKR_TEMPLATE_INCONSISTENT,
              p11->C_CreateObject(fx.session, template, COUNT(template), &copy));
    CK_ATTRIBUTE unknown[] = {{CKA_VENDOR_DEFINED | 0xABC, &inner_true, 1}};
    template[3] = (CK_ATTRIBUTE)ATTR_MEM(CKA_UNWRAP_TEMPLATE, unknown, sizeof unknown);
    assert_rv(CKR_ATTRIBUTE_TYPE_INVALID,
              p11->C_CreateObject(fx.session, template, COUNT(template), &copy));
}

/* ---- changes and copies ------------------------------------------------------------------------
 */

/* Footnotes 11 and 12 of 4.3: one way only, also through a copy. */
static void one_way(void **state)
{
    (void)state;
    static const struct {
        CK_ATTRIBUTE_TYPE type;
        bool last;
    } rows[] = {{CKA_SENSITIVE, true},
                {CKA_EXTRACTABLE, false},
                {CKA_WRAP_WITH_TRUSTED, true},
                {CKA_COPYABLE, false}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        CK_ATTRIBUTE first = ATTR_BOOL(rows[i].type, !rows[i].last);
        CK_OBJECT_HANDLE key = make(&first, 1), copy;
        assert_int_equal(get_bool(fx.session, key, rows[i].type), !rows[i].last);
        assert_ok(change(key, rows[i].type, !rows[i].last)); /* as it is */
        if (rows[i].type != CKA_COPYABLE) {
            assert_ok(copy_with(key, rows[i].type, rows[i].last, &copy));
            assert_rv(CKR_ATTRIBUTE_READ_ONLY, change(copy, rows[i].type, !rows[i].last));
        }
        assert_ok(change(key, rows[i].type, rows[i].last));
        assert_rv(CKR_ATTRIBUTE_READ_ONLY, change(key, rows[i].type, !rows[i].last));
        CK_RV rv = copy_with(key, rows[i].type, !rows[i].last, &copy);
        assert_rv(rows[i].type == CKA_COPYABLE ? CKR_ACTION_PROHIBITED : CKR_ATTRIBUTE_READ_ONLY,
                  rv);
        assert_int_equal(get_bool(fx.session, key, rows[i].type), rows[i].last);
    }
}

/* 4.11: what it once was is remembered; a change back and forth is no way around. */
static void history(void **state)
{
    (void)state;
    CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_VALUE_LEN, 32), ATTR_BOOL(CKA_SENSITIVE, false),
                               ATTR_BOOL(CKA_EXTRACTABLE, true)};
    CK_OBJECT_HANDLE key, copy;
    assert_ok(p11->C_GenerateKey(fx.session, MECHANISM(CKM_AES_KEY_GEN), template, COUNT(template),
                                 &key));
    assert_ok(change(key, CKA_SENSITIVE, true));
    assert_ok(change(key, CKA_EXTRACTABLE, false));
    assert_ok(copy_with(key, CKA_TOKEN, false, &copy));
    for (int i = 0; i < 2; i++) {
        CK_OBJECT_HANDLE object = i ? copy : key;
        assert_false(get_bool(fx.session, object, CKA_ALWAYS_SENSITIVE));
        assert_false(get_bool(fx.session, object, CKA_NEVER_EXTRACTABLE));
        assert_true(get_bool(fx.session, object, CKA_LOCAL));
        assert_int_equal(get_ulong(fx.session, object, CKA_KEY_GEN_MECHANISM), CKM_AES_KEY_GEN);
    }
    /* what became sensitive is told no more */
    CK_BYTE room[32];
    CK_ATTRIBUTE value = {CKA_VALUE, room, sizeof room};
    assert_rv(CKR_ATTRIBUTE_SENSITIVE, p11->C_GetAttributeValue(fx.session, key, &value, 1));
    assert_ok(p11->C_DestroyObject(fx.session, copy));
}

/* 4.1.2, 4.1.3: usages change freely, and hold at once. */
static void usages(void **state)
{
    (void)state;
    static const CK_ATTRIBUTE_TYPE types[] = {CKA_ENCRYPT, CKA_DECRYPT, CKA_SIGN,  CKA_VERIFY,
                                              CKA_WRAP,    CKA_UNWRAP,  CKA_DERIVE};
    CK_OBJECT_HANDLE key = make(NULL, 0), copy;
    for (size_t i = 0; i < COUNT(types); i++)
        for (int value = 0; value < 2; value++) {
            assert_ok(change(key, types[i], value));
            assert_int_equal(get_bool(fx.session, key, types[i]), value);
            assert_ok(copy_with(key, types[i], !value, &copy));
            assert_int_equal(get_bool(fx.session, copy, types[i]), !value);
        }
    assert_ok(change(key, CKA_ENCRYPT, false));
    assert_rv(CKR_KEY_FUNCTION_NOT_PERMITTED,
              p11->C_EncryptInit(fx.session, MECHANISM(CKM_AES_ECB), key));
    assert_ok(p11->C_EncryptInit(fx.session, MECHANISM(CKM_AES_ECB), copy));
}

/* 4.1.2: never changed, neither here nor in a copy. */
static void fixed(void **state)
{
    (void)state;
    CK_ULONG type = CKK_GENERIC_SECRET, class = CKO_PRIVATE_KEY, length = 16;
    CK_ATTRIBUTE rows[] = {{CKA_KEY_TYPE, &type, sizeof type},
                           {CKA_CLASS, &class, sizeof class},
                           {CKA_VALUE_LEN, &length, sizeof length},
                           ATTR_BOOL(CKA_LOCAL, true),
                           ATTR_BOOL(CKA_ALWAYS_SENSITIVE, true),
                           ATTR_BOOL(CKA_NEVER_EXTRACTABLE, true),
                           ATTR_ULONG(CKA_KEY_GEN_MECHANISM, CKM_AES_KEY_GEN),
                           ATTR_STR(CKA_VALUE, "0123456789abcdef"),
                           ATTR_STR(CKA_UNIQUE_ID, "0123456789abcdef0123456789abcdef")};
    CK_OBJECT_HANDLE key = make(NULL, 0), copy;
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_rv(CKR_ATTRIBUTE_READ_ONLY, p11->C_SetAttributeValue(fx.session, key, &rows[i], 1));
        assert_rv(CKR_ATTRIBUTE_READ_ONLY, p11->C_CopyObject(fx.session, key, &rows[i], 1, &copy));
    }
    CK_ATTRIBUTE copied_only[] = {ATTR_BOOL(CKA_TOKEN, true), ATTR_BOOL(CKA_MODIFIABLE, false),
                                  ATTR_BOOL(CKA_DESTROYABLE, false)};
    for (size_t i = 0; i < COUNT(copied_only); i++) {
        assert_rv(CKR_ATTRIBUTE_READ_ONLY,
                  p11->C_SetAttributeValue(fx.session, key, &copied_only[i], 1));
        if (i)
            assert_ok(p11->C_CopyObject(fx.session, key, &copied_only[i], 1, &copy));
    }
}

/* 4.4: CKA_MODIFIABLE, CKA_COPYABLE and CKA_DESTROYABLE, of keys in the TPM, sealed, of a session.
 */
static void prohibitions(void **state)
{
    (void)state;
    static const CK_ATTRIBUTE_TYPE types[] = {CKA_MODIFIABLE, CKA_COPYABLE, CKA_DESTROYABLE};
    for (size_t i = 0; i < COUNT(types); i++)
        for (int place = 0; place < 3; place++) {
            CK_ATTRIBUTE more[] = {ATTR_BOOL(types[i], false),
                                   ATTR_BOOL(CKA_TOKEN, place != 2 && i != 2),
                                   ATTR_BOOL(CKA_EXTRACTABLE, place)};
            CK_OBJECT_HANDLE key = make(more, COUNT(more)), copy = CK_INVALID_HANDLE;
            CK_RV rv = change(key, CKA_SIGN, false);
            assert_rv(types[i] == CKA_MODIFIABLE ? CKR_ACTION_PROHIBITED : CKR_OK, rv);
            rv = copy_with(key, CKA_TOKEN, false, &copy);
            assert_rv(types[i] == CKA_COPYABLE ? CKR_ACTION_PROHIBITED : CKR_OK, rv);
            rv = p11->C_DestroyObject(fx.session, key);
            assert_rv(types[i] == CKA_DESTROYABLE ? CKR_ACTION_PROHIBITED : CKR_OK, rv);
        }
}

/* 4.11: CKA_TRUSTED true is the SO's to say, of keys that he sees; false is anybody's. */
static void trusted(void **state)
{
    (void)state;
    CK_ATTRIBUTE more[] = {ATTR_BOOL(CKA_TRUSTED, false), ATTR_BOOL(CKA_TOKEN, true),
                           ATTR_BOOL(CKA_PRIVATE, false)};
    CK_OBJECT_HANDLE key = make(more, COUNT(more)), copy;
    assert_rv(CKR_ATTRIBUTE_READ_ONLY, change(key, CKA_TRUSTED, true));
    assert_rv(CKR_ATTRIBUTE_READ_ONLY, copy_with(key, CKA_TRUSTED, true, &copy));
    more[0] = (CK_ATTRIBUTE)ATTR_BOOL(CKA_TRUSTED, true);
    secret_parts(CKK_AES, random_blob(32), &parts);
    set_part(&parts, more[0]);
    assert_rv(CKR_ATTRIBUTE_READ_ONLY, create(&parts, &copy));
    assert_ok(p11->C_Logout(fx.session));
    assert_ok(login(fx.session, CKU_SO, SO_PIN));
    assert_ok(change(key, CKA_TRUSTED, true));
    assert_ok(p11->C_Logout(fx.session));
    assert_ok(login(fx.session, CKU_USER, USER_PIN));
    assert_true(get_bool(fx.session, key, CKA_TRUSTED));
    assert_ok(change(key, CKA_SIGN, false)); /* the user's other changes leave it */
    assert_true(get_bool(fx.session, key, CKA_TRUSTED));
    assert_ok(change(key, CKA_TRUSTED, false));
    assert_rv(CKR_ATTRIBUTE_READ_ONLY, change(key, CKA_TRUSTED, true));
    assert_ok(p11->C_DestroyObject(fx.session, key));
}

/* 4.1.2: all of a template or nothing. */
static void all_or_nothing(void **state)
{
    (void)state;
    CK_OBJECT_HANDLE key = make(NULL, 0), copy = CK_INVALID_HANDLE;
    CK_ATTRIBUTE template[] = {ATTR_STR(CKA_LABEL, "changed"), ATTR_BOOL(CKA_SIGN, false),
                               ATTR_BOOL(CKA_LOCAL, true)};
    CK_ULONG before = count_objects(fx.session, NULL, 0);
    assert_rv(CKR_ATTRIBUTE_READ_ONLY,
              p11->C_SetAttributeValue(fx.session, key, template, COUNT(template)));
    assert_rv(CKR_ATTRIBUTE_READ_ONLY,
              p11->C_CopyObject(fx.session, key, template, COUNT(template), &copy));
    assert_int_equal(get_attribute(fx.session, key, CKA_LABEL).n, 0);
    assert_true(get_bool(fx.session, key, CKA_SIGN));
    assert_int_equal(count_objects(fx.session, NULL, 0), before);
}

/* ---- check values (4.11) -----------------------------------------------------------------------
 */

static struct blob check_value_of(CK_KEY_TYPE type, struct blob value)
{
    struct blob sum = {.n = 16};
    int n = 0;
    if (type != CKK_AES) {
        sum = openssl_digest("SHA1", value.p, value.n);
    } else {
        CK_BYTE zeros[16] = {0};
        EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
        EVP_EncryptInit_ex2(context, EVP_aes_256_ecb(), value.p, NULL, NULL);
        EVP_EncryptUpdate(context, sum.p, &n, zeros, sizeof zeros);
        EVP_CIPHER_CTX_free(context);
    }
    sum.n = 3;
    return sum;
}

/* In the TPM, sealed, of a session: told, and looked at when given. */
static void check_values(void **state)
{
    (void)state;
    static const CK_KEY_TYPE types[] = {CKK_AES, CKK_GENERIC_SECRET};
    for (size_t i = 0; i < COUNT(types); i++)
        for (int place = 0; place < 3; place++) {
            struct blob value = random_blob(32), sum = check_value_of(types[i], value);
            CK_OBJECT_HANDLE key;
            secret_parts(types[i], value, &parts);
            set_part(&parts, (CK_ATTRIBUTE)ATTR_BOOL(CKA_TOKEN, place < 2));
            set_part(&parts, (CK_ATTRIBUTE)ATTR_BOOL(CKA_EXTRACTABLE, place > 0));
            assert_ok(create(&parts, &key));
            assert_blob(get_attribute(fx.session, key, CKA_CHECK_VALUE), sum.p, 3);
            assert_ok(p11->C_DestroyObject(fx.session, key));
            set_part(&parts, (CK_ATTRIBUTE)ATTR_MEM(CKA_CHECK_VALUE, sum.p, 3));
            assert_ok(create(&parts, &key));
            assert_blob(get_attribute(fx.session, key, CKA_CHECK_VALUE), sum.p, 3);
            assert_ok(p11->C_DestroyObject(fx.session, key));
            CK_ULONG before = count_objects(fx.session, NULL, 0);
            sum.p[2] ^= 1;
            set_part(&parts, (CK_ATTRIBUTE)ATTR_MEM(CKA_CHECK_VALUE, sum.p, 3));
            assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, create(&parts, &key));
            set_part(&parts, (CK_ATTRIBUTE)ATTR_MEM(CKA_CHECK_VALUE, sum.p, 2));
            assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, create(&parts, &key));
            assert_int_equal(count_objects(fx.session, NULL, 0), before);
            set_part(&parts, (CK_ATTRIBUTE){CKA_CHECK_VALUE, value.p, 0}); /* none is wanted */
            assert_ok(create(&parts, &key));
            assert_int_equal(get_attribute(fx.session, key, CKA_CHECK_VALUE).n, 0);
            assert_ok(p11->C_DestroyObject(fx.session, key));
        }
}

/* It can be taken away, and not be put back or be another. */
static void check_value_changes(void **state)
{
    (void)state;
    CK_OBJECT_HANDLE key = make(NULL, 0), copy;
    struct blob sum = get_attribute(fx.session, key, CKA_CHECK_VALUE);
    CK_ATTRIBUTE none = {CKA_CHECK_VALUE, NULL, 0}, other = ATTR_MEM(CKA_CHECK_VALUE, "abc", 3);
    assert_rv(CKR_ATTRIBUTE_READ_ONLY, p11->C_SetAttributeValue(fx.session, key, &other, 1));
    assert_ok(p11->C_CopyObject(fx.session, key, &none, 1, &copy));
    assert_int_equal(get_attribute(fx.session, copy, CKA_CHECK_VALUE).n, 0);
    assert_blob(get_attribute(fx.session, key, CKA_CHECK_VALUE), sum.p, 3);
    assert_ok(p11->C_SetAttributeValue(fx.session, key, &none, 1));
    assert_int_equal(get_attribute(fx.session, key, CKA_CHECK_VALUE).n, 0);
}

/* ---- defaults ----------------------------------------------------------------------------------
 */

struct said {
    CK_ATTRIBUTE_TYPE type;
    bool value;
};

static void assert_bools(CK_OBJECT_HANDLE object, const struct said *rows, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (get_bool(fx.session, object, rows[i].type) != rows[i].value)
            fail_msg("attribute 0x%lx", rows[i].type);
}

static const struct said of_all[] = {{CKA_TOKEN, false},   {CKA_MODIFIABLE, true},
                                     {CKA_COPYABLE, true}, {CKA_DESTROYABLE, true},
                                     {CKA_DERIVE, false},  {CKA_LOCAL, false}};
static const struct said of_private[] = {
    {CKA_PRIVATE, true},     {CKA_SENSITIVE, true},          {CKA_EXTRACTABLE, false},
    {CKA_UNWRAP, false},     {CKA_WRAP_WITH_TRUSTED, false}, {CKA_ALWAYS_AUTHENTICATE, false},
    {CKA_DECAPSULATE, false}};
static const struct said of_public[] = {
    {CKA_PRIVATE, false}, {CKA_WRAP, false}, {CKA_TRUSTED, false}, {CKA_ENCAPSULATE, false}};
static const struct said of_secret[] = {
    {CKA_PRIVATE, true}, {CKA_SENSITIVE, true}, {CKA_EXTRACTABLE, false},      {CKA_WRAP, false},
    {CKA_UNWRAP, false}, {CKA_TRUSTED, false},  {CKA_WRAP_WITH_TRUSTED, false}};

static void drop_usages(void)
{
    for (CK_ULONG i = 0; i < parts.n;)
        if (parts.v[i].ulValueLen == sizeof(CK_BBOOL))
            drop_part(&parts, parts.v[i].type);
        else
            i++;
}

static void assert_empty(CK_OBJECT_HANDLE key)
{
    static const CK_ATTRIBUTE_TYPE types[] = {CKA_LABEL, CKA_ID, CKA_START_DATE, CKA_END_DATE,
                                              CKA_ALLOWED_MECHANISMS};
    for (size_t i = 0; i < COUNT(types); i++)
        assert_int_equal(get_attribute(fx.session, key, types[i]).n, 0);
}

static void defaults_of_pairs(void **state)
{
    (void)state;
    static const char *const kinds[] = {"RSA-1024", "P-256", "ED25519", "X25519", "ED448", "X448"};
    for (size_t i = 0; i < COUNT(kinds); i++) {
        EVP_PKEY *key = make_key(kinds[i]);
        CK_OBJECT_HANDLE private, public;
        const bool signs = kinds[i][0] != 'X';
        const struct said by_type[] = {{CKA_SIGN, signs},          {CKA_DECRYPT, i == 0},
                                       {CKA_SIGN_RECOVER, i == 0}, {CKA_VERIFY, signs},
                                       {CKA_ENCRYPT, i == 0},      {CKA_VERIFY_RECOVER, i == 0}};
        private_parts(key, &parts);
        drop_usages();
        assert_ok(create(&parts, &private));
        public_parts(key, &parts);
        drop_usages();
        assert_ok(create(&parts, &public));
        assert_bools(private, of_all, COUNT(of_all));
        assert_bools(private, of_private, COUNT(of_private));
        assert_bools(private, by_type, 3);
        assert_bools(public, of_all, COUNT(of_all));
        assert_bools(public, of_public, COUNT(of_public));
        assert_bools(public, by_type + 3, 3);
        assert_empty(private);
        assert_empty(public);
        EVP_PKEY_free(key);
    }
}

static void defaults_of_secret_keys(void **state)
{
    (void)state;
    static const CK_KEY_TYPE types[] = {CKK_AES, CKK_GENERIC_SECRET, CKK_SHA256_HMAC, CKK_HKDF};
    for (size_t i = 0; i < COUNT(types); i++) {
        const struct said by_type[] = {
            {CKA_ENCRYPT, i == 0}, {CKA_DECRYPT, i == 0}, {CKA_SIGN, i != 3}, {CKA_VERIFY, i != 3}};
        CK_OBJECT_HANDLE key;
        secret_parts(types[i], random_blob(32), &parts);
        drop_usages();
        assert_ok(create(&parts, &key));
        assert_bools(key, of_all, COUNT(of_all));
        assert_bools(key, of_secret, COUNT(of_secret));
        assert_bools(key, by_type, COUNT(by_type));
        assert_int_equal(get_ulong(fx.session, key, CKA_VALUE_LEN), 32);
        assert_empty(key);
    }
}

#define USER_TEST(f) cmocka_unit_test_setup_teardown(f, test_user, test_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        USER_TEST(nested_ones_read_back),
        USER_TEST(nested_ones_are_found),
        USER_TEST(nested_ones_hold_for_copies),
        USER_TEST(nested_ones_stay),
        USER_TEST(one_way),
        USER_TEST(history),
        USER_TEST(usages),
        USER_TEST(fixed),
        USER_TEST(prohibitions),
        USER_TEST(trusted),
        USER_TEST(all_or_nothing),
        USER_TEST(check_values),
        USER_TEST(check_value_changes),
        USER_TEST(defaults_of_pairs),
        USER_TEST(defaults_of_secret_keys),
    };
    return cmocka_run_group_tests(tests, group_token, group_end);
}
