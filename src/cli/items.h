#pragma once

#include "cli/command.h"
#include "ottla/admin.h"

/*
 * What commands over the administrator have in common: a client, waiting for calls, and the exit
 * code of many items of which some may have failed.
 */
struct items {
    struct cli *cli;
    struct ottla_client *client;
    int fine;     /* an error of an item that is no failure, as with --if-exists */
    size_t count; /* of items that the call is about; 0: one */
};

/* Connects. Errors are printed. */
int items_start(struct cli *cli, struct items *ret_items);
void items_end(struct items *items);

/*
 * Waits for a call within --timeout. Failures are printed, a line per item. CLI_DONE: none;
 * CLI_PARTLY: of several items some are well; else the exit code of the first failure.
 */
int items_wait(const struct items *items, struct ottla_call *call);

/* How many partitions a topic has; mistakes are printed. */
int items_partition_count(const struct items *items, const char *topic, int32_t *ret_count);

/* KEY=VALUE options as settings, in the invocation's arena. CLI_USAGE. */
int items_settings(struct cli *cli, const char *option, struct ottla_setting **ret_settings,
                   size_t *ret_count);

/* Whether a name matches one of the invocation's arguments, in which * and ? stand for anything.
 * Without arguments all do. */
bool items_match(const struct cli *cli, const char *name);

/* Appends the partitions of "orders" (all that the cluster says it has), "orders:0" or
 * "orders:0,3-5" to a list in the arena. Mistakes are printed. */
struct items_partitions {
    struct ottla_partition *partitions;
    size_t count;
};
int items_partitions_add(const struct items *items, const char *text,
                         struct items_partitions *list);

/* Of each partition OTTLA_OFFSET_EARLIEST, OTTLA_OFFSET_LATEST, or the offset of the first record
 * at or after a time in ms (-1: there is none), in the arena. Failures are printed. */
int items_offsets(const struct items *items, const struct items_partitions *partitions,
                  int64_t what, int64_t **ret_offsets);
