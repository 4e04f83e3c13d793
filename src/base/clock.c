#include "clock.h"

#include <time.h>

int64_t clock_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * CLOCK_SECOND + now.tv_nsec;
}

void clock_pause(long ns)
{
    nanosleep(&(struct timespec){0, ns}, NULL);
}
