/* Mechanism parameters as applications give them: every reader of the mechanism table, with the
 * structure in memory of exactly its length, its pointers at memory of exactly the length that the
 * structure says, and all of it gone before the parameter is used. */
#include "fuzz.h"

#include <stddef.h>
#include <mech/families.h>
#include <mech/symmetric.h>

enum { ALLOCATIONS = 256, NOWHERE = -1, DEPTH = 3 };

/* ---- memory of the caller's ---------------------------------------------------------------- */

static struct {
    void *p[ALLOCATIONS];
    size_t n;
} memory;

static void *allocate(struct bytes content, size_t size)
{
    uint8_t *p = malloc(size ? size : 1);
    CHECK(p && memory.n < ALLOCATIONS);
    if (size)
        memset(p, 0, size);
    if (content.n)
        memcpy(p, content.p, content.n);
    memory.p[memory.n++] = p;
    return p;
}

static void free_all(void)
{
    while (memory.n)
        free(memory.p[--memory.n]);
}

/* ---- what points where in a structure ------------------------------------------------------ */

struct layout;
struct pointer {
    size_t at;
    long length; /* where the number of elements is; NOWHERE: one */
    size_t unit; /* bytes of an element */
    const struct layout *of;
    bool bytes; /* the length counts bytes, whatever the unit */
};
struct layout {
    size_t size;
    struct pointer pointer[6]; /* unit 0: no more */
};

#define AT(type, field) offsetof(type, field)
#define SLICE(type, p, length)                                                                     \
    {                                                                                              \
        AT(type, p), (long)AT(type, length), 1, NULL, false                                        \
    }
#define ONE(type, p, n)                                                                            \
    {                                                                                              \
        AT(type, p), NOWHERE, n, NULL, false                                                       \
    }
#define RANDOMS(type)                                                                              \
    SLICE(type, RandomInfo.pClientRandom, RandomInfo.ulClientRandomLen),                           \
        SLICE(type, RandomInfo.pServerRandom, RandomInfo.ulServerRandomLen)

struct old_gcm {
    CK_BYTE_PTR iv;
    CK_ULONG iv_n;
    CK_BYTE_PTR aad;
    CK_ULONG aad_n, tag_bits;
};

static const struct layout oaep = {sizeof(CK_RSA_PKCS_OAEP_PARAMS),
                                   {SLICE(CK_RSA_PKCS_OAEP_PARAMS, pSourceData, ulSourceDataLen)}};
static const struct layout attribute = {sizeof(CK_ATTRIBUTE),
                                        {SLICE(CK_ATTRIBUTE, pValue, ulValueLen)}};
static const struct layout prf_data = {sizeof(CK_PRF_DATA_PARAM),
                                       {SLICE(CK_PRF_DATA_PARAM, pValue, ulValueLen)}};
static const struct layout derived = {
    sizeof(CK_DERIVED_KEY),
    {{AT(CK_DERIVED_KEY, pTemplate), AT(CK_DERIVED_KEY, ulAttributeCount), sizeof(CK_ATTRIBUTE),
      &attribute, false},
     ONE(CK_DERIVED_KEY, phKey, sizeof(CK_OBJECT_HANDLE))}};
static const struct layout material = {
    sizeof(CK_SSL3_KEY_MAT_OUT),
    {ONE(CK_SSL3_KEY_MAT_OUT, pIVClient, 1024), ONE(CK_SSL3_KEY_MAT_OUT, pIVServer, 1024)}};
#define SP800(type)                                                                                \
    {AT(type, pDataParams), AT(type, ulNumberOfDataParams), sizeof(CK_PRF_DATA_PARAM), &prf_data,  \
     false},                                                                                       \
    {                                                                                              \
        AT(type, pAdditionalDerivedKeys), AT(type, ulAdditionalDerivedKeys),                       \
            sizeof(CK_DERIVED_KEY), &derived, false                                                \
    }

typedef CK_RV reader(const struct mech *, const CK_MECHANISM *, const struct mech_key *,
                     struct mech_params *);
typedef CK_RV message_reader(const struct mech *, void *, CK_ULONG, struct mech_message *);

