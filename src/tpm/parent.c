#include "internal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

/* TCG TPM v2.0 Provisioning Guidance, 7.5.1: the RSA and the ECC storage root key */
#define SRK     UINT32_C(0x81000001)
#define SRK_ECC UINT32_C(0x81000002)

void tpm_parent_free(struct tpm_parent_owned *p)
{
    buf_free(&p->name);
    buf_free(&p->pub);
}

bool public_parse(struct bytes pub, TPM2B_PUBLIC *ret)
{
    size_t at = 0;
    memset(ret, 0, sizeof(*ret));
    return Tss2_MU_TPM2B_PUBLIC_Unmarshal(pub.p, pub.n, &at, ret) == TSS2_RC_SUCCESS && at == pub.n;
}

CK_RV public_name(struct bytes pub, uint8_t *ret, size_t *ret_n)
{
    /* TPM2B size, type, nameAlg */
    bool whole = pub.n >= 6 && (size_t)(pub.p[0] << 8 | pub.p[1]) + 2 == pub.n;
    enum hash h = whole ? key_hash_of((unsigned)(pub.p[4] << 8 | pub.p[5])) : HASH_NONE;
    if (h != HASH_NONE) {
        struct bytes area = BYTES(pub.p + 2, pub.n - 2);
        ret[0] = pub.p[4];
        ret[1] = pub.p[5];
        *ret_n = 2 + hash_size(h);
        return soft_hash(h, &area, 1, ret + 2);
    }
    return error_log(CKR_DEVICE_ERROR, "a key's public area in the store cannot be read");
}

static CK_RV read_owner_auth(const char *path, struct secret *ret)
{
    CLEANUP(secret_free) struct secret room = {0};
    TRY(secret_new(&room, TPM_AUTH + 2));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, room.p, room.n);
    if (fd >= 0)
        close(fd);
    if (n > 0 && room.p[n - 1] == '\n')
        n--;
    if (n < 0 || n > TPM_AUTH)
        return error_log(CKR_DEVICE_ERROR,
                         "owner-auth-file %s cannot be read, or holds more than %d bytes", path,
                         TPM_AUTH);
    return secret_copy(ret, BYTES(room.p, n));
}

CK_RV owner_auth(struct tpm *t, struct bytes *ret)
{
    if (!t->owner_auth_read && t->config->owner_auth_file)
        TRY(read_owner_auth(t->config->owner_auth_file, &t->owner_auth));
    t->owner_auth_read = true;
    *ret = secret_bytes(&t->owner_auth);
    return CKR_OK;
}

/* ---- the transient primary ----------------------------------------------------------------- */

/* Primaries that are made anew whenever they are needed: the same seed gives the same key each
 * time. Their number stands where a persistent parent has its handle. A published row is never
 * changed. */
static const struct {
    TPMI_ALG_PUBLIC type;
    bool no_da;
    uint16_t unique; /* zeros in each part of the template's unique field */
    uint32_t file;   /* as a TSS2 PRIVATE KEY names it for everybody; 0: it has no such name */
} primaries[] = {
    {TPM2_ALG_ECC, true, 32, 0}, /* latchkey's own: the TCG's ECC P-256 SRK */
    /* parent of TSS2 PRIVATE KEY files that name a hierarchy (ASN.1 Specification for TPM 2.0 Key
     * Files, 3.1.8), and of tpm2-pkcs11's "tss2-engine-key" */
    {TPM2_ALG_ECC, true, 0, TPM2_RH_OWNER},
    {TPM2_ALG_RSA, true, 0, 0},  /* meant so where the TPM has no ECC, tried nowhere else */
    {TPM2_ALG_RSA, false, 0, 0}, /* tpm2_createprimary without options */
    {TPM2_ALG_ECC, false, 0, 0}, /* tpm2_createprimary -G ecc */
};

size_t parent_primaries(void)
{
    return sizeof(primaries) / sizeof(*primaries);
}

bool parent_is_primary(TPM2_HANDLE handle)
{
    return handle < parent_primaries();
}

bool tpm_parent_in_file(uint32_t handle, uint32_t *ret)
{
    *ret = parent_is_primary(handle) ? primaries[handle].file : handle;
    return *ret != 0;
}

