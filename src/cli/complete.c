/* `latchkey complete WORD...`: what may stand for the last WORD, a line each. Called by the shell's
 * completion, so that the tables in verbs.c stay the only ones. */
#include "verbs.h"

#include <stdio.h>
#include <string.h>
#include "embedded.h"
#include "setup.h"

static const struct option_row *option_of(const char *word)
{
    for (size_t i = 0; i < OPTIONS; i++) {
        const char letter[] = {'-', option_rows[i].letter, '\0'};
        if ((!strncmp(word, "--", 2) && !strcmp(word + 2, option_rows[i].name)) ||
            (option_rows[i].letter && !strcmp(word, letter)))
            return &option_rows[i];
    }
    return NULL;
}

static void print_words(const char *list)
{
    for (const char *s = list; *s; s += strspn(s, " ")) {
        size_t len = strcspn(s, " ");
        printf("%.*s\n", (int)len, s);
        s += len;
    }
}

/* The next word of each phrase that begins so, each once: rows with one beginning stand together.
 */
static void print_next(const char **words, size_t n)
{
    const char *rest, *last = "";
    for (size_t i = 0; i < n_verbs; i++) {
        if (!verbs[i].summary || !verb_begins(&verbs[i], words, n, &rest) || !*rest)
            continue;
        size_t len = strcspn(rest, " ");
        if (strncmp(last, rest, len + 1) != 0)
            printf("%.*s\n", (int)len, rest);
        last = rest;
    }
}

static const struct verb *whole_verb(const char **words, size_t n)
{
    const char *rest;
    for (; n; n--)
        for (size_t i = 0; i < n_verbs; i++)
            if (verb_begins(&verbs[i], words, n, &rest) && !*rest)
                return &verbs[i];
    return NULL;
}

/* What a verb's arguments can be, where that is a list; n words stand before it. */
static void print_arguments(const struct verb *v, size_t n)
{
    for (size_t i = 0; v && v->run == setup && i < n_targets; i++)
        printf("%s\n", targets[i].name);
    for (size_t i = 0; v && v->run == example && n == 1 && i < n_examples; i++)
        printf("%s\n", examples[i].name);
}

CK_RV complete(struct cli *cli)
{
    const char *words[64];
    size_t n = 0, last = cli->n_args ? cli->n_args - 1 : 0;
    const char *typed = cli->n_args ? cli->args[last] : "";
    const struct option_row *before = last ? option_of(cli->args[last - 1]) : NULL;
    if (before && before->argument) {
        print_words(before->values ? before->values : "");
        return CKR_OK;
    }
    for (size_t i = 0; i < last && n < 64; i++) {
        const struct option_row *option = option_of(cli->args[i]);
        if (cli->args[i][0] != '-')
            words[n++] = cli->args[i];
        else if (option && option->argument)
            i++;
    }
    const struct verb *v = whole_verb(words, n);
    if (!v || v->run == help)
        print_next(words + (v ? 1 : 0), n - (v ? 1 : 0));
    print_arguments(v, n);
    for (size_t i = 0; v && *typed == '-' && i < OPTIONS; i++)
        if (v->options >> i & 1)
            printf("--%s\n", option_rows[i].name);
    return CKR_OK;
}
