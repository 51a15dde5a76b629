/*
 * The change of the settings of one topic, broker, group or client-metrics subscription: a list of
 * operations on keys, carried out as a whole or not at all.
 *
 * In this order, the first that fails is the resource's error:
 *
 *   1. its shape: resource or key named twice, null values, unknown kind
 *   2. brokers only, as the broker that got the request checks: it is this one
 *   3. APPEND and SUBTRACT are for lists; they work on the value set, else on the key's default
 *   4. rules about single keys (min.insync.replicas under ELR, size of a value)
 *   5. the name of the resource, and the complete set it would have
 *   6. the resource exists
 *
 * A key that keeps its value yields no record, except on brokers: there a record may be what makes
 * a broker read a changed password file again.
 */
#include <assert.h>
#include <inttypes.h>
#include <limits.h>

#include "controller/alteration.h"
#include "controller/list_value.h"

enum { CONFIG_VALUE_SIZE_MAX = INT16_MAX };

/* --- sets of pairs --- */

static struct config_pair *set_find(struct alteration *alteration, struct str name) {
    return map_get(&alteration->index, str_bytes(name));
}

static void set_add(struct alteration *alteration, struct str name, struct str value) {
    struct config_pair *pair = &alteration->set[alteration->set_count++];
    *pair = (struct config_pair){name, value};
    map_put(&alteration->index, str_bytes(name), pair);
}

/* The last pair takes the place. */
static void set_remove(struct alteration *alteration, struct config_pair *pair) {
    struct config_pair *last = &alteration->set[--alteration->set_count];
    map_remove(&alteration->index, str_bytes(pair->name));
    if (pair != last) {
        *pair = *last;
        map_put(&alteration->index, str_bytes(pair->name), pair);
    }
}

static void set_put(struct alteration *alteration, struct str name, struct str value) {
    struct config_pair *pair = set_find(alteration, name);
    if (pair == NULL && value.data != NULL) {
        set_add(alteration, name, value);
    } else if (pair != NULL && value.data != NULL) {
        pair->value = value;
    } else if (pair != NULL) {
        set_remove(alteration, pair);
    }
}

/* Begins with what is set on the resource now. */
static void set_load(struct alteration *alteration) {
    const struct meta_config_resource *resource = meta_image_config_resource(
        alteration->controller->image, alteration->type, alteration->name);
    size_t present = resource == NULL ? 0 : resource->configs.count;
    size_t capacity = present + (size_t)alteration->op_count;
    alteration->set = ARENA_ARRAY(alteration->arena, struct config_pair, capacity + 1);
    alteration->changes = ARENA_ARRAY(alteration->arena, struct config_pair, capacity + 1);
    map_init(&alteration->index);
    if (resource == NULL) {
        return;
    }
    struct pmap_walk walk;
    const struct meta_config *config;
    pmap_for_each(&walk, &resource->configs, config) {
        set_add(alteration, arena_str(alteration->arena, config->name),
                arena_str(alteration->arena, config->value));
    }
}

/* --- 1: the shape --- */

static struct api_error check_shape(const struct alteration *alteration) {
    struct map names;
    map_init(&names);
    bool twice = false;
    for (int32_t i = 0; i < alteration->op_count; i++) {
        struct op *op = &alteration->ops[i];
        twice |= map_put(&names, str_bytes(op->name), op) != NULL;
    }
    map_done(&names);
    if (twice) {
        return api_error(alteration->arena, ERR_INVALID_REQUEST,
                         "Error due to duplicate config keys");
    }
    struct str nulls = STR_NULL;
    for (int32_t i = 0; i < alteration->op_count; i++) {
        const struct op *op = &alteration->ops[i];
        if (op->type != OP_DELETE && op->value.data == NULL) {
            nulls = arena_list(alteration->arena, nulls, ", ", op->name);
        }
    }
    if (nulls.data != NULL) {
        return api_error(alteration->arena, ERR_INVALID_REQUEST,
                         "Null value not supported for : %.*s", STR_ARGS(nulls));
    }
    switch (alteration->type) {
    case META_RESOURCE_TOPIC:
    case META_RESOURCE_BROKER:
    case META_RESOURCE_CLIENT_METRICS:
    case META_RESOURCE_GROUP:
        break;
    default:
        return api_error(alteration->arena, ERR_INVALID_REQUEST, "Unknown resource type %d",
                         alteration->type);
    }
    for (int32_t i = 0; i < alteration->op_count; i++) {
        if (alteration->ops[i].type < OP_SET || alteration->ops[i].type > OP_SUBTRACT) {
            return api_error(alteration->arena, ERR_INVALID_REQUEST, "Unknown operations type %d",
                             alteration->ops[i].type);
        }
    }
    return API_OK;
}

