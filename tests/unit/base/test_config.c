/* base/config.h: where a setting comes from, and which source wins. */
#include "base_test.h"

#include "base/config.h"

#include <sys/stat.h>

static int clean_environment(void **state)
{
    (void)state;
    static const char *const names[] = {"LATCHKEY_STORE",    "LATCHKEY_TCTI",   "LATCHKEY_LOG",
                                        "LATCHKEY_LOG_FILE", "XDG_CONFIG_HOME", "XDG_DATA_HOME"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unsetenv(names[i]);
    setenv("HOME", "/home/nobody", 1);
    setenv("LATCHKEY_CONF", "/nonexistent/latchkey.conf", 1);
    return 0;
}

/* What config_load makes of a file of this content. */
static void load_file(const char *content, mode_t mode, struct config *ret)
{
    char *path = temporary_file(content);
    assert_int_equal(chmod(path, mode), 0);
    setenv("LATCHKEY_CONF", path, 1);
    assert_int_equal(config_load(NULL, ret), CKR_OK);
    unlink(path);
    free(path);
}

static void defaults(void **state)
{
    (void)state;
    CLEANUP(config_free) struct config c = {0};
    assert_int_equal(config_load(NULL, &c), CKR_OK);
    assert_string_equal(c.store, "/home/nobody/.local/share/latchkey");
    assert_null(c.tcti);
    assert_null(c.log_file);
    assert_int_equal(c.log, LOG_ERROR);
    assert_int_equal(c.pin_rounds, 10000);
    assert_int_equal(c.lock_timeout, 30);
    assert_int_equal(c.tpm_timeout, 300);
    assert_int_equal(c.manager, MANAGER_AUTO);
    assert_false(c.show_empty_slot || c.password_session || c.pin_storage_sealed || c.unattended);
}

static void xdg_directories(void **state)
{
    (void)state;
    CLEANUP(config_free) struct config c = {0};
    setenv("XDG_DATA_HOME", "/data", 1);
    setenv("XDG_CONFIG_HOME", "/config", 1);
    assert_int_equal(config_load(NULL, &c), CKR_OK);
    assert_string_equal(c.store, "/data/latchkey");
    char *file = config_user_file();
    assert_string_equal(file, "/nonexistent/latchkey.conf"); /* LATCHKEY_CONF names it */
    free(file);
    unsetenv("LATCHKEY_CONF");
    file = config_user_file();
    assert_string_equal(file, "/config/latchkey.conf");
    free(file);
}

static void file_syntax(void **state)
{
    (void)state;
    CLEANUP(config_free) struct config c = {0};
    load_file("# a comment\n\n"
              "  store =  /var/lib/some where  \n"
              "tcti=swtpm:host=127.0.0.1,port=2321\n"
              "show-empty-slot = yes\n"
              "session = password\n"
              "pin-rounds = 12345\n"
              "log = debug\n"
              "no equals sign here\n"
              "unknown-key = 1\n"
              "lock-timeout = soon\n"
              "pin-storage = sealed", /* no newline at the end */
              0600, &c);
    assert_string_equal(c.store, "/var/lib/some where");
    assert_string_equal(c.tcti, "swtpm:host=127.0.0.1,port=2321");
    assert_true(c.show_empty_slot && c.password_session && c.pin_storage_sealed);
    assert_int_equal(c.pin_rounds, 12345);
    assert_int_equal(c.log, LOG_DEBUG);
    assert_int_equal(c.lock_timeout, 30); /* a bad value is passed over */
}

/* What a parameter string may be quoted with may stand in a file, too; nothing else is a quote. */
static void quotes_in_a_file(void **state)
{
    (void)state;
    CLEANUP(config_free) struct config c = {0}, other = {0};
    load_file("store = '/with a blank '\ntcti=\"swtpm:path=/s\"\nlog-file = '/it\"s'\n", 0600, &c);
    assert_string_equal(c.store, "/with a blank ");
    assert_string_equal(c.tcti, "swtpm:path=/s");
    assert_string_equal(c.log_file, "/it\"s");
    load_file("store = '/half\ntcti = /half\"\nlog-file = '\n", 0600, &other);
    assert_non_null(strstr(other.store, "/'/half"));
    assert_string_equal(other.tcti, "/half\"");
    assert_non_null(strstr(other.log_file, "/'"));
}

/* A bad value is passed over, in favour of what was said before. */
static void bad_values_change_nothing(void **state)
{
    (void)state;
    CLEANUP(config_free) struct config c = {0};
    load_file("store = /first\nstore =\nstore = ''\n"
              "session = password\nsession = none\n"
              "pin-storage = sealed\npin-storage = paper\n"
              "unattended = yes\nunattended = perhaps\n"
              "resource-manager = yes\nresource-manager = abrmd\n"
              "show-empty-slot = 1\nshow-empty-slot = 2\n"
              "max-pin-tries = 5\nmax-pin-tries = 2\nmax-pin-tries = 101\nmax-pin-tries = -3\n"
              "pin-rounds = 5000\npin-rounds = 999\npin-rounds = 10000001\npin-rounds = 1e6\n"
              "lock-timeout = 7\nlock-timeout = 0\nlock-timeout = 99999999999999999999\n"
              "tpm-timeout = 9\ntpm-timeout = 0\ntpm-timeout = 86401\n"
              "log = debug\nlog = loud\n",
              0600, &c);
    assert_string_equal(c.store, "/first");
    assert_true(c.password_session && c.pin_storage_sealed && c.unattended && c.show_empty_slot);
    assert_int_equal(c.max_pin_tries, 5);
    assert_int_equal(c.pin_rounds, 5000);
    assert_int_equal(c.lock_timeout, 7);
    assert_int_equal(c.tpm_timeout, 9);
    assert_int_equal(c.manager, MANAGER_YES);
    assert_int_equal(c.log, LOG_DEBUG);
}

static void resource_manager(void **state)
{
    (void)state;
    CLEANUP(config_free) struct config no = {0}, automatic = {0};
    load_file("resource-manager = no\n", 0600, &no);
    assert_int_equal(no.manager, MANAGER_NO);
    load_file("resource-manager = no\nresource-manager = auto\n", 0600, &automatic);
    assert_int_equal(automatic.manager, MANAGER_AUTO);
}

static void empty_environment(void **state)
{
    (void)state;
    CLEANUP(config_free) struct config c = {0};
    setenv("LATCHKEY_STORE", "", 1);
    assert_int_equal(config_load(NULL, &c), CKR_OK);
    assert_string_equal(c.store, "/home/nobody/.local/share/latchkey");
}

/* Neither a FIFO that nobody writes to nor a directory keeps the host program waiting. */
static void strange_files(void **state)
{
    (void)state;
    CLEANUP(config_free) struct config c = {0}, d = {0};
    char *path = temporary_file("");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    setenv("LATCHKEY_CONF", path, 1);
    alarm(10);
    assert_int_equal(config_load(NULL, &c), CKR_OK);
    alarm(0);
    assert_int_equal(c.pin_rounds, 10000);
    unlink(path);
    free(path);
    setenv("LATCHKEY_CONF", "/", 1);
    assert_int_equal(config_load(NULL, &d), CKR_OK);
}

/* A file that others can write decides nothing. */
static void untrusted_file(void **state)
{
    (void)state;
    CLEANUP(config_free) struct config open_to_group = {0}, open_to_all = {0};
    load_file("store = /evil\n", 0620, &open_to_group);
    assert_string_equal(open_to_group.store, "/home/nobody/.local/share/latchkey");
    load_file("store = /evil\n", 0602, &open_to_all);
    assert_string_equal(open_to_all.store, "/home/nobody/.local/share/latchkey");
}

static void precedence(void **state)
{
    (void)state;
    CLEANUP(config_free) struct config file = {0}, environment = {0}, parameters = {0};
    load_file("store = /file\ntcti = file\n", 0600, &file);
    assert_string_equal(file.store, "/file");
    setenv("LATCHKEY_STORE", "/environment", 1);
    load_file("store = /file\ntcti = file\n", 0600, &environment);
    assert_string_equal(environment.store, "/environment");
    assert_string_equal(environment.tcti, "file");
    assert_int_equal(config_load("store=/parameters", &parameters), CKR_OK);
    assert_string_equal(parameters.store, "/parameters");
}

static void module_parameters(void **state)
{
    (void)state;
    CLEANUP(config_free) struct config c = {0};
    assert_int_equal(config_load("  store='/with a blank' tcti=\"swtpm:path=/s\"  log=warn\n", &c),
                     CKR_OK);
    assert_string_equal(c.store, "/with a blank");
    assert_string_equal(c.tcti, "swtpm:path=/s");
    assert_int_equal(c.log, LOG_WARN);
}

static void bad_module_parameters(void **state)
{
    (void)state;
    static const char *const bad[] = {"nonsense",
                                      "unknown=1",
                                      "store='/unterminated",
                                      "log=loud",
                                      "store",
                                      "=value",
                                      "max-pin-tries=2",
                                      "max-pin-tries=101",
                                      "pin-rounds=0",
                                      "pin-rounds=-1",
                                      "pin-rounds=1x",
                                      "session=none",
                                      "unattended=perhaps",
                                      "store=/a tcti",
                                      "store=",
                                      "store=''",
                                      "tcti=\"\"",
                                      "pin-rounds=999"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct config c = {0};
        assert_int_equal(config_load(bad[i], &c), CKR_ARGUMENTS_BAD);
        assert_null(c.store); /* untouched on failure */
    }
}

#define CONFIG_TEST(f) cmocka_unit_test_setup(f, clean_environment)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CONFIG_TEST(defaults),
        CONFIG_TEST(xdg_directories),
        CONFIG_TEST(file_syntax),
        CONFIG_TEST(quotes_in_a_file),
        CONFIG_TEST(bad_values_change_nothing),
        CONFIG_TEST(resource_manager),
        CONFIG_TEST(empty_environment),
        CONFIG_TEST(strange_files),
        CONFIG_TEST(untrusted_file),
        CONFIG_TEST(precedence),
        CONFIG_TEST(module_parameters),
        CONFIG_TEST(bad_module_parameters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
