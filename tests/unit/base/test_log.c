/* base/log.h: one line an event, at the level that was asked for. */
#include "base_test.h"

#include "base/log.h"

#include <sys/stat.h>

static char text[4096];

/* What log_line left in the file; the log goes back to stderr. */
static size_t written(const char *path)
{
    log_setup(LOG_ERROR, NULL);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof text - 1, f);
    text[n] = '\0';
    fclose(f);
    unlink(path);
    return n;
}

static void levels(void **state)
{
    (void)state;
    char *path = temporary_file("");
    log_setup(LOG_WARN, path);
    assert_true(log_wants(LOG_ERROR) && log_wants(LOG_WARN) && !log_wants(LOG_INFO));
    log_error("an %s", "error");
    log_warn("a warning");
    log_info("an information");
    log_debug("a detail");
    written(path);
    assert_non_null(strstr(text, " error: an error\n"));
    assert_non_null(strstr(text, " warn: a warning\n"));
    assert_null(strstr(text, "information"));
    assert_null(strstr(text, "detail"));
    free(path);
}

static void long_lines_are_cut(void **state)
{
    (void)state;
    char *path = temporary_file(""), longer[5000];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    log_setup(LOG_ERROR, path);
    log_error("%s", longer);
    size_t n = written(path);
    assert_true(n <= 1024);
    assert_int_equal(text[n - 1], '\n');
    assert_ptr_equal(strchr(text, '\n'), text + n - 1);
    free(path);
}

static void file_is_private_and_no_link(void **state)
{
    (void)state;
    struct stat st;
    char *path = temporary_file(""), link_path[256];
    unlink(path);
    log_setup(LOG_ERROR, path);
    log_error("first");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    snprintf(link_path, sizeof link_path, "%s.link", path);
    assert_int_equal(symlink(path, link_path), 0);
    log_setup(LOG_ERROR, link_path); /* somebody's link does not lead the log astray */
    log_error("not through the link");
    unlink(link_path);
    written(path);
    assert_non_null(strstr(text, "first"));
    assert_null(strstr(text, "not through the link"));
    free(path);
}

static void level_names(void **state)
{
    (void)state;
    enum log_level level = LOG_ERROR;
    assert_true(log_level_parse("trace", &level));
    assert_int_equal(level, LOG_TRACE);
    assert_true(log_level_parse("error", &level));
    assert_int_equal(level, LOG_ERROR);
    assert_false(log_level_parse("loud", &level));
    assert_false(log_level_parse("", &level));
    assert_int_equal(level, LOG_ERROR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels),
        cmocka_unit_test(long_lines_are_cut),
        cmocka_unit_test(file_is_private_and_no_link),
        cmocka_unit_test(level_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
