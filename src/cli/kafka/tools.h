#pragma once

#include "cli/kafka/tool.h"

/* The tools, a file each. What they print is described by the tools of the same name. */
int kafka_broker_api_versions(struct tool *tool);
int kafka_cluster(struct tool *tool);
int kafka_configs(struct tool *tool);
int kafka_console_consumer(struct tool *tool);
int kafka_console_producer(struct tool *tool);
int kafka_consumer_groups(struct tool *tool);
int kafka_consumer_perf_test(struct tool *tool);
int kafka_delete_records(struct tool *tool);
int kafka_dump_log(struct tool *tool);
int kafka_features(struct tool *tool);
int kafka_get_offsets(struct tool *tool);
int kafka_groups(struct tool *tool);
int kafka_log_dirs(struct tool *tool);
int kafka_metadata_quorum(struct tool *tool);
int kafka_storage(struct tool *tool);
int kafka_producer_perf_test(struct tool *tool);
int kafka_topics(struct tool *tool);
int kafka_transactions(struct tool *tool);
