#include "output.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct spinner {
    const char *text;
    pthread_t thread;
    pthread_mutex_t lock; /* guards stop, done */
    pthread_cond_t wake;
    bool stop;
    uint64_t done, total; /* total 0: no bar */
};

static void draw(const struct spinner *s, size_t frame)
{
    enum { WIDTH = 30 };
    static const char full[] = "##############################",
                      none[] = "..............................";
    fprintf(stderr, "\r%c %s", "|/-\\"[frame % 4], s -> text);
    if (s->total) {
        uint64_t done = s->done < s->total ? s->done : s->total;
        int filled = (int)((double)done / (double)s->total * (double)WIDTH);
        fprintf(stderr, " %.*s%.*s %3d%%", filled, full, WIDTH - filled, none,
                (int)((double)done / (double)s->total * 100));
    }
    fflush(stderr);
}

static void *turn(void *context)
{
    struct spinner *s = context;
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    pthread_mutex_lock(&s->lock);
    for (size_t frame = 0; !s->stop; frame++) {
        draw(s, frame);
        until.tv_nsec += 120000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&s->wake, &s->lock, &until);
    }
    pthread_mutex_unlock(&s->lock);
    fputs("\r\033[K", stderr);
    return NULL;
}

struct spinner *progress_start(const char *text, uint64_t total)
{
    struct spinner *s = isatty(STDERR_FILENO) ? malloc(sizeof(*s)) : NULL;
    if (!s)
        return NULL;
    *s = (struct spinner){.text = text, .total = total};
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->wake, NULL);
    if (pthread_create(&s->thread, NULL, turn, s) == 0)
        return s;
    free(s);
    return NULL;
}

struct spinner *spinner_start(const char *text)
{
    return progress_start(text, 0);
}

void progress_set(struct spinner *s, uint64_t done)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    s->done = done;
    pthread_mutex_unlock(&s->lock);
}

void spinner_stop(struct spinner **spinner)
{
    struct spinner *s = *spinner;
    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    s->stop = true;
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    pthread_cond_destroy(&s->wake);
    pthread_mutex_destroy(&s->lock);
    free(s);
    *spinner = NULL;
}
