/* What the tests of src/tpm and src/mech share: one swtpm a program, and a wire tap inside it. */
#ifndef TPM_TEST_H
#define TPM_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ftw.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include <tpm/internal.h>
/* The unit tests are linked with their layer alone, so the swtpm starter is compiled in here. */
#include "../../lib/swtpm.c"
#include "tap.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static inline void check_rv(CK_RV expected, CK_RV got, const char *call, const char *file, int line)
{
    if (expected != got) {
        print_error("%s: 0x%lx instead of 0x%lx\n", call, got, expected);
        _fail(file, line);
    }
}
#define assert_rv(expected, call) check_rv(expected, call, #call, __FILE__, __LINE__)
#define assert_ok(call)           assert_rv(CKR_OK, call)

/* ---- the program's TPM --------------------------------------------------------------------- */

static struct {
    char dir[40], log[64], tcti[160];
    struct swtpm swtpm;
    struct config config;
    struct tpm *tpm; /* of the running test */
    struct tpm_parent_owned srk;
} fx;

static inline struct tpm_parent srk(void)
{
    return (struct tpm_parent){fx.srk.handle, buf_bytes(&fx.srk.name), buf_bytes(&fx.srk.pub)};
}

/* Lockout far away: a test that means it sets it nearer. */
static inline void calm(void)
{
    swtpm_set_lockout(&fx.swtpm, 1000, 1000, 1000);
    swtpm_reset_lockout(&fx.swtpm);
}

static inline int group_start(void **state)
{
    (void)state;
    char state_dir[64];
    const char *base = getenv("TMPDIR");
    snprintf(fx.dir, sizeof(fx.dir), "%s/XXXXXX", base && strlen(base) < 24 ? base : "/tmp");
    if (!mkdtemp(fx.dir) || soft_start() != CKR_OK)
        return -1;
    snprintf(state_dir, sizeof(state_dir), "%s/tpm", fx.dir);
    snprintf(fx.log, sizeof(fx.log), "%s/log", fx.dir);
    swtpm_start(&fx.swtpm, state_dir);
    /* by the loader, which the tap replaces */
    snprintf(fx.tcti, sizeof(fx.tcti), "libtss2-tcti-swtpm.so.0:path=%s", fx.swtpm.socket);
    fx.config = (struct config){.tcti = fx.tcti, .lock_timeout = 20, .tpm_timeout = 300};
    log_setup(LOG_WARN, fx.log);
    calm();
    return 0;
}

static inline int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st, (void)kind, (void)ftw;
    return remove(path);
}

static inline void remove_tree(const char *path)
{
    nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static inline int group_stop(void **state)
{
    (void)state;
    swtpm_stop(&fx.swtpm);
    soft_stop();
    log_setup(LOG_ERROR, NULL);
    remove_tree(fx.dir);
    return 0;
}

/* Every test has a struct tpm of its own and leaves the TPM's slots and the locked memory free. */
static inline int test_start(void **state)
{
    (void)state;
    tap_reset();
    log_setup(LOG_WARN, fx.log);
    if (tpm_new(&fx.config, &fx.tpm) != CKR_OK || tpm_find_parent(fx.tpm, &fx.srk) != CKR_OK)
        return -1;
    tap_clear();
    return 0;
}

static inline unsigned slots_taken(void)
{
    return swtpm_handles(&fx.swtpm, 0x80) + swtpm_handles(&fx.swtpm, 0x02) +
           swtpm_handles(&fx.swtpm, 0x03);
}

static inline int test_stop(void **state)
{
    (void)state;
    tap_reset();
    tpm_free(&fx.tpm);
    tpm_parent_free(&fx.srk);
    fx.srk = (struct tpm_parent_owned){0};
    unsigned taken = slots_taken();
    if (taken != 0) {
        print_error("%u slots of the TPM are still taken\n", taken);
        swtpm_reset(&fx.swtpm); /* the next test is not to suffer for it */
    }
    if (secret_in_use() != 0)
        print_error("%zu bytes of locked memory are still in use\n", secret_in_use());
    return taken == 0 && secret_in_use() == 0 ? 0 : -1;
}

#define TPM_TEST(f) cmocka_unit_test_setup_teardown(f, test_start, test_stop)

/* Does the log hold this text? */
static inline bool logged(const char *text)
{
    char content[65536];
    FILE *f = fopen(fx.log, "r");
    size_t n = f ? fread(content, 1, sizeof(content) - 1, f) : 0;
    if (f)
        fclose(f);
    content[n] = '\0';
    return strstr(content, text) != NULL;
}

static inline void forget_log(void)
{
    assert_int_equal(truncate(fx.log, 0), 0);
}

/* Bytes that differ from each other and from those of another seed. */
static inline void fill(uint8_t *p, size_t n, uint32_t seed)
{
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525 + 1013904223;
        p[i] = (uint8_t)(seed >> 24);
    }
}

/* ---- keys ---------------------------------------------------------------------------------- */

struct pair {
    struct tpm_key_made made;
    uint8_t auth[TPM_AUTH];
    struct tpm_key key;
};

static inline void pair_key(struct pair *p)
{
    p->key = (struct tpm_key){.parent = srk(),
                              .pub = buf_bytes(&p->made.pub),
                              .priv = buf_bytes(&p->made.priv),
                              .auth = BYTES_OF(p->auth)};
}

static inline void pair_ec(struct pair *p, enum curve c)
{
    const struct tpm_parent parent = srk();
    *p = (struct pair){0};
    fill(p->auth, sizeof(p->auth), 7);
    assert_ok(tpm_make_ec(fx.tpm, &parent, BYTES_OF(p->auth), c, &p->made));
    pair_key(p);
}

static inline void pair_rsa(struct pair *p, unsigned bits)
{
    const struct tpm_parent parent = srk();
    *p = (struct pair){0};
    fill(p->auth, sizeof(p->auth), 9);
    assert_ok(tpm_make_rsa(fx.tpm, &parent, BYTES_OF(p->auth), bits, 0, &p->made));
    pair_key(p);
}

static inline void pair_free(struct pair *p)
{
    tpm_key_made_free(&p->made);
}

#endif
