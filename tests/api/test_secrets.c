/* Where secrets are in a process that uses the module, and that they are nowhere when it has logged
 * out: SECURITY.md, "In the process". The process is a peer, whose memory this one searches. */
#include "material.h"
#include "memory.h"
#include "store_edit.h"
#include "tpm_user.h"

#include <latchkey/admin.h>
#include <openssl/core_names.h>

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the peer's host program holds, in one file that both map: that mapping is not searched. */
struct material {
    char user_pin[28], so_pin[28], new_pin[28], wrong_pin[28];
    CK_BYTE label[20], content[48];
    struct parts rsa, rsa_tpm, ec, ec_tpm, ed, aes, hmac, sealed, session;
};

static struct material *material;
static struct needles needles;
static char material_path[64];
static uint8_t token_secret[32]; /* S */

static void map_material(int flags)
{
    snprintf(material_path, sizeof material_path, "%s/material", fx.dir);
    int fd = open(material_path, flags, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, sizeof *material), 0);
    material = mmap(NULL, sizeof *material, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(material != MAP_FAILED);
    close(fd);
}

/* ---- the peer -------------------------------------------------------------------------------- */

static CK_OBJECT_HANDLE keys[9];

static CK_RV log_in_with(CK_USER_TYPE user, const char *pin)
{
    return p11->C_Login(fx.session, user, (CK_UTF8CHAR_PTR)pin, sizeof material->user_pin);
}

static CK_RV set_pin(const char *old, const char *new)
{
    return p11->C_SetPIN(fx.session, (CK_UTF8CHAR_PTR)old, sizeof material->user_pin,
                         (CK_UTF8CHAR_PTR) new, sizeof material->user_pin);
}

static CK_RV peer_begin(void)
{
    const char *store = getenv("LATCHKEY_STORE");
    snprintf(fx.dir, sizeof fx.dir, "%.*s", (int)(strrchr(store, '/') - store), store);
    map_material(O_RDWR);
    CK_RV rv = p11->C_Initialize(NULL);
    if (rv != CKR_OK)
        return rv;
    fx.slot = slot_of(LABEL);
    fx.session = open_session(fx.slot, CKF_RW_SESSION);
    return CKR_OK;
}

static CK_RV peer_mistype(void)
{
    assert_rv(CKR_PIN_INCORRECT, log_in_with(CKU_USER, material->wrong_pin));
    assert_rv(CKR_PIN_INCORRECT, log_in_with(CKU_SO, material->wrong_pin));
    assert_rv(CKR_PIN_INCORRECT, set_pin(material->wrong_pin, material->new_pin));
    return CKR_OK;
}

static CK_RV peer_login(void)
{
    return log_in_with(CKU_USER, material->user_pin);
}

/* The parent wrote the pointers of its own mapping. */
static CK_RV create_here(struct parts *p, CK_OBJECT_HANDLE *ret)
{
    for (CK_ULONG i = 0; i < p->n; i++)
        p->v[i].pValue = p->value[i].p;
    return create(p, ret);
}

static CK_RV create_data(CK_OBJECT_HANDLE *ret)
{
    CK_ATTRIBUTE template[] = {ATTR_ULONG(CKA_CLASS, CKO_DATA), ATTR_BOOL(CKA_TOKEN, true),
                               ATTR_BOOL(CKA_PRIVATE, true),
                               ATTR_MEM(CKA_LABEL, material->label, sizeof material->label),
                               ATTR_MEM(CKA_VALUE, material->content, sizeof material->content)};
    return p11->C_CreateObject(fx.session, template, COUNT(template), ret);
}

static CK_RV peer_make(void)
{
    struct parts *const all[] = {&material->rsa,    &material->rsa_tpm, &material->ec,
                                 &material->ec_tpm, &material->ed,      &material->aes,
                                 &material->hmac,   &material->sealed,  &material->session};
    CK_OBJECT_HANDLE data;
    for (size_t i = 0; i < COUNT(all); i++) {
        CK_RV rv = create_here(all[i], &keys[i]);
        if (rv != CKR_OK)
            return rv;
    }
    return create_data(&data);
}

