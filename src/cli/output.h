#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "cli/command.h"

/*
 * What a command found out, for both kinds of reader. The command builds JSON; with -o json that
 * is what is printed, else the columns that people want to see of it. So a table never knows more
 * than a script can get.
 *
 * In tables null is "-", a boolean "yes" or "no", an array its items with commas, a missing key
 * nothing. Keys and their meaning do not change once released; new ones may come.
 */
struct cli_column {
    const char *title; /* NULL ends the list */
    const char *key;
    bool right; /* numbers */
};

/* An array of objects. Takes the reference. Returns CLI_DONE. */
int cli_print_rows(const struct cli *cli, const struct cli_column *columns, json_t *rows);

/* The same; people are told on stderr when there are no rows. */
int cli_print_found(const struct cli *cli, const struct cli_column *columns, json_t *rows,
                    const char *none);

/* For a command whose JSON is more than one table: the table of some rows, or the JSON of all.
 * Both take the reference. */
void cli_print_table(const struct cli_column *columns, json_t *rows);
int cli_print_json(json_t *value);

/* One object, a line per column. Takes the reference. */
int cli_print_object(const struct cli *cli, const struct cli_column *columns, json_t *object);

bool cli_wants_json(const struct cli *cli);

/* A string of bytes that may not be UTF-8: what is not becomes U+FFFD. */
json_t *cli_json_text(const char *text, size_t size);

/* --- progress: one line on stderr, rewritten, when that is a terminal --- */

struct cli_progress {
    const struct cli *cli;
    const char *what; /* "Reading orders" */
    int64_t shown_ms;
    bool shown;
};
void cli_progress_start(struct cli_progress *progress, const struct cli *cli, const char *what);

/* done of total (0: not known); shown at most ten times a second. */
void cli_progress_show(struct cli_progress *progress, int64_t now_ms, int64_t done, int64_t total,
                       const char *unit);
void cli_progress_end(struct cli_progress *progress); /* the line is gone */
