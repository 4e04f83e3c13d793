/* Counting what a step sent to the TPM. */
#ifndef TESTS_SPEND_H
#define TESTS_SPEND_H

#include "keys.h"

/* Prints what the step sent, and fails when it was more than the limit. */
static inline void spend(const char *step, unsigned limit)
{
    unsigned count = proxy_count();
    proxy_print(step);
    if (count > limit)
        fail_msg("%s: %u commands, the budget is %u", step, count, limit);
    proxy_clear();
}

static inline int test_clear(void **state)
{
    (void)state;
    proxy_clear();
    return 0;
}

#define BUDGET_TEST(f) cmocka_unit_test_setup_teardown(f, test_clear, test_end)

#endif
