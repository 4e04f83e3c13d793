/* `latchkey setup`: tells the programs of this machine of the module, and undoes that. Each target
 * makes steps, a file each, with its content before and after; what is shown, done and undone
 * follows from these alone. */
#include "setup.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <libgen.h>
#include <openssl/conf.h>
#include <openssl/x509.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "file.h"
#include "machine.h"
#include "module.h"
#include "output.h"
#include "pin.h"
#include "verbs.h"

static void step_free(struct step *s)
{
    free(s->path);
    content_free(&s->before);
    content_free(&s->after);
}

static void setup_free(struct setup *s)
{
    for (size_t i = 0; i < s->n; i++)
        step_free(&s->steps[i]);
    free(s->steps);
}

/* ---- making steps ---- */

static CK_RV new_step(struct setup *s, const struct target *target, struct step **ret)
{
    struct step *grown = reallocarray(s->steps, s->n + 1, sizeof(*grown));
    if (!grown)
        return CKR_HOST_MEMORY;
    s->steps = grown;
    *ret = &s->steps[s->n++];
    **ret = (struct step){.target = target};
    return CKR_OK;
}

CK_RV setup_absent(struct setup *s, const struct target *target, const char *why)
{
    struct step *step;
    TRY(new_step(s, target, &step));
    step->why = why;
    return CKR_OK;
}

static CK_RV read_content(const char *path, struct content *ret)
{
    ret->exists = access(path, F_OK) == 0;
    return ret->exists ? file_get(path, &ret->text) : CKR_OK;
}

CK_RV setup_file(struct setup *s, const struct target *target, const char *path,
                 enum edit_kind kind, const char *text)
{
    struct step *step;
    TRY(new_step(s, target, &step));
    step->path = strdup(path);
    if (!step->path)
        return CKR_HOST_MEMORY;
    TRY(read_content(path, &step->before));
    TRY(edit(kind, &step->before, text, s->remove, &step->after, &step->why));
    bool same = content_equal(&step->before, &step->after);
    step->state = step->why ? STEP_REFUSED : same ? STEP_DONE : STEP_CHANGE;
    return CKR_OK;
}

/* ---- NSS: modutil edits pkcs11.txt, and knows what else belongs to it ---- */

static bool has_line(const struct content *c, const char *key, const char *value)
{
    char line[PATH_MAX + 64];
    int n = snprintf(line, sizeof(line), "%s=%s\n", key, value);
    return c->text.n && memmem(c->text.p, c->text.n, line, (size_t)n);
}

CK_RV setup_nss(struct setup *s, const struct target *target, const char *directory)
{
    struct step *step;
    TRY(new_step(s, target, &step));
    if (asprintf(&step->path, "%s/pkcs11.txt", directory) < 0) {
        step->path = NULL;
        return CKR_HOST_MEMORY;
    }
    step->nss = true;
    TRY(read_content(step->path, &step->before));
    bool named = has_line(&step->before, "name", "latchkey");
    bool done =
        s->remove ? !named : named && has_line(&step->before, "library", s->cli->module.path);
    step->replaces = named && !done && !s->remove;
    step->state = done ? STEP_DONE : STEP_CHANGE;
    return CKR_OK;
}

/* Its output is shown when it fails. */
static CK_RV run_modutil(const char *const *argv)
{
    char said[1024] = "";
    FILE *output = tmpfile();
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int status = -1;
    if (!output || posix_spawn_file_actions_init(&actions) != 0)
        return CKR_HOST_MEMORY;
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, fileno(output), 1);
    posix_spawn_file_actions_adddup2(&actions, fileno(output), 2);
    int rc = posix_spawnp(&pid, argv[0], &actions, NULL, (char **)(uintptr_t)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (rc == 0)
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
    rewind(output);
    size_t n = fread(said, 1, sizeof(said) - 1, output);
    said[n] = '\0';
    fclose(output);
    return status == 0 ? CKR_OK
                       : fail(EXIT_FAILED, "Programs that use this database must be closed.",
                              "modutil failed: %s", rc ? strerror(rc) : said);
}

static CK_RV modutil(const struct setup *s, const struct step *step, bool remove)
{
    char directory[PATH_MAX], *copy = strdup(step->path);
    if (!copy)
        return CKR_HOST_MEMORY;
    snprintf(directory, sizeof(directory), "sql:%s", dirname(copy));
    free(copy);
    const char *add[] = {"modutil", "-force",   "-dbdir",   directory,
                         "-add",    "latchkey", "-libfile", s->cli->module.path,
                         NULL};
    const char *delete[] = {"modutil", "-force", "-dbdir", directory, "-delete", "latchkey", NULL};
    return run_modutil(remove ? delete : add);
}

static CK_RV apply_nss(const struct setup *s, const struct step *step)
{
    if (step->replaces)
        TRY(modutil(s, step, true));
    return modutil(s, step, s->remove);
}

/* ---- doing ---- */

static CK_RV make_parents(const char *path)
{
    char copy[PATH_MAX];
    if (snprintf(copy, sizeof(copy), "%s", path) >= (int)sizeof(copy))
        return fail(EXIT_FAILED, NULL, "the path is too long: %s", path);
    for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(copy, strstr(copy, "/.ssh") ? 0700 : 0755) != 0 && errno != EEXIST)
            return fail(EXIT_FAILED, NULL, "the directory %s cannot be made: %s", copy,
                        strerror(errno));
        *slash = '/';
    }
    return CKR_OK;
}

