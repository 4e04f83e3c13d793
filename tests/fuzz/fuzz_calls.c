/* Any sequence of calls, with any arguments: the input decides what tests/lib/calls.c draws. */
#include "calls.h"
#include "fuzz.h"
#include "inner_module.h"

enum { MOST = 200 }; /* calls of one input */

static void prepare(void)
{
    calls_fixed_keys();
    calls_learn();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    inner_module_start(prepare);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct caller c;
    inner_module_begin();
    calls_start(&c, 0, true);
    c.input = data;
    c.input_n = size;
    while (c.input_n && c.number < MOST)
        calls_next(&c);
    calls_still_work(&c);
    CHECK(c.faults == 0);
    inner_module_end();
    return 0;
}
