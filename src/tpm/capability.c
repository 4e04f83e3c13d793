#include "internal.h"

#include <stdio.h>
#include <stdlib.h>

CK_RV get_capability(struct tpm *t, TPM2_CAP cap, uint32_t property, uint32_t count,
                     TPMS_CAPABILITY_DATA *ret)
{
    uint8_t more;
    COMMAND(c, GetCapability, .repeatable = true);
    PUT(&c, UINT32, cap);
    PUT(&c, UINT32, property);
    PUT(&c, UINT32, count);
    TRY(cmd_exec(t, &c, ERROR_TPM_ANY));
    GET(&c, UINT8, &more);
    GET(&c, TPMS_CAPABILITY_DATA, ret);
    c.bad |= ret->capability != cap;
    return cmd_parsed(&c);
}

/* ---- properties ---------------------------------------------------------------------------- */

static uint32_t property(const TPMS_CAPABILITY_DATA *data, uint32_t which)
{
    const TPML_TAGGED_TPM_PROPERTY *p = &data->data.tpmProperties;
    for (uint32_t i = 0; i < p->count && i < TPM2_MAX_TPM_PROPERTIES; i++)
        if (p->tpmProperty[i].property == which)
            return p->tpmProperty[i].value;
    return 0;
}

/* Four characters in a number, as TPM_PT_MANUFACTURER and the vendor strings have them. */
static void text(uint32_t v, char *ret)
{
    size_t n = 0;
    for (int shift = 24; shift >= 0; shift -= 8) {
        char ch = (char)(v >> shift);
        if (ch >= ' ' && ch <= '~')
            ret[n++] = ch;
    }
    ret[n] = '\0';
}

static CK_RV fixed_properties(struct tpm *t, TPMS_CAPABILITY_DATA *ret)
{
    return get_capability(t, TPM2_CAP_TPM_PROPERTIES, TPM2_PT_FIXED, 64, ret);
}

CK_RV tpm_get_lockout(struct tpm *t, struct tpm_lockout *ret)
{
    HOLD(t);
    TPMS_CAPABILITY_DATA data;
    TRY(get_capability(t, TPM2_CAP_TPM_PROPERTIES, TPM2_PT_VAR, 64, &data));
    uint32_t permanent = property(&data, TPM2_PT_PERMANENT);
    *ret = (struct tpm_lockout){
        .in_lockout = permanent & TPMA_PERMANENT_INLOCKOUT,
        .auth_set = permanent & TPMA_PERMANENT_LOCKOUTAUTHSET,
        .counter = property(&data, TPM2_PT_LOCKOUT_COUNTER),
        .max_tries = property(&data, TPM2_PT_MAX_AUTH_FAIL),
        .interval = property(&data, TPM2_PT_LOCKOUT_INTERVAL),
        .recovery = property(&data, TPM2_PT_LOCKOUT_RECOVERY),
    };
    return CKR_OK;
}

CK_RV tpm_get_identity(struct tpm *t, struct tpm_identity *ret)
{
    HOLD(t);
    TPMS_CAPABILITY_DATA data, var;
    struct tpm_identity id = {.managed = t->managed};
    TRY(fixed_properties(t, &data));
    TRY(get_capability(t, TPM2_CAP_TPM_PROPERTIES, TPM2_PT_VAR, 64, &var));
    snprintf(id.tcti, sizeof(id.tcti), "%s", t->tcti_name);
    text(property(&data, TPM2_PT_MANUFACTURER), id.manufacturer);
    for (uint32_t i = 0; i < 4; i++)
        text(property(&data, TPM2_PT_VENDOR_STRING_1 + i), id.vendor + strlen(id.vendor));
    uint32_t family = property(&data, TPM2_PT_FAMILY_INDICATOR);
    char name[5];
    text(family, name);
    uint32_t revision = property(&data, TPM2_PT_REVISION);
    snprintf(id.spec, sizeof(id.spec), "%s rev %u.%02u", name, revision / 100, revision % 100);
    id.firmware[0] = property(&data, TPM2_PT_FIRMWARE_VERSION_1);
    id.firmware[1] = property(&data, TPM2_PT_FIRMWARE_VERSION_2);
    /* what swtpm/libtpms, the Microsoft simulator and mssim call themselves */
    id.simulator = strncmp(id.vendor, "SW", 2) == 0 || strstr(id.vendor, "simulator") ||
                   strncmp(id.vendor, "xCG fTPM", 8) == 0;
    id.nv_indices = property(&var, TPM2_PT_HR_NV_INDEX);
    *ret = id;
    return CKR_OK;
}

