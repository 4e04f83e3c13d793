#include "fixture.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/names.h"

struct fixture fx;
CK_FUNCTION_LIST *p11;
CK_FUNCTION_LIST_3_0 *p11_3;
CK_FUNCTION_LIST_3_2 *p11_32;
CK_BBOOL yes = CK_TRUE, no = CK_FALSE;

static bool proxied;

void check_rv(CK_RV expected, CK_RV got, const char *call, const char *file, int line)
{
    if (got == expected)
        return;
    print_error("%s\n    answered %s", call, name_rv(got));
    print_error(", expected %s\n", name_rv(expected));
    _fail(file, line);
}

void check_rv_either(CK_RV a, CK_RV b, CK_RV got, const char *call, const char *file, int line)
{
    check_rv(got == b ? b : a, got, call, file, line);
}

/* ---- environment ---- */

static void load_module(void)
{
    const char *path = getenv("LATCHKEY_TEST_MODULE");
    if (path == NULL)
        path = MODULE_PATH;
    /* NODELETE: a leak report needs the module's symbols after the last call. */
    void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    CK_C_GetFunctionList get_list = NULL;
    CK_C_GetInterface get_interface = NULL;
    if (module != NULL) {
        *(void **)&get_list = dlsym(module, "C_GetFunctionList");
        *(void **)&get_interface = dlsym(module, "C_GetInterface");
    }
    if (get_list == NULL || get_list(&p11) != CKR_OK) {
        fprintf(stderr, "%s: %s\n", path, module == NULL ? dlerror() : "no C_GetFunctionList");
        exit(EXIT_FAILURE);
    }
    CK_INTERFACE *interface;
    CK_VERSION v30 = {3, 0}, v32 = {3, 2};
    CK_UTF8CHAR_PTR name = (CK_UTF8CHAR_PTR) "PKCS 11";
    if (get_interface != NULL && get_interface(name, &v30, &interface, 0) == CKR_OK)
        p11_3 = interface->pFunctionList;
    if (get_interface != NULL && get_interface(name, &v32, &interface, 0) == CKR_OK)
        p11_32 = interface->pFunctionList;
}

static void set_environment(void)
{
    char value[160];
    setenv("LATCHKEY_STORE", fx.store, 1);
    snprintf(value, sizeof value, "swtpm:path=%s%s", fx.tpm.socket, proxied ? ".proxy" : "");
    setenv("LATCHKEY_TCTI", value, 1);
    /* The developer's own files stay out of it. */
    setenv("HOME", fx.dir, 1);
    setenv("XDG_CONFIG_HOME", fx.dir, 1);
    setenv("XDG_DATA_HOME", fx.dir, 1);
    setenv("XDG_RUNTIME_DIR", fx.dir, 1);
}

int group_environment(void **state)
{
    (void)state;
    char path[120];
    const char *parent = getenv("TMPDIR");
    snprintf(fx.dir, sizeof fx.dir, "%s/latchkey-XXXXXX", parent == NULL ? "/tmp" : parent);
    if (mkdtemp(fx.dir) == NULL) {
        perror(fx.dir);
        exit(EXIT_FAILURE);
    }
    snprintf(fx.store, sizeof fx.store, "%s/store", fx.dir);
    snprintf(path, sizeof path, "%s/tpm", fx.dir);
    swtpm_start(&fx.tpm, path);
    /* Killed processes and wrong PINs are this fixture's daily bread. */
    swtpm_set_lockout(&fx.tpm, 10000, 1000, 1000);
    if (proxied) {
        snprintf(path, sizeof path, "%s.proxy", fx.tpm.socket);
        proxy_start(&fx.tpm, path);
    }
    set_environment();
    load_module();
    return 0;
}

int group_token(void **state)
{
    group_environment(state);
    assert_ok(initialize(NULL));
    make_token(LABEL, SO_PIN, USER_PIN);
    assert_ok(p11->C_Finalize(NULL));
    assert_ok(initialize(NULL));
    fx.slot = slot_of(LABEL); /* as the next process finds it */
    return test_end(state);
}

