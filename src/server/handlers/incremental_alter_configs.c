/*
 * IncrementalAlterConfigs: levels of loggers are changed here, on the node that was asked; all else
 * is decided by the controller. The answers come in the order of the request.
 */
#include "base/duplicates.h"
#include "base/map.h"
#include "server/handlers/forward.h"
#include "server/handlers/handlers.h"
#include "server/handlers/loggers.h"
#include "server/handlers/node_name.h"
#include "server/node_int.h"

typedef struct incremental_alter_configs_request incremental_request;
typedef struct incremental_alter_configs_request_alter_configs_resource resource_request;
typedef struct incremental_alter_configs_request_alterable_config config_request;
typedef struct incremental_alter_configs_response incremental_response;
typedef struct incremental_alter_configs_response_alter_configs_resource_response resource_answer;

enum { OP_SET, OP_DELETE, OP_APPEND, OP_SUBTRACT };

/* --- loggers --- */

static err_t refuse(struct request *request, err_t err, struct str *ret_message,
                    struct str message) {
    *ret_message = arena_str(&request->arena, message);
    return err;
}

static err_t check_logger_keys(struct request *request, const resource_request *resource,
                               struct str *ret_message) {
    struct str nulls = STR_NULL;
    struct map names;
    bool twice = false;
    map_init(&names);
    for (int32_t i = 0; i < resource->configs_count; i++) {
        const config_request *config = &resource->configs[i];
        twice |= map_put(&names, str_bytes(config->name), (void *)config) != NULL;
        if (config->config_operation != OP_DELETE && config->value.data == NULL) {
            nulls = arena_list(&request->arena, nulls, ", ", config->name);
        }
    }
    map_done(&names);
    if (twice) {
        return refuse(request, ERR_INVALID_REQUEST, ret_message,
                      STR("Error due to duplicate config keys"));
    }
    if (nulls.data != NULL) {
        return refuse(
            request, ERR_INVALID_REQUEST, ret_message,
            arena_printf(&request->arena, "Null value not supported for : %.*s", STR_ARGS(nulls)));
    }
    return ERR_OK;
}

static err_t check_logger_change(struct request *request, const config_request *config,
                                 struct str *ret_message) {
    struct arena *arena = &request->arena;
    if (config->config_operation == OP_APPEND || config->config_operation == OP_SUBTRACT) {
        return refuse(request, ERR_INVALID_REQUEST, ret_message,
                      arena_printf(arena,
                                   "%s operation is not allowed for the BROKER_LOGGER resource",
                                   config->config_operation == OP_APPEND ? "APPEND" : "SUBTRACT"));
    }
    if (config->config_operation != OP_SET && config->config_operation != OP_DELETE) {
        return refuse(
            request, ERR_INVALID_REQUEST, ret_message,
            arena_printf(arena,
                         "Unknown operation type %d is not allowed for the BROKER_LOGGER resource",
                         config->config_operation));
    }
    if (logger_find(config->name) == LOGGER_NONE) {
        return refuse(request, ERR_INVALID_CONFIG, ret_message,
                      arena_printf(arena, "Logger %.*s does not exist!", STR_ARGS(config->name)));
    }
    if (config->config_operation == OP_DELETE) {
        return logger_find(config->name) != 0
                   ? ERR_OK
                   : refuse(request, ERR_INVALID_REQUEST, ret_message,
                            STR("Removing the log level of the root logger is not allowed"));
    }
    if (!logger_level_valid(config->value)) {
        return refuse(request, ERR_INVALID_CONFIG, ret_message,
                      arena_printf(arena,
                                   "Cannot set the log level of %.*s to %.*s as it is not a "
                                   "supported log level. Valid log levels are DEBUG, ERROR, "
                                   "FATAL, INFO, TRACE, WARN",
                                   STR_ARGS(config->name), STR_ARGS(config->value)));
    }
    return ERR_OK;
}

static err_t check_logger_node(struct request *request, struct str name, struct str *ret_message) {
    int32_t id;
    if (!node_name_parse(name, &id)) {
        return refuse(request, ERR_INVALID_REQUEST, ret_message,
                      arena_printf(&request->arena, "Node id must be an integer, but it is: %.*s",
                                   STR_ARGS(name)));
    }
    if (id != request->node->node_id) {
        return refuse(request, ERR_INVALID_REQUEST, ret_message,
                      arena_printf(&request->arena,
                                   "Unexpected node id. Expected %d, but received %d",
                                   (int)request->node->node_id, (int)id));
    }
    return ERR_OK;
}

