#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "ottla/types.h"
#include "wire/compression.h"

/*
 * The settings of a client, parsed: a field per key of Kafka's clients that has an effect here.
 * Names are the keys' with _ for the dots. The table of keys (type, range, default, effect) is made
 * from schemas/configs/{producer,consumer,admin,client}.tsv and is part of the config module;
 * settings.c has the texts that a user gave, settings_fields.c where each belongs here.
 */
enum client_isolation { CLIENT_READ_UNCOMMITTED = 0, CLIENT_READ_COMMITTED = 1 };
enum client_reset {
    CLIENT_RESET_LATEST,
    CLIENT_RESET_EARLIEST,
    CLIENT_RESET_NONE,
    CLIENT_RESET_DURATION
};
enum client_group_protocol { CLIENT_GROUP_CLASSIC, CLIENT_GROUP_CONSUMER };
enum client_recovery { CLIENT_RECOVERY_NONE, CLIENT_RECOVERY_REBOOTSTRAP };

struct client_settings {
    /* all clients */
    const char *bootstrap_servers; /* host:port, … */
    const char *bootstrap_controllers;
    const char *client_id;
    const char *client_rack;
    int64_t request_timeout_ms;
    int64_t default_api_timeout_ms;
    int64_t retry_backoff_ms;
    int64_t retry_backoff_max_ms;
    int64_t reconnect_backoff_ms;
    int64_t reconnect_backoff_max_ms;
    int64_t socket_connection_setup_timeout_ms;
    int64_t socket_connection_setup_timeout_max_ms;
    int64_t connections_max_idle_ms;
    int64_t metadata_max_age_ms;
    enum client_recovery metadata_recovery_strategy;
    int64_t metadata_recovery_rebootstrap_trigger_ms;
    int send_buffer_bytes;
    int receive_buffer_bytes;
    int32_t retries;

    /* producer */
    int acks;                /* -1: all */
    bool enable_idempotence; /* off when it was not asked for and does not fit the rest */
    int32_t batch_size;
    int64_t linger_ms;
    int64_t buffer_memory;
    int64_t max_block_ms;
    int64_t delivery_timeout_ms;
    int32_t max_in_flight_requests_per_connection;
    int32_t max_request_size;
    int64_t metadata_max_idle_ms;
    enum compression_type compression_type;
    int compression_gzip_level;
    int compression_lz4_level;
    int compression_zstd_level;
    const char *partitioner_class; /* NULL: the default */
    bool partitioner_ignore_keys;
    bool partitioner_adaptive_partitioning_enable;
    int64_t partitioner_availability_timeout_ms;
    const char *transactional_id;
    int32_t transaction_timeout_ms;

    /* consumer */
    const char *group_id;
    const char *group_instance_id;
    enum client_group_protocol group_protocol;
    const char *group_remote_assignor;
    const char *partition_assignment_strategy; /* a list */
    int32_t session_timeout_ms;
    int32_t heartbeat_interval_ms;
    int32_t max_poll_interval_ms;
    int32_t max_poll_records;
    bool enable_auto_commit;
    int64_t auto_commit_interval_ms;
    enum client_reset auto_offset_reset;
    int64_t auto_offset_reset_duration_ms; /* of CLIENT_RESET_DURATION */
    int32_t fetch_min_bytes;
    int32_t fetch_max_bytes;
    int32_t fetch_max_wait_ms;
    int32_t max_partition_fetch_bytes;
    bool check_crcs;
    bool allow_auto_create_topics;
    bool exclude_internal_topics;
    enum client_isolation isolation_level;
};

/* The values in force. Strings live with the config. INVALID with *ret_error where they do not fit
 * together (linger.ms + request.timeout.ms > delivery.timeout.ms, idempotence without acks=all, …),
 * with Kafka's words. */
err_t client_settings_of(const struct ottla_config *config, struct client_settings *ret_settings,
                         struct ottla_error *ret_error);
