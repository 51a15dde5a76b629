#pragma once

#include <jansson.h>

#include "cli/items.h"

/* Private to the files of `ottla group`. */

extern const struct cli_command group_describe_command; /* group_lag.c */
extern const struct cli_command group_reset_command;    /* group_reset.c */

/* Asks for the groups that are the invocation's arguments. */
struct ottla_call *group_describe_start(const struct items *items);

/* "orders:0" … */
json_t *group_partitions_json(const struct ottla_partition *partitions, size_t count);

/* The results of a call on partitions; `done` is said of those that are well. */
int group_print_partitions(const struct cli *cli, const struct ottla_call *call, const char *done);
