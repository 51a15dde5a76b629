/*
 * Runs a transcript over regular expressions: the first word of a line may be a command, any other
 * line is an expression; the indented line after it has the names that it matches, - for none, ?
 * for one that is given up, or why it is refused.
 *
 *   names NAME...         what the expressions that follow are matched against
 *   repeat N FIRST TEXT   an expression made of FIRST and N times the text
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/transcript.h"
#include "coord/regex.h"

enum { NAMES_MAX = 128 };

struct test {
    FILE *out;
    char *names_line;
    char *names[NAMES_MAX];
    int name_count;
};

static void set_names(struct test *test, const char *line) {
    free(test->names_line);
    test->names_line = strdup(line);
    test->name_count = 0;
    char *rest;
    char *name = strtok_r(test->names_line, " ", &rest);
    while (name != NULL && test->name_count < NAMES_MAX) {
        test->names[test->name_count++] = name;
        name = strtok_r(NULL, " ", &rest);
    }
}

static void try_expression(struct test *test, struct str expression) {
    struct regex *regex;
    const char *reason = NULL;
    const char *check_reason = NULL;
    err_t checked = regex_check(expression, &check_reason);
    err_t err = regex_new(expression, &regex, &reason);
    if (checked != err || check_reason != reason) {
        fprintf(test->out, "  regex_check says otherwise\n");
    }
    if (err != ERR_OK) {
        fprintf(test->out, "  %s: %s\n", err_name(err), reason);
        return;
    }
    fprintf(test->out, " ");
    bool some = false;
    for (int i = 0; i < test->name_count; i++) {
        bool matches = false;
        err = regex_match(regex, str_from_c(test->names[i]), &matches);
        if (matches || err != ERR_OK) {
            fprintf(test->out, " %s%s", test->names[i], err == ERR_OK ? "" : "?");
            some = true;
        }
    }
    fprintf(test->out, "%s\n", some ? "" : " -");
    regex_free(regex);
}

static void repeat_expression(struct test *test, const char *first, const char *text, int count) {
    struct buffer expression;
    buffer_init(&expression);
    buffer_add_str(&expression, str_from_c(first));
    for (int i = 0; i < count; i++) {
        buffer_add_str(&expression, str_from_c(text));
    }
    try_expression(test, bytes_str(buffer_bytes(&expression)));
    buffer_done(&expression);
}

static void run_line(void *arg, const char *line, FILE *out) {
    struct test *test = arg;
    test->out = out;
    char *text = strndup(line, strcspn(line, "\n"));
    char first[16];
    int count;
    int used;
    if (strncmp(text, "names ", 6) == 0) {
        set_names(test, text + 6);
    } else if (sscanf(text, "repeat %d %15s %n", &count, first, &used) == 2) {
        repeat_expression(test, first, text + used, count);
    } else {
        try_expression(test, str_from_c(text));
    }
    free(text);
}

static void test_stop(void *arg) {
    struct test *test = arg;
    free(test->names_line);
}

int main(int argc, char **argv) {
    static struct test test;
    const struct transcript_player player = {.run = run_line, .stop = test_stop, .arg = &test};
    return transcript_main(argc, argv, &player);
}
