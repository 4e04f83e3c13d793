#include "families.h"

/* 3.1, 6.42: the three modes of SP800-108, under the base key wherever it is. */

/* ---- parameters ---------- ------------------------------------------------------------------ */

/* A MAC of its natural length; the _GENERAL ones are none. */
static CK_RV read_prf(CK_SP800_108_PRF_TYPE type, enum hash *ret)
{
    const struct mech *m = mech_find(type);
    if (!m || m->params != params_none || (m->mac != &mac_hmac && m->mac != &mac_cmac))
        return CKR_MECHANISM_PARAM_INVALID;
    *ret = m->mac_hash;
    return CKR_OK;
}

static bool field_copy(const CK_PRF_DATA_PARAM *in, void *ret, size_t n)
{
    if (!in->pValue || in->ulValueLen != n)
        return false;
    memcpy(ret, in->pValue, n);
    return true;
}

static CK_RV read_counter(const CK_PRF_DATA_PARAM *in, struct kdf_field *ret)
{
    CK_SP800_108_COUNTER_FORMAT format;
    if (!field_copy(in, &format, sizeof(format)) || format.ulWidthInBits > 32)
        return CKR_MECHANISM_PARAM_INVALID;
    *ret = (struct kdf_field){.kind = KDF_COUNTER,
                              .bits = (unsigned)format.ulWidthInBits,
                              .little_endian = format.bLittleEndian};
    return CKR_OK;
}

/* 6.42.2: counter mode's iteration variable is the counter, the others' is what they chain. */
static CK_RV read_variable(const CK_PRF_DATA_PARAM *in, enum kdf_mode mode, struct kdf_field *ret)
{
    if (mode == KDF_MODE_COUNTER)
        return read_counter(in, ret);
    if (in->pValue || in->ulValueLen)
        return CKR_MECHANISM_PARAM_INVALID;
    *ret = (struct kdf_field){.kind = KDF_CHAIN};
    return CKR_OK;
}

static CK_RV read_length(const CK_PRF_DATA_PARAM *in, bool *ret_whole, struct kdf_field *ret)
{
    CK_SP800_108_DKM_LENGTH_FORMAT format;
    if (!field_copy(in, &format, sizeof(format)) || format.ulWidthInBits > 64 ||
        (format.dkmLengthMethod != CK_SP800_108_DKM_LENGTH_SUM_OF_KEYS &&
         format.dkmLengthMethod != CK_SP800_108_DKM_LENGTH_SUM_OF_SEGMENTS))
        return CKR_MECHANISM_PARAM_INVALID;
    *ret_whole = format.dkmLengthMethod == CK_SP800_108_DKM_LENGTH_SUM_OF_SEGMENTS;
    *ret = (struct kdf_field){.kind = KDF_LENGTH,
                              .bits = (unsigned)format.ulWidthInBits,
                              .little_endian = format.bLittleEndian};
    return CKR_OK;
}

/* Where the bytes are in data is written down when all are there. */
static CK_RV read_bytes(const CK_PRF_DATA_PARAM *in, struct buf *data, struct kdf_field *ret)
{
    if (in->ulValueLen == 0)
        return CKR_MECHANISM_PARAM_INVALID;
    *ret = (struct kdf_field){.kind = KDF_BYTES, .bytes = BYTES(NULL, in->ulValueLen)};
    return params_append(in->pValue, in->ulValueLen, data);
}

/* A key may come several times, but it is one key only. */
static CK_RV read_key(const CK_PRF_DATA_PARAM *in, CK_OBJECT_HANDLE *other, struct kdf_field *ret)
{
    CK_OBJECT_HANDLE key;
    if (!field_copy(in, &key, sizeof(key)) || key == CK_INVALID_HANDLE ||
        (*other != CK_INVALID_HANDLE && *other != key))
        return CKR_MECHANISM_PARAM_INVALID;
    *other = key;
    *ret = (struct kdf_field){.kind = KDF_BYTES};
    return CKR_OK;
}

static CK_RV read_field(const CK_PRF_DATA_PARAM *in, struct mech_derivation *d,
                        struct kdf_field *ret)
{
    switch (in->type) {
    case CK_SP800_108_ITERATION_VARIABLE:
        return read_variable(in, d->mode, ret);
    case CK_SP800_108_COUNTER:
        return d->mode == KDF_MODE_COUNTER ? CKR_MECHANISM_PARAM_INVALID : read_counter(in, ret);
    case CK_SP800_108_DKM_LENGTH:
        return read_length(in, &d->whole_segments, ret);
    case CK_SP800_108_BYTE_ARRAY:
        return read_bytes(in, &d->data, ret);
    case CK_SP800_108_KEY_HANDLE:
        return read_key(in, &d->other, ret);
    default:
        return CKR_MECHANISM_PARAM_INVALID;
    }
}

static CK_RV read_fields(const CK_PRF_DATA_PARAM *in, CK_ULONG n, struct mech_derivation *d)
{
    if (!in || n > MECH_FIELDS)
        return CKR_MECHANISM_PARAM_INVALID;
    for (CK_ULONG i = 0; i < n; i++) {
        CK_PRF_DATA_PARAM field;
        memcpy(&field, (const char *)in + i * sizeof(field), sizeof(field));
        TRY(read_field(&field, d, &d->field[i]));
    }
    d->n_fields = n;
    const uint8_t *p = d->data.p;
    for (size_t i = 0; i < d->n_fields; i++)
        if (d->field[i].bytes.n) {
            d->field[i].bytes.p = p;
            p += d->field[i].bytes.n;
        }
    return soft_sp800_108_valid(d->mode, d->field, d->n_fields) ? CKR_OK
                                                                : CKR_MECHANISM_PARAM_INVALID;
}

