/* The module is loaded and unloaded, a thousand times, in each way that hosts do it, twice in one
 * process, and through p11-kit: nothing is left and nothing grows. Each test is a program of its
 * own, for the fixture's keeps the module. */
#include "children.h"

#include <dlfcn.h>
#include <malloc.h>
#include <p11-kit/p11-kit.h>
#include <pthread.h>

#define PATH_VARIABLE "LOADING_TEST_MODULE"
#define SLOT_VARIABLE "LOADING_TEST_SLOT"

/* gcc's AddressSanitizer refuses RTLD_DEEPBIND, and its mallinfo2 is empty. */
#ifdef __SANITIZE_ADDRESS__
enum { DEEPBIND = 0, LOADS = 200 };
#else
enum { DEEPBIND = RTLD_DEEPBIND, LOADS = 1000 };
#endif

/* ---- in the loading program ---------------------------------------------------------------- */

static void *load(const char *path, int flags)
{
    CK_C_GetFunctionList get_list = NULL;
    void *module = dlopen(path, RTLD_NOW | flags);
    if (module != NULL)
        *(void **)&get_list = dlsym(module, "C_GetFunctionList");
    if (get_list == NULL || get_list(&p11) != CKR_OK) {
        fprintf(stderr, "%s: %s\n", path, module == NULL ? dlerror() : "no C_GetFunctionList");
        exit(EXIT_FAILURE);
    }
    return module;
}

/* What a turn does between dlopen and dlclose. A host that forgot C_Finalize finds the module
 * initialised when it comes back. */
static CK_RV only_load(void)
{
    return CKR_OK;
}

static CK_RV initialize_and_look(void)
{
    CK_ULONG n;
    CK_RV rv = p11->C_Initialize(NULL);
    if (rv == CKR_OK || rv == CKR_CRYPTOKI_ALREADY_INITIALIZED)
        rv = p11->C_GetSlotList(CK_TRUE, NULL, &n);
    return rv == CKR_OK ? p11->C_Finalize(NULL) : rv;
}

static CK_RV sign_and_finalize(void)
{
    CK_RV rv = p11->C_Initialize(NULL);
    if (rv == CKR_OK)
        rv = use_key(2);
    return rv == CKR_OK ? p11->C_Finalize(NULL) : rv;
}

static CK_RV sign_and_forget(void)
{
    CK_RV rv = p11->C_Initialize(NULL);
    return rv == CKR_OK ? use_key(1) : rv;
}

struct footprint {
    unsigned descriptors, thread_keys, mappings, locked;
    size_t heap;
};

/* Lines of a file of /proc, or the number behind a name in it. */
static unsigned from_proc(const char *path, const char *name)
{
    char line[512];
    unsigned lines = 0, value = 0;
    FILE *f = fopen(path, "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        lines++;
        if (name != NULL && strncmp(line, name, strlen(name)) == 0)
            value = (unsigned)strtoul(line + strlen(name), NULL, 10);
    }
    if (f != NULL)
        fclose(f);
    return name == NULL ? lines : value;
}

static struct footprint footprint(void)
{
    static pthread_key_t keys[2048];
    struct footprint p = {.mappings = from_proc("/proc/self/maps", NULL),
                          .locked = from_proc("/proc/self/status", "VmLck:")};
    while (p.thread_keys < COUNT(keys) && pthread_key_create(&keys[p.thread_keys], NULL) == 0)
        p.thread_keys++;
    for (unsigned i = 0; i < p.thread_keys; i++)
        pthread_key_delete(keys[i]);
    for (int fd = 0; fd < 1024; fd++)
        p.descriptors += dup2(fd, fd) >= 0;
    p.heap = mallinfo2().uordblks + mallinfo2().hblkhd;
    return p;
}

/* A leak would be some of it a turn. */
static bool grown(const struct footprint *a, const struct footprint *b, unsigned turns)
{
    fprintf(stderr,
            "%u turns: descriptors %u -> %u, free thread keys %u -> %u, mappings %u -> %u, locked "
            "%u -> %u kB, heap %zu -> %zu\n",
            turns, a->descriptors, b->descriptors, a->thread_keys, b->thread_keys, a->mappings,
            b->mappings, a->locked, b->locked, a->heap, b->heap);
    return b->descriptors > a->descriptors || b->thread_keys < a->thread_keys ||
           b->mappings > a->mappings + 4 || b->locked > a->locked || b->heap > a->heap + 1024;
}

