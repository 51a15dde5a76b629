#pragma once

#include "cli/kafka/console.h"

/* Records as kafka-console-consumer prints them: Kafka's DefaultMessageFormatter, and those of the
 * topics in which a cluster keeps its own state. */
struct console_format;

/* Of --formatter, --formatter-config, --property, --formatter-property and the two deserializers.
 * Mistakes are printed: TOOL_FAILED. It lives in the tool's arena. */
int console_format_new(struct tool *tool, struct console_format **ret_format);

/* False: the record cannot be read with the formatter and deserializers given; what is wrong in
 * *ret_error. */
bool console_format_print(const struct console_format *format, const struct ottla_record *record,
                          const char **ret_error);
