/* The `latchkey` command: reads the command line and runs the verb's function. */
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include "module.h"
#include "verbs.h"

static CK_RV run(struct cli *cli, int argc, char **argv)
{
    TRY(command_line(cli, argc, argv));
    if (cli->option[OPT_HELP]) {
        print_verb(cli->verb);
        return CKR_OK;
    }
    return cli->verb->run(cli);
}

int main(int argc, char **argv)
{
    /* the user's openssl.cnf may load an engine or provider that loads the module once more */
    OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
    /* the module's log says in one line what tpm2-tss would say in ten before it */
    setenv("TSS2_LOG", "all+NONE", 0);
    struct cli cli = {0};
    CK_RV rv = run(&cli, argc, argv);
    module_close(&cli);
    free(cli.words);
    if (fflush(stdout) != 0 || ferror(stdout))
        rv = fail(EXIT_FAILED, NULL, "the output cannot be written");
    return exit_status(rv);
}
