#pragma once

#include <stdbool.h>
#include <stddef.h>

/* The options of Apache Kafka's tools as data; the table is generated from schemas/cli.tsv. */
enum tool_argument {
    TOOL_NONE,
    TOOL_ONE,
    TOOL_MAYBE, /* may be left out */
    TOOL_MANY,  /* the option may be given several times */
    TOOL_LIST,  /* all words up to the next option */
};

enum tool_type { TOOL_TEXT, TOOL_INT, TOOL_LONG };

/* What the parser sees to. */
enum tool_need {
    TOOL_OPTIONAL, /* or the tool itself asks for it */
    TOOL_REQUIRED,
    TOOL_ONE_OF, /* exactly one of those that are so marked */
    TOOL_EITHER, /* at most one of those */
};

struct tool_option {
    const char *name; /* without dashes; NULL ends a list */
    char letter;      /* '\0': none */
    enum tool_argument argument;
    enum tool_type type;
    enum tool_need need;
    const char *otherwise; /* the default; NULL: none */
};

struct tool_syntax {
    const char *tool;        /* "kafka-topics"; NULL ends the table */
    const char *subcommand;  /* NULL: the tool itself */
    const char *subcommands; /* "describe,upgrade"; NULL: it has none */
    const struct tool_option *options;
    size_t option_count;
};
extern const struct tool_syntax tool_syntaxes[];

/* NULL when there is no such tool, or no such subcommand. */
const struct tool_syntax *tool_syntax_find(const char *tool, const char *subcommand);
