/* What the tests of store/ share: a directory for each test, sample rows, children. */
#ifndef TESTS_UNIT_STORE_SUPPORT_H
#define TESTS_UNIT_STORE_SUPPORT_H

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include <sqlite3.h>
#include <store/store.h>

enum { NOBODY = 65534 };

#define OK(expr) assert_int_equal((expr), CKR_OK)
/* For children: cmocka's assertions would jump into the parent's list of tests. */
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            return 1;                                                                              \
        }                                                                                          \
    } while (0)

struct fixture {
    char top[64];    /* the test's own directory */
    char dir[96];    /* top/store: not there yet */
    char path[128];  /* top/store/store.db */
    struct store *s; /* opened on dir */
};

static inline int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    strcpy(f->top, "/tmp/latchkey-store.XXXXXX");
    if (!mkdtemp(f->top) || chmod(f->top, 0755) != 0)
        return -1;
    snprintf(f->dir, sizeof(f->dir), "%s/store", f->top);
    snprintf(f->path, sizeof(f->path), "%s/store.db", f->dir);
    *state = f;
    return store_open(f->dir, &f->s) == CKR_OK ? 0 : -1;
}

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static inline int teardown(void **state)
{
    struct fixture *f = *state;
    store_close(&f->s);
    int rc = nftw(f->top, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(f);
    return rc;
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

/* ---- children ------------------------------------------------------------------------------- */

typedef int child(struct fixture *f);

static inline pid_t start(child *body, struct fixture *f)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        _exit(body(f));
    assert_true(pid > 0);
    return pid;
}

static inline int finish(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

/* Permission bits bind no root. */
static inline void drop_root(void)
{
    if (geteuid() == 0 && (setgid(NOBODY) != 0 || setuid(NOBODY) != 0))
        _exit(99);
}

/* ---- rows ----------------------------------------------------------------------------------- */

static inline void fill(struct buf *b, const char *text)
{
    OK(buf_set(b, BYTES_STR(text)));
}

/* A token for the slot, told apart by n. */
static inline struct store_token token_for(CK_SLOT_ID slot, unsigned n)
{
    struct store_token t = {.slot = slot, .pin_rounds = 10000, .parent = 0x81000001};
    memset(t.uid, (int)n, sizeof(t.uid));
    snprintf(t.serial, sizeof(t.serial), "%016x", n);
    t.user.nv = 0x01800000 + 2 * n;
    t.so.nv = t.user.nv + 1;
    fill(&t.label, "label");
    fill(&t.check, "check");
    fill(&t.parent_name, "parent name");
    fill(&t.parent_public, "parent public");
    fill(&t.user.nv_name, "user name");
    fill(&t.so.nv_name, "so name");
    return t;
}

/* What limits its PIN tries. */
static inline void limit_token(struct store_token *t)
{
    t->limit.tries = 5;
    for (unsigned i = 0; i < STORE_LIMIT_INDICES; i++) {
        t->limit.nv[i] = t->user.nv + 0x1000 * (i + 1);
        fill(&t->limit.name[i], (const char *[]){"gate 0 name", "gate 1 name", "pepper name"}[i]);
    }
}

static inline CK_RV intent_for(struct store *s, const struct store_token *t, int64_t *ret)
{
    const uint32_t nv[] = {t->user.nv, t->so.nv, t->limit.nv[0], t->limit.nv[1], t->limit.nv[2]};
    return store_intent_begin(s, nv, 5, ret);
}

/* A token in the next slot; its row id. */
static inline int64_t add_token(struct store *s, unsigned n)
{
    CK_SLOT_ID slot;
    OK(store_next_slot(s, &slot));
    CLEANUP(store_token_free) struct store_token t = token_for(slot, n);
    int64_t intent;
    OK(store_intent_begin(s, (uint32_t[]){t.user.nv, t.so.nv}, 2, &intent));
    OK(store_intent_commit(s, intent, &t));
    return t.id;
}

/* A public key object of generation 1 whose id and label are the text of n. */
static inline struct store_object object_for(int64_t token, unsigned n)
{
    struct store_object o = {
        .token = token, .generation = 1, .auth = STORE_AUTH_DERIVED, .parent = 0x81000001};
    char text[16];
    snprintf(text, sizeof(text), "%u", n);
    memcpy(o.uid, &n, sizeof(n));
    fill(&o.column[STORE_CLASS], n % 2 ? "private key" : "public key");
    fill(&o.column[STORE_ID], text);
    fill(&o.column[STORE_LABEL], text);
    fill(&o.attrs, "attributes");
    fill(&o.pub, "public area");
    fill(&o.priv, "private area");
    fill(&o.parent_name, "parent name");
    return o;
}

static inline CK_RV add_object(struct store *s, int64_t token, unsigned n, int64_t *ret_id)
{
    CLEANUP(store_object_free) struct store_object o = object_for(token, n);
    TRY(store_objects_add(s, &o, 1));
    if (ret_id)
        *ret_id = o.id;
    return CKR_OK;
}

static inline void assert_buf(const struct buf *b, const char *text)
{
    assert_int_equal(b->n, strlen(text));
    assert_memory_equal(b->p, text, b->n);
}

/* ---- the file behind the store's back -------------------------------------------------------- */

static inline void sql(const char *path, const char *text)
{
    sqlite3 *db;
    char *message = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, text, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", text, message);
    sqlite3_close(db);
}

static inline mode_t mode_of(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static inline bool there(const char *path)
{
    return access(path, F_OK) == 0;
}

#endif
