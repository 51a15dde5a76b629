#include "base/text_log.h"

#include <assert.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *const level_names[] = {"ERROR", "WARN", "INFO", "DEBUG"};

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

/* "2026-01-31T23:59:59.123Z" */
static void add_time(struct line *line, int64_t wall_ms) {
    time_t seconds = (time_t)(wall_ms / 1000);
    int ms = (int)(wall_ms % 1000);
    struct tm tm;
    char text[64];
    if (gmtime_r(&seconds, &tm) == NULL) {
        memset(&tm, 0, sizeof tm);
    }
    (void)snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900,
                   tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, ms < 0 ? 0 : ms);
    add_c(line, text);
}

static void add_head(struct line *line, const struct text_log *log, enum text_log_level level,
                     const char *component) {
    add_c(line, log->json ? "{\"time\":\"" : "");
    add_time(line, log->now_ms(log->arg));
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

void text_log_write(struct text_log *log, enum text_log_level level, const char *component,
                    const char *format, ...) {
    assert(level >= TEXT_LOG_ERROR);
    assert(level <= TEXT_LOG_DEBUG);
    if (log == NULL || level > __atomic_load_n(&log->level, __ATOMIC_RELAXED)) {
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
