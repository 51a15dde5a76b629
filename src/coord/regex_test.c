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

static void run_line(struct test *test, char *line) {
    line[strcspn(line, "\n")] = '\0';
    char first[16];
    int count;
    int used;
    if (strncmp(line, "names ", 6) == 0) {
        set_names(test, line + 6);
    } else if (sscanf(line, "repeat %d %15s %n", &count, first, &used) == 2) {
        struct buffer expression;
        buffer_init(&expression);
        buffer_add_str(&expression, str_from_c(first));
        for (int i = 0; i < count; i++) {
            buffer_add_str(&expression, str_from_c(line + used));
        }
        try_expression(test, bytes_str(buffer_bytes(&expression)));
        buffer_done(&expression);
    } else {
        try_expression(test, str_from_c(line));
    }
}

static int run_transcript(const char *path) {
    struct test test = {0};
    char *expected = NULL;
    char *actual = NULL;
    size_t size = 0;
    FILE *file = fopen(path, "r");
    if (file == NULL || getdelim(&expected, &size, '\0', file) < 0) {
        perror(path);
        return 2;
    }
    fclose(file);
    size_t actual_size;
    test.out = open_memstream(&actual, &actual_size);
    FILE *in = fmemopen(expected, strlen(expected), "r");
    char line[2048];
    while (fgets(line, sizeof line, in) != NULL) {
        if (strncmp(line, "  ", 2) == 0) {
            continue; /* an outcome of before */
        }
        fputs(line, test.out);
        if (line[0] != '#' && line[0] != '\n') {
            run_line(&test, line);
        }
    }
    fclose(in);
    fclose(test.out);
    int failed = strcmp(expected, actual) != 0;
    if (failed && getenv("REWRITE") != NULL) {
        file = fopen(path, "w");
        fputs(actual, file);
        fclose(file);
        failed = 0;
    } else if (failed) {
        printf("%s differs; now it would read:\n%s", path, actual);
    }
    free(test.names_line);
    free(expected);
    free(actual);
    return failed;
}

int main(int argc, char **argv) {
    int failed = 0;
    for (int i = 1; i < argc; i++) {
        failed += run_transcript(argv[i]) != 0;
    }
    printf("%d passed, %d failed\n", argc - 1 - failed, failed);
    return failed;
}