static CK_RV load_often(void)
{
    static const int flags[] = {RTLD_LOCAL, RTLD_GLOBAL, RTLD_LOCAL | DEEPBIND};
    static CK_RV (*const turns[])(void) = {
        only_load, initialize_and_look, only_load,       only_load,           sign_and_finalize,
        only_load, only_load,           sign_and_forget, initialize_and_look, only_load};
    enum { WARM_UP = 30 };
    unsigned rounds = long_run() ? 20 * LOADS : LOADS;
    struct footprint before = {0}, after;
    for (unsigned i = 0; i < rounds + WARM_UP; i++) {
        if (i == WARM_UP)
            before = footprint();
        void *module = load(getenv(PATH_VARIABLE), flags[i % COUNT(flags)]);
        CK_RV rv = turns[i % COUNT(turns)]();
        if (rv != CKR_OK)
            return rv;
        dlclose(module);
    }
    after = footprint();
    return grown(&before, &after, rounds) ? CKR_HOST_MEMORY : CKR_OK;
}

static void *sign_until_unloaded(void *ret_rv)
{
    *(CK_RV *)ret_rv = use_key(200);
    return NULL;
}

/* The host unloads what one of its threads is inside of. */
static CK_RV unload_under_a_thread(void)
{
    pthread_t thread;
    CK_RV rv, worked = CKR_GENERAL_ERROR;
    for (int i = 0; i < 5; i++) {
        void *module = load(getenv(PATH_VARIABLE), RTLD_LOCAL);
        rv = p11->C_Initialize(NULL);
        if (rv != CKR_OK || pthread_create(&thread, NULL, sign_until_unloaded, &worked) != 0)
            return CKR_GENERAL_ERROR;
        dlclose(module);
        pthread_join(thread, NULL);
        rv = p11->C_Finalize(NULL);
        if (worked != CKR_OK || rv != CKR_OK)
            return worked != CKR_OK ? worked : rv;
    }
    return CKR_OK;
}

/* Forks after a dlclose: no handler of what is gone may be called. */
static CK_RV fork_after_unload(void)
{
    void *module = load(getenv(PATH_VARIABLE), RTLD_LOCAL);
    CK_RV rv = sign_and_finalize();
    dlclose(module);
    pid_t pid = fork();
    int status = -1;
    if (pid == 0) {
        alarm(CHILD_SECONDS);
        load(getenv(PATH_VARIABLE), RTLD_LOCAL);
        _exit(sign_and_finalize() == CKR_OK ? 0 : 1);
    }
    return rv == CKR_OK && waitpid(pid, &status, 0) == pid && status == 0 ? CKR_OK
                                                                          : CKR_FUNCTION_FAILED;
}

/* Two copies of the file are two modules: to each other they are another process' one. */
static CK_FUNCTION_LIST *copy[2];

static CK_RV both(CK_RV (*step)(void))
{
    CK_RV rv = CKR_OK;
    for (int i = 0; i < 2 && rv == CKR_OK; i++) {
        p11 = copy[i];
        rv = step();
    }
    return rv;
}

static CK_RV start(void)
{
    return p11->C_Initialize(NULL);
}

static CK_RV finish(void)
{
    return p11->C_Finalize(NULL);
}

static CK_RV use_and_log_out(void)
{
    CK_RV rv = use_key(3);
    return rv == CKR_OK ? p11->C_CloseAllSessions(fx.slot) : rv;
}

