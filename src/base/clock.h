/* Time that only goes forward, whatever is done to the machine's clock. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

enum { CLOCK_MILLISECOND = 1000000, CLOCK_SECOND = 1000000000 }; /* in nanoseconds */

/* Nanoseconds since some moment before the process began. */
int64_t clock_now(void);
/* Sleeps that many nanoseconds, less than a second, or until a signal comes. */
void clock_pause(long ns);

#endif
