/* From texts by key to the fields of client_settings, and whether they fit together. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "client/core.h"
#include "client/settings_int.h"

/* --- fields that are what their text says --- */

enum field_kind { FIELD_TEXT, FIELD_LONG, FIELD_INT, FIELD_BOOL };

struct field {
    enum config_key key;
    enum field_kind kind;
    size_t offset;
};

#define FIELD(kind_, type, key_, name)                                                             \
    {                                                                                              \
        .key = CLIENT_CONFIG_##key_, .kind = kind_,                                                \
        .offset = offsetof(struct client_settings, name) +                                         \
                  0 * sizeof((type *)0 == &((struct client_settings *)0)->name)                    \
    }
#define TEXT(key, name) FIELD(FIELD_TEXT, const char *, key, name)
#define LONG(key, name) FIELD(FIELD_LONG, int64_t, key, name)
#define INT(key, name)  FIELD(FIELD_INT, int32_t, key, name)
#define BOOL(key, name) FIELD(FIELD_BOOL, bool, key, name)

/* The macro compares pointers only so that a field of another type does not compile. */
static const struct field fields[] = {
    TEXT(BOOTSTRAP_SERVERS, bootstrap_servers),
    TEXT(BOOTSTRAP_CONTROLLERS, bootstrap_controllers),
    TEXT(CLIENT_ID, client_id),
    TEXT(CLIENT_RACK, client_rack),
    TEXT(PARTITIONER_CLASS, partitioner_class),
    TEXT(TRANSACTIONAL_ID, transactional_id),
    TEXT(GROUP_ID, group_id),
    TEXT(GROUP_INSTANCE_ID, group_instance_id),
    TEXT(GROUP_REMOTE_ASSIGNOR, group_remote_assignor),
    TEXT(PARTITION_ASSIGNMENT_STRATEGY, partition_assignment_strategy),
    LONG(REQUEST_TIMEOUT_MS, request_timeout_ms),
    LONG(DEFAULT_API_TIMEOUT_MS, default_api_timeout_ms),
    LONG(RETRY_BACKOFF_MS, retry_backoff_ms),
    LONG(RETRY_BACKOFF_MAX_MS, retry_backoff_max_ms),
    LONG(RECONNECT_BACKOFF_MS, reconnect_backoff_ms),
    LONG(RECONNECT_BACKOFF_MAX_MS, reconnect_backoff_max_ms),
    LONG(SOCKET_CONNECTION_SETUP_TIMEOUT_MS, socket_connection_setup_timeout_ms),
    LONG(SOCKET_CONNECTION_SETUP_TIMEOUT_MAX_MS, socket_connection_setup_timeout_max_ms),
    LONG(CONNECTIONS_MAX_IDLE_MS, connections_max_idle_ms),
    LONG(METADATA_MAX_AGE_MS, metadata_max_age_ms),
    LONG(METADATA_RECOVERY_REBOOTSTRAP_TRIGGER_MS, metadata_recovery_rebootstrap_trigger_ms),
    LONG(LINGER_MS, linger_ms),
    LONG(BUFFER_MEMORY, buffer_memory),
    LONG(MAX_BLOCK_MS, max_block_ms),
    LONG(DELIVERY_TIMEOUT_MS, delivery_timeout_ms),
    LONG(METADATA_MAX_IDLE_MS, metadata_max_idle_ms),
    LONG(PARTITIONER_AVAILABILITY_TIMEOUT_MS, partitioner_availability_timeout_ms),
    LONG(AUTO_COMMIT_INTERVAL_MS, auto_commit_interval_ms),
    INT(SEND_BUFFER_BYTES, send_buffer_bytes),
    INT(RECEIVE_BUFFER_BYTES, receive_buffer_bytes),
    INT(RETRIES, retries),
    INT(BATCH_SIZE, batch_size),
    INT(MAX_IN_FLIGHT_REQUESTS_PER_CONNECTION, max_in_flight_requests_per_connection),
    INT(MAX_REQUEST_SIZE, max_request_size),
    INT(COMPRESSION_GZIP_LEVEL, compression_gzip_level),
    INT(COMPRESSION_LZ4_LEVEL, compression_lz4_level),
    INT(COMPRESSION_ZSTD_LEVEL, compression_zstd_level),
    INT(TRANSACTION_TIMEOUT_MS, transaction_timeout_ms),
    INT(SESSION_TIMEOUT_MS, session_timeout_ms),
    INT(HEARTBEAT_INTERVAL_MS, heartbeat_interval_ms),
    INT(MAX_POLL_INTERVAL_MS, max_poll_interval_ms),
    INT(MAX_POLL_RECORDS, max_poll_records),
    INT(FETCH_MIN_BYTES, fetch_min_bytes),
    INT(FETCH_MAX_BYTES, fetch_max_bytes),
    INT(FETCH_MAX_WAIT_MS, fetch_max_wait_ms),
    INT(MAX_PARTITION_FETCH_BYTES, max_partition_fetch_bytes),
    BOOL(ENABLE_IDEMPOTENCE, enable_idempotence),
    BOOL(PARTITIONER_IGNORE_KEYS, partitioner_ignore_keys),
    BOOL(PARTITIONER_ADAPTIVE_PARTITIONING_ENABLE, partitioner_adaptive_partitioning_enable),
    BOOL(ENABLE_AUTO_COMMIT, enable_auto_commit),
    BOOL(CHECK_CRCS, check_crcs),
    BOOL(ALLOW_AUTO_CREATE_TOPICS, allow_auto_create_topics),
    BOOL(EXCLUDE_INTERNAL_TOPICS, exclude_internal_topics),
};

