#include "cli/kafka/tool.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "cli/kafka/tool_int.h"

/* --- the table --- */

const struct tool_syntax *tool_syntax_find(const char *tool, const char *subcommand) {
    for (const struct tool_syntax *syntax = tool_syntaxes; syntax->tool != NULL; syntax++) {
        bool same = syntax->subcommand == NULL || subcommand == NULL
                        ? syntax->subcommand == subcommand
                        : strcmp(syntax->subcommand, subcommand) == 0;
        if (same && strcmp(syntax->tool, tool) == 0) {
            return syntax;
        }
    }
    return NULL;
}

static const struct tool_option *find_in(const struct tool_syntax *syntax, const char *name) {
    for (size_t i = 0; syntax != NULL && i < syntax->option_count; i++) {
        if (strcmp(syntax->options[i].name, name) == 0) {
            return &syntax->options[i];
        }
    }
    return NULL;
}

static const struct tool_option *look_for(const struct tool *tool, const char *name) {
    const struct tool_option *option = find_in(tool->sub, name);
    return option != NULL ? option : find_in(tool->syntax, name);
}

static const struct tool_option *find(const struct tool *tool, const char *name) {
    const struct tool_option *option = look_for(tool, name);
    assert(option != NULL);
    return option;
}

/* --- what was given --- */

void tool_give(struct tool *tool, const struct tool_option *option, const char *text) {
    struct tool_given *given = ARENA_NEW(&tool->arena, struct tool_given);
    *given = (struct tool_given){.option = option, .text = text};
    *tool->given_end = given;
    tool->given_end = &given->next;
}

bool tool_has(const struct tool *tool, const char *option) {
    const struct tool_option *wanted = find(tool, option);
    for (const struct tool_given *given = tool->given; given != NULL; given = given->next) {
        if (given->option == wanted) {
            return true;
        }
    }
    return false;
}

const char *tool_text(const struct tool *tool, const char *option) {
    const struct tool_option *wanted = find(tool, option);
    for (const struct tool_given *given = tool->given; given != NULL; given = given->next) {
        if (given->option == wanted && given->text != NULL) {
            return given->text;
        }
    }
    return wanted->otherwise;
}

const char *tool_text_of(const struct tool *tool, const char *option) {
    return look_for(tool, option) == NULL ? NULL : tool_text(tool, option);
}

int64_t tool_number(const struct tool *tool, const char *option) {
    const char *text = tool_text(tool, option);
    assert(text != NULL);
    return strtoll(text, NULL, 10);
}

size_t tool_texts(const struct tool *tool, const char *option, const char *const **ret_texts) {
    const struct tool_option *wanted = find(tool, option);
    size_t count = 0;
    for (const struct tool_given *given = tool->given; given != NULL; given = given->next) {
        count += given->option == wanted && given->text != NULL;
    }
    const char **texts = ARENA_ARRAY(&((struct tool *)tool)->arena, const char *, count + 1);
    size_t i = 0;
    for (const struct tool_given *given = tool->given; given != NULL; given = given->next) {
        if (given->option == wanted && given->text != NULL) {
            texts[i++] = given->text;
        }
    }
    *ret_texts = texts;
    return count;
}

const char *tool_subcommand(const struct tool *tool) {
    return tool->sub == NULL ? NULL : tool->sub->subcommand;
}

size_t tool_words(const struct tool *tool, const char *const **ret_words) {
    *ret_words = tool->words;
    return tool->word_count;
}

void tool_print_arguments(const struct tool *tool, FILE *out) {
    for (int i = 1; i < tool->argc; i++) {
        fprintf(out, "%s%s", i == 1 ? "" : " ", tool->argv[i]);
    }
}

struct arena *tool_arena(struct tool *tool) {
    return &tool->arena;
}

/* --- checks --- */

