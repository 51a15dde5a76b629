#pragma once

/* The names of Apache Kafka's tools, by which `ottla` is also called: by a symbolic link
 * (kafka-topics or kafka-topics.sh), or as its first word. */
struct tool_kind;

/* Of a path or a word; NULL when it is no such name. */
const struct tool_kind *tool_kind_find(const char *name);

/* Runs it: argv[0] is its name. Returns the exit code. */
int tool_run(const struct tool_kind *kind, int argc, char **argv);
