#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/arena.h"

/*
 * Commands as data: a tree of words with a table of options each. Parsing, help, completion and
 * documentation walk the same tables.
 *
 *     static const struct cli_option create_options[] = {
 *         {"partitions", 'p', CLI_NUMBER, "COUNT", "how many partitions; else the broker's
 * default"}, {NULL},
 *     };
 *     static const struct cli_command create = {
 *         .name = "create", .arguments = "TOPIC…", .summary = "make topics",
 *         .examples = "  ottla topic create orders -p 6\n", .options = create_options,
 *         .run = topic_create,
 *     };
 *
 * A command gets a `struct cli` with what was given, and returns its exit code (enum cli_exit).
 */
struct cli;

/* Exit codes are part of the interface: scripts rely on them. */
enum cli_exit {
    CLI_DONE = 0,
    CLI_FAILED = 1,      /* the cluster, or this machine, refused: the text says what to try */
    CLI_USAGE = 2,       /* the arguments are wrong; nothing was asked of a cluster */
    CLI_NOT_FOUND = 3,   /* the topic, group, broker … is not there */
    CLI_UNREACHABLE = 4, /* no broker answered in time */
    CLI_PARTLY = 5,      /* some of several things were done; each failure is on stderr */
    CLI_INTERRUPTED = 130,
};

enum cli_kind {
    CLI_FLAG,
    CLI_TEXT,
    CLI_NUMBER, /* an integer from `least` to `most`; if `value` is "SIZE" or "RECORDS" with k, M, G
                 * (powers of 1000), Ki, Mi or Gi */
    CLI_TEXTS,  /* may be given several times */
};

/* What completion offers for a value. */
enum cli_complete {
    CLI_COMPLETE_NONE,
    CLI_COMPLETE_FILE,
    CLI_COMPLETE_CHOICE, /* of `choices` */
    CLI_COMPLETE_TOPIC,
    CLI_COMPLETE_GROUP,
    CLI_COMPLETE_TRANSACTION, /* transactional ids */
    CLI_COMPLETE_BROKER,
    CLI_COMPLETE_PROFILE,
};

struct cli_option {
    const char *name; /* without dashes; NULL ends a table */
    char letter;      /* '\0': none */
    enum cli_kind kind;
    const char *value; /* what the help calls it; NULL for flags */
    const char *help;
    const char *choices; /* "a|b|c": nothing else is taken */
    enum cli_complete complete;
    int64_t least; /* of a number */
    int64_t most;  /* 0: any */
};

struct cli_command {
    const char *name;
    const char *others;    /* "show|list": what others call it; who types that is told the name */
    const char *arguments; /* "TOPIC…", "[GROUP]"; NULL: none are taken */
    const char *summary;   /* one line, not a sentence */
    const char *text;      /* paragraphs of the help, may be NULL */
    const char *examples;  /* lines of commands and what they do */
    const struct cli_option *options;
    const struct cli_command *const *commands; /* below it, ended by NULL; then without run */
    int arguments_min;
    int arguments_max; /* -1: any number */
    enum cli_complete complete;
    bool local; /* asks no cluster: without the options for one */
    int (*run)(struct cli *cli);
};

/* --- one invocation --- */

/* Finds the command in the tree below `root`, parses, runs it. argv[0] is root's own name.
 * `path` is what the help calls it: "ottla topic". Prints help and mistakes itself. */
int cli_run(const struct cli_command *root, const char *path, int argc, char **argv);

const struct cli_command *cli_command(const struct cli *cli);
const char *cli_path(const struct cli *cli);
struct arena *cli_arena(struct cli *cli); /* of the invocation */

size_t cli_argument_count(const struct cli *cli);
const char *cli_argument(const struct cli *cli, size_t index); /* NULL behind the last */
const char *const *cli_arguments(const struct cli *cli);       /* all of them */

/* Options by name; the command has an option of this name (asserted). */
bool cli_has(const struct cli *cli, const char *name);
const char *cli_text(const struct cli *cli, const char *name, const char *otherwise);
int64_t cli_number(const struct cli *cli, const char *name, int64_t otherwise);
size_t cli_texts(const struct cli *cli, const char *name, const char *const **ret_texts);

/* --- to people --- */

/* "ottla topic create: …" on stderr; a second line `hint`, if not NULL. Returns the code. */
int cli_fail(const struct cli *cli, enum cli_exit code, const char *hint, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* A line on stderr, unless --quiet. */
void cli_note(const struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* --dry-run was given: the command says what it would do, and changes nothing. */
bool cli_is_dry(const struct cli *cli);

/* --- tables, for who walks them (help, completion) --- */

extern const struct cli_option cli_common_options[];  /* of every command */
extern const struct cli_option cli_cluster_options[]; /* of those that ask a cluster */

/* The option by name or letter, in the command's own table or the common ones; NULL. */
const struct cli_option *cli_option_find(const struct cli_command *command, const char *name,
                                         size_t name_size);
const struct cli_option *cli_option_letter(const struct cli_command *command, char letter);

void cli_help_print(FILE *out, const struct cli_command *command, const char *path);

/* The name in a list nearest to what was typed; NULL when none is near. */
const char *cli_nearest(const char *typed, const char *const *names, size_t count);
