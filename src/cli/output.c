#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "cli/output.h"
#include "sys/linux.h"

enum { GAP = 2 };

bool cli_wants_json(const struct cli *cli) {
    return strcmp(cli_text(cli, "output", "table"), "json") == 0;
}

/* --- a value as text --- */

static void add_value(struct buffer *text, const json_t *value) {
    switch (value == NULL ? JSON_STRING : json_typeof(value)) {
    case JSON_STRING:
        buffer_add_str(text, str_from_c(value == NULL ? "" : json_string_value(value)));
        break;
    case JSON_INTEGER:
        buffer_printf(text, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        break;
    case JSON_REAL:
        buffer_printf(text, "%.3f", json_real_value(value));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        buffer_add_str(text, json_is_true(value) ? STR("yes") : STR("no"));
        break;
    case JSON_NULL:
        buffer_add_str(text, STR("-"));
        break;
    case JSON_ARRAY:
        for (size_t i = 0; i < json_array_size(value); i++) {
            buffer_add_str(text, i == 0 ? STR("") : STR(","));
            add_value(text, json_array_get(value, i));
        }
        break;
    case JSON_OBJECT: {
        char *dump = json_dumps(value, JSON_COMPACT | JSON_PRESERVE_ORDER);
        buffer_add_str(text, str_from_c(dump));
        free(dump);
        break;
    }
    }
}

/* A character that would move the cursor or start a new line must not reach a terminal. */
static char *value_text(const json_t *value) {
    struct buffer text = {0};
    add_value(&text, value);
    buffer_add(&text, "", 1);
    size_t size;
    char *result = (char *)buffer_steal(&text, &size);
    for (char *at = result; *at != '\0'; at++) {
        *at = (unsigned char)*at < ' ' || *at == 127 ? '?' : *at;
    }
    return result;
}

/* Code points, which is what most terminals give a column each. */
static int text_width(const char *text) {
    int width = 0;
    for (; *text != '\0'; text++) {
        width += ((unsigned char)*text & 0xC0) != 0x80;
    }
    return width;
}

static void print_padded(const char *text, int width, bool right, bool last) {
    int pad = width - text_width(text);
    if (right) {
        printf("%*s%s", pad, "", text);
    } else {
        printf("%s%*s", text, last ? 0 : pad, "");
    }
    fputs(last ? "\n" : "  ", stdout);
}

/* --- tables --- */

int cli_print_json(json_t *value) {
    json_dumpf(value, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    putchar('\n');
    json_decref(value);
    return CLI_DONE;
}

static size_t column_count(const struct cli_column *columns) {
    size_t count = 0;
    while (columns[count].title != NULL) {
        count++;
    }
    return count;
}

void cli_print_table(const struct cli_column *columns, json_t *rows) {
    size_t count = column_count(columns);
    size_t row_count = json_array_size(rows);
    char **cells = calloc(count * row_count + 1, sizeof *cells);
    int *widths = calloc(count + 1, sizeof *widths);
    for (size_t c = 0; c < count; c++) {
        widths[c] = text_width(columns[c].title);
        for (size_t r = 0; r < row_count; r++) {
            char *cell = value_text(json_object_get(json_array_get(rows, r), columns[c].key));
            int width = text_width(cell);
            widths[c] = width > widths[c] ? width : widths[c];
            cells[r * count + c] = cell;
        }
    }
    for (size_t c = 0; c < count && row_count > 0; c++) {
        print_padded(columns[c].title, widths[c], columns[c].right, c + 1 == count);
    }
    for (size_t r = 0; r < row_count; r++) {
        for (size_t c = 0; c < count; c++) {
            print_padded(cells[r * count + c], widths[c], columns[c].right, c + 1 == count);
            free(cells[r * count + c]);
        }
    }
    free(widths);
    free(cells);
    json_decref(rows);
}

int cli_print_rows(const struct cli *cli, const struct cli_column *columns, json_t *rows) {
    if (cli_wants_json(cli)) {
        return cli_print_json(rows);
    }
    cli_print_table(columns, rows);
    return CLI_DONE;
}

int cli_print_found(const struct cli *cli, const struct cli_column *columns, json_t *rows,
                    const char *none) {
    if (json_array_size(rows) == 0 && !cli_wants_json(cli)) {
        cli_note(cli, "%s", none);
    }
    return cli_print_rows(cli, columns, rows);
}

int cli_print_object(const struct cli *cli, const struct cli_column *columns, json_t *object) {
    if (cli_wants_json(cli)) {
        return cli_print_json(object);
    }
    int width = 0;
    for (const struct cli_column *at = columns; at->title != NULL; at++) {
        width = text_width(at->title) > width ? text_width(at->title) : width;
    }
    for (const struct cli_column *at = columns; at->title != NULL; at++) {
        char *text = value_text(json_object_get(object, at->key));
        print_padded(at->title, width, false, false);
        printf("%s\n", text);
        free(text);
    }
    json_decref(object);
    return CLI_DONE;
}

json_t *cli_json_text(const char *text, size_t size) {
    json_t *string = json_stringn(text, size);
    if (string != NULL) {
        return string;
    }
    struct buffer clean = {0};
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)text[i] < 0x80) {
            buffer_add(&clean, text + i, 1);
        } else {
            buffer_add_str(&clean, STR("\xEF\xBF\xBD"));
        }
    }
    string = json_stringn((const char *)clean.data, clean.size);
    buffer_done(&clean);
    return string;
}

/* --- progress --- */

enum { SHOW_EVERY_MS = 100 };

void cli_progress_start(struct cli_progress *progress, const struct cli *cli, const char *what) {
    *progress = (struct cli_progress){.cli = cli, .what = what, .shown_ms = INT64_MIN / 2};
}

void cli_progress_show(struct cli_progress *progress, int64_t now_ms, int64_t done, int64_t total,
                       const char *unit) {
    if (now_ms - progress->shown_ms < SHOW_EVERY_MS || cli_has(progress->cli, "quiet") ||
        sys_linux_terminal_columns(2) == 0) {
        return;
    }
    progress->shown_ms = now_ms;
    progress->shown = true;
    if (total > 0) {
        fprintf(stderr, "\r\033[K%s: %" PRId64 " of %" PRId64 " %s (%" PRId64 " %%)",
                progress->what, done, total, unit, done * 100 / total);
    } else {
        fprintf(stderr, "\r\033[K%s: %" PRId64 " %s", progress->what, done, unit);
    }
    fflush(stderr);
}

void cli_progress_end(struct cli_progress *progress) {
    if (progress->shown) {
        fputs("\r\033[K", stderr);
    }
}