/* ---- algorithms ---------------------------------------------------------------------------- */

static uint32_t hashes(const TPML_ALG_PROPERTY *algs)
{
    uint32_t bits = 0;
    for (uint32_t i = 0; i < algs->count && i < TPM2_MAX_CAP_ALGS; i++) {
        enum hash h = key_hash_of(algs->algProperties[i].alg);
        if (h != HASH_NONE)
            bits |= 1U << h;
    }
    return bits;
}

static uint32_t curves(const TPML_ECC_CURVE *list)
{
    uint32_t bits = 0;
    for (uint32_t i = 0; i < list->count && i < TPM2_MAX_ECC_CURVES; i++)
        for (unsigned c = CURVE_P224; c < CURVE_COUNT; c++)
            if (list->eccCurves[i] && list->eccCurves[i] == key_curve_id((enum curve)c))
                bits |= 1U << c;
    return bits;
}

enum { RSA_SIZES = 4, AES_SIZES = 3 }; /* 1024 to 4096 bits; 128 to 256 */

/* Which of n sizes the TPM takes: bit i is set when parms for the i-th are good. */
static CK_RV sizes(struct tpm *t, uint32_t n, void (*set)(TPMT_PUBLIC_PARMS *parms, uint32_t i),
                   uint32_t *ret)
{
    uint32_t bits = 0;
    for (uint32_t i = 0; i < n; i++) {
        TPMT_PUBLIC_PARMS parms = {0};
        set(&parms, i);
        COMMAND(c, TestParms, .repeatable = true);
        PUT(&c, TPMT_PUBLIC_PARMS, &parms);
        TRY(cmd_send(t, &c));
        if (c.rc == TPM2_RC_SUCCESS)
            bits |= 1U << i;
        else if (!(c.rc & TPM2_RC_FMT1)) /* not about the size: it must not be kept as "has none" */
            return error_tpm(ERROR_TPM_ANY, c.name, c.rc);
    }
    *ret = bits;
    return CKR_OK;
}

static void set_rsa(TPMT_PUBLIC_PARMS *parms, uint32_t i)
{
    parms->type = TPM2_ALG_RSA;
    parms->parameters.rsaDetail = (TPMS_RSA_PARMS){.symmetric.algorithm = TPM2_ALG_NULL,
                                                   .scheme.scheme = TPM2_ALG_NULL,
                                                   .keyBits = (uint16_t)(1024 * (i + 1))};
}

static void set_aes(TPMT_PUBLIC_PARMS *parms, uint32_t i)
{
    parms->type = TPM2_ALG_SYMCIPHER;
    parms->parameters.symDetail.sym = (TPMT_SYM_DEF_OBJECT){.algorithm = TPM2_ALG_AES,
                                                            .keyBits.aes = (uint16_t)(128 + 64 * i),
                                                            .mode.aes = TPM2_ALG_NULL};
}

