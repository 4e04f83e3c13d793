/* base/secret.h: memory that is locked, kept out of core dumps and children, and wiped. */
#include "base_test.h"

#include <sys/wait.h>

#include "base/secret.h"

static void comes_zeroed_and_goes(void **state)
{
    (void)state;
    struct secret s[100] = {{0}};
    size_t before = secret_in_use();
    for (size_t i = 0; i < 100; i++) {
        assert_int_equal(secret_new(&s[i], 32), CKR_OK);
        for (size_t j = 0; j < 32; j++)
            assert_int_equal(s[i].p[j], 0);
        memset(s[i].p, 0xA5, 32);
    }
    assert_int_equal(secret_in_use(), before + 3200);
    for (size_t i = 0; i < 100; i++) {
        secret_free(&s[i]);
        assert_null(s[i].p);
    }
    assert_int_equal(secret_in_use(), before);
    secret_free(&s[0]); /* an empty one */
}

/* Freed memory carries nothing over to its next user. */
static void is_wiped(void **state)
{
    (void)state;
    struct secret s = {0};
    assert_int_equal(secret_copy(&s, BYTES_STR("the old content")), CKR_OK);
    uint8_t *where = s.p;
    secret_free(&s);
    assert_int_equal(secret_new(&s, 15), CKR_OK);
    assert_ptr_equal(s.p, where); /* the first free block is taken again */
    assert_memory_equal(s.p, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 15);
    secret_free(&s);
}

static void large_and_empty(void **state)
{
    (void)state;
    struct secret large = {0}, empty = {0};
    assert_int_equal(secret_new(&large, 3 << 20), CKR_OK);
    large.p[(3 << 20) - 1] = 1;
    assert_int_equal(secret_new(&empty, 0), CKR_OK);
    assert_int_equal(empty.n, 0);
    assert_int_equal(secret_new(&(struct secret){0}, SIZE_MAX), CKR_HOST_MEMORY);
    secret_free(&large);
    secret_free(&empty);
    assert_int_equal(secret_in_use(), 0);
}

/* More than the arena holds. */
static void many(void **state)
{
    (void)state;
    enum { N = 3000 };
    static struct secret s[N];
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(secret_new(&s[i], 64), CKR_OK);
        memset(s[i].p, (int)i, 64);
    }
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(s[i].p[0], (uint8_t)i);
        assert_int_equal(s[i].p[63], (uint8_t)i);
        secret_free(&s[i]);
    }
    assert_int_equal(secret_in_use(), 0);
}

static void equality(void **state)
{
    (void)state;
    assert_true(secret_equal(BYTES_STR("same"), BYTES_STR("same")));
    assert_false(secret_equal(BYTES_STR("same"), BYTES_STR("sane")));
    assert_false(secret_equal(BYTES_STR("same"), BYTES_STR("sam")));
    assert_true(secret_equal(NO_BYTES, NO_BYTES));
}

static void is_gone_in_a_child(void **state)
{
    (void)state;
    struct secret s = {0};
    int status = -1;
    assert_int_equal(secret_copy(&s, BYTES_STR("not for children")), CKR_OK);
    secret_before_fork();
    pid_t pid = fork();
    if (pid == 0) {
        secret_after_fork_child();
        struct secret mine = {0};
        bool fine = s.p[0] == 0 && secret_copy(&mine, BYTES_STR("own")) == CKR_OK;
        _exit(fine ? 0 : 1);
    }
    secret_after_fork_parent();
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_memory_equal(s.p, "not for children", 16);
    secret_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_zeroed_and_goes),
        cmocka_unit_test(is_wiped),
        cmocka_unit_test(large_and_empty),
        cmocka_unit_test(many),
        cmocka_unit_test(equality),
        cmocka_unit_test(is_gone_in_a_child),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
