#include <stdarg.h>
#include <stdio.h>

#include "config/config_int.h"

void config_report_init(struct config_report *report) {
    *report = (struct config_report){0};
    arena_init(&report->arena, SIZE_MAX);
}

void config_report_done(struct config_report *report) {
    arena_done(&report->arena);
    *report = (struct config_report){0};
}

static void add(struct config_report *report, struct str **texts, size_t *count, struct str text) {
    struct str *grown = ARENA_ARRAY(&report->arena, struct str, *count + 1);
    for (size_t i = 0; i < *count; i++) {
        grown[i] = (*texts)[i];
    }
    grown[(*count)++] = text;
    *texts = grown;
}

static struct str format_text(struct config_report *report, const char *format, va_list args) {
    char text[4096];
    (void)vsnprintf(text, sizeof text, format, args);
    return arena_str(&report->arena, str_from_c(text));
}

void config_report_error(struct config_report *report, const char *format, ...) {
    va_list args;
    va_start(args, format);
    add(report, &report->errors, &report->error_count, format_text(report, format, args));
    va_end(args);
}

void config_report_warning(struct config_report *report, const char *format, ...) {
    va_list args;
    va_start(args, format);
    add(report, &report->warnings, &report->warning_count, format_text(report, format, args));
    va_end(args);
}
