#include "replica/topic_config.h"

#include <stdio.h>

#include "base/limits.h"

static bool resource_get(const void *arg, struct str name, struct str *ret_value) {
    const struct meta_config_resource *resource = arg;
    const struct meta_config *config =
        resource == NULL ? NULL : pmap_get(&resource->configs, str_bytes(name));
    if (config == NULL) {
        return false;
    }
    *ret_value = config->value;
    return true;
}

static struct config_lookup lookup(const struct meta_image *image, int8_t type, struct str name) {
    return (struct config_lookup){
        .get = resource_get,
        .arg = meta_image_config_resource(image, type, name),
    };
}

void topic_config_layers(const struct meta_image *image, int8_t resource_type, struct str name,
                         int32_t node_id, const struct config *file, struct config_layers *ret) {
    char node[16];
    int size = snprintf(node, sizeof node, "%d", (int)node_id);
    *ret = (struct config_layers){
        .broker =
            lookup(image, META_RESOURCE_BROKER, (struct str){.data = node, .size = (size_t)size}),
        .cluster = lookup(image, META_RESOURCE_BROKER, STR("")),
        .file = file,
    };
    if (resource_type != META_RESOURCE_BROKER) {
        ret->resource = lookup(image, resource_type, name);
    }
}

static enum compression_type compression_of(struct str name, bool *ret_keep) {
    *ret_keep = str_equal(name, STR("producer"));
    for (int type = COMPRESSION_GZIP; type < COMPRESSION_TYPE_COUNT; type++) {
        if (str_equal(name, str_from_c(compression_name((enum compression_type)type)))) {
            return (enum compression_type)type;
        }
    }
    return COMPRESSION_NONE;
}

static void read_log(const struct config *topic, const struct config *file,
                     struct log_config *log) {
    struct str cleanup = config_str(topic, TOPIC_CONFIG_CLEANUP_POLICY);
    log_config_init(log);
    log->segment_bytes =
        config_int(topic, config_is_null(topic, TOPIC_CONFIG_INTERNAL_SEGMENT_BYTES)
                              ? TOPIC_CONFIG_SEGMENT_BYTES
                              : TOPIC_CONFIG_INTERNAL_SEGMENT_BYTES);
    log->segment_ms = config_long(topic, TOPIC_CONFIG_SEGMENT_MS);
    log->segment_jitter_ms = config_long(topic, TOPIC_CONFIG_SEGMENT_JITTER_MS);
    log->segment_index_bytes = config_int(topic, TOPIC_CONFIG_SEGMENT_INDEX_BYTES);
    log->index_interval_bytes = config_int(topic, TOPIC_CONFIG_INDEX_INTERVAL_BYTES);
    log->retention_ms = config_long(topic, TOPIC_CONFIG_RETENTION_MS);
    log->retention_bytes = config_long(topic, TOPIC_CONFIG_RETENTION_BYTES);
    log->flush_messages = config_long(topic, TOPIC_CONFIG_FLUSH_MESSAGES);
    log->flush_ms = config_long(topic, TOPIC_CONFIG_FLUSH_MS);
    log->file_delete_delay_ms = config_long(topic, TOPIC_CONFIG_FILE_DELETE_DELAY_MS);
    log->producer_expiration_ms = config_int(file, CONFIG_PRODUCER_ID_EXPIRATION_MS);
    log->delete_retention_ms = config_long(topic, TOPIC_CONFIG_DELETE_RETENTION_MS);
    log->min_compaction_lag_ms = config_long(topic, TOPIC_CONFIG_MIN_COMPACTION_LAG_MS);
    log->max_compaction_lag_ms = config_long(topic, TOPIC_CONFIG_MAX_COMPACTION_LAG_MS);
    log->min_cleanable_ratio = config_double(topic, TOPIC_CONFIG_MIN_CLEANABLE_DIRTY_RATIO);
    log->preallocate = config_bool(topic, TOPIC_CONFIG_PREALLOCATE);
    log->cleanup_delete = config_list_has(cleanup, STR("delete"));
    log->cleanup_compact = config_list_has(cleanup, STR("compact"));
}

static void read_rules(const struct config *topic, const struct log_config *log,
                       struct record_set_rules *rules) {
    *rules = (struct record_set_rules){
        .origin = RECORD_SET_CLIENT,
        .gzip_level = config_int(topic, TOPIC_CONFIG_COMPRESSION_GZIP_LEVEL),
        .lz4_level = config_int(topic, TOPIC_CONFIG_COMPRESSION_LZ4_LEVEL),
        .zstd_level = config_int(topic, TOPIC_CONFIG_COMPRESSION_ZSTD_LEVEL),
        .log_append_time =
            str_equal(config_str(topic, TOPIC_CONFIG_MESSAGE_TIMESTAMP_TYPE), STR("LogAppendTime")),
        .compacted = log->cleanup_compact,
        .timestamp_before_ms_max = config_long(topic, TOPIC_CONFIG_MESSAGE_TIMESTAMP_BEFORE_MAX_MS),
        .timestamp_after_ms_max = config_long(topic, TOPIC_CONFIG_MESSAGE_TIMESTAMP_AFTER_MAX_MS),
        .message_size_max = config_int(topic, TOPIC_CONFIG_MAX_MESSAGE_BYTES),
        .segment_size_max = log->segment_bytes,
        .decompressed_size_max = RECORD_SET_DECOMPRESSED_MAX,
    };
    rules->compression =
        compression_of(config_str(topic, TOPIC_CONFIG_COMPRESSION_TYPE), &rules->keep_compression);
}

void topic_config_read(const struct meta_image *image, struct str topic, int32_t node_id,
                       const struct config *file, struct partition_config *ret_config) {
    struct config_layers layers;
    topic_config_layers(image, META_RESOURCE_TOPIC, topic, node_id, file, &layers);
    struct config *resolved = config_resolve(CONFIG_TOPIC, &layers);
    read_log(resolved, file, &ret_config->log);
    read_rules(resolved, &ret_config->log, &ret_config->rules);
    ret_config->min_insync_replicas = config_int(resolved, TOPIC_CONFIG_MIN_INSYNC_REPLICAS);
    config_unref(resolved);
}
