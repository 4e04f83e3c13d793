#include "inner_module.h"

#include <base/secret.h>
#include "fuzz.h"
#include "inner_tpm.h"

static struct {
    uint8_t *p;
    size_t n;
} snapshot;
static char parameters[400], database[160];

static uint8_t *read_store(size_t *ret_n)
{
    FILE *f = fopen(database, "rb");
    CHECK(f && fseek(f, 0, SEEK_END) == 0);
    size_t n = (size_t)ftell(f);
    uint8_t *p = malloc(n);
    rewind(f);
    CHECK(p && fread(p, 1, n, f) == n);
    fclose(f);
    *ret_n = n;
    return p;
}

static void restore_store(void)
{
    size_t n;
    uint8_t *now = read_store(&n);
    bool same = n == snapshot.n && memcmp(now, snapshot.p, n) == 0;
    free(now);
    if (same)
        return;
    FILE *f = fopen(database, "wb");
    CHECK(f && fwrite(snapshot.p, 1, snapshot.n, f) == snapshot.n && fclose(f) == 0);
}

void inner_module_start(void (*make)(void))
{
    CK_INTERFACE *interface;
    CK_VERSION version = {3, 2};
    log_setup(LOG_ERROR, "/dev/null");
    scratch_make();
    snprintf(database, sizeof(database), "%s/store.db", scratch);
    snprintf(parameters, sizeof(parameters),
             "store=%s tcti=inner:path=%s/tpm log-file=/dev/null pin-rounds=1000", scratch,
             scratch);
    CHECK(setenv("XDG_RUNTIME_DIR", scratch, 1) == 0 && setenv("HOME", scratch, 1) == 0 &&
          setenv("LATCHKEY_CONF", "/dev/null", 1) == 0);
    inner_tpm_start();
    CHECK(C_GetFunctionList(&p11) == CKR_OK);
    CHECK(C_GetInterface((CK_UTF8CHAR *)"PKCS 11", &version, &interface, 0) == CKR_OK);
    p11_32 = interface->pFunctionList;
    assert_ok(initialize(parameters));
    make_token(LABEL, SO_PIN, USER_PIN);
    assert_ok(p11->C_Finalize(NULL));
    assert_ok(initialize(parameters));
    fx.slot = slot_of(LABEL);
    fx.session = open_session(fx.slot, CKF_RW_SESSION);
    assert_ok(login(fx.session, CKU_USER, USER_PIN));
    make();
    assert_ok(p11->C_Finalize(NULL));
    inner_tpm_snapshot();
    snapshot.p = read_store(&snapshot.n);
}

void inner_module_begin(void)
{
    inner_tpm_restore();
    restore_store();
    assert_ok(initialize(parameters));
}

void inner_module_end(void)
{
    assert_ok(p11->C_Finalize(NULL));
    CHECK(secret_in_use() == 0);
}
