#include "base/text_log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static const char *const level_names[] = {"ERROR", "WARN", "INFO", "DEBUG"};

/* Unix milliseconds as 2026-11-21T03:04:05.678Z, by the civil calendar of RFC 3339. */
static void format_time(int64_t now_ms, char *text, size_t size) {
    int64_t days = now_ms / 86400000;
    int64_t ms = now_ms % 86400000;
    if (ms < 0) {
        ms += 86400000;
        days--;
    }
    /* Counts from 0000-03-01, so that the leap day is the last of its year. */
    int64_t shifted = days + 719468;
    int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    int64_t day_of_era = shifted - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted_month = (5 * day_of_year + 2) / 153;
    int day = (int)(day_of_year - (153 * shifted_month + 2) / 5 + 1);
    int month = (int)(shifted_month < 10 ? shifted_month + 3 : shifted_month - 9);
    int64_t year = year_of_era + era * 400 + (month <= 2);
    (void)snprintf(text, size, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", (int)year, month, day,
                   (int)(ms / 3600000), (int)(ms / 60000 % 60), (int)(ms / 1000 % 60),
                   (int)(ms % 1000));
}

/* Adds text as the inside of a JSON string. Returns the new length. */
static size_t add_escaped(char *line, size_t at, size_t end, const char *text) {
    for (; *text != '\0' && at + 7 < end; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') {
            line[at++] = '\\';
            line[at++] = (char)c;
        } else if (c < 0x20) {
            at += (size_t)snprintf(line + at, end - at, "\\u%04x", c);
        } else {
            line[at++] = (char)c;
        }
    }
    return at;
}

/* A text line is one line whatever the message holds. */
static void flatten(char *text) {
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x20) {
            *text = ' ';
        }
    }
}

void text_log_write(struct text_log *log, enum text_log_level level, const char *component,
                    const char *format, ...) {
    if (log == NULL || level > __atomic_load_n(&log->level, __ATOMIC_RELAXED)) {
        return;
    }
    char message[TEXT_LOG_LINE_MAX - 128];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(message, sizeof message, format, args);
    va_end(args);
    if (size >= (int)sizeof message) {
        strcpy(message + sizeof message - 4, "…");
    }
    char time[40];
    format_time(log->now_ms(log->arg), time, sizeof time);

    char line[TEXT_LOG_LINE_MAX];
    size_t at;
    if (log->json) {
        at = (size_t)snprintf(
            line, sizeof line,
            "{\"time\":\"%s\",\"level\":\"%s\",\"component\":\"%s\",\"message\":\"", time,
            level_names[level], component);
        at = add_escaped(line, at, sizeof line - 3, message);
        at += (size_t)snprintf(line + at, sizeof line - at, "\"}\n");
    } else {
        flatten(message);
        at = (size_t)snprintf(line, sizeof line, "%s %-5s %s: %s\n", time, level_names[level],
                              component, message);
    }
    log->sink(log->arg, level, line, (int)at);
}
