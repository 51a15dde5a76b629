#pragma once

#include "cli/command.h"

/* The commands, one table per file. `ottla WORD …` is looked up in cli_root. */
extern const struct cli_command cli_root;

extern const struct cli_command cli_bench_command;
extern const struct cli_command cli_cluster_command;
extern const struct cli_command cli_completion_command;
extern const struct cli_command cli_config_command;
extern const struct cli_command cli_consume_command;
extern const struct cli_command cli_group_command;
extern const struct cli_command cli_log_command;
extern const struct cli_command cli_produce_command;
extern const struct cli_command cli_profile_command;
extern const struct cli_command cli_topic_command;
extern const struct cli_command cli_transaction_command;
