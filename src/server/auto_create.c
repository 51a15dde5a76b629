#include "server/auto_create.h"

#include <stdlib.h>

#include "meta/topic_name.h"
#include "server/node_int.h"

enum { CALL_MS = 30 * 1000 };

/* One creation; it outlives the request that wanted it. Two of the same topic are fine: the second
 * fails with TOPIC_ALREADY_EXISTS. */
struct auto_create {
    struct node *node;
    struct arena arena;
    struct controller_call call;
    struct create_topics_request request;
    struct create_topics_response response;
};

static void created(struct controller_call *call, err_t err) {
    struct auto_create *create = container_of(call, struct auto_create, call);
    if (err == ERR_OK && create->response.topics_count > 0) {
        err = err_from_kafka_code(create->response.topics[0].error_code);
    }
    if (err != ERR_OK && err != ERR_TOPIC_ALREADY_EXISTS) {
        text_log_warn(create->node->text_log, "server",
                      "Topic %.*s could not be created for a client: %s",
                      STR_ARGS(create->request.topics[0].name), err_text(err));
    }
    arena_done(&create->arena);
    free(create);
}

err_t auto_create_topic(struct request *request, struct str name) {
    const struct config *config = request->reactor->config;
    if (topic_name_fault(name, &request->arena).data != NULL) {
        return ERR_INVALID_TOPIC_EXCEPTION;
    }
    struct node *node = request->node;
    struct auto_create *create = calloc(1, sizeof *create);
    create->node = node;
    arena_init(&create->arena, SIZE_MAX);
    wire_init(&create_topics_request_type, &create->request);
    wire_init(&create_topics_response_type, &create->response);
    struct create_topics_request_creatable_topic *topic =
        ARENA_NEW(&create->arena, struct create_topics_request_creatable_topic);
    topic->name = arena_str(&create->arena, name);
    topic->num_partitions = config_int(config, CONFIG_NUM_PARTITIONS);
    topic->replication_factor = (int16_t)config_int(config, CONFIG_DEFAULT_REPLICATION_FACTOR);
    create->request.topics = topic;
    create->request.topics_count = 1;
    create->request.timeout_ms = CALL_MS;
    create->call = (struct controller_call){
        .arena = &create->arena,
        .deadline_ms = sys_mono_ms(node->sys) + CALL_MS,
        .principal = STR("User:ANONYMOUS"),
        .done = created,
    };
    controller_create_topics(node->controller, &create->call, &create->request, NULL,
                             &create->response);
    return ERR_UNKNOWN_TOPIC_OR_PARTITION;
}
