#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * The log that people read: one line per event, as text or as JSON.
 *
 * A text_log is passed to whoever decides and therefore logs; library modules return errors
 * instead. Where lines go and what time it is comes from the functions given at construction, so
 * that the simulator can keep them. Safe to call from any thread: a line is built on the caller's
 * stack (at most TEXT_LOG_LINE_MAX bytes, cut with "…") and handed to the sink in one call.
 * The line ends with a newline, which size counts; a zero follows. Control characters in a message
 * come out escaped, so a line is always one line.
 * Secrets and request bodies are never passed in, at any level.
 */
enum text_log_level { TEXT_LOG_ERROR, TEXT_LOG_WARN, TEXT_LOG_INFO, TEXT_LOG_DEBUG };

enum { TEXT_LOG_LINE_MAX = 2048, TEXT_LOG_COMPONENT_MAX = 16 };

/* The components that may have a level of their own, by index; NULL at the end. */
const char *text_log_component(int index);

struct text_log {
    void (*sink)(void *arg, enum text_log_level level, const char *line, int size);
    int64_t (*now_ms)(void *arg); /* wall clock, Unix milliseconds */
    void *arg;
    enum text_log_level level; /* lines above it are dropped; changed with an atomic store */
    bool json;
    /* By index of the component: 0, as `level` says, or its own level + 1. Likewise atomic. */
    int8_t component_levels[TEXT_LOG_COMPONENT_MAX];
};

/* Any thread. component: an index, or -1 for all that have none of their own. */
void text_log_level_set(struct text_log *log, int component, enum text_log_level level);
/* Any thread. The component follows `level` again. */
void text_log_level_clear(struct text_log *log, int component);

/* log NULL: nothing happens. component: who speaks, "log", "net", "controller". The message is a
 * sentence without a full stop that says what happened, to which file or peer, and what can be
 * done. */
void text_log_write(struct text_log *log, enum text_log_level level, const char *component,
                    const char *format, ...) __attribute__((format(printf, 4, 5)));

#define text_log_error(log, component, ...)                                                        \
    text_log_write((log), TEXT_LOG_ERROR, (component), __VA_ARGS__)
#define text_log_warn(log, component, ...)                                                         \
    text_log_write((log), TEXT_LOG_WARN, (component), __VA_ARGS__)
#define text_log_info(log, component, ...)                                                         \
    text_log_write((log), TEXT_LOG_INFO, (component), __VA_ARGS__)
#define text_log_debug(log, component, ...)                                                        \
    text_log_write((log), TEXT_LOG_DEBUG, (component), __VA_ARGS__)
