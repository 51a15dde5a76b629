#pragma once

#include "cli/kafka/tool.h"

/* Private to topics.c and topics_describe.c. */

/* The topics of the cluster that --topic names, sorted; what to print on failure is in
 * *ret_error. */
int topics_find(struct tool *tool, struct ottla_client *client, struct ottla_topic_ref **ret_topics,
                size_t *ret_count, struct ottla_error *ret_error);

/* Prints "Error while executing topic command : …". */
int topics_fail(const struct tool *tool, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A name or pattern was given that no topic has, and that is not allowed. */
bool topics_is_missing(const struct tool *tool, size_t count);

int topics_describe(struct tool *tool, struct ottla_client *client);
