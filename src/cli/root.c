/* The tree of commands. */
#include <stddef.h>

#include "cli/commands.h"

static const struct cli_command *const commands[] = {
    &cli_produce_command,     &cli_consume_command, &cli_topic_command,      &cli_group_command,
    &cli_transaction_command, &cli_config_command,  &cli_cluster_command,    &cli_profile_command,
    &cli_log_command,         &cli_bench_command,   &cli_completion_command, NULL,
};

const struct cli_command cli_root = {
    .name = "ottla",
    .summary = "an event streaming platform that speaks Apache Kafka's protocol",
    .commands = commands,
};
