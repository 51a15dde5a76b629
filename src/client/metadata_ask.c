/*
 * When and how the cluster is asked about itself.
 *
 * There is one request at a time. `needed` says that one is to be made: because somebody asked for
 * it, something wanted is not known, or metadata.max.age.ms is over. Requests are retry.backoff.ms
 * apart; after one that failed, or that left something open, the pause doubles up to
 * retry.backoff.max.ms, unless there is a broker to try that is not in back-off. Asks that wait for
 * a broker or controller to be known look again after every answer, and after every failure.
 *
 * A client of bootstrap.controllers asks DescribeCluster for the controllers instead, and knows no
 * topics.
 *
 * No answer for metadata.recovery.rebootstrap.trigger.ms, and an answer that says so, lead back to
 * bootstrap.servers (KIP-1102).
 */
#include <assert.h>

#include "client/core_int.h"
#include "wire/messages.h"

enum {
    ALL_BY_NULL_VERSION = 1,   /* before it, no topics mean all topics */
    ENDPOINT_TYPE_VERSION = 1, /* of DescribeCluster */
    CONTROLLER_ENDPOINTS = 2,
    CREATION_SAID_VERSION = 4, /* from here on the request says whether topics are created */
};

static void on_answer(void *arg, const struct client_answer *answer);

/* --- the request --- */

/*
 * Whether this request may create topics. The flag counts for the whole request, so what may not be
 * created is left out of it when it is not known to exist; and the next request is of the other
 * kind, so that neither waits for ever.
 */
static bool creates_now(struct ottla_client *client) {
    struct client_metadata *metadata = &client->metadata;
    bool others = metadata->want_all > 0 || client_metadata_lacks(client, false);
    bool creates = client_metadata_lacks(client, true) && !(others && metadata->created_last);
    metadata->created_last = creates;
    return creates;
}

static void list_wanted(struct ottla_client *client, bool create, struct metadata_request *request,
                        struct arena *arena) {
    size_t count = map_count(&client->metadata.topics);
    request->topics = ARENA_ARRAY(arena, struct metadata_request_topic, count + 1);
    request->topics_count = 0;
    struct client_topic_entry *entry;
    size_t cursor;
    map_for_each (&client->metadata.topics, cursor, entry) {
        bool exists = entry->heard && entry->topic.err == ERR_OK;
        if (entry->wanted > 0 && (!create || entry->create || exists)) {
            request->topics[request->topics_count++].name = entry->topic.name;
        }
    }
}

static err_t build(void *arg, int16_t version, int32_t broker_id, struct arena *arena,
                   const void **ret_request) {
    (void)broker_id;
    struct ottla_client *client = arg;
    struct metadata_request *request = ARENA_NEW(arena, struct metadata_request);
    wire_init(&metadata_request_type, request);
    bool create = creates_now(client);
    client->metadata.asked_all = client->metadata.want_all > 0 && !create;
    request->allow_auto_topic_creation = create || version < CREATION_SAID_VERSION;
    if (client->metadata.asked_all) {
        request->topics = NULL;
        request->topics_count = version < ALL_BY_NULL_VERSION ? 0 : -1;
    } else {
        list_wanted(client, create, request, arena);
    }
    *ret_request = request;
    return ERR_OK;
}

static err_t build_controllers(void *arg, int16_t version, int32_t broker_id, struct arena *arena,
                               const void **ret_request) {
    (void)arg;
    (void)broker_id;
    if (version < ENDPOINT_TYPE_VERSION) {
        return ERR_UNSUPPORTED_VERSION;
    }
    struct describe_cluster_request *request = ARENA_NEW(arena, struct describe_cluster_request);
    wire_init(&describe_cluster_request_type, request);
    request->endpoint_type = CONTROLLER_ENDPOINTS;
    *ret_request = request;
    return ERR_OK;
}

static void ask(struct ottla_client *client) {
    struct client_metadata *metadata = &client->metadata;
    metadata->needed = false; /* what is wanted from here on needs another */
    metadata->begun_ms = sys_mono_ms(client->sys);
    metadata->asked = client_ask(
        client, &(struct client_ask){
                    .role = CLIENT_ANY_BROKER,
                    .lane = CLIENT_LANE_MAIN,
                    .api_key = client->to_controllers ? API_DESCRIBE_CLUSTER : API_METADATA,
                    .version_max = -1,
                    .build = client->to_controllers ? build_controllers : build,
                    .timeout_ms = client->settings.request_timeout_ms,
                    .done = on_answer,
                    .arg = client,
                });
}

/* --- when --- */

/* After a broker that could not be reached another may be asked sooner. */
static int64_t pause_ms(struct ottla_client *client) {
    struct client_metadata *metadata = &client->metadata;
    int64_t retry_ms;
    if (metadata->unreached && client_node_any(client, false, &retry_ms) != NULL) {
        return client->settings.reconnect_backoff_ms;
    }
    return client_backoff_ms(client, metadata->failures + 1);
}

