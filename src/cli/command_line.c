#include "verbs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const see_help = "See 'latchkey help'.";

bool verb_begins(const struct verb *v, const char **words, size_t n, const char **ret_rest)
{
    const char *rest = v->words;
    for (size_t i = 0; i < n; i++) {
        size_t len = strcspn(rest, " ");
        if (!*rest || strlen(words[i]) != len || strncmp(rest, words[i], len) != 0)
            return false;
        rest += len + strspn(rest + len, " ");
    }
    *ret_rest = rest;
    return true;
}

static const struct option_row *find_option(const char *name, size_t len)
{
    for (size_t i = 0; i < OPTIONS; i++)
        if (strlen(option_rows[i].name) == len && !strncmp(option_rows[i].name, name, len))
            return &option_rows[i];
    return NULL;
}

static const struct option_row *find_letter(char letter)
{
    for (size_t i = 0; i < OPTIONS; i++)
        if (letter && option_rows[i].letter == letter)
            return &option_rows[i];
    return NULL;
}

/* One option at argv[*i]: --name, --name=value, --name value, -n value, -nvalue. */
static CK_RV take_option(struct cli *cli, int argc, char **argv, int *i)
{
    const char *word = argv[*i], *value = NULL;
    const struct option_row *row;
    if (word[1] == '-') {
        size_t len = strcspn(word + 2, "=");
        row = find_option(word + 2, len);
        value = word[2 + len] ? word + 3 + len : NULL;
    } else {
        row = find_letter(word[1]);
        value = word[2] ? word + 2 : NULL;
    }
    if (!row)
        return fail(EXIT_USAGE, see_help, "there is no option '%s'", word);
    if (row->argument && !value)
        value = *i + 1 < argc ? argv[++*i] : NULL;
    if (row->argument && !value)
        return fail(EXIT_USAGE, see_help, "--%s needs a value: %s", row->name, row->argument);
    if (!row->argument && value)
        return fail(EXIT_USAGE, see_help, "--%s takes no value", row->name);
    cli->option[row - option_rows] = row->argument ? value : "";
    return CKR_OK;
}

/* The row whose words all stand in front; the words are taken from the arguments. */
static CK_RV find_verb(struct cli *cli)
{
    const char *rest;
    for (size_t i = 0; i < n_verbs; i++) {
        size_t words = 1;
        for (const char *s = verbs[i].words; *s; s++)
            words += *s == ' ';
        if (words > cli->n_args || !verb_begins(&verbs[i], cli->args, words, &rest))
            continue;
        cli->verb = &verbs[i];
        cli->args += words;
        cli->n_args -= words;
        return CKR_OK;
    }
    for (size_t i = 0; cli->n_args && i < n_verbs; i++)
        if (verb_begins(&verbs[i], cli->args, 1, &rest))
            return fail(EXIT_USAGE, see_help, "'%s' needs a verb that exists, such as '%s'",
                        cli->args[0], verbs[i].words);
    return fail(EXIT_USAGE, see_help, "%s%s%s",
                cli->n_args ? "there is no verb '" : "no verb given",
                cli->n_args ? cli->args[0] : "", cli->n_args ? "'" : "");
}

static CK_RV check_verb(const struct cli *cli)
{
    const struct verb *v = cli->verb;
    for (size_t i = 0; i < OPTIONS; i++)
        if (cli->option[i] && !(v->options >> i & 1))
            return fail(EXIT_USAGE, NULL, "'%s' takes no --%s; see 'latchkey help %s'", v->words,
                        option_rows[i].name, v->words);
    if (cli->option[OPT_HELP] || (cli->n_args >= v->min_args && cli->n_args <= v->max_args))
        return CKR_OK;
    return fail(EXIT_USAGE, NULL, "usage: latchkey %s [OPTIONS] %s", v->words, v->arguments);
}

/* Is this the first word of a command that the verb runs? Options from here on are not ours. */
static bool command_begins(const struct cli *cli)
{
    const char *rest;
    for (size_t i = 0; i < n_verbs; i++)
        if (verbs[i].max_args == A_COMMAND && cli->n_args > 1 &&
            verb_begins(&verbs[i], cli->args, cli->n_args - 1, &rest) && !*rest)
            return true;
    return false;
}

CK_RV command_line(struct cli *cli, int argc, char **argv)
{
    cli->words = calloc((size_t)argc + 1, sizeof(*cli->words));
    if (!cli->words)
        return CKR_HOST_MEMORY;
    cli->args = cli->words;
    cli->n_args = 0;
    /* the completion's words are data, whatever they look like */
    bool words_only = argc > 1 && !strcmp(argv[1], "complete");
    for (int i = 1; i < argc; i++) {
        if (words_only || argv[i][0] != '-' || !argv[i][1]) {
            cli->args[cli->n_args++] = argv[i];
            words_only = words_only || command_begins(cli);
        } else if (!strcmp(argv[i], "--"))
            words_only = true;
        else
            TRY(take_option(cli, argc, argv, &i));
    }
    static const char *help_verb[] = {"help", NULL};
    if (cli->n_args == 0 && (cli->option[OPT_HELP] || argc == 1)) {
        cli->args = help_verb;
        cli->n_args = 1;
        cli->option[OPT_HELP] = NULL;
    }
    TRY(find_verb(cli));
    return check_verb(cli);
}