static void primary_rsa(TPMT_PUBLIC *ret)
{
    ret->parameters.rsaDetail = (TPMS_RSA_PARMS){
        .symmetric = {.algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB},
        .scheme.scheme = TPM2_ALG_NULL,
        .keyBits = 2048};
}

static void primary_ecc(TPMT_PUBLIC *ret, uint16_t unique)
{
    ret->parameters.eccDetail = (TPMS_ECC_PARMS){
        .symmetric = {.algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB},
        .scheme.scheme = TPM2_ALG_NULL,
        .curveID = TPM2_ECC_NIST_P256,
        .kdf.scheme = TPM2_ALG_NULL};
    ret->unique.ecc.x.size = ret->unique.ecc.y.size = unique;
}

static CK_RV primary_template(TPM2_HANDLE number, TPM2B_PUBLIC *ret)
{
    if (number >= parent_primaries())
        return error_log(CKR_DEVICE_ERROR, "a key's parent in the store is none that is known: %u",
                         number);
    *ret = (TPM2B_PUBLIC){
        .publicArea = {.type = primaries[number].type,
                       .nameAlg = TPM2_ALG_SHA256,
                       .objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                                           TPMA_OBJECT_SENSITIVEDATAORIGIN |
                                           TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_RESTRICTED |
                                           TPMA_OBJECT_DECRYPT |
                                           (primaries[number].no_da ? TPMA_OBJECT_NODA : 0)}};
    if (primaries[number].type == TPM2_ALG_RSA)
        primary_rsa(&ret->publicArea);
    else
        primary_ecc(&ret->publicArea, primaries[number].unique);
    return CKR_OK;
}

static bool is_storage_key(const struct tpm_parent_owned *p);
static CK_RV look_for_parent(struct tpm *t, struct tpm_parent_owned *p, TPM2_HANDLE *ret_free);

CK_RV owner_session(struct tpm *t, struct session *s, struct cmd_auth *ret)
{
    TRY(owner_auth(t, &ret->value));
    if (!ret->value.n)
        return CKR_OK; /* an empty one needs no hiding */
    CLEANUP(tpm_parent_free) struct tpm_parent_owned srk = {0};
    TRY(look_for_parent(t, &srk, &(TPM2_HANDLE){0}));
    const struct tpm_parent parent = {srk.handle, buf_bytes(&srk.name), buf_bytes(&srk.pub)};
    TRY(session_start(t, is_storage_key(&srk) ? &parent : NULL, TPM2_SE_HMAC, s));
    ret->session = s;
    return CKR_OK;
}

/* expected: its Name, empty while it is not known. */
static CK_RV create_primary(struct tpm *t, TPM2_HANDLE number, struct bytes expected,
                            TPM2_HANDLE *ret, struct tpm_parent_owned *ret_parent)
{
    static const TPM2B_SENSITIVE_CREATE empty = {0};
    static const TPML_PCR_SELECTION no_pcrs = {0};
    TPM2B_PUBLIC template;
    CLEANUP(session_wipe) struct session s = {0};
    COMMAND(c, CreatePrimary, .handles = 1, .auth_handles = 1, .auths = 1, .makes_handle = true);
    c.handle[0].handle = TPM2_RH_OWNER;
    TRY(owner_session(t, &s, &c.auth[0]));
    TRY(primary_template(number, &template));
    PUT(&c, TPM2B_SENSITIVE_CREATE, &empty);
    PUT(&c, TPM2B_PUBLIC, &template);
    cmd_put_2b(&c, NO_BYTES);
    PUT(&c, TPML_PCR_SELECTION, &no_pcrs);
    handle_pending(t, PENDING_OBJECT, expected);
    CK_RV rv = cmd_send(t, &c); /* a lost answer stays pending */
    if (rv == CKR_OK && c.rc == TPM2_RC_SUCCESS)
        extra_add(t, c.made);
    else if (rv == CKR_OK)
        handle_pending(t, PENDING_NONE, NO_BYTES);
    if (rv == CKR_OK)
        rv = error_tpm(ERROR_TPM_OWNER, c.name, c.rc);
    if (s.handle)
        session_end(t, &s);
    TRY(rv);
    *ret = c.made;
    if (!ret_parent)
        return CKR_OK;
    struct bytes area = cmd_get_2b(&c);
    uint8_t name[NAME_MAX_SIZE];
    size_t name_n = 0;
    TRY(cmd_parsed(&c));
    TRY(append_2b(&ret_parent->pub, area));
    TRY(public_name(buf_bytes(&ret_parent->pub), name, &name_n));
    return buf_append(&ret_parent->name, name, name_n);
}