static void use_secret_keys(CK_SESSION_HANDLE session)
{
    CK_BYTE iv[16] = {0}, in[64] = {1}, out[128];
    CK_MECHANISM cbc = {CKM_AES_CBC, iv, sizeof iv};
    const size_t aes[] = {5, 8};
    for (size_t i = 0; i < COUNT(aes); i++) {
        CK_ULONG n = sizeof out;
        assert_ok(p11->C_EncryptInit(session, &cbc, keys[aes[i]]));
        assert_ok(p11->C_Encrypt(session, in, sizeof in, out, &n));
    }
    sign(session, MECHANISM(CKM_SHA256_HMAC), keys[6], "0123456789", 10);
    sign(session, MECHANISM(CKM_SHA256_HMAC), keys[7], "0123456789", 10);
}

static void use_private_keys(CK_SESSION_HANDLE session)
{
    for (size_t i = 0; i < 2; i++) {
        sign(session, MECHANISM(CKM_SHA256_RSA_PKCS), keys[i], "0123456789", 10);
        sign(session, MECHANISM(CKM_ECDSA_SHA256), keys[2 + i], "0123456789", 10);
    }
    sign(session, MECHANISM(CKM_EDDSA), keys[4], "0123456789", 10);
}

/* Out and in again: its PrivateKeyInfo goes by in clear inside. */
static void wrap_keys(CK_SESSION_HANDLE session)
{
    static const size_t wrapped[] = {0, 2, 4, 7};
    CK_BYTE out[4096];
    for (size_t i = 0; i < COUNT(wrapped); i++) {
        CK_ULONG n = sizeof out;
        assert_ok(p11->C_WrapKey(session, MECHANISM(CKM_AES_KEY_WRAP_KWP), keys[8],
                                 keys[wrapped[i]], out, &n));
    }
}

static void read_data(CK_SESSION_HANDLE session)
{
    CK_ATTRIBUTE template[] = {ATTR_MEM(CKA_LABEL, material->label, sizeof material->label)};
    CK_ATTRIBUTE value = {CKA_VALUE, material->content, sizeof material->content};
    CK_OBJECT_HANDLE found;
    CK_ULONG n;
    assert_ok(p11->C_FindObjectsInit(session, template, COUNT(template)));
    assert_ok(p11->C_FindObjects(session, &found, 1, &n));
    assert_ok(p11->C_FindObjectsFinal(session));
    assert_int_equal(n, 1);
    assert_ok(p11->C_GetAttributeValue(session, found, &value, 1));
}

static CK_RV peer_use(void)
{
    use_secret_keys(fx.session);
    use_private_keys(fx.session);
    wrap_keys(fx.session);
    read_data(fx.session);
    return CKR_OK;
}

/* A thread that worked, and is there still with what it has on its stack. */
static void *work_and_wait(void *ret_done)
{
    CK_SESSION_HANDLE session = open_session(fx.slot, CKF_RW_SESSION);
    use_secret_keys(session);
    use_private_keys(session);
    wrap_keys(session);
    read_data(session);
    pthread_barrier_wait(ret_done);
    pause();
    return NULL;
}

static CK_RV peer_use_in_a_thread(void)
{
    static pthread_barrier_t done;
    pthread_t thread;
    pthread_barrier_init(&done, NULL, 2);
    assert_int_equal(pthread_create(&thread, NULL, work_and_wait, &done), 0);
    pthread_barrier_wait(&done);
    return CKR_OK;
}

static CK_RV peer_logout(void)
{
    return p11->C_Logout(fx.session);
}

static CK_RV peer_change_pins(void)
{
    assert_ok(set_pin(material->user_pin, material->new_pin));
    assert_ok(set_pin(material->new_pin, material->user_pin));
    assert_ok(log_in_with(CKU_SO, material->so_pin));
    assert_ok(set_pin(material->so_pin, material->new_pin));
    assert_ok(set_pin(material->new_pin, material->so_pin));
    assert_ok(
        p11->C_InitPIN(fx.session, (CK_UTF8CHAR_PTR)material->user_pin, sizeof material->user_pin));
    return p11->C_Logout(fx.session);
}

static CK_RV peer_finalize(void)
{
    return p11->C_Finalize(NULL);
}

/* As a crash would, in the middle of it all. */
static CK_RV peer_crash(void)
{
    const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
    if (setrlimit(RLIMIT_CORE, &all) != 0 || chdir(fx.dir) != 0)
        return CKR_FUNCTION_FAILED;
    munmap(material, sizeof *material);
    abort();
}

static const peer_step steps[] = {
    peer_begin,           peer_mistype, peer_login,       peer_make,     peer_use,
    peer_use_in_a_thread, peer_logout,  peer_change_pins, peer_finalize, peer_crash};

/* ---- what is looked for ------------------------------------------------------------------------
 */

