/* Whatever a TPM answers, to whatever it is asked: no crash, and an end. The input is first what is
 * called, perhaps the lock file that others left, then the answers. The linker puts the functions
 * below in the place of the originals: the HMAC of an answer is always right, as it is for a TPM
 * that knows the authorization; nothing is encrypted, so that the input says what the layer reads;
 * and time passes without waiting. */
#include "fuzz.h"

#include <time.h>
#include <unistd.h>
#include <tss2/tss2_tctildr.h>
#include <tpm/internal.h>

bool __wrap_secret_equal(struct bytes a, struct bytes b);
CK_RV __wrap_soft_aes_cfb(bool encrypt, const uint8_t *key16, const uint8_t *iv16, uint8_t *p,
                          size_t n);
int __wrap_nanosleep(const struct timespec *wanted, struct timespec *rest);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret);
int __real_clock_gettime(clockid_t clock, struct timespec *ret);

bool __wrap_secret_equal(struct bytes a, struct bytes b)
{
    return a.n == b.n;
}

CK_RV __wrap_soft_aes_cfb(bool encrypt, const uint8_t *key16, const uint8_t *iv16, uint8_t *p,
                          size_t n)
{
    (void)encrypt, (void)key16, (void)iv16, (void)p, (void)n;
    return CKR_OK;
}

static time_t slept;

int __wrap_nanosleep(const struct timespec *wanted, struct timespec *rest)
{
    (void)wanted, (void)rest;
    slept++; /* a whole second each */
    return 0;
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret)
{
    int done = __real_clock_gettime(clock, ret);
    ret->tv_sec += slept;
    return done;
}

/* ---- the TPM ------------------------------------------------------------------------------- */

enum { PATIENCE = 2000 }; /* commands in all that one input may bring about */

static struct {
    struct bytes answers;
    uint32_t code;
    bool sessions;
    unsigned commands;
    uint8_t name[NAME_MAX_SIZE]; /* of the key that is in use */
    size_t name_n;
} fake;

static uint32_t number(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static TSS2_RC transmit(TSS2_TCTI_CONTEXT *context, size_t n, const uint8_t *command)
{
    (void)context;
    CHECK(n >= 10 && number(command + 2) == n && ++fake.commands < PATIENCE);
    fake.sessions = command[1] == 2;
    fake.code = number(command + 6);
    return fake.answers.n ? TSS2_RC_SUCCESS : TSS2_TCTI_RC_IO_ERROR;
}

static bool makes_handle(uint32_t code)
{
    static const uint32_t codes[] = {TPM2_CC_Load,        TPM2_CC_CreatePrimary,
                                     TPM2_CC_ContextLoad, TPM2_CC_StartAuthSession,
                                     TPM2_CC_HMAC_Start,  TPM2_CC_LoadExternal};
    for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++)
        if (codes[i] == code)
            return true;
    return false;
}

/* What an honest TPM would say where the layer looks closely. */
static void honest(struct buf *params)
{
    if (fake.code == TPM2_CC_StartAuthSession) {
        buf_u16(params, NONCE);
        buf_append(params, "0123456789abcdef", NONCE);
    } else if (fake.code == TPM2_CC_Load) {
        buf_u16(params, (uint16_t)fake.name_n);
        buf_append(params, fake.name, fake.name_n);
    }
}

/* Header, handle and session area around parameters. */
static void wrap(uint32_t handle, struct bytes params, uint8_t attributes, struct buf *ret)
{
    static const uint8_t hmac[32];
    buf_u16(ret, fake.sessions ? TPM2_ST_SESSIONS : TPM2_ST_NO_SESSIONS);
    buf_u32(ret, 0);
    buf_u32(ret, TPM2_RC_SUCCESS);
    if (makes_handle(fake.code))
        buf_u32(ret, handle);
    if (fake.sessions)
        buf_u32(ret, (uint32_t)params.n);
    buf_bytes_append(ret, params);
    for (int i = 0; fake.sessions && i < 2; i++) { /* what is too much is not read */
        buf_u16(ret, NONCE);
        buf_append(ret, "fedcba9876543210", NONCE);
        buf_u8(ret, attributes);
        buf_u16(ret, sizeof(hmac));
        buf_append(ret, hmac, sizeof(hmac));
    }
    for (int i = 0; i < 4; i++)
        ret->p[2 + i] = (uint8_t)(ret->n >> (24 - 8 * i));
}