/* --- 2: brokers --- */

static bool parse_node_id(struct str text, int32_t *ret_id) {
    size_t i = text.size > 0 && (text.data[0] == '-' || text.data[0] == '+') ? 1 : 0;
    int64_t value = 0;
    if (i == text.size) {
        return false;
    }
    for (; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }
        value = value * 10 + (text.data[i] - '0');
        if (value > (int64_t)INT32_MAX + 1) {
            return false;
        }
    }
    value = text.data[0] == '-' ? -value : value;
    if (value > INT32_MAX) {
        return false;
    }
    *ret_id = (int32_t)value;
    return true;
}

static struct api_error check_this_broker(const struct alteration *alteration) {
    int32_t id;
    if (alteration->type != META_RESOURCE_BROKER || alteration->name.size == 0) {
        return API_OK;
    }
    if (!parse_node_id(alteration->name, &id)) {
        return api_error(alteration->arena, ERR_INVALID_REQUEST,
                         "Node id must be an integer, but it is: %.*s", STR_ARGS(alteration->name));
    }
    if (id != alteration->controller->options.node_id) {
        return api_error(alteration->arena, ERR_INVALID_REQUEST,
                         "Unexpected broker id, expected %" PRId32 ", but received %.*s",
                         alteration->controller->options.node_id, STR_ARGS(alteration->name));
    }
    return API_OK;
}

/* --- 3: operations --- */

static enum config_scope scope_of(int8_t type) {
    switch (type) {
    case META_RESOURCE_TOPIC:
        return CONFIG_TOPIC;
    case META_RESOURCE_GROUP:
        return CONFIG_GROUP;
    case META_RESOURCE_CLIENT_METRICS:
        return CONFIG_CLIENT_METRICS;
    default:
        return CONFIG_BROKER;
    }
}

static struct api_error list_changed(struct alteration *alteration, const struct op *op,
                                     struct str *ret_value) {
    enum config_key key;
    bool append = op->type == OP_APPEND;
    bool known = config_find(scope_of(alteration->type), op->name, &key) == ERR_OK;
    if (alteration->type == META_RESOURCE_BROKER && !known) {
        return api_error(alteration->arena, ERR_INVALID_CONFIG, "Unknown config name: %.*s",
                         STR_ARGS(op->name));
    }
    if (!known || config_row(key)->type != CONFIG_TYPE_LIST) {
        if (alteration->type == META_RESOURCE_BROKER) {
            return api_error(alteration->arena, ERR_INVALID_CONFIG,
                             "Config value %s is not allowed for config key: %.*s",
                             append ? "append" : "subtract", STR_ARGS(op->name));
        }
        return api_error(alteration->arena, ERR_INVALID_CONFIG,
                         "Can't %s to key %.*s because its type is not LIST.",
                         append ? "APPEND" : "SUBTRACT", STR_ARGS(op->name));
    }
    const struct config_pair *pair = set_find(alteration, op->name);
    struct str now = pair != NULL ? pair->value : str_from_c(config_row(key)->default_text);
    *ret_value = append ? list_append(now, op->value, alteration->arena)
                        : list_subtract(now, op->value, alteration->arena);
    return API_OK;
}

static void change(struct alteration *alteration, struct str name, struct str value) {
    alteration->changes[alteration->change_count++] = (struct config_pair){name, value};
}

