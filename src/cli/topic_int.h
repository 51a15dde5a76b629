#pragma once

#include "cli/items.h"

/* What the files of `ottla topic` share. */

extern const struct cli_command topic_alter_command;
extern const struct cli_command topic_trim_command;

/* The outcome per topic: `done` for those that went well. Returns CLI_DONE. */
int topic_print_results(const struct items *items, const struct ottla_call *call, const char *done);

/* "1:2,2:3": as Kafka's tools write it, the replicas of one partition with colons, partitions with
 * commas. The lists live in the arena. */
bool topic_assignment_parse(struct cli *cli, const char *text, struct ottla_replicas **ret_list,
                            size_t *ret_count);