static struct bytes long_slice(struct bytes *in)
{
    struct bytes ret = NO_BYTES;
    uint16_t n = 0;
    bytes_take_u16(in, &n);
    bytes_take(in, n < in->n ? n : in->n, &ret);
    return ret;
}

static void answer(struct buf *ret)
{
    CLEANUP(buf_free) struct buf params = {0};
    struct bytes *in = &fake.answers;
    uint8_t kind = next_u8(in);
    uint32_t n = 0;
    switch (kind & 3) {
    case 0: /* an error */
        bytes_take_u32(in, &n);
        buf_u16(ret, TPM2_ST_NO_SESSIONS);
        buf_u32(ret, 10);
        buf_u32(ret, n);
        break;
    case 1: /* not even an answer */
        buf_bytes_append(ret, long_slice(in));
        break;
    default: /* parameters; the kind's bits are the attributes of the session, and the handle's */
        buf_bytes_append(&params, long_slice(in));
        if (!params.n)
            honest(&params);
        n = fake.code == TPM2_CC_StartAuthSession ? 0x02000000 : 0x80000000;
        wrap(n | kind >> 4, buf_bytes(&params), (kind & 8) == 0, ret);
    }
}

static TSS2_RC receive(TSS2_TCTI_CONTEXT *context, size_t *n, uint8_t *response, int32_t timeout)
{
    (void)context, (void)timeout;
    CLEANUP(buf_free) struct buf out = {0};
    answer(&out);
    if (out.n > *n)
        return TSS2_TCTI_RC_INSUFFICIENT_BUFFER;
    if (out.n)
        memcpy(response, out.p, out.n);
    *n = out.n;
    return TSS2_RC_SUCCESS;
}

static void finalize(TSS2_TCTI_CONTEXT *context)
{
    (void)context;
}

TSS2_RC Tss2_TctiLdr_Initialize(const char *name, TSS2_TCTI_CONTEXT **ret)
{
    static TSS2_TCTI_CONTEXT_COMMON_V2 context = {.v1 = {.magic = 1,
                                                         .version = 2,
                                                         .transmit = transmit,
                                                         .receive = receive,
                                                         .finalize = finalize}};
    (void)name;
    *ret = (TSS2_TCTI_CONTEXT *)&context;
    return TSS2_RC_SUCCESS;
}

void Tss2_TctiLdr_Finalize(TSS2_TCTI_CONTEXT **context)
{
    *context = NULL;
}

/* ---- what is asked of it ------------------------------------------------------------------- */

static uint8_t auth[TPM_AUTH] = "an authorization";
static struct buf parent_pub, ec_pub, aes_pub;
static uint8_t parent_name[NAME_MAX_SIZE];
static struct tpm_parent parent;
static const uint8_t priv[] = {0, 4, 1, 2, 3, 4};

static struct tpm_key key_of(const struct buf *pub)
{
    CHECK(public_name(buf_bytes(pub), fake.name, &fake.name_n) == CKR_OK);
    return (struct tpm_key){parent, buf_bytes(pub), BYTES_OF(priv), BYTES_OF(auth)};
}

static void tell(struct tpm *t, uint8_t which)
{
    CLEANUP(tpm_parent_free) struct tpm_parent_owned found = {0};
    struct tpm_caps caps;
    struct tpm_lockout lockout;
    struct tpm_identity identity;
    uint32_t *list = NULL, nv;
    uint8_t random[40];
    size_t n = 0;
    switch (which) {
    case 0:
        tpm_get_caps(t, &caps);
        break;
    case 1:
        tpm_get_lockout(t, &lockout);
        break;
    case 2:
        tpm_get_identity(t, &identity);
        break;
    case 3:
        tpm_find_parent(t, &found);
        break;
    case 4:
        tpm_read_srk(t, &found);
        break;
    case 5:
        tpm_check_parent(t, &parent);
        break;
    case 6:
        tpm_nv_pick(t, &nv);
        break;
    case 7:
        if (tpm_nv_list(t, &list, &n) == CKR_OK)
            for (size_t i = 0; i < n; i++)
                CHECK(list[i] >= 0x01800000 && list[i] <= 0x01BFFFFF);
        free(list);
        break;
    case 8:
        tpm_random(t, random, sizeof(random));
        break;
    default:
        tpm_stir(t, BYTES_OF(auth));
    }
}

