#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "config/config.h"
#include "sys/file.h"

enum { FILE_SIZE_MAX = 4 * 1024 * 1024 };

struct pairs {
    struct config_pair *items;
    size_t count;
};

static void add_pairs(struct pairs *pairs, struct arena *arena, const struct config_pair *more,
                      size_t count) {
    struct config_pair *all = ARENA_ARRAY(arena, struct config_pair, pairs->count + count + 1);
    if (pairs->count > 0) {
        memcpy(all, pairs->items, pairs->count * sizeof *all);
    }
    if (count > 0) {
        memcpy(all + pairs->count, more, count * sizeof *all);
    }
    pairs->items = all;
    pairs->count += count;
}

static bool add_overrides(struct pairs *pairs, struct arena *arena, char *const *overrides,
                          int count) {
    for (int i = 0; i < count; i++) {
        const char *equals = strchr(overrides[i], '=');
        if (equals == NULL) {
            fprintf(stderr, "--override %s: write it as key=value\n", overrides[i]);
            return false;
        }
        struct config_pair pair = {
            .name = {.data = overrides[i], .size = (size_t)(equals - overrides[i])},
            .value = str_from_c(equals + 1),
        };
        add_pairs(pairs, arena, &pair, 1);
    }
    return true;
}

static void print_report(const struct config_report *report, bool with_warnings) {
    for (size_t i = 0; with_warnings && i < report->warning_count; i++) {
        fprintf(stderr, "warning: %.*s\n", STR_ARGS(report->warnings[i]));
    }
    for (size_t i = 0; i < report->error_count; i++) {
        fprintf(stderr, "error: %.*s\n", STR_ARGS(report->errors[i]));
    }
}

int cli_config_load(struct sys *sys, const char *file, char *const *overrides, int override_count,
                    struct config_report *warnings, struct config **ret_config) {
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    struct config_report own;
    config_report_init(&own);
    struct config_report *report = warnings != NULL ? warnings : &own;
    struct pairs pairs = {0};
    char *text = NULL;
    int code = 2;

    if (file == NULL) {
        size_t count;
        const struct config_pair *defaults = config_pairs_default(&count);
        add_pairs(&pairs, &arena, defaults, count);
    } else {
        struct config_pair *found;
        size_t count;
        size_t size;
        err_t err = sys_file_read_all(sys, file, FILE_SIZE_MAX, &text, &size);
        if (err != ERR_OK) {
            fprintf(stderr, "%s: %s\n", file, err_text(err));
            goto out;
        }
        if (size == 0) { /* what pipes look like */
            fprintf(stderr, "%s: the file is empty, or not a regular file\n", file);
            goto out;
        }
        err = config_properties_parse((struct str){.data = text, .size = size}, &arena, &found,
                                      &count);
        if (err != ERR_OK) {
            fprintf(stderr, "%s: not a properties file (a bad \\u escape)\n", file);
            goto out;
        }
        add_pairs(&pairs, &arena, found, count);
    }
    if (!add_overrides(&pairs, &arena, overrides, override_count)) {
        goto out;
    }
    err_t built = config_new(pairs.items, pairs.count, report, ret_config);
    print_report(report, built != ERR_OK || warnings == NULL);
    code = built == ERR_OK ? 0 : 2;
out:
    config_report_done(&own);
    arena_done(&arena);
    free(text);
    return code;
}
