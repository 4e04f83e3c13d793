#include "families.h"

/* 3.1, 6.43: keys made of another key's bytes. */

/* ---- parameters ---------------------------------------------------------------------------- */

CK_RV combine_params_key(const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
                         struct mech_params *ret)
{
    (void)m;
    (void)key;
    READ_PARAM(CK_OBJECT_HANDLE, other, in);
    if (other == CK_INVALID_HANDLE)
        return CKR_MECHANISM_PARAM_INVALID;
    ret->derivation.other = other;
    return CKR_OK;
}

CK_RV combine_params_data(const struct mech *m, const CK_MECHANISM *in, const struct mech_key *key,
                          struct mech_params *ret)
{
    (void)m;
    (void)key;
    READ_PARAM(CK_KEY_DERIVATION_STRING_DATA, p, in);
    return params_append(p.pData, p.ulLen, &ret->derivation.data);
}

CK_RV combine_params_offset(const struct mech *m, const CK_MECHANISM *in,
                            const struct mech_key *key, struct mech_params *ret)
{
    (void)m;
    (void)key;
    READ_PARAM(CK_EXTRACT_PARAMS, first_bit, in);
    if (first_bit >= 8 * MECH_SECRET_MAX)
        return CKR_MECHANISM_PARAM_INVALID;
    ret->derivation.offset = first_bit;
    return CKR_OK;
}

/* ---- concatenation ------------------------------------------------------------------------- */

/* The first want bytes of both; all of them without want. A key of no bytes is none. data: which of
 * both is no key. */
static CK_RV concatenate(const struct mech_call *call, struct bytes a, struct bytes b,
                         const uint8_t *data, size_t want, struct secret *ret)
{
    size_t n, both = a.n + b.n;
    if (both == 0)
        return CKR_KEY_SIZE_RANGE;
    TRY(derive_length(want, both, both, &n));
    size_t of_a = n < a.n ? n : a.n;
    TRY(a.p == data ? CKR_OK : derive_enough(call, of_a, a.n));
    TRY(b.p == data ? CKR_OK : derive_enough(call, n - of_a, b.n));
    TRY(secret_new(ret, n));
    if (of_a)
        memcpy(ret->p, a.p, of_a);
    if (n > of_a)
        memcpy(ret->p + of_a, b.p, n - of_a);
    return CKR_OK;
}

CK_RV combine_base_key(const struct mech_call *call, size_t want, struct secret *ret)
{
    struct bytes base;
    TRY(derive_value(call, &base));
    return concatenate(call, base, call->other, NULL, want, ret);
}

CK_RV combine_base_data(const struct mech_call *call, size_t want, struct secret *ret)
{
    struct bytes base, data = buf_bytes(&call->params->derivation.data);
    TRY(derive_value(call, &base));
    return concatenate(call, base, data, data.p, want, ret);
}

CK_RV combine_data_base(const struct mech_call *call, size_t want, struct secret *ret)
{
    struct bytes base, data = buf_bytes(&call->params->derivation.data);
    TRY(derive_value(call, &base));
    return concatenate(call, data, base, data.p, want, ret);
}

/* ---- xor, extraction ----------------------------------------------------------------------- */

/* 6.43.6: the shorter of both gives the length. */
CK_RV combine_xor(const struct mech_call *call, size_t want, struct secret *ret)
{
    struct bytes base, data = buf_bytes(&call->params->derivation.data);
    TRY(derive_value(call, &base));
    size_t n, most = base.n < data.n ? base.n : data.n;
    if (most == 0)
        return CKR_KEY_SIZE_RANGE;
    TRY(derive_length(want, most, most, &n));
    TRY(derive_enough(call, n, base.n));
    TRY(secret_new(ret, n));
    for (size_t i = 0; i < n; i++)
        ret->p[i] = base.p[i] ^ data.p[i];
    return CKR_OK;
}

/* 6.43.7: bit 0 is the first byte's highest; after the last bit comes the first again. */
CK_RV combine_extract(const struct mech_call *call, size_t want, struct secret *ret)
{
    struct bytes base;
    size_t n, offset = call->params->derivation.offset;
    TRY(derive_value(call, &base));
    if (offset / 8 >= base.n)
        return CKR_MECHANISM_PARAM_INVALID;
    TRY(derive_length(want, 0, base.n, &n));
    TRY(derive_enough(call, n, base.n));
    TRY(secret_new(ret, n));
    for (size_t i = 0; i < n; i++) {
        unsigned high = base.p[(offset / 8 + i) % base.n];
        unsigned low = base.p[(offset / 8 + i + 1) % base.n];
        ret->p[i] = (uint8_t)((high << 8 | low) >> (8 - offset % 8));
    }
    return CKR_OK;
}