static void seat(struct tpm *t, uint8_t which)
{
    static const uint8_t seed[48] = {1}, name[34] = {0, 0x0B};
    CLEANUP(tpm_seat_free) struct tpm_seat_owned made = {0};
    CLEANUP(secret_free) struct secret secret = {0};
    const struct tpm_seat nv = {.nv = 0x01800001, .name = BYTES_OF(name)};
    const struct tpm_seat sealed = {.pub = buf_bytes(&ec_pub), .priv = BYTES_OF(priv)};
    switch (which) {
    case 0:
        tpm_seat_define(t, &parent, nv.nv, false, BYTES_OF(auth), BYTES(seed, 32), BYTES_OF(seed),
                        &made);
        break;
    case 1:
        tpm_seat_seal(t, &parent, false, BYTES_OF(auth), BYTES(seed, 32), &made);
        break;
    case 2:
        tpm_seat_open(t, &parent, &nv, BYTES_OF(auth), &secret);
        break;
    case 3:
        key_of(&ec_pub);
        tpm_seat_open(t, &parent, &sealed, BYTES_OF(auth), &secret);
        break;
    case 4:
        tpm_seat_change(t, &parent, &nv, BYTES_OF(auth), BYTES_OF(seed), BYTES_OF(auth));
        break;
    case 5:
        tpm_seat_reset(t, &parent, &nv, BYTES_OF(seed), BYTES_OF(auth));
        break;
    case 6:
        tpm_nv_undefine(t, nv.nv, nv.name);
        break;
    case 7:
        tpm_unlock(t, BYTES_OF(auth));
        break;
    default:
        tpm_harden(t, NO_BYTES, BYTES_OF(auth), 10, 10, 10);
    }
}

static void make(struct tpm *t, uint8_t which)
{
    CLEANUP(tpm_key_made_free) struct tpm_key_made made = {0};
    CLEANUP(buf_free) struct buf fresh = {0};
    const struct tpm_key key = key_of(&ec_pub);
    uint8_t point[65] = {4, 1, 2}, modulus[128] = {0x80, [127] = 1}, prime[64] = {0x80, [63] = 1};
    switch (which) {
    case 0:
        tpm_make_ec(t, &parent, BYTES_OF(auth), CURVE_P256, &made);
        break;
    case 1:
        tpm_make_rsa(t, &parent, BYTES_OF(auth), 2048, 0, &made);
        break;
    case 2:
        tpm_make_aes(t, &parent, BYTES_OF(auth), 128, NO_BYTES, &made);
        break;
    case 3:
        tpm_make_hmac(t, &parent, BYTES_OF(auth), BYTES_OF(auth), &made);
        break;
    case 4:
        tpm_import_ec(t, &parent, BYTES_OF(auth), CURVE_P256, BYTES_OF(point), BYTES_OF(auth),
                      &made);
        break;
    case 5:
        tpm_import_rsa(t, &parent, BYTES_OF(auth), BYTES_OF(modulus), 65537, BYTES_OF(prime),
                       &made);
        break;
    default:
        tpm_rekey(t, &key, BYTES_OF(auth), &fresh);
    }
}

/* Outputs are exactly as long as the header says. */
static void use(struct tpm *t, uint8_t which)
{
    CLEANUP(secret_free) struct secret out = {0};
    uint8_t peer[65] = {4, 1}, digest[32] = {1}, signature[64], iv[16] = {0}, mac[32];
    static uint8_t text[2100];
    const struct tpm_key key = key_of(which < 4 ? &ec_pub : &aes_pub);
    switch (which) {
    case 0:
        tpm_ecdsa(t, &key, CURVE_P256, BYTES_OF(digest), signature);
        break;
    case 1:
        tpm_ecdh(t, &key, CURVE_P256, BYTES_OF(peer), &out);
        break;
    case 2:
        if (tpm_rsa_private(t, &key, BYTES_OF(text), &out) == CKR_OK)
            CHECK(out.n == sizeof(text));
        break;
    case 3:
        tpm_key_drop(t, key.pub);
        break;
    case 4:
        tpm_hmac(t, &key, HASH_SHA256, BYTES(text, 100), mac);
        break;
    case 5:
        tpm_hmac(t, &key, HASH_SHA256, BYTES_OF(text), mac);
        break;
    default:
        tpm_aes(t, &key, which & 1 ? TPM_CBC : TPM_CTR, true, iv, text, text, 2080);
    }
}

