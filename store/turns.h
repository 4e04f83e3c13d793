/* Processes that write one store again and again take turns: SQLite gives its lock to whoever comes
 * first, and that is the one who has just released it. */
#ifndef STORE_TURNS_H
#define STORE_TURNS_H

#include <stdbool.h>
#include <stdint.h>

struct turns {
    int waiting; /* the store's directory, locked as a sign to others; -1: this one does not wait */
    int64_t since; /* it waits; nanoseconds */
    int64_t turn;  /* since when this one writes again and again */
};

/* In SQLite's busy handler: sleeps a moment; false when it has waited for long enough. */
bool turns_wait(struct turns *t, const char *dir);
/* It has the lock, or has given up. */
void turns_waited(struct turns *t);
/* Before a write: who has had his turn steps back when others wait. */
void turns_let_others(struct turns *t, const char *dir);

#endif
