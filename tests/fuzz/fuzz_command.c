/* What the `latchkey` command is told: a command line, whose words are URIs, too, and a file with a
 * PIN in its first line. The input's lines are the words; the first byte chooses. */
#include "fuzz_command.h"

#include "pin.h"
#include "uri.h"
#include "verbs.h"

enum { WORDS = 64 };

static struct memory_file file;

/* ---- URIs ---------------------------------------------------------------------------------- */

static void read_uri(const char *text, enum uri_kind kind)
{
    P11KitUri *uri = NULL;
    char *first = NULL, *second = NULL;
    CK_RV rv = uri_parse(text, kind, &uri);
    CHECK((rv == CKR_OK) == (uri != NULL));
    if (!uri)
        return;
    CHECK(!p11_kit_uri_get_pin_value(uri) && !p11_kit_uri_any_unrecognized(uri));
    if (p11_kit_uri_format(uri, P11_KIT_URI_FOR_ANY, &first) == P11_KIT_URI_OK) {
        P11KitUri *again = NULL;
        CHECK(uri_parse(first, kind, &again) == CKR_OK);
        CHECK(p11_kit_uri_format(again, P11_KIT_URI_FOR_ANY, &second) == P11_KIT_URI_OK);
        CHECK(strcmp(first, second) == 0);
        p11_kit_uri_free(again);
    }
    free(first);
    free(second);
    uri_free(&uri);
}

/* What we print for an object, whatever its label and ID, is read as just that object. */
static void print_uri(struct bytes label, struct bytes id)
{
    struct buf text = {0};
    struct cli cli = {0};
    P11KitUri *uri = NULL;
    memset(cli.token.info.label, ' ', sizeof(cli.token.info.label));
    memset(cli.token.info.serialNumber, ' ', sizeof(cli.token.info.serialNumber));
    memcpy(cli.token.info.label, label.p, label.n < 32 ? label.n : 32);
    CHECK(uri_format(&cli, CKO_CERTIFICATE, id, label, &text) == CKR_OK);
    CHECK(uri_parse((char *)text.p, URI_OBJECT, &uri) == CKR_OK);
    CK_ATTRIBUTE *got = p11_kit_uri_get_attribute(uri, CKA_LABEL);
    CHECK(got && bytes_equal(BYTES(got->pValue, got->ulValueLen), label));
    got = p11_kit_uri_get_attribute(uri, CKA_ID);
    CHECK(id.n == 0 || (got && bytes_equal(BYTES(got->pValue, got->ulValueLen), id)));
    CHECK(memcmp(p11_kit_uri_get_token_info(uri)->label, cli.token.info.label, 32) == 0 ||
          cli.token.info.label[0] == ' ');
    uri_free(&uri);
    buf_free(&text);
}

/* ---- the command line ---------------------------------------------------------------------- */

static void read_command(char *text)
{
    char *argv[WORDS + 2] = {(char[]){"latchkey"}, NULL}, *rest = text;
    struct cli cli = {0};
    int argc = 1;
    for (char *word; argc <= WORDS && (word = strsep(&rest, "\n"));)
        argv[argc++] = word;
    if (command_line(&cli, argc, argv) == CKR_OK) {
        CHECK(cli.verb && cli.verb->run);
        CHECK(cli.option[OPT_HELP] ||
              (cli.n_args >= cli.verb->min_args && cli.n_args <= cli.verb->max_args));
    }
    free(cli.words);
    for (int i = 1; i < argc; i++) {
        read_uri(argv[i], i & 1 ? URI_OBJECT : URI_TOKEN);
        if (*argv[i])
            print_uri(BYTES_STR(argv[i]), i + 1 < argc ? BYTES_STR(argv[i + 1]) : NO_BYTES);
    }
}

static void read_pin(struct bytes content)
{
    struct secret pin = {0};
    memory_file_set(&file, content);
    if (pin_from_file(file.path, "PIN", &pin) == CKR_OK) {
        CHECK(pin.n && pin.n <= content.n && memcmp(pin.p, content.p, pin.n) == 0);
        CHECK(!memchr(pin.p, '\n', pin.n));
    }
    secret_free(&pin);
}

/* ---- the target ---------------------------------------------------------------------------- */

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    file = memory_file("pin");
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes in = BYTES(data, size);
    uint8_t how = next_u8(&in);
    char *text = calloc(1, in.n + 1);
    CHECK(text);
    if (in.n)
        memcpy(text, in.p, in.n);
    quiet(true);
    if (how & 1)
        read_pin(in);
    else
        read_command(text);
    quiet(false);
    free(text);
    CHECK(secret_in_use() == 0);
    return 0;
}