static CK_RV apply(const struct setup *s, const struct step *step)
{
    if (step->nss)
        return apply_nss(s, step);
    if (step->after.exists) {
        TRY(make_parents(step->path));
        return file_put(step->path, buf_bytes(&step->after.text));
    }
    return unlink(step->path) == 0
               ? CKR_OK
               : fail(EXIT_FAILED, NULL, "%s cannot be deleted: %s", step->path, strerror(errno));
}

static CK_RV apply_all(const struct setup *s)
{
    CK_RV ret = CKR_OK;
    for (size_t i = 0; i < s->n; i++) {
        const struct step *step = &s->steps[i];
        if (step->state == STEP_REFUSED)
            ret = fail(EXIT_FAILED, NULL, "%s was left as it is: %s", step->path, step->why);
        if (step->state != STEP_CHANGE)
            continue;
        CK_RV rv = apply(s, step);
        ret = rv == CKR_OK ? ret : rv;
        if (rv == CKR_OK && step->target->hint && !s->remove && !s->cli->option[OPT_JSON])
            printf("%s %s\n", step->target->hint, step->path);
    }
    return ret;
}

/* ---- showing ---- */

static void print_lines(char sign, const char *at, const char *end)
{
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline ? newline : end;
        printf("    %c %.*s\n", sign, (int)(stop - at), at);
        at = stop + 1;
    }
}

/* Edits are in one place: what is between the common lines of the beginning and the end. */
static void print_difference(const struct step *step)
{
    const char *a = (const char *)step->before.text.p, *a_end = a + step->before.text.n;
    const char *b = (const char *)step->after.text.p, *b_end = b + step->after.text.n;
    const char *a_line = a, *b_line = b;
    while (a < a_end && b < b_end && *a == *b) {
        a++;
        b++;
        if (a[-1] == '\n') {
            a_line = a;
            b_line = b;
        }
    }
    a = a_end;
    b = b_end;
    while (a_end > a_line && b_end > b_line && a_end[-1] == b_end[-1]) {
        a_end--;
        b_end--;
        if (*a_end == '\n') {
            a = a_end + 1;
            b = b_end + 1;
        }
    }
    print_lines('-', a_line, a);
    print_lines('+', b_line, b);
}

static const char *const state_names[] = {
    [STEP_ABSENT] = "absent",
    [STEP_DONE] = "done",
    [STEP_CHANGE] = "change",
    [STEP_REFUSED] = "refused",
};

static const char *in_words(const struct setup *s, const struct step *step)
{
    switch (step->state) {
    case STEP_ABSENT:
    case STEP_REFUSED:
        return step->why;
    case STEP_DONE:
        return s->remove ? "nothing of latchkey is in it" : "is in order";
    default:
        return !s->remove           ? step->before.exists ? "is changed" : "is made"
               : step->after.exists ? "is changed back"
               : step->nss          ? "is changed back"
                                    : "is deleted";
    }
}

static void print_plan(const struct setup *s)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct step *step = &s->steps[i];
        printf("%s%-9s%s %s%s%s\n", style(stdout, STYLE_BOLD), step->target->name,
               style(stdout, STYLE_PLAIN), step->path ? step->path : "", step->path ? ": " : "",
               in_words(s, step));
        if (step->state == STEP_CHANGE && step->nss)
            printf("    modutil %s latchkey\n", s->remove ? "-delete" : "-add");
        else if (step->state == STEP_CHANGE)
            print_difference(step);
    }
}

static CK_RV print_json(const struct setup *s)
{
    static const struct column columns[] = {{"program", "PROGRAM", CELL_TEXT},
                                            {"state", "STATE", CELL_TEXT},
                                            {"path", "PATH", CELL_TEXT},
                                            {"text", "TEXT", CELL_TEXT}};
    CLEANUP(table_free) struct table t = TABLE(columns);
    for (size_t i = 0; i < s->n; i++) {
        const struct step *step = &s->steps[i];
        table_cell(&t, "%s", step->target->name);
        table_cell(&t, "%s", state_names[step->state]);
        step->path ? table_cell(&t, "%s", step->path) : table_none(&t);
        table_cell(&t, "%s", in_words(s, step));
    }
    return table_print_list(&t, true);
}

/* ---- the verb ---- */

static CK_RV plan_named(struct setup *s, const char *name)
{
    for (size_t i = 0; i < n_targets; i++)
        if (!strcmp(targets[i].name, name))
            return targets[i].plan(s, &targets[i]);
    return fail(EXIT_USAGE, "It knows p11-kit, openssl, nss, firefox and ssh.",
                "setup knows no '%s'", name);
}

static CK_RV plan(struct setup *s)
{
    for (size_t i = 0; i < s->cli->n_args; i++)
        TRY(plan_named(s, s->cli->args[i]));
    for (size_t i = 0; i < n_targets && !s->cli->n_args; i++)
        TRY(targets[i].plan(s, &targets[i]));
    return CKR_OK;
}

static bool has_state(const struct setup *s, enum step_state state)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->steps[i].state == state)
            return true;
    return false;
}

CK_RV setup(struct cli *cli)
{
    CLEANUP(setup_free) struct setup s = {.cli = cli, .remove = cli->option[OPT_REMOVE]};
    /* a file that is registered with everything had better be a module; a removal needs its path
     * alone */
    if (s.remove)
        (void)module_load(cli, NULL);
    else
        TRY(module_need(cli));
    TRY(plan(&s));
    if (cli->option[OPT_JSON])
        TRY(print_json(&s));
    else
        print_plan(&s);
    if (cli->option[OPT_DRY_RUN])
        return CKR_OK;
    if (has_state(&s, STEP_CHANGE) && !cli->option[OPT_YES]) {
        fflush(stdout);
        TRY(terminal_confirm("Type yes to do this: ", "yes"));
    }
    return apply_all(&s);
}