static void change_logger(struct node *node, const config_request *config) {
    int logger = logger_find(config->name);
    if (config->config_operation == OP_DELETE) {
        logger_level_clear(node, logger);
    } else {
        logger_level_set(node, logger, config->value);
    }
    text_log_info(node->text_log, "server", "The level of logger %.*s is now %.*s",
                  STR_ARGS(config->name), STR_ARGS(logger_level(node, logger)));
}

/* All changes or none. */
static err_t alter_loggers(struct request *request, const resource_request *resource,
                           bool validate_only, struct str *ret_message) {
    err_t err = check_logger_keys(request, resource, ret_message);
    if (err == ERR_OK) {
        err = check_logger_node(request, resource->resource_name, ret_message);
    }
    for (int32_t i = 0; i < resource->configs_count && err == ERR_OK; i++) {
        err = check_logger_change(request, &resource->configs[i], ret_message);
    }
    for (int32_t i = 0; i < resource->configs_count && err == ERR_OK && !validate_only; i++) {
        change_logger(request->node, &resource->configs[i]);
    }
    return err;
}

/* --- the request --- */

static resource_answer answer(const resource_request *resource, err_t err, struct str message) {
    return (resource_answer){
        .error_code = err_kafka_code(err),
        .error_message = message,
        .resource_type = resource->resource_type,
        .resource_name = resource->resource_name,
    };
}

static bool is_logger(const resource_request *resource) {
    return resource->resource_type == META_RESOURCE_BROKER_LOGGER;
}

/* Of the loggers: a null name stands for all that is none. */
static const bool *find_twice(struct request *request) {
    const incremental_request *message = request->message;
    size_t count = (size_t)message->resources_count;
    struct bytes *names = ARENA_ARRAY(&request->arena, struct bytes, count);
    for (size_t i = 0; i < count; i++) {
        if (is_logger(&message->resources[i])) {
            names[i] = str_bytes(message->resources[i].resource_name);
        }
    }
    struct duplicates duplicates;
    duplicates_find(&request->arena, names, message->resources_count, &duplicates);
    return duplicates.twice;
}

static resource_answer answer_loggers(struct request *request, int32_t index, bool twice) {
    const incremental_request *message = request->message;
    const resource_request *resource = &message->resources[index];
    struct str text = STR_NULL;
    if (twice) {
        return answer(resource, ERR_INVALID_REQUEST,
                      STR("Each resource must appear at most once."));
    }
    err_t err = alter_loggers(request, resource, message->validate_only, &text);
    return answer(resource, err, text);
}

static void fail(struct forward *forward, err_t err, struct str message) {
    struct request *request = forward->request;
    const incremental_request *passed_on = forward->context;
    incremental_response *response = forward->response;
    response->responses = ARENA_ARRAY(&request->arena, resource_answer, passed_on->resources_count);
    response->responses_count = passed_on->resources_count;
    for (int32_t i = 0; i < passed_on->resources_count; i++) {
        response->responses[i] = answer(&passed_on->resources[i], err, message);
    }
}

/* Puts the loggers' answers between the controller's, on its own listener behind them. */
static void finish(struct forward *forward) {
    struct request *request = forward->request;
    const incremental_request *message = request->message;
    const incremental_response *decided = forward->response;
    incremental_response response = *decided;
    response.responses = ARENA_ARRAY(&request->arena, resource_answer, message->resources_count);
    response.responses_count = 0;
    const bool *twice = find_twice(request);
    bool behind = forward->call.direct;
    int32_t next = 0;
    while (behind && next < decided->responses_count) {
        response.responses[response.responses_count++] = decided->responses[next++];
    }
    for (int32_t i = 0; i < message->resources_count; i++) {
        if (is_logger(&message->resources[i])) {
            response.responses[response.responses_count++] = answer_loggers(request, i, twice[i]);
        } else if (!behind) {
            response.responses[response.responses_count++] = decided->responses[next++];
        }
    }
    request_respond(request, &response);
}

void handle_incremental_alter_configs(struct request *request) {
    const incremental_request *message = request->message;
    incremental_request *passed_on = ARENA_NEW(&request->arena, incremental_request);
    *passed_on = *message;
    passed_on->resources = ARENA_ARRAY(&request->arena, resource_request, message->resources_count);
    passed_on->resources_count = 0;
    for (int32_t i = 0; i < message->resources_count; i++) {
        if (!is_logger(&message->resources[i])) {
            passed_on->resources[passed_on->resources_count++] = message->resources[i];
        }
    }
    incremental_response *response = ARENA_NEW(&request->arena, incremental_response);
    struct forward *forward = forward_new(request, FORWARD_NO_TIMEOUT, response, fail);
    forward->finish = finish;
    forward->context = passed_on;
    controller_incremental_alter_configs(request->node->controller, &forward->call, passed_on,
                                         response);
}
