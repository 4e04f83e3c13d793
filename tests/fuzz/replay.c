/* The main of a fuzz target that is built as a test: gives it each file of its corpus, or of the
 * arguments, as memory of exactly that length. */
#include <dirent.h>
#include "fuzz.h"

static unsigned replayed;

static void replay(const char *path)
{
    enum { MOST = 1 << 20 };
    FILE *f = fopen(path, "rb");
    uint8_t *room = malloc(MOST);
    CHECK(f && room);
    size_t n = fread(room, 1, MOST, f);
    fclose(f);
    uint8_t *input = malloc(n ? n : 1);
    CHECK(input);
    memcpy(input, room, n);
    free(room);
    fprintf(stderr, "%s\n", path); /* the last line is the one that failed */
    LLVMFuzzerTestOneInput(input, n);
    free(input);
    replayed++;
}

static void replay_all(const char *path)
{
    struct dirent **names;
    char file[4096];
    int n = scandir(path, &names, NULL, alphasort);
    if (n < 0)
        replay(path);
    for (int i = 0; i < n; i++) {
        snprintf(file, sizeof(file), "%s/%s", path, names[i]->d_name);
        if (names[i]->d_name[0] != '.')
            replay(file);
        free(names[i]);
    }
    if (n >= 0)
        free(names);
}

int main(int argc, char **argv)
{
    LLVMFuzzerInitialize(&argc, &argv);
    if (argc == 1)
        replay_all(CORPUS);
    for (int i = 1; i < argc; i++)
        replay_all(argv[i]);
    printf("%u inputs\n", replayed);
    return replayed ? EXIT_SUCCESS : EXIT_FAILURE;
}
