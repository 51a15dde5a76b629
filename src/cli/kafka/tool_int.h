#pragma once

#include "cli/kafka/tool.h"

struct tool_filter;

/* Private to the parsers and to tool.c. */

struct tool_given {
    const struct tool_option *option;
    const char *text; /* NULL: without an argument */
    struct tool_given *next;
};

#define TOOL_VERSION "4.3.1" /* of the tools that these behave as */

enum { TOOL_CALLS_MAX = 16 };

struct tool {
    const struct tool_kind *kind;
    const struct tool_syntax *syntax;
    const struct tool_syntax *sub; /* of the subcommand; NULL: none */
    int argc;
    char **argv;
    struct arena arena;
    struct tool_given *given;
    struct tool_given **given_end;
    const char **words;
    size_t word_count;
    struct ottla_client *client;
    struct ottla_call *calls[TOOL_CALLS_MAX]; /* freed with it */
    size_t call_count;
    struct tool_filter *filters; /* freed with it */
};

void tool_filters_free(struct tool_filter *filters);

/* TOOL_DONE: go on; else TOOL_FAILED. *ret_over: help or the version was printed: end with
 * what was returned. */
int tool_parse(struct tool *tool, int argc, char **argv, bool *ret_over);
int tool_parse_words(struct tool *tool, int argc, char **argv, bool *ret_over);

void tool_give(struct tool *tool, const struct tool_option *option, const char *text);

/* Types, and options that may be given once. NULL, or the sentence about what is wrong. */
const char *tool_check(struct tool *tool);

void tool_print_options(const struct tool *tool, FILE *out);
