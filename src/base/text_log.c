#include "base/text_log.h"

#include <assert.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/date.h"

static const char *const level_names[] = {"ERROR", "WARN", "INFO", "DEBUG"};

static const char *const components[] = {"broker", "controller", "coord",   "http",  "log",
                                         "net",    "quorum",     "replica", "server"};
_Static_assert(sizeof components / sizeof components[0] < TEXT_LOG_COMPONENT_MAX, "they fit");

static const char ellipsis[] = "\xe2\x80\xa6";

/* A line under construction. What passes `bound` is left out and remembered in `cut`. */
struct line {
    char text[TEXT_LOG_LINE_MAX + 1];
    size_t size;
    size_t bound; /* leaves room for the ellipsis and what ends the line */
    bool cut;
};

static void add(struct line *line, const char *text, size_t size) {
    if (!line->cut && size <= line->bound - line->size) {
        memcpy(line->text + line->size, text, size);
        line->size += size;
    } else {
        line->cut = true;
    }
}

static void add_c(struct line *line, const char *text) {
    add(line, text, strlen(text));
}

/* How many bytes of well-formed UTF-8 make up the first character; 0 when it is not one. */
static size_t character_size(const unsigned char *p) {
    size_t size = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (p[0] > 0xf4) {
        return 0;
    }
    for (size_t i = 1; i < size; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0; /* the zero at the end stops here too */
        }
    }
    bool bad = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
               (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f);
    return bad ? 0 : size;
}

/* Adds a message with control characters as \u00XX and broken UTF-8 as U+FFFD. In JSON, quotes and
 * backslashes get a backslash; in text they stay, people read it. */
static void add_escaped(struct line *line, const char *message, bool json) {
    const unsigned char *p = (const unsigned char *)message;
    while (*p != '\0' && !line->cut) {
        size_t size = character_size(p);
        char escape[8];
        if (size == 0) {
            add_c(line, "\xef\xbf\xbd");
            size = 1;
        } else if (*p < 0x20 || *p == 0x7f) {
            (void)snprintf(escape, sizeof escape, "\\u%04x", *p);
            add_c(line, escape);
        } else if (json && (*p == '"' || *p == '\\')) {
            escape[0] = '\\';
            escape[1] = (char)*p;
            add(line, escape, 2);
        } else {
            add(line, (const char *)p, size);
        }
        p += size;
    }
}

static void add_head(struct line *line, const struct text_log *log, enum text_log_level level,
                     const char *component) {
    char time[DATE_TEXT_SIZE];
    date_time_format(log->now_ms(log->arg), time);
    add_c(line, log->json ? "{\"time\":\"" : "");
    add_c(line, time);
    if (log->json) {
        add_c(line, "\",\"level\":\"");
        add_c(line, level_names[level]);
        add_c(line, "\",\"component\":\"");
        add_escaped(line, component, true);
        add_c(line, "\",\"message\":\"");
    } else {
        char text[16];
        (void)snprintf(text, sizeof text, " %-5s ", level_names[level]);
        add_c(line, text);
        add_escaped(line, component, false);
        add_c(line, ": ");
    }
}

/* --- levels --- */

const char *text_log_component(int index) {
    assert(index >= 0);
    return (size_t)index < sizeof components / sizeof components[0] ? components[index] : NULL;
}

void text_log_level_set(struct text_log *log, int component, enum text_log_level level) {
    assert(component < TEXT_LOG_COMPONENT_MAX);
    if (component < 0) {
        __atomic_store_n(&log->level, level, __ATOMIC_RELAXED);
    } else {
        __atomic_store_n(&log->component_levels[component], (int8_t)(level + 1), __ATOMIC_RELAXED);
    }
}

void text_log_level_clear(struct text_log *log, int component) {
    assert(component >= 0);
    assert(component < TEXT_LOG_COMPONENT_MAX);
    __atomic_store_n(&log->component_levels[component], 0, __ATOMIC_RELAXED);
}

static enum text_log_level level_of(const struct text_log *log, const char *component) {
    const char *name;
    for (int i = 0; (name = text_log_component(i)) != NULL; i++) {
        int own = __atomic_load_n(&log->component_levels[i], __ATOMIC_RELAXED);
        if (own != 0 && strcmp(name, component) == 0) {
            return (enum text_log_level)(own - 1);
        }
    }
    return __atomic_load_n(&log->level, __ATOMIC_RELAXED);
}

/* --- lines --- */

void text_log_write(struct text_log *log, enum text_log_level level, const char *component,
                    const char *format, ...) {
    assert(level >= TEXT_LOG_ERROR);
    assert(level <= TEXT_LOG_DEBUG);
    if (log == NULL || level > level_of(log, component)) {
        return;
    }
    char message[TEXT_LOG_LINE_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(message, sizeof message, format, args);
    va_end(args);

    const char *end = log->json ? "\"}\n" : "\n";
    struct line line = {.size = 0, .cut = false};
    line.bound = TEXT_LOG_LINE_MAX - strlen(ellipsis) - strlen(end);
    add_head(&line, log, level, component);
    add_escaped(&line, message, log->json);
    const char *tail[] = {line.cut ? ellipsis : "", end};
    for (size_t i = 0; i < 2; i++) {
        memcpy(line.text + line.size, tail[i], strlen(tail[i]));
        line.size += strlen(tail[i]);
    }
    line.text[line.size] = '\0';
    log->sink(log->arg, level, line.text, (int)line.size);
}