static void random_text(char *p, size_t n)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/";
    struct blob random = random_blob(n);
    for (size_t i = 0; i < n; i++)
        p[i] = letters[random.p[i] % 64];
}

static void add_pin(const char *name, const char *pin)
{
    needle_add_key(&needles, name, pin, sizeof material->user_pin);
}

static void make_pins(void)
{
    random_text(material->user_pin, sizeof material->user_pin);
    random_text(material->so_pin, sizeof material->so_pin);
    random_text(material->new_pin, sizeof material->new_pin);
    random_text(material->wrong_pin, sizeof material->wrong_pin);
    add_pin("user PIN", material->user_pin);
    add_pin("SO PIN", material->so_pin);
    add_pin("new PIN", material->new_pin);
    add_pin("wrong PIN", material->wrong_pin);
}

static void on_token(struct parts *p, bool token, bool extractable)
{
    set_part(p, (CK_ATTRIBUTE)ATTR_BOOL(CKA_TOKEN, token));
    set_part(p, (CK_ATTRIBUTE)ATTR_BOOL(CKA_PRIVATE, true));
    set_part(p, (CK_ATTRIBUTE)ATTR_BOOL(CKA_SENSITIVE, true));
    set_part(p, (CK_ATTRIBUTE)ATTR_BOOL(CKA_EXTRACTABLE, extractable));
}

static void make_private(const char *kind, struct parts *sealed, struct parts *tpm)
{
    static const char *const numbers[] = {
        OSSL_PKEY_PARAM_RSA_D,         OSSL_PKEY_PARAM_RSA_FACTOR1,
        OSSL_PKEY_PARAM_RSA_FACTOR2,   OSSL_PKEY_PARAM_RSA_EXPONENT1,
        OSSL_PKEY_PARAM_RSA_EXPONENT2, OSSL_PKEY_PARAM_RSA_COEFFICIENT1};
    EVP_PKEY *key = make_key(kind);
    bool rsa = EVP_PKEY_is_a(key, "RSA");
    private_parts(key, sealed);
    on_token(sealed, true, true);
    if (tpm != NULL) {
        private_parts(key, tpm);
        on_token(tpm, true, false);
    }
    for (size_t i = 0; i < (rsa ? COUNT(numbers) : 0); i++) {
        struct blob number = rsa_number(key, numbers[i]);
        needle_add_number(&needles, numbers[i], number.p, number.n);
    }
    if (!rsa) {
        struct blob value = private_value(key);
        needle_add_number(&needles, kind, value.p, value.n);
    }
    EVP_PKEY_free(key);
}

/* RFC 8032, 5.1.5: what the seed is hashed to, clamped. */
static void add_ed25519_scalar(void)
{
    struct blob seed = *part(&material->ed, CKA_VALUE);
    struct blob hash = openssl_digest("SHA512", seed.p, seed.n);
    needle_add(&needles, "Ed25519's hashed seed", hash.p, 64);
}

static void make_secret(const char *name, CK_KEY_TYPE type, CK_ULONG n, bool token,
                        bool extractable, struct parts *p)
{
    struct blob value = random_blob(n);
    secret_parts(type, value, p);
    on_token(p, token, extractable);
    needle_add_key(&needles, name, value.p, n);
}

static void make_keys(void)
{
    struct blob content = random_blob(sizeof material->content);
    struct blob label = random_blob(sizeof material->label);
    make_private("RSA-2048", &material->rsa, &material->rsa_tpm);
    make_private("P-256", &material->ec, &material->ec_tpm);
    make_private("ED25519", &material->ed, NULL);
    add_ed25519_scalar();
    make_secret("AES key of the TPM", CKK_AES, 32, true, false, &material->aes);
    make_secret("HMAC key of the TPM", CKK_GENERIC_SECRET, 32, true, false, &material->hmac);
    make_secret("sealed secret", CKK_GENERIC_SECRET, 48, true, true, &material->sealed);
    make_secret("session's AES key", CKK_AES, 32, false, true, &material->session);
    memcpy(material->content, content.p, content.n);
    memcpy(material->label, label.p, label.n);
    needle_add(&needles, "private object's content", content.p, content.n)->ordinary = true;
    needle_add(&needles, "private object's label", label.p, label.n)->ordinary = true;
}

static void add_auth(const char *name, const char *pin, const uint8_t *uid, char role,
                     uint8_t *ret32)
{
    char text[sizeof material->user_pin + 1];
    snprintf(text, sizeof text, "%.*s", (int)sizeof material->user_pin, pin);
    stretch_pin(text, uid, role, 10000, ret32);
    needle_add_key(&needles, name, ret32, 32);
}