int group_token_proxied(void **state)
{
    proxied = true;
    return group_token(state);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

int group_end(void **state)
{
    (void)state;
    p11->C_Finalize(NULL);
    if (proxied)
        proxy_stop();
    swtpm_stop(&fx.tpm);
    nftw(fx.dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    return 0;
}

/* ---- test set-up ---- */

CK_RV initialize(const char *parameters)
{
    CK_C_INITIALIZE_ARGS args = {.flags = CKF_OS_LOCKING_OK, .pReserved = (CK_VOID_PTR)parameters};
    return p11->C_Initialize(&args);
}

int test_initialized(void **state)
{
    (void)state;
    assert_ok(initialize(NULL));
    return 0;
}

int test_public(void **state)
{
    test_initialized(state);
    fx.session = open_session(fx.slot, 0);
    return 0;
}

static void open_logged_in(CK_USER_TYPE user, const char *pin)
{
    fx.session = open_session(fx.slot, CKF_RW_SESSION);
    assert_ok(login(fx.session, user, pin));
}

int test_user(void **state)
{
    test_initialized(state);
    open_logged_in(CKU_USER, USER_PIN);
    return 0;
}

int test_so(void **state)
{
    test_initialized(state);
    open_logged_in(CKU_SO, SO_PIN);
    return 0;
}

int test_end(void **state)
{
    (void)state;
    p11->C_Finalize(NULL);
    return 0;
}

/* ---- tokens and sessions ---- */

void pad_label(CK_UTF8CHAR padded[32], const char *label)
{
    memset(padded, ' ', 32);
    memcpy(padded, label, strlen(label));
}

static bool slot_matches(CK_SLOT_ID slot, const char *label)
{
    CK_TOKEN_INFO info;
    CK_UTF8CHAR padded[32];
    if (p11->C_GetTokenInfo(slot, &info) != CKR_OK)
        return false;
    bool initialized = (info.flags & CKF_TOKEN_INITIALIZED) != 0;
    if (label == NULL)
        return !initialized;
    pad_label(padded, label);
    return initialized && memcmp(padded, info.label, sizeof padded) == 0;
}

CK_SLOT_ID slot_of(const char *label)
{
    CK_SLOT_ID slots[64];
    CK_ULONG n = COUNT(slots);
    assert_ok(p11->C_GetSlotList(CK_FALSE, NULL, &n)); /* this call may refresh the list */
    n = COUNT(slots);
    assert_ok(p11->C_GetSlotList(CK_FALSE, slots, &n));
    for (CK_ULONG i = 0; i < n; i++)
        if (slot_matches(slots[i], label))
            return slots[i];
    fail_msg("no slot with %s", label == NULL ? "a blank token" : label);
    return 0;
}

CK_SLOT_ID blank_slot(void)
{
    return slot_of(NULL);
}

CK_SESSION_HANDLE open_session(CK_SLOT_ID slot, CK_FLAGS flags)
{
    CK_SESSION_HANDLE session = CK_INVALID_HANDLE;
    assert_ok(p11->C_OpenSession(slot, CKF_SERIAL_SESSION | flags, NULL, NULL, &session));
    assert_true(session != CK_INVALID_HANDLE);
    return session;
}

CK_RV login(CK_SESSION_HANDLE session, CK_USER_TYPE user, const char *pin)
{
    return p11->C_Login(session, user, PIN(pin));
}

CK_SLOT_ID make_token(const char *label, const char *so_pin, const char *user_pin)
{
    CK_UTF8CHAR padded[32];
    pad_label(padded, label);
    assert_ok(p11->C_InitToken(blank_slot(), PIN(so_pin), padded));
    CK_SLOT_ID slot = slot_of(label);
    CK_SESSION_HANDLE session = open_session(slot, CKF_RW_SESSION);
    assert_ok(login(session, CKU_SO, so_pin));
    assert_ok(p11->C_InitPIN(session, PIN(user_pin)));
    assert_ok(p11->C_CloseSession(session));
    return slot;
}

CK_OBJECT_HANDLE find_object(CK_SESSION_HANDLE session, CK_OBJECT_CLASS cls, const char *label)
{
    CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_CLASS, cls), ATTR_STR(CKA_LABEL, label)};
    CK_OBJECT_HANDLE found = CK_INVALID_HANDLE;
    CK_ULONG n = 0;
    assert_ok(p11->C_FindObjectsInit(session, template, COUNT(template)));
    assert_ok(p11->C_FindObjects(session, &found, 1, &n));
    assert_ok(p11->C_FindObjectsFinal(session));
    return n == 1 ? found : CK_INVALID_HANDLE;
}

