/* The host fails: memory, files, SQLite. A test program that is linked with faults.c answers
 * malloc, open, sqlite3_step and their like itself, also for the module and its libraries, and lets
 * the nth call that is made within FAULTY() fail. Calls of other threads, and outside of it, are
 * served. */
#ifndef TESTS_FAULTS_H
#define TESTS_FAULTS_H

#include <stdbool.h>

enum fault_kind { FAULT_NONE, FAULT_MEMORY, FAULT_SQLITE, FAULT_FILE };

/* Which calls on files; sockets are not among them. */
enum fault_files {
    FILE_OPEN = 1,   /* for reading, directories too */
    FILE_CHANGE = 2, /* open for writing, create, link, modes */
    FILE_READ = 4,
    FILE_WRITE = 8, /* and truncate */
    FILE_SYNC = 16,
    FILE_LOCK = 32,
    FILE_LOOK = 64, /* stat, access */
    FILE_REMOVE = 128,
    FILE_ALL = 255
};

/* In the place of an errno. */
enum {
    FAULT_SHORT = -1, /* half of it is read or written */
    FAULT_KILL = -2   /* SIGKILL on the way into the call; a write is half done by then */
};

struct fault {
    enum fault_kind kind;
    int code;           /* errno, or SQLite's */
    unsigned files;     /* enum fault_files */
    bool lasting;       /* the nth call and each after it */
    unsigned long nth;  /* from 1; 0: none fails, all are counted */
    const char *beside; /* only files whose path has this in it; NULL: all */
};

/* Counts from 0 again. */
void fault_set(const struct fault *f);
void fault_enter(void);
void fault_leave(void);
/* Calls of the kind so far. In a forked child, too: the numbers are shared. */
unsigned long fault_calls(void);
bool fault_struck(void);
/* Blocks that libcrypto itself may have lost to this fault (faults.c says where); mostly 0. */
long fault_known_leak(void);

/* Blocks of memory in use in this process, whoever has them. */
long faults_blocks(void);

/* The fault lies in wait for this call; its value. */
#define FAULTY(call)                                                                               \
    (__extension__({                                                                               \
        fault_enter();                                                                             \
        __typeof__(call) faulty_ret_ = (call);                                                     \
        fault_leave();                                                                             \
        faulty_ret_;                                                                               \
    }))

#endif
