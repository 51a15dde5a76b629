#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/arena.h"
#include "cli/kafka/syntax.h"
#include "ottla/admin.h"

/*
 * One invocation of a tool of Apache Kafka's name.
 *
 * What scripts read of those tools is the same here: flags, text on stdout, exit codes (0, or 1),
 * and the first line of a mistake on stderr. A tool is a function over a parsed `struct tool`; it
 * prints its own errors and returns the exit code. Two parsers stand before it, since Kafka's tools
 * stand on two libraries:
 *
 *   parse.c   flat tools: --name value, --name=value, -name; no abbreviations
 *   words.c   tools with subcommands: -x and --name, which may be cut short while it is clear
 */
struct tool;

enum { TOOL_DONE = 0, TOOL_FAILED = 1 };

/* --- what was given; the option is in the table (asserted) --- */

bool tool_has(const struct tool *tool, const char *option);
const char *tool_text(const struct tool *tool, const char *option);    /* or the default, or NULL */
const char *tool_text_of(const struct tool *tool, const char *option); /* also of one not in it */
int64_t tool_number(const struct tool *tool, const char *option);      /* given, or has a default */
size_t tool_texts(const struct tool *tool, const char *option, const char *const **ret_texts);
const char *tool_subcommand(const struct tool *tool); /* NULL: none */

/* Words that belong to no option. */
size_t tool_words(const struct tool *tool, const char *const **ret_words);

/* The command line behind the tool's name. */
void tool_print_arguments(const struct tool *tool, FILE *out);

struct arena *tool_arena(struct tool *tool); /* of the invocation */

/* --- mistakes: one line on stderr. All return TOOL_FAILED --- */

int tool_fail(const struct tool *tool, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The line, and the options there are. */
int tool_usage(const struct tool *tool, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* An option that the cluster's API for is not there yet. */
int tool_unsupported(const struct tool *tool, const char *option);

/* Checks of options as Kafka's tools make them; each prints what is wrong and returns false.
 * Lists end with NULL. */
bool tool_require(const struct tool *tool, const char *const *options);
bool tool_exclude(const struct tool *tool, const char *option, const char *const *others);

/* --- the cluster --- */

/* Connects with --bootstrap-server (or --bootstrap-controller) and the file of --command-config.
 * Prints what is wrong. The client lives as long as the tool. */
int tool_connect(struct tool *tool, struct ottla_client **ret_client);

/* Waits for a call until it ends; it lives as long as the tool. Returns its code. */
int tool_wait(struct tool *tool, struct ottla_call *call, struct ottla_error *ret_error);

/* "org.apache.kafka.common.errors.PolicyViolationException" of a code of the protocol. */
const char *tool_exception(struct tool *tool, int code);

/* A result's text as Kafka's tools show it: the broker's words, or Kafka's own about the error. */
const char *tool_error_text(int code, const char *text);

/* The same of a call that is about one thing: without the library's words about which one. */
const char *tool_unlabelled(const struct ottla_error *error);

/* "classic" to "Classic", as Kafka's tools write types and states; "" to "Unknown". */
const char *tool_capital(struct tool *tool, const char *word);

/* --- the table of tools (names.c) --- */

struct tool_kind {
    const char *name;
    const char *summary;           /* one line */
    bool words;                    /* read by words.c */
    bool terse;                    /* of those: mistakes without the options */
    int help_code;                 /* of those: the exit code of --help */
    int (*run)(struct tool *tool); /* TOOL_DONE or TOOL_FAILED */
};
