/* Who may do what to which object: 2.40 base specification, table 6, written down once more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <token/internal.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { READ_WRITE, READ_ONLY, NOTHING };

static const struct {
    enum login login;
    bool rw;
    CK_STATE state;
    int session_public, session_private, token_public, token_private;
} rows[] = {
    {LOGIN_NONE, false, CKS_RO_PUBLIC_SESSION, READ_WRITE, NOTHING, READ_ONLY, NOTHING},
    {LOGIN_NONE, true, CKS_RW_PUBLIC_SESSION, READ_WRITE, NOTHING, READ_WRITE, NOTHING},
    {LOGIN_USER, false, CKS_RO_USER_FUNCTIONS, READ_WRITE, READ_WRITE, READ_ONLY, READ_ONLY},
    {LOGIN_USER, true, CKS_RW_USER_FUNCTIONS, READ_WRITE, READ_WRITE, READ_WRITE, READ_WRITE},
    {LOGIN_SO, true, CKS_RW_SO_FUNCTIONS, READ_WRITE, NOTHING, READ_WRITE, NOTHING},
};

static CK_RV writing(int right)
{
    return right == READ_WRITE  ? CKR_OK
           : right == READ_ONLY ? CKR_SESSION_READ_ONLY
                                : CKR_USER_NOT_LOGGED_IN;
}

static CK_RV reading(int right)
{
    return right == NOTHING ? CKR_USER_NOT_LOGGED_IN : CKR_OK;
}

static void test_matrix(void **state)
{
    (void)state;
    static struct token token;
    for (size_t i = 0; i < COUNT(rows); i++) {
        token.login = rows[i].login;
        struct session s = {.token = &token, .rw = rows[i].rw};
        assert_int_equal(session_state(&s), rows[i].state);
        assert_int_equal(access_write(&s, false, false), writing(rows[i].session_public));
        assert_int_equal(access_write(&s, false, true), writing(rows[i].session_private));
        assert_int_equal(access_write(&s, true, false), writing(rows[i].token_public));
        assert_int_equal(access_write(&s, true, true), writing(rows[i].token_private));
        assert_int_equal(access_read(&s, false), reading(rows[i].token_public));
        assert_int_equal(access_read(&s, true), reading(rows[i].token_private));
        /* one question serves both kinds: what may be read does not depend on where it is kept */
        assert_int_equal(reading(rows[i].session_public), reading(rows[i].token_public));
        assert_int_equal(reading(rows[i].session_private), reading(rows[i].token_private));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_matrix)};
    return cmocka_run_group_tests_name("token/access", tests, NULL, NULL);
}
