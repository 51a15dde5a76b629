#pragma once

#include "cli/kafka/tool.h"

/*
 * What the console tools share: settings of their client from many places, and properties of
 * readers and formatters.
 */

/* Pairs, the later over the earlier, in the tool's arena. */
struct console_pair {
    const char *name;
    const char *value;
};
struct console_properties {
    struct console_pair *pairs;
    size_t count;
};

/* Adds the pairs of a file, and those of options "key=value". Printed mistakes: TOOL_FAILED. */
int console_properties_read(struct tool *tool, struct console_properties *properties,
                            const char *path);
int console_properties_add(struct tool *tool, struct console_properties *properties,
                           const char *option);
void console_properties_set(struct tool *tool, struct console_properties *properties,
                            const char *name, const char *value);
const char *console_property(const struct console_properties *properties, const char *name,
                             const char *otherwise);
bool console_property_is_true(const struct console_properties *properties, const char *name,
                              bool otherwise);

/* An option that another one has replaced: taken with a word on stdout that says so, but not
 * beside the other. The two tools word it their own way. TOOL_FAILED, printed. */
enum console_tool { CONSOLE_CONSUMER, CONSOLE_PRODUCER };
int console_replaced(struct tool *tool, enum console_tool which, const char *old,
                     const char *option);

/* "prefix-12345": a group of its own. */
const char *console_random_name(struct tool *tool, const char *prefix);

/* A client with these settings and --bootstrap-server. Names that are not known are passed over, as
 * by Kafka's clients. It lives as long as the tool. */
int console_connect(struct tool *tool, const struct console_properties *settings,
                    struct ottla_client **ret_client);
