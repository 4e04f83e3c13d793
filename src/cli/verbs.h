/* The tables the command line is read with: verbs, options, exit codes. */
#ifndef CLI_VERBS_H
#define CLI_VERBS_H

#include "cli.h"

struct option_row {
    const char *name;     /* without the dashes */
    char letter;          /* 0: none */
    const char *argument; /* NULL: a flag */
    const char *values;   /* the values there are, for completion; NULL: open */
    const char *help;
};

extern const struct option_row option_rows[OPTIONS];
extern const char *const exit_texts[EXIT_CODES];
extern const struct verb verbs[];
extern const size_t n_verbs;

/* Reads argv into cli: the verb, its options, its arguments. TOLD(EXIT_USAGE) when it cannot. */
CK_RV command_line(struct cli *cli, int argc, char **argv);
/* Does the row's phrase begin with these words? *ret_rest: what follows them, "" at its end. */
bool verb_begins(const struct verb *v, const char **words, size_t n, const char **ret_rest);
/* The usage line of a verb, then its options and paragraph. */
void print_verb(const struct verb *v);

CK_RV token_create(struct cli *cli);
CK_RV token_list(struct cli *cli);
CK_RV token_show(struct cli *cli);
CK_RV token_destroy(struct cli *cli);
CK_RV token_pin(struct cli *cli);
CK_RV token_reset_pin(struct cli *cli);
CK_RV key_generate(struct cli *cli);
CK_RV key_list(struct cli *cli);
CK_RV key_show(struct cli *cli);
CK_RV key_delete(struct cli *cli);
CK_RV key_csr(struct cli *cli);
CK_RV key_import(struct cli *cli);
CK_RV key_export(struct cli *cli);
CK_RV key_wrap(struct cli *cli);
CK_RV key_unwrap(struct cli *cli);
CK_RV cert_import(struct cli *cli);
CK_RV cert_export(struct cli *cli);
CK_RV cert_delete(struct cli *cli);
CK_RV object_list(struct cli *cli);
CK_RV file_encrypt(struct cli *cli);
CK_RV file_decrypt(struct cli *cli);
CK_RV file_sign(struct cli *cli);
CK_RV file_verify(struct cli *cli);
CK_RV secret_put(struct cli *cli);
CK_RV secret_get(struct cli *cli);
CK_RV secret_list(struct cli *cli);
CK_RV secret_delete(struct cli *cli);
CK_RV ssh_agent(struct cli *cli);
CK_RV object_uri(struct cli *cli);
CK_RV example(struct cli *cli);
CK_RV migrate_softhsm(struct cli *cli);
CK_RV setup(struct cli *cli);
CK_RV show_module(struct cli *cli);
CK_RV migrate_tpm2_pkcs11(struct cli *cli);
CK_RV tpm_status(struct cli *cli);
CK_RV tpm_harden(struct cli *cli);
CK_RV tpm_unlock(struct cli *cli);
CK_RV tpm_remove_index(struct cli *cli);
CK_RV simulate_start(struct cli *cli);
CK_RV simulate_stop(struct cli *cli);
CK_RV simulate_status(struct cli *cli);
CK_RV doctor(struct cli *cli);
CK_RV help(struct cli *cli);
CK_RV version(struct cli *cli);
CK_RV complete(struct cli *cli);

#endif