CK_RV make_primary(struct tpm *t, TPM2_HANDLE number, TPM2_HANDLE *ret,
                   struct tpm_parent_owned *ret_parent)
{
    residents_yield(t);
    ret_parent->handle = number;
    return create_primary(t, number, NO_BYTES, ret, ret_parent);
}

CK_RV parent_handle(struct tpm *t, const struct tpm_parent *parent, TPM2_HANDLE *ret)
{
    if (!parent_is_primary(parent->handle)) {
        *ret = parent->handle;
        return CKR_OK;
    }
    if (t->primary && t->primary_number == parent->handle) {
        *ret = t->primary;
        return CKR_OK;
    }
    if (t->primary)
        extra_flush(t, t->primary);
    CLEANUP(tpm_parent_free) struct tpm_parent_owned made = {0};
    residents_yield(t);
    TRY(create_primary(t, parent->handle, parent->name, ret, &made));
    if (!bytes_equal(buf_bytes(&made.name), parent->name))
        return error_log(CKR_TOKEN_NOT_RECOGNIZED,
                         "this TPM makes another primary key than the store's token was made with: "
                         "it was cleared, or the store belongs to another machine");
    t->primary = *ret;
    t->primary_number = parent->handle;
    return CKR_OK;
}

/* ---- the persistent one -------------------------------------------------------------------- */

/* c stays the caller's, so that the public area can be read out of it. */
static CK_RV read_public(struct tpm *t, struct cmd *c, TPM2_HANDLE handle, struct bytes *ret_area)
{
    c->handle[0].handle = handle;
    TRY(cmd_send(t, c));
    if (c->rc == TPM2_RC_SUCCESS) {
        *ret_area = cmd_get_2b(c);
        return cmd_parsed(c);
    }
    return rc_plain(c->rc) == TPM2_RC_HANDLE ? CKR_OK : error_tpm(ERROR_TPM_ANY, c->name, c->rc);
}

static bool is_storage_key(const struct tpm_parent_owned *owned)
{
    TPM2B_PUBLIC pub;
    const TPMT_PUBLIC *p = &pub.publicArea;
    if (!owned->handle || !public_parse(buf_bytes(&owned->pub), &pub))
        return false;
    const TPMA_OBJECT want = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                             TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_RESTRICTED |
                             TPMA_OBJECT_DECRYPT | TPMA_OBJECT_NODA;
    return (p->objectAttributes & want) == want &&
           !(p->objectAttributes & TPMA_OBJECT_SIGN_ENCRYPT) &&
           (p->nameAlg == TPM2_ALG_SHA256 || p->nameAlg == TPM2_ALG_SHA384) &&
           (p->type == TPM2_ALG_RSA ||
            (p->type == TPM2_ALG_ECC && (p->parameters.eccDetail.curveID == TPM2_ECC_NIST_P256 ||
                                         p->parameters.eccDetail.curveID == TPM2_ECC_NIST_P384)));
}

CK_RV read_parent(struct tpm *t, TPM2_HANDLE handle, struct tpm_parent_owned *ret)
{
    COMMAND(c, ReadPublic, .handles = 1, .repeatable = true);
    struct bytes area = NO_BYTES;
    uint8_t name[NAME_MAX_SIZE];
    size_t name_n;
    TRY(read_public(t, &c, handle, &area));
    if (!area.n)
        return CKR_OK;
    ret->handle = handle;
    TRY(append_2b(&ret->pub, area));
    TRY(public_name(buf_bytes(&ret->pub), name, &name_n));
    return buf_append(&ret->name, name, name_n);
}