static const struct row {
    reader *params;
    message_reader *message;
    struct layout layout;
} rows[] = {
    {rsa_params_oaep,
     NULL,
     {sizeof(CK_RSA_PKCS_OAEP_PARAMS),
      {SLICE(CK_RSA_PKCS_OAEP_PARAMS, pSourceData, ulSourceDataLen)}}},
    {keywrap_params_rsa,
     NULL,
     {sizeof(CK_RSA_AES_KEY_WRAP_PARAMS),
      {{AT(CK_RSA_AES_KEY_WRAP_PARAMS, pOAEPParams), NOWHERE, sizeof(CK_RSA_PKCS_OAEP_PARAMS),
        &oaep, false}}}},
    {ec_params_ecdh,
     NULL,
     {sizeof(CK_ECDH1_DERIVE_PARAMS),
      {SLICE(CK_ECDH1_DERIVE_PARAMS, pSharedData, ulSharedDataLen),
       SLICE(CK_ECDH1_DERIVE_PARAMS, pPublicData, ulPublicDataLen)}}},
    {eddsa_params,
     NULL,
     {sizeof(CK_EDDSA_PARAMS), {SLICE(CK_EDDSA_PARAMS, pContextData, ulContextDataLen)}}},
    {aead_params_gcm,
     NULL,
     {sizeof(CK_GCM_PARAMS),
      {SLICE(CK_GCM_PARAMS, pIv, ulIvLen), SLICE(CK_GCM_PARAMS, pAAD, ulAADLen)}}},
    {aead_params_gcm,
     NULL,
     {sizeof(struct old_gcm),
      {SLICE(struct old_gcm, iv, iv_n), SLICE(struct old_gcm, aad, aad_n)}}},
    {mac_params_gmac,
     NULL,
     {sizeof(CK_GCM_PARAMS),
      {SLICE(CK_GCM_PARAMS, pIv, ulIvLen), SLICE(CK_GCM_PARAMS, pAAD, ulAADLen)}}},
    {mac_params_gmac,
     NULL,
     {sizeof(struct old_gcm),
      {SLICE(struct old_gcm, iv, iv_n), SLICE(struct old_gcm, aad, aad_n)}}},
    {aead_params_ccm,
     NULL,
     {sizeof(CK_CCM_PARAMS),
      {SLICE(CK_CCM_PARAMS, pNonce, ulNonceLen), SLICE(CK_CCM_PARAMS, pAAD, ulAADLen)}}},
    {NULL,
     aead_message_gcm,
     {sizeof(CK_GCM_MESSAGE_PARAMS),
      {SLICE(CK_GCM_MESSAGE_PARAMS, pIv, ulIvLen), ONE(CK_GCM_MESSAGE_PARAMS, pTag, 16)}}},
    {NULL,
     aead_message_ccm,
     {sizeof(CK_CCM_MESSAGE_PARAMS),
      {SLICE(CK_CCM_MESSAGE_PARAMS, pNonce, ulNonceLen), ONE(CK_CCM_MESSAGE_PARAMS, pMAC, 16)}}},
    {NULL,
     aead_wrap_gcm,
     {sizeof(CK_GCM_WRAP_PARAMS),
      {SLICE(CK_GCM_WRAP_PARAMS, pIv, ulIvLen), SLICE(CK_GCM_WRAP_PARAMS, pAAD, ulAADLen)}}},
    {NULL,
     aead_wrap_ccm,
     {sizeof(CK_CCM_WRAP_PARAMS),
      {SLICE(CK_CCM_WRAP_PARAMS, pNonce, ulNonceLen), SLICE(CK_CCM_WRAP_PARAMS, pAAD, ulAADLen)}}},
    {kdf_params_hkdf,
     NULL,
     {sizeof(CK_HKDF_PARAMS),
      {SLICE(CK_HKDF_PARAMS, pSalt, ulSaltLen), SLICE(CK_HKDF_PARAMS, pInfo, ulInfoLen)}}},
    {kdf_params_pbkdf2,
     NULL,
     {sizeof(CK_PKCS5_PBKD2_PARAMS2),
      {SLICE(CK_PKCS5_PBKD2_PARAMS2, pSaltSourceData, ulSaltSourceDataLen),
       SLICE(CK_PKCS5_PBKD2_PARAMS2, pPrfData, ulPrfDataLen),
       SLICE(CK_PKCS5_PBKD2_PARAMS2, pPassword, ulPasswordLen)}}},
    {sp800_108_params_counter,
     NULL,
     {sizeof(CK_SP800_108_KDF_PARAMS), {SP800(CK_SP800_108_KDF_PARAMS)}}},
    {sp800_108_params_pipeline,
     NULL,
     {sizeof(CK_SP800_108_KDF_PARAMS), {SP800(CK_SP800_108_KDF_PARAMS)}}},
    {sp800_108_params_feedback,
     NULL,
     {sizeof(CK_SP800_108_FEEDBACK_KDF_PARAMS),
      {SP800(CK_SP800_108_FEEDBACK_KDF_PARAMS),
       SLICE(CK_SP800_108_FEEDBACK_KDF_PARAMS, pIV, ulIVLen)}}},
    {aes_params_data,
     NULL,
     {sizeof(CK_KEY_DERIVATION_STRING_DATA), {SLICE(CK_KEY_DERIVATION_STRING_DATA, pData, ulLen)}}},
    {combine_params_data,
     NULL,
     {sizeof(CK_KEY_DERIVATION_STRING_DATA), {SLICE(CK_KEY_DERIVATION_STRING_DATA, pData, ulLen)}}},
    {aes_params_iv_data,
     NULL,
     {sizeof(CK_AES_CBC_ENCRYPT_DATA_PARAMS),
      {SLICE(CK_AES_CBC_ENCRYPT_DATA_PARAMS, pData, length)}}},
    {tls_params_master,
     NULL,
     {sizeof(CK_TLS12_MASTER_KEY_DERIVE_PARAMS),
      {RANDOMS(CK_TLS12_MASTER_KEY_DERIVE_PARAMS),
       ONE(CK_TLS12_MASTER_KEY_DERIVE_PARAMS, pVersion, sizeof(CK_VERSION))}}},
    {tls_params_master_dh,
     NULL,
     {sizeof(CK_TLS12_MASTER_KEY_DERIVE_PARAMS),
      {RANDOMS(CK_TLS12_MASTER_KEY_DERIVE_PARAMS),
       ONE(CK_TLS12_MASTER_KEY_DERIVE_PARAMS, pVersion, sizeof(CK_VERSION))}}},
    {tls_params_extended,
     NULL,
     {sizeof(CK_TLS12_EXTENDED_MASTER_KEY_DERIVE_PARAMS),
      {SLICE(CK_TLS12_EXTENDED_MASTER_KEY_DERIVE_PARAMS, pSessionHash, ulSessionHashLen),
       ONE(CK_TLS12_EXTENDED_MASTER_KEY_DERIVE_PARAMS, pVersion, sizeof(CK_VERSION))}}},
    {tls_params_extended_dh,
     NULL,
     {sizeof(CK_TLS12_EXTENDED_MASTER_KEY_DERIVE_PARAMS),
      {SLICE(CK_TLS12_EXTENDED_MASTER_KEY_DERIVE_PARAMS, pSessionHash, ulSessionHashLen),
       ONE(CK_TLS12_EXTENDED_MASTER_KEY_DERIVE_PARAMS, pVersion, sizeof(CK_VERSION))}}},
    {tls_params_key_and_mac,
     NULL,
     {sizeof(CK_TLS12_KEY_MAT_PARAMS),
      {RANDOMS(CK_TLS12_KEY_MAT_PARAMS),
       {AT(CK_TLS12_KEY_MAT_PARAMS, pReturnedKeyMaterial), NOWHERE, sizeof(CK_SSL3_KEY_MAT_OUT),
        &material, false}}}},
    {tls_params_key_safe,
     NULL,
     {sizeof(CK_TLS12_KEY_MAT_PARAMS),
      {RANDOMS(CK_TLS12_KEY_MAT_PARAMS),
       {AT(CK_TLS12_KEY_MAT_PARAMS, pReturnedKeyMaterial), NOWHERE, sizeof(CK_SSL3_KEY_MAT_OUT),
        &material, false}}}},
    {tls_params_kdf,
     NULL,
     {sizeof(CK_TLS_KDF_PARAMS),
      {SLICE(CK_TLS_KDF_PARAMS, pLabel, ulLabelLength), RANDOMS(CK_TLS_KDF_PARAMS),
       SLICE(CK_TLS_KDF_PARAMS, pContextData, ulContextDataLength)}}},
};
enum { ROWS = sizeof(rows) / sizeof(*rows) };

