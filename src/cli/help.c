#include "verbs.h"

#include <stdio.h>
#include <string.h>
#include "module.h"
#include "output.h"

static void print_option(const struct option_row *row)
{
    char left[64], letter[4] = "";
    if (row->letter)
        snprintf(letter, sizeof(letter), "-%c,", row->letter);
    snprintf(left, sizeof(left), "%3s --%s %s", letter, row->name,
             row->argument ? row->argument : "");
    printf("  %-30s  %s\n", left, row->help);
}

void print_verb(const struct verb *v)
{
    printf("%slatchkey %s%s [OPTIONS] %s\n  %s.\n", style(stdout, STYLE_BOLD), v->words,
           style(stdout, STYLE_PLAIN), v->arguments, v->summary);
    for (size_t i = 0; i < OPTIONS; i++)
        if (v->options >> i & 1)
            print_option(&option_rows[i]);
    if (v->help)
        printf("\n%s\n", v->help);
}

static void print_summary(void)
{
    printf("%slatchkey%s: keys in the TPM, used through PKCS#11\n\n", style(stdout, STYLE_BOLD),
           style(stdout, STYLE_PLAIN));
    for (size_t i = 0; i < n_verbs; i++) {
        char left[64];
        if (!verbs[i].summary)
            continue;
        snprintf(left, sizeof(left), "%s %s", verbs[i].words, verbs[i].arguments);
        printf("  %-24s  %s\n", left, verbs[i].summary);
    }
    printf("\nA KEY, CERT or TOKEN is named by its label or by a pkcs11: URI (RFC 7512).\n"
           "'latchkey help VERB' lists a verb's options; latchkey(1) tells the rest.\n\n"
           "Exit status:\n");
    for (size_t i = 0; i < EXIT_CODES; i++)
        printf("  %zu  %s\n", i, exit_texts[i]);
}

CK_RV help(struct cli *cli)
{
    if (cli->n_args == 0) {
        print_summary();
        return CKR_OK;
    }
    bool found = false;
    const char *rest;
    for (size_t i = 0; i < n_verbs; i++) {
        if (!verbs[i].summary || !verb_begins(&verbs[i], cli->args, cli->n_args, &rest))
            continue;
        fputs(found ? "\n" : "", stdout);
        print_verb(&verbs[i]);
        found = true;
    }
    return found ? CKR_OK
                 : fail(EXIT_USAGE, "See 'latchkey help'.", "there is no verb '%s'", cli->args[0]);
}

CK_RV version(struct cli *cli)
{
    printf("latchkey %s\n", LATCHKEY_VERSION);
    CK_INFO info;
    TRY(module_open(cli, NULL));
    TRY(check(cli->module.p11->C_GetInfo(&info), "ask the module for its version"));
    printf("%s: %s %u.%u, Cryptoki %u.%u\n", cli->module.path, PADDED(info.libraryDescription),
           info.libraryVersion.major, info.libraryVersion.minor, info.cryptokiVersion.major,
           info.cryptokiVersion.minor);
    return CKR_OK;
}