static bool is_number(const struct tool_option *option, const char *text) {
    char *end;
    long long number = strtoll(text, &end, 10);
    bool whole = (text[0] == '-' || text[0] == '+' || (text[0] >= '0' && text[0] <= '9')) &&
                 end != text && *end == '\0';
    return whole && (option->type == TOOL_LONG || (number >= INT32_MIN && number <= INT32_MAX));
}

static bool is_given_again(const struct tool_given *given) {
    for (const struct tool_given *next = given->next; next != NULL; next = next->next) {
        if (next->option == given->option) {
            return true;
        }
    }
    return false;
}

const char *tool_check(struct tool *tool) {
    for (const struct tool_given *given = tool->given; given != NULL; given = given->next) {
        const struct tool_option *option = given->option;
        bool once = option->argument == TOOL_ONE || option->argument == TOOL_MAYBE;
        if (once && !tool->kind->words && is_given_again(given)) {
            return arena_printf(&tool->arena,
                                "Found multiple arguments for option %s, but you asked for only "
                                "one",
                                option->name)
                .data;
        }
        if (option->type != TOOL_TEXT && given->text != NULL && !is_number(option, given->text)) {
            return arena_printf(&tool->arena, "Cannot parse argument '%s' of option %s",
                                given->text, option->name)
                .data;
        }
    }
    return NULL;
}

bool tool_require(const struct tool *tool, const char *const *options) {
    for (; *options != NULL; options++) {
        if (!tool_has(tool, *options)) {
            (void)tool_usage(tool, "Missing required argument \"[%s]\"", *options);
            return false;
        }
    }
    return true;
}

bool tool_exclude(const struct tool *tool, const char *option, const char *const *others) {
    for (; tool_has(tool, option) && *others != NULL; others++) {
        if (tool_has(tool, *others)) {
            (void)tool_usage(tool, "Option \"[%s]\" can't be used with option \"[%s]\"", option,
                             *others);
            return false;
        }
    }
    return true;
}

/* --- mistakes --- */

int tool_fail(const struct tool *tool, const char *format, ...) {
    (void)tool;
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    return TOOL_FAILED;
}

int tool_usage(const struct tool *tool, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    tool_print_options(tool, stderr);
    return TOOL_FAILED;
}

int tool_unsupported(const struct tool *tool, const char *option) {
    return tool_fail(tool, "--%s: not supported yet", option);
}

static void print_option(FILE *out, const struct tool_option *option) {
    static const char *const values[] = {
        [TOOL_TEXT] = "TEXT", [TOOL_INT] = "NUMBER", [TOOL_LONG] = "NUMBER"};
    if (option->letter == '\0') {
        fprintf(out, "      --%s", option->name);
    } else {
        fprintf(out, "  -%c, --%s", option->letter, option->name);
    }
    switch (option->argument) {
    case TOOL_NONE:
        break;
    case TOOL_ONE:
        fprintf(out, " %s", values[option->type]);
        break;
    case TOOL_MAYBE:
        fprintf(out, " [%s]", values[option->type]);
        break;
    case TOOL_MANY:
        fprintf(out, " %s, may be repeated", values[option->type]);
        break;
    case TOOL_LIST:
        fprintf(out, " %s…", values[option->type]);
        break;
    }
    fprintf(out, "%s\n", option->need == TOOL_REQUIRED ? " (required)" : "");
}

void tool_print_options(const struct tool *tool, FILE *out) {
    const struct tool_syntax *syntax = tool->sub != NULL ? tool->sub : tool->syntax;
    fprintf(out, "usage: %s", tool->kind->name);
    if (tool->sub != NULL) {
        fprintf(out, " %s", tool->sub->subcommand);
    }
    if (syntax->subcommands != NULL) {
        fprintf(out, " [OPTIONS] {%s}", syntax->subcommands);
    }
    fputs(" [OPTIONS]\n", out);
    for (size_t i = 0; i < syntax->option_count; i++) {
        print_option(out, &syntax->options[i]);
    }
}