/* ---- the structure out of the input -------------------------------------------------------- */

static void patch(const struct layout *layout, uint8_t *s, struct bytes *in);

/* NULL with any length, NULL with none, or as many elements as the input says. */
static void point(const struct pointer *p, uint8_t *s, struct bytes *in)
{
    uint8_t how = next_u8(in);
    CK_ULONG n = p->length == NOWHERE ? 1 : how >> 2;
    void *to = NULL;
    if ((how & 3) != 0) {
        size_t size = p->unit * n;
        struct bytes content;
        if (p->of && memory.n + n + 8 > ALLOCATIONS / 2)
            n = size = 0;
        bytes_take(in, size < in->n ? size : in->n, &content);
        to = allocate(content, size);
        for (CK_ULONG i = 0; p->of && i < n; i++)
            patch(p->of, (uint8_t *)to + i * p->unit, in);
    } else if (how & 4) {
        n = 0;
    }
    memcpy(s + p->at, &to, sizeof(to));
    if (p->length != NOWHERE && (to || how & 4))
        memcpy(s + p->length, &n, sizeof(n));
}

static void patch(const struct layout *layout, uint8_t *s, struct bytes *in)
{
    for (size_t i = 0; i < sizeof(layout->pointer) / sizeof(*layout->pointer); i++)
        if (layout->pointer[i].unit)
            point(&layout->pointer[i], s, in);
}

