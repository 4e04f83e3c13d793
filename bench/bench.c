/* What the module's calls cost, beside the same TPM command sent by hand through the same TCTI.
 *
 *   latchkey-bench MODULE ROUNDS OBJECTS   on a blank store, prints medians
 *   latchkey-bench MODULE ROUNDS sign      only C_Sign, on the store of a former run (for perf)
 *
 * LATCHKEY_STORE and LATCHKEY_TCTI say where, as for every program. */
#include "bench.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <tss2/tss2_tcti.h>
#include <tss2/tss2_tctildr.h>

static CK_UTF8CHAR so_pin[] = "bench so pin", user_pin[] = "bench user pin";
CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
CK_FUNCTION_LIST *p11;

void check(CK_RV rv, const char *what)
{
    if (rv != CKR_OK) {
        fprintf(stderr, "latchkey-bench: %s: 0x%lx\n", what, rv);
        exit(EXIT_FAILURE);
    }
}

/* ---- time ---------------------------------------------------------------------------------- */

double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

struct series series_new(size_t rounds)
{
    struct series s = {.us = calloc(rounds, sizeof(double))};
    check(s.us ? CKR_OK : CKR_HOST_MEMORY, "memory");
    return s;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double report(const char *what, struct series *s)
{
    qsort(s->us, s->n, sizeof(double), compare);
    double median = s->us[s->n / 2];
    printf("%-44s %10.1f us   (90%%: %.1f, n = %zu)\n", what, median, s->us[s->n * 9 / 10], s->n);
    fflush(stdout);
    free(s->us);
    return median;
}

/* ---- the TPM by hand ----------------------------------------------------------------------- */

static TSS2_TCTI_CONTEXT *tcti;

uint32_t u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

void put_u32(uint8_t *p, size_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}

size_t exchange(uint8_t *command, size_t n, uint8_t *response, size_t room)
{
    put_u32(command + 2, n);
    if (Tss2_Tcti_Transmit(tcti, n, command) != TSS2_RC_SUCCESS ||
        Tss2_Tcti_Receive(tcti, &room, response, TSS2_TCTI_TIMEOUT_BLOCK) != TSS2_RC_SUCCESS ||
        u32(response + 6) != 0) {
        fprintf(stderr, "latchkey-bench: a TPM command by hand failed: 0x%x\n", u32(response + 6));
        exit(EXIT_FAILURE);
    }
    return room;
}

/* A P-256 signing key with the empty authorization: the cheapest there can be. */
static uint32_t bare_key(void)
{
    uint8_t command[] = {0x80, 2,  0, 0,    0,
                         0,    0,  0, 1,    0x31,           /* TPM2_CreatePrimary */
                         0x40, 0,  0, 1,    EMPTY_PASSWORD, /* owner */
                         0,    4,  0, 0,    0,
                         0, /* inSensitive */
                         0,    22, 0, 0x23, 0,
                         0x0B, 0,  4, 0,    0x72, /* ECC, SHA-256, sign */
                         0,    0,  0, 0x10, 0,
                         0x10, 0,  3, 0,    0x10, /* P-256, no scheme */
                         0,    0,  0, 0,          /* unique */
                         0,    0,  0, 0,    0,
                         0}; /* outsideInfo, creationPCR */
    uint8_t response[4096];
    exchange(command, sizeof command, response, sizeof response);
    return u32(response + 10);
}

static void bare_sign(uint32_t key)
{
    uint8_t command[] = {
        0x80, 2,    0,    0,  0,  0,    0,  0,    1,  0x5D, 0,  0,  0,  0,  EMPTY_PASSWORD,
        0,    32,   1,    2,  3,  4,    5,  6,    7,  8,    9,  10, 11, 12, 13,
        14,   15,   16,   17, 18, 19,   20, 21,   22, 23,   24, 25, 26, 27, 28,
        29,   30,   31,   32, 0,  0x18, 0,  0x0B, /* ECDSA, SHA-256 */
        0x80, 0x24, 0x40, 0,  0,  7,    0,  0};   /* no ticket */
    uint8_t response[4096];
    put_u32(command + 10, key);
    exchange(command, sizeof command, response, sizeof response);
}

void bare_flush(uint32_t key)
{
    uint8_t command[14] = {0x80, 1, 0, 0, 0, 0, 0, 0, 1, 0x65};
    uint8_t response[64];
    put_u32(command + 10, key);
    exchange(command, sizeof command, response, sizeof response);
}

/* ---- the token ----------------------------------------------------------------------------- */

static CK_SLOT_ID first_slot(CK_BBOOL present)
{
    CK_SLOT_ID slots[16];
    CK_ULONG n = COUNT(slots);
    OK(p11->C_GetSlotList(present, slots, &n));
    check(n > 0 ? CKR_OK : CKR_SLOT_ID_INVALID, "no slot");
    return slots[0];
}

static CK_SESSION_HANDLE open_session(void)
{
    CK_SESSION_HANDLE session;
    OK(p11->C_OpenSession(first_slot(CK_TRUE), CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL,
                          &session));
    return session;
}

static void make_token(void)
{
    CK_UTF8CHAR label[32];
    memset(label, ' ', sizeof label);
    memcpy(label, "bench", 5);
    OK(p11->C_InitToken(first_slot(CK_FALSE), so_pin, sizeof so_pin - 1, label));
    CK_SESSION_HANDLE session = open_session();
    OK(p11->C_Login(session, CKU_SO, so_pin, sizeof so_pin - 1));
    OK(p11->C_InitPIN(session, user_pin, sizeof user_pin - 1));
    OK(p11->C_CloseSession(session));
}

static CK_OBJECT_HANDLE generate(CK_SESSION_HANDLE session, CK_MECHANISM_TYPE type,
                                 CK_ATTRIBUTE what, const char *id)
{
    CK_MECHANISM mechanism = {type, NULL, 0};
    CK_OBJECT_HANDLE public_, private_;
    CK_ATTRIBUTE for_public[] = {
        {CKA_TOKEN, &yes, 1}, {CKA_ID, (void *)(uintptr_t)id, strlen(id)}, what};
    CK_ATTRIBUTE for_private[] = {{CKA_TOKEN, &yes, 1},
                                  {CKA_ID, (void *)(uintptr_t)id, strlen(id)}};
    OK(p11->C_GenerateKeyPair(session, &mechanism, for_public, COUNT(for_public), for_private,
                              COUNT(for_private), &public_, &private_));
    return private_;
}

static CK_OBJECT_HANDLE find(CK_SESSION_HANDLE session, CK_OBJECT_CLASS cls, const void *id,
                             CK_ULONG n)
{
    CK_OBJECT_HANDLE found = CK_INVALID_HANDLE;
    CK_ULONG count;
    CK_ATTRIBUTE template[] = {{CKA_CLASS, &cls, sizeof cls}, {CKA_ID, (void *)(uintptr_t)id, n}};
    OK(p11->C_FindObjectsInit(session, template, COUNT(template)));
    OK(p11->C_FindObjects(session, &found, 1, &count));
    OK(p11->C_FindObjectsFinal(session));
    check(count == 1 ? CKR_OK : CKR_OBJECT_HANDLE_INVALID, "object not found");
    return found;
}

static void sign(CK_SESSION_HANDLE session, CK_MECHANISM_TYPE type, CK_OBJECT_HANDLE key)
{
    CK_MECHANISM mechanism = {type, NULL, 0};
    CK_BYTE hash[32] = {1}, signature[512];
    CK_ULONG n = sizeof signature;
    OK(p11->C_SignInit(session, &mechanism, key));
    OK(p11->C_Sign(session, hash, sizeof hash, signature, &n));
}

/* ---- what is measured ---------------------------------------------------------------------- */

static void measure_p256(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key, size_t rounds)
{
    uint32_t handle = bare_key();
    BESIDE(rounds, "TPM2_Sign P-256 by hand, password session", bare_sign(handle),
           "C_SignInit + C_Sign P-256, encrypted session", sign(session, CKM_ECDSA, key));
    bare_flush(handle);
}

static void measure_rsa(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key, size_t rounds)
{
    struct series s = series_new(rounds);
    for (int i = 0; i < 3; i++)
        sign(session, CKM_RSA_PKCS, key);
    for (size_t i = 0; i < rounds; i++)
        MEASURE(&s, sign(session, CKM_RSA_PKCS, key));
    report("C_SignInit + C_Sign RSA-2048", &s);
}

static void measure_login(CK_SESSION_HANDLE session, size_t rounds)
{
    struct series s = series_new(rounds);
    for (size_t i = 0; i < rounds; i++) {
        OK(p11->C_Logout(session));
        MEASURE(&s, OK(p11->C_Login(session, CKU_USER, user_pin, sizeof user_pin - 1)));
    }
    report("C_Login", &s);
}

static void measure_find(CK_SESSION_HANDLE session, const char *what, size_t objects, size_t rounds)
{
    struct series s = series_new(rounds);
    for (size_t i = 0; i < rounds; i++) {
        uint32_t id = (uint32_t)(i * 7919 % objects);
        MEASURE(&s, find(session, CKO_PUBLIC_KEY, &id, sizeof id));
    }
    report(what, &s);
}

static void add_objects(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE like, uint32_t from,
                        uint32_t to)
{
    CK_OBJECT_CLASS cls = CKO_PUBLIC_KEY;
    CK_KEY_TYPE type = CKK_EC;
    CK_BYTE params[32], point[128];
    CK_ATTRIBUTE ec[] = {{CKA_EC_PARAMS, params, sizeof params},
                         {CKA_EC_POINT, point, sizeof point}};
    CK_OBJECT_HANDLE object;
    uint32_t id;
    OK(p11->C_GetAttributeValue(session, like, ec, COUNT(ec)));
    CK_ATTRIBUTE template[] = {{CKA_CLASS, &cls, sizeof cls},
                               {CKA_KEY_TYPE, &type, sizeof type},
                               {CKA_TOKEN, &yes, 1},
                               {CKA_PRIVATE, &no, 1},
                               {CKA_ID, &id, sizeof id},
                               ec[0],
                               ec[1]};
    for (id = from; id < to; id++)
        OK(p11->C_CreateObject(session, template, COUNT(template), &object));
}

static void measure_initialize(const char *what, size_t rounds)
{
    struct series s = series_new(rounds);
    for (size_t i = 0; i < rounds; i++) {
        OK(p11->C_Finalize(NULL));
        MEASURE(&s, OK(p11->C_Initialize(NULL)));
    }
    report(what, &s);
}

static CK_SESSION_HANDLE logged_in(void)
{
    CK_SESSION_HANDLE session = open_session();
    OK(p11->C_Login(session, CKU_USER, user_pin, sizeof user_pin - 1));
    return session;
}

static void measure_all(size_t rounds, uint32_t objects)
{
    static CK_BYTE p256[] = {6, 8, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 3, 1, 7};
    CK_ULONG bits = 2048;
    char what[64];
    make_token();
    CK_SESSION_HANDLE session = logged_in();
    CK_OBJECT_HANDLE ec = generate(session, CKM_EC_KEY_PAIR_GEN,
                                   (CK_ATTRIBUTE){CKA_EC_PARAMS, p256, sizeof p256}, "ec");
    CK_OBJECT_HANDLE rsa = generate(session, CKM_RSA_PKCS_KEY_PAIR_GEN,
                                    (CK_ATTRIBUTE){CKA_MODULUS_BITS, &bits, sizeof bits}, "rsa");
    measure_p256(session, ec, rounds);
    measure_rsa(session, rsa, rounds);
    measure_tpm_keys(session, rounds);
    measure_software_keys(session, rounds);
    measure_login(session, rounds);
    ec = find(session, CKO_PRIVATE_KEY, "ec", 2); /* handles end with a login */
    add_objects(session, ec, 0, 1);
    measure_find(session, "C_FindObjects by id, 1 object of the kind", 1, rounds);
    measure_initialize("C_Initialize", rounds);
    session = logged_in();
    ec = find(session, CKO_PRIVATE_KEY, "ec", 2);
    add_objects(session, ec, 1, objects);
    snprintf(what, sizeof what, "C_FindObjects by id, %u objects", objects);
    measure_find(session, what, objects, rounds);
    snprintf(what, sizeof what, "C_Initialize, %u objects", objects);
    measure_initialize(what, rounds);
}

static void load(const char *module)
{
    void *handle = dlopen(module, RTLD_NOW | RTLD_LOCAL);
    CK_C_GetFunctionList get = NULL;
    if (handle)
        *(void **)&get = dlsym(handle, "C_GetFunctionList");
    if (!get) {
        fprintf(stderr, "latchkey-bench: %s\n", dlerror());
        exit(EXIT_FAILURE);
    }
    OK(get(&p11));
    OK(p11->C_Initialize(NULL));
}

int main(int argc, char **argv)
{
    size_t rounds = argc == 4 ? strtoul(argv[2], NULL, 10) : 0;
    const char *where = getenv("LATCHKEY_TCTI");
    if (rounds == 0 || !where) {
        fprintf(stderr, "usage: LATCHKEY_TCTI=... latchkey-bench MODULE ROUNDS OBJECTS|sign\n");
        return EXIT_FAILURE;
    }
    load(argv[1]);
    if (strcmp(argv[3], "sign") == 0) {
        CK_SESSION_HANDLE session = logged_in();
        CK_OBJECT_HANDLE key = find(session, CKO_PRIVATE_KEY, "ec", 2);
        for (size_t i = 0; i < rounds; i++)
            sign(session, CKM_ECDSA, key);
    } else {
        check(Tss2_TctiLdr_Initialize(where, &tcti) == TSS2_RC_SUCCESS ? CKR_OK : CKR_DEVICE_ERROR,
              "no TPM");
        measure_all(rounds, (uint32_t)strtoul(argv[3], NULL, 10));
        Tss2_TctiLdr_Finalize(&tcti);
    }
    OK(p11->C_Finalize(NULL));
    return EXIT_SUCCESS;
}
