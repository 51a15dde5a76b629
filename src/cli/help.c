/* Help from the tables: usage, what it does, examples, options. */
#include <stdlib.h>
#include <string.h>

#include "cli/command_int.h"

enum { COLUMN_MAX = 34 };

static int option_width(const struct cli_option *option) {
    size_t width = 6 + strlen(option->name);
    return (int)(option->value == NULL ? width : width + 1 + strlen(option->value));
}

/* The characters of a UTF-8 text that its bytes are more than. */
static int extra_bytes(const char *text) {
    int extra = 0;
    for (; text != NULL && *text != '\0'; text++) {
        extra += ((unsigned char)*text & 0xC0) == 0x80;
    }
    return extra;
}

static void print_option(FILE *out, const struct cli_option *option, int column) {
    char left[128];
    char letter[8] = "    ";
    if (option->letter != '\0') {
        (void)snprintf(letter, sizeof letter, "-%c, ", option->letter);
    }
    (void)snprintf(left, sizeof left, "%s--%s%s%s", letter, option->name,
                   option->value == NULL ? "" : " ", option->value == NULL ? "" : option->value);
    fprintf(out, "  %-*s  %s", column + extra_bytes(option->value), left, option->help);
    if (option->choices != NULL) {
        fprintf(out, " (%s)", option->choices);
    }
    fputc('\n', out);
}

static void print_options(FILE *out, const char *title, const struct cli_option *options) {
    int column = 0;
    for (const struct cli_option *at = options; at->name != NULL; at++) {
        int width = option_width(at);
        column = width > column && width <= COLUMN_MAX ? width : column;
    }
    if (options->name != NULL) {
        fprintf(out, "\n%s\n", title);
    }
    for (const struct cli_option *at = options; at->name != NULL; at++) {
        print_option(out, at, column);
    }
}

static void print_commands(FILE *out, const struct cli_command *command) {
    int column = 0;
    for (size_t i = 0; command->commands[i] != NULL; i++) {
        int width = (int)strlen(command->commands[i]->name);
        column = width > column ? width : column;
    }
    fputc('\n', out);
    for (size_t i = 0; command->commands[i] != NULL; i++) {
        const struct cli_command *below = command->commands[i];
        fprintf(out, "  %-*s  %s\n", column, below->name, below->summary);
    }
}

void cli_help_print(FILE *out, const struct cli_command *command, const char *path) {
    static const struct cli_option none[] = {{NULL}};
    bool group = command->commands != NULL;
    fprintf(out, "usage: %s%s%s%s [OPTIONS]\n\n%s: %s\n", path, group ? " COMMAND" : "",
            command->arguments == NULL ? "" : " ",
            command->arguments == NULL ? "" : command->arguments, path, command->summary);
    if (command->text != NULL) {
        fprintf(out, "\n%s", command->text);
    }
    if (group) {
        print_commands(out, command);
    }
    if (command->examples != NULL) {
        fprintf(out, "\nExamples\n%s", command->examples);
    }
    if (group) {
        fprintf(out, "\n%s COMMAND --help teaches a command.\n", path);
        return;
    }
    print_options(out, "Options", command->options == NULL ? none : command->options);
    print_options(out, "Cluster", command->local ? none : cli_cluster_options);
    print_options(out, "Output", cli_common_options);
}

/* --- near names --- */

enum { NAME_MAX_COMPARED = 64 };

/* Changes of one character that lead from a to b (Levenshtein). */
static size_t distance(const char *a, const char *b) {
    size_t size = strlen(b);
    size_t row[NAME_MAX_COMPARED + 1];
    if (strlen(a) > NAME_MAX_COMPARED || size > NAME_MAX_COMPARED) {
        return SIZE_MAX;
    }
    for (size_t i = 0; i <= size; i++) {
        row[i] = i;
    }
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= size; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            best = row[j] + 1 < best ? row[j] + 1 : best;
            row[j] = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
        }
    }
    return row[size];
}

const char *cli_nearest(const char *typed, const char *const *names, size_t count) {
    const char *nearest = NULL;
    size_t nearest_distance = strlen(typed) / 3 + 2; /* one slip, and one more per three letters */
    for (size_t i = 0; i < count; i++) {
        bool begins = strlen(typed) >= 3 && strncmp(names[i], typed, strlen(typed)) == 0;
        size_t away = begins ? 1 : distance(typed, names[i]);
        if (away < nearest_distance) {
            nearest = names[i];
            nearest_distance = away;
        }
    }
    return nearest;
}