CK_RV tpm_get_caps(struct tpm *t, struct tpm_caps *ret)
{
    HOLD(t);
    TPMS_CAPABILITY_DATA data;
    struct tpm_caps caps = {0};
    TRY(get_capability(t, TPM2_CAP_ALGS, TPM2_ALG_FIRST, TPM2_MAX_CAP_ALGS, &data));
    caps.hashes = hashes(&data.data.algorithms);
    TRY(get_capability(t, TPM2_CAP_ECC_CURVES, TPM2_ECC_NONE + 1, TPM2_MAX_ECC_CURVES, &data));
    caps.curves = curves(&data.data.eccCurves);
    TRY(sizes(t, RSA_SIZES, set_rsa, &caps.rsa_sizes));
    TRY(sizes(t, AES_SIZES, set_aes, &caps.aes_sizes));
    TRY(fixed_properties(t, &data));
    text(property(&data, TPM2_PT_MANUFACTURER), caps.manufacturer);
    caps.firmware[0] = property(&data, TPM2_PT_FIRMWARE_VERSION_1);
    caps.firmware[1] = property(&data, TPM2_PT_FIRMWARE_VERSION_2);
    *ret = caps;
    return CKR_OK;
}

/* Version byte, then the fields in order, big-endian. */
enum { CAPS_FORM = 2 };

CK_RV tpm_caps_pack(const struct tpm_caps *caps, struct buf *ret)
{
    TRY(buf_u8(ret, CAPS_FORM));
    TRY(buf_u32(ret, caps->rsa_sizes));
    TRY(buf_u32(ret, caps->aes_sizes));
    TRY(buf_u32(ret, caps->curves));
    TRY(buf_u32(ret, caps->hashes));
    TRY(buf_append(ret, caps->manufacturer, 4));
    TRY(buf_u32(ret, caps->firmware[0]));
    return buf_u32(ret, caps->firmware[1]);
}

bool tpm_caps_unpack(struct bytes packed, struct tpm_caps *ret)
{
    uint8_t version;
    struct bytes maker;
    struct tpm_caps caps = {0};
    if (!bytes_take_u8(&packed, &version) || version != CAPS_FORM ||
        !bytes_take_u32(&packed, &caps.rsa_sizes) || !bytes_take_u32(&packed, &caps.aes_sizes) ||
        !bytes_take_u32(&packed, &caps.curves) || !bytes_take_u32(&packed, &caps.hashes) ||
        !bytes_take(&packed, 4, &maker) || !bytes_take_u32(&packed, &caps.firmware[0]) ||
        !bytes_take_u32(&packed, &caps.firmware[1]) || packed.n)
        return false;
    memcpy(caps.manufacturer, maker.p, 4);
    caps.rsa_sizes &= (1U << RSA_SIZES) - 1;
    caps.aes_sizes &= (1U << AES_SIZES) - 1;
    caps.curves &= ((1U << CURVE_COUNT) - 1) & ~(1U << CURVE_NONE); /* whoever wrote it */
    *ret = caps;
    return true;
}

/* ---- random -------------------------------------------------------------------------------- */

CK_RV tpm_stir(struct tpm *t, struct bytes seed)
{
    HOLD(t);
    COMMAND(c, StirRandom, .repeatable = true);
    cmd_put_2b(&c, seed);
    return cmd_exec(t, &c, ERROR_TPM_ANY);
}

/* What the TPM sends crosses the bus in clear: mixed with our own generator's, neither somebody on
 * the bus nor a weak one of the two knows the result. */
static CK_RV mix(uint8_t *ret, struct bytes some)
{
    TRY(soft_random(ret, some.n));
    for (size_t i = 0; i < some.n; i++)
        ret[i] ^= some.p[i];
    return CKR_OK;
}

CK_RV tpm_random(struct tpm *t, uint8_t *ret, size_t n)
{
    HOLD(t);
    while (n) {
        uint16_t want = n > 32 ? 32 : (uint16_t)n;
        COMMAND(c, GetRandom, .repeatable = true);
        PUT(&c, UINT16, want);
        TRY(cmd_exec(t, &c, ERROR_TPM_ANY));
        struct bytes some = cmd_get_2b(&c);
        if (c.bad || some.n == 0 || some.n > want)
            return error_log(CKR_DEVICE_ERROR, "TPM2_GetRandom answered nonsense");
        TRY(mix(ret, some));
        ret += some.n;
        n -= some.n;
    }
    return CKR_OK;
}

/* ---- dictionary attack --------------------------------------------------------------------- */