/* What is set and has no operation. */
static void delete_others(struct alteration *alteration) {
    struct map named;
    map_init(&named);
    for (int32_t i = 0; i < alteration->op_count; i++) {
        map_put(&named, str_bytes(alteration->ops[i].name), &alteration->ops[i]);
    }
    for (size_t i = 0; i < alteration->set_count; i++) {
        if (map_get(&named, str_bytes(alteration->set[i].name)) == NULL) {
            change(alteration, alteration->set[i].name, STR_NULL);
        }
    }
    map_done(&named);
}

static struct api_error run_ops(struct alteration *alteration) {
    for (int32_t i = 0; i < alteration->op_count; i++) {
        const struct op *op = &alteration->ops[i];
        const struct config_pair *now = set_find(alteration, op->name);
        struct str value = op->type == OP_DELETE ? STR_NULL : op->value;
        if (op->type == OP_APPEND || op->type == OP_SUBTRACT) {
            struct api_error error = list_changed(alteration, op, &value);
            if (error.err != ERR_OK) {
                return error;
            }
        }
        if (alteration->type == META_RESOURCE_BROKER ||
            !str_equal(now == NULL ? STR_NULL : now->value, value)) {
            change(alteration, op->name, value);
        }
    }
    if (alteration->replace) {
        delete_others(alteration);
    }
    return API_OK;
}

/* --- 4: single keys --- */

static struct api_error check_key(const struct alteration *alteration,
                                  const struct config_pair *pair) {
    const struct meta_image *image = alteration->controller->image;
    struct arena *arena = alteration->arena;
    bool broker = alteration->type == META_RESOURCE_BROKER;
    if (broker && str_equal(pair->name, STR("min.insync.replicas")) && feature_elr_enabled(image)) {
        if (alteration->name.size > 0) {
            return api_error(arena, ERR_INVALID_CONFIG,
                             "Broker-level min.insync.replicas cannot be altered while ELR is "
                             "enabled.");
        }
        if (pair->value.data == NULL) {
            return api_error(arena, ERR_INVALID_CONFIG,
                             "Cluster-level min.insync.replicas cannot be removed while ELR is "
                             "enabled.");
        }
    }
    if (broker && str_equal(pair->name, STR("cordoned.log.dirs")) &&
        !metadata_version_has_cordoned_log_dirs(meta_image_metadata_version(image))) {
        return api_error(arena, ERR_INVALID_CONFIG,
                         "The cordoned.log.dirs configuration value cannot be set because it "
                         "requires metadata.version >= 4.3-IV0");
    }
    if (pair->value.size > CONFIG_VALUE_SIZE_MAX) {
        return api_error(arena, ERR_INVALID_CONFIG,
                         "The configuration value cannot be added because it exceeds the maximum "
                         "value size of 32767 bytes.");
    }
    return API_OK;
}

static struct api_error run_changes(struct alteration *alteration) {
    for (size_t i = 0; i < alteration->change_count; i++) {
        struct api_error error = check_key(alteration, &alteration->changes[i]);
        if (error.err != ERR_OK) {
            return error;
        }
        set_put(alteration, alteration->changes[i].name, alteration->changes[i].value);
    }
    return API_OK;
}

/* --- 5: the complete set --- */

static struct api_error check_broker_name(const struct alteration *alteration) {
    int32_t id;
    if (alteration->name.size == 0) {
        return API_OK;
    }
    if (!parse_node_id(alteration->name, &id)) {
        return api_error(alteration->arena, ERR_INVALID_REQUEST,
                         "Unable to parse broker name as a base 10 number.");
    }
    if (id < 0) {
        return api_error(alteration->arena, ERR_INVALID_REQUEST, "Invalid negative broker ID.");
    }
    return API_OK;
}

static struct api_error check_resource_name(const struct alteration *alteration) {
    bool empty = alteration->name.size == 0;
    switch (alteration->type) {
    case META_RESOURCE_TOPIC:
        if (empty) {
            return api_error(alteration->arena, ERR_INVALID_REQUEST,
                             "Default topic resources are not allowed.");
        }
        return topic_check_name(alteration->name, alteration->arena);
    case META_RESOURCE_BROKER:
        return check_broker_name(alteration);
    case META_RESOURCE_GROUP:
        return empty ? api_error(alteration->arena, ERR_INVALID_REQUEST,
                                 "Default group resources are not allowed.")
                     : API_OK;
    default:
        return empty ? api_error(alteration->arena, ERR_INVALID_REQUEST,
                                 "Subscription name can't be empty")
                     : config_check_client_metrics_names(alteration);
    }
}