static CK_RV read_extra(const CK_DERIVED_KEY *in, CK_ULONG n, struct mech_derivation *d)
{
    if ((n && !in) || n > MECH_EXTRA_KEYS)
        return CKR_MECHANISM_PARAM_INVALID;
    for (CK_ULONG i = 0; i < n; i++) {
        CK_DERIVED_KEY key;
        memcpy(&key, (const char *)in + i * sizeof(key), sizeof(key));
        if (!key.phKey || (key.ulAttributeCount && !key.pTemplate) ||
            key.ulAttributeCount > MECH_ATTRIBUTES_MAX)
            return CKR_MECHANISM_PARAM_INVALID;
        d->extra[i] = (struct mech_extra_key){key.pTemplate, key.ulAttributeCount, key.phKey};
    }
    d->n_extra = n;
    return CKR_OK;
}

static CK_RV read_kdf(const CK_MECHANISM *in, enum kdf_mode mode, struct mech_derivation *d)
{
    READ_PARAM(CK_SP800_108_KDF_PARAMS, p, in);
    d->mode = mode;
    TRY(read_prf(p.prfType, &d->prf));
    TRY(read_extra(p.pAdditionalDerivedKeys, p.ulAdditionalDerivedKeys, d));
    return read_fields(p.pDataParams, p.ulNumberOfDataParams, d);
}

CK_RV sp800_108_params_counter(const struct mech *m, const CK_MECHANISM *in,
                               const struct mech_key *key, struct mech_params *ret)
{
    (void)m;
    (void)key;
    return read_kdf(in, KDF_MODE_COUNTER, &ret->derivation);
}

CK_RV sp800_108_params_pipeline(const struct mech *m, const CK_MECHANISM *in,
                                const struct mech_key *key, struct mech_params *ret)
{
    (void)m;
    (void)key;
    return read_kdf(in, KDF_MODE_PIPELINE, &ret->derivation);
}

CK_RV sp800_108_params_feedback(const struct mech *m, const CK_MECHANISM *in,
                                const struct mech_key *key, struct mech_params *ret)
{
    (void)m;
    (void)key;
    struct mech_derivation *d = &ret->derivation;
    READ_PARAM(CK_SP800_108_FEEDBACK_KDF_PARAMS, p, in);
    d->mode = KDF_MODE_FEEDBACK;
    TRY(read_prf(p.prfType, &d->prf));
    TRY(params_append(p.pIV, p.ulIVLen, &d->seed));
    TRY(read_extra(p.pAdditionalDerivedKeys, p.ulAdditionalDerivedKeys, d));
    return read_fields(p.pDataParams, p.ulNumberOfDataParams, d);
}

/* ---- derivation ---------- ------------------------------------------------------------------ */

/* The keys' lengths: the one that C_DeriveKey returns, then the additional ones. */
struct lengths {
    size_t of[1 + MECH_EXTRA_KEYS], n;
    size_t segments; /* of the PRF's output that they take */
};

/* 6.42.6: no two keys share a segment. */
static CK_RV read_lengths(const struct mech_call *call, size_t want, size_t segment,
                          struct lengths *ret)
{
    const struct mech_derivation *d = &call->params->derivation;
    struct lengths l = {.of = {want}, .n = 1 + d->n_extra};
    TRY(derive_length(want, 0, MECH_SECRET_MAX, &l.of[0]));
    for (size_t i = 0; i < d->n_extra; i++) {
        l.of[1 + i] = call->extra_n[i];
        if (!l.of[1 + i] || l.of[1 + i] >= l.of[0])
            return CKR_TEMPLATE_INCOMPLETE;
        l.of[0] -= l.of[1 + i];
    }
    for (size_t i = 0; i < l.n; i++)
        l.segments += (l.of[i] + segment - 1) / segment;
    *ret = l;
    return CKR_OK;
}

static void fill_in(const struct mech_call *call, size_t bytes, struct kdf_field *fields)
{
    const struct mech_derivation *d = &call->params->derivation;
    memcpy(fields, d->field, sizeof(d->field));
    for (size_t i = 0; i < d->n_fields; i++) {
        fields[i].length = 8 * (uint64_t)bytes;
        if (fields[i].kind == KDF_BYTES && !fields[i].bytes.n)
            fields[i].bytes = call->other;
    }
}

static CK_RV cut(const struct lengths *l, const uint8_t *stream, size_t segment, size_t want,
                 struct secret *ret)
{
    TRY(secret_new(ret, want));
    uint8_t *to = ret->p;
    for (size_t i = 0; i < l->n; i++) {
        memcpy(to, stream, l->of[i]);
        to += l->of[i];
        stream += (l->of[i] + segment - 1) / segment * segment;
    }
    return CKR_OK;
}

CK_RV sp800_108_derive(const struct mech_call *call, size_t want, struct secret *ret)
{
    const struct mech_derivation *d = &call->params->derivation;
    CLEANUP(soft_prf_free) struct soft_prf prf = {0};
    CLEANUP(secret_free) struct secret stream = {0};
    struct kdf_field fields[MECH_FIELDS];
    struct lengths lengths;
    TRY(derive_prf(call, &prf));
    TRY(read_lengths(call, want, prf.size, &lengths));
    size_t all = lengths.segments * prf.size;
    fill_in(call, d->whole_segments ? all : want, fields);
    TRY(secret_new(&stream, all));
    TRY(soft_sp800_108(d->mode, &prf, fields, d->n_fields, buf_bytes(&d->seed), stream.p, all));
    return cut(&lengths, stream.p, prf.size, want, ret);
}