static CK_RV make_persistent(struct tpm *t, TPM2_HANDLE object, TPM2_HANDLE at,
                             const struct tpm_parent_owned *p)
{
    CLEANUP(session_wipe) struct session s = {0};
    const struct tpm_parent self = {
        .handle = object, .pub = buf_bytes(&p->pub), .name = buf_bytes(&p->name)};
    COMMAND(c, EvictControl, .handles = 2, .auth_handles = 1, .auths = 1);
    c.handle[0].handle = TPM2_RH_OWNER;
    c.handle[1] = (struct cmd_handle){object, buf_bytes(&p->name)};
    TRY(owner_auth(t, &c.auth[0].value));
    if (c.auth[0].value.n) {
        TRY(session_start(t, &self, TPM2_SE_HMAC, &s));
        c.auth[0].session = &s;
    }
    PUT(&c, UINT32, at);
    CK_RV rv = cmd_exec(t, &c, ERROR_TPM_OWNER);
    if (s.handle)
        session_end(t, &s);
    return rv;
}

CK_RV parent_pinned(const struct tpm *t, struct bytes name)
{
    char hex[2 * NAME_MAX_SIZE + 1];
    if (!t->config->srk_name)
        return CKR_OK;
    bytes_hex(name, hex);
    return strcasecmp(hex, t->config->srk_name) == 0
               ? CKR_OK
               : error_log(CKR_DEVICE_ERROR,
                           "the TPM's storage root key is %s, the config's srk-name says another: "
                           "another TPM, or somebody between this machine and its TPM",
                           hex);
}

/* tpm2-tools' RSA key at the first place counts tries and would be out of use in a lockout: the
 * second is the ECC key's. ret_free: the first place where nothing is. */
static CK_RV look_for_parent(struct tpm *t, struct tpm_parent_owned *p, TPM2_HANDLE *ret_free)
{
    static const TPM2_HANDLE places[] = {SRK, SRK_ECC};
    for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
        TRY(read_parent(t, places[i], p));
        if (is_storage_key(p))
            return CKR_OK;
        if (!p->handle) {
            *ret_free = places[i];
            return CKR_OK;
        }
        tpm_parent_free(p);
        *p = (struct tpm_parent_owned){0};
    }
    return CKR_OK;
}

static CK_RV find_parent(struct tpm *t, struct tpm_parent_owned *p)
{
    TPM2_HANDLE primary, place = 0;
    TRY(look_for_parent(t, p, &place));
    if (p->handle)
        return CKR_OK;
    residents_flush(t); /* a primary needs a slot of its own */
    TRY(create_primary(t, 0, NO_BYTES, &primary, p));
    if (place && make_persistent(t, primary, place, p) == CKR_OK)
        p->handle = place;
    else
        log_warn("no storage root key can be kept at 0x%x (%s): the primary key is made anew at "
                 "each use, which is slow",
                 SRK, place ? "the TPM refused" : "another key is there, and at the next");
    extra_flush(t, primary);
    return CKR_OK;
}

CK_RV tpm_find_parent(struct tpm *t, struct tpm_parent_owned *ret)
{
    HOLD(t);
    struct tpm_parent_owned p = {0};
    CK_RV rv = find_parent(t, &p);
    if (rv == CKR_OK)
        rv = parent_pinned(t, buf_bytes(&p.name));
    if (rv != CKR_OK) {
        tpm_parent_free(&p);
        return rv;
    }
    *ret = p;
    return CKR_OK;
}

CK_RV tpm_read_srk(struct tpm *t, struct tpm_parent_owned *ret)
{
    HOLD(t);
    struct tpm_parent_owned p = {0};
    CK_RV rv = read_parent(t, SRK, &p);
    if (rv != CKR_OK)
        tpm_parent_free(&p);
    else
        *ret = p;
    return rv;
}

CK_RV tpm_check_parent(struct tpm *t, const struct tpm_parent *parent)
{
    HOLD(t);
    TRY(parent_pinned(t, parent->name));
    if (parent_is_primary(parent->handle)) {
        TPM2_HANDLE primary;
        return parent_handle(t, parent, &primary); /* flushed when the hold ends */
    }
    CLEANUP(tpm_parent_free) struct tpm_parent_owned now = {0};
    TRY(read_parent(t, parent->handle, &now));
    return bytes_equal(buf_bytes(&now.name), parent->name) ? CKR_OK : CKR_TOKEN_NOT_RECOGNIZED;
}