static int64_t next_ms(struct ottla_client *client) {
    struct client_metadata *metadata = &client->metadata;
    if (!metadata->needed) {
        return metadata->time_ms < 0 ? INT64_MAX
                                     : metadata->time_ms + client->settings.metadata_max_age_ms;
    }
    if (metadata->begun_ms < 0) {
        return 0;
    }
    return metadata->begun_ms + pause_ms(client);
}

void client_metadata_schedule(struct ottla_client *client) {
    struct client_metadata *metadata = &client->metadata;
    if (metadata->asked != NULL || client->closing) {
        return;
    }
    int64_t at_ms = next_ms(client);
    if (at_ms == INT64_MAX) {
        sys_timer_clear(client->loop, &metadata->timer);
    } else if (at_ms <= sys_mono_ms(client->sys)) {
        sys_timer_clear(client->loop, &metadata->timer);
        ask(client);
    } else {
        sys_timer_set(client->loop, &metadata->timer, at_ms);
    }
}

void client_metadata_late(struct sys_timer *timer) {
    struct ottla_client *client = container_of(container_of(timer, struct client_metadata, timer),
                                               struct ottla_client, metadata);
    if (client->metadata.asked == NULL) {
        ask(client);
    }
}

void client_metadata_need(struct ottla_client *client) {
    struct client_metadata *metadata = &client->metadata;
    bool waits = metadata->needed && sys_timer_is_set(&metadata->timer);
    metadata->needed = true;
    if (!waits) {
        client_metadata_schedule(client);
    }
}

void client_metadata_refresh(struct ottla_client *client) {
    client_metadata_need(client);
}

/* --- the answer --- */

/* No answer, or one that cannot be used. */
static void failed(struct ottla_client *client) {
    struct client_metadata *metadata = &client->metadata;
    int64_t now_ms = sys_mono_ms(client->sys);
    metadata->failures++;
    if (metadata->failing_ms < 0) {
        metadata->failing_ms = metadata->begun_ms;
    }
    if (now_ms - metadata->failing_ms >=
        client->settings.metadata_recovery_rebootstrap_trigger_ms) {
        (void)client_rebootstrap(client, "no broker tells about the cluster");
    }
    metadata->needed = true;
}

static void taken(struct ottla_client *client, const struct metadata_response *response) {
    struct client_metadata *metadata = &client->metadata;
    metadata->failing_ms = -1;
    client->trouble[0] = 0;
    if (client_metadata_take(client, response)) {
        metadata->failures = 0;
        metadata->needed = metadata->needed || (metadata->want_all > 0 && !metadata->asked_all);
    } else {
        metadata->failures++;
        metadata->needed = true;
    }
}

/* DescribeCluster's answer in the shape of Metadata's. */
static const struct metadata_response *
from_controllers(const struct describe_cluster_response *cluster, struct arena *arena) {
    struct metadata_response *response = ARENA_NEW(arena, struct metadata_response);
    wire_init(&metadata_response_type, response);
    response->error_code = cluster->error_code;
    response->cluster_id = cluster->cluster_id;
    response->controller_id = cluster->controller_id;
    response->brokers =
        ARENA_ARRAY(arena, struct metadata_response_broker,
                    (size_t)(cluster->brokers_count < 0 ? 0 : cluster->brokers_count) + 1);
    for (int32_t i = 0; i < cluster->brokers_count; i++) {
        response->brokers[response->brokers_count++] = (struct metadata_response_broker){
            .node_id = cluster->brokers[i].broker_id,
            .host = cluster->brokers[i].host,
            .port = cluster->brokers[i].port,
            .rack = cluster->brokers[i].rack,
        };
    }
    return response;
}

static void take_answer(struct ottla_client *client, const struct client_answer *answer,
                        const struct metadata_response *response) {
    if (answer->err != ERR_OK) {
        failed(client);
    } else if (err_from_kafka_code(response->error_code) == ERR_REBOOTSTRAP_REQUIRED) {
        failed(client);
        (void)client_rebootstrap(client, "a broker asks for it");
    } else if (response->brokers_count <= 0) {
        failed(client); /* it knows nobody, not even itself */
    } else {
        taken(client, response);
    }
}

static void on_answer(void *arg, const struct client_answer *answer) {
    struct ottla_client *client = arg;
    client->metadata.asked = NULL;
    if (client->closing) {
        return;
    }
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    const struct metadata_response *response = answer->response;
    if (client->to_controllers && response != NULL) {
        response = from_controllers(answer->response, &arena);
    }
    client->metadata.unreached = answer->err == ERR_REFUSED || answer->err == ERR_NOT_FOUND;
    take_answer(client, answer, response);
    arena_done(&arena);
    client_asks_all_ready(&client->unknown);
    client_metadata_schedule(client);
}
