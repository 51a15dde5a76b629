/*
 * What the settings of brokers, groups and client-metrics subscriptions must fulfil beyond the
 * table's types and ranges.
 */
#include <inttypes.h>

#include "controller/alteration.h"

/* Of the complete set; false when it is not set. */
static bool set_get(const void *arg, struct str name, struct str *ret_value) {
    const struct alteration *alteration = arg;
    const struct config_pair *pair = map_get(&alteration->index, str_bytes(name));
    if (pair != NULL) {
        *ret_value = pair->value;
    }
    return pair != NULL;
}

/* --- brokers: what this one would go on with --- */

struct api_error config_check_broker_change(const struct alteration *alteration) {
    const struct controller *controller = alteration->controller;
    struct str this_node = arena_printf(alteration->arena, "%" PRId32, controller->options.node_id);
    if (alteration->name.size > 0 && !str_equal(alteration->name, this_node)) {
        return API_OK;
    }
    struct config_layers layers = controller_config_layers(controller, STR_NULL);
    struct config *now = config_with_dynamic(&layers);
    struct config_lookup set = {.get = set_get, .arg = alteration};
    *(alteration->name.size > 0 ? &layers.broker : &layers.cluster) = set;
    struct config *next = config_with_dynamic(&layers);
    struct api_error error = API_OK;
    error.err = config_validate_broker_change(now, next, alteration->arena, &error.message);
    config_unref(now);
    config_unref(next);
    return error;
}

/* --- groups: within what the broker allows --- */

struct bounds {
    enum config_key key;
    enum config_key min; /* of the broker; the key itself: none */
    enum config_key max;
    bool only_when_set;
};

static const struct bounds group_bounds[] = {
    {GROUP_CONFIG_CONSUMER_HEARTBEAT_INTERVAL_MS, CONFIG_GROUP_CONSUMER_MIN_HEARTBEAT_INTERVAL_MS,
     CONFIG_GROUP_CONSUMER_MAX_HEARTBEAT_INTERVAL_MS, false},
    {GROUP_CONFIG_CONSUMER_SESSION_TIMEOUT_MS, CONFIG_GROUP_CONSUMER_MIN_SESSION_TIMEOUT_MS,
     CONFIG_GROUP_CONSUMER_MAX_SESSION_TIMEOUT_MS, false},
    {GROUP_CONFIG_CONSUMER_ASSIGNMENT_INTERVAL_MS, CONFIG_GROUP_CONSUMER_MIN_ASSIGNMENT_INTERVAL_MS,
     CONFIG_GROUP_CONSUMER_MAX_ASSIGNMENT_INTERVAL_MS, true},
    {GROUP_CONFIG_SHARE_HEARTBEAT_INTERVAL_MS, CONFIG_GROUP_SHARE_MIN_HEARTBEAT_INTERVAL_MS,
     CONFIG_GROUP_SHARE_MAX_HEARTBEAT_INTERVAL_MS, false},
    {GROUP_CONFIG_SHARE_SESSION_TIMEOUT_MS, CONFIG_GROUP_SHARE_MIN_SESSION_TIMEOUT_MS,
     CONFIG_GROUP_SHARE_MAX_SESSION_TIMEOUT_MS, false},
    {GROUP_CONFIG_SHARE_RECORD_LOCK_DURATION_MS, CONFIG_GROUP_SHARE_MIN_RECORD_LOCK_DURATION_MS,
     CONFIG_GROUP_SHARE_MAX_RECORD_LOCK_DURATION_MS, false},
    {GROUP_CONFIG_SHARE_DELIVERY_COUNT_LIMIT, CONFIG_GROUP_SHARE_MIN_DELIVERY_COUNT_LIMIT,
     CONFIG_GROUP_SHARE_MAX_DELIVERY_COUNT_LIMIT, false},
    {GROUP_CONFIG_SHARE_PARTITION_MAX_RECORD_LOCKS,
     CONFIG_GROUP_SHARE_MIN_PARTITION_MAX_RECORD_LOCKS,
     CONFIG_GROUP_SHARE_MAX_PARTITION_MAX_RECORD_LOCKS, false},
    {GROUP_CONFIG_SHARE_ASSIGNMENT_INTERVAL_MS, CONFIG_GROUP_SHARE_MIN_ASSIGNMENT_INTERVAL_MS,
     CONFIG_GROUP_SHARE_MAX_ASSIGNMENT_INTERVAL_MS, true},
    {GROUP_CONFIG_STREAMS_HEARTBEAT_INTERVAL_MS, CONFIG_GROUP_STREAMS_MIN_HEARTBEAT_INTERVAL_MS,
     CONFIG_GROUP_STREAMS_MAX_HEARTBEAT_INTERVAL_MS, false},
    {GROUP_CONFIG_STREAMS_SESSION_TIMEOUT_MS, CONFIG_GROUP_STREAMS_MIN_SESSION_TIMEOUT_MS,
     CONFIG_GROUP_STREAMS_MAX_SESSION_TIMEOUT_MS, false},
    {GROUP_CONFIG_STREAMS_NUM_STANDBY_REPLICAS, GROUP_CONFIG_STREAMS_NUM_STANDBY_REPLICAS,
     CONFIG_GROUP_STREAMS_MAX_STANDBY_REPLICAS, false},
    {GROUP_CONFIG_STREAMS_ASSIGNMENT_INTERVAL_MS, CONFIG_GROUP_STREAMS_MIN_ASSIGNMENT_INTERVAL_MS,
     CONFIG_GROUP_STREAMS_MAX_ASSIGNMENT_INTERVAL_MS, true},
};

