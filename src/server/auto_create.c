#include "server/auto_create.h"

#include <stdlib.h>

#include "meta/topic_name.h"
#include "server/node_int.h"

typedef struct create_topics_request_creatable_topic creatable_topic;
typedef struct create_topics_request_creatable_topic_config creatable_config;

enum { CALL_MS = 30 * 1000 };

/* One call; it outlives the request that wanted it. Two of the same topic are fine: the second
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
    struct text_log *text_log = create->node->text_log;
    if (err != ERR_OK) {
        text_log_warn(text_log, "server", "%d topics could not be created for a client: %s",
                      (int)create->request.topics_count, err_text(err));
    }
    for (int32_t i = 0; err == ERR_OK && i < create->response.topics_count; i++) {
        err_t topic_err = err_from_kafka_code(create->response.topics[i].error_code);
        if (topic_err != ERR_OK && topic_err != ERR_TOPIC_ALREADY_EXISTS) {
            text_log_warn(text_log, "server", "Topic %.*s could not be created for a client: %s",
                          STR_ARGS(create->response.topics[i].name), err_text(topic_err));
        }
    }
    arena_done(&create->arena);
    free(create);
}

/* --- internal topics, as Kafka makes them --- */

struct internal_topic {
    const char *name;
    enum config_key partitions;
    enum config_key replication;
    enum config_key segment_bytes;
    struct config_pair configs[4]; /* up to the first without a name */
};

static const struct internal_topic internal_topics[] = {
    {"__consumer_offsets",
     CONFIG_OFFSETS_TOPIC_NUM_PARTITIONS,
     CONFIG_OFFSETS_TOPIC_REPLICATION_FACTOR,
     CONFIG_OFFSETS_TOPIC_SEGMENT_BYTES,
     {{STR("cleanup.policy"), STR("compact")}, {STR("compression.type"), STR("producer")}}},
    {"__transaction_state",
     CONFIG_TRANSACTION_STATE_LOG_NUM_PARTITIONS,
     CONFIG_TRANSACTION_STATE_LOG_REPLICATION_FACTOR,
     CONFIG_TRANSACTION_STATE_LOG_SEGMENT_BYTES,
     {{STR("cleanup.policy"), STR("compact")},
      {STR("compression.type"), STR("uncompressed")},
      {STR("unclean.leader.election.enable"), STR("false")}}},
    {"__share_group_state",
     CONFIG_SHARE_COORDINATOR_STATE_TOPIC_NUM_PARTITIONS,
     CONFIG_SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR,
     CONFIG_SHARE_COORDINATOR_STATE_TOPIC_SEGMENT_BYTES,
     {{STR("cleanup.policy"), STR("delete")},
      {STR("compression.type"), STR("producer")},
      {STR("retention.ms"), STR("-1")}}},
};

static const struct internal_topic *find_internal(struct str name) {
    for (size_t i = 0; i < sizeof internal_topics / sizeof internal_topics[0]; i++) {
        if (str_equal(name, str_from_c(internal_topics[i].name))) {
            return &internal_topics[i];
        }
    }
    return NULL;
}

static void add_config(creatable_topic *topic, struct str name, struct str value) {
    topic->configs[topic->configs_count++] = (creatable_config){.name = name, .value = value};
}

/* Where this node is all there is, and the key is not set, one replica is what there can be. */
static int32_t replicas_of(const struct node *node, const struct config *config,
                           enum config_key key) {
    return atomic_load(&node->alone) && !config_is_set(config, key) ? 1 : config_int(config, key);
}

static void fill_internal(struct auto_create *create, const struct internal_topic *internal,
                          const struct config *config, creatable_topic *topic) {
    struct arena *arena = &create->arena;
    topic->num_partitions = config_int(config, internal->partitions);
    topic->replication_factor = (int16_t)replicas_of(create->node, config, internal->replication);
    topic->configs = ARENA_ARRAY(arena, creatable_config, 6);
    for (int i = 0; i < 4 && internal->configs[i].name.data != NULL; i++) {
        add_config(topic, internal->configs[i].name, internal->configs[i].value);
    }
    add_config(topic, STR("segment.bytes"),
               arena_printf(arena, "%d", (int)config_int(config, internal->segment_bytes)));
    bool transactions = internal->partitions == CONFIG_TRANSACTION_STATE_LOG_NUM_PARTITIONS;
    bool shares = internal->partitions == CONFIG_SHARE_COORDINATOR_STATE_TOPIC_NUM_PARTITIONS;
    if (transactions || shares) {
        enum config_key key = transactions ? CONFIG_TRANSACTION_STATE_LOG_MIN_ISR
                                           : CONFIG_SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR;
        add_config(topic, STR("min.insync.replicas"),
                   arena_printf(arena, "%d", (int)replicas_of(create->node, config, key)));
    }
}

/* --- the call --- */

static struct auto_create *create_new(struct node *node, int32_t count_max) {
    struct auto_create *create = calloc(1, sizeof *create);
    create->node = node;
    arena_init(&create->arena, SIZE_MAX);
    wire_init(&create_topics_request_type, &create->request);
    wire_init(&create_topics_response_type, &create->response);
    create->request.topics = ARENA_ARRAY(&create->arena, creatable_topic, count_max);
    create->request.timeout_ms = CALL_MS;
    return create;
}

err_t auto_create_add(struct auto_create **create, struct request *request, struct str name,
                      int32_t count_max) {
    const struct config *config = request->reactor->config;
    if (topic_name_fault(name, &request->arena).data != NULL) {
        return ERR_INVALID_TOPIC_EXCEPTION;
    }
    if (*create == NULL) {
        *create = create_new(request->node, count_max);
    }
    struct create_topics_request *message = &(*create)->request;
    creatable_topic *topic = &message->topics[message->topics_count++];
    const struct internal_topic *internal = find_internal(name);
    topic->name = arena_str(&(*create)->arena, name);
    if (internal != NULL) {
        fill_internal(*create, internal, config, topic);
    } else {
        topic->num_partitions = config_int(config, CONFIG_NUM_PARTITIONS);
        topic->replication_factor = (int16_t)config_int(config, CONFIG_DEFAULT_REPLICATION_FACTOR);
    }
    return ERR_UNKNOWN_TOPIC_OR_PARTITION;
}

void auto_create_send(struct auto_create *create) {
    if (create == NULL) {
        return;
    }
    create->call = (struct controller_call){
        .arena = &create->arena,
        .deadline_ms = sys_mono_ms(create->node->sys) + CALL_MS,
        .principal = STR("User:ANONYMOUS"),
        .done = created,
    };
    controller_create_topics(create->node->controller, &create->call, &create->request, NULL,
                             &create->response);
}