/* Has the reader a structure with pointers of this size? */
static const struct layout *layout_of(reader *params, message_reader *message, CK_ULONG n)
{
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].layout.size == n &&
            (params ? rows[i].params == params : rows[i].message && rows[i].message == message))
            return &rows[i].layout;
    return NULL;
}

/* The length is one, or the address of one (CK_PKCS5_PBKD2_PARAMS): nothing in between. */
static void password_length(void *s, struct bytes *in)
{
    CK_PKCS5_PBKD2_PARAMS2 p;
    memcpy(&p, s, sizeof(p));
    CK_ULONG n = p.ulPasswordLen & 0xFFFF;
    p.ulPasswordLen = next_u8(in) & 1 ? (CK_ULONG)allocate(BYTES(&n, sizeof(n)), sizeof(n)) : n;
    memcpy(s, &p, sizeof(p));
}

static CK_MECHANISM parameter(CK_MECHANISM_TYPE type, reader *params, message_reader *message,
                              struct bytes *in)
{
    struct bytes raw = next_slice(in);
    CK_MECHANISM m = {type, allocate(raw, raw.n), raw.n};
    const struct layout *layout = layout_of(params, message, raw.n);
    if (layout)
        patch(layout, m.pParameter, in);
    if (layout && params == kdf_params_pbkdf2)
        password_length(m.pParameter, in);
    return m;
}

/* ---- what is done with it ------------------------------------------------------------------ */

static struct soft_private *ec, *x25519_key;
static struct bytes secret_value;

static void run_cipher(struct mech_call *call, bool encrypt, struct bytes in)
{
    CLEANUP(mech_stream_free) struct mech_stream s = {.encrypt = encrypt};
    const struct mech_cipher *c = call->mech->cipher;
    size_t n = 0;
    if (c->start(call, &s) != CKR_OK)
        return;
    while (in.n) {
        struct bytes part = next_slice(&in);
        size_t most = c->most(call, &s, part.n, false);
        uint8_t *out = malloc(most ? most : 1);
        CHECK(out);
        CK_RV rv = c->update(call, &s, part, out, &n);
        CHECK(rv != CKR_OK || n <= most);
        free(out);
        if (rv != CKR_OK)
            return;
    }
    size_t most = c->most(call, &s, 0, true);
    uint8_t *out = malloc(most ? most : 1);
    CHECK(out);
    CHECK(c->final(call, &s, out, &n) != CKR_OK || n <= most);
    free(out);
}