struct pair_order {
    enum config_key session;
    enum config_key heartbeat;
};

static const struct pair_order group_order[] = {
    {GROUP_CONFIG_CONSUMER_SESSION_TIMEOUT_MS, GROUP_CONFIG_CONSUMER_HEARTBEAT_INTERVAL_MS},
    {GROUP_CONFIG_SHARE_SESSION_TIMEOUT_MS, GROUP_CONFIG_SHARE_HEARTBEAT_INTERVAL_MS},
    {GROUP_CONFIG_STREAMS_SESSION_TIMEOUT_MS, GROUP_CONFIG_STREAMS_HEARTBEAT_INTERVAL_MS},
};

static struct api_error check_bounds(const struct bounds *bounds, const struct config *group,
                                     const struct config *file, struct arena *arena) {
    const char *name = config_row(bounds->key)->name;
    int32_t value = config_int(group, bounds->key);
    if (bounds->min != bounds->key && value < config_int(file, bounds->min)) {
        return api_error(arena, ERR_INVALID_CONFIG, "%s must be greater than or equal to %s", name,
                         config_row(bounds->min)->name);
    }
    if (value > config_int(file, bounds->max)) {
        return api_error(arena, ERR_INVALID_CONFIG, "%s must be less than or equal to %s", name,
                         config_row(bounds->max)->name);
    }
    return API_OK;
}

static struct api_error check_group(const struct alteration *alteration,
                                    const struct config *group) {
    const struct config *file = alteration->controller->options.config;
    for (size_t i = 0; i < sizeof group_bounds / sizeof group_bounds[0]; i++) {
        struct str value;
        if (group_bounds[i].only_when_set &&
            !set_get(alteration, str_from_c(config_row(group_bounds[i].key)->name), &value)) {
            continue;
        }
        struct api_error error = check_bounds(&group_bounds[i], group, file, alteration->arena);
        if (error.err != ERR_OK) {
            return error;
        }
    }
    for (size_t i = 0; i < sizeof group_order / sizeof group_order[0]; i++) {
        if (config_int(group, group_order[i].session) <=
            config_int(group, group_order[i].heartbeat)) {
            return api_error(alteration->arena, ERR_INVALID_CONFIG, "%s must be greater than %s",
                             config_row(group_order[i].session)->name,
                             config_row(group_order[i].heartbeat)->name);
        }
    }
    return API_OK;
}

struct api_error config_check_group(const struct alteration *alteration) {
    struct config_layers layers = {
        .resource = {.get = set_get, .arg = alteration},
        .file = alteration->controller->options.config,
    };
    struct config *group = config_resolve(CONFIG_GROUP, &layers);
    struct api_error error = check_group(alteration, group);
    config_unref(group);
    return error;
}

/* --- client metrics --- */

enum { PUSH_INTERVAL_MS_MIN = 100, PUSH_INTERVAL_MS_MAX = 3600 * 1000 };

static struct str trimmed(struct str text) {
    while (text.size > 0 && (unsigned char)text.data[0] <= ' ') {
        text.data++;
        text.size--;
    }
    while (text.size > 0 && (unsigned char)text.data[text.size - 1] <= ' ') {
        text.size--;
    }
    return text;
}

/* "client_id=regular expression" */
static bool is_match_pattern(struct str pattern) {
    static const char names[] = "client_instance_id,client_id,client_software_name,"
                                "client_software_version,client_source_address,client_source_port";
    const char *equal = memchr(pattern.data, '=', pattern.size);
    if (equal == NULL) {
        return false;
    }
    struct str name = {pattern.data, (size_t)(equal - pattern.data)};
    struct str value = {equal + 1, pattern.size - name.size - 1};
    return value.size > 0 && memchr(value.data, '=', value.size) == NULL &&
           config_list_has(str_from_c(names), trimmed(name));
}

struct api_error config_check_client_metrics_names(const struct alteration *alteration) {
    for (size_t i = 0; i < alteration->set_count; i++) {
        enum config_key key;
        if (config_find(CONFIG_CLIENT_METRICS, alteration->set[i].name, &key) != ERR_OK) {
            return api_error(alteration->arena, ERR_INVALID_REQUEST,
                             "Unknown client metrics configuration: %.*s",
                             STR_ARGS(alteration->set[i].name));
        }
    }
    return API_OK;
}

struct api_error config_check_client_metrics(const struct alteration *alteration) {
    struct str value;
    if (set_get(alteration, STR("interval.ms"), &value)) {
        struct config_value parsed;
        struct str message;
        err_t err = config_value_parse(CLIENT_METRICS_CONFIG_INTERVAL_MS, value, alteration->arena,
                                       &parsed, &message);
        if (err != ERR_OK || parsed.number < PUSH_INTERVAL_MS_MIN ||
            parsed.number > PUSH_INTERVAL_MS_MAX) {
            return api_error(alteration->arena, ERR_INVALID_REQUEST,
                             "Invalid value %.*s for interval.ms, interval must be between 100 and "
                             "3600000 (1 hour)",
                             STR_ARGS(value));
        }
    }
    if (set_get(alteration, STR("match"), &value)) {
        size_t position = 0;
        struct str pattern;
        while (config_list_next(value, &position, &pattern)) {
            if (!is_match_pattern(pattern)) {
                return api_error(alteration->arena, ERR_INVALID_CONFIG,
                                 "Illegal client matching pattern: %.*s", STR_ARGS(pattern));
            }
        }
    }
    return API_OK;
}