static struct api_error check_all(const struct alteration *alteration) {
    struct str message = STR_NULL;
    err_t err;
    if (alteration->type == META_RESOURCE_BROKER) {
        err = config_validate_broker(
            alteration->set, alteration->set_count, alteration->name.size > 0,
            alteration->controller->options.config, alteration->arena, &message);
    } else {
        struct config_layers below = controller_config_layers(alteration->controller, STR_NULL);
        err = config_validate(scope_of(alteration->type), alteration->set, alteration->set_count,
                              &below, alteration->arena, &message);
    }
    if (err != ERR_OK) {
        return (struct api_error){.err = err, .message = message};
    }
    switch (alteration->type) {
    case META_RESOURCE_BROKER:
        return config_check_broker_change(alteration);
    case META_RESOURCE_GROUP:
        return config_check_group(alteration);
    case META_RESOURCE_CLIENT_METRICS:
        return config_check_client_metrics(alteration);
    default:
        return API_OK;
    }
}

static struct api_error check_set(const struct alteration *alteration) {
    struct api_error error = check_all(alteration);
    if (error.err != ERR_OK && alteration->type == META_RESOURCE_BROKER) {
        error.err = ERR_INVALID_REQUEST; /* whatever is wrong (KAFKA-13609) */
    }
    return error;
}

/* --- 6: existence --- */

static struct api_error check_exists(const struct alteration *alteration) {
    const struct meta_image *image = alteration->controller->image;
    int32_t id;
    if (alteration->new_resource) {
        return API_OK;
    }
    if (alteration->type == META_RESOURCE_TOPIC &&
        meta_image_topic(image, alteration->name) == NULL) {
        return api_error(alteration->arena, ERR_UNKNOWN_TOPIC_OR_PARTITION,
                         "The topic '%.*s' does not exist.", STR_ARGS(alteration->name));
    }
    if (alteration->type == META_RESOURCE_BROKER && parse_node_id(alteration->name, &id) &&
        id != alteration->controller->options.node_id && meta_image_broker(image, id) == NULL &&
        meta_image_controller(image, id) == NULL) {
        return api_error(alteration->arena, ERR_BROKER_ID_NOT_REGISTERED,
                         "No node with id %" PRId32 " found.", id);
    }
    return API_OK;
}

/* --- all of it --- */

struct api_error alteration_run(struct alteration *alteration, struct strand_output *output) {
    set_load(alteration);
    struct api_error error = run_ops(alteration);
    if (error.err == ERR_OK) {
        error = run_changes(alteration);
    }
    if (error.err == ERR_OK) {
        error = check_resource_name(alteration);
    }
    if (error.err == ERR_OK) {
        error = check_set(alteration);
    }
    if (error.err == ERR_OK) {
        error = check_exists(alteration);
    }
    for (size_t i = 0; i < alteration->change_count && error.err == ERR_OK; i++) {
        (void)record_add_config(alteration->controller, output, alteration->type, alteration->name,
                                arena_str(output->arena, alteration->changes[i].name),
                                arena_str(output->arena, alteration->changes[i].value));
    }
    map_done(&alteration->index);
    return error;
}

struct api_error alteration_check_and_run(struct alteration *alteration,
                                          struct strand_output *output) {
    struct api_error error = check_shape(alteration);
    if (error.err == ERR_OK) {
        error = check_this_broker(alteration);
    }
    return error.err == ERR_OK ? alteration_run(alteration, output) : error;
}

struct api_error alteration_run_direct(struct alteration *alteration,
                                       struct strand_output *output) {
    struct api_error error = check_shape(alteration);
    return error.err == ERR_OK ? alteration_run(alteration, output) : error;
}