CK_ULONG count_objects(CK_SESSION_HANDLE session, CK_ATTRIBUTE *template, CK_ULONG n)
{
    CK_OBJECT_HANDLE found[16];
    CK_ULONG total = 0, some;
    assert_ok(p11->C_FindObjectsInit(session, template, n));
    do {
        assert_ok(p11->C_FindObjects(session, found, COUNT(found), &some));
        total += some;
    } while (some > 0);
    assert_ok(p11->C_FindObjectsFinal(session));
    return total;
}

void age_intents(void)
{
    char path[100];
    sqlite3 *db;
    snprintf(path, sizeof path, "%s/store.db", fx.store);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "UPDATE nv SET made = made - 1000", NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* ---- other processes ---- */

static const peer_step *peer_steps;
static size_t peer_step_count;

void peer_serve(int argc, char **argv, const peer_step *steps, size_t n)
{
    peer_steps = steps;
    peer_step_count = n;
    if (argc < 3 || strcmp(argv[1], "peer") != 0)
        return;
    int fd = atoi(argv[2]);
    size_t step;
    load_module();
    while (read_fully(fd, &step, sizeof step)) {
        CK_RV rv = steps[step]();
        if (!write_fully(fd, &rv, sizeof rv))
            break;
    }
    exit(EXIT_SUCCESS);
}

void peer_start(struct peer *p)
{
    char number[16];
    int pair[2];
    /* Close-on-exec: a peer that holds another's end would keep it from seeing the end of file. */
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    p->pid = fork();
    assert_true(p->pid >= 0);
    if (p->pid == 0) {
        fcntl(pair[1], F_SETFD, 0);
        snprintf(number, sizeof number, "%d", pair[1]);
        /* by its name: valgrind answers readlink with the test's, where exec would get valgrind */
        char self[4096] = {0};
        if (readlink("/proc/self/exe", self, sizeof self - 1) > 0)
            execl(self, "peer", "peer", number, (char *)NULL);
        _exit(127);
    }
    close(pair[1]);
    p->fd = pair[0];
}

void peer_send(struct peer *p, peer_step step)
{
    size_t i = 0;
    while (i < peer_step_count && peer_steps[i] != step)
        i++;
    assert_true(i < peer_step_count);
    assert_true(write_fully(p->fd, &i, sizeof i));
}

CK_RV peer_result(struct peer *p)
{
    CK_RV rv = CKR_GENERAL_ERROR;
    assert_true(read_fully(p->fd, &rv, sizeof rv));
    return rv;
}

CK_RV peer_call(struct peer *p, peer_step step)
{
    peer_send(p, step);
    return peer_result(p);
}

void peer_stop(struct peer *p)
{
    int status = -1;
    close(p->fd);
    assert_int_equal(waitpid(p->pid, &status, 0), p->pid);
    assert_int_equal(status, 0);
}

void peer_kill(struct peer *p)
{
    close(p->fd);
    kill(p->pid, SIGKILL);
    assert_int_equal(waitpid(p->pid, NULL, 0), p->pid);
}

CK_RV in_child(peer_step f)
{
    CK_RV rv = CKR_GENERAL_ERROR;
    int pair[2];
    fflush(NULL);
    assert_int_equal(pipe(pair), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        alarm(60);
        rv = f();
        _exit(write(pair[1], &rv, sizeof rv) == (ssize_t)sizeof rv ? 0 : 1);
    }
    close(pair[1]);
    if (!read_fully(pair[0], &rv, sizeof rv))
        rv = CKR_GENERAL_ERROR;
    close(pair[0]);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    return rv;
}

/* ---- long runs ---- */

bool long_run(void)
{
    const char *set = getenv("LATCHKEY_LONG");
    return set != NULL && *set != '\0';
}

void figure(unsigned long n, const char *what)
{
    printf("figure: %lu %s\n", n, what);
    fflush(stdout);
}
