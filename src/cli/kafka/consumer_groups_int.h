#pragma once

#include "cli/kafka/tool.h"

/* Private to consumer_groups*.c. */

/* "\nError: …" on stdout. These failures leave the exit code 0, as scripts have always had it. */
int groups_error(const struct tool *tool, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The same for a call that failed, about which no result says more. */
int groups_failed(const struct tool *tool, const struct ottla_error *error);

/* The groups of --group, or all that are there. */
int groups_named(struct tool *tool, struct ottla_client *client, const char *const **ret_groups,
                 size_t *ret_count);

/* A list of partitions that grows in the tool's arena. */
struct groups_partitions {
    struct ottla_partition *items;
    size_t count;
};
void groups_partitions_add(struct tool *tool, struct groups_partitions *list, const char *topic,
                           int32_t partition);

/* What --topic names: "orders" (each partition), "orders:0,2". Of topics that are not there
 * partition -1 is in *ret_unknown, or with NULL that is an error. TOOL_FAILED: it was printed, and
 * *ret_code is the exit code. */
int groups_topics(struct tool *tool, struct ottla_client *client,
                  struct groups_partitions *ret_list, struct groups_partitions *ret_unknown,
                  int *ret_code);

int groups_describe(struct tool *tool, struct ottla_client *client);
int groups_reset(struct tool *tool, struct ottla_client *client);
