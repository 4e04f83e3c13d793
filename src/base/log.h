/* The module's log: one line an event, to stderr or the configured file. Never a secret in it. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "bytes.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_TRACE };

/* Level by its name ("error" … "trace"); false when the name is none of them. */
bool log_level_parse(const char *name, enum log_level *ret);
/* file NULL: stderr. A file that cannot be opened: stderr, and a line that says so. */
void log_setup(enum log_level level, const char *file);
bool log_wants(enum log_level level);
/* A line that was written within the last minute, as one of the last few, is counted instead; the
 * count is written when the minute is over, or others have taken its place. Not so a trace. */
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Writes what was counted. */
void log_flush(void);
/* A thread that logs does not leave a child with the lock. */
void log_before_fork(void);
void log_after_fork_parent(void);
void log_after_fork_child(void);

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...)                                                                             \
    do {                                                                                           \
        if (log_wants(LOG_DEBUG))                                                                  \
            log_line(LOG_DEBUG, __VA_ARGS__);                                                      \
    } while (0)
#define log_trace(...)                                                                             \
    do {                                                                                           \
        if (log_wants(LOG_TRACE))                                                                  \
            log_line(LOG_TRACE, __VA_ARGS__);                                                      \
    } while (0)

#endif
