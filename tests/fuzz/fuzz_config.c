/* The configuration file, and the same text as the module's parameters. */
#include "fuzz.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <base/config.h>

static int file;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    char path[64];
    (void)argc, (void)argv;
    log_setup(LOG_ERROR, "/dev/null");
    file = memfd_create("latchkey.conf", MFD_CLOEXEC);
    CHECK(file >= 0 && fchmod(file, 0600) == 0);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
    CHECK(setenv("LATCHKEY_CONF", path, 1) == 0 && setenv("HOME", "/nowhere", 1) == 0);
    static const char *const others[] = {"LATCHKEY_STORE", "LATCHKEY_TCTI", "LATCHKEY_LOG",
                                         "LATCHKEY_LOG_FILE", "XDG_DATA_HOME"};
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
        unsetenv(others[i]);
    return 0;
}

static void check(const struct config *c)
{
    CHECK(c->store && *c->store);
    CHECK(c->log <= LOG_TRACE && c->lock_timeout > 0);
    CHECK(c->pin_rounds >= CONFIG_PIN_ROUNDS_MIN && c->pin_rounds <= CONFIG_PIN_ROUNDS_MAX);
}

static void load(const char *parameters, bool must)
{
    CLEANUP(config_free) struct config c = {0}, copy = {0};
    CK_RV rv = config_load(parameters, &c);
    CHECK(rv == CKR_OK || (!must && rv == CKR_ARGUMENTS_BAD));
    if (rv != CKR_OK)
        return;
    check(&c);
    CHECK(config_copy(&c, &copy) == CKR_OK);
    check(&copy);
    CHECK(strcmp(c.store, copy.store) == 0 && c.store != copy.store);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = calloc(1, size + 1);
    CHECK(text && ftruncate(file, 0) == 0 && pwrite(file, data, size, 0) == (ssize_t)size);
    if (size)
        memcpy(text, data, size);
    load(NULL, true); /* a fault in a file is passed over */
    load(text, false);
    free(text);
    return 0;
}
