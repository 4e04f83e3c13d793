#include "turns.h"

#include <fcntl.h>
#include <unistd.h>
#include <base/clock.h>

/* Nanoseconds. Who waits looks at least every LONGEST_PAUSE; who has had a TURN steps back for
 * longer than that, so that one of those who wait gets it. */
static const int64_t PATIENCE = 5000000000, TURN = 10000000;
static const long SHORTEST_PAUSE = 50000, LONGEST_PAUSE = 1000000, STEP_BACK = 3000000;

/* On the directory, as a lock of ours on the database would be lost, or lose SQLite's, with the
 * first descriptor that is closed. Where a directory has no locks nobody steps back. */
static int open_dir(const char *dir)
{
    return open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void show_waiting(struct turns *t, const char *dir)
{
    struct flock whole = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    t->waiting = open_dir(dir);
    if (t->waiting >= 0)
        fcntl(t->waiting, F_OFD_SETLK, &whole);
}

bool turns_wait(struct turns *t, const char *dir)
{
    int64_t now = clock_now();
    if (t->since == 0) {
        t->since = now;
        show_waiting(t, dir);
    }
    int64_t waited = now - t->since;
    if (waited >= PATIENCE)
        return false;
    /* as long again as it has waited, within bounds */
    clock_pause(waited < SHORTEST_PAUSE  ? SHORTEST_PAUSE
                : waited > LONGEST_PAUSE ? LONGEST_PAUSE
                                         : (long)waited);
    return true;
}

void turns_waited(struct turns *t)
{
    if (t->since == 0)
        return;
    if (t->waiting >= 0)
        close(t->waiting);
    t->waiting = -1;
    t->since = 0;
    t->turn = clock_now();
}

static bool others_wait(const char *dir)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = open_dir(dir);
    bool others = fd >= 0 && fcntl(fd, F_OFD_GETLK, &whole) == 0 && whole.l_type != F_UNLCK;
    if (fd >= 0)
        close(fd);
    return others;
}

void turns_let_others(struct turns *t, const char *dir)
{
    if (clock_now() - t->turn < TURN || !others_wait(dir))
        return;
    clock_pause(STEP_BACK);
    t->turn = clock_now();
}