static void read_token_secret(const uint8_t *auth)
{
    CK_INTERFACE *interface;
    LATCHKEY_TOKEN_STATUS status;
    struct tpm_answer a;
    assert_ok(p11_3->C_GetInterface((CK_UTF8CHAR_PTR)LATCHKEY_INTERFACE, NULL, &interface, 0));
    assert_ok(((LATCHKEY_ADMIN *)interface->pFunctionList)->TokenStatus(fx.slot, &status));
    uint32_t index = (uint32_t)status.userIndex;
    struct tpm_command c = {.code = CC_NV_READ, .handle = {index, index}, .handles = 2};
    command_password(&c, auth, 32);
    raw_uint(&c.params, 32, 2);
    raw_uint(&c.params, 0, 2);
    assert_int_equal(command_send(&c, &a), 0);
    memcpy(token_secret, a.p + 16, 32); /* header, size of the parameters, size */
}

/* What follows from S, as ARCHITECTURE.md says: each is worth as much as S for what it opens. */
static void add_token_secret(void)
{
    static const char *const infos[] = {"latchkey object sealing", "latchkey object search",
                                        "latchkey object authentication"};
    static struct field uid;
    const uint8_t *s = token_secret;
    uint8_t auth[32], derived[48], prk[32];
    struct raw text = {0};
    copy_the_store();
    read_value("SELECT uid FROM token", &uid);
    add_auth("SO PIN, stretched", material->so_pin, uid.p, 'S', auth);
    add_auth("new user PIN, stretched", material->new_pin, uid.p, 'U', auth);
    add_auth("new SO PIN, stretched", material->new_pin, uid.p, 'S', auth);
    add_auth("wrong PIN, stretched", material->wrong_pin, uid.p, 'U', auth);
    add_auth("user PIN, stretched", material->user_pin, uid.p, 'U', auth);
    read_token_secret(auth);
    needle_add_key(&needles, "S", s, 32);
    raw_put(&text, s, 32);
    hmac_sha256(uid.p, 16, &text, prk); /* RFC 5869, 2.2 */
    needle_add_key(&needles, "HKDF-Extract of S", prk, 32);
    for (size_t i = 0; i < COUNT(infos); i++) {
        hkdf_sha256(s, 32, uid.p, 16, infos[i], derived, 32);
        needle_add_key(&needles, infos[i], derived, 32);
    }
    hkdf_sha256(s, 32, NULL, 0, "latchkey PIN reset", derived, 48);
    needle_add_number(&needles, "seed of the reset key", derived, 48);
}

static void add_key_authorizations(void)
{
    static struct field uid;
    uint8_t auth[32];
    copy_the_store();
    for (int i = 0; i < 4; i++) {
        char sql[100];
        snprintf(sql, sizeof sql, "SELECT uid FROM object WHERE auth = 1 LIMIT 1 OFFSET %d", i);
        read_value(sql, &uid);
        hkdf_sha256(token_secret, 32, uid.p, 16, "latchkey key authorization", auth, 32);
        needle_add_key(&needles, "a key's authorization", auth, 32);
    }
}

/* ---- tests -------------------------------------------------------------------------------------
 */

static char log_path[64];

static int group_secrets(void **state)
{
    CK_UTF8CHAR label[32];
    group_environment(state);
    map_material(O_RDWR | O_CREAT);
    make_pins();
    make_keys();
    assert_ok(initialize(NULL));
    pad_label(label, LABEL);
    assert_ok(p11->C_InitToken(blank_slot(), (CK_UTF8CHAR_PTR)material->so_pin,
                               sizeof material->so_pin, label));
    fx.slot = slot_of(LABEL);
    fx.session = open_session(fx.slot, CKF_RW_SESSION);
    assert_ok(log_in_with(CKU_SO, material->so_pin));
    assert_ok(
        p11->C_InitPIN(fx.session, (CK_UTF8CHAR_PTR)material->user_pin, sizeof material->user_pin));
    add_token_secret();
    assert_ok(p11->C_Finalize(NULL));
    snprintf(log_path, sizeof log_path, "%s/log", fx.dir);
    setenv("LATCHKEY_LOG", "trace", 1);
    setenv("LATCHKEY_LOG_FILE", log_path, 1);
    return 0;
}