static void take_field(const struct field *field, const struct ottla_config *config,
                       struct client_settings *settings) {
    struct config_value value = client_config_value(config, field->key);
    void *at = (char *)settings + field->offset;
    switch (field->kind) {
    case FIELD_TEXT:
        memcpy(at, &value.text.data, sizeof value.text.data);
        return;
    case FIELD_LONG:
        memcpy(at, &value.number, sizeof value.number);
        return;
    case FIELD_INT: {
        int32_t number = (int32_t)value.number;
        memcpy(at, &number, sizeof number);
        return;
    }
    case FIELD_BOOL:
        memcpy(at, &value.boolean, sizeof value.boolean);
        return;
    }
}

/* --- fields with a meaning of their own --- */

static const char *text_of(const struct ottla_config *config, enum config_key key) {
    return client_config_value(config, key).text.data;
}

static enum compression_type compression_of(const char *name) {
    static const struct {
        const char *name;
        enum compression_type type;
    } names[] = {{"none", COMPRESSION_NONE},
                 {"gzip", COMPRESSION_GZIP},
                 {"snappy", COMPRESSION_SNAPPY},
                 {"lz4", COMPRESSION_LZ4},
                 {"zstd", COMPRESSION_ZSTD}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i].name) == 0) {
            return names[i].type;
        }
    }
    return COMPRESSION_NONE;
}

/* ISO 8601 as Java's Duration reads it: P1DT2H3M4.5S, each part with a sign of its own if need be.
 * False when it is not one. */
static bool duration_ms(const char *text, int64_t *ret_ms) {
    static const struct {
        char unit;
        bool time;
        double ms;
    } units[] = {{'D', false, 86400e3}, {'H', true, 3600e3}, {'M', true, 60e3}, {'S', true, 1e3}};
    size_t next = 0;
    bool in_time = false;
    double total = 0;
    int parts = 0;
    for (const char *p = text + 1; *p != 0;) {
        if ((*p | 0x20) == 't' && !in_time) {
            in_time = true;
            p++;
            continue;
        }
        char *end;
        double number = strtod(p, &end);
        while (next < 4 && (units[next].unit | 0x20) != (*end | 0x20)) {
            next++;
        }
        if (end == p || next == 4 || units[next].time != in_time) {
            return false;
        }
        total += number * units[next++].ms;
        parts++;
        p = end + 1;
    }
    *ret_ms = (int64_t)total;
    return parts > 0 && total >= 0 && total < 9e18;
}