static void run_mac(struct mech_call *call, struct bytes in)
{
    CLEANUP(mech_stream_free) struct mech_stream s = {0};
    const struct mech_mac *mac = call->mech->mac;
    uint8_t *ret = malloc(mech_output_size(call->mech, call->params, call->key));
    CHECK(ret);
    CK_RV rv = mac->start(call, &s);
    while (rv == CKR_OK && in.n)
        rv = mac->update(call, &s, next_slice(&in));
    if (rv == CKR_OK)
        mac->final(call, &s, ret);
    free(ret);
}

/* What comes in may be a wrapped key that others made. */
static void use(struct mech_call *call, struct bytes in)
{
    CLEANUP(secret_free) struct secret derived_value = {0};
    size_t extra_n[MECH_EXTRA_KEYS];
    const struct mech_derivation *d = &call->params->derivation;
    for (size_t i = 0; i < MECH_EXTRA_KEYS; i++)
        extra_n[i] = 16;
    call->extra_n = extra_n;
    uint8_t how = next_u8(&in);
    size_t want = (size_t)how << 2;
    if (call->mech->derive && !call->key->tpm_key)
        call->mech->derive(call, want, &derived_value);
    else if (call->mech->generate && d->rounds < 100)
        call->mech->generate(call, want, &derived_value);
    else if (call->mech->cipher && call->mech->key_type == CKK_AES)
        run_cipher(call, !(how & 1), in);
    else if (call->mech->mac)
        run_mac(call, in);
}

static void read_params(const struct mech *m, struct bytes in)
{
    CLEANUP(mech_params_free) struct mech_params params = {0};
    bool montgomery = m->key_type == CKK_EC && next_u8(&in) & 1;
    struct mech_key key = {.type = m->key_type == CKK_EC && montgomery ? CKK_EC_MONTGOMERY
                                                                       : m->key_type,
                           .curve = montgomery ? CURVE_X25519 : CURVE_P256,
                           .modulus_bits = 2048};
    if (mech_symmetric(m))
        key.value = secret_value;
    else if (m->key_type == CKK_EC)
        key.private_ = montgomery ? x25519_key : ec;
    CK_MECHANISM mechanism = parameter(m->type, m->params, NULL, &in);
    CK_RV rv = m->params(m, &mechanism, &key, &params);
    const struct mech_derivation *d = &params.derivation;
    if (!d->version && !d->material && !d->n_extra)
        free_all();
    struct mech_call call = {
        .mech = m, .params = &params, .key = &key, .other = BYTES("0123456789abcdef", 16)};
    if (rv == CKR_OK)
        use(&call, in);
}

/* Reads every byte. */
static void touch(struct bytes b)
{
    struct bytes copy = {allocate(b, b.n), b.n};
    CHECK(bytes_equal(b, copy));
}

static void read_message(const struct mech *m, message_reader *f, struct bytes in)
{
    struct mech_message message = {0};
    CK_MECHANISM mechanism = parameter(m->type, NULL, f, &in);
    if (f(m, mechanism.pParameter, mechanism.ulParameterLen, &message) != CKR_OK)
        return;
    CHECK(message.tag_n <= 16);
    touch(BYTES(message.iv, message.iv_n));
    touch(BYTES(message.tag, message.tag ? message.tag_n : 0));
    touch(message.aad);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static uint8_t value[48];
    (void)argc, (void)argv;
    log_setup(LOG_ERROR, "/dev/null");
    for (size_t i = 0; i < sizeof(value); i++)
        value[i] = (uint8_t)(i + 1);
    secret_value = BYTES(value, 32);
    CHECK(soft_start() == CKR_OK);
    CHECK(soft_private_from_value(CURVE_P256, secret_value, &ec) == CKR_OK);
    CHECK(soft_private_from_value(CURVE_X25519, secret_value, &x25519_key) == CKR_OK);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes in = BYTES(data, size);
    size_t n;
    uint32_t type = 0;
    bytes_take_u32(&in, &type);
    const struct mech *m = mech_find(type), *table = mech_table(&n);
    if (!m)
        m = &table[type % n];
    uint8_t which = next_u8(&in) % 4;
    if (which == 1 && m->message)
        read_message(m, m->message, in);
    else if (which == 2 && m->wrap_message)
        read_message(m, m->wrap_message, in);
    else if (m->params)
        read_params(m, in);
    free_all();
    return 0;
}
