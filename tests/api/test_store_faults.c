/* The store is read-only, damaged, from the future, not there: each has its code, and public work
 * goes on where it can. */
#include "keys.h"

#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOBODY 65534

static char copy[80], parameters[120];

/* A copy of the store to spoil. */
static int test_copy(void **state)
{
    (void)state;
    char command[256];
    snprintf(copy, sizeof copy, "%s-copy", fx.store);
    snprintf(parameters, sizeof parameters, "store='%s'", copy);
    snprintf(command, sizeof command, "rm -rf '%s' && cp -a '%s' '%s'", copy, fx.store, copy);
    return system(command);
}

static CK_RV open_token(void)
{
    CK_RV rv = initialize(parameters);
    if (rv != CKR_OK)
        return rv;
    return p11->C_OpenSession(fx.slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL,
                              &fx.session);
}

/* The file's bytes from offset on become these. */
static void overwrite(off_t offset, const void *p, size_t n)
{
    char path[100];
    snprintf(path, sizeof path, "%s/store.db", copy);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, p, n, offset), n);
    close(fd);
}

/* Root may write anything, so the read-only store is tried by somebody else. */
static CK_RV read_only_user(void)
{
    CK_TOKEN_INFO info;
    CK_OBJECT_HANDLE object;
    CK_ATTRIBUTE data[] = {ATTR_ULONG(CKA_CLASS, CKO_DATA), ATTR_BOOL(CKA_TOKEN, true)};
    if (setgroups(0, NULL) != 0 || setgid(NOBODY) != 0 || setuid(NOBODY) != 0)
        return CKR_GENERAL_ERROR;
    CK_RV rv = initialize(parameters);
    if (rv == CKR_OK)
        rv = p11->C_GetTokenInfo(fx.slot, &info);
    if (rv == CKR_OK && (info.flags & CKF_WRITE_PROTECTED) == 0)
        rv = CKR_FUNCTION_FAILED;
    if (rv == CKR_OK)
        rv = p11->C_OpenSession(fx.slot, CKF_SERIAL_SESSION, NULL, NULL, &fx.session);
    if (rv == CKR_OK && find_object(fx.session, CKO_PUBLIC_KEY, "p256") == CK_INVALID_HANDLE)
        rv = CKR_OBJECT_HANDLE_INVALID;
    if (rv != CKR_OK)
        return rv;
    rv = p11->C_OpenSession(fx.slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &fx.session);
    return rv != CKR_OK ? rv : p11->C_CreateObject(fx.session, data, COUNT(data), &object);
}

static void read_only(void **state)
{
    (void)state;
    char path[100];
    if (geteuid() != 0)
        skip();
    snprintf(path, sizeof path, "%s/store.db", copy);
    assert_int_equal(chmod(fx.dir, 0755), 0);
    assert_int_equal(chmod(copy, 0755), 0);
    assert_int_equal(chmod(path, 0644), 0);
    assert_rv(CKR_TOKEN_WRITE_PROTECTED, in_child(read_only_user));
}

static void not_a_database(void **state)
{
    (void)state;
    overwrite(0, "this is no SQLite database at all", 33);
    assert_rv_either(CKR_DEVICE_ERROR, CKR_TOKEN_NOT_RECOGNIZED, open_token());
}

/* user_version is at offset 60 of the file, big-endian (SQLite file format, section 1.3). */
static void from_the_future(void **state)
{
    (void)state;
    overwrite(60, "\x7F\xFF\xFF\xFF", 4);
    CK_RV rv = open_token();
    assert_true(rv != CKR_OK && rv != CKR_GENERAL_ERROR);
}

/* Another program's database (application_id, offset 68) is not touched. */
static void of_another_program(void **state)
{
    (void)state;
    overwrite(68, "\x12\x34\x56\x78", 4);
    CK_RV rv = open_token();
    assert_true(rv != CKR_OK && rv != CKR_GENERAL_ERROR);
}

static void cut_short(void **state)
{
    (void)state;
    char path[100];
    struct stat st;
    snprintf(path, sizeof path, "%s/store.db", copy);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(truncate(path, st.st_size / 2), 0);
    CK_RV rv = open_token();
    if (rv == CKR_OK) /* the token's own rows may be in the good half */
        rv = login(fx.session, CKU_USER, USER_PIN);
    if (rv == CKR_OK)
        rv = p11->C_FindObjectsInit(fx.session, NULL, 0);
    assert_true(rv != CKR_OK && rv != CKR_GENERAL_ERROR && rv != CKR_PIN_INCORRECT);
}