static void assert_memory(const struct peer *p, enum memory_rule rule, const char *when)
{
    unsigned found = memory_search(p->pid, &needles, rule, material_path);
    if (found > 0)
        fail_msg("%u secrets in memory %s", found, when);
}

static void begin(struct peer *p)
{
    peer_start(p);
    assert_ok(peer_call(p, peer_begin));
}

/* The search finds what is there: S, in a process that is logged in, and the PIN in its host's
 * memory. */
static void the_search_finds(void **state)
{
    (void)state;
    struct peer p;
    static struct needles few;
    needle_add(&few, "user PIN", material->user_pin, sizeof material->user_pin);
    needle_add(&few, "S", token_secret, sizeof token_secret);
    begin(&p);
    assert_memory(&p, MEMORY_CLEAN, "before the login");
    assert_ok(peer_call(&p, peer_login));
    print_message("to be found:\n");
    unsigned found = memory_search(p.pid, &few, MEMORY_CLEAN, material_path);
    assert_true(found > 0);
    assert_true(memory_search(p.pid, &few, MEMORY_CLEAN, NULL) > found);
    peer_kill(&p);
}

static void pins_are_forgotten(void **state)
{
    (void)state;
    struct peer p;
    begin(&p);
    assert_ok(peer_call(&p, peer_mistype));
    assert_memory(&p, MEMORY_CLEAN, "after wrong PINs");
    assert_ok(peer_call(&p, peer_change_pins));
    assert_memory(&p, MEMORY_CLEAN, "after changes of the PINs");
    peer_stop(&p);
}

static void secrets_are_guarded_and_gone(void **state)
{
    (void)state;
    struct peer p;
    begin(&p);
    assert_ok(peer_call(&p, peer_login));
    assert_memory(&p, MEMORY_GUARDED, "after the login");
    assert_ok(peer_call(&p, peer_make));
    add_key_authorizations();
    assert_memory(&p, MEMORY_GUARDED, "after the keys were made");
    assert_ok(peer_call(&p, peer_use));
    assert_memory(&p, MEMORY_GUARDED, "after the keys were used");
    assert_ok(peer_call(&p, peer_use_in_a_thread));
    assert_memory(&p, MEMORY_GUARDED, "after a thread used them");
    assert_ok(peer_call(&p, peer_logout));
    assert_memory(&p, MEMORY_CLEAN, "after the logout");
    assert_ok(peer_call(&p, peer_finalize));
    assert_memory(&p, MEMORY_CLEAN, "after C_Finalize");
    peer_kill(&p);
}

/* At its most talkative the log had each of these calls. */
static void log_is_silent(void **state)
{
    (void)state;
    assert_int_equal(file_search(log_path, &needles), 0);
}

/* core or core.PID, as kernel.core_uses_pid says; it may lead elsewhere altogether. */
static bool core_file(char *ret, size_t size, pid_t pid)
{
    snprintf(ret, size, "%s/core.%d", fx.dir, (int)pid);
    if (access(ret, R_OK) != 0)
        snprintf(ret, size, "%s/core", fx.dir);
    return access(ret, R_OK) == 0;
}

static void core_dump_is_silent(void **state)
{
    (void)state;
    char path[100];
    struct peer p;
#ifdef __SANITIZE_ADDRESS__
    skip(); /* the sanitizer writes none */
#endif
    begin(&p);
    assert_ok(peer_call(&p, peer_login));
    assert_ok(peer_call(&p, peer_make));
    assert_ok(peer_call(&p, peer_use));
    peer_send(&p, peer_crash);
    pid_t pid = p.pid;
    close(p.fd);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    if (!core_file(path, sizeof path, pid)) {
        print_message("no core file here: its pattern leads elsewhere\n");
        skip();
    }
    struct needles hidden = {0};
    for (size_t i = 0; i < needles.n; i++)
        if (!needles.v[i].ordinary)
            hidden.v[hidden.n++] = needles.v[i];
    assert_int_equal(file_search(path, &hidden), 0);
}

int main(int argc, char **argv)
{
    peer_serve(argc, argv, steps, COUNT(steps));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(the_search_finds, test_end),
        cmocka_unit_test_teardown(pins_are_forgotten, test_end),
        cmocka_unit_test_teardown(secrets_are_guarded_and_gone, test_end),
        cmocka_unit_test_teardown(core_dump_is_silent, test_end),
        cmocka_unit_test_teardown(log_is_silent, test_end),
    };
    return cmocka_run_group_tests(tests, group_secrets, group_end);
}