static CK_RV code_auth(struct bytes code, uint8_t *room32, struct bytes *ret)
{
    *ret = NO_BYTES;
    if (!code.n)
        return CKR_OK;
    TRY(soft_hash(HASH_SHA256, &code, 1, room32));
    *ret = BYTES(room32, 32);
    return CKR_OK;
}

/* A command under the lockout authorization, in a session salted to parent. */
static CK_RV with_lockout(struct tpm *t, const struct tpm_parent *parent, struct cmd *c,
                          struct bytes auth, struct bytes new_auth, bool encrypt)
{
    CLEANUP(session_wipe) struct session s = {0};
    TRY(session_start(t, parent, TPM2_SE_HMAC, &s));
    TRY(session_prove(t, parent, &s));
    c->handles = c->auth_handles = c->auths = 1;
    c->handle[0].handle = TPM2_RH_LOCKOUT;
    c->auth[0] = (struct cmd_auth){.session = &s, .value = auth, .new_value = new_auth};
    c->encrypt_in = encrypt ? &s : NULL;
    CK_RV rv = cmd_exec(t, c, ERROR_TPM_LOCKOUT);
    if (s.handle)
        session_end(t, &s);
    return rv;
}

static CK_RV lockout_reset(struct tpm *t, const struct tpm_parent *parent, struct bytes auth)
{
    COMMAND(c, DictionaryAttackLockReset);
    return with_lockout(t, parent, &c, auth, NO_BYTES, false);
}

static CK_RV lockout_parameters(struct tpm *t, const struct tpm_parent *parent, struct bytes auth,
                                uint32_t tries, uint32_t interval, uint32_t recovery)
{
    COMMAND(c, DictionaryAttackParameters);
    PUT(&c, UINT32, tries);
    PUT(&c, UINT32, interval);
    PUT(&c, UINT32, recovery);
    return with_lockout(t, parent, &c, auth, NO_BYTES, false);
}

static CK_RV lockout_set_auth(struct tpm *t, const struct tpm_parent *parent, struct bytes auth,
                              struct bytes new_auth)
{
    COMMAND(c, HierarchyChangeAuth);
    cmd_put_2b(&c, new_auth);
    return with_lockout(t, parent, &c, auth, new_auth, true);
}

CK_RV tpm_harden(struct tpm *t, struct bytes old_code, struct bytes new_code, uint32_t max_tries,
                 uint32_t interval, uint32_t recovery)
{
    CLEANUP(tpm_parent_free) struct tpm_parent_owned own = {0};
    TRY(tpm_find_parent(t, &own));
    const struct tpm_parent parent = {own.handle, buf_bytes(&own.name), buf_bytes(&own.pub)};
    uint8_t old_room[32], new_room[32];
    struct bytes old_auth, new_auth;
    TRY(code_auth(old_code, old_room, &old_auth));
    TRY(code_auth(new_code, new_room, &new_auth));
    HOLD(t);
    CK_RV rv = lockout_set_auth(t, &parent, old_auth, new_auth);
    if (rv == CKR_OK)
        rv = lockout_reset(t, &parent, new_auth); /* proves the new one by using it */
    if (rv == CKR_OK)
        rv = lockout_parameters(t, &parent, new_auth, max_tries, interval, recovery);
    secret_wipe(old_room, sizeof(old_room));
    secret_wipe(new_room, sizeof(new_room));
    return rv;
}

CK_RV tpm_unlock(struct tpm *t, struct bytes code)
{
    CLEANUP(tpm_parent_free) struct tpm_parent_owned own = {0};
    TRY(tpm_find_parent(t, &own));
    const struct tpm_parent parent = {own.handle, buf_bytes(&own.name), buf_bytes(&own.pub)};
    uint8_t room[32];
    struct bytes auth;
    TRY(code_auth(code, room, &auth));
    HOLD(t);
    CK_RV rv = lockout_reset(t, &parent, auth);
    secret_wipe(room, sizeof(room));
    return rv;
}