/* Every page in turn is overwritten: whatever is asked, nothing crashes, no PIN is called wrong,
 * and a signature that is made is right. */
static void damaged_pages(void **state)
{
    char path[100];
    struct stat st;
    snprintf(path, sizeof path, "%s/store.db", fx.store);
    assert_int_equal(stat(path, &st), 0);
    for (off_t at = 0; at < st.st_size; at += 4096) {
        test_copy(state);
        CK_BYTE noise[256];
        for (size_t i = 0; i < sizeof noise; i++)
            noise[i] = (CK_BYTE)(i * 97 + 13);
        overwrite(at + 4096 - (off_t)sizeof noise, noise, sizeof noise);
        CK_RV rv = open_token();
        if (rv == CKR_OK)
            rv = login(fx.session, CKU_USER, USER_PIN);
        assert_true(rv != CKR_PIN_INCORRECT && rv != CKR_PIN_LOCKED && rv != CKR_GENERAL_ERROR);
        CK_OBJECT_HANDLE found[8];
        CK_ULONG n = 0;
        if (rv == CKR_OK && p11->C_FindObjectsInit(fx.session, NULL, 0) == CKR_OK) {
            p11->C_FindObjects(fx.session, found, COUNT(found), &n);
            p11->C_FindObjectsFinal(fx.session);
        }
        for (CK_ULONG i = 0; i < n; i++) {
            CK_BYTE signature[512];
            CK_ULONG size = sizeof signature;
            if (p11->C_SignInit(fx.session, MECHANISM(CKM_ECDSA), found[i]) == CKR_OK)
                p11->C_Sign(fx.session, noise, 32, signature, &size);
        }
        p11->C_Finalize(NULL);
    }
}

/* No store yet: a blank slot, and nothing is written before something is kept. */
static void absent(void **state)
{
    (void)state;
    char path[120];
    struct stat st;
    snprintf(path, sizeof path, "store='%s/new/store'", fx.dir);
    assert_ok(initialize(path));
    CK_SLOT_ID slot = blank_slot();
    CK_ULONG n = 0;
    assert_ok(p11->C_GetSlotList(CK_TRUE, NULL, &n));
    assert_int_equal(n, 1); /* offered while no token exists */
    snprintf(path, sizeof path, "%s/new", fx.dir);
    assert_int_not_equal(stat(path, &st), 0);
    make_token("first", SO_PIN, USER_PIN);
    assert_int_equal(slot_of("first"), slot);
    snprintf(path, sizeof path, "%s/new/store", fx.dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    snprintf(path, sizeof path, "%s/new/store/store.db", fx.dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0077, 0);
}

/* What a thief of the store learns: neither label nor value of a private object. */
static void stolen(void **state)
{
    static const char label[] = "a private label", value[] = "a private value";
    char path[100];
    test_user(state);
    CK_ATTRIBUTE data[] = {ATTR_ULONG(CKA_CLASS, CKO_DATA), ATTR_BOOL(CKA_TOKEN, true),
                           ATTR_BOOL(CKA_PRIVATE, true), ATTR_STR(CKA_LABEL, label),
                           ATTR_STR(CKA_VALUE, value)};
    CK_OBJECT_HANDLE object;
    assert_ok(p11->C_CreateObject(fx.session, data, COUNT(data), &object));
    snprintf(path, sizeof path, "%s/store.db", fx.store);
    FILE *f = fopen(path, "rb");
    static CK_BYTE bytes[4 << 20];
    assert_non_null(f);
    size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    assert_in_range(n, 4096, sizeof bytes - 1);
    assert_null(memmem(bytes, n, label, strlen(label)));
    assert_null(memmem(bytes, n, value, strlen(value)));
    assert_null(memmem(bytes, n, USER_PIN, strlen(USER_PIN)));
    assert_null(memmem(bytes, n, SO_PIN, strlen(SO_PIN)));
    assert_non_null(memmem(bytes, n, "p256", 4)); /* a public label is there to be seen */
}

#define COPY_TEST(f) cmocka_unit_test_setup_teardown(f, test_copy, test_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        COPY_TEST(read_only),       COPY_TEST(not_a_database),
        COPY_TEST(from_the_future), COPY_TEST(of_another_program),
        COPY_TEST(cut_short),       COPY_TEST(damaged_pages),
        COPY_TEST(absent),          COPY_TEST(stolen),
    };
    return cmocka_run_group_tests(tests, group_keys, group_end);
}