static int take_offset_reset(const char *text, struct client_settings *settings,
                             struct ottla_error *ret_error) {
    static const char prefix[] = "by_duration:";
    settings->auto_offset_reset = strcmp(text, "earliest") == 0 ? CLIENT_RESET_EARLIEST
                                  : strcmp(text, "latest") == 0 ? CLIENT_RESET_LATEST
                                  : strcmp(text, "none") == 0   ? CLIENT_RESET_NONE
                                                                : CLIENT_RESET_DURATION;
    if (settings->auto_offset_reset == CLIENT_RESET_DURATION &&
        !duration_ms(text + strlen(prefix), &settings->auto_offset_reset_duration_ms)) {
        return client_error_set(ret_error, OTTLA_INVALID,
                                "Invalid value %s for configuration auto.offset.reset: Unable to "
                                "parse duration; it is written as P1D, PT12H or PT30M",
                                text);
    }
    return OTTLA_OK;
}

static int take_others(const struct ottla_config *config, struct client_settings *settings,
                       struct ottla_error *ret_error) {
    const char *acks = text_of(config, CLIENT_CONFIG_ACKS);
    settings->acks = strcmp(acks, "all") == 0 ? -1 : atoi(acks);
    /* A size switches off the kernel's own choice, which grows with need: half the work per byte.
     * So the defaults, Java's of long ago, are only what is told. */
    if (!client_config_is_set(config, CLIENT_CONFIG_RECEIVE_BUFFER_BYTES)) {
        settings->receive_buffer_bytes = -1;
    }
    if (!client_config_is_set(config, CLIENT_CONFIG_SEND_BUFFER_BYTES)) {
        settings->send_buffer_bytes = -1;
    }
    settings->compression_type = compression_of(text_of(config, CLIENT_CONFIG_COMPRESSION_TYPE));
    settings->metadata_recovery_strategy =
        strcasecmp(text_of(config, CLIENT_CONFIG_METADATA_RECOVERY_STRATEGY), "none") == 0
            ? CLIENT_RECOVERY_NONE
            : CLIENT_RECOVERY_REBOOTSTRAP;
    settings->group_protocol =
        strcasecmp(text_of(config, CLIENT_CONFIG_GROUP_PROTOCOL), "consumer") == 0
            ? CLIENT_GROUP_CONSUMER
            : CLIENT_GROUP_CLASSIC;
    settings->isolation_level =
        strcmp(text_of(config, CLIENT_CONFIG_ISOLATION_LEVEL), "read_committed") == 0
            ? CLIENT_READ_COMMITTED
            : CLIENT_READ_UNCOMMITTED;
    return take_offset_reset(text_of(config, CLIENT_CONFIG_AUTO_OFFSET_RESET), settings, ret_error);
}

/* --- do they fit together --- */

/* A maximum that was left alone grows with its minimum, as in Kafka's clients. */
static void widen(const struct ottla_config *config, enum config_key max_key, int64_t min,
                  int64_t *max) {
    if (*max < min && !client_config_is_set(config, max_key)) {
        *max = min;
    }
}

static int check_idempotence(const struct ottla_config *config, struct client_settings *settings,
                             struct ottla_error *ret_error) {
    const char *conflict = NULL;
    if (settings->retries == 0) {
        conflict = "Must set retries to non-zero when using the idempotent producer.";
    } else if (settings->acks != -1) {
        conflict = "Must set acks to all in order to use the idempotent producer. Otherwise we "
                   "cannot guarantee idempotence.";
    } else if (settings->max_in_flight_requests_per_connection > 5) {
        conflict = "Must set max.in.flight.requests.per.connection to at most 5 to use the "
                   "idempotent producer.";
    }
    bool given = client_config_is_set(config, CLIENT_CONFIG_ENABLE_IDEMPOTENCE);
    if (settings->enable_idempotence && conflict != NULL) {
        if (given || settings->transactional_id != NULL) {
            return client_error_set(ret_error, OTTLA_INVALID, "%s", conflict);
        }
        settings->enable_idempotence = false;
    }
    if (!settings->enable_idempotence && settings->transactional_id != NULL) {
        return client_error_set(ret_error, OTTLA_INVALID,
                                "Cannot set a transactional.id without also enabling idempotence.");
    }
    return OTTLA_OK;
}