static void make_public(TPMT_PUBLIC area, struct buf *ret)
{
    TPM2B_PUBLIC pub = {.publicArea = area};
    uint8_t room[512];
    size_t n = 0;
    CHECK(Tss2_MU_TPM2B_PUBLIC_Marshal(&pub, room, sizeof(room), &n) == TSS2_RC_SUCCESS);
    CHECK(buf_append(ret, room, n) == CKR_OK);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const uint8_t seed[48] = {7};
    uint8_t point[65];
    size_t name_n;
    (void)argc, (void)argv;
    log_setup(LOG_ERROR, "/dev/null");
    scratch_make();
    CHECK(soft_start() == CKR_OK);
    CHECK(soft_p256_public_from_seed(BYTES_OF(seed), point) == CKR_OK);
    TPMT_PUBLIC area = {.type = TPM2_ALG_ECC,
                        .nameAlg = TPM2_ALG_SHA256,
                        .parameters.eccDetail = {.symmetric = {.algorithm = TPM2_ALG_AES,
                                                               .keyBits.aes = 128,
                                                               .mode.aes = TPM2_ALG_CFB},
                                                 .scheme.scheme = TPM2_ALG_NULL,
                                                 .curveID = TPM2_ECC_NIST_P256,
                                                 .kdf.scheme = TPM2_ALG_NULL},
                        .unique.ecc = {.x.size = 32, .y.size = 32}};
    memcpy(area.unique.ecc.x.buffer, point + 1, 32);
    memcpy(area.unique.ecc.y.buffer, point + 33, 32);
    make_public(area, &parent_pub);
    area.parameters.eccDetail.symmetric.algorithm = TPM2_ALG_NULL;
    make_public(area, &ec_pub);
    make_public((TPMT_PUBLIC){.type = TPM2_ALG_SYMCIPHER,
                              .nameAlg = TPM2_ALG_SHA256,
                              .parameters.symDetail.sym = {.algorithm = TPM2_ALG_AES,
                                                           .keyBits.aes = 128,
                                                           .mode.aes = TPM2_ALG_NULL},
                              .unique.sym.size = 32},
                &aes_pub);
    CHECK(public_name(buf_bytes(&parent_pub), parent_name, &name_n) == CKR_OK);
    parent = (struct tpm_parent){0x81000001, BYTES(parent_name, name_n), buf_bytes(&parent_pub)};
    return 0;
}

/* What another process may have left: the lock file's magic and a record. */
static void leave_record(struct bytes record)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/shared.lock", scratch);
    FILE *f = fopen(path, "wb");
    CHECK(f && fwrite("LKTPM01", 1, 8, f) == 8);
    if (record.n)
        CHECK(fwrite(record.p, 1, record.n, f) == record.n);
    fclose(f);
}

/* What this input left is none of the next one's. */
static void remove_locks(void)
{
    static const char *const names[] = {"shared", "device:alone"};
    char path[160];
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        snprintf(path, sizeof(path), "%s/%s.lock", scratch, names[i]);
        unlink(path);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const calls[])(struct tpm *, uint8_t) = {tell, seat, make, use};
    static char tctis[3][16] = {"shared", "device:alone", "tabrmd:managed"};
    struct tpm *t = NULL;
    struct bytes in = BYTES(data, size);
    uint8_t how = next_u8(&in);
    struct config config = {.tcti = tctis[(how >> 1) % 3],
                            .lock_dir = scratch,
                            .lock_timeout = 1,
                            .tpm_timeout = 300,
                            .password_session = how & 1};
    struct bytes wanted = next_slice(&in);
    if (how & 0x40)
        leave_record(next_slice(&in));
    fake.answers = in;
    fake.commands = 0;
    parent.handle = how & 0x80 ? 0 : 0x81000001;
    CHECK(tpm_new(&config, &t) == CKR_OK);
    for (size_t i = 0; i < wanted.n && i < 8; i++)
        calls[wanted.p[i] >> 4 & 3](t, wanted.p[i] & 15);
    tpm_free(&t);
    remove_locks();
    CHECK(secret_in_use() == 0);
    return 0;
}
