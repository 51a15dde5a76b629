#pragma once

#include "server/request.h"

/* One function per API, in the file of its name. Each answers the request exactly once. */
void handle_produce(struct request *request);
void handle_fetch(struct request *request);
void handle_list_offsets(struct request *request);
void handle_find_coordinator(struct request *request);
void handle_offset_commit(struct request *request);
void handle_offset_fetch(struct request *request);
void handle_offset_delete(struct request *request);
void handle_txn_offset_commit(struct request *request);
void handle_write_txn_markers(struct request *request);
void handle_join_group(struct request *request);
void handle_sync_group(struct request *request);
void handle_heartbeat(struct request *request);
void handle_leave_group(struct request *request);
void handle_list_groups(struct request *request);
void handle_consumer_group_heartbeat(struct request *request);
void handle_consumer_group_describe(struct request *request);
void handle_describe_groups(struct request *request);
void handle_delete_groups(struct request *request);
void handle_metadata(struct request *request);
void handle_api_versions(struct request *request);
void handle_create_topics(struct request *request);
void handle_delete_topics(struct request *request);
void handle_delete_records(struct request *request);
void handle_init_producer_id(struct request *request);
void handle_add_partitions_to_txn(struct request *request);
void handle_add_offsets_to_txn(struct request *request);
void handle_end_txn(struct request *request);
void handle_describe_transactions(struct request *request);
void handle_list_transactions(struct request *request);
void handle_offset_for_leader_epoch(struct request *request);
void handle_describe_configs(struct request *request);
void handle_alter_configs(struct request *request);
void handle_describe_log_dirs(struct request *request);
void handle_create_partitions(struct request *request);
void handle_incremental_alter_configs(struct request *request);
void handle_describe_quorum(struct request *request);
void handle_update_features(struct request *request);
void handle_describe_cluster(struct request *request);
void handle_describe_producers(struct request *request);
void handle_list_config_resources(struct request *request);
void handle_describe_topic_partitions(struct request *request);