static int check_delivery_timeout(const struct ottla_config *config,
                                  struct client_settings *settings, struct ottla_error *ret_error) {
    int64_t least_ms = settings->linger_ms + settings->request_timeout_ms;
    if (settings->delivery_timeout_ms >= least_ms) {
        return OTTLA_OK;
    }
    if (!client_config_is_set(config, CLIENT_CONFIG_DELIVERY_TIMEOUT_MS)) {
        settings->delivery_timeout_ms = least_ms;
        return OTTLA_OK;
    }
    return client_error_set(ret_error, OTTLA_INVALID,
                            "delivery.timeout.ms should be equal to or larger than linger.ms + "
                            "request.timeout.ms");
}

/* What belongs to the other group protocol is an error when it is given. */
static int check_group(const struct ottla_config *config, const struct client_settings *settings,
                       struct ottla_error *ret_error) {
    static const struct {
        enum config_key key;
        const char *name;
        enum client_group_protocol protocol;
    } owned[] = {
        {CLIENT_CONFIG_SESSION_TIMEOUT_MS, "session.timeout.ms", CLIENT_GROUP_CLASSIC},
        {CLIENT_CONFIG_HEARTBEAT_INTERVAL_MS, "heartbeat.interval.ms", CLIENT_GROUP_CLASSIC},
        {CLIENT_CONFIG_PARTITION_ASSIGNMENT_STRATEGY, "partition.assignment.strategy",
         CLIENT_GROUP_CLASSIC},
        {CLIENT_CONFIG_GROUP_REMOTE_ASSIGNOR, "group.remote.assignor", CLIENT_GROUP_CONSUMER},
    };
    bool classic = settings->group_protocol == CLIENT_GROUP_CLASSIC;
    for (size_t i = 0; i < sizeof owned / sizeof owned[0]; i++) {
        if (owned[i].protocol != settings->group_protocol &&
            client_config_is_set(config, owned[i].key)) {
            return client_error_set(ret_error, OTTLA_INVALID,
                                    "%s cannot be set when group.protocol=%s", owned[i].name,
                                    classic ? "CLASSIC" : "CONSUMER");
        }
    }
    if (classic && settings->heartbeat_interval_ms >= settings->session_timeout_ms) {
        return client_error_set(ret_error, OTTLA_INVALID,
                                "heartbeat.interval.ms must be set lower than session.timeout.ms");
    }
    return OTTLA_OK;
}

err_t client_settings_of(const struct ottla_config *config, struct client_settings *ret_settings,
                         struct ottla_error *ret_error) {
    struct client_settings settings = {0};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        take_field(&fields[i], config, &settings);
    }
    int code = take_others(config, &settings, ret_error);
    if (code == OTTLA_OK) {
        code = check_idempotence(config, &settings, ret_error);
    }
    if (code == OTTLA_OK) {
        code = check_delivery_timeout(config, &settings, ret_error);
    }
    if (code == OTTLA_OK) {
        code = check_group(config, &settings, ret_error);
    }
    if (code != OTTLA_OK) {
        return (err_t)code;
    }
    widen(config, CLIENT_CONFIG_RETRY_BACKOFF_MAX_MS, settings.retry_backoff_ms,
          &settings.retry_backoff_max_ms);
    widen(config, CLIENT_CONFIG_RECONNECT_BACKOFF_MAX_MS, settings.reconnect_backoff_ms,
          &settings.reconnect_backoff_max_ms);
    widen(config, CLIENT_CONFIG_SOCKET_CONNECTION_SETUP_TIMEOUT_MAX_MS,
          settings.socket_connection_setup_timeout_ms,
          &settings.socket_connection_setup_timeout_max_ms);
    *ret_settings = settings;
    return ERR_OK;
}