static CK_RV two_copies(void)
{
    char command[600], path[256];
    snprintf(path, sizeof path, "%s/second-copy.so", getenv("HOME"));
    snprintf(command, sizeof command, "cp '%s' '%s'", getenv(PATH_VARIABLE), path);
    if (system(command) != 0)
        return CKR_GENERAL_ERROR;
    load(getenv(PATH_VARIABLE), RTLD_GLOBAL);
    copy[0] = p11;
    load(path, RTLD_GLOBAL);
    copy[1] = p11;
    CK_RV rv = copy[0] == copy[1] ? CKR_GENERAL_ERROR : both(start);
    for (int i = 0; i < 10 && rv == CKR_OK; i++)
        rv = both(use_and_log_out);
    pid_t pid = fork();
    int status = -1;
    if (pid == 0) {
        alarm(CHILD_SECONDS);
        _exit(both(start) == CKR_OK && both(use_and_log_out) == CKR_OK ? 0 : 1);
    }
    if (rv != CKR_OK || waitpid(pid, &status, 0) != pid || status != 0)
        return CKR_FUNCTION_FAILED;
    p11 = copy[0];
    rv = finish();
    p11 = copy[1]; /* goes on without the other */
    if (rv == CKR_OK)
        rv = use_and_log_out();
    return rv == CKR_OK ? finish() : rv;
}

static CK_RV through_p11_kit(void)
{
    enum { WARM_UP = 5 };
    unsigned rounds = long_run() ? 1000 : 60;
    struct footprint before = {0}, after;
    for (unsigned i = 0; i < rounds + WARM_UP; i++) {
        if (i == WARM_UP)
            before = footprint();
        p11 = p11_kit_module_load(getenv(PATH_VARIABLE), 0);
        if (p11 == NULL || p11_kit_module_initialize(p11) != CKR_OK)
            return CKR_GENERAL_ERROR;
        CK_RV rv = use_key(1);
        if (rv != CKR_OK || p11_kit_module_finalize(p11) != CKR_OK)
            return rv;
        p11_kit_module_release(p11);
    }
    after = footprint();
    return grown(&before, &after, rounds) ? CKR_HOST_MEMORY : CKR_OK;
}

/* ---- in the test --------------------------------------------------------------------------- */

static const struct program {
    const char *name;
    CK_RV (*run)(void);
} programs[] = {
    {"load-often", load_often},   {"unload-under-a-thread", unload_under_a_thread},
    {"two-copies", two_copies},   {"fork-after-unload", fork_after_unload},
    {"p11-kit", through_p11_kit},
};

static void runs(const char *name)
{
    int status = -1;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        execl("/proc/self/exe", "loader", name, (char *)NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_tpm_untouched();
}

static void loaded_a_thousand_times(void **state)
{
    (void)state;
    runs("load-often");
    figure(long_run() ? 20 * LOADS : LOADS, "loads and unloads, nothing grown");
}

static void unloaded_under_a_thread(void **state)
{
    (void)state;
    runs("unload-under-a-thread");
}

static void loaded_twice(void **state)
{
    (void)state;
    runs("two-copies");
}

static void forked_after_an_unload(void **state)
{
    (void)state;
    runs("fork-after-unload");
}

static void loaded_by_p11_kit(void **state)
{
    (void)state;
    runs("p11-kit");
}

static int group_of_loaders(void **state)
{
    char slot[24];
    Dl_info module;
    group_keys(state);
    snprintf(slot, sizeof slot, "%lu", fx.slot);
    assert_true(dladdr(*(void **)&p11->C_Initialize, &module) != 0);
    char *path = realpath(module.dli_fname, NULL);
    int failed = setenv(SLOT_VARIABLE, slot, 1) | setenv(PATH_VARIABLE, path, 1);
    free(path);
    /* what malloc keeps at hand would count as in use */
    return failed |
           setenv("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0:glibc.malloc.mxfast=0", 1);
}

#define LOADING_TEST(f) cmocka_unit_test_setup_teardown(f, test_children, test_children_end)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        LOADING_TEST(loaded_a_thousand_times),
        LOADING_TEST(unloaded_under_a_thread),
        LOADING_TEST(loaded_twice),
        LOADING_TEST(forked_after_an_unload),
        LOADING_TEST(loaded_by_p11_kit),
    };
    for (size_t i = 0; argc > 1 && i < COUNT(programs); i++) {
        if (strcmp(argv[1], programs[i].name) == 0) {
            fx.slot = strtoul(getenv(SLOT_VARIABLE), NULL, 10);
            CK_RV rv = programs[i].run();
            if (rv != CKR_OK)
                fprintf(stderr, "%s answered 0x%lx\n", argv[1], rv);
            return rv == CKR_OK ? 0 : 1;
        }
    }
    return cmocka_run_group_tests(tests, group_of_loaders, group_end);
}
